from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Callable
from io import BytesIO, StringIO
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore_proto.aio import (
    EMPTY_PAYLOAD,
    PAYLOAD_REGISTRY,
    AbstractStreamWriter,
    AsyncIterablePayload,
    BodyPartReaderPayload,
    BytesIOPayload,
    BytesPayload,
    JsonBytesPayload,
    JsonPayload,
    MultipartReader,
    Order,
    Payload,
    PayloadConsumedError,
    PayloadLookupError,
    PayloadRegistry,
    PayloadSizeError,
    StreamReader,
    StreamReaderPayload,
    StringIOPayload,
    StringPayload,
    get_payload,
    payload_type,
    register_payload,
)


class Writer:
    """Collects what is written; each write is a chance for others to run."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        assert type(chunk) is bytes
        assert chunk, "an empty chunk is the end in chunked framing"
        self.pieces.append(chunk)


class Gone:
    """Takes so many pieces, then the peer is gone."""

    def __init__(self, pieces: int) -> None:
        self.left = pieces

    async def write(self, chunk: bytes) -> None:
        if not self.left:
            raise ConnectionResetError("gone")
        self.left -= 1


async def written(payload: Payload, length: int | None = None) -> bytes:
    writer = Writer()
    if length is None:
        await payload.write(writer)
    else:
        await payload.write_with_length(writer, length)
    return b"".join(writer.pieces)


class Pieces:
    """An asynchronous generator that tells how it ended."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces = pieces
        self.yielded = 0
        self.end: str | None = None

    async def __aiter__(self) -> AsyncIterator[Any]:
        self.end = "stopped"
        try:
            for piece in self.pieces:
                await anyio.lowlevel.checkpoint()
                self.yielded += 1
                yield piece
            self.end = "finished"
        finally:
            self.end += " and closed"


class OfUser(Payload):
    """The least that a program has to write: aiohttp's contract."""

    async def write(self, writer: AbstractStreamWriter) -> None:
        for piece in self._value:
            await writer.write(piece)


# The registry.


class A: ...


class B(A): ...


def factory(name: str) -> Callable[..., Payload]:
    return lambda data, **options: BytesPayload(name.encode(), **options)


def found(registry: PayloadRegistry, data: Any) -> str:
    return registry.get(data).decode()


def test_exact_type_goes_before_a_base_that_was_registered_earlier() -> None:
    registry = PayloadRegistry()
    registry.register(factory("A"), A)
    registry.register(factory("B"), B)
    assert found(registry, A()) == "A"
    assert found(registry, B()) == "B"


def test_subclass_goes_to_the_oldest_registration_that_fits() -> None:
    class C(B): ...

    registry = PayloadRegistry()
    registry.register(factory("A"), (int, A))
    registry.register(factory("B"), B)
    assert found(registry, C()) == "A"
    assert found(registry, True) == "A"


def test_try_first_goes_before_all_and_try_last_behind_all() -> None:
    registry = PayloadRegistry()
    registry.register(factory("last"), object, order=Order.try_last)
    registry.register(factory("normal"), B)
    assert found(registry, A()) == "last"
    assert found(registry, B()) == "normal"
    registry.register(factory("first"), A, order=Order.try_first)
    assert found(registry, B()) == "first"
    assert found(registry, BytesPayload(b"itself")) == "itself"


def test_exact_match_does_not_look_at_the_others() -> None:
    class Meta(type):
        def __instancecheck__(cls, instance: object) -> bool:
            raise AssertionError("looked at")

    class Costly(metaclass=Meta): ...

    registry = PayloadRegistry()
    registry.register(factory("costly"), Costly)
    registry.register(factory("A"), A)
    assert found(registry, A()) == "A"


def test_last_registration_of_a_type_wins() -> None:
    registry = PayloadRegistry()
    for name in "ab":
        registry.register(factory(name), A)
    assert found(registry, A()) == "b"


