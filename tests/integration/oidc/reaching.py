"""A way out that finds the provider's name on loopback, and how its fetches fail."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

from syncd.oidc.failure import FetchFailed
from syncd.oidc.fetch import Fetcher
from tests.servers.answering import answer

if TYPE_CHECKING:
    from tests.servers.authority import Authority

NAME = "login.provider.test"
BODY = b'{"keys":[]}'
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def fetcher(authority: Authority, **changes: Any) -> Fetcher:
    """Return a way out that finds the provider's name on loopback."""
    options: dict[str, Any] = {
        "allowed_networks": LOOPBACK,
        "ca_pem": [authority.pem],
        "resolve": lambda _: ["127.0.0.1"],
        # A busy machine is not what these tests are about; those that are say so.
        "seconds": 30.0,
    }
    return Fetcher(**(options | changes))


def failure(fetch: Fetcher, url: str) -> FetchFailed:
    """Return how a fetch fails."""
    with pytest.raises(FetchFailed) as caught:
        fetch.get(url)
    return caught.value


def chunked(*chunks: bytes) -> bytes:
    """Return an answer in chunks."""
    head = answer(b"", Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
