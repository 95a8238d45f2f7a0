from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import format_datetime, parsedate_to_datetime
from http.cookiejar import http2time  # type: ignore[attr-defined]  # typeshed leaves it out

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import http_date, parse_date

from httpcore_proto import format_http_date, parse_cookie_date, parse_http_date

EXAMPLE = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
moments = st.datetimes(timezones=st.just(UTC)).map(lambda when: when.replace(microsecond=0))


@pytest.mark.parametrize(
    "value",
    [
        # The three forms of RFC 9110 section 5.6.7.
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        # What is near to them.
        " \tSun, 06 Nov 1994 08:49:37 GMT ",
        "sun, 06 nov 1994 08:49:37 gmt",
        "SUNDAY, 06-NOV-94 08:49:37 GMT",
        "SUN NOV  6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        # Which day of the week it was is not checked.
        "Fri, 06 Nov 1994 08:49:37 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_date_is_read(value: str) -> None:
    found = parse_http_date(value)
    assert found == EXAMPLE
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Thu, 01 Jan 1970 00:00:00 GMT", datetime(1970, 1, 1, tzinfo=UTC)),
        ("Sat, 01 Jan 0001 00:00:00 GMT", datetime(1, 1, 1, tzinfo=UTC)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("Thu, 29 Feb 2024 00:00:00 GMT", datetime(2024, 2, 29, tzinfo=UTC)),
        ("Sat, 31 Dec 2016 23:59:60 GMT", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_date_at_an_edge_is_read(value: str, expected: datetime) -> None:
    assert parse_http_date(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "0",
        "784111777",
        "Sun",
        "Sun, 06 Nov 1994",
        "06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 ",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "Sun, 06 Nov 1994 08:49:37 GMT; length=5",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun, 006 Nov 1994 08:49:37 GMT",
        "Sun, 06 November 1994 08:49:37 GMT",
        "Sun, 06 Noh 1994 08:49:37 GMT",
        "Sun, 06 11 1994 08:49:37 GMT",
        "Sun, 06 Nov 199 08:49:37 GMT",
        "Sun, 06 Nov 19944 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov    08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "1994-11-06T08:49:37Z",
        # Digits and letters that are not ASCII.
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        "Sun, 06 \u017fep 1994 08:49:37 GMT",
        "\u017fun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:3\u0667 GMT",
        # Days and times that do not exist.
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 32 Dec 1994 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sunday, 31-Feb-94 08:49:37 GMT",
        "Sun Feb 30 08:49:37 1994",
    ],
)
def test_garbage_gives_none(value: str) -> None:
    assert parse_http_date(value) is None


def rfc_850(when: datetime) -> str:
    return f"{when:%A}, {when:%d}-{when:%b}-{when:%y} {when:%H:%M:%S} GMT"


@pytest.mark.parametrize("years", range(-49, 51))
def test_year_of_two_digits_is_within_50_years(years: int) -> None:
    now = datetime.now(UTC).replace(day=1, microsecond=0)
    when = now.replace(year=now.year + years) - timedelta(days=1)
    assert parse_http_date(rfc_850(when)) == when


def test_date_in_more_than_50_years_was_100_years_before() -> None:
    now = datetime.now(UTC).replace(day=1, microsecond=0)
    when = now.replace(year=now.year + 50) + timedelta(days=45)
    found = parse_http_date(rfc_850(when))
    assert found is not None
    assert found.year == when.year - 100
    assert (found.month, found.day) == (when.month, when.day)


@pytest.mark.parametrize(
    ("this_year", "digits", "year"),
    [
        *((1999, "49", 2049), (1999, "50", 1950), (1999, "00", 2000)),
        *((2049, "99", 2099), (2050, "00", 2100), (2050, "01", 2001), (2060, "10", 2110)),
    ],
)
def test_year_of_two_digits_may_be_in_the_next_century(
    monkeypatch: pytest.MonkeyPatch, this_year: int, digits: str, year: int
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            return cls(this_year, 11, 6, 8, 49, 37, tzinfo=tz)

    monkeypatch.setattr("httpcore_proto._http_date.datetime", Clock)
    expected = datetime(year, 11, 6, 8, 49, 37, tzinfo=UTC)
    assert parse_http_date(f"Sunday, 06-Nov-{digits} 08:49:37 GMT") == expected


# Writing.


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (EXAMPLE, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (EXAMPLE.timestamp(), "Sun, 06 Nov 1994 08:49:37 GMT"),
        (784111777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (784111777.999, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (EXAMPLE.replace(microsecond=999999), "Sun, 06 Nov 1994 08:49:37 GMT"),
        (EXAMPLE.astimezone(timezone(timedelta(hours=9))), "Sun, 06 Nov 1994 08:49:37 GMT"),
        (
            datetime(1994, 11, 6, 2, 19, 37, tzinfo=timezone(timedelta(hours=-6, minutes=-30))),
            "Sun, 06 Nov 1994 08:49:37 GMT",
        ),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-0.5, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (-62135596800, "Mon, 01 Jan 0001 00:00:00 GMT"),
        (253402300799.5, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
def test_date_is_written(when: datetime | float, expected: str) -> None:
    assert format_http_date(when) == expected


@pytest.mark.parametrize(
    "when",
    [
        253402300800,
        -62135596801,
        1e300,
        10**5000,
        math.inf,
        -math.inf,
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-1))),
    ],
    ids=lambda when: f"{when!r}"[:30] if isinstance(when, datetime | float) else "int",
)
def test_date_out_of_range_is_refused(when: datetime | float) -> None:
    with pytest.raises(ValueError, match="not in the years 1 to 9999"):
        format_http_date(when)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        format_http_date(math.nan)


def test_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match=r"datetime\(1994, .* has no time zone; give it one"):
        format_http_date(datetime(1994, 11, 6))


@given(moments)
def test_round_trip(when: datetime) -> None:
    written = format_http_date(when)
    assert parse_http_date(written) == when
    assert len(written) == 29
    assert written == format_datetime(when, usegmt=True) == http_date(when)
    assert parse_http_date(f"{when:%a %b} {when.day:2} {when:%H:%M:%S} {when.year:04}") == when
    if when.year >= 1601:
        assert parse_cookie_date(written) == when


# Cookies.


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "08:49:37 6 Nov 1994",
        "1994 6 Nov 08:49:37",
        "6 94 nov 8:49:37",
        "november/06/1994 8:49:37",
        "Sun,06_Nov~1994;8:49:37",
        "06 Nov 1994 08:49:37x CET",
        "6th november94 1994th 08:49:37.999",
        "6 Nov 1994 08:49:37 7 Dec 1995 09:50:38",
        "x:y:z 06 Nov 1994 08:49:37",
        "6 234567 Nov 1994 08:49:37",
    ],
)
def test_cookie_date_is_read(value: str) -> None:
    found = parse_cookie_date(value)
    assert found == EXAMPLE
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("digits", "year"),
    [("69", 2069), ("70", 1970), ("00", 2000), ("99", 1999), ("1601", 1601), ("9999", 9999)],
)
def test_year_of_a_cookie_date(digits: str, year: int) -> None:
    expected = datetime(year, 11, 6, 8, 49, 37, tzinfo=UTC)
    assert parse_cookie_date(f"06 Nov {digits} 08:49:37") == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Sun",
        "06 Nov 1994",
        "06 Nov 08:49:37",
        "06 1994 08:49:37",
        "Nov 1994 08:49:37",
        "06 Nov 1994 08:49",
        "06 Nov 1994 08:49:377",
        "06 Nov 1994 008:49:37",
        "06 Nov 1994 08:49:60",
        "06 Nov 1994 08:60:37",
        "06 Nov 1994 24:49:37",
        "00 Nov 1994 08:49:37",
        "31 Nov 1994 08:49:37",
        "32 Dec 1994 08:49:37",
        "06 Nov 1600 08:49:37",
        "06 Nov 199 08:49:37",
        "199 06 Nov 1994 08:49:37",
        "06 Nov 19944 08:49:37",
        "06 Nov 1 08:49:37",
        "06 Növ 1994 08:49:37",
        "06 \u017fep 1994 08:49:37",
        "\u0660\u0666 Nov 1994 08:49:37",
        "06\xa0Nov 1994 08:49:37",
    ],
)
def test_cookie_date_that_is_none(value: str) -> None:
    assert parse_cookie_date(value) is None


