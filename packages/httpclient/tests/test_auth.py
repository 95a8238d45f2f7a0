"""Basic credentials, read."""

from __future__ import annotations

import base64

import pytest
from yarl import URL

import httpclient
from httpclient import BasicAuth


def encoded(raw: bytes) -> str:
    """Return base64."""
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
@pytest.mark.parametrize(
    ("raw", "login", "password"),
    [
        (b"login:password", "login", "password"),
        (b"login:pass:word", "login", "pass:word"),
        (b":", "", ""),
        (b"l\xf6gin:\xdf", "l\N{LATIN SMALL LETTER O WITH DIAERESIS}gin", "\xdf"),
    ],
)
def test_decode(scheme: str, raw: bytes, login: str, password: str) -> None:
    auth = BasicAuth.decode(f"{scheme} {encoded(raw)}")
    assert auth == (login, password, "latin1")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Bearer bG9naW46cGFzc3dvcmQ=",
        "Basic bG9naW46cGFzc3dvcmQ",
        "Basic ???",
        "Basic bG9naW46cGFzc3dvcmQ=!",
        f"Basic {encoded(b'nocolon')}",
        f"Basic {encoded(b'a:b')} x",
        f"Bas\N{LATIN SMALL LETTER DOTLESS I}c {encoded(b'a:b')}",
    ],
)
def test_anything_else_is_a_value_error(header: str) -> None:
    with pytest.raises(ValueError, match="Basic"):
        BasicAuth.decode(header)


def test_charset() -> None:
    header = httpclient.encode_basic_auth("\u20ac", "\u20ac")
    assert BasicAuth.decode(header, encoding="utf-8") == ("\u20ac", "\u20ac", "utf-8")
    with pytest.raises(ValueError, match="utf-8"):
        BasicAuth.decode(f"Basic {encoded(bytes([0xFF, 58]))}", encoding="utf-8")
    with pytest.raises(LookupError):
        BasicAuth.decode(header, encoding="no-such")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/", None),
        ("http://login@h/", ("login", "", "latin1")),
        ("http://login:pass%3Aword@h/", ("login", "pass:word", "latin1")),
        ("http://:password@h/", ("", "password", "latin1")),
    ],
)
def test_from_url(url: str, expected: tuple[str, str, str] | None) -> None:
    assert BasicAuth.from_url(URL(url)) == expected


def test_from_url_takes_urls_only() -> None:
    with pytest.raises(TypeError, match="str"):
        BasicAuth.from_url("http://login@h/")  # type: ignore[arg-type]


def test_repr_hides_the_password() -> None:
    assert "secret" not in repr(BasicAuth.decode(httpclient.encode_basic_auth("me", "secret")))
