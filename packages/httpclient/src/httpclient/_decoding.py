"""Content codings of a response body (RFC 9110 section 8.4), undone when it is read.

Whatever is wrong with them is a `ClientPayloadError` here, whose cause is what the core says.
"""

from __future__ import annotations

from typing import Final

from anyio.to_thread import run_sync

from httpcore_proto import (
    CodingLimits,
    ContentDecoder,
    ContentEncodingError,
    InformationalResponse,
    Response,
    parse_codings,
)
from httpcore_proto.aio import StreamReader, decode_stream

from ._connection import ClientHTTPConnection
from ._errors import ClientPayloadError

# Coded bytes up to which decoding takes no longer than the way to a worker thread and back.
_EXECUTOR_SIZE: Final = 8192
# Rules of the core's that only say that this is no coding of ours: the body stays as it is.
_FOREIGN: Final = frozenset({"coding-syntax", "coding-unknown"})


def _payload_error(exc: ContentEncodingError) -> ClientPayloadError:
    text = f"Can not decode the response body: {exc.message}"
    if exc.limit is not None:
        text += "; the session's coding_limits allow no more"
    error = ClientPayloadError(text)
    error.__cause__ = exc
    return error


def _decoder(head: Response | InformationalResponse, limits: CodingLimits) -> ContentDecoder | None:
    """Return what undoes the codings of a body; None if there is nothing that can be undone.

    Raises:
        ClientPayloadError: A coding needs a package that is not installed, or there are
            more codings than the limits allow.
    """
    try:
        names = parse_codings(", ".join(head.headers.getall("Content-Encoding")))
        return ContentDecoder(names, limits) if names else None
    except ContentEncodingError as exc:
        if exc.rule in _FOREIGN:
            return None
        raise _payload_error(exc) from exc


async def decoded_piece(
    data: bytes, head: Response | InformationalResponse, limits: CodingLimits
) -> bytes:
    """Return what a whole body decodes to, worked out in a worker thread if it is large.

    Raises:
        ClientPayloadError: It does not fit its coding, is cut, or is over a limit.
    """
    decoder = _decoder(head, limits)
    if decoder is None:
        return data
    try:
        if len(data) <= _EXECUTOR_SIZE:
            return _decode(decoder, data)
        return await run_sync(_decode, decoder, data)
    except ContentEncodingError as exc:
        raise _payload_error(exc) from exc


def _decode(decoder: ContentDecoder, data: bytes) -> bytes:
    decoder.feed(data)
    decoder.feed_eof()
    return b"".join(iter(decoder.read, b""))


def decoded_stream(
    coded: StreamReader,
    head: Response | InformationalResponse,
    limits: CodingLimits,
    connection: ClientHTTPConnection | None,
) -> StreamReader:
    """Return a stream of what a body decodes to; the body itself if nothing can be undone.

    Reads raise `ClientPayloadError` where the body does not fit its coding, is cut, or over
    a limit, and the connection is closed then; also whatever reads of `coded` raise.

    Args:
        coded: The body as it is received.
        head: What names the codings.
        limits: Bounds.
        connection: What feeds `coded`; None if that is complete.
    """
    try:
        decoder = _decoder(head, limits)
    except ClientPayloadError as exc:
        failed = StreamReader(None)
        failed.set_exception(exc)
        return failed
    if decoder is None:
        return coded
    low, _ = coded.get_read_buffer_limits()
    decoded = decode_stream(coded, decoder, limit=low, executor_size=_EXECUTOR_SIZE)
    source = _Decoded(coded, decoded, connection)
    stream = StreamReader(source, low, coded=coded)
    source.stream = stream
    return stream


class _Decoded:
    """Feeds a stream from the core's decoded one, whose errors it makes the client's."""

    # Not the response: that is to be collected when its user drops it.
    __slots__ = ("_coded", "_connection", "_decoded", "stream")

    stream: StreamReader

    def __init__(
        self, coded: StreamReader, decoded: StreamReader, connection: ClientHTTPConnection | None
    ) -> None:
        self._coded = coded
        self._decoded = decoded
        self._connection = connection

    def pause_reading(self) -> None:
        """Do nothing: what is not asked for is not decoded."""

    def resume_reading(self) -> None:
        """Do nothing, as above."""

    async def more(self) -> None:
        """Feed the stream once: with bytes, the end of a chunk, or its end."""
        try:
            data, ends_chunk = await self._decoded.readchunk()
        except ContentEncodingError as exc:
            error = _payload_error(exc)
            self.stream.set_exception(error)
            connection = self._connection
            if connection is not None and connection.is_receiving(self._coded):
                connection.abandon(error)
            raise error from exc
        except Exception as exc:
            if self._decoded.exception() is not None:
                self.stream.set_exception(exc)
            raise
        if data or ends_chunk:
            self.stream.feed_data(data, (len(data),) if ends_chunk else ())
        else:
            self.stream.feed_eof()
