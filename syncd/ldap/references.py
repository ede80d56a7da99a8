"""Which continuation references of a search (RFC 4511 section 4.5.3) may be left alone.

A reference says that more entries are on another server, so whoever does not follow it cannot tell
who is gone. A search at the root of an Active Directory domain always brings references to
partitions that hold no people: the configuration and the zones of DNS.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

from syncd.ldap import dn

HARMLESS: Final = frozenset(
    {("cn", "configuration"), ("dc", "domaindnszones"), ("dc", "forestdnszones")}
)


def is_harmless(uri: str) -> bool:
    """Return whether it leads to a partition that never holds people."""
    try:
        first, *rest = dn.parse(unquote(urlsplit(uri).path.removeprefix("/")))
    except ValueError:
        return False
    # Right below a domain's root, which is named by its domain components alone.
    domain = bool(rest) and all(_named(rdn)[0] == "dc" for rdn in rest)
    return domain and _named(first) in HARMLESS


def _named(rdn: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    if len(rdn) != 1:
        return "", ""
    return rdn[0][0].lower(), rdn[0][1].lower()
