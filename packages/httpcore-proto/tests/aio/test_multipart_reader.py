from __future__ import annotations

import base64
import gzip
import quopri
import zlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio
import pytest
from multidict import CIMultiDict

from httpcore_proto import ContentEncodingError, LineTooLong, MultipartError
from httpcore_proto.aio import (
    BodyPartReader,
    MultipartReader,
    MultipartResponseWrapper,
    StreamReader,
)

FORM = 'multipart/form-data; boundary="b"'
MIXED = "multipart/mixed; boundary=b"


class Content:
    """A body that comes in pieces, each after a turn of the event loop."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = [piece for piece in pieces if piece]
        self.reads = 0

    async def readany(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        self.reads += 1
        return self.pieces.pop(0) if self.pieces else b""


def body(*parts: tuple[dict[str, str], bytes], boundary: str = "b") -> bytes:
    """Return a multipart body, written out here so that the writer is not its own judge."""
    pieces = [
        f"--{boundary}\r\n".encode()
        + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        + b"\r\n"
        + data
        + b"\r\n"
        for headers, data in parts
    ]
    return b"".join(pieces) + f"--{boundary}--\r\n".encode()


def field(name: str, data: bytes, **more: str) -> tuple[dict[str, str], bytes]:
    headers = {"Content-Disposition": f'form-data; name="{name}"'}
    headers |= {key.replace("_", "-"): value for key, value in more.items()}
    return headers, data


def reader(
    data: bytes, content_type: str = MIXED, step: int = 0, **options: Any
) -> MultipartReader:
    step = step or len(data) or 1
    content = Content(data[at : at + step] for at in range(0, len(data), step))
    return MultipartReader({"Content-Type": content_type}, content, **options)


async def only_part(
    headers: dict[str, str], data: bytes, content_type: str = MIXED, **options: Any
) -> BodyPartReader:
    part = await reader(body((headers, data)), content_type, **options).next()
    assert isinstance(part, BodyPartReader)
    return part


# Parts in their order.


@pytest.mark.parametrize("step", [0, 1, 3, 7])
async def test_parts_come_in_order_with_headers_name_and_filename(step: int) -> None:
    form = reader(
        b"preamble\r\n"
        + body(
            field("a", b"1\r\n2"),
            (
                {
                    "Content-Disposition": 'form-data; name="f"; filename="x.txt"',
                    "Content-Type": "text/plain; charset=latin-1",
                },
                b"\xe4",
            ),
            ({}, b""),
        )
        + b"epilogue",
        FORM,
        step,
    )
    assert form.headers["Content-Type"] == FORM
    seen = []
    async for part in form:
        assert isinstance(part, BodyPartReader)
        seen.append((part.name, part.filename, str(part.content_type), await part.text()))
    octets = "application/octet-stream"
    assert seen == [
        ("a", None, octets, "1\r\n2"),
        ("f", "x.txt", "text/plain; charset=latin-1", "ä"),
        (None, None, octets, ""),
    ]
    assert form.at_eof()
    assert await form.next() is None


async def test_what_is_not_read_is_skipped_and_an_old_part_is_ended() -> None:
    data = body(field("a", b"a" * 50), field("b", b"b" * 50), field("c", b"c"))
    form = reader(data, FORM, 10)
    first = await form.next()
    assert isinstance(first, BodyPartReader)
    assert (await first.read_chunk(5)).strip(b"a") == b""
    second = await form.next()
    assert isinstance(second, BodyPartReader)
    # What the first part had at hand may still be read, of the second it gets nothing.
    assert (await first.read()).strip(b"a") == b""
    assert await second.read() == b"b" * 50
    assert await second.read() == b""
    assert second.at_eof()
    third = await form.next()
    assert isinstance(third, BodyPartReader)
    await third.release()
    assert third.at_eof()
    assert await form.next() is None


async def test_release_reads_to_the_end_of_the_content() -> None:
    content = Content([body(field("a", b"1"), field("b", b"2")), b"epilogue", b"more"])
    form = MultipartReader({"Content-Type": FORM}, content)
    await form.release()
    assert form.at_eof()
    assert content.pieces == []


async def test_cancelled_reads_lose_nothing() -> None:
    form = reader(body(field("a", b"0123456789"), field("b", b"x")), FORM, 1)
    parts: dict[str | None, bytes] = {}
    part: Any = None
    while not form.at_eof():
        with anyio.CancelScope() as scope:
            scope.cancel()
            part = await form.next()
        with anyio.CancelScope() as scope:
            part = await form.next()
        if part is None:
            break
        read = b""
        while not part.at_eof():
            with anyio.CancelScope() as scope:
                scope.cancel()
                read += await part.readany()
            read += await part.readany()
        parts[part.name] = read
    assert parts == {"a": b"0123456789", "b": b"x"}


@pytest.mark.parametrize("step", [0, 1, 5])
async def test_nested_bodies_share_the_stream(step: int) -> None:
    inner = body(({"A": "1"}, b"one"), ({"A": "2"}, b"two"), boundary="inner")
    outer = reader(
        body(
            ({"Content-Type": "multipart/mixed; boundary=inner"}, inner),
            ({"A": "3"}, b"three"),
            ({"Content-Type": "multipart/mixed; boundary=inner"}, inner),
            ({"A": "4"}, b"four"),
        ),
        step=step,
    )
    nested = await outer.next()
    assert isinstance(nested, MultipartReader)
    assert [await part.read() async for part in nested if isinstance(part, BodyPartReader)] == [
        b"one",
        b"two",
    ]
    third = await outer.next()
    assert isinstance(third, BodyPartReader)
    assert await third.read() == b"three"
    skipped = await outer.next()
    assert isinstance(skipped, MultipartReader)
    assert await skipped.next() is not None
    fourth = await outer.next()
    assert isinstance(fourth, BodyPartReader)
    assert await fourth.text() == "four"
    assert await outer.next() is None


async def test_nesting_is_bounded() -> None:
    data, depth = b"deep", 0
    for depth in range(7):
        kind = f"multipart/mixed; boundary=b{depth}"
        data = body(
            ({"Content-Type": f"multipart/mixed; boundary=b{depth - 1}"}, data),
            boundary=f"b{depth}",
        )
    part: Any = MultipartReader({"Content-Type": kind}, Content([data]))
    with pytest.raises(MultipartError, match="max_depth") as caught:
        for _ in range(depth):
            part = await part.next()
    assert caught.value.rule == "multipart-depth"
    assert caught.value.status_hint == 413

    shallow: Any = MultipartReader({"Content-Type": kind}, Content([data]), max_depth=9)
    for _ in range(depth):
        shallow = await shallow.next()
        assert isinstance(shallow, MultipartReader)


async def test_classes_of_readers_can_be_set() -> None:
    class Part(BodyPartReader):
        pass

    class Nested(MultipartReader):
        part_reader_cls = Part

    class Outer(MultipartReader):
        multipart_reader_cls = Nested

    inner = body(({}, b"x"), boundary="inner")
    outer = Outer(
        {"Content-Type": MIXED},
        Content([body(({"Content-Type": "multipart/mixed; boundary=inner"}, inner))]),
    )
    nested = await outer.next()
    assert type(nested) is Nested
    assert type(await nested.next()) is Part


# What is refused.


@pytest.mark.parametrize(
    ("content_type", "rule", "status"),
    [
        ("", "multipart-type", 415),
        ("text/plain", "multipart-type", 415),
        ("multipart/form-data", "multipart-boundary", 400),
        ("multipart/form-data; boundary=", "multipart-boundary", 400),
        (f"multipart/form-data; boundary={'x' * 71}", "multipart-boundary", 400),
        ('multipart/form-data; boundary="a\u00e4"', "multipart-boundary", 400),
    ],
)
async def test_content_type_must_be_multipart_with_a_boundary(
    content_type: str, rule: str, status: int
) -> None:
    with pytest.raises(MultipartError) as caught:
        reader(b"", content_type)
    assert (caught.value.rule, caught.value.status_hint) == (rule, status)
    assert isinstance(caught.value, ValueError)


async def test_malformed_bodies_raise_what_the_parser_does() -> None:
    with pytest.raises(MultipartError, match="no delimiter"):
        await reader(b"nothing").next()
    part = await reader(b"--b\r\n\r\ncut").next()
    assert isinstance(part, BodyPartReader)
    with pytest.raises(MultipartError, match="ended"):
        await part.read()
    with pytest.raises(LineTooLong, match="max_field_size=20"):
        await reader(body(({"A": "x" * 30}, b"")), max_field_size=20).next()
    with pytest.raises(LineTooLong, match="max_part_headers=2"):
        await reader(body(({"A": "", "B": "", "C": ""}, b"")), max_headers=2).next()
    few = reader(body(({}, b""), ({}, b"")), max_parts=1)
    await few.next()
    with pytest.raises(MultipartError, match="max_parts=1"):
        await few.next()


async def test_content_length_of_a_part_is_digits_but_in_a_form() -> None:
    for bad in ("+1", "1_0", "\u0661", "x", ""):
        with pytest.raises(MultipartError, match="Content-Length"):
            await reader(body(({"Content-Length": bad}, b"x"))).next()
        part = await reader(body(field("a", b"x", Content_Length=bad)), FORM).next()
        assert isinstance(part, BodyPartReader)
        assert await part.read() == b"x"
    # The boundary alone tells where a part ends.
    part = await reader(body(({"Content-Length": "0"}, b"xyz"))).next()
    assert isinstance(part, BodyPartReader)
    assert await part.read() == b"xyz"


async def test_size_of_a_part_is_bounded_decoded_or_not() -> None:
    assert await (await only_part({}, b"12345", client_max_size=5)).read() == b"12345"
    assert await (await only_part({}, b"12345", client_max_size=0)).read() == b"12345"
    with pytest.raises(MultipartError, match="client_max_size=4") as caught:
        await (await only_part({}, b"12345", client_max_size=4)).read()
    assert (caught.value.value, caught.value.allowed, caught.value.status_hint) == (5, 4, 413)
    packed = gzip.compress(b"x" * 10000)
    part = await only_part({"Content-Encoding": "gzip"}, packed, client_max_size=5000)
    with pytest.raises(MultipartError, match="client_max_size=5000"):
        await part.read(decode=True)

    class TooLarge(Exception):
        pass

    part = await only_part({}, b"12345", client_max_size=4, max_size_error_cls=TooLarge)
    with pytest.raises(TooLarge, match="4"):
        await part.read()


# Reading one part.


@pytest.mark.parametrize("step", [1, 4, 0])
async def test_chunks_and_lines(step: int) -> None:
    data = b"one\ntwo\r\n\nthree"
    form = reader(body(({}, data), ({}, data), ({}, data)), step=step)
    chunks, lines = [], []
    part = await form.next()
    assert isinstance(part, BodyPartReader)
    while not part.at_eof():
        chunks.append(await part.read_chunk(4))
    assert b"".join(chunks) == data
    assert max(map(len, chunks)) <= 4
    part = await form.next()
    assert isinstance(part, BodyPartReader)
    while line := await part.readline():
        lines.append(line)
    assert lines == [b"one\n", b"two\r\n", b"\n", b"three"]
    part = await form.next()
    assert isinstance(part, BodyPartReader)
    assert await part.readline() == b"one\n"
    assert [rest async for rest in part] == [data[4:]]
    assert await part.next() is None


async def test_chunk_size_is_8192_unless_told() -> None:
    part = await only_part({}, b"x" * 9000)
    assert part.chunk_size == 8192
    assert len(await part.read_chunk()) == 8192
    assert len(await part.read_chunk()) == 808
    assert await part.read_chunk() == b""
    with pytest.raises(ValueError, match="at least 1"):
        await part.read_chunk(0)


async def test_line_is_bounded() -> None:
    part = await only_part({}, b"1234\n12345\n")
    assert await part.readline(max_line_length=5) == b"1234\n"
    with pytest.raises(LineTooLong, match="max_line_length=5"):
        await part.readline(max_line_length=5)


TEXT = b"any \xff carnal = pleas.\r\n" * 40


async def test_coded_chunk_that_is_cut_is_returned_as_it_is() -> None:
    for encoding, data in (("base64", b"YQ"), ("quoted-printable", b"=4")):
        part = await only_part({"Content-Transfer-Encoding": encoding}, data)
        assert await part.read_chunk() == data
        assert await part.read_chunk() == b""


async def test_coded_bytes_that_decode_to_nothing_are_no_end() -> None:
    form = reader(
        body(({"Content-Transfer-Encoding": "base64"}, b"\n\n\n\nYWJj")),
        step=1,
    )
    part = await form.next()
    assert isinstance(part, BodyPartReader)
    assert await part.read(decode=True) == b"abc"
    # The header of a gzip stream decodes to nothing, too.
    form = reader(body(({"Content-Encoding": "gzip"}, gzip.compress(b"abc"))), step=1)
    part = await form.next()
    assert isinstance(part, BodyPartReader)
    assert await part.read(decode=True) == b"abc"


@pytest.mark.parametrize("step", [1, 2, 3, 0])
@pytest.mark.parametrize("size", [1, 3, 5, 100])
@pytest.mark.parametrize(
    ("encoding", "coded", "decoded"),
    [
        ("BASE64", base64.encodebytes(TEXT), TEXT),
        ("base64", base64.b64encode(TEXT) + b"\n" * 50, TEXT),
        ("base64", b"Y\n \nWFhYQ\n=\t=", b"aaaa"),
        ("quoted-printable", quopri.encodestring(TEXT), TEXT.replace(b"\r\n", b"\r\n")),
        ("quoted-printable", b"a=\r\nb=3D", b"ab="),
        ("8bit", TEXT, TEXT),
    ],
)
async def test_each_chunk_can_be_decoded_by_itself(
    step: int, size: int, encoding: str, coded: bytes, decoded: bytes
) -> None:
    """A chunk of base64 that ended within four characters could not be decoded (#13509)."""
    form = reader(body(({"Content-Transfer-Encoding": encoding}, coded)), step=step)
    part = await form.next()
    assert isinstance(part, BodyPartReader)
    result = b""
    while chunk := await part.read_chunk(size):
        result += part.decode(chunk)
    assert result == decoded


async def test_whitespace_in_base64_is_not_collected() -> None:
    """Blanks between the characters of a quartet must not grow what is held."""
    part = await only_part({"Content-Transfer-Encoding": "base64"}, b"Y" + b"\n" * 10**6 + b"Q==")
    assert (await part.read(decode=True)) == b"a"


@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("Deflate", zlib.compress(TEXT)),
        ("identity", TEXT),
        ("gzip, deflate", zlib.compress(gzip.compress(TEXT))),
    ],
)
async def test_content_codings_are_undone_but_in_a_form(coding: str, coded: bytes) -> None:
    headers = {"Content-Encoding": coding}
    assert await (await only_part(headers, coded)).read(decode=True) == TEXT
    assert await (await only_part(headers, coded)).read() == coded
    assert (await only_part(headers, coded)).decode(coded) == TEXT
    pieces = [piece async for piece in (await only_part(headers, coded)).decode_iter(coded)]
    assert b"".join(pieces) == TEXT
    headers["Content-Disposition"] = "form-data; name=a"
    assert await (await only_part(headers, coded, FORM)).read(decode=True) == coded


