from __future__ import annotations

import hashlib
import re
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore_proto import (
    Challenge,
    DigestChallenge,
    digest_authorization,
    digest_ha1,
    digest_response,
    parse_auth_info,
    parse_challenges,
    parse_credentials,
    verify_digest,
    verify_rspauth,
)

PLAIN = DigestChallenge(realm="r", nonce="n")
REQUEST: dict[str, Any] = {
    "method": "GET",
    "uri": "/a?b",
    "username": "u",
    "password": "p",
    "nc": 1,
    "cnonce": "c",
}


def md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogateescape")).hexdigest()


def answer(challenge: DigestChallenge, **more: Any) -> dict[str, str]:
    """Return the parameters of the credentials."""
    credentials = parse_credentials(digest_authorization(challenge, **REQUEST | more))
    assert credentials is not None
    assert credentials.scheme == "digest"
    return dict(credentials.parameters)


def challenge_of(line: str) -> DigestChallenge | None:
    return DigestChallenge.from_challenge(parse_challenges([line])[0])


# The examples of the RFCs.

RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={},'
    ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",'
    ' opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
MUFASA: dict[str, Any] = {
    "method": "GET",
    "uri": "/dir/index.html",
    "username": "Mufasa",
    "nc": 1,
}
JASON: dict[str, Any] = {
    "method": "GET",
    "uri": "/doe.json",
    "username": "J\xe4s\xf8n Doe",
    "password": "Secret, or not?",
    "nc": 1,
    "cnonce": "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
}


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_example_of_rfc_7616(algorithm: str, response: str) -> None:
    challenge = challenge_of(RFC_7616.format(algorithm))
    assert challenge is not None
    assert challenge.qop == ("auth-int", "auth")
    # The example's client takes the other one.
    challenge = replace(challenge, qop=("auth",))
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    written = digest_authorization(challenge, **MUFASA, password="Circle of Life", cnonce=cnonce)
    assert written == (
        'Digest username="Mufasa", realm="http-auth@example.org",'
        ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html",'
        f' algorithm={algorithm}, response="{response}",'
        ' opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", qop=auth, nc=00000001,'
        f' cnonce="{cnonce}"'
    )


def test_example_of_rfc_7616_with_userhash() -> None:
    """The RFC computed it with a cut SHA-512; the figures are those of erratum 4897."""
    challenge = challenge_of(
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256,'
        ' nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",'
        ' opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
    )
    assert challenge is not None
    assert (challenge.charset, challenge.userhash) == ("UTF-8", True)
    response = "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    sent = answer(challenge, **JASON)
    assert sent["username"] == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    assert (sent["userhash"], sent["response"]) == ("true", response)
    sent = answer(replace(challenge, userhash=False), **JASON)
    assert sent["username*"] == "UTF-8''J%C3%A4s%C3%B8n%20Doe"
    assert sent["response"] == response
    assert not {"username", "userhash"} & set(sent)


