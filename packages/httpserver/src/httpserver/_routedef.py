"""Route definitions: routes as data, for `Application.add_routes`."""

from __future__ import annotations

from dataclasses import dataclass

from httpcore_proto import hdrs

from ._resources import AnyHandler, Route
from ._router import UrlDispatcher


@dataclass(frozen=True, slots=True)
class RouteDef:
    """A route that is told and not yet registered.

    Attributes:
        method: An HTTP method, or `"*"` for any.
        path: As `UrlDispatcher.add_resource` takes it.
        handler: A coroutine function that takes a request and returns a response.
        name: Name of the resource.
        allow_head: For GET: answer HEAD as well.
    """

    method: str
    path: str
    handler: AnyHandler
    name: str | None = None
    allow_head: bool = True

    def register(self, router: UrlDispatcher) -> list[Route]:
        """Register it; returns the routes it made."""
        if self.method == hdrs.METH_GET:
            return [
                router.add_get(self.path, self.handler, name=self.name, allow_head=self.allow_head)
            ]
        return [router.add_route(self.method, self.path, self.handler, name=self.name)]


def route(method: str, path: str, handler: AnyHandler, *, name: str | None = None) -> RouteDef:
    """Define a route for any method; `"*"` for all of them."""
    return RouteDef(method, path, handler, name)


def get(
    path: str, handler: AnyHandler, *, name: str | None = None, allow_head: bool = True
) -> RouteDef:
    """Define a route for GET, and for HEAD unless told otherwise."""
    return RouteDef(hdrs.METH_GET, path, handler, name, allow_head)


def post(path: str, handler: AnyHandler, *, name: str | None = None) -> RouteDef:
    """Define a route for POST."""
    return RouteDef(hdrs.METH_POST, path, handler, name)


def put(path: str, handler: AnyHandler, *, name: str | None = None) -> RouteDef:
    """Define a route for PUT."""
    return RouteDef(hdrs.METH_PUT, path, handler, name)


def patch(path: str, handler: AnyHandler, *, name: str | None = None) -> RouteDef:
    """Define a route for PATCH."""
    return RouteDef(hdrs.METH_PATCH, path, handler, name)


def delete(path: str, handler: AnyHandler, *, name: str | None = None) -> RouteDef:
    """Define a route for DELETE."""
    return RouteDef(hdrs.METH_DELETE, path, handler, name)


def head(path: str, handler: AnyHandler, *, name: str | None = None) -> RouteDef:
    """Define a route for HEAD."""
    return RouteDef(hdrs.METH_HEAD, path, handler, name)


def options(path: str, handler: AnyHandler, *, name: str | None = None) -> RouteDef:
    """Define a route for OPTIONS."""
    return RouteDef(hdrs.METH_OPTIONS, path, handler, name)
