"""Sign-ins that are at the provider: each comes back once, to the browser that began it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, delete, insert, select

from syncd.store import schema
from syncd.store.leases import clock

if TYPE_CHECKING:
    from datetime import datetime

    from syncd.store.database import Database

I = schema.sign_ins
LASTS = timedelta(minutes=10)
# Where a portal wants its person back: its client id, the address, and its own value.
Destination = tuple[str, str, str | None]


class SignInUnderWay(NamedTuple):
    """A sign-in that has come back from the provider."""

    destination: Destination | None
    started_at: datetime


def start(
    database: Database,
    organization_id: str,
    *,
    state: bytes,
    browser: bytes,
    destination: Destination | None,
) -> None:
    """Write down that a browser goes to the provider; its secret and the state as hashes."""
    client_id, redirect_uri, portal_state = destination or (None, None, None)
    with database.of(organization_id).write_ahead() as connection:
        now = clock(connection)
        connection.execute(
            insert(I).values(
                hash=state,
                browser=browser,
                organization_id=organization_id,
                client_id=client_id,
                redirect_uri=redirect_uri,
                portal_state=portal_state,
                started_at=now,
                expires_at=now + LASTS,
            )
        )


def take(
    database: Database, organization_id: str, *, state: bytes, browser: bytes
) -> SignInUnderWay | None:
    """Return the sign-in of a state to the browser that began it, and never again.

    None where there is none of the kind; to another browser it stays as it is.
    """
    database = database.of(organization_id)
    this = and_(I.c.hash == state, I.c.browser == browser, I.c.organization_id == organization_id)
    with database.read_by_key() as connection:
        if connection.execute(select(I.c.hash).where(this)).first() is None:
            return None
    with database.write() as connection:
        taken = delete(I).where(this).returning(*I.c)
        row = connection.execute(taken).one_or_none()
        if row is None or row.expires_at <= clock(connection):
            return None
    destination = None
    if row.client_id is not None:
        destination = (row.client_id, row.redirect_uri, row.portal_state)
    return SignInUnderWay(destination, row.started_at)
