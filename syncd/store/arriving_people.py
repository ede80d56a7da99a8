"""Somebody who signs in, as the store has him: known, to be taken over, or new; and his fields.

Looks and writes apart: what is to be written is worked out of what is stored, without a lock to see
whether there is anything at all, and again within the change that writes it.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sqlalchemy import and_, bindparam, delete, exists, func, insert, select, update

from syncd.errors import ConstraintViolated, SignInRefused
from syncd.records import fold, provider_of
from syncd.store import arriving_names, schema
from syncd.store.arriving_names import called
from syncd.store.editing import users
from syncd.store.editing.providing import forget_issuers
from syncd.store.linking import (
    BY_USERNAME,
    BY_VERIFIED_EMAIL,
    OTHER_PROVIDER,
    PROVIDER,
    is_left_behind,
    is_privileged,
)
from syncd.store.plan_scope import DIRECTORY, MISSING
from syncd.store.restricting import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row, Select

    from syncd.records import Arrival
    from syncd.store.arriving_names import Move
    from syncd.store.editing.change import Change

U, I, X = schema.users, schema.identities, schema.restrictions
EX, ORG = schema.exclusions, schema.organizations
FIELDS = ("email", "email_verified", "first_name", "last_name")
# Somebody whom a directory of before had lost, and somebody of a provider of before.
LIFTED = ((DIRECTORY, MISSING), (PROVIDER, OTHER_PROVIDER))
# Source, reason, since, until.
Restriction: TypeAlias = "tuple[str, str, datetime, datetime | None]"


class Person(NamedTuple):
    """Whom an arrival is about, and what it changes of him."""

    # As stored; None is somebody new.
    row: Row[Any] | None
    # By this very issuer and subject; else he is new, or taken over.
    known: bool
    # He was another provider's.
    taken_over: bool
    # What is stored of what keeps him out.
    restrictions: tuple[Restriction, ...]
    # Columns of the table of people, the keys for comparing left out; only those that differ.
    fields: Mapping[str, Any]
    # Others who are called otherwise from now on, so that he may have his name.
    moves: tuple[Move, ...] = ()

    @property
    def lifted(self) -> tuple[tuple[str, str], ...]:
        """What kept him out and does not any more: he was away, or another provider's."""
        return tuple(each[:2] for each in self.restrictions if each[:2] in LIFTED)

    def enabled(self, now: datetime, *, lifting: bool = True) -> bool:
        """Return whether nothing keeps him out at a time, what is lifted left out."""
        return not any(
            since <= now and (until is None or until > now)
            for source, reason, since, until in self.restrictions
            if not (lifting and (source, reason) in LIFTED)
        )

    @property
    def idle(self) -> bool:
        """Whether nothing is to be written."""
        return (
            self.row is not None
            and self.known
            and not (self.taken_over or self.lifted or self.fields)
            and bool(self.row.living)
        )


# What every arrival asks, made once.


@cache
def _stored() -> Select[Any]:
    return (
        select(U)
        .join(I, I.c.user_id == U.c.id)
        .where(
            I.c.organization_id == bindparam("organization_id"),
            I.c.source == bindparam("source"),
            I.c.external_id == bindparam("subject"),
        )
    )


@cache
def _restrictions() -> Select[Any]:
    return (
        select(X.c.source, X.c.reason, X.c.since, X.c.until)
        .where(X.c.user_id == bindparam("user_id"))
        .order_by(X.c.source, X.c.reason)
    )


def stored(connection: Connection, organization_id: str, source: str, subject: str) -> Any:  # noqa: ANN401
    """Return the row of whom a source knows by this id; None if nobody is."""
    given = {"organization_id": organization_id, "source": source, "subject": subject}
    return connection.execute(_stored(), given).one_or_none()


def as_he_is(connection: Connection, row: Any) -> Person:  # noqa: ANN401 - a row
    """Return somebody known of whom nothing is changed."""
    kept_out = _kept_out(connection, row.id)
    return Person(row, known=True, taken_over=False, restrictions=kept_out, fields={})


