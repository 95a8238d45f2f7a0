"""The command line: options, and the record they make."""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ._version import __version__

#: Exit codes. With --check, or -o, a status of 400 and above gives its first digit.
EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130

_DESCRIPTION: Final = "Send an HTTP request and print the response."
_EPILOG: Final = """\
METHOD is GET, or POST if there is data. A URL without a scheme is one of https, or of http
for the machine itself (localhost, 127.0.0.1). The head of the response is printed if stdout
is a terminal, or with -i. Proxies are taken from the environment (http_proxy, https_proxy,
no_proxy), credentials from ~/.netrc.

Exit codes: 0 there was a response, 1 network or protocol error, 2 usage, 130 Ctrl+C;
with --check, and always with -o: 4 for a status of 4xx, 5 for one of 5xx.
"""

# RFC 9110 section 5.6.2.
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL: Final = re.compile(r"[\0-\x08\x0a-\x1f\x7f]")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_HOST: Final = re.compile(r"(\[[^]]*\]|[^/?#:]*)")


@dataclass(frozen=True, kw_only=True)
class FormPart:
    """One field of a form: a value, or the path of a file."""

    name: str
    value: str | None = None
    path: str | None = None
    content_type: str | None = None
    filename: str | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The command line, understood.

    `data` and `json` are as they were given: text, `@` and a path, or `-` for stdin.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    skipped_headers: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    json: str | None = None
    form: tuple[FormPart, ...] = ()
    output: str | None = None
    resume: bool = False
    proxy: str | None = None
    timeout: float | None = None
    follow: bool = False
    verbose: bool = False
    include: bool = False
    check: bool = False
    insecure: bool = False
    cacert: str | None = None
    cert: str | None = None
    key: str | None = None
    backend: Literal["asyncio", "trio"] = "asyncio"


def parse(arguments: Sequence[str]) -> Settings:
    """Return what the command line says.

    Args:
        arguments: Without the program's name.

    Raises:
        SystemExit: With code 2: they make no sense; with 0: help or version was asked for.
    """
    parser = _make_parser()
    found = vars(parser.parse_intermixed_args(arguments))
    words = found.pop("words")
    if len(words) > 2:
        parser.error(f"one URL is expected, got {' '.join(words[1:])!r}")
    headers = found.pop("headers") or ()
    for name in ("data", "form"):
        found[name] = tuple(found[name] or ())
    has_body = bool(found["data"] or found["form"] or found["json"] is not None)
    method = words[0].upper() if len(words) == 2 else "POST" if has_body else "GET"
    settings = Settings(
        method=method,
        url=_with_scheme(words[-1]),
        headers=tuple((name, value) for name, value in headers if value),
        skipped_headers=tuple(name for name, value in headers if not value),
        **found,
    )
    if message := _contradiction(settings, has_body):
        parser.error(message)
    return settings


def _contradiction(settings: Settings, has_body: bool) -> str | None:
    """Return what is wrong between options, or None."""
    if _TOKEN.fullmatch(settings.method) is None:
        return f"{settings.method!r} is no method; METHOD comes before URL"
    if bool(settings.data) + bool(settings.form) + (settings.json is not None) > 1:
        return "-d, --json and -F exclude one another"
    if settings.resume and (settings.output in (None, "-") or settings.method != "GET" or has_body):
        return "--resume is for GET with -o FILE"
    if settings.insecure and settings.cacert:
        return "--insecure and --cacert exclude one another"
    if settings.key and not settings.cert:
        return "--key needs --cert"
    return None


def _with_scheme(url: str) -> str:
    if _SCHEME.match(url):
        return url
    match = _HOST.match(url)
    host = match[1].strip("[]").lower() if match else ""
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost" or host.endswith(".localhost")
    return f"{'http' if is_local else 'https'}://{url}"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text!r}")
    return seconds


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or _TOKEN.fullmatch(name) is None:
        raise argparse.ArgumentTypeError(f"expected 'Name: value', got {text!r}")
    if _CONTROL.search(value):
        raise argparse.ArgumentTypeError(f"a field has no control characters, got {text!r}")
    return name, value.strip(" \t")


def _form_part(text: str) -> FormPart:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected name=value or name=@file, got {text!r}")
    if not value.startswith("@"):
        return FormPart(name=name, value=value)
    path, *options = value[1:].split(";")
    named = dict(option.strip(" ").partition("=")[::2] for option in options)
    unknown = named.keys() - {"type", "filename"}
    if unknown or not path:
        raise argparse.ArgumentTypeError(
            f"expected name=@file, with ;type=... or ;filename=... behind it, got {text!r}"
        )
    return FormPart(
        name=name, path=path, content_type=named.get("type"), filename=named.get("filename")
    )


# Names, and what argparse is to know. Those with `action` "store_true" are switches.
_OPTIONS: Final[list[tuple[list[str], dict[str, Any]]]] = [
    (
        ["-d", "--data"],
        {
            "action": "append",
            "metavar": "TEXT",
            "help": "send TEXT as a form; @FILE for a file's content, - for stdin; "
            "given again, joined with &",
        },
    ),
    (["--json"], {"metavar": "TEXT", "help": "send TEXT, @FILE or - as JSON, and ask for JSON"}),
    (
        ["-F", "--form"],
        {
            "type": _form_part,
            "action": "append",
            "metavar": "NAME=VALUE",
            "help": "send a form with this field; NAME=@FILE for a file",
        },
    ),
    (
        ["-H", "--header"],
        {
            "type": _header,
            "action": "append",
            "dest": "headers",
            "metavar": "'NAME: VALUE'",
            "help": "send this field; 'NAME:' to leave out one that is generated",
        },
    ),
    (
        ["-o", "--output"],
        {
            "metavar": "FILE",
            "help": "save the body; FILE appears when it is complete. For a directory, under "
            "the server's name for it; - for stdout",
        },
    ),
    (
        ["--resume"],
        {"action": "store_true", "help": "go on with what an interrupted -o left"},
    ),
    (["-x", "--proxy"], {"metavar": "URL", "help": "proxy to use"}),
    (
        ["--timeout"],
        {"type": _seconds, "metavar": "SECONDS", "help": "bound on the whole (300; none with -o)"},
    ),
    (["-L", "--follow"], {"action": "store_true", "help": "follow redirects"}),
    (["-i", "--include"], {"action": "store_true", "help": "print the head of the response"}),
    (
        ["-v", "--verbose"],
        {
            "action": "store_true",
            "help": "tell on stderr about connection, TLS and timing, and what is sent; "
            "without credentials",
        },
    ),
    (["--check"], {"action": "store_true", "help": "exit with 4 or 5 for a status of 4xx or 5xx"}),
    (
        ["-k", "--insecure"],
        {"action": "store_true", "help": "do not verify the server's certificate"},
    ),
    (["--cacert"], {"metavar": "FILE", "help": "certificates to trust, in PEM"}),
    (["--cert"], {"metavar": "FILE", "help": "certificate to show, in PEM, with or without key"}),
    (["--key"], {"metavar": "FILE", "help": "its key"}),
    (
        ["--backend"],
        {"choices": ["asyncio", "trio"], "default": "asyncio", "help": "library to run on"},
    ),
]


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m httpclient",
        usage="%(prog)s [options] [METHOD] URL",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"httpclient {__version__}")
    parser.add_argument("words", nargs="+", metavar="[METHOD] URL", help=argparse.SUPPRESS)
    for names, options in _OPTIONS:
        parser.add_argument(*names, **options)
    return parser
