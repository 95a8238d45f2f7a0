"""Bodies to be sent: what every payload is, and the registry that finds one for a value.

A payload tells its size where it can, whether it can be sent again, and writes itself to
anything with an `async write(bytes)`. Both sides send their bodies through it.
"""

from __future__ import annotations

import enum
import mimetypes
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias, TypedDict, TypeVar

from multidict import CIMultiDict

from .._content_disposition import content_disposition_header
from .._fields import HeadersLike


class PayloadConsumedError(RuntimeError):
    """The body was sent, and cannot be had again.

    What it was made of can be read once only (a generator, a pipe), or was closed.
    """


class PayloadSizeError(RuntimeError):
    """A body turned out to be shorter, or longer, than the size that it had told."""


class PayloadLookupError(LookupError, TypeError):
    """No payload is registered for a value of this type."""


class AbstractStreamWriter(Protocol):
    """All that a payload asks of what it is written to."""

    async def write(self, chunk: bytes) -> None:
        """Take a piece of body, and wait while the peer is slow.

        Raises:
            OSError: The peer is gone.
        """


def as_piece(piece: object) -> bytes:
    """Return a piece of a body as bytes that do not change.

    Raises:
        TypeError: It is not bytes, bytearray or memoryview.
    """
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, (bytearray, memoryview)):
        return bytes(piece)
    raise TypeError(
        f"a body is made of bytes, bytearray or memoryview, not of {type(piece).__name__}"
    )


class _Enough(Exception):
    """Ends the writing of a payload that has more than its writer takes."""


class _LimitedWriter:
    """Passes on so many bytes, then stops whoever writes more."""

    __slots__ = ("_left", "_writer")

    def __init__(self, writer: AbstractStreamWriter, left: int) -> None:
        self._writer = writer
        self._left = left

    async def write(self, chunk: bytes) -> None:
        surplus = len(chunk) > self._left
        piece = chunk[: self._left] if surplus else chunk
        self._left -= len(piece)
        if piece:
            await self._writer.write(piece)
        if surplus:
            raise _Enough(self)


class Collector:
    """Keeps what is written."""

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        self.pieces.append(chunk)


class PayloadOptions(TypedDict, total=False):
    """Keywords that every payload takes; see `Payload`."""

    headers: HeadersLike | None
    content_type: str | None
    filename: str | None
    encoding: str | None
    disposition: str | None


