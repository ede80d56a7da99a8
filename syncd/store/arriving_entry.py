"""A directory entry of somebody who signs in, beside what the store has of him; looks alone.

What is to be written is worked out without a lock, to see whether there is anything at all, and
again within the change that writes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, select

from syncd.errors import SignInRefused
from syncd.records import provider_of
from syncd.store import schema
from syncd.store.arriving_accounts import Judged, Read, Stored, judge
from syncd.store.linking import BY_VERIFIED_EMAIL, OTHER_PROVIDER, PROVIDER
from syncd.store.plan_scope import ACCOUNT_STATE, DIRECTORY, MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select

    from syncd.records import UserRecord

U, I, X = schema.users, schema.identities, schema.restrictions
EX, ORG, Q, RUNS = schema.exclusions, schema.organizations, schema.quarantine, schema.runs
FIELDS = ("username", "email", "first_name", "last_name", "attributes")
# As the runs call the listing of people.
USERS = "users"
# Somebody whom the directory had lost, and somebody of another provider.
LIFTED = frozenset({(DIRECTORY, MISSING), (PROVIDER, OTHER_PROVIDER)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Whom an entry is about, and what it changes of him."""

    # As stored; None is somebody new.
    row: Any
    judged: Judged
    # What is stored of his account, by reason.
    account: Mapping[str, Stored] = field(default_factory=dict)
    # (source, reason) of what keeps him out now, and of what does not any more.
    kept_out: frozenset[tuple[str, str]] = frozenset()
    lifted: tuple[tuple[str, str], ...] = ()
    # Columns of the table of people, the keys for comparing left out; only those that differ.
    fields: Mapping[str, Any] = field(default_factory=dict)
    taken_over: bool = False
    # He was not taken the last time.
    quarantined: bool = False
    # Nothing is to be written, whatever the entry says.
    still: bool = False

    @property
    def changes(self) -> bool:
        """Whether the entry changes anything of him."""
        if self.still:
            return False
        return (
            self.row is None
            or bool(self.fields or self.lifted or self.judged.kinds)
            or self.taken_over
            or not self.row.living
        )

    @property
    def idle(self) -> bool:
        """Whether nothing is to be written."""
        return self.still or not (self.changes or self.quarantined)

    @property
    def shut(self) -> bool:
        """Whether anything stored keeps him out."""
        return bool(self.kept_out)

    def standing(self) -> Seen:
        """Return the same where nothing is to be written."""
        return replace(self, still=True)


@cache
def _stored() -> Select[Any]:
    return (
        select(
            U,
            I.c.source_modified_at.label("modified_at"),
            RUNS.c.started_at.label("read_from"),
            Q.c.entry.label("quarantined"),
        )
        .join(I, I.c.user_id == U.c.id)
        .outerjoin(RUNS, RUNS.c.id == I.c.run_id)
        .outerjoin(Q, and_(*quarantined(I.c.organization_id, I.c.external_id)))
        .where(
            I.c.organization_id == bindparam("organization_id"),
            I.c.source == bindparam("source"),
            I.c.external_id == bindparam("external_id"),
        )
    )


@cache
def _restrictions() -> Select[Any]:
    return select(X.c.source, X.c.reason, X.c.since, X.c.until, X.c.waiting).where(
        X.c.user_id == bindparam("user_id")
    )


def quarantined(organization_id: Any, entry: Any) -> tuple[ColumnElement[bool], ...]:  # noqa: ANN401
    """Return what tells an entry's row of the quarantine."""
    return (
        Q.c.organization_id == organization_id,
        Q.c.source == USERS,
        Q.c.entry == entry,
    )


