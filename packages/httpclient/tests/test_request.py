"""What stands in a request's head, and what a body may be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from multidict import CIMultiDict, istr

from httpclient._request import HeaderDefaults, OutgoingRequest
from httpclient._request_body import encode_body
from httpclient._url import Destination, destination
from httpcore_proto import (
    SERVER_SOFTWARE,
    ClientConnection,
    HeadersLike,
    HttpVersion,
    HttpVersion10,
    supported_codings,
)
from httpcore_proto.aio import BytesPayload, MultipartWriter

TO = destination("http://h:81/p")


def make(
    method: str = "GET",
    *,
    session: HeadersLike | None = None,
    session_skip: tuple[str, ...] = (),
    data: Any = None,
    to: Destination = TO,
    **options: Any,
) -> OutgoingRequest:
    """Compose a request with the defaults of a session."""
    body, payload, content_type = encode_body(data)
    return HeaderDefaults(session, session_skip, auto_decompress=False).request(
        method, to, body=body, payload=payload, content_type=content_type, **options
    )


def lines(request: OutgoingRequest) -> list[str]:
    """Return the head's lines as they are sent."""
    machine = ClientConnection()
    if request.whole:
        data = machine.send_message(request.head, request.body)
    else:
        data = machine.send(request.head)
    head = data.partition(b"\r\n\r\n")[0].decode()
    return head.split("\r\n")


AGENT = f"User-Agent: {SERVER_SOFTWARE}"


def test_plain_get_has_host_first_and_no_framing() -> None:
    assert lines(make()) == ["GET /p HTTP/1.1", "Host: h:81", "Accept: */*", AGENT]


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("HEAD", []),
        ("OPTIONS", []),
        ("DELETE", ["Content-Length: 0"]),
        ("CUSTOM", ["Content-Length: 0"]),
        ("POST", ["Content-Type: application/octet-stream", "Content-Length: 0"]),
    ],
)
def test_request_without_body_says_so_where_one_is_usual(method: str, more: list[str]) -> None:
    assert lines(make(method))[4:] == more


@pytest.mark.parametrize(
    ("data", "more"),
    [
        (b"abc", ["Content-Type: application/octet-stream", "Content-Length: 3"]),
        (bytearray(b"abc"), ["Content-Type: application/octet-stream", "Content-Length: 3"]),
        (memoryview(b"abc"), ["Content-Type: application/octet-stream", "Content-Length: 3"]),
        ("ü", ["Content-Type: text/plain; charset=utf-8", "Content-Length: 2"]),
    ],
)
def test_body_brings_type_and_length(data: Any, more: list[str]) -> None:
    assert lines(make("POST", data=data))[4:] == more


def test_session_headers_are_sent_and_replace_generated_ones() -> None:
    session = {"user-agent": "me", "X-A": "1", "Content-Type": "text/x"}
    assert lines(make("POST", session=session, data=b"a")) == [
        "POST /p HTTP/1.1",
        "Host: h:81",
        "Accept: */*",
        "user-agent: me",
        "X-A: 1",
        "Content-Type: text/x",
        "Content-Length: 1",
    ]


def test_request_headers_replace_those_of_the_session_by_name() -> None:
    session = CIMultiDict([("X-A", "1"), ("X-A", "2"), ("X-B", "3")])
    headers = [("x-a", "own"), ("X-C", "4"), ("X-C", "5"), ("accept", "text/html")]
    assert lines(make(session=session, headers=headers)) == [
        "GET /p HTTP/1.1",
        "Host: h:81",
        AGENT,
        "X-B: 3",
        "x-a: own",
        "X-C: 4",
        "X-C: 5",
        "accept: text/html",
    ]


@pytest.mark.parametrize("in_session", [True, False])
def test_host_of_the_user_replaces_ours_and_is_first(in_session: bool) -> None:
    host = {"X-A": "1", "Host": "other"}
    request = make(session=host) if in_session else make(headers=host)
    assert sorted(lines(request)[1:]) == sorted(["Host: other", "Accept: */*", AGENT, "X-A: 1"])
    assert lines(request)[1] == "Host: other"


