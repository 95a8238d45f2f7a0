"""Connecting through HTTP proxies: CONNECT, TLS on both hops, and what proxies do wrong."""

from __future__ import annotations

import hashlib
import pickle
import socket
import ssl
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
from multidict import CIMultiDict
from yarl import URL

import httpclient
from httpclient._address_policy import AddressPolicy
from httpclient._dialer import Dialer
from httpclient._dns_cache import Lookups
from httpclient._errors import AddressNotAllowedError, ServerFingerprintMismatch
from httpclient._fingerprint import Fingerprint
from httpclient._resolver import HostsResolver
from httpclient._tls import load_context
from httpclient._tunnel import connect_through
from httpclient._url import ConnectionKey, Proxy
from httpcore_proto import Limits
from httpcore_proto.aio import current_runtime

from .conftest import Peer, Serve, response
from .proxies import LoopbackDialer, Tap, accept_tls, splice

LOGIN = ("Proxy-Authorization", "Basic c2VjcmV0")
GET = b"GET / HTTP/1.1\r\nHost: origin\r\n\r\n"
OK = b"HTTP/1.1 200 Connection established\r\n\r\n"


def key_for(
    proxy: str, host: str = "name.test", *, is_ssl: bool = True, port: int = 443, **more: Any
) -> ConnectionKey:
    """Return the key of an origin behind a proxy that wants a login."""
    return ConnectionKey(host, port, is_ssl, proxy=Proxy(URL(proxy), (LOGIN,)), **more)


# Without a tunnel.


@pytest.mark.parametrize("secure", [False, True])
async def test_plain_requests_go_to_the_proxy_itself(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, secure: bool
) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer()

    async with serve(script, tls=server_tls if secure else None) as proxy:
        tap, dialer = Tap(), LoopbackDialer()
        key = key_for(proxy.url, is_ssl=False, port=80, ssl=client_tls)
        await connect_through(dialer, tap, key, None, None)
        assert dialer.receivers == [tap]
        assert tap.made == 1
        assert (tap.link.info("ssl_object") is not None) is secure
        await tap.ask(GET)
        assert proxy.heads[0].startswith("GET ")
        tap.link.abort()


# Through a tunnel.


@pytest.mark.parametrize("secure", [False, True])
async def test_tunnel_has_tls_with_the_origin_inside(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, secure: bool
) -> None:
    """TL-04, PX-01: both names are verified, and each hop sees its own fields only."""

    async def origin_script(peer: Peer) -> None:
        await peer.answer_all()

    async with serve(origin_script, tls=server_tls) as origin:

        async def script(peer: Peer) -> None:
            await peer.head()
            await peer.send(OK)
            await splice(peer, origin.port)

        async with serve(script, tls=server_tls if secure else None) as proxy:
            tap, dialer = Tap(), LoopbackDialer()
            await connect_through(dialer, tap, key_for(proxy.url), client_tls, None)
            context = client_tls if secure else None
            name = "127.0.0.1" if secure else None
            assert dialer.calls == [("127.0.0.1", proxy.port, context, name, None)]
            assert tap.made == 1
            for _ in range(2):
                assert (await tap.ask(GET)).startswith(b"HTTP/1.1 200")
            assert tap.link.info("ssl_object").server_hostname == "name.test"
            (head,) = proxy.heads
            assert head == (
                "CONNECT name.test:443 HTTP/1.1\r\nHost: name.test:443\r\n"
                f"{LOGIN[0]}: {LOGIN[1]}\r\n"
            )
            assert [head.encode() for head in origin.heads] == [GET[:-2]] * 2
            tap.link.abort()


@pytest.mark.parametrize("secure", [False, True])
async def test_large_body_through_a_tunnel(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, secure: bool
) -> None:
    """Both directions at once, many records, with flow control below two layers."""
    size = 3_000_000

    async def origin_script(peer: Peer) -> None:
        body = await peer.request()
        assert body == b"x" * size
        await peer.send(response(body + b"\r\n\r\nok"))

    async with serve(origin_script, tls=server_tls) as origin:

        async def script(peer: Peer) -> None:
            await peer.head()
            await peer.send(OK)
            await splice(peer, origin.port)

        async with serve(script, tls=server_tls if secure else None) as proxy:
            tap = Tap()
            await connect_through(LoopbackDialer(), tap, key_for(proxy.url), client_tls, None)
            tap.link.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size)
            tap.link.write(b"x" * size)
            await tap.link.drain()
            answer = await tap.ask(b"")
            assert answer.count(b"x") >= size
            tap.link.abort()


