"""The book of runs: beginning, progress, plans that wait, and ends."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, literal, select, update

from syncd.errors import PlanNotApprovable
from syncd.store import schedules, schema, waiting
from syncd.store.kinds import Kind
from syncd.store.leases import clock
from syncd.store.staging import allocate

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from sqlalchemy import Connection

    from syncd.store.database import Database

RUNS, P, PG, PR = schema.runs, schema.plan_people, schema.plan_grants, schema.plan_roles
U, G = schema.users, schema.grants

# Most dangerous first, as plans and reports list them.
DANGER = (
    Kind.DELETE,
    Kind.MISSING,
    Kind.DISABLE,
    Kind.RENAME,
    Kind.EMAIL,
    Kind.RETURN,
    Kind.ENABLE,
    Kind.UPDATE,
    Kind.MOVE,
    Kind.CREATE,
)
NAMES = {
    Kind.CREATE: "create",
    Kind.UPDATE: "update",
    Kind.RENAME: "rename",
    Kind.EMAIL: "email_change",
    Kind.MOVE: "move",
    Kind.MISSING: "missing",
    Kind.RETURN: "return",
    Kind.DISABLE: "disable",
    Kind.ENABLE: "enable",
    Kind.DELETE: "delete",
}
FIELDS = {
    Kind.RENAME: ("username",),
    Kind.EMAIL: ("email",),
    Kind.UPDATE: ("username", "email", "email_verified", "first_name", "last_name", "attributes"),
    Kind.MOVE: ("dn",),
}


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """How much of each kind a plan brings."""

    kinds: dict[str, int]
    # People who exist already and get at least one field, name, address or place changed.
    updated: int
    granted: int
    revoked: int
    # Of the grants, those to people who were there before the run.
    granted_to_known: int
    roles_created: int
    conflicts: int
    rows: int


def run_name(run_id: int) -> str:
    """Return the id by which people call a run."""
    return f"r-{run_id:06d}"


def run_number(name: str) -> int | None:
    """Return the number in a run's name; None when it is none."""
    digits = name.removeprefix("r-")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 18 else None


def begin(database: Database, organization_id: str, mode: str, *, dry: bool) -> int:
    """Write a new run down; runs that were killed while collecting are marked as interrupted.

    Plans that have waited too long end here, too.
    """
    with database.write() as connection:
        now = clock(connection)
        expired = waiting.expire(connection, organization_id, now)
        connection.execute(
            update(RUNS)
            .where(RUNS.c.organization_id == organization_id, RUNS.c.status == "running")
            .values(status="interrupted", finished_at=now)
        )
        run_id = allocate(connection, "runs", 1)
        connection.execute(
            insert(RUNS).values(
                id=run_id,
                organization_id=organization_id,
                mode=mode,
                status="running",
                started_at=now,
                dry=dry,
            )
        )
        if not dry and mode in schedules.MODES:
            schedules.attempted(connection, organization_id, (mode,), now)
    waiting.forget_plans(database, expired)
    return run_id


def require_applicable(connection: Connection, run_id: int) -> None:
    """Make sure that a plan may still be applied, and lock it until the transaction's end."""
    query = select(RUNS.c.status).where(RUNS.c.id == run_id).with_for_update()
    status = connection.scalar(query)
    if status not in {"running", "blocked"}:
        message = (
            f"run {run_name(run_id)} is {status} by now, and nothing of it was applied; see "
            "`syncd status` for the plans that wait"
        )
        raise PlanNotApprovable(message)


def set_status(connection: Connection, run_id: int, status: str, **values: object) -> None:
    """Move a run on."""
    connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(status=status, **values))


def begin_change_set(
    connection: Connection, organization_id: str, run_id: int, actor: str, why: str | None
) -> int:
    """Open the change set under which a run's journal rows are written."""
    change_set_id = allocate(connection, "change_sets", 1)
    connection.execute(
        insert(schema.change_sets).values(
            id=change_set_id,
            organization_id=organization_id,
            run_id=run_id,
            actor=actor,
            why=why,
            at=clock(connection),
        )
    )
    return change_set_id


