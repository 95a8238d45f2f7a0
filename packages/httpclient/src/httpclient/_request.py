"""A request on its way out: what a call asked for, as a head and a body.

Not here: where it goes (`_url.py`), what a body may be (`_request_body.py`) and how it is
announced (`_framing.py`), and the writing of it (`_connection.py`, `_upload.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy, getversion, istr
from yarl import URL

import httpcore_proto
from httpcore_proto import (
    SERVER_SOFTWARE,
    HeaderBlock,
    HeadersLike,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    supported_codings,
)
from httpcore_proto.aio import Payload

from ._framing import MAX_DIGITS, METHODS_WITHOUT_LENGTH, Pairs, frame_body, frame_nothing
from ._request_body import OCTETS
from ._url import Destination

if TYPE_CHECKING:
    from ._tracing import Traces
    from ._upload_tracker import UploadTracker

#: Called with the bytes of the body sent so far, and with all there are, None if that is not
#: known; as they are on the wire, without the framing of chunks.
Progress: TypeAlias = Callable[[int, int | None], object]

# aiohttp labels the body of these even if there is none.
_METHODS_WITH_TYPE: Final = frozenset({"POST", "PUT", "PATCH"})
_CLOSE: Final = ("Connection", "close")
_KEEP_ALIVE: Final = ("Connection", "keep-alive")
# What differs from message to message, because the machine or this module writes it anew.
_MOVING_NAMES: Final = frozenset(
    {"content-length", "transfer-encoding", "connection", "cookie", "expect"}
)
#: Fields of a payload that are about its place in a multipart body, or frame it; lower case.
NOT_OF_A_REQUEST: Final = frozenset(
    {"connection", "content-length", "content-transfer-encoding", "host", "transfer-encoding"}
)
_NOTHING: Final[frozenset[str]] = frozenset()
#: Larger bodies are not joined with their head, since that copies them. Bytes; aiohttp's
#: threshold for a write.
MAX_JOINED: Final = 65536

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

    Whoever made its payload closes it once there is nothing more to be sent.

    Attributes:
        destination: Where it goes.
        method: Upper case.
        head: Head for the protocol machine.
        preset_fields: The fields that `head.preset` stands for.
        body: The whole body; empty if there is none, or if it is a payload.
        payload: The body, if it is not bytes.
        coding: Content coding to be applied to the body; None for none.
        expects_continue: Whether the body waits for the server's word.
        traces: The traces of the call; set with `watch`.
        tracker: The tracker of the call; set with `watch`.
        progress: Called with each advance of the body; set with `watch`.
        plain: Whether it is a head and bytes, sent as they are, and nobody watches.
        whole: Whether it is that, and small enough for one piece.
    """

    __slots__ = (
        "body",
        "coding",
        "destination",
        "expects_continue",
        "head",
        "method",
        "payload",
        "plain",
        "preset_fields",
        "progress",
        "traces",
        "tracker",
        "whole",
    )

    def __init__(
        self,
        destination: Destination,
        head: httpcore_proto.Request,
        preset_fields: Iterable[tuple[str, str]],
        body: bytes,
        payload: Payload | None = None,
        coding: str | None = None,
        expects_continue: bool = False,
    ) -> None:
        self.destination: Destination = destination
        self.method: str = head.method
        self.head: httpcore_proto.Request = head
        self.preset_fields: Iterable[tuple[str, str]] = preset_fields
        self.body: bytes = body
        self.payload: Payload | None = payload
        self.coding: str | None = coding
        self.expects_continue: bool = expects_continue
        self.traces: Traces | None = None
        self.tracker: UploadTracker | None = None
        self.progress: Progress | None = None
        self.plain: bool = payload is None and (
            not body or (coding is None and not expects_continue)
        )
        self.whole: bool = self.plain and len(body) <= MAX_JOINED

    def watch(
        self,
        *,
        traces: Traces | None = None,
        tracker: UploadTracker | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Have somebody see how it is sent."""
        self.traces = traces
        self.tracker = tracker
        self.progress = progress
        if traces is not None or tracker is not None or progress is not None:
            self.plain = self.whole = False

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent a second time."""
        return self.payload is None or self.payload.replayable

    @property
    def size(self) -> int | None:
        """Bytes of the body on the wire, without framing; None if that is not known."""
        if self.coding is not None:
            return None
        size = len(self.body) if self.payload is None else self.payload.size
        if size is None:
            length = self.head.headers.get("Content-Length", "")
            # A malformed one is refused when the head is sent.
            if length.isascii() and length.isdigit() and len(length) <= MAX_DIGITS:
                size = int(length)
        return size

    @property
    def url(self) -> URL:
        """The URL, without fragment."""
        url = self.destination.url
        return url.with_fragment(None) if url.raw_fragment else url

    @property
    def fields(self) -> CIMultiDict[str]:
        """All fields of the head, made anew with each use."""
        fields = CIMultiDict([*self.preset_fields, *self.head.headers.items()])
        if self.body and "Content-Length" not in fields and "Transfer-Encoding" not in fields:
            fields["Content-Length"] = str(len(self.body))
        return fields

    @property
    def info(self) -> RequestInfo:
        """What was asked for, made anew with each use."""
        url = self.destination.url
        return RequestInfo(self.url, self.method, CIMultiDictProxy(self.fields), url)


class HeaderDefaults:
    """The fields that a session sends with every request, as ready-made lines.

    Args:
        headers: The session's own; may be changed later.
        skip: Names of fields that are not to be generated.
        auto_decompress: Whether the session decodes what it asks for, so that it may ask.
    """

    __slots__ = (
        "_auto",
        "_auto_decompress",
        "_fields",
        "_moving",
        "_names",
        "_presets",
        "_skipped",
        "_version",
        "headers",
        "skip",
    )

    def __init__(
        self,
        headers: HeadersLike | None,
        skip: Iterable[str] | None,
        *,
        auto_decompress: bool = True,
    ) -> None:
        self.headers: CIMultiDict[str] = CIMultiDict(headers if headers is not None else ())
        self.skip: frozenset[istr] = frozenset(map(istr, skip or ()))
        self._skipped = frozenset(name.lower() for name in self.skip)
        self._auto_decompress = auto_decompress
        self._auto: Pairs = []
        self._version = -1  # of `headers`, when what follows was made from it
        self._names: frozenset[str] = _NOTHING
        self._fields: Pairs = []
        # Of those the ones that are written anew, message by message.
        self._moving: Pairs = []
        self._presets: dict[str, tuple[HeaderBlock, Pairs]] = {}

    def request(
        self,
        method: str,
        to: Destination,
        *,
        headers: HeadersLike | None = None,
        cookie: str | None = None,
        body: bytes = b"",
        payload: Payload | None = None,
        content_type: str | None = None,
        chunked: bool | None = None,
        compress: str | bool | None = None,
        expect100: bool = False,
        skip: Iterable[str] | None = None,
        drop: frozenset[str] = _NOTHING,
        close: bool = False,
        version: HttpVersion = HttpVersion11,
    ) -> OutgoingRequest:
        """Compose a request.

        Args:
            method: Upper case.
            to: Where it goes.
            headers: Fields of this request; they replace those of the session by name.
            cookie: Value of `Cookie`, put behind one that the fields have.
            body: The whole body; empty for none.
            payload: The body, if it is not bytes. Its fields are sent where neither the
                session nor the request has their names.
            content_type: What the body in `body` is; None for no body.
            chunked: True to send any body in chunks, False never to.
            compress: Content coding of a body that is not empty; True for deflate.
            expect100: Whether to ask the server before a body is sent.
            skip: More names of fields that are not to be generated.
            drop: Names in lower case of fields that are not sent, whoever gave them;
                what is generated in their place is.
            close: The connection is not going to be used again.
            version: HTTP/1.1, or 1.0.

        Raises:
            ValueError: The framing asked for contradicts itself, `compress` names no coding
                that is known here, or `version` is another one.
            LocalProtocolError: A field of the session is not fit to be sent.
            OSError: The size of a file cannot be found.
        """
        if self._version != getversion(self.headers):  # type: ignore[arg-type]  # the stub is invariant
            self._refresh()
        names, skipped = self._names, self._skipped
        if skip is not None:
            skipped = skipped.union(map(str.lower, skip))
        preset: HeaderBlock | None
        preset_fields: Pairs
        if not headers and skip is None and not drop:
            preset, preset_fields = self._presets.get(to.host_field) or self._prepare(to.host_field)
            pairs = self._moving.copy()
        else:
            own = list(headers.items() if isinstance(headers, Mapping) else headers or ())
            if drop:
                own = [field for field in own if field[0].lower() not in drop]
            own_names = {name.lower() for name, _ in own}
            if skip is None and names.isdisjoint(own_names) and names.isdisjoint(drop):
                made = self._presets.get(to.host_field) or self._prepare(to.host_field)
                preset, preset_fields = made
                pairs = self._moving + own
                names |= own_names
            else:
                preset, preset_fields = None, []
                pairs = self._merged(to.host_field, own, own_names, skipped, drop)
                names = frozenset(name.lower() for name, _ in pairs)
        if cookie is not None:
            _add_cookie(pairs, names, cookie)
        if payload is not None:
            names |= _add_payload_fields(pairs, payload, names | skipped)
        else:
            if content_type is None and method in _METHODS_WITH_TYPE:
                content_type = OCTETS
            if (
                content_type is not None
                and "content-type" not in names
                and "content-type" not in skipped
            ):
                pairs.append(("Content-Type", content_type))
        if version is not HttpVersion11:
            _add_version(pairs, names, version, close)
        coding, expects = None, False
        if body or payload is not None:
            size = len(body) if payload is None else payload.size
            coding, expects = frame_body(
                pairs,
                names,
                size=size,
                leave_length=payload is None and len(body) <= MAX_JOINED,
                chunked=chunked,
                compress=compress,
                expect100=expect100,
                http10=version < HttpVersion11,
            )
        elif pairs or method not in METHODS_WITHOUT_LENGTH:
            frame_nothing(pairs, names, method)
        if close and "connection" not in names:
            pairs.append(_CLOSE)
        head = httpcore_proto.Request(
            method=method, target=to.target, headers=pairs, preset=preset, http_version=version
        )
        return OutgoingRequest(to, head, preset_fields, body, payload, coding, expects)

    def _refresh(self) -> None:
        """Note what `headers` holds now."""
        self._auto = [("Accept", "*/*"), ("User-Agent", SERVER_SOFTWARE)]
        if self._auto_decompress:
            self._auto.insert(1, ("Accept-Encoding", ", ".join(supported_codings())))
        named = frozenset(name.lower() for name in self.headers)
        auto = [
            (name, value)
            for name, value in self._auto
            if name.lower() not in named and name.lower() not in self._skipped
        ]
        fields = [*auto, *self.headers.items()]
        self._fields = [field for field in fields if field[0].lower() not in _MOVING_NAMES]
        self._moving = [field for field in fields if field[0].lower() in _MOVING_NAMES]
        self._names = named | {name.lower() for name, _ in auto} | {"host"}
        self._presets.clear()
        self._version = getversion(self.headers)  # type: ignore[arg-type]  # as above

    def _prepare(self, host_field: str) -> tuple[HeaderBlock, Pairs]:
        """Make the lines for one host."""
        fields = self._fields
        if "host" not in self.headers:
            fields = [("Host", host_field), *fields]
        else:
            fields = sorted(fields, key=_is_not_host)
        if len(self._presets) >= _MAX_PRESETS:
            self._presets.clear()
        made = self._presets[host_field] = (HeaderBlock(fields), fields)
        return made

    def _merged(
        self,
        host_field: str,
        own: Pairs,
        own_names: set[str],
        skipped: Collection[str],
        drop: frozenset[str],
    ) -> Pairs:
        """Return all fields where a request replaces or drops some of the defaults."""
        given = [field for field in self.headers.items() if field[0].lower() not in drop]
        given_names = {name.lower() for name, _ in given}
        auto = [(name, value) for name, value in self._auto if name.lower() not in skipped]
        auto.insert(0, ("Host", host_field))
        fields = [field for field in auto if field[0].lower() not in given_names] + given
        merged = [field for field in fields if field[0].lower() not in own_names] + own
        merged.sort(key=_is_not_host)
        return merged


def _is_not_host(field: tuple[str, str]) -> bool:
    """Sort Host to the front, where RFC 9110 section 7.2 wants it."""
    return field[0].lower() != "host"


def _add_cookie(pairs: Pairs, names: frozenset[str], cookie: str) -> None:
    """Add to `Cookie`, of which there is one at most (RFC 6265 section 5.4)."""
    if "cookie" in names:
        given = [value for name, value in pairs if name.lower() == "cookie"]
        pairs[:] = [field for field in pairs if field[0].lower() != "cookie"]
        cookie = "; ".join([*given, cookie])
    pairs.append(("Cookie", cookie))


def _add_payload_fields(pairs: Pairs, payload: Payload, taken: frozenset[str]) -> frozenset[str]:
    """Add the fields that a payload brings; return their names."""
    taken |= NOT_OF_A_REQUEST
    added = [field for field in payload.headers.items() if field[0].lower() not in taken]
    pairs += added
    return frozenset(name.lower() for name, _ in added)


def _add_version(pairs: Pairs, names: frozenset[str], version: HttpVersion, close: bool) -> None:
    """Ask for what HTTP/1.1 does unasked: to keep the connection."""
    if version not in (HttpVersion10, HttpVersion11):
        raise ValueError(f"version={version!r}: expected HttpVersion11 or HttpVersion10")
    if version == HttpVersion10 and not close and "connection" not in names:
        pairs.append(_KEEP_ALIVE)
