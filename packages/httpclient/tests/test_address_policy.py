"""Which addresses a policy lets through: pure rules, no sockets."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpclient import AddressPolicy
from httpclient._address_policy import RefusedAddressError

NAT64 = "64:ff9b::"


def refusal(policy: AddressPolicy, address: str, port: int = 443) -> str:
    """Return why an address is refused; empty if it is not."""
    try:
        policy.check(ipaddress.ip_address(address), port)
    except RefusedAddressError as exc:
        return str(exc)
    return ""


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "172.15.255.255",
        "172.32.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "2001:200::1",
        "::ffff:8.8.8.8",
        f"{NAT64}8.8.8.8",
        "2002:808:808::1",  # 6to4 of 8.8.8.8
        "2001:0:808:808:0:ffff:f7f7:f7f7",  # Teredo: server and client 8.8.8.8
    ],
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert refusal(AddressPolicy.public_only(), address) == ""


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%lo",
        "fec0::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "100::1",
        "2001:1::1",
        "2001:2::1",
        "2001:10::1",
        "2001:1ff::1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "64:ff9b:1::8.8.8.8",
        # An address in an address.
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "::8.8.8.8",
        f"{NAT64}127.0.0.1",
        f"{NAT64}169.254.169.254",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "2001:0:7f00:1:0:ffff:f7f7:f7f7",  # Teredo, by way of a server at 127.0.0.1
        "2001:0:808:808:0:ffff:80ff:fffe",  # Teredo, to a client at 127.0.0.1
        "2606:4700::5efe:127.0.0.1",  # ISATAP
        "2606:4700::200:5efe:10.0.0.1",
    ],
)
def test_other_addresses_are_refused(address: str) -> None:
    assert refusal(AddressPolicy.public_only(), address).startswith(
        f"[Errno 13] {ipaddress.ip_address(address)} refused: "
    )


@pytest.mark.parametrize(
    ("options", "address", "port", "rule"),
    [
        ({}, "127.0.0.1", 22, ""),
        ({"deny_networks": ["10.0.0.0/8"]}, "10.1.2.3", 80, "in 10.0.0.0/8 of deny_networks"),
        ({"deny_networks": ["10.0.0.0/8"]}, "11.1.2.3", 80, ""),
        ({"deny_networks": ["10.0.0.0/8"]}, "::ffff:10.1.2.3", 80, "10.1.2.3 in it is in 10"),
        ({"deny_networks": ["10.0.0.0/8"]}, "::10.1.2.3", 80, "10.1.2.3 in it is in 10"),
        ({"deny_networks": ["10.0.0.0/8"]}, f"{NAT64}10.1.2.3", 80, "10.1.2.3 in it is in 10"),
        ({"deny_networks": ["10.0.0.0/8"]}, "64:ff9b:1::10.1.2.3", 80, "10.1.2.3 in it"),
        ({"allow_networks": ["10.0.0.0/8"]}, "10.1.2.3", 80, ""),
        ({"allow_networks": ["10.0.0.0/8"]}, "8.8.8.8", 80, "not in allow_networks"),
        ({"allow_networks": []}, "8.8.8.8", 80, "not in allow_networks"),
        ({"allow_networks": ["::1"]}, "::1", 80, ""),
        (
            {"allow_networks": ["10.0.0.0/8"], "deny_networks": ["10.1.0.0/16"]},
            "10.1.2.3",
            80,
            "of deny_networks",
        ),
        ({"public": True, "allow_networks": ["10.0.0.0/8"]}, "10.1.2.3", 80, ""),
        ({"public": True, "allow_networks": ["10.0.0.0/8"]}, "8.8.8.8", 80, ""),
        ({"public": True, "allow_networks": ["10.0.0.0/8"]}, "192.168.0.1", 80, "is not public"),
        ({"public": True, "deny_networks": ["8.8.8.0/24"]}, "8.8.8.8", 80, "of deny_networks"),
        ({"allow_ports": {443}}, "8.8.8.8", 443, ""),
        ({"allow_ports": {443}}, "8.8.8.8", 80, "port 80 is not in allow_ports"),
        ({"deny_ports": {22, 25}}, "8.8.8.8", 25, "port 25 is in deny_ports"),
        ({"deny_ports": {22, 25}}, "8.8.8.8", 80, ""),
    ],
)
def test_rules(options: dict[str, Any], address: str, port: int, rule: str) -> None:
    seen = refusal(AddressPolicy(**options), address, port)
    assert rule in seen
    assert bool(rule) == bool(seen)


def test_public_only_takes_all_rules() -> None:
    policy = AddressPolicy.public_only(
        allow_networks=["10.0.0.0/8"],
        deny_networks=["8.8.0.0/16"],
        allow_ports={80, 443},
        deny_ports={80},
    )
    assert refusal(policy, "10.0.0.1") == ""
    assert "deny_networks" in refusal(policy, "8.8.8.8")
    assert "allow_ports" in refusal(policy, "1.1.1.1", 22)
    assert "deny_ports" in refusal(policy, "1.1.1.1", 80)
    assert "not public" in refusal(policy, "127.0.0.1")


def test_malformed_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="host bits"):
        AddressPolicy(allow_networks=["10.0.0.1/8"])
    with pytest.raises(ValueError, match="ten"):
        AddressPolicy(deny_networks=["ten"])


@given(st.integers(0, 2**32 - 1))
def test_no_form_of_an_address_gets_past_its_refusal(number: int) -> None:
    policy = AddressPolicy.public_only()
    plain = ipaddress.IPv4Address(number)
    if refusal(policy, str(plain)):
        for prefix in ("::ffff:", "::", NAT64, "2606:4700::5efe:"):
            assert refusal(policy, f"{prefix}{plain}")
        assert refusal(policy, str(ipaddress.IPv6Address(0x2002 << 112 | number << 80)))
    else:
        assert plain.is_global
