"""Cases with squid and microsocks between the client and nginx or httpbin."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final
from urllib.parse import quote

import pytest

import httpclient
from httpclient import ClientSession

from .servers import BIG, LOGIN, PASSWORD, TEXT, Servers


def _with_login(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{LOGIN}:{quote(PASSWORD, safe='')}@{rest}"


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 65536):
        yield data[start : start + 65536]


async def _exchange(servers: Servers, session: ClientSession, **options: Any) -> None:
    """Do by a proxy what must work by every one, to both servers, by http and https."""
    for nginx in (servers.nginx, servers.nginx_tls):
        for _ in range(5):
            async with session.get(f"{nginx}/text.txt", **options) as response:
                assert (response.status, await response.read()) == (200, TEXT)
        async with session.get(f"{nginx}/big.bin", **options) as response:
            assert await response.read() == BIG
        async with session.head(f"{nginx}/big.bin", **options) as response:
            assert response.content_length == len(BIG)
        async with session.get(f"{nginx}/chunked/stream/20", **options) as response:
            assert len((await response.read()).splitlines()) == 20
        body = b"0123456789" * 100_000
        for data in (b"", b"a", body, _pieces(body)):
            url = f"{nginx}/chunked/post"
            async with session.post(url, data=data, **options) as response:
                got = (await response.json())["data"]
                assert got == (data.decode() if isinstance(data, bytes) else body.decode())


def _stats(session: ClientSession) -> tuple[Any, ...]:
    assert session.connector is not None
    return session.connector.pool.stats().origins


async def squid(servers: Servers, session: ClientSession) -> None:
    """squid: http passed on, https in a tunnel"""
    await _exchange(servers, session, proxy=servers.squid, ssl=servers.context())


async def squid_keep_alive(servers: Servers, session: ClientSession) -> None:
    """squid: its connections and tunnels are used again"""
    context = servers.context()
    for nginx in (servers.nginx, servers.nginx_tls):
        for _ in range(50):
            url = f"{nginx}/text.txt"
            async with session.get(url, proxy=servers.squid, ssl=context) as response:
                assert await response.read() == TEXT
    stats = _stats(session)
    assert [(origin.opened, origin.reused) for origin in stats] == [(1, 49), (1, 49)], stats


async def squid_tls(servers: Servers, session: ClientSession) -> None:
    """squid by TLS: http, and TLS within TLS"""
    await _exchange(servers, session, proxy=servers.squid_tls, ssl=servers.context())


async def squid_login(servers: Servers, session: ClientSession) -> None:
    """squid with a login: in the URL and in `proxy_headers`"""
    context = servers.context()
    await _exchange(servers, session, proxy=_with_login(servers.squid_login), ssl=context)
    headers = {"Proxy-Authorization": httpclient.encode_basic_auth(LOGIN, PASSWORD)}
    for nginx in (servers.nginx, servers.nginx_tls):
        async with session.get(
            f"{nginx}/text.txt", proxy=servers.squid_login, proxy_headers=headers, ssl=context
        ) as response:
            assert response.status == 200


async def squid_refuses(servers: Servers, session: ClientSession) -> None:
    """squid: 407 without a login, as a response and as an error"""
    options: dict[str, Any] = {"proxy": servers.squid_login, "ssl": servers.context()}
    async with session.get(f"{servers.nginx}/text.txt", **options) as response:
        assert response.status == 407
        assert "Proxy-Authenticate" in response.headers
    with pytest.raises(httpclient.ClientHttpProxyError, match="407"):
        await session.get(f"{servers.nginx_tls}/text.txt", **options)


async def squid_in_vain(servers: Servers, session: ClientSession) -> None:
    """squid: an origin that is not there; a proxy that is not there"""
    async with session.get(servers.closed, proxy=servers.squid) as response:
        assert response.status == 503
    with pytest.raises(httpclient.ClientHttpProxyError, match="503"):
        await session.get(servers.closed.replace("http", "https"), proxy=servers.squid)
    for url in (servers.nginx, servers.nginx_tls):
        with pytest.raises(httpclient.ClientProxyConnectionError) as caught:
            await session.get(url, proxy=servers.closed)
        assert servers.closed.endswith(f":{caught.value.port}")


async def squid_private(servers: Servers, session: ClientSession) -> None:
    """squid: the origin sees nothing of the proxy's login, nor the proxy of the origin's"""
    async with session.get(
        f"{servers.httpbin}/headers",
        proxy=_with_login(servers.squid_login),
        headers={"Authorization": "Bearer own"},
    ) as response:
        seen = (await response.json())["headers"]
    assert seen["Authorization"] == "Bearer own"
    assert "Proxy-Authorization" not in seen


async def squid_redirects(servers: Servers, session: ClientSession) -> None:
    """squid: redirects, cookies and Digest"""
    login = httpclient.DigestAuthMiddleware("anna", "secret")
    async with ClientSession(proxy=servers.squid, middlewares=[login]) as own:
        async with own.get(f"{servers.httpbin}/absolute-redirect/3") as response:
            assert len(response.history) == 3
        url = servers.httpbin.replace("127.0.0.1", "localhost")
        async with own.get(f"{url}/cookies/set?a=1") as response:
            assert (await response.json())["cookies"] == {"a": "1"}
        async with own.get(f"{servers.httpbin}/digest-auth/auth/anna/secret/MD5") as response:
            assert response.status == 200


async def squid_uploads(servers: Servers, session: ClientSession) -> None:
    """squid: large uploads, 100 Continue, 413 while it is being sent"""
    for number, (body, expect) in enumerate(
        ((BIG, False), (BIG, True), (_pieces(BIG), False), (_pieces(BIG), True))
    ):
        name = f"upload/by-squid-{number}"
        async with session.put(
            f"{servers.nginx}/{name}", data=body, expect100=expect, proxy=servers.squid
        ) as response:
            assert response.status in (201, 204)
        assert (servers.files / name).read_bytes() == BIG
    for body in (BIG * 4, _pieces(BIG * 4)):
        url = f"{servers.nginx}/small/a"
        async with session.put(url, data=body, proxy=servers.squid) as response:
            assert response.status == 413


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.pop(name, None) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


async def environment(servers: Servers, session: ClientSession) -> None:
    """squid of the environment: http_proxy, https_proxy, no_proxy with a network"""
    context = servers.context()
    variables = {"http_proxy": servers.squid, "https_proxy": servers.squid, "no_proxy": ""}
    with _environment(**variables):
        async with ClientSession(trust_env=True) as own:
            async with own.get(f"{servers.nginx}/text.txt") as response:
                assert "squid" in response.headers["Via"]
            async with own.get(f"{servers.nginx_tls}/text.txt", ssl=context) as response:
                assert response.status == 200
            stats = _stats(own)
            assert [stat.origin.proxy for stat in stats] == [servers.squid] * 2, stats
        os.environ["no_proxy"] = "10.0.0.0/8, 127.0.0.0/8"
        async with (
            ClientSession(trust_env=True) as own,
            own.get(f"{servers.nginx}/text.txt") as response,
        ):
            assert "Via" not in response.headers


async def socks(servers: Servers, session: ClientSession) -> None:
    """microsocks: http and https; names looked up here and there"""
    context = servers.context()
    for scheme in ("socks5", "socks5h"):
        await _exchange(servers, session, proxy=f"{scheme}://{servers.socks}", ssl=context)
    url = servers.nginx.replace("127.0.0.1", "localhost")
    async with session.get(f"{url}/text.txt", proxy=f"socks5h://{servers.socks}") as response:
        assert await response.read() == TEXT


async def socks_login(servers: Servers, session: ClientSession) -> None:
    """microsocks with a login: right, wrong, none; an origin that is not there"""
    url, proxy = f"{servers.nginx}/text.txt", f"socks5://{servers.socks_login}"
    async with session.get(url, proxy=_with_login(proxy)) as response:
        assert await response.read() == TEXT
    for wrong, target in (
        (proxy, url),
        (proxy.replace("//", "//anna:wrong@"), url),
        (_with_login(proxy), servers.closed),
    ):
        with pytest.raises(httpclient.ClientProxyConnectionError) as caught:
            await session.get(target, proxy=wrong)
        assert "wrong" not in str(caught.value)


CASES: Final = (
    squid,
    squid_keep_alive,
    squid_tls,
    squid_login,
    squid_refuses,
    squid_in_vain,
    squid_private,
    squid_redirects,
    squid_uploads,
    environment,
    socks,
    socks_login,
)
