"""Dates of HTTP (RFC 9110 section 5.6.7) and of cookies (RFC 6265 section 5.1.1).

The standard library's `email.utils` would do, but loads sockets.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_NUMBER_OF_MONTH: Final = {month.lower(): number for number, month in enumerate(_MONTHS, 1)}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MONTH: Final = f"({'|'.join(_MONTHS)})"
_TIME: Final = r"([0-9]{2}):([0-9]{2}):([0-9]{2})"
# IMF-fixdate and RFC 850 date in one: what separates, how long the day's name is and how many
# digits the year has may be combined as one likes.
_DATE: Final = re.compile(
    rf"[A-Z]{{3,9}}, ([0-9]{{1,2}})[ -]{_MONTH}[ -]([0-9]{{4}}|[0-9]{{2}}) {_TIME} (?:GMT|UTC)",
    re.ASCII | re.IGNORECASE,
)
_ASCTIME: Final = re.compile(
    rf"[A-Z]{{3}} {_MONTH} ([ 0-9][0-9]) {_TIME} ([0-9]{{4}})", re.ASCII | re.IGNORECASE
)

# RFC 6265 section 5.1.1: everything but delimiters; a number must not go on.
_COOKIE_TOKEN: Final = re.compile(r"[^\t\x20-/;-@\[-`{-~]++")
_COOKIE_TIME: Final = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_COOKIE_DAY: Final = re.compile(r"([0-9]{1,2})(?![0-9])")
_COOKIE_MONTH: Final = re.compile(_MONTH, re.ASCII | re.IGNORECASE)
_COOKIE_YEAR: Final = re.compile(r"([0-9]{2,4})(?![0-9])")


def parse_http_date(value: str) -> datetime | None:
    """Read a date in one of the three forms of RFC 9110 section 5.6.7.

    Args:
        value: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or
            `Sun Nov  6 08:49:37 1994`, in any case. What the day of the week is called
            does not matter.

    Returns:
        Aware, in UTC. A leap second is the second before it. None for anything else and
        for days and times that do not exist.
    """
    value = value.strip(" \t")
    if (match := _DATE.fullmatch(value)) is not None:
        day, month, year, *time = match.groups()
    elif (match := _ASCTIME.fullmatch(value)) is not None:
        month, day, *time, year = match.groups()
    else:
        return None
    hour, minute, second = map(int, time)
    fields = (_NUMBER_OF_MONTH[month.lower()], int(day), hour, minute, second - (second == 60))
    return _date(int(year) if len(year) == 4 else _century(int(year), fields), *fields)


def _century(year: int, fields: tuple[int, ...]) -> int:
    """Complete a year of two digits to the last one that is not over 50 years from now."""
    now = datetime.now(UTC)
    year += (now.year + 50) // 100 * 100
    return year - 100 if (year, *fields) > (now.year + 50, *now.timetuple()[1:6]) else year


def parse_cookie_date(value: str) -> datetime | None:
    """Read the date of a cookie's Expires attribute by RFC 6265 section 5.1.1.

    A time, a day of the month, a month and a year are looked for, each once and in any
    order; all else is skipped. Years 70 to 99 are in the twentieth century, 0 to 69 in
    the twenty-first.

    Returns:
        Aware, in UTC. None if one of the four is missing, the year is before 1601, or
        there is no such day or time.
    """
    time: re.Match[str] | None = None
    day: re.Match[str] | None = None
    month: re.Match[str] | None = None
    year: re.Match[str] | None = None
    for token in _COOKIE_TOKEN.finditer(value):
        start = token.start()
        if time is None and (time := _COOKIE_TIME.match(value, start)) is not None:
            continue
        if day is None and (day := _COOKIE_DAY.match(value, start)) is not None:
            continue
        if month is None and (month := _COOKIE_MONTH.match(value, start)) is not None:
            continue
        if year is None:
            year = _COOKIE_YEAR.match(value, start)
    if time is None or day is None or month is None or year is None:
        return None
    number = int(year[1])
    if number < 100:
        number += 1900 if number >= 70 else 2000
    if number < 1601:
        return None
    hour, minute, second = map(int, time.groups())
    return _date(number, _NUMBER_OF_MONTH[month[1].lower()], int(day[1]), hour, minute, second)


def _date(year: int, month: int, day: int, hour: int, minute: int, second: int) -> datetime | None:
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def format_http_date(when: datetime | float) -> str:
    """Write a date as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).

    Args:
        when: An aware datetime of any time zone, or seconds since 1970-01-01 00:00 UTC.
            Fractions of a second are rounded down.

    Raises:
        ValueError: A datetime without time zone, a number that is none, or a date before
            the year 1 or after 9999.
    """
    try:
        if not isinstance(when, datetime):
            moment = _EPOCH + timedelta(seconds=math.floor(when))
        elif when.utcoffset() is not None:
            moment = when.astimezone(UTC)
        else:
            raise ValueError(f"{when!r} has no time zone; give it one, such as datetime.UTC")
    except OverflowError as exc:
        raise ValueError("the date is not in the years 1 to 9999 of UTC") from exc
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]} "
        f"{moment.year:04} {moment.hour:02}:{moment.minute:02}:{moment.second:02} GMT"
    )
