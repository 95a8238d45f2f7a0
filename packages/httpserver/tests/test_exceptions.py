from __future__ import annotations

import http
from typing import Any

import pytest
from yarl import URL

import httpserver as web

_GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

# Every class, its status, and the base that a program catches it by.
_CLASSES: list[tuple[type[web.HTTPException], int, type[web.HTTPException]]] = [
    (web.HTTPOk, 200, web.HTTPSuccessful),
    (web.HTTPCreated, 201, web.HTTPSuccessful),
    (web.HTTPAccepted, 202, web.HTTPSuccessful),
    (web.HTTPNonAuthoritativeInformation, 203, web.HTTPSuccessful),
    (web.HTTPNoContent, 204, web.HTTPSuccessful),
    (web.HTTPResetContent, 205, web.HTTPSuccessful),
    (web.HTTPPartialContent, 206, web.HTTPSuccessful),
    (web.HTTPNotModified, 304, web.HTTPRedirection),
    (web.HTTPBadRequest, 400, web.HTTPClientError),
    (web.HTTPUnauthorized, 401, web.HTTPClientError),
    (web.HTTPPaymentRequired, 402, web.HTTPClientError),
    (web.HTTPForbidden, 403, web.HTTPClientError),
    (web.HTTPNotFound, 404, web.HTTPClientError),
    (web.HTTPNotAcceptable, 406, web.HTTPClientError),
    (web.HTTPProxyAuthenticationRequired, 407, web.HTTPClientError),
    (web.HTTPRequestTimeout, 408, web.HTTPClientError),
    (web.HTTPConflict, 409, web.HTTPClientError),
    (web.HTTPGone, 410, web.HTTPClientError),
    (web.HTTPLengthRequired, 411, web.HTTPClientError),
    (web.HTTPPreconditionFailed, 412, web.HTTPClientError),
    (web.HTTPRequestURITooLong, 414, web.HTTPClientError),
    (web.HTTPUnsupportedMediaType, 415, web.HTTPClientError),
    (web.HTTPRequestRangeNotSatisfiable, 416, web.HTTPClientError),
    (web.HTTPExpectationFailed, 417, web.HTTPClientError),
    (web.HTTPMisdirectedRequest, 421, web.HTTPClientError),
    (web.HTTPUnprocessableEntity, 422, web.HTTPClientError),
    (web.HTTPFailedDependency, 424, web.HTTPClientError),
    (web.HTTPUpgradeRequired, 426, web.HTTPClientError),
    (web.HTTPPreconditionRequired, 428, web.HTTPClientError),
    (web.HTTPTooManyRequests, 429, web.HTTPClientError),
    (web.HTTPRequestHeaderFieldsTooLarge, 431, web.HTTPClientError),
    (web.HTTPInternalServerError, 500, web.HTTPServerError),
    (web.HTTPNotImplemented, 501, web.HTTPServerError),
    (web.HTTPBadGateway, 502, web.HTTPServerError),
    (web.HTTPServiceUnavailable, 503, web.HTTPServerError),
    (web.HTTPGatewayTimeout, 504, web.HTTPServerError),
    (web.HTTPVersionNotSupported, 505, web.HTTPServerError),
    (web.HTTPVariantAlsoNegotiates, 506, web.HTTPServerError),
    (web.HTTPInsufficientStorage, 507, web.HTTPServerError),
    (web.HTTPNotExtended, 510, web.HTTPServerError),
    (web.HTTPNetworkAuthenticationRequired, 511, web.HTTPServerError),
]
_MOVES: list[tuple[type[web.HTTPMove], int]] = [
    (web.HTTPMultipleChoices, 300),
    (web.HTTPMovedPermanently, 301),
    (web.HTTPFound, 302),
    (web.HTTPSeeOther, 303),
    (web.HTTPUseProxy, 305),
    (web.HTTPTemporaryRedirect, 307),
    (web.HTTPPermanentRedirect, 308),
]
_SPECIAL: list[web.HTTPException] = [
    web.HTTPMethodNotAllowed("PUT", ["GET"]),
    web.HTTPRequestEntityTooLarge(1, 2),
    web.HTTPUnavailableForLegalReasons("http://a/"),
    *(move("/there") for move, _ in _MOVES),
]


@pytest.mark.parametrize(("error", "status", "base"), _CLASSES)
def test_exception_is_a_response(
    error: type[web.HTTPException], status: int, base: type[web.HTTPException]
) -> None:
    exc = error()

    assert isinstance(exc, web.Response)
    assert isinstance(exc, base)
    assert isinstance(exc, web.HTTPError) == (status >= 400)
    assert exc.status == exc.status_code == status
    assert str(exc) == exc.reason == http.HTTPStatus(status).phrase
    if status in (204, 205, 304):
        assert exc.empty_body
        assert (exc.body, exc.text) == (None, None)
    else:
        assert exc.text == f"{status}: {exc.reason}"
        assert exc.content_type == "text/plain"


def test_every_exception_class_is_public() -> None:
    tabled = {error for error, _, _ in _CLASSES} | {type(exc) for exc in _SPECIAL}
    bases = {base for cls in tabled for base in cls.__mro__ if issubclass(base, web.HTTPException)}
    public = {
        value
        for name in web.__all__
        if isinstance(value := getattr(web, name), type) and issubclass(value, web.HTTPException)
    }

    assert public == tabled | bases


