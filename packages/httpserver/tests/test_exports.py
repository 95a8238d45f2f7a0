from __future__ import annotations

import inspect

import pytest

import httpserver
from httpserver import web


def test_web_is_the_same_names() -> None:
    assert web.__all__ == httpserver.__all__
    assert all(getattr(web, name) is getattr(httpserver, name) for name in httpserver.__all__)


def test_all_is_sorted_and_complete() -> None:
    public = {
        name
        for name, value in vars(httpserver).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }

    assert public | {"__version__"} == set(httpserver.__all__)
    assert len(httpserver.__all__) == len(set(httpserver.__all__))


@pytest.mark.parametrize("name", httpserver.__all__)
def test_public_name_has_a_docstring(name: str) -> None:
    value = getattr(httpserver, name)
    if not callable(value) or not hasattr(value, "__module__"):
        return  # a constant, or an alias of types
    if not getattr(value, "__module__", "").startswith("httpserver"):
        return

    assert inspect.getdoc(value)
    for attribute, member in vars(value).items() if inspect.isclass(value) else ():
        if not attribute.startswith("_") and (
            inspect.isfunction(member) or isinstance(member, property)
        ):
            assert inspect.getdoc(member), f"{name}.{attribute}"
