"""What the command prints: the head and the body of a response, and how far a file is.

A server must not write to the terminal as it likes: what would move the cursor, change
colours or turn the direction of text is printed in words (`visible`).

On a terminal, and if rich is installed, there are colours, JSON with indents, and bars.
"""

from __future__ import annotations

import codecs
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from io import StringIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

# Controls of C0 but tab and line feed, of C1, and those of the direction of text.
_INVISIBLE: Final = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# A larger body is printed as it is: who reads that far?
_MAX_PRETTY: Final = 2**20
# Characters looked at for a NUL, which no text has; curl's number.
_PROBE: Final = 2000
# Seconds between two lines of plain progress.
_PROGRESS_PAUSE: Final = 0.1


class BinaryOutputError(Exception):
    """A body that is no text would go to a terminal."""


class OutputClosedError(Exception):
    """Nobody reads stdout any more."""


def visible(text: str) -> str:
    """Return text in which a terminal finds nothing to obey.

    Tab and line feed stay, carriage returns go, other controls become `\\x1b` and the like.
    """
    text = text.replace("\r", "")
    return _INVISIBLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class Screen:
    """Standard output.

    Args:
        stdout: Where to write.
        encoding: Of a terminal.

    Attributes:
        is_terminal: Whether it is one.
    """

    def __init__(self, stdout: BinaryIO, encoding: str = "utf-8") -> None:
        self._stdout = stdout
        self._encoding = encoding
        self.is_terminal: bool = stdout.isatty()
        self._buffer = StringIO()
        self._console = _console(self._buffer) if self.is_terminal else None

    def write(self, data: bytes) -> None:
        """Write bytes at once.

        Raises:
            OutputClosedError: Nobody reads them.
            OSError: They cannot be written.
        """
        try:
            self._stdout.write(data)
            self._stdout.flush()
        except BrokenPipeError as exc:
            raise OutputClosedError from exc

    def print_head(self, status_line: str, fields: Iterable[tuple[str, str]]) -> None:
        """Print the head of a response, and an empty line."""
        lines = [(visible(name), visible(value)) for name, value in fields]
        console = self._console
        if console is None:
            text = "".join(f"{name}: {value}\n" for name, value in lines)
            self._print(f"{visible(status_line)}\n{text}\n")
            return
        from rich.text import Text

        console.print(Text(visible(status_line), style="bold"), soft_wrap=True)
        for name, value in lines:
            console.print(Text.assemble((name, "cyan"), ": ", value), soft_wrap=True)
        console.print()
        self._print_buffer()

    async def print_body(
        self, read: Callable[[], Awaitable[bytes]], codec: str, *, is_json: bool
    ) -> None:
        """Print a body: as it is, unless this is a terminal.

        Args:
            read: Gives the next bytes of the body, and none at its end.
            codec: Of its text.
            is_json: Whether it is JSON.

        Raises:
            BinaryOutputError: It is no text, and this is a terminal; nothing is printed.
            OutputClosedError: Nobody reads it.
        """
        if not self.is_terminal:
            while piece := await read():
                self.write(piece)
            return
        decoder = codecs.getincrementaldecoder(codec)(errors="replace")
        is_pretty = is_json and self._console is not None
        waiting, waits, last = "", True, "\n"
        while piece := await read():
            text = decoder.decode(piece)
            if waits:
                waiting += text
                if len(waiting) <= (_MAX_PRETTY if is_pretty else 0):
                    continue
                text, waits = _checked(waiting), False
            last = text or last
            self._print(visible(text))
        if waits:
            text = _checked(waiting + decoder.decode(b"", final=True))
            if is_pretty and (pretty := _indented(text)) is not None:
                self._print_json(pretty)
                return
        else:
            text = decoder.decode(b"", final=True)
        self._print(visible(text))
        if not (text or last).endswith("\n"):
            self._print("\n")

    def _print_json(self, text: str) -> None:
        from rich.highlighter import JSONHighlighter

        assert self._console is not None
        self._console.print(JSONHighlighter()(visible(text)), soft_wrap=True)
        self._print_buffer()

    def _print_buffer(self) -> None:
        """Print what the console has written."""
        self._print(self._buffer.getvalue())
        self._buffer.seek(0)
        self._buffer.truncate()

    def _print(self, text: str) -> None:
        self.write(text.encode(self._encoding, "replace"))


def _checked(text: str) -> str:
    if "\0" in text[:_PROBE]:
        raise BinaryOutputError
    return text


def _indented(text: str) -> str | None:
    """Return JSON with indents; None if it is none, or none that Python can take."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return None


def _console(file: TextIO) -> Console | None:
    """Return rich's console for a terminal, or None if rich is not installed."""
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=file, force_terminal=True, highlight=False, markup=False, emoji=False)


class ProgressLine:
    """How far a download is, on a terminal; nothing elsewhere.

    Call it with the bytes that there are, and their number in the end if that is known.

    Args:
        stderr: Where to write.
    """

    def __init__(self, stderr: TextIO) -> None:
        self._stderr = stderr
        self._is_terminal = stderr.isatty()
        self._told_at = 0.0
        self._width = 0
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __call__(self, size: int, total: int | None) -> None:
        if not self._is_terminal:
            return
        if self._told_at == 0.0:
            self._progress = _progress(self._stderr)
        if self._progress is not None:
            self._told_at = 1.0
            if self._task is None:
                self._task = self._progress.add_task("", total=total)
            self._progress.update(self._task, completed=size, total=total)
            return
        now = time.monotonic()
        if now - self._told_at >= _PROGRESS_PAUSE or size == total:
            self._told_at = now
            end = "" if total is None else f" of {human(total)}"
            self._overwrite(f"{human(size)}{end}")

    def close(self) -> None:
        """Wipe it."""
        if self._progress is not None:
            self._progress.stop()
        elif self._width:
            self._overwrite("")
            self._stderr.write("\r")
            self._stderr.flush()

    def _overwrite(self, text: str) -> None:
        self._stderr.write(f"\r{text:<{self._width}}")
        self._stderr.flush()
        self._width = len(text)


def _progress(stderr: TextIO) -> Any:
    """Return rich's bar, or None if rich is not installed."""
    console = _console(stderr)
    if console is None:
        return None
    from rich import progress

    bar = progress.Progress(
        progress.BarColumn(),
        progress.DownloadColumn(binary_units=True),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    bar.start()
    return bar


def human(size: int) -> str:
    """Return a number of bytes as one reads it, such as `1.5 MiB`."""
    if size < 1024:
        return f"{size} bytes"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} TiB"
