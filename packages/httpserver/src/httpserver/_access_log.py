"""One line in the log for each answered request, in aiohttp's format language."""

from __future__ import annotations

import logging
import os
import re
import time as clock
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from ._request import BaseRequest
    from ._response import StreamResponse

#: The logger of the access log, unless a program gives its own.
access_logger: Final = logging.getLogger("httpserver.access")

# What a client sends must not be able to forge a line, or to move a terminal's cursor.
_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]+")

_REDACTED: Final = "[redacted]"
# Ends of names of query parameters whose values grant something to whoever reads the log.
_SECRET_NAMES: Final = ("key", "passwd", "password", "secret", "signature", "token")
_SECRET_HEADERS: Final = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie"},
)

_ATOM: Final = re.compile(r"%(?:(%)|\{([A-Za-z0-9_-]++)\}([io])|(Tf|[atPrsbTD]))")


class AbstractAccessLogger(ABC):
    """What is told about every answered request.

    Subclass it and hand the class on as `access_log_class`; the runner makes the object.

    Args:
        logger: Where to log.
        log_format: What to log, in whatever language the subclass understands.
    """

    def __init__(self, logger: logging.Logger, log_format: str) -> None:
        self.logger: logging.Logger = logger
        self.log_format: str = log_format

    @abstractmethod
    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Log one exchange. Called when the response was sent; must not raise.

        Args:
            request: The request.
            response: Its answer.
            time: Seconds from the request's head to the end of the response.
        """

    @property
    def enabled(self) -> bool:
        """Whether anything would be logged; asked once, when the runner is set up."""
        return True


class AccessLogger(AbstractAccessLogger):
    """Writes a line of text at INFO for each request.

    Atoms of the format, and the names of their values in the record (`extra`):

    * `%%` a percent sign
    * `%a` the client's address, `remote_address`
    * `%t` when the request began, local time with offset, `request_start_time`
    * `%P` the process, as `<123>`, `process_id`
    * `%r` the request line, `first_request_line`
    * `%s` the status, `response_status`
    * `%b` bytes sent, head included, `response_size`
    * `%T` seconds, whole; `%Tf` with a fraction; `%D` microseconds: `request_time`,
      `request_time_frac`, `request_time_micro`
    * `%{Name}i`, `%{Name}o` a field of the request, of the response; `-` if there is
      none. `request_header`, `response_header`, each a dict.

    All that a client sends is escaped: one request is one line of printable ASCII. Values
    of query parameters named like secrets (`...key`, `...token`, `...password`) and of
    credential fields (Authorization, Cookie) read `[redacted]`.

    Args:
        logger: Gets the records.
        log_format: The line.

    Raises:
        ValueError: The format has an atom that is none of these.
    """

    #: Apache's combined format, but for the user, whom we do not know.
    LOG_FORMAT: Final = '%a %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"'

    def __init__(self, logger: logging.Logger, log_format: str = LOG_FORMAT) -> None:
        super().__init__(logger, log_format)
        self._message, self._atoms = compile_format(log_format)

    @property
    def enabled(self) -> bool:
        """Whether the logger takes INFO."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Log one exchange. As of `AbstractAccessLogger`."""
        try:
            extra: dict[str, Any] = {}
            values: list[object] = []
            for name, field, read in self._atoms:
                value = read(request, response, time, field)
                values.append(value)
                if field:
                    extra.setdefault(name, {})[field] = value
                else:
                    extra[name] = value
            self.logger.info(self._message, *values, extra=extra)
        except Exception:
            # The client has its answer; that must not be taken back for the log's sake.
            self.logger.exception("error in the access log")


_Read: TypeAlias = Callable[["BaseRequest", "StreamResponse", float, str], object]
# Name in the record, field for the atoms that have one, and how to find out.
_CompiledAtom: TypeAlias = tuple[str, str, _Read]


