"""Downloads to files: gone on with where they broke off, checked, and renamed when complete.

The course of one. The bytes go to a part file (`_part_file.py`). As long as it is not
complete, the server is asked for what is missing, on the condition that nothing has
changed (If-Range, RFC 9110 section 13.1.5). Its answer is one of:

* 200: all of it, from the start; what there was is dropped.
* 206: what was asked for, or some of it (`_follow`); or of something else by now, though
  that is not what was asked for: then what there was is dropped, and all asked for.
* 416: there is no more, which is well if there are as many bytes as there should be.

When the connection breaks, all begins anew after a pause.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, Unpack

import anyio
from anyio import CancelScope
from anyio.to_thread import run_sync
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ._errors import (
    ClientConnectionError,
    ClientPayloadError,
    DownloadDigestError,
    DownloadError,
)
from ._file_names import name_of_disposition, name_of_url, safe_name
from ._part_file import PartFile, PartState
from ._partial_answer import is_nothing_left, rest_of, validator_of
from ._request_options import GetOptions
from ._timeouts import ClientTimeout
from ._url import destination, destination_below, with_params

if TYPE_CHECKING:
    from ._request_context import RequestContext
    from ._request_options import GetOptions
    from ._response import ClientResponse
    from ._session import ClientSession

#: Called with the bytes that there are, and with how many there will be, if that is known.
DownloadProgress: TypeAlias = Callable[[int, int | None], object]

# What is collected before a thread writes it: a hop costs some 50 us, one MiB some 500.
_BATCH: Final = 2**20
# Seconds without a byte after which a connection counts as broken, unless told otherwise.
_SOCK_READ: Final = 60.0
_MAX_PAUSE: Final = 30.0
_DIGEST: Final = re.compile(r"[0-9a-f]+")


class DownloadOptions(GetOptions, total=False):
    """Options of `ClientSession.download`; `download` tells what they mean."""

    resume: bool
    overwrite: bool | None
    progress: DownloadProgress | None
    digest: str | tuple[str, str] | None
    max_size: int | None
    max_resumes: int
    backoff: Callable[[int], float]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DownloadResult:
    """A file that was downloaded.

    Attributes:
        path: Where it is.
        size: Its length in bytes.
        resumed_from: How many of them were there from an earlier call; 0 if none, or if
            they were of no use.
        requests: How many requests it took.
        url: Where it came from, redirects followed.
        headers: Fields of the last answer with bytes of it.
        digest: Its digest as `sha256:0123...`, if one was asked for.
    """

    path: Path
    size: int
    resumed_from: int
    requests: int
    url: URL
    headers: CIMultiDictProxy[str]
    digest: str | None


def full_jitter(attempt: int) -> float:
    """Return a pause in seconds: at random, up to a bound that doubles from 1 to 30.

    Args:
        attempt: Which one it is, from 1.
    """
    return random.uniform(0, min(_MAX_PAUSE, 2.0 ** min(attempt - 1, 16)))


async def download(
    session: ClientSession,
    url: str | URL,
    path: str | os.PathLike[str],
    *,
    resume: bool = True,
    overwrite: bool | None = None,
    progress: DownloadProgress | None = None,
    digest: str | tuple[str, str] | None = None,
    max_size: int | None = None,
    max_resumes: int = 10,
    backoff: Callable[[int], float] = full_jitter,
    **options: Unpack[GetOptions],
) -> DownloadResult:
    """Download a URL to a file, which appears under its name only once it is complete.

    Until then the bytes are in `.NAME.part` beside it. If the connection breaks, or the
    call is cancelled, or the program ends, that is gone on with: by this call, or by a
    later one for the same URL and path. Whether it still belongs to what the server has is
    told by a strong entity tag, or by a Last-Modified that lies a minute behind Date.
    Where there is neither, all is fetched anew.

    The bytes are stored as the server sends them: it is asked not to encode them, and if
    it does all the same (Content-Encoding) they are not decoded.

    Args:
        session: Sends the requests.
        url: As for `ClientSession.request`.
        path: Of the file; a link is followed. Or of a directory: then the file gets the
            name that the server's Content-Disposition has for it, else the last segment
            of the URL; made harmless either way.
        resume: Whether to go on with what an earlier call left; else that is dropped.
        overwrite: Whether a file of that name is replaced. Unless given, one that `path`
            names is, and one that the server names is not.
        progress: Called in the event loop with the bytes that there are and their number
            in the end, or None if it is not known: when an answer begins, and whenever
            bytes came. It must return at once; what it raises ends the download.
        digest: What the file must have, `"sha256:0123..."` or `("sha256", "0123...")`;
            any hash of fixed length that `hashlib` guarantees.
        max_size: Most bytes of the file; None for no bound.
        max_resumes: How often to go on after a broken connection, in one call. An answer must
            have begun before.
        backoff: Gives the seconds to wait before that, from 1 for the first. Up to 30, at
            random, unless given.
        **options: As for `ClientSession.get`. A `total` time-out
            bounds the whole call. Unless `timeout` is given it is that of the session
            without `total`, and with a `sock_read` of 60 seconds if it has none.
            `raise_for_status` and `auto_decompress` have no effect.

    Returns:
        What there is now. Cancelled, nothing but the part is left.

    Raises:
        DownloadDigestError: The file has another digest; the part is removed.
        DownloadError: An answer is not what was asked for, `rule` says in which way; or
            there is no place for the file, or another download of it is under way.
        ClientResponseError: The status is 400 or above.
        ClientError: As for `ClientSession.request`; after `max_resumes` attempts to go on.
        FileExistsError: The file is there, and `overwrite` is false.
        OSError: The file cannot be written.
        TimeoutError: `total` passed.
        ValueError: An argument is out of range, or Range or If-Range is among `headers`.
    """
    algorithm, expected = (None, None) if digest is None else _parse_digest(digest)
    if max_resumes < 0:
        raise ValueError(f"max_resumes={max_resumes}: expected 0 or more")
    base_url = session._base_url
    to = destination(url) if base_url is None else destination_below(base_url, url)
    to = with_params(to, options.get("params"))
    asked = to.url.with_fragment(None)
    place = await run_sync(_find_place, os.fspath(path), asked, overwrite)
    timeout = _timeout(session, options)
    request = _Request(session, url, asked, options, dataclasses.replace(timeout, total=None))
    source = hashlib.sha256(str(asked).encode()).hexdigest()
    part = await run_sync(_open_part, place, source, algorithm, resume, asked)
    transfer = _Transfer(request, part, place, progress, max_size)
    try:
        with anyio.move_on_after(timeout.total or None):
            await transfer.run(max_resumes, backoff)
            return await transfer.finish(algorithm, expected)
        raise TimeoutError(f"total timeout of {timeout.total} s passed")
    finally:
        with CancelScope(shield=True):
            await run_sync(part.close)


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where the file is going to be; `name` is None if the server may choose it."""

    directory: str
    name: str | None
    name_of_url: str
    overwrite: bool

    def target(self, filename: str | None) -> str:
        """Return the path of the file, given the name that the server has for it."""
        name = self.name or safe_name(filename or "") or self.name_of_url
        return os.path.join(self.directory, name)

    def check(self, filename: str | None, url: URL) -> None:
        """Refuse a place that is taken. Blocks."""
        target = self.target(filename)
        if os.path.lexists(target):
            if not self.overwrite:
                why = "it is there already, and overwrite=True would replace it"
                raise FileExistsError(errno.EEXIST, why, target)
            if not os.path.isfile(target):
                raise DownloadError(f"{target} is not an ordinary file", "target", url)


