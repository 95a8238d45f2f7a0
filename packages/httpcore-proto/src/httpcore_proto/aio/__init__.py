"""The async floor: links, runtimes and body streams, for asyncio, uvloop and trio.

This is the only part of httpcore-proto that knows an event loop; it needs the extra
`aio` (anyio). A connection implements `Receiver`, is given a `Link`, and runs the same
code on every loop; `current_runtime` finds the driver that fits.
"""

from __future__ import annotations

from ._anyio import AnyioRuntime
from ._asyncio import AsyncioRuntime
from ._body_part import BodyPartReader
from ._compression import (
    BrotliDecompressor,
    ZLibCompressor,
    ZLibDecompressor,
    ZSTDDecompressor,
)
from ._data_queue import DataQueue
from ._decoding import AsyncDecoder, decode_stream
from ._encoding import AsyncEncoder
from ._errors import BusyError, EofStream, IncompleteReadError, LinkLostError
from ._form_data import FormData
from ._interfaces import Link, Listener, Receiver, Runtime, Task, Waiter
from ._job import Job
from ._memory import memory_link_pair
from ._multipart_reader import MultipartReader, MultipartResponse, MultipartResponseWrapper
from ._multipart_writer import MultipartWriter
from ._payload import (
    PAYLOAD_REGISTRY,
    AbstractStreamWriter,
    Order,
    Payload,
    PayloadConsumedError,
    PayloadFactory,
    PayloadLookupError,
    PayloadOptions,
    PayloadRegistry,
    PayloadSizeError,
    PayloadTypes,
    get_payload,
    payload_type,
    register_payload,
)
from ._payload_files import BufferedReaderPayload, IOBasePayload, PathPayload, TextIOPayload
from ._payload_types import (
    AsyncIterablePayload,
    BodyPartReaderPayload,
    BytesIOPayload,
    BytesPayload,
    JsonBytesPayload,
    JsonPayload,
    StreamReaderPayload,
    StringIOPayload,
    StringPayload,
)
from ._runtime import current_runtime
from ._stream_reader import EMPTY_PAYLOAD, StreamReader

__all__ = [
    "EMPTY_PAYLOAD",
    "PAYLOAD_REGISTRY",
    "AbstractStreamWriter",
    "AnyioRuntime",
    "AsyncDecoder",
    "AsyncEncoder",
    "AsyncIterablePayload",
    "AsyncioRuntime",
    "BodyPartReader",
    "BodyPartReaderPayload",
    "BrotliDecompressor",
    "BufferedReaderPayload",
    "BusyError",
    "BytesIOPayload",
    "BytesPayload",
    "DataQueue",
    "EofStream",
    "FormData",
    "IOBasePayload",
    "IncompleteReadError",
    "Job",
    "JsonBytesPayload",
    "JsonPayload",
    "Link",
    "LinkLostError",
    "Listener",
    "MultipartReader",
    "MultipartResponse",
    "MultipartResponseWrapper",
    "MultipartWriter",
    "Order",
    "PathPayload",
    "Payload",
    "PayloadConsumedError",
    "PayloadFactory",
    "PayloadLookupError",
    "PayloadOptions",
    "PayloadRegistry",
    "PayloadSizeError",
    "PayloadTypes",
    "Receiver",
    "Runtime",
    "StreamReader",
    "StreamReaderPayload",
    "StringIOPayload",
    "StringPayload",
    "Task",
    "TextIOPayload",
    "Waiter",
    "ZLibCompressor",
    "ZLibDecompressor",
    "ZSTDDecompressor",
    "current_runtime",
    "decode_stream",
    "get_payload",
    "memory_link_pair",
    "payload_type",
    "register_payload",
]
