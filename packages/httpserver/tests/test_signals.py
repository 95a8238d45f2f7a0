from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import httpserver as web

CHANGES: list[Callable[[Any], Any]] = [
    lambda items: items.append(4),
    lambda items: items.insert(0, 4),
    lambda items: items.extend([4]),
    lambda items: items.__setitem__(0, 4),
    lambda items: items.__setitem__(slice(0, 1), [4, 5]),
    lambda items: items.__delitem__(0),
    lambda items: items.pop(),
    lambda items: items.remove(2),
    lambda items: items.clear(),
    lambda items: items.reverse(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_frozen_list_changes_as_a_list_until_it_is_frozen(change: Any) -> None:
    items, model = web.FrozenList([1, 2, 3]), [1, 2, 3]
    change(items)
    change(model)
    assert list(items) == model

    items.freeze()
    with pytest.raises(RuntimeError, match="cannot modify a frozen FrozenList"):
        items.append(1)
    items = web.FrozenList([1, 2, 3])
    items.freeze()
    with pytest.raises(RuntimeError, match="cannot modify"):
        change(items)
    assert list(items) == [1, 2, 3]


def test_frozen_list_is_read_as_a_list() -> None:
    items = web.FrozenList("abc")

    assert (items[0], items[-1], items[1:], len(items)) == ("a", "c", ["b", "c"], 3)
    assert "b" in items
    assert not items.frozen
    assert repr(items) == "<FrozenList frozen=False ['a', 'b', 'c']>"


async def test_signal_calls_receivers_in_order_and_waits_for_each() -> None:
    calls: list[Any] = []
    signal: web.Signal[[int, str]] = web.Signal()

    @signal.append
    async def first(number: int, word: str) -> None:
        calls.append(("first", number, word))

    async def second(number: int, word: str) -> None:
        calls.append(("second", number, word))

    signal.append(second)
    signal.freeze()
    await signal.send(1, "a")

    assert calls == [("first", 1, "a"), ("second", 1, "a")]


async def test_signal_ends_at_the_first_exception() -> None:
    calls: list[str] = []

    async def fails() -> None:
        raise LookupError("no")

    async def later() -> None:
        calls.append("later")

    signal: web.Signal[[]] = web.Signal([fails, later])

    with pytest.raises(LookupError, match="no"):
        await signal.send()
    assert calls == []
