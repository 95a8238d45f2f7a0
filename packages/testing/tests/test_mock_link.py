"""The client's end of a connection to a mock is a link as others are."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from httpclient import ConnectionKey
from httpcore_proto.aio import Link, LinkLostError, Receiver
from httpcore_testing import CHECKS, RecordingReceiver, check_half_close
from httpcore_testing._mock_link import MockLink

pytestmark = pytest.mark.anyio

KEY = ConnectionKey("api.test", 80, is_ssl=False)


@asynccontextmanager
async def mock_pair(one: Receiver, other: Any) -> AsyncIterator[tuple[Link, Link]]:
    lost: list[MockLink] = []
    async with anyio.create_task_group() as group:

        def spawn(coroutine: Any) -> None:
            async def run() -> None:
                await coroutine

            group.start_soon(run)

        link = MockLink(one, KEY, spawn, lost.append)
        link.join(other, {"peername": "the mock"})
        try:
            yield link, other.link
        finally:
            link.abort()
            await link.wait_closed()
    assert lost == [link]


@asynccontextmanager
async def mirrored_pair(one: Any, other: Receiver) -> AsyncIterator[tuple[Link, Link]]:
    async with mock_pair(other, one) as (near, far):
        yield far, near


@pytest.mark.parametrize("pair", [mock_pair, mirrored_pair])
@pytest.mark.parametrize("check", [*CHECKS, check_half_close])
async def test_contract_of_links(check: Callable[..., Any], pair: Any) -> None:
    await check(pair)


async def test_facts_and_what_it_cannot_do() -> None:
    one, other = RecordingReceiver(), RecordingReceiver()
    async with mock_pair(one, other) as (link, _):
        assert link.info("peername") == "the mock"
        assert link.info("socket", 7) == 7
        assert not link.fill(memoryview(bytearray(1)), lambda data: None)
        with pytest.raises(OSError, match="no TLS"):
            await link.start_tls(ssl.create_default_context())


async def test_failure_comes_behind_what_was_sent() -> None:
    """A client that was woken for both got only the error."""
    one, other = RecordingReceiver(), RecordingReceiver()
    async with mock_pair(one, other) as (near, far):
        assert isinstance(near, MockLink)
        link = near

        async def fail() -> None:
            far.write(b"answer")
            with pytest.raises(LinkLostError):
                await link.fail(ZeroDivisionError())

        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            await link.more()
        assert one.data == b"answer"
        with pytest.raises(ZeroDivisionError):
            await link.more()
        assert isinstance(one.exc, ConnectionResetError)
