"""Runtime on anyio, made for trio: tasks, sockets and listeners.

On asyncio `AsyncioRuntime` is the better one; this is right there too, and tested, so that
what is only about trio stays small.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import logging
import socket
import ssl as ssl_module
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Self

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskGroup, UNIXSocketStream

from ._interfaces import Receiver
from ._memory import MemoryLink, join_links
from ._stream_link import StreamLink

_logger = logging.getLogger("httpcore_proto.aio")

# Seconds for the TLS handshake of an accepted socket; asyncio's default.
_HANDSHAKE_TIMEOUT: Final = 60.0

# RFC 8305 section 8: the recommended delay between two connection attempts.
_HAPPY_EYEBALLS_DELAY: Final = 0.25

# Seconds to wait when a socket cannot be accepted for want of something; trio's number.
_ACCEPT_PAUSE: Final = 0.1

# The peer was gone before it was accepted (accept(2)): the next one may be there.
_PEER_GONE: Final = frozenset(
    {
        errno.ECONNABORTED,
        errno.ECONNRESET,
        errno.EINVAL,  # macOS, setting an option of a socket that was reset
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.EPERM,
        errno.EPROTO,
    }
)


class AnyioTask:
    """A task of `AnyioRuntime`."""

    __slots__ = ("_scope",)

    def __init__(self) -> None:
        self._scope = anyio.CancelScope()

    def cancel(self) -> None:
        """Cancel it."""
        self._scope.cancel()

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Await the coroutine; an error ends this task only, not its siblings."""
        try:
            with self._scope:
                await coroutine
        except Exception:
            _logger.exception("task %r failed", coroutine)
        finally:
            coroutine.close()  # a loop that is torn down may not have begun it


class AnyioListener:
    """A listening socket with the task that accepts."""

    def __init__(
        self,
        runtime: AnyioRuntime,
        listener: SocketListener,
        make_receiver: Callable[[], Receiver],
        context: ssl_module.SSLContext | None,
    ) -> None:
        self._runtime = runtime
        self._listener = listener
        self._make_receiver = make_receiver
        self._context = context
        self._closed = False
        self._socket = listener.extra(SocketAttribute.raw_socket)
        self.sockname: Any = self._socket.getsockname()

    async def aclose(self) -> None:
        """Stop listening; the accepting task sees that its socket is closed."""
        self._closed = True
        await self._listener.aclose()

    async def accept(self) -> None:
        """Accept until closed. Errors are a matter of one peer, or pass."""
        try:
            while not self._closed:
                try:
                    stream = await self._listener.accept()
                except anyio.ClosedResourceError:
                    return
                except (OSError, anyio.BrokenResourceError) as exc:
                    if self._socket.fileno() < 0:
                        return  # somebody else closed it
                    await self._refused(exc if isinstance(exc, OSError) else exc.__cause__)
                else:
                    self._runtime.spawn(self._serve(stream))
        finally:
            with anyio.CancelScope(shield=True):
                await self._listener.aclose()

    async def _refused(self, exc: BaseException | None) -> None:
        if self._closed or (isinstance(exc, OSError) and exc.errno in _PEER_GONE):
            return
        # EMFILE and its like: sockets wait in the backlog until something is free again.
        _logger.error("accept failed on %s: %s", self.sockname, exc)
        await anyio.sleep(_ACCEPT_PAUSE)

    async def _serve(self, stream: SocketStream) -> None:
        try:
            receiver = self._make_receiver()
            link = StreamLink(stream, receiver, pumped=True)
            if self._context is not None:
                with anyio.fail_after(_HANDSHAKE_TIMEOUT):
                    await link.handshake(self._context, None, server=True)
        except OSError as exc:
            # Port scanners, plain HTTP, distrust of our certificate: nothing to act upon.
            _logger.debug("TLS handshake failed: %s", exc)
            await anyio.aclose_forcefully(stream)
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        else:
            link.hand_over(receiver)
            await link.pump()


