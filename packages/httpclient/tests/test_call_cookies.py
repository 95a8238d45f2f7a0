"""Cookies of a session and of a call, from end to end."""

from __future__ import annotations

from collections.abc import Sequence
from http.cookies import Morsel, SimpleCookie

import pytest
from yarl import URL

import httpclient

from .answering import Site, at_rest, in_turn, moved
from .conftest import Serve, response

NAMES = httpclient.HostsResolver(
    {"one.test": "127.0.0.1", "www.one.test": "127.0.0.1", "two.test": "127.0.0.1"}
)


def session_for(
    jar: httpclient.AbstractCookieJar | None = None, cookies: dict[str, str] | None = None
) -> httpclient.ClientSession:
    """Return a session that finds the names of these tests."""
    connector = httpclient.TCPConnector(resolver=NAMES)
    return httpclient.ClientSession(connector=connector, cookie_jar=jar, cookies=cookies)


def setting(*cookies: str, status: bytes = b"200 OK") -> bytes:
    """Return a response that sets cookies."""
    head = "".join(f"Set-Cookie: {cookie}\r\n" for cookie in cookies)
    return response(b"", head.encode(), status)


def sent(site: Site) -> list[str | None]:
    """Return the cookies that came, in the order of their names."""
    values = [asked.headers.get("Cookie") for asked in site.asked]
    return [value and "; ".join(sorted(value.split("; "))) for value in values]


async def test_cookies_of_a_response_go_with_the_next_request(serve: Serve) -> None:
    site = Site({"/": setting("a=1", "b=2; Path=/below", "c=3; Domain=one.test")})
    async with serve(site) as origin, session_for() as session:
        base = URL(f"http://one.test:{origin.port}")
        async with session.get(base) as resp:
            assert {name: item.value for name, item in resp.cookies.items()} == {
                "a": "1",
                "b": "2",
                "c": "3",
            }
        for url in (base / "x", base / "below", base.with_host("www.one.test")):
            await session.get(url)
        await session.get(base.with_host("two.test"))
        assert len(session.cookie_jar) == 3 + 2 + 2
    assert sent(site) == [None, "a=1; c=3", "a=1; b=2; c=3", "c=3", None]


async def test_each_response_of_a_chain_counts(serve: Serve) -> None:
    """A value that changes is sent changed, one that is taken back not at all."""
    site = Site(
        {
            "/": moved("/1", 302, "Set-Cookie: a=1", "Set-Cookie: b=1"),
            "/1": moved("/2", 302, "Set-Cookie: a=2"),
            "/2": moved("/3", 302, "Set-Cookie: b=; Max-Age=0"),
            "/3": response(),
        }
    )
    async with serve(site) as origin, session_for() as session:
        async with session.get(f"http://one.test:{origin.port}/") as resp:
            assert resp.cookies == {}
            assert resp.history[0].cookies["a"].value == "1"
        assert [cookie.value for cookie in session.cookie_jar] == ["2"]
    assert sent(site) == [None, "a=1; b=1", "a=2; b=1", "a=2"]


async def test_cookies_of_a_call_are_for_it_alone(serve: Serve) -> None:
    site = Site({"/first": setting("a=jar", "b=jar")})
    async with serve(site) as origin, session_for() as session:
        base = URL(f"http://one.test:{origin.port}")
        await session.get(base, cookies={"x": "1"})
        assert len(session.cookie_jar) == 0
        await session.get(base / "first")
        await session.get(base, cookies={"a": "own", "c": "more"})
        await session.get(base)
        assert {cookie.value for cookie in session.cookie_jar} == {"jar"}
    assert sent(site) == ["x=1", None, "a=own; b=jar; c=more", "a=jar; b=jar"]


async def test_cookies_come_in_all_forms(serve: Serve) -> None:
    site = Site()
    morsel: Morsel[str] = Morsel()
    morsel.set("m", "1", "1")
    async with serve(site) as origin, session_for(cookies={"s": "0"}) as session:
        await session.get(origin.url, cookies=[("a", "1"), ("b", "2")])
        await session.get(origin.url, cookies=SimpleCookie("k=v"))
        await session.get(origin.url, cookies={"m": morsel})
        await session.get(origin.url, headers={"Cookie": "raw=1"}, cookies={"c": "d"})
    assert sent(site) == ["a=1; b=2; s=0", "k=v; s=0", "m=1; s=0", "c=d; raw=1; s=0"]


