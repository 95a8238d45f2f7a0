"""The life of an application: start, end, and what goes wrong in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

import httpserver as web


@pytest.fixture
def calls() -> list[str]:
    return []


def noted(app: web.Application, name: str, calls: list[str]) -> web.Application:
    """Let an application write down everything that happens to it."""

    def hook(event: str) -> Any:
        async def note(received: web.Application) -> None:
            assert received is app
            calls.append(f"{name} {event}")

        return note

    async def generator(received: web.Application) -> AsyncIterator[None]:
        assert received is app
        calls.append(f"{name} enter 1")
        yield
        calls.append(f"{name} exit 1")

    @asynccontextmanager
    async def manager(received: web.Application) -> AsyncIterator[None]:
        calls.append(f"{name} enter 2")
        yield
        calls.append(f"{name} exit 2")

    app.on_startup.append(hook("startup"))
    app.on_shutdown.append(hook("shutdown"))
    app.on_cleanup.append(hook("cleanup"))
    app.cleanup_ctx.append(generator)
    app.cleanup_ctx.append(manager)
    return app


async def test_life_of_an_application_and_its_sub_application(serve: Any, calls: list[str]) -> None:
    app, sub = web.Application(), noted(web.Application(), "sub", calls)
    app.add_subapp("/sub", sub)
    noted(app, "app", calls)

    async with serve(app):
        assert calls == [
            "app enter 1",
            "app enter 2",
            "sub enter 1",
            "sub enter 2",
            "sub startup",
            "app startup",
        ]
        calls.clear()

    assert calls == [
        "sub shutdown",
        "app shutdown",
        "app exit 2",
        "app exit 1",
        "sub exit 2",
        "sub exit 1",
        "sub cleanup",
        "app cleanup",
    ]


async def test_sub_application_starts_where_it_was_added(calls: list[str]) -> None:
    app = noted(web.Application(), "app", calls)
    app.add_subapp("/sub", noted(web.Application(), "sub", calls))

    await app.startup()

    assert calls.index("app startup") < calls.index("sub enter 1")


async def test_startup_may_set_items_of_both_applications(serve: Any) -> None:
    key = web.AppKey("key", int)
    app, sub = web.Application(), web.Application()

    async def startup(app: web.Application) -> None:
        app[key] = 1

    app.on_startup.append(startup)
    sub.on_startup.append(startup)
    app.add_subapp("/sub", sub)
    assert sub.pre_frozen
    assert not sub.frozen

    async with serve(app):
        assert (app[key], sub[key]) == (1, 1)
        assert sub.frozen


async def test_signals_are_closed_when_the_application_starts(serve: Any) -> None:
    app = web.Application()

    async with serve(app):
        lists: list[web.FrozenList[Any]] = [
            app.on_startup,
            app.on_shutdown,
            app.on_cleanup,
            app.on_response_prepare,
            app.cleanup_ctx,
            app.middlewares,
        ]
        for signal in lists:
            assert signal.frozen
            with pytest.raises(RuntimeError, match="cannot modify a frozen"):
                signal.append(print)


async def test_failed_start_leaves_what_was_entered_and_nothing_else(calls: list[str]) -> None:
    app, sub = web.Application(), noted(web.Application(), "sub", calls)
    app.add_subapp("/sub", sub)
    noted(app, "app", calls)

    async def fails(app: web.Application) -> AsyncIterator[None]:
        raise LookupError("no database")
        yield

    async def never(app: web.Application) -> AsyncIterator[None]:
        calls.append("never")
        yield

    app.cleanup_ctx.extend([fails, never])

    with pytest.raises(LookupError, match="no database"):
        await app.startup()
    await app.cleanup()

    assert calls == ["app enter 1", "app enter 2", "app exit 2", "app exit 1"]


async def test_failed_start_leaves_contexts_of_sub_applications(calls: list[str]) -> None:
    """Those were left to the garbage collector: only the outermost's were looked at."""
    app = web.Application()
    app.add_subapp("/sub", noted(web.Application(), "sub", calls))

    async def fails(app: web.Application) -> None:
        raise LookupError("no")

    app.on_startup.append(fails)

    with pytest.raises(LookupError):
        await app.startup()
    calls.clear()
    await app.cleanup()
    await app.cleanup()  # there is nothing left to do

    assert calls == ["sub exit 2", "sub exit 1"]


