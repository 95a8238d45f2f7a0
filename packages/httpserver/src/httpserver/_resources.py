"""Resources: what a path means, and which methods it answers.

A resource compares itself with the *route path* of a request: percent-decoded, except
`%2F` and `%25` (see `BaseRequest.route_path`). Patterns are brought to the same form when
they are registered.
"""

from __future__ import annotations

import keyword
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from yarl import URL

from httpcore_proto import hdrs

from ._abc import AbstractResource, AnyHandler, ExpectHandler
from ._match_info import UrlMappingMatchInfo
from ._routes import ResourceRoute

if TYPE_CHECKING:
    from ._request import Request
    from ._router import UrlDispatcher

# `{name}` or `{name:regex}`, the regular expression with one level of braces inside.
_PARAMETER: Final = re.compile(r"\{([^{}:]*)(?::((?:[^{}]|\{[^{}]*\})*))?\}")
_DEFAULT_PATTERN: Final = "[^{}/]+"
_KEPT_ENCODED: Final = re.compile("(%2[Ff]|%25)")
# What may stand unencoded in a path: RFC 3986 pchar, and the slash.
_SAFE_IN_PATH: Final = "/!$&'()*+,;=:@%"

NO_PARAMETERS: Final[Mapping[str, str]] = {}


class MatchingResource(AbstractResource):
    """A resource that knows by the path alone whether it is meant; all that come with the package.

    Attributes:
        routes: The routes by method, `"*"` for any.
    """

    __slots__ = ("routes",)

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.routes: dict[str, ResourceRoute] = {}

    @abstractmethod
    def match(self, path: str) -> Mapping[str, str] | None:
        """Return the parameters of a route path, or None if it is not this resource's."""

    @property
    def subrouter(self) -> UrlDispatcher | None:
        """The router that goes on from here and has the last word."""
        return None

    @property
    def synchronous(self) -> bool:
        """Whether `match` and `routes` say all that `resolve` does."""
        return type(self).resolve is MatchingResource.resolve

    def register_route(self, route: ResourceRoute) -> None:
        """Take a route.

        Raises:
            RuntimeError: Its method is taken, or any method is.
        """
        if route.method in self.routes or hdrs.METH_ANY in self.routes:
            raise RuntimeError(
                f"Added route will never be executed, method {route.method} is already registered"
            )
        self.routes[route.method] = route

    async def resolve(self, request: Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        """Tell which route answers a request.

        Returns:
            The match, or None; and without one the methods that the path would answer.
        """
        values = self.match(request.route_path)
        if values is None:
            return None, set()
        route = self.routes.get(request.method) or self.routes.get(hdrs.METH_ANY)
        if route is None:
            return None, set(self.routes)
        return UrlMappingMatchInfo(values, route), set()

    def __iter__(self) -> Iterator[ResourceRoute]:
        return iter(self.routes.values())

    def __len__(self) -> int:
        return len(self.routes)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.canonical}>"


class Resource(MatchingResource):
    """A path, or a pattern of paths."""

    __slots__ = ()

    def add_route(
        self,
        method: str,
        handler: AnyHandler,
        *,
        expect_handler: ExpectHandler | None = None,
        handler_cancellation: bool | None = None,
    ) -> ResourceRoute:
        """Register a handler for a method.

        Args:
            method: A token in any case, `"*"` for any method that has no route.
            handler: See `ResourceRoute`.
            expect_handler: See `ResourceRoute`.
            handler_cancellation: See `ResourceRoute`.

        Raises:
            ValueError: The method is no token.
            TypeError: A handler is no coroutine function.
            RuntimeError: The method is taken, or any method is.
        """
        route = ResourceRoute(
            method,
            handler,
            self,
            expect_handler=expect_handler,
            handler_cancellation=handler_cancellation,
        )
        self.register_route(route)
        return route


class PlainResource(Resource):
    """A path without parameters.

    Args:
        path: Percent-encoded or not.
        name: For `router[name]`.
    """

    __slots__ = ("_path",)

    def __init__(self, path: str, *, name: str | None = None) -> None:
        super().__init__(name=name)
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

    def add_prefix(self, prefix: str) -> None:
        """Put a path in front."""
        self._path = route_form(prefix) + self._path

    def get_info(self) -> dict[str, Any]:
        """Return the `path`, percent-encoded."""
        return {"path": self.canonical}

    def url_for(self) -> URL:  # type: ignore[override]
        """Return the path as an URL."""
        return URL.build(path=self.canonical, encoded=True)


class DynamicResource(Resource):
    r"""A path with parameters: `/users/{name}`, `/{id:\\d+}`.

    Args:
        path: The literal parts percent-encoded or not.
        name: For `router[name]`.

    Raises:
        ValueError: Braces are not balanced; a parameter is no identifier, is there twice or
            has a bad pattern.
    """

    __slots__ = ("_formatter", "_literal", "_path", "_pattern")

    def __init__(self, path: str, *, name: str | None = None) -> None:
        super().__init__(name=name)
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
        self._literal = route_form(path[: path.index("{")])

    @property
    def canonical(self) -> str:
        """The path with parameters as `{name}`, without their patterns."""
        return self._formatter

    @property
    def index_key(self) -> str:
        """What stands before the segment with the first parameter."""
        return self._literal.rpartition("/")[0] or "/"

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

    def add_prefix(self, prefix: str) -> None:
        """Put a path in front, which is literal whatever is in it."""
        literal = route_form(prefix)
        self._path = prefix + self._path
        self._literal = literal + self._literal
        self._pattern = re.compile(re.escape(literal) + self._pattern.pattern)
        self._formatter = encoded_form(literal) + self._formatter

    def get_info(self) -> dict[str, Any]:
        """Return the `formatter`, which is `canonical`, and the compiled `pattern`."""
        return {"formatter": self._formatter, "pattern": self._pattern}

    def url_for(self, **parts: str) -> URL:
        """Return the path with parameters filled in, each of them quoted.

        Raises:
            KeyError: One is missing.
            TypeError: One is no str.
        """
        quoted = {name: quote(value, safe="!$&'()*+,;=:@") for name, value in parts.items()}
        return URL.build(path=self._formatter.format_map(quoted), encoded=True)


class PrefixResource(MatchingResource):
    """A path, and everything below it.

    Args:
        prefix: Begins with a slash, percent-encoded or not; slashes at its end do not count.
        name: For `router[name]`.

    Raises:
        ValueError: The prefix does not begin with a slash.
    """

    __slots__ = ("_prefix",)

    def __init__(self, prefix: str, *, name: str | None = None) -> None:
        super().__init__(name=name)
        if prefix and not prefix.startswith("/"):
            raise ValueError(f"prefix should start with /, got {prefix!r}")
        self._prefix = route_form(prefix.rstrip("/"))

    @property
    def canonical(self) -> str:
        """The prefix, percent-encoded, without a slash at its end."""
        return encoded_form(self._prefix)

    @property
    def index_key(self) -> str:
        """The prefix."""
        return self._prefix or "/"

    def match(self, path: str) -> Mapping[str, str] | None:
        """Compare whole segments: `/foo` has `/foo/bar` below it, and not `/foobar`."""
        prefix = self._prefix
        below = path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")
        return NO_PARAMETERS if below else None

    def raw_match(self, path: str) -> bool:
        """Return False: a prefix is registered once."""
        return False

    def add_prefix(self, prefix: str) -> None:
        """Put a path in front."""
        self._prefix = route_form(prefix) + self._prefix


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
