"""Our sans-IO machine, full cycle, without or with a look at the headers."""

import importlib.util
import sys

from .proto_request import HEADER_COUNT, REQUEST
from .sampling import main, repeated
from .settings import not_offered

if importlib.util.find_spec("httpcore_proto") is None:
    not_offered("httpcore_proto is not installed")

from httpcore_proto import EndOfMessage, Request, Response, ServerConnection

_connection = ServerConnection()


def cycle() -> None:
    """Parse a request, take its events, answer 204, get ready for the next."""
    _connection.receive_data(REQUEST)
    _connection.next_event()
    _connection.next_event()
    _connection.send_message(Response(status=204))
    _connection.start_next_cycle()


def cycle_with_headers() -> None:
    """Do the same for a user who reads the headers, which are decoded on first use only."""
    _connection.receive_data(REQUEST)
    request = _connection.next_event()
    assert isinstance(request, Request)
    request.headers["Host"]
    _connection.next_event()
    _connection.send_message(Response(status=204))
    _connection.start_next_cycle()


def check() -> None:
    """Fail unless a cycle does what it is timed for."""
    _connection.receive_data(REQUEST)
    request = _connection.next_event()
    assert isinstance(request, Request), request
    assert len(request.raw_headers) == HEADER_COUNT, request.raw_headers
    assert isinstance(_connection.next_event(), EndOfMessage)
    assert _connection.send_message(Response(status=204)).startswith(b"HTTP/1.1 204")
    _connection.start_next_cycle()


if __name__ == "__main__":
    check()
    main(repeated(cycle_with_headers if sys.argv[1:] == ["headers"] else cycle))
