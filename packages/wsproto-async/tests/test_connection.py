"""What a peer sends: every rule with the close code it gives, and what is received of the rest."""

from __future__ import annotations

import itertools
import os
import pickle
import struct
import zlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from httpcore_proto import NEED_DATA, ConnectionClosed, LocalProtocolError, encode_masked_frame
from wsproto_async import (
    DEFAULT_MAX_MSG_SIZE,
    Deflate,
    Role,
    WebSocketConnection,
    WebSocketError,
    WSFragment,
    WSMessage,
    WSMessageTextBytes,
    WSMsgType,
    WSState,
)

KEY = b"\x01\x80\xfe\x37"
TEXT, BINARY, CLOSE = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CLOSE
PING, PONG = WSMsgType.PING, WSMsgType.PONG
DEFLATE = Deflate()


def frame(first: int, payload: bytes = b"", role: Role = Role.SERVER) -> bytes:
    """Return a frame for a connection of this role."""
    if role is Role.SERVER:
        return encode_masked_frame(first, KEY, payload)
    size = len(payload)
    if size < 126:
        return bytes([first, size]) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def deflated(data: bytes, bits: int = 15) -> bytes:
    codec = zlib.compressobj(1, zlib.DEFLATED, -bits)
    return (codec.compress(data) + codec.flush(zlib.Z_SYNC_FLUSH))[:-4]


def events(connection: WebSocketConnection, *pieces: bytes) -> list[Any]:
    found: list[Any] = []
    for piece in pieces:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not NEED_DATA:
            found.append(event)
    return found


def outcome(connection: WebSocketConnection, *pieces: bytes) -> tuple[list[Any], int | None]:
    """Return what came, and the code of the error that ended it."""
    found: list[Any] = []
    for piece in pieces:
        connection.receive_data(piece)
        try:
            while (event := connection.next_event()) is not NEED_DATA:
                found.append(event)
        except WebSocketError as exc:
            return found, exc.code
    return found, None


def server(**options: Any) -> WebSocketConnection:
    return WebSocketConnection(Role.SERVER, **options)


# Messages.


@pytest.mark.parametrize("role", list(Role))
def test_messages_and_control_frames(role: Role) -> None:
    connection = WebSocketConnection(role)
    assert connection.role is role
    assert connection.next_event() is NEED_DATA
    data = b"".join(
        [
            frame(0x81, "\u00e4\u20ac".encode(), role),
            frame(0x82, b"\x00\xff", role),
            frame(0x01, b"a", role),
            frame(0x89, b"hi", role),
            frame(0x80, b"b", role),
            frame(0x8A, b"", role),
            frame(0x81, b"", role),
            frame(0x88, struct.pack("!H", 1001) + b"away", role),
        ]
    )
    assert events(connection, data) == [
        (TEXT, "\u00e4\u20ac", ""),
        (BINARY, b"\x00\xff", ""),
        (PING, b"hi", ""),
        (TEXT, "ab", ""),
        (PONG, b"", ""),
        (TEXT, "", ""),
        (CLOSE, 1001, "away"),
    ]
    assert (connection.close_code, connection.close_reason) == (1001, "away")


@pytest.mark.parametrize("decode_text", [True, False])
def test_types_of_messages(decode_text: bool) -> None:
    connection = server(decode_text=decode_text)
    text, binary = events(connection, frame(0x81, b'{"a": 1}') + frame(0x82, b"[2]"))
    assert type(text) is (WSMessage if decode_text else WSMessageTextBytes)
    assert type(binary) is WSMessage
    assert type(text.data) is (str if decode_text else bytes)
    assert text.type is TEXT
    assert (text.json(), binary.json()) == ({"a": 1}, [2])
    assert text.json(loads=len) == 8


def test_input_of_any_kind() -> None:
    connection = server()
    data = frame(0x81, b"abc")
    for kind in (bytes, bytearray, memoryview):
        connection.receive_data(kind(data))
        assert connection.next_event() == (TEXT, "abc", "")
    connection.receive_data(b"")
    assert connection.next_event() is NEED_DATA


