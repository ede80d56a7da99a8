"""Writing somebody who signs in, as the mappers made him from verified claims.

One transaction with one change set, and none at all where everything is so already. Who he is the
issuer and its subject say, never an address.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, select

from syncd.errors import LastOwner, Refused, SignInRefused
from syncd.records import fold
from syncd.store import arriving_grants, arriving_names, arriving_people, schema
from syncd.store.arriving_ground import standing_still
from syncd.store.books import NO_RUN
from syncd.store.editing.change import change
from syncd.store.leases import clock
from syncd.store.sides import ALLOCATOR
from syncd.store.staging import allocate

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Select

    from syncd.records import Arrival, Remark
    from syncd.store.arriving_grants import Given
    from syncd.store.arriving_people import Person
    from syncd.store.database import Database

ORG, Q = schema.organizations, schema.quarantine
ACTOR = "sign-in"


class Arrived(NamedTuple):
    """Who has arrived, and what that changed."""

    user_id: int
    username: str
    created: bool
    changed: bool
    # Whether nothing keeps him out.
    enabled: bool
    # He was the person of a former provider.
    linked: bool
    remarks: tuple[Remark, ...]


class Foreseen(NamedTuple):
    """What an arrival would come to."""

    # By the issuer and the subject.
    known: bool
    # Of somebody who is there; what he would be called, and whether nothing would keep him out.
    user_id: int | None = None
    username: str | None = None
    enabled: bool | None = None
    created: bool = False
    changed: bool = False
    # The username of the person of a former provider who would be taken over.
    linked: str | None = None
    refusal: SignInRefused | None = None
    remarks: tuple[Remark, ...] = ()
    # What the mappers would give, by name and path.
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Arrivals:
    """Takes an organization's people in as they sign in."""

    def __init__(
        self, database: Database, organization_id: str, *, name: str | None = None
    ) -> None:
        """``name`` is the organization's configured one: another that is applied is pending."""
        self.database = database.of(organization_id)
        self.organization_id = organization_id
        self._name = name

    def knows(self, source: str, external_id: str) -> bool:
        """Return whether somebody is known by this issuer and subject."""
        with self.database.read() as connection:
            row = arriving_people.stored(connection, self.organization_id, source, external_id)
        return row is not None

    def arrive(self, arrival: Arrival, *, why: str | None = None) -> Arrived:
        """Write a person as he arrives; whether he may sign in then is the caller's to ask.

        While the organization is paused or pending nothing is written: people who are known are
        what they were, and nobody new comes.

        Raises:
            SignInRefused: ``username_taken``, which is put into quarantine until his next success;
                ``excluded``, ``paused``, ``pending``, ``deleted``, ``not_configured``.
            ConstraintViolated: He was deleted at this moment; map his claims anew.

        """
        try:
            with self.database.read() as connection:
                seen = self._look(connection, arrival)
                row = seen.person.row
                if row is not None and seen.idle:
                    return _as_he_is(row, seen, clock(connection))
            return self._write(arrival, seen, why)
        except SignInRefused as refusal:
            if refusal.reason == arriving_names.TAKEN:
                self.quarantine(
                    arrival.source,
                    arrival.external_id,
                    refusal,
                    username=arrival.username,
                    attribute="username",
                )
            raise

    def foresee(self, arrival: Arrival) -> Foreseen:
        """Return what ``arrive`` would come to; writes nothing.

        Raises:
            ConstraintViolated: He was deleted at this moment; map his claims anew.

        """
        with self.database.read() as connection:
            row = arriving_people.stored(
                connection, self.organization_id, arrival.source, arrival.external_id
            )
            known = Foreseen(row is not None)
            if row is not None:
                known = known._replace(user_id=row.id, username=row.username)
            try:
                seen = self._look(connection, arrival)
            except SignInRefused as refusal:
                return known._replace(refusal=refusal)
            was = seen.person.row
            given = seen.given
            return Foreseen(
                known.known,
                None if was is None else was.id,
                seen.username,
                seen.person.enabled(clock(connection), lifting=not seen.still),
                created=was is None,
                changed=seen.changes,
                linked=was.username if was is not None and not known.known else None,
                remarks=seen.remarks,
                roles=tuple(sorted(given.targets.role_names)),
                groups=tuple(sorted(given.targets.group_paths)),
            )

    def quarantine(
        self,
        source: str,
        external_id: str,
        refusal: SignInRefused,
        *,
        username: str | None = None,
        attribute: str | None = None,
    ) -> None:
        """Write down that somebody was not taken, and why; his next success removes it.

        Nothing is while nothing is written in the organization.
        """
        with self.database.write() as connection:
            # One after the other, as changes come.
            mine = select(ORG.c.id).where(ORG.c.id == self.organization_id).with_for_update()
            connection.execute(mine)
            try:
                if self._standing_still(connection, source) is not None:
                    return
            except SignInRefused:
                return
            now = clock(connection)
            of_person = self._quarantined(source, external_id)
            was = connection.execute(
                select(Q.c.first_seen, Q.c.attempts).where(*of_person)
            ).one_or_none()
            connection.execute(delete(Q).where(*of_person))
            connection.execute(
                insert(Q).values(
                    organization_id=self.organization_id,
                    source=source,
                    entry=external_id,
                    dn="",
                    external_id=external_id,
                    reason=refusal.reason,
                    attribute=attribute,
                    detail=str(refusal),
                    first_seen=now if was is None else was.first_seen,
                    last_seen=now,
                    attempts=1 if was is None else was.attempts + 1,
                    username_key=None if username is None else fold(username),
                    run_id=NO_RUN,
                )
            )

    # --- looking --------------------------------------------------------------------------

    def _look(self, connection: Connection, arrival: Arrival, *, keep_owner: bool = False) -> _Seen:
        """Return what an arrival changes, by what is stored."""
        if still := self._standing_still(connection, arrival.source):
            row = arriving_people.stored(
                connection, self.organization_id, arrival.source, arrival.external_id
            )
            if row is None or not row.living:
                raise still
            person = arriving_people.as_he_is(connection, row)
            return _Seen(person, arriving_grants.Given(), quarantined=False, still=True)
        person = arriving_people.person(connection, self.organization_id, arrival)
        given = arriving_grants.grants(
            connection,
            self.organization_id,
            arrival,
            None if person.row is None else person.row.id,
            keep_owner=keep_owner,
        )
        of_person = {
            "organization_id": self.organization_id,
            "source": arrival.source,
            "entry": arrival.external_id,
        }
        quarantined = connection.execute(_in_quarantine(), of_person).first() is not None
        return _Seen(person, given, quarantined=quarantined)

    def _standing_still(self, connection: Connection, source: str) -> SignInRefused | None:
        return standing_still(connection, self.organization_id, source, self._name)

    def _quarantined(self, source: str, external_id: str) -> tuple[Any, ...]:
        return (
            Q.c.organization_id == self.organization_id,
            Q.c.source == source,
            Q.c.entry == external_id,
        )

    # --- writing --------------------------------------------------------------------------

    def _write(self, arrival: Arrival, seen: _Seen, why: str | None) -> Arrived:
        people, targets = self._ids(seen)
        try:
            return self._change(arrival, _Ids([*people], [*targets]), why)
        except LastOwner:
            # Whoever signs in is let in; what makes him an owner stays.
            return self._change(arrival, _Ids([*people], [*targets]), why, keep_owner=True)
        except Refused as refusal:
            raise SignInRefused(refusal.reason, str(refusal)) from refusal

    def _ids(self, seen: _Seen) -> tuple[list[int], list[int]]:
        """Take ids of what is new, before the change, which would keep other writers waiting."""
        people = 1 if seen.person.row is None else 0
        targets = len(seen.given.targets.roles) + len(seen.given.targets.groups)
        if not people + targets:
            return [], []
        with self.database.write_ahead() as connection:
            return (
                _taken(connection, "users", people),
                _taken(connection, ALLOCATOR, targets),
            )

    def _change(
        self, arrival: Arrival, ids: _Ids, why: str | None, *, keep_owner: bool = False
    ) -> Arrived:
        opened = change(self.database, self.organization_id, actor=ACTOR, why=why)
        with opened as c:
            seen = self._look(c.connection, arrival, keep_owner=keep_owner)
            if seen.still:
                # Since a moment ago.
                return _as_he_is(seen.person.row, seen, c.now)
            if seen.given.takes:
                c.watch_owners()
            user_id = arriving_people.write(
                c, arrival, seen.person, new_id=lambda: ids.person(c.connection)
            )
            arriving_grants.write(c, seen.given, user_id, new_id=lambda: ids.target(c.connection))
            if seen.quarantined:
                of_person = self._quarantined(arrival.source, arrival.external_id)
                c.connection.execute(delete(Q).where(*of_person))
            return Arrived(
                user_id,
                seen.username,
                created=seen.person.row is None,
                changed=seen.changes,
                enabled=seen.person.enabled(c.now),
                linked=seen.person.row is not None and not seen.person.known,
                remarks=seen.remarks,
            )


