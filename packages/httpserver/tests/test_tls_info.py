from __future__ import annotations

import json
import ssl
from typing import Any

import pytest
import trustme

import httpserver as web

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def handler(request: web.Request) -> web.Response:
    tls = request.tls
    if tls is None:
        return web.Response(text="none")
    assert isinstance(tls.cipher, web.TLSCipher)
    info = tls.peer_certificate_info
    return web.json_response(
        {
            "version": tls.version,
            "protocol": tls.cipher.protocol,
            "name": tls.cipher.name,
            "bits": tls.cipher.bits,
            "alpn": tls.alpn,
            "server_name": tls.server_name,
            "certificate": tls.peer_certificate and tls.peer_certificate.hex(),
            "names": info and info["subjectAltName"],
            "scheme": request.scheme,
            "secure": request.secure,
            "context": request.get_extra_info("sslcontext") is not None,
            "url": str(request.url),
        }
    )


async def test_without_tls_there_is_none(serve: Any) -> None:
    async with serve(handler) as origin:
        assert (await origin.ask(REQUEST)).text == "none"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_handshake_is_described(
    serve: Any, certificate_authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols(["http/1.1"])
    ours = ssl.create_default_context()
    certificate_authority.configure_trust(ours)
    ours.set_alpn_protocols(["x", "http/1.1"])
    ours.minimum_version = ours.maximum_version = version
    async with serve(handler, ssl_context=context) as origin:
        peer = await origin.connect(tls=ours)
        await peer.send(REQUEST)
        found = json.loads((await peer.answer()).text)
        await peer.close()

    assert found["version"] == version.name.replace("_", ".")
    assert found["protocol"].startswith("TLSv1")
    assert found["bits"] in (128, 256)
    assert found["name"].startswith(("TLS_", "ECDHE-"))
    assert found["alpn"] == "http/1.1"
    assert found["certificate"] is None
    assert found["names"] is None
    assert (found["scheme"], found["secure"], found["url"]) == ("https", True, "https://a/")
    assert found["context"]


async def test_certificate_of_the_client_is_told(
    serve: Any, certificate_authority: trustme.CA
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("localhost").configure_cert(context)
    certificate_authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    certificate = certificate_authority.issue_cert("client.example")
    ours = ssl.create_default_context()
    certificate_authority.configure_trust(ours)
    certificate.configure_cert(ours)
    async with serve(handler, ssl_context=context) as origin:
        peer = await origin.connect(tls=ours)
        await peer.send(REQUEST)
        found = json.loads((await peer.answer()).text)
        await peer.close()

    pem = certificate.cert_chain_pems[0].bytes().decode()
    assert found["certificate"] == ssl.PEM_cert_to_DER_cert(pem).hex()
    assert found["names"] == [["DNS", "client.example"]]
