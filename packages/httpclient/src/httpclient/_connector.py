"""The connector that sessions use unless told otherwise: TCP, and TLS for https."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, ClassVar

from ._address_policy import AddressPolicy
from ._base_connector import KEEPALIVE_TIMEOUT, BaseConnector
from ._connect_errors import reported
from ._dialer import HAPPY_EYEBALLS_DELAY, Dialer, SocketFactoryType
from ._dns_cache import DNSCache, Lookups
from ._errors import ServerFingerprintMismatch
from ._fingerprint import Fingerprint
from ._resolver import AbstractResolver, DefaultResolver
from ._sockets import is_address
from ._tls import TLSSetting, check_ssl, load_context, tls_name

if TYPE_CHECKING:
    from ._connection import ClientHTTPConnection
    from ._tracing import Traces
    from ._url import ConnectionKey


class TCPConnector(BaseConnector):
    """Connects over TCP, and TLS for https.

    The addresses of a name are tried after RFC 8305, with a head start for the preferred
    one. Those of names are cached; a shared lookup goes on when the request is cancelled
    that began it. TCP_NODELAY is set.

    Args:
        use_dns_cache: Keep the addresses of names, and look each name up once for all
            requests that need it at the same time.
        ttl_dns_cache: Seconds for which they are kept; None for ever. 10, as in aiohttp.
        dns_cache_max_size: Most names kept; the least used is dropped. 1000, as in aiohttp.
        family: `socket.AF_INET` or `socket.AF_INET6` for such addresses alone;
            `socket.AF_UNSPEC` for both.
        ssl: TLS setting for requests that have none of their own: True to verify
            certificate and host name, False to accept anything, a context, or a
            `Fingerprint`.
        local_addr: Address, as text, and port to connect from; port 0 for any.
        resolver: What looks up names; it is not closed with the connector. Unless given,
            a `DefaultResolver` of its own.
        keepalive_timeout: As for `BaseConnector`, like the four that follow.
        force_close: Close every connection after one exchange.
        limit: Most connections in use at once; 0 for any number.
        limit_per_host: The same for one host, port, TLS setting and proxy.
        timeout_ceil_threshold: Without effect.
        happy_eyeballs_delay: Seconds after which the next address is tried as well, 0.25 as
            RFC 8305 recommends; None to try one after the other.
        interleave: How many addresses of the preferred family are tried before the
            families take turns; 0 to leave the order of the resolver. None is 1, or 0
            without `happy_eyeballs_delay`.
        socket_factory: Makes the socket for an address, to bind it or set options. It is
            made non-blocking and connected here.
        address_policy: Which addresses may be connected to; None for all. Not in aiohttp.

    Raises:
        TypeError: `ssl` is none of these.
        ValueError: As for `BaseConnector`; `local_addr` is no address; a number is out of
            range.
    """

    allowed_protocol_schema_set: ClassVar[frozenset[str]] = (
        BaseConnector.allowed_protocol_schema_set | {"tcp"}
    )

    def __init__(
        self,
        *,
        use_dns_cache: bool = True,
        ttl_dns_cache: float | None = 10,
        dns_cache_max_size: int = 1000,
        family: socket.AddressFamily | int = socket.AF_UNSPEC,
        ssl: TLSSetting = True,
        local_addr: tuple[str, int] | None = None,
        resolver: AbstractResolver | None = None,
        keepalive_timeout: float | None = KEEPALIVE_TIMEOUT,
        force_close: bool = False,
        limit: int = 100,
        limit_per_host: int = 0,
        timeout_ceil_threshold: float = 5,
        happy_eyeballs_delay: float | None = HAPPY_EYEBALLS_DELAY,
        interleave: int | None = None,
        socket_factory: SocketFactoryType | None = None,
        address_policy: AddressPolicy | None = None,
    ) -> None:
        super().__init__(
            keepalive_timeout=keepalive_timeout,
            force_close=force_close,
            limit=limit,
            limit_per_host=limit_per_host,
            timeout_ceil_threshold=timeout_ceil_threshold,
        )
        self._closed = True  # until the arguments are found to be good
        check_ssl(ssl)
        if dns_cache_max_size < 1:
            raise ValueError("dns_cache_max_size must be 1 or more; see use_dns_cache")
        if ttl_dns_cache is not None and not ttl_dns_cache >= 0:
            raise ValueError("ttl_dns_cache must be 0 or more, or None")
        if happy_eyeballs_delay is not None and not happy_eyeballs_delay >= 0:
            raise ValueError("happy_eyeballs_delay must be 0 or more, or None")
        if local_addr is not None and not is_address(local_addr[0]):
            raise ValueError(f"local_addr: {local_addr[0]!r} is no address")
        if interleave is None:
            interleave = 0 if happy_eyeballs_delay is None else 1
        self._ssl = ssl
        self._family = socket.AddressFamily(family)
        self._use_dns_cache = use_dns_cache
        self._own_resolver: AbstractResolver | None = None
        if resolver is None:
            resolver = self._own_resolver = DefaultResolver()
        self._lookups = Lookups(
            resolver,
            DNSCache(ttl_dns_cache, dns_cache_max_size) if use_dns_cache else None,
            self._family,
        )
        self._policy = address_policy
        self._dialer = Dialer(
            lambda: self._runtime,
            self._lookups,
            local_addr=local_addr,
            happy_eyeballs_delay=happy_eyeballs_delay,
            first_count=interleave,
            socket_factory=socket_factory,
            address_policy=address_policy,
        )
        self._closed = False

    @property
    def family(self) -> socket.AddressFamily:
        """Kind of addresses that names are looked up for."""
        return self._family

    @property
    def use_dns_cache(self) -> bool:
        """Whether the addresses of names are kept."""
        return self._use_dns_cache

    def clear_dns_cache(self, host: str | None = None, port: int | None = None) -> None:
        """Forget the addresses of one host and port, or of all.

        Raises:
            ValueError: Only one of `host` and `port` is given.
        """
        if (host is None) != (port is None):
            raise ValueError("either both host and port or none of them are allowed")
        self._lookups.forget(host, port)

    def abort(self) -> None:
        """Close everything at once, without waiting for it.

        Raises:
            RuntimeError: The event loop is closed already.
        """
        self._lookups.abort()
        super().abort()

    async def _shut_down(self) -> None:
        await self._lookups.close()
        if self._own_resolver is not None:
            await self._own_resolver.close()

    async def _dial(
        self, key: ConnectionKey, connection: ClientHTTPConnection, traces: Traces | None
    ) -> None:
        setting = self._ssl if key.ssl is True else key.ssl
        fingerprint = setting if key.is_ssl and isinstance(setting, Fingerprint) else None
        with reported(key):
            if key.proxy is not None:
                await self._dial_through(key, connection, setting, fingerprint, traces)
                return
            await self._dialer.connect(
                connection,
                key.host,
                key.port,
                context=await load_context(setting) if key.is_ssl else None,
                server_hostname=tls_name(key.host, key.server_hostname) if key.is_ssl else None,
                traces=traces,
                fingerprint=fingerprint,
            )

    async def _dial_through(
        self,
        key: ConnectionKey,
        connection: ClientHTTPConnection,
        setting: TLSSetting,
        fingerprint: Fingerprint | None,
        traces: Traces | None,
    ) -> None:
        from ._tunnel import connect_through

        assert key.proxy is not None
        if self._policy is not None and is_address(key.host):
            # The proxy would connect to it, and nobody else looks at it.
            self._policy.check(ipaddress.ip_address(key.host), key.port)
        secure = key.is_ssl or key.proxy.url.scheme == "https"
        context = await load_context(setting) if secure else None
        await connect_through(self._dialer, connection, key, context, traces)
        if fingerprint is not None:
            try:
                fingerprint.check(connection.link)
            except ServerFingerprintMismatch:
                connection.link.abort()
                raise
