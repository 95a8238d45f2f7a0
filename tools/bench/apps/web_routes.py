"""The application in aiohttp's names, built from aiohttp or from ours by the same lines.

Ours has aiohttp's names, so the two rows of the table differ in nothing but the module that is
passed in.
"""

from collections.abc import Awaitable, Callable
from operator import attrgetter
from pathlib import Path

# Any: two modules that share names but no types are passed through here.
from typing import Any, Final

from ..works import STREAM_CHUNK, STREAM_CHUNKS, Work

Handler = Callable[[Any], Awaitable[Any]]

# Names without which there is no server, and those that a work needs beyond them: a version of ours
# that does not have them yet is to be reported as such and not as broken.
_ALWAYS_NEEDED: Final = ("Application.add_routes", "AppRunner", "TCPSite", "Response")
_NEEDS: Final = {
    "middlewares": ("middleware", "Application.add_subapp"),
    "stream32": ("StreamResponse.write",),
    "static64k": ("static",),
}


def missing(web: Any, work: Work) -> str | None:
    """Return the first name that `work` needs and `web` lacks, or None."""
    for name in (*_ALWAYS_NEEDED, *_NEEDS.get(work.name, ())):
        try:
            attrgetter(name)(web)
        except AttributeError:
            return name
    return None


def build(web: Any, work: Work, static_dir: Path) -> Any:
    """Return the `web.Application` for `work`.

    Args:
        web: A module with the names of aiohttp.web.
        work: What to answer.
        static_dir: Folder that the static work serves.
    """
    app = web.Application()
    if work.handler == "static":
        app.add_routes([web.static(work.routes[0], static_dir)])
        return app
    handler = _handlers(web, work)[work.handler]
    method = web.post if work.method == "POST" else web.get
    routes = [method(path, handler) for path in work.routes]
    if work.name == "middlewares":
        sub = web.Application(middlewares=_middlewares(web))
        sub.add_routes(routes)
        app.add_subapp("/sub", sub)
    else:
        app.add_routes(routes)
    return app


def _handlers(web: Any, work: Work) -> dict[str, Handler]:
    async def hello(request: Any) -> Any:
        return web.Response(text="Hello, World!")

    async def as_json(request: Any) -> Any:
        return web.json_response({"message": "Hello, World!"})

    async def param(request: Any) -> Any:
        return web.Response(text=f"Hello, {request.match_info['name']}!")

    async def echo(request: Any) -> Any:
        return web.json_response(await request.json())

    async def read(request: Any) -> Any:
        return web.Response(text=str(len(await request.read())))

    async def stream(request: Any) -> Any:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        for _ in range(STREAM_CHUNKS):
            await response.write(STREAM_CHUNK)
        await response.write_eof()
        return response

    async def body(request: Any) -> Any:
        return web.Response(body=work.answer, content_type="application/octet-stream")

    return {
        "hello": hello,
        "json": as_json,
        "param": param,
        "echo": echo,
        "read": read,
        "stream": stream,
        "body": body,
    }


def _middlewares(web: Any) -> list[Any]:
    """Return one that changes the response and one that leaves something on the request."""

    async def forbid_framing(request: Any, handler: Handler) -> Any:
        response = await handler(request)
        response.headers["X-Frame-Options"] = "DENY"
        return response

    async def note_user(request: Any, handler: Handler) -> Any:
        request["user"] = "anna"
        return await handler(request)

    return [web.middleware(forbid_framing), web.middleware(note_user)]
