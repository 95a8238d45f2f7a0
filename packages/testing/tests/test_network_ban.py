"""`no_network`: what is barred, by whatever it is tried, and what is not."""

from __future__ import annotations

import socket
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import anyio
import pytest

import httpserver
from httpclient import (
    AsyncResolver,
    ClientSession,
    DefaultResolver,
    HostsResolver,
    TCPConnector,
    ThreadedResolver,
)
from httpcore_testing import MockConnector, NetworkBarredError, RawTestServer, no_network

# RFC 5737 section 3 and RFC 6761 section 6.4: nobody is there, should the ban fail.
ADDRESS = "192.0.2.1"
NAME = "api.invalid"


async def _served(request: httpserver.BaseRequest) -> httpserver.StreamResponse:
    return httpserver.Response(text="served")


@pytest.mark.anyio
@pytest.mark.parametrize("host", [ADDRESS, NAME, "[2001:db8::1]"])
async def test_client_is_barred(host: str) -> None:
    with no_network():
        async with ClientSession() as session:
            with pytest.raises(NetworkBarredError) as caught:
                await session.get(f"http://{host}/")
    assert caught.value.host == host.strip("[]")
    assert f"no_network(allow=['{host.strip('[]')}'])" in str(caught.value)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [DefaultResolver, ThreadedResolver, AsyncResolver])
async def test_resolvers_are_barred(kind: Any) -> None:
    with no_network(), pytest.raises(NetworkBarredError, match="was to be looked up"):
        await kind.resolve(object(), NAME, 80)


@pytest.mark.anyio
async def test_client_reaches_the_loopback() -> None:
    with no_network():
        async with RawTestServer(_served) as server:
            resolver = HostsResolver({NAME: "127.0.0.1"}, fallback=DefaultResolver())
            async with ClientSession(connector=TCPConnector(resolver=resolver)) as session:
                for host in ("127.0.0.1", "localhost", NAME):
                    async with session.get(f"http://{host}:{server.port}/") as response:
                        assert await response.text() == "served"
            await resolver.close()


@pytest.mark.anyio
async def test_name_that_leads_elsewhere_is_barred() -> None:
    resolver = HostsResolver({NAME: ADDRESS})
    with no_network():
        async with ClientSession(connector=TCPConnector(resolver=resolver)) as session:
            with pytest.raises(NetworkBarredError, match=f"{ADDRESS} port 80 was to be connected"):
                await session.get(f"http://{NAME}/")
    await resolver.close()


@pytest.mark.anyio
async def test_mock_needs_no_network() -> None:
    with no_network():
        async with MockConnector() as mock, ClientSession(connector=mock) as session:
            mock.get(f"https://{NAME}/").reply(body="mocked")
            async with session.get(f"https://{NAME}/") as response:
                assert await response.text() == "mocked"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_anyio_is_barred(backend: str) -> None:
    with no_network(), pytest.raises(NetworkBarredError):
        anyio.run(anyio.connect_tcp, NAME, 80, backend=backend)


