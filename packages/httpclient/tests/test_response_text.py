"""A body as text: which codec, and lines and events while it is received."""

from __future__ import annotations

import codecs
import encodings
import itertools
import json
import pkgutil
import re
import sys
from encodings.aliases import aliases
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import httpclient
from httpclient._charset import detect_codec, guess_codec
from httpclient._line_splitter import MAX_LINE_LENGTH, LineSplitter
from httpcore_proto import LineTooLong, codec_for_charset, encode_event

from .conftest import Peer, Serve, counts, response

RUSSIAN = "Привет, как дела? Это тестовый текст на русском языке. "
GERMAN = "Größe und Übermut, façon de parler. "
POLISH = "Zażółć gęślą jaźń, proszę bardzo, to jest tekst próbny po polsku. "
JAPANESE = "日本語のテキストです。これはテストです。"


def plays(body: bytes, content_type: str | None = None) -> Any:
    """Return a script that answers each request with this."""
    head = f"Content-Type: {content_type}\r\n".encode() if content_type is not None else b""

    async def script(peer: Peer) -> None:
        while True:
            await peer.answer(body, head)

    return script


def detecting() -> httpclient.ClientSession:
    """Return a session without a resolver."""
    return httpclient.ClientSession(fallback_charset_resolver=None)


# The codec.


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (GERMAN, "latin-1"),
        (POLISH, "iso8859-2"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc-jp"),
        (JAPANESE, "utf-16"),
        (JAPANESE, "utf-8"),
        ("x" * 100_000 + RUSSIAN, "cp1251"),
        (GERMAN + "x" * 100_000, "latin-1"),
    ],
)
async def test_undeclared_charset_is_guessed(serve: Serve, text: str, codec: str) -> None:
    async with serve(plays(text.encode(codec), "text/plain")) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            with pytest.raises(RuntimeError, match="not yet read"):
                resp.get_encoding()
            assert await resp.text() == text
            guessed = resp.get_encoding()
            assert await resp.text() == text
        async with session.get(origin.url) as resp:
            await resp.read()
            assert resp.get_encoding() == guessed
            assert await resp.text() == text


async def test_detector_is_asked_only_if_utf_8_fails(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "chardet", None)
    async with serve(plays(RUSSIAN.encode())) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            assert await resp.text() == RUSSIAN
            assert resp.get_encoding() == "utf-8"
    async with serve(plays(GERMAN.encode("latin-1"))) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            with pytest.raises(ImportError):
                await resp.text()


