from __future__ import annotations

from typing import Any

import pytest

import httpserver as web

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def request(method: str, path: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


async def name_handler(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info.get("name", "Anonymous"))


async def test_routes_are_served(serve: Any) -> None:
    app = web.Application()
    routes = app.add_routes([web.get("/", name_handler), web.get("/{name}", name_handler)])
    assert [route.method for route in routes] == ["GET", "GET"]

    async with serve(app) as origin:
        assert (await origin.ask(GET)).text == "Anonymous"
        assert (await origin.ask(request("GET", "/J%C3%BCrgen%20%2F%25"))).text == "Jürgen /%"
        assert (await origin.ask(request("GET", "/a/b"))).status == 404
        answer = await origin.ask(request("HEAD", "/bob"), bodiless=True)
        assert (answer.status, answer.headers["Content-Length"]) == (200, "3")


async def test_match_info_knows_route_and_handler(serve: Any) -> None:
    app = web.Application()

    async def handler(request: web.Request) -> web.Response:
        info = request.match_info
        assert info is request.match_info
        assert info.handler is handler
        assert info.route.resource is app.router["thing"]
        return web.json_response(info)

    app.add_routes([web.get(r"/{id:\d+}/{rest:.*}", handler, name="thing")])

    async with serve(app) as origin:
        assert (
            await origin.ask(request("GET", "/7/a%2Fb/c"))
        ).text == '{"id": "7", "rest": "a/b/c"}'
        assert (await origin.ask(request("GET", "/x/"))).status == 404


async def test_path_without_route_is_404(serve: Any) -> None:
    async with serve(web.Application()) as origin:
        answer = await origin.ask(GET)

    assert (answer.status, answer.text) == (404, "404: Not Found")


async def test_method_without_route_is_405_with_those_allowed(serve: Any) -> None:
    app = web.Application()
    app.add_routes([web.put("/x", name_handler), web.get("/x", name_handler)])

    async with serve(app) as origin:
        answer = await origin.ask(request("POST", "/x"))

    assert (answer.status, answer.text) == (405, "405: Method Not Allowed")
    assert answer.headers["Allow"] == "GET,HEAD,PUT"


async def test_middlewares_are_called_from_the_outside_in(serve: Any) -> None:
    calls: list[str] = []

    def middleware(name: str) -> Any:
        async def call(request: web.Request, handler: Any) -> web.StreamResponse:
            calls.append(f"{name} in {request.match_info.route.method}")
            try:
                response: web.StreamResponse = await handler(request)
            finally:
                calls.append(f"{name} out")
            response.headers.add("X", name)
            return response

        return call

    app = web.Application(middlewares=[middleware("a"), middleware("b")])
    app.add_routes([web.get("/", name_handler)])
    assert len(app.middlewares) == 2

    async with serve(app) as origin:
        answer = await origin.ask(GET)
        assert answer.headers.getall("X") == ["b", "a"]
        assert calls == ["a in GET", "b in GET", "b out", "a out"]


@pytest.mark.parametrize(
    ("path", "error"), [("/no", web.HTTPNotFound), ("/", web.HTTPMethodNotAllowed)]
)
async def test_middlewares_run_for_requests_without_route(
    serve: Any, path: str, error: type[web.HTTPException]
) -> None:
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        assert request.match_info == {}
        assert request.match_info.route.resource is None
        assert request.match_info.route.name is None
        with pytest.raises(error):
            await handler(request)
        return web.Response(text="instead")

    app = web.Application(middlewares=[middleware])
    app.add_routes([web.get("/", name_handler)])

    async with serve(app) as origin:
        assert (await origin.ask(request("POST", path))).text == "instead"


async def test_frozen_application_takes_no_routes(serve: Any) -> None:
    app = web.Application()
    assert not app.frozen

    async with serve(app):
        assert app.frozen
        with pytest.raises(RuntimeError, match="frozen"):
            app.add_routes([web.get("/", name_handler)])


async def test_application_served_again_is_not_wrapped_twice(serve: Any) -> None:
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        response.headers.add("X", "1")
        return response

    app = web.Application(middlewares=[middleware])
    app.add_routes([web.get("/", name_handler)])

    for _ in range(2):
        async with serve(app) as origin:
            assert (await origin.ask(GET)).headers.getall("X") == ["1"]


def test_repr_tells_applications_apart() -> None:
    first, second = web.Application(), web.Application()

    assert repr(first).startswith("<Application at 0x")
    assert repr(first) != repr(second)
