"""From an error number of the parser to a typed error: a table, and one look-up."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ._errors import (
    BadHttpMessage,
    BadHttpMethod,
    BadStatusLine,
    ContentLengthError,
    InvalidHeader,
    InvalidURLError,
    LineTooLong,
    RemoteProtocolError,
    TransferEncodingError,
)
from ._limits import Limits
from ._native import ffi, lib


class _Rule(NamedTuple):
    error: type[RemoteProtocolError]
    rule: str
    status_hint: int
    text: str
    limit: str | None = None


_RULES: Final[dict[int, _Rule]] = {
    lib.HCP_E_LINE_TOO_LONG: _Rule(
        LineTooLong, "line-too-long", 400, "line too long", "max_line_size"
    ),
    lib.HCP_E_FIELD_TOO_LARGE: _Rule(
        LineTooLong, "field-too-large", 431, "header field too large", "max_field_size"
    ),
    lib.HCP_E_TOO_MANY_FIELDS: _Rule(
        LineTooLong, "too-many-fields", 431, "too many header fields", "max_headers"
    ),
    lib.HCP_E_HEAD_TOO_LARGE: _Rule(
        LineTooLong, "head-too-large", 431, "message head too large", "max_head_size"
    ),
    lib.HCP_E_CHUNK_EXTENSION: _Rule(
        LineTooLong,
        "chunk-extension",
        400,
        "chunk extensions too large",
        "max_chunk_extension_size",
    ),
    lib.HCP_E_BLANK_LINES: _Rule(
        LineTooLong, "blank-lines", 400, "too many empty lines before a message", "max_line_size"
    ),
    lib.HCP_E_REQUEST_LINE_SPACE: _Rule(
        BadStatusLine, "request-line", 400, "request line must be METHOD SP target SP HTTP/x.y"
    ),
    lib.HCP_E_PROTOCOL: _Rule(BadStatusLine, "protocol", 400, "protocol is not HTTP"),
    lib.HCP_E_VERSION: _Rule(BadStatusLine, "version", 505, "HTTP version is neither 1.0 nor 1.1"),
    lib.HCP_E_METHOD_UNKNOWN: _Rule(BadHttpMethod, "method-unknown", 501, "method not implemented"),
    lib.HCP_E_METHOD_TOKEN: _Rule(BadHttpMethod, "method-token", 400, "method is not a token"),
    lib.HCP_E_TLS: _Rule(
        BadHttpMethod, "tls", 400, "TLS handshake received on a plain HTTP connection"
    ),
    lib.HCP_E_HOST_MISSING: _Rule(InvalidHeader, "host-missing", 400, "Host header is missing"),
    lib.HCP_E_HOST_INVALID: _Rule(InvalidHeader, "host-invalid", 400, "Host header is invalid"),
    lib.HCP_E_DUPLICATE: _Rule(
        InvalidHeader, "duplicate-field", 400, "header field must not be repeated"
    ),
    lib.HCP_E_TE_HTTP10: _Rule(
        TransferEncodingError,
        "transfer-encoding-http10",
        400,
        "Transfer-Encoding in an HTTP/1.0 message",
    ),
    lib.HCP_E_TE_FINAL: _Rule(
        TransferEncodingError,
        "transfer-encoding-final",
        400,
        "chunked is not the final transfer coding",
    ),
    lib.HCP_E_TE_UNSUPPORTED: _Rule(
        TransferEncodingError,
        "transfer-encoding-unsupported",
        501,
        "a transfer coding other than chunked",
    ),
    lib.HCP_E_CONNECT_BODY: _Rule(
        BadHttpMessage, "connect-body", 400, "CONNECT request with a body"
    ),
    lib.HCP_E_HIXIE: _Rule(
        InvalidHeader, "hixie-76", 400, "obsolete WebSocket handshake (Sec-WebSocket-Key1)"
    ),
    lib.HCP_E_TRUNCATED_HEAD: _Rule(
        BadHttpMessage, "truncated-head", 400, "connection closed inside a message head"
    ),
    lib.HCP_E_TRUNCATED_CHUNKED: _Rule(
        TransferEncodingError,
        "truncated-chunked",
        400,
        "connection closed inside a chunked body",
    ),
    lib.HCP_E_TRUNCATED_LENGTH: _Rule(
        ContentLengthError, "truncated-length", 400, "connection closed before the end of the body"
    ),
    # From here on llhttp's own numbers (llhttp.h, enum llhttp_errno).
    4: _Rule(InvalidHeader, "content-length", 400, "conflicting Content-Length"),
    7: _Rule(InvalidURLError, "target", 400, "invalid character in request target"),
    8: _Rule(BadStatusLine, "protocol", 400, "protocol is not HTTP"),
    9: _Rule(BadStatusLine, "version", 400, "malformed HTTP version"),
    10: _Rule(InvalidHeader, "header-field", 400, "invalid character in header field"),
    11: _Rule(InvalidHeader, "content-length", 400, "invalid Content-Length"),
    12: _Rule(TransferEncodingError, "chunk-size", 400, "invalid chunk size"),
    13: _Rule(BadStatusLine, "status", 400, "invalid status line"),
    15: _Rule(TransferEncodingError, "transfer-encoding", 400, "invalid use of Transfer-Encoding"),
}
_FALLBACK: Final = _Rule(BadHttpMessage, "syntax", 400, "malformed HTTP message")
_CHUNK_SYNTAX: Final = _Rule(TransferEncodingError, "chunk-syntax", 400, "malformed chunk")


def parser_error(parser: Any, limits: Limits) -> RemoteProtocolError:
    """Tell what stopped a native parser, without quoting a byte of the peer's."""
    number: int = parser.error
    reason = ffi.string(parser.reason).decode() if parser.reason else ""
    # llhttp has one number for a missing CR or LF anywhere.
    rule = _RULES.get(number, _CHUNK_SYNTAX if " chunk " in reason else _FALLBACK)
    status_hint, text = rule.status_hint, rule.text
    value = allowed = offset = None
    if rule.limit is not None:
        value, allowed = parser.error_value, getattr(limits, rule.limit)
        text = f"{text}: {value} with {rule.limit}={allowed}"
    elif number == lib.HCP_E_TRUNCATED_LENGTH:
        text = f"{text}: {parser.error_value} bytes missing"
    elif reason and number < lib.HCP_E_LINE_TOO_LONG:
        text = f"{text} ({reason})"
    if number == lib.HCP_E_LINE_TOO_LONG and not parser.line_done:
        status_hint = 414
    if number == _INVALID_VERSION and reason == "Invalid HTTP version":
        status_hint = 505
    if number < lib.HCP_E_LINE_TOO_LONG:
        offset = parser.error_offset
    return rule.error(
        text,
        rule=rule.rule,
        status_hint=status_hint,
        offset=offset,
        limit=rule.limit,
        value=value,
        allowed=allowed,
    )


_INVALID_VERSION: Final = 9
