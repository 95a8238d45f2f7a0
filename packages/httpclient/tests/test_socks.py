"""SOCKS: what is said in each version, to proxies that do it right and to others."""

from __future__ import annotations

import errno
import ssl
from typing import Any

import anyio
import pytest
from yarl import URL

import httpclient
from httpclient._proxy import parse_proxy
from httpclient._tunnel import connect_through
from httpclient._url import ConnectionKey, Proxy

from .conftest import Peer, Serve, response
from .proxies import LoopbackDialer, Tap, splice

GET = b"GET / HTTP/1.1\r\nHost: origin\r\n\r\n"


def key_for(
    port: int, scheme: str, host: str, *, is_ssl: bool = False, login: str = ""
) -> ConnectionKey:
    """Return the key of an origin behind a SOCKS proxy on the loopback."""
    proxy = parse_proxy(f"{scheme}://{login}127.0.0.1:{port}")
    return ConnectionKey(host, 443 if is_ssl else 80, is_ssl, proxy=proxy)


class SocksServer:
    """A SOCKS proxy that connects to the loopback, whatever it is asked for.

    Attributes:
        login: User and password that it wants.
        asked: Versions, hosts and ports that it was asked for, and users of version 4.
    """

    def __init__(self, port: int, login: tuple[bytes, bytes] | None = None) -> None:
        self.port = port
        self.login = login
        self.asked: list[tuple[Any, ...]] = []

    async def __call__(self, peer: Peer) -> None:
        version = (await peer.read(1))[0]
        await (self._serve_5(peer) if version == 5 else self._serve_4(peer))
        await splice(peer, self.port)

    async def _serve_5(self, peer: Peer) -> None:
        methods = await peer.read((await peer.read(1))[0])
        method = 0 if self.login is None else 2
        assert method in methods
        await peer.send(bytes([5, method]))
        if self.login is not None:
            assert await peer.read(1) == b"\1"
            user = await peer.read((await peer.read(1))[0])
            password = await peer.read((await peer.read(1))[0])
            await peer.send(b"\1" + bytes([(user, password) != self.login]))
            if (user, password) != self.login:
                return
        assert await peer.read(3) == b"\5\1\0"
        kind = (await peer.read(1))[0]
        size = {1: 4, 4: 16}.get(kind) or (await peer.read(1))[0]
        host = await peer.read(size)
        self.asked.append((5, kind, host, int.from_bytes(await peer.read(2), "big")))
        # Where it connects from, in all the three forms.
        where = {1: b"\1" + bytes(4), 4: b"\4" + bytes(16), 3: b"\3\4host"}[kind]
        await peer.send(b"\5\0\0" + where + b"\0\1")

    async def _serve_4(self, peer: Peer) -> None:
        assert await peer.read(1) == b"\1"
        port = int.from_bytes(await peer.read(2), "big")
        address = await peer.read(4)
        user = (await peer._reader.receive_until(b"\0", 300)).decode()
        host: bytes = address
        if address[:3] == bytes(3) and address[3]:
            host = await peer._reader.receive_until(b"\0", 300)
        self.asked.append((4, host, port, user))
        await peer.send(b"\0\x5a" + bytes(6))


@pytest.mark.parametrize(
    ("scheme", "host", "asked"),
    [
        ("socks5h", "origin.test", (5, 3, b"origin.test", 80)),
        ("socks5h", "10.0.0.1", (5, 1, b"\n\0\0\1", 80)),
        ("socks5h", "::1", (5, 4, bytes(15) + b"\1", 80)),
        ("socks5", "origin.test", (5, 1, b"\n\0\0\2", 80)),
        ("socks5", "six.test", (5, 4, bytes(15) + b"\2", 80)),
        ("socks5", "10.0.0.1", (5, 1, b"\n\0\0\1", 80)),
        ("socks4", "origin.test", (4, b"\n\0\0\2", 80, "")),
        ("socks4", "six.test", (4, b"\n\0\0\3", 80, "")),
        ("socks4a", "origin.test", (4, b"origin.test", 80, "")),
        ("socks4a", "10.0.0.1", (4, b"\n\0\0\1", 80, "")),
    ],
)
async def test_what_is_asked_for(
    serve: Serve, scheme: str, host: str, asked: tuple[Any, ...]
) -> None:
    """Names are looked up by the proxy with "h" and "a" only (RFC 1928, SOCKS 4A)."""
    names = {"origin.test": "10.0.0.2 10.0.0.9", "six.test": "::2 10.0.0.3"}

    async def script(peer: Peer) -> None:
        await peer.answer_all()

    async with serve(script) as origin:
        server = SocksServer(origin.port)
        async with serve(server) as proxy:
            tap, dialer, traces = Tap(), LoopbackDialer(names), object()
            await connect_through(dialer, tap, key_for(proxy.port, scheme, host), None, traces)
            assert tap.made == 1
            assert await tap.ask(GET) == response()
            assert await tap.ask(GET) == response()
            assert server.asked == [asked]
            here = host in names and scheme in ("socks5", "socks4")
            assert dialer.lookups == ([(host, 80, traces)] if here else [])
            assert dialer.calls == [("127.0.0.1", proxy.port, None, None, None)]
            tap.link.abort()


