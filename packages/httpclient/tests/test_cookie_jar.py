"""Which cookies are kept, and which are sent: RFC 6265bis sections 5.1, 5.4, 5.5, 5.7, 5.8."""

from __future__ import annotations

import string
import sys
from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from httpclient import CookieJar
from httpclient._cookie_rules import installed_public_suffixes

DAY = 24 * 60 * 60
NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
SUFFIXES = frozenset({"com", "example", "uk", "co.uk", "localhost", "intranet"})


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def make_jar(**options: Any) -> CookieJar:
    options.setdefault("public_suffixes", SUFFIXES.__contains__)
    options.setdefault("clock", Clock())
    return CookieJar(**options)


def put(jar: CookieJar, url: str, *fields: str) -> None:
    jar.update_cookies_from_headers(fields, URL(url))


def sent(jar: CookieJar, url: str) -> str | None:
    """Return the field, after a look at the other way to the same cookies."""
    found = jar.filter_cookies(URL(url))
    header = jar.cookie_header(URL(url))
    pairs = [f"{name}={morsel.coded_value}" for name, morsel in found.items()]
    assert header == ("; ".join(pairs) or None)
    return header


# Domains (RFC 6265bis section 5.1.3, 5.7 steps 7 to 10).


@pytest.mark.parametrize(
    ("origin", "domain", "to", "is_sent"),
    [
        # Without Domain, for the host alone.
        ("a.example.com", None, "a.example.com", True),
        ("a.example.com", None, "A.EXAMPLE.COM", True),
        ("a.example.com", None, "b.a.example.com", False),
        ("a.example.com", None, "example.com", False),
        # For the host itself, and what is below.
        ("example.com", "example.com", "example.com", True),
        ("example.com", "example.com", "www.example.com", True),
        ("example.com", "example.com", "a.b.c.example.com", True),
        ("example.com", ".example.com", "www.example.com", True),
        ("example.com", "EXAMPLE.com", "www.example.com", True),
        # For a parent.
        ("a.b.example.com", "example.com", "c.example.com", True),
        ("a.b.example.com", "b.example.com", "example.com", False),
        ("a.b.example.com", "b.example.com", "x.b.example.com", True),
        # Only at dots.
        ("example.com", "example.com", "badexample.com", False),
        ("badexample.com", "example.com", "example.com", False),
        ("example.com", "example.com", "example.com.evil.example", False),
        # Of others.
        ("www.example.com", "a.www.example.com", "a.www.example.com", False),
        ("www.example.com", "other.com", "www.example.com", False),
        ("www.example.com", "other.com", "other.com", False),
        # A trailing dot makes the attribute count for nothing.
        ("example.com", "example.com.", "example.com", True),
        ("example.com", "example.com.", "www.example.com", False),
        ("example.com.", None, "example.com", False),
        ("example.com.", None, "example.com.", True),
        ("example.com.", "example.com", "example.com", False),
        # An empty one, too.
        ("example.com", "", "example.com", True),
        ("example.com", "", "www.example.com", False),
        ("example.com", ".", "www.example.com", False),
        ("example.com", "..example.com", "example.com", False),
        ("a..example.com", ".example.com", "example.com", True),
        ("a..example.com", "..example.com", "a..example.com", False),
        # What is no ASCII counts for nothing, and no foreign letter is a "k".
        ("kk.example.com", "\u212ak.example.com", "a.kk.example.com", False),
        # Public suffixes: only for the host itself.
        ("example.com", "com", "example.com", False),
        ("example.com", "com", "other.com", False),
        ("example.com", ".com", "other.com", False),
        ("a.example.co.uk", "co.uk", "a.example.co.uk", False),
        ("a.example.co.uk", "example.co.uk", "b.example.co.uk", True),
        ("co.uk", "co.uk", "co.uk", True),
        ("co.uk", "co.uk", "example.co.uk", False),
        ("localhost", "localhost", "localhost", True),
        ("localhost", "localhost", "a.localhost", False),
        ("localhost", None, "localhost", True),
        ("intranet", None, "intranet", True),
        # As long as a name in DNS can be, and longer.
        (f"{'a.' * 126}x", None, f"{'a.' * 126}x", True),
        (f"{'a.' * 126}x", "a.a.x", "a.a.x", True),
        (f"{'a.' * 130}example.com", "example.com", f"{'a.' * 130}example.com", False),
        (f"{'a.' * 130}example.com", None, f"{'a.' * 130}example.com", False),
        ("example.com", "example.com", f"{'a.' * 130}example.com", False),
        (f"{'a.' * 130}x", f"{'a.' * 129}x", f"{'a.' * 129}x", False),
    ],
)
def test_domain(origin: str, domain: str | None, to: str, is_sent: bool) -> None:
    jar = make_jar()
    put(jar, f"http://{origin}/", "a=1" if domain is None else f"a=1; Domain={domain}")
    assert sent(jar, f"http://{to}/") == ("a=1" if is_sent else None)


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("127.0.0.1", None),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", None),
        ("[::1]", "::1"),
        ("2130706433", None),
    ],
)
def test_ip_addresses_only_in_an_unsafe_jar_and_exactly(host: str, domain: str | None) -> None:
    field = "a=1" if domain is None else f"a=1; Domain={domain}"
    safe, unsafe = make_jar(), make_jar(unsafe=True)
    for jar in (safe, unsafe):
        put(jar, f"http://{host}/", field)
    assert (safe.unsafe, len(safe), sent(safe, f"http://{host}/")) == (False, 0, None)
    assert (unsafe.unsafe, len(unsafe), sent(unsafe, f"http://{host}/")) == (True, 1, "a=1")
    assert [host_only for host_only, _, _ in unsafe.host_only_cookies] == [host.strip("[]")]


