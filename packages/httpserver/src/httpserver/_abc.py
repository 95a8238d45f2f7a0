"""What may be replaced in routing: the interfaces of routers, resources, routes and views."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from yarl import URL

if TYPE_CHECKING:
    from ._application import Application
    from ._match_info import UrlMappingMatchInfo
    from ._request import Request
    from ._response import StreamResponse

#: A coroutine function, or a class of views; in chains of middlewares what wraps them.
AnyHandler: TypeAlias = Callable[..., Awaitable[Any]]
#: What answers an `Expect` field: None to go on, or a response.
ExpectHandler: TypeAlias = "Callable[[Request], Awaitable[StreamResponse | None]]"


class AbstractMatchInfo(Protocol):
    """What a router says about one request."""

    @property
    def handler(self) -> AnyHandler:
        """What answers the request; raises `http_exception` where there is one."""

    @property
    def expect_handler(self) -> ExpectHandler:
        """What answers the request's `Expect` field."""

    @property
    def http_exception(self) -> BaseException | None:
        """The error with which routing ended; None if a handler was found."""

    @property
    def apps(self) -> tuple[Application, ...]:
        """The applications that the request goes through, outermost first."""

    def get_info(self) -> dict[str, Any]:
        """Describe what was found."""

    def add_app(self, app: Application) -> None:
        """Put an application around those in `apps`."""

    def freeze(self) -> None:
        """Take no more applications."""


@runtime_checkable
class AbstractRouter(Protocol):
    """What `Application(router=...)` takes: any object with these members."""

    @property
    def frozen(self) -> bool:
        """Whether routes are closed."""

    @abstractmethod
    def freeze(self) -> None:
        """Close the routes; called before the first request."""

    @abstractmethod
    async def resolve(self, request: Request) -> AbstractMatchInfo:
        """Tell what answers a request.

        That there is nothing is no exception here, but one in the match info.
        """

    def post_init(self, app: Application) -> None:
        """Learn whose router this is; called by the application's constructor."""


class AbstractView(ABC):
    """A handler that is a class: awaiting an instance answers its request."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def request(self) -> Request:
        """The request to be answered."""
        return self._request

    @abstractmethod
    def __await__(self) -> Generator[Any, None, StreamResponse]:
        """Answer the request."""


class AbstractRoute(ABC):
    """A method of a resource, and its handler.

    Attributes:
        method: As requests have it, in upper case for the standard ones, or `"*"` for any.
        handler: As registered.
        expect_handler: What answers an `Expect` field.
        resource: The resource it belongs to; None for 404 and 405.
        handler_cancellation: Whether the handler is cancelled when the client goes away;
            None as the server does with all.
        apps: The applications around the handler, outermost first; empty until they are
            frozen.
        chain: The handler inside the middlewares of `apps`; the bare handler until then.
    """

    __slots__ = (
        "apps",
        "chain",
        "expect_handler",
        "handler",
        "handler_cancellation",
        "method",
        "resource",
    )

    def __init__(
        self,
        method: str,
        handler: AnyHandler,
        *,
        expect_handler: ExpectHandler,
        resource: AbstractResource | None = None,
        handler_cancellation: bool | None = None,
    ) -> None:
        self.method: str = method
        self.handler: AnyHandler = handler
        self.expect_handler: ExpectHandler = expect_handler
        self.resource: AbstractResource | None = resource
        self.handler_cancellation: bool | None = handler_cancellation
        self.apps: tuple[Application, ...] = ()
        self.chain: AnyHandler = handler

    @property
    @abstractmethod
    def name(self) -> str | None:
        """The name of the route's resource."""

    @abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Describe the route."""

    @abstractmethod
    def url_for(self, *args: str, **kwargs: str) -> URL:
        """Return an URL that leads to this route."""

    async def handle_expect_header(self, request: Request) -> StreamResponse | None:
        """Answer a request's `Expect` field: None to go on, or the response."""
        return await self.expect_handler(request)


class AbstractResource(ABC):
    """A path, or a set of paths, with the routes that answer there.

    One of your own goes to `UrlDispatcher.register_resource`.

    Args:
        name: For `router[name]`.
    """

    __slots__ = ("_name",)

    def __init__(self, *, name: str | None = None) -> None:
        self._name = name

    @property
    def name(self) -> str | None:
        """The resource's name."""
        return self._name

    @property
    @abstractmethod
    def canonical(self) -> str:
        """The path as registered, percent-encoded; parameters as `{name}`."""

    @property
    def index_key(self) -> str:
        """The decoded literal path prefix under which the router looks for this resource.

        The whole canonical path, or what stands before the segment of its first parameter.
        """
        literal, brace, _ = self.canonical.partition("{")
        return (literal.rpartition("/")[0] if brace else literal) or "/"

    @property
    def synchronous(self) -> bool:
        """Whether the router may do without `resolve`; False for what has its own."""
        return False

    @abstractmethod
    def url_for(self, **kwargs: Any) -> URL:
        """Return an URL of this resource, with its parameters filled in."""

    @abstractmethod
    def add_prefix(self, prefix: str) -> None:
        """Put a path in front; called when the resource's application is mounted there.

        Args:
            prefix: Begins with a slash and does not end with one.
        """

    @abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Describe the resource."""

    @abstractmethod
    def raw_match(self, path: str) -> bool:
        """Whether a path to be registered is this resource's own."""

    @abstractmethod
    async def resolve(self, request: Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        """Tell which route answers a request.

        Returns:
            The match, or None; and without one the methods that the path would answer.
        """

    def freeze(self) -> None:  # noqa: B027  # not abstract: most have nothing to do
        """Take no more routes."""

    @abstractmethod
    def __iter__(self) -> Iterator[AbstractRoute]: ...

    @abstractmethod
    def __len__(self) -> int: ...


class AbstractRuleMatching(ABC):
    """Which requests a sub-application takes by anything but their path."""

    @property
    @abstractmethod
    def canonical(self) -> str:
        """The rule as text."""

    @abstractmethod
    def match(self, request: Request) -> bool:
        """Whether a request is taken."""

    @abstractmethod
    def get_info(self) -> Mapping[str, Any]:
        """Describe the rule."""
