"""Words of HTTP itself: versions, reason phrases, our product name."""

from __future__ import annotations

import http
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from ._version import __version__


class HttpVersion(NamedTuple):
    """An HTTP version; compares as a pair of numbers."""

    major: int
    minor: int


HttpVersion10: Final = HttpVersion(1, 0)
HttpVersion11: Final = HttpVersion(1, 1)

#: Status code -> (reason phrase, description), for all codes that the standard library
#: knows.
RESPONSES: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {status.value: (status.phrase, status.description) for status in http.HTTPStatus}
)

#: What `Server` and `User-Agent` say unless told otherwise.
SERVER_SOFTWARE: Final = (
    f"Python/{sys.version_info.major}.{sys.version_info.minor} httpcore-proto/{__version__}"
)
