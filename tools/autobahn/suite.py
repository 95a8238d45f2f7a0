"""One run of the suite's fuzzer against one peer, and what it found."""

import contextlib
import json
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tools.interop.programs import HOST, running

_CASES: Final = Path(__file__).with_name("cases.py")
_PASSED: Final = ("OK", "NON-STRICT", "INFORMATIONAL")
_CLOSED: Final = ("OK", "INFORMATIONAL")
_AGENT: Final = "target"
# All 517 cases take 10 to 13 minutes.
_PATIENCE: Final = 3600.0

#: Longer names for sets of cases. A set is patterns with commas; `-` in front leaves cases out. A
#: pattern matches a prefix: `12.*.1` takes 12.1.10 to 12.1.18, too.
CASE_SETS: Final = {
    "fast": "*,-9.*,-12.*,-13.*",
    # Of compression, the payloads that go quickly.
    "sample": "*,-12.*,-13.*,12.*.5,12.*.11,13.*.5,13.*.11",
    "all": "*",
}


@dataclass
class Verdict:
    """What the fuzzer found.

    Attributes:
        behaviors: How each case went, in Autobahn's words; `MISSING` if it did not run.
        faults: A line for each case that failed, or in which the connection was closed wrongly.
    """

    behaviors: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Return the counts in a line."""
        found = list(self.behaviors.values())
        parts = [f"{found.count(word)} {word}" for word in dict.fromkeys(found)]
        return f"{len(found)} cases: {', '.join(parts)}; {len(self.faults)} faults"


@dataclass(frozen=True)
class Suite:
    """The fuzzer and the cases it is to run.

    Attributes:
        python: The interpreter that has it.
        folder: For its specs, logs and reports, which show every frame.
        cases: Patterns of cases, as in `CASE_SETS`.
    """

    python: str
    folder: Path
    cases: str

    def try_server(self, port: int) -> Verdict:
        """Let the fuzzer be the client of a server on `port` that echoes messages."""
        server = {"agent": _AGENT, "url": f"ws://{HOST}:{port}/"}
        spec = self._write_spec({"servers": [server]})
        with (self.folder / "wstest.log").open("wb") as log:
            subprocess.run(
                [*self._wstest("fuzzingclient"), "-s", str(spec)],
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=_PATIENCE,
                check=True,
            )
        return self._verdict(self._case_names(spec))

    def try_client(self, port: int, client: Callable[[int], Sequence[str]]) -> Verdict:
        """Let the fuzzer be the server, on `port`, of a client that echoes messages.

        Args:
            port: A free port.
            client: Returns the command that runs the client through so many cases:
                `/runCase?case=N&agent=target`, N being 1 and up.
        """
        spec = self._write_spec({"url": f"ws://{HOST}:{port}"})
        names = self._case_names(spec)
        command = [*self._wstest("fuzzingserver"), "--webport", "0", "--spec", str(spec)]
        with running(command, self.folder / "wstest.log", port):
            with (self.folder / "client.log").open("wb") as log:
                subprocess.run(
                    client(len(names)),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=_PATIENCE,
                    check=False,  # the reports tell what it did not do
                )
            _ask_for_reports(port)
        return self._verdict(names)

    def _wstest(self, mode: str) -> list[str]:
        return [self.python, "-W", "ignore", "-m", "autobahntestsuite.wstest", "--mode", mode]

    def _write_spec(self, role: dict[str, Any]) -> Path:
        patterns = self.cases.split(",")
        spec = {
            "outdir": str(self.folder / "report"),
            # Wait for the close frame, to see that its code is right.
            "options": {"failByDrop": False},
            "cases": [pattern for pattern in patterns if not pattern.startswith("-")],
            "exclude-cases": [pattern[1:] for pattern in patterns if pattern.startswith("-")],
            "exclude-agent-cases": {},
        }
        path = self.folder / "spec.json"
        path.write_text(json.dumps(spec | role))
        return path

    def _case_names(self, spec: Path) -> list[str]:
        command = [self.python, "-W", "ignore", str(_CASES), str(spec)]
        names: list[str] = json.loads(
            subprocess.run(command, check=True, capture_output=True).stdout
        )
        return names

    def _verdict(self, names: Sequence[str]) -> Verdict:
        folder = self.folder / "report"
        index = folder / "index.json"
        found = json.loads(index.read_text()).get(_AGENT, {}) if index.exists() else {}
        verdict = Verdict()
        for name in names:
            entry = found.get(name, {"behavior": "MISSING", "behaviorClose": "MISSING"})
            behavior, close = entry["behavior"], entry["behaviorClose"]
            verdict.behaviors[name] = behavior
            if behavior not in _PASSED or close not in _CLOSED:
                report = {"result": "it did not run", "resultClose": ""}
                if "reportfile" in entry:
                    report = json.loads((folder / entry["reportfile"]).read_text())
                verdict.faults.append(
                    f"{name}: {behavior}, close {close}: "
                    f"{report['result']} {report['resultClose']}".rstrip()
                )
        return verdict


def _ask_for_reports(port: int) -> None:
    request = (
        f"GET /updateReports?agent={_AGENT} HTTP/1.1\r\nHost: {HOST}:{port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with socket.create_connection((HOST, port), timeout=120) as sock:
        sock.sendall(request.encode())
        # It hangs up when they are written.
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(4096):
                pass