async def test_both_codings_are_undone() -> None:
    headers = {"Content-Encoding": "gzip", "Content-Transfer-Encoding": "base64"}
    coded = base64.encodebytes(gzip.compress(TEXT * 100))
    assert await (await only_part(headers, coded)).read(decode=True) == TEXT * 100


async def test_what_does_not_fit_its_coding_is_refused() -> None:
    bomb = gzip.compress(bytes(2**18 + 1))
    gzipped = {"Content-Encoding": "gzip"}
    with pytest.raises(ContentEncodingError, match="max_size=262144"):
        (await only_part(gzipped, bomb)).decode(bomb)
    with pytest.raises(ContentEncodingError):
        await (await only_part(gzipped, b"no gzip")).read(decode=True)
    with pytest.raises(ContentEncodingError):
        await (await only_part(gzipped, gzip.compress(TEXT)[:-1])).read(decode=True)
    with pytest.raises(ContentEncodingError):
        await (await only_part({"Content-Encoding": "rot13"}, b"")).read(decode=True)
    for encoding, data in (
        ("base64", b"YQ="),
        ("base64", b"Y"),
        ("base64", b"YQ==YQ=="),
        ("rot13", b""),
    ):
        part = await only_part({"Content-Transfer-Encoding": encoding}, data)
        with pytest.raises(MultipartError) as caught:
            part.decode(data)
        assert caught.value.rule == "multipart-transfer-encoding"


