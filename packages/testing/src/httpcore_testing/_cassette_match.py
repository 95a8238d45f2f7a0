"""Which recorded exchange answers a request, and what to tell if none does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from ._cassette_exchange import CassetteError, RecordedExchange, RecordedRequest, field_of

# What two requests are compared by.
_Aspect: TypeAlias = Callable[[RecordedRequest], Any]

_HEADER: Final = "header:"
# Characters of a value that are shown around where it differs.
_SHOWN: Final = 120


class CassetteMissError(CassetteError, AssertionError):
    """Nothing is recorded that answers a request.

    Not a `ClientError`, so that code which deals with those does not take it for one.
    """


def _body(request: RecordedRequest) -> bytes | str:
    # Members of an object have no order, and blanks between them mean nothing.
    if request.body.lstrip()[:1] in (b"{", b"["):
        try:
            return json.dumps(json.loads(request.body), sort_keys=True)
        except (ValueError, RecursionError):
            pass
    return request.body


def _query(request: RecordedRequest) -> list[str]:
    return sorted(urlsplit(request.url).query.split("&"))


_ASPECTS: Final[dict[str, _Aspect]] = {
    "method": lambda request: request.method,
    "url": lambda request: request.url,
    "origin": lambda request: urlsplit(request.url)[:2],
    "path": lambda request: urlsplit(request.url).path,
    "query": _query,
    "body": _body,
}


def _header(name: str) -> _Aspect:
    return lambda request: field_of(request.headers, name)


class Matcher:
    """Compares requests.

    Args:
        match_on: Names out of method, url, origin, path, query (in any order), body (JSON by
            its value), and "header:NAME".
        ignored: Names in lower case of fields that are not recorded.

    Raises:
        ValueError: There is none of that name, or the field is not recorded.
    """

    def __init__(self, match_on: Iterable[str], ignored: Iterable[str]) -> None:
        self._aspects: dict[str, _Aspect] = {}
        for name in match_on:
            aspect = _ASPECTS.get(name)
            if name.startswith(_HEADER):
                field = name.removeprefix(_HEADER).strip().lower()
                if field in ignored:
                    raise ValueError(f"match_on: {name!r} is not recorded, see ignore_headers")
                aspect = _header(field)
            if aspect is None:
                known = ", ".join(_ASPECTS)
                raise ValueError(f"match_on: no {name!r}; there are {known}, and header:NAME")
            self._aspects[name] = aspect

    def differences(self, recorded: RecordedRequest, request: RecordedRequest) -> list[str]:
        """Tell in what two requests differ, one line each."""
        found = []
        for name, aspect in self._aspects.items():
            one, other = aspect(recorded), aspect(request)
            if one != other:
                found.append(f"{name}: {_compared(one, other)}")
        return found


class Tape:
    """Recorded exchanges, played in order.

    Args:
        exchanges: In the order of recording.
        matcher: Compares requests.
        allow_repeats: Whether the last of the exchanges that match is played again when all
            of them were.
    """

    def __init__(
        self, exchanges: Sequence[RecordedExchange], matcher: Matcher, *, allow_repeats: bool
    ) -> None:
        self._exchanges = exchanges
        self._played = [False] * len(exchanges)
        self._matcher = matcher
        self._allow_repeats = allow_repeats

    @property
    def unplayed(self) -> list[RecordedExchange]:
        """What was not asked for."""
        pairs = zip(self._exchanges, self._played, strict=True)
        return [exchange for exchange, played in pairs if not played]

    def find(self, request: RecordedRequest, where: str) -> RecordedExchange:
        """Return what answers a request.

        Args:
            request: The request, as it would be recorded.
            where: The file, for the error.

        Raises:
            CassetteMissError: Nothing does; tells what comes nearest.
        """
        nearest: tuple[list[str], int] | None = None
        for number, exchange in enumerate(self._exchanges):
            differences = self._matcher.differences(exchange.request, request)
            if not differences and not self._played[number]:
                self._played[number] = True
                return exchange
            if nearest is None or len(differences) <= len(nearest[0]):
                nearest = differences, number
        if nearest is not None and not nearest[0] and self._allow_repeats:
            return self._exchanges[nearest[1]]
        raise CassetteMissError(self._describe(request, nearest, where))

    def _describe(
        self, request: RecordedRequest, nearest: tuple[list[str], int] | None, where: str
    ) -> str:
        lines = [f"nothing in {where} answers {request.method} {request.url}"]
        if nearest is None:
            lines.append("nothing is recorded there")
        else:
            differences, number = nearest
            shown = self._exchanges[number].request
            lines.append(f"nearest is exchange {number + 1}, {shown.method} {shown.url}")
            if differences:
                lines += [f"  {difference}" for difference in differences]
            else:
                lines.append("  it was played already; allow_repeats=True would play it again")
        lines.append('to record everything anew: mode="all", in pytest --http-record=all')
        return "\n".join(lines)


def _compared(recorded: Any, requested: Any) -> str:
    """Show two values from a little before where they differ."""
    one, other = repr(recorded), repr(requested)
    pairs = zip(one, other, strict=False)
    same = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
    start = max(0, same - _SHOWN // 2)
    return f"recorded {_cut(one, start)}, requested {_cut(other, start)}"


def _cut(text: str, start: int) -> str:
    before = "..." if start else ""
    after = "..." if len(text) > start + _SHOWN else ""
    return before + text[start : start + _SHOWN] + after
