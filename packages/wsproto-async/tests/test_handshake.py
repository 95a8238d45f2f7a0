"""The opening handshake of both roles."""

from __future__ import annotations

import base64
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from httpcore_proto import HttpVersion10, HttpVersion11, LocalProtocolError
from wsproto_async import (
    WS_VERSIONS,
    ClientHandshake,
    Deflate,
    HandshakeAcceptance,
    WSHandshakeError,
    accept_handshake,
    is_origin_allowed,
)

# RFC 6455 section 1.3.
NONCE = b"the sample nonce"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

Fields = list[tuple[str, str]]

REQUEST: Fields = [
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
]
RESPONSE: Fields = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Accept", ACCEPT),
]


def changed(fields: Fields, **changes: str | list[str] | None) -> CIMultiDictProxy[str]:
    """Return the fields with some replaced, repeated (a list) or left out (None)."""
    headers = CIMultiDict(fields)
    for name, value in changes.items():
        name = name.replace("_", "-")
        headers.popall(name, None)
        for line in [value] if isinstance(value, str) else value or []:
            headers.add(name, line)
    return CIMultiDictProxy(headers)


def accept(
    method: str = "GET", http_version: Any = HttpVersion11, *, fields: Any = None, **options: Any
) -> HandshakeAcceptance:
    headers = changed(REQUEST) if fields is None else fields
    return accept_handshake(method, http_version, headers, **options)


# The server's side.


def test_example_of_the_standard_is_accepted() -> None:
    assert accept() == (RESPONSE, None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Upgrade": ["h2c", " WEBSOCKET\t"]},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": ["keep-alive", ",,uPGRADE ,"]},
        {"Sec_WebSocket_Version": "8"},
        {"Sec_WebSocket_Version": " 7 "},
        {"Sec_WebSocket_Key": f" {KEY}"},
        {"Sec_WebSocket_Protocol": ""},
        {"Sec_WebSocket_Extensions": ""},
    ],
)
def test_handshake_is_accepted(changes: dict[str, Any]) -> None:
    assert accept(fields=changed(REQUEST, **changes)) == (RESPONSE, None, None)


@pytest.mark.parametrize(
    ("changes", "status", "rule"),
    [
        ({"Upgrade": None}, 400, "upgrade"),
        ({"Upgrade": ""}, 400, "upgrade"),
        # FR-26: a token, not a part of the text.
        ({"Upgrade": "notwebsocket"}, 400, "upgrade"),
        ({"Upgrade": "websocket2"}, 400, "upgrade"),
        ({"Upgrade": "web socket"}, 400, "upgrade"),
        ({"Upgrade": "websoc\u212aet"}, 400, "upgrade"),
        ({"Connection": None}, 400, "connection"),
        ({"Connection": "notupgrade"}, 400, "connection"),
        ({"Connection": "close"}, 400, "connection"),
        ({"Connection": "upgrade;q=1"}, 400, "connection"),
        ({"Sec_WebSocket_Version": None}, 400, "version"),
        ({"Sec_WebSocket_Version": ["13", "13"]}, 400, "version"),
        ({"Sec_WebSocket_Version": "12"}, 426, "version"),
        ({"Sec_WebSocket_Version": "013"}, 426, "version"),
        ({"Sec_WebSocket_Version": "13, 8"}, 426, "version"),
        ({"Sec_WebSocket_Version": "\u0661\u0663"}, 426, "version"),
        ({"Sec_WebSocket_Version": ""}, 426, "version"),
        ({"Sec_WebSocket_Key": None}, 400, "key"),
        ({"Sec_WebSocket_Key": [KEY, KEY]}, 400, "key"),
        ({"Sec_WebSocket_Key": ""}, 400, "key"),
        ({"Sec_WebSocket_Key": KEY[:-1]}, 400, "key"),
        ({"Sec_WebSocket_Key": KEY[:-4]}, 400, "key"),
        ({"Sec_WebSocket_Key": f"{KEY}\u00e4"}, 400, "key"),
        ({"Sec_WebSocket_Key": f"{KEY[:10]} {KEY[10:]}"}, 400, "key"),
        ({"Sec_WebSocket_Key": base64.b64encode(bytes(15)).decode()}, 400, "key"),
        ({"Sec_WebSocket_Key": base64.b64encode(bytes(17)).decode()}, 400, "key"),
        ({"Sec_WebSocket_Protocol": "a b"}, 400, "protocol"),
        ({"Sec_WebSocket_Protocol": "chat;q=1"}, 400, "protocol"),
        ({"Sec_WebSocket_Protocol": '"chat"'}, 400, "protocol"),
        ({"Sec_WebSocket_Protocol": "ch\u00e4t"}, 400, "protocol"),
    ],
)
def test_handshake_is_refused(changes: dict[str, Any], status: int, rule: str) -> None:
    with pytest.raises(WSHandshakeError) as caught:
        accept(fields=changed(REQUEST, **changes))
    assert (caught.value.status, caught.value.rule) == (status, rule)


