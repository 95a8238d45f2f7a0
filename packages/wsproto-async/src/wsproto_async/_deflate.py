"""Negotiation of permessage-deflate (RFC 7692 sections 5 and 7.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ._compression import MIN_COMPRESS_BITS
from ._errors import WSHandshakeError

NAME: Final = "permessage-deflate"

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# RFC 6455 section 9.1; what is quoted must be a token too. Possessive, and each match goes
# on behind the last one: no octet is looked at twice.
_EXTENSION: Final = re.compile(rf"[ \t,]*+({_TOKEN})")
_PARAMETER: Final = re.compile(rf"[ \t]*+;[ \t]*+({_TOKEN})(?:=(?:({_TOKEN})|\"({_TOKEN})\"))?+")
_SEPARATOR: Final = re.compile(r"[ \t]*+(?:,[ \t,]*+|\Z)")

# RFC 7692 section 7.1.2: 8 to 15, without leading zeros.
_BITS: Final = {str(bits): bits for bits in range(8, 16)}
_MAX_BITS: Final = 15
_FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOWS: Final = ("server_max_window_bits", "client_max_window_bits")

Parameters = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Deflate:
    """Parameters of permessage-deflate, wished for or agreed on (RFC 7692 section 7.1).

    "Server" and "client" name the side that compresses. The defaults are the RFC's:
    windows as large as deflate allows, kept from message to message.

    Attributes:
        server_no_context_takeover: Whether the server begins every message with an empty
            window. Saves the memory of both its compressor and the client's decompressor
            between messages, and costs much of the ratio for small ones.
        client_no_context_takeover: The same of the client.
        server_max_window_bits: 8 to 15: the server's window is at most 2 to that power
            octets. zlib cannot compress with 8: a side for which 8 was agreed sends its
            messages uncompressed.
        client_max_window_bits: The same of the client.

    Raises:
        ValueError: Window bits are not from 8 to 15.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = _MAX_BITS
    client_max_window_bits: int = _MAX_BITS

    def __post_init__(self) -> None:
        for name in _WINDOWS:
            if getattr(self, name) not in _BITS.values():
                raise ValueError(f"{name} is {getattr(self, name)!r}, must be from 8 to 15")

    def of_side(self, *, is_server: bool) -> tuple[int, bool]:
        """Return window bits and no_context_takeover of the side that compresses."""
        if is_server:
            return self.server_max_window_bits, self.server_no_context_takeover
        return self.client_max_window_bits, self.client_no_context_takeover


def parse_extensions(lines: Iterable[str]) -> list[tuple[str, Parameters]]:
    """Read Sec-WebSocket-Extensions (RFC 6455 section 9.1).

    Args:
        lines: The values of all lines of the field.

    Returns:
        Names, which compare with case, and their parameters; a parameter without a value
        has None.

    Raises:
        WSHandshakeError: The grammar is broken, or a parameter stands twice in one
            extension.
    """
    found: list[tuple[str, Parameters]] = []
    for line in lines:
        position = 0
        while (match := _EXTENSION.match(line, position)) is not None:
            name = match[1]
            parameters: dict[str, str | None] = {}
            position = match.end()
            while (match := _PARAMETER.match(line, position)) is not None:
                position = match.end()
                key, plain, quoted = match.groups()
                if key in parameters:
                    raise _refused("a parameter stands twice")
                parameters[key] = plain if plain is not None else quoted
            match = _SEPARATOR.match(line, position)
            if match is None:
                raise _refused("Sec-WebSocket-Extensions is malformed")
            position = match.end()
            found.append((name, parameters))
        if line[position:].strip(" \t,"):
            raise _refused("Sec-WebSocket-Extensions is malformed")
    return found


def format_offer(wish: Deflate) -> str:
    """Return a client's offer; the server may limit the client's window in any case."""
    parts = [NAME]
    parts += [name for name in _FLAGS if getattr(wish, name)]
    if wish.server_max_window_bits < _MAX_BITS:
        parts.append(f"server_max_window_bits={wish.server_max_window_bits}")
    client_bits = wish.client_max_window_bits
    parts.append("client_max_window_bits" + (f"={client_bits}" if client_bits < _MAX_BITS else ""))
    return "; ".join(parts)


