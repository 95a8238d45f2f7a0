"""Where a redirect leads, and what of the request goes there (RFC 9110 section 15.4).

Functions without I/O: the session follows, and counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from multidict import CIMultiDict
from yarl import URL

from httpcore_proto import HeadersLike

from ._errors import (
    InsecureRedirectError,
    InvalidUrlClientError,
    InvalidUrlRedirectClientError,
    NonHttpUrlRedirectClientError,
)
from ._url import Destination, destination, destination_below

#: Those that name another place for the resource; 300, 304 and 305 do not ask to go there.
REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})

#: What belongs to one origin, in lower case. Whoever the server sends us to must see
#: neither what identifies the user, nor a Host that was meant for the server.
ORIGIN_FIELDS: Final = frozenset({"authorization", "cookie", "host", "proxy-authorization"})
#: What tells about a body, in lower case: RFC 9110 section 15.4 (5), 10.1.1 for Expect,
#: RFC 9530 for the digests.
BODY_FIELDS: Final = frozenset(
    {
        "content-digest",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "digest",
        "expect",
        "last-modified",
        "repr-digest",
        "trailer",
        "transfer-encoding",
    }
)
_NOTHING: Final[frozenset[str]] = frozenset()
_SCHEMES: Final[tuple[str, ...]] = ("http", "https")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+):")


class Hop(NamedTuple):
    """The request that a redirect asks for.

    What is dropped stays dropped: the hops after it do not get it back, even if they
    lead to where it came from.

    Attributes:
        method: Method to use, upper case.
        destination: Where to go.
        keeps_body: Whether the body goes too; else there is none from now on.
        cross_origin: Whether this is another origin, so that cookies and credentials that
            came with the call are not for it.
        drops: Names of fields, lower case, that are not sent any more, the session's own
            included; every occurrence.
    """

    method: str
    destination: Destination
    keeps_body: bool
    cross_origin: bool
    drops: frozenset[str]


def next_hop(
    method: str,
    current: Destination,
    status: int,
    headers: Mapping[str, str],
    *,
    requote: bool = True,
    allow_insecure: bool = False,
) -> Hop | None:
    """Tell what request follows on a response.

    POST becomes GET for 301 and 302, every method but HEAD for 303; 307 and 308 change
    nothing. Query parameters and the fragment of the current URL are not inherited.

    Args:
        method: Method of the request, upper case.
        current: Where the request went.
        status: Status of the response.
        headers: Fields of the response; `Location` counts, or `URI` if there is none.
        requote: Whether the URL is spelled anew, as `yarl.URL` does by default; otherwise
            only octets that have no place in a URI are percent-encoded.
        allow_insecure: Whether the way may lead from https to http.

    Returns:
        None if the response is no redirect, or names no place.

    Raises:
        InvalidUrlRedirectClientError: The URL is malformed, has no host, or has user and
            password.
        NonHttpUrlRedirectClientError: Its scheme is neither http nor https.
        InsecureRedirectError: It leads from https to http.
    """
    if status not in REDIRECT_STATUSES:
        return None
    location = (headers.get("Location") or headers.get("URI") or "").strip(" \t")
    if not location:
        return None
    to = _resolve(current, location, requote)
    if current.key.is_ssl and not to.key.is_ssl and not allow_insecure:
        raise InsecureRedirectError(to.url)
    keeps_body = True
    if status == 303 or (status < 303 and method == "POST"):
        keeps_body = False
        if method != "HEAD":
            method = "GET"
    cross_origin = current.key != to.key
    drops = _NOTHING if keeps_body else BODY_FIELDS
    if cross_origin:
        drops |= ORIGIN_FIELDS
    return Hop(method, to, keeps_body, cross_origin, drops)


def _resolve(current: Destination, location: str, requote: bool) -> Destination:
    match = _SCHEME.match(location)
    if match is not None:
        scheme = match[1].lower()
        if scheme not in _SCHEMES:
            raise NonHttpUrlRedirectClientError(location)
        # RFC 3986 section 5.2.2: `http:path` is relative to a base of the same scheme, for
        # those who are not strict. The path is one, even if it looks like a URL itself.
        rest = location[match.end() :]
        if scheme == current.url.scheme and not rest.startswith("//"):
            location = f"./{rest}" if _SCHEME.match(rest) else rest
    # yarl would pass the fragment on to a reference that has no path.
    base = current.url.with_fragment(None) if current.url.raw_fragment else current.url
    try:
        to = destination_below(base, location)
        if requote:
            to = destination(URL(str(to.url)))
    except InvalidUrlClientError as exc:
        raise InvalidUrlRedirectClientError(exc.url, exc.description) from exc
    except ValueError as exc:
        raise InvalidUrlRedirectClientError(location, str(exc)) from exc
    return to


def without_fields(headers: HeadersLike | None, drops: Iterable[str]) -> CIMultiDict[str]:
    """Return a copy of `headers` without the fields named, every occurrence of them.

    Args:
        headers: Fields; None for none.
        drops: Names, in lower case.
    """
    left = CIMultiDict(headers if headers is not None else ())
    for name in drops:
        left.popall(name, None)
    return left
