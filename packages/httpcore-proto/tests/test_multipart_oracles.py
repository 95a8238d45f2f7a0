"""Three other parsers as oracles: email of the standard library, werkzeug's and `multipart`'s.

Where they accept a body as we do, they read the same parts in it; two programs that read one
upload differently are how files get past whoever checks them. What they refuse and we accept,
and where they read something else, is listed with the section that decides.
"""

from __future__ import annotations

import re
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import NamedTuple

import multipart
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from httpcore_proto import (
    END_OF_MULTIPART,
    MultipartError,
    MultipartParser,
    Part,
    encode_closing,
    encode_part_head,
)

Parts = list[tuple[list[tuple[bytes, bytes]], bytes]]


def octets(name: str, value: str) -> tuple[bytes, bytes]:
    value = value.strip(" \t")
    return name.lower().encode(), value.encode("utf-8", "surrogateescape")


def ours(data: bytes) -> Parts | None:
    parser = MultipartParser("B")
    parser.receive_data(data)
    parser.receive_eof()
    parts: Parts = []
    try:
        while (event := parser.next_event()) is not END_OF_MULTIPART:
            if isinstance(event, Part):
                parts.append(([(name.lower(), value) for name, value in event.raw_headers], b""))
            elif isinstance(event, bytes):
                parts[-1] = (parts[-1][0], parts[-1][1] + event)
    except MultipartError:
        return None
    return parts


def of_email(data: bytes) -> Parts | None:
    head = b'Content-Type: multipart/form-data; boundary="B"\r\n\r\n'
    message = BytesParser(policy=HTTP).parsebytes(head + data)
    parts: Parts = []
    if message.defects:
        return None
    for part in message.iter_parts():
        assert isinstance(part, EmailMessage)
        body = part.get_payload(decode=True)
        # What it reports is what it got over.
        if part.defects or not isinstance(body, bytes):
            return None
        parts.append(([octets(name, value) for name, value in part.raw_items()], body))
    return parts


def of_werkzeug(data: bytes) -> Parts | None:
    decoder = MultipartDecoder(b"B")
    decoder.receive_data(data)
    decoder.receive_data(None)
    parts: Parts = []
    try:
        while not isinstance(event := decoder.next_event(), Epilogue):
            if isinstance(event, Field | File):
                parts.append(([octets(name, value) for name, value in event.headers], b""))
            elif isinstance(event, Data):
                parts[-1] = (parts[-1][0], parts[-1][1] + event.data)
    except ValueError:
        return None
    return parts


def of_multipart(data: bytes) -> Parts | None:
    parts: Parts = []
    try:
        with multipart.PushMultipartParser("B") as parser:
            for event in parser.parse(data):
                if isinstance(event, multipart.MultipartSegment):
                    fields = [octets(name, value) for name, value in event.headerlist]
                    parts.append((fields, b""))
                elif event is not None:
                    parts[-1] = (parts[-1][0], parts[-1][1] + event)
    except multipart.MultipartError:
        return None
    return parts


ORACLES = (of_email, of_werkzeug, of_multipart)
# Both of the others that read forms want it in each part.
CD = b"Content-Disposition: form-data; name=a\r\n"
CD_SEEN = (b"content-disposition", b"form-data; name=a")


class Difference(NamedTuple):
    """What each makes of a body: None refuses."""

    body: bytes
    ours: Parts | None
    email: Parts | None
    werkzeug: Parts | None
    multipart: Parts | None


def head(*lines: bytes) -> bytes:
    return b"--B\r\n" + CD + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def part(body: bytes, *fields: tuple[bytes, bytes]) -> Parts:
    return [([CD_SEEN, *fields], body)]


X = part(b"x")
END = b"\r\n--B--\r\n"