@pytest.mark.parametrize(
    ("host", "port", "target"),
    [
        ("origin.test", 443, "origin.test:443"),
        ("origin.test", 8443, "origin.test:8443"),
        ("10.0.0.1", 443, "10.0.0.1:443"),
        ("::1", 8443, "[::1]:8443"),
    ],
)
async def test_authority_always_has_a_port_and_brackets(
    serve: Serve, client_tls: ssl.SSLContext, host: str, port: int, target: str
) -> None:
    """S141."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 403 No\r\n\r\n")

    async with serve(script) as proxy:
        key = key_for(proxy.url, host, port=port)
        with pytest.raises(httpclient.ClientHttpProxyError):
            await connect_through(LoopbackDialer(), Tap(), key, client_tls, None)
        assert proxy.heads[0].startswith(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n")


@pytest.mark.parametrize("host", ["a b", "a\r\nX: y", "a/b", "fe80::1%25eth0", "a%20b", "a@b"])
@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_host_that_is_none_is_told_to_no_proxy(
    client_tls: ssl.SSLContext, host: str, scheme: str
) -> None:
    """IN-11."""
    dialer = LoopbackDialer()
    key = key_for(f"{scheme}://127.0.0.1:1", host)
    with pytest.raises(httpclient.InvalidUrlClientError):
        await connect_through(dialer, Tap(), key, client_tls, None)
    assert not dialer.calls


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.0 200 Connection established\r\n\r\n"],
        [b"HTTP/1.1 204 No Content\r\n\r\n"],
        [b"HTTP/1.1 299 \r\n\r\n"],
        # PX-02: a 2xx to CONNECT has no body, whatever its fields say.
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", OK],
        [b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK],
        [bytes([byte]) for byte in OK],
    ],
)
async def test_any_success_is_a_tunnel(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, pieces: list[bytes]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        for piece in pieces:
            await peer.send(piece)
            await anyio.lowlevel.checkpoint()
        async with await accept_tls(peer, server_tls) as stream:
            assert await stream.receive() == GET
            await stream.send(response())

    async with serve(script) as proxy:
        tap = Tap()
        await connect_through(LoopbackDialer(), tap, key_for(proxy.url), client_tls, None)
        await tap.ask(GET)
        tap.link.abort()


# What proxies do.


@pytest.mark.parametrize(
    ("answer", "status", "message", "field"),
    [
        (
            b"HTTP/1.1 407 Login, please\r\nProxy-Authenticate: Basic realm=x\r\n\r\nno!",
            407,
            "Login, please",
            "Basic realm=x",
        ),
        (b"HTTP/1.0 403 Forbidden\r\n\r\n<html>", 403, "Forbidden", None),
        (b"HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\n\r\n", 302, "Found", None),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 99\r\n\r\n", 502, "Bad", None),
        (b"HTTP/1.1 304 \r\n\r\n", 304, "", None),
    ],
)
async def test_refusal_is_an_error_with_what_the_proxy_said(
    serve: Serve,
    client_tls: ssl.SSLContext,
    answer: bytes,
    status: int,
    message: str,
    field: str | None,
) -> None:
    """PX-02: nothing of it can be taken for the origin's answer."""
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)
        await peer.closed()
        closed.set()

    async with serve(script) as proxy:
        tap = Tap()
        with pytest.raises(httpclient.ClientHttpProxyError) as info:
            await connect_through(LoopbackDialer(), tap, key_for(proxy.url), client_tls, None)
        error = info.value
        assert (error.status, error.message) == (status, message)
        assert error.headers is not None
        assert error.headers.get("Proxy-Authenticate") == field
        assert error.request_info.method == "CONNECT"
        assert error.request_info.url == URL("https://name.test/")
        assert LOGIN[1] not in f"{error!r} {error}"
        assert not tap.made
        await closed.wait()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x05\xff",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000,
    ],
)
async def test_malformed_answer_is_an_error(
    serve: Serve, client_tls: ssl.SSLContext, answer: bytes
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)

    async with serve(script) as proxy:
        tap = Tap()
        with pytest.raises(httpclient.ClientHttpProxyError) as info:
            await connect_through(LoopbackDialer(), tap, key_for(proxy.url), client_tls, None)
        assert info.value.status == 400
        assert info.value.__cause__ is not None
        assert not tap.made


