"""Reading people for whoever asks: all of them, one of them, with what each holds.

Writes nothing but an organization's own row. The shapes are the contract's.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import func, insert, select, update

from syncd.errors import ConstraintViolated
from syncd.records import fold
from syncd.store import schema
from syncd.store.database import plan_once
from syncd.store.effective import levels
from syncd.store.groups_kept import groups_met
from syncd.store.groups_met import GroupsMet
from syncd.store.leases import clock
from syncd.store.origins import origins
from syncd.store.person_shapes import (
    IDS,
    ORGANIZATION,
    select_given_people,
    select_people,
    shapes,
)
from syncd.store.run_reads import RunReads
from syncd.store.source_reads import SourceReads
from syncd.store.target_reads import TargetReads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Select

    from syncd.permissions import Level
    from syncd.store.database import Database
    from syncd.store.origins import Origins

U, I = schema.users, schema.identities
ORG, EX = schema.organizations, schema.exclusions
PAGE = 1_000


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
        met = GroupsMet()
        with self.database.read() as connection:
            options = {"stream_results": True, "max_row_buffer": PAGE}
            for rows in connection.execute(query, execution_options=options).partitions(PAGE):
                with self.database.read() as inner:
                    yield from shapes(inner, self.organization_id, rows, met)

    def user(self, username: str) -> dict[str, Any] | None:
        """Return one person by username; a living one goes before a missing one."""
        with self.database.read_by_key() as connection:
            rows = connection.execute(
                self._users()
                .where(U.c.username_key == fold(username))
                .order_by(U.c.living.desc(), U.c.id.desc())
                .limit(1)
            ).all()
            return self._only(connection, rows)

    def person(self, connection: Connection, user_id: int) -> dict[str, Any] | None:
        """Return one person by id, as a transaction sees him."""
        rows = connection.execute(self._users().where(U.c.id == user_id)).all()
        return self._only(connection, rows)

    def of_ids(self, connection: Connection, user_ids: Sequence[int]) -> list[dict[str, Any]]:
        """Return people by id, in the order of the ids; whoever is not there is left out.

        ``connection`` is of ``read_by_key``.
        """
        if not user_ids:
            return []
        plan_once(connection)
        given = {ORGANIZATION: self.organization_id, IDS: user_ids}
        found = {row.id: row for row in connection.execute(select_given_people(), given).all()}
        rows = [found[user_id] for user_id in user_ids if user_id in found]
        met = groups_met(self.database, connection, self.organization_id)
        return list(shapes(connection, self.organization_id, rows, met))

    def user_by_external_id(self, external_id: str) -> dict[str, Any] | None:
        """Return one person by the directory's id."""
        with self.database.read_by_key() as connection:
            rows = connection.execute(
                self._users().where(I.c.external_id == external_id).limit(1)
            ).all()
            return self._only(connection, rows)

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
        return select_people(self.organization_id)

    def _only(self, connection: Connection, rows: Sequence[Any]) -> dict[str, Any] | None:
        return next(shapes(connection, self.organization_id, rows, GroupsMet()), None)

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
