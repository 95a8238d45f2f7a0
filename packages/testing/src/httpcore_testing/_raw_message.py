"""A message as it came: what `RawPeer.receive_message` returns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from multidict import CIMultiDict

# Bytes that fit into 64 bits, as in httpcore_proto.
_LENGTH: Final = re.compile(r"[0-9]{1,19}")
_STATUS_LINE: Final = re.compile(rb"HTTP/[0-9]\.[0-9] ([0-9]{3})(?: |\r)")


class MalformedMessageError(ValueError):
    """What came is not framed as HTTP/1.1 is, or is over a limit."""


@dataclass
class RawMessage:
    """A request or a response.

    Attributes:
        head: As it came, through the blank line.
        body: Chunks undone, content codings not.
        chunk_sizes: Sizes of the chunks in order, the 0 of the last one included; empty if
            the body came otherwise.
        trailers: Lines of the trailer section as they came, each with its CR LF.
    """

    head: bytes
    body: bytes = b""
    chunk_sizes: list[int] = field(default_factory=list)
    trailers: bytes = b""

    @property
    def start_line(self) -> str:
        """The request line or status line, without CR LF."""
        return _text(self.head.split(b"\r\n", 1)[0])

    @property
    def is_response(self) -> bool:
        """Whether it begins with a protocol version."""
        return self.head.startswith(b"HTTP/")

    @property
    def method(self) -> str:
        """The first word of a request.

        Raises:
            MalformedMessageError: It is a response.
        """
        if self.is_response:
            raise MalformedMessageError(f"{self.start_line!r} has no method")
        return self.start_line.split(" ", 1)[0]

    @property
    def status(self) -> int:
        """The status code of a response.

        Raises:
            MalformedMessageError: It has none, or is a request.
        """
        matched = _STATUS_LINE.match(self.head)
        if matched is None:
            raise MalformedMessageError(f"{self.start_line[:200]!r} has no status")
        return int(matched[1])

    @property
    def headers(self) -> CIMultiDict[str]:
        """The fields, blanks around the values removed; bytes that are no UTF-8 as surrogates.

        Raises:
            MalformedMessageError: A line has no colon.
        """
        found = CIMultiDict[str]()
        for line in self.head.split(b"\r\n")[1:-2]:
            name, colon, value = _text(line).partition(":")
            if not colon:
                raise MalformedMessageError(f"{line[:200]!r} is no field: it has no colon")
            found.add(name, value.strip(" \t"))
        return found

    @property
    def text(self) -> str:
        """The body as UTF-8.

        Raises:
            UnicodeDecodeError: It is something else.
        """
        return self.body.decode()

    @property
    def framing(self) -> int | Literal["chunked", "close", "none"]:
        """How the end of the body is found (RFC 9112 section 6.3): its length, or a word.

        Raises:
            MalformedMessageError: Content-Length is no number, or Transfer-Encoding is
                something else than chunked.
        """
        headers = self.headers
        if self.is_response and (self.status < 200 or self.status in (204, 304)):
            return "none"
        coding = headers.get("Transfer-Encoding")
        if coding is not None:
            if not coding.isascii() or coding.lower() != "chunked":
                raise MalformedMessageError(f"Transfer-Encoding {coding[:200]!r}, not chunked")
            return "chunked"
        length = headers.get("Content-Length")
        if length is None:
            return "close" if self.is_response else "none"
        if _LENGTH.fullmatch(length) is None:
            raise MalformedMessageError(f"Content-Length {length[:200]!r} is no number")
        return int(length)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
