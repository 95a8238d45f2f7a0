from __future__ import annotations

from contextlib import nullcontext

import pytest

from httpcore_proto import (
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Data,
    EndOfMessage,
    HeaderBlock,
    HeadersLike,
    InformationalResponse,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
    State,
)

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_10 = b"GET / HTTP/1.0\r\n\r\n"
KEEP_10 = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
CONNECT = b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"

CONTROLS = [chr(octet) for octet in (*range(0x20), 0x7F) if octet != 9]


def serving(data: bytes) -> ServerConnection:
    server = ServerConnection()
    server.receive_data(data)
    event = server.next_event()
    while event is not NEED_DATA and event is not PAUSED:
        event = server.next_event()
    return server


def head(server: ServerConnection, status: int = 200, headers: HeadersLike = ()) -> bytes:
    return server.send(Response(status=status, headers=headers))


LENGTH_2 = [("Content-Length", "2")]
CHUNKED = [("Transfer-Encoding", "chunked")]
CONNECTION_CLOSE = [("Connection", "close")]


@pytest.mark.parametrize(
    ("data", "status", "headers", "expected", "body"),
    [
        # Length said: it is sent.
        (GET, 200, LENGTH_2, b"200 OK\r\nContent-Length: 2\r\n\r\n", b"ok"),
        # No length: chunks.
        (GET, 200, [], b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nok\r\n0\r\n\r\n"),
        (
            GET,
            200,
            CHUNKED,
            b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"2\r\nok\r\n0\r\n\r\n",
        ),
        # HTTP/1.0 has none: up to the end of the connection.
        (GET_10, 200, [], b"200 OK\r\nConnection: close\r\n\r\n", b"ok"),
        (KEEP_10, 200, [], b"200 OK\r\nConnection: close\r\n\r\n", b"ok"),
        (KEEP_10, 200, CHUNKED, b"200 OK\r\nConnection: close\r\n\r\n", b"ok"),
        (
            KEEP_10,
            200,
            LENGTH_2,
            b"200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n",
            b"ok",
        ),
        (GET_10, 200, LENGTH_2, b"200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n", b"ok"),
        # IN-15: no body to HEAD, whatever is given; the length stays.
        (HEAD, 200, LENGTH_2, b"200 OK\r\nContent-Length: 2\r\n\r\n", b""),
        (HEAD, 200, [], b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b""),
        # No body and no framing with 204 and 304.
        (GET, 204, LENGTH_2, b"204 No Content\r\n\r\n", b""),
        (GET, 304, CHUNKED, b"304 Not Modified\r\n\r\n", b""),
        (GET, 205, LENGTH_2, b"205 Reset Content\r\nContent-Length: 2\r\n\r\n", b"ok"),
        # The client's close, and ours.
        (CLOSE, 204, [], b"204 No Content\r\nConnection: close\r\n\r\n", b""),
        (GET, 204, CONNECTION_CLOSE, b"204 No Content\r\nConnection: close\r\n\r\n", b""),
        (KEEP_10, 204, CONNECTION_CLOSE, b"204 No Content\r\nConnection: close\r\n\r\n", b""),
        (
            CLOSE,
            204,
            [("Connection", "keep-alive, x")],
            b"204 No Content\r\nConnection: x, close\r\n\r\n",
            b"",
        ),
        (
            CONNECT,
            407,
            LENGTH_2,
            b"407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\n",
            b"ok",
        ),
        # Unknown to the standard library.
        (GET, 299, LENGTH_2, b"299 \r\nContent-Length: 2\r\n\r\n", b"ok"),
        (GET, 999, LENGTH_2, b"999 \r\nContent-Length: 2\r\n\r\n", b"ok"),
    ],
)
def test_response_is_framed(
    data: bytes, status: int, headers: HeadersLike, expected: bytes, body: bytes
) -> None:
    server = serving(data)
    assert head(server, status, headers) == b"HTTP/1.1 " + expected
    sent = server.send(Data(b"o")) + server.send(Data(b"")) + server.send(Data(b"k"))
    if body.startswith(b"2\r\n"):
        body = b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
    assert sent + server.send(EndOfMessage()) == body
    closes = b"close" in expected
    assert server.our_state is (State.MUST_CLOSE if closes else State.DONE)
    assert server.reusable is not closes


@pytest.mark.parametrize(
    ("data", "status", "headers", "expected"),
    [
        (GET, 200, [], b"200 OK\r\nContent-Length: 2\r\n\r\nok"),
        (GET, 200, LENGTH_2, b"200 OK\r\nContent-Length: 2\r\n\r\nok"),
        (
            GET,
            200,
            CHUNKED,
            b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        (KEEP_10, 200, CHUNKED, b"200 OK\r\nConnection: close\r\n\r\nok"),
        (KEEP_10, 200, [], b"200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"),
        (HEAD, 200, [], b"200 OK\r\nContent-Length: 2\r\n\r\n"),
        (HEAD, 200, [("Content-Length", "9")], b"200 OK\r\nContent-Length: 9\r\n\r\n"),
        (GET, 204, [], b"204 No Content\r\n\r\n"),
        (GET, 304, [], b"304 Not Modified\r\n\r\n"),
        (CLOSE, 200, [], b"200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"),
    ],
)
def test_whole_response_in_one_piece(
    data: bytes, status: int, headers: HeadersLike, expected: bytes
) -> None:
    server = serving(data)
    assert server.send_message(Response(status=status, headers=headers), b"ok") == (
        b"HTTP/1.1 " + expected
    )
    assert server.reusable is (b"close" not in expected)


def test_whole_response_without_a_body() -> None:
    expected = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert serving(GET).send_message(Response(status=200)) == expected
    chunked = Response(status=200, headers=CHUNKED)
    assert serving(GET).send_message(chunked).endswith(b"\r\n\r\n0\r\n\r\n")


def test_whole_response_whose_body_has_another_length_is_refused() -> None:
    server = serving(GET)
    with pytest.raises(LocalProtocolError, match="Content-Length is 2, but the body has 3 bytes"):
        server.send_message(Response(status=200, headers=LENGTH_2), b"not")
    assert server.our_state is State.SEND_HEAD
    assert server.send_message(Response(status=200, headers=LENGTH_2), b"ok")


def test_whole_response_at_the_wrong_time_is_refused() -> None:
    server = serving(GET)
    head(server)
    with pytest.raises(LocalProtocolError, match="cannot send Response in state SEND_BODY"):
        server.send_message(Response(status=200))


def test_body_longer_than_its_length_is_refused() -> None:
    server = serving(GET)
    head(server, headers=LENGTH_2)
    server.send(Data(b"o"))
    with pytest.raises(LocalProtocolError, match=r"body too long: 2 more bytes, .* leaves 1"):
        server.send(Data(b"kk"))
    assert server.send(Data(b"k")) == b"k"
    assert server.send(EndOfMessage()) == b""


def test_body_shorter_than_its_length_is_refused() -> None:
    server = serving(GET)
    head(server, headers=LENGTH_2)
    server.send(Data(b"o"))
    with pytest.raises(LocalProtocolError, match="body too short: 1 bytes"):
        server.send(EndOfMessage())
    assert server.our_state is State.SEND_BODY


@pytest.mark.parametrize(("data", "headers"), [(GET, LENGTH_2), (GET_10, []), (HEAD, [])])
def test_trailers_without_chunks_are_refused(data: bytes, headers: HeadersLike) -> None:
    server = serving(data)
    head(server, headers=headers)
    server.send(Data(b"ok"))
    with pytest.raises(LocalProtocolError, match="trailers need a chunked body"):
        server.send(EndOfMessage({"A": "b"}))
    assert server.send(EndOfMessage()) == b""


def test_sizes_of_chunks_are_hexadecimal() -> None:
    server = serving(GET)
    head(server)
    assert server.send(Data(bytes(300))) == b"12c\r\n" + bytes(300) + b"\r\n"


@pytest.mark.parametrize("status", [-200, 0, 99, 100, 199, 1000])
def test_status_of_a_final_response_is_checked(status: int) -> None:
    server = serving(GET)
    with pytest.raises(LocalProtocolError, match=f"^status {status} of a final response"):
        head(server, status)
    assert server.our_state is State.SEND_HEAD


@pytest.mark.parametrize("status", [-1, 0, 99, 200, 1000])
def test_status_of_an_interim_response_is_checked(status: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"^status {status} of an interim response"):
        serving(GET).send(InformationalResponse(status=status))


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        (None, b"HTTP/1.1 404 Not Found\r\n"),
        ("", b"HTTP/1.1 404 \r\n"),
        ("Nicht\tda ä\udcff", b"HTTP/1.1 404 Nicht\tda \xc3\xa4\xff\r\n"),
    ],
)
def test_reason(reason: str | None, line: bytes) -> None:
    response = Response(status=404, reason=reason)
    assert serving(GET).send(response).startswith(line)


