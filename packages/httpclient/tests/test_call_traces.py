"""What traces see of a call, from end to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from yarl import URL

import httpclient

from .answering import Site, at_rest, in_turn, moved
from .conftest import Peer, Serve, response

SIGNALS = sorted(name for name in httpclient.TraceConfig.__slots__ if name.startswith("on_"))
NAMES = {"name.test": "127.0.0.1"}


class Log:
    """A trace that notes what it is told, and raises LookupError at one signal.

    Attributes:
        config: For the session.
        names: Signals so far, without their `on_`.
        params: What they told.
        fails: At which signal to raise.
    """

    def __init__(self, fails: str = "") -> None:
        self.config = httpclient.TraceConfig()
        self.names: list[str] = []
        self.params: list[Any] = []
        self.fails = fails
        for name in SIGNALS:
            getattr(self.config, name).append(self._handler(name))

    def _handler(self, name: str) -> Callable[..., Awaitable[None]]:
        async def handler(session: object, context: object, params: object) -> None:
            await anyio.lowlevel.checkpoint()
            self.names.append(name.removeprefix("on_"))
            self.params.append(params)
            if name == self.fails:
                raise LookupError(name)

        return handler

    def told(self, name: str) -> list[Any]:
        """Return what was told with one signal."""
        return [item for seen, item in zip(self.names, self.params, strict=True) if seen == name]

    def clear(self) -> None:
        """Forget."""
        self.names.clear()
        self.params.clear()


def session_for(*logs: Log, **options: Any) -> httpclient.ClientSession:
    """Return a session that is traced, and finds `name.test`."""
    connector = httpclient.TCPConnector(resolver=httpclient.HostsResolver(NAMES), limit=1)
    configs = [log.config for log in logs]
    return httpclient.ClientSession(connector=connector, trace_configs=configs, **options)


DIAL = ["connection_create_start", "dns_cache_miss", "dns_resolvehost_start"]
DIAL += ["dns_resolvehost_end", "connection_create_end"]
DIAL_AGAIN = ["connection_create_start", "dns_cache_hit", "connection_create_end"]
SEND = ["request_headers_sent", "request_chunk_sent"]


async def test_order_of_a_post_with_a_redirect(serve: Serve) -> None:
    """API.md 4.18; the first connection is closed by the server."""
    log, site = Log(), Site({"/": moved("/there", 307, "Connection: close")})
    async with serve(site) as origin, session_for(log) as session:
        url = f"http://name.test:{origin.port}/"
        async with session.post(url, data=b"data") as resp:
            assert await resp.read() == b"ok"
    assert log.names == [
        "request_start",
        *DIAL,
        *SEND,
        "request_redirect",
        *DIAL_AGAIN,
        *SEND,
        "request_end",
        "response_chunk_received",
    ]
    start, end = log.told("request_start")[0], log.told("request_end")[0]
    assert (start.method, str(start.url)) == ("POST", url)
    assert (end.method, end.url, end.response) == ("POST", start.url, resp)
    assert [item.chunk for item in log.told("request_chunk_sent")] == [b"data"] * 2
    heads = log.told("request_headers_sent")
    assert [item.url.path for item in heads] == ["/", "/there"]
    assert all(item.headers["Content-Length"] == "4" for item in heads)
    redirect = log.told("request_redirect")[0]
    assert (redirect.method, redirect.url, redirect.response.status) == ("POST", start.url, 307)
    assert redirect.headers["Content-Length"] == "4"
    received = log.told("response_chunk_received")[0]
    assert (received.method, received.url.path, received.chunk) == ("POST", "/there", b"ok")
    assert [item.host for item in log.told("dns_cache_miss")] == ["name.test"]


async def test_order_where_the_connection_is_kept(serve: Serve) -> None:
    log, site = Log(), Site({"/": moved("/there", 303)})
    async with serve(site) as origin, session_for(log) as session:
        async with session.post(f"http://name.test:{origin.port}/", data=b"data"):
            pass
    assert log.names == [
        "request_start",
        *DIAL,
        *SEND,
        "request_redirect",
        "connection_reuseconn",
        "request_headers_sent",
        "request_end",
    ]


async def test_order_of_a_get_that_waits_for_its_turn(serve: Serve) -> None:
    log, site = Log(), Site()
    async with serve(site) as origin, session_for(log) as session:
        site.answers["/slow"] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx"
        held = await session.get(f"{origin.url}slow")
        log.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.get, origin.url)
            await anyio.wait_all_tasks_blocked()
            held.close()
    assert log.names == [
        "request_start",
        "connection_queued_start",
        "connection_queued_end",
        "connection_create_start",
        "connection_create_end",
        "request_headers_sent",
        "request_end",
    ]


async def test_no_connection_is_an_exception(serve: Serve) -> None:
    log = Log()
    async with serve(Peer.closed) as origin:
        port = origin.port
    async with session_for(log) as session:
        with pytest.raises(httpclient.ClientConnectorError) as info:
            await session.get(f"http://127.0.0.1:{port}/")
    assert log.names == ["request_start", "connection_create_start", "request_exception"]
    told = log.told("request_exception")[0]
    assert (told.method, told.url.port, told.exception) == ("GET", port, info.value)


@pytest.mark.parametrize("of_session", [True, False])
async def test_status_that_is_raised_is_an_exception(serve: Serve, of_session: bool) -> None:
    log, site = Log(), Site({"/": response(status=b"500 Oh")})
    async with serve(site) as origin, session_for(log, raise_for_status=of_session) as session:
        options: dict[str, Any] = {} if of_session else {"raise_for_status": True}
        with pytest.raises(httpclient.ClientResponseError):
            await session.get(origin.url, **options)
    assert log.names[-2:] == ["request_headers_sent", "request_exception"]
    assert "request_end" not in log.names


async def test_what_cannot_be_asked_for_is_not_told() -> None:
    log = Log()
    async with session_for(log) as session:
        for url, options in (
            ("ftp://h/", {}),
            ("relative", {}),
            ("http://h/", {"ssl": 5}),
            ("http://h/", {"data": b"", "json": {}}),
        ):
            with pytest.raises((ValueError, TypeError, httpclient.ClientError)):
                await session.get(url, **options)  # type: ignore[arg-type]
    assert log.names == []


async def test_start_may_change_the_fields(serve: Serve) -> None:
    async def change(session: object, context: object, params: Any) -> None:
        assert params.headers["X-Session"] == "1"
        assert params.headers["X-Own"] == "2"
        assert str(params.url).endswith("/?a=1")
        params.headers["X-Own"] = "changed"
        params.headers["X-New"] = "3"
        del params.headers["X-Session"]

    log, site = Log(), Site({"/": moved("/there")})
    log.config.on_request_start.append(change)
    async with serve(site) as origin, session_for(log, headers={"x-session": "1"}) as session:
        await session.get(origin.url, headers={"x-own": "2"}, params={"a": "1"})
        assert session.headers["X-Session"] == "1"
        assert len(session.headers) == 1
    for asked in site.asked:
        assert asked.headers["X-Own"] == "changed"
        assert asked.headers["X-New"] == "3"
        assert "X-Session" not in asked.headers
    assert site.lines == ["GET /?a=1", "GET /there"]
    assert log.told("request_end")[0].headers["X-Own"] == "changed"


async def test_each_config_has_a_context_for_each_call(serve: Serve) -> None:
    contexts: list[tuple[int, object, object]] = []
    configs = []
    for number in range(2):
        config = httpclient.TraceConfig()

        async def start(session: object, ctx: Any, params: object, number: int = number) -> None:
            ctx.number = number

        async def end(session: object, ctx: SimpleNamespace, params: object) -> None:
            contexts.append((ctx.number, ctx.trace_request_ctx, ctx))

        config.on_request_start.append(start)
        config.on_request_end.append(end)
        configs.append(config)
    async with serve(Site()) as origin:
        async with httpclient.ClientSession(trace_configs=configs) as session:
            await session.get(origin.url, trace_request_ctx="one")
            await session.get(origin.url)
    assert [item[:2] for item in contexts] == [(0, "one"), (1, "one"), (0, None), (1, None)]
    assert len({id(item[2]) for item in contexts}) == 4


async def test_pieces_of_an_upload_are_told(serve: Serve) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    log = Log()
    async with serve(Site()) as origin, session_for(log) as session:
        await session.put(origin.url, data=pieces())
    assert [item.chunk for item in log.told("request_chunk_sent")] == [b"one", b"two"]


async def test_retries_are_told(serve: Serve) -> None:
    log, site = Log(), Site({"/": in_turn([response(status=b"503 Later"), response()])})
    retry = httpclient.Retry(backoff=0)
    async with serve(site) as origin, session_for(log, middlewares=[retry]) as session:
        await session.get(origin.url)
    assert log.names.count("request_retry") == 1
    assert log.names.count("request_end") == 1
    assert log.told("request_retry")[0].attempt == 1


async def test_retry_on_a_connection_that_was_closed_is_told_as_connections(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer()
        if not peer.number:
            await peer.head()
            await peer.close()
        else:
            await peer.answer_all()

    log = Log()
    async with serve(script) as origin, session_for(log) as session:
        await session.get(origin.url)
        log.clear()
        await session.get(origin.url)
    assert [name for name in log.names if "connection" in name] == [
        "connection_reuseconn",
        "connection_create_start",
        "connection_create_end",
    ]
    assert log.names[-1] == "request_end"


# Handlers that raise.


class Body:
    """A body to be had once, which knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            yield b"one"
            yield b"two"
        finally:
            self.closed = True


