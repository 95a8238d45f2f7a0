"""Errors of the client. All are picklable.

    ClientError
      ClientConnectionError                    the connection cannot be had, or is lost
        ClientConnectionResetError             (ConnectionResetError)
        ClientOSError                          (OSError)
          ClientConnectorError                 no connection to the host
            AddressNotAllowedError             its address is refused by a policy
            ClientConnectorDNSError            its name has no address
            ClientProxyConnectionError         no connection to, or through, the proxy
            ClientSSLError
              ClientConnectorSSLError          (ssl.SSLError)
              ClientConnectorCertificateError  (ssl.CertificateError)
            UnixClientConnectorError           no connection to the Unix socket
        ServerConnectionError
          ServerDisconnectedError              closed before the response
          ServerFingerprintMismatch            not the certificate that was asked for
          ServerTimeoutError                   (TimeoutError)
            ConnectionTimeoutError             `connect`, `sock_connect`
              PoolTimeoutError                 `pool`
            SocketTimeoutError                 `sock_read`
            WriteTimeoutError                  `write`
      ClientPayloadError                       a body is cut or malformed
      UploadAbortedError                       an answer came before the end of an upload
      ClientResponseError                      a response that is not wanted, or broken
        ClientHttpProxyError                   the proxy makes no tunnel
        ContentTypeError
        TooManyRedirects
        WSServerHandshakeError                 no WebSocket
      InvalidURL                               (ValueError)
        InvalidUrlClientError
          InvalidUrlRedirectClientError        (RedirectClientError)
      NonHttpUrlClientError
        NonHttpUrlRedirectClientError          (RedirectClientError)
      DownloadError                            a file cannot be downloaded
        DownloadDigestError                    it is not the one that was asked for
      RedirectClientError                      a redirect that is not followed
        InsecureRedirectError                  from https to http

The `total` time-out raises a plain `TimeoutError`.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

if TYPE_CHECKING:
    from ._fingerprint import Fingerprint
    from ._request import RequestInfo
    from ._response import ClientResponse
    from ._url import ConnectionKey


class ClientError(Exception):
    """Base of everything this package raises about a request."""


class ClientConnectionError(ClientError):
    """A connection cannot be had, or is lost."""


class ClientConnectionResetError(ClientConnectionError, ConnectionResetError):
    """The peer reset the connection, or it is closed already."""


class ClientOSError(ClientConnectionError, OSError):
    """The operating system reported an error of the connection."""


class ClientConnectorError(ClientOSError):
    """No connection to a host could be made.

    Args:
        connection_key: What was to be connected to.
        os_error: What the operating system, or TLS, said.
    """

    def __init__(self, connection_key: ConnectionKey, os_error: OSError) -> None:
        self._key = connection_key
        self._os_error = os_error
        setting = connection_key.ssl
        self._setting: str = (
            "default"
            if setting is True
            else "context"
            if isinstance(setting, ssl.SSLContext)
            else str(setting)
        )
        super().__init__(os_error.errno, os_error.strerror)
        self.args: tuple[Any, ...] = (connection_key, os_error)

    @property
    def os_error(self) -> OSError:
        """The error underneath."""
        return self._os_error

    @property
    def host(self) -> str:
        """Name or address of the host."""
        return self._key.host

    @property
    def port(self) -> int:
        """Port of the host."""
        return self._key.port

    @property
    def ssl(self) -> ssl.SSLContext | bool | Fingerprint:
        """The TLS setting of the request."""
        return self._key.ssl

    def __str__(self) -> str:
        text = self._os_error.strerror or str(self._os_error)
        return f"Cannot connect to host {self.host}:{self.port} ssl:{self._setting} [{text}]"

    def __reduce__(self) -> tuple[object, ...]:
        state = {"_setting": self._setting}
        return (type(self), (_picklable(self._key), self._os_error), state)


def _picklable(key: ConnectionKey) -> ConnectionKey:
    """Leave out a context; that there was one of its own is not worth failing for."""
    return key._replace(ssl=True) if isinstance(key.ssl, ssl.SSLContext) else key


class AddressNotAllowedError(ClientConnectorError):
    """An `AddressPolicy` refuses the address that the host has. Not in aiohttp.

    `str` and `os_error` name the address and the rule.
    """


class ClientConnectorDNSError(ClientConnectorError):
    """The host's name could not be looked up."""


class ClientProxyConnectionError(ClientConnectorError):
    """The proxy cannot be reached, broke the connection, or refused it (SOCKS).

    `host` and `port` are those of the proxy.
    """


