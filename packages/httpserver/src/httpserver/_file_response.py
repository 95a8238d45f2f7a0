"""A file as a response."""

from __future__ import annotations

import mimetypes
import os
import time
from functools import lru_cache
from typing import Final, Protocol, cast

from httpcore_proto import ContentRange, ETag, HeadersLike, format_http_date

from ._exchange import Preparable
from ._file_threads import in_thread
from ._open_file import OpenFile, open_variant, refusal
from ._preconditions import Validators, check_preconditions, requested_range
from ._response_head import OCTET_STREAM
from ._stream_response import StreamResponse

#: Media types by suffix: those that Python knows, whatever the machine says, and some more.
#: What is packed is of the type of its packing: only `Content-Encoding` undoes one.
MEDIA_TYPES: Final[dict[str, str]] = {
    **mimetypes.MimeTypes().types_map[True],
    ".avif": "image/avif",
    ".br": "application/x-brotli",
    ".bz2": "application/x-bzip2",
    ".gz": "application/gzip",
    ".js": "text/javascript",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".tgz": "application/gzip",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xz": "application/x-xz",
    ".z": "application/x-compress",
    ".zst": "application/zstd",
}


_date: Final = lru_cache(maxsize=1024)(format_http_date)


class _Asked(Protocol):
    """A request, as far as conditions and ranges know it."""

    @property
    def method(self) -> str: ...


