"""Secrets are taken out of what is recorded, before anything of it is written.

A secret is known by its name: that of a header field, of a parameter in a URL, of a field of
a form, or of a member of a JSON object. What stood there is remembered, and taken out
wherever else it turns up, so that a server that echoes a token does not give it away; if it
is twelve characters or more with a digit and a letter among them, since a plainer word may
stand elsewhere for itself. Not looked into are bodies in a coding that cannot be undone, and
text in other encodings than those that extend ASCII.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote_plus

from httpcore_proto import parse_content_disposition, parse_content_type

from ._cassette_exchange import (
    HeaderList,
    RecordedExchange,
    RecordedRequest,
    RecordedResponse,
    field_of,
)

#: Stands where a secret was.
REDACTED: Final = "[redacted]"
#: What is taken for a secret unless told otherwise; case, "-" and "_" make no difference.
DEFAULT_NAMES: Final[tuple[str, ...]] = (
    "access_token",
    "api_key",
    "assertion",
    "auth_token",
    "authorization",
    "client_assertion",
    "client_secret",
    "code_verifier",
    "cookie",
    "id_token",
    "passwd",
    "password",
    "private_key",
    "proxy_authorization",
    "refresh_token",
    "secret",
    "session_token",
    "set_cookie",
    "sig",
    "token",
    "x_access_token",
    "x_amz_security_token",
    "x_amz_signature",
    "x_api_key",
    "x_auth_token",
    "x_csrf_token",
    "x_goog_api_key",
    "x_goog_signature",
    "x_xsrf_token",
)

# As they may be spelled by who has sent one as part of a URL.
_QUOTED: Final = re.compile(re.escape("%5Bredacted%5D"), re.IGNORECASE)
_USERINFO: Final = re.compile(r"://([^\s/?#@\"'<>\\]{1,1024})@")
_PARAMETER: Final = re.compile(r"(^|[?&#;])([^\s=&#;?\"'<>\\]{1,256})=([^\s&#;\"'<>\\]++)")
# For what is no JSON as a whole: lines of it, events, a part of it.
_MEMBER: Final = re.compile(
    r'"([^"\\\n]{1,256})"(\s{0,64}:\s{0,64})("(?:[^"\\]|\\.)*+"|[0-9.eE+-]++)'
)
_LOGIN: Final = re.compile(r"(Basic|Bearer|Digest|Negotiate|NTLM|Token)\s++(.*+)", re.I | re.S)
# Shorter or plainer words may well stand elsewhere without being secret.
_UNMISTAKABLE: Final = re.compile(
    r"(?=[^0-9]*+[0-9])(?=[^A-Za-z]*+[A-Za-z])[A-Za-z0-9._~+=-][A-Za-z0-9._~+/=-]{11,}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What is taken out of a recording.

    Attributes:
        names: Of header fields, URL parameters, form fields and JSON members whose values are
            secrets. Case, "-" and "_" make no difference.
        values: Secrets that are taken out wherever they stand, such as a key that is part of
            a path. Not empty.

    Raises:
        ValueError: One of `values` is empty.
    """

    names: Collection[str] = DEFAULT_NAMES
    values: Collection[str] = ()

    def __post_init__(self) -> None:
        if not all(self.values):
            raise ValueError("values: an empty text cannot be taken out")