def test_example_of_rfc_2617() -> None:
    challenge = challenge_of(
        'Digest realm="testrealm@host.com", qop="auth,auth-int",'
        ' nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    assert challenge is not None
    assert challenge.algorithm == "MD5"
    challenge = replace(challenge, qop=("auth",))
    sent = answer(challenge, **MUFASA, password="Circle Of Life", cnonce="0a4f113b")
    assert sent["response"] == "6629fae49393a05397450978507c4ef1"


# Challenges.


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('Digest realm="r", nonce="n"', PLAIN),
        ('DIGEST Nonce=n, realm=""', replace(PLAIN, realm="")),
        ('Digest realm=r,nonce=n,opaque=""', replace(PLAIN, opaque="")),
        ("Digest realm=r,nonce=n,algorithm=sha256", replace(PLAIN, algorithm="sha256")),
        ('Digest realm=r,nonce=n,algorithm="MD5-sess"', replace(PLAIN, algorithm="MD5-sess")),
        ("Digest realm=r,nonce=n,qop=auth", replace(PLAIN, qop=("auth",))),
        (
            'Digest realm=r,nonce=n,qop=" Auth ,,x, auth-int"',
            replace(PLAIN, qop=("auth-int", "auth")),
        ),
        ('Digest realm=r,nonce=n,qop=" ,"', PLAIN),
        ("Digest realm=r,nonce=n,stale=TRUE", replace(PLAIN, stale=True)),
        ("Digest realm=r,nonce=n,stale=yes,userhash=false", PLAIN),
        ('Digest realm=r,nonce=n,userhash="true"', replace(PLAIN, userhash=True)),
        (
            'Digest realm=r,nonce=n,domain="/a  http://b/"',
            replace(PLAIN, domain=("/a", "http://b/")),
        ),
        ("Digest realm=r,nonce=n,charset=utf-8", replace(PLAIN, charset="UTF-8")),
        ("Digest realm=r,nonce=n,charset=latin-1", PLAIN),
        ("Digest nonce=n", None),
        ("Digest realm=r", None),
        ('Digest realm=r,nonce=""', None),
        ("Digest realm=r,nonce=n,algorithm=SHA3", None),
        ('Digest realm=r,nonce=n,algorithm=""', None),
        # Letters that become ASCII in upper case.
        ('Digest realm=r,nonce=n,algorithm="\u017fHA"', None),
        ("Digest realm=r,nonce=n,qop=auth-conf", None),
        ("Basic realm=r,nonce=n", None),
        ("Digest abc", None),
    ],
)
def test_challenge(line: str, expected: DigestChallenge | None) -> None:
    assert challenge_of(line) == expected


def test_challenge_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        PLAIN.realm = "a"  # type: ignore[misc]  # what is tested


@pytest.mark.parametrize(
    ("qop", "expected"),
    [((), None), (("auth",), "auth"), (("auth", "auth-int"), "auth-int"), (("x", "auth"), "auth")],
)
def test_preferred_qop(qop: tuple[str, ...], expected: str | None) -> None:
    challenge = replace(PLAIN, qop=qop)
    assert challenge.preferred_qop == expected
    assert answer(challenge).get("qop") == expected


# Answers. The expected values are computed here from RFC 7616 section 3.4 by hand.


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("MD5", "md5"),
        ("md5", "md5"),
        ("Sha", "sha1"),
        ("SHA256", "sha256"),
        ("sha-256", "sha256"),
        ("SHA512", "sha512"),
        ("SHA-512", "sha512"),
        ("SHA-512-256", "sha512_256"),
        ("sha512256", "sha512_256"),
    ],
)
@pytest.mark.parametrize("suffix", ["", "-sess", "-SESS"])
@pytest.mark.parametrize("qop", ["auth", "auth-int"])
def test_algorithm(spelling: str, name: str, suffix: str, qop: str) -> None:
    def digest(data: str | bytes) -> str:
        return hashlib.new(name, data if isinstance(data, bytes) else data.encode()).hexdigest()

    challenge = replace(PLAIN, algorithm=spelling + suffix, qop=(qop,))
    sent = answer(challenge, body=b"body\xff", nc=0xAB)
    key = digest("u:r:p")
    assert key == digest_ha1(username="u", realm="r", password="p", algorithm=spelling + suffix)
    if suffix:
        key = digest(f"{key}:n:c")
    a2 = "GET:/a?b" if qop == "auth" else f"GET:/a?b:{digest(b'body' + bytes([255]))}"
    assert sent["response"] == digest(f"{key}:n:000000ab:c:{qop}:{digest(a2)}")
    assert sent["algorithm"] == spelling + suffix
    assert (sent["nc"], sent["cnonce"], sent["qop"]) == ("000000ab", "c", qop)


def test_form_of_rfc_2069() -> None:
    sent = answer(PLAIN)
    assert sent["response"] == md5(f"{md5('u:r:p')}:n:{md5('GET:/a?b')}")
    assert not {"qop", "nc", "cnonce", "opaque"} & set(sent)