def test_version_is_answered_with_ours() -> None:
    """RFC 6455 section 4.4: the client may try again with one of them."""
    with pytest.raises(WSHandshakeError, match="not one of 13, 8, 7") as caught:
        accept(fields=changed(REQUEST, Sec_WebSocket_Version="25"))
    assert caught.value.headers == (
        ("Sec-WebSocket-Version", "13, 8, 7"),
        ("Upgrade", "websocket"),
    )
    assert WS_VERSIONS[0] == "13"


@pytest.mark.parametrize(
    ("method", "methods", "allow"),
    [
        ("POST", ("GET",), "GET"),
        ("get", ("GET",), "GET"),
        ("PUT", ("GET", "POST"), "GET, POST"),
        # Nothing may follow the head of the answer to it.
        ("HEAD", ("HEAD",), "HEAD"),
        ("HEAD", None, "GET"),
    ],
)
def test_method_is_refused(method: str, methods: Any, allow: str) -> None:
    with pytest.raises(WSHandshakeError) as caught:
        accept(method, methods=methods)
    assert (caught.value.status, caught.value.rule) == (405, "method")
    assert caught.value.headers == (("Allow", allow),)


@pytest.mark.parametrize(
    ("method", "methods"), [("POST", ("GET", "POST")), ("POST", None), ("GET", None)]
)
def test_method_may_be_another_where_that_is_allowed(method: str, methods: Any) -> None:
    assert accept(method, methods=methods).headers == RESPONSE


def test_http_1_0_is_refused() -> None:
    with pytest.raises(WSHandshakeError, match=r"needs HTTP/1\.1") as caught:
        accept(http_version=HttpVersion10)
    assert (caught.value.status, caught.value.rule) == (400, "http-version")


@pytest.mark.parametrize(
    ("offered", "spoken", "chosen"),
    [
        ("chat, superchat", ["superchat", "chat"], "chat"),
        (["a", "b , c"], ["c"], "c"),
        ("a", [], None),
        ("a", ["b"], None),
        ("Chat", ["chat"], None),
        (None, ["chat"], None),
    ],
)
def test_sub_protocol(offered: Any, spoken: list[str], chosen: str | None) -> None:
    accepted = accept(fields=changed(REQUEST, Sec_WebSocket_Protocol=offered), protocols=spoken)
    assert accepted.protocol == chosen
    extra = [("Sec-WebSocket-Protocol", chosen)] if chosen else []
    assert accepted.headers == RESPONSE + extra


def test_error_keeps_its_facts() -> None:
    with pytest.raises(WSHandshakeError) as caught:
        accept("POST")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.status, copy.rule, copy.headers) == (
        "method not allowed for a WebSocket handshake",
        405,
        "method",
        (("Allow", "GET"),),
    )
    plain = WSHandshakeError("x")
    assert (plain.status, plain.rule, plain.headers) == (400, "handshake", ())


# Extensions, as a server.

PMD = "permessage-deflate"
NARROW = Deflate(server_max_window_bits=10, client_max_window_bits=11)
FRUGAL = Deflate(server_no_context_takeover=True, client_no_context_takeover=True)