@pytest.mark.parametrize("in_session", [True, False])
def test_generated_headers_can_be_skipped(in_session: bool) -> None:
    skip = ("user-agent", "CONTENT-TYPE")
    request = (
        make("POST", session_skip=skip, data=b"a")
        if in_session
        else make("POST", skip=skip, data=b"a")
    )
    assert lines(request)[1:] == ["Host: h:81", "Accept: */*", "Content-Length: 1"]


def test_skip_does_not_touch_what_the_user_set() -> None:
    request = make(session={"Accept": "a"}, skip=("Accept", "User-Agent"), headers={"X": "1"})
    assert lines(request)[1:] == ["Host: h:81", "Accept: a", "X: 1"]


def test_change_of_session_headers_takes_effect() -> None:
    defaults = HeaderDefaults({"X-A": "1"}, None, auto_decompress=False)

    def head() -> list[str]:
        return lines(defaults.request("GET", TO))

    assert "X-A: 1" in head()
    defaults.headers["X-A"] = "2"
    assert "X-A: 2" in head()
    del defaults.headers["X-A"]
    assert head() == lines(make())


def test_connection_header_of_the_session_is_kept() -> None:
    assert lines(make(session={"Connection": "close"}))[-1] == "Connection: close"
    assert lines(make(session={"Connection": "close"}, headers={"A": "1"}))[-2:] == [
        "A: 1",
        "Connection: close",
    ]


def test_close_is_announced_once() -> None:
    assert lines(make(close=True))[-1] == "Connection: close"
    assert (
        lines(make(close=True, headers={"Connection": "keep-alive"})).count("Connection: close")
        == 0
    )


def test_chunked_true_frames_a_body_and_nothing_else() -> None:
    assert lines(make("POST", data=b"abc", chunked=True))[-1] == "Transfer-Encoding: chunked"
    assert lines(make("GET", chunked=True)) == lines(make("GET"))
    assert lines(make("POST", chunked=True)) == lines(make("POST"))


@pytest.mark.parametrize("headers", [{"Content-Length": "3"}, {"transfer-encoding": "chunked"}])
def test_chunked_true_contradicts_framing_headers(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="chunked=True"):
        make("POST", data=b"abc", chunked=True, headers=headers)


async def stream() -> AsyncIterator[bytes]:
    """Give no body."""
    for piece in ():
        yield piece


def test_chunked_false_needs_a_length_for_a_stream() -> None:
    with pytest.raises(ValueError, match="chunked=False"):
        make("POST", data=stream(), chunked=False)
    request = make("POST", data=stream(), chunked=False, headers={"Content-Length": "0"})
    assert not request.replayable


def test_info_has_the_fields_that_were_sent() -> None:
    info = make("POST", data=b"abc", headers={"X-A": "1"}).info
    assert list(info.headers.items()) == [
        ("Host", "h:81"),
        ("Accept", "*/*"),
        ("User-Agent", SERVER_SOFTWARE),
        ("X-A", "1"),
        ("Content-Type", "application/octet-stream"),
        ("Content-Length", "3"),
    ]
    assert info.method == "POST"
    assert info.url == info.real_url == TO.url
    assert make(headers={"Host": "other"}).info.headers.getall("Host") == ["other"]


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({}, ", ".join(supported_codings())),
        ({"headers": {"accept-encoding": "identity"}}, "identity"),
        ({"skip": ("Accept-Encoding",)}, None),
    ],
)
def test_only_what_can_be_decoded_is_asked_for(options: Any, value: str | None) -> None:
    request = HeaderDefaults(None, None).request("GET", TO, **options)
    assert request.info.headers.get("Accept-Encoding") == value
    request = HeaderDefaults(None, None, auto_decompress=False).request("GET", TO)
    assert "Accept-Encoding" not in request.info.headers


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://[::1]:8080/", "[::1]:8080"),
        ("https://[::1]:443/", "[::1]"),
        ("http://b\u00fccher.example/", "xn--bcher-kva.example"),
        ("http://h:80/", "h"),
    ],
)
def test_host_is_in_brackets_and_has_its_port(url: str, host: str) -> None:
    assert lines(make(to=destination(url)))[1] == f"Host: {host}"


