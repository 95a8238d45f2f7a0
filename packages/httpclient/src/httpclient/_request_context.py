"""What a session was asked for, and not yet awaited."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar

from ._response import ClientResponse

T = TypeVar("T")


class Pending(Coroutine[Any, Any, T], Generic[T]):
    """Something that was asked for: await it, or enter it with `async with`, once."""

    __slots__ = ("_coroutine", "_result")

    _result: T

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine

    def send(self, value: Any) -> Any:
        """Go on, as a coroutine does."""
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        """Raise inside, as a coroutine does."""
        return self._coroutine.throw(*args)

    def close(self) -> None:
        """Drop it, as a coroutine does."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    async def __aenter__(self) -> T:
        self._result = await self._coroutine
        return self._result


class RequestContext(Pending[ClientResponse]):
    """A request that was asked for: await it, or enter it with `async with`, once.

    Leaving the context releases the response.
    """

    __slots__ = ()

    async def __aenter__(self) -> ClientResponse:
        # Not through super(): that is one more coroutine per request.
        self._result = response = await self._coroutine
        response.enter()
        return response

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._result.leave()
