"""Where a client connects to."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from httpcore_proto import encode_basic_auth

_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443, "http": 80, "https": 443}
_SECURE: Final = frozenset({"wss", "https"})
# What RFC 3986 lets stand in a path and a query, and the sign of what is encoded already.
_PATH: Final = "/%:@!$&'()*+,;=~-._"
_QUERY: Final = f"{_PATH}?"


class Target(NamedTuple):
    """The parts of a WebSocket's URL.

    Attributes:
        secure: Whether TLS is spoken.
        host: Name or address to connect to, an IPv6 address without brackets.
        port: Port to connect to.
        headers: Host, and Authorization if the URL has credentials.
        path: Request target in origin form.
    """

    secure: bool
    host: str
    port: int
    headers: list[tuple[str, str]]
    path: str


def parse_target(url: str) -> Target:
    """Take a URL apart (RFC 6455 section 3).

    Args:
        url: With scheme ws or wss; http and https mean the same. Characters that a URL
            cannot have are encoded in path and query.

    Raises:
        ValueError: The scheme is another one, there is no host, the port is none, or there
            is a fragment, which a WebSocket's URL cannot have.
    """
    parts = urlsplit(url)
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None:
        raise ValueError(f"scheme {parts.scheme!r} of a WebSocket, expected ws or wss")
    if not parts.hostname:
        raise ValueError("the URL of a WebSocket has no host")
    if parts.fragment:
        raise ValueError("the URL of a WebSocket has a fragment (RFC 6455 section 3)")
    host = parts.hostname if parts.hostname.isascii() else _encode_name(parts.hostname)
    port = default if parts.port is None else parts.port
    shown = f"[{host}]" if ":" in host else host
    headers = [("Host", shown if port == default else f"{shown}:{port}")]
    if parts.username is not None:
        login, password = unquote(parts.username), unquote(parts.password or "")
        headers.append(("Authorization", encode_basic_auth(login, password)))
    path = quote(parts.path or "/", safe=_PATH)
    if parts.query:
        path += "?" + quote(parts.query, safe=_QUERY)
    return Target(parts.scheme in _SECURE, host, port, headers, path)


def _encode_name(name: str) -> str:
    return name.encode("idna").decode("ascii")
