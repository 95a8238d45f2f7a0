"""Both machines back to back: what one sends, the other reports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from httpcore_proto import (
    NEED_DATA,
    PAUSED,
    ClientConnection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    HeaderBlock,
    HeadersLike,
    HttpVersion10,
    InformationalResponse,
    NoEvent,
    Request,
    Response,
    ServerConnection,
    State,
)

IDLE, SEND_HEAD, SEND_BODY = State.IDLE, State.SEND_HEAD, State.SEND_BODY
DONE, MUST_CLOSE, CLOSED = State.DONE, State.MUST_CLOSE, State.CLOSED
SWITCHED = State.SWITCHED


class Pair:
    """A client and a server that agree after every event."""

    def __init__(self, step: int) -> None:
        self.client = ClientConnection()
        self.server = ServerConnection()
        self.step = step

    def request(self, event: Event) -> list[Event]:
        return self._pass(self.client, self.server, event)

    def response(self, event: Event) -> list[Event]:
        return self._pass(self.server, self.client, event)

    def state(self, client: State, server: State) -> None:
        assert (self.client.our_state, self.client.their_state) == (client, server)
        assert (self.server.their_state, self.server.our_state) == (client, server)

    def _pass(
        self,
        sender: ClientConnection | ServerConnection,
        receiver: ClientConnection | ServerConnection,
        event: Event,
    ) -> list[Event]:
        data = sender.send(event)
        received: list[Event] = []
        for at in range(0, len(data), self.step):
            receiver.receive_data(data[at : at + self.step])
            received += events(receiver)
        if isinstance(event, ConnectionClosed):
            receiver.receive_eof()
            received += events(receiver)
        return received


def events(connection: ClientConnection | ServerConnection) -> Iterator[Event]:
    event: Event | NoEvent = connection.next_event()
    while event is not NEED_DATA and event is not PAUSED:
        yield event
        if isinstance(event, ConnectionClosed):
            return
        event = connection.next_event()


def body(received: list[Event]) -> bytes:
    return b"".join(event.data for event in received if isinstance(event, Data))


@pytest.fixture(params=[1, 7, 1 << 20], ids=["bytewise", "pieces", "whole"])
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param)


LENGTH_5 = {"Content-Length": "5"}
CHUNKED = {"Transfer-Encoding": "chunked"}
HOST = {"Host": "a"}


def test_get(pair: Pair) -> None:
    for _ in range(3):
        pair.state(IDLE, IDLE)
        head = Request(method="GET", target="/x?y=z", headers=[("Host", "a"), ("X", "ä\udcff")])
        # The end of a request without a body is known with its head.
        received = pair.request(head)
        assert isinstance(request := received[0], Request)
        assert (request.method, request.target) == ("GET", "/x?y=z")
        assert request.headers == head.headers
        assert isinstance(received[1], EndOfMessage)
        assert pair.request(EndOfMessage()) == []
        pair.state(DONE, SEND_HEAD)
        [response] = pair.response(Response(status=200, headers=LENGTH_5))
        assert isinstance(response, Response)
        assert (response.status, response.reason, response.content_length) == (200, "OK", 5)
        pair.state(DONE, SEND_BODY)
        received = pair.response(Data(b"hello"))
        assert body(received) == b"hello"
        assert isinstance(received[-1], EndOfMessage)
        assert pair.response(EndOfMessage()) == []
        pair.state(DONE, DONE)
        pair.client.start_next_cycle()
        pair.server.start_next_cycle()


def test_chunks_and_trailers_in_both_directions(pair: Pair) -> None:
    [request] = pair.request(Request(method="PUT", target="/", headers=HOST | CHUNKED))
    assert isinstance(request, Request)
    assert request.chunked
    pair.state(SEND_BODY, SEND_HEAD)
    [response] = pair.response(Response(status=200))
    assert isinstance(response, Response)
    assert response.chunked
    pair.state(SEND_BODY, SEND_BODY)
    for piece in (b"hello", b"0\r\n\r\n", bytes(300)):
        assert body(pair.request(Data(piece))) == piece
        assert body(pair.response(Data(piece[::-1]))) == piece[::-1]
    assert pair.request(Data(b"")) == []
    trailers = [("A", "b"), ("a", "ä")]
    [end] = pair.request(EndOfMessage(trailers))
    assert isinstance(end, EndOfMessage)
    assert list(end.trailers.items()) == trailers
    pair.state(DONE, SEND_BODY)
    [end] = pair.response(EndOfMessage(trailers))
    assert isinstance(end, EndOfMessage)
    assert list(end.trailers.items()) == trailers
    pair.state(DONE, DONE)
    assert pair.client.reusable
    assert pair.server.reusable


def test_expectation(pair: Pair) -> None:
    headers = HOST | LENGTH_5 | {"Expect": "100-continue"}
    [request] = pair.request(Request(method="PUT", target="/", headers=headers))
    assert isinstance(request, Request)
    assert request.expects_continue
    [interim] = pair.response(InformationalResponse(status=100))
    assert isinstance(interim, InformationalResponse)
    assert (interim.status, interim.reason) == (100, "Continue")
    pair.state(SEND_BODY, SEND_HEAD)
    assert body(pair.request(Data(b"hello"))) == b"hello"
    pair.request(EndOfMessage())
    pair.state(DONE, SEND_HEAD)
    hints = InformationalResponse(status=103, headers={"Link": "x"})
    [interim] = pair.response(hints)
    assert isinstance(interim, InformationalResponse)
    assert interim.headers["Link"] == "x"
    received = pair.response(Response(status=204))
    assert [type(event) for event in received] == [Response, EndOfMessage]
    pair.response(EndOfMessage())
    pair.state(DONE, DONE)


@pytest.mark.parametrize("headers", [LENGTH_5, {}])
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_response_without_a_body(
    pair: Pair, method: str, status: int, headers: HeadersLike
) -> None:
    pair.request(Request(method=method, target="/", headers=HOST))
    pair.request(EndOfMessage())
    received = pair.response(Response(status=status, headers=headers))
    assert [type(event) for event in received] == [Response, EndOfMessage]
    assert pair.response(Data(b"hello")) == []
    assert pair.response(EndOfMessage()) == []
    pair.state(DONE, DONE)
    assert pair.client.reusable
    assert pair.server.reusable


def test_http_1_0(pair: Pair) -> None:
    received = pair.request(Request(method="GET", target="/", http_version=HttpVersion10))
    assert isinstance(request := received[0], Request)
    assert request.http_version == HttpVersion10
    pair.request(EndOfMessage())
    pair.state(MUST_CLOSE, SEND_HEAD)
    pair.response(Response(status=200))
    pair.state(MUST_CLOSE, SEND_BODY)
    assert body(pair.response(Data(b"hello"))) == b"hello"
    pair.server.send(EndOfMessage())
    [end] = pair.response(ConnectionClosed())
    assert isinstance(end, EndOfMessage)
    assert pair.client.their_state is MUST_CLOSE
    assert pair.server.our_state is CLOSED
    pair.request(ConnectionClosed())
    assert pair.client.our_state is CLOSED
    assert not pair.client.reusable


def test_http_1_0_with_keep_alive(pair: Pair) -> None:
    for _ in range(2):
        head = Request(
            method="GET",
            target="/",
            headers={"Connection": "keep-alive"},
            http_version=HttpVersion10,
        )
        pair.request(head)
        pair.request(EndOfMessage())
        [response] = pair.response(Response(status=200, headers=LENGTH_5))
        assert isinstance(response, Response)
        assert response.keep_alive
        pair.response(Data(b"hello"))
        pair.response(EndOfMessage())
        pair.state(DONE, DONE)
        pair.client.start_next_cycle()
        pair.server.start_next_cycle()


@pytest.mark.parametrize("who", ["client", "server"])
def test_close(pair: Pair, who: str) -> None:
    close = {"Connection": "close"}
    pair.request(
        Request(method="GET", target="/", headers=HOST | (close if who == "client" else {}))
    )
    pair.request(EndOfMessage())
    pair.response(Response(status=204, headers=close if who == "server" else {}))
    pair.response(EndOfMessage())
    pair.state(MUST_CLOSE, MUST_CLOSE)
    assert pair.response(ConnectionClosed()) == []
    assert pair.request(ConnectionClosed()) == []
    assert pair.client.our_state is pair.server.our_state is CLOSED


def test_close_of_an_idle_connection(pair: Pair) -> None:
    [closed] = pair.request(ConnectionClosed())
    assert isinstance(closed, ConnectionClosed)
    pair.state(CLOSED, IDLE)
    [closed] = pair.response(ConnectionClosed())
    assert isinstance(closed, ConnectionClosed)
    pair.state(CLOSED, CLOSED)


def test_early_response(pair: Pair) -> None:
    pair.request(Request(method="PUT", target="/", headers=HOST | LENGTH_5))
    pair.request(Data(b"he"))
    pair.response(Response(status=413, headers={"Content-Length": "0"}))
    pair.response(EndOfMessage())
    pair.state(SEND_BODY, DONE)
    assert not pair.client.reusable
    assert body(pair.request(Data(b"llo"))) == b"llo"
    pair.request(EndOfMessage())
    pair.state(DONE, DONE)
    assert pair.client.reusable
    assert pair.server.reusable


def test_upgrade(pair: Pair) -> None:
    offer = {"Connection": "Upgrade", "Upgrade": "x"}
    received = pair.request(Request(method="GET", target="/", headers=HOST | offer))
    assert isinstance(request := received[0], Request)
    assert request.upgrade
    pair.request(EndOfMessage())
    [response] = pair.response(InformationalResponse(status=101, headers=offer))
    assert isinstance(response, InformationalResponse)
    assert response.upgrade
    pair.state(SWITCHED, SWITCHED)


def test_declined_upgrade(pair: Pair) -> None:
    """FR-25: the connection stays HTTP, with whatever follows."""
    offer = {"Connection": "Upgrade", "Upgrade": "x"}
    pair.request(Request(method="GET", target="/", headers=HOST | offer))
    pair.request(EndOfMessage())
    received = pair.response(Response(status=200, headers={"Content-Length": "0"}))
    assert [type(event) for event in received] == [Response, EndOfMessage]
    pair.response(EndOfMessage())
    pair.state(DONE, DONE)
    pair.client.start_next_cycle()
    pair.server.start_next_cycle()
    assert pair.request(Request(method="GET", target="/", headers=HOST))


@pytest.mark.parametrize(("status", "state"), [(200, SWITCHED), (407, DONE)])
def test_tunnel(pair: Pair, status: int, state: State) -> None:
    pair.request(Request(method="CONNECT", target="a:1", headers=HOST))
    pair.request(EndOfMessage())
    pair.response(Response(status=status, headers={"Content-Length": "0"}))
    if status != 200:
        pair.response(EndOfMessage())
    pair.state(state, state)


@pytest.mark.parametrize("data", [b"", b"hello", bytes(70_000)])
def test_whole_messages(pair: Pair, data: bytes) -> None:
    block = HeaderBlock({"Date": "x", "Server": "y"})
    for _ in range(2):
        head = Request(method="POST", target="/", headers=HOST, preset=block)
        pair.server.receive_data(pair.client.send_message(head, data))
        received = list(events(pair.server))
        assert isinstance(received[0], Request)
        assert list(received[0].headers) == ["Date", "Server", "Host"] + ["Content-Length"] * bool(
            data
        )
        assert body(received) == data
        answer = Response(status=200, headers={"X": "y"}, preset=block)
        pair.client.receive_data(pair.server.send_message(answer, data))
        received = list(events(pair.client))
        assert isinstance(received[0], Response)
        assert list(received[0].headers) == ["Date", "Server", "X", "Content-Length"]
        assert body(received) == data
        pair.state(DONE, DONE)
        pair.client.start_next_cycle()
        pair.server.start_next_cycle()
