"""Answers that are raised. The first of them: those that the server gives by itself.

HTTPException (Response, Exception)
  HTTPError
    HTTPClientError
      HTTPBadRequest                400
      HTTPNotFound                  404
      HTTPMethodNotAllowed          405
      HTTPRequestEntityTooLarge     413
      HTTPExpectationFailed         417
    HTTPServerError
      HTTPInternalServerError       500
"""

from __future__ import annotations

import http
from collections.abc import Iterable
from typing import Any, ClassVar

from httpcore_proto import HeadersLike

from ._response import Response


class HTTPException(Response, Exception):
    """A response that is raised instead of returned.

    Args:
        headers: Fields to send.
        reason: Reason phrase; the standard one unless given.
        body: The body as bytes.
        text: The body as text; `"404: Not Found"` and the like unless given.
        content_type: Media type; `text/plain` unless given.
    """

    status_code: ClassVar[int] = -1

    def __init__(
        self,
        *,
        headers: HeadersLike | None = None,
        reason: str | None = None,
        body: bytes | None = None,
        text: str | None = None,
        content_type: str | None = None,
    ) -> None:
        if body is None and text is None:
            phrase = reason or http.HTTPStatus(self.status_code).phrase
            text = f"{self.status_code}: {phrase}"
        Response.__init__(
            self,
            status=self.status_code,
            headers=headers,
            reason=reason,
            body=body,
            text=text,
            content_type=content_type,
        )
        Exception.__init__(self, self.reason)


class HTTPError(HTTPException):
    """400 to 599."""


class HTTPClientError(HTTPError):
    """The client is at fault."""


class HTTPServerError(HTTPError):
    """The server is at fault."""


class HTTPBadRequest(HTTPClientError):
    """400 Bad Request."""

    status_code = 400


class HTTPNotFound(HTTPClientError):
    """404 Not Found."""

    status_code = 404


class HTTPMethodNotAllowed(HTTPClientError):
    """405 Method Not Allowed, with the `Allow` field that goes with it.

    Args:
        method: The method that was tried.
        allowed_methods: Those that would do.
        **kwargs: As for `HTTPException`.
    """

    status_code = 405

    def __init__(self, method: str, allowed_methods: Iterable[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.method = method
        self.allowed_methods: set[str] = set(allowed_methods)
        self.headers["Allow"] = ",".join(sorted(self.allowed_methods))


class HTTPRequestEntityTooLarge(HTTPClientError):
    """413: the body is larger than is allowed.

    Args:
        max_size: Bytes allowed (`Application(client_max_size=...)`).
        actual_size: Bytes announced, or received so far.
        **kwargs: As for `HTTPException`.
    """

    status_code = 413

    def __init__(self, max_size: int, actual_size: int, **kwargs: Any) -> None:
        kwargs.setdefault(
            "text",
            f"Maximum request body size {max_size} exceeded, actual body size {actual_size}",
        )
        super().__init__(**kwargs)


class HTTPExpectationFailed(HTTPClientError):
    """417 Expectation Failed."""

    status_code = 417


class HTTPInternalServerError(HTTPServerError):
    """500 Internal Server Error."""

    status_code = 500
