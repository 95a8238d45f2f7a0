"""`python -m httpclient`: what goes out, what is printed, and the exit code."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio.to_thread import run_sync

from httpclient._command import main

from .conftest import Peer, Serve, response

HERE = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.fixture
def anyio_backend() -> str:
    """The server's loop; the command's own is `backend`."""
    return "asyncio"


@pytest.fixture(autouse=True)
def quiet_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.touch(0o600)
    monkeypatch.setenv("NETRC", str(netrc))


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


class Run:
    """What a run of the command left."""

    def __init__(self, stdout: io.BytesIO | None = None, stdin: bytes = b"") -> None:
        self.stdin = io.BytesIO(stdin)
        self.stdout = stdout or io.BytesIO()
        self.stderr = io.StringIO()
        self.code = -1

    async def __call__(self, *arguments: str) -> Run:
        self.code = await run_sync(main, arguments, self.stdin, self.stdout, self.stderr)
        return self

    @property
    def out(self) -> bytes:
        return self.stdout.getvalue()

    @property
    def err(self) -> str:
        return self.stderr.getvalue()


class Echo:
    """A server with one answer, which keeps what it was sent."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.bodies: list[bytes] = []

    async def __call__(self, peer: Peer) -> None:
        self.bodies.append(await peer.request())
        await peer.send(self._answer)


OK = response(b'{"a": 1}', b"Content-Type: application/json\r\n")


@HERE
async def test_body_goes_to_stdout_and_nothing_else(serve: Serve, backend: str) -> None:
    async with serve(Echo(OK)) as origin:
        run = await Run()(origin.url, "--backend", backend)
    assert (run.code, run.out, run.err) == (0, b'{"a": 1}', "")
    assert origin.heads[0].startswith("GET / HTTP/1.1\r\n")


@HERE
async def test_head_is_printed_if_asked_for_or_on_a_terminal(
    serve: Serve, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    async with serve(Echo(OK)) as origin:
        run = await Run()(origin.url, "-i", "--backend", backend)
        assert run.out == (
            b'HTTP/1.1 200 OK\nContent-Length: 8\nContent-Type: application/json\n\n{"a": 1}'
        )
        run = await Run(Terminal())(origin.url, "--backend", backend)
        assert run.out.startswith(b"HTTP/1.1 200 OK\nContent-Length: 8\n")
        assert run.out.endswith(b'\n\n{\n  "a": 1\n}\n')
        run = await Run()("HEAD", origin.url)
        assert run.out.startswith(b"HTTP/1.1 200 OK\n")


@pytest.mark.parametrize(
    ("arguments", "method", "body", "content_type"),
    [
        (["-d", "a=b"], "POST", b"a=b", "application/x-www-form-urlencoded"),
        (["-d", "a", "-d", "@FILE", "-d", "-"], "POST", b"a&file\n&in", None),
        (["PUT", "-d", "-"], "PUT", b"in", None),
        (["-d", "a", "-H", "Content-Type: text/x"], "POST", b"a", "text/x"),
        (["--json", '{"a": 1}'], "POST", b'{"a": 1}', "application/json"),
        (["-F", "a=b", "-F", "c=\u00fc"], "POST", b"a=b&c=%C3%BC", None),
    ],
)
async def test_bodies_are_sent(
    serve: Serve,
    tmp_path: Path,
    arguments: list[str],
    method: str,
    body: bytes,
    content_type: str | None,
) -> None:
    (tmp_path / "file").write_bytes(b"file\n")
    arguments = [text.replace("FILE", str(tmp_path / "file")) for text in arguments]
    script = Echo(OK)
    async with serve(script) as origin:
        run = await Run(stdin=b"in")(*arguments, origin.url)
    assert run.code == 0, run.err
    assert script.bodies == [body]
    assert origin.heads[0].startswith(f"{method} / ")
    assert origin.heads[0].count("Content-Type: ") == 1
    assert f"Content-Type: {content_type or 'application/x-www-form-urlencoded'}" in origin.heads[0]


async def test_form_with_a_file_is_multipart(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    script = Echo(OK)
    async with serve(script) as origin:
        run = await Run()(
            "-F", "a=b", "-F", f"c=@{tmp_path}/file;type=text/x;filename=d", origin.url
        )
    assert run.code == 0, run.err
    assert "Content-Type: multipart/form-data; boundary=" in origin.heads[0]
    (body,) = script.bodies
    assert b'name="c"; filename="d"\r\n' in body
    assert b"text/x" in body
    assert b"content\r\n" in body


async def test_headers_are_sent_replaced_and_left_out(serve: Serve) -> None:
    async with serve(Echo(OK)) as origin:
        await Run()("-H", "X-A: b", "-H", "X-A: c", "-H", "User-Agent:", origin.url)
    head = origin.heads[0]
    assert "X-A: b\r\nX-A: c\r\n" in head
    assert "User-Agent" not in head


@pytest.mark.parametrize(
    ("status", "check", "code"),
    [
        (b"404 Not Found", [], 0),
        (b"404 Not Found", ["--check"], 4),
        (b"503 Busy", ["--check"], 5),
        (b"599 x", ["--check"], 5),
        (b"302 Found", ["--check"], 0),
        (b"204 No Content", ["--check"], 0),
    ],
)
async def test_check_gives_the_class_of_the_status(
    serve: Serve, status: bytes, check: list[str], code: int
) -> None:
    answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"
    if not status.startswith(b"204"):
        answer = response(b"body", status=status)
    async with serve(Echo(answer)) as origin:
        run = await Run()(origin.url, *check)
    assert run.code == code
    assert run.out == (b"" if status.startswith(b"204") else b"body")


@pytest.mark.parametrize(
    ("answer", "arguments", "complaint"),
    [
        (b"", [], "isconnected"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", ["--check"], "400"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", [], "not completed"),
    ],
)
@HERE
async def test_network_and_protocol_errors_give_1(
    serve: Serve, answer: bytes, arguments: list[str], complaint: str, backend: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)
        await peer.close()

    async with serve(script) as origin:
        run = await Run()(origin.url, "--backend", backend, *arguments)
    assert run.code == 1
    assert run.err.startswith("httpclient: ")
    assert complaint in run.err
    assert run.err.count("\n") == 1


async def test_timeout_gives_1(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.closed()

    async with serve(script) as origin:
        run = await Run()(origin.url, "--timeout", "0.1")
    assert run.code == 1
    assert "0.1 s" in run.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["http://"], "host"),
        (["ftp://a.test"], "ftp://a.test"),
        (["CONNECT", "http://a.test"], "CONNECT"),
        (["http://a.test", "--json", "{"], "--json"),
        (["http://a.test", "-d", "@/nowhere"], "/nowhere"),
        (["http://a.test", "-F", "a=@/nowhere"], "/nowhere"),
        (["https://a.test", "--cacert", "/nowhere"], "--cacert"),
        (["https://a.test", "--cert", "/nowhere"], "--cert"),
    ],
)
async def test_what_cannot_be_used_gives_2(arguments: list[str], complaint: str) -> None:
    run = await Run()(*arguments)
    assert run.code == 2, run.err
    assert complaint in run.err
    assert run.out == b""


