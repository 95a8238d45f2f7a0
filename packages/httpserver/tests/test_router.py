from __future__ import annotations

import functools
from typing import Any

import pytest

import httpserver as web


async def handler(request: web.Request) -> web.Response:
    return web.Response()


async def other(request: web.Request) -> web.Response:
    return web.Response()


@pytest.fixture
def router() -> web.UrlDispatcher:
    return web.UrlDispatcher()


def found(router: web.UrlDispatcher, path: str, method: str = "GET") -> Any:
    """Return the handler for a path and its parameters, or the methods allowed."""
    route, values = router.find(method, path)
    if isinstance(route, web.SystemRoute):
        return sorted(getattr(route.http_exception, "allowed_methods", ()))
    return route.handler, dict(values)


def test_find_plain_path_compares_it_whole(router: web.UrlDispatcher) -> None:
    router.add_route("GET", "/a/b", handler)

    assert found(router, "/a/b") == (handler, {})
    assert found(router, "/a/b/") == []
    assert found(router, "/a") == []
    assert found(router, "/A/b") == []


def test_find_parameter_takes_one_segment(router: web.UrlDispatcher) -> None:
    router.add_route("GET", "/users/{name}/posts", handler)

    assert found(router, "/users/ann/posts") == (handler, {"name": "ann"})
    assert found(router, "/users//posts") == []
    assert found(router, "/users/a/b/posts") == []


def test_find_parameter_with_pattern(router: web.UrlDispatcher) -> None:
    router.add_route("GET", r"/{id:\d+}", handler)
    router.add_route("GET", r"/{code:[a-z]{3}}.txt", other)

    assert found(router, "/12") == (handler, {"id": "12"})
    assert found(router, "/abc.txt") == (other, {"code": "abc"})
    assert found(router, "/abcd.txt") == []


def test_find_values_are_decoded_and_keep_encoded_slashes_together(
    router: web.UrlDispatcher,
) -> None:
    router.add_route("GET", "/{a}/{b}", handler)

    assert found(router, "/x%2Fy/50%25") == (handler, {"a": "x/y", "b": "50%"})


def test_find_registered_path_encoded_or_not_is_the_same(router: web.UrlDispatcher) -> None:
    router.add_route("GET", "/caf%C3%A9", handler)
    router.add_route("GET", "/na%2Fme", other)

    assert found(router, "/café") == (handler, {})
    assert found(router, "/na%2Fme") == (other, {})


def test_find_fixed_path_wins_over_pattern_registered_before(router: web.UrlDispatcher) -> None:
    router.add_route("GET", "/{name}", handler)
    router.add_route("GET", "/fixed", other)

    assert found(router, "/fixed") == (other, {})
    assert found(router, "/free") == (handler, {"name": "free"})


def test_find_longer_prefix_wins_over_shorter_registered_before(router: web.UrlDispatcher) -> None:
    router.add_route("GET", "/{path:.*}", handler)
    router.add_route("GET", "/a/{rest:.*}", other)

    assert found(router, "/a/b/c") == (other, {"rest": "b/c"})
    assert found(router, "/b/c") == (handler, {"path": "b/c"})
    assert found(router, "/") == (handler, {"path": ""})


def test_find_one_prefix_goes_by_order(router: web.UrlDispatcher) -> None:
    router.add_route("GET", "/{first}", handler)
    router.add_route("GET", "/{second:.*}", other)

    assert found(router, "/x") == (handler, {"first": "x"})
    assert found(router, "/x/y") == (other, {"second": "x/y"})


def test_find_other_method_tells_all_that_are_allowed(router: web.UrlDispatcher) -> None:
    router.add_route("PUT", "/{name}", handler)
    router.add_get("/x", handler)

    assert found(router, "/x", "DELETE") == ["GET", "HEAD", "PUT"]
    assert found(router, "/x", "PUT") == (handler, {"name": "x"})


def test_find_any_method_answers_what_no_other_does(router: web.UrlDispatcher) -> None:
    router.add_route("GET", "/x", handler)
    router.add_route("*", "/x", other)

    assert found(router, "/x", "GET") == (handler, {})
    assert found(router, "/x", "PATCH") == (other, {})


def test_add_get_without_head(router: web.UrlDispatcher) -> None:
    router.add_get("/x", handler, allow_head=False)

    assert found(router, "/x", "HEAD") == ["GET"]


