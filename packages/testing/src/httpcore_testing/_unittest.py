"""Tests of unittest whose methods are coroutines, on any event loop that anyio knows.

Theory of operation. unittest runs a plain method. While it does, a function stands in the
place of the test's method, which runs it in an event loop, with what belongs in front of it
and behind it: so they share one loop and one task. What fails behind the test cannot be
raised from the same call; each such error becomes a clean-up that raises it, and unittest
reports those one by one.
"""

from __future__ import annotations

import functools
import inspect
import unittest
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import Any, ClassVar, ParamSpec, TypeVar

import anyio

from httpserver import Application

from ._test_client import TestClient
from ._test_server import BaseTestServer, TestServer

_T = TypeVar("_T")
_P = ParamSpec("_P")


class AioHTTPTestCase(unittest.TestCase):
    """A test case with an application, its server, and a client of that.

    Override `get_application`; write tests as coroutine functions. Each has a new event
    loop, in which run, in this order and in one task, `asyncSetUp`, the test, `asyncTearDown`,
    and the asynchronous clean-ups. `setUp` and `tearDown` and what `addCleanup` was given run
    outside of it, before and after. A plain test method runs in the loop as well.

    What `asyncSetUp`, `asyncTearDown` and clean-ups raise is reported as if `setUp` and so on
    had. A test is not run if `asyncSetUp` raises (`SkipTest` included), the clean-ups are.

    Attributes:
        backend: Which loop; anyio's names `"asyncio"` and `"trio"`.
        backend_options: anyio's options of it: `{"use_uvloop": True}` for one.
        app: The application.
        server: Its server, which listens.
        client: A client of it.
    """

    backend: ClassVar[str] = "asyncio"
    backend_options: ClassVar[Mapping[str, Any]] = {}

    app: Application
    server: BaseTestServer
    client: TestClient[Any, Any]

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self._method_name = methodName
        self._async_cleanups: list[Callable[[], Awaitable[object]]] = []
        self._errors: list[Exception] = []

    # To be overridden.

    async def get_application(self) -> Application:
        """Return the application of a test.

        Raises:
            RuntimeError: It is not overridden.
        """
        raise RuntimeError(f"{type(self).__name__} should define get_application()")

    async def get_server(self, app: Application) -> BaseTestServer:
        """Return the server of a test, which is not started; a `TestServer` of `app`."""
        return TestServer(app)

    async def get_client(self, server: BaseTestServer) -> TestClient[Any, Any]:
        """Return the client of a test, which is not started; a `TestClient` of `server`."""
        return TestClient(server)

    async def asyncSetUp(self) -> None:
        """Start the application, its server, and the client; what overrides this calls it."""
        self.app = await self.get_application()
        self.server = await self.get_server(self.app)
        self.client = await self.get_client(self.server)
        # For what fails before there is something to tear down.
        self.addAsyncCleanup(self.client.close)
        await self.client.start_server()

    async def asyncTearDown(self) -> None:
        """Close client and server; what overrides this calls it."""
        await self.client.close()

    # For tests to call.

    def addAsyncCleanup(
        self, func: Callable[_P, Awaitable[object]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> None:
        """Have a coroutine function called behind `asyncTearDown`, whatever happened.

        The last one added is called first, in the loop of the test.

        Args:
            func: The function.
            args: Its arguments.
            kwargs: Its keyword arguments.
        """
        self._async_cleanups.append(functools.partial(func, *args, **kwargs))

    async def enterAsyncContext(self, cm: AbstractAsyncContextManager[_T]) -> _T:
        """Enter an asynchronous context manager, to be left by a clean-up.

        Returns:
            What it gives to `as`.

        Raises:
            TypeError: It is none.
        """
        stack = AsyncExitStack()
        result = await stack.enter_async_context(cm)
        self.addAsyncCleanup(stack.aclose)
        return result

    async def doAsyncCleanups(self) -> None:
        """Run the asynchronous clean-ups; called behind each test."""
        while self._async_cleanups:
            await self._attempt(self._async_cleanups.pop())

    # For unittest to call.

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test; see `unittest.TestCase`."""
        with self._in_loop():
            return super().run(result)

    def debug(self) -> None:
        """Run the test without collecting errors; see `unittest.TestCase`."""
        with self._in_loop():
            super().debug()

    def doCleanups(self) -> None:
        """Run what `addCleanup` was given; see `unittest.TestCase`."""
        if self._async_cleanups:
            # `setUp` added them and failed, or `tearDown` did.
            self._run_in_loop(self.doAsyncCleanups)
        super().doCleanups()

    # Inside.

    @contextmanager
    def _in_loop(self) -> Iterator[None]:
        """Put a plain function in the place of the test's method."""
        method = getattr(self, self._method_name)

        # With its attributes, by which unittest knows what is skipped and expected to fail.
        @functools.wraps(method)
        def run_in_loop() -> Any:
            return self._run_in_loop(self._live, method)

        given = vars(self).get(self._method_name)
        setattr(self, self._method_name, run_in_loop)
        try:
            yield
        finally:
            if given is None:
                delattr(self, self._method_name)
            else:
                setattr(self, self._method_name, given)

    def _run_in_loop(self, func: Callable[..., Awaitable[_T]], *args: Any) -> _T:
        options = dict(self.backend_options)
        try:
            return anyio.run(func, *args, backend=self.backend, backend_options=options)
        finally:
            # Clean-ups are run from the last one to the first.
            while self._errors:
                self.addCleanup(_raise, self._errors.pop())

    async def _live(self, method: Callable[[], Any]) -> Any:
        try:
            if not await self._attempt(self.asyncSetUp):
                return None
            try:
                result = method()
                return await result if inspect.isawaitable(result) else result
            finally:
                await self._attempt(self.asyncTearDown)
        finally:
            await self.doAsyncCleanups()

    async def _attempt(self, func: Callable[[], Awaitable[object]]) -> bool:
        """Call a function, and keep what it raises; whether it raised nothing."""
        try:
            await func()
        except Exception as exc:
            self._errors.append(exc)
            return False
        return True


def _raise(error: Exception) -> None:
    raise error