@pytest.mark.parametrize("signal", SIGNALS)
async def test_handler_that_raises_leaves_nothing(serve: Serve, signal: str) -> None:
    log = Log()
    site = Site(
        {
            "/": moved("/retried"),
            "/retried": in_turn([response(status=b"503 Later"), response(), response()]),
            "/broken": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "/slow": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx",
        }
    )
    retry = httpclient.Retry(backoff=0)
    async with serve(site) as origin, session_for(log, middlewares=[retry]) as session:
        url = f"http://name.test:{origin.port}/"
        queued = "queued" in signal
        if queued or signal in ("on_connection_reuseconn", "on_dns_cache_hit"):
            held = await session.get(f"{url}slow" if queued else url)
        if signal == "on_dns_cache_hit":
            session.connector._pool.clear()  # type: ignore[union-attr]
            for connection in list(session.connector._open):  # type: ignore[union-attr]
                connection.abandon()
                session.connector._open.discard(connection)  # type: ignore[union-attr]
        path = "broken" if signal == "on_request_exception" else ""
        log.fails = signal
        body = Body()

        async def post() -> None:
            with pytest.raises(LookupError, match=signal):
                async with session.post(f"{url}{path}", data=body.pieces()) as resp:
                    await resp.read()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post)
            if queued:
                await anyio.wait_all_tasks_blocked()
                held.close()
        assert at_rest(session)
        started = "request_chunk_sent" in log.names
        assert body.closed is started
        if signal not in ("on_request_exception", "on_response_chunk_received"):
            assert log.names[-1] == "request_exception"
            assert isinstance(log.told("request_exception")[-1].exception, LookupError)
        log.fails = ""
        async with session.get(url) as resp:
            assert resp.status == 200
        assert at_rest(session)
    await site.deserted()


