"""Rows of the ledger: errors.

Each docstring begins with the row's id; `test_ledger.py` knows all rows.
"""

from __future__ import annotations

import pickle
import ssl
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

import httpclient
from httpclient import ConnectionKey, RequestInfo

from .conftest import Peer, Serve

INFO = RequestInfo(
    URL("http://h/a"), "GET", CIMultiDictProxy(CIMultiDict({"Accept": "*/*"})), URL("http://h/a#f")
)
KEY = ConnectionKey("host.test", 443, True)
REFUSED = OSError(111, "refused")
RESPONSE = {
    "status": 418,
    "message": "short",
    "headers": CIMultiDictProxy(CIMultiDict({"X-A": "b"})),
}

# Each class: how it is made, and what has to be found in its text and in its repr.
MADE: dict[type[Exception], tuple[tuple[Any, ...], dict[str, Any], tuple[str | bytes, ...]]] = {
    httpclient.AddressNotAllowedError: ((KEY, REFUSED), {}, ("host.test", "443")),
    httpclient.ClientConnectionError: (("why",), {}, ("why",)),
    httpclient.ClientConnectionResetError: (("why",), {}, ("why",)),
    httpclient.ClientConnectorCertificateError: (
        (KEY, ssl.SSLCertVerificationError(1, "bad certificate")),
        {},
        ("host.test", "443", "bad certificate"),
    ),
    httpclient.ClientConnectorDNSError: ((KEY, OSError(-2, "unknown")), {}, ("host.test", "443")),
    httpclient.ClientConnectorError: ((KEY, REFUSED), {}, ("host.test", "443", "refused")),
    httpclient.ClientConnectorSSLError: (
        (KEY, ssl.SSLError(1, "handshake")),
        {},
        ("host.test", "443", "handshake"),
    ),
    httpclient.ClientError: (("why",), {}, ("why",)),
    httpclient.ClientHttpProxyError: ((INFO, ()), RESPONSE, ("418", "short", "http://h/a#f")),
    httpclient.ClientOSError: ((104, "reset"), {}, ("104", "reset")),
    httpclient.ClientPayloadError: (("why",), {}, ("why",)),
    httpclient.ClientProxyConnectionError: ((KEY, REFUSED), {}, ("host.test", "443", "refused")),
    httpclient.ClientResponseError: ((INFO, ()), RESPONSE, ("418", "short", "http://h/a#f")),
    httpclient.ClientSSLError: ((KEY, REFUSED), {}, ("host.test", "443", "refused")),
    httpclient.ConnectionTimeoutError: (("why",), {}, ("why",)),
    httpclient.ContentTypeError: ((INFO, ()), RESPONSE, ("418", "short", "http://h/a#f")),
    httpclient.InsecureRedirectError: ((URL("http://h/b"),), {}, ("http://h/b",)),
    httpclient.InvalidURL: (("x:y", "why"), {}, ("x:y", "why")),
    httpclient.InvalidUrlClientError: (("x:y", "why"), {}, ("x:y", "why")),
    httpclient.InvalidUrlRedirectClientError: (("x:y", "why"), {}, ("x:y", "why")),
    httpclient.NonHttpUrlClientError: (("ftp://h/",), {}, ("ftp://h/",)),
    httpclient.NonHttpUrlRedirectClientError: (("ftp://h/",), {}, ("ftp://h/",)),
    httpclient.PoolTimeoutError: (("why",), {}, ("why",)),
    httpclient.RedirectClientError: (("why",), {}, ("why",)),
    httpclient.ServerConnectionError: (("why",), {}, ("why",)),
    httpclient.ServerDisconnectedError: (("why",), {}, ("why",)),
    httpclient.ServerFingerprintMismatch: (
        (b"\1\2", b"\3\4", "host.test", 443),
        {},
        (b"\1\2", b"\3\4", "host.test", "443"),
    ),
    httpclient.ServerTimeoutError: (("why",), {}, ("why",)),
    httpclient.SocketTimeoutError: (("why",), {}, ("why",)),
    httpclient.TooManyRedirects: ((INFO, ()), RESPONSE, ("418", "short", "http://h/a#f")),
    httpclient.UploadAbortedError: (("why",), {}, ("why",)),
    httpclient.WSServerHandshakeError: ((INFO, ()), RESPONSE, ("418", "short", "http://h/a#f")),
    httpclient.WriteTimeoutError: (("why",), {}, ("why",)),
}
# Those that say more than one exception can be made of in a table.
APART = {
    httpclient.DownloadDigestError,
    httpclient.DownloadError,
    httpclient.UnixClientConnectorError,
}


def tells(text: str, part: str | bytes) -> bool:
    """Whether a text has something in it, bytes in one form or another."""
    forms = [part] if isinstance(part, str) else [part.hex(), repr(part)]
    return any(form in text for form in forms)


def make(cls: type[Exception]) -> Exception:
    args, options, _ = MADE[cls]
    return cls(*args, **options)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", MADE, ids=lambda cls: cls.__name__)
def test_every_error_survives_pickling(cls: type[Exception], protocol: int) -> None:
    """S019: with every protocol: type, args, text, repr and attributes are the same."""
    error = make(cls)
    copy = pickle.loads(pickle.dumps(error, protocol))
    assert type(copy) is cls
    assert (str(copy), repr(copy)) == (str(error), repr(error))
    assert [str(item) for item in copy.args] == [str(item) for item in error.args]
    assert vars(copy).keys() == vars(error).keys()
    for name in ("status", "message", "headers", "host", "port", "url", "errno"):
        assert getattr(copy, name, None) == getattr(error, name, None)


def test_every_error_is_looked_at() -> None:
    """S019, S108, S118: the table has all public errors but those that others test."""
    public = {getattr(httpclient, name) for name in httpclient.__all__}
    assert set(MADE) == {
        item for item in public - APART if getattr(item, "__module__", "") == "httpclient._errors"
    }


@pytest.mark.parametrize("cls", MADE, ids=lambda cls: cls.__name__)
def test_repr_names_class_and_data(cls: type[Exception]) -> None:
    """S108: the repr of an error has its class and what it knows."""
    text = repr(make(cls))
    assert text.startswith((f"{cls.__name__}(", f"<{cls.__name__}"))
    for part in MADE[cls][2]:
        assert tells(text, part)


@pytest.mark.parametrize("cls", MADE, ids=lambda cls: cls.__name__)
def test_text_is_formatted_through(cls: type[Exception]) -> None:
    """S118: no placeholder is left in the text of an error, and its data is in it."""
    text = str(make(cls))
    assert "{" not in text
    assert "%" not in text
    for part in MADE[cls][2]:
        assert tells(text, part)


async def test_text_of_a_server_that_hangs_up(serve: Serve) -> None:
    """S068: "Server disconnected", or what is known about it."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.close()

    assert str(httpclient.ServerDisconnectedError()) == "Server disconnected"
    assert str(httpclient.ServerDisconnectedError("why")) == "why"
    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.ServerDisconnectedError, match="Server disconnected"):
            await session.get(origin.url)
