"""Run an application until it is told to stop."""

from __future__ import annotations

import signal
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import anyio

from ._application import Application
from ._runner import AppRunner
from ._sites import TCPSite


def run_app(
    app: Application | Awaitable[Application],
    *,
    host: str | None = None,
    port: int | None = None,
    backend: Literal["asyncio", "trio"] = "asyncio",
    loop_factory: Callable[[], Any] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    backlog: int = 128,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    print: Callable[[str], object] | None = print,
    handle_signals: bool = True,
    keepalive_timeout: float = 75.0,
    **kwargs: Any,
) -> None:
    """Serve an application; returns after SIGINT or SIGTERM.

    Args:
        app: The application, or an awaitable that makes it.
        host: As for `TCPSite`.
        port: As for `TCPSite`.
        backend: The event loop library to run on.
        loop_factory: With asyncio: makes the event loop, such as
            `uvloop.new_event_loop`.
        ssl_context: As for `TCPSite`.
        backlog: As for `TCPSite`.
        reuse_address: As for `TCPSite`.
        reuse_port: As for `TCPSite`.
        print: Called with a few lines that tell where the server runs; None for
            silence.
        handle_signals: Stop at SIGINT and SIGTERM.
        keepalive_timeout: Seconds that an idle connection is kept.
        **kwargs: As for `AppRunner`.

    Raises:
        OSError: The address cannot be had.
    """

    async def main() -> None:
        application = app if isinstance(app, Application) else await app
        runner = AppRunner(application, keepalive_timeout=keepalive_timeout, **kwargs)
        await runner.setup()
        try:
            site = TCPSite(
                runner,
                host,
                port,
                ssl_context=ssl_context,
                backlog=backlog,
                reuse_address=reuse_address,
                reuse_port=reuse_port,
            )
            await site.start()
            if print is not None:
                print(f"======== Running on {site.name} ========\n(Press CTRL+C to quit)")
            await _wait_for_signal(handle_signals)
        finally:
            await runner.cleanup()

    options: dict[str, Any] = {}
    if loop_factory is not None:
        options["loop_factory"] = loop_factory
    try:
        anyio.run(main, backend=backend, backend_options=options)
    except KeyboardInterrupt:
        # Without our handler SIGINT is this exception, and means the same.
        pass


async def _wait_for_signal(handle_signals: bool) -> None:
    if not handle_signals:
        await anyio.sleep_forever()
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return
