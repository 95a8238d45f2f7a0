"""Rows of the ledger: applications, routes, middlewares and signals.

Each docstring begins with the row's id; `test_ledger.py` knows all rows.
"""

from __future__ import annotations

import contextvars
import logging
import sys
from collections.abc import Iterable, MutableMapping, MutableSequence, Sequence
from pathlib import Path
from typing import Any

import pytest

import httpserver as web


def get(path: str = "/", *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *lines, "", ""]).encode()


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


def says(text: str) -> web.Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=text)

    return handler


def marks(name: str) -> web.Middleware:
    """Make a middleware that appends its name to what is inside of it."""

    @web.middleware
    async def mark(request: web.Request, handler: web.Handler) -> web.StreamResponse:
        response = await handler(request)
        response.headers["X"] = f"{response.headers.get('X', '')}{name}"
        return response

    return mark


async def test_routes_plugged_in_each_way_are_inside_the_middlewares(serve: Any) -> None:
    """S003: routes by call, decorator, list and class all run inside the middlewares."""
    table = web.RouteTableDef()

    @table.get("/decorated")
    async def decorated(request: web.Request) -> web.Response:
        return web.Response(text="decorated")

    class View(web.View):
        async def get(self) -> web.Response:
            return web.Response(text="view")

    app = web.Application(middlewares=[marks("outer"), marks("inner")])
    app.router.add_get("/call", hello)
    app.add_routes(table)
    app.add_routes([web.get("/list", hello), web.view("/view", View)])

    async with serve(app) as origin:
        for path, text in (
            ("/call", "hello"),
            ("/decorated", "decorated"),
            ("/list", "hello"),
            ("/view", "view"),
        ):
            answer = await origin.ask(get(path))
            assert (answer.text, answer.headers["X"]) == (text, "innerouter")


async def test_exception_is_at_hand_in_the_access_log(serve: Any) -> None:
    """S045: `log` runs with what the handler raised in `sys.exc_info`, else with nothing."""
    seen: list[tuple[str, type[BaseException] | None]] = []

    class Logger(web.AbstractAccessLogger):
        def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
            seen.append((request.path, sys.exc_info()[0]))

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/error":
            raise ZeroDivisionError
        if request.path == "/http":
            raise web.HTTPNotFound
        return web.Response()

    async with serve(handler, access_log_class=Logger) as origin:
        for path in ("/", "/http", "/error", "/"):
            await origin.ask(get(path))
        await origin.no_connections()

    assert seen == [
        ("/", None),
        ("/http", web.HTTPNotFound),
        ("/error", ZeroDivisionError),
        ("/", None),
    ]


def test_registering_returns_the_routes() -> None:
    """S046: `add_routes` of application and router, and `RouteDef.register`, return routes."""
    app = web.Application()
    definitions = [web.get("/a", hello), web.post("/a", hello), web.view("/b", web.View)]

    for number, add in enumerate((app.add_routes, app.router.add_routes)):
        routes = add([web.get(f"/{number}", hello), web.put(f"/{number}", hello)])
        assert all(isinstance(route, web.AbstractRoute) for route in routes)
        assert [route.method for route in routes] == ["GET", "PUT"]
    registered = [route for item in definitions for route in item.register(app.router)]
    assert [(route.method, route.resource.canonical) for route in registered] == [
        ("GET", "/a"),
        ("POST", "/a"),
        ("*", "/b"),
    ]
    assert set(registered) <= set(app.router.routes())


@pytest.mark.parametrize(
    "name", ["check-for-result", "ns.class", "import:from", "a", "a1.b_2:c-d", "not-in"]
)
def test_keyword_may_be_a_part_of_a_route_name(name: str) -> None:
    """S080: a route may be called `check-for-result`, and is found by that name."""
    router = web.UrlDispatcher()
    router.add_get("/x/{y}", hello, name=name)

    assert str(router[name].url_for(y="z")) == "/x/z"


@pytest.mark.parametrize("name", ["for", "None", "1a", "a b", "a--b", "-a", "a.", "", "a/b"])
def test_what_is_no_route_name_is_refused(name: str) -> None:
    """S080: a keyword as a whole, and what is no sequence of identifiers, is a ValueError."""
    with pytest.raises(ValueError, match="name"):
        web.UrlDispatcher().add_get("/", hello, name=name)


def test_canonical_form_of_a_path(tmp_path: Path) -> None:
    """S105: `canonical` is the path, the template without expressions, or the prefix."""
    app = web.Application()
    router = app.router

    assert router.add_resource("/a b").canonical == "/a%20b"
    assert router.add_resource(r"/x/{y:\d+}/{z}").canonical == "/x/{y}/{z}"
    assert router.add_static("/files/", tmp_path).canonical == "/files"
    assert app.add_subapp("/sub/", web.Application()).canonical == "/sub"


@pytest.mark.parametrize("kind", [list, tuple, iter])
async def test_middlewares_of_any_iterable(serve: Any, kind: Any) -> None:
    """S109: `middlewares` may be a generator or a tuple as well, and keeps its order."""
    middlewares: Iterable[web.Middleware] = kind([marks("a"), marks("b"), marks("c")])
    app = web.Application(middlewares=middlewares)
    app.add_routes([web.get("/", hello)])

    async with serve(app) as origin:
        assert (await origin.ask(get())).headers["X"] == "cba"


