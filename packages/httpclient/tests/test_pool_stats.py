"""Counters of the pool, and the bound on how many there are."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

import httpclient
from httpclient import ClientTimeout, Origin, OriginStats
from httpclient._pool import Pool

from .conftest import Peer, Serve, response
from .test_connector import Gate
from .test_pool import used


def test_places_of_one_origin_are_summed_up() -> None:
    pool: Pool[str] = Pool(5, 1, lambda key: str(key)[0])
    one, two, other = used(pool, "a1"), used(pool, "a2"), used(pool, "b1")
    pool.enqueue("a1")
    pool.enqueue("a2")
    for place in (one, two, other):
        place.tally.opened += 1
    one.tally.failed += 1
    two.tally.reused += 1
    other.tally.close("lost")
    pool.put(other, "conn", 1.0)
    stats = pool.stats()
    assert (stats.idle, stats.active, stats.waiting) == (1, 2, 2)
    assert stats.origins == (
        OriginStats("a", 0, 2, 2, opened=2, failed=1, reused=1),
        OriginStats("b", 1, 0, 0, opened=1, closed={"lost": 1}),
    )
    assert stats.forgotten == OriginStats(None)


def test_snapshot_does_not_change() -> None:
    pool: Pool[str] = Pool(0, 0)
    place = used(pool, "a")
    stats = pool.stats()
    place.tally.close("lost")
    assert stats.origins[0].closed == {}
    with pytest.raises(TypeError):
        stats.origins[0].closed["lost"] = 2  # type: ignore[index]


def test_origin_at_rest_is_counted_on() -> None:
    pool: Pool[str] = Pool(0, 0)
    for count in (1, 2):
        place = used(pool, "a")
        place.tally.opened += 1
        pool.free(place)
        assert pool.stats().origins == (OriginStats("a", opened=count),)
    assert pool.place_count == 0


def test_memory_is_bounded() -> None:
    pool: Pool[str] = Pool(0, 0)
    busy = used(pool, "busy")
    busy.tally.opened += 1
    for number in range(3000):
        place = used(pool, f"o{number}")
        place.tally.opened += 1
        place.tally.failed += 2
        place.tally.reused += 3
        place.tally.close("lost")
        pool.free(place)
    stats = pool.stats()
    assert len(stats.origins) == 1001
    assert {"busy", "o2000", "o2999"} <= {origin.origin for origin in stats.origins}
    assert stats.forgotten == OriginStats(
        None, opened=2000, failed=4000, reused=6000, closed={"lost": 2000}
    )


async def test_what_happens_is_counted(serve: Serve) -> None:
    gate = Gate()
    async with serve(gate) as origin:
        connector = httpclient.TCPConnector(limit=1, keepalive_timeout=60)
        async with (
            httpclient.ClientSession(connector=connector) as session,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(session.get, origin.url)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(session.get, origin.url)
            await anyio.wait_all_tasks_blocked()
            stats = connector.pool.stats()
            assert (stats.idle, stats.active, stats.waiting) == (0, 1, 1)
            gate.open(3)
            while connector.pool.stats().active:
                await anyio.lowlevel.checkpoint()
            await session.get(origin.url)
        where = Origin("http", "127.0.0.1", origin.port)
        assert connector.pool.stats().origins == (
            OriginStats(where, opened=1, reused=2, closed={"connector": 1}),
        )
    gate.close()


async def test_reasons_of_ends_are_told(serve: Serve) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.answer(head=b"Connection: close\r\n")
        elif peer.number == 1:
            await peer.answer()
            await peer.close()
            closed.set()
        elif peer.number == 2:
            await peer.answer()
            await peer.closed()
        else:
            await peer.head()
            await peer.send(response()[:-1])
            await peer.closed()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        connector = session.connector
        assert connector is not None

        def reasons() -> dict[str, int]:
            assert connector is not None
            return dict(connector.pool.stats().origins[0].closed)

        await (await session.get(origin.url)).read()
        assert reasons() == {"used": 1}
        await (await session.get(origin.url)).read()
        await closed.wait()
        await anyio.wait_all_tasks_blocked()
        await (await session.get(origin.url)).read()
        # Where nobody reads an idle link, its end is found when it is to be used.
        told = reasons()
        assert told.pop("lost", 0) + told.pop("unasked", 0) == 1
        assert told == {"used": 1}
        connector._sweep(connector.now() + 100)
        assert reasons()["expired"] == 1
        with pytest.raises(TimeoutError):
            async with session.get(origin.url, timeout=ClientTimeout(sock_read=0.01)) as resp:
                await resp.read()
        assert reasons()["used"] == 2
    assert origin.accepted == 4


async def test_forced_ends_and_failures_are_counted(serve: Serve) -> None:
    async with serve(Peer.answer_all) as origin:
        connector = httpclient.TCPConnector(force_close=True)
        async with httpclient.ClientSession(connector=connector) as session:
            await (await session.get(origin.url)).read()
            counted = connector.pool.stats().origins[0]
            assert sum(counted.closed.values()) == counted.opened == 1
    connector = httpclient.TCPConnector()
    async with httpclient.ClientSession(connector=connector) as session:
        with pytest.raises(httpclient.ClientConnectorError):
            await session.get(origin.url)
        assert connector.pool.stats().origins[0].failed == 1