def test_session_without_qop_needs_the_cnonce() -> None:
    sent = answer(replace(PLAIN, algorithm="MD5-sess"))
    key = md5(f"{md5('u:r:p')}:n:c")
    assert sent["response"] == md5(f"{key}:n:{md5('GET:/a?b')}")
    assert sent["cnonce"] == "c"
    assert not {"qop", "nc"} & set(sent)


def test_what_is_quoted_and_what_is_not() -> None:
    challenge = replace(PLAIN, qop=("auth",), opaque="o", userhash=True)
    written = digest_authorization(challenge, **REQUEST)
    quoted = set(re.findall(r'([a-z]+)="', written))
    plain = set(re.findall(r"([a-z]+)=[^\"]", written))
    assert quoted == {"username", "realm", "nonce", "uri", "response", "opaque", "cnonce"}
    assert plain == {"algorithm", "qop", "nc", "userhash"}


def test_quotes_and_backslashes_stay_within_quotes() -> None:
    """IN-12: a backslash at the end of a name took the closing quote along."""
    challenge = DigestChallenge(realm='r"\\', nonce='n\\"', opaque="\\", qop=("auth",))
    more = {"username": 'u", realm="x\\', "uri": '/"\\', "cnonce": '"'}
    sent = answer(challenge, **more)
    assert sent["realm"] == 'r"\\'
    assert sent["nonce"] == 'n\\"'
    assert sent["opaque"] == "\\"
    assert {name: sent[name] for name in more} == more
    key, a2 = md5('u", realm="x\\:r"\\:p'), md5('GET:/"\\')
    assert sent["response"] == md5(f'{key}:n\\":00000001:":auth:{a2}')


def test_realm_that_is_not_utf_8_is_hashed_as_it_came() -> None:
    sent = answer(replace(PLAIN, realm="\udce4"))
    key = hashlib.md5(b"u:\xe4:p").hexdigest()
    assert sent["response"] == md5(f"{key}:n:{md5('GET:/a?b')}")


def test_normalization_form_c_where_utf_8_is_asked_for() -> None:
    more = {"username": "a\u0308", "password": "o\u0308"}
    asked = answer(replace(PLAIN, charset="UTF-8"), **more)
    assert asked["username*"] == "UTF-8''%C3%A4"
    assert asked["response"] == md5(f"{md5('ä:r:ö')}:n:{md5('GET:/a?b')}")
    assert answer(PLAIN, **more)["username*"] == "UTF-8''a%CC%88"


@pytest.mark.parametrize(
    ("challenge", "more", "message"),
    [
        (PLAIN, {"username": "a:b"}, "colon"),
        (PLAIN, {"username": "a\nsecret"}, "^the user name contains a control character$"),
        (PLAIN, {"password": "secret\0"}, "^the password contains a control character$"),
        (PLAIN, {"uri": "/\r\nX: y"}, "uri contains the control character"),
        (replace(PLAIN, qop=("auth",)), {"cnonce": "\n"}, "cnonce contains the control character"),
        (replace(PLAIN, realm="\n"), {}, "realm contains the control character"),
        (replace(PLAIN, nonce="\x7f"), {}, "nonce contains the control character"),
        (replace(PLAIN, opaque="\0"), {}, "opaque contains the control character"),
        (replace(PLAIN, algorithm="MD4"), {}, "algorithm 'MD4' is not one of MD5, SHA, "),
        (replace(PLAIN, algorithm="MD5\r\n"), {}, "algorithm"),
        (replace(PLAIN, qop=("auth-conf",)), {}, "neither auth-int nor auth|has neither"),
        (PLAIN, {"nc": -1}, "nc -1 is not 0 to 4294967295"),
        (PLAIN, {"nc": 2**32}, "nc 4294967296"),
        (PLAIN, {"username": "\ud800"}, "surrogates not allowed"),
    ],
)
def test_what_cannot_be_answered(
    challenge: DigestChallenge, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        digest_authorization(challenge, **REQUEST | more)


def test_response_of_an_unknown_qop_is_refused() -> None:
    with pytest.raises(ValueError, match="qop 'x' is neither auth-int nor auth"):
        digest_response(ha1="", nonce="", method="", uri="", qop="x")


shown = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)


