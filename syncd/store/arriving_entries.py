"""Writing one directory entry of somebody who signs in, as a sync would write it.

Who he is, what he is called and whether his account may be used; one transaction with one change
set, and none at all where everything is so already. Who is in which role or group is left to the
syncs, and so are his DN and the keys by which roles name him: a changed-user sync takes whoever has
none that it knows for somebody new or moved, and reads the roles that name him. For the same reason
his digest is dropped.

The entry was read a moment ago. Whatever a sync or an administrator has written of him since is at
least as new, so then nothing is written.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, exists, insert, select, update

from syncd.errors import ConstraintViolated, LastOwner, Refused, SignInRefused
from syncd.records import provider_of
from syncd.store import arriving_accounts, schema
from syncd.store.accounts import parsed
from syncd.store.arriving import ACTOR, Arrived
from syncd.store.arriving_entry import FIELDS, USERS, Seen, look, quarantined
from syncd.store.arriving_ground import standing_still
from syncd.store.books import NO_RUN
from syncd.store.editing import users
from syncd.store.editing.change import Change, change
from syncd.store.leases import clock
from syncd.store.plan_scope import MISSING
from syncd.store.restricting import holds
from syncd.store.staging import allocate

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from syncd.records import UserRecord
    from syncd.store.database import Database

U, I, X, Q = schema.users, schema.identities, schema.restrictions, schema.quarantine
ORG, J = schema.organizations, schema.journal
COMMITS, HEADS = schema.commits, schema.feed_heads
TAKEN = "username_taken"
ATTEMPTS = 3
# A second and what two clocks may differ by.
SECOND_IS_OVER = timedelta(seconds=2)


class EntryArrivals:
    """Takes an organization's people in as they sign in with their directory passwords."""

    def __init__(
        self,
        database: Database,
        organization_id: str,
        *,
        name: str | None = None,
        source: str = "ldap",
    ) -> None:
        """``name`` is the organization's configured one: another that is applied is pending."""
        self.database = database.of(organization_id)
        self.organization_id = organization_id
        self.source = source
        self._name = name

    def position(self) -> int:
        """Return how far the organization's changes have come; to be asked before an entry is."""
        query = select(HEADS.c.position).where(HEADS.c.organization_id == self.organization_id)
        with self.database.read() as connection:
            return connection.scalar(query) or 0

    def arrive(
        self, record: UserRecord, *, after: int | None = None, why: str | None = None
    ) -> Arrived:
        """Write a person as his entry has him; ``enabled`` says whether anything keeps him out.

        While the organization is paused or pending nothing is written: people who are known are
        what they were, and nobody new comes. ``after`` is the position before the entry was read.

        Raises:
            SignInRefused: ``username_taken``, which is put into quarantine until his next success
                or the next sync; ``excluded``, ``pending``, ``paused``, ``deleted``,
                ``not_configured``.

        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._arrive(record, after, why)
            except ConstraintViolated:
                # A sync has made him, or given his name away, at this moment.
                if attempt == ATTEMPTS:
                    raise
            except SignInRefused as refusal:
                if refusal.reason == TAKEN:
                    self._quarantine(record, refusal)
                raise
        raise AssertionError  # pragma: no cover - the last attempt returned or raised

    def _arrive(self, record: UserRecord, after: int | None, why: str | None) -> Arrived:
        with self.database.read() as connection:
            seen = self._look(connection, record, after)
            if seen.row is not None and seen.idle:
                return _as_he_is(seen)
        new_id = None
        if seen.row is None:
            # Before the change, which would keep other writers waiting.
            with self.database.write_ahead() as connection:
                new_id = allocate(connection, "users", 1)
        try:
            return self._change(record, after, why, new_id)
        except LastOwner:
            # As a sync leaves the last owner what he is.
            with self.database.read() as connection:
                return _as_he_is(self._look(connection, record, after, still=True))
        except Refused as refusal:
            raise SignInRefused(refusal.reason, str(refusal)) from refusal

    def _look(
        self, connection: Connection, record: UserRecord, after: int | None, *, still: bool = False
    ) -> Seen:
        because = standing_still(connection, self.organization_id, self.source, self._name)
        now = clock(connection)
        seen = look(
            connection,
            self.organization_id,
            self.source,
            record,
            now=now,
            still=still or because is not None,
        )
        if seen.row is None:
            if because is not None:
                raise because
        elif because is not None:
            if not seen.row.living:
                raise because
        elif not seen.idle and after is not None and self._written_since(connection, seen, after):
            return seen.standing()
        return seen

    def _written_since(self, connection: Connection, seen: Seen, after: int) -> bool:
        row = seen.row
        query = (
            select(J.c.user_id)
            .join(
                COMMITS,
                and_(
                    COMMITS.c.organization_id == J.c.organization_id,
                    COMMITS.c.commit_id == J.c.commit_id,
                ),
            )
            .where(
                COMMITS.c.organization_id == self.organization_id,
                COMMITS.c.position > after,
                J.c.user_id == (0 if row is None else row.id),
            )
            .limit(1)
        )
        return connection.execute(query).first() is not None

    # --- writing --------------------------------------------------------------------------

    def _change(
        self, record: UserRecord, after: int | None, why: str | None, new_id: int | None
    ) -> Arrived:
        opened = change(self.database, self.organization_id, actor=ACTOR, why=why)
        with opened as c:
            if new_id is None:
                # A sync locks a person before it compares his version.
                self._lock(c, record)
            seen = self._look(c.connection, record, after)
            if seen.row is None and new_id is None:
                raise ConstraintViolated(f"{record.dn} was purged at this moment")
            if seen.row is not None and seen.still:
                return _as_he_is(seen)
            if seen.judged.shuts(c.now):
                c.watch_owners()
            user_id = self._write(c, record, seen, new_id)
            if seen.quarantined:
                c.connection.execute(
                    delete(Q).where(*quarantined(self.organization_id, record.external_id))
                )
            return Arrived(
                user_id,
                record.username,
                created=seen.row is None,
                changed=seen.changes,
                enabled=self._enable(c, user_id, seen),
                linked=False,
                remarks=(),
            )

    def _lock(self, change: Change, record: UserRecord) -> None:
        mine = and_(I.c.user_id == U.c.id, I.c.organization_id == self.organization_id)
        query = select(U.c.id).join(I, mine)
        query = query.where(I.c.source == self.source, I.c.external_id == record.external_id)
        change.connection.execute(query.with_for_update(of=U))

    def _write(self, change: Change, record: UserRecord, seen: Seen, new_id: int | None) -> int:
        if not seen.changes and seen.row is not None:
            return int(seen.row.id)
        if seen.row is None:
            user_id = new_id or allocate(change.connection, "users", 1)
            self._create(change, record, user_id)
        else:
            user_id = seen.row.id
            if seen.taken_over:
                self._take_over(change, record, user_id, seen.row.provider)
            # Before he is here again: the name that he had may be another one's by now.
            users.update_fields(change, user_id, seen.fields)
            self._lift(change, user_id, seen)
            self._forget_entry(change, record, seen)
        arriving_accounts.write(change, user_id, seen.judged, seen.account)
        return user_id

    def _create(self, change: Change, record: UserRecord, user_id: int) -> None:
        change.connection.execute(
            insert(U).values(
                id=user_id,
                organization_id=self.organization_id,
                version=1,
                provider=provider_of(self.source),
                living=True,
                enabled=True,
                username_key=record.username_key,
                email_key=record.email_key,
                email_verified=record.email_verified,
                **{name: getattr(record, name) for name in FIELDS},
            )
        )
        change.connection.execute(
            insert(I).values(
                organization_id=self.organization_id,
                source=self.source,
                external_id=record.external_id,
                user_id=user_id,
                fingerprint=b"",
                source_created_at=record.source_created_at,
                source_modified_at=record.source_modified_at,
            )
        )
        change.of_person(user_id, "create")

    def _take_over(self, change: Change, record: UserRecord, user_id: int, was: str) -> None:
        provider = provider_of(self.source)
        mine = update(U).where(U.c.id == user_id)
        change.connection.execute(mine.values(provider=provider, version=U.c.version + 1))
        after = {
            "provider": provider,
            "source": self.source,
            "external_id": record.external_id,
        }
        change.of_person(user_id, "identity", {"provider": was}, after)

    def _lift(self, change: Change, user_id: int, seen: Seen) -> None:
        for source, reason in seen.lifted:
            gone = and_(X.c.user_id == user_id, X.c.source == source, X.c.reason == reason)
            change.connection.execute(delete(X).where(gone))
            # As a sync and a switch write them down.
            name = MISSING if reason == MISSING else f"{source}:{reason}"
            change.of_person(user_id, "restrictions", {name: True}, {name: False})

    def _forget_entry(self, change: Change, record: UserRecord, seen: Seen) -> None:
        """Let the next sync look at his entry anew, and know when it was as it is stored now."""
        values: dict[str, object] = {"digest": None, "fingerprint": b""}
        if seen.row is None or not seen.row.living:
            # Who was away may have become a member of anything meanwhile.
            values["dn"] = None
        modified = record.source_modified_at
        if modified is not None and parsed(modified) <= change.now - SECOND_IS_OVER:
            # No run read it: what is missing from it then counts only when it has changed again.
            values |= {"source_modified_at": modified, "run_id": None}
        change.connection.execute(
            update(I)
            .where(
                I.c.organization_id == self.organization_id,
                I.c.source == self.source,
                I.c.external_id == record.external_id,
            )
            .values(**values)
        )

    def _enable(self, change: Change, user_id: int, seen: Seen) -> bool:
        """Keep what says whether anything keeps him out; return whether nothing does."""
        shut = exists().where(X.c.user_id == user_id, holds(change.now))
        enabled = not change.connection.scalar(select(shut))
        if seen.changes:
            change.connection.execute(
                update(U)
                .where(U.c.id == user_id)
                .values(
                    enabled=enabled,
                    living=True,
                    version=U.c.version + (0 if seen.row is None else 1),
                )
            )
        return enabled

    # --- quarantine -----------------------------------------------------------------------

    def _quarantine(self, record: UserRecord, refusal: SignInRefused) -> None:
        """Write down, as a sync does, that an entry was not taken."""
        with self.database.write() as connection:
            # One after the other, as changes come.
            mine = select(ORG.c.id).where(ORG.c.id == self.organization_id).with_for_update()
            connection.execute(mine)
            now = clock(connection)
            of_entry = quarantined(self.organization_id, record.external_id)
            again = {
                "reason": refusal.reason,
                "detail": str(refusal),
                "last_seen": now,
                "dn": record.dn,
                "username_key": record.username_key,
            }
            known = connection.execute(
                update(Q).where(*of_entry).values(attempts=Q.c.attempts + 1, **again)
            )
            if known.rowcount:
                return
            connection.execute(
                insert(Q).values(
                    organization_id=self.organization_id,
                    source=USERS,
                    entry=record.external_id,
                    external_id=record.external_id,
                    first_seen=now,
                    attempts=1,
                    run_id=NO_RUN,
                    **again,
                )
            )


def _as_he_is(seen: Seen) -> Arrived:
    row = seen.row
    if row is None:
        raise ConstraintViolated("he was purged at this moment")
    return Arrived(
        row.id,
        row.username,
        created=False,
        changed=False,
        enabled=bool(row.living) and not seen.shut,
        linked=False,
        remarks=(),
    )
