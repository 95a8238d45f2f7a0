"""What a test has opened, and how it is closed in the event loop that it was opened in.

Fixtures that are asynchronous belong to the plugin that runs them. So the fixtures that people
ask for are plain functions, and what they open is closed by one asynchronous fixture, which is
picked once it is known who runs the test: anyio's plugin, or pytest-asyncio.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import pytest

_NO_LOOP: Final = (
    "{fixture} needs a test that runs in an event loop, and {test} does not: make it an async "
    "function, and mark it with @pytest.mark.anyio, or with @pytest.mark.asyncio if "
    "pytest-asyncio is installed. See also anyio_mode and asyncio_mode in pytest's configuration, "
    "which mark all."
)
_TAKEN_TWICE: Final = (
    "{test} is taken by both anyio's plugin and pytest-asyncio: fixtures would run in the loop of "
    "the one, and the test in that of the other. Let one of them have it: set asyncio_mode or "
    "anyio_mode to strict, and use one of the two marks."
)


class Opened:
    """What is to be closed when the test is over, the last first.

    Args:
        loop: Tells which event loop runs, if a test can have more than one.
    """

    def __init__(self, loop: Callable[[], object] | None = None) -> None:
        self._closers: list[Callable[[], Awaitable[object]]] = []
        self._loop = loop
        self._home = loop and loop()

    def add(self, close: Callable[[], Awaitable[object]]) -> None:
        """Have `close` called and awaited when the test is over."""
        self._closers.append(close)

    def add_here(self, fixture: str, close: Callable[[], Awaitable[object]]) -> None:
        """Do so for what is about to be opened in the event loop that runs.

        Raises:
            RuntimeError: It is not the one of the test.
        """
        if self._loop is not None and self._loop() is not self._home:
            raise RuntimeError(
                f"{fixture} was called in another event loop than that of the test, "
                "which could neither use nor close what it makes: give the fixture that "
                "calls it the loop_scope of the test"
            )
        self.add(close)

    async def close(self) -> None:
        """Close everything, also if something fails.

        Raises:
            Exception: What the only failure was.
            ExceptionGroup: What the failures were, if there were several.
        """
        errors: list[Exception] = []
        while self._closers:
            try:
                await self._closers.pop()()
            except Exception as exc:
                errors.append(exc)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("closing what the test had opened", errors)


@pytest.fixture
async def _http_opened_anyio() -> AsyncIterator[Opened]:
    opened = Opened()
    yield opened
    await opened.close()


def find_opened(request: pytest.FixtureRequest) -> Opened | None:
    """Return what closes in the test's event loop; None for a test without one.

    Fails the test if it has two.
    """
    config, test = request.config, request.node
    anyio_runs_it = "anyio_backend" in request.fixturenames
    if config.pluginmanager.has_plugin("asyncio"):
        import pytest_asyncio

        if pytest_asyncio.is_async_test(test):
            if anyio_runs_it:
                pytest.fail(_TAKEN_TWICE.format(test=test.name), pytrace=False)
            marker = test.get_closest_marker("asyncio")
            given = {} if marker is None else marker.kwargs
            scope = given.get("loop_scope") or given.get("scope")
            scope = scope or config.getini("asyncio_default_test_loop_scope")
            return _as_opened(request.getfixturevalue(f"_http_opened_{scope}"))
    if anyio_runs_it:
        return _as_opened(request.getfixturevalue("_http_opened_anyio"))
    return None


def keeper(
    request: pytest.FixtureRequest,
) -> Callable[[Callable[[], Awaitable[object]]], None]:
    """Return what takes the `close` of each thing that the test's fixture opens.

    Fails the test if it has no event loop.
    """
    fixture = request.fixturename
    opened = find_opened(request)
    if opened is None:
        text = _NO_LOOP.format(fixture=fixture, test=request.node.name)
        pytest.fail(text, pytrace=False)
    assert fixture is not None
    return functools.partial(opened.add_here, fixture)


def _as_opened(value: object) -> Opened:
    # pytest-asyncio in strict mode, say, leaves a fixture alone that it was not told of.
    assert isinstance(value, Opened), f"nobody has run the async fixture: {value!r}"
    return value
