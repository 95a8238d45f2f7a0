from __future__ import annotations

from typing import Any

import pytest

import httpserver as web

GET = b"GET /7 HTTP/1.1\r\nHost: a\r\n\r\n"


async def handler(request: web.Request) -> web.Response:
    return web.Response()


def match_info(path: str = "/7") -> web.UrlMappingMatchInfo:
    router = web.UrlDispatcher()
    router.add_get("/{id}", handler, name="thing")
    route, values = router.find("GET", path)
    return web.UrlMappingMatchInfo(values, route)


def test_match_info_describes_what_was_found() -> None:
    info = match_info()

    assert info == {"id": "7"}
    assert info.handler is handler
    assert info.http_exception is None
    assert info.get_info() == info.route.get_info()
    assert info.expect_handler is info.route.expect_handler
    assert repr(info) == ("<MatchInfo {'id': '7'}: <ResourceRoute GET <DynamicResource /{id}>>>")


def test_match_info_of_nothing_has_the_exception() -> None:
    info = match_info("/a/b")

    assert info == {}
    assert isinstance(info.http_exception, web.HTTPNotFound)
    assert info.get_info() == {"http_exception": info.http_exception}


def test_match_info_takes_applications_from_the_inside_out() -> None:
    info, outer, inner = match_info(), web.Application(), web.Application()
    with pytest.raises(RuntimeError, match="no application has this request"):
        info.current_app  # noqa: B018
    info.add_app(inner)
    info.add_app(outer)
    info.add_app(inner)
    info.current_app = inner
    info.freeze()

    assert info.apps == (outer, inner)
    assert info.current_app is inner
    assert info.frozen
    with pytest.raises(RuntimeError, match="match info is frozen"):
        info.add_app(web.Application())
    with pytest.raises(RuntimeError, match="not one of the request's applications"):
        info.current_app = web.Application()


async def test_request_of_a_single_application(serve: Any) -> None:
    app = web.Application()
    key = web.AppKey("key", int)
    app[key] = 1

    async def handler(request: web.Request) -> web.Response:
        info = request.match_info
        assert request.app is app
        assert info is request.match_info
        assert (info.apps, info.current_app) == ((app,), app)
        assert request.config_dict[key] == 1
        clone = request.clone()
        assert (clone.app, clone.match_info) == (app, info)
        return web.json_response(info)

    app.add_routes([web.get("/{id}", handler)])

    async with serve(app) as origin:
        assert (await origin.ask(GET)).text == '{"id": "7"}'