@lru_cache(maxsize=16)  # tests make a server each
def compile_format(log_format: str) -> tuple[str, list[_CompiledAtom]]:
    """Return the template for `%` and what fills it.

    Raises:
        ValueError: There is an atom that is not known.
    """
    pieces: list[str] = []
    atoms: list[_CompiledAtom] = []
    end = 0
    while (start := log_format.find("%", end)) >= 0:
        match = _ATOM.match(log_format, start)
        if match is None:
            raise ValueError(
                f"unknown atom {log_format[start : start + 20]!r} in the access log format; "
                "known are %%, %a, %t, %P, %r, %s, %b, %T, %Tf, %D, %{Name}i and %{Name}o"
            )
        pieces.append(log_format[end:start])
        percent, field, side, letter = match.groups()
        if percent:
            pieces.append("%%")
        elif field:
            pieces.append("%s")
            name, read = _FIELD_ATOMS[side]
            atoms.append((name, field, read))
        else:
            pieces.append("%s")
            name, read = _ATOMS[letter]
            atoms.append((name, "", read))
        end = match.end()
    pieces.append(log_format[end:])
    message = "".join(pieces)
    # Without values logging formats nothing, and would show both percent signs.
    return (message if atoms else message.replace("%%", "%")), atoms


def redacted(text: str) -> str:
    """Return a target or an URL without the values of secret parameters."""
    if "?" not in text:
        return text
    path, _, query = text.partition("?")
    pieces = [
        f"{name}={_REDACTED}" if name.lower().endswith(_SECRET_NAMES) else piece
        for piece in query.split("&")
        for name in (piece.partition("=")[0],)
    ]
    return f"{path}?{'&'.join(pieces)}"


def _escaped(text: str) -> str:
    return _UNSAFE.sub(_hexadecimal, text)


def _hexadecimal(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("utf-8", "surrogateescape"))


class _LocalTime:
    """The time of the last line, formatted; most lines are of the same second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def text(self, seconds: float) -> str:
        second = int(seconds)
        if second != self._second:
            text = clock.strftime("[%d/%b/%Y:%H:%M:%S %z]", clock.localtime(second))
            self._second, self._text = second, text
        return self._text


_local_time: Final = _LocalTime()


def _request_line(request: BaseRequest) -> str:
    version = request.version
    target = _escaped(redacted(request.raw_path))
    return f"{request.method} {target} HTTP/{version.major}.{version.minor}"


def _field(value: str | None, name: str) -> str:
    if value is None:
        return "-"
    if name.lower() in _SECRET_HEADERS:
        return _REDACTED
    return _escaped(redacted(value))


_ATOMS: Final[dict[str, tuple[str, _Read]]] = {
    "a": ("remote_address", lambda request, response, time, field: request.remote or "-"),
    "t": (
        "request_start_time",
        lambda request, response, time, field: _local_time.text(clock.time() - time),
    ),
    "P": ("process_id", lambda request, response, time, field: f"<{os.getpid()}>"),
    "r": (
        "first_request_line",
        lambda request, response, time, field: _request_line(request),
    ),
    "s": ("response_status", lambda request, response, time, field: response.status),
    "b": ("response_size", lambda request, response, time, field: response.body_length),
    "T": ("request_time", lambda request, response, time, field: round(time)),
    "Tf": ("request_time_frac", lambda request, response, time, field: f"{time:06f}"),
    "D": ("request_time_micro", lambda request, response, time, field: round(time * 1e6)),
}
_FIELD_ATOMS: Final[dict[str, tuple[str, _Read]]] = {
    "i": (
        "request_header",
        lambda request, response, time, field: _field(request.headers.get(field), field),
    ),
    "o": (
        "response_header",
        lambda request, response, time, field: _field(response.headers.get(field), field),
    ),
}


def make_access_logger(
    access_log_class: type[AbstractAccessLogger],
    access_log: logging.Logger | None,
    access_log_format: str,
) -> AbstractAccessLogger | None:
    """Return the access logger that a server's settings ask for, or None for none.

    Raises:
        TypeError: The class is no subclass of `AbstractAccessLogger`, or the logger is no
            logger.
        ValueError: The format is not understood.
    """
    if not (
        isinstance(access_log_class, type) and issubclass(access_log_class, AbstractAccessLogger)
    ):
        raise TypeError(
            f"access_log_class must be a subclass of AbstractAccessLogger, got {access_log_class!r}"
        )
    if access_log is None:
        return None
    if not isinstance(access_log, logging.Logger):
        raise TypeError(f"access_log must be a logging.Logger or None, got {access_log!r}")
    return access_log_class(access_log, access_log_format)
