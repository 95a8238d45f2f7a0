"""Options of a call that no other module of these tests is about, from end to end."""

from __future__ import annotations

from typing import Any

import pytest

import httpclient

from .answering import Site, at_rest
from .conftest import Peer, Serve


async def test_body_without_length_may_be_taken_for_none(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nbody")
        await peer.close()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        for option, body in ((True, b"body"), (False, b"")):
            async with session.get(origin.url, read_until_eof=option) as resp:
                assert await resp.read() == body
            assert at_rest(session)
    assert origin.accepted == 2


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({}, {"max_line_size": 50}),
        ({}, {"max_field_size": 50}),
        ({}, {"max_headers": 1}),
        ({"max_headers": 1}, {}),
    ],
)
async def test_limits_of_a_call_replace_those_of_the_session(
    serve: Serve, options: dict[str, Any], wrong: dict[str, Any]
) -> None:
    head = b"HTTP/1.1 200 %b\r\nContent-Length: 2\r\nX-Long: %b\r\n\r\nok" % (b"r" * 60, b"x" * 60)
    async with serve(Site({"/": head})) as origin:
        async with httpclient.ClientSession(**options) as session:
            with pytest.raises(httpclient.ClientResponseError) as info:
                await session.get(origin.url, **wrong)
            assert info.value.status == 400
            assert at_rest(session)
            async with session.get(origin.url, max_headers=10) as resp:
                assert await resp.read() == b"ok"


async def test_version_and_skipped_fields_are_kept_to(serve: Serve) -> None:
    site = Site()
    async with serve(site) as origin:
        async with httpclient.ClientSession(
            version=httpclient.HttpVersion10, skip_auto_headers=["Accept"]
        ) as session:
            await session.get(origin.url, skip_auto_headers=["User-Agent"])
    (asked,) = site.asked
    assert origin.heads[0].startswith("GET / HTTP/1.0\r\n")
    assert asked.headers["Connection"] == "keep-alive"
    assert "Accept" not in asked.headers
    assert "User-Agent" not in asked.headers


async def test_progress_is_told(serve: Serve) -> None:
    told: list[tuple[int, int | None]] = []

    def progress(sent: int, size: int | None) -> None:
        told.append((sent, size))

    async with serve(Site()) as origin, httpclient.ClientSession() as session:
        tracker = httpclient.UploadTracker()
        async with session.put(
            origin.url, data=bytes(200_000), progress=progress, upload_tracker=tracker
        ) as resp:
            assert resp.status == 200
    assert told[-1] == (200_000, 200_000)
    assert len(told) > 1
    assert (tracker.bytes_written, tracker.attempts) == (200_000, 1)
    assert tracker.upload_complete.exception() is None
