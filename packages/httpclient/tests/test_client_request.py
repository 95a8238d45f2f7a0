"""A request as middlewares see and change it."""

from __future__ import annotations

import io
import ssl
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from yarl import URL

import httpclient
from httpclient import ClientRequest
from httpclient._request import HeaderDefaults, OutgoingRequest
from httpclient._request_body import encode_body
from httpclient._url import Proxy, destination
from httpcore_proto import ClientConnection, HttpVersion10, HttpVersion11
from httpcore_proto.aio import BytesPayload, FormData, MultipartWriter, Payload

SESSION = cast("httpclient.ClientSession", object())


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    """Give a body piece by piece."""
    for piece in data:
        yield piece


def make(
    method: str = "POST",
    *,
    data: Any = None,
    url: str = "https://h:81/p?q=1#fragment",
    headers: Any = None,
    key: dict[str, Any] | None = None,
    **options: Any,
) -> ClientRequest:
    """Compose a request."""
    body, payload, content_type = encode_body(data)
    to = destination(url)
    known = {name: options[name] for name in ("chunked", "compress", "expect100") & options.keys()}
    extra = {name: options.pop(name) for name in ("version",) if name in options}
    request = HeaderDefaults({"X-S": "1"}, None).request(
        method,
        to,
        headers=headers,
        body=body,
        payload=payload,
        content_type=content_type,
        **known,
        **extra,
    )
    return ClientRequest(SESSION, request, to.key._replace(**(key or {})), **options)


def sent(request: OutgoingRequest) -> list[str]:
    """Return the head's lines as they are sent."""
    machine = ClientConnection()
    if request.whole:
        data = machine.send_message(request.head, request.body)
    else:
        data = machine.send(request.head)
    return data.partition(b"\r\n\r\n")[0].decode().split("\r\n")


def fields(request: ClientRequest) -> dict[str, str]:
    """Return what of the head concerns the body."""
    names = ("Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Expect")
    return {name: request.headers[name] for name in names if name in request.headers}


async def body_of(request: ClientRequest) -> bytes:
    """Return the body."""
    return await request.body.as_bytes() if isinstance(request.body, Payload) else request.body


def test_what_can_be_read() -> None:
    context = ssl.create_default_context()
    proxy = Proxy(URL("http://proxy:1"), (("Proxy-Authorization", "x"),))
    request = make(
        key={"ssl": context, "server_hostname": "name", "proxy": proxy},
        skip_auto_headers=("X-Skip",),
    )
    assert request.method == "POST"
    assert request.url == URL("https://h:81/p?q=1")
    assert request.original_url == URL("https://h:81/p?q=1#fragment")
    assert (request.host, request.port, request.is_ssl()) == ("h", 81, True)
    assert request.version is HttpVersion11
    assert request.compress is None
    assert not request.chunked
    assert request.ssl is context
    assert request.server_hostname == "name"
    assert request.proxy == URL("http://proxy:1")
    assert request.proxy_headers == {"Proxy-Authorization": "x"}
    assert request.connection_key.proxy is proxy
    assert request.response_class is httpclient.ClientResponse
    assert request.skip_auto_headers == {"x-skip"} or "X-Skip" in request.skip_auto_headers
    assert request.session is SESSION
    assert request.traces is None
    assert request.body == b""
    assert repr(request) == "<ClientRequest POST https://h:81/p?q=1>"
    info = request.request_info
    assert (info.url, info.real_url, info.method) == (request.url, request.original_url, "POST")
    assert info.headers == request.headers


def test_without_proxy_and_with_a_class_of_its_own() -> None:
    class Response(httpclient.ClientResponse):
        """Of the user."""

    request = make(response_class=Response, compress="gzip", data=b"x")
    assert request.response_class is Response
    assert request.proxy is request.proxy_headers is None
    assert request.compress == "gzip"
    assert request.chunked


def test_headers_are_all_that_is_sent() -> None:
    request = make(data=b"abc")
    assert list(request.headers) == [
        "Host",
        "Accept",
        "Accept-Encoding",
        "User-Agent",
        "X-S",
        "Content-Type",
        "Content-Length",
    ]
    before = sent(request.compile())
    assert before[0] == "POST /p?q=1 HTTP/1.1"
    assert before[1:] == [f"{name}: {value}" for name, value in request.headers.items()]


def test_unchanged_request_is_sent_as_it_was_made() -> None:
    request = make()
    first = request.compile()
    assert request.headers["X-S"] == "1"
    assert request.compile() is first
    assert first.head.preset is not None


def test_changed_headers_are_sent() -> None:
    request = make(data=b"abc")
    request.headers["Authorization"] = "x"
    del request.headers["X-S"]
    request.headers.add("X-M", "1")
    request.headers.add("X-M", "2")
    head = sent(request.compile())
    assert "Authorization: x" in head
    assert head.count("Content-Length: 3") == 1
    assert [line for line in head if line.startswith("X-")] == ["X-M: 1", "X-M: 2"]
    request.headers["X-M"] = "3"
    assert "X-M: 3" in sent(request.compile())


def test_host_stays_first_and_cannot_be_lost() -> None:
    request = make()
    del request.headers["Host"]
    assert sent(request.compile())[1] == "Host: h:81"
    request.headers["Host"] = "other"
    assert sent(request.compile())[1] == "Host: other"


@pytest.mark.parametrize("size", [3, 100_000])
def test_framing_that_was_removed_comes_back(size: int) -> None:
    request = make(data=bytes(size))
    del request.headers["Content-Length"]
    assert f"Content-Length: {size}" in sent(request.compile())
    request = make(data=pieces(b"a"))
    del request.headers["Transfer-Encoding"]
    assert "Transfer-Encoding: chunked" in sent(request.compile())


