"""TLS settings of requests, and the contexts they stand for."""

from __future__ import annotations

import ssl
from typing import Final, TypeAlias

import anyio

from ._fingerprint import Fingerprint

#: True to verify certificate and host name, False to accept anything, a context, or the
#: digest of the one certificate to accept.
TLSSetting: TypeAlias = ssl.SSLContext | bool | Fingerprint

# Offered by ALPN, so that a server that knows more does not have to guess.
_ALPN: Final = ["http/1.1"]

# The contexts for True and False, once they were needed. Loading the system's
# certificates takes some ten milliseconds, too long for an import.
_contexts: Final[dict[bool, ssl.SSLContext]] = {}


def check_ssl(setting: TLSSetting) -> None:
    """Refuse what is no TLS setting.

    Raises:
        TypeError: It is neither a bool nor a context nor a fingerprint.
    """
    if not isinstance(setting, (bool, ssl.SSLContext, Fingerprint)):
        raise TypeError(f"ssl should be SSLContext, Fingerprint, or bool, got {setting!r} instead.")


async def load_context(setting: TLSSetting) -> ssl.SSLContext:
    """Return the context for a setting.

    That of True verifies. Those of False and of a fingerprint do not; who uses the latter
    checks the certificate. A context is returned as it is: its ALPN is its owner's affair.
    """
    if isinstance(setting, ssl.SSLContext):
        return setting
    verify = setting is True
    context = _contexts.get(verify)
    if context is None:
        context = await anyio.to_thread.run_sync(_make_context, verify)
        context = _contexts.setdefault(verify, context)
    return context


def tls_name(host: str, server_hostname: str | None) -> str:
    """Return the name for SNI and the certificate: no trailing dots (RFC 6066 section 3)."""
    return (server_hostname or host).rstrip(".")


def _make_context(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(_ALPN)
    return context
