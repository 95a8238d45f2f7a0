"""Our server and client that people use: httpserver and httpclient.

httpcore.py server PORT BACKEND
httpcore.py client URL COUNT BACKEND
"""

import sys
from typing import Any

import anyio
import uvloop

import httpclient
import httpserver as web


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(max_msg_size=0)
    await ws.prepare(request)
    async for msg in ws:
        if msg.type is web.WSMsgType.TEXT:
            await ws.send_str(msg.data)
        elif msg.type is web.WSMsgType.BINARY:
            await ws.send_bytes(msg.data)
    return ws


def serve(port: str, backend: str) -> None:
    app = web.Application()
    app.add_routes([web.get("/", echo)])
    options: dict[str, Any] = {"backend": backend}
    if backend == "uvloop":
        options = {"loop_factory": uvloop.new_event_loop}
    web.run_app(app, host="127.0.0.1", port=int(port), access_log=None, print=None, **options)


async def run_cases(url: str, count: int) -> None:
    async with httpclient.ClientSession() as session:
        for case in range(1, count + 1):
            try:
                await run_case(session, f"{url}/runCase?case={case}&agent=target")
            except Exception as exc:  # a case may break the connection
                print(f"case {case}: {exc!r}", flush=True)


async def run_case(session: httpclient.ClientSession, url: str) -> None:
    async with session.ws_connect(url, compress=15, max_msg_size=0) as ws:
        async for msg in ws:
            if msg.type is httpclient.WSMsgType.TEXT:
                await ws.send_str(msg.data)
            elif msg.type is httpclient.WSMsgType.BINARY:
                await ws.send_bytes(msg.data)


def connect(url: str, count: str, backend: str) -> None:
    if backend == "trio":
        anyio.run(run_cases, url, int(count), backend="trio")
    else:
        options = {"use_uvloop": backend == "uvloop"}
        anyio.run(run_cases, url, int(count), backend_options=options)


if __name__ == "__main__":
    {"server": serve, "client": connect}[sys.argv[1]](*sys.argv[2:])
