"""Connecting over TCP: look up, race the addresses, speak TLS.

The sockets are ours until they are connected. So the address policy, the local address,
`socket_factory` and the fingerprint are about the very address that is connected to, the
same on every event loop.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl as ssl_module
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from ._errors import ServerFingerprintMismatch
from ._racing import Race, interleave
from ._resolver import ResolveResult
from ._sockets import AddrInfoType, addr_info, connect_socket, is_address

if TYPE_CHECKING:
    from httpcore_proto.aio import Link, Receiver, Runtime

    from ._address_policy import AddressPolicy
    from ._dns_cache import Lookups
    from ._fingerprint import Fingerprint
    from ._tracing import Traces

#: Makes the socket to connect with, from an address.
SocketFactoryType: TypeAlias = Callable[[AddrInfoType], socket.socket]

# RFC 8305 section 8: the recommended delay between two connection attempts, in seconds.
HAPPY_EYEBALLS_DELAY: Final = 0.25

_IP: Final = frozenset({socket.AF_INET, socket.AF_INET6})


class Dialer:
    """Makes links over TCP.

    Args:
        runtime: Gives the runtime that the links belong to.
        lookups: What knows the addresses of names.
        local_addr: Address and port to connect from, the address as text; None for any.
        happy_eyeballs_delay: Seconds before the next address is tried as well (RFC 8305);
            None to try one after the other.
        first_count: How many addresses of the preferred family are tried before the
            families take turns; 0 to leave the order of the resolver.
        socket_factory: Makes the sockets; None for `socket.socket`.
        address_policy: Which addresses may be connected to; None for all.
    """

    def __init__(
        self,
        runtime: Callable[[], Runtime],
        lookups: Lookups,
        *,
        local_addr: tuple[str, int] | None = None,
        happy_eyeballs_delay: float | None = HAPPY_EYEBALLS_DELAY,
        first_count: int = 1,
        socket_factory: SocketFactoryType | None = None,
        address_policy: AddressPolicy | None = None,
    ) -> None:
        self._runtime = runtime
        self._lookups = lookups
        self._local_addr = local_addr
        self._delay = happy_eyeballs_delay
        self._first_count = first_count
        self._socket_factory = socket_factory
        self._policy = address_policy

    async def connect(
        self,
        receiver: Receiver,
        host: str,
        port: int,
        *,
        context: ssl_module.SSLContext | None = None,
        server_hostname: str | None = None,
        traces: Traces | None = None,
        fingerprint: Fingerprint | None = None,
    ) -> Link:
        """Look up a host, connect to one of its addresses, and speak TLS if asked to.

        An address at which TLS fails is given up, and the others are tried. Cancelled or
        after an error, nothing is left open, and the receiver was not called.

        Args:
            receiver: Whose link it is to be.
            host: A name in ASCII, or an address without brackets.
            port: TCP port.
            context: Context of a client; None for no TLS.
            server_hostname: Name for SNI and the certificate; `host` unless given.
            traces: Told of the lookup.
            fingerprint: What the certificate has to be.

        Raises:
            socket.gaierror: The name cannot be looked up.
            RefusedAddressError: The policy refuses the addresses.
            ssl.SSLError: A handshake failed.
            ServerFingerprintMismatch: The certificate is another one.
            OSError: No address can be connected to. As with the two before, it is what
                went wrong last.
        """
        addresses = await self.resolve(host, port, traces)
        name = None if context is None else server_hostname or host.rstrip(".")
        while True:
            race = Race(self._open, socket.socket.close, self._delay)
            address, sock = await race.run(addresses)
            try:
                return await self._link(receiver, sock, context, name, fingerprint)
            except (OSError, ServerFingerprintMismatch):
                failed = {address, *race.failed}
                addresses = [address for address in addresses if address not in failed]
                if not addresses:
                    raise

    async def resolve(
        self, host: str, port: int, traces: Traces | None = None
    ) -> list[AddrInfoType]:
        """Return the addresses of a host in the order in which to try them.

        An address is returned as it is, without a lookup.

        Raises:
            socket.gaierror: The name cannot be looked up, or the resolver gave as an
                address what is none.
        """
        if is_address(host):
            return [addr_info(host, port)]
        if host.endswith(".."):
            host = host.rstrip(".") + "."
        found = await self._lookups.addresses(host, port, traces)
        addresses = list(dict.fromkeys(_checked_addr_info(result, port) for result in found))
        return interleave(addresses, self._first_count) if self._first_count else addresses

    async def _open(self, address: AddrInfoType) -> socket.socket:
        """Make a socket and connect it."""
        family, kind, proto, _, sockaddr = address
        if self._policy is not None:
            self._policy.check(ipaddress.ip_address(sockaddr[0]), sockaddr[1])
        if self._socket_factory is None:
            sock = socket.socket(family, kind, proto)
        else:
            sock = self._socket_factory(address)
        try:
            if sock.family in _IP:
                # What is written in two pieces would wait for the acknowledgement of the first.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._local_addr is not None:
                self._bind(sock, self._local_addr)
            await connect_socket(sock, sockaddr)
        except BaseException:
            sock.close()
            raise
        return sock

    def _bind(self, sock: socket.socket, local_addr: tuple[str, int]) -> None:
        if (sock.family == socket.AF_INET6) != (":" in local_addr[0]):
            raise OSError(
                errno.EADDRNOTAVAIL, f"local_addr {local_addr[0]} is of another address family"
            )
        sock.bind(local_addr)

    async def _link(
        self,
        receiver: Receiver,
        sock: socket.socket,
        context: ssl_module.SSLContext | None,
        name: str | None,
        fingerprint: Fingerprint | None,
    ) -> Link:
        connect = self._runtime().connect_sock
        if context is None or fingerprint is None:
            return await connect(receiver, sock, ssl=context, server_hostname=name)
        held = _Held()
        link = await connect(held, sock, ssl=context, server_hostname=name)
        try:
            fingerprint.check(link)
        except ServerFingerprintMismatch:
            link.abort()
            raise
        link.hand_over(receiver)
        held.replay(receiver)
        return link


class _Held:
    """Keeps what a link says until it is known whether it is the right one."""

    def __init__(self) -> None:
        self._calls: list[Callable[[Receiver], None]] = []

    def link_made(self, link: Link) -> None:
        """There is nobody to tell yet; who gets the link hears it from `hand_over`."""

    def bytes_received(self, data: bytes) -> None:
        self._calls.append(lambda receiver: receiver.bytes_received(data))

    def eof_received(self) -> None:
        self._calls.append(lambda receiver: receiver.eof_received())

    def link_lost(self, exc: Exception | None) -> None:
        self._calls.append(lambda receiver: receiver.link_lost(exc))

    def replay(self, receiver: Receiver) -> None:
        """Say it all to the receiver."""
        for call in self._calls:
            call(receiver)


def _checked_addr_info(result: ResolveResult, port: int) -> AddrInfoType:
    # The operating system would look up a name right here, and block.
    if not is_address(result["host"]):
        raise socket.gaierror(
            socket.EAI_NONAME, f"the resolver gave {result['host']!r}, which is no address"
        )
    return addr_info(result["host"], port)
