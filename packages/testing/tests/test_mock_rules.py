"""Which requests a rule is for, and what it says about those that it is not for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict
from yarl import URL

from httpcore_testing import ANY, Call, MockConnector, Rule


def call(
    method: str = "GET",
    url: str = "https://api.test/",
    *,
    headers: Any = (),
    body: bytes = b"",
    form: list[tuple[str, str | bytes]] | None = None,
) -> Call:
    return Call(
        method=method,
        url=URL(url),
        headers=CIMultiDictProxy(CIMultiDict(headers)),
        body=body,
        form=form,
        time=0,
    )


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("https://api.test", "https://api.test/"),
        ("https://api.test/", "https://api.test:443/"),
        ("https://API.test:443/", "https://api.test/"),
        ("wss://api.test/x", "https://api.test/x"),
        ("ws://api.test/x", "http://api.test/x"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("https://api.test/a%20b", "https://api.test/a%20b"),
        ("https://api.test/a b", "https://api.test/a%20b"),
        ("https://api.test/x?b=2&a=1", "https://api.test/x?a=1&b=2"),
        (URL("https://api.test/{id}/*"), "https://api.test/%7Bid%7D/*"),
        ("https://api.test/users/{id}", "https://api.test/users/7"),
        ("https://api.test/a b/{id}.json", "https://api.test/a%20b/7.json"),
        ("https://api.test/users/{id}?v=1", "https://api.test/users/7?v=1"),
        ("https://api.test/*", "https://api.test/"),
        ("https://api.test/*/end", "https://api.test/a/b/end"),
        ("https://*.test/", "https://a.b.test/"),
        ("*://api.test/x", "http://api.test/x"),
        ("*://api.test/x", "https://api.test/x"),
        ("http://127.0.0.1:*/x", "http://127.0.0.1:8080/x"),
        ("http://[::1]:*/x", "http://[::1]:8080/x"),
        ("http://*/x", "http://api.test:8080/x"),
        ("wss://*/x", "https://api.test/x"),
        ("*", "http://api.test:8080/x?a=1"),
        (re.compile(r"https://api\.test/[0-9]+\?.*"), "https://api.test/7?a=1"),
        (lambda url: url.path == "/x", "https://api.test/x?a=1"),
    ],
)
def test_url_matches(asked: Any, got: str) -> None:
    assert Rule("GET", asked).matches(call(url=got))


@pytest.mark.parametrize(
    ("asked", "got", "reason"),
    [
        ("https://api.test/", "http://api.test/", "scheme: asked 'https', got 'http'"),
        ("http://api.test/", "http://b.test/", "host: asked 'api.test', got 'b.test'"),
        ("http://a.test/", "http://aXtest/", "host: asked 'a.test', got 'axtest'"),
        ("http://*.a.test/", "http://bXa.test/", "host: asked '*.a.test', got 'bxa.test'"),
        ("http://api.test/", "http://api.test:81/", "port: asked '80', got '81'"),
        ("*://api.test/{x}", "https://api.test:80/x", "port: asked '443', got '80'"),
        ("http://api.test/{x}", "http://api.test:81/x", "port: asked '80', got '81'"),
        ("https://api.test/a", "https://api.test/ab", "path: asked '/a', got '/ab'"),
        ("https://api.test/a.b", "https://api.test/aXb", "path: asked '/a.b', got '/aXb'"),
        ("https://api.test/{a}", "https://api.test/x/y", "path: asked '/{a}', got '/x/y'"),
        ("https://api.test/{a}", "https://api.test/", "path: asked '/{a}', got '/'"),
        ("https://api.test/{a}.b", "https://api.test/xXb", "path: asked '/{a}.b', got '/xXb'"),
        (
            re.compile("https://api.test/"),
            "https://api.test/x",
            "url: asked 'https://api.test/', got 'https://api.test/x'",
        ),
    ],
)
def test_url_does_not_match(asked: Any, got: str, reason: str) -> None:
    rule, seen = Rule("GET", asked), call(url=got)
    assert not rule.matches(seen)
    assert rule.reasons(seen)[1] == [reason]


def test_function_of_the_url_is_named() -> None:
    def is_users(url: URL) -> bool:
        return url.path.startswith("/users")

    reasons = Rule("GET", is_users).reasons(call())[1]
    assert reasons == [
        "url: test_function_of_the_url_is_named.<locals>.is_users says no to 'https://api.test/'"
    ]


@pytest.mark.parametrize(
    ("url", "params", "query", "reason"),
    [
        ("https://a.test/", None, "a=1", "query: got a='1'"),
        ("https://a.test/{x}", None, "a=1", "query: got a='1'"),
        ("https://a.test/x?a=1", None, "", "query: asked a='1'"),
        ("https://a.test/x?a=1", None, "a=2", "query: asked a='1', got a='2'"),
        ("https://a.test/x?a=1", None, "a=1&a=1", "query: got a='1'"),
        ("https://a.test/x", {"a": 1}, "a=2", "query: asked a='1', got a='2'"),
        ("https://a.test/x", {"a": [1, 2]}, "a=2", "query: asked a='1'"),
        ("https://a.test/x", {"a": ANY}, "", "query: asked a=ANY"),
        ("https://a.test/x", {"a": ANY}, "a=1&b=2", "query: got b='2'"),
        ("https://a.test/x?a=1", {"b": 2}, "a=1", "query: asked b='2'"),
        ("*", {"b": 2}, "", "query: asked b='2'"),
    ],
)
def test_query_does_not_match(url: str, params: Any, query: str, reason: str) -> None:
    rule, seen = Rule("GET", url, params=params), call(url=f"https://a.test/x?{query}")
    assert not rule.matches(seen)
    assert reason in rule.reasons(seen)[1]


@pytest.mark.parametrize(
    ("url", "params", "query"),
    [
        ("https://a.test/x", ANY, ""),
        ("https://a.test/x", ANY, "a=1"),
        ("https://a.test/x?a=1", ANY, "a=1&b=2"),
        ("https://a.test/x", {"a": ANY}, "a=1"),
        ("https://a.test/x", {"b": 2, "a": 1}, "a=1&b=2"),
        ("https://a.test/x", [("a", ANY), ("a", 1)], "a=1&a=2"),
        ("https://a.test/x", MultiDict([("a", "1"), ("a", "2")]), "a=2&a=1"),
        ("https://a.test/x", {"a": [1, 2]}, "a=2&a=1"),
        ("https://a.test/x?a=1", {"b": 2}, "a=1&b=2"),
        (re.compile("https://a.test/x.*"), {"a": 1}, "a=1"),
    ],
)
def test_query_matches(url: Any, params: Any, query: str) -> None:
    assert Rule("GET", url, params=params).matches(call(url=f"https://a.test/x?{query}"))


@pytest.mark.parametrize(
    ("asked", "got", "reason"),
    [
        ("a", [("x-key", "a")], None),
        ("a", [("X-Key", "b"), ("X-Key", "a")], None),
        ("a", [("X-Key", "b")], "header X-Key: asked 'a', got 'b'"),
        ("a", [("X-Key", "b"), ("X-Key", "c")], "header X-Key: asked 'a', got ['b', 'c']"),
        ("a", [], "header X-Key: asked 'a', but there is none"),
        (ANY, [("X-Key", "")], None),
        (ANY, [], "header X-Key: asked ANY, but there is none"),
        (None, [], None),
        (None, [("X-Key", "a")], "header X-Key: asked for none, got 'a'"),
        (re.compile("b+"), [("X-Key", "abba")], None),
        (re.compile("b+"), [("X-Key", "a")], "header X-Key: asked 'b+', got 'a'"),
    ],
)
def test_header(asked: Any, got: Any, reason: str | None) -> None:
    rule, seen = Rule("GET", "*", headers={"X-Key": asked}), call(headers=got)
    assert rule.matches(seen) == (reason is None)
    assert rule.reasons(seen)[1] == ([] if reason is None else [reason])


@pytest.mark.parametrize(
    ("options", "body", "reason"),
    [
        ({"body": b"ab"}, b"ab", None),
        ({"body": "\xe9"}, b"\xc3\xa9", None),
        ({"body": b""}, b"x", "body: asked b'', got b'x'"),
        ({"body": lambda body: len(body) == 1}, b"x", None),
        ({"body": re.compile(b"x+").match}, b"y", "body: Pattern.match says no to b'y'"),
        ({"json": {"a": [1, ANY]}}, b'{"a": [1, 2]}', None),
        ({"json": None}, b"null", None),
        ({"json": {"a": 1}}, b'{"a": 2}', "json: asked {'a': 1}, got {'a': 2}"),
        (
            {"json": None},
            b"",
            "json: the body is no JSON (Expecting value: line 1 column 1 (char 0)), it is b''",
        ),
        ({"form": {"a": 1}}, b"", "form: the body is none, its content type is 'none'"),
    ],
)
def test_body(options: Any, body: bytes, reason: str | None) -> None:
    rule, seen = Rule("GET", "*", **options), call(body=body)
    assert rule.reasons(seen)[1] == ([] if reason is None else [reason])
    assert rule.matches(seen) == (reason is None)


def test_form_is_compared_as_fields() -> None:
    rule = Rule("GET", "*", form={"a": [1, 2], "file": b"\0"})
    assert rule.matches(call(form=[("file", b"\0"), ("a", "2"), ("a", "1")]))
    seen = call(form=[("a", "1"), ("a", "2"), ("file", b"\1"), ("b", "3")])
    assert rule.reasons(seen)[1] == ["form: asked file=b'\\x00', got file=b'\\x01', got b='3'"]


def test_method() -> None:
    assert Rule("*", "*").matches(call("PURGE"))
    assert Rule("get", "*").matches(call("GET"))
    assert Rule("GET", "*").reasons(call("POST"))[1] == ["method: asked 'GET', got 'POST'"]


def test_deep_json_is_a_reason_and_no_crash() -> None:
    (reason,) = Rule("GET", "*", json=1).reasons(call(body=b"[" * 1_000_000))[1]
    assert reason.startswith("json: the body is no JSON")
    assert len(reason) < 500


def test_values_of_a_path_are_decoded() -> None:
    seen = call(url="https://api.test/users/a%20b/x/y/z.txt")
    rule = Rule("GET", "https://api.test/users/{id}/*/{name}.txt")
    assert rule.matches(seen)
    rule.take(seen)
    assert seen.values == {"id": "a b", "name": "z"}
    assert seen.rule is rule


@pytest.mark.parametrize("path", ["/" + "a" * 60_000, "/" + "a/" * 30_000])
def test_long_urls_are_told_apart_quickly(path: str) -> None:
    rule = Rule("GET", "https://api.test/*b")
    distance, reasons = rule.reasons(call(url=f"https://api.test{path}"))
    assert distance > 7
    assert len(reasons[0]) < 500


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"url": "/path"}, ValueError, "no scheme and host"),
        ({"url": "*/path"}, ValueError, r"write '\*://\*/path'"),
        ({"url": "https://a.test/{x}/{x}"}, ValueError, "used twice"),
        ({"url": 7}, TypeError, "url must be"),
        ({"url": "*", "times": 0}, ValueError, "times=0"),
    ],
)
def test_misuse(options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        MockConnector().add("GET", **options)


def test_misuse_of_replies() -> None:
    rule = MockConnector().get("*")
    with pytest.raises(TypeError, match="see json"):
        rule.reply(body={"a": 1})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="exclude each other"):
        rule.reply(body=b"", json=1)
    with pytest.raises(TypeError, match="chunks must be bytes, not str"):
        rule.reply_chunks(["a"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("options", "replies", "times", "usage"),
    [
        ({}, 0, 1, "0 of 1 call"),
        ({}, 3, 3, "0 of 3 calls"),
        ({"times": 2}, 3, 2, "0 of 2 calls"),
        ({"times": None}, 1, None, "0 of any number of calls"),
    ],
)
def test_times(options: Any, replies: int, times: int | None, usage: str) -> None:
    rule = MockConnector().get("*", **options)
    for _ in range(replies):
        rule.reply()
    assert rule.times == times
    assert rule.usage() == usage
    assert not rule.is_used_up
    assert rule.is_due


@pytest.mark.parametrize("add", ["get", "head", "options", "post", "put", "patch", "delete"])
def test_short_names(add: str) -> None:
    mock = MockConnector()
    rule = getattr(mock, add)("https://api.test/x", optional=True)
    assert mock.rules == [rule]
    assert repr(rule) == f"<Rule {add.upper()} https://api.test/x>"
    assert not rule.is_due


def test_any() -> None:
    assert ANY == 7
    assert repr(ANY) == "ANY"
    assert len({ANY, ANY}) == 1