def test_headers_that_contradict_the_body_are_refused() -> None:
    request = make(data=b"abc")
    request.headers["Content-Length"] = "4"
    with pytest.raises(ValueError, match="3 bytes"):
        request.compile()
    request = make()
    request.headers["Transfer-Encoding"] = "chunked"
    assert "Transfer-Encoding: chunked" not in sent(request.compile())


def test_expectation_and_coding_follow_the_headers() -> None:
    request = make(data=b"abc")
    request.headers["Expect"] = "100-continue"
    assert request.compile().expects_continue
    del request.headers["Expect"]
    assert not request.compile().expects_continue
    request = make(data=b"abc", compress="gzip")
    request.headers["X"] = "1"
    assert request.compile().coding == "gzip"
    del request.headers["Content-Encoding"]
    assert request.compile().coding is None


def test_version_is_kept() -> None:
    request = make(version=HttpVersion10)
    request.headers["X"] = "1"
    assert sent(request.compile())[0].endswith("HTTP/1.0")
    assert request.version is HttpVersion10


def test_who_watches_goes_with_it() -> None:
    request = make(data=b"x")
    tracker = httpclient.UploadTracker()
    request.compile().watch(tracker=tracker)
    request.headers["X"] = "1"
    assert request.compile().tracker is tracker
    assert not request.compile().whole


async def test_body_of_bytes_is_a_payload() -> None:
    request = make(data="text")
    assert isinstance(request.body, BytesPayload)
    assert request.body is request.body
    assert request.body.content_type == "text/plain; charset=utf-8"
    assert await body_of(request) == b"text"
    payload = BytesPayload(b"x")
    assert make(data=payload).body is payload


@pytest.mark.parametrize("before", [None, b"before", "pieces"])
@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (b"abc", {"Content-Length": "3"}),
        ("\u00fc", {"Content-Length": "2"}),
        (bytes(100_000), {"Content-Length": "100000"}),
        ({"a": "1"}, {"Content-Length": "3", "Content-Type": "application/x-www-form-urlencoded"}),
        (io.StringIO("x"), {"Content-Length": "1", "Content-Type": "text/plain; charset=utf-8"}),
        (None, {"Content-Length": "0"}),
    ],
)
async def test_update_body_announces_the_new_one(
    before: Any, after: Any, expected: dict[str, str]
) -> None:
    request = make(data=pieces(b"x") if before == "pieces" else before)
    headers = request.headers
    await request.update_body(after)
    assert request.headers is headers
    assert fields(request) == {"Content-Type": "application/octet-stream"} | expected
    compiled = request.compile()
    assert sent(compiled)[1:] == [f"{name}: {value}" for name, value in headers.items()]
    assert compiled is request.compile()
    data = after.getvalue().encode() if isinstance(after, io.StringIO) else after
    plain = data.encode() if isinstance(data, str) else b"a=1" if isinstance(data, dict) else data
    assert await body_of(request) == (plain or b"")


async def test_update_body_of_a_multipart_tells_its_boundary() -> None:
    request = make(data=FormData({"a": "1"}, default_to_multipart=True))
    for _ in range(2):
        writer = MultipartWriter()
        writer.append("x")
        await request.update_body(writer)
        assert request.headers["Content-Type"] == writer.content_type
        assert request.compile().payload is writer


async def test_update_body_keeps_to_what_was_asked_for() -> None:
    request = make(data=b"x", chunked=True, expect100=True)
    await request.update_body(b"abc")
    assert fields(request) == {
        "Content-Type": "application/octet-stream",
        "Transfer-Encoding": "chunked",
        "Expect": "100-continue",
    }
    request = make(data=None, compress="gzip")
    assert request.compress is None
    await request.update_body(b"abc")
    assert fields(request)["Content-Encoding"] == request.compress == "gzip"
    await request.update_body(None)
    assert fields(request) == {"Content-Type": "application/octet-stream", "Content-Length": "0"}
    assert request.compress is None


async def test_update_body_skips_what_is_not_to_be_generated() -> None:
    request = make("GET", skip_auto_headers=("Content-Type",))
    await request.update_body(b"abc")
    assert fields(request) == {"Content-Length": "3"}
    request = make("GET")
    await request.update_body("abc")
    assert fields(request)["Content-Type"] == "text/plain; charset=utf-8"


async def test_update_body_closes_the_old_one() -> None:
    closed: list[str] = []

    class Closing(BytesPayload):
        """Says when it is closed."""

        async def close(self) -> None:
            """Note it."""
            closed.append("closed")

    payload = Closing(b"x")
    request = make(data=payload)
    await request.update_body(payload)
    assert closed == []
    with pytest.raises(TypeError, match="data must be"):
        await request.update_body(5)
    assert request.body is payload
    await request.update_body(b"y")
    assert closed == ["closed"]
    await request.close()
    await make(data=payload).close()
    assert closed == ["closed"] * 2


async def test_body_that_is_gone_cannot_be_sent_again() -> None:
    request = make(data=pieces(b"x"))
    payload = request.compile().payload
    assert payload is not None
    assert request.compile().payload is payload
    assert not request.compile().replayable
    await payload.as_bytes()
    assert request.compile().replayable
    request = make(data=pieces(b"x"))
    assert isinstance(request.body, Payload)

    class Nowhere:
        async def write(self, chunk: bytes) -> None: ...

    await request.body.write(Nowhere())
    with pytest.raises(httpclient.ClientPayloadError, match=r"update_body\(\)"):
        request.compile()
    await request.update_body(b"new")
    assert request.compile().body == b"new"
