"""The reverse of what a change set did to people, as rows of a plan.

Taken back is what still is as the change left it; what others changed since stays as it is and is
told. DNs and identities are facts of the directory and stay, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, union

from syncd.records import fold
from syncd.store import schema
from syncd.store.change_sets import change_set_name, parsed
from syncd.store.kinds import Kind
from syncd.store.plan_scope import MISSING
from syncd.store.sides import MANUAL, SIDES
from syncd.store.standing import (
    Standing,
    field_value,
    pairs,
    standings,
)
from syncd.store.undo_values import (
    Later,
    Left,
    Reverse,
    accounts_told,
    attributes_text,
    changed_since,
    holds_by,
    kinds_of,
    planned_columns,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from syncd.store.change_sets import Rows

P, PX, J = schema.plan_people, schema.plan_restrictions, schema.journal
AB, ABE, T = schema.address_books, schema.address_book_entries, schema.api_tokens
RUNS = schema.runs
HELD = frozenset(side.journal_kind for side in SIDES)
FACTS = {
    "identity": "an identity is a fact of the directory and stays",
    "password": "passwords cannot be set back; a new one can be set",
    "delete": "a deleted person cannot be brought back",
}


class PeopleUndo:
    """Plans the reverse of one change set for some people at a time."""

    def __init__(
        self,
        *,
        run_id: int,
        change_set_id: int,
        organization_id: str,
        left: Left,
        now: datetime,
        targets: Mapping[str, set[int]],
    ) -> None:
        """``targets`` are the roles and groups that will be there, by the journal's kinds."""
        self.run_id, self.change_set_id = run_id, change_set_id
        self.organization_id = organization_id
        self.left, self.now, self.targets = left, now, targets
        self.number = 0
        # Whether anything of it is a directory's to say.
        self.of_source = False
        # Who of the people at hand has something that the journal does not tell as his.
        self._owning: set[int] = set()
        # Later change sets that were undone, and those undos.
        self._cancelled: set[int] = set()

    def plan(self, connection: Connection, people: Mapping[int, Rows]) -> None:
        """Write the plan rows of these people."""
        now = standings(connection, list(people))
        self._cancelled = self._undone_since(connection)
        later = self._later(connection, list(people))
        made = [user_id for user_id, rows in people.items() if "create" in rows]
        own = union(
            select(AB.c.owner_id)
            .join(ABE, ABE.c.address_book_id == AB.c.id)
            .where(AB.c.owner_id.in_(made)),
            select(T.c.user_id).where(T.c.user_id.in_(made), T.c.revoked_at.is_(None)),
        )
        self._owning = set(connection.scalars(own))
        reverses = []
        for user_id, rows in sorted(people.items()):
            standing = now.get(user_id)
            if standing is None:
                if "delete" in rows:
                    self.left.tell(f"person {user_id}", FACTS["delete"])
                else:
                    self.left.tell(f"person {user_id}", "deleted since")
                continue
            reverse = self._reverse(standing, rows, later.get(user_id, []))
            if not reverse.empty:
                reverses.append(reverse)
        self._write(connection, reverses)

    def _undone_since(self, connection: Connection) -> set[int]:
        """Return the change sets that come to nothing: undone ones, with what undid them."""
        query = (
            select(RUNS.c.undoes, RUNS.c.change_set_id)
            .where(
                RUNS.c.organization_id == self.organization_id,
                RUNS.c.undoes >= self.change_set_id,
                RUNS.c.change_set_id.is_not(None),
            )
            .order_by(RUNS.c.change_set_id.desc())
        )
        found: set[int] = set()
        for undone, by in connection.execute(query):
            if by not in found:
                found |= {undone, by}
        return found

    def _later(self, connection: Connection, user_ids: list[int]) -> dict[int, Later]:
        """Return what was journaled of these people since, newest first."""
        query = (
            select(J.c.user_id, J.c.change_set_id, J.c.kind, J.c.before, J.c.after)
            .where(
                J.c.organization_id == self.organization_id,
                J.c.user_id.in_(user_ids),
                J.c.change_set_id > self.change_set_id,
            )
            .order_by(J.c.user_id, J.c.change_set_id.desc())
        )
        found: dict[int, Later] = {}
        for user_id, change_set_id, kind, before, after in connection.execute(query):
            found.setdefault(user_id, []).append(
                (change_set_id, kind, parsed(before), parsed(after))
            )
        return found

    # --- one person -----------------------------------------------------------------------

    def _reverse(
        self,
        now: Standing,
        rows: Rows,
        later: Later,
    ) -> Reverse:
        reverse = Reverse(now)
        name = str(now.fields["username"])
        if "create" in rows:
            self._uncreate(reverse, name, later)
            return reverse
        for kind, (before, after) in rows.items():
            if kind == "update":
                self._unupdate(reverse, name, before, after, later)
            elif kind == "restrictions":
                self._unrestrict(reverse, name, before, after, self._touched(later, kind))
            elif kind in now.held:
                self._unhold(reverse, name, kind, after, self._touched(later, kind))
            elif kind in FACTS:
                self.left.tell(f"{kind} of {name}", FACTS[kind])
        stays_missing = now.missing and not reverse.kinds & Kind.RETURN
        if stays_missing and reverse.fields:
            for each in sorted(reverse.fields):
                self.left.tell(f"{each} of {name}", "missing from the directory since")
            reverse.fields = {}
        return reverse

    def _touched(self, later: Later, kind: str) -> dict[Any, int]:
        """Return by which change set something was touched since, the newest of each.

        What others gave once more is theirs, though it is the same as the change had left.
        """
        found: dict[Any, int] = {}
        for change_set_id, of_kind, before, after in reversed(later):
            if of_kind != kind or change_set_id in self._cancelled:
                continue
            touched: set[Any] = {*before}
            if kind in HELD:
                touched = pairs(after.get("granted")) | pairs(after.get("revoked"))
            found |= dict.fromkeys(touched, change_set_id)
        return found

    def _uncreate(
        self,
        reverse: Reverse,
        name: str,
        later: Later,
    ) -> None:
        """Delete whom the change created, unless others have made something of him since."""
        if reverse.now.user_id in self._owning:
            self.left.tell(
                f"person {name}", "has an address book or a token by now; delete him by hand"
            )
            return
        then = reverse.now.copy()
        for _, kind, before, after in later:
            then.back(kind, before, after)
        # A password or identity that somebody set cannot be compared.
        odd = [each for each in later if each[1] in {"identity", "password"}]
        if odd or not then.same_as(reverse.now):
            by = change_set_name((odd or later)[0][0])
            self.left.tell(f"person {name}", f"changed since by {by}; undo that first")
            return
        reverse.kinds |= Kind.DELETE

    def _unupdate(
        self,
        reverse: Reverse,
        name: str,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        later: Later,
    ) -> None:
        now = reverse.now.fields
        for each, raw in before.items():
            if each == "dn" or each not in now:
                continue
            was, became = field_value(each, raw), field_value(each, after.get(each))
            if each == "attributes":
                self._unset(reverse, name, was, became)
                if isinstance(raw, str) and reverse.fields.get(each) == was:
                    reverse.attributes = raw
            elif now[each] == became:
                reverse.fields[each] = was
            elif now[each] != was:
                self.left.tell(f"{each} of {name}", changed_since(each, later))

    def _unset(
        self, reverse: Reverse, name: str, was: Mapping[str, Any], became: Mapping[str, Any]
    ) -> None:
        now = reverse.now.fields["attributes"]
        wanted = dict(now)
        for each in was.keys() | became.keys():
            if was.get(each) == became.get(each) or now.get(each) == was.get(each):
                continue
            if now.get(each) != became.get(each):
                self.left.tell(f"attribute {each} of {name}", "changed since")
            elif each in was:
                wanted[each] = was[each]
            else:
                del wanted[each]
        if wanted != now:
            reverse.fields["attributes"] = wanted

    def _unrestrict(
        self,
        reverse: Reverse,
        name: str,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        touched: Mapping[Any, int],
    ) -> None:
        now = reverse.now
        for each, was in before.items():
            if each in touched and (each == MISSING or ":" in each):
                by = change_set_name(touched[each])
                if (now.missing if each == MISSING else holds_by(now, each)) != bool(was):
                    self.left.tell(f"{each} of {name}", f"changed since by {by}")
            elif each == MISSING:
                if now.missing == bool(after.get(MISSING)):
                    reverse.kinds |= Kind.MISSING if was else Kind.RETURN
                elif now.missing != bool(was):
                    self.left.tell(f"absence of {name}", "changed since")
            elif ":" in each:
                source, _, reason = each.partition(":")
                if ((source, reason) in now.others) != bool(was):
                    reverse.others[source, reason] = bool(was)
        old, new = accounts_told(before), accounts_told(after)
        for each, was in old.items():
            if now.account[each] == new.get(each, was) and now.account[each] != was:
                reverse.account[each] = was
            elif now.account[each] != was:
                self.left.tell(f"account state of {name}", "changed since")

    def _unhold(
        self,
        reverse: Reverse,
        name: str,
        kind: str,
        after: Mapping[str, Any],
        touched: Mapping[Any, int],
    ) -> None:
        held = reverse.now.held[kind]
        thing = "role" if kind == "grants" else "group"
        given, taken = pairs(after.get("granted")) & held, pairs(after.get("revoked")) - held
        for pair in sorted((given | taken) & touched.keys(), key=str):
            by = change_set_name(touched[pair])
            self.left.tell(f"{thing} {pair[0]} of {name}", f"changed since by {by}")
        for pair in given - touched.keys():
            reverse.held[kind][pair] = False
        for pair in taken - touched.keys():
            if pair[0] in self.targets[kind]:
                reverse.held[kind][pair] = True
            else:
                self.left.tell(f"{thing} {pair[0]} of {name}", f"the {thing} is not there any more")

    # --- the plan -------------------------------------------------------------------------

    def _write(self, connection: Connection, reverses: list[Reverse]) -> None:
        rows, restrictions = [], []
        held: dict[str, list[dict[str, Any]]] = {side.journal_kind: [] for side in SIDES}
        for reverse in reverses:
            self.number += 1
            rows.append(self._row(reverse))
            user_id = reverse.now.user_id
            restrictions += [
                {
                    "run_id": self.run_id,
                    "user_id": user_id,
                    "source": source,
                    "reason": reason,
                    "holds": holds,
                }
                for (source, reason), holds in sorted(reverse.others.items())
            ]
            for side in SIDES:
                held[side.journal_kind] += [
                    {
                        "run_id": self.run_id,
                        "user_id": user_id,
                        side.column: target_id,
                        "mapper": source,
                        "granted": granted,
                    }
                    for (target_id, source), granted in reverse.held[side.journal_kind].items()
                ]
        if rows:
            connection.execute(insert(P), rows)
        if restrictions:
            connection.execute(insert(PX), restrictions)
        for side in SIDES:
            if held[side.journal_kind]:
                connection.execute(insert(side.planned), held[side.journal_kind])

    def _row(self, reverse: Reverse) -> dict[str, Any]:
        now = reverse.now
        fields = {**now.fields, **reverse.fields}
        email, was = fields["email"], now.fields["email"]
        account = {**now.account, **reverse.account}
        kinds = reverse.kinds | kinds_of(reverse, fields, account, self.now)
        self.of_source |= now.provider != "admin" and bool(
            reverse.fields
            or reverse.account
            or reverse.kinds & (Kind.MISSING | Kind.RETURN | Kind.DELETE)
        )
        self.of_source |= any(
            source != MANUAL for given in reverse.held.values() for _, source in given
        )
        return {
            "run_id": self.run_id,
            "number": self.number,
            "user_id": now.user_id,
            "external_id": now.external_id,
            "kinds": int(kinds),
            "version": now.version,
            "cause": f"undo of {change_set_name(self.change_set_id)}",
            "username": fields["username"],
            "username_key": fold(fields["username"]),
            "email": email,
            "email_key": None if email is None else fold(email),
            "email_verified": fields["email_verified"],
            "first_name": fields["first_name"],
            "last_name": fields["last_name"],
            "attributes": attributes_text(reverse),
            "dn": now.fields["dn"],
            **planned_columns(account),
            "old_username": now.fields["username"],
            "old_email": was,
            "old_email_verified": now.fields["email_verified"],
            "old_first_name": now.fields["first_name"],
            "old_last_name": now.fields["last_name"],
            "old_attributes": now.stored_attributes,
            "old_dn": now.fields["dn"],
        }
