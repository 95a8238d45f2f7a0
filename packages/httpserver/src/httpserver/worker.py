"""Workers for Gunicorn: `gunicorn -k httpserver.worker.GunicornWebWorker module:app`.

This module needs Gunicorn, which no extra brings: whoever names it here runs in it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
from gunicorn import config as gunicorn_config  # type: ignore[import-untyped, unused-ignore]
from gunicorn import sock as gunicorn_sock  # type: ignore[import-untyped, unused-ignore]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped, unused-ignore]
from gunicorn.workers.base import Worker  # type: ignore[import-untyped, unused-ignore]

from ._access_log import AccessLogger
from ._application import Application
from ._run import under_signals
from ._runner import AppRunner
from ._sites import SockSite

# Seconds between two signs of life; Gunicorn's shortest time-out is one second longer.
_BEAT: Final = 1.0
# Share of `graceful_timeout` for handlers; the rest is for the application's cleanup.
_SHARE: Final = 0.95


class GunicornWebWorker(Worker):  # type: ignore[misc, unused-ignore]
    """Serves on asyncio.

    The object that Gunicorn is told to serve is an `Application`, an `AppRunner`, or a
    function, asynchronous or not, that makes one of them. Of Gunicorn's settings these
    count: `keepalive`, `graceful_timeout`, `max_requests`, those of TLS, `accesslog` and
    `access_log_format`. The last is in the language of `AccessLogger`: Gunicorn's own
    (`%(h)s`) is refused with ValueError, and its default is replaced by ours.

    An `AppRunner` brings its own settings for all that but TLS.
    """

    #: Makes the event loop; None for asyncio's own.
    loop_factory: Callable[[], Any] | None = None

    def run(self) -> None:
        """Serve until told to stop, and leave the process."""
        options: dict[str, Any] = {}
        if (factory := type(self).loop_factory) is not None:
            options["loop_factory"] = factory
        self._started = False
        try:
            anyio.run(self._main, backend="asyncio", backend_options=options)
        except Exception:
            self.log.exception("exception in worker %s", self.pid)
            # A worker that cannot start ends the master: its successors could not either.
            sys.exit(1 if self._started else Arbiter.WORKER_BOOT_ERROR)
        sys.exit(0)

    async def _main(self) -> None:
        scopes = anyio.CancelScope(), anyio.CancelScope()
        await under_signals(self._serve, *scopes, at_once=(signal.SIGQUIT, signal.SIGINT))

    async def _serve(self, serving: anyio.CancelScope, closing: anyio.CancelScope) -> None:
        runner: AppRunner | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._beat)
            try:
                with serving:
                    runner = await self._make_runner()
                    await runner.setup()
                    context = gunicorn_sock.ssl_context(self.cfg) if self.cfg.is_ssl else None
                    for sock in self.sockets:
                        # Gunicorn's own object stays as it is.
                        copy = socket.socket(fileno=os.dup(sock.fileno()))
                        await SockSite(runner, copy, ssl_context=context).start()
                    self._started = True
                    await self._until_enough(runner)
            finally:
                self.alive = False
                if runner is not None:
                    with closing:
                        await runner.cleanup()
                tasks.cancel_scope.cancel()

    async def _beat(self) -> None:
        while True:
            self.notify()
            await anyio.sleep(_BEAT)

    async def _until_enough(self, runner: AppRunner) -> None:
        while True:
            await anyio.sleep(_BEAT)
            if runner.server.requests_count >= self.max_requests:
                self.log.info("worker %s served max_requests", self.pid)
                return
            if self.ppid != os.getppid():
                self.log.info("worker %s lost its parent", self.pid)
                return

    async def _make_runner(self) -> AppRunner:
        made: Any = self.wsgi
        if not isinstance(made, (Application, AppRunner)):
            made = made()
            if isinstance(made, Awaitable):
                made = await made
        if isinstance(made, AppRunner):
            return made
        return AppRunner(
            made,
            logger=self.log.error_log,
            keepalive_timeout=float(self.cfg.keepalive),
            shutdown_timeout=self.cfg.graceful_timeout * _SHARE,
            access_log=self.log.access_log if self.cfg.accesslog else None,
            access_log_format=access_log_format(self.cfg.access_log_format),
        )


def access_log_format(setting: str) -> str:
    """Return Gunicorn's setting, or our default in place of its own.

    Raises:
        ValueError: The format is in Gunicorn's language.
    """
    if setting == gunicorn_config.AccessLogFormat.default:
        return AccessLogger.LOG_FORMAT
    if "%(" in setting:
        raise ValueError(
            "Gunicorn's format of the access log, such as %(h)s, is not understood here; "
            f"use that of AccessLogger, such as {AccessLogger.LOG_FORMAT!r}: {setting!r}"
        )
    return setting


class GunicornUVLoopWebWorker(GunicornWebWorker):
    """Serves on uvloop; otherwise as `GunicornWebWorker`."""

    @staticmethod
    def loop_factory() -> Any:
        """Return a new event loop."""
        import uvloop

        return uvloop.new_event_loop()
