"""Reading why somebody holds a role or is in a group: mapper, directory entries, run.

A mapper's grant is explained by the entries that name the person, directly or by way of entries in
entries; whether such a way counts is told by the stored closure alone, and what lies on it by what
the entries were last read to say. Writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, or_, select

from syncd.records import batched, fold
from syncd.store import runs, schema
from syncd.store.among import among
from syncd.store.effective import DEFAULT_ROLE, roles_by_groups
from syncd.store.group_paths import group_paths
from syncd.store.leases import clock
from syncd.store.nest_reads import read_nest
from syncd.store.origins import origins
from syncd.store.sides import GROUPS, ROLES
from syncd.store.target_reads import CONTAINER_COLUMNS, Container, container_of
from syncd.store.waiting import is_waiting

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from syncd.store.database import Database
    from syncd.store.sides import Side

CT, MR, CA = schema.containers, schema.membership_refs, schema.container_ancestors
IK, P, RUNS = schema.identity_keys, schema.plan_people, schema.runs
R = schema.roles
IN_LIST = 300
PRIMARY_GROUP = "uid:primarygroup"


class Membership(NamedTuple):
    """That somebody is in a container, by whose word."""

    container: Container
    # member: the container names the person; member_of: the person's entry names the container;
    # primary_group; everyone: of a hardcoded role or group.
    how: str
    # By what the one names the other.
    value: str


class Reach(NamedTuple):
    """A container that somebody is in, maybe by way of others, innermost first."""

    container: Container
    membership: Membership
    through: tuple[Container, ...]

    def to_json(self, run: str | None) -> dict[str, Any]:
        """Return it as the source of a role or group."""
        how, value = self.membership.how, self.membership.value
        return {
            "mapper": self.container.mapper,
            "container_dn": self.container.dn,
            "member_value": value,
            "membership": how,
            "through": [each.dn or each.name for each in self.through],
            "run": run,
        }


class SourceReads:
    """The part of ``People`` that knows where roles and groups come from."""

    database: Database
    organization_id: str

    def role_sources(self, user_id: int) -> list[dict[str, Any]]:
        """Return why somebody holds each of his roles, by himself, by his groups, or by default."""
        held = {each["name"]: each for each in self._sources(ROLES, user_id).values()}
        for name, source in self._of_groups(user_id):
            held.setdefault(name, {"name": name, "sources": []})["sources"].append(source)
        by_default = {"mapper": "default", **NO_ENTRY, "run": None}
        default = held.setdefault(DEFAULT_ROLE, {"name": DEFAULT_ROLE, "sources": []})
        default["sources"].append(by_default)
        return sorted(held.values(), key=lambda role: str(role["name"]))

    def group_sources(self, user_id: int) -> list[dict[str, Any]]:
        """Return why somebody is in each of his groups."""
        found = self._sources(GROUPS, user_id).values()
        return sorted(found, key=lambda each: (each["name"], each.get("path") or ""))

    def _of_groups(self, user_id: int) -> list[tuple[str, dict[str, Any]]]:
        """Return the roles that somebody has by groups, each with the groups and why he is there.

        ``group`` has the role and ``member_of``, it or a group below it, the person.
        """
        with self.database.read_by_key() as connection:
            ways = roles_by_groups(connection, [user_id])
            role_ids = {way.role_id for way in ways}
            names = dict(
                iter(connection.execute(select(R.c.id, R.c.name).where(among(R.c.id, role_ids))))
            )
            groups = {each for way in ways for each in (way.group_id, way.member_group_id) if each}
            paths = group_paths(connection, groups)
        members = self._sources(GROUPS, user_id) if ways else {}
        return [
            (
                names[way.role_id],
                {
                    "mapper": way.source,
                    **NO_ENTRY,
                    "run": None,
                    "group": paths[way.group_id],
                    "member_of": paths[way.member_group_id],
                    "because": members[way.member_group_id]["sources"],
                },
            )
            for way in ways
            if way.group_id in paths and way.member_group_id in members and way.role_id in names
        ]

    def _sources(self, side: Side, user_id: int) -> dict[int, dict[str, Any]]:
        held, targets = side.held, side.targets
        query = (
            select(side.of(held), targets.c.name, held.c.source, held.c.run_id)
            .join(targets, targets.c.id == side.of(held))
            .where(held.c.user_id == user_id)
            .order_by(targets.c.name, side.of(held), held.c.source)
        )
        found: dict[int, dict[str, Any]] = {}
        with self.database.read() as connection:
            rows = connection.execute(query).all()
            ids = {row[0] for row in rows}
            paths = group_paths(connection, ids) if side is GROUPS else {}
            reached = self._reached(connection, user_id, side, ids)
            # What no run gave, a person or a sign-in did.
            by_hand = any(row.run_id is None for row in rows)
            known = origins(connection, self.organization_id, user_id).held if by_hand else {}
            for target_id, name, source, run_id in rows:
                about = {"name": name, "path": paths[target_id]} if paths else {"name": name}
                shape = found.setdefault(target_id, about | {"sources": []})
                run = runs.run_name(run_id) if run_id else None
                ways = [each for each in reached[target_id] if each.container.mapper == source]
                told = [each.to_json(run) for each in ways]
                if not told:
                    told = [{"mapper": source, **NO_ENTRY, "run": run}]
                    origin = known.get((side.kind, target_id, source))
                    if run_id is None and origin is not None:
                        told[0] |= {"run": origin.run, "change_set": origin.change_set}
                shape["sources"] += told
        return found

    def ways_to(self, user_id: int, side: Side, targets: Collection[int]) -> list[Reach]:
        """Return the ways by which the books have somebody in what stands for these targets."""
        with self.database.read() as connection:
            reached = self._reached(connection, user_id, side, targets)
        return [way for ways in reached.values() for way in ways]

    def memberships(self, user_id: int) -> list[Membership]:
        """Return the containers that somebody is in by their word or his."""
        with self.database.read() as connection:
            return _memberships(connection, self.organization_id, user_id)

    def uncounted_ways(self, user_id: int, wanted: Collection[Container]) -> list[Reach]:
        """Return the ways through entries in entries to these ones, whether or not they count."""
        wanted_keys = {(each.mapper, each.key) for each in wanted}
        mappers = {each.mapper for each in wanted}
        found: list[Reach] = []
        with self.database.read() as connection:
            direct = _memberships(connection, self.organization_id, user_id)
            for mapper in sorted(mappers):
                own = [each for each in direct if each.container.mapper == mapper]
                nest = read_nest(
                    connection, self.organization_id, mapper, (each.container for each in own)
                )
                for membership in own:
                    found += [
                        Reach(container, membership, through)
                        for container, through in nest.above(membership.container)
                        if (mapper, container.key) in wanted_keys
                    ]
        return found

    def held_grant(self, side: Side, user_id: int, name: str) -> str | None:
        """Return the waiting run that would give somebody a role or group of this name."""
        planned, new, targets = side.planned, side.planned_targets, side.targets
        with self.database.read() as connection:
            query = (
                select(func.max(RUNS.c.id))
                .join(planned, planned.c.run_id == RUNS.c.id)
                .join(P, and_(P.c.run_id == RUNS.c.id, P.c.user_id == planned.c.user_id))
                .outerjoin(
                    new, and_(new.c.run_id == planned.c.run_id, side.of(new) == side.of(planned))
                )
                .outerjoin(targets, targets.c.id == side.of(planned))
                .where(
                    RUNS.c.organization_id == self.organization_id,
                    is_waiting(clock(connection)),
                    planned.c.user_id == user_id,
                    planned.c.granted,
                    func.coalesce(new.c.name_key, targets.c.name_key) == fold(name),
                    # Of a plan that was let through in part, what was held back.
                    or_(
                        P.c.state == "held",
                        and_(P.c.state == "planned", P.c.number > RUNS.c.applied_number),
                    ),
                )
            )
            run_id = connection.execute(query).scalar_one()
        return runs.run_name(run_id) if run_id else None

    def _reached(
        self, connection: Connection, user_id: int, side: Side, targets: Collection[int]
    ) -> dict[int | None, list[Reach]]:
        """Return the ways to each of these roles or groups that count, the direct ones first."""
        found: dict[int | None, list[Reach]] = defaultdict(list)
        wanted: set[int | None] = set(targets)
        direct = _memberships(connection, self.organization_id, user_id)
        for membership in direct:
            target = membership.container.target_of(side)
            if target in wanted:
                found[target].append(Reach(membership.container, membership, ()))
        for mapper in sorted({each.container.mapper for each in direct}):
            own = [each for each in direct if each.container.mapper == mapper]
            counted = _counted(connection, self.organization_id, mapper, own)
            if not counted:
                continue
            nest = read_nest(
                connection, self.organization_id, mapper, (each.container for each in own)
            )
            for membership in own:
                ways = {each.key: through for each, through in nest.above(membership.container)}
                for container in counted[membership.container.key]:
                    target = container.target_of(side)
                    if target in wanted:
                        # A way that is not in the books any more is still one that counts.
                        through = ways.get(container.key, (membership.container,))
                        found[target].append(Reach(container, membership, through))
        return found


NO_ENTRY: dict[str, Any] = {
    "container_dn": None,
    "member_value": None,
    "membership": None,
    "through": [],
}


def _memberships(connection: Connection, organization_id: str, user_id: int) -> list[Membership]:
    """Return the containers that somebody is in by their word or his.

    By his keys, because one key may mean several people and a reference names but one of them.
    """
    named = and_(
        MR.c.organization_id == organization_id,
        MR.c.kind == IK.c.kind,
        MR.c.member_key == IK.c.key,
    )
    own = and_(
        CT.c.organization_id == organization_id,
        CT.c.mapper == MR.c.mapper,
        CT.c.container_key == MR.c.container_key,
    )
    columns = (*CONTAINER_COLUMNS, MR.c.kind, MR.c.value)
    query = (
        select(*columns)
        .select_from(IK)
        .join(MR, named)
        .join(CT, own)
        .where(IK.c.organization_id == organization_id, IK.c.user_id == user_id)
    )
    rows = connection.execute(query).all()
    found = []
    for row in rows:
        container = container_of(row)
        how = {"of": "member_of", PRIMARY_GROUP: "primary_group"}.get(row.kind, "member")
        if how == "member_of" and container.dn is None:
            how = "everyone"
        found.append(Membership(container, how, row.value))
    return sorted(found, key=lambda each: (each.container.dn or "", each.container.mapper, each))


def _counted(
    connection: Connection,
    organization_id: str,
    mapper: str,
    direct: Sequence[Membership],
) -> dict[bytes, list[Container]]:
    """Return, by the containers that somebody is in, those above them that count as well."""
    found: dict[bytes, list[Container]] = defaultdict(list)
    ancestor = and_(
        CT.c.organization_id == CA.c.organization_id,
        CT.c.mapper == CA.c.mapper,
        CT.c.container_key == CA.c.ancestor_key,
    )
    for part in batched(sorted({each.container.key for each in direct}), IN_LIST):
        query = (
            select(*CONTAINER_COLUMNS, CA.c.container_key.label("below"))
            .select_from(CA)
            .join(CT, ancestor)
            .where(
                CA.c.organization_id == organization_id,
                CA.c.mapper == mapper,
                CA.c.container_key.in_(part),
            )
            .order_by(CT.c.dn, CT.c.container_key)
        )
        for row in connection.execute(query):
            found[bytes(row.below)].append(container_of(row))
    return found