def _kept_out(connection: Connection, user_id: int) -> tuple[Restriction, ...]:
    rows = connection.execute(_restrictions(), {"user_id": user_id})
    return tuple((source, reason, since, until) for source, reason, since, until in rows)


def person(connection: Connection, organization_id: str, arrival: Arrival) -> Person:
    """Return whom an arrival is about.

    Raises:
        SignInRefused: ``excluded``, or ``username_taken``.
        ConstraintViolated: The arrival was made for somebody who is known, and he is not any more.

    """
    row = stored(connection, organization_id, arrival.source, arrival.external_id)
    known = row is not None
    if not known:
        _refuse_excluded(connection, organization_id, arrival)
        if not arrival.newcomer:
            raise ConstraintViolated(
                f"the person of the subject {arrival.external_id} was deleted from "
                f"{organization_id} at this moment; sign in again"
            )
        row = _left_behind(connection, organization_id, arrival)
    fields = _fields(row, arrival)
    moves: tuple[Move, ...] = ()
    if row is None or "username" in fields or not row.living:
        moves = arriving_names.moves(connection, organization_id, arrival, row)
    if row is None:
        return Person(None, False, False, (), fields, moves)
    theirs = row.provider != provider_of(arrival.source) or not known
    return Person(row, known, theirs, _kept_out(connection, row.id), fields, moves)


def _refuse_excluded(connection: Connection, organization_id: str, arrival: Arrival) -> None:
    query = select(EX.c.username).where(
        EX.c.organization_id == organization_id,
        EX.c.source == arrival.source,
        EX.c.external_id == arrival.external_id,
    )
    if connection.execute(query).first() is not None:
        raise SignInRefused(
            "excluded",
            f"somebody deleted {arrival.username} for good from {organization_id}; "
            f"`syncd exclusions remove {organization_id} {arrival.external_id}` lets the next "
            "sign-in bring him again",
        )


def _left_behind(connection: Connection, organization_id: str, arrival: Arrival) -> Any:  # noqa: ANN401
    """Return the one person of a former provider whom this arrival takes over, if any.

    As ``syncd.store.linking`` does it for the entries of a directory, but for people who
    administer: at a provider one may choose one's name, so not even those who were named at the
    switch are taken over by it. They are linked by hand, with the subject.
    """
    mine = ORG.c.id == organization_id
    link_by = connection.execute(select(ORG.c.link_by).where(mine)).scalar_one_or_none()
    if link_by is None:
        return None
    left, privileged = is_left_behind(U.c.id), is_privileged(organization_id, U.c.id)
    others = and_(
        U.c.organization_id == organization_id,
        U.c.living,
        U.c.provider != provider_of(arrival.source),
    )
    matches = []
    if link_by == BY_USERNAME:
        matches.append(and_(U.c.username_key == fold(called(None, arrival)), left, ~privileged))
    email, verified = arrival.fields.get("email"), arrival.fields.get("email_verified")
    if link_by == BY_VERIFIED_EMAIL and email and verified is True:
        key = fold(str(email))
        alike = U.alias("alike")
        once = (
            select(func.count())
            .select_from(alike)
            .where(alike.c.organization_id == organization_id, alike.c.living)
            .where(alike.c.email_key == key)
            .scalar_subquery()
        )
        matches.append(and_(U.c.email_key == key, U.c.email_verified, left, ~privileged, once == 1))
    for match in matches:
        found = connection.execute(select(U).where(others, match)).one_or_none()
        if found is not None:
            return found
    return None


