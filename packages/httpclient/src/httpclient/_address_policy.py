"""Which addresses may be connected to: a guard for URLs that strangers supply.

It looks at the very address that is connected to, after the name was looked up and before
each connection is made. So it holds after redirects, for names that change their address
(DNS rebinding), and for forms of addresses that no check of URLs would know.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Collection, Iterable, Iterator
from typing import Final, TypeAlias

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
#: A network, or its text such as "10.0.0.0/8"; a mere address is a network of one.
NetworkLike: TypeAlias = IPNetwork | str


def _networks(texts: Iterable[NetworkLike]) -> tuple[IPNetwork, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# The special-purpose registries of IANA. Ours, since that of `ipaddress` changed from one
# patch release to the next. The few blocks that they call globally reachable inside of
# 192.0.0.0/24 and 2001::/23 are no places for web servers.
_NOT_PUBLIC: Final = _networks(
    (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",  # private use, RFC 1918
        "100.64.0.0/10",  # shared by carriers, RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "169.254.0.0/16",  # link-local, RFC 3927; where clouds tell secrets
        "172.16.0.0/12",  # private use, RFC 1918
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private use, RFC 1918
        "198.18.0.0/15",  # benchmarking, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved, and broadcast, RFC 1112
        "2001::/23",  # protocol assignments, RFC 2928
        "2001:db8::/32",  # documentation, RFC 3849
        "3fff::/20",  # documentation, RFC 9637
    )
)
# RFC 4291 section 2.4: everything else is for one link, one site, or nobody yet.
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
# How far these lead depends on the IPv4 address in them: RFC 6052 section 2.1, RFC 4380.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")
# RFC 8215; for networks of one's own, with the IPv4 address mostly at the end.
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
# RFC 4291 section 2.5.5.1
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
# RFC 5214 section 6.1: interface identifiers with an IPv4 address in them.
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
_IPV4_MASK: Final = 2**32 - 1


class AddressPolicy:
    """Rules about addresses and ports, for a `TCPConnector`.

    The first of these that applies decides: a network of `deny_networks` is refused; one
    of `allow_networks` is allowed; with `public` an address that is public is allowed, and
    any other refused; else it is allowed if `allow_networks` is None. Ports are a matter
    of their own.

    An IPv6 address that stands for an IPv4 address, or has one in it, must be allowed in
    both forms: IPv4-compatible, 6to4, Teredo, NAT64 and ISATAP. An IPv4-mapped one is an
    IPv4 address, and nothing else.

    Proxies are hosts like others: their addresses are looked at. What a proxy connects to
    is up to the proxy, save that a URL with an address in place of a name is refused here.

    Args:
        public: Allow addresses that everybody can reach, by the registries of IANA for
            special purposes, and no other.
        allow_networks: Networks to allow. Without `public`, what is in none of them is
            refused.
        deny_networks: Networks to refuse.
        allow_ports: Ports to allow, and no other; None for all.
        deny_ports: Ports to refuse.

    Raises:
        ValueError: A network is malformed, or has bits set behind its prefix.
    """

    def __init__(
        self,
        *,
        public: bool = False,
        allow_networks: Iterable[NetworkLike] | None = None,
        deny_networks: Iterable[NetworkLike] = (),
        allow_ports: Collection[int] | None = None,
        deny_ports: Collection[int] = (),
    ) -> None:
        self._public = public
        self._allow_networks = None if allow_networks is None else _networks(allow_networks)
        self._deny_networks = _networks(deny_networks)
        self._allow_ports = None if allow_ports is None else frozenset(allow_ports)
        self._deny_ports = frozenset(deny_ports)

    @classmethod
    def public_only(
        cls,
        *,
        allow_networks: Iterable[NetworkLike] = (),
        deny_networks: Iterable[NetworkLike] = (),
        allow_ports: Collection[int] | None = None,
        deny_ports: Collection[int] = (),
    ) -> AddressPolicy:
        """Return a policy for URLs that strangers supply: public addresses only.

        Args:
            allow_networks: Networks to allow although they are not public, such as that of
                a proxy of one's own.
            deny_networks: As for the class, like all that follow.
            allow_ports: Ports to allow, and no other.
            deny_ports: Ports to refuse.

        Raises:
            ValueError: As for the class.
        """
        return cls(
            public=True,
            allow_networks=allow_networks,
            deny_networks=deny_networks,
            allow_ports=allow_ports,
            deny_ports=deny_ports,
        )

    def check(self, address: IPAddress, port: int) -> None:
        """Look at an address that is going to be connected to.

        Raises:
            RefusedAddressError: It is refused.
        """
        rule = self._port_refusal(port)
        if rule is not None:
            raise RefusedAddressError(errno.EACCES, f"{address} refused: {rule}")
        for form in _forms(address):
            rule = self._refusal(form)
            if rule is not None:
                which = "" if form == address else f"{form} in it "
                raise RefusedAddressError(errno.EACCES, f"{address} refused: {which}{rule}")

    def _port_refusal(self, port: int) -> str | None:
        if port in self._deny_ports:
            return f"port {port} is in deny_ports"
        if self._allow_ports is not None and port not in self._allow_ports:
            return f"port {port} is not in allow_ports"
        return None

    def _refusal(self, address: IPAddress) -> str | None:
        for network in self._deny_networks:
            if address in network:
                return f"is in {network} of deny_networks"
        if any(address in network for network in self._allow_networks or ()):
            return None
        if self._public:
            return None if _is_public(address) else "is not public (public)"
        return None if self._allow_networks is None else "is not in allow_networks"


class RefusedAddressError(PermissionError):
    """A policy refuses an address. The client tells it as `AddressNotAllowedError`."""


def _is_public(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64 or address in _TEREDO:
            return True  # depends on what is in it, which is looked at as well
        if address not in _GLOBAL_UNICAST:
            return False
    return not any(address in network for network in _NOT_PUBLIC)


def _forms(address: IPAddress) -> Iterator[IPAddress]:
    """Yield what an address stands for: itself, and the IPv4 addresses in it."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    low = ipaddress.IPv4Address(int(address) & _IPV4_MASK)
    if (
        address in _NAT64
        or address in _LOCAL_NAT64
        or (address in _COMPATIBLE and int(address) > 1)  # not "::" and "::1"
        or int(address) >> 32 & _IPV4_MASK in _ISATAP
    ):
        yield low
