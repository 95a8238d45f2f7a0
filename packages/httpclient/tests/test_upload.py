"""Bodies on their way out: payloads, codings, expectations, time-outs, and who watches."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, cast

import anyio
import pytest

import httpclient
from httpclient import _upload
from httpclient._connection import ClientHTTPConnection
from httpclient._request import HeaderDefaults, OutgoingRequest
from httpclient._request_body import encode_body
from httpclient._tracing import TraceConfig, Traces
from httpclient._upload_tracker import UploadTracker
from httpclient._url import destination
from httpcore_proto import decode_body, supported_codings
from httpcore_proto.aio import (
    AbstractStreamWriter,
    AsyncIterablePayload,
    FormData,
    MultipartWriter,
    Payload,
)

from .conftest import Peer, Serve, counts, response

# Seconds; long enough to be armed, short enough not to be waited for.
SOON = 0.02
BIG = 3_000_000


async def echo(peer: Peer) -> None:
    """Answer with the body that came."""
    while True:
        body = await peer.request()
        await peer.send(response(body))


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    """Give a body piece by piece."""
    for piece in data:
        yield piece


async def read_line(peer: Peer) -> bytes:
    """Read a line."""
    line = b""
    while not line.endswith(b"\r\n"):
        line += await peer.read(1)
    return line[:-2]


async def read_body(peer: Peer, head: bytes) -> bytes:
    """Read the body that follows on a head."""
    for line in head.split(b"\r\n"):
        if line.startswith(b"Content-Length: "):
            return await peer.read(int(line[16:]))
    body = b""
    while size := int(await read_line(peer), 16):
        body += await peer.read(size)
        await read_line(peer)
    await read_line(peer)
    return body


class Outcome(NamedTuple):
    """A response, and what became of the connection."""

    status: int
    body: bytes
    usable: bool


def compose(url: str, *, method: str = "POST", data: Any = None, **options: Any) -> OutgoingRequest:
    """Compose a request as a session does."""
    body, payload, content_type = encode_body(data)
    return HeaderDefaults(None, None).request(
        method, destination(url), body=body, payload=payload, content_type=content_type, **options
    )


async def send(
    request: OutgoingRequest,
    *,
    timeout: httpclient.ClientTimeout | None = None,
    times: int = 1,
    ssl: Any = True,
) -> Outcome:
    """Send a request over a connection of its own, and read the response."""
    timeout = timeout or httpclient.ClientTimeout()
    async with httpclient.TCPConnector() as connector:
        key = request.destination.key._replace(ssl=ssl)
        total_at = connector.now() + timeout.total if timeout.total else None
        for _ in range(times):
            connection: ClientHTTPConnection | None = connector.take(key, connector.now())
            if connection is None:
                connection = await connector.acquire(key, timeout, total_at)
            head = await connection.request(request, timeout, total_at, 65536)
            body = connection.receive_body(head)
            data = await body.read() if isinstance(body, httpclient.StreamReader) else body
            content = data if isinstance(data, bytes) else data.data if data is not None else b""
        return Outcome(head.status, content, connection.usable)


CONTENT = Random(1).randbytes(BIG)


def put(path: Path, content: bytes | None) -> None:
    """Write a file anew, or remove it."""
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a file with some content."""
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("by_path", [True, False])
@pytest.mark.parametrize("start", [0, 1000])
@pytest.mark.parametrize("stepwise", [True, False])
async def test_file_arrives_from_where_it_is(
    serve: Serve, path: Path, by_path: bool, start: int, stepwise: bool
) -> None:
    expected = CONTENT
    timeout = httpclient.ClientTimeout(write=30.0) if stepwise else None
    async with serve(echo) as origin:
        with path.open("rb") as file:
            if by_path:
                start = 0
            file.seek(start)
            request = compose(origin.url, data=path if by_path else file)
            outcome = await send(request, timeout=timeout, times=2)
            assert outcome.body == expected[start:]
            assert outcome.usable
    assert origin.accepted == 1
    assert f"Content-Length: {len(expected) - start}\r\n" in origin.heads[1]
    assert "Content-Disposition" not in origin.heads[0]


