from __future__ import annotations

import base64
import email
import email.policy
import gzip
import quopri
import zlib
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from httpcore_proto import LocalProtocolError
from httpcore_proto.aio import (
    AbstractStreamWriter,
    AsyncIterablePayload,
    BytesPayload,
    MultipartReader,
    MultipartWriter,
    Payload,
    PayloadConsumedError,
    PayloadLookupError,
    PayloadSizeError,
    StreamReader,
    get_payload,
)


class Writer:
    """Collects what is written."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        assert type(chunk) is bytes
        assert chunk, "an empty chunk is the end in chunked framing"
        self.pieces.append(chunk)


async def written(payload: Payload, length: int | None = None) -> bytes:
    writer = Writer()
    if length is None:
        await payload.write(writer)
    else:
        await payload.write_with_length(writer, length)
    return b"".join(writer.pieces)


async def pieces(*items: bytes) -> AsyncIterator[bytes]:
    for item in items:
        await anyio.lowlevel.checkpoint()
        yield item


async def received(writer: MultipartWriter) -> list[tuple[dict[str, str], bytes]]:
    """Send a body and return what our own reader finds, decoded."""
    stream = StreamReader(None)
    stream.feed_data(await written(writer))
    stream.feed_eof()
    found = []
    async for part in MultipartReader(writer.headers, stream):
        assert not isinstance(part, MultipartReader)
        found.append((dict(part.headers), await part.read(decode=True)))
    return found


def bodies_in_mail(writer: MultipartWriter, body: bytes) -> list[bytes]:
    """Return the bodies of the parts as the standard library's mail parser finds them."""
    head = f"Content-Type: {writer.content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    assert message.is_multipart()
    assert not message.defects
    return [part.get_payload(decode=True) for part in message.iter_parts()]  # type: ignore[misc]


# The bytes.


async def test_bytes_of_a_body() -> None:
    writer = MultipartWriter(boundary="b")
    assert writer.content_type == "multipart/mixed; boundary=b"
    writer.append("text")
    writer.append(b"", {"X": "y"})
    writer.append_json([1])
    expected = (
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\ntext\r\n"
        b"--b\r\nX: y\r\nContent-Type: application/octet-stream\r\nContent-Length: 0\r\n\r\n\r\n"
        b"--b\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]\r\n"
        b"--b--\r\n"
    )
    assert await written(writer) == expected
    assert writer.size == len(expected)
    assert writer.decode() == expected.decode()
    assert await writer.as_bytes() == expected
    for length in range(len(expected) + 2):
        assert await written(writer, length) == expected[:length]


async def test_body_without_parts() -> None:
    writer = MultipartWriter(boundary="b")
    assert await written(writer) == b"--b--\r\n"
    assert writer.size == 7
    assert writer
    assert (writer.replayable, writer.consumed, writer.autoclose) == (True, False, True)


async def test_body_without_end() -> None:
    """As multipart/x-mixed-replace is streamed: one writer per picture."""
    writer = MultipartWriter("x-mixed-replace", boundary="b")
    writer.append(b"x", {"Content-Type": "image/png"})
    collected = Writer()
    for _ in range(2):
        await writer.write(collected, close_boundary=False)
    await MultipartWriter(boundary="b").write(collected, close_boundary=False)
    part = b"--b\r\nContent-Type: image/png\r\nContent-Length: 1\r\n\r\nx\r\n"
    assert b"".join(collected.pieces) == part * 2


async def test_the_documented_example(tmp_path: Path) -> None:
    """S102: each part has its own headers, whichever way it was added."""
    (tmp_path / "a.png").write_bytes(b"png")
    with MultipartWriter("mixed") as writer, (tmp_path / "a.png").open("rb") as file:
        writer.append("hello")
        writer.append(b"raw", {"Content-Type": "image/gif"})
        writer.append_json({"a": "b"})
        writer.append_form([("a", "b c"), ("ü", "1")])
        part = writer.append(file)
        part.set_content_disposition("attachment", filename="other.png")
        part.headers["Content-ID"] = "X-12345"
        with MultipartWriter("related") as inner:
            writer.append(inner)
            inner.append("inside")
        assert len(writer) == 6
        parts = await received_nested(writer)
        assert [(body, headers["Content-Type"].split(";")[0]) for headers, body in parts] == [
            (b"hello", "text/plain"),
            (b"raw", "image/gif"),
            (b'{"a": "b"}', "application/json"),
            (b"a=b+c&%C3%BC=1", "application/x-www-form-urlencoded"),
            (b"png", "image/png"),
            (b"inside", "text/plain"),
        ]
        headers = parts[4][0]
        assert headers["Content-Disposition"] == 'attachment; filename="other.png"'
        assert headers["Content-ID"] == "X-12345"
        assert writer.size == len(await writer.as_bytes())