@given(shown, shown.filter(bool), shown.filter(lambda text: ":" not in text), st.booleans())
def test_answer_verifies(realm: str, text: str, username: str, userhash: bool) -> None:
    challenge = DigestChallenge(
        realm=realm, nonce=text, opaque=text, qop=("auth-int",), userhash=userhash
    )
    request: dict[str, Any] = {"method": "PUT", "uri": text, "username": username, "body": b"b"}
    written = digest_authorization(challenge, **request, password=realm, nc=9, cnonce="c")
    credentials = parse_credentials(written)
    assert credentials is not None
    ha1 = digest_ha1(username=username, realm=realm, password=realm)
    assert verify_digest(challenge, credentials, **request, ha1=ha1)
    wrong = digest_ha1(username=username, realm=realm, password=f"{realm}x")
    assert not verify_digest(challenge, credentials, **request, ha1=wrong)


# Verification, by a server.

AUTH = replace(PLAIN, qop=("auth",), opaque="o")


def verified(challenge: DigestChallenge, sent: dict[str, str], **more: Any) -> bool:
    known: dict[str, Any] = {"method": "GET", "uri": "/a?b", "username": "u"}
    known["ha1"] = digest_ha1(username="u", realm="r", password="p", algorithm=challenge.algorithm)
    return verify_digest(challenge, Challenge("digest", None, sent), **known | more)


@pytest.mark.parametrize(
    "challenge",
    [
        PLAIN,
        AUTH,
        replace(PLAIN, qop=("auth-int", "auth")),
        replace(PLAIN, algorithm="MD5-sess"),
        replace(AUTH, algorithm="SHA-256-sess"),
        replace(AUTH, userhash=True),
    ],
)
def test_right_answer(challenge: DigestChallenge) -> None:
    assert verified(challenge, answer(challenge))


@pytest.mark.parametrize(
    "change",
    [
        {"response": md5("")},
        {"response": ""},
        {"response": "ä"},
        {"response": None},
        {"realm": "x"},
        {"realm": None},
        {"nonce": "x"},
        {"opaque": "x"},
        {"opaque": None},
        {"uri": "/a"},
        {"algorithm": "SHA"},
        {"algorithm": "MD5-sess"},
        {"qop": "auth-int"},
        {"qop": None},
        {"qop": None, "nc": None, "cnonce": None},
        {"nc": "1"},
        {"nc": "0000000A"},
        {"nc": "00000002"},
        {"nc": "\u0660" * 8},
        {"nc": None},
        {"cnonce": "x"},
        {"cnonce": ""},
        {"cnonce": "\ud800"},
        {"username": "x"},
        {"username": None},
        {"username*": "UTF-8''u"},
        {"username": None, "username*": "u"},
        {"username": None, "username*": "UTF-8''x"},
        {"username": md5("u:r"), "userhash": "true"},
    ],
)
def test_wrong_answer(change: dict[str, str | None]) -> None:
    sent = answer(AUTH)
    assert verified(AUTH, sent)
    changed = {name: value for name, value in (sent | change).items() if value is not None}
    assert not verified(AUTH, changed)


def test_algorithm_may_be_left_out_or_spelled_otherwise() -> None:
    sent = answer(AUTH)
    assert verified(AUTH, sent | {"algorithm": "md5"})
    del sent["algorithm"]
    assert verified(AUTH, sent)
    assert not verified(replace(AUTH, algorithm="SHA-256"), sent)


