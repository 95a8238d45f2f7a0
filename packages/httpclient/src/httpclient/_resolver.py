"""Looking up names: the contract of a resolver, and the resolvers that there are."""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, Final, NotRequired, TypedDict

import anyio


class ResolveResult(TypedDict):
    """One address of a host.

    Attributes:
        hostname: The name that was asked for.
        host: The address as text, in IPv6 with its zone if it needs one (RFC 4007).
        port: The port that was asked for.
        family: `socket.AF_INET` or `socket.AF_INET6`.
        proto: Protocol number for `socket.socket`; 0 is right for TCP.
        flags: Flags of the answer; of no account here.
        ttl: Seconds for which the answer holds. A cache keeps no answer for longer than
            the least of them. Not in aiohttp.
    """

    hostname: str
    host: str
    port: int
    family: int
    proto: int
    flags: int
    ttl: NotRequired[float]


class AbstractResolver(ABC):
    """What looks up names for a `TCPConnector`."""

    @abstractmethod
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up a name.

        Args:
            host: A name in ASCII, never an address.
            port: Port to put into the answer.
            family: The kind of address wanted; `socket.AF_UNSPEC` for any.

        Returns:
            The addresses, the best first.

        Raises:
            OSError: The name has no address, or cannot be looked up.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of what the resolver holds. A connector does that for one of its own."""


class ThreadedResolver(AbstractResolver):
    """The system's resolver, `getaddrinfo`, in a thread of anyio's.

    It asks only for families of which this host has an address (AI_ADDRCONFIG), except for
    localhost. Cancelled, it returns at once; the thread ends when the system's call does.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up a name.

        Raises:
            OSError: `socket.gaierror`, as the system raises it.
            UnicodeError: The name has a label that is empty or longer than 63 characters.
        """
        lookup = partial(_getaddrinfo, host, port, family)
        return await anyio.to_thread.run_sync(lookup, abandon_on_cancel=True)

    async def close(self) -> None:
        """Do nothing."""


def _getaddrinfo(host: str, port: int, family: int) -> list[ResolveResult]:
    lookup = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
    try:
        found = lookup(flags=socket.AI_ADDRCONFIG)
    except socket.gaierror:
        if host.rstrip(".").lower() != "localhost":
            raise
        # Without a network Windows finds no address of this kind, not even the loopback.
        found = lookup()
    return [
        ResolveResult(
            hostname=host,
            host=_address_text(sockaddr),
            port=port,
            family=found_family,
            proto=proto,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for found_family, _, proto, _, sockaddr in found
        if found_family in _FAMILIES
    ]


_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6})


def _address_text(sockaddr: Any) -> str:
    """Return the address, with the zone without which a link-local one leads nowhere."""
    if len(sockaddr) == 4 and sockaddr[3]:
        return socket.getnameinfo(sockaddr, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
    return str(sockaddr[0])


class AsyncResolver(AbstractResolver):
    """c-ares through the package aiodns; asyncio only.

    It is bound to the event loop in which it looks up its first name. Close it after use:
    it has sockets and a thread.

    Args:
        *args: For `aiodns.DNSResolver`.
        **kwargs: The same, such as `nameservers=["192.0.2.53"]`.

    Raises:
        RuntimeError: aiodns is not installed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not _has_aiodns():
            raise RuntimeError("AsyncResolver needs the package aiodns")
        self._options: Final = (args, kwargs)
        self._resolver: Any = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up a name.

        Raises:
            OSError: The name cannot be looked up.
            RuntimeError: The event loop is not asyncio's.
        """
        resolver = self._bound()
        try:
            found = await resolver.getaddrinfo(
                host, port=port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
            )
        except import_module("aiodns").error.DNSError as exc:
            text = exc.args[1] if len(exc.args) > 1 else "the lookup failed"
            raise socket.gaierror(socket.EAI_NONAME, text) from exc
        return [
            ResolveResult(
                hostname=host,
                host=_ares_address(node.addr),
                port=port,
                family=node.family,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for node in found.nodes
        ]

    async def close(self) -> None:
        """Close what was opened."""
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            await resolver.close()

    def _bound(self) -> Any:
        if self._resolver is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                text = "AsyncResolver needs asyncio: aiodns knows no other event loop"
                raise RuntimeError(text) from None
            args, kwargs = self._options
            self._resolver = import_module("aiodns").DNSResolver(*args, loop=loop, **kwargs)
        return self._resolver


def _has_aiodns() -> bool:
    return importlib.util.find_spec("aiodns") is not None


def _ares_address(addr: Any) -> str:
    text = addr[0].decode("ascii") if isinstance(addr[0], bytes) else addr[0]
    if len(addr) == 4 and addr[3]:
        return _address_text((text, *addr[1:]))
    return str(text)


class DefaultResolver(AbstractResolver):
    """`AsyncResolver` on asyncio if aiodns is installed, else `ThreadedResolver`."""

    def __init__(self) -> None:
        self._chosen: AbstractResolver | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up a name.

        Raises:
            OSError: The name cannot be looked up.
            UnicodeError: As for `ThreadedResolver`.
        """
        if self._chosen is None:
            self._chosen = _choose()
        return await self._chosen.resolve(host, port, family)

    async def close(self) -> None:
        """Close the resolver that was chosen."""
        if self._chosen is not None:
            await self._chosen.close()


def _choose() -> AbstractResolver:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return ThreadedResolver()
    return AsyncResolver() if _has_aiodns() else ThreadedResolver()


class HostsResolver(AbstractResolver):
    """Names with fixed addresses, as in /etc/hosts. Not in aiohttp.

    Args:
        mapping: Addresses by name: one as text, or several. Names are in ASCII; case and
            a trailing dot do not matter.
        fallback: Looks up all other names, and is closed with this one. Unless given,
            they have no address.

    Raises:
        ValueError: What is to be an address is none.
    """

    def __init__(
        self,
        mapping: Mapping[str, str | Iterable[str]],
        fallback: AbstractResolver | None = None,
    ) -> None:
        self._hosts: Final = {_folded(name): _addresses(to) for name, to in mapping.items()}
        self._fallback = fallback

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up a name.

        Raises:
            OSError: The name has no address of that family, or the fallback failed.
        """
        addresses = self._hosts.get(_folded(host))
        if addresses is None and self._fallback is not None:
            return await self._fallback.resolve(host, port, family)
        found = [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=found_family,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address, found_family in addresses or ()
            if family in (socket.AF_UNSPEC, found_family)
        ]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address in the hosts given")
        return found

    async def close(self) -> None:
        """Close the fallback."""
        if self._fallback is not None:
            await self._fallback.close()


def _folded(name: str) -> str:
    return name.rstrip(".").lower()


def _addresses(to: str | Iterable[str]) -> list[tuple[str, socket.AddressFamily]]:
    texts = [to] if isinstance(to, str) else list(to)
    return [
        (text, socket.AF_INET if ipaddress.ip_address(text).version == 4 else socket.AF_INET6)
        for text in texts
    ]
