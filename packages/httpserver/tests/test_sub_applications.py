from __future__ import annotations

from typing import Any

import pytest

import httpserver as web

KEY = web.AppKey("key", str)


def request(path: str, method: str = "GET", host: str = "a") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def named(name: str, *paths: str, **options: Any) -> web.Application:
    """Make an application that answers with its name, the path, and its parameters."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{name} {request.path} {dict(request.match_info)}")

    app = web.Application(**options)
    app[KEY] = name
    for path in paths:
        app.router.add_get(path, handler)
    return app


def add_prefixed(app: web.Application, sub: web.Application) -> None:
    app.add_subapp("/sub/", sub)


def add_for_host(app: web.Application, sub: web.Application) -> None:
    app.add_domain("a", sub)


async def test_sub_application_owns_what_is_below_its_prefix(serve: Any) -> None:
    app = named("app", "/sub/own", "/{all:.*}")
    app.add_subapp("/sub/", named("sub", "", "/", "/x", "/{name}/y"))

    async with serve(app) as origin:
        for path, text in (
            ("/sub", "sub /sub {}"),
            ("/sub/", "sub /sub/ {}"),
            ("/sub/x", "sub /sub/x {}"),
            ("/sub/n/y", "sub /sub/n/y {'name': 'n'}"),
            ("/s%75b/x", "sub /sub/x {}"),
            ("/sub/own", "app /sub/own {}"),
            ("/subx", "app /subx {'all': 'subx'}"),
            ("/", "app / {'all': ''}"),
        ):
            assert (await origin.ask(request(path))).text == text
        assert (await origin.ask(request("/sub/none"))).status == 404
        answer = await origin.ask(request("/sub/x", "PUT"))
        assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_overlapping_prefixes_do_not_shadow_each_other(
    serve: Any, order: tuple[int, ...]
) -> None:
    prefixes = ["/s", "/ss", "/s/s"]
    app = named("app", "/ssss", "/s-not")
    for index in order:
        app.add_subapp(prefixes[index], named(prefixes[index], "/x"))

    async with serve(app) as origin:
        for prefix in prefixes:
            answer = await origin.ask(request(f"{prefix}/x"))
            assert answer.text == f"{prefix} {prefix}/x {{}}"
        for path in ("/ssss", "/s-not"):
            assert (await origin.ask(request(path))).text == f"app {path} {{}}"
        assert (await origin.ask(request("/s/none"))).status == 404


async def test_nested_sub_applications_and_their_urls(serve: Any) -> None:
    app, middle, inner = named("app"), named("middle", "/m"), named("inner", "/i/{x}")
    inner.router.add_resource("/named/{y}", name="named")
    middle.add_subapp("/é+ {b}", inner)
    app.add_subapp("/middle", middle)

    assert str(inner.router["named"].url_for(y="1/2")) == "/middle/%C3%A9+%20%7Bb%7D/named/1%2F2"
    assert inner.router["named"].canonical == "/middle/%C3%A9+%20%7Bb%7D/named/{y}"
    async with serve(app) as origin:
        answer = await origin.ask(request("/middle/%c3%a9+%20{b}/i/7"))
        assert answer.text == "inner /middle/é+ {b}/i/7 {'x': '7'}"
        assert (await origin.ask(request("/middle/m"))).text == "middle /middle/m {}"


@pytest.mark.parametrize("mount", [add_prefixed, add_for_host])
@pytest.mark.parametrize(
    ("path", "status"), [("/sub/x", 200), ("/sub/none", 404), ("/sub/put", 405)]
)
async def test_middlewares_signals_and_app_of_a_sub_application(
    serve: Any, mount: Any, path: str, status: int
) -> None:
    seen: list[Any] = []

    def watching(name: str) -> Any:
        async def watch(request: web.Request, handler: Any) -> web.StreamResponse:
            def note(event: str) -> None:
                info = request.match_info
                assert request.app is info.current_app
                assert [app[KEY] for app in info.apps] == ["app", "sub"]
                shared = request.config_dict
                assert shared[ONLY_APP] == "app"
                assert (SUB_ONLY in shared) == (request.app[KEY] == "sub")
                seen.append((name, event, request.app[KEY], shared[KEY]))

            note("in")
            try:
                response: web.StreamResponse = await handler(request)
            finally:
                note("out")
            return response

        return watch

    def preparing(name: str) -> Any:
        async def prepare(request: web.Request, response: web.StreamResponse) -> None:
            seen.append((name, "prepare", response.status))

        return prepare

    ONLY_APP, SUB_ONLY = web.AppKey("only_app", str), web.AppKey("sub_only", str)
    prefix = "/sub" if mount is add_for_host else ""
    sub = named("sub", f"{prefix}/x", middlewares=[watching("s1"), watching("s2")])
    sub.router.add_put(f"{prefix}/put", next(iter(sub.router.routes())).handler)
    app = named("app", middlewares=[watching("a")])
    app[ONLY_APP], sub[SUB_ONLY] = "app", "sub"
    sub.on_response_prepare.append(preparing("sub"))
    mount(app, sub)
    app.on_response_prepare.append(preparing("app"))

    async with serve(app) as origin:
        assert (await origin.ask(request(path))).status == status

    assert seen == [
        ("a", "in", "app", "app"),
        ("s1", "in", "sub", "sub"),
        ("s2", "in", "sub", "sub"),
        ("s2", "out", "sub", "sub"),
        ("s1", "out", "sub", "sub"),
        ("a", "out", "app", "app"),
        ("app", "prepare", status),
        ("sub", "prepare", status),
    ]


async def test_attributes_of_a_handler_are_seen_through_all_middlewares(serve: Any) -> None:
    seen: list[str] = []

    async def watch(request: web.Request, handler: Any) -> web.StreamResponse:
        seen.append(handler.mark)
        response: web.StreamResponse = await handler(request)
        return response

    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    handler.mark = "mine"  # type: ignore[attr-defined]
    sub = web.Application(middlewares=[watch, watch])
    sub.router.add_get("/", handler)
    app = web.Application(middlewares=[watch, watch])
    app.add_subapp("/sub", sub)

    async with serve(app) as origin:
        assert (await origin.ask(request("/sub/"))).status == 200
    assert seen == ["mine"] * 4


def test_routers_tell_their_sub_applications() -> None:
    app, sub = named("app", "/y"), named("sub", "/x")
    resource = app.add_subapp("/sub", sub)
    matched = app.add_domain("b.example", other := named("other"))

    assert isinstance(resource, web.PrefixedSubAppResource)
    assert app.router.resources()[1:] == [resource, matched]
    assert list(resource) == sub.router.routes()
    assert len(resource) == 2
    assert len(app.router.routes()) == 4
    assert resource.canonical == "/sub"
    assert resource.get_info() == {"app": sub, "prefix": "/sub"}
    assert resource.app is sub
    assert repr(resource) == f"<PrefixedSubAppResource /sub -> {sub!r}>"
    assert not resource.raw_match("/sub")
    with pytest.raises(RuntimeError, match="not supported"):
        resource.url_for()
    assert matched.canonical == "b.example"
    assert matched.get_info()["app"] is other
    assert matched.get_info()["rule"].get_info() == {"domain": "b.example"}
    assert repr(matched) == f"<MatchedSubAppResource b.example -> {other!r}>"
    assert repr(matched.get_info()["rule"]) == "<Domain b.example>"


@pytest.mark.parametrize(
    ("prefix", "error"),
    [("", ValueError), ("//", ValueError), ("x", ValueError), (None, TypeError)],
)
def test_bad_prefix_is_refused(prefix: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="prefix should"):
        web.Application().add_subapp(prefix, web.Application())


class OwnRouter:
    frozen = True

    def post_init(self, app: web.Application) -> None: ...
    def freeze(self) -> None: ...
    async def resolve(self, request: web.Request) -> Any: ...


def frozen() -> web.Application:
    app = web.Application()
    app.freeze()
    return app


def mounted() -> web.Application:
    app = web.Application()
    web.Application().add_subapp("/x", app)
    return app


@pytest.mark.parametrize("add", [web.Application.add_subapp, web.Application.add_domain])
def test_application_that_cannot_be_mounted_is_refused(add: Any) -> None:
    app = web.Application()
    where = "/sub" if add is web.Application.add_subapp else "host"

    for outer, inner, error, text in (
        (app, frozen(), RuntimeError, "frozen application"),
        (app, mounted(), RuntimeError, "mounted"),
        (app, app, RuntimeError, "itself"),
        (frozen(), web.Application(), RuntimeError, "to a frozen application"),
        (mounted(), web.Application(), RuntimeError, "to a frozen application"),
        (app, "app", TypeError, "expected an Application"),
        (app, web.Application(router=OwnRouter()), TypeError, "need a UrlDispatcher"),
        (web.Application(router=OwnRouter()), app, TypeError, "need a UrlDispatcher"),
    ):
        with pytest.raises(error, match=text):
            add(outer, where, inner)
    assert app.router.resources() == []


async def test_sub_application_is_closed_when_it_is_mounted(serve: Any) -> None:
    app, sub = web.Application(), web.Application()
    app.add_subapp("/sub", sub)

    with pytest.raises(RuntimeError, match="router is frozen"):
        sub.router.add_resource("/x")
    with pytest.raises(RuntimeError, match="cannot modify a frozen"):
        sub.on_startup.append(print)  # type: ignore[arg-type]
    assert not app.pre_frozen
    sub.freeze()
    app.router.add_resource("/x")
    async with serve(app) as origin:
        assert (await origin.ask(request("/sub/x"))).status == 404


# Domains.

DOMAINS: list[tuple[str, str, bool]] = [
    ("example.com", "example.com", True),
    ("example.com", "EXAMPLE.com", True),
    ("Example.COM", "example.com", True),
    ("example.com", "example.com:8080", True),
    ("example.com", "www.example.com", False),
    ("example.com", "example.com.evil", False),
    ("example.com:8080", "example.com:8080", True),
    ("example.com:8080", "example.com", False),
    ("example.com:8080", "example.com:80", False),
    ("example.com:80", "example.com", True),
    ("example.com:80", "example.com:80", True),
    ("example.com:80", "example.com:8080", False),
    ("*.example.com", "www.example.com", True),
    ("*.example.com", "a.b.example.com", True),
    ("*.example.com", "example.com", False),
    ("*.example.com:8080", "www.example.com:8080", True),
    ("*.example.com:8080", "www.example.com", False),
    ("www.*.*.com", "www.a.b.com", True),
    ("www.*.*.com", "www.a.com", False),
    ("a*a", "aa", True),
    ("a*a", "a", False),
    ("*", "anything", True),
    ("exämple.com", "xn--exmple-cua.com", True),
    ("1.2.3.4", "1.2.3.4:5", True),
    ("kelvin.com", "kelvin.com", True),
]


@pytest.mark.parametrize(("domain", "host", "matches"), DOMAINS)
async def test_domain(serve: Any, domain: str, host: str, matches: bool) -> None:
    app = named("app", "/x")
    app.add_domain(domain, named("sub", "/x"))

    async with serve(app) as origin:
        text = (await origin.ask(request("/x", host=host))).text
    assert text == f"{'sub' if matches else 'app'} /x {{}}"


async def test_domain_comes_before_all_paths_and_has_the_last_word(serve: Any) -> None:
    app = named("app", "/x", "/y")
    app.add_subapp("/sub", named("sub", "/x"))
    app.add_domain("*.b", named("first", "/x"))
    app.add_domain("c.b", named("never", "/x", "/y"))

    async with serve(app) as origin:
        for host, path, text in (
            ("a", "/x", "app /x {}"),
            ("a", "/sub/x", "sub /sub/x {}"),
            ("c.b", "/x", "first /x {}"),
        ):
            assert (await origin.ask(request(path, host=host))).text == text
        for path in ("/y", "/sub/x"):
            assert (await origin.ask(request(path, host="c.b"))).status == 404
        answer = await origin.ask(request("/x", "PUT", host="c.b"))
        assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


async def test_domain_inside_of_a_sub_application(serve: Any) -> None:
    app, sub = named("app", "/x", "/{a}/z"), named("sub", "/x")
    sub.add_domain("b", named("domain", "/x"))
    app.add_subapp("/sub", sub)

    async with serve(app) as origin:
        for host, path, text in (
            ("a", "/sub/x", "sub /sub/x {}"),
            ("b", "/sub/x", "domain /sub/x {}"),
            ("b", "/x", "app /x {}"),
            ("b", "/1/z", "app /1/z {'a': '1'}"),
        ):
            assert (await origin.ask(request(path, host=host))).text == text
        assert (await origin.ask(request("/sub/none"))).status == 404
        assert (await origin.ask(request("/x", "PUT"))).status == 405


@pytest.mark.parametrize(
    ("domain", "error"),
    [
        (None, TypeError),
        ("", ValueError),
        ("http://example.com", ValueError),
        ("example.com/path", ValueError),
        ("user@example.com", ValueError),
        ("example.com?q", ValueError),
        ("-a.com", ValueError),
        ("a-.com", ValueError),
        ("a..com", ValueError),
        ("a b.com", ValueError),
        ("a_b.com", ValueError),
        ("[::1]", ValueError),
        (":80", ValueError),
        ("a.com:99999", ValueError),
        ("a" * 64, ValueError),
    ],
)
def test_bad_domain_is_refused(domain: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="domain"):
        web.Application().add_domain(domain, web.Application())


def test_mask_takes_time_in_proportion() -> None:
    """A regular expression with as many stars would try all their combinations."""

    class Asks:
        scheme, host = "http", "a." * 500_000

    rule = web.Domain(".".join(["*a*"] * 60) + ".b")
    assert not rule.match(Asks())  # type: ignore[arg-type]
    assert web.Domain(".".join(["*a*"] * 60) + ".*").match(Asks())  # type: ignore[arg-type]


def test_domain_of_other_letters_never_matches() -> None:
    """The Kelvin sign is a k in lower case."""

    class Asks:
        scheme, host = "http", "\u212aelvin.com"

    assert not web.Domain("kelvin.com").match(Asks())  # type: ignore[arg-type]


async def test_sub_application_is_asked_about_its_own_paths_only(serve: Any) -> None:
    app = web.Application()
    resource = app.add_subapp("/sub", named("sub", "/x"))

    async def handler(request: web.Request) -> web.Response:
        assert await resource.resolve(request) == (None, set())
        below, allowed = await resource.resolve(request.clone(rel_url="/sub/x"))
        assert below is not None
        assert (below.http_exception, allowed) == (None, set())
        return web.Response()

    app.router.add_get("/subx", handler)

    async with serve(app) as origin:
        assert (await origin.ask(request("/subx"))).status == 200


@pytest.mark.parametrize("mount", [add_prefixed, add_for_host])
async def test_route_tells_whether_its_handler_is_cancelled(serve: Any, mount: Any) -> None:
    """Behind a domain it did not."""
    told: list[bool | None] = []

    async def handler(request: web.Request) -> web.Response:
        told.append(request.handler_cancellation)
        return web.Response()

    app, sub = web.Application(), web.Application()
    prefix = "" if mount is add_prefixed else "/sub"
    for wanted in (True, False, None):
        sub.router.add_get(f"{prefix}/{wanted}", handler, handler_cancellation=wanted)
    mount(app, sub)

    async with serve(app) as origin:
        for wanted in (True, False, None):
            assert (await origin.ask(request(f"/sub/{wanted}"))).status == 200
    assert told == [True, False, None]
