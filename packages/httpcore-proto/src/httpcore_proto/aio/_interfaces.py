"""The one contract between connections and I/O. Types only.

Bytes are pushed into machines, and "I need more" is a coroutine. Where the event loop
pushes (asyncio), `more` parks until it has; where somebody must read (a trio client),
`more` reads and pushes by itself. Connection code is the same line on both: while there
is no event, await `more()`.

Clauses that every link keeps, each of them a test in `httpcore_testing.check_link`:

* The receiver's methods are called one at a time, never from inside a call of the link
  that is not awaited (save `link_made` in `hand_over`), in this order: `link_made`, any
  number of `bytes_received`, at most one `eof_received`, `link_lost` exactly once and
  last. A link without a task tells the loss in the next `more`, `drain` or `wait_closed`.
* At most one task is in `more`, and one in `drain`; a second gets `BusyError`.
* `more` and `drain` may be cancelled, by a scope or by the deadline, and lose no byte that
  is received. Nobody knows then how much is sent: write nothing more, unless it is what
  follows anyway. The next `drain` goes on, or raises where the pipe cannot.
* While reading is paused nothing is delivered but what was already in flight.
* `write` after the link is lost or closed is ignored; the next `drain` raises. `write`
  after `write_eof` is ignored.
* `close`, `abort` and `write_eof` may be called again; an empty write is legal.
* A `drain` that is blocked keeps the other direction going, so that two peers that
  write at each other cannot block each other for ever.
* Past `deadline`, `more`, `drain` and `sendfile` raise `TimeoutError`. Each wait has the
  deadline that was set when it began.
* `sendfile` counts as a `drain` that nobody can take up again.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, BinaryIO, Protocol, TypeVar

T = TypeVar("T")


class Receiver(Protocol):
    """What a connection implements. Every method returns at once and never raises."""

    def link_made(self, link: Link) -> None:
        """The link is there; called once, before anything else."""

    def bytes_received(self, data: bytes) -> None:
        """Take bytes; not empty, and the receiver's to keep."""

    def eof_received(self) -> None:
        """The peer sends nothing more. It may still read."""

    def link_lost(self, exc: Exception | None) -> None:
        """The link is gone, for both directions.

        Args:
            exc: Why, if it broke; None after `close`, `abort` or an orderly end.
        """


class Link(Protocol):
    """A pipe for bytes in both directions."""

    #: Point on the runtime's clock past which `more`, `drain` and `sendfile` raise
    #: `TimeoutError`; None for none. Read when they begin to wait.
    deadline: float | None

    @property
    def needs_drain(self) -> bool:
        """Whether a `drain` would send, wait or raise; an attribute test on the hot path."""

    @property
    def closing(self) -> bool:
        """Whether `close` or `abort` was called, or the link is lost."""

    def write(self, data: bytes) -> None:
        """Queue bytes; never waits, order is kept. Some links send only in `drain`."""

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Queue several pieces as one write, joined only where that is cheaper."""

    def write_eof(self) -> None:
        """Close our direction behind the queued bytes, where the pipe can (not in TLS)."""

    async def drain(self) -> None:
        """Wait until the queue is down to its low-water mark.

        Raises:
            OSError: The link is lost or closed.
            BusyError: Another task is in `drain`.
            TimeoutError: `deadline` passed.
        """

    async def sendfile(self, file: BinaryIO, offset: int, count: int) -> bool:
        """Send a part of a file behind what is queued, past this process's memory.

        Neither `write` nor `close` while it runs. If it raises or is cancelled nobody knows how
        much was sent: abort the link.

        Args:
            file: A regular file, open for reading. Its position neither matters nor moves.
            offset: First byte, from 0.
            count: How many bytes; the file has to have them.

        Returns:
            True when all is handed to the socket. False, with none of the file sent, from a
            link that cannot (TLS, memory, a platform without the call, a client's link on
            trio) or if the file's system cannot: read it and `write` then.

        Raises:
            OSError: The link is lost or closed, or the file cannot be read.
            EOFError: The file is shorter than that.
            BusyError: Another task is in `drain` or here.
            TimeoutError: `deadline` passed.
        """

    async def more(self) -> None:
        """Wait until the receiver was called at least once more.

        What is queued is sent first, where only `drain` sends: the peer may be waiting
        for it. Returns at once when the link is lost.

        Raises:
            BusyError: Another task is in `more`.
            TimeoutError: `deadline` passed.
        """

    def pause_reading(self) -> None:
        """Stop deliveries; the peer is slowed by flow control."""

    def resume_reading(self) -> None:
        """Go on with deliveries."""

    def close(self) -> None:
        """Send what is queued, then close. `write` is ignored from here on.

        A link without a task sends what is queued in `wait_closed`; with nothing queued it
        is closed when this returns.
        """

    def abort(self) -> None:
        """Close now and drop what is queued; no task is needed for that."""

    async def wait_closed(self) -> None:
        """Wait until the link is lost, in any number of tasks.

        Shield it if it must not be cancelled.
        """

    async def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        """Go on in TLS over the same pipe. Nothing may be queued or in flight.

        Raises:
            ssl.SSLError: The handshake failed; the link is lost then.
            OSError: The link is lost.
        """

    def hand_over(self, receiver: Receiver) -> None:
        """Put another receiver in the place of the one that there is, as an upgrade does.

        Its `link_made` is called here; what is received from now on goes to it. The one
        before is called no more, and hands on what it holds itself.
        """

    def fill(self, buffer: memoryview, filled: Callable[[memoryview], bool]) -> bool:
        """Put what is received from now on into a buffer, until it is full.

        Saves the copies of a large body. `bytes_received` gets what follows.

        Args:
            buffer: Writable, of bytes, and not empty.
            filled: Called in place of `bytes_received` with the part that was filled. Returns
                whether `more` is to return for it; when the buffer is full it does anyway.

        Returns:
            False, with nothing changed, from a link that cannot.
        """

    def info(self, name: str, default: Any = None) -> Any:
        """Facts by asyncio's names: peername, sockname, socket, ssl_object, sslcontext."""


