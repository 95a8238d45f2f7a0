"""Sites: where a runner listens."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final

import anyio
from yarl import URL

from httpcore_proto.aio import Listener

from ._runner import BaseRunner

_DEFAULT_PORT: Final = 8080
_DEFAULT_TLS_PORT: Final = 8443
# What asyncio and most servers ask the kernel for.
_DEFAULT_BACKLOG: Final = 128


class BaseSite(ABC):
    """Somewhere to listen.

    Args:
        runner: After its `setup`.
        ssl_context: Speak TLS by this context. SNI and ALPN are the context's matter:
            `sni_callback`, `set_alpn_protocols`.
        backlog: Connections that the kernel keeps before they are accepted.

    Raises:
        RuntimeError: The runner is not set up.
    """

    def __init__(
        self,
        runner: BaseRunner,
        *,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = _DEFAULT_BACKLOG,
    ) -> None:
        self._make_receiver = runner.make_receiver
        self._runner = runner
        self._ssl_context = ssl_context
        self._backlog = backlog
        self._listeners: list[Listener] = []

    @property
    @abstractmethod
    def name(self) -> str:
        """What to tell people, an URL."""

    @property
    def addresses(self) -> list[Any]:
        """All addresses listened on, as `socket.getsockname` tells them; none before `start`."""
        return [listener.sockname for listener in self._listeners]

    @property
    def sockname(self) -> Any:
        """The first address that is listened on.

        Raises:
            RuntimeError: Before `start`.
        """
        if not self._listeners:
            raise RuntimeError("the site does not listen")
        return self._listeners[0].sockname

    @property
    def _scheme(self) -> str:
        return "http" if self._ssl_context is None else "https"

    @abstractmethod
    async def _bind(self) -> list[socket.socket]:
        """Return bound sockets."""

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: An address cannot be had.
            RuntimeError: The site was started.
        """
        if self._listeners:
            raise RuntimeError("the site was started")
        socks = await self._bind()
        try:
            while socks:
                listener = await self._runner.server.runtime.listen(
                    self._make_receiver, socks[0], ssl=self._ssl_context, backlog=self._backlog
                )
                self._listeners.append(listener)
                del socks[0]
            self._runner.add_site(self)
        except BaseException:
            for sock in socks:
                sock.close()
            await self._close()
            raise

    async def stop(self) -> None:
        """Stop listening; connections live on. Again does nothing."""
        if self._listeners:
            await self._close()
            self._runner.remove_site(self)

    async def _close(self) -> None:
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            await listener.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class TCPSite(BaseSite):
    """Listens on TCP.

    Args:
        runner: As for `BaseSite`.
        host: Name or address; all interfaces, IPv4 and IPv6, unless given.
        port: 8080, or 8443 with TLS, unless given; 0 for any that is free.
        ssl_context: As for `BaseSite`.
        backlog: As for `BaseSite`.
        reuse_address: Take a port that old connections linger on; on unless this is
            Windows, where it would let others take ours.
        reuse_port: Share the port with other processes that set it too.

    Raises:
        RuntimeError: The runner is not set up.
    """

    def __init__(
        self,
        runner: BaseRunner,
        host: str | None = None,
        port: int | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = _DEFAULT_BACKLOG,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
    ) -> None:
        super().__init__(runner, ssl_context=ssl_context, backlog=backlog)
        self._host = host
        if port is None:
            port = _DEFAULT_PORT if ssl_context is None else _DEFAULT_TLS_PORT
        self._port = port
        self._reuse_address = reuse_address
        self._reuse_port = reuse_port

    @property
    def name(self) -> str:
        """The URL of the site."""
        return str(URL.build(scheme=self._scheme, host=self._host or "0.0.0.0", port=self.port))

    @property
    def port(self) -> int:
        """The port, the real one once listening."""
        return int(self.sockname[1]) if self._listeners else self._port

    async def _bind(self) -> list[socket.socket]:
        return await bind_tcp(
            self._host, self._port, reuse_address=self._reuse_address, reuse_port=self._reuse_port
        )


class UnixSite(BaseSite):
    """Listens on a Unix socket.

    A socket file that is left from a server that is gone is replaced; one that somebody
    listens on is not. The file is removed when the site stops, if it is still ours. Who
    may connect is a matter of the directory's and the file's permissions (umask).

    Args:
        runner: As for `BaseSite`.
        path: Of the socket file; a str that begins with a NUL is a name in Linux's
            abstract namespace.
        ssl_context: As for `BaseSite`.
        backlog: As for `BaseSite`.

    Raises:
        RuntimeError: The runner is not set up.
    """

    def __init__(
        self,
        runner: BaseRunner,
        path: str | os.PathLike[str],
        *,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = _DEFAULT_BACKLOG,
    ) -> None:
        super().__init__(runner, ssl_context=ssl_context, backlog=backlog)
        self._path = os.fspath(path)
        self._identity: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """What aiohttp calls it: `http://unix:/path:`."""
        return f"{self._scheme}://unix:{self._path}:"

    async def _bind(self) -> list[socket.socket]:
        sock = bind_unix(self._path)
        self._identity = file_identity(self._path)
        return [sock]

    async def _close(self) -> None:
        # Before the socket is closed: as long as it is open, no other file gets its inode.
        if self._identity is not None:
            remove_unix(self._path, self._identity)
            self._identity = None
        await super()._close()


