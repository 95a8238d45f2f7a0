"""Ports that nobody uses, and sockets that are bound to them."""

from __future__ import annotations

import os
import socket
import sys
from typing import Final

# A closed server's connections linger in TIME_WAIT, and its port must be free again at once. On
# Windows and Cygwin the option means something else: that two may listen on one port.
_REUSES_ADDRESS: Final = os.name == "posix" and sys.platform != "cygwin"


def get_port_socket(
    host: str, port: int, family: socket.AddressFamily = socket.AF_INET
) -> socket.socket:
    """Return a TCP socket that is bound, and listens not yet.

    On POSIX it has SO_REUSEADDR.

    Args:
        host: An address of this machine, or a name of one.
        port: The port; 0 for any that is free.
        family: `socket.AF_INET` or `socket.AF_INET6`.

    Raises:
        OSError: Address or port are not to be had.
    """
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if _REUSES_ADDRESS:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def get_unused_port_socket(
    host: str, family: socket.AddressFamily = socket.AF_INET
) -> socket.socket:
    """Return a TCP socket that is bound to a free port; as `get_port_socket`.

    Args:
        host: An address of this machine, or a name of one.
        family: `socket.AF_INET` or `socket.AF_INET6`.

    Raises:
        OSError: The address is not to be had.
    """
    return get_port_socket(host, 0, family)


def unused_port() -> int:
    """Return a TCP port that is free on 127.0.0.1.

    Free now: somebody else may take it before you do. Where a socket or port 0 can be given,
    that cannot happen.
    """
    with get_unused_port_socket("127.0.0.1") as sock:
        port: int = sock.getsockname()[1]
        return port
