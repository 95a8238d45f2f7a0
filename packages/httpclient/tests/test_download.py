"""Downloads: whole, gone on with, checked, and never half a file under its name."""

# ruff: noqa: ASYNC240 - a look at a small file between two steps keeps nobody waiting

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
from yarl import URL

import httpclient
from httpclient import download
from httpclient._part_file import PartFile, PartState

from .conftest import Peer, Serve, response

DATA = bytes(range(256)) * 16  # 4096
SHA = hashlib.sha256(DATA).hexdigest()
OLD = "Thu, 01 Jan 2026 00:00:00 GMT"
NOW = "Thu, 01 Jan 2026 00:10:00 GMT"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file.bin"


def no_pause(attempt: int) -> float:
    return 0.0


def part_of(target: Path) -> Path:
    return target.parent / f".{target.name}.part"


def state_of(target: Path) -> Path:
    return target.parent / f".{target.name}.part.json"


def leave_part(target: Path, url: str, size: int, **changes: Any) -> None:
    """Leave what a download that broke off would have left."""
    state = {
        "version": 1,
        "source": hashlib.sha256(url.encode()).hexdigest(),
        "validator": '"v1"',
        "total": len(DATA),
        "filename": None,
    }
    part_of(target).write_bytes(DATA[:size])
    state_of(target).write_text(json.dumps(state | changes))


def offset_of(head: bytes) -> int | None:
    match = re.search(rb"Range: bytes=([0-9]+)-\r\n", head)
    return int(match[1]) if match else None


def part(start: int, data: bytes = DATA, head: bytes = b'ETag: "v1"\r\n') -> bytes:
    """Return a 206 with what follows `start`."""
    where = b"Content-Range: bytes %d-%d/%d\r\n" % (start, len(data) - 1, len(data))
    return response(data[start:], head + where, b"206 Partial Content")


class Cut(NamedTuple):
    """An answer behind which the connection breaks, once the client has its bytes."""

    message: bytes
    until: int


def cut(message: bytes, kept: int, start: int = 0) -> Cut:
    """Keep the head of a message and `kept` bytes of its body, which begins at `start`."""
    return Cut(message[: message.index(b"\r\n\r\n") + 4 + kept], start + kept)


class Answers:
    """A server with one answer for each request, and a closed connection behind it.

    Bytes and end of a connection that come together are nobody's: the stream has the error
    in front. So the end waits until the client tells that it has the bytes.
    """

    def __init__(self, *answers: bytes | Cut | Callable[[bytes], bytes]) -> None:
        self._answers = list(answers)
        self._until = 0
        self._taken: anyio.Event | None = None

    async def __call__(self, peer: Peer) -> None:
        head = await peer.head()
        answer = self._answers.pop(0)
        if isinstance(answer, Cut):
            self._until, self._taken = answer.until, anyio.Event()
            await peer.send(answer.message)
            await self._taken.wait()
        else:
            await peer.send(answer if isinstance(answer, bytes) else answer(head))
        await peer.close()

    def progress(self, size: int, total: int | None) -> None:
        if self._taken is not None and size >= self._until:
            self._taken.set()

    async def fetch(
        self, session: httpclient.ClientSession, url: str, path: Path, **options: Any
    ) -> httpclient.DownloadResult:
        """Download without pauses."""
        options = {"backoff": no_pause, "progress": self.progress} | options
        return await download(session, url, path, **options)


async def test_file_appears_with_its_content(serve: Serve, target: Path) -> None:
    told: list[tuple[int, int | None]] = []
    script = Answers(response(DATA, b'ETag: "v1"\r\nContent-Encoding: x-odd\r\n'))
    async with serve(script) as origin, httpclient.ClientSession() as session:
        result = await download(
            session,
            f"{origin.url}a?b=c#d",
            target,
            progress=lambda size, total: told.append((size, total)),
            digest=f"sha256:{SHA}",
            headers={"X-Own": "1", "Accept-Encoding": "gzip"},
        )
    assert target.read_bytes() == DATA
    assert os.listdir(target.parent) == ["file.bin"]
    assert (result.path, result.size, result.resumed_from, result.requests) == (target, 4096, 0, 1)
    assert result.digest == f"sha256:{SHA}"
    assert str(result.url) == f"{origin.url}a?b=c"
    assert result.headers["ETag"] == '"v1"'
    assert told[0] == (0, 4096)
    assert told[-1] == (4096, 4096)
    (head,) = origin.heads
    assert "Accept-Encoding: identity\r\n" in head
    assert "gzip" not in head
    assert "X-Own: 1\r\n" in head
    assert "Range" not in head