@pytest.mark.parametrize("char", [*CONTROLS, "\ud800"])
@pytest.mark.parametrize("place", ["reason", "name", "value", "option"])
def test_control_character_in_a_head_is_refused(char: str, place: str) -> None:
    """IN-04, IN-05: a refused response has changed nothing, a lone surrogate once had."""
    server = serving(GET)
    text = f"a{char}b"
    reason = text if place == "reason" else None
    headers = {"name": [(text, "x")], "value": [("A", text)], "option": [("Connection", text)]}
    bad = headers.get(place, [])
    final = Response(status=200, reason=reason, headers=bad)
    with pytest.raises(LocalProtocolError):
        server.send(final)
    with pytest.raises(LocalProtocolError):
        server.send_message(final, b"x")
    with pytest.raises(LocalProtocolError):
        server.send(InformationalResponse(status=103, reason=reason, headers=bad))
    assert (server.our_state, server.their_state) == (State.SEND_HEAD, State.DONE)
    assert server.keep_alive
    assert server.send_message(Response(status=204)) == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert server.reusable


def test_refused_response_that_closes_does_not_close() -> None:
    server = serving(GET)
    with pytest.raises(LocalProtocolError):
        head(server, headers=[("Connection", "close"), ("A", "\n")])
    with pytest.raises(LocalProtocolError):
        head(server, headers=[("Connection", "close"), ("A", "\ud800")])
    assert server.keep_alive


