from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import anyio
import multipart
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, MultiDict, MultiDictProxy
from werkzeug.formparser import MultiPartParser

from httpcore_proto.aio import (
    BytesPayload,
    FormData,
    JsonPayload,
    MultipartReader,
    MultipartWriter,
    Payload,
    PayloadConsumedError,
    StreamReader,
    StringPayload,
)


async def body_of(form: FormData) -> bytes:
    """Return the body as it is sent, which is not `as_bytes`."""

    class Writer:
        async def write(self, chunk: bytes) -> None:
            body.extend(chunk)

    body = bytearray()
    payload = form()
    await payload.write(Writer())
    assert payload.size in (None, len(body))
    return bytes(body)


async def parts_of(form: FormData) -> list[tuple[str, str, bytes]]:
    """Return disposition, type and body of each part, read by our own reader."""
    stream = StreamReader(None)
    stream.feed_data(await body_of(form))
    stream.feed_eof()
    found = []
    async for part in MultipartReader(form().headers, stream):
        assert not isinstance(part, MultipartReader)
        assert "Content-Length" not in part.headers
        headers = part.headers
        found.append(
            (headers["Content-Disposition"], headers["Content-Type"], bytes(await part.read()))
        )
    return found


async def pieces() -> AsyncIterator[bytes]:
    yield b"a"
    yield b"b"


# Urlencoded.


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ((), b""),
        ([], b""),
        ({}, b""),
        ({"a": "b", "c": "d e&f=g"}, b"a=b&c=d+e%26f%3Dg"),
        ([("a", "b"), ["a", "c"]], b"a=b&a=c"),
        ((("b", "1"), ("a", "2")), b"b=1&a=2"),
        (MultiDict([("a", "b"), ("c", "d"), ("a", "e")]), b"a=b&c=d&a=e"),
        (CIMultiDict([("A", "b"), ("a", "c")]), b"A=b&a=c"),
        ([("x", "0"), MultiDictProxy(MultiDict(a="b")), ("y", "1")], b"x=0&a=b&y=1"),
        ([{"a": "b"}, ("c", "d")], b"a=b&c=d"),
        ({"a": ["1", "2"], "b": ("3",)}, b"a=1&a=2&b=3"),
        ({"a": 1, "b": 2.5}, b"a=1&b=2.5"),
        ({"ü": "ß"}, b"%C3%BC=%C3%9F"),
        ({"a": b"\xff raw"}, b"a=%FF+raw"),
        ({"": ""}, b"="),
    ],
)
async def test_plain_fields_are_urlencoded(fields: Any, body: bytes) -> None:
    form = FormData(fields)
    assert not form.is_multipart
    for _ in range(2):
        payload = form()
        assert payload.content_type == "application/x-www-form-urlencoded"
        assert payload.size == len(body)
        assert await body_of(form) == body


@pytest.mark.parametrize(
    ("charset", "content_type", "body"),
    [
        ("utf-8", "application/x-www-form-urlencoded", b"a=%C3%BC"),
        ("UTF-8", "application/x-www-form-urlencoded", b"a=%C3%BC"),
        ("latin-1", "application/x-www-form-urlencoded; charset=latin-1", b"a=%FC"),
    ],
)
async def test_charset_of_an_urlencoded_form(charset: str, content_type: str, body: bytes) -> None:
    form = FormData({"a": "ü"}, charset=charset)
    assert form().content_type == content_type
    assert await body_of(form) == body


def test_charset_that_lacks_a_character() -> None:
    with pytest.raises(UnicodeEncodeError):
        FormData({"a": "ő"}, charset="latin-1")()


@given(st.lists(st.tuples(st.text("aü =&+%;\u20ac"), st.text("aü =&+%;\u20ac\n")), max_size=5))
def test_urlencoded_form_is_read_back(fields: list[tuple[str, str]]) -> None:
    body = anyio.run(body_of, FormData(fields)).decode("ascii")
    assert parse_qsl(body, keep_blank_values=True) == fields