async def test_detector_is_asked_once(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(plays(GERMAN.encode("latin-1"))) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            assert await resp.text() == GERMAN
            monkeypatch.setitem(sys.modules, "chardet", None)
            assert await resp.text() == GERMAN


async def test_binary_data_is_no_text(serve: Serve) -> None:
    body = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xff\xfe\0\1\2\3" * 10
    async with serve(plays(body)) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            with pytest.raises(UnicodeDecodeError):
                await resp.text()
            assert "PNG" in await resp.text(errors="replace")


@pytest.mark.parametrize(
    ("content_type", "codec"),
    [
        ("text/plain; charset=koi8-r", "koi8-r"),
        ("application/json", "utf-8"),
        ("application/problem+json", "utf-8"),
        ("application/rdap+json", "utf-8"),
        ("application/rdap", "utf-8"),
        ("application/json; charset=latin-1", "iso8859-1"),
        ("application/json; charset=what", "utf-8"),
    ],
)
async def test_declared_charset_asks_nobody(serve: Serve, content_type: str, codec: str) -> None:
    def resolver(resp: httpclient.ClientResponse, body: bytes) -> str:
        pytest.fail("asked")

    async with (
        serve(plays(b'"x"', content_type)) as origin,
        httpclient.ClientSession(fallback_charset_resolver=resolver) as session,
        session.get(origin.url) as resp,
    ):
        assert resp.get_encoding() == codec
        assert await resp.text() == '"x"'
        assert await resp.json(content_type=None) == "x"


@pytest.mark.parametrize(
    "charset",
    [
        "x" * 7000,
        "utf-7",
        "\u212aoi8-r",
        "../../etc/passwd",
        "'\\\"",
        "zip",
        "idna",
        "mbcs",
        "__init__",
        "utf-8\x80",
    ],
)
async def test_charset_that_makes_no_sense_is_none(serve: Serve, charset: str) -> None:
    async with serve(plays(b"x", f"text/plain; charset={charset}")) as origin:
        async with detecting() as session, session.get(origin.url) as resp:
            assert await resp.text() == "x"
            assert resp.get_encoding() == "utf-8"


async def test_blanks_of_json_are_taken_off_its_text(serve: Serve) -> None:
    """They were taken off the bytes, which cut a character of UTF-16 in two."""
    body = ' {"ä": 1} '.encode("utf-16-le")
    async with serve(plays(body, "application/json; charset=utf-16-le")) as origin:
        async with detecting() as session, session.get(origin.url) as resp:
            assert await resp.json() == {"ä": 1}


@pytest.mark.parametrize(
    "body", [b"\xff", b'{"a": \xff}', b"[" * 100_000, b"{" * 1_000_000, b"1" * 100_000]
)
async def test_json_that_is_none_is_a_value_error(serve: Serve, body: bytes) -> None:
    async with serve(plays(body, "application/json")) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            with pytest.raises(ValueError, match=r"."):
                await resp.json()


@pytest.mark.parametrize("data", [b"\xff" * 10**6, bytes(range(256)) * 4000, b"\x1b$B\xff" * 10**5])
def test_guesses_look_at_a_bounded_part(data: bytes) -> None:
    assert codecs.lookup(guess_codec(data))
    assert codecs.lookup(detect_codec(data, len(data) - 1))


# Lines.


def lines_of(pieces: list[bytes], codec: str = "utf-8", limit: int = MAX_LINE_LENGTH) -> list[str]:
    """Return what a splitter makes of pieces."""
    splitter = LineSplitter(codec, "strict", limit)
    return [line for piece in pieces for line in splitter.receive_data(piece)] + splitter.finish()


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([], []),
        ([b""], []),
        ([b"a"], ["a"]),
        ([b"a\n"], ["a"]),
        ([b"\n"], [""]),
        ([b"a\nb\r\nc\rd"], ["a", "b", "c", "d"]),
        ([b"a\r", b"\nb"], ["a", "b"]),
        ([b"a\r", b"b"], ["a", "b"]),
        ([b"a\r", b"", b"\n", b"\n"], ["a", ""]),
        ([b"\n\n\r\r\r\n"], ["", "", "", "", ""]),
        (["ü".encode()[:1], "ü".encode()[1:] + b"\n"], ["ü"]),
        ([b"a", b"b", b"c\nd", b"e"], ["abc", "de"]),
        (["a\u2028b\x0bc\x85d\x1ce".encode()], ["a\u2028b\x0bc\x85d\x1ce"]),
    ],
)
def test_lines_end_as_in_text_files(pieces: list[bytes], lines: list[str]) -> None:
    assert lines_of(pieces) == lines


@given(
    st.lists(st.sampled_from(["\r", "\n", "\r\n", "a", "ü", "日", "\u2028"]), max_size=30),
    st.sampled_from(["utf-8", "utf-16", "utf-16-le", "gb18030"]),
    st.lists(st.integers(0, 60), max_size=5),
)
def test_lines_are_the_same_wherever_the_body_is_cut(
    parts: list[str], codec: str, cuts: list[int]
) -> None:
    text = "".join(parts)
    expected = re.split(r"\r\n|\r|\n", text)
    if not expected[-1]:
        expected.pop()
    data = text.encode(codec)
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(bounds)]
    assert lines_of(pieces, codec) == expected


