"""How a request tells what its body is like: its length, its coding, and `Expect`.

Framing fields are the protocol machine's to write; here is decided which of them it gets to
see. Functions on lists of fields, without I/O.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from httpcore_proto import supported_codings

Pairs: TypeAlias = list[tuple[str, str]]

# RFC 9110 section 8.6: other methods announce that they have no body.
METHODS_WITHOUT_LENGTH: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_NO_LENGTH: Final = ("Content-Length", "0")
_CHUNKED: Final = ("Transfer-Encoding", "chunked")
_EXPECT: Final = ("Expect", "100-continue")
_ONLY_WITH_BODY: Final = frozenset({"transfer-encoding", "expect"})
#: Of a Content-Length that fits into 64 bits.
MAX_DIGITS: Final = 19


def content_coding(compress: str | bool) -> str:
    """Return the name of the coding that `compress` asks for.

    Args:
        compress: True for deflate, which is what aiohttp makes of it; or a name.

    Raises:
        ValueError: There is no such coding here.
    """
    name = "deflate" if compress is True else str(compress)
    if name not in supported_codings():
        raise ValueError(
            f"compress={compress!r}: expected True or one of {', '.join(supported_codings())}"
        )
    return name


def frame_body(
    pairs: Pairs,
    names: frozenset[str],
    *,
    size: int | None,
    leave_length: bool = False,
    chunked: bool | None = None,
    compress: str | bool | None = None,
    expect100: bool = False,
    http10: bool = False,
) -> tuple[str | None, bool]:
    """Complete the fields of a request that has a body.

    Args:
        pairs: Fields of the request; what is missing is added, what must not stay removed.
        names: Names of all its fields in lower case, those that stand elsewhere included.
        size: Bytes of the body before its coding; None if that is not known.
        leave_length: Whether the machine will find a missing Content-Length by itself, as
            it does for what is one write.
        chunked: True to send it in chunks, False never to.
        compress: The coding to apply, unless the body is empty.
        expect100: Whether to ask the server before the body is sent.
        http10: The request is HTTP/1.0, which has neither chunks nor expectations.

    Returns:
        The coding to apply, and whether to wait for the server.

    Raises:
        ValueError: What was asked for contradicts itself, or the fields of the caller.
    """
    expects = _expect(pairs, names, expect100, allowed=size != 0 and not http10)
    coding = content_coding(compress) if compress else None
    if size == 0:
        coding = None
    if coding is not None:
        if "content-encoding" in names:
            raise ValueError(
                "compress goes with no Content-Encoding header: with one the body is sent as it is"
            )
        pairs.append(("Content-Encoding", coding))
    has_length, has_chunks = "content-length" in names, "transfer-encoding" in names
    if has_length and has_chunks:
        raise ValueError("a request has a Content-Length or a Transfer-Encoding header, not both")
    if chunked and (has_length or has_chunks):
        raise ValueError(
            "chunked=True goes with neither a Content-Length nor a Transfer-Encoding header"
        )
    if has_length:
        if coding is not None:
            raise ValueError("compress goes with no Content-Length header: the length changes")
        if size is not None:
            _check_length(pairs, size)
    elif has_chunks or chunked or coding is not None or size is None:
        if chunked is False:
            raise ValueError(
                "chunked=False needs a body whose length is known, or a Content-Length header; "
                "no Transfer-Encoding header, and no compress"
            )
        if http10:
            raise ValueError(
                "HTTP/1.0 has no chunks: the length of the body must be known, or given as a "
                "Content-Length header; no compress"
            )
        if not has_chunks:
            pairs.append(_CHUNKED)
    elif not leave_length or expects:
        pairs.append(("Content-Length", str(size)))
    return coding, expects


def frame_nothing(pairs: Pairs, names: frozenset[str], method: str) -> None:
    """Complete the fields of a request without a body.

    No body has no framing: chunks of nothing behind a GET are what request smuggling is
    made of. Nor may it come with an expectation (RFC 9110 section 10.1.1).
    """
    if not names.isdisjoint(_ONLY_WITH_BODY):
        pairs[:] = [
            field
            for field in pairs
            if field[0].lower() != "transfer-encoding" and not _is_expectation(field)
        ]
    if method not in METHODS_WITHOUT_LENGTH and "content-length" not in names:
        pairs.append(_NO_LENGTH)


def _expect(pairs: Pairs, names: frozenset[str], expect100: bool, *, allowed: bool) -> bool:
    """See that the expectation is there if it is to be, and not otherwise; whether it is."""
    given = "expect" in names and any(map(_is_expectation, pairs))
    expects = allowed and (expect100 or given)
    if expects and not given:
        pairs.append(_EXPECT)
    elif given and not expects:
        pairs[:] = [field for field in pairs if not _is_expectation(field)]
    return expects


def _is_expectation(field: tuple[str, str]) -> bool:
    # Names fold case in ASCII alone for the machine refuses all others.
    name, value = field
    return name.lower() == "expect" and value.strip(" \t").lower() == "100-continue"


def _check_length(pairs: Pairs, size: int) -> None:
    for name, value in pairs:
        if name.lower() == "content-length" and not (
            value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS and int(value) == size
        ):
            raise ValueError(f"Content-Length is {value[:80]!r}, but the body has {size} bytes")