@pytest.mark.parametrize(
    ("headers", "data", "encoding", "text"),
    [
        ({}, "ä".encode(), None, "ä"),
        ({"Content-Type": "text/plain; charset=latin-1"}, b"\xe4", None, "ä"),
        ({"Content-Type": "text/plain; charset=latin-1"}, b"\xc3\xa4", "utf-8", "ä"),
    ],
)
async def test_text_has_the_charset_it_names(
    headers: dict[str, str], data: bytes, encoding: str | None, text: str
) -> None:
    part = await only_part(headers, data)
    assert await part.text(encoding=encoding) == text
    assert part.get_charset("koi8-r") == ("latin-1" if headers else "koi8-r")


@pytest.mark.parametrize("step", [0, 1])
async def test_charset_field_is_for_the_parts_behind_it(step: int) -> None:
    data = body(
        field("_charset_", b"latin-1"),
        field("a", b"\xe4"),
        field("b", "ä".encode(), Content_Type="text/plain; charset=utf-8"),
        field("_charset_", b"again"),
    )
    form = reader(data, FORM, step)
    seen = [
        (part.name, await part.text()) async for part in form if isinstance(part, BodyPartReader)
    ]
    assert seen == [("a", "ä"), ("b", "ä"), ("_charset_", "again")]
    first = await reader(data, FORM).fetch_next_part()
    assert isinstance(first, BodyPartReader)
    assert first.name == "_charset_"


