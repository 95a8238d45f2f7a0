"""What a `FaultyLink` breaks, and that it breaks nothing else."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

import anyio
import pytest

import httpclient
from httpcore_proto.aio import Link, Receiver, Runtime, current_runtime, memory_link_pair
from httpcore_testing import (
    CHECKS,
    Certificates,
    Check,
    FaultyConnector,
    FaultyLink,
    RawPeer,
    RawServer,
    RecordingReceiver,
    check_flow_control,
    check_half_close,
    check_large_transfer,
    check_two_writers,
)

pytestmark = pytest.mark.anyio

# They move up to a hundred megabytes, each byte of which would be a call of its own.
LARGE = [check_flow_control, check_large_transfer, check_two_writers]
ALL = [*CHECKS, check_half_close]
SMALL = [check for check in ALL if check not in LARGE]


def cases(checks: list[Check], **faults: Any) -> list[Any]:
    shown = ",".join(f"{name}={value}" for name, value in faults.items())
    return [pytest.param(check, faults, id=f"{check.__name__}-{shown}") for check in checks]


plain, in_bytes, in_blocks = cases(ALL), cases(SMALL, split=1), cases(LARGE, split=4096)
late = cases(SMALL, delay=0.002)


def checks(*cases: list[Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("check", "faults"), [*chain(*cases)])


@asynccontextmanager
async def memory_pair(
    one: Receiver, other: Receiver, faults: dict[str, Any], runtime: Runtime | None = None
) -> AsyncIterator[tuple[Link, Link]]:
    first = FaultyLink(one, runtime=runtime, **faults)
    second = FaultyLink(other, runtime=runtime, **faults)
    memory_link_pair(first, second)
    yield first, second


@asynccontextmanager
async def tcp_pair(
    one: Receiver, other: Receiver, faults: dict[str, Any]
) -> AsyncIterator[tuple[Link, Link]]:
    """A link that connects, and one that was accepted, whose runtime has tasks for it."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    async with current_runtime() as runtime:
        first, second = FaultyLink(one, **faults), FaultyLink(other, runtime=runtime, **faults)
        made = anyio.Event()

        class Accepted:
            """Passes all calls on, and tells of the first."""

            def link_made(self, link: Link) -> None:
                second.link_made(link)
                made.set()

            def __getattr__(self, name: str) -> Any:
                return getattr(second, name)

        listener = await runtime.listen(Accepted, sock)
        await runtime.connect_tcp(first, *listener.sockname)
        try:
            await made.wait()
            yield first, second
        finally:
            with anyio.CancelScope(shield=True):
                for end in (first, second):
                    end.abort()
                    await end.wait_closed()
                await listener.aclose()


@checks(plain, in_bytes, in_blocks, late)
async def test_over_links_in_memory_the_contract_holds(check: Check, faults: Any) -> None:
    await check(lambda one, other: memory_pair(one, other, faults))


@checks(in_bytes, late)
async def test_with_tasks_of_a_runtime_the_contract_holds(check: Check, faults: Any) -> None:
    async with current_runtime() as runtime:
        await check(lambda one, other: memory_pair(one, other, faults, runtime))


@checks(plain, in_bytes, in_blocks)
async def test_over_tcp_the_contract_holds(check: Check, faults: Any) -> None:
    await check(lambda one, other: tcp_pair(one, other, faults))


@checks(in_bytes, in_blocks, late)
async def test_over_tcp_the_contract_holds_from_the_other_side(check: Check, faults: Any) -> None:
    @asynccontextmanager
    async def reversed_pair(one: Receiver, other: Receiver) -> AsyncIterator[tuple[Link, Link]]:
        async with tcp_pair(other, one, faults) as (first, second):
            yield second, first

    await check(reversed_pair)


# What each fault does