def failing(exception: BaseException, calls: list[str]) -> Any:
    async def context(app: web.Application) -> AsyncIterator[None]:
        yield
        calls.append("exit")
        raise exception

    return context


async def test_one_failed_exit_is_raised_as_it_is(calls: list[str]) -> None:
    app = noted(web.Application(), "app", calls)
    error = ValueError("mine")
    app.cleanup_ctx.append(failing(error, calls))
    await app.startup()
    calls.clear()

    with pytest.raises(ValueError, match="mine") as caught:
        await app.cleanup()

    assert caught.value is error
    assert calls == ["exit", "app exit 2", "app exit 1"]


async def test_several_failed_exits_are_collected(calls: list[str]) -> None:
    app = web.Application()
    errors = [ValueError("first"), LookupError("second")]
    app.cleanup_ctx.extend(failing(error, calls) for error in errors)
    await app.startup()

    with pytest.raises(web.CleanupError, match="several cleanup contexts failed") as caught:
        await app.cleanup()

    assert caught.value.exceptions == errors[::-1]
    assert isinstance(caught.value, RuntimeError)


async def test_cancelled_exit_does_not_keep_the_others_from_theirs(calls: list[str]) -> None:
    app = noted(web.Application(), "app", calls)

    async def waits(app: web.Application) -> AsyncIterator[None]:
        yield
        await anyio.sleep_forever()

    app.cleanup_ctx.extend([failing(ValueError("lost"), calls), waits])
    await app.startup()
    calls.clear()

    with anyio.CancelScope() as scope:
        scope.cancel()
        await app.cleanup()
        calls.append("not cancelled")

    assert scope.cancelled_caught
    assert calls == ["exit", "app exit 2", "app exit 1"]


@pytest.mark.parametrize(
    ("context", "error", "text"),
    [
        (lambda app: None, TypeError, "asynchronous generator or an asynchronous context manager"),
        (lambda app: iter(()), TypeError, "got <tuple_iterator"),
    ],
)
async def test_what_is_no_context_is_refused(
    context: Any, error: type[Exception], text: str
) -> None:
    app = web.Application()
    app.cleanup_ctx.append(context)

    with pytest.raises(error, match=text):
        await app.startup()


async def test_generator_with_two_yields_is_an_error() -> None:
    async def twice(app: web.Application) -> AsyncIterator[None]:
        yield
        yield

    app = web.Application()
    app.cleanup_ctx.append(twice)
    await app.startup()

    with pytest.raises(RuntimeError, match="didn't stop"):
        await app.cleanup()


async def test_background_task_lives_as_long_as_the_application() -> None:
    events: list[str] = []

    async def background(app: web.Application) -> AsyncIterator[None]:
        async def work() -> None:
            events.append("begun")
            try:
                await anyio.sleep_forever()
            finally:
                events.append("over")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            yield
            tasks.cancel_scope.cancel()

    app = web.Application()
    app.cleanup_ctx.append(background)

    await app.startup()
    await anyio.wait_all_tasks_blocked()
    assert events == ["begun"]
    await app.cleanup()
    assert events == ["begun", "over"]


async def test_context_may_hold_a_task_group_across_its_yield() -> None:
    """Cleaning up inside a scope left the group's scope in the wrong order."""
    ended: list[bool] = []

    async def background(app: web.Application) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            yield
            tasks.cancel_scope.cancel()
        ended.append(True)

    app = web.Application()
    app.cleanup_ctx.append(background)
    runner = web.AppRunner(app)
    await runner.setup()
    await runner.cleanup()
    assert ended == [True]
