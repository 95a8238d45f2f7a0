"""One content coding being undone: the input that waits, and the streams within it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ._codecs import (
    BrotliDecompressor,
    Decompressor,
    ZlibDecompressor,
    ZstdDecompressor,
    zlib_backend,
)
from ._coding_limits import CodingLimits
from ._errors import ContentEncodingError

#: The most that a codec is given at once, and that one coding makes for the next.
STEP: Final = 65536
# The same while streams follow each other: all of it behind a short one is copied.
_MEMBER_STEP: Final = 4096

#: A deflate stream without the zlib form around it. No coding of HTTP's, and no token, so
#: that no field can name it; but often sent as "deflate", and in WebSocket messages.
RAW_DEFLATE: Final = "raw deflate"


class Input:
    """Coded bytes that wait, by reference, and how far they are used."""

    __slots__ = ("_chunk", "_more", "_offset", "_start")

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more = more  # returns what comes next, b"" if that is not there yet
        self._chunk = b""
        self._start = 0
        self._offset = 0  # of the chunk

    @property
    def position(self) -> int:
        """How many bytes are used, counted from the first."""
        return self._offset + self._start

    @property
    def size(self) -> int:
        """How many bytes are here already."""
        return len(self._chunk) - self._start

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes, or less if there are not so many."""
        while self.size < size and (more := self._more()):
            self._offset += self._start
            self._chunk = self._chunk[self._start :] + more if self.size else more
            self._start = 0
        return self._chunk[self._start : self._start + size]

    def take(self, size: int) -> bytes | memoryview:
        """Use up and return the next bytes, at most `size`; none if there are none."""
        self.peek(1)
        start = self._start
        if not start and len(self._chunk) <= size:
            self._start = len(self._chunk)
            return self._chunk
        self._start = min(start + size, len(self._chunk))
        return memoryview(self._chunk)[start : self._start]

    def give_back(self, size: int) -> None:
        """Take back the last `size` bytes of what `take` returned."""
        self._start -= size

    def clear(self) -> None:
        self._offset += self._start
        self._chunk = b""
        self._start = 0


def _is_zlib(head: bytes) -> bool:
    # RFC 1950 section 2.2: method 8, a window of at most 32 KiB, and the check bits. Of the
    # raw form only a first block that is stored, with rubbish in its padding, looks like it.
    return head[0] & 0x8F == 8 and int.from_bytes(head, "big") % 31 == 0


def _is_zstd(head: bytes) -> bool:
    # RFC 8878 sections 3.1.1 and 3.1.2: a frame, or one to be skipped.
    magic = int.from_bytes(head, "little")
    return magic == 0xFD2FB528 or magic & 0xFFFFFFF0 == 0x184D2A50


# Of codings whose streams may follow each other: the size of what one begins with, and
# whether it is that.
_MEMBERS: Final[dict[str, tuple[int, Callable[[bytes], bool]]]] = {
    "gzip": (2, b"\x1f\x8b".__eq__),  # RFC 1952 section 2.3.1
    "deflate": (2, _is_zlib),
    "zstd": (4, _is_zstd),
}
_NO_MEMBERS: Final[tuple[int, Callable[[bytes], bool]]] = (1, lambda head: False)

DECOMPRESSORS: Final[dict[str, Callable[[], Decompressor]]] = {
    "br": BrotliDecompressor,
    "zstd": ZstdDecompressor,
    "gzip": lambda: ZlibDecompressor(16 + zlib_backend().MAX_WBITS),
    "deflate": lambda: ZlibDecompressor(zlib_backend().MAX_WBITS),
    RAW_DEFLATE: lambda: ZlibDecompressor(-zlib_backend().MAX_WBITS),
}


