"""What a response tells beside its body: cookies, links, disposition, trailers."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

import httpclient
import httpcore_proto
from httpclient._body_stream import BodyStream
from httpcore_proto import BadContentDispositionHeader, BadContentDispositionParam, Data, Response

from .conftest import Peer, Serve, counts, response


class _Connection:
    """A connection whose bodies are all complete."""

    def is_receiving(self, stream: object) -> bool:
        return False


class _Request:
    """A request, as far as a response looks at it."""

    method = "GET"

    def __init__(self, url: str) -> None:
        self.destination = self
        self.url = URL(url)


def head(
    *fields: tuple[str, str], url: str = "http://name.test/a/b?c#frag", body: Any = None
) -> httpclient.ClientResponse:
    """Return a response with these fields, made without a connection."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    machine = httpcore_proto.ClientConnection()
    machine.send(httpcore_proto.Request(method="GET", target="/", headers=[("Host", "name.test")]))
    machine.send(httpcore_proto.EndOfMessage())
    machine.receive_data(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode("utf-8", "surrogateescape"))
    event = machine.next_event()
    assert isinstance(event, Response)
    make: Any = httpclient.ClientResponse
    return make(None, _Request(url), event, _Connection(), body)


def test_cookies_are_those_of_this_response() -> None:
    resp = head(
        ("Set-Cookie", "a=1; Path=/x; SameSite=Lax; HttpOnly"),
        ("Set-Cookie", 'b="q\\054"'),
        ("Set-Cookie", "no cookie"),
        ("Set-Cookie", "a=2; Secure"),
    )
    assert {name: morsel.value for name, morsel in resp.cookies.items()} == {"a": "2", "b": "q,"}
    assert resp.cookies["a"]["secure"]
    assert not resp.cookies["a"]["path"]
    assert resp.cookies["b"].coded_value == '"q\\054"'
    assert resp.cookies is resp.cookies


def test_cookies_are_none_without_a_field() -> None:
    assert not head().cookies


def test_cookies_are_fifty_at_most() -> None:
    cookies = head(*(("Set-Cookie", f"c{number}=x") for number in range(100))).cookies
    assert len(cookies) == 50
    assert "c49" in cookies


@pytest.mark.parametrize(
    ("fields", "links"),
    [
        ([], []),
        (
            ["<x>; rel=next; title=T"],
            [("next", {"rel": "next", "title": "T", "url": URL("http://name.test/a/x")})],
        ),
        (
            ["</p?q>; rel=prev, <http://other.test/>", '<?2>; rel="next last"'],
            [
                ("prev", {"rel": "prev", "url": URL("http://name.test/p?q")}),
                ("http://other.test/", {"url": URL("http://other.test/")}),
                ("next last", {"rel": "next last", "url": URL("http://name.test/a/b?2")}),
            ],
        ),
        (
            ["<a>; rel=x", "<b>; rel=x"],
            [
                ("x", {"rel": "x", "url": URL("http://name.test/a/a")}),
                ("x", {"rel": "x", "url": URL("http://name.test/a/b")}),
            ],
        ),
        (["<>; rel=self"], [("self", {"rel": "self", "url": URL("http://name.test/a/b?c")})]),
        (["nonsense", "<http://[::1>; rel=a", "<http://h:x/>; rel=b"], []),
        (
            ["<a>; url=evil; rel=r"],
            [("r", {"rel": "r", "url": URL("http://name.test/a/a")})],
        ),
    ],
)
def test_links_are_joined_to_the_url(fields: list[str], links: list[Any]) -> None:
    found = head(*(("Link", field) for field in fields)).links
    assert [(rel, dict(link)) for rel, link in found.items()] == links


def test_links_are_a_hundred_at_most() -> None:
    resp = head(("Link", ",".join(f"<{number}>" for number in range(1000))))
    assert len(resp.links) == 100


@pytest.mark.parametrize(
    ("value", "kind", "parameters", "filename"),
    [
        ('Attachment; filename="a b.txt"', "attachment", {"filename": "a b.txt"}, "a b.txt"),
        (
            "inline; filename=x; filename*=UTF-8''%e2%82%ac",
            "inline",
            {"filename": "x", "filename*": "€"},
            "€",
        ),
        ("attachment", "attachment", {}, None),
    ],
)
def test_disposition(value: str, kind: str, parameters: dict[str, str], filename: str) -> None:
    disposition = head(("Content-Disposition", value)).content_disposition
    assert disposition == httpclient.ContentDisposition(kind, parameters, filename)
    with pytest.raises(TypeError):
        disposition.parameters["a"] = "b"  # type: ignore[index, union-attr]


