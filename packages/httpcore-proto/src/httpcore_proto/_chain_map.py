"""Several mappings seen as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Never, TypeVar, final

_K = TypeVar("_K")
_V_co = TypeVar("_V_co", covariant=True)


@final
class ChainMapProxy(Mapping[_K, _V_co]):
    """A read-only view of several mappings; of a key that several have, the first one's value.

    Changes of the mappings are seen. Keys may be of any hashable type; they come in the
    order of the last mapping, then what those before it add.

    Args:
        maps: The mappings, the one that wins first. Which ones they are is fixed here.

    Raises:
        TypeError: On an attempt to derive a class.
    """

    __slots__ = ("_maps",)

    _maps: tuple[Mapping[_K, _V_co], ...]

    def __init__(self, maps: Iterable[Mapping[_K, _V_co]]) -> None:
        self._maps = tuple(maps)

    def __init_subclass__(cls) -> Never:
        raise TypeError(f"{cls.__name__} cannot be derived from ChainMapProxy")

    def __getitem__(self, key: _K) -> _V_co:
        for mapping in self._maps:
            # A defaultdict would make what is looked up.
            if key in mapping:
                return mapping[key]
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return any(key in mapping for mapping in self._maps)

    def __len__(self) -> int:
        return len(set[Any]().union(*self._maps))

    def __iter__(self) -> Iterator[_K]:
        keys: dict[_K, None] = {}
        for mapping in reversed(self._maps):
            keys.update(dict.fromkeys(mapping))
        return iter(keys)

    def __bool__(self) -> bool:
        return any(self._maps)

    def __repr__(self) -> str:
        return f"ChainMapProxy({', '.join(map(repr, self._maps))})"
