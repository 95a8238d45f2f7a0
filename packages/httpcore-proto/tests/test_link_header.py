from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDictProxy

from httpcore_proto import Link, encode_ext_value, parse_links

Pairs = list[tuple[str, str]]


def read(*values: str) -> list[tuple[str, Pairs]]:
    return [(target, list(parameters.items())) for target, parameters in parse_links(values)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 8288 section 3.5.
        (
            '<http://example.com/TheBook/chapter2>; rel="previous"; title="previous chapter"',
            [
                (
                    "http://example.com/TheBook/chapter2",
                    [("rel", "previous"), ("title", "previous chapter")],
                )
            ],
        ),
        ('</>; rel="http://example.net/foo"', [("/", [("rel", "http://example.net/foo")])]),
        (
            '</terms>; rel="copyright"; anchor="#foo"',
            [("/terms", [("rel", "copyright"), ("anchor", "#foo")])],
        ),
        (
            "</2>; title*=UTF-8'de'letztes%20Kapitel,</4>; title*=UTF-8'de'n%c3%a4chstes%20Kapitel",
            [
                ("/2", [("title*", "letztes Kapitel")]),
                ("/4", [("title*", "nächstes Kapitel")]),
            ],
        ),
        (
            '<http://example.org/>; rel="start http://example.net/relation/other"',
            [("http://example.org/", [("rel", "start http://example.net/relation/other")])],
        ),
        (
            '<https://example.org/>; rel="start", <https://example.org/index>; rel="index"',
            [
                ("https://example.org/", [("rel", "start")]),
                ("https://example.org/index", [("rel", "index")]),
            ],
        ),
        # Targets: empty, with what separates elsewhere, and as they are.
        ("<>", [("", [])]),
        ('< a,b;c="d >;rel=x', [(' a,b;c="d ', [("rel", "x")])]),
        ("<ä\udcff>", [("ä\udcff", [])]),
        # Blanks and separators too many.
        (" ,\t<a> ; \t;rel = x ;,, <b>", [("a", [("rel", "x")]), ("b", [])]),
        ("<a>;REL=X;Title=y", [("a", [("rel", "X"), ("title", "y")])]),
        # Values: none, quoted, and what is no token.
        ("<a>;crossorigin;rel=preload", [("a", [("crossorigin", ""), ("rel", "preload")])]),
        ('<a>;rel=;type=""', [("a", [("rel", ""), ("type", "")])]),
        (r'<a>;title="\"b\\,;<c>\d"', [("a", [("title", '"b\\,;<c>d')])]),
        (
            "<a>;type=text/html; rel=http://x/y?z=1 ",
            [("a", [("type", "text/html"), ("rel", "http://x/y?z=1")])],
        ),
        ("<a>;title=b c, <d>", [("a", [("title", "b c")]), ("d", [])]),
        # Appendix B.4: a quote that is not closed lasts to the end.
        ('<a>;rel="x, <b>;rel=y', [("a", [("rel", "x, <b>;rel=y")])]),
        # Sections 3.3 to 3.4.1: the first counts; others may be repeated.
        ("<a>;rel=x;rel=y;REL=z", [("a", [("rel", "x")])]),
        (
            "<a>;title=x;title=y;type=x;type=y;media=x;media=y;anchor=x;anchor=y",
            [("a", [("title", "x"), ("type", "x"), ("media", "x"), ("anchor", "x")])],
        ),
        ("<a>;hreflang=de;hreflang=en", [("a", [("hreflang", "de"), ("hreflang", "en")])]),
        # RFC 8187: quotes or not, whole or not at all.
        ("<a>;title*=\"UTF-8''%41\"", [("a", [("title*", "A")])]),
        ("<a>;title*=%41;title*=UTF-8''%42;rel=x", [("a", [("title*", "B"), ("rel", "x")])]),
        ("<a>;x*=iso-8859-1''%e4", [("a", [("x*", "ä")])]),
    ],
)
def test_links_are_read(value: str, expected: list[tuple[str, Pairs]]) -> None:
    assert read(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        *("x", "x;rel=y", "a>", "<a", "<<a>", '"<a>"', '"<a>, <b>"', "=<a>", ";<a>", "\xa0<a>"),
        *('x;rel="<a>,<b>"', "<a;rel=x"),
    ],
)
def test_malformed_link_is_left_out(value: str) -> None:
    assert read(f"<x>, {value}, <y>") == [("x", []), ("y", [])]


