"""Our WebSocket server and client against the Autobahn suite.

    python -m tools.autobahn [--role server] [--backend trio] [--cases all] [--peer httpcore]

Prints a line for each run, and one for each case that failed or was not closed rightly; exits
with 1 if there is one.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.interop.programs import HOST, free_port, running

from .environment import suite_python
from .suite import CASE_SETS, Suite, Verdict

_HERE: Final = Path(__file__).resolve().parent
ROLES: Final = ("server", "client")
BACKENDS: Final = ("asyncio", "uvloop", "trio")

#: Programs that echo. As a server they get PORT and BACKEND, as a client URL, COUNT and BACKEND.
PEERS: Final = ("httpcore", "standalone", "sloppy")


def command_of(peer: str, role: str, *arguments: object) -> list[str]:
    """Return the command that runs a peer."""
    # -P: the folder of the script must not come before the packages.
    return [sys.executable, "-P", str(_HERE / "peers" / f"{peer}.py"), role, *map(str, arguments)]


def try_peer(suite: Suite, peer: str, role: str, backend: str) -> Verdict:
    """Run the suite once."""
    port = free_port()
    if role == "client":
        url = f"ws://{HOST}:{port}"
        return suite.try_client(port, lambda count: command_of(peer, role, url, count, backend))
    with running(command_of(peer, role, port, backend), suite.folder / "server.log", port):
        return suite.try_server(port)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as told; the exit code."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m tools.autobahn", description=about)
    parser.add_argument(
        "--role", action="append", choices=ROLES, help="may be repeated; both by default"
    )
    parser.add_argument(
        "--backend",
        action="append",
        choices=BACKENDS,
        help="may be repeated; asyncio and trio by default",
    )
    parser.add_argument(
        "--cases",
        default="fast",
        help=f"{', '.join(CASE_SETS)}, or patterns with commas, as 1.*,-1.2.*",
    )
    parser.add_argument("--peer", choices=PEERS, default="httpcore", help="who is tested")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for reports, with all frames")
    options = parser.parse_args(arguments)
    python = suite_python()
    cases = CASE_SETS.get(options.cases, options.cases)
    faults = 0
    with tempfile.TemporaryDirectory(prefix="autobahn-") as name:
        for backend, role in itertools.product(
            options.backend or ("asyncio", "trio"), options.role or ROLES
        ):
            folder = (options.keep or Path(name)).resolve() / f"{options.peer}-{backend}-{role}"
            folder.mkdir(parents=True, exist_ok=True)
            began = time.monotonic()
            verdict = try_peer(Suite(python, folder, cases), options.peer, role, backend)
            (folder / "behaviors.json").write_text(json.dumps(verdict.behaviors, indent=1) + "\n")
            seconds = time.monotonic() - began
            print(f"{backend}, {role}: {verdict.summary()} ({seconds:.0f} s)", flush=True)
            print(*(f"  {fault}\n" for fault in verdict.faults), sep="", end="", flush=True)
            faults += len(verdict.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
