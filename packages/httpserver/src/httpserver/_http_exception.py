"""Answers that are raised: what all of them have in common.

HTTPException (Response, Exception)
  HTTPSuccessful        2xx
  HTTPRedirection       3xx
    HTTPMove            those with a Location
  HTTPError
    HTTPClientError     4xx
    HTTPServerError     5xx

A program's own class needs no more than a base of these and its `status_code`.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final, TypedDict, Unpack

from yarl import URL

from httpcore_proto import RESPONSES, HeadersLike

from ._response import Response

# What no field has (RFC 9110 section 5.5), and the tab, which no URL has.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class ExceptionOptions(TypedDict, total=False):
    """What every `HTTPException` takes, for those that take more in front of it."""

    headers: HeadersLike | None
    reason: str | None
    text: str | None
    content_type: str | None


class HTTPException(Response, Exception):
    """A response that is raised, or returned, instead of a `Response`.

    It is sent like one, cookies and all. `str()` gives the reason phrase.

    Args:
        headers: Fields to send.
        reason: Reason phrase; the standard one unless given.
        text: The body; `"404: Not Found"` and the like unless given, none at all for
            204, 205 and 304. Of media type `text/plain`, so that a reason which repeats
            what the client sent is never taken for HTML.
        content_type: Media type of `text`.

    Raises:
        ValueError: There is a line end in `reason`.

    Attributes:
        status_code: Of a class: the status of its responses.
        empty_body: Of a class: whether a response without `text` has no body.
    """

    status_code: ClassVar[int] = -1
    empty_body: ClassVar[bool] = False

    def __init__(
        self,
        *,
        headers: HeadersLike | None = None,
        reason: str | None = None,
        text: str | None = None,
        content_type: str | None = None,
    ) -> None:
        if text is None and not self.empty_body:
            text = f"{self.status_code}: {_phrase(self.status_code, reason)}"
        Response.__init__(
            self,
            status=self.status_code,
            headers=headers,
            reason=reason,
            text=text,
            content_type=content_type,
        )
        Exception.__init__(self, self.reason)


def _phrase(status: int, reason: str | None) -> str:
    return RESPONSES.get(status, ("", ""))[0] if reason is None else reason


class HTTPSuccessful(HTTPException):
    """200 to 299."""


class HTTPRedirection(HTTPException):
    """300 to 399."""


class HTTPError(HTTPException):
    """400 to 599."""


class HTTPClientError(HTTPError):
    """400 to 499: the client is at fault."""


class HTTPServerError(HTTPError):
    """500 to 599: the server is at fault."""


class HTTPMove(HTTPRedirection):
    """It is somewhere else; the base of those that send a `Location`.

    Where a client may be sent is the caller's business: check what comes out of a request
    before it becomes a location, or others use the site to lend their links its name.

    Args:
        location: Where to, relative or absolute. Characters that no URL has are
            percent-encoded.
        **options: As for `HTTPException`.

    Raises:
        ValueError: `location` is empty, has a control character or is no URL.
        TypeError: `location` is neither `str` nor `URL`.
    """

    def __init__(self, location: str | URL, **options: Unpack[ExceptionOptions]) -> None:
        if not location:
            raise ValueError("a redirect needs a location, and this one is empty")
        self._location = checked_url(location)
        super().__init__(**options)
        self.headers["Location"] = str(self._location)

    @property
    def location(self) -> URL:
        """Where to."""
        return self._location


def checked_url(location: str | URL) -> URL:
    """Return what is to be sent inside a field as an URL, or raise `ValueError`."""
    # URL() would drop CR, LF and TAB, so that one could not tell what was meant.
    if isinstance(location, str) and _CONTROL.search(location):
        raise ValueError(f"location {location[:80]!r} has a control character")
    return URL(location)
