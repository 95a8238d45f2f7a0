"""The interpreters: ours is the one that runs this, the peers have an environment of their own.

Peers are kept apart so that what they require never decides what we are tested with, and so that
installing them is done once per list and not once per run.
"""

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TOOLS: Final = Path(__file__).resolve().parent.parent
PEERS_TXT: Final = TOOLS / "bench" / "peers.txt"
_ENVIRONMENTS: Final = TOOLS.parent / ".nox"


@dataclass(frozen=True, slots=True)
class Interpreters:
    """Paths of the two interpreters."""

    ours: str
    peers: str

    def command(self, arguments: Sequence[str], *, is_ours: bool) -> list[str]:
        """Return the command line that runs `arguments` in the one that has the package."""
        return [self.ours if is_ours else self.peers, *arguments]


def find_interpreters() -> Interpreters:
    """Return both, after creating the peers' environment if need be."""
    return Interpreters(sys.executable, peers_python(PEERS_TXT, "bench-peers"))


def peers_python(peers_txt: Path, name: str) -> str:
    """Return the interpreter of an environment with what a list says; creates it if need be.

    Args:
        peers_txt: The list, as pip reads it.
        name: The environment's.
    """
    fingerprint = hashlib.sha256(peers_txt.read_bytes() + sys.version.encode()).hexdigest()
    environment = _ENVIRONMENTS / name
    python = environment / "bin" / "python"
    # Written last, so an installation that was interrupted is done again.
    marker = environment / "installed"
    if not marker.exists() or marker.read_text() != fingerprint:
        print(
            f"installing the peers into {environment.relative_to(TOOLS.parent)} ...",
            file=sys.stderr,
            flush=True,
        )
        venv.create(environment, clear=True, with_pip=True)
        command = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            str(peers_txt),
        ]
        # pip's output is progress and warnings; stdout is kept for the tables.
        subprocess.run(command, check=True, stdout=sys.stderr)
        marker.write_text(fingerprint)
    return str(python)


def child_environ(extra: dict[str, str]) -> dict[str, str]:
    """Return the environment of a measured process.

    Proxy variables are left out: some clients would honour them even for loopback.
    """
    environ = {
        name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
    }
    return environ | {"PYTHONPATH": str(TOOLS)} | extra
