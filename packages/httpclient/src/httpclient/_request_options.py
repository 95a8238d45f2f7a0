"""What a call may ask for, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from yarl import URL

from httpcore_proto import HeadersLike

from ._abstract_cookie_jar import LooseCookies
from ._middlewares import ClientMiddlewareType
from ._request import Progress
from ._request_body import BodyLike
from ._timeouts import ClientTimeout
from ._tls import TLSSetting
from ._upload_tracker import UploadTracker
from ._url import Query

if TYPE_CHECKING:
    from ._response import ClientResponse

#: Whether, or how, a status of 400 and above becomes an error.
RaiseForStatus: TypeAlias = bool | Callable[["ClientResponse"], Awaitable[None]]
#: What gives the codec for a body that names none.
CharsetResolver: TypeAlias = Callable[["ClientResponse", bytes], str]


class GetOptions(TypedDict, total=False):
    """Options of a request without body; `ClientSession.request` tells what they mean."""

    params: Query
    cookies: LooseCookies | None
    headers: HeadersLike | None
    skip_auto_headers: Iterable[str] | None
    allow_redirects: bool
    max_redirects: int
    raise_for_status: RaiseForStatus | None
    read_until_eof: bool
    proxy: str | URL | None
    proxy_headers: HeadersLike | None
    timeout: ClientTimeout | float | None
    ssl: TLSSetting
    server_hostname: str | None
    trace_request_ctx: object
    read_bufsize: int | None
    auto_decompress: bool | None
    max_line_size: int | None
    max_field_size: int | None
    max_headers: int | None
    middlewares: Sequence[ClientMiddlewareType] | None


class RequestOptions(GetOptions, total=False):
    """Options of a request; `ClientSession.request` tells what they mean."""

    data: BodyLike
    json: Any
    compress: str | bool | None
    chunked: bool | None
    expect100: bool
    upload_tracker: UploadTracker | None
    progress: Progress | None
