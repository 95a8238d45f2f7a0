from __future__ import annotations

import errno
import os
import socket

import pytest

from httpcore_testing import get_port_socket, get_unused_port_socket, unused_port


def test_unused_port_can_be_listened_on() -> None:
    port = unused_port()

    with socket.create_server(("127.0.0.1", port)) as sock:
        assert sock.getsockname() == ("127.0.0.1", port)


def test_unused_port_socket_is_bound_to_the_host() -> None:
    with get_unused_port_socket("127.0.0.1") as sock:
        host, port = sock.getsockname()

    assert host == "127.0.0.1"
    assert port > 0


def test_unused_port_sockets_differ() -> None:
    with get_unused_port_socket("127.0.0.1") as one, get_unused_port_socket("127.0.0.1") as other:
        assert one.getsockname() != other.getsockname()


def test_port_socket_has_the_port() -> None:
    port = unused_port()

    with get_port_socket("127.0.0.1", port) as sock:
        assert sock.getsockname() == ("127.0.0.1", port)
        assert sock.family == socket.AF_INET
        assert sock.type == socket.SOCK_STREAM


def test_port_socket_of_the_other_family() -> None:
    with get_port_socket("::1", 0, socket.AF_INET6) as sock:
        assert sock.family == socket.AF_INET6
        assert sock.getsockname()[0] == "::1"


def test_port_socket_may_follow_another_at_once() -> None:
    with get_port_socket("127.0.0.1", 0) as sock:
        reuses = sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)

    assert bool(reuses) == (os.name == "posix")


def test_port_socket_that_cannot_be_bound_is_closed() -> None:
    """The socket would be told of as unclosed, which is an error here."""
    with get_unused_port_socket("127.0.0.1") as taken:
        taken.listen()
        with pytest.raises(OSError, match=f"Errno {errno.EADDRINUSE}"):
            get_port_socket(*taken.getsockname())
