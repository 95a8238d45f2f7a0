"""Fields of a response that have properties of their own, and cookies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

import httpserver as web
from httpcore_proto import ETag

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


# Content-Type.


def test_content_type_and_charset_are_set_apart() -> None:
    response = web.StreamResponse()
    assert (response.content_type, response.charset) == ("application/octet-stream", None)
    with pytest.raises(RuntimeError, match="charset"):
        response.charset = "utf-8"
    response.content_type = "text/html"
    response.charset = "UTF-8"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    response.content_type = "text/plain"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    response.charset = None
    assert response.headers["Content-Type"] == "text/plain"
    response.headers["Content-Type"] = 'text/x; a="b;c"; charset=latin-1'
    response.charset = "koi8-r"
    assert response.headers["Content-Type"] == 'text/x; a="b;c"; charset=koi8-r'


def test_text_and_body_can_be_replaced() -> None:
    response = web.Response()
    assert response.text is None
    response.text = "ä"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (response.body, response.text, response.content_length) == ("ä".encode(), "ä", 2)
    response.charset = "latin-1"
    response.text = "ö"
    assert response.body == b"\xf6"
    response.text = None
    assert response.body is None
    response.body = b"x"
    assert (response.body, response.content_length) == (b"x", 1)
    response.body = None
    assert response.body is None
    with pytest.raises(TypeError, match="text must be str"):
        response.text = b"x"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="int"):
        response.body = 5


def test_text_of_what_was_bytes_is_plain_text() -> None:
    response = web.Response(body=b"x")
    response.text = "y"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    html = web.Response(text="x", content_type="text/html")
    html.text = "y"
    assert html.headers["Content-Type"] == "text/html; charset=utf-8"


# Content-Length and chunks.


def test_content_length() -> None:
    response = web.StreamResponse()
    assert response.content_length is None
    response.content_length = 5
    assert response.headers["Content-Length"] == "5"
    with pytest.raises(RuntimeError, match="Content-Length"):
        response.enable_chunked_encoding()
    response.content_length = None
    assert "Content-Length" not in response.headers
    assert not response.chunked
    response.enable_chunked_encoding()
    assert response.chunked
    with pytest.raises(RuntimeError, match="chunks"):
        response.content_length = 5
    whole = web.Response(body=b"abc")
    assert whole.content_length == 3
    with pytest.raises(RuntimeError, match="decides"):
        whole.content_length = 3
    whole.enable_chunked_encoding()
    assert whole.content_length is None


# Last-Modified and ETag.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784111776.2, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (datetime(1994, 11, 6, 8, 49, 36, 1, UTC), "Sun, 06 Nov 1994 08:49:37 GMT"),
        (datetime(1994, 11, 6, 8, 49, 37), "Sun, 06 Nov 1994 08:49:37 GMT"),
        (
            datetime(1994, 11, 6, 10, 49, 37, tzinfo=timezone(timedelta(hours=2))),
            "Sun, 06 Nov 1994 08:49:37 GMT",
        ),
        ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ],
)
def test_last_modified(value: Any, text: str) -> None:
    response = web.StreamResponse()
    assert response.last_modified is None
    response.last_modified = value
    assert response.headers["Last-Modified"] == text
    moment = response.last_modified
    assert moment is not None
    assert moment.tzinfo is UTC
    response.last_modified = None
    assert "Last-Modified" not in response.headers


@pytest.mark.parametrize("value", [b"x", True, []])
def test_last_modified_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="last_modified"):
        web.StreamResponse().last_modified = value


@pytest.mark.parametrize(
    ("value", "text"),
    [("x", '"x"'), (ETag("x", is_weak=True), 'W/"x"'), ("*", "*"), (ETag("*"), "*")],
)
def test_etag(value: Any, text: str) -> None:
    response = web.StreamResponse()
    assert response.etag is None
    response.etag = value
    assert response.headers["ETag"] == text
    assert str(response.etag) == text
    response.etag = None
    assert "ETag" not in response.headers


@pytest.mark.parametrize("value", ['"', "\n", 5, b"x"])
def test_etag_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        web.StreamResponse().etag = value


@pytest.mark.parametrize("reason", ["a\r\nSet-Cookie: x", "a\nb", "\r"])
def test_reason_with_a_line_end_is_refused(reason: str) -> None:
    with pytest.raises(ValueError, match="line end"):
        web.Response(reason=reason)
    with pytest.raises(ValueError, match="line end"):
        web.StreamResponse(reason=reason)
    response = web.Response()
    with pytest.raises(ValueError, match="line end"):
        response.set_status(400, reason)
    assert response.status == 200


# Cookies.


async def test_cookies_are_sent(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        response = web.Response(text="x")
        response.set_cookie("plain", "1")
        response.set_cookie(
            "all",
            'a b;"c',
            expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
            domain="Example.com",
            max_age=3600,
            path="/p",
            secure=True,
            httponly=True,
            samesite="lax",
            partitioned=True,
        )
        response.set_cookie("text", "x", expires="Wed, 02 Jan 2030 03:04:05 GMT", path=None)
        response.set_cookie("twice", "1", secure=True)
        response.set_cookie("twice", "2")
        response.del_cookie("gone", domain="example.com", samesite="Strict", secure=True)
        response.cookies["by hand"[:2]] = "x"
        return response

    async with serve(handler) as origin:
        answer = await origin.ask(GET)
    assert answer.headers.getall("Set-Cookie") == [
        "plain=1; Path=/",
        (
            'all="a b\\073\\"c"; Domain=Example.com; Path=/p;'
            " Expires=Wed, 02 Jan 2030 03:04:05 GMT;"
            " Max-Age=3600; SameSite=Lax; Secure; HttpOnly; Partitioned"
        ),
        "text=x; Expires=Wed, 02 Jan 2030 03:04:05 GMT",
        "twice=2; Path=/",
        (
            "gone=; Domain=example.com; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0;"
            " SameSite=Strict; Secure"
        ),
        "by=x",
    ]


@pytest.mark.parametrize(
    "attributes",
    [
        {"name": "a b"},
        {"name": ""},
        {"name": "a;b"},
        {"value": "\u20ac"},
        {"domain": "a.b; Secure"},
        {"path": "/; HttpOnly"},
        {"path": "/\r\nX: y"},
        {"expires": "now"},
        {"max_age": "60; Secure"},
        {"samesite": "Lax; Secure"},
        {"samesite": "sometimes"},
    ],
)
def test_cookie_that_would_break_out_is_refused(attributes: dict[str, Any]) -> None:
    """Attributes were written as they came (CVE-2026-35536 and its kin)."""
    response = web.Response()
    arguments = {"name": "a", "value": "b"} | attributes
    with pytest.raises(ValueError, match=r"."):
        response.set_cookie(**arguments)
    assert list(response.cookies) == []


async def test_cookie_that_was_made_by_hand_is_checked_when_it_is_sent(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.Response:
        response = web.Response()
        response.cookies["a"] = "b"
        response.cookies["a"]["path"] = "/; HttpOnly"
        return response

    async with serve(handler) as origin:
        answer = await origin.ask(GET)
    assert answer.status == 500
    assert "HttpOnly" not in answer.headers
    assert caplog.records


async def test_cookies_of_an_exception_are_sent(serve: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        error = web.HTTPNotFound()
        error.set_cookie("a", "b")
        raise error

    async with serve(handler) as origin:
        answer = await origin.ask(GET)
    assert answer.headers.getall("Set-Cookie") == ["a=b; Path=/"]
