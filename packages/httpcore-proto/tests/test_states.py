from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import httpcore_proto
from httpcore_proto import (
    NEED_DATA,
    PAUSED,
    ClientConnection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    InformationalResponse,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
    State,
)

IDLE, SEND_HEAD, SEND_BODY = State.IDLE, State.SEND_HEAD, State.SEND_BODY
DONE, MUST_CLOSE, CLOSED = State.DONE, State.MUST_CLOSE, State.CLOSED
SWITCHED, ERROR = State.SWITCHED, State.ERROR

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"

EVENTS: dict[str, Event] = {
    "request": Request(method="GET", target="/"),
    "interim": InformationalResponse(status=103),
    "response": Response(status=200),
    "data": Data(b"x"),
    "end": EndOfMessage(),
    "closed": ConnectionClosed(),
}


def take(connection: ServerConnection | ClientConnection, data: bytes = b"") -> None:
    connection.receive_data(data)
    event = connection.next_event()
    while event is not NEED_DATA and event is not PAUSED:
        event = connection.next_event()


def serving(data: bytes, *events: Event) -> ServerConnection:
    server = ServerConnection()
    take(server, data)
    for event in events:
        server.send(event)
    return server


def closing(connection: ServerConnection | ClientConnection) -> ServerConnection | ClientConnection:
    connection.send(ConnectionClosed())
    return connection


OK, END = Response(status=200), EndOfMessage()
CLOSE = Response(status=200, headers=[("Connection", "close")])

# How a server gets into each state, and where each event leads from there.
SERVER: list[tuple[str, Callable[[], ServerConnection], dict[str, State]]] = [
    ("IDLE", lambda: serving(b""), {"response": SEND_BODY, "closed": CLOSED}),
    ("SEND_HEAD", lambda: serving(GET), {"interim": SEND_HEAD, "response": SEND_BODY}),
    ("SEND_BODY", lambda: serving(GET, OK), {"data": SEND_BODY, "end": DONE}),
    ("DONE", lambda: serving(GET, OK, END), {"closed": CLOSED}),
    ("DONE", lambda: serving(POST, OK, END), {"closed": CLOSED}),
    ("MUST_CLOSE", lambda: serving(GET, CLOSE, END), {"closed": CLOSED}),
    ("CLOSED", lambda: serving(b"", ConnectionClosed()), {"closed": CLOSED}),
    ("SWITCHED", lambda: serving(UPGRADE, InformationalResponse(status=101)), {}),
]


def fetching(request: Request, *events: Event, answer: bytes = b"") -> ClientConnection:
    client = ClientConnection()
    client.send(request)
    for event in events:
        client.send(event)
    take(client, answer)
    return client


def closed_client() -> ClientConnection:
    client = ClientConnection()
    client.send(ConnectionClosed())
    return client


ASK = Request(method="GET", target="/")
ASK_CHUNKED = Request(method="PUT", target="/", headers={"Transfer-Encoding": "chunked"})
ASK_CLOSE = Request(method="GET", target="/", headers={"Connection": "close"})
ASK_UPGRADE = Request(method="GET", target="/", headers={"Connection": "upgrade", "Upgrade": "x"})
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

CLIENT: list[tuple[str, Callable[[], ClientConnection], dict[str, State]]] = [
    ("IDLE", ClientConnection, {"request": SEND_BODY, "closed": CLOSED}),
    ("SEND_BODY", lambda: fetching(ASK_CHUNKED), {"data": SEND_BODY, "end": DONE}),
    ("DONE", lambda: fetching(ASK, END), {"closed": CLOSED}),
    ("DONE", lambda: fetching(ASK, END, answer=ANSWER), {"closed": CLOSED}),
    ("MUST_CLOSE", lambda: fetching(ASK_CLOSE, END), {"closed": CLOSED}),
    ("CLOSED", closed_client, {"closed": CLOSED}),
    (
        "SWITCHED",
        lambda: fetching(ASK_UPGRADE, END, answer=b"HTTP/1.1 101 X\r\n\r\n"),
        {},
    ),
]


@pytest.mark.parametrize(("state", "make", "allowed"), [*SERVER, *CLIENT])
@pytest.mark.parametrize("name", EVENTS)
def test_event_is_sent_or_refused_by_the_table(
    name: str,
    state: str,
    make: Callable[[], ServerConnection | ClientConnection],
    allowed: dict[str, State],
) -> None:
    connection = make()
    theirs = connection.their_state
    assert connection.our_state is State[state]
    if name in allowed:
        connection.send(EVENTS[name])
        assert connection.our_state is allowed[name]
        return
    kinds = sorted(type(EVENTS[kind]).__name__ for kind in allowed)
    kind = type(EVENTS[name]).__name__
    expected = f"cannot send {kind} in state {state}, expected one of: "
    with pytest.raises(LocalProtocolError, match=expected + (", ".join(kinds) or "nothing")):
        connection.send(EVENTS[name])
    assert (connection.our_state, connection.their_state) == (State[state], theirs)


def test_every_state_but_error_was_tried() -> None:
    """A side of ours is never in error, and a client never owes a response head."""
    assert {name for name, _, _ in SERVER} == {state.name for state in State} - {"ERROR"}
    assert {name for name, _, _ in CLIENT} == {state.name for state in State} - {
        "ERROR",
        "SEND_HEAD",
    }


