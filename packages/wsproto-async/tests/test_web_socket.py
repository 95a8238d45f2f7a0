"""The asynchronous WebSocket, against a far end that sees every octet."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from httpcore_proto import LocalProtocolError
from httpcore_proto.aio import LinkLostError
from wsproto_async import (
    WS_CLOSED_MESSAGE,
    WS_CLOSING_MESSAGE,
    Deflate,
    Role,
    WebSocket,
    WebSocketError,
    WSFragment,
    WSMessage,
    WSMessageTextBytes,
    WSMessageTypeError,
    WSMsgType,
)

from .conftest import Far, MakePair, close_frame

TEXT, BINARY = WSMsgType.TEXT, WSMsgType.BINARY
PING, PONG = WSMsgType.PING, WSMsgType.PONG
BOTH = pytest.mark.parametrize("near", Role)


def text(data: str) -> WSMessage:
    return WSMessage(TEXT, data, "")


async def answer_close(far: Far, code: int = 1000) -> None:
    """Take a close frame, answer it, and wait for the end."""
    while (await far.frame()).first != 0x88:
        pass
    await far.send(close_frame(code))
    await far.end()


# Receiving.


@BOTH
async def test_messages_are_received_in_order(pair: MakePair, near: Role) -> None:
    ws, far = pair(near)
    await far.send((0x81, b"one"), (0x82, b"\0two"), (0x01, b"th"), (0x80, b"ree"), (0x81, b""))
    assert [await ws.receive() for _ in range(4)] == [
        text("one"),
        WSMessage(BINARY, b"\0two", ""),
        text("three"),
        text(""),
    ]
    assert not ws.closed
    assert ws.close_code is None
    assert ws.exception() is None
    assert ws.role is near


async def test_receive_waits_for_what_comes(pair: MakePair) -> None:
    ws, far = pair()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(far.send, (0x81, b"late"))
        assert await ws.receive() == text("late")


async def test_what_came_behind_the_handshake_is_received(pair: MakePair) -> None:
    frame = Far(Role.SERVER).encode(0x81, b"early")
    ws, _ = pair(trailing=frame, eof=True)
    assert await ws.receive() == text("early")
    assert await ws.receive() == WS_CLOSED_MESSAGE
    assert ws.close_code == 1006


async def test_text_as_octets(pair: MakePair) -> None:
    ws, far = pair(decode_text=False)
    await far.send((0x81, b"one"), (0x81, b"[2]"))
    assert await ws.receive() == WSMessageTextBytes(TEXT, b"one", "")
    assert await ws.receive_json() == [2]


async def test_receive_by_type(pair: MakePair) -> None:
    ws, far = pair()
    await far.send((0x81, b"one"), (0x82, b"two"), (0x81, b"[3]"), (0x81, b"4"))
    assert await ws.receive_str() == "one"
    assert await ws.receive_bytes() == b"two"
    assert await ws.receive_json() == [3]
    assert await ws.receive_json(loads=lambda data: data * 2) == "44"


@pytest.mark.parametrize(
    "receive", [WebSocket.receive_str, WebSocket.receive_bytes, WebSocket.receive_json]
)
async def test_another_type_than_wanted(
    pair: MakePair, receive: Callable[[WebSocket], Awaitable[Any]]
) -> None:
    ws, far = pair()
    wrong = (0x81, b"1") if receive is WebSocket.receive_bytes else (0x82, b"1")
    await far.send(wrong, close_frame(1000))
    for name in ("TEXT" if receive is WebSocket.receive_bytes else "BINARY", "CLOSE", "CLOSED"):
        with pytest.raises(WSMessageTypeError, match=f"Received <WSMsgType.{name}:"):
            await receive(ws)


@pytest.mark.parametrize("by", ["argument", "default"])
async def test_receive_in_time(pair: MakePair, by: str) -> None:
    ws, far = pair(receive_timeout=0.01 if by == "default" else None)
    with pytest.raises(TimeoutError):
        await ws.receive(0.01 if by == "argument" else 0)
    assert not ws.closed
    assert ws.close_code is None
    await far.send((0x81, b"late"))
    assert await ws.receive_str() == "late"
    with pytest.raises(TimeoutError):
        await ws.receive_str(timeout=0.01)


async def test_cancelled_receive_loses_nothing(pair: MakePair) -> None:
    ws, far = pair()
    with anyio.move_on_after(0.01) as scope:
        await ws.receive()
    assert scope.cancelled_caught
    await far.send((0x81, b"late"))
    assert await ws.receive() == text("late")


async def test_only_one_task_receives(pair: MakePair) -> None:
    ws, far = pair()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ws.receive)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="another task is receiving"):
            await ws.receive()
        with pytest.raises(RuntimeError, match="another task is receiving"):
            await anext(ws.fragments())
        await far.send((0x81, b""))


@BOTH
async def test_iteration_ends_with_the_close_frame(pair: MakePair, near: Role) -> None:
    ws, far = pair(near)
    await far.send((0x81, b"a"), (0x81, b"b"), close_frame(4000, b"bye"), (0x81, b"never"))
    assert [message.data async for message in ws] == ["a", "b"]
    assert await far.frame() == close_frame(4000)
    assert ws.closed
    assert ws.close_code == 4000
    assert ws.exception() is None


# Control frames.


async def test_pings_are_answered_while_nobody_receives(pair: MakePair) -> None:
    """A handler that takes its time is no dead peer."""
    ws, far = pair()
    await far.send((0x81, b"work"))
    assert await ws.receive() == text("work")
    await far.send((0x89, b"1"), (0x81, b"more"), (0x89, b"2"))
    assert [await far.frame(), await far.frame()] == [(0x8A, b"1"), (0x8A, b"2")]
    assert await ws.receive() == text("more")


async def test_pongs_are_dropped_and_timed(pair: MakePair) -> None:
    ws, far = pair()
    assert ws.latency is None
    await ws.ping(b"now")
    assert await far.frame() == (0x89, b"now")
    await far.send((0x8A, b"other"))
    assert ws.latency is None
    await far.send((0x8A, b"now"))
    latency = ws.latency
    assert latency is not None
    assert 0 <= latency < 10
    await far.send((0x8A, b"now"), (0x81, b"done"))
    assert await ws.receive() == text("done")
    assert ws.latency == latency


async def test_control_frames_by_hand(pair: MakePair) -> None:
    ws, far = pair(autoping=False)
    await ws.ping()
    await ws.pong(b"unasked")
    assert [await far.frame(), await far.frame()] == [(0x89, b""), (0x8A, b"unasked")]
    await far.send((0x89, b"1"), (0x8A, b""))
    assert await ws.receive() == WSMessage(PING, b"1", "")
    assert await ws.receive() == WSMessage(PONG, b"", "")
    assert ws.latency is not None
    with pytest.raises(TimeoutError):
        await ws.receive(0.001)


@pytest.mark.parametrize("then", ["sends", "is sent to", "closes"])
async def test_flood_of_pings_of_a_peer_that_reads_nothing(pair: MakePair, then: str) -> None:
    """Pongs that wait are bounded; the last ping is answered when the peer reads again."""
    ws, far = pair()
    far.link.pause_reading()
    payload = bytes(125)
    flood = b"".join(far.encode(0x89, payload) for _ in range(1000)) + far.encode(0x89, b"last")
    for _ in range(3):
        far.link.write(flood)
        with anyio.move_on_after(0.01):
            await far.link.drain()
    far.link.resume_reading()
    frames = []
    async with anyio.create_task_group() as tasks:
        if then == "closes":
            tasks.start_soon(ws.close)
            await anyio.wait_all_tasks_blocked()
            await far.send((0x89, b"too late"), close_frame(1000))
            end = [close_frame(1000)]
        elif then == "is sent to":
            await ws.send_str("answer")
            end = [(0x81, b"answer"), (0x8A, b"last")]
        else:
            await ws._link.drain()  # as a transport does by itself
            await far.send((0x81, b"message"))
            end = [(0x8A, b"last")]
        while frames[-1:] != end[-1:]:
            frames.append(await far.frame())
    size = sum(2 + len(frame.payload) for frame in frames if frame.payload == payload)
    assert 65536 <= size <= 65536 + 256
    assert frames[-len(end) :] == end


# The queue.


async def test_full_queue_stops_reading(pair: MakePair) -> None:
    """What nobody takes stays with the peer, whose own writes have to wait then."""
    ws, far = pair(max_queue=1000)
    sent = 0

    async def flood() -> None:
        nonlocal sent
        while sent < 20_000:
            await far.send((0x82, sent.to_bytes(2, "big") + bytes(98)))
            sent += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(flood)
        await anyio.wait_all_tasks_blocked()
        # What a link in memory holds, and what the queue does.
        assert sent <= (65536 + 1000) // 106 + 2
        for number in range(20_000):
            message = await ws.receive()
            assert int.from_bytes(message.data[:2], "big") == number
    assert sent == 20_000


async def test_empty_messages_fill_the_queue_too(pair: MakePair) -> None:
    """A flood of empty messages costs memory like any other."""
    ws, far = pair(max_queue=1280)
    await far.send(*[(0x81, b"")] * 100)
    with anyio.move_on_after(0.01) as scope:
        await far.send((0x89, b"behind them"))
        await far.frame()
    assert scope.cancelled_caught
    for _ in range(100):
        assert await ws.receive() == text("")
    assert await far.frame() == (0x8A, b"behind them")


async def test_large_message_passes_a_small_queue(pair: MakePair) -> None:
    ws, far = pair(max_queue=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(far.send, (0x82, bytes(100_000)), (0x82, b"next"))
        assert len(await ws.receive_bytes()) == 100_000
        assert await ws.receive_bytes() == b"next"


async def test_end_behind_a_full_queue(pair: MakePair) -> None:
    ws, far = pair(max_queue=300)
    await far.send(*[(0x81, b"x")] * 5)
    far.link.close()
    assert [message.data async for message in ws] == ["x"] * 5
    assert ws.close_code == 1006


# Sending.


@BOTH
async def test_what_is_sent(pair: MakePair, near: Role) -> None:
    ws, far = pair(near)
    await ws.send_str("\u20ac")
    await ws.send_bytes(bytearray(b"two"))
    await ws.send_json({"a": 1})
    await ws.send_json([1], dumps=lambda data: f"<{data}>")
    await ws.send_json_bytes([1], dumps=lambda data: json.dumps(data).encode())
    await ws.send_frame(b"text", TEXT)
    await ws.send_frame(memoryview(b"binary"), BINARY)
    await ws.send_frame(b"ping", PING)
    await ws.send_frame(b"pong", PONG)
    assert [await far.frame() for _ in range(9)] == [
        (0x81, "\u20ac".encode()),
        (0x82, b"two"),
        (0x81, b'{"a": 1}'),
        (0x81, b"<[1]>"),
        (0x82, b"[1]"),
        (0x81, b"text"),
        (0x82, b"binary"),
        (0x89, b"ping"),
        (0x8A, b"pong"),
    ]


@BOTH
@pytest.mark.parametrize("size", [16383, 16384, 100_000])
async def test_sizes(pair: MakePair, near: Role, size: int) -> None:
    ws, far = pair(near)
    octets = (b"0123456789" * 10_000)[:size]
    await ws.send_bytes(octets)
    assert await far.frame() == (0x82, octets)
    await ws.send_bytes(memoryview(octets))
    assert await far.frame() == (0x82, octets)
    await ws.send_str(octets.decode())
    assert await far.frame() == (0x81, octets)


async def test_wrong_arguments_change_nothing(pair: MakePair) -> None:
    ws, far = pair()
    with pytest.raises(TypeError):
        await ws.send_str(b"octets")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await ws.send_bytes("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await ws.ping("text")  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="at most 125"):
        await ws.ping(bytes(126))
    with pytest.raises(LocalProtocolError, match="cannot be encoded"):
        await ws.send_str("\ud800")
    with pytest.raises(LocalProtocolError, match="must be UTF-8"):
        await ws.send_frame(b"\xff", TEXT)
    for opcode in (WSMsgType.CLOSE, WSMsgType.CONTINUATION, WSMsgType.CLOSED):
        with pytest.raises(LocalProtocolError, match="as a frame of its own"):
            await ws.send_frame(b"", opcode)
    for arguments in ({"code": 1006}, {"message": bytes(124)}, {"message": b"\xff"}):
        with pytest.raises(LocalProtocolError):
            await ws.close(**arguments)  # type: ignore[arg-type]
    await ws.send_str("still here")
    assert await far.frame() == (0x81, b"still here")


@pytest.mark.parametrize(
    ("compress", "first"), [(None, 0xC1), (15, 0xC1), (0, 0x81), (False, 0x81)]
)
async def test_compression_per_message(pair: MakePair, compress: int | None, first: int) -> None:
    ws, far = pair(deflate=Deflate(server_max_window_bits=12))
    assert ws.compress == 12
    await ws.send_str("a" * 100, compress)
    assert (await far.frame()).first == first
    await ws.send_bytes(b"a" * 100, compress)
    assert (await far.frame()).first == first + 1
    await ws.send_json(["a" * 100], compress)
    assert (await far.frame()).first == first
    await ws.send_frame(b"a" * 100, TEXT, compress)
    assert (await far.frame()).first == first
    await ws.send_fragment("a" * 100, last=True, compress=compress)
    assert (await far.frame()).first == first


async def test_compression_needs_an_agreement(pair: MakePair) -> None:
    ws, far = pair()
    assert ws.compress == 0
    await ws.send_str("a" * 100, compress=15)
    assert await far.frame() == (0x81, b"a" * 100)


async def test_send_waits_for_a_peer_that_does_not_read(pair: MakePair) -> None:
    ws, far = pair()
    far.link.pause_reading()
    sent = 0

    async def send() -> None:
        nonlocal sent
        while sent < 60:
            await ws.send_bytes(bytes(10_000))
            sent += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(3):  # any number of tasks may wait
            tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert sent <= 7
        far.link.resume_reading()
        for _ in range(60):
            await far.frame()


async def test_fragments_out(pair: MakePair) -> None:
    ws, far = pair()
    await ws.send_fragment("one", last=False)
    with pytest.raises(LocalProtocolError, match="a message is half sent"):
        await ws.send_str("other")
    with pytest.raises(TypeError):
        await ws.send_fragment(b"two", last=False)
    await ws.ping()
    await ws.send_fragment("", last=True)
    assert [await far.frame() for _ in range(3)] == [(0x01, b"one"), (0x89, b""), (0x80, b"")]


# Fragments in.


async def test_fragments_as_they_arrive(pair: MakePair) -> None:
    ws, far = pair()
    pieces = ws.fragments()
    await far.send((0x02, b"one"))
    assert await anext(pieces) == WSFragment(BINARY, b"one", False)
    # Not even a whole frame.
    await far.write(far.encode(0x00, b"two")[:-1])
    assert await anext(pieces) == WSFragment(BINARY, b"tw", False)
    await far.write(far.encode(0x00, b"two")[-1:])
    await far.send((0x80, b"three"))
    assert b"".join([piece.data async for piece in pieces]) == b"othree"  # type: ignore[misc]
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)


async def test_fragments_of_a_message_that_was_here(pair: MakePair) -> None:
    """Streaming begins with the messages behind those that were looked at."""
    ws, far = pair()
    await far.send((0x01, b"be"), (0x80, b"fore"))
    assert [piece async for piece in ws.fragments()] == [WSFragment(TEXT, "before", True)]
    await far.send((0x81, b"behind"))
    assert [piece async for piece in ws.fragments()] == [WSFragment(TEXT, "behind", True)]


@pytest.mark.parametrize("decode_text", [True, False])
async def test_receive_joins_fragments(pair: MakePair, decode_text: bool) -> None:
    ws, far = pair(decode_text=decode_text)
    ws.fragments()
    for first, payload in ((0x01, b"\xe2"), (0x00, b"\x82\xac"), (0x80, b"!")):
        await far.send((first, payload))
    kind = WSMessage if decode_text else WSMessageTextBytes
    data = "\u20ac!" if decode_text else "\u20ac!".encode()
    message = await ws.receive()
    assert message == (TEXT, data, "")
    assert type(message) is kind
    await far.send((0x02, b"1"))
    await far.send((0x80, b"2"))
    assert await ws.receive() == WSMessage(BINARY, b"12", "")


async def test_receive_that_is_cancelled_keeps_fragments(pair: MakePair) -> None:
    ws, far = pair()
    ws.fragments()
    await far.send((0x01, b"one"))
    with pytest.raises(TimeoutError):
        await ws.receive(0.01)
    await far.send((0x00, b"two"))
    assert await anext(ws.fragments()) == WSFragment(TEXT, "onetwo", False)


async def test_iteration_broken_off(pair: MakePair) -> None:
    ws, far = pair()
    ws.fragments()
    for first in (0x01, 0x00, 0x80, 0x81):
        await far.send((first, b"%02x" % first))
    async for piece in ws.fragments():
        assert piece == WSFragment(TEXT, "01", False)
        break
    assert await ws.receive() == text("81")


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("end", ["close", "lost"])
async def test_end_in_place_of_fragments(pair: MakePair, begun: bool, end: str) -> None:
    ws, far = pair()
    pieces = ws.fragments()
    if begun:
        await far.send((0x01, b"one"))
        assert await anext(pieces) == WSFragment(TEXT, "one", False)
    if end == "close":
        await far.send(close_frame(1001))
    else:
        far.link.close()
    with pytest.raises(WSMessageTypeError, match="CLOSE"):
        await anext(pieces)
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)
    assert ws.closed
    assert ws.close_code == (1001 if end == "close" else 1006)


async def test_fragments_are_bounded(pair: MakePair) -> None:
    """A queue full of pieces stops reading, and goes on as they are taken."""
    ws, far = pair(max_queue=1000)
    ws.fragments()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(far.send, *[(0x02, bytes(600)), *[(0x00, bytes(600))] * 500], (0x80, b""))
        assert len(await ws.receive_bytes()) == 501 * 600


# The end.


@BOTH
@pytest.mark.parametrize(("payload", "code"), [(b"", 0), (b"\x03\xe8", 1000), (b"\x0f\xa1x", 4001)])
async def test_close_frame_is_answered_in_its_turn(
    pair: MakePair, near: Role, payload: bytes, code: int
) -> None:
    """Messages before it can still be answered."""
    ws, far = pair(near)
    await far.send((0x81, b"question"), (0x88, payload))
    assert await ws.receive() == text("question")
    assert not ws.closed
    await ws.send_str("answer")
    message = await ws.receive()
    assert message == (WSMsgType.CLOSE, code, payload[2:].decode())
    assert [await far.frame(), await far.frame()] == [(0x81, b"answer"), (0x88, payload[:2])]
    assert await far.end() == b""
    assert ws.closed
    assert ws.close_code == code
    assert ws.exception() is None
    for _ in range(10):
        assert await ws.receive() == WS_CLOSED_MESSAGE
    assert not await ws.close()
    with pytest.raises(LinkLostError, match="closing transport"):
        await ws.send_str("too late")


async def test_close_frame_is_left_to_the_handler(pair: MakePair) -> None:
    ws, far = pair(autoclose=False)
    await far.send(close_frame(4000, b"bye"))
    assert await ws.receive() == WSMessage(WSMsgType.CLOSE, 4000, "bye")
    assert await ws.receive() == WS_CLOSING_MESSAGE
    assert not ws.closed
    await ws.send_str("last words")
    assert await ws.close(code=4001, message="so long")
    assert [await far.frame(), await far.frame()] == [
        (0x81, b"last words"),
        close_frame(4001, b"so long"),
    ]
    assert ws.close_code == 4000
    assert await ws.receive() == WS_CLOSED_MESSAGE


@BOTH
async def test_close(pair: MakePair, near: Role) -> None:
    ended: list[bool] = []
    ws, far = pair(near, on_end=lambda: ended.append(ws.closed))
    await far.send((0x81, b"never received"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer_close, far, 4000)
        assert await ws.close(code=3000, message="done")
        assert not await ws.close()
    assert ws.closed
    assert ws.close_code == 4000
    assert ws.exception() is None
    assert ended == [False]
    assert await ws.receive() == WS_CLOSED_MESSAGE
    for call in (ws.send_str("x"), ws.send_bytes(b"x"), ws.ping(), ws.send_fragment("", last=True)):
        with pytest.raises(LinkLostError, match="Cannot write to closing transport"):
            await call


async def test_close_drops_what_still_comes(pair: MakePair) -> None:
    """A peer in the middle of a flood is heard to its close frame, and no message kept."""
    ws, far = pair(max_queue=1000)
    await far.send(*[(0x82, bytes(100))] * 50)

    async def flood() -> None:
        assert await far.frame() == close_frame(1000)
        await far.send(*[(0x82, bytes(100)), (0x89, b"?"), (0x8A, b"")] * 1000, close_frame(1000))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(flood)
        assert await ws.close()
    assert ws.close_code == 1000
    assert ws.exception() is None
    assert await far.end() == b""


async def test_close_meets_close(pair: MakePair) -> None:
    ws, far = pair()
    await far.send(close_frame(4000))
    assert await ws.close(code=4001)
    assert await far.frame() == close_frame(4001)
    assert await far.end() == b""
    assert ws.close_code == 4000


async def test_close_within_a_message(pair: MakePair) -> None:
    ws, far = pair()
    await ws.send_fragment("half", last=False)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer_close, far)
        assert await ws.close()
    assert ws.close_code == 1000


@BOTH
async def test_close_while_another_task_receives(pair: MakePair, near: Role) -> None:
    ws, far = pair(near)
    received: list[WSMessage] = []

    async def receive() -> None:
        received.append(await ws.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(answer_close, far)
        assert await ws.close()
    assert received == [WS_CLOSING_MESSAGE if near is Role.SERVER else WS_CLOSED_MESSAGE]
    assert ws.close_code == 1000


async def test_receive_is_cancelled_while_another_task_closes(pair: MakePair) -> None:
    """Who waited with the reader goes on reading in its place."""
    ws, far = pair()
    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as receiving:
            receiving.start_soon(ws.receive)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(ws.close)
            await anyio.wait_all_tasks_blocked()
            receiving.cancel_scope.cancel()
        await answer_close(far, 4000)
    assert ws.close_code == 4000


@pytest.mark.parametrize("receiving", [False, True])
async def test_close_without_an_answer(pair: MakePair, receiving: bool) -> None:
    ws, far = pair(timeout_close=0.02)
    async with anyio.create_task_group() as tasks:
        if receiving:
            tasks.start_soon(ws.receive)
            await anyio.wait_all_tasks_blocked()
        assert await ws.close()
    assert ws.closed
    assert ws.close_code == 1006
    assert isinstance(ws.exception(), TimeoutError)
    await far.end()
    assert far.lost


async def test_close_to_a_peer_that_reads_nothing(pair: MakePair) -> None:
    """It is bounded, and the writers that wait end with it."""
    ws, far = pair(timeout_close=0.02)
    far.link.pause_reading()

    async def send() -> None:
        with pytest.raises(LinkLostError):
            while True:
                await ws.send_bytes(bytes(10_000))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert await ws.close()
    assert ws.close_code == 1006
    assert isinstance(ws.exception(), TimeoutError)


async def test_close_for_ever(pair: MakePair) -> None:
    ws, far = pair(timeout_close=None)
    with anyio.move_on_after(0.02) as scope:
        await ws.close()
    assert scope.cancelled_caught
    assert ws.closed
    assert ws.close_code == 1006
    await far.end()


async def test_close_that_meets_a_loss(pair: MakePair) -> None:
    ws, far = pair()

    async def lose() -> None:
        await far.frame()
        far.link.abort()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lose)
        assert await ws.close()
    assert ws.close_code == 1006
    assert isinstance(ws.exception(), LinkLostError)


async def test_close_that_meets_a_fault(pair: MakePair) -> None:
    ws, far = pair()

    async def fail() -> None:
        assert await far.frame() == close_frame(1000)
        await far.write(b"\xff\xff")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fail)
        assert await ws.close()
    assert ws.close_code == 1006
    assert isinstance(ws.exception(), WebSocketError)


async def test_close_behind_a_fault(pair: MakePair) -> None:
    ws, far = pair()
    await far.write(b"\xff\xff")
    assert await ws.close(code=1002)
    assert await far.frame() == close_frame(1002)
    assert isinstance(ws.exception(), WebSocketError)
    assert ws.close_code == 1006


async def test_leaving_closes(pair: MakePair) -> None:
    ws, far = pair(Role.CLIENT)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer_close, far)
        async with ws as entered:
            assert entered is ws
    assert ws.close_code == 1000


@BOTH
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\xff\xff", 1002),
        (None, 1007),
        (b"\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00\0\0\0\0", 1009),
    ],
)
async def test_violations(pair: MakePair, near: Role, sent: bytes | None, code: int) -> None:
    """The peer is told the code, and the handler raises no surprise: it gets ERROR."""
    ws, far = pair(near, max_msg_size=10)
    wrong = far.encode(0x81, b"\xff") if sent is None else sent
    if near is Role.CLIENT and code == 1009:
        wrong = far.encode(0x82, bytes(11))
    await far.write(far.encode(0x81, b"before") + wrong + far.encode(0x81, b"behind"))
    assert await ws.receive() == text("before")
    received: list[WSMessage] = []

    async def receive() -> None:
        received.append(await ws.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        assert await far.frame() == close_frame(code)
        await far.write(b"it goes on and on")
        await far.end()
        assert far.eof
        assert not far.lost
        far.link.close()
        await far.link.wait_closed()
    (message,) = received
    assert message.type is WSMsgType.ERROR
    assert isinstance(message.data, WebSocketError)
    assert message.data.code == code == ws.close_code
    assert ws.exception() is message.data
    assert ws.closed
    assert await ws.receive() == WS_CLOSED_MESSAGE


async def test_iteration_yields_the_error(pair: MakePair) -> None:
    ws, far = pair()
    await far.write(b"\xff\xff")
    far.link.close()
    assert [message.type async for message in ws] == [WSMsgType.ERROR]


async def test_violation_of_a_peer_that_stays(pair: MakePair, monkeypatch: Any) -> None:
    monkeypatch.setattr("wsproto_async._web_socket._LINGER", 0.01)
    ws, far = pair()
    await far.write(b"\xff\xff")
    message = await ws.receive()
    assert message.type is WSMsgType.ERROR
    assert ws.closed
    assert await far.frame() == close_frame(1002)
    await far.end()


async def test_violation_behind_our_close_frame(pair: MakePair) -> None:
    """Autoclose off: the close frame is sent once."""
    ws, far = pair(autoclose=False)
    await far.send(close_frame(1000))
    assert (await ws.receive()).type is WSMsgType.CLOSE
    await far.write(b"\xff\xff")
    assert await ws.close()
    assert await far.frame() == close_frame(1000)
    assert await far.end() == b""


@pytest.mark.parametrize("how", ["close", "eof", "abort"])
async def test_loss(pair: MakePair, how: str) -> None:
    ended: list[int] = []
    ws, far = pair(on_end=lambda: ended.append(1))
    await far.send((0x81, b"last"))
    if how == "eof":
        far.link.write_eof()
    else:
        getattr(far.link, how)()
    assert await ws.receive() == text("last")
    assert await ws.receive() == WS_CLOSED_MESSAGE
    assert ws.closed
    assert ws.close_code == 1006
    assert isinstance(ws.exception(), LinkLostError)
    assert str(ws.exception()) == "Connection lost"
    with pytest.raises(LinkLostError):
        await ws.send_str("x")
    assert ended == [1]
    assert ws.get_extra_info("peername", "gone") == "gone"


async def test_end_without_a_close_frame_while_nobody_receives(pair: MakePair) -> None:
    """Nothing can follow: senders are told, and the link is not left half open."""
    ws, far = pair()
    far.link.write_eof()
    await far.link.drain()
    await far.end()
    assert far.lost
    with pytest.raises(LinkLostError):
        await ws.send_str("x")


async def test_loss_while_receiving(pair: MakePair) -> None:
    ws, far = pair()
    async with anyio.create_task_group() as tasks:

        async def lose() -> None:
            far.link.close()

        tasks.start_soon(lose)
        assert await ws.receive() == WS_CLOSED_MESSAGE
    assert ws.close_code == 1006


async def test_reason_of_the_loss(pair: MakePair) -> None:
    class Own(WebSocket):
        __slots__ = ()
        lost_error = BrokenPipeError

    ws, _ = pair(kind=Own)
    reason = OSError("cable cut")
    ws.link_lost(reason)
    ws.link_lost(None)
    assert await ws.receive() == WS_CLOSED_MESSAGE
    error = ws.exception()
    assert type(error) is BrokenPipeError
    assert str(error) == "cable cut"
    assert error.__cause__ is reason
    ws, far = pair(kind=Own)
    far.link.close()
    with pytest.raises(BrokenPipeError):
        while True:
            await ws.send_str("x")


async def test_link_that_was_lost_before(pair: MakePair) -> None:
    """Whoever had the link before was told of the loss; the WebSocket sees it at its start."""
    ended: list[int] = []
    ws, far = pair(on_end=lambda: ended.append(1))
    far.link.close()
    await far.link.wait_closed()
    assert ended == [1]
    ws.start()
    assert ended == [1]
    fresh = WebSocket(ws._machine, runtime=ws._runtime, on_end=lambda: ended.append(2))
    ws._link.hand_over(fresh)
    fresh.start()
    assert ended == [1, 2]
    assert await fresh.receive() == WS_CLOSED_MESSAGE


async def test_abort(pair: MakePair) -> None:
    ws, far = pair()
    ws.abort()
    await far.end()
    assert await ws.receive() == WS_CLOSED_MESSAGE
    assert ws.close_code == 1006


async def test_facts_of_the_link(pair: MakePair) -> None:
    ws, _ = pair(protocol="chat")
    assert ws.protocol == "chat"
    assert ws.request is None
    assert ws.get_extra_info("peername") == ("192.0.2.1", 80)
    assert ws.get_extra_info("nothing", 1) == 1
