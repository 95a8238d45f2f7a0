from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore_proto import (
    Challenge,
    encode_basic_auth,
    encode_bearer,
    parse_auth_info,
    parse_basic_auth,
    parse_bearer,
    parse_challenges,
    parse_credentials,
)

# Challenges.


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        (" ,\t, ", []),
        ("Negotiate", [("negotiate", None, {})]),
        ("Negotiate ", [("negotiate", None, {})]),
        ("Negotiate abc==", [("negotiate", "abc==", {})]),
        ("NTLM a/b+c-d.e_f~", [("ntlm", "a/b+c-d.e_f~", {})]),
        ('Basic realm="a b"', [("basic", None, {"realm": "a b"})]),
        ("BASIC   Realm=a", [("basic", None, {"realm": "a"})]),
        ('Basic realm \t=\t"a"', [("basic", None, {"realm": "a"})]),
        (
            'Basic realm="a\\"\\b\\\\, Digest x=y"',
            [("basic", None, {"realm": 'a"b\\, Digest x=y'})],
        ),
        ('Basic realm=""', [("basic", None, {"realm": ""})]),
        ("a b=c,, d=e ,\tf=g,", [("a", None, {"b": "c", "d": "e", "f": "g"})]),
        # A list may begin with an empty element.
        ("a ,b=c", [("a", None, {"b": "c"})]),
        (
            "a, b, c d=e, f",
            [("a", None, {}), ("b", None, {}), ("c", None, {"d": "e"}), ("f", None, {})],
        ),
        ("a b=, c d==", [("a", "b=", {}), ("c", "d==", {})]),
        # RFC 9110 section 11.6.1.
        (
            'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""',
            [
                ("basic", None, {"realm": "simple"}),
                ("newauth", None, {"realm": "apps", "type": "1", "title": 'Login to "apps"'}),
            ],
        ),
    ],
)
def test_challenges(line: str, expected: list[Challenge]) -> None:
    assert list(parse_challenges([line])) == expected


def test_challenges_of_several_lines() -> None:
    found = parse_challenges(iter(["a b=c, d", "e f", 'g h="i']))
    assert [challenge.scheme for challenge in found] == ["a", "d", "e"]


@pytest.mark.parametrize(
    "wrong",
    [
        "bad a=b, a=c",
        "bad a=b, A=c",
        "bad token68, a=b",
        "bad a=b c=d",
        "bad a=b, c=",
        "bad a=b, c=, d=e",
        "bad a=b, c=ä",
        "bad a=b, c =d e",
        'bad a="b" "c"',
        "bad a b",
        "bad =b",
        "bad\ta=b",
        'b"ad"',
        "bäd",
        "\u212aad",
        "bad ä=b",
        "bad a=ä",
        "bad a=b;c=d",
        "a=b",
        "bad " + ",".join(f"a{number}=b" for number in range(65)),
    ],
)
def test_wrong_challenge_is_left_out_alone(wrong: str) -> None:
    found = parse_challenges([f"first x=y, {wrong}, last z=1"])
    assert ("last", None, {"z": "1"}) in found
    # What is behind the mistake is not taken for a part of another challenge.
    assert {challenge.scheme for challenge in found} <= {"first", "bad", "last"}
    for challenge in found:
        if challenge.scheme == "bad":
            assert challenge.parameters == {}
    assert parse_credentials(wrong) is None


def test_numbers_are_bounded() -> None:
    most = ",".join(f"a{number}=b" for number in range(64))
    assert len(parse_challenges([f"x {most}"])[0].parameters) == 64
    assert len(parse_challenges([",".join(f"a{number} b=c" for number in range(40))])) == 32
    assert len(parse_challenges(["a", "b"] * 40)) == 32


# Credentials and information.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Basic QTpC", ("basic", "QTpC", {})),
        (' Digest a="b", c=d ', ("digest", None, {"a": "b", "c": "d"})),
        ("x", ("x", None, {})),
        ("", None),
        (",", None),
        ("Basic QTpC, Basic QTpC", None),
        ("Basic QTpC QTpC", None),
        ("Basic QTpC\r\nX: y", None),
        ('Digest a="b', None),
        ('Digest a="b\0"', None),
        ("Digest a=b, =c", None),
        ("a=b", None),
    ],
)
def test_credentials(value: str, expected: Challenge | None) -> None:
    assert parse_credentials(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", {}),
        ('nextnonce="a\\"b", NC=1', {"nextnonce": 'a"b', "nc": "1"}),
        ("a=b, a=c", None),
        ("a", None),
        ("a=b, c", None),
        ("a b=c", None),
        ("a==", None),
        ('a="b', None),
    ],
)
def test_auth_info(value: str, expected: dict[str, str] | None) -> None:
    assert parse_auth_info(value) == expected


