"""The bench of bodies and fields: CPU time of parsing one, without sockets."""

from dataclasses import dataclass
from typing import Final

from .cycle_peers import CyclePeer, cycle_measure
from .report import Table
from .rounds import round_robin
from .run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyWork:
    """A body or field to parse.

    Attributes:
        title: What is parsed, as it stands above the table.
        unit: Unit of the figures.
        us_per_unit: Microseconds in it.
        references: Peers to whose median the others are put in ratio.
        peers: Who parses it. What is parsed, and what has to come out, is in
            `apps/body_inputs.py`.
    """

    title: str
    unit: str
    us_per_unit: float
    references: tuple[str, ...]
    peers: tuple[CyclePeer, ...]


def _ours(name: str, arguments: str) -> CyclePeer:
    return CyclePeer(name=name, arguments=f"-m bench.apps.{arguments}", is_ours=True)


def _peer(name: str, arguments: str) -> CyclePeer:
    return CyclePeer(name=name, arguments=f"-m bench.apps.{arguments}")


BODY_WORKS: Final = {
    "multipart64m": BodyWork(
        title="a form with one file of 64 MiB, in pieces of 64 KiB",
        unit="ms CPU per body",
        us_per_unit=1e3,
        references=("multipart", "aiohttp reader"),
        peers=(
            _ours("ours", "multipart_ours file"),
            _peer("multipart", "multipart_peers file-multipart"),
            _peer("werkzeug", "multipart_peers file-werkzeug"),
            _ours("ours reader", "multipart_ours file-reader"),
            _peer("aiohttp reader", "multipart_peers file-aiohttp"),
            _ours("ours reader 64K", "multipart_ours file-reader-64k"),
            _peer("aiohttp reader 64K", "multipart_peers file-aiohttp-64k"),
        ),
    ),
    "multipart100": BodyWork(
        title="a form of 100 small fields: name and value of each",
        unit="us CPU per body",
        us_per_unit=1.0,
        references=("multipart", "aiohttp reader"),
        peers=(
            _ours("ours", "multipart_ours form"),
            _peer("multipart", "multipart_peers form-multipart"),
            _peer("werkzeug", "multipart_peers form-werkzeug"),
            _ours("ours reader", "multipart_ours form-reader"),
            _peer("aiohttp reader", "multipart_peers form-aiohttp"),
        ),
    ),
    "cookie": BodyWork(
        title="a Cookie field of 8 cookies, one of them quoted",
        unit="us CPU per field",
        us_per_unit=1.0,
        references=("aiohttp",),
        peers=(
            _ours("ours", "cookies_ours cookie"),
            _ours("ours split", "cookies_ours cookie-split"),
            _peer("aiohttp", "cookies_peers cookie-aiohttp"),
            _peer("SimpleCookie", "cookies_peers cookie-stdlib"),
            _peer("werkzeug", "cookies_peers cookie-werkzeug"),
        ),
    ),
    "setcookie": BodyWork(
        title="two Set-Cookie fields with 6 attributes each",
        unit="us CPU per two fields",
        us_per_unit=1.0,
        references=("aiohttp",),
        peers=(
            _ours("ours", "cookies_ours setcookie"),
            _ours("ours records", "cookies_ours setcookie-records"),
            _peer("aiohttp", "cookies_peers setcookie-aiohttp"),
            _peer("SimpleCookie", "cookies_peers setcookie-stdlib"),
        ),
    ),
    "gunzip": BodyWork(
        title="8 MiB of text in gzip, in pieces of 64 KiB",
        unit="ms CPU per body",
        us_per_unit=1e3,
        references=("floor",),
        peers=(
            _peer("floor", "gunzip_peers floor"),
            _ours("ours", "gunzip_ours 65536"),
            _ours("ours 256K", "gunzip_ours 262144"),
            _peer("aiohttp", "gunzip_peers aiohttp"),
        ),
    ),
    "sse": BodyWork(
        title="an event stream of 10,000 events, in pieces of 64 KiB",
        unit="ms CPU per stream",
        us_per_unit=1e3,
        references=("httpx2", "floor"),
        peers=(
            _peer("floor", "events_peers floor"),
            _ours("ours", "events_ours"),
            _peer("httpx2", "events_peers httpx2"),
        ),
    ),
}


def body_peers() -> list[str]:
    """Return the names of all peers, each once."""
    return list(dict.fromkeys(peer.name for work in BODY_WORKS.values() for peer in work.peers))


def body_table(name: str, run: Run) -> Table:
    """Measure the wanted peers at the work `name`."""
    work = BODY_WORKS[name]
    peers = [peer for peer in work.peers if run.wants(peer.name)]
    measures = {peer.name: cycle_measure(peer, run, us_per_unit=work.us_per_unit) for peer in peers}
    return Table(
        title=f"{name}: {work.title}",
        unit=work.unit,
        references=work.references,
        rows=round_robin(measures, run.rounds),
        with_best=True,
    )