@pytest.mark.parametrize(
    ("origin", "domain"),
    [
        ("127.0.0.1", "0.0.1"),
        ("127.0.0.1", "1"),
        ("127.0.0.1", ".0.0.1"),
        ("evil.127.0.0.1", "127.0.0.1"),
        ("evil.example.com", "127.0.0.1"),
    ],
)
def test_there_is_nothing_below_an_ip_address(origin: str, domain: str) -> None:
    jar = make_jar(unsafe=True, public_suffixes=lambda domain: False)
    put(jar, f"http://{origin}/", f"a=1; Domain={domain}")
    assert len(jar) == 0


def test_host_of_a_url_that_is_not_normalised() -> None:
    jar = make_jar()
    put(jar, "http://kk.example.com/", "a=1")
    assert jar.cookie_header(URL("http://KK.Example.com/", encoded=True)) == "a=1"
    assert jar.cookie_header(URL("http://\u212ak.example.com/", encoded=True)) is None


# Public suffixes.


@pytest.fixture
def no_list_known() -> Iterator[None]:
    installed_public_suffixes.cache_clear()
    yield
    installed_public_suffixes.cache_clear()


@pytest.mark.usefixtures("no_list_known")
def test_without_a_list_single_labels_are_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "publicsuffixlist", None)
    jar = CookieJar()
    put(jar, "http://a.example.com/", "a=1; Domain=com", "b=1; Domain=example.com")
    put(jar, "http://localhost/", "c=1; Domain=localhost")
    assert sent(jar, "http://other.com/") is None
    assert sent(jar, "http://b.example.com/") == "b=1"
    assert sent(jar, "http://localhost/") == "c=1"


@pytest.mark.usefixtures("no_list_known")
def test_an_installed_list_is_asked_and_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    class PublicSuffixList:
        def __init__(self) -> None:
            made.append(self)

        def is_public(self, domain: str) -> bool:
            return domain in {"uk", "co.uk"}

    module = SimpleNamespace(PublicSuffixList=PublicSuffixList)
    monkeypatch.setitem(sys.modules, "publicsuffixlist", module)
    jars = [CookieJar(), CookieJar()]
    for jar in jars:
        put(jar, "http://a.b.co.uk/", "plain=1")
    assert made == []
    for jar in jars:
        put(jar, "http://a.b.co.uk/", "a=1; Domain=co.uk", "b=1; Domain=b.co.uk")
        assert sent(jar, "http://b.co.uk/") == "b=1"
    assert len(made) == 1


# Paths (section 5.1.4).


@pytest.mark.parametrize(
    ("set_at", "path", "to", "is_sent"),
    [
        # The default is the directory.
        ("", None, "/x", True),
        ("/", None, "/x", True),
        ("/a", None, "/x", True),
        ("/a/", None, "/a", True),
        ("/a/b", None, "/a", True),
        ("/a/b", None, "/a/c", True),
        ("/a/b", None, "/", False),
        ("/a/b/", None, "/a/b", True),
        ("/a/b/", None, "/a", False),
        ("/a/b?c=/d/e", None, "/a", True),
        # It is given, in whole segments.
        ("/", "/a", "/a", True),
        ("/", "/a", "/a/", True),
        ("/", "/a", "/a/b", True),
        ("/", "/a", "/a?b", True),
        ("/", "/a", "/ab", False),
        ("/", "/a", "/A", False),
        ("/", "/a", "/b/a", False),
        ("/", "/a/", "/a/b", True),
        ("/", "/a/", "/a/", True),
        ("/", "/a/", "/a", False),
        ("/", "/a/b", "/a", False),
        ("/x/y", "/", "/z", True),
        # It need not be that of the response.
        ("/x/y", "/z", "/z", True),
        ("/x/y", "/z", "/x/y", False),
        # No path at all.
        ("/x/y", "", "/x", True),
        ("/x/y", "z", "/x", True),
        ("/x/y", "z", "/z", False),
        # Compared as sent.
        ("/", "/%7Ea", "/%7Ea", True),
    ],
)
def test_path(set_at: str, path: str | None, to: str, is_sent: bool) -> None:
    jar = make_jar()
    origin = URL(f"http://example.com{set_at}", encoded=True)
    jar.update_cookies_from_headers(["a=1" if path is None else f"a=1; Path={path}"], origin)
    header = jar.cookie_header(URL(f"http://example.com{to}", encoded=True))
    assert header == ("a=1" if is_sent else None)


# Secure (section 5.7 steps 13 and 16) and prefixes (steps 20 and 21).


@pytest.mark.parametrize(
    ("field", "origin", "is_stored"),
    [
        ("a=1; Secure", "https://example.com/", True),
        ("a=1; Secure", "wss://example.com/", True),
        ("a=1; Secure", "http://example.com/", False),
        ("a=1; Secure=no", "http://example.com/", False),
        ("a=1; Secure", "ws://example.com/", False),
        ("__Secure-a=1; Secure", "https://example.com/", True),
        ("__Secure-a=1; Secure; Domain=example.com", "https://example.com/", True),
        ("__Secure-a=1", "https://example.com/", False),
        ("__Secure-a=1; Secure", "http://example.com/", False),
        ("__SECURE-a=1", "https://example.com/", False),
        ("__secure-a=1; Secure", "https://example.com/", True),
        ("__Secure=1", "http://example.com/", True),
        ("__Host-a=1; Secure; Path=/", "https://example.com/", True),
        ("__Host-a=1; Secure; Path=/; Domain=", "https://example.com/", True),
        ("__Host-a=1; Path=/", "https://example.com/", False),
        ("__Host-a=1; Secure; Path=/", "http://example.com/", False),
        ("__Host-a=1; Secure", "https://example.com/", False),
        ("__Host-a=1; Secure; Path=", "https://example.com/", False),
        ("__Host-a=1; Secure; Path=/x", "https://example.com/", False),
        ("__Host-a=1; Secure; Path=/; Domain=example.com", "https://example.com/", False),
        ("__hOsT-a=1; Secure; Path=/; Domain=example.com", "https://example.com/", False),
        ("__hOsT-a=1; Path=/", "http://example.com/", False),
        # A cookie without a name, whose value would come out as one.
        ("=__Host-a=1; Secure; Path=/", "https://example.com/", False),
        ("=__Secure-a", "https://example.com/", False),
        ("__Host-a", "https://example.com/", False),
    ],
)
def test_secure_cookies_and_prefixes(field: str, origin: str, is_stored: bool) -> None:
    jar = make_jar()
    put(jar, origin, field)
    assert len(jar) == is_stored