async def test_large_file_is_written_in_batches(serve: Serve, target: Path) -> None:
    data = os.urandom(3 * 2**20 + 5)
    async with serve(Answers(response(data))) as origin, httpclient.ClientSession() as session:
        result = await download(
            session, origin.url, target, digest=("SHA256", hashlib.sha256(data).hexdigest().upper())
        )
    assert target.read_bytes() == data
    assert result.size == len(data)


async def test_empty_file_is_a_file(serve: Serve, target: Path) -> None:
    async with serve(Answers(response(b""))) as origin, httpclient.ClientSession() as session:
        assert (await download(session, origin.url, target)).size == 0
    assert target.read_bytes() == b""


async def test_length_may_be_unknown(serve: Serve, target: Path) -> None:
    told: list[tuple[int, int | None]] = []
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    async with serve(Answers(chunked)) as origin, httpclient.ClientSession() as session:
        await download(session, origin.url, target, progress=lambda *at: told.append(at))
    assert target.read_bytes() == b"ab"
    assert told == [(0, None), (2, None)]


async def test_base_url_and_params_count(serve: Serve, target: Path) -> None:
    script = Answers(response(DATA), response(DATA))
    async with serve(script) as origin, httpclient.ClientSession(origin.url) as session:
        await download(session, "a", target, params={"b": "1"})
        with pytest.raises(httpclient.InvalidURL):
            await download(session, "http://", target)
    assert origin.heads[0].startswith("GET /a?b=1 HTTP/1.1\r\n")


@pytest.mark.parametrize("kept", [1, 255, 2048, 4095])
async def test_broken_connection_is_gone_on_with(serve: Serve, target: Path, kept: int) -> None:
    pauses: list[int] = []
    whole = response(DATA, b'ETag: "v1"\r\n')
    script = Answers(cut(whole, kept), lambda head: part(offset_of(head) or 0))
    async with serve(script) as origin, httpclient.ClientSession() as session:
        result = await script.fetch(
            session,
            origin.url,
            target,
            digest=f"sha256:{SHA}",
            backoff=lambda attempt: pauses.append(attempt) or 0.0,  # type: ignore[func-returns-value]
        )
    assert target.read_bytes() == DATA
    assert (result.requests, result.resumed_from) == (2, 0)
    assert pauses == [1]
    assert f"Range: bytes={kept}-\r\n" in origin.heads[1]
    assert 'If-Range: "v1"\r\n' in origin.heads[1]


async def test_several_breaks_in_one_call(serve: Serve, target: Path) -> None:
    script = Answers(
        cut(response(DATA, b'ETag: "v1"\r\n'), 100),
        cut(part(100), 1000, 100),
        b"",
        cut(part(1100), 10, 1100),
        part(1110),
    )
    async with serve(script) as origin, httpclient.ClientSession() as session:
        result = await script.fetch(session, origin.url, target, max_resumes=4)
    assert target.read_bytes() == DATA
    assert result.requests == 4  # the one without an answer does not count


async def test_breaks_beyond_max_resumes_are_raised_and_the_part_kept(
    serve: Serve, target: Path
) -> None:
    script = Answers(
        cut(response(DATA, b'ETag: "v1"\r\n'), 100), cut(part(100), 10, 100), part(110)
    )
    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.ClientPayloadError):
            await script.fetch(session, origin.url, target, max_resumes=1)
        assert part_of(target).read_bytes() == DATA[:110]
        assert not target.exists()
        assert stat.S_IMODE(state_of(target).stat().st_mode) == 0o600
        assert origin.url not in state_of(target).read_text()
        result = await download(session, origin.url, target, digest=f"sha256:{SHA}")
    assert (result.resumed_from, result.requests) == (110, 1)
    assert target.read_bytes() == DATA
    assert os.listdir(target.parent) == ["file.bin"]


async def test_first_connection_must_succeed(serve: Serve, target: Path) -> None:
    script = Answers(b"", response(DATA))
    async with serve(script) as origin:
        async with httpclient.ClientSession() as session:
            with pytest.raises(httpclient.ServerDisconnectedError):
                await script.fetch(session, origin.url, target)
    assert os.listdir(target.parent) == []
    assert origin.accepted == 1


