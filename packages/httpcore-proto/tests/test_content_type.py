from __future__ import annotations

import codecs
import encodings
import string
from email.message import Message
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from httpcore_proto import ContentType, codec_for_charset, parse_content_type
from httpcore_proto._content_type import _parse_cached

TOKEN = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
tokens = st.text(TOKEN, min_size=1)
#: What a quoted-string can carry (RFC 9110 section 5.6.4).
CONTROLS = {*map(chr, range(0x20)), "\x7f"} - {"\t"}
texts = st.text(st.characters(exclude_characters=CONTROLS))


@pytest.mark.parametrize(
    ("value", "media_type", "parameters"),
    [
        ("text/plain", "text/plain", {}),
        (" \tText/HTML\t ", "text/html", {}),
        ("application/vnd.api+json;", "application/vnd.api+json", {}),
        ("text/html;charset=utf-8", "text/html", {"charset": "utf-8"}),
        ('Text/HTML;Charset="utf-8"', "text/html", {"charset": "utf-8"}),
        ("text/html; CHARSET=Latin-1", "text/html", {"charset": "Latin-1"}),
        ("a/b \t; c=d \t; \t;;e=f;", "a/b", {"c": "d", "e": "f"}),
        (r'a/b; c="\"d\\;,\e"; f=""', "a/b", {"c": '"d\\;,e', "f": ""}),
        ('a/b; c="ä\udcff\t"', "a/b", {"c": "ä\udcff\t"}),
        ("a/b; c=d; C=e; f=g", "a/b", {"c": "d", "f": "g"}),
        ("a/b; c=d; e*=UTF-8''f", "a/b", {"c": "d", "e*": "UTF-8''f"}),
        ("!#$%&'*+-.^_`|~/0", "!#$%&'*+-.^_`|~/0", {}),
    ],
)
def test_content_type_is_read(value: str, media_type: str, parameters: dict[str, str]) -> None:
    found = parse_content_type(value)
    assert list(found.parameters.items()) == list(parameters.items())
    assert found.charset == parameters.get("charset")
    assert found == (media_type, parameters)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        ";",
        "text",
        "text/",
        "/plain",
        "text /plain",
        "text/ plain",
        "text/plain/x",
        "text/plain, text/html",
        "text/plain charset=utf-8",
        "text/plain\n",
        "text/plain\x0b;charset=utf-8",
        "tëxt/plain",
        "text/\u212a",
        "text/plain\udcff",
        '"text/plain"',
        "; charset=utf-8",
    ],
)
def test_media_type_that_is_malformed_stands_for_octets(value: str) -> None:
    found = parse_content_type(value)
    assert found.charset is None
    assert found == ("application/octet-stream", {})


@pytest.mark.parametrize(
    "rest",
    [
        "c",
        "c=",
        "c =d",
        "c= d",
        "=d",
        'c="d',
        'c="d\\',
        'c="d\\"; charset=x',
        'c="\n"',
        'c="\\\n"',
        "ä=d",
        "c=ä",
        "c=\u212a",
        "\u212a=c",
        ",",
    ],
)
def test_parameters_count_up_to_the_first_malformed_one(rest: str) -> None:
    assert parse_content_type(f"a/b; x=y; {rest}; e=f").parameters == {"x": "y"}


@pytest.mark.parametrize("rest", [" x", " x=y", "=x", '"x"', ",x"])
def test_what_stands_behind_a_parameter_ends_them(rest: str) -> None:
    assert parse_content_type(f"a/b; c=d{rest}; e=f").parameters == {"c": "d"}


def test_parameters_are_read_only() -> None:
    for value in ("a/b; c=d", "a/b", ""):
        assert isinstance(parse_content_type(value).parameters, MappingProxyType)


