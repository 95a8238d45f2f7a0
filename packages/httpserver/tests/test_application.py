from __future__ import annotations

import collections.abc
import logging
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


def test_settings_are_kept() -> None:
    logger = logging.getLogger("tests.app")
    app = web.Application(
        logger=logger, handler_args={"a": 1}, client_max_size=7, client_max_fields=8
    )

    assert (app.logger, app.handler_args) == (logger, {"a": 1})
    assert (app.client_max_size, app.client_max_fields) == (7, 8)
    assert app() is app
    assert isinstance(app, collections.abc.MutableMapping)
    plain = web.Application()
    assert (plain.client_max_size, plain.client_max_fields) == (1024**2, 1000)
    assert (plain.logger.name, plain.handler_args) == ("httpserver.web", None)


def test_application_is_not_made_to_be_derived_from() -> None:
    with pytest.warns(DeprecationWarning, match="Mine is derived from Application") as caught:

        class Mine(web.Application):
            pass

    assert caught[0].filename == __file__
    with pytest.raises(AttributeError):
        web.Application().custom = 1  # type: ignore[attr-defined]


async def test_middlewares_are_any_iterable_and_open_until_the_start(serve: Any) -> None:
    """Their second parameter may have any name."""

    def adding(name: str) -> Any:
        async def add(_: web.Request, call_next: Any) -> web.StreamResponse:
            response: web.StreamResponse = await call_next(_)
            response.headers.add("X", name)
            return response

        return add

    app = web.Application(middlewares=(adding(name) for name in "ab"))
    app.middlewares.append(adding("c"))
    app.add_routes([web.get("/", name_handler)])

    async with serve(app) as origin:
        assert (await origin.ask(GET)).headers.getall("X") == ["c", "b", "a"]


async def test_middleware_may_answer_raise_or_replace(serve: Any) -> None:
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        match request.path:
            case "/answer":
                return web.Response(text="early")
            case "/raise":
                raise web.HTTPForbidden
            case "/replace":
                return await name_handler(request.clone(rel_url="/other"))
        response: web.StreamResponse = await handler(request)
        return response

    app = web.Application(middlewares=[middleware])
    app.add_routes([web.get("/{name}", name_handler)])

    async with serve(app) as origin:
        for path, status, text in (
            ("/answer", 200, "early"),
            ("/raise", 403, "403: Forbidden"),
            ("/replace", 200, "replace"),
            ("/x", 200, "x"),
        ):
            answer = await origin.ask(request("GET", path))
            assert (answer.status, answer.text) == (status, text)


# on_response_prepare.


