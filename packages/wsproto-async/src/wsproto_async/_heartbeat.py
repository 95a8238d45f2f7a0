"""Asking a silent peer whether it is still there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._receiving import in_time
from ._states import WSState

if TYPE_CHECKING:
    from ._web_socket import WebSocket


async def beat(ws: WebSocket, seconds: float) -> None:
    """Ping after `seconds` of silence, and drop the connection after half as many more.

    Any byte that comes is life. While the queue is full nothing is read, so that nothing
    is asked either: a slow handler is no dead peer. Ends with the link, and when either
    side closes, which has its own deadlines.
    """
    now = ws._runtime.now
    while not (ws._over or ws._lost) and ws._machine.our_state is not WSState.CLOSED:
        due = ws._heard_at + seconds
        if ws._paused or now() < due:
            await _rest(ws, max(due, now() + seconds / 2) if ws._paused else due)
            continue
        asked_at = now()
        ws._link.write(ws._encode_ping(b""))
        await _rest(ws, asked_at + seconds / 2)
        if ws._heard_at < asked_at and not ws._paused and not ws._over:
            error = ws.pong_error(f"No PONG received after {seconds / 2} seconds")
            ws._queue.append(error)
            await ws._drop_link()
            return


async def _rest(ws: WebSocket, until: float) -> None:
    """Wait; on links that are only read and written by whoever asks, ask."""
    runtime = ws._runtime
    if runtime.soon is not None:
        await runtime.sleep(until - runtime.now())
        return
    try:
        await in_time(until, ws._drain)
        while runtime.now() < until and not ws._lost:
            await ws._more(until)
    except OSError:
        pass  # the time is over; or the link is, which its loss tells
