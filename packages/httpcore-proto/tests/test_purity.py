"""The core knows neither an event loop nor a socket."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import httpcore_proto

PACKAGE = Path(httpcore_proto.__file__).parent
BANNED = ["anyio", "asyncio", "selectors", "socket", "ssl", "trio"]
MODULES = sorted(
    ".".join(("httpcore_proto", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    )
    for path in PACKAGE.rglob("*.py")
    if path.relative_to(PACKAGE).parts[0] != "aio"
)


def loaded_by(module: str) -> set[str]:
    code = f"import sys; sys.path[:] = {sys.path!r}; import {module}; print(*sys.modules)"
    # Isolated: what the site's own start-up imports is not ours to answer for.
    command = [sys.executable, "-I", "-S", "-c", code]
    return set(subprocess.run(command, capture_output=True, check=True, text=True).stdout.split())


def test_the_whole_package_is_looked_at() -> None:
    assert {"httpcore_proto", "httpcore_proto.hdrs", "httpcore_proto._server"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_import_loads_no_input_or_output(module: str) -> None:
    loaded = loaded_by(module)
    assert module in loaded
    assert loaded.isdisjoint(BANNED)
    assert not any(name.startswith("httpcore_proto.aio") for name in loaded)
