"""What header fields say: nothing here needs a connection, so requests are made by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

import httpcore_proto
import httpserver as web
from httpcore_proto import ETag
from httpcore_proto.aio import EMPTY_PAYLOAD

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
NEW_YEAR_TEXT = "Mon, 01 Jan 2024 00:00:00 GMT"
# More than any connection lets pass: what is not linear in it does not end in time.
BIG = 2**20


def brief(value: object) -> str:
    return repr(value)[:30]


def request(*fields: tuple[str, str]) -> web.BaseRequest:
    """A request with nothing but header fields."""
    event = httpcore_proto.Request(method="GET", target="/", headers=fields)
    return web.BaseRequest(event, EMPTY_PAYLOAD, cast("Any", None))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], {}),
        ([""], {}),
        (["a=1; b=2"], {"a": "1", "b": "2"}),
        (["a=1;b=2;"], {"a": "1", "b": "2"}),
        (["a=1", "b=2"], {"a": "1", "b": "2"}),
        (["a=1; a=2"], {"a": "2"}),
        (['a="x\\"y"'], {"a": 'x"y'}),
        (['a="1;2"; b=3'], {"a": '"1', "b": "3"}),
        (["a; =b; c=d"], {"a": "", "c": "d"}),
        (["=__Host-x=1"], {}),
        (["__Host-x=1; path=/; expires=2"], {"__Host-x": "1", "path": "/", "expires": "2"}),
        (["a=b=c"], {"a": "b=c"}),
        (["\u212aey=1; a=\udcff"], {"a": "\udcff"}),
    ],
)
def test_cookies_are_parsed(fields: list[str], expected: dict[str, str]) -> None:
    assert request(*(("Cookie", value) for value in fields)).cookies == expected


def test_cookies_are_parsed_once_and_read_only() -> None:
    made = request(("Cookie", "a=1"))

    assert made.cookies is made.cookies
    with pytest.raises(TypeError):
        made.cookies["a"] = "2"  # type: ignore[index]


@pytest.mark.parametrize("piece", [";", '"', "\\", "a=", 'a="\\', "=", ",", " ", "a;", '";"'])
def test_cookies_hostile_are_linear(piece: str) -> None:
    assert len(request(("Cookie", piece * (BIG // len(piece)))).cookies) <= 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], ()),
        (["For=1.2.3.4; proto=https"], ({"for": "1.2.3.4", "proto": "https"},)),
        (["for=a, for=b", "for=c"], ({"for": "a"}, {"for": "b"}, {"for": "c"})),
        (['for="[::1]:80";by="x\\"y"'], ({"for": "[::1]:80", "by": 'x"y'},)),
        (["for=a;;=b, for=c"], ({"for": "a"}, {"for": "c"})),
    ],
)
def test_forwarded_is_parsed(fields: list[str], expected: tuple[dict[str, str], ...]) -> None:
    assert request(*(("Forwarded", value) for value in fields)).forwarded == expected


def test_forwarded_is_not_believed() -> None:
    made = request(("Forwarded", "for=1.2.3.4;proto=https;host=evil"), ("Host", "a"))

    assert made.host == "a"


@pytest.mark.parametrize("piece", [",", ";", '"', "\\", "a=", 'a="\\', "for=a,", " "])
def test_forwarded_hostile_is_linear(piece: str) -> None:
    assert len(request(("Forwarded", piece * (BIG // len(piece)))).forwarded) <= 100


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], slice(None, None, 1)),
        (["bytes=0-9"], slice(0, 10, 1)),
        (["BYTES=0-9"], slice(0, 10, 1)),
        (["bytes=5-"], slice(5, None, 1)),
        (["bytes=-5"], slice(-5, None, 1)),
        (["bytes=-0"], slice(0, 0, 1)),
    ],
)
def test_http_range_is_a_slice(fields: list[str], expected: slice) -> None:
    assert request(*(("Range", value) for value in fields)).http_range == expected


@pytest.mark.parametrize(
    "fields",
    [
        ["bytes=1-2,4-5"],
        ["bytes=1-2", "bytes=4-5"],
        ["bytes=2-1"],
        ["bytes=-"],
        ["bytes"],
        ["lines=1-2"],
        ["bytes=\u0661-\u0662"],
        ["bytes=1-" + "9" * 5000],
        ["bytes=" + "0-1," * (BIG // 4)],
        ["bytes=" + "-" * BIG],
        [" " * BIG + "bytes=0-9-"],
    ],
    ids=brief,
)
def test_http_range_malformed_is_a_value_error(fields: list[str]) -> None:
    with pytest.raises(ValueError, match=r"range|unit"):
        _ = request(*(("Range", value) for value in fields)).http_range


@pytest.mark.parametrize(
    ("attribute", "field"),
    [
        ("if_modified_since", "If-Modified-Since"),
        ("if_unmodified_since", "If-Unmodified-Since"),
        ("if_range", "If-Range"),
    ],
)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (NEW_YEAR_TEXT, NEW_YEAR),
        ("Monday, 01-Jan-24 00:00:00 GMT", NEW_YEAR),
        ("Mon Jan  1 00:00:00 2024", NEW_YEAR),
        ("", None),
        ("now", None),
        ("Mon, 99 Jan 2024 00:00:00 GMT", None),
        ("Mon, 01 Jan 0000 00:00:00 GMT", None),
        ("9" * BIG, None),
    ],
    ids=brief,
)
def test_dates_are_parsed(
    attribute: str, field: str, value: str | None, expected: datetime | None
) -> None:
    fields = [] if value is None else [(field, value)]

    assert getattr(request(*fields), attribute) == expected


@pytest.mark.parametrize(
    ("attribute", "field"), [("if_match", "If-Match"), ("if_none_match", "If-None-Match")]
)
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([""], ()),
        (["*"], (ETag("*"),)),
        (['"a", W/"b"'], (ETag("a"), ETag("b", is_weak=True))),
        (['"a"', '"b"'], (ETag("a"), ETag("b"))),
        (['"a", b, "c"'], (ETag("a"),)),
        (['"' * BIG], (ETag(""),)),
        (["," * BIG], ()),
        (['"a", ' * 1000], (ETag("a"),) * 1000),
    ],
    ids=brief,
)
def test_etags_are_parsed(
    attribute: str, field: str, values: list[str], expected: tuple[ETag, ...] | None
) -> None:
    made = request(*((field, value) for value in values))

    assert getattr(made, attribute) == expected


@pytest.mark.parametrize("piece", [";", '"', "a=", 'a="\\', " ", "/", "a/b;"])
def test_content_type_hostile_is_linear(piece: str) -> None:
    made = request(("Content-Type", "text/x" + piece * (BIG // len(piece))))

    assert made.charset is None
    assert made.content_type in ("text/x", "application/octet-stream")
