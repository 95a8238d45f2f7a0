"""Peer: a WebSocket of aiohttp.web."""

from aiohttp import web

from .settings import Settings, run_asyncio
from .web_serving import serve
from .ws_echo_app import build

if __name__ == "__main__":
    settings = Settings.from_environ()
    run_asyncio(serve(web, build(web), settings.port), settings.loop)
