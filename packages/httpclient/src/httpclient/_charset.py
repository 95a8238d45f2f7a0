"""Which codec turns a body into text: what is declared, else UTF-8, else a guess."""

from __future__ import annotations

from typing import Final

from httpcore_proto import ContentType, codec_for_charset

# Bytes that a guess is made from; guessing takes some milliseconds with so many.
_WINDOW: Final = 2**16
# Of these so many are before the first one that is not UTF-8: letters may be there that are,
# but mostly ASCII, which fits many charsets and tells nothing.
_BEFORE: Final = 256
_DEFAULT: Final = "utf-8"


def declared_codec(content_type: ContentType) -> str | None:
    """Return the codec that a Content-Type decides on; None if it leaves that open.

    That is the charset that it names, if Python has it, and UTF-8 for JSON (RFC 8259
    section 8.1), RDAP (RFC 7483 section 3) included.
    """
    charset = content_type.charset
    if charset is not None and (name := codec_for_charset(charset)) is not None:
        return name
    if content_type.is_json or content_type.media_type == "application/rdap":
        return _DEFAULT
    return None


def guess_codec(body: bytes) -> str:
    """Return UTF-8 if a body decodes as that, else what `detect_codec` says."""
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        return detect_codec(body, exc.start)
    return _DEFAULT


def detect_codec(body: bytes, wrong: int) -> str:
    """Return what chardet takes a body for; UTF-8 if it has no idea, as with binary data.

    The first call in a process takes a tenth of a second, to load the tables.

    Args:
        body: The whole body.
        wrong: Position of the first byte that is not UTF-8.
    """
    # Not needed by most programs, and not small.
    import chardet

    # At a multiple of four, which no code unit lies across.
    start = max(0, wrong - _BEFORE) & ~3
    window = body[start : start + _WINDOW]
    # Not what chardet calls a superset: of ISO-8859-2 that is windows-1250, which has other
    # letters in the same places. Its default becomes that with version 8.
    found = chardet.detect(window, prefer_superset=False)["encoding"]
    return (codec_for_charset(found) if found is not None else None) or _DEFAULT