def test_add_resource_same_again_is_one(router: web.UrlDispatcher) -> None:
    first = router.add_resource("/x", name="x")

    assert router.add_resource("/x", name="x") is first
    assert router.resources() == [first]


def test_add_resource_other_pattern_is_another_resource(router: web.UrlDispatcher) -> None:
    """A second pattern for a parameter of the same name was taken for the first."""
    router.add_route("GET", r"/{id:\d+}", handler)
    router.add_route("GET", "/{id:[a-z]+}", other)

    assert found(router, "/1") == (handler, {"id": "1"})
    assert found(router, "/a") == (other, {"id": "a"})


@pytest.mark.parametrize(
    "path",
    ["x", "/{", "/}", "/{a}}", "/{{a}", "/{a-b}", "/{for}", "/{a}/{a}", "/{a:(}", "/{}"],
)
def test_add_resource_malformed_path_is_refused(router: web.UrlDispatcher, path: str) -> None:
    with pytest.raises(ValueError, match=r"path|pattern"):
        router.add_resource(path)


def test_add_resource_name_twice_is_refused(router: web.UrlDispatcher) -> None:
    router.add_resource("/x", name="n")

    with pytest.raises(ValueError, match="duplicate name 'n'"):
        router.add_resource("/y", name="n")


def test_add_resource_frozen_is_refused(router: web.UrlDispatcher) -> None:
    assert not router.frozen
    router.freeze()
    assert router.frozen

    with pytest.raises(RuntimeError, match="frozen"):
        router.add_resource("/x")


@pytest.mark.parametrize("method", ["", "GE T", "GET\n", "é"])
def test_add_route_bad_method_is_refused(router: web.UrlDispatcher, method: str) -> None:
    with pytest.raises(ValueError, match="not an HTTP method"):
        router.add_route(method, "/", handler)


def test_add_route_duplicate_is_refused(router: web.UrlDispatcher) -> None:
    router.add_route("get", "/x", handler)

    with pytest.raises(RuntimeError, match="never be executed, method GET is already"):
        router.add_route("GET", "/x", handler)


def test_add_route_behind_any_method_is_refused(router: web.UrlDispatcher) -> None:
    router.add_route("*", "/x", handler)

    with pytest.raises(RuntimeError, match="never be executed"):
        router.add_route("GET", "/x", handler)


def test_names_are_a_mapping(router: web.UrlDispatcher) -> None:
    route = router.add_route("GET", "/x", handler, name="x")
    router.add_route("GET", "/y", handler)

    assert router["x"] is route.resource
    assert "x" in router
    assert "y" not in router
    assert list(router) == ["x"]
    assert len(router) == 1
    assert route.name == "x"


def test_resource_iterates_over_its_routes(router: web.UrlDispatcher) -> None:
    resource = router.add_resource("/x")
    route = resource.add_route("GET", handler)

    assert list(resource) == [route]
    assert len(resource) == 1
    assert router.routes() == [route]


def test_url_for_plain(router: web.UrlDispatcher) -> None:
    resource = router.add_resource("/caf\u00e9/50%25")
    assert isinstance(resource, web.PlainResource)

    assert resource.canonical == "/caf%C3%A9/50%25"
    assert str(resource.url_for()) == "/caf%C3%A9/50%25"


def test_url_for_dynamic_quotes_each_value(router: web.UrlDispatcher) -> None:
    resource = router.add_resource(r"/\u00e9 {a}/{b:\d+}".replace(r"\u00e9", "\u00e9"))
    assert isinstance(resource, web.DynamicResource)

    assert resource.canonical == "/%C3%A9%20{a}/{b}"
    assert str(resource.url_for(a="x/y %?", b="7")) == "/%C3%A9%20x%2Fy%20%25%3F/7"


def test_url_for_missing_value_raises(router: web.UrlDispatcher) -> None:
    resource = router.add_resource("/{a}")
    assert isinstance(resource, web.DynamicResource)

    with pytest.raises(KeyError):
        resource.url_for()


def test_reprs_name_method_and_path(router: web.UrlDispatcher) -> None:
    route = router.add_route("GET", "/{a}", handler)

    assert repr(route) == "<ResourceRoute GET <DynamicResource /{a}>>"


