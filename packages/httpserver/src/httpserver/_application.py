"""An application: routes, middlewares, and the way from a request to its handler."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterable, Sequence
from typing import NoReturn

from ._exceptions import HTTPException, HTTPExpectationFailed, HTTPMethodNotAllowed, HTTPNotFound
from ._request import Request
from ._resources import Route
from ._response import StreamResponse
from ._router import RouteDefinition, UrlDispatcher
from ._types import Handler, Middleware


class Application:
    """What answers requests.

    Args:
        middlewares: Coroutine functions `(request, handler) -> response`, the first
            outermost. They run for every request, for those without a route too.
        client_max_size: Most bytes of a body that `Request.read` takes; 0 for no limit.
            1 MiB, aiohttp's default.
    """

    def __init__(
        self, *, middlewares: Iterable[Middleware] = (), client_max_size: int = 1024**2
    ) -> None:
        self._router = UrlDispatcher()
        self._middlewares: Sequence[Middleware] = tuple(middlewares)
        self._client_max_size = client_max_size
        self._frozen = False

    @property
    def router(self) -> UrlDispatcher:
        """The routes."""
        return self._router

    @property
    def middlewares(self) -> Sequence[Middleware]:
        """The middlewares, outermost first."""
        return self._middlewares

    @property
    def client_max_size(self) -> int:
        """Most bytes of a body that `Request.read` takes; 0 for no limit."""
        return self._client_max_size

    @property
    def frozen(self) -> bool:
        """Whether routes are closed."""
        return self._frozen

    def add_routes(self, routes: Iterable[RouteDefinition]) -> list[Route]:
        """Register route definitions; returns the routes in their order.

        Raises:
            RuntimeError: The application is frozen.
        """
        return self._router.add_routes(routes)

    def freeze(self) -> None:
        """Close the routes, and put every handler into its middlewares, once for all."""
        if not self._frozen:
            self._frozen = True
            self._router.freeze()
            for route in self._router.routes():
                route.chain = self._chain(route.handler)

    def _chain(self, handler: Handler) -> Handler:
        for middleware in reversed(self._middlewares):
            handler = _wrapped(middleware, handler)
        return handler

    async def handle(self, request: Request) -> StreamResponse:
        """Answer a request: find its route, run its handler inside the middlewares.

        Raises:
            HTTPException: Whatever the handler raises; 404 and 405 without a route, 417
                for an `Expect` that is not understood.
        """
        route, values, allowed = self._router.find(request.method, request.route_path)
        if route is None:
            route = self._no_route(request, allowed)
        elif request.expects:
            await self._answer_expectation(request)
        request.routed(route, values)
        response: StreamResponse = await route.chain(request)
        return response

    async def _answer_expectation(self, request: Request) -> None:
        expectation = request.headers["Expect"]
        if expectation.lower() != "100-continue":
            raise HTTPExpectationFailed(text=f"Unknown Expect: {expectation}")
        await request.exchange.send_continue()

    def _no_route(self, request: Request, allowed: Collection[str]) -> Route:
        error: HTTPException = (
            HTTPMethodNotAllowed(request.method, allowed) if allowed else HTTPNotFound()
        )

        async def fail(request: Request) -> NoReturn:
            raise error

        route = Route(request.method, fail, None)
        route.chain = self._chain(fail)
        return route

    def __repr__(self) -> str:
        return f"<Application at {id(self):#x}>"


def _wrapped(middleware: Middleware, handler: Handler) -> Handler:
    def call(request: Request) -> Awaitable[StreamResponse]:
        return middleware(request, handler)

    return call