def test_secure_cookies_are_sent_to_secure_origins_only() -> None:
    jar = make_jar()
    put(jar, "https://example.com/", "a=1; Secure", "b=2")
    assert sent(jar, "https://example.com/") == "a=1; b=2"
    assert sent(jar, "wss://example.com/") == "a=1; b=2"
    assert sent(jar, "http://example.com/") == "b=2"
    assert sent(jar, "ws://example.com:443/") == "b=2"


@pytest.mark.parametrize(
    ("origin", "field", "is_left"),
    [
        ("http://example.com/", "sid=evil", True),
        ("http://example.com/", "sid=evil; Domain=example.com", True),
        ("http://www.example.com/", "sid=evil; Domain=example.com", True),
        ("http://www.example.com/", "sid=evil", True),
        ("http://example.com/", "sid=; Max-Age=0", True),
        ("http://example.com/", "sid=evil; Path=/app", True),
        ("http://example.com/", "sid=evil; Path=/app/deeper", True),
        # Not below the path of the secure one, or another name, or unrelated.
        ("http://example.com/", "sid=evil; Path=/", False),
        ("http://example.com/", "sid=evil; Path=/application", False),
        ("http://example.com/", "SID=evil; Path=/app", False),
        ("http://notexample.com/", "sid=evil; Path=/app", False),
        # With TLS all is allowed.
        ("https://example.com/", "sid=evil; Path=/app", False),
    ],
)
def test_insecure_origins_leave_secure_cookies_alone(
    origin: str, field: str, is_left: bool
) -> None:
    jar = make_jar()
    put(jar, "https://example.com/", "sid=good; Secure; Path=/app")
    put(jar, origin.replace(".com/", ".com/app/x"), field)
    assert ("evil" not in "".join(morsel.value for morsel in jar)) is is_left
    if is_left:
        assert sent(jar, "https://example.com/app") == "sid=good"


def test_secure_cookie_below_the_domain_is_left_alone() -> None:
    jar = make_jar()
    put(jar, "https://login.example.com/", "sid=good; Secure; Path=/")
    put(jar, "http://www.example.com/", "sid=evil; Domain=example.com")
    assert [morsel.value for morsel in jar] == ["good"]
    put(jar, "http://other.com/", "sid=mine")
    assert sent(jar, "http://other.com/") == "sid=mine"


def test_expired_secure_cookie_stands_in_nobodys_way() -> None:
    clock = Clock()
    jar = make_jar(clock=clock)
    put(jar, "https://example.com/", "sid=old; Secure; Max-Age=10")
    clock.now += 10
    put(jar, "http://example.com/", "sid=new")
    assert sent(jar, "http://example.com/") == "sid=new"


@pytest.mark.parametrize(
    ("origins", "url", "is_secure"),
    [
        ("http://example.com", "http://example.com/a", True),
        ("http://example.com:80", "http://example.com/a", True),
        (URL("http://example.com/any?thing"), "http://example.com:80/a", True),
        ([URL("http://a.com"), "http://example.com:8080"], "http://example.com:8080/", True),
        ("http://example.com", "http://example.com:8080/", False),
        ("http://example.com", "http://www.example.com/", False),
        ("http://example.com", "ws://example.com/", False),
        ((), "http://example.com/", False),
        (None, "http://example.com/", False),
    ],
)
def test_origins_treated_as_secure(origins: Any, url: str, is_secure: bool) -> None:
    jar = make_jar(treat_as_secure_origin=origins)
    put(jar, url, "a=1; Secure; Path=/")
    assert len(jar) == is_secure
    put(jar, url.replace("http", "https").replace("ws", "wss"), "b=2; Secure; Path=/")
    assert sent(jar, url) == ("a=1; b=2" if is_secure else None)


def test_origins_treated_as_secure_can_be_read_and_are_absolute() -> None:
    jar = make_jar(treat_as_secure_origin=["http://a.com/x", URL("http://b.com:81")])
    assert jar.treat_as_secure_origin == {URL("http://a.com"), URL("http://b.com:81")}
    assert make_jar().treat_as_secure_origin == frozenset()
    with pytest.raises(ValueError, match="absolute"):
        make_jar(treat_as_secure_origin="example.com")


# Expiry (sections 5.5, 5.6.1 and 5.6.2).


