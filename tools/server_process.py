"""A server in a process of its own, for the tools that put load on one."""

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class ServerProcess:
    """`python -m httpserver`, running on the loopback."""

    process: "subprocess.Popen[str]"
    address: tuple[str, int]

    def wait_for(self, pattern: str) -> str:
        """Return the next line of its output that has a pattern.

        Raises:
            RuntimeError: It ended before that.
        """
        return wait_for(self.process, pattern)

    def rss(self) -> int:
        """Return its resident memory in bytes (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def cpu(self) -> float:
        """Return the seconds of processor time that it used (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(process: "subprocess.Popen[str]", pattern: str) -> str:
    """Return the next line of a process's output that has a pattern."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if re.search(pattern, line):
            return line
    raise RuntimeError(f"the server ended before it said {pattern!r}:\n{seen}")


@contextmanager
def serving(app: str, *arguments: str, seconds: float = 120.0) -> Iterator[ServerProcess]:
    """Serve an application, given as Python text, on the loopback.

    Args:
        app: The text of a module with an `app`.
        *arguments: More of the command line.
        seconds: After these the process is killed, whatever goes on.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "served_app.py").write_text(app)
        process = subprocess.Popen(
            [
                *(sys.executable, "-u", "-m", "httpserver", "served_app:app"),
                *("--host=127.0.0.1", "--port=0", "--no-access-log", *arguments),
            ],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watchdog = threading.Timer(seconds, process.kill)
        watchdog.start()
        try:
            port = int(wait_for(process, "Running on").rsplit(":", 1)[1].split(" ")[0])
            yield ServerProcess(process, ("127.0.0.1", port))
            process.terminate()
            rest, _ = process.communicate(timeout=30)
            if rest := rest.replace("(Press CTRL+C to quit)", "").strip():
                print(rest)
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
    if process.returncode:
        raise RuntimeError(f"the server ended with {process.returncode}")