def test_payload_is_returned_as_it_is_unless_somebody_comes_first() -> None:
    payload = BytesPayload(b"x")
    assert get_payload(payload, disposition=None) is payload
    registry = PayloadRegistry()
    registry.register(factory("first"), Payload, order=Order.try_first)
    assert found(registry, payload) == "first"


def test_keywords_are_passed_on() -> None:
    payload = get_payload(b"x", content_type="a/b", headers={"X": "y"}, filename="f.png")
    assert dict(payload.headers) == {"Content-Type": "a/b", "X": "y"}
    assert payload.filename == "f.png"


@pytest.mark.parametrize("data", [None, 1, object(), {"a": "b"}, ["a"], iter(b"x"), Payload])
def test_unknown_value(data: object) -> None:
    with pytest.raises(
        PayloadLookupError, match=f"no payload for {type(data).__name__};"
    ) as caught:
        get_payload(data)
    assert isinstance(caught.value, LookupError)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("order", ["first", "", None, 1])
def test_bad_order(order: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid Order"):
        PayloadRegistry().register(BytesPayload, A, order=order)


def test_classes_and_factories_can_be_added() -> None:
    class Mine: ...

    class Other: ...

    @payload_type(Mine, order=Order.try_last)
    class MinePayload(OfUser): ...

    register_payload(factory("other"), Other)
    assert type(get_payload(Mine())) is MinePayload
    assert PAYLOAD_REGISTRY.get(Other()).decode() == "other"


@pytest.mark.parametrize(
    ("value", "cls"),
    [
        (b"", BytesPayload),
        (bytearray(), BytesPayload),
        (memoryview(b""), BytesPayload),
        ("", StringPayload),
        (StringIO(), StringIOPayload),
        (BytesIO(), BytesIOPayload),
        (EMPTY_PAYLOAD, StreamReaderPayload),
        (Pieces(), AsyncIterablePayload),
        (aiter(Pieces()), AsyncIterablePayload),
    ],
)
def test_default_registrations(value: Any, cls: type[Payload]) -> None:
    assert type(get_payload(value, disposition=None)) is cls


# What all payloads have.


@pytest.mark.parametrize(
    ("options", "content_type"),
    [
        ({}, "application/octet-stream"),
        ({"filename": "a.png"}, "image/png"),
        ({"filename": "a"}, "application/octet-stream"),
        ({"filename": ""}, "application/octet-stream"),
        ({"filename": "a.png", "content_type": "a/b"}, "a/b"),
        ({"content_type": "a/b", "headers": {"content-type": "c/d"}}, "c/d"),
        ({"filename": "data:text/html,x"}, "application/octet-stream"),
        ({"filename": "data:a/b\r\nX: y,"}, "application/octet-stream"),
        ({"filename": "//[.html"}, "text/html"),
        ({"filename": "x:y.html"}, "text/html"),
    ],
)
def test_content_type(options: dict[str, Any], content_type: str) -> None:
    """A file name was taken for a URL by mimetypes, which let it choose the type."""
    payload = BytesPayload(b"", **options)
    assert payload.content_type == content_type
    assert payload.headers.getall("Content-Type") == [content_type]


def test_headers_are_a_copy_and_keep_repeated_names() -> None:
    headers = [("X", "1"), ("x", "2")]
    payload = BytesPayload(b"", headers=headers)
    payload.headers["Y"] = "3"
    assert payload.headers.getall("X") == ["1", "2"]
    assert len(headers) == 2


def test_disposition() -> None:
    payload = BytesPayload(b"")
    payload.set_content_disposition("attachment", name="ä", filename="b c")
    assert payload.headers["Content-Disposition"] == (
        "attachment; name*=utf-8''%C3%A4; filename=\"b%20c\""
    )
    payload.set_content_disposition("attachment", quote_fields=False, name="ä")
    assert payload.headers["Content-Disposition"] == 'attachment; name="ä"'
    payload.set_content_disposition("attachment", _charset="latin-1", name="ä")
    assert payload.headers["Content-Disposition"] == "attachment; name*=latin-1''%E4"
    payload.set_content_disposition("form-data", name="ä", filename="b c")
    assert payload.headers["Content-Disposition"] == 'form-data; name="ä"; filename="b%20c"'
    with pytest.raises(ValueError, match="control character"):
        payload.set_content_disposition("form-data", quote_fields=False, name="a\r\nX: y")


@pytest.mark.parametrize(
    ("options", "disposition"),
    [
        ({"filename": "a"}, None),
        ({"disposition": "inline"}, None),
        ({"filename": "a", "disposition": "inline"}, 'inline; filename="a"'),
        ({"filename": "a", "disposition": "inline", "headers": {"content-disposition": "x"}}, "x"),
    ],
)
def test_disposition_of_a_file_name(options: dict[str, Any], disposition: str | None) -> None:
    assert BytesPayload(b"", **options).headers.get("Content-Disposition") == disposition


async def test_payload_of_a_program() -> None:
    payload = OfUser([b"ab", b"cd"])
    assert payload.size is None
    assert not payload.consumed
    assert not payload.replayable
    assert not payload.autoclose
    assert payload.encoding is None
    assert await written(payload) == b"abcd"
    assert await written(payload, 3) == b"abc"
    assert await payload.as_bytes() == b"abcd"
    writer = Writer()
    await payload.write_with_length(writer, None)
    assert writer.pieces == [b"ab", b"cd"]
    await payload.rewind()
    await payload.close()
    with pytest.raises(TypeError, match=r"OfUser has no text without waiting; use as_bytes\(\)"):
        payload.decode()


# Limits on the length.


@pytest.mark.parametrize("length", range(8))
@pytest.mark.parametrize("pieces", [[b"abcdef"], [b"ab", b"cd", b"ef"], [b"abc", b"", b"def"]])
async def test_no_more_than_the_length_is_written(pieces: list[bytes], length: int) -> None:
    expected = b"abcdef"[:length]
    assert await written(OfUser(pieces), length) == expected
    assert await written(AsyncIterablePayload(Pieces(*pieces)), length) == expected
    assert await written(BytesPayload(b"".join(pieces)), length) == expected


async def test_iteration_stops_with_the_first_piece_that_is_too_much() -> None:
    pieces = Pieces(b"ab", b"cd", b"ef", b"gh")
    assert await written(AsyncIterablePayload(pieces), 3) == b"abc"
    assert pieces.yielded == 2
    assert pieces.end == "stopped and closed"


async def test_iteration_that_fits_runs_to_its_end() -> None:
    pieces = Pieces(b"ab", b"cd", b"")
    assert await written(AsyncIterablePayload(pieces), 4) == b"abcd"
    assert pieces.end == "finished and closed"


async def test_limits_within_limits() -> None:
    class Outer(OfUser):
        async def write(self, writer: AbstractStreamWriter) -> None:
            await OfUser([b"abcdef"]).write_with_length(writer, self._value)
            went_on.append(self._value)
            await writer.write(b"+")

    went_on: list[int] = []
    assert await written(Outer(4), 2) == b"ab"
    assert went_on == []
    assert await written(Outer(2), 4) == b"ab+"
    assert await written(Outer(3), 3) == b"abc"


# Bytes and text.


async def test_bytes() -> None:
    body = bytes(range(256))
    payload = BytesPayload(body)
    assert (payload.size, payload.replayable, payload.autoclose) == (256, True, True)
    for _ in range(2):
        assert await written(payload) == body
        await payload.rewind()
        await payload.close()
    assert not payload.consumed
    assert await payload.as_bytes() is body
    assert payload.decode("latin-1") == body.decode("latin-1")
    with pytest.raises(UnicodeDecodeError):
        payload.decode()


async def test_large_bytes_are_written_in_one_piece_and_not_copied() -> None:
    body = bytes(2**21)
    writer = Writer()
    await BytesPayload(body).write(writer)
    assert writer.pieces[0] is body


@pytest.mark.parametrize("wrap", [bytearray, lambda data: memoryview(bytearray(data))])
async def test_what_can_change_is_copied(wrap: Callable[[bytes], Any]) -> None:
    value = wrap(b"abc")
    payload = BytesPayload(value)
    value[0] = 0
    assert payload.size == 3
    assert await written(payload) == b"abc"


async def test_size_of_a_memoryview_is_in_bytes() -> None:
    view = memoryview(bytes(range(8))).cast("I")
    payload = BytesPayload(view)
    assert payload.size == 8
    assert await written(payload) == bytes(range(8))
    assert await written(BytesPayload(memoryview(b"abcdef")[::2])) == b"ace"


@pytest.mark.parametrize("value", ["x", 1, None, [1]])
def test_bytes_of_something_else(value: Any) -> None:
    with pytest.raises(TypeError, match=f"not of {type(value).__name__}"):
        BytesPayload(value)


@pytest.mark.parametrize(
    "payload", [BytesPayload(b""), StringPayload(""), BytesIOPayload(BytesIO())]
)
async def test_nothing_is_written_for_nothing(payload: Payload) -> None:
    assert payload.size == 0
    assert await written(payload) == b""
    assert await written(payload, 0) == b""


@pytest.mark.parametrize(
    ("options", "content_type", "encoding"),
    [
        ({}, "text/plain; charset=utf-8", "utf-8"),
        ({"encoding": "latin-1"}, "text/plain; charset=latin-1", "latin-1"),
        ({"content_type": "text/html"}, "text/html", "utf-8"),
        ({"content_type": 'a/b; charset="utf-16-le"'}, 'a/b; charset="utf-16-le"', "utf-16-le"),
        ({"content_type": "a/b; charset=x", "encoding": "latin-1"}, "a/b; charset=x", "latin-1"),
        ({"headers": {"content-type": "a/b; charset=latin-1"}}, "a/b; charset=latin-1", "latin-1"),
        ({"filename": "a.png"}, "text/plain; charset=utf-8", "utf-8"),
    ],
)
@pytest.mark.parametrize("cls", [StringPayload, StringIOPayload])
async def test_charset_of_text(
    cls: type[Payload], options: dict[str, Any], content_type: str, encoding: str
) -> None:
    """Text went out as UTF-8 with headers that said otherwise."""
    text = "grün"
    payload = cls(text if cls is StringPayload else StringIO(text), **options)
    assert payload.content_type == content_type
    assert payload.encoding == encoding
    assert await written(payload) == text.encode(encoding)
    assert payload.size == len(text.encode(encoding))
    assert payload.decode() == text


@pytest.mark.parametrize("charset", ["none-such", "base64", "a\0b", "\ud800", "x" * 10_000])
def test_unknown_charset(charset: str) -> None:
    with pytest.raises((LookupError, ValueError)):
        StringPayload("x", encoding=charset)


def test_text_that_the_charset_lacks() -> None:
    with pytest.raises(UnicodeEncodeError):
        StringPayload("ő", encoding="latin-1")


@pytest.mark.parametrize("buffer", [BytesIO(b"abcdef"), StringIO("abcdef")])
async def test_buffer_is_sent_from_its_position(buffer: Any) -> None:
    """A second payload of a buffer was empty, since the first had read it."""
    buffer.seek(2)
    for _ in range(2):
        payload = get_payload(buffer)
        assert payload.size == 4
        assert await written(payload) == b"cdef"
        assert await written(payload) == b"cdef"
        assert buffer.tell() == 2
        await payload.close()
    assert not buffer.closed
    buffer.seek(9)
    assert get_payload(buffer).size == 0


async def test_buffer_that_changes_while_it_is_sent() -> None:
    buffer = BytesIO(b"abc")
    payload = BytesIOPayload(buffer)
    buffer.write(b"xyzuvw")
    assert payload.size == 3
    assert await written(payload) == b"abc"


def test_buffer_with_a_name() -> None:
    buffer = BytesIO()
    buffer.name = "dir/a.png"
    payload = get_payload(buffer)
    assert payload.filename == "a.png"
    assert payload.content_type == "image/png"
    assert payload.headers["Content-Disposition"] == 'attachment; filename="a.png"'
    assert "Content-Disposition" not in get_payload(buffer, disposition=None).headers
    assert get_payload(buffer, filename="b.txt").content_type == "text/plain"


def test_closed_buffer() -> None:
    buffer = BytesIO()
    buffer.close()
    with pytest.raises(ValueError, match="closed file"):
        get_payload(buffer)


# JSON.


async def test_json() -> None:
    payload = JsonPayload({"a": ["ü"]})
    assert payload.content_type == "application/json"
    assert json.loads(await written(payload)) == {"a": ["ü"]}
    assert payload.size == len(await written(payload))
    assert payload.replayable


async def test_json_with_other_ways() -> None:
    payload = JsonPayload(1, "utf-16", "a/b", lambda value: f"<{value}ü>", headers={"X": "y"})
    assert await written(payload) == "<1ü>".encode("utf-16")
    assert payload.decode() == "<1ü>"
    assert dict(payload.headers) == {"Content-Type": "a/b", "X": "y"}


async def test_json_in_bytes() -> None:
    payload = JsonBytesPayload([1], lambda value: json.dumps(value).encode())
    assert payload.content_type == "application/json"
    assert await written(payload) == b"[1]"
    assert JsonBytesPayload(1, lambda _: b"", "a/b", headers={"X": "y"}).content_type == "a/b"


def test_json_that_is_none() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        JsonPayload(object())
    with pytest.raises(TypeError, match="not of str"):
        JsonBytesPayload(1, json.dumps)  # type: ignore[arg-type]


# What comes piece by piece.


@pytest.mark.parametrize("iterable", [Pieces, lambda *pieces: aiter(Pieces(*pieces))])
async def test_pieces_are_written_once(iterable: Callable[..., AsyncIterable[bytes]]) -> None:
    """RC-07: the second time, an empty body was sent."""
    payload = AsyncIterablePayload(iterable(b"ab", b"", bytearray(b"cd"), memoryview(b"ef")))
    assert payload.size is None
    assert not payload.consumed
    assert not payload.replayable
    await payload.rewind()
    assert await written(payload) == b"abcdef"
    assert payload.consumed
    for call in (payload.rewind, payload.as_bytes, lambda: written(payload)):
        with pytest.raises(PayloadConsumedError, match="AsyncIterablePayload cannot have it again"):
            await call()
    await payload.close()


async def test_pieces_that_are_kept_can_be_written_again() -> None:
    payload = AsyncIterablePayload(Pieces(b"ab", b"\xc3", b"\xbc"))
    with pytest.raises(TypeError, match="no text without waiting"):
        payload.decode()
    assert await payload.as_bytes() == "abü".encode()
    assert payload.replayable
    assert not payload.consumed
    assert payload.size == 4
    await payload.rewind()
    for _ in range(2):
        assert await written(payload) == "abü".encode()
        assert await written(payload, 3) == b"ab\xc3"
        assert await payload.as_bytes() == "abü".encode()
    assert payload.decode() == "abü"


@pytest.mark.parametrize("piece", ["text", 1, None, [b"x"]])
async def test_piece_that_is_not_bytes(piece: Any) -> None:
    pieces = Pieces(b"ab", piece, b"cd")
    with pytest.raises(TypeError, match=f"not of {type(piece).__name__}"):
        await written(AsyncIterablePayload(pieces))
    assert pieces.end == "stopped and closed"


@pytest.mark.parametrize("value", [[b"x"], b"x", None])
def test_not_asynchronous(value: Any) -> None:
    with pytest.raises(TypeError, match="not an asynchronous iterable"):
        AsyncIterablePayload(value)


async def test_generator_is_closed_when_the_peer_is_gone() -> None:
    pieces = Pieces(b"ab", b"cd", b"ef")
    payload = AsyncIterablePayload(pieces)
    with pytest.raises(ConnectionResetError):
        await payload.write(Gone(1))
    assert pieces.end == "stopped and closed"
    assert payload.consumed


async def test_generator_is_closed_when_the_write_is_cancelled() -> None:
    pieces = Pieces(b"ab", b"cd")

    class Slow:
        async def write(self, chunk: bytes) -> None:
            scope.cancel()
            await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        await AsyncIterablePayload(pieces).write(Slow())
    assert scope.cancelled_caught
    assert pieces.end == "stopped and closed"


async def test_error_of_a_generator_is_passed_on() -> None:
    async def fail() -> AsyncIterator[bytes]:
        yield b"ab"
        raise KeyError("x")

    with pytest.raises(KeyError):
        await written(AsyncIterablePayload(fail()))


async def test_iterator_that_is_no_generator() -> None:
    class Count:
        left = 3

        def __aiter__(self) -> Count:
            return self

        async def __anext__(self) -> bytes:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return b"x"

    assert await written(AsyncIterablePayload(Count())) == b"xxx"


async def test_announced_size() -> None:
    payload = AsyncIterablePayload(Pieces(b"ab", b"cd"), size=4)
    assert payload.size == 4
    assert await written(payload) == b"abcd"


@pytest.mark.parametrize(
    ("size", "sent", "error"),
    [(5, b"abcd", "1 bytes short of size=5"), (3, b"ab", "more than size=3 bytes")],
)
async def test_announced_size_that_is_wrong(size: int, sent: bytes, error: str) -> None:
    writer = Writer()
    with pytest.raises(PayloadSizeError, match=error):
        await AsyncIterablePayload(Pieces(b"ab", b"cd"), size=size).write(writer)
    assert b"".join(writer.pieces) == sent


async def test_stream_is_passed_on() -> None:
    stream = StreamReader(None)
    for piece in (b"a\nb", b"\n", b"c"):
        stream.feed_data(piece)
    stream.feed_eof()
    payload = get_payload(stream, content_type="a/b")
    assert payload.content_type == "a/b"
    assert payload.size is None
    assert await written(payload) == b"a\nb\nc"
    assert payload.consumed
    with pytest.raises(PayloadConsumedError):
        await written(payload)


async def test_stream_that_breaks() -> None:
    stream = StreamReader(None)
    stream.set_exception(ConnectionResetError("cut"))
    with pytest.raises(ConnectionResetError, match="cut"):
        await written(StreamReaderPayload(stream))


@given(st.lists(st.binary(max_size=9), max_size=6), st.none() | st.integers(0, 40))
def test_any_pieces_and_any_length(pieces: list[bytes], length: int | None) -> None:
    async def check() -> None:
        expected = b"".join(pieces)[:length]
        assert await written(AsyncIterablePayload(Pieces(*pieces)), length) == expected
        assert await written(OfUser([piece for piece in pieces if piece]), length) == expected

    anyio.run(check)


async def test_part_that_is_received_is_passed_on_decoded() -> None:
    stream = StreamReader(None)
    stream.feed_data(
        b"--b\r\nContent-Type: text/x\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Length: 8\r\n\r\nYWJj\nZA==\r\n--b--\r\n"
    )
    stream.feed_eof()
    reader = MultipartReader({"Content-Type": "multipart/mixed; boundary=b"}, stream)
    part = await reader.next()
    payload = get_payload(part)
    assert isinstance(payload, BodyPartReaderPayload)
    assert dict(payload.headers) == {"Content-Type": "text/x"}
    assert payload.size is None
    assert not payload.replayable
    with pytest.raises(TypeError):
        payload.decode()
    assert await payload.as_bytes() == b"abcd"
    assert payload.replayable

    other = BodyPartReaderPayload(part, headers={"Content-Type": "text/y"})
    assert dict(other.headers) == {"Content-Type": "text/y"}
