from __future__ import annotations

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
    route, values, allowed = router.find(method, path)
    return sorted(allowed) if route is None else (route.handler, dict(values))


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
    router.freeze()

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

    assert repr(route) == "<Route GET <DynamicResource /{a}>>"


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
