from __future__ import annotations

from typing import Any

import pytest

import httpserver as web


def request(method: str, path: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


class Thing(web.View):
    async def get(self) -> web.Response:
        match_info = self.request.match_info
        assert match_info.handler is Thing
        assert self.request.app.router["thing"] is match_info.route.resource
        return web.Response(text=f"get {match_info['id']}")

    async def delete(self) -> web.Response:
        raise web.HTTPForbidden

    async def propfind(self) -> web.Response:
        raise AssertionError("not to be called")


async def test_view_answers_by_method(serve: Any) -> None:
    app = web.Application()
    app.add_routes([web.view("/{id}", Thing, name="thing")])

    async with serve(app) as origin:
        assert (await origin.ask(request("GET", "/7"))).text == "get 7"
        assert (await origin.ask(request("DELETE", "/7"))).status == 403


@pytest.mark.parametrize("method", ["POST", "HEAD", "PROPFIND"])
async def test_view_without_method_tells_those_it_has(serve: Any, method: str) -> None:
    """Neither is HEAD answered by `get`, nor a method that only looks like one."""
    app = web.Application()
    app.router.add_view("/{id}", Thing, name="thing")

    async with serve(app) as origin:
        answer = await origin.ask(request(method, "/7"), bodiless=method == "HEAD")

    assert (answer.status, answer.headers["Allow"]) == (405, "DELETE,GET")


async def test_view_with_dispatch_of_its_own(serve: Any) -> None:
    routes = web.RouteTableDef()

    @routes.view("/head")
    class Head(web.View):
        async def head(self) -> web.Response:
            return web.Response(headers={"X": "1"})

    @routes.view("/own")
    class Own(web.AbstractView):
        def __await__(self) -> Any:
            return self.answer().__await__()

        async def answer(self) -> web.Response:
            return web.Response(text=f"own {self.request.method}")

    app = web.Application()
    app.add_routes(routes)

    async with serve(app) as origin:
        assert (await origin.ask(request("HEAD", "/head"), bodiless=True)).headers["X"] == "1"
        assert (await origin.ask(request("REPORT", "/own"))).text == "own REPORT"


async def test_view_inside_middlewares(serve: Any) -> None:
    seen: list[Any] = []

    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        seen.append(handler.mark)
        response: web.StreamResponse = await handler(request)
        response.headers["X"] = "1"
        return response

    class Marked(Thing):
        mark = "marked"

        async def get(self) -> web.Response:
            return web.Response()

    app = web.Application(middlewares=[middleware])
    app.router.add_view("/", Marked)

    async with serve(app) as origin:
        assert (await origin.ask(request("GET", "/"))).headers["X"] == "1"
    assert seen == ["marked"]
