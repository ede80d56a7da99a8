"""Which references of a search may be left alone."""

from __future__ import annotations

import pytest

from syncd.ldap.references import is_harmless


@pytest.mark.rule("2.11.2", server="pure")
@pytest.mark.parametrize(
    ("uri", "harmless"),
    [
        ("ldap://example.test/CN=Configuration,DC=example,DC=test", True),
        ("ldap://DomainDnsZones.example.test/DC=DomainDnsZones,DC=example,DC=test", True),
        ("ldap://x/dc=ForestDnsZones,dc=example,dc=test??sub", True),
        ("ldaps://x:636/CN=Configuration,DC=example%2cDC=test", True),
        ("ldap://child.example.test/DC=child,DC=example,DC=test", False),
        ("ldap://x/OU=People,DC=example,DC=test", False),
        ("ldap://x/CN=Configuration,OU=People,DC=example,DC=test", False),
        ("ldap://x/CN=Configuration+OU=People,DC=example,DC=test", False),
        ("ldap://x/OU=People,CN=Configuration,DC=example,DC=test", False),
        ("ldap://x/OU=Configuration,DC=example,DC=test", False),
        ("ldap://x/CN=Configuration", False),
        ("ldap://example.test/", False),
        ("ldap://example.test", False),
        ("ldap://x/no name", False),
        ("ldap://[x/CN=Configuration,DC=example,DC=test", False),
        ("", False),
    ],
)
def test_only_partitions_that_never_hold_people(uri: str, harmless: bool) -> None:  # noqa: FBT001
    """The configuration and the zones of DNS below a domain's root are harmless, all else not."""
    assert is_harmless(uri) is harmless
