"""The door to the compiled parser: import, version guard, and its constants.

Constants stand here as plain integers, since reading one from the compiled module costs
a look-up in it each time and they are tested on every message.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from ._limits import Limits
from ._native import ffi, lib
from ._version import __version__


def _text(pointer: Any) -> str:
    text: bytes = ffi.string(pointer)
    return text.decode()


_built_for = _text(lib.hcp_package_version())
if _built_for != __version__:
    raise ImportError(
        f"httpcore_proto._native was compiled for version {_built_for}, but this is "
        f"httpcore-proto {__version__}; install the package again"
    )

#: Version of the llhttp release inside, such as `"9.4.3"`.
LLHTTP_VERSION: Final = _text(lib.hcp_llhttp_version())

HEAD: Final[int] = lib.HCP_HEAD
DATA: Final[int] = lib.HCP_DATA
END: Final[int] = lib.HCP_END
ERROR: Final[int] = lib.HCP_ERROR
TRAILERS: Final[int] = lib.HCP_TRAILERS
REST: Final[int] = lib.HCP_REST
KEEP_ALIVE: Final[int] = lib.HCP_KEEP_ALIVE
CHUNKED: Final[int] = lib.HCP_CHUNKED
HAS_LENGTH: Final[int] = lib.HCP_HAS_LENGTH
UPGRADE: Final[int] = lib.HCP_UPGRADE
EXPECT: Final[int] = lib.HCP_EXPECT
EXPECT_CONTINUE: Final[int] = lib.HCP_EXPECT_CONTINUE
HTTP10: Final[int] = lib.HCP_HTTP10
ORIGIN_FORM: Final[int] = lib.HCP_ORIGIN_FORM
CONTENT_ENCODING: Final[int] = lib.HCP_CONTENT_ENCODING
SET_COOKIE: Final[int] = lib.HCP_SET_COOKIE
MANY_SPANS: Final[int] = lib.HCP_MANY_SPANS
CHUNK_END: Final[int] = lib.HCP_CHUNK_END
OWN_ARENA: Final[int] = lib.HCP_OWN_ARENA
NUMBER_SHIFT: Final[int] = lib.HCP_NUMBER_SHIFT
NUMBER_MASK: Final = 0x3FF

ROLE_SERVER: Final[int] = lib.HCP_ROLE_SERVER
ROLE_CLIENT: Final[int] = lib.HCP_ROLE_CLIENT
ANSWERS_HEAD: Final[int] = lib.HCP_ANSWERS_HEAD
ANSWERS_CONNECT: Final[int] = lib.HCP_ANSWERS_CONNECT

#: Names of the methods that the parser knows, by its numbers; "" where there is none.
METHOD_NAMES: Final[tuple[str, ...]] = tuple(
    _text(name) if (name := lib.hcp_method_name(number)) else "" for number in range(64)
)

# hcp_span: offset, length, chunk_end.
_SPAN: Final = struct.Struct("=QQQ")

feed = lib.hcp_feed
finish = lib.hcp_finish
release = lib.hcp_release
unpack = ffi.unpack
from_buffer = ffi.from_buffer


def new_parser(role: int, limits: Limits) -> Any:
    """Return a parser that frees itself with its last reference."""
    parser = lib.hcp_new(
        role,
        ffi.new(
            "hcp_limits *",
            (
                limits.max_line_size,
                limits.max_field_size,
                limits.max_headers,
                limits.max_head_size,
                limits.max_chunk_extension_size,
            ),
        ),
    )
    if not parser:
        raise MemoryError("no memory for an HTTP parser")
    return ffi.gc(parser, lib.hcp_free)


def new_bytes(size: int) -> tuple[bytes, memoryview]:
    """Return bytes that are still to be filled, and the memory to do it through.

    As extension modules make theirs: nobody else may see the bytes before they are
    complete, and the view must be let go of then. CPython only.

    Args:
        size: How many, more than one: shorter ones exist once for all.
    """
    body = bytes(size)
    return body, memoryview(ffi.buffer(ffi.from_buffer(body), size))


def body_pieces(parser: Any, data: bytes) -> tuple[bytes, tuple[int, ...]]:
    """Join the body spans of the last feed of `data`; also tell where chunks end."""
    pieces: list[bytes] = []
    ends: list[int] = []
    size = 0
    spans = ffi.buffer(parser.spans, parser.span_count * _SPAN.size)
    for offset, length, chunk_end in _SPAN.iter_unpack(spans):
        pieces.append(data[offset : offset + length])
        size += length
        if chunk_end:
            ends.append(size)
    return b"".join(pieces), tuple(ends)
