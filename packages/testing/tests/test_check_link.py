"""All our links keep the contract, and links that do not are found out."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest
import trustme
from anyio.abc import SocketStream

import httpcore_testing
from httpcore_proto.aio import (
    AnyioRuntime,
    Link,
    Receiver,
    Runtime,
    current_runtime,
    memory_link_pair,
)
from httpcore_proto.aio._stream_link import StreamLink
from httpcore_testing import CHECKS, Check, MakePair, RecordingReceiver, check_half_close

pytestmark = pytest.mark.anyio


all_checks = pytest.mark.parametrize(
    "check", [*CHECKS, check_half_close], ids=lambda check: check.__name__
)


@pytest.fixture(scope="session")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@asynccontextmanager
async def tcp_pair(
    one: Receiver,
    other: Receiver,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext] | tuple[None, None] = (None, None),
    make_runtime: Callable[[], Runtime] = current_runtime,
) -> AsyncIterator[tuple[Link, Link]]:
    """A link that connects and one that was accepted."""
    made = anyio.Event()

    class Accepted:
        """Passes all calls on, and tells of the first."""

        def link_made(self, link: Link) -> None:
            other.link_made(link)
            links.append(link)
            made.set()

        def __getattr__(self, name: str) -> Any:
            return getattr(other, name)

    links: list[Link] = []
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    async with make_runtime() as runtime:
        listener = await runtime.listen(Accepted, sock, ssl=contexts[0])
        link = await runtime.connect_tcp(one, *listener.sockname, ssl=contexts[1])
        try:
            await made.wait()
            yield link, links[0]
        finally:
            with anyio.CancelScope(shield=True):
                for end in (link, *links):
                    end.abort()
                    await end.wait_closed()
                await listener.aclose()


@asynccontextmanager
async def memory_pair(one: Receiver, other: Receiver) -> AsyncIterator[tuple[Link, Link]]:
    yield memory_link_pair(one, other)


def turned(pair: MakePair) -> MakePair:
    """Return what makes the same pair, to be looked at from the other side."""

    @asynccontextmanager
    async def make(one: Receiver, other: Receiver) -> AsyncIterator[tuple[Link, Link]]:
        async with pair(other, one) as (link, accepted):
            yield accepted, link

    return make


@all_checks
async def test_tcp_links_keep_the_contract(check: Check) -> None:
    await check(tcp_pair)


@all_checks
async def test_tcp_links_keep_the_contract_from_the_other_side(check: Check) -> None:
    await check(turned(tcp_pair))


@all_checks
async def test_stream_links_keep_the_contract_on_every_loop(check: Check) -> None:
    await check(partial(tcp_pair, make_runtime=AnyioRuntime))


@asynccontextmanager
async def pumped_pair(one: Receiver, other: Receiver) -> AsyncIterator[tuple[Link, Link]]:
    """Two links that are both read by a task."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connected = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
    links = [
        StreamLink(await SocketStream.from_socket(sock), receiver, pumped=True)
        for sock, receiver in ((connected, one), (accepted, other))
    ]
    async with anyio.create_task_group() as group:
        for link, receiver in zip(links, (one, other), strict=True):
            link.hand_over(receiver)
            group.start_soon(link.pump)
        # anyio's streams over asyncio hold reading back from the first receive on only.
        await anyio.wait_all_tasks_blocked()
        try:
            yield links[0], links[1]
        finally:
            for link in links:
                link.abort()


