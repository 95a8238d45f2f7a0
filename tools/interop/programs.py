"""Running programs: ours for as long as a block, theirs to their end."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")

HOST = "127.0.0.1"
_APP = Path(__file__).with_name("app.py")


def free_port() -> int:
    with socket.create_server((HOST, 0)) as sock:
        return int(sock.getsockname()[1])


def wait_for(what: str, look: Callable[[], _T | None], seconds: float = 20) -> _T:
    """Look again and again until there is something.

    Raises:
        TimeoutError: There is nothing in time.
    """
    end = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > end:
            raise TimeoutError(f"no {what} in {seconds} seconds")
        time.sleep(0.05)
    return found


def finish(*command: str, seconds: float = 60) -> bytes:
    """Run a program that ends by itself; returns what it printed.

    Raises:
        AssertionError: It failed.
        subprocess.TimeoutExpired: It did not end in time, and was killed.
    """
    done = subprocess.run(command, capture_output=True, timeout=seconds)
    assert done.returncode == 0, f"{command[0]}: {done.returncode}, {done.stderr.decode()[-2000:]}"
    return done.stdout


@contextlib.contextmanager
def running(
    command: list[str], log: Path, port: int | None = None, exit_code: int | None = None
) -> Iterator[None]:
    """Run a program until the block ends.

    Args:
        command: The program and its arguments.
        log: Where its output goes.
        port: The block begins when it accepts here.
        exit_code: Its exit code after SIGTERM; None for any.

    Raises:
        AssertionError: It ended by itself, ended in another way, or did not end.
        TimeoutError: It does not accept.
    """
    with log.open("wb") as output:
        # A group of its own: Chromium leaves children behind if it has to be killed.
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )

    def has_ended() -> bool | None:
        # Not reaped yet: until then nobody else, and no other group, gets its number.
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) and True

    def accepts() -> bool | None:
        assert not has_ended(), f"{command} ended: {log.read_text()[-2000:]}"
        with contextlib.suppress(OSError), socket.create_connection((HOST, port or 0)):
            return True
        return None

    try:
        if port is not None:
            wait_for(f"{command[0]} on port {port}", accepts)
        yield
        assert not has_ended(), f"{command} ended: {log.read_text()[-2000:]}"
    finally:
        os.kill(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            wait_for("end", has_ended)
        os.killpg(process.pid, signal.SIGKILL)
        code = process.wait(20)
    assert exit_code in (None, code), f"{command} ended with {code}: {log.read_text()[-2000:]}"


@dataclass(frozen=True)
class OurServer:
    """The application under test, as the checks see it.

    Attributes:
        port: Its port on 127.0.0.1.
        url: Its URL, without a slash at the end.
        folder: What it serves below /static/; it may not.
        trusted: The PEM file of the authority that it is certified by; None without TLS.
    """

    port: int
    url: str
    folder: Path
    trusted: Path | None

    def curl(self, *arguments: str) -> bytes:
        """Run curl; `{url}` in an argument becomes the server's."""
        options = ["--silent", "--show-error", "--max-time", "20"]
        if self.trusted is not None:
            options += ["--cacert", str(self.trusted)]
        replaced = [argument.replace("{url}", self.url) for argument in arguments]
        return finish("curl", *options, *replaced)

    def tell(self) -> dict[str, Any]:
        """Return the fields of `app.Seen`, and whether its sockets wait for more to send."""
        seen: dict[str, Any] = json.loads(self.curl("{url}/seen"))
        return seen


@contextlib.contextmanager
def our_server(
    backend: str,
    folder: Path,
    log: Path,
    *,
    serves_files: bool = True,
    certified: tuple[Path, Path] | None = None,
) -> Iterator[OurServer]:
    """Run the application under test until the block ends.

    Args:
        backend: Its event loop.
        folder: The files for it.
        log: Where its output goes.
        serves_files: Whether it serves them.
        certified: Certificate with key, and its authority, for TLS; PEM files.

    Raises:
        AssertionError: As of `running`; or it printed something.
        TimeoutError: It does not accept.
    """
    port = free_port()
    # -P: the folder of the script must not come before the standard library.
    command = [sys.executable, "-P", "-W", "always::ResourceWarning"]
    command += [str(_APP), str(port), backend]
    if serves_files:
        command += ["--folder", str(folder)]
    scheme, trusted = "http", None
    if certified is not None:
        scheme, (certificate, trusted) = "https", certified
        command += ["--certificate", str(certificate)]
    with running(command, log, port, exit_code=0):
        yield OurServer(port, f"{scheme}://{HOST}:{port}", folder, trusted)
    # Whatever the others did, such as leave in the middle, is nothing to complain of.
    printed = log.read_text()
    assert not printed, printed[-3000:]
