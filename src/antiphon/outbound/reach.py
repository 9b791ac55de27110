"""Which addresses may be dialled for a caller's URL: public ones, and those that the operator names."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

Reason = Literal[
    "bad_url",
    "refused_address",
    "unreachable",
    "timeout",
    "bad_status",
    "bad_redirect",
    "too_many_redirects",
    "bad_encoding",
    "too_large",
]

# Not for the public: the special-purpose registries of the IANA (RFC 6890), multicast, and one address beyond them.
_SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # the platform of Azure's virtual machines answers here
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# All public IPv6 is in here, so IPv4-mapped, NAT64, unique local, link-local and multicast addresses are not.
_UNICAST_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries any IPv4 address
        "3fff::/20",
    )
)
_WEB_PORTS = frozenset({80, 443})
_LOWEST_FREE_PORT = 1024
_HIGHEST_PORT = 65535
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_WITH_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(:(?P<port>\d{1,5}))?")
_Network = IPv4Network | IPv6Network


class OutboundError(Exception):
    """A URL was not fetched. ``reason`` says why; the message is for the caller and names no address."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


class _Entry(Struct, frozen=True):
    """What one line of ``allow_private`` permits: a host by its name or addresses by network, at one port or at any."""

    name: str | None
    network: _Network | None
    port: int | None

    def permits(self, address: IPv4Address | IPv6Address, *, host: str, port: int) -> bool:
        if self.port not in {None, port}:
            return False
        return host == self.name if self.network is None else address in self.network


class Reach:
    """The addresses that may be dialled."""

    def __init__(self, allow_private: Iterable[str]) -> None:
        """Raises `ValueError` for an entry that is neither a host, host:port, an address nor a network."""
        self._entries = [_entry(text) for text in allow_private]

    def permits(self, address: str, *, host: str, port: int) -> bool:
        """Whether ``address``, to which the URL's ``host`` has led, may be dialled at ``port``.

        A public address may be at 80, 443 and the unprivileged ports. What an entry permits may be at any port.
        """
        try:
            dialled = ip_address(address)
        except ValueError:
            return False
        host = canonical(host)
        if any(entry.permits(dialled, host=host, port=port) for entry in self._entries):
            return True
        return is_public(dialled) and (port in _WEB_PORTS or _LOWEST_FREE_PORT <= port <= _HIGHEST_PORT)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address belongs to the open Internet. IPv6 that carries an IPv4 address never counts as public."""
    match address:
        case IPv4Address():
            return not any(address in network for network in _SPECIAL_V4)
        case IPv6Address():
            return address in _UNICAST_V6 and not any(address in network for network in _SPECIAL_V6)


def canonical(host: str) -> str:
    """A host as it is compared: lower case, ASCII, without the dot or the brackets around it."""
    host = host.lower().strip("[]").removesuffix(".")
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _entry(text: str) -> _Entry:
    network = _network(text)
    if network is not None:
        return _Entry(name=None, network=network, port=None)
    split = _WITH_PORT.fullmatch(text.strip())
    if split is None:
        raise ValueError(f"{text!r} is no host, host:port, address or network")
    host, port = canonical(split["host"]), None if split["port"] is None else int(split["port"])
    network = _network(host)
    if network is None and not _NAME.fullmatch(host):
        raise ValueError(f"{text!r} is no host, host:port, address or network")
    if port is not None and not 0 < port <= _HIGHEST_PORT:
        raise ValueError(f"{text!r} names no port")
    return _Entry(name=host if network is None else None, network=network, port=port)


def _network(text: str) -> _Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
