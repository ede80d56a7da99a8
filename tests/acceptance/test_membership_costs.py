"""What memberships may cost: no search for each, and no write for one that did not change."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tests.acceptance.grouped import GROUPS, configure, group, mapper, sync_changed, unit
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import member_dn, role
from tests.servers.slapd import ROLES, people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

MEMBERS = 10
# Of the groups every third holds the one before it.
NESTED = 3
# What follows from the directory's memberships, and lasts.
TABLES = (
    "membership_refs",
    "grants",
    "group_members",
    "group_parents",
    "group_ancestors",
    "container_ancestors",
    "journal",
)
_SEARCH = re.compile(rb" op=\d+ SRCH base=")


def _members(number: int, persons: int) -> list[str]:
    return [f"u{(number * MEMBERS + each) % persons:05}" for each in range(MEMBERS)]


def _company(persons: int, containers: int) -> str:
    """Return people, and as many roles and groups, some of them in each other."""
    records = [people(persons), unit()]
    for number in range(containers):
        named = _members(number, persons)
        records.append(role(f"role{number:03}", *named))
        below = (f"group{number - 1:03}",) if number % NESTED == NESTED - 1 else ()
        records.append(group(f"group{number:03}", *named, groups=below))
    return "".join(records)


def _replace_one_of_each(world: QuickWorld, persons: int, containers: int, *, by: int = 0) -> None:
    """Give every role and every group somebody else in place of its first member."""
    for number in range(containers):
        _, *kept = _members(number, persons)
        other = f"u{(number * MEMBERS + MEMBERS + by) % persons:05}"
        named = [member_dn(each) for each in (*kept, other)]
        world.slapd.modify(f"cn=role{number:03},{ROLES}", {"member": named})
        if number % NESTED == NESTED - 1:
            named.append(f"cn=group{number - 1:03},{GROUPS}")
        world.slapd.modify(f"cn=group{number:03},{GROUPS}", {"member": named})


class _Searches:
    """Counts the searches that the directory has seen since it was last asked."""

    def __init__(self, world: QuickWorld) -> None:
        self._log = world.slapd.log
        self._read = 0

    def __call__(self) -> int:
        lines = self._log.read_bytes()
        found = len(_SEARCH.findall(lines, self._read))
        self._read = len(lines)
        return found


def _imports(world: QuickWorld) -> None:
    configure(
        world,
        mapper(nested_membership="expand", preserve_group_inheritance=True),
        ldap={"import_roles": {"roles_dn": ROLES}, "page_size": 1000},
    )


def _searches_of_syncs(make: MakeQuickWorld, persons: int, containers: int) -> dict[str, int]:
    """Return how many searches each kind of sync takes in a company of this size."""
    world = make(_company(persons, containers), overlays=("syncprov",))
    world.store_url = f"sqlite:///{world.folder}/of-{persons}.db"
    _imports(world)
    world.upgrade()
    searches, found = _Searches(world), {}
    assert world.sync()["users"]["created"] == persons
    found["first"] = searches()
    world.sync()
    found["unchanged"] = searches()
    _replace_one_of_each(world, persons, containers)
    searches()
    assert sync_changed(world)["memberships"]["removed"] >= 2 * containers
    found["changed"] = searches()
    _replace_one_of_each(world, persons, containers, by=1)
    searches()
    assert world.sync()["memberships"]["removed"] >= 2 * containers
    found["full, changed"] = searches()
    return found


@ON_SQLITE
def test_the_number_of_searches_follows_neither_people_nor_memberships(
    quick_world: MakeQuickWorld,
) -> None:
    """Ten times the people, roles, groups and changed memberships take no search more."""
    few = _searches_of_syncs(quick_world, 30, 6)
    assert _searches_of_syncs(quick_world, 300, 60) == few
    assert all(found > 0 for found in few.values())


def _count_writes(world: QuickWorld) -> None:
    """Let the database write down every row that is written into the tables of memberships."""
    world.sql("create table written (what text not null)")
    postgresql = world.store_url.startswith("postgresql")
    if postgresql:
        world.sql(
            "create function note() returns trigger language plpgsql as $$ begin"
            " insert into written values (tg_table_name); return null; end $$"
        )
    for table in TABLES:
        for event in ("insert", "update", "delete"):
            noting = f"begin insert into written values ('{table}'); end"
            if postgresql:
                noting = "for each row execute function note()"
            world.sql(f"create trigger {table}_{event} after {event} on {table} {noting}")


def _written(world: QuickWorld) -> Counter[str]:
    """Return how many rows were written into each table since this was last asked."""
    found = Counter(world.sql("select what from written"))
    world.sql("delete from written")
    return found


def test_unchanged_memberships_are_not_written(quick_world: MakeQuickWorld) -> None:
    """Nothing is written for whom nothing changed, not even in a group that somebody left."""
    persons, containers = 30, 3
    world = quick_world(_company(persons, containers), overlays=("syncprov",))
    _imports(world)
    world.sync()
    _count_writes(world)
    world.sync()
    assert not _written(world)
    # Stamps and the order of values alone.
    dn = f"cn=role000,{ROLES}"
    named = [member_dn(each) for each in _members(0, persons)]
    world.slapd.modify(dn, {"member": named[::-1], "description": ["other"]})
    world.sync()
    assert not _written(world)
    for other, sync in (("u00020", world.sync), ("u00021", lambda: sync_changed(world))):
        named = [*named[1:], member_dn(other)]
        world.slapd.modify(dn, {"member": named})
        sync()
        # One goes and one comes, of the journal a row each.
        assert _written(world) == {"membership_refs": 2, "grants": 2, "journal": 2}
    # Another spelling of a DN is written down, and changes nobody.
    world.slapd.modify(dn, {"member": [named[0].upper(), *named[1:]]})
    world.sync()
    assert _written(world) == {"membership_refs": 1}
