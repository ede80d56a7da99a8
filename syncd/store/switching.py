"""A change of an organization's provider: who loses sign-in by it, who gets it back.

Planned from what is stored and what is wanted, whatever state a switch before this one was left in.
People of the provider left behind keep everything but their sign-in; people who have an id of the
new provider, or are its people, are its own again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from sqlalchemy import (
    and_,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from syncd.errors import LastOwner, NotFound, Refused
from syncd.records import batched, fold, provider_of
from syncd.store import feed, runs, schema
from syncd.store.applying import PeopleBatch
from syncd.store.editing.owners import has_owner
from syncd.store.kinds import Kind
from syncd.store.leases import clock
from syncd.store.linking import (
    BY_USERNAME,
    BY_VERIFIED_EMAIL,
    OTHER_PROVIDER,
    PROVIDER,
    is_left_behind,
    is_privileged,
)
from syncd.store.sync_store import SyncStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection

U, I, X = schema.users, schema.identities, schema.restrictions
P, PX, S = schema.plan_people, schema.plan_restrictions, schema.stage_users
ORG, OJ = schema.organizations, schema.object_journal

IN_LIST = 500
ADMIN = "admin"


class Switched(NamedTuple):
    """Whom a switch concerns."""

    # Living people of all providers.
    people: int
    # Of them who may sign in now and may not any more.
    leaving: int
    rejoining: int


class Arrivals(NamedTuple):
    """What the new provider's people are to those who are left behind."""

    # One of these and one of those match by what the switch says.
    linked: int
    # They have the username of somebody who administers, and was not named.
    administrators: int
    # They have somebody's username, and are not to be linked: they stay out for now.
    taken: int
    # Several of them match.
    ambiguous: int


