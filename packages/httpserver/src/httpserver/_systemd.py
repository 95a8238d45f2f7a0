"""What systemd asks of a service: sockets that it hands over, and news of its state.

The protocols of sd_listen_fds(3) and sd_notify(3), which other supervisors speak as well.
"""

from __future__ import annotations

import os
import socket
from typing import Final

# SD_LISTEN_FDS_START in sd_listen_fds(3).
_FIRST_FD: Final = 3


def listen_sockets() -> list[socket.socket]:
    """Return the sockets that were handed over to this process; none a second time.

    The variables LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES are removed, so that no child
    takes the sockets for its own.

    Raises:
        ValueError: LISTEN_FDS is no number.
        OSError: What was handed over is no socket.
    """
    pid = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count:
        return []
    if not (count.isascii() and count.isdigit()):
        raise ValueError(f"LISTEN_FDS is {count!r}, expected a number of sockets")
    return [adopt_socket(fd) for fd in range(_FIRST_FD, _FIRST_FD + int(count))]


def adopt_socket(fd: int) -> socket.socket:
    """Return the socket that a file descriptor is; children do not inherit it.

    Raises:
        OSError: It is no socket, or not open.
    """
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    sock.set_inheritable(False)
    return sock


def notify(state: str) -> bool:
    """Tell the service manager our state, if there is one.

    Args:
        state: Lines such as "READY=1" or "STOPPING=1", as in sd_notify(3).

    Returns:
        Whether it was told. That nobody listens is no error: the service runs all the same.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    # "@" stands for the NUL of Linux's abstract namespace; vsock: is for virtual machines.
    if path[:1] not in ("/", "@"):
        return False
    address = f"\0{path[1:]}" if path[0] == "@" else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return False
    return True
