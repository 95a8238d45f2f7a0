"""Contexts of a throw-away authority."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest
from anyio.streams.tls import TLSAttribute

from httpcore_testing import Certificates, RawPeer, RawServer

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


async def talk(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> object:
    """Return what the server is shown: the certificate of the client."""
    shown: list[object] = []

    async def script(peer: RawPeer) -> None:
        tls = peer.stream.extra(TLSAttribute.ssl_object)
        shown.extend((tls.selected_alpn_protocol(), tls.getpeercert()))
        await peer.send(b"x")

    async with RawServer(script, tls=server) as origin:
        async with RawPeer.connect(
            "127.0.0.1", origin.port, tls=client, server_hostname=name
        ) as peer:
            assert await peer.receive_exactly(1) == b"x"
    assert shown[0] == "http/1.1"
    return shown[1]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
async def test_the_loopback_is_trusted(certificates: Certificates, name: str) -> None:
    assert await talk(certificates.server_context(), certificates.client_context(), name) is None


async def test_other_names_are_trusted_if_they_are_given(certificates: Certificates) -> None:
    server = certificates.server_context("*.name.test", "other.test")
    client = certificates.client_context()
    for name in ("a.name.test", "other.test"):
        await talk(server, client, name)
    with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
        await talk(server, client)


async def test_nobody_else_is_trusted(certificates: Certificates) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await talk(certificates.server_context(), Certificates().client_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        await talk(certificates.server_context(), ssl.create_default_context())


async def test_mutual_tls(certificates: Certificates) -> None:
    server = certificates.server_context(verify_clients=True)
    shown = await talk(server, certificates.client_context(identity="alice@example.test"))
    assert isinstance(shown, dict)
    assert ("commonName", "alice@example.test") in [pair[0] for pair in shown["subject"]]
    # In TLS 1.3 the client learns of it only when it reads.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await talk(server, certificates.client_context())
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await talk(server, _client_of_another_authority(certificates))


def _client_of_another_authority(certificates: Certificates) -> ssl.SSLContext:
    context = Certificates().client_context(identity="mallory")
    context.load_verify_locations(cadata=certificates.ca_pem.decode())
    return context


async def test_files_are_good_for_programs(certificates: Certificates, tmp_path: Path) -> None:
    files = certificates.server_files(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    server.set_alpn_protocols(["http/1.1"])
    client = ssl.create_default_context(cafile=str(files.authority))
    client.set_alpn_protocols(["http/1.1"])
    await talk(server, client)
    assert files.authority.read_bytes() == certificates.ca_pem
    if sys.platform != "win32":
        assert files.key.stat().st_mode & 0o777 == 0o600


def test_without_trustme_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ImportError, match=r"httpcore-testing\[tls\]"):
        Certificates()
