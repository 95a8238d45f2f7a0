from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import pytest

import httpserver as web

KINDS = [web.AppKey, web.RequestKey, web.ResponseKey]


@pytest.mark.parametrize("kind", KINDS)
def test_key_equals_itself_only(kind: Any) -> None:
    key = kind("name", int)

    assert key == key
    assert key != kind("name", int)
    assert {key: 1}[key] == 1
    assert key not in {kind("name", int): 1}


@pytest.mark.parametrize("kind", KINDS)
def test_repr_names_module_and_type(kind: Any) -> None:
    name = kind.__name__

    assert repr(kind("a", int)) == f"<{name}({__name__}.a, type=int)>"
    assert repr(kind[str]("a")) == f"<{name}({__name__}.a, type=str)>"
    assert repr(kind("a")) == f"<{name}({__name__}.a, type=<unknown>)>"
    assert repr(kind("a", web.Response)) == (
        f"<{name}({__name__}.a, type=httpserver._response.Response)>"
    )
    assert repr(kind("a", dict[str, int])) == f"<{name}({__name__}.a, type=dict[str, int])>"
    assert repr(kind[int | None]("a")) == f"<{name}({__name__}.a, type=int | None)>"


def test_keys_sort_by_name_and_before_everything_else() -> None:
    first, second = web.AppKey("a", int), web.AppKey("b", int)

    assert sorted(["x", second, first], key=lambda key: key) == [first, second, "x"]  # type: ignore[arg-type, return-value]
    assert first < second
    assert second > first
    assert not second < first
    assert not first > "x"


def test_application_keeps_values_by_key() -> None:
    app = web.Application()
    key, absent = web.AppKey("key", int), web.AppKey("absent", str)
    app[key] = 7

    assert app[key] == 7
    assert app.get(key) == 7
    assert app.get(absent) is None
    assert app.get(absent, "default") == "default"
    assert key in app
    assert absent not in app
    assert (list(app), len(app)) == ([key], 1)
    del app[key]
    assert len(app) == 0
    assert app, "an empty application is true"
    with pytest.raises(KeyError):
        app[key]


def test_application_equals_itself_only() -> None:
    first, second = web.Application(), web.Application()

    assert first == first
    assert first != second
    assert len({first, second}) == 2


def test_str_key_is_warned_of_at_the_caller() -> None:
    app = web.Application()

    with pytest.warns(web.NotAppKeyWarning, match="'db' is a str; a AppKey") as caught:
        app["db"] = 1

    assert caught[0].filename == __file__
    assert app["db"] == 1


def test_str_key_warning_is_hidden_unless_asked_for() -> None:
    program = (
        "import httpserver as web\n"
        "app = web.Application()\n"
        "app['hidden'] = 1\n"
        "import warnings\n"
        "warnings.simplefilter('always')\n"
        "app['told'] = 1\n"
    )
    with warnings.catch_warnings():
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
        )

    assert "hidden" not in done.stderr
    assert "NotAppKeyWarning: 'told' is a str" in done.stderr


async def test_frozen_application_keeps_its_items(serve: Any) -> None:
    key = web.AppKey("key", int)
    app = web.Application()
    app[key] = 1

    async with serve(app):
        with pytest.raises(RuntimeError, match="frozen application"):
            app[key] = 2
        with pytest.raises(RuntimeError, match="frozen application"):
            del app[key]

    assert app[key] == 1