class FileResponse(StreamResponse):
    """A response with the content of a file.

    `prepare` opens the file in a worker thread, evaluates conditions and range, and sends
    head and body: by sendfile over plain TCP, else in blocks that are read in a thread. If
    there is a file beside it whose name ends in `.br`, `.zst` or `.gz` as well, and the
    client accepts that coding, that one is sent with `Content-Encoding`.

    What can come instead of `status`: 206 for a range, 304 and 412 by the request's
    conditions, 416 for a range that there is not, all of them only in place of a 2xx; 404
    if there is no such file, 403 if it may not be read or is not a regular file, 503 if the
    server is out of descriptors. Several ranges at once get the whole file.

    Fields that are set already stay: `Content-Type`, which is guessed by the suffix
    otherwise, `ETag` (of date and size) and `Last-Modified`. With `enable_compression` the
    body is coded as it is sent, unless a variant is; then there are no ranges, and the
    entity tag is weak.

    Args:
        path: The file. A symbolic link is followed; those of variants are not.
        chunk_size: Bytes read at once where the body is coded. 256 KiB, aiohttp's default.
        status: Status if all goes well.
        reason: Its reason phrase; the standard one unless given.
        headers: Fields to send.

    Raises:
        ValueError: There is a line end in `reason`.
    """

    _file: OpenFile | None = None

    def __init__(
        self,
        path: str | os.PathLike[str],
        chunk_size: int = 2**18,
        status: int = 200,
        reason: str | None = None,
        headers: HeadersLike | None = None,
    ) -> None:
        super().__init__(status=status, reason=reason, headers=headers)
        self._name = os.fspath(path)
        self._chunk_size = chunk_size

    @classmethod
    def of_open_file(cls, name: str, file: OpenFile, chunk_size: int) -> FileResponse:
        """Return a response with a file that somebody has opened and chosen."""
        response = cls(name, chunk_size)
        response._file = file
        return response

    async def prepare(self, request: Preparable) -> None:
        """Send head and body; again does nothing.

        When it is cancelled, or the file turns out to be shorter than it was, the response
        is cut, and the connection with it.

        Raises:
            LocalProtocolError: A field, the reason or the status is not fit to be sent.
            OSError: The client is gone, or the file cannot be read.
            EOFError: The file became shorter while it was sent.
        """
        if self._exchange is not None:
            return
        file, self._file = self._file, None
        if file is None:
            try:
                file = await in_thread(open_variant, self._name, self._accepted(request))
            except (OSError, ValueError) as exc:
                await self._send_empty(request, refusal(exc))
                return
        try:
            await self._send_file(request, file)
        except Exception:
            file.close()
            raise
        # Not in a thread: of a file that is only read this takes a microsecond. And not when
        # cancelled: a thread may be reading yet, and closes the file by letting go of it.
        file.close()

    def _accepted(self, request: Preparable) -> str | None:
        """What the client accepts; nothing, if the program says what coding the file is in."""
        if "Content-Encoding" in self.headers:
            return None
        return accepted_codings(request)

    async def _send_file(self, request: Preparable, file: OpenFile) -> None:
        headers = self.headers
        size = file.facts.st_size
        if self._content_type is OCTET_STREAM and "Content-Type" not in headers:
            suffix = os.path.splitext(self._name)[1].lower()
            self._content_type = MEDIA_TYPES.get(suffix, OCTET_STREAM)
        if file.has_variants and "accept-encoding" not in headers.get("Vary", "").lower():
            headers.add("Vary", "Accept-Encoding")
        if file.coding is not None:
            headers["Content-Encoding"] = file.coding
        elif self._compresses:
            self._start_coding(request)
        validators = self._tell_validators(file.facts)
        start, stop = 0, size
        if 200 <= self._status < 300:
            method = cast("_Asked", request).method
            status = check_preconditions(method, request.headers, validators)
            if status is not None:
                await self._send_empty(request, status)
                return
            if self._encoder is None and self._status == 200:
                wanted = requested_range(method, request.headers, validators)
                if wanted is not None:
                    part = wanted.resolve(size)
                    if part is None:
                        headers["Content-Range"] = str(ContentRange(None, None, size))
                        await self._send_empty(request, 416)
                        return
                    start, stop = part
                    headers["Content-Range"] = str(ContentRange(start, stop - 1, size))
                    self.set_status(206)
        if self._encoder is None:
            headers.setdefault("Accept-Ranges", "bytes")
            if not self.chunked:
                headers["Content-Length"] = str(stop - start)
        await super().prepare(request)
        await self._send_body(file, start, stop - start)
        await self.write_eof()

    def _tell_validators(self, facts: os.stat_result) -> Validators:
        """Put date and tag into the head, unless the program did, and return those there."""
        headers = self.headers
        if "ETag" in headers:
            etag = self.etag
        else:
            tag = f"{facts.st_mtime_ns:x}-{facts.st_size:x}"
            etag = ETag(tag, is_weak=self._encoder is not None)
            headers["ETag"] = str(etag)
        if "Last-Modified" in headers:
            told = self.last_modified
            return Validators(etag, None if told is None else int(told.timestamp()))
        # Whole seconds, and not later than `Date` (RFC 9110 section 8.8.2.1).
        modified = max(0, min(facts.st_mtime_ns // 10**9, int(time.time())))
        headers["Last-Modified"] = _date(modified)
        return Validators(etag, modified)

    async def _send_body(self, file: OpenFile, offset: int, count: int) -> None:
        exchange = self._exchange
        if exchange is None or not count or not exchange.sends_body:
            return
        if self._encoder is None:
            await exchange.write_file(file, offset, count)
            return
        while count > 0:
            block = await in_thread(file.read, min(self._chunk_size, count))
            if not block:
                raise EOFError(f"the file ended {count} bytes early")
            count -= len(block)
            await self.write(block)

    async def _send_empty(self, request: Preparable, status: int) -> None:
        headers = self.headers
        self._encoder = None
        self._compresses = False
        self._content_type = None
        for name in ("Content-Type", "Content-Encoding", "Transfer-Encoding", "Content-Length"):
            headers.popall(name, None)
        if status != 304:
            headers["Content-Length"] = "0"
        self.set_status(status)
        await super().prepare(request)
        await self.write_eof()


def accepted_codings(request: Preparable) -> str | None:
    """Return the request's Accept-Encoding, its lines joined; None without one."""
    lines = request.headers.getall("Accept-Encoding", None)
    return None if lines is None else ", ".join(lines)
