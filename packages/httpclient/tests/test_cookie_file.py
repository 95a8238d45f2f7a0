"""Cookies are kept in a JSON file, and nothing of them is lost or gained by that."""

from __future__ import annotations

import json
import os
import pickle
import stat
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from httpclient import CookieJar

NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def make_jar(**options: Any) -> CookieJar:
    options.setdefault("clock", Clock())
    return CookieJar(public_suffixes=lambda domain: "." not in domain, **options)


def put(jar: CookieJar, url: str, *fields: str) -> None:
    jar.update_cookies_from_headers(fields, URL(url))


def full_jar(**options: Any) -> CookieJar:
    jar = make_jar(**options)
    put(jar, "https://www.example.com/x/y", "b=1", "a=2; Domain=example.com; Path=/; Max-Age=100")
    put(jar, "https://www.example.com/x/y", "c=é\udcff; Secure; HttpOnly; SameSite=None")
    put(jar, "https://www.example.com/x/y", 'd="x\\054y"; Partitioned; Max-Age=5', "e=x y")
    jar.update_cookies({"shared": "1"})
    return jar


RECORD: dict[str, Any] = {
    "name": "a",
    "value": "1",
    "domain": "example.com",
    "path": "/",
    "host_only": True,
    "secure": False,
    "http_only": False,
    "same_site": None,
    "partitioned": False,
    "expires": None,
}


def write(path: Path, *records: object) -> Path:
    path.write_text(json.dumps({"version": 1, "cookies": records}))
    return path


def test_all_is_kept(tmp_path: Path) -> None:
    jar = full_jar()
    jar.save(tmp_path / "cookies")
    loaded = make_jar()
    put(loaded, "http://old.example/", "old=1")
    loaded.load(str(tmp_path / "cookies"))
    assert sorted(map(repr, loaded)) == sorted(map(repr, jar))
    assert loaded.host_only_cookies == jar.host_only_cookies
    for url in (
        "https://www.example.com/x/y",
        "http://www.example.com/x",
        "http://a.www.example.com/x",
        "http://old.example/",
    ):
        assert loaded.cookie_header(URL(url)) == jar.cookie_header(URL(url))
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "cookies").read_bytes()


def test_host_only_cookie_stays_so(tmp_path: Path) -> None:
    """A flag that is lost on the way makes a host's own cookie one of all hosts below it."""
    jar = make_jar()
    put(jar, "http://example.com/", "own=1", "wide=1; Domain=example.com")
    jar.save(tmp_path / "cookies")
    jar.load(tmp_path / "cookies")
    assert jar.cookie_header(URL("http://example.com/")) == "own=1; wide=1"
    assert jar.cookie_header(URL("http://www.example.com/")) == "wide=1"


def test_expiry_is_a_point_in_time(tmp_path: Path) -> None:
    """Saved as an age, it would begin anew with each load."""
    clock = Clock()
    jar = make_jar(clock=clock)
    put(jar, "http://example.com/", "a=1; Max-Age=100", "b=1; Max-Age=10")
    clock.now += 50
    jar.save(tmp_path / "cookies")
    clock.now += 49
    jar.load(tmp_path / "cookies")
    assert jar.cookie_header(URL("http://example.com/")) == "a=1"
    clock.now += 1
    assert jar.cookie_header(URL("http://example.com/")) is None
    jar.load(tmp_path / "cookies")
    assert len(jar) == 0


