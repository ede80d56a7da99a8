"""The reverse of what a change set did to things that are no people, planned and written.

Each is set back as a whole if it still is as the change left it; what has been made goes once
nothing uses it any more, behind the people. A revoked token stays revoked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, insert, or_, select, update

from syncd.records import fold
from syncd.store import schema
from syncd.store.change_sets import same
from syncd.store.editing import address_books, exclusions, groups, permission_sets, roles
from syncd.store.run_reads import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from syncd.store.change_sets import ObjectRow
    from syncd.store.editing.change import Change
    from syncd.store.editing.opening import Scope
    from syncd.store.undo_values import Left

    Snapshot = dict[str, Any]

PO, T, EX = schema.plan_objects, schema.api_tokens, schema.exclusions
ROLES, PS, AB = schema.roles, schema.permission_sets, schema.address_books
GROUPS, GP, GM = schema.groups, schema.group_parents, schema.group_members
G, GR, RPS = schema.grants, schema.group_roles, schema.role_permission_sets

WORDS = {"permission_set": "permission set", "address_book": "address book"}
# In the order of creation: what others refer to comes first.
ORDER = (
    "permission_set",
    "role",
    "group",
    "address_book",
    "address_book_entry",
    "token",
    "exclusion",
)
READ: Mapping[str, Callable[[Scope, int], Snapshot | None]] = {
    "permission_set": permission_sets.snapshot,
    "role": roles.snapshot,
    "group": groups.snapshot,
    "address_book": address_books.snapshot,
    "address_book_entry": address_books.entry_snapshot,
}
WRITE: Mapping[str, Callable[[Change, int, Any], None]] = {
    "permission_set": permission_sets.write,
    "role": roles.write,
    "group": groups.write,
    "address_book": address_books.write,
    "address_book_entry": address_books.write_entry,
}


def word(object_: str, name: str) -> str:
    """Return what a thing is called."""
    return f"{WORDS.get(object_, object_.replace('_', ' '))} {name}"


class ObjectsUndo:
    """Plans the reverse of one change set for what is no person."""

    def __init__(self, at: Scope, *, run_id: int, left: Left) -> None:
        self._at, self._run_id, self._left = at, run_id, left
        self._planned: list[dict[str, Any]] = []

    def plan(self, rows: Iterable[ObjectRow]) -> None:
        """Write the plan rows."""
        for object_, object_id, name, before, after in _whole(rows):
            if object_ == "token":
                self._untoken(object_id, name, before, after)
            elif object_ == "exclusion":
                self._unexclude(object_id, name, before, after)
            elif object_ in READ:
                self._one(object_, object_id, name, before, after)
            else:
                self._left.tell(word(object_, name), "this cannot be undone here")
        # Not in place: the order asks what else is planned.
        self._planned = sorted(self._planned, key=self._order)
        if self._planned:
            numbered = [
                {"run_id": self._run_id, "number": number, **row}
                for number, row in enumerate(self._planned, 1)
            ]
            self._at.connection.execute(insert(PO), numbered)

    def targets(self) -> dict[str, set[int]]:
        """Return the roles and groups that this plan makes, by the journal's kinds."""
        made = [row for row in self._planned if row["action"] == "create"]
        return {
            "grants": {row["object_id"] for row in made if row["object"] == "role"},
            "memberships": {row["object_id"] for row in made if row["object"] == "group"},
        }

    def _add(
        self,
        object_: str,
        object_id: int,
        name: str,
        now: Snapshot | None,
        then: Snapshot | None,
    ) -> None:
        self._planned.append(
            {
                "object": object_,
                "object_id": object_id,
                "name": name,
                "action": "create" if now is None else "delete" if then is None else "update",
                "before": _text(now),
                "after": _text(then),
            }
        )

    def _order(self, row: Mapping[str, Any]) -> tuple[int, int, int]:
        """Order creations before changes before deletions, each so that what is named is there."""
        at = ORDER.index(row["object"])
        action = ("create", "update", "delete").index(row["action"])
        if action == 2:
            return action, -at, -self._depth(row, "before")
        return action, at, self._depth(row, "after")

    def _depth(self, row: Mapping[str, Any], side: str) -> int:
        """Return how far below others of this plan a group stands."""
        if row["object"] != "group" or row[side] is None:
            return 0
        mine = {each["object_id"]: each for each in self._planned if each["object"] == "group"}
        depth, level, seen = 0, {row["object_id"]}, set()
        while level:
            seen |= level
            level = {
                parent
                for each in level
                if each in mine and mine[each][side] is not None
                for parent, _ in json.loads(mine[each][side])["parents"]
            } - seen
            depth += 1
        return depth

    def _one(
        self,
        object_: str,
        object_id: int,
        name: str,
        before: Snapshot | None,
        after: Snapshot | None,
    ) -> None:
        now = READ[object_](self._at, object_id)
        if same(now, before) and not same(before, after):
            return
        if not same(now, after):
            self._left.tell(word(object_, name), "changed since")
        elif before is not None and (taken := self._taken(object_, object_id, before)):
            self._left.tell(word(object_, name), taken)
        else:
            self._add(object_, object_id, name, now, before)

    def _taken(self, object_: str, object_id: int, then: Snapshot) -> str | None:
        """Return why something cannot have its name or place again."""
        organization, connection = self._at.organization_id, self._at.connection
        table = {"role": ROLES, "permission_set": PS, "address_book": AB}.get(object_)
        if table is not None and then.get("owner_id") is None:
            mine = or_(table.c.organization_id == organization, table.c.organization_id.is_(None))
            if object_ == "address_book":
                mine = and_(mine, AB.c.owner_id.is_(None))
            query = select(table.c.id).where(
                mine, table.c.name_key == fold(then["name"]), table.c.id != object_id
            )
            taken = set(connection.scalars(query))
            going = {
                row["object_id"]
                for row in self._planned
                if row["object"] == object_
                and (row["after"] is None or json.loads(row["after"])["name"] != then["name"])
            }
            if taken - going:
                return f"the name {then['name']} belongs to another by now"
        if object_ == "address_book_entry":
            book = address_books.snapshot(self._at, then["address_book_id"])
            made = {row["object_id"] for row in self._planned if row["object"] == "address_book"}
            if book is None and then["address_book_id"] not in made:
                return "its address book is not there any more"
        return None

    def _untoken(
        self, token_id: int, name: str, before: Snapshot | None, after: Snapshot | None
    ) -> None:
        query = select(T.c.revoked_at).where(
            T.c.id == token_id, T.c.organization_id == self._at.organization_id
        )
        row = self._at.connection.execute(query).one_or_none()
        if before is not None or row is None:
            self._left.tell(word("token", name), "a token that has ended stays so; make a new one")
        elif row.revoked_at is None:
            self._add("token", token_id, name, after, {**(after or {}), "revoked_at": "now"})

    def _unexclude(
        self, object_id: int, name: str, before: Snapshot | None, after: Snapshot | None
    ) -> None:
        named = before or after or {}
        if _is_excluded(self._at, named) == (after is not None):
            self._add("exclusion", object_id, name, after, before)


