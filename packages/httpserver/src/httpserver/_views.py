"""Handlers as classes: a method for each method."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

from httpcore_proto import hdrs

from ._abc import AbstractView
from ._exceptions import HTTPMethodNotAllowed
from ._response import StreamResponse


class View(AbstractView):
    """A handler whose coroutine methods `get`, `post`, ... answer the methods of that name.

    Known are CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT and TRACE; HEAD is
    answered by `head` only.

    Args:
        request: The request to be answered.
    """

    def __await__(self) -> Generator[Any, None, StreamResponse]:
        """Answer the request.

        Raises:
            HTTPMethodNotAllowed: There is no method for its method.
        """
        return self._answer().__await__()

    async def _answer(self) -> StreamResponse:
        name = self.request.method
        method: Callable[[], Awaitable[StreamResponse]] | None = None
        if name in hdrs.METH_ALL:
            method = getattr(self, name.lower(), None)
        if method is None:
            allowed = {name for name in hdrs.METH_ALL if hasattr(self, name.lower())}
            raise HTTPMethodNotAllowed(name, allowed)
        return await method()
