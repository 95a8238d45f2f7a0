"""Certificates that are known by their digest, in place of a chain of trust."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from ._errors import ServerFingerprintMismatch

if TYPE_CHECKING:
    from httpcore_proto.aio import Link

_SIZE: Final = 32  # bytes of a SHA-256 digest
# Sizes of digests that are too easily forged.
_WEAK: Final = {16: "MD5", 20: "SHA-1"}


class Fingerprint:
    """SHA-256 of the one certificate that a server may have.

    Given as `ssl` of a request or a connector, it takes the place of the usual checks:
    neither the chain of trust nor the host name nor the date matter. Equal ones share
    connections.

    Args:
        fingerprint: SHA-256 of the certificate in DER form, 32 bytes.

    Raises:
        ValueError: It is of another size, such as that of an MD5 or SHA-1 digest.
    """

    __slots__ = ("_fingerprint",)

    def __init__(self, fingerprint: bytes) -> None:
        if (size := len(fingerprint)) != _SIZE:
            weak = f": {_WEAK[size]} is not safe" if size in _WEAK else ""
            raise ValueError(f"a fingerprint has 32 bytes (SHA-256), not {size}{weak}")
        self._fingerprint: Final = bytes(fingerprint)

    @property
    def fingerprint(self) -> bytes:
        """The digest."""
        return self._fingerprint

    def check(self, link: Link) -> None:
        """Look at the certificate of the server; a link without TLS passes.

        Raises:
            ServerFingerprintMismatch: It is another one.
        """
        ssl_object = link.info("ssl_object")
        if ssl_object is None:
            return
        got = hashlib.sha256(ssl_object.getpeercert(binary_form=True) or b"").digest()
        if not hmac.compare_digest(got, self._fingerprint):
            peername = link.info("peername")
            # That of a Unix socket is a mere path.
            host, port = peername[:2] if isinstance(peername, tuple) else (str(peername), 0)
            raise ServerFingerprintMismatch(self._fingerprint, got, host, port)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fingerprint):
            return NotImplemented
        return self._fingerprint == other._fingerprint

    def __hash__(self) -> int:
        return hash(self._fingerprint)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._fingerprint.hex()}>"
