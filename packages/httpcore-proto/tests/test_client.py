from __future__ import annotations

import pytest

from httpcore_proto import (
    NEED_DATA,
    PAUSED,
    BadHttpMessage,
    ClientConnection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    HeaderBlock,
    HeadersLike,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    InformationalResponse,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
    State,
    UnexpectedData,
    new_bytes,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONTROLS = [chr(octet) for octet in (*range(0x20), 0x7F)]
LENGTH_2 = [("Content-Length", "2")]
CHUNKED = [("Transfer-Encoding", "chunked")]


def asked(method: str = "GET", headers: HeadersLike = ()) -> ClientConnection:
    client = ClientConnection()
    target = "a:1" if method == "CONNECT" else "/"
    client.send_message(Request(method=method, target=target, headers=headers))
    return client


def answered(data: bytes, method: str = "GET") -> ClientConnection:
    client = asked(method)
    client.receive_data(data)
    event = client.next_event()
    while event is not NEED_DATA and event is not PAUSED:
        event = client.next_event()
    return client


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ([], [], b"\r\n"),
        ([("Content-Length", "0")], [], b"Content-Length: 0\r\n\r\n"),
        (LENGTH_2, [b"o", b"", b"k"], b"Content-Length: 2\r\n\r\nok"),
        (
            CHUNKED,
            [b"o", b"", b"k"],
            b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        ),
        (CHUNKED, [], b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ],
)
def test_request_is_framed(headers: HeadersLike, body: list[bytes], expected: bytes) -> None:
    client = ClientConnection()
    sent = client.send(Request(method="POST", target="/", headers=headers))
    assert (client.our_state, client.their_state) == (State.SEND_BODY, State.SEND_HEAD)
    sent += b"".join(client.send(Data(piece)) for piece in body)
    sent += client.send(EndOfMessage())
    assert sent == b"POST / HTTP/1.1\r\n" + expected
    assert client.our_state is State.DONE


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ([], b"", b"\r\n"),
        ([], b"ok", b"Content-Length: 2\r\n\r\nok"),
        (LENGTH_2, b"ok", b"Content-Length: 2\r\n\r\nok"),
        ([("Content-Length", "0")], b"", b"Content-Length: 0\r\n\r\n"),
        (CHUNKED, b"ok", b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        (CHUNKED, b"", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ],
)
def test_whole_request_in_one_piece(headers: HeadersLike, body: bytes, expected: bytes) -> None:
    client = ClientConnection()
    request = Request(method="POST", target="/", headers=headers)
    assert client.send_message(request, body) == b"POST / HTTP/1.1\r\n" + expected
    assert (client.our_state, client.their_state) == (State.DONE, State.SEND_HEAD)


@pytest.mark.parametrize(("length", "body"), [("2", b"not"), ("2", b""), ("0", b"x")])
def test_whole_request_whose_body_has_another_length_is_refused(length: str, body: bytes) -> None:
    client = ClientConnection()
    request = Request(method="POST", target="/", headers={"Content-Length": length})
    with pytest.raises(LocalProtocolError, match=f"Content-Length is {length}, but the body has"):
        client.send_message(request, body)
    assert (client.our_state, client.their_state) == (State.IDLE, State.IDLE)


def test_body_without_framing_is_refused() -> None:
    client = ClientConnection()
    client.send(Request(method="POST", target="/"))
    with pytest.raises(LocalProtocolError, match="body too long"):
        client.send(Data(b"x"))