def test_input_kept_while_nobody_asks() -> None:
    """WS-06: a flood stays octets until somebody takes it."""
    connection = server()
    data = frame(0x82, b"x")
    for _ in range(3):
        connection.receive_data(data * 100)
    assert connection.buffered == 300 * len(data)
    assert connection.next_event() == (BINARY, b"x", "")
    assert 0 < connection.buffered < 300 * len(data)
    connection.receive_data(data)
    assert len(events(connection, b"")) == 300
    assert connection.buffered == 0


MESSAGES = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.text(max_size=200)),
        st.tuples(st.just("binary"), st.binary(max_size=200)),
        st.tuples(st.just("fragments"), st.lists(st.text(max_size=50), min_size=1, max_size=4)),
        st.tuples(st.just("pieces"), st.lists(st.binary(max_size=50), min_size=1, max_size=4)),
        st.tuples(st.just("ping"), st.binary(max_size=125)),
        st.tuples(st.just("pong"), st.binary(max_size=125)),
    ),
    max_size=8,
)
AGREEMENTS = st.one_of(
    st.none(),
    st.builds(
        Deflate, st.booleans(), st.booleans(), st.sampled_from([8, 9, 15]), st.integers(8, 15)
    ),
)


@given(
    sent=MESSAGES,
    role=st.sampled_from(Role),
    deflate=AGREEMENTS,
    cuts=st.lists(st.integers(0, 5000), max_size=6),
    decode_text=st.booleans(),
    streaming=st.booleans(),
)
@example([("text", "\u20ac")], Role.CLIENT, None, [3], False, True)
@example([("fragments", ["\u20ac", ""])], Role.SERVER, DEFLATE, [3, 4, 5], False, True)
def test_what_is_sent_arrives(
    sent: list[tuple[str, Any]],
    role: Role,
    deflate: Deflate | None,
    cuts: list[int],
    decode_text: bool,
    streaming: bool,
) -> None:
    other = Role.SERVER if role is Role.CLIENT else Role.CLIENT
    sender = WebSocketConnection(role, deflate=deflate)
    receiver = WebSocketConnection(other, deflate=deflate, decode_text=decode_text)
    receiver.streaming = streaming
    assert receiver.streaming is streaming
    wire = b""
    expected: list[tuple[int, Any]] = []
    for kind, data in sent:
        if kind == "text":
            wire += sender.send_text(data)
            expected.append((TEXT, data))
        elif kind == "binary":
            wire += sender.send_bytes(data)
            expected.append((BINARY, data))
        elif kind in ("ping", "pong"):
            wire += sender.send_ping(data) if kind == "ping" else sender.send_pong(data)
            expected.append((PING if kind == "ping" else PONG, data))
        else:
            for at, piece in enumerate(data):
                wire += sender.send_fragment(piece, last=at == len(data) - 1)
            opcode, joined = (
                (TEXT, "".join(data)) if kind == "fragments" else (BINARY, b"".join(data))
            )
            expected.append((opcode, joined))
    edges = [0, *sorted(at % (len(wire) + 1) for at in cuts), len(wire)]
    found = events(receiver, *[wire[start:end] for start, end in itertools.pairwise(edges)])
    assert [(kind, as_text(kind, data)) for kind, data in joined_pieces(found)] == expected


def as_text(kind: int, data: Any) -> Any:
    return data.decode() if kind == TEXT and isinstance(data, bytes) else data


def joined_pieces(found: list[Any]) -> list[tuple[int, Any]]:
    messages: list[tuple[int, Any]] = []
    current: Any = None
    for event in found:
        if not isinstance(event, WSFragment):
            messages.append((event.type, event.data))
            continue
        assert event.data or event.last
        current = event.data if current is None else current + event.data
        if event.last:
            messages.append((event.type, current))
            current = None
    assert current is None
    return messages


# Streaming.


def test_pieces_of_a_message() -> None:
    connection = server()
    connection.streaming = True
    data = frame(0x01, "a\u20ac".encode()[:2])
    assert events(connection, data[:-1], data[-1:]) == [(TEXT, "a", False)]
    rest = frame(0x80, "\u20ac".encode()[1:])
    assert events(connection, rest[:-1], frame(0x80, "\u20ac".encode()[1:])[-1:]) == [
        (TEXT, "\u20ac", True)
    ]
    assert events(connection, frame(0x02)) == []
    assert events(connection, frame(0x80)) == [(BINARY, b"", True)]
    # A whole message is one piece.
    assert events(connection, frame(0x82, b"abc")) == [(BINARY, b"abc", True)]


