"""Content-Disposition (RFC 6266, RFC 2183), read and written; also as in a form (RFC 7578).

A file name in it is data from a stranger: whoever makes a path of it has to take the last
component, and to look at that too (RFC 6266 section 4.3).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from ._abnf import is_token
from ._ext_value import decode_ext_value
from ._scan import OWS, QUOTED, TOKEN

# RFC 6266 knows a handful of parameters and RFC 2231 cuts long ones into sections. Each
# one above is work and memory for nothing.
_MAX_PARAMETERS: Final = 64
# Values are quoted in messages up to this many characters.
_SHOWN: Final = 80

_TYPE: Final = re.compile(rf"{OWS}({TOKEN}){OWS}(?=;|\Z)")
# RFC 6266 section 4.1 has the implied whitespace of RFC 2616 around "=". Names and plain
# values are taken as far as they go and judged later: a wrong one costs itself, or all.
_PARAMETER: Final = re.compile(
    rf";[ \t;]*+(?:([^\x00-\x20\x7f=;\"]++){OWS}={OWS}(?:\"({QUOTED})\"{OWS}|([^;\"]*+)))?+(?=;|\Z)"
)
# A token; behind it what RFC 8187 section 3.2.1 and RFC 2231 section 3 make of asterisks:
# `name*`, `name*0`, `name*0*`. No section can have more than two digits, see above.
_NAME: Final = re.compile(r"[!#$%&'+\-.^_`|~0-9A-Za-z]++(\*(?:0|[1-9][0-9]?+)(?![0-9]))?+(\*)?+")
# Browsers put Windows paths and names with backslashes in as they are, so a backslash
# escapes only what must be escaped (RFC 2616 would let it escape any character).
_PAIR: Final = re.compile(r"\\([\"\\])")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]*")
# RFC 8187 section 3.2.1: mime-charset.
_CHARSET: Final = re.compile(r"[!#$%&+\-^_`{}~0-9A-Za-z]+")
# WHATWG HTML, multipart/form-data encoding algorithm.
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_FORM_ESCAPES: Final = {0x22: "%22", 0x0D: "%0D", 0x0A: "%0A"}


class BadContentDispositionHeader(RuntimeWarning):
    """A Content-Disposition field was malformed and is taken as absent.

    The text names the rule and never quotes the field: Python remembers every different
    text of a warning, and a peer must not decide about that.
    """


class BadContentDispositionParam(RuntimeWarning):
    """One parameter of a Content-Disposition field was malformed and is left out."""


def _malformed(why: str) -> tuple[None, dict[str, str]]:
    text = f"malformed Content-Disposition, taken as absent: {why}"
    warnings.warn(text, BadContentDispositionHeader, stacklevel=3)
    return None, {}


def parse_content_disposition(header: str | None) -> tuple[str | None, dict[str, str]]:
    """Parse the value of a Content-Disposition field (RFC 6266 section 4.1, RFC 2183).

    The value of `name*` is decoded (RFC 8187). Sections of a long value, `name*0` or
    `name*0*` (RFC 2231), stay as they are; `content_disposition_filename` joins them.

    A backslash escapes `"` and `\\`, and is itself before any other character, as in the
    `C:\\dir\\a.txt` of old browsers. Slashes and backslashes at the start of a quoted
    `filename` are taken off. Percent signs are not decoded, neither those of a browser's
    form (`%22`, `%0D`, `%0A`) nor others: what looks like an escape may be the name.

    Args:
        header: The field value, or None if there was none.

    Returns:
        The disposition type in lower case and the parameters, names in lower case.
        `(None, {})` for no or an empty value; the same with a `BadContentDispositionHeader`
        warning for one that is malformed as a whole, has a parameter twice or more than 64.
        A parameter whose name or extended value alone is wrong is left out with a
        `BadContentDispositionParam` warning.
    """
    if not header:
        return None, {}
    start = _TYPE.match(header)
    if start is None:
        return _malformed("no disposition type")
    params: dict[str, str] = {}
    seen: set[str] = set()
    amount = 0
    position = start.end()
    while position < len(header):
        match = _PARAMETER.match(header, position)
        if match is None:
            return _malformed("not name=token or name=quoted-string")
        position = match.end()
        name, quoted, plain = match.groups()
        if name is None:
            continue
        amount += 1
        if amount > _MAX_PARAMETERS:
            return _malformed(f"more than {_MAX_PARAMETERS} parameters")
        shape = _NAME.fullmatch(name)
        value: str | None = None
        if shape is not None:
            name = name.lower()
            section, extended = shape.groups()
            # `name*0` and `name*0*` are the same section; `name` and `name*` are two.
            key = name.removesuffix("*") if section else name
            if key in seen:
                return _malformed("a parameter twice")
            seen.add(key)
            if quoted is None:
                plain = plain.rstrip(" \t")
                if extended and not section:
                    value = decode_ext_value(plain)
                elif is_token(plain):
                    value = plain
                elif not section:
                    return _malformed("a value that is neither token nor quoted-string")
            elif not extended:
                value = _PAIR.sub(r"\1", quoted)
                if name == "filename":
                    value = value.lstrip("\\/")
        if value is None:
            text = "malformed parameter of Content-Disposition left out"
            warnings.warn(text, BadContentDispositionParam, stacklevel=2)
        else:
            params[name] = value
    return start[1].lower(), params


def content_disposition_filename(params: Mapping[str, str], name: str = "filename") -> str | None:
    """Return a parameter in the best form that is there (RFC 6266 section 4.3).

    That is `name*`, else `name`, else the sections `name*0`, `name*1` and so on, joined up
    to the first one missing (RFC 2231 section 3). Sections with a second asterisk are
    percent-decoded in the charset that `name*0*` begins with.

    Args:
        params: Parameters as `parse_content_disposition` returns them.
        name: Name of the parameter in lower case.

    Returns:
        The value, or None if there is none or its sections do not decode.
    """
    for whole in (f"{name}*", name):
        if whole in params:
            return params[whole]
    first = params.get(f"{name}*0*")
    extended = first is not None
    charset = first.partition("'")[0].lower() if first is not None else ""
    parts: list[str] = []
    while True:
        section = f"{name}*{len(parts)}"
        plain = params.get(section)
        if plain is not None:
            if extended:
                # RFC 8187 section 3.2.1 has two charsets; any other is refused below.
                encoding = "utf-8" if charset == "utf-8" else "iso-8859-1"
                try:
                    plain = quote(plain, safe="", encoding=encoding, errors="strict")
                except UnicodeEncodeError:
                    return None
            parts.append(plain)
        elif extended and f"{section}*" in params:
            parts.append(params[f"{section}*"])
        else:
            break
    if not parts:
        return None
    joined = "".join(parts)
    return decode_ext_value(joined) if extended else joined


def content_disposition_header(
    disptype: str,
    quote_fields: bool = True,
    _charset: str = "utf-8",
    params: Mapping[str, str] | None = None,
) -> str:
    """Write the value of a Content-Disposition field.

    With `quote_fields`, `filename` is percent-encoded as a whole, which keeps every name
    ASCII, and which no receiver has to decode; other values become a quoted-string if they
    are printable ASCII or `disptype` is `form-data`, else an extended value under `name*`
    (RFC 8187), which a form must not have (RFC 7578 section 4.2). Without, values
    become quoted-strings as they are. A name with an asterisk at its end gets an extended
    value in both modes, as RFC 6266 appendix D recommends for `filename*`.

    Args:
        disptype: A token such as `attachment` or `form-data`.
        quote_fields: Whether to percent-encode, see above.
        _charset: Charset of what is percent-encoded. RFC 8187 section 3.2.1 wants UTF-8,
            the default; receivers need not know others.
        params: Parameters in their order.

    Raises:
        ValueError: `disptype` or a name is not a token, a name is there twice, the
            charset is unknown or lacks a character (`UnicodeEncodeError`), or there is a
            NUL, or any control character where it would not be percent-encoded.
    """
    if not is_token(disptype):
        raise ValueError(f"disposition type {disptype[:_SHOWN]!r} is not a token")
    if _CHARSET.fullmatch(_charset) is None:
        raise ValueError(f"charset {_charset[:_SHOWN]!r} is not a name of letters and digits")
    # RFC 7578 section 4.2: parts of a form have no extended values.
    is_form = disptype.lower() == "form-data"
    written: dict[str, str] = {}
    for name, value in (params or {}).items():
        base = name.removesuffix("*")
        if not is_token(base) or "*" in base:
            raise ValueError(f"parameter name {name[:_SHOWN]!r} is not a token")
        if name != base:
            form = _extended(value, _charset)
        elif quote_fields and name.lower() == "filename":
            form = f'"{_percent_encoded(value, _charset)}"'
        elif quote_fields and not is_form and _PRINTABLE.fullmatch(value) is None:
            name = f"{base}*"
            form = _extended(value, _charset)
        else:
            _check(_CONTROL.search(value), value)
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            form = f'"{escaped}"'
        if name.lower() in written:
            raise ValueError(f"parameter {name[:_SHOWN]!r} is there twice")
        written[name.lower()] = f"; {name}={form}"
    return disptype + "".join(written.values())


def _check(forbidden: re.Match[str] | None, value: str) -> None:
    if forbidden is not None:
        raise ValueError(f"control character {forbidden[0]!r} in {value[:_SHOWN]!r}")


def _percent_encoded(value: str, charset: str) -> str:
    _check(re.search("\0", value), value)
    try:
        return quote(value, safe="", encoding=charset, errors="strict")
    except LookupError as exc:
        raise ValueError(f"charset {charset!r} is unknown") from exc


def _extended(value: str, charset: str) -> str:
    return f"{charset}''{_percent_encoded(value, charset)}"


def form_data_disposition(name: str, filename: str | None = None) -> str:
    """Write the Content-Disposition of a form's part as browsers do.

    Raw text but for `"`, CR and LF, which become `%22`, `%0D`, `%0A` (WHATWG HTML,
    multipart/form-data encoding algorithm; RFC 7578 section 4.2 allows it). A line end in
    `name` becomes CRLF first, as there.

    Args:
        name: Name of the field.
        filename: Name of the file, None for a part that is no file.

    Raises:
        ValueError: There is a control character other than CR and LF; or a backslash at
            the end, which a reader of quoted-strings would take with the closing quote.
    """
    field = _form_escaped(_LINE_END.sub("\r\n", name))
    text = f'form-data; name="{field}"'
    return text if filename is None else f'{text}; filename="{_form_escaped(filename)}"'


def _form_escaped(text: str) -> str:
    escaped = text.translate(_FORM_ESCAPES)
    _check(_CONTROL.search(escaped), text)
    if escaped.endswith("\\"):
        raise ValueError(f"backslash at the end of {text[-_SHOWN:]!r}")
    return escaped
