"""Our WebSockets and those of the library websockets, which runs in threads beside the loop."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as their_connect
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as their_serve

from wsproto_async import Deflate, WebSocket, WSMsgType, connect, serve

_PATIENCE = 10.0

TheirHandler = Callable[[ServerConnection], None]

_NOISE = random.Random(6).randbytes(300_000)
#: Each length of a frame's head, both types, what compresses well and what does not.
MESSAGES: list[str | bytes] = [
    "",
    "Hello",
    "Grüße, 世界, \U0001f388, \0",
    "a" * 125,
    "a" * 126,
    "b" * 65535,
    "c" * 65536,
    "Hello" * 100_000,
    b"",
    bytes(range(256)),
    _NOISE,
    _NOISE[:126],
    b"\0" * 65536,
]

#: What websockets is told, and what ours is.
COMPRESSIONS = [
    pytest.param({"compression": None}, False, id="plain"),
    pytest.param({"compression": None}, True, id="declined"),
    pytest.param({"compression": "deflate"}, False, id="not-offered"),
    pytest.param({"compression": "deflate"}, True, id="deflate"),
    pytest.param(
        {"compression": "deflate"},
        Deflate(server_no_context_takeover=True, client_no_context_takeover=True),
        id="no-takeover",
    ),
    pytest.param(
        {"compression": "deflate"},
        Deflate(server_max_window_bits=9, client_max_window_bits=9),
        id="window-bits",
    ),
]


@contextlib.contextmanager
def running(handler: TheirHandler, **options: Any) -> Iterator[str]:
    """Run their server; give its URL."""
    with their_serve(handler, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        finally:
            server.shutdown()
            thread.join(_PATIENCE)


def echo(ws: ServerConnection) -> None:
    for message in ws:
        ws.send(message)


async def our_echo(ws: WebSocket) -> None:
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        else:
            await ws.send_bytes(message.data)


async def use(url: str, talk: Callable[[ClientConnection], Any], **options: Any) -> Any:
    """Connect with their client, in a thread, and return what `talk` makes of it."""

    def client() -> Any:
        with their_connect(url, proxy=None, close_timeout=_PATIENCE, **options) as ws:
            return talk(ws)

    with anyio.fail_after(_PATIENCE):
        return await anyio.to_thread.run_sync(client)


@pytest.mark.parametrize(("theirs", "ours"), COMPRESSIONS)
async def test_our_client_is_echoed(theirs: dict[str, Any], ours: Deflate | bool) -> None:
    with running(echo, **theirs) as url:
        async with connect(url, compress=ours) as ws:
            assert bool(ws.compress) == (theirs["compression"] == "deflate" and bool(ours))
            for message in MESSAGES:
                await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
                assert (await ws.receive(_PATIENCE)).data == message


@pytest.mark.parametrize(("theirs", "ours"), COMPRESSIONS)
async def test_our_server_echoes(theirs: dict[str, Any], ours: Deflate | bool) -> None:
    def talk(ws: ClientConnection) -> list[Any]:
        received = []
        for message in MESSAGES:
            ws.send(message)
            received.append(ws.recv(_PATIENCE))
        return received

    async with serve(our_echo, "127.0.0.1", compress=ours) as server:
        assert await use(f"ws://127.0.0.1:{server.port}/", talk, **theirs) == MESSAGES


PARAMETERS = [
    {"server_no_context_takeover": True},
    {"client_no_context_takeover": True},
    {"server_max_window_bits": 9},
    {"client_max_window_bits": 10},
    {
        "server_no_context_takeover": True,
        "client_no_context_takeover": True,
        "server_max_window_bits": 12,
        "client_max_window_bits": 12,
    },
]


@pytest.mark.parametrize("parameters", PARAMETERS, ids=" ".join)
async def test_parameters_that_their_server_demands(parameters: dict[str, Any]) -> None:
    extensions = [ServerPerMessageDeflateFactory(**parameters)]
    # It refuses to demand bits that the client did not offer.
    offer = Deflate(client_max_window_bits=15)
    with running(echo, extensions=extensions, compression=None) as url:
        async with connect(url, compress=offer) as ws:
            assert ws.compress == parameters.get("client_max_window_bits", 15)
            for _ in range(3):
                await ws.send_str("again " * 10_000)
                assert await ws.receive_str(timeout=_PATIENCE) == "again " * 10_000


@pytest.mark.parametrize("parameters", PARAMETERS, ids=" ".join)
async def test_parameters_that_their_client_offers(parameters: dict[str, Any]) -> None:
    def talk(ws: ClientConnection) -> list[Any]:
        received = []
        for _ in range(3):
            ws.send("again " * 10_000)
            received.append(ws.recv(_PATIENCE))
        return [ws.protocol.extensions != [], *received]

    extensions = [ClientPerMessageDeflateFactory(**parameters)]
    async with serve(our_echo, "127.0.0.1") as server:
        url = f"ws://127.0.0.1:{server.port}/"
        seen = await use(url, talk, extensions=extensions, compression=None)
    assert seen == [True, *["again " * 10_000] * 3]


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "deflate"])
async def test_their_fragments(compress: bool) -> None:
    """A list is sent as a message in so many frames."""

    def in_fragments(ws: ServerConnection) -> None:
        for message in ws:
            ws.send(["Grü", "", "ße, ", message])
            ws.send([b"\0\1", b"", _NOISE, b"\2"])

    with running(in_fragments) as url:
        async with connect(url, compress=compress) as ws:
            await ws.send_str("Welt")
            assert await ws.receive_str(timeout=_PATIENCE) == "Grüße, Welt"
            assert await ws.receive_bytes(timeout=_PATIENCE) == b"\0\1" + _NOISE + b"\2"


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "deflate"])
async def test_our_fragments(compress: bool) -> None:
    with running(echo) as url:
        async with connect(url, compress=compress) as ws:
            for piece in ("Grü", "", "ße"):
                await ws.send_fragment(piece, last=False)
            await ws.ping(b"between fragments")
            await ws.send_fragment(", Welt", last=True)
            await ws.send_fragment(_NOISE, last=False)
            await ws.send_fragment(b"", last=True)
            assert await ws.receive_str(timeout=_PATIENCE) == "Grüße, Welt"
            pieces = [piece.data async for piece in ws.fragments(_PATIENCE)]
            assert b"".join(pieces) == _NOISE


async def test_messages_that_are_not_compressed() -> None:
    """Compressed and plain messages in turn share one context."""
    with running(echo) as url:
        async with connect(url, compress=True) as ws:
            for compress in (None, 0, None, 0, None):
                await ws.send_str("again " * 1000, compress=compress)
                assert await ws.receive_str(timeout=_PATIENCE) == "again " * 1000


async def test_pings_of_both() -> None:
    pinged: list[bool] = []

    def ping(ws: ServerConnection) -> None:
        pong = ws.ping(b"are you there?")
        pinged.append(pong.wait(_PATIENCE))
        echo(ws)

    with running(ping) as url:
        async with connect(url) as ws:
            await ws.ping(b"and you?")
            await ws.send_str("behind the ping")
            assert await ws.receive_str(timeout=_PATIENCE) == "behind the ping"
            assert ws.latency is not None
    assert pinged == [True]


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "bye"), (1013, "x" * 123), (3000, "Grüße"), (4999, "")]
)
async def test_codes_and_reasons(code: int, reason: str) -> None:
    """What either side closes with comes to the other, which answers with the same code."""
    ended: list[tuple[Any, ...]] = []

    def note(ws: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            ws.recv()
        ended.append((ws.close_code, ws.close_reason))

    def close(ws: ServerConnection) -> None:
        ws.close(code, reason)
        ended.append((ws.protocol.close_rcvd.code, ws.protocol.close_rcvd_then_sent))

    with running(note) as url:
        ws = await connect(url)
        assert await ws.close(code=code, message=reason.encode())
        assert ws.close_code == code
    with running(close) as url:
        async with connect(url) as ws:
            message = await ws.receive(_PATIENCE)
            assert message == (WSMsgType.CLOSE, code, reason)
            assert ws.close_code == code
    assert ended == [(code, reason), (code, False)]


async def test_our_server_closes_their_client() -> None:
    def talk(ws: ClientConnection) -> tuple[Any, ...]:
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(_PATIENCE)
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code, caught.value.rcvd.reason

    async def close(ws: WebSocket) -> None:
        await ws.close(code=4321, message=b"enough")

    async with serve(close, "127.0.0.1") as server:
        assert await use(f"ws://127.0.0.1:{server.port}/", talk) == (4321, "enough")


async def test_limits_of_both() -> None:
    """Whose message is above the other's limit is told 1009."""

    def too_much(ws: ServerConnection) -> None:
        ws.send(b"x" * 1001)
        with contextlib.suppress(ConnectionClosed):
            ws.recv()
        codes.append(ws.close_code)

    codes: list[int | None] = []
    with running(echo, max_size=1000) as url:
        async with connect(url) as ws:
            await ws.send_bytes(b"x" * 1000)
            assert len(await ws.receive_bytes(timeout=_PATIENCE)) == 1000
            await ws.send_bytes(b"x" * 1001)
            assert (await ws.receive(_PATIENCE)).data == 1009
    with running(too_much) as url:
        async with connect(url, max_msg_size=1000) as ws:
            assert (await ws.receive(_PATIENCE)).type is WSMsgType.ERROR
            assert ws.close_code == 1009
    assert codes == [1009]


async def test_a_bomb_of_theirs_is_stopped() -> None:
    codes: list[int | None] = []

    def bomb(ws: ServerConnection) -> None:
        ws.send(b"\0" * 50_000_000)
        with contextlib.suppress(ConnectionClosed):
            ws.recv()
        codes.append(ws.close_code)

    with running(bomb) as url:
        async with connect(url, compress=True) as ws:
            assert (await ws.receive(_PATIENCE)).type is WSMsgType.ERROR
            assert ws.close_code == 1009
    assert codes == [1009]


async def test_sub_protocols() -> None:
    def tell(ws: ServerConnection) -> None:
        ws.send(ws.subprotocol or "")
        echo(ws)

    def talk(ws: ClientConnection) -> Any:
        return ws.subprotocol

    with running(tell, subprotocols=["soap", "chat"]) as url:
        async with connect(url, protocols=["other", "chat"]) as ws:
            assert ws.protocol == "chat"
            assert await ws.receive_str(timeout=_PATIENCE) == "chat"
    async with serve(our_echo, "127.0.0.1", protocols=["soap", "chat"]) as server:
        url = f"ws://127.0.0.1:{server.port}/"
        assert await use(url, talk, subprotocols=["other", "chat"]) == "chat"