def test_short_values_are_remembered_and_long_ones_are_not() -> None:
    """A peer's long values would stay in memory."""
    value = "a/b; c=" + "d" * 1017
    assert len(value) == 1024
    assert parse_content_type(value) is parse_content_type(value)
    value += "d"
    before = _parse_cached.cache_info()
    assert parse_content_type(value) == parse_content_type(value) == ("a/b", {"c": "d" * 1018})
    assert _parse_cached.cache_info() == before
    assert before.maxsize == 256


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/problem+json", True),
        ("application/a+b+json", True),
        ("application/+json", False),
        ("application/json5", False),
        ("application/jsonp", False),
        ("application/xjson", False),
        ("application/x-json", False),
        ("application/json+xml", False),
        ("text/json", False),
        ("text/a+json", False),
        ("application/octet-stream", False),
        ("", False),
    ],
)
def test_json_is_json_exactly(media_type: str, expected: bool) -> None:
    """Q29: aiohttp looked for a prefix and a substring."""
    assert parse_content_type(media_type).is_json is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (ContentType("a/b"), "a/b"),
        (ContentType("a/b", {"c": "d", "e": "f g"}), 'a/b; c=d; e="f g"'),
        (ContentType("a/b", {"c": ""}), 'a/b; c=""'),
        (ContentType("a/b", {"c": '"\\'}), r'a/b; c="\"\\"'),
        (parse_content_type('A/B ;C="d";e=F;;'), "a/b; c=d; e=F"),
    ],
)
def test_text_is_the_field_value(given: ContentType, expected: str) -> None:
    assert str(given) == expected


@given(tokens, tokens, st.dictionaries(tokens.map(str.lower), texts, max_size=4))
def test_round_trip(kind: str, subtype: str, parameters: dict[str, str]) -> None:
    content_type = ContentType(f"{kind}/{subtype}".lower(), parameters)
    assert parse_content_type(str(content_type)) == content_type


@given(st.text('a/;= \t"\\,\x01ä'))
def test_what_was_read_can_be_written(value: str) -> None:
    found = parse_content_type(value)
    assert parse_content_type(str(found)) == found


@pytest.mark.parametrize(
    "value",
    [
        "/" * 1_000_000,
        "a" * 1_000_000,
        " " * 1_000_000,
        "a/b" + " " * 1_000_000,
        "a/b" + " " * 1_000_000 + "c",
        "a/b" + ";" * 1_000_000,
        "a/b" + " ;\t" * 400_000 + "c",
        "a/b;c=" + '"' * 1_000_000,
        'a/b;c="' + "\\" * 1_000_001,
        'a/b;c="' + "\\a" * 500_000,
        "a/b" + ";c" * 500_000,
        "a/b" + ';c="' * 300_000,
        "a/b;" + "c=" * 500_000,
        "a/b;c=d" + "," * 1_000_000,
    ],
    ids=lambda value: f"{value[:8]!r}",
)
def test_long_garbage_takes_linear_time(value: str) -> None:
    assert len(parse_content_type(value).parameters) <= 1


def test_many_parameters_take_linear_time() -> None:
    value = "a/b" + "".join(f";a{number}=x" for number in range(100_000))
    assert len(parse_content_type(value).parameters) == 100_000


# Other parsers. Differences are wanted; RFC 9110 decides each of them.


def by_email(value: str) -> tuple[str, dict[str, str]]:
    message = Message()
    message["Content-Type"] = value
    return message.get_content_type(), dict(reversed((message.get_params() or [])[1:]))


def by_werkzeug(value: str) -> tuple[str, dict[str, str]]:
    return parse_options_header(value)


@pytest.mark.parametrize(
    "value",
    [
        "text/plain",
        "text/plain; charset=Utf-8",
        'text/html; charset="utf-8"; a=b',
        "multipart/form-data; boundary=----x1",
        'multipart/mixed; boundary="a b:c"',
        'a/b; c="d;e"',
    ],
)
def test_other_parsers_read_the_same(value: str) -> None:
    found = parse_content_type(value)
    assert by_email(value) == by_werkzeug(value) == (found.media_type, found.parameters)