@given(moments.filter(lambda when: when.year >= 1601), st.permutations(range(3)), st.data())
def test_parts_of_a_cookie_date_come_in_any_order(
    when: datetime, order: list[int], data: st.DataObject
) -> None:
    # The day stands before the year, or it would be taken for one of two digits.
    parts = [f"{when.day:02} {when:%b}", f"{when.year:04}", f"{when:%H:%M:%S}"]
    if order.index(0) > order.index(1):
        order[order.index(0)], order[order.index(1)] = 1, 0
    separator = data.draw(st.sampled_from([" ", "-", ", ", ";", "/", "\t", "~"]))
    assert parse_cookie_date(separator.join(parts[part] for part in order)) == when


# Hostile input.


@pytest.mark.parametrize(
    "value",
    [
        "a" * 1_000_000,
        "1" * 1_000_000,
        " " * 1_000_000,
        " " * 1_000_000 + "x",
        ":" * 1_000_000,
        "-" * 1_000_000,
        "1:" * 500_000,
        "1 " * 500_000,
        "1:1:1 " * 200_000,
        "Nov " * 250_000,
        "Sun, 06 Nov 1994 08:49:" + "3" * 1_000_000,
        "Sun, 06 Nov " + "1" * 1_000_000 + " 08:49:37 GMT",
        "\udcff\0" * 500_000,
    ],
    ids=lambda value: f"{value[:8]!r}",
)
def test_long_garbage_takes_linear_time(value: str) -> None:
    assert parse_http_date(value) is None
    assert parse_cookie_date(value) is None


