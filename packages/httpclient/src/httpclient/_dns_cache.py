"""Addresses of names: kept for a while, and looked up once however many ask.

A lookup that several requests wait for is a task of its own, so that it goes on when the
request that was first is cancelled. It ends by itself, or with `close`.
"""

from __future__ import annotations

import socket
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio

from httpcore_proto.aio import AnyioRuntime, current_runtime

from ._resolver import AbstractResolver, ResolveResult
from ._trace_params import (
    TraceDnsCacheHitParams,
    TraceDnsCacheMissParams,
    TraceDnsResolveHostEndParams,
    TraceDnsResolveHostStartParams,
)

if TYPE_CHECKING:
    from httpcore_proto.aio import Runtime, Task

    from ._tracing import Traces

#: A name and a port.
HostPort: TypeAlias = tuple[str, int]

_NEVER: Final = float("inf")


class DNSCache:
    """Addresses by name and port: each for so many seconds, the least used dropped first.

    Args:
        ttl: Seconds for which an answer is kept; None for ever. An answer with a time to
            live of its own is kept no longer than that.
        max_size: Most answers.
    """

    __slots__ = ("_answers", "_max_size", "_ttl")

    def __init__(self, ttl: float | None, max_size: int) -> None:
        self._ttl = _NEVER if ttl is None else ttl
        self._max_size = max_size
        self._answers: OrderedDict[HostPort, tuple[float, deque[ResolveResult]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: HostPort, now: float) -> list[ResolveResult] | None:
        """Return the addresses, if they still hold, each time beginning with the next one."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        until, addresses = answer
        if now >= until:
            del self._answers[key]
            return None
        self._answers.move_to_end(key)
        addresses.rotate(-1)
        return list(addresses)

    def put(self, key: HostPort, addresses: list[ResolveResult], now: float) -> None:
        """Keep an answer."""
        ttl = min((self._ttl, *(address.get("ttl", _NEVER) for address in addresses)))
        self._answers[key] = (now + ttl, deque(addresses))
        self._answers.move_to_end(key)
        if len(self._answers) > self._max_size:
            self._answers.popitem(last=False)

    def discard(self, key: HostPort) -> None:
        """Forget one answer, if there is one."""
        self._answers.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._answers.clear()


class _Lookup:
    """A lookup under way, and then its outcome."""

    __slots__ = ("addresses", "begun", "done", "error", "task")

    def __init__(self) -> None:
        self.begun = False
        self.done = anyio.Event()
        self.task: Task | None = None
        self.addresses: list[ResolveResult] = []
        self.error: Exception | None = None

    def outcome(self) -> list[ResolveResult]:
        """Return the addresses, or raise what went wrong."""
        if self.error is not None:
            # Many raise the same object: without this its traceback grows with each.
            raise self.error.with_traceback(None)
        return self.addresses


class Lookups:
    """A resolver with a cache in front of it, or without.

    Args:
        resolver: What looks up names.
        cache: None to look up a name each time, for each request by itself.
        family: Kind of addresses wanted.
    """

    def __init__(
        self, resolver: AbstractResolver, cache: DNSCache | None, family: socket.AddressFamily
    ) -> None:
        self._resolver = resolver
        self._cache = cache
        self._family = family
        self._running: dict[HostPort, _Lookup] = {}
        self._runtime: Runtime | None = None
        # Around entering the runtime, where that is needed to have tasks at all.
        self._entering: anyio.Lock | None = None
        self._entered = False

    def __len__(self) -> int:
        """How many lookups are under way that requests share."""
        return len(self._running)

    async def addresses(self, host: str, port: int, traces: Traces | None) -> list[ResolveResult]:
        """Return the addresses of a name; cancelled it leaves a shared lookup going.

        Raises:
            socket.gaierror: The name cannot be looked up.
            Exception: What else the resolver raised.
        """
        cache = self._cache
        if cache is None:
            await _send_start(traces, host)
            found = await self._look_up(host, port)
            await _send_end(traces, host)
            return found
        key = (host, port)
        runtime = self._runtime
        if runtime is None:
            runtime = self._runtime = current_runtime()
            self._entering = anyio.Lock() if isinstance(runtime, AnyioRuntime) else None
        answer = cache.get(key, runtime.now())
        if answer is not None:
            if traces is not None:
                await traces.send("on_dns_cache_hit", TraceDnsCacheHitParams(host))
            return answer
        lookup = self._running.get(key)
        if lookup is not None:
            if traces is not None:
                await traces.send("on_dns_cache_hit", TraceDnsCacheHitParams(host))
            await lookup.done.wait()
            return lookup.outcome()
        # Before anything is awaited: handlers of traces may take their time.
        lookup = self._running[key] = _Lookup()
        await self._start(key, lookup, runtime, cache)
        if traces is not None:
            await traces.send("on_dns_cache_miss", TraceDnsCacheMissParams(host))
        await _send_start(traces, host)
        await lookup.done.wait()
        found = lookup.outcome()
        await _send_end(traces, host)
        return found

    def forget(self, host: str | None = None, port: int | None = None) -> None:
        """Forget the answers for one host and port, or all. Lookups under way go on."""
        if self._cache is None:
            return
        if host is not None and port is not None:
            self._cache.discard((host, port))
        else:
            self._cache.clear()

    def abort(self) -> None:
        """Cancel what is under way, without waiting for it."""
        for key, lookup in list(self._running.items()):
            if lookup.task is not None:
                lookup.task.cancel()
            if not lookup.begun:  # asyncio never begins a task that is cancelled before
                lookup.error = _failure("the lookup was cancelled")
                self._end(key, lookup)

    async def close(self) -> None:
        """Cancel what is under way, and wait until it has ended."""
        self.abort()
        for lookup in list(self._running.values()):
            await lookup.done.wait()
        if self._runtime is not None and self._entered:
            self._entered = False
            await self._runtime.__aexit__(None, None, None)

    async def _start(
        self, key: HostPort, lookup: _Lookup, runtime: Runtime, cache: DNSCache
    ) -> None:
        """Start the task."""
        if self._entering is not None:
            # Somebody may wait for the lookup by now, so it has to begin.
            with anyio.CancelScope(shield=True):
                async with self._entering:
                    if not self._entered:
                        await runtime.__aenter__()
                        self._entered = True
        lookup.task = runtime.spawn(self._run(key, lookup, runtime, cache))

    async def _run(self, key: HostPort, lookup: _Lookup, runtime: Runtime, cache: DNSCache) -> None:
        lookup.begun = True
        try:
            lookup.addresses = await self._look_up(*key)
            cache.put(key, lookup.addresses, runtime.now())
        except Exception as exc:
            lookup.error = exc
        except BaseException:
            lookup.error = _failure("the lookup was cancelled")
            raise
        finally:
            self._end(key, lookup)

    def _end(self, key: HostPort, lookup: _Lookup) -> None:
        if self._running.get(key) is lookup:
            del self._running[key]
        lookup.done.set()

    async def _look_up(self, host: str, port: int) -> list[ResolveResult]:
        """Ask the resolver; whatever it says about the name becomes one kind of error."""
        try:
            found = await self._resolver.resolve(host, port, family=self._family)
        except socket.gaierror:
            raise
        except OSError as exc:
            raise _failure(exc.strerror or str(exc) or "the lookup failed") from exc
        except UnicodeError as exc:  # what Python makes of a malformed name
            raise _failure(f"not a host name ({exc})") from exc
        if not found:
            raise _failure("the resolver found no address")
        return found


def _failure(text: str) -> socket.gaierror:
    return socket.gaierror(socket.EAI_NONAME, text)


async def _send_start(traces: Traces | None, host: str) -> None:
    if traces is not None:
        await traces.send("on_dns_resolvehost_start", TraceDnsResolveHostStartParams(host))


async def _send_end(traces: Traces | None, host: str) -> None:
    if traces is not None:
        await traces.send("on_dns_resolvehost_end", TraceDnsResolveHostEndParams(host))