@pytest.mark.parametrize(
    ("attributes", "lifetime"),
    [
        ("Max-Age=10", 10),
        ("Expires=Fri, 15 Jan 2027 08:00:10 GMT", 10),
        ("Max-Age=10; Expires=Fri, 15 Jan 2027 09:00:00 GMT", 10),
        ("Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=10", 10),
        ("Max-Age=junk; Expires=Fri, 15 Jan 2027 08:00:10 GMT", 10),
        ("Max-Age=10; Max-Age=x", 10),
        ("", None),
        ("Max-Age=", None),
        ("Max-Age=1e3", None),
        ("Max-Age=\u0663", None),
        ("Expires=whenever", None),
        # At most 400 days, however far away it is.
        ("Max-Age=34560001", 400 * DAY),
        ("Max-Age=99999999999999999999999999", 400 * DAY),
        ("Expires=Fri, 31 Dec 9999 23:59:59 GMT", 400 * DAY),
        ("Expires=Tue, 19 Jan 2038 03:14:08 GMT", 400 * DAY),
    ],
)
def test_expiry(attributes: str, lifetime: int | None) -> None:
    clock = Clock()
    jar = make_jar(clock=clock)
    put(jar, "http://example.com/", f"a=1; {attributes}")
    assert sent(jar, "http://example.com/") == "a=1"
    if lifetime is None:
        clock.now += 10_000 * DAY
        assert sent(jar, "http://example.com/") == "a=1"
        return
    clock.now += lifetime - 1
    assert sent(jar, "http://example.com/") == "a=1"
    assert len(jar) == 1
    clock.now += 1
    assert sent(jar, "http://example.com/") is None
    assert len(jar) == 0


@pytest.mark.parametrize(
    "attributes",
    [
        "Max-Age=0",
        "Max-Age=-1",
        "Max-Age=-99999999999999999999999",
        "Max-Age=0; Expires=Fri, 31 Dec 9999 23:59:59 GMT",
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "Expires=Mon, 01 Jan 1601 00:00:00 GMT",
        "Expires=Fri, 15 Jan 2027 08:00:00 GMT",
    ],
)
def test_expired_cookie_is_not_stored_and_removes_the_stored_one(attributes: str) -> None:
    """In aiohttp 3.14.5 the epoch, the usual way to delete a cookie, deletes nothing."""
    jar = make_jar()
    put(jar, "http://example.com/", f"a=; {attributes}")
    assert len(jar) == 0
    put(jar, "http://example.com/", "a=1; Max-Age=10", "b=2")
    put(jar, "http://example.com/", f"a=; {attributes}")
    assert len(jar) == 1
    assert sent(jar, "http://example.com/") == "b=2"


@pytest.mark.parametrize(
    "field",
    [
        "a=; Max-Age=0; Path=/x",
        "a=; Max-Age=0; Domain=example.com",
        "A=; Max-Age=0",
    ],
)
def test_only_the_same_cookie_is_removed(field: str) -> None:
    jar = make_jar()
    put(jar, "http://example.com/", "a=1", field)
    assert sent(jar, "http://example.com/") == "a=1"


def test_cookie_that_replaces_has_only_its_own_expiry() -> None:
    clock = Clock()
    jar = make_jar(clock=clock)
    put(jar, "http://example.com/", "a=1; Max-Age=10", "a=2")
    clock.now += 20
    assert sent(jar, "http://example.com/") == "a=2"


# What is sent, and in what order (section 5.8.3).


def test_longer_paths_first_then_older_cookies() -> None:
    jar = make_jar()
    put(jar, "http://example.com/a/b", "one=1; Path=/", "two=2; Path=/a/b", "three=3; Path=/")
    put(jar, "http://example.com/a/b", "four=4; Path=/a", "five=5; Path=/a/b")
    assert sent(jar, "http://example.com/a/b") == "two=2; five=5; four=4; one=1; three=3"


def test_cookie_that_replaces_keeps_the_place() -> None:
    jar = make_jar()
    put(jar, "http://example.com/", "a=1", "b=2")
    put(jar, "http://example.com/", "a=3")
    assert sent(jar, "http://example.com/") == "a=3; b=2"
    assert len(jar) == 2


def test_most_specific_of_a_name_is_sent_domain_before_path() -> None:
    jar = make_jar()
    host = "http://a.b.example.com/x/y"
    steps: list[tuple[str, str]] = [
        ("s=1; Domain=example.com; Path=/", "s=1"),
        ("s=2; Domain=example.com; Path=/x", "s=2"),
        ("s=3; Domain=b.example.com; Path=/", "s=3"),
        ("s=4; Domain=example.com; Path=/x/y", "s=3"),
        ("s=5; Path=/", "s=5"),
        ("s=6; Domain=a.b.example.com; Path=/", "s=5"),
        ("s=7; Domain=a.b.example.com; Path=/x", "s=7"),
    ]
    jar.update_cookies({"s": "0"})
    assert sent(jar, host) == "s=0"
    for field, header in steps:
        put(jar, host, field)
        assert sent(jar, host) == header
    assert len(jar) == 8


@pytest.mark.parametrize("evil_first", [False, True])
def test_host_below_cannot_replace_a_host_only_cookie(evil_first: bool) -> None:
    """With name, domain and path alone as its identity, the session would be fixed."""
    jar = make_jar()
    responses = [
        ("http://example.com/", "sid=good"),
        ("http://evil.example.com/", "sid=evil; Domain=example.com"),
    ]
    for url, field in reversed(responses) if evil_first else responses:
        put(jar, url, field)
    assert sent(jar, "http://example.com/") == "sid=good"
    assert sent(jar, "http://evil.example.com/") == "sid=evil"
    assert jar.cookies["example.com", "/"]["sid"].value == "good"


def test_each_response_of_a_chain_counts_for_the_next_request() -> None:
    jar = make_jar()
    put(jar, "http://example.com/1", "a=1", "b=1")
    assert sent(jar, "http://example.com/2") == "a=1; b=1"
    put(jar, "http://example.com/2", "a=2", "b=; Max-Age=0")
    assert sent(jar, "http://example.com/3") == "a=2"


