"""Middlewares: functions of a program around the sending of each request.

The chain runs once for each hop of a redirect. A middleware may change the request, call
the handler never, once or several times, and return any response.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ._client_request import ClientRequest
    from ._response import ClientResponse

#: What sends a request.
ClientHandlerType: TypeAlias = Callable[["ClientRequest"], Awaitable["ClientResponse"]]
#: What stands in between: `async def middleware(request, handler) -> response`.
ClientMiddlewareType: TypeAlias = Callable[
    ["ClientRequest", ClientHandlerType], Awaitable["ClientResponse"]
]


def build_chain(
    handler: ClientHandlerType, middlewares: Sequence[ClientMiddlewareType]
) -> ClientHandlerType:
    """Wrap a handler into middlewares.

    Args:
        handler: What sends in the end.
        middlewares: The first is the outermost: it sees the request first, and the
            response last. Arguments are passed by position.

    Raises:
        TypeError: One of them cannot be called.
    """
    for middleware in reversed(middlewares):
        if not callable(middleware):
            raise TypeError(f"a middleware must be callable, {middleware!r} is not")
        handler = _wrap(middleware, handler)
    return handler


def _wrap(middleware: ClientMiddlewareType, handler: ClientHandlerType) -> ClientHandlerType:
    def call(request: ClientRequest) -> Awaitable[ClientResponse]:
        return middleware(request, handler)

    return call
