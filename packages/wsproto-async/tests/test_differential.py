"""The same frames to wsproto and to us: the same messages, and the same code where it fails."""

from __future__ import annotations

import itertools
import zlib
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate

from httpcore_proto import NEED_DATA, encode_masked_frame
from wsproto_async import Deflate, Role, WebSocketConnection, WebSocketError, WSMsgType

KEY = b"\x01\x80\xfe\x37"
Outcome = tuple[list[Any], int | None]


def oracle(role: Role, deflate: bool) -> Connection:
    extensions: list[Extension] = []
    if deflate:
        extension = PerMessageDeflate()
        # As after a negotiation without parameters.
        extension._enabled = True
        extensions.append(extension)
    kind = ConnectionType.SERVER if role is Role.SERVER else ConnectionType.CLIENT
    return Connection(kind, extensions)


def theirs(connection: Connection, pieces: list[bytes]) -> Outcome:
    found: list[Any] = []
    message: Any = None
    for piece in pieces:
        if connection.state is not ConnectionState.OPEN:
            break
        connection.receive_data(piece)
        for event in connection.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                message = event.data if message is None else message + event.data
                if event.message_finished:
                    found.append(message)
                    message = None
            elif isinstance(event, (Ping, Pong)):
                found.append((type(event).__name__.upper(), bytes(event.payload)))
            else:
                assert isinstance(event, CloseConnection)
                # That is how it tells of a failure, too.
                if connection.state is ConnectionState.OPEN:
                    return found, int(event.code)
                code = 0 if event.code == 1005 else int(event.code)
                found.append(("CLOSE", (code, event.reason or "")))
    return found, None


def ours(connection: WebSocketConnection, pieces: list[bytes]) -> Outcome:
    found: list[Any] = []
    for piece in pieces:
        connection.receive_data(piece)
        try:
            while (event := connection.next_event()) is not NEED_DATA:
                kind, data, extra = event  # type: ignore[misc]  # no end comes here
                if kind in (WSMsgType.TEXT, WSMsgType.BINARY):
                    found.append(data)
                else:
                    found.append((kind.name, (data, extra) if kind == 8 else data))
        except WebSocketError as exc:
            return found, exc.code
    return found, None


def encode(role: Role, first: int, payload: bytes, wrong_direction: bool) -> bytes:
    if (role is Role.SERVER) is not wrong_direction:
        return encode_masked_frame(first, KEY, payload)
    size = len(payload)
    return bytes([first, size] if size < 126 else [first, 126, size >> 8, size & 255]) + payload


def deflated(data: bytes) -> bytes:
    codec = zlib.compressobj(1, zlib.DEFLATED, -15)
    return (codec.compress(data) + codec.flush(zlib.Z_SYNC_FLUSH))[:-4]


SOUND = st.one_of(
    st.tuples(st.sampled_from([0x01, 0x81]), st.text(max_size=40).map(str.encode)),
    st.tuples(st.sampled_from([0x02, 0x82]), st.binary(max_size=200)),
    st.tuples(st.sampled_from([0x00, 0x80]), st.text(max_size=40).map(str.encode)),
    st.tuples(st.sampled_from([0x89, 0x8A]), st.binary(max_size=125)),
    st.tuples(st.just(0xC1), st.text(max_size=200).map(str.encode).map(deflated)),
    st.tuples(st.just(0xC2), st.binary(max_size=200).map(deflated)),
)
DOUBTFUL = st.one_of(
    st.tuples(st.integers(0, 255).filter(lambda first: first & 0x40 == 0), st.binary(max_size=130)),
    st.tuples(st.sampled_from([0xC1, 0xC2, 0xC8, 0xC0, 0x48, 0xC3]), st.binary(max_size=20)),
    st.tuples(
        st.just(0x88),
        # wsproto does not know 1014, which IANA's registry has since.
        st.builds(
            lambda code, reason: code.to_bytes(2, "big") + reason,
            st.one_of(
                st.integers(998, 1017), st.integers(2998, 5001), st.integers(0, 65535)
            ).filter(lambda code: code != 1014),
            st.one_of(st.text(max_size=20).map(str.encode), st.binary(max_size=10)),
        ),
    ),
    st.tuples(st.just(0x88), st.binary(max_size=1)),
    st.tuples(st.sampled_from([0x01, 0x81, 0x80, 0x00]), st.binary(max_size=6)),
)


@given(
    sound=st.lists(SOUND, max_size=6),
    doubtful=st.lists(st.one_of(DOUBTFUL, SOUND), max_size=3),
    role=st.sampled_from(Role),
    deflate=st.booleans(),
    wrong_direction=st.integers(0, 40),
    cuts=st.lists(st.integers(0, 2000), max_size=6),
)
@example([(0x01, b"a")], [(0x88, b"\x03\xe8")], Role.SERVER, False, 9, [])
@example([], [(0x88, b"\x03\xf4"), (0x88, b"")], Role.CLIENT, True, 9, [1])
def test_outcome_is_that_of_wsproto(
    sound: list[tuple[int, bytes]],
    doubtful: list[tuple[int, bytes]],
    role: Role,
    deflate: bool,
    wrong_direction: int,
    cuts: list[int],
) -> None:
    frames = sound + doubtful
    wire = b"".join(
        encode(role, first, payload, at == wrong_direction)
        for at, (first, payload) in enumerate(frames)
    )
    edges = [0, *sorted(at % (len(wire) + 1) for at in cuts), len(wire)]
    pieces = [wire[start:end] for start, end in itertools.pairwise(edges)]
    connection = WebSocketConnection(role, deflate=Deflate() if deflate else None)
    (found, code), (expected, expected_code) = (
        ours(connection, pieces),
        theirs(oracle(role, deflate), pieces),
    )
    assert found == expected
    assert (code is None) is (expected_code is None)
    # wsproto inflates a frame before it asks whether there may be one: of two faults it
    # names the second.
    if not any(first & 0x40 for first, _ in frames):
        assert code == expected_code
