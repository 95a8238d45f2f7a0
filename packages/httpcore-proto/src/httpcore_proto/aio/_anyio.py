"""Links and runtime over anyio's byte streams: for trio, and for whatever anyio runs on.

`StreamLink` has two modes. *Pumped*, in a server: a task of the link reads and pushes
into the receiver. *Pulled*, in a client: there is no task; `more` reads in the task that
wants more. Nothing leaves before a `drain` (or, in pumped mode, before the receiver's
method returns to the pump).
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import logging
import socket
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, Self

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketListener, TaskGroup
from anyio.streams.tls import TLSAttribute, TLSStream

from ._errors import BusyError, LinkLostError
from ._interfaces import Receiver

_logger: Final = logging.getLogger("httpcore_proto.aio")

# Bytes per read, as in asyncio's and hypercorn's loops over sockets.
_READ_SIZE: Final = 65536
# What a pulled link sends without reading beside it. The peer answered everything before,
# so the kernel's send buffer, never smaller than this, is empty: the send cannot block.
_UNANSWERED_LIMIT: Final = 4096
# Seconds for an accepted connection's TLS handshake, and for what is queued at close:
# asyncio's defaults for the first.
_HANDSHAKE_TIMEOUT: Final = 60.0
_CLOSE_TIMEOUT: Final = 30.0
# Without file descriptors or memory, accepting goes on a little later.
_ACCEPT_PAUSE: Final = 0.1
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_BROKEN: Final = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    ssl_module.SSLError,
    OSError,
)

_ATTRIBUTES: Final[dict[str, Any]] = {
    "peername": SocketAttribute.remote_address,
    "sockname": SocketAttribute.local_address,
    "socket": SocketAttribute.raw_socket,
    "ssl_object": TLSAttribute.ssl_object,
}


class StreamLink:
    """A link over an anyio byte stream."""

    __slots__ = (
        "_closing",
        "_draining",
        "_eof_due",
        "_eof_received",
        "_exc",
        "_lost",
        "_lost_event",
        "_more_event",
        "_out",
        "_paused",
        "_pulled",
        "_pulling",
        "_receiver",
        "_resumed",
        "_scope",
        "_send_lock",
        "_stream",
        "_told_lost",
        "_unanswered",
        "deadline",
        "needs_drain",
    )

    def __init__(self, stream: ByteStream, receiver: Receiver, *, pulled: bool) -> None:
        self._stream = stream
        self._receiver = receiver
        self._pulled = pulled
        self._out: list[bytes] = []
        self._send_lock = anyio.Lock()
        self._eof_due = False
        self._eof_received = False
        self._unanswered = 0
        self._closing = False
        self._lost = False
        self._told_lost = False
        self._exc: Exception | None = None
        self._paused = False
        self._resumed = anyio.Event()
        self._scope: anyio.CancelScope | None = None  # around the pump's wait for input
        self._more_event: anyio.Event | None = None
        self._pulling = False
        self._draining = False
        self._lost_event = anyio.Event()
        self.deadline: float | None = None
        self.needs_drain = False

    # The pump.

    async def pump(self) -> None:
        """Read until the link is closed or lost; the body of a pumped link's task."""
        receiver = self._receiver
        try:
            receiver.link_made(self)
            while not self._closing:
                data: bytes | None = b""
                with anyio.CancelScope() as self._scope:
                    data = await self._receive()
                self._scope = None
                if self._closing:
                    break
                self._deliver(data)
                if self._out or self._eof_due:
                    await self._send_out()
            if not self._lost and (self._out or self._eof_due):
                with anyio.move_on_after(_CLOSE_TIMEOUT):
                    await self._send_out()
        except _BROKEN as exc:
            self._break(exc)
        finally:
            self._scope = None
            self._closing = True
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(self._stream)
            self._set_lost()
            self._tell_lost()

    async def _receive(self) -> bytes | None:
        """Wait for input; None at its end."""
        while self._paused:
            await self._resumed.wait()
        if self._eof_received:
            # The peer only listens; from here on the link ends by our hand.
            await anyio.sleep_forever()
        try:
            return await self._stream.receive(_READ_SIZE)
        except anyio.EndOfStream:
            return None

    def _deliver(self, data: bytes | None) -> None:
        self._unanswered = 0
        if data is None:
            self._eof_received = True
            self._receiver.eof_received()
        else:
            self._receiver.bytes_received(data)
        if self._more_event is not None:
            self._more_event.set()

    # The link.

    @property
    def closing(self) -> bool:
        """Whether the link is closed or about to be."""
        return self._closing

    def write(self, data: bytes) -> None:
        """Queue bytes for the next `drain`."""
        if data and not self._closing:
            self._out.append(data)
            self.needs_drain = True

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Queue several pieces."""
        if not self._closing:
            self._out.extend(piece for piece in pieces if piece)
            self.needs_drain = self.needs_drain or bool(self._out)

    def write_eof(self) -> None:
        """Half-close behind what is queued; TLS has no such thing."""
        if not self._closing and not isinstance(self._stream, TLSStream):
            self._eof_due = True
            self.needs_drain = True

    async def drain(self) -> None:
        """Send everything that is queued."""
        if self._draining:
            raise BusyError("another task is in drain()")
        self._tell_lost()
        if self._lost:
            raise self._lost_error()
        self._draining = True
        try:
            await self._until_deadline(self._drain)
        except _BROKEN as exc:
            if isinstance(exc, TimeoutError):
                raise
            self._break(exc)
            raise self._lost_error() from exc
        finally:
            self._draining = False

    async def _drain(self) -> None:
        unanswered = self._unanswered + sum(map(len, self._out))
        if not self._pulled or unanswered <= _UNANSWERED_LIMIT:
            await self._send_out()
            return
        # Read beside: a peer that has to write before it reads on would block for ever.
        error: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._read_beside)
            try:
                await self._send_out()
            except _BROKEN as exc:
                error = exc
            group.cancel_scope.cancel()
        if error is not None:
            raise error

    async def _read_beside(self) -> None:
        while not self._closing and not self._eof_received:
            try:
                self._deliver(await self._receive())
            except _BROKEN as exc:
                # The send may still succeed; the next read tells again.
                self._exc = exc
                return

    async def _send_out(self) -> None:
        async with self._send_lock:
            while self._out:
                data = b"".join(self._out)
                self._out.clear()
                self._unanswered += len(data)
                try:
                    await self._stream.send(data)
                except BaseException as exc:
                    # Nobody knows how much of it went out.
                    self._break(exc if isinstance(exc, Exception) else None)
                    raise
            if self._eof_due:
                self._eof_due = False
                await self._stream.send_eof()
            self.needs_drain = self._lost

    async def more(self) -> None:
        """Wait for the pump, or read."""
        if self._pulling or self._more_event is not None:
            raise BusyError("another task is in more()")
        if self._lost:
            self._tell_lost()
            return
        if self._pulled:
            self._pulling = True
            try:
                await self._until_deadline(self._pull)
            finally:
                self._pulling = False
        else:
            self._more_event = anyio.Event()
            try:
                await self._until_deadline(self._wait_for_pump)
            finally:
                self._more_event = None

    async def _wait_for_pump(self) -> None:
        event = self._more_event
        if self._out:
            try:
                await self._send_out()
            except _BROKEN as exc:
                self._break(exc)
        if event is not None:
            await event.wait()

    async def _pull(self) -> None:
        if self._eof_received:
            self.close()
        try:
            if self._out:
                await self._drain()
            if not self._lost:
                self._deliver(await self._receive())
        except _BROKEN as exc:
            self._break(exc)
        self._tell_lost()

    async def _until_deadline(self, function: Callable[[], Awaitable[object]]) -> None:
        deadline = self.deadline
        if deadline is None:
            await function()
            return
        done = False
        with anyio.CancelScope(deadline=deadline):
            await function()
            done = True
        if not done:
            raise TimeoutError("deadline passed")

    def pause_reading(self) -> None:
        """Read no more; one read may be under way."""
        self._paused = True
        self._resumed = anyio.Event()

    def resume_reading(self) -> None:
        """Read on."""
        self._paused = False
        self._resumed.set()

    def close(self) -> None:
        """Close behind what is queued."""
        if self._closing:
            return
        self._closing = True
        if not self._pulled:
            self._wake_pump()
        elif not self._out and not self._eof_due:
            self._release()

    def abort(self) -> None:
        """Close now."""
        self._out.clear()
        self._eof_due = False
        self._closing = True
        if self._pulled:
            self._release()
        else:
            self._wake_pump()

    def _wake_pump(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    def _release(self) -> None:
        """Close a pulled link's socket without a task; what waits on it wakes."""
        if self._lost:
            return
        raw = self._stream.extra(SocketAttribute.raw_socket, None)
        if isinstance(raw, socket.socket):
            anyio.notify_closing(raw)
            raw.close()
            self._set_lost()
        # Else only `wait_closed` can close it.

    async def wait_closed(self) -> None:
        """Wait for the pump's end, or close a pulled link's stream."""
        if self._pulled and self._closing and not self._lost:
            try:
                await self._send_out()
            except _BROKEN as exc:
                self._break(exc)
            await anyio.aclose_forcefully(self._stream)
            self._set_lost()
        self._tell_lost()
        await self._lost_event.wait()

    async def start_tls(
        self,
        context: ssl_module.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        """Wrap the stream in TLS; for pulled links, between two calls of `more`."""
        try:
            self._stream = await _wrap_tls(
                self._stream, context, server_side=server_side, hostname=server_hostname
            )
        except BaseException as exc:
            self._break(exc if isinstance(exc, Exception) else None)
            raise

    def info(self, name: str, default: Any = None) -> Any:
        """Facts that the stream knows."""
        if name == "sslcontext":
            ssl_object = self._stream.extra(TLSAttribute.ssl_object, None)
            return default if ssl_object is None else ssl_object.context
        attribute = _ATTRIBUTES.get(name)
        return default if attribute is None else self._stream.extra(attribute, default)

    # The end.

    def _break(self, exc: Exception | None) -> None:
        if self._exc is None and not self._closing:
            self._exc = exc
        self.abort()

    def _set_lost(self) -> None:
        self._lost = True
        self.needs_drain = True  # the next drain must raise
        self._out.clear()

    def _tell_lost(self) -> None:
        """Call `link_lost`, in pulled mode from the first awaiting call after the end."""
        if self._lost and not self._told_lost:
            self._told_lost = True
            self._receiver.link_lost(self._exc)
            if self._more_event is not None:
                self._more_event.set()
            self._lost_event.set()

    def _lost_error(self) -> LinkLostError:
        error = LinkLostError("the link is closed" if self._exc is None else repr(self._exc))
        error.__cause__ = self._exc
        return error


async def _wrap_tls(
    stream: ByteStream,
    context: ssl_module.SSLContext,
    *,
    server_side: bool,
    hostname: str | None,
) -> TLSStream:
    try:
        # HTTP ends by its own framing, so most peers close without the closing alert.
        return await TLSStream.wrap(
            stream,
            server_side=server_side,
            hostname=hostname,
            ssl_context=context,
            standard_compatible=False,
        )
    except (anyio.BrokenResourceError, anyio.EndOfStream) as exc:
        raise LinkLostError("connection lost during the TLS handshake") from exc


class AnyioWaiter:
    """A waiter over an event."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wake the waiting task."""
        self._event.set()

    async def wait(self) -> None:
        """Return once set."""
        await self._event.wait()


class AnyioTask:
    """A task of `AnyioRuntime`."""

    __slots__ = ("scope",)

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()

    def cancel(self) -> None:
        """Cancel it."""
        self.scope.cancel()


class AnyioListener:
    """A listening socket, and the task that accepts from it."""

    def __init__(self, listener: SocketListener, task: AnyioTask) -> None:
        self._listener = listener
        self._task = task
        self.sockname: Any = listener.extra(SocketAttribute.raw_socket).getsockname()

    async def aclose(self) -> None:
        """Stop listening."""
        self._task.cancel()
        await self._listener.aclose()


class AnyioRuntime:
    """Runtime on whatever event loop anyio finds. `spawn` and `listen` need it entered.

    Its tasks live in a task group of a task of its own. So it may be entered in one
    place and left in another, such as in the set-up and the tear-down of a test, with
    whatever scopes the caller has open in between.
    """

    def __init__(self) -> None:
        self._group: TaskGroup | None = None
        self._entered = anyio.Event()
        self._leaving = anyio.Event()
        self._left = anyio.Event()

    def now(self) -> float:
        """Return the loop's clock."""
        return anyio.current_time()

    def waiter(self) -> AnyioWaiter:
        """Return a new waiter."""
        return AnyioWaiter()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)

    def spawn(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> AnyioTask:
        """Start a task in the runtime's task group."""
        if self._group is None:
            raise RuntimeError("the runtime is not entered: use `async with`")
        task = AnyioTask()
        self._group.start_soon(self._run, function, args, task)
        return task

    async def _run(
        self,
        function: Callable[..., Coroutine[Any, Any, Any]],
        args: tuple[Any, ...],
        task: AnyioTask,
    ) -> None:
        try:
            with task.scope:
                await function(*args)
        except Exception:
            # In the group it would end every other task as well.
            _logger.exception("error in a task of the runtime")

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
        """Connect with anyio's RFC 8305 racing; the link is a pulled one."""
        local_host, local_port = local_addr or (None, None)
        stream: ByteStream = await anyio.connect_tcp(
            host, port, local_host=local_host, local_port=local_port
        )
        if ssl is not None:
            try:
                stream = await _wrap_tls(
                    stream, ssl, server_side=False, hostname=server_hostname or host
                )
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await anyio.aclose_forcefully(stream)
                raise
        link = StreamLink(stream, receiver, pulled=True)
        receiver.link_made(link)
        return link

    async def listen(
        self,
        make_receiver: Callable[[], Receiver],
        sock: socket.socket,
        *,
        ssl: ssl_module.SSLContext | None = None,
        backlog: int = 128,
    ) -> AnyioListener:
        """Listen on a bound socket; one task accepts, each link has one of its own."""
        sock.listen(backlog)
        listener = await SocketListener.from_socket(sock)
        return AnyioListener(listener, self.spawn(self._accept, listener, make_receiver, ssl))

    async def _accept(
        self,
        listener: SocketListener,
        make_receiver: Callable[[], Receiver],
        context: ssl_module.SSLContext | None,
    ) -> None:
        while True:
            try:
                stream = await listener.accept()
            except anyio.ClosedResourceError:
                return
            except OSError as exc:
                # Others are about the connection that was to be accepted.
                if exc.errno in _OUT_OF_RESOURCES:
                    _logger.error("cannot accept: %s", exc)
                    await anyio.sleep(_ACCEPT_PAUSE)
                continue
            self.spawn(self._serve, stream, make_receiver, context)

    async def _serve(
        self,
        stream: ByteStream,
        make_receiver: Callable[[], Receiver],
        context: ssl_module.SSLContext | None,
    ) -> None:
        if context is not None:
            try:
                with anyio.fail_after(_HANDSHAKE_TIMEOUT):
                    stream = await _wrap_tls(stream, context, server_side=True, hostname=None)
            except _BROKEN as exc:
                _logger.debug("TLS handshake failed: %s", exc)
                with anyio.CancelScope(shield=True):
                    await anyio.aclose_forcefully(stream)
                return
        await StreamLink(stream, make_receiver(), pulled=False).pump()

    async def __aenter__(self) -> Self:
        _start_host(self._host)
        await self._entered.wait()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Cancel what is still there, and wait for it."""
        self._leaving.set()
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

        # The context as well: handlers see the variables of whoever made the server.
        trio.lowlevel.spawn_system_task(host, context=contextvars.copy_context())
    else:
        _hosts.add(task := loop.create_task(host()))
        task.add_done_callback(_hosts.discard)


# asyncio keeps only weak references to tasks.
_hosts: Final[set[asyncio.Task[None]]] = set()