@all_checks
async def test_links_that_are_both_pumped_keep_the_contract(check: Check) -> None:
    await check(pumped_pair)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_stream_links_keep_the_contract_in_tls(
    check: Check, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    await check(partial(tcp_pair, contexts=contexts, make_runtime=AnyioRuntime))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_tls_links_keep_the_contract(
    check: Check, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    await check(partial(tcp_pair, contexts=contexts))


@all_checks
async def test_memory_links_keep_the_contract(check: Check) -> None:
    await check(memory_pair)


async def test_check_link_runs_all_checks() -> None:
    await httpcore_testing.check_link(memory_pair)


class Broken:
    """A link that passes all calls on, but for the one that it breaks."""

    def __init__(self, link: Any) -> None:
        self.__dict__["_link"] = link

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._link, name, value)


class LosesAByte(Broken):
    def write(self, data: bytes) -> None:
        self._link.write(data[:-1])


class LetsTwoWait(Broken):
    async def more(self) -> None:
        if self._link._more_event is not None:
            return
        await self._link.more()


class NeverPauses(Broken):
    def pause_reading(self) -> None:
        pass


class TellsLossTwice(Broken):
    async def wait_closed(self) -> None:
        await self._link.wait_closed()
        self._link._receiver.link_lost(None)


class HasNoDeadline(Broken):
    async def more(self) -> None:
        self._link.deadline = None
        with anyio.move_on_after(0.1):
            await self._link.more()


class CallsBack(Broken):
    def close(self) -> None:
        self._link.close()
        self._link._deliver()


class DrainsWhenLost(Broken):
    async def drain(self) -> None:
        try:
            await self._link.drain()
        except OSError:
            pass


class NeverResumes(Broken):
    def resume_reading(self) -> None:
        pass


class TellsTheEndTwice(Broken):
    def resume_reading(self) -> None:
        self._link._eof_told = False
        self._link.resume_reading()


class DropsWhatCloseShouldSend(Broken):
    def close(self) -> None:
        self._link.abort()


class ForgetsTheDeadlineOfDrain(Broken):
    async def more(self) -> None:
        await self._link.more()
        self._link.deadline = None

    async def drain(self) -> None:
        self._link.deadline = None
        await self._link.drain()


class NeverEndsMore(Broken):
    async def more(self) -> None:
        await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (NeverResumes, httpcore_testing.check_flow_control),
        (TellsTheEndTwice, check_half_close),
        (DropsWhatCloseShouldSend, httpcore_testing.check_close_sends),
        (ForgetsTheDeadlineOfDrain, httpcore_testing.check_two_deadlines),
        (NeverEndsMore, httpcore_testing.check_abort_ends_more),
        (LosesAByte, httpcore_testing.check_large_transfer),
        (LetsTwoWait, httpcore_testing.check_busy_more),
        (NeverPauses, httpcore_testing.check_pause),
        (TellsLossTwice, httpcore_testing.check_close),
        (HasNoDeadline, httpcore_testing.check_deadline),
        (CallsBack, httpcore_testing.check_close),
        (DrainsWhenLost, httpcore_testing.check_write_after_loss),
    ],
)
async def test_a_broken_link_is_found_out(
    broken: type[Broken], check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("httpcore_testing._link_scene._PATIENCE", 0.5)

    @asynccontextmanager
    async def broken_pair(one: Any, other: Any) -> AsyncIterator[tuple[Any, Any]]:
        links = memory_link_pair(one, other)
        one.link, other.link = broken(links[0]), broken(links[1])
        yield one.link, other.link

    with pytest.raises(AssertionError):
        await check(broken_pair)


def test_recording_receiver_notes_breaches() -> None:
    receiver = RecordingReceiver()
    receiver.bytes_received(b"x")
    receiver.link_lost(None)
    receiver.eof_received()
    assert receiver.breaches == [
        "bytes_received out of order",
        "link_lost out of order",
        "eof_received after link_lost",
        "eof_received out of order",
    ]


@asynccontextmanager
async def joined_pair(one: Receiver, other: Receiver) -> AsyncIterator[tuple[Link, Link]]:
    """Links as they are over TCP, with a pipe in memory below."""
    async with current_runtime() as runtime:
        links = runtime.join(one, other)
        try:
            yield links
        finally:
            with anyio.CancelScope(shield=True):
                for link in links:
                    link.abort()
                    await link.wait_closed()


@all_checks
async def test_joined_links_keep_the_contract(check: Check) -> None:
    await check(joined_pair)


@all_checks
async def test_joined_links_keep_the_contract_from_the_other_side(check: Check) -> None:
    await check(turned(joined_pair))
