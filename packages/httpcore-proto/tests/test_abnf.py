from __future__ import annotations

import string
from collections.abc import Callable

import pytest

from httpcore_proto import LocalProtocolError
from httpcore_proto._abnf import check_target, check_text, check_token, is_token

TOKEN = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
CONTROLS = [chr(octet) for octet in (*range(0x20), 0x7F)]


@pytest.mark.parametrize("char", [chr(octet) for octet in range(0x100)])
def test_token_is_made_of_token_characters(char: str) -> None:
    assert is_token(char) is (char in TOKEN)
    assert is_token(f"a{char}b") is (char in TOKEN)


def test_token_is_not_empty() -> None:
    assert not is_token("")
    assert not is_token("a\n")
    assert not is_token("\u212a")


def test_check_token_returns_it_or_names_what_it_is() -> None:
    assert check_token("X-1", "field name") == "X-1"
    with pytest.raises(LocalProtocolError, match="field name 'a b' is not a token"):
        check_token("a b", "field name")


@pytest.mark.parametrize("char", [chr(octet) for octet in range(0x100)])
def test_target_is_visible_ascii(char: str) -> None:
    if "!" <= char <= "~":
        assert check_target(f"/{char}") == f"/{char}"
        return
    with pytest.raises(LocalProtocolError, match="must be visible ASCII, and not empty"):
        check_target(f"/{char}")


def test_target_is_not_empty() -> None:
    with pytest.raises(LocalProtocolError, match="request target '' must be visible ASCII"):
        check_target("")


@pytest.mark.parametrize("char", CONTROLS)
def test_text_has_no_control_character_but_tab(char: str) -> None:
    if char == "\t":
        assert check_text("a\tb", "reason") == "a\tb"
        return
    with pytest.raises(LocalProtocolError, match="reason contains the control character"):
        check_text(f"a{char}b", "reason")


@pytest.mark.parametrize("text", ["", " a ", "\xa0", "\u2028", "\udcff", "\u010a", "\x85"])
def test_text_may_have_anything_else(text: str) -> None:
    assert check_text(text, "reason") == text


@pytest.mark.parametrize(
    "check",
    [
        lambda: check_token(" " * 1000, "method"),
        lambda: check_target(" " * 1000),
        lambda: check_text("\n" + "x" * 1000, "reason"),
    ],
)
def test_message_shows_no_more_than_80_characters(check: Callable[[], str]) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        check()
    assert len(str(caught.value)) < 200
