"""A request as handlers see it: everything is decoded when it is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

from multidict import CIMultiDictProxy, MultiDictProxy
from yarl import URL

import httpcore_proto
from httpcore_proto import (
    ContentType,
    HttpVersion,
    HttpVersion11,
    RawHeaders,
    parse_content_type,
)
from httpcore_proto.aio import EMPTY_PAYLOAD, StreamReader

from ._exceptions import HTTPRequestEntityTooLarge
from ._resources import Route, UrlMappingMatchInfo
from ._response import Exchange

_ENCODED_SLASH_OR_PERCENT: Final = re.compile("(%2[Ff]|%25)")
_END_OF_AUTHORITY: Final = re.compile("[/?#]")


class BaseRequest(MutableMapping[str, Any]):
    """One request on one connection.

    Not made by users. Also a mapping, for whatever middlewares and handlers want to
    tell each other. Equality is identity.
    """

    __slots__ = (
        "_body",
        "_event",
        "_match_info",
        "_path",
        "_storage",
        "_url",
        "content",
        "exchange",
    )

    def __init__(
        self, event: httpcore_proto.Request, content: StreamReader, exchange: Exchange
    ) -> None:
        self._event = event
        #: The server's side of this exchange.
        self.exchange: Exchange = exchange
        #: The body as a stream; empty for a request without one.
        self.content: StreamReader = content
        self._path: str | None = None
        self._url: URL | None = None
        self._body: bytes | None = None
        self._storage: dict[str, Any] | None = None
        self._match_info: UrlMappingMatchInfo | None = None

    @property
    def method(self) -> str:
        """The request method, in upper case as all that the parser knows."""
        return self._event.method

    @property
    def version(self) -> HttpVersion:
        """The version of HTTP that the client speaks."""
        return self._event.http_version

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields; names compare without case."""
        return self._event.headers

    @property
    def raw_headers(self) -> RawHeaders:
        """The header fields as bytes, in the order and case they came in."""
        return self._event.raw_headers

    @property
    def raw_path(self) -> str:
        """The request target as it was sent, query included."""
        return self._event.target

    @property
    def route_path(self) -> str:
        """The path that routing compares: decoded but for `%2F` and `%25`.

        Those two stay, so that an encoded slash never splits a segment.
        """
        path = self._path
        if path is None:
            target = self._event.target
            if target[0] != "/":
                target = _path_of_other_form(target)
            path = target.partition("?")[0]
            if "#" in path:
                path = path.partition("#")[0]
            if "%" in path:
                pieces = _ENCODED_SLASH_OR_PERCENT.split(path)
                pieces[::2] = [unquote(piece) for piece in pieces[::2]]
                path = "".join(pieces)
            self._path = path
        return path

    @property
    def path(self) -> str:
        """The path, percent-decoded once; `//x` stays `//x`."""
        path = self.route_path
        return unquote(path) if "%" in path else path

    @property
    def rel_url(self) -> URL:
        """Path and query as an URL without host."""
        url = self._url
        if url is None:
            target = self._event.target
            if target[0] != "/":
                target = _path_of_other_form(target)
            path, _, query = target.partition("#")[0].partition("?")
            # Not URL(target): a path that begins with two slashes is no authority.
            url = self._url = URL.build(path=path, query_string=query, encoded=True)
        return url

    @property
    def path_qs(self) -> str:
        """Path and query, encoded."""
        return self.rel_url.raw_path_qs

    @property
    def query(self) -> MultiDictProxy[str]:
        """The query's parameters, decoded."""
        return self.rel_url.query

    @property
    def query_string(self) -> str:
        """The query, decoded, without its question mark."""
        return self.rel_url.query_string

    @property
    def secure(self) -> bool:
        """Whether the connection is TLS; header fields are not asked."""
        return self.exchange.link.info("ssl_object") is not None

    @property
    def scheme(self) -> str:
        """`"https"` or `"http"`, by the connection and never by what the client says."""
        return "https" if self.secure else "http"

    @property
    def host(self) -> str:
        """Host and port as the client named them.

        Those of an absolute target win over the Host field (RFC 9112 section 3.2.2);
        without either, our own address.
        """
        target = self._event.target
        if target[0] != "/" and "://" in target:
            authority = _END_OF_AUTHORITY.split(target.partition("://")[2], maxsplit=1)[0]
            return authority.rpartition("@")[2]
        host = self.headers.get("Host")
        if host is not None:
            return host
        address = self.exchange.link.info("sockname")
        if isinstance(address, tuple):
            name, port = address[:2]
            return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
        return ""

    @property
    def url(self) -> URL:
        """The whole URL, as far as it is known."""
        path = self.rel_url
        try:
            origin = URL.build(scheme=self.scheme, authority=self.host)
        except ValueError:
            # A Host field can be valid and still name no host that an URL can hold.
            return path
        # Not origin.join(path): that would take `//x` for a host.
        return URL.build(
            scheme=origin.scheme,
            authority=origin.raw_authority,
            path=path.raw_path,
            query_string=path.raw_query_string,
            encoded=True,
        )

    @property
    def remote(self) -> str | None:
        """The peer's address, or None where it has none (a Unix socket)."""
        peer = self.exchange.link.info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else None

    @property
    def keep_alive(self) -> bool:
        """Whether the client lets the connection live on."""
        return self._event.keep_alive

    @property
    def expects(self) -> bool:
        """Whether there is an `Expect` field to be answered (not of HTTP/1.0)."""
        return self._event.has_expect and self._event.http_version >= HttpVersion11

    @property
    def client_max_size(self) -> int:
        """Most bytes that `read` takes; 0 for no limit."""
        return self.exchange.client_max_size

    @property
    def body_exists(self) -> bool:
        """Whether a body was announced."""
        return self.content is not EMPTY_PAYLOAD

    @property
    def can_read_body(self) -> bool:
        """Whether there is body left to read."""
        return not self.content.at_eof()

    @property
    def content_length(self) -> int | None:
        """Announced length of the body in bytes, or None."""
        return self._event.content_length

    @property
    def content_type(self) -> str:
        """Media type in lower case; `application/octet-stream` if none or malformed."""
        return self._content_type.media_type

    @property
    def charset(self) -> str | None:
        """The charset parameter of Content-Type as the client wrote it, or None."""
        return self._content_type.charset

    @property
    def _content_type(self) -> ContentType:
        return parse_content_type(self.headers.get("Content-Type", ""))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a fact of the connection: peername, sockname, socket, ssl_object."""
        return self.exchange.link.info(name, default)

    async def read(self) -> bytes:
        """Return the whole body; a second call returns the same bytes.

        Raises:
            HTTPRequestEntityTooLarge: It has more than `client_max_size` bytes.
            RequestPayloadError: It is malformed or cut.
        """
        if self._body is None:
            content = self.content
            limit = self.exchange.client_max_size
            announced = self._event.content_length
            if limit and announced is not None and announced > limit:
                raise HTTPRequestEntityTooLarge(max_size=limit, actual_size=announced)
            pieces: list[bytes] = []
            size = 0
            while piece := await content.readany():
                pieces.append(piece)
                size += len(piece)
                if limit and size > limit:
                    raise HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)
            self._body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._body

    async def text(self) -> str:
        """Return the body decoded by its charset, UTF-8 unless told otherwise.

        Raises:
            LookupError: The charset is unknown.
            UnicodeDecodeError: The body is not in it.
        """
        return (await self.read()).decode(self.charset or "utf-8")

    async def json(self, *, loads: Callable[[str], Any] = json.loads) -> Any:
        """Return the body parsed as JSON; its content type is not looked at."""
        return loads(await self.text())

    async def release(self) -> None:
        """Read the rest of the body and drop it."""
        while await self.content.readany():
            pass

    def __getitem__(self, key: str) -> Any:
        if self._storage is None:
            raise KeyError(key)
        return self._storage[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if self._storage is None:
            self._storage = {}
        self._storage[key] = value

    def __delitem__(self, key: str) -> None:
        if self._storage is None:
            raise KeyError(key)
        del self._storage[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._storage or ())

    def __len__(self) -> int:
        return len(self._storage or ())

    def __bool__(self) -> bool:
        # A mapping without items is false; a request never is.
        return True

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.raw_path!r}>"


class Request(BaseRequest):
    """A request that an application has routed."""

    __slots__ = ("_route", "_values")

    _route: Route
    _values: Mapping[str, str]

    def routed(self, route: Route, values: Mapping[str, str]) -> None:
        """Called by the application with what it found."""
        self._route = route
        self._values = values

    @property
    def match_info(self) -> UrlMappingMatchInfo:
        """The matched route, and the values of its path's parameters, decoded."""
        match_info = self._match_info
        if match_info is None:
            match_info = self._match_info = UrlMappingMatchInfo(self._values, self._route)
        return match_info


def _path_of_other_form(target: str) -> str:
    """The path in a request target that is no path (RFC 9112 section 3.2)."""
    _, separator, rest = target.partition("://")
    if not separator:
        return "*" if target == "*" else ""  # asterisk form, authority form
    end = _END_OF_AUTHORITY.search(rest)
    path = rest[end.start() :] if end is not None else ""
    return path if path[:1] == "/" else f"/{path}"