def test_form_of_rfc_2069_is_no_way_around_a_qop() -> None:
    """The body was not protected any more, and an old answer was as good as a new one."""
    sent = answer(replace(AUTH, qop=()))
    assert verified(replace(AUTH, qop=()), sent)
    assert not verified(AUTH, sent)
    assert not verified(replace(AUTH, qop=()), answer(AUTH))


@pytest.mark.parametrize(
    "more", [{"method": "PUT"}, {"uri": "/"}, {"username": "x"}, {"ha1": md5("")}]
)
def test_answer_to_something_else(more: dict[str, str]) -> None:
    assert not verified(AUTH, answer(AUTH), **more)


def test_body_counts_for_auth_int() -> None:
    challenge = replace(PLAIN, qop=("auth-int",))
    sent = answer(challenge, body=b"a")
    assert verified(challenge, sent, body=b"a")
    assert not verified(challenge, sent, body=b"b")


def test_user_name_in_its_three_forms() -> None:
    challenge = replace(AUTH, userhash=True)
    sent = answer(AUTH)
    hashed = sent | {"username": md5("u:r"), "userhash": "true"}
    assert verified(challenge, sent)
    assert verified(challenge, hashed)
    assert not verified(challenge, hashed | {"username": "u"})
    assert not verified(challenge, sent | {"username": md5("u:r")})
    del sent["username"]
    assert verified(challenge, sent | {"username*": "UTF-8''u"})


def test_other_scheme_is_no_answer() -> None:
    credentials = Challenge("basic", None, answer(AUTH))
    assert not verify_digest(AUTH, credentials, method="GET", uri="/a?b", username="u", ha1="")


def test_challenge_of_ours_must_be_known() -> None:
    with pytest.raises(ValueError, match="algorithm 'x' is not one of"):
        verify_digest(
            replace(AUTH, algorithm="x"),
            Challenge("digest", None, {}),
            method="GET",
            uri="/",
            username="u",
            ha1="",
        )


# Verification, by a client.


def info(text: str) -> dict[str, str]:
    parsed = parse_auth_info(text)
    assert parsed is not None
    return dict(parsed)


def vouched(challenge: DigestChallenge, sent: dict[str, str], body: bytes = b"") -> bool:
    request = {name: value for name, value in REQUEST.items() if name != "method"}
    return verify_rspauth(challenge, sent, **request, body=body)


def test_server_that_knows_the_password() -> None:
    rspauth = md5(f"{md5('u:r:p')}:n:00000001:c:auth:{md5(':/a?b')}")
    sent = info(f'rspauth="{rspauth}", qop=auth, cnonce="c", nc=00000001, nextnonce="m"')
    assert vouched(AUTH, sent)
    assert vouched(AUTH, {"rspauth": rspauth})
    for wrong in (
        {"rspauth": md5("")},
        {"rspauth": "ä"},
        {"cnonce": "x"},
        {"nc": "00000002"},
        {"qop": "auth-int"},
        {"qop": "x"},
    ):
        assert not vouched(AUTH, sent | wrong)
    del sent["rspauth"]
    assert not vouched(AUTH, sent)


def test_body_of_a_response_counts_for_auth_int() -> None:
    challenge = replace(PLAIN, qop=("auth-int", "auth"))
    rspauth = md5(f"{md5('u:r:p')}:n:00000001:c:auth-int:{md5(':/a?b:' + md5('body'))}")
    assert vouched(challenge, {"rspauth": rspauth}, b"body")
    assert not vouched(challenge, {"rspauth": rspauth}, b"")


def test_server_of_rfc_2069() -> None:
    rspauth = md5(f"{md5('u:r:p')}:n:{md5(':/a?b')}")
    assert vouched(PLAIN, {"rspauth": rspauth})
    assert not vouched(PLAIN, {"rspauth": rspauth, "qop": "auth"})


def test_client_checks_its_own_values_too() -> None:
    request = {name: value for name, value in REQUEST.items() if name != "method"}
    with pytest.raises(ValueError, match="control character"):
        verify_rspauth(PLAIN, {}, **request | {"password": "\n"})