@pytest.mark.parametrize(
    ("head", "condition"),
    [
        (b'ETag: "x"\r\n', '"x"'),
        (b'ETag: W/"x"\r\n', None),
        (b"ETag: x\r\n", None),
        (b"", None),
        (b'ETag: "x"\r\nAccept-Ranges: none\r\n', None),
        (f"Last-Modified: {OLD}\r\nDate: {NOW}\r\n".encode(), OLD),
        (f'ETag: W/"x"\r\nLast-Modified: {OLD}\r\nDate: {NOW}\r\n'.encode(), OLD),
        (f"Last-Modified: {OLD}\r\nDate: {OLD}\r\n".encode(), None),
        (f"Last-Modified: {OLD}\r\n".encode(), None),
    ],
)
async def test_only_a_strong_validator_is_gone_on_with(
    serve: Serve, target: Path, head: bytes, condition: str | None
) -> None:
    script = Answers(
        cut(response(DATA, head), 100),
        response(DATA, head) if condition is None else part(100, head=head),
    )
    async with serve(script) as origin, httpclient.ClientSession() as session:
        await script.fetch(session, origin.url, target)
    assert target.read_bytes() == DATA
    if condition is None:
        assert "Range" not in origin.heads[1].replace("Accept-Ranges", "")
    else:
        assert f"If-Range: {condition}\r\n" in origin.heads[1]


async def test_200_instead_of_206_starts_over(serve: Serve, target: Path) -> None:
    other = DATA[::-1]
    script = Answers(
        cut(response(DATA, b'ETag: "v1"\r\n'), 3000),
        cut(response(other[:2000], b'ETag: "v2"\r\n'), 1000),
        part(1000, other[:2000], b'ETag: "v2"\r\n'),
    )
    async with serve(script) as origin, httpclient.ClientSession() as session:
        digest = hashlib.sha256(other[:2000]).hexdigest()
        result = await script.fetch(session, origin.url, target, digest=("sha256", digest))
    assert target.read_bytes() == other[:2000]
    assert 'If-Range: "v2"\r\n' in origin.heads[2]
    assert result.size == 2000


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(part(100, DATA[::-1], b'ETag: "v2"\r\n'), id="other tag"),
        pytest.param(part(100, DATA[::-1], b'ETag: W/"v1"\r\n'), id="weak tag"),
        pytest.param(part(100, DATA + b"more"), id="other size"),
        pytest.param(
            response(b"", b"Content-Range: bytes */5000\r\n", b"416 No"), id="416, other size"
        ),
        pytest.param(response(b"", b"", b"416 No"), id="416 without size"),
    ],
)
async def test_changed_file_is_fetched_anew(serve: Serve, target: Path, second: bytes) -> None:
    whole = response(DATA, b'ETag: "v1"\r\n')
    script = Answers(cut(whole, 100), second, response(DATA, b'ETag: "v2"\r\n'))
    async with serve(script) as origin, httpclient.ClientSession() as session:
        result = await script.fetch(session, origin.url, target, digest=f"sha256:{SHA}")
    assert target.read_bytes() == DATA
    assert (result.requests, result.resumed_from) == (3, 0)
    assert "Range" not in origin.heads[2]


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (b"", DATA[100:]),
        (b"Content-Range: bytes 0-4095/4096\r\n", DATA),
        (b"Content-Range: bytes 101-4095/4096\r\n", DATA[101:]),
        (b"Content-Range: bytes 100-4096/4096\r\n", DATA[100:] + b"x"),
        (b"Content-Range: bytes 100-5000/*\r\n", DATA[100:] + b"x" * 905),
        (b"Content-Range: bytes */4096\r\n", b""),
        (b"Content-Range: items 100-4095/4096\r\n", DATA[100:]),
        (b"Content-Range: bytes 100-4095/4096\r\n", DATA[101:]),
        (b"Content-Range: bytes 100-4095/" + b"9" * 5000 + b"\r\n", DATA[100:]),
        (b"Content-Type: multipart/byteranges; boundary=a\r\n", b"--a--"),
    ],
)
async def test_wrong_partial_answer_is_an_error(
    serve: Serve, target: Path, lines: bytes, body: bytes
) -> None:
    script = Answers(
        cut(response(DATA, b'ETag: "v1"\r\n'), 100),
        response(body, lines, b"206 Partial Content"),
    )
    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.DownloadError) as info:
            await script.fetch(session, origin.url, target)
    assert info.value.rule == "content-range"
    assert str(info.value).startswith(origin.url)
    assert part_of(target).read_bytes() == DATA[:100]


