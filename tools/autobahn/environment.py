"""The environment that has the test suite, made once: `.nox/autobahn-suite`.

The suite is code for Python 2.7. Its two sdists come from PyPI, pinned, and `convert.py` makes of
them what Python 3 runs; no copy of them is kept here.
"""

import hashlib
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).resolve().parent
_CONVERT: Final = _HERE / "convert.py"
_ENVIRONMENT: Final = _HERE.parent.parent / ".nox" / "autobahn-suite"

# wsaccel masks and checks UTF-8 in C; without it sections 9, 12 and 13 crawl. setuptools is asked
# by pip for the sdists' metadata.
_REQUIREMENTS: Final = ("twisted==26.10.0", "six==1.17.0", "wsaccel==0.6.7", "setuptools==70.3.0")
# Python has no lib2to3 any more.
_LIB2TO3: Final = "fissix==24.4.24"
_SDISTS: Final = {
    "autobahntestsuite-25.10.1": "b083d6e15330fc16f3e5f0975cce2b15f21bfa0c6db09547316b1852c6dbd6df",
    "autobahn-0.10.9": "3fecc1e2a26a0421128ddcfb4e577f0bc669dd65d0e0fdad1c773965cbcef75a",
}


def suite_python() -> str:
    """Return the interpreter that can import `autobahntestsuite`; install it if need be."""
    recipe = Path(__file__).read_bytes() + _CONVERT.read_bytes() + sys.version.encode()
    fingerprint = hashlib.sha256(recipe).hexdigest()
    python = _ENVIRONMENT / "bin" / "python"
    # Written last, so an installation that was interrupted is done again.
    marker = _ENVIRONMENT / "installed"
    if not marker.exists() or marker.read_text() != fingerprint:
        print("installing the Autobahn suite ...", file=sys.stderr, flush=True)
        venv.create(_ENVIRONMENT, clear=True, with_pip=True)
        _install(python)
        marker.write_text(fingerprint)
    return str(python)


def _install(python: Path) -> None:
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    extra = [_LIB2TO3] if sys.version_info >= (3, 13) else []
    subprocess.run([*pip, "install", *_REQUIREMENTS, *extra], check=True)
    with tempfile.TemporaryDirectory() as name:
        pinned = [sdist.replace("-", "==") for sdist in _SDISTS]
        subprocess.run(
            [
                *(*pip, "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"),
                *("--dest", name, *pinned),
            ],
            check=True,
        )
        archives = [Path(name, f"{sdist}.tar.gz") for sdist in _SDISTS]
        for archive, checksum in zip(archives, _SDISTS.values(), strict=True):
            if hashlib.sha256(archive.read_bytes()).hexdigest() != checksum:
                raise ValueError(f"{archive.name} is not the sdist that convert.py was made for")
        question = "import sysconfig; print(sysconfig.get_path('purelib'))"
        site = subprocess.run(
            [str(python), "-c", question], check=True, capture_output=True, text=True
        ).stdout.strip()
        subprocess.run([str(python), str(_CONVERT), *map(str, archives), site], check=True)