async def test_end_that_raises_closes_the_response(serve: Serve) -> None:
    log, site = Log("on_request_end"), Site()
    site.answers["/"] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    async with serve(site) as origin, session_for(log) as session:
        with pytest.raises(LookupError):
            await session.get(origin.url)
        assert at_rest(session)
        assert log.told("request_end")[0].response.closed


# Cancellation and time-outs.


async def test_cancelled_call_is_an_exception_to_its_traces(serve: Serve) -> None:
    """The handler is called, and may wait."""
    log = Log()
    async with serve(Peer.closed) as origin, session_for(log) as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.get, origin.url)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert at_rest(session)
    assert log.names[-1] == "request_exception"
    told = log.told("request_exception")[0].exception
    assert isinstance(told, anyio.get_cancelled_exc_class())


async def test_cancelled_task_of_asyncio_is_too(serve: Serve, anyio_backend_name: str) -> None:
    log = Log()
    async with serve(Peer.closed) as origin, session_for(log) as session:
        if anyio_backend_name == "asyncio":
            task = asyncio.create_task(session.get(origin.url))
            await anyio.wait_all_tasks_blocked()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert log.names[-1] == "request_exception"
        assert at_rest(session)


@pytest.mark.parametrize("tracked", [False, True])
async def test_total_is_a_time_out_to_traces_and_tracker(serve: Serve, tracked: bool) -> None:
    """They saw a cancellation, since a scope around them all ended the call."""
    log, tracker = Log(), httpclient.UploadTracker()
    async with serve(Peer.closed) as origin, session_for(log) as session:
        url = URL(f"http://name.test:{origin.port}/")
        with pytest.raises(TimeoutError, match=r"total timeout of 0\.05 s"):
            await session.post(
                url,
                data=b"x" * 100_000_000,
                timeout=0.05,
                upload_tracker=tracker if tracked else None,
            )
        assert at_rest(session)
    assert log.names[-1] == "request_exception"
    assert type(log.told("request_exception")[0].exception) is TimeoutError
    if tracked:
        assert type(tracker.upload_complete.exception()) is TimeoutError


async def test_total_bounds_handlers(serve: Serve) -> None:
    async def forever(session: object, context: object, params: object) -> None:
        await anyio.sleep_forever()

    for name in ("on_request_start", "on_request_headers_sent", "on_request_end"):
        log = Log()
        getattr(log.config, name).append(forever)
        async with serve(Site()) as origin, session_for(log) as session:
            with pytest.raises(TimeoutError, match="total"):
                await session.get(origin.url, timeout=0.03)
            assert at_rest(session)
        assert type(log.told("request_exception")[0].exception) is TimeoutError
