"""TLS settings of requests, and the contexts they stand for."""

from __future__ import annotations

import ssl
from typing import Final

import anyio

# Offered by ALPN, so that a server that knows more does not have to guess.
_ALPN: Final = ["http/1.1"]

# The contexts for True and False, once they were needed. Loading the system's
# certificates takes some ten milliseconds, too long for an import.
_contexts: Final[dict[bool, ssl.SSLContext]] = {}


def check_ssl(setting: ssl.SSLContext | bool) -> None:
    """Refuse what is no TLS setting.

    Raises:
        TypeError: It is neither a bool nor a context.
    """
    if not isinstance(setting, (bool, ssl.SSLContext)):
        raise TypeError(f"ssl should be SSLContext or bool, got {setting!r} instead.")


async def load_context(setting: ssl.SSLContext | bool) -> ssl.SSLContext:
    """Return the context for a setting: verified for True, unverified for False."""
    if isinstance(setting, ssl.SSLContext):
        return setting
    context = _contexts.get(setting)
    if context is None:
        context = _contexts[setting] = await anyio.to_thread.run_sync(_make_context, setting)
    return context


def _make_context(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(_ALPN)
    return context