@given(st.text() | st.text("SunNov 0619:,-GMT"))
def test_any_text_is_read(value: str) -> None:
    for found in (parse_http_date(value), parse_cookie_date(value)):
        assert found is None or found.tzinfo is UTC


# Other parsers. Differences are wanted; RFC 9110 and RFC 6265 decide each of them.


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Thu, 29 Feb 2024 23:59:59 GMT",
    ],
)
def test_other_parsers_read_the_same(value: str) -> None:
    found = parse_http_date(value)
    assert found is not None
    assert parsedate_to_datetime(value) == parse_date(value) == found
    assert http2time(value) == found.timestamp()
    assert parse_cookie_date(value) == found


@pytest.mark.parametrize(
    ("value", "expected", "of_werkzeug"),
    [
        # RFC 9110 section 5.6.7: the zone is GMT, and it is written.
        ("Sun, 06 Nov 1994 08:49:37 +0100", None, EXAMPLE - timedelta(hours=1)),
        ("Sun, 06 Nov 1994 08:49:37", None, EXAMPLE),
        # The same: seconds are written, and the name of the day.
        ("Sun, 06 Nov 1994 08:49 GMT", None, EXAMPLE.replace(second=0)),
        ("06 Nov 1994 08:49:37 GMT", None, EXAMPLE),
        # The same: there is a second 60.
        ("Sun, 06 Nov 1994 08:49:60 GMT", EXAMPLE.replace(second=59), None),
    ],
)
def test_werkzeug_reads_something_else(
    value: str, expected: datetime | None, of_werkzeug: datetime | None
) -> None:
    assert parse_http_date(value) == expected
    assert parse_date(value) == of_werkzeug
