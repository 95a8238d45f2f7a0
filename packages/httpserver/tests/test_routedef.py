from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import pytest

import httpserver as web


async def handler(request: web.Request) -> web.Response:
    return web.Response()


async def expect(request: web.Request) -> None: ...


METHODS: list[tuple[str, list[str]]] = [
    ("get", ["HEAD", "GET"]),
    ("post", ["POST"]),
    ("put", ["PUT"]),
    ("patch", ["PATCH"]),
    ("delete", ["DELETE"]),
    ("head", ["HEAD"]),
    ("options", ["OPTIONS"]),
    ("view", ["*"]),
]


@pytest.fixture
def router() -> web.UrlDispatcher:
    return web.UrlDispatcher()


@pytest.mark.parametrize(("name", "methods"), METHODS)
def test_function_decorator_and_router_do_the_same(name: str, methods: list[str]) -> None:
    options: dict[str, Any] = {
        "name": "n",
        "expect_handler": expect,
        "handler_cancellation": True,
    }
    routes = web.RouteTableDef()
    decorated = getattr(routes, name)("/x", **options)(handler)
    definition = getattr(web, name)("/x", handler, **options)
    assert decorated is handler

    for register in (
        lambda router: router.add_routes([definition]),
        lambda router: router.add_routes(routes),
        lambda router: [getattr(router, f"add_{name}")("/x", handler, **options)],
    ):
        router = web.UrlDispatcher()
        registered = register(router)

        assert [route.method for route in router.routes()] == methods
        assert [route.method for route in registered] == methods[-1:]
        for route in router.routes():
            assert (route.handler, route.expect_handler) == (handler, expect)
            assert route.handler_cancellation is True
            assert route.name == "n"
        assert router["n"].canonical == "/x"


def test_any_method(router: web.UrlDispatcher) -> None:
    routes = web.RouteTableDef()
    routes.route("*", "/x")(handler)

    assert list(routes) == [web.route("*", "/x", handler)] == [web.RouteDef("*", "/x", handler, {})]
    assert [route.method for route in router.add_routes(routes)] == ["*"]


def test_get_without_head(router: web.UrlDispatcher) -> None:
    routes = web.RouteTableDef()
    routes.get("/x", allow_head=False)(handler)
    router.add_routes([*routes, web.get("/y", handler, allow_head=False)])

    assert [route.method for route in router.routes()] == ["GET", "GET"]


def test_definitions_are_data() -> None:
    definition = web.get("/x", handler, name="n")

    assert (definition.method, definition.path, definition.handler) == ("GET", "/x", handler)
    assert definition.kwargs == {"name": "n", "allow_head": True}
    with pytest.raises(AttributeError):
        definition.path = "/y"  # type: ignore[misc]


def test_table_is_a_sequence_that_only_decorators_change() -> None:
    routes = web.RouteTableDef()
    routes.get("/a")(handler)
    routes.static("/s", "dir", name="static")

    assert isinstance(routes, Sequence)
    assert isinstance(routes, web.RouteTableDef)
    assert len(routes) == 2
    assert routes[0] in routes
    assert routes[1:] == [web.static("/s", "dir", name="static")]
    assert routes[1] == web.StaticDef("/s", "dir", {"name": "static"})
    assert repr(routes) == "<RouteTableDef count=2>"
    assert not hasattr(routes, "append")


def test_static_directory_is_registered(router: web.UrlDispatcher, tmp_path: pathlib.Path) -> None:
    routes = router.add_routes([web.static("/s/", tmp_path, name="files")])

    assert sorted(route.method for route in routes) == ["GET", "HEAD"]
    assert {route.resource for route in routes} == {router["files"]}
    assert router.resources() == [router["files"]]
