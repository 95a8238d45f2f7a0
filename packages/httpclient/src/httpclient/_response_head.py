"""The head of a response, decoded when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from types import MappingProxyType
from typing import TYPE_CHECKING

from multidict import CIMultiDictProxy, MultiDict, MultiDictProxy
from yarl import URL

from httpcore_proto import (
    ContentType,
    HttpVersion,
    InformationalResponse,
    RawHeaders,
    Response,
    content_disposition_filename,
    parse_content_disposition,
    parse_content_type,
    parse_links,
    parse_set_cookie_headers,
)

from ._request import OutgoingRequest, RequestInfo

if TYPE_CHECKING:
    from ._response import ClientResponse


@dataclass(frozen=True, slots=True)
class ContentDisposition:
    """What a server wants to be done with a body (RFC 6266).

    Attributes:
        type: Disposition type in lower case, such as `attachment`.
        parameters: Read-only; names in lower case, values decoded.
        filename: Name for the file, the extended form (`filename*`) before the plain one;
            None if there is none. A stranger chose it: of a path take the last component,
            and look at that before using it.
    """

    type: str
    parameters: Mapping[str, str]
    filename: str | None


class ResponseHead:
    """The part of a response that is there before its body.

    Attributes:
        method: Method of the request.
        status: Status code, 200 to 999, or 101.
    """

    __slots__ = ("_cookies", "_head", "_history", "_request", "method", "status")

    _cookies: SimpleCookie
    _head: Response | InformationalResponse
    _history: tuple[ClientResponse, ...]
    _request: OutgoingRequest
    method: str
    status: int

    @property
    def version(self) -> HttpVersion:
        """Version that the server speaks."""
        return self._head.http_version

    @property
    def reason(self) -> str:
        """Reason phrase; may be empty."""
        return self._head.reason

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def url(self) -> URL:
        """URL of the request, without fragment."""
        url = self._request.destination.url
        return url.with_fragment(None) if url.raw_fragment else url

    @property
    def real_url(self) -> URL:
        """URL of the request, fragment included."""
        return self._request.destination.url

    @property
    def host(self) -> str:
        """Host of the URL, without port."""
        return self._request.destination.url.host or ""

    @property
    def request_info(self) -> RequestInfo:
        """What was asked for."""
        return self._request.info

    @property
    def history(self) -> tuple[ClientResponse, ...]:
        """The redirects that led here, the first one first."""
        return self._history

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The fields; names compare without case.

        Content-Encoding and Content-Length are those of the body as it was sent, whether
        or not it is decoded.
        """
        return self._head.headers

    @property
    def raw_headers(self) -> RawHeaders:
        """The fields as bytes, as they were sent."""
        return self._head.raw_headers

    @property
    def content_type(self) -> str:
        """Media type in lower case; `application/octet-stream` if none or malformed."""
        return self._content_type.media_type

    @property
    def charset(self) -> str | None:
        """The charset parameter of Content-Type as the server wrote it."""
        return self._content_type.charset

    @property
    def content_length(self) -> int | None:
        """Announced length of the body in bytes; also of the one that HEAD leaves out."""
        return self._head.content_length

    @property
    def content_disposition(self) -> ContentDisposition | None:
        """What Content-Disposition says; None without one.

        Also None, with a `BadContentDispositionHeader` warning, for a malformed one; a
        malformed parameter is left out with a `BadContentDispositionParam` warning.
        """
        kind, parameters = parse_content_disposition(self.headers.get("Content-Disposition"))
        if kind is None:
            return None
        filename = content_disposition_filename(parameters)
        return ContentDisposition(kind, MappingProxyType(parameters), filename)

    @property
    def cookies(self) -> SimpleCookie:
        """Cookies that this response sets, whether the session keeps them or not.

        Of one name the last one; at most 50 (`httpcore_proto.MAX_COOKIES`), others are
        left out, and so are malformed ones. `Morsel.value` is decoded, and
        `Morsel.coded_value` as it was sent.
        """
        try:
            return self._cookies
        except AttributeError:  # nobody asked before
            cookies: SimpleCookie = SimpleCookie()
            if self._head.has_set_cookie:
                for name, morsel in parse_set_cookie_headers(self.headers.getall("Set-Cookie")):
                    cookies[name] = morsel
            self._cookies = cookies
            return cookies

    @property
    def links(self) -> MultiDictProxy[MultiDictProxy[str | URL]]:
        """The Link fields (RFC 8288), by relation type; by URL where none is given.

        Each has its parameters, and as `url` what it leads to, as a `URL` joined to that
        of this response. Malformed links and parameters are left out, as are links
        behind the first 100.
        """
        base = self.url
        links: MultiDict[MultiDictProxy[str | URL]] = MultiDict()
        for target, parameters in parse_links(self.headers.getall("Link", ())):
            try:
                url = base.join(URL(target))
            except ValueError:
                continue
            link: MultiDict[str | URL] = MultiDict(parameters)
            link["url"] = url
            links.add(parameters.get("rel", target), MultiDictProxy(link))
        return MultiDictProxy(links)

    @property
    def _content_type(self) -> ContentType:
        return parse_content_type(self._head.headers.get("Content-Type", ""))

    def _is_of_type(self, expected: str) -> bool:
        actual = self._content_type
        return actual.media_type == expected or (expected == "application/json" and actual.is_json)
