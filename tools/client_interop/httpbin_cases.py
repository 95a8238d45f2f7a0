"""Cases with httpbin in gunicorn as the server."""

import base64
import gzip
import json
import time
from collections.abc import AsyncIterator
from typing import Final

import anyio
import pytest

import httpclient
from httpclient import ClientSession, ClientTimeout
from httpcore_proto.aio import FormData

from .servers import Servers


async def methods(servers: Servers, session: ClientSession) -> None:
    """httpbin: methods, query, fields"""
    url = f"{servers.httpbin}/anything/a%2Fb?x=1"
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        async with session.request(
            method, url, params={"ä": "b c", "d": "&="}, headers={"X-Own": "own"}
        ) as response:
            seen = await response.json()
        assert seen["method"] == method
        assert seen["args"] == {"x": "1", "ä": "b c", "d": "&="}, seen
        assert seen["headers"]["X-Own"] == "own"
        assert "httpcore-proto" in seen["headers"]["User-Agent"]
    async with session.head(f"{servers.httpbin}/get") as response:
        assert int(response.headers["Content-Length"]) > 0
        assert await response.read() == b""
    async with session.options(f"{servers.httpbin}/get") as response:
        assert "GET" in response.headers["Allow"]


async def bodies(servers: Servers, session: ClientSession) -> None:
    """httpbin: JSON, text, forms, files, chunks, gzip"""
    url = f"{servers.httpbin}/post"

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d," % number

    async with session.post(url, json={"ä": [1, None, 2.5]}) as response:
        assert (await response.json())["json"] == {"ä": [1, None, 2.5]}
    async with session.post(url, data="gräßlich") as response:
        assert (await response.json())["data"] == "gräßlich"
    async with session.post(url, data={"a": "1 2", "ä": "ö&"}) as response:
        assert (await response.json())["form"] == {"a": "1 2", "ä": "ö&"}
    form = _form()
    async with session.post(url, data=form) as response:
        seen = await response.json()
        assert seen["form"] == {"name": "ä"}
        assert seen["files"] == {"file": "hello" * 1000}
    async with session.post(url, data=pieces()) as response:
        seen = await response.json()
        assert seen["data"].endswith(",99,"), seen
        assert seen["headers"]["Transfer-Encoding"] == "chunked"
    async with session.post(url, data=b"abc" * 1000, compress="gzip") as response:
        seen = await response.json()
        assert seen["headers"]["Content-Encoding"] == "gzip"
        packed = base64.b64decode(seen["data"].partition("base64,")[2])
        assert gzip.decompress(packed) == b"abc" * 1000


def _form() -> FormData:
    """Return a form with a file in it."""
    form = FormData()
    form.add_field("name", "ä")
    form.add_field("file", b"hello" * 1000, filename="a.txt", content_type="text/plain")
    return form


