"""Sockets and their addresses, below links and event loops."""

from __future__ import annotations

import errno
import ipaddress
import os
import select
import socket
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio

if TYPE_CHECKING:
    from httpcore_proto.aio import Link

#: Arguments for `socket.socket`, a name that is always empty, and the address, as
#: `socket.getaddrinfo` gives them.
AddrInfoType: TypeAlias = tuple[
    socket.AddressFamily | int,
    socket.SocketKind | int,
    int,
    str,
    tuple[str, int] | tuple[str, int, int, int],
]

_IN_PROGRESS: Final = frozenset(
    {errno.EINPROGRESS, errno.EINTR, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}
)


async def connect_socket(sock: socket.socket, address: Any) -> None:
    """Connect a socket, without blocking; it is left to the caller if that fails.

    Raises:
        OSError: It cannot be connected.
    """
    sock.setblocking(False)
    code = sock.connect_ex(address)
    if code in _IN_PROGRESS:
        await anyio.wait_writable(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        where = address if isinstance(address, str) else f"{address[0]} port {address[1]}"
        raise OSError(code, f"{os.strerror(code)}: {where}")


def is_address(host: str) -> bool:
    """Whether a host is an address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def addr_info(host: str, port: int) -> AddrInfoType:
    """Return what to connect to for an address."""
    if ":" not in host:
        return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)
    sockaddr: tuple[Any, ...] = (host, port, 0, 0)
    if "%" in host:
        # The zone's name becomes a number; looks up nothing (RFC 4007).
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        *_, sockaddr = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)[0]
    return (
        socket.AF_INET6,
        socket.SOCK_STREAM,
        socket.IPPROTO_TCP,
        "",
        (sockaddr[0], sockaddr[1], sockaddr[2], sockaddr[3]),
    )


def is_readable(link: Link) -> bool:
    """Whether something arrived on a link that nobody reads: unasked bytes, or the end."""
    sock = link.info("socket")
    if sock is None:
        return link.closing  # in memory, where the end is told in the call in which it comes
    if sock.fileno() < 0:
        return True
    if hasattr(select, "poll"):
        # select() cannot look at descriptors above 1023.
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])
