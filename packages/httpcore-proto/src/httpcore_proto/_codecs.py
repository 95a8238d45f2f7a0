"""Codecs: one class for each way to undo or apply one coding, without any policy.

The libraries differ in how output is bounded and where input waits meanwhile. Here they
look alike. They are imported when first asked for: most messages have no coding.

What the decompressors promise to `_codings`, which drives them:

* Input is given only while `needs_input` is true, in pieces of bounded size. Two of the
  libraries copy what they have not used yet at every call; on a piece of bounded size that
  is linear in all the input, on a whole body it would be quadratic.
* `decompress` returns at most `max_length` bytes, and may return none. As long as
  `needs_input` is false there may be more, and `decompress(b"", ...)` returns it.
* Once `eof` is true, `unused_data` is what was given behind the end.
* `error` is what the library raises for bad input; the codec is of no use afterwards.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Final, Protocol


class ZLibBackend(Protocol):
    """What a module must have to take the place of zlib.

    `zlib_ng.zlib_ng` and `isal.isal_zlib` have it.
    """

    @property
    def error(self) -> type[Exception]:
        """What is raised for bad input."""

    @property
    def compressobj(self) -> Callable[..., Any]:
        """As `zlib.compressobj`: takes `level`, `wbits` and `strategy` by name."""

    @property
    def decompressobj(self) -> Callable[..., Any]:
        """As `zlib.decompressobj`: takes `wbits` by name."""

    @property
    def MAX_WBITS(self) -> int:
        """As in zlib."""

    @property
    def Z_SYNC_FLUSH(self) -> int:
        """As in zlib."""

    @property
    def Z_FULL_FLUSH(self) -> int:
        """As in zlib."""

    @property
    def Z_FINISH(self) -> int:
        """As in zlib."""


_BACKEND_NAMES: Final = sorted(name for name in vars(ZLibBackend) if not name.startswith("_"))

_backend: ZLibBackend = zlib


def set_zlib_backend(module: ZLibBackend) -> None:
    """Use another module than zlib for gzip and deflate, in the whole process.

    Whatever was made before keeps the module it has. A compression level is passed on
    only where the caller gave one; modules differ in which there are (isal has 0 to 3).

    Args:
        module: `zlib`, `zlib_ng.zlib_ng`, `isal.isal_zlib`, or one like them.

    Raises:
        TypeError: The module lacks something; the message names it.
    """
    global _backend
    missing = [name for name in _BACKEND_NAMES if not hasattr(module, name)]
    if missing:
        raise TypeError(f"{module!r} cannot take the place of zlib, it lacks {', '.join(missing)}")
    _backend = module


def zlib_backend() -> ZLibBackend:
    """Return the module that gzip and deflate use: zlib, if no other was set."""
    return _backend


@cache
def _load(*names: str) -> ModuleType | None:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            pass
    return None


def _brotli() -> ModuleType | None:
    module = _load("brotli", "brotlicffi")
    # Older ones cannot bound their output, and so are of no use against bombs.
    if module is not None and not hasattr(module.Decompressor, "can_accept_more_data"):
        return None
    return module


def _zstd() -> ModuleType | None:
    return _load("compression.zstd", "backports.zstd")


def supported_codings() -> tuple[str, ...]:
    """Return the names of the content codings that work here, the preferred first.

    Lower case, out of `("br", "zstd", "gzip", "deflate")`. "br" needs brotli or
    brotlicffi 1.2 (the extra `brotli`), "zstd" Python 3.14 or backports.zstd (the extra
    `zstd`). The answer does not change while the process lives.
    """
    available = {"br": _brotli() is not None, "zstd": _zstd() is not None}
    return tuple(coding for coding in PACKAGES if available.get(coding, True))


#: What to install for a coding, of all the codings known; the preferred first: first by
#: how small they make a body, then by how fast they are undone.
PACKAGES: Final[dict[str, str]] = {
    "br": "brotli >= 1.2, the extra httpcore-proto[brotli]",
    "zstd": "backports.zstd, the extra httpcore-proto[zstd]",
    "gzip": "zlib",
    "deflate": "zlib",
}


class Decompressor(Protocol):
    """What the module's docstring says."""

    error: type[Exception]

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes: ...


class ZlibDecompressor:
    """One member of gzip, one zlib stream or one raw deflate stream, as `wbits` says."""

    __slots__ = ("_object", "_tail", "error", "needs_input")

    def __init__(self, wbits: int) -> None:
        self.error = _backend.error
        self.needs_input = True
        self._object = _backend.decompressobj(wbits=wbits)
        self._tail: bytes = b""

    @property
    def eof(self) -> bool:
        eof: bool = self._object.eof
        return eof

    @property
    def unused_data(self) -> bytes:
        unused: bytes = self._object.unused_data
        return unused

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes:
        out: bytes = self._object.decompress(self._tail or data, max_length)
        self._tail = self._object.unconsumed_tail
        # With the bound reached there may be more, also when all input is used up.
        self.needs_input = not self._tail and len(out) < max_length
        return out


