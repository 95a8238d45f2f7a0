"""Text of Cookie and Set-Cookie, after RFC 6265bis.

What a cookie is for (domains, paths, expiry) is the jar's; here is what stands in the
fields. A semicolon always separates, also between quotes (RFC 6265bis section 5.6): a reader
that lets quotes hide semicolons can be made to swallow the cookies behind one that an
attacker set. A value is kept as it was sent, and decoded for whoever reads it.

Memory and time are linear in the field, whose size the connection bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http.cookies import Morsel
from typing import Final, Literal, TypeAlias

from ._http_date import format_http_date, parse_cookie_date

SameSite: TypeAlias = Literal["Strict", "Lax", "None"]

#: Most bytes of name and value together, and of one attribute's value: RFC 6265bis section
#: 5.6. What is over is ignored, as browsers do.
MAX_COOKIE_SIZE: Final = 4096
MAX_COOKIE_ATTRIBUTE_SIZE: Final = 1024
#: Attributes of one cookie that are looked at, and cookies of one response; aiohttp's bounds.
MAX_COOKIE_ATTRIBUTES: Final = 32
MAX_COOKIES: Final = 50

# Names in use are tokens and some more; aiohttp's set, less "=", which ends a name.
_NAME: Final = re.compile(r"[!#$%&'()*+\-./0-9:<>?@A-Z\[\]^_`a-z{|}~]++")
# RFC 6265bis section 5.6 ignores a field with one of these.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# RFC 6265 section 4.1.1: cookie-octet.
_PLAIN_VALUE: Final = re.compile(r"[!#-+\--:<-\[\]-~]*+")
# What may be sent: whatever a server once sent goes back as it was, so only what would end
# the value, or the field, is out.
_SENDABLE_VALUE: Final = re.compile(r"(?![ \t])[^\x00-\x08\x0a-\x1f\x7f;]*(?<![ \t])")
# RFC 6265 section 4.1.1: av-octet, for what we write.
_ATTRIBUTE_VALUE: Final = re.compile(r"[ -:<-~]+")
_ESCAPE: Final = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))", re.DOTALL)
_TO_ESCAPE: Final = re.compile(r"[^!#-+\--:<-\[\]-~ ]")
# RFC 6265bis section 5.6.2.
_MAX_AGE: Final = re.compile(r"-?[0-9]++")
# Seconds, 300 years: as good as more, and dates can be reckoned with it.
_FOR_EVER: Final = 10**10

_SAME_SITE: Final[dict[str, SameSite]] = {"strict": "Strict", "lax": "Lax", "none": "None"}
_FLAGS: Final = frozenset({"secure", "httponly", "partitioned"})
_ATTRIBUTES: Final = _FLAGS | {"domain", "path", "expires", "max-age", "samesite"}
# What a new Morsel has; copied at once, which is a third of making one.
_EMPTY_MORSEL: Final[Morsel[str]] = Morsel()


def quote_cookie(value: str) -> str:
    """Return `value` as a cookie value: as it is, or in quotes with octal escapes.

    Raises:
        ValueError: There is a character above U+00FF, which has no octal escape here.
    """
    if _PLAIN_VALUE.fullmatch(value) is not None:
        return value
    return f'"{_TO_ESCAPE.sub(_escape, value)}"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in '"\\':
        return f"\\{character}"
    if character > "\xff":
        raise ValueError(f"a cookie value cannot hold {character!r}; encode it first")
    return f"\\{ord(character):03o}"


def unquote_cookie(coded: str) -> str:
    """Return a cookie value without its quotes and escapes; unquoted ones as they are."""
    if len(coded) < 2 or coded[0] != '"' or coded[-1] != '"':
        return coded
    inner = coded[1:-1]
    return _ESCAPE.sub(_unescape, inner) if "\\" in inner else inner


def _unescape(match: re.Match[str]) -> str:
    octal: str | None = match[1]
    plain: str = match[2]
    return chr(int(octal, 8)) if octal is not None else plain


def split_cookie_header(header: str) -> Iterator[tuple[str, str]]:
    """Yield name and coded value of each cookie in a request's `Cookie`.

    A name that looks like an attribute is a cookie like others; one without `=` has an empty
    value. A piece whose name is empty or has characters that no cookie's has is left out.
    """
    for piece in header.split(";"):
        name, _, value = piece.partition("=")
        name = name.strip(" \t")
        if _NAME.fullmatch(name) is not None:
            yield name, value.strip(" \t")


def parse_cookie_header(header: str) -> list[tuple[str, Morsel[str]]]:
    """Return the cookies of a request's `Cookie`, in their order.

    `Morsel.value` is decoded, `Morsel.coded_value` as it was sent. Unlike in aiohttp, quotes
    hide no semicolon.
    """
    return [(name, _morsel(name, coded)) for name, coded in split_cookie_header(header)]


def format_cookie_header(cookies: Iterable[tuple[str, str]]) -> str:
    """Return the value of `Cookie` for names and coded values.

    Raises:
        ValueError: A name or value is not fit to be sent (`quote_cookie` makes one fit).
    """
    return "; ".join([f"{_check_name(name)}={_check_value(coded)}" for name, coded in cookies])


def _morsel(name: str, coded: str) -> Morsel[str]:
    morsel: Morsel[str] = Morsel.__new__(Morsel)
    dict.update(morsel, _EMPTY_MORSEL)
    # Its own ways refuse names that are in use, and in newer Pythons a tab in a value.
    morsel.__dict__.update(_key=name, _value=unquote_cookie(coded), _coded_value=coded)
    return morsel


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCookie:
    """One `Set-Cookie` field. `str()` of it is the field's value, checked.

    Attributes:
        name: Name of the cookie; names compare with case.
        value: Value as on the wire; `quote_cookie` and `unquote_cookie` convert it.
        domain: Domain in lower case without a leading dot; None if absent or empty.
        path: Path; None if absent or not beginning with `/`.
        expires: Point in time, aware, UTC; None if absent or no date.
        max_age: Seconds; 0 or less to delete. Counts for more than `expires`.
        secure: Only over TLS.
        http_only: Not for scripts.
        same_site: `"Strict"`, `"Lax"` or `"None"`; None if absent or another.
        partitioned: Kept apart per top-level site.
    """

    name: str
    value: str = ""
    domain: str | None = None
    path: str | None = None
    expires: datetime | None = None
    max_age: int | None = None
    secure: bool = False
    http_only: bool = False
    same_site: SameSite | None = None
    partitioned: bool = False

    def __str__(self) -> str:
        """Return the field's value.

        Raises:
            ValueError: A part of it is not fit to be sent, a semicolon in the path, say.
        """
        pieces = [f"{_check_name(self.name)}={_check_value(self.value)}"]
        expires = None if self.expires is None else format_http_date(self.expires)
        for attribute, value in (
            ("Domain", self.domain),
            ("Path", self.path),
            ("Expires", expires),
            ("Max-Age", self.max_age),
            ("SameSite", self.same_site),
        ):
            if value is not None:
                pieces.append(f"{attribute}={_check_attribute(attribute, str(value))}")
        for attribute, is_set in (
            ("Secure", self.secure),
            ("HttpOnly", self.http_only),
            ("Partitioned", self.partitioned),
        ):
            if is_set:
                pieces.append(attribute)
        return "; ".join(pieces)


def parse_set_cookie(field: str) -> SetCookie | None:
    """Parse one `Set-Cookie` field (RFC 6265bis section 5.6).

    Returns:
        None for a field to be ignored: it has a control character, no name, a name that no
        cookie has, or is too large (`MAX_COOKIE_SIZE`).
    """
    split = _split_set_cookie(field)
    if split is None:
        return None
    name, value, attributes = split
    # Of repeated ones the last counts; of these two the last that is valid, so that junk
    # does not bring back what was deleted (RFC 6265bis sections 5.6.1 and 5.6.2).
    given: dict[str, str] = {}
    expires: datetime | None = None
    max_age: int | None = None
    for attribute, text in _attributes(attributes):
        given[attribute] = text
        if attribute == "expires":
            expires = parse_cookie_date(text) or expires
        elif attribute == "max-age" and _MAX_AGE.fullmatch(text) is not None:
            # No longer than MAX_COOKIE_ATTRIBUTE_SIZE, so int() takes it.
            max_age = max(-_FOR_EVER, min(int(text), _FOR_EVER))
    domain = given.get("domain", "").removeprefix(".")
    path = given.get("path", "")
    return SetCookie(
        name=name,
        value=value,
        domain=_lower(domain) or None,
        path=path if path[:1] == "/" else None,
        expires=expires,
        max_age=max_age,
        secure="secure" in given,
        http_only="httponly" in given,
        same_site=_SAME_SITE.get(_lower(given.get("samesite", ""))),
        partitioned="partitioned" in given,
    )


def parse_set_cookie_headers(fields: Iterable[str]) -> list[tuple[str, Morsel[str]]]:
    """Return the cookies of a response's `Set-Cookie` fields, one for each field at most.

    Attributes that RFC 6265bis does not know are left out; `Morsel.coded_value` is the value
    as it was sent. At most 50 cookies are returned (`MAX_COOKIES`).
    """
    cookies: list[tuple[str, Morsel[str]]] = []
    for field in fields:
        split = _split_set_cookie(field)
        if split is None:
            continue
        if len(cookies) == MAX_COOKIES:
            break
        name, coded, attributes = split
        morsel = _morsel(name, coded)
        for attribute, value in _attributes(attributes):
            # What a Morsel's own method would check is checked.
            dict.__setitem__(morsel, attribute, True if attribute in _FLAGS else value)
        cookies.append((name, morsel))
    return cookies


def _split_set_cookie(field: str) -> tuple[str, str, list[str]] | None:
    if not field.isprintable() and _CONTROL.search(field) is not None:
        return None
    pair, *attributes = field.split(";", MAX_COOKIE_ATTRIBUTES + 1)
    del attributes[MAX_COOKIE_ATTRIBUTES:]
    name, separator, value = pair.partition("=")
    name = name.strip(" \t")
    value = value.strip(" \t")
    if not separator or _NAME.fullmatch(name) is None:
        return None
    size = len(name) + (len(value) if value.isascii() else len(value.encode("utf-8", "replace")))
    return None if size > MAX_COOKIE_SIZE else (name, value, attributes)


def _attributes(pieces: list[str]) -> Iterator[tuple[str, str]]:
    for piece in pieces:
        name, _, value = piece.partition("=")
        name = _lower(name.strip(" \t"))
        value = value.strip(" \t")
        if name not in _ATTRIBUTES or len(value) > MAX_COOKIE_ATTRIBUTE_SIZE:
            continue
        # What a flag is set to does not matter.
        if name in _FLAGS or value.isascii():
            yield name, value


def _lower(text: str) -> str:
    # Of other than ASCII, lower() would make letters out of the Kelvin sign and such.
    return text.lower() if text.isascii() else text


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name[:80]!r} cannot be the name of a cookie")
    return name


def _check_value(coded: str) -> str:
    if _SENDABLE_VALUE.fullmatch(coded) is None:
        raise ValueError(f"cookie value {coded[:80]!r}: quote_cookie() makes it fit to be sent")
    return coded


def _check_attribute(attribute: str, value: str) -> str:
    if _ATTRIBUTE_VALUE.fullmatch(value) is None:
        raise ValueError(
            f"{attribute} {value[:80]!r} of a cookie: printable ASCII without semicolon expected"
        )
    return value
