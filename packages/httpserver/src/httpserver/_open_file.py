"""Files that are open for being sent, opened in a worker thread.

What is told of a file (size, date, kind) is what the descriptor says, so that it is about
the very file that is sent, whatever happens to its name meanwhile.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import stat
from typing import Final

from httpcore_proto import choose_coding

_logger = logging.getLogger("httpserver.server")

#: Content codings and the suffixes of files in them, the preferred one first.
VARIANTS: Final[dict[str, str]] = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

# Not to hang on a pipe, and not to get a terminal. Windows has neither.
_FLAGS: Final[int] = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_NO_FOLLOW: Final[int] = getattr(os, "O_NOFOLLOW", 0)
_OUR_FAULT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO})


class OpenFile(io.FileIO):
    """A regular file, open for reading; closes itself when nobody has it any more.

    Args:
        path: Where it is.
        follow: Whether the last part of `path` may be a symbolic link.
        checked: Whether it was just seen to be a regular file.

    Attributes:
        facts: As `os.fstat` tells them.
        coding: The content coding that the file is in; None for none.
        has_variants: Whether the file exists in several codings.

    Raises:
        PermissionError: It may not be read, or is not a regular file.
        OSError: There is no such file, or it cannot be opened.
        ValueError: No file has such a name.
    """

    def __init__(self, path: str, *, follow: bool = True, checked: bool = False) -> None:
        if not checked:
            # Opening alone does things to some devices.
            _check_regular(os.stat(path, follow_symlinks=follow), path)
        flags = _FLAGS if follow else _FLAGS | _NO_FOLLOW
        super().__init__(path, opener=lambda name, mode: os.open(name, mode | flags))
        self.facts: os.stat_result = os.fstat(self.fileno())
        self.coding: str | None = None
        self.has_variants: bool = False
        if not stat.S_ISREG(self.facts.st_mode):
            self.close()  # it was replaced in between
        _check_regular(self.facts, path)

    def __del__(self) -> None:
        # A task that is cancelled while a thread opens leaves a file that nobody takes.
        self.close()


def _check_regular(facts: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise PermissionError(errno.EACCES, "not a regular file", path)


def open_variant(
    path: str, accept_encoding: str | None, *, follow: bool = True, checked: bool = False
) -> OpenFile:
    """Open a file, or one beside it that has the same content in a coding.

    Args:
        path: Where the file is; the variants have the suffixes of `VARIANTS` after that,
            and are no symbolic links.
        accept_encoding: What the client accepts; None if it does not say.
        follow: As of `OpenFile`.
        checked: As of `OpenFile`.

    Raises:
        OSError: As of `OpenFile`, about the file that has no coding.
        ValueError: No file has such a name.
    """
    offers = [coding for coding, suffix in VARIANTS.items() if _is_regular(path + suffix)]
    opened: OpenFile | None = None
    if offers:
        opened = _open_best(path, accept_encoding, list(offers))
    if opened is None:
        opened = OpenFile(path, follow=follow, checked=checked)
    opened.has_variants = bool(offers)
    return opened


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _open_best(path: str, accept_encoding: str | None, offers: list[str]) -> OpenFile | None:
    while (coding := choose_coding(accept_encoding, offers)) is not None:
        try:
            opened = OpenFile(path + VARIANTS[coding], follow=False, checked=True)
        except OSError:
            offers.remove(coding)  # unreadable, or gone again
        else:
            opened.coding = coding
            return opened
    return None


def refusal(exc: OSError | ValueError) -> int:
    """Return the status of the answer if a file cannot be opened.

    403 if it is not for us or no file at all, 404 if there is none, and 503 if the server is
    out of something, which must not look as if there were no such file.
    """
    if isinstance(exc, ValueError):
        return 404  # a NUL, or characters that no file name has
    if exc.errno in _OUR_FAULT:
        _logger.error("cannot open a file to send: %s", exc)
        return 503
    return 403 if isinstance(exc, PermissionError) else 404
