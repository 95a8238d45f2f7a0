"""A server that runs a script of exact bytes for each connection."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Self, TypeAlias

import anyio
from anyio.abc import ByteStream, SocketAttribute

from ._raw_peer import GONE, PATIENCE, PeerGoneError, RawPeer, wrap_tls

#: What a `RawServer` does with a connection.
Script: TypeAlias = Callable[[RawPeer], Awaitable[object]]


class RawServer:
    """Listens on the loopback, and runs a script for each connection.

    When a script returns, its connection stays open until the other side closes or the
    context is left: call `peer.close()` for another end. A script ends in silence when its
    peer is gone (`PeerGoneError`), as clients may leave when they like. Any other error of
    a script cancels what runs in the context and is raised from there.

    Args:
        script: Called with the peer of each connection, in a task of its own.
        host: Address to listen on.
        port: TCP port; 0 for one that is free.
        tls: Context of a server; None for no TLS.
        patience: Seconds that each wait of a peer may take.

    Attributes:
        accepted: How many connections there were, those without a handshake included.
        heads: The heads that scripts received, in order.
        handshake_errors: Why TLS failed, where it did.
        port: TCP port, once entered.
    """

    def __init__(
        self,
        script: Script,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._script = script
        self._host = host
        self._tls = tls
        self._patience = patience
        self._errors: list[BaseException] = []
        self._running: AbstractAsyncContextManager[None] | None = None
        self.accepted: int = 0
        self.heads: list[bytes] = []
        self.handshake_errors: list[Exception] = []
        self.port: int = port

    @property
    def url(self) -> str:
        """Its URL, with a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self.port}/"

    async def __aenter__(self) -> Self:
        self._running = self._run()
        await self._running.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._running is not None
        return await self._running.__aexit__(exc_type, exc, traceback)

    def make_peer(self, stream: ByteStream, number: int) -> RawPeer:
        """Return the peer for a connection; kinds of servers with other peers override it."""
        return RawPeer(stream, patience=self._patience, number=number, heads=self.heads)

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        listener = await anyio.create_tcp_listener(local_host=self._host, local_port=self.port)
        self.port = listener.extra(SocketAttribute.local_port)
        failure: BaseException | None = None
        # All else is caught: what test runners raise at `fail` is no `Exception`.
        cancelled = anyio.get_cancelled_exc_class()
        async with listener, anyio.create_task_group() as tasks:

            async def serve(stream: ByteStream) -> None:
                try:
                    await self._serve(stream)
                except cancelled:
                    raise
                except BaseException as exc:
                    self._errors.append(exc)
                    tasks.cancel_scope.cancel()

            tasks.start_soon(listener.serve, serve)
            try:
                yield
            except cancelled:
                raise
            except BaseException as exc:
                failure = exc  # a task group would wrap it
            tasks.cancel_scope.cancel()
        errors, self._errors = self._errors, []
        if len(errors) > 1:
            raise BaseExceptionGroup("several scripts failed", errors) from failure
        if errors:
            raise errors[0] from failure
        if failure is not None:
            raise failure

    async def _serve(self, stream: ByteStream) -> None:
        number = self.accepted
        self.accepted += 1
        if self._tls is not None:
            try:
                stream = await wrap_tls(stream, self._tls)
            except (*GONE, anyio.EndOfStream) as exc:
                self.handshake_errors.append(exc)
                return
        peer = self.make_peer(stream, number)
        try:
            await self._script(peer)
            peer.patience = float("inf")
            try:
                await peer.closed()
            except anyio.ClosedResourceError:
                pass  # the script itself has closed it
        except PeerGoneError:
            pass  # clients may leave when they like
        finally:
            await peer.close()
