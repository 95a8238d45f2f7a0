from __future__ import annotations

import itertools
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_accept_header

from httpcore_proto import (
    MAX_ACCEPT_ITEMS,
    AcceptItem,
    choose_coding,
    choose_media_type,
    is_identity_acceptable,
    parse_accept,
)

# Reading.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ("gzip", [("gzip", 1.0, {})]),
        ("GZip;Q=0.5", [("gzip", 0.5, {})]),
        (" a ,\tb;q=1 ,, c \t; \tq=0.001,", [("a", 1.0, {}), ("b", 1.0, {}), ("c", 0.001, {})]),
        ("da, en-GB;q=0.8, *;q=0", [("da", 1.0, {}), ("en-gb", 0.8, {}), ("*", 0.0, {})]),
        (
            'text/*;q=0.3, text/html;Level=1;level=2;q=0.7;ext=3, */*;a="b,\\"c"',
            [("text/*", 0.3, {}), ("text/html", 0.7, {"level": "1"}), ("*/*", 1.0, {"a": 'b,"c'})],
        ),
        # The old form of extensions, RFC 7231 section 5.3.2.
        ("a/b;q=0.5;ext", [("a/b", 0.5, {})]),
        ("a/b;q=0.5; ext ;x=", [("a/b", 0.5, {})]),
        ("a;q=0.1;q=0.2", [("a", 0.1, {})]),
        ("a;;q=0.1;", [("a", 0.1, {})]),
    ],
)
def test_items_are_read(value: str, expected: list[tuple[str, float, dict[str, str]]]) -> None:
    assert parse_accept(value) == tuple(expected)


@pytest.mark.parametrize("weight", ["0", "0.", "0.0", "0.000", "0.999", "1", "1.", "1.000"])
def test_weight_is_read(weight: str) -> None:
    assert parse_accept(f"a;q={weight}") == (("a", float(weight), {}),)


@pytest.mark.parametrize(
    "weight",
    [
        *("", "x", "-1", "-0", "+1", "2", "1.1", "1.001", "0.0000", "1.0000", ".5", "00"),
        *("01", "1e0", "1_0", "nan", "inf", "0.5 1", "0 .5", "\u0661", "0.\u0665", '"', '"0.5'),
    ],
)
def test_item_with_a_malformed_weight_is_left_out(weight: str) -> None:
    assert parse_accept(f"a, b;q={weight}")[:1] == (("a", 1.0, {}),)
    assert all(item.value != "b" for item in parse_accept(f"b;q={weight}, c"))


@pytest.mark.parametrize(
    "item",
    [
        *("=", ";", ";q=1", "/", "a/", "/a", "a/b/c", "a b", "a;b", "a;b=", "a;b c", "a;=c", "ä"),
        *(
            "\u212a",
            "a\n",
            "a\0",
            "a;q",
            "a;q =1",
            "a;q= 1",
            '"a"',
            "a;b=c d",
            "a;b=c;d",
            "a\udcff",
        ),
    ],
)
def test_malformed_item_is_left_out(item: str) -> None:
    assert parse_accept(f"x, {item}, y;q=0.5") == (("x", 1.0, {}), ("y", 0.5, {}))


def test_quote_that_is_not_closed_lasts_to_the_end() -> None:
    assert parse_accept('x, a;b="c, y') == (("x", 1.0, {}),)


def test_parameters_are_read_only() -> None:
    for item in (*parse_accept("a, b;c=d"), AcceptItem("a")):
        assert isinstance(item.parameters, MappingProxyType)


def test_items_are_bounded() -> None:
    assert MAX_ACCEPT_ITEMS == 100
    items = parse_accept(",".join(f"a{number}" for number in range(101)))
    assert [item.value for item in items] == [f"a{number}" for number in range(100)]
    assert parse_accept("=," * 100 + "a") == ()


# Media types.

RFC_EXAMPLE = (
    "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, "
    "text/plain;format=fixed;q=0.4, */*;q=0.5"
)


@pytest.mark.parametrize(
    ("offer", "other", "expected"),
    [
        # RFC 9110 section 12.5.1 gives these qualities: 1, 0.7, 0.3, 0.5, 0.4, 0.7.
        ("text/plain;format=flowed", "text/plain", "text/plain;format=flowed"),
        ("text/plain", "image/jpeg", "text/plain"),
        ("text/html", "image/jpeg", "image/jpeg"),
        ("text/html", "text/plain;format=fixed", "text/plain;format=fixed"),
        ("image/jpeg", "text/plain;format=fixed", "image/jpeg"),
        ("text/html;level=3", "text/plain", "text/plain"),
    ],
)
def test_most_specific_range_decides(offer: str, other: str, expected: str) -> None:
    assert choose_media_type(RFC_EXAMPLE, [offer, other]) == expected
    assert choose_media_type(RFC_EXAMPLE, [other, offer]) == expected


