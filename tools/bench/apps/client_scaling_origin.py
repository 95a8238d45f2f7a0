"""The origins of a curve: `origin`, in one process, on as many loopback addresses as it is told."""

import asyncio
import sys
from typing import NoReturn

from ..exchanges import EXCHANGES
from .canned import canned_response
from .client_scaling import origin_hosts
from .origin import Origin
from .settings import BACKLOG, Settings, run_asyncio


async def serve(response: bytes, hosts: list[str], port: int) -> NoReturn:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    # Addresses and not the wildcard: nothing of a bench can be reached from outside.
    await loop.create_server(lambda: Origin(response), hosts, port, backlog=BACKLOG)
    await asyncio.Event().wait()
    raise AssertionError("the event is never set")


if __name__ == "__main__":
    settings = Settings.from_environ()
    response = canned_response(EXCHANGES[settings.work].answer)
    run_asyncio(serve(response, origin_hosts(int(sys.argv[1])), settings.port), settings.loop)