# Values.


@pytest.mark.parametrize(
    ("field", "quoting", "plain"),
    [
        ("a=b", "a=b", "a=b"),
        ("a=", "a=", "a="),
        ("a=b/c=d", "a=b/c=d", "a=b/c=d"),
        ("a=b c", 'a="b c"', "a=b c"),
        ("a=b,c", 'a="b\\054c"', "a=b,c"),
        ('a=b"c', 'a="b\\"c"', 'a=b"c'),
        ('a="', 'a="\\""', 'a="'),
        # Back as they came, coded, however they decode.
        ('a="b c"', 'a="b c"', 'a="b c"'),
        ('a="\\015\\012X: y"', 'a="\\015\\012X: y"', 'a="\\015\\012X: y"'),
        ("a=%0d%0a", "a=%0d%0a", "a=%0d%0a"),
        ("a=é€", "a=é€", "a=é€"),
        ("a=\udcff b", "a=\udcff b", "a=\udcff b"),
    ],
)
def test_values_go_back_as_they_came_or_in_quotes(field: str, quoting: str, plain: str) -> None:
    for quote, header in ((True, quoting), (False, plain)):
        jar = make_jar(quote_cookie=quote)
        assert jar.quote_cookie is quote
        put(jar, "http://example.com/", field)
        assert sent(jar, "http://example.com/") == header


@pytest.mark.parametrize(
    "field",
    ["a=b\x00c", "a=b\rc", "a=b\nc", "a\x7f=b", "a=b; Path=/\x01", "a", "=a", "", ";", "a=\ud800"],
)
def test_malformed_fields_are_ignored_one_by_one(field: str) -> None:
    jar = make_jar()
    put(jar, "http://example.com/", "x=1", field, "y=2")
    assert sent(jar, "http://example.com/") == "x=1; y=2"


def test_one_field_is_one_cookie() -> None:
    jar = make_jar()
    put(jar, "http://example.com/", "a=1, b=2; c=3; d=4\tx", "e=5")
    assert [morsel.key for morsel in jar] == ["a", "e"]


def test_response_sets_fifty_cookies_at_most() -> None:
    jar = make_jar()
    put(jar, "http://example.com/", *["junk"] * 100, *[f"a{number}=1" for number in range(60)])
    assert len(jar) == 50
    assert [morsel.key for morsel in jar][-1] == "a49"


# Cookies of the program.


def test_shared_cookies_go_everywhere_even_to_addresses() -> None:
    jar = make_jar()
    jar.update_cookies({"a": "1"})
    for url in ("http://example.com/x", "https://other.com/", "http://127.0.0.1/", "http://[::1]/"):
        assert sent(jar, url) == "a=1"
    assert sent(jar, "/relative") == "a=1"
    assert jar.host_only_cookies == frozenset()
    assert list(jar.cookies) == [("", "/")]


def test_shared_secure_cookies_need_a_secure_origin() -> None:
    jar = make_jar(treat_as_secure_origin="http://127.0.0.1:8080")
    cookies = SimpleCookie({"a": "1"})
    cookies["a"]["secure"] = True
    jar.update_cookies(cookies)
    assert sent(jar, "http://example.com/") is None
    assert sent(jar, "/relative") is None
    assert sent(jar, "https://example.com/") == "a=1"
    assert sent(jar, "https://127.0.0.1/") == "a=1"
    assert sent(jar, "http://127.0.0.1:8080/") == "a=1"


def test_shared_cookies_can_have_a_path_and_any_name() -> None:
    jar = make_jar()
    cookies = SimpleCookie({"__Host-a": "1"})
    cookies["__Host-a"]["path"] = "/x"
    jar.update_cookies(cookies)
    assert sent(jar, "http://example.com/x/y") == "__Host-a=1"
    assert sent(jar, "http://example.com/") is None


@pytest.mark.parametrize(
    ("domain", "to", "is_sent"),
    [
        ("example.com", "example.com", True),
        ("example.com", "www.example.com", True),
        ("example.com", "other.com", False),
        ("com", "example.com", False),
        ("localhost", "localhost", True),
        ("127.0.0.1", "x.127.0.0.1", False),
    ],
)
def test_cookies_of_the_program_can_name_a_domain(domain: str, to: str, is_sent: bool) -> None:
    jar = make_jar(unsafe=True)
    cookies = SimpleCookie({"a": "1"})
    cookies["a"]["domain"] = domain
    jar.update_cookies(cookies)
    assert len(jar) == 1
    assert sent(jar, f"http://{to}/") == ("a=1" if is_sent else None)


def morsel_of(name: str, value: str, **attributes: object) -> Morsel[str]:
    morsel: Morsel[str] = Morsel()
    morsel.set(name, value, value)
    for attribute, setting in attributes.items():
        dict.__setitem__(morsel, attribute.replace("_", "-"), setting)
    return morsel


@pytest.mark.parametrize(
    "cookies",
    [
        {"a": "1", "b": "2"},
        [("a", "1"), ("b", "2")],
        iter([("a", "1"), ("b", morsel_of("b", "2"))]),
        SimpleCookie("a=1; b=2"),
        {"x": SimpleCookie("a=1; b=2")},
        {"a": morsel_of("other", "1"), "b": "2"},
    ],
)
def test_cookies_are_taken_in_many_forms(cookies: Any) -> None:
    jar = make_jar()
    jar.update_cookies(cookies, URL("http://example.com/"))
    assert sent(jar, "http://example.com/") == "a=1; b=2"
    assert sent(jar, "http://other.com/") is None


