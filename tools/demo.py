"""Show that it works: the README's programs, then a tour, on asyncio and on trio.

`python tools/demo.py` prints what happens and exits 0; `python tools/demo.py --serve` keeps
serving a page for a browser.
"""

from __future__ import annotations

import argparse
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio

import httpclient
import httpserver as web

README = Path(__file__).parent.parent / "README.md"
DOWNLOAD_SIZE = 8 * 1024 * 1024
PIECE = bytes(64 * 1024)

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>It works</title>
<style>body { font: 1.1rem/1.6 system-ui; margin: 4rem auto; max-width: 34rem }</style>
<h1>It works</h1>
<p>This page was served by <b>httpserver</b> on {backend}.</p>
<p>Say hello: <a href="/Ada">/Ada</a>. Download: <a href="/download">8 MiB</a>.
<p><button onclick="post()">POST some JSON</button> <code id="answer"></code>
<script>
async function post() {{
  const answer = await fetch("/json", {{method: "POST", body: JSON.stringify({{n: 21}})}});
  document.getElementById("answer").textContent = await answer.text();
}}
</script>
"""


def readme_programs(port: int) -> tuple[str, str]:
    """Return the README's server and client, as written but for the port."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    server, client = (block.replace("8080", str(port)) for block in blocks)
    return server, client


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def run_readme_programs() -> None:
    """Start the README's server as a program, and run its client against it."""
    server, client = readme_programs(free_port())
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("server.py", server), ("client.py", client)):
            Path(folder, name).write_text(text, encoding="utf-8")
        command = [sys.executable, "-u", "server.py"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            # It prints where it runs once it does.
            print(process.stdout.readline().strip())
            print("$ python client.py", flush=True)
            subprocess.run([sys.executable, "client.py"], cwd=folder, check=True, timeout=30)
        finally:
            process.terminate()
            process.wait(timeout=30)
            assert process.stdout is not None
            process.stdout.close()
        if process.returncode != 0:
            raise SystemExit(f"the server ended with {process.returncode}")


async def greet(request: web.Request) -> web.Response:
    name = request.match_info.get("name", "Anonymous")
    return web.Response(text=f"Hello, {name}")


async def double(request: web.Request) -> web.Response:
    value = await request.json()
    return web.json_response({"twice": value["n"] * 2})


async def download(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(DOWNLOAD_SIZE)})
    await response.prepare(request)
    for _ in range(DOWNLOAD_SIZE // len(PIECE)):
        await response.write(PIECE)
    return response


def make_app(backend: str) -> web.Application:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE.format(backend=backend), content_type="text/html")

    app = web.Application()
    app.add_routes(
        [
            web.get("/", page),
            web.post("/json", double),
            web.get("/download", download),
            web.get("/{name}", greet),
        ]
    )
    return app


async def tour(backend: str) -> None:
    """Serve, and fetch from it, in one event loop."""
    print(f"\n--- {backend} ---")
    runner = web.AppRunner(make_app(backend), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with httpclient.ClientSession(base_url=f"{site.name}/") as session:
            async with session.get("Ada") as response:
                print(f"GET  /Ada       {response.status}  {await response.text()}")
            async with session.post("json", json={"n": 21}) as response:
                print(f"POST /json      {response.status}  {await response.json()}")
            async with session.get("download") as response:
                await show_progress(response)
            async with session.get("no/such/page") as response:
                print(f"GET  /no/such   {response.status}  {response.reason}")
    finally:
        await runner.cleanup()


async def show_progress(response: httpclient.ClientResponse) -> None:
    total, done, shown = response.content_length or 0, 0, -1
    async for piece in response.content.iter_any():
        done += len(piece)
        filled = 30 * done // total
        if filled != shown:
            shown = filled
            bar = "#" * filled
            print(f"\rGET  /download  {bar:.<30}  {done >> 20} MiB", end="", flush=True)
    print()
    if done != total:
        raise SystemExit(f"the download has {done} bytes, expected {total}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="keep serving a page for a browser")
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--port", type=int, default=8080, help="with --serve; 0 for any")
    arguments = parser.parse_args()
    if arguments.serve:
        app = make_app(arguments.backend)
        web.run_app(app, host="127.0.0.1", port=arguments.port, backend=arguments.backend)
        return
    run_readme_programs()
    for backend in ("asyncio", "trio"):
        anyio.run(tour, backend, backend=backend)
    print("\nAll of it works.")


if __name__ == "__main__":
    main()
