"""What happened in a pool: counters for each origin, and the records that tell of them.

Origins with connections or requests are counted for as long as they have any, and then
remembered; of those, the longest at rest are summed up, so that memory stays bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

# Origins at rest that are remembered one by one; about 300 bytes each.
_MAX_AT_REST: Final = 1000


class Origin(NamedTuple):
    """To whom connections of a pool lead.

    Attributes:
        scheme: "http" or "https".
        host: Name or address, as it is looked up.
        port: TCP port.
        proxy: URL of the proxy in between, without credentials; None for none.
    """

    scheme: str
    host: str
    port: int
    proxy: str | None = None


class OriginStats(NamedTuple):
    """A snapshot of what a pool knows about one origin. Not in aiohttp.

    Attributes:
        origin: An `Origin`; None for the sum of those that were forgotten.
        idle: Connections that wait for a request.
        active: Connections in use, and those being made.
        waiting: Requests that wait for a place.
        opened: Connections made so far.
        failed: Connections that could not be made so far.
        reused: Requests so far that took a connection which was there.
        closed: Connections that ended so far, by reason: "expired" (idle for too long),
            "lost" (the server closed it while it was idle), "unasked" (the server sent
            something while it was idle), "used" (the exchange did not leave it fit to be
            used again), "force_close", or "connector" (the connector was closed).
    """

    origin: Hashable
    idle: int = 0
    active: int = 0
    waiting: int = 0
    opened: int = 0
    failed: int = 0
    reused: int = 0
    closed: Mapping[str, int] = MappingProxyType({})


class PoolStats(NamedTuple):
    """A snapshot of a pool. Not in aiohttp.

    Attributes:
        idle: Connections that wait for a request.
        active: Connections in use, and those being made.
        waiting: Requests that wait for a place.
        origins: What is known about each origin.
        forgotten: The sum of what was known about origins that were forgotten, which are
            those at rest for longest when there are more than 1000 of them.
    """

    idle: int
    active: int
    waiting: int
    origins: tuple[OriginStats, ...]
    forgotten: OriginStats


class Tally:
    """The counters of one origin."""

    __slots__ = ("closed", "failed", "opened", "origin", "places", "reused")

    def __init__(self, origin: Hashable) -> None:
        self.origin: Hashable = origin
        self.places: int = 0  # of the pool that are counted here; with none it is at rest
        self.opened: int = 0
        self.failed: int = 0
        self.reused: int = 0
        self.closed: dict[str, int] = {}

    def close(self, reason: str) -> None:
        """Count a connection that ended."""
        self.closed[reason] = self.closed.get(reason, 0) + 1

    def add(self, other: Tally) -> None:
        """Take over the counts of another."""
        self.opened += other.opened
        self.failed += other.failed
        self.reused += other.reused
        for reason, count in other.closed.items():
            self.closed[reason] = self.closed.get(reason, 0) + count

    def stats(self, idle: int = 0, active: int = 0, waiting: int = 0) -> OriginStats:
        """Return a snapshot."""
        return OriginStats(
            self.origin,
            idle,
            active,
            waiting,
            self.opened,
            self.failed,
            self.reused,
            MappingProxyType(dict(self.closed)),
        )


class Tallies:
    """The tallies of a pool."""

    __slots__ = ("_at_rest", "_busy", "forgotten")

    def __init__(self) -> None:
        self._busy: dict[Hashable, Tally] = {}
        self._at_rest: OrderedDict[Hashable, Tally] = OrderedDict()
        self.forgotten: Tally = Tally(None)

    def __iter__(self) -> Iterator[Tally]:
        yield from self._busy.values()
        yield from self._at_rest.values()

    def begin(self, origin: Hashable) -> Tally:
        """Return the tally for a new place."""
        tally = self._busy.get(origin)
        if tally is None:
            tally = self._at_rest.pop(origin, None) or Tally(origin)
            self._busy[origin] = tally
        tally.places += 1
        return tally

    def end(self, tally: Tally) -> None:
        """A place is gone."""
        tally.places -= 1
        if not tally.places:
            del self._busy[tally.origin]
            self._at_rest[tally.origin] = tally
            if len(self._at_rest) > _MAX_AT_REST:
                self.forgotten.add(self._at_rest.popitem(last=False)[1])