@pytest.mark.parametrize("host", [ADDRESS, NAME])
def test_urllib_is_barred(host: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with no_network(), pytest.raises(NetworkBarredError):
        opener.open(f"http://{host}/", timeout=1)


@pytest.mark.parametrize(
    ("event", "target"),
    [
        ("socket.connect", (ADDRESS, 80)),
        ("socket.sendto", (ADDRESS, 53)),
        ("socket.sendmsg", (ADDRESS, 53)),
        ("socket.connect", (NAME, 80)),
        ("socket.connect", ("0.0.0.1", 80)),
        ("socket.connect", ("localhost.example", 80)),
    ],
)
def test_sockets_are_barred(event: str, target: Any) -> None:
    with socket.socket() as sock, no_network(), pytest.raises(NetworkBarredError):
        sys.audit(event, sock, target)


def test_sockets_of_python_tell_what_they_do() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock, no_network():
        sock.setblocking(False)
        for act in (sock.connect, sock.connect_ex):
            with pytest.raises(NetworkBarredError):
                act((ADDRESS, 9))
        with pytest.raises(NetworkBarredError):
            sock.sendto(b"x", (ADDRESS, 9))
        with pytest.raises(NetworkBarredError):
            sock.sendmsg([b"x"], [], 0, (ADDRESS, 9))


@pytest.mark.parametrize(
    "lookup",
    [
        lambda: socket.getaddrinfo(NAME, 80),
        lambda: socket.getaddrinfo(b"api.invalid.", 80),
        lambda: socket.gethostbyname(NAME),
        lambda: socket.gethostbyname_ex(NAME),
        lambda: socket.gethostbyaddr(ADDRESS),
    ],
)
def test_lookups_are_barred(lookup: Any) -> None:
    with no_network(), pytest.raises(NetworkBarredError, match="was to be looked up"):
        lookup()


@pytest.mark.parametrize(
    ("family", "target"),
    [
        (socket.AF_INET, ("127.0.0.1", 80)),
        (socket.AF_INET, ("127.8.9.10", 80)),
        (socket.AF_INET, ("0.0.0.0", 80)),
        (socket.AF_INET, ("localhost", 80)),
        (socket.AF_INET, ("a.localhost.", 80)),
        (socket.AF_INET, ("", 80)),
        (socket.AF_INET6, ("::1", 80, 0, 0)),
        (socket.AF_INET6, ("::ffff:127.0.0.1", 80, 0, 0)),
        (socket.AF_INET6, ("::1%lo", 80, 0, 0)),
    ],
)
def test_the_loopback_is_not_barred(family: int, target: Any) -> None:
    with socket.socket(family) as sock, no_network():
        sys.audit("socket.connect", sock, target)


def test_lookups_that_ask_nobody_are_not_barred() -> None:
    with no_network():
        assert socket.getaddrinfo(ADDRESS, 80, type=socket.SOCK_STREAM)
        assert socket.getaddrinfo(None, 80)
        assert socket.getaddrinfo("localhost", 80)


def test_unix_sockets_are_not_barred(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        with no_network():
            client.connect(str(tmp_path / "s"))


def test_allowed_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(name: str, port: object) -> Any:
        if name == "gone.invalid":
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with socket.socket() as sock, no_network(allow=[ADDRESS, "gone.invalid", "API.invalid"]):
        sys.audit("socket.connect", sock, (ADDRESS, 80))
        sys.audit("socket.getaddrinfo", NAME, 80, 0, 0, 0)
        sys.audit("socket.connect", sock, ("192.0.2.7", 80))
        with pytest.raises(NetworkBarredError):
            sys.audit("socket.connect", sock, ("192.0.2.8", 80))
        with pytest.raises(NetworkBarredError):
            sys.audit("socket.getaddrinfo", "sub.api.invalid", 80, 0, 0, 0)


@pytest.mark.anyio
async def test_innermost_context_holds() -> None:
    resolver = ThreadedResolver()
    with no_network():
        # It gets as far as the resolver, which knows that there is no such name.
        with no_network(allow=["localhost.invalid"]), socket.socket() as sock:
            sys.audit("socket.getaddrinfo", "localhost.invalid", 80, 0, 0, 0)
            sys.audit("socket.connect", sock, ("127.0.0.1", 80))
            with pytest.raises(NetworkBarredError):
                await resolver.resolve(NAME, 80)
        with pytest.raises(NetworkBarredError):
            sys.audit("socket.getaddrinfo", "localhost.invalid", 80, 0, 0, 0)
    sys.audit("socket.getaddrinfo", NAME, 80, 0, 0, 0)


@pytest.mark.anyio
async def test_resolver_is_asked_by_the_innermost_context(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(resolver: object, host: str) -> str:
        return host

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)
    with no_network(), no_network(allow=[NAME]):
        assert await ThreadedResolver.resolve(object(), NAME) == NAME  # type: ignore[comparison-overlap, arg-type]


def test_other_threads_are_barred() -> None:
    raised: list[BaseException] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(NAME, 80)
        except NetworkBarredError as exc:
            raised.append(exc)

    with no_network():
        thread = threading.Thread(target=look_up)
        thread.start()
        thread.join()
    assert len(raised) == 1


def test_nothing_is_left_behind() -> None:
    resolve = DefaultResolver.resolve
    with pytest.raises(ZeroDivisionError), no_network():
        raise ZeroDivisionError
    assert DefaultResolver.resolve is resolve
    sys.audit("socket.getaddrinfo", NAME, 80, 0, 0, 0)


def test_misuse() -> None:
    with pytest.raises(TypeError, match="a collection of hosts"), no_network(allow="a.test"):
        pass