async def test_file_goes_past_this_process_where_the_link_can(
    serve: Serve, path: Path, anyio_backend_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[bool] = []
    original = _upload.Upload.write_file

    async def write_file(self: _upload.Upload, *args: Any) -> bool:
        answers.append(await original(self, *args))
        return answers[-1]

    monkeypatch.setattr(_upload.Upload, "write_file", write_file)
    async with serve(echo) as origin:
        await send(compose(origin.url, data=path))
        assert answers == [anyio_backend_name == "asyncio"]
        answers.clear()
        request = compose(origin.url, data=path, chunked=True)
        assert (await send(request)).body == CONTENT
        assert answers == [False]


async def test_file_goes_through_tls(serve: Serve, path: Path, server_tls: Any) -> None:
    async with serve(echo, tls=server_tls) as origin:
        for data in (path, path.open("rb")):
            outcome = await send(compose(origin.url, data=data), ssl=False)
            assert outcome.body == CONTENT
        cast("io.BufferedReader", data).close()


@pytest.mark.parametrize("size", [0, 1])
async def test_empty_file_can_be_sent(serve: Serve, tmp_path: Path, size: int) -> None:
    path = tmp_path / "empty"
    path.write_bytes(bytes(size))
    async with serve(echo) as origin:
        outcome = await send(compose(origin.url, data=path, compress="gzip" if not size else None))
        assert outcome == (200, bytes(size), True)
    assert f"Content-Length: {size}\r\n" in origin.heads[0]


@pytest.mark.parametrize("by_path", [True, False])
@pytest.mark.parametrize("chunked", [True, None])
async def test_file_that_shrinks_is_an_error(
    serve: Serve, path: Path, by_path: bool, chunked: bool | None
) -> None:
    async with serve(Peer.closed) as origin:
        with path.open("rb") as file:
            request = compose(origin.url, data=path if by_path else file, chunked=chunked)
            put(path, b"short")
            with pytest.raises(httpclient.ClientPayloadError, match=r"short"):
                await send(request)


async def test_file_that_is_gone_leaves_nothing(serve: Serve, path: Path) -> None:
    async with serve(Peer.answer_all) as origin, httpclient.ClientSession() as session:
        with pytest.raises(FileNotFoundError):
            await session.post(origin.url, data=path.with_name("gone"))
        assert counts(session) == (0, 0)
        request = compose(origin.url, data=path)
        assert request.size
        put(path, None)
        with pytest.raises(FileNotFoundError):
            await send(request)


async def test_fifo_in_the_place_of_a_file_is_refused(serve: Serve, path: Path) -> None:
    """Opening it would wait for ever, in a thread that nobody can stop."""
    async with serve(Peer.closed) as origin:
        request = compose(origin.url, data=path)
        assert request.size
        put(path, None)
        os.mkfifo(path)
        with pytest.raises(OSError, match="regular file"):
            await send(request)


FORMS: list[Callable[[], Any]] = [
    lambda: {"a": "1", "file": io.BytesIO(b"content")},
    lambda: FormData([("a", "1"), ("file", io.BytesIO(b"content"))]),
    lambda: FormData({"a": "1", "file": "content"}, default_to_multipart=True),
]


@pytest.mark.parametrize("make_form", FORMS)
async def test_form_with_files_is_multipart_with_a_length(
    serve: Serve, make_form: Callable[[], Any]
) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with session.post(origin.url, data=make_form()) as resp:
            body = await resp.read()
        assert body.count(b"Content-Disposition: form-data") == 2
        assert b"content\r\n--" in body
    head = origin.heads[0]
    assert f"Content-Length: {len(body)}\r\n" in head
    boundary = body[2 : body.index(b"\r\n")].decode()
    assert f"Content-Type: multipart/form-data; boundary={boundary}" in head


async def test_form_is_sent_again_as_it_was(serve: Serve) -> None:
    """A second use doubled the fields, or lost the files, in old clients."""
    form = FormData({"a": "1", "file": io.BytesIO(b"content")})
    bodies = []
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        for _ in range(2):
            async with session.post(origin.url, data=form) as resp:
                bodies.append(await resp.read())
    assert bodies[0] == bodies[1]


async def test_urlencoded_form_and_texts(serve: Serve) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with session.post(origin.url, data={"a": "\u00fc"}) as resp:
            assert await resp.read() == b"a=%C3%BC"
        async with session.post(origin.url, data=io.StringIO("\u00fc")) as resp:
            assert await resp.read() == b"\xc3\xbc"
    assert "Content-Type: application/x-www-form-urlencoded\r\n" in origin.heads[0]
    assert "Content-Type: text/plain; charset=utf-8\r\n" in origin.heads[1]


async def test_generator_cannot_be_sent_twice(serve: Serve) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        body = encode_body(pieces(b"a"))[1]
        async with session.post(origin.url, data=body) as resp:
            assert await resp.read() == b"a"
        with pytest.raises(httpclient.ClientPayloadError, match="cannot be had again"):
            await session.post(origin.url, data=body)
        assert counts(session) == (0, 1)
        async with session.post(origin.url, data=b"b") as resp:
            assert await resp.read() == b"b"
    assert origin.accepted == 1


async def test_one_shot_payload_can_be_sent_after_as_bytes(serve: Serve) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        payload = encode_body(pieces(b"a", b"b"))[1]
        assert payload is not None
        await payload.as_bytes()
        for _ in range(2):
            async with session.post(origin.url, data=payload) as resp:
                assert await resp.read() == b"ab"


class OddPayload(Payload):
    """A payload that writes what it was made of."""

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write each item, empty ones as well."""
        for item in self._value:
            await writer.write(item)


async def test_payload_may_write_what_is_like_bytes(serve: Serve) -> None:
    async with serve(echo) as origin:
        data = OddPayload([b"a", b"", bytearray(b"b"), memoryview(b"c")])
        assert (await send(compose(origin.url, data=data))).body == b"abc"
        with pytest.raises(TypeError):
            await send(compose(origin.url, data=OddPayload([5])))


async def test_payload_that_lies_about_its_size_is_cut_off(serve: Serve) -> None:
    async with serve(Peer.closed) as origin:
        data = OddPayload([b"abc"])
        for size, message in ((2, "too long"), (4, "too short")):
            data._size = size
            with pytest.raises(ValueError, match=message):
                await send(compose(origin.url, data=data))


# Content codings.


@pytest.mark.parametrize("coding", supported_codings())
@pytest.mark.parametrize("data", [b"abc" * 100_000, [b"abc" * 1000] * 100, b"x"])
async def test_compressed_body_arrives(serve: Serve, coding: str, data: Any) -> None:
    plain = data if isinstance(data, bytes) else b"".join(data)
    body = data if isinstance(data, bytes) else pieces(*data)
    async with serve(echo) as origin:
        request = compose(origin.url, data=body, compress=coding)
        outcome = await send(request)
        assert decode_body(outcome.body, coding) == plain
        assert outcome.usable
    assert f"Content-Encoding: {coding}\r\n" in origin.heads[0]
    assert "Transfer-Encoding: chunked\r\n" in origin.heads[0]
    assert "Content-Length" not in origin.heads[0]


async def test_compressed_file_arrives(serve: Serve, path: Path) -> None:
    async with serve(echo) as origin:
        outcome = await send(compose(origin.url, data=path, compress=True), times=2)
        assert decode_body(outcome.body, "deflate") == CONTENT


# Expect: 100-continue.

OPTIONS: list[dict[str, Any]] = [
    {"expect100": True},
    {"headers": {"Expect": "100-continue"}},
    {"expect100": True, "compress": "deflate"},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("data", [b"abc", bytes(100_000), (b"ab", b"c")])
async def test_body_waits_for_the_word(serve: Serve, options: dict[str, Any], data: Any) -> None:
    asked = anyio.Event()
    started = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal started
        started = True
        for piece in data:
            yield piece

    async def script(peer: Peer) -> None:
        head = await peer.head()
        assert not started
        asked.set()
        await peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        got = await read_body(peer, head)
        await peer.send(response(got))

    async with serve(script) as origin:
        given = data if isinstance(data, bytes) else body()
        outcome = await send(compose(origin.url, data=given, **options))
        plain = data if isinstance(data, bytes) else b"".join(data)
        coding = options.get("compress")
        assert (decode_body(outcome.body, coding) if coding else outcome.body) == plain
        assert outcome.usable
        assert asked.is_set()
    assert origin.heads[0].count("Expect: 100-continue") == 1


@pytest.mark.parametrize("status", [b"417 Expectation Failed", b"401 Unauthorized", b"200 OK"])
@pytest.mark.parametrize("in_pieces", [True, False])
async def test_answer_in_place_of_the_word_keeps_the_body(
    serve: Serve, status: bytes, in_pieces: bool
) -> None:
    ended = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(response(b"no", status=status))
        with pytest.raises((anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError)):
            await peer.read(1)
        ended.set()

    async with serve(script) as origin:
        data = pieces(b"secret") if in_pieces else b"secret"
        request = compose(origin.url, data=data, expect100=True)
        tracker = UploadTracker()
        request.watch(tracker=tracker)
        outcome = await send(request)
        assert outcome == (int(status[:3]), b"no", False)
        if request.payload is not None:
            assert not request.payload.consumed
        tracker.finish(None)
        assert isinstance(tracker.upload_complete.exception(), httpclient.UploadAbortedError)
        await ended.wait()


async def test_server_that_knows_no_expectations_gets_the_body(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_upload, "CONTINUE_DELAY", SOON)

    async def script(peer: Peer) -> None:
        await peer.request()
        # The word may come late.
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"done"))

    async with serve(script) as origin:
        outcome = await send(compose(origin.url, data=b"abc", expect100=True))
        assert outcome == (200, b"done", True)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", httpclient.ServerDisconnectedError),
        (b"HTTP/1.1 1", httpclient.ServerDisconnectedError),
        (b"garbage\r\n\r\n", httpclient.ClientResponseError),
    ],
)
async def test_connection_that_ends_before_the_word(
    serve: Serve, answer: bytes, error: type[Exception]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        if answer:
            await peer.send(answer)
        await peer.close()

    async with serve(script) as origin:
        with pytest.raises(error):
            await send(compose(origin.url, data=b"abc", expect100=True))


async def test_total_ends_the_wait_for_the_word(serve: Serve) -> None:
    async with serve(Peer.closed) as origin:
        with pytest.raises(TimeoutError, match="total timeout"):
            await send(
                compose(origin.url, data=b"abc", expect100=True),
                timeout=httpclient.ClientTimeout(total=SOON),
            )


# Time-outs.


@pytest.mark.parametrize("kind", ["bytes", "pieces", "file"])
async def test_write_ends_an_upload_that_nobody_reads(path: Path, kind: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    with path.open("r+b") as file:
        file.truncate(100_000_000)

    def data() -> Any:
        return {"bytes": bytes(50_000_000), "pieces": endless(), "file": path}[kind]

    with socket.create_server(("127.0.0.1", 0)) as server:  # which accepts nobody
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        async with httpclient.ClientSession() as session:
            for total in (None, 30.0):
                timeout = httpclient.ClientTimeout(write=SOON, total=total)
                with pytest.raises(httpclient.WriteTimeoutError, match=rf"{SOON} s \(write\)"):
                    await session.post(url, data=data(), timeout=timeout)
                assert counts(session) == (0, 0)
            timeout = httpclient.ClientTimeout(write=30, total=SOON)
            with pytest.raises(TimeoutError, match="total timeout") as caught:
                await session.post(url, data=data(), timeout=timeout)
            assert type(caught.value) is TimeoutError


async def test_write_does_not_count_the_time_of_the_body(serve: Serve) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"a"
        await anyio.sleep(SOON)
        yield b"b"

    timeout = httpclient.ClientTimeout(write=SOON / 4)
    async with serve(echo) as origin, httpclient.ClientSession(timeout=timeout) as session:
        async with session.post(origin.url, data=slow()) as resp:
            assert await resp.read() == b"ab"


# Who watches.


@pytest.mark.parametrize(
    ("data", "coding"),
    [
        (b"", None),
        (b"abc", None),
        (bytes(1_000_000), None),
        ((b"a", b"", b"bc"), None),
        (bytes(1_000_000), "deflate"),
        ("path", None),
    ],
)
async def test_progress_counts_the_body_on_the_wire(
    serve: Serve, path: Path, data: Any, coding: str | None
) -> None:
    calls: list[tuple[int, int | None]] = []
    tracker = UploadTracker()
    async with serve(echo) as origin:
        given = path if data == "path" else pieces(*data) if isinstance(data, tuple) else data
        request = compose(origin.url, data=given, compress=coding)
        request.watch(tracker=tracker, progress=lambda sent, total: calls.append((sent, total)))
        outcome = await send(request)
        assert outcome.usable
    size = len(outcome.body)
    assert tracker.bytes_written == size
    assert tracker.attempts == 1
    counted = [sent for sent, _ in calls]
    assert counted == sorted(set(counted))
    assert counted[-1:] == ([size] if size else [])
    assert all(b - a <= 65536 for a, b in zip([0, *counted], counted, strict=False))
    total = None if coding or isinstance(data, tuple) else size
    assert {given for _, given in calls} == ({total} if size else set())
    tracker.finish(None)
    assert tracker.upload_complete.exception() is None


async def test_progress_that_raises_ends_the_upload(serve: Serve) -> None:
    def progress(sent: int, total: int | None) -> None:
        raise RuntimeError("enough")

    async with serve(Peer.closed) as origin:
        request = compose(origin.url, data=bytes(1_000_000))
        request.watch(progress=progress)
        with pytest.raises(RuntimeError, match="enough"):
            await send(request)


async def test_tracker_begins_anew_with_each_attempt(serve: Serve) -> None:
    async with serve(echo) as origin:
        request = compose(origin.url, data=bytes(100_000))
        tracker = UploadTracker()
        request.watch(tracker=tracker)
        await send(request, times=3)
        assert (tracker.attempts, tracker.bytes_written) == (3, 100_000)


def trace(log: list[tuple[str, Any]], block: anyio.Event | None = None) -> Traces:
    """Return traces that log what is sent."""
    config = TraceConfig()

    async def on_head(session: Any, context: Any, params: Any) -> None:
        log.append((params.method, params.url))
        log.append(("head", dict(params.headers)))

    async def on_chunk(session: Any, context: Any, params: Any) -> None:
        log.append(("chunk", params.chunk))
        if block is not None:
            await block.wait()

    config.on_request_headers_sent.append(on_head)
    config.on_request_chunk_sent.append(on_chunk)
    return Traces.start(cast("httpclient.ClientSession", None), [config])


@pytest.mark.parametrize(
    ("data", "coding", "chunks"),
    [
        (None, None, []),
        (b"abc", None, [b"abc"]),
        (bytes(100_000), None, [bytes(100_000)]),
        ((b"a", b"", b"bc"), None, [b"a", b"bc"]),
        (bytes(100_000), "gzip", [bytes(100_000)]),
        ("path", None, [bytes(range(256)) * 10]),
    ],
)
async def test_traces_see_head_and_chunks(
    serve: Serve, path: Path, data: Any, coding: str | None, chunks: list[bytes]
) -> None:
    put(path, bytes(range(256)) * 10)
    log: list[tuple[str, Any]] = []
    async with serve(echo) as origin:
        given = path if data == "path" else pieces(*data) if isinstance(data, tuple) else data
        request = compose(f"{origin.url}#fragment", data=given, compress=coding)
        request.watch(traces=trace(log))
        outcome = await send(request)
        assert outcome.usable
    assert log[0] == ("POST", destination(origin.url).url)
    assert log[1] == ("head", dict(request.info.headers))
    assert log[2:] == [("chunk", chunk) for chunk in chunks]


@pytest.mark.parametrize("kind", ["bytes", "pieces"])
async def test_trace_is_not_cancelled_by_a_quick_server(serve: Serve, kind: str) -> None:
    """The answer stopped the upload, and the handler with it, although all was sent."""
    block = anyio.Event()
    log: list[tuple[str, Any]] = []

    async def script(peer: Peer) -> None:
        await peer.read(len(head))
        await peer.read(3)
        await peer.send(response(b"done"))
        await anyio.wait_all_tasks_blocked()
        block.set()

    async with serve(script) as origin:
        headers = {"Content-Length": "3"}
        data: Any = b"abc" if kind == "bytes" else pieces(b"abc")
        request = compose(origin.url, data=data, headers=headers)
        lines = "".join(f"{k}: {v}\r\n" for k, v in request.info.headers.items())
        head = f"POST / HTTP/1.1\r\n{lines}\r\n"
        request.watch(traces=trace(log, block))
        outcome = await send(request)
        assert outcome == (200, b"done", True)
    assert log[-1] == ("chunk", b"abc")


async def test_answer_when_all_is_sent_leaves_the_connection_usable(serve: Serve) -> None:
    """The payload was not through, so that the upload counted as cut, and its connection."""

    async def lingering() -> AsyncIterator[bytes]:
        yield b"abc"
        await anyio.sleep_forever()

    async with serve(echo) as origin:
        request = compose(origin.url, data=AsyncIterablePayload(lingering(), size=3))
        tracker = UploadTracker()
        request.watch(tracker=tracker)
        assert await send(request) == (200, b"abc", True)
        tracker.finish(None)
        assert tracker.upload_complete.exception() is None


async def test_answer_during_the_trace_of_the_last_chunk_ends_the_upload(serve: Serve) -> None:
    block = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(response(b"enough"))
        await anyio.wait_all_tasks_blocked()
        block.set()

    async with serve(script) as origin:
        request = compose(origin.url, data=pieces(b"last"))
        request.watch(traces=trace([], block))
        assert await send(request) == (200, b"enough", False)


async def test_answer_that_comes_bit_by_bit_during_an_upload_is_whole(serve: Serve) -> None:
    """What came in a second delivery before the task looked was dropped."""
    block = anyio.Event()
    body = bytes(1_000_000)

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(response(body))
        block.set()

    async with serve(script) as origin:
        request = compose(origin.url, data=pieces(b"abc"), headers={"Content-Length": "3"})
        request.watch(traces=trace([], block))
        assert await send(request) == (200, body, True)


async def test_answer_during_a_trace_ends_the_upload(serve: Serve) -> None:
    block = anyio.Event()
    log: list[tuple[str, Any]] = []

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(response(b"enough", status=b"413 Content Too Large"))
        await anyio.wait_all_tasks_blocked()
        block.set()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"piece"

    async with serve(script) as origin:
        request = compose(origin.url, data=endless())
        request.watch(traces=trace(log, block))
        assert await send(request) == (413, b"enough", False)


# Answers that come early.


@pytest.mark.parametrize("kind", ["path", "file", "form", "coded"])
async def test_early_answer_ends_upload_of_any_kind(serve: Serve, path: Path, kind: str) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(response(b"too large", status=b"413 Content Too Large"))
        await closed.wait()

    with path.open("r+b") as file:
        file.truncate(100_000_000)
    async with serve(script) as origin:
        with path.open("rb") as file:
            data: Any = {"file": file, "form": {"a": file}}.get(kind, path)
            if kind == "coded":
                request = compose(origin.url, data=noise(), compress="deflate")
            else:
                request = compose(origin.url, data=data)
            outcome = await send(request)
            assert outcome == (413, b"too large", False)
        closed.set()


async def noise() -> AsyncIterator[bytes]:
    """Give what cannot be made smaller, for ever."""
    state = 1
    while True:
        block = bytearray()
        for _ in range(4096):
            state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
            block += state.to_bytes(8, "big")
        yield bytes(block)


async def test_generator_is_closed_when_the_upload_ends(serve: Serve) -> None:
    closed = False

    async def endless() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            while True:
                yield bytes(65536)
        finally:
            closed = True

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(response(b"", status=b"413 Content Too Large"))

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.post(origin.url, data=endless()) as resp:
            assert resp.status == 413
        assert closed


async def test_multipart_of_a_generator_is_sent_in_chunks(serve: Serve) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        writer = MultipartWriter("mixed")
        writer.append(pieces(b"one ", b"two"))
        async with session.post(origin.url, data=writer) as resp:
            assert b"\r\n\r\none two\r\n--" in await resp.read()
    assert "Transfer-Encoding: chunked\r\n" in origin.heads[0]


async def test_upload_of_many_small_pieces_is_linear(serve: Serve) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        data = (bytes([index % 256]) for index in range(5_000))
        async with session.post(origin.url, data=pieces(*data)) as resp:
            assert len(await resp.read()) == 5_000


@pytest.mark.parametrize("total", [None, 30.0])
async def test_write_is_over_when_the_request_is_sent(serve: Serve, total: float | None) -> None:
    """Its deadline must not end the wait for the response."""
    async with serve(echo) as origin, httpclient.TCPConnector() as connector:
        timeout = httpclient.ClientTimeout(write=10.0, total=total)
        total_at = None if total is None else connector.now() + total
        for size in (10, 1_000_000):
            request = compose(origin.url, data=bytes(size))
            connection = await connector.acquire(request.destination.key, timeout, total_at)
            await connection.request(request, timeout, total_at, 65536)
            assert connection.link.deadline == total_at
            connection.abandon()
