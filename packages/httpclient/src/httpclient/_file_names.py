"""Names of files that a server chooses, made harmless."""

from __future__ import annotations

import re
import unicodedata
import warnings
from typing import Final
from urllib.parse import unquote

from yarl import URL

from httpcore_proto import content_disposition_filename, parse_content_disposition

# Bytes in UTF-8. Most file systems take 255; a part file's name is longer than that of the file.
_MAX_NAME: Final = 200
_MAX_SUFFIX: Final = 20
# Names of no file on Windows, or of a stream within one. Slashes are dealt with before.
_FORBIDDEN: Final = re.compile(r'[<>:"|?*]')
_DEVICE: Final = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3])(?=[. ]|\Z)",
    re.IGNORECASE,
)


def safe_name(name: str) -> str:
    """Return a name that is that of a plain file, wherever it is written.

    What stands before the last slash or backslash is dropped, as RFC 6266 section 4.3 asks
    for. So are control and formatting characters, which make a terminal or an eye see
    another name; leading dots, which would make a hidden file, such as a shell's start file;
    and blanks and dots at the end, which Windows drops.

    Args:
        name: What a server sent; anything.

    Returns:
        The name, at most 200 bytes in UTF-8; empty if nothing is left.
    """
    # Nothing of a name before its last characters can matter, however long it is.
    name = re.split(r"[/\\]", name)[-1][: _MAX_NAME * 4]
    name = "".join(char for char in name if unicodedata.category(char)[0] != "C")
    name = _FORBIDDEN.sub("_", name).lstrip(". \t\u00a0").rstrip(". ")
    if _DEVICE.match(name) is not None:
        name = f"_{name}"
    return _cut(name)


def _cut(name: str) -> str:
    """Shorten a name, and keep its suffix."""
    encoded = name.encode()
    if len(encoded) <= _MAX_NAME:
        return name
    dot = encoded.rfind(b".")
    suffix = encoded[dot:] if dot > 0 and len(encoded) - dot <= _MAX_SUFFIX else b""
    return (encoded[: _MAX_NAME - len(suffix)] + suffix).decode(errors="ignore")


def name_of_url(url: URL) -> str:
    """Return a name for what is at a URL: its last segment, else its host."""
    # Percent signs are undone here, since yarl leaves `%2F` alone and a file system does not.
    return safe_name(unquote(url.raw_name)) or safe_name(url.host or "") or "download"


def name_of_disposition(value: str | None) -> str | None:
    """Return the name in a Content-Disposition field.

    Args:
        value: The field's value, or None if there was none.

    Returns:
        None if the field names nothing that can be used.
    """
    with warnings.catch_warnings():
        # A malformed field is the server's affair, and the URL has a name as well.
        warnings.simplefilter("ignore")
        _, params = parse_content_disposition(value)
    return safe_name(content_disposition_filename(params) or "") or None