class SwitchStore(SyncStore):
    """One organization in the store, whose provider is about to be another."""

    @property
    def provider(self) -> str:
        """The provider that the organization shall have."""
        return provider_of(self.source)

    def require_named(self, usernames: Sequence[str]) -> list[int]:
        """Return the ids of administrators who are to be taken along.

        Raises:
            NotFound: There is nobody of that username.
            Refused: He does not administer the organization, or is of the new provider already.

        """
        found = []
        with self.database.read() as connection:
            for username in usernames:
                mine = and_(
                    U.c.organization_id == self.organization_id,
                    U.c.username_key == fold(username),
                    U.c.living,
                )
                privileged = is_privileged(self.organization_id, U.c.id)
                query = select(U.c.id, U.c.provider, case((privileged, 1), else_=0)).where(mine)
                row = connection.execute(query).one_or_none()
                if row is None:
                    raise NotFound(f"there is no person {username} in {self.organization_id}")
                user_id, provider, administers = row
                if not administers:
                    raise Refused(
                        f"{username} administers nothing here; others are linked by --link, or by "
                        "hand after the switch with `syncd provider link`"
                    )
                if provider != self.provider:
                    found.append(user_id)
        return found

    def plan_switch(self, run_id: int, named: Sequence[int]) -> Switched:
        """Plan who loses and who gets sign-in; ``named`` are taken along."""
        with self.database.write() as connection:
            self.lease.hold(connection)
            _plan(connection, self.organization_id, run_id, self.source, named)
            self.database.analyze(connection, P, PX)
        kinds = P.c.kinds.op("&")
        leaving = func.sum(case((and_(kinds(int(Kind.LEAVE)) != 0, U.c.enabled), 1), else_=0))
        rejoining = func.sum(case((kinds(int(Kind.REJOIN)) != 0, 1), else_=0))
        with self.database.read() as connection:
            people = select(func.count()).where(
                U.c.organization_id == self.organization_id, U.c.living
            )
            query = (
                select(leaving, rejoining)
                .select_from(P)
                .join(U, U.c.id == P.c.user_id)
                .where(P.c.run_id == run_id)
            )
            left, back = connection.execute(query).one()
            total = connection.execute(people).scalar_one()
        return Switched(int(total), int(left or 0), int(back or 0))

    def newcomers(self, run_id: int, link_by: str | None, named: Sequence[int]) -> Arrivals:
        """Return what those staged are to the people who are left behind."""
        new = and_(S.c.run_id == run_id, ~S.c.known)
        others = and_(
            U.c.organization_id == self.organization_id,
            U.c.living,
            U.c.provider != self.provider,
            ~_has_identity(self.organization_id, self.source),
        )
        is_named = or_(false(), *(U.c.id.in_(part) for part in batched(named, IN_LIST)))
        privileged = and_(is_privileged(self.organization_id, U.c.id), ~is_named)
        pairs = select(
            S.c.username_key,
            func.count().label("entries"),
            func.max(case((privileged, 1), else_=0)).label("privileged"),
            func.max(case((is_named, 1), else_=0)).label("named"),
        )
        pairs = pairs.select_from(S).join(U, and_(others, U.c.username_key == S.c.username_key))
        by_name = pairs.where(new).group_by(S.c.username_key).subquery()
        linking = literal(link_by == BY_USERNAME)
        with self.database.read() as connection:
            taken = administrators = linked = ambiguous = 0
            # Named within, so that they are grouped by what they are called.
            kinds = select(
                case((by_name.c.entries > 1, 1), else_=0).label("several"),
                by_name.c.privileged,
                case((linking, 1), else_=by_name.c.named).label("links"),
            ).subquery()
            named_kinds = (kinds.c.several, kinds.c.privileged, kinds.c.links)
            query = select(*named_kinds, func.count()).group_by(*named_kinds)
            for several, administers, links, count in connection.execute(query):
                if several:
                    ambiguous += count
                elif administers:
                    administrators += count
                elif links:
                    linked += count
                else:
                    taken += count
            if link_by == BY_VERIFIED_EMAIL:
                by_email = self._by_email(connection, and_(new, others, ~privileged, ~is_named))
                linked, ambiguous = linked + by_email[0], ambiguous + by_email[1]
        return Arrivals(linked, administrators, taken, ambiguous)

    @staticmethod
    def _by_email(connection: Connection, both: ColumnElement[bool]) -> tuple[int, int]:
        verified = and_(U.c.email_key == S.c.email_key, U.c.email_verified, S.c.email_verified)
        pairs = (
            select(func.count().label("entries"))
            .select_from(S)
            .join(U, verified)
            .where(both)
            .group_by(S.c.email_key)
            .subquery()
        )
        single = func.sum(case((pairs.c.entries == 1, 1), else_=0))
        several = func.sum(case((pairs.c.entries > 1, 1), else_=0))
        one, more = connection.execute(select(single, several)).one()
        return int(one or 0), int(more or 0)

    def begin_switch(self, run_id: int, actor: str, named: Sequence[int]) -> None:
        """Let the organization stand still until its switch is through, and begin to apply it.

        Whoever is taken along to the admin provider is known to it from here on: nobody brings him.
        """
        with self.database.write() as connection:
            self.lease.hold(connection)
            mine = ORG.c.id == self.organization_id
            connection.execute(update(ORG).where(mine).values(switching_to=self.provider))
            known = _has_identity(self.organization_id, self.source)
            for part in batched(named if self.source == ADMIN else (), IN_LIST):
                new = select(U.c.id).where(U.c.id.in_(part), ~known)
                for user_id in list(connection.scalars(new)):
                    connection.execute(insert(I).values(**new_admin(self.organization_id, user_id)))
        why = f"switch to the provider {self.provider}"
        self.begin_apply(run_id, actor, why, settles=False)

    def complete_switch(self, run_id: int, link_by: str | None, named: Sequence[int]) -> None:
        """Make the new provider the organization's own, with whoever came since it was planned."""
        (commit_id,) = feed.new_ids(self.database, "commits")
        mine = ORG.c.id == self.organization_id
        with self.database.write() as connection:
            self.lease.hold(connection)
            name, was = connection.execute(
                select(ORG.c.name, ORG.c.provider).where(mine).with_for_update()
            ).one()
            had_owner = has_owner(connection, self.organization_id)
            last = runs.last_number(connection, run_id)
            change_set_id = connection.execute(
                select(schema.runs.c.change_set_id).where(schema.runs.c.id == run_id)
            ).scalar_one()
            _plan(connection, self.organization_id, run_id, self.source, named)
            end = runs.last_number(connection, run_id)
            if end > last:
                self._batch(
                    connection,
                    run_id,
                    change_set_id=change_set_id,
                    commit_id=commit_id,
                    first=last + 1,
                    last=end,
                )
            if had_owner and not has_owner(connection, self.organization_id):
                raise LastOwner(
                    f"{self.organization_id} would be left without an owner; take one along with "
                    "--owner"
                )
            values = {"provider": self.provider, "link_by": link_by, "switching_to": None}
            connection.execute(update(ORG).where(mine).values(**values))
            marks = schema.watermarks
            connection.execute(delete(marks).where(marks.c.organization_id == self.organization_id))
            if was != self.provider:
                self._journal(connection, change_set_id, commit_id, name=name, was=was)
            runs.set_status(connection, run_id, "applying", applied_number=end)
            feed.take_position(connection, self.organization_id, commit_id, change_set_id)

    def _batch(
        self,
        connection: Connection,
        run_id: int,
        *,
        change_set_id: int,
        commit_id: int,
        first: int,
        last: int,
    ) -> None:
        PeopleBatch(
            connection,
            run_id=run_id,
            organization_id=self.organization_id,
            source=self.source,
            change_set_id=change_set_id,
            commit_id=commit_id,
            first=first,
            last=last,
            now=clock(connection),
            mappers=(),
            careful=True,
        ).apply()

    def _journal(
        self, connection: Connection, change_set_id: int, commit_id: int, *, name: str, was: str
    ) -> None:
        def shape(provider: str) -> str:
            whole: dict[str, Any] = {"name": name, "provider": provider}
            return json.dumps(whole, ensure_ascii=False)

        connection.execute(
            insert(OJ).values(
                organization_id=self.organization_id,
                change_set_id=change_set_id,
                number=1,
                object="organization",
                object_id=0,
                name=name,
                kind="update",
                before=shape(was),
                after=shape(self.provider),
                commit_id=commit_id,
            )
        )


