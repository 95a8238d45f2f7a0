"""From a path to its resource, in a time that does not grow with the routes.

Resources are kept by the literal part of their path. A request's path is looked up
whole, then with one segment less at a time, so that fixed paths win over patterns and
longer literal prefixes over shorter ones, whatever the order of registration. Patterns
behind one and the same prefix are tried one after the other, in that order.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Unpack, cast

from httpcore_proto import hdrs

from ._abc import AbstractResource, AbstractRouter, AnyHandler
from ._exceptions import HTTPMethodNotAllowed, HTTPNotFound
from ._match_info import UrlMappingMatchInfo
from ._resources import NO_PARAMETERS, DynamicResource, MatchingResource, PlainResource, Resource
from ._routes import ResourceRoute, RouteOptions, RouteSettings, SystemRoute
from ._sub_applications import MatchedSubAppResource

if TYPE_CHECKING:
    from ._abc import AbstractRoute
    from ._application import Application
    from ._request import Request
    from ._routedef import AbstractRouteDef
    from ._static import StaticResource

_NAME_SEPARATOR: Final = re.compile("[.:-]")
_NO_ROUTES: Final[Mapping[str, AbstractRoute]] = MappingProxyType({})


class UrlDispatcher(AbstractRouter, Mapping[str, AbstractResource]):
    """The router that applications have unless they are given another.

    Also a mapping of the named resources.
    """

    def __init__(self) -> None:
        self._resources: list[AbstractResource] = []
        self._index: dict[str, list[AbstractResource]] = {}
        #: Routes by path and method, once frozen, of paths that need no matching.
        self._exact: dict[str, Mapping[str, AbstractRoute]] = {}
        # The slashes of the index's deepest key: longer paths need not be looked up.
        self._depth = 0
        self._domains: list[MatchedSubAppResource] = []
        self._named: dict[str, AbstractResource] = {}
        self._synchronous = type(self).resolve is UrlDispatcher.resolve
        self._app: Application | None = None
        self._frozen = False

    # Registration.

    def add_resource(self, path: str, *, name: str | None = None) -> Resource:
        """Return the resource for a path; the last one again if path and name are its.

        Args:
            path: Begins with a slash, or is empty; parameters as `{name}` or
                `{name:regular expression}`, the expression with at most one level of
                braces. It is matched against the decoded path, where only `%2F` and
                `%25` are left encoded.
            name: For `router[name]`: identifiers joined by dots, colons and dashes.

        Raises:
            ValueError: The path is malformed, or the name, or it is taken.
            RuntimeError: The router is frozen.
        """
        if path and not path.startswith("/"):
            raise ValueError("path should start with / or be empty")
        last = self._resources[-1] if self._resources else None
        if isinstance(last, Resource) and last.name == name and last.raw_match(path):
            self._check_open()
            return last
        resource: Resource = (
            DynamicResource(path, name=name)
            if "{" in path or "}" in path
            else PlainResource(path, name=name)
        )
        self.register_resource(resource)
        return resource

    def register_resource(self, resource: AbstractResource) -> None:
        """Take a resource, one of your own as well.

        Raises:
            TypeError: It is no `AbstractResource`.
            ValueError: Its name is malformed, or taken.
            RuntimeError: The router is frozen.
        """
        if not isinstance(resource, AbstractResource):
            raise TypeError(f"expected an AbstractResource, got {resource!r}")
        self._check_open()
        name = resource.name
        if name is not None:
            _check_name(name)
            if name in self._named:
                raise ValueError(
                    f"duplicate name {name!r}, already handled by {self._named[name]!r}"
                )
            self._named[name] = resource
        self._resources.append(resource)
        self._add_to_index(resource)
        self._synchronous = self._synchronous and resource.synchronous

    def add_route(
        self,
        method: str,
        path: str,
        handler: AnyHandler,
        *,
        name: str | None = None,
        **options: Unpack[RouteSettings],
    ) -> ResourceRoute:
        """Register a handler for a method and a path.

        Args:
            method: A token in any case, `"*"` for any method that has no route.
            path: See `add_resource`.
            handler: A coroutine function that takes a request and returns a response, or a
                subclass of `AbstractView`.
            name: Name of the resource.
            **options: `expect_handler` and `handler_cancellation` as for `ResourceRoute`.

        Raises:
            ValueError: The method is no token; or the path, or the name, is malformed.
            TypeError: A handler is no coroutine function.
            RuntimeError: The method is taken, or the router is frozen.
        """
        return self.add_resource(path, name=name).add_route(method, handler, **options)

    def add_get(
        self,
        path: str,
        handler: AnyHandler,
        *,
        allow_head: bool = True,
        **options: Unpack[RouteOptions],
    ) -> ResourceRoute:
        """Register for GET, and for HEAD unless told otherwise; returns the route of GET."""
        if allow_head:
            self.add_route(hdrs.METH_HEAD, path, handler, **options)
        return self.add_route(hdrs.METH_GET, path, handler, **options)

    def add_head(
        self, path: str, handler: AnyHandler, **options: Unpack[RouteOptions]
    ) -> ResourceRoute:
        """Register for HEAD: see `add_route`."""
        return self.add_route(hdrs.METH_HEAD, path, handler, **options)

    def add_post(
        self, path: str, handler: AnyHandler, **options: Unpack[RouteOptions]
    ) -> ResourceRoute:
        """Register for POST: see `add_route`."""
        return self.add_route(hdrs.METH_POST, path, handler, **options)

    def add_put(
        self, path: str, handler: AnyHandler, **options: Unpack[RouteOptions]
    ) -> ResourceRoute:
        """Register for PUT: see `add_route`."""
        return self.add_route(hdrs.METH_PUT, path, handler, **options)

    def add_patch(
        self, path: str, handler: AnyHandler, **options: Unpack[RouteOptions]
    ) -> ResourceRoute:
        """Register for PATCH: see `add_route`."""
        return self.add_route(hdrs.METH_PATCH, path, handler, **options)

    def add_delete(
        self, path: str, handler: AnyHandler, **options: Unpack[RouteOptions]
    ) -> ResourceRoute:
        """Register for DELETE: see `add_route`."""
        return self.add_route(hdrs.METH_DELETE, path, handler, **options)

    def add_options(
        self, path: str, handler: AnyHandler, **options: Unpack[RouteOptions]
    ) -> ResourceRoute:
        """Register for OPTIONS: see `add_route`."""
        return self.add_route(hdrs.METH_OPTIONS, path, handler, **options)

    def add_view(
        self, path: str, handler: AnyHandler, **options: Unpack[RouteOptions]
    ) -> ResourceRoute:
        """Register a class of views for any method: see `add_route`."""
        return self.add_route(hdrs.METH_ANY, path, handler, **options)

    def add_static(
        self, prefix: str, path: str | PathLike[str], *, name: str | None = None, **options: Any
    ) -> StaticResource:
        """Serve a directory.

        Args:
            prefix: The path below which its files are found.
            path: The directory.
            name: For `router[name]`.
            **options: See `StaticResource`.

        Raises:
            ValueError: There is no such directory; or the name is malformed, or taken.
            RuntimeError: The router is frozen.
        """
        # Most programs serve no files.
        from ._static import StaticResource

        resource = StaticResource(prefix, path, name=name, **options)
        self.register_resource(resource)
        return resource

    def add_routes(self, routes: Iterable[AbstractRouteDef]) -> list[AbstractRoute]:
        """Register route definitions; returns the routes in their order."""
        registered: list[AbstractRoute] = []
        for route in routes:
            registered.extend(route.register(self))
        return registered

    def add_prefix(self, prefix: str) -> None:
        """Put a path in front of all resources; called when the application is mounted."""
        self._index.clear()
        self._depth = 0
        for resource in self._resources:
            resource.add_prefix(prefix)
            self._add_to_index(resource)

    def _add_to_index(self, resource: AbstractResource) -> None:
        if isinstance(resource, MatchedSubAppResource):
            if resource not in self._domains:
                self._domains.append(resource)
            return
        key = resource.index_key
        self._index.setdefault(key, []).append(resource)
        self._depth = max(self._depth, key.count("/"))

    def _check_open(self) -> None:
        if self._frozen:
            raise RuntimeError("cannot register a resource: the router is frozen")

    # What is registered.

    def resources(self) -> list[AbstractResource]:
        """Return all resources in the order of registration."""
        return list(self._resources)

    def routes(self) -> list[AbstractRoute]:
        """Return all routes in the order of registration, those of sub-applications too."""
        return [route for resource in self._resources for route in resource]

    def named_resources(self) -> Mapping[str, AbstractResource]:
        """Return the named resources."""
        return MappingProxyType(self._named)

    def __getitem__(self, name: str) -> AbstractResource:
        return self._named[name]

    def __contains__(self, name: object) -> bool:
        return name in self._named

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)

    # Looking up.

    def post_init(self, app: Application) -> None:
        """Learn whose router this is."""
        self._app = app

    @property
    def frozen(self) -> bool:
        """Whether routes are closed."""
        return self._frozen

    @property
    def synchronous(self) -> bool:
        """Whether `find` knows all that `resolve` does.

        Not if anything but method and path has a say: domains, and resources or a subclass
        with a `resolve` of their own.
        """
        return self._synchronous

    def freeze(self) -> None:
        """Take no more resources."""
        self._frozen = True
        for resource in self._resources:
            resource.freeze()
        self._exact = self._exact_routes()

    def _exact_routes(self) -> dict[str, Mapping[str, AbstractRoute]]:
        """Return the routes of paths that need no matching, those of sub-applications too."""
        exact: dict[str, Mapping[str, AbstractRoute]] = {}
        for key, resources in self._index.items():
            # Nothing can come before the first that is registered at the whole of a path.
            first = resources[0]
            if type(first) is PlainResource:
                exact[key] = first.routes
            elif isinstance(first, MatchingResource) and first.subrouter is not None:
                below = first.subrouter._exact_routes()
                exact |= {path: below[path] for path in below if self._leads_to(key, path)}
        return exact

    def _leads_to(self, key: str, path: str) -> bool:
        """Whether a look-up of `path` comes to `key` before anything else."""
        while path != key:
            if path == "/" or path in self._index:
                return False
            path = path.rpartition("/")[0] or "/"
        return True

    def find(self, method: str, path: str) -> tuple[AbstractRoute, Mapping[str, str]]:
        """Look a request up; only if the router is `synchronous`.

        Args:
            method: As the client sent it.
            path: The request's route path.

        Returns:
            The route, a `SystemRoute` if there is none, and the path's parameters.
        """
        allowed: list[str] = []
        route = self._exact.get(path, _NO_ROUTES).get(method)
        if route is not None:
            return route, NO_PARAMETERS
        index = cast("dict[str, list[MatchingResource]]", self._index)
        key = path
        while True:
            for resource in index.get(key, ()):
                values = resource.match(path)
                if values is not None:
                    routes = resource.routes
                    route = routes.get(method) or routes.get(hdrs.METH_ANY)
                    if route is not None:
                        return route, values
                    subrouter = resource.subrouter
                    if subrouter is not None:
                        return subrouter.find(method, path)
                    allowed.extend(routes)
            if key == "/" or not key:
                return self._no_route(method, allowed), NO_PARAMETERS
            if key is path and path.count("/") > self._depth:
                key = self._deepest_key(path)
            else:
                key = key.rpartition("/")[0] or "/"

    async def resolve(self, request: Request) -> UrlMappingMatchInfo:
        """Tell what answers a request; what is wrong with it is in `http_exception`."""
        for domain in self._domains:
            match_info, _ = await domain.resolve(request)
            if match_info is not None:
                return match_info
        path = request.route_path
        allowed: set[str] = set()
        for key in self._keys(path):
            for resource in self._index.get(key, ()):
                match_info, methods = await resource.resolve(request)
                if match_info is not None:
                    return match_info
                allowed |= methods
        return UrlMappingMatchInfo(NO_PARAMETERS, self._no_route(request.method, allowed))

    def _keys(self, path: str) -> Iterator[str]:
        """The same keys that `find` looks up."""
        key = path
        if path.count("/") > self._depth:
            key = self._deepest_key(path)
        while True:
            yield key
            if key == "/" or not key:
                return
            key = key.rpartition("/")[0] or "/"

    def _deepest_key(self, path: str) -> str:
        """Cut a path that is longer than any key, in one step.

        A path of nothing but slashes has as many segments as octets, and to look up each
        of them would take a time that grows with the square.
        """
        segments = path.split("/", self._depth + 1)
        return "/".join(segments[: self._depth + 1]) or "/"

    def _no_route(self, method: str, allowed: Iterable[str]) -> SystemRoute:
        methods = set(allowed)
        route = SystemRoute(HTTPMethodNotAllowed(method, methods) if methods else HTTPNotFound())
        if self._app is not None:
            self._app.adopt(route)
        return route


def _check_name(name: str) -> None:
    parts = _NAME_SEPARATOR.split(name)
    if keyword.iskeyword(name) or not all(part.isidentifier() for part in parts):
        raise ValueError(
            f"incorrect route name {name!r}: it should be identifiers joined by dots, colons and "
            "dashes, and no keyword as a whole"
        )
