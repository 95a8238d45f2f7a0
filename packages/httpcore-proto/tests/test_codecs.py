from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from random import Random
from types import SimpleNamespace
from typing import Any

import brotli
import pytest
from backports import zstd

from httpcore_proto import _codecs, set_zlib_backend, supported_codings, zlib_backend
from httpcore_proto._codecs import (
    BrotliCompressor,
    BrotliDecompressor,
    Compressor,
    Decompressor,
    ZlibCompressor,
    ZlibDecompressor,
    ZstdCompressor,
    ZstdDecompressor,
)

TEXT = b"".join(b"%d bottles of beer on the wall, " % number for number in range(500))
NOISE = Random(0).randbytes(200_000)
BODIES = [b"", b"x", TEXT, NOISE, bytes(300_000)]

#: How each coding is applied by its library, and undone here.
DECOMPRESSORS: dict[str, tuple[Callable[[bytes], bytes], Callable[[], Decompressor]]] = {
    "gzip": (gzip.compress, lambda: ZlibDecompressor(31)),
    "zlib": (zlib.compress, lambda: ZlibDecompressor(15)),
    "raw": (lambda data: zlib.compress(data, wbits=-15), lambda: ZlibDecompressor(-15)),
    "br": (brotli.compress, BrotliDecompressor),
    "zstd": (zstd.compress, ZstdDecompressor),
}
#: How each coding is applied here at a level, and undone by its library.
COMPRESSORS: dict[str, tuple[Callable[[int | None], Compressor], Callable[[bytes], bytes]]] = {
    "gzip": (lambda level: ZlibCompressor(31, level), gzip.decompress),
    "zlib": (lambda level: ZlibCompressor(15, level), zlib.decompress),
    "raw": (lambda level: ZlibCompressor(-15, level), lambda data: zlib.decompress(data, -15)),
    "br": (BrotliCompressor, brotli.decompress),
    "zstd": (ZstdCompressor, zstd.decompress),
}


def drain(codec: Decompressor, data: bytes, max_length: int) -> bytes:
    """Give `data`, and return all that it decodes to, taken by `max_length`."""
    assert codec.needs_input
    out = [codec.decompress(data, max_length)]
    while not codec.needs_input and not codec.eof:
        out.append(codec.decompress(b"", max_length))
    assert max(map(len, out)) <= max_length
    return b"".join(out)


@pytest.mark.parametrize("body", BODIES, ids=len)
@pytest.mark.parametrize("size", [977, 65536])
@pytest.mark.parametrize("max_length", [1000, 32 * 1024, 65536, 10**6])
@pytest.mark.parametrize("name", DECOMPRESSORS)
def test_what_a_library_made_is_undone(name: str, max_length: int, size: int, body: bytes) -> None:
    compress, make = DECOMPRESSORS[name]
    codec = make()
    coded = compress(body)
    out = []
    for start in range(0, len(coded), size):
        assert not codec.eof
        out.append(drain(codec, memoryview(coded)[start : start + size], max_length))  # type: ignore[arg-type]  # as the stages do
    assert b"".join(out) == body
    assert codec.eof
    assert codec.unused_data == b""


@pytest.mark.parametrize("name", DECOMPRESSORS)
def test_output_may_be_taken_byte_by_byte(name: str) -> None:
    compress, make = DECOMPRESSORS[name]
    codec = make()
    assert drain(codec, compress(TEXT), 1) == TEXT
    assert codec.eof


@pytest.mark.parametrize("name", ["gzip", "zlib", "raw", "zstd"])
@pytest.mark.parametrize("max_length", [100, 10**6])
def test_what_follows_the_end_is_handed_back(name: str, max_length: int) -> None:
    compress, make = DECOMPRESSORS[name]
    codec = make()
    assert drain(codec, compress(TEXT) + b"tail", max_length) == TEXT
    assert codec.eof
    assert codec.unused_data == b"tail"


def test_what_follows_a_brotli_stream_at_once_is_bad_input() -> None:
    codec = BrotliDecompressor()
    with pytest.raises(codec.error):
        codec.decompress(brotli.compress(b"x") + b"tail", 1000)


@pytest.mark.parametrize("name", DECOMPRESSORS)
def test_bad_input_raises_the_error_that_is_named(name: str) -> None:
    codec = DECOMPRESSORS[name][1]()
    with pytest.raises(codec.error):
        codec.decompress(b"\xff" * 100, 1000)


