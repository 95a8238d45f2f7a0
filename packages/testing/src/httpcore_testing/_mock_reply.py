"""What a mock does about a request: the kinds of replies."""

from __future__ import annotations

import json as json_module
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import anyio

from httpclient import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ConnectionKey,
)
from httpcore_proto import HeadersLike
from httpserver import BaseRequest, Response, StreamResponse

from ._mock_link import MockLink

#: Answers a request, as a handler of a server.
ReplyHandler: TypeAlias = Callable[[BaseRequest], Awaitable[StreamResponse]]

# The first that fits.
_MADE_OF: Final[tuple[tuple[type[OSError], Callable[[ConnectionKey, Any], ClientError]], ...]] = (
    (ssl.SSLCertVerificationError, ClientConnectorCertificateError),
    (ssl.SSLError, ClientConnectorSSLError),
    (socket.gaierror, ClientConnectorDNSError),
    (OSError, ClientConnectorError),
)


@dataclass(frozen=True, kw_only=True)
class Reply(ABC):
    """A reply.

    Attributes:
        delay: Seconds before it.
    """

    delay: float = 0

    async def give(self, request: BaseRequest, link: MockLink) -> StreamResponse:
        """Do what is to be done, and return what is still to be sent."""
        if self.delay:
            await anyio.sleep(self.delay)
        return await self._give(request, link)

    @abstractmethod
    async def _give(self, request: BaseRequest, link: MockLink) -> StreamResponse:
        """Do that, the delay being over."""


@dataclass(frozen=True, kw_only=True)
class WholeReply(Reply):
    """A response with its body, which may be cut."""

    status: int
    body: bytes
    headers: list[tuple[str, str]]
    reason: str | None
    content_type: str | None
    reset_after: int | None

    async def _give(self, request: BaseRequest, link: MockLink) -> StreamResponse:
        if self.reset_after is None:
            response: StreamResponse = Response(
                status=self.status, reason=self.reason, body=self.body
            )
            self._fill(response)
            return response
        response = StreamResponse(status=self.status, reason=self.reason)
        self._fill(response)
        response.headers.setdefault("Content-Length", str(len(self.body)))
        await response.prepare(request)
        await response.write(self.body[: self.reset_after])
        await request.exchange.drain()
        await link.reset()

    def _fill(self, response: StreamResponse) -> None:
        if self.content_type is not None:
            response.headers["Content-Type"] = self.content_type
        for name in {name for name, _ in self.headers}:
            response.headers.popall(name, None)
        response.headers.extend(self.headers)


@dataclass(frozen=True, kw_only=True)
class ChunkedReply(Reply):
    """A response whose body comes in pieces, each of them sent by itself."""

    status: int
    chunks: list[bytes]
    headers: list[tuple[str, str]]
    pause: float

    async def _give(self, request: BaseRequest, link: MockLink) -> StreamResponse:
        response = StreamResponse(status=self.status)
        response.headers.extend(self.headers)
        await response.prepare(request)
        await request.exchange.drain()
        for number, chunk in enumerate(self.chunks):
            if number and self.pause:
                await anyio.sleep(self.pause)
            await response.write(chunk)
            await request.exchange.drain()
        return response


@dataclass(frozen=True, kw_only=True)
class RawReply(Reply):
    """Exact bytes, and then the end of the connection, or silence."""

    data: bytes
    close: bool
    reset: bool = False

    async def _give(self, request: BaseRequest, link: MockLink) -> StreamResponse:
        # In one step with the end, or the client could send its next request in between.
        link.send(self.data)
        if self.reset:
            await link.reset()
        elif self.close:
            await link.hang_up()
        await request.exchange.drain()
        await anyio.sleep_forever()
        raise AssertionError  # pragma: no cover - it sleeps until it is cancelled


@dataclass(frozen=True, kw_only=True)
class HandledReply(Reply):
    """Whatever a handler does."""

    handler: ReplyHandler

    async def _give(self, request: BaseRequest, link: MockLink) -> StreamResponse:
        return await self.handler(request)


@dataclass(frozen=True, kw_only=True)
class FailedReply(Reply):
    """An error instead of a connection."""

    error: Exception

    async def _give(self, request: BaseRequest, link: MockLink) -> StreamResponse:
        await link.fail(_as_of_client(link.key, self.error))


def _as_of_client(key: ConnectionKey, error: Exception) -> Exception:
    """Return what the client makes of an error when it connects."""
    if isinstance(error, ClientError) or not isinstance(error, OSError):
        return error.with_traceback(None)
    made = next(to for kind, to in _MADE_OF if isinstance(error, kind))(key, error)
    made.__cause__ = error
    return made


def pairs_of(headers: HeadersLike | None) -> list[tuple[str, str]]:
    """Return header fields as pairs."""
    if headers is None:
        return []
    items: Any = headers.items() if hasattr(headers, "items") else headers
    return [(str(name), str(value)) for name, value in items]


def whole_reply(
    status: int,
    *,
    body: bytes | str | None,
    json: Any,
    has_json: bool,
    headers: HeadersLike | None,
    reason: str | None,
    delay: float,
    reset_after: int | None,
) -> WholeReply:
    """Return a response with a body of bytes, text or JSON.

    Raises:
        TypeError: The body is something else.
        ValueError: There are two bodies.
    """
    content_type = None
    if has_json:
        if body is not None:
            raise ValueError("body and json exclude each other")
        body = json_module.dumps(json).encode()
        content_type = "application/json"
    elif isinstance(body, str):
        body, content_type = body.encode(), "text/plain; charset=utf-8"
    if not isinstance(body, (bytes, type(None))):
        raise TypeError(f"body must be bytes or str, not {type(body).__name__}; see json")
    return WholeReply(
        status=status,
        body=body or b"",
        headers=pairs_of(headers),
        reason=reason,
        content_type=content_type,
        reset_after=reset_after,
        delay=delay,
    )


def check_chunks(chunks: Iterable[bytes]) -> list[bytes]:
    """Return chunks as a list.

    Raises:
        TypeError: One of them is something else.
    """
    listed = list(chunks)
    for chunk in listed:
        if not isinstance(chunk, bytes):
            raise TypeError(f"chunks must be bytes, not {type(chunk).__name__}")
    return listed
