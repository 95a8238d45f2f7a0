"""What an application keeps for its parts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, MutableMapping
from typing import Any, TypeVar, overload

from ._keys import AppKey, warn_of_str_key

_T = TypeVar("_T")
_D = TypeVar("_D")


class ApplicationState(MutableMapping[str | AppKey[Any], Any]):
    """The mapping that an `Application` is. Equality is identity."""

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: dict[str | AppKey[Any], Any] = {}

    @property
    @abstractmethod
    def frozen(self) -> bool:
        """Whether items are closed."""

    @overload
    def __getitem__(self, key: AppKey[_T]) -> _T: ...

    @overload
    def __getitem__(self, key: str) -> Any: ...

    def __getitem__(self, key: str | AppKey[_T]) -> Any:
        return self._items[key]

    @overload
    def __setitem__(self, key: AppKey[_T], value: _T) -> None: ...

    @overload
    def __setitem__(self, key: str, value: Any) -> None: ...

    def __setitem__(self, key: str | AppKey[_T], value: Any) -> None:
        self._check_open()
        if not isinstance(key, AppKey):
            warn_of_str_key(key, AppKey)
        self._items[key] = value

    def __delitem__(self, key: str | AppKey[_T]) -> None:
        self._check_open()
        del self._items[key]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[str | AppKey[Any]]:
        return iter(self._items)

    def __bool__(self) -> bool:
        # A mapping without items is false; an application never is.
        return True

    @overload  # type: ignore[override]  # narrower: the value's type comes from the key
    def get(self, key: AppKey[_T], default: None = None, /) -> _T | None: ...

    @overload
    def get(self, key: AppKey[_T], default: _D, /) -> _T | _D: ...

    @overload
    def get(self, key: str, default: Any = None, /) -> Any: ...

    def get(self, key: str | AppKey[_T], default: Any = None, /) -> Any:
        """Return the value of `key`, or `default`."""
        return self._items.get(key, default)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def _check_open(self) -> None:
        if self.frozen:
            raise RuntimeError(
                "cannot change the state of a frozen application: put an object into it before "
                "it starts, and change that"
            )
