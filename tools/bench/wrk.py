"""The load generator: wrk, one thread, on the core that the server does not use."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .apps.settings import HOST
from .cpu import pinned
from .rounds import MeasurementError
from .works import Work

# The body is read from a file, so nothing has to be quoted for Lua. The closing line is for us: the
# counts that wrk prints for people are rounded.
_SCRIPT: Final = """\
wrk.method = "{method}"
{body}
done = function(summary, latency, requests)
   local e = summary.errors
   io.write(string.format("bench %d %d %d %d %d %d %d\\n", summary.requests, summary.bytes,
                          e.connect, e.read, e.write, e.status, e.timeout))
end
"""
_SCRIPT_BODY: Final = """\
wrk.headers["Content-Type"] = "{content_type}"
local file = assert(io.open("{path}", "rb"))
wrk.body = file:read("*a")
file:close()
"""


class WrkMissingError(Exception):
    """wrk is not installed."""


def require_wrk() -> None:
    """Raise `WrkMissingError`, which says how to get it, unless wrk is there."""
    if shutil.which("wrk") is None:
        raise WrkMissingError("the server benches need wrk: apt-get install wrk")


def write_script(work: Work, folder: Path) -> Path:
    """Write the Lua script for `work` into `folder` and return its path."""
    body = ""
    if work.body:
        path = folder / f"{work.name}.body"
        path.write_bytes(work.body)
        body = _SCRIPT_BODY.format(content_type=work.content_type, path=path)
    script = folder / f"{work.name}.lua"
    script.write_text(_SCRIPT.format(method=work.method, body=body))
    return script


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One run of wrk.

    Attributes:
        seconds: Length of the run; wrk takes whole seconds only.
    """

    work: Work
    script: Path
    port: int
    connections: int
    core: int | None

    def run(self, seconds: int) -> int:
        """Send requests for `seconds` and return how many were answered.

        Raises:
            MeasurementError: A response was not a success or shorter than it must be, or a socket
                failed.
        """
        command = ["wrk", "-t1", f"-c{self.connections}", f"-d{seconds}s", "--timeout", "10s"]
        command += ["-s", str(self.script), f"http://{HOST}:{self.port}{self.work.target}"]
        result = subprocess.run(
            pinned(command, self.core), capture_output=True, text=True, check=False
        )
        counts = [
            line.split()[1:] for line in result.stdout.splitlines() if line.startswith("bench ")
        ]
        if result.returncode or len(counts) != 1:
            raise MeasurementError(f"wrk: {(result.stderr or result.stdout).strip()[-200:]}")
        requests, size, connect, read, write, status, timeout = map(int, counts[0])
        sockets = connect + read + write
        if sockets or status or timeout:
            raise MeasurementError(
                f"{sockets} socket errors, {status} failed responses, {timeout} timeouts"
            )
        # wrk takes a redirection for a success; a short answer gives it away.
        if requests == 0 or size < requests * len(self.work.answer):
            raise MeasurementError(
                f"{size} bytes in {requests} responses, each must have {len(self.work.answer)}"
            )
        return requests
