"""A request on its way out: what a call asked for, as a head and a body.

Not here: where it goes (`_url.py`), and the writing of it (`_connection.py`). Framing
fields are the protocol machine's; the client only says whether a body has a length.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy, getversion, istr
from yarl import URL

import httpcore_proto
from httpcore_proto import SERVER_SOFTWARE, HeaderBlock, HeadersLike

from ._url import Destination

#: What `data` may be.
BodyLike: TypeAlias = (
    bytes | bytearray | memoryview | str | AsyncIterable[bytes | bytearray | memoryview]
)
_Pairs: TypeAlias = list[tuple[str, str]]

# RFC 9110 section 8.6: other methods announce that they have no body.
_METHODS_WITHOUT_LENGTH: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# aiohttp labels the body of these even if there is none.
_METHODS_WITH_TYPE: Final = frozenset({"POST", "PUT", "PATCH"})
_OCTETS: Final = "application/octet-stream"
_NO_LENGTH: Final = ("Content-Length", "0")
_CHUNKED: Final = ("Transfer-Encoding", "chunked")
_CLOSE: Final = ("Connection", "close")
_MOVING_NAMES: Final = frozenset({"content-length", "transfer-encoding", "connection"})
#: Larger bodies are not joined with their head, since that copies them. Bytes; aiohttp's
#: threshold for a write.
MAX_JOINED: Final = 65536

# No Accept-Encoding: a response in a coding that we cannot decode yet helps nobody.
_AUTO_HEADERS: Final = (("Accept", "*/*"), ("User-Agent", SERVER_SOFTWARE))
# Hosts whose lines a session keeps ready.
_MAX_PRESETS: Final = 1024


class RequestInfo(NamedTuple):
    """What was asked for.

    Attributes:
        url: The URL, without fragment.
        method: The method, in upper case.
        headers: The fields that were sent.
        real_url: The URL, fragment included.
    """

    url: URL
    method: str
    headers: CIMultiDictProxy[str] | CIMultiDict[str]
    real_url: URL


class OutgoingRequest:
    """One request, ready to be sent, and sent again if it is `replayable`.

    Attributes:
        destination: Where it goes.
        method: Upper case.
        head: Head for the protocol machine.
        body: The whole body; empty if there is none, or if it is a stream.
        stream: The body in pieces, which can be had once only; or None.
    """

    __slots__ = ("body", "destination", "head", "method", "preset_fields", "stream")

    def __init__(
        self,
        destination: Destination,
        head: httpcore_proto.Request,
        preset_fields: Iterable[tuple[str, str]],
        body: bytes,
        stream: AsyncIterable[bytes | bytearray | memoryview] | None,
    ) -> None:
        self.destination: Destination = destination
        self.method: str = head.method
        self.head: httpcore_proto.Request = head
        self.preset_fields: Iterable[tuple[str, str]] = preset_fields
        self.body: bytes = body
        self.stream: AsyncIterable[bytes | bytearray | memoryview] | None = stream

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent a second time."""
        return self.stream is None

    @property
    def info(self) -> RequestInfo:
        """What was asked for, made anew with each use."""
        fields = CIMultiDict([*self.preset_fields, *self.head.headers.items()])
        if self.body and "Content-Length" not in fields and "Transfer-Encoding" not in fields:
            fields["Content-Length"] = str(len(self.body))
        url = self.destination.url
        plain = url.with_fragment(None) if url.raw_fragment else url
        return RequestInfo(plain, self.method, CIMultiDictProxy(fields), url)