async def test_server_may_send_less_than_was_asked_for(serve: Serve, target: Path) -> None:
    """RFC 9110 section 15.3.7: it is no break, costs no resume and no pause."""

    def some(head: bytes) -> bytes:
        start = offset_of(head) or 0
        where = b"Content-Range: bytes %d-%d/4096\r\n" % (start, min(start + 1500, 4096) - 1)
        return response(DATA[start : start + 1500], where, b"206 Partial Content")

    script = Answers(cut(response(DATA, b'ETag: "v1"\r\n'), 100), some, some, some)
    async with serve(script) as origin, httpclient.ClientSession() as session:
        result = await script.fetch(session, origin.url, target, max_resumes=1)
    assert target.read_bytes() == DATA
    assert result.requests == 4


async def test_size_may_become_known_on_the_way(serve: Serve, target: Path) -> None:
    chunked = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nTransfer-Encoding: chunked\r\n\r\n'
    script = Answers(
        Cut(chunked + b"64\r\n" + DATA[:100] + b"\r\n", 100),
        cut(part(100), 100, 100),
        lambda head: part(offset_of(head) or 0).replace(b"/4096", b"/*"),
    )
    async with serve(script) as origin, httpclient.ClientSession() as session:
        await script.fetch(session, origin.url, target)
    assert target.read_bytes() == DATA


async def test_partial_answer_without_any_size_is_an_error(serve: Serve, target: Path) -> None:
    chunked = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nTransfer-Encoding: chunked\r\n\r\n'
    script = Answers(
        Cut(chunked + b"64\r\n" + DATA[:100] + b"\r\n", 100), part(100).replace(b"/4096", b"/*")
    )
    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.DownloadError, match="no size"):
            await script.fetch(session, origin.url, target)


async def test_more_bytes_than_announced_are_an_error(serve: Serve, target: Path) -> None:
    where = b"Content-Range: bytes 100-4095/4096\r\n"
    script = Answers(
        cut(response(DATA, b'ETag: "v1"\r\n'), 100),
        b"HTTP/1.1 206 Partial Content\r\n"
        + where
        + b"Transfer-Encoding: chunked\r\n\r\n2000\r\n%b\r\n0\r\n\r\n" % (DATA * 2),
    )
    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.DownloadError) as info:
            await script.fetch(session, origin.url, target)
    assert info.value.rule == "too-long"
    assert os.listdir(target.parent) == []


async def test_less_bytes_than_announced_are_asked_for_and_then_an_error(
    serve: Serve, target: Path
) -> None:
    def short(head: bytes) -> bytes:
        start = offset_of(head) or 0
        where = b"Content-Range: bytes %d-4095/4096\r\n" % start
        chunk = b"A\r\n" + DATA[start : start + 10] + b"\r\n0\r\n\r\n"
        return (
            b"HTTP/1.1 206 Partial Content\r\n%bTransfer-Encoding: chunked\r\n\r\n" % where + chunk
        )

    script = Answers(cut(response(DATA, b'ETag: "v1"\r\n'), 100), short, short)
    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.DownloadError) as info:
            await script.fetch(session, origin.url, target, max_resumes=2)
    assert info.value.rule == "too-short"
    assert part_of(target).read_bytes() == DATA[:120]


@pytest.mark.parametrize("size", [100, 4096])
async def test_part_of_an_earlier_call_is_used(serve: Serve, target: Path, size: int) -> None:
    nothing_left = response(b"", b"Content-Range: bytes */4096\r\n", b"416 No")
    script = Answers(part(size) if size < 4096 else nothing_left)
    async with serve(script) as origin, httpclient.ClientSession() as session:
        leave_part(target, origin.url, size)
        result = await download(session, origin.url, target, digest=f"sha256:{SHA}")
    assert target.read_bytes() == DATA
    assert result.resumed_from == size
    assert f"Range: bytes={size}-\r\n" in origin.heads[0]


