"""tools/check_layers.py: one test per rule, on a workspace of two packages written for it."""

from pathlib import Path
from typing import Any

import pytest

from tools.check_layers import Checker, main

TABLE: dict[str, Any] = {
    "max-lines": 5,
    "vague-names": ["utils"],
    "oversized": {},
    "modules": {
        "low": {
            "source": "packages/low/src",
            "imports": ["multidict"],
            "banned": ["asyncio", "low.aio"],
        },
        "low.aio": {"source": "packages/low/src", "imports": ["anyio"], "banned": []},
        "high": {"source": "packages/high/src", "imports": ["low"], "banned": []},
    },
}


@pytest.fixture
def breaches(tmp_path: Path) -> Any:
    """Write modules, given as path and text, and return what is wrong with them."""

    def check(modules: dict[str, str], **changes: Any) -> list[str]:
        for name, text in modules.items():
            path = tmp_path / "packages" / name.partition("/")[0] / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return list(Checker(tmp_path, TABLE | changes).check())

    return check


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (
            "low/__init__.py",
            "import os, multidict\nfrom ._events import Event\nfrom . import _events\n",
        ),
        ("low/aio/__init__.py", "import asyncio\nimport anyio.abc\nfrom .._events import Event\n"),
        (
            "low/aio/_link.py",
            "from .. import _events\nfrom ..aio import _link\nfrom . import _runtime\n",
        ),
        (
            "high/_session.py",
            "import low\nfrom low import Event, __version__\nfrom low.aio import Link\n",
        ),
        ("low/_a.py", "from ._asyncio import x\nfrom .aio_names import y\n"),
    ],
)
def test_allowed_import_is_silent(breaches: Any, module: str, text: str) -> None:
    assert breaches({module: text}) == []


@pytest.mark.parametrize(
    ("module", "text", "what"),
    [
        ("low/_a.py", "import asyncio\n", "low._a may not import asyncio"),
        ("low/_a.py", "from asyncio.events import Handle\n", "low._a may not import asyncio"),
        ("low/_a.py", "def f():\n import asyncio\n", "low._a may not import asyncio"),
        ("low/_a.py", "from low import aio\n", "low._a may not import low.aio"),
        ("low/_a.py", "from .aio import Link\n", "low._a may not import low.aio"),
        ("low/__init__.py", "from .aio._link import Link\n", "low may not import low.aio"),
        ("low/sub/_a.py", "from ..aio import Link\n", "low.sub._a may not import low.aio"),
        ("low/_a.py", "import high\n", "low._a may not import high"),
        ("low/_a.py", "import anyio\n", "low._a may not import anyio"),
        ("low/aio/_a.py", "import trio\n", "low.aio._a may not import trio"),
        (
            "high/_a.py",
            "import low._events\n",
            "low._events is private to low; import from its root",
        ),
        (
            "high/_a.py",
            "from low import _events\n",
            "low._events is private to low; import from its root",
        ),
        (
            "high/_a.py",
            "from low._x import Y\n",
            "low._x.Y is private to low; import from its root",
        ),
        ("other/_a.py", "", "[tool.layers.modules] has no row for other._a"),
    ],
)
def test_forbidden_import_is_named_with_its_place(
    breaches: Any, module: str, text: str, what: str
) -> None:
    line = 2 if text.startswith("def") else 1
    package = module.partition("/")[0]
    assert breaches({module: text}) == [f"packages/{package}/src/{module}:{line}: {what}"]


def test_module_at_the_ceiling_is_silent(breaches: Any) -> None:
    assert breaches({"low/_a.py": "x = 1\n" * 5}) == []


def test_module_above_the_ceiling_is_named(breaches: Any) -> None:
    [breach] = breaches({"low/_a.py": "x = 1\n" * 6})
    assert breach.startswith("packages/low/src/low/_a.py:6: more than 5 lines")


def test_module_above_the_ceiling_with_a_reason_is_silent(breaches: Any) -> None:
    assert (
        breaches(
            {"low/_a.py": "x = 1\n" * 6}, oversized={"packages/low/src/low/_a.py": "one table"}
        )
        == []
    )


def test_reason_for_a_module_that_is_gone_is_named(breaches: Any) -> None:
    [breach] = breaches({}, oversized={"packages/low/src/low/_a.py": "one table"})
    assert "packages/low/src/low/_a.py, which is not there" in breach


@pytest.mark.parametrize("name", ["utils", "_utils"])
def test_vague_name_is_refused(breaches: Any, name: str) -> None:
    [breach] = breaches({f"low/{name}.py": ""})
    assert breach.startswith(f"packages/low/src/low/{name}.py:1: a name that says nothing")


def test_this_workspace_keeps_its_layers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().out
