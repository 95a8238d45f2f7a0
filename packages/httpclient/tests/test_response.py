"""What a response tells, and how its body becomes text and JSON."""

from __future__ import annotations

import json

import pytest
from yarl import URL

import httpclient

from .conftest import Peer, Serve, counts, response


def plays(body: bytes, content_type: str | None = None, status: bytes = b"200 OK"):
    """Return a script that answers each request with this."""
    head = f"Content-Type: {content_type}\r\n".encode() if content_type is not None else b""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(response(body, head, status))

    return script


async def test_head_is_told_as_received(serve: Serve) -> None:
    script = plays(b"x", 'Text/HTML; Charset="Latin-1"', b"299 Why Not")
    async with serve(script) as origin, httpclient.ClientSession() as session:
        url = f"{origin.url}a?b#frag"
        async with session.get(url) as resp:
            assert (resp.status, resp.reason, resp.ok) == (299, "Why Not", True)
            assert resp.version == httpclient.HttpVersion11
            assert resp.method == "GET"
            assert resp.real_url == URL(url)
            assert resp.url == URL(url).with_fragment(None)
            assert resp.host == "127.0.0.1"
            assert resp.headers["content-length"] == "1"
            assert resp.raw_headers[0] == (b"Content-Length", b"1")
            assert resp.content_type == "text/html"
            assert resp.charset == "Latin-1"
            assert resp.content_length == 1
            assert resp.history == ()
            assert resp.request_info.real_url == URL(url)
            assert resp.request_info.headers["Host"] == f"127.0.0.1:{origin.port}"
            assert resp.closed
            assert resp.connection is None
            assert "299 Why Not" in repr(resp)


@pytest.mark.parametrize("value", [None, "nonsense", "text", "/", "text/html/x, y"])
async def test_content_type_that_is_none_is_octets(serve: Serve, value: str | None) -> None:
    async with (
        serve(plays(b"x", value)) as origin,
        httpclient.ClientSession() as session,
        session.get(origin.url) as resp,
    ):
        assert resp.content_type == "application/octet-stream"
        assert resp.charset is None


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain; charset=latin-1", b"\xfc", "ü"),
        ('text/plain; a="b;charset=ascii"; charset="utf-16-le"', "ü".encode("utf-16-le"), "ü"),
        ("text/plain", "ü".encode(), "ü"),
        ("text/plain; charset=nonsense", "ü".encode(), "ü"),
        ("text/plain; charset=base64", "ü".encode(), "ü"),
        ("text/plain; charset=idna", "ü".encode(), "ü"),
        ("text/plain; charset=unicode_escape", b"\\n", "\\n"),
        ("application/json", '"ü"'.encode(), '"ü"'),
    ],
)
async def test_text_uses_the_charset_if_python_has_it(
    serve: Serve, content_type: str, body: bytes, text: str
) -> None:
    async with (
        serve(plays(body, content_type)) as origin,
        httpclient.ClientSession() as session,
        session.get(origin.url) as resp,
    ):
        assert await resp.text() == text


async def test_text_without_charset_asks_the_resolver(serve: Serve) -> None:
    def resolver(resp: httpclient.ClientResponse, body: bytes) -> str:
        assert resp.status == 200
        assert body == b"\xfc"
        return "latin-1"

    async with (
        serve(plays(b"\xfc", "text/plain")) as origin,
        httpclient.ClientSession(fallback_charset_resolver=resolver) as session,
        session.get(origin.url) as resp,
    ):
        with pytest.raises(RuntimeError, match="not yet read"):
            resp.get_encoding()
        assert await resp.text() == "ü"
        assert resp.get_encoding() == "latin-1"
        assert await resp.text("cp1250") == "ü"
        with pytest.raises(UnicodeDecodeError):
            await resp.text("utf-8")
        assert await resp.text("utf-8", errors="replace") == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("content_type", "expected", "fits"),
    [
        ("application/json", "application/json", True),
        ("Application/JSON; charset=utf-8", "application/json", True),
        ("application/problem+json", "application/json", True),
        ("application/jsonp", "application/json", False),
        ("text/json", "application/json", False),
        ("text/json", "text/json", True),
        ("text/jsonx", "text/json", False),
        ("text/html", None, True),
    ],
)
async def test_json_checks_the_type_exactly(
    serve: Serve, content_type: str, expected: str | None, fits: bool
) -> None:
    async with (
        serve(plays(b' {"a": "\xc3\xbc"} ', content_type)) as origin,
        httpclient.ClientSession() as session,
        session.get(origin.url) as resp,
    ):
        if fits:
            assert await resp.json(content_type=expected) == {"a": "ü"}
        else:
            with pytest.raises(httpclient.ContentTypeError, match="unexpected mimetype") as caught:
                await resp.json(content_type=expected)
            assert caught.value.status == 200
            assert caught.value.headers is not None


