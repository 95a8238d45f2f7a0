"""The pool's decisions, without any I/O."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

from httpclient import _pool
from httpclient._pool import Place, Pool, Ticket


def used(pool: Pool[str], key: str) -> Place[str]:
    """Reserve room, which must be there."""
    place = pool.reserve(key)
    assert place is not None
    return place


def test_take_gives_longest_idle_first() -> None:
    pool: Pool[str] = Pool(0, 0)
    first, second = used(pool, "a"), used(pool, "a")
    pool.put(first, "one", 1.0)
    pool.put(second, "two", 2.0)
    assert pool.take("a") == ("one", 1.0)
    assert pool.take("a") == ("two", 2.0)
    assert pool.take("a") is None
    assert pool.take("b") is None


def test_limit_over_all_keys_makes_requests_wait_in_order() -> None:
    pool: Pool[str] = Pool(2, 0)
    a, b = used(pool, "a"), used(pool, "b")
    assert pool.reserve("c") is None
    tickets = [pool.enqueue(key) for key in ("c", "a", "b")]
    assert pool.waiting_count == 3
    # a's connection stays idle for a: the head of the line wants c.
    assert pool.put(a, "conn-a", 1.0) is tickets[0]
    assert tickets[0].served
    assert tickets[0].connection is None
    assert pool.free(b) is tickets[1]
    assert tickets[1].connection == "conn-a"
    assert not tickets[2].served
    assert pool.active_count == 2


def test_limit_per_host_does_not_hold_up_others() -> None:
    pool: Pool[str] = Pool(3, 1)
    a = used(pool, "a")
    assert pool.reserve("a") is None
    blocked = pool.enqueue("a")
    b, c = used(pool, "b"), used(pool, "c")
    waiting = pool.enqueue("d")
    assert pool.free(b) is waiting
    assert pool.put(a, "conn-a", 1.0) is blocked
    assert blocked.connection == "conn-a"
    assert pool.free(c) is None


def test_limit_per_host_counts_those_in_line() -> None:
    pool: Pool[str] = Pool(1, 1)
    b = used(pool, "b")
    first, second = pool.enqueue("a"), pool.enqueue("a")
    assert pool.free(b) is first
    assert pool.free(first.place) is second


def test_idle_connection_is_not_taken_over_a_limit() -> None:
    pool: Pool[str] = Pool(1, 0)
    a = used(pool, "a")
    pool.put(a, "conn-a", 1.0)
    used(pool, "b")
    assert pool.take("a") is None


def test_withdraw_of_served_ticket_serves_the_next() -> None:
    pool: Pool[str] = Pool(1, 0)
    a = used(pool, "a")
    first, second, third = (pool.enqueue("a") for _ in range(3))
    assert pool.put(a, "conn", 1.0) is first
    assert pool.withdraw(first) is second
    assert second.connection == "conn"
    second.connection = None  # it broke
    assert pool.withdraw(second) is third
    assert third.connection is None


def test_withdraw_of_waiting_ticket_leaves_no_trace() -> None:
    pool: Pool[str] = Pool(1, 1)
    a = used(pool, "a")
    blocked = [pool.enqueue("a") for _ in range(2)]
    line = [pool.enqueue("b") for _ in range(2)]
    for ticket in (blocked[0], line[0], line[1], blocked[1]):
        assert pool.withdraw(ticket) is None
    assert pool.free(a) is None
    assert (pool.active_count, pool.waiting_count, pool.place_count) == (0, 0, 0)


def test_expire_takes_what_is_idle_too_long() -> None:
    pool: Pool[str] = Pool(0, 0)
    # Servers may tell different times, so the oldest is not always the first to go.
    for number, key in enumerate("aab"):
        pool.put(used(pool, key), f"{key}{number}", float(number))
    pool.put(used(pool, "a"), "a3", 0.25)
    assert [connection for _, connection in pool.expire(0.5)] == ["a0", "a3"]
    assert pool.expire(0.5) == []
    assert sorted(connection for _, connection in pool.expire(2.0)) == ["a1", "b2"]
    assert (pool.idle_count, pool.place_count) == (0, 0)


def test_served_ticket_knows_until_when_its_connection_is_good() -> None:
    pool: Pool[str] = Pool(1, 0)
    a = used(pool, "a")
    first, second = pool.enqueue("a"), pool.enqueue("a")
    pool.put(a, "conn", 7.0)
    assert (first.connection, first.until) == ("conn", 7.0)
    assert pool.withdraw(first) is second
    assert (second.connection, second.until) == ("conn", 7.0)


def test_remove_idle_forgets_only_idle_ones() -> None:
    pool: Pool[str] = Pool(0, 0)
    place = used(pool, "a")
    assert not pool.remove_idle(place, "conn")
    pool.put(place, "conn", 1.0)
    assert pool.remove_idle(place, "conn")
    assert not pool.remove_idle(place, "conn")
    assert pool.place_count == 0


def test_clear_gives_up_everything() -> None:
    pool: Pool[str] = Pool(2, 1)
    pool.put(used(pool, "a"), "conn", 1.0)
    used(pool, "b")
    used(pool, "c")
    tickets = [pool.enqueue("b"), pool.enqueue("d")]
    idle, given_up = pool.clear()
    assert [connection for _, connection in idle] == ["conn"]
    assert set(given_up) == set(tickets)
    assert not any(ticket.served for ticket in tickets)


def test_random_use_keeps_the_limits_and_starves_nobody() -> None:
    """Whatever happens: limits hold, tickets of one key are served in order, nothing leaks."""
    for seed in range(200):
        chance = random.Random(seed)
        limit, per_host = chance.choice([(0, 2), (3, 0), (3, 2), (1, 1), (4, 1)])
        pool: Pool[int] = Pool(limit, per_host)
        active: list[tuple[Place[int], int]] = []
        waiting: dict[str, list[Ticket[int]]] = {key: [] for key in "abc"}
        made = 0

        def served(ticket: Ticket[int] | None) -> None:
            nonlocal made
            if ticket is None:
                return
            key = str(ticket.place.key)
            assert waiting[key].pop(0) is ticket  # noqa: B023 - called within the same turn
            if ticket.connection is None:
                made += 1
                ticket.connection = made
            active.append((ticket.place, ticket.connection))  # noqa: B023

        for step in range(200):
            action = chance.random()
            key = chance.choice("abc")
            if action < 0.5:
                if (place := pool.reserve(key)) is not None:
                    made += 1
                    active.append((place, made))
                else:
                    waiting[key].append(pool.enqueue(key))
            elif action < 0.9 and active:
                place, connection = active.pop(chance.randrange(len(active)))
                if chance.random() < 0.7:
                    served(pool.put(place, connection, float(step)))
                else:
                    served(pool.free(place))
            elif waiting[key]:
                ticket = waiting[key].pop(chance.randrange(len(waiting[key])))
                served(pool.withdraw(ticket))
            assert not limit or len(active) <= limit
            assert pool.active_count == len(active)
            assert pool.waiting_count == sum(map(len, waiting.values()))
            for name in "abc":
                count = sum(place.key == name for place, _ in active)
                assert not per_host or count <= per_host
        while active:
            served(pool.free(active.pop()[0]))
        assert pool.waiting_count == 0
        pool.expire(float("inf"))
        assert pool.place_count == 0


def lines_of(operation: Callable[[], object]) -> int:
    """Count the lines of the pool that an operation runs."""
    count = 0

    def trace(frame: Any, event: str, arg: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename != _pool.__file__:
            return None  # garbage may be collected meanwhile
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        operation()
    finally:
        sys.settrace(before)
    return count


def crowded(size: int) -> list[int]:
    """Return what each operation costs with so many requests waiting for a tenth of origins."""
    pool: Pool[str] = Pool(size // 5 or 1, 2)
    origins = [f"o{number}" for number in range(size // 10)]
    places = [used(pool, origin) for origin in origins for _ in range(2)]
    tickets = [pool.enqueue(origins[number % len(origins)]) for number in range(size)]
    assert pool.waiting_count == size
    served: list[Ticket[str] | None] = []
    return [
        lines_of(lambda: pool.take(origins[0])),
        lines_of(lambda: pool.reserve(origins[0])),
        lines_of(lambda: tickets.append(pool.enqueue(origins[0]))),
        lines_of(lambda: served.append(pool.put(places[0], "conn", 1.0))),
        lines_of(lambda: served.append(pool.free(places[2]))),
        lines_of(lambda: pool.withdraw(tickets[size // 2])),
        lines_of(lambda: pool.remove_idle(places[4], "none")),
    ]


def test_cost_does_not_grow_with_waiters_and_origins() -> None:
    assert crowded(10_000) == crowded(100)