def new_admin(organization_id: str, user_id: int) -> dict[str, Any]:
    """Return the identity of somebody whom the admin provider is to know."""
    return {
        "organization_id": organization_id,
        "source": ADMIN,
        "external_id": str(uuid4()),
        "user_id": user_id,
        "fingerprint": b"",
    }


def _has_identity(organization_id: str, source: str) -> ColumnElement[bool]:
    # By another name than that under which a statement around it may read identities itself.
    known = I.alias("known")
    return exists().where(
        known.c.user_id == U.c.id,
        known.c.organization_id == organization_id,
        known.c.source == source,
    )


def _plan(
    connection: Connection,
    organization_id: str,
    run_id: int,
    source: str,
    named: Sequence[int],
) -> None:
    """Plan whoever is not yet as he shall be under the provider of ``source``."""
    provider = provider_of(source)
    left = is_left_behind(U.c.id)
    known = _has_identity(organization_id, source)
    taken_along = or_(false(), *(U.c.id.in_(part) for part in batched(named, IN_LIST)))
    leaves = and_(U.c.provider != provider, ~known, ~left, ~taken_along)
    restored = or_(U.c.provider == provider, known, taken_along)
    rejoins = and_(restored, or_(left, and_(U.c.provider != provider, known)))
    lifted = case((left, int(Kind.RESTRICT)), else_=0)
    kinds = case((leaves, int(Kind.LEAVE | Kind.RESTRICT)), else_=int(Kind.REJOIN) + lifted)
    # Of those who are taken along only the sign-in is theirs again: a sync makes them the source's.
    kinds = case((and_(taken_along, ~known), int(Kind.RESTRICT)), else_=kinds)
    last = runs.last_number(connection, run_id)
    query = (
        select(
            literal(run_id),
            last + func.row_number().over(order_by=U.c.id),
            U.c.id,
            I.c.external_id,
            kinds,
            U.c.version,
            U.c.username,
            U.c.username_key,
            I.c.dn,
            literal(f"the organization's provider is {provider} now"),
        )
        .select_from(U)
        .outerjoin(
            I,
            and_(
                I.c.user_id == U.c.id,
                I.c.organization_id == organization_id,
                I.c.source == source,
            ),
        )
        .where(U.c.organization_id == organization_id, or_(leaves, rejoins))
    )
    columns = ["run_id", "number", "user_id", "external_id", "kinds", "version"]
    columns += ["username", "username_key", "old_dn", "cause"]
    connection.execute(insert(P).from_select(columns, query))
    restricted = P.c.kinds.op("&")(int(Kind.RESTRICT)) != 0
    there = exists().where(
        PX.c.run_id == P.c.run_id,
        PX.c.user_id == P.c.user_id,
        PX.c.source == PROVIDER,
        PX.c.reason == OTHER_PROVIDER,
    )
    query_restrictions = select(
        P.c.run_id,
        P.c.user_id,
        literal(PROVIDER),
        literal(OTHER_PROVIDER),
        P.c.kinds.op("&")(int(Kind.LEAVE)) != 0,
    ).where(P.c.run_id == run_id, P.c.number > last, restricted, ~there)
    connection.execute(
        insert(PX).from_select(
            ["run_id", "user_id", "source", "reason", "holds"], query_restrictions
        )
    )
