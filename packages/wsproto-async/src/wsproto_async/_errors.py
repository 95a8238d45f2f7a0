"""Errors of WebSocket connections and handshakes.

    WebSocketError                   the peer broke RFC 6455, RFC 7692 or a limit
    WSHandshakeError                 a handshake cannot be accepted
    WSMessageTypeError (TypeError)   a message has another type than was asked for

What this side may not send is refused with `httpcore_proto.LocalProtocolError`.
"""

from __future__ import annotations

from collections.abc import Sequence


class WebSocketError(Exception):
    """The peer broke the protocol, or a limit of ours; the connection must be closed.

    Attributes:
        code: The close code to send (RFC 6455 section 7.4.1): 1002, 1007 or 1009.
        rule: A stable word for the rule that was broken, such as `"frame-masking"`.
        limit: Name of the parameter that was exceeded, or None.
        value: The size or count seen, when a limit was exceeded.
        allowed: The limit's value, when one was exceeded.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        rule: str = "protocol",
        limit: str | None = None,
        value: int | None = None,
        allowed: int | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.rule = rule
        self.limit = limit
        self.value = value
        self.allowed = allowed

    def __str__(self) -> str:
        return str(self.args[1])

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), self.args, self.__dict__)


class WSHandshakeError(Exception):
    """A handshake is not one that can be accepted (RFC 6455 section 4).

    Attributes:
        rule: A stable word for the rule that was broken, such as `"upgrade"`.
        status: The status code a server should answer with: 400, 405 or 426. Of `connect`
            the one that the server answered.
        headers: Fields that belong into that answer, as pairs. Of `connect` all of it.
    """

    def __init__(
        self,
        message: str,
        *,
        rule: str = "handshake",
        status: int = 400,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.rule = rule
        self.status = status
        self.headers: tuple[tuple[str, str], ...] = tuple(headers)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), self.args, self.__dict__)


class WSMessageTypeError(TypeError):
    """A message of another type came than was asked for."""
