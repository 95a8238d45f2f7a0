"""Challenges and credentials (RFC 9110 section 11); Basic (RFC 7617), Bearer (RFC 6750)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

from ._scan import OWS, QUOTED, TOKEN, split_list, unescape

# Far above what servers send (one challenge per scheme; Digest has ten parameters); what
# is above costs memory for nothing.
_MAX_CHALLENGES: Final = 32
_MAX_PARAMETERS: Final = 64

# RFC 9110 section 11.2; b64token of RFC 6750 section 2.1 is the same.
_TOKEN68: Final = r"[A-Za-z0-9\-._~+/]++=*+"
_PARAMETER: Final = rf"({TOKEN}){OWS}={OWS}(?:({TOKEN})|\"({QUOTED})\")"
_PARAMETER_ONLY: Final = re.compile(_PARAMETER)
_ASSIGNMENT: Final = re.compile(rf"{TOKEN}{OWS}=")
_TOKEN68_ONLY: Final = re.compile(_TOKEN68)
_START: Final = re.compile(rf"({TOKEN})(?: ++(?:({_TOKEN68})|{_PARAMETER}))?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Challenge(NamedTuple):
    """One challenge of a server, or the credentials of a client: they look the same.

    Attributes:
        scheme: Lower case, such as `basic`.
        token68: What follows the scheme if that is no parameters, else None.
        parameters: Names in lower case, values without quotes and escapes.
    """

    scheme: str
    token68: str | None
    parameters: Mapping[str, str]


def _scan_challenges(line: str) -> Iterator[Challenge | None]:
    """Yield the challenges of a line, None in the place of one that is malformed.

    A comma separates challenges as well as their parameters (RFC 9110 section 11.6.1):
    an element that is `name=value` belongs to the challenge before it, any other begins one.
    """
    begun = False
    challenge: Challenge | None = None
    parameters: dict[str, str] = {}
    for element in split_list(line):
        match = _PARAMETER_ONLY.fullmatch(element)
        if match is not None:
            name, plain, quoted = match.groups()
        elif _ASSIGNMENT.match(element) is not None:
            # A parameter whose value is wrong; a challenge without it would be another.
            challenge = name = None
        else:
            if begun:
                yield challenge
            challenge = None
            match = _START.fullmatch(element)
            if match is not None:
                scheme, token68, name, plain, quoted = match.groups()
                parameters = {}
                challenge = Challenge(scheme.lower(), token68, parameters)
        begun = True
        if challenge is None or name is None:
            continue
        name = name.lower()
        full = len(parameters) == _MAX_PARAMETERS
        if challenge.token68 is not None or name in parameters or full:
            challenge = None
        else:
            parameters[name] = plain if plain is not None else unescape(quoted)
    if begun:
        yield challenge


def parse_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """Parse WWW-Authenticate or Proxy-Authenticate (RFC 9110 section 11.6.1).

    Args:
        values: The field's values, one for each line; each may hold several challenges.

    Returns:
        The challenges in their order, the first 32 at most. Left out are those that are
        malformed, have a parameter twice, or more than 64.
    """
    found = (challenge for line in values for challenge in _scan_challenges(line))
    return tuple(islice((challenge for challenge in found if challenge), _MAX_CHALLENGES))


def parse_credentials(value: str) -> Challenge | None:
    """Parse Authorization or Proxy-Authorization (RFC 9110 section 11.6.2).

    Returns:
        The credentials, or None if the value is not exactly one scheme with what belongs
        to it, or breaks a rule that `parse_challenges` names.
    """
    found = list(islice(_scan_challenges(value), 2))
    return found[0] if len(found) == 1 else None


def parse_auth_info(value: str) -> Mapping[str, str] | None:
    """Parse Authentication-Info or Proxy-Authentication-Info (RFC 9110 section 11.6.3).

    Returns:
        The parameters, names in lower case and values unquoted; None if one is malformed
        or there twice, or if there are more than 64.
    """
    # The same list as behind a scheme; a word that is not a parameter would begin a
    # second challenge.
    found = parse_credentials(f"info, {value}")
    return found.parameters if found is not None else None


def encode_basic_auth(login: str, password: str = "", encoding: str = "utf-8") -> str:
    """Write credentials of the scheme Basic (RFC 7617 section 2).

    Args:
        login: User name, without a colon.
        password: Password; may be empty.
        encoding: Character encoding; a server may announce UTF-8, and no other.

    Returns:
        The value of an Authorization or Proxy-Authorization field.

    Raises:
        ValueError: There is a colon in `login`, a control character in either, or one
            that `encoding` lacks (`UnicodeEncodeError`). The text shows neither.
        LookupError: `encoding` is unknown.
    """
    if ":" in login:
        raise ValueError("a login for Basic authentication cannot contain a colon")
    text = f"{login}:{password}"
    if _CONTROL.search(text) is not None:
        raise ValueError("login and password cannot contain control characters (RFC 7617)")
    return "Basic " + base64.b64encode(text.encode(encoding)).decode("ascii")


def parse_basic_auth(value: str, encoding: str = "utf-8") -> tuple[str, str] | None:
    """Parse credentials of the scheme Basic (RFC 7617 section 2).

    Args:
        value: The value of an Authorization or Proxy-Authorization field.
        encoding: Character encoding of login and password.

    Returns:
        Login and password, divided at the first colon. None if the scheme is another, or
        if this is not canonical, padded base64 of text in `encoding` that has a colon and
        no control characters.

    Raises:
        LookupError: `encoding` is unknown.
    """
    credentials = parse_credentials(value)
    if credentials is None or credentials.scheme != "basic" or credentials.token68 is None:
        return None
    try:
        raw = binascii.a2b_base64(credentials.token68)
        text = raw.decode(encoding)
    except ValueError:  # of base64 as of the charset: garbage either way
        return None
    # Python's decoder has its own ideas of padding, in its strict mode too.
    if binascii.b2a_base64(raw, newline=False).decode("ascii") != credentials.token68:
        return None
    login, colon, password = text.partition(":")
    if not colon or _CONTROL.search(text) is not None:
        return None
    return login, password


def encode_bearer(token: str) -> str:
    """Write credentials of the scheme Bearer (RFC 6750 section 2.1).

    Raises:
        ValueError: `token` is empty or has other than letters, digits, `-._~+/` and, at
            its end, `=`. The text does not show it.
    """
    if _TOKEN68_ONLY.fullmatch(token) is None:
        raise ValueError("a bearer token is letters, digits, -._~+/ and = at the end (RFC 6750)")
    return f"Bearer {token}"


def parse_bearer(value: str) -> str | None:
    """Return the token of Bearer credentials (RFC 6750 section 2.1), None if it is not that."""
    credentials = parse_credentials(value)
    if credentials is None or credentials.scheme != "bearer":
        return None
    return credentials.token68
