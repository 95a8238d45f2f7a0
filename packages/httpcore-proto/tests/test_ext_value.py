from __future__ import annotations

import email.utils
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore_proto import decode_ext_value, encode_ext_value

# RFC 8187 section 3.2.1.
ATTR_CHARS = string.ascii_letters + string.digits + "!#$&+-.^_`|~"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The examples of RFC 8187 section 3.2.3, and of RFC 5987.
        ("UTF-8''%c2%a3%20and%20%e2%82%ac%20rates", "£ and € rates"),
        ("iso-8859-1'en'%A3%20rates", "£ rates"),
        ("utf-8'de-CH-1996'a", "a"),
        ("Utf-8'en_US'a", "a"),
        ("UTF-8''", ""),
        ("ISO-8859-1''%80", "\x80"),
        ("UTF-8''%00%0d%0A%2f", "\0\r\n/"),
        ("UTF-8''%25%32%35", "%25"),
        # What JavaScript's encodeURIComponent leaves.
        ("UTF-8''it's(1)*.txt", "it's(1)*.txt"),
    ],
)
def test_ext_value_is_decoded(text: str, expected: str) -> None:
    assert decode_ext_value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "UTF-8",
        "UTF-8'",
        "UTF-8'a",
        "''a",
        "'en'a",
        "UTF-8''a b",
        "UTF-8''a\n",
        "UTF-8''a/b",
        "UTF-8''\"a\"",
        "UTF-8''ä",
        "UTF-8''\udcff",
        "UTF-8''%",
        "UTF-8''%4",
        "UTF-8''%4g",
        "UTF-8''%\u0664\u0661",
        "UTF-8''%+4",
        "UTF-8''%FF",
        "UTF-8''%ED%A0%80",
        "UTF-8''%C3",
        " UTF-8''a",
        "UTF-7''a",
        "UTF-16''a",
        "windows-1252''a",
        "utf_8''a",
        "i\u017fo-8859-1''a",
        "UTF-8\0''a",
    ],
)
def test_what_is_no_ext_value_gives_none(text: str) -> None:
    assert decode_ext_value(text) is None


@pytest.mark.parametrize("char", [chr(octet) for octet in range(0x80)])
def test_attr_chars_alone_are_kept(char: str) -> None:
    encoded = char if char in ATTR_CHARS else f"%{ord(char):02X}"
    assert encode_ext_value(char) == f"UTF-8''{encoded}"


def test_text_beyond_ascii_is_encoded_as_utf_8() -> None:
    assert encode_ext_value("") == "UTF-8''"
    assert encode_ext_value("€ ä\x80") == "UTF-8''%E2%82%AC%20%C3%A4%C2%80"


def test_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        encode_ext_value("a\udcff")


@given(st.text())
def test_round_trip(text: str) -> None:
    encoded = encode_ext_value(text)
    assert encoded.isascii()
    assert decode_ext_value(encoded) == text


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1"])
@given(text=st.text(), language=st.sampled_from(["", "en"]))
def test_what_the_standard_library_encodes_is_decoded(
    charset: str, text: str, language: str
) -> None:
    text = text.encode(charset, "ignore").decode(charset)
    assert decode_ext_value(email.utils.encode_rfc2231(text, charset, language)) == text


@pytest.mark.parametrize(
    "text",
    [
        "'" * 1_000_000,
        "UTF-8'" * 200_000 + "%",
        "UTF-8''" + "%" * 1_000_000,
        "UTF-8''" + "%41" * 300_000 + "%",
        "UTF-8''" + "a" * 1_000_000 + "\\",
        "a" * 1_000_000,
    ],
)
def test_long_garbage_takes_linear_time(text: str) -> None:
    assert decode_ext_value(text) is None
