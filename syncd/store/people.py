"""Reading people for whoever asks: all of them, one of them, with what each holds.

Writes nothing but an organization's own row. The shapes are the contract's.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import bindparam, func, insert, select, update

from syncd.errors import ConstraintViolated
from syncd.records import fold
from syncd.store import schema
from syncd.store.among import among_given
from syncd.store.database import plan_once
from syncd.store.effective import DEFAULT_ROLE, levels, roles_by_groups
from syncd.store.group_paths import group_paths
from syncd.store.identifying import is_shown
from syncd.store.leases import clock
from syncd.store.origins import origins
from syncd.store.run_reads import RunReads, iso
from syncd.store.sides import SIDES
from syncd.store.source_reads import SourceReads
from syncd.store.target_reads import TargetReads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import BindParameter, Connection, Select

    from syncd.permissions import Level
    from syncd.store.database import Database
    from syncd.store.effective import HeldRole
    from syncd.store.origins import Origins
    from syncd.store.sides import Side

U, I, X = schema.users, schema.identities, schema.restrictions
ORG, EX = schema.organizations, schema.exclusions
PAGE = 1_000
# What is given to statements that are made once.
ORGANIZATION, IDS = "organization", "ids"

# What somebody holds of one side: by the target's id its name and the sources.
Held = dict[int, tuple[str, list[str]]]


class People(RunReads, SourceReads, TargetReads):
    """One organization's people, roles, groups and books, read only."""

    def __init__(self, database: Database, organization_id: str) -> None:
        self.database = database.of(organization_id)
        self.organization_id = organization_id

    # --- the organization -----------------------------------------------------------------

    def organization(self) -> Mapping[str, Any] | None:
        """Return the organization as applied; None before its first run."""
        with self.database.read() as connection:
            row = connection.execute(
                select(ORG).where(ORG.c.id == self.organization_id)
            ).one_or_none()
            return None if row is None else dict(row._mapping)  # noqa: SLF001 - public, despite its name

    def create_organization(self, name: str, provider: str) -> None:
        """Write the organization down when it is first seen, by whoever is the first."""
        with suppress(ConstraintViolated), self.database.write() as connection:
            there = connection.execute(
                select(ORG.c.id).where(ORG.c.id == self.organization_id)
            ).first()
            if there is None:
                connection.execute(
                    insert(ORG).values(
                        id=self.organization_id,
                        name=name,
                        provider=provider,
                        digest_key=secrets.token_bytes(32),
                        created_at=clock(connection),
                    )
                )

    def pause(self, because: str | None) -> None:
        """Stop the organization's syncs until somebody resumes them."""
        with self.database.write() as connection:
            connection.execute(
                update(ORG)
                .where(ORG.c.id == self.organization_id)
                .values(paused_at=clock(connection), paused_because=because or "")
            )

    def resume(self) -> None:
        """Let the organization's syncs run again."""
        with self.database.write() as connection:
            connection.execute(
                update(ORG)
                .where(ORG.c.id == self.organization_id)
                .values(paused_at=None, paused_because=None)
            )

    # --- people ---------------------------------------------------------------------------

    def users(self) -> Iterator[dict[str, Any]]:
        """Yield all people, sorted by username."""
        query = self._users().order_by(U.c.username_key, U.c.id)
        paths: dict[int, str] = {}
        with self.database.read() as connection:
            options = {"stream_results": True, "max_row_buffer": PAGE}
            for rows in connection.execute(query, execution_options=options).partitions(PAGE):
                with self.database.read() as inner:
                    yield from self._shape(inner, rows, paths)

    def user(self, username: str) -> dict[str, Any] | None:
        """Return one person by username; a living one goes before a missing one."""
        with self.database.read_by_key() as connection:
            rows = connection.execute(
                self._users()
                .where(U.c.username_key == fold(username))
                .order_by(U.c.living.desc(), U.c.id.desc())
                .limit(1)
            ).all()
            return next(self._shape(connection, rows, {}), None)

    def person(self, connection: Connection, user_id: int) -> dict[str, Any] | None:
        """Return one person by id, as a transaction sees him."""
        rows = connection.execute(self._users().where(U.c.id == user_id)).all()
        return next(self._shape(connection, rows, {}), None)

    def of_ids(self, connection: Connection, user_ids: Sequence[int]) -> list[dict[str, Any]]:
        """Return people by id, in the order of the ids; whoever is not there is left out."""
        if not user_ids:
            return []
        plan_once(connection)
        given = {ORGANIZATION: self.organization_id, IDS: user_ids}
        found = {row.id: row for row in connection.execute(_given_people(), given).all()}
        rows = [found[user_id] for user_id in user_ids if user_id in found]
        return list(self._shape(connection, rows, {}))

    def user_by_external_id(self, external_id: str) -> dict[str, Any] | None:
        """Return one person by the directory's id."""
        with self.database.read_by_key() as connection:
            rows = connection.execute(
                self._users().where(I.c.external_id == external_id).limit(1)
            ).all()
            return next(self._shape(connection, rows, {}), None)

    def excluded_since(self, username: str, external_id: str | None) -> datetime | None:
        """Return since when syncs pass over somebody, by the directory's id or else by username."""
        query = select(EX.c.username, EX.c.since).where(
            EX.c.organization_id == self.organization_id
        )
        if external_id is not None:
            query = query.where(EX.c.external_id == external_id)
        with self.database.read() as connection:
            for name, since in connection.execute(query):
                if external_id is not None or fold(name) == fold(username):
                    return cast("datetime", since)
        return None

    def _users(self) -> Select[Any]:
        return _people(self.organization_id)

    def _shape(
        self, connection: Connection, rows: Sequence[Any], paths: dict[int, str]
    ) -> Iterator[dict[str, Any]]:
        """Yield people; ``paths`` are those of groups met before, and gets those met now."""
        ids = [row.id for row in rows]
        restrictions: dict[int, list[dict[str, Any]]] = {}
        upcoming: dict[int, list[dict[str, Any]]] = {}
        now = clock(connection)
        for row in connection.execute(_restrictions(), {IDS: ids}).all():
            if row.until is not None and row.until <= now:
                continue
            theirs = restrictions if row.since <= now else upcoming
            theirs.setdefault(row.user_id, []).append(
                {
                    "reason": row.reason,
                    "source": row.source,
                    "since": iso(row.since),
                    "until": iso(row.until),
                }
            )
        roles, groups = (_held(connection, side, ids) for side in SIDES)
        ways = roles_by_groups(connection, ids)
        met = {group_id for held in groups.values() for group_id in held}
        met |= {way.group_id for way in ways if way.group_id is not None}
        paths |= group_paths(connection, met - paths.keys())
        _add_ways(connection, roles, ways, paths)
        for row in rows:
            yield {
                "id": row.id,
                "organization": self.organization_id,
                "provider": row.provider,
                "external_id": row.external_id,
                "username": row.username,
                "email": row.email,
                "email_verified": bool(row.email_verified),
                "first_name": row.first_name,
                "last_name": row.last_name,
                # As it is now: what is stored is as of the last run.
                "enabled": row.id not in restrictions,
                "disabled_because": restrictions.get(row.id, []),
                "upcoming": upcoming.get(row.id, []),
                "dn": row.dn,
                "source_created_at": row.source_created_at,
                "source_modified_at": row.source_modified_at,
                "attributes": json.loads(row.attributes),
                "roles": _role_shapes(roles[row.id]),
                "groups": _group_shapes(groups[row.id], paths),
                "last_sign_in": iso(row.last_sign_in),
            }

    def levels(self, user_id: int) -> dict[str, Level]:
        """Return what somebody may do, sections without access left out."""
        with self.database.read_by_key() as connection:
            return levels(connection, [user_id])[user_id]

    def origins(self, user_id: int) -> Origins:
        """Return by which change sets somebody has what he has."""
        with self.database.read() as connection:
            return origins(connection, self.organization_id, user_id)

    def written_by(self, user_id: int) -> int | None:
        """Return the run that last wrote a person."""
        with self.database.read() as connection:
            query = select(func.max(I.c.run_id)).where(I.c.user_id == user_id)
            found: int | None = connection.execute(query).scalar_one()
        return found