def test_something_that_is_no_event_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="cannot send NeedData in state IDLE"):
        ClientConnection().send(NEED_DATA)  # type: ignore[arg-type]  # the point of it


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (b"", IDLE),
        (GET[:-1], IDLE),
        (POST, SEND_BODY),
        (POST + b"1234", SEND_BODY),
        (POST + b"12345", DONE),
        (GET + GET, DONE),
        (b"GET / HTTP/1.0\r\n\r\n", MUST_CLOSE),
    ],
)
def test_server_follows_what_the_client_sent(data: bytes, state: State) -> None:
    assert serving(data).their_state is state


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (b"", SEND_HEAD),
        (b"HTTP/1.1 100 X\r\n\r\n", SEND_HEAD),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", SEND_BODY),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", DONE),
        (b"HTTP/1.1 200 OK\r\n\r\nx", SEND_BODY),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", MUST_CLOSE),
    ],
)
def test_client_follows_what_the_server_sent(data: bytes, state: State) -> None:
    assert fetching(ASK, END, answer=data).their_state is state


def test_closed_peer() -> None:
    server = ServerConnection()
    server.receive_eof()
    assert isinstance(server.next_event(), ConnectionClosed)
    assert isinstance(server.next_event(), ConnectionClosed)
    assert server.their_state is CLOSED
    assert not server.reusable


def test_peer_that_breaks_the_protocol() -> None:
    server = ServerConnection()
    server.receive_data(b"\0")
    with pytest.raises(RemoteProtocolError):
        server.next_event()
    assert (server.our_state, server.their_state) == (IDLE, ERROR)
    assert not server.keep_alive


@pytest.mark.parametrize(
    ("make", "ours", "theirs"),
    [
        (lambda: serving(b""), IDLE, IDLE),
        (lambda: serving(GET), SEND_HEAD, DONE),
        (lambda: serving(GET, OK), SEND_BODY, DONE),
        (lambda: serving(POST, OK, END), DONE, SEND_BODY),
        (lambda: serving(GET, CLOSE, END), MUST_CLOSE, MUST_CLOSE),
        (lambda: serving(UPGRADE, InformationalResponse(status=101)), SWITCHED, SWITCHED),
        (lambda: fetching(ASK, END), DONE, SEND_HEAD),
        (lambda: fetching(ASK_CHUNKED, answer=ANSWER), SEND_BODY, DONE),
        (lambda: closing(fetching(ASK, END, answer=ANSWER)), CLOSED, DONE),
    ],
)
def test_next_cycle_too_early_is_refused(
    make: Callable[[], ServerConnection | ClientConnection], ours: State, theirs: State
) -> None:
    connection = make()
    assert not connection.reusable
    expected = f"both sides must be DONE, ours is {ours!r}, theirs {theirs!r}"
    with pytest.raises(LocalProtocolError, match=expected):
        connection.start_next_cycle()
    assert (connection.our_state, connection.their_state) == (ours, theirs)


@pytest.mark.parametrize(
    "connection",
    [serving(GET, OK, END), fetching(ASK, END, answer=ANSWER)],
    ids=["server", "client"],
)
def test_next_cycle_starts_at_idle(connection: ServerConnection | ClientConnection) -> None:
    assert connection.reusable
    connection.start_next_cycle()
    assert (connection.our_state, connection.their_state) == (IDLE, IDLE)
    assert connection.keep_alive


@pytest.mark.parametrize(
    ("request_line", "header", "alive"),
    [
        (b"HTTP/1.1", b"", True),
        (b"HTTP/1.1", b"Connection: close\r\n", False),
        (b"HTTP/1.0", b"", False),
        (b"HTTP/1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_both_sides_must_close_when_the_client_wants_to(
    request_line: bytes, header: bytes, alive: bool
) -> None:
    server = serving(b"GET / " + request_line + b"\r\nHost: a\r\n" + header + b"\r\n")
    assert server.keep_alive is alive
    server.send_message(OK)
    assert server.our_state is server.their_state is (DONE if alive else MUST_CLOSE)
    assert server.reusable is alive


def test_close_of_the_response_reaches_a_request_that_is_complete() -> None:
    server = serving(GET, CLOSE)
    assert (server.our_state, server.their_state) == (SEND_BODY, DONE)
    server.send(END)
    assert (server.our_state, server.their_state) == (MUST_CLOSE, MUST_CLOSE)


def test_close_of_the_response_reaches_a_request_that_is_not_complete() -> None:
    server = serving(POST, CLOSE, END)
    assert (server.our_state, server.their_state) == (MUST_CLOSE, SEND_BODY)
    take(server, b"12345")
    assert (server.our_state, server.their_state) == (MUST_CLOSE, MUST_CLOSE)


def test_states_are_named() -> None:
    assert repr(State.SEND_HEAD) == "SEND_HEAD"
    assert len({state.value for state in State}) == len(State)
    assert {State.IDLE: 1}[State.IDLE] == 1


def test_only_the_module_of_the_states_assigns_them() -> None:
    package = Path(httpcore_proto.__file__).parent
    assigning = {
        path.name
        for path in package.glob("*.py")
        if re.search(r"\b(our|their)_state(: State)? = ", path.read_text(encoding="utf-8"))
    }
    # `their_state = self.their_state` reads.
    reading = re.compile(r"^\s+their_state = self\.their_state$", re.MULTILINE)
    text = (package / "_connection.py").read_text(encoding="utf-8")
    assert assigning - {"_connection.py"} == {"_states.py"}
    assert not re.search(r"_state = ", reading.sub("", text))
