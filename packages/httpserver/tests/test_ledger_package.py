"""Rows of the ledger: what the package is made of.

Each docstring begins with the row's id; `test_ledger.py` knows all rows.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from collections import abc
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import httpserver as web

FOLDER = Path(web.__file__).parent
PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))[
    "project"
]
TREES = {path.name: ast.parse(path.read_text("utf-8")) for path in FOLDER.rglob("*.py")}


def imports(tree: ast.Module) -> Iterator[str]:
    """Yield the roots of what a module imports from other packages."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def test_licence_is_declared() -> None:
    """S010: the distribution declares the Apache 2 licence."""
    assert PROJECT["license"] == "Apache-2.0"


@pytest.mark.parametrize("module", ["httpserver", "httpserver.web", "httpserver.__main__"])
def test_import_gives_no_warning(module: str) -> None:
    """S034, S167, S192: a clean interpreter imports it with warnings as errors."""
    program = f"import importlib, sys; importlib.import_module({module!r}); print('imported')"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=15
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "imported\n", "")


def test_imported_packages_are_required() -> None:
    """S037: what is imported from others is required, if only by an extra."""
    required = {
        re.split(r"[^A-Za-z0-9_.-]", text)[0].lower().replace("_", "-")
        for texts in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for text in texts
    }
    roots = {
        root
        for name, tree in TREES.items()
        # Who names this module runs in Gunicorn.
        if name != "worker.py"
        for root in imports(tree)
    }
    foreign = roots - sys.stdlib_module_names - {"httpserver"}
    distributions = packages_distributions()
    needed = {distributions.get(root, [root])[0].lower().replace("_", "-") for root in foreign}

    assert "anyio" in needed
    assert needed <= required


def functions() -> Iterator[tuple[str, FunctionType]]:
    """Yield all public functions, methods and getters."""
    for name in web.__all__:
        value: Any = getattr(web, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for owner in value.__mro__:
                if not owner.__module__.startswith(("httpserver", "httpcore_proto")):
                    continue
                for attribute, member in vars(owner).items():
                    if attribute.startswith("_") and attribute != "__init__":
                        continue
                    if isinstance(member, property):
                        member = member.fget
                    if isinstance(member, (classmethod, staticmethod)):
                        member = member.__func__
                    # typing puts an `__init__` of its own into protocols.
                    if inspect.isfunction(member) and member.__module__ == owner.__module__:
                        yield f"{name}.{attribute}", member


def test_public_functions_are_annotated() -> None:
    """S039: every public function and method annotates its parameters and what it returns."""
    missing: list[str] = []
    seen = 0
    for name, function in functions():
        seen += 1
        parameters = list(inspect.signature(function).parameters)
        if "." in name and parameters[:1] in (["self"], ["cls"]):
            del parameters[0]
        missing += [
            f"{name}({parameter})"
            for parameter in (*parameters, "return")
            if parameter not in function.__annotations__
        ]

    assert missing == []
    assert seen > 200


def test_python_that_runs_is_declared() -> None:
    """S117: Requires-Python admits the interpreter, and a classifier names it."""
    version = sys.version_info[:2]

    match = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["requires-python"])
    assert match
    assert (int(match[1]), int(match[2])) <= version
    name = f"Programming Language :: Python :: {version[0]}.{version[1]}"
    assert name in PROJECT["classifiers"]


@pytest.mark.parametrize("name", TREES)
def test_nothing_is_imported_with_a_star(name: str) -> None:
    """S164: no module says `from x import *`."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom):
            assert "*" not in [alias.name for alias in node.names], f"line {node.lineno}"


def test_abstract_collections_come_from_their_own_module() -> None:
    """S167, S192: no module takes an abstract class from `collections`, or a moved alias."""
    moved = set(abc.__all__)
    found = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.ImportFrom)
            and node.module in ("collections", "typing")
            and moved - {"Callable"} & {alias.name for alias in node.names}
        )
        or (
            isinstance(node, ast.Attribute)
            and node.attr in moved
            and isinstance(node.value, ast.Name)
            and node.value.id == "collections"
        )
    ]

    assert found == []


def test_package_is_typed() -> None:
    """S172: the package ships `py.typed`."""
    assert (FOLDER / "py.typed").is_file()