class BrotliDecompressor:
    """One brotli stream.

    The library bounds its output by blocks of 32 KiB, and what is too much waits here.
    For the library it is bad input if something follows in the piece that ends the stream.
    """

    __slots__ = ("_drained", "_object", "_start", "_surplus", "eof", "error", "needs_input")

    # A little less than a block, so that the library never begins a second one.
    _LIMIT: Final = 32 * 1024 - 64

    unused_data: Final = b""

    def __init__(self) -> None:
        module = _brotli()
        assert module is not None
        self.error: type[Exception] = module.error
        self.eof = False
        self.needs_input = True
        self._object = module.Decompressor()
        self._drained = True
        self._surplus = b""
        self._start = 0

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes:
        if self._start == len(self._surplus):
            # brotlicffi takes nothing but bytes.
            self._surplus = self._object.process(bytes(data), output_buffer_limit=self._LIMIT)
            self._start = 0
            full = len(self._surplus) >= self._LIMIT
            self._drained = not full and self._object.can_accept_more_data()
        out = self._surplus[self._start : self._start + max_length]
        self._start += len(out)
        self.needs_input = self._drained and self._start == len(self._surplus)
        self.eof = self.needs_input and self._object.is_finished()
        return out


# RFC 9659 section 3: what is sent over HTTP has a window of at most 8 MiB.
_MAX_WINDOW_LOG: Final = 23
# Above this level libzstd chooses a larger window of its own accord.
_MAX_PLAIN_LEVEL: Final = 19


class ZstdDecompressor:
    """One zstd frame, possibly a skippable one; the window is at most 8 MiB (RFC 9659)."""

    __slots__ = ("_object", "error")

    def __init__(self) -> None:
        module = _zstd()
        assert module is not None
        self.error: type[Exception] = module.ZstdError
        options = {module.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG}
        self._object = module.ZstdDecompressor(options=options)

    @property
    def eof(self) -> bool:
        eof: bool = self._object.eof
        return eof

    @property
    def needs_input(self) -> bool:
        needs_input: bool = self._object.needs_input
        return needs_input

    @property
    def unused_data(self) -> bytes:
        unused: bytes = self._object.unused_data
        return unused

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes:
        out: bytes = self._object.decompress(data, max_length)
        return out


class Compressor(Protocol):
    """`flush` returns all that is needed to decode what was given, `finish` the rest."""

    def compress(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...

    def finish(self) -> bytes: ...


class ZlibCompressor:
    """gzip, zlib or raw deflate, as `wbits` says; a gzip header has no time in it."""

    __slots__ = ("_backend", "_object", "compress")

    def __init__(self, wbits: int, level: int | None = None, strategy: int | None = None) -> None:
        self._backend = _backend
        asked = {"level": level, "strategy": strategy}
        given = {name: value for name, value in asked.items() if value is not None}
        try:
            self._object = _backend.compressobj(wbits=wbits, **given)
        except (OverflowError, ValueError, _backend.error) as exc:
            raise ValueError(f"{level=}, {strategy=}, {wbits=}: {exc}") from exc
        self.compress: Callable[[bytes], bytes] = self._object.compress

    def flush(self, mode: int | None = None) -> bytes:
        """Flush with `mode`, by default `Z_SYNC_FLUSH`."""
        out: bytes = self._object.flush(self._backend.Z_SYNC_FLUSH if mode is None else mode)
        return out

    def finish(self) -> bytes:
        return self.flush(self._backend.Z_FINISH)


class BrotliCompressor:
    """One brotli stream."""

    __slots__ = ("compress", "finish", "flush")

    # The library's own default, 11, is for files that are compressed once and served often:
    # a hundred times slower. 4 is what .NET compresses responses with.
    _QUALITY: Final = 4
    # Envoy's default: 256 KiB instead of 4 MiB for each body that is on its way.
    _WINDOW_LOG: Final = 18

    def __init__(self, level: int | None = None) -> None:
        module = _brotli()
        assert module is not None
        quality = self._QUALITY if level is None else level
        try:
            encoder = module.Compressor(quality=quality, lgwin=self._WINDOW_LOG)
        except (OverflowError, ValueError, module.error) as exc:
            raise ValueError(f"{level=}: {exc}") from exc
        self.compress: Callable[[bytes], bytes] = encoder.process
        self.flush: Callable[[], bytes] = encoder.flush
        self.finish: Callable[[], bytes] = encoder.finish


class ZstdCompressor:
    """One zstd frame; libzstd's own default level is 3."""

    __slots__ = ("_object", "compress")

    def __init__(self, level: int | None = None) -> None:
        module = _zstd()
        assert module is not None
        parameter = module.CompressionParameter
        options = {}
        if level is not None:
            options[parameter.compression_level] = level
            if level > _MAX_PLAIN_LEVEL:
                options[parameter.window_log] = _MAX_WINDOW_LOG
        try:
            self._object = module.ZstdCompressor(options=options)
        except (OverflowError, ValueError, module.ZstdError) as exc:
            raise ValueError(f"{level=}: {exc}") from exc
        self.compress: Callable[[bytes], bytes] = self._object.compress

    def flush(self) -> bytes:
        out: bytes = self._object.flush(self._object.FLUSH_BLOCK)
        return out

    def finish(self) -> bytes:
        out: bytes = self._object.flush(self._object.FLUSH_FRAME)
        return out
