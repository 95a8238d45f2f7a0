"""Resolvers: the system's in a thread, aiodns if it is there, and fixed hosts."""

from __future__ import annotations

import socket
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import anyio
import pytest

from httpclient import (
    AsyncResolver,
    DefaultResolver,
    HostsResolver,
    ResolveResult,
    ThreadedResolver,
)
from httpclient import _resolver as module

from .loopback import CountingResolver

STREAM = socket.SOCK_STREAM


class Getaddrinfo:
    """Stands in for the system's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[Any, ...]] = []
        self.threads: list[threading.Thread] = []
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(
        self, host: str, port: int, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        self.calls.append((host, port, family, type, flags))
        self.threads.append(threading.current_thread())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_families_of_this_host_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """S026, S038: AI_ADDRCONFIG and a stream; the name stays what was asked for."""
    system = Getaddrinfo(
        monkeypatch,
        [
            (socket.AF_INET6, STREAM, 6, "", ("2001:db8::1", 80, 0, 0)),
            (socket.AF_INET, STREAM, 6, "", ("192.0.2.1", 80)),
            (socket.AF_UNIX, STREAM, 6, "", "what is this"),
        ],
    )
    found = await ThreadedResolver().resolve("name.test", 80, socket.AF_UNSPEC)
    assert system.calls == [("name.test", 80, socket.AF_UNSPEC, STREAM, socket.AI_ADDRCONFIG)]
    assert system.threads[0] is not threading.main_thread()
    assert [(one["hostname"], one["host"], one["port"], one["family"]) for one in found] == [
        ("name.test", "2001:db8::1", 80, socket.AF_INET6),
        ("name.test", "192.0.2.1", 80, socket.AF_INET),
    ]


async def test_link_local_address_keeps_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """S076: without it there is no telling which link is meant."""
    name = socket.if_indextoname(1)
    Getaddrinfo(monkeypatch, [(socket.AF_INET6, STREAM, 6, "", ("fe80::1", 80, 0, 1))])
    found = await ThreadedResolver().resolve("name.test", 80, socket.AF_INET6)
    assert found[0]["host"] == f"fe80::1%{name}"


async def test_localhost_is_found_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    error = socket.gaierror(socket.EAI_NONAME, "no")
    answer = [(socket.AF_INET, STREAM, 6, "", ("127.0.0.1", 80))]
    system = Getaddrinfo(monkeypatch, error, answer, error)
    found = await ThreadedResolver().resolve("localhost", 80)
    assert found[0]["host"] == "127.0.0.1"
    assert [call[4] for call in system.calls] == [socket.AI_ADDRCONFIG, 0]
    with pytest.raises(socket.gaierror):
        await ThreadedResolver().resolve("name.test", 80)


async def test_real_localhost() -> None:
    resolver = ThreadedResolver()
    found = await resolver.resolve("localhost", 8080, socket.AF_INET)
    assert {(one["host"], one["port"]) for one in found} == {("127.0.0.1", 8080)}
    await resolver.close()


async def test_cancelled_it_does_not_wait_for_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Any:
        begun.set()
        go_on.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ThreadedResolver().resolve, "name.test")
            await anyio.to_thread.run_sync(begun.wait)
            tasks.cancel_scope.cancel()
    go_on.set()


# aiodns, which is not there in most environments.


class DNSError(Exception):
    """That of aiodns."""


class FakeDNSResolver:
    """What is needed of `aiodns.DNSResolver`."""

    made: ClassVar[list[FakeDNSResolver]]
    answer: ClassVar[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.options = (args, kwargs)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.closed = False
        self.made.append(self)

    async def getaddrinfo(self, host: str, **kwargs: Any) -> Any:
        self.calls.append((host, kwargs))
        if isinstance(self.answer, Exception):
            raise self.answer
        return SimpleNamespace(nodes=self.answer)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def aiodns(monkeypatch: pytest.MonkeyPatch) -> type[FakeDNSResolver]:
    """Put a fake in the place of the package."""

    class Fake(FakeDNSResolver):
        made: ClassVar[list[FakeDNSResolver]] = []
        answer: ClassVar[Any] = [
            SimpleNamespace(family=socket.AF_INET, addr=(b"192.0.2.1", 80)),
            SimpleNamespace(family=socket.AF_INET6, addr=("2001:db8::1", 80, 0, 0)),
            SimpleNamespace(family=socket.AF_INET6, addr=(b"fe80::1", 80, 0, 1)),
        ]

    package = ModuleType("aiodns")
    vars(package).update(DNSResolver=Fake, error=SimpleNamespace(DNSError=DNSError))
    monkeypatch.setitem(sys.modules, "aiodns", package)
    monkeypatch.setattr(module, "_has_aiodns", lambda: True)
    return Fake


only_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@only_asyncio
async def test_aiodns_is_asked(aiodns: type[FakeDNSResolver], anyio_backend: str) -> None:
    resolver = AsyncResolver(nameservers=["192.0.2.53"])
    await resolver.close()
    for _ in range(2):
        found = await resolver.resolve("name.test", 80, socket.AF_UNSPEC)
    assert [(one["hostname"], one["host"], one["family"]) for one in found] == [
        ("name.test", "192.0.2.1", socket.AF_INET),
        ("name.test", "2001:db8::1", socket.AF_INET6),
        ("name.test", f"fe80::1%{socket.if_indextoname(1)}", socket.AF_INET6),
    ]
    (made,) = aiodns.made
    assert made.options[1]["nameservers"] == ["192.0.2.53"]
    asked = {"port": 80, "type": STREAM, "family": socket.AF_UNSPEC, "flags": socket.AI_ADDRCONFIG}
    assert made.calls == [("name.test", asked)] * 2
    await resolver.close()
    assert made.closed


@only_asyncio
@pytest.mark.parametrize(
    ("args", "text"), [((4, "Domain name not found"), "Domain name not found"), ((), "failed")]
)
async def test_failure_of_aiodns_is_an_os_error(
    aiodns: type[FakeDNSResolver], anyio_backend: str, args: tuple[Any, ...], text: str
) -> None:
    aiodns.answer = DNSError(*args)
    with pytest.raises(OSError, match=text):
        await AsyncResolver().resolve("name.test")


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_aiodns_is_not_for_trio(aiodns: type[FakeDNSResolver], anyio_backend: str) -> None:
    with pytest.raises(RuntimeError, match="asyncio"):
        await AsyncResolver().resolve("name.test")


def test_without_aiodns_there_is_no_async_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """S009."""
    monkeypatch.setattr(module, "_has_aiodns", lambda: False)
    with pytest.raises(RuntimeError, match="aiodns"):
        AsyncResolver()


async def test_default_is_aiodns_where_it_works(
    aiodns: type[FakeDNSResolver], monkeypatch: pytest.MonkeyPatch, anyio_backend_name: str
) -> None:
    Getaddrinfo(monkeypatch, *[[(socket.AF_INET, STREAM, 6, "", ("192.0.2.7", 80))]] * 2)
    resolver = DefaultResolver()
    await resolver.close()
    for _ in range(2):
        found = await resolver.resolve("name.test", 80, socket.AF_INET)
    on_asyncio = anyio_backend_name == "asyncio"
    assert found[0]["host"] == ("192.0.2.1" if on_asyncio else "192.0.2.7")
    await resolver.close()
    assert [made.closed for made in aiodns.made] == [True] * on_asyncio


async def test_default_is_a_thread_without_aiodns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_has_aiodns", lambda: False)
    system = Getaddrinfo(monkeypatch, [(socket.AF_INET, STREAM, 6, "", ("192.0.2.7", 80))])
    found = await DefaultResolver().resolve("name.test", 80)
    assert (len(system.calls), found[0]["host"]) == (1, "192.0.2.7")


def test_having_aiodns_is_a_question_of_the_environment(tmp_path: Any) -> None:
    (tmp_path / "aiodns.py").touch()
    path = sys.path.copy()
    try:
        sys.path[:] = [str(tmp_path)]
        assert module._has_aiodns()
        sys.path[:] = []
        assert not module._has_aiodns()
    finally:
        sys.path[:] = path


# Fixed hosts.


def hosts(found: list[ResolveResult]) -> list[str]:
    """Return the addresses."""
    return [one["host"] for one in found]


async def test_fixed_hosts() -> None:
    resolver = HostsResolver(
        {"Name.Test.": ["192.0.2.1", "2001:db8::1"], "other.test": "192.0.2.2"}
    )
    found = await resolver.resolve("name.test", 80, socket.AF_UNSPEC)
    assert hosts(found) == ["192.0.2.1", "2001:db8::1"]
    assert [one["family"] for one in found] == [socket.AF_INET, socket.AF_INET6]
    assert {(one["hostname"], one["port"]) for one in found} == {("name.test", 80)}
    assert hosts(await resolver.resolve("NAME.TEST.", 80)) == ["192.0.2.1"]
    assert hosts(await resolver.resolve("name.test", 80, socket.AF_INET6)) == ["2001:db8::1"]
    assert hosts(await resolver.resolve("other.test", 80)) == ["192.0.2.2"]
    with pytest.raises(socket.gaierror):
        await resolver.resolve("other.test", 80, socket.AF_INET6)
    with pytest.raises(socket.gaierror, match=r"third\.test"):
        await resolver.resolve("third.test", 80)
    await resolver.close()


async def test_other_names_are_for_the_fallback() -> None:
    fallback = CountingResolver("192.0.2.9")
    resolver = HostsResolver({"name.test": "192.0.2.1"}, fallback)
    assert hosts(await resolver.resolve("name.test", 80)) == ["192.0.2.1"]
    assert hosts(await resolver.resolve("other.test", 80, socket.AF_INET)) == ["192.0.2.9"]
    assert fallback.asked == [("other.test", 80, socket.AF_INET)]
    await resolver.close()
    assert fallback.closed == 1


@pytest.mark.parametrize("address", ["", "name.test", "127.1", "1.2.3.4.5", "[::1]"])
def test_fixed_address_has_to_be_one(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        HostsResolver({"name.test": [address]})
