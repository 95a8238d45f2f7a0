"""The octets of WebSocket: the frame reader, masking and UTF-8, against plain Python."""

from __future__ import annotations

import itertools
import struct
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from httpcore_proto import (
    FRAME_COMPRESSED,
    FRAME_LAST,
    FRAME_STREAM,
    FrameReader,
    encode_masked_frame,
    mask_octets,
    mask_octets_in_place,
    validate_utf8,
)

KEY = b"\x01\x80\xfe\x37"
MIB = 1024 * 1024
Frames = list[tuple[int, bytes]]


def xor(data: bytes, key: bytes, phase: int = 0) -> bytes:
    return bytes(octet ^ key[(at + phase) % 4] for at, octet in enumerate(data))


def head(first: int, size: int, *, masked: bool) -> bytes:
    bit = 0x80 if masked else 0
    if size < 126:
        return bytes([first, bit | size])
    if size < 65536:
        return struct.pack("!BBH", first, bit | 126, size)
    return struct.pack("!BBQ", first, bit | 127, size)


def frame(first: int, payload: bytes = b"", *, masked: bool = True) -> bytes:
    if not masked:
        return head(first, len(payload), masked=False) + payload
    return head(first, len(payload), masked=True) + KEY + xor(payload, KEY)


def reader(
    *,
    masked: bool = True,
    compressed: bool = False,
    max_msg_size: int = 4 * MIB,
    max_fragments: int = 1000,
) -> FrameReader:
    return FrameReader(
        masked=masked,
        compressed=compressed,
        max_msg_size=max_msg_size,
        max_fragments=max_fragments,
    )


def read_all(target: FrameReader, *pieces: bytes) -> Frames:
    """Read every piece to its end."""
    found: Frames = []
    for piece in pieces:
        position = 0
        while True:
            found += target.read(piece, position)
            assert position <= target.position <= len(piece)
            position = target.position
            if position == len(piece):
                break
    return found


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


# Masking.


@given(data=st.binary(max_size=200), key=st.binary(min_size=4, max_size=4), phase=st.integers(0, 9))
def test_masking_is_xor(data: bytes, key: bytes, phase: int) -> None:
    assert mask_octets(data, key, phase) == xor(data, key, phase)
    assert mask_octets(mask_octets(data, key, phase), key, phase) == data


@given(
    data=st.binary(max_size=100),
    start=st.integers(0, 100),
    phase=st.integers(0, 2**40),
)
def test_masking_in_place_keeps_what_is_around(data: bytes, start: int, phase: int) -> None:
    """Any alignment of the buffer, since WebSocket payloads begin anywhere."""
    buffer = bytearray(data)
    mask_octets_in_place(memoryview(buffer)[start : start + 50], KEY, phase)
    inner = data[start : start + 50]
    assert buffer == data[:start] + xor(inner, KEY, phase) + data[start + 50 :]
    whole = bytearray(data)
    mask_octets_in_place(whole, KEY)
    assert whole == xor(data, KEY)
    whole.append(0)  # the buffer was given back


@pytest.mark.parametrize(("key", "phase"), [(b"", 0), (b"abc", 0), (b"abcde", 0), (b"abcd", -1)])
def test_masking_refuses_a_wrong_key(key: bytes, phase: int) -> None:
    with pytest.raises(ValueError, match="masking key has"):
        mask_octets(b"abcdefgh", key, phase)
    with pytest.raises(ValueError, match="masking key has"):
        mask_octets_in_place(bytearray(b"abcdefgh"), key, phase)


def test_masking_in_place_needs_a_writable_buffer() -> None:
    with pytest.raises(BufferError):
        mask_octets_in_place(memoryview(b"abc"), KEY)


# Frames out.


