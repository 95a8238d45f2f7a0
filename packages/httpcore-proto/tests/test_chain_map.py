from __future__ import annotations

from collections import ChainMap, defaultdict
from collections.abc import Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore_proto import ChainMapProxy


class Key:
    """A key that is itself and nothing else, as an application's typed keys are."""


def test_first_mapping_that_has_a_key_wins() -> None:
    maps: list[dict[str, int | None]] = [{"a": 1, "b": None}, {"a": 2, "b": 3, "c": 4}]
    chain = ChainMapProxy(maps)
    assert (chain["a"], chain["b"], chain["c"]) == (1, None, 4)
    assert chain.get("a") == 1
    assert chain.get("b", 5) is None
    assert chain.get("d") is None
    assert chain.get("d", 5) == 5
    assert "c" in chain
    assert "d" not in chain
    with pytest.raises(KeyError) as caught:
        chain["d"]
    assert caught.value.args == ("d",)


def test_keys_are_of_any_hashable_type() -> None:
    key, other = Key(), Key()
    maps: list[dict[Any, int]] = [{key: 1}, {"a": 2, None: 3, (1, 2): 4}]
    chain = ChainMapProxy(maps)
    assert [chain[one] for one in (key, "a", None, (1, 2))] == [1, 2, 3, 4]
    assert other not in chain
    with pytest.raises(TypeError, match="unhashable"):
        chain[[]]


def test_each_key_is_there_once() -> None:
    chain = ChainMapProxy([{"a": 1, "b": 2}, {"c": 3, "a": 4}])
    assert len(chain) == 3
    assert list(chain) == ["c", "a", "b"]
    assert list(chain.items()) == [("c", 3), ("a", 1), ("b", 2)]
    assert dict(chain) == {"a": 1, "b": 2, "c": 3}


def test_chain_of_nothing_is_false() -> None:
    empty: list[list[dict[str, int]]] = [[], [{}], [{}, {}]]
    for maps in empty:
        chain = ChainMapProxy(maps)
        assert not chain
        assert len(chain) == 0
        assert list(chain) == []
    assert ChainMapProxy([{}, {"a": 0}])


def test_changes_of_the_mappings_are_seen() -> None:
    first: dict[str, int] = {}
    maps = [first, {"a": 1}]
    chain = ChainMapProxy(iter(maps))
    also = ChainMapProxy(maps)
    first["a"] = 2
    maps.insert(0, {"a": 3})
    assert chain["a"] == also["a"] == 2


def test_looking_up_makes_nothing() -> None:
    first: defaultdict[str, int] = defaultdict(int)
    chain = ChainMapProxy([first, {"a": 1}])
    assert chain["a"] == 1
    assert chain.get("b") is None
    assert "b" not in chain
    assert not first


def test_it_is_read_only() -> None:
    chain: Any = ChainMapProxy([{"a": 1}])
    assert issubclass(ChainMapProxy, Mapping)
    assert not issubclass(ChainMapProxy, MutableMapping)
    with pytest.raises(TypeError):
        chain["a"] = 2
    with pytest.raises(TypeError):
        del chain["a"]
    with pytest.raises(AttributeError):
        chain.other = 1


@pytest.mark.parametrize("base", [ChainMapProxy, ChainMapProxy[str, int]])
def test_no_class_can_be_derived(base: Any) -> None:
    with pytest.raises(TypeError, match="Derived cannot be derived from ChainMapProxy"):

        class Derived(base):  # type: ignore[misc]  # that is the point
            pass


def test_chain_shows_itself() -> None:
    assert repr(ChainMapProxy([{"a": 1}, {}])) == "ChainMapProxy({'a': 1}, {})"


@given(st.lists(st.dictionaries(st.integers(0, 9), st.integers())))
def test_it_is_a_chain_map_without_writing(maps: list[dict[int, int]]) -> None:
    chain = ChainMapProxy(map(MappingProxyType, maps))
    expected = ChainMap(*maps)
    assert list(chain.items()) == list(expected.items())
    assert len(chain) == len(expected)
    assert bool(chain) is bool(expected)
    assert chain == expected
    assert [chain.get(key, "none") for key in range(10)] == [
        expected.get(key, "none") for key in range(10)
    ]
