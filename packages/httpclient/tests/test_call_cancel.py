"""Calls that are cancelled at each point at which they wait, one after the other."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest

import httpclient
from httpclient._file_payload import _Opening
from httpcore_proto.aio import AsyncIterablePayload

from .answering import Asked, Site, at_rest, in_turn, moved, receive
from .conftest import Peer, Serve, response
from .proxies import splice
from .test_call_traces import Log

# More waits than any of these has.
_MANY = 2000


class Steps:
    """Awaits a coroutine, and calls a function when it waits for the n-th time.

    Attributes:
        waits: How often it has waited.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, object], number: int, stop: Callable[[], object]
    ) -> None:
        self._coroutine = coroutine
        self._number = number
        self._stop = stop
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, object]:
        go: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        while True:
            try:
                asked = go(value)
            except StopIteration as stop:
                return stop.value
            if self.waits == self._number:
                self._stop()
            self.waits += 1
            try:
                value = yield asked
                go = self._coroutine.send
            except BaseException as exc:
                value = exc
                go = self._coroutine.throw


async def cancelled_in_scope(function: Callable[[], Coroutine[Any, Any, None]], n: int) -> bool:
    """Call a function, and cancel it with a scope at its n-th wait; return whether it ended."""
    with anyio.CancelScope() as scope:
        steps = Steps(function(), n, scope.cancel)
        await steps
    return steps.waits <= n


async def cancelled_as_task(function: Callable[[], Coroutine[Any, Any, None]], n: int) -> bool:
    """Do the same as asyncio's own functions do it, with `Task.cancel`: once."""

    async def run() -> int:
        task = asyncio.current_task()
        assert task is not None
        steps = Steps(function(), n, task.cancel)
        await steps
        return steps.waits

    task = asyncio.create_task(run())
    await asyncio.wait([task])
    return not task.cancelled() and task.result() <= n


def is_on_asyncio() -> bool:
    """Whether this is asyncio, or uvloop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def busy_tasks() -> list[str]:
    """Return the tasks that are at work in the client."""
    found = []
    for task in anyio.get_running_tasks():
        code = getattr(task.coro, "cr_code", None)
        path = Path(code.co_filename) if code is not None else Path()
        if "src" in path.parts:
            found.append(f"{path.name}: {task.name}")
    return found


class Bodies:
    """Makes bodies to be had once, and knows those that are not closed.

    Attributes:
        open: How many generators are suspended.
        payloads: What was made.
    """

    def __init__(self) -> None:
        self.open = 0
        self.payloads: list[Payload] = []

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield some bytes."""
        self.open += 1
        try:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
                yield b"x" * 1000
        finally:
            self.open -= 1

    def make(self) -> Payload:
        """Return one."""
        payload = Payload(self.pieces())
        self.payloads.append(payload)
        return payload


class Payload(AsyncIterablePayload):
    """A body that knows whether it was closed."""

    closed = False

    async def close(self) -> None:
        self.closed = True
        await super().close()


async def check_each(
    session: httpclient.ClientSession,
    call: Callable[[], Coroutine[Any, Any, None]],
    again: Callable[[], Awaitable[None]],
    *sites: Site,
    bodies: Bodies | None = None,
    before: Callable[[], None] = lambda: None,
) -> int:
    """Cancel a call at its first wait, at its second, and so on until it ends.

    Args:
        session: Of which nothing may be in use after each.
        call: What is cancelled.
        again: A request that has to work after each.
        sites: Servers to which there may be idle connections only.
        bodies: What has to be closed after each.
        before: Is called before each.

    Returns:
        How many times it was cancelled.
    """
    ways = [cancelled_in_scope]
    if is_on_asyncio():
        ways.append(cancelled_as_task)
    cancelled = 0
    for way in ways:
        for number in range(_MANY):
            before()
            ended = await way(call, number)
            assert at_rest(session), number
            if bodies is not None:
                assert bodies.open == 0, number
                assert all(payload.closed for payload in bodies.payloads), number
                bodies.payloads.clear()
            await again()
            assert at_rest(session), number
            if ended:
                break
            cancelled += 1
        else:
            pytest.fail("it waits without end")
    idle = session.connector.pool.stats().idle  # type: ignore[union-attr]
    assert sum(site.alive for site in sites) <= idle + 1
    await session.close()
    assert busy_tasks() == []
    for site in sites:
        await site.deserted()
    gc.collect()
    return cancelled


def client(**options: Any) -> httpclient.ClientSession:
    """Return a session with room for one connection to a host, which has a name."""
    resolver = httpclient.HostsResolver({"name.test": "127.0.0.1"})
    connector = httpclient.TCPConnector(resolver=resolver, limit_per_host=1, limit=3)
    return httpclient.ClientSession(connector=connector, **options)


@pytest.mark.parametrize("reused", [False, True])
async def test_get(serve: Serve, reused: bool) -> None:
    site = Site({"/": response(bytes(300_000))})
    async with serve(site) as origin, client() as session:
        url = f"http://name.test:{origin.port}/"

        async def call() -> None:
            async with session.get(url) as resp:
                assert len(await resp.read()) == 300_000

        async def again() -> None:
            async with session.get(f"{url}ok", headers=closing) as resp:
                assert await resp.read() == b"ok"

        closing = {} if reused else {"Connection": "close"}
        if not reused:
            site.answers["/ok"] = response(b"ok", b"Connection: close\r\n")
        assert await check_each(session, call, again, site) >= 4