async def test_prepare_signal_sees_the_whole_head_and_may_change_it(serve: Any) -> None:
    seen: list[tuple[str, int, bool]] = []

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        assert request.match_info.apps == (app,)
        seen.append((request.path, response.status, "Content-Length" in response.headers))
        response.headers["X"] = "prepared"

    async def error(request: web.Request) -> web.Response:
        raise web.HTTPForbidden

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        return response

    app = web.Application()
    assert not app.has_prepare_signals
    app.on_response_prepare.append(prepare)
    app.add_routes(
        [web.get("/whole", name_handler), web.get("/error", error), web.get("/stream", stream)]
    )
    assert app.has_prepare_signals

    async with serve(app) as origin:
        for path in ("/whole", "/error", "/stream", "/none"):
            assert (await origin.ask(request("GET", path))).headers["X"] == "prepared"
        assert (await origin.ask(request("PUT", "/whole"))).headers["X"] == "prepared"
        assert "X" not in (await origin.ask(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")).headers

    assert seen == [
        ("/whole", 200, True),
        ("/error", 403, True),
        ("/stream", 200, False),
        ("/none", 404, True),
        ("/whole", 405, True),
    ]


def test_prepare_signal_of_a_sub_application_counts() -> None:
    app, sub = web.Application(), web.Application()
    sub.on_response_prepare.append(print)  # type: ignore[arg-type]
    app.add_subapp("/sub", sub)

    assert app.has_prepare_signals


# Expect.


def expecting(path: str, expectation: str = "100-continue", version: str = "1.1") -> bytes:
    return (
        f"POST {path} HTTP/{version}\r\nHost: a\r\nExpect: {expectation}\r\n"
        "Content-Length: 2\r\n\r\n"
    ).encode()


async def body_handler(request: web.Request) -> web.Response:
    return web.Response(text=f"got {await request.text()}")


@pytest.mark.parametrize("expectation", ["100-continue", "100-Continue"])
async def test_expectation_is_answered_before_the_handler(serve: Any, expectation: str) -> None:
    app = web.Application()
    app.add_routes([web.post("/", body_handler)])

    async with serve(app) as origin:
        peer = await origin.connect()
        await peer.send(expecting("/", expectation))
        assert await peer.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await peer.send(b"ok")
        assert (await peer.answer()).text == "got ok"


@pytest.mark.parametrize("path", ["/none", "/get"])
async def test_expectation_without_route_is_not_encouraged(serve: Any, path: str) -> None:
    app = web.Application()
    app.add_routes([web.get("/get", body_handler)])

    async with serve(app) as origin:
        answer = await origin.ask(expecting(path))
    assert answer.status == (404 if path == "/none" else 405)


async def test_unknown_expectation_fails_before_the_middlewares(serve: Any) -> None:
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        raise AssertionError("not to be called")

    app = web.Application(middlewares=[middleware])
    app.add_routes([web.post("/", body_handler)])

    async with serve(app) as origin:
        answer = await origin.ask(expecting("/", "coffee"))
        assert (answer.status, answer.text) == (417, "Unknown Expect: coffee")
        twice = expecting("/", "100-continue\r\nExpect: tea")
        assert (await origin.ask(twice)).text == "Unknown Expect: tea"


async def test_expectation_of_http_1_0_is_ignored(serve: Any) -> None:
    app = web.Application()
    app.add_routes([web.post("/", body_handler)])

    async with serve(app) as origin:
        answer = await origin.ask(expecting("/", "coffee", "1.0") + b"ok")
    assert (answer.status, answer.text) == (200, "got ok")


@pytest.mark.parametrize("path", ["/plain", "/sub/plain", "/resolved"])
async def test_expect_handler_of_a_route(serve: Any, path: str) -> None:
    """It goes on, or answers, or raises."""

    async def expect(request: web.Request) -> web.StreamResponse | None:
        assert request.match_info.expect_handler is expect
        match request.headers["Expect"]:
            case "answer":
                return web.Response(text="no need")
            case "raise":
                raise web.HTTPForbidden
        await request.exchange.send_continue()
        return None

    app, sub = web.Application(), web.Application()
    for router, where in (
        (app.router, "/plain"),
        (sub.router, "/plain"),
        (app.router, "/resolved"),
    ):
        router.add_post(where, body_handler, expect_handler=expect)
    app.add_subapp("/sub", sub)
    if path == "/resolved":
        app.add_domain("other", web.Application())

    async with serve(app) as origin:
        assert (await origin.ask(expecting(path, "answer"))).text == "no need"
        assert (await origin.ask(expecting(path, "raise"))).status == 403
        peer = await origin.connect()
        await peer.send(expecting(path))
        assert await peer.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await peer.send(b"ok")
        assert (await peer.answer()).text == "got ok"


# Routers and resources of one's own.


class OwnMatch:
    """A match info that has nothing of ours."""

    def __init__(self, handler: Any, error: web.HTTPException | None = None) -> None:
        self.handler = handler
        self.http_exception = error
        self.expect_handler = self.expect
        self.apps: tuple[web.Application, ...] = ()
        self.frozen = False

    async def expect(self, request: web.Request) -> web.StreamResponse | None:
        return web.Response(text="expected")

    def add_app(self, app: web.Application) -> None:
        self.apps = (app, *self.apps)

    def freeze(self) -> None:
        self.frozen = True

    def get_info(self) -> dict[str, Any]:
        return {}


class OwnRouter:
    """A router that goes by a header field."""

    def __init__(self) -> None:
        self.frozen = False
        self.app: web.Application | None = None

    def post_init(self, app: web.Application) -> None:
        self.app = app

    def freeze(self) -> None:
        self.frozen = True

    async def resolve(self, request: web.Request) -> OwnMatch:
        match request.headers.get("X-Route"):
            case "handler":
                return OwnMatch(self.handler)
            case "broken":
                raise LookupError("broken")
        error = web.HTTPGone()

        async def gone(request: web.Request) -> web.Response:
            raise error

        return OwnMatch(gone, error)

    async def handler(self, request: web.Request) -> web.Response:
        info: Any = request.match_info
        assert isinstance(info, OwnMatch)
        assert info.frozen
        assert info.apps == (request.app,) == (self.app,)
        assert request.config_dict == {}
        return web.Response(text="own")


async def test_router_of_ones_own(serve: Any) -> None:
    wrapped: list[Any] = []

    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        wrapped.append(handler)
        response: web.StreamResponse = await handler(request)
        response.headers["X"] = "1"
        return response

    prepared: list[int] = []

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        prepared.append(response.status)

    router = OwnRouter()
    app = web.Application(router=router, middlewares=[middleware])
    app.on_response_prepare.append(prepare)
    assert app.router is router  # type: ignore[comparison-overlap]

    def ask(route: str, more: str = "") -> bytes:
        return f"GET /any HTTP/1.1\r\nHost: a\r\nX-Route: {route}\r\n{more}\r\n".encode()

    async with serve(app) as origin:
        assert router.frozen
        answers = [await origin.ask(ask(route)) for route in ("handler", "handler", "x", "broken")]
        assert [answer.status for answer in answers] == [200, 200, 410, 500]
        assert answers[0].headers["X"] == "1"
        expects = ask("handler", "Expect: 100-continue\r\nContent-Length: 1\r\n")
        assert (await origin.ask(expects)).text == "expected"
        expects = ask("x", "Expect: 100-continue\r\nContent-Length: 1\r\n")
        assert (await origin.ask(expects)).status == 410

    assert prepared == [200, 200, 410, 500, 200, 410]
    assert len(wrapped) == 4


async def test_chains_of_a_router_of_ones_own_are_built_once(serve: Any) -> None:
    built: list[Any] = []

    class App:
        pass

    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        built.append(handler)
        response: web.StreamResponse = await handler(request)
        return response

    async def between(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        return response

    app = web.Application(router=OwnRouter(), middlewares=[middleware, between])

    async with serve(app) as origin:
        for _ in range(2):
            head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Route: handler\r\n\r\n"
            assert (await origin.ask(head)).text == "own"
    assert built[0] is built[1]


def test_router_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="members of AbstractRouter"):
        web.Application(router=object())  # type: ignore[arg-type]


class ByLanguage(web.AbstractResource):
    """A resource that looks at more than the path."""

    def __init__(self) -> None:
        super().__init__(name="language")
        self.route = web.ResourceRoute("GET", name_handler, self)

    @property
    def canonical(self) -> str:
        return "/hello"

    def url_for(self, **kwargs: Any) -> Any:
        raise NotImplementedError

    def add_prefix(self, prefix: str) -> None:
        raise NotImplementedError

    def get_info(self) -> dict[str, Any]:
        return {}

    def raw_match(self, path: str) -> bool:
        return False

    async def resolve(
        self, request: web.Request
    ) -> tuple[web.UrlMappingMatchInfo | None, set[str]]:
        language = request.headers.get("Accept-Language")
        if language is None:
            return None, set()
        if request.method != "GET":
            return None, {"GET"}
        # With a route that was made for the request, or with the one that was there.
        route = self.route if language == "de" else web.ResourceRoute("GET", name_handler, self)
        return web.UrlMappingMatchInfo({"name": language}, route), set()

    def __iter__(self) -> Any:
        return iter([self.route])

    def __len__(self) -> int:
        return 1


async def test_resource_of_ones_own(serve: Any) -> None:
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        assert request.app is request.match_info.current_app is app
        response: web.StreamResponse = await handler(request)
        response.headers["X"] = "1"
        return response

    app = web.Application(middlewares=[middleware])
    app.router.register_resource(ByLanguage())
    app.add_routes([web.get("/{name:hel+o}", name_handler), web.put("/hello", name_handler)])

    async with serve(app) as origin:
        for method, field, status, text in (
            ("GET", "Accept-Language: de", 200, "de"),
            ("GET", "Accept-Language: fr", 200, "fr"),
            ("GET", "Accept: */*", 200, "hello"),
            ("PUT", "Accept-Language: de", 200, "Anonymous"),
        ):
            head = f"{method} /hello HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n".encode()
            answer = await origin.ask(head)
            assert (answer.status, answer.text, answer.headers["X"]) == (status, text, "1")
        head = b"POST /hello HTTP/1.1\r\nHost: a\r\nAccept-Language: de\r\n\r\n"
        assert (await origin.ask(head)).headers["Allow"] == "GET,HEAD,PUT"
        assert (await origin.ask(request("GET", "/x" * 2000))).status == 404


async def test_resource_of_ones_own_in_a_sub_application(serve: Any) -> None:
    def watching(name: str) -> Any:
        async def watch(request: web.Request, handler: Any) -> web.StreamResponse:
            assert request.app is apps[name]
            assert request.match_info.apps == (apps["app"], apps["sub"])
            response: web.StreamResponse = await handler(request)
            response.headers.add("X", name)
            return response

        return watch

    apps = {name: web.Application(middlewares=[watching(name)]) for name in ("app", "sub")}
    apps["sub"].router.register_resource(ByLanguage())
    apps["app"].add_domain("a", apps["sub"])

    async with serve(apps["app"]) as origin:
        for language in ("de", "fr"):
            head = f"GET /hello HTTP/1.1\r\nHost: a\r\nAccept-Language: {language}\r\n\r\n"
            answer = await origin.ask(head.encode())
            assert (answer.text, answer.headers.getall("X")) == (language, ["sub", "app"])


def test_resource_of_ones_own_is_found_by_its_literal_path() -> None:
    class Other(ByLanguage):
        path: str

        @property
        def canonical(self) -> str:
            return self.path

    resource = Other()
    for path, key in (("/a/b", "/a/b"), ("/a/b{x}/c", "/a"), ("/{x}", "/"), ("", "/")):
        resource.path = path
        assert resource.index_key == key
