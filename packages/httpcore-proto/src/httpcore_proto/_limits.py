"""Limits of one connection's parser: one record, every bound of it on by default."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

# The parser counts in 32 bits, and a head and a trailer section may have to fit at once.
_LARGEST: Final = 2**30


def check_bounds(record: Any, largest: int) -> None:
    """Check that each field of a dataclass is 1 to `largest`, or None where that is its default.

    Raises:
        ValueError: One is not.
    """
    for field in fields(record):
        value = getattr(record, field.name)
        if value is None and field.default is None:
            continue
        if value is None or not 1 <= value <= largest:
            raise ValueError(f"{field.name}={value!r}: expected 1 to {largest}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what a peer may send in heads, trailers and chunk framing.

    Sizes are bytes on the wire, counts are items; every bound is inclusive. The first
    three defaults are aiohttp's. A message over a bound raises
    `RemoteProtocolError`, which names the field
    of this record. Bodies are not limited here: whoever reads them knows how large
    they may be.

    Attributes:
        max_line_size: Request target or reason phrase, and one chunk-size line.
        max_field_size: Name and value of one header or trailer field together.
        max_headers: Fields of one message, its trailers included.
        max_head_size: Target or reason and all fields of one head together, likewise
            one trailer section. 64 KiB: twice what nginx and Node.js allow by default.
        max_chunk_extension_size: Chunk extensions of one message together, since they
            move no body (RFC 9112 section 7.1.1). 16 KiB, as in Node.js.

    Raises:
        ValueError: A bound is not between 1 and 2**30.
    """

    max_line_size: int = 8190
    max_field_size: int = 8190
    max_headers: int = 128
    max_head_size: int = 65536
    max_chunk_extension_size: int = 16384

    def __post_init__(self) -> None:
        check_bounds(self, _LARGEST)


DEFAULT_LIMITS: Final = Limits()
