from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Callable, Iterator
from random import Random
from types import SimpleNamespace
from typing import Any

import anyio
import brotli
import pytest
from backports import zstd

from httpcore_proto import ContentEncodingError, set_zlib_backend
from httpcore_proto.aio import (
    BrotliDecompressor,
    BusyError,
    ZLibCompressor,
    ZLibDecompressor,
    ZSTDDecompressor,
)

NOISE = Random(0).randbytes(200_000)
BODY = NOISE + bytes(500_000)

Made = tuple[
    Callable[[], ZLibDecompressor | BrotliDecompressor | ZSTDDecompressor], Callable[[bytes], bytes]
]
DECOMPRESSORS: dict[str, Made] = {
    "gzip": (lambda: ZLibDecompressor("gzip"), lambda data: zlib.compress(data, wbits=31)),
    "deflate": (ZLibDecompressor, zlib.compress),
    "raw": (
        lambda: ZLibDecompressor(suppress_deflate_header=True),
        lambda data: zlib.compress(data, wbits=-15),
    ),
    "br": (BrotliDecompressor, lambda data: brotli.compress(data, quality=1)),
    "zstd": (ZSTDDecompressor, zstd.compress),
}


@pytest.mark.parametrize(
    ("options", "wbits"),
    [
        ({}, 15),
        ({"encoding": "deflate"}, 15),
        ({"encoding": "gzip"}, 31),
        ({"suppress_deflate_header": True}, -15),
        ({"encoding": "deflate", "suppress_deflate_header": True}, -15),
        ({"encoding": "gzip", "suppress_deflate_header": True}, 31),
        ({"encoding": "gzip", "wbits": -9}, -9),
    ],
)
def test_compressor_makes_the_form_it_is_told(options: dict[str, Any], wbits: int) -> None:
    codec = ZLibCompressor(**options)
    coded = codec.compress_sync(NOISE) + codec.compress_sync(b"x") + codec.flush()
    assert zlib.decompress(coded, wbits) == NOISE + b"x"


def test_compressor_passes_level_and_strategy_on() -> None:
    sizes = []
    for options in ({"level": 9}, {"level": 0}, {"strategy": zlib.Z_HUFFMAN_ONLY}):
        codec = ZLibCompressor(**options)
        sizes.append(len(codec.compress_sync(b"abc" * 10_000) + codec.flush()))
    assert sizes[0] < 100 < sizes[2] < sizes[1]


@pytest.mark.parametrize("make", [ZLibCompressor, ZLibDecompressor])
def test_unknown_encoding_is_refused(make: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match=r"^encoding='br': expected 'gzip', 'deflate' or None$"):
        make("br")


@pytest.mark.parametrize("options", [{"level": 99}, {"wbits": 99}])
def test_bad_option_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="99"):
        ZLibCompressor(**options)  # type: ignore[arg-type]  # all are numbers


def test_flush_in_between() -> None:
    codec = ZLibCompressor()
    decoder = zlib.decompressobj()
    for mode in (zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH):
        assert decoder.decompress(codec.compress_sync(NOISE) + codec.flush(mode)) == NOISE
    assert not decoder.eof
    decoder.decompress(codec.flush())
    assert decoder.eof


@pytest.mark.parametrize("max_length", [0, 1, 1000, 10**5, 10**7])
@pytest.mark.parametrize("name", DECOMPRESSORS)
def test_decompressor_goes_on_with_what_it_was_given(name: str, max_length: int) -> None:
    make, compress = DECOMPRESSORS[name]
    body = BODY if max_length != 1 else BODY[199_000:201_000]
    codec = make()
    assert not codec.data_available
    assert not codec.eof
    out = [codec.decompress_sync(compress(body), max_length)]
    while codec.data_available:
        out.append(codec.decompress_sync(b"", max_length))
    assert b"".join(out) == body
    assert codec.eof
    assert max(map(len, out)) == len(out[0]) == min(max_length or len(body), len(body))


