"""Typed keys for what applications, requests and responses are told to keep."""

from __future__ import annotations

import sys
import warnings
from typing import Any, Final, Generic, TypeVar, get_args

_T = TypeVar("_T")

# Modules whose frames stand between a key and the module that defines it: this one, and
# the one that calls the constructor for `AppKey[int]("name")`.
_NOT_DEFINING: Final = frozenset({__name__, "typing"})


class NotAppKeyWarning(UserWarning):
    """A `str` was used as a key where a typed key can say what is behind it. Ignored by default."""


class BaseKey(Generic[_T]):
    """What the kinds of keys have in common.

    A key is equal to itself only, so that two libraries never meet under one name. Keys
    sort by name, and before everything that is no key.

    Args:
        name: For people; the name of the defining module is put in front.
        t: The type of the value, for people and type checkers. It may be told as
            `AppKey[int]("name")` as well; values are not checked.
    """

    # typing sets __orig_class__ on what `AppKey[int](...)` makes.
    __slots__ = ("__orig_class__", "_name", "_t")

    __orig_class__: Any

    def __init__(self, name: str, t: type[_T] | None = None) -> None:
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_globals.get("__name__") in _NOT_DEFINING:
            frame = frame.f_back
        self._name = f"{frame.f_globals.get('__name__', '')}.{name}"
        self._t = t

    def __lt__(self, other: object) -> bool:
        return self._name < other._name if isinstance(other, BaseKey) else True

    def __gt__(self, other: object) -> bool:
        return self._name > other._name if isinstance(other, BaseKey) else False

    def __repr__(self) -> str:
        t: Any = self._t
        if t is None:
            t = next(iter(get_args(getattr(self, "__orig_class__", None))), None)
        if t is None:
            described = "<unknown>"
        elif isinstance(t, type) and not get_args(t):
            described = (
                t.__qualname__ if t.__module__ == "builtins" else f"{t.__module__}.{t.__qualname__}"
            )
        else:
            described = repr(t)
        return f"<{type(self).__name__}({self._name}, type={described})>"


class AppKey(BaseKey[_T]):
    """A key of an `Application`: `app[AppKey("db", Database)] = database`."""

    __slots__ = ()


class RequestKey(BaseKey[_T]):
    """A key of a request."""

    __slots__ = ()


class ResponseKey(BaseKey[_T]):
    """A key of a response."""

    __slots__ = ()


def warn_of_str_key(key: str, kind: type[BaseKey[Any]], stacklevel: int = 3) -> None:
    """Tell who sets a value under a `str` which key to use instead.

    Args:
        key: The key that was used.
        kind: The key to use.
        stacklevel: Frames up to the one at fault; 3 if called from `__setitem__`.
    """
    warnings.warn(
        f"{key!r} is a str; a {kind.__name__} instance as key tells types and cannot clash",
        category=NotAppKeyWarning,
        stacklevel=stacklevel,
    )


# Behind all other filters, so that any of them may bring the warning back.
warnings.filterwarnings("ignore", category=NotAppKeyWarning, append=True)
