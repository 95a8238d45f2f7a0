"""One line in the log for each answered request."""

from __future__ import annotations

import logging
import re
import time
from typing import Final

from ._request import Request
from ._response import StreamResponse

# What a client sends must not be able to forge a line, or to move a terminal's cursor.
_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]+")


class AccessLogger:
    """Writes aiohttp's default line, which is Apache's combined format.

    Args:
        logger: Gets a record at INFO for every request.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def log(self, request: Request, response: StreamResponse, size: int) -> None:
        """Log one exchange.

        Args:
            request: The request.
            response: Its answer.
            size: Bytes of body sent.
        """
        headers = request.headers
        version = request.version
        self._logger.info(
            '%s %s "%s %s HTTP/%s.%s" %s %s "%s" "%s"',
            request.remote or "-",
            time.strftime("[%d/%b/%Y:%H:%M:%S %z]"),
            request.method,
            _escaped(request.raw_path),
            version.major,
            version.minor,
            response.status,
            size,
            _escaped(headers.get("Referer", "-")),
            _escaped(headers.get("User-Agent", "-")),
        )


def _escaped(text: str) -> str:
    return _UNSAFE.sub(_hexadecimal, text)


def _hexadecimal(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("utf-8", "surrogateescape"))
