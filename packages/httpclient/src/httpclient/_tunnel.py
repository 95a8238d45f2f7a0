"""Connecting through a proxy: to it, and with CONNECT or SOCKS through it.

There are two cases. Requests to plain http origins go to an http or https proxy as they
are, in absolute form (RFC 9112 section 3.2.2): all that is needed is a link to the
proxy. Everything else gets a tunnel, and TLS inside of it for https. While the tunnel is
made the link belongs to a `Dialogue`; the connection gets it only when the origin is at
the other end, with nothing on it, so nothing that a proxy says can pass for an answer
of the origin.
"""

from __future__ import annotations

import ssl as ssl_module
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from httpcore_proto import (
    NEED_DATA,
    ClientConnection,
    InformationalResponse,
    Limits,
    RemoteProtocolError,
    Request,
    Response,
)

from ._connect_errors import reported
from ._errors import (
    ClientHttpProxyError,
    ClientProxyConnectionError,
    InvalidUrlClientError,
    ServerFingerprintMismatch,
)
from ._fingerprint import Fingerprint
from ._proxy import forwards, is_host
from ._proxy_dialogue import Dialogue
from ._request import RequestInfo
from ._socks import SOCKS_SCHEMES, Host, open_socks, socks_host
from ._tls import load_context, tls_name
from ._url import ConnectionKey, Proxy

if TYPE_CHECKING:
    from httpcore_proto.aio import Link, Receiver

    from ._dialer import Dialer
    from ._tracing import Traces

_DEFAULT_LIMITS: Final = Limits()


async def connect_through(
    dialer: Dialer,
    connection: Receiver,
    key: ConnectionKey,
    context: ssl_module.SSLContext | None,
    traces: Traces | None,
    fingerprint: Fingerprint | None = None,
) -> None:
    """Give `connection` a link over which the proxy of `key` takes its requests.

    If `forwards(key)`, that is the link to the proxy, and requests have to be in absolute
    form with the proxy's fields. Otherwise it is a tunnel to the origin.

    TLS to an https proxy is verified against the name in the proxy's URL: with the
    context of the request, if it has one of its own, else with that of the connector if
    that one verifies, else with the default one. So `ssl=False` is about the origin
    alone, and `server_hostname` as well.

    Cancelled or after an error, nothing is left open.

    Args:
        dialer: Connects to the proxy.
        connection: Who gets the link.
        key: What to connect to, and the proxy.
        context: What TLS with the origin is done with; if `key` is not about TLS, the
            connector's context or None.
        traces: Told of nothing but the lookup of the origin, for `socks5` and `socks4`: as
            in aiohttp, the way to a proxy has no signals.
        fingerprint: What the certificate of the origin has to be, if that is not the
            setting in `key` already.

    Raises:
        ClientHttpProxyError: The proxy answered CONNECT with something else than 2xx.
            The request info has no Proxy-Authorization. With status 400 also: what it
            answered is malformed, or over a limit.
        ClientProxyConnectionError: The proxy cannot be reached, closed the connection, or
            broke the protocol; or a SOCKS proxy refused.
        ClientConnectorDNSError: The name of the proxy, or with `socks5` and `socks4` that
            of the origin, cannot be looked up.
        ClientConnectorCertificateError: A certificate was refused; `host` tells whose.
        ClientConnectorSSLError: A TLS handshake failed, with `host`.
        ServerFingerprintMismatch: The certificate of the origin is another one.
        AddressNotAllowedError: The address of the proxy is refused by a policy.
        ClientConnectorError: The origin was lost in the TLS handshake; or it has no
            address that the version of SOCKS can carry.
        InvalidUrlClientError: The host of `key` is not one that a proxy can be told.
    """
    proxy = key.proxy
    assert proxy is not None
    url = proxy.url
    host, port, secure = url.raw_host, url.port, url.scheme == "https"
    assert host is not None
    assert port is not None
    proxy_key = ConnectionKey(host, port, secure, key.ssl)
    is_tunnel = not forwards(key)
    if is_tunnel and not is_host(key.host):
        raise InvalidUrlClientError(key.host, "a proxy cannot be told this host")
    to: Host = key.host
    if url.scheme in SOCKS_SCHEMES:

        async def look_up() -> list[str]:
            found = await dialer.resolve(key.host, key.port, traces)
            return [str(sockaddr[0]) for *_, sockaddr in found]

        with reported(key):
            to = await socks_host(proxy, key.host, look_up)
    dialogue = Dialogue()
    with reported(proxy_key, ClientProxyConnectionError):
        link = await dialer.connect(
            dialogue if is_tunnel else connection,
            host,
            port,
            context=await _proxy_context(key, context) if secure else None,
            server_hostname=tls_name(host, None) if secure else None,
            traces=None,
        )
    if not is_tunnel:
        return
    try:
        with reported(proxy_key, ClientProxyConnectionError):
            if url.scheme in SOCKS_SCHEMES:
                await open_socks(dialogue, proxy, to, key.port)
            else:
                await _open_http(dialogue, proxy, key)
            dialogue.check_quiet()
        if key.is_ssl:
            assert context is not None
            with reported(key):
                name = tls_name(key.host, key.server_hostname)
                await link.start_tls(context, server_hostname=name)
                dialogue.check_quiet()
            _check_fingerprint(fingerprint, key, link)
    except BaseException:
        link.abort()
        raise
    link.hand_over(connection)


async def _open_http(dialogue: Dialogue, proxy: Proxy, key: ConnectionKey) -> None:
    """Ask an HTTP proxy for a tunnel (RFC 9110 section 9.3.6)."""
    machine = ClientConnection(key.limits or _DEFAULT_LIMITS)
    host = f"[{key.host}]" if ":" in key.host else key.host
    authority = f"{host}:{key.port}"
    fields = [("Host", authority), *proxy.headers]
    dialogue.link.write(
        machine.send_message(Request(method="CONNECT", target=authority, headers=fields))
    )
    shown = [field for field in fields if field[0].lower() != "proxy-authorization"]
    target = _origin(key)
    info = RequestInfo(target, "CONNECT", CIMultiDictProxy(CIMultiDict(shown)), target)
    try:
        while True:
            machine.receive_data(await dialogue.receive())
            while type(event := machine.next_event()) is InformationalResponse:
                pass
            if event is not NEED_DATA:
                break
    except RemoteProtocolError as exc:
        raise ClientHttpProxyError(info, (), status=400, message=exc.message) from exc
    assert type(event) is Response
    if not 200 <= event.status < 300:
        raise ClientHttpProxyError(
            info, (), status=event.status, message=event.reason, headers=event.headers
        )
    dialogue.put_back(machine.trailing_data[0])


async def _proxy_context(
    key: ConnectionKey, context: ssl_module.SSLContext | None
) -> ssl_module.SSLContext:
    if isinstance(key.ssl, ssl_module.SSLContext):
        return key.ssl
    if context is not None and context.verify_mode is ssl_module.CERT_REQUIRED:
        return context
    return await load_context(True)


def _check_fingerprint(fingerprint: Fingerprint | None, key: ConnectionKey, link: Link) -> None:
    if isinstance(key.ssl, Fingerprint):
        fingerprint = key.ssl
    if fingerprint is None:
        return
    try:
        fingerprint.check(link)
    except ServerFingerprintMismatch as exc:
        # The peer of the link is the proxy, which is not whom this is about.
        raise ServerFingerprintMismatch(exc.expected, exc.got, key.host, key.port) from None


def _origin(key: ConnectionKey) -> URL:
    return URL.build(scheme="https" if key.is_ssl else "http", host=key.host, port=key.port)
