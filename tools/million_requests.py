"""Make a million requests over a hundred connections, and see that nothing piles up.

    python -m tools.million_requests [--requests 1000000] [--connections 100] [--backend uvloop]

Our client in this process, our server in another. Prints memory, tasks and sockets of both
after a tenth, a half and all of the requests, and once the session is closed. Exits with 1 if
the memory of one of them grew by more than 5 % after the first tenth, if connections were
made anew, or if a task or a socket is left. Needs Linux, for the figures. Loopback only; ends
by itself.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio

import httpclient
from tools.server_process import ServerProcess, serving

APP = """
import httpserver as web

async def hello(request):
    return web.Response(text="hello")

app = web.Application()
app.add_routes([web.get("/", hello)])
"""
MARKS = (0.1, 0.5, 1.0)
MOST_GROWTH = 1.05
# A server notices that its client is gone a little later: 200 looks are ten seconds.
LOOKS = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is at one time.

    Attributes:
        rss: Resident memory in bytes, of client and server.
        sockets: Open sockets, of client and server.
        files: Open files of all kinds, sockets among them, of client and server.
        tasks: Tasks of the client.
    """

    rss: tuple[int, int]
    sockets: tuple[int, int]
    files: tuple[int, int]
    tasks: int

    @classmethod
    def take(cls, server: ServerProcess) -> "Sample":
        """Look at both processes; in a task of the event loop."""
        client, served = open_files("self"), open_files(server.process.pid)
        return cls(
            rss=(rss("self"), server.rss()),
            sockets=(count_sockets(client), count_sockets(served)),
            files=(len(client), len(served)),
            tasks=len(anyio.get_running_tasks()),
        )

    def __str__(self) -> str:
        memory = [f"{size / 2**20:.1f} MiB" for size in self.rss]
        return (
            f"client {memory[0]}, {self.tasks} tasks, {self.sockets[0]} sockets, "
            f"{self.files[0]} files; server {memory[1]}, {self.sockets[1]} sockets, "
            f"{self.files[1]} files"
        )


def rss(process: int | str) -> int:
    """Return the resident memory of a process in bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def open_files(process: int | str) -> list[str]:
    """Return what the descriptors of a process lead to."""
    found = []
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            found.append(os.readlink(descriptor))
        except FileNotFoundError:
            pass  # the one that the folder was read with, or one closed meanwhile
    return found


def count_sockets(files: list[str]) -> int:
    """Return how many of `open_files` are sockets."""
    return sum(name.startswith("socket:") for name in files)


def faults(
    before: Sample, marks: list[Sample], after: Sample, made: int, connections: int
) -> Iterator[str]:
    """Tell what is wrong.

    Args:
        before: Taken before the first request.
        marks: Taken at `MARKS`.
        after: Taken when the session was closed.
        made: Connections that were made.
        connections: How many there should be.
    """
    for name, first, last in zip(("client", "server"), marks[0].rss, marks[-1].rss, strict=True):
        if last > first * MOST_GROWTH:
            yield f"memory of the {name} grew by {last / first - 1:.1%}"
    if made > connections:
        yield f"{made} connections were made"
    if after.tasks > before.tasks:
        yield f"{after.tasks - before.tasks} tasks are left"
    for name, first, last in zip(("client", "server"), before.sockets, after.sockets, strict=True):
        if last > first:
            yield f"the {name} has {last - first} sockets left"


@dataclass(slots=True)
class Load:
    """Requests in many tasks at once.

    Attributes:
        begun: Requests that a task has begun.
        done: Requests that were answered.
        marks: What `Sample.take` saw at `MARKS`.
    """

    server: ServerProcess
    requests: int
    connections: int
    begun: int = 0
    done: int = 0
    marks: list[Sample] = field(default_factory=list)

    async def run(self) -> list[str]:
        """Make the requests and print; returns what is wrong."""
        host, port = self.server.address
        before, began = Sample.take(self.server), time.perf_counter()
        connector = httpclient.TCPConnector(limit=self.connections)
        async with httpclient.ClientSession(connector=connector) as session:
            async with anyio.create_task_group() as group:
                for _ in range(self.connections):
                    group.start_soon(self._ask, session, f"http://{host}:{port}/")
            made = sum(origin.opened for origin in connector.pool.stats().origins)
        seconds = time.perf_counter() - began
        after = await self._settled(before)
        print(f"closed: {after}")
        print(
            f"{self.done} requests over {made} connections in {seconds:.1f} s, "
            f"{self.done / seconds:.0f} a second",
            flush=True,
        )
        return list(faults(before, self.marks, after, made, self.connections))

    async def _ask(self, session: httpclient.ClientSession, url: str) -> None:
        marks = [int(self.requests * share) for share in MARKS]
        while self.begun < self.requests:
            self.begun += 1
            async with session.get(url) as response:
                body = await response.read()
            if response.status != 200 or body != b"hello":
                raise RuntimeError(f"{response.status} with {body!r}")
            self.done += 1
            if self.done in marks:
                self.marks.append(Sample.take(self.server))
                print(f"{self.done}: {self.marks[-1]}", flush=True)

    async def _settled(self, before: Sample) -> Sample:
        """Return what there is once the sockets of both are closed, or after a while."""
        for _ in range(LOOKS):
            if (seen := Sample.take(self.server)).sockets <= before.sockets:
                break
            await anyio.sleep(0.05)
        return seen


def main() -> int:
    """Run as told; the exit code."""
    parser = argparse.ArgumentParser(description="Make a million requests.")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--backend", choices=["asyncio", "uvloop", "trio"], default="uvloop")
    parser.add_argument("--seconds", type=float, default=900.0, help="after these it gives up")
    options = parser.parse_args()
    if options.requests < 10:
        parser.error("--requests: a tenth of them must be one at least")
    backend = "trio" if options.backend == "trio" else "asyncio"
    loop = {"use_uvloop": options.backend == "uvloop"} if backend == "asyncio" else {}
    with serving(APP, seconds=options.seconds) as server:
        load = Load(server, options.requests, options.connections)
        wrong = anyio.run(load.run, backend=backend, backend_options=loop)
    for fault in wrong:
        print(f"FAIL {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
