"""A client's opening handshake over a link of its own (RFC 6455 section 4.1)."""

from __future__ import annotations

import functools
import ssl as ssl_module
from typing import Any, Final, NamedTuple

import anyio
import anyio.to_thread

from httpcore_proto import (
    ClientConnection,
    HeadersLike,
    InformationalResponse,
    RemoteProtocolError,
    Request,
    Response,
)
from httpcore_proto.aio import Link, LinkLostError, Runtime

from ._errors import WSHandshakeError
from ._handshake import ClientHandshake, HandshakeAgreement
from ._target import parse_target

# Rules of the machine that only say that the server closed before there was a head.
_DISCONNECTED: Final = frozenset({"no-response", "truncated-head"})


@functools.cache
def _default_context() -> ssl_module.SSLContext:
    """Make a context, which reads files; nobody can change the one of all."""
    context = ssl_module.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Opened(NamedTuple):
    """A link behind the handshake, and what came behind that."""

    link: Link
    agreement: HandshakeAgreement
    data: bytes
    eof: bool


class _Asking:
    """Receiver of the link until the handshake is over."""

    __slots__ = ("exc", "link", "lost", "machine")

    link: Link

    def __init__(self) -> None:
        self.machine = ClientConnection()
        self.lost = False
        self.exc: Exception | None = None

    def link_made(self, link: Link) -> None:
        self.link = link

    def bytes_received(self, data: bytes) -> None:
        self.machine.receive_data(data)

    def eof_received(self) -> None:
        self.machine.receive_eof()

    def link_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.exc = exc


async def open_link(
    runtime: Runtime,
    url: str,
    handshake: ClientHandshake,
    *,
    headers: HeadersLike,
    ssl: Any,
    server_hostname: str | None,
    sock: Any,
    timeout: float | None,
) -> Opened:
    """Connect and do the handshake; see `connect` for arguments and errors."""
    target = parse_target(url)
    fields = [*target.headers, *handshake.headers]
    fields += headers.items() if hasattr(headers, "items") else headers
    request = Request(method="GET", target=target.path, headers=fields)
    asking = _Asking()
    data = asking.machine.send_message(request)
    with anyio.fail_after(timeout):
        tls: dict[str, Any] = {}
        if target.secure:
            if ssl is None:
                ssl = await anyio.to_thread.run_sync(_default_context)
            tls = {"ssl": ssl, "server_hostname": server_hostname or target.host}
        if sock is not None:
            link = await runtime.connect_sock(asking, sock, **tls)
        else:
            link = await runtime.connect_tcp(asking, target.host, target.port, **tls)
        try:
            link.deadline = None
            link.write(data)
            response = await _response(asking)
            agreement = _check(handshake, response)
        except BaseException:
            link.abort()
            with anyio.CancelScope(shield=True):
                await link.wait_closed()
            raise
    return Opened(link, agreement, *asking.machine.trailing_data)


async def _response(asking: _Asking) -> Response | InformationalResponse:
    while True:
        try:
            event = asking.machine.next_event()
        except RemoteProtocolError as exc:
            if asking.lost or exc.rule in _DISCONNECTED:
                raise LinkLostError("connection lost during the handshake") from asking.exc
            raise WSHandshakeError(f"no HTTP response: {exc.message}", rule=exc.rule) from exc
        if type(event) is Response:
            return event
        if type(event) is InformationalResponse:
            if event.status == 101:
                return event
        elif asking.lost:
            raise LinkLostError("connection lost during the handshake") from asking.exc
        else:
            await asking.link.more()


def _check(
    handshake: ClientHandshake, response: Response | InformationalResponse
) -> HandshakeAgreement:
    try:
        return handshake.check(response.status, response.headers)
    except WSHandshakeError as exc:
        raise WSHandshakeError(
            str(exc),
            rule=exc.rule,
            status=response.status,
            headers=list(response.headers.items()),
        ) from None