def test_streaming_bomb_comes_in_bounded_pieces() -> None:
    """WS-03: a read of a few kilobytes inflates to megabytes, but only as somebody takes them."""
    connection = server(deflate=DEFLATE, max_msg_size=0)
    connection.streaming = True
    size = 8 * 1024 * 1024
    bomb = deflated(bytes(size))
    connection.receive_data(frame(0xC2, bomb) + frame(0x89, b"behind"))
    total = 0
    while not (event := connection.next_event()).last:  # type: ignore[union-attr]  # fragments
        assert len(event.data) <= 65536  # type: ignore[union-attr, arg-type]  # the same
        total += len(event.data)  # type: ignore[union-attr, arg-type]  # the same
    assert len(event.data) <= 65536  # type: ignore[union-attr, arg-type]  # the same
    assert total + len(event.data) == size  # type: ignore[union-attr, arg-type]  # the same
    assert connection.next_event() == (PING, b"behind", "")


def test_all_of_a_compressed_fragment_comes_with_it() -> None:
    """The decompressor keeps output although it has taken all input."""
    whole = deflated(bytes(100_000))
    for size in range(len(whole) + 1):
        connection = server(deflate=DEFLATE)
        connection.streaming = True
        found = events(connection, frame(0x42, whole[:size]))
        expected = zlib.decompressobj(-15).decompress(whole[:size])
        assert sum(len(piece.data) for piece in found) == len(expected)


@pytest.mark.parametrize("decode_text", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(
    "octets", [b"a\xff", b"a\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"]
)
def test_text_in_pieces_must_be_utf8(octets: bytes, compressed: bool, decode_text: bool) -> None:
    connection = server(deflate=DEFLATE, decode_text=decode_text)
    connection.streaming = True
    payload = deflated(octets) if compressed else octets
    data = frame(0xC1 if compressed else 0x81, payload)
    assert outcome(connection, data[:-1], data[-1:])[1] == 1007


@pytest.mark.parametrize("compressed", [True, False])
def test_limit_counts_the_pieces_together(compressed: bool) -> None:
    connection = server(deflate=DEFLATE, max_msg_size=100_000)
    connection.streaming = True
    payload = bytes(100_001)
    data = frame(0xC2, deflated(payload)) if compressed else frame(0x82, payload)
    found, code = outcome(connection, data)
    assert code == 1009
    assert sum(len(event.data) for event in found) <= 100_000
    connection = server(deflate=DEFLATE, max_msg_size=100_000)
    connection.streaming = True
    payload = bytes(100_000)
    data = frame(0xC2, deflated(payload)) if compressed else frame(0x82, payload)
    # Twice, since the count begins anew with every message.
    found, code = outcome(connection, data, data)
    assert code is None
    assert sum(len(event.data) for event in found) == 200_000


# Violations: the code that each gives.


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    ("wire", "code", "rule"),
    [
        ([(0x83, b"")], 1002, "frame-opcode"),
        ([(0x8B, b"")], 1002, "frame-opcode"),
        ([(0xC1, b"")], 1002, "frame-rsv"),
        ([(0xA2, b"")], 1002, "frame-rsv"),
        ([(0x92, b"")], 1002, "frame-rsv"),
        # What Autobahn does not look at: reserved bits of a close frame.
        ([(0xC8, b"\x03\xe8")], 1002, "frame-rsv"),
        ([(0xA8, b"\x03\xe8")], 1002, "frame-rsv"),
        ([(0x98, b"\x03\xe8")], 1002, "frame-rsv"),
        ([(0xC9, b"")], 1002, "frame-rsv"),
        ([(0x09, b"")], 1002, "control-fragmented"),
        ([(0x08, b"")], 1002, "control-fragmented"),
        ([(0x89, b"a" * 126)], 1002, "control-size"),
        ([(0x88, b"\x03\xe8" + b"a" * 124)], 1002, "control-size"),
        ([(0x80, b"")], 1002, "frame-continuation"),
        ([(0x01, b"a"), (0x81, b"b")], 1002, "frame-interleaved"),
        ([(0x81, b"\xff")], 1007, "text-utf8"),
        ([(0x01, b"\xc3"), (0x80, b"")], 1007, "text-utf8"),
        ([(0x88, b"\x03")], 1002, "close-payload"),
        ([(0x88, b"\x03\xe8\xff")], 1007, "text-utf8"),
        ([(0x82, b"a" * 1001)], 1009, "message-size"),
        ([(0x02, b"a" * 600), (0x80, b"a" * 401)], 1009, "message-size"),
        ([(0x02, b"")] + [(0x00, b"")] * 8, 1009, "message-fragments"),
        *[
            ([(0x88, code.to_bytes(2, "big") + b"x")], 1002, "close-code")
            for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
        ],
    ],
)
def test_violation(wire: list[tuple[int, bytes]], code: int, rule: str, role: Role) -> None:
    good = frame(0x82, b"before", role)
    data = good + b"".join(frame(first, payload, role) for first, payload in wire)
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        connection = WebSocketConnection(role, max_msg_size=1000, max_fragments=8)
        with pytest.raises(WebSocketError) as caught:
            events(connection, *pieces)
        error = caught.value
        assert (error.code, error.rule) == (code, rule)
        assert str(error)
        assert connection.their_state is WSState.ERROR
        # The same for ever, and nothing that follows counts.
        connection.receive_data(good)
        assert connection.buffered == 0
        connection.receive_eof()
        for _ in range(2):
            with pytest.raises(WebSocketError) as again:
                connection.next_event()
            assert again.value is error
        # It can be answered, once.
        assert connection.send_close(error.code)
        assert connection.our_state is WSState.CLOSED


