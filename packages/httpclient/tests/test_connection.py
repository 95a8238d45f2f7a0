"""Exchanges on one connection: framing, reuse, and all the ways a server can break them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import httpclient
from httpclient._connection import ClientHTTPConnection
from httpclient._request import HeaderDefaults, OutgoingRequest
from httpclient._url import destination

from .conftest import Peer, Serve, counts, response


async def test_reuse_after_complete_responses_one_socket(serve: Serve) -> None:
    async with serve(Peer.answer_all) as origin, httpclient.ClientSession() as session:
        for _ in range(3):
            async with session.get(origin.url) as resp:
                assert resp.status == 200
                assert await resp.read() == b"ok"
            assert counts(session) == (0, 1)
    assert origin.accepted == 1


@pytest.mark.parametrize("unasked", [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", b"x"])
async def test_bytes_on_idle_connection_are_never_an_answer(serve: Serve, unasked: bytes) -> None:
    sent = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer()
        if peer.number == 0:
            await peer.send(unasked)
            sent.set()
        await peer.answer_all()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        await (await session.get(origin.url)).read()
        await sent.wait()
        async with session.get(origin.url) as resp:
            assert await resp.read() == b"ok"
    assert origin.accepted == 2


async def test_surplus_behind_response_is_not_kept(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(response() + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")

    async with serve(script) as origin, httpclient.ClientSession() as session:
        for _ in range(2):
            async with session.get(origin.url) as resp:
                assert await resp.read() == b"ok"
            assert counts(session) == (0, 0)
    assert origin.accepted == 2


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_status_without_body_leaves_connection_usable(serve: Serve, status: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        length = b"Content-Length: 5\r\n" if status.startswith(b"304") else b""
        await peer.send(b"HTTP/1.1 " + status + b"\r\n" + length + b"\r\n")
        await peer.answer_all()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert resp.status == int(status[:3])
            assert await resp.read() == b""
            assert await resp.content.read() == b""
        async with session.get(origin.url) as resp:
            assert await resp.read() == b"ok"
    assert origin.accepted == 1


async def test_head_has_length_and_no_body(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        await peer.answer_all()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.head(origin.url) as resp:
            assert resp.content_length == 500
            assert await resp.read() == b""
        assert counts(session) == (0, 1)
    assert origin.heads[0].startswith("HEAD / HTTP/1.1\r\n")


async def test_interim_responses_are_skipped(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + response())

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert resp.status == 200
            assert "Link" not in resp.headers
            assert await resp.read() == b"ok"
        assert counts(session) == (0, 1)


async def test_chunked_with_trailers_is_read_and_kept(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await peer.send(b"7;x=y\r\n, world\r\n0\r\nX-Trailer: 1\r\n\r\n")
        await peer.answer_all()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert await resp.read() == b"hello, world"
            assert "X-Trailer" not in resp.headers
        assert counts(session) == (0, 1)


async def test_chunked_in_one_read_tells_chunks(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
        )

    async with (
        serve(script) as origin,
        httpclient.ClientSession() as session,
        session.get(origin.url) as resp,
    ):
        assert [item async for item in resp.content.iter_chunks()] == [(b"a", True), (b"bc", True)]


async def test_close_delimited_body_ends_with_connection(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nfirst ")
        await peer.send(b"second")
        await peer.close()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert await resp.read() == b"first second"
            assert resp.content_length is None
        assert counts(session) == (0, 0)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_server_that_wants_to_close_connection_is_not_kept(serve: Serve, head: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head)

    async with serve(script) as origin, httpclient.ClientSession() as session:
        for _ in range(2):
            async with session.get(origin.url) as resp:
                assert await resp.read() == b"ok"
            assert counts(session) == (0, 0)
    assert origin.accepted == 2


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Length: 10\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
async def test_truncated_body_raises_payload_error(serve: Serve, data: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n" + data)
        await peer.close()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        resp = await session.get(origin.url)
        with pytest.raises(httpclient.ClientPayloadError):
            await resp.read()
        with pytest.raises(httpclient.ClientPayloadError):
            await resp.content.read()
        assert counts(session) == (0, 0)


@pytest.mark.parametrize("together", [True, False])
async def test_malformed_chunk_raises_payload_error(serve: Serve, together: bool) -> None:
    go_on = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        if together:
            await peer.send(head + b"zz\r\n")
        else:
            await peer.send(head)
            await go_on.wait()
            await peer.send(b"zz\r\n")

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            go_on.set()
            with pytest.raises(httpclient.ClientPayloadError):
                await resp.read()
        assert counts(session) == (0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
async def test_malformed_head_raises_response_error(serve: Serve, data: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)

    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.ClientResponseError) as caught:
            await session.get(origin.url)
        assert caught.value.status == 400
        assert caught.value.message
        assert str(caught.value.request_info.url) == origin.url
        assert counts(session) == (0, 0)


async def test_limits_of_session_are_applied(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(head=b"X-A: 1\r\nX-B: 2\r\n")

    async with serve(script) as origin, httpclient.ClientSession(max_headers=2) as session:
        with pytest.raises(httpclient.ClientResponseError, match="max_headers=2"):
            await session.get(origin.url)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_server_that_closes_before_response_is_told(serve: Serve, sent: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if sent:
            await peer.send(sent)
        await peer.close()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.ServerDisconnectedError):
            await session.get(origin.url)
        assert counts(session) == (0, 0)
    assert origin.accepted == 1


async def test_reset_before_response_is_an_os_error(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.reset()
        await peer.close()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.ClientConnectionError) as caught:
            await session.get(origin.url)
        assert isinstance(
            caught.value, (httpclient.ClientOSError, httpclient.ServerDisconnectedError)
        )
        assert counts(session) == (0, 0)


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_dead_idle_connection_is_retried_once_if_idempotent(
    serve: Serve, method: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer()
        if peer.number == 0:
            await peer.request()  # and closes without an answer
            await peer.close()
        await peer.answer_all()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        await (await session.get(origin.url)).read()
        if method == "POST":
            with pytest.raises(httpclient.ServerDisconnectedError):
                await session.request(method, origin.url)
            assert origin.accepted == 1
        else:
            async with session.request(method, origin.url) as resp:
                assert await resp.read() == b"ok"
            assert origin.accepted == 2
    assert len(origin.heads) == (3 if method != "POST" else 2)


async def test_retry_happens_once(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.answer()
        await peer.request()
        await peer.close()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        await (await session.get(origin.url)).read()
        with pytest.raises(httpclient.ServerDisconnectedError):
            await session.get(origin.url)
        assert counts(session) == (0, 0)
    assert origin.accepted == 2


async def test_release_before_end_closes_connection(serve: Serve) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nstart")
        await peer.closed()
        closed.set()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert await resp.content.read(5) == b"start"
            assert not resp.closed
            assert resp.connection is not None
            assert resp.connection.get_extra_info("peername")[1] == origin.port
        assert resp.closed
        assert resp.connection is None
        assert counts(session) == (0, 0)
        with pytest.raises(httpclient.ClientConnectionError, match="Connection closed"):
            await resp.read()
        await closed.wait()


async def test_response_dropped_unread_closes_connection(serve: Serve) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nstart")
        await peer.closed()
        closed.set()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        resp = await session.get(origin.url)
        assert counts(session) == (1, 0)
        del resp
        assert counts(session) == (0, 0)
        await closed.wait()


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    """Give a body piece by piece."""
    for piece in data:
        yield piece


async def test_upload_in_pieces_is_chunked(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        body = await peer.request()
        await peer.send(response(body))

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.post(origin.url, data=pieces(b"one ", b"", b"two")) as resp:
            assert await resp.read() == b"one two"
        assert counts(session) == (0, 1)
    assert "Transfer-Encoding: chunked\r\n" in origin.heads[0]
    assert "Content-Length" not in origin.heads[0]


async def test_upload_in_pieces_of_known_length_is_not_chunked(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        body = await peer.request()
        await peer.send(response(body))

    async with (
        serve(script) as origin,
        httpclient.ClientSession() as session,
        session.post(
            origin.url, data=pieces(b"one ", b"two"), headers={"Content-Length": "7"}
        ) as resp,
    ):
        assert await resp.read() == b"one two"
    assert "Transfer-Encoding" not in origin.heads[0]


@pytest.mark.parametrize("data", [[b"too long"], [b"x"]])
async def test_upload_of_wrong_length_closes_connection(serve: Serve, data: list[bytes]) -> None:
    async with serve(Peer.closed) as origin, httpclient.ClientSession() as session:
        with pytest.raises(ValueError, match="body too"):
            await session.post(origin.url, data=pieces(*data), headers={"Content-Length": "3"})
        assert counts(session) == (0, 0)


@pytest.mark.parametrize("size", [65536, 65537, 3_000_000])
async def test_upload_of_any_size_arrives(serve: Serve, size: int) -> None:
    async def script(peer: Peer) -> None:
        body = await peer.request()
        await peer.send(response(b"%d" % len(body)))

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.put(origin.url, data=bytes(size)) as resp:
            assert await resp.text() == str(size)
        assert counts(session) == (0, 1)
    assert f"Content-Length: {size}\r\n" in origin.heads[0]


@pytest.mark.parametrize("in_pieces", [True, False])
async def test_early_response_ends_upload(serve: Serve, in_pieces: bool) -> None:
    """The server answers and never reads on: nobody may wait for it to."""
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(response(b"too large", status=b"413 Content Too Large"))
        await closed.wait()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    async with serve(script) as origin, httpclient.ClientSession() as session:
        data = endless() if in_pieces else bytes(50_000_000)
        async with session.post(origin.url, data=data) as resp:
            assert resp.status == 413
            assert await resp.read() == b"too large"
        assert counts(session) == (0, 0)
        closed.set()


async def test_server_that_closes_during_upload_is_told(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.close()

    async def stuck() -> AsyncIterator[bytes]:
        while True:
            yield b"piece"
            await anyio.lowlevel.checkpoint()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.ClientConnectionError):
            await session.post(origin.url, data=stuck())
        assert counts(session) == (0, 0)


async def test_piece_of_wrong_type_is_refused(serve: Serve) -> None:
    async def text() -> AsyncIterator[Any]:
        yield "text"

    async with serve(Peer.closed) as origin, httpclient.ClientSession() as session:
        with pytest.raises(TypeError, match=r"made of bytes.*not of str"):
            await session.post(origin.url, data=text())
        assert counts(session) == (0, 0)


async def test_switch_of_protocol_that_was_offered_ends_the_connection(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nnot HTTP")

    async with serve(script) as origin, httpclient.ClientSession() as session:
        headers = {"Connection": "Upgrade", "Upgrade": "x"}
        async with session.get(origin.url, headers=headers) as resp:
            assert resp.status == 101
            assert await resp.read() == b""
        assert counts(session) == (0, 0)


async def test_error_in_upload_closes_connection(serve: Serve) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"piece"
        raise RuntimeError("no more")

    async with serve(Peer.closed) as origin, httpclient.ClientSession() as session:
        with pytest.raises(RuntimeError, match="no more"):
            await session.post(origin.url, data=broken())
        assert counts(session) == (0, 0)


async def test_request_that_cannot_be_sent_leaves_connection_usable(serve: Serve) -> None:
    async with serve(Peer.answer_all) as origin, httpclient.ClientSession() as session:
        await (await session.get(origin.url)).read()
        for headers in ({"X": "a\r\nb"}, {"bad name": "x"}, {"Content-Length": "5"}):
            with pytest.raises(ValueError, match=r"control|token|Content-Length"):
                await session.post(origin.url, data=b"body", headers=headers)
            assert counts(session) == (0, 1)
        async with session.get(origin.url) as resp:
            assert await resp.read() == b"ok"
    assert origin.accepted == 1


async def test_slow_reader_stops_the_server(serve: Serve) -> None:
    """And the connection reads again when it is reused, which it did not at first."""

    async def script(peer: Peer) -> None:
        await peer.answer(bytes(4_000_000))
        await peer.answer_all()

    async with serve(script) as origin, httpclient.ClientSession(read_bufsize=1024) as session:
        for size in (4_000_000, 2):
            async with session.get(origin.url) as resp:
                total = 0
                async for piece in resp.content.iter_any():
                    total += len(piece)
                assert total == size
            assert counts(session) == (0, 1)
    assert origin.accepted == 1


def compose(method: str, body: bytes, headers: dict[str, str] | None = None) -> OutgoingRequest:
    """Return a request to nowhere."""
    return HeaderDefaults(headers, None).request(method, destination("http://h/"), body=body)


class BreakingLink:
    """A link that delivers `answer` while it drains, and breaks then."""

    deadline: float | None = None
    needs_drain = True
    closing = False

    def __init__(self, receiver: ClientHTTPConnection, *answer: bytes) -> None:
        self._receiver = receiver
        self._answer = answer
        receiver.link_made(self)  # type: ignore[arg-type]  # what is missing is not called

    def write(self, data: bytes) -> None:
        """Drop the bytes."""

    def writelines(self, pieces: object) -> None:
        """Drop the bytes."""

    async def drain(self) -> None:
        """Deliver, then break."""
        for data in self._answer:
            self._receiver.bytes_received(data)
        self.abort()
        raise ConnectionResetError(104, "reset")

    def close(self) -> None:
        """Close; nothing is queued."""
        self.abort()

    def abort(self) -> None:
        """Tell the loss, once."""
        if not self.closing:
            self.closing = True
            self._receiver.link_lost(ConnectionResetError(104, "reset"))


class NoKeeper:
    """Keeps nothing."""

    def __init__(self) -> None:
        self.dropped = 0

    def now(self) -> float:
        """No time passes."""
        return 0.0

    def keep(self, connection: ClientHTTPConnection) -> None:
        """A broken connection must not be kept."""
        raise AssertionError

    def drop(self, connection: ClientHTTPConnection) -> None:
        """Count it."""
        self.dropped += 1

    def lost(self, connection: ClientHTTPConnection) -> None:
        """Nothing to do."""


@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ([], httpclient.ClientOSError),
        ([b"HTTP/1.1 413 x\r\nContent-Length: 2\r\n\r\nno"], None),
        ([b"HTTP/1.1 103 x\r\n\r\nHTTP/1.1 413 x\r\nContent-Length: 2\r\n\r\nno"], None),
        ([b"HTTP/1.1 413 x\r\n", b"Content-Length: 2\r\n\r\n", b"no"], None),
        ([b"HTTP/1.1 413 x\r\nContent-Length: 2\r\n\r\nn"], httpclient.ClientPayloadError),
        ([b"HTTP/1.1 413 x\r\nContent-Le"], httpclient.ClientOSError),
        ([b"garbage\r\n\r\n"], httpclient.ClientResponseError),
    ],
)
async def test_answer_before_broken_upload_counts_for_more(
    size: int, answer: list[bytes], error: type[Exception] | None
) -> None:
    keeper = NoKeeper()
    connection = ClientHTTPConnection(keeper, None)
    BreakingLink(connection, *answer)
    request = compose("POST", bytes(size))

    async def exchange() -> bytes:
        head = await connection.request(request, httpclient.ClientTimeout(), None, 1000)
        assert head.status == 413
        body = connection.receive_body(head)
        if isinstance(body, httpclient.StreamReader):
            return await body.read()
        return body.data if body is not None else b""

    if error is None:
        assert await exchange() == b"no"
    else:
        with pytest.raises(error):
            await exchange()
    assert keeper.dropped == 1
    assert not connection.usable


async def test_head_that_comes_bit_by_bit_and_body_in_one_go(serve: Serve) -> None:
    data = response(b"x" * 300_000, b"X-A: 1\r\n")

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            for byte in data[:60]:
                await peer.send(bytes([byte]))
            await peer.send(data[60:])

    async with serve(script) as origin, httpclient.ClientSession() as session:
        for _ in range(3):
            async with session.get(origin.url) as resp:
                assert await resp.read() == b"x" * 300_000
                assert resp.headers["X-A"] == "1"
            assert counts(session) == (0, 1)
    assert origin.accepted == 1


DATA = response(b"hello", b"X: 1\r\n")


class PushyLink(BreakingLink):
    """A link that delivers in several calls before its task gets a turn."""

    needs_drain = False

    def __init__(self, receiver: ClientHTTPConnection, cut: int) -> None:
        super().__init__(receiver)
        self._cut = cut

    async def more(self) -> None:
        """Deliver a piece, then byte by byte."""
        self._receiver.bytes_received(DATA[: self._cut])
        for index in range(self._cut, len(DATA)):
            self._receiver.bytes_received(DATA[index : index + 1])


@pytest.mark.parametrize("cut", range(1, len(DATA)))
async def test_response_that_arrives_before_anybody_looks(cut: int) -> None:
    keeper = NoKeeper()
    connection = ClientHTTPConnection(keeper, None)
    PushyLink(connection, cut)
    request = compose("GET", b"", {"Connection": "close"})
    head = await connection.request(request, httpclient.ClientTimeout(), None, 1000)
    assert head.headers["X"] == "1"
    body = connection.receive_body(head)
    assert isinstance(body, httpclient.StreamReader)
    assert await body.read() == b"hello"
    assert keeper.dropped == 1


@pytest.mark.parametrize("in_parts", [False, True])
async def test_large_body_of_known_length_is_read_whole(serve: Serve, in_parts: bool) -> None:
    """It is received into its place; the connection carries the next one as well."""
    body = bytes(range(256)) * 2500

    async def script(peer: Peer) -> None:
        for _ in range(3):
            await peer.request()
            data = response(body)
            cuts = [0, 100, 70_000, 300_000, len(data)] if in_parts else [0, len(data)]
            for start, end in itertools.pairwise(cuts):
                await peer.send(data[start:end])

    async with serve(script) as origin, httpclient.ClientSession() as session:
        for _ in range(3):
            async with session.get(origin.url) as resp:
                assert await resp.read() == body
        assert origin.accepted == 1
        assert counts(session) == (0, 1)


@pytest.mark.parametrize("hints", [0, 12])
@pytest.mark.parametrize("count", [1, 20])
async def test_head_and_body_in_one_large_delivery(serve: Serve, hints: int, count: int) -> None:
    """Reading stops behind such a delivery until the task had its turn, and goes on then."""
    body = bytes(range(256)) * 1024 * count
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: %b\r\n\r\n" % (b"x" * 7000)

    async def script(peer: Peer) -> None:
        for _ in range(3):
            await peer.request()
            await peer.send(hint * hints + response(body))

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert await resp.read() == body
        async with session.get(origin.url) as resp:
            await anyio.wait_all_tasks_blocked()
            pieces = [piece async for piece in resp.content.iter_any()]
            assert b"".join(pieces) == body
        async with session.get(origin.url) as resp:
            assert await resp.content.readexactly(len(body)) == body
    assert origin.accepted == 1


async def test_large_answer_while_the_request_is_not_taken(serve: Serve) -> None:
    """If reading stopped then, either side would wait for the other."""
    answer = b"y" * 8_000_000

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(response(answer))
        await peer.read(len(data))

    data = b"x" * 8_000_000
    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.post(origin.url, data=data) as resp:
            assert await resp.read() == answer


async def test_large_body_that_is_cut_is_no_body(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
        await anyio.wait_all_tasks_blocked()
        await peer.send(bytes(1000))
        await anyio.wait_all_tasks_blocked()
        await peer.close()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            with pytest.raises(httpclient.ClientPayloadError):
                await resp.content.read()
            with pytest.raises(httpclient.ClientPayloadError):
                await resp.read()
        assert counts(session) == (0, 0)


async def test_cancelled_read_of_a_large_body_leaves_no_connection(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
        await peer.closed()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(resp.read)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            assert counts(session) == (0, 0)
            with pytest.raises(httpclient.ClientConnectionError):
                await resp.content.read()


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        (b"Keep-Alive: timeout=5, max=100\r\n", 5.0),
        (b"Keep-Alive: max=1;timeout=7\r\n", 7.0),
        (b"Keep-Alive: timeout=-1\r\n", None),
        (b"", None),
    ],
)
async def test_server_may_say_how_long_it_keeps_a_connection(
    serve: Serve, field: bytes, hint: float | None
) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(head=field)

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            await resp.read()
        assert isinstance(session.connector, httpclient.BaseConnector)
        (connection,) = session.connector._open
        assert connection.keepalive_hint == hint


async def test_connection_goes_to_a_waiting_task_before_the_reader_woke(serve: Serve) -> None:
    """The next request on the connection got BusyError: its reader was still parked there."""
    waits = anyio.Event()

    async def script(peer: Peer) -> None:
        for _ in range(2):
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
            await waits.wait()
            await peer.send(b"cd")

    async with serve(script) as origin:
        connector = httpclient.TCPConnector(limit=1)
        async with httpclient.ClientSession(connector=connector) as session:

            async def ask() -> None:
                async with session.get(origin.url) as response:
                    assert await response.read() == b"abcd"

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                tasks.start_soon(ask)
                while not connector.pool.stats().waiting:
                    await anyio.lowlevel.checkpoint()
                await anyio.wait_all_tasks_blocked()
                waits.set()
    assert origin.accepted == 1
