"""The options of a call, checked, and those of its session in place of what it does not say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from httpcore_proto import HeadersLike, Limits

from ._abstract_cookie_jar import LooseCookies
from ._errors import (
    NonHttpUrlClientError,
)
from ._middlewares import ClientMiddlewareType
from ._request import OutgoingRequest, Progress
from ._request_body import BodyLike, encode_body
from ._request_options import RaiseForStatus
from ._timeouts import NO_TIMEOUT, ClientTimeout
from ._tls import TLSSetting, check_ssl
from ._tracing import Traces
from ._upload_tracker import UploadTracker
from ._url import Query, destination, destination_below, with_params

if TYPE_CHECKING:
    from ._session import ClientSession

_NOTHING: Final[frozenset[str]] = frozenset()
_DEFAULT_LIMITS: Final = Limits()
# Stands for an option that was not given, where None means something.
_UNSET: Final[Any] = object()


class CallOptions:
    """What one call of a session asks for, and what of it changes on the way.

    The options are those of `ClientSession.request`, and `upgrades`:
    whether the connection is kept for the caller if the response is a 101.

    Raises:
        ValueError: The options contradict each other, or the URL cannot be used.
        RuntimeError: The session is closed.
    """

    __slots__ = (
        "_auto_decompress",
        "_body",
        "_chain",
        "_check",
        "_connector",
        "_content_type",
        "_cookies",
        "_dropped",
        "_framing",
        "_headers",
        "_key_options",
        "_max_redirects",
        "_method",
        "_payload",
        "_progress",
        "_proxy",
        "_proxy_headers",
        "_read_bufsize",
        "_read_until_eof",
        "_request",
        "_session",
        "_timeout",
        "_to",
        "_total_at",
        "_trace_request_ctx",
        "_traces",
        "_tracker",
        "_upgrades",
    )

    _request: OutgoingRequest

    def __init__(
        self,
        session: ClientSession,
        method: str,
        url: str | URL,
        *,
        params: Query = None,
        data: BodyLike = None,
        json: Any = None,
        cookies: LooseCookies | None = None,
        headers: HeadersLike | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        allow_redirects: bool = True,
        max_redirects: int = 10,
        compress: str | bool | None = None,
        chunked: bool | None = None,
        expect100: bool = False,
        raise_for_status: RaiseForStatus | None = None,
        read_until_eof: bool = True,
        proxy: str | URL | None = None,
        proxy_headers: HeadersLike | None = None,
        timeout: ClientTimeout | float | None = _UNSET,
        ssl: TLSSetting = True,
        server_hostname: str | None = None,
        trace_request_ctx: object = None,
        read_bufsize: int | None = None,
        auto_decompress: bool | None = None,
        max_line_size: int | None = None,
        max_field_size: int | None = None,
        max_headers: int | None = None,
        middlewares: Sequence[ClientMiddlewareType] | None = None,
        upload_tracker: UploadTracker | None = None,
        progress: Progress | None = None,
        upgrades: bool = False,
    ) -> None:
        connector = session._connector
        if connector is None or connector.closed:
            raise RuntimeError("Session is closed")
        if method == "CONNECT":
            raise ValueError("CONNECT makes a tunnel, and is not a request to send")
        base_url = session._base_url
        to = destination(url) if base_url is None else destination_below(base_url, url)
        if to.url.scheme not in connector.allowed_protocol_schema_set:
            raise NonHttpUrlClientError(url)
        self._to = with_params(to, params) if params else to
        self._session = session
        self._connector = connector
        self._method = method
        self._body, self._payload, self._content_type = encode_body(
            data, json, session._json_serialize, session._json_serialize_bytes
        )
        self._cookies = cookies
        self._headers = headers
        # What the framing of a body, and generated fields, depend on.
        self._framing: dict[str, Any] = {}
        if (
            compress is not None
            or chunked is not None
            or expect100
            or skip_auto_headers is not None
        ):
            self._framing = {
                "compress": compress,
                "chunked": chunked,
                "expect100": expect100,
                "skip": skip_auto_headers,
            }
        limits = session._limits
        if max_line_size is not None or max_field_size is not None or max_headers is not None:
            limits = with_bounds(limits, max_line_size, max_field_size, max_headers)
        self._key_options: dict[str, Any] = {}
        if ssl is not True or server_hostname is not None or limits is not None:
            check_ssl(ssl)
            self._key_options = {
                "ssl": ssl,
                "server_hostname": server_hostname,
                "limits": limits,
            }
        self._proxy = session._proxy if proxy is None else proxy
        self._proxy_headers = proxy_headers
        if timeout is _UNSET:
            timeout = session._timeout
        elif not isinstance(timeout, ClientTimeout):
            timeout = NO_TIMEOUT if timeout is None else ClientTimeout(total=timeout)
        self._timeout: ClientTimeout = timeout
        self._total_at = connector.now() + timeout.total if timeout.total else None
        # 0 for any number, -1 if they are not followed.
        self._max_redirects = max_redirects if allow_redirects else -1
        self._check = session._raise_for_status if raise_for_status is None else raise_for_status
        self._read_until_eof = read_until_eof
        self._read_bufsize = session._read_bufsize if read_bufsize is None else read_bufsize
        self._auto_decompress = (
            session._auto_decompress if auto_decompress is None else auto_decompress
        )
        self._chain = session._middlewares if middlewares is None else middlewares
        self._traces: Traces | None = None
        self._trace_request_ctx = trace_request_ctx
        self._tracker = upload_tracker
        self._progress = progress
        self._upgrades = upgrades
        self._dropped = _NOTHING


def with_bounds(
    limits: Limits | None,
    max_line_size: int | None,
    max_field_size: int | None,
    max_headers: int | None,
) -> Limits | None:
    """Return limits with some bounds replaced; None if they are the default ones."""
    given = {
        "max_line_size": max_line_size,
        "max_field_size": max_field_size,
        "max_headers": max_headers,
    }
    bounds = {name: bound for name, bound in given.items() if bound is not None}
    replaced = dataclasses.replace(limits or _DEFAULT_LIMITS, **bounds)
    return None if replaced == _DEFAULT_LIMITS else replaced
