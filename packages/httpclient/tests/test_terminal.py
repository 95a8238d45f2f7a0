"""What the command prints on a terminal, and what it does not let a server do to it."""

from __future__ import annotations

import builtins
import io
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from httpclient._terminal import (
    BinaryOutputError,
    OutputClosedError,
    ProgressLine,
    Screen,
    human,
    visible,
)


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


class TextTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have rich not installed."""
    load = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "rich":
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)


@pytest.fixture
def rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)


def reader(*pieces: bytes) -> Callable[[], Awaitable[bytes]]:
    left = list(pieces)

    async def read() -> bytes:
        return left.pop(0) if left else b""

    return read


def printed(screen_on: io.BytesIO, *pieces: bytes, codec: str = "utf-8", is_json: bool) -> bytes:
    screen = Screen(screen_on)

    async def run() -> None:
        await screen.print_body(reader(*pieces), codec, is_json=is_json)

    anyio.run(run)
    return screen_on.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\r\nü\n", "a\tb\nü\n"),
        ("\x1b[2J\x07\x08\x7f", "\\x1b[2J\\x07\\x08\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb\u2066\u200f", "a\\u202eb\\u2066\\u200f"),
        ("100%\rOK", "100%OK"),
    ],
)
def test_controls_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_hostile_text_takes_linear_time() -> None:
    assert visible("\x1b" * 1_000_000) == "\\x1b" * 1_000_000
    assert visible("\r" * 1_000_000) == ""


@pytest.mark.usefixtures("plain")
def test_plain_terminal_shows_text_as_it_is() -> None:
    data = b'{"a":"\xc3\xbc\x1b[1m"}'
    for pieces in ([data], [data[:7], data[7:]], [data[i : i + 1] for i in range(len(data))]):
        assert printed(Terminal(), *pieces, is_json=True) == b'{"a":"\xc3\xbc\\x1b[1m"}\n'
    assert printed(Terminal(), b"a\n", is_json=False) == b"a\n"
    assert printed(Terminal(), is_json=False) == b""
    assert printed(Terminal(), b"a\xff\xc3", is_json=False) == "a\ufffd\ufffd\n".encode()
    assert printed(Terminal(), b"\xfc", codec="latin-1", is_json=False) == b"\xc3\xbc\n"


@pytest.mark.usefixtures("plain")
def test_plain_head_has_no_colours() -> None:
    out = Terminal()
    Screen(out).print_head("HTTP/1.1 200 \x1b[1m", [("A", "b\x9bc")])
    assert out.getvalue() == b"HTTP/1.1 200 \\x1b[1m\nA: b\\x9bc\n\n"


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize("data", [b"\0", b"PNG\r\n\x1a\n\0\0", b"a" * 1999 + b"\0"])
def test_binary_is_not_shown_on_a_terminal(data: bytes, is_json: bool) -> None:
    out = Terminal()
    with pytest.raises(BinaryOutputError):
        printed(out, data, is_json=is_json)
    assert out.getvalue() == b""


def test_elsewhere_bytes_are_written_as_they_are() -> None:
    assert printed(io.BytesIO(), b"\0\x1b", b"\r\xff", is_json=True) == b"\0\x1b\r\xff"
    out = io.BytesIO()
    Screen(out).print_head("HTTP/1.1 200", [("A", "b")])
    assert out.getvalue() == b"HTTP/1.1 200\nA: b\n\n"


@pytest.mark.usefixtures("rich")
def test_rich_terminal_has_colours_and_indented_json() -> None:
    out = Terminal()
    Screen(out).print_head("HTTP/1.1 200 [bold]OK", [("A", "x" * 100 + "\x9b[red]")])
    text = out.getvalue().decode()
    assert "\x1b[" in text
    assert "[bold]OK" in text
    assert "x" * 100 + "\\x9b[red]\n" in text

    body = printed(Terminal(), b'{"a":["\x9b", "\\u009b\\u001b", 1]}', is_json=True).decode()
    assert "\x1b[" in body
    assert "\x9b" not in body
    assert "\\x9b\\u001b" in body
    assert body.count("\n") == 7


@pytest.mark.usefixtures("rich")
@pytest.mark.parametrize(
    "data",
    [b"{", b"[" * 100_000, b"1" * 5000, b'"' + b"a" * 2**20 + b'"', b""],
    ids=["malformed", "deep", "long number", "large", "empty"],
)
def test_json_that_cannot_be_indented_is_shown_as_it_is(data: bytes) -> None:
    pieces = [data[i : i + 65536] for i in range(0, len(data), 65536)]
    assert printed(Terminal(), *pieces, is_json=True) == data + (b"\n" if data else b"")


@pytest.mark.usefixtures("rich")
def test_what_is_called_json_and_is_none_moves_no_cursor() -> None:
    assert printed(Terminal(), b"{\x1b[2J", is_json=True) == b"{\\x1b[2J\n"


def test_closed_output_is_told() -> None:
    class Closed(io.BytesIO):
        def flush(self) -> None:
            raise BrokenPipeError

    with pytest.raises(OutputClosedError):
        Screen(Closed()).write(b"a")


@pytest.mark.usefixtures("plain")
def test_plain_progress_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    err = TextTerminal()
    line = ProgressLine(err)
    for size in (0, 10, 20):
        line(size, 4096)
    now[0] += 1
    line(2048, 4096)
    line(4096, 4096)
    line.close()
    assert err.getvalue().split("\r") == [
        "",
        "0 bytes of 4.0 KiB",
        "2.0 KiB of 4.0 KiB",
        "4.0 KiB of 4.0 KiB",
        " " * 18,
        "",
    ]
    err = TextTerminal()
    line = ProgressLine(err)
    line(5, None)
    assert err.getvalue() == "\r5 bytes"


@pytest.mark.usefixtures("rich")
def test_rich_progress_is_a_bar_that_goes_away() -> None:
    err = TextTerminal()
    line = ProgressLine(err)
    line(0, None)
    line(2048, 4096)
    line.close()
    assert "kB" in err.getvalue() or "KiB" in err.getvalue() or "2.0/4.0" in err.getvalue()
    assert err.getvalue().count("\x1b[2K")  # wiped


def test_progress_is_for_terminals() -> None:
    err = io.StringIO()
    line = ProgressLine(err)
    line(1, 2)
    line.close()
    assert err.getvalue() == ""


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (3 * 2**20 // 2, "1.5 MiB"),
        (2**30, "1.0 GiB"),
        (5 * 2**40, "5.0 TiB"),
    ],
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert human(size) == text