class ClientSSLError(ClientConnectorError):
    """TLS could not be established."""


class ClientConnectorSSLError(ClientSSLError, ssl.SSLError):
    """The TLS handshake failed."""


class ClientConnectorCertificateError(ClientSSLError, ssl.CertificateError):
    """The server's certificate was refused."""

    @property
    def certificate_error(self) -> OSError:
        """What is wrong with the certificate."""
        return self._os_error

    def __str__(self) -> str:
        return (
            f"Cannot connect to host {self.host}:{self.port} ssl:{self._setting} "
            f"[{type(self._os_error).__name__}: {self._os_error}]"
        )


class UnixClientConnectorError(ClientConnectorError):
    """No connection to a Unix socket, or a named pipe, could be made.

    Args:
        path: Where it is.
        connection_key: What was to be connected to.
        os_error: What the operating system said.
    """

    def __init__(self, path: str, connection_key: ConnectionKey, os_error: OSError) -> None:
        super().__init__(connection_key, os_error)
        self._path = path
        self.args: tuple[Any, ...] = (path, connection_key, os_error)

    @property
    def path(self) -> str:
        """Where the socket is."""
        return self._path

    def __str__(self) -> str:
        text = self._os_error.strerror or str(self._os_error)
        return f"Cannot connect to unix socket {self._path} [{text}]"

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self._path, _picklable(self._key), self._os_error))


class ServerConnectionError(ClientConnectionError):
    """The server ended a connection that was there."""


class ServerDisconnectedError(ServerConnectionError):
    """The server closed the connection before it answered.

    Attributes:
        message: What is known about it.
    """

    def __init__(self, message: str | None = None) -> None:
        if message is None:
            message = "Server disconnected"
        super().__init__(message)
        self.message = message


class ServerFingerprintMismatch(ServerConnectionError):
    """The server's certificate is not the one that a `Fingerprint` asks for.

    Attributes:
        expected: SHA-256 of the certificate that was asked for.
        got: SHA-256 of the certificate that the server has.
        host: Address of the server.
        port: Port of the server.
    """

    def __init__(self, expected: bytes, got: bytes, host: str, port: int) -> None:
        super().__init__(expected, got, host, port)
        self.expected = expected
        self.got = got
        self.host = host
        self.port = port

    def __str__(self) -> str:
        return (
            f"the certificate of {self.host}:{self.port} has the SHA-256 {self.got.hex()}, "
            f"expected {self.expected.hex()} (ssl=Fingerprint)"
        )

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} expected={self.expected!r} got={self.got!r} "
            f"host={self.host!r} port={self.port!r}>"
        )


class ServerTimeoutError(ServerConnectionError, TimeoutError):
    """The server was too slow."""


class ConnectionTimeoutError(ServerTimeoutError):
    """`ClientTimeout.connect` or `ClientTimeout.sock_connect` passed."""


class PoolTimeoutError(ConnectionTimeoutError):
    """`ClientTimeout.pool` passed without a free place in the pool. Not in aiohttp."""


class SocketTimeoutError(ServerTimeoutError):
    """`ClientTimeout.sock_read` passed without a byte from the server."""


class WriteTimeoutError(ServerTimeoutError):
    """`ClientTimeout.write` passed, and the server took nothing. Not in aiohttp."""


class ClientPayloadError(ClientError):
    """A response body is cut or malformed, or a request body is not what it was."""


class UploadAbortedError(ClientError):
    """The body of a request was not sent to its end: the server answered before that."""


class ClientResponseError(ClientError):
    """A response has a status that was asked to be an error, or is malformed.

    Attributes:
        request_info: The request that was sent.
        history: Responses before this one.
        status: Status code; 400 for a malformed response head.
        message: Reason phrase, or what is wrong.
        headers: Fields of the response; None if they could not be had.
    """

    def __init__(
        self,
        request_info: RequestInfo,
        history: tuple[ClientResponse, ...],
        *,
        status: int | None = None,
        message: str = "",
        headers: CIMultiDictProxy[str] | CIMultiDict[str] | None = None,
    ) -> None:
        super().__init__(request_info, history)
        self.request_info = request_info
        self.history = history
        self.status: int = status or 0
        self.message = message
        self.headers = headers

    def __str__(self) -> str:
        return f"{self.status}, message={self.message!r}, url={str(self.request_info.real_url)!r}"

    def __repr__(self) -> str:
        text = f"{self.request_info!r}, {self.history!r}"
        if self.status:
            text += f", status={self.status!r}"
        if self.message:
            text += f", message={self.message!r}"
        if self.headers is not None:
            text += f", headers={self.headers!r}"
        return f"{type(self).__name__}({text})"

    def __reduce__(self) -> tuple[object, ...]:
        # Views of multidicts cannot be pickled, responses neither.
        info = self.request_info
        info = info._replace(headers=CIMultiDict(info.headers))
        state = self.__dict__ | {"request_info": info, "history": ()}
        if self.headers is not None:
            state["headers"] = CIMultiDict(self.headers)
        return (type(self), (info, ()), state)

    def __setstate__(self, state: dict[str, Any] | None) -> None:
        assert state is not None
        info = state["request_info"]
        state["request_info"] = info._replace(headers=CIMultiDictProxy(info.headers))
        if state["headers"] is not None:
            state["headers"] = CIMultiDictProxy(state["headers"])
        self.__dict__.update(state)
        self.args: tuple[Any, ...] = (self.request_info, self.history)


