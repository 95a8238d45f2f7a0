"""NO_PROXY: what it matches, and what it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpclient._no_proxy import NoProxy, parse_no_proxy


@pytest.mark.parametrize(
    ("text", "host", "port", "matches"),
    [
        ("*", "any.test", 80, True),
        ("other.test, *", "10.0.0.1", 80, True),
        ("", "any.test", 80, False),
        # Names: themselves and what is below them, dot in front or not.
        ("example.org", "example.org", 80, True),
        ("example.org", "www.example.org", 80, True),
        ("example.org", "badexample.org", 80, False),
        ("example.org", "example.org.test", 80, False),
        ("example.org", "org", 80, False),
        (".example.org", "example.org", 80, True),
        (".example.org", "a.b.example.org", 80, True),
        ("*.example.org", "www.example.org", 80, True),
        ("EXAMPLE.org", "example.org", 80, True),
        ("example.org.", "example.org", 80, True),
        ("example.org", "example.org.", 80, True),
        ("bücher.example", "xn--bcher-kva.example", 80, True),
        ("localhost", "localhost", 80, True),
        # Separators.
        ("a.test,b.test", "b.test", 80, True),
        (" a.test  b.test\t,, c.test ", "c.test", 80, True),
        # Ports.
        ("example.org:8080", "example.org", 8080, True),
        ("example.org:8080", "www.example.org", 8080, True),
        ("example.org:8080", "example.org", 80, False),
        ("10.0.0.1:8080", "10.0.0.1", 8080, True),
        ("10.0.0.1:8080", "10.0.0.1", 80, False),
        ("[::1]:8080", "::1", 8080, True),
        ("[::1]:8080", "::1", 80, False),
        ("example.org:", "example.org", 80, False),
        ("example.org:99999999", "example.org", 80, False),
        ("example.org:\u0668\u0660", "example.org", 80, False),
        # Addresses.
        ("10.0.0.1", "10.0.0.1", 80, True),
        ("10.0.0.1", "10.0.0.11", 80, False),
        ("0.1", "10.0.0.1", 80, False),
        ("1", "10.0.0.1", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]", "::1", 80, True),
        ("0:0:0:0:0:0:0:1", "::1", 80, True),
        ("2001:DB8::1", "2001:db8::1", 80, True),
        ("::1", "::2", 80, False),
        ("10.0.0.1", "::ffff:10.0.0.1", 80, True),
        ("::ffff:10.0.0.1", "10.0.0.1", 80, True),
        # Networks.
        ("10.0.0.0/8", "10.255.1.2", 80, True),
        ("10.0.0.1/8", "10.255.1.2", 80, True),
        ("10.0.0.0/8", "11.0.0.1", 80, False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", 80, True),
        ("10.0.0.0/8", "ten.test", 80, False),
        ("fc00::/7", "fd12::1", 80, True),
        ("fc00::/7", "fe80::1", 80, False),
        ("10.0.0.0/99", "10.0.0.1", 80, False),
        ("example.org/8", "example.org", 80, False),
        # Nothing at all.
        ("[::1", "::1", 80, False),
        ("a:b:c", "a", 80, False),
        ("http://example.org", "example.org", 80, False),
        (".", "example.org", 80, False),
        ("\u2028.test\u00ad", "a.test", 80, False),
        ("\xad", "a.test", 80, False),
    ],
)
def test_matches(text: str, host: str, port: int, matches: bool) -> None:
    assert NoProxy(text).matches(host, port) is matches


def test_kelvin_sign_is_no_letter() -> None:
    """Only what IDNA makes of a name counts, not what str.lower() does."""
    assert not NoProxy("intran\u0117t.test").matches("intranet.test", 80)


@pytest.mark.parametrize("filler", ["*", ".", ":", "[", "]", ",", " ", "/", "a.", "1:", "\u212a"])
def test_hostile_values_take_linear_time(filler: str) -> None:
    text = filler * (1_000_000 // len(filler))
    assert not NoProxy(text).matches("a.example.test", 80)


def test_hostile_names_take_linear_time() -> None:
    assert not NoProxy("example.org").matches("a." * 500, 80)


@given(st.text(), st.text())
def test_any_text_is_taken(text: str, host: str) -> None:
    assert NoProxy(text).matches(host, 80) in (True, False)


def test_value_is_parsed_once() -> None:
    assert parse_no_proxy("a.test") is parse_no_proxy("a.test")