def create_roles(connection: Connection, run_id: int, organization_id: str) -> None:
    """Create the roles that a plan needs before anybody is granted one."""
    roles = schema.roles
    there = select(roles.c.id).where(roles.c.id == PR.c.role_id).exists()
    columns = ["id", "organization_id", "name", "name_key", "kind", "mapper", "description"]
    query = select(
        PR.c.role_id,
        literal(organization_id),
        PR.c.name,
        PR.c.name_key,
        literal("imported"),
        PR.c.mapper,
        literal(""),
    ).where(PR.c.run_id == run_id, PR.c.action == "create", ~there)
    connection.execute(insert(roles).from_select(columns, query))


def last_number(connection: Connection, run_id: int) -> int:
    """Return the number of a plan's last row."""
    query = select(func.coalesce(func.max(P.c.number), 0)).where(P.c.run_id == run_id)
    return int(connection.execute(query).scalar_one())


def planned_mappers(connection: Connection, run_id: int) -> list[str]:
    """Return the mappers whose roles a plan grants or takes."""
    query = select(PG.c.mapper).where(PG.c.run_id == run_id).distinct().order_by(PG.c.mapper)
    return list(connection.scalars(query))


def movers(connection: Connection, run_id: int) -> int:
    """Return how many rows at the plan's beginning belong into one transaction."""
    marks = schema.stage_marks
    query = (
        select(func.coalesce(func.max(P.c.number), 0))
        .join(marks, and_(marks.c.run_id == P.c.run_id, marks.c.user_id == P.c.user_id))
        .where(P.c.run_id == run_id, P.c.state == "planned", marks.c.mark == "mover")
    )
    return int(connection.execute(query).scalar_one())


def counts(connection: Connection, run_id: int, last: int | None = None) -> PlanCounts:
    """Count a plan, up to the row ``last`` or whole."""
    counted = P.c.run_id == run_id
    if last is not None:
        counted = and_(counted, P.c.number <= last)
    by_kind = dict.fromkeys(NAMES.values(), 0)
    updated = conflicts = rows = 0
    changed = Kind.UPDATE | Kind.RENAME | Kind.EMAIL | Kind.MOVE
    query = select(P.c.kinds, P.c.state, func.count()).where(counted).group_by(P.c.kinds, P.c.state)
    for value, state, count in connection.execute(query):
        kinds = Kind(value)
        if state == "held":
            continue
        if state != "planned":
            conflicts += count
            continue
        rows += count
        for kind, name in NAMES.items():
            if kinds & kind:
                by_kind[name] += count
        if kinds & changed and not kinds & Kind.CREATE:
            updated += count
    known = (P.c.version > 0).label("known")
    query_grants = (
        select(PG.c.granted, known, func.count())
        .join(P, and_(P.c.run_id == PG.c.run_id, P.c.user_id == PG.c.user_id))
        .where(PG.c.run_id == run_id, counted, P.c.state == "planned")
        .group_by(PG.c.granted, known)
    )
    granted = revoked = granted_to_known = 0
    for is_grant, is_known, count in connection.execute(query_grants):
        if is_grant:
            granted += count
            granted_to_known += count if is_known else 0
        else:
            revoked += count
    roles_created = connection.execute(
        select(func.count()).where(PR.c.run_id == run_id, PR.c.action == "create")
    ).scalar_one()
    return PlanCounts(
        by_kind, updated, granted, revoked, granted_to_known, roles_created, conflicts, rows
    )


def population(
    connection: Connection, organization_id: str, mappers: tuple[str, ...]
) -> tuple[int, int]:
    """Return how many living people and how many grants of these mappers there are."""
    people = connection.execute(
        select(func.count()).where(
            U.c.organization_id == organization_id, U.c.living, U.c.provider == "ldap"
        )
    ).scalar_one()
    held = connection.execute(
        select(func.count()).where(
            G.c.organization_id == organization_id, G.c.source.in_(mappers or ("",))
        )
    ).scalar_one()
    return people, held


def shrinking_roles(
    connection: Connection, run_id: int, organization_id: str
) -> list[tuple[str, int, int]]:
    """Return (role, members that would go, members now) of each role that loses somebody."""
    roles = schema.roles
    going = (
        select(PG.c.role_id, func.count().label("going"))
        .where(PG.c.run_id == run_id, ~PG.c.granted)
        .group_by(PG.c.role_id)
        .subquery()
    )
    now = (
        select(G.c.role_id, func.count(G.c.user_id.distinct()).label("now"))
        .where(G.c.organization_id == organization_id, G.c.role_id.in_(select(going.c.role_id)))
        .group_by(G.c.role_id)
        .subquery()
    )
    query = (
        select(roles.c.name, going.c.going, now.c.now)
        .join(going, going.c.role_id == roles.c.id)
        .join(now, now.c.role_id == roles.c.id)
        .order_by(roles.c.name)
    )
    return [(name, gone, there) for name, gone, there in connection.execute(query)]


