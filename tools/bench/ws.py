"""The WebSocket bench: CPU time of a server, or of a client, per message that is echoed."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .apps.settings import Settings
from .cpu import pinned, tree_cpu
from .environment import child_environ
from .measured import measured
from .processes import Process, free_port, running, wait_listening
from .report import Table
from .rounds import Measure, MeasurementError, round_robin
from .run import Run
from .ws_works import EchoWork

SIDES: Final = ("server", "client")

_WARMUP_SECONDS: Final = 0.5
_REFERENCES: Final = ("aiohttp", "picows")
_UNIT: Final = "us CPU per message"


@dataclass(frozen=True, slots=True, kw_only=True)
class WsPeer:
    """A server or client that has a module for each side.

    Attributes:
        module: The end of the names of its modules, `ws_server_...` and `ws_client_...`.
        api: Which of its ways to do it; an argument of the module.
        loop: The event loop that it is told to use.
        is_ours: It runs in the interpreter that has our packages, the others in that of the peers.
    """

    name: str
    module: str
    loop: str
    api: str = ""
    is_ours: bool = False


def ws_peers(loop: str) -> list[WsPeer]:
    """Return all peers, those of asyncio on `loop` (`uvloop` or `asyncio`)."""

    def ours(name: str, api: str, loop: str) -> WsPeer:
        return WsPeer(name=name, module="ours", api=api, loop=loop, is_ours=True)

    return [
        WsPeer(name="floor", module="floor", loop=loop),
        ours("ours", "session", loop),
        ours("ours-asyncio", "session", "asyncio"),
        ours("ours-trio", "session", "trio"),
        ours("ours standalone", "standalone", loop),
        ours("ours listener", "listener", loop),
        WsPeer(name="aiohttp", module="aiohttp", loop=loop),
        WsPeer(name="websockets", module="websockets", loop=loop),
        WsPeer(name="picows", module="picows", loop=loop),
    ]


def ws_table(side: str, work: EchoWork, connections: int, run: Run) -> Table:
    """Measure the wanted peers on one side."""
    peers = [peer for peer in ws_peers(run.loop) if run.wants(peer.name)]
    with contextlib.ExitStack() as stack:
        measures: dict[str, Measure]
        if side == "server":
            measures = {
                peer.name: _Server(peer, work, connections, run, stack).measure for peer in peers
            }
        else:
            origin = WsPeer(name="origin", module="floor", loop="uvloop")
            _, port = stack.enter_context(_listening(origin, work, run, run.cores.other))
            measures = {
                peer.name: _client_measure(peer, work, connections, port, run) for peer in peers
            }
        rows = round_robin(measures, run.rounds)
    return Table(
        title=f"WebSocket {side}, {work.name}: {connections} connections, a message in flight each",
        unit=_UNIT,
        references=_REFERENCES,
        rows=rows,
    )


class _Server:
    """A server that is started at its first measurement and ends with the stack it was given."""

    def __init__(
        self, peer: WsPeer, work: EchoWork, connections: int, run: Run, stack: contextlib.ExitStack
    ) -> None:
        self._peer = peer
        self._work = work
        self._connections = connections
        self._run = run
        self._stack = stack
        self._started: tuple[Process, int] | None = None

    def measure(self) -> float:
        """Return microseconds of CPU per message over one run of the load.

        Raises:
            NotOfferedError: The server has no way to do this work.
            MeasurementError: It does not start, or an echo was not what it must be.
        """
        if self._started is None:
            self._started = self._stack.enter_context(
                _listening(self._peer, self._work, self._run, self._run.cores.measured)
            )
            self._load(_WARMUP_SECONDS)
        process, _ = self._started
        process.raise_if_ended()
        before = tree_cpu(process.pid)
        messages = self._load(self._run.seconds)
        after = tree_cpu(process.pid)
        process.raise_if_ended()
        return (after.seconds - before.seconds) / messages * 1e6

    def _load(self, seconds: float) -> float:
        assert self._started is not None
        load = WsPeer(name="load", module="floor", loop="uvloop")
        settings = Settings(
            work=self._work.name,
            port=self._started[1],
            loop=load.loop,
            concurrency=self._connections,
            seconds=seconds,
        )
        command = _command(load, "client", self._run)
        messages = measured(command, settings, self._run, core=self._run.cores.other)["requests"]
        if not messages:
            raise MeasurementError("not one message was echoed")
        return messages


def _client_measure(peer: WsPeer, work: EchoWork, connections: int, port: int, run: Run) -> Measure:
    """Return what measures `peer` once, in a fresh process each time."""
    settings = Settings(
        work=work.name,
        port=port,
        loop=peer.loop,
        concurrency=connections,
        seconds=run.seconds,
        warmup=_WARMUP_SECONDS,
    )
    command = _command(peer, "client", run)

    def measure() -> float:
        result = measured(command, settings, run, core=run.cores.measured)
        if not result["requests"]:
            raise MeasurementError("not one message was echoed")
        return result["cpu_seconds"] / result["requests"] * 1e6

    return measure


@contextlib.contextmanager
def _listening(
    peer: WsPeer, work: EchoWork, run: Run, core: int | None
) -> Iterator[tuple[Process, int]]:
    """Run a server for the length of the block; give it and its port."""
    port = free_port()
    settings = Settings(work=work.name, port=port, loop=peer.loop)
    with running(
        pinned(_command(peer, "server", run), core),
        environ=child_environ(settings.to_environ()),
        log=run.folder / f"ws-{peer.name.replace(' ', '-')}-{work.name}.log",
    ) as process:
        wait_listening(process, port)
        yield process, port


def _command(peer: WsPeer, side: str, run: Run) -> list[str]:
    arguments = ["-m", f"bench.apps.ws_{side}_{peer.module}"]
    if peer.api:
        arguments.append(peer.api)
    return run.interpreters.command(arguments, is_ours=peer.is_ours)
