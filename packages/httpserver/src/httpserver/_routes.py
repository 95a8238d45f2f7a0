"""Routes: one method of a resource, or the refusal of a request that has none."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypedDict

from yarl import URL

from httpcore_proto import hdrs

from ._abc import AbstractResource, AbstractRoute, AbstractView, AnyHandler, ExpectHandler
from ._exceptions import HTTPExpectationFailed
from ._http_exception import HTTPException

if TYPE_CHECKING:
    from ._request import Request

_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class RouteSettings(TypedDict, total=False):
    """What a route may have beside its method and its handler."""

    expect_handler: ExpectHandler | None
    handler_cancellation: bool | None


class RouteOptions(RouteSettings, total=False):
    """What every function that registers a route takes behind path and handler."""

    name: str | None


async def default_expect_handler(request: Request) -> None:
    """Tell a client that waits for it to send its body (RFC 9110 section 10.1.1).

    Raises:
        HTTPExpectationFailed: It expects something else.
    """
    for expectation in request.headers.getall(hdrs.EXPECT, ()):
        if expectation.lower() != "100-continue":
            raise HTTPExpectationFailed(text=f"Unknown Expect: {expectation}")
    await request.exchange.send_continue()


class ResourceRoute(AbstractRoute):
    """One method of a resource.

    Args:
        method: A token in any case; upper case is what it becomes. `"*"` for any method.
        handler: A coroutine function that takes a request and returns a response, or a
            subclass of `AbstractView`.
        resource: The resource.
        expect_handler: A coroutine function that takes a request with an `Expect` field
            (of HTTP/1.1) before middlewares do. It returns None to go on, and then has
            called `await request.exchange.send_continue()` itself if the client waits
            for that; or it returns a response. The default answers `100-continue`.
        handler_cancellation: Whether the handler is cancelled when its client goes away;
            None as the server does with all.

    Raises:
        ValueError: The method is no token.
        TypeError: A handler is not what it should be.
    """

    __slots__ = ()

    resource: AbstractResource

    def __init__(
        self,
        method: str,
        handler: AnyHandler,
        resource: AbstractResource,
        *,
        expect_handler: ExpectHandler | None = None,
        handler_cancellation: bool | None = None,
    ) -> None:
        # Before upper(), which makes ASCII of some letters that are not.
        if _METHOD.fullmatch(method) is None:
            raise ValueError(f"{method!r} is not an HTTP method")
        if not _is_coroutine_function(handler) and not (
            isinstance(handler, type) and issubclass(handler, AbstractView)
        ):
            raise TypeError(
                "a handler is a coroutine function (async def) or a subclass of AbstractView, "
                f"got {handler!r}"
            )
        if expect_handler is None:
            expect_handler = default_expect_handler
        elif not _is_coroutine_function(expect_handler):
            raise TypeError(
                f"expect_handler should be a coroutine function, got {expect_handler!r}"
            )
        super().__init__(
            method.upper(),
            handler,
            expect_handler=expect_handler,
            resource=resource,
            handler_cancellation=handler_cancellation,
        )

    @property
    def name(self) -> str | None:
        """The resource's name."""
        return self.resource.name

    def get_info(self) -> dict[str, Any]:
        """Describe the resource: see `AbstractResource.get_info`."""
        return self.resource.get_info()

    def url_for(self, *args: str, **kwargs: str) -> URL:
        """Return the resource's URL: see there."""
        return self.resource.url_for(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<ResourceRoute {self.method} {self.resource!r}>"


class SystemRoute(AbstractRoute):
    """The route of a request that has none: its handler raises.

    Args:
        http_exception: What is raised.
    """

    __slots__ = ("http_exception",)

    def __init__(self, http_exception: HTTPException) -> None:
        async def fail(request: Request) -> NoReturn:
            raise http_exception

        super().__init__(hdrs.METH_ANY, fail, expect_handler=default_expect_handler)
        #: What the handler raises.
        self.http_exception: HTTPException = http_exception

    @property
    def name(self) -> None:
        """None."""
        return None

    @property
    def status(self) -> int:
        """The status of the answer, 404 or 405."""
        return self.http_exception.status

    @property
    def reason(self) -> str:
        """The reason phrase of the answer."""
        return self.http_exception.reason

    def get_info(self) -> dict[str, Any]:
        """Return the exception as `http_exception`."""
        return {"http_exception": self.http_exception}

    def url_for(self, *args: str, **kwargs: str) -> URL:
        """Raise RuntimeError: nothing leads here."""
        raise RuntimeError("a SystemRoute has no URL")

    def __repr__(self) -> str:
        return f"<SystemRoute {self.status}: {self.reason}>"


def _is_coroutine_function(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or (
        not isinstance(function, type)
        and inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
    )