class ClientHttpProxyError(ClientResponseError):
    """A proxy answered CONNECT with an error: 407 if it wants a login.

    `request_info` is about the CONNECT request, without Proxy-Authorization; its URL is
    the origin's. Status 400 may also stand for a malformed answer.
    """


class ContentTypeError(ClientResponseError):
    """The body is not of the content type that was asked for."""


class TooManyRedirects(ClientResponseError):
    """More redirects than `max_redirects`; `history` has their responses."""


class WSServerHandshakeError(ClientResponseError):
    """The answer to a WebSocket's handshake is none that makes one (RFC 6455 section 4.1).

    `__cause__` is a `wsproto_async.WSHandshakeError`, whose `rule` tells which part is wrong.
    """


class InvalidURL(ClientError, ValueError):
    """A URL cannot be used for a request.

    Attributes:
        url: The URL as given.
        description: What is wrong with it; None if there is nothing to say.
    """

    def __init__(self, url: str | URL, description: str | None = None) -> None:
        self._url = url
        self._description = description
        super().__init__(*((url,) if description is None else (url, description)))

    @property
    def url(self) -> str | URL:
        """The URL as given."""
        return self._url

    @property
    def description(self) -> str | None:
        """What is wrong with it."""
        return self._description

    def __str__(self) -> str:
        return f"{self._url}" if self._description is None else f"{self._url} - {self._description}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class InvalidUrlClientError(InvalidURL):
    """The URL of a request is malformed, or has no host."""


class NonHttpUrlClientError(ClientError):
    """The scheme of a URL is neither http nor https.

    Args:
        url: The URL as given.
    """

    def __init__(self, url: str | URL, description: str | None = None) -> None:
        self.url = url
        self.description = description
        super().__init__(*((url,) if description is None else (url, description)))

    def __str__(self) -> str:
        return f"{self.url}" if self.description is None else f"{self.url} - {self.description}"


class RedirectClientError(ClientError):
    """A redirect names a place that the client does not go to."""


class InvalidUrlRedirectClientError(InvalidUrlClientError, RedirectClientError):
    """The URL of a redirect is malformed, has no host, or has user and password."""


class NonHttpUrlRedirectClientError(NonHttpUrlClientError, RedirectClientError):
    """The scheme of the URL of a redirect is neither http nor https."""


class InsecureRedirectError(RedirectClientError):
    """A redirect leads from https to http. aiohttp would follow.

    Args:
        url: Where it leads.
    """

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        self.url = url

    def __str__(self) -> str:
        return (
            f"{self.url} - a redirect from https to http is not followed, unless the session "
            "is made with allow_insecure_redirects=True"
        )


class DownloadError(ClientError):
    """A server's answers make no file, or there is no place for it.

    Attributes:
        message: What is wrong.
        rule: One word for it: `status`, `content-range`, `too-long`, `too-short`,
            `max-size`, `busy`, `target` or `digest`.
        url: What was asked for.
    """

    def __init__(self, message: str, rule: str, url: URL) -> None:
        super().__init__(message, rule, url)
        self.message = message
        self.rule = rule
        self.url = url

    def __str__(self) -> str:
        return f"{self.url} - {self.message}"


class DownloadDigestError(DownloadError):
    """What was downloaded has another digest than the one that was asked for.

    Attributes:
        expected: The digest asked for, as `sha256:0123...`.
        actual: That of the file, which is removed.
    """

    def __init__(self, expected: str, actual: str, url: URL) -> None:
        super().__init__(f"digest {actual}, expected {expected}", "digest", url)
        self.args: tuple[Any, ...] = (expected, actual, url)
        self.expected = expected
        self.actual = actual
