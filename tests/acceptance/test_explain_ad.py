"""What an Active Directory domain gives without naming anybody, explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.acceptance.domain import DomainWorld
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION
from tests.integration.ldap.domains import Place
from tests.servers.samba import SUFFIX

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.preloaded import Commands
    from tests.servers.samba import SambaAD

pytest_plugins = ("tests.acceptance.quick",)

# Everybody's primary group, and one that the domain itself puts it in.
PRIMARY, ABOVE = f"CN=Domain Users,CN=Users,{SUFFIX}", f"CN=Users,CN=Builtin,{SUFFIX}"


@ON_SQLITE
def test_a_primary_group_is_explained(
    samba: SambaAD, store_url: str, commands: Commands, tmp_path: Path
) -> None:
    """It holds no list of members: by the person's own number, and on through groups in groups."""
    place = Place(samba, "a", "b")
    world = DomainWorld(tmp_path / "syncd", place, store_url, commands)
    world.configure(
        ldap={
            "import_roles": {
                "roles_dn": SUFFIX,
                "ldap_filter": "(|(cn=Domain Users)(cn=Users))",
                "nested_membership": "expand",
            }
        }
    )
    run = world.sync()["run"]
    for name in ("a", "b"):
        answer = world.json("explain", ORGANIZATION, place.name(name), "--stored")
        sources = {each["name"]: each["sources"] for each in answer["roles"]}
        (own,) = sources["Domain Users"]
        assert (own["container_dn"], own["membership"]) == (PRIMARY, "primary_group")
        assert own["member_value"].endswith("-513")
        assert (own["through"], own["run"]) == ([], run)
        (above,) = sources["Users"]
        assert (above["container_dn"], above["through"]) == (ABOVE, [PRIMARY])
    words = ("explain", ORGANIZATION, place.name("a"), "--role", "Users")
    text = " ".join(world.syncd(*words, code=0).out.split())
    assert f"because {PRIMARY} is the primary group (S-1-5-21-" in text
    assert f"-513), which is in {ABOVE}" in text