def test_attributes_of_morsels_mean_what_they_mean_in_a_response() -> None:
    clock = Clock()
    jar = make_jar(clock=clock)
    url = URL("https://www.example.com/x/y")
    cookies = {
        "age": morsel_of("age", "1", max_age=10),
        "gone": morsel_of("gone", "1", max_age=0),
        "date": morsel_of("date", "1", expires="Fri, 15 Jan 2027 08:00:20 GMT"),
        "none": morsel_of("none", "1", max_age=None, domain=None),
        "wide": morsel_of("wide", "1", domain=".Example.com", path="/"),
        "foreign": morsel_of("foreign", "1", domain="other.com"),
        "safe": morsel_of("safe", "1", secure=True, httponly=True, samesite="lax"),
        "part": morsel_of("part", "1", partitioned=True),
    }
    jar.update_cookies(cookies, url)
    stored = {morsel.key: morsel for morsel in jar}
    assert stored.keys() == {"age", "date", "none", "wide", "safe", "part"}
    assert stored["date"]["expires"] == "Fri, 15 Jan 2027 08:00:20 GMT"
    assert stored["none"]["expires"] == ""
    assert (stored["wide"]["domain"], stored["wide"]["path"]) == ("example.com", "/")
    assert (stored["none"]["domain"], stored["none"]["path"]) == ("www.example.com", "/x")
    safe = stored["safe"]
    assert (safe["secure"], safe["httponly"], safe["samesite"]) == (True, True, "Lax")
    assert stored["part"]["partitioned"] is True
    assert "Secure" not in stored["part"].OutputString()
    clock.now += 10
    assert sent(jar, "http://www.example.com/x") == "date=1; none=1; part=1; wide=1"


def test_morsels_are_copied_both_ways() -> None:
    jar = make_jar()
    cookies = SimpleCookie("a=1")
    jar.update_cookies(cookies, URL("http://example.com/"))
    for morsel in (cookies["a"], *jar, *jar.filter_cookies(URL("http://example.com/")).values()):
        morsel.set("a", "changed", "changed")
    assert sent(jar, "http://example.com/") == "a=1"


def test_filtered_cookies_are_bare() -> None:
    jar = make_jar()
    put(jar, "https://example.com/", "a=1; Domain=example.com; Secure; Max-Age=10", 'b="x y"')
    found = jar.filter_cookies(URL("https://example.com/"))
    assert found.output() == 'Set-Cookie: a=1\r\nSet-Cookie: b="x y"'
    assert found["b"].value == "x y"


def test_program_values_are_quoted_so_that_they_can_be_sent() -> None:
    jar = make_jar()
    jar.update_cookies({"a": "b\r\n; c=d", "e": "é", "f": ""})
    assert sent(jar, "http://example.com/") == 'a="b\\015\\012\\073 c=d"; e=é; f='
    assert {morsel.key: morsel.value for morsel in jar}["a"] == "b\r\n; c=d"


@pytest.mark.parametrize(
    ("cookies", "quote", "error"),
    [
        ({"a": "b;c"}, False, ValueError),
        ({"a": "b\nc"}, False, ValueError),
        ({"a": "é\nc"}, True, ValueError),
        ({"a": '"b;c"'}, True, ValueError),
        ({"a": "\ud800"}, True, ValueError),
        ({"a b": "c"}, True, ValueError),
        ({"": "c"}, True, ValueError),
        ({"a=b": "c"}, True, ValueError),
        ({"a;b": "c"}, True, ValueError),
        ({"a": morsel_of("a", "b;c")}, True, ValueError),
        ({"a": morsel_of("a", "b\nc")}, True, ValueError),
        ({"a": morsel_of("a", "b", path="/;secure")}, True, ValueError),
        ({"a": morsel_of("a", "b", path="/\n")}, True, ValueError),
        ({"a": morsel_of("a", "b" * 4096)}, True, ValueError),
        ({"a": 1}, True, TypeError),
        ({"a": None}, True, TypeError),
        ({"a": b"b"}, True, TypeError),
    ],
)
def test_what_cannot_be_sent_is_an_error_of_the_program(
    cookies: Any, quote: bool, error: type[Exception]
) -> None:
    jar = make_jar(quote_cookie=quote)
    with pytest.raises(error):
        jar.update_cookies(cookies, URL("http://example.com/"))
    assert len(jar) == 0


# Looking and clearing.


def test_views_are_copies_of_what_is_current() -> None:
    clock = Clock()
    jar = make_jar(clock=clock)
    put(jar, "http://www.example.com/x/y", "a=host", "a=domain; Domain=www.example.com; Path=/x")
    put(jar, "http://www.example.com/x/y", "b=1; Domain=example.com; Path=/; Max-Age=1")
    views = jar.cookies
    assert views[("www.example.com", "/x")]["a"].value == "host"
    assert views[("example.com", "/")]["b"]["domain"] == "example.com"
    assert jar.host_only_cookies == {("www.example.com", "/x", "a")}
    with pytest.raises(TypeError):
        views[("", "/")] = SimpleCookie()  # type: ignore[index]
    clock.now += 1
    assert len(jar) == 3
    assert list(jar.cookies) == [("www.example.com", "/x")]
    assert len(jar) == 2
    assert len(views) == 2


def test_iteration_removes_what_is_expired() -> None:
    clock = Clock()
    jar = make_jar(clock=clock)
    put(jar, "http://example.com/", "a=1; Max-Age=1", "b=2")
    clock.now += 1
    assert len(jar) == 2
    assert [morsel.key for morsel in jar] == ["b"]
    assert len(jar) == 1