class Pieces(RecordingReceiver):
    """Keeps the pieces apart."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def bytes_received(self, data: bytes) -> None:
        super().bytes_received(data)
        self.pieces.append(data)


def faulty(**faults: Any) -> tuple[Pieces, FaultyLink, RecordingReceiver]:
    """Return a receiver, its link, and the receiver at the other end."""
    one, other = Pieces(), RecordingReceiver()
    link = FaultyLink(one, **faults)
    memory_link_pair(link, other)
    return one, link, other


async def send(receiver: RecordingReceiver, *writes: bytes) -> None:
    for data in writes:
        receiver.link.write(data)
        await receiver.link.drain()


@pytest.mark.parametrize(
    ("split", "writes", "pieces"),
    [
        (None, [b"abc", b"de"], [b"abc", b"de"]),
        (2, [b"abcde"], [b"ab", b"cd", b"e"]),
        (2, [b"abc", b"de"], [b"ab", b"c", b"d", b"e"]),
        (9, [b"abc", b"de"], [b"abc", b"de"]),
        ([1, 3], [b"abcdefgh"], [b"a", b"bcd", b"efgh"]),
        ([4, 1], [b"abc", b"def"], [b"abc", b"d", b"e", b"f"]),
        ([], [b"abc"], [b"abc"]),
    ],
)
async def test_bytes_come_in_pieces(split: Any, writes: list[bytes], pieces: list[bytes]) -> None:
    one, _, other = faulty(split=split)
    await send(other, *writes)
    assert one.pieces == pieces
    assert one.breaches == []


async def test_a_pause_between_pieces_is_kept() -> None:
    one, link, other = faulty(split=1)
    one.pauses = True
    await send(other, b"abc")
    for expected in (b"a", b"ab", b"abc"):
        assert one.data == expected
        link.resume_reading()
        if expected != b"abc":
            await link.more()
    assert one.breaches == []


async def test_held_pieces_are_told_by_a_task_if_nobody_waits() -> None:
    async with current_runtime() as runtime:
        one, link, other = faulty(split=1, runtime=runtime)
        one.pauses = True
        await send(other, b"abc")
        assert one.data == b"a"
        one.pauses = False
        link.resume_reading()
        await anyio.wait_all_tasks_blocked()
        assert one.data == b"abc"
        link.abort()


async def test_a_delay_is_waited_for_before_each_piece() -> None:
    one, link, other = faulty(split=1, delay=0.01)
    begin = anyio.current_time()
    await send(other, b"abc")
    assert one.data == b""
    await one.until(lambda: one.size == 3)
    assert anyio.current_time() - begin >= 0.03
    assert one.pieces == [b"a", b"b", b"c"]
    link.abort()


async def test_a_delay_goes_on_where_it_was_cancelled() -> None:
    """Who waited in turns shorter than the delay never got anything."""
    one, link, other = faulty(delay=0.05)
    await send(other, b"abc")
    for _ in range(1000):
        link.deadline = anyio.current_time() + 0.005
        try:
            await link.more()
        except TimeoutError:
            continue
        break
    assert one.data == b"abc"


@pytest.mark.parametrize("faults", [{}, {"split": 1}, {"split": 1, "delay": 0.001}])
@pytest.mark.parametrize(("after", "got"), [(0, b""), (2, b"ab"), (3, b"abc"), (5, b"abcde")])
async def test_a_link_is_dropped_behind_so_many_bytes(
    faults: dict[str, Any], after: int, got: bytes
) -> None:
    one, link, other = faulty(drop_after=after, **faults)
    await send(other, b"abc")
    try:
        await send(other, b"def", b"ghi")
    except OSError:
        pass  # as it is dropped by then
    while not one.lost:
        await link.more()
    assert one.data == got
    assert isinstance(one.exc, ConnectionResetError)
    assert link.closing
    with pytest.raises(OSError, match="closed"):
        await link.drain()
    await link.wait_closed()
    await other.link.wait_closed()
    assert not one.eof
    assert one.breaches + other.breaches == []


async def test_a_link_is_not_dropped_before() -> None:
    one, link, other = faulty(drop_after=4)
    await send(other, b"abc")
    other.link.close()
    await link.wait_closed()
    assert (one.data, one.exc, one.lost) == (b"abc", None, 1)


@pytest.mark.parametrize(("after", "got"), [(0, b""), (2, b"ab"), (3, b"abc")])
async def test_the_end_is_told_behind_so_many_bytes(after: int, got: bytes) -> None:
    one, link, other = faulty(half_close_after=after)
    await send(other, b"abc", b"def")
    other.link.write_eof()
    await other.link.drain()
    assert (one.data, one.eof, one.lost) == (got, True, 0)
    await send(one, b"answer")
    assert other.data == b"answer"
    link.abort()
    await link.wait_closed()
    assert one.breaches == []


async def test_the_end_and_then_the_loss() -> None:
    one, link, other = faulty(half_close_after=1, drop_after=3)
    await send(other, b"ab")
    assert (one.data, one.eof, one.lost) == (b"a", True, 0)
    await send(other, b"c")
    assert isinstance(one.exc, ConnectionResetError)
    assert link.closing


@pytest.mark.parametrize("with_task", [False, True])
async def test_what_is_held_is_told_before_the_loss(with_task: bool) -> None:
    async with current_runtime() as runtime:
        one, link, other = faulty(split=1, delay=0.001, runtime=runtime if with_task else None)
        await send(other, b"abc")
        other.link.close()
        await link.wait_closed()
        assert (one.data, one.eof, one.lost) == (b"abc", True, 1)
        assert one.breaches == []


async def test_a_loss_behind_a_pause_waits_for_what_came_before() -> None:
    """`more` asked the lost link below again and again."""
    one, link, other = faulty(split=1)
    one.pauses = True
    await send(other, b"ab")
    other.link.close()
    await other.link.wait_closed()
    link.deadline = anyio.current_time() + 0.02
    with pytest.raises(TimeoutError):
        await link.more()
    link.deadline = None
    async with anyio.create_task_group() as group:
        group.start_soon(link.wait_closed)
        await anyio.wait_all_tasks_blocked()
        assert (one.data, one.lost) == (b"a", 0)
        one.pauses = False
        link.resume_reading()
    assert (one.data, one.lost) == (b"ab", 1)


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_what_is_held_when_the_link_is_closed_is_dropped(end: str) -> None:
    one, link, other = faulty(split=1, delay=30)
    await send(other, b"abc")
    with one.calling():
        getattr(link, end)()
    await link.wait_closed()
    assert (one.data, one.lost) == (b"", 1)


async def test_a_link_that_is_closed_while_its_loss_is_held_back_is_lost() -> None:
    one, link, other = faulty(split=1, delay=30)
    await send(other, b"abc")
    other.link.close()
    await other.link.wait_closed()
    async with anyio.create_task_group() as group:
        group.start_soon(link.wait_closed)
        group.start_soon(one.until, lambda: one.lost == 1)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    link.close()
    await link.more()
    assert (one.data, one.eof, one.lost) == (b"", False, 1)


async def test_a_task_that_sleeps_does_not_keep_a_closed_link() -> None:
    async with current_runtime() as runtime:
        one, link, other = faulty(split=1, delay=0.05, runtime=runtime)
        await send(other, b"abc")
        other.link.close()
        await other.link.wait_closed()
        await anyio.wait_all_tasks_blocked()
        with one.calling():
            link.close()
        await link.wait_closed()
        assert (one.data, one.lost) == (b"", 1)


async def test_another_receiver_gets_what_is_held() -> None:
    one, link, other = faulty(split=1)
    one.pauses = True
    await send(other, b"abc")
    second = RecordingReceiver()
    link.hand_over(second)
    link.resume_reading()
    await second.until(lambda: second.size == 2)
    assert (one.data, second.data) == (b"a", b"bc")


async def test_a_link_below_is_paused_while_much_is_held() -> None:
    one, link, other = faulty(delay=0.001)
    other.link.write(bytes(70_000))
    other.link.write(bytes(70_000))
    async with anyio.create_task_group() as group:
        group.start_soon(other.link.drain)
        await anyio.wait_all_tasks_blocked()
        assert link._size == 70_000
        await one.until(lambda: one.size == 140_000)


async def test_facts_are_those_of_the_link_below() -> None:
    one = RecordingReceiver()
    link = FaultyLink(one)
    memory_link_pair(link, RecordingReceiver(), facts={"peername": ("192.0.2.1", 7)})
    assert one.link is link is link.link
    assert link.info("peername") == ("192.0.2.1", 7)
    assert not link.fill(memoryview(bytearray(1)), lambda _: None)
    assert not await link.sendfile(None, 0, 0)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="no TLS"):
        await link.start_tls(ssl.create_default_context())


@pytest.mark.parametrize(
    "faults",
    [
        {"split": 0},
        {"split": -1},
        {"split": [1, 0]},
        {"delay": -0.1},
        {"delay": float("nan")},
        {"drop_after": -1},
        {"half_close_after": -1},
    ],
)
async def test_faults_out_of_range_are_refused(faults: dict[str, Any]) -> None:
    [name] = faults
    with pytest.raises(ValueError, match=name):
        FaultyLink(RecordingReceiver(), **faults)
    with pytest.raises(ValueError, match=name):
        FaultyConnector(**faults)


# Sessions

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def answer(peer: RawPeer) -> None:
    while True:
        await peer.receive_message()
        await peer.send(RESPONSE)


async def get(url: str, **kwargs: Any) -> bytes:
    async with httpclient.ClientSession(connector=FaultyConnector(**kwargs)) as session:
        for _ in range(2):
            async with session.get(url) as response:
                body = await response.read()
    return body


@pytest.mark.parametrize("faults", [{}, {"split": 1}, {"split": [3, 30], "delay": 0.001}])
@pytest.mark.parametrize("secure", [False, True])
async def test_a_session_gets_whole_responses(faults: dict[str, Any], secure: bool) -> None:
    certificates = Certificates()
    async with RawServer(answer, tls=certificates.server_context() if secure else None) as server:
        body = await get(server.url, ssl=certificates.client_context(), **faults)
    assert body == b"hello"
    assert server.accepted == 1


@pytest.mark.parametrize("secure", [False, True])
async def test_a_session_meets_the_end_of_a_response(secure: bool) -> None:
    certificates = Certificates()
    async with RawServer(answer, tls=certificates.server_context() if secure else None) as server:
        tls = certificates.client_context()
        with pytest.raises(httpclient.ClientPayloadError):
            await get(server.url, ssl=tls, drop_after=len(RESPONSE) - 1)
        with pytest.raises(httpclient.ClientPayloadError):
            await get(server.url, ssl=tls, half_close_after=len(RESPONSE) - 1, split=1)
        with pytest.raises(httpclient.ClientOSError, match="drop_after"):
            await get(server.url, ssl=tls, drop_after=0)


async def test_a_session_verifies_fingerprints_through_faults() -> None:
    certificates = Certificates()
    async with RawServer(answer, tls=certificates.server_context()) as server:
        wrong = httpclient.Fingerprint(bytes(32))
        with pytest.raises(httpclient.ServerFingerprintMismatch):
            await get(server.url, ssl=wrong, split=1)


async def test_a_session_gets_through_a_proxy_with_faults() -> None:
    async with RawServer(answer) as server:
        async with httpclient.ClientSession(connector=FaultyConnector(split=1)) as session:
            async with session.get("http://name.test/", proxy=server.url) as response:
                assert await response.read() == b"hello"
    assert server.heads[0].startswith(b"GET http://name.test/ HTTP/1.1\r\n")