@pytest.mark.parametrize("name", DECOMPRESSORS)
def test_flush_returns_the_rest(name: str) -> None:
    make, compress = DECOMPRESSORS[name]
    codec = make()
    coded = compress(BODY)
    head = codec.decompress_sync(coded[:-1], 10)
    assert codec.data_available
    rest = codec.flush()
    assert not codec.eof
    assert head + rest + codec.decompress_sync(coded[-1:]) == BODY
    assert codec.eof
    assert codec.flush() == b""


@pytest.mark.parametrize("name", DECOMPRESSORS)
async def test_bad_data_is_an_error_from_then_on(name: str) -> None:
    codec = DECOMPRESSORS[name][0]()
    with pytest.raises(ContentEncodingError) as caught:
        await codec.decompress(b"\xff" * 100_000)
    for _ in range(2):
        with pytest.raises(ContentEncodingError) as again:
            await codec.decompress(b"")
        assert again.value is caught.value
    with pytest.raises(ContentEncodingError):
        codec.flush()
    assert not codec.eof


@pytest.mark.parametrize("name", DECOMPRESSORS)
async def test_negative_length_is_refused_and_harms_nothing(name: str) -> None:
    make, compress = DECOMPRESSORS[name]
    codec = make()
    coded = compress(BODY)
    with pytest.raises(ValueError, match=r"^max_length=-1: expected 0 or more$"):
        await codec.decompress(coded, -1)
    with pytest.raises(ValueError, match=r"^max_length=-1: expected 0 or more$"):
        codec.decompress_sync(coded, -1)
    assert codec.decompress_sync(coded) == BODY


def test_raw_deflate_that_looks_like_zlib() -> None:
    """A raw stream is not examined where the caller says that it is one."""
    # An empty stored block with rubbish in its padding: the first two bytes pass for zlib's.
    coded = b"\x78\0\0\xff\xff" + zlib.compress(b"x", wbits=-15)
    assert ZLibDecompressor(suppress_deflate_header=True).decompress_sync(coded) == b"x"
    coded = b"\x78\x01\0\xfe\xffy" + zlib.compress(b"x", wbits=-15)
    assert ZLibDecompressor(suppress_deflate_header=True).decompress_sync(coded) == b"yx"
    with pytest.raises(ContentEncodingError):
        ZLibDecompressor().decompress_sync(coded)


# Threads.


