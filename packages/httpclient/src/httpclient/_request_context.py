"""A request that was asked for, and not yet awaited."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any

from ._response import ClientResponse


class RequestContext(Coroutine[Any, Any, ClientResponse]):
    """A request that was asked for: await it, or enter it with `async with`, once.

    Leaving the context releases the response.
    """

    __slots__ = ("_coroutine", "_response")

    _response: ClientResponse

    def __init__(self, coroutine: Coroutine[Any, Any, ClientResponse]) -> None:
        self._coroutine = coroutine

    def send(self, value: Any) -> Any:
        """Go on, as a coroutine does."""
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        """Raise inside, as a coroutine does."""
        return self._coroutine.throw(*args)

    def close(self) -> None:
        """Drop the request, as a coroutine does."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, ClientResponse]:
        return self._coroutine.__await__()

    async def __aenter__(self) -> ClientResponse:
        self._response = response = await self._coroutine
        response.enter()
        return response

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._response.leave()
