"""Peer: ASGI with no framework, the least that can be asked of an ASGI server."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ..works import STREAM_CHUNK, STREAM_CHUNKS, find_work
from .settings import Settings

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_ANSWER: Final = find_work(Settings.from_environ().work).answer


async def _respond(send: Send, content_type: bytes, body: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", content_type), (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message["body"])
        more = message["more_body"]
    return b"".join(parts)


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 13 bytes of text."""
    await _respond(send, b"text/plain; charset=utf-8", b"Hello, World!")


async def as_json(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a small JSON document."""
    await _respond(send, b"application/json", json.dumps({"message": "Hello, World!"}).encode())


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Decode a JSON body and answer it encoded again."""
    document = json.loads(await _read(receive))
    await _respond(send, b"application/json", json.dumps(document).encode())


async def read(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body and answer its length."""
    body = await _read(receive)
    await _respond(send, b"text/plain; charset=utf-8", b"%d" % len(body))


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in chunks, the length not announced."""
    headers = [(b"content-type", b"application/octet-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(STREAM_CHUNKS):
        await send({"type": "http.response.body", "body": STREAM_CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def body(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one large body."""
    await _respond(send, b"application/octet-stream", _ANSWER)


_APPS: Final = {
    "hello": hello,
    "json": as_json,
    "echo": echo,
    "read": read,
    "stream": stream,
    "body": body,
}

app = _APPS[find_work(Settings.from_environ().work).handler]
