"""Middlewares and what is made for them, from end to end."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from yarl import URL

import httpclient
import httpcore_proto
from httpclient import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse
from httpcore_proto.aio import BytesPayload

from .answering import Asked, Site, at_rest, in_turn, moved
from .conftest import Peer, Serve, response

UNAVAILABLE = response(status=b"503 Later")


def noting(log: list[str], name: str) -> ClientMiddlewareType:
    """Return a middleware that notes when it comes and goes."""

    async def middleware(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        log.append(f"{name} {request.method} {request.url.path}")
        resp = await handler(request)
        log.append(f"{name} {resp.status}")
        return resp

    return middleware


class Once(BytesPayload):
    """A body that knows how often it was closed."""

    closed = 0

    async def close(self) -> None:
        self.closed += 1
        await super().close()


async def pieces() -> AsyncIterator[bytes]:
    yield b"one "
    yield b"two"


# The chain.


async def test_first_is_outermost_and_all_run_for_each_hop(serve: Serve) -> None:
    log: list[str] = []
    chain = [noting(log, "a"), noting(log, "b")]
    async with serve(Site({"/": moved("/there", 303)})) as origin:
        async with httpclient.ClientSession(middlewares=chain) as session:
            await session.post(origin.url, data=b"x")
    assert log == [
        *("a POST /", "b POST /", "b 303", "a 303"),
        *("a GET /there", "b GET /there", "b 200", "a 200"),
    ]


async def test_those_of_the_call_replace_those_of_the_session(serve: Serve) -> None:
    log: list[str] = []
    async with serve(Site()) as origin:
        async with httpclient.ClientSession(middlewares=[noting(log, "session")]) as session:
            await session.get(origin.url, middlewares=[noting(log, "call")])
            await session.get(origin.url, middlewares=())
            assert log == ["call GET /", "call 200"]
            await session.get(origin.url)
    assert log[2:] == ["session GET /", "session 200"]


async def test_retry_of_the_session_is_inside(serve: Serve) -> None:
    """A kept connection that was closed is no business of middlewares."""

    async def script(peer: Peer) -> None:
        await peer.answer()
        if not peer.number:
            await peer.head()
            await peer.close()

    log: list[str] = []
    async with serve(script) as origin:
        async with httpclient.ClientSession(middlewares=[noting(log, "a")]) as session:
            await session.get(origin.url)
            await session.get(origin.url)
    assert log == ["a GET /", "a 200"] * 2
    assert origin.accepted == 2


async def test_fields_may_be_changed(serve: Serve) -> None:
    async def change(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        assert request.headers["Host"] == f"127.0.0.1:{request.port}"
        request.headers["X-Own"] = "changed"
        request.headers["X-New"] = "new"
        del request.headers["X-Session"]
        return await handler(request)

    site = Site({"/": moved("/there", 307)})
    async with serve(site) as origin:
        session = httpclient.ClientSession(headers={"X-Session": "1"}, middlewares=[change])
        async with session:
            resp = await session.post(origin.url, headers={"X-Own": "2"}, data=b"body")
            assert resp.request_info.headers["X-New"] == "new"
    for asked in site.asked:
        assert asked.headers.getall("X-Own") == ["changed"]
        assert asked.headers["X-New"] == "new"
        assert "X-Session" not in asked.headers
        assert asked.body == b"body"


async def test_request_is_shown_as_it_will_be_sent(serve: Serve) -> None:
    seen: list[ClientRequest] = []

    async def look(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        seen.append(request)
        return await handler(request)

    async with serve(Site()) as origin:
        async with httpclient.ClientSession(cookies={"a": "1"}, middlewares=[look]) as session:
            url = f"{origin.url}path?q=1#part"
            await session.post(url, data=b"x", compress="gzip", skip_auto_headers=["Accept"])
            (request,) = seen
            assert request.session is session
    assert (request.method, str(request.original_url)) == ("POST", url)
    assert str(request.url) == url.removesuffix("#part")
    assert (request.compress, request.chunked) == ("gzip", True)
    assert request.headers["Cookie"] == "a=1"
    assert request.skip_auto_headers == {"Accept"}
    assert request.response_class is ClientResponse


async def test_error_behind_a_middleware_may_be_caught_or_not(serve: Serve) -> None:
    caught: list[Exception] = []

    async def catch(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        try:
            return await handler(request)
        except httpclient.ClientError as exc:
            caught.append(exc)
            raise LookupError from exc

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.close()

    async with serve(script) as origin:
        async with httpclient.ClientSession(middlewares=[catch]) as session:
            with pytest.raises(LookupError):
                await session.get(origin.url)
            assert at_rest(session)
    assert isinstance(caught[0], httpclient.ServerDisconnectedError)


async def test_response_may_come_from_elsewhere(serve: Serve) -> None:
    """The handler need not be called: from a cache, or made up."""
    cache: dict[URL, ClientResponse] = {}

    async def cached(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if request.url.path == "/made":
            head = httpcore_proto.Response(status=418, headers=[("X-A", "1")])
            return ClientResponse(request.session, request.compile(), head, None, None)  # type: ignore[arg-type]
        if request.url not in cache:
            cache[request.url] = await handler(request)
            await cache[request.url].read()
        return cache[request.url]

    site = Site()
    body = Once(b"body")
    async with serve(site) as origin:
        async with httpclient.ClientSession(middlewares=[cached]) as session:
            first = await session.get(origin.url)
            assert await session.get(origin.url) is first
            assert await first.text() == "ok"
            async with session.post(f"{origin.url}made", data=body) as resp:
                assert (resp.status, resp.headers["X-A"]) == (418, "1")
                assert await resp.read() == b""
            with pytest.raises(httpclient.ClientResponseError):
                await session.get(f"{origin.url}made", raise_for_status=True)
            assert at_rest(session)
    assert body.closed
    assert site.lines == ["GET /"]


async def test_requests_inside_of_a_middleware(serve: Serve) -> None:
    async def login(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        async with request.session.get(request.url.with_path("/token"), middlewares=()) as resp:
            request.headers["Authorization"] = await resp.text()
        return await handler(request)

    site = Site({"/token": response(b"secret")})
    async with serve(site) as origin:
        async with httpclient.ClientSession(middlewares=[login]) as session:
            await session.get(origin.url)
    assert site.lines == ["GET /token", "GET /"]
    assert site.asked[1].headers["Authorization"] == "secret"


async def test_handler_that_is_called_twice_leaves_nothing(serve: Serve) -> None:
    async def twice(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        first = await handler(request)
        del first
        return await handler(request)

    site = Site({"/": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"})
    async with serve(site) as origin:
        async with httpclient.ClientSession(middlewares=[twice]) as session:
            async with session.post(origin.url, data={"a": "b"}):
                pass
            assert at_rest(session)
    assert [asked.body for asked in site.asked] == [b"a=b"] * 2


# Bodies.


async def test_body_may_be_replaced(serve: Serve) -> None:
    """After a redirect the new body is sent on; it was sent with the type of the old one."""
    old = Once(b"old")

    async def replace(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if request.url.path == "/":
            await request.update_body({"a": "b"})
        return await handler(request)

    site = Site({"/": moved("/there", 307)})
    async with serve(site) as origin:
        async with httpclient.ClientSession(middlewares=[replace]) as session:
            await session.post(origin.url, json={"c": "d"})
            await session.post(origin.url, data=old)
    assert old.closed
    for asked in site.asked:
        assert asked.body == b"a=b"
        assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert asked.headers["Content-Length"] == "3"


@pytest.mark.parametrize("sends", ["never", "then fails", "well"])
async def test_body_that_replaces_is_closed(serve: Serve, sends: str) -> None:
    """It was not where the middleware did not go on after `update_body`."""
    old, new = Once(b"old"), Once(b"new")

    async def replace(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        await request.update_body(new)
        if sends == "never":
            raise LookupError
        resp = await handler(request)
        if sends == "then fails":
            raise LookupError
        return resp

    async with serve(Site()) as origin:
        async with httpclient.ClientSession(middlewares=[replace]) as session:
            if sends == "well":
                await session.post(origin.url, data=old)
            else:
                with pytest.raises(LookupError):
                    await session.post(origin.url, data=old)
            assert at_rest(session)
    assert old.closed
    assert new.closed


# Those that are ready-made.


async def test_retry_sends_again(serve: Serve) -> None:
    site = Site({"/": in_turn([UNAVAILABLE, UNAVAILABLE, response()])})
    async with serve(site) as origin:
        retry = httpclient.Retry(backoff=0)
        async with httpclient.ClientSession(middlewares=[retry]) as session:
            async with session.put(origin.url, data=b"body") as resp:
                assert resp.status == 200
            assert at_rest(session)
    assert [asked.body for asked in site.asked] == [b"body"] * 3
    assert origin.accepted == 1


async def test_retry_gives_up(serve: Serve) -> None:
    site = Site({"/": UNAVAILABLE})
    async with serve(site) as origin:
        retry = httpclient.Retry(2, backoff=0)
        async with httpclient.ClientSession(middlewares=[retry]) as session:
            async with session.get(origin.url) as resp:
                assert resp.status == 503
            async with session.post(origin.url, data=b"") as resp:
                assert resp.status == 503
            async with session.put(origin.url, data=pieces()) as resp:
                assert resp.status == 503
            assert at_rest(session)
    assert [asked.method for asked in site.asked] == ["GET", "GET", "POST", "PUT"]


async def test_retry_of_broken_connections(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        if peer.number < 2:
            await peer.request()
            await peer.close()
        else:
            await peer.answer()

    async with serve(script) as origin:
        retry = httpclient.Retry(backoff=0)
        async with httpclient.ClientSession(middlewares=[retry]) as session:
            async with session.put(origin.url, data=b"body") as resp:
                assert resp.status == 200
            assert at_rest(session)
    assert origin.accepted == 3


async def test_retry_does_not_wait_beyond_total(serve: Serve) -> None:
    site = Site({"/": response(b"", b"Retry-After: 30\r\n", b"503 Later")})
    async with serve(site) as origin:
        async with httpclient.ClientSession(middlewares=[httpclient.Retry()]) as session:
            async with session.get(origin.url, timeout=20) as resp:
                assert resp.status == 503
    assert len(site.asked) == 1


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def guarded(asked: Asked) -> bytes:
    """Answer a request if it has the right digest (RFC 7616 section 3.4.1)."""
    nonce, realm = "n0nce", "here"
    fields = dict(re.findall(r'(\w+)="?([^",]+)', asked.headers.get("Authorization", "")))
    if fields.get("nonce") == nonce:
        secret = digest(f"user:{realm}:pass")
        what = digest(f"{asked.method}:{asked.target}")
        parts = (secret, nonce, fields["nc"], fields["cnonce"], "auth", what)
        if fields["response"] == digest(":".join(parts)):
            return response(asked.body or b"in")
    challenge = f'Digest realm="{realm}", nonce="{nonce}", qop="auth", algorithm=SHA-256'
    return response(b"out", f"WWW-Authenticate: {challenge}\r\n".encode(), b"401 No")


async def test_digest_is_answered(serve: Serve) -> None:
    site = Site(dict.fromkeys(("/a?b=c", "/d", "/e"), guarded))
    async with serve(site) as origin, serve(Site()) as other:
        site.answers["/away"] = moved(other.url)
        digest_auth = httpclient.DigestAuthMiddleware("user", "pass")
        async with httpclient.ClientSession(middlewares=[digest_auth]) as session:
            async with session.post(f"{origin.url}a?b=c", data=b"body") as resp:
                assert (resp.status, await resp.text()) == (200, "body")
            async with session.get(f"{origin.url}d") as resp:
                assert (resp.status, await resp.text()) == (200, "in")
            await session.get(f"{origin.url}away")
            assert at_rest(session)
        wrong = httpclient.DigestAuthMiddleware("user", "wrong")
        async with httpclient.ClientSession(middlewares=[wrong]) as session:
            async with session.get(f"{origin.url}e") as resp:
                assert resp.status == 401
    assert site.lines == ["POST /a?b=c"] * 2 + ["GET /d", "GET /away"] + ["GET /e"] * 2
    assert "Authorization: Digest" not in other.heads[0]


# Time, and classes of ones own.


@pytest.mark.parametrize("after", [False, True])
async def test_total_bounds_middlewares(serve: Serve, after: bool) -> None:
    async def dawdle(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        resp = await handler(request) if after else None
        await anyio.sleep_forever()
        assert resp
        return resp

    site = Site({"/": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"})
    async with serve(site) as origin:
        async with httpclient.ClientSession(middlewares=[dawdle]) as session:
            with pytest.raises(TimeoutError, match=r"total timeout of 0\.05 s"):
                await session.get(origin.url, timeout=0.05)
            assert at_rest(session)


async def test_total_bounds_the_check_of_the_status(serve: Serve) -> None:
    """It did only where there were traces or middlewares as well."""

    async def check(resp: ClientResponse) -> None:
        await anyio.sleep_forever()

    async with serve(Site()) as origin, httpclient.ClientSession() as session:
        with pytest.raises(TimeoutError, match=r"total timeout of 0\.05 s"):
            await session.get(origin.url, timeout=0.05, raise_for_status=check)
        assert at_rest(session)


async def test_classes_may_be_others(serve: Serve) -> None:
    class OwnRequest(ClientRequest):
        def compile(self) -> Any:
            self.headers["X-Own"] = "1"
            return super().compile()

    class OwnResponse(ClientResponse):
        pass

    site = Site({"/": moved("/there")})
    async with serve(site) as origin:
        async with httpclient.ClientSession(
            request_class=OwnRequest, response_class=OwnResponse
        ) as session:
            async with session.get(origin.url) as resp:
                assert type(resp) is type(resp.history[0]) is OwnResponse
    assert [asked.headers["X-Own"] for asked in site.asked] == ["1", "1"]
