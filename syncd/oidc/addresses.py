"""Owns where a provider's URLs may lead: their form, their names, and the networks behind them.

A URL in the configuration must not become a way into the networks around syncd. So a name is
resolved once for each fetch, every address is judged, and the connection is made to one that was
judged; a name that leads elsewhere a moment later changes nothing.
"""

from __future__ import annotations

import ipaddress
import itertools
import queue
import re
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from syncd.errors import cut
from syncd.oidc.failure import Cause, FetchFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    # Names to addresses as text; OSError when there is none.
    Resolve = Callable[[str], Iterable[str]]
    Networks = Sequence[IPv4Network | IPv6Network]
    # Addresses by the text that they were given as.
    Found = Mapping[str, IPv4Address | IPv6Address]

# The names for which http will do.
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
PORTS: Final = {"https": 443, "http": 80}
MOST_ADDRESSES: Final = 4
_LABEL: Final = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_PRINTABLE: Final = re.compile(r"[!-~]+")

# Global unicast; whatever else IPv6 has is for other things.
_PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")
# Addresses of IPv4 in the well-known prefix of RFC 6052, which networks without IPv4 use.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# Not public to every Python: protocols' own addresses, of which some clouds use one for metadata.
# Public by their number alone: Azure's host service, and the relays of 6to4 with what is behind.
_NOT_PUBLIC: Final = (
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("168.63.129.16/32"),
    ipaddress.ip_network("192.88.99.0/24"),
    ipaddress.ip_network("2002::/16"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that syncd may go to, in its parts."""

    url: str
    scheme: str
    host: str
    port: int
    # With the query.
    path: str

    @property
    def local(self) -> bool:
        """Whether it goes in the clear, which nothing but loopback may."""
        return self.scheme == "http"

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        path = self.path.partition("?")[0]
        return cut(f"{self.scheme}://{self.authority}{path}")


def target(url: str) -> Target:
    """Return a URL's parts.

    Raises:
        FetchFailed: It is not https (or http to loopback), or has parts that nobody needs.

    """
    # urlsplit quietly drops line ends and tabs, so the text is looked at first.
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise _bad_url(
            url, "has characters that a URL cannot have; write them with % (a host's as xn--…)"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _bad_url(url, "cannot be read; write it as https://host/path") from None
    if parts.username is not None or parts.password is not None:
        raise _bad_url(url, "has a user name in it; leave it out")
    if "#" in url:
        raise _bad_url(url, "has a # in it; leave out what begins there")
    named = is_address(host) if "[" in parts.netloc else NAME.fullmatch(host)
    if not named or port == 0:
        raise _bad_url(url, "names no host; write it as https://host/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise _bad_url(url, "does not start with https://; nothing else is protected on its way")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(url, parts.scheme, host, port or PORTS[parts.scheme], path)


def permitted(
    address: IPv4Address | IPv6Address, networks: Networks, *, local: bool = False
) -> bool:
    """Return whether a provider may be at an address.

    Args:
        address: As the name led to it; one that has an IPv4 address in it is judged by both.
        networks: Where it may be beside the public network.
        local: It goes in the clear, so that only loopback will do.

    """
    if local:
        return address in _LOOPBACK_NETWORKS[address.version]
    if any(address in network for network in networks):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
            return permitted(inner, networks)
        if address not in _PUBLIC_V6:
            return False
    elif address.is_multicast or address.is_reserved:
        return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)


_LOOPBACK_NETWORKS: Final = {
    4: ipaddress.ip_network("127.0.0.0/8"),
    6: ipaddress.ip_network("::1/128"),
}


def addresses(
    place: Target, networks: Networks, *, resolve: Resolve, seconds: float
) -> tuple[str, ...]:
    """Return the permitted addresses of a URL's host in the order to try them; never none.

    Args:
        place: Where to go.
        networks: Those that are allowed beside the public one.
        resolve: Asks for the addresses of a name, in a thread of its own.
        seconds: How long that may take.

    Raises:
        FetchFailed: The name has no address, or none that is permitted.

    """
    found = lookup(place.host, resolve, seconds)
    if found is None:
        raise FetchFailed(
            Cause.TIMEOUT,
            f"{place}: the name was not resolved in time; check the name servers of this machine.",
        )
    if not found:
        raise FetchFailed(
            Cause.UNRESOLVED,
            f"{place}: the name has no address; check the URL and this machine's name servers.",
        )
    good = {
        text: address
        for text, address in found.items()
        if permitted(address, networks, local=place.local)
    }
    if not good:
        raise refused(place, found)
    return in_turn(good)


def in_turn(found: Found) -> tuple[str, ...]:
    """Return addresses in the order to try them: both families early, as one may lead nowhere."""
    families = [
        [text for text, address in found.items() if address.version == family] for family in (6, 4)
    ]
    if next(iter(found.values())).version == 4:
        families.reverse()
    mixed = itertools.chain.from_iterable(itertools.zip_longest(*families))
    return tuple(text for text in mixed if text is not None)[:MOST_ADDRESSES]


def system_addresses(name: str) -> list[str]:
    """Ask the system for the addresses of a name."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def lookup(host: str, resolve: Resolve, seconds: float) -> Found | None:
    """Return the addresses of a name as they were given; an address is its own. None: too late."""
    if is_address(host):
        return {host: ipaddress.ip_address(host)}
    answers: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(resolve(host)))
        except (OSError, UnicodeError):
            answers.put([])

    # The system's resolver takes no time limit; it is left behind when it needs too long.
    threading.Thread(target=ask, name="syncd-resolve", daemon=True).start()
    try:
        found = answers.get(timeout=max(seconds, 0.0))
    except queue.Empty:
        return None
    return {text: ipaddress.ip_address(text) for text in found}


def refused(place: Target, found: Iterable[str]) -> FetchFailed:
    """Return that a URL leads where nobody goes."""
    named = cut(", ".join(itertools.islice(found, MOST_ADDRESSES)))
    if place.local:
        said = f"{place} leads to {named}, which is not loopback; write the URL with https://."
    else:
        said = (
            f"{place} leads to {named}, which is no public address; if the provider is meant to "
            "be there, name its network in allowed_networks."
        )
    return FetchFailed(Cause.REFUSED_ADDRESS, said)


def is_address(host: str) -> bool:
    """Tell whether a host is written as its address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    # A zone ("%eth0") is nothing that a URL of the configuration needs.
    return "%" not in host


def _bad_url(url: str, because: str) -> FetchFailed:
    # What stands before an @ is often a password.
    named = "a URL of the identity provider" if "@" in url else cut(url)
    return FetchFailed(Cause.BAD_URL, f"{named} {because}.")
