"""Run an application until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Literal, TypeAlias

import anyio
from anyio.abc import TaskStatus

from ._access_log import AbstractAccessLogger, AccessLogger, access_logger
from ._application import Application
from ._runner import AppRunner
from ._sites import BaseSite, SockSite, TCPSite, UnixSite
from ._systemd import listen_sockets, notify

_Path: TypeAlias = str | os.PathLike[str]


class GracefulExit(SystemExit):
    """Raised to end the program; `run_app` cleans up and returns."""

    code: str | int | None = 1


def run_app(
    app: Application | Awaitable[Application],
    *,
    host: str | Iterable[str] | None = None,
    port: int | None = None,
    path: _Path | Iterable[_Path] | None = None,
    sock: socket.socket | Iterable[socket.socket] | None = None,
    backend: Literal["asyncio", "trio"] = "asyncio",
    loop_factory: Callable[[], Any] | None = None,
    shutdown_timeout: float = 60.0,
    keepalive_timeout: float = 75.0,
    ssl_context: ssl.SSLContext | None = None,
    print: Callable[[str], object] | None = print,
    backlog: int = 128,
    access_log_class: type[AbstractAccessLogger] = AccessLogger,
    access_log_format: str = AccessLogger.LOG_FORMAT,
    access_log: logging.Logger | None = access_logger,
    handle_signals: bool = True,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    handler_cancellation: bool = False,
    **kwargs: Any,
) -> None:
    """Serve an application; returns after SIGINT or SIGTERM.

    It listens where `host`, `port`, `path` and `sock` say, all of them together; if none
    is given, on the sockets that systemd hands over (LISTEN_FDS), and without these on all
    interfaces. systemd is told when it serves and when it stops (NOTIFY_SOCKET).

    The end is that of `AppRunner.cleanup`, also when the start fails half-way. A second
    signal cuts the connections; `on_cleanup` runs all the same.

    In asyncio's debug mode and Python's development mode (`-X dev`) the default access
    logger writes to stderr, unless logging is configured.

    Args:
        app: The application, or an awaitable that makes it.
        host: As for `TCPSite`; or several.
        port: As for `TCPSite`.
        path: As for `UnixSite`; or several.
        sock: As for `SockSite`; or several.
        backend: The event loop library to run on.
        loop_factory: With asyncio: makes the event loop, such as
            `uvloop.new_event_loop`.
        shutdown_timeout: As for `AppRunner`.
        keepalive_timeout: Seconds that an idle connection is kept. 75, aiohttp's default
            and nginx's.
        ssl_context: As for `BaseSite`; for all sites.
        print: Called once with a few lines that tell where the server runs; None for
            silence.
        backlog: As for `BaseSite`; for all sites.
        access_log_class: As for `AppRunner`.
        access_log_format: As for `AppRunner`.
        access_log: As for `AppRunner`.
        handle_signals: Stop at SIGINT and SIGTERM. Needs the main thread; without it, and
            on Windows, SIGINT stops the program as KeyboardInterrupt does.
        reuse_address: As for `TCPSite`.
        reuse_port: As for `TCPSite`.
        handler_cancellation: As for `Server`.
        **kwargs: As for `AppRunner`.

    Raises:
        OSError: An address cannot be had.
        TypeError: An argument is unknown, or `app` makes something else than an
            application.
        Exception: Whatever the application's start-up raises.
    """

    async def serve(serving: anyio.CancelScope, closing: anyio.CancelScope) -> None:
        runner: AppRunner | None = None
        try:
            with serving:
                application = app if isinstance(app, Application) else await app
                if access_log is access_logger and _is_debugging():
                    _log_to_stderr(access_logger)
                runner = AppRunner(
                    application,
                    shutdown_timeout=shutdown_timeout,
                    keepalive_timeout=keepalive_timeout,
                    access_log_class=access_log_class,
                    access_log_format=access_log_format,
                    access_log=access_log,
                    handler_cancellation=handler_cancellation,
                    **kwargs,
                )
                await runner.setup()
                for site in sites(runner):
                    await site.start()
                if print is not None:
                    names = ", ".join(sorted(site.name for site in runner.sites))
                    print(f"======== Running on {names} ========\n(Press CTRL+C to quit)")
                notify("READY=1")
                await anyio.sleep_forever()
        finally:
            notify("STOPPING=1")
            if runner is not None:
                with closing:
                    await runner.cleanup()

    def sites(runner: AppRunner) -> list[BaseSite]:
        common: dict[str, Any] = {"ssl_context": ssl_context, "backlog": backlog}
        tcp = {**common, "reuse_address": reuse_address, "reuse_port": reuse_port}
        paths = _listed(path, (str, os.PathLike))
        socks = _listed(sock, socket.socket)
        hosts: list[str | None] = _listed(host, str)
        if not (hosts or paths or socks) and port is None:
            socks = listen_sockets()
        if not (hosts or paths or socks) or (port is not None and not hosts):
            hosts = [None]
        return [
            *(TCPSite(runner, name, port, **tcp) for name in hosts),
            *(UnixSite(runner, name, **common) for name in paths),
            *(SockSite(runner, item, **common) for item in socks),
        ]

    # On Windows asyncio handles no signals; there SIGINT comes as KeyboardInterrupt.
    watched = handle_signals and sys.platform != "win32"

    async def main() -> None:
        scopes = anyio.CancelScope(), anyio.CancelScope()
        await (under_signals(serve, *scopes) if watched else serve(*scopes))

    options: dict[str, Any] = {}
    if loop_factory is not None:
        options["loop_factory"] = loop_factory
    try:
        anyio.run(main, backend=backend, backend_options=options)
    except (GracefulExit, KeyboardInterrupt):
        # Without our handler SIGINT is the latter, and means the same.
        pass


def _listed(value: Any, one: type | tuple[type, ...]) -> list[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, one) else list(value)


async def under_signals(
    serve: Callable[..., Awaitable[None]],
    *scopes: anyio.CancelScope,
    at_once: Collection[signal.Signals] = (),
) -> None:
    """Call `serve(*scopes)`; each SIGINT or SIGTERM cancels the next scope.

    Args:
        serve: What to call.
        scopes: The scopes.
        at_once: Signals that cancel all scopes that are left.
    """
    failed: BaseException | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(_watch_signals, scopes, at_once)
        try:
            await serve(*scopes)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as exc:
            # Raised below instead: out of a task group it would come wrapped.
            failed = exc
        tasks.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def _watch_signals(
    scopes: Iterable[anyio.CancelScope],
    at_once: Collection[signal.Signals],
    *,
    task_status: TaskStatus[None],
) -> None:
    left = iter(scopes)
    numbers = {signal.SIGINT, signal.SIGTERM, *at_once}
    with anyio.open_signal_receiver(*numbers) as signals:
        task_status.started()
        async for number in signals:
            for scope in left:
                scope.cancel()
                if number not in at_once:
                    break


def _is_debugging() -> bool:
    try:
        return asyncio.get_running_loop().get_debug()
    except RuntimeError:
        return sys.flags.dev_mode


def _log_to_stderr(logger: logging.Logger) -> None:
    """Make an access log visible, as far as nobody has decided about it."""
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.DEBUG)
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())
