from __future__ import annotations

from typing import Any

import pytest

import httpserver as web


async def handler(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.method} {request.path}")


def request(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def application(*paths: str, **options: Any) -> web.Application:
    app = web.Application(middlewares=[web.normalize_path_middleware(**options)])
    for path in paths:
        app.router.add_route("GET", path, handler)
        app.router.add_route("POST", path, handler)
    return app


APPEND: dict[str, Any] = {}
REMOVE = {"append_slash": False, "remove_slash": True}
MERGE = {"append_slash": False}
NOTHING = {"append_slash": False, "merge_slashes": False}

# The routes are /plain, /slash/, /deep/er and /{name}/sub/.
CASES: list[tuple[dict[str, Any], str, str | None]] = [
    (APPEND, "/slash", "/slash/"),
    (APPEND, "/slash?a=%20b&c=//", "/slash/?a=%20b&c=//"),
    (APPEND, "/slash?", "/slash/"),
    (APPEND, "/plain/", None),
    (APPEND, "/none", None),
    (APPEND, "//slash", "/slash/"),
    (APPEND, "/deep//er", "/deep/er"),
    (APPEND, "//deep///er", "/deep/er"),
    (APPEND, "/%41%2F/sub", "/%41%2F/sub/"),
    (APPEND | {"merge_slashes": False}, "/deep//er", None),
    (APPEND | {"merge_slashes": False}, "//slash", "/slash/"),
    (REMOVE, "/plain/", "/plain"),
    (REMOVE, "/plain//", "/plain"),
    (REMOVE, "//plain//?q", "/plain?q"),
    (REMOVE, "/slash", None),
    (REMOVE, "/plains", None),
    (REMOVE, "/", None),
    (REMOVE | {"merge_slashes": False}, "/plain//", None),
    (MERGE, "//deep//er", "/deep/er"),
    (MERGE, "/slash", None),
    (NOTHING, "//deep/er", None),
    (NOTHING, "/slash", None),
    # Where browsers would go to another host.
    (APPEND, "//evil.example", None),
    (APPEND | {"extra": "/{any:.*}/"}, "//evil.example", "/evil.example/"),
    (APPEND | {"extra": "/{any:.*}/"}, "///evil.example/..", "/evil.example/../"),
    (APPEND | {"extra": "/{any:.*}/"}, "/\\evil.example", "/evil.example/"),
    (APPEND | {"extra": "/{any:.*}/"}, "/\\/\\evil.example", "/evil.example/"),
    (APPEND | {"extra": "/{any:.*}/", "merge_slashes": False}, "//evil.example", "/evil.example/"),
    (REMOVE | {"extra": "/{any:.*x}"}, "//evil.example/x/", "/evil.example/x"),
]


@pytest.mark.parametrize(("options", "path", "location"), CASES)
async def test_normalize_path_redirects(
    serve: Any, options: dict[str, Any], path: str, location: str | None
) -> None:
    options = dict(options)
    extra = options.pop("extra", None)
    paths = ["/plain", "/slash/", "/deep/er", "/{name}/sub/", *([extra] if extra else [])]

    async with serve(application(*paths, **options)) as origin:
        answer = await origin.ask(request(path))

    if location is None:
        assert (answer.status, answer.headers.get("Location")) == (404, None)
    else:
        assert answer.status == 308
        assert answer.headers["Location"] == location


async def test_normalize_path_leaves_what_has_a_route(serve: Any) -> None:
    app = application("/a//b", "/a/b", "/x", "/x/")

    async with serve(app) as origin:
        for path in ("/a//b", "/x", "/x/"):
            assert (await origin.ask(request(path))).text == f"GET {path}"


async def test_normalize_path_of_the_empty_path_is_no_redirect(serve: Any) -> None:
    """A route for the empty path made a redirect without Location, and that a 500."""
    async with serve(application("", **REMOVE)) as origin:
        assert (await origin.ask(request("/"))).status == 404


async def test_normalize_path_looks_for_the_method_too(serve: Any) -> None:
    app = web.Application(middlewares=[web.normalize_path_middleware()])
    app.add_routes([web.get("/x", handler), web.post("/x/", handler)])

    async with serve(app) as origin:
        answer = await origin.ask(request("/x", "POST"))
        assert (answer.status, answer.headers["Location"]) == (308, "/x/")
        assert (await origin.ask(request("/x", "PUT"))).status == 405


async def test_normalize_path_redirects_with_another_class(serve: Any) -> None:
    app = application("/x/", redirect_class=web.HTTPMovedPermanently)

    async with serve(app) as origin:
        assert (await origin.ask(request("/x"))).status == 301


async def test_normalize_path_after_the_body_was_read(serve: Any) -> None:
    """A request whose body was read cannot be cloned, which was a 500."""

    async def reads(request: web.Request, handler: Any) -> web.StreamResponse:
        await request.read()
        response: web.StreamResponse = await handler(request)
        return response

    app = web.Application(middlewares=[reads, web.normalize_path_middleware()])
    app.add_routes([web.get("/x/", handler)])

    async with serve(app) as origin:
        assert (await origin.ask(request("/x"))).status == 308


async def test_normalize_path_in_a_sub_application_and_behind_a_domain(serve: Any) -> None:
    app, sub = web.Application(), application("/x/")
    app.add_subapp("/sub", sub)
    domain = application("/y/")
    app.add_domain("b", domain)

    async with serve(app) as origin:
        assert (await origin.ask(request("/sub/x"))).headers["Location"] == "/sub/x/"
        assert (await origin.ask(request("/x"))).status == 404
        for path, status in (("/y", 308), ("/sub/x", 404)):
            head = f"GET {path} HTTP/1.1\r\nHost: b\r\n\r\n".encode()
            assert (await origin.ask(head)).status == status


async def test_normalize_path_asks_a_router_that_looks_at_more(serve: Any) -> None:
    app = application("/x/")
    app.add_domain("b", application("/y/"))

    async with serve(app) as origin:
        assert (await origin.ask(request("/x"))).headers["Location"] == "/x/"
        assert (await origin.ask(request("/z"))).status == 404


def test_normalize_path_cannot_do_both() -> None:
    with pytest.raises(AssertionError, match="both remove and append"):
        web.normalize_path_middleware(append_slash=True, remove_slash=True)


async def test_normalize_path_takes_time_in_proportion(serve: Any) -> None:
    """The path is cut where it is longer than any route, not stripped segment by segment."""
    app = application("/x/", "/{a}/{b}/c")

    async with serve(app) as origin:
        for path in ("/" * 8000, "/a" * 4000, "/x" + "//y" * 2600):
            assert (await origin.ask(request(path))).status == 404


def test_middleware_leaves_the_function_as_it_is() -> None:
    async def function(request: web.Request, handler: Any) -> web.StreamResponse:
        raise NotImplementedError

    assert web.middleware(function) is function
