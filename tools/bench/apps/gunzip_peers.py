"""Peers: zlib alone, without a bound on what a piece unfolds to, and aiohttp's decompressor."""

import sys
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final

from aiohttp.compression_utils import ZLibDecompressor

from .body_inputs import GUNZIPPED_SIZE, STREAM_LIMIT, gzipped_pieces
from .sampling import expecting, main, repeated


def _floor(pieces: list[bytes]) -> int:
    decompressor = zlib.decompressobj(zlib.MAX_WBITS + 16)
    return sum(len(decompressor.decompress(piece)) for piece in pieces)


def _aiohttp(pieces: list[bytes]) -> int:
    decompressor = ZLibDecompressor(encoding="gzip")
    size = 0
    for piece in pieces:
        size += len(decompressor.decompress_sync(piece, STREAM_LIMIT))
        while decompressor.data_available:
            size += len(decompressor.decompress_sync(b"", STREAM_LIMIT))
    return size


PEERS: Final[dict[str, Callable[[list[bytes]], int]]] = {"floor": _floor, "aiohttp": _aiohttp}

if __name__ == "__main__":
    main(
        repeated(partial(PEERS[sys.argv[1]], gzipped_pieces())),
        expecting(GUNZIPPED_SIZE),
    )