async def redirects(servers: Servers, session: ClientSession) -> None:
    """httpbin: redirects of all kinds, too many of them, and none"""
    for kind in ("redirect", "relative-redirect", "absolute-redirect"):
        async with session.get(f"{servers.httpbin}/{kind}/5") as response:
            assert response.url.path == "/get"
            assert len(response.history) == 5
    async with session.get(f"{servers.httpbin}/redirect/10") as response:
        assert len(response.history) == 10
    with pytest.raises(httpclient.TooManyRedirects) as caught:
        await session.get(f"{servers.httpbin}/redirect/11")
    assert len(caught.value.history) == 11
    async with session.get(f"{servers.httpbin}/redirect/2", allow_redirects=False) as response:
        assert response.status == 302
    for status, method in ((301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")):
        params = {"url": "/anything", "status_code": str(status)}
        async with session.post(
            f"{servers.httpbin}/redirect-to", params=params, data=b"the body"
        ) as response:
            seen = await response.json()
        assert seen["method"] == method
        assert seen["data"] == ("the body" if method == "POST" else "")


async def cookies(servers: Servers, session: ClientSession) -> None:
    """httpbin: cookies set, sent, deleted, and added by hand; none of an address"""
    url = servers.httpbin.replace("127.0.0.1", "localhost")
    async with session.get(f"{servers.httpbin}/cookies/set?a=0") as response:
        assert (await response.json())["cookies"] == {}
    async with session.get(f"{url}/cookies/set?a=1&b=2") as response:
        assert (await response.json())["cookies"] == {"a": "1", "b": "2"}
    async with session.get(f"{url}/cookies", cookies={"c": "3"}) as response:
        assert (await response.json())["cookies"] == {"a": "1", "b": "2", "c": "3"}
    async with session.get(f"{url}/cookies/delete?a") as response:
        assert (await response.json())["cookies"] == {"b": "2"}
    assert {cookie.key: cookie.value for cookie in session.cookie_jar} == {"b": "2"}


async def basic(servers: Servers, session: ClientSession) -> None:
    """httpbin: Basic and Bearer"""
    right = {"Authorization": httpclient.encode_basic_auth("anna", "secret")}
    wrong = {"Authorization": httpclient.encode_basic_auth("anna", "wrong")}
    for headers, status in ((right, 200), (wrong, 401), ({}, 401)):
        async with session.get(
            f"{servers.httpbin}/basic-auth/anna/secret", headers=headers
        ) as response:
            assert response.status == status
    async with session.get(
        f"{servers.httpbin}/bearer", headers={"Authorization": "Bearer t"}
    ) as response:
        assert (await response.json())["token"] == "t"


async def digest(servers: Servers, session: ClientSession) -> None:
    """httpbin: Digest with MD5, SHA-256 and SHA-512, auth and auth-int"""
    for algorithm in ("MD5", "SHA-256", "SHA-512"):
        for qop in ("auth", "auth-int"):
            url = f"{servers.httpbin}/digest-auth/{qop}/anna/secret/{algorithm}"
            for password, status in (("secret", 200), ("wrong", 401)):
                login = httpclient.DigestAuthMiddleware("anna", password)
                async with ClientSession(middlewares=[login]) as own:
                    for _ in range(3):
                        async with own.get(url) as response:
                            assert response.status == status, (algorithm, qop, password)


async def codings(servers: Servers, session: ClientSession) -> None:
    """httpbin: gzip, deflate, brotli"""
    for name, key in (("gzip", "gzipped"), ("deflate", "deflated"), ("brotli", "brotli")):
        async with session.get(f"{servers.httpbin}/{name}") as response:
            assert response.headers["Content-Encoding"] in ("gzip", "deflate", "br")
            assert (await response.json())[key] is True


async def streaming(servers: Servers, session: ClientSession) -> None:
    """httpbin: lines and bytes as they come, ranges"""
    async with session.get(f"{servers.httpbin}/stream/30") as response:
        numbers = [json.loads(line)["id"] async for line in response.iter_lines()]
    assert numbers == list(range(30))
    async with session.get(f"{servers.httpbin}/drip?numbytes=5&duration=1&delay=0") as response:
        assert [piece async for piece in response.content.iter_any()] == [b"*"] * 5
    async with session.get(f"{servers.httpbin}/stream-bytes/100000?seed=1") as response:
        assert len(await response.read()) == 100_000
    async with session.get(
        f"{servers.httpbin}/range/26", headers={"Range": "bytes=3-5"}
    ) as response:
        assert (response.status, await response.read()) == (206, b"def")


async def timeouts(servers: Servers, session: ClientSession) -> None:
    """httpbin: time-outs before, and while, an answer comes"""
    late = f"{servers.httpbin}/delay/2"
    slow = f"{servers.httpbin}/drip?numbytes=2&duration=4&delay=0"

    async def read(url: str, timeout: ClientTimeout) -> None:
        async with session.get(url, timeout=timeout) as response:
            await response.read()

    for url in (late, slow):
        for timeout, expected in (
            (ClientTimeout(total=0.3), TimeoutError),
            (ClientTimeout(sock_read=0.3), httpclient.SocketTimeoutError),
        ):
            began = time.monotonic()
            with pytest.raises(expected) as caught:
                await read(url, timeout)
            assert type(caught.value) is expected
            assert time.monotonic() - began < 1.5
    async with session.get(late) as response:
        assert response.status == 200


async def delays(servers: Servers, session: ClientSession) -> None:
    """httpbin: 20 slow answers at once, half of them given up"""
    statuses = []

    async def ask(patience: float) -> None:
        with anyio.move_on_after(patience):
            async with session.get(f"{servers.httpbin}/delay/1") as response:
                await response.read()
                statuses.append(response.status)

    began = time.monotonic()
    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(ask, 10 if number % 2 else 0.2)
    assert statuses == [200] * 10
    assert time.monotonic() - began < 5


async def handing_on(servers: Servers, session: ClientSession) -> None:
    """httpbin: tasks wait for the one connection until the body before theirs ends"""
    url = f"{servers.httpbin}/drip?numbytes=3&duration=0.3&delay=0"

    async def ask(session: ClientSession) -> None:
        async with session.get(url) as response:
            assert await response.read() == b"***"

    connector = httpclient.TCPConnector(limit=1)
    async with ClientSession(connector=connector) as own, anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(ask, own)
    assert [stats.opened for stats in connector.pool.stats().origins] == [1]


async def statuses(servers: Servers, session: ClientSession) -> None:
    """httpbin: statuses, and `Retry` of one"""
    for status in (200, 202, 204, 304, 400, 404, 418, 500, 503):
        async with session.get(f"{servers.httpbin}/status/{status}") as response:
            assert response.status == status
    attempts = []

    async def count(request: object, handler: httpclient.ClientHandlerType) -> object:
        attempts.append(1)
        return await handler(request)

    retry = httpclient.Retry(attempts=3, backoff=0.01)
    async with (
        ClientSession(middlewares=[retry, count]) as own,
        own.get(f"{servers.httpbin}/status/503") as response,
    ):
        assert response.status == 503
    assert len(attempts) == 3


async def answers(servers: Servers, session: ClientSession) -> None:
    """httpbin: conditions, repeated fields, charsets, a picture, the wrong type"""
    async with session.get(
        f"{servers.httpbin}/etag/abc", headers={"If-None-Match": '"abc"'}
    ) as response:
        assert response.status == 304
    async with session.get(f"{servers.httpbin}/response-headers?A=1&A=2") as response:
        assert response.headers.getall("A") == ["1", "2"]
    async with session.get(f"{servers.httpbin}/encoding/utf8") as response:
        assert "∮ E⋅da = Q" in await response.text()
    async with session.get(f"{servers.httpbin}/image/png") as response:
        assert (await response.read()).startswith(b"\x89PNG")
        with pytest.raises(httpclient.ContentTypeError):
            await response.json()


CASES: Final = (
    methods,
    bodies,
    redirects,
    cookies,
    basic,
    digest,
    codings,
    streaming,
    timeouts,
    delays,
    handing_on,
    statuses,
    answers,
)