def _find_place(path: str, url: URL, overwrite: bool | None) -> _Place:
    """Tell where a file goes. Blocks.

    Raises:
        DownloadError: The place is taken by what is no file.
        FileExistsError: It is taken, and not to be replaced.
        FileNotFoundError: There is no such directory.
    """
    name = name_of_url(url)
    if os.path.isdir(path):
        return _Place(os.path.realpath(path), None, name, bool(overwrite))
    if not os.path.basename(path):
        raise FileNotFoundError(errno.ENOENT, "there is no such directory", path)
    # The file that a link leads to is replaced, and not the link: so does a write.
    directory, own = os.path.split(os.path.realpath(path))
    place = _Place(directory, own, name, overwrite is not False)
    place.check(None, url)
    return place


def _open_part(
    place: _Place, source: str, algorithm: str | None, resume: bool, url: URL
) -> PartFile:
    name = place.name or place.name_of_url
    try:
        return PartFile(place.directory, name, source, algorithm, resume=resume)
    except BlockingIOError as exc:
        raise DownloadError(f"{exc.filename or name} is being downloaded", "busy", url) from exc


def _timeout(session: ClientSession, options: GetOptions) -> ClientTimeout:
    """Take the time-outs out of the options, or make those for a file from the session's."""
    if "timeout" in options:
        given = options.pop("timeout")
        if isinstance(given, ClientTimeout):
            return given
        return ClientTimeout(total=given)
    timeout = session.timeout
    return dataclasses.replace(timeout, total=None, sock_read=timeout.sock_read or _SOCK_READ)


