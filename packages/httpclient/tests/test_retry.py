"""The middleware that sends again: what, for what, after how long, and for how long."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from multidict import CIMultiDict
from yarl import URL

import httpclient
from httpclient import Retry, RetryBudget, TraceConfig
from httpclient._errors import AddressNotAllowedError, ServerFingerprintMismatch
from httpclient._retry import retry_after
from httpclient._tracing import Traces
from httpcore_proto import format_http_date
from httpcore_proto.aio import AsyncIterablePayload, BytesPayload, Payload

INFO = httpclient.RequestInfo(URL("http://h/"), "GET", CIMultiDict(), URL("http://h/"))


class Session:
    """As much of a session as is looked at."""

    closed = False


class Request:
    """As much of a `ClientRequest` as is looked at."""

    def __init__(
        self,
        method: str = "GET",
        headers: Any = (),
        body: Payload | bytes = b"",
        traces: Traces | None = None,
    ) -> None:
        self.method = method
        self.url = URL("http://h/")
        self.headers = CIMultiDict(headers)
        self.body = body
        self.traces = traces
        self.session = Session()


class Response:
    """As much of a `ClientResponse` as is looked at."""

    def __init__(self, status: int, headers: Any = ()) -> None:
        self.status = status
        self.headers = CIMultiDict(headers)
        self.fate = "open"

    def release(self) -> None:
        self.fate = "released"

    def close(self) -> None:
        self.fate = "closed"


class Server:
    """Plays outcomes, the last one for ever, and notes what came of its responses."""

    def __init__(self, *outcomes: int | Response | BaseException) -> None:
        self.outcomes = outcomes
        self.calls = 0

    async def __call__(self, request: Any) -> Any:
        outcome = self.outcomes[min(self.calls, len(self.outcomes) - 1)]
        self.calls += 1
        if isinstance(request.body, AsyncIterablePayload):
            await request.body.write(Sink())
        if isinstance(outcome, BaseException):
            raise outcome
        return Response(outcome) if isinstance(outcome, int) else outcome


class Sink:
    async def write(self, chunk: bytes) -> None:
        """Drop it."""


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note the waits instead of waiting, and draw the longest wait each time."""
    noted: list[float] = []

    async def sleep(delay: float) -> None:
        noted.append(delay)

    monkeypatch.setattr("httpclient._retry.sleep", sleep)
    monkeypatch.setattr("httpclient._retry.random", lambda: 1.0)
    return noted


async def send(retry: Retry, server: Server, **request: Any) -> Response:
    """Send a request through the middleware."""
    response: Any = await retry(Request(**request), server)  # type: ignore[arg-type]
    assert isinstance(response, Response)
    return response


async def test_good_answer_is_given_at_once(waits: list[float]) -> None:
    server = Server(200)
    response = await send(Retry(), server)
    assert (response.fate, server.calls, waits) == ("open", 1, [])


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_status_is_retried_and_released(waits: list[float], status: int) -> None:
    refused = Response(status)
    server = Server(refused, 200)
    assert (await send(Retry(), server)).status == 200
    assert (refused.fate, server.calls, waits) == ("released", 2, [0.5])


@pytest.mark.parametrize("status", [101, 204, 301, 400, 401, 404, 408, 500, 501])
async def test_other_status_is_not(waits: list[float], status: int) -> None:
    server = Server(status)
    assert (await send(Retry(), server)).status == status
    assert (server.calls, waits) == (1, [])