@pytest.mark.parametrize("char", CONTROLS)
@pytest.mark.parametrize("place", [0, 1])
def test_control_character_in_a_trailer_is_refused(char: str, place: int) -> None:
    server = serving(GET)
    head(server)
    pair = [("a", f"a{char}b"), (f"a{char}b", "a")][place]
    with pytest.raises(LocalProtocolError):
        server.send(EndOfMessage([pair]))
    assert server.our_state is State.SEND_BODY
    assert server.send(EndOfMessage([("A", "b")])) == b"0\r\nA: b\r\n\r\n"


def test_unicode_does_not_become_a_line_end() -> None:
    """IN-14: the low byte of U+010A and of U+560A is LF."""
    sent = head(serving(GET), headers=[("A", "\u010a\u560d")])
    assert b"A: \xc4\x8a\xe5\x98\x8d\r\n" in sent


# Interim responses.


def test_interim_responses() -> None:
    server = serving(POST)
    expected = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert server.send(InformationalResponse(status=100)) == expected
    hints = InformationalResponse(status=103, headers=[("Link", "x"), ("Connection", "y")])
    expected = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: y\r\n\r\n"
    assert server.send(hints) == expected
    assert server.our_state is State.SEND_HEAD


def test_interim_response_to_http_1_0_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match=r"HTTP/1\.0 client cannot take interim responses"):
        serving(KEEP_10).send(InformationalResponse(status=100))


@pytest.mark.parametrize("headers", [LENGTH_2, CHUNKED])
def test_interim_response_with_a_body_is_refused(headers: HeadersLike) -> None:
    with pytest.raises(LocalProtocolError, match="an interim response has no body"):
        serving(GET).send(InformationalResponse(status=103, headers=headers))


# Other protocols.


def test_upgrade() -> None:
    server = serving(UPGRADE + b"\x81\x00")
    accept = InformationalResponse(
        status=101, headers=[("Connection", "Upgrade"), ("Upgrade", "x")]
    )
    assert server.send(accept) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
    )
    assert server.our_state is server.their_state is State.SWITCHED
    assert server.trailing_data == (b"\x81\x00", False)
    server.receive_data(b"more")
    assert server.next_event() is PAUSED
    assert server.buffered == 6
    server.receive_eof()
    assert server.trailing_data == (b"\x81\x00more", True)
    assert not server.reusable


