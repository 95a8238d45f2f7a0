"""Content codings of a response: undone on the way, within bounds, and never silently cut."""

from __future__ import annotations

import gc
import random
import threading
import zlib
from collections.abc import Callable
from typing import Any

import anyio
import pytest

import httpclient
import httpclient._decoding as decoding
from httpcore_proto import (
    CodingLimits,
    ContentEncodingError,
    encode_body,
    parse_codings,
    supported_codings,
)
from httpcore_proto.aio import BusyError, MultipartReader

from .conftest import Peer, Serve, counts, response

#: A body that arrives with its head, and one that takes several reads, coded or not.
SMALL = b"hello, hello, hello. " * 20
LARGE = random.Random(1).randbytes(300_000) + bytes(100_000)
SIZES = pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
CODINGS = pytest.mark.parametrize("coding", sorted(supported_codings()))


def session_with(**limits: Any) -> httpclient.ClientSession:
    """Return a session with these `CodingLimits`."""
    return httpclient.ClientSession(coding_limits=CodingLimits(**limits))


def plays(coded: bytes, coding: str, *, chunks: int = 0) -> Callable[[Peer], Any]:
    """Return a script that answers each request with `coded`, in chunks of a size if given."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            field = b"Content-Encoding: %b\r\n" % coding.encode()
            if not chunks:
                await peer.send(response(coded, field))
                continue
            await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + field + b"\r\n")
            for start in range(0, len(coded), chunks):
                piece = coded[start : start + chunks]
                await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await peer.send(b"0\r\n\r\n")

    return script


@pytest.mark.parametrize(
    "coding",
    [
        *sorted(supported_codings()),
        "x-gzip",
        "GZip",
        "identity",
        "deflate, gzip",
        "gzip, identity, br",
        "br,\tgzip , deflate",
    ],
)
@SIZES
async def test_codings_are_undone(serve: Serve, coding: str, body: bytes) -> None:
    coded = encode_body(body, parse_codings(coding))
    async with serve(plays(coded, coding)) as origin, session_with() as session:
        async with session.get(origin.url) as resp:
            assert await resp.read() == body
            assert await resp.read() == body
            # What was sent can still be told.
            assert resp.headers["Content-Encoding"] == coding
            assert resp.content_length == len(coded)
        async with session.get(origin.url) as resp:
            assert b"".join([piece async for piece in resp.iter_chunked(5000)]) == body
            assert await resp.read() == b""
        assert counts(session) == (0, 1)
        assert origin.accepted == 1


@SIZES
async def test_deflate_may_lack_its_zlib_form(serve: Serve, body: bytes) -> None:
    compressor = zlib.compressobj(wbits=-15)
    coded = compressor.compress(body) + compressor.flush()
    async with serve(plays(coded, "deflate")) as origin, session_with() as session:
        async with session.get(origin.url) as resp:
            assert await resp.read() == body


@pytest.mark.parametrize("coding", ["rot13", "gzip, rot13", "g zip", "Gz\u0130p", "compress"])
@SIZES
async def test_unknown_coding_is_left_as_it_is(serve: Serve, coding: str, body: bytes) -> None:
    async with serve(plays(body, coding)) as origin, session_with() as session:
        async with session.get(origin.url) as resp:
            assert await resp.read() == body
            assert resp.content.total_compressed_bytes is None


async def test_nothing_is_undone_unless_asked_for(serve: Serve) -> None:
    coded = encode_body(SMALL, "gzip")
    async with serve(plays(coded, "gzip")) as origin, session_with() as session:
        async with session.get(origin.url) as resp:
            arrived = resp._piece
            plain = httpclient.ClientResponse(
                session, resp._request, resp._head, None, arrived, auto_decompress=False
            )
            assert await plain.read() == coded
            assert await resp.read() == SMALL


@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"304 Not Modified"])
async def test_no_body_is_none_in_any_coding(serve: Serve, status: bytes) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            length = b"" if status.startswith(b"204") else b"Content-Length: 77\r\n"
            await peer.send(
                b"HTTP/1.1 %b\r\n%bContent-Encoding: gzip, br\r\n\r\n" % (status, length)
            )

    async with serve(script) as origin, session_with() as session:
        for _ in range(2):
            async with session.head(origin.url) as resp:
                assert await resp.read() == b""
                assert await resp.content.read() == b""
        assert origin.accepted == 1


async def test_empty_body_is_none_in_any_coding(serve: Serve) -> None:
    async with serve(plays(b"", "gzip")) as origin, session_with() as session:
        async with session.get(origin.url) as resp:
            assert await resp.read() == b""


async def test_first_chunk_without_content_does_not_end_the_body(serve: Serve) -> None:
    coded = encode_body(SMALL, "gzip")
    async with serve(plays(coded, "gzip", chunks=10)) as origin, session_with() as session:
        async with session.get(origin.url) as resp:
            assert await resp.read() == SMALL
        async with session.get(origin.url) as resp:
            pieces = []
            while (item := await resp.content.readchunk()) != (b"", False):
                pieces.append(item[0])
            assert b"".join(pieces) == SMALL


async def test_what_one_piece_inflates_to_is_given_whole(serve: Serve) -> None:
    body = bytes(1_000_000)
    coded = encode_body(body, "gzip")
    async with serve(plays(coded, "gzip")) as origin, session_with(max_ratio=None) as session:
        async with session.get(origin.url) as resp:
            assert b"".join([piece async for piece in resp.iter_any()]) == body
            assert resp.content.total_bytes == len(body)
            assert resp.content.total_raw_bytes == len(coded)
            assert resp.content.total_compressed_bytes == len(coded)


@CODINGS
@SIZES
async def test_coding_that_is_cut_is_an_error(serve: Serve, coding: str, body: bytes) -> None:
    """Content-Length was satisfied, and half of the body passed for all of it."""
    coded = encode_body(body, coding)[:-1]
    async with serve(plays(coded, coding)) as origin, session_with() as session:
        async with session.get(origin.url) as resp:
            for _ in range(2):
                with pytest.raises(httpclient.ClientPayloadError, match="ends within") as caught:
                    await resp.read()
                assert isinstance(caught.value.__cause__, ContentEncodingError)
                assert caught.value.__cause__.rule == "coding-truncated"
        async with session.get(origin.url) as resp:
            with pytest.raises(httpclient.ClientPayloadError):
                async for _ in resp.content.iter_any():
                    pass
            assert isinstance(resp.content.exception(), httpclient.ClientPayloadError)


@pytest.mark.parametrize(
    ("limits", "body", "limit", "allowed"),
    [
        ({}, bytes(20_000_000), "max_ratio", 200),
        ({}, bytes(100_000_000), "max_ratio", 200),
        ({"max_ratio": None, "max_size": 9_999}, bytes(10_000), "max_size", 9_999),
        ({"max_size": 399_999}, LARGE, "max_size", 399_999),
    ],
    ids=["ratio", "ratio-large", "size", "size-large"],
)
async def test_bomb_is_an_error(
    serve: Serve, limits: dict[str, int | None], body: bytes, limit: str, allowed: int
) -> None:
    coded = encode_body(body, "gzip")
    async with serve(plays(coded, "gzip")) as origin, session_with(**limits) as session:
        for read in (httpclient.ClientResponse.read, lambda resp: resp.content.read()):
            async with session.get(origin.url) as resp:
                with pytest.raises(httpclient.ClientPayloadError, match="coding_limits") as caught:
                    await read(resp)
            cause = caught.value.__cause__
            assert isinstance(cause, ContentEncodingError)
            assert (cause.limit, cause.allowed) == (limit, allowed)
            assert cause.value is not None
            assert cause.value > allowed


async def test_body_at_the_limit_is_none(serve: Serve) -> None:
    coded = encode_body(bytes(1000), "gzip")
    async with serve(plays(coded, "gzip")) as origin, session_with(max_size=1000) as session:
        async with session.get(origin.url) as resp:
            assert await resp.read() == bytes(1000)


@SIZES
async def test_too_many_codings_are_an_error(serve: Serve, body: bytes) -> None:
    coding = ", ".join(["gzip"] * 6)
    async with serve(plays(body, coding)) as origin, session_with() as session:
        for read in (httpclient.ClientResponse.read, lambda resp: resp.content.read()):
            async with session.get(origin.url) as resp:
                with pytest.raises(httpclient.ClientPayloadError, match="6 content codings"):
                    await read(resp)


async def test_wrong_data_closes_the_connection(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nno")
        await peer.closed()

    async with serve(script) as origin, session_with() as session:
        resp = await session.get(origin.url)
        assert counts(session) == (1, 0)
        with pytest.raises(httpclient.ClientPayloadError, match="bad gzip data"):
            await resp.content.readany()
        assert resp.closed
        assert counts(session) == (0, 0)
        with pytest.raises(httpclient.ClientPayloadError, match="bad gzip data"):
            await resp.content.readany()


async def test_cut_body_is_told_as_without_a_coding(serve: Serve) -> None:
    coded = encode_body(LARGE, "gzip")

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(response(coded, b"Content-Encoding: gzip\r\n")[:-1])
        await peer.close()

    async with serve(script) as origin, session_with() as session:
        resp = await session.get(origin.url)
        with pytest.raises(httpclient.ClientPayloadError, match="not completed"):
            while await resp.content.readany():
                pass
        assert isinstance(resp.content.exception(), httpclient.ClientPayloadError)
        with pytest.raises(httpclient.ClientPayloadError, match="not completed"):
            await resp.read()


async def test_time_out_is_told_as_without_a_coding(serve: Serve) -> None:
    coded = encode_body(SMALL, "gzip")

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(response(coded, b"Content-Encoding: gzip\r\n")[:-1])
        await peer.closed()

    async with serve(script) as origin, session_with() as session:
        timeout = httpclient.ClientTimeout(sock_read=0.05)
        async with session.get(origin.url, timeout=timeout) as resp:
            with pytest.raises(httpclient.SocketTimeoutError):
                await resp.read()
        assert counts(session) == (0, 0)


async def test_second_reader_is_refused_and_cancelled_reads_lose_nothing(serve: Serve) -> None:
    coded = encode_body(LARGE, "gzip")
    go_on = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(response(coded, b"Content-Encoding: gzip\r\n")[:1000])
        await go_on.wait()
        await peer.send(response(coded, b"Content-Encoding: gzip\r\n")[1000:])

    async with serve(script) as origin, session_with() as session:
        async with session.get(origin.url) as resp:
            pieces = [await resp.content.readany()]

            async def read() -> None:
                while True:
                    pieces.append(await resp.content.readany())

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(BusyError):
                    await resp.content.readany()
                tasks.cancel_scope.cancel()
            go_on.set()
            pieces.append(await resp.read())
            assert b"".join(pieces) == LARGE


async def test_cancelled_read_closes_the_connection(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 99\r\n\r\n")
        await peer.closed()

    async with serve(script) as origin, session_with() as session:
        resp = await session.get(origin.url)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(resp.read)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert counts(session) == (0, 0)


async def test_dropped_response_closes_the_connection(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 99\r\n\r\n")
        await peer.closed()

    async with serve(script) as origin, session_with() as session:
        resp = await session.get(origin.url)
        assert resp.content is not None
        assert counts(session) == (1, 0)
        del resp
        gc.collect()
        assert counts(session) == (0, 0)


@pytest.mark.parametrize(("size", "leaves"), [(100, False), (50_000, True)])
async def test_large_bodies_are_decoded_in_a_worker_thread(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, size: int, leaves: bool
) -> None:
    threads = []
    decode = decoding._decode

    def noting(*args: Any) -> bytes:
        threads.append(threading.get_ident())
        return decode(*args)

    monkeypatch.setattr(decoding, "_decode", noting)
    body = LARGE[:size]
    async with serve(plays(encode_body(body, "gzip"), "gzip")) as origin, session_with() as session:
        async with session.get(origin.url) as resp:
            assert resp._piece is not None
            assert await resp.read() == body
    assert (threads[0] != threading.get_ident()) is leaves


async def test_released_body_is_lost_in_a_coding_too(serve: Serve) -> None:
    script = plays(encode_body(LARGE, "gzip"), "gzip")
    async with serve(script) as origin, session_with() as session:
        resp = await session.get(origin.url)
        await resp.content.readany()
        resp.release()
        for read in (resp.read, resp.content.read):
            with pytest.raises(httpclient.ClientConnectionError, match="Connection closed"):
                await read()
        assert counts(session)[0] == 0


async def test_multipart_is_read_out_of_a_coding(serve: Serve) -> None:
    body = b"--b\r\nContent-Type: application/json\r\n\r\n[1]\r\n--b\r\n\r\ntext\r\n--b--\r\n"
    coded = encode_body(body, "gzip")
    field = b"Content-Encoding: gzip\r\nContent-Type: multipart/mixed; boundary=b\r\n"

    async def script(peer: Peer) -> None:
        while True:
            await peer.answer(coded, field)

    async with serve(script) as origin, session_with() as session:
        async with session.get(origin.url) as resp:
            reader = MultipartReader.from_response(resp)
            first = await reader.next()
            assert first is not None
            assert await first.json() == [1]
            second = await reader.next()
            assert second is not None
            assert await second.text() == "text"
            assert await reader.next() is None
