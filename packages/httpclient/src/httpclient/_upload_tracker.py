"""Watching an upload from outside of the request that it belongs to."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import anyio

from ._errors import UploadAbortedError


class UploadCompletion:
    """Whether an upload has ended, and how. Await it in any number of tasks.

    Awaiting it returns None if the whole body was sent, and raises otherwise:
    `UploadAbortedError` if the server answered before that, or if the request was cancelled;
    else what the request failed with.
    """

    __slots__ = ("_done", "_error", "_event")

    def __init__(self) -> None:
        self._done = False
        self._error: Exception | None = None
        self._event: anyio.Event | None = None

    def done(self) -> bool:
        """Whether it has ended."""
        return self._done

    def exception(self) -> Exception | None:
        """Return what awaiting it would raise, None if it would return.

        Raises:
            RuntimeError: It has not ended.
        """
        if not self._done:
            raise RuntimeError("the upload has not ended yet")
        return self._error

    def settle(self, error: Exception | None) -> None:
        """End it, once; for the tracker."""
        self._done = True
        self._error = error
        if self._event is not None:
            self._event.set()

    def __await__(self) -> Generator[Any, Any, None]:
        if not self._done:
            if self._event is None:
                self._event = anyio.Event()
            yield from self._event.wait().__await__()
        if self._error is not None:
            raise self._error


class UploadTracker:
    """What is known about the body of one request, while it is sent and afterwards.

        tracker = UploadTracker()
        request = session.put(url, data=file, upload_tracker=tracker)

    It may be made outside of an event loop, and serves one request, redirects and retries
    included.

    Attributes:
        bytes_written: Bytes of the body that the socket has taken in the current attempt: as
            they are sent, so after a content coding, without the framing of chunks. Up to
            64 KiB of them may still be on their way to the kernel.
        attempts: How many times the request was sent. A retry or a redirect that keeps the
            body counts; an attempt that found no connection does not.
        upload_complete: Awaitable, see `UploadCompletion`; settled when the request has its
            response, or failed.
    """

    __slots__ = ("_bound", "_complete", "attempts", "bytes_written", "upload_complete")

    def __init__(self) -> None:
        self.bytes_written: int = 0
        self.attempts: int = 0
        self.upload_complete: UploadCompletion = UploadCompletion()
        self._bound = False
        self._complete = False

    def bind(self) -> None:
        """Begin with a request; for the session, before anything else.

        Raises:
            RuntimeError: It was used for another one.
        """
        if self._bound:
            raise RuntimeError("an UploadTracker serves one request; make another")
        self._bound = True

    def begin(self) -> None:
        """Note that the request is being sent, maybe once more; for the upload."""
        self.attempts += 1
        self.bytes_written = 0
        self._complete = False

    def complete(self) -> None:
        """Note that the whole body was sent; for the upload."""
        self._complete = True

    def finish(self, error: BaseException | None) -> None:
        """Settle `upload_complete`; for the session, when it is through with the request.

        Args:
            error: What the request failed with; None if there is a response.
        """
        if self.upload_complete.done():
            return
        outcome: Exception | None
        if self._complete:
            outcome = None
        elif isinstance(error, Exception):
            outcome = error
        else:
            outcome = UploadAbortedError(
                "the server answered before the upload was complete"
                if error is None
                else f"the request was cancelled during the upload ({type(error).__name__})"
            )
            outcome.__cause__ = error
        self.upload_complete.settle(outcome)

    def __repr__(self) -> str:
        return f"<UploadTracker bytes_written={self.bytes_written} attempts={self.attempts}>"
