"""Certificates known by their digest."""

from __future__ import annotations

import hashlib
import pickle
import socket
import ssl
from typing import Any

import pytest
import trustme

import httpclient
from httpclient import Fingerprint, HostsResolver

from .conftest import Peer, Serve, counts
from .loopback import serve_at


@pytest.fixture(scope="module")
def pinned() -> tuple[ssl.SSLContext, bytes]:
    """Return the context of a server, and the digest of its certificate."""
    certificate = trustme.CA().issue_cert("elsewhere.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
    return context, hashlib.sha256(der).digest()


def options(fingerprint: Fingerprint) -> dict[str, Any]:
    """Return the options of a request."""
    return {"ssl": fingerprint}


@pytest.mark.parametrize(("size", "reason"), [(16, "MD5"), (20, "SHA-1"), (31, "not 31"), (0, "")])
def test_other_digests_are_refused(size: int, reason: str) -> None:
    with pytest.raises(ValueError, match=f"32 bytes.*{reason}"):
        Fingerprint(b"x" * size)


def test_equal_ones_are_equal() -> None:
    one, same = Fingerprint(b"x" * 32), Fingerprint(bytearray(b"x" * 32))
    other = Fingerprint(b"y" * 32)
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != b"x" * 32
    assert one.fingerprint == b"x" * 32
    assert repr(one) == f"<Fingerprint {'78' * 32}>"
    assert pickle.loads(pickle.dumps(one)) == one


async def test_certificate_that_is_asked_for_is_accepted(
    serve: Serve, pinned: tuple[ssl.SSLContext, bytes]
) -> None:
    """Whoever signed it, and for whatever name; and only such requests share connections."""
    context, digest = pinned
    async with serve(Peer.answer_all, tls=context) as origin:
        async with httpclient.ClientSession() as session:
            for _ in range(2):
                async with session.get(origin.url, **options(Fingerprint(digest))) as resp:
                    assert await resp.read() == b"ok"
            assert counts(session) == (0, 1)
            with pytest.raises(httpclient.ClientConnectorCertificateError):
                await session.get(origin.url)
    assert len(origin.heads) == 2


async def test_other_certificate_is_refused(
    serve: Serve, pinned: tuple[ssl.SSLContext, bytes]
) -> None:
    context, digest = pinned
    async with serve(Peer.answer_all, tls=context) as origin:
        connector = httpclient.TCPConnector(ssl=Fingerprint(b"x" * 32))
        async with httpclient.ClientSession(connector=connector) as session:
            with pytest.raises(httpclient.ServerFingerprintMismatch) as caught:
                await session.get(origin.url)
            error = caught.value
            assert (error.expected, error.got) == (b"x" * 32, digest)
            assert (error.host, error.port) == ("127.0.0.1", origin.port)
            assert digest.hex() in str(error)
            assert "78" * 32 in str(error)
            assert repr(error).startswith("<ServerFingerprintMismatch expected=b'xxx")
            assert str(pickle.loads(pickle.dumps(error))) == str(error)
            assert counts(session) == (0, 0)
    assert not origin.heads


async def test_other_addresses_are_tried(
    serve: Serve, pinned: tuple[ssl.SSLContext, bytes], server_tls: ssl.SSLContext
) -> None:
    """The first address has another certificate; the second one has the right one."""
    context, digest = pinned
    async with serve(Peer.answer_all, tls=context) as origin:
        async with serve_at("127.0.0.2", Peer.closed, port=origin.port, tls=server_tls) as wrong:
            connector = httpclient.TCPConnector(
                resolver=HostsResolver({"name.test": ["127.0.0.2", "127.0.0.1"]}),
                family=socket.AF_INET,
                ssl=Fingerprint(digest),
            )
            async with httpclient.ClientSession(connector=connector) as session:
                async with session.get(f"https://name.test:{origin.port}/") as resp:
                    assert await resp.read() == b"ok"
    assert (wrong.accepted, origin.accepted) == (1, 1)
    assert not wrong.heads


async def test_plain_http_has_no_certificate(serve: Serve) -> None:
    async with serve(Peer.answer_all) as origin, httpclient.ClientSession() as session:
        async with session.get(origin.url, **options(Fingerprint(b"x" * 32))) as resp:
            assert await resp.read() == b"ok"


async def test_link_without_tls_passes() -> None:
    class Plain:
        def info(self, name: str, default: Any = None) -> Any:
            return default

    Fingerprint(b"x" * 32).check(Plain())  # type: ignore[arg-type]