@pytest.mark.parametrize(
    "size",
    [0, 1, 7, 8, 125, 126, 127, 65527, 65528, 65529, 65535, 65536, 65537, MIB],
)
def test_masked_frame(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    payload = payload[:size]
    assert encode_masked_frame(0x82, KEY, payload) == (
        head(0x82, size, masked=True) + KEY + mask_octets(payload, KEY)
    )


@pytest.mark.parametrize(("first", "key"), [(0x82, b""), (0x82, b"abcde"), (-1, KEY), (256, KEY)])
def test_masked_frame_refuses_what_is_out_of_bounds(first: int, key: bytes) -> None:
    with pytest.raises(ValueError, match="masking key has"):
        encode_masked_frame(first, key, b"")


# UTF-8.


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


# Octets at the edges of every range of RFC 3629 section 4.
EDGES = bytes.fromhex("00 41 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff")


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_every_sequence_of_edges_is_judged_as_python_does(length: int) -> None:
    """WS-10: overlong forms, surrogates, and what is above U+10FFFF."""
    for octets in itertools.product(EDGES, repeat=length):
        data = bytes(octets)
        assert (validate_utf8(data) == 0) is is_utf8(data), data


@given(
    data=st.one_of(
        st.text(max_size=60).map(str.encode),
        st.binary(max_size=20),
        st.builds(lambda a, b, c: a.encode() + b + c.encode(), st.text(), st.binary(), st.text()),
    ),
    cuts=st.lists(st.integers(0, 100), max_size=4),
)
@example(data=b"a" * 31 + b"\xe2\x82\xac" + b"b" * 40, cuts=[33])
def test_utf8_in_pieces(data: bytes, cuts: list[int]) -> None:
    state = 0
    for piece in cut(data, cuts):
        state = validate_utf8(piece, state)
    assert (state == 0) is is_utf8(data)
    if state < 0:
        assert validate_utf8(b"a", state) == -1


def test_utf8_of_long_texts() -> None:
    for text in ("a" * MIB, "\u00e4" * MIB, "\u20ac" * MIB, "\U0001f600" * MIB, "a\u20ac" * MIB):
        data = text.encode()
        assert validate_utf8(data) == 0
        assert validate_utf8(data + b"\xff") == -1
        assert validate_utf8(data + b"\xc3") > 0


# Frames in.


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 129, 65535, 65536, 65537, 300_000])
def test_message_in_one_frame(size: int, masked: bool) -> None:
    payload = (bytes(range(255)) * (size // 255 + 1))[:size]
    data = frame(0x82, payload, masked=masked)
    target = reader(masked=masked)
    assert target.read(data) == [(2, payload)]
    assert target.position == len(data)
    # In pieces: its memory grows, and is given back.
    step = max(1, len(data) // 7)
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    for _ in range(2):
        assert read_all(target, *pieces) == [(2, payload)]
    assert target.fault is None


STREAM = st.lists(
    st.one_of(
        st.tuples(
            st.just(1), st.lists(st.text(max_size=40).map(str.encode), min_size=1, max_size=4)
        ),
        st.tuples(st.just(2), st.lists(st.binary(max_size=200), min_size=1, max_size=4)),
    ),
    max_size=5,
)


@given(
    messages=STREAM,
    cuts=st.lists(st.integers(0, 4000), max_size=8),
    masked=st.booleans(),
    control=st.binary(max_size=125),
)
def test_messages_cut_anywhere(
    messages: list[tuple[int, list[bytes]]], cuts: list[int], masked: bool, control: bytes
) -> None:
    """Fragments are joined; a ping stands before each frame, within messages too."""
    wire = b""
    expected: Frames = []
    for opcode, fragments in messages:
        for at, fragment in enumerate(fragments):
            fin = 0x80 if at == len(fragments) - 1 else 0
            wire += frame(0x89, control, masked=masked)
            wire += frame(fin | (0 if at else opcode), fragment, masked=masked)
            expected.append((9, control))
        expected.append((opcode, b"".join(fragments)))
    wire += frame(0x88, b"\x03\xe8bye", masked=masked)
    expected.append((8, b"\x03\xe8bye"))
    for pieces in (cut(wire, cuts), [wire[at : at + 1] for at in range(len(wire))]):
        target = reader(masked=masked)
        assert read_all(target, *pieces) == expected
        # RFC 6455 section 5.5.1: what follows a close frame does not count.
        assert read_all(target, b"\xff\xff", b"\xff" * 70000) == []
        assert target.fault is None


@given(messages=STREAM, cuts=st.lists(st.integers(0, 4000), max_size=8))
def test_messages_in_pieces(messages: list[tuple[int, list[bytes]]], cuts: list[int]) -> None:
    wire = b""
    for opcode, fragments in messages:
        for at, fragment in enumerate(fragments):
            fin = 0x80 if at == len(fragments) - 1 else 0
            wire += frame(fin | (0 if at else opcode), fragment) + frame(0x8A, b"p")
    target = reader()
    assert target.streaming is False
    target.streaming = True
    assert target.streaming is True
    collected: list[tuple[int, bytes]] = []
    current = b""
    for kind, payload in read_all(target, *cut(wire, cuts)):
        if kind == 0xA:
            continue
        assert kind & FRAME_STREAM
        current += payload
        assert payload or kind & FRAME_LAST
        if kind & FRAME_LAST:
            collected.append((kind & 0xF, current))
            current = b""
    assert current == b""
    assert collected == [(opcode, b"".join(fragments)) for opcode, fragments in messages]


def test_piece_before_a_control_frame_comes_before_it() -> None:
    target = reader()
    target.streaming = True
    data = frame(2, b"ab") + frame(0x89, b"x") + frame(0, b"c") + frame(0x88) + frame(0x80, b"d")
    assert target.read(data) == [
        (2 | FRAME_STREAM, b"ab"),
        (9, b"x"),
        (2 | FRAME_STREAM, b"c"),
        (8, b""),
    ]


def test_streaming_counts_for_messages_that_begin_later() -> None:
    target = reader()
    assert target.read(frame(2, b"ab")) == []
    target.streaming = True
    assert target.read(frame(0x80, b"c")) == [(2, b"abc")]
    assert target.read(frame(2, b"ab")) == [(2 | FRAME_STREAM, b"ab")]
    target.streaming = False
    assert target.read(frame(0x80, b"c")) == [(2 | FRAME_STREAM | FRAME_LAST, b"c")]
    assert target.read(frame(0x82, b"d")) == [(2, b"d")]


def test_streamed_message_larger_than_any_read() -> None:
    target = reader(max_msg_size=0)
    target.streaming = True
    payload = bytes(range(250)) * 2000
    data = frame(0x82, payload)
    pieces = [data[at : at + 100_000] for at in range(0, len(data), 100_000)]
    found = read_all(target, *pieces)
    assert b"".join(piece for _, piece in found) == payload
    assert [kind for kind, _ in found] == [2 | FRAME_STREAM] * 5 + [2 | FRAME_STREAM | FRAME_LAST]


def test_compressed_message_says_so_and_is_not_checked_as_text() -> None:
    target = reader(compressed=True)
    data = frame(0x41, b"\xff") + frame(0x89) + frame(0x80, b"\xfe") + frame(0x81, b"a")
    kind = 1 | FRAME_COMPRESSED
    assert read_all(target, *[data[at : at + 1] for at in range(len(data))]) == [
        (9, b""),
        (kind, b"\xff\xfe"),
        (1, b"a"),
    ]


@pytest.mark.parametrize("masked", [True, False])
def test_flood_of_small_frames_comes_in_portions(masked: bool) -> None:
    """WS-06: what was not asked for stays the octets it is."""
    data = frame(0x82, masked=masked) * 50_000 + frame(0x89, b"p" * 125, masked=masked) * 500
    target = reader(masked=masked)
    position = count = calls = 0
    while position < len(data):
        found = target.read(data, position)
        assert 1 <= len(found) <= 64
        count += len(found)
        calls += 1
        position = target.position
    assert count == 50_500
    assert calls >= 50_500 // 64


def test_flood_of_control_frames_within_a_streamed_message() -> None:
    target = reader()
    target.streaming = True
    data = frame(2, b"a") + (frame(0x8A, b"p" * 125) + frame(0, b"b")) * 300
    position = 0
    found: Frames = []
    while position < len(data):
        part = target.read(data, position)
        assert len(part) <= 64
        found += part
        position = target.position
    assert b"".join(payload for kind, payload in found if kind & FRAME_STREAM) == b"a" + b"b" * 300
    assert sum(kind == 0xA for kind, _ in found) == 300


def test_large_messages_behind_each_other() -> None:
    """A second message for which the first read's memory has no room begins the next one."""
    first, second = b"a" * 40_000, b"b" * 50_000
    data = frame(0x82, first) + frame(0x82, second) + frame(0x82, b"c" * 200) + frame(2, b"d" * 80)
    target = reader()
    assert target.read(data) == [(2, first)]
    assert target.position == len(frame(0x82, first))
    assert target.read(data, target.position) == [(2, second), (2, b"c" * 200)]
    assert target.position == len(data)
    assert target.read(frame(0x80, b"e")) == [(2, b"d" * 80 + b"e")]


def test_message_under_way_survives_many_others_of_this_thread() -> None:
    slow, fast = reader(), reader()
    payload = bytes(range(200)) * 100
    data = frame(0x82, payload)
    assert slow.read(data[:5000]) == []
    assert fast.read(frame(0x82, b"z" * 60_000)) == [(2, b"z" * 60_000)]
    assert slow.read(data[5000:]) == [(2, payload)]


def test_control_frame_behind_a_message_under_way() -> None:
    target = reader()
    assert target.read(frame(2, b"a" * 1000) + frame(0x89, b"x") + frame(0, b"b")[:-1]) == [
        (9, b"x")
    ]
    assert target.read(frame(0, b"b")[-1:] + frame(0x89, b"y")) == [(9, b"y")]
    assert target.read(frame(0x80, b"c")) == [(2, b"a" * 1000 + b"bc")]


def test_two_threads_do_not_meet() -> None:
    payloads = [bytes([number]) * 60_000 for number in range(4)]
    wrong: list[int] = []

    def run(payload: bytes) -> None:
        target = reader()
        data = frame(0x82, payload)
        wrong.extend(payload[0] for _ in range(200) if target.read(data) != [(2, payload)])

    threads = [threading.Thread(target=run, args=(payload,)) for payload in payloads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Faults: each by the head alone, however it is cut.

CLIENT = {"masked": True}
SERVER = {"masked": False}
DEFLATE = {"compressed": True}


@pytest.mark.parametrize(
    ("options", "data", "code", "rule"),
    [
        *[({}, bytes([0x80 | opcode, 0x80]), 1002, "frame-opcode") for opcode in (3, 7, 11, 15)],
        *[({}, bytes([0x81 | rsv, 0x80]), 1002, "frame-rsv") for rsv in (0x40, 0x20, 0x10, 0x70)],
        *[(DEFLATE, bytes([0x81 | rsv, 0x80]), 1002, "frame-rsv") for rsv in (0x20, 0x10, 0x50)],
        # RFC 7692 section 6: of the first frame of a data message alone.
        *[(DEFLATE, bytes([0xC0 | op, 0x80]), 1002, "frame-rsv") for op in (8, 9, 10)],
        (DEFLATE, frame(0x41, b"a") + b"\xc0\x80", 1002, "frame-rsv"),
        (DEFLATE, b"\xc0\x80", 1002, "frame-rsv"),
        *[({}, bytes([op, 0x80]), 1002, "control-fragmented") for op in (8, 9, 10)],
        *[({}, bytes([0x80 | op, 0xFE]), 1002, "control-size") for op in (8, 9, 10)],
        ({}, b"\x88\xff", 1002, "control-size"),
        ({}, b"\x80\x80", 1002, "frame-continuation"),
        ({}, b"\x00\x80", 1002, "frame-continuation"),
        ({}, frame(0x81, b"a") + b"\x80\x80", 1002, "frame-continuation"),
        ({}, frame(1, b"a") + b"\x81\x80", 1002, "frame-interleaved"),
        ({}, frame(1, b"a") + frame(0x89) + b"\x02\x80", 1002, "frame-interleaved"),
        (CLIENT, b"\x81\x01", 1002, "frame-masking"),
        (CLIENT, b"\x88\x00", 1002, "frame-masking"),
        (SERVER, b"\x81\x81", 1002, "frame-masking"),
        (SERVER, b"\x89\x80", 1002, "frame-masking"),
        ({}, b"\x82\xfe\x00\x7d" + KEY, 1002, "frame-length"),
        ({}, b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff" + KEY, 1002, "frame-length"),
        # WS-02: the most significant bit, and every size that could overflow.
        ({}, b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00" + KEY, 1002, "frame-length"),
        ({}, b"\x82\xff" + b"\xff" * 8 + KEY, 1002, "frame-length"),
        ({"max_msg_size": 0}, b"\x82\xff" + b"\xff" * 8 + KEY, 1002, "frame-length"),
        ({}, b"\x82\xff\x7f" + b"\xff" * 7 + KEY, 1009, "message-size"),
        ({}, frame(2, b"a") + b"\x80\xff\x7f" + b"\xff" * 7 + KEY, 1009, "message-size"),
        ({"max_msg_size": 10}, b"\x82\x8b" + KEY, 1009, "message-size"),
        ({"max_msg_size": 10}, frame(2, b"a" * 6) + b"\x80\x85" + KEY, 1009, "message-size"),
        ({"max_fragments": 2}, frame(2) + frame(0) + frame(0), 1009, "message-fragments"),
        ({"max_fragments": 2}, frame(2) + frame(0) + frame(0x80), 1009, "message-fragments"),
        # WS-10: text that does not come in one piece is checked as it comes.
        ({}, frame(1, b"a\xff"), 1007, "text-utf8"),
        ({}, frame(1, b"a\xc3") + frame(0x80), 1007, "text-utf8"),
        ({}, frame(1, b"\xed") + frame(0, b"\xa0"), 1007, "text-utf8"),
    ],
)
def test_fault(options: dict[str, int], data: bytes, code: int, rule: str) -> None:
    masked = options.get("masked", True)
    before = frame(0x89, b"ping", masked=bool(masked))
    wire = before + data
    for pieces in ([wire], [before, data], [wire[at : at + 1] for at in range(len(wire))]):
        target = reader(**options)  # type: ignore[arg-type]  # pass through
        found = read_all(target, *pieces)
        # What came before it counts.
        assert (9, b"ping") in found
        assert all(kind in (9,) or payload == b"a" for kind, payload in found)
        fault = target.fault
        assert fault is not None
        assert (fault.code, fault.rule) == (code, rule)
        # Nothing that follows does.
        assert read_all(target, before, frame(0x82, b"x")) == []
        assert target.fault is fault


def test_fault_of_a_limit_says_which() -> None:
    target = reader(max_msg_size=10)
    target.read(frame(0x82, b"a" * 10) + frame(2, b"a" * 4) + frame(0x80, b"a" * 9))
    assert target.fault is not None
    assert target.fault[2:] == (
        "message of at least 13 octets with max_msg_size=10",
        "max_msg_size",
        13,
        10,
    )
    target = reader(max_fragments=3)
    target.read(frame(2) + frame(0) * 3)
    assert target.fault is not None
    assert target.fault[2:] == (
        "message of at least 4 frames with max_fragments=3",
        "max_fragments",
        4,
        3,
    )


def test_message_of_exactly_the_limit_is_allowed() -> None:
    target = reader(max_msg_size=10, max_fragments=2)
    assert target.read(frame(0x82, b"a" * 10)) == [(2, b"a" * 10)]
    assert target.read(frame(2, b"a" * 5) + frame(0x80, b"b" * 5)) == [(2, b"a" * 5 + b"b" * 5)]
    assert target.fault is None


def test_compressed_message_may_be_a_little_larger_than_the_limit() -> None:
    """Deflate makes random octets longer; what they inflate to decides."""
    target = reader(compressed=True, max_msg_size=4096)
    assert target.read(frame(0xC2, b"a" * (4096 + 4 + 1024))) == [
        (2 | FRAME_COMPRESSED, b"a" * 5124)
    ]
    target.read(frame(0xC2, b"a" * 5125))
    assert target.fault is not None
    assert target.fault.limit == "max_msg_size"


def test_no_limit() -> None:
    target = reader(compressed=True, max_msg_size=0)
    assert target.read(b"\xc2\xff\x7f" + b"\xff" * 7 + KEY) == []
    assert target.fault is None


def test_fault_behind_a_large_message_under_way() -> None:
    target = reader()
    assert target.read(frame(2, b"a" * 100_000)) == []
    assert target.read(b"\x83\x80") == []
    assert target.fault is not None
    assert target.read(frame(0x82, b"x")) == []


def test_text_at_once_is_left_to_the_decoder() -> None:
    target = reader()
    assert target.read(frame(0x81, b"\xff")) == [(1, b"\xff")]
    assert target.fault is None


def test_announced_size_costs_nothing() -> None:
    """WS-01: memory grows with what came, not with what was promised."""
    targets = [reader(max_msg_size=0) for _ in range(1000)]
    for target in targets:
        assert target.read(b"\x82\xff\x00\x00\x00\x10\x00\x00\x00\x00" + KEY + b"a" * 100) == []
        assert target.fault is None


def test_memory_that_cannot_be_had_is_an_error() -> None:
    """No input of a test is that large: the error number stands for it."""
    target = reader()
    with pytest.raises(MemoryError, match="no memory for a message of 5 octets"):
        target._explain(13, 5)


def test_options_out_of_bounds_are_refused() -> None:
    with pytest.raises(OverflowError):
        reader(max_msg_size=-1)
    with pytest.raises(OverflowError):
        reader(max_fragments=2**32)


def test_scanner_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpcore_proto._websocket._new_reader", lambda *_: None)
    with pytest.raises(MemoryError, match="no memory for a WebSocket"):
        reader()


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=5))
def test_any_octets_are_harmless(data: bytes, cuts: list[int]) -> None:
    results = []
    for pieces in ([data], cut(data, cuts)):
        target = reader(masked=False, compressed=True, max_msg_size=100)
        frames = read_all(target, *pieces)
        rule = target.fault.rule if target.fault is not None else None
        results.append((frames, rule))
    # Whole text is left to the decoder, cut text is not: then it may fault instead.
    if results[1][1] != "text-utf8":
        assert results[0] == results[1]
