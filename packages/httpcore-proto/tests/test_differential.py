"""h11 as oracle: where both accept a message, they read the same in it.

One parser of ours and no twin of it; but two programs that read one message differently
are how requests are smuggled, so any difference in what both accept is an error here
(FR-31). That one of them refuses is none: ours is the stricter by design. What it refuses
and h11 takes is listed by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpcore_proto import (
    NEED_DATA,
    PAUSED,
    ClientConnection,
    Data,
    EndOfMessage,
    InformationalResponse,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
    State,
)
from httpcore_testing import strategies


class Message(NamedTuple):
    """What a message says, in terms that both sides have."""

    start: tuple[object, ...]
    version: tuple[int, ...]
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] | None = None
    #: Whether the connection lives on behind it; None while it is not complete.
    alive: bool | None = None


class Reading:
    """The messages that one side found in some bytes, and whether it refused the rest."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.refused = False

    def head(
        self,
        start: tuple[object, ...],
        version: tuple[int, ...],
        fields: Iterable[tuple[bytes, bytes]],
    ) -> None:
        self.messages.append(Message(start, version, lowered(fields)))

    def data(self, data: bytes) -> None:
        last = self.messages[-1]
        self.messages[-1] = last._replace(body=last.body + data)

    def end(self, trailers: Iterable[tuple[bytes, bytes]], *, alive: bool) -> None:
        last = self.messages[-1]
        # h11 never keeps a connection behind HTTP/1.0, we do if both sides say so.
        alive = alive and last.version == (1, 1)
        self.messages[-1] = last._replace(trailers=lowered(trailers), alive=alive)

    @property
    def over(self) -> bool:
        """h11 takes bytes behind the last message of a connection for an error, we do not."""
        return self.messages[-1].alive is False

    @property
    def complete(self) -> list[Message]:
        return [message for message in self.messages if message.alive is not None]


