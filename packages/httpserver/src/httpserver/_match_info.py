"""What routing found out about one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._abc import AbstractRoute, AnyHandler, ExpectHandler

if TYPE_CHECKING:
    from ._application import Application
    from ._http_exception import HTTPException


class UrlMappingMatchInfo(dict[str, str]):
    """Values of a path's parameters, percent-decoded, and the route they belong to.

    Args:
        values: The parameters.
        route: What answers the request, a `SystemRoute` if nothing else does.
        current_app: The application that has the request.
    """

    __slots__ = ("_apps", "_current_app", "_frozen", "route")

    def __init__(
        self,
        values: Mapping[str, str],
        route: AbstractRoute,
        current_app: Application | None = None,
    ) -> None:
        super().__init__(values)
        #: What answers the request; a `SystemRoute` for 404 and 405.
        self.route: AbstractRoute = route
        self._apps: tuple[Application, ...] = route.apps
        self._current_app = current_app
        self._frozen = False

    @property
    def handler(self) -> AnyHandler:
        """The handler that was registered."""
        return self.route.handler

    @property
    def expect_handler(self) -> ExpectHandler:
        """What answers an `Expect` field."""
        return self.route.expect_handler

    @property
    def http_exception(self) -> HTTPException | None:
        """The 404 or 405 with which routing ended; None if there is a handler."""
        # Of a SystemRoute; asking for the class would import in a circle.
        exception: HTTPException | None = getattr(self.route, "http_exception", None)
        return exception

    @property
    def apps(self) -> tuple[Application, ...]:
        """The applications that the request goes through, outermost first."""
        return self._apps

    @property
    def current_app(self) -> Application:
        """The application whose middleware or handler runs.

        Raises:
            RuntimeError: None has the request.

                Setting it: the application is not one of `apps`.
        """
        if self._current_app is None:
            raise RuntimeError("no application has this request")
        return self._current_app

    @current_app.setter
    def current_app(self, app: Application) -> None:
        if app not in self._apps:
            raise RuntimeError(f"{app!r} is not one of the request's applications {self._apps!r}")
        self._current_app = app

    @property
    def frozen(self) -> bool:
        """Whether `apps` is complete."""
        return self._frozen

    def get_info(self) -> dict[str, Any]:
        """Describe the route: see `AbstractRoute.get_info`."""
        return self.route.get_info()

    def add_app(self, app: Application) -> None:
        """Put an application around the others; one that is among them stays where it is.

        Raises:
            RuntimeError: The match info is frozen.
        """
        if self._frozen:
            raise RuntimeError("cannot add an application: the match info is frozen")
        if app not in self._apps:
            self._apps = (app, *self._apps)

    def freeze(self) -> None:
        """Take no more applications."""
        self._frozen = True

    def __repr__(self) -> str:
        return f"<MatchInfo {super().__repr__()}: {self.route!r}>"