def test_clear() -> None:
    clock = Clock()
    jar = make_jar(clock=clock)
    put(jar, "http://example.com/", "a=1; Max-Age=1", "b=2", "c=3; Path=/x")
    put(jar, "http://example.com/", "d=3; Domain=example.com")
    clock.now += 1
    jar.clear(lambda morsel: morsel["path"] == "/x")
    assert len(jar) == 2
    assert sent(jar, "http://example.com/x") == "b=2; d=3"
    jar.clear()
    assert len(jar) == 0
    assert list(jar) == []


def test_jar_can_be_changed_while_it_is_looked_at() -> None:
    jar = make_jar()
    put(jar, "http://example.com/", "a=1", "b=2")
    for morsel in jar:
        put(jar, "http://example.com/", f"{morsel.key}x=1")
    assert len(jar) == 4

    def adding(morsel: Morsel[str]) -> bool:
        put(jar, "http://example.com/", f"{morsel.key}y=1")
        return True

    jar.clear(adding)
    assert sorted(morsel.key for morsel in jar) == ["axy", "ay", "bxy", "by"]


def test_clear_domain_takes_what_is_below() -> None:
    jar = make_jar(unsafe=True)
    jar.update_cookies({"shared": "1"})
    hosts = ("example.com", "a.b.example.com", "badexample.com", "com", "1.2.3.4")
    for host in hosts:
        put(jar, f"http://{host}/", "a=1")
    put(jar, "http://a.example.com/", "a=1; Domain=example.com")
    jar.clear_domain("Example.com")
    assert sorted(morsel["domain"] for morsel in jar) == ["", "1.2.3.4", "badexample.com", "com"]
    jar.clear_domain("3.4")
    assert len(jar) == 4


# Limits.


def test_domain_has_180_cookies_and_those_not_used_for_longest_go() -> None:
    jar = make_jar()
    for number in range(180):
        put(jar, "http://example.com/", f"a{number}=1; Path=/{number}")
    for number in range(30):
        assert sent(jar, f"http://example.com/{number}") == f"a{number}=1"
    put(jar, "http://other.com/", "a=1")
    assert len(jar) == 181
    put(jar, "http://example.com/", "new=1")
    assert len(jar) == 151
    left = {morsel.key for morsel in jar if morsel["domain"] == "example.com"}
    assert left == {"new", *(f"a{number}" for number in (*range(30), *range(61, 180)))}


def test_expired_cookies_go_first() -> None:
    clock = Clock()
    jar = make_jar(clock=clock)
    for number in range(180):
        age = "; Max-Age=1" if number >= 100 else ""
        put(jar, "http://example.com/", f"a{number}=1{age}")
    clock.now += 1
    put(jar, "http://example.com/", "new=1")
    assert len(jar) == 101
    assert {morsel.key for morsel in jar} == {"new", *(f"a{number}" for number in range(100))}


def test_insecure_cookies_go_before_secure_ones() -> None:
    jar = make_jar()
    for number in range(180):
        put(jar, "https://example.com/", f"a{number}=1{'' if number % 10 else '; Secure'}")
    put(jar, "https://example.com/", "new=1; Secure")
    assert len(jar) == 150
    assert sum(bool(morsel["secure"]) for morsel in jar) == 19


def test_secure_cookies_go_for_secure_ones_only() -> None:
    jar = make_jar()
    for number in range(180):
        put(jar, "https://example.com/", f"a{number}=1; Secure")
    put(jar, "http://example.com/", "new=1")
    assert len(jar) == 180
    assert sent(jar, "http://example.com/") is None
    put(jar, "https://example.com/", "new=1; Secure")
    assert len(jar) == 150
    keys = {morsel.key for morsel in jar}
    assert "new" in keys
    assert "a30" not in keys
    assert "a31" in keys


def test_insecure_newcomer_stays_if_others_can_go() -> None:
    jar = make_jar()
    for number in range(180):
        put(jar, "https://example.com/", f"a{number}=1{'; Secure' if number else ''}")
    put(jar, "http://example.com/", "new=1")
    assert len(jar) == 180
    assert sent(jar, "http://example.com/") == "new=1"


def test_jar_has_3300_cookies_in_all() -> None:
    jar = make_jar()
    for number in range(3300):
        put(jar, f"http://h{number}.example.com/", "a=1")
    put(jar, "http://h0.example.com/", "a=2")
    assert len(jar) == 3300
    put(jar, "http://other.com/", "a=1")
    assert len(jar) == 3000
    assert sent(jar, "http://h0.example.com/") == "a=2"
    assert sent(jar, "http://h301.example.com/") is None
    assert sent(jar, "http://h302.example.com/") == "a=1"
    assert sent(jar, "http://other.com/") == "a=1"


def test_request_carries_150_cookies_the_most_specific_ones() -> None:
    jar = make_jar()
    jar.update_cookies({f"s{number}": "1" for number in range(20)})
    fields = [f"a{number}=1; Domain=example.com; Path=/" for number in range(140)]
    for start in range(0, 140, 20):
        put(jar, "http://www.example.com/", *fields[start : start + 20])
    put(jar, "http://www.example.com/", "host=1")
    names = [
        pair.partition("=")[0] for pair in (sent(jar, "http://www.example.com/") or "").split("; ")
    ]
    assert len(names) == 150
    assert {"host", *(f"a{number}" for number in range(140))} < set(names)
    assert names[:9] == [f"s{number}" for number in range(9)]


@pytest.mark.parametrize(
    ("last", "names"),
    [
        # 2 * 4094 bytes and "; " are 8190.
        (4092, ["a", "b"]),
        (4093, ["b"]),
    ],
)
def test_request_carries_8190_bytes_of_cookies(last: int, names: list[str]) -> None:
    jar = make_jar()
    put(jar, "http://example.com/", f"a={'x' * 4092}; Path=/", f"b={'y' * last}; Path=/x")
    header = sent(jar, "http://example.com/x") or ""
    assert [pair[0] for pair in header.split("; ")] == names[::-1]