def test_lines_before_one_that_is_too_long_are_returned() -> None:
    splitter = LineSplitter("ascii", "strict", 3)
    assert splitter.receive_data(b"abc\nde") == ["abc"]
    assert splitter.receive_data(b"f\nabcd\nx\n") == ["def"]
    for _ in range(2):
        with pytest.raises(LineTooLong, match="max_line_length=3") as caught:
            splitter.receive_data(b"")
        error = caught.value
        assert (error.rule, error.limit) == ("response-line", "max_line_length")
        assert (error.value, error.allowed) == (4, 3)
    with pytest.raises(LineTooLong):
        splitter.finish()


@pytest.mark.parametrize("pieces", [[b"abcd"], [b"ab", b"cd"], [b"ab", b"cd\n"], [b"abcd\n"]])
def test_line_that_is_too_long_is_an_error_at_once(pieces: list[bytes]) -> None:
    with pytest.raises(LineTooLong):
        lines_of(pieces, limit=3)
    assert lines_of(pieces, limit=4) == ["abcd"]


@pytest.mark.parametrize(
    "data",
    [b"\r" * 10**6, b"\n" * 10**6, b"\r\n" * 10**6, b"a\n" * 10**6],
    ids=["cr", "lf", "crlf", "lines"],
)
def test_lines_take_linear_time(data: bytes) -> None:
    count = len(re.findall(rb"\r\n|\r|\n", data))
    assert len(lines_of([data])) == count
    assert len(lines_of([data[i : i + 7] for i in range(0, len(data), 7)])) == count


def test_one_line_in_many_pieces_takes_linear_time() -> None:
    limit = 100_000
    assert lines_of([b"x"] * limit, limit=limit) == ["x" * limit]
    with pytest.raises(LineTooLong):
        lines_of([b"x"] * (limit + 1), limit=limit)


def test_every_charset_can_be_decoded_in_pieces() -> None:
    names = {*aliases, *(module.name for module in pkgutil.iter_modules(encodings.__path__))}
    found = {codec for name in names if (codec := codec_for_charset(name)) is not None}
    assert len(found) > 80
    for codec in found:
        assert lines_of(["ab\ncd\n".encode(codec)], codec) == ["ab", "cd"]


def test_line_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="max_line_length=0"):
        LineSplitter("ascii", "strict", 0)


async def test_lines_come_while_the_body_is_received(serve: Serve) -> None:
    go_on = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=latin-1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n4\r\n\xfc\na\r\r\n"
        )
        await go_on.wait()
        await peer.send(b"2\r\n\nb\r\n0\r\n\r\n")

    async with serve(script) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            lines = resp.iter_lines()
            assert aiter(lines) is lines
            assert [await anext(lines), await anext(lines)] == ["ü", "a"]
            assert resp.connection is not None
            go_on.set()
            assert [line async for line in lines] == ["b"]
            assert [line async for line in lines] == []
        assert counts(session) == (0, 1)


async def test_lines_without_charset_are_utf_8(serve: Serve) -> None:
    async with serve(plays("ü\n".encode() + b"\xff")) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            with pytest.raises(UnicodeDecodeError):
                assert [line async for line in resp.iter_lines()] == []
        async with session.get(origin.url) as resp:
            lines = [line async for line in resp.iter_lines(errors="replace")]
            assert lines == ["ü", "\N{REPLACEMENT CHARACTER}"]
        async with session.get(origin.url) as resp:
            assert [line async for line in resp.iter_lines("latin-1")] == ["Ã¼", "ÿ"]
            with pytest.raises(LookupError):
                resp.iter_lines("what")


async def endless(peer: Peer) -> None:
    """Answer with a body that goes on after some lines."""
    await peer.request()
    await peer.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        b"Content-Length: 1000000\r\n\r\ndata: 1\n\ndata: " + b"x" * 500
    )
    await peer.closed()


