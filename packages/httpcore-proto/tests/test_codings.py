from __future__ import annotations

import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from itertools import pairwise
from random import Random

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from httpcore_proto import (
    CodingLimits,
    ContentDecoder,
    ContentEncoder,
    ContentEncodingError,
    LocalProtocolError,
    PayloadEncodingError,
    _codecs,
    decode_body,
    encode_body,
    parse_codings,
)

WORDS = b"one two three four five six seven eight nine ten eleven twelve".split()
TEXT = b" ".join(Random(0).choices(WORDS, k=3000))
NOISE = Random(0).randbytes(200_000)
NO_LIMITS = CodingLimits(max_ratio=None, max_codings=100)


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


#: Ways to make each coding with its own library.
ORACLES: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("br", brotli.compress),
    ("zstd", zstd.compress),
]
UNDO: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": zstd.decompress,
}
CHAINS = [(name,) for name in UNDO] + [("gzip", "br"), ("zstd", "deflate", "gzip"), ()]
SKIPPABLE = b"\x53\x2a\x4d\x18\x05\0\0\0hello"


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    for start, end in pairwise([0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]):
        yield data[start:end]


def drain(decoder: ContentDecoder, max_length: int = 65536) -> bytes:
    """Read until there is nothing left, and check what the decoder says about itself."""
    out = []
    while not decoder.needs_input and not decoder.at_eof:
        before = decoder.total_out
        out.append(decoder.read(max_length))
        assert len(out[-1]) <= max_length
        assert decoder.total_out - before == len(out[-1])
    return b"".join(out)


def decode(
    parts: Iterator[bytes] | list[bytes],
    codings: str | tuple[str, ...],
    max_length: int = 65536,
    limits: CodingLimits = NO_LIMITS,
) -> bytes:
    decoder = ContentDecoder(codings, limits)
    out = []
    total = 0
    for part in parts:
        total += len(part)
        decoder.feed(part)
        out.append(drain(decoder, max_length))
    assert decoder.needs_input
    decoder.feed_eof()
    assert not decoder.needs_input
    out.append(drain(decoder, max_length))
    assert decoder.at_eof
    assert decoder.total_in == total
    assert decoder.read() == b""
    return b"".join(out)


def error_of(
    data: bytes,
    codings: str | tuple[str, ...],
    limits: CodingLimits = NO_LIMITS,
    step: int | None = None,
) -> ContentEncodingError:
    """Return the error that decoding raises, at all reads; fed at once or in steps."""
    decoder = ContentDecoder(codings, limits)
    with pytest.raises(ContentEncodingError) as caught:
        for start in range(0, len(data), step or len(data) or 1):
            decoder.feed(data[start : start + step] if step else data)
            drain(decoder)
        decoder.feed_eof()
        drain(decoder)
    for _ in range(2):
        with pytest.raises(ContentEncodingError) as again:
            decoder.read()
        assert again.value is caught.value
    assert not decoder.needs_input
    assert not decoder.at_eof
    assert not decoder.complete
    return caught.value


# Round trips, against the libraries.


@given(
    data=st.binary(max_size=3000) | st.sampled_from([TEXT, NOISE]),
    chain=st.sampled_from(CHAINS),
    cuts=st.lists(st.integers(0, 300_000), max_size=5),
    max_length=st.integers(1, 3000) | st.just(65536),
)
def test_what_is_encoded_is_decoded(
    data: bytes, chain: tuple[str, ...], cuts: list[int], max_length: int
) -> None:
    encoder = ContentEncoder(chain)
    coded = b"".join(map(encoder.encode, pieces(data, cuts))) + encoder.finish()
    if len(data) > 100_000:
        max_length = 65536
    assert decode(pieces(coded, cuts[::-1]), chain, max_length) == data
    for name in reversed(chain):
        coded = UNDO[name](coded)
    assert coded == data


@given(
    parts=st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    oracle=st.sampled_from([item for item in ORACLES if item[1] not in {raw_deflate}]),
    cuts=st.lists(st.integers(0, 2000), max_size=5),
    max_length=st.integers(1, 400),
)
def test_streams_that_follow_each_other_are_one_body(
    parts: list[bytes],
    oracle: tuple[str, Callable[[bytes], bytes]],
    cuts: list[int],
    max_length: int,
) -> None:
    name, compress = oracle
    if name == "br":
        parts = parts[:1]
    coded = b"".join(map(compress, parts))
    assert decode(pieces(coded, cuts), name, max_length) == b"".join(parts)


