"""Starting measured processes, waiting until they listen, and ending them whatever happens."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .apps.settings import EXIT_NOT_OFFERED, HOST
from .rounds import MeasurementError, NotOfferedError

# An interpreter on a busy machine takes a second or two to import a framework, and granian starts
# another interpreter.
_START_TIMEOUT: Final = 30.0
_STOP_TIMEOUT: Final = 5.0
_POLL_INTERVAL: Final = 0.05

# The line of a traceback that names the exception.
_EXCEPTION: Final = re.compile(r"[\w.]+(Error|Exception|Exit|Interrupt)\b")


@dataclass(frozen=True, slots=True)
class Process:
    """A process that we started and where its output goes."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.popen.pid

    def raise_if_ended(self) -> None:
        """Raise what the table is to say about a process that ended by itself.

        Raises:
            NotOfferedError: It said that it cannot do the work.
            MeasurementError: Anything else.
        """
        code = _exit_code(self.pid)
        if code is not None:
            raise_for_exit(code, self.log.read_text(errors="replace"))


def _exit_code(pid: int) -> int | None:
    """Return how our child `pid` ended, negative for a signal, or None while it runs.

    It is left unreaped, as a zombie: only then can its number not become that of another process,
    or of another group, before we signal the group.
    """
    state = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if state is None:
        return None
    return state.si_status if state.si_code == os.CLD_EXITED else -state.si_status


def raise_for_exit(code: int, output: str) -> None:
    """Raise what the table is to say about exit code `code`; `output` has the reason."""
    # Exception groups are printed with a frame drawn around them.
    lines = [line for text in output.splitlines() if (line := text.strip(" |+-"))] or ["no output"]
    if code == EXIT_NOT_OFFERED:
        raise NotOfferedError(lines[-1])
    # The last exception, as servers and exception groups may print something after it.
    reason = next((line for line in reversed(lines) if _EXCEPTION.match(line)), lines[-1])
    raise MeasurementError(f"exit code {code}: {reason}")


def free_port() -> int:
    """Return a port that nothing listens on.

    Some peers cannot report the port that the kernel chose for them, so it is chosen here, for all
    alike.
    """
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: Sequence[str], *, environ: Mapping[str, str], log: Path) -> Iterator[Process]:
    """Run `command` for the length of the block, output to `log`; nothing of it is left behind."""
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command,
            env=environ,
            # Away from the source tree: granian takes a folder of the module's name in its working
            # directory for the module, and nothing may lie around afterwards.
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own: its workers can be ended with it, and an interrupt from the
            # keyboard reaches the driver alone, which then ends all of them in order.
            start_new_session=True,
        )
    try:
        yield Process(popen, log)
    finally:
        _end(popen)


def _end(popen: subprocess.Popen[bytes]) -> None:
    os.killpg(popen.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT
    while _exit_code(popen.pid) is None and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL)
    # Whatever ignored the first signal, workers that outlived their parent included.
    os.killpg(popen.pid, signal.SIGKILL)
    popen.wait()


def wait_listening(process: Process, port: int) -> None:
    """Wait until `process` accepts connections on `port`.

    Raises:
        NotOfferedError, MeasurementError: It ended first, or does not listen in time.
    """
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        process.raise_if_ended()
        # Not listening yet, which is what we wait for to change.
        with contextlib.suppress(OSError):
            socket.create_connection((HOST, port), timeout=1.0).close()
            return
        time.sleep(_POLL_INTERVAL)
    raise MeasurementError(f"not listening after {_START_TIMEOUT:.0f} s")
