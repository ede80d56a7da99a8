"""Writing a plan into the people's tables, one batch of people a transaction.

A batch begins by checking the lease's token and ends by recording how far the plan has come, so a
killed run resumes where it stopped and a run that lost its lease writes nothing more. Rows whose
person changed since the plan was made are left out as conflicts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import (
    and_,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from syncd.records import batched
from syncd.store import schema
from syncd.store.batch import Batch
from syncd.store.granting import grant, put_in_order
from syncd.store.kinds import WRITES_RECORD, Kind
from syncd.store.last_owner import SHUTTING, OwnerGuard
from syncd.store.pointing import refer
from syncd.store.purging import purge
from syncd.store.restricting import TOUCHED, restrict
from syncd.store.sides import SIDES
from syncd.store.taking_over import TAKES_OVER, rekey, take_over
from syncd.store.unpointing import unpoint

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

U, I, IK = schema.users, schema.identities, schema.identity_keys
P, PK = schema.plan_people, schema.plan_keys
PR, MR = schema.plan_refs, schema.membership_refs
J, X = schema.journal, schema.restrictions
EX, ORG = schema.exclusions, schema.organizations

# Values in one statement: SQLite takes 32,766 and PostgreSQL 65,535 of them.
IN_LIST = 500
# What may bring another username.
NAMES = Kind.RENAME | Kind.RETURN | Kind.LINK
# Kinds that bring an id which nobody may have.
KNOWN_ANEW = Kind.CREATE | Kind.LINK | Kind.REKEY
RECORD_FIELDS = ("username", "email", "email_verified", "first_name", "last_name", "attributes")


class PeopleBatch(Batch):
    """A batch that is written."""

    def apply(self) -> int:
        """Write the batch; return how many of its rows did not hold any more."""
        if self.careful:
            self._keep_others_away()
        kinds = self._kinds()
        guard = OwnerGuard(self) if kinds & SHUTTING or self.takes(kinds) else None
        conflicts = self._pass_over() if kinds & Kind.CREATE else 0
        if self.careful or kinds != Kind.CREATE:
            conflicts += self._outdated(kinds)
            if guard is not None:
                conflicts += self._conflict(guard.rows_to_leave_out())
            if kinds & (Kind.RENAME | Kind.MISSING | Kind.RETURN | Kind.CREATE):
                conflicts += self._park(kinds)
        if kinds & Kind.DELETE:
            self._delete()
        if kinds & Kind.CREATE:
            self._create()
        if kinds & WRITES_RECORD:
            self._journal_updates()
            self._update(kinds)
        self._identities(kinds)
        if kinds & TOUCHED:
            restrict(self, kinds)
        if self.mappers:
            for side in SIDES:
                grant(self, side, fresh=kinds == Kind.CREATE)
        if guard is not None:
            guard.require_owner()
        return conflicts

    def _keep_others_away(self) -> None:
        """Let nobody change the organization beside this batch, by hand or by signing in.

        What another writer has not committed yet cannot be left out, and stands in the way.
        """
        mine = select(ORG.c.id).where(ORG.c.id == self.organization_id)
        self.connection.execute(mine.with_for_update())

    def takes(self, kinds: Kind) -> bool:
        """Tell whether the batch may take roles or groups from somebody."""
        return bool(self.mappers) and kinds != Kind.CREATE

    def _kinds(self) -> Kind:
        """Return the union of the kinds in this batch, so that idle statements are not sent."""
        query = (
            select(P.c.kinds, func.min(P.c.user_id), func.max(P.c.user_id))
            .where(self.rows)
            .group_by(P.c.kinds)
        )
        union = Kind(0)
        ids: list[int] = []
        for kinds, low, high in self.connection.execute(query):
            # Somebody whose row stays as it is while his keys change is no new person either.
            union |= Kind(kinds) or Kind.GRANTS
            ids += (low, high)
        self.low, self.high = min(ids, default=0), max(ids, default=0)
        return union

    def _conflict(self, numbers: list[int]) -> int:
        """Leave rows out, and make sure that the next run looks at these people anew."""
        for part in batched(numbers, IN_LIST):
            rows = and_(self.in_range, P.c.number.in_(part))
            self.connection.execute(update(P).where(rows).values(state="conflict"))
            self.connection.execute(
                update(I)
                .where(I.c.source == self.source, I.c.user_id.in_(select(P.c.user_id).where(rows)))
                .values(digest=None, fingerprint=b"")
            )
        return len(numbers)

    def _pass_over(self) -> int:
        """Leave out whom somebody excluded since the plan was made; nearly always nobody."""
        mine = and_(EX.c.organization_id == self.organization_id, EX.c.source == self.source)
        if self.connection.execute(select(literal(1)).where(mine).limit(1)).first() is None:
            return 0
        excluded = (
            select(P.c.number)
            .join(EX, and_(mine, EX.c.external_id == P.c.external_id))
            .where(self.having(Kind.CREATE))
        )
        return self._conflict(list(self.connection.scalars(excluded)))

    def _outdated(self, kinds: Kind) -> int:
        """Leave out people who changed, came or went since the plan was made."""
        known = (
            select(P.c.number, P.c.version, U.c.version)
            .join(U, U.c.id == P.c.user_id)
            .where(self.rows)
            .with_for_update(of=U)
        )
        numbers = []
        there = set()
        for number, planned, now in self.connection.execute(known):
            there.add(number)
            if planned != now:
                numbers.append(number)
        if kinds != Kind.CREATE:
            expected = select(P.c.number).where(self.rows, P.c.version > 0)
            numbers += [
                number for number in self.connection.scalars(expected) if number not in there
            ]
        if kinds & KNOWN_ANEW:
            arrived = (
                select(P.c.number)
                .join(
                    I,
                    and_(
                        I.c.organization_id == self.organization_id,
                        I.c.source == self.source,
                        I.c.external_id == P.c.external_id,
                    ),
                )
                .where(self.having(KNOWN_ANEW))
            )
            numbers += self.connection.scalars(arrived)
        return self._conflict(numbers)

    def _park(self, kinds: Kind) -> int:
        """Free the names that change hands, and leave out those who find theirs taken."""
        renaming = Kind.RENAME | Kind.MISSING | Kind.RETURN | Kind.DELETE
        if kinds & renaming:
            self.connection.execute(
                update(U).where(U.c.id.in_(self.ids(renaming))).values(living=False)
            )
        total = 0
        wanting = Kind.CREATE | Kind.RENAME | Kind.RETURN
        while True:
            taken = (
                select(P.c.number, P.c.user_id, P.c.kinds)
                .join(
                    U,
                    and_(
                        U.c.organization_id == self.organization_id,
                        U.c.username_key == P.c.username_key,
                        U.c.living,
                        U.c.id != P.c.user_id,
                    ),
                )
                .where(self.having(wanting))
            )
            rows = self.connection.execute(taken).all()
            if not rows:
                return total
            total += self._conflict([row[0] for row in rows])
            # Whoever stays out keeps the name he had, which another of the batch may have wanted.
            back = [row[1] for row in rows if not row[2] & Kind.RETURN]
            for part in batched(back, IN_LIST):
                self.connection.execute(update(U).where(U.c.id.in_(part)).values(living=True))

    def _create(self) -> None:
        rows = self.having(Kind.CREATE)
        columns = [
            "id",
            "organization_id",
            "version",
            "provider",
            "username",
            "username_key",
            "email",
            "email_key",
            "email_verified",
            "first_name",
            "last_name",
            "attributes",
            "living",
            "enabled",
        ]
        query = select(
            P.c.user_id,
            literal(self.organization_id),
            literal(1),
            literal(self.source),
            P.c.username,
            P.c.username_key,
            P.c.email,
            P.c.email_key,
            P.c.email_verified,
            P.c.first_name,
            P.c.last_name,
            P.c.attributes,
            literal(True),
            P.c.kinds.op("&")(int(Kind.DISABLE | Kind.LOCK)) == 0,
        ).where(rows)
        self.connection.execute(insert(U).from_select(columns, query))
        self._known_as(rows)
        self._journal(rows, "create")

    def _known_as(self, rows: ColumnElement[bool]) -> None:
        """Write by what the source knows these people."""
        columns = [
            "organization_id",
            "source",
            "external_id",
            "user_id",
            "dn",
            "fingerprint",
            "digest",
            "source_created_at",
            "source_modified_at",
            "run_id",
        ]
        query = select(
            literal(self.organization_id),
            literal(self.source),
            P.c.external_id,
            P.c.user_id,
            P.c.dn,
            P.c.fingerprint,
            P.c.digest,
            P.c.source_created_at,
            P.c.source_modified_at,
            P.c.run_id,
        ).where(rows)
        self.connection.execute(insert(I).from_select(columns, query))

    def _journal(self, rows: ColumnElement[bool], kind: str) -> None:
        columns = ["organization_id", "user_id", "change_set_id", "kind", "commit_id"]
        query = select(
            literal(self.organization_id),
            P.c.user_id,
            literal(self.change_set_id),
            literal(kind),
            literal(self.commit_id),
        ).where(rows)
        self.connection.execute(insert(J).from_select(columns, query))

    def _journal_updates(self) -> None:
        """Write before and after of the fields that change, one row a person."""
        old = [P.c[f"old_{name}"] for name in RECORD_FIELDS]
        new = [P.c[name] for name in RECORD_FIELDS]
        query = select(P.c.user_id, P.c.old_dn, P.c.dn, *old, *new).where(
            self.having(WRITES_RECORD)
        )
        rows = []
        width = len(RECORD_FIELDS)
        for user_id, old_dn, dn, *values in self.connection.execute(query):
            before, after = {}, {}
            for name, was, now in zip(
                ("dn", *RECORD_FIELDS),
                (old_dn, *values[:width]),
                (dn, *values[width:]),
                strict=True,
            ):
                if was != now:
                    before[name], after[name] = was, now
            if not after:
                continue
            rows.append(
                {
                    "organization_id": self.organization_id,
                    "user_id": user_id,
                    "change_set_id": self.change_set_id,
                    "kind": "update",
                    "before": json.dumps(before, ensure_ascii=False),
                    "after": json.dumps(after, ensure_ascii=False),
                    "commit_id": self.commit_id,
                }
            )
        if rows:
            self.connection.execute(insert(J), rows)

    def _update(self, kinds: Kind) -> None:
        values = {name: P.c[name] for name in (*RECORD_FIELDS, "username_key", "email_key")}
        self.connection.execute(
            update(U)
            .where(U.c.id == P.c.user_id, self.having(WRITES_RECORD))
            .values(version=U.c.version + 1, living=True, **values)
        )
        if kinds & NAMES:
            put_in_order(self.connection, self.ids(NAMES))

    def _identities(self, kinds: Kind) -> None:
        """Keep ids, DNs and the keys by which containers name people."""
        if kinds & TAKES_OVER:
            take_over(self)
            self._known_as(self.having(Kind.LINK))
        if kinds & Kind.REKEY:
            rekey(self)
        staged = and_(self.rows, P.c.fingerprint.is_not(None))
        known = and_(staged, P.c.kinds.op("&")(int(Kind.CREATE)) == 0)
        if kinds != Kind.CREATE:
            names = ("dn", "fingerprint", "digest", "source_created_at", "source_modified_at")
            self.connection.execute(
                update(I)
                .where(
                    I.c.organization_id == self.organization_id,
                    I.c.source == self.source,
                    I.c.external_id == P.c.external_id,
                    known,
                )
                .values(run_id=P.c.run_id, **{name: P.c[name] for name in names})
            )
            lost = select(P.c.user_id).where(
                self.rows,
                or_(P.c.fingerprint.is_not(None), P.c.kinds.op("&")(int(Kind.MISSING)) != 0),
            )
            unpoint(self.connection, self.organization_id, lost)
            self.connection.execute(delete(IK).where(IK.c.user_id.in_(lost)))
        columns = ["organization_id", "kind", "key", "user_id"]
        organization = literal(self.organization_id)
        self.connection.execute(
            insert(IK).from_select(
                columns, select(organization, literal("dn"), P.c.dn_key, P.c.user_id).where(staged)
            )
        )
        self.connection.execute(
            insert(IK).from_select(
                columns,
                select(organization, PK.c.kind, PK.c.key, PK.c.user_id).where(
                    self.of_batch(PK, staged)
                ),
            )
        )

        refer(self, staged)

    def _delete(self) -> None:
        """Purge people for good; what remains is that somebody was purged, and when."""
        ids = self.ids(Kind.DELETE)
        purge(self.connection, self.organization_id, ids, but_run=self.run_id)
        self._journal(self.having(Kind.DELETE), "delete")
