from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore_proto import parse_forwarded


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 7239 section 4.
        ('for="_gazonk"', [{"for": "_gazonk"}]),
        ('For="[2001:db8:cafe::17]:4711"', [{"for": "[2001:db8:cafe::17]:4711"}]),
        (
            "for=192.0.2.60;proto=http;by=203.0.113.43",
            [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}],
        ),
        ("for=192.0.2.43, for=198.51.100.17", [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}]),
        # Names without case, values as they are, blanks and separators too many.
        (' ,\tFOR=A ;; Host="b" ; ,, by=c;,', [{"for": "A", "host": "b"}, {"by": "c"}]),
        (";for=a", [{"for": "a"}]),
        ("for=", [{}]),
        ('for=""', [{"for": ""}]),
        (r'for="a\"\\\b,;=c"', [{"for": 'a"\\b,;=c'}]),
        ("for=a;for=b;FOR=c", [{"for": "a"}]),
        ('for="ä\udcff"', [{"for": "ä\udcff"}]),
        # A port without quotes.
        ("for=192.0.2.1:80;host=a.b:65535", [{"for": "192.0.2.1:80", "host": "a.b:65535"}]),
        ("for=unknown:80, by=b", [{"for": "unknown:80"}, {"by": "b"}]),
        ("", []),
        (" \t, ,", []),
    ],
)
def test_elements_are_read(value: str, expected: list[dict[str, str]]) -> None:
    assert parse_forwarded([value]) == tuple(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # What stands before it in the element counts, what stands behind it does not.
        ("for=a b;by=c, for=d", [{"for": "a"}, {"for": "d"}]),
        ("for=a by=c, for=d", [{"for": "a"}, {"for": "d"}]),
        ("for=a;x;by=c, for=d", [{"for": "a"}, {"for": "d"}]),
        ("for=a;by =c, for=d", [{"for": "a"}, {"for": "d"}]),
        ("for=a;by= c, for=d", [{"for": "a"}, {"for": "d"}]),
        ('for="a"b;by=c, for=d', [{"for": "a"}, {"for": "d"}]),
        ("for=a=b, for=d", [{"for": "a"}, {"for": "d"}]),
        ("for=a:b, for=d", [{"for": "a"}, {"for": "d"}]),
        ("for=a:123456, for=d", [{"for": "a:12345"}, {"for": "d"}]),
        ("for=a:\u0661, for=d", [{"for": "a"}, {"for": "d"}]),
        # The element keeps its place.
        ("x, for=d", [{}, {"for": "d"}]),
        ("=, for=d", [{}, {"for": "d"}]),
        (";, for=d", [{}, {"for": "d"}]),
        ("for=[::1], for=d", [{}, {"for": "d"}]),
        ("for=ä, for=d", [{}, {"for": "d"}]),
        ("\u212ax=a, for=d", [{}, {"for": "d"}]),
        ('for="\n", for=d', [{}, {"for": "d"}]),
        # An open quote does not reach beyond the next comma.
        ('for="a, for=d', [{}, {"for": "d"}]),
        ('for="a\\", for=d', [{}, {"for": "d"}]),
        ('for=a;by="b, for=d, for=e', [{"for": "a"}, {"for": "d"}, {"for": "e"}]),
        # Unless a later one closes it.
        ('for="a, for="d"', [{"for": "a, for="}]),
    ],
)
def test_malformed_element_ends_at_the_next_comma(
    value: str, expected: list[dict[str, str]]
) -> None:
    assert parse_forwarded([value]) == tuple(expected)


def test_lines_are_read_one_by_one() -> None:
    assert parse_forwarded([]) == ()
    lines = ["for=a, for=b", "", 'for="c', "for=d"]
    assert parse_forwarded(iter(lines)) == ({"for": "a"}, {"for": "b"}, {}, {"for": "d"})


def test_elements_are_read_only() -> None:
    assert all(isinstance(one, MappingProxyType) for one in parse_forwarded(["for=a, x"]))


def test_last_elements_are_kept() -> None:
    """What a client makes up must not push out what the proxies say."""
    found = parse_forwarded(["for=x," * 1000, "for=a, for=b"])
    assert len(found) == 100
    assert found[-3:] == ({"for": "x"}, {"for": "a"}, {"for": "b"})


@pytest.mark.parametrize(
    "value",
    [
        '"' * 1_000_001,
        "," * 1_000_000,
        ";" * 1_000_000,
        " " * 1_000_000 + "x",
        "=" * 1_000_000,
        "a" * 1_000_000,
        'a="' + "\\" * 1_000_000,
        'a="' + "," * 1_000_000,
        'a="' + ",a=" * 300_000,
        'a="\n,' * 250_000,
        'a="\\",' * 200_000,
        ",\\" * 500_000,
        "a=:" * 300_000,
        "a;" * 500_000,
        "; ," * 300_000,
    ],
    ids=lambda value: f"{value[:8]!r}",
)
def test_long_garbage_takes_linear_time(value: str) -> None:
    found = parse_forwarded([value])
    assert len(found) <= 100
    assert sum(map(len, found)) <= 100


def test_many_pairs_take_linear_time() -> None:
    (element,) = parse_forwarded([";".join(f"a{number}=x" for number in range(100_000))])
    assert len(element) == 100_000


TOKEN = st.text("abz019!#$%&'*+-.^_`|~", min_size=1)
CONTROLS = {*map(chr, range(0x20)), "\x7f"} - {"\t"}
TEXT = st.text(st.characters(exclude_characters=CONTROLS))


@given(st.lists(st.dictionaries(TOKEN, TEXT, min_size=1), max_size=4))
def test_round_trip(elements: list[dict[str, str]]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    written = (
        ";".join(f"{name}={quoted(text)}" for name, text in element.items()) for element in elements
    )
    assert parse_forwarded([", ".join(written)]) == tuple(elements)


@given(st.lists(st.text('a=;,: "\\\t\x01ä')))
def test_any_text_is_read(values: list[str]) -> None:
    assert all(name for element in parse_forwarded(values) for name in element)