def test_cookie_that_is_expired_is_not_saved(tmp_path: Path) -> None:
    clock = Clock()
    jar = make_jar(clock=clock)
    put(jar, "http://example.com/", "secret=1; Max-Age=10")
    clock.now += 10
    jar.save(tmp_path / "cookies")
    assert "secret" not in (tmp_path / "cookies").read_text()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_file_is_the_owners_alone(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "cookies"
    path.write_text("old")
    path.chmod(0o666)
    before = os.umask(umask)
    try:
        full_jar().save(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_file_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    full_jar().save("cookies")
    assert os.listdir(tmp_path) == ["cookies"]


def test_file_is_replaced_at_once_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cookies"
    make_jar().save(path)
    old = path.read_bytes()
    seen: list[bytes] = []

    def fsync(descriptor: int) -> None:
        seen.append(path.read_bytes())
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="no space left"):
        full_jar().save(path)
    assert seen == [old]
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["cookies"]


def test_missing_files_and_directories(tmp_path: Path) -> None:
    jar = full_jar()
    with pytest.raises(FileNotFoundError):
        jar.load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        jar.save(tmp_path / "nothing" / "cookies")
    assert len(jar) == 6


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_refused(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "cookies"
    path.write_bytes(pickle.dumps({("a", "/"): SimpleCookie("a=1"), "bomb": Bomb()}, protocol))
    jar = full_jar()
    with pytest.raises(ValueError, match="is a pickle" if protocol > 1 else "is not JSON"):
        jar.load(path)
    assert len(jar) == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\xfd", "is not JSON"),
        (b'"\xc3("', "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b'{"version": 1' + b"0" * 5000 + b"}", "is not JSON"),
        (b"null", "holds no cookies of version 1"),
        (b"[]", "holds no cookies of version 1"),
        (b"{}", "holds no cookies of version 1"),
        (b'{"version": 2, "cookies": []}', "holds no cookies of version 1"),
        (b'{"version": 1}', "has no list of cookies"),
        (b'{"version": 1, "cookies": {}}', "has no list of cookies"),
        (b'{"version": 1, "cookies": [[]]}', "cookie 1: expected exactly name, value, domain"),
        (b'{"version": 1, "cookies": [{}]}', "cookie 1: expected exactly name, value, domain"),
    ],
)
def test_malformed_file_leaves_the_jar_as_it_is(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "cookies"
    path.write_bytes(content)
    jar = full_jar()
    with pytest.raises(ValueError, match=message) as info:
        jar.load(path)
    assert str(path) in str(info.value)
    assert len(jar) == 6


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"more": 1}, "expected exactly"),
        ({"name": 1}, "name is a int"),
        ({"name": ""}, "'' cannot be the name"),
        ({"name": "a;b"}, "'a;b' cannot be the name"),
        ({"value": None}, "value is a NoneType"),
        ({"value": "b\r\nX: y"}, "cookie value"),
        ({"value": "\ud800"}, "surrogates"),
        ({"domain": "Example.com"}, "domain 'Example.com' is not"),
        ({"domain": "\xfc.example"}, "domain '\xfc.example' is not"),
        ({"domain": ""}, "or missing"),
        ({"path": ""}, "path '' does not begin"),
        ({"path": "x"}, "path 'x' does not begin"),
        ({"host_only": 1}, "host_only is a int"),
        ({"host_only": None}, "host_only is a NoneType"),
        ({"secure": "false"}, "secure is a str"),
        ({"same_site": "lax"}, "same_site is 'lax'"),
        ({"expires": True}, "expires is a bool"),
        ({"expires": "1"}, "expires is a str"),
        ({"expires": float("nan")}, "expires is no finite number"),
        ({"expires": float("inf")}, "expires is no finite number"),
        ({"expires": 10**400}, "expires is no finite number"),
        ({"expires": -(10**400)}, "expires is no finite number"),
    ],
)
def test_malformed_cookie_leaves_the_jar_as_it_is(
    tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    path = write(tmp_path / "cookies", RECORD, RECORD | wrong)
    jar = full_jar()
    with pytest.raises(ValueError, match=rf"cookie 2: .*{message}"):
        jar.load(path)
    assert len(jar) == 6


def test_missing_field_is_malformed(tmp_path: Path) -> None:
    """Were host_only False when it is missing, the cookie would go to hosts below."""
    record = {name: value for name, value in RECORD.items() if name != "host_only"}
    with pytest.raises(ValueError, match="cookie 1: expected exactly"):
        make_jar().load(write(tmp_path / "cookies", record))


@pytest.mark.parametrize("expires", [1e300, 10**300, 2**63])
def test_cookie_beyond_any_time_t_lives_as_long_as_others(tmp_path: Path, expires: float) -> None:
    clock = Clock()
    jar = make_jar(clock=clock)
    jar.load(write(tmp_path / "cookies", RECORD | {"expires": expires}))
    assert [morsel["expires"] for morsel in jar] == ["Sat, 19 Feb 2028 08:00:00 GMT"]
    clock.now += 400 * 24 * 60 * 60
    assert len(list(jar)) == 0


@pytest.mark.parametrize("expires", [0, 0.0, -1e300, -(10**300), NOW])
def test_expired_cookies_of_a_file_are_left_out(tmp_path: Path, expires: float) -> None:
    jar = make_jar()
    jar.load(write(tmp_path / "cookies", RECORD | {"expires": expires}, RECORD | {"name": "b"}))
    assert len(jar) == 1


def test_limits_hold_for_files_as_well(tmp_path: Path) -> None:
    records = [RECORD | {"name": f"a{number}"} for number in range(181)]
    jar = make_jar()
    jar.load(write(tmp_path / "cookies", *records))
    assert len(jar) == 150


def test_addresses_in_a_file_are_not_for_a_safe_jar(tmp_path: Path) -> None:
    path = write(tmp_path / "cookies", RECORD | {"domain": "127.0.0.1"})
    for unsafe, header in ((False, None), (True, "a=1")):
        jar = make_jar(unsafe=unsafe)
        jar.load(path)
        assert jar.cookie_header(URL("http://127.0.0.1/")) == header


fields = st.lists(
    st.tuples(
        st.sampled_from(["http://example.com/", "https://www.example.com/a/b", "https://x.test/"]),
        st.sampled_from(["a", "b", "__Host-c"]),
        st.text(alphabet='ab" \\,;é\udc80', max_size=6),
        st.lists(
            st.sampled_from(
                [
                    "; Domain=example.com",
                    "; Path=/",
                    "; Path=/a",
                    "; Secure",
                    "; HttpOnly",
                    "; Max-Age=5",
                    "; Max-Age=999999999999",
                    "; SameSite=strict",
                    "; Partitioned",
                ]
            ),
            max_size=4,
        ).map("".join),
    ),
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(fields, st.booleans())
def test_round_trip(
    tmp_path: Path, given_fields: list[tuple[str, str, str, str]], quote: bool
) -> None:
    clock = Clock()
    jar = make_jar(clock=clock, quote_cookie=quote)
    for url, name, value, attributes in given_fields:
        put(jar, url, f"{name}={value}{attributes}")
    jar.save(tmp_path / "cookies")
    loaded = make_jar(clock=clock, quote_cookie=quote)
    loaded.load(tmp_path / "cookies")
    assert sorted(map(repr, loaded)) == sorted(map(repr, jar))
    for later in (0, 5):
        clock.now = NOW + later
        for url in ("http://example.com/", "https://www.example.com/a/b", "https://x.test/a"):
            assert loaded.cookie_header(URL(url)) == jar.cookie_header(URL(url))
