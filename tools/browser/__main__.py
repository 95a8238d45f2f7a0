"""Our WebSockets in a real browser: headless Chromium on the page of the chat.

    python -m tools.browser [--backend asyncio|uvloop|trio]
    python -m tools.browser --serve [--port 8080] [--backend ...]

Prints a line for each check; exits with 1 if one failed, with 2 if Chromium is missing. With
`--serve` the page is there for a browser of one's own. Debian has the browser: apt-get install
chromium chromium-driver.
"""

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import trustme

from tools.interop.programs import HOST, free_port, running

from .chat import BACKENDS, make_app, serve
from .checks import CHECKS, Site
from .chromium import PROGRAMS, Browser, browser

# What `served` prints when the handler that shall raise raises.
_EXPECTED = "RuntimeError: as it was told to"


@contextlib.contextmanager
def served(backend: str, folder: Path, certified: tuple[Path, Path] | None) -> Iterator[Site]:
    """Run the application under test; it must end with 0, and complain of nothing else.

    Args:
        backend: Its event loop.
        folder: For its log.
        certified: Certificate with key, and its authority, for TLS; PEM files.

    Raises:
        AssertionError: It did not, or did.
    """
    port, log = free_port(), folder / "served.log"
    command = [sys.executable, "-W", "always::ResourceWarning", "-m", "tools.browser.served"]
    command += [str(port), backend]
    site = Site("http", port)
    if certified is not None:
        certificate, authority = certified
        command.append(str(certificate))
        site = Site("https", port, authority)
    with running(command, log, port, exit_code=0):
        yield site
    printed = log.read_text()
    assert printed.count("Traceback") == printed.count(_EXPECTED) == 1, printed[-3000:]
    assert "Warning" not in printed, printed[-3000:]


def check_site(page: Browser, site: Site, name: str) -> int:
    """Run all checks; return how many failed."""
    failed = 0
    for check in CHECKS:
        what = f"{name}, {check.__name__.removeprefix('check_')}"
        began = time.monotonic()
        try:
            page.driver.get(site.url)
            result = check(page, site)
        except Exception as exc:
            failed += 1
            where = traceback.extract_tb(exc.__traceback__)[1]
            print(f"FAIL {what}: {exc!r}, line {where.lineno}", flush=True)
        else:
            print(f"ok   {what}: {result} ({time.monotonic() - began:.1f} s)", flush=True)
    return failed


def check_backend(
    page: Browser, backend: str, folder: Path, certified: tuple[Path, Path] | None
) -> int:
    """Serve on one event loop and run all checks, that of the server's end too."""
    name = f"{backend}, wss" if certified else backend
    folder.mkdir()
    failed = 0
    try:
        with served(backend, folder, certified) as site:
            failed = check_site(page, site, name)
            page.driver.get(site.url)
            page.run("""
                const ws = await connect("echo");
                window.lastEnd = ws.ended;
            """)
        end = page.run("return window.lastEnd;")
        assert end == {"code": 1001, "reason": "", "wasClean": True}, end
    except Exception as exc:
        print(f"FAIL {name}, server: {exc!r}", flush=True)
        return failed + 1
    print(f"ok   {name}, server: closed with 1001, printed and left nothing", flush=True)
    return failed


def check_all(backends: tuple[str, ...]) -> int:
    """Run everything; the exit code."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        print(f"not found: {', '.join(missing)}", file=sys.stderr)
        return 2
    # What Chromium left behind may still be writing into its profile.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        pem, trusted, authority = folder / "server.pem", folder / "authority.pem", trustme.CA()
        authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(pem))
        authority.cert_pem.write_to_path(str(trusted))
        failed = 0
        with browser(folder) as page:
            for backend in backends:
                failed += check_backend(page, backend, folder / backend, None)
                failed += check_backend(page, backend, folder / f"{backend}-wss", (pem, trusted))
    print(f"{failed} failed" if failed else "All of it works.")
    return 1 if failed else 0


def main() -> int:
    """Run as told; the exit code."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m tools.browser", description=about)
    parser.add_argument("--backend", action="append", choices=BACKENDS, help="may be repeated")
    parser.add_argument("--serve", action="store_true", help="keep serving the page")
    parser.add_argument("--port", type=int, default=8080, help="with --serve; 0 for any")
    options = parser.parse_args()
    if options.serve:
        backend = (options.backend or BACKENDS)[0]
        serve(make_app(), options.port, backend)
        return 0
    return check_all(tuple(options.backend or BACKENDS))


if __name__ == "__main__":
    sys.exit(main())
