"""Servers at several addresses of the loopback, and a resolver that counts."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

from httpclient import AbstractResolver, ResolveResult

from .conftest import Origin, Peer, Script


@asynccontextmanager
async def serve_at(
    host: str, script: Script, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Origin]:
    """Run `script(peer)` for each connection to an address; all that is accepted counts."""
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    origin = Origin(listener.extra(SocketAttribute.local_port), "https" if tls else "http")

    async def handle(stream: ByteStream) -> None:
        number = origin.accepted
        origin.accepted += 1
        async with stream:
            try:
                if tls is not None:
                    stream = await TLSStream.wrap(
                        stream, server_side=True, ssl_context=tls, standard_compatible=False
                    )
                peer = Peer(stream, number, origin)
                await script(peer)
                await peer.closed()
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, OSError):
                pass

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield origin
        tasks.cancel_scope.cancel()


def record(address: str, host: str = "name.test", port: int = 80) -> ResolveResult:
    """Return an answer of a resolver."""
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=0,
        flags=0,
    )


class CountingResolver(AbstractResolver):
    """Gives the same addresses for every name, when the gate is open."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses or ["127.0.0.1"])
        self.asked: list[tuple[str, int, int]] = []
        self.ended = 0
        self.closed = 0
        self.error: Exception | None = None
        self.gate: anyio.Event | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append((host, port, family))
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.ended += 1
        if self.error is not None:
            raise self.error
        return [record(address, host, port) for address in self.addresses]

    async def close(self) -> None:
        self.closed += 1
