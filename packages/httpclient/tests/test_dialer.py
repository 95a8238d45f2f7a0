"""Connecting over TCP: which sockets are made, and what is tried after what."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from httpclient import AddressPolicy, AddrInfoType, ResolveResult, ServerFingerprintMismatch
from httpclient._address_policy import RefusedAddressError
from httpclient._dialer import Dialer
from httpclient._dns_cache import Lookups
from httpclient._fingerprint import Fingerprint
from httpclient._sockets import connect_socket, is_address
from httpcore_proto.aio import current_runtime

from .conftest import PATIENCE, Peer
from .loopback import CountingResolver, serve_at
from .proxies import Tap

ASK = b"GET / HTTP/1.1\r\n\r\n"


def make(resolver: CountingResolver, **options: Any) -> Dialer:
    """Return a dialer without a cache."""
    return Dialer(current_runtime, Lookups(resolver, None, socket.AF_UNSPEC), **options)


class Sockets:
    """A socket factory that keeps what it made."""

    def __init__(self) -> None:
        self.addresses: list[AddrInfoType] = []
        self.made: list[socket.socket] = []

    def __call__(self, address: AddrInfoType) -> socket.socket:
        family, kind, proto, _, _ = address
        self.addresses.append(address)
        self.made.append(socket.socket(family, kind, proto))
        return self.made[-1]

    @property
    def hosts(self) -> list[str]:
        return [address[4][0] for address in self.addresses]


async def leave(tap: Tap) -> None:
    """Close a link."""
    tap.link.abort()
    await tap.link.wait_closed()


async def test_connects_to_the_address_of_a_name() -> None:
    async with serve_at("127.0.0.1", Peer.answer) as origin:
        tap, sockets = Tap(), Sockets()
        dialer = make(resolver := CountingResolver("127.0.0.1"), socket_factory=sockets)
        link = await dialer.connect(tap, "name.test", origin.port)
        assert tap.link is link
        assert resolver.asked == [("name.test", origin.port, socket.AF_UNSPEC)]
        where = ("127.0.0.1", origin.port)
        assert sockets.addresses == [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)
        ]
        assert link.info("peername") == where
        assert link.info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert (await tap.ask(ASK)).startswith(b"HTTP/1.1 200")
        await leave(tap)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "fe80::1%lo"])
def test_addresses_are_no_names(host: str) -> None:
    assert is_address(host)


@pytest.mark.parametrize("host", ["", "name.test", "127.1", "[::1]", "127.0.0.1.", "\u0661.0.0.1"])
def test_names_are_no_addresses(host: str) -> None:
    assert not is_address(host)


async def test_address_is_not_looked_up() -> None:
    dialer = make(resolver := CountingResolver())
    zone = socket.if_indextoname(1)
    for host, sockaddr in (
        ("127.0.0.1", ("127.0.0.1", 80)),
        ("::1", ("::1", 80, 0, 0)),
        (f"fe80::1%{zone}", ("fe80::1", 80, 0, 1)),
    ):
        (address,) = await dialer.resolve(host, 80)
        assert address[0] == (socket.AF_INET if len(sockaddr) == 2 else socket.AF_INET6)
        assert address[4] == sockaddr
    assert not resolver.asked


@pytest.mark.parametrize(
    ("host", "asked"), [("name.test..", "name.test."), ("name.test.", "name.test."), ("a.b", "a.b")]
)
async def test_several_trailing_dots_are_one(host: str, asked: str) -> None:
    dialer = make(resolver := CountingResolver())
    await dialer.resolve(host, 80)
    assert resolver.asked[0][0] == asked


@pytest.mark.parametrize("host", ["name.test", "127.1", "", "fe80::1%no-such-link"])
async def test_resolver_that_gives_no_address(host: str) -> None:
    """The system would look such a name up when it is connected to, and block."""
    with pytest.raises(socket.gaierror):
        await make(CountingResolver(host)).resolve("name.test", 80)


async def test_order_of_addresses() -> None:
    found = ["2001:db8::1", "2001:db8::2", "2001:db8::1", "192.0.2.1"]
    for first_count, order in (
        (1, ["2001:db8::1", "192.0.2.1", "2001:db8::2"]),
        (0, ["2001:db8::1", "2001:db8::2", "192.0.2.1"]),
    ):
        addresses = await make(CountingResolver(*found), first_count=first_count).resolve("a", 80)
        assert [address[4][0] for address in addresses] == order


async def test_next_address_is_tried() -> None:
    async with serve_at("127.0.0.1", Peer.answer) as origin:
        for delay in (None, 3600.0):
            sockets = Sockets()
            dialer = make(
                CountingResolver("127.0.0.2", "127.0.0.3", "127.0.0.1", "127.0.0.4"),
                socket_factory=sockets,
                happy_eyeballs_delay=delay,
            )
            tap = Tap()
            await dialer.connect(tap, "name.test", origin.port)
            assert sockets.hosts == ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
            assert [sock.fileno() for sock in sockets.made[:2]] == [-1, -1]
            await leave(tap)


async def test_error_names_the_last_address() -> None:
    dialer = make(CountingResolver("127.0.0.2", "127.0.0.1"))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(ConnectionRefusedError) as caught:
            await dialer.connect(Tap(), "name.test", port)
    assert caught.value.errno == errno.ECONNREFUSED
    assert caught.value.strerror == f"Connection refused: 127.0.0.1 port {port}"


async def test_slow_address_is_overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket is closed. Whoever asks waits for the head start, and no longer."""

    async def connect(sock: socket.socket, address: Any) -> None:
        if address[0] == "127.0.0.2":
            await anyio.sleep_forever()
        await connect_socket(sock, address)

    monkeypatch.setattr("httpclient._dialer.connect_socket", connect)
    async with serve_at("127.0.0.1", Peer.answer) as origin:
        tap, sockets = Tap(), Sockets()
        dialer = make(
            CountingResolver("127.0.0.2", "127.0.0.1"),
            socket_factory=sockets,
            happy_eyeballs_delay=0,
        )
        with anyio.fail_after(PATIENCE):
            await dialer.connect(tap, "name.test", origin.port)
        assert sockets.made[0].fileno() == -1
        assert tap.link.info("peername")[0] == "127.0.0.1"
        await leave(tap)