@pytest.mark.parametrize(
    ("version", "headers", "expected", "alive"),
    [
        (HttpVersion11, [], b"HTTP/1.1\r\n\r\n", True),
        (
            HttpVersion(1, 1),
            [("Connection", "close")],
            b"HTTP/1.1\r\nConnection: close\r\n\r\n",
            False,
        ),
        (HttpVersion10, [], b"HTTP/1.0\r\n\r\n", False),
        (
            HttpVersion10,
            [("Connection", "keep-alive")],
            b"HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            True,
        ),
        (HttpVersion10, [("Connection", "close")], b"HTTP/1.0\r\nConnection: close\r\n\r\n", False),
        # IN-03: a version is one of two, whatever was asked for.
        (HttpVersion(0, 9), [], b"HTTP/1.0\r\n\r\n", False),
        (HttpVersion(2, 0), [], b"HTTP/1.1\r\n\r\n", True),
    ],
)
def test_version(version: HttpVersion, headers: HeadersLike, expected: bytes, alive: bool) -> None:
    client = ClientConnection()
    request = Request(method="GET", target="/", headers=headers, http_version=version)
    assert client.send(request) == b"GET / " + expected
    assert client.keep_alive is alive


def test_chunks_in_http_1_0_are_refused() -> None:
    client = ClientConnection()
    request = Request(method="PUT", target="/", headers=CHUNKED, http_version=HttpVersion10)
    with pytest.raises(LocalProtocolError, match=r"HTTP/1\.0 has no Transfer-Encoding"):
        client.send(request)
    assert client.our_state is State.IDLE


@pytest.mark.parametrize("headers", [LENGTH_2, CHUNKED])
def test_connect_with_a_body_is_refused(headers: HeadersLike) -> None:
    with pytest.raises(LocalProtocolError, match="CONNECT has no body"):
        ClientConnection().send(Request(method="CONNECT", target="a:1", headers=headers))


@pytest.mark.parametrize("method", ["GET", "get", "M-SEARCH", "!#$%&'*+-.^_`|~", "BREW"])
def test_any_token_is_a_method(method: str) -> None:
    sent = ClientConnection().send(Request(method=method, target="*"))
    assert sent == f"{method} * HTTP/1.1\r\n\r\n".encode()


@pytest.mark.parametrize("char", [*CONTROLS, *" ä:\udc80\ud800"])
@pytest.mark.parametrize("place", ["method", "target", "name", "value", "option"])
def test_octet_that_would_change_the_message_is_refused(char: str, place: str) -> None:
    """IN-01, IN-02, IN-04: a refused request has changed nothing."""
    text = f"a{char}b"
    if place == "target" and char == ":":
        return
    if place == "value" and (char in "\t :ä" or char == "\udc80"):
        return
    headers = {"name": [(text, "x")], "value": [("A", text)], "option": [("Connection", text)]}
    request = Request(
        method=text if place == "method" else "GET",
        target=text if place == "target" else "/",
        headers=headers.get(place, [("Connection", "close, upgrade")]),
    )
    client = ClientConnection()
    with pytest.raises(LocalProtocolError):
        client.send(request)
    with pytest.raises(LocalProtocolError):
        client.send_message(request, b"x")
    assert (client.our_state, client.their_state) == (State.IDLE, State.IDLE)
    assert client.keep_alive
    assert client.send(Request(method="GET", target="/")) == b"GET / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("text", ["", "a\r\nHost: b", "GET / HTTP/1.1\r\n"])