async def test_cookies_follow_to_their_own_place_only(serve: Serve) -> None:
    """RD-01: the jar decides about each hop; what came with the call is for its origin."""
    site = Site()
    async with serve(site) as origin, session_for() as session:
        one, two = (URL(f"http://{name}:{origin.port}") for name in ("one.test", "two.test"))
        site.answers["/go"] = moved(f"{two}/then", 307)
        site.answers["/then"] = moved(f"{one}/end", 307)
        session.cookie_jar.update_cookies({"jar": "1"}, one)
        session.cookie_jar.update_cookies({"jar": "2"}, two)
        session.cookie_jar.update_cookies({"shared": "3"})
        await session.get(one / "go", cookies={"own": "4"})
    assert sent(site) == ["jar=1; own=4; shared=3", "jar=2; shared=3", "jar=1; shared=3"]


async def test_foreign_and_insecure_cookies_are_not_sent(serve: Serve) -> None:
    site = Site({"/set": setting("a=1; Secure", "b=2; Domain=two.test", "c=3; Domain=test")})
    async with serve(site) as origin, session_for() as session:
        base = URL(f"http://one.test:{origin.port}")
        await session.get(base / "set")
        await session.get(base)
        await session.get(base.with_host("two.test"))
        assert len(session.cookie_jar) == 0
    assert sent(site) == [None, None, None]


async def test_jar_can_be_another_or_none(serve: Serve) -> None:
    site = Site({"/": setting("a=1")})
    unsafe = httpclient.CookieJar(unsafe=True)
    async with serve(site) as origin:
        for jar in (None, httpclient.DummyCookieJar(), unsafe):
            async with session_for(jar) as session:
                assert jar is None or session.cookie_jar is jar
                await session.get(origin.url)
                await session.get(origin.url)
        async with session_for(unsafe) as session:
            await session.get(origin.url)
    # Only that one keeps cookies of hosts that have no name.
    assert sent(site) == [None, None, None, None, None, "a=1", "a=1"]


async def test_response_that_is_an_error_sets_its_cookies(serve: Serve) -> None:
    site = Site({"/": in_turn([setting("a=1", status=b"403 No"), response()])})
    async with serve(site) as origin, session_for() as session:
        url = f"http://one.test:{origin.port}/"
        with pytest.raises(httpclient.ClientResponseError):
            await session.get(url, raise_for_status=True)
        await session.get(url)
    assert sent(site) == [None, "a=1"]


async def test_jar_that_fails_leaves_nothing(serve: Serve) -> None:
    class Broken(httpclient.CookieJar):
        sends = False

        def cookie_header(self, request_url: URL) -> str | None:
            if self.sends:
                raise LookupError("sends")
            return super().cookie_header(request_url)

        def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
            raise LookupError("takes")

    jar = Broken()
    jar.update_cookies({"a": "1"})
    site = Site({"/": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nSet-Cookie: a=1\r\n\r\n"})
    async with serve(site) as origin, session_for(jar) as session:
        with pytest.raises(LookupError, match="takes"):
            await session.get(origin.url)
        assert at_rest(session)
        jar.sends = True
        with pytest.raises(LookupError, match="sends"):
            await session.get(origin.url)
        assert at_rest(session)


async def test_module_function_takes_cookies(serve: Serve) -> None:
    site = Site()
    async with serve(site) as origin, httpclient.TCPConnector(resolver=NAMES) as connector:
        site.answers["/"] = moved("/same")
        site.answers["/same"] = moved(f"http://two.test:{origin.port}/foreign")
        url = f"http://one.test:{origin.port}/"
        async with httpclient.request("GET", url, cookies={"a": "1"}, connector=connector):
            pass
    assert sent(site) == ["a=1", "a=1", None]
