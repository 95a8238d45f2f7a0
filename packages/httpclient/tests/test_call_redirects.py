"""Redirects that a session follows, from end to end."""

from __future__ import annotations

import io
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict
from yarl import URL

import httpclient
from httpcore_proto.aio import FormData

from .answering import Site, at_rest, in_turn, moved
from .conftest import Peer, Serve, response

FORM = {"Content-Type": "x/y", "Content-Encoding": "own", "Content-Language": "tlh"}


# What is sent to the other place.


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PUT", 301, "PUT"),
        ("PATCH", 302, "PATCH"),
        ("PUT", 303, "GET"),
        ("DELETE", 303, "GET"),
        ("DELETE", 302, "DELETE"),
        ("QUERY", 301, "QUERY"),
        ("GET", 301, "GET"),
    ],
)
async def test_method_and_body(serve: Serve, method: str, status: int, then: str) -> None:
    site = Site({"/": moved("/there", status)})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.request(method, origin.url, data=b"data", headers=FORM) as resp:
            assert (resp.status, resp.method, await resp.text()) == (200, then, "ok")
            assert resp.url == URL(origin.url) / "there"
        assert at_rest(session)
    first, second = site.asked
    assert (first.method, first.target, first.body) == (method, "/", b"data")
    keeps = then == method and status != 303
    assert (second.method, second.target) == (then, "/there")
    assert second.body == (b"data" if keeps else b"")
    for name, value in FORM.items():
        assert second.headers.get(name) == (value if keeps else None)
    assert second.headers.get("Content-Length") == ("4" if keeps else None)
    assert "Transfer-Encoding" not in second.headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_head_stays_head(serve: Serve, status: int) -> None:
    site = Site({"/": b"HTTP/1.1 %d Moved\r\nLocation: /there\r\n\r\n" % status})
    site.answers["/there"] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.head(origin.url) as resp:
            assert (resp.status, resp.history) == (status, ())
        async with session.head(origin.url, allow_redirects=True) as resp:
            assert resp.status == 200
    assert site.lines == ["HEAD /", "HEAD /", "HEAD /there"]


async def numbers() -> AsyncIterator[bytes]:
    yield b"one "
    yield b"two"


def bodies(folder: Path) -> dict[str, Any]:
    path = folder / "file"
    path.write_bytes(b"one two")
    return {
        "bytes": b"one two",
        "file": io.BytesIO(b"one two"),
        "path": path,
        "text": "one two",
    }


@pytest.mark.parametrize("kind", ["bytes", "file", "path", "text"])
@pytest.mark.parametrize("options", [{}, {"chunked": True}, {"expect100": True}])
async def test_body_is_sent_again(
    serve: Serve, tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    async def script(peer: Peer) -> None:
        for answer in (moved("/there", 307), response()):
            head = await peer.head()
            if b"Expect" in head:
                await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert (b"Expect" in head) is ("expect100" in options)
            if b"chunked" in head:
                assert await peer.read(17) == b"7\r\none two\r\n0\r\n\r\n"
            else:
                assert await peer.read(7) == b"one two"
            await peer.send(answer)

    async with serve(script) as origin, httpclient.ClientSession() as session:
        data = bodies(tmp_path)[kind]
        async with session.post(origin.url, data=data, **options) as resp:
            assert resp.status == 200
            assert len(resp.history) == 1
        assert at_rest(session)
    assert origin.accepted == 1


async def test_form_is_sent_again(serve: Serve) -> None:
    site = Site({"/": moved("/there", 308)})
    form = FormData()
    form.add_field("name", "value")
    form.add_field("file", io.BytesIO(b"content"), filename="f")
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.post(origin.url, data=form) as resp:
            assert resp.status == 200
    first, second = site.asked
    assert b"content" in first.body
    assert second.body == first.body
    assert second.headers["Content-Type"] == first.headers["Content-Type"]


async def test_body_that_is_gone_cannot_follow(serve: Serve) -> None:
    site = Site({"/": moved("/there", 307)})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.ClientPayloadError, match=r"redirected to http.*/there"):
            await session.post(origin.url, data=numbers())
        assert at_rest(session)
    assert site.lines == ["POST /"]


async def test_body_that_is_gone_may_stay_behind(serve: Serve) -> None:
    site = Site({"/": moved("/there", 303)})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        body = numbers()
        async with session.post(
            origin.url, data=body, compress=True, chunked=True, expect100=True
        ) as resp:
            assert resp.status == 200
        assert [piece async for piece in body] == []
    second = site.asked[1]
    assert (second.method, second.body) == ("GET", b"")
    for name in ("Transfer-Encoding", "Content-Encoding", "Expect", "Content-Type"):
        assert name not in second.headers


