"""What trace signals tell: one frozen record for each signal of `TraceConfig`.

The `headers` of a request are the ones that are going to be sent, not a copy: a handler of
`on_request_start` may change them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multidict import CIMultiDict, CIMultiDictProxy
    from yarl import URL

    from ._response import ClientResponse


@dataclass(frozen=True, slots=True)
class TraceRequestStartParams:
    """A call begins.

    Attributes:
        method: Upper case.
        url: The URL, `params` included.
        headers: The fields that the call gives and those of its session; may be changed.
    """

    method: str
    url: URL
    headers: CIMultiDict[str]


@dataclass(frozen=True, slots=True)
class TraceRequestHeadersSentParams:
    """The head of a request was written; once for each hop and attempt.

    Attributes:
        method: Upper case.
        url: The URL of this hop.
        headers: The fields as they were sent.
    """

    method: str
    url: URL
    headers: CIMultiDict[str] | CIMultiDictProxy[str]


@dataclass(frozen=True, slots=True)
class TraceRequestChunkSentParams:
    """A piece of the body was written.

    Attributes:
        method: Upper case.
        url: The URL of this hop.
        chunk: The piece, without the framing.
    """

    method: str
    url: URL
    chunk: bytes


@dataclass(frozen=True, slots=True)
class TraceResponseChunkReceivedParams:
    """`ClientResponse.read` has the body.

    Attributes:
        method: Upper case.
        url: The URL of the response.
        chunk: The whole body.
    """

    method: str
    url: URL
    chunk: bytes


@dataclass(frozen=True, slots=True)
class TraceRequestRedirectParams:
    """A redirect is going to be followed.

    Attributes:
        method: Of the request that was redirected.
        url: The URL of that request.
        headers: The fields of that request.
        response: The redirect.
    """

    method: str
    url: URL
    headers: CIMultiDict[str] | CIMultiDictProxy[str]
    response: ClientResponse


@dataclass(frozen=True, slots=True)
class TraceRequestRetryParams:
    """The middleware `Retry` is going to wait, and to send a request again. Not in aiohttp.

    Attributes:
        method: Upper case.
        url: The URL of this hop.
        headers: The fields of the request.
        attempt: How many times it was sent, so far.
        delay: Seconds to wait.
        reason: The response that is not good enough, or the error.
    """

    method: str
    url: URL
    headers: CIMultiDict[str] | CIMultiDictProxy[str]
    attempt: int
    delay: float
    reason: ClientResponse | Exception


@dataclass(frozen=True, slots=True)
class TraceRequestEndParams:
    """A call has its response.

    Attributes:
        method: Upper case.
        url: The URL that the call gave.
        headers: The fields of the request.
        response: The response; its body need not be there yet.
    """

    method: str
    url: URL
    headers: CIMultiDict[str] | CIMultiDictProxy[str]
    response: ClientResponse


@dataclass(frozen=True, slots=True)
class TraceRequestExceptionParams:
    """A call ended with an error, or was cancelled.

    Attributes:
        method: Upper case.
        url: The URL that the call gave.
        headers: The fields of the request.
        exception: What the call raises.
    """

    method: str
    url: URL
    headers: CIMultiDict[str] | CIMultiDictProxy[str]
    exception: BaseException


@dataclass(frozen=True, slots=True)
class TraceConnectionQueuedStartParams:
    """The pool is full: the request begins to wait for a connection."""


@dataclass(frozen=True, slots=True)
class TraceConnectionQueuedEndParams:
    """The request has waited long enough for a connection."""


@dataclass(frozen=True, slots=True)
class TraceConnectionCreateStartParams:
    """A connection is going to be made."""


@dataclass(frozen=True, slots=True)
class TraceConnectionCreateEndParams:
    """The connection is made, TLS included; not sent if that failed."""


@dataclass(frozen=True, slots=True)
class TraceConnectionReuseconnParams:
    """A connection of the pool is used."""


@dataclass(frozen=True, slots=True)
class TraceDnsResolveHostStartParams:
    """A name is going to be looked up.

    Attributes:
        host: The name.
    """

    host: str


@dataclass(frozen=True, slots=True)
class TraceDnsResolveHostEndParams:
    """A name was looked up; not sent if that failed.

    Attributes:
        host: The name.
    """

    host: str


@dataclass(frozen=True, slots=True)
class TraceDnsCacheHitParams:
    """The addresses of a name are known from before.

    Attributes:
        host: The name.
    """

    host: str


@dataclass(frozen=True, slots=True)
class TraceDnsCacheMissParams:
    """The addresses of a name are not known from before.

    Attributes:
        host: The name.
    """

    host: str
