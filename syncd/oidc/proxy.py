"""Owns which requests to providers go through a proxy, and what is refused before one is asked.

A proxy looks names up by itself: what leads into a private network here is refused as ever, and a
name that nobody knows here is the proxy's to judge.
"""

from __future__ import annotations

import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes, urlsplit

from syncd.oidc.addresses import (
    LOOPBACK,
    NAME,
    addresses,
    in_turn,
    is_address,
    lookup,
    permitted,
    refused,
)
from syncd.oidc.failure import Cause, FetchFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from syncd.oidc.addresses import Found, Networks, Resolve, Target

# Of the time for all: networks whose only way out is a proxy often have name servers that are mute.
LOOK_UP_SHARE: Final = 0.2
# So long nobody asks again for a name about which they were mute: who asks leaves a thread behind.
MUTE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy for requests to providers, and which of them go without it."""

    scheme: str
    host: str
    port: int
    # The value of Proxy-Authorization.
    authorization: str | None = field(default=None, repr=False)
    # Hosts that are reached directly: names, and domains with a dot before them.
    names: frozenset[str] = frozenset()
    networks: Networks = ()
    # Whom to trust besides the system's authorities when the proxy itself speaks TLS.
    ca_pem: tuple[str, ...] = ()

    @classmethod
    def read(
        cls,
        url: str,
        *,
        names: Iterable[str] = (),
        networks: Networks = (),
        ca_pem: Iterable[str] = (),
    ) -> Proxy:
        """Return a proxy by its URL, with a user name and a password in it if it wants them.

        Raises:
            ValueError: It is no such URL; the message has nothing of it.

        """
        because = "must be http://HOST:PORT or https://HOST:PORT"
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError(because) from None
        named = is_address(host) or NAME.fullmatch(host)
        if not named or not port or parts.scheme not in {"http", "https"}:
            raise ValueError(because)
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(because)
        authorization = None
        if parts.username is not None:
            pair = b":".join(
                unquote_to_bytes(part) for part in (parts.username, parts.password or "")
            )
            authorization = f"Basic {b64encode(pair).decode()}"
        lowered = frozenset(each.lower() for each in names)
        return cls(parts.scheme, host, port, authorization, lowered, tuple(networks), tuple(ca_pem))

    def __str__(self) -> str:
        return host_and_port(self.host, self.port)

    def spares(self, host: str) -> bool:
        """Tell whether a host is reached directly, by its name alone."""
        host = host.lower()
        labels = host.split(".")
        above = (f".{'.'.join(labels[at:])}" for at in range(1, len(labels)))
        return host in LOOPBACK or host in self.names or any(each in self.names for each in above)


def way(
    place: Target,
    networks: Networks,
    proxy: Proxy | None,
    *,
    resolve: Resolve,
    seconds: float,
    mute: dict[str, float],
) -> tuple[Proxy | None, tuple[str, ...]]:
    """Return the proxy that leads to a URL and its addresses; without one, the URL's own.

    Args:
        place: Where to go.
        networks: Those where it may be beside the public one.
        proxy: The one that is configured.
        resolve: Asks for the addresses of a name.
        seconds: How long that may take.
        mute: Names about which it did not answer in time, and until when that counts.

    Raises:
        FetchFailed: The URL leads where it may not, or a name has no address.

    """
    if proxy is not None and not place.local and not proxy.spares(place.host):
        known = _known(place.host, resolve, seconds * LOOK_UP_SHARE, mute)
        # The proxy takes whichever it likes, so that each of them has to be permitted.
        if not all(permitted(each, networks) for each in known.values()):
            raise refused(place, known)
        near = (
            each.is_loopback or any(each in network for network in proxy.networks)
            for each in known.values()
        )
        if not known or not all(near):
            return proxy, _addresses_of(proxy, resolve, seconds * (1 - LOOK_UP_SHARE))
    return None, addresses(place, networks, resolve=resolve, seconds=seconds)


def _known(host: str, resolve: Resolve, seconds: float, mute: dict[str, float]) -> Found:
    if mute.get(host, 0.0) > time.monotonic():
        return {}
    found = lookup(host, resolve, seconds)
    if found is None:
        mute[host] = time.monotonic() + MUTE_SECONDS
    return found or {}


def _addresses_of(proxy: Proxy, resolve: Resolve, seconds: float) -> tuple[str, ...]:
    found = lookup(proxy.host, resolve, seconds)
    if not found:
        raise FetchFailed(
            Cause.PROXY,
            f"the proxy {proxy}: the name has no address; check outbound.proxy and this machine's "
            "name servers.",
        )
    return in_turn(found)


def host_and_port(host: str, port: int) -> str:
    """Return what a proxy is asked for (RFC 9110, 7.2), and what it is called in messages."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
