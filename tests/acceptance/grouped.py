"""Groups of a directory and of the store, for tests that drive the installed command."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text

from tests.acceptance.world import ORGANIZATION, member_dn
from tests.servers.slapd import SUFFIX

if TYPE_CHECKING:
    from tests.acceptance.preloaded import QuickWorld

GROUPS = f"ou=groups,{SUFFIX}"
ELSEWHERE = f"ou=policies,{SUFFIX}"
MAPPER = "staff groups"


def unit(dn: str = GROUPS) -> str:
    """Return the LDIF record of an organizational unit."""
    return f"dn: {dn}\nobjectClass: organizationalUnit\nou: {dn[3 : dn.index(',')]}\n\n"


def dn_of(name: str, container: str = GROUPS) -> str:
    """Return the DN of a group; a DN as it is."""
    return name if "=" in name else f"cn={name},{container}"


def group(
    name: str,
    *members: str,
    groups: tuple[str, ...] = (),
    container: str = GROUPS,
    **attributes: str,
) -> str:
    """Return the LDIF record of a group of people by uid and of groups by name."""
    lines = [f"dn: cn={name},{container}", "objectClass: groupOfNames", f"cn: {name}"]
    lines += [f"{key}: {value}" for key, value in attributes.items()]
    named = [*map(member_dn, members), *map(dn_of, groups)]
    lines += [f"member: {value}" for value in named or ("cn=empty-membership-placeholder",)]
    return "\n".join(lines) + "\n\n"


def set_members(world: QuickWorld, dn: str, *members: str, groups: tuple[str, ...] = ()) -> None:
    """Give a group these members and no others."""
    named = [*map(member_dn, members), *map(dn_of, groups)]
    world.slapd.modify(dn_of(dn), {"member": named or ["cn=empty-membership-placeholder"]})


def mapper(name: str = MAPPER, **keys: Any) -> dict[str, Any]:
    """Return a group mapper's configuration."""
    return {"name": name, "type": "group", "groups_dn": GROUPS} | keys


def configure(world: QuickWorld, *mappers: dict[str, Any], **organization: Any) -> None:
    """Import groups with these mappers, and no roles unless ``ldap`` says so."""
    ldap = {"import_roles": ..., **organization.pop("ldap", {})}
    world.configure(ldap=ldap, mappers=list(mappers), **organization)


def rows(world: QuickWorld, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return what a query on the store finds."""
    engine = create_engine(world.store_url)
    try:
        with closing(engine.connect()) as connection:
            found = connection.execute(text(statement), values | {"org": ORGANIZATION})
            return [tuple(row) for row in found]
    finally:
        engine.dispose()


def members(world: QuickWorld) -> dict[str, dict[str, list[str]]]:
    """Return who is in each group, and by which sources; groups of one name add up."""
    found: dict[str, dict[str, list[str]]] = {
        name: {} for (name,) in rows(world, "select name from groups where organization_id = :org")
    }
    query = (
        "select g.name, u.username, m.source from group_members m"
        " join groups g on g.id = m.group_id join users u on u.id = m.user_id"
        " where m.organization_id = :org and u.living order by g.name, u.username, m.source"
    )
    for name, username, source in rows(world, query):
        found[name].setdefault(username, []).append(source)
    return found


def who(world: QuickWorld) -> dict[str, str]:
    """Return the usernames in each group, with blanks between them."""
    return {name: " ".join(found) for name, found in members(world).items()}


def paths(world: QuickWorld) -> set[str]:
    """Return each group's name behind those of its parents, by each way from the top."""
    names = dict(rows(world, "select id, name from groups where organization_id = :org"))
    above: dict[int, set[int]] = {}
    for child, parent in rows(
        world, "select group_id, parent_id from group_parents where organization_id = :org"
    ):
        above.setdefault(child, set()).add(parent)

    def ways(group: int) -> set[str]:
        parents = above.get(group, set())
        upper = {way for parent in parents for way in ways(parent)} or {""}
        return {f"{way}/{names[group]}" for way in upper}

    return {way for each in names for way in ways(each)}


def closure(world: QuickWorld) -> set[tuple[str, str, int]]:
    """Return (group, group above it, how far) of the store's closure."""
    query = (
        "select g.name, a.name, c.depth from group_ancestors c"
        " join groups g on g.id = c.group_id join groups a on a.id = c.ancestor_id"
        " where c.organization_id = :org and c.depth > 0"
    )
    return {(one, other, depth) for one, other, depth in rows(world, query)}


def remarks(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (kind, name of the entry) of a run's remarks, sorted."""
    return sorted(
        (each["kind"], each["dn"].split(",")[0].partition("=")[2]) for each in report["remarks"]
    )


def sync_changed(world: QuickWorld) -> dict[str, Any]:
    """Run a changed-user sync that must not become a full one."""
    report: dict[str, Any] = world.json("sync", ORGANIZATION, "--changed", code=0)
    assert report["mode"] == "changed", report["promoted_because"]
    return report
