"""Which proxy a request takes, and what the proxy is told.

The proxy of the request counts, else that of the session, else, with `trust_env`, that
of the environment. What is told to the proxy and what is told to the origin are kept
apart from here on: fields for a proxy are in its `Proxy` and nowhere else, and the
session's own fields never get there.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Final

from yarl import URL

from httpcore_proto import HeaderBlock, HeadersLike, encode_basic_auth

from ._errors import InvalidURL
from ._netrc import netrc_authorization
from ._no_proxy import parse_no_proxy
from ._url import ConnectionKey, Destination, Proxy

# Schemes of proxies, and the ports that they have unless the URL tells another: RFC 9110
# section 4.2, and 1080 by IANA's registry for SOCKS.
_PORTS: Final = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}
# The proxy reads requests of its own; the others only move bytes.
_HTTP: Final = frozenset({"http", "https"})
# Schemes of requests that the environment can have a proxy for, besides all_proxy.
_ENVIRONMENT: Final = frozenset({"http", "https", "ws", "wss"})
_HOST: Final = re.compile(r"[A-Za-z0-9._~-]+")
# Fields of one message or one connection; the client alone writes them.
_OWN_NAMES: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_AUTHORIZATION: Final = "Proxy-Authorization"
# On Windows the names of variables have no case.
_NAMES_FOLD: Final = os.name == "nt"


async def proxy_for(
    url: URL,
    *,
    proxy: str | URL | None = None,
    proxy_headers: HeadersLike | None = None,
    trust_env: bool = False,
) -> Proxy | None:
    """Choose the proxy for a request.

    Proxies of the environment are those of `http_proxy`, `https_proxy`, `ws_proxy` and
    `wss_proxy`, by the scheme of `url`, else of `all_proxy`, unless `no_proxy` has the
    host (see `NoProxy`). Names in lower case come before those in upper case; an empty
    value means no proxy. HTTP_PROXY is ignored where REQUEST_METHOD is set, since a CGI
    program has it from a header of its client (CVE-2016-1000111). A value without scheme
    is an http proxy. One that needs a login but has none gets it from the netrc file.

    Args:
        url: Where the request goes.
        proxy: URL of the proxy of the request, or else of the session:
            `http`, `https`, `socks4`, `socks4a`, `socks5` or `socks5h`, perhaps with
            user and password, which become Proxy-Authorization. Path, query and
            fragment mean nothing.
        proxy_headers: Fields for the proxy alone, of which a Proxy-Authorization wins
            over all other logins. They go with CONNECT, and with requests in absolute
            form. SOCKS has no fields and uses only Basic credentials among them.
        trust_env: Whether the environment is asked when `proxy` is None.

    Returns:
        The proxy; None to go without.

    Raises:
        InvalidURL: The URL of the proxy is malformed, or its scheme another. The error
            does not show user and password.
        ValueError: `proxy_headers` has Host, Connection or a framing field.
        LocalProtocolError: A field is not fit to be sent (a `ValueError`).
        TypeError: `proxy` is neither `str` nor `URL`.
    """
    if proxy is not None:
        chosen = parse_proxy(proxy)
    elif trust_env and (text := _from_environment(url)):
        chosen = parse_proxy(text if "://" in text else f"http://{text}")
        if not chosen.headers:
            login = await netrc_authorization(chosen.url.raw_host or "")
            if login is not None:
                chosen = Proxy(chosen.url, ((_AUTHORIZATION, login),))
    else:
        return None
    if not proxy_headers:
        return chosen
    return Proxy(chosen.url, _merged(proxy_headers, chosen.headers))


@functools.lru_cache(maxsize=64)  # a session asks for the same one with every request
def parse_proxy(proxy: str | URL) -> Proxy:
    """Return the proxy of a URL, user and password as a Proxy-Authorization field.

    Raises:
        InvalidURL: As for `proxy_for`.
        TypeError: As for `proxy_for`.
    """
    if not isinstance(proxy, (str, URL)):
        raise TypeError(f"proxy must be str or yarl.URL, not {type(proxy).__name__}")
    shown = _without_login(str(proxy))
    try:
        url = URL(proxy.strip()) if isinstance(proxy, str) else proxy
    except ValueError:
        # Neither the text nor the cause: both quote the login.
        raise InvalidURL(shown, "not a URL of a proxy") from None
    if url.scheme not in _PORTS:
        raise InvalidURL(shown, f"a proxy's scheme is one of {', '.join(_PORTS)}")
    host = url.raw_host or ""
    port = _PORTS[url.scheme] if url.port is None else url.port
    if not is_host(host) or not port:
        raise InvalidURL(shown, "no host, or one that is not fit for a proxy")
    headers: tuple[tuple[str, str], ...] = ()
    if url.raw_user is not None or url.raw_password is not None:
        try:
            login = encode_basic_auth(url.user or "", url.password or "")
        except ValueError:
            raise InvalidURL(
                shown, "a login for a proxy has neither control characters nor a colon in its name"
            ) from None
        headers = ((_AUTHORIZATION, login),)
    return Proxy(URL.build(scheme=url.scheme, host=host, port=port), headers)


def is_host(host: str) -> bool:
    """Whether a host is a name or address that another party can be told.

    yarl takes nearly anything for a name, even blanks. IPv6 addresses stand here without
    brackets; one with a zone means something on this machine only.
    """
    if ":" not in host:
        return _HOST.fullmatch(host) is not None
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def forwards(key: ConnectionKey) -> bool:
    """Whether requests go to the proxy as they are, in absolute form, without a tunnel."""
    proxy = key.proxy
    if proxy is None or proxy.tunnel or key.is_ssl:
        return False
    return proxy.url.scheme in _HTTP


def absolute_target(destination: Destination) -> str:
    """Return the request target for a proxy that `forwards` (RFC 9112 section 3.2.2)."""
    return f"{destination.url.scheme}://{destination.host_field}{destination.target}"


def forwarded_headers(headers: HeadersLike | None, proxy: Proxy) -> list[tuple[str, str]]:
    """Return the fields of a request to a proxy that `forwards`.

    Args:
        headers: Those of the request.
        proxy: Its fields replace those of the request by name: a second
            Proxy-Authorization would be anybody's guess.
    """
    own = list(headers.items() if isinstance(headers, Mapping) else headers or ())
    names = {name.lower() for name, _ in proxy.headers}
    return [field for field in own if field[0].lower() not in names] + [*proxy.headers]


def _merged(
    proxy_headers: HeadersLike, login: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    pairs = proxy_headers.items() if isinstance(proxy_headers, Mapping) else proxy_headers
    headers = tuple((str(name), value) for name, value in pairs)
    names = {name.lower() for name, _ in headers}
    if wrong := names & _OWN_NAMES:
        raise ValueError(f"proxy_headers cannot have {', '.join(sorted(wrong))}")
    HeaderBlock(headers)  # raises for what must not be sent
    return headers if _AUTHORIZATION.lower() in names else headers + login


def _from_environment(url: URL) -> str:
    """Return what the environment has; empty for no proxy."""
    text = _variable(f"{url.scheme}_proxy") if url.scheme in _ENVIRONMENT else None
    if text is None:
        text = _variable("all_proxy")
    if not text:
        return ""
    bypass = _variable("no_proxy")
    if bypass and parse_no_proxy(bypass).matches(url.raw_host or "", url.port):
        return ""
    return text


def _variable(name: str) -> str | None:
    is_cgi = name == "http_proxy" and "REQUEST_METHOD" in os.environ
    if is_cgi and _NAMES_FOLD:
        return None
    value = os.environ.get(name)
    if value is None and not is_cgi:
        value = os.environ.get(name.upper())
    return None if value is None else value.strip()


def _without_login(text: str) -> str:
    before, at, rest = text.rpartition("@")
    if not at:
        return text
    scheme, mark, _ = before.partition("://")
    return f"{scheme}{mark}{rest}" if mark else rest