@pytest.mark.parametrize("role", list(Role))
def test_masking_in_the_wrong_direction(role: Role) -> None:
    """WS-08."""
    wrong = Role.CLIENT if role is Role.SERVER else Role.SERVER
    connection = WebSocketConnection(role)
    assert outcome(connection, frame(0x81, b"a", wrong)) == ([], 1002)


def test_message_before_a_violation_counts() -> None:
    connection = server()
    found, code = outcome(connection, frame(0x82, b"a") + frame(0x81, b"\xff") + frame(0x82, b"b"))
    assert (found, code) == ([(BINARY, b"a", "")], 1007)


@pytest.mark.parametrize("decode_text", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_text_must_be_utf8(compressed: bool, decode_text: bool) -> None:
    connection = server(deflate=DEFLATE, decode_text=decode_text)
    payload = deflated(b"\xed\xa0\x80") if compressed else b"\xed\xa0\x80"
    with pytest.raises(WebSocketError, match="text message is not UTF-8") as caught:
        events(connection, frame(0xC1 if compressed else 0x81, payload))
    assert caught.value.code == 1007
    # It would keep the text alive.
    assert caught.value.__context__ is None


def test_error_keeps_its_facts() -> None:
    connection = server(max_msg_size=10)
    with pytest.raises(WebSocketError) as caught:
        events(connection, frame(0x82, b"a" * 11))
    error = caught.value
    for copy in (error, pickle.loads(pickle.dumps(error))):
        assert (copy.code, copy.rule, copy.limit, copy.value, copy.allowed) == (
            1009,
            "message-size",
            "max_msg_size",
            11,
            10,
        )
        assert str(copy) == "message of at least 11 octets with max_msg_size=10"
    plain = WebSocketError(1003, "no")
    assert (plain.code, str(plain), plain.rule, plain.limit) == (1003, "no", "protocol", None)


def test_message_of_exactly_the_limit() -> None:
    connection = server(max_msg_size=10, deflate=DEFLATE)
    data = os.urandom(10)
    for first, payload in ((0x82, data), (0xC2, deflated(data))):
        assert events(connection, frame(first, payload)) == [(BINARY, data, "")]


def test_default_limit_is_four_mebibytes() -> None:
    assert DEFAULT_MAX_MSG_SIZE == 4 * 1024 * 1024
    data = bytes(DEFAULT_MAX_MSG_SIZE)
    connection = server()
    assert events(connection, frame(0x82, data)) == [(BINARY, data, "")]
    assert outcome(connection, frame(0x82, data + b"x")) == ([], 1009)


def test_no_limit() -> None:
    connection = server(max_msg_size=0, deflate=DEFLATE)
    data = bytes(DEFAULT_MAX_MSG_SIZE + 1)
    assert events(connection, frame(0xC2, deflated(data))) == [(BINARY, data, "")]
    assert events(connection, frame(0x82, data)) == [(BINARY, data, "")]


def test_many_fragments_are_one_message() -> None:
    """What Autobahn's 9.3.1 sends, with its octets compared."""
    data = os.urandom(4 * 1024 * 1024)
    pieces = [data[at : at + 64] for at in range(0, len(data), 64)]
    wire = frame(0x02, pieces[0], Role.CLIENT)
    wire += b"".join(b"\x00\x40" + piece for piece in pieces[1:-1])
    wire += b"\x80\x40" + pieces[-1]
    assert events(WebSocketConnection(Role.CLIENT), wire) == [(BINARY, data, "")]


def test_flood_of_empty_fragments_ends() -> None:
    connection = server()
    connection.receive_data(frame(0x02))
    found, code = outcome(connection, *[frame(0x00) * 10_000] * 14)
    assert (found, code) == ([], 1009)


# Compression.


def test_context_is_kept_from_message_to_message() -> None:
    codec = zlib.compressobj(1, zlib.DEFLATED, -15)
    connection = server(deflate=DEFLATE)
    data = os.urandom(1000)
    sizes = []
    for _ in range(3):
        payload = (codec.compress(data) + codec.flush(zlib.Z_SYNC_FLUSH))[:-4]
        sizes.append(len(payload))
        assert events(connection, frame(0xC2, payload)) == [(BINARY, data, "")]
    assert sizes[1] < 100 < sizes[0]


def test_context_is_not_kept_when_that_was_agreed() -> None:
    codec = zlib.compressobj(1, zlib.DEFLATED, -15)
    connection = server(deflate=Deflate(client_no_context_takeover=True))
    data = b"abcdefghij" * 10
    first = (codec.compress(data) + codec.flush(zlib.Z_SYNC_FLUSH))[:-4]
    second = (codec.compress(data) + codec.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert events(connection, frame(0xC2, first), frame(0xC2, first)) == [(BINARY, data, "")] * 2
    assert outcome(connection, frame(0xC2, second)) == ([], 1007)


@pytest.mark.parametrize("bits", range(8, 16))
def test_window_of_the_peer(bits: int) -> None:
    """A message refers to the one before, as far back as zlib's encoder goes."""
    data = os.urandom(2**bits - 300 if bits > 9 else 200)
    connection = WebSocketConnection(Role.CLIENT, deflate=Deflate(server_max_window_bits=bits))
    codec = zlib.compressobj(9, zlib.DEFLATED, -max(bits, 9))
    sizes = []
    for part in (data, data[:100]):
        payload = (codec.compress(part) + codec.flush(zlib.Z_SYNC_FLUSH))[:-4]
        sizes.append(len(payload))
        assert events(connection, frame(0xC2, payload, Role.CLIENT)) == [(BINARY, part, "")]
    assert sizes[1] < 20


def test_window_larger_than_agreed_is_refused() -> None:
    """Only across messages: within one, zlib takes what the output still holds."""
    codec = zlib.compressobj(1, zlib.DEFLATED, -15)
    connection = server(deflate=Deflate(client_max_window_bits=9))
    data = os.urandom(2000)
    first = (codec.compress(data) + codec.flush(zlib.Z_SYNC_FLUSH))[:-4]
    second = (codec.compress(data) + codec.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert events(connection, frame(0xC2, first)) == [(BINARY, data, "")]
    assert outcome(connection, frame(0xC2, second)) == ([], 1007)


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    "payload", [b"\xff", b"\x06", b"\x00", deflated(b"abc")[:-1] + b"\xff" * 9]
)
def test_compressed_data_that_is_none(payload: bytes, streaming: bool) -> None:
    connection = server(deflate=DEFLATE)
    connection.streaming = streaming
    # An octet of 0 is an empty message (RFC 7692 section 7.2.3.6); the others are broken.
    expected = None if payload == b"\x00" else 1007
    assert outcome(connection, frame(0xC2, payload))[1] == expected


# RFC 7692 section 7.2.3: the examples.
HELLO = "f248cdc9c90700"


@pytest.mark.parametrize(
    "frames",
    [
        [(0xC1, HELLO)],
        [(0x41, "f248cd"), (0x80, "c9c90700")],
        # Without compression, in a block of its own.
        [(0xC1, "000500faff48656c6c6f00")],
        # BFINAL is set.
        [(0xC1, "f348cdc9c9070000")],
        # Two blocks.
        [(0xC1, "f248050000 00ffffcac9c90700")],
        # Compressed and plain messages may follow each other.
        [(0x81, "48656c6c6f")],
    ],
)
def test_examples_of_the_standard(frames: list[tuple[int, str]]) -> None:
    connection = server(deflate=DEFLATE)
    wire = [frame(first, bytes.fromhex(payload)) for first, payload in frames]
    for _ in range(2):
        assert events(connection, *wire) == [(TEXT, "Hello", "")]
    connection.streaming = True
    found = events(connection, *wire)
    assert "".join(piece.data for piece in found) == "Hello"
    assert [piece.last for piece in found] == [*[False] * (len(found) - 1), True]


def test_second_message_refers_to_the_first() -> None:
    """RFC 7692 section 7.2.3.2."""
    connection = server(deflate=DEFLATE)
    wire = frame(0xC1, bytes.fromhex(HELLO)) + frame(0xC1, bytes.fromhex("f200110000"))
    assert events(connection, wire) == [(TEXT, "Hello", "")] * 2


def test_bomb_is_refused() -> None:
    """WS-03: 64 MiB in 64 KiB; no more is inflated than the limit and an octet."""
    connection = server(deflate=DEFLATE, max_msg_size=1000)
    bomb = deflated(bytes(64 * 1024 * 1024))[:900]
    with pytest.raises(WebSocketError) as caught:
        events(connection, frame(0xC2, bomb))
    assert (caught.value.code, caught.value.value) == (1009, 1001)


@pytest.mark.parametrize("streaming", [True, False])
def test_many_deflate_streams_in_one_message(streaming: bool) -> None:
    codec = zlib.compressobj(1, zlib.DEFLATED, -15)
    one = codec.compress(b"a") + codec.flush()
    connection = server(deflate=DEFLATE, max_msg_size=0)
    connection.streaming = streaming
    for _ in range(2):
        (message,) = events(connection, frame(0xC2, one * 1024 + b"\x00"))
        assert message.data == b"a" * 1024
    assert outcome(connection, frame(0xC2, one * 1025 + b"\x00")) == ([], 1009)


def test_flood_of_deflate_streams_is_linear() -> None:
    """Each stream copied all that was behind it."""
    data = frame(0xC2, b"\x03\x00" * 15_000_000)
    for _ in range(12):
        assert outcome(server(deflate=DEFLATE, max_msg_size=0), data) == ([], 1009)


# Closing, and the end.


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        (b"", 0, ""),
        (b"\x03\xe8", 1000, ""),
        (b"\x03\xe8" + "\u20ac".encode(), 1000, "\u20ac"),
        (b"\x03\xe8" + b"a" * 123, 1000, "a" * 123),
        *[
            (code.to_bytes(2, "big"), code, "")
            for code in (1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
        ],
        *[(code.to_bytes(2, "big"), code, "") for code in (3000, 3999, 4000, 4999)],
    ],
)
def test_close_frame(payload: bytes, code: int, reason: str) -> None:
    connection = server()
    assert connection.close_code is None
    assert events(connection, frame(0x88, payload) + frame(0x82, b"x"), frame(0x82)) == [
        (CLOSE, code, reason)
    ]
    assert (connection.close_code, connection.close_reason) == (code, reason)
    assert connection.their_state is WSState.CLOSED
    assert not connection.closed
    # RFC 6455 section 5.5.1: the answer has the code that came.
    expected = struct.pack("!H", code) if code else b""
    assert connection.send_close_reply() == bytes([0x88, len(expected)]) + expected
    assert connection.closed
    assert connection.send_close_reply() == b""
    connection.receive_eof()
    for _ in range(2):
        assert isinstance(connection.next_event(), ConnectionClosed)
    assert connection.close_code == code


def test_close_frame_within_a_message() -> None:
    connection = server()
    assert events(connection, frame(0x01, b"abc") + frame(0x88, b"\x03\xe8")) == [(CLOSE, 1000, "")]


def test_messages_between_our_close_frame_and_theirs() -> None:
    connection = server()
    connection.send_close()
    assert events(connection, frame(0x81, b"a") + frame(0x88, b"\x03\xe8")) == [
        (TEXT, "a", ""),
        (CLOSE, 1000, ""),
    ]
    assert connection.closed


@pytest.mark.parametrize("data", [b"", b"\x81", frame(0x01, b"a"), frame(0x82, b"abc")[:-1]])
def test_end_without_a_close_frame(data: bytes) -> None:
    connection = server()
    assert events(connection, data) == []
    connection.receive_eof()
    assert not connection.closed
    for _ in range(2):
        event = connection.next_event()
        assert isinstance(event, ConnectionClosed)
    assert connection.close_code == 1006
    assert connection.their_state is WSState.LOST
    assert connection.closed
    connection.receive_data(frame(0x82))
    assert connection.buffered == 0


def test_messages_before_the_end_come_first() -> None:
    connection = server()
    connection.receive_data(frame(0x82, b"a") * 2)
    connection.receive_eof()
    assert [connection.next_event(), connection.next_event()] == [(BINARY, b"a", "")] * 2
    assert isinstance(connection.next_event(), ConnectionClosed)


def test_reply_needs_a_close_frame() -> None:
    connection = server()
    with pytest.raises(LocalProtocolError, match="no close frame that could be answered"):
        connection.send_close_reply()


@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=4))
def test_any_octets_end_in_a_code(data: bytes, cuts: list[int]) -> None:
    for role, decode_text in itertools.product(Role, (True, False)):
        edges = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
        connection = WebSocketConnection(role, deflate=DEFLATE, decode_text=decode_text)
        _, code = outcome(connection, *[data[a:b] for a, b in itertools.pairwise(edges)])
        assert code in (None, 1002, 1007, 1009)


