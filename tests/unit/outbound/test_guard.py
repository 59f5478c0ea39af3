import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.errors import EgressRefused, ValidationFailed
from workflow_scheduler.outbound.guard import EgressGuard

REFUSED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.255",
    "169.254.0.1", "169.254.169.254", "169.254.170.2", "168.63.129.16", "172.16.0.1", "172.31.255.255",
    "192.0.0.192", "192.0.2.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "100::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1", "::7f00:1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::1",
    "2001:0:a00:1::", "2001:0:808:808:0:0:80ff:fffe",
]  # fmt: skip
ALLOWED = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_public_is_refused(address):
    assert not EgressGuard().allows(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_public_addresses_are_allowed(address):
    assert EgressGuard().allows(address)


@pytest.mark.parametrize("text", ["", "localhost", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "1.2.3.4.5", "::g"])
def test_what_is_not_an_address_is_refused_as_an_address(text):
    assert not EgressGuard().allows(text)


def test_networks_and_single_addresses_can_be_allowed():
    guard = EgressGuard(["10.1.0.0/16", "192.168.1.7", "fd00::/8", " 172.16.0.1 "])
    assert guard.allows("10.1.2.3")
    assert guard.allows("192.168.1.7")
    assert guard.allows("fd12::1")
    assert guard.allows("172.16.0.1")
    assert guard.allows("::ffff:10.1.2.3")
    assert not guard.allows("10.2.0.1")
    assert not guard.allows("192.168.1.8")


@pytest.mark.parametrize("metadata", ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"])
def test_metadata_services_are_allowed_only_by_name_of_the_address(metadata):
    wide = EgressGuard(["0.0.0.0/0", "::/0"])
    assert wide.allows("10.0.0.1")
    assert not wide.allows(metadata)
    assert EgressGuard(["169.254.169.254", "fd00:ec2::254/128"]).allows(metadata)


def test_host_names_are_compared_without_case_and_final_dot():
    guard = EgressGuard(["Intranet.Example."])
    assert guard.allows_host("intranet.example")
    assert guard.allows_host("INTRANET.EXAMPLE.")
    assert not guard.allows_host("evil.intranet.example")
    assert not guard.allows_host("intranet.example.evil")


@pytest.mark.parametrize("entry", ["", "10.0.0.0/99", "http://x", "a b", "host:80"])
def test_entries_that_mean_nothing_are_refused(entry):
    with pytest.raises(ValidationFailed, match="not a network, an address or a host name"):
        EgressGuard([entry])


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "::1", "[fe80::1%25eth0]", "169.254.169.254"])
def test_literals_are_refused_before_anything_is_sent(host):
    with pytest.raises(EgressRefused, match="not allowed"):
        EgressGuard().check_host(host)


@pytest.mark.parametrize("host", ["example.com", "localhost", "8.8.8.8", "2130706433"])
def test_names_are_left_to_the_resolver(host):
    EgressGuard().check_host(host)


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_a_wrapped_address_is_judged_like_the_bare_one(address):
    guard = EgressGuard()
    bare = guard.allows(str(address))
    assert guard.allows(f"::ffff:{address}") is bare
    assert guard.allows(str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + int(address)))) is bare
