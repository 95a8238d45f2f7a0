"""Any bytes in any pieces give events or a RemoteProtocolError, and always the same."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from httpcore_proto import (
    NEED_DATA,
    PAUSED,
    ClientConnection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    HttpVersion10,
    HttpVersion11,
    InformationalResponse,
    Limits,
    LineTooLong,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
    State,
)

# Words of the protocol, so that chance gets past the first octet.
WORDS = [
    *(b"GET", b"POST", b"HEAD", b"CONNECT", b"OPTIONS", b"QUERY", b"PRI", b"PLAY", b"FOO"),
    *(b" / ", b" /a?b ", b" * ", b" a:1 ", b" http://a/ ", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0"),
    *(b"HTTP/1.1 200 OK", b"HTTP/1.1 100 ", b"HTTP/1.1 204", b"HTTP/1.0 304 x", b"HTTP/1.1 101 "),
    *(b"\r\n", b"\r\n\r\n", b"\r", b"\n", b" ", b"\t", b":", b": ", b";", b",", b"\0", b"\xff"),
    *(b"Host: a\r\n", b"Host: ", b"A: b\r\n", b"a:\r\n", b" c\r\n", b"\x16\x03\x01"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: ", b"5", b"+5"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: ", b"chunked", b"gzip, "),
    *(b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"keep-alive"),
    *(b"Expect: 100-continue\r\n", b"Sec-WebSocket-Key1: x\r\n", b"Trailer: x\r\n"),
    *(b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"a;b=c\r\n0123456789\r\n", b"000"),
    *(b"GET / HTTP/1.1\r\nHost: a\r\n", b"PUT / HTTP/1.1\r\nHost: a\r\n"),
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
]
inputs = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8)), max_size=20).map(
    b"".join
)
# The same examples each time, but more of them than usual.
# Thousands of examples take longer than one test may elsewhere.
pytestmark = pytest.mark.timeout(300)
MANY = settings(max_examples=1000)
cuts = st.lists(st.integers(0, 400), max_size=8)
bound = st.one_of(st.integers(1, 40), st.just(8190))
limits = st.one_of(
    st.just(Limits()),
    st.builds(
        Limits,
        max_line_size=bound,
        max_field_size=bound,
        max_headers=st.integers(1, 4),
        max_head_size=bound,
        max_chunk_extension_size=bound,
    ),
)

# A method is refused at its first wrong octet, as unknown or as no token: what is behind that
# octet may have been read, or not.
ONE_RULE = {"method-token": "method-unknown"}


def pieces(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(data)) for cut in at), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def facts(event: Event) -> tuple[Any, ...]:
    if isinstance(event, Request):
        return (event.method, event.target, event.raw_headers, event.http_version)
    if isinstance(event, Response | InformationalResponse):
        return (type(event), event.status, event.reason, event.raw_headers, event.http_version)
    if isinstance(event, EndOfMessage):
        return ("end", *event.trailers.items())
    return (repr(event),)


class Report:
    """What a connection says to a number of reads, and whether it ends in an error."""

    def __init__(self, connection: ServerConnection | ClientConnection, parts: list[bytes]) -> None:
        self.events: list[Any] = []
        self.error: RemoteProtocolError | None = None
        self._connection = connection
        try:
            for part in parts:
                connection.receive_data(part)
                self._take()
            connection.receive_eof()
            self._take()
        except RemoteProtocolError as exc:
            self.error = exc

    def _take(self) -> None:
        while (event := self._connection.next_event()) is not NEED_DATA:
            if event is PAUSED:
                if not self._answer():
                    return
            elif not isinstance(event, Data):
                self.events.append(facts(event))
            elif event.data and self.events and isinstance(self.events[-1], bytes):
                self.events[-1] += event.data
            elif event.data:
                self.events.append(event.data)
            if isinstance(event, ConnectionClosed):
                return

    def _answer(self) -> bool:
        server = self._connection
        if not isinstance(server, ServerConnection) or server.our_state is not State.SEND_HEAD:
            return False
        server.send_message(Response(status=404))
        if server.reusable:
            server.start_next_cycle()
        return True


def check(whole: Report, cut: Report) -> None:
    assert cut.events == whole.events
    assert (cut.error is None) == (whole.error is None)
    if whole.error is None or cut.error is None:
        return
    # A limit may be noticed before or behind what else is wrong with a line.
    if not any(isinstance(exc, LineTooLong) for exc in (whole.error, cut.error)):
        rules = {ONE_RULE.get(exc.rule, exc.rule) for exc in (whole.error, cut.error)}
        assert len(rules) == 1
    for exc in (whole.error, cut.error):
        assert exc.message.isascii()
        assert exc.status_hint in {400, 414, 431, 501, 505}
        assert (exc.limit is None) == (exc.value is None) == (exc.allowed is None)
        assert exc.value is None or exc.allowed is None or exc.value > exc.allowed


@MANY
@given(inputs, cuts, limits)
def test_server(data: bytes, at: list[int], bounds: Limits) -> None:
    whole = Report(ServerConnection(bounds), [data])
    check(whole, Report(ServerConnection(bounds), pieces(data, at)))
    check(whole, Report(ServerConnection(bounds), pieces(data, list(range(len(data))))))


@MANY
@given(inputs, cuts, limits, st.sampled_from(["GET", "HEAD", "CONNECT"]), st.booleans())
def test_client(data: bytes, at: list[int], bounds: Limits, method: str, upgrades: bool) -> None:
    def client() -> ClientConnection:
        connection = ClientConnection(bounds)
        headers = {"Connection": "upgrade"} if upgrades else {}
        connection.send_message(Request(method=method, target="a:1", headers=headers))
        return connection

    whole = Report(client(), [data])
    check(whole, Report(client(), pieces(data, at)))
    check(whole, Report(client(), pieces(data, list(range(len(data))))))


# What goes out comes in.

names = st.text(st.sampled_from("abcXYZ019!#$%&'*+-.^_`|~"), min_size=1, max_size=8).filter(
    lambda name: name.lower() not in {"host", "te", "etag", "server"}
)
texts = st.text(
    st.one_of(
        st.characters(exclude_characters=[*map(chr, range(32)), "\x7f"], exclude_categories=["Cs"]),
        # What decoding makes of octets that are not UTF-8.
        st.sampled_from("\t\udc80\udcff"),
    ),
    max_size=20,
)


def survives(text: str) -> str:
    """Return what decodes from the encoded text: surrogates may join to characters."""
    raw = text.encode("utf-8", "surrogateescape").strip(b" \t")
    return raw.decode("utf-8", "surrogateescape")


values = texts.map(survives)
fields = st.lists(st.tuples(names, values), max_size=6)
targets = st.text(st.sampled_from("abz019/?#%&=;:@!$'()*+,[]\\^`{|}~\"<>-._"), max_size=30).map(
    "/{}".format
)
bodies = st.lists(st.binary(max_size=40), max_size=5)
versions = st.sampled_from([HttpVersion10, HttpVersion11])


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "M-SEARCH", "QUERY"]),
    targets,
    fields,
    bodies,
    fields,
    st.sampled_from(["length", "chunked", "whole"]),
    cuts,
)
@example("GET", "/", [("a", "\ud7ff\U00010000")], [], [], "length", [])
def test_request_round_trip(
    method: str,
    target: str,
    headers: list[tuple[str, str]],
    body: list[bytes],
    trailers: list[tuple[str, str]],
    framing: str,
    at: list[int],
) -> None:
    client, server = ClientConnection(), ServerConnection()
    data = b"".join(body)
    said = [("Host", "a"), *headers]
    if framing == "whole":
        sent = client.send_message(Request(method=method, target=target, headers=said), data)
        trailers = []
        expected = [("Content-Length", str(len(data)))] if data else []
    else:
        if framing == "length":
            trailers = []
            expected = [("Content-Length", str(len(data)))]
        else:
            expected = [("Transfer-Encoding", "chunked")]
        head = Request(method=method, target=target, headers=said + expected)
        sent = client.send(head) + b"".join(client.send(Data(piece)) for piece in body)
        sent += client.send(EndOfMessage(trailers))
    events = read(server, pieces(sent, at))
    request = events[0]
    assert isinstance(request, Request)
    assert (request.method, request.target) == (method, target)
    assert list(request.headers.items()) == said + expected
    assert joined(events) == data
    assert isinstance(end := events[-1], EndOfMessage)
    assert list(end.trailers.items()) == trailers


@given(
    st.sampled_from([200, 201, 204, 304, 404, 599, 999]),
    st.one_of(st.none(), values),
    fields,
    bodies,
    fields,
    st.sampled_from(["length", "chunked", "whole"]),
    st.sampled_from(["GET", "HEAD"]),
    versions,
    cuts,
)
def test_response_round_trip(
    status: int,
    reason: str | None,
    headers: list[tuple[str, str]],
    body: list[bytes],
    trailers: list[tuple[str, str]],
    framing: str,
    method: str,
    version: tuple[int, int],
    at: list[int],
) -> None:
    client, server = ClientConnection(), ServerConnection()
    asking = Request(
        method=method,
        target="/",
        headers={"Host": "a"},
        http_version=HttpVersion10 if version == HttpVersion10 else HttpVersion11,
    )
    read(server, [client.send_message(asking)])
    data = b"".join(body)
    length = [("Content-Length", str(len(data)))] if framing == "length" else []
    response = Response(status=status, reason=reason, headers=headers + length)
    if framing == "whole":
        sent = server.send_message(response, data)
    else:
        sent = server.send(response) + b"".join(server.send(Data(piece)) for piece in body)
        with_trailers = b"chunked" in sent.partition(b"\r\n\r\n")[0] and not length
        trailers = trailers if with_trailers and method == "GET" and status == 200 else []
        sent += server.send(EndOfMessage(trailers))
    events = read(client, pieces(sent, at), eof=not server.keep_alive)
    received = events[0]
    assert isinstance(received, Response)
    assert (received.status, received.reason) == (status, response.reason)
    assert list(received.headers.items())[: len(headers)] == headers
    assert joined(events) == (b"" if method == "HEAD" or status in {204, 304} else data)
    assert isinstance(end := events[-1], EndOfMessage)
    assert list(end.trailers.items()) == (trailers if framing == "chunked" else [])
    assert client.keep_alive is server.keep_alive


def read(
    connection: ServerConnection | ClientConnection, parts: list[bytes], *, eof: bool = False
) -> list[Event]:
    events: list[Event] = []
    for part in [*parts, None]:
        if part is not None:
            connection.receive_data(part)
        elif eof:
            connection.receive_eof()
        while (event := connection.next_event()) is not NEED_DATA and event is not PAUSED:
            events.append(event)
    return events


def joined(events: list[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Data))
