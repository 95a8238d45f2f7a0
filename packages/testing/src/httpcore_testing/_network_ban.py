"""The real network, barred: what connects to it or asks it for a name fails, and says so.

Python tells audit hooks of each socket that connects and of each name that is looked up. A
hook cannot be taken away again, so there is one, and a list of what holds at the moment.
uvloop and c-ares look up names by themselves, which no hook hears of; so the resolvers of
`httpclient` are asked, too. A connection that is made by such a library all the way is not
seen.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
from collections.abc import Collection, Iterator
from typing import Any, Final
from unittest import mock as unittest_mock

import httpclient

_CONNECTS: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKUPS: Final = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_EVENTS: Final = _CONNECTS | _LOOKUPS
_RESOLVERS: Final = (
    httpclient.DefaultResolver,
    httpclient.ThreadedResolver,
    httpclient.AsyncResolver,
)


class NetworkBarredError(RuntimeError):
    """Something would have used the network. It is no `OSError`, so as not to be handled.

    Attributes:
        host: The host or address.
    """

    def __init__(self, what: str, host: str) -> None:
        super().__init__(
            f"the network is barred: {what}. To allow it, name the host: "
            f"no_network(allow=[{host!r}]), or --http-allow-host={host} of pytest"
        )
        self.host: str = host


class _Ban:
    """What is allowed at the moment."""

    def __init__(self, allow: Collection[str]) -> None:
        self._allowed = {_folded(host) for host in allow}

    def check_lookup(self, host: Any, *, reverse: bool = False) -> None:
        """Raise an error if a name must not be looked up; an address asks nobody."""
        name = _folded(host)
        if name in self._allowed or _is_local_name(name):
            return
        address = _address(name)
        if address is None:
            raise NetworkBarredError(f"{name!r} was to be looked up", name)
        if reverse and not _is_local(address):
            raise NetworkBarredError(f"the name of {name} was to be looked up", name)

    def check_connect(self, family: int, target: Any) -> None:
        """Raise an error if an address must not be connected to."""
        if family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(target, tuple):
            return
        host, port = _folded(target[0]), target[1]
        address = _address(host)
        if address is None:
            self.check_lookup(host)  # the socket looks it up itself
            return
        if _is_local(address) or host in self._allowed or self._is_of_allowed_name(host):
            return
        raise NetworkBarredError(f"{host} port {port} was to be connected to", host)

    def _is_of_allowed_name(self, host: str) -> bool:
        for name in self._allowed:
            if _address(name) is None:
                with contextlib.suppress(OSError):
                    if host in {str(info[4][0]) for info in socket.getaddrinfo(name, None)}:
                        return True
        return False


_bans: Final[list[_Ban]] = []
_hooked = False


@contextlib.contextmanager
def no_network(*, allow: Collection[str] = ()) -> Iterator[None]:
    """Bar the network for this process, all threads included, within this context.

    Loopback addresses, `localhost` and names below it, and sockets that are not of the
    internet (Unix, say) are not barred. Of nested contexts the innermost holds.

    Args:
        allow: Names and addresses that may be used all the same. The addresses of a name are
            looked up again when something connects.

    Raises:
        NetworkBarredError: Inside, by what would use the network.
        TypeError: `allow` is one text.
    """
    if isinstance(allow, str):
        raise TypeError("allow must be a collection of hosts, not one str")
    global _hooked
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    ban = _Ban(allow)
    with contextlib.ExitStack() as stack:
        for kind in _RESOLVERS:
            new = _checked(ban, kind.resolve)
            stack.enter_context(unittest_mock.patch.object(kind, "resolve", new))
        _bans.append(ban)
        try:
            yield
        finally:
            _bans.remove(ban)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    # Called for whatever happens in the interpreter, so the usual way out comes first.
    if event not in _EVENTS or not _bans:
        return
    ban = _bans[-1]
    if event in _LOOKUPS:
        ban.check_lookup(args[0], reverse=event == "socket.gethostbyaddr")
        return
    try:
        ban.check_connect(args[0].family, args[1])
    except NetworkBarredError:
        if event == "socket.connect":
            # Most close their socket only after an OSError, and it would be warned of.
            args[0].close()
        raise


# Else neither debuggers nor coverage see what happens in here.
_hook.__cantrace__ = True  # type: ignore[attr-defined]


def _checked(ban: _Ban, resolve: Any) -> Any:
    async def checked(resolver: Any, host: str, *args: Any, **kwargs: Any) -> Any:
        if _bans[-1:] == [ban]:
            ban.check_lookup(host)
        return await resolve(resolver, host, *args, **kwargs)

    return checked


def _folded(host: Any) -> str:
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii", "backslashreplace")
    return "" if host is None else str(host).lower().rstrip(".")


def _is_local_name(name: str) -> bool:
    return name in ("", "localhost") or name.endswith(".localhost")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # A socket that connects to the unspecified address gets the loopback one.
    return address.is_loopback or address.is_unspecified
