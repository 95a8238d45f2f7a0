"""What stands in a request's head, and what a body may be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from multidict import CIMultiDict

from httpclient._request import HeaderDefaults, OutgoingRequest, encode_body
from httpclient._url import destination
from httpcore_proto import SERVER_SOFTWARE, ClientConnection, HeadersLike

TO = destination("http://h:81/p")


def make(
    method: str = "GET",
    *,
    session: HeadersLike | None = None,
    session_skip: tuple[str, ...] = (),
    headers: HeadersLike | None = None,
    data: Any = None,
    content_type: str | None = None,
    chunked: bool | None = None,
    skip: tuple[str, ...] | None = None,
    close: bool = False,
) -> OutgoingRequest:
    """Compose a request with the defaults of a session."""
    body, stream, own_type = encode_body(data)
    return HeaderDefaults(session, session_skip).request(
        method,
        TO,
        headers=headers,
        body=body,
        stream=stream,
        content_type=content_type or own_type,
        chunked=chunked,
        skip=skip,
        close=close,
    )


def lines(request: OutgoingRequest) -> list[str]:
    """Return the head's lines as they are sent."""
    data = ClientConnection().send_message(request.head, request.body)
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


@pytest.mark.parametrize("data", [{"a": 1}, [("a", "b")], 5, iter([b"x"]), object()])
def test_body_of_other_type_is_refused(data: Any) -> None:
    with pytest.raises(TypeError, match=r"data must be bytes.*not"):
        encode_body(data)


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
    if not in_session:
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
    defaults = HeaderDefaults({"X-A": "1"}, None)

    def head() -> list[str]:
        return lines(
            defaults.request(
                "GET",
                TO,
                headers=None,
                body=b"",
                stream=None,
                content_type=None,
                chunked=None,
                skip=None,
                close=False,
            )
        )

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
