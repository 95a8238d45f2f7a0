"""HTTP client for asyncio and trio.

    async with httpclient.ClientSession() as session:
        async with session.get("https://example.org/") as response:
            print(response.status, await response.text())

Names and behaviour are those of aiohttp's client where that makes sense.
"""

from __future__ import annotations

from httpcore_proto import HttpVersion, HttpVersion10, HttpVersion11
from httpcore_proto.aio import StreamReader

from ._connector import BaseConnector, TCPConnector
from ._errors import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ClientSSLError,
    ConnectionTimeoutError,
    ContentTypeError,
    InvalidURL,
    InvalidUrlClientError,
    NonHttpUrlClientError,
    ServerConnectionError,
    ServerDisconnectedError,
    ServerTimeoutError,
    SocketTimeoutError,
)
from ._request import RequestInfo
from ._response import ClientResponse, Connection
from ._session import ClientSession, RequestContext, RequestOptions, request
from ._timeouts import ClientTimeout
from ._url import ConnectionKey
from ._version import __version__

__all__ = [
    "BaseConnector",
    "ClientConnectionError",
    "ClientConnectionResetError",
    "ClientConnectorCertificateError",
    "ClientConnectorDNSError",
    "ClientConnectorError",
    "ClientConnectorSSLError",
    "ClientError",
    "ClientOSError",
    "ClientPayloadError",
    "ClientResponse",
    "ClientResponseError",
    "ClientSSLError",
    "ClientSession",
    "ClientTimeout",
    "Connection",
    "ConnectionKey",
    "ConnectionTimeoutError",
    "ContentTypeError",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "InvalidURL",
    "InvalidUrlClientError",
    "NonHttpUrlClientError",
    "RequestContext",
    "RequestInfo",
    "RequestOptions",
    "ServerConnectionError",
    "ServerDisconnectedError",
    "ServerTimeoutError",
    "SocketTimeoutError",
    "StreamReader",
    "TCPConnector",
    "__version__",
    "request",
]
