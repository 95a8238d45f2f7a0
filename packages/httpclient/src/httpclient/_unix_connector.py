"""Connections to a Unix socket, whatever the host of the URL."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, ClassVar

from ._base_connector import KEEPALIVE_TIMEOUT, BaseConnector
from ._connect_errors import reported
from ._errors import ServerFingerprintMismatch, UnixClientConnectorError
from ._fingerprint import Fingerprint
from ._sockets import connect_socket
from ._tls import load_context, tls_name

if TYPE_CHECKING:
    from ._connection import ClientHTTPConnection
    from ._tracing import Traces
    from ._url import ConnectionKey


class UnixConnector(BaseConnector):
    """Connects to a Unix socket. The host of a URL only goes into its Host field.

    An https URL gets TLS, with the name of its host, unlike in aiohttp. Proxies cannot be
    used with it.

    Args:
        path: Where the socket is.
        force_close: As for `BaseConnector`, like all that follow.
        keepalive_timeout: Seconds for which an unused connection is kept; None for ever.
        limit: Most connections in use at once; 0 for any number.
        limit_per_host: The same for one host, port and TLS setting.

    Raises:
        RuntimeError: The platform has no Unix sockets.
        ValueError: As for `BaseConnector`.
    """

    allowed_protocol_schema_set: ClassVar[frozenset[str]] = (
        BaseConnector.allowed_protocol_schema_set | {"unix"}
    )

    def __init__(
        self,
        path: str | os.PathLike[str],
        force_close: bool = False,
        keepalive_timeout: float | None = KEEPALIVE_TIMEOUT,
        limit: int = 100,
        limit_per_host: int = 0,
    ) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise RuntimeError("this platform has no Unix sockets")
        super().__init__(
            force_close=force_close,
            keepalive_timeout=keepalive_timeout,
            limit=limit,
            limit_per_host=limit_per_host,
        )
        self._path = os.fspath(path)

    @property
    def path(self) -> str:
        """Where the socket is."""
        return self._path

    async def _dial(
        self, key: ConnectionKey, connection: ClientHTTPConnection, traces: Traces | None
    ) -> None:
        refuse_proxy(key, self._path)
        sock = socket.socket(socket.AF_UNIX)
        try:
            await connect_socket(sock, self._path)
        except BaseException as exc:
            sock.close()
            if isinstance(exc, OSError):
                raise UnixClientConnectorError(self._path, key, exc) from exc
            raise
        context = name = None
        if key.is_ssl:
            context = await load_context(key.ssl)
            name = tls_name(key.host, key.server_hostname)
        with reported(key):
            link = await self._runtime.connect_sock(
                connection, sock, ssl=context, server_hostname=name
            )
            if key.is_ssl and isinstance(key.ssl, Fingerprint):
                try:
                    key.ssl.check(link)
                except ServerFingerprintMismatch:
                    link.abort()
                    raise


def refuse_proxy(key: ConnectionKey, path: str) -> None:
    """Raise an error if a proxy is to be used.

    Raises:
        UnixClientConnectorError: There is one.
    """
    if key.proxy is not None:
        error = OSError(errno.EOPNOTSUPP, "a proxy cannot be used with this connector")
        raise UnixClientConnectorError(path, key, error)
