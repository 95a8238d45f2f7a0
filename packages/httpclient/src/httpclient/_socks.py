"""SOCKS from the client's side: versions 4, 4A and 5 (RFC 1928, RFC 1929), CONNECT only.

Written over our own link, so that it is the same on every event loop, and so that the
connection to the proxy is made by the connector, with its resolver and address policy.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from httpcore_proto import parse_basic_auth

from ._proxy_dialogue import Dialogue
from ._url import Proxy

#: Looks up the origin; gives addresses as text, the best first.
Resolve: TypeAlias = Callable[[], Awaitable[list[str]]]
#: What a proxy is asked for.
Host: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address | str

SOCKS_SCHEMES: Final = frozenset({"socks4", "socks4a", "socks5", "socks5h"})

_VERSION_4: Final = frozenset({"socks4", "socks4a"})
# Those that leave the name of the origin to be looked up here.
_RESOLVED_HERE: Final = frozenset({"socks4", "socks5"})
_NO_AUTHENTICATION: Final = 0
_USERNAME_PASSWORD: Final = 2
# RFC 1928 section 6: sizes of the addresses in a reply; that of a name precedes it.
_ADDRESS_SIZES: Final = {1: 4, 4: 16}
_NAME: Final = 3
# RFC 1928 section 6, with what the operating system would call it.
_REFUSALS: Final = {
    1: (errno.ECONNABORTED, "general failure"),
    2: (errno.EACCES, "not allowed by its rules"),
    3: (errno.ENETUNREACH, "network unreachable"),
    4: (errno.EHOSTUNREACH, "host unreachable"),
    5: (errno.ECONNREFUSED, "connection refused"),
    6: (errno.ETIMEDOUT, "TTL expired"),
    7: (errno.EOPNOTSUPP, "command not supported"),
    8: (errno.EAFNOSUPPORT, "address type not supported"),
}
# The reply of SOCKS 4, section "CONNECT" of its one description.
_REFUSALS_4: Final = {
    91: (errno.ECONNREFUSED, "request rejected or failed"),
    92: (errno.EACCES, "no identd to be reached on this host"),
    93: (errno.EACCES, "identd names another user"),
}
_UNKNOWN: Final = (errno.ECONNABORTED, "an unknown reason")
# Both versions count the size of a name in one byte.
_MAX_SIZE: Final = 255


async def socks_host(proxy: Proxy, host: str, resolve: Resolve) -> Host:
    """Return what a SOCKS proxy is to be asked for.

    With `socks5` and `socks4` that is the first address of the origin that the version
    can carry, looked up here; with `socks5h` and `socks4a` it is the name, for the proxy
    to look up.

    Args:
        proxy: Its scheme says which version is spoken.
        host: Host of the origin, a name in ASCII or an address without brackets.
        resolve: Looks up `host`; what it raises is passed on.

    Raises:
        OSError: No address has a form in this version.
    """
    scheme = proxy.url.scheme
    address = _parse_address(host)
    if address is None and scheme not in _RESOLVED_HERE:
        return host
    only_ipv4 = scheme in _VERSION_4
    for found in [address] if address else map(_parse_address, await resolve()):
        if found is not None and not (only_ipv4 and found.version == 6):
            return found
    raise OSError(errno.EAFNOSUPPORT, f"{host} has no address that {scheme} can carry")


async def open_socks(dialogue: Dialogue, proxy: Proxy, to: Host, port: int) -> None:
    """Ask a SOCKS proxy for a tunnel.

    User and password are those of a Basic Proxy-Authorization; version 4 has a user only.

    Args:
        dialogue: A link to the proxy, on which nothing was said yet.
        proxy: Its scheme says which version is spoken.
        to: What `socks_host` gave.
        port: Port of the origin.

    Raises:
        OSError: The proxy refuses, breaks the protocol, or is lost; or user, password or
            name are too long.
    """
    login = _login(proxy)
    if proxy.url.scheme in _VERSION_4:
        await _open_4(dialogue, to, port, login[0] if login else b"")
    else:
        await _open_5(dialogue, to, port, login)


async def _open_5(
    dialogue: Dialogue,
    to: Host,
    port: int,
    login: tuple[bytes, bytes] | None,
) -> None:
    methods = bytes([_NO_AUTHENTICATION])
    if login is not None:
        methods += bytes([_USERNAME_PASSWORD])
    if isinstance(to, str):
        where = bytes([_NAME]) + _counted(to.encode("ascii"), "the name of the host")
    else:
        where = bytes([1 if to.version == 4 else 4]) + to.packed
    write = dialogue.link.write
    write(bytes([5, len(methods)]) + methods)
    version, method = await dialogue.receive_exactly(2)
    _check_version(version, 5)
    if method not in methods:
        raise PermissionError(
            errno.EACCES,
            "the SOCKS proxy wants a user and password"
            if login is None
            else "the SOCKS proxy takes none of our ways to log in",
        )
    if method == _USERNAME_PASSWORD and login is not None:
        user, password = login
        write(b"\1" + _counted(user, "the user") + _counted(password, "the password"))
        version, status = await dialogue.receive_exactly(2)
        _check_version(version, 1)
        if status:
            raise PermissionError(errno.EACCES, "the SOCKS proxy refuses user or password")
    write(bytes([5, 1, 0]) + where + port.to_bytes(2, "big"))
    version, reply, _, kind = await dialogue.receive_exactly(4)
    _check_version(version, 5)
    if reply:
        _refuse(reply, _REFUSALS, to, port)
    size = _ADDRESS_SIZES.get(kind)
    if kind == _NAME:
        size = (await dialogue.receive_exactly(1))[0]
    if size is None:
        raise _broken(f"address type {kind}")
    await dialogue.receive_exactly(size + 2)  # where the proxy connects from


async def _open_4(dialogue: Dialogue, to: Host, port: int, user: bytes) -> None:
    if isinstance(to, str):
        # SOCKS 4A: an address that cannot be says that a name follows.
        where, name = b"\0\0\0\1", to.encode("ascii") + b"\0"
    else:
        where, name = to.packed, b""
    dialogue.link.write(b"\4\1" + port.to_bytes(2, "big") + where + user + b"\0" + name)
    version, reply, *_ = await dialogue.receive_exactly(8)
    _check_version(version, 0)
    if reply != 90:
        _refuse(reply, _REFUSALS_4, to, port)


def _login(proxy: Proxy) -> tuple[bytes, bytes] | None:
    for name, value in proxy.headers:
        if name.lower() == "proxy-authorization" and (found := parse_basic_auth(value)):
            return found[0].encode(), found[1].encode()
    return None


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _counted(data: bytes, what: str) -> bytes:
    if len(data) > _MAX_SIZE:
        raise OSError(errno.EINVAL, f"{what} has {len(data)} bytes, SOCKS allows {_MAX_SIZE}")
    return bytes([len(data)]) + data


def _check_version(seen: int, expected: int) -> None:
    if seen != expected:
        raise _broken(f"version {seen} in place of {expected}")


def _broken(what: str) -> OSError:
    return ConnectionAbortedError(errno.ECONNABORTED, f"the proxy does not speak SOCKS: {what}")


def _refuse(reply: int, reasons: dict[int, tuple[int, str]], to: object, port: int) -> None:
    number, reason = reasons.get(reply, _UNKNOWN)
    raise OSError(number, f"the SOCKS proxy cannot connect to {to} port {port}: {reason} ({reply})")
