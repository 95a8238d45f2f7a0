"""The parent of worker processes: it holds the sockets, the workers serve on them.

Theory of operation. The sockets listen in this process from the beginning to the end, and
every worker inherits them: a connection that comes while a worker goes waits in the
kernel's queue for another one. Each worker has one end of a socket pair. It writes a byte
there when it serves; we learn of its death by SIGCHLD, and it learns of ours by the end of
the stream.

What is to be done follows from the state alone, in one place, `_reconcile`: too few
workers, start one; some of an old generation, start one more, and when it serves stop one
of the old. SIGHUP does nothing but begin a new generation.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ._systemd import notify

logger: Final = logging.getLogger("httpserver.supervisor")

_NEVER: Final = float("inf")
# Seconds for workers to end after the second signal, before they are killed.
_FORCED_TIMEOUT: Final = 5.0
# A worker that lived so many seconds did not die of its start: no need to slow down.
_STABLE: Final = 10.0
# Seconds between the starts of workers that die at once: doubled from the first to the last.
_BACK_OFF: Final = (0.5, 30.0)

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(eq=False)
class Worker:
    """One worker process, as its parent sees it."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    generation: int
    started: float
    ready: bool = False
    stopping: bool = False
    kill_at: float = _NEVER

    def signal(self) -> None:
        """Tell it to end; a second time, to end at once."""
        self.stopping = True
        self.process.terminate()


