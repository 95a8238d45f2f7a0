"""The scanner that all parsers of field values share; those that use it test it, too."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore_proto._scan import OWS, QUOTED, TOKEN, quote, scan_parameters, split_list, unescape

TOKEN_CHARS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize("code", [*range(256), 0x17F, 0x212A, 0x661, 0xDCFF])
def test_characters_of_each_kind(code: int) -> None:
    char = chr(code)
    is_control = code == 127 or (code < 32 and char != "\t")
    assert (re.fullmatch(TOKEN, char) is not None) is (char in TOKEN_CHARS)
    assert (re.fullmatch(OWS, char) is not None) is (char in " \t")
    assert (re.fullmatch(QUOTED, char) is not None) is (not is_control and char not in '"\\')
    assert (re.fullmatch(QUOTED, f"\\{char}") is not None) is not is_control


@pytest.mark.parametrize(
    ("quoted", "text"),
    [
        ("", ""),
        ("a b", "a b"),
        ('\\"a\\"', '"a"'),
        ("\\\\", "\\"),
        ("\\\\\\a\\\\b", "\\a\\b"),
        ("\\ä\\\t", "ä\t"),
        ("\\\n", "\n"),
        ("a\\", "a\\"),
    ],
)
def test_backslashes_are_taken_off(quoted: str, text: str) -> None:
    assert unescape(quoted) == text


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a", "a"),
        (TOKEN_CHARS, TOKEN_CHARS),
        ("", '""'),
        ("a b", '"a b"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("ä", '"ä"'),
        ("\u212a", '"\u212a"'),
        ("a\n", '"a\n"'),
    ],
)
def test_what_is_no_token_is_quoted(text: str, quoted: str) -> None:
    assert quote(text) == quoted


@pytest.mark.parametrize(
    ("text", "parameters", "end"),
    [
        ("", [], 0),
        ("a=b", [], 0),
        (";a=b", [("a", "b")], 4),
        (" \t; \ta=b", [("a", "b")], 8),
        (';A=B;a="c d";E=""', [("a", "B"), ("a", "c d"), ("e", "")], 17),
        (';a="\\"\\\\;b=c\\""', [("a", '"\\;b=c"')], 15),
        (';a="ä\tb"', [("a", "ä\tb")], 8),
        # Empty ones are allowed (RFC 9110 section 5.6.6).
        (";; ;a=b;;", [("a", "b")], 9),
        (";a=b; ", [("a", "b")], 6),
        # Whitespace behind the last is not of it.
        (";a=b ", [("a", "b")], 4),
        # What cannot be read is where it ends.
        (";a=b c", [("a", "b")], 4),
        (";a=b;c", [("a", "b")], 5),
        (";a=b;c=", [("a", "b")], 5),
        (";a=b;=c", [("a", "b")], 5),
        (";a=b; c =d", [("a", "b")], 6),
        (";a=b;c= d", [("a", "b")], 5),
        (";a=b;c=d=e", [("a", "b"), ("c", "d")], 8),
        (';a=b;c="d', [("a", "b")], 5),
        (';a=b;c="d\\"', [("a", "b")], 5),
        (';a=b;c="d\n"', [("a", "b")], 5),
        (';a=b;c="d"e', [("a", "b"), ("c", "d")], 10),
        (';a=b;c=d"e"', [("a", "b"), ("c", "d")], 8),
        (";a=b;ä=c", [("a", "b")], 5),
        (";a=b;c=ä", [("a", "b")], 5),
        (";\u212a=b", [], 1),
        (";a=b\n", [("a", "b")], 4),
        (";a=b,;c=d", [("a", "b")], 4),
    ],
)
def test_parameters_are_scanned(text: str, parameters: list[tuple[str, str]], end: int) -> None:
    assert scan_parameters(text, 0) == (parameters, end)
    assert scan_parameters("x;y" + text, 3) == (parameters, end + 3)


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", []),
        (" \t", []),
        (", ,\t,,", []),
        ("a", ["a"]),
        (" a\t, b c ,d", ["a", "b c", "d"]),
        (",a,,b,", ["a", "b"]),
        ('"a,b", c', ['"a,b"', "c"]),
        ('a="b, c";d, e', ['a="b, c";d', "e"]),
        ('"a\\",b", c', ['"a\\",b"', "c"]),
        ('"a\\\\",b', ['"a\\\\"', "b"]),
        ('""",",a', ['"""' + ',"', "a"]),
        ("a\\,b", ["a\\", "b"]),
        # One that is never closed lasts to the end.
        ('a, "b, c', ["a", '"b, c']),
        ('"b, c\\', ['"b, c\\']),
        ('"b, c\\" ,d', ['"b, c\\" ,d']),
        ("a;b=ä, \xa0c", ["a;b=ä", "\xa0c"]),
    ],
)
def test_list_is_split(text: str, elements: list[str]) -> None:
    assert list(split_list(text)) == elements


texts = st.text(
    st.characters(exclude_categories=["Cc"]) | st.sampled_from('\t"\\,;= '), max_size=10
)
tokens = st.text(TOKEN_CHARS, min_size=1, max_size=5)


@given(texts)
def test_quoting_goes_round(text: str) -> None:
    quoted = quote(text)
    if quoted != text:
        assert re.fullmatch(QUOTED, quoted[1:-1])
        assert unescape(quoted[1:-1]) == text


@given(st.lists(st.tuples(tokens, texts), max_size=4), st.sampled_from([";", "; ", " ;\t", ";;"]))
def test_parameters_go_round(parameters: list[tuple[str, str]], separator: str) -> None:
    text = "".join(f"{separator}{name}={quote(value)}" for name, value in parameters)
    expected = [(name.lower(), value) for name, value in parameters]
    assert scan_parameters(text, 0) == (expected, len(text))


@given(
    st.lists(
        st.one_of(tokens, texts.map(lambda text: '"' + quote(text).strip('"') + '"')), max_size=4
    )
)
def test_lists_go_round(elements: list[str]) -> None:
    elements = [quote(element) for element in elements]
    for separator in (",", " , ", ",\t,,"):
        assert list(split_list(separator.join(elements))) == elements


@given(st.text() | st.text('a",\\;= \t\n'))
def test_any_text_is_scanned(text: str) -> None:
    for element in split_list(text):
        assert element
        assert element == element.strip(" \t")
        assert element in text
    _, end = scan_parameters(text, 0)
    assert 0 <= end <= len(text)


HOSTILE = [
    *(char * 300_000 for char in '"\\,; \ta=\n'),
    '"\\' * 150_000,
    '\\"' * 150_000,
    '",' * 150_000,
    ', "' * 300_000,
    '"a' * 150_000 + "\n",
    ("\n" + '"') * 150_000,
    'a="' * 300_000,
    ';a="' * 80_000,
    ';a="\\' * 60_000,
    ';a="b' * 60_000 + "\n",
    ";a=b" * 80_000,
    ";a" * 150_000,
    "; " * 150_000,
    "a " * 150_000,
    " ," * 150_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: f"{text[:6]!r}")
def test_long_texts_take_linear_time(text: str) -> None:
    """DO-17: every expression is possessive."""
    assert sum(map(len, split_list(text))) <= len(text)
    for start in (0, 1, len(text) - 1):
        _, end = scan_parameters(text, start)
        assert start <= end <= len(text)
    assert scan_parameters(";a=" + text, 0)[1] <= len(text) + 3
    assert unescape(quote(text)[1:-1] if quote(text) != text else text) == text
