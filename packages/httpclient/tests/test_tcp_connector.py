"""What `TCPConnector` adds: names, policies, TLS, proxies; also time-outs, traces and loops."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import tracemalloc
import warnings
import weakref
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from yarl import URL

import httpclient
from httpclient import AddressPolicy, ClientTimeout, ConnectionKey, Fingerprint, TCPConnector
from httpclient._base_connector import _sweep_again
from httpclient._bounds import Bounds
from httpclient._connection import ClientHTTPConnection
from httpclient._sockets import is_readable
from httpclient._tls import check_ssl, load_context, tls_name
from httpclient._url import Proxy
from httpcore_proto.aio import AnyioRuntime

from .conftest import Peer, Serve, counts, response
from .loopback import CountingResolver
from .test_connector import Gate

NONE = ClientTimeout()


class Log:
    """Traces that write down what they are told, and fail or wait at one of them."""

    def __init__(self, fail_at: str = "") -> None:
        self.names: list[str] = []
        self.fail_at = fail_at

    async def send(self, name: str, params: object) -> None:
        self.names.append(name.removeprefix("on_"))
        await anyio.lowlevel.checkpoint()
        if self.names[-1] == self.fail_at:
            raise LookupError(name)


def key_of(origin: Any, **options: Any) -> ConnectionKey:
    """Return the key of an origin of the loopback."""
    return ConnectionKey("127.0.0.1", origin.port, False, **options)


async def acquire(
    connector: TCPConnector, key: ConnectionKey, timeout: ClientTimeout = NONE, log: Any = None
) -> ClientHTTPConnection:
    """Get a connection as a session does."""
    connection = connector.take(key, connector.now())
    return connection or await connector.acquire(key, timeout, None, log)


def leave(connector: TCPConnector, connection: ClientHTTPConnection) -> None:
    """Close a connection that was acquired."""
    connection.link.abort()
    connector.drop(connection)


# Names.


async def test_names_are_looked_up_once_in_a_while(serve: Serve) -> None:
    """S096: two requests to one name need one lookup; `clear_dns_cache` makes it two."""
    resolver = CountingResolver()
    async with serve(Peer.answer_all) as origin:
        connector = TCPConnector(resolver=resolver, force_close=True, family=socket.AF_INET)
        assert connector.use_dns_cache
        assert connector.family is socket.AF_INET
        url = f"http://name.test:{origin.port}/"
        async with httpclient.ClientSession(connector=connector) as session:
            for asked in (1, 1, 2):
                async with session.get(url) as resp:
                    assert await resp.read() == b"ok"
                assert resolver.asked == [("name.test", origin.port, socket.AF_INET)] * asked
                if len(origin.heads) == 2:
                    connector.clear_dns_cache("name.test", origin.port)
        assert "Host: name.test" in origin.heads[0]
    assert resolver.closed == 0


async def test_names_are_looked_up_each_time_without_a_cache(serve: Serve) -> None:
    resolver = CountingResolver()
    async with serve(Peer.answer_all) as origin:
        connector = TCPConnector(resolver=resolver, force_close=True, use_dns_cache=False)
        assert not connector.use_dns_cache
        async with httpclient.ClientSession(connector=connector) as session:
            for _ in range(2):
                await (await session.get(f"http://name.test:{origin.port}/")).read()
    assert len(resolver.asked) == 2


async def test_name_is_looked_up_in_ascii(serve: Serve) -> None:
    """S054."""
    resolver = CountingResolver()
    async with serve(Peer.answer_all) as origin:
        connector = TCPConnector(resolver=resolver)
        async with httpclient.ClientSession(connector=connector) as session:
            await (await session.get(f"http://b\u00fccher.test:{origin.port}/")).read()
    assert resolver.asked[0][0] == "xn--bcher-kva.test"
    assert "Host: xn--bcher-kva.test" in origin.heads[0]


async def test_name_that_cannot_be_looked_up() -> None:
    resolver = CountingResolver()
    resolver.error = OSError("no such host")
    connector = TCPConnector(resolver=resolver)
    async with httpclient.ClientSession(connector=connector) as session:
        with pytest.raises(httpclient.ClientConnectorDNSError, match="no such host"):
            await session.get("http://name.test/")
        assert counts(session) == (0, 0)


async def test_own_resolver_is_closed(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    made: list[CountingResolver] = []

    class Own(CountingResolver):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr("httpclient._connector.DefaultResolver", Own)
    async with serve(Peer.answer_all) as origin:
        async with httpclient.ClientSession() as session:
            await (await session.get(f"http://name.test:{origin.port}/")).read()
    assert [resolver.closed for resolver in made] == [1]


async def test_close_ends_a_lookup() -> None:
    """S082: it is cancelled and waited for, though the request was cancelled before."""
    resolver = CountingResolver()
    resolver.gate = anyio.Event()
    connector = TCPConnector(resolver=resolver)
    session = httpclient.ClientSession(connector=connector)
    errors: list[Exception] = []

    async def get() -> None:
        try:
            await session.get("http://name.test/")
        except httpclient.ClientConnectionError as exc:
            errors.append(exc)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(get)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(get)
        await anyio.wait_all_tasks_blocked()
        assert len(resolver.asked) == 1
        await session.close()
        assert resolver.ended == 1
    assert [str(error) for error in errors] == ["Connector is closed."]
    assert connector.pool.active_count == 0


# Arguments.


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"dns_cache_max_size": 0}, "dns_cache_max_size"),
        ({"ttl_dns_cache": -1}, "ttl_dns_cache"),
        ({"happy_eyeballs_delay": -1}, "happy_eyeballs_delay"),
        ({"local_addr": ("name.test", 0)}, "'name.test' is no address"),
        ({"keepalive_timeout": -1}, "keepalive_timeout"),
        ({"family": 12345}, "12345"),
    ],
)
def test_arguments_out_of_range(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        TCPConnector(**options)


def test_dns_cache_is_cleared_by_host_and_port() -> None:
    connector = TCPConnector(timeout_ceil_threshold=3)
    connector.clear_dns_cache()
    connector.clear_dns_cache("name.test", 80)
    for options in ({"host": "name.test"}, {"port": 80}):
        with pytest.raises(ValueError, match="both host and port"):
            connector.clear_dns_cache(**options)  # type: ignore[arg-type]


def test_schemes() -> None:
    assert TCPConnector.allowed_protocol_schema_set == {"", "http", "https", "ws", "wss", "tcp"}


@pytest.mark.parametrize(
    ("options", "first_count"),
    [
        ({}, 1),
        ({"happy_eyeballs_delay": None}, 0),
        ({"interleave": 2}, 2),
        ({"interleave": 0}, 0),
        ({"interleave": 2, "happy_eyeballs_delay": None}, 2),
    ],
)
def test_families_take_turns_with_happy_eyeballs(options: dict[str, Any], first_count: int) -> None:
    assert TCPConnector(**options)._dialer._first_count == first_count


# Policies.


@pytest.mark.parametrize("host", ["name.test", "127.0.0.1", "[::ffff:7f00:1]"])
async def test_policy(serve: Serve, host: str) -> None:
    async with serve(Peer.answer_all) as origin:
        connector = TCPConnector(
            resolver=CountingResolver(), address_policy=AddressPolicy.public_only()
        )
        async with httpclient.ClientSession(connector=connector) as session:
            with pytest.raises(httpclient.AddressNotAllowedError, match="is not public") as caught:
                await session.get(f"http://{host}:{origin.port}/")
            assert caught.value.os_error.errno == 13
            assert counts(session) == (0, 0)
    assert origin.accepted == 0


async def test_policy_holds_at_each_connect(serve: Serve) -> None:
    """DNS rebinding: the answer in the cache is looked at as well, and so is a new one."""
    resolver = CountingResolver("127.0.0.1")
    async with serve(Peer.answer_all) as origin:
        connector = TCPConnector(
            resolver=resolver,
            force_close=True,
            ttl_dns_cache=0,
            address_policy=AddressPolicy(allow_networks=["127.0.0.1"]),
        )
        url = f"http://name.test:{origin.port}/"
        async with httpclient.ClientSession(connector=connector) as session:
            await (await session.get(url)).read()
            resolver.addresses = ["127.0.0.2"]
            with pytest.raises(httpclient.AddressNotAllowedError, match=r"127\.0\.0\.2"):
                await session.get(url)
    assert origin.accepted == 1


# TLS.


def test_settings_are_checked() -> None:
    for setting in (True, False, ssl.create_default_context(), Fingerprint(b"x" * 32)):
        check_ssl(setting)
    for wrong in (None, "yes", b"x" * 32):
        with pytest.raises(TypeError, match="ssl should be"):
            check_ssl(wrong)  # type: ignore[arg-type]


async def test_contexts() -> None:
    """S119: no compression. Unverified ones are only for who asks for them."""
    verified, unverified = await load_context(True), await load_context(False)
    assert verified.verify_mode is ssl.CERT_REQUIRED
    assert verified.check_hostname
    assert unverified.verify_mode is ssl.CERT_NONE
    assert not unverified.check_hostname
    for context in (verified, unverified):
        assert context.options & ssl.OP_NO_COMPRESSION
    assert await load_context(True) is verified
    assert await load_context(Fingerprint(b"x" * 32)) is unverified
    own = ssl.create_default_context()
    assert await load_context(own) is own


@pytest.mark.parametrize(
    ("host", "given", "name"),
    [("a.test", None, "a.test"), ("a.test..", None, "a.test"), ("a.test", "b.test.", "b.test")],
)
def test_name_for_tls_has_no_dots_at_its_end(host: str, given: str | None, name: str) -> None:
    assert tls_name(host, given) == name


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (True, "ssl:default"),
        (False, "ssl:False"),
        (ssl.create_default_context(), "ssl:context"),
        (Fingerprint(b"x" * 32), f"ssl:<Fingerprint {'78' * 32}>"),
    ],
)
async def test_error_tells_the_setting(setting: Any, text: str) -> None:
    """S112."""
    async with TCPConnector() as connector:
        key = ConnectionKey("127.0.0.1", 1, True, ssl=setting)
        with pytest.raises(httpclient.ClientConnectorError) as caught:
            await acquire(connector, key)
        where = f"Cannot connect to host 127.0.0.1:1 {text} [Connection refused: 127.0.0.1 port 1]"
        assert str(caught.value) == where
        assert caught.value.ssl is setting


async def test_protocol_is_told_to_the_server(serve: Serve, server_tls: ssl.SSLContext) -> None:
    server_tls.set_alpn_protocols(["http/1.1", "h2"])
    async with serve(Peer.answer_all, tls=server_tls) as origin:
        async with httpclient.ClientSession(connector=TCPConnector(ssl=False)) as session:
            resp = await session.get(origin.url)
            await resp.read()
            (connection,) = session.connector._open  # type: ignore[union-attr]
            assert connection.link.info("ssl_object").selected_alpn_protocol() == "http/1.1"
            assert connection.link.info("ssl_object").compression() is None


# Proxies.


def through(proxy: str, host: str, *, is_ssl: bool = True, **options: Any) -> ConnectionKey:
    """Return the key of an origin behind a proxy."""
    return ConnectionKey(host, 443, is_ssl, proxy=Proxy(URL(proxy)), **options)


async def connect_through(
    monkeypatch: pytest.MonkeyPatch, connector: TCPConnector, key: ConnectionKey, port: int
) -> list[Any]:
    """Acquire a connection with the tunnel replaced by a connection to the loopback."""
    calls: list[Any] = []

    async def fake(
        dialer: Any, connection: Any, key: ConnectionKey, context: Any, traces: Any
    ) -> None:
        calls.append((key, context, traces))
        await dialer.connect(connection, "127.0.0.1", port, context=context)

    monkeypatch.setattr("httpclient._tunnel.connect_through", fake)
    leave(connector, await acquire(connector, key))
    return calls


async def test_proxies_are_connected_through(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, client_tls: ssl.SSLContext
) -> None:
    async with serve(Peer.closed) as origin:
        async with TCPConnector(ssl=client_tls) as connector:
            key = through("http://proxy.test:8080", "name.test", is_ssl=False)
            assert await connect_through(monkeypatch, connector, key, origin.port) == [
                (key, None, None)
            ]
            stats = connector.pool.stats().origins[0]
            assert stats.origin == ("http", "name.test", 443, "http://proxy.test:8080")


async def test_proxies_are_told_no_forbidden_address(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = AddressPolicy.public_only(allow_networks=["127.0.0.1"])
    async with serve(Peer.closed) as origin, TCPConnector(address_policy=policy) as connector:
        key = through("http://proxy.test:8080", "name.test", is_ssl=False)
        assert await connect_through(monkeypatch, connector, key, origin.port)
        for host in ("10.0.0.1", "::ffff:169.254.169.254"):
            key = through("http://proxy.test:8080", host)
            with pytest.raises(httpclient.AddressNotAllowedError):
                await connect_through(monkeypatch, connector, key, origin.port)


async def test_fingerprint_is_that_of_the_origin(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, server_tls: ssl.SSLContext
) -> None:
    async with serve(Peer.closed, tls=server_tls) as origin, TCPConnector() as connector:
        key = through("http://proxy.test:8080", "name.test", ssl=Fingerprint(b"x" * 32))
        with pytest.raises(httpclient.ServerFingerprintMismatch):
            await connect_through(monkeypatch, connector, key, origin.port)
        assert connector.pool.active_count == 0


async def test_secure_proxy_gets_the_context_of_the_connector(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    async with serve(Peer.closed, tls=server_tls) as origin:
        async with TCPConnector(ssl=client_tls) as connector:
            key = through("https://proxy.test:8080", "name.test", is_ssl=False)
            ((_, context, _),) = await connect_through(monkeypatch, connector, key, origin.port)
            assert context is client_tls


# Time-outs.


async def test_time_outs_say_which_and_where(serve: Serve) -> None:
    resolver = CountingResolver()
    resolver.gate = anyio.Event()
    async with serve(Peer.closed) as origin, TCPConnector(limit=1, resolver=resolver) as connector:
        key = key_of(origin)
        held = await acquire(connector, key)
        for timeout, error, text in (
            (
                ClientTimeout(pool=0.01, connect=60),
                httpclient.PoolTimeoutError,
                rf"127.0.0.1:{origin.port} for 0.01 s \(pool\), with limit=1 and limit_per_host=0",
            ),
            (
                ClientTimeout(pool=60, connect=0.01),
                httpclient.ConnectionTimeoutError,
                rf"127.0.0.1:{origin.port} for 0.01 s \(connect\)",
            ),
        ):
            with pytest.raises(error, match=text) as caught:
                await acquire(connector, key, timeout)
            assert type(caught.value) is error
        leave(connector, held)
        name = key._replace(host="name.test")
        with pytest.raises(httpclient.ConnectionTimeoutError, match=r"0.01 s \(sock_connect\)"):
            await acquire(connector, name, ClientTimeout(pool=60, sock_connect=0.01))
        with pytest.raises(TimeoutError, match=rf"name.test:{origin.port} \(total\)"):
            await connector.acquire(name, ClientTimeout(total=1), connector.now() + 0.01)
        assert connector.pool.active_count == connector.pool.waiting_count == 0
        resolver.gate.set()


async def test_short_time_of_the_server_is_kept(serve: Serve) -> None:
    """Keep-Alive: timeout=5 means that a request in the fifth second may come too late."""
    async with serve(Peer.closed) as origin, TCPConnector() as connector:
        key = key_of(origin)
        for hint, good in ((None, 15), (5.0, 4.5), (0.5, 0.25), (60.0, 15)):
            connection = await acquire(connector, key)

            class Hinted:
                """A connection that was told a time."""

                keepalive_hint = hint
                place = connection.place
                link = connection.link
                usable = True

            hinted: Any = Hinted()
            now = 1000.0
            connector.now = lambda: 1000.0  # type: ignore[method-assign]
            connector.keep(hinted)
            assert connector.take(key, now + good - 0.01) is hinted
            connector.keep(hinted)
            assert connector.take(key, now + good) is None
            del connector.now
            connector._open.discard(connection)


# Traces.


async def test_signals_of_a_new_connection(serve: Serve) -> None:
    async with serve(Peer.closed) as origin:
        async with TCPConnector(resolver=CountingResolver()) as connector:
            log = Log()
            key = key_of(origin)._replace(host="name.test")
            leave(connector, await acquire(connector, key, log=log))
            assert log.names == [
                "connection_create_start",
                "dns_cache_miss",
                "dns_resolvehost_start",
                "dns_resolvehost_end",
                "connection_create_end",
            ]
            log.names.clear()
            leave(connector, await acquire(connector, key, log=log))
            assert log.names == [
                "connection_create_start",
                "dns_cache_hit",
                "connection_create_end",
            ]
            log.names.clear()
            with pytest.raises(httpclient.ClientConnectorError):
                await acquire(connector, key._replace(port=1), log=log)
            assert log.names[0] == "connection_create_start"
            assert "connection_create_end" not in log.names


@pytest.mark.parametrize("kept", [True, False])
async def test_signals_of_waiting(serve: Serve, kept: bool) -> None:
    async with serve(Peer.closed) as origin, TCPConnector(limit=1) as connector:
        log, key = Log(), key_of(origin)
        held = await acquire(connector, key)
        got: list[ClientHTTPConnection] = []

        async def wait() -> None:
            got.append(await acquire(connector, key, log=log))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert log.names == ["connection_queued_start"]
            if kept:
                connector.keep(held)
            else:
                leave(connector, held)
        assert (got[0] is held) is kept
        assert log.names[1:] == (
            ["connection_queued_end", "connection_reuseconn"]
            if kept
            else ["connection_queued_end", "connection_create_start", "connection_create_end"]
        )
        leave(connector, got[0])


@pytest.mark.parametrize(
    "signal",
    [
        "connection_queued_start",
        "connection_queued_end",
        "connection_reuseconn",
        "connection_create_start",
        "connection_create_end",
        "dns_cache_miss",
        "dns_resolvehost_start",
        "dns_resolvehost_end",
        "dns_cache_hit",
    ],
)
async def test_handler_that_fails_leaves_nothing(serve: Serve, signal: str) -> None:
    async with serve(Peer.closed) as origin:
        async with TCPConnector(limit=1, resolver=CountingResolver()) as connector:
            key = key_of(origin)._replace(host="name.test")
            log = Log(signal)
            if signal == "dns_cache_hit":
                leave(connector, await acquire(connector, key))
            if "queued" in signal or "reuse" in signal:
                held = await acquire(connector, key)

                async def wait() -> None:
                    with pytest.raises(LookupError, match=signal):
                        await acquire(connector, key, log=log)

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(wait)
                    await anyio.wait_all_tasks_blocked()
                    connector.keep(held)
            else:
                with pytest.raises(LookupError, match=signal):
                    await acquire(connector, key, log=log)
            assert connector.pool.active_count == connector.pool.waiting_count == 0
            # The one that was kept is still good.
            leave(connector, await acquire(connector, key))
            assert connector.pool.place_count == 0


# Cancellation, limits and the end.


async def test_cancelled_after_any_turn_it_leaves_nothing(serve: Serve) -> None:
    """Three requests for one place; the second is cancelled after so many turns of the loop."""
    async with serve(Peer.answer_all) as origin:
        for turns in range(40):
            connector = TCPConnector(limit=1)
            async with httpclient.ClientSession(connector=connector) as session:
                done: list[int] = []
                scope = anyio.CancelScope()

                async def get(number: int, scope: anyio.CancelScope | None = None) -> None:
                    with scope or anyio.CancelScope():
                        async with session.get(origin.url) as resp:
                            await resp.read()
                        done.append(number)  # noqa: B023

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(get, 1)
                    tasks.start_soon(get, 2, scope)
                    tasks.start_soon(get, 3)
                    for _ in range(turns):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
                assert {1, 3} <= set(done)
                assert connector.pool.active_count == connector.pool.waiting_count == 0
                assert not connector._waiters
                assert not connector._scopes
                async with session.get(origin.url) as resp:
                    assert await resp.read() == b"ok"
    assert origin.accepted >= 40


async def test_cancelled_with_a_connection_that_broke_meanwhile(serve: Serve) -> None:
    """It was served, the connection was lost, and then its task was cancelled."""

    class Stuck(Log):
        async def send(self, name: str, params: object) -> None:
            if name == "on_connection_queued_end":
                await anyio.sleep_forever()

    async with serve(Peer.closed) as origin, TCPConnector(limit=1) as connector:
        key = key_of(origin)
        held = await acquire(connector, key)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(acquire, connector, key, NONE, Stuck())
            await anyio.wait_all_tasks_blocked()
            connector.keep(held)
            held.link.abort()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert connector.pool.active_count == connector.pool.idle_count == 0
        assert connector.pool.stats().origins[0].closed == {"lost": 1}


async def test_limit_holds_though_some_fail(serve: Serve) -> None:
    """S089."""
    now_open = most = 0

    async def script(peer: Peer) -> None:
        nonlocal now_open, most
        now_open += 1
        most = max(most, now_open)
        try:
            if peer.number % 3:
                await peer.answer()
            await peer.head()
            await peer.close()
        finally:
            now_open -= 1

    failed = 0
    async with serve(script) as origin:
        connector = TCPConnector(limit=3)
        async with httpclient.ClientSession(connector=connector) as session:

            async def post() -> None:
                nonlocal failed
                try:
                    async with session.post(origin.url) as resp:
                        await resp.read()
                except httpclient.ClientConnectionError:
                    failed += 1

            async with anyio.create_task_group() as tasks:
                for _ in range(30):
                    tasks.start_soon(post)
            assert connector.pool.active_count == 0
    assert failed
    assert most <= 3


async def test_close_ends_connecting(serve: Serve) -> None:
    """A handshake that does not get on."""
    shaking = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read(5)
        shaking.set()
        await peer.closed()

    async with serve(script) as origin:
        connector = TCPConnector(ssl=False)
        key = key_of(origin)._replace(is_ssl=True)

        async def connect() -> None:
            with pytest.raises(httpclient.ClientConnectionError, match="Connector is closed"):
                await acquire(connector, key)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connect)
            await shaking.wait()
            await connector.close(abort_ssl=True)
        assert connector.pool.active_count == 0
        with pytest.raises(httpclient.ClientConnectionError, match="Connector is closed"):
            await acquire(connector, key)


async def test_closed_while_a_handler_of_the_new_connection_runs(serve: Serve) -> None:
    async with serve(Peer.closed) as origin:
        connector = TCPConnector()

        class Closing(Log):
            async def send(self, name: str, params: object) -> None:
                if name == "on_connection_create_end":
                    connector._closed = True

        with pytest.raises(httpclient.ClientConnectionError, match="Connector is closed"):
            await acquire(connector, key_of(origin), log=Closing())
        assert connector.pool.active_count == 0


async def test_with_and_close_have_to_be_awaited() -> None:
    """S023, S214."""
    connector = TCPConnector()
    with pytest.raises(TypeError):
        with connector:  # type: ignore[attr-defined]
            pass
    with pytest.warns(RuntimeWarning, match="never awaited"):
        connector.close()  # type: ignore[unused-coroutine]
        gc.collect()
    await connector.close()
    await connector.close()
    assert connector.closed


async def test_expired_connection_is_not_given_to_who_waits(serve: Serve) -> None:
    """It was idle while its host waited for a place that others had."""
    async with serve(Peer.closed) as origin, serve(Peer.closed) as other:
        async with TCPConnector(limit=1) as connector:
            key = key_of(origin)
            old = await acquire(connector, key)
            connector.pool.put(old.place, old, connector.now())
            held = await acquire(connector, key_of(other))
            got: list[ClientHTTPConnection] = []

            async def wait() -> None:
                got.append(await acquire(connector, key))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                leave(connector, held)
            assert got[0] is not old
            assert old.link.closing
            leave(connector, got[0])


# Event loops.


def test_made_outside_of_a_loop_and_bound_to_the_first() -> None:
    connector = TCPConnector()
    session = httpclient.ClientSession(connector=connector)
    port = 0
    done = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response())
        await reader.read()
        writer.close()
        await writer.wait_closed()
        done.set()

    async def first() -> None:
        nonlocal port
        listener = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        await (await session.get(f"http://127.0.0.1:{port}/")).read()
        assert connector.pool.idle_count == 1
        listener.close()

    async def second() -> None:
        for url in (f"http://127.0.0.1:{port}/", "http://127.0.0.1:1/"):
            with pytest.raises(RuntimeError, match="belongs to another event loop"):
                await session.get(url)
            assert (connector.pool.active_count, connector.pool.idle_count) == (0, 1)
        await session.close()
        assert connector.closed

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(first())
        anyio.run(second, backend="trio")
    finally:
        loop.run_until_complete(done.wait())
        loop.close()


@pytest.mark.parametrize("how", ["close", "forget"])
def test_its_loop_was_closed(how: str) -> None:
    """Neither `close` nor garbage collection fails then."""
    connector: TCPConnector | None = TCPConnector()
    loop = asyncio.new_event_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        key = ConnectionKey(*listening.getsockname(), False)
        assert connector is not None
        connection = loop.run_until_complete(acquire(connector, key))
        sock = connection.link.info("socket")
        loop.close()

        async def again() -> None:
            assert connector is not None
            with pytest.raises(RuntimeError, match="make a session for each loop"):
                await connector.acquire(key, NONE, None)
            if how == "close":
                await connector.close()
                await connector.close()
                assert connector.closed

        asyncio.run(again())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            connector = None
            del connection
            gc.collect()
        texts = [str(one.message) for one in caught]
        assert ("Unclosed connector" in " ".join(texts)) is (how == "forget")
        sock._sock.close()


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_unclosed_connector_warns_once(serve: Serve, anyio_backend: str) -> None:
    """With the place where it was made, if Python traces that. On trio nobody else holds it."""
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.closed()
        closed.set()

    async with serve(script) as origin:
        tracemalloc.start(3)
        try:
            connector: TCPConnector | None = TCPConnector()
            assert connector is not None
            await acquire(connector, key_of(origin))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                connector = None
                gc.collect()
            ours = [one for one in caught if "Unclosed connector" in str(one.message)]
            assert len(ours) == 1
            assert ours[0].category is ResourceWarning
            made = tracemalloc.get_object_traceback(ours[0].source)
            assert made is not None
            assert __file__ in {frame.filename for frame in made}
        finally:
            tracemalloc.stop()
        await closed.wait()


async def test_closed_or_empty_connector_does_not_warn(serve: Serve) -> None:
    async with serve(Peer.closed) as origin:
        connector = TCPConnector()
        await acquire(connector, key_of(origin))
        await connector.close()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            connector.__del__()
            TCPConnector().__del__()
            with pytest.raises(ValueError, match="limit"):
                TCPConnector(limit=-1)
            gc.collect()


async def test_runtime_is_that_of_the_loop(anyio_backend_name: str) -> None:
    connector = TCPConnector()
    assert isinstance(connector._runtime, AnyioRuntime) is (anyio_backend_name == "trio")
    await connector.close()


async def test_sweep_on_use(serve: Serve, anyio_backend_name: str) -> None:
    """Where there is no timer, old connections go when another one is put back."""
    gate = Gate()
    async with serve(gate) as origin, TCPConnector(keepalive_timeout=10) as connector:
        key = key_of(origin)
        one, other = [await acquire(connector, key) for _ in range(2)]
        now = connector.now()
        connector.now = lambda: now  # type: ignore[method-assign]
        connector.keep(one)
        connector.now = lambda: now + 11  # type: ignore[method-assign]
        connector.keep(other)
        del connector.now
        assert one.link.closing
        assert not other.link.closing
        assert connector.pool.idle_count == 1
    gate.close()


async def test_forced_close_of_a_connection_that_was_kept(serve: Serve) -> None:
    async with serve(Peer.closed) as origin, TCPConnector(force_close=True) as connector:
        connection = await acquire(connector, key_of(origin))
        connector.keep(connection)
        assert connection.link.closing
        assert connector.pool.idle_count == 0
        assert connector.pool.stats().origins[0].closed == {"force_close": 1}


async def test_kind_without_a_way_to_connect(serve: Serve) -> None:
    async with serve(Peer.closed) as origin:
        connector = httpclient.BaseConnector()
        with pytest.raises(NotImplementedError):
            await connector.acquire(key_of(origin), NONE, None)
        assert connector.pool.active_count == 0
        await connector.close()


@pytest.mark.parametrize(
    ("timeout", "names"),
    [
        ({}, (None, None)),
        ({"connect": 5}, ("connect", "connect")),
        ({"connect": 5, "pool": 3, "sock_connect": 2}, ("pool", "sock_connect")),
        ({"connect": 5, "pool": 6, "sock_connect": 7}, ("connect", "connect")),
        ({"total": 1, "connect": 5, "pool": 3, "sock_connect": 2}, ("total", "total")),
    ],
)
def test_soonest_bound_counts(
    timeout: dict[str, float], names: tuple[str | None, str | None]
) -> None:
    now = 100.0
    total_at = now + timeout["total"] if "total" in timeout else None
    key = ConnectionKey("name.test", 80, False)
    bounds = Bounds(key, ClientTimeout(**timeout), total_at, now)
    for bound, name in zip((bounds.waiting(now, 1, 0), bounds.connecting(now)), names, strict=True):
        if name is None:
            assert bound == (float("inf"), None)
        else:
            assert bound.at == now + timeout[name]
            assert f"({name})" in str(bound.error)
            assert f"{timeout[name]} s" in str(bound.error)
            assert "name.test:80" in str(bound.error)


class Facts:
    """A link that tells of a socket."""

    def __init__(self, sock: socket.socket | None, *, closing: bool = False) -> None:
        self._sock = sock
        self.closing = closing

    def info(self, name: str, default: Any = None) -> Any:
        return self._sock


@pytest.mark.parametrize("polls", [True, False])
def test_what_is_readable(polls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not polls:
        monkeypatch.delattr("select.poll")
    ours, theirs = socket.socketpair()
    link: Any = Facts(ours)
    with ours, theirs:
        assert not is_readable(link)
        theirs.send(b"x")
        assert is_readable(link)
        ours.recv(1)
        assert not is_readable(link)
        theirs.close()
        assert is_readable(link)
    assert is_readable(link)
    # In memory there is none.
    for closing in (False, True):
        link = Facts(None, closing=closing)
        assert is_readable(link) is closing


async def test_connection_that_is_lost_when_it_is_made(serve: Serve) -> None:
    """The request will find out; nobody has to close it any more."""

    class Losing(TCPConnector):
        async def _dial(self, key: Any, connection: Any, traces: Any) -> None:
            await super()._dial(key, connection, traces)
            connection.link.abort()

    async with serve(Peer.closed) as origin, Losing() as connector:
        connection = await acquire(connector, key_of(origin))
        assert not connector._open
        connector.drop(connection)


def test_timer_keeps_no_connector_alive() -> None:
    connector = TCPConnector()
    reference = weakref.ref(connector)
    del connector
    gc.collect()
    assert reference() is None
    _sweep_again(reference)
