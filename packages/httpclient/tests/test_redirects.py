"""Redirects: where they lead, with which method, and what stays behind."""

from __future__ import annotations

import contextlib
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

import httpclient
from httpclient._redirects import (
    BODY_FIELDS,
    ORIGIN_FIELDS,
    REDIRECT_STATUSES,
    Hop,
    next_hop,
    without_fields,
)
from httpclient._url import destination

INFO = httpclient.RequestInfo(URL("http://h/"), "GET", CIMultiDict(), URL("http://h/"))


def follow(
    location: str,
    *,
    method: str = "GET",
    status: int = 302,
    url: str = "http://h.example/a/b?q=1#f",
    **options: Any,
) -> Hop:
    """Return the hop after a redirect to `location`."""
    headers = CIMultiDict({"Location": location})
    hop = next_hop(method, destination(url), status, headers, **options)
    assert hop is not None
    return hop


@pytest.mark.parametrize(
    ("status", "method", "expected", "keeps_body"),
    [
        (301, "POST", "GET", False),
        (302, "POST", "GET", False),
        (303, "POST", "GET", False),
        (307, "POST", "POST", True),
        (308, "POST", "POST", True),
        *[(status, "GET", "GET", status != 303) for status in REDIRECT_STATUSES],
        *[(status, "HEAD", "HEAD", status != 303) for status in REDIRECT_STATUSES],
        *[
            (status, method, method, True)
            for status in (301, 302, 307, 308)
            for method in ("PUT", "PATCH", "DELETE", "QUERY", "PURGE")
        ],
        *[(303, method, "GET", False) for method in ("PUT", "PATCH", "DELETE", "QUERY", "PURGE")],
    ],
)
def test_method_and_body(status: int, method: str, expected: str, keeps_body: bool) -> None:
    hop = follow("/x", method=method, status=status)
    assert (hop.method, hop.keeps_body) == (expected, keeps_body)
    assert hop.drops == (frozenset() if keeps_body else BODY_FIELDS)


@pytest.mark.parametrize("status", [200, 300, 304, 305, 306, 309, 404])
def test_other_status_is_no_redirect(status: int) -> None:
    headers = CIMultiDict({"Location": "/x"})
    assert next_hop("GET", destination("http://h/"), status, headers) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Location": ""}, None),
        ({"Location": " \t"}, None),
        ({"URI": "/uri"}, "http://h/uri"),
        ({"Location": "", "URI": "/uri"}, "http://h/uri"),
        ({"Location": "/location", "URI": "/uri"}, "http://h/location"),
        ({"location": " /location\t"}, "http://h/location"),
    ],
)
def test_where_the_place_is_named(headers: dict[str, str], expected: str | None) -> None:
    hop = next_hop("GET", destination("http://h/"), 302, CIMultiDict(headers))
    assert (hop and str(hop.destination.url)) == expected


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("c", "http://h.example/a/c"),
        ("../c", "http://h.example/c"),
        ("/c?d=e#g", "http://h.example/c?d=e#g"),
        ("?c", "http://h.example/a/b?c"),
        ("#c", "http://h.example/a/b?q=1#c"),
        ("//other.example/c", "http://other.example/c"),
        ("https://other.example", "https://other.example/"),
        ("HTTP://H.Example:80/", "http://h.example/"),
        # RFC 3986 section 5.2.2, the scheme of the base again.
        ("http:", "http://h.example/a/b?q=1"),
        ("http:c", "http://h.example/a/c"),
        ("HTTP:/c", "http://h.example/c"),
        ("http:https://other.example/", "http://h.example/a/https://other.example/"),
        # Browsers would go elsewhere; the backslash is an octet like others here.
        ("/\\other.example", "http://h.example/%5Cother.example"),
        ("\\\\other.example", "http://h.example/a/%5C%5Cother.example"),
        ("/\N{LATIN SMALL LETTER E WITH ACUTE}", "http://h.example/%C3%A9"),
        ("/\udcff", "http://h.example/%FF"),
        (
            "http://m\N{LATIN SMALL LETTER U WITH DIAERESIS}ll.example/",
            "http://xn--mll-hoa.example/",
        ),
    ],
)
def test_place(location: str, expected: str) -> None:
    assert str(follow(location).destination.url) == expected
    assert str(follow(location, requote=False).destination.url) == expected


def test_neither_fragment_nor_query_is_inherited() -> None:
    """yarl passes the fragment of the base on to a reference that is only a query."""
    for location in ("?x", "/x", "x"):
        url = follow(location).destination.url
        assert url.raw_fragment == ""
        assert "q" not in url.query


def test_requoting_is_optional() -> None:
    location = "/%7ea%2fb|%e9?x=%20y"
    assert follow(location).destination.target == "/~a%2Fb%7C%E9?x=%20y"
    assert follow(location, requote=False).destination.target == "/%7ea%2fb%7C%e9?x=%20y"


