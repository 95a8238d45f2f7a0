"""Runners: an application, or a bare handler, made ready to serve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Self

from httpcore_proto.aio import Receiver

from ._application import Application
from ._connection import HTTPConnection
from ._server import Server


class Site(Protocol):
    """Somewhere to listen."""

    @property
    def name(self) -> str:
        """What to tell people, an URL."""

    @property
    def sockname(self) -> Any:
        """The address that is listened on."""

    async def stop(self) -> None:
        """Stop listening."""


class AppRunner:
    """Serves an application on any number of sites.

    `await setup()`, start sites, and in the end `await cleanup()`; or `async with
    AppRunner(app) as runner:`, which does the first and the last.

    Args:
        app: The application; it is frozen by `setup`.
        shutdown_timeout: Seconds that `cleanup` waits for handlers to end, and again
            after it cancelled them. 60, aiohttp's default.
        **kwargs: As for `Server`.

    Raises:
        TypeError: `app` is no application, or an argument is unknown.
    """

    def __init__(self, app: Application, *, shutdown_timeout: float = 60.0, **kwargs: Any) -> None:
        if not isinstance(app, Application):
            raise TypeError(f"app must be an Application, got {type(app).__name__}")
        self._app = app
        self._shutdown_timeout = shutdown_timeout
        kwargs.setdefault("client_max_size", app.client_max_size)
        self._server = Server(app.handle, **kwargs)
        self._sites: list[Site] = []
        self._ready = False

    @property
    def app(self) -> Application:
        """The application."""
        return self._app

    @property
    def server(self) -> Server:
        """What all connections share."""
        return self._server

    @property
    def addresses(self) -> list[Any]:
        """The addresses listened on, as `socket.getsockname` tells them."""
        return [site.sockname for site in self._sites]

    @property
    def sites(self) -> set[Site]:
        """The sites that were started."""
        return set(self._sites)

    @property
    def make_receiver(self) -> Callable[[], Receiver]:
        """What a site gives new links to.

        Raises:
            RuntimeError: Before `setup`.
        """
        if not self._ready:
            raise RuntimeError("call runner.setup() before making a site")
        return lambda: HTTPConnection(self._server)

    def add_site(self, site: Site) -> None:
        """Called by a site when it listens."""
        self._sites.append(site)

    def remove_site(self, site: Site) -> None:
        """Called by a site when it stopped."""
        self._sites.remove(site)

    async def setup(self) -> None:
        """Freeze the application and bind to the running event loop; again does nothing."""
        if not self._ready:
            self._app.freeze()
            await self._server.start()
            self._ready = True

    async def __aenter__(self) -> Self:
        await self.setup()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.cleanup()

    async def cleanup(self) -> None:
        """Stop listening, let handlers end, close every connection; again does nothing."""
        for site in list(self._sites):
            await site.stop()
        if self._ready:
            self._ready = False
            await self._server.shutdown(self._shutdown_timeout)
