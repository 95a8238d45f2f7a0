from __future__ import annotations

import dataclasses
import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug import http as werkzeug

from httpcore_proto import ETag, parse_etags, parse_if_range, strong_match, weak_match

# RFC 9110 section 8.8.3, etagc; above ASCII anything counts as obs-text.
FORBIDDEN = [*map(chr, range(0x21)), '"', "\x7f"]
values = st.text(st.characters(exclude_characters=FORBIDDEN))
tags = st.builds(ETag, values.filter(lambda value: value != "*"), st.booleans())

ANY = ETag("*")


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (ETag("a"), '"a"'),
        (ETag("a", False), '"a"'),
        (ETag("a", is_weak=True), 'W/"a"'),
        (ETag(""), '""'),
        (ETag("", True), 'W/""'),
        (ETag("**"), '"**"'),
        (ETag(r"!#\,'~ä" + "\x80\udcff"), r'"!#\,' + "'~ä\x80\udcff" + '"'),
        (ANY, "*"),
    ],
)
def test_text_is_the_form_in_a_field(tag: ETag, text: str) -> None:
    assert str(tag) == text
    assert parse_etags(text) == (tag,)


@pytest.mark.parametrize("char", [chr(code) for code in range(0x100)])
def test_characters_of_a_tag(char: str) -> None:
    if char not in FORBIDDEN:
        assert ETag(f"a{char}b").value == f"a{char}b"
        return
    with pytest.raises(ValueError, match="has a character that none may have"):
        ETag(f"a{char}b")
    assert ETag("y") not in parse_etags(f'"x", "a{char}b", "y"')


def test_message_about_a_long_tag_is_short() -> None:
    with pytest.raises(ValueError, match="goes without the quotes") as caught:
        ETag('"' * 1_000_000)
    assert len(str(caught.value)) < 300


def test_any_tag_cannot_be_weak() -> None:
    with pytest.raises(ValueError, match="stands for any tag and cannot be weak"):
        ETag("*", is_weak=True)


def test_tag_is_a_value() -> None:
    tag = ETag("a", True)
    assert tag == ETag("a", True) != ETag("a")
    assert len({tag, ETag("a", True), ETag("a"), ETag("b")}) == 3
    assert pickle.loads(pickle.dumps(tag)) == tag
    with pytest.raises(dataclasses.FrozenInstanceError):
        tag.value = "b"  # type: ignore[misc]  # that is the point


# Lists of If-Match and If-None-Match.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ()),
        (" \t", ()),
        (",, ,", ()),
        (" * ", (ANY,)),
        ('"a", W/"b" ,"c"', (ETag("a"), ETag("b", True), ETag("c"))),
        (' ,\t,"a",,\t"b" , ', (ETag("a"), ETag("b"))),
        (r'"a,b", "c\"', (ETag("a,b"), ETag("c\\"))),
        # Up to what is none.
        ("a", ()),
        ('a, "b"', ()),
        ('"a", b, "c"', (ETag("a"),)),
        ('"a" "b"', (ETag("a"),)),
        ('"a"b, "c"', (ETag("a"),)),
        ('"a";x, "c"', (ETag("a"),)),
        ('"a", "b', (ETag("a"),)),
        ('"a", w/"b"', (ETag("a"),)),
        ('"a", W/ "b"', (ETag("a"),)),
        ('"a", W"b"', (ETag("a"),)),
        ('"a", *, "b"', (ETag("a"),)),
        ("*, *", ()),
        ("W/*", ()),
        ('"a"\n, "b"', (ETag("a"),)),
        ('"a"\xa0, "b"', (ETag("a"),)),
    ],
)
def test_list_is_read_up_to_garbage(value: str, expected: tuple[ETag, ...]) -> None:
    assert parse_etags(value) == expected


@pytest.mark.parametrize("value", ['"*"', 'W/"*"'])
def test_quoted_star_does_not_stand_for_any_tag(value: str) -> None:
    """aiohttp takes it for `*`: `If-Match: "*"` would hold for any representation."""
    assert parse_etags(value) == ()
    assert parse_etags(f'"a", {value}, "b"') == (ETag("a"), ETag("b"))
    assert parse_if_range(value) is None


@given(st.lists(tags))
def test_round_trip(given_tags: list[ETag]) -> None:
    assert parse_etags(", ".join(map(str, given_tags))) == tuple(given_tags)


