"""One change by hand: a transaction that writes what is changed, its journal and its position.

Everything in it stands under one change set, which says who, why and when. A change that turns out
to change nothing leaves nothing behind.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from syncd.errors import LastOwner, Refused
from syncd.store import schema
from syncd.store.editing.owners import ownership
from syncd.store.feed import new_ids, take_position
from syncd.store.leases import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection

    from syncd.store.database import Database

ORG, CS = schema.organizations, schema.change_sets
J, OJ = schema.journal, schema.object_journal


@contextmanager
def change(
    database: Database, organization_id: str, *, actor: str, why: str | None = None
) -> Iterator[Change]:
    """Open a change of an organization, committed at the end.

    The organization's row is locked first: changes by hand of one organization come one after the
    other, so a rule that was looked at still holds when it is written.

    Raises:
        Refused: The organization was deleted.

    """
    database = database.of(organization_id)
    change_set_id, commit_id = new_ids(database, "change_sets", "commits")
    with database.write() as connection:
        # On SQLite the transaction holds the whole store already.
        query = select(ORG.c.deleted_at).where(ORG.c.id == organization_id).with_for_update()
        if connection.scalar(query) is not None:
            raise Refused(f"{organization_id} was deleted; nothing of it can be changed", "deleted")
        opened = Change(
            connection,
            organization_id=organization_id,
            change_set_id=change_set_id,
            commit_id=commit_id,
            actor=actor,
            why=why,
        )
        yield opened
        opened.close()


class Change:
    """A change under way; the writers in ``syncd.store.editing`` work on it."""

    def __init__(
        self,
        connection: Connection,
        *,
        organization_id: str,
        change_set_id: int,
        commit_id: int,
        actor: str,
        why: str | None,
        opened: bool = False,
        written: int = 0,
    ) -> None:
        """Open a change; ``opened`` where the change set is there, with ``written`` objects."""
        self.connection = connection
        self._opened, self._written = opened, written
        self.organization_id = organization_id
        self.change_set_id = change_set_id
        self.commit_id = commit_id
        self.actor = actor
        self.why = why
        self.now = clock(connection)
        # By (person, kind): before and after; one row each, however often it was touched.
        self._people: dict[tuple[int, str], tuple[dict[str, Any], dict[str, Any]]] = {}
        self._objects: list[dict[str, Any]] = []
        self._had_owner: int | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing has been journaled yet."""
        return not self._people and not self._objects

    def of_person(
        self,
        user_id: int,
        kind: str,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Journal a change of one person; ``kind`` as in ``schema.journal``.

        Of grants and memberships ``after`` is ``{"granted": [[id, source]…], "revoked": […]}``, and
        what is said later in the same change is added to it.
        """
        old, new = self._people.setdefault((user_id, kind), ({}, {}))
        if kind in {"grants", "memberships"}:
            for name, pairs in (after or {}).items():
                new.setdefault(name, []).extend(pairs)
            return
        for name, value in (before or {}).items():
            old.setdefault(name, value)
        new.update(after or {})

    def of_object(
        self,
        object_: str,
        object_id: int,
        name: str,
        *,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
    ) -> None:
        """Journal a change of something that is no person, with the whole of it on both sides."""
        if before == after:
            return
        kind = "create" if before is None else "delete" if after is None else "update"
        self._object(object_, object_id, name, kind, before=before, after=after)

    def note_object(self, object_: str, object_id: int, name: str) -> None:
        """Journal that something changed, once, and nothing of what: that is its owner's alone."""
        same = (object_, object_id, "update")
        if all((row["object"], row["object_id"], row["kind"]) != same for row in self._objects):
            self._object(object_, object_id, name, "update", before=None, after=None)

    def _object(
        self,
        object_: str,
        object_id: int,
        name: str,
        kind: str,
        *,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
    ) -> None:
        self._objects.append(
            {
                "organization_id": self.organization_id,
                "change_set_id": self.change_set_id,
                "number": self._written + len(self._objects) + 1,
                "object": object_,
                "object_id": object_id,
                "name": name,
                "kind": kind,
                "before": None if before is None else json.dumps(before, ensure_ascii=False),
                "after": None if after is None else json.dumps(after, ensure_ascii=False),
                "commit_id": self.commit_id,
            }
        )

    def forget_person(self, user_id: int) -> None:
        """Drop what this change has journaled of somebody: he is purged in it."""
        for key in [key for key in self._people if key[0] == user_id]:
            del self._people[key]

    def watch_owners(self) -> None:
        """Refuse the change at its end if it leaves the organization without an owner.

        To be called before anything is written that could.
        """
        if self._had_owner is None:
            self._had_owner = ownership(self.connection, self.organization_id)

    def close(self) -> None:
        """Write the journal, and take the change's position in the feed.

        Raises:
            LastOwner: There was an owner before, and there is none any more.

        """
        if self.empty:
            return
        if self._had_owner and ownership(self.connection, self.organization_id) < self._had_owner:
            raise LastOwner(
                f"{self.organization_id} would be left without an owner; "
                "make somebody else an owner first: `syncd owners add`"
            )
        if not self._opened:
            self.connection.execute(
                insert(CS).values(
                    id=self.change_set_id,
                    organization_id=self.organization_id,
                    run_id=None,
                    actor=self.actor,
                    why=self.why,
                    at=self.now,
                )
            )
        rows = [
            {
                "organization_id": self.organization_id,
                "user_id": user_id,
                "change_set_id": self.change_set_id,
                "kind": kind,
                "before": json.dumps(before, ensure_ascii=False) if before else None,
                "after": json.dumps(after, ensure_ascii=False) if after else None,
                "commit_id": self.commit_id,
            }
            for (user_id, kind), (before, after) in self._people.items()
        ]
        if rows:
            self.connection.execute(insert(J), rows)
        if self._objects:
            self.connection.execute(insert(OJ), self._objects)
        take_position(self.connection, self.organization_id, self.commit_id, self.change_set_id)
