"""What answers to requests for the rest of a file mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from httpclient._part_file import PartState
from httpclient._partial_answer import Rest, is_nothing_left, rest_of, validator_of

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
STATE = PartState("s", '"v"', 200)


@pytest.mark.parametrize(
    ("value", "length", "rest"),
    [
        ("bytes 100-199/200", None, Rest(200, 200)),
        ("bytes 100-199/200", 100, Rest(200, 200)),
        ("BYTES 100-149/*", 50, Rest(150, 200)),
        ("bytes 100-199/201", 100, None),
    ],
)
def test_rest_is_read(value: str, length: int | None, rest: Rest | None) -> None:
    assert rest_of(CIMultiDict({"Content-Range": value}), length, 100, STATE) == rest


@pytest.mark.parametrize(
    ("value", "length", "complaint"),
    [
        ("bytes 99-199/200", None, "bytes=100-"),
        ("bytes 0-199/200", None, "bytes=100-"),
        ("bytes */200", None, "bytes=100-"),
        ("bytes 100-200/*", None, "behind the whole"),
        ("bytes 100-199/200", 99, "with 99 bytes"),
        ("bytes 100-199/200", 101, "with 101 bytes"),
        ("", None, "content range"),
        ("bytes 100-199/" + "9" * 1_000_000, None, "content range"),
    ],
)
def test_wrong_rest_is_refused(value: str, length: int | None, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        rest_of(CIMultiDict({"Content-Range": value}), length, 100, STATE)


@pytest.mark.parametrize(
    ("validator", "headers", "same"),
    [
        ('"v"', {"ETag": '"v"'}, True),
        ('"v"', {"ETag": '"w"'}, False),
        ('"v"', {"ETag": 'W/"v"'}, False),
        ('"v"', {"ETag": "v"}, False),
        ('"v"', {"Last-Modified": DATE}, True),
        (DATE, {"Last-Modified": DATE}, True),
        (DATE, {"Last-Modified": DATE.replace("2026", "2025")}, False),
        (DATE, {"ETag": '"v"'}, True),
    ],
)
def test_answer_of_something_else_is_noticed(
    validator: str, headers: dict[str, str], same: bool
) -> None:
    state = PartState("s", validator, 200)
    rest = rest_of(CIMultiDict(headers, **{"Content-Range": "bytes 1-199/200"}), None, 1, state)
    assert (rest is not None) == same
    left = CIMultiDict(headers, **{"Content-Range": "bytes */200"})
    assert is_nothing_left(left, 200, state) == same


@pytest.mark.parametrize(
    ("value", "offset", "total", "complete"),
    [
        ("bytes */200", 200, 200, True),
        ("bytes */200", 200, None, True),
        ("bytes */200", 200, 300, False),
        ("bytes */201", 200, 200, False),
        ("bytes */199", 200, None, False),
        ("bytes 0-199/200", 100, None, False),
        ("", 200, 200, False),
    ],
)
def test_nothing_left_is_known_by_the_size(
    value: str, offset: int, total: int | None, complete: bool
) -> None:
    state = PartState("s", '"v"', total)
    assert is_nothing_left(CIMultiDict({"Content-Range": value}), offset, state) == complete


@given(st.text(), st.text(), st.text(), st.text())
def test_any_fields_are_read(a: str, b: str, c: str, d: str) -> None:
    headers = CIMultiDict({"ETag": a, "Last-Modified": b, "Date": c, "Content-Range": d})
    validator_of(headers)
    assert not is_nothing_left(headers, 10, STATE)
    with pytest.raises(ValueError, match="range"):
        rest_of(headers, None, 10, STATE)


def test_hostile_fields_take_linear_time() -> None:
    for text in ('"' * 1_000_000, "W/" * 500_000, " " * 1_000_000, "0" * 1_000_000):
        headers = CIMultiDict({"ETag": text, "Last-Modified": text, "Accept-Ranges": text})
        assert validator_of(headers) is None
