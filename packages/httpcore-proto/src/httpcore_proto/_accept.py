"""What a client accepts: media types, codings, languages (RFC 9110 sections 12.4 and 12.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple

from ._scan import TOKEN, scan_parameters, split_list

#: How many items of a field count. Browsers send fewer than twenty; choosing compares every
#: item with every offer, so that without a bound a peer decides how long that takes.
MAX_ACCEPT_ITEMS: Final = 100

_VALUE: Final = re.compile(rf"{TOKEN}(?:/{TOKEN})?+")
# RFC 9110 section 12.4.2.
_QVALUE: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_MEDIA_TYPE: Final = re.compile(rf"({TOKEN})/({TOKEN})")
# RFC 9110 sections 8.4.1.1 and 8.4.1.3.
_SAME_CODING: Final = {"x-gzip": "gzip", "x-compress": "compress"}
_NO_PARAMETERS: Final[Mapping[str, str]] = MappingProxyType({})


class AcceptItem(NamedTuple):
    """One item of an Accept, Accept-Encoding, Accept-Charset or Accept-Language field.

    Attributes:
        value: Media range without parameters, coding, charset or language, in lower case.
        quality: 0.0, which means "not acceptable", to 1.0.
        parameters: Those of a media range; read-only, names in lower case, values unquoted
            and otherwise as written, of a repeated name the first.
    """

    value: str
    quality: float = 1.0
    parameters: Mapping[str, str] = _NO_PARAMETERS


def parse_accept(value: str) -> tuple[AcceptItem, ...]:
    """Read an Accept, Accept-Encoding, Accept-Charset or Accept-Language field.

    Args:
        value: The field's value; several lines joined with commas.

    Returns:
        The items in the order they were written. Malformed ones are left out, and so are
        those whose weight breaks RFC 9110 section 12.4.2. What stands behind the weight
        is ignored. The first `MAX_ACCEPT_ITEMS` elements count.
    """
    items = map(_parse_item, islice(split_list(value), MAX_ACCEPT_ITEMS))
    return tuple(item for item in items if item is not None)


def _parse_item(text: str) -> AcceptItem | None:
    match = _VALUE.match(text)
    if match is None:
        return None
    value = match[0].lower()
    pairs, end = scan_parameters(text, match.end())
    # RFC 7231 allowed a name without a value behind the weight.
    is_whole = end == len(text) or text[:end].rstrip(" \t").endswith(";")
    parameters: dict[str, str] = {}
    for name, parameter in pairs:
        if name == "q":
            is_sound = is_whole and _QVALUE.fullmatch(parameter) is not None
            return AcceptItem(value, float(parameter), _frozen(parameters)) if is_sound else None
        parameters.setdefault(name, parameter)
    return AcceptItem(value, 1.0, _frozen(parameters)) if end == len(text) else None


def _frozen(parameters: dict[str, str]) -> Mapping[str, str]:
    return MappingProxyType(parameters) if parameters else _NO_PARAMETERS


def choose_media_type(accept: str | None, offers: Sequence[str]) -> str | None:
    """Choose what to answer with (RFC 9110 section 12.5.1).

    Of all ranges that an offer matches, the most specific one decides its quality.

    Args:
        accept: Value of the Accept field, None if there is none. A field without a
            readable item counts as none: everything is acceptable.
        offers: Media types, with or without parameters, the preferred one first.

    Returns:
        The offer with the highest quality, the first of equals, as it was given; None if
        none is acceptable.

    Raises:
        ValueError: An offer is no media type.
    """
    parsed = [_parse_offer(offer) for offer in offers]
    ranges = parse_accept(accept) if accept else ()
    if not ranges:
        return offers[0] if offers else None
    qualities = [_quality_of(offer, ranges) for offer in parsed]
    best = max(qualities, default=0.0)
    return offers[qualities.index(best)] if best > 0.0 else None


def _parse_offer(offer: str) -> tuple[str, str, Mapping[str, str]]:
    match = _MEDIA_TYPE.match(offer)
    if match is not None:
        pairs, end = scan_parameters(offer, match.end())
        if end == len(offer):
            return match[1].lower(), match[2].lower(), dict(pairs)
    raise ValueError(f"offer {offer[:80]!r} is no media type; write it as type/subtype")


def _quality_of(offer: tuple[str, str, Mapping[str, str]], ranges: Sequence[AcceptItem]) -> float:
    kind, subtype, parameters = offer
    # "*" alone is what some old clients write for "*/*".
    precedence = {"*": 0, "*/*": 0, f"{kind}/*": 1, f"{kind}/{subtype}": 2}
    best = (-1, -1)
    quality = 0.0
    for item in ranges:
        rank = (precedence.get(item.value, -1), len(item.parameters))
        # Of two that are as specific the first counts.
        if rank[0] >= 0 and rank > best and _has_all(parameters, item.parameters):
            best, quality = rank, item.quality
    return quality


def _has_all(parameters: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(
        name in parameters and _is_same(value, parameters[name]) for name, value in wanted.items()
    )


def _is_same(one: str, other: str) -> bool:
    # Letters of ASCII only are the same in both cases: others turn into them.
    return one == other or (one.isascii() and other.isascii() and one.lower() == other.lower())


def choose_coding(
    accept_encoding: str | None,
    offers: Sequence[str] = ("br", "zstd", "gzip", "deflate"),
) -> str | None:
    """Choose the content coding of an answer (RFC 9110 section 12.5.3).

    `x-gzip` is `gzip`; a coding that is named twice has the lower weight of the two.

    Args:
        accept_encoding: Value of the Accept-Encoding field, None if there is none.
        offers: Codings that can be had, in lower case, the preferred one first. The
            default has the densest of the usual ones first.

    Returns:
        The acceptable offer with the highest weight, the first of equals. None for "send
        it as it is": there is no field or no match, or `identity` is preferred, or is
        what was chosen. Whether that is allowed is what `is_identity_acceptable` tells.
    """
    weights = _weights(accept_encoding)
    other = weights.get("*", 0.0)
    best = None
    # Whatever is acceptable is better than an identity that nobody asked for.
    highest = 0.0
    for offer in offers:
        weight = weights.get(_SAME_CODING.get(offer, offer), other)
        if weight > highest:
            best, highest = offer, weight
    return None if best == "identity" or highest < weights.get("identity", other) else best


def is_identity_acceptable(accept_encoding: str | None) -> bool:
    """Whether an answer may be sent without a coding (RFC 9110 section 12.5.3, rule 2).

    Args:
        accept_encoding: Value of the Accept-Encoding field, None if there is none.

    Returns:
        False only after `identity;q=0`, or `*;q=0` without another weight for `identity`.
    """
    weights = _weights(accept_encoding)
    return weights.get("identity", weights.get("*", 1.0)) > 0.0


def _weights(accept_encoding: str | None) -> dict[str, float]:
    weights: dict[str, float] = {}
    for item in parse_accept(accept_encoding or ""):
        coding = _SAME_CODING.get(item.value, item.value)
        weights[coding] = min(item.quality, weights.get(coding, 1.0))
    return weights