@pytest.mark.parametrize("scheme", ["socks5h", "socks4a"])
async def test_tls_with_the_origin_is_inside(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, scheme: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer_all()

    async with serve(script, tls=server_tls) as origin:
        server = SocksServer(origin.port)
        async with serve(server) as proxy:
            tap = Tap()
            key = key_for(proxy.port, scheme, "name.test", is_ssl=True)
            await connect_through(LoopbackDialer(), tap, key, client_tls, None)
            assert await tap.ask(GET) == response()
            assert tap.link.info("ssl_object").server_hostname == "name.test"
            tap.link.abort()
            tap = Tap()
            key = key_for(proxy.port, scheme, "other.test", is_ssl=True)
            with pytest.raises(httpclient.ClientConnectorCertificateError) as info:
                await connect_through(LoopbackDialer(), tap, key, client_tls, None)
            assert info.value.host == "other.test"
            assert not tap.made


@pytest.mark.parametrize(
    ("scheme", "login", "wanted"),
    [
        ("socks5h", "us%C3%A9r:p%40ss@", ("us\xe9r".encode(), b"p@ss")),
        ("socks5h", "user@", (b"user", b"")),
        ("socks5h", "user:pass@", None),
        ("socks4a", "user:unused@", None),
    ],
)
async def test_login(
    serve: Serve, scheme: str, login: str, wanted: tuple[bytes, bytes] | None
) -> None:
    """RFC 1929; version 4 has a user only."""

    async def script(peer: Peer) -> None:
        await peer.answer()

    async with serve(script) as origin:
        server = SocksServer(origin.port, wanted)
        async with serve(server) as proxy:
            tap = Tap()
            key = key_for(proxy.port, scheme, "origin.test", login=login)
            await connect_through(LoopbackDialer(), tap, key, None, None)
            assert await tap.ask(GET) == response()
            assert scheme == "socks5h" or server.asked[0][-1] == "user"
            tap.link.abort()


async def test_login_may_come_with_the_fields_of_the_proxy(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer()

    async with serve(script) as origin:
        server = SocksServer(origin.port, (b"user", b"pass"))
        async with serve(server) as proxy:
            key = key_for(proxy.port, "socks5h", "origin.test")
            fields = (
                ("X", "y"),
                ("Proxy-Authorization", "Bearer x"),
                ("proxy-authorization", "Basic dXNlcjpwYXNz"),
            )
            key = key._replace(proxy=Proxy(URL(f"socks5h://127.0.0.1:{proxy.port}"), fields))
            tap = Tap()
            await connect_through(LoopbackDialer(), tap, key, None, None)
            tap.link.abort()


SECRETS = "user:secret-word@"


@pytest.mark.parametrize(
    ("scheme", "login", "answers", "number", "text"),
    [
        ("socks5h", "", [b"\5\xff"], errno.EACCES, "wants a user"),
        ("socks5h", SECRETS, [b"\5\xff"], errno.EACCES, "none of our ways"),
        ("socks5h", SECRETS, [b"\5\1"], errno.EACCES, "none of our ways"),
        ("socks5h", "", [b"\5\2"], errno.EACCES, "wants a user"),
        ("socks5h", SECRETS, [b"\5\2", b"\1\1"], errno.EACCES, "refuses user"),
        ("socks5h", SECRETS, [b"\5\2", b"\5\0"], errno.ECONNABORTED, "version 5 in place of 1"),
        ("socks5h", "", [b"\4\0"], errno.ECONNABORTED, "version 4 in place of 5"),
        ("socks5h", "", [b"HTTP/1.1 400\r\n"], errno.ECONNABORTED, "does not speak SOCKS"),
        ("socks5h", "", [b"\5\0", b"\5\1\0\1"], errno.ECONNABORTED, "general failure"),
        ("socks5h", "", [b"\5\0", b"\5\2\0\1"], errno.EACCES, "not allowed"),
        ("socks5h", "", [b"\5\0", b"\5\3\0\1"], errno.ENETUNREACH, "network"),
        ("socks5h", "", [b"\5\0", b"\5\4\0\1"], errno.EHOSTUNREACH, "host unreachable"),
        ("socks5h", "", [b"\5\0", b"\5\5\0\1"], errno.ECONNREFUSED, "refused"),
        ("socks5h", "", [b"\5\0", b"\5\6\0\1"], errno.ETIMEDOUT, "TTL"),
        ("socks5h", "", [b"\5\0", b"\5\7\0\1"], errno.EOPNOTSUPP, "command"),
        ("socks5h", "", [b"\5\0", b"\5\x08\0\1"], errno.EAFNOSUPPORT, "address type"),
        ("socks5h", "", [b"\5\0", b"\5\x99\0\1"], errno.ECONNABORTED, r"unknown reason \(153\)"),
        ("socks5h", "", [b"\5\0", b"\4\0\0\1"], errno.ECONNABORTED, "version 4"),
        ("socks5h", "", [b"\5\0", b"\5\0\0\2"], errno.ECONNABORTED, "address type 2"),
        ("socks4a", "", [b"\0\x5b" + bytes(6)], errno.ECONNREFUSED, "rejected"),
        ("socks4a", "", [b"\0\x5c" + bytes(6)], errno.EACCES, "no identd"),
        ("socks4a", "", [b"\0\x5d" + bytes(6)], errno.EACCES, "another user"),
        ("socks4a", "", [b"\0\0" + bytes(6)], errno.ECONNABORTED, r"unknown reason \(0\)"),
        ("socks4a", "", [b"\4\x5a" + bytes(6)], errno.ECONNABORTED, "version 4 in place of 0"),
        ("socks5h", "", [], errno.ECONNRESET, "closed the connection"),
        ("socks5h", "", [b"\5"], errno.ECONNRESET, "closed the connection"),
        ("socks5h", "", [b"\5\0", b"\5\0\0\3"], errno.ECONNRESET, "closed the connection"),
        ("socks5h", "", [b"\5\0", b"\5\0\0\3\xffabc"], errno.ECONNRESET, "closed the connection"),
        ("socks4a", "", [b"\0\x5a"], errno.ECONNRESET, "closed the connection"),
    ],
)
async def test_refusal_and_nonsense(
    serve: Serve, scheme: str, login: str, answers: list[bytes], number: int, text: str
) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer._reader.receive()
            await peer.send(answer)
        if number == errno.ECONNRESET:
            await peer._stream.send_eof()
        await peer.closed()
        closed.set()

    async with serve(script) as proxy:
        tap = Tap()
        key = key_for(proxy.port, scheme, "origin.test", login=login)
        with pytest.raises(httpclient.ClientProxyConnectionError, match=text) as info:
            await connect_through(LoopbackDialer(), tap, key, None, None)
        error = info.value
        assert (error.host, error.port, error.errno) == ("127.0.0.1", proxy.port, number)
        assert "secret" not in str(error)
        assert not tap.made
        await closed.wait()


@pytest.mark.parametrize(
    ("scheme", "host"), [("socks4", "::1"), ("socks4a", "::1"), ("socks4", "six.test")]
)
async def test_version_4_has_no_ipv6(scheme: str, host: str) -> None:
    dialer = LoopbackDialer({"six.test": "::2 fe80::1%eth0 nonsense"})
    with pytest.raises(httpclient.ClientConnectorError, match="can carry") as info:
        await connect_through(dialer, Tap(), key_for(1, scheme, host), None, None)
    assert info.value.host == host
    assert not dialer.calls


@pytest.mark.parametrize(
    ("host", "login"),
    [
        ("a." * 128 + "test", ""),
        ("origin.test", "u" * 256 + ":p@"),
        ("origin.test", "u:" + "p" * 256 + "@"),
    ],
)
async def test_what_is_too_long_is_not_sent(serve: Serve, host: str, login: str) -> None:
    """Sizes are one byte; a larger one would be sent as another, and the rest be misread."""

    async def script(peer: Peer) -> None:
        assert (await peer.read(4))[:1] == b"\5"
        await peer.send(b"\5\2")
        assert not await peer._reader.receive()

    async with serve(script) as proxy:
        key = key_for(proxy.port, "socks5h", host, login=login)
        with pytest.raises(httpclient.ClientProxyConnectionError, match="SOCKS allows 255"):
            await connect_through(LoopbackDialer(), Tap(), key, None, None)


async def test_name_that_cannot_be_looked_up_here() -> None:
    dialer = LoopbackDialer()
    with pytest.raises(httpclient.ClientConnectorDNSError) as info:
        await connect_through(dialer, Tap(), key_for(1, "socks5", "name.invalid"), None, None)
    assert info.value.host == "name.invalid"
    assert not dialer.calls


async def test_cancelled_in_the_middle(serve: Serve) -> None:
    closed = anyio.Event()
    scope = anyio.CancelScope()

    async def script(peer: Peer) -> None:
        await peer.read(3)
        await peer.send(b"\5\0")
        await peer.read(5)
        scope.cancel()
        await peer.closed()
        closed.set()

    async with serve(script) as proxy:
        tap = Tap()
        with scope:
            key = key_for(proxy.port, "socks5h", "origin.test")
            await connect_through(LoopbackDialer(), tap, key, None, None)
        assert scope.cancelled_caught
        assert not tap.made
        await closed.wait()
