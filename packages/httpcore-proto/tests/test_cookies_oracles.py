"""`http.cookies` of the standard library as an oracle.

What it writes we read as it does. What it reads otherwise than we is listed, with the section
of RFC 6265bis that decides; it follows RFC 2109.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore_proto import (
    SetCookie,
    format_cookie_header,
    parse_cookie_header,
    parse_set_cookie,
    parse_set_cookie_headers,
    quote_cookie,
    unquote_cookie,
)


def ours(header: str) -> dict[str, tuple[str, str]]:
    return {name: (m.value, m.coded_value) for name, m in parse_cookie_header(header)}


def theirs(header: str) -> dict[str, tuple[str, str]]:
    try:
        return {name: (m.value, m.coded_value) for name, m in SimpleCookie(header).items()}
    except CookieError:
        return {}


# Names that it writes: tokens, and no attributes.
names = st.text("!#$%&'*+-.^_`|~09azAZ:", min_size=1, max_size=5).filter(
    lambda name: not name.startswith("$")
)
# Newer Pythons refuse control characters.
values = st.text(
    st.characters(max_codepoint=255, exclude_characters=[*map(chr, range(32)), "\x7f"]), max_size=12
)


@given(st.dictionaries(names, values, max_size=4))
def test_cookies_that_it_writes_are_read_the_same(cookies: dict[str, str]) -> None:
    jar = SimpleCookie(cookies)
    header = "; ".join(f"{name}={morsel.coded_value}" for name, morsel in jar.items())
    assert ours(header) == {name: (m.value, m.coded_value) for name, m in jar.items()}
    for name, morsel in jar.items():
        field = morsel.OutputString()
        assert parse_set_cookie(field) == SetCookie(name=name, value=morsel.coded_value)
        assert parse_set_cookie_headers([field]) == [(name, morsel)]


@given(st.dictionaries(names, values, max_size=4))
def test_cookies_that_we_write_are_read_the_same(cookies: dict[str, str]) -> None:
    coded = [(name, quote_cookie(value)) for name, value in cookies.items()]
    header = format_cookie_header(coded)
    assert theirs(header) == ours(header) == {n: (cookies[n], value) for n, value in coded}


@given(st.text(st.characters(max_codepoint=255) | st.sampled_from('\\"0123'), max_size=12))
def test_values_are_unquoted_the_same(inner: str) -> None:
    # A backslash at the end quotes nothing; a line end is quoted as all else.
    if "\\\n" not in inner:
        coded = f'"{inner}"'
        value, _ = SimpleCookie().value_decode(coded)
        assert unquote_cookie(coded) == value


@pytest.mark.parametrize(
    "field",
    [
        "a=b",
        "a=b; Path=/c; Domain=d.e; Secure; HttpOnly",
        "a=b; path=/; max-age=5; samesite=Lax",
        "a=b; expires=Wed, 21 Oct 2026 07:28:00 GMT; path=/",
        'a="b c"; Path=/',
        'a="\\101\\054"; secure',
        "a=; Path=/",
    ],
)
def test_set_cookie_is_read_the_same(field: str) -> None:
    assert parse_set_cookie_headers([field]) == list(SimpleCookie(field).items())


@pytest.mark.parametrize(
    "header",
    [
        "",
        "a=b",
        "a=b; c=d",
        "a=b;c=d",
        "a=b=c",
        'a="b c"',
        'a="\\"\\054"',
        "a= b",
        "a =b",
        "a=; c=d",
    ],
)
def test_cookie_header_is_read_the_same(header: str) -> None:
    assert ours(header) == theirs(header)


def plain(**cookies: str) -> dict[str, tuple[str, str]]:
    return {name: (value, value) for name, value in cookies.items()}


@pytest.mark.parametrize(
    ("header", "of_ours", "of_theirs"),
    [
        # Section 5.6: a semicolon always separates; what quotes hide, an attacker may hide.
        ('a="b; c=d"', plain(a='"b', c='d"'), {"a": ("b; c=d", '"b; c=d"')}),
        # Section 4.2.1 has no attributes in Cookie: each is a cookie.
        ("a=b; path=/", plain(a="b", path="/"), plain(a="b")),
        ("path=/; a=b", plain(path="/", a="b"), {}),
        ("$Version=1; a=b", plain(**{"$Version": "1"}, a="b"), plain(a="b")),
        # Section 5.6 reads what is malformed as well as it can; it drops all there is.
        ("a; b=c", plain(a="", b="c"), {}),
        ("=a; b=c", plain(b="c"), {}),
        ("a=b; ä=c; d=e", plain(a="b", d="e"), plain(a="b")),
        ('a=b; c"d=e; f=g', plain(a="b", f="g"), plain(a="b")),
        # A blank does not separate, nor does it end a value.
        ("a=b c=d", plain(a="b c=d"), plain(a="b", c="d")),
        ("a=b c", plain(a="b c"), {}),
        # Nor does a comma belong to a name.
        ("a=b; c,d=e", plain(a="b"), {}),
        # Any character may be in a value, for servers send such.
        ("a=ä", plain(a="ä"), {}),
        ('a={"b":1}', plain(a='{"b":1}'), {}),
        ("a=b\\c; d=e", plain(a="b\\c", d="e"), {}),
        # Quotes around a part of a value are characters.
        ('a=b"c"', plain(a='b"c"'), {}),
        ("a[0]=b", plain(**{"a[0]": "b"}), {}),
    ],
)
def test_cookie_header_is_read_otherwise(
    header: str, of_ours: dict[str, tuple[str, str]], of_theirs: dict[str, tuple[str, str]]
) -> None:
    assert ours(header) == of_ours
    assert theirs(header) == of_theirs


@pytest.mark.parametrize(
    ("field", "of_ours", "of_theirs"),
    [
        # Section 5.6: one field is one cookie (CK-07).
        ("a=b; c=d", ["a=b"], ["a=b", "c=d"]),
        ("a=b, c=d", ["a=b, c=d"], ["a=b,", "c=d"]),
        # An unknown attribute is ignored, and what it knows besides.
        ("a=b; Foo; Path=/", ["a=b; Path=/"], []),
        ("a=b; Version=1; Comment=c", ["a=b"], ["a=b; Comment=c; Version=1"]),
        # Section 5.6: no control characters.
        ("a=b\x01; Path=/", [], []),
        # An attribute without a value is one.
        ("a=b; Path", ["a=b"], []),
        # A value is kept as it was; quotes around an attribute's are characters.
        ('a=b; Path="/"', ['a=b; Path="/"'], ["a=b; Path=/"]),
    ],
)
def test_set_cookie_is_read_otherwise(field: str, of_ours: list[str], of_theirs: list[str]) -> None:
    assert [m.OutputString() for _, m in parse_set_cookie_headers([field])] == of_ours
    assert [m.OutputString() for m in SimpleCookie(field).values()] == of_theirs


def test_what_it_deletes_is_deleted() -> None:
    jar = SimpleCookie({"a": "b"})
    jar["a"]["expires"] = "Thu, 01 Jan 1970 00:00:00 GMT"
    jar["a"]["max-age"] = 0
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    expected = SetCookie(name="a", value="b", expires=epoch, max_age=0)
    assert parse_set_cookie(jar["a"].OutputString()) == expected