class Payload(ABC):
    """A body to be sent, with the header fields that describe it.

    A subclass implements `write`, sets `_size` if it knows its size, and overrides
    `replayable` if it can be written more than once.

    Args:
        value: What the body is made of.
        headers: Fields that describe the body. They win over the arguments below.
        content_type: Media type. Unless given it is guessed from `filename`, and
            `application/octet-stream` if that does not help.
        filename: Name of the file that the body is, without directories.
        encoding: Charset of a body that is text.
        disposition: Type of a Content-Disposition to add if there is a file name and
            `headers` have none; None adds nothing. For payloads of files this is
            `attachment` unless given.

    Raises:
        ValueError: The file name is not fit to be sent.
    """

    #: Bytes that will be sent, if that is known when the payload is made.
    _size: int | None = None
    _consumed: bool = False
    #: The body, once `as_bytes` had to take it from something that has it only once.
    _kept: bytes | None = None

    def __init__(
        self,
        value: Any,
        headers: HeadersLike | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
        *,
        disposition: str | None = None,
    ) -> None:
        self._value: Any = value
        self._filename = filename
        self._encoding = encoding
        self._headers: CIMultiDict[str] = CIMultiDict(headers or ())
        if "Content-Type" not in self._headers:
            self._headers["Content-Type"] = content_type or _guess_type(filename)
        if disposition and filename is not None and "Content-Disposition" not in self._headers:
            self.set_content_disposition(disposition, filename=filename)

    @property
    def size(self) -> int | None:
        """Bytes that `write` sends, or None if that cannot be known beforehand.

        A size that was told is kept: `write` sends just as many bytes, or raises
        `PayloadSizeError`.
        """
        return self._size if self._kept is None else len(self._kept)

    @property
    def filename(self) -> str | None:
        """Name of the file that the body is."""
        return self._filename

    @property
    def headers(self) -> CIMultiDict[str]:
        """The fields to be sent with the body; Content-Type is always there."""
        return self._headers

    @property
    def encoding(self) -> str | None:
        """Charset of a body that is text."""
        return self._encoding

    @property
    def content_type(self) -> str:
        """Value of Content-Type."""
        return self._headers["Content-Type"]

    @property
    def consumed(self) -> bool:
        """Whether the body is gone: written, and not to be had again."""
        return self._consumed and self._kept is None

    @property
    def replayable(self) -> bool:
        """Whether the body can be written again and again, from its start each time."""
        return self._kept is not None

    @property
    def autoclose(self) -> bool:
        """Whether there is nothing that `close` would have to close."""
        return False

    def set_content_disposition(
        self, disptype: str, quote_fields: bool = True, _charset: str = "utf-8", **params: str
    ) -> None:
        """Set the Content-Disposition field.

        Args:
            disptype: Such as `attachment` or `form-data`.
            quote_fields: Whether to percent-encode what is not ASCII, and a file name as
                a whole; else text goes out as it is, in quotes.
            _charset: Charset of what is percent-encoded.
            params: Parameters of the field, such as `name` and `filename`.

        Raises:
            ValueError: Something is not fit to be sent.
        """
        self._headers["Content-Disposition"] = content_disposition_header(
            disptype, quote_fields=quote_fields, _charset=_charset, params=params
        )

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text; reads a file on the spot, which blocks.

        Args:
            encoding: Charset, for a body that has none of its own.
            errors: As for `bytes.decode`.

        Raises:
            TypeError: The body comes only to those who wait; `as_bytes` does.
            UnicodeDecodeError: The body is not text in that charset.
        """
        if self._kept is None:
            raise TypeError(f"{type(self).__name__} has no text without waiting; use as_bytes()")
        return self._kept.decode(self._encoding or encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the whole body, as `write` would send it.

        A body that can be had only once is kept, so that it can be sent nevertheless.

        Args:
            encoding: Charset for text that has none of its own; all payloads here have.
            errors: As for `str.encode`, in the same case.

        Raises:
            PayloadConsumedError: The body is gone.
        """
        if self._kept is not None:
            return self._kept
        collector = Collector()
        await self.write(collector)
        body = b"".join(collector.pieces)
        if self.consumed:
            self._kept = body
        return body

    @abstractmethod
    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the whole body, from its start.

        May be cancelled wherever it waits. What was written then stays written; a
        replayable payload can be written again.

        Raises:
            PayloadConsumedError: The body is gone.
            PayloadSizeError: There was less of it, or more, than `size` told.
            OSError: The peer is gone, or a file cannot be read.
        """

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write at most so many bytes of the body.

        What makes the body is stopped by the first piece that is too much; one that fits
        is run to its end. A body that is shorter just ends.

        Args:
            writer: As for `write`.
            content_length: Number of bytes, None for all.

        Raises:
            Exception: As `write` does.
        """
        if content_length is None:
            await self.write(writer)
            return
        limited = _LimitedWriter(writer, content_length)
        try:
            await self.write(limited)
        except _Enough as exc:
            if exc.args[0] is not limited:
                raise  # of a limit around this one

    async def rewind(self) -> None:
        """Check that the next `write` can begin at the start; it does so by itself.

        Raises:
            PayloadConsumedError: The body is gone.
        """
        self._check_not_consumed()

    async def close(self) -> None:  # noqa: B027  # most have nothing to release
        """Release what the payload holds; again does nothing. Does not wait for I/O."""

    def _check_not_consumed(self) -> None:
        if self.consumed:
            raise PayloadConsumedError(
                f"the body was sent or closed, and {type(self).__name__} cannot have it again;"
                " as_bytes() before sending keeps it"
            )

    def _begin(self) -> None:
        """Note that a write begins."""
        self._check_not_consumed()
        self._consumed = not self.replayable