@pytest.mark.parametrize(
    "location",
    [
        "http://",
        "http:///x",
        "https:x",
        "https:/x",
        "//",
        "http://[::1",
        "http://h:99999/",
        "http://h:x/",
        "http://2130706433/",
        "http://127.1/",
        "http://user:secret@other.example/",
        "//user@other.example/",
        "/\ud800",
        "http://other.example/\ud800",
    ],
)
@pytest.mark.parametrize("requote", [True, False])
def test_malformed_place(location: str, requote: bool) -> None:
    with pytest.raises(httpclient.InvalidUrlRedirectClientError) as caught:
        follow(location, requote=requote)
    assert isinstance(caught.value, httpclient.InvalidUrlClientError)
    assert isinstance(caught.value, httpclient.RedirectClientError)
    assert caught.value.description
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "location",
    [
        "ftp://other.example/",
        "ws://h.example/",
        "wss://h.example/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "mailto:x",
        "HTTPx:x",
    ],
)
def test_other_scheme(location: str) -> None:
    with pytest.raises(httpclient.NonHttpUrlRedirectClientError) as caught:
        follow(location)
    assert isinstance(caught.value, httpclient.NonHttpUrlClientError)
    assert isinstance(caught.value, httpclient.RedirectClientError)
    assert caught.value.url == location


def test_path_of_the_same_scheme_is_no_way_to_another_scheme() -> None:
    assert follow("http:ftp://x/").destination.key.host == "h.example"


@pytest.mark.parametrize(
    ("location", "cross"),
    [
        ("/x", False),
        ("http://h.example/", False),
        ("http://H.EXAMPLE:80/", False),
        ("http://h.example:81/", True),
        ("https://h.example/", True),
        ("https://h.example:80/", True),
        ("http://www.h.example/", True),
        ("http://h.example./", True),
        ("//other.example/", True),
    ],
)
def test_what_another_origin_does_not_get(location: str, cross: bool) -> None:
    hop = follow(location)
    assert hop.cross_origin is cross
    assert hop.drops == (ORIGIN_FIELDS if cross else frozenset())
    assert follow(location, status=303).drops == BODY_FIELDS | hop.drops


def test_every_occurrence_is_dropped() -> None:
    """aiohttp once dropped the first Authorization only, and so sent the second."""
    headers = CIMultiDict(
        [
            ("Authorization", "1"),
            ("X-Own", "2"),
            ("authorization", "3"),
            ("COOKIE", "4"),
            ("Cookie", "5"),
            ("Proxy-Authorization", "6"),
            ("proxy-authorization", "7"),
            ("Host", "8"),
            ("Content-Type", "9"),
        ]
    )
    drops = follow("//other.example/").drops
    assert list(without_fields(headers, drops).items()) == [("X-Own", "2"), ("Content-Type", "9")]
    drops = follow("//other.example/", method="POST").drops
    assert list(without_fields(headers, drops).items()) == [("X-Own", "2")]
    assert len(headers) == 9
    assert without_fields([("Cookie", "x"), ("A", "b")], drops) == CIMultiDict({"A": "b"})
    assert without_fields(None, drops) == CIMultiDict()


@pytest.mark.parametrize(
    "name", ["Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Expect"]
)
def test_fields_of_the_body_go_with_it(name: str) -> None:
    """A GET that was made of a POST kept Content-Type and Transfer-Encoding in aiohttp."""
    assert not without_fields({name: "x"}, follow("/x", method="POST").drops)
    assert without_fields({name: "x"}, follow("/x", method="POST", status=307).drops)


@pytest.mark.parametrize("location", ["http://h.example/x?token=1", "http://other.example/"])
def test_way_to_plain_http_is_closed(location: str) -> None:
    with pytest.raises(
        httpclient.InsecureRedirectError, match="allow_insecure_redirects"
    ) as caught:
        follow(location, url="https://h.example/")
    assert isinstance(caught.value, httpclient.RedirectClientError)
    assert caught.value.url == URL(location)
    hop = follow(location, url="https://h.example/", allow_insecure=True)
    assert hop.destination.url == URL(location)
    assert hop.drops >= ORIGIN_FIELDS


def test_from_https_a_relative_place_stays_on_https() -> None:
    for location in ("/x", "//other.example/x", "https:x"):
        assert follow(location, url="https://h.example/").destination.key.is_ssl


@pytest.mark.parametrize(
    "error",
    [
        httpclient.RedirectClientError("x"),
        httpclient.InvalidUrlRedirectClientError("x", "why"),
        httpclient.NonHttpUrlRedirectClientError("x:y"),
        httpclient.InsecureRedirectError(URL("http://h/")),
        httpclient.TooManyRedirects(INFO, ()),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_survives_pickling(error: httpclient.ClientError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert getattr(copy, "url", None) == getattr(error, "url", None)


# What the machine makes of a header value: no CR, LF or NUL, wrong UTF-8 as surrogates.
VALUES = st.text(
    st.one_of(
        st.sampled_from("/:?#[]@\\%.ahtps "),
        st.characters(max_codepoint=0x2FF, exclude_characters="\r\n\0"),
        st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=None),
    )
)


@given(location=VALUES, requote=st.booleans())
def test_any_place_is_http_or_a_redirect_error(location: str, requote: bool) -> None:
    headers = CIMultiDict({"Location": location})
    try:
        hop = next_hop("GET", destination("https://h.example/a"), 302, headers, requote=requote)
    except httpclient.RedirectClientError:
        return
    if hop is not None:
        assert hop.destination.url.scheme == "https"
        assert hop.destination.target.startswith("/")
        assert hop.destination.target.isascii()
        assert hop.cross_origin or hop.destination.key.host == "h.example"


@pytest.mark.parametrize("piece", ["../", "a:", "//", "%", "\udcff", "?", "\\", "[", "http:", "@"])
def test_long_place_takes_no_long_time(piece: str) -> None:
    for prefix in ("", "/", "x?", "http:", "//h/"):
        with contextlib.suppress(httpclient.RedirectClientError):
            assert len(str(follow(prefix + piece * 100_000).destination.url)) < 1_000_000
