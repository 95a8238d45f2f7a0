from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from httpcore_proto import (
    ClientConnection,
    EndOfMessage,
    Limits,
    LineTooLong,
    MultipartLimits,
    Request,
    Response,
    ServerConnection,
)

NAMES = [field.name for field in fields(Limits)]


def test_defaults() -> None:
    limits = Limits()
    assert limits.max_line_size == 8190
    assert limits.max_field_size == 8190
    assert limits.max_headers == 128
    assert limits.max_head_size == 65536
    assert limits.max_chunk_extension_size == 16384


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [1, 2**30])
def test_bound_within_its_range_is_taken(name: str, value: int) -> None:
    limits = Limits(**{name: value})
    assert getattr(limits, name) == value
    assert limits == Limits(**{name: value})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1, 0, 2**30 + 1])
def test_bound_outside_its_range_is_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{name}={value}: expected 1 to 1073741824$"):
        Limits(**{name: value})


def test_limits_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Limits().max_headers = 1  # type: ignore[misc]  # the point of it


def read(data: bytes, limits: Limits) -> None:
    server = ServerConnection(limits)
    server.receive_data(data)
    while not isinstance(server.next_event(), EndOfMessage):
        pass


HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def target(size: int) -> bytes:
    return b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * (size - 1))


def field(size: int) -> bytes:
    return HEAD + b"Abc: %b\r\n\r\n" % (b"x" * (size - 3))


def count(number: int) -> bytes:
    return HEAD + b"A: b\r\n" * (number - 1) + b"\r\n"


def head(size: int) -> bytes:
    # One octet is counted for the end of the target, of each name and of each value.
    left = size - len("/|Host|a|")
    fields = b""
    while left:
        value = min(left - 3, 6000) if left != 6004 else 5000
        fields += b"A: %b\r\n" % (b"x" * value)
        left -= value + 3
    return HEAD + fields + b"\r\n"


def extensions(size: int) -> bytes:
    chunks = b""
    while size:
        part = min(size, 8000)
        chunks += b"1;%b\r\nx\r\n" % (b"e" * part)
        size -= part
    return CHUNKED + chunks + b"0\r\n\r\n"


def chunk_line(size: int) -> bytes:
    return CHUNKED + b"0" * (size - 1) + b"1\r\nx\r\n0\r\n\r\n"


def trailer(size: int) -> bytes:
    return CHUNKED + b"0\r\nAbc: %b\r\n\r\n" % (b"x" * (size - 3))


def blank(size: int) -> bytes:
    return b"\r\n" * (size // 2) + HEAD + b"\r\n"


@pytest.mark.parametrize(
    ("make", "edge", "over", "limit", "rule", "status_hint"),
    [
        (target, 8190, 8191, "max_line_size", "line-too-long", 414),
        (chunk_line, 8190, 8191, "max_line_size", "line-too-long", 400),
        (blank, 8190, 8192, "max_line_size", "blank-lines", 400),
        (field, 8190, 8191, "max_field_size", "field-too-large", 431),
        (trailer, 8190, 8191, "max_field_size", "field-too-large", 431),
        (count, 128, 129, "max_headers", "too-many-fields", 431),
        (head, 65536, 65537, "max_head_size", "head-too-large", 431),
        (extensions, 16384, 16385, "max_chunk_extension_size", "chunk-extension", 400),
    ],
)
@pytest.mark.parametrize("default", [True, False])
def test_limit_holds_at_its_edge(
    make: object,
    edge: int,
    over: int,
    limit: str,
    rule: str,
    status_hint: int,
    default: bool,
) -> None:
    assert callable(make)
    limits = Limits() if default else Limits(**{**dict.fromkeys(NAMES, 2**30), limit: edge})
    read(make(edge), limits)
    with pytest.raises(LineTooLong, match=f"{over} with {limit}={edge}$") as caught:
        read(make(over), limits)
    exc = caught.value
    assert (exc.limit, exc.value, exc.allowed) == (limit, over, edge)
    assert (exc.rule, exc.status_hint) == (rule, status_hint)


def test_head_larger_than_any_scratch_memory() -> None:
    limits = Limits(max_head_size=2**20, max_field_size=2**20, max_line_size=2**20)
    value = "x" * 200_000
    server = ServerConnection(limits)
    server.receive_data(HEAD + b"A: %b\r\nB: %b\r\n\r\n" % (value.encode(), value.encode()))
    request = server.next_event()
    assert isinstance(request, Request)
    assert request.headers["B"] == value == request.headers["A"]


def test_limits_hold_for_responses() -> None:
    client = ClientConnection(Limits(max_headers=1))
    client.send_message(Request(method="GET", target="/"))
    client.receive_data(b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n")
    with pytest.raises(LineTooLong) as caught:
        client.next_event()
    assert caught.value.limit == "max_headers"


def test_bodies_are_not_limited() -> None:
    limits = Limits(**dict.fromkeys(NAMES, 30))
    client = ClientConnection(limits)
    client.send_message(Request(method="GET", target="/"))
    client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100000))
    assert isinstance(client.next_event(), Response)
    client.next_event()
    assert isinstance(client.next_event(), EndOfMessage)


def test_none_is_no_bound_only_where_that_is_the_default() -> None:
    """None passed the check everywhere, and failed where the first message was counted."""
    assert MultipartLimits(max_size=None, max_part_size=None).max_size is None
    for name in ("max_parts", "max_part_headers", "max_field_size", "max_head_size"):
        with pytest.raises(ValueError, match=f"{name}=None: expected 1 to"):
            MultipartLimits(**{name: None})
    with pytest.raises(ValueError, match="max_headers=None"):
        Limits(max_headers=None)  # type: ignore[arg-type]
