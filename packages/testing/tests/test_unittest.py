"""Cases are run by unittest itself, and what it reports is looked at."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import unittest
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
import trio

import httpserver as web
from httpcore_testing import AioHTTPTestCase, RawTestServer, TestClient, TestServer

BACKENDS: list[Any] = [
    pytest.param(("asyncio", {}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    pytest.param(("trio", {}), id="trio"),
]


@pytest.fixture(params=BACKENDS)
def base(request: pytest.FixtureRequest) -> type[Case]:
    """A class of cases on one of the loops."""
    backend, options = request.param
    return type("Base", (Case,), {"backend": backend, "backend_options": options, "steps": []})


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


class Case(AioHTTPTestCase):
    __test__ = False  # of the tests below, not of pytest's own

    steps: ClassVar[list[str]]

    async def get_application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/", hello)
        return app

    async def noted(self, step: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.steps.append(step)


def current_backend() -> str:
    anyio.get_current_task()  # raises outside of a loop
    return "trio" if trio.lowlevel.in_trio_run() else "asyncio"


def run(case: type[unittest.TestCase]) -> unittest.TestResult:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


def ends(reports: list[tuple[Any, str]]) -> list[str]:
    """The last line of each traceback."""
    return [text.rstrip().rpartition("\n")[2] for _, text in reports]


def test_client_reaches_the_application(base: Any) -> None:
    class Inner(base):
        async def test_hello(self) -> None:
            assert isinstance(self.server, TestServer)
            assert self.server.app is self.app is self.client.app
            async with self.client.get("/") as response:
                assert await response.text() == "hello"
            self.steps.append(current_backend())
            type(self).last = self

    result = run(Inner)

    assert result.wasSuccessful(), result.errors
    assert result.testsRun == 1
    assert Inner.steps == [base.backend]
    assert Inner.last.server.closed


def test_server_and_client_of_ones_own(base: Any) -> None:
    class Inner(base):
        async def get_application(self) -> web.Application:
            return web.Application()

        async def get_server(self, app: web.Application) -> RawTestServer:
            return RawTestServer(hello)

        async def get_client(self, server: Any) -> TestClient[Any, Any]:
            return TestClient(server, transport="memory", headers={"X": "1"})

        async def test_hello(self) -> None:
            assert self.client.app is None
            async with self.client.get("/anywhere") as response:
                assert await response.text() == "hello"
                assert response.request_info.headers["X"] == "1"

    result = run(Inner)

    assert result.wasSuccessful(), result.errors


def test_one_loop_and_one_task_from_set_up_to_clean_up(base: Any) -> None:
    variable = contextvars.ContextVar[str]("variable")

    class Inner(base):
        def setUp(self) -> None:
            self.steps.append("setUp")

        async def asyncSetUp(self) -> None:
            await super().asyncSetUp()
            self.task = anyio.get_current_task().id
            variable.set("set")
            self.addCleanup(self.steps.append, "plain clean-up")
            self.addAsyncCleanup(self.noted, "first clean-up")
            self.addAsyncCleanup(self.noted, step="second clean-up")
            # A task group cannot be left in another task.
            await self.enterAsyncContext(anyio.create_task_group())
            await self.noted("asyncSetUp")

        async def test_it(self) -> None:
            assert anyio.get_current_task().id == self.task
            assert variable.get() == "set"
            await self.noted("test")

        async def asyncTearDown(self) -> None:
            await super().asyncTearDown()
            assert anyio.get_current_task().id == self.task
            await self.noted("asyncTearDown")

        def tearDown(self) -> None:
            self.steps.append("tearDown")

    result = run(Inner)

    assert result.wasSuccessful(), result.errors
    assert Inner.steps == [
        "setUp",
        "asyncSetUp",
        "test",
        "asyncTearDown",
        "second clean-up",
        "first clean-up",
        "tearDown",
        "plain clean-up",
    ]


def test_plain_method_runs_in_the_loop_too(base: Any) -> None:
    class Inner(base):
        def test_it(self) -> None:
            self.steps.append(current_backend())

    assert run(Inner).wasSuccessful()
    assert Inner.steps == [base.backend]


def test_outcomes_are_told_as_unittest_does(base: Any) -> None:
    class Inner(base):
        async def test_error(self) -> None:
            raise KeyError("why")

        @unittest.expectedFailure
        async def test_expected(self) -> None:
            raise AssertionError

        async def test_failure(self) -> None:
            self.fail("because")

        async def test_skip_inside(self) -> None:
            self.skipTest("inside")

        @unittest.skip("outside")
        async def test_skip_outside(self) -> None:
            self.steps.append("not reached")

        async def test_subtests(self) -> None:
            for number in range(4):
                with self.subTest(number=number):
                    await self.noted(str(number))
                    if not number % 2:
                        self.fail("even")

        @unittest.expectedFailure
        async def test_unexpected(self) -> None:
            await anyio.lowlevel.checkpoint()

    result = run(Inner)

    assert result.testsRun == 7
    assert ends(result.errors) == ["KeyError: 'why'"]
    assert ends(result.failures) == [
        "AssertionError: because",
        "AssertionError: even",
        "AssertionError: even",
    ]
    assert [reason for _, reason in result.skipped] == ["inside", "outside"]
    assert len(result.expectedFailures) == len(result.unexpectedSuccesses) == 1
    assert Inner.steps == ["0", "1", "2", "3"]


def test_class_that_is_skipped_is_not_run(base: Any) -> None:
    @unittest.skip("all")
    class Inner(base):
        async def test_it(self) -> None:
            self.steps.append("not reached")

    assert [reason for _, reason in run(Inner).skipped] == ["all"]
    assert not Inner.steps


@pytest.mark.parametrize(
    ("error", "errors", "failures", "skipped"),
    [
        (KeyError("why"), ["KeyError: 'why'"], [], []),
        (AssertionError("why"), [], ["AssertionError: why"], []),
        (unittest.SkipTest("why"), [], [], ["why"]),
    ],
)
@pytest.mark.parametrize("expected", [False, True])
def test_set_up_that_fails(
    base: Any,
    error: Exception,
    errors: list[str],
    failures: list[str],
    skipped: list[str],
    expected: bool,
) -> None:
    """That a failure is expected of the test does not excuse its set-up."""

    class Inner(base):
        async def asyncSetUp(self) -> None:
            await super().asyncSetUp()
            type(self).last = self
            self.addAsyncCleanup(self.noted, "clean-up")
            raise error

        async def test_it(self) -> None:
            self.steps.append("not reached")

        if expected:
            test_it = unittest.expectedFailure(test_it)

        async def asyncTearDown(self) -> None:
            self.steps.append("not reached")

    result = run(Inner)

    assert ends(result.errors) == errors
    assert ends(result.failures) == failures
    assert [reason for _, reason in result.skipped] == skipped
    assert not result.expectedFailures
    assert not result.unexpectedSuccesses
    assert Inner.steps == ["clean-up"]
    assert Inner.last.server.closed


def test_everything_that_fails_is_told_in_its_order(base: Any) -> None:
    class Inner(base):
        async def fail_with(self, word: str) -> None:
            raise KeyError(word)

        async def test_it(self) -> None:
            self.addAsyncCleanup(self.fail_with, "first clean-up")
            self.addAsyncCleanup(self.fail_with, "second clean-up")
            raise KeyError("test")

        async def asyncTearDown(self) -> None:
            await super().asyncTearDown()
            raise KeyError("asyncTearDown")

    result = run(Inner)

    assert ends(result.errors) == [
        "KeyError: 'test'",
        "KeyError: 'asyncTearDown'",
        "KeyError: 'second clean-up'",
        "KeyError: 'first clean-up'",
    ]


def test_tear_down_that_fails_fails_the_test(base: Any) -> None:
    class Inner(base):
        async def test_it(self) -> None:
            await self.noted("test")

        async def asyncTearDown(self) -> None:
            await super().asyncTearDown()
            self.fail("asyncTearDown")

    result = run(Inner)

    assert ends(result.failures) == ["AssertionError: asyncTearDown"]
    assert not result.wasSuccessful()


def test_clean_ups_of_plain_methods_are_run(base: Any) -> None:
    """Also where there is no test in whose loop they could be."""

    class Inner(base):
        def setUp(self) -> None:
            self.addAsyncCleanup(self.noted, "clean-up")
            raise KeyError("setUp")

        async def test_it(self) -> None:
            self.steps.append("not reached")

    result = run(Inner)

    assert ends(result.errors) == ["KeyError: 'setUp'"]
    assert Inner.steps == ["clean-up"]


def test_clean_up_of_a_context_manager(base: Any) -> None:
    @asynccontextmanager
    async def manage(steps: list[str]) -> AsyncIterator[str]:
        steps.append("entered")
        yield "value"
        steps.append("left")

    class Inner(base):
        async def test_it(self) -> None:
            assert await self.enterAsyncContext(manage(self.steps)) == "value"
            await self.noted("test")
            with pytest.raises(TypeError):
                await self.enterAsyncContext(object())  # type: ignore[arg-type]

    result = run(Inner)

    assert result.wasSuccessful(), result.errors
    assert Inner.steps == ["entered", "test", "left"]


def test_application_that_is_missing(base: Any) -> None:
    class Inner(base):
        get_application = AioHTTPTestCase.get_application

        async def test_it(self) -> None:
            self.steps.append("not reached")

    assert ends(run(Inner).errors) == ["RuntimeError: Inner should define get_application()"]
    assert not Inner.steps


def test_debug_raises(base: Any) -> None:
    class Inner(base):
        async def test_it(self) -> None:
            async with self.client.get("/") as response:
                raise KeyError(response.status)

    with pytest.raises(KeyError, match="200"):
        Inner("test_it").debug()


def test_case_may_run_again(base: Any) -> None:
    class Inner(base):
        async def test_it(self) -> None:
            await self.noted("test")

    case = Inner("test_it")

    assert case.run().wasSuccessful()
    assert case.run().wasSuccessful()
    assert Inner.steps == ["test", "test"]
    assert case.test_it.__func__ is Inner.test_it


def test_method_of_one_case_only_is_run_and_stays(base: Any) -> None:
    """pytest, for one, puts a method into the case's own attributes."""

    class Inner(base):
        async def test_it(self) -> None:
            self.steps.append("not reached")

        async def other(self) -> None:
            await self.noted("other")

    case = Inner("test_it")
    other = case.test_it = case.other

    assert case.run().wasSuccessful()
    assert Inner.steps == ["other"]
    assert case.test_it is other


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_case_that_is_broken_off_is_cleaned_up(base: Any, kind: type[BaseException]) -> None:
    class Inner(base):
        async def test_it(self) -> None:
            self.addAsyncCleanup(self.noted, "clean-up")
            raise kind

        async def asyncTearDown(self) -> None:
            await super().asyncTearDown()
            await self.noted("asyncTearDown")

    case = Inner("test_it")
    if kind is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            case.run()
    else:
        assert not case.run().wasSuccessful()

    assert Inner.steps == ["asyncTearDown", "clean-up"]
    assert case.server.closed