@pytest.mark.parametrize(("name", "compress"), ORACLES)
@pytest.mark.parametrize("data", [b"", b"x", TEXT], ids=len)
def test_one_byte_at_a_time(name: str, compress: Callable[[bytes], bytes], data: bytes) -> None:
    coded = compress(data)
    parts = [coded[at : at + 1] for at in range(len(coded))]
    assert decode(parts, name, 1) == data


@pytest.mark.parametrize("chain", CHAINS)
def test_flush_lets_the_peer_decode_all_there_is(chain: tuple[str, ...]) -> None:
    encoder, decoder = ContentEncoder(chain), ContentDecoder(chain)
    for part in (TEXT, b"x", b"", NOISE):
        decoder.feed(encoder.encode(part) + encoder.flush())
        assert drain(decoder) == part
        assert decoder.needs_input
        assert decoder.complete is (not chain)
    decoder.feed(encoder.finish())
    assert drain(decoder) == b""
    assert decoder.complete
    decoder.feed_eof()
    assert decoder.read() == b""
    assert decoder.at_eof


@pytest.mark.parametrize("chain", CHAINS)
def test_encoder_ends_once(chain: tuple[str, ...]) -> None:
    encoder = ContentEncoder(chain)
    encoder.finish()
    for call in (encoder.finish, encoder.flush, lambda: encoder.encode(b"")):
        with pytest.raises(RuntimeError, match="the coded body is finished"):
            call()


def test_gzip_is_the_same_every_time() -> None:
    assert encode_body(TEXT, "gzip") == encode_body(TEXT, ("x-gzip",))
    assert encode_body(b"", "gzip")[4:8] == bytes(4)


@pytest.mark.parametrize("name", UNDO)
def test_level_reaches_the_codec(name: str) -> None:
    fast, small = (encode_body(TEXT, name, level=level) for level in (1, 9))
    assert len(small) < len(fast)
    with pytest.raises(ValueError, match="level=99"):
        ContentEncoder(name, level=99)


@pytest.mark.parametrize(("name", "level"), [("gzip", 6), ("deflate", 6), ("br", 4), ("zstd", 3)])
def test_default_level(name: str, level: int) -> None:
    assert encode_body(TEXT, name) == encode_body(TEXT, name, level=level)
    assert encode_body(TEXT, name) != encode_body(TEXT, name, level=9)


def test_strategy_reaches_the_codec() -> None:
    huffman = encode_body(TEXT, "deflate", strategy=zlib.Z_HUFFMAN_ONLY)
    assert len(huffman) > 2 * len(encode_body(TEXT, "deflate"))
    assert decode_body(huffman, "deflate") == TEXT


@pytest.mark.parametrize(
    ("codings", "message"),
    [
        ("gzip, lzma", "content coding 2 of 2 is unknown; known are br, zstd, gzip, deflate"),
        (("raw deflate",), "content coding 1 of 1 is unknown"),
        ("a b", "Content-Encoding is not a list of tokens"),
    ],
)
def test_encoder_refuses_what_it_does_not_know(
    codings: str | tuple[str, ...], message: str
) -> None:
    with pytest.raises(LocalProtocolError, match=f"^{message}"):
        ContentEncoder(codings)


# Content-Encoding.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ()),
        (" , ,", ()),
        ("gzip", ("gzip",)),
        ("GZip", ("gzip",)),
        ("X-GZIP", ("gzip",)),
        ("identity", ()),
        ("Identity, br,identity", ("br",)),
        ("deflate , gzip\t,br", ("deflate", "gzip", "br")),
        ("compress, x-compress, unknown", ("compress", "x-compress", "unknown")),
    ],
)
def test_field_is_parsed(value: str, expected: tuple[str, ...]) -> None:
    assert parse_codings(value) == expected


@pytest.mark.parametrize(
    "value",
    ["a b", "gzip;q=1", '"gzip"', "gz\u0131p", "\u212a", "gzip,\0", "a" * 10 + "\udcff", '"a, b'],
)
def test_field_that_is_no_list_of_tokens_is_refused(value: str) -> None:
    with pytest.raises(ContentEncodingError, match="is not a list of tokens") as caught:
        parse_codings(value)
    assert caught.value.rule == "coding-syntax"


