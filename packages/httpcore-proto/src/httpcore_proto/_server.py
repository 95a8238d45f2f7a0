"""The server's machine: requests come in, responses go out."""

from __future__ import annotations

import re
from typing import Final

from ._abnf import check_text
from ._connection import CHUNKED_BODY, NO_BODY, UNTIL_CLOSE, Connection
from ._errors import InvalidURLError, LocalProtocolError
from ._events import (
    END_OF_MESSAGE,
    Event,
    InformationalResponse,
    Response,
    encode_fields,
    received_request,
)
from ._fields import HeaderBlock, encode_text
from ._http import RESPONSES
from ._limits import DEFAULT_LIMITS, Limits
from ._parser import HAS_LENGTH, HTTP10, KEEP_ALIVE, ORIGIN_FORM, ROLE_SERVER, UPGRADE
from ._states import CLIENT_TABLE, DONE, IDLE, SEND_BODY, SEND_HEAD, SERVER_TABLE

# RFC 9112 section 3.2.2 and 3.2.3. What the parser let through is visible ASCII.
_ABSOLUTE_FORM: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.\-]*://(?:[^/?#@]*@)?(?:\[[0-9A-Fa-fvV:.]+\]|[^/?#@:\[\]]+)(?::[0-9]*)?"
    r"(?:[/?#].*)?"
)
_AUTHORITY_FORM: Final = re.compile(r"(?:\[[0-9A-Fa-fvV:.]+\]|[^/?#@:\[\]]+):[0-9]+")

# Methods to which a response is framed otherwise.
_SPECIAL_METHODS: Final = frozenset({"HEAD", "CONNECT"})

_STATUS_LINES: Final = {
    status: f"HTTP/1.1 {status} {phrase}\r\n" for status, (phrase, _) in RESPONSES.items()
}