# Terminals and pipes.


async def test_binary_is_not_printed_on_a_terminal(serve: Serve) -> None:
    async with serve(Echo(response(b"\x89PNG\0\0"))) as origin:
        run = await Run(Terminal())(origin.url)
        assert run.code == 1
        assert "-o FILE" in run.err
        assert b"PNG" not in run.out
        run = await Run(Terminal())(origin.url, "-o", "-")
        assert (run.code, run.out) == (0, b"\x89PNG\0\0")


async def test_text_is_decoded_for_a_terminal(serve: Serve) -> None:
    answer = response(b"\xfc\x1b[2J", b"Content-Type: text/plain; charset=latin-1\r\n")
    async with serve(Echo(answer)) as origin:
        run = await Run(Terminal())(origin.url)
    assert run.out.endswith(b"\xc3\xbc\\x1b[2J\n")


async def test_closed_output_ends_quietly(serve: Serve) -> None:
    class Closed(io.BytesIO):
        def write(self, data: Any) -> int:
            raise BrokenPipeError

    async with serve(Echo(OK)) as origin:
        run = await Run(Closed())(origin.url)
    assert (run.code, run.err) == (0, "")


# Files.


@HERE
async def test_output_is_a_download(serve: Serve, tmp_path: Path, backend: str) -> None:
    target = tmp_path / "f"
    async with serve(Echo(response(b"x" * 5000, b'ETag: "v"\r\n'))) as origin:
        run = await Run(Terminal())(origin.url, "-o", str(target), "--backend", backend)
    assert run.code == 0, run.err
    assert run.out == b""
    assert run.err == f"saved {target}, 4.9 KiB\n"
    assert target.read_bytes() == b"x" * 5000
    assert "Accept-Encoding: identity\r\n" in origin.heads[0]


