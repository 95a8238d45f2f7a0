"""Which connection a request gets: bookkeeping that decides, and never waits or connects.

Theory of operation. Every connection key has a `Place` with its idle connections, the
number of those in use, and the tickets of requests that wait. Two limits bound what is
in use: one for all places together, one for each. A request takes an idle connection,
or reserves room for a new one, or gets a `Ticket`.

A ticket stands in one of two lines. If its own place is full, it is *blocked* there. If
only the pool is full, it stands in the one line of the pool, and counts as in use
(`queued`) against the limit of its place, so that the head of the line can always be
served. Room that gets free moves at most one ticket from the place's line to the end of
the pool's, and serves at most one from its head: every operation is O(1), however many
connections, places and tickets there are.

Serving a ticket counts the connection, or the room for one, as in use at that moment
and not when the waiting task runs; a task that was cancelled in between gives it back
with `withdraw`. Nothing here wakes tasks: what is served is returned.

`stats` is for the public, and all else for the connector.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from ._pool_stats import PoolStats, Tallies, Tally

C = TypeVar("C", bound=Hashable)


class Place(Generic[C]):
    """What the pool knows about one connection key."""

    __slots__ = ("active", "blocked", "idle", "key", "queued", "tally")

    def __init__(self, key: Hashable, tally: Tally) -> None:
        self.key: Hashable = key
        self.tally: Tally = tally
        #: Idle connections and until when they are good, the longest idle first.
        self.idle: OrderedDict[C, float] = OrderedDict()
        self.active: int = 0
        self.queued: int = 0
        self.blocked: OrderedDict[Ticket[C], None] = OrderedDict()


class Ticket(Generic[C]):
    """A request's place in line.

    Attributes:
        served: It may go on: with `connection`, or by making one.
        connection: The idle connection it got, if any.
        until: Until when that is good.
    """

    __slots__ = ("__weakref__", "connection", "place", "served", "until")

    def __init__(self, place: Place[C]) -> None:
        self.place: Place[C] = place
        self.served: bool = False
        self.connection: C | None = None
        self.until: float = 0.0


class Pool(Generic[C]):
    """The places of one connector.

    Args:
        limit: Most connections in use at once; 0 for any number.
        limit_per_host: Most connections in use at once with one key; 0 for any number.
        origin: Tells under what a key is counted; unless given, under itself.
    """

    __slots__ = ("_active", "_line", "_origin", "_places", "_tallies", "limit", "limit_per_host")

    def __init__(
        self,
        limit: int,
        limit_per_host: int,
        origin: Callable[[Hashable], Hashable] | None = None,
    ) -> None:
        self.limit: int = limit
        self.limit_per_host: int = limit_per_host
        self._places: dict[Hashable, Place[C]] = {}
        self._active = 0
        self._line: OrderedDict[Ticket[C], None] = OrderedDict()
        self._origin = origin
        self._tallies = Tallies()

    def stats(self) -> PoolStats:
        """Return a snapshot of the pool. It costs time by the number of origins."""
        counts: dict[Tally, list[int]] = {tally: [0, 0, 0] for tally in self._tallies}
        for place in self._places.values():
            count = counts[place.tally]
            count[0] += len(place.idle)
            count[1] += place.active
            count[2] += place.queued + len(place.blocked)
        return PoolStats(
            self.idle_count,
            self._active,
            self.waiting_count,
            tuple(tally.stats(*count) for tally, count in counts.items()),
            self._tallies.forgotten.stats(),
        )

    @property
    def active_count(self) -> int:
        """Connections in use, those being made included."""
        return self._active

    @property
    def idle_count(self) -> int:
        """Connections that wait for a request."""
        return sum(len(place.idle) for place in self._places.values())

    @property
    def waiting_count(self) -> int:
        """Requests that wait for a connection."""
        return len(self._line) + sum(len(place.blocked) for place in self._places.values())

    @property
    def place_count(self) -> int:
        """Keys that anything is known about."""
        return len(self._places)

    def take(self, key: Hashable) -> tuple[C, float] | None:
        """Take the longest idle connection of a key, and until when it is good.

        Returns:
            None if there is none, or no room.
        """
        place = self._places.get(key)
        if place is None or not place.idle:
            return None
        if (0 < self.limit <= self._active) or self._is_full(place):
            return None
        place.active += 1
        self._active += 1
        return place.idle.popitem(last=False)

    def reserve(self, key: Hashable) -> Place[C] | None:
        """Count a connection that is going to be made; None if there is no room."""
        place = self._place(key)
        if not self._has_room(place):
            return None
        place.active += 1
        self._active += 1
        return place

    def enqueue(self, key: Hashable) -> Ticket[C]:
        """Stand in line, after `reserve` found no room."""
        place = self._place(key)
        ticket = Ticket(place)
        if self._is_full(place):
            place.blocked[ticket] = None
        else:
            place.queued += 1
            self._line[ticket] = None
        return ticket

    def withdraw(self, ticket: Ticket[C]) -> Ticket[C] | None:
        """Give up a ticket, and what it was served with.

        Returns:
            A ticket that is served by that.
        """
        place = ticket.place
        if ticket.served:
            if ticket.connection is not None:
                return self.put(place, ticket.connection, ticket.until)
            return self.free(place)
        if ticket in place.blocked:
            del place.blocked[ticket]
        elif ticket in self._line:
            del self._line[ticket]
            place.queued -= 1
        return self._serve(place)

    def put(self, place: Place[C], connection: C, until: float) -> Ticket[C] | None:
        """Take back a connection that may be used again.

        Args:
            place: Where it is counted.
            connection: The connection.
            until: Until when it is good.

        Returns:
            A ticket that is served by that.
        """
        place.idle[connection] = until
        place.active -= 1
        self._active -= 1
        if self._line or place.blocked:
            return self._serve(place)
        return None

    def free(self, place: Place[C]) -> Ticket[C] | None:
        """A connection in use is gone.

        Returns:
            A ticket that is served by that.
        """
        place.active -= 1
        self._active -= 1
        return self._serve(place)

    def remove_idle(self, place: Place[C], connection: C) -> bool:
        """Forget an idle connection; False if it is none."""
        if place.idle.pop(connection, None) is None:
            return False
        self._tidy(place)
        return True

    def expire(self, now: float) -> list[tuple[Place[C], C]]:
        """Take out the connections that are good no longer."""
        expired: list[tuple[Place[C], C]] = []
        for place in list(self._places.values()):
            gone = [connection for connection, until in place.idle.items() if until <= now]
            for connection in gone:
                del place.idle[connection]
                expired.append((place, connection))
            self._tidy(place)
        return expired

    def clear(self) -> tuple[list[tuple[Place[C], C]], list[Ticket[C]]]:
        """Take out all idle connections and all tickets."""
        tickets = [*self._line, *self._blocked()]
        for ticket in tickets:
            self.withdraw(ticket)
        return self.expire(float("inf")), tickets

    def _blocked(self) -> Iterator[Ticket[C]]:
        for place in self._places.values():
            yield from place.blocked

    def _place(self, key: Hashable) -> Place[C]:
        place = self._places.get(key)
        if place is None:
            origin = key if self._origin is None else self._origin(key)
            place = self._places[key] = Place(key, self._tallies.begin(origin))
        return place

    def _is_full(self, place: Place[C]) -> bool:
        return 0 < self.limit_per_host <= place.active + place.queued

    def _has_room(self, place: Place[C]) -> bool:
        return (not self.limit or self._active < self.limit) and not self._is_full(place)

    def _serve(self, place: Place[C]) -> Ticket[C] | None:
        """Move a ticket of `place` on if it has room, then serve the head of the line."""
        if place.blocked and not self._is_full(place):
            ticket, _ = place.blocked.popitem(last=False)
            place.queued += 1
            self._line[ticket] = None
        if not self._line or 0 < self.limit <= self._active:
            self._tidy(place)
            return None
        ticket, _ = self._line.popitem(last=False)
        served = ticket.place
        served.queued -= 1
        served.active += 1
        self._active += 1
        if served.idle:
            ticket.connection, ticket.until = served.idle.popitem(last=False)
        ticket.served = True
        self._tidy(place)
        return ticket

    def _tidy(self, place: Place[C]) -> None:
        """Forget a place of which nothing is left."""
        if place.idle or place.active or place.queued or place.blocked:
            return
        if self._places.get(place.key) is place:
            del self._places[place.key]
            self._tallies.end(place.tally)
