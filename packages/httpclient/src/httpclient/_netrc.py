"""Logins from the user's netrc file, for who asked for them with `trust_env`."""

from __future__ import annotations

import logging
import netrc
import os
import sys
from collections.abc import Mapping
from typing import Final, NamedTuple

import anyio

from httpcore_proto import encode_basic_auth

_logger = logging.getLogger("httpclient.netrc")

_DEFAULT_NAME: Final = "_netrc" if sys.platform == "win32" else ".netrc"
# What stands for a host that has no entry; no host has an empty name.
_DEFAULT: Final = ""


class _File(NamedTuple):
    """What was in a file when it was read.

    Attributes:
        stamp: Path, time of modification in nanoseconds and size.
        values: Authorization values by host.
    """

    stamp: tuple[str, int, int]
    values: Mapping[str, str]


# The file that was read last; a process has one.
_cache: Final[dict[str, _File]] = {}


async def netrc_authorization(host: str) -> str | None:
    """Return the Authorization value that the user's netrc file has for a host.

    The file is the one that the environment variable NETRC names, else `~/.netrc`
    (`~/_netrc` on Windows). It is read in a thread, and again only when it has changed.
    That there is no `~/.netrc` is nothing special; that the file NETRC names is missing,
    or that a file cannot be read, is told once in a warning of the logger
    `httpclient.netrc`, and there is no login then.

    Args:
        host: Name or address as in `URL.raw_host`, without port. It must be the name of
            the entry, ASCII case aside; there is no part of a name that matches. Without
            such an entry, that called `default` counts.

    Returns:
        Credentials of the scheme Basic (RFC 7617), for Authorization or
        Proxy-Authorization; None if there is no entry, or one that Basic cannot carry.
    """
    values = await _load()
    found = values.get(host.lower()) if host.isascii() else None
    return found or values.get(_DEFAULT)


async def _load() -> Mapping[str, str]:
    stamp = _find()
    if stamp is None:
        return {}
    cached = _cache.get("file")
    if cached is None or cached.stamp != stamp:
        values = await anyio.to_thread.run_sync(_read, stamp[0])
        cached = _cache["file"] = _File(stamp, values)
    return cached.values


def _find() -> tuple[str, int, int] | None:
    """Return the stamp of the file; not in a thread, that would take a hundred times longer.

    One that ought to be there and is not has a stamp as well, so that this is told once.
    """
    named = os.environ.get("NETRC")
    path = named or os.path.join(os.path.expanduser("~"), _DEFAULT_NAME)
    try:
        status = os.stat(path)
    except (OSError, ValueError) as exc:
        if not named and isinstance(exc, (FileNotFoundError, NotADirectoryError)):
            return None
        return (path, -1, -1)
    return (path, status.st_mtime_ns, status.st_size)


def _read(path: str) -> Mapping[str, str]:
    try:
        entries = netrc.netrc(path).hosts
    except (OSError, ValueError) as exc:
        _logger.warning("Could not read the netrc file %r: %s", path, exc)
        return {}
    except netrc.NetrcParseError as exc:
        # Its text quotes the file, and what stands there may be a password.
        _logger.warning("The netrc file %r is malformed in line %s", path, exc.lineno)
        return {}
    values: dict[str, str] = {}
    for name, (login, account, password) in entries.items():
        try:
            value = encode_basic_auth(login or account or "", password or "")
        except ValueError as exc:
            _logger.warning("The login for %r in the netrc file %r: %s", name, path, exc)
        else:
            values[_DEFAULT if name == "default" else name.lower()] = value
    return values
