"""The application under test: a script that serves on 127.0.0.1 until it gets SIGTERM."""

import argparse
import collections
import os
import socket
import ssl
from dataclasses import asdict, dataclass, field
from typing import Any

import httpserver as web


@dataclass
class Seen:
    """What the checks ask the server about."""

    #: The latest answers below /static/: method, name, Range and status.
    files: collections.deque[tuple[str, str, str | None, int]] = field(
        default_factory=lambda: collections.deque(maxlen=1000)
    )
    #: Calls of os.sendfile that sent something.
    sendfiles: int = 0
    #: Bytes of the body that /count is reading, or has read last.
    received: int = 0
    #: What the page in the browser said.
    report: Any = None


seen = Seen()


def count_sendfile() -> None:
    """Make os.sendfile count itself: which way a file took cannot be seen from outside."""
    sendfile = os.sendfile

    def counting(*arguments: Any) -> int:
        sent = sendfile(*arguments)
        seen.sendfiles += sent > 0
        return sent

    os.sendfile = counting  # type: ignore[assignment]


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="Hello, World!")


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(100):
        await response.write(b"%d\n" % number)
    return response


async def count(request: web.Request) -> web.Response:
    seen.received = 0
    async for data in request.content.iter_any():
        seen.received += len(data)
    return web.Response(text=str(seen.received))


async def report(request: web.Request) -> web.Response:
    seen.report = await request.json()
    return web.Response(status=204)


async def tell(request: web.Request) -> web.Response:
    sock: socket.socket | None = request.get_extra_info("socket")
    assert sock is not None
    nodelay = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    return web.json_response({**asdict(seen), "files": list(seen.files), "nodelay": nodelay})


async def note(request: web.BaseRequest, response: web.StreamResponse) -> None:
    name = request.path.rpartition("/")[2]
    seen.files.append((request.method, name, request.headers.get("Range"), response.status))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("backend", choices=["asyncio", "uvloop", "trio"])
    parser.add_argument("--folder", help="what is served below /static/")
    parser.add_argument("--certificate", help="a PEM file with key and chain; serves TLS then")
    arguments = parser.parse_args()
    count_sendfile()
    app = web.Application(client_max_size=2**23)
    app.add_routes(
        [
            web.get("/", hello),
            web.get("/stream", stream),
            web.get("/seen", tell),
            web.post("/echo", echo),
            web.put("/echo", echo),
            web.post("/count", count),
            web.post("/report", report),
        ]
    )
    if arguments.folder is not None:
        files = web.Application()
        files.add_routes([web.static("/", arguments.folder)])
        # Not without files: short answers of applications with this signal go another way.
        files.on_response_prepare.append(note)
        app.add_subapp("/static", files)
    options: dict[str, Any] = {}
    if arguments.backend == "uvloop":
        import uvloop

        options["loop_factory"] = uvloop.new_event_loop
    elif arguments.backend == "trio":
        options["backend"] = "trio"
    if arguments.certificate is not None:
        options["ssl_context"] = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        options["ssl_context"].load_cert_chain(arguments.certificate)
    web.run_app(app, host="127.0.0.1", port=arguments.port, access_log=None, print=None, **options)


if __name__ == "__main__":
    main()
