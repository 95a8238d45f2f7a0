"""A WebSocket whose peer is a test: it sends octets, and sees every frame."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple, Protocol

import anyio
import pytest
import trustme
from anyio.abc import ByteStream

from httpcore_proto import encode_masked_frame, mask_octets
from httpcore_proto.aio import Link, LinkLostError, current_runtime, memory_link_pair
from httpcore_testing import RawPeer, RawServer
from wsproto_async import Deflate, Role, WebSocket, WebSocketConnection

# A test that hangs shall say where, before pytest ends it from outside.
PATIENCE = 10.0


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
        pytest.param(("trio", {}), id="trio"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Each asynchronous test runs on all event loops."""
    return request.param


class Frame(NamedTuple):
    """A frame as it came.

    Attributes:
        first: FIN, reserved bits and opcode.
        payload: Unmasked.
    """

    first: int
    payload: bytes


def close_frame(code: int, reason: bytes = b"") -> Frame:
    """Return a close frame."""
    return Frame(0x88, code.to_bytes(2, "big") + reason)


class Far:
    """The far end of a link in memory.

    Attributes:
        link: Its link.
        eof: Whether the near end half-closed.
        lost: Whether the link is lost.
    """

    link: Link

    def __init__(self, near: Role) -> None:
        self._masks = near is Role.SERVER
        self._data = b""
        self.eof = False
        self.lost = False

    def link_made(self, link: Link) -> None:
        self.link = link

    def bytes_received(self, data: bytes) -> None:
        self._data += data

    def eof_received(self) -> None:
        self.eof = True

    def link_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def encode(self, first: int, payload: bytes = b"") -> bytes:
        """Return a frame for the near end."""
        if self._masks:
            return encode_masked_frame(first, b"\x01\x80\xfe\x37", payload)
        size = len(payload)
        if size < 126:
            return bytes([first, size]) + payload
        if size < 65536:
            return bytes([first, 126]) + size.to_bytes(2, "big") + payload
        return bytes([first, 127]) + size.to_bytes(8, "big") + payload

    async def send(self, *frames: tuple[int, bytes]) -> None:
        """Send frames in one write; they are delivered when this returns."""
        await self.write(b"".join(self.encode(*frame) for frame in frames))

    async def write(self, data: bytes) -> None:
        """Send octets."""
        self.link.write(data)
        try:
            await self.link.drain()
        except LinkLostError:
            pass  # the near end has seen them, and closed

    async def frame(self) -> Frame:
        """Return the next frame of the near end."""
        head = await self._take(2)
        size = head[1] & 0x7F
        if size >= 126:
            size = int.from_bytes(await self._take(2 if size == 126 else 8), "big")
        if head[1] & 0x80:
            key = await self._take(4)
            return Frame(head[0], mask_octets(await self._take(size), key))
        return Frame(head[0], await self._take(size))

    async def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            assert not self.lost, f"the link was lost behind {self._data!r}"
            with anyio.fail_after(PATIENCE):
                await self.link.more()
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    async def end(self) -> bytes:
        """Wait for the end of the link; return what was not taken."""
        with anyio.fail_after(PATIENCE):
            while not (self.lost or self.eof):
                await self.link.more()
        return self._data


class MakePair(Protocol):
    """What the fixture `pair` gives."""

    def __call__(
        self,
        near: Role = ...,
        *,
        kind: type[WebSocket] = ...,
        runtime: Any = ...,
        deflate: Deflate | None = ...,
        decode_text: bool = ...,
        max_msg_size: int = ...,
        trailing: bytes = ...,
        eof: bool = ...,
        **options: Any,
    ) -> tuple[WebSocket, Far]: ...


@pytest.fixture
async def pair() -> AsyncIterator[MakePair]:
    """Return what makes a WebSocket over a link in memory, with its far end."""
    own_runtime = current_runtime()

    def make(
        near: Role = Role.SERVER,
        *,
        kind: type[WebSocket] = WebSocket,
        runtime: Any = None,
        deflate: Deflate | None = None,
        decode_text: bool = True,
        max_msg_size: int = 4 * 1024 * 1024,
        trailing: bytes = b"",
        eof: bool = False,
        **options: Any,
    ) -> tuple[WebSocket, Far]:
        machine = WebSocketConnection(
            near, deflate=deflate, decode_text=decode_text, max_msg_size=max_msg_size
        )
        ws = kind(machine, runtime=runtime or own_runtime, **options)
        far = Far(near)
        link, _ = memory_link_pair(Far(near), far, facts={"peername": ("192.0.2.1", 80)})
        link.hand_over(ws)
        ws.start(trailing, eof)
        return ws, far

    async with own_runtime:
        yield make


class Peer:
    """The server's end of a connection over a socket."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.data = b""

    async def until(self, mark: bytes) -> bytes:
        """Return what comes up to and with `mark`."""
        while mark not in self.data:
            self.data += await self.stream.receive()
        end = self.data.index(mark) + len(mark)
        taken, self.data = self.data[:end], self.data[end:]
        return taken


RunServer = Callable[..., AbstractAsyncContextManager[int]]


@pytest.fixture
def raw_server() -> RunServer:
    """Return a context manager that runs `script(peer)` for each connection; gives the port."""

    @asynccontextmanager
    async def run(script: Callable[[Peer], Any]) -> AsyncIterator[int]:
        async def play(peer: RawPeer) -> None:
            try:
                await script(Peer(peer.stream))
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
            await peer.close()

        with anyio.fail_after(PATIENCE):
            async with RawServer(play) as server:
                yield server.port

    return run


@pytest.fixture(scope="session")
def certificate_authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    certificate_authority.configure_trust(context)
    return context
