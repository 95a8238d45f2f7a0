"""Sites: where a runner listens."""

from __future__ import annotations

import socket
import ssl
from typing import Any, Final

import anyio
from yarl import URL

from httpcore_proto.aio import Listener

from ._runner import AppRunner

_DEFAULT_PORT: Final = 8080
_DEFAULT_TLS_PORT: Final = 8443


class TCPSite:
    """Listens on TCP.

    Args:
        runner: After its `setup`.
        host: Name or address; all interfaces, IPv4 and IPv6, unless given.
        port: 8080, or 8443 with TLS, unless given; 0 for any that is free.
        ssl_context: Speak TLS by this context.
        backlog: Connections that the kernel keeps before they are accepted.
        reuse_address: Take a port that old connections linger on; on unless this is
            Windows, where it would let others take ours.
        reuse_port: Share the port with other processes that set it too.

    Raises:
        RuntimeError: The runner is not set up.
    """

    def __init__(
        self,
        runner: AppRunner,
        host: str | None = None,
        port: int | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = 128,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
    ) -> None:
        self._make_receiver = runner.make_receiver
        self._runner = runner
        self._host = host
        self._port = (
            port
            if port is not None
            else (_DEFAULT_PORT if ssl_context is None else _DEFAULT_TLS_PORT)
        )
        self._ssl_context = ssl_context
        self._backlog = backlog
        self._reuse_address = reuse_address
        self._reuse_port = reuse_port
        self._listeners: list[Listener] = []

    @property
    def name(self) -> str:
        """The URL of the site."""
        scheme = "http" if self._ssl_context is None else "https"
        return str(URL.build(scheme=scheme, host=self._host or "0.0.0.0", port=self.port))

    @property
    def port(self) -> int:
        """The port, the real one once listening."""
        return int(self.sockname[1]) if self._listeners else self._port

    @property
    def sockname(self) -> Any:
        """The first address that is listened on.

        Raises:
            RuntimeError: Before `start`.
        """
        if not self._listeners:
            raise RuntimeError("the site does not listen")
        return self._listeners[0].sockname

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: An address cannot be had.
            RuntimeError: The site was started.
        """
        if self._listeners:
            raise RuntimeError("the site was started")
        infos = await anyio.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        port = self._port
        runtime = self._runner.server.runtime
        try:
            # The same address may come twice, for several protocols.
            for family, address in dict.fromkeys((info[0], info[4]) for info in infos):
                # With port 0 the first address decides about all of them.
                sock = self._bind(family, (address[0], port, *address[2:]))
                listener = await runtime.listen(
                    self._make_receiver, sock, ssl=self._ssl_context, backlog=self._backlog
                )
                self._listeners.append(listener)
                port = listener.sockname[1]
        except BaseException:
            await self._close()
            raise
        self._runner.add_site(self)

    def _bind(self, family: int, address: tuple[Any, ...]) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            reuse = self._reuse_address
            if reuse or (reuse is None and hasattr(socket, "SO_REUSEPORT")):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                # IPv4 has a socket of its own.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
        except BaseException:
            sock.close()
            raise
        return sock

    async def stop(self) -> None:
        """Stop listening; connections live on."""
        if self._listeners:
            await self._close()
            self._runner.remove_site(self)

    async def _close(self) -> None:
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            await listener.aclose()