@pytest.mark.parametrize("decode_text", [True, False])
@pytest.mark.parametrize("size", [1, 5, 8, 60, 1000])
def test_short_way_for_a_message(decode_text: bool, size: int) -> None:
    """`take_message` finds what `receive_data` and `next_event` do, however the octets are cut."""
    wire = b"".join(
        [
            frame(0x81, b"text"),
            frame(0x82, b"binary"),
            frame(0x01, b"frag"),
            frame(0x89, b"ping"),
            frame(0x80, b"ment"),
            frame(0xC2, deflated(b"deflated")),
            *[frame(0x82, b"%d" % number) for number in range(100)],
            frame(0x81, b"last"),
        ]
    )
    pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
    one, other = (
        WebSocketConnection(Role.SERVER, deflate=DEFLATE, decode_text=decode_text) for _ in "12"
    )
    found: list[Any] = []
    for piece in pieces:
        message = one.take_message(piece)
        if message is not None:
            found.append(message)
        while (event := one.next_event()) is not NEED_DATA:
            found.append(event)
    assert found == events(other, *pieces)
    assert len(found) == 106


@pytest.mark.parametrize(
    "wrong", [frame(0x81, b"\xff"), frame(0x83), frame(0x82, b"good") + b"\xff\xff", frame(0x88)]
)
def test_short_way_refuses_what_is_no_message(wrong: bytes) -> None:
    one, other = WebSocketConnection(Role.SERVER), WebSocketConnection(Role.SERVER)
    assert one.take_message(wrong) is None
    other.receive_data(wrong)
    for _ in range(3):
        outcomes: list[Any] = []
        for connection in (one, other):
            try:
                outcomes.append(connection.next_event())
            except WebSocketError as exc:
                outcomes.append((exc.code, exc.rule))
        assert outcomes[0] == outcomes[1]
    assert one.take_message(frame(0x82, b"dropped")) is None
    assert one.buffered == 0
