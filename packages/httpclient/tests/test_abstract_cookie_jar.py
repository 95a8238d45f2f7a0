"""A jar of one's own needs little, and the one that keeps nothing does nothing."""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import BaseCookie, Morsel, SimpleCookie

import pytest
from yarl import URL

from httpclient import (
    AbstractCookieJar,
    ClearCookiePredicate,
    CookieJar,
    DummyCookieJar,
    LooseCookies,
)

HOST = URL("http://example.com/")


class LastJar(AbstractCookieJar):
    """Keeps what it was given last."""

    def __init__(self) -> None:
        self.last: dict[str, object] = {}
        self.url: URL | None = None

    def __len__(self) -> int:
        return len(self.last)

    def __iter__(self) -> Iterator[Morsel[str]]:
        return iter(self.filter_cookies(HOST).values())

    def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
        self.last = {}

    def clear_domain(self, domain: str) -> None:
        self.clear()

    def update_cookies(self, cookies: LooseCookies, response_url: URL = HOST) -> None:
        self.last = dict(cookies)
        self.url = response_url

    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        found: SimpleCookie = SimpleCookie()
        dict.update(found, self.last)
        return found


def test_defaults_of_a_jar_of_ones_own() -> None:
    jar = LastJar()
    assert jar.quote_cookie is True
    assert jar.treat_as_secure_origin == frozenset()
    assert jar.cookie_header(HOST) is None
    jar.update_cookies_from_headers(["a=1; Secure", "junk", 'b="x y"'], URL("http://other.com/"))
    assert jar.url == URL("http://other.com/")
    assert [(morsel.key, morsel["secure"]) for morsel in jar] == [("a", True), ("b", "")]
    assert jar.cookie_header(HOST) == 'a=1; b="x y"'


def test_jar_of_ones_own_cannot_inject_fields() -> None:
    jar = LastJar()
    jar.update_cookies(SimpleCookie({"a": "1"}))
    # What a Morsel's own method refuses in newer Pythons only.
    vars(jar.last["a"])["_coded_value"] = "1\r\nX: y"
    with pytest.raises(ValueError, match="cookie value"):
        jar.cookie_header(HOST)


def test_jar_without_methods_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        AbstractCookieJar()  # type: ignore[abstract]


def test_dummy_jar_keeps_nothing_and_looks_at_nothing() -> None:
    jar = DummyCookieJar()
    jar.update_cookies({"a": object()})  # type: ignore[arg-type]
    jar.update_cookies_from_headers([object()], HOST)  # type: ignore[list-item]
    jar.clear()
    jar.clear(lambda morsel: True)
    jar.clear_domain("example.com")
    assert len(jar) == 0
    assert list(jar) == []
    assert len(jar.filter_cookies(HOST)) == 0
    assert jar.cookie_header(HOST) is None
    assert jar.quote_cookie is True


@pytest.mark.parametrize("kind", [CookieJar, DummyCookieJar])
def test_jars_are_jars(kind: type[AbstractCookieJar]) -> None:
    assert isinstance(kind(), AbstractCookieJar)
