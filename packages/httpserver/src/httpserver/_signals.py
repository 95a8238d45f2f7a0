"""Lists that are closed at some time, and signals: such lists of callbacks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableSequence
from typing import Any, Generic, ParamSpec, TypeVar, overload

_T = TypeVar("_T")
_P = ParamSpec("_P")


class FrozenList(MutableSequence[_T]):
    """A list that takes changes until it is frozen.

    Args:
        items: What is in it from the start.
    """

    __slots__ = ("_frozen", "_items")

    def __init__(self, items: Iterable[_T] = ()) -> None:
        self._items = list(items)
        self._frozen = False

    @property
    def frozen(self) -> bool:
        """Whether it is closed."""
        return self._frozen

    def freeze(self) -> None:
        """Close it: every change raises RuntimeError from now on."""
        self._frozen = True

    @overload
    def __getitem__(self, index: int) -> _T: ...

    @overload
    def __getitem__(self, index: slice) -> list[_T]: ...

    def __getitem__(self, index: int | slice) -> _T | list[_T]:
        return self._items[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._check_open()
        self._items[index] = value

    def __delitem__(self, index: int | slice) -> None:
        self._check_open()
        del self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def insert(self, index: int, value: _T) -> None:
        """Insert an item in front of the one at `index`.

        Raises:
            RuntimeError: The list is frozen.
        """
        self._check_open()
        self._items.insert(index, value)

    def _check_open(self) -> None:
        if self._frozen:
            raise RuntimeError(f"cannot modify a frozen {type(self).__name__}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} frozen={self._frozen} {self._items!r}>"


class Signal(FrozenList[Callable[_P, Awaitable[object]]], Generic[_P]):
    """Coroutine functions that are called in order when something happens."""

    __slots__ = ()

    async def send(self, *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Call and await each; the first exception ends that, and is raised."""
        for receiver in self._items:
            await receiver(*args, **kwargs)