@pytest.mark.parametrize("window_log", [23, 24])
def test_zstd_window_is_at_most_8_mib(window_log: int) -> None:
    """RFC 9659: a larger one may be announced in a few bytes, and would be allocated."""
    encoder = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    coded = encoder.compress(b"x") + encoder.flush()
    codec = ZstdDecompressor()
    if window_log == 23:
        assert codec.decompress(coded, 100) == b"x"
    else:
        with pytest.raises(codec.error, match="too much memory"):
            codec.decompress(coded, 100)


@pytest.mark.parametrize("body", BODIES, ids=len)
@pytest.mark.parametrize("level", [None, 0, 1, 9])
@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_library_undoes_what_was_made(name: str, level: int | None, body: bytes) -> None:
    make, decompress = COMPRESSORS[name]
    codec = make(level)
    half = len(body) // 2
    coded = codec.compress(body[:half]) + codec.compress(body[half:]) + codec.finish()
    assert decompress(coded) == body


@pytest.mark.parametrize("name", COMPRESSORS)
def test_flush_lets_the_peer_decode_all_there_is(name: str) -> None:
    encoder = COMPRESSORS[name][0](None)
    decoder = DECOMPRESSORS[name][1]()
    for piece in (TEXT, b"x", NOISE):
        assert drain(decoder, encoder.compress(piece) + encoder.flush(), 10**6) == piece
    assert not decoder.eof
    drain(decoder, encoder.finish(), 10**6)
    assert decoder.eof


@pytest.mark.parametrize("name", COMPRESSORS)
@pytest.mark.parametrize("level", [-(10**6), 99, 10**30])
def test_level_that_the_library_does_not_have_is_refused(name: str, level: int) -> None:
    with pytest.raises(ValueError, match=f"level={level}"):
        COMPRESSORS[name][0](level)


def test_levels_of_zstd_stay_within_the_window_of_http() -> None:
    """Level 20 has a window of 32 MiB by itself, which browsers refuse."""
    encoder = ZstdCompressor(20)
    # Flushed, or the frame would be written for the size that it turns out to have.
    coded = encoder.compress(TEXT) + encoder.flush() + encoder.finish()
    assert drain(ZstdDecompressor(), coded, 10**6) == TEXT


def test_strategy_is_passed_on() -> None:
    plain, huffman = ZlibCompressor(15), ZlibCompressor(15, strategy=zlib.Z_HUFFMAN_ONLY)
    sizes = [len(codec.compress(TEXT) + codec.finish()) for codec in (plain, huffman)]
    assert sizes[1] > 2 * sizes[0]


def test_full_flush_is_one_that_decoding_can_start_behind() -> None:
    codec = ZlibCompressor(-15)
    codec.compress(TEXT)
    codec.flush(zlib.Z_FULL_FLUSH)
    coded = codec.compress(TEXT) + codec.finish()
    assert zlib.decompress(coded, -15) == TEXT


def test_gzip_header_has_no_time() -> None:
    assert ZlibCompressor(31).finish()[4:8] == bytes(4)


# The module in the place of zlib.


class Backend(SimpleNamespace):
    """zlib, and a record of what is asked of it."""

    def __init__(self, **changes: Any) -> None:
        names = ("error", "MAX_WBITS", "Z_SYNC_FLUSH", "Z_FULL_FLUSH", "Z_FINISH")
        super().__init__(**{name: getattr(zlib, name) for name in names})
        self.calls: list[dict[str, int]] = []
        self.__dict__.update(changes)

    def compressobj(self, **options: int) -> Any:
        self.calls.append(options)
        return zlib.compressobj(**options)

    def decompressobj(self, **options: int) -> Any:
        self.calls.append(options)
        return zlib.decompressobj(**options)


@pytest.fixture(autouse=True)
def keep_backend() -> Iterator[None]:
    yield
    set_zlib_backend(zlib)


def test_backend_is_zlib_unless_told_otherwise() -> None:
    assert zlib_backend() is zlib


def test_backend_is_used_for_what_is_made_afterwards() -> None:
    earlier = ZlibCompressor(31)
    backend = Backend()
    set_zlib_backend(backend)
    assert zlib_backend() is backend
    coded = earlier.compress(TEXT) + earlier.finish()
    assert drain(ZlibDecompressor(31), coded, 10**6) == TEXT
    assert backend.calls == [{"wbits": 31}]