def lowered(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    pairs = [(bytes(name).lower(), bytes(value)) for name, value in fields]
    # h11 folds the case of this one value.
    return [(n, v.lower() if n == b"transfer-encoding" else v) for n, v in pairs]


def octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def ours(connection: ServerConnection | ClientConnection, data: bytes) -> Reading:
    reading = Reading()
    connection.receive_data(data)
    try:
        while (event := connection.next_event()) is not NEED_DATA:
            if event is PAUSED:
                if not isinstance(connection, ServerConnection) or reading.over:
                    break
                connection.send_message(Response(status=404))
                connection.start_next_cycle()
            elif isinstance(event, Request):
                target = event.raw_target
                reading.head((event.method.encode(), target), event.http_version, event.raw_headers)
            elif isinstance(event, Response | InformationalResponse):
                reason = octets(event.reason)
                reading.head((event.status, reason), event.http_version, event.raw_headers)
            elif isinstance(event, Data):
                reading.data(event.data)
            elif isinstance(event, EndOfMessage):
                trailers = [(octets(name), octets(value)) for name, value in event.trailers.items()]
                reading.end(trailers, alive=connection.their_state is State.DONE)
    except RemoteProtocolError:
        reading.refused = True
    return reading


def theirs(connection: h11.Connection, data: bytes) -> Reading:
    reading = Reading()
    # No bytes are the end to it.
    if data:
        connection.receive_data(data)
    try:
        while (event := connection.next_event()) is not h11.NEED_DATA:
            if event is h11.PAUSED:
                if connection.our_role is h11.CLIENT:
                    break
                connection.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.their_state is h11.MUST_CLOSE:
                    # It does not say so before, where another protocol is offered.
                    reading.messages[-1] = reading.messages[-1]._replace(alive=False)
                    break
                connection.start_next_cycle()
            elif isinstance(event, h11.Request | h11.Response | h11.InformationalResponse):
                version = tuple(map(int, event.http_version.split(b".")))
                if isinstance(event, h11.Request):
                    reading.head((event.method, event.target), version, event.headers)
                else:
                    reading.head((event.status_code, event.reason), version, event.headers)
            elif isinstance(event, h11.Data):
                reading.data(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                alive = connection.their_state is not h11.MUST_CLOSE
                reading.end(event.headers, alive=alive)
                if reading.over:
                    break
    except h11.RemoteProtocolError:
        reading.refused = True
    return reading


def read_requests(data: bytes) -> tuple[Reading, Reading]:
    return ours(ServerConnection(), data), theirs(h11.Connection(h11.SERVER), data)


def read_responses(data: bytes, method: str = "GET") -> tuple[Reading, Reading]:
    client = ClientConnection()
    client.send_message(Request(method=method, target="/"))
    oracle = h11.Connection(h11.CLIENT)
    oracle.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    oracle.send(h11.EndOfMessage())
    return ours(client, data), theirs(oracle, data)


def agree(one: Reading, other: Reading) -> None:
    if not one.refused and not other.refused:
        assert one.messages == other.messages
    # What precedes an error was accepted.
    for mine, its in zip(one.complete, other.complete, strict=False):
        assert mine == its


REQUESTS = [
    b"GET /a?b HTTP/1.1\r\nHost: a\r\nX-Y: z\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT / HTTP/1.0\r\nContent-Length: 2\r\n\r\nok",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    (
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"a;b=c\r\n0123456789\r\n01\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n"
    ),
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Y: z\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 304 \r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\n\r\nup to the end",
    (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    ),
]
PATCHES = [
    *(
        b"",
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b"\t",
        b"\x0b",
        b"\0",
        b"\xff",
        b":",
        b",",
        b";",
        b"=",
        b'"',
    ),
    *(b"0", b"1", b"5", b"a", b"+", b"-", b"_", b"0x", b"close", b"chunked", b"chunked, ", b"gzip"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Transfer-Encoding: gzip, chunked\r\n", b"Connection: close\r\n", b"Host: b\r\n"),
    *(b"Connection: keep-alive\r\n", b"Connection: x, CLOSE\r\n", b"A: \t b \t\r\n", b"A:\r\n"),
    *(b"0\r\n\r\n", b"1\r\nx\r\n", b"00\r\n\r\n", b"HTTP/1.1", b"HTTP/1.0", b"100", b"204", b"GET"),
    *(b" c\r\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"/", b"*", b"http://a/"),
]
patches = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 4), st.sampled_from(PATCHES)), max_size=3
)


def patched(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, patch in changes:
        at %= len(data) + 1
        data = data[:at] + patch + data[at + length :]
    return data


# The same examples each time, but more of them than usual.
# Thousands of examples take longer than one test may elsewhere.
pytestmark = pytest.mark.timeout(300)
MANY = settings(max_examples=500)


@MANY
@given(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=3).map(b"".join), patches)
def test_requests(data: bytes, changes: list[tuple[int, int, bytes]]) -> None:
    agree(*read_requests(patched(data, changes)))


@MANY
@given(st.sampled_from(RESPONSES), patches, st.sampled_from(["GET", "HEAD"]))
def test_responses(data: bytes, changes: list[tuple[int, int, bytes]], method: str) -> None:
    agree(*read_responses(patched(data, changes), method))


@given(st.data(), strategies.bodies(max_size=100))
def test_made_requests(data: st.DataObject, body: bytes) -> None:
    """Both read what is valid, whatever names and values chance has in mind."""
    fields = strategies.headers().map(lambda made: [*made, (b"Transfer-Encoding", b"chunked")])
    head = data.draw(strategies.request_heads(fields=fields))
    one, other = read_requests(head + data.draw(strategies.chunked(body)))
    agree(one, other)
    assert one.complete
    assert not one.refused


@pytest.mark.parametrize("data", REQUESTS)
def test_both_accept_the_requests_that_are_patched(data: bytes) -> None:
    one, other = read_requests(data)
    assert not one.refused
    assert not other.refused
    assert one.complete == other.complete != []


@pytest.mark.parametrize("data", RESPONSES)
def test_both_accept_the_responses_that_are_patched(data: bytes) -> None:
    one, other = read_responses(data)
    assert not one.refused
    assert not other.refused
    assert one.messages == other.messages != []


def request(*lines: bytes, start: bytes = b"PUT / HTTP/1.1", body: bytes = b"") -> bytes:
    return b"\r\n".join((start, b"Host: a", *lines, b"", body))


CHUNKED = b"Transfer-Encoding: chunked"

# What h11 accepts and we refuse.
STRICTER = {
    "bare LF behind the request line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "bare LF behind a field": b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    "bare LF at the end of a head": b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    "folded line": request(b"A: b\r\n c"),
    "control character in a value": request(b"A: \x01"),
    "Host that is none": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "field repeated that must not be": request(b"Etag: a", b"Etag: b"),
    "Content-Length repeated": request(b"Content-Length: 2", b"Content-Length: 2", body=b"ok"),
    "Content-Length as a list": request(b"Content-Length: 2, 2", body=b"ok"),
    "Content-Length of 2**64": request(b"Content-Length: 18446744073709551616"),
    "Content-Length and chunks": request(CHUNKED, b"Content-Length: 2", body=b"0\r\n\r\n"),
    "chunks in HTTP/1.0": request(CHUNKED, start=b"PUT / HTTP/1.0", body=b"0\r\n\r\n"),
    "tab behind chunked": request(CHUNKED + b"\t", body=b"0\r\n\r\n"),
    "blank behind a chunk size": request(CHUNKED, body=b"1 \r\nx\r\n0\r\n\r\n"),
    "CR in a chunk extension": request(CHUNKED, body=b"1;a\rb\r\nx\r\n0\r\n\r\n"),
    "empty chunk extension": request(CHUNKED, body=b"1;\r\nx\r\n0\r\n\r\n"),
    "framing in trailers": request(CHUNKED, body=b"0\r\nContent-Length: 2\r\n\r\n"),
    "folded trailer": request(CHUNKED, body=b"0\r\nA: b\r\n c\r\n\r\n"),
    "unknown method": request(start=b"FOO / HTTP/1.1"),
    "method in lower case": request(start=b"get / HTTP/1.1"),
    "CONNECT with a body": request(b"Content-Length: 2", start=b"CONNECT a:1 HTTP/1.1", body=b"ok"),
    "target of no form": request(start=b"GET x HTTP/1.1"),
    "asterisk with another method than OPTIONS": request(start=b"GET * HTTP/1.1"),
    "absolute form without a host": request(start=b"GET http:/// HTTP/1.1"),
    "HTTP/1.2": request(start=b"GET / HTTP/1.2"),
    "old WebSocket draft": request(b"Sec-WebSocket-Key1: x"),
}
# And the other way round: h11 skips no empty line before a message.
LAXER = {"empty line before a request": b"\r\n" + request()}


@pytest.mark.parametrize("data", STRICTER.values(), ids=STRICTER.keys())
def test_known_difference_where_we_are_stricter(data: bytes) -> None:
    one, other = read_requests(data)
    assert one.refused
    assert not other.refused


@pytest.mark.parametrize("data", LAXER.values(), ids=LAXER.keys())
def test_known_difference_where_we_are_laxer(data: bytes) -> None:
    one, other = read_requests(data)
    assert not one.refused
    assert other.refused