class ServerConnection(Connection):
    """A server's side of one HTTP/1.1 connection: requests come in, responses go out.

    Args:
        limits: Bounds on what the client may send.
    """

    __slots__ = ("_method", "_peer_is_http10")

    _role = ROLE_SERVER
    _our_table = SERVER_TABLE
    _their_table = CLIENT_TABLE

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        # Of the request being answered; what an early answer has to assume until then.
        self._method = ""
        self._peer_is_http10 = False

    def _received_head(self, facts: int) -> Event:
        content_length = self._parser.content_length if facts & HAS_LENGTH else None
        request = received_request(self._packed, facts, content_length)
        self._method = request.method
        if not facts & ORIGIN_FORM:
            self._check_form(request.method, request.target)
        self._peer_is_http10 = facts & HTTP10 != 0
        self._upgrade_offered = facts & UPGRADE != 0
        self._request_received()
        if not facts & KEEP_ALIVE:
            self.keep_alive = False
        return request

    def _check_form(self, method: str, target: str) -> None:
        """Asterisk form goes with OPTIONS only, authority form with CONNECT only."""
        if method == "CONNECT":
            valid = _AUTHORITY_FORM.fullmatch(target) is not None
        elif target == "*":
            valid = method == "OPTIONS"
        else:
            valid = _ABSOLUTE_FORM.fullmatch(target) is not None
        if not valid:
            self._fail(InvalidURLError("request target has no valid form", rule="target-form"))

    def send(self, event: Event) -> bytes:
        """Return the bytes of an event; write them in order.

        A response without Content-Length is sent chunked, to an HTTP/1.0 client up to
        the end of the connection. The body of a response that has none (to HEAD, 204,
        304) is dropped here.

        Args:
            event: `InformationalResponse`, `Response`, `Data`, `EndOfMessage` or
                `ConnectionClosed`.

        Raises:
            LocalProtocolError: It is not this event's turn, or the event is not fit to
                be sent. Nothing has changed then.
        """
        following = self._check_send(type(event))
        if isinstance(event, Response):
            if self.our_state is IDLE:
                self._forget_request()
            head, sending, keep_alive = self._encode_response(event, None)
            data = encode_text(head)
            self._sending, self.keep_alive = sending, keep_alive
            self._sent(following)
            if self._method == "CONNECT" and event.status < 300:
                self._switch()
            return data
        if isinstance(event, InformationalResponse):
            data = encode_text(self._encode_informational(event))
            if event.status == 101:
                self._switch()
            return data
        data = self._send_body(event)  # type: ignore[arg-type]  # check_send refused the rest
        self._sent(following)
        return data

    def send_message(self, head: Response, body: bytes = b"") -> bytes:
        """Return the bytes of a whole response, head and body in one piece.

        The same as `send` of the head, of `Data(body)` and of `EndOfMessage()`, but the
        length is known. For bodies small enough to be copied.

        Raises:
            LocalProtocolError: As for `send`.
        """
        if (
            head.is_preset
            and self.our_state is SEND_HEAD
            and self.keep_alive
            and not self._peer_is_http10
            and self._method not in _SPECIAL_METHODS
        ):
            # Most responses: all but the length was said before (bench: server hello).
            preset: HeaderBlock = head.preset  # type: ignore[assignment]  # is_preset says so
            beginning = preset.heads.get(head.status) or _begin_head(preset, head.status)
            if beginning is not None:
                self._sent(DONE)
                return b"%b%d\r\n\r\n%b" % (beginning, len(body), body)
        self._check_send(Response)
        if self.our_state is IDLE:
            self._forget_request()
        text, sending, keep_alive = self._encode_response(head, len(body))
        data = encode_text(text)
        if sending >= 0:
            if sending != len(body):
                raise LocalProtocolError(
                    f"Content-Length is {sending}, but the body has {len(body)} bytes"
                )
            data += body
        elif sending != NO_BODY:
            self._sending = sending
            data += self._encode_data(body) + self._encode_end(END_OF_MESSAGE)
        self.keep_alive: bool = keep_alive
        self._sent(DONE)
        if self._method == "CONNECT" and head.status < 300:
            self._switch()
        return data

    def _forget_request(self) -> None:
        """An answer before a request is none to the request before."""
        self._method = ""
        self._peer_is_http10 = False

    def _encode_response(self, event: Response, length: int | None) -> tuple[str, int, bool]:
        """Return the head, how its body is delimited, and whether the connection lives."""
        status, method, http10 = event.status, self._method, self._peer_is_http10
        if not 200 <= status <= 999:
            raise LocalProtocolError(f"status {status} of a final response, expected 200 to 999")
        text, framing = encode_fields(event)
        content_length, keep_alive = framing.content_length, self.keep_alive
        options = framing.options
        if content_length is None and not framing.chunked:
            content_length = length
        if framing.close:
            keep_alive = False
        connects = method == "CONNECT" and status < 300
        if status == 204 or status == 304 or connects:
            sending, lines = NO_BODY, ""
        elif content_length is not None:
            sending, lines = content_length, f"Content-Length: {content_length}\r\n"
        elif http10:
            sending, lines, keep_alive = UNTIL_CLOSE, "", False
        else:
            sending, lines = CHUNKED_BODY, "Transfer-Encoding: chunked\r\n"
        if method == "HEAD":
            sending = NO_BODY
        if not connects:
            if not keep_alive:
                options = (*options, "close")
            elif http10:
                options = (*options, "keep-alive")
        if options:
            lines += f"Connection: {', '.join(options)}\r\n"
        return f"{_status_line(event)}{text}{lines}\r\n", sending, keep_alive

    def _encode_informational(self, event: InformationalResponse) -> str:
        if not 100 <= event.status <= 199:
            raise LocalProtocolError(f"status {event.status} of an interim response")
        if self._peer_is_http10:
            raise LocalProtocolError("an HTTP/1.0 client cannot take interim responses")
        if event.status == 101:
            if not self._upgrade_offered:
                raise LocalProtocolError("101 to a request that offers no upgrade")
            if self.their_state is SEND_BODY:
                raise LocalProtocolError("101 before the end of the request")
        text, framing = encode_fields(event)
        if framing.chunked or framing.content_length is not None:
            raise LocalProtocolError("an interim response has no body")
        lines = f"Connection: {', '.join(framing.options)}\r\n" if framing.options else ""
        return f"{_status_line(event)}{text}{lines}\r\n"


def _begin_head(preset: HeaderBlock, status: int) -> bytes | None:
    """Return a head up to the number of its Content-Length; None if it may have none."""
    line = _STATUS_LINES.get(status)
    if line is None or status < 200 or status == 204 or status == 304:
        return None
    beginning = encode_text(f"{line}{preset.text}Content-Length: ")
    preset.heads[status] = beginning
    return beginning


def _status_line(event: Response | InformationalResponse) -> str:
    # A response that was received and is passed on keeps its reason, even an empty one.
    reason = event.reason if event._packed else event._reason
    if reason is None:
        line = _STATUS_LINES.get(event.status)
        return line if line is not None else f"HTTP/1.1 {event.status} \r\n"
    return f"HTTP/1.1 {event.status} {check_text(reason, 'reason')}\r\n"
