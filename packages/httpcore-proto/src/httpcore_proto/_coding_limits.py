"""Limits of what the content codings of one body may unfold to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class CodingLimits:
    """Bounds on the content codings of one body; each is inclusive.

    A body over a bound raises `ContentEncodingError`, which names the field of this record.

    Attributes:
        max_size: Decoded bytes in all. None for no bound: whoever reads a body knows how
            large it may be, and decoding stops when nobody reads.
        max_ratio: How many decoded bytes may come out of each coded byte, over the body so
            far; None for no bound. 200 is what Apache's mod_deflate allows. Text stays below
            30; deflate cannot get above 1032, br and zstd can.
        ratio_grace: Decoded bytes up to which the ratio does not count: 1 MiB, since what is
            small does no harm, and the first bytes of a body may well be all alike.
        max_codings: Codings applied one after the other; 5 as in urllib3.
        max_empty_members: gzip members, zlib streams or zstd frames in a row that decode to
            nothing: they cost time and move no other bound. 1024 is aiohttp's number.

    Raises:
        ValueError: A bound is below 1, `ratio_grace` below 0.
    """

    max_size: int | None = None
    max_ratio: int | None = 200
    ratio_grace: int = 2**20
    max_codings: int = 5
    max_empty_members: int = 1024

    def __post_init__(self) -> None:
        for name in ("max_size", "max_ratio", "max_codings", "max_empty_members"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value!r}: expected 1 or more")
        if self.ratio_grace < 0:
            raise ValueError(f"ratio_grace={self.ratio_grace!r}: expected 0 or more")


DEFAULT_CODING_LIMITS: Final = CodingLimits()
