"""A certificate authority for one test run, and TLS contexts of what it has signed."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import trustme

# Where tests listen.
_NAMES: Final = ("localhost", "127.0.0.1", "::1")
# What both sides speak, so that whoever speaks more does not choose it.
_ALPN: Final = ["http/1.1"]


class CertificateFiles(NamedTuple):
    """Paths of PEM files, for programs that want paths.

    Attributes:
        certificate: The certificate, with its chain.
        key: Its private key, without a password.
        authority: The certificate of the authority that signed it.
    """

    certificate: Path
    key: Path
    authority: Path


class Certificates:
    """An authority that nobody else trusts; its key is nowhere but in memory.

    Making one and each of its certificates takes milliseconds: share it in a fixture of
    wide scope if there are many tests.

    Raises:
        ImportError: trustme is not installed; the extra `tls` has it.
    """

    def __init__(self) -> None:
        try:
            import trustme
        except ImportError as exc:
            raise ImportError(
                "certificates for tests need trustme: install httpcore-testing[tls]"
            ) from exc
        self._authority: trustme.CA = trustme.CA()

    @property
    def ca_pem(self) -> bytes:
        """The certificate of the authority, as PEM."""
        return self._authority.cert_pem.bytes()

    def server_context(self, *names: str, verify_clients: bool = False) -> ssl.SSLContext:
        """Return the context of a server, which offers http/1.1 by ALPN.

        Args:
            names: Host names and addresses of its certificate; localhost, 127.0.0.1 and ::1
                if there are none. `*.name` is a wildcard.
            verify_clients: Whether clients must show a certificate of this authority.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(_ALPN)
        self._authority.issue_cert(*(names or _NAMES)).configure_cert(context)
        if verify_clients:
            context.verify_mode = ssl.CERT_REQUIRED
            self._authority.configure_trust(context)
        return context

    def client_context(self, *, identity: str | None = None) -> ssl.SSLContext:
        """Return the context of a client that trusts this authority and no other.

        Args:
            identity: Name in a certificate to show to servers that ask for one (mutual
                TLS); its common name, and a host name or e-mail address as well.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols(_ALPN)
        self._authority.configure_trust(context)
        if identity is not None:
            self._authority.issue_cert(identity, common_name=identity).configure_cert(context)
        return context

    def server_files(self, directory: str | os.PathLike[str], *names: str) -> CertificateFiles:
        """Write the certificate of a server, its key and the authority into a directory.

        Args:
            directory: One that exists.
            names: As for `server_context`.

        Raises:
            OSError: They cannot be written.
        """
        issued = self._authority.issue_cert(*(names or _NAMES))
        files = CertificateFiles(
            *(Path(directory, f"{name}.pem") for name in ("cert", "key", "ca"))
        )
        files.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        # No one else's business, even if it is worth nothing.
        files.key.touch(mode=0o600)
        files.key.write_bytes(issued.private_key_pem.bytes())
        files.authority.write_bytes(self.ca_pem)
        return files