def _whole(
    rows: Iterable[ObjectRow],
) -> list[tuple[str, int, str, Snapshot | None, Snapshot | None]]:
    """Return each object once: as it was before the change set, and after it."""
    found: dict[tuple[Any, ...], tuple[str, int, str, Snapshot | None, Snapshot | None]] = {}
    for row in rows:
        if row.before is None and row.after is None:
            # Somebody's own; the journal does not know what it was.
            continue
        key: tuple[Any, ...] = (row.object, row.object_id)
        if row.object == "exclusion":
            named = row.before or row.after or {}
            key = (row.object, named["source"], named["external_id"])
        first = found[key][3] if key in found else row.before
        found[key] = (row.object, row.object_id, row.name, first, row.after)
    return list(found.values())


def _is_excluded(at: Scope, named: Mapping[str, Any]) -> bool:
    query = select(EX.c.external_id).where(
        EX.c.organization_id == at.organization_id,
        EX.c.source == named["source"],
        EX.c.external_id == named["external_id"],
    )
    return at.connection.execute(query).first() is not None


def _text(snapshot: Snapshot | None) -> str | None:
    return None if snapshot is None else json.dumps(snapshot, ensure_ascii=False)


# --- writing ----------------------------------------------------------------------------------


def write_objects(change: Change, run_id: int, *, deletions: bool) -> None:
    """Write the planned objects that still are as they were: all but deletions, or those."""
    query = (
        select(PO)
        .where(
            PO.c.run_id == run_id,
            PO.c.state == "planned",
            PO.c.action == "delete" if deletions else PO.c.action != "delete",
        )
        .order_by(PO.c.number)
    )
    for row in change.connection.execute(query).all():
        now = None if row.before is None else json.loads(row.before)
        then = None if row.after is None else json.loads(row.after)
        because = _write(change, row.object, row.object_id, now, then)
        change.connection.execute(
            update(PO)
            .where(PO.c.run_id == run_id, PO.c.number == row.number)
            .values(state="done" if because is None else "left", because=because)
        )


