"""A request that a mock was sent, as rules, tests and messages see it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from multidict import CIMultiDictProxy
from yarl import URL

from httpcore_proto.aio import BodyPartReader, MultipartReader, StreamReader
from httpserver import BaseRequest

if TYPE_CHECKING:
    from ._mock_rule import Rule

# Characters of a value in a message: enough to tell two apart, and a line of a terminal or two.
_SHOWN: Final = 200
# What a log of a failed test in CI should not tell.
_SECRET: Final = frozenset({"authorization", "proxy-authorization", "cookie"})


@dataclass(eq=False, kw_only=True)
class Call:
    """A request that came to a mock.

    Attributes:
        method: Its method.
        url: The URL that the client asked for, without a fragment; ws and wss are http and https.
        headers: Its fields, as they were sent.
        body: Its body, content codings undone; empty without one.
        form: Names and values of its form, in order, files as bytes; None if the body is none.
        time: When it had come, on the clock of `anyio.current_time`.
        rule: The rule that answered it; None if no rule matches.
        values: What the `{name}`s in the rule's URL stand for, decoded.
    """

    method: str
    url: URL
    headers: CIMultiDictProxy[str]
    body: bytes
    form: list[tuple[str, str | bytes]] | None
    time: float
    rule: Rule | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The body as UTF-8.

        Raises:
            UnicodeDecodeError: It is something else.
        """
        return self.body.decode()

    def json(self) -> Any:
        """Return the body parsed as JSON.

        Raises:
            ValueError: It is no JSON.
        """
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Call {self.method} {self.url}>"

    def describe(self) -> list[str]:
        """Return the lines that show it in a message; credentials are hidden."""
        lines = [f"{self.method} {cut(str(self.url))}"]
        for name, value in self.headers.items():
            lines.append(f"{name}: {'(hidden)' if name.lower() in _SECRET else cut(value)}")
        if self.body:
            lines.append(f"body of {len(self.body)} bytes: {cut(self.body)}")
        return lines


def cut(value: object) -> str:
    """Return a value as it is shown in messages: `str` as it is, anything else by `repr`."""
    if isinstance(value, (str, bytes)):
        value = value[: _SHOWN + 1]
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


async def read_form(request: BaseRequest, body: bytes) -> list[tuple[str, str | bytes]] | None:
    """Return the fields of a form; None for a body that is none, or is malformed."""
    if request.content_type == "application/x-www-form-urlencoded":
        try:
            return list(parse_qsl(body.decode(), keep_blank_values=True))
        except ValueError:
            return None
    if request.content_type != "multipart/form-data":
        return None
    content = StreamReader(None)
    content.feed_data(body)
    content.feed_eof()
    fields: list[tuple[str, str | bytes]] = []
    try:
        reader = MultipartReader(request.headers, content)
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader) or part.name is None:
                return None
            is_file = part.filename is not None
            fields.append((part.name, await (part.read(decode=True) if is_file else part.text())))
    except (ValueError, LookupError):
        return None
    return fields
