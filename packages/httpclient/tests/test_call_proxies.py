"""Requests through proxies, and logins of the environment, from end to end."""

from __future__ import annotations

import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from yarl import URL

import httpclient
from httpclient import _netrc
from httpcore_proto import encode_basic_auth

from .answering import Asked, Site, at_rest, in_turn, moved, receive
from .conftest import Peer, Serve, response
from .proxies import splice

LOGIN = encode_basic_auth("user", "p@ss")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Return what sets variables in an environment without proxies and logins."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("REQUEST_METHOD", "NETRC"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr(_netrc, "_cache", {})
    return monkeypatch


def with_login(url: str) -> URL:
    """Return the URL of a proxy with user and password."""
    return URL(url).with_user("user").with_password("p@ss")


def tunnel(port: int, asked: list[Asked]) -> Callable[[Peer], Awaitable[None]]:
    """Return a proxy that connects to a port of the loopback, whatever it is asked for."""

    async def script(peer: Peer) -> None:
        asked.append(await receive(peer))
        await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await splice(peer, port)

    return script


# Plain http.


async def test_plain_request_goes_in_absolute_form(serve: Serve) -> None:
    """Q14: `proxy_headers` too; Q15: what is for the origin is not said to the proxy."""
    site = Site()
    async with serve(site) as proxy:
        headers = {"Authorization": "Basic origin", "X-Session": "1"}
        async with httpclient.ClientSession(headers=headers) as session:
            for _ in range(2):
                async with session.get(
                    "http://origin.test/a?b=c#d",
                    params={"e": "f"},
                    proxy=with_login(proxy.url),
                    proxy_headers={"X-Proxy": "2"},
                ) as resp:
                    assert str(resp.real_url) == "http://origin.test/a?b=c&e=f#d"
                    assert resp.status == 200
            async with session.post("http://origin.test:81/", proxy=proxy.url, data=b"x"):
                pass
            assert at_rest(session)
    first, _, third = site.asked
    assert (first.method, first.target) == ("GET", "http://origin.test/a?b=c&e=f")
    assert first.headers["Host"] == "origin.test"
    assert first.headers.getall("Proxy-Authorization") == [LOGIN]
    assert first.headers.getall("Authorization") == ["Basic origin"]
    assert (first.headers["X-Proxy"], first.headers["X-Session"]) == ("2", "1")
    assert (third.target, third.headers["Host"]) == ("http://origin.test:81/", "origin.test:81")
    assert third.body == b"x"
    assert "Proxy-Authorization" not in third.headers
    # The two that were alike shared a connection.
    assert [asked.peer for asked in site.asked] == [0, 0, 1]


async def test_proxy_of_the_call_counts_more_than_that_of_the_session(serve: Serve) -> None:
    one, two = Site(), Site()
    async with serve(one) as first, serve(two) as second:
        async with httpclient.ClientSession(proxy=first.url) as session:
            await session.get("http://origin.test/1")
            await session.get("http://origin.test/2", proxy=second.url)
            await session.get("http://origin.test/3")
    assert one.lines == ["GET http://origin.test/1", "GET http://origin.test/3"]
    assert two.lines == ["GET http://origin.test/2"]


async def test_redirects_go_through_the_proxy(serve: Serve) -> None:
    """RD-01: what was for the first origin is dropped, what is for the proxy is not."""
    site = Site({"http://one.test/": moved("http://two.test/there")})
    async with serve(site) as proxy, httpclient.ClientSession() as session:
        async with session.get(
            "http://one.test/",
            headers={"Authorization": "Basic one"},
            proxy=with_login(proxy.url),
        ) as resp:
            assert str(resp.url) == "http://two.test/there"
    assert site.lines == ["GET http://one.test/", "GET http://two.test/there"]
    assert [asked.headers.get("Authorization") for asked in site.asked] == ["Basic one", None]
    assert [asked.headers["Proxy-Authorization"] for asked in site.asked] == [LOGIN] * 2


