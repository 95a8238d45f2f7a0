"""Our server behind curl, wrk, ab, nginx, haproxy and Chromium; our client in front of nginx.

    python -m tools.interop [--backend asyncio|uvloop|trio]

Prints a line for each check; exits with 1 if one failed, with 2 if a program is missing.
Debian has them all: apt-get install curl wrk apache2-utils nginx-light haproxy chromium.
All of it runs on 127.0.0.1 in folders of its own, is limited in time, and is ended by
process id.
"""

import argparse
import contextlib
import functools
import gzip
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import trustme

from .browser import check_seeking, make_files
from .direct import (
    check_ab,
    check_curl,
    check_files,
    check_nodelay,
    check_pipelining,
    check_wrk,
)
from .programs import our_server
from .proxies import (
    check_client,
    check_old,
    check_passing,
    check_statistics,
    check_streaming,
    haproxy,
    nginx,
)

PROGRAMS = ("curl", "wrk", "ab", "nginx", "haproxy", "chromium")
BACKENDS = ("asyncio", "uvloop", "trio")
BIG = bytes(range(256)) * 4096  # 1 MiB


class Checks:
    """Runs checks, prints what came of them, and counts."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def __call__(self, name: str, check: Callable[..., str], *arguments: object) -> None:
        began = time.monotonic()
        try:
            result = check(*arguments)
        except Exception as exc:
            self._fail(name, exc)
        else:
            self.passed += 1
            print(f"ok   {name}: {result} ({time.monotonic() - began:.1f} s)", flush=True)

    @contextlib.contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Check that the programs that the block runs run, and end as they should."""
        try:
            yield
        except Exception as exc:
            self._fail(name, exc)
        else:
            self.passed += 1
            print(f"ok   {name}: printed nothing, left nothing open, ended with 0", flush=True)

    def _fail(self, name: str, exc: Exception) -> None:
        self.failed += 1
        where = traceback.extract_tb(exc.__traceback__)[-1]
        place = f"line {where.lineno} of {Path(where.filename).name}"
        print(f"FAIL {name}: {exc!r}, {place}", flush=True)


def make_folder(folder: Path) -> tuple[Path, Path]:
    """Write the files to serve; returns certificate with key, and its authority."""
    files = folder / "www"
    files.mkdir()
    make_files(files)
    (files / "big.bin").write_bytes(BIG)
    text = b"All work and no play makes Jack a dull boy.\n" * 1000
    (files / "text.txt").write_bytes(text)
    (files / "text.txt.gz").write_bytes(gzip.compress(text))
    authority, pem, trusted = trustme.CA(), folder / "server.pem", folder / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    authority.cert_pem.write_to_path(str(trusted))
    return pem, trusted


def check_backend(check: Checks, name: str, folder: Path, certified: tuple[Path, Path]) -> None:
    """Run all checks on one event loop: short answers, files, files over TLS."""
    scratch = folder / name
    scratch.mkdir()
    serve = functools.partial(our_server, name, folder / "www")
    with (
        check.running(f"{name}, server"),
        serve(scratch / "short.log", serves_files=False) as server,
    ):
        check(f"{name}, curl", check_curl, server, BIG, scratch)
        check(f"{name}, wrk", check_wrk, server)
        check(f"{name}, ab", check_ab, server, "/", 5000)
        check(f"{name}, raw", check_pipelining, server)
        check(f"{name}, option", check_nodelay, server)
    with check.running(f"{name}, files, server"), serve(scratch / "files.log") as server:
        check(f"{name}, files, curl", check_curl, server, BIG, scratch)
        check(f"{name}, files, curl's ranges", check_files, server, scratch)
        check(f"{name}, files, ab", check_ab, server, "/static/text.txt", 5000)
        with nginx(server, folder) as port:
            check(f"{name}, nginx", check_passing, server, port, "/proxied", BIG)
            check(f"{name}, nginx, streaming", check_passing, server, port, "/streamed", BIG)
            check(f"{name}, nginx, upload", check_streaming, server, port, "/streamed", BIG)
            check(f"{name}, nginx, HTTP/1.0", check_old, port, BIG)
            check(f"{name}, client of nginx", check_client, port, name, BIG)
        with haproxy(server, folder) as port:
            check(f"{name}, haproxy", check_passing, server, port, "", BIG)
            check(f"{name}, haproxy, upload", check_streaming, server, port, "", BIG)
            check(f"{name}, haproxy, statistics", check_statistics, port)
        check(f"{name}, files, chromium", check_seeking, server, scratch / "profile")
    with (
        check.running(f"{name}, TLS, server"),
        serve(scratch / "tls.log", certified=certified) as server,
    ):
        check(f"{name}, TLS, curl", check_curl, server, BIG, scratch)
        check(f"{name}, TLS, curl's ranges", check_files, server, scratch)
        check(f"{name}, TLS, chromium", check_seeking, server, scratch / "profile-tls")


def main() -> int:
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m tools.interop", description=about)
    parser.add_argument(
        "--backend", action="append", choices=BACKENDS, help="may be repeated; all by default"
    )
    backends = parser.parse_args().backend or BACKENDS
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        print(f"not found: {', '.join(missing)}", file=sys.stderr)
        return 2
    checks = Checks()
    # What Chromium left behind may still be writing into its profile.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's workers may be another user
        certified = make_folder(folder)
        for backend in backends:
            check_backend(checks, backend, folder, certified)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
