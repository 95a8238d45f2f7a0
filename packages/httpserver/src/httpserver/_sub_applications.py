"""Applications inside of applications: below a path, or for a domain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn

from yarl import URL

from ._abc import AbstractRoute, AbstractRuleMatching
from ._match_info import UrlMappingMatchInfo
from ._resources import PrefixResource

if TYPE_CHECKING:
    from ._application import Application
    from ._request import Request
    from ._router import UrlDispatcher

# A label of a host name (RFC 1123 section 2.1); in a mask with stars.
_LABEL: Final = re.compile(r"(?!-)[a-z0-9*-]{1,63}(?<!-)")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


class PrefixedSubAppResource(PrefixResource):
    """A sub-application below a path; all that is there is its own, 404 and 405 included.

    Args:
        prefix: The path, which the sub-application's resources get in front.
        app: The sub-application.
    """

    __slots__ = ("_app",)

    def __init__(self, prefix: str, app: Application) -> None:
        super().__init__(prefix)
        self._app = app
        if self._prefix:
            self.subrouter.add_prefix(self._prefix)

    @property
    def app(self) -> Application:
        """The sub-application."""
        return self._app

    @property
    def subrouter(self) -> UrlDispatcher:
        """The sub-application's router."""
        return self._app.router

    @property
    def synchronous(self) -> bool:
        """Whether the sub-application's router is."""
        return self.subrouter.synchronous

    def add_prefix(self, prefix: str) -> None:
        """Put a path in front, here and in the sub-application."""
        super().add_prefix(prefix)
        self.subrouter.add_prefix(prefix)

    def get_info(self) -> dict[str, Any]:
        """Return the `app` and its `prefix`."""
        return {"app": self._app, "prefix": self._prefix}

    def url_for(self, **kwargs: Any) -> NoReturn:
        """Raise RuntimeError: the sub-application's resources have URLs, it has none."""
        raise RuntimeError(".url_for() is not supported by a sub-application")

    async def resolve(self, request: Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        """Ask the sub-application's router about what is below the prefix."""
        if self.match(request.route_path) is None:
            return None, set()
        match_info = await self.subrouter.resolve(request)
        match_info.add_app(self._app)
        return match_info, set()

    def __iter__(self) -> Iterator[AbstractRoute]:  # type: ignore[override]
        return iter(self.subrouter.routes())

    def __len__(self) -> int:
        return len(self.subrouter.routes())

    def __repr__(self) -> str:
        return f"<PrefixedSubAppResource {self._prefix} -> {self._app!r}>"


class MatchedSubAppResource(PrefixedSubAppResource):
    """A sub-application for what a rule says, whatever the path.

    Args:
        rule: Which requests the sub-application takes, with 404 and 405 of its own.
        app: The sub-application.
    """

    __slots__ = ("_rule",)

    def __init__(self, rule: AbstractRuleMatching, app: Application) -> None:
        super().__init__("", app)
        self._rule = rule

    @property
    def canonical(self) -> str:
        """The rule as text."""
        return self._rule.canonical

    @property
    def synchronous(self) -> bool:
        """False: the path is not all that counts."""
        return False

    def get_info(self) -> dict[str, Any]:
        """Return the `app` and its `rule`."""
        return {"app": self.app, "rule": self._rule}

    async def resolve(self, request: Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        """Ask the sub-application's router about what the rule takes."""
        if not self._rule.match(request):
            return None, set()
        return await super().resolve(request)

    def __repr__(self) -> str:
        return f"<MatchedSubAppResource {self.canonical} -> {self.app!r}>"


class Domain(AbstractRuleMatching):
    """Requests for a host.

    Args:
        domain: Its name in any case, with a star for any number of characters, dots
            included. With a port, only that port is meant, else any.

    Raises:
        TypeError: It is no str.
        ValueError: It is no host name, but an URL, an IPv6 address, ...
    """

    def __init__(self, domain: str) -> None:
        if not isinstance(domain, str):
            raise TypeError(f"domain should be a str, got {type(domain).__name__}")
        try:
            # yarl knows how to write international names in ASCII.
            url = URL(f"http://{domain}")
        except ValueError as exc:
            raise ValueError(f"invalid domain {domain!r}: {exc}") from exc
        host = url.raw_host or ""
        if any(mark in domain for mark in "/?#@") or not all(
            _LABEL.fullmatch(label) for label in host.split(".")
        ):
            raise ValueError(
                f"invalid domain {domain!r}: it should be the name of a host, like "
                "'example.com', '*.example.com' or 'example.com:8080'"
            )
        port = url.explicit_port
        self._pieces = host.split("*")
        self._port = None if port is None else str(port)
        self._canonical = host if port is None else f"{host}:{port}"

    @property
    def canonical(self) -> str:
        """The domain in lower case, international names in ASCII."""
        return self._canonical

    def match(self, request: Request) -> bool:
        """Compare `request.host`, without regard to case."""
        host, _, port = request.host.partition(":")
        if self._port not in (None, port or _DEFAULT_PORTS.get(request.scheme)):
            return False
        return host.isascii() and self._fits(host.lower())

    def _fits(self, host: str) -> bool:
        first, *others = self._pieces
        if not others:
            return host == first
        # Not a regular expression: several stars make those slow.
        position, end = len(first), len(host) - len(others[-1])
        if not host.startswith(first) or not host.endswith(others[-1]):
            return False
        for piece in others[:-1]:
            position = host.find(piece, position, end)
            if position < 0:
                return False
            position += len(piece)
        return position <= end

    def get_info(self) -> dict[str, Any]:
        """Return the `domain`."""
        return {"domain": self._canonical}

    def __repr__(self) -> str:
        return f"<Domain {self._canonical}>"