class Waiter(Protocol):
    """Set once, awaited by at most one task."""

    def set(self) -> None:
        """Wake the waiting task; a second call does nothing."""

    async def wait(self) -> None:
        """Return once `set` was called."""


class Listener(Protocol):
    """A listening socket that makes receivers."""

    @property
    def sockname(self) -> Any:
        """The address it listens on, as `socket.getsockname` tells it."""

    async def aclose(self) -> None:
        """Stop listening; links made before live on."""


class Runtime(Protocol):
    """Time, waiting, tasks and sockets of the event loop underneath.

    Used as an async context manager by whoever spawns tasks, who keeps them, and ends
    them before leaving. What spawns nothing needs not enter it.
    """

    #: Calls a plain function when the tasks that are ready have had their turn. None where
    #: links send only in `drain`, so that there is nothing to gain by writing later.
    soon: Callable[[Callable[[], object]], object] | None

    def now(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""

    def waiter(self) -> Waiter:
        """Return a new waiter."""

    async def sleep(self, seconds: float) -> None:
        """Wait; 0 only lets other tasks run."""

    def spawn(self, coroutine: Coroutine[Any, Any, Any], /) -> Task:
        """Run a coroutine as a task of its own; it must not raise.

        The task starts with a copy of the context that is current here.

        Raises:
            RuntimeError: The runtime is not entered (and it has no tasks of its own).
        """

    async def connect_tcp(
        self,
        receiver: Receiver,
        host: str,
        port: int,
        *,
        ssl: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        local_addr: tuple[str, int] | None = None,
    ) -> Link:
        """Connect, try the host's addresses after RFC 8305, and speak TLS if asked to.

        Raises:
            OSError: No address could be connected to, or the name not be looked up
                (`socket.gaierror`).
            ssl.SSLError: The handshake failed.
        """

    async def connect_sock(
        self,
        receiver: Receiver,
        sock: socket.socket,
        *,
        ssl: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> Link:
        """Make a link of a connected socket, and speak TLS if asked to.

        The socket is the runtime's from the call on: cancelled or after one of the errors
        below it is closed.

        Args:
            receiver: Whose link it is to be; called only once TLS is established.
            sock: A stream socket, TCP or Unix, non-blocking and connected.
            ssl: Context of a client; None for no TLS.
            server_hostname: Name for SNI and the certificate; needed for TLS.

        Raises:
            OSError: The connection is lost already.
            ssl.SSLError: The handshake failed.
        """

    async def listen(
        self,
        make_receiver: Callable[[], Receiver],
        sock: socket.socket,
        *,
        ssl: ssl.SSLContext | None = None,
        backlog: int = 128,
    ) -> Listener:
        """Listen on a bound socket and give every new link to a receiver of its own."""

    def join(
        self,
        client: Receiver,
        server: Receiver,
        *,
        client_facts: Mapping[str, Any] | None = None,
        server_facts: Mapping[str, Any] | None = None,
    ) -> tuple[Link, Link]:
        """Join two receivers by links in memory, such as they would have over TCP.

        The server's link is served as those of `listen` are: it hears of everything without
        having to wait for it. There is no TLS between them.

        Args:
            client: Who connects.
            server: Who is connected to.
            client_facts: What `info` of the client's link tells: sockname, peername.
            server_facts: What `info` of the server's link tells.

        Raises:
            RuntimeError: The runtime is not entered (and it has no tasks of its own).
        """

    async def __aenter__(self) -> Any:
        """Enter, so that `spawn`, `listen` and `join` may be used."""

    async def __aexit__(self, *exc: object) -> bool | None:
        """Leave; a task that is still there is cancelled where the loop can tell."""


class Task(Protocol):
    """A running task of a runtime."""

    def cancel(self) -> Any:
        """Ask the task to stop; it sees the backend's cancelled exception."""
