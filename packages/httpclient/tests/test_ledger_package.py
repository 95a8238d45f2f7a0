"""Rows of the ledger: what the package is made of, and what it does not have.

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

import httpclient

FOLDER = Path(httpclient.__file__).parent
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


def run(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a clean interpreter."""
    command = [sys.executable, *options, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=15)


def test_licence_is_declared() -> None:
    """S010: the distribution declares the Apache 2 licence."""
    assert PROJECT["license"] == "Apache-2.0"


def test_import_gives_no_warning() -> None:
    """S034, S167, S192: a clean interpreter imports all of it with warnings as errors."""
    modules = [f"httpclient.{name.removesuffix('.py')}" for name in TREES if name[:2] != "__"]
    program = "import importlib\nfor name in {}: importlib.import_module(name)\nprint('imported')"
    done = run(program.format(["httpclient", *modules]), "-W", "error")
    assert (done.returncode, done.stdout, done.stderr) == (0, "imported\n", "")


def test_imported_packages_are_required() -> None:
    """S037: what is imported from others is required, if only by an extra."""
    required = {
        re.split(r"[^A-Za-z0-9_.-]", text)[0].lower().replace("_", "-")
        for texts in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for text in texts
    }
    roots = {root for tree in TREES.values() for root in imports(tree)}
    foreign = roots - sys.stdlib_module_names - {"httpclient"}
    distributions = packages_distributions()
    needed = {distributions.get(root, [root])[0].lower().replace("_", "-") for root in foreign}
    assert "anyio" in needed
    assert needed <= required


_WITHOUT = """
import sys
for name in ("aiodns", "brotli", "brotlicffi", "uvloop", "trio"):
    sys.modules[name] = None
import asyncio, httpclient

async def main():
    heads = []

    async def answer(reader, writer):
        heads.append(await reader.readuntil(b"\\r\\n\\r\\n"))
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with httpclient.ClientSession() as session:
            async with session.get(f"http://localhost:{port}/") as resp:
                print(await resp.text())
    print(heads[0].partition(b"Accept-Encoding: ")[2].split(b"\\r")[0].decode())
    try:
        httpclient.AsyncResolver()
    except RuntimeError:
        print("none")

asyncio.run(main())
"""


def test_what_is_optional_may_be_missing() -> None:
    """S009: without it names are looked up, `br` is not offered, its resolver is an error."""
    done = run(_WITHOUT)
    assert done.stderr == ""
    text, codings, resolver = done.stdout.splitlines()
    assert (text, resolver) == ("ok", "none")
    assert "gzip" in codings
    assert "br" not in codings.split(", ")


def functions() -> Iterator[tuple[str, FunctionType]]:
    """Yield all public functions, methods and getters."""
    for name in httpclient.__all__:
        value: Any = getattr(httpclient, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for owner in value.__mro__:
                if not owner.__module__.startswith(("httpclient", "httpcore_proto")):
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


def test_public_names_are_exported_explicitly() -> None:
    """S143: the names of `__all__` are literal, and each is imported or defined by its name."""
    found: set[str] = set()
    exported: list[str] = []
    for node in TREES["__init__.py"].body:
        if isinstance(node, ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            exported = ast.literal_eval(node.value)
    assert exported == httpclient.__all__
    assert set(exported) <= found


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


# What is not there any more.


def test_connection_of_a_response_cannot_be_taken_away() -> None:
    """S210: `Connection` has neither `detach` nor `writer`."""
    assert not hasattr(httpclient.Connection, "detach")
    assert not hasattr(httpclient.Connection, "writer")


@pytest.mark.parametrize(
    "cls",
    [
        httpclient.ClientSession,
        httpclient.BaseConnector,
        httpclient.TCPConnector,
        httpclient.ClientRequest,
        httpclient.ClientResponse,
        httpclient.CookieJar,
        httpclient.DefaultResolver,
        httpclient.UploadTracker,
    ],
)
def test_nothing_has_a_loop(cls: type) -> None:
    """S211: no `loop` property, and no argument of this name."""
    assert not hasattr(cls, "loop")
    assert "loop" not in inspect.signature(cls).parameters


@pytest.mark.parametrize("name", ["read_timeout", "conn_timeout"])
def test_old_time_outs_are_no_arguments(name: str) -> None:
    """S215: `ClientTimeout` says both."""
    with pytest.raises(TypeError, match=name):
        httpclient.ClientSession(**{name: 5})  # type: ignore[arg-type]