class Stage:
    """One coding being undone: its streams, one behind the other.

    Args:
        coding: A key of `DECOMPRESSORS` whose codec is there.
        source: The coded bytes.
        origin: What the whole chain started from, perhaps the same.
        limits: Bounds.
    """

    __slots__ = (
        "_codec",
        "_coding",
        "_empty_members",
        "_limits",
        "_members",
        "_origin",
        "_source",
        "_step",
        "_wanted",
        "_yielded",
        "total_out",
    )

    def __init__(self, coding: str, source: Input, origin: Input, limits: CodingLimits) -> None:
        self.total_out = 0
        self._coding = coding
        self._source = source
        self._origin = origin
        self._limits = limits
        self._codec: Decompressor | None = None
        self._members = 0  # begun
        self._empty_members = 0  # in a row
        self._yielded = False  # whether this member did
        self._step = STEP
        self._wanted = 1  # bytes without which there is no progress

    @property
    def idle(self) -> bool:
        """Whether nothing more comes out without more input."""
        waits = self._codec is None or self._codec.needs_input
        return waits and self._source.size < self._wanted

    @property
    def complete(self) -> bool:
        """Whether a stream has ended, and nothing followed it so far."""
        return self._codec is None and self._members > 0 and not self._source.size

    def read(self, max_length: int) -> bytes:
        """Return at most `max_length` bytes; none if input is wanting."""
        while (codec := self._codec or self._begin()) is not None:
            offset = self._origin.position
            data: bytes | memoryview = b""
            if codec.needs_input:
                data = self._source.take(self._step)
                if not data:
                    break
                self._step = min(2 * self._step, STEP)
            fault: str | None = None
            try:
                out = codec.decompress(data, max_length)
            except codec.error as exc:
                fault = str(exc)
            if fault is not None:
                # Not where `exc` is: it would be the context, and keep what its frames hold.
                raise ContentEncodingError(
                    f"bad {self._coding} data: {fault}", rule="coding-data", offset=offset
                )
            if out:
                self._count(len(out))
            if codec.eof:
                self._end(len(codec.unused_data))
            if out:
                return out
        return b""

    def finish(self) -> None:
        """Check that the input, which is all used, ended where it may."""
        if self._codec is not None or not self._members:
            raise ContentEncodingError(
                f"the body ends within its {self._coding} data",
                rule="coding-truncated",
                offset=self._origin.position,
            )
        if self._source.size:
            raise self._trailing()

    def _begin(self) -> Decompressor | None:
        coding = self._coding
        size, begins_member = _MEMBERS.get(coding, _NO_MEMBERS)
        if not self._members and coding != "deflate":
            size = 1  # what is wrong with it, the codec will say
        self._wanted = size
        head = self._source.peek(size)
        if len(head) < size:
            return None
        if not begins_member(head):
            if self._members:
                raise self._trailing()
            if coding == "deflate":
                self._coding = coding = RAW_DEFLATE
        self._wanted = 1
        self._members += 1
        self._codec = DECOMPRESSORS[coding]()
        return self._codec

    def _end(self, unused: int) -> None:
        self._source.give_back(unused)
        self._codec = None
        self._step = _MEMBER_STEP
        self._empty_members = 0 if self._yielded else self._empty_members + 1
        self._yielded = False
        if self._empty_members > (allowed := self._limits.max_empty_members):
            raise ContentEncodingError(
                f"{self._empty_members} empty {self._coding} streams in a row "
                f"with max_empty_members={allowed}",
                rule="coding-empty-members",
                status_hint=413,
                offset=self._origin.position,
                limit="max_empty_members",
                value=self._empty_members,
                allowed=allowed,
            )

    def _count(self, size: int) -> None:
        self._yielded = True
        self.total_out += size
        limits = self._limits
        coded = self._origin.position
        # Against what the whole chain was given: what lies between two codings is a bomb
        # too, although nobody may ever see it.
        if (
            limits.max_ratio is not None
            and self.total_out > limits.ratio_grace
            and self.total_out > limits.max_ratio * coded
        ):
            ratio = -(-self.total_out // coded)
            raise ContentEncodingError(
                f"the body decodes to {ratio} times its size with max_ratio={limits.max_ratio}",
                rule="coding-ratio",
                status_hint=413,
                offset=coded,
                limit="max_ratio",
                value=ratio,
                allowed=limits.max_ratio,
            )
        # The same for the size. Coded data is larger than its content only by its framing,
        # which counts where the content is small.
        if limits.max_size is not None and self.total_out > 2 * limits.max_size + STEP:
            raise too_large(self.total_out, limits.max_size, coded)

    def _trailing(self) -> ContentEncodingError:
        return ContentEncodingError(
            f"something follows the {self._coding} data",
            rule="coding-trailing-data",
            offset=self._origin.position,
        )


def too_large(size: int, allowed: int, offset: int) -> ContentEncodingError:
    return ContentEncodingError(
        f"the body decodes to at least {size} bytes with max_size={allowed}",
        rule="coding-size",
        status_hint=413,
        offset=offset,
        limit="max_size",
        value=size,
        allowed=allowed,
    )