async def test_line_that_is_too_long_closes_the_connection(serve: Serve) -> None:
    async with serve(endless) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            lines = []
            with pytest.raises(httpclient.ClientPayloadError, match="=100") as caught:
                async for line in resp.iter_lines(max_line_length=100):
                    lines += [line]
            assert isinstance(caught.value.__cause__, LineTooLong)
            assert lines == ["data: 1", ""]
            assert counts(session) == (0, 0)
        async with session.get(origin.url) as resp:
            assert await resp.readline() == b"data: 1\n"
            assert await resp.readline() == b"\n"
            with pytest.raises(httpclient.ClientPayloadError, match="=100") as caught:
                await resp.readline(max_line_length=100)
            assert isinstance(caught.value.__cause__, LineTooLong)
            assert counts(session) == (0, 0)


async def test_lines_may_be_left_before_the_end(serve: Serve) -> None:
    """Trio warns of an async generator that is; what iterates here is none."""
    async with serve(plays(b"a\nb\n")) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            async for line in resp.iter_lines():
                assert line == "a"
                break
            async for line in resp.iter_lines():
                pytest.fail(line)


async def test_pieces_come_from_content(serve: Serve) -> None:
    async with serve(plays(b"0123456789")) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            assert [piece async for piece in resp.iter_chunked(4)] == [b"0123", b"4567", b"89"]
        async with session.get(origin.url) as resp:
            assert await resp.readline() == b"0123456789"
            assert await resp.readline() == b""
        async with session.get(origin.url) as resp:
            assert b"".join([piece async for piece in resp.iter_any()]) == b"0123456789"


# Events.


async def test_events_come_one_by_one(serve: Serve) -> None:
    sent = [
        encode_event("1\n2", event="a", id="x"),
        encode_event(json.dumps({"ü": 1}, ensure_ascii=False), retry=1500),
        encode_event(comment="ping"),
        encode_event(id="y"),
    ]
    body = b"".join(sent) + b"data: cut"

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for start in range(0, len(body), 10):
            piece = body[start : start + 10]
            await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await peer.send(b"0\r\n\r\n")

    async with serve(script) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            events = resp.sse()
            assert (events.last_event_id, events.retry) == ("", None)
            assert [event async for event in events] == [
                httpclient.ServerSentEvent(data="1\n2", event="a", id="x"),
                httpclient.ServerSentEvent(data='{"ü": 1}', id="x", retry=1500),
            ]
            assert (events.last_event_id, events.retry) == ("y", 1500)
        assert counts(session) == (0, 1)


async def test_events_are_read_from_an_event_stream_only(serve: Serve) -> None:
    async with serve(plays(b"data: 1\n\n", "text/plain")) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            with pytest.raises(httpclient.ContentTypeError, match="events with unexpected"):
                resp.sse()


@pytest.mark.parametrize("limit", ["max_line_size", "max_event_size"])
async def test_event_that_is_too_large_closes_the_connection(serve: Serve, limit: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n"
            b"data: 1\n\ndata: " + b"x" * 100 + b"\n\n"
        )
        await peer.closed()

    async with serve(script) as origin, detecting() as session:
        async with session.get(origin.url) as resp:
            seen = []
            with pytest.raises(httpclient.ClientPayloadError, match=limit):
                async for event in resp.sse(**{limit: 50}):
                    seen += [event.data]
            assert seen == ["1"]
            assert counts(session) == (0, 0)
            with pytest.raises(ValueError, match="at least 1"):
                resp.sse(**{limit: 0})


async def test_cut_body_ends_lines_and_events_with_an_error(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        field = b"Content-Type: text/event-stream\r\n"
        await peer.send(response(b"data: 1\n\n?", field)[:-1])
        await peer.close()

    async with serve(script) as origin, detecting() as session:
        for iterate in (httpclient.ClientResponse.iter_lines, httpclient.ClientResponse.sse):
            async with session.get(origin.url) as resp:
                with pytest.raises(httpclient.ClientPayloadError, match="not completed"):
                    async for _ in iterate(resp):
                        pass
