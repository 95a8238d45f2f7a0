"""netrc: which file, which entry, and what is said about files that cannot be read."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from httpclient import _netrc
from httpclient._netrc import netrc_authorization
from httpcore_proto import encode_basic_auth

FILE = """
machine example.org login user password secret
machine Upper.Test login up password per
machine account.test account acc password secret
machine nopassword.test login only
machine ::1 login six password v6
machine colon.test login a:b password x
"""


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a home directory without files; nothing is read before."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setattr(_netrc, "_cache", {})
    return tmp_path


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a file that NETRC names."""
    path = tmp_path / "logins"
    path.write_text(FILE)
    monkeypatch.setenv("NETRC", str(path))
    return path


def rewrite(path: Path, text: str | bytes) -> None:
    """Give a file another content."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.org", encode_basic_auth("user", "secret")),
        ("EXAMPLE.org", encode_basic_auth("user", "secret")),
        ("upper.test", encode_basic_auth("up", "per")),
        ("account.test", encode_basic_auth("acc", "secret")),
        ("nopassword.test", encode_basic_auth("only", "")),
        ("::1", encode_basic_auth("six", "v6")),
        # RC-10: no part of a name, and no name that only looks the same.
        ("www.example.org", None),
        ("org", None),
        ("example.org.evil.test", None),
        ("example.org:80", None),
        ("", None),
        ("example.or\u1d4d", None),
        # Basic cannot carry a colon in the user.
        ("colon.test", None),
        ("default", None),
    ],
)
async def test_entry_of_the_host_counts(file: Path, host: str, expected: str | None) -> None:
    assert await netrc_authorization(host) == expected


async def test_kelvin_sign_is_no_letter(file: Path) -> None:
    rewrite(file, "machine ok.test login a password b\n")
    assert await netrc_authorization("o\u212a.test") is None


async def test_default_entry_is_for_all_others(file: Path) -> None:
    rewrite(file, FILE + "default login anybody password x\n")
    assert await netrc_authorization("other.test") == encode_basic_auth("anybody", "x")
    assert await netrc_authorization("example.org") == encode_basic_auth("user", "secret")


async def test_machine_that_is_called_default_is_not_the_default(file: Path) -> None:
    """Folding its case made the login of one host that of every host."""
    rewrite(file, "machine DEFAULT login a password b\n")
    assert await netrc_authorization("other.test") is None


async def test_file_in_the_home_directory(home: Path) -> None:
    (home / _netrc._DEFAULT_NAME).write_text(FILE)
    assert await netrc_authorization("example.org") == encode_basic_auth("user", "secret")


async def test_missing_file_in_the_home_directory_is_silent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S179."""
    assert await netrc_authorization("example.org") is None
    assert not caplog.records


async def test_missing_file_that_is_named_is_told_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """S179."""
    monkeypatch.setenv("NETRC", str(tmp_path / "missing"))
    with caplog.at_level(logging.WARNING, "httpclient.netrc"):
        assert await netrc_authorization("example.org") is None
        assert await netrc_authorization("example.org") is None
    assert len(caplog.records) == 1
    assert "missing" in caplog.text


@pytest.mark.parametrize(
    "text", [b"machine example.org secret", b"\xff\xfe machine", b"macdef", b"login secret"]
)
async def test_malformed_file_is_told_once_without_its_text(
    file: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(file, text)
    with caplog.at_level(logging.WARNING, "httpclient.netrc"):
        assert await netrc_authorization("example.org") is None
        assert await netrc_authorization("example.org") is None
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


async def test_login_that_basic_cannot_carry_is_told_without_it(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "httpclient.netrc"):
        await netrc_authorization("example.org")
    assert "colon.test" in caplog.text
    assert "a:b" not in caplog.text


async def test_directory_in_place_of_a_file(
    home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", str(home))
    with caplog.at_level(logging.WARNING, "httpclient.netrc"):
        assert await netrc_authorization("example.org") is None
    assert len(caplog.records) == 1


async def test_file_is_read_again_only_if_it_changed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read = _netrc._read

    def counted(path: str) -> object:
        reads.append(path)
        return read(path)

    monkeypatch.setattr(_netrc, "_read", counted)
    for _ in range(3):
        await netrc_authorization("example.org")
    assert len(reads) == 1
    rewrite(file, "machine example.org login new password longer-than-before\n" * 2)
    os.utime(file, ns=(1, 1))
    assert await netrc_authorization("example.org") == encode_basic_auth(
        "new", "longer-than-before"
    )
    assert len(reads) == 2


async def test_another_file_is_read_when_netrc_names_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await netrc_authorization("example.org")
    other = tmp_path / "other"
    other.write_text("machine example.org login else password x\n")
    monkeypatch.setenv("NETRC", str(other))
    assert await netrc_authorization("example.org") == encode_basic_auth("else", "x")