@pytest.mark.parametrize(
    ("offer", "wish", "answer", "agreed"),
    [
        (PMD, True, PMD, Deflate()),
        (f"{PMD}; client_max_window_bits", True, PMD, Deflate()),
        (
            f"{PMD}; client_max_window_bits=15; server_max_window_bits=15",
            True,
            f"{PMD}; server_max_window_bits=15",
            Deflate(),
        ),
        (
            f"{PMD};server_max_window_bits=9",
            True,
            f"{PMD}; server_max_window_bits=9",
            Deflate(server_max_window_bits=9),
        ),
        (
            f'{PMD} ;\tclient_max_window_bits="8"',
            True,
            f"{PMD}; client_max_window_bits=8",
            Deflate(client_max_window_bits=8),
        ),
        (
            f"{PMD}; server_no_context_takeover",
            True,
            f"{PMD}; server_no_context_takeover",
            Deflate(server_no_context_takeover=True),
        ),
        (
            f"{PMD}; client_no_context_takeover",
            True,
            f"{PMD}; client_no_context_takeover",
            Deflate(client_no_context_takeover=True),
        ),
        (
            PMD,
            FRUGAL,
            f"{PMD}; server_no_context_takeover; client_no_context_takeover",
            FRUGAL,
        ),
        # RFC 7692 section 7.1.2.2: the client's window can be limited only if it said so.
        (PMD, NARROW, f"{PMD}; server_max_window_bits=10", Deflate(server_max_window_bits=10)),
        (
            f"{PMD}; client_max_window_bits",
            NARROW,
            f"{PMD}; server_max_window_bits=10; client_max_window_bits=11",
            NARROW,
        ),
        (
            f"{PMD}; client_max_window_bits=10; server_max_window_bits=12",
            NARROW,
            f"{PMD}; server_max_window_bits=10; client_max_window_bits=10",
            Deflate(server_max_window_bits=10, client_max_window_bits=10),
        ),
        # The first offer that can be met.
        (f"{PMD}; server_max_window_bits=8, {PMD}", True, PMD, Deflate()),
        (f"x-other; a=b, {PMD}; unknown, {PMD}", True, PMD, Deflate()),
        (["x-other", f",, {PMD} ,"], True, PMD, Deflate()),
        (f"{PMD}; server_max_window_bits=16, {PMD}", True, PMD, Deflate()),
        (PMD, False, None, None),
        (None, True, None, None),
        ("", True, None, None),
        ("x-webkit-deflate-frame", True, None, None),
        ("Permessage-Deflate", True, None, None),
        # zlib cannot keep to it.
        (f"{PMD}; server_max_window_bits=8", True, None, None),
        (PMD, Deflate(server_max_window_bits=8), None, None),
        # WS-05: a strict grammar; what is wrong is declined.
        *[
            (f"{PMD}; {parameter}", True, None, None)
            for parameter in (
                "server_max_window_bits",
                "server_max_window_bits=",
                "server_max_window_bits=7",
                "server_max_window_bits=16",
                "server_max_window_bits=015",
                "server_max_window_bits=+15",
                "server_max_window_bits=1_5",
                "server_max_window_bits=-9",
                "server_max_window_bits=9999999999999999999999",
                "server_max_window_bits=\u0661\u0662",
                "server_max_window_bits=\u00b9",
                'server_max_window_bits="1\\2"',
                'server_max_window_bits="12',
                "server_max_window_bits = 12",
                "client_max_window_bits=16",
                "client_max_window_bits=x",
                "server_no_context_takeover=1",
                "client_no_context_takeover=true",
                "server_no_context_takeover; server_no_context_takeover",
                "client_max_window_bits; client_max_window_bits=9",
                "SERVER_NO_CONTEXT_TAKEOVER",
                "unknown",
                "unknown=5",
                "=",
                "a b",
                "@",
                "",
                ";",
            )
        ],
        (f"{PMD} x", True, None, None),
        (f"; {PMD}", True, None, None),
        (f"{PMD}, @", True, None, None),
        (f"{PMD} @", True, None, None),
        (f"{PMD}\n", True, None, None),
    ],
)
def test_offer(offer: Any, wish: Any, answer: str | None, agreed: Deflate | None) -> None:
    accepted = accept(fields=changed(REQUEST, Sec_WebSocket_Extensions=offer), compress=wish)
    extra = [("Sec-WebSocket-Extensions", answer)] if answer else []
    assert accepted.headers == RESPONSE + extra
    assert accepted.deflate == agreed