@pytest.mark.parametrize("char", ['"', "\\", ",", ";", " ", "a", "a,"])
def test_hostile_field_takes_linear_time(char: str) -> None:
    try:
        parse_codings(char * 2**20)
    except ContentEncodingError:
        pass


# Which form, and what may follow.


@pytest.mark.parametrize("wbits", [9, 10, 12, 15, -9, -15])
@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.parametrize("data", [b"", b"x", TEXT, NOISE], ids=len)
def test_both_forms_of_deflate_are_told_apart(wbits: int, level: int, data: bytes) -> None:
    codec = zlib.compressobj(level, wbits=wbits)
    coded = codec.compress(data) + codec.flush()
    assert decode([coded], "deflate") == data
    assert decode([coded[:1], coded[1:]], "deflate") == data


@pytest.mark.parametrize("head", [b"\x78\x9d", b"\x88\x1c", b"\x79\x00", b"\x68\x00"])
def test_head_that_is_not_quite_zlib_is_raw(head: bytes) -> None:
    """Wrong check bits, a window of 64 KiB, method 9: aiohttp took all but the last for zlib."""
    assert "raw deflate" in error_of(head + b"\xff" * 20, "deflate").message


FOLLOWED = [
    pytest.param(name, compress(TEXT), id=f"{name}-{compress.__name__}")
    for name, compress in ORACLES
]


@pytest.mark.parametrize(
    "tail", [b"x", b"\0", b"\x1f", b"\x1f\x8c", b"tail", bytes(100), b"\x78\x00" * 50_000]
)
@pytest.mark.parametrize("step", [1, 100, None])
@pytest.mark.parametrize(("name", "coded"), FOLLOWED)
def test_something_else_that_follows_is_refused(
    name: str, coded: bytes, step: int | None, tail: bytes
) -> None:
    if step == 1:
        tail = tail[:100]
    exc = error_of(coded + tail, name, step=step)
    if name == "br" and exc.rule == "coding-data":
        # The library does not tell what is wrong if the end is in the same piece.
        assert step != 1
        return
    assert exc.rule == "coding-trailing-data"
    assert exc.offset == len(coded)
    assert exc.status_hint == 400


def test_another_stream_is_not_taken_for_more_of_a_raw_one() -> None:
    exc = error_of(raw_deflate(TEXT) + zlib.compress(TEXT), "deflate")
    assert exc.rule == "coding-trailing-data"


def test_raw_deflate_does_not_follow_zlib() -> None:
    exc = error_of(zlib.compress(TEXT) + raw_deflate(TEXT), "deflate")
    assert exc.rule == "coding-trailing-data"


def test_skippable_frames_are_skipped() -> None:
    frame = zstd.compress(TEXT)
    coded = SKIPPABLE + frame + SKIPPABLE + SKIPPABLE + frame + SKIPPABLE
    assert decode([coded], "zstd") == TEXT * 2
    assert decode([coded[at : at + 1] for at in range(len(coded))], "zstd") == TEXT * 2


@pytest.mark.parametrize("names", [("gzip", "br"), ("zstd", "gzip")])
def test_something_that_follows_within_a_chain_is_refused(names: tuple[str, str]) -> None:
    inner = encode_body(TEXT, names[:1])
    exc = error_of(encode_body(inner + b"tail", names[1:]), names)
    assert exc.rule == "coding-trailing-data"


# Truncation and bad data.


@pytest.mark.parametrize("step", [7, None])
@pytest.mark.parametrize(("name", "compress"), ORACLES)
def test_cut_body_is_an_error_wherever_it_is_cut(
    name: str, compress: Callable[[bytes], bytes], step: int | None
) -> None:
    """RS-03: aiohttp 3.14.5 gave half the body, and no error."""
    coded = compress(TEXT[:300])
    for size in range(1, len(coded)):
        exc = error_of(coded[:size], name, step=step)
        assert exc.rule == "coding-truncated"
        # One byte is not enough to tell the forms of deflate apart, and waits.
        assert exc.offset == (0 if name == "deflate" and size == 1 else size)


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])
def test_cut_second_stream_is_an_error(name: str) -> None:
    coded = encode_body(TEXT, name)
    for size in range(1, len(coded)):
        exc = error_of(coded + coded[:size], name)
        # As long as it cannot be told to be a stream, it is just something.
        short = size < {"gzip": 2, "deflate": 2, "zstd": 4}[name]
        assert exc.rule == ("coding-trailing-data" if short else "coding-truncated")


