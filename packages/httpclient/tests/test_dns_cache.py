"""The cache of addresses, and lookups that requests share."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from httpclient import ResolveResult
from httpclient._dns_cache import DNSCache, Lookups, _Lookup

from .loopback import CountingResolver, record

KEY = ("name.test", 80)


def hosts(found: list[ResolveResult] | None) -> list[str] | None:
    """Return the addresses of an answer."""
    return None if found is None else [address["host"] for address in found]


# The table.


def test_answer_is_kept_for_its_time() -> None:
    cache = DNSCache(10, 100)
    assert cache.get(KEY, 0) is None
    cache.put(KEY, [record("192.0.2.1")], 5)
    assert hosts(cache.get(KEY, 14.9)) == ["192.0.2.1"]
    assert cache.get(KEY, 15) is None
    assert len(cache) == 0


def test_answer_is_kept_for_ever() -> None:
    """S099."""
    cache = DNSCache(None, 100)
    cache.put(KEY, [record("192.0.2.1")], 5)
    assert hosts(cache.get(KEY, 1e12)) == ["192.0.2.1"]


def test_answer_with_a_time_of_its_own_is_kept_no_longer() -> None:
    cache = DNSCache(10, 100)
    long, short = record("192.0.2.1"), record("192.0.2.2")
    long["ttl"], short["ttl"] = 99, 3
    cache.put(KEY, [long, short], 0)
    assert cache.get(KEY, 2.9) is not None
    assert cache.get(KEY, 3) is None
    cache.put(KEY, [long], 0)
    assert cache.get(KEY, 10) is None


def test_addresses_take_turns() -> None:
    cache = DNSCache(10, 100)
    cache.put(KEY, [record(f"192.0.2.{number}") for number in (1, 2, 3)], 0)
    firsts = [(hosts(cache.get(KEY, 0)) or [""])[0][-1] for _ in range(4)]
    assert firsts == ["2", "3", "1", "2"]  # the lookup itself used the first


def test_least_used_is_dropped() -> None:
    """PX-04: names that are asked for once do not fill memory."""
    cache = DNSCache(None, 2)
    for host in ("a", "b"):
        cache.put((host, 80), [record("192.0.2.1")], 0)
    cache.get(("a", 80), 0)
    cache.put(("c", 80), [record("192.0.2.1")], 0)
    assert [cache.get((host, 80), 0) is not None for host in "abc"] == [True, False, True]
    for number in range(1000):
        cache.put((str(number), 80), [record("192.0.2.1")], 0)
    assert len(cache) == 2


def test_answers_can_be_forgotten() -> None:
    lookups = Lookups(CountingResolver(), cache := DNSCache(None, 9), socket.AF_UNSPEC)
    for host, port in (("a", 80), ("a", 81), ("b", 80)):
        cache.put((host, port), [record("192.0.2.1")], 0)
    lookups.forget("a", 80)
    lookups.forget("unknown", 80)
    assert len(cache) == 2
    lookups.forget()
    assert len(cache) == 0
    Lookups(CountingResolver(), None, socket.AF_UNSPEC).forget()


# Lookups.


class Log:
    """Traces that write down what they are told; a handler may take its time."""

    def __init__(self, pause: Callable[[str], Any] | None = None) -> None:
        self.names: list[str] = []
        self._pause = pause

    async def send(self, name: str, params: Any) -> None:
        assert params.host == "name.test"
        self.names.append(name.removeprefix("on_dns_"))
        if self._pause is not None:
            await self._pause(name)


class Asking:
    """Tasks that ask for a name, and what they got."""

    def __init__(self, lookups: Lookups) -> None:
        self.lookups = lookups
        self.got: list[list[str] | None] = []
        self.errors: list[BaseException] = []
        self.logs: list[Log] = []
        self.scopes: list[anyio.CancelScope] = []

    async def ask(self, pause: Callable[[str], Any] | None = None) -> None:
        log = Log(pause)
        self.logs.append(log)
        scope = anyio.CancelScope()
        self.scopes.append(scope)
        with scope:
            try:
                self.got.append(hosts(await self.lookups.addresses(*KEY, log)))  # type: ignore[arg-type]
            except Exception as exc:
                self.errors.append(exc)


def make(resolver: CountingResolver, ttl: float | None = 10) -> Asking:
    """Return a tester of lookups with a cache."""
    return Asking(Lookups(resolver, DNSCache(ttl, 100), socket.AF_UNSPEC))


async def test_second_request_is_answered_from_the_cache() -> None:
    asking = make(resolver := CountingResolver("192.0.2.1", "192.0.2.2"))
    await asking.ask()
    await asking.ask()
    assert asking.got == [["192.0.2.1", "192.0.2.2"], ["192.0.2.2", "192.0.2.1"]]
    assert resolver.asked == [("name.test", 80, socket.AF_UNSPEC)]
    assert asking.logs[0].names == ["cache_miss", "resolvehost_start", "resolvehost_end"]
    assert asking.logs[1].names == ["cache_hit"]
    await asking.lookups.close()


async def test_lookups_at_once_are_one() -> None:
    """S148: one miss, and everybody gets the answer, though handlers take their time."""
    asking = make(resolver := CountingResolver())
    resolver.gate = anyio.Event()
    slow = anyio.Event()

    async def pause(name: str) -> None:
        await slow.wait()

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(asking.ask, pause)
        await anyio.wait_all_tasks_blocked()
        assert len(resolver.asked) == len(asking.lookups) == 1
        resolver.gate.set()
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(asking.ask, pause)
        await anyio.wait_all_tasks_blocked()
        slow.set()
    assert asking.got == [["127.0.0.1"]] * 6
    assert len(resolver.asked) == 1
    assert sorted(log.names[0] for log in asking.logs) == ["cache_hit"] * 5 + ["cache_miss"]
    assert len(asking.lookups) == 0
    await asking.lookups.close()


@pytest.mark.parametrize("who", [0, 1, 2])
async def test_lookup_survives_whoever_gives_up(who: int) -> None:
    asking = make(resolver := CountingResolver())
    resolver.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(asking.ask)
            await anyio.wait_all_tasks_blocked()
        asking.scopes[who].cancel()
        await anyio.wait_all_tasks_blocked()
        resolver.gate.set()
    assert asking.got == [["127.0.0.1"]] * 2
    assert len(resolver.asked) == resolver.ended == 1
    await asking.lookups.close()


async def test_lookup_goes_on_when_all_give_up() -> None:
    asking = make(resolver := CountingResolver())
    resolver.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(asking.ask)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    resolver.gate.set()
    await anyio.wait_all_tasks_blocked()
    await asking.ask()
    assert asking.got == [["127.0.0.1"]]
    assert len(resolver.asked) == 1
    await asking.lookups.close()


async def test_cancelled_at_any_point_it_leaves_nothing_that_hangs() -> None:
    """The first is cancelled after so many turns of the loop; the second gets its answer."""
    for turns in range(12):
        asking = make(resolver := CountingResolver())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(asking.ask)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            tasks.start_soon(asking.ask)
            if asking.scopes:
                asking.scopes[0].cancel()
        assert ["127.0.0.1"] in asking.got
        assert 1 <= len(resolver.asked) <= 2
        assert len(asking.lookups) == 0
        await asking.lookups.close()


async def test_all_hear_of_an_error_and_it_is_not_kept() -> None:
    asking = make(resolver := CountingResolver())
    resolver.gate = anyio.Event()
    resolver.error = socket.gaierror(socket.EAI_AGAIN, "try again")
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(asking.ask)
        await anyio.wait_all_tasks_blocked()
        resolver.gate.set()
    assert [str(error) for error in asking.errors] == [str(resolver.error)] * 3
    assert all("resolvehost_end" not in log.names for log in asking.logs)
    resolver.error = None
    await asking.ask()
    assert asking.got == [["127.0.0.1"]]
    await asking.lookups.close()


def _depth(error: BaseException) -> int:
    depth, traceback = 0, error.__traceback__
    while traceback is not None:
        depth, traceback = depth + 1, traceback.tb_next
    return depth


async def test_traceback_of_a_shared_error_does_not_grow() -> None:
    asking = make(resolver := CountingResolver())
    resolver.gate = anyio.Event()
    resolver.error = socket.gaierror(socket.EAI_AGAIN, "try again")
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(asking.ask)
        await anyio.wait_all_tasks_blocked()
        resolver.gate.set()
    assert len(asking.errors) == 50
    assert _depth(asking.errors[-1]) < 10
    await asking.lookups.close()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(5, "broken"), "broken"),
        (OSError("no words"), "no words"),
        (OSError(), "the lookup failed"),
        (UnicodeError("label too long"), r"not a host name \(label too long\)"),
        (None, "found no address"),
    ],
)
@pytest.mark.parametrize("cached", [True, False])
async def test_what_resolvers_say_is_one_kind_of_error(
    error: Exception | None, text: str, cached: bool
) -> None:
    resolver = CountingResolver()
    resolver.error = error
    if error is None:
        resolver.addresses = []
    lookups = Lookups(resolver, DNSCache(10, 10) if cached else None, socket.AF_INET)
    with pytest.raises(socket.gaierror, match=text):
        await lookups.addresses(*KEY, None)
    await lookups.close()


async def test_mistake_of_a_resolver_is_not_hidden() -> None:
    asking = make(resolver := CountingResolver())
    resolver.error = LookupError("oops")
    await asking.ask()
    assert asking.errors == [resolver.error]
    await asking.lookups.close()


async def test_without_a_cache_each_asks() -> None:
    resolver = CountingResolver()
    resolver.gate = anyio.Event()
    asking = Asking(Lookups(resolver, None, socket.AF_INET6))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(asking.ask)
        tasks.start_soon(asking.ask)
        await anyio.wait_all_tasks_blocked()
        resolver.gate.set()
    assert resolver.asked == [("name.test", 80, socket.AF_INET6)] * 2
    assert [log.names for log in asking.logs] == [["resolvehost_start", "resolvehost_end"]] * 2
    await asking.lookups.close()


async def test_close_cancels_a_lookup_and_waits_for_it() -> None:
    """S082."""
    asking = make(resolver := CountingResolver())
    resolver.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(asking.ask)
        tasks.start_soon(asking.ask)
        await anyio.wait_all_tasks_blocked()
        await asking.lookups.close()
        assert resolver.ended == 1
    assert [type(error) for error in asking.errors] == [socket.gaierror] * 2
    assert "cancelled" in str(asking.errors[0])
    await asking.lookups.close()


async def test_close_ends_a_lookup_that_has_not_begun() -> None:
    """asyncio never runs a task that is cancelled before its first step: waiters hung."""
    for turns in range(16):
        asking = make(resolver := CountingResolver())
        resolver.gate = anyio.Event()
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(asking.ask)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                asking.lookups.abort()
                await asking.lookups.close()
                resolver.gate.set()
        assert len(asking.lookups) == 0
        await asking.lookups.close()


async def test_task_of_a_lookup_that_was_ended_before_finds_nothing_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """trio runs such a task, up to its first checkpoint: it took the place of another out."""
    asking = make(resolver := CountingResolver())
    await asking.ask()
    lookups, runtime, cache = asking.lookups, asking.lookups._runtime, asking.lookups._cache
    assert runtime is not None
    assert cache is not None
    resolver.gate = anyio.Event()
    key, lookup = ("other.test", 80), _Lookup()
    lookups._running[key] = lookup
    await lookups._start(key, lookup, runtime, cache)
    lookups.abort()
    assert lookup.done.is_set()
    lookups._running[key] = other = _Lookup()
    await anyio.wait_all_tasks_blocked()
    assert lookups._running == {key: other}
    lookups._running.clear()
    await lookups.close()
    assert not caplog.records