async def test_large_part_is_hashed_in_steps(
    serve: Serve, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("httpclient._part_file._HASH_STEP", 30)
    async with serve(Answers(part(100))) as origin, httpclient.ClientSession() as session:
        leave_part(target, origin.url, 100)
        await download(session, origin.url, target, digest=f"sha256:{SHA}")
    assert target.read_bytes() == DATA


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "0" * 64},
        {"validator": None},
        {"validator": "*"},
        {"validator": '"a"\r\nX: y'},
        {"validator": 1},
        {"total": 99},
        {"total": "4096"},
        {"total": True},
        {"filename": 1},
        {"version": 2},
        {"more": 1},
    ],
)
async def test_part_that_is_of_no_use_is_dropped(
    serve: Serve, target: Path, changes: dict[str, Any]
) -> None:
    async with serve(Answers(response(DATA))) as origin, httpclient.ClientSession() as session:
        leave_part(target, origin.url, 100, **changes)
        result = await download(session, origin.url, target, digest=f"sha256:{SHA}")
    assert target.read_bytes() == DATA
    assert result.resumed_from == 0
    assert "Range" not in origin.heads[0]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 1}', "[" * 60000, "1" * 70000])
async def test_malformed_side_file_is_no_obstacle(serve: Serve, target: Path, text: str) -> None:
    async with serve(Answers(response(DATA))) as origin, httpclient.ClientSession() as session:
        leave_part(target, origin.url, 100)
        state_of(target).write_text(text)
        await download(session, origin.url, target)
    assert target.read_bytes() == DATA
    assert "Range" not in origin.heads[0]


async def test_without_resume_nothing_is_taken(serve: Serve, target: Path) -> None:
    script = Answers(cut(response(DATA, b'ETag: "v2"\r\n'), 200))
    async with serve(script) as origin, httpclient.ClientSession() as session:
        leave_part(target, origin.url, 100)
        with pytest.raises(httpclient.ClientPayloadError):
            await script.fetch(session, origin.url, target, resume=False, max_resumes=0)
    assert "Range" not in origin.heads[0]
    assert part_of(target).read_bytes() == DATA[:200]


@pytest.mark.parametrize("kept", [0, 100])
async def test_wrong_digest_removes_the_part(serve: Serve, target: Path, kept: int) -> None:
    async with serve(Answers(response(DATA), part(100))) as origin:
        async with httpclient.ClientSession() as session:
            target.write_bytes(b"before")
            if kept:
                leave_part(target, origin.url, kept)
                part_of(target).write_bytes(b"x" * kept)
            with pytest.raises(httpclient.DownloadDigestError) as info:
                await download(session, origin.url, target, digest="sha256:" + "0" * 64)
    error = pickle.loads(pickle.dumps(info.value))
    assert error.expected == "sha256:" + "0" * 64
    assert error.rule == "digest"
    assert str(error) == str(info.value)
    assert target.read_bytes() == b"before"
    assert os.listdir(target.parent) == ["file.bin"]


@pytest.mark.parametrize(
    "digest",
    ["", "sha256", "sha256:", "sha256:xyz", f"sha256:{SHA}0", f"shake_128:{SHA}", f"no:{SHA}",
     ("md5", SHA), "sha256:" + "\uff10" * 64],
)  # fmt: skip
async def test_malformed_digest_is_refused(digest: Any, target: Path) -> None:
    async with httpclient.ClientSession() as session:
        with pytest.raises(ValueError, match=r"hash|digest"):
            await download(session, "http://a.test/", target, digest=digest)


@pytest.mark.parametrize(
    "options",
    [{"max_resumes": -1}, {"headers": {"range": "bytes=0-"}}, {"headers": [("If-Range", '"a"')]}],
)
async def test_arguments_out_of_range_are_refused(options: dict[str, Any], target: Path) -> None:
    async with httpclient.ClientSession() as session:
        with pytest.raises(ValueError, match=r"max_resumes|Range"):
            await download(session, "http://a.test/", target, **options)
    assert os.listdir(target.parent) == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (b"404 Not Found", httpclient.ClientResponseError),
        (b"416 No", httpclient.ClientResponseError),
        (b"503 Busy", httpclient.ClientResponseError),
        (b"204 No Content", httpclient.DownloadError),
        (b"206 Partial Content", httpclient.DownloadError),
        (b"304 Not Modified", httpclient.DownloadError),
    ],
)
async def test_other_statuses_are_errors_and_leave_nothing(
    serve: Serve, target: Path, status: bytes, error: type[Exception]
) -> None:
    answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"
    async with serve(Answers(answer)) as origin, httpclient.ClientSession() as session:
        with pytest.raises(error) as info:
            await download(session, origin.url, target)
    assert status[:3].decode() in str(info.value)
    assert os.listdir(target.parent) == []


