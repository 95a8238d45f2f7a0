"""The client's machine: requests go out, responses come in."""

from __future__ import annotations

from ._abnf import check_target, check_token
from ._connection import CHUNKED_BODY, Connection
from ._errors import LocalProtocolError, RemoteProtocolError
from ._events import (
    END_OF_MESSAGE,
    Event,
    InformationalResponse,
    Request,
    Response,
    encode_fields,
    received_response,
)
from ._fields import encode_text
from ._http import HttpVersion11
from ._parser import (
    ANSWERS_CONNECT,
    ANSWERS_HEAD,
    CHUNKED,
    END,
    HAS_LENGTH,
    KEEP_ALIVE,
    NUMBER_MASK,
    NUMBER_SHIFT,
    ROLE_CLIENT,
    UPGRADE,
)
from ._states import CLIENT_TABLE, DONE, SERVER_TABLE


class ClientConnection(Connection):
    """A client's side of one HTTP/1.1 connection: requests go out, responses come in.

    Args:
        limits: Bounds on what the server may send.
    """

    __slots__ = ()

    _role = ROLE_CLIENT
    _our_table = CLIENT_TABLE
    _their_table = SERVER_TABLE

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request.

        Not if anything followed the response: it would pass for the next answer.
        """
        return super().reusable and self._offset == len(self._data) and not self._eof

    def start_next_cycle(self) -> None:
        """Begin the next exchange.

        Raises:
            LocalProtocolError: The connection is not `reusable`.
        """
        if self._offset < len(self._data) or self._eof:
            raise LocalProtocolError("the server sent more than its response, or closed")
        super().start_next_cycle()

    def _received_head(self, facts: int) -> Event:
        content_length = self._parser.content_length if facts & HAS_LENGTH else None
        status = facts >> NUMBER_SHIFT & NUMBER_MASK
        if status < 200:
            self._pending = 0
            if status == 101:
                if not self._upgrade_offered:
                    self._fail(
                        RemoteProtocolError("101 without an upgrade offered", rule="upgrade")
                    )
                self._switch()
            return received_response(InformationalResponse, self._packed, facts, None)
        response = received_response(Response, self._packed, facts, content_length)
        self._received(Response)
        if facts & UPGRADE:
            self._pending = 0
            self._switch()
        elif not facts & KEEP_ALIVE or not facts & (CHUNKED | HAS_LENGTH | END):
            # Without a length the body ends with the connection.
            self.keep_alive: bool = False
        return response

    def send(self, event: Event) -> bytes:
        """Return the bytes of an event; write them in order.

        A request has a body if its headers say Content-Length or
        `Transfer-Encoding: chunked`.

        Args:
            event: `Request`, `Data`, `EndOfMessage` or `ConnectionClosed`.

        Raises:
            LocalProtocolError: It is not this event's turn, or the event is not fit to
                be sent. Nothing has changed then.
        """
        following = self._check_send(type(event))
        if isinstance(event, Request):
            data, sending = self._encode_request(event, None)
            self._sending = sending
            self._request_sent(following)
            return data
        data = self._send_body(event)  # type: ignore[arg-type]  # check_send refused the rest
        self._sent(following)
        return data

    def send_message(self, head: Request, body: bytes = b"") -> bytes:
        """Return the bytes of a whole request, head and body in one piece.

        The same as `send` of the head, of `Data(body)` and of `EndOfMessage()`. Without
        framing fields in the head a body, if there is one, gets its Content-Length. For
        bodies small enough to be copied.

        Raises:
            LocalProtocolError: As for `send`.
        """
        self._check_send(Request)
        data, sending = self._encode_request(head, len(body) or None)
        if sending >= 0:
            if sending != len(body):
                raise LocalProtocolError(
                    f"Content-Length is {sending}, but the body has {len(body)} bytes"
                )
            data += body
        else:
            self._sending = sending
            data += self._encode_data(body) + self._encode_end(END_OF_MESSAGE)
        self._request_sent(DONE)
        return data

    def _encode_request(self, event: Request, length: int | None) -> tuple[bytes, int]:
        if self._offset < len(self._data) or self._eof:
            raise LocalProtocolError("the server sent something unasked, or closed")
        method = check_token(event.method, "method")
        target = check_target(event.target)
        http10 = event.http_version < HttpVersion11
        text, framing = encode_fields(event)
        if framing.chunked:
            if http10:
                raise LocalProtocolError("HTTP/1.0 has no Transfer-Encoding")
            sending, lines = CHUNKED_BODY, "Transfer-Encoding: chunked\r\n"
        else:
            if framing.content_length is not None:
                length = framing.content_length
            sending = length or 0
            lines = f"Content-Length: {length}\r\n" if length is not None else ""
        if method == "CONNECT" and (sending or framing.chunked):
            raise LocalProtocolError("CONNECT has no body")
        options = framing.options
        if framing.close:
            options = (*options, "close")
        elif framing.keep_alive and http10:
            options = (*options, "keep-alive")
        if options:
            lines += f"Connection: {', '.join(options)}\r\n"
        version = "1.0" if http10 else "1.1"
        head = encode_text(f"{method} {target} HTTP/{version}\r\n{text}{lines}\r\n")
        # Nothing can fail any more.
        self._upgrade_offered = any(option.lower() == "upgrade" for option in framing.options)
        self._parser.answers = (
            ANSWERS_HEAD if method == "HEAD" else ANSWERS_CONNECT if method == "CONNECT" else 0
        )
        if framing.close or (http10 and not framing.keep_alive):
            self.keep_alive = False
        return head, sending
