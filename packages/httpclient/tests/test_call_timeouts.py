"""Bounds on whole calls: redirects, retries, bodies, and what programs put in between."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

import httpclient
from httpclient import ClientTimeout

from .answering import Asked, Site, at_rest, moved
from .conftest import Peer, Serve, response

TOTAL = r"total timeout of 0\.15 s passed"


async def pieces() -> AsyncIterator[bytes]:
    yield b"one"
    await anyio.sleep_forever()


class Slow(Site):
    """Answers each request a little later."""

    async def __call__(self, peer: Peer) -> None:
        while True:
            await peer.request()
            await anyio.sleep(0.04)
            await peer.send(self.answers["/"])  # type: ignore[arg-type]


def options_for(case: str) -> dict[str, Any]:
    """Return how a call takes part in a case."""

    async def middleware(
        request: httpclient.ClientRequest, handler: httpclient.ClientHandlerType
    ) -> httpclient.ClientResponse:
        return await handler(request)

    async def check(resp: httpclient.ClientResponse) -> None:
        pass

    return {
        "plain": {},
        "middleware": {"middlewares": [middleware]},
        "check": {"raise_for_status": check},
        "tracker": {"upload_tracker": httpclient.UploadTracker()},
    }[case]


@pytest.mark.parametrize("case", ["plain", "middleware", "check", "tracker"])
async def test_total_is_for_all_hops_together(serve: Serve, case: str) -> None:
    async with serve(Slow({"/": moved("/")})) as origin, httpclient.ClientSession() as session:
        with pytest.raises(TimeoutError, match=TOTAL) as info:
            await session.get(origin.url, timeout=0.15, max_redirects=0, **options_for(case))
        assert type(info.value) is TimeoutError
        assert at_rest(session)
    assert 1 < len(origin.heads) < 10


@pytest.mark.parametrize("case", ["plain", "middleware", "check", "tracker"])
async def test_total_goes_on_while_the_body_is_read(serve: Serve, case: str) -> None:
    site = Site({"/": moved("/body")})
    site.answers["/body"] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"
    async with serve(site) as origin, httpclient.ClientSession() as session:
        resp = await session.get(origin.url, timeout=0.15, **options_for(case))
        with pytest.raises(TimeoutError, match=TOTAL):
            await resp.read()
        assert resp.closed
        assert at_rest(session)


@pytest.mark.parametrize("case", ["plain", "middleware", "check", "tracker"])
async def test_total_bounds_a_body_that_is_never_ready(serve: Serve, case: str) -> None:
    async with serve(Peer.closed) as origin, httpclient.ClientSession() as session:
        body = pieces()
        options = options_for(case)
        with pytest.raises(TimeoutError, match=TOTAL):
            await session.post(origin.url, data=body, timeout=0.15, **options)
        assert [piece async for piece in body] == []
        assert at_rest(session)
        if case == "tracker":
            assert type(options["upload_tracker"].upload_complete.exception()) is TimeoutError


async def test_total_bounds_retries(serve: Serve) -> None:
    """Those of the middleware; their last outcome is given where the next would be too late."""
    site = Site({"/": response(status=b"503 Later")})
    async with serve(site) as origin:
        retry = httpclient.Retry(1000, backoff=0.02, max_backoff=0.02)
        async with httpclient.ClientSession(middlewares=[retry]) as session:
            with anyio.fail_after(5):
                # By chance the last wait ends in time or does not.
                with contextlib.suppress(TimeoutError):
                    async with session.get(origin.url, timeout=0.15) as resp:
                        assert resp.status == 503
            assert at_rest(session)
    assert 1 < len(site.asked) < 1000


@pytest.mark.parametrize("field", ["pool", "connect", "total"])
async def test_waiting_for_a_connection_is_bounded(serve: Serve, field: str) -> None:
    errors = {
        "pool": httpclient.PoolTimeoutError,
        "connect": httpclient.ConnectionTimeoutError,
        "total": TimeoutError,
    }
    site = Site({"/held": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"})
    async with serve(site) as origin:
        connector = httpclient.TCPConnector(limit=1)
        async with httpclient.ClientSession(connector=connector) as session:
            held = await session.get(f"{origin.url}held")
            with pytest.raises(errors[field], match=r"0\.05"):
                await session.get(origin.url, timeout=ClientTimeout(**{field: 0.05}))
            held.close()
            async with session.get(origin.url) as resp:
                assert resp.status == 200
            assert at_rest(session)


async def test_sock_read_is_for_each_hop(serve: Serve) -> None:
    def answer(asked: Asked) -> bytes:
        return moved("/silent") if asked.target == "/" else b""

    timeout = ClientTimeout(sock_read=0.05)
    async with serve(Site({"/": answer, "/silent": answer})) as origin:
        async with httpclient.ClientSession(timeout=timeout) as session:
            assert session.timeout is timeout
            with pytest.raises(httpclient.SocketTimeoutError, match="no data"):
                await session.get(origin.url)
            assert at_rest(session)
            # Those of a call come in place of those of the session.
            with pytest.raises(TimeoutError, match=TOTAL) as info:
                await session.get(origin.url, timeout=0.15)
            assert type(info.value) is TimeoutError


async def test_session_goes_on_after_a_time_out(serve: Serve) -> None:
    site = Site({"/silent": b""})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await session.get(f"{origin.url}silent", timeout=0.03)
            async with session.get(origin.url, timeout=5) as resp:
                assert await resp.text() == "ok"
        assert at_rest(session)


async def test_wrong_bounds_are_refused_before_anything_is_sent(serve: Serve) -> None:
    tracker = httpclient.UploadTracker()
    async with serve(Site()) as origin, httpclient.ClientSession() as session:
        with pytest.raises(ValueError, match="total=-1"):
            await session.get(origin.url, timeout=-1, upload_tracker=tracker)
        assert at_rest(session)
    assert origin.accepted == 0
    # It was never settled, since the call had not begun.
    assert isinstance(tracker.upload_complete.exception(), ValueError)


async def test_tracker_serves_one_call_whatever_becomes_of_it(serve: Serve) -> None:
    """A second use settled nothing of the first, whose upload was under way."""
    tracker = httpclient.UploadTracker()
    async with serve(Peer.closed) as origin, httpclient.ClientSession() as session:
        async with anyio.create_task_group() as tasks:

            async def post() -> None:
                await session.post(origin.url, data=pieces(), upload_tracker=tracker)

            tasks.start_soon(post)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(RuntimeError, match="one request"):
                await session.get("http://h/", upload_tracker=tracker)
            assert not tracker.upload_complete.done()
            assert tracker.bytes_written == 3
            tasks.cancel_scope.cancel()
        with pytest.raises(httpclient.UploadAbortedError):
            await tracker.upload_complete
        assert at_rest(session)
    gc.collect()
