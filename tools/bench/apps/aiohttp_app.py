"""Peer: aiohttp.web on uvloop or asyncio."""

from aiohttp import web

from ..works import find_work
from .settings import Settings, run_asyncio
from .web_routes import build
from .web_serving import serve

if __name__ == "__main__":
    settings = Settings.from_environ()
    app = build(web, find_work(settings.work), settings.static_dir)
    run_asyncio(serve(web, app, settings.port), settings.loop)
