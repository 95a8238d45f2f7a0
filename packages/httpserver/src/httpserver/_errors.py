"""Errors of the server that are not HTTP answers."""

from __future__ import annotations


class RequestPayloadError(Exception):
    """The body of a request is malformed, cut, or the client went away inside it.

    The cause (`__cause__`) is the protocol's or the connection's error. Unless the
    handler catches it, the answer is the protocol error's status code.
    """


class PayloadAccessError(Exception):
    """The body of a request was read after its response was sent."""