@pytest.mark.parametrize("mounted_first", [False, True])
async def test_sub_application_leaves_paths_that_only_begin_alike(
    serve: Any, tmp_path: Path, mounted_first: bool
) -> None:
    """S138: `/sub` hides neither `/subject` nor static files at `/sub-files`."""
    (tmp_path / "name").write_text("file")
    sub = web.Application()
    sub.add_routes([web.get("/{all:.*}", hello)])
    app = web.Application()

    def add_routes() -> None:
        app.router.add_static("/sub-files", tmp_path)
        app.router.add_get("/subject", says("route"))
        app.router.add_get("/sub{tail}", says("pattern"))

    if not mounted_first:
        add_routes()
    app.add_subapp("/sub", sub)
    if mounted_first:
        add_routes()

    async with serve(app) as origin:
        for path, text in (
            ("/sub/ject", "hello"),
            ("/subject", "route"),
            ("/sub-files/name", "file"),
            ("/subway", "pattern"),
        ):
            assert (await origin.ask(get(path))).text == text


async def test_variables_of_a_request_are_its_own(serve: Any) -> None:
    """S182: what a middleware sets, handler and signals see, and no other request does."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    async def sets(request: web.Request, handler: web.Handler) -> web.StreamResponse:
        seen.append(f"before {variable.get()}")
        variable.set(request.path)
        response = await handler(request)
        seen.append(f"after {variable.get()}")
        return response

    async def handler(request: web.Request) -> web.Response:
        seen.append(f"handler {variable.get()}")
        variable.set(f"{request.path} handled")
        return web.Response()

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        seen.append(f"signal {variable.get()}")

    app = web.Application(middlewares=[sets])
    app.add_routes([web.get("/{name}", handler)])
    app.on_response_prepare.append(prepare)

    async with serve(app) as origin:
        peer = await origin.connect()
        for path in ("/1", "/2"):
            await peer.send(get(path))
            await peer.answer()
            assert seen == [
                "before none",
                f"handler {path}",
                f"after {path} handled",
                f"signal {path} handled",
            ]
            seen.clear()


async def test_access_logger_of_the_application(serve: Any) -> None:
    """S183: `access_log_class` may be set by the application's `handler_args`."""
    seen: list[int] = []

    class Logger(web.AbstractAccessLogger):
        def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
            seen.append(response.status)

    app = web.Application(handler_args={"access_log_class": Logger})
    app.add_routes([web.get("/", hello)])

    async with serve(app) as origin:
        await origin.ask(get())
        await origin.no_connections()
    assert seen == [200]


async def test_startup_of_nested_sub_applications(serve: Any) -> None:
    """S188: each `on_startup` runs once, with its own application, whose state it may set."""
    key = web.AppKey("key", str)
    calls: list[web.Application] = []
    apps = [web.Application() for _ in range(3)]

    async def startup(app: web.Application) -> None:
        calls.append(app)
        app[key] = "set"

    for app in apps:
        app.on_startup.append(startup)
    apps[1].add_subapp("/inner", apps[2])
    apps[0].add_subapp("/middle", apps[1])

    async with serve(apps[0]):
        assert sorted(map(id, calls)) == sorted(map(id, apps))
        assert [app[key] for app in apps] == ["set"] * 3
        for app in apps:
            for signal in (app.on_startup, app.on_shutdown, app.on_cleanup):
                with pytest.raises(RuntimeError, match="frozen"):
                    signal.append(startup)


async def test_collections_are_what_they_look_like(serve: Any) -> None:
    """S190: applications, requests and responses are mappings, tables of routes sequences."""
    requests: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        requests.append(request)
        return web.Response()

    async with serve(handler) as origin:
        await origin.ask(get())

    for value in (web.Application(), web.Response(), web.StreamResponse(), *requests):
        assert isinstance(value, MutableMapping)
        assert value
    assert isinstance(web.RouteTableDef(), Sequence)
    assert isinstance(web.Application().middlewares, MutableSequence)
    assert isinstance(web.Application().on_startup, MutableSequence)
    assert len(requests) == 1


async def test_handler_without_a_response_is_told_in_the_log(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """S204: the log says what a handler returned that is no response."""
    values = [None, "some text"]

    async def handler(request: web.Request) -> Any:
        return values[int(request.match_info["path"])]

    async with serve(handler) as origin:
        for number, value in enumerate(values):
            caplog.clear()
            assert (await origin.ask(get(f"/{number}"))).status == 500
            (record,) = [item for item in caplog.records if item.levelno >= logging.ERROR]
            assert record.exc_info is not None
            assert f"returned {value!r}" in str(record.exc_info[1])


@pytest.mark.parametrize(
    "owner", [web.Application, web.BaseRequest, web.Request, web.StreamResponse, web.AppRunner]
)
def test_loop_is_nobodys_attribute(owner: type) -> None:
    """S211: there is no `loop` anywhere."""
    assert not hasattr(owner, "loop")


def test_debug_is_no_argument_of_an_application() -> None:
    """S212: an application has no debug mode of its own."""
    with pytest.raises(TypeError, match="debug"):
        web.Application(debug=True)  # type: ignore[call-arg]
    assert not hasattr(web.Application(), "debug")