async def test_post(serve: Serve) -> None:
    site, bodies = Site(), Bodies()
    async with serve(site) as origin, client() as session:

        async def call() -> None:
            async with session.post(origin.url, data=bodies.make()) as resp:
                await resp.read()

        async def again() -> None:
            async with session.get(origin.url) as resp:
                assert await resp.read() == b"ok"

        assert await check_each(session, call, again, site, bodies=bodies) >= 5


async def test_post_of_a_file_to_who_is_asked_first(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"y" * 200_000)

    class Asking(Site):
        async def __call__(self, peer: Peer) -> None:
            self.alive += 1
            try:
                while True:
                    head = await peer.head()
                    if b"Expect" in head:
                        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                        await peer.read(200_000)
                    await peer.send(response())
            finally:
                with anyio.CancelScope(shield=True):
                    await peer.close()
                self.alive -= 1

    site = Asking()
    async with serve(site) as origin, client() as session:

        async def call() -> None:
            async with session.put(origin.url, data=path, expect100=True) as resp:
                await resp.read()

        async def again() -> None:
            async with session.get(origin.url) as resp:
                assert await resp.read() == b"ok"

        assert await check_each(session, call, again, site) >= 4


@pytest.mark.parametrize("opened", [False, True])
async def test_post_of_a_file_that_is_read(serve: Serve, tmp_path: Path, opened: bool) -> None:
    """Files stayed open if a task was cancelled while it waited for the thread that closes."""
    path, site = tmp_path / "file", Site()
    path.write_bytes(b"y" * 600_000)
    files: list[io.BufferedReader] = []
    async with serve(site) as origin, client() as session:

        async def call() -> None:
            data: Any = path
            if opened:
                data = open(path, "rb")  # noqa: ASYNC230, SIM115
                files.append(data)
            async with session.put(origin.url, data=data, compress="gzip") as resp:
                await resp.read()

        async def again() -> None:
            # A thread that is at the file closes it when it leaves, and nobody waits for that.
            with anyio.fail_after(5):
                while not all(file.closed for file in files):
                    await anyio.lowlevel.checkpoint()
            async with session.get(origin.url) as resp:
                assert await resp.read() == b"ok"

        assert await check_each(session, call, again, site) >= 4


