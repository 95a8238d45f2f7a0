"""The command line: what it is understood as, and what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from httpclient._cli import FormPart, Settings, parse


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["http://a.test/"], {"method": "GET", "url": "http://a.test/"}),
        (["a.test"], {"method": "GET", "url": "https://a.test"}),
        (["a.test:8080/x?y=http://b"], {"method": "GET", "url": "https://a.test:8080/x?y=http://b"}),
        (["localhost:80"], {"method": "GET", "url": "http://localhost:80"}),
        (["a.localhost/"], {"method": "GET", "url": "http://a.localhost/"}),
        (["127.1.2.3/a"], {"method": "GET", "url": "http://127.1.2.3/a"}),
        (["[::1]:8080/a"], {"method": "GET", "url": "http://[::1]:8080/a"}),
        (["10.0.0.1"], {"method": "GET", "url": "https://10.0.0.1"}),
        (["put", "http://a"], {"method": "PUT", "url": "http://a"}),
        (["-d", "x", "http://a"], {"method": "POST", "url": "http://a", "data": ("x",)}),
        (
            ["GET", "-d", "x", "http://a", "-d", "y"],
            {"method": "GET", "url": "http://a", "data": ("x", "y")},
        ),
        (["--json", "", "http://a"], {"method": "POST", "url": "http://a", "json": ""}),
        (
            ["-H", "A: b ", "-H", "C:", "-H", "D:e:f", "http://a"],
            {
                "method": "GET",
                "url": "http://a",
                "headers": (("A", "b"), ("D", "e:f")),
                "skipped_headers": ("C",),
            },
        ),
        (
            ["-F", "a=b=c", "-F", "d=", "-F", "e=@f;type=x/y; filename=g", "-F", "h=@i", "http://a"],
            {
                "method": "POST",
                "url": "http://a",
                "form": (
                    FormPart(name="a", value="b=c"),
                    FormPart(name="d", value=""),
                    FormPart(name="e", path="f", content_type="x/y", filename="g"),
                    FormPart(name="h", path="i"),
                ),
            },
        ),
        (
            ["-vikL", "-o", "f", "--resume", "--check", "-x", "http://p", "--timeout", "2.5",
             "--cert", "c", "--key", "k", "--backend", "trio", "http://a"],
            {
                "method": "GET", "url": "http://a", "verbose": True, "include": True,
                "insecure": True, "follow": True, "output": "f", "resume": True, "check": True,
                "proxy": "http://p", "timeout": 2.5, "cert": "c", "key": "k", "backend": "trio",
            },
        ),
    ],
)  # fmt: skip
def test_command_line_is_understood(arguments: list[str], expected: dict[str, Any]) -> None:
    assert parse(arguments) == Settings(**expected)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required"),
        (["GET", "http://a", "b"], "one URL"),
        (["a b", "http://a"], "no method"),
        (["-d", "x", "--json", "1", "http://a"], "exclude"),
        (["-d", "x", "-F", "a=b", "http://a"], "exclude"),
        (["--resume", "http://a"], "--resume"),
        (["--resume", "-o", "-", "http://a"], "--resume"),
        (["--resume", "-o", "f", "POST", "http://a"], "--resume"),
        (["--resume", "-o", "f", "GET", "http://a", "-d", "x"], "--resume"),
        (["-k", "--cacert", "f", "http://a"], "--insecure"),
        (["--key", "f", "http://a"], "--key"),
        (["-H", "a", "http://a"], "Name: value"),
        (["-H", "a b: c", "http://a"], "Name: value"),
        (["-H", "\u212a: c", "http://a"], "Name: value"),
        (["-H", "a: b\r\nc: d", "http://a"], "control"),
        (["-F", "a", "http://a"], "name=value"),
        (["-F", "=a", "http://a"], "name=value"),
        (["-F", "a=@", "http://a"], "name=@file"),
        (["-F", "a=@f;colour=red", "http://a"], "name=@file"),
        (["--timeout", "0", "http://a"], "seconds"),
        (["--timeout", "nan", "http://a"], "seconds"),
        (["--timeout", "x", "http://a"], "seconds"),
        (["--backend", "curio", "http://a"], "choose"),
        (["--verb", "http://a"], "unrecognized"),
    ],
)
def test_what_makes_no_sense_is_usage(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as info:
        parse(arguments)
    assert info.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_are_printed(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        parse([option])
    assert info.value.code == 0
    assert "httpclient" in capsys.readouterr().out