def accept_offer(lines: Iterable[str], wish: Deflate) -> tuple[Deflate, str] | None:
    """Choose among a client's offers, as a server.

    The first one that can be met is; what is wrong with an offer, or asks for a window that
    zlib cannot compress with, lets the next one come. Nothing is an error: without an
    offer that fits messages go uncompressed.

    Returns:
        The agreement, and the extension's value for the response; or None.
    """
    try:
        offers = parse_extensions(lines)
    except WSHandshakeError:
        return None
    for name, parameters in offers:
        if name == NAME and (agreed := _meet(parameters, wish)) is not None:
            return agreed
    return None


def _meet(parameters: Parameters, wish: Deflate) -> tuple[Deflate, str] | None:
    if _fault(parameters, offer=True) is not None:
        return None
    server_bits = min(wish.server_max_window_bits, _bits(parameters, "server_max_window_bits"))
    if server_bits < MIN_COMPRESS_BITS:
        return None
    client_bits = _MAX_BITS
    if "client_max_window_bits" in parameters:
        client_bits = min(wish.client_max_window_bits, _bits(parameters, "client_max_window_bits"))
    agreed = Deflate(
        server_no_context_takeover=wish.server_no_context_takeover or _FLAGS[0] in parameters,
        client_no_context_takeover=wish.client_no_context_takeover or _FLAGS[1] in parameters,
        server_max_window_bits=server_bits,
        client_max_window_bits=client_bits,
    )
    parts = [NAME]
    parts += [flag for flag in _FLAGS if getattr(agreed, flag)]
    if server_bits < _MAX_BITS or "server_max_window_bits" in parameters:
        parts.append(f"server_max_window_bits={server_bits}")
    if client_bits < _MAX_BITS:
        parts.append(f"client_max_window_bits={client_bits}")
    return agreed, "; ".join(parts)


def confirm_response(lines: Iterable[str], wish: Deflate | None) -> Deflate | None:
    """Check what a server made of our offer, as a client.

    Returns:
        The agreement, or None if the server declined.

    Raises:
        WSHandshakeError: It agreed to what was not offered, or to less than was asked for.
    """
    extensions = parse_extensions(lines)
    if not extensions:
        return None
    if wish is None or len(extensions) > 1 or extensions[0][0] != NAME:
        raise _refused("the server chose an extension that was not offered")
    parameters = extensions[0][1]
    fault = _fault(parameters, offer=False)
    if fault is not None:
        raise _refused(fault)
    agreed = Deflate(
        server_no_context_takeover=_FLAGS[0] in parameters,
        client_no_context_takeover=wish.client_no_context_takeover or _FLAGS[1] in parameters,
        server_max_window_bits=_bits(parameters, "server_max_window_bits"),
        client_max_window_bits=min(
            wish.client_max_window_bits, _bits(parameters, "client_max_window_bits")
        ),
    )
    # RFC 7692 sections 7.1.1.1 and 7.1.2.1: accepting means to say so.
    if wish.server_no_context_takeover and not agreed.server_no_context_takeover:
        raise _refused("server_no_context_takeover was asked for, and not agreed to")
    if agreed.server_max_window_bits > wish.server_max_window_bits:
        raise _refused("server_max_window_bits is above what was asked for")
    if _bits(parameters, "client_max_window_bits") > wish.client_max_window_bits and (
        "client_max_window_bits" in parameters
    ):
        raise _refused("client_max_window_bits is above what was offered")
    return agreed


def _fault(parameters: Parameters, *, offer: bool) -> str | None:
    """Say what is wrong with an offer's or a response's parameters."""
    for name, value in parameters.items():
        if name in _FLAGS:
            is_sound = value is None
        elif name in _WINDOWS:
            # An offer may leave the choice of its own window to the server.
            is_open = offer and name == "client_max_window_bits" and value is None
            is_sound = is_open or value in _BITS
        else:
            return "permessage-deflate with an unknown parameter"
        if not is_sound:
            return f"permessage-deflate with an invalid {name}"
    return None


def _bits(parameters: Parameters, name: str) -> int:
    return _BITS.get(parameters.get(name) or "", _MAX_BITS)


def _refused(message: str) -> WSHandshakeError:
    return WSHandshakeError(message, rule="extensions")
