"""NO_PROXY: the hosts that are asked directly although a proxy is set.

The variable has no standard. This reads what urllib, curl and Go agree on: a list of
names, addresses and networks, each with an optional port.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Final, TypeAlias

from yarl import URL

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_SEPARATOR: Final = re.compile(r"[,\s]+")
# A name or IPv4 address, or an IPv6 address in brackets, with a port perhaps.
_ENTRY: Final = re.compile(r"(?:\[([^\[\]]*+)\]|([^:\[\]]*+))(?::([0-9]{1,5}))?")


class NoProxy:
    """The rules of one value of NO_PROXY.

    Elements are separated by commas, or blanks:

    * `*`: every host;
    * `example.org`, `.example.org` and `*.example.org`, which mean the same: this name
      and all below it;
    * `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`: an address, in whatever spelling;
    * `10.0.0.0/8`, `fc00::/7`: all addresses of a network, if the URL has one (names
      are not looked up);
    * any of the names and addresses with `:port`: on that port only.

    What is none of these matches nothing.

    Args:
        text: The value.
    """

    __slots__ = ("_all", "_hosts", "_networks")

    def __init__(self, text: str) -> None:
        self._all = False
        self._hosts: set[tuple[str | _Address, int | None]] = set()
        self._networks: list[_Network] = []
        for element in _SEPARATOR.split(text):
            self._add(element)

    def _add(self, element: str) -> None:
        if element == "*":
            self._all = True
            return
        if "/" in element:
            try:
                self._networks.append(ipaddress.ip_network(element, strict=False))
            except ValueError:
                pass
            return
        # The only thing with more than one colon outside of brackets.
        if (address := _parse_address(element)) is not None:
            self._hosts.add((address, None))
            return
        match = _ENTRY.fullmatch(element)
        if match is None:
            return
        bracketed, plain, digits = match.groups()
        port = int(digits) if digits else None
        host = _parse_address(plain if bracketed is None else bracketed) or _fold(plain or "")
        if host:
            self._hosts.add((host, port))

    def matches(self, host: str, port: int | None) -> bool:
        """Tell whether a host is to be asked directly.

        Args:
            host: Name or address as in `URL.raw_host`, IPv6 without brackets.
            port: The port, the default one of the scheme included.
        """
        if self._all:
            return True
        address = _parse_address(host)
        if address is not None:
            return (
                (address, None) in self._hosts
                or (address, port) in self._hosts
                or any(address in network for network in self._networks)
            )
        name = _fold(host)
        while name:
            if (name, None) in self._hosts or (name, port) in self._hosts:
                return True
            name = name.partition(".")[2]
        return False


@functools.lru_cache(maxsize=8)  # a program has one, and changes it rarely
def parse_no_proxy(text: str) -> NoProxy:
    """Return the rules of a value of NO_PROXY."""
    return NoProxy(text)


def _parse_address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # The same host, as far as anybody is concerned who writes down networks.
        return address.ipv4_mapped or address
    return address


def _fold(name: str) -> str:
    """Return a name in the form in which a URL has it, without dots around it."""
    name = name.removeprefix("*").strip(".")
    if name.isascii():
        return name.lower()
    try:
        return URL.build(scheme="http", host=name).raw_host or ""
    except ValueError:
        return ""
