"""Who really asks, and by which name: proxies are believed only as far as they are trusted."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Address, IPv4Network, IPv6Network

    from starlette.types import ASGIApp, Receive, Scope, Send

    from syncd.web.serving import Serving

# What watches the process reaches it by its address.
PROBES: Final = frozenset({"/healthz", "/readyz"})
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{0,5})?", re.IGNORECASE)
# Hops that anybody could make up; nobody has so many proxies.
MOST_HOPS: Final = 20
_ELSEWHERE: Final = (
    "Nothing is served under this name. Ask for http.base_url; a proxy in front has to pass the "
    "Host header on as it is.\n"
)


class Proxies:
    """Puts the client's address and scheme in the place of a trusted proxy's.

    X-Forwarded-Host is never read: what syncd makes addresses of is its base URL.
    """

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        self._app, self._serving = app, serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as if the client had come directly."""
        if scope["type"] == "http" and scope.get("client"):
            trusted = _networks(self._serving.app.settings.daemon.http.trusted_proxies)
            peer, port = scope["client"]
            if trusted and _within(peer, trusted):
                names = _values(scope, b"x-forwarded-for")
                scheme = "".join(_values(scope, b"x-forwarded-proto")[-1:]).lower()
                scope = {**scope, "client": (_client(peer, names, trusted), port)}
                if scheme in {"http", "https"}:
                    scope["scheme"] = scheme
        await self._app(scope, receive, send)


class OwnName:
    """Answers nobody who asks for a page of another host than the base URL's (any port).

    So a name that was bound to this address by somebody else shows no page in anybody's browser.
    What is below ``besides`` needs a bearer token, which no browser sends by itself; programs ask
    for it by internal names.
    """

    def __init__(self, app: ASGIApp, serving: Serving, besides: str) -> None:
        self._app, self._serving, self._besides = app, serving, f"{besides}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is meant for this host."""
        path = scope.get("path", "")
        free = path in PROBES or path.startswith(self._besides)
        if scope["type"] == "http" and not free:
            base_url = self._serving.app.settings.daemon.http.base_url
            asked = [value for name, value in scope["headers"] if name == b"host"]
            if len(asked) != 1 or not _names(asked[0], base_url):
                await PlainTextResponse(_ELSEWHERE, 421)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _names(host: bytes, base_url: str) -> bool:
    found = _HOST.fullmatch(host.decode("latin-1"))
    wanted = urlsplit(base_url).hostname or ""
    return found is not None and found["name"].lower().strip("[]") == wanted


def _client(peer: str, names: list[str], trusted: tuple[IPv4Network | IPv6Network, ...]) -> str:
    """Return the nearest address that is no trusted proxy; the last known one if it is unreadable.

    Read from the right, because a client can write whatever it likes to the left.
    """
    client = peer
    for name in reversed(names[-MOST_HOPS:]):
        address = _address(name)
        if address is None:
            return client
        client = str(address)
        if not _within(client, trusted):
            return client
    return client


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address as proxies write it: bare, with a port, or in brackets."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # IPv4 by an IPv6 socket is the same client.
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _within(text: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in networks)


def _values(scope: Scope, wanted: bytes) -> list[str]:
    """Return the members of a list header, as if its lines were one."""
    text = b",".join(value for name, value in scope["headers"] if name == wanted)
    return [each.strip() for each in text.decode("latin-1").split(",") if each.strip()]


@lru_cache(maxsize=4)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)