async def received_nested(writer: MultipartWriter) -> list[tuple[dict[str, str], bytes]]:
    stream = StreamReader(None)
    stream.feed_data(await written(writer))
    stream.feed_eof()
    found = []
    async for part in MultipartReader(writer.headers, stream):
        if isinstance(part, MultipartReader):
            async for inner in part:
                assert not isinstance(inner, MultipartReader)
                found.append((dict(inner.headers), await inner.read()))
        else:
            found.append((dict(part.headers), await part.read()))
    return found


def test_iteration_gives_payloads_and_codings() -> None:
    writer = MultipartWriter()
    plain = writer.append("a")
    coded = writer.append("b", {"Content-Encoding": "GZIP", "Content-Transfer-Encoding": "Base64"})
    identity = writer.append(
        "c", {"Content-Encoding": "identity", "Content-Transfer-Encoding": "binary"}
    )
    assert list(writer) == [(plain, "", ""), (coded, "gzip", "base64"), (identity, "", "")]


def test_append_takes_what_the_registry_knows(tmp_path: Path) -> None:
    writer = MultipartWriter()
    payload = BytesPayload(b"x")
    assert writer.append(payload, {"X": "y"}) is payload
    assert payload.headers["X"] == "y"
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    disposition = writer.append(path).headers["Content-Disposition"]
    assert disposition == 'attachment; filename="a.png"'
    with pytest.raises(PayloadLookupError, match="no payload for int"):
        writer.append(1)
    with pytest.raises(TypeError):
        writer.append({"a": "b"})
    assert len(writer) == 2


def test_forms_are_of_mappings_or_pairs() -> None:
    writer = MultipartWriter()
    for form in ({"a": ["1", "2"], "b": "ü"}, [("a", "1"), ("a", "2"), ("b", "ü")]):
        payload = writer.append_form(form, {"X": "y"})
        assert payload.decode() == "a=1&a=2&b=%C3%BC"
        assert payload.headers["X"] == "y"


# Boundaries and heads.


@pytest.mark.parametrize(
    ("boundary", "parameter"),
    [("b", "b"), ("a'b", "a'b"), ("a b", '"a b"'), ("a(b)", '"a(b)"'), ("a:b", '"a:b"')],
)
def test_boundary_is_quoted_where_needed(boundary: str, parameter: str) -> None:
    writer = MultipartWriter(boundary=boundary)
    assert writer.boundary == boundary
    assert writer.content_type == f"multipart/mixed; boundary={parameter}"