def _people(organization_id: str | BindParameter[str]) -> Select[Any]:
    return (
        select(
            U.c.id,
            U.c.provider,
            U.c.username,
            U.c.email,
            U.c.email_verified,
            U.c.first_name,
            U.c.last_name,
            U.c.attributes,
            U.c.living,
            U.c.last_sign_in,
            I.c.external_id,
            I.c.dn,
            I.c.source_created_at,
            I.c.source_modified_at,
            I.c.run_id,
        )
        .outerjoin(I, is_shown())
        .where(U.c.organization_id == organization_id)
    )


# Statements of every page are asked too often to be made anew.


@cache
def _given_people() -> Select[Any]:
    return _people(bindparam(ORGANIZATION)).where(among_given(U.c.id, IDS))


@cache
def _restrictions() -> Select[Any]:
    return (
        select(X.c.user_id, X.c.reason, X.c.source, X.c.since, X.c.until)
        .where(among_given(X.c.user_id, IDS))
        .order_by(X.c.source, X.c.reason)
    )


@cache
def _holding(side: Side) -> Select[Any]:
    held, targets = side.held, side.targets
    return (
        select(held.c.user_id, side.of(held), targets.c.name, held.c.source)
        .join(targets, targets.c.id == side.of(held))
        .where(among_given(held.c.user_id, IDS))
    )


