"""The journal as it is read: who changed what, when and why, newest first.

Ids of roles and groups are shown by name, also of those that are gone. People are named as they
are called now; of somebody who was purged only the number is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, or_, select

from syncd.errors import NotFound, Refused
from syncd.records import fold
from syncd.store import schema
from syncd.store.change_sets import (
    ChangeSet,
    change_set_name,
    change_set_number,
    commits_of,
    find_change_set,
    objects_of,
    parsed,
    select_change_sets,
)
from syncd.store.journal_names import Names
from syncd.store.run_reads import iso
from syncd.store.runs import run_name, run_number

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from syncd.store.database import Database

CS, J, OJ, U = schema.change_sets, schema.journal, schema.object_journal, schema.users
RUNS, COMMITS = schema.runs, schema.commits
FILTERS = ("actor", "person", "object", "since", "until", "run")
PERSON = "person"
MOST = 500
# Ids have no more.
MOST_DIGITS = 18


class JournalReads:
    """One organization's journal."""

    def __init__(self, database: Database, organization_id: str) -> None:
        self.database = database.of(organization_id)
        self.organization_id = organization_id

    # --- change sets ----------------------------------------------------------------------

    def page(
        self,
        *,
        limit: int = 50,
        after: str | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return a page of change sets, newest first, with what they come to.

        Filters: ``actor`` (as it is shown), ``person`` (a username), ``object`` (person, role,
        group, permission_set, address_book, address_book_entry, token, exclusion, organization),
        ``since`` and ``until`` (times), ``run`` (a run's name). ``after`` is the ``next`` of the
        page before.

        Raises:
            Refused: A filter, limit or cursor is none.
            NotFound: No such person.

        """
        if not 1 <= limit <= MOST:
            raise Refused(f"a page has 1 to {MOST} change sets", "invalid")
        with self.database.read() as connection:
            conditions = self._conditions(connection, filters or {})
            if after is not None:
                number = change_set_number(after)
                if number is None:
                    raise Refused("the cursor is none of this list; begin without one", "invalid")
                conditions.append(CS.c.id < number)
            query = (
                select_change_sets()
                .where(CS.c.organization_id == self.organization_id, *conditions)
                .order_by(CS.c.id.desc())
                .limit(limit + 1)
            )
            found = [ChangeSet(*row) for row in connection.execute(query)]
            shown = found[:limit]
            counts = self._counts(connection, [each.id for each in shown])
            undone = self._undone(connection, [each.id for each in shown])
        items = [
            {**change_set_shape(each, undone.get(each.id)), "counts": counts[each.id]}
            for each in shown
        ]
        following = change_set_name(shown[-1].id) if len(found) > limit else None
        return {"items": items, "next": following}

    def _conditions(
        self, connection: Connection, filters: Mapping[str, Any]
    ) -> list[ColumnElement[bool]]:
        if unknown := filters.keys() - set(FILTERS):
            message = f"there is no filter {min(unknown)}; there are {', '.join(FILTERS)}"
            raise Refused(message, "invalid")
        wanted = {name: value for name, value in filters.items() if value is not None}
        found: list[ColumnElement[bool]] = []
        if "actor" in wanted:
            found.append(CS.c.actor == wanted["actor"])
        if "since" in wanted:
            found.append(CS.c.at >= wanted["since"])
        if "until" in wanted:
            found.append(CS.c.at < wanted["until"])
        if "run" in wanted:
            found.append(CS.c.run_id == (run_number(str(wanted["run"])) or -1))
        if "person" in wanted:
            theirs = select(J.c.change_set_id).where(
                J.c.organization_id == self.organization_id,
                J.c.user_id.in_(self._named(connection, str(wanted["person"]))),
            )
            found.append(CS.c.id.in_(theirs))
        if wanted.get("object") == PERSON:
            found.append(self._about_people())
        elif "object" in wanted:
            found.append(
                exists().where(
                    OJ.c.organization_id == self.organization_id,
                    OJ.c.change_set_id == CS.c.id,
                    OJ.c.object == wanted["object"],
                )
            )
        return found

    def _about_people(self) -> ColumnElement[bool]:
        """Return which change sets are about people, by way of their transactions."""
        by_commit = exists().where(
            COMMITS.c.organization_id == self.organization_id,
            COMMITS.c.change_set_id == CS.c.id,
            J.c.organization_id == self.organization_id,
            J.c.commit_id == COMMITS.c.commit_id,
        )
        # Those of before there were commits are of people alone.
        older = ~exists().where(
            COMMITS.c.organization_id == self.organization_id, COMMITS.c.change_set_id == CS.c.id
        )
        return or_(by_commit, older)

    def _named(self, connection: Connection, username: str) -> list[int]:
        """Return who has a username, or had it when he went missing."""
        query = select(U.c.id).where(
            U.c.organization_id == self.organization_id, U.c.username_key == fold(username)
        )
        ids = list(connection.scalars(query))
        if not ids:
            raise NotFound(f"there is no person {username} in {self.organization_id}")
        return ids

    def _counts(self, connection: Connection, ids: Sequence[int]) -> dict[int, dict[str, int]]:
        """Return how many people and objects each change set touched, by kind of change."""
        found: dict[int, dict[str, int]] = {each: {} for each in ids}
        if not ids:
            return found
        by_commit = (
            select(J.c.change_set_id, J.c.kind, func.count())
            .join(
                COMMITS,
                and_(
                    COMMITS.c.organization_id == J.c.organization_id,
                    COMMITS.c.commit_id == J.c.commit_id,
                ),
            )
            .where(
                COMMITS.c.organization_id == self.organization_id,
                COMMITS.c.change_set_id.in_(ids),
                J.c.change_set_id == COMMITS.c.change_set_id,
            )
            .group_by(J.c.change_set_id, J.c.kind)
        )
        objects = (
            select(OJ.c.change_set_id, OJ.c.object, func.count())
            .where(OJ.c.organization_id == self.organization_id, OJ.c.change_set_id.in_(ids))
            .group_by(OJ.c.change_set_id, OJ.c.object)
        )
        for query in (by_commit, objects):
            for change_set_id, what, count in connection.execute(query):
                found[change_set_id][what] = count
        return found

    def _undone(self, connection: Connection, ids: Sequence[int]) -> dict[int, str]:
        """Return by which change set these were undone, the newest where there are several."""
        query = (
            select(RUNS.c.undoes, func.max(RUNS.c.change_set_id))
            .where(
                RUNS.c.organization_id == self.organization_id,
                RUNS.c.undoes.in_(ids),
                RUNS.c.change_set_id.is_not(None),
            )
            .group_by(RUNS.c.undoes)
        )
        return {undone: change_set_name(by) for undone, by in connection.execute(query)}

    # --- one of them ----------------------------------------------------------------------

    def one(self, change_set: str, *, limit: int = 200, after: str | None = None) -> dict[str, Any]:
        """Return a change set with what it changed: objects, and people a page at a time.

        ``rows`` are ``{"user_id", "person", "kind", "before", "after"}``.

        Raises:
            NotFound: The journal has no such change set.

        """
        found = find_change_set(self.database, change_set, self.organization_id)
        if found is None:
            raise NotFound(
                f"the journal of {self.organization_id} has no change set {change_set}; "
                f"`syncd journal {self.organization_id}` lists them"
            )
        first = 0
        if after is not None:
            if not (after.isascii() and after.isdigit() and len(after) <= MOST_DIGITS):
                raise Refused("the cursor is none of this list; begin without one", "invalid")
            first = int(after)
        with self.database.read() as connection:
            counts = self._counts(connection, [found.id])
            undone = self._undone(connection, [found.id])
            people = self._people(connection, found.id, first, limit + 1)
            more = people[limit:]
            people = people[:limit]
            objects = [] if first else objects_of(connection, self.organization_id, found.id)
            rows = self._rows(connection, found.id, people)
            names = Names(connection, self.organization_id)
            names.learn(rows, objects)
            usernames = _usernames(connection, people)
        return {
            **change_set_shape(found, undone.get(found.id)),
            "counts": counts[found.id],
            "objects": [names.object_shape(row) for row in objects],
            "rows": [
                {
                    "user_id": user_id,
                    "person": usernames.get(user_id),
                    "kind": kind,
                    "before": names.side(kind, before),
                    "after": names.side(kind, after),
                }
                for user_id, kind, before, after in rows
            ],
            "next": str(people[-1]) if more else None,
        }

    def _people(
        self, connection: Connection, change_set_id: int, after: int, limit: int
    ) -> list[int]:
        """Return whom a change set touched, behind an id."""
        commits = commits_of(connection, self.organization_id, change_set_id)
        mine = and_(
            J.c.organization_id == self.organization_id,
            J.c.change_set_id == change_set_id,
            J.c.user_id > after,
        )
        found: set[int] = set()
        # A transaction at a time: its index then answers in the order of the rows.
        for part in [J.c.commit_id == each for each in commits] or [J.c.user_id > 0]:
            query = select(J.c.user_id).where(mine, part).distinct().order_by(J.c.user_id)
            found |= set(connection.scalars(query.limit(limit)))
        return sorted(found)[:limit]

    def _rows(
        self, connection: Connection, change_set_id: int, people: Collection[int]
    ) -> list[tuple[int, str, dict[str, Any], dict[str, Any]]]:
        query = (
            select(J.c.user_id, J.c.kind, J.c.before, J.c.after)
            .where(
                J.c.organization_id == self.organization_id,
                J.c.change_set_id == change_set_id,
                J.c.user_id.in_(people),
            )
            .order_by(J.c.user_id, J.c.kind)
        )
        return [
            (user_id, kind, parsed(before), parsed(after))
            for user_id, kind, before, after in connection.execute(query)
        ]


def change_set_shape(found: ChangeSet, undone_by: str | None) -> dict[str, Any]:
    """Return a change set as it is shown."""
    return {
        "change_set": change_set_name(found.id),
        "organization": found.organization_id,
        "at": iso(found.at),
        "actor": found.actor,
        "why": found.why,
        "run": None if found.run_id is None else run_name(found.run_id),
        "mode": found.mode,
        "undoes": None if found.undoes is None else change_set_name(found.undoes),
        "undone_by": undone_by,
    }


def _usernames(connection: Connection, people: Collection[int]) -> dict[int, str]:
    query = select(U.c.id, U.c.username).where(U.c.id.in_(people))
    return {row.id: row.username for row in connection.execute(query)}
