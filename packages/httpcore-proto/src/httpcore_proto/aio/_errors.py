"""Errors of the async floor."""

from __future__ import annotations


class BusyError(RuntimeError):
    """A second task waits for what only one task may wait for."""


class LinkLostError(ConnectionResetError):
    """The link to the peer is lost or closed, and what was to be sent is not sent."""


class EofStream(Exception):
    """A queue ended, and everything in it was read."""


class IncompleteReadError(EOFError):
    """A body ended before the bytes that were asked for.

    Attributes:
        partial: The bytes that were there.
        expected: How many were asked for.
    """

    def __init__(self, partial: bytes, expected: int) -> None:
        super().__init__(f"{len(partial)} bytes read on a total of {expected} expected bytes")
        self.partial = partial
        self.expected = expected

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.partial, self.expected))
