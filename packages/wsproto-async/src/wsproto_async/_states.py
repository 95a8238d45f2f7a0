"""States of the two sides of a WebSocket: literal tables, read row by row.

Each side has a state of its own; a side that sent its close frame sends nothing more
(RFC 6455 section 5.5.1). No other module assigns a state.
"""

from __future__ import annotations

import enum
from typing import Final

from httpcore_proto import LocalProtocolError


class WSState(enum.Enum):
    """Where one side of a WebSocket stands."""

    OPEN = "between two messages"
    FRAGMENTED = "a message is half sent"
    CLOSED = "the close frame was sent; nothing more follows"
    LOST = "the connection ended without a close frame"
    ERROR = "this side broke the protocol"

    def __repr__(self) -> str:
        return self.name


class Step(enum.Enum):
    """What a side does next."""

    MESSAGE = "a message in one frame"
    FRAGMENT = "a fragment that is not the last"
    LAST_FRAGMENT = "the last fragment of a message"
    CONTROL = "a ping or pong"
    CLOSE = "a close frame"
    FAULT = "something that the protocol forbids"
    END = "the end of the connection"


# enum hashes by name, in Python code; the hash of objects will do, which is C. Not in the
# class bodies, where type checkers lose track of it.
setattr(WSState, "__hash__", object.__hash__)  # noqa: B010
setattr(Step, "__hash__", object.__hash__)  # noqa: B010

_S = WSState
Table = dict[WSState, dict[Step, WSState]]

OUR_TABLE: Final[Table] = {
    _S.OPEN: {
        Step.MESSAGE: _S.OPEN,
        Step.FRAGMENT: _S.FRAGMENTED,
        Step.LAST_FRAGMENT: _S.OPEN,
        Step.CONTROL: _S.OPEN,
        Step.CLOSE: _S.CLOSED,
    },
    _S.FRAGMENTED: {
        Step.FRAGMENT: _S.FRAGMENTED,
        Step.LAST_FRAGMENT: _S.OPEN,
        Step.CONTROL: _S.FRAGMENTED,
        Step.CLOSE: _S.CLOSED,
    },
    _S.CLOSED: {},
}

# The order of fragments is the frame reader's to check; what it lets through changes nothing.
THEIR_TABLE: Final[Table] = {
    _S.OPEN: {Step.CLOSE: _S.CLOSED, Step.FAULT: _S.ERROR, Step.END: _S.LOST},
    _S.CLOSED: {Step.END: _S.CLOSED},
    _S.ERROR: {Step.FAULT: _S.ERROR, Step.END: _S.ERROR},
    _S.LOST: {Step.END: _S.LOST},
}


class WebSocketState:
    """Both sides' states; the base of the connection.

    Attributes:
        our_state: State of this side.
        their_state: State of the peer's side, as far as events were taken.
    """

    __slots__ = ("our_state", "their_state")

    our_state: WSState
    their_state: WSState

    def __init__(self) -> None:
        self.our_state = WSState.OPEN
        self.their_state = WSState.OPEN

    def _check_send(self, step: Step) -> WSState:
        """Return the state that `step` leads to.

        Raises:
            LocalProtocolError: The table has no such transition.
        """
        state = OUR_TABLE[self.our_state].get(step)
        if state is None:
            raise LocalProtocolError(
                f"cannot send {step.value}: of this side, {self.our_state.value}"
            )
        return state

    def _sent(self, state: WSState) -> None:
        """Enter `state`, which `_check_send` returned, after the bytes were made."""
        self.our_state = state

    def _received(self, step: Step) -> None:
        """Follow what the peer did."""
        self.their_state = THEIR_TABLE[self.their_state][step]
