from __future__ import annotations

import pytest
from multidict import CIMultiDict, istr

from httpcore_proto import (
    ClientConnection,
    Data,
    EndOfMessage,
    HeaderBlock,
    HeadersLike,
    HttpVersion10,
    LocalProtocolError,
    Request,
    Response,
    ServerConnection,
)
from httpcore_proto._fields import _known_names


def sent(headers: HeadersLike, *, method: str = "GET", **more: object) -> bytes:
    """Return what a client sends behind the request line."""
    request = Request(method=method, target="/", headers=headers, **more)  # type: ignore[arg-type]  # pass through
    return ClientConnection().send(request).partition(b"\r\n")[2]


def test_fields_go_out_as_they_are() -> None:
    pairs = [("Host", "a"), ("x-B", "1"), ("X-b", ""), ("C", " \t ä\udcff\xa0")]
    assert sent(pairs) == b"Host: a\r\nx-B: 1\r\nX-b: \r\nC:  \t \xc3\xa4\xff\xc2\xa0\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        {"A": "b", "C": "d"},
        [("A", "b"), ("C", "d")],
        (("A", "b"), ("C", "d")),
        iter([("A", "b"), ("C", "d")]),
        CIMultiDict([("A", "b"), ("C", "d")]),
        {istr("A"): "b", istr("C"): "d"},
    ],
)
def test_fields_may_be_a_mapping_or_pairs(headers: HeadersLike) -> None:
    assert sent(headers) == b"A: b\r\nC: d\r\n\r\n"


def test_repeated_names_of_a_multidict_all_go_out() -> None:
    assert sent(CIMultiDict([("A", "b"), ("a", "c")])) == b"A: b\r\na: c\r\n\r\n"


@pytest.mark.parametrize("name", ["", "a b", "a:", "ä", "a\n", "\u212aeep", "a\udcff", "a\0"])
def test_name_that_is_no_token_is_refused(name: str) -> None:
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match=r"^field name .* is not a token"):
            sent([(name, "x")])


@pytest.mark.parametrize("value", ["\ud800", "a\udfff"])
def test_value_that_no_octets_stand_for_is_refused(value: str) -> None:
    with pytest.raises(LocalProtocolError, match="text cannot be encoded: surrogates not allowed"):
        sent([("A", value)])


def test_wrong_value_among_good_ones_is_found() -> None:
    with pytest.raises(LocalProtocolError, match=r"control character '\\x00': 'a\\x00'"):
        sent([("A", "\t"), ("B", "ä\x85"), ("C", "a\0"), ("D", "d")])


def test_memory_of_names_is_bounded() -> None:
    headers = [(f"X-{number}", "") for number in range(1100)]
    for _ in range(2):
        assert sent(headers).count(b"\r\n") == 1101
    assert len(_known_names) <= 1024


# Instructions: what the caller says about framing, and what the connection makes of it.


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("content-length", "2")], b"Content-Length: 2\r\n"),
        ([("Content-Length", "002")], b"Content-Length: 2\r\n"),
        ([("Content-Length", "2"), ("CONTENT-LENGTH", "2")], b"Content-Length: 2\r\n"),
        ([("Content-Length", "9" * 19)], b"Content-Length: " + b"9" * 19 + b"\r\n"),
        ([("Transfer-Encoding", " Chunked\t")], b"Transfer-Encoding: chunked\r\n"),
        ([("Transfer-Encoding", "chunked")] * 2, b"Transfer-Encoding: chunked\r\n"),
        ([("Connection", "close")], b"Connection: close\r\n"),
        ([("Connection", "CLOSE , close,")], b"Connection: close\r\n"),
        ([("Connection", "keep-alive")], b""),
        ([("Connection", "")], b""),
        ([("Connection", "keep-alive, close")], b"Connection: close\r\n"),
        ([("Connection", "Upgrade")], b"Connection: Upgrade\r\n"),
        (
            [("Connection", "Upgrade, close"), ("connection", "TE")],
            b"Connection: Upgrade, TE, close\r\n",
        ),
    ],
)
def test_instruction_is_followed(headers: HeadersLike, expected: bytes) -> None:
    assert sent(headers) == expected + b"\r\n"


