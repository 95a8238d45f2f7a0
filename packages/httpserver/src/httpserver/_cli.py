"""The command line: options, where their values come from, and the record they make."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from ._access_log import AccessLogger, compile_format
from ._version import __version__

#: Exit codes beside 0 for a normal end and Python's 1 for an error while serving.
EXIT_USAGE: Final = 2
EXIT_START_FAILED: Final = 3

#: Value of `--access-log-format` that asks for records in JSON.
JSON_FORMAT: Final = "json"

_DESCRIPTION: Final = "Serve an application, or the files of a directory, over HTTP."
_EPILOG: Final = """\
Every option can be given in the environment as well: HTTPSERVER_ and its name in upper
case with underscores, such as HTTPSERVER_DRAIN_TIMEOUT; for --port and --workers also as
PORT and WEB_CONCURRENCY. The command line wins.

Signals: SIGINT and SIGTERM end the server gracefully, a second one at once. With workers,
SIGHUP replaces them one by one, without a refused connection.

Exit codes: 0 normal, 1 error while serving, 2 usage, 3 the application did not start.
"""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The command line, understood."""

    app: str | None
    factory: bool
    directory: str | None
    host: str | None
    port: int | None
    uds: str | None
    fd: tuple[int, ...]
    workers: int
    reload: bool
    reload_dir: str
    backend: Literal["asyncio", "trio"]
    loop: Literal["auto", "asyncio", "uvloop"]
    ssl_certfile: str | None
    ssl_keyfile: str | None
    ssl_keyfile_password: str | None
    ssl_ca_certs: str | None
    ssl_ciphers: str | None
    no_access_log: bool
    access_log_format: str
    drain_timeout: float
    keepalive_timeout: float
    backlog: int
    check: bool
    #: Given to workers by their parent: the control socket, then those to listen on.
    worker_fds: tuple[int, ...]


