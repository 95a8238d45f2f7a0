"""The access log as a record of fields, and records as lines of JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ._access_log import AbstractAccessLogger, redacted
from ._request import Request

if TYPE_CHECKING:
    from ._request import BaseRequest
    from ._response import StreamResponse

# What every record has; anything else came by `extra`.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class StructuredAccessLogger(AbstractAccessLogger):
    """Logs each request at INFO as fields, for formatters such as `JSONFormatter`.

    The message is method, target and status. The fields of the record (`extra`):

    * `client`: the client's address, or None
    * `method`, `target` (values of secret parameters redacted), `protocol` ("HTTP/1.1")
    * `route`: the path of the matched route with its parameters unfilled, or None
    * `scheme`: "http" or "https"
    * `status`, `bytes_sent` (head included), `bytes_received` (announced body, or None)
    * `duration`: seconds
    * `user_agent`, `referer`, `request_id` (X-Request-ID): as the client sent them, or
      None. Not escaped: a formatter must do that, as JSON does.

    Args:
        logger: Gets the records.
        log_format: Not used; there is one because `AbstractAccessLogger` has one.
    """

    def __init__(self, logger: logging.Logger, log_format: str = "") -> None:
        super().__init__(logger, log_format)

    @property
    def enabled(self) -> bool:
        """Whether the logger takes INFO."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Log one exchange. As of `AbstractAccessLogger`."""
        try:
            headers = request.headers
            version = request.version
            target = redacted(request.raw_path)
            referer = headers.get("Referer")
            extra = {
                "client": request.remote or None,
                "method": request.method,
                "target": target,
                "protocol": f"HTTP/{version.major}.{version.minor}",
                "route": _route(request),
                "scheme": request.scheme,
                "status": response.status,
                "bytes_sent": response.body_length,
                "bytes_received": request.content_length,
                "duration": round(time, 6),
                "user_agent": headers.get("User-Agent"),
                "referer": None if referer is None else redacted(referer),
                "request_id": headers.get("X-Request-ID"),
            }
            # The target as Python writes it: it may hold what moves a terminal's cursor.
            self.logger.info("%s %a %s", request.method, target, response.status, extra=extra)
        except Exception:
            self.logger.exception("error in the access log")


def _route(request: BaseRequest) -> str | None:
    if not isinstance(request, Request):
        return None
    try:
        resource = request.match_info.route.resource
    except AttributeError:
        return None  # answered before it was routed
    return None if resource is None else resource.canonical


class JSONFormatter(logging.Formatter):
    """Makes one line of JSON of each record, ASCII only.

    `time` (UTC, RFC 3339), `level`, `logger`, `message`, then the fields of `extra`, then
    `exception` and `stack` if there are any. What JSON has no form for is written as its
    `str`.

    Args:
        rename: Other names for fields, as `{"client": "client.ip"}`; a field renamed to ""
            is left out.
    """

    def __init__(self, rename: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._rename: Mapping[str, str] = rename or {}

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        moment = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in fields:
                fields[name] = value
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        renamed = {self._rename.get(name, name): value for name, value in fields.items()}
        renamed.pop("", None)
        return json.dumps(renamed, default=str, separators=(",", ":"))
