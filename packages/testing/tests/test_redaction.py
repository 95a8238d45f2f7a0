"""What is taken out of a recording, and what is left in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore_testing import (
    RecordedExchange,
    RecordedRequest,
    RecordedResponse,
    Redaction,
)
from httpcore_testing._redaction import Redactor

LONG = "k3y-abcdefghijklmnop"


def request_of(url: str = "http://a.test/", body: bytes = b"", **headers: str) -> RecordedRequest:
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return RecordedRequest("POST", url, fields, body)


DEFAULT = Redaction()


def redacted(request: RecordedRequest, redaction: Redaction | None = DEFAULT) -> RecordedRequest:
    return Redactor(redaction).request(request)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.test/?token=x", "http://a.test/?token=[redacted]"),
        ("http://a.test/?a=1&API-Key=x&b=2#c", "http://a.test/?a=1&API-Key=[redacted]&b=2#c"),
        ("http://a.test/?apiKey=x", "http://a.test/?apiKey=[redacted]"),
        ("http://a.test/?to%6ben=x", "http://a.test/?to%6ben=[redacted]"),
        ("http://a.test/#access_token=x&y=1", "http://a.test/#access_token=[redacted]&y=1"),
        ("http://a.test/;token=x", "http://a.test/;token=[redacted]"),
        ("http://joe:pw@a.test/", "http://redacted@a.test/"),
        (
            "http://a.test/?next=http://joe:pw@b.test/",
            "http://a.test/?next=http://redacted@b.test/",
        ),
        ("http://a.test/?token=%5BREDACTED%5D", "http://a.test/?token=[redacted]"),
        ("http://a.test/%5Bredacted%5D/x", "http://a.test/[redacted]/x"),
        # No secrets.
        ("http://a.test/?tokens=x&max_token=1", "http://a.test/?tokens=x&max_token=1"),
        ("http://a.test/token=x", "http://a.test/token=x"),
        ("http://a.test/?token=", "http://a.test/?token="),
        ("http://a.test/a@b", "http://a.test/a@b"),
        # The Kelvin sign is no k.
        ("http://a.test/?to\u212aen=x", "http://a.test/?to\u212aen=x"),
    ],
)
def test_urls(url: str, expected: str) -> None:
    assert redacted(request_of(url)).url == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Authorization", "Bearer abc", "Bearer [redacted]"),
        ("authorization", "Basic am9lOnB3", "Basic [redacted]"),
        ("Authorization", "abc def", "[redacted]"),
        ("Proxy_Authorization", "digest username=joe", "digest [redacted]"),
        ("X_Api_Key", "abc", "[redacted]"),
        ("Token", "abc", "[redacted]"),
        ("Cookie", "a=1; b=2=3; c; ", "a=[redacted]; b=[redacted]; [redacted]; "),
        ("Set_Cookie", "a=1; Path=/; Secure", "a=[redacted]; Path=/; Secure"),
        ("Set_Cookie", "a", "[redacted]"),
        ("Set_Cookie", "", ""),
        ("Location", "//b.test/?code_verifier=abc", "//b.test/?code_verifier=[redacted]"),
        ("Link", '<http://a:b@c.test/?sig=x>; rel="next"', None),
        ("X_Other", "Bearer abc", "Bearer abc"),
    ],
)
def test_headers(name: str, value: str, expected: str | None) -> None:
    if expected is None:
        expected = '<http://redacted@c.test/?sig=[redacted]>; rel="next"'
    ((_, found),) = redacted(request_of(**{name: value})).headers
    assert found == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"user=joe&password=pw&x", b"user=joe&password=[redacted]&x"),
        (b"password=a%20b", b"password=[redacted]"),
        (b'{"token":"a","b":[1]}', b'{"token":"[redacted]","b":[1]}'),
        (b'{"token": "a", "b": 1}', b'{"token": "[redacted]", "b": 1}'),
        (b'{"to\\u006ben":"a"}', b'{"token":"[redacted]"}'),
        (
            b'[{"secret":{"a":["x",5,true,null]}}]',
            b'[{"secret":{"a":["[redacted]","[redacted]",true,null]}}]',
        ),
        (b'{"next":"/?api_key=x"}', b'{"next":"/?api_key=[redacted]"}'),
        (b'{ "a" : 1 }', b'{ "a" : 1 }'),
        # No JSON as a whole.
        (b'data: {"token": "a\\"b", "c": 1}\n\n', b'data: {"token": "[redacted]", "c": 1}\n\n'),
        (b'{"token":12}\n{"token":"b"}\n', b'{"token":"[redacted]"}\n{"token":"[redacted]"}\n'),
        (b'{"token":"a","n":NaN}', b'{"token":"[redacted]","n":NaN}'),
        (b'{"token":"cut', b'{"token":"cut'),
        (b"<a href='/?token=x'>", b"<a href='/?token=[redacted]'>"),
        (b"\xff\xfe?token=x&\x80", b"\xff\xfe?token=[redacted]&\x80"),
    ],
)
def test_bodies(body: bytes, expected: bytes) -> None:
    assert redacted(request_of(body=body)).body == expected


def test_multipart_bodies() -> None:
    body = (
        b'--XX\r\nContent-Disposition: form-data; name="password"\r\n\r\ns3\r\ncret\r\n'
        b'--XX\r\nContent-Disposition: form-data; name="user"\r\n\r\njoe\r\n'
        b'--XX\r\nContent-Type: application/json\r\n\r\n{"token":"t"}\r\n'
        b"--XX\r\nno head\r\n"
        b"--XX--\r\n"
    )
    found = redacted(request_of(body=body, Content_Type="multipart/form-data; boundary=XX")).body
    assert found == body.replace(b"s3\r\ncret", b"[redacted]").replace(b'"t"', b'"[redacted]"')


@pytest.mark.parametrize(
    "request_",
    [
        request_of(Authorization=f"Bearer {LONG}"),
        request_of(Authorization=LONG),
        # joe:k3y-abcdefghijklmnop
        request_of(Authorization="Basic am9lOmszeS1hYmNkZWZnaGlqa2xtbm9w"),
        request_of(Cookie=f"a={LONG}"),
        request_of(f"http://a.test/?sig={LONG}"),
        request_of(f"http://joe:{LONG}@a.test/"),
        request_of(body=f"token={LONG}".encode()),
        request_of(body=f'{{"token":"{LONG}"}}'.encode()),
        request_of(body=f'data: {{"token":"{LONG}"}}'.encode()),
    ],
)
def test_a_secret_is_taken_out_wherever_it_turns_up(request_: RecordedRequest) -> None:
    redactor = Redactor(Redaction())
    redactor.request(request_)
    response = RecordedResponse(200, f"no {LONG}", (("X", f"a {LONG}"),), f"a {LONG}".encode())
    assert redactor.response(response) == RecordedResponse(
        200, "no [redacted]", (("X", "a [redacted]"),), b"a [redacted]"
    )
    earlier = RecordedExchange(request_of(f"http://a.test/{LONG}"), response)
    scrubbed = redactor.scrub(earlier)
    assert scrubbed.request.url == "http://a.test/[redacted]"
    assert LONG not in repr(scrubbed)


@pytest.mark.parametrize(
    "value", ["short1", "onlyletters-and-more", "2024-01-01", "/path/to/12345", "some text 12345"]
)
def test_what_may_well_be_no_secret_stays_elsewhere(value: str) -> None:
    """A cookie with a path in it made every such path of later requests unknown."""
    redactor = Redactor(Redaction())
    redactor.request(request_of(Cookie=f"a={value}"))
    assert redactor.request(request_of(body=value.encode())).body == value.encode()


def test_of_two_secrets_the_longer_one_goes_first() -> None:
    redaction = Redaction(names=(), values=["abc", "abcdef"])
    assert redacted(request_of(body=b"abcdef abc"), redaction).body == b"[redacted] [redacted]"


def test_options() -> None:
    request = request_of("http://a.test/?pin=1&token=2", PIN="1")
    assert redacted(request, None) is request
    found = redacted(request, Redaction(names=["pin"]))
    assert found.url == "http://a.test/?pin=[redacted]&token=2"
    assert found.headers == (("PIN", "[redacted]"),)
    with pytest.raises(ValueError, match="an empty text cannot be taken out"):
        Redaction(values=[""])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["token", "a", "b"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(json_values, st.binary(max_size=30))
def test_again_changes_nothing(value: Any, body: bytes) -> None:
    for request in (request_of(body=json.dumps([value]).encode()), request_of(body=body)):
        once = redacted(request)
        assert redacted(once) == once


@pytest.mark.parametrize(
    "piece",
    [
        "a", "=", "&", "?", "a=", "&token=", '"', "\\", '"token"', '"token":', '"token":"', '\\"',
        '"token":"\\"', "://", "://a", "@", "://a@", "[", "{", '{"token":', ";", " ", "%", "1", "/",
        "--XX", "--XX\r\n\r\n", "\r\n", '"a":1,', "Basic ", "a1",
    ],
)  # fmt: skip
def test_hostile_input(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    body = text.encode()
    redacted(request_of(f"http://a.test/?{text}", body, Content_Type="multipart/x; boundary=XX"))
    redacted(request_of("http://a.test/", b"[" + body, Cookie=text, Authorization=f"Basic {text}"))
    redactor = Redactor(Redaction())
    fields = (("Set-Cookie", text), ("Location", text))
    redactor.response(RecordedResponse(200, text, fields, b'{"a":"' + body))
