"""The client bench: CPU time of a client per request, the origin on the other core."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .apps.settings import Settings
from .cpu import pinned
from .environment import child_environ
from .exchanges import Exchange
from .measured import measured
from .processes import free_port, running, wait_listening
from .report import Table
from .rounds import Measure, MeasurementError, round_robin
from .run import Run

_WARMUP_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPeer:
    """A client: the module that drives it, and its event loop."""

    name: str
    module: str
    loop: str
    is_ours: bool = False


def client_peers(loop: str) -> list[ClientPeer]:
    """Return all clients, those of asyncio on `loop` (`uvloop` or `asyncio`)."""
    return [
        ClientPeer(name="floor", module="client_floor", loop=loop),
        ClientPeer(name="ours", module="client_ours", loop=loop, is_ours=True),
        ClientPeer(name="ours-trio", module="client_ours", loop="trio", is_ours=True),
        ClientPeer(name="aiohttp", module="client_aiohttp", loop=loop),
        ClientPeer(name="httpx2", module="client_httpx2", loop=loop),
        ClientPeer(name="pyreqwest", module="client_pyreqwest", loop=loop),
    ]


def client_table(exchange: Exchange, concurrency: int, run: Run) -> Table:
    """Measure the wanted clients at `exchange` with `concurrency` requests in flight."""
    peers = [peer for peer in client_peers(run.loop) if run.wants(peer.name)]
    with _origin(exchange, run) as port:
        measures = {peer.name: _measure(peer, exchange, concurrency, port, run) for peer in peers}
        rows = round_robin(measures, run.rounds)
    return Table(
        title=f"client, {exchange.name}: {exchange.method}, {concurrency} in flight",
        unit="us CPU per request",
        references=("aiohttp", "floor"),
        rows=rows,
    )


@contextlib.contextmanager
def _origin(exchange: Exchange, run: Run) -> Iterator[int]:
    """Run the origin for the length of the block and give its port."""
    port = free_port()
    settings = Settings(work=exchange.name, port=port, loop="uvloop")
    command = run.interpreters.command(["-m", "bench.apps.origin"], is_ours=False)
    with running(
        pinned(command, run.cores.other),
        environ=child_environ(settings.to_environ()),
        log=run.folder / f"origin-{exchange.name}.log",
    ) as process:
        wait_listening(process, port)
        yield port


def _measure(
    peer: ClientPeer, exchange: Exchange, concurrency: int, port: int, run: Run
) -> Measure:
    """Return what measures `peer` once, in a fresh process each time."""
    settings = Settings(
        work=exchange.name,
        port=port,
        loop=peer.loop,
        concurrency=concurrency,
        seconds=run.seconds,
        warmup=_WARMUP_SECONDS,
    )
    command = run.interpreters.command(["-m", f"bench.apps.{peer.module}"], is_ours=peer.is_ours)

    def measure() -> float:
        result = measured(command, settings, run, core=run.cores.measured)
        requests = result["requests"]
        if not requests:
            raise MeasurementError("not one request was answered")
        return result["cpu_seconds"] / requests * 1e6

    return measure
