"""The command line: which bench, of what, how long. Prints Markdown and, if asked, writes JSON."""

import argparse
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from .bodies import BODY_WORKS, body_peers, body_table
from .client import client_peers, client_table
from .exchanges import EXCHANGES
from .machine import machine_facts
from .proto import PROTO_PEERS, proto_table
from .report import Curves, Table
from .run import Run, open_run
from .scaling import CLIENT_CURVES, client_curves, connection_curves, route_curves
from .server import server_table
from .server_peers import server_peers
from .testing import TESTING_WORKS, testing_peers, testing_table
from .works import WORKS, find_work
from .wrk import WrkMissingError, require_wrk
from .ws import SIDES, ws_peers, ws_table
from .ws_works import ECHO_WORKS

_ALL: Final = "all"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for and return the exit code: 1 if any row is an error."""
    options = _parser().parse_args(arguments)
    # The default action would leave the servers running; as an exception it ends them on the way
    # out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        return _run(options)
    except WrkMissingError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(options: argparse.Namespace) -> int:
    if options.needs_wrk and options.work not in CLIENT_CURVES:
        require_wrk()
    wanted = frozenset(options.peers)
    with open_run(
        rounds=options.rounds, seconds=options.seconds, loop=options.loop, wanted=wanted
    ) as run:
        facts = machine_facts(run.cores) | {
            "loop": f"{run.loop}, where the peer's name does not say otherwise",
            "method": f"median of {run.rounds} rounds of {run.seconds} s, round robin",
        }
        print("\n".join(f"- {name}: {fact}" for name, fact in facts.items()), flush=True)
        results = []
        for result in options.measure(options, run):
            results.append(result)
            print(f"\n{result.markdown()}", flush=True)
    if options.json:
        record = {"machine": facts, "results": [result.record() for result in results]}
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    return 1 if any(result.failed() for result in results) else 0


def _server(options: argparse.Namespace, run: Run) -> Iterator[Table]:
    names = WORKS if options.work == _ALL else [options.work]
    for name in names:
        yield server_table(find_work(name), run)


def _client(options: argparse.Namespace, run: Run) -> Iterator[Table]:
    names = EXCHANGES if options.work == _ALL else [options.work]
    for name in names:
        yield client_table(EXCHANGES[name], options.concurrency, run)


def _proto(options: argparse.Namespace, run: Run) -> Iterator[Table]:
    yield proto_table(run)


def _bodies(options: argparse.Namespace, run: Run) -> Iterator[Table]:
    names = BODY_WORKS if options.work == _ALL else [options.work]
    for name in names:
        # Works do not have the same peers, so `--peers` may leave none of them.
        if (table := body_table(name, run)).rows:
            yield table


def _testing(options: argparse.Namespace, run: Run) -> Iterator[Table]:
    for work in TESTING_WORKS if options.work == _ALL else [options.work]:
        yield testing_table(work, run)


def _ws(options: argparse.Namespace, run: Run) -> Iterator[Table]:
    for side in SIDES if options.side == _ALL else [options.side]:
        for name in ECHO_WORKS if options.work == _ALL else [options.work]:
            yield ws_table(side, ECHO_WORKS[name], options.connections, run)


def _scaling(options: argparse.Namespace, run: Run) -> Iterator[Curves]:
    if options.work in (_ALL, "connections"):
        yield connection_curves(run)
    if options.work in (_ALL, "routes"):
        yield route_curves("static", run)
        yield route_curves("param", run)
    for axis in CLIENT_CURVES:
        # Servers and clients do not have the same peers, so `--peers` may leave none of these.
        if options.work in (_ALL, axis) and (curves := client_curves(axis, run)).rows:
            yield curves


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench", description="CPU time per request, side by side with the peers."
    )
    benches = parser.add_subparsers(required=True, metavar="BENCH")

    servers = [peer.name for peer in server_peers("uvloop")]
    server = benches.add_parser("server", help="servers under the load of wrk")
    server.add_argument("--work", choices=[*WORKS, _ALL], default="hello")
    _add_common(server, servers)
    server.set_defaults(measure=_server, needs_wrk=True)

    client = benches.add_parser("client", help="clients against a canned origin")
    client.add_argument("--work", choices=[*EXCHANGES, _ALL], default="get")
    client.add_argument(
        "--concurrency", type=_positive, default=32, metavar="N", help="requests in flight (32)"
    )
    _add_common(client, [peer.name for peer in client_peers("uvloop")])
    client.set_defaults(measure=_client, needs_wrk=False)

    proto = benches.add_parser("proto", help="the sans-IO cycle")
    _add_common(proto, [peer.name for peer in PROTO_PEERS])
    proto.set_defaults(measure=_proto, needs_wrk=False)

    bodies = benches.add_parser("bodies", help="parsers of bodies and fields")
    bodies.add_argument("--work", choices=[*BODY_WORKS, _ALL], default="multipart64m")
    _add_common(bodies, body_peers())
    bodies.set_defaults(measure=_bodies, needs_wrk=False)

    testing = benches.add_parser("testing", help="test clients, with what they test")
    testing.add_argument("--work", choices=[*TESTING_WORKS, _ALL], default=_ALL)
    _add_common(testing, [peer.name for peer in testing_peers("request")])
    testing.set_defaults(measure=_testing, needs_wrk=False)

    ws = benches.add_parser("ws", help="WebSockets that echo, as servers and as clients")
    ws.add_argument("--work", choices=[*ECHO_WORKS, _ALL], default=_ALL)
    ws.add_argument("--side", choices=[*SIDES, _ALL], default=_ALL)
    ws.add_argument(
        "--connections", type=_positive, default=32, metavar="N", help="how many at once (32)"
    )
    _add_common(ws, [peer.name for peer in ws_peers("uvloop")])
    ws.set_defaults(measure=_ws, needs_wrk=False)

    scaling = benches.add_parser("scaling", help="curves that must stay flat")
    scaling.add_argument(
        "--work", choices=["connections", "routes", *CLIENT_CURVES, _ALL], default=_ALL
    )
    _add_common(scaling, servers)
    scaling.set_defaults(measure=_scaling, needs_wrk=True)
    return parser


def _add_common(parser: argparse.ArgumentParser, peers: list[str]) -> None:
    parser.add_argument(
        "--rounds", type=_positive, default=5, metavar="N", help="rounds per peer (5)"
    )
    parser.add_argument(
        "--seconds", type=_positive, default=2, metavar="N", help="whole seconds per round (2)"
    )
    parser.add_argument(
        "--loop", choices=["uvloop", "asyncio"], default="uvloop", help="loop of all asyncio peers"
    )
    parser.add_argument(
        "--peers", nargs="+", choices=peers, default=[], metavar="PEER", help=", ".join(peers)
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write figures and single rounds here too"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number
