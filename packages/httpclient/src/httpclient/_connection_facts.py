"""What `-v` tells: how a connection was made, how long each step took, and what was sent."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from ._terminal import visible

if TYPE_CHECKING:
    from ._response import ClientResponse
    from ._trace_params import (
        TraceDnsResolveHostEndParams,
        TraceDnsResolveHostStartParams,
        TraceRequestEndParams,
        TraceRequestHeadersSentParams,
        TraceRequestRedirectParams,
    )
    from ._tracing import TraceConfig

# Output of -v ends up in logs and bug reports.
_SECRET: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "proxy-authenticate"}
)
_REDACTED: Final = "[redacted]"


def redacted(name: str, value: str) -> str:
    """Return the value of a field, or what stands for that of one with credentials."""
    return _REDACTED if name.lower() in _SECRET else value


def milliseconds(seconds: float) -> str:
    """Return a time as one reads it, such as `1.2 ms`."""
    return f"{seconds * 1000:.1f} ms"


class ConnectionFacts:
    """Writes a line for everything that it sees.

    Args:
        write: Takes one line, without line feed.
        clock: Seconds, from anywhere.
    """

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._write = write
        self._clock = clock
        self._begun_at = clock()
        self._looked_up_at = self._connecting_at = self._sent_at = self._begun_at
        self._apart = 0.0  # what connecting took that is told in lines of its own

    def tell(self, text: str) -> None:
        """Write a line of our own."""
        self._write(f"* {visible(text)}")

    def trace_config(self) -> TraceConfig[SimpleNamespace]:
        """Return what a session needs so that its requests are told."""
        from ._tracing import TraceConfig

        config = TraceConfig()
        config.on_dns_resolvehost_start.append(self._lookup_start)
        config.on_dns_resolvehost_end.append(self._lookup_end)
        config.on_connection_create_start.append(self._connect_start)
        config.on_connection_create_end.append(self._connect_end)
        config.on_connection_reuseconn.append(self._reuse)
        config.on_request_headers_sent.append(self._sent)
        config.on_request_redirect.append(self._head)
        config.on_request_end.append(self._head)
        return config

    def watch(self, context: ssl.SSLContext) -> None:
        """Have the handshakes told that are made with a context."""
        facts = self

        class WatchedSSLObject(ssl.SSLObject):
            _begun_at: float | None = None

            def do_handshake(self) -> None:
                if self._begun_at is None:
                    self._begun_at = facts._clock()
                super().do_handshake()  # raises as long as bytes are missing
                facts._handshake(self, facts._clock() - self._begun_at)

        context.sslobject_class = WatchedSSLObject

    def end(self, size: int) -> None:
        """The body is read to its end."""
        self.tell(f"{size} bytes of body, {milliseconds(self._clock() - self._begun_at)} in all")

    async def _lookup_start(
        self, session: Any, context: Any, params: TraceDnsResolveHostStartParams
    ) -> None:
        self._looked_up_at = self._clock()

    async def _lookup_end(
        self, session: Any, context: Any, params: TraceDnsResolveHostEndParams
    ) -> None:
        took = self._clock() - self._looked_up_at
        self._apart += took
        self.tell(f"DNS: {params.host} looked up in {milliseconds(took)}")

    async def _connect_start(self, session: Any, context: Any, params: Any) -> None:
        self._connecting_at = self._clock()
        self._apart = 0.0

    async def _connect_end(self, session: Any, context: Any, params: Any) -> None:
        took = self._clock() - self._connecting_at
        self.tell(
            f"connected in {milliseconds(max(took - self._apart, 0))}"
            + (f", {milliseconds(took)} with DNS and TLS" if self._apart else "")
        )

    async def _reuse(self, session: Any, context: Any, params: Any) -> None:
        self.tell("connection used again")

    async def _sent(
        self, session: Any, context: Any, params: TraceRequestHeadersSentParams
    ) -> None:
        self._sent_at = self._clock()
        self._lines(">", f"{params.method} {params.url.raw_path_qs}", params.headers.items())

    async def _head(
        self,
        session: Any,
        context: Any,
        params: TraceRequestEndParams | TraceRequestRedirectParams,
    ) -> None:
        response = params.response
        self.tell(f"first byte after {milliseconds(self._clock() - self._sent_at)}")
        peer = self._peer(response)
        if peer:
            self.tell(f"from {peer}")
        self._lines("<", status_line(response), response.headers.items())

    def _lines(self, mark: str, first: str, fields: Iterable[tuple[str, str]]) -> None:
        self._write(f"{mark} {visible(first)}")
        for name, value in fields:
            self._write(f"{mark} {visible(name)}: {visible(redacted(name, value))}")

    @staticmethod
    def _peer(response: ClientResponse) -> str | None:
        """Return address and port, if the connection is still there."""
        connection = response.connection
        peer = connection.get_extra_info("peername") if connection is not None else None
        return f"{peer[0]} port {peer[1]}" if isinstance(peer, tuple) else None

    def _handshake(self, tls: ssl.SSLObject, took: float) -> None:
        self._apart += took
        cipher = tls.cipher()
        parts = [tls.version() or "?", cipher[0] if cipher else "?"]
        if alpn := tls.selected_alpn_protocol():
            parts.append(f"ALPN {alpn}")
        self.tell(f"TLS: {', '.join(parts)}, handshake in {milliseconds(took)}")
        certificate: Mapping[str, Any] = tls.getpeercert() or {}
        if certificate:
            self.tell(
                f"certificate: {_name_of(certificate.get('subject', ()))}, "
                f"valid until {certificate.get('notAfter')}, "
                f"issued by {_name_of(certificate.get('issuer', ()))}"
            )
        else:
            self.tell("certificate: not verified")


def status_line(response: ClientResponse) -> str:
    """Return the first line of a response."""
    version = response.version
    return f"HTTP/{version.major}.{version.minor} {response.status} {response.reason}".rstrip()


def _name_of(distinguished: Iterable[Iterable[tuple[str, str]]]) -> str:
    """Return the common name in what `getpeercert` has for a subject, else all of it."""
    pairs = [pair for relative in distinguished for pair in relative]
    for key, value in pairs:
        if key == "commonName":
            return value
    return ", ".join(value for _, value in pairs) or "nameless"
