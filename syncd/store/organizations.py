"""An organization itself: its row, what there is of it, and its end.

An end takes everything away in transactions of bounded size and can be gone on with after a sudden
stop: the row says first that the organization is deleted, and stays when all else is gone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, select, tuple_, update

from syncd.errors import Refused
from syncd.records import batched, fold
from syncd.store import schema
from syncd.store.editing.change import change
from syncd.store.editing.owners import OWNER_ROLE, has_owner, holders
from syncd.store.leases import Lease, clock
from syncd.store.linking import is_left_behind
from syncd.store.run_reads import iso
from syncd.store.waiting import drop_plans

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import ColumnElement, Connection, Table

    from syncd.store.database import Database

ORG, U = schema.organizations, schema.users
BOOKS, RUNS = schema.address_books, schema.runs

# A transaction's worth: SQLite has one writer at a time, who must not keep others waiting.
PEOPLE_PER_TRANSACTION = 500
ROWS_PER_TRANSACTION = 2_000
# What hangs on a person, and has no index by organization.
OF_PEOPLE: tuple[Table, ...] = (
    schema.grants,
    schema.group_members,
    schema.restrictions,
    schema.identity_keys,
    schema.identities,
    schema.passwords,
    schema.links,
    schema.handoffs,
    schema.sessions,
)
# Everything else but the plans, in an order in which a stop leaves nothing that misleads.
OF_ORGANIZATIONS: tuple[Table, ...] = (
    schema.api_tokens,
    schema.idempotency_keys,
    schema.sign_ins,
    schema.sign_in_attempts,
    *OF_PEOPLE,
    schema.address_book_tags,
    schema.address_book_entries,
    schema.address_books,
    schema.membership_refs,
    schema.container_ancestors,
    schema.containers,
    schema.group_roles,
    schema.group_ancestors,
    schema.group_parents,
    schema.groups,
    schema.role_permission_sets,
    schema.permission_set_sections,
    schema.permission_sets,
    schema.roles,
    schema.exclusions,
    schema.quarantine,
    schema.watermarks,
    schema.schedules,
    schema.journal,
    schema.object_journal,
    schema.change_sets,
    schema.used_logout_tokens,
)


class Organizations:
    """One organization's own row, for those who look at it or end it."""

    def __init__(self, database: Database, organization_id: str) -> None:
        self.database = database.of(organization_id)
        self.organization_id = organization_id

    def row(self) -> Mapping[str, Any] | None:
        """Return the organization as applied; None where there is none."""
        with self.database.read() as connection:
            found = connection.execute(
                select(ORG).where(ORG.c.id == self.organization_id)
            ).one_or_none()
        if found is None:
            return None
        return {
            **found._asdict(),
            "created_at": iso(found.created_at),
            "deleted_at": iso(found.deleted_at),
            "paused_at": iso(found.paused_at),
        }

    def counts(self) -> dict[str, int]:
        """Return how much there is of what."""
        of = self.organization_id
        mine = U.c.organization_id == of
        people = {
            "people": U.c.living,
            "enabled": and_(U.c.living, U.c.enabled),
            "missing": ~U.c.living,
            "left_behind": and_(U.c.living, is_left_behind(U.c.id)),
        }
        tables = {
            "roles": schema.roles,
            "groups": schema.groups,
            "permission_sets": schema.permission_sets,
            "address_books": schema.address_books,
            "tokens": schema.api_tokens,
            "exclusions": schema.exclusions,
        }
        with self.database.read() as connection:

            def count(query: ColumnElement[bool], table: Table) -> int:
                counted = select(func.count()).select_from(table).where(query)
                return int(connection.execute(counted).scalar_one())

            found = {name: count(and_(mine, each), U) for name, each in people.items()}
            found |= {
                name: count(table.c.organization_id == of, table) for name, table in tables.items()
            }
        return found

    def owner_named(self, username: str) -> bool:
        """Return whether this is one of the organization's owners."""
        query = select(U.c.id).where(
            U.c.organization_id == self.organization_id,
            U.c.username_key == fold(username),
            U.c.living,
            U.c.id.in_(holders(OWNER_ROLE, self.organization_id)),
        )
        with self.database.read() as connection:
            return connection.execute(query).first() is not None

    def has_owner(self) -> bool:
        """Return whether anybody may do everything."""
        with self.database.read() as connection:
            return has_owner(connection, self.organization_id)

    def note_idp(self, facts: Mapping[str, str | None]) -> bool:
        """Keep what identifies the provider as of now; True if it was another before.

        Raises:
            Refused: The organization was deleted.

        """
        text = json.dumps(dict(sorted(facts.items())), ensure_ascii=False)
        query = select(ORG.c.idp, ORG.c.name).where(ORG.c.id == self.organization_id)
        with self.database.read_by_key() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or row.idp == text:
            return False
        opened = change(
            self.database,
            self.organization_id,
            actor="configuration",
            why="the identity provider's settings changed",
        )
        with opened as c:
            # Another process may have been faster.
            was = c.connection.execute(query).one()
            mine = ORG.c.id == self.organization_id
            c.connection.execute(update(ORG).where(mine).values(idp=text))
            if was.idp is None or was.idp == text:
                return False
            c.of_object(
                "organization",
                0,
                was.name,
                before={"name": was.name, "idp": json.loads(was.idp)},
                after={"name": was.name, "idp": dict(facts)},
            )
        return True

    def end(self, progress: Callable[[str, int], None] = lambda _what, _rows: None) -> int:
        """Delete everything of the organization but its row; return how many rows that were.

        Raises:
            LeaseHeld: A sync is under way.

        """
        with Lease(self.database, self.organization_id):
            with self.database.write() as connection:
                mine = ORG.c.id == self.organization_id
                values = dict.fromkeys(("link_by", "switching_to", "paused_at", "idp"))
                connection.execute(
                    update(ORG)
                    .where(mine)
                    .values(deleted_at=func.coalesce(ORG.c.deleted_at, clock(connection)), **values)
                )
            return self._drop(progress)

    def _drop(self, progress: Callable[[str, int], None]) -> int:
        dropped = self._drop_plans()
        progress("plans", dropped)
        while rows := self._drop_people():
            dropped += rows
            progress("people", dropped)
        for table in OF_ORGANIZATIONS:
            dropped += self._drop_rows(table)
            progress(table.name, dropped)
        with self.database.write() as connection:
            # Together: who follows the changes is told that there are none of before any more.
            for table in (RUNS, schema.commits, schema.feed_heads):
                dropped += self._delete(connection, table)
        return dropped

    def _drop_plans(self) -> int:
        with self.database.read() as connection:
            query = select(RUNS.c.id).where(RUNS.c.organization_id == self.organization_id)
            run_ids = list(connection.scalars(query))
        dropped = 0
        for part in batched(run_ids, PEOPLE_PER_TRANSACTION):
            dropped += drop_plans(self.database, part)
            with self.database.write() as connection:
                for table in (schema.listings, schema.plan_restrictions, schema.plan_objects):
                    statement = delete(table).where(table.c.run_id.in_(part))
                    dropped += max(connection.execute(statement).rowcount, 0)
            if self.database.stage_path is None:
                with self.database.stage() as connection:
                    for table in schema.stage_metadata.sorted_tables:
                        connection.execute(delete(table).where(table.c.run_id.in_(part)))
        self.database.empty_stage()
        return dropped

    def _drop_people(self) -> int:
        """Delete some people with all that is theirs; return how many rows that were."""
        with self.database.write() as connection:
            some = (
                select(U.c.id)
                .where(U.c.organization_id == self.organization_id)
                .limit(PEOPLE_PER_TRANSACTION)
            )
            ids = list(connection.scalars(some))
            if not ids:
                return 0
            books = select(BOOKS.c.id).where(BOOKS.c.owner_id.in_(ids))
            dropped = 0
            for table in (schema.address_book_tags, schema.address_book_entries):
                statement = delete(table).where(table.c.address_book_id.in_(books))
                dropped += max(connection.execute(statement).rowcount, 0)
            connection.execute(delete(BOOKS).where(BOOKS.c.owner_id.in_(ids)))
            for table in OF_PEOPLE:
                statement = delete(table).where(table.c.user_id.in_(ids))
                dropped += max(connection.execute(statement).rowcount, 0)
            connection.execute(delete(U).where(U.c.id.in_(ids)))
            return dropped + len(ids)

    def _drop_rows(self, table: Table) -> int:
        keys = list(table.primary_key.columns)
        part = (
            select(*keys)
            .where(table.c.organization_id == self.organization_id)
            .limit(ROWS_PER_TRANSACTION)
        )
        which = keys[0].in_(part) if len(keys) == 1 else tuple_(*keys).in_(part)
        dropped = 0
        while True:
            with self.database.write() as connection:
                count = connection.execute(delete(table).where(which)).rowcount
            dropped += max(count, 0)
            if count < 1:
                return dropped

    def _delete(self, connection: Connection, table: Table) -> int:
        statement = delete(table).where(table.c.organization_id == self.organization_id)
        return max(connection.execute(statement).rowcount, 0)

    def forget(self) -> None:
        """Remove the row of an organization that was deleted.

        Raises:
            Refused: It was not deleted, or not to the end.

        """
        left = select(U.c.id).where(U.c.organization_id == self.organization_id).limit(1)
        runs = select(RUNS.c.id).where(RUNS.c.organization_id == self.organization_id).limit(1)
        with self.database.write() as connection:
            mine = ORG.c.id == self.organization_id
            deleted = connection.scalar(select(ORG.c.deleted_at).where(mine))
            whole = any(connection.execute(each).first() is not None for each in (left, runs))
            if deleted is None or whole:
                raise Refused(
                    f"{self.organization_id} was not deleted; `syncd organization delete "
                    f"{self.organization_id}` does that first"
                )
            for table in (schema.leases, schema.schedules):
                self._delete(connection, table)
            connection.execute(delete(ORG).where(mine))
