"""Reading roles and groups: their lists, and what in the directory stands for them.

Writes nothing. The shapes are the contract's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, or_, select

from syncd.records import batched, fold
from syncd.store import schema
from syncd.store.group_paths import group_paths
from syncd.store.sides import ROLES as ROLE_SIDE

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Select

    from syncd.store.database import Database
    from syncd.store.sides import Side

U, G, GM = schema.users, schema.grants, schema.group_members
ROLES, GROUPS, GP = schema.roles, schema.groups, schema.group_parents
GR, PS, RPS = schema.group_roles, schema.permission_sets, schema.role_permission_sets
CT = schema.containers
IN_LIST = 500


class Target(NamedTuple):
    """A role or a group."""

    id: int
    name: str
    kind: str
    # The mapper that made it, if one did.
    mapper: str | None
    # Of a group: where it stands.
    path: str | None = None


class Container(NamedTuple):
    """An entry of the directory as a mapper last read it; one without a DN stands for everybody."""

    mapper: str
    key: bytes
    dn: str | None
    # Its name in the directory.
    name: str
    external_id: str
    # What it stands for: a role or a group, or nothing where the mapper passes over its name.
    role_id: int | None
    group_id: int | None
    outside: bool
    # Whether its members could be read whole; of one that stands for nothing that is not known.
    whole: bool
    dn_key: bytes | None

    def target_of(self, side: Side) -> int | None:
        """Return the role or the group that it stands for."""
        return self.role_id if side is ROLE_SIDE else self.group_id

    @property
    def passed_over(self) -> bool:
        """Whether it is a role's entry whose name is no role here."""
        return self.role_id is None and self.group_id is None and not self.outside


CONTAINER_COLUMNS = (
    CT.c.mapper,
    CT.c.container_key,
    CT.c.dn,
    CT.c.name,
    CT.c.external_id,
    CT.c.role_id,
    CT.c.group_id,
    CT.c.outside,
    CT.c.digest,
    CT.c.dn_key,
)


def container_of(row: Any) -> Container:  # noqa: ANN401 - a row of CONTAINER_COLUMNS
    """Return a container of its row."""
    return Container(
        mapper=row.mapper,
        key=bytes(row.container_key),
        dn=row.dn or None,
        name=row.name,
        external_id=row.external_id,
        role_id=row.role_id or None,
        group_id=row.group_id,
        outside=bool(row.outside),
        # A digest is kept of those only that need not be read again.
        whole=row.digest is not None,
        dn_key=None if row.dn_key is None else bytes(row.dn_key),
    )