SAME = {
    "one part": (head() + b"x" + END, X),
    "two parts": (head() + b"x\r\n" + head() + b"y" + END, X + part(b"y")),
    "empty part": (head() + END, part(b"")),
    "preamble": (b"pre\r\namble\r\n" + head() + b"x" + END, X),
    "line end before the first": (b"\r\n" + head() + b"x" + END, X),
    "epilogue": (head() + b"x" + END + b"epilogue", X),
    "epilogue that is a body": (head() + b"x" + END + head() + b"y" + END, X),
    "closing delimiter without line end": (head() + b"x\r\n--B--", X),
    "closing delimiter with padding": (head() + b"x\r\n--B-- \t\r\n", X),
    "lookalikes": (
        head() + b"\r\n-\r\n--\r\n--A\r\n-B\r\r\n" + END,
        part(b"\r\n-\r\n--\r\n--A\r\n-B\r\r\n"),
    ),
    "delimiter within a line": (head() + b"x--B--" + END, part(b"x--B--")),
    "header that is UTF-8": (head(b"X: \xc3\xa4") + b"x" + END, part(b"x", (b"x", b"\xc3\xa4"))),
    "blanks around a value": (head(b"X: \ta b ") + b"x" + END, part(b"x", (b"x", b"a b"))),
    "repeated header": (
        head(b"X: a", b"x: b") + b"x" + END,
        part(b"x", (b"x", b"a"), (b"x", b"b")),
    ),
    "body of all bytes": (head() + bytes(range(256)) + END, part(bytes(range(256)))),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("oracle", ORACLES)
def test_oracle_reads_the_same(oracle: object, name: str) -> None:
    body, parts = SAME[name]
    assert ours(body) == parts
    assert callable(oracle)
    assert oracle(body) == parts


Y = part(b"y")

# What we accept and one of them refuses or reads otherwise. RFC 2046 section 5.1.1 unless said.
ACCEPTED = {
    # transport-padding, "must not generate, must accept".
    "padding": Difference(head().replace(b"--B", b"--B \t", 1) + b"x" + END, X, X, X, None),
    # The line end of the empty line is the delimiter's.
    "part without body": Difference(head()[:-2] + END, *[part(b"")] * 3, None),
    # body-part: MIME-part-headers may be none; that forms need a name is for their readers.
    "part without headers": Difference(
        b"--B\r\n\r\nx" + END, [([], b"x")], [([], b"x")], None, None
    ),
    "part without name": Difference(
        b"--B\r\nX: a\r\n\r\nx" + END, *[[([(b"x", b"a")], b"x")]] * 2, None, None
    ),
    # RFC 9110 section 5.6.2: a token has more than letters, digits and dashes.
    "name with a dot": Difference(
        head(b"X.!~: a") + b"x" + END, *[part(b"x", (b"x.!~", b"a"))] * 3, None
    ),
    # Section 5.1 of RFC 7578 has such bytes; whoever reads the value decides.
    "header that is not UTF-8": Difference(
        head(b"X: \xff") + b"x" + END, *[part(b"x", (b"x", b"\xff"))] * 2, None, None
    ),
    # RFC 7578 is silent; browsers send a form without fields like this.
    "no part": Difference(b"--B--\r\n", [], None, [], []),
    # delimiter: CRLF "--" boundary, a line end of another kind begins none.
    "delimiter behind LF": Difference(
        head() + b"x\n--B\ny" + END, part(b"x\n--B\ny"), None, None, part(b"x\n--B\ny")
    ),
    "delimiter behind CR": Difference(
        head() + b"x\r--B\ry" + END, part(b"x\r--B\ry"), None, None, part(b"x\r--B\ry")
    ),
    "part behind LF": Difference(
        head() + b"x\n" + head() + b"y" + END,
        part(b"x\n" + head() + b"y"),
        X + Y,
        X + Y,
        part(b"x\n" + head() + b"y"),
    ),
    # The first delimiter is at the beginning of a line, too.
    "delimiter within the preamble": Difference(
        b"x--B\r\n" + head() + b"x" + END,
        X,
        X,
        [([(b"--b", b""), CD_SEEN], b"x")],
        None,
    ),
    # "It is sufficient that the boundary appear in its entirety": what follows is no matter.
    "junk behind the closing delimiter": Difference(head() + b"x\r\n--B--junk", X, None, X, X),
}

# What we refuse and one of them accepts.
REFUSED = {
    # RFC 2046 section 5.1.1: lines of MIME end in CRLF.
    "LF for CRLF": Difference((head() + b"x" + END).replace(b"\r\n", b"\n"), None, X, X, None),
    "LF behind a delimiter": Difference(b"--B\n" + CD + b"\r\nx" + END, None, X, X, None),
    "closing delimiter behind LF": Difference(head() + b"x\n--B--\r\n", None, X, X, None),
    "LF in a head": Difference(
        head(b"X: a\nY: b") + b"x" + END,
        None,
        *[part(b"x", (b"x", b"a"), (b"y", b"b"))] * 2,
        part(b"x", (b"x", b"a\nY: b")),
    ),
    "CR in a head": Difference(
        head(b"X: a\rY: b") + b"x" + END,
        None,
        *[part(b"x", (b"x", b"a"), (b"y", b"b"))] * 2,
        part(b"x", (b"x", b"a\rY: b")),
    ),
    "head that ends in LF": Difference(
        head()[:-2] + b"\n\nx" + END, None, part(b"\nx"), part(b"\nx"), None
    ),
    # A boundary that another begins with: a line that begins with it is a delimiter.
    "longer boundary": Difference(
        head() + b"x\r\n--BX\r\ny" + END, None, *[part(b"x\r\n--BX\r\ny")] * 2, None
    ),
    # "must not appear" in what it delimits.
    "delimiter in a head": Difference(
        head()[:-2] + head() + b"x" + END,
        None,
        part(b"") + X,
        [([CD_SEEN, (b"--b", b""), CD_SEEN], b"x")],
        None,
    ),
    "delimiter as a header": Difference(
        head(b"--B: a") + b"x" + END, None, *[part(b"x", (b"--b", b"a"))] * 3
    ),
    # RFC 9112 section 5.2: obs-fold is obsolete, and each reads another value in it.
    "folded line": Difference(
        head(b"X: a", b" b") + b"x" + END,
        None,
        part(b"x", (b"x", b"a\r\n b")),
        *[part(b"x", (b"x", b"a b"))] * 2,
    ),
    # RFC 9112 section 5.1: no whitespace before the colon.
    "blank before a colon": Difference(
        head(b"X : a") + b"x" + END,
        None,
        None,
        part(b"x", (b"x", b"a")),
        part(b"x", (b"x", b"a")),
    ),
    # RFC 9110 section 5.1: a name is a token; section 5.5: no control characters in a value.
    "line without colon": Difference(
        head(b"X") + b"x" + END, None, None, part(b"x", (b"x", b"")), None
    ),
    "header without name": Difference(
        head(b": a") + b"x" + END, None, None, part(b"x", (b"", b"a")), None
    ),
    "NUL in a value": Difference(
        head(b"X: \0") + b"x" + END, None, *[part(b"x", (b"x", b"\0"))] * 3
    ),
    "padding that is no blank": Difference(
        b"--B\x0b\r\n" + head()[5:] + b"x" + END, None, None, X, None
    ),
}


@pytest.mark.parametrize("name", [*ACCEPTED, *REFUSED])
def test_oracles_read_something_else(name: str) -> None:
    difference = (ACCEPTED | REFUSED)[name]
    assert ours(difference.body) == difference.ours
    assert of_email(difference.body) == difference.email
    assert of_werkzeug(difference.body) == difference.werkzeug
    assert of_multipart(difference.body) == difference.multipart
    assert (difference.ours is None) is (name in REFUSED)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"--B",
        b"--B\r\n",
        head(),
        head() + b"x",
        head() + b"x\r\n--B",
        head() + b"x\r\n--B-",
        head() + b"x\r\n--B --\r\n",
        b"--B\r\n--B--\r\n",
        b"--b\r\n" + CD + b"\r\nx\r\n--b--",
    ],
)
def test_all_refuse(body: bytes) -> None:
    assert [read(body) for read in (ours, *ORACLES)] == [None] * 4