@pytest.mark.parametrize("boundary", ["", "a ", "ü", "a\r\nb", "a\0", "x" * 71, "a\tb", 'a"b'])
def test_boundary_that_is_not_allowed(boundary: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        MultipartWriter(boundary=boundary)


@pytest.mark.parametrize("subtype", ["", "a b", "a\r\nX: y", "mixed; boundary=x", "ü"])
def test_subtype_that_is_not_allowed(subtype: str) -> None:
    with pytest.raises(ValueError, match="subtype"):
        MultipartWriter(subtype)


def test_boundaries_differ() -> None:
    assert MultipartWriter().boundary != MultipartWriter().boundary


@pytest.mark.parametrize(
    ("name", "value"),
    [("X", "a\r\nY: b"), ("X", "a\0"), ("X: y\r\nZ", "a"), ("a b", "c"), ("", "")],
)
async def test_head_that_is_not_fit_to_be_sent(name: str, value: str) -> None:
    """IN-07: and nothing of the body is sent before that is noticed."""
    writer = MultipartWriter()
    writer.append("first")
    writer.append("second").headers[name] = value
    collected = Writer()
    with pytest.raises(LocalProtocolError):
        await writer.write(collected)
    assert collected.pieces == []
    with pytest.raises(ValueError, match="field"):
        assert writer.size


@pytest.mark.parametrize(("outer", "inner"), [("b", "b"), ("b", "bc")])
def test_part_whose_boundary_ends_parts_of_the_whole(outer: str, inner: str) -> None:
    writer = MultipartWriter(boundary=outer)
    with pytest.raises(
        ValueError, match=f"boundary '{inner}' of a part would end parts of '{outer}'"
    ):
        writer.append(MultipartWriter(boundary=inner))
    with pytest.raises(ValueError, match="would end parts"):
        writer.append(writer)


# Forms.


def test_parts_of_a_form_have_a_name() -> None:
    writer = MultipartWriter("form-data")
    assert writer.append("a").headers["Content-Disposition"] == 'form-data; name="section-0"'
    named = writer.append("b", {"content-disposition": 'form-data; name="b"'})
    assert named.headers["Content-Disposition"] == 'form-data; name="b"'
    assert writer.append("c").headers["Content-Disposition"] == 'form-data; name="section-2"'
    assert "Content-Length" not in named.headers
    assert MultipartWriter("Form-Data").append("a").headers["Content-Disposition"]


@pytest.mark.parametrize(
    "name", ["Content-Encoding", "content-length", "Content-Transfer-Encoding"]
)
def test_part_of_a_form_has_no_coding_and_no_length(name: str) -> None:
    """RFC 7578 section 4.7; checked also under `python -O`."""
    writer = MultipartWriter("form-data")
    with pytest.raises(ValueError, match="a part of a form must not have Content-"):
        writer.append("a", {name: ""})
    assert len(writer) == 0


# Sizes.


async def test_size_of_nested_writers(tmp_path: Path) -> None:
    """A writer told its length to the outer one before it had parts."""
    path = tmp_path / "f"
    path.write_bytes(bytes(1000))
    outer, inner = MultipartWriter(), MultipartWriter()
    outer.append(inner)
    inner.append(path)
    outer.append(BytesIO(b"abc"))
    inner.append("x")
    body = await written(outer)
    assert outer.size == len(body)
    assert inner.size is not None
    assert "Content-Length" not in inner.headers


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "2"}])
async def test_size_is_unknown_with_a_part_of_unknown_size(headers: dict[str, str]) -> None:
    writer = MultipartWriter()
    writer.append("x")
    part = writer.append(pieces(b"ab"), headers)
    assert writer.size is None
    assert part.headers.get("Content-Length") == headers.get("Content-Length")
    outer = MultipartWriter()
    outer.append(writer)
    assert outer.size is None


async def test_size_with_a_stream_of_announced_size() -> None:
    writer = MultipartWriter()
    writer.append(AsyncIterablePayload(pieces(b"ab", b"cd"), size=4))
    size = writer.size
    assert size == len(await written(writer))


async def test_part_that_changes_its_size(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    writer = MultipartWriter(boundary="b")
    part = writer.append(path)
    size = writer.size
    path.write_bytes(b"abcdef")
    assert part.headers["Content-Length"] == "3"
    assert len(await written(writer)) == size
    path.write_bytes(b"a")
    with pytest.raises(PayloadSizeError):
        await written(writer)


@pytest.mark.parametrize(
    "headers", [{"Content-Encoding": "gzip"}, {"Content-Transfer-Encoding": "base64"}]
)
def test_coded_part_has_no_size(headers: dict[str, str]) -> None:
    writer = MultipartWriter()
    part = writer.append("x", {**headers, "Content-Length": "1"})
    assert writer.size is None
    assert "Content-Length" not in part.headers
    with pytest.raises(TypeError, match="coded part has no text"):
        writer.decode()


# Codings.

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "deflate": zlib.decompress,
    "gzip": gzip.decompress,
    "identity": bytes,
    "": bytes,
}
TRANSFERS: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64decode,
    "quoted-printable": quopri.decodestring,
    "binary": bytes,
    "8bit": bytes,
    "": bytes,
}
SAMPLES = [
    b"",
    b"x",
    b" ",
    b"ends in a blank ",
    b"\t" * 77,
    bytes(range(256)) * 20,
    b"=" * 100,
    b"\r\n" * 100,
    b"a line\r\nanother \r\n",
    b"x" * 57,
    b"x" * 75,
    b"x" * 74 + b" ",
    b"x" * 150 + b"\t",
]