async def test_limits_of_the_session_hold_for_proxies(
    serve: Serve, client_tls: ssl.SSLContext
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n")

    async with serve(script) as proxy:
        key = key_for(proxy.url, limits=Limits(max_headers=1))
        with pytest.raises(httpclient.ClientHttpProxyError, match="max_headers"):
            await connect_through(LoopbackDialer(), Tap(), key, client_tls, None)


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
@pytest.mark.parametrize("is_ssl", [True, False])
async def test_bytes_behind_the_head_are_no_answer(
    serve: Serve, client_tls: ssl.SSLContext, scheme: str, is_ssl: bool
) -> None:
    """A proxy that sends a response along would answer the request that is sent next."""

    async def script(peer: Peer) -> None:
        if scheme == "http":
            await peer.head()
            await peer.send(OK + response(b"smuggled"))
        else:
            await peer.read(3)
            await peer.send(b"\5\0")
            await peer.read(5 + len("name.test") + 2)
            await peer.send(b"\5\0\0\1" + bytes(6) + response(b"smuggled"))

    async with serve(script) as proxy:
        tap = Tap()
        key = key_for(f"{scheme}://127.0.0.1:{proxy.port}", is_ssl=is_ssl or scheme == "http")
        with pytest.raises(httpclient.ClientProxyConnectionError, match="before anything"):
            await connect_through(LoopbackDialer(), tap, key, client_tls, None)
        assert not tap.made


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 Connec", b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("reset", [False, True])
async def test_proxy_that_closes(
    serve: Serve, client_tls: ssl.SSLContext, sent: bytes, reset: bool
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        if sent:
            await peer.send(sent)
        if reset:
            peer.reset()
        await peer.close()

    async with serve(script) as proxy:
        tap = Tap()
        with pytest.raises(httpclient.ClientProxyConnectionError) as info:
            await connect_through(LoopbackDialer(), tap, key_for(proxy.url), client_tls, None)
        assert (info.value.host, info.value.port) == ("127.0.0.1", proxy.port)
        assert not tap.made


async def test_proxy_that_closes_behind_its_answer(
    serve: Serve, client_tls: ssl.SSLContext
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(OK)
        await peer.close()

    async with serve(script) as proxy:
        tap = Tap()
        with pytest.raises(httpclient.ClientConnectorError) as info:
            await connect_through(LoopbackDialer(), tap, key_for(proxy.url), client_tls, None)
        assert info.value.host in ("name.test", "127.0.0.1")
        assert not tap.made


class EagerLink:
    """A link on which CONNECT is answered at once, and something follows the handshake."""

    def __init__(self, receiver: Any, following: str) -> None:
        self.receiver = receiver
        self.following = following
        self.aborted = False
        receiver.link_made(self)

    def write(self, data: bytes) -> None:
        self.receiver.bytes_received(OK)

    async def start_tls(self, context: ssl.SSLContext, *, server_hostname: str) -> None:
        match self.following:
            case "data":
                self.receiver.bytes_received(response(b"smuggled"))
            case "end":
                self.receiver.eof_received()
            case "loss":
                self.receiver.link_lost(ConnectionResetError(104, "reset"))

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize("following", ["data", "end", "loss"])
async def test_what_follows_the_handshake_at_once_is_not_dropped(
    client_tls: ssl.SSLContext, following: str
) -> None:
    """A connection that gets the link later would wait for ever for a link that is lost."""
    links: list[EagerLink] = []

    class EagerDialer(LoopbackDialer):
        async def connect(self, receiver: Any, *args: Any, **kwargs: Any) -> Any:
            links.append(EagerLink(receiver, following))
            return links[0]

    with pytest.raises(httpclient.ClientConnectorError) as info:
        await connect_through(EagerDialer(), Tap(), key_for("http://x:1"), client_tls, None)
    assert info.value.host == "name.test"
    assert links[0].aborted


async def test_proxy_that_cannot_be_reached(client_tls: ssl.SSLContext) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
    key = key_for(f"http://127.0.0.1:{port}")
    with pytest.raises(httpclient.ClientProxyConnectionError) as info:
        await connect_through(LoopbackDialer(), Tap(), key, client_tls, None)
    assert (info.value.host, info.value.port) == ("127.0.0.1", port)


@pytest.mark.parametrize("is_ssl", [True, False])
@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (OSError(111, "refused"), httpclient.ClientProxyConnectionError),
        (socket.gaierror(-2, "unknown"), httpclient.ClientConnectorDNSError),
        (ssl.SSLError(1, "handshake"), httpclient.ClientConnectorSSLError),
        (ssl.SSLCertVerificationError(1, "x"), httpclient.ClientConnectorCertificateError),
        (httpclient.ClientConnectionError("policy"), httpclient.ClientConnectionError),
    ],
)
async def test_errors_on_the_way_to_the_proxy_are_about_the_proxy(
    client_tls: ssl.SSLContext, raised: Exception, seen: type[Exception], is_ssl: bool
) -> None:
    class FailingDialer(LoopbackDialer):
        async def connect(self, *args: Any, **kwargs: Any) -> Any:
            raise raised

    key = key_for("https://proxy.test:8443", is_ssl=is_ssl)
    with pytest.raises(seen) as info:
        await connect_through(FailingDialer(), Tap(), key, client_tls, None)
    assert type(info.value) is seen
    if isinstance(info.value, httpclient.ClientConnectorError):
        assert (info.value.host, info.value.port) == ("proxy.test", 8443)


# TLS.


@pytest.mark.parametrize("secure", [False, True])
async def test_certificate_of_the_origin_is_verified(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, secure: bool
) -> None:
    """TL-04."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(OK)
        with pytest.raises((ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream)):
            async with await accept_tls(peer, server_tls) as stream:
                await stream.receive()

    async with serve(script, tls=server_tls if secure else None) as proxy:
        tap = Tap()
        key = key_for(proxy.url, "other.test")
        with pytest.raises(httpclient.ClientConnectorCertificateError) as info:
            await connect_through(LoopbackDialer(), tap, key, client_tls, None)
        assert (info.value.host, info.value.port) == ("other.test", 443)
        assert not tap.made


async def test_server_hostname_is_about_the_origin(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(OK)
        async with await accept_tls(peer, server_tls) as stream:
            await stream.receive()
            await stream.send(response())

    async with serve(script) as proxy:
        tap = Tap()
        key = key_for(proxy.url, "10.0.0.1", server_hostname="name.test")
        await connect_through(LoopbackDialer(), tap, key, client_tls, None)
        await tap.ask(GET)
        assert proxy.heads[0].startswith("CONNECT 10.0.0.1:443 ")
        tap.link.abort()


@pytest.mark.parametrize("setting", [True, False])
@pytest.mark.parametrize("is_ssl", [True, False])
async def test_certificate_of_the_proxy_is_verified(
    serve: Serve, server_tls: ssl.SSLContext, setting: bool, is_ssl: bool
) -> None:
    """TL-04: also with ssl=False, which is about the origin; the proxy gets the login."""

    async def script(peer: Peer) -> None:
        raise AssertionError("the proxy was trusted")

    async with serve(script, tls=server_tls) as proxy:
        context = await load_context(setting) if is_ssl else None
        key = key_for(proxy.url, is_ssl=is_ssl, ssl=setting)
        with pytest.raises(httpclient.ClientConnectorCertificateError) as info:
            await connect_through(LoopbackDialer(), Tap(), key, context, None)
        assert (info.value.host, info.value.port) == ("127.0.0.1", proxy.port)


async def test_context_of_the_request_is_for_both_hops(
    serve: Serve, server_tls: ssl.SSLContext
) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(OK)
        async with await accept_tls(peer, server_tls) as stream:
            await stream.receive()
            await stream.send(response())

    async with serve(script, tls=server_tls) as proxy:
        tap, dialer = Tap(), LoopbackDialer()
        key = key_for(proxy.url, "other.test", ssl=trusting)
        await connect_through(dialer, tap, key, trusting, None)
        assert dialer.calls[0][2] is trusting
        await tap.ask(GET)
        tap.link.abort()


@pytest.mark.parametrize("by_key", [True, False])
@pytest.mark.parametrize("right", [True, False])
async def test_fingerprint_is_that_of_the_origin(
    serve: Serve, server_tls: ssl.SSLContext, by_key: bool, right: bool
) -> None:
    """The link is connected to the proxy, but the certificate is the origin's."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(OK)
        async with await accept_tls(peer, server_tls) as stream:
            await stream.receive()
            await stream.send(response())

    async with serve(script) as proxy:
        tap = Tap()
        unverified = await load_context(False)
        await connect_through(
            LoopbackDialer(), tap, key_for(proxy.url, ssl=False), unverified, None
        )
        der = tap.link.info("ssl_object").getpeercert(binary_form=True)
        tap.link.abort()
        digest = hashlib.sha256(der if right else b"").digest()
        fingerprint = Fingerprint(digest)
        tap = Tap()
        key = key_for(proxy.url, "other.test", ssl=fingerprint if by_key else True)
        connecting = connect_through(
            LoopbackDialer(), tap, key, unverified, None, None if by_key else fingerprint
        )
        if right:
            await connecting
            await tap.ask(GET)
            tap.link.abort()
            return
        with pytest.raises(ServerFingerprintMismatch) as info:
            await connecting
        assert (info.value.host, info.value.port) == ("other.test", 443)
        assert not tap.made


async def test_address_policy_is_about_the_proxy(client_tls: ssl.SSLContext) -> None:
    runtime = current_runtime()
    lookups = Lookups(HostsResolver({}), None, socket.AF_UNSPEC)
    policy = AddressPolicy.public_only()
    dialer = Dialer(lambda: runtime, lookups, address_policy=policy)
    with pytest.raises(AddressNotAllowedError) as info:
        await connect_through(dialer, Tap(), key_for("http://127.0.0.1:1"), client_tls, None)
    assert (info.value.host, info.value.port) == ("127.0.0.1", 1)


async def test_origin_without_tls(serve: Serve, client_tls: ssl.SSLContext) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(OK)
        await peer.read(10)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serve(script) as proxy:
        tap = Tap()
        with pytest.raises(httpclient.ClientConnectorSSLError) as info:
            await connect_through(LoopbackDialer(), tap, key_for(proxy.url), client_tls, None)
        assert info.value.host == "name.test"
        assert not tap.made


# Cancellation.


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("answered", [False, True])
async def test_cancelled_it_leaves_no_connection(
    serve: Serve,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    answered: bool,
    secure: bool,
) -> None:
    """While the answer to CONNECT is awaited, or that to the first message of TLS."""
    closed = anyio.Event()
    scope = anyio.CancelScope()

    async def script(peer: Peer) -> None:
        await peer.head()
        if answered:
            await peer.send(OK)
            await peer.read(10)
        scope.cancel()
        await peer.closed()
        closed.set()

    async with serve(script, tls=server_tls if secure else None) as proxy:
        tap = Tap()
        with scope:
            await connect_through(LoopbackDialer(), tap, key_for(proxy.url), client_tls, None)
        assert scope.cancelled_caught
        assert not tap.made
        await closed.wait()


# Around it.


async def test_connector_connects_through_the_proxy(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def origin_script(peer: Peer) -> None:
        await peer.answer_all()

    async with serve(origin_script, tls=server_tls) as origin:

        async def script(peer: Peer) -> None:
            await peer.head()
            await peer.send(OK)
            await splice(peer, origin.port)

        async with serve(script) as proxy, httpclient.TCPConnector(ssl=client_tls) as connector:
            key = key_for(proxy.url)
            connection = await connector.acquire(key, httpclient.ClientTimeout(), None)
            assert connection.link.info("ssl_object").server_hostname == "name.test"
            connection.abandon()
            assert len(proxy.heads) == 1


@pytest.mark.parametrize(
    "error",
    [
        httpclient.ClientProxyConnectionError(key_for("http://p:1"), OSError(111, "refused")),
        httpclient.ClientHttpProxyError(
            httpclient.RequestInfo(URL("https://o/"), "CONNECT", CIMultiDict(), URL("https://o/")),
            (),
            status=407,
            message="Login",
            headers=CIMultiDict({"Proxy-Authenticate": "Basic"}),
        ),
    ],
)
def test_errors_survive_pickling(error: httpclient.ClientError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy).keys() == vars(error).keys()