CASES = """
import unittest
import httpserver as web
from httpcore_testing import AioHTTPTestCase

class Base(AioHTTPTestCase):
    async def get_application(self):
        app = web.Application()
        async def hello(request):
            return web.Response(text="hello")
        app.router.add_get("/", hello)
        return app

    async def test_passes(self):
        async with self.client.get("/") as response:
            assert await response.text() == "hello"

    async def test_fails(self):
        async with self.client.get("/") as response:
            assert await response.text() == "else"

class TrioTest(Base):
    backend = "trio"
"""


@pytest.mark.parametrize(
    ("options", "tells"),
    [
        (["unittest"], ["Ran 4 tests", "FAILED (failures=2)"]),
        (["pytest", "-p", "no:asyncio", "-p", "no:cacheprovider"], ["2 failed, 2 passed"]),
        (["pytest", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider"], ["2 failed, 2 passed"]),
        (["pytest", "-o", "anyio_mode=auto", "-p", "no:cacheprovider"], ["2 failed, 2 passed"]),
    ],
)
def test_cases_run_by_a_command(tmp_path: Path, options: list[str], tells: list[str]) -> None:
    (tmp_path / "test_cases.py").write_text(CASES, "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", *options, "test_cases.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    for text in tells:
        assert text in done.stdout + done.stderr