class AnyioRuntime:
    """Runtime on anyio's event loop. `spawn` and `listen` need it entered.

    Its tasks live in a task group of a task of its own. So it may be entered in one place
    and left in another, such as in the set-up and the tear-down of a test, with whatever
    scopes the caller has open in between.

    Raises:
        RuntimeError: No event loop is running.
    """

    def __init__(self) -> None:
        anyio.current_time()  # raises RuntimeError
        self._group: TaskGroup | None = None
        self._entered = anyio.Event()
        self._leaving = anyio.Event()
        self._left = anyio.Event()
        self.now: Callable[[], float] = anyio.current_time
        self.sleep: Callable[[float], Coroutine[Any, Any, None]] = anyio.sleep
        self.soon: Callable[[Callable[[], object]], object] | None = None

    def waiter(self) -> anyio.Event:
        """Return a new waiter."""
        return anyio.Event()

    def spawn(self, coroutine: Coroutine[Any, Any, Any], /) -> AnyioTask:
        """Start a task in the task group that was entered."""
        if self._group is None:
            coroutine.close()
            raise RuntimeError("the runtime has no task group: enter it with `async with`")
        task = AnyioTask()
        try:
            self._group.start_soon(task.run, coroutine)
        except BaseException:
            coroutine.close()
            raise
        return task

    async def connect_tcp(
        self,
        receiver: Receiver,
        host: str,
        port: int,
        *,
        ssl: ssl_module.SSLContext | None = None,
        server_hostname: str | None = None,
        local_addr: tuple[str, int] | None = None,
    ) -> StreamLink:
        """Connect with anyio's racing. The link reads in its callers' tasks."""
        local_host, local_port = local_addr or (None, None)
        failed: OSError | None = None
        try:
            stream = await anyio.connect_tcp(
                host,
                port,
                local_host=local_host,
                local_port=local_port,
                happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY,
            )
        except OSError as exc:
            failed = _first_failure(exc)
        if failed is not None:
            raise failed
        try:
            link = StreamLink(stream, receiver, pumped=False)
            if ssl is not None:
                await link.handshake(ssl, server_hostname or host, server=False)
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        link.hand_over(receiver)
        return link

    async def connect_sock(
        self,
        receiver: Receiver,
        sock: socket.socket,
        *,
        ssl: ssl_module.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> StreamLink:
        """Wrap a connected socket. The link reads in its callers' tasks."""
        is_unix = sock.family == getattr(socket, "AF_UNIX", None)
        try:
            stream = await (UNIXSocketStream if is_unix else SocketStream).from_socket(sock)
        except BaseException as exc:
            sock.close()
            if isinstance(exc, ValueError):  # how anyio says that it is not connected any more
                raise ConnectionResetError(errno.ECONNRESET, "connection lost") from exc
            raise
        try:
            link = StreamLink(stream, receiver, pumped=False)
            if ssl is not None:
                await link.handshake(ssl, server_hostname, server=False)
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        link.hand_over(receiver)
        return link

    async def listen(
        self,
        make_receiver: Callable[[], Receiver],
        sock: socket.socket,
        *,
        ssl: ssl_module.SSLContext | None = None,
        backlog: int = 128,
    ) -> AnyioListener:
        """Listen on a bound socket; every link is a task of this runtime."""
        sock.listen(backlog)
        listener = AnyioListener(self, await SocketListener.from_socket(sock), make_receiver, ssl)
        self.spawn(listener.accept())
        return listener

    def join(
        self,
        client: Receiver,
        server: Receiver,
        *,
        client_facts: Mapping[str, Any] | None = None,
        server_facts: Mapping[str, Any] | None = None,
    ) -> tuple[MemoryLink, MemoryLink]:
        """Make links in memory; a task tells of the end what nobody waits for."""
        if self._group is None:
            raise RuntimeError("the runtime has no task group: enter it with `async with`")
        return join_links(
            MemoryLink(client, client_facts or {}, self._later),
            MemoryLink(server, server_facts or {}, self._later),
        )

    def _later(self, call: Callable[[], None]) -> None:
        async def run() -> None:
            call()

        if self._group is not None:
            self.spawn(run())

    async def __aenter__(self) -> Self:
        _start_host(self._host)
        await self._entered.wait()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Cancel what still runs, and wait for it."""
        self._leaving.set()
        # Whoever is cancelled waits as well: all that runs here has been cancelled, too.
        with anyio.CancelScope(shield=True):
            await self._left.wait()

    async def _host(self) -> None:
        try:
            async with anyio.create_task_group() as self._group:
                self._entered.set()
                await self._leaving.wait()
                self._group.cancel_scope.cancel()
        finally:
            self._group = None
            self._left.set()


def _start_host(host: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Start a task outside of every task group; anyio has no name for that."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        import trio

        # Ctrl+C belongs to the main task; in one outside of it, it would end trio itself.
        trio.lowlevel.enable_ki_protection(AnyioTask.run)
        # In the middle of this it would leave a task behind that was never begun.
        trio.lowlevel.enable_ki_protection(AnyioRuntime.spawn)
        # With our context: handlers see the variables of whoever made the server.
        trio.lowlevel.spawn_system_task(host, context=contextvars.copy_context())
    else:
        _hosts.add(task := loop.create_task(host()))
        task.add_done_callback(_hosts.discard)


# asyncio keeps only weak references to tasks.
_hosts: Final[set[asyncio.Task[None]]] = set()


def _first_failure(exc: OSError) -> OSError:
    """Return the error of the first address that was tried.

    anyio's own only counts the attempts; callers look at the errno.
    """
    cause = exc.__cause__
    if isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause if isinstance(cause, OSError) else exc
