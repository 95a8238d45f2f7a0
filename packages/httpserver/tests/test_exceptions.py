from __future__ import annotations

import pytest

import httpserver as web


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (web.HTTPBadRequest, 400),
        (web.HTTPNotFound, 404),
        (web.HTTPExpectationFailed, 417),
        (web.HTTPInternalServerError, 500),
    ],
)
def test_exception_is_a_response(error: type[web.HTTPException], status: int) -> None:
    exc = error()

    assert isinstance(exc, web.Response)
    assert isinstance(exc, web.HTTPError)
    assert isinstance(exc, web.HTTPClientError) == (status < 500)
    assert isinstance(exc, web.HTTPServerError) == (status >= 500)
    assert exc.status == exc.status_code == status
    assert exc.text == f"{status}: {exc.reason}"
    assert str(exc) == exc.reason
    assert exc.content_type == "text/plain"


def test_exception_text_and_reason_of_ones_own() -> None:
    exc = web.HTTPBadRequest(reason="Bad Luck")
    assert (exc.reason, exc.text) == ("Bad Luck", "400: Bad Luck")

    exc = web.HTTPBadRequest(text="<p>", content_type="text/html", headers={"X": "1"})
    assert (exc.text, exc.content_type, exc.headers["X"]) == ("<p>", "text/html", "1")

    exc = web.HTTPBadRequest(body=b"\0")
    assert (exc.body, exc.content_type) == (b"\0", "application/octet-stream")


def test_method_not_allowed_sorts_what_is_allowed() -> None:
    exc = web.HTTPMethodNotAllowed("PUT", ["POST", "GET", "POST"])

    assert exc.method == "PUT"
    assert exc.allowed_methods == {"GET", "POST"}
    assert exc.headers["Allow"] == "GET,POST"
    assert exc.text == "405: Method Not Allowed"


def test_request_entity_too_large_tells_sizes() -> None:
    exc = web.HTTPRequestEntityTooLarge(1, 2)
    assert exc.text == "Maximum request body size 1 exceeded, actual body size 2"

    assert web.HTTPRequestEntityTooLarge(1, 2, text="too much").text == "too much"
