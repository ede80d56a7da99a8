"""The rule of the last owner for plans: who would be taken from an organization that keeps none.

Judged by the plan's rows before they are written: who holds the role Owner and may sign in by then,
whether he does so now or the plan itself makes him. An organization that has no owner to lose is
bound by nothing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, exists, func, not_, or_, select, union

from syncd.errors import LastOwner
from syncd.records import batched
from syncd.store import schema
from syncd.store.accounts import DISABLED, LOCKED, moment
from syncd.store.editing.owners import OWNER_ROLE, has_owner, holders
from syncd.store.hierarchy import touched_mappers
from syncd.store.kinds import WRITES_ACCOUNT, Kind
from syncd.store.plan_scope import ACCOUNT_STATE, MISSING
from syncd.store.restricting import holds

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import BindParameter, ColumnElement, Connection, Select, Subquery

    from syncd.store.batch import Batch

U, X, P = schema.users, schema.restrictions, schema.plan_people
G, GM = schema.grants, schema.group_members
PX = schema.plan_restrictions
PG, PM, PGR = schema.plan_grants, schema.plan_members, schema.plan_groups
GA, GR, GP, E = (
    schema.group_ancestors,
    schema.group_roles,
    schema.group_parents,
    schema.stage_edges,
)
IN_LIST = 500
# Kinds after which somebody may not sign in who might before.
SHUTTING = Kind.MISSING | Kind.DISABLE | Kind.DELETE | Kind.RESTRICT


def lost_owners(
    connection: Connection,
    organization_id: str,
    run_id: int,
    now: datetime,
    rows: ColumnElement[bool] | None = None,
) -> list[tuple[int, str]]:
    """Return the owners, (id, username), whom a run's plan would take while nobody else is left.

    ``rows`` are the plan's rows that count; else all that are planned and not applied yet.
    """
    if not has_owner(connection, organization_id):
        return []
    if rows is None:
        rows = _left(connection, run_id)
    then = _holders_then(connection, organization_id, run_id, rows)
    kinds = func.coalesce(P.c.kinds, 0)
    query = (
        select(then.c.user_id)
        .select_from(then)
        .outerjoin(U, U.c.id == then.c.user_id)
        .outerjoin(P, and_(rows, P.c.user_id == then.c.user_id))
        .where(
            or_(
                and_(U.c.living, _lacks(kinds, Kind.MISSING | Kind.DELETE)),
                _has(kinds, Kind.RETURN | Kind.CREATE),
            ),
            not_(_shut_then(then.c.user_id, kinds, now)),
        )
        .limit(1)
    )
    if connection.execute(query).first() is not None:
        return []
    shut = exists().where(X.c.user_id == U.c.id, X.c.reason != LOCKED, holds(now))
    owners = (
        select(U.c.id, U.c.username)
        .where(
            U.c.organization_id == organization_id,
            U.c.id.in_(holders(OWNER_ROLE, organization_id)),
            U.c.living,
            ~shut,
        )
        .order_by(U.c.username_key)
    )
    return [(user_id, username) for user_id, username in connection.execute(owners)]


def _left(connection: Connection, run_id: int) -> ColumnElement[bool]:
    query = select(schema.runs.c.applied_number).where(schema.runs.c.id == run_id)
    applied = connection.scalar(query) or 0
    return and_(P.c.run_id == run_id, P.c.state == "planned", P.c.number > applied)


def _has(kinds: ColumnElement[int], wanted: Kind) -> ColumnElement[bool]:
    return kinds.op("&")(int(wanted)) != 0


def _lacks(kinds: ColumnElement[int], wanted: Kind) -> ColumnElement[bool]:
    return kinds.op("&")(int(wanted)) == 0


def _shut_then(
    user_id: ColumnElement[int], kinds: ColumnElement[int], now: datetime
) -> ColumnElement[bool]:
    """Tell who is shut out for good once the plan is applied."""
    at = moment(now)
    others = and_(PX.c.run_id == P.c.run_id, PX.c.user_id == user_id, _has(kinds, Kind.RESTRICT))
    lifted = exists().where(
        others, PX.c.source == X.c.source, PX.c.reason == X.c.reason, ~PX.c.holds
    )
    stays = exists().where(
        X.c.user_id == user_id,
        X.c.reason != LOCKED,
        holds(now),
        or_(X.c.reason != MISSING, _lacks(kinds, Kind.RETURN)),
        or_(X.c.source != ACCOUNT_STATE, _lacks(kinds, WRITES_ACCOUNT)),
        ~lifted,
    )
    comes = exists().where(others, PX.c.reason != LOCKED, PX.c.holds)
    said = or_(
        func.coalesce(P.c.disabled, "") == DISABLED,
        func.coalesce(P.c.expires_at <= at, False),
        func.coalesce(P.c.starts_at > at, False),
    )
    return or_(stays, comes, and_(_has(kinds, WRITES_ACCOUNT), said))


def _holders_then(
    connection: Connection, organization_id: str, run_id: int, rows: ColumnElement[bool]
) -> Subquery:
    """Return who holds the role Owner once the plan is applied."""
    groups = _owner_groups(connection, organization_id, run_id)
    counted = exists().where(rows, P.c.user_id == PG.c.user_id)
    taken = exists().where(
        PG.c.run_id == run_id,
        PG.c.user_id == G.c.user_id,
        PG.c.role_id == G.c.role_id,
        PG.c.mapper == G.c.source,
        ~PG.c.granted,
        counted,
    )
    ways = [
        select(G.c.user_id).where(
            G.c.role_id == OWNER_ROLE, G.c.organization_id == organization_id, ~taken
        ),
        select(PG.c.user_id).where(
            PG.c.run_id == run_id, PG.c.role_id == OWNER_ROLE, PG.c.granted, counted
        ),
    ]
    if groups:
        among: BindParameter[int] = bindparam(
            "owner_groups", sorted(groups), expanding=True, literal_execute=True
        )
        counted = exists().where(rows, P.c.user_id == PM.c.user_id)
        taken = exists().where(
            PM.c.run_id == run_id,
            PM.c.user_id == GM.c.user_id,
            PM.c.group_id == GM.c.group_id,
            PM.c.mapper == GM.c.source,
            ~PM.c.granted,
            counted,
        )
        ways += [
            select(GM.c.user_id).where(GM.c.group_id.in_(among), ~taken),
            select(PM.c.user_id).where(
                PM.c.run_id == run_id, PM.c.group_id.in_(among), PM.c.granted, counted
            ),
        ]
    return union(*ways).subquery("holders_then")


def _owner_groups(connection: Connection, organization_id: str, run_id: int) -> set[int]:
    """Return the groups whose members are owners once the plan is applied."""
    own = select(GR.c.group_id).where(
        GR.c.role_id == OWNER_ROLE, GR.c.organization_id == organization_id
    )
    direct = set(connection.scalars(own))
    if not direct:
        return set()
    planned = dict(
        iter(connection.execute(select(PGR.c.group_id, PGR.c.action).where(PGR.c.run_id == run_id)))
    )
    if not planned:
        below = select(GA.c.group_id).where(GA.c.ancestor_id.in_(own))
        return direct | set(connection.scalars(below))
    going = {group_id for group_id, action in planned.items() if action == "delete"}
    return _below(direct - going, _children(connection, organization_id, run_id, going))


def _children(
    connection: Connection, organization_id: str, run_id: int, going: set[int]
) -> dict[int, set[int]]:
    """Return the child groups of each group as they will be."""
    kept = select(GP.c.parent_id, GP.c.group_id).where(
        GP.c.organization_id == organization_id,
        GP.c.source.not_in(touched_mappers(connection, run_id)),
    )
    staged: Select[tuple[int, int]] = select(E.c.parent_id, E.c.group_id).where(
        E.c.run_id == run_id
    )
    found: dict[int, set[int]] = defaultdict(set)
    for query in (kept, staged):
        for parent, child in connection.execute(query):
            if parent not in going and child not in going:
                found[parent].add(child)
    return found


def _below(groups: set[int], children: dict[int, set[int]]) -> set[int]:
    found, level = set(groups), set(groups)
    while level:
        level = {child for group in level for child in children.get(group, ())} - found
        found |= level
    return found


class OwnerGuard:
    """Holds the rule for one batch while it is written, whatever was done by hand meanwhile."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        organizations = schema.organizations
        # Changes by hand take this lock, too: what is looked at here holds until the end.
        batch.connection.execute(
            select(organizations.c.id)
            .where(organizations.c.id == batch.organization_id)
            .with_for_update(key_share=True)
        )
        self._had_owner = has_owner(batch.connection, batch.organization_id)

    def rows_to_leave_out(self) -> list[int]:
        """Return the owners' rows if nobody else would be an owner once all rows are written."""
        batch = self._batch
        lost = lost_owners(
            batch.connection, batch.organization_id, batch.run_id, batch.now, batch.rows
        )
        numbers: list[int] = []
        for part in batched([user_id for user_id, _ in lost], IN_LIST):
            query = select(P.c.number).where(batch.rows, P.c.user_id.in_(part))
            numbers += batch.connection.scalars(query)
        return numbers

    def require_owner(self) -> None:
        """Make sure that an owner is left.

        Raises:
            LastOwner: Whoever was to be the next one was left out.

        """
        batch = self._batch
        if self._had_owner and not has_owner(batch.connection, batch.organization_id):
            raise LastOwner(
                f"{batch.organization_id} would be left without an owner; make somebody else an "
                "owner first (`syncd owners add`), then sync again"
            )
