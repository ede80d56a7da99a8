"""Taking people of a former provider over, whom the present one brings under ids of its own.

Only after a switch that said by what (``organizations.link_by``), and only where exactly one person
and one entry match. People who may administer are never taken over by what a directory says of
itself: of them only those whom somebody named at the switch, who kept their sign-in for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, func, insert, literal, or_, select, true, update

from syncd.permissions import Level
from syncd.records import provider_of
from syncd.store import schema
from syncd.store.kinds import Kind

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from syncd.store.plan_scope import PlanScope

S, K, R, U = schema.stage_users, schema.stage_keys, schema.stage_refs, schema.users
X, PX, P, ORG = (
    schema.restrictions,
    schema.plan_restrictions,
    schema.plan_people,
    schema.organizations,
)

G, GM, GA, GR = (
    schema.grants,
    schema.group_members,
    schema.group_ancestors,
    schema.group_roles,
)
RPS, PSS = schema.role_permission_sets, schema.permission_set_sections

PROVIDER, OTHER_PROVIDER = "provider", "other_provider"
BY_USERNAME, BY_VERIFIED_EMAIL, BY_NAME = "username", "verified-email", "named"
# Who edits one of these gets at everybody else's access: his account is the organization.
ADMINISTERING = ("users", "roles", "groups", "permission_sets", "organization")


def link_people(connection: Connection, scope: PlanScope) -> bool:
    """Let staged newcomers be the people whom they are to take over; tell whether any are."""
    query = select(ORG.c.link_by).where(ORG.c.id == scope.organization_id)
    link_by = connection.scalar(query)
    if link_by is None:
        return False
    left = is_left_behind(U.c.id)
    privileged = is_privileged(scope.organization_id, U.c.id)
    named = and_(~left, privileged)
    by_username = named if link_by != BY_USERNAME else or_(named, and_(left, ~privileged))
    matches = [and_(_by_username(scope), by_username)]
    if link_by == BY_VERIFIED_EMAIL:
        matches.append(and_(_by_email(scope), left, ~privileged))
    new = and_(S.c.run_id == scope.run_id, ~S.c.known)
    linked = False
    for match in matches:
        both = and_(new, _of_another_provider(scope), match)
        if connection.execute(select(S.c.number).join(U, true()).where(both).limit(1)).first():
            linked = True
            for table in (K, R):
                mine = and_(table.c.run_id == S.c.run_id, table.c.user_id == S.c.user_id)
                connection.execute(update(table).where(mine, both).values(user_id=U.c.id))
            connection.execute(update(S).where(both).values(user_id=U.c.id, known=True))
    return linked


def plan_lifts(connection: Connection, scope: PlanScope) -> None:
    """Plan that those who are taken over may sign in again."""
    theirs = and_(
        P.c.run_id == scope.run_id,
        P.c.kinds.op("&")(int(Kind.LINK)) != 0,
        is_left_behind(P.c.user_id),
    )
    columns = ["run_id", "user_id", "source", "reason", "holds"]
    query = select(
        P.c.run_id, P.c.user_id, literal(PROVIDER), literal(OTHER_PROVIDER), literal(False)
    ).where(theirs)
    connection.execute(insert(PX).from_select(columns, query))
    restricted = int(Kind.RESTRICT)
    connection.execute(update(P).where(theirs).values(kinds=P.c.kinds + restricted))


def is_left_behind(user_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Return what tells people of a provider that is not the organization's any more."""
    return exists().where(
        X.c.user_id == user_id, X.c.source == PROVIDER, X.c.reason == OTHER_PROVIDER
    )


def is_privileged(organization_id: str, user_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Return what tells people who administer: who may change others' access, by whatever role."""
    edits = (
        select(RPS.c.role_id)
        .join(PSS, PSS.c.permission_set_id == RPS.c.permission_set_id)
        .where(PSS.c.section.in_(ADMINISTERING), PSS.c.level == int(Level.EDIT))
    )
    direct = select(G.c.user_id).where(
        G.c.role_id.in_(edits), G.c.organization_id == organization_id
    )
    by_groups = (
        select(GM.c.user_id)
        .join(GA, GA.c.group_id == GM.c.group_id)
        .join(GR, GR.c.group_id == GA.c.ancestor_id)
        .where(GR.c.role_id.in_(edits), GR.c.organization_id == organization_id)
    )
    return or_(user_id.in_(direct), user_id.in_(by_groups))


def _of_another_provider(scope: PlanScope) -> ColumnElement[bool]:
    return and_(
        U.c.organization_id == scope.organization_id,
        U.c.living,
        U.c.provider != provider_of(scope.source),
    )


def _by_username(scope: PlanScope) -> ColumnElement[bool]:
    """Match by username, which one living person has; of the stage one entry must have it."""
    once = (
        select(S.c.username_key)
        .where(S.c.run_id == scope.run_id)
        .group_by(S.c.username_key)
        .having(func.count() == 1)
    )
    return and_(U.c.username_key == S.c.username_key, S.c.username_key.in_(once))


def _by_email(scope: PlanScope) -> ColumnElement[bool]:
    """Match by an address that both sides have verified, and nobody else has at all."""
    staged = (
        select(S.c.email_key)
        .where(S.c.run_id == scope.run_id, S.c.email_key.is_not(None))
        .group_by(S.c.email_key)
        .having(func.count() == 1)
    )
    stored = (
        select(U.c.email_key)
        .where(U.c.organization_id == scope.organization_id, U.c.living, U.c.email_key.is_not(None))
        .group_by(U.c.email_key)
        .having(func.count() == 1)
    )
    return and_(
        U.c.email_key == S.c.email_key,
        U.c.email_verified,
        S.c.email_verified,
        S.c.email_key.in_(staged),
        U.c.email_key.in_(stored),
    )
