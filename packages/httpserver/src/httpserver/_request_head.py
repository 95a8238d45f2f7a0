"""Head and connection of a request, decoded when it is asked for."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

from multidict import CIMultiDictProxy, MultiDictProxy
from yarl import URL

from httpcore_proto import HttpVersion, RawHeaders

from ._exchange import Exchange
from ._request_extras import Extras, Head
from ._request_fields import RequestFields
from ._tls_info import TLSInfo, describe_tls

_ENCODED_SLASH_OR_PERCENT: Final = re.compile("(%2[Ff]|%25)")
_END_OF_AUTHORITY: Final = re.compile("[/?#]")


class RequestHead(RequestFields):
    """The part of a request that knows its head and the connection it came over."""

    __slots__ = ("_event", "_path", "_url", "exchange", "extras")

    #: The server's side of this exchange.
    exchange: Exchange
    #: What few requests have; where it is there, `release_files` is to be called.
    extras: Extras | None

    _event: Head
    _path: str | None
    _url: URL | None

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
        """Whether the scheme is https."""
        return self.scheme == "https"

    @property
    def scheme(self) -> str:
        """`"https"` or `"http"`, by the connection and never by what the client says.

        Behind a proxy that speaks TLS for us, a middleware may `clone` with another.
        """
        extras = self.extras
        if extras is not None and extras.scheme is not None:
            return extras.scheme
        return "http" if self.exchange.link.info("ssl_object") is None else "https"

    @property
    def host(self) -> str:
        """Host and port as the client named them.

        Those of an absolute target win over the Host field (RFC 9112 section 3.2.2);
        without either, our own address.
        """
        extras = self.extras
        if extras is not None and extras.host is not None:
            return extras.host
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
        extras = self.extras
        if extras is not None and extras.remote is not None:
            return extras.remote
        peer = self.exchange.link.info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else None

    @property
    def keep_alive(self) -> bool:
        """Whether the client lets the connection live on."""
        return self._event.keep_alive

    @property
    def tls(self) -> TLSInfo | None:
        """What the TLS handshake came to; None on a connection without TLS."""
        tls = self.exchange.link.info("ssl_object")
        return None if tls is None else describe_tls(tls)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a fact of the connection.

        Args:
            name: `peername`, `sockname`, `socket`, `ssl_object` or `sslcontext`, as in
                asyncio's transports.
            default: What to return if there is no such fact.
        """
        return self.exchange.link.info(name, default)


def _path_of_other_form(target: str) -> str:
    """The path in a request target that is no path (RFC 9112 section 3.2)."""
    _, separator, rest = target.partition("://")
    if not separator:
        return "*" if target == "*" else ""  # asterisk form, authority form
    end = _END_OF_AUTHORITY.search(rest)
    path = rest[end.start() :] if end is not None else ""
    return path if path[:1] == "/" else f"/{path}"