def test_bytes_are_counted_and_smaller_cookies_fill_the_room() -> None:
    jar = make_jar()
    put(jar, "http://example.com/", *[f"{name}={'€' * 1300}; Path=/x" for name in "abc"], "d=1")
    assert [pair[0] for pair in (sent(jar, "http://example.com/x") or "").split("; ")] == [*"abd"]


# Hostile input.


@pytest.mark.parametrize("junk", ['"', "\\", ",", ";", " ", "=", "\t", "a", ";a=", "\\1", '"\\'])
def test_large_fields_take_linear_time(junk: str) -> None:
    jar = make_jar()
    flood = junk * (1_000_000 // len(junk))
    put(jar, "http://example.com/", flood, f"a={flood}", f"b=1;{flood}", f"c=1; Path=/{flood}")
    put(jar, "http://example.com/", f"d=1; Domain={flood}", f"e=1; Expires={flood}")
    assert len(jar) <= 6


def test_large_urls_take_linear_time() -> None:
    jar = make_jar()
    put(jar, "http://example.com/", "a=1; Path=/", "b=1; Domain=example.com")
    for number in range(170):
        put(jar, "http://example.com/", f"c{number}=1; Path={'/' * number}")
    deep = URL(f"http://example.com{'/' * 500_000}", encoded=True)
    wide = URL(f"http://{'a.' * 250_000}example.com/", encoded=True)
    for _ in range(5):
        assert jar.cookie_header(deep) is not None
        assert jar.cookie_header(wide) is None
        before = len(jar)
        put(jar, str(wide), "x=1", "y=1; Domain=example.com")
        assert len(jar) == before
        jar.update_cookies_from_headers(["z=1"], deep)


def test_many_hosts_of_an_insecure_site_take_bounded_time_and_memory() -> None:
    jar = make_jar()
    for number in range(1200):
        fields = [f"a{number}=1; Domain=example.com", "b=1", f"c{number}=1; Path=/{number}"]
        put(jar, f"http://h{number}.example.com/", *fields)
    assert len(jar) <= 3300


# Properties.

HOSTS = [
    "example.com",
    "www.example.com",
    "a.www.example.com",
    "badexample.com",
    "example.co.uk",
    "b.example.co.uk",
    "other.com",
    "localhost",
    "127.0.0.1",
    "10.127.0.0.1",
]
hosts = st.sampled_from(HOSTS)
attributes = st.lists(
    st.one_of(
        st.sampled_from([*HOSTS, "com", "co.uk", ".example.com", "0.0.1"]).map(
            lambda domain: f"; Domain={domain}"
        ),
        st.sampled_from(["; Path=/", "; Path=/a", "; Path=/a/b", "; Path=x"]),
        st.sampled_from(["; Secure", "; HttpOnly", "; SameSite=Lax", "; Max-Age=5", "; Max-Age=0"]),
    ),
    max_size=4,
).map("".join)
names = st.sampled_from(["a", "b", "__Host-a", "__Secure-a"])
responses = st.lists(
    st.tuples(st.sampled_from(["http", "https"]), hosts, names, attributes), max_size=8
)


@given(responses, hosts, st.booleans())
def test_nothing_is_sent_to_a_foreign_host(
    given_responses: list[tuple[str, str, str, str]], host: str, unsafe: bool
) -> None:
    """A cookie comes from the host itself, or from one with which it has a registered domain."""
    jar = make_jar(unsafe=unsafe)
    for number, (scheme, origin, name, text) in enumerate(given_responses):
        put(jar, f"{scheme}://{origin}/a/b", f"{name}={number}{text}")
    assert len(jar) == len(list(jar))
    for scheme in ("http", "https"):
        for pair in (sent(jar, f"{scheme}://{host}/a/b") or "").split("; "):
            if not pair:
                continue
            name, _, value = pair.partition("=")
            origin_scheme, origin, _, text = given_responses[int(value)]
            assert origin == host or site(origin) == site(host) is not None
            if "Secure" in text:
                assert (scheme, origin_scheme) == ("https", "https")
            if name.startswith("__Host-"):
                assert origin == host
                assert "Secure" in text
            if origin != host:
                assert "Domain" in text


def site(host: str) -> str | None:
    labels = host.split(".")
    if labels[-1].isdigit() or len(labels) == 1:
        return None
    return ".".join(labels[-3 if host.endswith(".co.uk") else -2 :])


@given(st.lists(st.text(alphabet=string.printable + "é€\udc80\ud800;;==", max_size=40), max_size=5))
def test_any_field_is_stored_or_ignored_and_fit_to_be_sent(fields: list[str]) -> None:
    for quote in (True, False):
        jar = make_jar(quote_cookie=quote)
        put(jar, "https://example.com/", *fields)
        header = sent(jar, "https://example.com/") or ""
        header.encode("utf-8", "surrogateescape")
        assert not any(character in header for character in "\r\n\0")
        assert len(jar) <= len(fields)


@given(st.text(), st.booleans())
def test_any_value_of_the_program_is_sent_as_one_cookie_or_refused(text: str, quote: bool) -> None:
    jar = make_jar(quote_cookie=quote)
    try:
        jar.update_cookies({"a": text})
    except ValueError:
        assert len(jar) == 0
    else:
        header = sent(jar, "http://example.com/") or ""
        assert header.startswith("a=")
        assert header.isprintable() or not header.isascii() or "\t" in header
        assert ";" not in header
