"""Build hook: compiles `httpcore_proto._native`, and puts llhttp's sources into the sdist.

llhttp's generated sources are not part of the repository. They come from the first of these that
applies:

1. the folder named by `HTTPCORE_PROTO_LLHTTP_DIR` (`include/llhttp.h`, `src/llhttp.c`, ...);
2. `vendor/llhttp/` beside this file: our sdist carries them there, so it builds without network;
3. the sdist of httptools on PyPI, pinned by hash and kept in the user's cache folder. It ships
   llhttp's release unchanged; llhttp itself publishes generated C nowhere that pip can reach.

`HTTPCORE_PROTO_SYSTEM_LLHTTP=1` links the system's llhttp in place of all of these, and
`HTTPCORE_PROTO_SANITIZE=1` builds with AddressSanitizer and UBSan for the test suite.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "httpcore_proto"
EXTENSION = f"{PACKAGE}._native"
OUR_SOURCES = ("hcp_parser.c", "hcp_websocket.c")
LLHTTP_SOURCES = ("src/llhttp.c", "src/api.c", "src/http.c")
LLHTTP_FILES = (*LLHTTP_SOURCES, "include/llhttp.h", "LICENSE")

# httptools 0.9.0 contains llhttp 9.4.3.
CARRIER = "httptools==0.9.0"
CARRIER_SDIST = "httptools-0.9.0.tar.gz"
CARRIER_SHA256 = "d484ebb7e3a3f3597b0f645fbd1b85633674ca808c1f5ba11c2caf7c66f5c8b6"
CARRIER_LLHTTP = "httptools-0.9.0/vendor/llhttp"


class NativeBuildHook(BuildHookInterface[Any]):
    """Compile for wheels and editable installs; add llhttp's sources to sdists."""

    def dependencies(self) -> list[str]:
        """Ask for pip only if llhttp will have to be downloaded."""
        if use_system_llhttp() and self.target_name == "wheel":
            return []
        return [] if self._llhttp_at_hand() or is_intact(cached_carrier()) else ["pip"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        # Until finalize(): the builder reads what is in it after this method returns.
        self._work = tempfile.TemporaryDirectory(prefix="httpcore-proto-")
        work = Path(self._work.name)
        if self.target_name == "sdist":
            llhttp = self._llhttp_sources(work)
            for name in LLHTTP_FILES:
                build_data["force_include"][str(llhttp / name)] = f"vendor/llhttp/{name}"
            return
        built = self._compile(work)
        if version == "editable":
            package = Path(self.root, "src", PACKAGE)
            # Replaced, not overwritten: a running process may have the old one mapped.
            shutil.copy(built, package / f"{built.name}.new")
            os.replace(package / f"{built.name}.new", package / built.name)
            return
        build_data["pure_python"] = False
        build_data["force_include"][str(built)] = f"{PACKAGE}/{built.name}"
        if uses_limited_api():
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"cp311-abi3-{platform}"
        else:
            build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._work.cleanup()

    def clean(self, versions: list[str]) -> None:
        for pattern in ("_native*.so", "_native*.pyd"):
            for product in Path(self.root, "src", PACKAGE).glob(pattern):
                product.unlink()

    def _compile(self, work: Path) -> Path:
        from cffi import FFI  # only a wheel needs it: an sdist is made without

        csrc = Path(self.root, "csrc")
        sources = [csrc / name for name in OUR_SOURCES]
        include_dirs = [csrc]
        libraries = []
        if use_system_llhttp():
            libraries = ["llhttp"]
        else:
            llhttp = self._llhttp_sources(work)
            sources += [llhttp / name for name in LLHTTP_SOURCES]
            include_dirs.append(llhttp / "include")
        compile_args, link_args = compiler_flags()
        ffi = FFI()
        ffi.cdef((csrc / "hcp.cdef").read_text(encoding="utf-8"))
        ffi.set_source(
            EXTENSION,
            '#include "hcp_parser.h"\n#include "hcp_websocket.h"',
            sources=[str(path) for path in sources],
            include_dirs=[str(path) for path in include_dirs],
            libraries=libraries,
            define_macros=[("HCP_VERSION", f'"{self.metadata.version}"')],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
            py_limited_api=uses_limited_api(),
        )
        return Path(ffi.compile(tmpdir=str(work), verbose=bool(os.environ.get("VERBOSE"))))

    def _llhttp_at_hand(self) -> Path | None:
        named = os.environ.get("HTTPCORE_PROTO_LLHTTP_DIR")
        if named:
            return Path(named).resolve()
        vendored = Path(self.root, "vendor", "llhttp")
        return vendored if vendored.is_dir() else None

    def _llhttp_sources(self, work: Path) -> Path:
        return self._llhttp_at_hand() or unpack_llhttp(carrier_sdist(work), work)


def use_system_llhttp() -> bool:
    return os.environ.get("HTTPCORE_PROTO_SYSTEM_LLHTTP") == "1"


def uses_limited_api() -> bool:
    """PyPy has no stable ABI; free-threaded CPython has none before 3.15."""
    return sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")


def compiler_flags() -> tuple[list[str], list[str]]:
    """Return the flags for compiling and for linking."""
    if sys.platform == "win32":
        return ["/O2"], []
    # The generated part of llhttp has callbacks that ignore their parameters.
    warnings = ["-Wall", "-Wextra", "-Wno-unused-parameter"]
    if os.environ.get("HTTPCORE_PROTO_SANITIZE") == "1":
        # Warnings are errors only here: a newer compiler must not break an installation.
        sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
        debug = ["-fno-omit-frame-pointer", "-g", "-O1", "-UNDEBUG"]
        return [*sanitize, *warnings, "-Werror", *debug], sanitize
    # CPython's own flags ask for debug information: the wheel would be several times larger.
    return [*warnings, "-O2", "-g0"], []


def cached_carrier() -> Path:
    if sys.platform == "win32":
        base = Path(os.environ["LOCALAPPDATA"])
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "httpcore-proto" / CARRIER_SDIST


def is_intact(sdist: Path) -> bool:
    return sdist.is_file() and hashlib.sha256(sdist.read_bytes()).hexdigest() == CARRIER_SHA256


def carrier_sdist(work: Path) -> Path:
    """Return the pinned sdist, from the cache or downloaded; its hash is checked either way."""
    cached = cached_carrier()
    if is_intact(cached):
        return cached
    requirements = work / "carrier.txt"
    requirements.write_text(f"{CARRIER} --hash=sha256:{CARRIER_SHA256}\n", encoding="utf-8")
    # Without build isolation: pip prepares the metadata even of what it only downloads. It takes
    # setuptools for that, which is here already; nothing unpinned is fetched.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
    command += ["--dest", str(work), "--requirement", str(requirements)]
    try:
        subprocess.run(command, check=True)
    except subprocess.CalledProcessError as exc:
        raise RuntimeError(
            f"llhttp's sources could not be downloaded (sdist of {CARRIER}); without network, "
            "build from our sdist, or name a folder with them in HTTPCORE_PROTO_LLHTTP_DIR, "
            "or link the system's library with HTTPCORE_PROTO_SYSTEM_LLHTTP=1"
        ) from exc
    downloaded = work / CARRIER_SDIST
    if not is_intact(downloaded):
        raise RuntimeError(f"{downloaded} does not have the SHA-256 {CARRIER_SHA256}")
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        # Under a name of its own first: a build beside this one must never see half a file.
        partial = cached.with_name(f"{cached.name}.{os.getpid()}")
        shutil.copy(downloaded, partial)
        os.replace(partial, cached)
    except OSError:
        # The cache only saves the next download; a build with a read-only home must work without.
        pass
    return downloaded


def unpack_llhttp(sdist: Path, work: Path) -> Path:
    """Extract the files we name, and no other member of the archive."""
    llhttp = work / "llhttp"
    with tarfile.open(sdist) as archive:
        for name in LLHTTP_FILES:
            member = archive.extractfile(f"{CARRIER_LLHTTP}/{name}")
            if member is None:
                raise RuntimeError(f"{CARRIER_LLHTTP}/{name} in {sdist} is not a file")
            target = llhttp / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(member.read())
    return llhttp
