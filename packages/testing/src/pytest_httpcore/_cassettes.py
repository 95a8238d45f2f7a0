"""Where the cassette of a test is, and how it is used."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, Final

import pytest

RECORD_MODES: Final = ("none", "once", "all")
DEFAULT_RECORD_MODE: Final = "once"
MARKER: Final = "http_cassette"

# What some file system has no room for in a name, and the separators of them all.
_UNFIT: Final = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
# Bytes of a name without its suffix. Common file systems take 255, and a temporary file beside
# it has a longer one.
_LONGEST: Final = 180


def record_mode(config: pytest.Config) -> str:
    """Return the mode of this run: the option's, else the ini file's.

    Raises:
        pytest.UsageError: The ini file names a mode that there is not.
    """
    mode: str = config.getoption("http_record") or config.getini("http_record_mode")
    if mode not in RECORD_MODES:
        raise pytest.UsageError(
            f"http_record_mode is {mode!r}: it must be one of {', '.join(RECORD_MODES)}"
        )
    return mode


def cassette_path(node: pytest.Item) -> Path:
    """Return where the cassette of a test is, unless its marker says something else."""
    classes = [part.name for part in node.listchain() if isinstance(part, pytest.Class)]
    name = file_name(".".join([*classes, node.name]))
    return node.path.parent / "cassettes" / node.path.stem / f"{name}.json"


def file_name(name: str) -> str:
    """Return `name` as it can be a file's; what had to be changed is told apart by a hash."""
    fit = _UNFIT.sub("-", name).encode("utf-8", "backslashreplace")
    if fit == name.encode("utf-8", "surrogatepass") and len(fit) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{fit[:_LONGEST].decode('utf-8', 'ignore')}-{digest}"


def cassette_options(node: pytest.Item) -> dict[str, Any]:
    """Return the arguments of the test's markers; those of the nearest one count.

    Raises:
        pytest.UsageError: A marker has arguments without a name.
    """
    options: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers(MARKER))):
        if mark.args:
            raise pytest.UsageError(
                f"{node.nodeid}: mark.{MARKER} takes arguments by name alone, such as "
                f"path=..., got {mark.args!r}"
            )
        options.update(mark.kwargs)
    return options
