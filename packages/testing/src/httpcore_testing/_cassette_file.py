"""The file of a cassette: JSON in UTF-8, to be read and reviewed by people.

A head is a list of [name, value]. A body is {"json": ...} if it is JSON that comes out the
same, octet for octet, when it is written again ("style" tells how, compact unless told),
else {"text": ...} if it is UTF-8, else {"base64": ...}; and there is none if it is empty.
"""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NoReturn

from ._cassette_exchange import (
    CassetteError,
    HeaderList,
    RecordedExchange,
    RecordedRequest,
    RecordedResponse,
)

_FORMAT: Final = "httpcore-cassette"
_VERSION: Final = 1
_STYLES: Final[dict[str, dict[str, Any]]] = {
    "compact": {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False},
    "compact-ascii": {"separators": (",", ":"), "ensure_ascii": True, "allow_nan": False},
    "spaced": {"separators": (", ", ": "), "ensure_ascii": False, "allow_nan": False},
    "spaced-ascii": {"separators": (", ", ": "), "ensure_ascii": True, "allow_nan": False},
}
# What is no text has no form in UTF-8; JSON has an escape for it.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_STRING: Final = r'"(?:[^"\\]|\\.)*+"'
# A pair of strings on lines of its own is spread over four of them by json.dumps.
_PAIR: Final = re.compile(rf"\[\n *+({_STRING}),\n *+({_STRING})\n *+\]")
_HELP: Final = "correct it, or delete it and record it anew"


def dump_cassette(exchanges: Iterable[RecordedExchange]) -> bytes:
    """Return the file of a cassette; the same for the same exchanges."""
    document = {
        _FORMAT: _VERSION,
        "exchanges": [
            {
                "request": _dump_request(exchange.request),
                "response": _dump_response(exchange.response),
            }
            for exchange in exchanges
        ],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False)
    text = _PAIR.sub(r"[\1, \2]", text)
    text = _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text.encode() + b"\n"


def write_cassette(path: str | os.PathLike[str], exchanges: Iterable[RecordedExchange]) -> None:
    """Write the file of a cassette, all of it or nothing; its folder is made if need be.

    Raises:
        OSError: It cannot be written.
    """
    data, target = dump_cassette(exchanges), Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        # Others of the same project are to read it, which mkstemp does not have in mind.
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def read_cassette(path: str | os.PathLike[str]) -> list[RecordedExchange]:
    """Read the file of a cassette.

    Raises:
        CassetteError: It is damaged, or of a newer format.
        OSError: It cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        return load_cassette(data)
    except CassetteError as exc:
        raise CassetteError(f"{os.fspath(path)}: {exc}") from exc.__cause__


def load_cassette(data: bytes) -> list[RecordedExchange]:
    """Return what `dump_cassette` was given.

    Raises:
        CassetteError: It is damaged, or of a newer format; tells the place.
    """
    try:
        document = json.loads(data.decode())
    except json.JSONDecodeError as exc:
        place = f"line {exc.lineno} column {exc.colno}"
        raise CassetteError(f"no JSON at {place} ({exc.msg}); {_HELP}") from exc
    except (ValueError, RecursionError) as exc:
        raise CassetteError(f"no JSON in UTF-8 ({exc}); {_HELP}") from exc
    root = _Place("", document)
    version = root.want(_FORMAT, int).value
    if version != _VERSION:
        raise CassetteError(
            f"its format is {version}, and this httpcore-testing knows {_VERSION}: "
            "use a newer one, or delete the file and record it anew"
        )
    return [
        RecordedExchange(_load_request(item.want("request", dict)), _load_response(item))
        for item in root.want("exchanges", list).items(dict)
    ]


def _dump_request(request: RecordedRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": [list(field) for field in request.headers],
    } | _dump_body(request.body)


def _dump_response(response: RecordedResponse) -> dict[str, Any]:
    dumped = {
        "status": response.status,
        "reason": response.reason,
        "headers": [list(field) for field in response.headers],
    } | _dump_body(response.body)
    if response.trailers:
        dumped["trailers"] = [list(field) for field in response.trailers]
    return dumped


def _dump_body(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"body": {"base64": base64.b64encode(body).decode()}}
    return {"body": _as_json(text) or {"text": text}}


def _as_json(text: str) -> dict[str, Any] | None:
    if not text.startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
        style = next(name for name, how in _STYLES.items() if json.dumps(value, **how) == text)
        # The file is deeper than the body by a few levels.
        json.dumps([[[[[[value]]]]]], indent=2)
    except (ValueError, RecursionError, StopIteration):
        return None
    return {"json": value} if style == "compact" else {"json": value, "style": style}


def _load_request(place: _Place) -> RecordedRequest:
    return RecordedRequest(
        method=place.want("method", str).value,
        url=place.want("url", str).value,
        headers=place.fields("headers"),
        body=_load_body(place),
    )


def _load_response(item: _Place) -> RecordedResponse:
    place = item.want("response", dict)
    status = place.want("status", int)
    if not 200 <= status.value <= 999:
        status.fail(f"a status from 200 to 999, not {status.value}")
    return RecordedResponse(
        status=status.value,
        reason=place.want("reason", str).value,
        headers=place.fields("headers"),
        body=_load_body(place),
        trailers=place.fields("trailers") if place.has("trailers") else (),
    )


def _load_body(place: _Place) -> bytes:
    if not place.has("body"):
        return b""
    body = place.want("body", dict)
    if body.has("json"):
        style = body.want("style", str).value if body.has("style") else "compact"
        if style not in _STYLES:
            body.fail(f"a style of {', '.join(_STYLES)}, not {style!r}")
        try:
            return json.dumps(body.value["json"], **_STYLES[style]).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError) as exc:
            body.fail(f"JSON that can be written again ({exc})")
    if body.has("text"):
        text: str = body.want("text", str).value
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body.want("base64", str).value, validate=True)
    except ValueError as exc:
        body.fail(f"base64 ({exc})")


class _Place:
    """A value in the document, and where it is."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    def fail(self, expected: str) -> NoReturn:
        raise CassetteError(f"{self.name or 'the document'}: expected {expected}; {_HELP}")

    def has(self, key: str) -> bool:
        return key in self.value

    def want(self, key: str, kind: type) -> _Place:
        """Return a member, which has to be there and of a type."""
        if not isinstance(self.value, dict) or key not in self.value:
            self.fail(f"an object with {key!r}")
        place = _Place(f"{self.name}.{key}".lstrip("."), self.value[key])
        place.check(kind)
        return place

    def items(self, kind: type) -> list[_Place]:
        """Return all items of a list, which have to be of a type."""
        items = [_Place(f"{self.name}[{n}]", value) for n, value in enumerate(self.value)]
        for item in items:
            item.check(kind)
        return items

    def check(self, kind: type) -> None:
        if not isinstance(self.value, kind) or isinstance(self.value, bool):
            self.fail(f"{kind.__name__}, not {type(self.value).__name__}")

    def fields(self, key: str) -> HeaderList:
        """Return a member that is a list of [name, value]."""
        found = []
        for item in self.want(key, list).items(list):
            if len(item.value) != 2 or not all(isinstance(text, str) for text in item.value):
                item.fail("[name, value], two strings")
            found.append((item.value[0], item.value[1]))
        return tuple(found)
