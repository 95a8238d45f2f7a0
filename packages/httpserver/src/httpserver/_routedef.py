"""Route definitions: routes as data, for `Application.add_routes`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from httpcore_proto import hdrs

from ._abc import AbstractRoute, AnyHandler

if TYPE_CHECKING:
    from ._router import UrlDispatcher

_HandlerT = TypeVar("_HandlerT", bound=AnyHandler)


class RouteDecorator(Protocol):
    """What registers a handler and returns it as it is."""

    def __call__(self, handler: _HandlerT, /) -> _HandlerT:
        """Register it."""


class AbstractRouteDef(ABC):
    """Something that is told and not yet registered."""

    __slots__ = ()

    @abstractmethod
    def register(self, router: UrlDispatcher) -> list[AbstractRoute]:
        """Register it; returns the routes it made."""


@dataclass(frozen=True, slots=True)
class RouteDef(AbstractRouteDef):
    """A route that is told and not yet registered.

    Attributes:
        method: An HTTP method, or `"*"` for any.
        path: As `UrlDispatcher.add_resource` takes it.
        handler: A coroutine function that takes a request and returns a response, or a
            subclass of `AbstractView`.
        kwargs: As `UrlDispatcher.add_route` takes them; for GET `allow_head` as well.
    """

    method: str
    path: str
    handler: AnyHandler
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def register(self, router: UrlDispatcher) -> list[AbstractRoute]:
        """Register it; returns the route, for GET without that of HEAD."""
        if self.method == hdrs.METH_GET:
            return [router.add_get(self.path, self.handler, **self.kwargs)]
        return [router.add_route(self.method, self.path, self.handler, **self.kwargs)]


@dataclass(frozen=True, slots=True)
class StaticDef(AbstractRouteDef):
    """A directory that is told and not yet served.

    Attributes:
        prefix: The path below which its files are found.
        path: The directory.
        kwargs: As `UrlDispatcher.add_static` takes them.
    """

    prefix: str
    path: str | PathLike[str]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def register(self, router: UrlDispatcher) -> list[AbstractRoute]:
        """Register it; returns its routes."""
        return list(router.add_static(self.prefix, self.path, **self.kwargs))


def route(method: str, path: str, handler: AnyHandler, **kwargs: Any) -> RouteDef:
    """Define a route for any method; `"*"` for all of them. See `UrlDispatcher.add_route`."""
    return RouteDef(method, path, handler, kwargs)


def get(
    path: str,
    handler: AnyHandler,
    *,
    name: str | None = None,
    allow_head: bool = True,
    **kwargs: Any,
) -> RouteDef:
    """Define a route for GET, and for HEAD unless told otherwise."""
    return route(hdrs.METH_GET, path, handler, name=name, allow_head=allow_head, **kwargs)


def post(path: str, handler: AnyHandler, **kwargs: Any) -> RouteDef:
    """Define a route for POST."""
    return route(hdrs.METH_POST, path, handler, **kwargs)


def put(path: str, handler: AnyHandler, **kwargs: Any) -> RouteDef:
    """Define a route for PUT."""
    return route(hdrs.METH_PUT, path, handler, **kwargs)


def patch(path: str, handler: AnyHandler, **kwargs: Any) -> RouteDef:
    """Define a route for PATCH."""
    return route(hdrs.METH_PATCH, path, handler, **kwargs)


def delete(path: str, handler: AnyHandler, **kwargs: Any) -> RouteDef:
    """Define a route for DELETE."""
    return route(hdrs.METH_DELETE, path, handler, **kwargs)


def head(path: str, handler: AnyHandler, **kwargs: Any) -> RouteDef:
    """Define a route for HEAD."""
    return route(hdrs.METH_HEAD, path, handler, **kwargs)


def options(path: str, handler: AnyHandler, **kwargs: Any) -> RouteDef:
    """Define a route for OPTIONS."""
    return route(hdrs.METH_OPTIONS, path, handler, **kwargs)


def view(path: str, handler: AnyHandler, **kwargs: Any) -> RouteDef:
    """Define a route for all methods, answered by a class of views."""
    return route(hdrs.METH_ANY, path, handler, **kwargs)


def static(prefix: str, path: str | PathLike[str], **kwargs: Any) -> StaticDef:
    """Define a directory to serve. See `UrlDispatcher.add_static`."""
    return StaticDef(prefix, path, kwargs)


class RouteTableDef(Sequence[AbstractRouteDef]):
    """Route definitions that are made by decorating handlers.

    `@routes.get("/path")` puts a definition behind the others and leaves the handler as it
    is; arguments are those of the functions of the same names. Otherwise a sequence
    that cannot be changed, for `Application.add_routes`.
    """

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: list[AbstractRouteDef] = []

    @overload
    def __getitem__(self, index: int) -> AbstractRouteDef: ...

    @overload
    def __getitem__(self, index: slice) -> list[AbstractRouteDef]: ...

    def __getitem__(self, index: int | slice) -> AbstractRouteDef | list[AbstractRouteDef]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[AbstractRouteDef]:
        return iter(self._items)

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def __repr__(self) -> str:
        return f"<RouteTableDef count={len(self._items)}>"

    def route(self, method: str, path: str, **kwargs: Any) -> RouteDecorator:
        """Decorate what answers any one method; `"*"` for all of them."""

        def decorate(handler: _HandlerT, /) -> _HandlerT:
            self._items.append(RouteDef(method, path, handler, kwargs))
            return handler

        return decorate

    def get(self, path: str, **kwargs: Any) -> RouteDecorator:
        """Decorate what answers GET, and HEAD unless `allow_head` is false."""
        return self.route(hdrs.METH_GET, path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> RouteDecorator:
        """Decorate what answers POST."""
        return self.route(hdrs.METH_POST, path, **kwargs)

    def put(self, path: str, **kwargs: Any) -> RouteDecorator:
        """Decorate what answers PUT."""
        return self.route(hdrs.METH_PUT, path, **kwargs)

    def patch(self, path: str, **kwargs: Any) -> RouteDecorator:
        """Decorate what answers PATCH."""
        return self.route(hdrs.METH_PATCH, path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> RouteDecorator:
        """Decorate what answers DELETE."""
        return self.route(hdrs.METH_DELETE, path, **kwargs)

    def head(self, path: str, **kwargs: Any) -> RouteDecorator:
        """Decorate what answers HEAD."""
        return self.route(hdrs.METH_HEAD, path, **kwargs)

    def options(self, path: str, **kwargs: Any) -> RouteDecorator:
        """Decorate what answers OPTIONS."""
        return self.route(hdrs.METH_OPTIONS, path, **kwargs)

    def view(self, path: str, **kwargs: Any) -> RouteDecorator:
        """Decorate a class of views."""
        return self.route(hdrs.METH_ANY, path, **kwargs)

    def static(self, prefix: str, path: str | PathLike[str], **kwargs: Any) -> None:
        """Define a directory to serve."""
        self._items.append(StaticDef(prefix, path, kwargs))
