"""The sessions of the workspace; `nox -l` lists them.

Settings of the tools are in pyproject.toml; this file only says what is installed and run.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["tests"]
nox.options.reuse_venv = "yes"

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml("pyproject.toml")
GROUPS = {
    name: nox.project.dependency_groups(PYPROJECT, name) for name in PYPROJECT["dependency-groups"]
}

# Distribution and folder, lowest layer first. The import name is the distribution's with `_`.
PACKAGES = {
    "httpcore-proto": "packages/httpcore-proto",
    "wsproto-async": "packages/wsproto-async",
    "httpclient": "packages/httpclient",
    "httpserver": "packages/httpserver",
    "httpcore-testing": "packages/testing",
}
IMPORT_NAMES = [name.replace("-", "_") for name in PACKAGES]
EXTRAS = {
    "httpcore-proto": "[aio,brotli,zstd]",
    "httpclient": "[cli,trio,uvloop]",
    "httpserver": "[reload,trio,uvloop]",
    "httpcore-testing": "[hypothesis,tls]",
}

# What `smoke` installs, each alone, and which of our packages must be importable after that.
SMOKE = {
    "httpcore-proto": ["httpcore_proto"],
    "httpclient": ["httpcore_proto", "wsproto_async", "httpclient"],
    "httpserver": ["httpcore_proto", "wsproto_async", "httpserver"],
    "httpcore-testing": IMPORT_NAMES,
}

PYTHON_IN_VENV = "Scripts/python.exe" if os.name == "nt" else "bin/python"


def runs(version: str) -> bool:
    """Tell whether this Python really starts; a version manager's shim may only complain."""
    try:
        return subprocess.run([f"python{version}", "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False


CURRENT = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHERS = [version for version in ("3.11", "3.12", "3.13") if version != CURRENT and runs(version)]


def install(session: nox.Session, *requirements: str, editable: bool = True) -> None:
    """Install all five packages, and with them what the session needs.

    In one command, because then pip takes each sibling from the tree. One by one, it would look
    for the siblings on PyPI, where projects of other people have such names.
    """
    folders = [f"./{folder}{EXTRAS.get(name, '')}" for name, folder in PACKAGES.items()]
    if editable:
        folders = [argument for folder in folders for argument in ("--editable", folder)]
    session.install(*folders, *requirements)


@nox.session(python=[CURRENT, *OTHERS])
def tests(session: nox.Session) -> None:
    """Run the whole test suite, on nox's own Python with coverage; arguments go to pytest."""
    install(session, *GROUPS["test"])
    if session.python != CURRENT or session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest")
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")
    for floor in PYPROJECT["tool"]["coverage-floors"]:
        files = [f"--include={floor['include']}", f"--omit={floor['omit']}"]
        session.run("coverage", "report", *files, f"--fail-under={floor['percent']}")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install(*GROUPS["lint"])
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types inside, and that every public name has one."""
    install(session, *GROUPS["types"])
    session.run("mypy")
    roots = [*IMPORT_NAMES, "pytest_httpcore"]
    incomplete = [name for name in roots if not is_completely_typed(session, name)]
    if incomplete:
        session.error(f"public names without types in {', '.join(incomplete)}")


def is_completely_typed(session: nox.Session, package: str) -> bool:
    output = session.run(
        *("pyright", "--verifytypes", package, "--ignoreexternal", "--outputjson"),
        silent=True,
        stderr=None,
        success_codes=[0, 1],  # 1: there is something to report
    )
    report = json.loads(output)["typeCompleteness"]
    if "pyTypedPath" not in report:
        session.error(f"pyright does not find {package}")
    counts = report["exportedSymbolCounts"]
    # The score that pyright gives is 0 for a package that exports no more than `__version__`.
    untyped = counts["withAmbiguousType"] + counts["withUnknownType"]
    session.log(f"{package}: {counts['withKnownType']} public names have types, {untyped} do not")
    for symbol in report["symbols"]:
        if symbol["isExported"] and (symbol["isTypeAmbiguous"] or not symbol["isTypeKnown"]):
            messages = "; ".join(diagnostic["message"] for diagnostic in symbol["diagnostics"])
            session.warn(f"{symbol['name']}: {messages}")
    return bool(untyped == 0)


@nox.session
def layers(session: nox.Session) -> None:
    """Check who imports whom, and the sizes and names of modules."""
    session.run("python", "tools/check_layers.py")


@nox.session
def build(session: nox.Session) -> None:
    """Build the five sdists, and from each its wheel, into dist/."""
    session.install(*GROUPS["build"])
    shutil.rmtree("dist", ignore_errors=True)
    for folder in PACKAGES.values():
        session.run("python", "-m", "build", "--outdir", "dist", folder)


@nox.session(requires=["build"])
def smoke(session: nox.Session) -> None:
    """Install what was built into fresh environments outside the tree and use each once."""
    wheels = [built(session, name, "whl") for name in PACKAGES]
    settings = nox.project.load_toml("packages/httpcore-proto/pyproject.toml")
    with tempfile.TemporaryDirectory(prefix="smoke-") as name, session.chdir(name):
        outside = Path(name)
        # All that comes from an index comes here. What follows sees no index: none can offer a
        # sibling, and a forgotten dependency is not found.
        download = ["python", "-m", "pip", "download", "--quiet", "--dest", "wheelhouse"]
        session.run(*download, *wheels, *settings["build-system"]["requires"])
        session.env["PIP_NO_INDEX"] = "1"
        session.env["PIP_FIND_LINKS"] = (outside / "wheelhouse").as_uri()
        for distribution, importable in SMOKE.items():
            session.run("python", "-m", "venv", distribution)
            python = f"{outside}/{distribution}/{PYTHON_IN_VENV}"
            for arguments in (
                ["-m", "pip", "install", distribution],
                ["-m", "pip", "check"],
                ["-I", f"{ROOT}/tools/smoke/importable.py", *importable],
                ["-I", f"{ROOT}/tools/smoke/{distribution}.py"],
            ):
                session.run(python, *arguments, external=True)
        # httpcore-proto from its sdist: no network, and nothing that an earlier build has cached.
        session.run(
            *("python", "-m", "pip", "wheel", "--no-cache-dir", "--no-deps"),
            built(session, "httpcore-proto", "tar.gz"),
            env={
                **dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9"),
                "XDG_CACHE_HOME": f"{outside}/cache",
            },
        )


def built(session: nox.Session, name: str, suffix: str) -> Path:
    matches = list((ROOT / "dist").glob(f"{name.replace('-', '_')}-*.{suffix}"))
    if len(matches) != 1:
        session.error(f"expected one .{suffix} of {name} in dist/, found {len(matches)}")
    return matches[0]


@nox.session
def demo(session: nox.Session) -> None:
    """Run server and client against each other; with `-- --serve`, serve a page for a browser."""
    install(session)
    session.run("python", "tools/demo.py", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Use our WebSockets from Chromium, which must be there; with `-- --serve`, try it by hand."""
    install(session, "selenium==4.*", "trustme>=1.2")
    session.run("python", "-m", "tools.browser", *session.posargs)


@nox.session
def autobahn(session: nox.Session) -> None:
    """Run the fast cases of the Autobahn suite; the arguments are those of tools/autobahn."""
    install(session)
    session.run("python", "-m", "tools.autobahn", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure; the arguments are those of tools/bench."""
    install(session)
    session.run("python", "-m", "tools.bench", *session.posargs)


@nox.session
def asan(session: nox.Session) -> None:
    """Run the tests of httpcore-proto with its C under AddressSanitizer and UBSan."""
    question = [os.environ.get("CC", "cc"), "-print-file-name=libasan.so"]
    runtime = subprocess.run(question, capture_output=True, text=True, check=True).stdout.strip()
    if not os.path.isabs(runtime):
        session.error("this compiler has no libasan.so; set CC to a GCC that has")
    session.env["HTTPCORE_PROTO_SANITIZE"] = "1"
    # Not editable: beside the sources, this build would serve all other sessions, too.
    install(session, *GROUPS["test"], editable=False)
    session.run(
        *("pytest", "packages/httpcore-proto/tests", *session.posargs),
        # The interpreter itself is not instrumented and never frees some of its memory.
        env={"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"},
    )
