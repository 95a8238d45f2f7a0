from __future__ import annotations

import asyncio
import contextvars
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLCertVerificationError, SSLContext, create_default_context

import anyio
import anyio.lowlevel
import pytest
import trustme

from httpcore_proto.aio import (
    AnyioRuntime,
    AsyncioRuntime,
    Link,
    LinkLostError,
    Listener,
    Runtime,
    current_runtime,
)
from httpcore_proto.aio._asyncio_link import AsyncioLink

MakeRuntime = Callable[[], Runtime]

# A test that hangs shall say where.
PATIENCE = 10

every_runtime = pytest.mark.parametrize("make_runtime", [current_runtime, AnyioRuntime])


class Receiver:
    """Keeps what it is told."""

    link: Link

    def __init__(self) -> None:
        self.data = b""
        self.eof = False
        self.lost = False

    def link_made(self, link: Link) -> None:
        self.link = link

    def bytes_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.eof = True

    def link_lost(self, exc: Exception | None) -> None:
        self.lost = True

    async def until(self, data: bytes) -> None:
        """Wait until `data` is all that was received."""
        with anyio.fail_after(PATIENCE):
            while self.data != data:
                assert not self.lost
                await self.link.more()


class Echo(Receiver):
    """Sends everything back, twice."""

    def bytes_received(self, data: bytes) -> None:
        self.link.writelines([data, data])


def bound() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


class Origin:
    """A listener of a runtime, and the receivers that it made."""

    listener: Listener

    def __init__(self) -> None:
        self.receivers: list[Echo] = []

    def make_receiver(self) -> Echo:
        self.receivers.append(Echo())
        return self.receivers[-1]


@asynccontextmanager
async def serving(runtime: Runtime, *, ssl: SSLContext | None = None) -> AsyncIterator[Origin]:
    origin = Origin()
    origin.listener = await runtime.listen(origin.make_receiver, bound(), ssl=ssl)
    try:
        yield origin
    finally:
        await origin.listener.aclose()
        with anyio.fail_after(PATIENCE):
            for receiver in origin.receivers:
                if hasattr(receiver, "link"):
                    receiver.link.abort()
                    await receiver.link.wait_closed()


async def leave(link: Link) -> None:
    link.abort()
    with anyio.fail_after(PATIENCE):
        await link.wait_closed()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "example.org").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_tls(authority: trustme.CA) -> SSLContext:
    context = create_default_context()
    authority.configure_trust(context)
    return context


# Which runtime


async def test_current_runtime_fits_the_event_loop(anyio_backend_name: str) -> None:
    expected = {"asyncio": AsyncioRuntime, "trio": AnyioRuntime}
    runtime = current_runtime()
    assert type(runtime) is expected[anyio_backend_name]
    assert current_runtime() is not runtime


@pytest.mark.parametrize("make_runtime", [current_runtime, AnyioRuntime, AsyncioRuntime])
def test_without_event_loop_there_is_no_runtime(make_runtime: Callable[[], object]) -> None:
    with pytest.raises(RuntimeError):
        make_runtime()


# Time and waiting


@every_runtime
async def test_sleep_lets_others_run_and_the_clock_does_not_go_back(
    make_runtime: MakeRuntime,
) -> None:
    runtime = make_runtime()
    before = runtime.now()
    steps: list[str] = []

    async def other() -> None:
        steps.append("other")

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        assert steps == []
        with anyio.fail_after(PATIENCE):
            while not steps:
                await runtime.sleep(0)
    assert runtime.now() >= before
    await runtime.sleep(0.01)
    assert runtime.now() > before


@every_runtime
async def test_waiter(make_runtime: MakeRuntime) -> None:
    waiter = make_runtime().waiter()
    steps: list[str] = []

    async def wait() -> None:
        await waiter.wait()
        steps.append("waited")

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert steps == []
        waiter.set()
        waiter.set()
    assert steps == ["waited"]
    with anyio.fail_after(PATIENCE):
        await waiter.wait()


