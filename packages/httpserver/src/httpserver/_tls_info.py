"""What a TLS connection tells of itself and of its peer."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any, NamedTuple


class TLSCipher(NamedTuple):
    """A cipher suite.

    Attributes:
        name: As OpenSSL calls it, such as `TLS_AES_256_GCM_SHA384`.
        protocol: The version of TLS that defined it.
        bits: Secret bits that it uses.
    """

    name: str
    protocol: str
    bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSInfo:
    """What was agreed on in a TLS handshake.

    Attributes:
        version: Such as `"TLSv1.3"`; None once the connection is gone, on some event loops.
        cipher: The cipher suite; None as for `version`.
        alpn: The protocol that ALPN chose, such as `"http/1.1"`; None without ALPN.
        server_name: The name that the client asked for (SNI), where the event loop and the
            context's `sni_callback` tell it; else None.
        peer_certificate: The client's certificate in DER; None if it sent none, which it
            does only if the context's `verify_mode` asks for one.
        peer_certificate_info: The verified certificate as `ssl.SSLSocket.getpeercert` tells
            it; None if there is none.
    """

    version: str | None
    cipher: TLSCipher | None
    alpn: str | None
    server_name: str | None
    peer_certificate: bytes | None
    peer_certificate_info: dict[str, Any] | None


def describe_tls(tls: ssl.SSLObject | ssl.SSLSocket) -> TLSInfo:
    """Return what `tls`, whose handshake is done, tells."""
    cipher = tls.cipher()
    return TLSInfo(
        version=tls.version(),
        cipher=None if cipher is None else TLSCipher(*cipher),
        alpn=tls.selected_alpn_protocol(),
        server_name=tls.server_hostname,
        peer_certificate=tls.getpeercert(binary_form=True),
        peer_certificate_info=tls.getpeercert(),
    )