@pytest.mark.parametrize("chain", [("gzip", "br"), ("br", "gzip"), ("zstd", "deflate", "gzip")])
def test_cut_within_a_chain_is_an_error(chain: tuple[str, ...]) -> None:
    inner = encode_body(TEXT, chain[:1])
    for size in (0, 1, len(inner) // 2, len(inner) - 1):
        assert error_of(encode_body(inner[:size], chain[1:]), chain).rule == "coding-truncated"
    outer = encode_body(TEXT, chain)
    for size in (1, len(outer) // 2, len(outer) - 1):
        assert error_of(outer[:size], chain).rule == "coding-truncated"


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("feed", [True, False])
def test_body_without_a_byte_is_empty(chain: tuple[str, ...], feed: bool) -> None:
    assert decode([b""] if feed else [], chain) == b""
    assert decode_body(b"", chain) == b""


@pytest.mark.parametrize("step", [1, None])
@pytest.mark.parametrize("name", UNDO)
def test_bad_data_is_an_error(name: str, step: int | None) -> None:
    exc = error_of(b"\xff" * 40, name, step=step)
    assert exc.rule == "coding-data"
    assert exc.offset is not None
    assert exc.offset <= 40
    assert exc.status_hint == 400
    assert isinstance(exc, PayloadEncodingError)
    assert name in exc.message


@pytest.mark.parametrize(("name", "compress"), ORACLES)
def test_flipped_bit_never_raises_anything_else(
    name: str, compress: Callable[[bytes], bytes]
) -> None:
    coded = compress(TEXT[:200])
    for at in range(8 * len(coded)):
        bad = bytearray(coded)
        bad[at // 8] ^= 1 << at % 8
        try:
            decode_body(bytes(bad), name)
        except ContentEncodingError:
            pass


@given(st.binary(max_size=200), st.sampled_from(list(UNDO)))
def test_arbitrary_bytes_never_raise_anything_else(data: bytes, name: str) -> None:
    try:
        decode_body(data, name)
    except ContentEncodingError:
        pass


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_wrong_checksum_is_found(name: str) -> None:
    coded = bytearray(encode_body(TEXT, name))
    coded[-5 if name == "gzip" else -1] ^= 1
    exc = error_of(bytes(coded), name)
    assert exc.rule == "coding-data"
    assert "check" in exc.message


def test_offset_of_bad_data_is_near() -> None:
    block = b"\0\xff\xff\0\0" + NOISE[:65535]
    at = 3 * len(block)
    exc = error_of(block * 3 + b"\xff" * 100_000, "deflate")
    assert exc.rule == "coding-data"
    assert exc.offset is not None
    assert abs(exc.offset - at) <= 65536


# Codings that cannot be undone.


@pytest.mark.parametrize("codings", ["lzma", "gzip, lzma", "compress", ("gz\u0131p",)])
def test_unknown_coding_is_refused(codings: str | tuple[str, ...]) -> None:
    with pytest.raises(ContentEncodingError, match=r"is unknown; known are br, ") as caught:
        ContentDecoder(codings)
    assert caught.value.rule == "coding-unknown"
    assert caught.value.status_hint == 415


def test_message_quotes_nothing_of_the_peer() -> None:
    with pytest.raises(ContentEncodingError) as caught:
        ContentDecoder("gzip, s3cret")
    assert "s3cret" not in caught.value.message
    assert "2 of 2" in caught.value.message


def test_coding_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("brotli", "brotlicffi"):
        monkeypatch.setitem(sys.modules, name, None)
    _codecs._load.cache_clear()
    try:
        with pytest.raises(ContentEncodingError, match=r"httpcore-proto\[brotli\]$") as caught:
            ContentDecoder("gzip, br")
        with pytest.raises(LocalProtocolError, match=r"httpcore-proto\[brotli\]$"):
            ContentEncoder("br")
    finally:
        _codecs._load.cache_clear()
    assert caught.value.rule == "coding-missing"
    assert caught.value.status_hint == 415


@pytest.mark.parametrize("limit", [1, 5])
def test_number_of_codings_is_limited(limit: int) -> None:
    """CVE-2025-66418: a chain without end, each link of which multiplies."""
    limits = CodingLimits() if limit == 5 else CodingLimits(max_codings=limit)
    chain = ("gzip", "deflate", "gzip", "br", "zstd", "gzip")
    assert decode_body(encode_body(TEXT, chain[:limit]), chain[:limit], limits) == TEXT
    assert decode_body(b"", ("identity",) * 10 + chain[:limit], limits) == b""
    with pytest.raises(ContentEncodingError, match=f"max_codings={limit}$") as caught:
        ContentDecoder(chain[: limit + 1], limits)
    exc = caught.value
    assert (exc.rule, exc.limit) == ("coding-count", "max_codings")
    assert (exc.value, exc.allowed, exc.status_hint) == (limit + 1, limit, 413)


# Limits.


def test_default_limits() -> None:
    limits = CodingLimits()
    assert limits.max_size is None
    assert limits.max_ratio == 200
    assert limits.ratio_grace == 2**20
    assert limits.max_codings == 5
    assert limits.max_empty_members == 1024
    with pytest.raises(FrozenInstanceError):
        limits.max_size = 1  # type: ignore[misc]  # the point of it


@pytest.mark.parametrize("name", ["max_size", "max_ratio", "max_codings", "max_empty_members"])
@pytest.mark.parametrize("value", [0, -1])
def test_limit_below_one_is_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{name}={value}: expected 1 or more$"):
        CodingLimits(**{name: value})  # type: ignore[arg-type]  # all are numbers


def test_grace_below_zero_is_refused() -> None:
    assert CodingLimits(ratio_grace=0).ratio_grace == 0
    with pytest.raises(ValueError, match=r"^ratio_grace=-1: expected 0 or more$"):
        CodingLimits(ratio_grace=-1)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_size_is_limited_at_its_edge(chain: tuple[str, ...], size: int) -> None:
    limits = CodingLimits(max_size=size)
    edge, over = (encode_body(NOISE[:length], chain) for length in (size, size + 1))
    assert decode_body(edge, chain, limits) == NOISE[:size]
    exc = error_of(over, chain, limits)
    assert f"max_size={size}" in exc.message
    assert (exc.rule, exc.limit) == ("coding-size", "max_size")
    assert (exc.value, exc.allowed, exc.status_hint) == (size + 1, size, 413)


@pytest.mark.parametrize("chain", CHAINS)
def test_no_more_is_decoded_than_one_byte_above_the_limit(chain: tuple[str, ...]) -> None:
    decoder = ContentDecoder(chain, CodingLimits(max_size=1000))
    decoder.feed(encode_body(NOISE, chain))
    with pytest.raises(ContentEncodingError):
        drain(decoder)
    assert decoder.total_out == 1001


@pytest.mark.parametrize("name", UNDO)
@pytest.mark.parametrize("step", [100, None])
def test_ratio_is_limited(name: str, step: int | None) -> None:
    """DO-01: 10 MB that became 10 GB."""
    coded = encode_body(bytes(2**25), name)
    limits = CodingLimits()
    exc = error_of(coded, name, limits, step)
    assert "max_ratio=200" in exc.message
    assert (exc.rule, exc.limit, exc.allowed) == ("coding-ratio", "max_ratio", 200)
    assert exc.value is not None
    assert exc.value > 200
    assert exc.status_hint == 413
    assert decode_body(coded, name, CodingLimits(max_ratio=None)) == bytes(2**25)


def test_ratio_is_limited_at_its_edge() -> None:
    body = TEXT * 5
    coded = gzip.compress(body)
    for grace in (0, len(body) - 1):
        ratio = -(-len(body) // len(coded))
        assert decode_body(coded, "gzip", CodingLimits(max_ratio=ratio, ratio_grace=grace)) == body
        exc = error_of(coded, "gzip", CodingLimits(max_ratio=ratio - 1, ratio_grace=grace))
        assert (exc.value, exc.allowed) == (ratio, ratio - 1)
    limits = CodingLimits(max_ratio=1, ratio_grace=len(body))
    assert decode_body(coded, "gzip", limits) == body


def test_ratio_that_is_met_exactly_is_allowed() -> None:
    sizes = ((size, len(zlib.compress(bytes(size)))) for size in range(10_000, 20_000))
    size, coded = next(pair for pair in sizes if pair[0] % pair[1] == 0)
    limits = CodingLimits(max_ratio=size // coded, ratio_grace=0)
    assert decode_body(zlib.compress(bytes(size)), "deflate", limits) == bytes(size)


def test_ratio_is_that_of_the_body_so_far() -> None:
    limits = CodingLimits(max_ratio=2)
    body = NOISE * 10 + bytes(2_000_000)
    assert decode_body(gzip.compress(body, 1), "gzip", limits) == body


def nothing(blocks: int) -> bytes:
    """Return raw deflate data that is large, and decodes to nothing: empty stored blocks."""
    return b"\0\0\0\xff\xff" * blocks + b"\x01\0\0\xff\xff"


def test_ratio_counts_what_lies_between_two_codings() -> None:
    """DO-02: the outer coding yields nothing in the end, the inner one has made gigabytes."""
    coded = zstd.compress(nothing(4_000_000))
    assert len(coded) < 10_000
    decoder = ContentDecoder("deflate, zstd")
    decoder.feed(coded)
    with pytest.raises(ContentEncodingError) as caught:
        drain(decoder)
    assert caught.value.limit == "max_ratio"
    assert decoder.total_out == 0


def test_size_counts_what_lies_between_two_codings() -> None:
    coded = zstd.compress(nothing(4_000_000))
    exc = error_of(coded, "deflate, zstd", CodingLimits(max_size=1000, max_ratio=None))
    assert exc.limit == "max_size"
    assert exc.value is not None
    assert exc.value <= 2 * 1000 + 2 * 65536
    assert exc.allowed == 1000


def test_body_that_grew_in_coding_is_within_the_limit() -> None:
    """What is small is larger in a coding, which may not count as too large."""
    chain = ("gzip", "deflate", "zstd", "gzip")
    assert decode_body(encode_body(b"x", chain), chain, CodingLimits(max_size=1)) == b"x"


EMPTY = {
    "gzip": gzip.compress(b"", mtime=0),
    "deflate": zlib.compress(b""),
    "zstd": zstd.compress(b""),
}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("step", [1000, None])
@pytest.mark.parametrize("limit", [1, 1024])
def test_empty_streams_in_a_row_are_limited(name: str, step: int | None, limit: int) -> None:
    """DO-03: they cost time, and move no other bound."""
    limits = CodingLimits(max_empty_members=limit)
    empty, full = EMPTY[name], encode_body(b"x", name)
    edge = (empty * limit + full) * 2 + empty * limit
    assert decode_body(edge, name, limits) == b"xx"
    exc = error_of(edge + empty, name, limits, step)
    assert f"max_empty_members={limit}" in exc.message
    assert (exc.rule, exc.limit) == ("coding-empty-members", "max_empty_members")
    assert (exc.value, exc.allowed, exc.status_hint) == (limit + 1, limit, 413)
    assert exc.offset == len(edge + empty)


def test_skippable_frames_count_as_empty_streams() -> None:
    exc = error_of(SKIPPABLE * 2000, "zstd", CodingLimits())
    assert exc.limit == "max_empty_members"


@pytest.mark.parametrize("name", EMPTY)
def test_many_small_streams_take_linear_time(name: str) -> None:
    """DO-03: each stream copied all that stood behind it."""
    coded = encode_body(b"x", name) * 100_000
    assert decode_body(coded, name) == b"x" * 100_000


def test_large_piece_is_not_copied_at_every_read() -> None:
    """zlib copies what it has not used; fed a whole body, at each of thousands of reads."""
    decoder = ContentDecoder("gzip", NO_LIMITS)
    body = NOISE * 100
    decoder.feed(gzip.compress(body, 0))
    decoder.feed_eof()
    assert drain(decoder, 1000) == body


def gzip_bomb() -> bytes:
    """Return 1 MiB that unfold to 1 GiB."""
    zeros = bytes(2**20)
    codec = zlib.compressobj(1, wbits=31)
    head = codec.compress(zeros) + codec.flush(zlib.Z_FULL_FLUSH)
    # A full flush forgets what came before, so that all further ones are the same.
    return head + (codec.compress(zeros) + codec.flush(zlib.Z_FULL_FLUSH)) * 1023


@pytest.mark.parametrize(
    ("codings", "limits", "rule", "most"),
    [
        ("gzip", CodingLimits(), "coding-ratio", 200 * 65536 + 65536),
        ("gzip", CodingLimits(max_ratio=None, max_size=2**26), "coding-size", 2**26 + 1),
        ("gzip, zstd", CodingLimits(), "coding-ratio", 2**20 + 65536),
        ("gzip, br", CodingLimits(), "coding-ratio", 2**20 + 65536),
        ("gzip, gzip", CodingLimits(max_ratio=None, max_size=2**26), "coding-size", 2**26 + 1),
    ],
)
def test_bomb_is_stopped_in_little_memory(
    codings: str, limits: CodingLimits, rule: str, most: int
) -> None:
    """DO-01: a whole body was inflated before anybody looked at its size."""
    decoder = ContentDecoder(codings, limits)
    decoder.feed(encode_body(gzip_bomb(), parse_codings(codings)[1:]))
    tracemalloc.start()
    try:
        with pytest.raises(ContentEncodingError) as caught:
            while decoder.read():
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.rule == rule
    assert decoder.total_out <= most
    assert peak < 2**20


# The object itself.


def test_nothing_is_decoded_before_it_is_read() -> None:
    decoder = ContentDecoder("gzip")
    assert decoder.needs_input
    decoder.feed(b"no gzip at all")
    assert not decoder.needs_input
    assert (decoder.total_in, decoder.total_out) == (0, 0)
    with pytest.raises(ContentEncodingError):
        decoder.read()


def test_intermediate_stages_do_not_run_ahead() -> None:
    decoder = ContentDecoder("deflate, zstd")
    coded = zstd.compress(zlib.compress(NOISE * 10, 0))
    decoder.feed(coded)
    assert len(decoder.read(100)) == 100
    assert decoder.total_in <= 2 * 65536


@pytest.mark.parametrize("value", [0, -1])
def test_read_of_nothing_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match=f"^max_length={value}: expected 1 or more$"):
        ContentDecoder("gzip").read(value)


def test_feed_behind_the_end_is_refused() -> None:
    decoder = ContentDecoder("gzip")
    decoder.feed_eof()
    with pytest.raises(RuntimeError, match="after feed_eof"):
        decoder.feed(b"x")


@pytest.mark.parametrize("chain", [("gzip",), ("br", "gzip")])
def test_read_without_input_returns_nothing(chain: tuple[str, ...]) -> None:
    decoder = ContentDecoder(chain)
    assert decoder.read() == b""
    assert not decoder.at_eof
    decoder.feed(encode_body(b"x", chain)[:-1])
    drain(decoder)
    assert decoder.read() == b""


@pytest.mark.parametrize(
    ("codings", "first"),
    [("br, gzip", gzip.compress(b"no brotli" * 20)), ("gzip", b"no gzip" * 20)],
)
def test_pieces_are_kept_by_reference_and_dropped_after_an_error(
    codings: str, first: bytes
) -> None:
    """The error kept the frames it came through, and they kept the data and the codec."""
    pieces = [first + b"", b"more" * int("9")]
    before = list(map(sys.getrefcount, pieces))
    decoder = ContentDecoder(codings)
    for piece in pieces:
        decoder.feed(piece)
    del piece
    assert list(map(sys.getrefcount, pieces)) == [count + 1 for count in before]
    with pytest.raises(ContentEncodingError) as caught:
        decoder.read()
    assert list(map(sys.getrefcount, pieces)) == before
    assert caught.value.__context__ is None
    decoder.feed(pieces[0])
    assert list(map(sys.getrefcount, pieces)) == before


@pytest.mark.parametrize(("name", "compress"), ORACLES)
def test_small_reads_get_all_that_large_ones_do(
    name: str, compress: Callable[[bytes], bytes]
) -> None:
    """zlib keeps output with all input used up, and nothing but a full read tells."""
    small, large = (ContentDecoder(name, NO_LIMITS) for _ in range(2))
    coded = compress(bytes(2000) + b"x" + bytes(2000))
    for at in range(len(coded)):
        small.feed(coded[at : at + 1])
        large.feed(coded[at : at + 1])
        assert drain(small, 1) == drain(large)


def test_stream_with_the_beginning_of_another_is_not_complete() -> None:
    decoder = ContentDecoder("gzip")
    coded = encode_body(b"x", "gzip")
    for part, complete in (coded, True), (coded[:1], False), (coded[1:], True):
        decoder.feed(part)
        assert not decoder.complete
        drain(decoder)
        assert decoder.complete is complete