def look(
    connection: Connection,
    organization_id: str,
    source: str,
    record: UserRecord,
    *,
    now: datetime,
    still: bool,
) -> Seen:
    """Return whom an entry is about; ``still`` is that nothing is to be written.

    Raises:
        SignInRefused: ``excluded``, ``pending`` or ``username_taken``.

    """
    given = {
        "organization_id": organization_id,
        "source": source,
        "external_id": record.external_id,
    }
    row = connection.execute(_stored(), given).one_or_none()
    if row is None:
        judged = judge(record.account, {}, Read(None, None, None), now)
        if still:
            return Seen(row=None, judged=judged, still=True)
        _refuse_newcomer(connection, organization_id, source, record)
        mine = quarantined(organization_id, record.external_id)
        bad = connection.execute(select(Q.c.entry).where(*mine)).first() is not None
        return Seen(row=None, judged=judged, quarantined=bad)
    restrictions = connection.execute(_restrictions(), {"user_id": row.id}).all()
    account = {
        each.reason: Stored(each.since, each.until, bool(each.waiting))
        for each in restrictions
        if each.source == ACCOUNT_STATE
    }
    read = Read(row.modified_at, record.source_modified_at, row.read_from)
    if record.account is None:
        # Nobody looks at accounts, so that nothing of the kind holds any more.
        read = Read(None, None, None)
    seen = Seen(
        row=row,
        judged=judge(record.account, account, read, now),
        account=account,
        kept_out=frozenset(
            (each.source, each.reason)
            for each in restrictions
            if each.since <= now and (each.until is None or each.until > now)
        ),
        lifted=tuple(
            sorted(
                (each.source, each.reason)
                for each in restrictions
                if (each.source, each.reason) in LIFTED
            )
        ),
        fields=_fields(row, record),
        taken_over=row.provider != provider_of(source),
        quarantined=row.quarantined is not None,
        still=still,
    )
    if not still and (row.username_key != record.username_key or not row.living):
        _refuse_taken(connection, organization_id, record, row.id)
    return seen


def _fields(row: Any, record: UserRecord) -> dict[str, Any]:  # noqa: ANN401 - a row
    found = {
        name: getattr(record, name)
        for name in FIELDS
        if getattr(record, name) != getattr(row, name)
    }
    # An address that stays the same keeps being verified; a new one is what the mapper says.
    verified = record.email_verified or (
        bool(row.email_verified)
        and record.email_key is not None
        and row.email_key == record.email_key
    )
    if verified != bool(row.email_verified):
        found["email_verified"] = verified
    return found


def _refuse_newcomer(
    connection: Connection, organization_id: str, source: str, record: UserRecord
) -> None:
    excluded = select(EX.c.username).where(
        EX.c.organization_id == organization_id,
        EX.c.source == source,
        EX.c.external_id == record.external_id,
    )
    if connection.execute(excluded).first() is not None:
        raise SignInRefused(
            "excluded",
            f"somebody deleted {record.username} for good from {organization_id}; "
            f"`syncd exclusions remove {organization_id} {record.external_id}` lets the next sync "
            "bring him again",
        )
    _refuse_left_behind(connection, organization_id, source, record)
    _refuse_taken(connection, organization_id, record, 0)


def _refuse_left_behind(
    connection: Connection, organization_id: str, source: str, record: UserRecord
) -> None:
    """Leave it to a sync to say who of a former provider somebody is: it sees everybody."""
    mine = ORG.c.id == organization_id
    link_by = connection.execute(select(ORG.c.link_by).where(mine)).scalar_one_or_none()
    if link_by is None:
        return
    alike = U.c.username_key == record.username_key
    if link_by == BY_VERIFIED_EMAIL and record.email_verified and record.email_key is not None:
        alike = alike | and_(U.c.email_key == record.email_key, U.c.email_verified)
    former = select(U.c.username).where(
        U.c.organization_id == organization_id,
        U.c.living,
        U.c.provider != provider_of(source),
        alike,
    )
    found = connection.execute(former.limit(1)).first()
    if found is not None:
        raise SignInRefused(
            "pending",
            f"{record.username} may be {found.username} of a former provider, which a sync finds "
            f"out: `syncd sync {organization_id}`",
        )


def _refuse_taken(
    connection: Connection, organization_id: str, record: UserRecord, user_id: int
) -> None:
    """Refuse a username that somebody else has; whoever holds a name keeps it, as in a sync."""
    other = connection.execute(
        select(U.c.provider).where(
            U.c.organization_id == organization_id,
            U.c.username_key == record.username_key,
            U.c.living,
            U.c.id != user_id,
        )
    ).first()
    if other is not None:
        raise SignInRefused(
            "username_taken",
            f"the username {record.username} belongs to another person of {organization_id}, of "
            f"the provider {other.provider}; the next sync settles names that changed hands, else "
            "give one of them another username",
        )