@pytest.mark.parametrize(
    ("accept", "offers", "expected"),
    [
        (None, ["a/b", "c/d"], "a/b"),
        ("", ["a/b", "c/d"], "a/b"),
        ("=;, ,", ["a/b", "c/d"], "a/b"),
        ("c/d;q=x", ["a/b", "c/d"], "a/b"),
        (None, [], None),
        ("*/*", [], None),
        ("*/*", ["a/b", "c/d"], "a/b"),
        ("*", ["a/b", "c/d"], "a/b"),
        ("a/*", ["a/b", "a/c"], "a/b"),
        ("c/*, a/b;q=0.9", ["a/b", "c/d"], "c/d"),
        ("a/b, c/d", ["c/d", "a/b"], "c/d"),
        ("a/b;q=0.5, c/d;q=0.501", ["a/b", "c/d"], "c/d"),
        ("e/f", ["a/b", "c/d"], None),
        ("a/b;q=0", ["a/b"], None),
        ("*/*, a/b;q=0", ["a/b", "c/d"], "c/d"),
        ("*/*;q=0, a/*", ["c/d", "a/b"], "a/b"),
        ("a/*;q=0, */*", ["a/b"], None),
        ("A/B", ["a/B"], "a/B"),
        ("*/b", ["a/b"], None),
        ("a", ["a/b"], None),
        # A range with a parameter does not match what has none.
        ("a/b;x=1", ["a/b"], None),
        ("a/b;x=1", ["a/b;y=2;X=1"], "a/b;y=2;X=1"),
        ("a/b;x=1", ["a/b;x=2"], None),
        ("a/b;charset=UTF-8", ["a/b; charset=utf-8"], "a/b; charset=utf-8"),
        ('a/b;c="\u212a"', ["a/b;c=k"], None),
        ('a/b;c="ä"', ['a/b;c="ä"'], 'a/b;c="ä"'),
        ("a/*;x=1;q=0.2, a/*;q=0.8, c/*;q=0.5", ["a/b;x=1", "c/d"], "c/d"),
        # Of two that are as specific the first counts.
        ("a/b;q=0.1, a/b, c/d;q=0.5", ["a/b", "c/d"], "c/d"),
        # Of a browser.
        ("text/html,application/xml;q=0.9,*/*;q=0.8", ["image/png", "application/xml"],
         "application/xml"),
    ],
)  # fmt: skip
def test_media_type_is_chosen(accept: str | None, offers: list[str], expected: str | None) -> None:
    assert choose_media_type(accept, offers) == expected
    assert choose_media_type(accept, tuple(offers)) == expected


@pytest.mark.parametrize("offer", ["", "html", "a/", "/b", "a/b c", "a/b;c", "a/b, c/d", "ä/b"])
def test_offer_that_is_no_media_type_is_refused(offer: str) -> None:
    for accept in (None, "*/*"):
        with pytest.raises(ValueError, match="is no media type; write it as type/subtype"):
            choose_media_type(accept, ["a/b", offer])


# Codings.


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("compress", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("deflate, gzip, zstd", "zstd"),
        ("deflate;q=1, gzip;q=0.9", "deflate"),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("*", "br"),
        ("*;q=0.1", "br"),
        ("*, br;q=0", "zstd"),
        ("br;q=0.2, *;q=0.3", "zstd"),
        ("gzip;q=0", None),
        ("gzip;q=0.000, deflate", "deflate"),
        ("gzip;q=0, *", "br"),
        ("*;q=0", None),
        ("*;q=0, gzip", "gzip"),
        ("gzip;q=0.001", "gzip"),
        # An identity that is named, or meant by "*", has a weight of its own.
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0.5, identity;q=0.5", "gzip"),
        ("gzip;q=0.5, identity;q=0.4", "gzip"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("identity;q=0", None),
        # The same coding twice: the lower weight.
        ("gzip;q=0, gzip", None),
        ("gzip, gzip;q=0", None),
        ("gzip, x-gzip;q=0", None),
        ("gzip;q=0.1, x-gzip;q=0.9, deflate;q=0.5", "deflate"),
        # Whole names count, and weights that are weights.
        ("xgzip, gzipped, brotli", None),
        ("gzip;q=2", None),
        ("gzip=1", None),
    ],
)
def test_coding_is_chosen(accept_encoding: str | None, expected: str | None) -> None:
    """Q21: aiohttp looked for substrings, and took `gzip;q=0` for a wish."""
    assert choose_coding(accept_encoding) == expected


