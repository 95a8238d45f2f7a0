"""Peer: h11, the parse alone or the full cycle."""

import sys

import h11

from .proto_request import HEADER_COUNT, REQUEST
from .sampling import main, repeated

_connection = h11.Connection(h11.SERVER)
_no_content = h11.Response(status_code=204, headers=[])


def parse() -> None:
    """Parse a request and take its head, with a fresh machine: h11 goes on only after an answer."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(REQUEST)
    connection.next_event()
    connection.next_event()


def cycle() -> None:
    """Parse a request, take its events, answer 204, get ready for the next."""
    _connection.receive_data(REQUEST)
    _connection.next_event()
    _connection.next_event()
    _connection.send(_no_content)
    _connection.send(h11.EndOfMessage())
    _connection.start_next_cycle()


def check() -> None:
    """Fail unless a cycle does what it is timed for."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(REQUEST)
    request = connection.next_event()
    assert isinstance(request, h11.Request), request
    assert len(request.headers) == HEADER_COUNT
    assert isinstance(connection.next_event(), h11.EndOfMessage)


if __name__ == "__main__":
    check()
    main(repeated(parse if sys.argv[1:] == ["parse"] else cycle))