@pytest.mark.parametrize("value", [b"x" * 31, b"utf-8" + b" " * 27, b"\xff", b""])
async def test_charset_field_must_name_a_charset(value: bytes) -> None:
    with pytest.raises(MultipartError, match="_charset_"):
        await reader(body(field("_charset_", value), field("a", b"")), FORM).next()


async def test_unknown_charset_is_the_peers_fault() -> None:
    part = await only_part({"Content-Type": "text/plain; charset=nonsense"}, b"x")
    with pytest.raises(MultipartError, match="nonsense"):
        await part.text()
    part = await only_part({"Content-Type": "text/plain; charset=ascii"}, b"\xff")
    with pytest.raises(UnicodeDecodeError):
        await part.text()


async def test_json_and_form() -> None:
    assert await (await only_part({}, b'{"a": [1]}')).json() == {"a": [1]}
    assert await (await only_part({}, b" ")).json() is None
    assert await (await only_part({}, b'"\xe4"')).json(encoding="latin-1") == "ä"
    with pytest.raises(ValueError, match="Expecting"):
        await (await only_part({}, b"{")).json()
    with pytest.raises(ValueError, match="nested too deeply"):
        await (await only_part({}, b"[" * 10**6)).json()

    pairs = [("a", "1"), ("b", ""), ("ä", "ö")]
    assert await (await only_part({}, b"a=1&b=&%C3%A4=%C3%B6")).form() == pairs
    assert await (await only_part({}, b"%E4=1")).form(encoding="latin-1") == [("ä", "1")]
    with pytest.raises(ValueError, match="decode"):
        await (await only_part({}, b"%E4=1")).form()
    with pytest.raises(ValueError, match="fields"):
        await (await only_part({}, b"a&" * 3)).form(max_fields=2)


