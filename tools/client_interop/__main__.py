"""Our client in front of nginx, httpbin, squid, microsocks and Python's own server.

    python -m tools.client_interop [--backend asyncio|uvloop|trio] [--only TEXT]

Prints a table with a row for each case and a column for each event loop; exits with 1 if a
case failed, with 2 if a program is missing. Debian has them all:

    apt-get install nginx-light squid microsocks

httpbin comes from PyPI, into an environment of its own (peers.txt). All of it runs on
127.0.0.1 in folders of its own, is limited in time, and is ended by process id. Needs trustme
and all that the tests of the client need.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from . import httpbin_cases, nginx_cases, proxy_cases
from .servers import PROGRAMS, serving
from .table import BACKENDS, name_of, run_all

CASES = nginx_cases.CASES + httpbin_cases.CASES + proxy_cases.CASES


def main(arguments: list[str] | None = None) -> int:
    """Run as told; the exit code."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m tools.client_interop", description=about)
    parser.add_argument(
        "--backend", action="append", choices=BACKENDS, help="may be repeated; all by default"
    )
    parser.add_argument("--only", default="", help="text in the names of the cases to run")
    options = parser.parse_args(arguments)
    cases = [case for case in CASES if options.only.lower() in name_of(case).lower()]
    if not cases:
        parser.error(f"no case has {options.only!r} in its name")
    # Debian has servers where not every user looks for programs.
    path = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing:
        print(f"not found: {', '.join(missing)}", file=sys.stderr)
        return 2
    os.environ["PATH"] = path
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        serving(Path(name)) as servers,
    ):
        return 1 if run_all(cases, servers, options.backend or list(BACKENDS)) else 0


if __name__ == "__main__":
    sys.exit(main())