@given(st.text('aW/", \t*\\\x01ä'))
def test_any_text_is_read(value: str) -> None:
    found = parse_etags(value)
    assert parse_etags(", ".join(map(str, found))) == found


@pytest.mark.parametrize(
    "value",
    [
        '"' * 1_000_001,
        '"' + "a" * 1_000_000,
        "," * 1_000_000,
        " " * 1_000_000,
        " " * 1_000_000 + "a",
        "W/" * 500_000,
        "*" * 1_000_000,
        '"a"' + " " * 1_000_000 + "b",
        '"a' * 300_000,
        '"a",' + '"' * 300_000 + "a",
    ],
    ids=lambda value: f"{value[:8]!r}",
)
def test_long_garbage_takes_linear_time(value: str) -> None:
    assert len(parse_etags(value)) <= 2
    assert parse_if_range(value) is None


def test_long_list_takes_linear_time() -> None:
    assert len(parse_etags('"a" , ' * 100_000)) == 100_000


# Comparison.


@pytest.mark.parametrize(
    ("a", "b", "strong", "weak"),
    [
        # RFC 9110 section 8.8.3.2, table 3.
        (ETag("1", True), ETag("1", True), False, True),
        (ETag("1", True), ETag("2", True), False, False),
        (ETag("1", True), ETag("1"), False, True),
        (ETag("1"), ETag("1"), True, True),
        (ETag("1"), ETag("2"), False, False),
        (ETag("a"), ETag("A"), False, False),
        # Sections 13.1.1 and 13.1.2: "*" is for whatever there is.
        (ANY, ETag("1"), True, True),
        (ANY, ETag("1", True), True, True),
        (ANY, ANY, True, True),
    ],
)
def test_comparison(a: ETag, b: ETag, strong: bool, weak: bool) -> None:
    assert strong_match(a, b) is strong_match(b, a) is strong
    assert weak_match(a, b) is weak_match(b, a) is weak


# If-Range.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"a"', ETag("a")),
        (' "a"\t', ETag("a")),
        ('W/"a"', ETag("a", True)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        (" Sun Nov  6 08:49:37 1994 ", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("", None),
        ("*", None),
        ("a", None),
        ('"a', None),
        ('"a", "b"', None),
        ('"a",', None),
        ("Sun, 31 Feb 1994 08:49:37 GMT", None),
    ],
)
def test_if_range(value: str, expected: ETag | datetime | None) -> None:
    assert parse_if_range(value) == expected


# Another parser. Differences are wanted; RFC 9110 decides each of them.


def by_werkzeug(value: str) -> tuple[set[str], set[str], bool]:
    found = werkzeug.parse_etags(value)
    return set(found.as_set()), set(found._weak), found.star_tag


def ours(value: str) -> tuple[set[str], set[str], bool]:
    found = parse_etags(value)
    strong = {tag.value for tag in found if not tag.is_weak and tag != ANY}
    return strong, {tag.value for tag in found if tag.is_weak}, ANY in found


@pytest.mark.parametrize("value", ["*", '"a"', 'W/"a"', '"a", W/"b", "c"', '"a","b"'])
def test_werkzeug_reads_the_same(value: str) -> None:
    assert ours(value) == by_werkzeug(value)


@pytest.mark.parametrize(
    ("value", "expected", "of_werkzeug"),
    [
        # Section 8.8.3: a tag has quotes.
        ("a", (set(), set(), False), ({"a"}, set(), False)),
        # The same: W is a capital.
        ('w/"a"', (set(), set(), False), (set(), {"a"}, False)),
        # The same: a comma is like any other character.
        ('"a,b"', ({"a,b"}, set(), False), ({"a,b"}, set(), False)),
        # The same: there may be nothing between the quotes.
        ('""', ({""}, set(), False), ({None}, set(), False)),
        # Section 13.1.1: "*" stands alone.
        ('"a", *', ({"a"}, set(), False), ({"a", "*"}, set(), False)),
        # The same: in quotes it is a tag like any other.
        ('"*"', (set(), set(), False), ({"*"}, set(), False)),
    ],
)
def test_werkzeug_reads_something_else(
    value: str,
    expected: tuple[set[str], set[str], bool],
    of_werkzeug: tuple[set[str | None], set[str], bool],
) -> None:
    assert ours(value) == expected
    assert by_werkzeug(value) == of_werkzeug
