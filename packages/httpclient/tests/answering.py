"""A server that answers by path and keeps what it was asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

import anyio
from multidict import CIMultiDict

import httpclient

from .conftest import Peer, response


class Asked(NamedTuple):
    """A request that came.

    Attributes:
        peer: Number of its connection.
    """

    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes
    peer: int


Answer: TypeAlias = bytes | Callable[[Asked], bytes]


def moved(location: str, status: int = 302, *lines: str, body: bytes = b"") -> bytes:
    """Return a redirect."""
    head = "".join(f"{line}\r\n" for line in (f"Location: {location}", *lines))
    return response(body, head.encode(), b"%d Moved" % status)


class Site:
    """A script for the fixture `serve`: answers by path, any number of requests.

    Args:
        answers: What is sent, or a function of the request that returns it, by target or path.
            Any other path gets a 200 that says `ok`.

    Attributes:
        asked: What came.
        alive: How many connections there are now.
    """

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.answers: dict[str, Answer] = dict(answers or {})
        self.asked: list[Asked] = []
        self.alive = 0

    async def __call__(self, peer: Peer) -> None:
        self.alive += 1
        try:
            while True:
                asked = await receive(peer)
                self.asked.append(asked)
                answer = self.answers.get(asked.target)
                if answer is None:
                    answer = self.answers.get(asked.target.partition("?")[0], response())
                await peer.send(answer if isinstance(answer, bytes) else answer(asked))
        finally:
            with anyio.CancelScope(shield=True):
                await peer.close()
            self.alive -= 1

    @property
    def lines(self) -> list[str]:
        """The methods and targets that came."""
        return [f"{asked.method} {asked.target}" for asked in self.asked]

    async def deserted(self) -> None:
        """Wait until no connection is left."""
        with anyio.fail_after(5):
            while self.alive:
                await anyio.lowlevel.checkpoint()


async def receive(peer: Peer) -> Asked:
    """Read a whole request."""
    head = (await peer.head()).decode("latin-1")
    line, *fields = head.split("\r\n")[:-1]
    method, target, _ = line.split(" ")
    headers = CIMultiDict(field.split(": ", 1) for field in fields)
    body = b""
    if length := headers.get("Content-Length"):
        body = await peer.read(int(length))
    elif re.search("chunked", headers.get("Transfer-Encoding", "")):
        while size := int(await peer._reader.receive_until(b"\r\n", 100), 16):
            body += await peer.read(size)
            await peer.read(2)
        await peer.read(2)
    return Asked(method, target, headers, body, peer.number)


def in_turn(answers: Iterable[bytes]) -> Callable[[Asked], bytes]:
    """Return an answer that is another one each time."""
    following = iter(answers)
    return lambda asked: next(following)


def at_rest(session: httpclient.ClientSession) -> bool:
    """Whether nothing of any request is left in a session but idle connections."""
    connector = session.connector
    assert connector is not None
    stats = connector.pool.stats()
    return (
        stats.active == stats.waiting == 0
        and not connector._waiters
        and not connector._scopes
        and len(connector._open) == stats.idle
    )
