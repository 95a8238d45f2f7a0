"""States of the two sides of a connection: literal tables, read row by row.

Each side has a state of its own. "Client" and "server" are roles in the exchange; a
`ServerConnection` keeps the client's row as `their_state` and the server's as
`our_state`, a `ClientConnection` the other way round.

No other module assigns a state. What the tables cannot say, because it depends on both
sides at once, stands below them in `ConnectionState`.
"""

from __future__ import annotations

import enum
from typing import Final

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

    # enum hashes by name, in Python code; members are singletons, identity will do.
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self.name


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
    """Both sides' states, and the rules that join them."""

    __slots__ = ("_our_table", "_their_table", "keep_alive", "our_state", "their_state")

    def __init__(self, our_table: Table, their_table: Table) -> None:
        self._our_table = our_table
        self._their_table = their_table
        self.our_state = IDLE
        self.their_state = IDLE
        #: Whether the connection may carry another exchange after this one.
        self.keep_alive = True

    def check_send(self, event: type[Event]) -> State:
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

    def sent(self, state: State) -> None:
        """Enter `state`, which `check_send` returned, after the bytes were made."""
        self.our_state = state
        if state is DONE:
            self._both_done()

    def received(self, event: type[Event]) -> None:
        """Follow what the peer sent; the parser lets no other order through."""
        self.their_state = state = self._their_table[self.their_state][event]
        if state is DONE:
            self._both_done()

    def request_begun(self) -> None:
        """A request head passed: the side that answers owes a response.

        An early response (sent before any request) stands.
        """
        if self.our_state is IDLE:
            self.our_state = SEND_HEAD
        elif self.their_state is IDLE:
            self.their_state = SEND_HEAD

    def switch(self) -> None:
        """101, or 2xx to CONNECT: what follows in both directions is not HTTP."""
        self.our_state = self.their_state = SWITCHED

    def fail_theirs(self) -> None:
        """The peer broke the protocol; our side may still answer, then must close."""
        self.their_state = ERROR
        self.keep_alive = False

    def close_ours(self) -> None:
        """Nothing may be sent any more."""
        self.our_state = CLOSED
        self.keep_alive = False

    def _both_done(self) -> None:
        if not self.keep_alive:
            if self.our_state is DONE:
                self.our_state = MUST_CLOSE
            if self.their_state is DONE:
                self.their_state = MUST_CLOSE

    def next_cycle(self) -> None:
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
