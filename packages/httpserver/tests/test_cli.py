from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from httpserver._cli import Settings, parse

APP = """
import types
import httpserver as web

async def hello(request):
    return web.Response(text=f"hello {request.scheme}")

app = web.Application()
app.add_routes([web.get("/", hello)])
inner = types.SimpleNamespace(app=app)

def make():
    return app

async def make_later():
    return app

def make_nothing():
    return None

async def start(app):
    raise ZeroDivisionError

broken = web.Application()
broken.on_startup.append(start)

async def end(app):
    raise LookupError

late = web.Application()
late.on_cleanup.append(end)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "wrong.py").write_text("1 +\n")
    return tmp_path


def environ(**variables: str) -> dict[str, str]:
    ours = ("HTTPSERVER_", "LISTEN_", "NOTIFY_SOCKET", "PORT", "WEB_CONCURRENCY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONUNBUFFERED": "1", **variables}


@contextmanager
def server(
    folder: Path, *arguments: str, **options: Any
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `python -m httpserver`; yields the process and the URLs that it tells."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "httpserver", *arguments],
        cwd=folder,
        env=environ(**options.pop("env", {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            match = re.fullmatch(r"======== Running on (.*) ========\n", line)
            assert match, (line, process.communicate(timeout=10))
            assert process.stdout.readline() == "(Press CTRL+C to quit)\n"
            yield process, match[1]
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> list[Any]:
    """Stop a server; returns its exit code and the rest of its output."""
    process.send_signal(number)
    out, err = process.communicate(timeout=15)
    return [process.returncode, out, err]


def failed(folder: Path, *arguments: str, **env: str) -> list[Any]:
    """Run to the end; returns exit code, output and the last line of the errors."""
    done = subprocess.run(
        [sys.executable, "-m", "httpserver", *arguments],
        cwd=folder,
        env=environ(**env),
        capture_output=True,
        text=True,
        timeout=15,
    )
    return [done.returncode, done.stdout, (done.stderr.splitlines() or [""])[-1]]


def ask(url: str, *, tls: ssl.SSLContext | None = None, path: str = "/") -> bytes:
    unix = re.fullmatch(r"https?://unix:(.*):", url)
    address: Any = unix[1] if unix else (url.split("/")[2].rsplit(":", 1)[0].strip("[]"), 0)
    if unix:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(address)
    else:
        sock = socket.create_connection((address[0], int(url.rsplit(":", 1)[1])), timeout=10)
    if tls is not None:
        sock = tls.wrap_socket(sock, server_hostname="localhost")
    with sock:
        sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        with sock.makefile("rb") as file:
            return file.read()


# Understanding the command line.


def test_defaults() -> None:
    assert dataclasses.asdict(parse(["a:b"], {})) == {
        "app": "a:b",
        "factory": False,
        "directory": None,
        "host": None,
        "port": None,
        "uds": None,
        "fd": (),
        "workers": 1,
        "reload": False,
        "reload_dir": ".",
        "backend": "asyncio",
        "loop": "auto",
        "ssl_certfile": None,
        "ssl_keyfile": None,
        "ssl_keyfile_password": None,
        "ssl_ca_certs": None,
        "ssl_ciphers": None,
        "no_access_log": False,
        "access_log_format": '%a %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"',
        "drain_timeout": 30.0,
        "keepalive_timeout": 75.0,
        "backlog": 128,
        "check": False,
        "worker_fds": (),
    }


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        (["-P", "1"], {}, {"port": 1}),
        ([], {"PORT": "2"}, {"port": 2}),
        ([], {"PORT": "2", "HTTPSERVER_PORT": "3"}, {"port": 3}),
        (["--port", "4"], {"HTTPSERVER_PORT": "3"}, {"port": 4}),
        ([], {"PORT": ""}, {"port": None}),
        ([], {"WEB_CONCURRENCY": "5"}, {"workers": 5}),
        (["-w6"], {"WEB_CONCURRENCY": "5", "HTTPSERVER_WORKERS": "7"}, {"workers": 6}),
        (["--host", "::"], {"HTTPSERVER_HOST": "a"}, {"host": "::"}),
        ([], {"HTTPSERVER_DRAIN_TIMEOUT": "1.5"}, {"drain_timeout": 1.5}),
        ([], {"HTTPSERVER_RELOAD": "1"}, {"reload": True}),
        ([], {"HTTPSERVER_RELOAD": "0", "HTTPSERVER_NO_ACCESS_LOG": "Yes"}, {"reload": False}),
        ([], {"HTTPSERVER_SSL_CERTFILE": "-f"}, {"ssl_certfile": "-f"}),
        (["--fd", "3", "--fd=4"], {}, {"fd": (3, 4)}),
        (["--access-log-format", "json"], {}, {"access_log_format": "json"}),
        (["--backend=trio", "--loop=asyncio"], {}, {"backend": "trio", "loop": "asyncio"}),
        ([], {"HTTPSERVER_APP": "no:no"}, {"app": "a.b:c.d"}),
        (["--worker-fds=5,6"], {}, {"worker_fds": (5, 6)}),
    ],
)
def test_command_line_wins_over_environment(
    arguments: list[str], variables: dict[str, str], expected: dict[str, Any]
) -> None:
    settings = parse(["a.b:c.d", *arguments], variables)

    assert {name: getattr(settings, name) for name in expected} == expected


def test_application_of_the_environment() -> None:
    assert parse([], {"HTTPSERVER_APP": "a:b"}).app == "a:b"
    settings = parse(["-d", "."], {"HTTPSERVER_APP": "a:b"})
    assert (settings.app, settings.directory) == (None, ".")


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ([], {}, "give an application"),
        (["a:b", "-d", "."], {}, "and not both"),
        (["a"], {}, "named as module:attribute, got 'a'"),
        ([".a:b"], {}, "named as module:attribute"),
        (["a:b()"], {}, "named as module:attribute"),
        (["a:"], {}, "named as module:attribute"),
        (["-d", ".", "--factory"], {}, "--factory is for applications"),
        (["a:b", "-P", "65536"], {}, "--port: expected a port from 0 to 65535, got '65536'"),
        (["a:b", "-P", "-1"], {}, "--port"),
        (["a:b", "-P", "1_0"], {}, "expected a number from 0"),
        (["a:b", "-P", "\u0661"], {}, "expected a number from 0"),
        (["a:b"], {"PORT": "x"}, "--port: expected a number from 0, got 'x'"),
        (["a:b", "-w", "0"], {}, "expected a number from 1, got '0'"),
        (["a:b", "-w", "9" * 5000], {}, "expected a number from 1"),
        (["a:b", "--drain-timeout", "-1"], {}, "expected seconds from 0, got '-1'"),
        (["a:b", "--drain-timeout", "nan"], {}, "expected seconds from 0"),
        (["a:b", "--drain-timeout", "soon"], {}, "expected seconds from 0"),
        (["a:b", "--access-log-format", "%(h)s"], {}, "unknown atom '%(h)s'"),
        (["a:b", "--backend", "curio"], {}, "invalid choice"),
        (["a:b", "--backend=trio", "--loop=uvloop"], {}, "uvloop is a loop of asyncio"),
        (["a:b", "--ssl-keyfile", "k"], {}, "TLS needs --ssl-certfile"),
        (["a:b", "-w2", "--reload"], {}, "--reload has one worker"),
        (["a:b", "--work", "2"], {}, "unrecognized arguments"),
    ],
)
def test_nonsense_is_refused(
    arguments: list[str],
    variables: dict[str, str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments, variables)

    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_help_tells_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--help"], {})

    assert caught.value.code == 0
    text = capsys.readouterr().out
    hidden = {"app", "worker_fds"}
    for field in dataclasses.fields(Settings):
        option = "--" + field.name.replace("_", "-")
        assert (option in text) == (field.name not in hidden)


# Serving.


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_application_is_served(folder: Path, loop: str) -> None:
    choice = ["--backend=trio"] if loop == "trio" else [f"--loop={loop}"]
    with server(folder, "app:app", "-H", "127.0.0.1", "-P", "0", *choice) as (process, url):
        assert ask(url).endswith(b"\r\n\r\nhello http")
        code, out, err = ended(process)

    assert (code, err) == (0, "")
    assert re.fullmatch(r'127\.0\.0\.1 \[[^]]+\] "GET / HTTP/1\.0" 200 \d+ "-" "-"\n', out)


@pytest.mark.parametrize(
    "arguments",
    [["app:inner.app"], ["app:make", "--factory"], ["app:make_later", "--factory"]],
)
def test_ways_to_an_application(folder: Path, arguments: list[str]) -> None:
    env = {"PORT": "0", "HTTPSERVER_HOST": "127.0.0.1"}
    with server(folder, *arguments, "--no-access-log", env=env) as (process, url):
        assert ask(url).endswith(b"hello http")
        assert ended(process, signal.SIGINT) == [0, "", ""]


def test_localhost_is_the_default(folder: Path) -> None:
    with server(folder, "app:app", "-P0", "--no-access-log") as (_, urls):
        hosts = {url.rsplit(":", 1)[0] for url in urls.split(", ")}
        assert hosts <= {"http://127.0.0.1", "http://[::1]"}
        for url in urls.split(", "):
            assert ask(url).endswith(b"hello http")


def test_directory_is_served(folder: Path) -> None:
    (folder / "a.txt").write_text("text")
    with server(folder, "-d", ".", "-H127.0.0.1", "-P0", "--no-access-log") as (_, url):
        assert ask(url, path="/a.txt").endswith(b"\r\n\r\ntext")
        assert b"a.txt" in ask(url)


def test_unix_socket(folder: Path) -> None:
    with server(folder, "app:app", "-U", "s", "--no-access-log") as (process, url):
        assert url == "http://unix:s:"
        assert ask(url.replace(":s:", f":{folder}/s:")).endswith(b"hello http")
        assert ended(process) == [0, "", ""]
    assert not (folder / "s").exists()


def test_inherited_socket(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        fd = sock.fileno()
        arguments = ["app:app", f"--fd={fd}", "--no-access-log"]
        with server(folder, *arguments, pass_fds=[fd]) as (_, url):
            assert url == f"http://127.0.0.1:{sock.getsockname()[1]}"
            assert ask(url).endswith(b"hello http")


def test_json_access_log(folder: Path) -> None:
    arguments = ["app:app", "-H127.0.0.1", "-P0", "--access-log-format=json"]
    with server(folder, *arguments) as (process, url):
        ask(url)
        _, out, _ = ended(process)

    record = json.loads(out)
    assert (record["method"], record["status"], record["route"]) == ("GET", 200, "/")


def test_tls(folder: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    arguments = ["app:app", "-H127.0.0.1", "-P0", "--no-access-log", "--ssl-certfile=cert.pem"]
    with server(folder, *arguments, "--ssl-keyfile=key.pem") as (_, url):
        assert url.startswith("https://127.0.0.1:")
        assert ask(url, tls=context).endswith(b"hello https")
    more = ["--ssl-keyfile=key.pem", "--ssl-ca-certs=ca.pem", "--ssl-ciphers=ECDHE+AESGCM"]
    with server(folder, *arguments, *more) as (_, url):
        with pytest.raises(OSError, match=r"."):
            assert not ask(url, tls=context)
            raise ConnectionResetError("closed without an answer")
        authority.issue_cert("client@example.org").configure_cert(context)
        assert ask(url, tls=context).endswith(b"hello https")
    assert failed(folder, *arguments)[0] == 3


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["app:nope"], "AttributeError: module 'app' has no attribute 'nope'"),
        (["nope:app"], "ModuleNotFoundError: No module named 'nope'"),
        (["wrong:app"], "SyntaxError: invalid syntax"),
        (["app:make"], "TypeError: app:make is no Application but function; is it for --factory?"),
        (["app:hello", "--factory"], "TypeError: hello() missing"),
        (["app:make_nothing", "--factory"], "TypeError: app:make_nothing is no Application but No"),
        (["app:broken"], "ZeroDivisionError"),
        (["app:app", "-H", "192.0.2.1"], "OSError: "),
        (["app:app", "-U", "no/such/directory"], "FileNotFoundError: "),
        (["app:app", "--fd", "99"], "OSError: "),
        (["-d", "nowhere"], ""),
        (["app:app", "--ssl-certfile", "nowhere"], "FileNotFoundError: "),
    ],
)
@pytest.mark.parametrize("more", [[], ["-w2"]])
def test_failed_start_is_3(folder: Path, arguments: list[str], more: list[str], error: str) -> None:
    code, out, last = failed(folder, "-P0", *arguments, *more)

    assert (code, out) == (3, "")
    assert more or last.startswith(error)


def test_error_of_the_end_is_1(folder: Path) -> None:
    with server(folder, "app:late", "-H127.0.0.1", "-P0") as (process, _):
        code, _, err = ended(process)

    assert code == 1
    assert err.splitlines()[-1] == "LookupError"


def test_check_loads_and_ends(folder: Path) -> None:
    assert failed(folder, "app:app", "--check") == [0, "", ""]
    assert failed(folder, "wrong:app", "--check")[0] == 3
    assert failed(folder, "app")[0] == 2
