"""The choice of a proxy, and what it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from multidict import CIMultiDict
from yarl import URL

import httpclient
from httpclient import _netrc, _proxy
from httpclient._proxy import (
    absolute_target,
    forwarded_headers,
    forwards,
    is_host,
    parse_proxy,
    proxy_for,
)
from httpclient._url import ConnectionKey, Proxy, destination, with_params
from httpcore_proto import encode_basic_auth

ORIGIN = URL("http://origin.test/")
LOGIN = ("Proxy-Authorization", encode_basic_auth("user", "p@ss"))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Return what sets variables in an environment without proxies and logins."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("REQUEST_METHOD", "NETRC"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr(_netrc, "_cache", {})
    return monkeypatch


# The URL of a proxy.


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://proxy.test:3128", "http://proxy.test:3128"),
        ("http://proxy.test:80", "http://proxy.test"),
        ("https://proxy.test:443", "https://proxy.test"),
        ("HTTP://Proxy.Test/", "http://proxy.test"),
        (" http://proxy.test:1/path?query#fragment ", "http://proxy.test:1"),
        ("socks5://proxy.test", "socks5://proxy.test:1080"),
        ("socks5h://proxy.test:9050", "socks5h://proxy.test:9050"),
        ("socks4://proxy.test", "socks4://proxy.test:1080"),
        ("socks4a://10.0.0.1", "socks4a://10.0.0.1:1080"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("socks5://[::1]", "socks5://[::1]:1080"),
        ("http://b\u00fccher.example:1", "http://xn--bcher-kva.example:1"),
        (URL("http://proxy.test:3128"), "http://proxy.test:3128"),
    ],
)
def test_proxy_url_is_reduced_to_where_it_is(given: str | URL, url: str) -> None:
    assert parse_proxy(given) == Proxy(URL(url), ())


@pytest.mark.parametrize(
    ("given", "login"),
    [
        ("http://user:p%40ss@proxy.test", ("user", "p@ss")),
        (URL("http://user:p%40ss@proxy.test"), ("user", "p@ss")),
        ("http://user@proxy.test", ("user", "")),
        ("http://:word@proxy.test", ("", "word")),
        ("http://us%C3%A9r:a:b@proxy.test", ("us\xe9r", "a:b")),
        ("socks5://user:pass@proxy.test", ("user", "pass")),
    ],
)
def test_login_in_the_url_becomes_a_field(given: str | URL, login: tuple[str, str]) -> None:
    proxy = parse_proxy(given)
    assert proxy.headers == (("Proxy-Authorization", encode_basic_auth(*login)),)
    assert proxy.url.raw_authority in ("proxy.test", "proxy.test:1080")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "proxy.test:3128",
        "proxy.test",
        "//proxy.test",
        "ftp://proxy.test",
        "http://",
        "http:///path",
        "http://proxy.test:0",
        "http://proxy.test:99999",
        "http://pro xy.test",
        "http://proxy.test\r\nX: y",
        "http://proxy\0.test",
        "http://proxy%20.test",
        "http://a;b",
        "http://[fe80::1%25eth0]:80",
        "http://proxy\u2028.test",
        "http://[::1",
        URL("/relative"),
    ],
)
def test_bad_url_is_refused(given: str | URL) -> None:
    with pytest.raises(httpclient.InvalidURL) as info:
        parse_proxy(given)
    assert info.value.description


@pytest.mark.parametrize(
    "given",
    [
        "ftp://user:secret@proxy.test",
        "user:secret@proxy.test:3128",
        "http://user:secret@proxy.test:99999",
        "http://user:secret@",
        "http://us%3Aer:secret@proxy.test",
        "http://user:secret%00@proxy.test",
        "http://user:secret@pro xy.test",
        URL("ftp://user:secret@proxy.test"),
    ],
)
def test_bad_url_is_told_without_the_login(given: str | URL) -> None:
    with pytest.raises(httpclient.InvalidURL) as info:
        parse_proxy(given)
    error = info.value
    assert "secret" not in f"{error!r} {error} {error.args} {error.url}"
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.parametrize("filler", ["@", ":", "/", "//", "%", "[", "a"])
def test_hostile_url_takes_linear_time(filler: str) -> None:
    with pytest.raises(httpclient.InvalidURL):
        parse_proxy(f"x://{filler * 200_000}@")


def test_proxy_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="not bytes"):
        parse_proxy(b"http://proxy.test")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("origin.test", True),
        ("a_b-c.test", True),
        ("10.0.0.1", True),
        ("::1", True),
        ("fe80::1%eth0", False),
        ("", False),
        ("a b", False),
        ("a\r\nX", False),
        ("a/b", False),
        ("a@b", False),
        ("1:2", False),
        ("\u212a.test", False),
    ],
)
def test_host_that_may_be_told(host: str, expected: bool) -> None:
    """IN-11: yarl takes blanks for part of a name."""
    assert is_host(host) is expected


# The choice.


async def test_no_proxy_without_any(environment: pytest.MonkeyPatch) -> None:
    assert await proxy_for(ORIGIN) is None
    assert await proxy_for(ORIGIN, trust_env=True) is None
    assert await proxy_for(ORIGIN, proxy_headers={"X": "y"}) is None


async def test_environment_counts_only_if_it_is_trusted(environment: pytest.MonkeyPatch) -> None:
    """PX-03."""
    environment.setenv("http_proxy", "http://env.test:1")
    environment.setenv("all_proxy", "http://env.test:1")
    assert await proxy_for(ORIGIN) is None


async def test_given_proxy_counts_more_than_the_environment(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("http_proxy", "http://env.test:1")
    environment.setenv("no_proxy", "*")
    chosen = await proxy_for(ORIGIN, proxy="http://given.test:2", trust_env=True)
    assert chosen == Proxy(URL("http://given.test:2"))


@pytest.mark.parametrize(
    ("variables", "url", "host"),
    [
        ({"http_proxy": "http://a.test"}, "http://origin.test/", "a.test"),
        ({"http_proxy": "http://a.test"}, "https://origin.test/", None),
        ({"https_proxy": "http://a.test"}, "https://origin.test/", "a.test"),
        ({"https_proxy": "https://a.test"}, "https://origin.test/", "a.test"),
        ({"ws_proxy": "http://a.test"}, "ws://origin.test/", "a.test"),
        ({"wss_proxy": "http://a.test"}, "wss://origin.test/", "a.test"),
        ({"http_proxy": "http://a.test"}, "ws://origin.test/", None),
        ({"all_proxy": "socks5://a.test"}, "http://origin.test/", "a.test"),
        ({"all_proxy": "socks5://a.test"}, "wss://origin.test/", "a.test"),
        (
            {"all_proxy": "http://a.test", "http_proxy": "http://b.test"},
            "http://origin.test/",
            "b.test",
        ),
        ({"HTTP_PROXY": "http://a.test"}, "http://origin.test/", "a.test"),
        ({"ALL_PROXY": "http://a.test"}, "http://origin.test/", "a.test"),
        ({"HTTP_PROXY": "http://A.test", "http_proxy": "http://b.test"}, "http://x/", "b.test"),
        # Empty means none.
        ({"http_proxy": "", "HTTP_PROXY": "http://a.test"}, "http://origin.test/", None),
        ({"http_proxy": " ", "all_proxy": "http://a.test"}, "http://origin.test/", None),
        # Without scheme.
        ({"http_proxy": "a.test:3128"}, "http://origin.test/", "a.test"),
        ({"http_proxy": "user:pw@a.test:3128"}, "http://origin.test/", "a.test"),
        # httpoxy.
        ({"HTTP_PROXY": "http://a.test", "REQUEST_METHOD": "GET"}, "http://x/", None),
        ({"http_proxy": "http://a.test", "REQUEST_METHOD": "GET"}, "http://x/", "a.test"),
        ({"HTTPS_PROXY": "http://a.test", "REQUEST_METHOD": "GET"}, "https://x/", "a.test"),
        # NO_PROXY.
        ({"http_proxy": "http://a.test", "no_proxy": "origin.test"}, "http://origin.test/", None),
        ({"http_proxy": "http://a.test", "NO_PROXY": "origin.test"}, "http://origin.test/", None),
        ({"http_proxy": "http://a.test", "no_proxy": "other"}, "http://origin.test/", "a.test"),
        (
            {"http_proxy": "http://a.test", "no_proxy": "", "NO_PROXY": "*"},
            "http://origin.test/",
            "a.test",
        ),
        ({"all_proxy": "http://a.test", "no_proxy": "10.0.0.0/8"}, "http://10.1.2.3/", None),
        ({"all_proxy": "http://a.test", "no_proxy": "[::1]:443"}, "https://[::1]/", None),
        ({"all_proxy": "http://a.test", "no_proxy": "[::1]:443"}, "http://[::1]/", "a.test"),
        ({"all_proxy": "http://a.test", "no_proxy": "x.test:80"}, "http://x.test/", None),
        # No variable of that name is a proxy's.
        ({"no_proxy": "http://a.test", "ftp_proxy": "http://a.test"}, "ftp://origin.test/", None),
    ],
)
async def test_proxy_of_the_environment(
    environment: pytest.MonkeyPatch, variables: dict[str, str], url: str, host: str | None
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    chosen = await proxy_for(URL(url), trust_env=True)
    assert (chosen and chosen.url.host) == host


async def test_httpoxy_where_names_of_variables_have_no_case(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setattr(_proxy, "_NAMES_FOLD", True)
    environment.setenv("http_proxy", "http://a.test")
    environment.setenv("REQUEST_METHOD", "GET")
    assert await proxy_for(ORIGIN, trust_env=True) is None


async def test_bad_proxy_of_the_environment_is_an_error(environment: pytest.MonkeyPatch) -> None:
    """To go without would show the origin what the proxy was to hide."""
    environment.setenv("http_proxy", "ftp://user:secret@a.test")
    with pytest.raises(httpclient.InvalidURL) as info:
        await proxy_for(ORIGIN, trust_env=True)
    assert "secret" not in str(info.value)


# What it is told.


async def test_login_of_an_environment_proxy_comes_from_netrc(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "logins").write_text("machine a.test login user password p@ss\n")
    environment.setenv("NETRC", str(tmp_path / "logins"))
    environment.setenv("http_proxy", "http://a.test:3128")
    environment.setenv("https_proxy", "http://own:login@a.test:3128")
    chosen = await proxy_for(ORIGIN, trust_env=True)
    assert chosen == Proxy(URL("http://a.test:3128"), (LOGIN,))
    chosen = await proxy_for(URL("https://origin.test/"), trust_env=True)
    assert chosen is not None
    assert dict(chosen.headers) == {"Proxy-Authorization": encode_basic_auth("own", "login")}
    # That of the program is its own matter.
    chosen = await proxy_for(ORIGIN, proxy="http://a.test", trust_env=True)
    assert chosen == Proxy(URL("http://a.test"))


@pytest.mark.parametrize(
    "headers", [{"X-To": "proxy"}, [("X-To", "proxy")], CIMultiDict([("X-To", "proxy")])]
)
async def test_proxy_headers_are_added(headers: dict[str, str]) -> None:
    proxy = "http://user:p%40ss@proxy.test:1"
    chosen = await proxy_for(ORIGIN, proxy=proxy, proxy_headers=headers)
    assert chosen == Proxy(URL("http://proxy.test:1"), (("X-To", "proxy"), LOGIN))
    assert hash(chosen) == hash(Proxy(*chosen))


async def test_login_in_proxy_headers_wins() -> None:
    own = {"proxy-authorization": "Bearer x"}
    chosen = await proxy_for(ORIGIN, proxy="http://u:p@proxy.test", proxy_headers=own)
    assert chosen is not None
    assert chosen.headers == (("proxy-authorization", "Bearer x"),)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "x"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "close"},
        {"Bad Name": "x"},
        {"X": "a\r\nY: b"},
        {"X\r\nY": "b"},
        {"": "b"},
    ],
)
async def test_bad_proxy_headers_are_refused(headers: dict[str, str]) -> None:
    """IN-11."""
    with pytest.raises(ValueError, match=r"proxy_headers|field"):
        await proxy_for(ORIGIN, proxy="http://proxy.test", proxy_headers=headers)


@pytest.mark.parametrize(
    ("scheme", "is_ssl", "expected"),
    [
        ("http", False, True),
        ("https", False, True),
        ("http", True, False),
        ("https", True, False),
        ("socks5", False, False),
        ("socks4a", True, False),
    ],
)
def test_only_http_proxies_forward_and_only_plain_requests(
    scheme: str, is_ssl: bool, expected: bool
) -> None:
    proxy = Proxy(URL(f"{scheme}://proxy.test:1"))
    assert forwards(ConnectionKey("origin.test", 80, is_ssl, proxy=proxy)) is expected


def test_nothing_is_forwarded_without_a_proxy() -> None:
    assert not forwards(ConnectionKey("origin.test", 80, False))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://origin.test", "http://origin.test/"),
        ("http://origin.test:8080/a?b=c#d", "http://origin.test:8080/a?b=c"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://origin.test:80/a%2fb", "http://origin.test/a%2fb"),
        ("http://origin.test?x", "http://origin.test/?x"),
    ],
)
def test_absolute_target(url: str, target: str) -> None:
    """S115: the request target for a proxy has the origin, and the URL as it was written."""
    assert absolute_target(destination(url)) == target


def test_absolute_target_has_the_params() -> None:
    to = with_params(destination("http://origin.test/a?b=c"), {"d": "e"})
    assert absolute_target(to) == "http://origin.test/a?b=c&d=e"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (None, [LOGIN, ("X", "p")]),
        ({}, [LOGIN, ("X", "p")]),
        ({"A": "b"}, [("A", "b"), LOGIN, ("X", "p")]),
        (
            [("proxy-authorization", "mine"), ("A", "b"), ("A", "c"), ("x", "o")],
            [("A", "b"), ("A", "c"), LOGIN, ("X", "p")],
        ),
    ],
)
def test_forwarded_requests_have_the_fields_of_the_proxy(
    headers: object, expected: list[tuple[str, str]]
) -> None:
    """Q14: aiohttp sends proxy_headers with CONNECT only."""
    proxy = Proxy(URL("http://proxy.test:1"), (LOGIN, ("X", "p")))
    assert forwarded_headers(headers, proxy) == expected  # type: ignore[arg-type]
