"""The server that answers in place of others, behind a mock or a cassette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio

from httpcore_proto import Limits
from httpserver import BaseRequest, Server, ServerRunner, StreamResponse

# Seconds; a day. How slow a program under test is, is its own affair. Time may be virtual, and
# jump: nothing of the server's shall be felt.
_NEVER: Final = 86400.0
#: What is too large is for the program to find out, or for whom it means to speak to.
LIMITS: Final = Limits(
    max_line_size=2**20, max_field_size=2**20, max_headers=2**14, max_head_size=2**20
)


class HiddenServer:
    """A server without a site, started when it is first needed.

    Args:
        handler: Answers every request.
        grace: Seconds that handlers have to end in `close`.
        **options: As for `httpserver.Server`.
    """

    def __init__(
        self,
        handler: Callable[[BaseRequest], Awaitable[StreamResponse]],
        *,
        grace: float,
        **options: Any,
    ) -> None:
        self._handler = handler
        self._grace = grace
        self._options = options
        self._starting = anyio.Lock()  # several tasks may be the first
        self._runner: ServerRunner | None = None

    async def started(self) -> ServerRunner:
        """Return its runner, which runs."""
        async with self._starting:
            if self._runner is None:
                server = Server(
                    self._handler,
                    limits=LIMITS,
                    keepalive_timeout=_NEVER,
                    head_timeout=_NEVER,
                    body_timeout=_NEVER,
                    sweep_interval=_NEVER,
                    handler_cancellation=True,
                    access_log=None,
                    **self._options,
                )
                runner = ServerRunner(server, shutdown_timeout=self._grace)
                await runner.setup()
                self._runner = runner
            return self._runner

    async def close(self) -> None:
        """End it; before the start, or again, does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