async def test_connection_that_the_proxy_closed_is_replaced(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer()
        if not peer.number:
            await peer.head()
            await peer.close()

    async with serve(script) as proxy, httpclient.ClientSession(proxy=proxy.url) as session:
        for _ in range(2):
            async with session.get("http://origin.test/") as resp:
                assert resp.status == 200
        assert at_rest(session)
    assert proxy.accepted == 2


# Tunnels.


async def test_https_goes_through_a_tunnel(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """PX-01, Q15: proxy and origin hear only what is for them."""
    site, connects = Site({"/": moved("/there")}), list[Asked]()
    headers = {"Authorization": "Basic origin", "Cookie": "a=b"}
    connector = httpclient.TCPConnector(ssl=client_tls)
    async with serve(site, tls=server_tls) as origin:
        async with serve(tunnel(origin.port, connects)) as proxy:
            async with httpclient.ClientSession(headers=headers, connector=connector) as session:
                for _ in range(2):
                    async with session.get(
                        "https://name.test/",
                        proxy=with_login(proxy.url),
                        proxy_headers={"X-Proxy": "2"},
                        headers={"Proxy-Authorization": "Basic stray"},
                    ) as resp:
                        assert (resp.status, await resp.text()) == (200, "ok")
                assert at_rest(session)
    (connect,) = connects
    assert (connect.method, connect.target) == ("CONNECT", "name.test:443")
    assert dict(connect.headers) == {
        "Host": "name.test:443",
        "X-Proxy": "2",
        "Proxy-Authorization": LOGIN,
    }
    assert site.lines == ["GET /", "GET /there"] * 2
    for asked in site.asked:
        assert asked.headers["Authorization"] == "Basic origin"
        assert "X-Proxy" not in asked.headers
        assert "Proxy-Authorization" not in asked.headers


async def test_redirect_into_a_tunnel(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    site, heads = Site(), list[bytes]()
    async with serve(site, tls=server_tls) as origin:

        async def script(peer: Peer) -> None:
            heads.append(await peer.head())
            if heads[-1].startswith(b"GET"):
                await peer.send(moved("https://name.test/in"))
            else:
                await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
                await splice(peer, origin.port)

        connector = httpclient.TCPConnector(ssl=client_tls)
        async with serve(script) as proxy:
            async with httpclient.ClientSession(connector=connector, proxy=proxy.url) as session:
                async with session.get("http://name.test/") as resp:
                    assert (resp.status, resp.url.scheme) == (200, "https")
    assert [head.split(b" ")[0] for head in heads] == [b"GET", b"CONNECT"]
    assert site.lines == ["GET /in"]


@pytest.mark.parametrize("url", ["https://[::1]:8443/", "https://[::1]/"])
async def test_ipv6_address_has_brackets(serve: Serve, url: str) -> None:
    site = Site()
    authority = url.split("/")[2] if "8443" in url else "[::1]:443"
    site.answers[authority] = response(status=b"403 No")
    async with serve(site) as proxy, httpclient.ClientSession(proxy=proxy.url) as session:
        with pytest.raises(httpclient.ClientHttpProxyError):
            await session.get(url)
    assert site.asked[0].target == site.asked[0].headers["Host"] == authority


async def test_refusal_is_an_error_with_what_the_proxy_said(serve: Serve) -> None:
    refusal = response(b"no", b"Proxy-Authenticate: Basic\r\n", b"407 Login")
    site = Site({"name.test:443": refusal})
    async with serve(site) as proxy, httpclient.ClientSession(proxy=proxy.url) as session:
        with pytest.raises(httpclient.ClientHttpProxyError) as info:
            await session.post("https://name.test/", data=b"secret")
        assert (info.value.status, info.value.message) == (407, "Login")
        assert info.value.headers is not None
        assert info.value.headers["Proxy-Authenticate"] == "Basic"
        assert at_rest(session)
    assert site.lines == ["CONNECT name.test:443"]
    await site.deserted()


@pytest.mark.parametrize("url", ["http://name.test/", "https://name.test/"])
async def test_proxy_that_is_not_there(serve: Serve, url: str) -> None:
    async with serve(Peer.closed) as proxy:
        pass
    async with httpclient.ClientSession(proxy=proxy.url) as session:
        with pytest.raises(httpclient.ClientProxyConnectionError) as info:
            await session.get(url)
        assert (info.value.host, info.value.port) == ("127.0.0.1", proxy.port)
        assert at_rest(session)


async def test_bad_proxy_is_refused() -> None:
    with pytest.raises(httpclient.InvalidURL):
        httpclient.ClientSession(proxy="ftp://u:secret@p/")
    async with httpclient.ClientSession() as session:
        with pytest.raises(httpclient.InvalidURL) as info:
            await session.get("http://h/", proxy="ftp://u:secret@p/")
        assert "secret" not in str(info.value)
        with pytest.raises(ValueError, match="proxy_headers cannot have host"):
            await session.get("http://h/", proxy="http://p/", proxy_headers={"Host": "h"})


# The environment.


async def test_environment_counts_if_it_is_trusted(
    serve: Serve, environment: pytest.MonkeyPatch
) -> None:
    site, direct, own = Site(), Site(), Site()
    async with serve(site) as proxy, serve(direct) as origin, serve(own) as other:
        environment.setenv("http_proxy", str(with_login(proxy.url)))
        environment.setenv("no_proxy", "127.0.0.0/8")
        async with httpclient.ClientSession(trust_env=True) as session:
            assert session.trust_env
            await session.get("http://name.test/")
            await session.get(origin.url)
            await session.get("http://name.test/", proxy=other.url)
        async with httpclient.ClientSession() as session:
            environment.delenv("no_proxy")
            await session.get(origin.url)
    assert site.lines == ["GET http://name.test/"]
    assert site.asked[0].headers["Proxy-Authorization"] == LOGIN
    assert direct.lines == ["GET /", "GET /"]
    assert "Proxy-Authorization" not in own.asked[0].headers


def netrc(environment: pytest.MonkeyPatch, folder: Path) -> None:
    """Write a file of logins."""
    text = "machine {0} login {0} password p\n"
    names = ("127.0.0.1", "one.test", "two.test")
    (folder / "logins").write_text("".join(text.format(name) for name in names))
    environment.setenv("NETRC", str(folder / "logins"))


async def test_netrc_has_logins_for_origins(
    serve: Serve, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc(environment, tmp_path)
    resolver = httpclient.HostsResolver({"one.test": "127.0.0.1", "three.test": "127.0.0.1"})
    site = Site()
    async with serve(site) as origin:
        url = f"http://one.test:{origin.port}/"
        for trust_env in (True, False):
            connector = httpclient.TCPConnector(resolver=resolver)
            async with httpclient.ClientSession(
                trust_env=trust_env, connector=connector
            ) as session:
                await session.get(url)
                await session.get(url, headers={"authorization": "Basic own"})
                await session.get(url.replace("one", "three"))
        async with httpclient.ClientSession(
            trust_env=True,
            headers={"Authorization": "Basic session"},
        ) as session:
            await session.get(origin.url)
    assert [asked.headers.get("Authorization") for asked in site.asked] == [
        *(encode_basic_auth("one.test", "p"), "Basic own", None),
        *(None, "Basic own", None),
        "Basic session",
    ]


async def test_netrc_is_asked_for_each_origin_of_a_chain(
    serve: Serve, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc(environment, tmp_path)
    site = Site(
        {
            "http://one.test/": moved("http://two.test/"),
            "http://two.test/": moved("http://three.test/"),
        }
    )
    async with serve(site) as proxy:
        async with httpclient.ClientSession(trust_env=True, proxy=proxy.url) as session:
            await session.get("http://one.test/")
    assert [asked.headers.get("Authorization") for asked in site.asked] == [
        encode_basic_auth("one.test", "p"),
        encode_basic_auth("two.test", "p"),
        None,
    ]


async def test_login_of_the_first_origin_is_not_taken_from_netrc_after_a_redirect(
    serve: Serve, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An Authorization of the call's own is dropped, and that of the new origin is its own."""
    netrc(environment, tmp_path)
    site = Site({"http://three.test/": moved("http://two.test/")})
    async with serve(site) as proxy:
        async with httpclient.ClientSession(trust_env=True, proxy=proxy.url) as session:
            await session.get("http://three.test/", headers={"Authorization": "Basic own"})
    assert [asked.headers.get("Authorization") for asked in site.asked] == [
        "Basic own",
        encode_basic_auth("two.test", "p"),
    ]


async def test_netrc_has_the_login_for_a_proxy(
    serve: Serve, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc(environment, tmp_path)
    site = Site()
    async with serve(site) as proxy:
        environment.setenv("http_proxy", proxy.url)
        async with httpclient.ClientSession(trust_env=True) as session:
            await session.get("http://three.test/")
    assert site.asked[0].headers["Proxy-Authorization"] == encode_basic_auth("127.0.0.1", "p")
    assert "Authorization" not in site.asked[0].headers


# Together with others.


async def test_middlewares_see_the_proxy(serve: Serve) -> None:
    seen: list[tuple[URL | None, str | None]] = []

    async def look(
        request: httpclient.ClientRequest, handler: httpclient.ClientHandlerType
    ) -> httpclient.ClientResponse:
        headers = request.proxy_headers
        seen.append((request.proxy, headers.get("X-Proxy") if headers is not None else None))
        request.headers["X-Changed"] = "1"
        return await handler(request)

    site = Site({"http://name.test/": in_turn([moved("/there"), response()])})
    async with serve(site) as proxy:
        async with httpclient.ClientSession(middlewares=[look], proxy=proxy.url) as session:
            await session.get("http://name.test/", proxy_headers={"X-Proxy": "1"})
    assert seen == [(URL(proxy.url).origin(), "1")] * 2
    assert site.lines == ["GET http://name.test/", "GET http://name.test/there"]
    assert [asked.headers["X-Changed"] for asked in site.asked] == ["1", "1"]


async def test_retries_and_digests_go_through_the_proxy(serve: Serve) -> None:
    """The digest was about the absolute form, which is not what the origin gets."""
    challenge = b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n'
    answers = [response(status=b"503 Later"), response(b"", challenge, b"401 No"), response()]
    site = Site({"http://name.test/a?b": in_turn(answers)})
    chain = [httpclient.Retry(backoff=0), httpclient.DigestAuthMiddleware("u", "p")]
    async with serve(site) as proxy:
        async with httpclient.ClientSession(middlewares=chain, proxy=proxy.url) as session:
            async with session.get("http://name.test/a?b") as resp:
                assert resp.status == 200
    assert site.lines == ["GET http://name.test/a?b"] * 3
    assert 'uri="/a?b"' in site.asked[2].headers["Authorization"]