class Watched:
    """zlib, and in which thread it compresses; it can be held there."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def compressobj(self, **options: int) -> Any:
        codec = zlib.compressobj(**options)

        def compress(data: bytes) -> bytes:
            self.threads.append(threading.get_ident())
            self.entered.set()
            assert self.open.wait(10)
            return codec.compress(data)

        return SimpleNamespace(compress=compress, flush=codec.flush)

    def decompressobj(self, **options: int) -> Any:
        decoder = zlib.decompressobj(**options)
        codec = SimpleNamespace()

        def decompress(data: bytes, max_length: int) -> bytes:
            self.threads.append(threading.get_ident())
            self.entered.set()
            assert self.open.wait(10)
            out = decoder.decompress(data, max_length)
            names = ("eof", "unused_data", "unconsumed_tail")
            codec.__dict__.update({name: getattr(decoder, name) for name in names})
            return out

        codec.decompress = decompress
        return codec

    def __getattr__(self, name: str) -> Any:
        return getattr(zlib, name)


@pytest.fixture
def watched() -> Iterator[Watched]:
    backend = Watched()
    set_zlib_backend(backend)
    yield backend
    set_zlib_backend(zlib)


@pytest.mark.parametrize(
    ("options", "size", "thread"),
    [
        ({}, 4096, False),
        ({}, 4097, True),
        ({"max_sync_chunk_size": 0}, 1, True),
        ({"max_sync_chunk_size": 10}, 10, False),
    ],
)
async def test_much_to_do_is_done_in_a_thread(
    options: dict[str, int], size: int, thread: bool, watched: Watched
) -> None:
    compressor = ZLibCompressor(**options)  # type: ignore[arg-type]  # all are numbers
    await compressor.compress(bytes(size))
    assert (watched.threads.pop() != threading.get_ident()) is thread
    decompressor = ZLibDecompressor("gzip", **options)  # type: ignore[arg-type]  # the same
    await decompressor.decompress(zlib.compress(NOISE, wbits=31)[:size])
    assert (watched.threads.pop() != threading.get_ident()) is thread


async def test_small_piece_that_is_large_inside_goes_on_in_a_thread(watched: Watched) -> None:
    codec = ZLibDecompressor()
    coded = zlib.compress(bytes(10**6))
    assert len(await codec.decompress(coded, 10)) == 10
    assert set(watched.threads) == {threading.get_ident()}
    del watched.threads[:]
    assert len(await codec.decompress(b"")) == 10**6 - 10
    assert threading.get_ident() not in watched.threads


@pytest.mark.parametrize("name", DECOMPRESSORS)
async def test_round_trip_through_threads(name: str) -> None:
    make, compress = DECOMPRESSORS[name]
    codec = make()
    coded = compress(BODY)
    out = [await codec.decompress(coded[:5000]), await codec.decompress(coded[5000:], 1000)]
    assert len(out[1]) <= 1000
    out.append(await codec.decompress(b""))
    assert b"".join(out) == BODY
    assert codec.eof


async def test_second_task_is_refused(watched: Watched) -> None:
    compressor = ZLibCompressor()
    watched.open.clear()
    out = []
    async with anyio.create_task_group() as group:

        async def compress() -> None:
            out.append(await compressor.compress(NOISE))

        group.start_soon(compress)
        await anyio.to_thread.run_sync(watched.entered.wait, 10)
        with pytest.raises(BusyError):
            await compressor.compress(NOISE)
        with pytest.raises(BusyError):
            compressor.compress_sync(b"x")
        with pytest.raises(BusyError):
            compressor.flush()
        watched.open.set()
    assert zlib.decompress(b"".join(out) + compressor.flush()) == NOISE


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("ending", ["compress", "compress_sync", "flush"])
def test_compressing_that_is_cancelled_happens(times: int, ending: str, watched: Watched) -> None:
    """aiohttp: not safe to cancel between compress and flush; output was lost, or two threads
    worked with one compressor."""
    compressor = ZLibCompressor("gzip")

    async def main() -> bytes:
        watched.open.clear()
        for number in range(times):
            task = asyncio.ensure_future(compressor.compress(b"%d" % number + NOISE))
            if number:
                await asyncio.sleep(0)
            else:
                await asyncio.to_thread(watched.entered.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        if ending == "compress":
            task = asyncio.ensure_future(compressor.compress(b"x"))
            await asyncio.sleep(0)
            # Not reached if that waited for the thread right here.
            watched.open.set()
            return await task + compressor.flush()
        watched.open.set()
        if ending == "compress_sync":
            return compressor.compress_sync(b"x") + compressor.flush()
        return compressor.flush()

    body = b"".join(b"%d" % number + NOISE for number in range(times))
    if ending != "flush":
        body += b"x"
    assert zlib.decompress(asyncio.run(main()), 31) == body


@pytest.mark.parametrize("sync", [True, False])
def test_decompressing_that_is_cancelled_happens(sync: bool, watched: Watched) -> None:
    codec = ZLibDecompressor()
    coded = zlib.compress(BODY)

    async def main() -> bytes:
        watched.open.clear()
        task = asyncio.ensure_future(codec.decompress(coded[:100_000]))
        await asyncio.to_thread(watched.entered.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if sync:
            watched.open.set()
            return codec.decompress_sync(coded[100_000:])
        task = asyncio.ensure_future(codec.decompress(b""))
        await asyncio.sleep(0)
        watched.open.set()
        return await task + await codec.decompress(coded[100_000:])

    assert asyncio.run(main()) == BODY
    assert codec.eof


async def test_scope_that_is_cancelled_already_takes_effect_all_the_same() -> None:
    compressor = ZLibCompressor()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await compressor.compress(NOISE)
    assert zlib.decompress(compressor.flush()) == NOISE