def test_backend_is_told_a_level_only_if_there_is_one() -> None:
    """isal has levels 0 to 3; zlib's default, passed on as a number, is none of them."""
    backend = Backend()
    set_zlib_backend(backend)
    ZlibCompressor(31)
    ZlibCompressor(-15, 0, zlib.Z_FIXED)
    assert backend.calls == [{"wbits": 31}, {"wbits": -15, "level": 0, "strategy": zlib.Z_FIXED}]


def test_backend_that_lacks_something_is_refused() -> None:
    backend = Backend()
    del backend.Z_FULL_FLUSH, backend.error
    with pytest.raises(TypeError, match=r"it lacks Z_FULL_FLUSH, error$"):
        set_zlib_backend(backend)
    assert zlib_backend() is zlib


def test_error_of_the_backend_is_the_one_that_is_named() -> None:
    class OtherError(Exception):
        pass

    set_zlib_backend(Backend(error=OtherError))
    assert ZlibDecompressor(31).error is OtherError


# What is installed.


@pytest.fixture
def no_cache() -> Iterator[None]:
    _codecs._load.cache_clear()
    yield
    _codecs._load.cache_clear()


def test_all_codings_are_supported_in_our_order() -> None:
    assert supported_codings() == ("br", "zstd", "gzip", "deflate")


@pytest.mark.parametrize(
    ("missing", "left"),
    [
        (["brotli"], ("zstd", "gzip", "deflate")),
        (["backports.zstd"], ("br", "gzip", "deflate")),
        (["brotli", "backports.zstd"], ("gzip", "deflate")),
    ],
)
@pytest.mark.usefixtures("no_cache")
def test_coding_without_its_package_is_not_supported(
    monkeypatch: pytest.MonkeyPatch, missing: list[str], left: tuple[str, ...]
) -> None:
    for name in [*missing, "brotlicffi", "compression.zstd"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert supported_codings() == left


@pytest.mark.parametrize(
    ("name", "hidden", "module", "coding"),
    [
        ("brotlicffi", "brotli", brotli, "br"),
        ("compression.zstd", "backports.zstd", zstd, "zstd"),
    ],
)
@pytest.mark.usefixtures("no_cache")
def test_other_package_for_a_coding_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, hidden: str, module: Any, coding: str
) -> None:
    monkeypatch.setitem(sys.modules, hidden, None)
    monkeypatch.setitem(sys.modules, name, module)
    assert coding in supported_codings()
    compress, make = DECOMPRESSORS[coding]
    assert drain(make(), compress(TEXT), 10**6) == TEXT


@pytest.mark.usefixtures("no_cache")
def test_brotlicffi_is_given_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """brotlicffi 1.2.1 raised TypeError for a memoryview, which brotli takes."""

    class Strict:
        def __init__(self) -> None:
            self.decoder = brotli.Decompressor()
            self.is_finished = self.decoder.is_finished
            self.can_accept_more_data = self.decoder.can_accept_more_data

        def process(self, data: bytes, output_buffer_limit: int) -> bytes:
            assert type(data) is bytes
            out: bytes = self.decoder.process(data, output_buffer_limit)
            return out

        # Looked for in the class.
        can_accept_more_data: Any = None

    module = SimpleNamespace(error=brotli.error, Decompressor=Strict)
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, "brotlicffi", module)
    codec = BrotliDecompressor()
    coded = memoryview(brotli.compress(TEXT))
    assert codec.decompress(coded, 10**6) == TEXT
    assert codec.eof


@pytest.mark.usefixtures("no_cache")
def test_brotli_that_cannot_bound_its_output_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2025-66471 and others: before 1.2 one call decoded a whole bomb."""
    old = SimpleNamespace(Decompressor=object)
    monkeypatch.setitem(sys.modules, "brotli", old)
    assert supported_codings() == ("zstd", "gzip", "deflate")


def test_import_loads_no_codec_but_zlib() -> None:
    code = f"import sys; sys.path[:] = {sys.path!r}; import httpcore_proto; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code]
    loaded = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    assert {"brotli", "brotlicffi", "backports.zstd", "compression.zstd"}.isdisjoint(loaded)
    assert "httpcore_proto" in loaded