def test_instructions_go_out_behind_the_fields() -> None:
    headers = [("Connection", "close"), ("A", "b"), ("Content-Length", "0"), ("C", "d")]
    expected = b"A: b\r\nC: d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert sent(headers) == expected


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("keep-alive", b"Connection: keep-alive\r\n"),
        ("Keep-Alive, x", b"Connection: x, keep-alive\r\n"),
        ("close, keep-alive", b"Connection: close\r\n"),
    ],
)
def test_keep_alive_is_said_to_http_1_0_alone(option: str, expected: bytes) -> None:
    headers = [("Connection", option)]
    assert sent(headers, http_version=HttpVersion10) == expected + b"\r\n"


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "x",
        "+5",
        "-5",
        "5_0",
        "0x5",
        " 5",
        "5 ",
        "5, 5",
        "5.0",
        "\u0665",
        "\u00b2",
        "1" * 20,
        "1" * 5000,
    ],
)
def test_content_length_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^Content-Length .* is not a number$") as caught:
        sent([("Content-Length", value)])
    assert len(str(caught.value)) < 200


def test_two_different_content_lengths_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="two different Content-Length fields"):
        sent([("Content-Length", "1"), ("Content-Length", "2")])


@pytest.mark.parametrize(
    "value",
    ["", "gzip", "gzip, chunked", "chunked, chunked", "identity", "xchunked", "chun\u212aed"],
)
def test_transfer_encoding_other_than_chunked_is_refused(value: str) -> None:
    with pytest.raises(LocalProtocolError, match="only chunked can be sent"):
        sent([("Transfer-Encoding", value)])


@pytest.mark.parametrize("order", [1, -1])
def test_two_framings_are_refused(order: int) -> None:
    """IN-08: both in one message are how a request is smuggled."""
    pairs = [("Content-Length", "5"), ("Transfer-Encoding", "chunked")]
    with pytest.raises(LocalProtocolError, match="exclude each other"):
        sent(pairs[::order])


@pytest.mark.parametrize(
    "value", ["a b", "close;x", "ä", "a\r\nB: c", "\x0bclose", "x\udcff", "\u212aeep-alive"]
)
def test_connection_option_that_is_no_token_is_refused(value: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^Connection option .* is not a token$"):
        sent([("Connection", value)])


# Blocks of fields that are checked once.


def test_block_goes_out_before_the_fields() -> None:
    block = HeaderBlock([("A", "b"), ("C", "ä\udcff")])
    assert sent([("E", "f")], preset=block) == b"A: b\r\nC: \xc3\xa4\xff\r\nE: f\r\n\r\n"
    assert sent([], preset=block) == b"A: b\r\nC: \xc3\xa4\xff\r\n\r\n"


def test_block_is_the_same_for_responses() -> None:
    block = HeaderBlock({"A": "b"})
    server = ServerConnection()
    response = Response(status=204, headers={"C": "d"}, preset=block)
    assert server.send(response) == b"HTTP/1.1 204 No Content\r\nA: b\r\nC: d\r\n\r\n"


@pytest.mark.parametrize("headers", [{}, [], CIMultiDict[str]()])
def test_block_may_be_empty(headers: HeadersLike) -> None:
    assert sent([("A", "b")], preset=HeaderBlock(headers)) == b"A: b\r\n\r\n"


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "CONNECTION"])
def test_block_with_framing_is_refused(name: str) -> None:
    with pytest.raises(LocalProtocolError, match=f"^{name} differs between messages"):
        HeaderBlock([("A", "b"), (name, "close")])


@pytest.mark.parametrize("pair", [("a b", "c"), ("a", "\n"), ("a", "\ud800"), ("", "")])
def test_block_that_is_not_fit_to_be_sent_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(LocalProtocolError):
        HeaderBlock([pair])


def test_block_shows_itself() -> None:
    assert repr(HeaderBlock({"A": "b"})) == r"<HeaderBlock 'A: b\r\n'>"


# Trailers.


def with_trailers(trailers: HeadersLike) -> bytes:
    client = ClientConnection()
    headers = {"Transfer-Encoding": "chunked"}
    client.send(Request(method="PUT", target="/", headers=headers))
    client.send(Data(b"x"))
    return client.send(EndOfMessage(trailers))


def test_trailers_go_out_behind_the_last_chunk() -> None:
    assert with_trailers([("A", "b"), ("a", "ä")]) == b"0\r\nA: b\r\na: \xc3\xa4\r\n\r\n"
    assert with_trailers([]) == b"0\r\n\r\n"


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Connection"])
def test_framing_in_trailers_is_refused(name: str) -> None:
    value = {"Content-Length": "1", "Transfer-Encoding": "chunked"}.get(name, "close")
    with pytest.raises(LocalProtocolError, match=f"{name.lower()} cannot be a trailer field"):
        with_trailers([(name, value)])


@pytest.mark.parametrize("pair", [("a b", "c"), ("a", "\r\nB: c"), ("a", "\ud800")])
def test_trailer_that_is_not_fit_to_be_sent_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(LocalProtocolError):
        with_trailers([pair])