# Where it leads.


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/there?a=b", "/there?a=b"),
        ("there", "/dir/there"),
        ("../up", "/up"),
        ("?only=query", "/dir/page?only=query"),
        ("http:relative", "/dir/relative"),
        ("/%7Euser", "/~user"),
        ("/ü b", "/%C3%BC%20b"),
        ("/x#part", "/x"),
    ],
)
async def test_place(serve: Serve, location: str, target: str) -> None:
    raw = b"Location: " + location.encode() + b"\r\n"
    site = Site({"/dir/page?own=1&p=1": response(b"", raw, b"302 Found")})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.get(f"{origin.url}dir/page?own=1#own", params={"p": "1"}) as resp:
            assert resp.status == 200
            assert resp.real_url.fragment == ("part" if "#" in location else "")
    assert site.lines == ["GET /dir/page?own=1&p=1", f"GET {target}"]


async def test_place_with_a_base_url(serve: Serve) -> None:
    site = Site({"/api/a": moved("b"), "/api/b": moved("/c")})
    async with serve(site) as origin:
        async with httpclient.ClientSession(f"{origin.url}api/") as session:
            async with session.get("a") as resp:
                assert resp.status == 200
    assert site.lines == ["GET /api/a", "GET /api/b", "GET /c"]


async def test_uri_field_is_taken_where_there_is_no_location(serve: Serve) -> None:
    site = Site({"/": response(b"", b"URI: /there\r\n", b"301 Moved")})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url):
            pass
    assert site.lines == ["GET /", "GET /there"]


async def test_without_a_place_the_response_is_the_one_asked_for(serve: Serve) -> None:
    site = Site({"/": response(b"nowhere", status=b"302 Found")})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert resp.status == 302
            assert resp.history == (resp,)
            assert await resp.text() == "nowhere"
        assert at_rest(session)
    assert origin.accepted == 1


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http:///nobody", httpclient.InvalidUrlRedirectClientError),
        ("http://u:p@h/", httpclient.InvalidUrlRedirectClientError),
        ("http://[::1/", httpclient.InvalidUrlRedirectClientError),
        ("ftp://h/", httpclient.NonHttpUrlRedirectClientError),
        ("ws://h/", httpclient.NonHttpUrlRedirectClientError),
        ("file:///etc/passwd", httpclient.NonHttpUrlRedirectClientError),
    ],
)
async def test_place_where_no_request_may_go(
    serve: Serve, location: str, error: type[Exception]
) -> None:
    site = Site({"/": moved(location)})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        with pytest.raises(error) as info:
            await session.get(origin.url)
        assert isinstance(info.value, httpclient.RedirectClientError)
        assert at_rest(session)
        async with session.get(f"{origin.url}other") as resp:
            assert resp.status == 200


async def test_way_from_https_to_http(
    serve: Serve, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    plain = Site()
    async with serve(plain) as origin:
        async with serve(Site({"/": moved(origin.url)}), tls=server_tls) as secure:
            async with httpclient.ClientSession() as session:
                with pytest.raises(httpclient.InsecureRedirectError):
                    await session.get(secure.url, ssl=client_tls)
                assert at_rest(session)
                assert plain.asked == []
            async with httpclient.ClientSession(allow_insecure_redirects=True) as session:
                async with session.get(secure.url, ssl=client_tls) as resp:
                    assert resp.url == URL(origin.url)


# What is for one origin only.


async def test_other_origin_gets_no_credentials(serve: Serve) -> None:
    """RD-01: neither those of the session nor those of the call, and not on the way back."""
    here, there = Site(), Site()
    secrets = [
        ("Authorization", "Basic own"),
        ("authorization", "Basic twice"),
        ("Cookie", "own=1"),
        ("Proxy-Authorization", "Basic proxy"),
        ("X-Mine", "kept"),
    ]
    async with serve(here) as origin, serve(there) as other:
        here.answers["/"] = moved("/same", 307)
        here.answers["/same"] = moved(other.url, 307)
        there.answers["/"] = moved(f"{origin.url}back", 307)
        session_headers = {"Authorization": "Basic session", "X-Session": "kept"}
        async with httpclient.ClientSession(headers=session_headers) as session:
            await session.get(origin.url, headers=secrets, cookies={"given": "2"})
            await session.get(origin.url)
        same, foreign, back = here.asked[1], there.asked[0], here.asked[2]
        assert same.headers.getall("Authorization") == ["Basic own", "Basic twice"]
        assert same.headers["Cookie"] == "own=1; given=2"
        for asked in (foreign, back):
            assert asked.headers["X-Mine"] == asked.headers["X-Session"] == "kept"
            for name in ("Authorization", "Cookie", "Proxy-Authorization"):
                assert name not in asked.headers
        # The same where the session's own are all that there is.
        same, foreign, back = here.asked[4], there.asked[1], here.asked[5]
        assert same.headers["Authorization"] == "Basic session"
        assert "Authorization" not in foreign.headers
        assert "Authorization" not in back.headers


async def test_other_origin_is_told_its_own_host(serve: Serve) -> None:
    here, there = Site(), Site()
    async with serve(here) as origin, serve(there) as other:
        here.answers["/"] = moved("/same")
        here.answers["/same"] = moved(other.url)
        async with httpclient.ClientSession() as session:
            await session.get(origin.url, headers={"Host": "virtual.test"})
    assert [asked.headers["Host"] for asked in here.asked] == ["virtual.test"] * 2
    assert there.asked[0].headers["Host"] == f"127.0.0.1:{other.port}"


# How many, and what remains of them.


async def test_history_is_told_oldest_first(serve: Serve) -> None:
    site = Site({"/": moved("/1", 301), "/1": moved("/2", 302), "/2": moved("/3", 307)})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert [(item.status, item.url.path) for item in resp.history] == [
                (301, "/"),
                (302, "/1"),
                (307, "/2"),
            ]
            assert all(item.closed for item in resp.history)
            assert resp.history[0].headers["Location"] == "/1"
            assert resp.history[2].history == ()
    # Nothing was left of the redirects, so one connection carried all.
    assert origin.accepted == 1


@pytest.mark.parametrize(("limit", "followed"), [(None, 10), (1, 1), (3, 3)])
async def test_so_many_are_followed(serve: Serve, limit: int | None, followed: int) -> None:
    """Q6: `max_redirects=10` follows ten."""
    length = 0
    site = Site({"/": lambda asked: moved("/") if len(site.asked) <= length else response()})
    options: dict[str, Any] = {} if limit is None else {"max_redirects": limit}
    async with serve(site) as origin, httpclient.ClientSession() as session:
        length = followed
        async with session.get(origin.url, **options) as resp:
            assert len(resp.history) == followed
        site.asked.clear()
        length = followed + 1
        with pytest.raises(httpclient.TooManyRedirects, match=f"max_redirects={followed}") as info:
            await session.get(origin.url, **options)
        assert len(info.value.history) == followed + 1
        assert info.value.status == 302
        assert info.value.request_info.real_url == URL(origin.url)
        assert len(site.asked) == followed + 1
        assert at_rest(session)


async def test_one_too_many_is_closed_though_the_error_has_it(serve: Serve) -> None:
    half = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 9\r\n\r\nx"
    async with serve(Site({"/": half})) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.TooManyRedirects) as info:
            await session.get(origin.url, max_redirects=1)
        assert all(resp.closed for resp in info.value.history)
        assert at_rest(session)


