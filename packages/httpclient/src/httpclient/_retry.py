"""Sending again what failed: a middleware.

This is for servers that are overloaded or away. That a kept connection turns out to be
closed is the session's own business, and does not count here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from random import random
from typing import TYPE_CHECKING, Final

from anyio import current_effective_deadline, current_time, sleep

from httpcore_proto import parse_http_date
from httpcore_proto.aio import Payload

from ._errors import (
    AddressNotAllowedError,
    ClientConnectionError,
    ClientConnectorCertificateError,
    ServerFingerprintMismatch,
)
from ._trace_params import TraceRequestRetryParams

if TYPE_CHECKING:
    from ._client_request import ClientRequest
    from ._middlewares import ClientHandlerType
    from ._response import ClientResponse

# RFC 9110 section 9.2.2, and RFC 10008 section 2 for QUERY.
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})
# Too many requests, and what gateways say about the server behind them; 500 is left out,
# since it is most often a mistake that is made again.
_STATUSES: Final = frozenset({429, 502, 503, 504})
# No time heals these.
_PERMANENT: Final = (
    AddressNotAllowedError,
    ClientConnectorCertificateError,
    ServerFingerprintMismatch,
)
# RFC 9110 section 10.2.3; more digits are over thirty years anyway.
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_DIGITS: Final = re.compile(r"[0-9]++")
# Above this an exponent only makes numbers that no float holds.
_MAX_EXPONENT: Final = 60


class RetryBudget:
    """How many retries there may be, over all requests that share it.

    A retry takes one token; a call that ends without needing another retry gives back a
    part of one. When a server is down for all, retries so become a small part of the
    requests instead of a multiple of them.

    Args:
        capacity: Tokens at the start, and most that there can be; `math.inf` for no
            bound. A hundred retries, as many as the SDKs of AWS allow.
        refill: What a call gives back; the default of a tenth allows one retry for ten
            calls in the long run, as gRPC proposes.

    Raises:
        ValueError: A number is negative or none.
    """

    __slots__ = ("_capacity", "_refill", "_tokens")

    def __init__(self, capacity: float = 100, refill: float = 0.1) -> None:
        self._capacity = _at_least(0, "capacity", capacity)
        self._refill = _at_least(0, "refill", refill)
        self._tokens = self._capacity

    @property
    def tokens(self) -> float:
        """How many retries are left right now, parts included."""
        return self._tokens

    def deposit(self) -> None:
        """Note a call that needs no further retry."""
        self._tokens = min(self._capacity, self._tokens + self._refill)

    def withdraw(self) -> bool:
        """Take a token; False if there is none."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Retry:
    """A middleware that sends a request again after some errors and statuses.

        session = ClientSession(middlewares=[Retry(attempts=5)])

    It waits between the attempts: a random time up to `backoff`, the next time up to
    twice that, and so on ("full jitter", so that clients do not come back all at once); at
    least what the server's Retry-After says. The `total` time-out bounds all attempts
    together: where waiting would reach past it, or past a deadline of the caller, the last
    outcome is given at once. The outcome, a response or an error, is always that of the
    last attempt.

    Sent again are requests whose method is among `methods` or that have an
    Idempotency-Key header, if their body can be had again. Middlewares behind this one
    run for each attempt. A handler of the trace signal `on_request_retry` sees each
    decision to go on.

    Args:
        attempts: How often a request is sent at most, the first time included.
        methods: Methods to send again, in any case; those that are idempotent by
            RFC 9110 unless given.
        statuses: Statuses to send again for.
        exceptions: Errors to send again for: of connections, time-outs other than `total`
            among them. An address or a certificate that was refused never is.
        backoff: Upper bound of the first wait in seconds.
        max_backoff: Upper bound of every wait that the server does not ask for, in seconds.
        respect_retry_after: Whether Retry-After counts.
        max_retry_after: Longest wait in seconds that the server may ask for; if it asks
            for more, its response is given to the caller at once.
        budget: Bounds the retries of all requests together; one with the defaults of
            `RetryBudget` unless given.

    Raises:
        ValueError: `attempts` is not positive, or a time is negative or none.
    """

    __slots__ = (
        "_attempts",
        "_backoff",
        "_budget",
        "_exceptions",
        "_max_backoff",
        "_max_retry_after",
        "_methods",
        "_respect_retry_after",
        "_statuses",
    )

    def __init__(
        self,
        attempts: int = 3,
        *,
        methods: Iterable[str] = _IDEMPOTENT,
        statuses: Collection[int] = _STATUSES,
        exceptions: tuple[type[Exception], ...] = (ClientConnectionError,),
        backoff: float = 0.5,
        max_backoff: float = 30,
        respect_retry_after: bool = True,
        max_retry_after: float = 60,
        budget: RetryBudget | None = None,
    ) -> None:
        if attempts < 1:
            raise ValueError(f"attempts={attempts!r}: expected 1 or more")
        self._attempts = attempts
        self._methods = frozenset(method.upper() for method in methods)
        self._statuses = frozenset(statuses)
        self._exceptions = exceptions
        self._backoff = _at_least(0, "backoff", backoff)
        self._max_backoff = _at_least(0, "max_backoff", max_backoff)
        self._respect_retry_after = respect_retry_after
        self._max_retry_after = _at_least(0, "max_retry_after", max_retry_after)
        self._budget = RetryBudget() if budget is None else budget

    @property
    def budget(self) -> RetryBudget:
        """What bounds the retries of all requests together."""
        return self._budget

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send a request, and again if need be.

        Raises:
            ClientError: As for `ClientSession.request`, of the last attempt.
        """
        attempt = 1
        while True:
            try:
                response = await handler(request)
            except self._exceptions as exc:
                if isinstance(exc, _PERMANENT) or request.session.closed:
                    raise
                delay = self._delay(request, attempt, None)
                if delay is None:
                    raise
                await _announce(request, attempt, delay, exc)
            else:
                if response.status not in self._statuses:
                    self._budget.deposit()
                    return response
                try:
                    delay = self._delay(request, attempt, response)
                    if delay is None:
                        return response
                    await _announce(request, attempt, delay, response)
                except BaseException:
                    response.close()
                    raise
                response.release()
            await sleep(delay)
            attempt += 1

    def _delay(
        self, request: ClientRequest, attempt: int, response: ClientResponse | None
    ) -> float | None:
        """Tell how long to wait for the next attempt; None if there shall be none."""
        body = request.body
        if (
            attempt >= self._attempts
            or (request.method not in self._methods and "Idempotency-Key" not in request.headers)
            or (isinstance(body, Payload) and body.consumed)
        ):
            return None
        ceiling = self._backoff * 2.0 ** min(attempt - 1, _MAX_EXPONENT)
        delay = random() * min(self._max_backoff, ceiling)
        if response is not None and self._respect_retry_after:
            asked = retry_after(response.headers.get("Retry-After", ""))
            if asked > self._max_retry_after:
                return None
            delay = max(delay, asked)
        if delay >= current_effective_deadline() - current_time():
            return None
        return delay if self._budget.withdraw() else None


async def _announce(
    request: ClientRequest, attempt: int, delay: float, reason: ClientResponse | Exception
) -> None:
    traces = request.traces
    if traces is not None:
        params = TraceRequestRetryParams(
            request.method, request.url, request.headers, attempt, delay, reason
        )
        await traces.send("on_request_retry", params)


def retry_after(value: str) -> float:
    """Read a Retry-After header (RFC 9110 section 10.2.3).

    Args:
        value: Seconds, or a date in one of the forms of HTTP.

    Returns:
        Seconds from now; 0 for a date that has passed, and for what is neither. Infinity
        for more than nine digits.
    """
    value = value.strip(" \t")
    if _SECONDS.fullmatch(value):
        return int(value)
    if _DIGITS.fullmatch(value):
        return math.inf
    date = parse_http_date(value)
    return 0 if date is None else max(0, (date - datetime.now(UTC)).total_seconds())


def _at_least(least: float, name: str, value: float) -> float:
    if not value >= least:
        raise ValueError(f"{name}={value!r}: expected {least} or more")
    return value