@every_runtime
async def test_waiter_that_was_set_before(make_runtime: MakeRuntime) -> None:
    waiter = make_runtime().waiter()
    waiter.set()
    with anyio.fail_after(PATIENCE):
        await waiter.wait()


# Tasks


@every_runtime
async def test_spawn_runs_a_task_with_its_arguments(make_runtime: MakeRuntime) -> None:
    async with make_runtime() as runtime:
        done = runtime.waiter()
        given: list[tuple[str, int]] = []

        async def task(word: str, number: int) -> None:
            given.append((word, number))
            done.set()

        kept = runtime.spawn(task("a", 1))
        assert given == []
        with anyio.fail_after(PATIENCE):
            await done.wait()
        assert given == [("a", 1)]
        kept.cancel()  # too late, and no harm


@every_runtime
async def test_a_task_that_is_cancelled_sees_it(make_runtime: MakeRuntime) -> None:
    async with make_runtime() as runtime:
        started, ended = runtime.waiter(), runtime.waiter()
        seen: list[type[BaseException]] = []

        async def task() -> None:
            try:
                started.set()
                await anyio.sleep_forever()
            except BaseException as exc:
                seen.append(type(exc))
                ended.set()
                raise

        kept = runtime.spawn(task())
        with anyio.fail_after(PATIENCE):
            await started.wait()
            assert seen == []
            kept.cancel()
            await ended.wait()
        assert seen == [anyio.get_cancelled_exc_class()]


@every_runtime
async def test_a_task_has_a_copy_of_the_context(make_runtime: MakeRuntime) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    async with make_runtime() as runtime:
        done = runtime.waiter()
        seen: list[str] = []

        async def task() -> None:
            seen.append(variable.get())
            variable.set("the task's")
            done.set()

        variable.set("the caller's")
        kept = runtime.spawn(task())
        with anyio.fail_after(PATIENCE):
            await done.wait()
        assert seen == ["the caller's"]
        assert variable.get() == "the caller's"
        kept.cancel()


async def test_anyio_runtime_that_is_not_entered_has_no_tasks() -> None:
    runtime = AnyioRuntime()

    async def task() -> None:
        raise AssertionError("this must not run")

    with pytest.raises(RuntimeError, match="async with"):
        runtime.spawn(task())
    async with runtime:
        pass
    with pytest.raises(RuntimeError, match="async with"):
        runtime.spawn(task())
    with bound() as sock, pytest.raises(RuntimeError, match="async with"):
        await runtime.listen(Echo, sock)


async def test_a_task_that_raises_is_logged_and_ends_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with AnyioRuntime() as runtime:
        done = runtime.waiter()

        async def breaks() -> None:
            raise LookupError("broken")

        async def goes_on() -> None:
            await anyio.wait_all_tasks_blocked()
            done.set()

        runtime.spawn(goes_on())
        runtime.spawn(breaks())
        with anyio.fail_after(PATIENCE):
            await done.wait()
        later = runtime.waiter()

        async def starts() -> None:
            later.set()

        runtime.spawn(starts())
        with anyio.fail_after(PATIENCE):
            await later.wait()
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("httpcore_proto.aio", logging.ERROR)
    assert "breaks" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


async def test_leaving_anyio_runtime_ends_its_tasks() -> None:
    ended: list[str] = []

    async def task(started: anyio.Event) -> None:
        try:
            started.set()
            await anyio.sleep_forever()
        finally:
            ended.append("task")

    async def block() -> None:
        async with AnyioRuntime() as runtime:
            started = anyio.Event()
            runtime.spawn(task(started))
            await started.wait()
            raise KeyError  # goes its own way, in no group

    with pytest.raises(KeyError), anyio.fail_after(PATIENCE):
        await block()
    assert ended == ["task"]