async def test_any_number_is_followed_if_asked_for(serve: Serve) -> None:
    site = Site({"/": lambda asked: moved("/") if len(site.asked) <= 50 else response()})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url, max_redirects=0) as resp:
            assert len(resp.history) == 50


async def test_body_of_a_redirect_is_not_waited_for(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number:
            await peer.send(response())
        else:
            await peer.send(
                b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 9999999\r\n\r\nx"
            )

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert resp.status == 200
            with pytest.raises(httpclient.ClientConnectionError, match="Connection closed"):
                await resp.history[0].read()
        assert at_rest(session)
    assert origin.accepted == 2


async def test_status_is_looked_at_in_the_end(serve: Serve) -> None:
    seen: list[int] = []

    async def check(resp: httpclient.ClientResponse) -> None:
        seen.append(resp.status)

    site = Site({"/": moved("/gone"), "/gone": response(status=b"410 Gone")})
    async with serve(site) as origin, httpclient.ClientSession(raise_for_status=True) as session:
        with pytest.raises(httpclient.ClientResponseError) as info:
            await session.get(origin.url)
        assert (info.value.status, info.value.request_info.url.path) == (410, "/gone")
        async with session.get(origin.url, raise_for_status=check) as resp:
            assert resp.status == 410
        assert seen == [410]
        assert at_rest(session)


async def test_check_that_raises_closes_the_response(serve: Serve) -> None:
    async def check(resp: httpclient.ClientResponse) -> None:
        raise LookupError

    site = Site({"/": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        with pytest.raises(LookupError):
            await session.get(origin.url, raise_for_status=check)
        assert at_rest(session)


async def test_header_given_twice_is_sent_twice_after_a_redirect(serve: Serve) -> None:
    site = Site({"/": moved("/there")})
    headers = CIMultiDict([("X-A", "1"), ("X-A", "2")])
    async with serve(site) as origin, httpclient.ClientSession() as session:
        await session.get(origin.url, headers=headers)
    assert site.asked[1].headers.getall("X-A") == ["1", "2"]


async def test_no_body_has_no_framing_after_a_redirect(serve: Serve) -> None:
    """Q8: `chunked=True` without a body, which a 303 makes of a POST, sends no stray chunk."""
    site = Site({"/": in_turn([moved("/", 303), response()])})
    async with serve(site) as origin, httpclient.ClientSession() as session:
        async with session.post(origin.url, data=b"x", chunked=True) as resp:
            assert resp.status == 200
        async with session.get(f"{origin.url}next") as resp:
            assert resp.status == 200
    assert site.lines == ["POST /", "GET /", "GET /next"]
    assert origin.accepted == 1