def _guess_type(filename: str | None) -> str:
    # With a directory before it no file name is taken for a URL.
    guessed = mimetypes.guess_type(f"./{filename}")[0] if filename else None
    return guessed or "application/octet-stream"


class Order(enum.StrEnum):
    """When the registry looks at a registration."""

    normal = "normal"
    try_first = "try_first"
    try_last = "try_last"


#: Makes a payload of a value; takes the keywords of `Payload`.
PayloadFactory: TypeAlias = Callable[..., Payload]
#: A class, or several.
PayloadTypes: TypeAlias = type[Any] | tuple[type[Any], ...]
_Class = TypeVar("_Class", bound=type[Payload])


class PayloadRegistry:
    """Finds the payload for a value by the value's type."""

    __slots__ = ("_by_order", "_exact")

    def __init__(self) -> None:
        self._by_order: dict[Order, list[tuple[PayloadFactory, PayloadTypes]]] = {
            order: [] for order in Order
        }
        self._exact: dict[type[Any], PayloadFactory] = {}

    def get(self, data: Any, *args: Any, **kwargs: Any) -> Payload:
        """Make a payload.

        In this order: an instance of what was registered with `try_first`; the exact
        type of `data`; a payload, which is returned as it is; an instance of what was
        registered with `normal`, then `try_last`, the oldest registration first.

        Args:
            data: What to send.
            args: Passed to the factory.
            kwargs: Passed to the factory; those of `Payload`.

        Raises:
            PayloadLookupError: Nothing fits.
        """
        factory = self._find(Order.try_first, data) or self._exact.get(type(data))
        if factory is None:
            if isinstance(data, Payload):
                return data
            factory = self._find(Order.normal, data) or self._find(Order.try_last, data)
        if factory is None:
            raise PayloadLookupError(
                f"no payload for {type(data).__name__}; register_payload() can add one"
            )
        return factory(data, *args, **kwargs)

    def register(
        self, factory: PayloadFactory, type: PayloadTypes, *, order: Order = Order.normal
    ) -> None:
        """Add a factory.

        Args:
            factory: A subclass of `Payload`, or what returns a payload.
            type: Class or classes of the values that it takes.
            order: When it is tried; a later registration of the very same type with
                `normal` replaces the earlier one for exact matches.

        Raises:
            ValueError: `order` is not an `Order`.
        """
        order = Order(order)
        self._by_order[order].append((factory, type))
        if order is Order.normal:
            for cls in type if isinstance(type, tuple) else (type,):
                self._exact[cls] = factory

    def _find(self, order: Order, data: Any) -> PayloadFactory | None:
        for factory, types in self._by_order[order]:
            if isinstance(data, types):
                return factory
        return None


#: The registry that everything here uses.
PAYLOAD_REGISTRY: Final[PayloadRegistry] = PayloadRegistry()


def get_payload(data: Any, *args: Any, **kwargs: Any) -> Payload:
    """Make a payload of any value; see `PayloadRegistry.get`."""
    return PAYLOAD_REGISTRY.get(data, *args, **kwargs)


def register_payload(
    factory: PayloadFactory, type: PayloadTypes, *, order: Order = Order.normal
) -> None:
    """Add a factory to the registry; see `PayloadRegistry.register`."""
    PAYLOAD_REGISTRY.register(factory, type, order=order)


def payload_type(type: PayloadTypes, *, order: Order = Order.normal) -> Callable[[_Class], _Class]:
    """Register the payload class that follows, as a decorator."""

    def register(cls: _Class) -> _Class:
        register_payload(cls, type, order=order)
        return cls

    return register
