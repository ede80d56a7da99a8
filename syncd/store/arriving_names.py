"""Whether somebody who signs in may be called as he is, where another one has the name.

Names change hands at the provider, and whoever signs in first finds his new one taken. The other's
own word decides, as far as it is known: a sign-in that was refused for the name that he has by now.
So those who swapped names are let in by the second sign-in, in one change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, select, update

from syncd.errors import SignInRefused
from syncd.records import Remark, fold
from syncd.store import schema
from syncd.store.editing import users

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from syncd.records import Arrival
    from syncd.store.editing.change import Change

U, I, Q = schema.users, schema.identities, schema.quarantine
TAKEN = "username_taken"
# Of names that change hands together.
LONGEST_CHAIN = 100


class Move(NamedTuple):
    """Somebody who is called otherwise from now on, so that another one may have his name."""

    user_id: int
    was: str
    # As names are compared: how he spells it he says himself when he comes.
    username: str


def called(row: Any, arrival: Arrival) -> str:  # noqa: ANN401 - a row, or None
    """Return what somebody is called: as he says, or as before."""
    return str(row.username if arrival.username is None else arrival.username)


def moves(
    connection: Connection,
    organization_id: str,
    arrival: Arrival,
    row: Any,  # noqa: ANN401 - a row, or None for a newcomer
) -> tuple[Move, ...]:
    """Return who has to be called otherwise before somebody may be called as he says.

    Raises:
        SignInRefused: ``username_taken``: the other one says nothing of the kind.

    """
    key = fold(called(row, arrival))
    wanted = {key}
    found: list[Move] = []
    other = _holder(connection, organization_id, key, row)
    while other is not None:
        word = _last_word(connection, organization_id, arrival.source, other.id)
        if word is None or word in wanted or len(found) == LONGEST_CHAIN:
            raise _refused(connection, organization_id, arrival, row)
        wanted.add(word)
        found.append(Move(other.id, other.username, word))
        other = _holder(connection, organization_id, word, row)
    return tuple(found)


def _holder(connection: Connection, organization_id: str, key: str, row: Any) -> Any:  # noqa: ANN401
    query = select(U.c.id, U.c.username, U.c.provider).where(
        U.c.organization_id == organization_id,
        U.c.username_key == key,
        U.c.living,
        U.c.id != (0 if row is None else row.id),
    )
    return connection.execute(query).one_or_none()


def _last_word(
    connection: Connection, organization_id: str, source: str, user_id: int
) -> str | None:
    """Return what somebody was called at the provider when he was last refused for it."""
    his = and_(
        Q.c.organization_id == I.c.organization_id,
        Q.c.source == I.c.source,
        Q.c.entry == I.c.external_id,
    )
    query = (
        select(Q.c.username_key)
        .join(I, his)
        .where(
            I.c.user_id == user_id,
            I.c.organization_id == organization_id,
            I.c.source == source,
            Q.c.reason == TAKEN,
        )
    )
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def _refused(
    connection: Connection,
    organization_id: str,
    arrival: Arrival,
    row: Any,  # noqa: ANN401 - a row, or None
) -> SignInRefused:
    username = called(row, arrival)
    other = _holder(connection, organization_id, fold(username), row)
    rival = select(I.c.user_id).where(I.c.user_id == other.id, I.c.source == arrival.source)
    if row is not None or connection.execute(rival).first() is not None:
        step = "give one of them another username at the provider, or let the other one sign in"
    else:
        step = (
            f"if both are one, `syncd provider link {organization_id} {other.username} "
            f"--external-id {arrival.external_id}` says so, else give one of them another username"
        )
    return SignInRefused(
        TAKEN,
        f"the username {username} belongs to another person of {organization_id}, of the provider "
        f"{other.provider}; {step}",
    )


def remarks(several: Sequence[Move]) -> list[Remark]:
    """Return what is to be told of people whose names moved."""
    return [
        Remark("name_moved", "", "", f"{each.was} is called {each.username} now, as he said before")
        for each in several
    ]


def park(change: Change, several: Sequence[Move]) -> None:
    """Free the names that are about to change hands."""
    ids = [each.user_id for each in several]
    change.connection.execute(update(U).where(U.c.id.in_(ids)).values(living=False))


def settle(change: Change, several: Sequence[Move]) -> None:
    """Give their new names to those who were parked."""
    for each in several:
        users.update_fields(change, each.user_id, {"username": each.username})
    ids = [each.user_id for each in several]
    change.connection.execute(update(U).where(U.c.id.in_(ids)).values(living=True))
