"""Errors: attributes, text, ancestry, and that they survive pickling."""

from __future__ import annotations

import pickle
import ssl

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

import httpclient
from httpclient import ConnectionKey, RequestInfo, _errors

INFO = RequestInfo(
    URL("http://h/a"), "GET", CIMultiDictProxy(CIMultiDict({"Accept": "*/*"})), URL("http://h/a#f")
)
KEY = ConnectionKey("h", 443, True, ssl.create_default_context())


def errors() -> list[httpclient.ClientError]:
    """Return one of each."""
    return [
        httpclient.ClientError("x"),
        httpclient.ClientConnectionError("x"),
        httpclient.ClientConnectionResetError("x"),
        httpclient.ClientOSError(104, "reset"),
        httpclient.ClientConnectorError(KEY, OSError(111, "refused")),
        httpclient.ClientConnectorDNSError(KEY, OSError(-2, "unknown")),
        httpclient.ClientConnectorSSLError(KEY, ssl.SSLError(1, "handshake")),
        httpclient.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError(1, "bad")),
        httpclient.ServerDisconnectedError(),
        httpclient.ServerDisconnectedError("why"),
        httpclient.ConnectionTimeoutError("x"),
        httpclient.PoolTimeoutError("x"),
        httpclient.SocketTimeoutError("x"),
        httpclient.WriteTimeoutError("x"),
        httpclient.UploadAbortedError("x"),
        httpclient.ClientPayloadError("x"),
        httpclient.ClientResponseError(
            INFO, (), status=404, message="Not Found", headers=INFO.headers
        ),
        httpclient.ContentTypeError(INFO, (), status=200, message="type"),
        httpclient.InvalidUrlClientError("x", "why"),
        httpclient.InvalidUrlClientError(URL("/x")),
        httpclient.NonHttpUrlClientError("ftp://x"),
    ]


@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
def test_error_survives_pickling(error: httpclient.ClientError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    for name in ("status", "message", "headers", "request_info", "host", "port", "url", "errno"):
        if hasattr(error, name):
            assert getattr(copy, name) == getattr(error, name)


def test_connector_error_names_host_and_cause() -> None:
    error = httpclient.ClientConnectorError(KEY, OSError(111, "refused"))
    assert (error.host, error.port, error.ssl) == ("h", 443, KEY.ssl)
    assert error.os_error.errno == error.errno == 111
    assert str(error) == "Cannot connect to host h:443 ssl:context [refused]"


def test_response_error_has_aiohttps_text() -> None:
    error = httpclient.ClientResponseError(INFO, (), status=404, message="Not Found")
    assert str(error) == "404, message='Not Found', url='http://h/a#f'"
    assert "status=404" in repr(error)
    assert httpclient.ClientResponseError(INFO, ()).status == 0


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (httpclient.ClientOSError, (OSError, httpclient.ClientConnectionError)),
        (httpclient.ClientConnectionResetError, (ConnectionResetError,)),
        (httpclient.ClientConnectorSSLError, (ssl.SSLError, httpclient.ClientConnectorError)),
        (
            httpclient.ClientConnectorCertificateError,
            (ssl.CertificateError, httpclient.ClientSSLError),
        ),
        (httpclient.SocketTimeoutError, (TimeoutError, httpclient.ServerTimeoutError)),
        (httpclient.WriteTimeoutError, (TimeoutError, httpclient.ServerTimeoutError)),
        (httpclient.PoolTimeoutError, (TimeoutError, httpclient.ConnectionTimeoutError)),
        (httpclient.ConnectionTimeoutError, (TimeoutError, httpclient.ServerConnectionError)),
        (httpclient.InvalidURL, (ValueError, httpclient.ClientError)),
        (httpclient.ContentTypeError, (httpclient.ClientResponseError,)),
    ],
)
def test_error_can_be_caught_as(error: type, bases: tuple[type, ...]) -> None:
    for base in bases:
        assert issubclass(error, base)


def test_every_public_name_is_there_once() -> None:
    assert len(set(httpclient.__all__)) == len(httpclient.__all__)
    for name in httpclient.__all__:
        assert hasattr(httpclient, name)


def test_tree_in_the_docstring_is_the_tree() -> None:
    parents: list[type[Exception]] = []
    names = set()
    for line in (_errors.__doc__ or "").splitlines():
        words = line.split()
        if not line.startswith("    ") or not words:
            continue
        error = getattr(httpclient, words[0])
        names.add(words[0])
        depth = (len(line) - len(line.lstrip()) - 4) // 2
        del parents[depth:]
        if parents:
            assert parents[-1] in error.__bases__
        parents.append(error)
    public = {name for name, value in vars(_errors).items() if isinstance(value, type)}
    assert names == {
        name for name in public if getattr(_errors, name).__module__ == _errors.__name__
    }