async def test_resume_goes_on_with_what_an_interrupted_run_left(
    serve: Serve, tmp_path: Path
) -> None:
    target = tmp_path / "f"
    whole = response(b"x" * 100 + b"y" * 100, b'ETag: "v"\r\n')

    async def script(peer: Peer) -> None:
        head = await peer.head()
        if b"Range: bytes=100-" in head:
            where = b"Content-Range: bytes 100-199/200\r\n"
            await peer.send(response(b"y" * 100, where, b"206 Partial Content"))
        else:
            await peer.send(whole[:-100])

    async with serve(script) as origin:
        run = await Run()(origin.url, "-o", str(target), "--timeout", "0.3")
        assert run.code == 1
        assert not target.exists()
        run = await Run()(origin.url, "-o", str(target), "--resume")
    assert run.code == 0, run.err
    assert run.err.endswith("200 bytes, 100 bytes of them from before\n")
    assert target.read_bytes() == b"x" * 100 + b"y" * 100


@pytest.mark.parametrize(
    ("status", "arguments", "code", "complaint"),
    [
        (b"404 Not Found", [], 4, "404"),
        (b"500 Oops", [], 5, "500"),
        (b"302 Found", [], 1, "-L"),
        (b"404 Not Found", ["-d", "x"], 4, "nothing is saved"),
    ],
)
async def test_error_pages_are_not_saved(
    serve: Serve,
    tmp_path: Path,
    status: bytes,
    arguments: list[str],
    code: int,
    complaint: str,
) -> None:
    async with serve(Echo(response(b"page", status=status))) as origin:
        run = await Run()(origin.url, "-o", str(tmp_path / "f"), *arguments)
    assert run.code == code
    assert complaint in run.err
    assert os.listdir(tmp_path) == []


async def test_answer_to_data_is_saved_as_it_comes(serve: Serve, tmp_path: Path) -> None:
    target = tmp_path / "f"
    async with serve(Echo(OK)) as origin:
        run = await Run()(origin.url, "-o", str(target), "-d", "x", "-i")
        assert run.code == 0, run.err
        assert target.read_bytes() == b'{"a": 1}'
        assert run.out.startswith(b"HTTP/1.1 200 OK\n")
        run = await Run()(origin.url, "-o", str(tmp_path), "-d", "x")
        assert run.code == 1


async def test_device_is_written_and_not_replaced(serve: Serve, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    async with serve(Echo(OK)) as origin:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_sync, lambda: read.append(fifo.read_bytes()))
            run = await Run()(origin.url, "-o", str(fifo))
        assert run.code == 0, run.err
        assert (await Run()(origin.url, "-o", os.devnull)).code == 0
    assert read == [b'{"a": 1}']
    assert fifo.is_fifo()


# -v and TLS.


@HERE
async def test_verbose_tells_about_the_exchange_without_credentials(
    serve: Serve, backend: str
) -> None:
    answer = response(b"ok", b"Set-Cookie: a=topsecret\r\n")
    secrets = ["-H", "Authorization: topsecret", "-H", "cookie: topsecret"]
    async with serve(Echo(answer)) as origin:
        run = await Run()(origin.url + "a?b", "-v", *secrets, "--backend", backend)
        assert "Authorization: topsecret\r\n" in origin.heads[0]
    assert run.out == b"ok"
    assert "> GET /a?b\n" in run.err
    assert "> Authorization: [redacted]\n" in run.err
    assert "< HTTP/1.1 200 OK\n" in run.err
    assert "< Set-Cookie: [redacted]\n" in run.err
    assert "* first byte after " in run.err
    assert "* 2 bytes of body, " in run.err
    assert "topsecret" not in run.err


async def test_verbose_download_tells_the_peer_and_the_size(serve: Serve, tmp_path: Path) -> None:
    async with serve(Echo(response(b"x" * 2**20))) as origin:
        run = await Run()(origin.url, "-v", "-o", str(tmp_path / "f"))
    assert run.code == 0, run.err
    assert f"* from 127.0.0.1 port {origin.port}\n" in run.err
    assert "* 1048576 bytes of body, " in run.err


async def test_proxy_is_asked(serve: Serve) -> None:
    async with serve(Echo(OK)) as origin:
        run = await Run()("-x", origin.url, "http://name.test/a?b")
    assert (run.code, run.out) == (0, b'{"a": 1}'), run.err
    assert origin.heads[0].startswith("GET http://name.test/a?b HTTP/1.1\r\n")


