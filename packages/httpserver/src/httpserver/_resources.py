"""Resources: what a path means, and which methods it answers.

A resource compares itself with the *route path* of a request: percent-decoded, except
`%2F` and `%25` (see `BaseRequest.route_path`). Patterns are brought to the same form when
they are registered.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from yarl import URL

from httpcore_proto import hdrs

# `{name}` or `{name:regex}`, the regular expression with one level of braces inside.
_PARAMETER: Final = re.compile(r"\{([^{}:]*)(?::((?:[^{}]|\{[^{}]*\})*))?\}")
_DEFAULT_PATTERN: Final = "[^{}/]+"
_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_KEPT_ENCODED: Final = re.compile("(%2[Ff]|%25)")
# What may stand unencoded in a path: RFC 3986 pchar, and the slash.
_SAFE_IN_PATH: Final = "/!$&'()*+,;=:@%"

AnyHandler = Callable[..., Awaitable[Any]]


class Route:
    """One method of one resource, and its handler.

    Attributes:
        method: In upper case, or `"*"` for any.
        handler: As registered.
        resource: The resource it belongs to; None for 404 and 405.
        chain: The handler inside its middlewares; built when the application freezes.
    """

    __slots__ = ("chain", "handler", "method", "resource")

    def __init__(self, method: str, handler: AnyHandler, resource: Resource | None) -> None:
        self.method: str = method
        self.handler: AnyHandler = handler
        self.resource: Resource | None = resource
        self.chain: AnyHandler = handler

    @property
    def name(self) -> str | None:
        """The resource's name."""
        return self.resource.name if self.resource is not None else None

    def __repr__(self) -> str:
        return f"<Route {self.method} {self.resource!r}>"


class UrlMappingMatchInfo(dict[str, str]):
    """Values of a path's parameters, percent-decoded, and the route they belong to."""

    __slots__ = ("route",)

    def __init__(self, values: Mapping[str, str], route: Route) -> None:
        super().__init__(values)
        self.route: Route = route

    @property
    def handler(self) -> AnyHandler:
        """The handler that was registered."""
        return self.route.handler


class Resource:
    """A path, or a pattern of paths, with its routes by method."""

    __slots__ = ("name", "routes")

    def __init__(self, name: str | None) -> None:
        self.name: str | None = name
        self.routes: dict[str, Route] = {}

    def add_route(self, method: str, handler: AnyHandler) -> Route:
        """Register a handler for a method, `"*"` for any.

        Raises:
            ValueError: The method is no token.
            RuntimeError: The method is taken, or any method is.
        """
        method = method.upper()
        if _METHOD.fullmatch(method) is None:
            raise ValueError(f"{method!r} is not an HTTP method")
        if method in self.routes or hdrs.METH_ANY in self.routes:
            raise RuntimeError(
                f"Added route will never be executed, method {method} is already registered"
            )
        route = self.routes[method] = Route(method, handler, self)
        return route

    @property
    def canonical(self) -> str:
        """The path as registered, percent-encoded, parameters in braces."""
        raise NotImplementedError

    @property
    def index_key(self) -> str:
        """The literal path prefix under which the router looks for this resource."""
        raise NotImplementedError

    def match(self, path: str) -> Mapping[str, str] | None:
        """Return the parameters of a route path, or None if it is not this resource's."""
        raise NotImplementedError

    def raw_match(self, path: str) -> bool:
        """Whether a path to be registered is this resource's own."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Route]:
        return iter(self.routes.values())

    def __len__(self) -> int:
        return len(self.routes)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.canonical}>"


NO_PARAMETERS: Final[Mapping[str, str]] = {}


class PlainResource(Resource):
    """A path without parameters."""

    __slots__ = ("_path",)

    def __init__(self, path: str, *, name: str | None = None) -> None:
        super().__init__(name)
        self._path = route_form(path)

    @property
    def canonical(self) -> str:
        """The path, percent-encoded."""
        return encoded_form(self._path)

    @property
    def index_key(self) -> str:
        """The path itself."""
        return self._path

    def match(self, path: str) -> Mapping[str, str] | None:
        """Compare the whole path."""
        return NO_PARAMETERS if path == self._path else None

    def raw_match(self, path: str) -> bool:
        """Compare however it is encoded."""
        return route_form(path) == self._path

    def url_for(self) -> URL:
        """Return the path as an URL."""
        return URL(self.canonical, encoded=True)


class DynamicResource(Resource):
    """A path with parameters: `/users/{name}`, `/{id:\\d+}`."""

    __slots__ = ("_formatter", "_path", "_pattern", "_prefix")

    def __init__(self, path: str, *, name: str | None = None) -> None:
        super().__init__(name)
        self._path = path
        pattern, formatter, end = "", "", 0
        names: set[str] = set()
        for parameter in _PARAMETER.finditer(path):
            literal = route_form(_checked_literal(path, path[end : parameter.start()]))
            identifier, expression = parameter[1], parameter[2] or _DEFAULT_PATTERN
            if not identifier.isidentifier() or keyword.iskeyword(identifier):
                raise ValueError(f"invalid parameter {identifier!r} in path {path!r}")
            if identifier in names:
                raise ValueError(f"parameter {identifier!r} twice in path {path!r}")
            names.add(identifier)
            pattern += f"{re.escape(literal)}(?P<{identifier}>{expression})"
            formatter += f"{encoded_form(literal)}{{{identifier}}}"
            end = parameter.end()
        literal = route_form(_checked_literal(path, path[end:]))
        try:
            self._pattern = re.compile(pattern + re.escape(literal))
        except re.error as exc:
            raise ValueError(f"bad pattern in path {path!r}: {exc}") from exc
        self._formatter = formatter + encoded_form(literal)
        self._prefix = route_form(path[: path.index("{")]).rpartition("/")[0] or "/"

    @property
    def canonical(self) -> str:
        """The path with parameters as `{name}`, without their patterns."""
        return self._formatter

    @property
    def index_key(self) -> str:
        """What stands before the segment with the first parameter."""
        return self._prefix

    def match(self, path: str) -> Mapping[str, str] | None:
        """Compare the whole path; values come out fully decoded."""
        match = self._pattern.fullmatch(path)
        if match is None:
            return None
        values = match.groupdict("")
        if "%" in path:
            return {name: unquote(value) for name, value in values.items()}
        return values

    def raw_match(self, path: str) -> bool:
        """Compare patterns and all."""
        return path == self._path

    def url_for(self, **parts: str) -> URL:
        """Return the path with parameters filled in, each of them quoted."""
        quoted = {name: quote(value, safe="!$&'()*+,;=:@") for name, value in parts.items()}
        return URL(self._formatter.format_map(quoted), encoded=True)


def route_form(path: str) -> str:
    """Decode a registered path the way request paths are decoded for routing."""
    if "%" not in path:
        return path
    pieces = _KEPT_ENCODED.split(path)
    pieces[::2] = [unquote(piece) for piece in pieces[::2]]
    return "".join(pieces)


def encoded_form(path: str) -> str:
    """Percent-encode a path in route form."""
    return quote(path, safe=_SAFE_IN_PATH)


def _checked_literal(path: str, literal: str) -> str:
    if "{" in literal or "}" in literal:
        raise ValueError(f"unbalanced braces in path {path!r}")
    return literal
