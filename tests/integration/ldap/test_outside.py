"""Containers named by their DN wherever they lie, on directories that are not Active Directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.errors import DirectoryError, NotFound
from syncd.ldap.ber import decode_entry
from syncd.ldap.connection import ConnectionOptions
from syncd.ldap.source import LdapSource
from tests.integration.ldap.sources import role, role_search, source_for, unit, user_search
from tests.servers.ds389 import DS389
from tests.servers.slapd import PEOPLE, READER, ROLES, SUFFIX, Account, Slapd, people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Who has to look at more than ten entries for an answer, is refused.
INDEXED = Account("indexed", "size=unlimited size.unchecked=10")
TEAMS = f"ou=teams,{PEOPLE}"
FAR = f"cn=far\\2C away,{TEAMS}"
NAMED = [
    FAR,
    f"CN=Near,  {ROLES}",
    *(f"uid=u{number:05},{PEOPLE}" for number in range(150)),
    f"cn=gone,{ROLES}",
    "no name at all",
    "cn=other,dc=elsewhere,dc=test",
    SUFFIX,
]
CONTENT = "".join(
    [
        people(150),
        unit("teams", PEOPLE),
        role("near", [f"uid=u00000,{PEOPLE}"]),
        role("far", [f"uid=u00001,{PEOPLE}"]).replace(
            f"dn: cn=far,{ROLES}\nobjectClass: groupOfNames\ncn: far",
            f"dn: {FAR}\nobjectClass: groupOfNames\ncn: far, away",
        ),
    ]
)


@pytest.fixture(scope="module", params=["openldap", "389ds"])
def source(request: pytest.FixtureRequest) -> Iterator[LdapSource]:
    """A directory with a role outside of the roles DN, read by a limited account on OpenLDAP."""
    if request.param == "openldap":
        with (
            Slapd(ldif=CONTENT, accounts=[INDEXED]) as slapd,
            source_for(slapd, account=INDEXED) as source,
        ):
            yield source
        return
    template: Path = request.getfixturevalue("ds389_template")
    with DS389(template, ldif=CONTENT) as server:
        options = ConnectionOptions(
            urls=(server.url,),
            bind_dn=READER.dn,
            password=READER.password,
            insecure_clear_text_bind=True,
        )
        with LdapSource(
            connection=options,
            users=user_search(uuid_attribute="nsUniqueId"),
            containers={"import roles": role_search()},
        ) as source:
            yield source


@pytest.mark.rule("2.10.3", server="openldap")
@pytest.mark.rule("2.10.3", server="389ds")
@pytest.mark.parametrize("more", [0, 600], ids=["few", "many"])
def test_roles_are_found_wherever_they_lie(source: LdapSource, more: int) -> None:
    """Of all names those of roles come back, found from an index, and nobody else's."""
    others = [f"uid=nobody-{number},{PEOPLE}" for number in range(more)]
    found = source.read_outside("import roles", [*NAMED, *others])

    assert sorted(decode_entry(raw).values("cn")[0] for raw in found) == [b"far, away", b"near"]


def test_a_mapper_that_is_not_there_is_told(source: LdapSource) -> None:
    """Asking for another mapper's containers is an error that names the known ones."""
    with pytest.raises(NotFound, match="import roles"):
        source.read_outside("import others", [FAR])


def test_an_answer_that_is_cut_short_is_an_error() -> None:
    """Whoever is missing from a part of an answer may still be there."""
    short = Account("short", "size=1")
    with (
        Slapd(ldif=CONTENT, accounts=[short]) as slapd,
        source_for(slapd, account=short) as source,
        pytest.raises(DirectoryError),
    ):
        source.read_outside("import roles", NAMED)
