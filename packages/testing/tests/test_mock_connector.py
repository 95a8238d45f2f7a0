"""Requests, rules and what is left over: `MockConnector` with real sessions."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
import trio
import trio.testing
from yarl import URL

import httpserver
from httpclient import (
    ClientSession,
    ClientTimeout,
    FormData,
    Retry,
    TCPConnector,
    UnixConnector,
    request,
)
from httpcore_testing import (
    ANY,
    MockConnector,
    RawTestServer,
    UnmatchedRequestError,
)

pytestmark = pytest.mark.anyio

URL_X = "https://api.test/x"


async def test_request_and_answer_are_whole() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        rule = mock.post(
            "https://api.test/users/{id}", params={"v": 2}, headers={"X-Key": "k"}, json={"a": ANY}
        ).reply(201, json={"name": "Ann"}, headers={"X-Id": "7"})
        async with session.post(
            "https://api.test/users/7", params={"v": 2}, headers={"X-Key": "k"}, json={"a": [1]}
        ) as response:
            assert response.status == 201
            assert response.headers["X-Id"] == "7"
            assert response.url == URL("https://api.test/users/7?v=2")
            assert await response.json() == {"name": "Ann"}
    (call,) = mock.calls
    assert rule.calls == [call]
    assert rule.called
    assert call.method == "POST"
    assert call.url == URL("https://api.test/users/7?v=2")
    assert call.headers["x-key"] == "k"
    assert call.json() == {"a": [1]}
    assert call.text == '{"a": [1]}'
    assert call.values == {"id": "7"}
    assert call.rule is rule
    assert repr(call) == "<Call POST https://api.test/users/7?v=2>"


@pytest.mark.parametrize(
    "url",
    ["https://api.test/x", "http://api.test:8080/x", "http://[::1]:81/x", "https://api.test/%41?b"],
)
async def test_url_of_a_call_is_what_the_client_asked_for(url: str) -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get("*")
        await session.get(url)
    assert mock.calls[0].url == URL(url)


async def test_proxy_is_passed_over() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get("http://api.test/x?a=1")
        mock.get("https://api.test/x")
        await session.get("http://api.test/x?a=1", proxy="http://proxy.test:3128")
        await session.get("https://api.test/x", proxy="http://proxy.test:3128")


async def test_first_rule_that_matches_and_is_not_used_up() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get(URL_X, times=2).reply(body="a").reply(body="b")
        mock.get(URL_X).reply(body="c")
        mock.get("*", times=None).reply(body="d").reply(body="e")
        texts = []
        for _ in range(6):
            async with session.get(URL_X) as response:
                texts.append(await response.text())
    assert texts == ["a", "b", "c", "d", "e", "e"]


async def test_unmatched_request_is_raised_at_the_caller_and_again() -> None:
    mock = MockConnector()
    with pytest.raises(AssertionError) as again:
        async with mock, ClientSession(connector=mock) as session:
            mock.get("https://other.test/y", times=None, optional=True)
            near = mock.post(URL_X, headers={"X-Key": "a"}).reply()
            await session.post(URL_X, headers={"X-Key": "a"})
            with pytest.raises(UnmatchedRequestError) as caught:
                await session.post(
                    URL_X,
                    params={"q": 1},
                    headers={"X-Key": "b", "Authorization": "Basic c2VjcmV0"},
                    data=b"x" * 300,
                    skip_auto_headers=["User-Agent", "Accept", "Accept-Encoding"],
                )
    error = caught.value
    assert error.nearest is near
    assert error.call is mock.calls[1]
    assert error.call.rule is None
    assert str(error).splitlines() == [
        "no rule of the mock matches this request:",
        "    POST https://api.test/x?q=1",
        "    Host: api.test",
        "    X-Key: b",
        "    Authorization: (hidden)",
        "    Content-Type: application/octet-stream",
        "    Content-Length: 300",
        "    body of 300 bytes: b'" + "x" * 198 + "...",
        "The nearest of 2 rules is POST https://api.test/x, and it does not match:",
        "    query: got q='1'",
        "    header X-Key: asked 'a', got 'b'",
        "    used up: 1 of 1 call",
    ]
    assert str(again.value) == str(error)
    assert again.value.__cause__ is error


@pytest.mark.parametrize("reused", [False, True])
async def test_request_without_any_rule(reused: bool) -> None:
    """The client retries idempotent requests by itself on connections that it used before."""
    mock = MockConnector()
    async with ClientSession(connector=mock, connector_owner=False) as session:
        if reused:
            mock.get(URL_X)
            await session.get(URL_X)
            mock._rules.clear()
        with pytest.raises(UnmatchedRequestError, match=r"It has no rules\. Add one"):
            await session.get(URL_X)
    assert len(mock.calls) == 1 + reused
    await mock.close()


async def test_unmatched_request_with_a_large_body() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    mock = MockConnector()
    async with ClientSession(connector=mock) as session:
        mock.post(URL_X, body=b"")
        for data in (b"x" * 2**22, pieces()):
            with pytest.raises(UnmatchedRequestError, match=r"body: asked b'', got b'x"):
                await session.post(URL_X, data=data)
        assert [len(call.body) for call in mock.calls] == [2**22, 40 * 65536]


async def test_unmatched_request_is_nothing_that_a_retry_handles() -> None:
    mock = MockConnector()
    async with ClientSession(connector=mock, middlewares=[Retry(attempts=3)]) as session:
        with pytest.raises(UnmatchedRequestError):
            await session.get(URL_X)
    assert len(mock.calls) == 1


async def test_rules_that_are_left_over() -> None:
    mock = MockConnector()
    mock.get(URL_X)
    mock.get(URL_X, times=None)
    mock.get(re.compile(".*"), optional=True)
    with pytest.raises(AssertionError) as caught:
        async with mock:
            pass
    assert str(caught.value).splitlines() == [
        "rules that were used less often than they should (optional=True lets them):",
        f"    GET {URL_X}, 0 of 1 call",
        f"    GET {URL_X}, 0 of any number of calls",
    ]


async def test_exception_of_the_test_comes_before_what_is_left_over() -> None:
    with pytest.raises(ZeroDivisionError):
        async with MockConnector() as mock:
            mock.get(URL_X)
            raise ZeroDivisionError


async def test_forms() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.post(URL_X, form={"a": "1", "b": ""}).reply()
        await session.post(URL_X, data={"b": "", "a": "1"})
        mock.post(URL_X, form={"a": "\xe9", "file": b"\xff"}).reply()
        form = FormData()
        form.add_field("a", "\xe9")
        form.add_field("file", b"\xff", filename="f.bin")
        await session.post(URL_X, data=form)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"\xff"),
        ("multipart/form-data; boundary=b", b"no boundary"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--"),
        ("multipart/form-data", b"x"),
    ],
)
async def test_malformed_form_is_none(kind: str, body: bytes) -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.post(URL_X, body=body)
        await session.post(URL_X, data=body, headers={"Content-Type": kind})
    assert mock.calls[0].form is None


async def test_compressed_body_and_expect() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.post(URL_X, body="x" * 5000)
        mock.post(URL_X, body="y")
        await session.post(URL_X, data="x" * 5000, compress="gzip")
        await session.post(URL_X, data="y", expect100=True)


def test_expect_is_answered_at_once() -> None:
    async def main() -> None:
        async with MockConnector() as mock, ClientSession(connector=mock) as session:
            mock.post(URL_X, body="y")
            began = trio.current_time()
            await session.post(URL_X, data="y", expect100=True)
            assert trio.current_time() - began < 0.5

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_keep_alive() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get(URL_X, times=None).reply(body=b"x")
        for _ in range(5):
            async with session.get(URL_X) as response:
                await response.read()
        (origin,) = mock.pool.stats().origins
        assert (origin.opened, origin.reused) == (1, 4)


async def test_many_at_once() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get("https://api.test/{n}", times=50).reply(body=b"x" * 10_000, delay=0.01)

        async def get(n: int) -> None:
            async with session.get(f"https://api.test/{n}") as response:
                assert len(await response.read()) == 10_000

        async with anyio.create_task_group() as group:
            for n in range(50):
                group.start_soon(get, n)
    assert sorted(int(call.values["n"]) for call in mock.calls) == list(range(50))


async def test_redirects_between_hosts() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.post("https://a.test/").reply(303, headers={"Location": "https://b.test/x"})
        mock.get("https://b.test/x").reply(302, headers={"Location": "http://c.test/"})
        mock.get("http://c.test/").reply(body="end")
        async with ClientSession(
            connector=mock, connector_owner=False, allow_insecure_redirects=True
        ) as insecure:
            response = await insecure.post("https://a.test/", data=b"x")
            assert await response.text() == "end"
        assert [str(r.url) for r in response.history] == ["https://a.test/", "https://b.test/x"]
        assert not session.closed


async def test_retry_over_a_sequence() -> None:
    retry = Retry(attempts=3, backoff=0)
    async with (
        MockConnector() as mock,
        ClientSession(connector=mock, middlewares=[retry]) as session,
    ):
        rule = mock.get(URL_X).reply(503).reply(503).reply(200, body="at last")
        async with session.get(URL_X) as response:
            assert await response.text() == "at last"
    assert len(rule.calls) == 3


async def test_cancelled_request_cancels_its_reply() -> None:
    began, ended = anyio.Event(), anyio.Event()

    async def handler(seen: httpserver.BaseRequest) -> httpserver.StreamResponse:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError

    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get(URL_X).reply_with(handler)
        mock.get(URL_X).reply(body="next")
        async with anyio.create_task_group() as group:
            group.start_soon(session.get, URL_X)
            await began.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            await ended.wait()
        async with session.get(URL_X) as response:
            assert await response.text() == "next"


async def test_closing_the_connector_ends_what_is_under_way() -> None:
    began = anyio.Event()

    async def handler(seen: httpserver.BaseRequest) -> httpserver.StreamResponse:
        began.set()
        await anyio.sleep_forever()
        raise AssertionError

    mock = MockConnector()
    session = ClientSession(connector=mock)
    mock.get(URL_X).reply_with(handler)
    failed: list[Exception] = []

    async def get() -> None:
        try:
            await session.get(URL_X)
        except Exception as exc:
            failed.append(exc)

    async with anyio.create_task_group() as group:
        group.start_soon(get)
        await began.wait()
        await session.close()
    assert len(failed) == 1
    mock.check()


async def test_timeout() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get(URL_X).reply(delay=30)
        with pytest.raises(TimeoutError):
            await session.get(URL_X, timeout=ClientTimeout(total=0.01))


# Sessions of others.


async def test_everywhere() -> None:
    async with MockConnector() as mock:
        mock.get(URL_X, times=3).reply(body="mocked")
        dial = TCPConnector._dial
        with mock.everywhere():
            async with request("GET", URL_X) as response:
                assert await response.text() == "mocked"
            async with ClientSession() as session, session.get(URL_X) as response:
                assert await response.text() == "mocked"
            async with (
                ClientSession(connector=UnixConnector("/nowhere")) as session,
                session.get(URL_X) as response,
            ):
                assert await response.text() == "mocked"
        assert TCPConnector._dial is dial


async def test_everywhere_raises_what_does_not_match() -> None:
    mock = MockConnector()
    with mock.everywhere():
        async with ClientSession() as session:
            with pytest.raises(UnmatchedRequestError):
                await session.get(URL_X)
    await mock.close()
    with pytest.raises(AssertionError, match="no rule of the mock"):
        mock.check()


async def test_everywhere_leaves_no_connection_behind() -> None:
    """A session that is closed after the mock must not wait for it."""
    mock = MockConnector()
    mock.get(URL_X, times=None)
    with mock.everywhere():
        session = ClientSession()
        await session.get(URL_X)
        await mock.close()
        await session.get(URL_X)
        await session.close()
        await mock.close()
    assert len(mock.calls) == 2


async def _served(seen: httpserver.BaseRequest) -> httpserver.StreamResponse:
    return httpserver.Response(text="served")


@pytest.mark.parametrize(
    "origin", ["127.0.0.1", "127.0.*.1", "http://127.0.0.1:*", "{host}:{port}"]
)
@pytest.mark.parametrize("everywhere", [False, True])
async def test_pass_through(origin: str, everywhere: bool) -> None:
    async with RawTestServer(_served) as server, MockConnector() as mock:
        mock.pass_through(origin.format(host=server.host, port=server.port))
        mock.get("http://127.0.0.2/").reply(body="mocked")
        connector = TCPConnector() if everywhere else mock
        with mock.everywhere():
            async with ClientSession(connector=connector) as session:
                for url in (server.make_url("/"), server.make_url("/"), "http://127.0.0.2/"):
                    async with session.get(url) as response:
                        text = await response.text()
                        assert text == ("mocked" if "127.0.0.2" in str(url) else "served")


@pytest.mark.parametrize("origin", ["", "http://a.test/path", "a/b", "http://a.test?x"])
async def test_pass_through_takes_origins(origin: str) -> None:
    with pytest.raises(ValueError, match="no host and no origin"):
        MockConnector().pass_through(origin)


async def test_pass_through_of_addresses() -> None:
    mock = MockConnector()
    mock.pass_through("[::1]", "https://api.test/*", "[::2]:80")
    assert all(
        any(pattern.matches_origin(URL(url)) for pattern in mock._open_origins)
        for url in ("http://[::1]:99/", "https://api.test/", "http://[::2]/")
    )


async def test_cancelled_start_leaves_a_mock_that_works() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get(URL_X)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.get(URL_X)
        await session.get(URL_X)


def test_another_event_loop_is_told(anyio_backend: Any) -> None:
    mock = MockConnector()
    mock.get(URL_X, times=None)

    async def get() -> None:
        with mock.everywhere():
            async with ClientSession() as session:
                await session.get(URL_X)

    name, options = anyio_backend
    anyio.run(get, backend=name, backend_options=options)
    with pytest.raises(RuntimeError, match="belongs to another event loop"):
        anyio.run(get, backend=name, backend_options=options)
