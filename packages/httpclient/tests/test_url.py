"""From URL to destination: what is sent is what was written."""

from __future__ import annotations

import pytest
from yarl import URL

from httpclient import InvalidURL, InvalidUrlClientError, NonHttpUrlClientError
from httpclient._url import check_base_url, destination, destination_below, with_params


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://h", "/"),
        ("http://h/", "/"),
        ("http://h?q", "/?q"),
        ("http://h/a%7Eb%2fc?x=%41+%20&y=a;b", "/a%7Eb%2fc?x=%41+%20&y=a;b"),
        ("http://h/a/../b//c/./?", "/a/../b//c/./?"),
        ("http://h/a?b?c#frag?ment", "/a?b?c"),
        ("http://h/a[1]?b[]=1&c=100%", "/a[1]?b[]=1&c=100%"),
        ("http://h/sig?s=aB%2F%2fc==", "/sig?s=aB%2F%2fc=="),
        ('http://h/ü b?"<>\\^`{|}=é', "/%C3%BC%20b?%22%3C%3E%5C%5E%60%7B%7C%7D=%C3%A9"),
        ("http://h/a\r\nX: y", "/a%0D%0AX:%20y"),
        ("  http://h/a\n", "/a"),
        (URL("http://h/ü?x=%41"), "/%C3%BC?x=A"),
        (URL("http://h/%7E", encoded=True), "/%7E"),
    ],
)
def test_target_is_the_url_as_written(url: str | URL, target: str) -> None:
    assert destination(url).target == target


@pytest.mark.parametrize(
    ("url", "host_field", "host", "port", "is_ssl"),
    [
        ("http://Host.Example/", "host.example", "host.example", 80, False),
        ("http://h:80/", "h", "h", 80, False),
        ("http://h:8080/", "h:8080", "h", 8080, False),
        ("https://h/", "h", "h", 443, True),
        ("HTTPS://h:80/", "h:80", "h", 80, True),
        ("http://[::1]:8080/", "[::1]:8080", "::1", 8080, False),
        ("http://bücher.example/", "xn--bcher-kva.example", "xn--bcher-kva.example", 80, False),
        ("http://127.0.0.1/", "127.0.0.1", "127.0.0.1", 80, False),
    ],
)
def test_origin_gives_host_field_and_key(
    url: str, host_field: str, host: str, port: int, is_ssl: bool
) -> None:
    to = destination(url)
    assert to.host_field == host_field
    assert to.key == (host, port, is_ssl, True, None, None, None)


def test_url_keeps_fragment() -> None:
    assert str(destination("http://h/a?b#c d").url) == "http://h/a?b#c%20d"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/path",
        "path",
        "//h/path",
        "http:///path",
        "http:path",
        "http://",
        "http://h:99999/",
        "http://h:port/",
        "http://[::1/",
        "http://h\\@evil/",
        "http://2130706433/",
        "http://127.1/",
        "http://0x7f.0.0.1/",
        "http://017700000001/",
        "http://user:secret@h/",
        URL("http://user:secret@h/"),
        URL("/path"),
        URL("http://256.1.1.1/"),
    ],
)
def test_url_that_leads_nowhere_is_refused(url: str | URL) -> None:
    with pytest.raises(InvalidUrlClientError) as caught:
        destination(url)
    assert isinstance(caught.value, InvalidURL | ValueError)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://h/", "mailto:x", URL("gopher://h/"), "javascript:1"])
def test_url_of_other_scheme_is_refused(url: str | URL) -> None:
    with pytest.raises(NonHttpUrlClientError):
        destination(url)


def test_url_of_wrong_type_is_refused() -> None:
    with pytest.raises(TypeError, match="not bytes"):
        destination(b"http://h/")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("a%7E", "http://h/base/a%7E"),
        ("/a%7E?x=%41", "http://h/a%7E?x=%41"),
        ("../up", "http://h/up"),
        ("?q=1", "http://h/base/?q=1"),
        ("", "http://h/base/"),
        ("//other/x", "http://other/x"),
        ("https://other/x", "https://other/x"),
        (URL("rel"), "http://h/base/rel"),
        (URL("https://other/"), "https://other/"),
    ],
)
def test_relative_url_is_joined(url: str | URL, sent: str) -> None:
    base = check_base_url("http://h/base/")
    assert base is not None
    to = destination_below(base, url)
    assert str(to.url) == sent
    assert to.url.raw_path_qs == to.target


@pytest.mark.parametrize("url", ["http://h/base", "/base/", "nothing"])
def test_base_url_must_be_absolute_with_slash(url: str) -> None:
    with pytest.raises(ValueError, match=r"slash|scheme"):
        check_base_url(url)


@pytest.mark.parametrize(
    ("url", "params", "target"),
    [
        ("http://h/", {"a": "b c"}, "/?a=b+c"),
        ("http://h/?x=1", {"x": "2"}, "/?x=1&x=2"),
        ("http://h/?x=%7E#f", [("a", 1), ("a", "ü")], "/?x=%7E&a=1&a=%C3%BC"),
        ("http://h/", "raw=%7E&b=c d", "/?raw=%7E&b=c%20d"),
        ("http://h/?", {"a": "1"}, "/?a=1"),
        ("http://h/?a", {}, "/?a"),
        ("http://h/", {"a": ["1", "2"]}, "/?a=1&a=2"),
    ],
)
def test_params_are_appended(url: str, params: object, target: str) -> None:
    to = with_params(destination(url), params)  # type: ignore[arg-type]
    assert to.target == target
    assert to.url.raw_path_qs == target or not params
    assert to.url.raw_fragment == destination(url).url.raw_fragment


def test_params_of_wrong_type_are_refused() -> None:
    with pytest.raises(TypeError):
        with_params(destination("http://h/"), {"a": True})