def _fields(row: Any, arrival: Arrival) -> dict[str, Any]:  # noqa: ANN401 - a row, or None
    """Return what is to be written of the fields that something is said of."""
    said: dict[str, Any] = {
        name: value or None for name, value in arrival.fields.items() if name in FIELDS
    }
    was = {name: None if row is None else getattr(row, name) for name in FIELDS}
    email = said.get("email", was["email"])
    if "email_verified" not in said and (email is None or email != was["email"]):
        # What was known of an address says nothing of another one.
        said["email_verified"] = False
    if "email_verified" in said:
        said["email_verified"] = bool(said["email_verified"]) and email is not None
    if arrival.username is not None:
        said["username"] = arrival.username
    attributes = {} if row is None else json.loads(row.attributes)
    wanted = {name: list(values) for name, values in arrival.attributes.items()}
    then = {name: values for name, values in (attributes | wanted).items() if values}
    if then != attributes:
        said["attributes"] = _canonical(then)
    if row is None:
        new = {"email": None, "email_verified": False, "first_name": None, "last_name": None}
        return {**new, "attributes": "{}", **said}
    stored_now = {**was, "email_verified": bool(was["email_verified"]), "username": row.username}
    return {
        name: value
        for name, value in said.items()
        if name == "attributes" or stored_now[name] != value
    }


def _canonical(attributes: Mapping[str, Any]) -> str:
    return json.dumps(attributes, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


# --- writing ----------------------------------------------------------------------------------


def write(change: Change, arrival: Arrival, found: Person, *, new_id: Callable[[], int]) -> int:
    """Write a person as he arrives; return his id, a new one for somebody new."""
    if found.moves:
        arriving_names.park(change, found.moves)
    user_id = _write(change, arrival, found, new_id)
    if found.moves:
        arriving_names.settle(change, found.moves)
    return user_id


def _write(change: Change, arrival: Arrival, found: Person, new_id: Callable[[], int]) -> int:
    if found.row is None:
        new = new_id()
        _create(change, arrival, found.fields, new)
        return new
    user_id: int = found.row.id
    if found.taken_over:
        _take_over(change, arrival, found, user_id)
    # Before he is here again: the name that he had may be another one's by now.
    users.update_fields(change, user_id, found.fields)
    if found.lifted or not found.row.living:
        _let_in(change, user_id, found.lifted)
    return user_id


def _create(change: Change, arrival: Arrival, fields: Mapping[str, Any], user_id: int) -> None:
    email = fields["email"]
    change.connection.execute(
        insert(U).values(
            id=user_id,
            organization_id=change.organization_id,
            version=1,
            provider=provider_of(arrival.source),
            username_key=fold(fields["username"]),
            email_key=None if email is None else fold(email),
            living=True,
            enabled=True,
            **fields,
        )
    )
    _know(change, arrival, user_id)
    change.of_person(user_id, "create")


def _know(change: Change, arrival: Arrival, user_id: int) -> None:
    change.connection.execute(
        insert(I).values(
            organization_id=change.organization_id,
            source=arrival.source,
            external_id=arrival.external_id,
            user_id=user_id,
            # Each arrival is compared with what is stored.
            fingerprint=b"",
        )
    )


def _take_over(change: Change, arrival: Arrival, found: Person, user_id: int) -> None:
    provider = provider_of(arrival.source)
    if not found.known:
        forget_issuers(change, user_id)
        _know(change, arrival, user_id)
    change.connection.execute(
        update(U).where(U.c.id == user_id).values(provider=provider, version=U.c.version + 1)
    )
    before = {"provider": None if found.row is None else found.row.provider}
    after = {
        "provider": provider,
        "source": arrival.source,
        "external_id": arrival.external_id,
    }
    change.of_person(user_id, "identity", before, after)


def _let_in(change: Change, user_id: int, lifted: tuple[tuple[str, str], ...]) -> None:
    for source, reason in lifted:
        gone = and_(X.c.user_id == user_id, X.c.source == source, X.c.reason == reason)
        change.connection.execute(delete(X).where(gone))
        # As a sync and a switch write them down.
        name = MISSING if reason == MISSING else f"{source}:{reason}"
        change.of_person(user_id, "restrictions", {name: True}, {name: False})
    shut = exists().where(X.c.user_id == U.c.id, holds(change.now))
    change.connection.execute(
        update(U)
        .where(U.c.id == user_id)
        .values(version=U.c.version + 1, enabled=~shut, living=True)
    )
