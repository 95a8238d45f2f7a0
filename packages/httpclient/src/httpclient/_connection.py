"""One socket of the client: the protocol machine, a link, and one exchange at a time.

Theory of operation. The link calls `bytes_received`; what arrives goes to the machine.
What happens then depends on what the connection is for at that moment:

* *idle*, in the pool or just taken from it: nobody asked for anything, so whatever comes
  (bytes, end of stream) makes the connection unfit (RFC 9112 section 9.2: it would pass
  for the next answer), and it is closed;
* *waiting for a head*: nothing; the task in `request` takes the events after `more()`;
* *sending a large body*: a response that comes early ends the upload (`_upload.py`);
* *receiving a body*: it goes into the stream (`_receiving.py`).

What ends an exchange is in `_receiving.py`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Final

from httpcore_proto import (
    NEED_DATA,
    EndOfMessage,
    InformationalResponse,
    RemoteProtocolError,
    Response,
    State,
)
from httpcore_proto.aio import Link

from ._body_stream import LARGE
from ._errors import (
    ClientConnectionError,
    ClientOSError,
    ClientResponseError,
    ServerDisconnectedError,
    WriteTimeoutError,
)
from ._receiving import Receiving
from ._request import OutgoingRequest
from ._timeouts import ClientTimeout
from ._upload import FinalResponse, Upload, UploadStoppedError, early_response

_END: Final = EndOfMessage()
_KEEP_ALIVE: Final = re.compile(r"(?:^|[\s,;])timeout=([0-9]{1,9})(?:$|[\s,;])")
# Rules of the machine that only say that the server closed before there was a head.
_DISCONNECTED: Final = frozenset({"no-response", "truncated-head"})


class ClientHTTPConnection(Receiving):
    """One HTTP/1.1 connection. It has `receiver` methods for its link."""

    __slots__ = ()

    # Called by the link.

    def link_made(self, link: Link) -> None:
        """Keep the link."""
        self._link = link

    def bytes_received(self, data: bytes) -> None:
        """Take bytes; see the module's theory of operation."""
        stream = self._stream
        if stream is not None:
            self._machine.receive_data(data)
            self._pump(stream)
            return
        if self._busy and self._upload is None:
            if self._news:
                self._read_ahead()
            elif len(data) >= LARGE and not self._link.needs_drain:
                # Loops go on reading until the socket is empty. The rest of a large body is
                # better received where it stays, and it is the task that knows where.
                self.pause_reading()
        self._news = True
        self.received: bool = True
        self._machine.receive_data(data)
        if not self._busy:
            self._link.abort()
        elif self._upload is not None:
            self._upload.look()

    def eof_received(self) -> None:
        """Take the end of the server's direction."""
        self._news = True
        self._machine.receive_eof()
        if self._stream is not None:
            self._pump(self._stream)
        elif not self._busy:
            self._link.close()
        elif self._upload is not None:
            self._upload.look()

    def link_lost(self, exc: Exception | None) -> None:
        """End what is under way."""
        self._lost = self._news = True
        self._error = exc
        if self._stream is not None:
            self._cut(self._stream)
        elif self._upload is not None:
            self._upload.stop()
        self._keeper.lost(self)

    # For the connector.

    @property
    def link(self) -> Link:
        """The link underneath."""
        return self._link

    @property
    def usable(self) -> bool:
        """Whether a request may be sent, as far as is known."""
        return not self._lost and not self._link.closing

    # For the session.

    async def request(
        self,
        request: OutgoingRequest,
        timeout: ClientTimeout,
        total_at: float | None,
        read_bufsize: int,
    ) -> FinalResponse:
        """Send a request and wait for the final response head.

        Cancelled, or after an error, the connection is gone; only if the request was
        refused before its first byte was written, it is as good as before.

        Args:
            request: What to send.
            timeout: `write` and `sock_read` are applied from here on.
            total_at: Point in time at which `total` passes.
            read_bufsize: Low-water mark in bytes, if the body becomes a stream.

        Returns:
            The head; informational only if it is 101. `receive_body` must follow.

        Raises:
            ServerDisconnectedError: The server closed the connection first.
            ClientOSError: The connection broke.
            ClientPayloadError: The body of the request is gone, or of another size.
            ClientResponseError: The head is malformed or over a limit.
            ServerTimeoutError: `write` or `sock_read` passed.
            TimeoutError: `total` passed.
            Exception: What the body raises. ValueError: The request is not fit to be sent.
        """
        self._busy = True
        self._news = False
        self.received = False
        self._timeout = timeout
        self._total_at = total_at
        self._read_bufsize = read_bufsize
        link = self._link
        link.deadline = total_at
        try:
            if request.whole:
                link.write(self._machine.send_message(request.head, request.body))
                if link.needs_drain:
                    try:
                        await self._drain(link.drain())
                    except UploadStoppedError as stopped:
                        self._early = stopped.response
            elif request.plain and not timeout.write:
                machine, body = self._machine, request.body
                head = machine.send(request.head)
                link.writelines((head, machine.send_data(body), machine.send(_END)))
                # Most servers take a body of the usual size at once (bench: client upload1m).
                if link.needs_drain:
                    await self._send_upload(request, written=True)
            else:
                await self._send_upload(request)
            next_event = self._machine.next_event
            sock_read = timeout.sock_read
            while True:
                # Right after the request was written there is nothing to look at yet.
                if self._news:
                    if self._early is not None:
                        return self._take_early()
                    event = next_event()
                    if type(event) is Response:
                        if not self.reused:
                            self._note_hint(event)
                        return event
                    if type(event) is InformationalResponse:
                        if event.status == 101:
                            return event
                        continue
                    if self._lost:
                        raise self._lost_error()
                    if event is not NEED_DATA:
                        raise ServerDisconnectedError
                if sock_read:
                    self._extend_deadline(sock_read)
                if self._paused:
                    self.resume_reading()
                try:
                    await link.more()
                except TimeoutError as exc:
                    raise self._timed_out() from exc
        except RemoteProtocolError as exc:
            self.abandon()
            if exc.rule in _DISCONNECTED:
                raise ServerDisconnectedError(f"Server disconnected: {exc.message}") from exc
            raise ClientResponseError(request.info, (), status=400, message=exc.message) from exc
        except BaseException:
            if self._machine.our_state is State.IDLE and self.usable:
                self._busy = False
                self._keeper.keep(self)
            else:
                self.abandon()
            raise

    async def _send_upload(self, request: OutgoingRequest, *, written: bool = False) -> None:
        """Send a body that is not one write, or that is watched, until a response comes."""
        total_at, steps = self._total_at, bool(self._timeout.write)
        upload = self._upload = Upload(
            request, self._link, self._machine, self._drain, steps, written
        )
        try:
            if await upload.send(None if total_at is None else total_at - self._keeper.now()):
                raise TimeoutError(f"total timeout of {self._timeout.total} s passed")
        finally:
            self._upload = None
        self._early, self._torn = upload.response, upload.torn

    async def _drain(self, sending: Awaitable[bool | None]) -> bool | None:
        """Await a `drain` or `sendfile` of the link, within `write` and `total`.

        If the link breaks behind a response, as is usual after an early one, this counts for
        more, and is raised as `UploadStoppedError`.
        """
        write = self._timeout.write
        if write:
            self._extend_deadline(write)
        try:
            return await sending
        except TimeoutError as exc:
            if write and self._link.deadline != self._total_at:
                raise WriteTimeoutError(f"the server took nothing for {write} s (write)") from exc
            raise self._timed_out() from exc
        except OSError as exc:
            early = self._early if self._upload is None else self._upload.response
            response = early or early_response(self._machine)
            if response is None:
                text = f"Can not write request: {exc.strerror or exc}"
                raise ClientOSError(exc.errno, text) from exc
            self._news = True
            raise UploadStoppedError(response) from exc
        finally:
            if write:
                self._link.deadline = self._total_at

    def _take_early(self) -> FinalResponse:
        early, self._early = self._early, None
        assert early is not None
        return early

    def _lost_error(self) -> ClientConnectionError:
        """Tell why there is no response."""
        error: ClientConnectionError
        if self._error is None:
            error = ServerDisconnectedError()
        elif isinstance(self._error, OSError):
            error = ClientOSError(*self._error.args)
        else:
            error = ClientConnectionError(str(self._error))
        error.__cause__ = self._error
        return error

    def _note_hint(self, head: Response) -> None:
        """Note how long the server keeps connections; it says the same each time."""
        match = _KEEP_ALIVE.search(head.headers.get("Keep-Alive", ""))
        if match is not None:
            self.keepalive_hint: float | None = float(match[1])
