from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest

from httpcore_proto import (
    LLHTTP_VERSION,
    NEED_DATA,
    PAUSED,
    BadHttpMethod,
    Data,
    EndOfMessage,
    InvalidURLError,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
    _parser,
)

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_version_of_llhttp() -> None:
    major, minor, patch = map(int, LLHTTP_VERSION.split("."))
    # 9.3.0 refuses a chunk size followed by whitespace, 9.2.0 a CR that stands alone.
    assert (major, minor, patch) >= (9, 3, 0)


def test_build_for_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec("httpcore_proto._parser")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr("httpcore_proto._version.__version__", "0.0.0")
    with pytest.raises(ImportError, match=r"was compiled for version .* httpcore-proto 0\.0\.0;"):
        spec.loader.exec_module(module)


def test_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    without = SimpleNamespace(hcp_new=lambda role, limits: None)
    monkeypatch.setattr(_parser, "lib", without)
    with pytest.raises(MemoryError):
        ServerConnection()


@pytest.mark.parametrize(
    "method",
    [
        *("DELETE", "GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "PATCH", "QUERY"),
        *("COPY", "LOCK", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH", "SEARCH", "UNLOCK", "BIND"),
        *("REBIND", "UNBIND", "ACL", "REPORT", "MKACTIVITY", "CHECKOUT", "MERGE", "M-SEARCH"),
        *("NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "PURGE", "MKCALENDAR", "LINK", "UNLINK", "SOURCE"),
    ],
)
def test_method_is_known(method: str) -> None:
    server = ServerConnection()
    server.receive_data(GET.replace(b"GET", method.encode()))
    request = server.next_event()
    assert isinstance(request, Request)
    assert request.method == method


@pytest.mark.parametrize(
    "method",
    [
        *("DESCRIBE", "ANNOUNCE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER"),
        *("SET_PARAMETER", "REDIRECT", "RECORD", "FLUSH", "BREW", "Get", "X", "*"),
    ],
)
def test_method_is_not_known(method: str) -> None:
    """Methods of RTSP, which llhttp has in its list, were called a wrong protocol."""
    server = ServerConnection()
    server.receive_data(GET.replace(b"GET", method.encode()))
    with pytest.raises(BadHttpMethod) as caught:
        server.next_event()
    assert caught.value.status_hint == 501


@pytest.mark.parametrize("count", [1, 2, 254, 255, 256, 511, 512, 513, 2000])
def test_any_number_of_chunks_in_one_read(count: int) -> None:
    """A read with more chunks than the parser takes at once ended in an error without a name."""
    server = ServerConnection()
    server.receive_data(CHUNKED + b"2\r\nab\r\n" * count + b"0\r\nA: b\r\n\r\n" + GET)
    assert isinstance(server.next_event(), Request)
    body, ends = b"", []
    while isinstance(event := server.next_event(), Data):
        ends += [len(body) + end for end in event.chunk_ends]
        body += event.data
    assert body == b"ab" * count
    assert ends == list(range(2, 2 * count + 1, 2))
    assert isinstance(event, EndOfMessage)
    assert event.trailers["a"] == "b"
    server.send_message(Response(status=200))
    server.start_next_cycle()
    assert isinstance(server.next_event(), Request)


def test_chunk_that_ends_in_a_read_without_data() -> None:
    """A read that ended right behind a chunk was taken for an error."""
    server = ServerConnection()
    server.receive_data(CHUNKED + b"2\r\nab")
    server.next_event()
    assert isinstance(first := server.next_event(), Data)
    assert (first.data, first.chunk_ends) == (b"ab", ())
    server.receive_data(b"\r\n")
    assert isinstance(second := server.next_event(), Data)
    assert (second.data, second.chunk_ends) == (b"", (0,))
    assert server.next_event() is NEED_DATA
    server.receive_data(b"0\r\n\r\n")
    assert isinstance(server.next_event(), EndOfMessage)


def test_head_and_trailers_in_many_reads() -> None:
    server = ServerConnection()
    for octet in GET[:-2] + b"A: " + b"x" * 5000 + b"\r\n\r\n":
        assert server.next_event() is NEED_DATA
        server.receive_data(bytes([octet]))
    request = server.next_event()
    assert isinstance(request, Request)
    assert request.headers["a"] == "x" * 5000


def test_parsers_do_not_disturb_each_other() -> None:
    one, two = ServerConnection(), ServerConnection()
    one.receive_data(b"GET /one HTTP/1.1\r\nHost: on")
    assert one.next_event() is NEED_DATA
    two.receive_data(b"GET /two HTTP/1.1\r\nHost: two\r\n\r\n")
    second = two.next_event()
    one.receive_data(b"e\r\n\r\n")
    first = one.next_event()
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert (first.target, first.headers["Host"]) == ("/one", "one")
    assert (second.target, second.headers["Host"]) == ("/two", "two")


def test_body_that_is_a_whole_read_is_not_copied() -> None:
    server = ServerConnection()
    server.receive_data(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
    server.next_event()
    piece = b"12345678"
    server.receive_data(piece)
    event = server.next_event()
    assert isinstance(event, Data)
    assert event.data is piece


@pytest.mark.parametrize("data", [bytearray(GET), memoryview(GET), memoryview(bytearray(GET))])
def test_what_is_not_bytes_is_copied(data: bytearray | memoryview) -> None:
    server = ServerConnection()
    server.receive_data(data)
    if isinstance(data, bytearray):
        data[:] = bytes(len(data))
    assert isinstance(server.next_event(), Request)


def test_no_bytes_mean_nothing() -> None:
    server = ServerConnection()
    server.receive_data(b"")
    assert server.next_event() is NEED_DATA


# Errors.


def failing(data: bytes, *, behind: bytes = b"") -> RemoteProtocolError:
    server = ServerConnection()
    server.receive_data(behind + data)
    if behind:
        while server.next_event() is not PAUSED:
            pass
        server.send_message(Response(status=204))
        server.start_next_cycle()
    try:
        while server.next_event() is not NEED_DATA:
            pass
    except RemoteProtocolError as exc:
        return exc
    raise AssertionError(f"no error in {data!r}")


def test_error_tells_where_it_is() -> None:
    exc = failing(b"GET / HTTP/1.1\r\nHost: a\r\nA\0: b\r\n\r\n")
    assert exc.offset == 26


def test_error_behind_another_request_tells_where_it_is_in_the_read() -> None:
    """The position was counted from the start of the request, not of the read."""
    exc = failing(b"GET / HTTP/1.1\r\nHost: a\r\nA\0: b\r\n\r\n", behind=GET)
    assert exc.offset == len(GET) + 26


def test_error_of_a_whole_head_has_no_position() -> None:
    assert failing(b"GET / HTTP/1.1\r\n\r\n").offset is None


def test_error_is_raised_again_by_every_call() -> None:
    server = ServerConnection()
    server.receive_data(b"\0")
    with pytest.raises(RemoteProtocolError) as first:
        server.next_event()
    server.receive_data(GET)
    with pytest.raises(RemoteProtocolError) as second:
        server.next_event()
    assert first.value is second.value


def test_what_precedes_an_error_in_a_read_is_reported_first() -> None:
    """FR-33: the error of a body must not hide its head."""
    server = ServerConnection()
    server.receive_data(CHUNKED + b"2\r\nab\r\nx\r\n")
    assert isinstance(server.next_event(), Request)
    assert isinstance(data := server.next_event(), Data)
    assert data.data == b"ab"
    with pytest.raises(RemoteProtocolError) as caught:
        server.next_event()
    assert caught.value.rule == "chunk-size"
    assert server.send_message(Response(status=400)).endswith(b"Connection: close\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"SECRET\0/ HTTP/1.1\r\n",
        b"GET /SECRET\0 HTTP/1.1\r\n",
        b"GET SECRET HTTP/1.1\r\n",
        b"GET * HTTP/1.1\r\nHost: SECRET\r\n\r\n",
        b"GET / HTTP/SECRET\r\n",
        b"GET / SECRET/1.1\r\n",
        b"GET / HTTP/1.1\r\nSECRET\0: x\r\n",
        b"GET / HTTP/1.1\r\nHost: SECRET SECRET\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: SECRET\0\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: SECRET\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: SECRET\r\n\r\n",
        CHUNKED + b"1;SECRET\0",
        CHUNKED + b"SECRET",
    ],
)
def test_error_quotes_nothing_of_the_peer(data: bytes) -> None:
    """FR-32: foreign bytes in an error's text end up in pages and logs."""
    exc = failing(data)
    assert "SECRET" not in exc.message
    assert exc.message.isprintable()


def test_target_form_is_an_error_of_the_request() -> None:
    server = ServerConnection()
    server.receive_data(b"GET * HTTP/1.1\r\nHost: a\r\n\r\n")
    with pytest.raises(InvalidURLError) as caught:
        server.next_event()
    assert (caught.value.rule, caught.value.status_hint) == ("target-form", 400)
    assert server.trailing_data == (b"", False)