@pytest.mark.parametrize(
    "error",
    [
        httpclient.ServerDisconnectedError(),
        httpclient.ClientOSError(104, "reset"),
        httpclient.ClientConnectorError(
            httpclient.ConnectionKey("h", 80, False), OSError(111, "refused")
        ),
        httpclient.ConnectionTimeoutError("slow"),
        httpclient.SocketTimeoutError("slow"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_error_of_a_connection_is_retried(waits: list[float], error: Exception) -> None:
    server = Server(error, error, 200)
    assert (await send(Retry(), server)).status == 200
    assert waits == [0.5, 1.0]


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("total"),
        httpclient.ClientPayloadError("x"),
        httpclient.ClientResponseError(INFO, (), status=503),
        httpclient.InvalidURL("x"),
        httpclient.ClientConnectorCertificateError(
            httpclient.ConnectionKey("h", 443, True), OSError(1, "expired")
        ),
        AddressNotAllowedError(
            httpclient.ConnectionKey("h", 80, False), PermissionError(1, "private")
        ),
        ServerFingerprintMismatch(b"expected", b"got", "h", 443),
        ValueError("x"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_other_error_is_not(waits: list[float], error: BaseException) -> None:
    server = Server(error)
    with pytest.raises(type(error)):
        await send(Retry(), server)
    assert (server.calls, waits) == (1, [])


async def test_exceptions_can_be_chosen(waits: list[float]) -> None:
    retry = Retry(exceptions=(ValueError,))
    assert (await send(retry, Server(ValueError(), 200))).status == 200
    with pytest.raises(httpclient.ServerDisconnectedError):
        await send(retry, Server(httpclient.ServerDisconnectedError()))


async def test_after_the_last_attempt_there_is_its_outcome(waits: list[float]) -> None:
    responses = [Response(502), Response(503), Response(504)]
    assert await send(Retry(3), Server(*responses)) is responses[2]
    assert [response.fate for response in responses] == ["released", "released", "open"]
    first, last = httpclient.ServerDisconnectedError("1"), httpclient.ServerDisconnectedError("2")
    with pytest.raises(httpclient.ServerDisconnectedError, match="2"):
        await send(Retry(2), Server(first, last))
    server = Server(503)
    await send(Retry(1), server)
    assert server.calls == 1


async def test_waits_double_up_to_a_bound(waits: list[float]) -> None:
    await send(Retry(9, backoff=1, max_backoff=10), Server(503))
    assert waits == [1, 2, 4, 8, 10, 10, 10, 10]


async def test_waits_of_thousands_of_attempts_overflow_nothing(waits: list[float]) -> None:
    await send(Retry(3000, budget=RetryBudget(math.inf)), Server(503))
    assert waits[-1] == 30


async def test_waits_are_random_from_nothing_to_the_bound(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter([0.0, 0.25, 0.75])
    monkeypatch.setattr("httpclient._retry.random", lambda: next(drawn))
    await send(Retry(4, backoff=1), Server(503))
    assert waits == [0, 0.5, 3]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"])
async def test_idempotent_methods_are_sent_again(waits: list[float], method: str) -> None:
    assert (await send(Retry(), Server(503, 200), method=method)).status == 200


@pytest.mark.parametrize("method", ["POST", "PATCH", "PURGE"])
async def test_other_methods_need_an_opt_in(waits: list[float], method: str) -> None:
    server = Server(503, 200)
    response = await send(Retry(), server, method=method)
    assert (response.status, response.fate, server.calls) == (503, "open", 1)
    with pytest.raises(httpclient.ServerDisconnectedError):
        await send(Retry(), Server(httpclient.ServerDisconnectedError(), 200), method=method)
    retry = Retry(methods=[method.lower()])
    assert (await send(retry, Server(503, 200), method=method)).status == 200
    headers = {"idempotency-key": "8e03978e"}
    response = await send(Retry(), Server(503, 200), method=method, headers=headers)
    assert response.status == 200


async def test_body_that_is_gone_is_not_sent_again(waits: list[float]) -> None:
    """aiohttp once retried an upload, and sent the rest of the file that was left."""

    async def pieces() -> Any:
        yield b"x"

    response = await send(
        Retry(), Server(503, 200), method="PUT", body=AsyncIterablePayload(pieces())
    )
    assert (response.status, response.fate) == (503, "open")
    error = httpclient.ServerDisconnectedError()
    with pytest.raises(httpclient.ServerDisconnectedError):
        await send(Retry(), Server(error, 200), method="PUT", body=AsyncIterablePayload(pieces()))
    response = await send(Retry(), Server(503, 200), method="PUT", body=BytesPayload(b"x"))
    assert response.status == 200


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", 0),
        ("0", 0),
        ("120", 120),
        (" 7\t", 7),
        ("007", 7),
        ("-1", 0),
        ("+5", 0),
        ("1.5", 0),
        ("1e3", 0),
        ("5 s", 0),
        ("\N{ARABIC-INDIC DIGIT FIVE}", 0),
        ("1" * 10, math.inf),
        ("9" * 1_000_000, math.inf),
        ("9" * 1_000_000 + "x", 0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sun, 31 Feb 2094 08:49:37 GMT", 0),
    ],
)
def test_retry_after(value: str, expected: float) -> None:
    assert retry_after(value) == expected


def test_retry_after_a_date() -> None:
    date = format_http_date(datetime.now(UTC) + timedelta(seconds=100))
    assert 90 < retry_after(date) <= 100


async def test_server_may_ask_for_a_longer_wait(waits: list[float]) -> None:
    server = Server(Response(503, {"Retry-After": "7"}), 200)
    assert (await send(Retry(), server)).status == 200
    assert waits == [7]


async def test_server_may_not_ask_for_a_shorter_wait(waits: list[float]) -> None:
    server = Server(Response(503, {"Retry-After": "0"}), 200)
    await send(Retry(), server)
    assert waits == [0.5]


@pytest.mark.parametrize("asked", ["61", "9" * 5000])
async def test_who_is_told_to_come_back_much_later_gets_told(
    waits: list[float], asked: str
) -> None:
    server = Server(Response(429, {"Retry-After": asked}), 200)
    response = await send(Retry(), server)
    assert (response.status, response.fate, waits) == (429, "open", [])


async def test_what_the_server_asks_can_be_ignored(waits: list[float]) -> None:
    server = Server(Response(429, {"Retry-After": "3600"}), 200)
    assert (await send(Retry(respect_retry_after=False), server)).status == 200
    assert waits == [0.5]
    server = Server(Response(429, {"Retry-After": "3600"}), 200)
    assert (await send(Retry(max_retry_after=3600), server)).status == 200
    assert waits == [0.5, 3600]


async def test_no_wait_reaches_past_a_deadline(waits: list[float]) -> None:
    """To wait for a deadline to pass helps nobody: the caller can have the answer now."""
    server = Server(503, Response(503, {"Retry-After": "20"}), 200)
    with anyio.move_on_after(10):
        response = await send(Retry(), server)
    assert (response.status, response.fate, server.calls, waits) == (503, "open", 2, [0.5])
    with anyio.move_on_after(10):
        with pytest.raises(httpclient.ServerDisconnectedError):
            await send(Retry(backoff=20), Server(httpclient.ServerDisconnectedError()))


async def test_budget_bounds_the_retries_of_all_requests(waits: list[float]) -> None:
    budget = RetryBudget(3, refill=0.5)
    retry, other = Retry(budget=budget), Retry(budget=budget)
    assert retry.budget is budget
    server = Server(503)
    await send(retry, server)
    assert (server.calls, budget.tokens) == (3, 1)
    response = await send(other, server)
    assert (server.calls, budget.tokens, response.fate) == (5, 0, "open")
    await send(retry, server)
    with pytest.raises(httpclient.ServerDisconnectedError):
        await send(retry, Server(httpclient.ServerDisconnectedError()))
    assert (server.calls, len(waits)) == (6, 3)
    for _ in range(10):
        await send(retry, Server(200))
    assert budget.tokens == 3
    await send(other, server)
    assert server.calls == 9


async def test_each_middleware_has_a_budget_of_its_own(waits: list[float]) -> None:
    assert Retry().budget is not Retry().budget
    retry = Retry(2)
    for _ in range(101):
        server = Server(503)
        await send(retry, server)
    assert (len(waits), server.calls) == (100, 1)


async def test_what_is_not_retried_costs_no_token(waits: list[float]) -> None:
    retry = Retry()
    await send(retry, Server(Response(503, {"Retry-After": "3600"})))
    await send(retry, Server(503), method="POST")
    with anyio.move_on_after(0.4):
        await send(retry, Server(503))
    assert retry.budget.tokens == 100


async def test_each_attempt_is_traced(waits: list[float]) -> None:
    seen: list[httpclient.TraceRequestRetryParams] = []

    async def on_retry(session: Any, context: Any, params: Any) -> None:
        seen.append(params)
        if isinstance(params.reason, Response):
            assert params.reason.fate == "open"

    config = TraceConfig()
    config.on_request_retry.append(on_retry)
    session: Any = Session()
    refused, error = Response(503), httpclient.ServerDisconnectedError()
    traces = Traces.start(session, [config])
    response = await send(Retry(), Server(error, refused, 200), traces=traces)
    assert response.status == 200
    assert [(params.attempt, params.delay, params.reason) for params in seen] == [
        (1, 0.5, error),
        (2, 1.0, refused),
    ]
    assert (seen[0].method, seen[0].url) == ("GET", URL("http://h/"))


async def test_trace_handler_that_fails_leaves_no_response_open(waits: list[float]) -> None:
    async def on_retry(session: Any, context: Any, params: Any) -> None:
        raise ValueError("handler")

    config = TraceConfig()
    config.on_request_retry.append(on_retry)
    session: Any = Session()
    refused = Response(503)
    with pytest.raises(ValueError, match="handler"):
        await send(Retry(), Server(refused), traces=Traces.start(session, [config]))
    assert refused.fate == "closed"


async def test_session_that_is_closed_is_not_asked_again(waits: list[float]) -> None:
    request = Request()
    request.session.closed = True
    server = Server(httpclient.ClientConnectionError("Connector is closed"))
    with pytest.raises(httpclient.ClientConnectionError):
        await Retry()(request, server)  # type: ignore[arg-type]
    assert server.calls == 1


async def test_cancelled_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    refused, scope = Response(503), anyio.CancelScope()

    async def sleep(delay: float) -> None:
        assert refused.fate == "released"
        scope.cancel()
        await anyio.sleep_forever()

    monkeypatch.setattr("httpclient._retry.sleep", sleep)
    server = Server(refused)
    with scope:
        await send(Retry(), server)
    assert scope.cancelled_caught
    assert server.calls == 1


async def test_cancelled_before_it_waits(waits: list[float]) -> None:
    refused = Response(503)
    with anyio.CancelScope() as scope:

        async def handler(request: Any) -> Any:
            scope.cancel()
            return refused

        response: Any = await Retry()(Request(), handler)  # type: ignore[arg-type]
        assert (response, refused.fate) == (refused, "open")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Retry(0), "attempts"),
        (lambda: Retry(backoff=-1), "backoff"),
        (lambda: Retry(max_backoff=math.nan), "max_backoff"),
        (lambda: Retry(max_retry_after=-0.1), "max_retry_after"),
        (lambda: RetryBudget(-1), "capacity"),
        (lambda: RetryBudget(refill=math.nan), "refill"),
    ],
)
def test_argument_out_of_range(make: Callable[[], object], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}="):
        make()


@pytest.mark.parametrize("statuses", [{500}, [500], (500,)])
async def test_statuses_can_be_chosen(waits: list[float], statuses: Any) -> None:
    retry = Retry(statuses=statuses)
    assert (await send(retry, Server(500, 200))).status == 200
    assert (await send(retry, Server(503, 200))).status == 503


def test_methods_may_come_once() -> None:
    methods: Iterable[str] = iter(["post"])
    assert Retry(methods=methods)._methods == {"POST"}
