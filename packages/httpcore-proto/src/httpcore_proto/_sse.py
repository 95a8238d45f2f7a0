"""Server-sent events (WHATWG HTML, section "Server-sent events"), written and parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from ._errors import LineTooLong

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"
# 10^15 ms are more than any process waits, and convert at once.
_MAX_RETRY_DIGITS: Final = 15

_LIMITS: Final = {
    "line": ("a line of an event stream", "max_line_size"),
    "size": ("the data of an event", "max_event_size"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSentEvent:
    """One event as it was dispatched.

    Attributes:
        data: The data, lines joined by LF.
        event: The type.
        id: The last event id when it was dispatched; it may be from an earlier event.
        retry: Reconnection time in milliseconds, if it was sent with this event.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None


def encode_event(
    data: str | None = None,
    *,
    event: str | None = None,
    id: str | None = None,  # the name of the field
    retry: int | None = None,
    comment: str | None = None,
) -> bytes:
    """Write one block of an event stream, its blank line included.

    Without `data` the receiver dispatches nothing, but takes note of `id` and `retry`. A
    comment alone keeps a connection alive.

    Args:
        data: Any text. CRLF, CR and LF all end a line, and all arrive as LF.
        event: Type of the event; receivers take `message` for none or an empty one.
        id: What the receiver is to send as Last-Event-ID when it comes back; the empty
            string makes it forget.
        retry: Reconnection time in milliseconds.
        comment: Text that receivers ignore; may have several lines.

    Raises:
        ValueError: Nothing was given, there is a CR or LF in `event` or `id`, a NUL in
            `id`, `retry` is negative or has more than 15 digits, or there is a lone
            surrogate (`UnicodeEncodeError`).
    """
    lines: list[str] = []
    if comment is not None:
        lines += (f": {line}" for line in _LINE_END.split(comment))
    if event is not None:
        if _LINE_END.search(event) is not None:
            raise ValueError(f"event {event[:80]!r} contains a line end")
        lines.append(f"event: {event}")
    if id is not None:
        if "\0" in id or _LINE_END.search(id) is not None:
            raise ValueError(f"id {id[:80]!r} contains a line end or NUL")
        lines.append(f"id: {id}")
    if retry is not None:
        if not 0 <= retry < 10**_MAX_RETRY_DIGITS:
            raise ValueError(f"retry must be 0 to 10**{_MAX_RETRY_DIGITS}-1 milliseconds")
        lines.append(f"retry: {int(retry)}")
    if data is not None:
        lines += (f"data: {line}" for line in _LINE_END.split(data))
    if not lines:
        raise ValueError("an event needs data, event, id, retry or comment")
    return ("\n".join(lines) + "\n\n").encode()


class EventStreamParser:
    """Parses an event stream: bytes in, events out.

    For one stream from its start: after a reconnection take a new one. An event that is
    not complete when the stream ends counts as not sent, as the standard wants; so there
    is nothing to call at the end. Bytes that are not UTF-8 become U+FFFD.

    Args:
        max_line_size: Bytes of one line, its end not counted. An event is usually one line
            of JSON, so the default is that of `max_event_size`.
        max_event_size: Bytes of data in one event, line ends between them included. The
            default, 1 MiB, is that of aiohttp's `client_max_size`.

    Attributes:
        last_event_id: The id to send as Last-Event-ID when reconnecting; empty for none.
        retry: The reconnection time in milliseconds that was sent last, or None.

    Raises:
        ValueError: A limit is below 1.
    """

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_data",
        "_error",
        "_event",
        "_id",
        "_max_event_size",
        "_max_line_size",
        "_partial",
        "_position",
        "_retry",
        "last_event_id",
        "retry",
    )

    last_event_id: str
    retry: int | None

    def __init__(self, *, max_line_size: int = 2**20, max_event_size: int = 2**20) -> None:
        if max_line_size < 1 or max_event_size < 1:
            raise ValueError("max_line_size and max_event_size must be at least 1")
        self._max_line_size = max_line_size
        self._max_event_size = max_event_size
        self.last_event_id = ""
        self.retry = None
        self._error: LineTooLong | None = None
        # Where in the stream the line in `_partial` begins.
        self._position = 0
        self._partial = bytearray()
        self._at_start = True
        # The line end before `_position` is a CR that an LF may still belong to.
        self._after_cr = False
        # Fields of the event that is not complete, its data with an LF behind each line.
        self._data = bytearray()
        self._event = b""
        self._id = ""
        self._retry: int | None = None

    def receive_data(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next piece of the stream and return the events that it completes.

        Args:
            data: Bytes of the body, content coding removed, cut anywhere.

        Raises:
            LineTooLong: A line or an event is over its limit. `offset` is the position in
                the stream of the line that is one too many. If events were complete before
                it they are returned, and the next call raises. From then on every call
                raises the same; nothing is kept.
        """
        events: list[ServerSentEvent] = []
        if self._error is None and data:
            self._scan(data, events)
        if self._error is not None and not events:
            raise self._error.with_traceback(None)
        return events

    def _scan(self, data: bytes, events: list[ServerSentEvent]) -> None:
        if self._after_cr and data.startswith(b"\n"):
            self._position += 1
            data = data[1:]
        # bytes.splitlines() knows these three line ends only, other than that of str.
        for line in data.splitlines(keepends=True):
            size = len(line)
            line = line.rstrip(b"\r\n")
            seen = len(self._partial) + len(line)
            if seen > self._max_line_size:
                self._fail("line", seen, self._max_line_size)
                return
            if len(line) == size:
                self._partial += line
                break
            if self._partial:
                size += len(self._partial)
                line = bytes(self._partial + line)
                self._partial.clear()
            if self._at_start:
                self._at_start = False
                line = line.removeprefix(_BOM)
            if not line:
                self._dispatch(events)
            elif not self._take_field(line):
                return
            self._position += size
        self._after_cr = data.endswith(b"\r")

    def _take_field(self, line: bytes) -> bool:
        """Take one line; False if that makes the event too large."""
        # A comment is a line whose field has no name, and so no name that is known.
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            seen = len(self._data) + len(value)
            if seen > self._max_event_size:
                self._fail("size", seen, self._max_event_size)
                return False
            self._data += value
            self._data += b"\n"
        elif name == b"event":
            self._event = value
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and len(value) <= _MAX_RETRY_DIGITS and value.isdigit():
            # bytes.isdigit() knows ASCII digits only.
            self.retry = self._retry = int(value)
        return True

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        self.last_event_id = self._id
        if self._data:
            self._data.pop()
            events.append(
                ServerSentEvent(
                    data=self._data.decode("utf-8", "replace"),
                    event=self._event.decode("utf-8", "replace") or "message",
                    id=self._id,
                    retry=self._retry,
                )
            )
            self._data.clear()
        self._event = b""
        self._retry = None

    def _fail(self, word: Literal["line", "size"], seen: int, allowed: int) -> None:
        what, limit = _LIMITS[word]
        self._error = LineTooLong(
            f"{what} has {seen} bytes or more; {limit} allows {allowed}",
            rule=f"event-{word}",
            limit=limit,
            value=seen,
            allowed=allowed,
            offset=self._position,
        )
        self._partial.clear()
        self._data.clear()
        self._event = b""