def test_names_may_be_istr() -> None:
    request = make(session={istr("x-a"): "1", istr("X-B"): "2"}, headers={istr("X-A"): "own"})
    assert [line for line in lines(request) if line.startswith(("X", "x"))] == [
        "X-B: 2",
        "X-A: own",
    ]


@pytest.mark.parametrize(
    ("session", "headers", "value"),
    [
        (None, None, "a=1"),
        ({"Cookie": "s=0"}, None, "s=0; a=1"),
        ({"Cookie": "s=0"}, {"X": "1"}, "s=0; a=1"),
        (None, {"cookie": "u=2"}, "u=2; a=1"),
        ({"Cookie": "s=0"}, [("cookie", "u=2"), ("Cookie", "v=3")], "u=2; v=3; a=1"),
    ],
)
def test_cookie_is_one_field(session: Any, headers: Any, value: str) -> None:
    request = make(session=session, headers=headers, cookie="a=1")
    cookies = [line for line in lines(request) if line.lower().startswith("cookie:")]
    assert cookies == [f"Cookie: {value}"]
    assert make(session=session).info.headers.get("Cookie") == (session or {}).get("Cookie")


DROPPED = frozenset({"authorization", "cookie", "host"})


def test_dropped_fields_are_not_sent_whoever_gave_them() -> None:
    """What a redirect to another origin drops must not come back from the session."""
    session = {"Authorization": "secret", "Host": "other", "X-A": "1"}
    headers = [("authorization", "own"), ("Cookie", "a=b"), ("X-B", "2")]
    assert lines(make(session=session, headers=headers, drop=DROPPED)) == [
        "GET /p HTTP/1.1",
        "Host: h:81",
        "Accept: */*",
        AGENT,
        "X-A: 1",
        "X-B: 2",
    ]
    assert "Cookie: jar" in lines(make(session=session, drop=DROPPED, cookie="jar"))


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({}, ["Connection: keep-alive"]),
        ({"close": True}, ["Connection: close"]),
        ({"headers": {"Connection": "close"}}, ["Connection: close"]),
        ({"data": b"x", "chunked": None}, ["Content-Length: 1", "Connection: keep-alive"]),
        ({"data": b"x", "expect100": True}, ["Content-Length: 1", "Connection: keep-alive"]),
        (
            {"data": b"x", "headers": {"Expect": "100-continue"}},
            ["Content-Length: 1", "Connection: keep-alive"],
        ),
    ],
)
def test_http10_asks_to_keep_the_connection(options: Any, more: list[str]) -> None:
    request = make("PUT" if "data" in options else "GET", version=HttpVersion10, **options)
    head = lines(request)
    assert head[0].endswith(" HTTP/1.0")
    assert [line for line in head if line.startswith(("Con", "Ex"))] == (
        ["Content-Type: application/octet-stream", *more] if "data" in options else more
    )
    assert not request.expects_continue


@pytest.mark.parametrize("options", [{"chunked": True}, {"compress": True}])
def test_http10_has_no_chunks(options: Any) -> None:
    with pytest.raises(ValueError, match=r"HTTP/1\.0"):
        make("PUT", data=b"x", version=HttpVersion10, **options)


def test_other_versions_are_refused() -> None:
    with pytest.raises(ValueError, match="version="):
        make(version=HttpVersion(2, 0))


@pytest.mark.parametrize(
    ("compress", "coding"),
    [(True, "deflate"), ("deflate", "deflate"), *((name, name) for name in supported_codings())],
)
def test_compress_names_the_coding_and_sends_in_chunks(compress: Any, coding: str) -> None:
    request = make("POST", data=b"abc", compress=compress)
    assert lines(request)[5:] == [f"Content-Encoding: {coding}", "Transfer-Encoding: chunked"]
    assert request.coding == coding
    assert request.size is None


@pytest.mark.parametrize("data", [b"", None, ""])
def test_compress_is_ignored_without_a_body(data: Any) -> None:
    assert lines(make("PUT", data=data, compress="gzip")) == lines(make("PUT", data=data))


