"""Text lines out of a body that comes in pieces."""

from __future__ import annotations

import codecs
import re
from typing import Final

from httpcore_proto import LineTooLong

#: Most characters of a line; the most bytes of one that `StreamReader.readline` returns.
MAX_LINE_LENGTH: Final = 2**19

_LINE_END: Final = re.compile(r"\r\n|\r|\n")


class LineSplitter:
    """Decodes a body and cuts it into lines: bytes in, lines out.

    Lines end as in a text file of Python's: with LF, CRLF or CR. Not, as `str.splitlines`
    has it, with U+2028 and others, which are text within a line of JSON.

    Args:
        codec: Name of a codec.
        errors: What to do about wrong bytes, as for `bytes.decode`.
        max_line_length: Most characters of a line, its end not counted.

    Raises:
        LookupError: Python has no such codec.
        ValueError: `max_line_length` is below 1.
    """

    __slots__ = ("_after_cr", "_decoder", "_error", "_max_line_length", "_partial", "_size")

    def __init__(self, codec: str, errors: str, max_line_length: int) -> None:
        if max_line_length < 1:
            raise ValueError(f"max_line_length={max_line_length!r}: expected 1 or more")
        self._decoder = codecs.getincrementaldecoder(codec)(errors)
        self._max_line_length = max_line_length
        self._partial: list[str] = []  # of the line that has not ended
        self._size = 0  # of all that
        # The last line end is a CR that an LF may still belong to.
        self._after_cr = False
        self._error: LineTooLong | None = None

    def receive_data(self, data: bytes) -> list[str]:
        """Take the next piece and return the lines that it completes, without their ends.

        Raises:
            LineTooLong: A line is over the limit. If others were complete before it they are
                returned, and the next call raises.
            UnicodeError: There are wrong bytes, and `errors` is `"strict"`; or a byte order
                mark is wanting.
        """
        return self._split(self._decoder.decode(data))

    def finish(self) -> list[str]:
        """Return what is left at the end of the body, if anything is.

        Raises:
            LineTooLong, UnicodeError: As from `receive_data`.
        """
        lines = self._split(self._decoder.decode(b"", True))
        if self._size:
            lines.append("".join(self._partial))
            self._partial.clear()
            self._size = 0
        return lines

    def _split(self, text: str) -> list[str]:
        if self._error is not None:
            raise self._error.with_traceback(None)
        if not text:
            return []
        if self._after_cr and text[0] == "\n":
            text = text[1:]
        self._after_cr = text.endswith("\r")
        *lines, rest = _LINE_END.split(text)
        if lines and self._size:
            lines[0] = "".join((*self._partial, lines[0]))
            self._partial.clear()
            self._size = 0
        for number, line in enumerate(lines):
            if len(line) > self._max_line_length:
                return self._fail(len(line), lines[:number])
        if self._size + len(rest) > self._max_line_length:
            return self._fail(self._size + len(rest), lines)
        if rest:
            self._partial.append(rest)
            self._size += len(rest)
        return lines

    def _fail(self, size: int, lines: list[str]) -> list[str]:
        """Return the lines before the one that is too long; raise if there are none."""
        allowed = self._max_line_length
        self._error = LineTooLong(
            f"a line has {size} characters or more with max_line_length={allowed}",
            rule="response-line",
            limit="max_line_length",
            value=size,
            allowed=allowed,
        )
        self._partial.clear()
        self._size = 0
        if not lines:
            raise self._error
        return lines
