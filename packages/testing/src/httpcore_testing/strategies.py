"""Hypothesis strategies for HTTP/1.1: valid messages, ways to cut them, and malformed heads.

The one module here that imports hypothesis; the extra `hypothesis` has it. All of them give
bytes as they are on the wire, and shrink towards what is short and plain. What is valid here
is what httpcore_proto reads within its default limits; where RFC 9112 allows more, such as
bare LF at the end of a line, it is left out.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from hypothesis import strategies as st

__all__ = [
    "Headers",
    "bodies",
    "chunked",
    "field_names",
    "field_values",
    "headers",
    "malformed_request_heads",
    "methods",
    "request_heads",
    "response_heads",
    "splits",
    "targets",
]

#: Names and values in order.
Headers: TypeAlias = list[tuple[bytes, bytes]]

# RFC 9110 section 5.6.2, what looks like a word first, since shrinking goes there.
_TCHAR: Final = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
# RFC 3986 section 3.3: pchar and "/", without percent-encoding, which is added as a whole.
_PATH: Final = string.ascii_letters + string.digits + "/-._~!$&'()*+,;=:@"
# RFC 9110 section 5.5: all controls but HTAB.
_CONTROLS: Final = bytes({*range(32), 127} - {9})
# Those that frame a message, or make something else of it, are not for chance.
_RESERVED: Final = frozenset(
    {
        *(b"connection", b"content-length", b"expect", b"host", b"keep-alive"),
        *(b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
        b"sec-websocket-key1",
    }
)
# What a server reads once at the most; a second one would give two readings of a request.
_SINGLE: Final = frozenset(
    {
        *(b"content-location", b"content-range", b"content-type", b"etag"),
        *(b"max-forwards", b"server", b"user-agent"),
    }
)
_NAMES: Final = (b"Accept", b"Cookie", b"ETag", b"Range", b"User-Agent", b"X-Real-IP", b"a")
# Methods that say nothing of another protocol, and have no target of their own kind.
_METHODS: Final = (b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"PATCH", b"OPTIONS", b"QUERY")
_HOSTS: Final = (b"a", b"example.test", b"127.0.0.1:8080", b"[::1]")
# Most bytes of a value and of a target: well within the default limits (8190), and no more
# than is needed to pass a buffer's edge or two.
_LONG: Final = 300


def methods() -> st.SearchStrategy[bytes]:
    """Methods that a server knows; not CONNECT, whose target is of another form."""
    return st.sampled_from(_METHODS)


def targets() -> st.SearchStrategy[bytes]:
    """Request targets in origin form: a path, and perhaps a query."""
    part = st.one_of(
        st.text(_PATH, max_size=20),
        st.integers(0, 255).map("%{:02X}".format),
    )
    text = st.lists(part, max_size=8).map("".join)
    query = st.one_of(st.just(""), text.map("?{}".format))
    return st.builds(lambda path, query: f"/{path}{query}".encode(), text, query)


def field_names() -> st.SearchStrategy[bytes]:
    """Names of fields that mean nothing for the framing of a message."""
    made = st.text(_TCHAR, min_size=1, max_size=20).map(str.encode)
    names = st.one_of(st.sampled_from(_NAMES), made)
    return names.filter(lambda name: name.lower() not in _RESERVED)


def field_values() -> st.SearchStrategy[bytes]:
    """Values of fields (RFC 9110 section 5.5), bytes over 0x7F included; may be empty.

    They neither begin nor end with blanks, which a receiver takes away.
    """
    octets = st.one_of(
        st.text(string.ascii_letters + string.digits + " ;,=\"'\\/\t", max_size=40).map(str.encode),
        st.binary(max_size=_LONG).map(lambda data: data.translate(None, _CONTROLS)),
    )
    return octets.map(lambda value: value.strip(b" \t"))


def headers(max_size: int = 8) -> st.SearchStrategy[Headers]:
    """Fields in order; a name may come more than once, if that is no error of RFC 9110.

    Args:
        max_size: Most of them.
    """
    fields = st.lists(st.tuples(field_names(), field_values()), max_size=max_size)
    return fields.map(_without_repeated)


def request_heads(*, fields: st.SearchStrategy[Headers] | None = None) -> st.SearchStrategy[bytes]:
    """Heads of HTTP/1.1 requests through the blank line, with Host; without a body.

    Args:
        fields: What is in them beside Host, such as one with a Content-Length; `headers()`
            unless given.
    """

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        host = (b"Host", draw(st.sampled_from(_HOSTS)))
        around = draw(headers() if fields is None else fields)
        at = draw(st.integers(0, len(around)))
        line = b"%b %b HTTP/1.1\r\n" % (draw(methods()), draw(targets()))
        return line + draw(_lines([*around[:at], host, *around[at:]])) + b"\r\n"

    return build()


def response_heads(
    *,
    fields: st.SearchStrategy[Headers] | None = None,
    statuses: st.SearchStrategy[int] | None = None,
) -> st.SearchStrategy[bytes]:
    """Heads of HTTP/1.1 responses through the blank line.

    Args:
        fields: What is in them; `headers()` unless given.
        statuses: Their status; 200 to 599 unless given.
    """
    codes = st.integers(200, 599) if statuses is None else statuses

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        reason = draw(st.one_of(st.sampled_from((b"", b"OK", b"Not Found")), field_values()))
        line = b"HTTP/1.1 %d %b\r\n" % (draw(codes), reason)
        return line + draw(_lines(draw(headers() if fields is None else fields))) + b"\r\n"

    return build()


def bodies(max_size: int = 2000) -> st.SearchStrategy[bytes]:
    """Bodies; some of them look like framing.

    Args:
        max_size: Most bytes.
    """
    words = st.sampled_from((b"\r\n", b"0\r\n\r\n", b"\r\n\r\n", b"5\r\nhello\r\n", b"\0"))
    mixed = st.lists(st.one_of(words, st.binary(max_size=20)), max_size=20).map(b"".join)
    return st.one_of(st.binary(max_size=max_size), mixed.map(lambda data: data[:max_size]))


def chunked(body: bytes) -> st.SearchStrategy[bytes]:
    """Chunked codings of a body (RFC 9112 section 7.1), to the end of the trailer section.

    Chunks are of any size; sizes come in both cases and with leading zeros, and there may be
    extensions and trailer fields.
    """

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        coded = b""
        for piece in [*(piece for piece in draw(splits(body)) if piece), b""]:
            size = draw(st.sampled_from(("{:x}", "{:X}", "00{:x}"))).format(len(piece)).encode()
            extension = draw(st.sampled_from((b"", b"", b";a", b";a=b", b';a="b c"')))
            # The chunk of size 0 is the last one, and has no CR LF of its own.
            coded += size + extension + b"\r\n" + piece + (b"\r\n" if piece else b"")
        return coded + draw(_lines(draw(headers(max_size=2)))) + b"\r\n"

    return build()


def splits(data: bytes, max_pieces: int = 8) -> st.SearchStrategy[Sequence[bytes]]:
    """Ways to cut bytes into pieces; joined, they are `data`. Some pieces may be empty.

    Args:
        data: What to cut.
        max_pieces: Most pieces, save for the way that cuts behind every byte.
    """
    cuts = st.lists(st.integers(0, len(data)), max_size=max_pieces - 1)

    def cut(at: list[int]) -> list[bytes]:
        return [data[start:end] for start, end in pairwise([0, *sorted(at), len(data)])]

    bytewise = st.just([data[at : at + 1] for at in range(len(data))] or [b""])
    return st.one_of(cuts.map(cut), bytewise)


def malformed_request_heads() -> st.SearchStrategy[bytes]:
    """Valid heads with one thing spoilt; httpcore_proto's server refuses each of them."""

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        head = draw(request_heads())
        line, rest = head.split(b"\r\n", 1)
        method, target, version = line.split(b" ")
        how = draw(st.sampled_from(("line", "line", "field", "field", "host")))
        if how == "host":
            lines = rest.split(b"\r\n")
            hosts = [at for at, text in enumerate(lines) if text.lower().startswith(b"host:")]
            if draw(st.booleans()):
                lines[hosts[0] : hosts[0] + 1] = []  # RFC 9112 section 3.2: needed
            else:
                lines.insert(hosts[0], b"Host: other.test")  # and only once
            return line + b"\r\n" + b"\r\n".join(lines)
        if how == "line":
            return draw(st.sampled_from(_spoilt_lines(method, target, version))) + b"\r\n" + rest
        # In front of all others, so that it continues none of them.
        return line + b"\r\n" + draw(st.sampled_from(_SPOILT_FIELDS)) + b"\r\n" + rest

    return build()


