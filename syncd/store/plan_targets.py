"""Which roles and groups there have to be: what each staged container stands for.

A role is found by its name, so that several containers and several mappers may stand for one. A
group is the container's own, found by what the directory knows it by, whatever its name.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, exists, func, insert, literal, or_, select, update

from syncd.records import Remark, batched, fold
from syncd.store import schema
from syncd.store.sides import ALLOCATOR, SIDES, Side
from syncd.store.staging import allocate

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from syncd.store.plan_scope import PlanScope

C, A, CT = schema.stage_containers, schema.stage_absent, schema.containers
PR, PGR = schema.plan_roles, schema.plan_groups

IN_LIST = 300
# Of each kind; an operator reads the first few and mends the cause.
MOST_REMARKS = 100


def plan_targets(connection: Connection, scope: PlanScope) -> list[Remark]:
    """Give each staged container its role or group; plan those that are new, change or go."""
    remarks = _plan_roles(connection, scope)
    if scope.shapes.groups:
        _plan_groups(connection, scope)
    connection.execute(
        update(C).where(C.c.run_id == scope.run_id, C.c.kind == "outside").values(target_id=0)
    )
    for side in SIDES:
        _plan_drops(connection, scope, side)
    return remarks


def _plan_roles(connection: Connection, scope: PlanScope) -> list[Remark]:
    creating = C.c.mapper.in_(scope.shapes.creating)
    names = connection.execute(
        select(
            C.c.target_key,
            func.min(C.c.target),
            func.min(case((creating, C.c.mapper))),
            func.min(C.c.mapper),
            func.min(C.c.dn),
        )
        .where(C.c.run_id == scope.run_id, C.c.kind == "role")
        .group_by(C.c.target_key)
        .order_by(C.c.target_key)
    ).all()
    if not names:
        return []
    roles = schema.roles
    known = {
        name_key: role_id
        for role_id, name_key in connection.execute(
            select(roles.c.id, roles.c.name_key).where(
                or_(
                    roles.c.organization_id == scope.organization_id,
                    roles.c.organization_id.is_(None),
                )
            )
        )
    }
    new = [row for row in names if row[0] not in known and row[2] is not None]
    if new:
        first = allocate(connection, ALLOCATOR, len(new))
        planned = [
            {
                "run_id": scope.run_id,
                "role_id": first + offset,
                "action": "create",
                "name": row[1],
                "name_key": row[0],
                "mapper": row[2],
            }
            for offset, row in enumerate(new)
        ]
        connection.execute(insert(PR), planned)
        known |= {row["name_key"]: row["role_id"] for row in planned}
    wanted = [(row[0], known.get(row[0], 0)) for row in names]
    for part in batched(wanted, IN_LIST):
        connection.execute(
            update(C)
            .where(
                C.c.run_id == scope.run_id,
                C.c.kind == "role",
                C.c.target_key.in_([key for key, _ in part]),
            )
            .values(target_id=case(*((C.c.target_key == key, role_id) for key, role_id in part)))
        )
    ignored = [row for row in names if row[0] not in known]
    if ignored:
        # Read again each time: the role may be there by then.
        connection.execute(
            update(C)
            .where(C.c.run_id == scope.run_id, C.c.kind == "role", C.c.target_id == 0)
            .values(digest=None)
        )
    return [
        Remark("unknown_role", mapper, dn, f"there is no role {name!r}, and nobody is given it")
        for _, name, _, mapper, dn in ignored[:MOST_REMARKS]
    ]


def _plan_groups(connection: Connection, scope: PlanScope) -> None:
    groups = schema.groups
    staged = connection.execute(
        select(C.c.number, C.c.mapper, C.c.external_id, C.c.target, C.c.attributes, C.c.dn)
        .where(C.c.run_id == scope.run_id, C.c.kind == "group")
        .order_by(C.c.number)
    ).all()
    if not staged:
        return
    known: dict[tuple[str, str], tuple[int, str, str]] = {}
    for owner in {_owner(row) for row in staged}:
        of_owner = groups.c.mapper == owner if owner else groups.c.kind == "imported"
        ids = [row.external_id for row in staged if _owner(row) == owner]
        for part in batched(ids, IN_LIST):
            query = select(
                groups.c.external_id, groups.c.id, groups.c.name, groups.c.attributes
            ).where(
                groups.c.organization_id == scope.organization_id,
                of_owner,
                groups.c.external_id.in_(part),
            )
            for external_id, group_id, name, attributes in connection.execute(query):
                known[owner, external_id] = (group_id, name, attributes)
    identities = {(_owner(row), row.external_id): None for row in staged}
    new = [each for each in identities if each not in known]
    first = allocate(connection, ALLOCATOR, len(new)) if new else 0
    created = {each: first + at for at, each in enumerate(new)}
    planned = []
    targets = []
    for row in staged:
        identity = _owner(row), row.external_id
        group_id, *was = known.get(identity) or (created[identity],)
        targets.append((row.number, group_id))
        if was != [row.target, row.attributes]:
            # Once, where several mappers share it.
            known[identity] = group_id, row.target, row.attributes
            planned.append(
                {
                    "run_id": scope.run_id,
                    "group_id": group_id,
                    "action": "update" if was else "create",
                    "name": row.target,
                    "name_key": fold(row.target),
                    "mapper": row.mapper,
                    "external_id": row.external_id,
                    "description": _description(row.attributes),
                    "attributes": row.attributes,
                }
            )
    if planned:
        connection.execute(insert(PGR), planned)
    for part in batched(targets, IN_LIST):
        connection.execute(
            update(C)
            .where(C.c.run_id == scope.run_id, C.c.number.in_([number for number, _ in part]))
            .values(target_id=case(*((C.c.number == number, to) for number, to in part)))
        )


def _owner(row: Any) -> str:  # noqa: ANN401 - a row of the stage
    """Return whose a group is: a mapper's, or nobody's where no directory holds it.

    Those stand for a path, which several mappers may have in common.
    """
    return str(row.mapper) if row.dn else ""


def _description(attributes: str) -> str:
    for name, values in json.loads(attributes).items():
        if name.lower() == "description" and values:
            return str(values[0])
    return ""


def _plan_drops(connection: Connection, scope: PlanScope, side: Side) -> None:
    """Plan the end of roles or groups that a mapper made and no container stands for any more.

    Whatever somebody was given by hand, or by another mapper, keeps its role or group.
    """
    mappers = (scope.shapes.dropping | scope.shapes.removed) & set(scope.revoking)
    if not mappers:
        return
    T, held = side.targets, side.held
    vanished = exists().where(
        A.c.run_id == scope.run_id,
        A.c.mapper == CT.c.mapper,
        A.c.container_key == CT.c.container_key,
    )
    restaged = exists().where(
        C.c.run_id == scope.run_id,
        C.c.mapper == CT.c.mapper,
        C.c.container_key == CT.c.container_key,
    )
    stands = exists().where(side.of(CT) == T.c.id, ~vanished, ~restaged)
    staged = exists().where(C.c.run_id == scope.run_id, C.c.target_id == T.c.id)
    # What a mapper gave whose word counts in this run goes with its last container.
    given = exists().where(side.of(held) == T.c.id, held.c.source.not_in(scope.revoking))
    gone = and_(
        T.c.organization_id == scope.organization_id,
        T.c.kind == "imported",
        T.c.mapper.in_(mappers),
        ~stands,
        ~staged,
        ~given,
    )
    run, action = literal(scope.run_id), literal("delete")
    if side.kind == "role":
        of_groups = schema.group_roles
        gone = and_(gone, ~exists().where(of_groups.c.role_id == T.c.id))
        columns = ["run_id", "role_id", "action", "name", "name_key", "mapper"]
        query = select(run, T.c.id, action, T.c.name, T.c.name_key, T.c.mapper)
    else:
        parents = schema.group_parents
        kept = exists().where(
            parents.c.parent_id == T.c.id, parents.c.source.not_in(scope.revoking)
        )
        gone = and_(gone, ~kept)
        columns = [
            "run_id",
            "group_id",
            "action",
            "name",
            "name_key",
            "mapper",
            "external_id",
            "description",
            "attributes",
        ]
        query = select(
            run,
            T.c.id,
            action,
            T.c.name,
            T.c.name_key,
            T.c.mapper,
            T.c.external_id,
            T.c.description,
            T.c.attributes,
        )
    connection.execute(insert(side.planned_targets).from_select(columns, query.where(gone)))