async def test_cancelled_it_closes_its_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(sock: socket.socket, address: Any) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr("httpclient._dialer.connect_socket", connect)
    for addresses in (["127.0.0.2"], ["127.0.0.2", "127.0.0.3"]):
        sockets = Sockets()
        dialer = make(CountingResolver(*addresses), socket_factory=sockets, happy_eyeballs_delay=0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dialer.connect, Tap(), "name.test", 80)
            while len(sockets.made) < len(addresses):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert {sock.fileno() for sock in sockets.made} == {-1}


async def test_cancelled_while_the_system_connects() -> None:
    """A listening socket whose backlog is full answers to nobody."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        for sock in crowd:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        sockets = Sockets()
        dialer = make(CountingResolver(), socket_factory=sockets)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dialer.connect, Tap(), *full.getsockname())
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert sockets.made[0].fileno() == -1
        for sock in crowd:
            sock.close()


async def test_socket_factory_that_fails() -> None:
    """The other addresses are tried, and nobody sees an exception group."""

    def fail(address: AddrInfoType) -> socket.socket:
        raise LookupError(address[4][0])

    for addresses in (["127.0.0.2"], ["127.0.0.2", "127.0.0.1"]):
        dialer = make(CountingResolver(*addresses), socket_factory=fail)
        with pytest.raises(LookupError, match=addresses[-1]):
            await dialer.connect(Tap(), "name.test", 80)


async def test_socket_factory_may_lead_elsewhere(tmp_path: Any) -> None:
    """A socket that is none of TCP has no option of TCP."""
    made: list[socket.socket] = []

    def make_unix(address: AddrInfoType) -> socket.socket:
        made.append(socket.socket(socket.AF_UNIX))
        return made[-1]

    with pytest.raises(TypeError):  # the address is none for such a socket
        await make(CountingResolver(), socket_factory=make_unix).connect(Tap(), "a.test", 80)
    assert made[0].fileno() == -1


async def test_local_address() -> None:
    async with serve_at("127.0.0.1", Peer.answer) as origin:
        tap = Tap()
        dialer = make(CountingResolver("127.0.0.1"), local_addr=("127.0.0.2", 0))
        await dialer.connect(tap, "name.test", origin.port)
        assert tap.link.info("sockname")[0] == "127.0.0.2"
        await leave(tap)
        dialer = make(CountingResolver("127.0.0.1"), local_addr=("::1", 0))
        with pytest.raises(OSError, match="local_addr ::1 is of another address family") as caught:
            await dialer.connect(tap, "name.test", origin.port)
        assert not isinstance(caught.value, socket.gaierror)


# Policies.


async def test_address_that_is_refused_is_not_connected_to() -> None:
    sockets = Sockets()
    policy = AddressPolicy(deny_networks=["127.0.0.2/32"])
    async with serve_at("127.0.0.1", Peer.answer) as origin:
        tap = Tap()
        dialer = make(
            CountingResolver("127.0.0.2", "127.0.0.1"),
            socket_factory=sockets,
            address_policy=policy,
        )
        await dialer.connect(tap, "name.test", origin.port)
        assert sockets.hosts == ["127.0.0.1"]
        await leave(tap)


@pytest.mark.parametrize("host", ["name.test", "127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_policy_holds_for_names_and_addresses(host: str) -> None:
    sockets = Sockets()
    dialer = make(
        CountingResolver("127.0.0.1", "::1"),
        socket_factory=sockets,
        address_policy=AddressPolicy.public_only(),
    )
    with pytest.raises(RefusedAddressError, match=r"refused: .*is not public"):
        await dialer.connect(Tap(), host, 80)
    assert not sockets.made


class Rebinding(CountingResolver):
    """Gives another address each time."""

    async def resolve(self, *args: Any, **kwargs: Any) -> list[ResolveResult]:
        found = await super().resolve(*args, **kwargs)
        self.addresses = ["127.0.0.1"]
        return found


async def test_name_that_changes_its_address_is_refused() -> None:
    """DNS rebinding: what is looked at is what is connected to, each time anew."""
    seen: list[ipaddress.IPv4Address] = []

    class Policy(AddressPolicy):
        def check(self, address: Any, port: int) -> None:
            seen.append(address)
            if len(seen) > 1:
                super().check(address, port)

    resolver = Rebinding("127.0.0.3")
    async with serve_at("127.0.0.3", Peer.answer) as origin:
        tap = Tap()
        dialer = make(resolver, address_policy=Policy(public=True))
        await dialer.connect(tap, "name.test", origin.port)
        await leave(tap)
        with pytest.raises(RefusedAddressError):
            await dialer.connect(Tap(), "name.test", origin.port)
    assert list(map(str, seen)) == ["127.0.0.3", "127.0.0.1"]


# TLS.


async def test_tls_with_the_name_of_the_host(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with serve_at("127.0.0.1", Peer.answer, tls=server_tls) as origin:
        for host in ("name.test", "name.test.", "name.test.."):
            tap = Tap()
            await make(CountingResolver()).connect(tap, host, origin.port, context=client_tls)
            assert tap.link.info("ssl_object").server_hostname == "name.test"
            await leave(tap)
        with pytest.raises(ssl.SSLCertVerificationError):
            await make(CountingResolver()).connect(
                Tap(), "other.test", origin.port, context=client_tls
            )
        tap = Tap()
        await make(CountingResolver()).connect(
            tap, "other.test", origin.port, context=client_tls, server_hostname="name.test"
        )
        await leave(tap)


async def test_other_addresses_are_tried_after_tls_failed(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def no_tls(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serve_at("127.0.0.1", Peer.answer, tls=server_tls) as origin:
        async with serve_at("127.0.0.2", no_tls, port=origin.port) as wrong:
            sockets = Sockets()
            dialer = make(
                CountingResolver("127.0.0.3", "127.0.0.2", "127.0.0.1"), socket_factory=sockets
            )
            tap = Tap()
            await dialer.connect(tap, "name.test", origin.port, context=client_tls)
            assert tap.made == 1
            assert tap.link.info("peername")[0] == "127.0.0.1"
            assert sockets.hosts == ["127.0.0.3", "127.0.0.2", "127.0.0.1"]
            await leave(tap)
            with pytest.raises(ssl.SSLError):
                await make(CountingResolver("127.0.0.2", "127.0.0.2")).connect(
                    Tap(), "name.test", origin.port, context=client_tls
                )
    assert wrong.accepted == 2


async def test_what_comes_before_the_fingerprint_is_checked_is_handed_on(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """Unasked bytes: the connection has to hear of them, so that it is not used."""
    sent = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.send(b"unasked")
        await peer.close()
        sent.set()

    class Accepting(Fingerprint):
        checked = 0

        def check(self, link: Any) -> None:
            # What a link does when it finds something before it is handed over.
            link._receiver.bytes_received(b"unasked")
            link._receiver.eof_received()
            link._receiver.link_lost(None)
            Accepting.checked += 1

    async with serve_at("127.0.0.1", script, tls=server_tls) as origin:
        tap = Tap()
        await make(CountingResolver()).connect(
            tap, "name.test", origin.port, context=client_tls, fingerprint=Accepting(b"x" * 32)
        )
        assert Accepting.checked == tap.made == 1
        assert tap.received.startswith(b"unasked")
        assert tap.lost
        await leave(tap)


async def test_fingerprint_that_fails_everywhere(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with serve_at("127.0.0.1", Peer.closed, tls=server_tls) as origin:
        tap = Tap()
        with pytest.raises(ServerFingerprintMismatch):
            await make(CountingResolver()).connect(
                tap,
                "name.test",
                origin.port,
                context=client_tls,
                fingerprint=Fingerprint(b"x" * 32),
            )
        assert tap.made == 0
    assert origin.accepted == 1


async def test_full_unix_backlog_is_no_connection(tmp_path: Any) -> None:
    """A Unix socket says EAGAIN then, which for asyncio is a connection on its way."""
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(str(tmp_path / "s"))
        full.listen(0)
        crowd = []
        try:
            with pytest.raises(BlockingIOError):
                for _ in range(10):
                    crowd.append(socket.socket(socket.AF_UNIX))
                    await connect_socket(crowd[-1], str(tmp_path / "s"))
        finally:
            for sock in crowd:
                sock.close()
    assert len(crowd) > 1
