"""Fields on their way out: checked, encoded, and cleared of framing.

Whatever a caller writes about framing (Content-Length, Transfer-Encoding, and the
close and keep-alive options of Connection) is an instruction to the connection, which
then writes those fields itself. So a message can never carry two framings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from multidict import istr

from ._abnf import check_text, check_token
from ._errors import LocalProtocolError

#: Field names and values as `str`: pairs in order, or a mapping (a multidict keeps
#: repeated names).
HeadersLike: TypeAlias = Mapping[str, str] | Mapping[istr, str] | Iterable[tuple[str, str]]

_FRAMING_NAMES: Final = frozenset({"content-length", "transfer-encoding", "connection"})

# Names that passed the token rule, as spelled -> their lower-case form if it is about
# framing, else "". Programs send the same few names for ever; the bound is for those
# that make names up. Saves a regular expression per field (bench: proto).
_known_names: Final[dict[str, str]] = {}
_MAX_KNOWN_NAMES: Final = 1024

# A number that fits into 64 bits; int() refuses only much longer ones, with its own error.
_MAX_DIGITS: Final = 19


class Framing:
    """What a caller's fields say about framing and persistence."""

    __slots__ = ("chunked", "close", "content_length", "keep_alive", "named", "options")

    def __init__(self) -> None:
        self.content_length: int | None = None
        self.chunked = False
        self.close = False
        self.keep_alive = False
        #: Connection options other than close and keep-alive, such as "upgrade".
        self.options: tuple[str, ...] = ()
        #: The last framing field seen, or "".
        self.named = ""

    def note(self, name: str, value: str) -> None:
        """Take the value of one framing field.

        Raises:
            LocalProtocolError: It is malformed, or contradicts an earlier one.
        """
        self.named = name
        if name == "content-length":
            if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
                raise LocalProtocolError(f"Content-Length {value[:80]!r} is not a number")
            length = int(value)
            if self.content_length not in (None, length):
                raise LocalProtocolError("two different Content-Length fields")
            self.content_length = length
        elif name == "transfer-encoding":
            # Folding the case of other than ASCII would make letters of the Kelvin sign and such.
            if not value.isascii() or value.strip(" \t").lower() != "chunked":
                raise LocalProtocolError(
                    f"Transfer-Encoding {value[:80]!r}: only chunked can be sent"
                )
            self.chunked = True
        else:
            for option in value.split(","):
                option = option.strip(" \t")
                if not option:
                    continue
                lower = check_token(option, "Connection option").lower()
                if lower == "close":
                    self.close = True
                elif lower == "keep-alive":
                    self.keep_alive = True
                else:
                    self.options += (option,)
        if self.chunked and self.content_length is not None:
            raise LocalProtocolError("Content-Length and Transfer-Encoding exclude each other")


def _learn(name: str) -> str:
    check_token(name, "field name")
    lower = name.lower()
    kind = lower if lower in _FRAMING_NAMES else ""
    if len(_known_names) < _MAX_KNOWN_NAMES:
        _known_names[name] = kind
    return kind


def encode_lines(headers: HeadersLike, framing: Framing) -> str:
    """Return the lines of `headers`, all but those that `framing` takes.

    Raises:
        LocalProtocolError: A name is no token, a value has a control character, or
            framing fields are malformed.
    """
    lines: list[str] = []
    values: list[str] = []
    items = headers.items() if isinstance(headers, Mapping) else headers
    for name, value in items:
        kind = _known_names.get(name)
        if kind is None:
            kind = _learn(name)
        if kind:
            framing.note(kind, value)
        else:
            lines.append(f"{name}: {value}\r\n")
            values.append(value)
    # One look at all values; each by itself only if that finds something.
    if not "".join(values).isprintable():
        for value in values:
            check_text(value, "field value")
    return "".join(lines)


#: Of a head that says nothing about framing; never changed.
NO_FRAMING: Final = Framing()


def encode_text(text: str) -> bytes:
    """Encode a head or trailer section; the opposite of how received ones decode.

    Raises:
        LocalProtocolError: There is a surrogate in it that no byte stands for.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as exc:
        raise LocalProtocolError(f"text cannot be encoded: {exc.reason}") from exc


class HeaderBlock:
    """Header lines that are checked and encoded once and sent many times.

    Args:
        headers: Fields other than Content-Length, Transfer-Encoding and Connection,
            which differ from message to message.

    Raises:
        LocalProtocolError: A field is not fit to be sent, or is one of those three.
    """

    __slots__ = ("heads", "text")

    #: The lines, each with its CRLF.
    text: str
    #: Beginnings of heads that a machine has made with it, by what it needs to tell them
    #: apart.
    heads: dict[int, bytes]

    def __init__(self, headers: HeadersLike) -> None:
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        framing = next((name for name, _ in pairs if name.lower() in _FRAMING_NAMES), None)
        if framing is not None:
            raise LocalProtocolError(f"{framing} differs between messages, it cannot be preset")
        self.text = encode_lines(pairs, Framing())
        self.heads = {}
        encode_text(self.text)

    def __repr__(self) -> str:
        return f"<HeaderBlock {self.text!r}>"
