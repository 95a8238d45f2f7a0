"""Cookies of a request, merged with those of the jar."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest

from httpclient._cookie_field import merge_cookies

MORSEL = SimpleCookie('m="a b"; Path=/x')["m"]


@pytest.mark.parametrize(
    ("kept", "cookies", "value"),
    [
        (None, {}, None),
        ("a=1", {}, "a=1"),
        (None, {"b": "2"}, "b=2"),
        ("a=1", {"b": "2"}, "a=1; b=2"),
        ("a=1; b=1; c=1", {"b": "2"}, "a=1; c=1; b=2"),
        ("a=1", [("b", "2"), ("c", "x y")], 'a=1; b=2; c="x y"'),
        ("a=1", [("b", "2"), ("b", "3")], "a=1; b=3"),
        ("a=1", {"b": MORSEL}, 'a=1; b="a b"'),
        ("m=1; n=2", [("ignored", SimpleCookie("m=2; k=3"))], "n=2; m=2; k=3"),
        ("a=1", SimpleCookie("a=2"), "a=2"),
        ("ab=1", {"a": "2"}, "ab=1; a=2"),
        ("A=1", {"a": "2"}, "A=1; a=2"),
    ],
)
def test_cookies_of_the_request_replace_those_of_the_jar(
    kept: str | None, cookies: Any, value: str | None
) -> None:
    assert merge_cookies(kept, cookies) == value


def test_values_may_go_out_as_they_are() -> None:
    assert merge_cookies(None, {"a": "x=y"}, quote=False) == "a=x=y"


@pytest.mark.parametrize("quote", [True, False])
@pytest.mark.parametrize(
    ("name", "value"),
    [("a b", "1"), ("", "1"), ("a;b", "1"), ("a\r\nX", "1")],
)
def test_what_cannot_be_a_cookie_is_refused(name: str, value: str, quote: bool) -> None:
    with pytest.raises(ValueError, match=r"."):
        merge_cookies(None, {name: value}, quote=quote)


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a;b=c", "a\0"])
def test_value_cannot_break_out(value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        merge_cookies(None, {"n": value}, quote=False)
    with pytest.raises(ValueError, match="cookie value"):
        merge_cookies(None, {"n": "\u0100"})
    quoted = merge_cookies(None, {"n": value})
    assert quoted is not None
    assert quoted.isprintable()
    assert ";" not in quoted


def test_large_input_is_linear() -> None:
    kept = "; ".join(f"n{index}=1" for index in range(100_000))
    merged = merge_cookies(kept, {f"n{index}": "2" for index in range(50_000)})
    assert merged is not None
    assert merged.count("=1") == merged.count("=2") == 50_000