@pytest.mark.parametrize("start", ["", "a ", "a b=", 'a b="', "Basic ", "a=b,"])
@pytest.mark.parametrize(
    "piece",
    ['"', "\\", ",", " ", "=", "a", "a,", "a=b,", "a =", '\\"', '",', "a b=c,", 'a="b",', ";"],
)
def test_long_input_takes_linear_time(start: str, piece: str) -> None:
    """DO-17: text of this size would hang if anything was looked at again and again."""
    text = start + piece * (2**18 // len(piece))
    assert len(parse_challenges([text])) <= 32
    for parse in (parse_credentials, parse_auth_info):
        parsed = parse(text)
        assert parsed is None or len(parsed) <= 64
    parse_basic_auth(text)


@given(st.text(max_size=60) | st.text('ab=, "\\\t', max_size=60))
def test_any_text_gives_a_result(text: str) -> None:
    for value in (text, f"Basic {text}", f"Basic {text}, a=b"):
        for challenge in parse_challenges([value]):
            assert challenge.scheme == challenge.scheme.lower()
            assert challenge.token68 is None or not challenge.parameters
        for parse in (parse_credentials, parse_auth_info, parse_basic_auth, parse_bearer):
            parse(value)


parameters = st.dictionaries(
    st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text('a ,="\\', max_size=8)
)


@given(st.lists(st.tuples(st.sampled_from(["basic", "digest"]), parameters), max_size=5))
def test_round_trip_of_challenges(challenges: list[tuple[str, dict[str, str]]]) -> None:
    line = ", ".join(
        f"{scheme} "
        + ", ".join(
            name + '="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
            for name, value in content.items()
        )
        for scheme, content in challenges
    )
    expected = [(scheme, None, content) for scheme, content in challenges]
    assert list(parse_challenges([line])) == expected


# Basic.


@pytest.mark.parametrize(
    ("login", "password", "encoding", "expected"),
    [
        # RFC 7617 sections 2 and 2.1.
        ("Aladdin", "open sesame", "utf-8", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("test", "123\xa3", "utf-8", "Basic dGVzdDoxMjPCow=="),
        ("test", "123\xa3", "latin-1", "Basic dGVzdDoxMjOj"),
        ("", "", "utf-8", "Basic Og=="),
        ("a", ":b:", "utf-8", "Basic YTo6Yjo="),
    ],
)
def test_basic(login: str, password: str, encoding: str, expected: str) -> None:
    assert encode_basic_auth(login, password, encoding) == expected
    assert parse_basic_auth(expected, encoding) == (login, password)
    assert parse_basic_auth(f" bAsIc   {expected[6:]} ", encoding) == (login, password)


def test_password_of_basic_is_empty_unless_given() -> None:
    assert parse_basic_auth(encode_basic_auth("a")) == ("a", "")


@pytest.mark.parametrize(
    ("login", "password", "message"),
    [
        ("a:b", "secret", "colon"),
        ("a\n", "secret", "control characters"),
        ("a", "secret\0", "control characters"),
        ("a\t", "secret", "control characters"),
        ("a", "\x7fsecret", "control characters"),
    ],
)
def test_basic_refuses_what_is_not_a_login(login: str, password: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        encode_basic_auth(login, password)
    assert "secret" not in str(caught.value)


def test_basic_refuses_what_the_encoding_lacks() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_basic_auth("€", "", "latin-1")
    for call in (
        lambda: encode_basic_auth("a", "", "x"),
        lambda: parse_basic_auth("Basic Og==", "x"),
    ):
        with pytest.raises(LookupError):
            call()


def basic(raw: bytes) -> str:
    return "Basic " + base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic",
        "Basic ",
        "QTpC",
        "Bearer QTpC",
        "Ba\u017fic QTpC",
        "Basic realm=QTpC",
        "Basic QTpCQ",
        "Basic QTpC=",
        "Basic QTpCRA",
        "Basic QTpCRA=",
        "Basic QTpCRA===",
        "Basic QTpC====",
        "Basic QT-_",
        # The bits behind the last octet are not zero.
        "Basic QTp=",
        "Basic QTr=",
        "Basic Q T p C",
        "Basic QTpC\n",
        "Basic QTpC, a=b",
        "Basic \u212aTpC",
        basic(b"AB"),
        basic(b"A\xff:B"),
        basic(b"A\n:B"),
        basic(b"A:B\0"),
    ],
)
def test_basic_that_is_garbage(value: str) -> None:
    assert parse_basic_auth(value) is None


shown = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


@given(shown.filter(lambda text: ":" not in text), shown)
def test_round_trip_of_basic(login: str, password: str) -> None:
    assert parse_basic_auth(encode_basic_auth(login, password)) == (login, password)


# Bearer.


@pytest.mark.parametrize("token", ["mF_9.B5f-4.1JqM", "a", "a==", "-._~+/9"])
def test_bearer(token: str) -> None:
    assert encode_bearer(token) == f"Bearer {token}"
    assert parse_bearer(f"Bearer {token}") == token
    assert parse_bearer(f"BEARER  {token} ") == token


@pytest.mark.parametrize(
    "token", ["", "=", "a b", "a=b", "a,", "a\n", "a\r\nX: y", "ä", '"a"', "a|b"]
)
def test_what_is_no_bearer_token(token: str) -> None:
    with pytest.raises(ValueError, match="a bearer token is letters") as caught:
        encode_bearer(token)
    assert not token or repr(token) not in str(caught.value)
    if not token.isspace() and token not in ("a,", "a\n"):
        assert parse_bearer(f"Bearer {token}") is None


@pytest.mark.parametrize("value", ["", "Bearer", "Basic abc", "abc", "Bearer a=b", "Bearer a b"])
def test_bearer_that_is_something_else(value: str) -> None:
    assert parse_bearer(value) is None
