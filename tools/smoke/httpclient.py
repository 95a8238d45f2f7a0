"""Fetch one page from the standard library's server."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpclient


class Origin(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: Any) -> None:
        pass


async def fetch(url: str) -> None:
    async with httpclient.ClientSession() as session, session.get(url) as response:
        assert response.status == 200, response
        assert await response.text() == "hello"


with HTTPServer(("127.0.0.1", 0), Origin) as origin:
    thread = threading.Thread(target=origin.serve_forever)
    thread.start()
    try:
        asyncio.run(fetch(f"http://127.0.0.1:{origin.server_port}/"))
    finally:
        origin.shutdown()
        thread.join()
