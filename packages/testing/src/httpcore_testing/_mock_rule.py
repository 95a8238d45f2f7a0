"""A rule of a mock: which requests it is for, how often, and what they get."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self, TypeAlias, TypedDict

from yarl import URL

from httpcore_proto import HeadersLike

from ._mock_call import Call, cut
from ._mock_conditions import (
    UNSET,
    Anything,
    BodyMatch,
    Condition,
    Fields,
    HeaderMatch,
    Params,
    UnsetType,
    body_condition,
    compare_fields,
    fields_of,
    form_condition,
    header_condition,
    json_condition,
    method_condition,
    url_function_condition,
    url_regex_condition,
)
from ._mock_reply import (
    ChunkedReply,
    FailedReply,
    HandledReply,
    RawReply,
    Reply,
    ReplyHandler,
    check_chunks,
    pairs_of,
    whole_reply,
)
from ._mock_url import URLPattern

#: A URL, a pattern of one, or a function that gets a `yarl.URL`.
URLMatch: TypeAlias = str | URL | re.Pattern[str] | Callable[[URL], bool]

_NO_REPLY: Final[Reply] = whole_reply(
    200,
    body=None,
    json=None,
    has_json=False,
    headers=None,
    reason=None,
    delay=0,
    reset_after=None,
)
# Characters of a URL that are compared to find the nearest rule; difflib takes their square.
_COMPARED: Final = 200


class RuleOptions(TypedDict, total=False):
    """What a rule may ask for beside method and URL; see `MockConnector.add`."""

    params: Params
    headers: Mapping[str, HeaderMatch] | None
    body: BodyMatch | None
    json: Any
    form: Fields | None
    times: int | UnsetType | None
    optional: bool


class Rule:
    """Which requests are answered, how often, and how. Made by `MockConnector.add`.

    Each `reply...`, `reset` and `fail` appends a reply and returns the rule; they are given in
    order. Without any the answer is 200 without a body.

    Attributes:
        calls: The requests that it answered, in order.
        optional: Whether it need not be used.
    """

    def __init__(
        self,
        method: str,
        url: URLMatch,
        *,
        params: Params = None,
        headers: Mapping[str, HeaderMatch] | None = None,
        body: BodyMatch | None = None,
        json: Any = UNSET,
        form: Fields | None = None,
        times: int | UnsetType | None = UNSET,
        optional: bool = False,
    ) -> None:
        if isinstance(times, int) and times < 1:
            raise ValueError(f"times={times}: expected 1 or more, or None for any number")
        self._method = method.upper()
        self._shown = url.pattern if isinstance(url, re.Pattern) else cut(url)
        self._pattern: URLPattern | None = None
        self._times = times
        self._replies: list[Reply] = []
        self.calls: list[Call] = []
        self.optional: bool = optional
        conditions = [method_condition(self._method), *self._url_conditions(url, params)]
        conditions += [header_condition(name, asked) for name, asked in (headers or {}).items()]
        if body is not None:
            conditions.append(body_condition(body))
        if json is not UNSET:
            conditions.append(json_condition(json))
        if form is not None:
            conditions.append(form_condition(form))
        self._conditions = conditions

    def _url_conditions(self, url: URLMatch, params: Params) -> list[Condition]:
        if isinstance(url, re.Pattern):
            return [url_regex_condition(url), *_query_condition([], params)]
        if not isinstance(url, (str, URL)):
            if not callable(url):
                raise TypeError(f"url must be a URL, a pattern or a function, not {url!r}")
            return [url_function_condition(url), *_query_condition([], params)]
        if url == "*":
            return _query_condition([], params)
        self._shown = str(url)
        self._pattern = pattern = URLPattern(url)
        # A query that nobody asks for does not match.
        asked: Params = params if params is not None else []
        return [*pattern.conditions, *_query_condition(pattern.query, asked)]

    # Replies.

    def reply(
        self,
        status: int = 200,
        *,
        body: bytes | str | None = None,
        json: Any = UNSET,
        headers: HeadersLike | None = None,
        reason: str | None = None,
        delay: float = 0,
        reset_after: int | None = None,
    ) -> Self:
        """Answer with a response.

        Args:
            status: 200 to 599.
            body: Bytes, or text that is sent as UTF-8 and as `text/plain`.
            json: The body, as JSON.
            headers: Fields to send; they replace those that belong to the body.
            reason: Reason phrase; the standard one unless given.
            delay: Seconds before the head.
            reset_after: Bytes of the body behind which the connection is reset; None for never.

        Raises:
            TypeError: `body` is neither bytes nor text.
            ValueError: Both `body` and `json` are given.
        """
        reply = whole_reply(
            status,
            body=body,
            json=json,
            has_json=json is not UNSET,
            headers=headers,
            reason=reason,
            delay=delay,
            reset_after=reset_after,
        )
        return self._add(reply)

    def reply_chunks(
        self,
        chunks: Iterable[bytes],
        *,
        status: int = 200,
        headers: HeadersLike | None = None,
        pause: float = 0,
        delay: float = 0,
    ) -> Self:
        """Answer with a body that comes in pieces.

        Args:
            chunks: The pieces. Each is sent by itself, in chunked coding unless `headers` say
                Content-Length.
            status: As for `reply`, like `headers`.
            headers: Fields to send.
            pause: Seconds between two pieces.
            delay: Seconds before the head.

        Raises:
            TypeError: One of the pieces is not bytes.
        """
        return self._add(
            ChunkedReply(
                chunks=check_chunks(chunks),
                status=status,
                headers=pairs_of(headers),
                pause=pause,
                delay=delay,
            )
        )

    def reply_raw(self, data: bytes, *, close: bool = True, delay: float = 0) -> Self:
        """Answer with exact bytes, good or bad, whatever the request was.

        Args:
            data: Head and body as on the wire.
            close: Close the connection then. If not, nothing more is sent, and the next
                request finds the connection closed.
            delay: Seconds before it.
        """
        return self._add(RawReply(data=data, close=close, delay=delay))

    def reply_with(self, handler: ReplyHandler, *, delay: float = 0) -> Self:
        """Answer with what a handler of a server does, such as a WebSocket.

        What it raises, other than an `HTTPException`, is raised at the caller of the client.

        Args:
            handler: Gets a `httpserver.BaseRequest`, whose body has been read, and returns a
                `httpserver.StreamResponse`.
            delay: Seconds before it is called.
        """
        return self._add(HandledReply(handler=handler, delay=delay))

    def reset(self, *, after: bytes = b"", delay: float = 0) -> Self:
        """Reset the connection.

        Args:
            after: Exact bytes to send before; none for a reset instead of an answer.
            delay: Seconds before it.
        """
        return self._add(RawReply(data=after, close=True, reset=True, delay=delay))

    def fail(self, error: Exception, *, delay: float = 0) -> Self:
        """Have the client fail as if there were no connection to be had.

        Args:
            error: An `OSError` becomes what the client makes of it when it connects, such as
                a `ClientConnectorError`; anything else is raised as it is.
            delay: Seconds before it.
        """
        return self._add(FailedReply(error=error, delay=delay))

    def _add(self, reply: Reply) -> Self:
        self._replies.append(reply)
        return self

    # For tests.

    @property
    def called(self) -> bool:
        """Whether it answered a request."""
        return bool(self.calls)

    @property
    def times(self) -> int | None:
        """How many requests it answers; None for any number."""
        return max(1, len(self._replies)) if self._times is UNSET else self._times

    def __repr__(self) -> str:
        return f"<Rule {self}>"

    def __str__(self) -> str:
        return f"{self._method} {self._shown}"

    # For the mock.

    @property
    def is_due(self) -> bool:
        """Whether it should have been used more often than it was."""
        return not self.optional and len(self.calls) < (self.times or 1)

    @property
    def is_used_up(self) -> bool:
        """Whether it answered as many requests as it does."""
        return self.times is not None and len(self.calls) >= self.times

    def usage(self) -> str:
        """Return how often it was used, in words."""
        most = "any number of" if self.times is None else str(self.times)
        return f"{len(self.calls)} of {most} call{'' if self.times == 1 else 's'}"

    def matches(self, call: Call) -> bool:
        """Whether a request is one for it."""
        return all(condition.check(call) is None for condition in self._conditions)

    def take(self, call: Call) -> Reply:
        """Note that a request is answered, and return how."""
        call.rule = self
        if self._pattern is not None:
            call.values = self._pattern.values(call.url)
        self.calls.append(call)
        if not self._replies:
            return _NO_REPLY
        return self._replies[min(len(self.calls), len(self._replies)) - 1]

    def reasons(self, call: Call) -> tuple[float, list[str]]:
        """Return how far a request is from it, and why it does not match, a line for each."""
        distance, lines = 0.0, []
        for weight, check in self._conditions:
            if (line := check(call)) is not None:
                lines.append(line)
                distance += weight
        if self.is_used_up:
            lines.append(f"used up: {self.usage()}")
            distance += 0.5
        seen, asked = str(call.url)[:_COMPARED], self._shown[:_COMPARED]
        return distance - difflib.SequenceMatcher(None, asked, seen).ratio(), lines


def _query_condition(own: list[tuple[str, str]], params: Params) -> list[Condition]:
    if params is None or isinstance(params, Anything):
        return []
    asked = [*own, *fields_of(params)]
    return [Condition(2, lambda call: compare_fields("query", asked, list(call.url.query.items())))]