class SockSite(BaseSite):
    """Listens on a socket that is there already, and closes it in the end.

    Args:
        runner: As for `BaseSite`.
        sock: A bound stream socket; whether it listens already does not matter.
        ssl_context: As for `BaseSite`.
        backlog: As for `BaseSite`.

    Raises:
        RuntimeError: The runner is not set up.
    """

    def __init__(
        self,
        runner: BaseRunner,
        sock: socket.socket,
        *,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = _DEFAULT_BACKLOG,
    ) -> None:
        super().__init__(runner, ssl_context=ssl_context, backlog=backlog)
        self._sock = sock
        self._name = name_of(self._scheme, sock.getsockname())

    @property
    def name(self) -> str:
        """The URL of the site, as that of `TCPSite` or `UnixSite`."""
        return self._name

    async def _bind(self) -> list[socket.socket]:
        self._sock.setblocking(False)
        return [self._sock]


class NamedPipeSite(BaseSite):
    """Listens on a named pipe of Windows; asyncio's proactor loop only.

    Args:
        runner: As for `BaseSite`.
        path: Of the pipe, as `\\\\.\\pipe\\name`.

    Raises:
        RuntimeError: This is not Windows, the loop is not asyncio's, or the runner is not set
            up; from `start`, the loop knows no named pipes.
    """

    def __init__(self, runner: BaseRunner, path: str) -> None:
        super().__init__(runner)
        self._path = path
        self._listen: Any = getattr(runner.server.runtime, "listen_pipe", None)
        if sys.platform != "win32" or self._listen is None:
            raise RuntimeError("named pipes need Windows and asyncio's proactor loop")

    @property
    def name(self) -> str:
        """The path of the pipe."""
        return self._path

    async def _bind(self) -> list[socket.socket]:
        return []

    async def start(self) -> None:
        """Begin to listen. As of `BaseSite`."""
        if self._listeners:
            raise RuntimeError("the site was started")
        self._listeners.append(await self._listen(self._make_receiver, self._path))
        self._runner.add_site(self)


def name_of(scheme: str, address: Any) -> str:
    """Return the URL of an address that `socket.getsockname` told."""
    if isinstance(address, tuple):
        return str(URL.build(scheme=scheme, host=address[0], port=address[1]))
    return f"{scheme}://unix:{os.fsdecode(address)}:"


async def bind_tcp(
    host: str | None,
    port: int,
    *,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
) -> list[socket.socket]:
    """Return sockets bound to all addresses of a host.

    Raises:
        OSError: An address cannot be had.
    """
    infos = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    if reuse_address is None:
        reuse_address = sys.platform != "win32"
    socks: list[socket.socket] = []
    try:
        # The same address may come twice, for several protocols.
        for family, address in dict.fromkeys((info[0], info[4]) for info in infos):
            sock = socket.socket(family, socket.SOCK_STREAM)
            socks.append(sock)
            sock.setblocking(False)
            if reuse_address:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                # IPv4 has a socket of its own.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], port, *address[2:]))
            # With port 0 the first address decides about all of them.
            port = sock.getsockname()[1]
    except BaseException:
        for sock in socks:
            sock.close()
        raise
    return socks


def bind_unix(path: str) -> socket.socket:
    """Return a socket bound to a path; a dead socket's file there is replaced.

    Raises:
        OSError: The path cannot be had, or somebody listens on it (EADDRINUSE).
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        try:
            sock.bind(path)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE or not _is_dead(path):
                raise
            Path(path).unlink(missing_ok=True)
            sock.bind(path)
    except BaseException:
        sock.close()
        raise
    return sock


def _is_dead(path: str) -> bool:
    """Whether a path is a socket that nobody listens on."""
    if path.startswith("\0") or not stat.S_ISSOCK(os.lstat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            pass  # EAGAIN: its backlog is full, so it is alive
    return False


def file_identity(path: str) -> tuple[int, int] | None:
    """Return what makes a file that file; None in the abstract namespace."""
    if path.startswith("\0"):
        return None
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def remove_unix(path: str, identity: tuple[int, int]) -> None:
    """Remove a socket file, unless somebody put another in its place."""
    try:
        if file_identity(path) == identity:
            Path(path).unlink()
    except OSError:
        pass  # gone, or not ours to remove: nothing depends on it
