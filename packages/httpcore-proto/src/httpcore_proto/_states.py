"""States of the two sides of a connection: literal tables, read row by row.

Each side has a state of its own. "Client" and "server" are roles in the exchange; a
`ServerConnection` keeps the client's row as `their_state` and the server's as
`our_state`, a `ClientConnection` the other way round.

No other module assigns a state. What the tables cannot say, because it depends on both
sides at once, stands below them in `ConnectionState`.
"""

from __future__ import annotations

import enum
from typing import ClassVar, Final

from ._errors import LocalProtocolError
from ._events import (
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    InformationalResponse,
    Request,
    Response,
)


class State(enum.Enum):
    """Where one side of a connection stands."""

    IDLE = "nothing of the next message was sent"
    SEND_HEAD = "the request head arrived, the final response head is due"
    SEND_BODY = "the head was sent, the body is under way"
    DONE = "the message is complete"
    MUST_CLOSE = "complete, and the connection cannot be used again"
    CLOSED = "this side sends nothing more"
    SWITCHED = "the connection speaks another protocol"
    ERROR = "this side broke the protocol"

    def __repr__(self) -> str:
        return self.name


# enum hashes by name, in Python code; members are singletons, so the hash of objects will
# do, which is C. Not in the class body, where type checkers lose track of it.
setattr(State, "__hash__", object.__hash__)  # noqa: B010

IDLE: Final = State.IDLE
SEND_HEAD: Final = State.SEND_HEAD
SEND_BODY: Final = State.SEND_BODY
DONE: Final = State.DONE
MUST_CLOSE: Final = State.MUST_CLOSE
CLOSED: Final = State.CLOSED
SWITCHED: Final = State.SWITCHED
ERROR: Final = State.ERROR

Table = dict[State, dict[type[Event], State]]

CLIENT_TABLE: Final[Table] = {
    IDLE: {Request: SEND_BODY, ConnectionClosed: CLOSED},
    SEND_HEAD: {},
    SEND_BODY: {Data: SEND_BODY, EndOfMessage: DONE},
    DONE: {ConnectionClosed: CLOSED},
    MUST_CLOSE: {ConnectionClosed: CLOSED},
    CLOSED: {ConnectionClosed: CLOSED},
    SWITCHED: {},
    ERROR: {},
}

SERVER_TABLE: Final[Table] = {
    # A server may answer before a request could be read: 400, 408, 503.
    IDLE: {Response: SEND_BODY, ConnectionClosed: CLOSED},
    SEND_HEAD: {InformationalResponse: SEND_HEAD, Response: SEND_BODY},
    SEND_BODY: {Data: SEND_BODY, EndOfMessage: DONE},
    DONE: {ConnectionClosed: CLOSED},
    MUST_CLOSE: {ConnectionClosed: CLOSED},
    CLOSED: {ConnectionClosed: CLOSED},
    SWITCHED: {},
    ERROR: {},
}


class ConnectionState:
    """Both sides' states, and the rules that join them; the base of both machines.

    Attributes:
        our_state: State of this side.
        their_state: State of the peer's side, as far as events were taken.
        keep_alive: Whether, as far as is known, the connection lives on after this
            exchange.
    """

    __slots__ = ("keep_alive", "our_state", "their_state")

    _our_table: ClassVar[Table]
    _their_table: ClassVar[Table]

    our_state: State
    their_state: State
    keep_alive: bool

    def __init__(self) -> None:
        self.our_state = IDLE
        self.their_state = IDLE
        self.keep_alive = True

    @property
    def reusable(self) -> bool:
        """Whether `start_next_cycle` may follow: the exchange ended cleanly."""
        return self.our_state is DONE and self.their_state is DONE and self.keep_alive

    def start_next_cycle(self) -> None:
        """Begin the next exchange on the same connection.

        Raises:
            LocalProtocolError: A side is not `DONE`.
        """
        if self.our_state is not DONE or self.their_state is not DONE:
            raise LocalProtocolError(
                "cannot start the next cycle: both sides must be DONE, "
                f"ours is {self.our_state!r}, theirs {self.their_state!r}"
            )
        self.our_state = self.their_state = IDLE

    def _check_send(self, event: type[Event]) -> State:
        """Return the state that sending `event` leads to.

        Raises:
            LocalProtocolError: The table has no such transition.
        """
        state = self._our_table[self.our_state].get(event)
        if state is None:
            allowed = sorted(kind.__name__ for kind in self._our_table[self.our_state])
            raise LocalProtocolError(
                f"cannot send {event.__name__} in state {self.our_state!r}, "
                f"expected one of: {', '.join(allowed) or 'nothing'}"
            )
        return state

    def _sent(self, state: State) -> None:
        """Enter `state`, which `_check_send` returned, after the bytes were made."""
        self.our_state = state
        if state is DONE and not self.keep_alive:
            self._both_close()

    def _received(self, event: type[Event]) -> None:
        """Follow what the peer sent; the parser lets no other order through."""
        self.their_state = state = self._their_table[self.their_state][event]
        if state is DONE and not self.keep_alive:
            self._both_close()

    def _request_received(self) -> None:
        """A server's side: a response is due, unless an early one was sent."""
        self.their_state = SEND_BODY
        if self.our_state is IDLE:
            self.our_state = SEND_HEAD

    def _request_sent(self, state: State) -> None:
        """A client's side: a response is due."""
        self.their_state = SEND_HEAD
        self._sent(state)

    def _switch(self) -> None:
        """101, or 2xx to CONNECT: what follows in both directions is not HTTP."""
        self.our_state = self.their_state = SWITCHED

    def _fail_theirs(self) -> None:
        """The peer broke the protocol; our side may still answer, then must close."""
        self.their_state = ERROR
        self.keep_alive = False

    def _both_close(self) -> None:
        if self.our_state is DONE:
            self.our_state = MUST_CLOSE
        if self.their_state is DONE:
            self.their_state = MUST_CLOSE