# What makes a form multipart.


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ("text", {"content_type": "a/b"}),
        ("text", {"filename": "f"}),
        (b"raw", {"filename": "f"}),
        (io.BytesIO(b"raw"), {}),
        (io.StringIO("text"), {}),
        (Path("x"), {}),
        (BytesPayload(b"raw"), {}),
        (StreamReader(None), {}),
        (pieces(), {}),
    ],
)
def test_form_becomes_multipart(value: Any, options: dict[str, Any]) -> None:
    form = FormData({"a": "b"})
    form.add_field("f", value, **options)
    assert form.is_multipart


async def test_temporary_files_are_files() -> None:
    kinds: list[Any] = [tempfile.SpooledTemporaryFile, tempfile.NamedTemporaryFile]
    for kind in kinds:
        with kind() as file:
            file.write(b"abc")
            file.seek(1)
            form = FormData({"f": file})
            assert form.is_multipart
            assert [part[2] for part in await parts_of(form)] == [b"bc"]


def test_form_that_is_multipart_anyway() -> None:
    form = FormData({"a": "b"}, default_to_multipart=True)
    assert form.is_multipart
    assert form().content_type.startswith("multipart/form-data; boundary=")
    assert FormData(default_to_multipart=True)().size


async def test_bytes_alone_are_a_plain_field() -> None:
    """aiohttp makes a file of them, named like the field, and says not to rely on it."""
    form = FormData([("a", b"raw")])
    assert not form.is_multipart
    form = FormData([("a", b"raw")], default_to_multipart=True)
    assert await parts_of(form) == [
        ('form-data; name="a"', "application/octet-stream", b"raw"),
    ]


# Multipart.


async def test_parts_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(b"png")
    form = FormData(
        [
            ("text", "ü"),
            ("file", path.open("rb")),
            {"more": "x"},
            path,
            ("buffer", io.BytesIO(b"raw")),
            io.BytesIO(b"unnamed"),
            anyio.wrap_file(path.open("rb")),
        ]
    )
    form.add_field("typed", b"<p>", content_type="text/html")
    form.add_field("named", "text", filename="a b.txt")
    form.add_field("both", path, content_type="a/b", filename="ü")
    form.add_field("stream", pieces(), filename="s")
    form.add_field("json", JsonPayload([1]))
    form.add_field("json2", StringPayload("[2]"), content_type="application/json")
    assert await parts_of(form) == [
        ('form-data; name="text"', "text/plain; charset=utf-8", "ü".encode()),
        ('form-data; name="file"; filename="p.png"', "image/png", b"png"),
        ('form-data; name="more"', "text/plain; charset=utf-8", b"x"),
        ('form-data; name="p.png"; filename="p.png"', "image/png", b"png"),
        ('form-data; name="buffer"; filename="buffer"', "application/octet-stream", b"raw"),
        ('form-data; name="unknown"; filename="unknown"', "application/octet-stream", b"unnamed"),
        ('form-data; name="p.png"; filename="p.png"', "image/png", b"png"),
        ('form-data; name="typed"', "text/html", b"<p>"),
        ('form-data; name="named"; filename="a%20b.txt"', "text/plain; charset=utf-8", b"text"),
        ('form-data; name="both"; filename="%C3%BC"', "a/b", b"png"),
        ('form-data; name="stream"; filename="s"', "application/octet-stream", b"ab"),
        ('form-data; name="json"', "application/json", b"[1]"),
        ('form-data; name="json2"', "application/json", b"[2]"),
    ]
    await form().close()


@pytest.mark.parametrize(
    ("quote_fields", "disposition"),
    [
        # RFC 7578 section 4.2 has no `name*`, which aiohttp writes.
        (True, 'form-data; name="ü"; filename="%C3%A4%22.txt"'),
        (False, 'form-data; name="ü"; filename="ä\\".txt"'),
    ],
)
async def test_quoting_of_names(quote_fields: bool, disposition: str) -> None:
    form = FormData(quote_fields=quote_fields)
    form.add_field("ü", "x", filename='ä".txt')
    assert [part[0] for part in await parts_of(form)] == [disposition]


async def test_charset_of_a_multipart_form() -> None:
    form = FormData({"a": "ü"}, charset="latin-1", default_to_multipart=True)
    form.add_field("b", "ü", content_type="text/html; charset=utf-8")
    parts = await parts_of(form)
    assert parts[0] == ('form-data; name="a"', "text/plain; charset=latin-1", b"\xfc")