def test_file_that_nobody_waits_for_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was lost if a task was cancelled with `Task.cancel` while a thread opened it."""
    (tmp_path / "file").touch()
    begun, go = threading.Event(), threading.Event()
    os_open = os.open

    def slow(*args: Any, **options: Any) -> int:
        begun.set()
        assert go.wait(5)
        return os_open(*args, **options)

    monkeypatch.setattr(os, "open", slow)
    opening = _Opening(tmp_path / "file")
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(opening.open)
        assert begun.wait(5)
        opening.close()
        go.set()
        assert opened.result().closed


async def test_redirects(serve: Serve) -> None:
    here, there = Site({"/": moved("/next", 307, body=b"moved")}), Site()
    async with serve(here) as origin, serve(there) as other, client() as session:
        here.answers["/next"] = moved(other.url, 307, "Connection: close")

        async def call() -> None:
            async with session.post(origin.url, data=b"x" * 100_000) as resp:
                assert len(resp.history) == 2
                await resp.read()

        async def again() -> None:
            async with session.get(f"{origin.url}ok") as resp:
                assert await resp.read() == b"ok"

        assert await check_each(session, call, again, here, there) >= 4


async def test_waiting_for_its_turn(serve: Serve) -> None:
    """The call stands in line behind a response that is released while it waits."""
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"
    site = Site({"/half": half})
    async with serve(site) as origin, client() as session:

        async def call() -> None:
            async with anyio.create_task_group() as tasks:
                async with session.get(f"{origin.url}half") as held:

                    async def let_go() -> None:
                        for _ in range(3):
                            await anyio.lowlevel.checkpoint()
                        held.release()

                    tasks.start_soon(let_go)
                    async with session.get(origin.url) as resp:
                        assert await resp.read() == b"ok"

        async def again() -> None:
            async with session.get(origin.url) as resp:
                assert await resp.read() == b"ok"

        assert await check_each(session, call, again, site) >= 5


@pytest.mark.parametrize("pooled", [False, True])
async def test_tunnel(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, pooled: bool
) -> None:
    """CONNECT, TLS inside of it, and the request."""
    site, asked = Site(), list[Asked]()
    if not pooled:
        site.answers["/ok"] = response(b"ok", b"Connection: close\r\n")
    async with serve(site, tls=server_tls) as origin:

        async def script(peer: Peer) -> None:
            asked.append(await receive(peer))
            await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            await splice(peer, origin.port)

        connector = httpclient.TCPConnector(ssl=client_tls, limit=2)
        async with serve(script) as proxy:
            async with httpclient.ClientSession(connector=connector, proxy=proxy.url) as session:

                async def call() -> None:
                    async with session.get("https://name.test/") as resp:
                        assert await resp.read() == b"ok"

                async def again() -> None:
                    async with session.get("https://name.test/ok") as resp:
                        assert await resp.read() == b"ok"

                count = await check_each(session, call, again, site)
                assert count >= (2 if pooled else 5)
    assert asked[0].target == "name.test:443"


async def test_tls(serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    site = Site()
    closing = response(b"ok", b"Connection: close\r\n")
    site.answers["/ok"] = closing
    async with serve(site, tls=server_tls) as origin:
        connector = httpclient.TCPConnector(ssl=client_tls, limit=1)
        async with httpclient.ClientSession(connector=connector) as session:

            async def call() -> None:
                async with session.get(f"{origin.url}ok") as resp:
                    assert await resp.read() == b"ok"

            assert await check_each(session, call, call, site) >= 3


async def test_with_everything(serve: Serve) -> None:
    """Traces, middlewares, a tracker, a retry, a digest, a check and a cookie."""
    log, bodies = Log(), Bodies()
    challenge = b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n'
    site = Site()

    async def look(
        request: httpclient.ClientRequest, handler: httpclient.ClientHandlerType
    ) -> httpclient.ClientResponse:
        await anyio.lowlevel.checkpoint()
        resp = await handler(request)
        await anyio.lowlevel.checkpoint()
        return resp

    async def check(resp: httpclient.ClientResponse) -> None:
        await anyio.lowlevel.checkpoint()
        resp.raise_for_status()

    trackers: list[httpclient.UploadTracker] = []

    def before() -> None:
        log.clear()
        answers = [
            response(b"later" * 30_000, b"Retry-After: 0\r\n", b"503 Later"),
            response(b"who", challenge, b"401 No"),
            moved("/there", 307, "Set-Cookie: a=b"),
        ]
        site.answers["/"] = in_turn(answers)

    async with serve(site) as origin:
        chain = [
            httpclient.Retry(backoff=0, methods=["POST"]),
            httpclient.DigestAuthMiddleware("u", "p", preemptive=False),
            look,
        ]
        session = client(trace_configs=[log.config], middlewares=chain, raise_for_status=check)
        async with session:
            url = f"http://name.test:{origin.port}/"

            async def call() -> None:
                tracker = httpclient.UploadTracker()
                trackers.append(tracker)
                data = b"x" * 100_000
                try:
                    async with session.post(url, data=data, upload_tracker=tracker) as resp:
                        await resp.read()
                finally:
                    assert tracker.upload_complete.done()
                    ends = {"request_end", "request_exception"} & set(log.names)
                    assert len(ends) <= 1
                    assert ends or "request_start" not in log.names

            async def again() -> None:
                async with session.put(f"{url}ok", data=bodies.make()) as resp:
                    assert await resp.read() == b"ok"

            count = await check_each(session, call, again, site, bodies=bodies, before=before)
    assert count >= 30
    assert trackers[-1].upload_complete.exception() is None
    assert {item.headers.get("Cookie") for item in site.asked} == {None, "a=b"}


async def test_download(serve: Serve, tmp_path: Path) -> None:
    """Each goes on where the one before was cancelled."""
    body = bytes(range(256)) * 2000
    head = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: %d\r\n\r\n' % len(body)
    site = Site()

    def answer(asked: Asked) -> bytes:
        value = asked.headers.get("Range")
        if value is None:
            return head + body
        start = int(value.removeprefix("bytes=").removesuffix("-"))
        if start == len(body):
            return response(b"", f"Content-Range: bytes */{start}\r\n".encode(), b"416 No")
        lines = f'ETag: "a"\r\nContent-Range: bytes {start}-{len(body) - 1}/{len(body)}\r\n'
        return response(body[start:], lines.encode(), b"206 Partial Content")

    site.answers["/"] = answer
    target = tmp_path / "file"
    async with serve(site) as origin, client() as session:

        async def call() -> None:
            target.unlink(missing_ok=True)
            await session.download(origin.url, target)
            assert target.read_bytes() == body

        async def again() -> None:
            assert set(os.listdir(tmp_path)) <= {
                "file",
                ".file.part",
                ".file.part.json",
            }
            async with session.get(f"{origin.url}ok") as resp:
                assert await resp.read() == b"ok"

        assert await check_each(session, call, again, site) >= 4


async def test_close_while_calls_are_under_way(serve: Serve) -> None:
    """Those end with an error of their own, at whatever point they are."""
    site = Site({"/": moved("/there", 307)})
    ended: list[str] = []
    async with serve(site) as origin:
        for turns in range(40):
            session = client()

            async def call(session: httpclient.ClientSession = session) -> None:
                try:
                    async with session.post(origin.url, data=b"x" * 1000) as resp:
                        await resp.read()
                        ended.append("response")
                except (httpclient.ClientConnectionError, RuntimeError) as exc:
                    ended.append(str(exc))

            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(call)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                await session.close()
            assert session.closed
        await site.deserted()
    assert len(ended) == 120
