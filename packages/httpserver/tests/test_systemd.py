from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from httpserver._systemd import adopt_socket, listen_sockets, notify


@pytest.fixture
def first_fd(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the number of a socket that stands where systemd puts the first one."""
    fd = socket.create_server(("127.0.0.1", 0)).detach()
    monkeypatch.setattr("httpserver._systemd._FIRST_FD", fd)
    return fd


def test_sockets_are_taken_once(first_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_FDNAMES", "http")

    (sock,) = listen_sockets()

    with sock:
        assert (sock.fileno(), sock.gettimeout()) == (first_fd, 0.0)
        assert not sock.get_inheritable()
        assert not {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} & os.environ.keys()
        assert listen_sockets() == []


@pytest.mark.parametrize(
    ("pid", "count"), [(None, "1"), ("1", "1"), ("", "1"), ("ours", None), ("ours", "")]
)
def test_sockets_of_others_are_left_alone(
    pid: str | None, count: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LISTEN_PID", pid), ("LISTEN_FDS", count)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, str(os.getpid()) if value == "ours" else value)

    assert listen_sockets() == []


@pytest.mark.parametrize("count", ["x", "-1", "1.0", "²"])
def test_count_that_is_none_is_refused(count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", count)

    with pytest.raises(ValueError, match="LISTEN_FDS is"):
        listen_sockets()


def test_what_is_no_socket_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(OSError, match="socket"):
        adopt_socket(file.fileno())


@pytest.mark.parametrize("abstract", [False, True])
def test_state_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    name = f"httpserver-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.bind(f"\0{name}" if abstract else str(tmp_path / name))
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else str(tmp_path / name))
        assert notify("READY=1")
        assert sock.recv(100) == b"READY=1"


@pytest.mark.parametrize("path", [None, "", "vsock:1:2", "relative", "/nobody/is/there"])
def test_nobody_to_tell_is_no_error(path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if path is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", path)

    assert not notify("READY=1")