def _spoilt_lines(method: bytes, target: bytes, version: bytes) -> list[bytes]:
    return [
        b"%b %b" % (method, target),
        b"%b  %b" % (method, version),
        b"%b %b%b" % (method, target, version),
        b"%b %b \x00%b" % (method, target, version),
        b"%b %b\x7f %b" % (method, target, version),
        b"%b %b HTTP/3.0" % (method, target),
        b"%b %b HTTP/1.1x" % (method, target),
        b"%b %b http/1.1" % (method, target),
        b"%b\t%b %b" % (method, target, version),
        b"{%b %b %b" % (method, target, version),
        b"%b %b %b" % (method.lower(), target, version),
        b" %b %b %b" % (method, target, version),
    ]


_SPOILT_FIELDS: Final = (
    *(b"No colon", b": no name", b"Blank : x", b" folded: x", b"Na(me: x", b"N\xffme: x"),
    *(b"Nul: a\0b", b"Cr: a\rb", b"Control: a\x01b", b"Delete: a\x7fb"),
    *(b"Content-Length: x", b"Content-Length: -1", b"Content-Length: 1, 2", b"Content-Length:"),
    b"Content-Length: 1\r\nContent-Length: 2",
    b"Content-Length: 1\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, gzip",
)


def _lines(fields: Headers) -> st.SearchStrategy[bytes]:
    """Lines of fields with the blanks that may stand around values (RFC 9112 section 5)."""
    before = st.sampled_from((b" ", b"", b" \t"))
    behind = st.sampled_from((b"", b"", b" "))

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        return b"".join(
            b"%b:%b%b%b\r\n" % (name, draw(before), value, draw(behind)) for name, value in fields
        )

    return build()


def _without_repeated(fields: Headers) -> Headers:
    seen: set[bytes] = set()
    kept: Headers = []
    for name, value in fields:
        lower = name.lower()
        if lower not in seen:
            kept.append((name, value))
        if lower in _SINGLE:
            seen.add(lower)
    return kept
