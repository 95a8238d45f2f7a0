from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from httpcore_proto import (
    NEED_DATA,
    PAUSED,
    ClientConnection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    HeaderBlock,
    HttpVersion10,
    HttpVersion11,
    InformationalResponse,
    NeedData,
    Paused,
    Request,
    Response,
    ServerConnection,
)


def received_request(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> Request:
    server = ServerConnection()
    server.receive_data(b"\r\n".join((start, b"Host: a", *lines, b"", b"")))
    event = server.next_event()
    assert isinstance(event, Request)
    return event


def received_response(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> Response:
    client = ClientConnection()
    client.send_message(Request(method="GET", target="/"))
    client.receive_data(b"\r\n".join((start, *lines, b"", b"")))
    event = client.next_event()
    assert isinstance(event, Response)
    return event


def test_given_request() -> None:
    block = HeaderBlock([("A", "b")])
    request = Request(method="GET", target="/x?y", headers=[("Host", "a")], preset=block)
    assert (request.method, request.target, request.raw_target) == ("GET", "/x?y", b"/x?y")
    assert request.http_version == HttpVersion11
    assert request.preset is block
    assert request.headers == CIMultiDict({"host": "a"})
    assert request.raw_headers == ((b"Host", b"a"),)
    assert request.content_length is None
    assert request.is_origin_form
    assert request.keep_alive
    assert not request.chunked
    assert not request.upgrade
    assert not request.has_expect
    assert not request.expects_continue
    assert not request.has_content_encoding
    assert repr(request) == "<Request GET '/x?y'>"


def test_given_request_of_http_1_0() -> None:
    request = Request(method="GET", target="*", http_version=HttpVersion10)
    assert request.http_version == HttpVersion10
    assert not request.keep_alive
    assert not request.is_origin_form
    assert len(request.headers) == 0


def test_received_request() -> None:
    request = received_request(
        b"X-a: 1", b"x-A: \xc3\xa4\xff", b"Content-Length: 3", start=b"POST /%2f HTTP/1.1"
    )
    assert (request.method, request.target, request.raw_target) == ("POST", "/%2f", b"/%2f")
    assert isinstance(request.headers, CIMultiDictProxy)
    assert request.headers is request.headers
    assert request.headers.getall("x-a") == ["1", "ä\udcff"]
    assert request.raw_headers == (
        (b"Host", b"a"),
        (b"X-a", b"1"),
        (b"x-A", b"\xc3\xa4\xff"),
        (b"Content-Length", b"3"),
    )
    assert request.content_length == 3
    assert request.preset is None
    assert request.is_origin_form


def test_received_request_that_is_not_in_origin_form() -> None:
    assert not received_request(start=b"GET http://a/ HTTP/1.1").is_origin_form
    assert not received_request(start=b"OPTIONS * HTTP/1.1").is_origin_form


@pytest.mark.parametrize(
    ("line", "has_expect", "expects_continue"),
    [
        (b"Expect: 100-continue", True, True),
        (b"expect: 100-CONTINUE", True, True),
        (b"Expect: 100-continued", True, False),
        (b"Expect: ", True, False),
        (b"X-Expect: 100-continue", False, False),
    ],
)
def test_expectation(line: bytes, has_expect: bool, expects_continue: bool) -> None:
    request = received_request(line)
    assert request.has_expect is has_expect
    assert request.expects_continue is expects_continue


def test_expectation_of_http_1_0_is_not_meant() -> None:
    request = received_request(b"Expect: 100-continue", start=b"GET / HTTP/1.0")
    assert not request.has_expect
    assert not request.expects_continue


def test_received_request_tells_of_a_content_encoding() -> None:
    assert received_request(b"content-ENCODING: gzip").has_content_encoding
    assert not received_request(b"Content-Encodings: gzip").has_content_encoding


def test_given_response() -> None:
    response = Response(status=404)
    assert (response.status, response.reason) == (404, "Not Found")
    assert response.http_version == HttpVersion11
    assert len(response.headers) == 0
    assert response.raw_headers == ()
    assert response.content_length is None
    assert not response.has_set_cookie
    assert repr(response) == "<Response 404 Not Found>"
    assert repr(InformationalResponse(status=103)) == "<InformationalResponse 103 Early Hints>"


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [(200, None, "OK"), (299, None, ""), (200, "", ""), (200, "Fine", "Fine")],
)
def test_reason_is_the_standard_one_unless_given(
    status: int, reason: str | None, expected: str
) -> None:
    response = Response(status=status, reason=reason)
    assert response.reason == expected
    assert response.reason == expected


def test_received_response() -> None:
    response = received_response(
        b"Set-Cookie: a",
        b"set-cookie: b",
        b"Content-Encoding: br",
        start=b"HTTP/1.0 200 \xc3\xa4\xff",
    )
    assert response.status == 200
    assert response.reason == "ä\udcff"
    assert response.http_version == HttpVersion10
    assert response.headers.getall("Set-Cookie") == ["a", "b"]
    assert response.has_set_cookie
    assert response.has_content_encoding
    assert not response.keep_alive


def test_received_response_without_a_reason_has_none() -> None:
    response = received_response(start=b"HTTP/1.1 404")
    assert response.reason == ""
    assert not response.has_set_cookie
    assert response.raw_headers == ()
    assert len(response.headers) == 0


def test_headers_are_read_only() -> None:
    headers = received_request().headers
    assert not hasattr(headers, "add")


def test_headers_may_be_given_as_a_mapping_pairs_or_multidict() -> None:
    for headers in ({"A": "b"}, [("A", "b")], CIMultiDict({"A": "b"}), iter([("A", "b")])):
        assert Response(status=200, headers=headers).raw_headers == ((b"A", b"b"),)


def test_raw_headers_that_no_octets_stand_for() -> None:
    with pytest.raises(UnicodeEncodeError):
        _ = Response(status=200, headers=[("A", "\ud800")]).raw_headers


def test_data() -> None:
    assert Data(b"ab").data == b"ab"
    assert Data(b"ab").chunk_ends == ()
    assert Data(b"ab", (1, 2)).chunk_ends == (1, 2)
    assert repr(Data(b"ab")) == "<Data 2 bytes>"


def test_end_of_message() -> None:
    assert len(EndOfMessage().trailers) == 0
    assert EndOfMessage([("A", "b"), ("a", "c")]).trailers.getall("a") == ["b", "c"]
    assert EndOfMessage({"A": "b"}).trailers["a"] == "b"
    assert repr(EndOfMessage()) == "<EndOfMessage>"


def test_received_trailers_are_not_merged_into_the_headers() -> None:
    server = ServerConnection()
    server.receive_data(
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\nA: \xff\r\nA: b\r\n\r\n"
    )
    request = server.next_event()
    end = server.next_event()
    assert isinstance(request, Request)
    assert isinstance(end, EndOfMessage)
    assert end.trailers.getall("a") == ["\udcff", "b"]
    assert "A" not in request.headers


def test_sentinels() -> None:
    assert repr(NEED_DATA) == "NEED_DATA"
    assert repr(PAUSED) == "PAUSED"
    assert list(NeedData) == [NEED_DATA]
    assert list(Paused) == [PAUSED]
    assert repr(ConnectionClosed()) == "<ConnectionClosed>"


@pytest.mark.parametrize(
    "event",
    [
        Request(method="GET", target="/"),
        Response(status=200),
        InformationalResponse(status=100),
        Data(b""),
        EndOfMessage(),
        ConnectionClosed(),
    ],
)
def test_events_have_slots(event: object) -> None:
    assert not hasattr(event, "__dict__")