# A response.


class Response:
    def __init__(self, content: Content, content_type: str = MIXED) -> None:
        self.headers = CIMultiDict({"Content-Type": content_type})
        self.content = content
        self.released = 0

    async def release(self) -> None:
        self.released += 1


async def test_response_is_released_behind_the_last_part() -> None:
    content = Content([body(({}, b"1"), ({}, b"2")), b"epilogue"])
    response = Response(content)
    parts = MultipartReader.from_response(response)
    assert isinstance(parts, MultipartResponseWrapper)
    assert parts.resp is response
    read = []
    async for part in parts:
        assert isinstance(part, BodyPartReader)
        assert not response.released
        read.append(await part.read())
    assert read == [b"1", b"2"]
    assert parts.at_eof()
    assert response.released == 1
    assert content.pieces == []


async def test_epilogue_of_a_response_is_not_read_for_ever() -> None:
    content = Content([body(({}, b"1")), *[b"x" * 1024] * 100])
    parts = MultipartReader.from_response(Response(content))
    await parts.next()
    assert await parts.next() is None
    assert len(content.pieces) == 100 - 64


async def test_stream_reader_is_a_content() -> None:
    stream = StreamReader(None)
    stream.feed_data(body(field("a", b"1")))
    stream.feed_eof()
    part = await MultipartReader({"Content-Type": FORM}, stream).next()
    assert isinstance(part, BodyPartReader)
    assert await part.read() == b"1"


Reader = Callable[[], Awaitable[Any]]


@pytest.mark.parametrize("method", ["next", "release", "fetch_next_part"])
async def test_error_of_the_content_comes_through(method: str) -> None:
    stream = StreamReader(None)
    stream.set_exception(OSError("gone"))
    form = MultipartReader({"Content-Type": FORM}, stream)
    call: Reader = getattr(form, method)
    with pytest.raises(OSError, match="gone"):
        await call()