def _parse_digest(digest: str | tuple[str, str]) -> tuple[str, str]:
    """Return name and hexadecimal digits of a digest, in lower case.

    Raises:
        ValueError: It is malformed, or the hash is not known.
    """
    if isinstance(digest, str):
        name, _, value = digest.partition(":")
    else:
        name, value = digest
    name, value = name.lower(), value.lower()
    if name not in hashlib.algorithms_guaranteed or name.startswith("shake"):
        raise ValueError(
            f"hash {name[:80]!r} is unknown, or of no fixed length; 'sha256:0123...' is usual"
        )
    size = hashlib.new(name, usedforsecurity=False).digest_size * 2
    if len(value) != size or _DIGEST.fullmatch(value) is None:
        raise ValueError(f"a digest of {name} has {size} hexadecimal digits, not {value[:200]!r}")
    return name, value


class _Request:
    """The request that is sent, again and again."""

    def __init__(
        self,
        session: ClientSession,
        url: str | URL,
        asked: URL,
        options: GetOptions,
        timeout: ClientTimeout,
    ) -> None:
        self._session = session
        self._url = url
        self._headers = CIMultiDict(options.get("headers") or ())
        if "Range" in self._headers or "If-Range" in self._headers:
            raise ValueError("Range and If-Range are up to the download, and not for headers")
        self._headers["Accept-Encoding"] = "identity"
        self._options: dict[str, Any] = {
            **options,
            "timeout": timeout,
            "raise_for_status": False,
            "auto_decompress": False,
        }
        #: What is asked for.
        self.asked: URL = asked

    def send(self, offset: int, validator: str | None) -> RequestContext:
        """Ask for the bytes from `offset` on, or for all if it is 0."""
        headers = self._headers.copy()
        if offset and validator is not None:
            headers["Range"] = f"bytes={offset}-"
            headers["If-Range"] = validator
        return self._session.get(self._url, **{**self._options, "headers": headers})


