"""Errors of the client. All are picklable.

    ClientError
      ClientConnectionError                    the connection cannot be had, or is lost
        ClientConnectionResetError             (ConnectionResetError)
        ClientOSError                          (OSError)
          ClientConnectorError                 no connection to the host
            ClientConnectorDNSError            its name has no address
            ClientSSLError
              ClientConnectorSSLError          (ssl.SSLError)
              ClientConnectorCertificateError  (ssl.CertificateError)
        ServerConnectionError
          ServerDisconnectedError              closed before the response
          ServerTimeoutError                   (TimeoutError)
            ConnectionTimeoutError             `connect`, `sock_connect`
            SocketTimeoutError                 `sock_read`
      ClientPayloadError                       a body is cut or malformed
      ClientResponseError                      a response that is not wanted, or broken
        ContentTypeError
      InvalidURL                               (ValueError)
        InvalidUrlClientError
      NonHttpUrlClientError

The `total` time-out raises a plain `TimeoutError`. What concerns redirects, proxies and
WebSockets joins the tree with the feature.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict
from yarl import URL

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

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
    def ssl(self) -> ssl.SSLContext | bool:
        """The TLS setting of the request."""
        return self._key.ssl

    def __str__(self) -> str:
        text = self._os_error.strerror or str(self._os_error)
        return f"Cannot connect to host {self.host}:{self.port} [{text}]"

    def __reduce__(self) -> tuple[object, ...]:
        # A context cannot be pickled; that there was one of its own is not worth failing for.
        key = self._key
        if not isinstance(key.ssl, bool):
            key = key._replace(ssl=True)
        return (type(self), (key, self._os_error))


class ClientConnectorDNSError(ClientConnectorError):
    """The host's name could not be looked up."""


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
            f"Cannot connect to host {self.host}:{self.port} "
            f"[{type(self._os_error).__name__}: {self._os_error}]"
        )


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


class ServerTimeoutError(ServerConnectionError, TimeoutError):
    """The server was too slow."""


class ConnectionTimeoutError(ServerTimeoutError):
    """`ClientTimeout.connect` or `ClientTimeout.sock_connect` passed."""


class SocketTimeoutError(ServerTimeoutError):
    """`ClientTimeout.sock_read` passed without a byte from the server."""


class ClientPayloadError(ClientError):
    """A response body is cut or malformed."""


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


class ContentTypeError(ClientResponseError):
    """The body is not of the content type that was asked for."""


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
