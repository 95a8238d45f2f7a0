"""The servers that stand side by side, how each is started and what it offers."""

from dataclasses import dataclass
from typing import Final

from .apps.settings import BACKLOG, HOST

# Raw ASGI has no router, no sub-applications and no static files; a framework has (starlette).
_RAW_WORKS: Final = frozenset({"hello", "json", "echo1k", "read64k", "stream32", "body1m"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPeer:
    """A server and how to start it.

    Attributes:
        arguments: What follows the interpreter, separated by blanks; `{port}` stands for the port.
        loop: The event loop that it is told to use.
        works: Works that it offers; None lets the process itself say what it cannot do.
        is_ours: It runs in the interpreter that has our packages, the others in that of the peers.
    """

    name: str
    arguments: str
    loop: str
    works: frozenset[str] | None = None
    is_ours: bool = False


def _uvicorn(app: str, loop: str) -> str:
    return (
        f"-m uvicorn {app} --host {HOST} --port {{port}} --http httptools --loop {loop} --ws none"
        f" --backlog {BACKLOG} --lifespan off --no-access-log --log-level warning"
    )


def _granian(app: str, loop: str) -> str:
    # `asginl` is ASGI without lifespan, which the raw application does not speak.
    return (
        f"-m granian {app} --interface asginl --host {HOST} --port {{port}} --http 1 --loop {loop}"
        f" --backlog {BACKLOG} --no-ws --workers 1 --no-access-log --log-level warning"
    )


def _hypercorn_trio(app: str) -> str:
    return (
        f"-m hypercorn {app} --worker-class trio --bind {HOST}:{{port}} --backlog {BACKLOG}"
        " --workers 1"
    )


def server_peers(loop: str) -> list[ServerPeer]:
    """Return all servers, those of asyncio on `loop` (`uvloop` or `asyncio`)."""
    ours = "-m bench.apps.ours"
    raw = "bench.apps.asgi_raw:app"
    starlette = _uvicorn("bench.apps.starlette_app:app", loop)
    peers = [
        ServerPeer(name="floor", arguments="-m bench.apps.floor", loop=loop),
        ServerPeer(name="ours", arguments=ours, loop=loop, is_ours=True),
        ServerPeer(name="ours-asyncio", arguments=ours, loop="asyncio", is_ours=True),
        ServerPeer(name="ours-trio", arguments=ours, loop="trio", is_ours=True),
        ServerPeer(name="aiohttp", arguments="-m bench.apps.aiohttp_app", loop=loop),
        ServerPeer(name="uvicorn", arguments=_uvicorn(raw, loop), loop=loop, works=_RAW_WORKS),
        ServerPeer(name="granian", arguments=_granian(raw, loop), loop=loop, works=_RAW_WORKS),
        ServerPeer(name="starlette", arguments=starlette, loop=loop),
        ServerPeer(
            name="hypercorn-trio", arguments=_hypercorn_trio(raw), loop="trio", works=_RAW_WORKS
        ),
    ]
    # With asyncio's loop for all, `ours` is that already.
    return [peer for peer in peers if loop != "asyncio" or peer.name != "ours-asyncio"]


def offers(peer: ServerPeer, work: str) -> bool:
    """Tell whether the table of capabilities lets `peer` do `work`."""
    return peer.works is None or work in peer.works