async def test_status_is_looked_at_whatever_the_session_does_about_it(
    serve: Serve, target: Path
) -> None:
    nothing_left = response(b"", b"Content-Range: bytes */4096\r\n", b"416 No")
    async with serve(Answers(nothing_left)) as origin:
        async with httpclient.ClientSession(raise_for_status=True) as session:
            leave_part(target, origin.url, 4096)
            await download(session, origin.url, target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("chunked", [False, True])
async def test_max_size_is_kept(serve: Serve, target: Path, chunked: bool) -> None:
    answer = response(DATA)
    if chunked:
        answer = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n%b\r\n0\r\n\r\n" % DATA
        )
    async with serve(Answers(answer)) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.DownloadError, match="max_size allows 4095") as info:
            await download(session, origin.url, target, max_size=4095)
    assert info.value.rule == "max-size"
    assert os.listdir(target.parent) == []


async def test_cancelled_download_leaves_its_part(serve: Serve, target: Path) -> None:
    whole = response(DATA, b'ETag: "v1"\r\n')

    async def script(peer: Peer) -> None:
        if offset_of(await peer.head()) is None:
            await peer.send(cut(whole, 100).message)
        else:
            await peer.send(part(100))

    async with serve(script) as origin, httpclient.ClientSession() as session:
        with anyio.CancelScope() as scope:

            def stop(size: int, total: int | None) -> None:
                if size:
                    scope.cancel()

            await download(session, origin.url, target, progress=stop)
        assert scope.cancelled_caught
        assert part_of(target).read_bytes() == DATA[:100]
        assert not target.exists()
        result = await download(session, origin.url, target)
    assert result.resumed_from == 100
    assert target.read_bytes() == DATA


async def test_total_timeout_bounds_the_whole_call(serve: Serve, target: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(cut(response(DATA, b'ETag: "v1"\r\n'), 100).message)
        await peer.closed()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(TimeoutError, match=r"total timeout of 0\.2 s"):
            await download(session, origin.url, target, timeout=0.2)
    assert part_of(target).read_bytes() == DATA[:100]


async def test_silent_server_is_left_and_asked_again(serve: Serve, target: Path) -> None:
    async def script(peer: Peer) -> None:
        if (offset := offset_of(await peer.head())) is None:
            await peer.send(cut(response(DATA, b'ETag: "v1"\r\n'), 100).message)
            await peer.closed()
        else:
            await peer.send(part(offset))

    timeout = httpclient.ClientTimeout(sock_read=0.1)
    async with serve(script) as origin, httpclient.ClientSession() as session:
        await download(session, origin.url, target, timeout=timeout, backoff=no_pause)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {"sock_connect": 3, "sock_read": 60}),
        ({"timeout": 7}, {}),
        ({"timeout": None}, {}),
        ({"timeout": httpclient.ClientTimeout(total=7, connect=1)}, {"connect": 1}),
    ],
)
async def test_requests_have_no_total_of_their_own_and_nothing_is_decoded(
    target: Path, monkeypatch: pytest.MonkeyPatch, given: Any, sent: dict[str, float]
) -> None:
    seen: dict[str, Any] = {}

    async def send(self: object, method: str, url: str, options: dict[str, Any]) -> None:
        seen.update(options)
        raise KeyError

    monkeypatch.setattr(httpclient.ClientSession, "_request", send)
    timeout = httpclient.ClientTimeout(total=300, sock_connect=3)
    async with httpclient.ClientSession(timeout=timeout) as session:
        with pytest.raises(KeyError):
            await download(session, "http://a.test/", target, raise_for_status=True, **given)
    assert seen["timeout"] == httpclient.ClientTimeout(**sent)
    assert seen["auto_decompress"] is False
    assert seen["raise_for_status"] is False


async def test_error_of_the_progress_function_ends_the_download(serve: Serve, target: Path) -> None:
    def fail(size: int, total: int | None) -> None:
        raise KeyError(size)

    async with serve(Answers(response(DATA))) as origin, httpclient.ClientSession() as session:
        with pytest.raises(KeyError):
            await download(session, origin.url, target, progress=fail)
    assert os.listdir(target.parent) == []


async def test_two_downloads_do_not_write_the_same_part(serve: Serve, target: Path) -> None:
    begun = anyio.Event()
    go_on = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        begun.set()
        await go_on.wait()
        await peer.send(response(DATA))

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(download, session, origin.url, target)
            await begun.wait()
            with pytest.raises(httpclient.DownloadError) as info:
                await download(session, origin.url, target)
            go_on.set()
    assert info.value.rule == "busy"
    assert target.read_bytes() == DATA