def test_upgrade_that_nobody_offered_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="101 to a request that offers no upgrade"):
        serving(GET).send(InformationalResponse(status=101))


def test_upgrade_of_an_earlier_request_is_forgotten() -> None:
    server = serving(UPGRADE + GET)
    server.send_message(Response(status=200))
    server.start_next_cycle()
    server.next_event()
    server.next_event()
    with pytest.raises(LocalProtocolError, match="offers no upgrade"):
        server.send(InformationalResponse(status=101))


def test_upgrade_before_the_end_of_the_request_is_refused() -> None:
    """FR-24: the body of the request would be the first bytes of the other protocol."""
    server = serving(UPGRADE[:-2] + b"Content-Length: 2\r\n\r\n")
    with pytest.raises(LocalProtocolError, match="101 before the end of the request"):
        server.send(InformationalResponse(status=101))
    server.receive_data(b"ok!")
    server.next_event()
    server.next_event()
    server.send(InformationalResponse(status=101))
    assert server.trailing_data == (b"!", False)


@pytest.mark.parametrize("headers", [[], LENGTH_2, CHUNKED])
@pytest.mark.parametrize("whole", [True, False])
def test_tunnel(headers: HeadersLike, whole: bool) -> None:
    server = serving(CONNECT + b"\x16\x03")
    response = Response(status=200, headers=headers)
    sent = server.send_message(response) if whole else server.send(response)
    assert sent == b"HTTP/1.1 200 OK\r\n\r\n"
    assert server.our_state is server.their_state is State.SWITCHED
    assert server.trailing_data == (b"\x16\x03", False)


@pytest.mark.parametrize("whole", [True, False])
def test_tunnel_before_the_end_of_the_request_was_taken(whole: bool) -> None:
    """The end that was still to be taken was a KeyError."""
    server = ServerConnection()
    server.receive_data(CONNECT + b"\x16\x03")
    assert isinstance(server.next_event(), Request)
    response = Response(status=200)
    assert server.send_message(response) if whole else server.send(response)
    assert server.next_event() is PAUSED
    assert server.trailing_data == (b"\x16\x03", False)


def test_tunnel_to_a_client_that_closes_stays_open() -> None:
    server = serving(CONNECT[:-2] + b"Connection: close\r\n\r\n")
    assert head(server) == b"HTTP/1.1 200 OK\r\n\r\n"


# Early answers, and answers to what cannot be read.


def test_answer_before_any_request() -> None:
    server = ServerConnection()
    sent = server.send_message(Response(status=408, headers=CONNECTION_CLOSE), b"late")
    assert sent == (
        b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate"
    )
    assert (server.our_state, server.their_state) == (State.MUST_CLOSE, State.IDLE)


def test_early_answer_stands_for_the_request_that_crosses_it() -> None:
    server = ServerConnection()
    server.send_message(Response(status=503))
    server.receive_data(GET + GET)
    assert isinstance(server.next_event(), Request)
    assert isinstance(server.next_event(), EndOfMessage)
    assert server.next_event() is PAUSED
    assert server.reusable
    server.start_next_cycle()
    assert isinstance(server.next_event(), Request)
    assert server.our_state is State.SEND_HEAD


def test_answer_before_the_end_of_the_request() -> None:
    server = serving(POST + b"12")
    server.send_message(Response(status=413))
    assert (server.our_state, server.their_state) == (State.DONE, State.SEND_BODY)
    assert not server.reusable
    server.receive_data(b"345" + GET)
    assert isinstance(server.next_event(), Data)
    assert isinstance(server.next_event(), EndOfMessage)
    assert server.next_event() is PAUSED
    assert server.reusable


