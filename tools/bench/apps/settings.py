"""What the driver tells a measured process, read from the environment.

The environment and not the command line, because some peers are started by a command line of their
own (uvicorn, granian, hypercorn) and only import our application.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, Self

HOST: Final = "127.0.0.1"

# Connections that may wait to be accepted, the same in all peers. With the hundred or so that some
# of them default to, a load generator that opens a thousand at once has to wait for seconds.
BACKLOG: Final = 1024

# EX_UNAVAILABLE of the BSD list; any number that a crash does not use would do.
EXIT_NOT_OFFERED: Final = 69


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One measured process's orders.

    Attributes:
        work: Name of the work (server, bodies) or exchange (client, origin).
        port: Port to listen on, or to connect to.
        loop: `uvloop`, `asyncio` or `trio`.
        static_dir: Folder with the file that the static work serves.
        concurrency: Requests that a client keeps in flight.
        seconds: How long a client or a sans-IO cycle measures.
        warmup: How long it runs before that, not measured.
    """

    work: str
    port: int
    loop: str
    static_dir: Path = Path()
    concurrency: int = 1
    seconds: float = 0.0
    warmup: float = 0.0

    @classmethod
    def from_environ(cls) -> Self:
        """Read the settings of this process."""
        env = os.environ
        return cls(
            work=env["BENCH_WORK"],
            port=int(env["BENCH_PORT"]),
            loop=env["BENCH_LOOP"],
            static_dir=Path(env["BENCH_STATIC_DIR"]),
            concurrency=int(env["BENCH_CONCURRENCY"]),
            seconds=float(env["BENCH_SECONDS"]),
            warmup=float(env["BENCH_WARMUP"]),
        )

    def to_environ(self) -> dict[str, str]:
        """Return the variables from which `from_environ` gives back this record."""
        return {
            "BENCH_WORK": self.work,
            "BENCH_PORT": str(self.port),
            "BENCH_LOOP": self.loop,
            "BENCH_STATIC_DIR": str(self.static_dir),
            "BENCH_CONCURRENCY": str(self.concurrency),
            "BENCH_SECONDS": str(self.seconds),
            "BENCH_WARMUP": str(self.warmup),
        }


def not_offered(reason: str) -> NoReturn:
    """End this process in the way that the driver reports as `not offered`, not as an error."""
    print(reason, file=sys.stderr)
    sys.exit(EXIT_NOT_OFFERED)


def loop_factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes a loop of uvloop's or of asyncio's own kind."""
    if loop == "uvloop":
        # Imported here: a run on asyncio's own loop must not need uvloop, nor pay for its import.
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return factory
    return asyncio.new_event_loop


def run_asyncio(main: Coroutine[Any, Any, None], loop: str) -> None:
    """Run `main` on uvloop or on asyncio's own loop."""
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        runner.run(main)
