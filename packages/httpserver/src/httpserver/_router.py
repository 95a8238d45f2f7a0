"""From a path to its resource, in a time that does not grow with the routes.

Resources are kept by the literal part of their path. A request's path is looked up
whole, then with one segment less at a time, so that fixed paths win over patterns and
longer literal prefixes over shorter ones, whatever the order of registration.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

from httpcore_proto import hdrs

from ._resources import NO_PARAMETERS, AnyHandler, DynamicResource, PlainResource, Resource, Route


class RouteDefinition(Protocol):
    """A route that is told and not yet registered."""

    def register(self, router: UrlDispatcher) -> list[Route]:
        """Register it; returns the routes it made."""


class UrlDispatcher:
    """The router of an application."""

    def __init__(self) -> None:
        self._resources: list[Resource] = []
        self._index: dict[str, list[Resource]] = {}
        self._named: dict[str, Resource] = {}
        self._frozen = False

    def add_resource(self, path: str, *, name: str | None = None) -> Resource:
        """Return the resource for a path; the last one again if path and name are its.

        Args:
            path: Begins with a slash, or is empty; parameters as `{name}` or
                `{name:regular expression}`.
            name: For `router[name]`.

        Raises:
            ValueError: The path is malformed, or the name taken.
            RuntimeError: The router is frozen.
        """
        if self._frozen:
            raise RuntimeError("cannot register a resource: the router is frozen")
        if path and not path.startswith("/"):
            raise ValueError("path should start with / or be empty")
        last = self._resources[-1] if self._resources else None
        if last is not None and last.name == name and last.raw_match(path):
            return last
        resource: Resource = (
            DynamicResource(path, name=name)
            if "{" in path or "}" in path
            else PlainResource(path, name=name)
        )
        if name is not None:
            if name in self._named:
                raise ValueError(f"duplicate name {name!r}")
            self._named[name] = resource
        self._resources.append(resource)
        self._index.setdefault(resource.index_key, []).append(resource)
        return resource

    def add_route(
        self, method: str, path: str, handler: AnyHandler, *, name: str | None = None
    ) -> Route:
        """Register a handler for a method (`"*"` for any) and a path."""
        return self.add_resource(path, name=name).add_route(method, handler)

    def add_get(
        self, path: str, handler: AnyHandler, *, name: str | None = None, allow_head: bool = True
    ) -> Route:
        """Register for GET, and for HEAD unless told otherwise."""
        resource = self.add_resource(path, name=name)
        if allow_head:
            resource.add_route(hdrs.METH_HEAD, handler)
        return resource.add_route(hdrs.METH_GET, handler)

    def add_routes(self, routes: Iterable[RouteDefinition]) -> list[Route]:
        """Register route definitions; returns the routes in their order."""
        registered: list[Route] = []
        for route in routes:
            registered.extend(route.register(self))
        return registered

    def resources(self) -> list[Resource]:
        """Return all resources in the order of registration."""
        return list(self._resources)

    def routes(self) -> list[Route]:
        """Return all routes in the order of registration."""
        return [route for resource in self._resources for route in resource]

    def __getitem__(self, name: str) -> Resource:
        return self._named[name]

    def __contains__(self, name: object) -> bool:
        return name in self._named

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)

    def freeze(self) -> None:
        """Take no more resources."""
        self._frozen = True

    def find(
        self, method: str, path: str
    ) -> tuple[Route | None, Mapping[str, str], Collection[str]]:
        """Look a request up.

        Args:
            method: As the client sent it.
            path: The request's route path.

        Returns:
            The route, or None; the path's parameters; and without a route the methods
            that the path would answer, none if there is no such path.
        """
        allowed: list[str] = []
        index = self._index
        key = path
        while True:
            for resource in index.get(key, ()):
                values = resource.match(path)
                if values is not None:
                    routes = resource.routes
                    route = routes.get(method) or routes.get(hdrs.METH_ANY)
                    if route is not None:
                        return route, values, ()
                    allowed.extend(routes)
            if key == "/" or not key:
                return None, NO_PARAMETERS, allowed
            key = key.rpartition("/")[0] or "/"