def changes(
    connection: Connection, run_id: int, limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a plan's changes in the contract's shape, the most dangerous kinds first."""
    # Closed at the limit, and the database's cursor with it.
    with closing(_every_change(connection, run_id)) as every:
        yield from islice(every, limit)


def _every_change(connection: Connection, run_id: int) -> Generator[dict[str, Any], None, None]:
    yield from _grant_changes(connection, run_id, granted=True, privileged=True)
    for kind in DANGER:
        if kind is Kind.RENAME:
            yield from _grant_changes(connection, run_id, granted=False)
        query = (
            select(P)
            .where(P.c.run_id == run_id, P.c.kinds.op("&")(int(kind)) != 0)
            .order_by(P.c.username_key, P.c.number)
        )
        options = {"stream_results": True, "max_row_buffer": 5_000}
        with connection.execute(query, execution_options=options) as result:
            for row in result.mappings():
                yield from _changes_of(kind, row)
    yield from _grant_changes(connection, run_id, granted=True, privileged=False)


def _changes_of(kind: Kind, row: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
    base = {
        "kind": NAMES[kind],
        "username": row["old_username"] if kind is Kind.RENAME else row["username"],
        "external_id": row["external_id"],
        "field": None,
        "old": None,
        "new": None,
        "cause": row["cause"],
    }
    if row["state"] == "held":
        base["cause"] = f"held for approval: {row['cause'] or 'over its limit'}"
    elif row["state"] != "planned":
        base["cause"] = "left out: the person changed since the plan was made"
    if kind not in FIELDS:
        if kind is Kind.DISABLE:
            base["cause"] = base["cause"] or f"the directory says {row['disabled']}"
        if kind is Kind.CREATE:
            base["new"] = row["dn"]
        yield base
        return
    for field in FIELDS[kind]:
        old, new = row[f"old_{field}"], row[field]
        if field == "attributes":
            yield from _attribute_changes(base, old, new)
            continue
        if kind is Kind.UPDATE and (
            (field == "username" and row["kinds"] & Kind.RENAME)
            or (field == "email" and row["kinds"] & Kind.EMAIL)
        ):
            continue
        if field == "email_verified":
            old, new = bool(old), bool(new)
        if old != new:
            yield base | {"field": field, "old": old, "new": new}


def _attribute_changes(
    base: dict[str, Any], old: str | None, new: str | None
) -> Iterator[dict[str, Any]]:
    was, now = json.loads(old or "{}"), json.loads(new or "{}")
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            yield base | {
                "field": f"attributes.{name}",
                "old": was.get(name),
                "new": now.get(name),
            }


def _grant_changes(
    connection: Connection, run_id: int, *, granted: bool, privileged: bool | None = None
) -> Iterator[dict[str, Any]]:
    roles = schema.roles
    name = func.coalesce(PR.c.name, roles.c.name).label("role")
    query = (
        select(P.c.username, P.c.external_id, PG.c.mapper, name, P.c.state)
        .join(P, and_(P.c.run_id == PG.c.run_id, P.c.user_id == PG.c.user_id))
        .outerjoin(PR, and_(PR.c.run_id == PG.c.run_id, PR.c.role_id == PG.c.role_id))
        .outerjoin(roles, roles.c.id == PG.c.role_id)
        .where(PG.c.run_id == run_id, PG.c.granted if granted else ~PG.c.granted)
        .order_by(P.c.username, name)
    )
    if privileged is not None:
        own = PG.c.role_id < schema.FIRST_FREE_ROLE_ID
        query = query.where(own if privileged else ~own)
    options = {"stream_results": True, "max_row_buffer": 5_000}
    with connection.execute(query, execution_options=options) as result:
        for username, external_id, mapper, role, _state in result:
            yield {
                "kind": "grant" if granted else "revoke",
                "username": username,
                "external_id": external_id,
                "field": "roles",
                "old": None if granted else role,
                "new": role if granted else None,
                "cause": f"mapper {mapper}",
            }
