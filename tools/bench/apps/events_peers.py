"""Peers: httpx2's event source, and a floor that cuts at blank lines and looks at nothing."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Final

import httpx2

from .body_inputs import EVENTS, event_pieces, shown_events
from .sampling import Timed, expecting, main, repeated


def _httpx2(pieces: list[bytes]) -> list[httpx2.ServerSentEvent]:
    # Its parser is not public, so this is a response whose body is there already.
    response = httpx2.Response(
        200,
        headers={"Content-Type": "text/event-stream"},
        content=iter(pieces),
        request=httpx2.Request("GET", "http://localhost/"),
    )
    return list(httpx2.EventSource(response))


def _floor(pieces: list[bytes]) -> list[str]:
    return b"".join(pieces).decode().split("\n\n")


def _shown_blocks(blocks: list[str]) -> list[tuple[str, ...]]:
    # A blank line ends the last block too, so what follows it is empty.
    return [tuple(line.partition(": ")[2] for line in block.splitlines()) for block in blocks[:-1]]


PEERS: Final[dict[str, Callable[[], Timed]]] = {
    "floor": lambda: (
        repeated(partial(_floor, event_pieces())),
        expecting(EVENTS, _shown_blocks),
    ),
    "httpx2": lambda: (
        repeated(partial(_httpx2, event_pieces())),
        expecting(EVENTS, shown_events),
    ),
}

if __name__ == "__main__":
    main(*PEERS[sys.argv[1]]())