class Redactor:
    """Carries out a `Redaction`, and remembers the secrets it met.

    Args:
        redaction: What to take out; None for nothing.
    """

    def __init__(self, redaction: Redaction | None) -> None:
        self._on = redaction is not None
        self._names = {_plain(name) for name in redaction.names} if redaction else set()
        #: What is taken out wherever it stands.
        self.secrets: set[str] = set(redaction.values) if redaction else set()

    def request(self, request: RecordedRequest) -> RecordedRequest:
        """Return a request without the secrets in it."""
        if not self._on:
            return request
        url = self._text(request.url)
        headers = self._headers(request.headers)
        body = self._body(request.body, request.headers)
        return self.scrub_request(replace(request, url=url, headers=headers, body=body))

    def response(self, response: RecordedResponse) -> RecordedResponse:
        """Return a response without the secrets in it."""
        if not self._on:
            return response
        return self.scrub_response(
            replace(
                response,
                headers=self._headers(response.headers),
                body=self._body(response.body, response.headers),
                trailers=self._headers(response.trailers),
            )
        )

    def scrub(self, exchange: RecordedExchange) -> RecordedExchange:
        """Take out what was found to be a secret later than the exchange was recorded."""
        return RecordedExchange(
            self.scrub_request(exchange.request), self.scrub_response(exchange.response)
        )

    def scrub_request(self, request: RecordedRequest) -> RecordedRequest:
        """As `scrub`."""
        return replace(
            request,
            url=self._without(_QUOTED.sub(REDACTED, request.url)),
            headers=self._scrubbed(request.headers),
            body=self._without_octets(request.body),
        )

    def scrub_response(self, response: RecordedResponse) -> RecordedResponse:
        """As `scrub`."""
        return replace(
            response,
            reason=self._without(response.reason),
            headers=self._scrubbed(response.headers),
            body=self._without_octets(response.body),
            trailers=self._scrubbed(response.trailers),
        )

    # Known by name.

    def _is_secret(self, name: str) -> bool:
        return _plain(name) in self._names

    def _take(self, value: str) -> str:
        """Remember a secret; return what stands in its place."""
        for text in {value, unquote_plus(value)}:
            if _UNMISTAKABLE.fullmatch(text):
                self.secrets.add(text)
        return REDACTED

    def _headers(self, headers: HeaderList) -> HeaderList:
        return tuple((name, self._value(name, value)) for name, value in headers)

    def _value(self, name: str, value: str) -> str:
        if not self._is_secret(name):
            return self._text(value)
        if _plain(name) == "setcookie":
            # Its name and attributes are what makes a jar keep and send it.
            pair, semicolon, attributes = value.partition(";")
            return self._pair(pair) + semicolon + attributes
        if _plain(name) == "cookie":
            return ";".join(map(self._pair, value.split(";")))
        login = _LOGIN.fullmatch(value)
        if login is None:
            return self._take(value)
        self._take_basic(login[2])
        return f"{login[1]} {self._take(login[2])}"

    def _pair(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        if not equals:
            value = name.strip()
            name = name[: len(name) - len(name.lstrip())]
        return name + equals + self._take(value.strip()) if value.strip() else pair

    def _take_basic(self, credentials: str) -> None:
        try:
            login = base64.b64decode(credentials, validate=True).decode()
        except ValueError:
            return
        self._take(login.partition(":")[2])

    def _text(self, text: str) -> str:
        """Return a URL, or a text in which there may be some, or the fields of a form."""
        text = _USERINFO.sub(self._userinfo, text)
        return _PARAMETER.sub(self._parameter, text)

    def _userinfo(self, match: re.Match[str]) -> str:
        for part in match[1].split(":"):
            self._take(part)
        return "://redacted@"

    def _parameter(self, match: re.Match[str]) -> str:
        if not self._is_secret(unquote_plus(match[2])):
            return match[0]
        return f"{match[1]}{match[2]}={self._take(match[3])}"

    # Bodies.

    def _body(self, body: bytes, headers: HeaderList) -> bytes:
        if not body:
            return body
        content_type = parse_content_type(field_of(headers, "content-type") or "")
        boundary = content_type.parameters.get("boundary")
        if content_type.media_type.startswith("multipart/") and boundary:
            delimiter = b"--" + boundary.encode("utf-8", "surrogateescape")
            return delimiter.join(map(self._part, body.split(delimiter)))
        return self._single(body)

    def _single(self, body: bytes) -> bytes:
        redacted = self._json(body)
        if redacted is not None:
            return redacted
        # In this codec octets go through as they are, whatever they stand for.
        text = _MEMBER.sub(self._member, self._text(body.decode("latin-1")))
        return text.encode("latin-1")

    def _member(self, match: re.Match[str]) -> str:
        name, between, value = match.groups()
        if self._is_secret(name):
            self._take(value.strip('"'))
            return f'"{name}"{between}"{REDACTED}"'
        return match[0]

    def _part(self, part: bytes) -> bytes:
        head, blank, content = part.partition(b"\r\n\r\n")
        content, end = (content[:-2], b"\r\n") if content.endswith(b"\r\n") else (content, b"")
        if not blank:
            return part
        lines = [line.partition(":") for line in head.decode("latin-1").split("\r\n")]
        headers = tuple((name.strip(), value.strip()) for name, _, value in lines)
        disposition = field_of(headers, "content-disposition")
        kind, parameters = parse_content_disposition(disposition)
        if kind is not None and self._is_secret(parameters.get("name", "")):
            content = self._take(content.decode("latin-1")).encode()
        else:
            content = self._single(content)
        return head + blank + content + end

    def _json(self, body: bytes) -> bytes | None:
        """Return a body that is JSON; None if it is none, or cannot be written anew."""
        if body.lstrip()[:1] not in (b"{", b"["):
            return None
        try:
            text = body.decode()
            value = json.loads(text)
            redacted = self._walk(value, secret=False)
            if redacted == value:
                return body
            spaced = json.dumps(value, ensure_ascii=False) == text
            separators = (", ", ": ") if spaced else (",", ":")
            return json.dumps(
                redacted, ensure_ascii=False, allow_nan=False, separators=separators
            ).encode()
        except (ValueError, RecursionError):
            return None

    def _walk(self, value: Any, *, secret: bool) -> Any:
        if isinstance(value, dict):
            return {
                name: self._walk(item, secret=secret or self._is_secret(name))
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self._walk(item, secret=secret) for item in value]
        if isinstance(value, str):
            return self._take(value) if secret else self._text(value)
        if secret and isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._take(str(value))
        return value

    # Known by value.

    def _scrubbed(self, headers: HeaderList) -> HeaderList:
        return tuple((name, self._without(value)) for name, value in headers)

    def _without(self, text: str) -> str:
        for secret in self._longest_first:
            text = text.replace(secret, REDACTED)
        return text

    def _without_octets(self, body: bytes) -> bytes:
        for secret in self._longest_first:
            body = body.replace(secret.encode(), REDACTED.encode())
        return body

    @property
    def _longest_first(self) -> list[str]:
        # One may be part of another, the rest of which would stay.
        return sorted(self.secrets, key=lambda secret: (-len(secret), secret))


def _plain(name: str) -> str:
    folded = name.lower() if name.isascii() else name
    return folded.replace("-", "").replace("_", "")
