"""Types of handlers and middlewares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from ._request import Request
from ._response import StreamResponse

#: What answers a request.
Handler: TypeAlias = Callable[[Request], Awaitable[StreamResponse]]
#: What wraps a handler; called with the request and the next handler in.
Middleware: TypeAlias = Callable[[Request, Handler], Awaitable[StreamResponse]]