@pytest.mark.parametrize("value", [1, None, object(), ["a"], {"a": "b"}])
def test_value_that_no_part_can_be_made_of(value: object) -> None:
    form = FormData([("secret", value)], default_to_multipart=True)
    name = type(value).__name__
    with pytest.raises(TypeError, match=f"^form field 'secret': cannot send {name}$"):
        form()


async def test_file_that_is_longer_than_nothing_has_no_length_in_its_part() -> None:
    """#13758: a part of `Content-Length: 0` was read as if it had no length."""
    form = FormData()
    form.add_field("f", io.BytesIO(), filename="empty")
    form.add_field("p", BytesPayload(b"", headers={"Content-Length": "0"}))
    assert [part[2] for part in await parts_of(form)] == [b"", b""]


async def test_nested_writer() -> None:
    inner = MultipartWriter("mixed", boundary="inner")
    inner.append("x")
    form = FormData([("files", inner)])
    assert form.is_multipart
    body = await body_of(form)
    assert b'name="files"\r\n\r\n--inner\r\n' in body
    assert form().size == len(body)


# Again.


async def test_second_call_returns_the_same_writer(tmp_path: Path) -> None:
    """#13330: what a retry sent was cut."""
    path = tmp_path / "f"
    path.write_bytes(b"abc" * 1000)
    form = FormData({"a": "b", "f": path.open("rb")})
    assert form() is form()
    body = await body_of(form)
    assert await body_of(form) == body
    assert form().replayable
    await form().close()


async def test_second_call_with_a_generator() -> None:
    """RC-07: the field was empty the second time."""
    form = FormData({"a": pieces()})
    assert b"ab" in await body_of(form)
    with pytest.raises(PayloadConsumedError):
        await body_of(form)


async def test_field_that_is_added_between_two_calls() -> None:
    form = FormData({"a": "1"})
    assert await body_of(form) == b"a=1"
    form.add_field("b", "2", filename="f")
    writer = form()
    assert isinstance(writer, MultipartWriter)
    assert len(writer) == 2
    form.add_field("c", "3")
    assert form() is writer
    assert [part[2] for part in await parts_of(form)] == [b"1", b"2", b"3"]


# What is refused.


@pytest.mark.parametrize("control", ["\r", "\n", "\0", "\x1b", "\x7f", "\r\nX: y"])
@pytest.mark.parametrize("where", ["name", "filename", "content_type"])
def test_control_characters(where: str, control: str) -> None:
    """IN-07: a name could add header fields, or a part."""
    form = FormData()
    arguments: dict[str, str] = {"name": "a", where: f"a/{control}b"}
    with pytest.raises(ValueError, match=f"{where} of a form field contains the control character"):
        form.add_field(value="x", **arguments)
    assert not form.is_multipart
    assert form().size == 0