def test_method_and_target_that_are_more_than_that_are_refused(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        ClientConnection().send(Request(method=text, target="/"))
    with pytest.raises(LocalProtocolError):
        ClientConnection().send(Request(method="GET", target=text))


def test_preset_goes_out_first() -> None:
    preset = HeaderBlock({"User-Agent": "x"})
    request = Request(method="GET", target="/", headers={"Host": "a"}, preset=preset)
    expected = b"GET / HTTP/1.1\r\nUser-Agent: x\r\nHost: a\r\n\r\n"
    assert ClientConnection().send(request) == expected


def test_received_request_is_passed_on() -> None:
    server = ServerConnection()
    server.receive_data(
        b"PUT /%2f HTTP/1.1\r\nhOST: a\r\nConnection: close, x\r\nContent-Length: 2\r\n\r\nok"
    )
    request = server.next_event()
    assert isinstance(request, Request)
    assert ClientConnection().send_message(request, b"ok") == (
        b"PUT /%2f HTTP/1.1\r\nhOST: a\r\nContent-Length: 2\r\nConnection: x, close\r\n\r\nok"
    )


# Responses.


def test_exchange_after_exchange() -> None:
    client = answered(OK)
    assert client.reusable
    for _ in range(3):
        client.start_next_cycle()
        client.send_message(Request(method="GET", target="/"))
        client.receive_data(OK)
        assert isinstance(client.next_event(), Response)
        assert isinstance(client.next_event(), Data)
        assert isinstance(client.next_event(), EndOfMessage)
        assert client.next_event() is PAUSED
        assert client.reusable


@pytest.mark.parametrize("first", ["HEAD", "CONNECT"])
def test_method_of_an_earlier_request_is_forgotten(first: str) -> None:
    no = b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"
    client = answered(no, first)
    client.start_next_cycle()
    client.send_message(Request(method="GET", target="/"))
    client.receive_data(OK)
    client.next_event()
    assert isinstance(data := client.next_event(), Data)
    assert data.data == b"ok"


def test_upgrade_of_an_earlier_request_is_forgotten() -> None:
    client = asked(headers={"Connection": "Upgrade", "Upgrade": "x"})
    client.receive_data(OK)
    while client.next_event() is not PAUSED:
        pass
    client.start_next_cycle()
    client.send_message(Request(method="GET", target="/"))
    client.receive_data(b"HTTP/1.1 101 X\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match="101 without an upgrade offered") as caught:
        client.next_event()
    assert caught.value.rule == "upgrade"


@pytest.mark.parametrize("option", ["upgrade", "keep-alive, UPGRADE"])
def test_upgrade(option: str) -> None:
    client = asked(headers={"Connection": option, "Upgrade": "x"})
    client.receive_data(b"HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n\x81\x00")
    event = client.next_event()
    assert isinstance(event, InformationalResponse)
    assert (event.status, event.upgrade) == (101, True)
    assert client.our_state is client.their_state is State.SWITCHED
    assert client.next_event() is PAUSED
    assert client.trailing_data == (b"\x81\x00", False)
    assert not client.reusable


def test_tunnel() -> None:
    client = asked("CONNECT")
    client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\x16\x03")
    event = client.next_event()
    assert isinstance(event, Response)
    assert event.upgrade
    assert client.our_state is client.their_state is State.SWITCHED
    assert client.next_event() is PAUSED
    client.receive_eof()
    assert client.trailing_data == (b"\x16\x03", True)


def test_response_before_the_end_of_the_request() -> None:
    """RS-09: it is reported, and the connection waits for the rest of the upload."""
    client = ClientConnection()
    client.send(Request(method="PUT", target="/", headers=CHUNKED))
    client.receive_data(b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n")
    assert isinstance(client.next_event(), Response)
    assert isinstance(client.next_event(), EndOfMessage)
    assert (client.our_state, client.their_state) == (State.SEND_BODY, State.DONE)
    assert not client.reusable
    client.send(Data(b"x"))
    client.send(EndOfMessage())
    assert client.reusable


def test_response_without_a_length_closes() -> None:
    client = answered(b"HTTP/1.1 200 OK\r\n\r\nab")
    assert not client.keep_alive
    client.receive_data(b"cd")
    assert isinstance(data := client.next_event(), Data)
    assert data.data == b"cd"
    client.receive_eof()
    assert isinstance(client.next_event(), EndOfMessage)
    assert client.next_event() is PAUSED
    assert client.our_state is client.their_state is State.MUST_CLOSE


def test_response_that_closes_leaves_an_unfinished_upload_alone() -> None:
    client = ClientConnection()
    client.send(Request(method="PUT", target="/", headers=CHUNKED))
    client.receive_data(b"HTTP/1.1 413 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    client.next_event()
    client.next_event()
    assert (client.our_state, client.their_state) == (State.SEND_BODY, State.MUST_CLOSE)


@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_end_before_any_response_is_an_error(interim: bytes) -> None:
    """It was a KeyError."""
    client = answered(interim)
    client.receive_eof()
    with pytest.raises(BadHttpMessage, match="connection closed before a response") as caught:
        client.next_event()
    assert caught.value.rule == "no-response"
    assert client.their_state is State.ERROR


def test_end_of_an_idle_connection() -> None:
    client = answered(OK)
    client.start_next_cycle()
    client.receive_eof()
    assert isinstance(client.next_event(), ConnectionClosed)
    assert client.their_state is State.CLOSED


# RS-01: what nobody asked for.


@pytest.mark.parametrize("data", [b"x", b"\r\n", OK])
@pytest.mark.parametrize("idle", [True, False])
def test_bytes_on_an_idle_connection_are_an_error(data: bytes, idle: bool) -> None:
    client = ClientConnection()
    if not idle:
        client = answered(OK)
        client.start_next_cycle()
    client.receive_data(data)
    with pytest.raises(UnexpectedData, match="answers no request") as caught:
        client.next_event()
    assert caught.value.rule == "unexpected"
    with pytest.raises(UnexpectedData):
        client.next_event()


@pytest.mark.parametrize("whole", [True, False])
def test_request_behind_bytes_that_nobody_asked_for_is_refused(whole: bool) -> None:
    client = ClientConnection()
    client.receive_data(OK)
    request = Request(method="GET", target="/")
    with pytest.raises(LocalProtocolError, match="the server sent something unasked, or closed"):
        client.send_message(request) if whole else client.send(request)
    assert (client.our_state, client.their_state) == (State.IDLE, State.IDLE)


def test_request_on_a_closed_connection_is_refused() -> None:
    client = ClientConnection()
    client.receive_eof()
    with pytest.raises(LocalProtocolError, match="the server sent something unasked, or closed"):
        client.send(Request(method="GET", target="/"))


@pytest.mark.parametrize("more", [b"x", OK, None])
def test_connection_with_more_than_its_response_is_not_used_again(more: bytes | None) -> None:
    client = answered(OK)
    if more is None:
        client.receive_eof()
    else:
        client.receive_data(more)
    assert client.next_event() is PAUSED
    assert not client.reusable
    with pytest.raises(LocalProtocolError, match="the server sent more than its response"):
        client.start_next_cycle()
    assert client.their_state is State.DONE


def test_body_that_was_received_elsewhere_is_only_counted() -> None:
    client = asked()
    client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
    assert isinstance(client.next_event(), Response)
    client.next_event()
    client.pass_received(memoryview(b"cd"))
    assert client.next_event() is NEED_DATA
    client.pass_received(memoryview(b"ef"))
    assert isinstance(client.next_event(), EndOfMessage)
    assert client.reusable


@pytest.mark.parametrize(
    ("head", "data"),
    [(b"Content-Length: 6", b"abcdefg"), (b"Transfer-Encoding: chunked", b"2\r\nab\r\n")],
    ids=["too-long", "chunked"],
)
def test_what_is_not_of_the_body_alone_ends_the_connection(head: bytes, data: bytes) -> None:
    client = asked()
    client.receive_data(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
    assert isinstance(client.next_event(), Response)
    with pytest.raises(RemoteProtocolError):
        client.pass_received(memoryview(data))
    assert not client.reusable


def test_nothing_is_passed_without_a_body_or_past_data_that_waits() -> None:
    client = asked()
    with pytest.raises(LocalProtocolError):
        client.pass_received(memoryview(b"a"))
    client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
    assert isinstance(client.next_event(), Response)
    with pytest.raises(LocalProtocolError):
        client.pass_received(memoryview(b"a"))
    client.next_event()
    client.receive_data(b"c")
    with pytest.raises(LocalProtocolError):
        client.pass_received(memoryview(b"a"))


def test_new_bytes_are_filled_through_their_view() -> None:
    body, view = new_bytes(4)
    view[:2] = b"ab"
    view[2:] = b"cd"
    view.release()
    assert body == b"abcd"
