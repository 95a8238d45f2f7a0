"""From the URL of a request to where it goes and what stands on the request line.

A `str` is sent as written. Only octets that have no place in a URI (RFC 3986 section 2)
are percent-encoded; nothing is decoded, upper-cased, sorted or collapsed, since that
breaks signed URLs. A `yarl.URL` is sent as yarl spells it.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import ssl as ssl_module
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import quote

from yarl import URL

from httpcore_proto import Limits

from ._errors import InvalidUrlClientError, NonHttpUrlClientError

#: What `params` may be; yarl's encoder writes all but a `str`, which is used as it is.
Query: TypeAlias = (
    str
    | Mapping[str, str | int | float | Sequence[str | int | float]]
    | Sequence[tuple[str, str | int | float]]
    | None
)

# Schemes and their ports; the last three are for connectors that know them.
_PORTS: Final = {
    "http": 80,
    "https": 443,
    "ws": 80,
    "wss": 443,
    "tcp": 80,
    "unix": 80,
    "npipe": 80,
}
_SECURE: Final = frozenset({"https", "wss"})
# yarl takes nearly anything for a name; what is none could end up in a line of its own.
_NAME: Final = re.compile(r"[A-Za-z0-9._~-]+")
_ADDRESS_6: Final = re.compile(r"[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?")
_ABSOLUTE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)([^#]*)(?:#(.*))?", re.S)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
# What RFC 3986 gives no place to; "[" and "]" have none in a query either, but everybody
# sends them there.
_ILLEGAL: Final = re.compile(r"[^\x21-\x7e]|[\"<>\\^`{|}]")
# WHATWG URL, "ends in a number checker": such hosts are addresses to some resolvers.
_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?", re.S)
# URLs that a program asks for again and again; saves a third of a small request each
# (bench: client). A thousand origins fit, at about 1 KiB each.
_CACHED_URLS: Final = 1024


class Proxy(NamedTuple):
    """A proxy, and what it is told.

    Attributes:
        url: Where it is, without credentials.
        headers: Fields for it alone, Proxy-Authorization included; the origin never
            sees them.
        tunnel: Whether also what is not TLS goes through a tunnel.
    """

    url: URL
    headers: tuple[tuple[str, str], ...] = ()
    tunnel: bool = False

    def __repr__(self) -> str:
        # The values of the fields are secrets, and this is part of error texts.
        names = [name for name, _ in self.headers]
        return f"Proxy({str(self.url)!r}, headers={names!r})"


class ConnectionKey(NamedTuple):
    """What must be equal for two requests to share a connection.

    Attributes:
        host: Name or address, as it is looked up.
        port: TCP port.
        is_ssl: Whether TLS is spoken.
        ssl: TLS setting: True, False for no verification, or a context.
        server_hostname: Name in SNI and in the certificate, if it is not `host`.
        limits: Limits on response heads; None for the default ones.
        proxy: The proxy in between, if there is one.
    """

    host: str
    port: int
    is_ssl: bool
    ssl: ssl_module.SSLContext | bool = True
    server_hostname: str | None = None
    limits: Limits | None = None
    proxy: Proxy | None = None


class Destination:
    """Where a request goes.

    Attributes:
        url: The URL as it is sent, fragment included.
        target: Path and query for the request line, never empty.
        host_field: Value of the Host field.
        key: Connection key with the default settings.
    """

    __slots__ = ("host_field", "key", "target", "url")

    def __init__(self, url: URL, target: str, given: str | URL) -> None:
        host = url.raw_host
        if not host:
            raise InvalidUrlClientError(given, "no host")
        if url.scheme not in _PORTS:
            raise NonHttpUrlClientError(given)
        port = _PORTS[url.scheme] if url.port is None else url.port
        if (_ADDRESS_6 if ":" in host else _NAME).fullmatch(host) is None:
            raise InvalidUrlClientError(given, f"{host!r} is no name of a host, nor an address")
        if url.raw_user is not None or url.raw_password is not None:
            raise InvalidUrlClientError(
                given.with_user(None) if isinstance(given, URL) else url.with_user(None),
                "credentials in a URL are not sent, give an Authorization header",
            )
        if _NUMERIC.fullmatch(host) and not _is_ipv4(host):
            raise InvalidUrlClientError(given, f"{host!r} is not a canonical IPv4 address")
        self.url: URL = url
        self.target: str = target
        self.host_field: str = url.host_port_subcomponent or host
        self.key: ConnectionKey = ConnectionKey(host, port, url.scheme in _SECURE)


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def escape(text: str) -> str:
    """Percent-encode, as UTF-8, the octets of `text` that have no place in a URI."""
    return _ILLEGAL.sub(lambda match: quote(match[0], safe="", errors="surrogateescape"), text)


@functools.lru_cache(maxsize=_CACHED_URLS)
def destination(url: str | URL) -> Destination:
    """Tell where an absolute URL leads.

    Raises:
        InvalidUrlClientError: It is relative or malformed, or carries credentials.
        NonHttpUrlClientError: Its scheme is neither http nor https.
        TypeError: It is neither `str` nor `URL`.
    """
    if isinstance(url, URL):
        return Destination(url, url.raw_path_qs, url)
    if not isinstance(url, str):
        raise TypeError(f"a URL must be str or yarl.URL, not {type(url).__name__}")
    match = _ABSOLUTE.fullmatch(url.strip())
    if match is None:
        if (scheme := _SCHEME.match(url)) is not None and scheme[1].lower() not in _PORTS:
            raise NonHttpUrlClientError(url)
        raise InvalidUrlClientError(url, "no scheme or no host")
    scheme_name, authority, rest, fragment = match.groups()
    if scheme_name.lower() not in _PORTS:
        raise NonHttpUrlClientError(url)
    if not rest.startswith("/"):
        rest = f"/{rest}"
    try:
        rest = escape(rest)
        origin = URL(f"{scheme_name}://{authority}")
        parsed = URL(
            f"{origin}{rest}#{escape(fragment)}" if fragment else f"{origin}{rest}", encoded=True
        )
    except ValueError as exc:
        raise InvalidUrlClientError(url, str(exc)) from exc
    return Destination(parsed, rest, url)


@functools.lru_cache(maxsize=_CACHED_URLS)
def destination_below(base: URL, url: str | URL) -> Destination:
    """Tell where a URL leads that may be relative to `base` (RFC 3986 section 5.2).

    Raises:
        InvalidUrlClientError: As for `destination`.
        NonHttpUrlClientError: As for `destination`.
        TypeError: As for `destination`.
    """
    if isinstance(url, URL):
        return destination(url if url.absolute else base.join(url))
    if not isinstance(url, str) or _SCHEME.match(url):
        return destination(url)
    try:
        if url.startswith("//"):
            return destination(f"{base.scheme}:{url}")
        if url.startswith("/"):
            return destination(f"{base.origin()}{url}")
        joined = base.join(URL(escape(url), encoded=True))
    except ValueError as exc:
        raise InvalidUrlClientError(url, str(exc)) from exc
    return destination(joined)


def with_params(to: Destination, params: Query) -> Destination:
    """Append `params` to the query of a destination, and leave what is there untouched."""
    if isinstance(params, str):
        query = escape(params)
    else:
        query = URL.build(query=params).raw_query_string if params else ""
    if not query:
        return to
    path, mark, own = to.target.partition("?")
    target = f"{path}?{own}&{query}" if mark and own else f"{path}?{query}"
    url = to.url
    text = f"{url.origin()}{target}"
    if url.raw_fragment:
        text += f"#{url.raw_fragment}"
    return Destination(URL(text, encoded=True), target, text)


def check_base_url(base_url: str | URL | None) -> URL | None:
    """Return a session's base URL.

    Raises:
        ValueError: It is not absolute, or its path does not end in a slash.
        NonHttpUrlClientError: Its scheme is neither http nor https.
    """
    if base_url is None:
        return None
    url = destination(base_url).url
    if not url.raw_path.endswith("/"):
        raise ValueError("base_url must have a trailing slash")
    return url