class Supervisor:
    """Runs workers until it is told to stop.

    SIGINT and SIGTERM stop the workers, a second one by force. SIGHUP replaces them one
    by one; if the first new one does not start, the old ones stay. A worker that dies is
    replaced, at growing intervals if that goes on. If one does not start before all of
    them once served, everything ends.

    Args:
        arguments: Of a worker's `python -m httpserver`, without `--worker-fds`.
        sockets: Bound; closed by whoever made them.
        count: Number of workers.
        backlog: Connections that the kernel keeps before they are accepted.
        stop_timeout: Seconds that a worker has to end before it is killed.
        started: Called once, when all workers serve.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        sockets: Sequence[socket.socket],
        *,
        count: int,
        backlog: int,
        stop_timeout: float,
        started: Callable[[], object],
    ) -> None:
        self._arguments = arguments
        self._sockets = sockets
        self._count = count
        self._backlog = backlog
        self._stop_timeout = stop_timeout
        self._started = started
        self._workers: list[Worker] = []  # in the order of their starts
        self._selector = selectors.DefaultSelector()
        self._generation = 0
        self._spawn_at = 0.0
        self._delay = 0.0
        self._complete = False  # all workers once served
        self._settled = False  # systemd knows that we serve
        self._stopping = False
        self._failed = False

    def run(self) -> bool:
        """Supervise; returns whether the workers started.

        Raises:
            OSError: A process cannot be made at the start.
        """
        for sock in self._sockets:
            sock.listen(self._backlog)
        with self._selector, _wakeups() as wakeup:
            self._selector.register(wakeup, selectors.EVENT_READ)
            try:
                while True:
                    self._reconcile()
                    if self._stopping and not self._workers:
                        return not self._failed
                    self._wait(wakeup)
            finally:
                for worker in self._workers:
                    worker.process.kill()
                    worker.process.wait()
                    worker.control.close()

    # What is to be done.

    def _reconcile(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if now >= worker.kill_at:
                logger.warning("worker %d does not end; killed", worker.process.pid)
                worker.kill_at = _NEVER
                worker.process.kill()
        if self._stopping:
            return
        active = self._active()
        old = [worker for worker in active if worker.generation != self._generation]
        serving = sum(worker.ready for worker in active)
        if len(active) < self._count:
            if now >= self._spawn_at:
                for _ in range(self._count - len(active)):
                    self._spawn()
        elif old and serving == len(active):
            if len(active) == self._count:
                self._spawn()
            else:
                self._stop(old[0], self._stop_timeout)
        elif serving == self._count and not old and not self._settled:
            self._settled = True
            if not self._complete:
                self._complete = True
                self._started()
            notify("READY=1")
            logger.info("%d workers serve", self._count)

    def _active(self) -> list[Worker]:
        return [worker for worker in self._workers if not worker.stopping]

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        fds = [theirs.fileno(), *(sock.fileno() for sock in self._sockets)]
        # Who takes state or sockets for its own is one of us, not one of our workers.
        hidden = ("NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
        with theirs:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "httpserver"),
                    f"--worker-fds={','.join(map(str, fds))}",
                    *self._arguments,
                ],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                # Else Ctrl+C would reach the worker from the terminal as well as from us.
                process_group=0,
                env={name: value for name, value in os.environ.items() if name not in hidden},
            )
        ours.setblocking(False)
        worker = Worker(process, ours, self._generation, time.monotonic())
        self._workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _stop(self, worker: Worker, timeout: float) -> None:
        worker.kill_at = time.monotonic() + timeout
        worker.signal()

    def _stop_all(self) -> None:
        timeout = _FORCED_TIMEOUT if self._stopping else self._stop_timeout
        self._stopping = True
        notify("STOPPING=1")
        for worker in self._workers:
            self._stop(worker, timeout)

    # What happens.

    def _wait(self, wakeup: socket.socket) -> None:
        due = [worker.kill_at for worker in self._workers]
        if not self._stopping and len(self._active()) < self._count:
            due.append(self._spawn_at)
        deadline = min(due, default=_NEVER)
        timeout = None if deadline == _NEVER else max(0.0, deadline - time.monotonic())
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                for number in wakeup.recv(4096):
                    self._on_signal(number)
            else:
                self._on_control(key.data)
        for worker in list(self._workers):
            if worker.process.poll() is not None:
                self._on_exit(worker)

    def _on_signal(self, number: int) -> None:
        if number in _SIGNALS:
            self._stop_all()
        elif number == signal.SIGHUP and not self._stopping:
            logger.info("SIGHUP: replacing the workers")
            notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
            self._generation += 1
            self._settled = False

    def _on_control(self, worker: Worker) -> None:
        try:
            data = worker.control.recv(16)
        except OSError:
            data = b""
        if data:
            worker.ready = True
        else:
            self._selector.unregister(worker.control)  # its end comes with SIGCHLD

    def _on_exit(self, worker: Worker) -> None:
        self._workers.remove(worker)
        if worker.control in self._selector.get_map():
            # It may have written, and died before we looked.
            self._selector.unregister(worker.control)
        worker.control.close()
        if worker.stopping:
            return
        status = worker.process.returncode
        if worker.ready:
            logger.error("worker %d ended with status %d", worker.process.pid, status)
        else:
            logger.error("worker %d did not start: status %d", worker.process.pid, status)
            if not self._complete:
                self._failed = True
                self._stop_all()
                return
            if len(active := self._active()) >= self._count:
                logger.error("the workers that serve stay")
                for other in active:
                    other.generation = self._generation
        self._slow_down(worker)

    def _slow_down(self, worker: Worker) -> None:
        now = time.monotonic()
        first, last = _BACK_OFF
        if now - worker.started >= _STABLE:
            self._delay = 0.0
        self._spawn_at = now + self._delay
        self._delay = min(max(2 * self._delay, first), last)


@contextmanager
def _wakeups() -> Iterator[socket.socket]:
    """Yield a socket on which the numbers of signals can be read, as bytes."""
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        old_fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        numbers = (*_SIGNALS, signal.SIGHUP, signal.SIGCHLD)
        old = {number: signal.signal(number, _ignore) for number in numbers}
        try:
            yield reader
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(old_fd)


def _ignore(number: int, frame: object) -> None:
    """Let the signal be nothing but a byte in the wakeup socket."""