@pytest.mark.parametrize(
    ("define", "methods"),
    [
        (web.get, ["HEAD", "GET"]),
        (web.post, ["POST"]),
        (web.put, ["PUT"]),
        (web.patch, ["PATCH"]),
        (web.delete, ["DELETE"]),
        (web.head, ["HEAD"]),
        (web.options, ["OPTIONS"]),
    ],
)
def test_add_routes_registers_definitions(
    router: web.UrlDispatcher, define: Any, methods: list[str]
) -> None:
    routes = router.add_routes([define("/x", handler, name="x")])

    assert [route.method for route in router.routes()] == methods
    assert routes[0].method == methods[-1]
    assert router["x"].canonical == "/x"


def test_route_defines_any_method(router: web.UrlDispatcher) -> None:
    assert web.route("*", "/x", handler) == web.RouteDef("*", "/x", handler)

    router.add_routes([web.route("lock", "/x", handler), web.route("*", "/x", other)])

    assert found(router, "/x", "LOCK") == (handler, {})
    assert found(router, "/x", "GET") == (other, {})


# Names.


@pytest.mark.parametrize(
    "name", ["a", "a.b", "a-b", "a:b", "check-for-result", "ns.class", "import:from", "_1.é"]
)
def test_name_is_identifiers_with_marks_between(router: web.UrlDispatcher, name: str) -> None:
    """Keywords may be parts of it: `check-for-result` was refused by others."""
    router.add_resource("/x/{y}", name=name)

    assert str(router[name].url_for(y="1")) == "/x/1"


@pytest.mark.parametrize("name", ["class", "", "a b", "a..b", "1a", "a.", "-", "a/b"])
def test_other_names_are_refused(router: web.UrlDispatcher, name: str) -> None:
    with pytest.raises(ValueError, match="incorrect route name"):
        router.add_resource("/x", name=name)
    assert router.resources() == []


def test_named_resources_are_a_view(router: web.UrlDispatcher) -> None:
    named = router.named_resources()
    resource = router.add_resource("/x", name="x")

    assert named == {"x": resource}
    assert dict(router) == {"x": resource}
    with pytest.raises(TypeError):
        named["y"] = resource  # type: ignore[index]


# Registration.


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "handler",
        lambda request: web.Response(),
        web.Response,
        object(),
    ],
)
def test_handler_that_is_no_coroutine_function_is_refused(
    router: web.UrlDispatcher, bad: Any
) -> None:
    with pytest.raises(TypeError, match="a handler is a coroutine function"):
        router.add_route("GET", "/x", bad)
    with pytest.raises(TypeError, match="expect_handler should be a coroutine"):
        router.add_route("GET", "/y", handler, expect_handler=bad or 1)  # type: ignore[arg-type]


def test_handler_may_be_anything_that_makes_coroutines(router: web.UrlDispatcher) -> None:
    class Callable:
        async def __call__(self, request: web.Request) -> web.Response:
            return web.Response()

        async def method(self, request: web.Request) -> web.Response:
            return web.Response()

    handlers: list[Any] = [Callable(), Callable().method, functools.partial(handler), web.View]
    for number, good in enumerate(handlers):
        assert router.add_route("GET", f"/{number}", good).handler is good


@pytest.mark.parametrize("method", ["opt\u0131ons", "\u017fearch", "g\u00e9t"])
def test_method_of_other_letters_is_refused(router: web.UrlDispatcher, method: str) -> None:
    """Some letters become ASCII in upper case: the dotless i, the long s."""
    with pytest.raises(ValueError, match="not an HTTP method"):
        router.add_route(method, "/", handler)


def test_path_registered_again_later_is_another_resource(router: web.UrlDispatcher) -> None:
    first = router.add_resource("/x")
    between = router.add_resource("/y")
    second = router.add_resource("/x")
    first.add_route("GET", handler)
    second.add_route("GET", other)
    second.add_route("PUT", other)

    assert router.resources() == [first, between, second]
    assert found(router, "/x") == (handler, {})
    assert found(router, "/x", "PUT") == (other, {})
    assert found(router, "/x", "POST") == ["GET", "PUT"]


def test_register_resource_refuses_what_is_none(router: web.UrlDispatcher) -> None:
    with pytest.raises(TypeError, match="expected an AbstractResource"):
        router.register_resource("/x")  # type: ignore[arg-type]


def test_register_route_takes_a_route(router: web.UrlDispatcher) -> None:
    resource = router.add_resource("/x")
    route = web.ResourceRoute("get", handler, resource)
    resource.register_route(route)

    assert router.routes() == [route]
    with pytest.raises(RuntimeError, match="never be executed"):
        resource.register_route(web.ResourceRoute("GET", other, resource))