async def test_anyio_runtime_is_left_inside_of_another_scope() -> None:
    """The stack of cancel scopes broke, in every set-up that is not a block."""
    runtime = AnyioRuntime()
    ended = anyio.Event()
    started = anyio.Event()

    async def task() -> None:
        try:
            started.set()
            await anyio.sleep_forever()
        finally:
            ended.set()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group():
            await runtime.__aenter__()
        runtime.spawn(task())
        await started.wait()
        with anyio.CancelScope() as scope:
            await runtime.__aexit__(None, None, None)
        assert not scope.cancelled_caught
    assert ended.is_set()


async def test_anyio_runtime_is_left_by_another_task() -> None:
    runtime = AnyioRuntime()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(runtime.__aenter__)
        async with anyio.create_task_group() as group:
            group.start_soon(runtime.__aexit__, None, None, None)
    with pytest.raises(RuntimeError):
        runtime.spawn(anyio.sleep_forever())


# Sockets


@every_runtime
async def test_round_trip(make_runtime: MakeRuntime) -> None:
    client = Receiver()
    async with make_runtime() as runtime, serving(runtime) as origin:
        host, port = origin.listener.sockname
        assert host == "127.0.0.1"
        link = await runtime.connect_tcp(client, host, port)
        assert client.link is link
        assert link.info("peername") == (host, port)
        link.write(b"ping")
        await link.drain()
        await client.until(b"pingping")
        # Unless both ends have it, what is written in two pieces waits for 40 ms.
        for end in (link, origin.receivers[0].link):
            assert end.info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await leave(link)
        assert client.lost


@every_runtime
async def test_each_link_has_a_receiver_of_its_own(make_runtime: MakeRuntime) -> None:
    clients = [Receiver() for _ in range(3)]
    async with make_runtime() as runtime, serving(runtime) as origin:
        for client in clients:
            await runtime.connect_tcp(client, *origin.listener.sockname)
        for number, client in enumerate(clients):
            client.link.write(b"%d" % number)
            await client.link.drain()
        for number, client in enumerate(clients):
            await client.until(b"%d%d" % (number, number))
        assert len(origin.receivers) == 3
        for client in clients:
            await leave(client.link)


@every_runtime
async def test_links_live_on_when_the_listener_is_closed(make_runtime: MakeRuntime) -> None:
    client = Receiver()
    async with make_runtime() as runtime, serving(runtime) as origin:
        sockname = origin.listener.sockname
        link = await runtime.connect_tcp(client, *sockname)
        link.write(b"1")
        await link.drain()
        await client.until(b"11")
        await origin.listener.aclose()
        await origin.listener.aclose()
        link.write(b"2")
        await link.drain()
        await client.until(b"1122")
        with pytest.raises(ConnectionRefusedError):
            await runtime.connect_tcp(Receiver(), *sockname)
        await leave(link)


@every_runtime
async def test_a_refused_connection_is_an_os_error(make_runtime: MakeRuntime) -> None:
    receiver = Receiver()
    # Bound, but nobody listens.
    with bound() as sock, pytest.raises(ConnectionRefusedError):
        await make_runtime().connect_tcp(receiver, *sock.getsockname())
    assert not hasattr(receiver, "link")


@every_runtime
async def test_connect_from_a_local_address(make_runtime: MakeRuntime) -> None:
    with bound() as sock:
        local = sock.getsockname()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        link = await make_runtime().connect_tcp(Receiver(), *sock.getsockname(), local_addr=local)
        accepted, address = sock.accept()
        accepted.close()
        assert address == link.info("sockname") == local
        await leave(link)


