from typing import Any

# cffi makes both at build time from csrc/hcp.cdef.
ffi: Any
lib: Any
