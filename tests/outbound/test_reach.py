"""Which addresses may be dialled."""

from __future__ import annotations

import msgspec
import pytest

from antiphon.outbound import Config
from antiphon.outbound.reach import Reach

PUBLIC = ["1.1.1.1", "93.184.215.14", "100.63.255.255", "172.32.0.1", "192.0.1.1", "223.255.255.255", "2606:4700::1111"]
PRIVATE = [
    "0.0.0.0",  # noqa: S104 - an address to be refused
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.19.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:1.1.1.1",
    "64:ff9b::1.1.1.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2130706433",
    "0x7f.1",
    "127.1",
    "0177.0.0.1",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_dialled(address: str) -> None:
    """The web's ports and unprivileged ones are open; others carry no web."""
    reach = Reach([])
    permitted = [port for port in (0, 22, 25, 80, 443, 1023, 1024, 8443, 65535, 65536) if permits(reach, address, port)]
    assert permitted == [80, 443, 1024, 8443, 65535]


@pytest.mark.parametrize("address", PRIVATE)
def test_any_other_address_is_refused(address: str) -> None:
    """Private, local, reserved and disguised addresses are refused, and so is what is no address."""
    assert not permits(Reach([]), address, 80)


@pytest.mark.parametrize(
    ("entry", "address", "host", "port"),
    [
        ("10.0.0.0/8", "10.1.2.3", "x", 5432),
        ("10.0.0.1/8", "10.1.2.3", "x", 80),
        ("10.0.0.0/8:5432", "10.1.2.3", "x", 5432),
        ("10.1.2.3", "10.1.2.3", "x", 80),
        ("127.0.0.1:9000", "127.0.0.1", "localhost", 9000),
        ("::1", "::1", "x", 80),
        ("[::1]", "::1", "x", 80),
        ("[::1]:9000", "::1", "x", 9000),
        ("fd00::/8", "fd12::1", "x", 80),
        ("files.corp", "10.1.2.3", "files.corp", 80),
        ("files.corp", "10.1.2.3", "FILES.corp.", 22),
        ("Files.Corp.", "fd12::1", "files.corp", 80),
        ("files.corp:8080", "10.1.2.3", "files.corp", 8080),
        ("bücher.corp", "10.1.2.3", "xn--bcher-kva.corp", 80),
        ("localhost:25", "127.0.0.1", "localhost", 25),
    ],
)
def test_an_entry_permits_what_it_names(entry: str, address: str, host: str, port: int) -> None:
    """A network or an address counts for whatever led to it; a name counts for that name alone; a port narrows both."""
    assert Reach(["192.168.0.0/16", entry]).permits(address, host=host, port=port)


@pytest.mark.parametrize(
    ("entry", "address", "host", "port"),
    [
        ("10.0.0.0/8", "11.0.0.1", "x", 22),
        ("10.0.0.0/8:5432", "10.1.2.3", "x", 80),
        ("10.0.0.0/8", "172.16.0.1", "x", 80),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "x", 80),
        ("127.0.0.1:9000", "127.0.0.1", "127.0.0.1", 9001),
        ("127.0.0.1:9000", "127.0.0.2", "127.0.0.1", 9000),
        ("[::1]:9000", "::1", "::1", 80),
        ("files.corp", "10.1.2.3", "files.corp.evil.example", 80),
        ("files.corp", "10.1.2.3", "evil-files.corp", 80),
        ("files.corp:8080", "10.1.2.3", "files.corp", 80),
        ("127.0.0.1", "::1", "127.0.0.1", 80),
    ],
)
def test_an_entry_permits_nothing_else(entry: str, address: str, host: str, port: int) -> None:
    """Neighbours of what an entry names stay refused."""
    assert not Reach([entry]).permits(address, host=host, port=port)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "10.0.0.0/33",
        "10.0.0.0/8:0",
        "http://files.corp",
        "files.corp/x",
        "a b",
        "h:0",
        "h:65536",
        "h:",
        "[::1",
        "*",
    ],
)
def test_an_entry_that_is_none_is_a_mistake_in_the_configuration(entry: str) -> None:
    """A line that could permit nothing is told at the start, with its text."""
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert({"allow_private": [entry]}, Config)
    assert repr(entry) in str(refused.value)


def permits(reach: Reach, address: str, port: int) -> bool:
    """Whether an address may be dialled that a public name led to."""
    return reach.permits(address, host="www.example.com", port=port)