# Places.


async def test_existing_file_is_replaced_unless_that_is_unwanted(
    serve: Serve, target: Path
) -> None:
    target.write_bytes(b"before")
    async with serve(Answers(response(DATA))) as origin, httpclient.ClientSession() as session:
        with pytest.raises(FileExistsError, match="overwrite"):
            await download(session, origin.url, target, overwrite=False)
        assert origin.heads == []
        await download(session, origin.url, target)
    assert target.read_bytes() == DATA


async def test_link_is_followed(serve: Serve, target: Path) -> None:
    link = target.parent / "link"
    link.symlink_to(target)
    async with serve(Answers(response(DATA))) as origin, httpclient.ClientSession() as session:
        result = await download(session, origin.url, str(link))
    assert link.is_symlink()
    assert target.read_bytes() == DATA
    assert result.path == target


@pytest.mark.parametrize(
    ("path", "head", "name"),
    [
        ("a/b.txt", b"", "b.txt"),
        ("a/b.txt", b'Content-Disposition: attachment; filename="c.txt"\r\n', "c.txt"),
        ("a/b.txt", b'Content-Disposition: attachment; filename="../../.c.txt"\r\n', "c.txt"),
        ("a/b.txt", b"Content-Disposition: ;;\r\n", "b.txt"),
        ("a/..%2f..%2fb.txt", b"", "b.txt"),
        ("a/", b"", "127.0.0.1"),
    ],
)
async def test_directory_gets_a_file_with_the_servers_name(
    serve: Serve, tmp_path: Path, path: str, head: bytes, name: str
) -> None:
    script = Answers(cut(response(DATA, b'ETag: "v1"\r\n' + head), 100), part(100))
    async with serve(script) as origin, httpclient.ClientSession() as session:
        result = await script.fetch(session, origin.url + path, tmp_path)
        assert result.path == tmp_path / name
        assert os.listdir(tmp_path) == [name]
        assert result.path.read_bytes() == DATA


async def test_server_may_not_choose_a_file_that_is_there(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"before")
    script = Answers(response(DATA), response(DATA))
    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(FileExistsError, match="overwrite=True"):
            await download(session, f"{origin.url}a", tmp_path)
        assert (tmp_path / "a").read_bytes() == b"before"
        await download(session, f"{origin.url}a", tmp_path, overwrite=True)
    assert (tmp_path / "a").read_bytes() == DATA


async def test_name_in_a_side_file_is_made_safe_again(serve: Serve, tmp_path: Path) -> None:
    async with serve(Answers(part(100))) as origin, httpclient.ClientSession() as session:
        leave_part(tmp_path / "a", f"{origin.url}a", 100, filename="../../b")
        result = await download(session, f"{origin.url}a", tmp_path)
    assert result.path == tmp_path / "b"