@pytest.mark.parametrize(
    ("compress", "options", "message"),
    [
        ("snappy", {}, "compress='snappy'"),
        ("GZIP", {}, "compress='GZIP'"),
        (True, {"headers": {"content-encoding": "gzip"}}, "Content-Encoding"),
        (True, {"session": {"Content-Encoding": "gzip"}}, "Content-Encoding"),
        (True, {"headers": {"Content-Length": "3"}}, "Content-Length"),
        (True, {"chunked": False}, "chunked=False"),
    ],
)
def test_compress_that_cannot_be(compress: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("POST", data=b"abc", compress=compress, **options)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("in_session", [True, False])
def test_no_body_has_neither_framing_nor_expectation(method: str, in_session: bool) -> None:
    given = {"Transfer-Encoding": "chunked", "Expect": "100-Continue", "X": "1"}
    request = make(method, **{"session" if in_session else "headers": given}, expect100=True)
    assert lines(request) == lines(
        make(method, **{"session" if in_session else "headers": {"X": "1"}})
    )
    assert request.whole
    assert "Expect: other" in lines(make(method, headers={"Expect": "other"}))


@pytest.mark.parametrize(
    "options",
    [
        {"expect100": True},
        {"headers": {"expect": "100-continue"}},
        {"headers": {"Expect": "100-CONTINUE"}, "expect100": True},
        {"session": {"Expect": "100-continue"}},
    ],
)
def test_expectation_is_sent_once_and_with_the_length(options: Any) -> None:
    request = make("POST", data=b"abc", **options)
    head = [line.lower() for line in lines(request)]
    assert head.count("expect: 100-continue") == 1
    assert head.count("content-length: 3") == 1
    assert request.expects_continue
    assert not request.whole


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Content-Length": "4"}, "3 bytes"),
        ({"Content-Length": "3x"}, "3 bytes"),
        ({"Content-Length": "\u0663"}, "3 bytes"),
        ({"Content-Length": "9" * 5000}, "3 bytes"),
        ({"Content-Length": "3", "Transfer-Encoding": "chunked"}, "not both"),
    ],
)
@pytest.mark.parametrize("payload", [False, True])
def test_framing_of_the_user_must_fit(headers: Any, message: str, payload: bool) -> None:
    data: Any = BytesPayload(b"abc") if payload else b"abc"
    with pytest.raises(ValueError, match=message):
        make("POST", data=data, headers=headers)


@pytest.mark.parametrize("payload", [False, True])
def test_framing_of_the_user_is_taken(payload: bool) -> None:
    data: Any = BytesPayload(b"abc") if payload else b"abc"
    for name, value in (("Content-Length", "3"), ("Transfer-Encoding", "chunked")):
        head = lines(make("POST", data=data, headers={name.lower(): value}))
        assert head[-1] == f"{name}: {value}"
        assert sum(line.startswith(("Content-L", "Transfer")) for line in head) == 1
    with pytest.raises(ValueError, match="chunked=False"):
        make("POST", data=data, headers={"Transfer-Encoding": "chunked"}, chunked=False)


def test_fields_of_a_payload_go_with_it_unless_given() -> None:
    headers = {
        "Content-Type": "image/png",
        "Content-Language": "de",
        "Content-Length": "99",
        "Content-Transfer-Encoding": "base64",
        "X-A": "payload",
        "X-B": "payload",
    }
    request = make(
        "POST",
        session={"X-A": "session"},
        data=BytesPayload(b"abc", headers=headers),
        skip=("x-b",),
    )
    assert lines(request)[4:] == [
        "X-A: session",
        "Content-Type: image/png",
        "Content-Language: de",
        "Content-Length: 3",
    ]
    request = make("POST", data=BytesPayload(b"abc"), headers={"content-type": "x/y"})
    assert [line for line in lines(request) if "ype" in line] == ["content-type: x/y"]


def test_multipart_of_known_size_has_its_length() -> None:
    writer = MultipartWriter()
    writer.append("text")
    request = make("POST", data=writer)
    assert f"Content-Length: {writer.size}" in lines(request)
    assert f"Content-Type: {writer.content_type}" in lines(request)
    assert request.size == writer.size
    writer.append("text", {"Content-Encoding": "gzip"})
    assert lines(make("POST", data=writer))[-1] == "Transfer-Encoding: chunked"


@pytest.mark.parametrize("name", ["X\r\nY", "X Y", "X:", "", "Coo\u212aie"])
def test_field_that_is_no_field_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="token"):
        lines(make(headers={name: "1"}))