# What is told about what is registered.


def test_info_and_url_of_a_plain_route(router: web.UrlDispatcher) -> None:
    route = router.add_get("/caf\u00e9/50%25", handler)

    assert route.get_info() == {"path": "/caf%C3%A9/50%25"}
    assert str(route.url_for()) == "/caf%C3%A9/50%25"


def test_info_and_url_of_a_dynamic_route(router: web.UrlDispatcher) -> None:
    route = router.add_get(r"/a/{x:\d+}", handler)
    info = route.get_info()

    assert info["formatter"] == "/a/{x}"
    assert info["pattern"].fullmatch("/a/12")
    assert str(route.url_for(x="12")) == "/a/12"
    with pytest.raises(TypeError):
        route.url_for(x=12)  # type: ignore[arg-type]


def test_url_of_two_slashes_is_a_path(router: web.UrlDispatcher) -> None:
    """It was taken for the name of a host."""
    assert router.add_resource("//x/y").url_for().raw_path == "//x/y"
    assert router.add_resource("//{x}/y").url_for(x="z").raw_path == "//z/y"


def test_route_without_resource_is_a_system_route(router: web.UrlDispatcher) -> None:
    router.add_get("/x", handler)
    route, values = router.find("PUT", "/x")

    assert isinstance(route, web.SystemRoute)
    assert (route.status, route.reason, route.name) == (405, "Method Not Allowed", None)
    assert (route.method, values) == ("*", {})
    assert route.get_info() == {"http_exception": route.http_exception}
    assert repr(route) == "<SystemRoute 405: Method Not Allowed>"
    with pytest.raises(RuntimeError, match="no URL"):
        route.url_for()


# The price of a lookup.


@pytest.fixture
def matches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the resources that were compared, as they are."""
    compared: list[str] = []
    for kind in (web.PlainResource, web.DynamicResource):
        match = kind.match

        def counted(self: Any, path: str, match: Any = match) -> Any:
            compared.append(self.canonical)
            return match(self, path)

        monkeypatch.setattr(kind, "match", counted)
    return compared


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/r{}", "/r7"),
        ("/r{}/{{x}}", "/r7/1"),
        ("/api/r{}/{{x}}/sub/{{y}}", "/api/r7/1/sub/2"),
        ("/r{}/{{x:.*}}", "/r7/a/b/c"),
    ],
)
@pytest.mark.parametrize("count", [10, 1000])
def test_lookup_compares_one_resource_however_many_there_are(
    router: web.UrlDispatcher, matches: list[str], pattern: str, path: str, count: int
) -> None:
    """Not so for patterns behind one and the same prefix: `/{x}/r7`. Those are tried in order."""
    for number in range(count):
        router.add_get(pattern.format(number), handler)
    router.freeze()

    assert found(router, path)[0] is handler
    # A path without parameters is found without comparing anything.
    assert matches == ([pattern.format(7).replace(":.*", "")] if "{x" in pattern else [])
    matches.clear()
    assert found(router, "/none/at/all") == []
    assert matches == []


class Index(dict[str, Any]):
    """An index that writes down what is looked up."""

    def __init__(self, index: dict[str, Any]) -> None:
        super().__init__(index)
        self.probes: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        self.probes.append(key)
        return super().get(key, default)


async def test_lookup_of_a_long_path_is_cut_to_the_depth_of_the_routes(
    router: web.UrlDispatcher,
) -> None:
    """Each of its slashes was looked up, with a copy of the path each time."""
    router.add_get("/a/b/{rest:.*}", handler)
    router.add_get("/a", other)
    index = router._index = Index(router._index)

    class Asks:
        method, route_path = "GET", "/" * 100_000

    assert found(router, "/a/b" + "/c" * 50_000)[0] is handler
    assert index.probes == ["/a/b" + "/c" * 50_000, "/a/b"]
    index.probes.clear()
    assert found(router, Asks.route_path) == []
    assert index.probes == [Asks.route_path, "//", "/"]
    index.probes.clear()
    assert (await router.resolve(Asks())).http_exception is not None  # type: ignore[arg-type]
    assert index.probes == ["//", "/"]


def test_lookup_without_routes(router: web.UrlDispatcher) -> None:
    for path in ("/", "", "*", "/a/b", "//"):
        assert found(router, path) == []
