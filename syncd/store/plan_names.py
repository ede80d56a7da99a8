"""Who may have his username: the first part of a plan, because who may not leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    and_,
    delete,
    exists,
    func,
    select,
)

from syncd.store import schema
from syncd.store.plan_scope import (
    NameConflict,
    PlanScope,
    mark,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select


S, K, R = schema.stage_users, schema.stage_keys, schema.stage_refs
A, U = schema.stage_absent, schema.users


def settle_names(connection: Connection, scope: PlanScope) -> list[NameConflict]:
    """Take those out of the stage whose username somebody else has or wants.

    Whoever holds a name keeps it. Of several newcomers who want the same name none gets it. Taking
    somebody out gives him his old name back, which may be the one another wanted: repeated until
    nothing moves.
    """
    conflicts: list[NameConflict] = []
    reason = "duplicate_username"
    while True:
        if reason == "duplicate_username":
            rows = connection.execute(_wanted_twice(scope)).all()
            reason_now, reason = reason, "username_taken"
        else:
            rows = connection.execute(_taken(scope)).all()
            reason_now = reason
            if not rows:
                break
        found = [
            NameConflict(
                row.user_id,
                bool(row.known),
                row.external_id,
                row.dn,
                row.username,
                row.username_key,
                reason_now,
            )
            for row in rows
        ]
        conflicts += found
        for start in range(0, len(found), 500):
            ids = [conflict.user_id for conflict in found[start : start + 500]]
            for table in (S, K, R):
                connection.execute(
                    delete(table).where(table.c.run_id == scope.run_id, table.c.user_id.in_(ids))
                )
            known = [conflict.user_id for conflict in found[start : start + 500] if conflict.known]
            mark(connection, scope.run_id, known, "protected")
    return conflicts


def _candidate(scope: PlanScope) -> Select[tuple[int, bool, str, str, str, str]]:
    return select(
        S.c.user_id, S.c.known, S.c.external_id, S.c.dn, S.c.username, S.c.username_key
    ).where(S.c.run_id == scope.run_id)


def _wanted_twice(scope: PlanScope) -> Select[tuple[int, bool, str, str, str, str]]:
    twice = (
        select(S.c.username_key)
        .where(S.c.run_id == scope.run_id)
        .group_by(S.c.username_key)
        .having(func.count() > 1)
    )
    holds = exists().where(U.c.id == S.c.user_id, U.c.living, U.c.username_key == S.c.username_key)
    return _candidate(scope).where(S.c.username_key.in_(twice), ~holds)


def _taken(scope: PlanScope) -> Select[tuple[int, bool, str, str, str, str]]:
    other = schema.stage_users.alias("other")
    staged = exists().where(other.c.run_id == scope.run_id, other.c.user_id == U.c.id)
    leaves = exists().where(A.c.run_id == scope.run_id, A.c.user_id == U.c.id)
    holder = exists().where(
        U.c.organization_id == scope.organization_id,
        U.c.username_key == S.c.username_key,
        U.c.living,
        U.c.id != S.c.user_id,
        ~staged,
        ~leaves,
    )
    return _candidate(scope).where(holder)


def mark_movers(connection: Connection, scope: PlanScope) -> bool:
    """Mark the people between whom a name changes hands; tell whether there are any."""
    holder = U.alias("holder")
    pairs = connection.execute(
        select(S.c.user_id, holder.c.id)
        .join(
            holder,
            and_(
                holder.c.organization_id == scope.organization_id,
                holder.c.username_key == S.c.username_key,
                holder.c.living,
                holder.c.id != S.c.user_id,
            ),
        )
        .where(S.c.run_id == scope.run_id)
    ).all()
    mark(connection, scope.run_id, [user_id for pair in pairs for user_id in pair], "mover")
    return bool(pairs)