@pytest.mark.parametrize("before", [HEAD, KEEP_10, CONNECT])
@pytest.mark.parametrize("whole", [True, False])
def test_answer_to_garbage_is_not_one_to_the_request_before(before: bytes, whole: bool) -> None:
    """The body of a 400 was left out because an earlier request had been HEAD."""
    server = serving(before + b"\0")
    server.send_message(Response(status=404))
    server.start_next_cycle()
    with pytest.raises(RemoteProtocolError) as caught:
        server.next_event()
    assert server.our_state is State.IDLE
    response = Response(status=caught.value.status_hint)
    expected = b"HTTP/1.1 400 Bad Request\r\n"
    if whole:
        sent = server.send_message(response, b"bad")
        expected += b"Content-Length: 3\r\nConnection: close\r\n\r\nbad"
    else:
        sent = server.send(response) + server.send(Data(b"bad"))
        expected += b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nbad\r\n"
    assert sent == expected


def test_answer_before_the_next_request_is_not_one_to_the_request_before() -> None:
    """The body of a 408 was left out because an earlier request had been HEAD."""
    server = serving(HEAD)
    server.send_message(Response(status=200))
    server.start_next_cycle()
    assert server.send_message(Response(status=408), b"late").endswith(b"\r\n\r\nlate")