class _Transfer:
    """One call of `download`, once the part file is open."""

    def __init__(
        self,
        request: _Request,
        part: PartFile,
        place: _Place,
        progress: DownloadProgress | None,
        max_size: int | None,
    ) -> None:
        self._request = request
        self._part = part
        self._place = place
        self._progress = progress
        self._max_size = max_size
        self._pieces: list[bytes] = []
        self._pending = 0  # bytes in them
        self._begun = False  # whether an answer began in this call
        self._requests = 0
        self._resumed_from = part.size if part.resumable else 0
        self._url = request.asked
        self._headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())

    def _error(self, message: str, rule: str) -> DownloadError:
        return DownloadError(message, rule, self._request.asked)

    async def run(self, max_resumes: int, backoff: Callable[[int], float]) -> None:
        """Fetch what is missing."""
        while not await run_sync(self._part.catch_up):
            pass
        resumes = 0
        while True:
            try:
                if await self._attempt():
                    return
                continue
            except (ClientConnectionError, ClientPayloadError):
                if not self._begun or resumes >= max_resumes:
                    raise
            except DownloadError as exc:
                if exc.rule == "too-long":
                    await self._start_over()  # who knows which of them are right
                if exc.rule != "too-short" or resumes >= max_resumes:
                    raise
            resumes += 1
            await anyio.sleep(backoff(resumes))

    async def finish(self, algorithm: str | None, expected: str | None) -> DownloadResult:
        """Check the part, and make it the file."""
        part, asked = self._part, self._request.asked
        actual: str | None = None
        if algorithm is not None:
            actual = f"{algorithm}:{part.digest()}"
            if actual != f"{algorithm}:{expected}":
                await run_sync(part.discard)
                raise DownloadDigestError(f"{algorithm}:{expected}", actual, asked)
        filename = part.state.filename
        await run_sync(self._place.check, filename, asked)
        target = self._place.target(filename)
        with CancelScope(shield=True):
            await run_sync(lambda: part.finish(target, overwrite=self._place.overwrite))
        return DownloadResult(
            path=Path(target),
            size=part.size,
            resumed_from=self._resumed_from,
            requests=self._requests,
            url=self._url,
            headers=self._headers,
            digest=actual,
        )

    async def _attempt(self) -> bool:
        """Ask once, and store what comes.

        Returns:
            Whether the part is complete.
        """
        part = self._part
        offset = part.size if part.resumable else 0
        async with self._request.send(offset, part.state.validator) as response:
            self._requests += 1
            if response.status == 200:
                end = await self._start(response)
            elif response.status == 206 and offset:
                follow = self._follow(response, offset)
                if follow is None:
                    await self._start_over()
                    return False
                end = follow
            elif response.status == 416 and offset:
                if is_nothing_left(response.headers, offset, part.state):
                    self._url, self._headers = response.url, response.headers
                    return True
                await self._start_over()
                return False
            else:
                response.raise_for_status()
                raise self._error(f"status {response.status} is no answer with a file", "status")
            self._begun = True
            self._url, self._headers = response.url, response.headers
            await self._receive(response, end)
        total = part.state.total
        return total is None or part.size == total

    async def _start(self, response: ClientResponse) -> int | None:
        """Begin with an answer that has all; return where it ends."""
        headers = response.headers
        total = response.content_length
        self._check_size(total or 0)
        filename = name_of_disposition(headers.get("Content-Disposition"))
        await run_sync(self._place.check, filename, self._request.asked)
        self._resumed_from = 0
        source = self._part.state.source
        state = PartState(source, validator_of(headers), total, filename)
        await run_sync(self._part.begin, state)
        return total

    async def _start_over(self) -> None:
        """Drop what there is: it is not of what the server has now."""
        self._resumed_from = 0
        await run_sync(self._part.begin, PartState(self._part.state.source))

    def _follow(self, response: ClientResponse, offset: int) -> int | None:
        """Go on with a partial answer; return where it ends, or None if it is of no use."""
        part = self._part
        try:
            rest = rest_of(response.headers, response.content_length, offset, part.state)
        except ValueError as exc:
            raise self._error(f"206 with a wrong Content-Range: {exc}", "content-range") from exc
        if rest is None:
            return None
        self._check_size(rest.total)
        part.state = dataclasses.replace(part.state, total=rest.total)
        return rest.end

    def _check_size(self, size: int) -> None:
        if self._max_size is not None and size > self._max_size:
            text = f"{size} bytes or more, but max_size allows {self._max_size}"
            raise self._error(text, "max-size")

    async def _receive(self, response: ClientResponse, end: int | None) -> None:
        """Store a body that ends at byte `end` of the file."""
        size = self._part.size
        total = self._part.state.total
        self._tell(size, total)
        try:
            while piece := await response.content.readany():
                size += len(piece)
                self._check_size(size)
                if end is not None and size > end:
                    raise self._error(f"more bytes than up to {end}, as announced", "too-long")
                self._pieces.append(piece)
                self._pending += len(piece)
                if self._pending >= _BATCH:
                    await self._flush()
                self._tell(size, total)
        finally:
            with CancelScope(shield=True):
                await self._flush()
        if end is not None and size < end:
            raise self._error(f"{size} bytes, but {end} were announced", "too-short")

    async def _flush(self) -> None:
        pieces, self._pieces, self._pending = self._pieces, [], 0
        if pieces:
            await run_sync(self._part.write, pieces)

    def _tell(self, size: int, total: int | None) -> None:
        if self._progress is not None:
            self._progress(size, total)
