"""One message to many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from ._frames import BINARY, TEXT, encode_message
from ._sending import Octets, Role, encode_octets, encode_text
from ._web_socket import WebSocket

#: What becomes of a peer that takes too little.
SlowPolicy: TypeAlias = Literal["skip", "close", "wait"]

# Octets that may wait for a peer beside what its link holds, before it counts as slow;
# asyncio's high-water mark.
_MAX_BACKLOG: Final = 65536


async def broadcast(
    connections: Iterable[WebSocket], message: str | Octets, *, slow: SlowPolicy = "skip"
) -> list[WebSocket]:
    """Send a message to many WebSockets; it is encoded once, and never compressed.

    A peer is slow if it has not taken what was broadcast before, 64 KiB of it and what its
    link holds. Nobody waits for a peer, except with `"wait"`; and except for a client of
    trio's, which has no task that could send.

    Args:
        connections: Where to; those that are closed, or have a message half sent, get
            nothing.
        message: TEXT if it is `str`, else BINARY.
        slow: `"skip"`: slow peers miss the message. `"close"`: they are dropped, as what
            reads nothing would not read a close frame; their handlers see code 1006.
            `"wait"`: they get it, and this waits until all peers have taken enough.

    Returns:
        Those that did not get it.

    Raises:
        TypeError: `message` is no string and no octets.
        LocalProtocolError: `message` has a lone surrogate.
        ValueError: `slow` is none of the three.
    """
    if slow not in ("skip", "close", "wait"):
        raise ValueError(f"slow={slow!r}, expected skip, close or wait")
    text = isinstance(message, str)
    payload = encode_text(message) if isinstance(message, str) else encode_octets(message)
    frame = encode_message(TEXT if text else BINARY, payload)
    missed: list[WebSocket] = []
    waited_for: list[WebSocket] = []
    for ws in list(connections):
        is_slow = ws._backlog > _MAX_BACKLOG and slow != "wait"
        if ws._lost or is_slow or not ws._machine.can_send_message:
            missed.append(ws)
            if is_slow and slow == "close":
                ws._give_up("too slow for a broadcast")
            continue
        data = frame
        if ws.role is Role.CLIENT:
            # What a client sends is masked, with a key of its own each time.
            encode = ws._machine.send_encoded_text if text else ws._machine.send_bytes
            data = encode(payload, compress=False)
        if not ws._put(data) or slow == "wait":
            waited_for.append(ws)
    for ws in waited_for:
        await ws._flush(None)
    return missed