class TargetReads:
    """The part of ``People`` that reads an organization's roles and groups."""

    database: Database
    organization_id: str

    def roles(self) -> list[dict[str, Any]]:
        """Return the roles with how many living people hold each, the default role not counted."""
        members = self._members(G, "role_id").subquery()
        query = (
            select(
                ROLES.c.id,
                ROLES.c.name,
                ROLES.c.kind,
                ROLES.c.mapper,
                ROLES.c.description,
                func.coalesce(members.c.members, 0),
            )
            .outerjoin(members, members.c.role_id == ROLES.c.id)
            .where(
                or_(
                    ROLES.c.organization_id == self.organization_id,
                    ROLES.c.organization_id.is_(None),
                )
            )
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
            sets = self._sets(connection)
        return [
            {
                "id": role_id,
                "name": name,
                "kind": kind,
                "mapper": mapper,
                "members": count,
                "description": description,
                "permission_sets": sets[role_id],
            }
            for role_id, name, kind, mapper, description, count in sorted(
                rows, key=lambda row: row[1]
            )
        ]

    def _sets(self, connection: Connection) -> dict[int, list[dict[str, Any]]]:
        """Return the permission sets of each role."""
        query = (
            select(RPS.c.role_id, PS.c.id, PS.c.name)
            .join(PS, PS.c.id == RPS.c.permission_set_id)
            .where(
                or_(RPS.c.organization_id == self.organization_id, RPS.c.organization_id.is_(None))
            )
            .order_by(PS.c.name, PS.c.id)
        )
        found: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for role_id, set_id, name in connection.execute(query):
            found[role_id].append({"id": set_id, "name": name})
        return found

    def _roles(self, connection: Connection) -> dict[int, list[dict[str, Any]]]:
        """Return the roles of each group, each with whoever gave it."""
        query = (
            select(GR.c.group_id, ROLES.c.id, ROLES.c.name, GR.c.source)
            .join(ROLES, ROLES.c.id == GR.c.role_id)
            .where(GR.c.organization_id == self.organization_id)
            .order_by(ROLES.c.name, ROLES.c.id, GR.c.source)
        )
        found: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
        for group_id, role_id, name, source in connection.execute(query):
            about = {"id": role_id, "name": name, "sources": []}
            found[group_id].setdefault(role_id, about)["sources"].append(source)
        return defaultdict(list, {each: list(roles.values()) for each, roles in found.items()})

    def groups(self) -> list[dict[str, Any]]:
        """Return the groups: where each stands, where it comes from, how many living people."""
        members = self._members(GM, "group_id").subquery()
        query = (
            select(GROUPS, func.coalesce(members.c.members, 0).label("members"))
            .outerjoin(members, members.c.group_id == GROUPS.c.id)
            .where(GROUPS.c.organization_id == self.organization_id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
            paths = group_paths(connection, [row.id for row in rows])
            parents = self._parents(connection)
            dns = self._dns(connection)
            roles = self._roles(connection)
        names = {row.id: row.name for row in rows}
        return [
            {
                "id": row.id,
                "name": row.name,
                "path": paths[row.id],
                "parents": sorted(
                    (
                        {"name": names[parent], "path": paths[parent], "sources": sorted(sources)}
                        for parent, sources in parents[row.id].items()
                        if parent in names
                    ),
                    key=lambda parent: (parent["name"], parent["path"]),
                ),
                "kind": row.kind,
                "mapper": row.mapper,
                # Null for one that no directory holds, and for one that it holds no more.
                "dn": dns.get(row.id),
                "external_id": row.external_id,
                "members": row.members,
                "roles": roles[row.id],
                "description": row.description,
                "attributes": json.loads(row.attributes),
            }
            for row in sorted(rows, key=lambda row: (row.name, paths[row.id], row.id))
        ]

    def _dns(self, connection: Connection) -> dict[int, str]:
        """Return the DN of each group that the directory holds."""
        rows = connection.execute(
            select(CT.c.group_id, CT.c.dn).where(
                CT.c.organization_id == self.organization_id,
                CT.c.group_id.is_not(None),
                CT.c.dn != "",
            )
        )
        return {row.group_id: row.dn for row in rows}

    def _members(self, held: Any, column: str) -> Select[Any]:  # noqa: ANN401 - a table
        """Return how many living people each target has."""
        return (
            select(held.c[column], func.count(held.c.user_id.distinct()).label("members"))
            .join(U, U.c.id == held.c.user_id)
            .where(held.c.organization_id == self.organization_id, U.c.living)
            .group_by(held.c[column])
        )

    def _parents(self, connection: Connection) -> dict[int, dict[int, set[str]]]:
        """Return the parents of each group, each with whoever says so."""
        found: dict[int, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for group_id, parent_id, source in connection.execute(
            select(GP.c.group_id, GP.c.parent_id, GP.c.source).where(
                GP.c.organization_id == self.organization_id
            )
        ):
            found[group_id][parent_id].add(source)
        return found

    def targets(self, side: Side, name: str) -> list[Target]:
        """Return the roles or groups of a name; groups by their path as well."""
        table = side.targets
        of_organization = table.c.organization_id == self.organization_id
        if side is ROLE_SIDE:
            of_organization = or_(of_organization, table.c.organization_id.is_(None))
        query = select(table.c.id, table.c.name, table.c.kind, table.c.mapper)
        by_path = side is not ROLE_SIDE and name.startswith("/")
        with self.database.read() as connection:
            found = connection.execute(query.where(of_organization, table.c.name_key == fold(name)))
            rows = found.all()
            if by_path and not rows:
                rows = connection.execute(query.where(of_organization)).all()
            paths = {} if side is ROLE_SIDE else group_paths(connection, [row.id for row in rows])
        made = [Target(*row, paths.get(row.id)) for row in rows]
        return sorted(
            each for each in made if fold(name) in {fold(each.name), fold(each.path or each.name)}
        )

    def groups_with(self, role_ids: Collection[int]) -> list[str]:
        """Return the paths of the groups that have one of these roles."""
        query = select(GR.c.group_id).where(
            GR.c.organization_id == self.organization_id, GR.c.role_id.in_(role_ids)
        )
        with self.database.read() as connection:
            return sorted(group_paths(connection, connection.scalars(query)).values())

    def containers_of(self, side: Side, targets: Collection[int]) -> list[Container]:
        """Return the directory's entries that stand for these roles or groups."""
        found: list[Container] = []
        with self.database.read() as connection:
            for part in batched(sorted(targets), IN_LIST):
                query = select(*CONTAINER_COLUMNS).where(
                    CT.c.organization_id == self.organization_id, side.of(CT).in_(part)
                )
                found += map(container_of, connection.execute(query))
        return sorted(found, key=lambda each: (each.dn or "", each.mapper, each.key))

    def role_entries(self) -> list[tuple[Container, str | None]]:
        """Return all entries of roles, each with the role that it stands for, if it does."""
        query = (
            select(*CONTAINER_COLUMNS, ROLES.c.name.label("role"))
            .outerjoin(ROLES, and_(ROLES.c.id == CT.c.role_id))
            .where(CT.c.organization_id == self.organization_id, CT.c.group_id.is_(None))
            .order_by(CT.c.dn, CT.c.mapper)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [(container_of(row), row.role) for row in rows if not row.outside]
