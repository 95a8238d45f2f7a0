"""What a rule asks of a request: conditions, each of which says why it does not hold."""

from __future__ import annotations

import enum
import json as json_module
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from multidict import MultiMapping

from ._mock_call import Call, cut


class Unset(enum.Enum):
    """The type of `UNSET`, for arguments that may be None."""

    UNSET = "UNSET"


UNSET: Final = Unset.UNSET


class Anything:
    """The type of `ANY`."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "ANY"


#: Equal to everything: the value of a field, parameter or form, or a part of a JSON value.
ANY: Final[Anything] = Anything()

#: What a header field has to be: equal, found by a pattern, there (`ANY`), or not there (None).
HeaderMatch: TypeAlias = str | re.Pattern[str] | Anything | None
#: What a body has to be; the function gets the body.
BodyMatch: TypeAlias = bytes | str | Callable[[bytes], bool]
#: Names and values, in whatever order; a value is compared as text, if it is neither bytes nor ANY.
Fields: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]
#: How a condition tells what is wrong; None if nothing is.
Check: TypeAlias = Callable[[Call], str | None]


class Condition(NamedTuple):
    """A condition.

    Attributes:
        weight: How much it tells about whether a request was meant for the rule.
        check: Returns why it does not hold.
    """

    weight: float
    check: Check


def asked_got(what: str, asked: object, got: object) -> str:
    """Return the line of a message about a value that is another one."""
    return f"{what}: asked {_quoted(asked)}, got {_quoted(got)}"


def _quoted(value: object) -> str:
    return cut(repr(value) if isinstance(value, str) else value)


def method_condition(method: str) -> Condition:
    """Return the condition on the method; `*` is any."""

    def check(call: Call) -> str | None:
        return None if method in ("*", call.method) else asked_got("method", method, call.method)

    return Condition(4, check)


def header_condition(name: str, asked: HeaderMatch) -> Condition:
    """Return the condition on one header field; of several of a name one has to fit."""

    def fits(value: str) -> bool:
        return bool(asked.search(value)) if isinstance(asked, re.Pattern) else asked == value

    def check(call: Call) -> str | None:
        got = call.headers.getall(name, [])
        if asked is None:
            return f"header {name}: asked for none, got {_quoted(got[0])}" if got else None
        if any(map(fits, got)):
            return None
        shown = asked.pattern if isinstance(asked, re.Pattern) else asked
        if not got:
            return f"header {name}: asked {_quoted(shown)}, but there is none"
        return asked_got(f"header {name}", shown, got[0] if len(got) == 1 else got)

    return Condition(1, check)


def fields_of(fields: Fields) -> list[tuple[str, Any]]:
    """Return fields as pairs; a list as value in a mapping is one pair for each item."""
    if isinstance(fields, MultiMapping):
        return [(name, _plain(value)) for name, value in fields.items()]
    if not isinstance(fields, Mapping):
        return [(name, _plain(value)) for name, value in fields]
    pairs: list[tuple[str, Any]] = []
    for name, value in fields.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        pairs.extend((name, _plain(one)) for one in values)
    return pairs


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bytes, Anything)) else str(value)


def compare_fields(what: str, asked: Iterable[tuple[str, Any]], got: Fields) -> str | None:
    """Return how two lists of fields differ, whatever their order; None if they do not."""
    left = list(got.items() if isinstance(got, Mapping) else got)
    missing = []
    # Those with a value of their own first: `ANY` takes what they leave.
    for pair in sorted(asked, key=lambda pair: pair[1] is ANY):
        match = next((one for one in left if pair[0] == one[0] and pair[1] == one[1]), None)
        if match is None:
            missing.append(pair)
        else:
            left.remove(match)
    if not missing and not left:
        return None
    lines = [f"asked {name}={_quoted(value)}" for name, value in missing]
    lines += [f"got {name}={_quoted(value)}" for name, value in left]
    return f"{what}: {', '.join(lines)}"


def body_condition(asked: BodyMatch) -> Condition:
    """Return the condition on the body."""

    def check(call: Call) -> str | None:
        if callable(asked):
            if asked(call.body):
                return None
            return f"body: {_name(asked)} says no to {_quoted(call.body)}"
        wanted = asked.encode() if isinstance(asked, str) else asked
        return None if wanted == call.body else asked_got("body", wanted, call.body)

    return Condition(1, check)


def json_condition(asked: Any) -> Condition:
    """Return the condition on the body as JSON."""

    def check(call: Call) -> str | None:
        try:
            got = json_module.loads(call.body)
        except (ValueError, RecursionError) as exc:
            return f"json: the body is no JSON ({exc}), it is {_quoted(call.body)}"
        return None if asked == got else asked_got("json", asked, got)

    return Condition(1, check)


def form_condition(asked: Fields) -> Condition:
    """Return the condition on the form in the body."""
    pairs = fields_of(asked)

    def check(call: Call) -> str | None:
        if call.form is None:
            kind = call.headers.get("Content-Type", "none")
            return f"form: the body is none, its content type is {_quoted(kind)}"
        return compare_fields("form", pairs, call.form)

    return Condition(1, check)


def _name(function: object) -> str:
    return getattr(function, "__qualname__", repr(function))


def url_function_condition(asked: Callable[[Any], bool]) -> Condition:
    """Return the condition that a function of the URL holds."""

    def check(call: Call) -> str | None:
        if asked(call.url):
            return None
        return f"url: {_name(asked)} says no to {_quoted(str(call.url))}"

    return Condition(8, check)


def url_regex_condition(asked: re.Pattern[str]) -> Condition:
    """Return the condition that a pattern matches the whole URL."""

    def check(call: Call) -> str | None:
        if asked.fullmatch(str(call.url)):
            return None
        return asked_got("url", asked.pattern, str(call.url))

    return Condition(8, check)


#: `params` of a rule: fields, `ANY` for whatever query, or what the URL of the rule says.
Params: TypeAlias = Fields | Anything | None
#: The literal type of `UNSET`.
UnsetType: TypeAlias = Literal[Unset.UNSET]