@every_runtime
async def test_drain_of_a_lost_link_says_so(make_runtime: MakeRuntime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        link = await make_runtime().connect_tcp(Receiver(), *sock.getsockname())
        assert not link.closing
        await leave(link)
        assert link.closing
        with pytest.raises(LinkLostError):
            await link.drain()


# TLS


@every_runtime
@pytest.mark.parametrize("server_hostname", [None, "example.org"])
async def test_tls_round_trip(
    make_runtime: MakeRuntime,
    server_tls: SSLContext,
    client_tls: SSLContext,
    server_hostname: str | None,
) -> None:
    client = Receiver()
    async with make_runtime() as runtime, serving(runtime, ssl=server_tls) as origin:
        link = await runtime.connect_tcp(
            client,
            *origin.listener.sockname,
            ssl=client_tls,
            server_hostname=server_hostname,
        )
        assert link.info("ssl_object").version() == "TLSv1.3"
        assert link.info("sslcontext") is client_tls
        for count in range(1, 4):
            link.write(b"ping")
            await link.drain()
            await client.until(b"pingping" * count)
        link.close()
        with anyio.fail_after(PATIENCE):
            await link.wait_closed()
        assert client.lost


@every_runtime
@pytest.mark.parametrize("fault", ["authority", "name"])
async def test_a_certificate_that_is_not_trusted(
    make_runtime: MakeRuntime,
    server_tls: SSLContext,
    client_tls: SSLContext,
    fault: str,
) -> None:
    receiver, client = Receiver(), Receiver()
    context = create_default_context() if fault == "authority" else client_tls
    hostname = "example.com" if fault == "name" else None
    async with make_runtime() as runtime, serving(runtime, ssl=server_tls) as origin:
        sockname = origin.listener.sockname
        with pytest.raises(SSLCertVerificationError):
            await runtime.connect_tcp(receiver, *sockname, ssl=context, server_hostname=hostname)
        assert not hasattr(receiver, "link")
        # One bad peer is no reason to stop.
        link = await runtime.connect_tcp(client, *sockname, ssl=client_tls)
        link.write(b"x")
        await link.drain()
        await client.until(b"xx")
        await leave(link)


@every_runtime
async def test_tls_with_a_peer_that_goes_away(
    make_runtime: MakeRuntime, client_tls: SSLContext
) -> None:
    failed: list[OSError] = []

    async def connect(address: tuple[str, int]) -> None:
        try:
            await make_runtime().connect_tcp(Receiver(), *address, ssl=client_tls)
        except OSError as exc:
            failed.append(exc)

    with socket.create_server(("127.0.0.1", 0)) as sock, anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(connect, sock.getsockname())
            accepted, _ = await anyio.to_thread.run_sync(sock.accept)
            accepted.close()
    assert len(failed) == 1


# Connected sockets


def connected_pair(family: int) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection; ours is not blocking."""
    if family == socket.AF_INET:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            ours = socket.create_connection(listening.getsockname())
            theirs, _ = listening.accept()
    else:
        ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


@every_runtime
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
async def test_link_of_a_connected_socket(make_runtime: MakeRuntime, family: int) -> None:
    client = Receiver()
    ours, theirs = connected_pair(family)
    with theirs:
        link = await make_runtime().connect_sock(client, ours)
        assert client.link is link
        theirs.send(b"ping")
        await client.until(b"ping")
        link.write(b"pong")
        await link.drain()
        with anyio.fail_after(PATIENCE):
            await anyio.wait_readable(theirs)
        assert theirs.recv(10) == b"pong"
        await leave(link)
        assert client.lost
        assert ours.fileno() == -1


@every_runtime
async def test_socket_that_was_reset_before(make_runtime: MakeRuntime) -> None:
    """It is an OSError, in the call or right after, and the socket is closed."""
    ours, theirs = connected_pair(socket.AF_INET)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    client = Receiver()
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        link = await make_runtime().connect_sock(client, ours)
        with anyio.fail_after(PATIENCE):
            while not client.lost:
                await link.more()
        await link.drain()
    assert ours.fileno() == -1


@every_runtime
@pytest.mark.parametrize("hostname", ["example.org", "example.com"])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
async def test_tls_over_a_connected_socket(
    make_runtime: MakeRuntime,
    server_tls: SSLContext,
    client_tls: SSLContext,
    family: int,
    hostname: str,
) -> None:
    client, served = Receiver(), Receiver()
    ours, theirs = connected_pair(family)
    runtime = make_runtime()
    link = await runtime.connect_sock(served, theirs)

    async def serve() -> None:
        try:
            await link.start_tls(server_tls, server_side=True)
        except OSError:
            pass  # the client may not like the certificate

    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        with anyio.fail_after(PATIENCE):
            if hostname == "example.org":
                await runtime.connect_sock(client, ours, ssl=client_tls, server_hostname=hostname)
                assert client.link.info("ssl_object").version() == "TLSv1.3"
                await leave(client.link)
            else:
                with pytest.raises(SSLCertVerificationError):
                    await runtime.connect_sock(
                        client, ours, ssl=client_tls, server_hostname=hostname
                    )
                assert not hasattr(client, "link")
            while ours.fileno() != -1:
                await anyio.lowlevel.checkpoint()
    link.abort()
    await link.wait_closed()


@every_runtime
async def test_cancelled_in_the_handshake_the_socket_is_closed(
    make_runtime: MakeRuntime, client_tls: SSLContext
) -> None:
    ours, theirs = connected_pair(socket.AF_INET)
    client = Receiver()

    async def connect() -> None:
        await make_runtime().connect_sock(
            client, ours, ssl=client_tls, server_hostname="example.org"
        )

    with theirs:
        async with anyio.create_task_group() as group:
            group.start_soon(connect)
            with anyio.fail_after(PATIENCE):
                await anyio.wait_readable(theirs)
            group.cancel_scope.cancel()
        with anyio.fail_after(PATIENCE):
            while ours.fileno() != -1:
                await anyio.lowlevel.checkpoint()
        assert not hasattr(client, "link")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_named_pipe_is_listened_on_by_loops_that_know_it(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A Unix socket plays the pipe."""
    loop, path = asyncio.get_running_loop(), str(tmp_path / "pipe")
    made = asyncio.Event()

    class Server(Receiver):
        def link_made(self, link: Link) -> None:
            super().link_made(link)
            made.set()

    server = Server()
    with pytest.raises(RuntimeError, match="ProactorEventLoop"):
        await AsyncioRuntime().listen_pipe(lambda: server, path)

    async def start_serving_pipe(factory: Callable[[], AsyncioLink], path: str) -> object:
        return [await loop.create_unix_server(factory, path)]

    monkeypatch.setattr(loop, "start_serving_pipe", start_serving_pipe, raising=False)
    listener = await AsyncioRuntime().listen_pipe(lambda: server, path)
    assert listener.sockname == path
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        await loop.sock_connect(client, path)
        await loop.sock_sendall(client, b"x")
        await made.wait()
        await server.until(b"x")
        await leave(server.link)
    await listener.aclose()
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(OSError, match=r"refused|No such"):
        client.connect(path)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_named_pipe_is_for_loops_that_know_it(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they are, a transport of the loop is the link; a Unix socket plays the pipe."""
    loop = asyncio.get_running_loop()
    with pytest.raises(RuntimeError, match="ProactorEventLoop"):
        await AsyncioRuntime().connect_pipe(Receiver(), "pipe")
    ours, theirs = connected_pair(socket.AF_UNIX)
    paths = []

    async def create_pipe_connection(factory: Callable[[], AsyncioLink], path: str) -> object:
        paths.append(path)
        return await loop.create_unix_connection(factory, sock=ours)

    monkeypatch.setattr(loop, "create_pipe_connection", create_pipe_connection, raising=False)
    client = Receiver()
    with theirs:
        link = await AsyncioRuntime().connect_pipe(client, "pipe")
        theirs.send(b"x")
        await client.until(b"x")
        await leave(link)
    assert paths == ["pipe"]