@cache
def _in_quarantine() -> Select[Any]:
    names = ("organization_id", "source", "entry")
    return select(Q.c.entry).where(*(Q.c[name] == bindparam(name) for name in names))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What an arrival changes, as a transaction sees it."""

    person: Person
    given: Given
    # He was not taken the last time.
    quarantined: bool
    # Nothing is written in this organization at present.
    still: bool = False

    @property
    def changes(self) -> bool:
        return not (self.still or (self.person.idle and self.given.idle))

    @property
    def idle(self) -> bool:
        return not (self.changes or self.quarantined)

    @property
    def remarks(self) -> tuple[Remark, ...]:
        return (*arriving_names.remarks(self.person.moves), *self.given.remarks)

    @property
    def username(self) -> str:
        row = self.person.row
        return str(self.person.fields.get("username", None if row is None else row.username))


def _as_he_is(row: Any, seen: _Seen, now: datetime) -> Arrived:  # noqa: ANN401 - a row
    return Arrived(
        row.id,
        row.username,
        created=False,
        changed=False,
        enabled=seen.person.enabled(now, lifting=not seen.still),
        linked=False,
        remarks=seen.remarks,
    )


def _taken(connection: Connection, kind: str, count: int) -> list[int]:
    if not count:
        return []
    first = allocate(connection, kind, count)
    return list(range(first, first + count))


@dataclass(slots=True)
class _Ids:
    """Ids that were taken ahead; more of them in the change itself, if it comes to that."""

    people: list[int]
    targets: list[int]

    def person(self, connection: Connection) -> int:
        return self.people.pop() if self.people else allocate(connection, "users", 1)

    def target(self, connection: Connection) -> int:
        return self.targets.pop(0) if self.targets else allocate(connection, ALLOCATOR, 1)