@pytest.mark.parametrize("piece", [";", ",", " ", "\t", '"', "=", "a", "a;", "a;b=", 'a;b="', "a,"])
def test_hostile_offers_take_linear_time(piece: str) -> None:
    headers = changed(REQUEST, Sec_WebSocket_Extensions=PMD + piece * 100_000 + "@")
    assert accept(fields=headers).deflate is None


@pytest.mark.parametrize("value", [7, 16, 0, -9, "9", None, 9.5])
def test_window_bits_out_of_range_are_refused(value: Any) -> None:
    for name in ("server_max_window_bits", "client_max_window_bits"):
        with pytest.raises(ValueError, match=f"{name} is .* must be from 8 to 15"):
            Deflate(**{name: value})


# The client's side.


def handshake(**options: Any) -> ClientHandshake:
    return ClientHandshake(key=NONCE, **options)


def test_example_of_the_standard_is_sent() -> None:
    client = handshake()
    assert client.headers == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ]
    assert client.check(101, changed(RESPONSE)) == (None, None)


def test_keys_are_fresh() -> None:
    keys = {dict(ClientHandshake().headers)["Sec-WebSocket-Key"] for _ in range(100)}
    assert len(keys) == 100
    assert {len(base64.b64decode(key)) for key in keys} == {16}


def test_everything_that_can_be_asked_for() -> None:
    wish = Deflate(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=10,
        client_max_window_bits=12,
    )
    offer = (
        f"{PMD}; server_no_context_takeover; client_no_context_takeover; "
        "server_max_window_bits=10; client_max_window_bits=12"
    )
    client = handshake(protocols=["chat", "superchat"], compress=wish, origin="http://a")
    assert client.headers[4:] == [
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Extensions", offer),
        ("Origin", "http://a"),
    ]
    plain = dict(handshake(compress=True).headers)
    assert plain["Sec-WebSocket-Extensions"] == f"{PMD}; client_max_window_bits"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocols": ["a b"]}, "sub-protocol 'a b' is not a token"),
        ({"protocols": [""]}, "sub-protocol '' is not a token"),
        ({"protocols": ["a\r\nB: c"]}, "sub-protocol .* is not a token"),
        ({"protocols": ["\u00e4"]}, "sub-protocol .* is not a token"),
        ({"protocols": ["a", "b", "a"]}, "a sub-protocol is offered twice"),
        ({"key": b"short"}, "key has 5 octets, not 16"),
    ],
)
def test_offer_that_is_none_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalProtocolError, match=f"^{message}$"):
        ClientHandshake(**options)


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Connection": "keep-alive, upgrade"},
        {"Sec_WebSocket_Accept": f" {ACCEPT} "},
    ],
)
def test_response_is_accepted(changes: dict[str, Any]) -> None:
    assert handshake().check(101, changed(RESPONSE, **changes)) == (None, None)


