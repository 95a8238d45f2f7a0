"""What we send: octets, states, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from httpcore_proto import NEED_DATA, LocalProtocolError, mask_octets
from wsproto_async import (
    Deflate,
    Role,
    WebSocketConnection,
    WSState,
    encode_message,
    is_close_code,
)

DEFLATE = Deflate()


def server(**options: Any) -> WebSocketConnection:
    return WebSocketConnection(Role.SERVER, **options)


def client(**options: Any) -> WebSocketConnection:
    return WebSocketConnection(Role.CLIENT, **options)


SIZES = [
    (0, b"\x00"),
    (1, b"\x01"),
    (125, b"\x7d"),
    (126, b"\x7e\x00\x7e"),
    (65535, b"\x7e\xff\xff"),
    (65536, b"\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
]


@pytest.mark.parametrize(("size", "length"), SIZES)
def test_server_sends_unmasked(size: int, length: bytes) -> None:
    data = os.urandom(size)
    connection = server()
    assert connection.send_bytes(data) == b"\x82" + length + data
    assert connection.send_text("a" * size) == b"\x81" + length + b"a" * size
    assert connection.send_encoded_text(b"b" * size) == b"\x81" + length + b"b" * size
    assert connection.send_head(2, size) == b"\x82" + length
    assert encode_message(2, memoryview(data)) == b"\x82" + length + data
    assert encode_message(1, b"a" * size) == b"\x81" + length + b"a" * size


@pytest.mark.parametrize(("size", "length"), SIZES)
def test_client_sends_masked(size: int, length: bytes) -> None:
    data = os.urandom(size)
    sent = client().send_bytes(data)
    start = 1 + len(length)
    key = sent[start : start + 4]
    assert sent[:start] == bytes([0x82, length[0] | 0x80]) + length[1:]
    assert mask_octets(sent[start + 4 :], key) == data


def test_every_frame_has_a_key_of_its_own() -> None:
    """WS-15."""
    connection = client()
    keys = [connection.send_ping()[2:6] for _ in range(2000)]
    # 2000 of 2 ** 32: two equal ones happen once in two thousand runs, three never.
    assert len(set(keys)) >= 1999


def test_forked_child_takes_other_keys() -> None:
    program = """if True:
        import os
        from wsproto_async import Role, WebSocketConnection
        connection = WebSocketConnection(Role.CLIENT)
        connection.send_ping()
        child = os.fork()
        os.write(1, connection.send_ping().hex().encode() + b"\\n")
        if child:
            os.waitpid(child, 0)
    """
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    assert len(printed) == 2
    assert len(set(printed)) == 2


def test_octets_of_any_kind() -> None:
    connection = server()
    for kind in (bytes, bytearray, memoryview):
        assert connection.send_bytes(kind(b"ab")) == b"\x82\x02ab"
        assert connection.send_ping(kind(b"ab")) == b"\x89\x02ab"
        assert connection.send_pong(kind(b"ab")) == b"\x8a\x02ab"
        assert connection.send_encoded_text(kind(b"ab")) == b"\x81\x02ab"
    assert connection.send_bytes(memoryview(b"abcd")[::2]) == b"\x82\x02ac"
    assert (connection.send_ping(), connection.send_pong()) == (b"\x89\x00", b"\x8a\x00")


@pytest.mark.parametrize(
    "send",
    [
        lambda c: c.send_text(b"a"),
        lambda c: c.send_text(None),
        lambda c: c.send_bytes("a"),
        lambda c: c.send_bytes(5),
        lambda c: c.send_encoded_text("a"),
        lambda c: c.send_fragment(5, last=True),
        lambda c: c.send_ping("a"),
        lambda c: c.send_pong(5),
        lambda c: c.send_close(1000, 5),
    ],
)
def test_wrong_type_is_refused(send: Callable[[Any], bytes]) -> None:
    connection = server()
    with pytest.raises(TypeError, match="must be"):
        send(connection)
    assert connection.our_state is WSState.OPEN


@pytest.mark.parametrize(
    ("send", "message"),
    [
        (lambda c: c.send_text("\ud800"), "text cannot be encoded: surrogates not allowed"),
        (lambda c: c.send_encoded_text(b"\xff"), "a text message must be UTF-8"),
        (lambda c: c.send_fragment("\ud800", last=False), "text cannot be encoded"),
        (lambda c: c.send_ping(b"a" * 126), "control frame of 126 octets, at most 125"),
        (lambda c: c.send_close(1000, "a" * 124), "control frame of 126 octets, at most 125"),
        (lambda c: c.send_close(1000, b"\xff"), "the reason of a close frame must be UTF-8"),
        (lambda c: c.send_close(None, "why"), "a close frame without a code has no reason"),
        (lambda c: c.send_close(1006), "close code 1006 must not be sent, only 1000 to 1003"),
        (lambda c: c.send_head(9, 1), "only a server sends heads alone"),
    ],
)
def test_what_is_not_fit_to_be_sent_is_refused(
    send: Callable[[WebSocketConnection], bytes], message: str
) -> None:
    connection = server()
    with pytest.raises(LocalProtocolError, match=f"^{message}"):
        send(connection)
    assert connection.our_state is WSState.OPEN
    assert connection.send_text("a") == b"\x81\x01a"


def test_client_sends_no_head_alone() -> None:
    with pytest.raises(LocalProtocolError, match="only a server sends heads alone"):
        client().send_head(2, 5)


@pytest.mark.parametrize("opcode", [0, 8, 9, 10, 3])
def test_only_messages_are_encoded_for_all(opcode: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"opcode {opcode} is neither TEXT"):
        encode_message(opcode, b"")


def test_close_codes() -> None:
    allowed = [code for code in range(-1, 70000) if is_close_code(code)]
    assert allowed == [1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)]


@pytest.mark.parametrize(
    ("arguments", "payload"),
    [
        ((), b"\x03\xe8"),
        ((None,), b""),
        ((4999, "\u20ac"), b"\x13\x87\xe2\x82\xac"),
        ((1001, b"bye"), b"\x03\xe9bye"),
        ((1000, bytearray(b"a" * 123)), b"\x03\xe8" + b"a" * 123),
    ],
)
def test_close_frame(arguments: tuple[Any, ...], payload: bytes) -> None:
    connection = server()
    assert connection.can_send_message
    assert connection.send_close(*arguments) == bytes([0x88, len(payload)]) + payload
    assert connection.our_state is WSState.CLOSED
    assert not connection.can_send_message
    assert not connection.closed


SENDS: list[Callable[[WebSocketConnection], bytes]] = [
    lambda c: c.send_text("a"),
    lambda c: c.send_bytes(b"a"),
    lambda c: c.send_encoded_text(b"a"),
    lambda c: c.send_head(1, 1),
    lambda c: c.send_fragment("a", last=False),
    lambda c: c.send_fragment("a", last=True),
    lambda c: c.send_ping(),
    lambda c: c.send_pong(),
    lambda c: c.send_close(),
]


@pytest.mark.parametrize("send", SENDS)
def test_nothing_follows_a_close_frame(send: Callable[[WebSocketConnection], bytes]) -> None:
    connection = server()
    connection.send_close()
    with pytest.raises(LocalProtocolError, match=r"of this side, the close frame was sent"):
        send(connection)


@pytest.mark.parametrize("number", range(len(SENDS)))
def test_what_may_stand_between_fragments(number: int) -> None:
    connection = server()
    connection.send_fragment("a", last=False)
    assert connection.our_state is WSState.FRAGMENTED
    assert not connection.can_send_message
    if number >= 4:
        SENDS[number](connection)
        return
    with pytest.raises(LocalProtocolError, match=r"of this side, a message is half sent$"):
        SENDS[number](connection)
    assert connection.send_fragment("b", last=True) == b"\x80\x01b"


def test_fragments() -> None:
    connection = server()
    assert connection.send_fragment("a", last=False) == b"\x01\x01a"
    assert connection.send_fragment("", last=False) == b"\x00\x00"
    assert connection.send_fragment("b", last=True) == b"\x80\x01b"
    assert connection.send_fragment(b"a", last=False) == b"\x02\x01a"
    assert connection.send_fragment(bytearray(b"b"), last=True) == b"\x80\x01b"
    assert connection.send_fragment(b"c", last=True) == b"\x82\x01c"


def test_fragments_of_two_types_are_refused() -> None:
    connection = server()
    connection.send_fragment("a", last=False)
    with pytest.raises(TypeError, match="a fragment of bytes in another message"):
        connection.send_fragment(b"b", last=True)
    assert connection.send_fragment("b", last=True) == b"\x80\x01b"


# Compression.


def test_compressed_message_and_its_context() -> None:
    connection = server(deflate=DEFLATE)
    assert connection.compresses
    data = os.urandom(500)
    first, second = connection.send_bytes(data), connection.send_bytes(data)
    assert (first[0], second[0]) == (0xC2, 0xC2)
    assert len(second) < 60 < len(first)
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(first[4:] + b"\x00\x00\xff\xff") == data
    assert inflater.decompress(second[2:] + b"\x00\x00\xff\xff") == data


@pytest.mark.parametrize("role", list(Role))
def test_message_without_context(role: Role) -> None:
    ours = f"{role.value}_no_context_takeover"
    connection = WebSocketConnection(role, deflate=Deflate(**{ours: True}))
    data = os.urandom(500)
    sizes = {len(connection.send_bytes(data)) for _ in range(3)}
    assert len(sizes) == 1
    # The other side's parameter is not ours.
    other = "client_no_context_takeover" if role is Role.SERVER else "server_no_context_takeover"
    connection = WebSocketConnection(role, deflate=Deflate(**{other: True}))
    assert len(connection.send_bytes(data)) > len(connection.send_bytes(data)) + 400


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("bits", range(9, 16))
def test_window_of_ours(bits: int, role: Role) -> None:
    """What a peer with a window of that size can inflate, and one bit less cannot."""
    ours = f"{role.value}_max_window_bits"
    connection = WebSocketConnection(
        role, deflate=Deflate(**{ours: bits}), compress_level=zlib.Z_BEST_COMPRESSION
    )
    data = os.urandom(2 ** (bits - 1) - 200) * 2
    sent = connection.send_bytes(data)
    other = Role.CLIENT if role is Role.SERVER else Role.SERVER
    receiver = WebSocketConnection(other, deflate=Deflate(**{ours: bits}))
    receiver.receive_data(sent)
    event = receiver.next_event()
    assert event is not NEED_DATA
    assert getattr(event, "data") == data  # noqa: B009
    assert len(sent) < len(data) * 0.75


def test_window_that_zlib_has_not_goes_uncompressed() -> None:
    connection = client(deflate=Deflate(client_max_window_bits=8))
    assert not connection.compresses
    assert connection.send_text("a" * 100)[0] == 0x81
    assert connection.send_fragment("a" * 100, last=True)[0] == 0x81


def test_message_may_go_uncompressed() -> None:
    connection = server(deflate=DEFLATE)
    assert connection.send_text("a", compress=False) == b"\x81\x01a"
    assert connection.send_bytes(b"a", compress=False) == b"\x82\x01a"
    assert connection.send_encoded_text(b"a", compress=False) == b"\x81\x01a"
    assert connection.send_fragment(b"a", last=False, compress=False) == b"\x02\x01a"
    # What the first fragment said counts.
    assert connection.send_fragment(b"a", last=True, compress=True) == b"\x80\x01a"
    # Nothing can be saved of nothing.
    assert connection.send_bytes(b"") == b"\x82\x00"


def test_nothing_is_compressed_without_agreement() -> None:
    connection = server()
    assert not connection.compresses
    assert connection.send_text("a", compress=True) == b"\x81\x01a"
    assert connection.send_fragment("a", last=True, compress=True) == b"\x81\x01a"


@pytest.mark.parametrize("pieces", [[b"a" * 100, b"b" * 100], [b"", b"a", b""], [b"a", b"", b""]])
def test_compressed_fragments(pieces: list[bytes]) -> None:
    """RSV1 stands on the first one alone; each can be read when it has come."""
    connection = server(deflate=DEFLATE)
    receiver = client(deflate=DEFLATE)
    for _ in range(2):
        receiver.streaming = True
        for at, piece in enumerate(pieces):
            last = at == len(pieces) - 1
            sent = connection.send_fragment(piece, last=last)
            assert sent[0] == (0x80 if last else 0) | (0x42 if at == 0 else 0)
            receiver.receive_data(sent)
            event = receiver.next_event()
            if piece or last:
                assert event == (2, piece, last)
            else:
                assert event is NEED_DATA
        receiver.streaming = False
        receiver.receive_data(connection.send_text("plain", compress=False))
        assert receiver.next_event() == (1, "plain", "")


def test_refused_message_leaves_the_compressor_alone() -> None:
    connection = server(deflate=DEFLATE)
    twin = server(deflate=DEFLATE)
    connection.send_fragment("a" * 50, last=False)
    twin.send_fragment("a" * 50, last=False)
    with pytest.raises(LocalProtocolError):
        connection.send_text("b" * 50)
    with pytest.raises(TypeError):
        connection.send_fragment(b"b" * 50, last=True)
    assert connection.send_fragment("c" * 50, last=True) == twin.send_fragment("c" * 50, last=True)
