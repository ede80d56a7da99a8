"""The containers' books: which entries stand for roles and groups, and what they say of members.

Written behind the people, in transactions of bounded size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from syncd.store import schema
from syncd.store.nesting import PARENT
from syncd.store.pointing import unresolved

if TYPE_CHECKING:
    from sqlalchemy import (
        ColumnElement,
        Connection,
        Delete,
        FromClause,
        ScalarSelect,
        Update,
    )

CT, MR = schema.containers, schema.membership_refs
R, C, A = schema.stage_refs, schema.stage_containers, schema.stage_absent
IK = schema.identity_keys

# A second of SQLite's only write lock; on PostgreSQL nobody waits, and larger sets sort better.
CONTAINERS_PER_TRANSACTION = {"sqlite": 100, "postgresql": 1000}


def last_container(connection: Connection, run_id: int) -> int:
    """Return the number of the last staged container."""
    query = select(func.coalesce(func.max(C.c.number), 0)).where(C.c.run_id == run_id)
    return int(connection.execute(query).scalar_one())


def has_shared_keys(connection: Connection, organization_id: str) -> bool:
    """Tell whether containers may mean several people by one key (a UID that is not unique)."""
    query = (
        select(IK.c.key)
        .where(IK.c.organization_id == organization_id)
        .group_by(IK.c.kind, IK.c.key)
        .having(func.count() > 1)
        .limit(1)
    )
    return connection.execute(query).first() is not None


def settle_containers(
    connection: Connection,
    organization_id: str,
    run_id: int,
    *,
    first: int,
    last: int,
    shared_keys: bool,
) -> None:
    """Store the staged containers ``first`` to ``last`` and what they say of their members.

    Of a container that is there already only what it says anew or no more is written. One whose
    members were not read whole keeps its old references beside the new ones and gets no digest, so
    that it is read again.
    """
    staged = and_(C.c.run_id == run_id, C.c.number >= first, C.c.number <= last)
    same = and_(CT.c.mapper == C.c.mapper, CT.c.container_key == C.c.container_key)
    known = exists().where(CT.c.organization_id == organization_id, same)
    # A statement of their own for each: a set of them in one reads the whole table on SQLite.
    there: list[dict[str, object]] = []
    whole: list[dict[str, object]] = []
    stored = select(C.c.number, C.c.mapper, C.c.container_key, C.c.whole).where(staged, known)
    for number, mapper, key, is_whole in connection.execute(stored):
        there.append({"own_number": number, "own_mapper": mapper, "own_key": key})
        whole += there[-1:] if is_whole else ()
    digest = case((C.c.whole, C.c.digest))
    role_id = case((C.c.kind == "role", C.c.target_id), else_=0)
    group_id = case((C.c.kind == "group", C.c.target_id))
    outside = C.c.kind == "outside"
    connection.execute(
        update(CT)
        .where(CT.c.organization_id == organization_id, same, staged)
        .values(
            external_id=C.c.external_id,
            dn=C.c.dn,
            name=C.c.name,
            role_id=role_id,
            digest=digest,
            run_id=C.c.run_id,
            group_id=group_id,
            dn_key=C.c.dn_key,
            outside=outside,
        )
    )
    columns = [
        "organization_id",
        "mapper",
        "container_key",
        "external_id",
        "dn",
        "name",
        "role_id",
        "digest",
        "run_id",
        "group_id",
        "dn_key",
        "outside",
    ]
    connection.execute(
        insert(CT).from_select(
            columns,
            select(
                literal(organization_id),
                C.c.mapper,
                C.c.container_key,
                C.c.external_id,
                C.c.dn,
                C.c.name,
                role_id,
                digest,
                C.c.run_id,
                group_id,
                C.c.dn_key,
                outside,
            ).where(staged, ~known),
        )
    )
    named = and_(
        IK.c.organization_id == organization_id,
        IK.c.kind == R.c.kind,
        IK.c.key == R.c.member_key,
    )
    somebody = select(func.min(IK.c.user_id)).where(named).correlate(R).scalar_subquery()
    resolved: ColumnElement[int] = somebody if shared_keys else IK.c.user_id
    if whole:
        connection.execute(_forgetting(organization_id, run_id), whole)
    if there:
        connection.execute(_renewing(organization_id, run_id, somebody), there)
    query = select(
        literal(organization_id),
        R.c.mapper,
        R.c.container_key,
        R.c.kind,
        R.c.member_key,
        R.c.value,
        resolved,
    )
    query = query.select_from(R) if shared_keys else query.select_from(R).outerjoin(IK, named)
    query = query.where(R.c.run_id == run_id, R.c.number >= first, R.c.number <= last)
    if there:
        already = exists().where(
            MR.c.organization_id == organization_id,
            MR.c.mapper == R.c.mapper,
            MR.c.container_key == R.c.container_key,
            MR.c.kind == R.c.kind,
            MR.c.member_key == R.c.member_key,
        )
        query = query.where(~already)
    # In the order of the key, so that neighbours go to one page.
    query = query.order_by(R.c.mapper, R.c.container_key, R.c.kind, R.c.member_key)
    connection.execute(insert(MR).from_select(_REF_COLUMNS, query))


def _own_references(organization_id: str, table: FromClause) -> ColumnElement[bool]:
    return and_(
        table.c.organization_id == organization_id,
        table.c.mapper == bindparam("own_mapper"),
        table.c.container_key == bindparam("own_key"),
    )


def _forgetting(organization_id: str, run_id: int) -> Delete:
    """Return what deletes what a container said and does not say any more."""
    was = MR.alias("was")
    said = select(R.c.kind, R.c.member_key).where(
        R.c.run_id == run_id, R.c.number == bindparam("own_number")
    )
    no_more = (
        select(was.c.kind, was.c.member_key)
        .where(_own_references(organization_id, was), was.c.kind != "of")
        .except_(said)
    )
    return delete(MR).where(
        _own_references(organization_id, MR),
        MR.c.kind != "of",
        tuple_(MR.c.kind, MR.c.member_key).in_(no_more),
    )


def _renewing(organization_id: str, run_id: int, somebody: ScalarSelect[int]) -> Update:
    """Return what writes what a container still says in other words, or of somebody else."""
    return (
        update(MR)
        .where(
            _own_references(organization_id, MR),
            MR.c.kind == R.c.kind,
            MR.c.member_key == R.c.member_key,
            R.c.run_id == run_id,
            R.c.number == bindparam("own_number"),
            or_(MR.c.value != R.c.value, MR.c.user_id.is_distinct_from(somebody)),
        )
        .values(value=R.c.value, user_id=somebody)
    )


_REF_COLUMNS = [
    "organization_id",
    "mapper",
    "container_key",
    "kind",
    "member_key",
    "value",
    "user_id",
]


def unresolved_members(connection: Connection, organization_id: str) -> int:
    """Return how many members that containers name are neither somebody nor a container known.

    Not counted are words about a container itself: that it is in another, and its number as
    somebody's primary group, which most groups are nobody's.
    """
    container = exists().where(
        CT.c.organization_id == organization_id,
        CT.c.mapper == MR.c.mapper,
        CT.c.dn_key == MR.c.member_key,
    )
    query = select(func.count()).where(
        unresolved(organization_id), MR.c.kind.not_in((PARENT, "uid:primarygroup")), ~container
    )
    return int(connection.execute(query.select_from(MR)).scalar_one())


def any_gone_container(connection: Connection, run_id: int) -> bool:
    """Tell whether a run found containers gone."""
    query = select(literal(1)).where(A.c.run_id == run_id, A.c.mapper.is_not(None)).limit(1)
    return connection.execute(query).first() is not None


def drop_gone_containers(connection: Connection, organization_id: str, run_id: int) -> None:
    """Forget containers that a complete listing no longer has."""
    for table in (MR, CT):
        gone = exists().where(
            A.c.run_id == run_id,
            A.c.mapper == table.c.mapper,
            A.c.container_key == table.c.container_key,
        )
        connection.execute(delete(table).where(table.c.organization_id == organization_id, gone))