def parse(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Return what command line and environment say; the command line wins.

    Args:
        arguments: Without the program's name.
        environ: The environment.

    Raises:
        SystemExit: With code 2: they make no sense; with 0: help or version was asked for.
    """
    parser = _make_parser()
    # Of an option that is given twice the later one counts.
    found = parser.parse_args([*_from_environment(environ), *arguments])
    if found.app is None and found.directory is None:
        found.app = environ.get("HTTPSERVER_APP")
    found.fd = tuple(found.fd or ())
    settings = Settings(**{field.name: getattr(found, field.name) for field in fields(Settings)})
    if message := _contradiction(settings):
        parser.error(message)
    return settings


def _contradiction(settings: Settings) -> str | None:
    """Return what is wrong between options, or None."""
    if (settings.app is None) == (settings.directory is None):
        return "give an application (module:attribute) or --directory, and not both"
    if settings.app is not None and _malformed(settings.app):
        return f"the application is named as module:attribute, got {settings.app!r}"
    if settings.factory and settings.app is None:
        return "--factory is for applications"
    if settings.loop == "uvloop" and settings.backend == "trio":
        return "uvloop is a loop of asyncio, not of trio"
    if settings.ssl_certfile is None and (settings.ssl_keyfile or settings.ssl_ca_certs):
        return "TLS needs --ssl-certfile"
    if settings.workers > 1 and settings.reload:
        return "--reload has one worker; leave --workers (and WEB_CONCURRENCY) at 1"
    if os.name != "posix" and (settings.workers > 1 or settings.reload):
        return "--workers and --reload need a POSIX system"
    return None


def _malformed(name: str) -> bool:
    module, _, attribute = name.partition(":")
    return not all(part.isidentifier() for part in f"{module}.{attribute}".split("."))


def _at_least(minimum: int) -> Any:
    def integer(text: str) -> int:
        # int() takes more than digits, such as underscores.
        if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"expected a number from {minimum}, got {text!r}")
        return int(text)

    return integer


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(_at_least(0)(number) for number in text.split(","))


def _port(text: str) -> int:
    port: int = _at_least(0)(text)
    if port > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return port


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise argparse.ArgumentTypeError(f"expected seconds from 0, got {text!r}")
    return seconds


def _log_format(text: str) -> str:
    if text != JSON_FORMAT:
        try:
            compile_format(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from None
    return text


# Names, and what argparse is to know. Those with `action` "store_true" are switches.
_OPTIONS: Final[list[tuple[list[str], dict[str, Any]]]] = [
    (
        ["--factory"],
        {
            "action": "store_true",
            "help": "call the attribute, without arguments, to make the application",
        },
    ),
    (["-d", "--directory"], {"metavar": "DIR", "help": "serve the files below DIR"}),
    (["-H", "--host"], {"help": "name or address to listen on (localhost)"}),
    (["-P", "--port"], {"type": _port, "help": "TCP port; 0 for any (8080, with TLS 8443)"}),
    (["-U", "--uds"], {"metavar": "PATH", "help": "Unix socket to listen on"}),
    (
        ["--fd"],
        {
            "type": _at_least(0),
            "action": "append",
            "metavar": "N",
            "help": "listen on an inherited socket; may be given again",
        },
    ),
    (
        ["-w", "--workers"],
        {"type": _at_least(1), "default": 1, "metavar": "N", "help": "processes that serve (1)"},
    ),
    (["--reload"], {"action": "store_true", "help": "start anew when a Python file changes"}),
    (
        ["--reload-dir"],
        {"default": ".", "metavar": "DIR", "help": "directory that --reload watches (.)"},
    ),
    (
        ["--backend"],
        {"choices": ["asyncio", "trio"], "default": "asyncio", "help": "library to run on"},
    ),
    (
        ["--loop"],
        {
            "choices": ["auto", "asyncio", "uvloop"],
            "default": "auto",
            "help": "event loop of asyncio; auto is uvloop if it is installed",
        },
    ),
    (["--ssl-certfile"], {"metavar": "FILE", "help": "certificate chain in PEM; turns TLS on"}),
    (["--ssl-keyfile"], {"metavar": "FILE", "help": "private key, if not in the same file"}),
    (
        ["--ssl-keyfile-password"],
        {"metavar": "TEXT", "help": "of the private key; better in the environment"},
    ),
    (
        ["--ssl-ca-certs"],
        {"metavar": "FILE", "help": "clients must show a certificate that these sign"},
    ),
    (["--ssl-ciphers"], {"metavar": "LIST", "help": "for TLS 1.2, in OpenSSL's language"}),
    (["--no-access-log"], {"action": "store_true", "help": "log no requests"}),
    (
        ["--access-log-format"],
        {
            "type": _log_format,
            "default": AccessLogger.LOG_FORMAT,
            "metavar": "FORMAT",
            "help": 'as of AccessLogger, or "json"',
        },
    ),
    (
        ["--drain-timeout"],
        {
            "type": _seconds,
            "default": 30.0,
            "metavar": "SECONDS",
            "help": "how long running requests have when the server ends (30)",
        },
    ),
    (
        ["--keepalive-timeout"],
        {
            "type": _seconds,
            "default": 75.0,
            "metavar": "SECONDS",
            "help": "how long an idle connection is kept (75)",
        },
    ),
    (
        ["--backlog"],
        {
            "type": _at_least(1),
            "default": 128,
            "metavar": "N",
            "help": "connections that wait to be accepted (128)",
        },
    ),
    (["--check"], {"action": "store_true", "help": "load the application, and exit"}),
]
# Names that platforms use; ours goes before.
_ALIASES: Final = {"--port": "PORT", "--workers": "WEB_CONCURRENCY"}


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m httpserver",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"httpserver {__version__}")
    parser.add_argument("--worker-fds", type=_numbers, default=(), help=argparse.SUPPRESS)
    parser.add_argument(
        "app",
        nargs="?",
        metavar="module:attribute",
        help="the application; may be an attribute of an attribute",
    )
    for names, option in _OPTIONS:
        parser.add_argument(*names, **option)
    return parser


def _from_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield as options what the environment says."""
    for names, option in _OPTIONS:
        name = names[-1]
        variable = "HTTPSERVER_" + name[2:].upper().replace("-", "_")
        value = environ.get(variable, environ.get(_ALIASES.get(name, ""), ""))
        if option.get("action") == "store_true":
            if value.lower() in ("1", "true", "yes", "on"):
                yield name
        elif value:
            yield f"{name}={value}"
