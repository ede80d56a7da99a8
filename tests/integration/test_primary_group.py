"""The primary group of Active Directory, from the configuration to keys that meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from syncd.compose import directory_parts
from syncd.ldap.ber import decode_entry
from syncd.ldap.source import LdapSource
from syncd.settings import load
from tests.servers.samba import (
    GROUPS,
    PEOPLE,
    READER,
    READER_PASSWORD,
    SUFFIX,
    dn_of,
    group,
    user,
)

if TYPE_CHECKING:
    from pathlib import Path

    from syncd.records import ContainerRecord, UserRecord
    from tests.servers.samba import SambaAD


def records(
    ad: SambaAD, folder: Path, **roles: object
) -> tuple[dict[str, UserRecord], dict[str, ContainerRecord]]:
    """Return people and roles by name, as an ordinary account's configuration brings them."""
    organization = {
        "organization": {"id": "acme", "name": "Acme"},
        "provider": "ldap",
        "ldap": {
            "vendor": "active_directory",
            "connection_url": ad.url,
            "insecure_clear_text_bind": True,
            "bind_dn": READER,
            "bind_credential": READER_PASSWORD,
            "users_dn": PEOPLE,
            "import_roles": {"roles_dn": SUFFIX, "ldap_filter": "(cn=*s)"} | roles,
        },
    }
    (folder / "syncd.yaml").write_text("organizations: acme.yaml\n")
    (folder / "acme.yaml").write_text(yaml.safe_dump(organization))
    (folder / "acme.yaml").chmod(0o600)
    parts = directory_parts(load(str(folder / "syncd.yaml"), {}).organizations["acme"])
    source = LdapSource(connection=parts.connection, users=parts.users, containers=parts.containers)
    with source:
        entries = [decode_entry(raw) for page in source.users() for raw in page]
        (name,) = parts.containers
        listed = [decode_entry(raw) for page in source.containers(name) for raw in page]
    people = [parts.user_mapping(entry) for entry in entries]
    mapping = parts.container_mappings[name]
    containers = [mapping(entry) for entry in listed]
    return {each.username: each for each in people}, {each.name: each for each in containers}


def held(people: dict[str, UserRecord], role: ContainerRecord) -> set[str]:
    """Return who is a member, as the store joins them: by DN, or by kind and key."""
    keys = {(member.kind, member.key) for member in role.members}
    return {
        name
        for name, person in people.items()
        if ("dn", person.dn_key) in keys
        or any((f"uid:{kind}", key) in keys for kind, key in person.member_keys)
    }


@pytest.mark.rule("2.10.4", server="samba")
def test_people_are_in_their_primary_group(samba: SambaAD, tmp_path: Path) -> None:
    """No list of members holds it, and an ordinary account can read what tells it."""
    samba.load(
        [
            (dn_of("ann"), user("ann")),
            (dn_of("bob"), user("bob")),
            (dn_of("sales", GROUPS), group("sales", [dn_of("ann")])),
        ]
    )
    people, roles = records(samba, tmp_path)
    assert held(people, roles["Domain Users"]) == {"ann", "bob"}
    assert held(people, roles["Domain Admins"]) == set()
    assert held(people, roles["sales"]) == {"ann"}
    (sid,) = samba.read(dn_of("sales", GROUPS), "objectSid")["objectSid"]
    number = int.from_bytes(sid[-4:], "little")
    samba.modify(dn_of("ann"), {"primaryGroupID": [str(number)]})
    people, roles = records(samba, tmp_path)
    # The directory moves the membership from one list to the other.
    assert held(people, roles["sales"]) == {"ann"}
    assert held(people, roles["Domain Users"]) == {"ann", "bob"}
    people, roles = records(samba, tmp_path, primary_group=False)
    assert held(people, roles["sales"]) == set()
    assert held(people, roles["Domain Users"]) == {"ann"}
