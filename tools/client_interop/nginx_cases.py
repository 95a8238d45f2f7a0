"""Cases with nginx as the server, and one with Python's own server of HTTP/1.0."""

import gzip
import hashlib
import ssl
import time
from collections.abc import AsyncIterator
from typing import Final

import anyio
import pytest

import httpclient
from httpclient import ClientSession

from .servers import BIG, LOGIN, PASSWORD, TEXT, Servers

# Larger than what nginx, and the kernel in between, take before they look.
_HUGE: Final = 64 * 2**20


async def _pieces(data: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def files(servers: Servers, session: ClientSession) -> None:
    """nginx: GET, HEAD, 304, 404, 405 of files"""
    url = f"{servers.nginx}/text.txt"
    async with session.get(url) as response:
        assert (response.status, await response.read()) == (200, TEXT)
        etag, modified = response.headers["ETag"], response.headers["Last-Modified"]
    async with session.head(url) as response:
        assert (response.content_length, await response.read()) == (len(TEXT), b"")
    for headers in ({"If-None-Match": etag}, {"If-Modified-Since": modified}):
        async with session.get(url, headers=headers) as response:
            assert (response.status, await response.read()) == (304, b"")
    async with session.get(f"{servers.nginx}/missing") as response:
        assert (response.status, response.reason) == (404, "Not Found")
    async with session.post(url, data=b"x") as response:
        assert response.status == 405
    async with session.get(f"{servers.nginx}/empty") as response:
        assert (response.status, await response.read()) == (204, b"")


async def ranges(servers: Servers, session: ClientSession) -> None:
    """nginx: ranges, one and several, and none that can be had"""
    url = f"{servers.nginx}/big.bin"
    for value, part in (
        ("bytes=1000-1999", BIG[1000:2000]),
        ("bytes=-10", BIG[-10:]),
        (f"bytes={len(BIG) - 5}-", BIG[-5:]),
    ):
        async with session.get(url, headers={"Range": value}) as response:
            assert (response.status, await response.read()) == (206, part)
    async with session.get(url, headers={"Range": "bytes=0-1,5-6"}) as response:
        assert (response.status, response.content_type) == (206, "multipart/byteranges")
        body = await response.read()
        assert BIG[:2] in body
        assert BIG[5:7] in body
    async with session.get(url, headers={"Range": f"bytes={len(BIG)}-"}) as response:
        assert response.status == 416


async def packed(servers: Servers, session: ClientSession) -> None:
    """nginx: gzip made on the way, in chunks"""
    url = f"{servers.nginx}/packed/text.txt"
    async with session.get(url) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert await response.text() == TEXT.decode()
    async with session.get(url, auto_decompress=False) as response:
        assert gzip.decompress(await response.read()) == TEXT
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as response:
        assert "Content-Encoding" not in response.headers
        assert await response.read() == TEXT


async def keep_alive(servers: Servers, session: ClientSession) -> None:
    """nginx: 300 requests of all kinds over one connection"""
    seen = set()
    for path, body in (("/text.txt", TEXT), ("/packed/text.txt", TEXT), ("/missing", None)):
        for _ in range(100):
            async with session.get(servers.nginx + path) as response:
                seen.add(response.headers["X-Connection"])
                assert body in (None, await response.read())
    assert len(seen) == 1, seen


async def few_requests(servers: Servers, session: ClientSession) -> None:
    """nginx: it closes after every fifth request"""
    seen = set()
    for _ in range(50):
        async with session.get(f"{servers.nginx}/few/text.txt") as response:
            seen.add(response.headers["X-Connection"])
            assert await response.read() == TEXT
    assert len(seen) == 10, seen


async def closed_idle(servers: Servers, session: ClientSession) -> None:
    """nginx: it closed the idle connection; GET and POST go on with another"""
    seen = set()
    for method in ("GET", "POST", "GET"):
        async with session.request(method, f"{servers.nginx}/brief/text.txt") as response:
            seen.add(response.headers["X-Connection"])
            assert response.status == (405 if method == "POST" else 200)
            await response.read()
        await anyio.sleep(1.3)
    assert len(seen) == 3, seen


async def crowd(servers: Servers, session: ClientSession) -> None:
    """nginx: 100 tasks share 10 connections"""
    seen = set()

    async def ask(session: ClientSession) -> None:
        for _ in range(10):
            async with session.get(f"{servers.nginx}/text.txt") as response:
                seen.add(response.headers["X-Connection"])
                assert await response.read() == TEXT

    async with (
        ClientSession(connector=httpclient.TCPConnector(limit=10)) as own,
        anyio.create_task_group() as group,
    ):
        for _ in range(100):
            group.start_soon(ask, own)
    assert len(seen) <= 10, seen


async def streaming(servers: Servers, session: ClientSession) -> None:
    """nginx: 8 MiB read in pieces, by a slow reader, and left in the middle"""
    url = f"{servers.nginx}/big.bin"
    digest, expected = hashlib.sha256(), hashlib.sha256(BIG).digest()
    async with session.get(url) as response:
        async for piece in response.content.iter_chunked(10_000):
            assert len(piece) <= 10_000
            digest.update(piece)
    assert digest.digest() == expected
    digest, pieces = hashlib.sha256(), 0
    async with session.get(url, read_bufsize=16384) as response:
        async for piece in response.content.iter_any():
            pieces += 1
            if pieces % 10 == 0:
                await anyio.sleep(0.001)
            digest.update(piece)
    assert digest.digest() == expected
    for _ in range(5):
        async with session.get(url) as response:
            assert await response.content.readexactly(100) == BIG[:100]
    async with session.get(url) as response:
        assert await response.read() == BIG


async def uploads(servers: Servers, session: ClientSession) -> None:
    """nginx: PUT of 64 MiB as bytes, as file and in chunks; DELETE"""
    data = BIG * (_HUGE // len(BIG))
    source, name = servers.folder / "huge.bin", "upload/huge.bin"
    source.write_bytes(data)
    stored = servers.files / name
    for body in (data, source, _pieces(data, 100_000)):
        tracker = httpclient.UploadTracker()
        url = f"{servers.nginx}/{name}"
        async with session.put(url, data=body, upload_tracker=tracker) as response:
            assert response.status in (201, 204), response
        await tracker.upload_complete
        assert tracker.bytes_written == len(data)
        assert stored.read_bytes() == data
    async with session.delete(f"{servers.nginx}/{name}") as response:
        assert response.status == 204
    assert not stored.exists()


async def continued(servers: Servers, session: ClientSession) -> None:
    """nginx: 100 Continue before an upload, with and without length"""
    for number, body in enumerate((BIG, _pieces(BIG))):
        began = time.monotonic()
        url = f"{servers.nginx}/upload/continued-{number}"
        async with session.put(url, data=body, expect100=True) as response:
            assert response.status in (201, 204), response
        # Without an answer the client would have waited for a second.
        assert time.monotonic() - began < 1
        assert (servers.files / f"upload/continued-{number}").read_bytes() == BIG


async def not_continued(servers: Servers, session: ClientSession) -> None:
    """nginx: 413 in place of 100 Continue; no body is sent"""
    tracker = httpclient.UploadTracker()
    url = f"{servers.nginx}/small/a"
    async with session.put(url, data=BIG, expect100=True, upload_tracker=tracker) as response:
        assert response.status == 413
    assert tracker.bytes_written == 0
    assert isinstance(tracker.upload_complete.exception(), httpclient.UploadAbortedError)


async def early(servers: Servers, session: ClientSession) -> None:
    """nginx: 413, 401 and 403 while a large body is being sent"""
    data = BIG * (_HUGE // len(BIG))
    for path, status in (("small/a", 413), ("secret/a", 401), ("forbidden/a", 403)):
        for body in (BIG, data, _pieces(data)):
            async with session.put(f"{servers.nginx}/{path}", data=body) as response:
                assert response.status == status, (path, type(body), response)
                await response.read()
    async with session.get(f"{servers.nginx}/text.txt") as response:
        assert await response.read() == TEXT


async def basic(servers: Servers, session: ClientSession) -> None:
    """nginx: Basic, wrong and right"""
    url = f"{servers.nginx}/secret/text.txt"
    for password, status in ((None, 401), ("wrong", 401), (PASSWORD, 200)):
        headers = {}
        if password is not None:
            headers["Authorization"] = httpclient.encode_basic_auth(LOGIN, password)
        async with session.get(url, headers=headers) as response:
            assert response.status == status


async def chunked(servers: Servers, session: ClientSession) -> None:
    """nginx, then httpbin: chunks both ways, passed on as they come"""
    async with session.get(f"{servers.nginx}/chunked/stream/50") as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert len([line async for line in response.iter_lines()]) == 50
    async with session.get(f"{servers.nginx}/chunked/stream-bytes/100000") as response:
        assert len(await response.read()) == 100_000
    body = b"0123456789" * 100_000
    async with session.post(f"{servers.nginx}/chunked/post", data=_pieces(body)) as response:
        assert (await response.json())["data"] == body.decode()


async def old_upstream(servers: Servers, session: ClientSession) -> None:
    """nginx, then httpbin by HTTP/1.0"""
    async with session.get(f"{servers.nginx}/http10/stream/50") as response:
        assert len((await response.read()).splitlines()) == 50
    async with session.post(f"{servers.nginx}/http10/post", data=_pieces(b"abc" * 10)) as response:
        assert (await response.json())["data"] == "abc" * 10


async def old_client(servers: Servers, session: ClientSession) -> None:
    """nginx: requests of HTTP/1.0, with bodies that end with the connection"""
    async with ClientSession(version=httpclient.HttpVersion10) as own:
        for _ in range(3):
            async with own.get(f"{servers.nginx}/text.txt") as response:
                assert await response.read() == TEXT
            async with own.get(f"{servers.nginx}/packed/text.txt") as response:
                assert await response.text() == TEXT.decode()
            async with own.get(f"{servers.nginx}/chunked/stream/50") as response:
                assert "Transfer-Encoding" not in response.headers
                assert len((await response.read()).splitlines()) == 50
            async with own.put(f"{servers.nginx}/upload/old", data=BIG) as response:
                assert response.status in (201, 204)


async def old_server(servers: Servers, session: ClientSession) -> None:
    """http.server: answers of HTTP/1.0"""
    for _ in range(3):
        async with session.get(f"{servers.old}/big.bin") as response:
            assert response.version == httpclient.HttpVersion10
            assert await response.read() == BIG
        async with session.head(f"{servers.old}/text.txt") as response:
            assert response.content_length == len(TEXT)
        async with session.get(f"{servers.old}/missing") as response:
            assert response.status == 404
        async with session.get(f"{servers.old}/upload") as response:
            # It redirects folders to their name with a slash.
            assert response.url.path == "/upload/"
            assert response.content_type == "text/html"


async def bad_gateway(servers: Servers, session: ClientSession) -> None:
    """nginx: 502 as an error of `raise_for_status`; nobody listens"""
    with pytest.raises(httpclient.ClientResponseError, match="502, message='Bad Gateway'"):
        await session.get(f"{servers.nginx}/dead/", raise_for_status=True)
    with pytest.raises(httpclient.ClientConnectorError) as caught:
        await session.get(servers.closed)
    assert isinstance(caught.value.os_error, ConnectionRefusedError)


async def download(servers: Servers, session: ClientSession) -> None:
    """nginx: a download that breaks off and is resumed, with its digest"""
    target = anyio.Path(servers.folder / "downloaded.bin")
    url = f"{servers.nginx}/slow/big.bin"
    await target.unlink(missing_ok=True)
    with anyio.CancelScope() as scope:

        def give_up(done: int, total: int | None) -> None:
            assert total == len(BIG)
            if done > 2**21:
                scope.cancel()

        await session.download(url, str(target), progress=give_up)
    assert scope.cancelled_caught
    assert not await target.exists()
    digest = f"sha256:{hashlib.sha256(BIG).hexdigest()}"
    result = await session.download(url, str(target), digest=digest)
    assert (result.size, result.digest) == (len(BIG), digest)
    assert 0 < result.resumed_from < len(BIG), result
    assert await target.read_bytes() == BIG
    result = await session.download(url, str(target), overwrite=True, resume=False)
    assert result.resumed_from == 0


async def tls(servers: Servers, session: ClientSession) -> None:
    """nginx, TLS: keep-alive, 8 MiB both ways, chunks"""
    context, seen = servers.context(), set()
    for _ in range(20):
        async with session.get(f"{servers.nginx_tls}/big.bin", ssl=context) as response:
            seen.add(response.headers["X-Connection"])
            assert await response.read() == BIG
    assert len(seen) == 1, seen
    body = b"0123456789" * 100_000
    url = f"{servers.nginx_tls}/chunked/post"
    for data in (body, _pieces(body)):
        async with session.post(url, data=data, ssl=context) as response:
            assert (await response.json())["data"] == body.decode()


async def tls_versions(servers: Servers, session: ClientSession) -> None:
    """nginx, TLS: 1.2 and 1.3"""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = servers.context()
        context.minimum_version = context.maximum_version = version
        async with session.get(f"{servers.nginx_tls}/text.txt", ssl=context) as response:
            assert await response.read() == TEXT


async def tls_refused(servers: Servers, session: ClientSession) -> None:
    """nginx, TLS: unknown authority, wrong name, fingerprints, plain text"""
    url = f"{servers.nginx_tls}/text.txt"
    with pytest.raises(httpclient.ClientConnectorCertificateError):
        await session.get(url)
    with pytest.raises(httpclient.ClientConnectorCertificateError):
        await session.get(url, ssl=servers.context(), server_hostname="other.example")
    async with session.get(url, ssl=False) as response:
        assert await response.read() == TEXT
    with pytest.raises(httpclient.ServerFingerprintMismatch) as caught:
        await session.get(url, ssl=httpclient.Fingerprint(bytes(32)))
    async with session.get(url, ssl=httpclient.Fingerprint(caught.value.got)) as response:
        assert await response.read() == TEXT
    async with session.get(url.replace("https", "http")) as response:
        assert response.status == 400
    with pytest.raises(httpclient.ClientConnectorSSLError):
        await session.get(f"{servers.nginx.replace('http', 'https')}/text.txt")


async def tls_mutual(servers: Servers, session: ClientSession) -> None:
    """nginx, TLS: a certificate of the client"""
    url = f"{servers.nginx_mutual}/text.txt"
    async with session.get(url, ssl=servers.context(certified=True)) as response:
        assert await response.read() == TEXT
        assert f"CN={LOGIN}" in response.headers["X-Login"]
    async with session.get(url, ssl=servers.context()) as response:
        assert response.status == 400


async def tls_once(servers: Servers, session: ClientSession) -> None:
    """nginx, TLS: connections that are used once, and closed with their session"""
    url, context = f"{servers.nginx_tls}/text.txt", servers.context()
    for _ in range(10):
        async with httpclient.request("GET", url, ssl=context) as response:
            assert await response.read() == TEXT
    async with (
        ClientSession(headers={"Connection": "close"}) as own,
        own.get(url, ssl=context) as response,
    ):
        assert await response.read() == TEXT


async def insecure_redirect(servers: Servers, session: ClientSession) -> None:
    """nginx, TLS: a redirect to http is refused unless allowed"""
    url, context = f"{servers.nginx_tls}/down", servers.context()
    with pytest.raises(httpclient.InsecureRedirectError):
        await session.get(url, ssl=context)
    async with (
        ClientSession(allow_insecure_redirects=True) as own,
        own.get(url, ssl=context) as response,
    ):
        assert await response.read() == TEXT
        assert [earlier.status for earlier in response.history] == [302]


CASES: Final = (
    files,
    ranges,
    packed,
    keep_alive,
    few_requests,
    closed_idle,
    crowd,
    streaming,
    uploads,
    continued,
    not_continued,
    early,
    basic,
    chunked,
    old_upstream,
    old_client,
    old_server,
    bad_gateway,
    download,
    tls,
    tls_versions,
    tls_refused,
    tls_mutual,
    tls_once,
    insecure_redirect,
)
