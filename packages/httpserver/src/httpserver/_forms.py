"""Forms in the body of a request: urlencoded, and multipart with files.

Everything is bounded while it is read. `client_max_size` bounds the values together,
files included; whatever is around them (heads of parts, delimiters, transfer encodings)
may come to as much again and 1 MiB more. `client_max_fields` bounds how many there are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qsl

from anyio import CancelScope
from anyio.to_thread import run_sync
from multidict import CIMultiDictProxy, MultiDict, MultiDictProxy

from httpcore_proto import MultipartError, codec_for_charset
from httpcore_proto.aio import BodyPartReader, Job, MultipartReader, StreamReader

from ._exceptions import HTTPBadRequest, HTTPRequestEntityTooLarge, HTTPUnsupportedMediaType

if TYPE_CHECKING:
    from ._request import BaseRequest

#: Methods whose requests may carry a form; aiohttp's.
METHODS_WITH_FORM: Final = frozenset({"POST", "PUT", "PATCH", "TRACE", "DELETE"})

#: Bytes of one file that are kept in memory; the file goes to disk when there are more.
#: aiohttp's.
SPOOL_SIZE: Final = 2**20
# Bytes of an urlencoded form above which it is parsed in a thread: a MiB of percent signs takes
# half a second.
_LARGE_FORM: Final = 2**16
# Bytes of a multipart body that are no value, beyond what `client_max_size` allows: a
# thousand part heads of 1 KiB.
_OVERHEAD: Final = 2**20


@dataclass(frozen=True, slots=True)
class FileField:
    """A file in a form. It is closed when the handler is done.

    Attributes:
        name: Name of the field.
        filename: What the client calls the file. It may be any text, with `..` and path
            separators in it: never make a path of it.
        file: The content, in memory up to 1 MiB and else in a temporary file without a
            name; positioned at the start. Reading a large one blocks: do that in a thread.
        content_type: As the client wrote it; `application/octet-stream` if it did not.
        headers: The fields of the part.
    """

    name: str
    filename: str
    file: IO[bytes]
    content_type: str
    headers: CIMultiDictProxy[str]


#: A value in a form: text, what is neither text nor a file, or a file.
FormValue: TypeAlias = str | bytearray | FileField


class Upload:
    """A file that is being received: blocking work is done in threads, closing included."""

    __slots__ = ("_job", "_size", "file")

    def __init__(self) -> None:
        self.file: IO[bytes] = SpooledTemporaryFile(max_size=SPOOL_SIZE)  # noqa: SIM115  # outlives this
        self._size = 0
        self._job: Job[Any] | None = None

    async def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            OSError: The disk is full, say.
        """
        self._size += len(data)
        await self._do(self.file.write, data)

    async def rewind(self) -> None:
        """Go to the start."""
        await self._do(self.file.seek, 0)

    @property
    def on_disk(self) -> bool:
        """Whether it may block."""
        return self._size > SPOOL_SIZE

    def close(self) -> None:
        """Close the file, behind a thread that has it still: so it may block."""
        if self._job is not None:
            with suppress(OSError):
                self._job.run()
        # What cannot be written any more is not wanted any more.
        with suppress(OSError):
            self.file.close()

    async def _do(self, function: Callable[..., Any], *args: Any) -> None:
        if self.on_disk:
            self._job = Job(function, *args)
            await self._job.wait()
        else:
            function(*args)


async def close_uploads(uploads: list[Upload]) -> None:
    """Close files, and take them off the list; not to be kept from it by cancelling."""
    on_disk: list[Upload] = []
    while uploads:
        upload = uploads.pop()
        if upload.on_disk:
            on_disk.append(upload)
        else:
            upload.close()
    if on_disk:
        closing = Job(_close_all, on_disk)
        with CancelScope(shield=True):
            try:
                await closing.wait()
            except BaseException:
                # To asyncio's own way of cancelling, which knows no shields, it is worth to
                # block for once.
                closing.run()
                raise


def _close_all(uploads: list[Upload]) -> None:
    for upload in uploads:
        upload.close()


def codec_of(charset: str | None) -> str:
    """Return the codec for the charset of a request's body, UTF-8 unless given.

    Raises:
        HTTPUnsupportedMediaType: It is unknown.
    """
    if charset is None:
        return "utf-8"
    codec = codec_for_charset(charset)
    if codec is None:
        raise HTTPUnsupportedMediaType(text="The charset of the body is unknown.")
    return codec


async def read_urlencoded(request: BaseRequest) -> MultiDictProxy[FormValue]:
    """Read an `application/x-www-form-urlencoded` body.

    Raises:
        HTTPException: As of `BaseRequest.read` and `parse_urlencoded`.
    """
    data = await request.read()
    arguments = data, request.charset, request.client_max_fields
    if len(data) > _LARGE_FORM:
        return await run_sync(parse_urlencoded, *arguments)
    return parse_urlencoded(*arguments)


