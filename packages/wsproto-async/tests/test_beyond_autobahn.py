"""What Autobahn's suite does not look at: these close frames, and the octets of echoes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from wsproto_async import Deflate, Role, WebSocket, WebSocketError, WSMsgType

from .conftest import Far, MakePair

_BOTH = pytest.mark.parametrize("role", list(Role), ids=lambda role: role.value)
_CLOSE = 0x88
_NOISE = random.Random(9).randbytes(1 << 20)


@asynccontextmanager
async def echoing(ws: WebSocket) -> AsyncIterator[list[BaseException | None]]:
    """Echo while the block runs; gives a list that has `ws.exception()` in the end."""
    ended: list[BaseException | None] = []

    async def echo() -> None:
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await ws.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await ws.send_bytes(message.data)
        ended.append(ws.exception())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(echo)
        yield ended


async def assert_refused(far: Far) -> None:
    """The peer is told 1002, and nothing else."""
    assert await far.frame() == (_CLOSE, b"\x03\xea")
    assert await far.end() == b""
    # It has seen that, and closes.
    far.link.close()


@_BOTH
@pytest.mark.parametrize("deflate", [None, Deflate()], ids=["plain", "deflate"])
@pytest.mark.parametrize("bits", [0x40, 0x20, 0x10, 0x70])
async def test_close_frame_with_reserved_bits(
    pair: MakePair, role: Role, deflate: Deflate | None, bits: int
) -> None:
    """Case 3.7 is content with any answer."""
    ws, far = pair(role, deflate=deflate)
    async with echoing(ws) as ended:
        await far.send((_CLOSE | bits, b"\x03\xe8"))
        await assert_refused(far)
    assert isinstance(ended[0], WebSocketError)
    assert (ended[0].code, ws.close_code) == (1002, 1002)


@_BOTH
@pytest.mark.parametrize("size", [1, 126, 127, 65536])
async def test_close_payload_that_cannot_be(pair: MakePair, role: Role, size: int) -> None:
    """Cases 7.3.2 and 7.3.6 are content with a client that echoes it."""
    ws, far = pair(role)
    async with echoing(ws) as ended:
        await far.send((_CLOSE, b"\x03\xe8" + b"r" * (size - 2) if size > 1 else b"\x03"))
        await assert_refused(far)
    assert isinstance(ended[0], WebSocketError)
    assert ws.close_code == 1002


@_BOTH
async def test_longest_close_payload(pair: MakePair, role: Role) -> None:
    ws, far = pair(role)
    async with echoing(ws) as ended:
        await far.send((_CLOSE, b"\x0f\xa0" + b"r" * 123))
        assert await far.frame() == (_CLOSE, b"\x0f\xa0")
        await far.end()
    assert (ended, ws.close_code) == ([None], 4000)


def _text(size: int) -> bytes:
    # Characters of each length, so that pieces of any size cut some of them.
    return ("aé世\U0001f388" * (size // 10 + 1)).encode()[: size - size % 10]


@_BOTH
@pytest.mark.parametrize("opcode", [1, 2], ids=["text", "binary"])
@pytest.mark.parametrize(
    ("size", "fragment", "write"),
    [
        pytest.param(65535, None, None, id="64K"),
        pytest.param(65536, None, None, id="64K+1"),
        pytest.param(1 << 20, None, None, id="1M"),
        pytest.param(1 << 20, 64, None, id="fragments-of-64"),
        pytest.param(1 << 20, 4097, None, id="fragments-of-4097"),
        pytest.param(1 << 20, None, 997, id="writes-of-997"),
        pytest.param(1 << 16, 333, 64, id="fragments-of-333-in-writes-of-64"),
    ],
)
async def test_octets_of_echoes(
    pair: MakePair, role: Role, opcode: int, size: int, fragment: int | None, write: int | None
) -> None:
    """The cases of section 9 look at the length alone."""
    payload = _NOISE[:size] if opcode == 2 else _text(size)
    ws, far = pair(role)
    pieces = [payload[at : at + (fragment or size)] for at in range(0, size, fragment or size)]
    pieces = [piece for piece in pieces if piece]
    data = bytearray()
    for number, piece in enumerate(pieces):
        last = 0x80 if number == len(pieces) - 1 else 0
        data += far.encode(last | (0 if number else opcode), piece)
    async with echoing(ws):
        for at in range(0, len(data), write or len(data)):
            await far.write(bytes(data[at : at + (write or len(data))]))
        echo = await far.frame()
        assert echo.first == 0x80 | opcode
        assert echo.payload == payload
        await far.send((_CLOSE, b"\x03\xe8"))
        await far.end()


@_BOTH
async def test_octets_of_many_echoes(pair: MakePair, role: Role) -> None:
    """Cases 9.7 and 9.8 send a thousand messages, one after the other; here all at once."""
    ws, far = pair(role)
    messages = [_NOISE[at : at + at % 300] for at in range(1000)]
    async with echoing(ws):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(far.send, *((0x82, message) for message in messages))
            for message in messages:
                assert await far.frame() == (0x82, message)
        await far.send((_CLOSE, b"\x03\xe8"))
        await far.end()
