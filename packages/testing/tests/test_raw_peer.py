"""Peers of exact bytes, and servers of them."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from httpcore_testing import (
    Certificates,
    MalformedMessageError,
    PatienceError,
    PeerGoneError,
    RawMessage,
    RawPeer,
    RawServer,
)

pytestmark = pytest.mark.anyio

HEAD = b"POST /a HTTP/1.1\r\nHost: a\r\nX:\t\xff \r\nContent-Length: 5\r\n\r\n"


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def contexts(request: pytest.FixtureRequest, certificates: Certificates) -> Any:
    """Contexts of both sides, or None."""
    if not request.param:
        return None, None
    return certificates.server_context(), certificates.client_context()


async def idle(peer: RawPeer) -> None:
    await peer.closed()


def sending(data: bytes) -> Any:
    async def script(peer: RawPeer) -> None:
        await peer.send(data)
        await peer.close()

    return script


async def test_exact_bytes_in_both_directions(contexts: Any) -> None:
    server_tls, client_tls = contexts
    got = []

    async def script(peer: RawPeer) -> None:
        got.append(await peer.receive_exactly(3))
        await peer.send(b"\x00\r\n\xff")
        got.append(await peer.receive_all())

    async with RawServer(script, tls=server_tls) as server:
        async with RawPeer.connect("localhost", server.port, tls=client_tls) as peer:
            await peer.send(b"abcd")
            assert await peer.receive_exactly(2) == b"\x00\r"
            assert await peer.receive_until(b"\xff") == b"\n\xff"
        async with RawPeer.connect("127.0.0.1", server.port, tls=client_tls) as peer:
            await peer.send(b"xyz")
            await peer.receive_exactly(4)
        with anyio.fail_after(5):
            while len(got) < 4:
                await anyio.lowlevel.checkpoint()
    assert got == [b"abc", b"d", b"xyz", b""]
    assert server.accepted == 2


async def test_a_server_tells_where_it_is(contexts: Any) -> None:
    async with RawServer(idle, tls=contexts[0]) as server:
        scheme = "http" if contexts[0] is None else "https"
        assert server.url == f"{scheme}://127.0.0.1:{server.port}/"
        assert server.port != 0
    if socket.has_ipv6:
        async with RawServer(idle, host="::1") as server:
            assert server.url == f"http://[::1]:{server.port}/"
            async with RawPeer.connect("::1", server.port):
                pass


async def test_connections_have_numbers() -> None:
    async def script(peer: RawPeer) -> None:
        await peer.send(b"%d" % peer.number)

    async with RawServer(script) as server:
        for number in range(3):
            async with RawPeer.connect("127.0.0.1", server.port) as peer:
                assert await peer.receive_exactly(1) == b"%d" % number


@pytest.mark.parametrize(
    ("data", "body", "sizes", "trailers"),
    [
        (b"Content-Length: 5\r\n\r\nhello", b"hello", [], b""),
        (b"Content-Length: 0\r\n\r\n", b"", [], b""),
        (b"\r\n", b"", [], b""),
        (
            b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n002\r\nlo\r\n0\r\n\r\n",
            b"hello",
            [3, 2, 0],
            b"",
        ),
        (
            b"Transfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0 ;x\r\nA: b\r\nC:\r\n\r\n",
            b"0123456789",
            [10, 0],
            b"A: b\r\nC:\r\n",
        ),
    ],
)
@pytest.mark.parametrize("start", [b"PUT / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n"])
async def test_messages_end_where_they_end(
    start: bytes, data: bytes, body: bytes, sizes: list[int], trailers: bytes
) -> None:
    async def script(peer: RawPeer) -> None:
        # In three writes, so that nothing depends on where a read ends.
        half = len(data) // 2
        for part in (start, data[:half], data[half:]):
            await peer.send(part)
        if not start.startswith(b"HTTP") or data != b"\r\n":
            await peer.send(b"next")
        await peer.close()

    async with RawServer(script) as server, RawPeer.connect("127.0.0.1", server.port) as peer:
        message = await peer.receive_message()
        assert message.head == start + data[: data.index(b"\r\n\r\n") + 4 if len(data) > 2 else 2]
        assert (message.body, message.chunk_sizes, message.trailers) == (body, sizes, trailers)
        if not start.startswith(b"HTTP") or data != b"\r\n":
            assert await peer.receive_all() == b"next"


async def test_a_response_without_framing_ends_with_the_connection() -> None:
    async with (
        RawServer(sending(b"HTTP/1.0 200 OK\r\n\r\nto the end")) as server,
        RawPeer.connect("127.0.0.1", server.port) as peer,
    ):
        assert (await peer.receive_message()).text == "to the end"


@pytest.mark.parametrize("status", [b"100 Continue", b"204", b"304 Not Modified"])
async def test_some_responses_have_no_body(status: bytes) -> None:
    head = b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\n"
    async with (
        RawServer(sending(head + b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")) as server,
        RawPeer.connect("127.0.0.1", server.port) as peer,
    ):
        assert (await peer.receive_message()).status == int(status[:3])
        message = await peer.receive_message(bodiless=True)
        assert (message.status, message.body) == (200, b"")
        assert await peer.receive_all() == b"x"


def test_a_message_tells_its_parts() -> None:
    request = RawMessage(HEAD, b"hello")
    assert (request.start_line, request.method) == ("POST /a HTTP/1.1", "POST")
    assert (request.is_response, request.text) == (False, "hello")
    assert list(request.headers.items()) == [
        ("Host", "a"),
        ("X", "\udcff"),
        ("Content-Length", "5"),
    ]
    with pytest.raises(MalformedMessageError, match="no status"):
        request.status  # noqa: B018
    with pytest.raises(MalformedMessageError, match="no method"):
        RawMessage(b"HTTP/1.1 200 OK\r\n\r\n").method  # noqa: B018


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"Content-Length: +5\r\n\r\nhello", "Content-Length '\\+5' is no number"),
        (b"Content-Length: \xd9\xa5\r\n\r\nhello", "is no number"),
        (b"Content-Length: 101\r\n\r\n", "limit=100"),
        (b"Transfer-Encoding: gzip\r\n\r\n", "Transfer-Encoding 'gzip', not chunked"),
        (b"Transfer-Encoding: chun\xe2\x84\xaaed\r\n\r\n", "not chunked"),
        (b"Transfer-Encoding: chunked\r\n\r\n0x5\r\n", "no line of a chunk's size"),
        (b"Transfer-Encoding: chunked\r\n\r\n-5\r\n", "no line of a chunk's size"),
        (b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n", "chunk's size"),
        (b"Transfer-Encoding: chunked\r\n\r\n65\r\n", "limit=100"),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "instead of CR LF"),
        (b"No colon\r\n\r\n", "has no colon"),
        (b"X: " + b"x" * 70000, "limit=65536"),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 20000, "65536 allows"),
    ],
)
async def test_malformed_messages_are_told(data: bytes, error: str) -> None:
    async with (
        RawServer(sending(b"PUT / HTTP/1.1\r\n" + data)) as server,
        RawPeer.connect("127.0.0.1", server.port) as peer,
    ):
        with pytest.raises(MalformedMessageError, match=error):
            await peer.receive_message(limit=100)


async def test_a_status_that_is_none_is_told() -> None:
    with pytest.raises(MalformedMessageError, match="no status"):
        RawMessage(b"HTTP/1.1 2000 OK\r\n\r\n").framing  # noqa: B018


async def test_a_limit_is_inclusive() -> None:
    async def script(peer: RawPeer) -> None:
        await peer.send(b"abcdX")
        await peer.send(b"abcdefX")
        await peer.close()

    async with RawServer(script) as server, RawPeer.connect("127.0.0.1", server.port) as peer:
        assert await peer.receive_until(b"X", 5) == b"abcdX"
        with pytest.raises(MalformedMessageError, match="limit=6"):
            await peer.receive_until(b"X", 6)
        with pytest.raises(MalformedMessageError, match="limit=6"):
            await peer.receive_all(6)
        assert await peer.receive_all(7) == b"abcdefX"


async def test_a_delimiter_in_two_reads_is_found() -> None:
    async def script(peer: RawPeer) -> None:
        for piece in (b"a\r", b"\n\r", b"\nb"):
            await peer.send(piece)
            await peer.receive_exactly(1)

    async with RawServer(script) as server, RawPeer.connect("127.0.0.1", server.port) as peer:
        peer.patience = 0.05
        for _ in range(2):
            with pytest.raises(PatienceError):
                await peer.receive_until(b"\r\n\r\n")
            await peer.send(b"x")
        peer.patience = 10
        assert await peer.receive_until(b"\r\n\r\n") == b"a\r\n\r\n"
        assert await peer.receive_exactly(1) == b"b"


async def test_a_long_input_without_the_delimiter_takes_linear_time() -> None:
    size = 4 * 2**20

    async with (
        RawServer(sending(b"\r\n\r" * (size // 3) + b"\r\n\r\n")) as server,
        RawPeer.connect("127.0.0.1", server.port) as peer,
    ):
        got = await peer.receive_until(b"\r\n\r\n", 2 * size)
        assert len(got) == size // 3 * 3 + 4


# Impatience and leaving


async def test_an_impatient_peer_tells_what_it_waited_for() -> None:
    async def script(peer: RawPeer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nA: b\r\n")
        await peer.closed()

    async with RawServer(script) as server:
        async with RawPeer.connect("127.0.0.1", server.port) as peer:
            assert await peer.receive_exactly(4) == b"HTTP"  # the rest came with it
            peer.patience = 0.05
            message = r"waited 0\.05 s \(patience\) for b'\\r\\n\\r\\n'.*200 OK"
            with pytest.raises(PatienceError, match=message) as caught:
                await peer.receive_head()
            assert caught.value.received == b"/1.1 200 OK\r\nA: b\r\n"
            with pytest.raises(PatienceError, match="for the end"):
                await peer.closed()
            # Nothing is lost by it.
            assert await peer.receive_exactly(4) == b"/1.1"


async def test_sending_to_who_does_not_read_ends() -> None:
    # Nobody accepts, so that nothing reads ahead: the kernel alone takes what it has room for.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with RawPeer.connect(*listening.getsockname()) as peer:
            peer.patience = 0.05
            with pytest.raises(
                PatienceError, match="67108864 bytes to be sent; what came is nothing"
            ):
                await peer.send(bytes(2**26))


async def test_connecting_to_nobody_fails() -> None:
    async with RawServer(idle) as server:
        pass
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        async with RawPeer.connect("127.0.0.1", server.port):
            pass


async def test_who_closed_is_told_with_what_came() -> None:
    async with (
        RawServer(sending(b"x" * 300 + b"HTTP/1.1")) as server,
        RawPeer.connect("127.0.0.1", server.port) as peer,
    ):
        message = "waited for 400 bytes; the peer closed .* 308 bytes, at last b'x*HTTP/1.1'"
        with pytest.raises(PeerGoneError, match=message) as caught:
            await peer.receive_exactly(400)
        assert (len(caught.value.received), caught.value.ending) == (308, "fin")
        assert await peer.closed() == "fin"
        assert len(await peer.receive_all()) == 308


@pytest.mark.parametrize("how", ["reset", "reset_when_closed"])
async def test_a_reset_is_told_from_an_orderly_end(how: str, contexts: Any) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.send(b"abc")
        await peer.receive_exactly(1)
        if how == "reset":
            await peer.reset()
        else:
            peer.reset_when_closed()
            await peer.close()

    async with (
        RawServer(script, tls=contexts[0]) as server,
        RawPeer.connect("127.0.0.1", server.port, tls=contexts[1]) as peer,
    ):
        assert await peer.receive_exactly(1) == b"a"
        assert await peer.receive_exactly(1) == b"b"
        await peer.send(b"x")
        assert await peer.closed() == "reset"
        with pytest.raises(PeerGoneError, match="the peer reset") as caught:
            await peer.receive_all()
        assert caught.value.received == b"c"
        with pytest.raises(PeerGoneError):
            for _ in range(100):
                await peer.send(b"x")


async def test_a_client_can_reset() -> None:
    ended: list[str] = []

    async def script(peer: RawPeer) -> None:
        ended.append(await peer.closed())
        done.set()

    done = anyio.Event()
    async with RawServer(script) as server:
        async with RawPeer.connect("127.0.0.1", server.port) as peer:
            await peer.reset()
        with anyio.fail_after(5):
            await done.wait()
    assert ended == ["reset"]


async def test_half_of_a_connection_can_end() -> None:
    async def script(peer: RawPeer) -> None:
        await peer.send(await peer.receive_all() + b"!")
        await peer.close()

    async with RawServer(script) as server, RawPeer.connect("127.0.0.1", server.port) as peer:
        await peer.send(b"question")
        await peer.send_eof()
        assert await peer.receive_all() == b"question!"


async def test_a_unix_socket(tmp_path: Path) -> None:
    async with await anyio.create_unix_listener(tmp_path / "s") as listener:

        async def serve(stream: Any) -> None:
            async with RawPeer(stream) as peer:
                await peer.send(await peer.receive_exactly(3))

        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, serve)
            async with RawPeer.connect_unix(tmp_path / "s") as peer:
                await peer.send(b"abc")
                assert await peer.receive_all() == b"abc"
            group.cancel_scope.cancel()


# Scripts


async def test_heads_are_kept() -> None:
    async def script(peer: RawPeer) -> None:
        while True:
            await peer.receive_message()
            await peer.send(b"x")

    async with RawServer(script) as server, RawPeer.connect("127.0.0.1", server.port) as peer:
        for _ in range(2):
            await peer.send(HEAD + b"hello")
            await peer.receive_exactly(1)
    assert server.heads == [HEAD, HEAD]


async def test_a_connection_stays_open_behind_its_script() -> None:
    async def script(peer: RawPeer) -> None:
        await peer.send(b"x")

    async with RawServer(script) as server:
        async with RawPeer.connect("127.0.0.1", server.port) as peer:
            assert await peer.receive_exactly(1) == b"x"
            peer.patience = 0.05
            with pytest.raises(PatienceError):
                await peer.closed()


async def test_an_error_of_a_script_is_raised_to_the_test() -> None:
    async def script(peer: RawPeer) -> None:
        assert await peer.receive_exactly(1) == b"y"

    with pytest.raises(AssertionError):
        async with RawServer(script) as server:
            async with RawPeer.connect("127.0.0.1", server.port) as peer:
                await peer.send(b"x")
                await anyio.sleep_forever()


async def test_impatience_of_a_script_is_an_error() -> None:
    with pytest.raises(PatienceError, match="for 1 bytes"):
        async with RawServer(lambda peer: peer.receive_exactly(1), patience=0.01) as server:
            async with RawPeer.connect("127.0.0.1", server.port):
                await anyio.sleep_forever()


async def test_errors_of_several_scripts_are_raised_together() -> None:
    async def script(peer: RawPeer) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError(peer.number)

    async def fail(peer: RawPeer) -> None:
        if peer.number:
            raise ValueError(peer.number)
        await script(peer)

    with pytest.raises(ExceptionGroup, match="several scripts") as caught:
        async with RawServer(fail) as server:
            async with (
                RawPeer.connect("127.0.0.1", server.port) as peer,
                RawPeer.connect("127.0.0.1", server.port),
            ):
                await peer.receive_exactly(1)
    assert sorted(error.args for error in caught.value.exceptions) == [(0,), (1,)]


@pytest.mark.parametrize("error", [KeyError(), pytest.fail.Exception("x")])
@pytest.mark.parametrize("where", ["test", "script"])
async def test_an_error_comes_as_it_is(error: BaseException, where: str) -> None:
    """A task group made a group of it."""

    async def script(peer: RawPeer) -> None:
        if where == "script":
            raise error
        await peer.closed()

    with pytest.raises(type(error)) as caught:
        async with RawServer(script) as server:
            async with RawPeer.connect("127.0.0.1", server.port):
                if where == "test":
                    raise error
                await anyio.sleep_forever()
    assert caught.value is error


async def test_leaving_ends_scripts_and_listener() -> None:
    ended = []

    async def script(peer: RawPeer) -> None:
        try:
            await peer.send(b"x")
            await anyio.sleep_forever()
        finally:
            ended.append(peer.number)

    async with RawServer(script) as server:
        async with RawPeer.connect("127.0.0.1", server.port) as peer:
            await peer.receive_exactly(1)
    assert ended == [0]
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        async with RawPeer.connect("127.0.0.1", server.port):
            pass


async def test_a_script_ends_in_silence_when_its_peer_is_gone() -> None:
    async with RawServer(lambda peer: peer.receive_exactly(2)) as server:
        for _ in range(2):
            async with RawPeer.connect("127.0.0.1", server.port) as peer:
                await peer.send(b"x")
    assert server.accepted == 2


async def test_a_script_may_use_what_it_has_closed_no_more() -> None:
    async def script(peer: RawPeer) -> None:
        await peer.close()
        await peer.send(b"x")

    with pytest.raises(anyio.ClosedResourceError):
        async with RawServer(script) as server:
            async with RawPeer.connect("127.0.0.1", server.port):
                await anyio.sleep_forever()


async def test_a_handshake_that_fails_is_noted(certificates: Certificates) -> None:
    async with RawServer(idle, tls=certificates.server_context()) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            async with RawPeer.connect(
                "127.0.0.1", server.port, tls=Certificates().client_context()
            ):
                pass
        with anyio.fail_after(5):
            while not server.handshake_errors:
                await anyio.lowlevel.checkpoint()
    assert server.accepted == 1
    assert server.heads == []


async def test_a_script_can_meet_a_certain_name(certificates: Certificates) -> None:
    tls = certificates.server_context("name.test")
    async with RawServer(idle, tls=tls) as server:
        async with RawPeer.connect(
            "127.0.0.1",
            server.port,
            tls=certificates.client_context(),
            server_hostname="name.test",
        ):
            pass