def parse_urlencoded(
    data: bytes, charset: str | None, max_fields: int
) -> MultiDictProxy[FormValue]:
    """Read an `application/x-www-form-urlencoded` body; blank values are kept.

    Args:
        data: The body.
        charset: The charset parameter of its content type.
        max_fields: Most pieces between `&`, empty ones counted; 0 for no limit.

    Raises:
        HTTPRequestEntityTooLarge: There are more than `max_fields`.
        HTTPUnsupportedMediaType: The charset is unknown.
        HTTPBadRequest: The body is not in it.
    """
    codec = codec_of(charset)
    try:
        text = data.decode(codec).rstrip(" \t\r\n")
    except UnicodeDecodeError as exc:
        raise HTTPBadRequest(text=f"The form cannot be decoded as {codec}.") from exc
    if max_fields and text.count("&") >= max_fields:
        raise _too_many_fields(max_fields)
    return MultiDictProxy(MultiDict(parse_qsl(text, keep_blank_values=True, encoding=codec)))


async def read_multipart(request: BaseRequest, uploads: list[Upload]) -> MultiDictProxy[FormValue]:
    """Read a `multipart/form-data` body.

    Args:
        request: The request.
        uploads: Every file is added here before it is written to, for somebody to close.

    Raises:
        HTTPRequestEntityTooLarge: `client_max_size` or `client_max_fields` is exceeded.
        MultipartError: The body is malformed or cut; a part has no name, is multipart
            itself, or is not in its charset.
        LineTooLong: The head of a part is over a limit.
        RequestPayloadError: The body is cut.
    """
    max_fields, limits = request.client_max_fields, request.exchange.limits
    budget = _Budget(request.content, request.client_max_size)
    budget.check_announced(request.content_length)
    reader = MultipartReader(
        request.headers,
        budget,
        max_field_size=limits.max_field_size,
        max_headers=limits.max_headers,
        # Two more: `_charset_` is no field, and the first one too many is told by us.
        max_parts=max_fields + 2 if max_fields else sys.maxsize,
    )
    form: MultiDict[FormValue] = MultiDict()
    while (part := await reader.next()) is not None:
        if max_fields and len(form) == max_fields:
            raise _too_many_fields(max_fields)
        if not isinstance(part, BodyPartReader):
            raise MultipartError(
                "a field of the form is multipart itself; post() reads none of these, "
                "multipart() does",
                rule="form-nested",
            )
        name, filename = part.name, part.filename
        if name is None:
            raise MultipartError("a field of the form has no name", rule="form-name")
        value: FormValue
        if filename:
            upload = Upload()
            uploads.append(upload)
            while data := await part.read_decoded():
                budget.spend(len(data))
                await upload.write(data)
            await upload.rewind()
            content_type = part.headers.get("Content-Type", "application/octet-stream")
            value = FileField(name, filename, upload.file, content_type, part.headers)
        else:
            value = bytearray()
            while data := await part.read_decoded():
                budget.spend(len(data))
                value += data
            if "Content-Type" not in part.headers or part.content_type.media_type.startswith(
                "text/"
            ):
                value = _decode(value, part)
        form.add(name, value)
    # The end of the body is behind the last delimiter.
    await reader.skip_epilogue()
    return MultiDictProxy(form)


class _Budget:
    """The body as a multipart reader sees it, and what it may still come to."""

    __slots__ = ("_allowed", "_content", "_max_size", "_received", "_spent")

    def __init__(self, content: StreamReader, max_size: int) -> None:
        self._content = content
        self._max_size = max_size or sys.maxsize
        self._allowed = 2 * self._max_size + _OVERHEAD
        self._received = 0
        self._spent = 0

    def check_announced(self, size: int | None) -> None:
        """Refuse a body that will be too large."""
        if size is not None and size > self._allowed:
            raise HTTPRequestEntityTooLarge(self._max_size, size)

    async def readany(self) -> bytes:
        """Return what is there, waiting if nothing is; `b""` at the end."""
        data = await self._content.readany()
        self._received += len(data)
        if self._received > self._allowed:
            raise HTTPRequestEntityTooLarge(self._max_size, self._received)
        return data

    def spend(self, size: int) -> None:
        """Count bytes of a value."""
        self._spent += size
        if self._spent > self._max_size:
            raise HTTPRequestEntityTooLarge(self._max_size, self._spent)


def _decode(value: bytearray, part: BodyPartReader) -> str:
    codec = codec_for_charset(part.get_charset("utf-8"))
    if codec is None:
        raise MultipartError(
            "a field of the form has an unknown charset", rule="form-charset", status_hint=415
        )
    try:
        return value.decode(codec)
    except UnicodeDecodeError as exc:
        raise MultipartError(
            f"a field of the form cannot be decoded as {codec}", rule="form-charset"
        ) from exc


def _too_many_fields(max_fields: int) -> HTTPRequestEntityTooLarge:
    text = f"Maximum number of form fields {max_fields} exceeded."
    return HTTPRequestEntityTooLarge(max_fields, text=text)
