"""A file that is being downloaded, and what is known about it, on disk.

Beside `NAME` lies `.NAME.part` with the bytes that there are, and `.NAME.part.json` with
what they belong to. Everything here blocks, and is called in worker threads.

A part is locked as long as it is open, so that two downloads cannot write the same one.
A power failure may leave a part whose last bytes are wrong; only a digest tells.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import FileIO
from typing import Final

from httpcore_proto import parse_if_range

# No link is followed to a file that is somebody's, and no FIFO waited for. Not every system
# has each of these.
_FLAGS: Final[int] = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)
# The side file has four short entries.
_MAX_STATE: Final = 65536
# Longer names leave no room for what is put around them; file systems take 255 bytes.
_MAX_NAME: Final = 240
# How much is hashed in one call, some tenths of a second, so that it can be cancelled between.
_HASH_STEP: Final = 2**26
_BLOCK: Final = 2**20


@dataclass(frozen=True, slots=True)
class PartState:
    """What the bytes of a part belong to.

    Attributes:
        source: Stands for the URL; not the URL itself, which may hold secrets.
        validator: Value for If-Range: a strong entity tag or a date. None if the server
            gave neither, and the part cannot be gone on with.
        total: Length of the whole in bytes, if known.
        filename: Name that the server gave, made safe.
    """

    source: str
    validator: str | None = None
    total: int | None = None
    filename: str | None = None


class PartFile:
    """An open part file.

    Args:
        directory: Where the file is going to be.
        name: Its name, or one that stands for it.
        source: What it is downloaded from.
        algorithm: Name of the hash to compute along with it, or None.
        resume: Whether to keep what is there if it is from `source`.

    Attributes:
        size: Bytes that there are.
        state: What they belong to.

    Raises:
        BlockingIOError: Somebody else has it open.
        OSError: It cannot be opened.
    """

    def __init__(
        self, directory: str, name: str, source: str, algorithm: str | None, *, resume: bool
    ) -> None:
        if len(os.fsencode(name)) > _MAX_NAME:
            name = hashlib.sha256(os.fsencode(name)).hexdigest()
        self._path = os.path.join(directory, f".{name}.part")
        self._state_path = f"{self._path}.json"
        self._directory = directory
        self._algorithm = algorithm
        # A write whose task was cancelled may still be under way in its thread.
        self._lock = threading.Lock()
        self._file: FileIO | None = _open(self._path)
        self._hash = None if algorithm is None else hashlib.new(algorithm, usedforsecurity=False)
        self._hashed = 0
        state = self._load() if resume else None
        self.size: int = os.stat(self._path).st_size
        if (
            state is None
            or state.source != source
            or state.validator is None
            or (state.total is not None and state.total < self.size)
        ):
            state = PartState(source)
            self.size = 0
        self.state: PartState = state

    @property
    def resumable(self) -> bool:
        """Whether there are bytes, and a way to ask for those that follow."""
        return self.size > 0 and self.state.validator is not None

    def begin(self, state: PartState) -> None:
        """Drop the bytes that there are; those to come belong to `state`."""
        with self._lock:
            file = self._opened()
            # In this order: at no time do old bytes lie beside a new state.
            file.truncate(0)
            self.size = self._hashed = 0
            self.state = state
            if self._algorithm is not None:
                self._hash = hashlib.new(self._algorithm, usedforsecurity=False)
            _remove(self._state_path)  # whatever it is
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS
            with open(os.open(self._state_path, flags, 0o600), "w", encoding="utf-8") as out:
                json.dump({"version": 1, **asdict(state)}, out)

    def write(self, pieces: Sequence[bytes]) -> None:
        """Append bytes.

        Raises:
            OSError: They cannot be written, some of them perhaps.
        """
        with self._lock:
            self._append(self._opened(), pieces)

    def catch_up(self) -> bool:
        """Hash some of the bytes that were there before.

        Returns:
            Whether all are hashed.
        """
        with self._lock:
            file = self._opened()
            if self._hash is None:
                return True
            file.seek(self._hashed)
            stop = min(self.size, self._hashed + _HASH_STEP)
            while self._hashed < stop and (block := file.read(min(_BLOCK, stop - self._hashed))):
                self._hash.update(block)
                self._hashed += len(block)
            return self._hashed == self.size

    def digest(self) -> str:
        """Return the hash of all bytes, in lower-case hexadecimal digits."""
        assert self._hash is not None
        return self._hash.hexdigest()

    def finish(self, target: str, *, overwrite: bool) -> None:
        """Make the part the file, in one step, and close it.

        Args:
            target: Path of the file, in the same directory.
            overwrite: Whether a file that is there is replaced.

        Raises:
            FileExistsError: There is one, and it is not; the part is kept.
            OSError: The part cannot be written to disk, or not get that name.
        """
        with self._lock:
            file = self._opened()
            os.fsync(file.fileno())
            if os.name == "nt":  # pragma: no cover - open files cannot be renamed there
                file.close()
            if overwrite:
                os.replace(self._path, target)
            else:
                _rename_new(self._path, target)
            self._close()
            _remove(self._state_path)
            _sync_directory(self._directory)

    def discard(self) -> None:
        """Remove the part, and close it."""
        with self._lock:
            if self._file is not None:
                try:
                    _remove(self._path)
                    _remove(self._state_path)
                finally:
                    self._close()

    def close(self) -> None:
        """Close the part; remove it unless it can be gone on with. Idempotent."""
        if self.resumable:
            with self._lock:
                self._close()
        else:
            self.discard()

    def _append(self, file: FileIO, pieces: Sequence[bytes]) -> None:
        data = b"".join(pieces)
        file.seek(self.size)
        rest = memoryview(data)
        while rest:
            written = file.write(rest)
            # Counted at once: what follows may fail, for want of room.
            self.size += written
            rest = rest[written:]
        if self._hash is not None:
            self._hash.update(data)
            self._hashed += len(data)

    def _opened(self) -> FileIO:
        if self._file is None:
            raise ValueError("the part file is closed")
        return self._file

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _load(self) -> PartState | None:
        """Return what the side file says, or None if it says nothing that can be used."""
        try:
            with open(os.open(self._state_path, os.O_RDONLY | _FLAGS), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return None
                found = json.loads(file.read(_MAX_STATE))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(found, dict) or found.pop("version", None) != 1:
            return None
        try:
            state = PartState(**found)
        except TypeError:
            return None
        return state if _makes_sense(state) else None


def _makes_sense(state: PartState) -> bool:
    return (
        isinstance(state.source, str)
        and isinstance(state.validator, str)
        and parse_if_range(state.validator) is not None
        and (state.total is None or type(state.total) is int)
        and (state.filename is None or isinstance(state.filename, str))
    )


def _open(path: str) -> FileIO:
    """Open and lock a part file, a new one if there is none."""
    file = _open_locked(path, 0)
    if not _is_own(os.fstat(file.fileno())):
        # Where others may write, one of them may have put it there, to have a file of
        # somebody's overwritten, or to change what is downloaded. Only its name goes.
        file.close()
        os.unlink(path)
        file = _open_locked(path, os.O_EXCL)
    return file


def _open_locked(path: str, flags: int) -> FileIO:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS | flags, 0o666)
    file = FileIO(descriptor, "r+b")
    try:
        _lock(descriptor, path)
    except BaseException:
        file.close()
        raise
    return file


def _is_own(info: os.stat_result) -> bool:
    """Whether it is an ordinary file, with one name, of this user's."""
    foreign = hasattr(os, "geteuid") and info.st_uid != os.geteuid()
    return stat.S_ISREG(info.st_mode) and info.st_nlink == 1 and not foreign


def _lock(descriptor: int, path: str) -> None:
    """Lock a file, where the system can.

    Raises:
        BlockingIOError: It is locked, or another one by now.
    """
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # Whoever had the lock may have renamed the file in between.
    try:
        same = os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        same = False
    if not same:
        raise BlockingIOError(errno.EAGAIN, "just finished by another download", path)


def _rename_new(path: str, target: str) -> None:
    """Rename a file, and replace none."""
    if os.name == "nt":  # pragma: no cover - rename replaces nothing there
        os.rename(path, target)
        return
    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links; somebody may come between the two steps.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        os.rename(path, target)
    else:
        os.unlink(path)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _sync_directory(path: str) -> None:
    """Have the new name written to disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