async def coded_body(body: list[bytes], encoding: str, transfer: str) -> bytes:
    writer = MultipartWriter(boundary="b")
    writer.append(
        pieces(*body),
        {"Content-Encoding": encoding, "Content-Transfer-Encoding": transfer},
    )
    sent = await written(writer)
    start = sent.index(b"\r\n\r\n") + 4
    assert sent.endswith(b"\r\n--b--\r\n")
    if transfer in ("base64", "quoted-printable"):
        lines = sent[start:-9].split(b"\r\n")
        assert max(map(len, lines)) <= 76
        assert all(0x20 < octet < 0x7F or octet in b" \t" for line in lines for octet in line)
        assert not any(line.endswith((b" ", b"\t")) for line in lines)
    return sent[start:-9]


@pytest.mark.parametrize("encoding", CODINGS)
@pytest.mark.parametrize("transfer", TRANSFERS)
async def test_codings(encoding: str, transfer: str) -> None:
    for sample in SAMPLES:
        body = await coded_body([sample], encoding, transfer)
        assert CODINGS[encoding](TRANSFERS[transfer](body)) == sample


@given(
    st.lists(st.binary(max_size=200), max_size=5), st.sampled_from(["base64", "quoted-printable"])
)
@example([b"x" * 73 + b"\x00"], "quoted-printable")
@example([b"x" * 74, b"\x00"], "quoted-printable")
@example([b"x" * 75, b" "], "quoted-printable")
def test_transfer_codings_across_pieces(body: list[bytes], transfer: str) -> None:
    coded = anyio.run(coded_body, body, "", transfer)
    assert TRANSFERS[transfer](coded) == b"".join(body)
    # Where the pieces were cut cannot be seen.
    assert coded == anyio.run(coded_body, [b"".join(body)], "", transfer)


async def test_coded_parts_are_read_back() -> None:
    writer = MultipartWriter()
    sent = []
    for encoding in CODINGS:
        for transfer in ("base64", "quoted-printable", "binary"):
            body = bytes(range(256)) * 40
            sent.append(body)
            headers = {"Content-Encoding": encoding, "Content-Transfer-Encoding": transfer}
            writer.append(body, {name: value for name, value in headers.items() if value})
    assert [body for _, body in await received(writer)] == sent
    found = bodies_in_mail(writer, await written(writer))
    assert [body for body, sample in zip(found, sent, strict=True) if body == sample] == [
        body for body, (_, encoding, _) in zip(sent, writer, strict=True) if not encoding
    ]


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"Content-Encoding": "br"}, "unknown content encoding 'br'"),
        ({"Content-Encoding": "gzip, gzip"}, "unknown content encoding"),
        ({"Content-Transfer-Encoding": "uuencode"}, "unknown content transfer encoding 'uuencode'"),
        ({"Content-Transfer-Encoding": "x" * 10_000}, "unknown content transfer encoding 'x{80}'$"),
    ],
)
def test_unknown_coding(headers: dict[str, str], error: str) -> None:
    writer = MultipartWriter()
    with pytest.raises(RuntimeError, match=error):
        writer.append("x", headers)
    assert len(writer) == 0


async def test_coding_named_afterwards_is_a_label_only() -> None:
    writer = MultipartWriter(boundary="b")
    writer.append(gzip.compress(b"x")).headers["Content-Encoding"] = "gzip"
    assert [body for _, body in await received(writer)] == [b"x"]


async def test_peer_that_is_gone_while_a_part_is_coded() -> None:
    closed = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            while True:
                yield bytes(range(256)) * 8
        finally:
            closed = True

    class Gone(Writer):
        async def write(self, chunk: bytes) -> None:
            await super().write(chunk)
            if len(self.pieces) > 2:
                raise ConnectionResetError("gone")

    writer = MultipartWriter()
    writer.append(body(), {"Content-Transfer-Encoding": "base64"})
    with pytest.raises(ConnectionResetError):
        await writer.write(Gone())
    assert closed