def _write(
    change: Change,
    object_: str,
    object_id: int,
    now: Snapshot | None,
    then: Snapshot | None,
) -> str | None:
    """Set one thing back; return why it was left as it is."""
    if object_ == "exclusion":
        return _write_exclusion(change, object_id, now, then)
    if object_ == "token":
        return _revoke(change, object_id, now or {})
    if not same(READ[object_](change, object_id), now):
        return "changed meanwhile"
    if then is None:
        if because := _used(change, object_, object_id):
            return because
    else:
        then = _possible(change, object_, object_id, then)
    WRITE[object_](change, object_id, then)
    return None


def _used(change: Change, object_: str, object_id: int) -> str | None:
    """Return by what something is used that was made by the change which is undone."""
    uses = {
        "role": (
            (exists().where(G.c.role_id == object_id), "somebody has it"),
            (exists().where(GR.c.role_id == object_id), "a group has it"),
        ),
        "group": (
            (exists().where(GM.c.group_id == object_id), "somebody is in it"),
            (exists().where(GP.c.parent_id == object_id), "a group is below it"),
        ),
        "permission_set": (
            (exists().where(RPS.c.permission_set_id == object_id), "a role has it"),
        ),
        "address_book": (
            (
                exists().where(schema.address_book_entries.c.address_book_id == object_id),
                "there is an entry in it",
            ),
        ),
    }
    for use, because in uses.get(object_, ()):
        if change.connection.execute(select(use)).scalar_one():
            return because
    return None


def _possible(change: Change, object_: str, object_id: int, then: Snapshot) -> Snapshot:
    """Return what can be had of a snapshot: without what is not there, and without circles."""
    connection = change.connection

    def there(table: Any, ids: Iterable[int]) -> set[int]:  # noqa: ANN401 - a table
        mine = or_(
            table.c.organization_id == change.organization_id, table.c.organization_id.is_(None)
        )
        query = select(table.c.id).where(mine, table.c.id.in_(sorted(set(ids))))
        return set(connection.scalars(query))

    if object_ == "role":
        sets = there(PS, then["permission_sets"])
        return {
            **then,
            "permission_sets": [each for each in then["permission_sets"] if each in sets],
        }
    if object_ == "group":
        given = there(ROLES, (each for each, _ in then["roles"]))
        above = there(GROUPS, (each for each, _ in then["parents"]))
        return {
            **then,
            "roles": [pair for pair in then["roles"] if pair[0] in given],
            "parents": [
                pair
                for pair in then["parents"]
                if pair[0] in above and not groups.would_circle(change, pair[0], object_id)
            ],
        }
    return then


def _write_exclusion(
    change: Change, object_id: int, now: Snapshot | None, then: Snapshot | None
) -> str | None:
    named = now or then or {}
    if _is_excluded(change, named) != (now is not None):
        return "changed meanwhile"
    if then is None:
        exclusions.include(change, named["source"], named["external_id"])
        return None
    change.connection.execute(
        insert(EX).values(
            organization_id=change.organization_id,
            since=change.now,
            actor=change.actor,
            why=change.why,
            **then,
        )
    )
    change.of_object("exclusion", object_id, then["username"], before=None, after=then)
    return None


def _revoke(change: Change, token_id: int, now: Snapshot) -> str | None:
    """End a token that the change made."""
    living = and_(
        T.c.id == token_id,
        T.c.organization_id == change.organization_id,
        T.c.revoked_at.is_(None),
    )
    ended = update(T).where(living).values(revoked_at=change.now).returning(T.c.name)
    name = change.connection.execute(ended).scalar_one_or_none()
    if name is None:
        return "it has ended already"
    after = {**now, "revoked_at": iso(change.now)}
    change.of_object("token", token_id, name, before=now, after=after)
    return None
