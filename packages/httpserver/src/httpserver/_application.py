"""An application: routes, middlewares, and the way from a request to its handler."""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Self, TypeVar, cast

from ._abc import AbstractMatchInfo, AbstractRoute, AbstractRouter, AnyHandler
from ._application_state import ApplicationState
from ._cleanup import CleanupContext, exit_contexts
from ._exceptions import HTTPInternalServerError
from ._match_info import UrlMappingMatchInfo
from ._request import Request
from ._resources import NO_PARAMETERS
from ._response import StreamResponse
from ._routedef import AbstractRouteDef
from ._router import UrlDispatcher
from ._routes import SystemRoute
from ._signals import FrozenList, Signal
from ._sub_applications import Domain, MatchedSubAppResource, PrefixedSubAppResource
from ._types import Handler, Middleware

_SubAppResourceT = TypeVar("_SubAppResourceT", bound=PrefixedSubAppResource)

web_logger: Final = logging.getLogger("httpserver.web")

# Handlers of a router of one's own whose chain of middlewares is kept, per application:
# enough for any program's, and a bound for a router that makes a handler per request.
_CHAINS_KEPT: Final = 1024


class Application(ApplicationState):
    """What answers requests.

    Also a mapping, for whatever the program's parts want to share: its keys are `AppKey`s,
    which tell types, or `str` (a hidden `NotAppKeyWarning`). Equality is identity. Not
    made to be derived from.

    Args:
        logger: For the program's use.
        router: What finds handlers, any object with the members of `AbstractRouter`; a
            `UrlDispatcher` unless given. It alone knows sub-applications.
        middlewares: Coroutine functions `(request, handler) -> response`, the first
            outermost. They run for every request, for those without a route too.
        handler_args: Arguments of the server, which win over those of the runner.
        client_max_size: Most bytes of a body that `Request.read` and `post` take; 0 for no
            limit. 1 MiB, aiohttp's default.
        client_max_fields: Most fields of a form; 0 for no limit. 1000, aiohttp's default.

    Raises:
        TypeError: `router` is no router.
    """

    __slots__ = (
        "__weakref__",
        "_apps",
        "_chain_of",
        "_cleanup_ctx",
        "_client_max_fields",
        "_client_max_size",
        "_find",
        "_frozen",
        "_handler_args",
        "_logger",
        "_middlewares",
        "_on_cleanup",
        "_on_response_prepare",
        "_on_shutdown",
        "_on_startup",
        "_parent",
        "_pre_frozen",
        "_router",
        "_startup_failed",
        "_subapps",
    )

    def __init__(
        self,
        *,
        logger: logging.Logger = web_logger,
        router: AbstractRouter | None = None,
        middlewares: Iterable[Middleware] = (),
        handler_args: Mapping[str, Any] | None = None,
        client_max_size: int = 1024**2,
        client_max_fields: int = 1000,
    ) -> None:
        super().__init__()
        if router is None:
            router = UrlDispatcher()
        elif not isinstance(router, AbstractRouter):
            raise TypeError(f"router should have the members of AbstractRouter, got {router!r}")
        self._router = router
        self._middlewares: FrozenList[Middleware] = FrozenList(middlewares)
        self._handler_args = handler_args
        self._client_max_size = client_max_size
        self._client_max_fields = client_max_fields
        self._logger = logger
        self._on_startup: Signal[[Application]] = Signal()
        self._on_shutdown: Signal[[Application]] = Signal()
        self._on_cleanup: Signal[[Application]] = Signal()
        self._on_response_prepare: Signal[[Request, StreamResponse]] = Signal()
        self._cleanup_ctx = CleanupContext()
        self._startup_failed = False
        self._pre_frozen = self._frozen = False
        self._subapps: list[Application] = []
        self._parent: Application | None = None
        # This application behind those around it; when all are frozen.
        self._apps: tuple[Application, ...] = ()
        # Where the router can be asked directly: UrlDispatcher.find.
        self._find: Callable[[str, str], tuple[AbstractRoute, Mapping[str, str]]] | None = None
        self._chain_of = functools.lru_cache(_CHAINS_KEPT)(self.wrap)
        router.post_init(self)

    def __init_subclass__(cls) -> None:
        warnings.warn(
            f"{cls.__name__} is derived from Application, which is not made for that: "
            "make one and keep it instead",
            DeprecationWarning,
            stacklevel=3,  # through ABCMeta
        )

    # What it is made of.

    @property
    def router(self) -> UrlDispatcher:
        """The router; of the type that was given, if one was."""
        return cast("UrlDispatcher", self._router)

    @property
    def middlewares(self) -> FrozenList[Middleware]:
        """The middlewares, outermost first; open until the application starts."""
        return self._middlewares

    @property
    def logger(self) -> logging.Logger:
        """A logger for the program's use."""
        return self._logger

    @property
    def handler_args(self) -> Mapping[str, Any] | None:
        """Arguments of the server, which win over those of the runner."""
        return self._handler_args

    @property
    def client_max_size(self) -> int:
        """Most bytes of a body that is read at once; 0 for no limit."""
        return self._client_max_size

    @property
    def client_max_fields(self) -> int:
        """Most fields of a form; 0 for no limit."""
        return self._client_max_fields

    @property
    def on_startup(self) -> Signal[[Application]]:
        """Coroutine functions `(app)`, called before the first request."""
        return self._on_startup

    @property
    def on_shutdown(self) -> Signal[[Application]]:
        """Coroutine functions `(app)`, called while the last requests are answered."""
        return self._on_shutdown

    @property
    def on_cleanup(self) -> Signal[[Application]]:
        """Coroutine functions `(app)`, called after the last request."""
        return self._on_cleanup

    @property
    def on_response_prepare(self) -> Signal[[Request, StreamResponse]]:
        """Coroutine functions `(request, response)`, called before a head is sent.

        Its header fields are complete, and may be changed. Not called for what could not
        be parsed as a request.
        """
        return self._on_response_prepare

    @property
    def cleanup_ctx(self) -> CleanupContext:
        """Functions of the application, each with what is to be done around its life.

        Asynchronous generator functions with one `yield`, or anything else that makes an
        asynchronous context manager. Entered in order before `on_startup`, left in
        reverse order before `on_cleanup`.
        """
        return self._cleanup_ctx

    def add_routes(self, routes: Iterable[AbstractRouteDef]) -> list[AbstractRoute]:
        """Register route definitions; returns the routes in their order.

        Raises:
            RuntimeError: The application is frozen.
        """
        return self.router.add_routes(routes)

    # Sub-applications.

    def add_subapp(self, prefix: str, subapp: Application) -> PrefixedSubAppResource:
        """Mount an application below a path.

        Its routes get the prefix in front, and it owns all that is there: a 404 or 405 of
        its own is final. Its routes, middlewares and signals are closed from now on; its
        limits, logger and `handler_args` are those of the outermost application.

        Args:
            prefix: Begins with a slash, and has more than that.
            subapp: The application.

        Raises:
            TypeError: The prefix is no str, or the application none; or one of the two
                has a router of another kind than `UrlDispatcher`.
            ValueError: The prefix is empty, or does not begin with a slash.
            RuntimeError: One of the two applications is frozen, or mounted.
        """
        if not isinstance(prefix, str):
            raise TypeError(f"prefix should be a str, got {type(prefix).__name__}")
        if not prefix.strip("/"):
            raise ValueError("prefix should not be empty")
        return self._mount(subapp, lambda: PrefixedSubAppResource(prefix, subapp))

    def add_domain(self, domain: str, subapp: Application) -> MatchedSubAppResource:
        """Mount an application for a host, before all paths are looked at.

        Otherwise as `add_subapp`. Domains are compared one after the other.

        Args:
            domain: See `Domain`.
            subapp: The application.

        Raises:
            TypeError: The domain is no str; or as for `add_subapp`.
            ValueError: It is no name of a host.
            RuntimeError: One of the two applications is frozen, or mounted.
        """
        rule = Domain(domain)
        return self._mount(subapp, lambda: MatchedSubAppResource(rule, subapp))

    def _mount(
        self, subapp: Application, make_resource: Callable[[], _SubAppResourceT]
    ) -> _SubAppResourceT:
        for app in (self, subapp):
            if not isinstance(app, Application):
                raise TypeError(f"expected an Application, got {app!r}")
            if not isinstance(app.router, UrlDispatcher):
                raise TypeError(f"sub-applications need a UrlDispatcher, got {app.router!r}")
        if self._pre_frozen:
            raise RuntimeError("cannot add a sub-application to a frozen application")
        if subapp._pre_frozen or subapp is self:
            raise RuntimeError("cannot add a frozen application, one that is mounted, or itself")
        resource = make_resource()
        self.router.register_resource(resource)
        subapp.pre_freeze()
        subapp._parent = self
        self._subapps.append(subapp)

        async def startup(app: Application) -> None:
            await subapp.startup()

        async def shutdown(app: Application) -> None:
            await subapp.shutdown()

        async def cleanup(app: Application) -> None:
            await subapp.cleanup()

        self._on_startup.append(startup)
        self._on_shutdown.append(shutdown)
        self._on_cleanup.append(cleanup)
        return resource

    # Its life.

    @property
    def frozen(self) -> bool:
        """Whether everything is closed, its items too."""
        return self._frozen

    @property
    def pre_frozen(self) -> bool:
        """Whether routes, middlewares and signals are closed."""
        return self._pre_frozen

    def pre_freeze(self) -> None:
        """Close routes, middlewares and signals; again does nothing."""
        if not self._pre_frozen:
            self._pre_frozen = True
            self._router.freeze()
            self._middlewares.freeze()
            self._cleanup_ctx.freeze()
            for signal in (self._on_startup, self._on_shutdown, self._on_cleanup):
                signal.freeze()
            self._on_response_prepare.freeze()

    def freeze(self) -> None:
        """Close everything, and put every handler into its middlewares, once for all.

        Called by the runner, after `startup`. Sub-applications are frozen with it.
        """
        if not self._frozen:
            self.pre_freeze()
            self._frozen = True
            for subapp in self._subapps:
                subapp.freeze()
            if self._parent is None:
                self._build(())

    def _build(self, outer: tuple[Application, ...]) -> None:
        self._apps = (*outer, self)
        router = self._router
        if isinstance(router, UrlDispatcher):
            for resource in router.resources():
                if not isinstance(resource, PrefixedSubAppResource):
                    for route in resource:
                        self.adopt(route)
            if router.synchronous:
                self._find = router.find
        for subapp in self._subapps:
            subapp._build(self._apps)

    async def startup(self) -> None:
        """Enter the cleanup contexts, then send `on_startup`; called by the runner.

        The first exception ends that, and is raised; `cleanup` then leaves the contexts
        that were entered, and does nothing else.
        """
        self._on_startup.freeze()
        self._cleanup_ctx.freeze()
        self._startup_failed = True
        await self._cleanup_ctx.enter(self)
        await self._on_startup.send(self)
        self._startup_failed = False

    async def shutdown(self) -> None:
        """Send `on_shutdown`; called by the runner."""
        await self._on_shutdown.send(self)

    async def cleanup(self) -> None:
        """Leave the cleanup contexts, then send `on_cleanup`; called by the runner.

        Raises:
            CleanupError: Several contexts failed.
            Exception: What one of them, or of the signal's functions, raised.
        """
        if self._startup_failed:
            await exit_contexts(app._cleanup_ctx for app in self._with_subapps())
        else:
            await self._cleanup_ctx.exit()
            await self._on_cleanup.send(self)

    def _with_subapps(self) -> Iterator[Application]:
        yield self
        for subapp in self._subapps:
            yield from subapp._with_subapps()

    # Answering.

    def handle(self, request: Request) -> Awaitable[StreamResponse]:
        """Answer a request: find its route, run its handler inside the middlewares.

        Returns:
            What to await; a coroutine less than if this were one.

        Raises:
            HTTPException: Whatever the handler raises; 404 and 405 without a route, 417
                for an `Expect` that is not understood.
        """
        find = self._find
        if find is None:
            return self._handle_resolved(request)
        route, values = find(request._event.method, request.route_path)
        # What `Request.routed` does, without the call.
        request._app = self
        request._route = route
        request._values = values
        # Without a route the client is not told to send a body first.
        if request.has_expect and route.resource is not None:
            return self._handle_expecting(request, route)
        answer: Awaitable[StreamResponse] = route.chain(request)
        return answer

    async def _handle_expecting(self, request: Request, route: AbstractRoute) -> StreamResponse:
        answer = await route.handle_expect_header(request)
        if answer is not None:
            return answer
        response: StreamResponse = await route.chain(request)
        return response

    async def _handle_resolved(self, request: Request) -> StreamResponse:
        """Answer a request whose router must be asked the long way."""
        try:
            match_info = await self._router.resolve(request)
        except BaseException:
            # Hooks of the answer to that want to know the application.
            failed = SystemRoute(HTTPInternalServerError())
            self.adopt(failed)
            request.routed(self, failed, NO_PARAMETERS)
            raise
        match_info.add_app(self)
        match_info.freeze()
        request.resolved(self, match_info)
        if request.has_expect and match_info.http_exception is None:
            answer = await match_info.expect_handler(request)
            if answer is not None:
                return answer
        response: StreamResponse = await self._chain_for(match_info)(request)
        return response

    def _chain_for(self, match_info: AbstractMatchInfo) -> AnyHandler:
        if isinstance(match_info, UrlMappingMatchInfo) and match_info.route.apps:
            return match_info.route.chain
        owner = match_info.apps[-1]
        if match_info.http_exception is not None:
            return owner.wrap(match_info.handler)  # made for this request
        return owner._chain_of(match_info.handler)

    def adopt(self, route: AbstractRoute) -> None:
        """Build the chain of a route's middlewares; called by the router for 404 and 405."""
        route.apps = self._apps
        route.chain = self.wrap(route.handler)

    def wrap(self, handler: AnyHandler) -> AnyHandler:
        """Put a handler into the middlewares, and those of the applications around this one."""
        for middleware in reversed(self._middlewares):
            handler = _inside_middleware(middleware, handler)
        if self._parent is not None:
            handler = self._parent.wrap(_inside_application(self, handler))
        return handler

    @property
    def has_prepare_signals(self) -> bool:
        """Whether there is anyone to be told by `send_response_prepare`."""
        return any(app._on_response_prepare for app in self._with_subapps())

    async def send_response_prepare(self, request: Request, response: StreamResponse) -> None:
        """Send `on_response_prepare` of all applications of a request, outermost first."""
        for app in request.match_info.apps:
            await app._on_response_prepare.send(request, response)

    def __call__(self) -> Self:
        """Return the application: a factory of itself, as Gunicorn wants one."""
        return self

    def __repr__(self) -> str:
        return f"<Application at {id(self):#x}>"


def _inside_middleware(middleware: Middleware, handler: Handler) -> Handler:
    def call(request: Request) -> Awaitable[StreamResponse]:
        return middleware(request, handler)

    # What a program wrote on its handler, middlewares read.
    return functools.update_wrapper(call, handler)


def _inside_application(app: Application, handler: Handler) -> Handler:
    async def call(request: Request) -> StreamResponse:
        outer = request.enter(app)
        try:
            return await handler(request)
        finally:
            request.enter(outer)

    return functools.update_wrapper(call, handler)
