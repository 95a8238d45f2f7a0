"""Peer: httptools, which parses with callbacks and has no machine and no serialiser."""

import httptools

from .proto_request import HEADER_COUNT, REQUEST
from .sampling import main, repeated


class Callbacks:
    """Collects what a server needs of each request, as users of httptools do."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.request_count = 0

    def on_message_begin(self) -> None:
        """Start with an empty head."""
        self.headers = []

    def on_url(self, url: bytes) -> None:
        """Keep the target."""
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header."""
        self.headers.append((name, value))

    def on_message_complete(self) -> None:
        """Count the request."""
        self.request_count += 1


_callbacks = Callbacks()
_parser = httptools.HttpRequestParser(_callbacks)


def parse() -> None:
    """Parse a request."""
    _parser.feed_data(REQUEST)


def check() -> None:
    """Fail unless a parse does what it is timed for."""
    parse()
    assert _callbacks.request_count == 1
    assert len(_callbacks.headers) == HEADER_COUNT


if __name__ == "__main__":
    check()
    main(repeated(parse))
