"""What may be given as `data` and `json`."""

from __future__ import annotations

import array
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict, MultiDict

from httpclient._file_payload import OpenFilePayload, PathFilePayload
from httpclient._request_body import encode_body
from httpcore_proto.aio import (
    AsyncIterablePayload,
    BodyPartReader,
    BytesPayload,
    FormData,
    MultipartReader,
    MultipartWriter,
    Payload,
    StreamReader,
    StreamReaderPayload,
)

FORM = "application/x-www-form-urlencoded"


class Collector:
    """A writer that keeps what it gets."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        """Keep a piece."""
        self.pieces.append(chunk)


async def sent(payload: Payload | None) -> bytes:
    """Return what a payload writes."""
    assert payload is not None
    collector = Collector()
    await payload.write(collector)
    return b"".join(collector.pieces)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, (b"", None)),
        (b"abc", (b"abc", "application/octet-stream")),
        (bytearray(b"abc"), (b"abc", "application/octet-stream")),
        (memoryview(b"abc"), (b"abc", "application/octet-stream")),
        (memoryview(b"abcdef")[::2], (b"ace", "application/octet-stream")),
        ("\u00fc", (b"\xc3\xbc", "text/plain; charset=utf-8")),
        ({"a": "1", "b": ["2", "3"]}, (b"a=1&b=2&b=3", FORM)),
        ([("a", "\u00fc"), ("a", "2")], (b"a=%C3%BC&a=2", FORM)),
        ((("a", "1"),), (b"a=1", FORM)),
        (MultiDict([("a", "1"), ("a", "2")]), (b"a=1&a=2", FORM)),
        (FormData({"a": "1"}), (b"a=1", FORM)),
        (FormData({"a": "\u00fc"}, charset="latin-1"), (b"a=%FC", f"{FORM}; charset=latin-1")),
        ({}, (b"", FORM)),
    ],
)
def test_small_things_are_bytes(data: Any, expected: tuple[bytes, str | None]) -> None:
    body, payload, content_type = encode_body(data)
    assert payload is None
    assert (body, content_type) == expected
    assert type(body) is bytes


def test_memoryview_of_wide_items_counts_in_bytes() -> None:
    view = memoryview(array.array("I", [1, 2, 3]))
    assert encode_body(view)[0] == view.tobytes()


@pytest.mark.parametrize("data", [5, iter([b"x"]), object(), b"x".__len__, {1, 2}])
def test_what_cannot_be_sent_is_a_type_error(data: Any) -> None:
    with pytest.raises(TypeError, match=r"data must be bytes.*not"):
        encode_body(data)


@pytest.mark.parametrize("data", [["ab", "c"], [("a", "b", "c")], [5]])
def test_what_is_no_form_is_a_type_error(data: Any) -> None:
    with pytest.raises(TypeError, match="form consists of"):
        encode_body(data)


def test_json_is_bytes() -> None:
    assert encode_body(json={"a": "\u00fc"}) == (b'{"a": "\\u00fc"}', None, "application/json")
    assert encode_body(json=[], serialize=lambda value: "\u00fc")[0] == b"\xc3\xbc"
    assert encode_body(json=0)[0] == b"0"
    assert encode_body(json=[], serialize_bytes=lambda value: bytearray(b"x"))[0] == b"x"


def test_serializers_must_keep_to_their_types() -> None:
    as_bytes: Any = lambda value: json.dumps(value).encode()  # noqa: E731
    with pytest.raises(TypeError, match="json_serialize_bytes"):
        encode_body(json=1, serialize=as_bytes)
    with pytest.raises(TypeError, match="json_serialize_bytes must return bytes, not str"):
        encode_body(json=1, serialize_bytes=json.dumps)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", {}, "x"])
def test_data_and_json_exclude_each_other(data: Any) -> None:
    with pytest.raises(ValueError, match="data and json"):
        encode_body(data, json=[])


async def test_async_iterables_are_payloads() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    body, payload, content_type = encode_body(pieces())
    assert (body, content_type) == (b"", None)
    assert isinstance(payload, AsyncIterablePayload)
    assert payload.size is None
    assert not payload.replayable
    assert await sent(payload) == b"ab"


async def test_stream_is_a_payload() -> None:
    class NoSource:
        """Asked for nothing."""

        def pause_reading(self) -> None: ...
        def resume_reading(self) -> None: ...
        async def more(self) -> None: ...

    stream = StreamReader(NoSource(), 1024)
    stream.feed_data(b"abc")
    stream.feed_eof()
    payload = encode_body(stream)[1]
    assert isinstance(payload, StreamReaderPayload)
    assert await sent(payload) == b"abc"


async def test_texts_and_buffers_are_payloads_of_known_size() -> None:
    for data, expected in ((io.StringIO("\u00fc"), b"\xc3\xbc"), (io.BytesIO(b"abc"), b"abc")):
        payload = encode_body(data)[1]
        assert payload is not None
        assert payload.size == len(expected)
        assert payload.replayable
        assert "Content-Disposition" not in payload.headers
        assert await sent(payload) == expected


def test_payload_is_taken_as_it_is() -> None:
    payload = BytesPayload(b"x", headers={"Content-Disposition": "attachment"})
    assert encode_body(payload) == (b"", payload, None)
    assert payload.headers["Content-Disposition"] == "attachment"
    writer = MultipartWriter()
    assert encode_body(writer)[1] is writer


def test_form_with_files_is_one_writer_each_time() -> None:
    form = FormData({"file": io.BytesIO(b"x")})
    payload = encode_body(form)[1]
    assert isinstance(payload, MultipartWriter)
    assert encode_body(form)[1] is payload
    assert len(payload) == 1
    assert isinstance(encode_body({"file": io.BytesIO(b"x")})[1], MultipartWriter)


async def test_part_of_a_multipart_loses_its_place_in_it() -> None:
    class NoSource:
        """Asked for nothing."""

        def pause_reading(self) -> None: ...
        def resume_reading(self) -> None: ...
        async def more(self) -> None: ...

    stream = StreamReader(NoSource(), 1024)
    stream.feed_data(
        b"--x\r\nContent-Type: a/b\r\nX-A: 1\r\n"
        b'Content-Disposition: form-data; name="n"\r\n\r\nbody\r\n--x--\r\n'
    )
    stream.feed_eof()
    headers = CIMultiDict({"Content-Type": "multipart/form-data; boundary=x"})
    part = await MultipartReader(headers, stream).next()
    assert isinstance(part, BodyPartReader)
    payload = encode_body(part)[1]
    assert payload is not None
    assert dict(payload.headers) == {"Content-Type": "a/b", "X-A": "1"}
    assert await sent(payload) == b"body"


async def test_files_are_payloads_without_disposition(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file, path.open("rb", buffering=0) as raw, path.open() as text:
        file.seek(4)
        for data, size, cls in (
            (path, 10, PathFilePayload),
            (file, 6, OpenFilePayload),
            (raw, 10, Payload),
            (text, None, Payload),
        ):
            payload = encode_body(data)[1]
            assert isinstance(payload, cls)
            assert payload.size == size
            assert "Content-Disposition" not in payload.headers
            assert payload.content_type.startswith("text/plain")
            for _ in range(2):
                assert await sent(payload) == b"0123456789"[-(size or 10) :]


def test_file_that_is_closed_is_a_value_error(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        pass
    with pytest.raises(ValueError, match="closed"):
        encode_body(file)


def test_path_that_is_no_file_is_an_os_error(tmp_path: Path) -> None:
    payload = encode_body(tmp_path)[1]
    with pytest.raises(OSError, match="regular file"):
        payload.size  # type: ignore[union-attr]  # noqa: B018
