"""wsproto_async alone, for people who only need WebSockets.

standalone.py server PORT BACKEND
standalone.py client URL COUNT BACKEND
"""

import sys
from collections.abc import Awaitable, Callable

import anyio

from wsproto_async import WebSocket, WSMsgType, connect, serve


async def echo(ws: WebSocket) -> None:
    async for msg in ws:
        if msg.type is WSMsgType.TEXT:
            await ws.send_str(msg.data)
        elif msg.type is WSMsgType.BINARY:
            await ws.send_bytes(msg.data)


async def run_server(port: int) -> None:
    async with serve(echo, "127.0.0.1", port, max_msg_size=0) as server:
        await server.serve_forever()


async def run_cases(url: str, count: int) -> None:
    for case in range(1, count + 1):
        case_url = f"{url}/runCase?case={case}&agent=target"
        try:
            async with connect(case_url, compress=True, max_msg_size=0) as ws:
                await echo(ws)
        except Exception as exc:  # a case may break the connection
            print(f"case {case}: {exc!r}", flush=True)


def run(backend: str, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
    if backend == "trio":
        anyio.run(function, *arguments, backend="trio")
    else:
        anyio.run(function, *arguments, backend_options={"use_uvloop": backend == "uvloop"})


if __name__ == "__main__":
    role, *arguments, backend = sys.argv[1:]
    if role == "server":
        run(backend, run_server, int(arguments[0]))
    else:
        run(backend, run_cases, arguments[0], int(arguments[1]))