# Again.


async def test_writer_is_replayable_if_all_parts_are(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    writer = MultipartWriter()
    file: Any = path.open("rb")
    for part in ("x", path, file):
        writer.append(part)
    assert writer.replayable
    body = await written(writer)
    await writer.rewind()
    assert await written(writer) == body
    assert not writer.autoclose
    await writer.close()
    assert file.closed
    assert not writer.replayable
    assert writer.consumed
    with pytest.raises(PayloadConsumedError):
        await writer.rewind()


async def test_writer_with_a_generator_is_written_once() -> None:
    writer = MultipartWriter()
    writer.append("x")
    writer.append(pieces(b"ab"))
    assert not writer.replayable
    await writer.rewind()
    await written(writer)
    assert writer.consumed
    collected = Writer()
    with pytest.raises(PayloadConsumedError, match="MultipartWriter cannot have it again"):
        await writer.write(collected)
    assert collected.pieces == []
    with pytest.raises(PayloadConsumedError):
        await writer.as_bytes()
    with pytest.raises(TypeError, match="no text without waiting"):
        writer.decode()


async def test_writer_that_is_kept() -> None:
    writer = MultipartWriter()
    writer.append("x")
    writer.append(pieces(b"ab"))
    body = await writer.as_bytes()
    assert writer.replayable
    assert writer.size == len(body)
    for _ in range(2):
        assert await written(writer) == body
    assert await writer.as_bytes() == body
    assert writer.decode() == body.decode()


async def test_part_of_a_program_is_asked_once_for_its_bytes() -> None:
    """It was written twice, and what it read from was empty the second time."""

    class OfUser(Payload):
        async def write(self, writer: AbstractStreamWriter) -> None:
            async for piece in self._value:
                await writer.write(piece)

    writer = MultipartWriter(boundary="b")
    writer.append(OfUser(pieces(b"ab", b"cd")), {"Content-Transfer-Encoding": "base64"})
    assert b"\r\n\r\n" + base64.b64encode(b"abcd") + b"\r\n" in await writer.as_bytes()


# Closing.


class Closing(BytesPayload):
    """Tells that it was closed, and fails."""

    closed = 0

    async def close(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed += 1
        raise OSError(f"close {self.decode()}")


async def test_all_parts_are_closed_even_if_one_fails() -> None:
    """DO-22: the first error left the other parts open."""
    writer = MultipartWriter()
    parts = [Closing(name.encode()) for name in "abc"]
    for part in parts:
        writer.append(part)
    with pytest.raises(OSError, match="close a"):
        await writer.close()
    with anyio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(OSError, match="close a"):
            await writer.close()
    assert [part.closed for part in parts] == [2, 2, 2]


async def test_large_piece_of_a_coded_part_is_coded_bit_by_bit() -> None:
    """It was in memory four times, as a whole."""
    body = bytes(range(256)) * 4096
    writer = MultipartWriter()
    writer.append(body, {"Content-Transfer-Encoding": "base64"})
    collected = Writer()
    await writer.write(collected)
    assert max(map(len, collected.pieces)) < 2**19
    assert [found for _, found in await received(writer)] == [body]


# The standard library's parser as an oracle.


@given(st.lists(st.tuples(st.binary(max_size=100), st.booleans()), max_size=5))
def test_mail_parser_finds_the_same_parts(parts: list[tuple[bytes, bool]]) -> None:
    writer = MultipartWriter()
    for body, coded in parts:
        transfer = "base64" if coded else "binary"
        writer.append(body, {"Content-Transfer-Encoding": transfer})

    async def check() -> None:
        sent = await written(writer)
        assert [body for _, body in await received(writer)] == [body for body, _ in parts]
        if parts:
            found = bodies_in_mail(writer, sent)
            # It takes any line end for one, and forgets which, unless the part is coded.
            for (body, coded), other in zip(parts, found, strict=True):
                if coded:
                    assert other == body
                else:
                    assert b"".join(other.split()) == b"".join(body.split())

    anyio.run(check)


def test_registry_returns_a_writer_as_it_is() -> None:
    writer = MultipartWriter()
    assert get_payload(writer, disposition=None) is writer