@pytest.mark.parametrize(
    "junk", ["=", "=b", "ä", "ä=b", '"x"', '"x;y,z"', "\u212a=b", "<b>", "\xa0b=c"]
)
def test_malformed_parameter_is_left_out(junk: str) -> None:
    assert read(f"<a>;b=c;{junk};d=e, <f>") == [("a", [("b", "c"), ("d", "e")]), ("f", [])]


@pytest.mark.parametrize("junk", ["x", " x=y", "=x", '"x;y,z"'])
def test_what_stands_behind_a_target_or_value_is_left_out(junk: str) -> None:
    assert read(f"<a>{junk};d=e, <f>") == [("a", [("d", "e")]), ("f", [])]
    assert read(f'<a>;b="c"{junk};d=e, <f>') == [("a", [("b", "c"), ("d", "e")]), ("f", [])]


def test_lines_are_read_one_by_one() -> None:
    assert parse_links([]) == ()
    assert read('<a>;rel="x', "", "<b>, <c>") == [("a", [("rel", "x")]), ("b", []), ("c", [])]


def test_parameters_are_read_only() -> None:
    (link,) = parse_links(["<a>;rel=x"])
    assert isinstance(link, Link)
    assert isinstance(link.parameters, MultiDictProxy)
    assert link.parameters["rel"] == "x"
    assert "REL" not in link.parameters


def test_links_are_bounded() -> None:
    values = [", ".join(f"<{number}>" for number in range(60))] * 2
    assert [link.target for link in parse_links(values)] == [
        str(number % 60) for number in range(100)
    ]


@pytest.mark.parametrize(
    "value",
    [
        "<" * 1_000_000,
        "<a," * 300_000,
        "<" + "a" * 1_000_000,
        ">" * 1_000_000,
        '"' * 1_000_001,
        "," * 1_000_000,
        ";" * 1_000_000,
        " " * 1_000_000 + "x",
        "<a>" + " " * 1_000_000 + "x",
        "<a>" + " ;\t" * 300_000,
        "<a>" + ";\xa0" * 300_000,
        "<a>;b" + " " * 1_000_000 + "x",
        "<a>;b=" + " " * 1_000_000 + "x",
        "<a>;b=" + "c " * 500_000,
        '<a>;b="' + "\\" * 1_000_000,
        "<a>" + ';rel="' * 200_000,
        '<a>"' * 300_000,
        "<a>" + ";rel=b" * 200_000,
        "<a>;" + '"\x01' * 300_000,
        "<a>;title*=" + "%" * 1_000_000,
        "x;y=z," * 200_000,
    ],
    ids=lambda value: f"{value[:8]!r}",
)
def test_long_garbage_takes_linear_time(value: str) -> None:
    assert sum(len(link.parameters) for link in parse_links([value])) <= 1


def test_many_parameters_take_linear_time() -> None:
    (link,) = parse_links(["<a>" + "".join(f";a{number}=x" for number in range(100_000))])
    assert len(link.parameters) == 100_000


CONTROLS = {*map(chr, range(0x20)), "\x7f"} - {"\t"}
texts = st.text(st.characters(exclude_characters=CONTROLS))
targets = st.text(st.characters(exclude_characters="<>"))


@given(st.lists(st.tuples(targets, texts, st.text()), max_size=4))
def test_round_trip(links: list[tuple[str, str, str]]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    value = ", ".join(
        f"<{target}>; rel={quoted(rel)}; title*={encode_ext_value(title)}"
        for target, rel, title in links
    )
    expected = [(target, [("rel", rel), ("title*", title)]) for target, rel, title in links]
    assert read(value) == expected


@given(st.lists(st.text('<a>=;, "\\*\t\x01ä')))
def test_any_text_is_read(values: list[str]) -> None:
    for link in parse_links(values):
        assert "<" not in link.target
        assert all(name == name.lower() for name in link.parameters)