async def test_what_is_no_file_is_not_replaced(serve: Serve, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    async with httpclient.ClientSession() as session:
        with pytest.raises(httpclient.DownloadError) as info:
            await download(session, "http://a.test/", fifo)
        with pytest.raises(FileNotFoundError):
            await download(session, "http://a.test/", tmp_path / "no" / "file")
        with pytest.raises(FileNotFoundError):
            await download(session, "http://a.test/", f"{tmp_path}/no/")
    assert info.value.rule == "target"
    assert stat.S_ISFIFO(fifo.stat().st_mode)


async def test_long_name_has_a_part_of_another_name(serve: Serve, tmp_path: Path) -> None:
    target = tmp_path / ("x" * 255)
    async with serve(Answers(response(DATA))) as origin, httpclient.ClientSession() as session:
        await download(session, origin.url, target)
    assert os.listdir(tmp_path) == [target.name]


# The part file.


def open_part(tmp_path: Path, **options: Any) -> PartFile:
    return PartFile(str(tmp_path), "a", "s", None, **({"resume": True} | options))


def test_part_that_is_a_link_is_not_written(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    (tmp_path / ".a.part").symlink_to(other)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        open_part(tmp_path)
    assert other.read_bytes() == b"precious"


def test_part_with_a_second_name_or_of_another_kind_is_replaced(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    (tmp_path / ".a.part").hardlink_to(other)
    part = open_part(tmp_path)
    part.begin(PartState("s", '"v"', 3))
    part.write([b"a", b"b"])
    part.close()
    assert other.read_bytes() == b"precious"
    assert (tmp_path / ".a.part").read_bytes() == b"ab"

    (tmp_path / ".a.part").unlink()
    os.mkfifo(tmp_path / ".a.part")
    open_part(tmp_path).close()
    assert not (tmp_path / ".a.part").exists()


@pytest.mark.parametrize("kind", [os.mkdir, os.mkfifo, lambda path: os.symlink("other", path)])
def test_side_file_that_is_no_file_is_not_read(
    tmp_path: Path, kind: Callable[[Path], None]
) -> None:
    (tmp_path / "other").write_text('{"version": 1, "source": "s", "validator": "\\"v\\""}')
    (tmp_path / ".a.part").write_bytes(b"ab")
    kind(tmp_path / ".a.part.json")
    part = open_part(tmp_path)
    assert (part.size, part.resumable) == (0, False)
    if kind is os.mkdir:
        with pytest.raises(OSError, match="json"):
            part.close()
        return
    part.begin(PartState("s", '"v"'))
    part.write([b"x"])
    part.close()
    part = open_part(tmp_path)
    assert part.resumable
    part.discard()
    assert os.listdir(tmp_path) == ["other"]


def test_closed_part_takes_nothing(tmp_path: Path) -> None:
    part = open_part(tmp_path)
    part.close()
    part.close()
    with pytest.raises(ValueError, match="closed"):
        part.write([b"a"])


def test_new_state_has_no_old_bytes_beside_it(tmp_path: Path) -> None:
    part = open_part(tmp_path)
    part.begin(PartState("s", '"v"'))
    part.write([b"abc"])
    part.close()
    part = PartFile(str(tmp_path), "a", "s", "md5", resume=True)
    assert part.size == 3
    assert part.catch_up()
    part.begin(PartState("s", '"w"'))
    assert (tmp_path / ".a.part").read_bytes() == b""
    assert part.catch_up()
    part.write([b"x"])
    assert part.digest() == hashlib.md5(b"x").hexdigest()
    part.discard()


def test_part_that_was_finished_by_somebody_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking, whoever had the lock may rename the part to the file."""
    import fcntl

    path = tmp_path / ".a.part"
    for move in (path.unlink, lambda: (path.unlink(), path.write_bytes(b"new"))):
        monkeypatch.setattr(fcntl, "flock", lambda *_, move=move: move())
        with pytest.raises(BlockingIOError):
            open_part(tmp_path)


def test_full_disk_is_an_error_and_what_was_written_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, file: Any) -> None:
            self._file = file
            self.left = 3

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def write(self, data: memoryview) -> int:
            if not self.left:
                raise OSError(errno.ENOSPC, "full")
            count = self._file.write(data[: min(2, self.left)])
            self.left -= count
            return int(count)

    part = open_part(tmp_path)
    part.begin(PartState("s", '"v"', None))
    monkeypatch.setattr(part, "_file", Full(part._file))
    with pytest.raises(OSError, match="full"):
        part.write([b"abcdef"])
    part.close()
    part = open_part(tmp_path)
    assert (part.size, part.resumable) == (3, True)
    part.discard()


@pytest.mark.parametrize("links", [True, False])
def test_file_that_came_in_between_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def no_link(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr(os, "link", no_link)
    target = tmp_path / "a"
    target.write_bytes(b"before")
    part = open_part(tmp_path)
    part.begin(PartState("s", '"v"', 1))
    part.write([b"n"])
    with pytest.raises(FileExistsError):
        part.finish(str(target), overwrite=False)
    assert target.read_bytes() == b"before"
    target.unlink()
    part.finish(str(target), overwrite=False)
    part.close()
    assert target.read_bytes() == b"n"
    assert os.listdir(tmp_path) == ["a"]


def test_errors_of_downloads_are_picklable() -> None:
    error = httpclient.DownloadError("what", "busy", URL("http://a.test/"))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.rule, again.url) == (str(error), "busy", error.url)
    assert str(error) == "http://a.test/ - what"


def test_default_pauses_grow_up_to_half_a_minute() -> None:
    import inspect

    backoff = inspect.signature(download).parameters["backoff"].default
    for attempt in (1, 2, 6, 10_000):
        pauses = [backoff(attempt) for _ in range(200)]
        assert min(pauses) >= 0
        assert max(pauses) <= min(30, 2.0 ** min(attempt - 1, 9))
        assert len(set(pauses)) > 100