@pytest.mark.parametrize(
    ("status", "changes", "rule"),
    [
        (200, {}, "status"),
        (100, {}, "status"),
        (301, {}, "status"),
        (101, {"Upgrade": None}, "upgrade"),
        (101, {"Upgrade": "h2c"}, "upgrade"),
        (101, {"Connection": None}, "connection"),
        (101, {"Connection": "notupgrade"}, "connection"),
        (101, {"Sec_WebSocket_Accept": None}, "accept"),
        (101, {"Sec_WebSocket_Accept": [ACCEPT, ACCEPT]}, "accept"),
        (101, {"Sec_WebSocket_Accept": KEY}, "accept"),
        (101, {"Sec_WebSocket_Accept": ACCEPT.lower()}, "accept"),
        # WS-12: what was not asked for.
        (101, {"Sec_WebSocket_Protocol": "other"}, "protocol"),
        (101, {"Sec_WebSocket_Protocol": ""}, "protocol"),
        (101, {"Sec_WebSocket_Protocol": ["chat", "superchat"]}, "protocol"),
        (101, {"Sec_WebSocket_Protocol": "chat, superchat"}, "protocol"),
        (101, {"Sec_WebSocket_Protocol": "Chat"}, "protocol"),
        (101, {"Sec_WebSocket_Extensions": "x-other"}, "extensions"),
        (101, {"Sec_WebSocket_Extensions": PMD}, "extensions"),
    ],
)
def test_response_is_refused(status: int, changes: dict[str, Any], rule: str) -> None:
    client = handshake(protocols=["chat", "superchat"])
    with pytest.raises(WSHandshakeError) as caught:
        client.check(status, changed(RESPONSE, **changes))
    assert caught.value.rule == rule


def test_sub_protocol_that_was_chosen() -> None:
    client = handshake(protocols=["chat", "superchat"])
    headers = changed(RESPONSE, Sec_WebSocket_Protocol=" superchat ")
    assert client.check(101, headers).protocol == "superchat"
    assert client.check(101, changed(RESPONSE)).protocol is None


@pytest.mark.parametrize(
    ("wish", "answer", "agreed"),
    [
        (Deflate(), None, None),
        (Deflate(), "", None),
        (Deflate(), PMD, Deflate()),
        (Deflate(), f"{PMD}; server_max_window_bits=8", Deflate(server_max_window_bits=8)),
        (Deflate(), f"{PMD}; client_max_window_bits=9", Deflate(client_max_window_bits=9)),
        # zlib cannot keep to it: our messages go uncompressed.
        (Deflate(), f"{PMD}; client_max_window_bits=8", Deflate(client_max_window_bits=8)),
        (
            Deflate(),
            f"{PMD}; server_no_context_takeover; client_no_context_takeover",
            FRUGAL,
        ),
        (
            FRUGAL,
            f"{PMD}; server_no_context_takeover",
            FRUGAL,
        ),
        (NARROW, f"{PMD}; server_max_window_bits=10", NARROW),
        (
            NARROW,
            f"{PMD}; server_max_window_bits=9; client_max_window_bits=10",
            Deflate(server_max_window_bits=9, client_max_window_bits=10),
        ),
    ],
)
def test_answer(wish: Deflate, answer: str | None, agreed: Deflate | None) -> None:
    headers = changed(RESPONSE, Sec_WebSocket_Extensions=answer)
    assert handshake(compress=wish).check(101, headers).deflate == agreed


@pytest.mark.parametrize(
    ("wish", "answer"),
    [
        *[
            (Deflate(), f"{PMD}{rest}")
            for rest in (
                "; client_max_window_bits",
                "; client_max_window_bits=7",
                "; client_max_window_bits=16",
                "; server_max_window_bits=16",
                "; server_max_window_bits",
                "; server_max_window_bits=09",
                "; server_no_context_takeover=1",
                "; unknown",
                "; client_no_context_takeover; client_no_context_takeover",
                ", permessage-deflate",
                ", x-other",
                " @",
                "; =",
            )
        ],
        (Deflate(), "x-other"),
        (Deflate(), ["x-other", PMD]),
        # Accepting an offer means to say what it asks for.
        (NARROW, PMD),
        (NARROW, f"{PMD}; server_max_window_bits=11"),
        (NARROW, f"{PMD}; server_max_window_bits=10; client_max_window_bits=12"),
        (FRUGAL, PMD),
        (FRUGAL, f"{PMD}; client_no_context_takeover"),
    ],
)
def test_answer_is_refused(wish: Deflate, answer: Any) -> None:
    client = handshake(compress=wish)
    with pytest.raises(WSHandshakeError) as caught:
        client.check(101, changed(RESPONSE, Sec_WebSocket_Extensions=answer))
    assert caught.value.rule == "extensions"


