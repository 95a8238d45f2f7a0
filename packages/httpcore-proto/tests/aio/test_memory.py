from __future__ import annotations

import ssl

import anyio
import pytest

from httpcore_proto.aio import Link, LinkLostError, memory_link_pair


class Receiver:
    """Keeps what it is told."""

    link: Link

    def __init__(self) -> None:
        self.data = b""
        self.calls: list[str] = []

    def link_made(self, link: Link) -> None:
        self.calls.append("made")
        self.link = link

    def bytes_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.calls.append("eof")

    def link_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")


def joined() -> tuple[Receiver, Receiver]:
    one, other = Receiver(), Receiver()
    memory_link_pair(one, other)
    return one, other


async def test_facts_are_those_that_were_given() -> None:
    links = memory_link_pair(Receiver(), Receiver(), facts={"peername": ("192.0.2.1", 7)})
    for link in links:
        assert link.info("peername") == ("192.0.2.1", 7)
        assert link.info("sockname") is None
        assert link.info("sockname", "none") == "none"


async def test_there_is_no_tls() -> None:
    one, _ = joined()
    with pytest.raises(OSError, match="no TLS"):
        await one.link.start_tls(ssl.create_default_context())


async def test_drain_delivers_to_a_peer_that_awaits_nothing() -> None:
    one, other = joined()
    one.link.write(b"x")
    assert other.data == b""
    await one.link.drain()
    assert other.data == b"x"


async def test_more_delivers_in_the_task_that_waits() -> None:
    one, other = joined()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(other.link.more)
            await anyio.wait_all_tasks_blocked()
            one.link.write(b"x")
    assert other.data == b"x"


async def test_close_behind_a_pause_waits_for_what_came_before() -> None:
    """`more` returned at once, over and over."""
    one, other = joined()
    other.link.pause_reading()
    one.link.write(b"x")
    one.link.close()
    await one.link.wait_closed()
    with anyio.move_on_after(0.02) as scope:
        await other.link.more()
    assert scope.cancelled_caught
    other.link.resume_reading()
    await other.link.more()
    assert other.data == b"x"
    assert other.calls == ["made", "eof", "lost"]


async def test_abort_after_close_takes_back_what_was_not_received() -> None:
    one, other = joined()
    other.link.pause_reading()
    one.link.write(b"x")
    one.link.close()
    one.link.abort()
    other.link.resume_reading()
    await other.link.more()
    assert other.data == b""
    assert other.calls == ["made", "eof", "lost"]


async def test_loss_of_the_peer_ends_a_blocked_drain() -> None:
    one, other = joined()
    other.link.pause_reading()
    one.link.write(bytes(2**20))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:

            async def drain() -> None:
                with pytest.raises(LinkLostError):
                    await one.link.drain()

            group.start_soon(drain)
            await anyio.wait_all_tasks_blocked()
            other.link.abort()
            await other.link.wait_closed()
            one.link.close()
    assert one.calls == ["made", "eof", "lost"]
