"""A peer that speaks exact bytes: one end of a connection.

Nothing here builds or checks a message for you: what a test sends is what is sent. Only
`receive_message` knows enough of HTTP/1.1 to find the end of a message.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Literal, NoReturn, Self, TypeAlias, TypeVar

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

from ._raw_message import MalformedMessageError, RawMessage

T = TypeVar("T")

#: How a peer ended a connection: in order, or with a reset (or TLS cut off).
Ending: TypeAlias = Literal["fin", "reset"]

# Seconds; half of what test runners usually allow a test, so that this error comes first.
PATIENCE: Final = 10.0
# Bytes of a head, or of anything else up to a mark; httpcore_proto's default for a head.
_HEAD_LIMIT: Final = 65536
# Bytes of a body: more than a test sends, less than hurts.
_BODY_LIMIT: Final = 64 * 2**20
# Of what had come, this many of the last bytes are shown in messages.
_SHOWN: Final = 200

# RFC 9112 section 7.1; 16 digits are more than any limit here.
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*+(?:;[^\r\n]*+)?\r\n")

# What streams raise when the other side ended the connection in no order.
GONE: Final = (anyio.BrokenResourceError, ConnectionError, ssl.SSLError)


class PeerGoneError(ConnectionError):
    """The other side ended the connection before what was waited for.

    Attributes:
        received: What it had sent and nobody had taken.
        ending: How it ended the connection.
    """

    def __init__(self, waited_for: str, received: bytes, ending: Ending) -> None:
        how = "closed" if ending == "fin" else "reset"
        super().__init__(
            f"waited for {waited_for}; the peer {how} the connection behind {_shown(received)}"
        )
        self.received: bytes = received
        self.ending: Ending = ending


class PatienceError(TimeoutError):
    """What was waited for did not come in time; `patience` is how long that is.

    Attributes:
        received: What had come and nobody had taken.
    """

    def __init__(self, waited_for: str, received: bytes, patience: float) -> None:
        super().__init__(
            f"waited {patience:g} s (patience) for {waited_for}; what came is {_shown(received)}"
        )
        self.received: bytes = received


class RawPeer:
    """One end of a connection, for bytes.

    Made by `connect`, `connect_unix` or a `RawServer`, or of an anyio stream. One task
    receives at a time. Every wait is bounded by `patience`. Cancelled, nothing is lost but
    what a `receive_message` had of its message.

    Args:
        stream: What to speak over; the peer's own from here on.
        patience: Seconds that a wait may take. 10, half of what runners allow a test.
        number: How many connections its server had accepted before.
        heads: Where `receive_head` puts a copy of every head.

    Attributes:
        stream: As given; `stream.extra(...)` has the addresses and TLS facts.
        patience: As given; may be set at any time.
        number: As given.
    """

    def __init__(
        self,
        stream: ByteStream,
        *,
        patience: float = PATIENCE,
        number: int = 0,
        heads: list[bytes] | None = None,
    ) -> None:
        self.stream: ByteStream = stream
        self.patience: float = patience
        self.number: int = number
        self._heads: Final = [] if heads is None else heads
        self._data: Final = bytearray()
        self._ending: Ending | None = None
        self._resets = False

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        patience: float = PATIENCE,
    ) -> AsyncIterator[Self]:
        """Connect over TCP for as long as the context lasts.

        Args:
            host: Name or address.
            port: TCP port.
            tls: Context of a client; None for no TLS.
            server_hostname: Name for SNI and the certificate; `host` unless given.
            patience: As for the class; for the connecting as well.

        Raises:
            OSError: It cannot be connected.
            PatienceError: That takes too long.
            ssl.SSLError: The handshake failed.
        """

        async def dial() -> ByteStream:
            stream: ByteStream = await anyio.connect_tcp(host, port)
            if tls is None:
                return stream
            return await wrap_tls(stream, tls, hostname=server_hostname or host)

        stream = await _in_time(patience, f"a connection to {host} port {port}", dial, b"")
        async with cls(stream, patience=patience) as peer:
            yield peer

    @classmethod
    @asynccontextmanager
    async def connect_unix(
        cls, path: str | os.PathLike[str], *, patience: float = PATIENCE
    ) -> AsyncIterator[Self]:
        """Connect to a Unix socket for as long as the context lasts.

        Raises:
            OSError: It cannot be connected.
            PatienceError: That takes too long.
        """
        where = os.fspath(path)
        stream = await _in_time(
            patience, f"a connection to {where}", lambda: anyio.connect_unix(where), b""
        )
        async with cls(stream, patience=patience) as peer:
            yield peer

    async def send(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            PatienceError: The other side does not take them.
            PeerGoneError: The connection is lost.
        """
        await self._sending(f"{len(data)} bytes to be sent", lambda: self.stream.send(data))

    async def send_eof(self) -> None:
        """Send the end of what is sent, and go on receiving.

        Raises:
            NotImplementedError: The connection is TLS, which has no such thing.
            PeerGoneError: The connection is lost.
        """
        await self._sending("the end to be sent", self.stream.send_eof)

    async def receive_exactly(self, size: int) -> bytes:
        """Return the next `size` bytes.

        Raises:
            PatienceError: They do not come.
            PeerGoneError: The other side ended the connection before.
        """
        while len(self._data) < size:
            await self._more(f"{size} bytes")
        return self._take(size)

    async def receive_until(self, delimiter: bytes, limit: int = _HEAD_LIMIT) -> bytes:
        """Return what comes up to `delimiter`, and that, too.

        Args:
            delimiter: At least one byte.
            limit: Most bytes of the result. 65536, a head's default in httpcore_proto.

        Raises:
            MalformedMessageError: There is no delimiter within `limit`.
            PatienceError: It does not come.
            PeerGoneError: The other side ended the connection before.
        """
        looked_at = 0
        while (found := self._data.find(delimiter, looked_at, limit)) < 0:
            if len(self._data) >= limit:
                raise MalformedMessageError(
                    f"no {delimiter!r} in {len(self._data)} bytes; limit={limit} "
                    f"allows no more: {_shown(bytes(self._data[:_SHOWN]))}"
                )
            looked_at = max(0, len(self._data) - len(delimiter) + 1)
            await self._more(repr(delimiter))
        return self._take(found + len(delimiter))

    async def receive_head(self, limit: int = _HEAD_LIMIT) -> bytes:
        """Return a head, through its blank line.

        Raises:
            As `receive_until`.
        """
        head = await self.receive_until(b"\r\n\r\n", limit)
        self._heads.append(head)
        return head

    async def receive_message(
        self, *, bodiless: bool = False, limit: int = _BODY_LIMIT
    ) -> RawMessage:
        """Return a request or response: its head, and its body with chunks undone.

        A response without framing ends with the connection; a request without has no body.

        Args:
            bodiless: Whether it is the response to HEAD, or to a CONNECT that succeeded.
            limit: Most bytes of the body. 64 MiB.

        Raises:
            MalformedMessageError: Its framing is malformed, or its body over the limit.
            PatienceError: Something of it does not come.
            PeerGoneError: The other side ended the connection before the message.
        """
        message = RawMessage(await self.receive_head())
        kind = "none" if bodiless else message.framing
        if isinstance(kind, int):
            _check_size(kind, limit)
            message.body = await self.receive_exactly(kind)
        elif kind == "chunked":
            await self._receive_chunks(message, limit)
        elif kind == "close":
            message.body = await self.receive_all(limit)
        return message

    async def receive_all(self, limit: int = _BODY_LIMIT) -> bytes:
        """Return all that comes up to an orderly end.

        Raises:
            MalformedMessageError: It is more than `limit` bytes. 64 MiB.
            PatienceError: The end does not come.
            PeerGoneError: The connection was reset; what came is in `received`.
        """
        if await self._end(limit) == "reset":
            self._raise_gone("the end")
        return self._take(len(self._data))

    async def closed(self, limit: int = _BODY_LIMIT) -> Ending:
        """Wait until the other side has closed, and tell how.

        What comes before is kept, for `receive_exactly` and the like.

        Returns:
            "fin" for an orderly end, "reset" for any other.

        Raises:
            MalformedMessageError: More than `limit` bytes come before. 64 MiB.
            PatienceError: It does not close.
        """
        return await self._end(limit)

    async def close(self) -> None:
        """Close the connection in order; again does nothing."""
        if self._resets:
            stream: object = self.stream
            while isinstance(stream, TLSStream):
                stream = stream.transport_stream
            # On asyncio, `aclose` of older anyio first sends FIN, and that is what the other
            # side would see. There is no public way around it.
            transport = getattr(stream, "_transport", None)
            if transport is not None:
                transport.abort()
        # Shielded: a socket that is left open is a warning, and fails tests.
        with anyio.CancelScope(shield=True):
            await self.stream.aclose()
            await anyio.lowlevel.checkpoint()

    async def reset(self) -> None:
        """Close the connection with a reset (RST), so that the other side gets an error.

        Raises:
            anyio.TypedAttributeLookupError: There is no socket underneath.
        """
        self.reset_when_closed()
        await self.close()

    def reset_when_closed(self) -> None:
        """Let `close`, or the end of the context or the script, be a reset.

        Raises:
            anyio.TypedAttributeLookupError: There is no socket underneath.
        """
        raw = self.stream.extra(SocketAttribute.raw_socket)
        shape = "hh" if sys.platform == "win32" else "ii"
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(shape, 1, 0))
        self._resets = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # Inside.

    def _take(self, size: int) -> bytes:
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken

    async def _more(self, waited_for: str) -> None:
        """Receive once.

        Raises:
            PeerGoneError: There is nothing to come.
        """
        if self._ending is None:
            try:
                self._data.extend(
                    await _in_time(self.patience, waited_for, self.stream.receive, self._data)
                )
                return
            except anyio.EndOfStream:
                self._ending = "fin"
            except GONE:
                self._ending = "reset"
        self._raise_gone(waited_for)

    async def _end(self, limit: int) -> Ending:
        while self._ending is None:
            _check_size(len(self._data), limit)
            try:
                await self._more("the end")
            except PeerGoneError:
                pass  # which is what was waited for
        return self._ending

    def _raise_gone(self, waited_for: str) -> NoReturn:
        raise PeerGoneError(waited_for, bytes(self._data), self._ending or "reset") from None

    async def _sending(self, waited_for: str, function: Callable[[], Awaitable[None]]) -> None:
        try:
            await _in_time(self.patience, waited_for, function, self._data)
        except GONE:
            self._raise_gone(waited_for)

    async def _receive_chunks(self, message: RawMessage, limit: int) -> None:
        body = bytearray()
        while True:
            line = await self.receive_until(b"\r\n", _HEAD_LIMIT)
            matched = _CHUNK_SIZE.fullmatch(line)
            if matched is None:
                raise MalformedMessageError(f"{_shown(line)} is no line of a chunk's size")
            size = int(matched[1], 16)
            message.chunk_sizes.append(size)
            if size == 0:
                break
            _check_size(len(body) + size, limit)
            body += await self.receive_exactly(size)
            if (end := await self.receive_exactly(2)) != b"\r\n":
                raise MalformedMessageError(f"{end!r} instead of CR LF behind a chunk")
        message.body = bytes(body)
        line = await self.receive_until(b"\r\n", _HEAD_LIMIT)
        while line != b"\r\n":
            message.trailers += line
            _check_size(len(message.trailers), _HEAD_LIMIT)
            line = await self.receive_until(b"\r\n", _HEAD_LIMIT)


async def wrap_tls(
    stream: ByteStream, context: ssl.SSLContext, hostname: str | None = None
) -> TLSStream:
    """Put TLS over a stream; half the web ends it by closing the socket, and so do we."""
    try:
        return await TLSStream.wrap(
            stream,
            hostname=hostname,
            server_side=hostname is None,
            ssl_context=context,
            standard_compatible=False,
        )
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise


async def _in_time(
    patience: float,
    waited_for: str,
    function: Callable[[], Awaitable[T]],
    received: bytes | bytearray,
) -> T:
    with anyio.move_on_after(patience):
        return await function()
    raise PatienceError(waited_for, bytes(received), patience)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise MalformedMessageError(f"{size} bytes are more than limit={limit} allows")


def _shown(data: bytes) -> str:
    if not data:
        return "nothing"
    return repr(data) if len(data) <= _SHOWN else f"{len(data)} bytes, at last {data[-_SHOWN:]!r}"