def test_error_in_a_body_may_still_be_answered() -> None:
    """FR-33: the request was reported before its body turned out wrong."""
    server = ServerConnection()
    server.receive_data(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx")
    assert isinstance(server.next_event(), Request)
    with pytest.raises(RemoteProtocolError):
        server.next_event()
    assert (server.our_state, server.their_state) == (State.SEND_HEAD, State.ERROR)
    sent = server.send_message(Response(status=400))
    assert sent == b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert server.our_state is State.MUST_CLOSE
    assert server.send(ConnectionClosed()) == b""


def test_error_in_a_body_while_the_answer_is_sent() -> None:
    server = serving(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    head(server)
    server.receive_data(b"x")
    with pytest.raises(RemoteProtocolError):
        server.next_event()
    assert server.send(Data(b"ok")) == b"2\r\nok\r\n"
    assert server.send(EndOfMessage()) == b"0\r\n\r\n"
    assert server.our_state is State.MUST_CLOSE


# Pipelining.


def test_requests_wait_for_each_other() -> None:
    """FR-29, DO-08: one request at a time leaves the machine."""
    server = serving(GET.replace(b"/ ", b"/1 ") + GET.replace(b"/ ", b"/2 "))
    assert server.buffered == len(GET) + 1
    assert server.next_event() is PAUSED
    server.receive_data(b"GET /3 HTTP/1.1\r\n")
    head(server)
    assert server.next_event() is PAUSED
    server.send(EndOfMessage())
    assert server.next_event() is PAUSED
    server.start_next_cycle()
    second = server.next_event()
    assert isinstance(second, Request)
    assert second.target == "/2"
    assert isinstance(server.next_event(), EndOfMessage)
    server.send_message(Response(status=200))
    server.start_next_cycle()
    assert server.next_event() is NEED_DATA
    assert server.buffered == 0
    server.receive_data(b"Host: a\r\n\r\n")
    third = server.next_event()
    assert isinstance(third, Request)
    assert third.target == "/3"


def test_end_of_input_waits_behind_pipelined_requests() -> None:
    server = serving(GET + GET)
    server.receive_eof()
    assert server.next_event() is PAUSED
    server.send_message(Response(status=200))
    server.start_next_cycle()
    assert isinstance(server.next_event(), Request)
    assert isinstance(server.next_event(), EndOfMessage)
    server.send_message(Response(status=200))
    server.start_next_cycle()
    assert isinstance(server.next_event(), ConnectionClosed)


# What was received may be passed on.


def test_received_response_is_passed_on() -> None:
    from httpcore_proto import ClientConnection

    client = ClientConnection()
    client.send_message(Request(method="GET", target="/"))
    client.receive_data(
        b"HTTP/1.1 200 Fine\xff\r\nx-A: \xe4\r\nConnection: x\r\nContent-Length: 2\r\n\r\n"
    )
    response = client.next_event()
    assert isinstance(response, Response)
    assert serving(GET).send(response) == (
        b"HTTP/1.1 200 Fine\xff\r\nx-A: \xe4\r\nContent-Length: 2\r\nConnection: x\r\n\r\n"
    )


def test_received_response_without_a_reason_stays_without() -> None:
    from httpcore_proto import ClientConnection

    client = ClientConnection()
    client.send_message(Request(method="GET", target="/"))
    client.receive_data(b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n")
    response = client.next_event()
    assert isinstance(response, Response)
    assert serving(GET).send(response).startswith(b"HTTP/1.1 404 \r\n")


@pytest.mark.parametrize(
    ("request_line", "headers", "passes"),
    [
        ("GET / HTTP/1.1", {"Content-Length": "5"}, True),
        ("GET / HTTP/1.0", {}, True),
        ("GET / HTTP/1.1", {}, False),
        ("HEAD / HTTP/1.1", {"Content-Length": "5"}, False),
    ],
)
def test_bytes_written_elsewhere_are_counted(
    request_line: str, headers: dict[str, str], passes: bool
) -> None:
    conn = ServerConnection()
    with pytest.raises(LocalProtocolError, match="IDLE"):
        conn.pass_body(1)
    conn.receive_data(f"{request_line}\r\nHost: a\r\n\r\n".encode())
    assert isinstance(conn.next_event(), Request)
    conn.send(Response(status=200, headers=headers))
    assert conn.sends_body is not request_line.startswith("HEAD")
    assert conn.pass_body(2) is passes
    if headers:
        rest = 3 if passes else 0
        with pytest.raises(LocalProtocolError, match="leaves 3") if rest else nullcontext():
            conn.pass_body(4)
        assert conn.send(Data(b"x" * 3)) == b"x" * rest
    conn.send(EndOfMessage())


@pytest.mark.parametrize("status", [200, 204, 205, 299, 304, 404, 500, 799])
@pytest.mark.parametrize("request_", [GET, GET_10, KEEP_10, HEAD, CONNECT, CLOSE])
def test_whole_response_of_a_preset_is_that_of_the_same_fields(
    status: int, request_: bytes
) -> None:
    """The short way of the usual response must differ from the long one in nothing."""
    fields = {"A": "b", "C": "\u00e4"}
    block = HeaderBlock(fields)
    for body in (b"", b"body", b"other body"):
        by_preset, by_fields = serving(request_), serving(request_)
        response = Response(status=status, preset=block)
        assert by_preset.send_message(response, body) == by_fields.send_message(
            Response(status=status, headers=fields), body
        )
        for machine in (by_preset, by_fields):
            assert machine.our_state is by_fields.our_state
            assert machine.their_state is by_fields.their_state
            assert machine.reusable is by_fields.reusable


def test_presets_of_an_early_or_a_wrong_response_are_checked_as_ever() -> None:
    block = HeaderBlock({"A": "b"})
    early = ServerConnection()
    sent = early.send_message(Response(status=408, preset=block))
    assert sent == b"HTTP/1.1 408 Request Timeout\r\nA: b\r\nContent-Length: 0\r\n\r\n"
    for status in (100, 199, 1000):
        with pytest.raises(LocalProtocolError, match="200 to 999"):
            serving(GET).send_message(Response(status=status, preset=block))
    done = serving(GET)
    done.send_message(Response(status=200, preset=block))
    with pytest.raises(LocalProtocolError, match="DONE"):
        done.send_message(Response(status=200, preset=block))
    reason = serving(GET).send_message(Response(status=200, reason="Fine", preset=block))
    assert reason.startswith(b"HTTP/1.1 200 Fine\r\n")


def test_data_can_be_sent_the_short_way() -> None:
    conn = serving(GET)
    with pytest.raises(LocalProtocolError, match="cannot send Data"):
        conn.send_data(b"x")
    conn.send(Response(status=200, headers={"Content-Length": "3"}))
    assert conn.send_data(b"ab") == b"ab"
    with pytest.raises(LocalProtocolError, match="leaves 1"):
        conn.send_data(b"cd")
    assert conn.send(Data(b"c")) == b"c"
    conn.send(EndOfMessage())
    with pytest.raises(LocalProtocolError, match="cannot send Data"):
        conn.send_data(b"")
    chunked = serving(GET)
    chunked.send(Response(status=200))
    assert chunked.send_data(b"abc") == b"3\r\nabc\r\n"
    assert chunked.send_data(b"") == b""