DEFLATES = st.builds(Deflate, st.booleans(), st.booleans(), st.integers(9, 15), st.integers(8, 15))


@given(
    ours=st.one_of(st.booleans(), DEFLATES),
    theirs=st.one_of(st.booleans(), DEFLATES),
    protocols=st.lists(st.sampled_from("abcd"), unique=True),
    spoken=st.lists(st.sampled_from("abcd"), unique=True),
)
def test_both_sides_agree(
    ours: Deflate | bool, theirs: Deflate | bool, protocols: list[str], spoken: list[str]
) -> None:
    client = ClientHandshake(protocols=protocols, compress=ours)
    accepted = accept_handshake(
        "GET", HttpVersion11, CIMultiDict(client.headers), protocols=spoken, compress=theirs
    )
    agreement = client.check(101, CIMultiDict(accepted.headers))
    assert agreement.protocol == accepted.protocol
    if agreement.deflate is None or accepted.deflate is None:
        assert agreement.deflate is accepted.deflate is None
        return
    for name in ("server_max_window_bits", "server_no_context_takeover"):
        assert getattr(agreement.deflate, name) == getattr(accepted.deflate, name)
    # A client may always do with less than the server allows.
    assert agreement.deflate.client_max_window_bits <= accepted.deflate.client_max_window_bits
    assert (
        agreement.deflate.client_no_context_takeover
        or not accepted.deflate.client_no_context_takeover
    )


# Origins.


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "expected"),
    [
        (None, "a", (), True),
        ("http://a", "a", (), True),
        ("HTTP://Example.COM", "example.com", (), True),
        ("http://a:80", "a", (), True),
        ("http://a", "a:80", (), True),
        ("https://a", "a:443", (), True),
        ("http://a:8080", "a:8080", (), True),
        ("http://[::1]:8080", "[::1]:8080", (), True),
        ("http://a:8080", "a", (), False),
        ("https://a", "a:80", (), False),
        ("http://b", "a", (), False),
        ("http://a.evil", "a", (), False),
        ("http://evil-a", "a", (), False),
        ("http://a", None, (), False),
        ("http://a", ["a", "a"], (), False),
        (["http://a", "http://a"], "a", (), False),
        (["http://a", "http://a"], "a", ("*",), False),
        ("null", "a", (), False),
        ("null", "null", (), False),
        ("null", "a", ("null",), True),
        ("http://b", "a", ("null",), False),
        ("", "a", (), False),
        ("", "", (), False),
        ("http://", "", (), False),
        ("http://a", "", (), False),
        ("a", "a", (), False),
        ("http://a/", "a", (), False),
        ("http://a/", "a/", (), False),
        ("http://x@a", "a", (), False),
        ("http://x@a", "x@a", (), False),
        ("http://a:b", "a:b", (), False),
        ("http://a:123456", "a:123456", (), False),
        ("http://\u212a", "k", (), False),
        ("http://a b", "a b", (), False),
        ("http://a\n", "a", (), False),
        ("x-app://b", "a", ("x-app://b",), True),
        ("https://B:443", "a", ("https://b",), True),
        ("http://b", "a", ("https://b",), False),
        ("http://b", "a", ("*",), True),
        ("what is this", "a", ("*",), True),
        ("what is this", "a", ("what is this",), False),
    ],
)
def test_origin(origin: Any, host: Any, allowed: tuple[str, ...], expected: bool) -> None:
    headers = changed([], Origin=origin, Host=host)
    assert is_origin_allowed(headers, iter(allowed)) is expected


@pytest.mark.parametrize("piece", ["a", ":", "/", "[", ".", "@", "://"])
def test_hostile_origins_take_linear_time(piece: str) -> None:
    headers = changed([], Origin="http://" + piece * 300_000 + "@", Host=piece * 300_000)
    assert is_origin_allowed(headers) is False
