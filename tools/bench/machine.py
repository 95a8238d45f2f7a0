"""What a reader has to know about the machine and the versions before a figure means anything."""

import importlib.metadata
import os
import platform
import sysconfig
from pathlib import Path
from typing import Final

from .cpu import Cores
from .environment import PEERS_TXT

_OURS: Final = (
    "httpcore-proto",
    "httpserver",
    "httpclient",
    "uvloop",
    "trio",
    "anyio",
    "multidict",
    "yarl",
)


def machine_facts(cores: Cores) -> dict[str, str]:
    """Return facts in the order in which they are printed."""
    where = (
        "not pinned"
        if cores.measured is None
        else f"measured on {cores.measured}, the rest on {cores.other}"
    )
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}, {_build()}",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": f"{os.cpu_count()}, {where}",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "ours": ", ".join(_installed(name) for name in _OURS),
        "peers": ", ".join(_pinned_peers()),
    }


def _build() -> str:
    """Tell whether the interpreter was built with optimisations, worth tens of percent."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return (
        "optimised build"
        if "--enable-optimizations" in arguments
        else "build without optimisations"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


def _installed(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{name} not installed"


def _pinned_peers() -> list[str]:
    """Return the peers of the list's first paragraph; the second is what they bring along."""
    chosen = PEERS_TXT.read_text().split("\n\n")[0].splitlines()
    return [line.replace("==", " ") for line in chosen if not line.startswith("#")]