def test_text_reason_headers_and_type_of_ones_own() -> None:
    exc = web.HTTPBadRequest(reason="Bad Luck")
    assert (exc.reason, exc.text, str(exc)) == ("Bad Luck", "400: Bad Luck", "Bad Luck")

    exc = web.HTTPBadRequest(reason="")
    assert (exc.reason, exc.text) == ("", "400: ")

    exc = web.HTTPBadRequest(text="<p>", content_type="text/html", headers={"X": "1"})
    assert (exc.text, exc.content_type, exc.headers["X"]) == ("<p>", "text/html", "1")

    assert web.HTTPBadRequest(text="").text == ""
    assert web.HTTPNotModified(headers={"ETag": '"a"'}).headers["ETag"] == '"a"'


def test_body_is_no_argument() -> None:
    with pytest.raises(TypeError, match="body"):
        web.HTTPBadRequest(body=b"")  # type: ignore[call-arg]


@pytest.mark.parametrize("reason", ["a\r\nX: 1", "a\nb", "a\rb"])
def test_reason_cannot_inject_fields(reason: str) -> None:
    with pytest.raises(ValueError, match="reason"):
        web.HTTPBadRequest(reason=reason)


def test_class_of_ones_own() -> None:
    class Teapot(web.HTTPClientError):
        status_code = 418

    class Odd(web.HTTPClientError):
        status_code = 499

    class Quiet(web.HTTPServerError):
        status_code = 599
        empty_body = True

    assert Teapot().text == "418: I'm a Teapot"
    assert (Odd().text, Odd().reason) == ("499: ", "")
    assert Quiet().body is None


@pytest.mark.parametrize(("move", "status"), _MOVES)
def test_move_has_a_location(move: type[web.HTTPMove], status: int) -> None:
    exc = move("/ä b?c=d", headers={"X": "1"})

    assert isinstance(exc, web.HTTPRedirection)
    assert exc.status == status
    assert exc.text == f"{status}: {http.HTTPStatus(status).phrase}"
    assert exc.location == URL("/ä b?c=d")
    assert exc.headers["Location"] == "/%C3%A4%20b?c=d"
    assert exc.headers["X"] == "1"
    assert move(URL("https://example.com/x")).headers["Location"] == "https://example.com/x"


@pytest.mark.parametrize(
    "location", ["", URL(""), "/a\r\nSet-Cookie: b=c", "/a\nb", "\t/a", "/\0", "http://[::1"]
)
def test_location_that_is_none(location: str | URL) -> None:
    with pytest.raises(ValueError, match=r"empty|control character|IPv6"):
        web.HTTPFound(location)


def test_location_of_another_type() -> None:
    with pytest.raises(TypeError):
        web.HTTPFound(b"/a")  # type: ignore[arg-type]


def test_method_not_allowed_sorts_what_is_allowed() -> None:
    exc = web.HTTPMethodNotAllowed("PUT", ["POST", "GET", "POST"], reason="No", headers={"X": "1"})

    assert exc.method == "PUT"
    assert exc.allowed_methods == {"GET", "POST"}
    assert exc.headers["Allow"] == "GET,POST"
    assert exc.headers["X"] == "1"
    assert exc.text == "405: No"


def test_request_entity_too_large_tells_sizes() -> None:
    exc = web.HTTPRequestEntityTooLarge(1)
    assert exc.text == "Maximum request body size 1 exceeded."

    exc = web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2)
    assert exc.text == "Maximum request body size 1 exceeded, actual body size 2"

    assert web.HTTPRequestEntityTooLarge(1, 2, text="too much").text == "too much"


def test_unavailable_for_legal_reasons_names_who_demanded_it() -> None:
    exc = web.HTTPUnavailableForLegalReasons("http://a/<b>")
    assert exc.link == URL("http://a/<b>")
    assert exc.headers["Link"] == '<http://a/%3Cb%3E>; rel="blocked-by"'
    assert exc.status == 451

    nobody = web.HTTPUnavailableForLegalReasons(None)
    assert nobody.link is None
    assert "Link" not in nobody.headers

    with pytest.raises(ValueError, match="control character"):
        web.HTTPUnavailableForLegalReasons("http://a/\r\nX: 1")


@pytest.mark.parametrize("returned", [False, True])
async def test_exception_is_sent(serve: Any, returned: bool) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        exc = web.HTTPFound("/there", reason="Over There", text="see there")
        if returned:
            return exc
        raise exc

    async with serve(handler) as origin:
        answer = await origin.ask(_GET)

    assert answer.status_line == "HTTP/1.1 302 Over There"
    assert answer.headers["Location"] == "/there"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text == "see there"


@pytest.mark.parametrize("error", [web.HTTPNoContent, web.HTTPNotModified])
async def test_exception_without_body_keeps_the_connection(
    serve: Any, error: type[web.HTTPException]
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/":
            raise error
        return web.Response(text="next")

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(_GET)
        answer = await peer.answer(bodiless=True)
        await peer.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        following = await peer.answer()

    assert answer.status == error.status_code
    assert "Content-Length" not in answer.headers
    assert following.text == "next"