@pytest.mark.parametrize("text", ['"', "\\", "%", ",;", " ", "\u00fc", "\u212a", "'", ".gz", "a:"])
@pytest.mark.parametrize("quote_fields", [True, False])
async def test_hostile_names_that_are_long(text: str, quote_fields: bool) -> None:
    form = FormData(quote_fields=quote_fields)
    name = text * (100_000 // len(text))
    form.add_field(name, "x", filename=name)
    form.add_field("f", BytesPayload(b"x", filename=name))
    assert (await body_of(form)).count(b"\r\n\r\nx\r\n") == 2


def test_control_characters_in_the_name_of_a_file() -> None:
    file = io.BytesIO()
    file.name = "a\r\nX: y"
    with pytest.raises(ValueError, match="filename of a form field contains"):
        FormData({"a": file})


@pytest.mark.parametrize("where", ["name", "filename", "content_type"])
@pytest.mark.parametrize("value", [b"a", 1, ["a"]])
def test_names_of_other_types(where: str, value: object) -> None:
    """S131"""
    arguments: dict[str, Any] = {"name": "a", "value": "x", where: value}
    with pytest.raises(TypeError, match=f"{where} of a form field must be str"):
        FormData().add_field(**arguments)


@pytest.mark.parametrize(
    "fields",
    ["ab", b"ab", 1, None, ["ab"], [("a",)], [("a", "b", "c")], ("a", "b"), [{"a", "b"}], iter([])],
)
def test_fields_of_other_types(fields: Any) -> None:
    with pytest.raises(TypeError, match="pairs of name and value, mappings and files, not of"):
        FormData(fields)


def test_content_type_that_is_no_media_type_is_sent_as_it_is() -> None:
    form = FormData()
    form.add_field("a", "x", content_type="none")
    assert isinstance(form(), Payload)


# Other parsers as oracles.


def found_by_multipart(sent: bytes, boundary: str) -> list[tuple[str, str | None, bytes]]:
    parser = multipart.MultipartParser(io.BytesIO(sent), boundary, len(sent), strict=True)
    return [(part.name, part.filename, part.raw) for part in parser.parts()]


def found_by_werkzeug(
    sent: bytes, boundary: str
) -> tuple[list[tuple[str, str]], list[tuple[str, str | None, bytes]]]:
    parser = MultiPartParser(lambda *_, **__: io.BytesIO())
    fields, files = parser.parse(io.BytesIO(sent), boundary.encode(), len(sent))
    return (
        list(fields.items(True)),
        [(name, file.filename, file.read()) for name, file in files.items(True)],
    )


#: What all agree on how to read. See below for the rest.
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters='"\\%'),
    min_size=1,
    max_size=9,
)


@given(
    st.lists(st.tuples(NAMES, NAMES | st.none(), st.binary(max_size=60)), min_size=1, max_size=5)
)
def test_other_parsers_find_the_same_parts(fields: list[tuple[str, str | None, bytes]]) -> None:
    form = FormData(quote_fields=False, default_to_multipart=True)
    for name, filename, body in fields:
        form.add_field(name, body, filename=filename)
    sent = anyio.run(body_of, form)
    writer = form()
    assert isinstance(writer, MultipartWriter)
    assert found_by_multipart(sent, writer.boundary) == fields
    # It keeps files apart, sorts by name, and reads fields as text.
    plain, files = found_by_werkzeug(sent, writer.boundary)
    assert sorted(files, key=repr) == sorted([item for item in fields if item[1]], key=repr)
    assert sorted(plain) == sorted(
        (name, body.decode("utf-8", "replace")) for name, filename, body in fields if not filename
    )


@pytest.mark.parametrize(
    ("quote_fields", "name", "filename", "by_multipart", "by_werkzeug"),
    [
        # As browsers write them (WHATWG HTML), %22, %0D and %0A stand for themselves no more.
        (False, "%22", "%0D", ('"', "\r"), ('"', "%0D")),
        # A file name that is percent-encoded as a whole (aiohttp) is decoded by nobody.
        (True, "a", "b c", ("a", "b%20c"), ("a", "b%20c")),
        (True, "a%22", "%", ('a"', "%25"), ('a"', "%25")),
        (True, "\u00fc", "x", ("\u00fc", "x"), ("\u00fc", "x")),
        (False, "\u00fc", "\u00fc", ("\u00fc", "\u00fc"), ("\u00fc", "\u00fc")),
        (False, 'a"b', 'c"d', ('a"b', 'c"d'), ('a"b', 'c"d')),
        # A backslash is escaped in a quoted-string (RFC 9110), and by no browser.
        (False, "a\\b", "c\\d", ("a\\\\b", "c\\\\d"), ("a\\b", "c\\d")),
    ],
)
async def test_names_that_other_parsers_read_differently(
    quote_fields: bool,
    name: str,
    filename: str,
    by_multipart: tuple[str, str] | None,
    by_werkzeug: tuple[str, str],
) -> None:
    form = FormData(quote_fields=quote_fields)
    form.add_field(name, b"x", filename=filename)
    writer = form()
    assert isinstance(writer, MultipartWriter)
    sent = await body_of(form)
    if by_multipart is None:
        with pytest.raises(multipart.StrictParserError):
            found_by_multipart(sent, writer.boundary)
    else:
        assert found_by_multipart(sent, writer.boundary) == [(*by_multipart, b"x")]
    assert found_by_werkzeug(sent, writer.boundary) == ([], [(*by_werkzeug, b"x")])
