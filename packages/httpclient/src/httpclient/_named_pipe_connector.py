"""Connections to a named pipe of Windows, whatever the host of the URL."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar, Final

from httpcore_proto.aio import AsyncioRuntime

from ._base_connector import KEEPALIVE_TIMEOUT, BaseConnector
from ._errors import UnixClientConnectorError
from ._unix_connector import refuse_proxy

if TYPE_CHECKING:
    from ._connection import ClientHTTPConnection
    from ._tracing import Traces
    from ._url import ConnectionKey

_IS_WINDOWS: Final[bool] = sys.platform == "win32"


class NamedPipeConnector(BaseConnector):
    r"""Connects to a named pipe of Windows; needs asyncio's `ProactorEventLoop`.

    The host of a URL only goes into its Host field. A pipe has no TLS.

    Args:
        path: Where the pipe is, such as `r"\\.\pipe\name"`.
        force_close: As for `BaseConnector`, like all that follow.
        keepalive_timeout: Seconds for which an unused connection is kept; None for ever.
        limit: Most connections in use at once; 0 for any number.
        limit_per_host: The same for one host and port.

    Raises:
        RuntimeError: The platform is not Windows; later, from a request: the event loop
            is another one.
        ValueError: As for `BaseConnector`.
    """

    allowed_protocol_schema_set: ClassVar[frozenset[str]] = (
        BaseConnector.allowed_protocol_schema_set | {"npipe"}
    )

    def __init__(
        self,
        path: str,
        force_close: bool = False,
        keepalive_timeout: float | None = KEEPALIVE_TIMEOUT,
        limit: int = 100,
        limit_per_host: int = 0,
    ) -> None:
        if not _IS_WINDOWS:
            raise RuntimeError("named pipes are a matter of Windows")
        super().__init__(
            force_close=force_close,
            keepalive_timeout=keepalive_timeout,
            limit=limit,
            limit_per_host=limit_per_host,
        )
        self._path = path

    @property
    def path(self) -> str:
        """Where the pipe is."""
        return self._path

    async def _dial(
        self, key: ConnectionKey, connection: ClientHTTPConnection, traces: Traces | None
    ) -> None:
        refuse_proxy(key, self._path)
        runtime = self._runtime
        if not isinstance(runtime, AsyncioRuntime):
            raise RuntimeError("named pipes need asyncio's ProactorEventLoop")
        if key.is_ssl:
            raise RuntimeError("there is no TLS over a named pipe: use http")
        try:
            await runtime.connect_pipe(connection, self._path)
        except OSError as exc:
            raise UnixClientConnectorError(self._path, key, exc) from exc