# Generated bodies.

# Of the names that all take, those that mean nothing to any.
names = st.from_regex(r"x-[a-z0-9]{1,4}", fullmatch=True)
values = st.text('ab;="\\,:/äß€ \t', max_size=8).map(lambda text: text.strip(" \t"))
SOUP = [b"\r\n", b"\r", b"\n", b"-", b"--", b"\r\n--", b"x", b" ", b"A: b", b"\0\xff", b"\r\n--A"]
bodies = st.lists(st.sampled_from(SOUP), max_size=12).map(b"".join)
forms = st.lists(
    st.tuples(st.lists(st.tuples(names, values), max_size=3), bodies), min_size=1, max_size=4
)


@given(forms)
def test_what_we_write_all_read(form: list[tuple[list[tuple[str, str]], bytes]]) -> None:
    written = b""
    parts: Parts = []
    for headers, body in form:
        fields = [("Content-Disposition", "form-data; name=a"), *headers]
        written += encode_part_head("B", fields) + body + b"\r\n"
        parts.append(([octets(name, value) for name, value in fields], body))
    written += encode_closing("B")
    assert ours(written) == parts
    for oracle in ORACLES:
        assert oracle(written) == parts


PATCHES = [
    *SOUP,
    b"",
    b"--B",
    b"--B\r\n",
    b"\r\n--B--",
    b"\r\n\r\n",
    CD,
    b":",
    b"\t",
    b"X: y\r\n",
    b"B",
]
patches = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 4), st.sampled_from(PATCHES)),
    min_size=1,
    max_size=4,
)
# What is listed above, as expressions: why an oracle refuses, or reads otherwise, what we accept.
# A line end is put before the body, so that all delimiters are behind one.
NO_DISPOSITION = rb"\r\n--B[ \t]*\r\n(?!(?i:(?:[^\r\n]+\r\n)*?content-disposition:))"
LISTED = {
    of_email: (
        rb"\A(?:(?!\r\n--B).)*\r\n--B--",  # no part
        rb"\r\n--B--[ \t]*[^ \t\r\n]",  # junk behind the closing delimiter
    ),
    of_werkzeug: (NO_DISPOSITION, rb"\xff"),
    of_multipart: (
        NO_DISPOSITION,
        rb"\n(?i:content-disposition):(?![ \t]*(?i:form-data)[ \t]*(?:;|\r\n))",
        rb"\xff",
        rb"\r\n--B[ \t]+\r\n",  # padding
        rb"[^\n]\r\n\r\n--B",  # part without body
        rb"\n(?![A-Za-z0-9-]+:)[!-9;-~]+:",  # name with a dot
    ),
}


@settings(max_examples=400)
@given(patches)
def test_what_we_accept_is_read_the_same_by_all_unless_listed(
    changes: list[tuple[int, int, bytes]],
) -> None:
    data = b"pre\r\n" + head(b"X: y") + b"x\r\n" + head() + b"y" + END + b"epi"
    for at, length, patch in changes:
        at %= len(data) + 1
        data = data[:at] + patch + data[at + length :]
    parts = ours(data)
    if parts is None:
        return
    data = b"\r\n" + data
    if re.search(rb"(?<!\r\n)--B", data.partition(b"\r\n--B--")[0]):
        return  # a delimiter behind another line end, or none
    for oracle in ORACLES:
        read = oracle(data)
        if read != parts:
            assert any(re.search(why, data, re.DOTALL) for why in LISTED[oracle]), (oracle, read)
