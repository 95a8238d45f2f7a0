"""A response body as lines or events, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from httpcore_proto import EventStreamParser, LineTooLong, ServerSentEvent

from ._errors import ClientPayloadError

if TYPE_CHECKING:
    from typing import Self

    from ._response import ClientResponse

T = TypeVar("T")


class Parser(Protocol[T]):
    """What makes items out of bytes."""

    def receive_data(self, data: bytes) -> list[T]:
        """Return the items that `data` completes, and with `b""` raise what is pending."""

    def finish(self) -> list[T]:
        """Return the items that the end of the body completes."""


# Not an async generator: trio warns of one that is left before its end.
class BodyItems(AsyncIterator[T], Generic[T]):
    """What a parser makes of a body while it is received.

    One task at a time; cancelling loses nothing. What the body raises, this raises.

    Raises:
        ClientPayloadError: An item is over a limit; its cause, a `LineTooLong`, tells which.
            The connection is closed.
    """

    __slots__ = ("_ended", "_items", "_parser", "_response")

    def __init__(self, response: ClientResponse, parser: Parser[T]) -> None:
        self._response = response
        self._parser = parser
        self._items: deque[T] = deque()
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        items = self._items
        try:
            while not items and not self._ended:
                items.extend(self._parser.receive_data(b""))
                if data := await self._response.content.readany():
                    items.extend(self._parser.receive_data(data))
                else:
                    self._ended = True
                    items.extend(self._parser.finish())
        except LineTooLong as exc:
            self._response.close()
            raise ClientPayloadError(exc.message) from exc
        if not items:
            raise StopAsyncIteration
        return items.popleft()


class _Events(EventStreamParser):
    """An event stream, whose last event is lost if it is cut, as the standard wants."""

    __slots__ = ()

    def finish(self) -> list[ServerSentEvent]:
        return []


class EventStream(BodyItems[ServerSentEvent]):
    """Server-sent events of a response, as an async iterator; `ClientResponse.sse` makes it.

    It does not connect again when it ends: whoever does sends `last_event_id` as
    Last-Event-ID, `retry` milliseconds later.
    """

    __slots__ = ("_events",)

    def __init__(self, response: ClientResponse, max_line_size: int, max_event_size: int) -> None:
        self._events = _Events(max_line_size=max_line_size, max_event_size=max_event_size)
        super().__init__(response, self._events)

    @property
    def last_event_id(self) -> str:
        """The id that was received last, of an event with or without data; may be empty."""
        return self._events.last_event_id

    @property
    def retry(self) -> int | None:
        """Milliseconds that the server wants to pass before a reconnection, if it said so."""
        return self._events.retry
