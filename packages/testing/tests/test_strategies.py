"""What the strategies give is what they say, by httpcore_proto's own parser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore_proto import (
    NEED_DATA,
    ClientConnection,
    Data,
    EndOfMessage,
    Event,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
)
from httpcore_testing import strategies

CHUNKED = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(connection: ServerConnection | ClientConnection, pieces: Iterable[bytes]) -> list[Event]:
    """Return the events of one message."""
    events: list[Event] = []
    for piece in pieces:
        connection.receive_data(piece)
        while not (events and isinstance(events[-1], EndOfMessage)):
            event = connection.next_event()
            if event is NEED_DATA:
                break
            assert isinstance(event, Event)
            events.append(event)
    return events


@given(strategies.methods(), strategies.targets(), strategies.headers())
def test_parts_come_back_as_they_are(
    method: bytes, target: bytes, headers: strategies.Headers
) -> None:
    lines = b"".join(b"%b: %b\r\n" % field for field in headers)
    head = b"%b %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (method, target, lines)
    request, *_ = read(ServerConnection(), [head])
    assert isinstance(request, Request)
    assert (request.method.encode(), request.target.encode()) == (method, target)
    assert [*request.raw_headers] == [(b"Host", b"a"), *headers]


@given(st.data())
def test_request_heads_are_requests_however_they_are_cut(data: st.DataObject) -> None:
    head = data.draw(strategies.request_heads())
    request, end = read(ServerConnection(), data.draw(strategies.splits(head)))
    assert isinstance(request, Request)
    assert isinstance(end, EndOfMessage)
    whole, _ = read(ServerConnection(), [head])
    assert isinstance(whole, Request)
    assert request.raw_headers == whole.raw_headers


@given(st.data(), strategies.bodies(max_size=300))
def test_fields_of_heads_can_be_given(data: st.DataObject, body: bytes) -> None:
    fields = st.just([(b"Content-Length", b"%d" % len(body))])
    request = data.draw(strategies.request_heads(fields=fields))
    response = data.draw(strategies.response_heads(fields=fields, statuses=st.just(200)))
    client = ClientConnection()
    client.send_message(REQUEST)
    for connection, head in ((ServerConnection(), request), (client, response)):
        events = read(connection, data.draw(strategies.splits(head + body)))
        assert isinstance(events[0], Request | Response)
        assert b"".join(event.data for event in events if isinstance(event, Data)) == body
        assert isinstance(events[-1], EndOfMessage)


REQUEST = Request(method="GET", target="/", headers=[("Host", "a")])


@given(st.data())
def test_response_heads_are_responses(data: st.DataObject) -> None:
    head = data.draw(strategies.response_heads())
    client = ClientConnection()
    client.send_message(REQUEST)
    response, *_ = read(client, data.draw(strategies.splits(head)))
    assert isinstance(response, Response)
    assert 200 <= response.status < 600


@given(st.data(), strategies.bodies(max_size=300))
def test_chunked_codings_are_of_the_body(data: st.DataObject, body: bytes) -> None:
    coded = data.draw(strategies.chunked(body))
    server = ServerConnection()
    events = read(server, data.draw(strategies.splits(CHUNKED + coded)))
    assert b"".join(event.data for event in events if isinstance(event, Data)) == body
    assert isinstance(events[-1], EndOfMessage)
    assert server.trailing_data[0] == b""


@given(st.data(), st.binary(max_size=50), st.integers(1, 5))
def test_pieces_are_all_of_it(data: st.DataObject, whole: bytes, most: int) -> None:
    pieces = data.draw(strategies.splits(whole, max_pieces=most))
    assert b"".join(pieces) == whole
    assert 1 <= len(pieces) <= max(most, len(whole))


@given(st.data())
def test_malformed_heads_are_refused(data: st.DataObject) -> None:
    head = data.draw(strategies.malformed_request_heads())
    connection = ServerConnection()
    with pytest.raises(RemoteProtocolError) as caught:
        # The body that a head may ask for is as good as any.
        read(connection, [head])
    assert caught.value.status_hint in {400, 501, 505}


@pytest.mark.parametrize("field", strategies._SPOILT_FIELDS)
def test_every_spoilt_field_is_refused(field: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read(ServerConnection(), [b"GET / HTTP/1.1\r\n" + field + b"\r\nHost: a\r\n\r\n"])


@pytest.mark.parametrize("line", strategies._spoilt_lines(b"GET", b"/", b"HTTP/1.1"))
def test_every_spoilt_line_is_refused(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read(ServerConnection(), [line + b"\r\nHost: a\r\n\r\n"])


def test_the_root_imports_neither_hypothesis_nor_trustme() -> None:
    code = "import sys, httpcore_testing; print({'hypothesis', 'trustme'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
