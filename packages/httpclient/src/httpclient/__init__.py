"""HTTP client for asyncio and trio.

    async with httpclient.ClientSession() as session:
        async with session.get("https://example.org/") as response:
            print(response.status, await response.text())

Names and behaviour are those of aiohttp's client where that makes sense.
"""

from __future__ import annotations

from httpcore_proto import (
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    ServerSentEvent,
    encode_basic_auth,
)
from httpcore_proto.aio import FormData, StreamReader
from wsproto_async import (
    Deflate,
    WebSocketError,
    WSCloseCode,
    WSFragment,
    WSMessage,
    WSMessageTextBytes,
    WSMessageTypeError,
    WSMsgType,
)

from ._abstract_cookie_jar import (
    AbstractCookieJar,
    ClearCookiePredicate,
    DummyCookieJar,
    LooseCookies,
)
from ._address_policy import AddressPolicy
from ._auth import (
    BasicAuth,
)
from ._base_connector import BaseConnector
from ._body_items import EventStream
from ._client_request import ClientRequest
from ._client_web_socket import ClientWebSocketResponse
from ._connector import TCPConnector
from ._cookie_jar import CookieJar
from ._dialer import SocketFactoryType
from ._digest_auth import (
    DigestAuthMiddleware,
)
from ._download import DownloadOptions, DownloadProgress, DownloadResult, download
from ._errors import (
    AddressNotAllowedError,
    ClientConnectionError,
    ClientConnectionResetError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientHttpProxyError,
    ClientOSError,
    ClientPayloadError,
    ClientProxyConnectionError,
    ClientResponseError,
    ClientSSLError,
    ConnectionTimeoutError,
    ContentTypeError,
    DownloadDigestError,
    DownloadError,
    InsecureRedirectError,
    InvalidURL,
    InvalidUrlClientError,
    InvalidUrlRedirectClientError,
    NonHttpUrlClientError,
    NonHttpUrlRedirectClientError,
    PoolTimeoutError,
    RedirectClientError,
    ServerConnectionError,
    ServerDisconnectedError,
    ServerFingerprintMismatch,
    ServerTimeoutError,
    SocketTimeoutError,
    TooManyRedirects,
    UnixClientConnectorError,
    UploadAbortedError,
    WriteTimeoutError,
    WSServerHandshakeError,
)
from ._fingerprint import Fingerprint
from ._middlewares import (
    ClientHandlerType,
    ClientMiddlewareType,
)
from ._named_pipe_connector import NamedPipeConnector
from ._pool_stats import Origin, OriginStats, PoolStats
from ._request import RequestInfo
from ._request_context import RequestContext
from ._request_options import GetOptions, RequestOptions
from ._resolver import (
    AbstractResolver,
    AsyncResolver,
    DefaultResolver,
    HostsResolver,
    ResolveResult,
    ThreadedResolver,
)
from ._response import ClientResponse, Connection
from ._response_head import ContentDisposition
from ._retry import (
    Retry,
    RetryBudget,
)
from ._session import ClientSession, request
from ._sockets import AddrInfoType
from ._timeouts import ClientTimeout
from ._trace_params import (
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceConnectionQueuedEndParams,
    TraceConnectionQueuedStartParams,
    TraceConnectionReuseconnParams,
    TraceDnsCacheHitParams,
    TraceDnsCacheMissParams,
    TraceDnsResolveHostEndParams,
    TraceDnsResolveHostStartParams,
    TraceRequestChunkSentParams,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestHeadersSentParams,
    TraceRequestRedirectParams,
    TraceRequestRetryParams,
    TraceRequestStartParams,
    TraceResponseChunkReceivedParams,
)
from ._tracing import (
    Signal,
    TraceConfig,
)
from ._unix_connector import UnixConnector
from ._upload_tracker import UploadCompletion, UploadTracker
from ._url import ConnectionKey
from ._version import __version__
from ._ws_connect import ClientWSTimeout, WSConnectContext

__all__ = [
    "AbstractCookieJar",
    "AbstractResolver",
    "AddrInfoType",
    "AddressNotAllowedError",
    "AddressPolicy",
    "AsyncResolver",
    "BaseConnector",
    "BasicAuth",
    "ClearCookiePredicate",
    "ClientConnectionError",
    "ClientConnectionResetError",
    "ClientConnectorCertificateError",
    "ClientConnectorDNSError",
    "ClientConnectorError",
    "ClientConnectorSSLError",
    "ClientError",
    "ClientHandlerType",
    "ClientHttpProxyError",
    "ClientMiddlewareType",
    "ClientOSError",
    "ClientPayloadError",
    "ClientProxyConnectionError",
    "ClientRequest",
    "ClientResponse",
    "ClientResponseError",
    "ClientSSLError",
    "ClientSession",
    "ClientTimeout",
    "ClientWSTimeout",
    "ClientWebSocketResponse",
    "Connection",
    "ConnectionKey",
    "ConnectionTimeoutError",
    "ContentDisposition",
    "ContentTypeError",
    "CookieJar",
    "DefaultResolver",
    "Deflate",
    "DigestAuthMiddleware",
    "DownloadDigestError",
    "DownloadError",
    "DownloadOptions",
    "DownloadProgress",
    "DownloadResult",
    "DummyCookieJar",
    "EventStream",
    "Fingerprint",
    "FormData",
    "GetOptions",
    "HostsResolver",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "InsecureRedirectError",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "LooseCookies",
    "NamedPipeConnector",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
    "Origin",
    "OriginStats",
    "PoolStats",
    "PoolTimeoutError",
    "RedirectClientError",
    "RequestContext",
    "RequestInfo",
    "RequestOptions",
    "ResolveResult",
    "Retry",
    "RetryBudget",
    "ServerConnectionError",
    "ServerDisconnectedError",
    "ServerFingerprintMismatch",
    "ServerSentEvent",
    "ServerTimeoutError",
    "Signal",
    "SocketFactoryType",
    "SocketTimeoutError",
    "StreamReader",
    "TCPConnector",
    "ThreadedResolver",
    "TooManyRedirects",
    "TraceConfig",
    "TraceConnectionCreateEndParams",
    "TraceConnectionCreateStartParams",
    "TraceConnectionQueuedEndParams",
    "TraceConnectionQueuedStartParams",
    "TraceConnectionReuseconnParams",
    "TraceDnsCacheHitParams",
    "TraceDnsCacheMissParams",
    "TraceDnsResolveHostEndParams",
    "TraceDnsResolveHostStartParams",
    "TraceRequestChunkSentParams",
    "TraceRequestEndParams",
    "TraceRequestExceptionParams",
    "TraceRequestHeadersSentParams",
    "TraceRequestRedirectParams",
    "TraceRequestRetryParams",
    "TraceRequestStartParams",
    "TraceResponseChunkReceivedParams",
    "UnixClientConnectorError",
    "UnixConnector",
    "UploadAbortedError",
    "UploadCompletion",
    "UploadTracker",
    "WSCloseCode",
    "WSConnectContext",
    "WSFragment",
    "WSMessage",
    "WSMessageTextBytes",
    "WSMessageTypeError",
    "WSMsgType",
    "WSServerHandshakeError",
    "WebSocketError",
    "WriteTimeoutError",
    "__version__",
    "download",
    "encode_basic_auth",
    "request",
]
