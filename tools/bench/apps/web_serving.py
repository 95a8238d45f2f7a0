"""Serve an application through AppRunner and TCPSite, which aiohttp and ours both have."""

import asyncio
from typing import Any, NoReturn

from .settings import BACKLOG, HOST


async def serve(web: Any, app: Any, port: int) -> NoReturn:
    """Serve `app` until the process is ended; there is no access log in any peer."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, backlog=BACKLOG).start()
    await asyncio.Event().wait()
    raise AssertionError("the event is never set")