@pytest.mark.parametrize(
    ("value", "ours", "of_email", "of_werkzeug"),
    [
        # Section 8.3.1: both halves are tokens. email falls back to text/plain, which
        # RFC 2045 section 5.2 wants of mail; section 8.3 of HTTP allows octets.
        ("text", ("application/octet-stream", {}), ("text/plain", {}), ("text", {})),
        # Section 5.6.6: no whitespace around "=".
        ("a/b; c = d", ("a/b", {}), ("a/b", {"c": "d"}), ("a/b", {})),
        # The same: a parameter has a value.
        ("a/b; c; d=e", ("a/b", {}), ("a/b", {"c": "", "d": "e"}), ("a/b", {"d": "e"})),
        # Section 5.6.6 does not say what a repeated name means: the first, as for aiohttp.
        ("a/b; c=d; c=e", ("a/b", {"c": "d"}), ("a/b", {"c": "d"}), ("a/b", {"c": "e"})),
        # Section 5.6.4: a backslash quotes any character.
        (r'a/b; c="\d"', ("a/b", {"c": "d"}), ("a/b", {"c": r"\d"}), ("a/b", {"c": "d"})),
        # Section 8.3.1: types are compared without case; ours come in lower case.
        ("A/b; c=d", ("a/b", {"c": "d"}), ("a/b", {"c": "d"}), ("A/b", {"c": "d"})),
    ],
)
def test_other_parsers_read_something_else(
    value: str,
    ours: tuple[str, dict[str, str]],
    of_email: tuple[str, dict[str, str]],
    of_werkzeug: tuple[str, dict[str, str]],
) -> None:
    assert parse_content_type(value) == ours
    assert by_email(value) == of_email
    assert by_werkzeug(value) == of_werkzeug


# Charsets.


@pytest.mark.parametrize(
    ("charset", "expected"),
    [
        ("utf-8", "utf-8"),
        ("UTF8", "utf-8"),
        ("utf_8", "utf-8"),
        ("UTF-8 ", "utf-8"),
        ("../utf..8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("latin-1", "iso8859-1"),
        ("ISO-8859-1", "iso8859-1"),
        ("ISO_8859-1:1987", "iso8859-1"),
        ("us-ascii", "ascii"),
        ("Windows-1252", "cp1252"),
        ("koi8-u", "koi8-u"),
        ("Shift_JIS", "shift_jis"),
        ("utf-16-le", "utf-16-le"),
        ("GB2312", "gb2312"),
    ],
)
def test_charset_has_a_codec(charset: str, expected: str) -> None:
    assert codec_for_charset(charset) == expected
    assert b"\x41\0".decode(expected)


@pytest.mark.parametrize(
    "charset",
    [
        "",
        " ",
        "-",
        "nonsense",
        "'utf-8'x",
        "aliases",
        "utf-8\0x",
        "utf-8\udcff",
        "utf-8ä",
        "\u212aoi8-r",
        "utf\uff0d8",
        "utf-\u0668",
        ".",
        "encodings.utf_8.x",
        "utf-8" + "-" * 60,
        "a" * 1_000_000,
        "-" * 1_000_000,
        # Not between text and bytes.
        "base64",
        "bz2",
        "hex",
        "quopri",
        "rot13",
        "uu",
        "zip",
        "zlib_codec",
        # No charset, or not one of the Web.
        "charmap",
        "idna",
        "mbcs",
        "oem",
        "punycode",
        "raw_unicode_escape",
        "undefined",
        "unicode_escape",
        "unicode-escape",
        "utf-7",
        "unicode-1-1-utf-7",
        "U7",
    ],
    ids=lambda charset: repr(charset[:20]),
)
def test_label_without_a_charset_gives_none(charset: str) -> None:
    assert codec_for_charset(charset) is None


def test_labels_of_peers_leave_nothing_in_memory() -> None:
    """The interpreter keeps every label, known or not: a peer could fill memory with them."""
    codec_for_charset("utf-8")
    before = len(encodings._cache)
    for number in range(100):
        assert codec_for_charset(f"no-such-charset-{number}") is None
        assert codec_for_charset("utf" + "-" * (number % 50 + 1) + "8") == "utf-8"
    assert len(encodings._cache) == before


def test_every_label_of_python_is_known() -> None:
    aliases = encodings.aliases.aliases
    found = {label: codec_for_charset(label) for label in {*aliases, *aliases.values()}}
    assert sum(codec is not None for codec in found.values()) > 250
    for label, codec in found.items():
        assert codec is None or codec == codecs.lookup(label).name


@given(st.text() | st.text("utf-8_.ISO 19", max_size=12))
def test_any_label_has_an_answer(charset: str) -> None:
    found = codec_for_charset(charset)
    assert found is None or codecs.lookup(found).name == found