async def test_redirects_are_followed_if_asked_for(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        while True:
            head = await peer.head()
            away = response(b"away", b"Location: /b\r\n", b"302 Found")
            await peer.send(away if head.startswith(b"GET / ") else OK)

    async with serve(script) as origin:
        assert (await Run()(origin.url)).out == b"away"
        assert (await Run()(origin.url, "-L")).out == b'{"a": 1}'


@pytest.fixture
def bundle(authority: trustme.CA) -> Iterator[str]:
    with authority.cert_pem.tempfile() as path:
        yield path


@HERE
async def test_certificates_are_verified_and_told(
    serve: Serve, authority: trustme.CA, bundle: str, backend: str
) -> None:
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    server_tls.set_alpn_protocols(["http/1.1"])
    options = ["--backend", backend, "-v"]
    async with serve(Echo(OK), tls=server_tls) as origin:
        run = await Run()(origin.url, "--cacert", bundle, *options)
        assert (run.code, run.out) == (0, b'{"a": 1}'), run.err
        assert "* TLS: TLSv1." in run.err
        assert ", ALPN http/1.1, handshake in " in run.err
        assert "* certificate: " in run.err
        assert "valid until " in run.err
        run = await Run()(origin.url, "-k", *options)
        assert (run.code, run.out) == (0, b'{"a": 1}')
        assert "* certificate: not verified\n" in run.err


async def test_unknown_certificate_gives_1(serve: Serve, server_tls: ssl.SSLContext) -> None:
    async with serve(Echo(OK), tls=server_tls) as origin:
        run = await Run()(origin.url)
    assert run.code == 1
    assert "certificate" in run.err.lower()


async def test_certificate_of_the_client_is_shown(
    serve: Serve, authority: trustme.CA, bundle: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    own = authority.issue_cert("me@a.test")
    with contextlib.ExitStack() as stack:
        both = stack.enter_context(own.private_key_and_cert_chain_pem.tempfile())
        key = stack.enter_context(own.private_key_pem.tempfile())
        chain = stack.enter_context(own.cert_chain_pems[0].tempfile())
        async with serve(Echo(OK), tls=context) as origin:
            for options in (["--cert", both], ["--cert", chain, "--key", key]):
                run = await Run()(origin.url, "--cacert", bundle, *options)
                assert run.code == 0, run.err


async def test_bytes_that_are_no_unicode_are_sent_as_given(serve: Serve) -> None:
    script = Echo(OK)
    async with serve(script) as origin:
        await Run()(origin.url, "-d", os.fsdecode(b"\xff"))
    assert script.bodies == [b"\xff"]


# The end.


def test_interrupt_in_a_task_group_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> int:
        raise BaseExceptionGroup("", [error])

    monkeypatch.setattr(anyio, "run", run)
    error: BaseException = KeyboardInterrupt()
    assert main(["http://a.test"], io.BytesIO(), io.BytesIO(), io.StringIO()) == 130
    error = OSError()
    with pytest.raises(BaseExceptionGroup):
        main(["http://a.test"], io.BytesIO(), io.BytesIO(), io.StringIO())


# As a process.


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "httpclient", *arguments]


def test_usage_of_the_process() -> None:
    done = subprocess.run(command("--timeout"), capture_output=True, timeout=15, check=False)
    assert done.returncode == 2
    assert b"usage: python -m httpclient" in done.stderr


async def test_interrupt_of_the_process_is_quiet(serve: Serve, tmp_path: Path) -> None:
    target = tmp_path / "f"
    asked = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(response(b"x" * 200, b'ETag: "v"\r\n')[:-100])
        asked.set()
        await peer.closed()

    for backend in ("asyncio", "trio"):
        asked = anyio.Event()
        arguments = command("--backend", backend, "-o", str(target))
        async with serve(script) as origin:
            async with await anyio.open_process([*arguments, origin.url]) as process:
                await asked.wait()
                process.send_signal(signal.SIGINT)
                assert process.stderr is not None
                said = b"".join([piece async for piece in process.stderr])
                assert await process.wait() == 130
        assert said == b""
        assert not target.exists()


async def test_process_whose_reader_has_gone_is_quiet(serve: Serve) -> None:
    gone = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(response(b"x" * 200)[:-100])
        await gone.wait()
        await peer.send(b"x" * 100)

    async with serve(script) as origin:
        reader, writer = os.pipe()
        process = await anyio.open_process(command(origin.url), stdout=writer)
        async with process:
            os.close(writer)
            assert await run_sync(os.read, reader, 1) == b"x"
            os.close(reader)
            gone.set()
            assert process.stderr is not None
            said = b"".join([piece async for piece in process.stderr])
            assert await process.wait() == 0
    assert said == b""


async def test_process_has_its_own_streams(serve: Serve) -> None:
    script = Echo(OK)
    async with serve(script) as origin:
        done = await anyio.run_process(command(origin.url, "-d", "-"), input=b"in")
    assert done.stdout == b'{"a": 1}'
    assert script.bodies == [b"in"]
