"""What a cassette records: requests and responses, whole, in the shape that is stored.

That shape is the same for two recordings of the same thing: content codings are undone, the
boundary of a multipart body is a fixed one, and there are no fields that only one connection,
or one body of a certain length, had to do with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from httpcore_proto import CodingLimits, ContentDecoder, ContentEncodingError, parse_content_type

HeaderList: TypeAlias = tuple[tuple[str, str], ...]

# RFC 9110 section 7.6.1, and what browsers and proxies still send.
_OF_CONNECTION: Final = frozenset(
    {"connection", "expect", "keep-alive", "proxy-connection", "te", "upgrade"}
)
# RFC 9110 sections 6.4.1, 15.3.5 and 15.4.5.
_WITHOUT_BODY: Final = frozenset({204, 205, 304})
_BOUNDARY: Final = "cassette-boundary"


class CassetteError(Exception):
    """A cassette cannot be read or written, or cannot do what it is asked for."""


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request.

    Attributes:
        method: In upper case.
        url: Absolute.
        headers: Names and values, in order.
        body: All of it, content codings undone.
    """

    method: str
    url: str
    headers: HeaderList = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """A response.

    Attributes:
        status: 200 to 999.
        reason: Reason phrase; may be empty.
        headers: Names and values, in order. Content-Length only of what has no body.
        body: All of it, content codings undone.
        trailers: Fields behind a body in chunks.
    """

    status: int
    reason: str = ""
    headers: HeaderList = ()
    body: bytes = b""
    trailers: HeaderList = ()


@dataclass(frozen=True, slots=True)
class RecordedExchange:
    """A request, and what was answered."""

    request: RecordedRequest
    response: RecordedResponse


def carries_body(method: str, status: int) -> bool:
    """Whether a response has a body at all (RFC 9112 section 6.3)."""
    return method != "HEAD" and status not in _WITHOUT_BODY


def field_of(headers: HeaderList, name: str) -> str | None:
    """Return the values of a field, joined; None if it is not there.

    Args:
        headers: Where to look.
        name: In lower case.
    """
    values = [value for key, value in headers if key.lower() == name]
    return ", ".join(values) if values else None


def without_fields(headers: Iterable[tuple[str, str]], names: Collection[str]) -> HeaderList:
    """Return all fields but those of `names`, which are in lower case."""
    return tuple((name, value) for name, value in headers if name.lower() not in names)


def settle_request(
    request: RecordedRequest, ignored: Collection[str], max_body: int
) -> RecordedRequest:
    """Bring a request into the shape that is stored.

    Args:
        request: As it was sent.
        ignored: Names of fields that are left out, in lower case.
        max_body: Most bytes of the body, decoded.

    Raises:
        CassetteError: The body has more.
    """
    what = f"{request.method} {request.url}: the body of the request"
    headers, body = _decoded(request.headers, request.body, max_body, what)
    headers = without_fields(headers, _OF_CONNECTION | {"content-length", "transfer-encoding"})
    headers, body = _with_fixed_boundary(without_fields(headers, ignored), body)
    return replace(request, headers=headers, body=body)


def settle_response(
    response: RecordedResponse, request: RecordedRequest, ignored: Collection[str], max_body: int
) -> RecordedResponse:
    """Bring the response to a request into the shape that is stored; as `settle_request`."""
    headers, body = response.headers, response.body
    dropped = _OF_CONNECTION | set(ignored)
    if carries_body(request.method, response.status):
        what = f"{request.method} {request.url}: the body of the response"
        headers, body = _decoded(headers, body, max_body, what)
        # It is announced anew when it is played, and may be another one by then.
        dropped |= {"content-length"}
    return replace(response, headers=without_fields(headers, dropped), body=body)


def too_large(what: str, max_body: int) -> CassetteError:
    """Return the error for a body over the limit."""
    return CassetteError(
        f"{what} has more than max_body={max_body} bytes, and is not recorded; "
        "a Cassette takes max_body= as a parameter"
    )


def _decoded(
    headers: HeaderList, body: bytes, max_body: int, what: str
) -> tuple[HeaderList, bytes]:
    """Undo the content codings; what cannot be undone stays as it is, for the client to see."""
    codings = field_of(headers, "content-encoding")
    if codings is None or not body:
        return headers, body
    try:
        decoder = ContentDecoder(codings, CodingLimits(max_size=max_body))
        decoder.feed(body)
        decoder.feed_eof()
        decoded = b"".join(iter(decoder.read, b""))
    except ContentEncodingError as exc:
        if exc.limit == "max_size":
            raise too_large(what, max_body) from exc
        return headers, body
    return without_fields(headers, {"content-encoding"}), decoded


def _with_fixed_boundary(headers: HeaderList, body: bytes) -> tuple[HeaderList, bytes]:
    """Put a fixed boundary in the place of one that differs from request to request."""
    content_type = field_of(headers, "content-type") or ""
    parsed = parse_content_type(content_type)
    boundary = parsed.parameters.get("boundary")
    if not parsed.media_type.startswith("multipart/") or not boundary:
        return headers, body
    told = content_type.replace(boundary, _BOUNDARY)
    fixed = tuple(
        (name, told if name.lower() == "content-type" else value) for name, value in headers
    )
    delimiter = b"--" + boundary.encode("utf-8", "surrogateescape")
    return fixed, body.replace(delimiter, b"--" + _BOUNDARY.encode())
