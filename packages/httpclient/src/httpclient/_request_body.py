"""What a program may give as `data` or `json`, as bytes or as a payload."""

from __future__ import annotations

import io
import json as json_module
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from httpcore_proto.aio import (
    BufferedReaderPayload,
    FormData,
    PathPayload,
    Payload,
    PayloadLookupError,
    get_payload,
)

from ._file_payload import OpenFilePayload, PathFilePayload

#: What `data` may be: bytes, bytearray, memoryview; `str`; a form (`FormData`, a mapping, a
#: list or tuple of pairs); an open file or a path; an asynchronous iterable of bytes; a
#: `Payload`; and whatever `register_payload` was told about, which is why this is no union.
BodyLike: TypeAlias = Any

OCTETS: Final = "application/octet-stream"
TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"


def encode_body(
    data: BodyLike = None,
    json: Any = None,
    serialize: Callable[[Any], str] = json_module.dumps,
    serialize_bytes: Callable[[Any], bytes] | None = None,
) -> tuple[bytes, Payload | None, str | None]:
    """Return a body as bytes or as a payload, and its content type.

    Bytes, text, JSON and forms without files are bytes; all else is a payload, which may
    have to be waited for, and brings its own fields, content type included. A file is not
    opened here, but looked at; it is sent from where it is now.

    Args:
        data: See `BodyLike`.
        json: A value to be sent as JSON, unless None.
        serialize: Makes text of `json`.
        serialize_bytes: Makes bytes of `json`; goes before `serialize`.

    Raises:
        TypeError: It is nothing that can be sent, or a serializer returned something else.
        ValueError: Both `data` and `json` are given; or a field of a form is not fit to be
            sent; or a file is closed.
    """
    if json is not None:
        if data is not None:
            raise ValueError("data and json parameters can not be used at the same time")
        return _encode_json(json, serialize, serialize_bytes), None, _JSON
    if data is None:
        return b"", None, None
    if isinstance(data, str):
        return data.encode(), None, TEXT
    if isinstance(data, (bytes, bytearray, memoryview)):
        # What may change while it is sent is copied; bytes(x) copies no bytes.
        return bytes(data), None, OCTETS
    if isinstance(data, FormData):
        return _encode_form(data)
    try:
        payload = get_payload(data, disposition=None)
    except PayloadLookupError:
        if not isinstance(data, (Mapping, list, tuple)):
            raise TypeError(
                "data must be bytes, bytearray, memoryview, str, a form (FormData, mapping or "
                "list of pairs), a file or path, an asynchronous iterable of bytes or a Payload, "
                f"not {type(data).__name__}"
            ) from None
        return _encode_form(FormData(data))
    if not isinstance(data, Payload):
        # Of a part that is passed on: it tells about the form, not about this body.
        payload.headers.popall("Content-Disposition", None)
        if type(payload) is BufferedReaderPayload and isinstance(data, io.BufferedReader):
            payload = OpenFilePayload(data, disposition=None)
        elif type(payload) is PathPayload and isinstance(data, os.PathLike):
            payload = PathFilePayload(data, disposition=None)
    return b"", payload, None


def _encode_json(
    value: Any,
    serialize: Callable[[Any], str],
    serialize_bytes: Callable[[Any], bytes] | None,
) -> bytes:
    if serialize_bytes is not None:
        body = serialize_bytes(value)
        if not isinstance(body, (bytes, bytearray, memoryview)):
            raise TypeError(f"json_serialize_bytes must return bytes, not {type(body).__name__}")
        return bytes(body)
    text = serialize(value)
    if not isinstance(text, str):
        raise TypeError(
            f"json_serialize must return str, not {type(text).__name__}; "
            "json_serialize_bytes may return bytes"
        )
    return text.encode()


def _encode_form(form: FormData) -> tuple[bytes, Payload | None, str | None]:
    payload = form()
    if form.is_multipart:
        return b"", payload, None
    # An urlencoded form is ASCII.
    return payload.decode("ascii").encode("ascii"), None, payload.content_type