class HeaderDefaults:
    """The fields that a session sends with every request, as ready-made lines.

    Args:
        headers: The session's own; may be changed later.
        skip: Names of fields that are not to be generated.
    """

    __slots__ = (
        "_fields",
        "_moving",
        "_names",
        "_presets",
        "_skipped",
        "_version",
        "headers",
        "skip",
    )

    def __init__(self, headers: HeadersLike | None, skip: Iterable[str] | None) -> None:
        self.headers: CIMultiDict[str] = CIMultiDict(headers if headers is not None else ())
        self.skip: frozenset[istr] = frozenset(map(istr, skip or ()))
        self._skipped = frozenset(name.lower() for name in self.skip)
        self._version = -1  # of `headers`, when what follows was made from it
        self._names: frozenset[str] = frozenset()
        self._fields: _Pairs = []
        # Of those the ones that the machine writes itself, message by message.
        self._moving: _Pairs = []
        self._presets: dict[str, tuple[HeaderBlock, _Pairs]] = {}

    def request(
        self,
        method: str,
        to: Destination,
        *,
        headers: HeadersLike | None,
        body: bytes,
        stream: AsyncIterable[bytes | bytearray | memoryview] | None,
        content_type: str | None,
        chunked: bool | None,
        skip: Iterable[str] | None,
        close: bool,
    ) -> OutgoingRequest:
        """Compose a request.

        Args:
            method: Upper case.
            to: Where it goes.
            headers: Fields of this request; they replace those of the session by name.
            body: The whole body; empty for none.
            stream: The body in pieces instead.
            content_type: What the body is; None for no body.
            chunked: True to send any body in chunks, False never to.
            skip: More names of fields that are not to be generated.
            close: The connection is not going to be used again.

        Raises:
            ValueError: The framing asked for contradicts itself.
            LocalProtocolError: A field of the session is not fit to be sent.
        """
        if self._version != getversion(self.headers):  # type: ignore[arg-type]  # the stub is invariant
            self._refresh()
        names, skipped = self._names, self._skipped
        if skip is not None:
            skipped = skipped.union(map(str.lower, skip))
        preset: HeaderBlock | None
        preset_fields: _Pairs
        if not headers and skip is None:
            preset, preset_fields = self._presets.get(to.host_field) or self._prepare(to.host_field)
            pairs = self._moving.copy()
        else:
            own = list(headers.items() if isinstance(headers, Mapping) else headers or ())
            own_names = {name.lower() for name, _ in own}
            if skip is None and own_names.isdisjoint(names):
                made = self._presets.get(to.host_field) or self._prepare(to.host_field)
                preset, preset_fields = made
                pairs = self._moving + own
            else:
                preset, preset_fields = None, []
                pairs = self._merged(to.host_field, own, own_names, skipped)
            names |= own_names
        if content_type is None and method in _METHODS_WITH_TYPE:
            content_type = _OCTETS
        if (
            content_type is not None
            and "content-type" not in names
            and "content-type" not in skipped
        ):
            pairs.append(("Content-Type", content_type))
        if body or stream is not None or chunked or method not in _METHODS_WITHOUT_LENGTH:
            _frame(pairs, names, method, body, stream is not None, chunked)
        if close and "connection" not in names:
            pairs.append(_CLOSE)
        head = httpcore_proto.Request(method=method, target=to.target, headers=pairs, preset=preset)
        return OutgoingRequest(to, head, preset_fields, body, stream)

    def _refresh(self) -> None:
        """Note what `headers` holds now."""
        named = frozenset(name.lower() for name in self.headers)
        auto = [
            (name, value)
            for name, value in _AUTO_HEADERS
            if name.lower() not in named and name.lower() not in self._skipped
        ]
        fields = [*auto, *self.headers.items()]
        self._fields = [field for field in fields if field[0].lower() not in _MOVING_NAMES]
        self._moving = [field for field in fields if field[0].lower() in _MOVING_NAMES]
        self._names = named | {name.lower() for name, _ in auto} | {"host"}
        self._presets.clear()
        self._version = getversion(self.headers)  # type: ignore[arg-type]  # as above

    def _prepare(self, host_field: str) -> tuple[HeaderBlock, _Pairs]:
        """Make the lines for one host."""
        fields = self._fields
        if "host" not in self.headers:
            fields = [("Host", host_field), *fields]
        if len(self._presets) >= _MAX_PRESETS:
            self._presets.clear()
        made = self._presets[host_field] = (HeaderBlock(fields), fields)
        return made

    def _merged(
        self, host_field: str, own: _Pairs, own_names: set[str], skipped: frozenset[str]
    ) -> _Pairs:
        """Return all fields where a request replaces or drops some of the defaults."""
        auto = [(name, value) for name, value in _AUTO_HEADERS if name.lower() not in skipped]
        auto.insert(0, ("Host", host_field))
        fields = [field for field in auto if field[0] not in self.headers]
        fields += self.headers.items()
        merged = [field for field in fields if field[0].lower() not in own_names] + own
        # RFC 9110 section 7.2: Host should come first.
        merged.sort(key=lambda field: field[0].lower() != "host")
        return merged


def _frame(
    pairs: _Pairs,
    names: frozenset[str],
    method: str,
    body: bytes,
    streams: bool,
    chunked: bool | None,
) -> None:
    """Add what tells the machine how the body is delimited, unless the caller did."""
    given = "content-length" in names or "transfer-encoding" in names
    if given:
        if chunked:
            raise ValueError(
                "chunked=True goes with neither a Content-Length nor a Transfer-Encoding header"
            )
    elif streams or (chunked and body):
        if chunked is False:
            raise ValueError("chunked=False needs a Content-Length header for a body in pieces")
        pairs.append(_CHUNKED)
    elif len(body) > MAX_JOINED:
        pairs.append(("Content-Length", str(len(body))))
    elif not body and method not in _METHODS_WITHOUT_LENGTH:
        pairs.append(_NO_LENGTH)


def encode_body(
    data: BodyLike | None,
) -> tuple[bytes, AsyncIterable[bytes | bytearray | memoryview] | None, str | None]:
    """Return a body as bytes or as a stream, and its content type.

    Raises:
        TypeError: It is nothing that can be sent.
    """
    if data is None:
        return b"", None, None
    if isinstance(data, str):
        return data.encode(), None, "text/plain; charset=utf-8"
    if isinstance(data, (bytes, bytearray, memoryview)):
        # What may change while it is sent is copied; bytes(x) copies no bytes.
        return bytes(data), None, _OCTETS
    if isinstance(data, AsyncIterable):
        return b"", data, _OCTETS
    raise TypeError(
        "data must be bytes, bytearray, memoryview, str or an async iterable of bytes, "
        f"not {type(data).__name__}"
    )