@pytest.mark.parametrize(
    ("accept_encoding", "offers", "expected"),
    [
        ("gzip, br", ["gzip", "br"], "gzip"),
        ("gzip, br", [], None),
        ("br", ["gzip"], None),
        ("gzip", ["x-gzip"], "x-gzip"),
        ("gzip, identity", ["identity", "gzip"], None),
        ("gzip, identity", ["gzip", "identity"], "gzip"),
        ("gzip;q=0.5, *", ["gzip"], None),
        ("x-compress", ["compress"], "compress"),
        ("gzip;q=0.5, compress;q=0.6", ["gzip", "compress"], "compress"),
    ],
)
def test_coding_is_chosen_of_the_offers(
    accept_encoding: str, offers: list[str], expected: str | None
) -> None:
    assert choose_coding(accept_encoding, offers) == expected


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        (None, True),
        ("", True),
        ("gzip", True),
        ("gzip;q=1, br", True),
        ("*", True),
        ("identity", True),
        ("identity;q=0.001", True),
        ("identity;q=0", False),
        ("Identity;Q=0.0, gzip", False),
        ("*;q=0", False),
        ("gzip, *;q=0", False),
        ("*;q=0, identity;q=0.1", True),
        ("*, identity;q=0", False),
        ("identity;q=x", True),
    ],
)
def test_identity_is_acceptable_unless_excluded(
    accept_encoding: str | None, expected: bool
) -> None:
    assert is_identity_acceptable(accept_encoding) is expected


weights = st.sampled_from(["", ";q=0", ";q=0.001", ";q=0.5", ";q=1"])
codings = st.sampled_from(["gzip", "br", "zstd", "deflate", "identity", "*", "compress"])


@given(st.lists(st.tuples(codings, weights), unique_by=lambda item: item[0]))
def test_chosen_coding_is_the_best(items: list[tuple[str, str]]) -> None:
    quality = {name: float(weight[3:] or 1) for name, weight in items}
    chosen = choose_coding(", ".join(map("".join, items)))
    offers = {name: quality.get(name, quality.get("*", 0)) for name in ("br", "zstd", "gzip")}
    identity = quality.get("identity", quality.get("*", 0))
    if chosen is None:
        assert all(weight == 0 or weight < identity for weight in offers.values())
    else:
        assert quality.get(chosen, quality.get("*", 0)) >= max(*offers.values(), identity, 0.001)


# Hostile input.


@pytest.mark.parametrize(
    "value",
    [
        "," * 1_000_000,
        " ," * 500_000,
        ";" * 1_000_000,
        "a;q=" + "0" * 1_000_000,
        "a;q=0." + "0" * 1_000_000,
        "a" + ";" * 1_000_000 + "=",
        "a" + " ;\t" * 300_000 + "=",
        "a" + " " * 1_000_000 + "b",
        '"' * 1_000_001,
        "a;" + 'b="' * 300_000,
        'a;b="' + "\\" * 1_000_000,
        "a/" * 500_000,
        "a;b=c " * 200_000,
    ],
    ids=lambda value: f"{value[:8]!r}",
)
def test_long_garbage_takes_linear_time(value: str) -> None:
    assert parse_accept(value) == ()
    assert choose_media_type(value, ["a/b"]) == "a/b"
    assert choose_coding(value) is None
    assert is_identity_acceptable(value)


def test_many_items_and_parameters_take_linear_time() -> None:
    value = ",".join(["a/b;c=" + "d" * 100 + ";e=f" * 1000] * 1000)
    assert len(parse_accept(value)) == 100
    assert choose_media_type(value, ["a/b"] * 100) is None


@given(st.text('a*/;q=01. ,"\\\t\x01ä'))
def test_any_text_is_read(value: str) -> None:
    for item in parse_accept(value):
        assert 0.0 <= item.quality <= 1.0
        assert item.value == item.value.lower()


# Another parser. Differences are wanted; RFC 9110 decides each of them.


@pytest.mark.parametrize(
    "value",
    [
        "",
        "gzip, deflate;q=0.5, br",
        "da, en-gb;q=0.8, en;q=0.7",
        "text/html,application/xml;q=0.9,*/*;q=0.8",
        "*;q=0, identity;q=0.1",
    ],
)
def test_werkzeug_reads_the_same(value: str) -> None:
    ours = sorted((item.value, item.quality) for item in parse_accept(value))
    assert ours == sorted(parse_accept_header(value))


@pytest.mark.parametrize(
    ("value", "ours", "of_werkzeug"),
    [
        # Section 12.4.2: a weight has at most three digits and is not above 1.
        ("a;q=0.1234, b;q=1.5", [], [("a", 0.1234)]),
        # Section 8.3.1: types are compared without case; ours come in lower case.
        ("Text/HTML", [("text/html", 1.0)], [("Text/HTML", 1)]),
        # Section 12.5.1: parameters are a part of the range; ours have a place of their own.
        ("a/b;c=d;q=0.5", [("a/b", 0.5)], [("a/b; c=d", 0.5)]),
        # Section 5.6.2: what is no token is no item.
        ("a b, c", [("c", 1.0)], [("a b", 1), ("c", 1)]),
    ],
)
def test_werkzeug_reads_something_else(
    value: str, ours: list[tuple[str, float]], of_werkzeug: list[tuple[str, float]]
) -> None:
    assert [(item.value, item.quality) for item in parse_accept(value)] == ours
    assert list(parse_accept_header(value)) == of_werkzeug


def test_order_of_offers_decides_between_equals() -> None:
    for offers in itertools.permutations(["br", "zstd", "gzip"]):
        assert choose_coding("gzip, zstd, br", offers) == offers[0]
