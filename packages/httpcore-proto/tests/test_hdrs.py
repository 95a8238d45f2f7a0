from __future__ import annotations

import itertools

import pytest
from multidict import CIMultiDict, istr

from httpcore_proto import hdrs

METHODS = ("CONNECT", "HEAD", "GET", "DELETE", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
FIELDS = {
    name: value
    for name, value in vars(hdrs).items()
    if name.isupper() and not name.startswith("METH_") and name != "HOST_ALL"
}

# Names that are not spelled Word-Word on the wire.
SPELLINGS = {
    "ACCEPT_CH": "Accept-CH",
    "BAGGAGE": "baggage",
    "CDN_CACHE_CONTROL": "CDN-Cache-Control",
    "CDN_LOOP": "CDN-Loop",
    "CONTENT_ID": "Content-ID",
    "CONTENT_MD5": "Content-MD5",
    "LAST_EVENT_ID": "Last-Event-ID",
    "NEL": "NEL",
    "SEC_CH_UA": "Sec-CH-UA",
    "SEC_CH_UA_MOBILE": "Sec-CH-UA-Mobile",
    "SEC_CH_UA_PLATFORM": "Sec-CH-UA-Platform",
    "SEC_GPC": "Sec-GPC",
    "SEC_WEBSOCKET_ACCEPT": "Sec-WebSocket-Accept",
    "SEC_WEBSOCKET_EXTENSIONS": "Sec-WebSocket-Extensions",
    "SEC_WEBSOCKET_KEY": "Sec-WebSocket-Key",
    "SEC_WEBSOCKET_KEY1": "Sec-WebSocket-Key1",
    "SEC_WEBSOCKET_PROTOCOL": "Sec-WebSocket-Protocol",
    "SEC_WEBSOCKET_VERSION": "Sec-WebSocket-Version",
    "TE": "TE",
    "TRACEPARENT": "traceparent",
    "TRACESTATE": "tracestate",
    "URI": "URI",
    "WWW_AUTHENTICATE": "WWW-Authenticate",
    "X_CORRELATION_ID": "X-Correlation-ID",
    "X_RATELIMIT_LIMIT": "X-RateLimit-Limit",
    "X_RATELIMIT_REMAINING": "X-RateLimit-Remaining",
    "X_RATELIMIT_RESET": "X-RateLimit-Reset",
    "X_REAL_IP": "X-Real-IP",
    "X_REQUEST_ID": "X-Request-ID",
    "X_XSS_PROTECTION": "X-XSS-Protection",
}


def test_methods_are_their_own_names() -> None:
    assert {getattr(hdrs, f"METH_{name}") for name in METHODS} == set(METHODS)
    assert sorted(hdrs.METH_ALL) == sorted(METHODS)


def test_any_method_is_no_method() -> None:
    assert hdrs.METH_ANY == "*"
    assert hdrs.METH_ANY not in hdrs.METH_ALL


def test_there_are_about_130_fields() -> None:
    assert len(FIELDS) == 132


@pytest.mark.parametrize("name", FIELDS)
def test_field_is_spelled_as_on_the_wire(name: str) -> None:
    value = FIELDS[name]
    assert type(value) is istr
    assert str(value) == SPELLINGS.get(name, name.replace("_", "-").title())


def test_spellings_names_only_fields_that_exist() -> None:
    assert SPELLINGS.keys() <= FIELDS.keys()


def test_etag_is_spelled_like_aiohttp() -> None:
    assert str(hdrs.ETAG) == "Etag"


@pytest.mark.parametrize(
    "name",
    [
        "CONTENT_ID",
        "PRIORITY",
        "REPR_DIGEST",
        "REPORTING_ENDPOINTS",
        "SEC_CH_UA_PLATFORM",
        "SEC_FETCH_SITE",
        "SEC_GPC",
        "TRACEPARENT",
        "X_FORWARDED_PORT",
        "X_RATELIMIT_RESET",
        "X_REAL_IP",
        "X_REQUEST_ID",
    ],
)
def test_later_additions_are_there(name: str) -> None:
    assert name in FIELDS


def test_host_all_is_every_mixture_of_cases() -> None:
    expected = {"".join(word) for word in itertools.product("hH", "oO", "sS", "tT")}
    assert sorted(hdrs.HOST_ALL) == sorted(expected)
    assert isinstance(hdrs.HOST_ALL, frozenset)


def test_fields_look_up_without_case() -> None:
    headers = CIMultiDict({"content-type": "text/plain"})
    assert headers[hdrs.CONTENT_TYPE] == "text/plain"
