"""A connector whose connections lead to receivers in the same program, without a socket."""

from __future__ import annotations

import contextvars
import itertools
from collections.abc import Callable
from typing import Any, Final

import anyio

from httpclient import BaseConnector, ClientConnectorError, ConnectionKey
from httpcore_proto.aio import Receiver

# From here on up are the ports that a client gets (RFC 6335 section 6).
_FIRST_DYNAMIC_PORT: Final = 49152


class MemoryConnector(BaseConnector):
    """Connects to receivers of the same program by links in memory.

    Client and server run their real code, each over the link of its event loop; only what is
    below is not there: no socket, no name is looked up, and no TLS, also for https.

    Args:
        make_receiver: Called for each new connection with what it is for, a host and a port
            above all; gives who is connected to, such as `runner.make_receiver()` of a set up
            runner of httpserver. An `OSError` that it raises is raised as `ClientConnectorError`.
        **kwargs: As for `httpclient.BaseConnector`.
    """

    def __init__(self, make_receiver: Callable[[ConnectionKey], Receiver], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._make_receiver = make_receiver
        self._ports = itertools.count(_FIRST_DYNAMIC_PORT)
        self._context = contextvars.copy_context()
        self._entering = anyio.Lock()  # several tasks may be the first
        self._entered = False

    async def _dial(self, key: ConnectionKey, connection: Any, traces: Any) -> None:
        if not self._entered:
            async with self._entering:
                if not self._entered:
                    await self._runtime.__aenter__()
                    self._entered = True
        try:
            receiver = self._make_receiver(key)
        except OSError as exc:
            raise ClientConnectorError(key, exc) from exc
        near, far = ("127.0.0.1", next(self._ports)), (key.host, key.port)
        # As with a socket: what the server does sees nothing of who asks for it.
        self._context.run(
            self._runtime.join,
            connection,
            receiver,
            client_facts={"sockname": near, "peername": far},
            server_facts={"sockname": far, "peername": near},
        )

    async def _shut_down(self) -> None:
        if self._entered:
            self._entered = False
            await self._runtime.__aexit__(None, None, None)