@pytest.mark.parametrize(
    ("body", "error"), [(b"{", json.JSONDecodeError), (b"[" * 100_000, ValueError)]
)
async def test_json_that_is_none_raises_value_error(
    serve: Serve, body: bytes, error: type[Exception]
) -> None:
    async with (
        serve(plays(body, "application/json")) as origin,
        httpclient.ClientSession() as session,
        session.get(origin.url) as resp,
    ):
        with pytest.raises(error):
            await resp.json()


async def test_json_of_blank_body_is_none(serve: Serve) -> None:
    async with (
        serve(plays(b" \n", "application/json")) as origin,
        httpclient.ClientSession() as session,
        session.get(origin.url) as resp,
    ):
        assert await resp.json(loads=lambda text: pytest.fail(text)) is None


async def test_body_that_was_read_is_kept_after_release(serve: Serve) -> None:
    async with serve(plays(b"x", "text/plain")) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert await resp.read() == b"x"
        assert await resp.read() == b"x"
        assert await resp.text() == "x"


@pytest.mark.parametrize("body", [b"short", bytes(1_000_000)])
async def test_body_that_was_not_read_is_lost_after_release(serve: Serve, body: bytes) -> None:
    async with serve(plays(body)) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            pass
        await resp.release()
        resp.close()
        with pytest.raises(httpclient.ClientConnectionError, match="Connection closed"):
            await resp.read()
        with pytest.raises(httpclient.ClientConnectionError, match="Connection closed"):
            await resp.content.read()


async def test_read_after_part_of_content_gives_the_rest(serve: Serve) -> None:
    async with serve(plays(b"0123456789")) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url) as resp:
            assert await resp.content.read(3) == b"012"
            assert await resp.read() == b"3456789"
        async with session.get(origin.url) as resp:
            assert await resp.read() == b"0123456789"
            assert await resp.content.read() == b""


async def test_raise_for_status_outside_of_context_releases(serve: Serve) -> None:
    async with serve(plays(b"no", status=b"404 Not Found")) as origin:
        async with httpclient.ClientSession() as session:
            resp = await session.get(origin.url)
            assert not resp.ok
            with pytest.raises(httpclient.ClientResponseError, match="404") as caught:
                resp.raise_for_status()
            assert caught.value.message == "Not Found"
            with pytest.raises(httpclient.ClientConnectionError):
                await resp.read()
            async with session.get(origin.url) as resp:
                with pytest.raises(httpclient.ClientResponseError):
                    resp.raise_for_status()
                assert await resp.read() == b"no"
            assert counts(session) == (0, 1)


async def test_raise_for_status_of_session_and_of_request(serve: Serve) -> None:
    seen = []

    async def check(resp: httpclient.ClientResponse) -> None:
        seen.append(await resp.read())
        raise RuntimeError("checked")

    async with serve(plays(b"no", status=b"500 Oops")) as origin:
        async with httpclient.ClientSession(raise_for_status=True) as session:
            with pytest.raises(httpclient.ClientResponseError, match="500"):
                await session.get(origin.url)
            assert (await session.get(origin.url, raise_for_status=False)).status == 500
            with pytest.raises(RuntimeError, match="checked"):
                await session.get(origin.url, raise_for_status=check)
            assert seen == [b"no"]