def test_disposition_that_is_none() -> None:
    assert head().content_disposition is None
    with pytest.warns(BadContentDispositionHeader):
        assert head(("Content-Disposition", "a; b")).content_disposition is None
    with pytest.warns(BadContentDispositionParam):
        found = head(("Content-Disposition", "a; b*=x")).content_disposition
    assert found == httpclient.ContentDisposition("a", {}, None)


def test_history_is_what_the_session_sets() -> None:
    first, second = head(), head()
    assert second.history == ()
    second._history = (first,)
    assert second.history == (first,)


def test_trailers_are_there_once_the_body_is() -> None:
    stream = BodyStream(None)
    resp = head(("Transfer-Encoding", "chunked"), body=stream)
    with pytest.raises(RuntimeError, match="not yet received"):
        _ = resp.trailers
    stream.trailers = CIMultiDictProxy(CIMultiDict({"Digest": "x"}))
    stream.feed_eof()
    assert resp.trailers["digest"] == "x"
    assert "Digest" not in resp.headers


def test_trailers_are_mostly_none() -> None:
    assert not head(body=Data(b"x")).trailers
    assert not head(body=None).trailers
    stream = BodyStream(None)
    stream.feed_eof()
    assert not head(body=stream).trailers


# The end, and errors.


async def test_release_may_be_awaited_or_not(serve: Serve) -> None:
    async with serve(Peer.answer_all) as origin, httpclient.ClientSession() as session:
        resp = await session.get(origin.url)
        resp.release()
        await resp.release()
        await resp.wait_for_close()
        assert resp.closed
        assert counts(session) == (0, 1)


async def test_waiting_for_close_lets_go_of_the_connection(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        await peer.closed()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        resp = await session.get(origin.url)
        await resp.wait_for_close()
        assert counts(session) == (0, 0)


@pytest.mark.parametrize("status_line", [b"HTTP/1.1 404 \r\n", b"HTTP/1.1 404\r\n"])
async def test_blank_reason_is_no_obstacle(serve: Serve, status_line: bytes) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(status_line + b"Content-Length: 0\r\nX: y\r\n\r\n")

    async with serve(script) as origin, httpclient.ClientSession() as session:
        url = f"{origin.url}p?q#frag"
        resp = await session.get(url)
        with pytest.raises(httpclient.ClientResponseError) as caught:
            resp.raise_for_status()
        error = caught.value
        assert (error.status, error.message) == (404, "")
        assert error.headers is not None
        assert error.headers["x"] == "y"
        assert str(error) == f"404, message='', url={url!r}"
        with pytest.raises(httpclient.ClientResponseError):
            await session.get(url, raise_for_status=True)


async def test_failed_responses_give_their_connections_back(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(response(bytes(100_000), status=b"500 Oops"))

    connector = httpclient.TCPConnector(limit=1)
    async with (
        serve(script) as origin,
        httpclient.ClientSession(connector=connector, raise_for_status=True) as session,
    ):
        for _ in range(5):
            with pytest.raises(httpclient.ClientResponseError):
                await session.get(origin.url)
        assert counts(session)[0] == 0


async def test_head_has_no_body_and_keeps_the_connection(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")

    async with serve(script) as origin, httpclient.ClientSession() as session:
        for _ in range(3):
            async with session.head(origin.url) as resp:
                assert resp.content_length == 1000
                assert await resp.read() == b""
        assert origin.accepted == 1


@pytest.mark.parametrize("body", [b"", b"body", bytes(500_000)], ids=len)
async def test_reading_is_told_to_traces(serve: Serve, body: bytes) -> None:
    told: list[tuple[str, Any]] = []

    class Traces:
        async def send(self, name: str, params: Any) -> None:
            told.append((name, params))

    async def script(peer: Peer) -> None:
        while True:
            await peer.answer(body)

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url + "#frag") as resp:
            resp._traces = Traces()  # type: ignore[assignment]
            assert await resp.read() == body
            assert await resp.text() == body.decode()
    params = httpclient.TraceResponseChunkReceivedParams("GET", URL(origin.url), body)
    assert told == [("on_response_chunk_received", params)]
