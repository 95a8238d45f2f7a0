"""The server bench: CPU time of a server per request, under the load of wrk."""

import contextlib
import http.client
from dataclasses import replace
from typing import Final

from .apps.settings import HOST, Settings
from .cpu import pinned, tree_cpu
from .environment import child_environ
from .processes import Process, free_port, running, wait_listening
from .report import Table
from .rounds import MeasurementError, NotOfferedError, round_robin
from .run import Run
from .server_peers import ServerPeer, offers, server_peers
from .works import Work
from .wrk import Load, write_script

CONNECTIONS: Final = 64
_PROBE_TIMEOUT: Final = 10.0
_WARMUP_SECONDS: Final = 1


class ServerUnderTest:
    """A server that is started at its first measurement and ends with the stack it was given."""

    def __init__(self, peer: ServerPeer, work: Work, run: Run, stack: contextlib.ExitStack) -> None:
        """Make it; nothing is started yet."""
        self._peer = peer
        self._work = work
        self._run = run
        self._stack = stack
        self._started: tuple[Process, Load] | None = None

    def measure(self, connections: int = CONNECTIONS) -> float:
        """Return microseconds of CPU per request over one run of wrk.

        Raises:
            NotOfferedError: The server has no way to do this work.
            MeasurementError: It does not start, or an answer was not what it must be.
        """
        if self._started is None:
            self._started = self._start()
        process, load = self._started
        process.raise_if_ended()
        before = tree_cpu(process.pid)
        requests = replace(load, connections=connections).run(self._run.seconds)
        after = tree_cpu(process.pid)
        process.raise_if_ended()
        if before.pids != after.pids:
            raise MeasurementError("a process of the server started or ended while it was measured")
        return (after.seconds - before.seconds) / requests * 1e6

    def _start(self) -> tuple[Process, Load]:
        peer, work, run = self._peer, self._work, self._run
        if not offers(peer, work.name):
            raise NotOfferedError("no such feature")
        port = free_port()
        settings = Settings(work=work.name, port=port, loop=peer.loop, static_dir=run.static_dir)
        command = run.interpreters.command(
            peer.arguments.format(port=port).split(), is_ours=peer.is_ours
        )
        process = self._stack.enter_context(
            running(
                pinned(command, run.cores.measured),
                environ=child_environ(settings.to_environ()),
                log=run.folder / f"{peer.name}-{work.name}.log",
            )
        )
        wait_listening(process, port)
        probe(work, port)
        script = write_script(work, run.folder)
        load = Load(
            work=work, script=script, port=port, connections=CONNECTIONS, core=run.cores.other
        )
        load.run(_WARMUP_SECONDS)
        return process, load


def probe(work: Work, port: int) -> None:
    """Ask once and demand the exact answer, and a connection that stays open.

    wrk looks at neither: it counts any 200, and reconnects without a word.

    Raises:
        MeasurementError: The answer is not that of `work`.
    """
    headers = {"Content-Type": work.content_type} if work.body else {}
    connection = http.client.HTTPConnection(HOST, port, timeout=_PROBE_TIMEOUT)
    try:
        connection.request(work.method, work.target, body=work.body or None, headers=headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise MeasurementError(f"first request: {error!r}") from error
    finally:
        connection.close()
    if response.status != 200 or body != work.answer:
        raise MeasurementError(
            f"first request: status {response.status}, body {body[:40]!r} ({len(body)} bytes)"
        )
    if response.will_close:
        raise MeasurementError("first request: the server closes the connection")


def server_table(work: Work, run: Run) -> Table:
    """Measure the wanted servers at `work`."""
    peers = [peer for peer in server_peers(run.loop) if run.wants(peer.name)]
    with contextlib.ExitStack() as stack:
        measures = {peer.name: ServerUnderTest(peer, work, run, stack).measure for peer in peers}
        rows = round_robin(measures, run.rounds)
    return Table(
        title=f"server, {work.name}: {work.method} {work.target}, {CONNECTIONS} connections",
        unit="us CPU per request",
        references=("aiohttp", "floor"),
        rows=rows,
    )
