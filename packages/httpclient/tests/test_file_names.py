"""Names that servers choose for files."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from httpclient._file_names import name_of_disposition, name_of_url, safe_name


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("a.txt", "a.txt"),
        ("Grüße und mehr.txt", "Grüße und mehr.txt"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\a\\b.txt", "b.txt"),
        ("C:b.txt", "C_b.txt"),
        ("b.txt::$DATA", "b.txt__$DATA"),
        (".bashrc", "bashrc"),
        ("..", ""),
        ("...", ""),
        ("/", ""),
        ("a/", ""),
        ("a.txt. . ", "a.txt"),
        ("a\0b\r\nc\x1b[31m", "abc[31m"),
        ("exe.\u202etxt", "exe.txt"),
        ("\ud800a", "a"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1", "_com1"),
        ("console.txt", "console.txt"),
        ('a<b>"c|d?e*f', "a_b__c_d_e_f"),
        ("\u00a0.profile", "profile"),
        ("x" * 300 + ".tar", "x" * 196 + ".tar"),
        ("ü" * 150 + ".tar", "ü" * 98 + ".tar"),
        ("x" * 300 + "." + "y" * 30, "x" * 200),
    ],
)
def test_name_becomes_that_of_a_plain_file(given_name: str, name: str) -> None:
    assert safe_name(given_name) == name


@given(st.text())
@example("a/" * 500_000 + "b")
@example("." * 1_000_000 + "b")
@example("\u202e" * 1_000_000)
def test_any_name_is_safe(text: str) -> None:
    name = safe_name(text)
    assert len(name.encode()) <= 200
    assert not name.startswith((".", " "))
    assert not set(name) & set('/\\:\0\n\r\x1b<>"|?*')
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://a.test/b/c.txt?d=/e#f", "c.txt"),
        ("http://a.test/b/c%20d.txt", "c d.txt"),
        ("http://a.test/b/%2e%2e%2fpasswd", "passwd"),
        ("http://a.test/b/", "a.test"),
        ("http://a.test", "a.test"),
        ("http://[::1]/", "__1"),
        ("http://a.test/%2e%2e", "a.test"),
    ],
)
def test_url_gives_a_name(url: str, name: str) -> None:
    assert name_of_url(URL(url, encoded=True)) == name


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, None),
        ("attachment", None),
        ("attachment; filename=a.txt", "a.txt"),
        ('attachment; filename="/etc/passwd"', "passwd"),
        ("attachment; filename=a.txt; filename*=UTF-8''%C3%BC%2F..%2Fb.txt", "b.txt"),
        ('attachment; filename=".."', None),
        ('attachment; filename="a', None),
        (";;;", None),
    ],
)
def test_disposition_gives_a_name(value: str | None, name: str | None) -> None:
    assert name_of_disposition(value) == name