def _held(connection: Connection, side: Side, ids: Sequence[int]) -> dict[int, Held]:
    """Return what each of these people holds."""
    found: dict[int, Held] = defaultdict(dict)
    for user_id, target_id, name, source in connection.execute(_holding(side), {IDS: ids}).all():
        found[user_id].setdefault(target_id, (name, []))[1].append(source)
    return found


def _add_ways(
    connection: Connection,
    roles: dict[int, Held],
    ways: Sequence[HeldRole],
    paths: Mapping[int, str],
) -> None:
    """Add what people have by groups to the roles that they hold themselves."""
    ids = {way.role_id for way in ways}
    names = _role_names(connection, ids) if ids else {}
    for way in ways:
        if way.group_id is not None and way.role_id in names:
            sources = roles[way.user_id].setdefault(way.role_id, (names[way.role_id], []))[1]
            source = f"group:{paths[way.group_id]}"
            if source not in sources:
                sources.append(source)


def _role_names(connection: Connection, role_ids: Iterable[int]) -> dict[int, str]:
    found = connection.execute(_roles(), {IDS: sorted(role_ids)})
    return {row.id: row.name for row in found}


@cache
def _roles() -> Select[Any]:
    return select(schema.roles.c.id, schema.roles.c.name).where(among_given(schema.roles.c.id, IDS))


def _role_shapes(held: Held) -> list[dict[str, Any]]:
    """Return roles as the contract has them; everybody has the default one."""
    by_name = dict(held.values())
    by_name[DEFAULT_ROLE] = [*by_name.get(DEFAULT_ROLE, []), "default"]
    return [{"name": name, "sources": sorted(sources)} for name, sources in sorted(by_name.items())]


def _group_shapes(held: Held, paths: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return groups as the contract has them; several may have one name."""
    shapes = [
        {"name": name, "path": paths[group_id], "sources": sorted(sources)}
        for group_id, (name, sources) in held.items()
    ]
    return sorted(shapes, key=lambda shape: (shape["name"], shape["path"]))
