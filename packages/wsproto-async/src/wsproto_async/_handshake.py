"""The opening handshake of both roles, over header fields alone (RFC 6455 section 4)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from multidict import MultiMapping

from httpcore_proto import HttpVersion, HttpVersion11, LocalProtocolError

from ._deflate import Deflate, accept_offer, confirm_response, format_offer
from ._errors import WSHandshakeError

#: Of Sec-WebSocket-Version: 13 is RFC 6455; 8 and 7 are drafts with the same frames and
#: handshake, which aiohttp takes too.
WS_VERSIONS: Final = ("13", "8", "7")

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_SIZE: Final = 16
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Scheme, host and port; RFC 6454 section 6.2 knows no other parts. A host is compared, not
# resolved, so that its exact grammar does not matter.
_ORIGIN: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([\x21-\x7e]+)")
_HOST: Final = re.compile(
    r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\\\s\x80-\U0010ffff]+)(?::([0-9]{0,5}))?"
)
_DEFAULT_PORTS: Final = {"http": "80", "ws": "80", "https": "443", "wss": "443"}


class HandshakeAcceptance(NamedTuple):
    """What a server answers to a handshake, with status 101.

    Attributes:
        headers: The fields that belong to the handshake, as pairs.
        protocol: The sub-protocol chosen, or None.
        deflate: The agreement on permessage-deflate, or None.
    """

    headers: list[tuple[str, str]]
    protocol: str | None
    deflate: Deflate | None


class HandshakeAgreement(NamedTuple):
    """What a server agreed to.

    Attributes:
        protocol: The sub-protocol chosen, or None.
        deflate: The agreement on permessage-deflate, or None.
    """

    protocol: str | None
    deflate: Deflate | None


def accept_handshake(
    method: str,
    http_version: HttpVersion,
    headers: MultiMapping[str],
    *,
    protocols: Sequence[str] = (),
    compress: Deflate | bool = True,
    methods: Collection[str] | None = ("GET",),
) -> HandshakeAcceptance:
    """Check a request for a WebSocket, and make the fields of the response.

    The origin is not looked at; see `is_origin_allowed`.

    Args:
        method: Of the request.
        http_version: Of the request.
        headers: Of the request; names must compare without case, as in
            `httpcore_proto.Request.headers`.
        protocols: Sub-protocols that the server speaks. The first of the client's that is
            among them is chosen.
        compress: Parameters for permessage-deflate, True for its defaults, False to
            decline. An offer that cannot be met is declined, it is no error.
        methods: Request methods to accept; RFC 6455 section 4.1 knows GET alone. None
            means any but HEAD, whose response cannot be followed by anything.

    Raises:
        WSHandshakeError: With `status` 405 and Allow for the method, 426 with
            Sec-WebSocket-Version for the version, 400 for anything else: HTTP before
            1.1, no Upgrade to websocket, a missing, repeated or malformed field.
    """
    if method == "HEAD" or (methods is not None and method not in methods):
        allow = "GET" if methods is None else ", ".join(methods)
        raise WSHandshakeError(
            "method not allowed for a WebSocket handshake",
            rule="method",
            status=405,
            headers=[("Allow", allow)],
        )
    if http_version < HttpVersion11:
        raise WSHandshakeError("a WebSocket handshake needs HTTP/1.1", rule="http-version")
    _check_upgrade(headers)
    version = _single(headers, "Sec-WebSocket-Version")
    if version not in WS_VERSIONS:
        # RFC 6455 section 4.4 and RFC 9110 section 15.5.22, which wants Upgrade in a 426.
        raise WSHandshakeError(
            f"Sec-WebSocket-Version is not one of {', '.join(WS_VERSIONS)}",
            rule="version",
            status=426,
            headers=[("Sec-WebSocket-Version", ", ".join(WS_VERSIONS)), ("Upgrade", "websocket")],
        )
    key = _single(headers, "Sec-WebSocket-Key")
    if not _is_key(key):
        raise WSHandshakeError("Sec-WebSocket-Key is not base64 of 16 octets", rule="key")
    offered = _tokens(headers, "Sec-WebSocket-Protocol")
    if any(_TOKEN.fullmatch(name) is None for name in offered):
        raise WSHandshakeError("Sec-WebSocket-Protocol is malformed", rule="protocol")
    fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", _accept(key)),
    ]
    spoken = frozenset(protocols)
    protocol = next((name for name in offered if name in spoken), None)
    if protocol is not None:
        fields.append(("Sec-WebSocket-Protocol", protocol))
    wish = _wish(compress)
    deflate = None
    if wish is not None:
        agreed = accept_offer(headers.getall("Sec-WebSocket-Extensions", ()), wish)
        if agreed is not None:
            deflate, value = agreed
            fields.append(("Sec-WebSocket-Extensions", value))
    return HandshakeAcceptance(fields, protocol, deflate)


class ClientHandshake:
    """A client's handshake: the request's fields, and the check of the response.

    Args:
        protocols: Sub-protocols to offer, the preferred one first.
        compress: Parameters of permessage-deflate to offer, True for its defaults,
            False not to.
        origin: Value for Origin, or None.
        key: Sixteen octets for Sec-WebSocket-Key, or None for fresh ones.

    Raises:
        LocalProtocolError: A sub-protocol is no token or stands twice, or the key has
            another length.
    """

    __slots__ = ("_key", "_protocols", "_wish", "headers")

    #: Fields of the request, as pairs; Host and Connection's other options are HTTP's.
    headers: list[tuple[str, str]]

    def __init__(
        self,
        *,
        protocols: Sequence[str] = (),
        compress: Deflate | bool = False,
        origin: str | None = None,
        key: bytes | None = None,
    ) -> None:
        for name in protocols:
            if _TOKEN.fullmatch(name) is None:
                raise LocalProtocolError(f"sub-protocol {name[:80]!r} is not a token")
        if len(set(protocols)) < len(protocols):
            raise LocalProtocolError("a sub-protocol is offered twice")
        if key is None:
            key = os.urandom(_KEY_SIZE)
        if len(key) != _KEY_SIZE:
            raise LocalProtocolError(f"key has {len(key)} octets, not {_KEY_SIZE}")
        self._key = base64.b64encode(key).decode()
        self._protocols = tuple(protocols)
        self._wish = _wish(compress)
        self.headers = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", WS_VERSIONS[0]),
            ("Sec-WebSocket-Key", self._key),
        ]
        if protocols:
            self.headers.append(("Sec-WebSocket-Protocol", ", ".join(protocols)))
        if self._wish is not None:
            self.headers.append(("Sec-WebSocket-Extensions", format_offer(self._wish)))
        if origin is not None:
            self.headers.append(("Origin", origin))

    def check(self, status: int, headers: MultiMapping[str]) -> HandshakeAgreement:
        """Check the response (RFC 6455 section 4.1).

        Args:
            status: Of the response.
            headers: Of the response; names must compare without case.

        Raises:
            WSHandshakeError: The status is not 101, Upgrade, Connection or
                Sec-WebSocket-Accept is not as it must be, or a sub-protocol or extension
                was chosen that was not offered.
        """
        if status != 101:
            raise WSHandshakeError(f"the server answered {status}, not 101", rule="status")
        _check_upgrade(headers)
        if _single(headers, "Sec-WebSocket-Accept") != _accept(self._key):
            raise WSHandshakeError("Sec-WebSocket-Accept does not fit the key", rule="accept")
        protocol = None
        if "Sec-WebSocket-Protocol" in headers:
            protocol = _single(headers, "Sec-WebSocket-Protocol")
            if protocol not in self._protocols:
                raise WSHandshakeError(
                    "the server chose a sub-protocol that was not offered", rule="protocol"
                )
        extensions = headers.getall("Sec-WebSocket-Extensions", ())
        return HandshakeAgreement(protocol, confirm_response(extensions, self._wish))


def is_origin_allowed(headers: MultiMapping[str], allowed: Iterable[str] = ()) -> bool:
    """Whether the page that opened a WebSocket may (RFC 6455 section 10.2).

    Browsers let every page open a WebSocket to every server, with the user's cookies, and
    name the page in Origin. What has no Origin is no browser, and is allowed.

    Args:
        headers: Of the handshake's request.
        allowed: Origins such as `"https://example.com"` that are allowed beside the
            server's own, which is the one with the host and port of Host. Scheme and host
            compare without case; `"*"` allows any, and `"null"` stands for pages without
            an origin.

    Returns:
        False also for Origin or Host that is malformed or stands twice.
    """
    origins = headers.getall("Origin", ())
    if not origins:
        return True
    if len(origins) > 1:
        return False
    origin = origins[0]
    choices = list(allowed)
    if "*" in choices or (origin == "null" and "null" in choices):
        return True
    theirs = _split_origin(origin)
    if theirs is None:
        return False
    if theirs in map(_split_origin, choices):
        return True
    hosts = headers.getall("Host", ())
    return len(hosts) == 1 and theirs == _split_origin(f"{theirs[0]}://{hosts[0]}")


def _split_origin(text: str) -> tuple[str, str, str] | None:
    """Return scheme, host and port, made comparable."""
    match = _ORIGIN.fullmatch(text)
    authority = _HOST.fullmatch(match[2]) if match is not None else None
    if match is None or authority is None:
        return None
    scheme = match[1].lower()
    port = authority[2] or _DEFAULT_PORTS.get(scheme, "")
    return scheme, authority[1].lower(), port


def _wish(compress: Deflate | bool) -> Deflate | None:
    if isinstance(compress, Deflate):
        return compress
    return Deflate() if compress else None


def _check_upgrade(headers: MultiMapping[str]) -> None:
    for name, token in (("Upgrade", "websocket"), ("Connection", "upgrade")):
        # ASCII first: folding the case of other letters would make a "k" of the Kelvin sign.
        tokens = _tokens(headers, name)
        if not any(value.isascii() and value.lower() == token for value in tokens):
            raise WSHandshakeError(f"{name} does not say {token}", rule=name.lower())


def _tokens(headers: MultiMapping[str], name: str) -> list[str]:
    """Return the elements of a list field, of all its lines (RFC 9110 section 5.6.1)."""
    lines = headers.getall(name, ())
    elements = [element.strip(" \t") for line in lines for element in line.split(",")]
    return [element for element in elements if element]


def _single(headers: MultiMapping[str], name: str) -> str:
    lines = headers.getall(name, ())
    if len(lines) != 1:
        fault = "stands more than once" if lines else "is missing"
        raise WSHandshakeError(f"{name} {fault}", rule=name.removeprefix("Sec-WebSocket-").lower())
    return lines[0].strip(" \t")


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_SIZE
    except (binascii.Error, ValueError):
        return False


def _accept(key: str) -> str:
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()
