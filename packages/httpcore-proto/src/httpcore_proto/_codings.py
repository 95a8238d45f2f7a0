"""Content codings (RFC 9110 section 8.4): chains of them, undone and applied.

A body is pulled through its chain from the end: whoever reads asks the last stage for so
many bytes, which asks the one before it for a bounded piece when it has nothing left. So
nothing is decoded before it is asked for, and no stage runs ahead of the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Sequence
from functools import partial
from typing import Final

from ._abnf import is_token
from ._codecs import (
    PACKAGES,
    BrotliCompressor,
    Compressor,
    ZlibCompressor,
    ZstdCompressor,
    supported_codings,
    zlib_backend,
)
from ._coding_limits import DEFAULT_CODING_LIMITS
from ._coding_limits import CodingLimits as CodingLimits  # it belongs to what is here
from ._coding_stage import DECOMPRESSORS, STEP, Input, Stage, too_large
from ._errors import ContentEncodingError, LocalProtocolError
from ._scan import split_list

# RFC 9110 section 8.4.1.3. Section 8.4.1.1 has "x-compress" as well, for a coding that
# nobody sends and no library knows.
_ALIASES: Final = {"x-gzip": "gzip"}


def _normalize(names: Iterable[str]) -> tuple[str, ...]:
    # Case is folded in ASCII alone: nothing else may turn into the name of a coding.
    lower = (name.lower() if name.isascii() else name for name in names)
    return tuple(_ALIASES.get(name, name) for name in lower if name != "identity")


def parse_codings(value: str) -> tuple[str, ...]:
    """Return the codings of a Content-Encoding field (RFC 9110 section 8.4).

    Args:
        value: The field's value; of several lines, all values joined with `", "`.

    Returns:
        Names in lower case in the order in which they were applied, "gzip" for "x-gzip",
        without "identity". There may be unknown ones among them.

    Raises:
        ContentEncodingError: An element is not a token; rule "coding-syntax".
    """
    names = list(split_list(value))
    if not all(map(is_token, names)):
        raise ContentEncodingError("Content-Encoding is not a list of tokens", rule="coding-syntax")
    return _normalize(names)


def _names_of(codings: Sequence[str] | str) -> tuple[str, ...]:
    return parse_codings(codings) if isinstance(codings, str) else _normalize(codings)


def _check_names(names: Sequence[str], known: Container[str]) -> None:
    for number, name in enumerate(names, 1):
        if name not in known:
            raise ContentEncodingError(
                f"content coding {number} of {len(names)} is unknown; known are "
                + ", ".join(PACKAGES),
                rule="coding-unknown",
                status_hint=415,
            )
        if name in PACKAGES and name not in supported_codings():
            raise ContentEncodingError(
                f"content coding {name} needs {PACKAGES[name]}",
                rule="coding-missing",
                status_hint=415,
            )


class ContentDecoder:
    """Undoes the content codings of one body, a bounded piece at a time.

    Feed it coded bytes, and read until `needs_input` is true or, after `feed_eof`, until
    `at_eof` is. Streams that follow each other are one body, where the format allows it:
    members of gzip, zlib streams as "deflate", and zstd frames. "deflate" may be raw
    deflate, without the zlib form that it should have (RFC 9110 section 8.4.1.2). A body
    without any coded byte is empty, and in order.

    It belongs to one thread at a time.

    Args:
        codings: The value of Content-Encoding, or names as `parse_codings` returns them, in
            the order in which they were applied. Without any, bytes pass as they are.
        limits: Bounds.

    Raises:
        ContentEncodingError: There are more codings than `max_codings` (rule
            "coding-count"), one is unknown ("coding-unknown") or needs a package that is
            not installed ("coding-missing"), or the value is malformed ("coding-syntax").

    Attributes:
        total_out: Decoded bytes returned so far.
        at_eof: Whether a read has found the end of the body, and all of it in order.
    """

    __slots__ = (
        "_eof",
        "_error",
        "_input",
        "_limits",
        "_queue",
        "_stages",
        "at_eof",
        "total_out",
    )

    total_out: int
    at_eof: bool

    def __init__(
        self, codings: Sequence[str] | str, limits: CodingLimits = DEFAULT_CODING_LIMITS
    ) -> None:
        names = _names_of(codings)
        if len(names) > limits.max_codings:
            raise ContentEncodingError(
                f"{len(names)} content codings with max_codings={limits.max_codings}",
                rule="coding-count",
                status_hint=413,
                limit="max_codings",
                value=len(names),
                allowed=limits.max_codings,
            )
        _check_names(names, DECOMPRESSORS)
        self.total_out = 0
        self.at_eof = False
        self._limits = limits
        self._eof = False
        self._error: ContentEncodingError | None = None
        self._queue: deque[bytes] = deque()
        self._input = source = Input(self._next)
        self._stages: list[Stage] = []
        for name in reversed(names):
            stage = Stage(name, source, self._input, limits)
            source = Input(partial(stage.read, STEP))
            self._stages.append(stage)

    @property
    def needs_input(self) -> bool:
        """Whether there is nothing to read before more is fed.

        False after `feed_eof`, and after an error. Where it is false, a read may still
        return b"" once, and it is true afterwards.
        """
        return (
            not self._eof
            and self._error is None
            and not self._queue
            and (
                all(stage.idle for stage in self._stages) if self._stages else not self._input.size
            )
        )

    @property
    def complete(self) -> bool:
        """Whether a stream has ended, in every coding, with the last byte that was fed.

        More may follow. False before the first stream, and after an error.
        """
        waits = bool(self._queue) or self._error is not None
        return not waits and all(stage.complete for stage in self._stages)

    @property
    def total_in(self) -> int:
        """Coded bytes used so far; those that were fed and still wait do not count."""
        return self._input.position

    def feed(self, data: bytes) -> None:
        """Take coded bytes. They are kept, not copied, and decoded when they are read.

        Raises:
            RuntimeError: `feed_eof` was called.
        """
        if self._eof:
            raise RuntimeError("feed() after feed_eof()")
        if data and self._error is None:
            self._queue.append(data)

    def feed_eof(self) -> None:
        """Take note that all of the coded body was fed."""
        self._eof = True

    def read(self, max_length: int = STEP) -> bytes:
        """Decode and return what comes next.

        Args:
            max_length: The most bytes to return. The memory in use beside them is bounded by
                the windows of the codecs (32 KiB for deflate, 8 MiB for zstd, 16 MiB for br)
                and 64 KiB for each coding.

        Returns:
            At least one byte; b"" where more input is needed, and at the end of the body.

        Raises:
            ContentEncodingError: The body does not fit its coding (rule "coding-data"), is
                cut ("coding-truncated"), is followed by something ("coding-trailing-data"),
                or over a limit ("coding-size", "coding-ratio", "coding-empty-members"). Every
                further read raises the same one. `offset` is how far the coded body was
                used; bad data is within 64 KiB of it. The libraries for br call it bad data
                too when something follows in the piece that ends the stream.
            ValueError: `max_length` is below 1.
        """
        if max_length < 1:
            raise ValueError(f"max_length={max_length!r}: expected 1 or more")
        if self._error is None:
            try:
                return self._read(max_length)
            except ContentEncodingError as exc:
                self._error = exc
                self._queue.clear()
                self._stages.clear()
                self._input.clear()
        # Without the frames it came through, which hold on to what was in use.
        raise self._error.with_traceback(None)

    def _read(self, max_length: int) -> bytes:
        max_size = self._limits.max_size
        if max_size is not None:
            max_length = min(max_length, max_size + 1 - self.total_out)
        out = (
            self._stages[-1].read(max_length)
            if self._stages
            else bytes(self._input.take(max_length))
        )
        self.total_out += len(out)
        if max_size is not None and self.total_out > max_size:
            raise too_large(self.total_out, max_size, self.total_in)
        if not out and self._eof and not self.at_eof:
            if self._input.position or self._input.size:
                for stage in self._stages:
                    stage.finish()
            self.at_eof = True
        return out

    def _next(self) -> bytes:
        return self._queue.popleft() if self._queue else b""


def decode_body(
    data: bytes, codings: Sequence[str] | str, limits: CodingLimits = DEFAULT_CODING_LIMITS
) -> bytes:
    """Undo the content codings of a body that is all there.

    Args:
        data: The coded body.
        codings: As for `ContentDecoder`.
        limits: Bounds; set `max_size` for data that is not your own.

    Raises:
        ContentEncodingError: As for `ContentDecoder` and its `read`.
    """
    decoder = ContentDecoder(codings, limits)
    decoder.feed(data)
    decoder.feed_eof()
    return b"".join(iter(decoder.read, b""))


def _make_compressor(coding: str, level: int | None, strategy: int | None) -> Compressor:
    if coding == "br":
        return BrotliCompressor(level)
    if coding == "zstd":
        return ZstdCompressor(level)
    wbits = zlib_backend().MAX_WBITS
    return ZlibCompressor(wbits + 16 if coding == "gzip" else wbits, level, strategy)


class ContentEncoder:
    """Applies content codings to one body, piece by piece.

    "deflate" is the zlib form (RFC 9110 section 8.4.1.2), and there is no time in the header
    of "gzip": the same pieces make the same bytes.

    It belongs to one thread at a time.

    Args:
        codings: The value of Content-Encoding, or names, in the order in which they are to be
            applied. Without any, bytes pass as they are.
        level: How hard to try, for every coding in the chain: 0 to 9 for gzip and deflate
            (0 to 3 with isal), 0 to 11 for br, 1 to 22 for zstd. None for the backend's own,
            4 for br, 3 for zstd.
        strategy: zlib's strategy, for gzip and deflate; None for its own. The other codings
            have none.

    Raises:
        LocalProtocolError: The value is malformed, a coding is unknown, or needs a package
            that is not installed.
        ValueError: `level` or `strategy` is none of the codec's.
    """

    __slots__ = ("_compressors", "_finished")

    def __init__(
        self,
        codings: Sequence[str] | str,
        *,
        level: int | None = None,
        strategy: int | None = None,
    ) -> None:
        try:
            names = _names_of(codings)
            _check_names(names, PACKAGES)
        except ContentEncodingError as exc:
            raise LocalProtocolError(exc.message) from None
        self._compressors = [_make_compressor(name, level, strategy) for name in names]
        self._finished = False

    def encode(self, data: bytes) -> bytes:
        """Encode `data`; much of it may stay in the codec for the time being.

        Raises:
            RuntimeError: `finish` was called.
        """
        self._check()
        for compressor in self._compressors:
            data = compressor.compress(data)
        return data

    def flush(self) -> bytes:
        """Return what the peer needs to decode everything that was encoded so far.

        Costs some bytes each time, and some of the compression.

        Raises:
            RuntimeError: `finish` was called.
        """
        self._check()
        data = b""
        for compressor in self._compressors:
            data = compressor.compress(data) + compressor.flush()
        return data

    def finish(self) -> bytes:
        """Return the rest of the coded body. Once.

        Raises:
            RuntimeError: It was called already.
        """
        self._check()
        self._finished = True
        data = b""
        for compressor in self._compressors:
            data = compressor.compress(data) + compressor.finish()
        return data

    def _check(self) -> None:
        if self._finished:
            raise RuntimeError("the coded body is finished")


def encode_body(
    data: bytes,
    codings: Sequence[str] | str,
    *,
    level: int | None = None,
    strategy: int | None = None,
) -> bytes:
    """Apply content codings to a body that is all there.

    Args:
        data: The body.
        codings: As for `ContentEncoder`.
        level: As there.
        strategy: As there.

    Raises:
        LocalProtocolError, ValueError: As for `ContentEncoder`.
    """
    encoder = ContentEncoder(codings, level=level, strategy=strategy)
    return encoder.encode(data) + encoder.finish()
