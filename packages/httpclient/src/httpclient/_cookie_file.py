"""Cookies in a file, as JSON:

    {"version": 1, "cookies": [{"name": "sid", "value": "31d4", "domain": "example.org",
      "path": "/", "host_only": true, "secure": true, "http_only": true,
      "same_site": "Lax", "partitioned": false, "expires": 1795000000.0}]}

The oldest cookie comes first. `value` is coded, as it is sent; `expires` is in seconds since
the epoch, null for a cookie that ends with its session. Pickles are not read: to load one can
run any program.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable
from typing import Any, Final

from httpcore_proto import format_cookie_header

from ._cookie_store import StoredCookie

_VERSION: Final = 1
# What each record has, and of what types.
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "name": (str,),
    "value": (str,),
    "domain": (str,),
    "path": (str,),
    "host_only": (bool,),
    "secure": (bool,),
    "http_only": (bool,),
    "same_site": (str, type(None)),
    "partitioned": (bool,),
    "expires": (int, float, type(None)),
}
_SAME_SITE: Final = ("Strict", "Lax", "None", None)
# Every pickle since protocol 2 begins with it, and no JSON.
_PICKLE: Final = b"\x80"


def write_cookies(path: str | os.PathLike[str], cookies: Iterable[StoredCookie]) -> None:
    """Replace a file by one with these cookies, readable by its owner alone.

    Whoever reads the path finds the old file or the new one, complete.

    Raises:
        OSError: It cannot be written; the old file is as it was.
    """
    # Not needed by those who save nothing.
    import tempfile

    records = [_to_record(cookie) for cookie in cookies]
    text = json.dumps({"version": _VERSION, "cookies": records}, indent=1)
    path = os.fspath(path)
    # Made with mode 0600, from the start.
    descriptor, temporary = tempfile.mkstemp(prefix=".cookies-", dir=os.path.dirname(path) or ".")
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_cookies(path: str | os.PathLike[str], latest: float) -> list[StoredCookie]:
    """Read the cookies of a file that `write_cookies` wrote.

    Args:
        path: The file.
        latest: When they expire at the latest, in seconds since the epoch.

    Raises:
        OSError: It cannot be read.
        ValueError: It is a pickle, or no such file; the text says which cookie is wrong.
    """
    with open(path, "rb") as file:
        data = file.read()
    path = os.fspath(path)
    if data.startswith(_PICKLE):
        raise ValueError(
            f"{path!r} is a pickle, which is not read since loading one can run any program; "
            "only JSON written by save() is"
        )
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"{path!r} is not JSON: {exc}") from exc
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise ValueError(f"{path!r} holds no cookies of version {_VERSION}")
    records = content.get("cookies")
    if not isinstance(records, list):
        raise ValueError(f"{path!r} has no list of cookies")
    cookies: list[StoredCookie] = []
    for number, record in enumerate(records, 1):
        try:
            cookies.append(_from_record(record, latest))
        except ValueError as exc:
            raise ValueError(f"{path!r}, cookie {number}: {exc}") from exc
    return cookies


def _to_record(cookie: StoredCookie) -> dict[str, object]:
    record: dict[str, object] = {name: getattr(cookie, name) for name in _TYPES if name != "value"}
    record["value"] = cookie.coded
    record["expires"] = None if cookie.expires == math.inf else cookie.expires
    return record


def _from_record(record: Any, latest: float) -> StoredCookie:
    if not isinstance(record, dict) or record.keys() != _TYPES.keys():
        raise ValueError(f"expected exactly {', '.join(_TYPES)}")
    for name, types in _TYPES.items():
        if type(record[name]) not in types:
            raise ValueError(f"{name} is a {type(record[name]).__name__}")
    values: dict[str, Any] = record
    domain: str = values["domain"]
    path: str = values["path"]
    expires: float | None = values["expires"]
    # Compared, since an int may be too large for a float.
    if expires is not None and not -sys.float_info.max <= expires <= sys.float_info.max:
        raise ValueError("expires is no finite number")
    if values["same_site"] not in _SAME_SITE:
        raise ValueError(f"same_site is {values['same_site'][:80]!r}")
    if domain != domain.lower() or not domain.isascii() or (values["host_only"] and not domain):
        raise ValueError(f"domain {domain[:80]!r} is not in ASCII and lower case, or missing")
    if not path.startswith("/"):
        raise ValueError(f"path {path[:80]!r} does not begin with a slash")
    format_cookie_header([(values["name"], values["value"])])
    return StoredCookie(
        name=values["name"],
        coded=values["value"],
        domain=domain,
        path=path,
        host_only=values["host_only"],
        secure=values["secure"],
        http_only=values["http_only"],
        same_site=values["same_site"],
        partitioned=values["partitioned"],
        expires=math.inf if expires is None else min(expires, latest),
    )
