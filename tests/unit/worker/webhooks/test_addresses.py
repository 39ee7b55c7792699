"""Which addresses a call may go to."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.webhooks.addresses import is_public, may_be_called

PUBLIC = ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
NOT_PUBLIC = [
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.9", "192.0.2.1"),
    *("192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250"),
    *("240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::10.0.0.1", "::8.8.8.8", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::808:808", "100::1", "2001::1", "2001:0:808:808::1"),
    *("2001:20::1", "2001:db8::1", "2002:a00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00::1"),
    *("fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
]


@pytest.mark.parametrize("text", PUBLIC)
def test_the_open_internet_may_be_called(text: str) -> None:
    assert is_public(ip_address(text))
    assert may_be_called(text, [])


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_everything_else_may_not(text: str) -> None:
    assert not is_public(ip_address(text))
    assert not may_be_called(text, [])


@given(st.ip_addresses(v=4))
def test_no_other_way_to_write_an_address_makes_it_public(plain: IPv4Address) -> None:
    number = int(plain)
    forms = [(0xFFFF << 32) | number, (0x64FF9B << 96) | number, number]
    forms += [(0x2002 << 112) | (number << 80) | 1, (0x20010000 << 96) | (number << 64) | (number ^ 0xFFFFFFFF)]

    assert all(is_public(plain) for form in forms if is_public(IPv6Address(form)))


def test_what_the_operator_allows_may_be_called_and_nothing_beside_it() -> None:
    allowed = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]

    assert may_be_called("10.1.2.3", allowed)
    assert may_be_called("fd12::1", allowed)
    assert not may_be_called("10.2.0.1", allowed)
    assert not may_be_called("::ffff:10.1.2.3", allowed)
    assert not may_be_called("localhost", allowed)
