"""An organization whose people have sessions, and the shortest ways to open and look at them."""

from __future__ import annotations

import itertools
from contextlib import closing, contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from syncd.access.visits import hash_of, new_secret
from syncd.store import schema
from syncd.store.database import Database
from syncd.store.people import People
from syncd.store.sessions import LiveSession, NewSession, find, open_session
from syncd.store.staging import allocate
from syncd.store.sync_store import SyncStore
from tests.store.organization import Organization

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = itertools.count(1)
ISSUER = "https://login.example.test/"


@dataclass
class Opened:
    """A session with its secret."""

    secret: str
    session: LiveSession

    @property
    def hash(self) -> bytes:
        """What the store has of the secret."""
        return hash_of(self.secret)

    @property
    def id(self) -> int:
        """The session's id."""
        return self.session.id


def new_session(user_id: int, **more: Any) -> NewSession:
    """Return a session to be opened."""
    values: dict[str, Any] = {
        "hash": hash_of(new_secret()),
        "user_id": user_id,
        "way": "admin",
        "address": "192.0.2.1",
        "agent": "a browser",
        "idle": timedelta(minutes=30),
        "absolute": timedelta(hours=12),
    }
    return NewSession(**(values | more))


def open_for(database: Database, organization_id: str, user_id: int, **more: Any) -> Opened:
    """Let somebody sign in."""
    secret = new_secret()
    new = new_session(user_id, hash=hash_of(secret), **more)
    return Opened(secret, open_session(database, organization_id, new))


class Town(Organization):
    """One organization of many in a store that tests share; its people are made by hand."""

    def __init__(self, database: Database, provider: str = "admin") -> None:
        self.url, self.id, self.provider = str(database.url), f"town-{next(NUMBERS)}", provider
        self.database = database
        self.people = People(database, self.id)
        self.people.create_organization("Acme Corp", provider)
        self.store = SyncStore(database, self.id)

    @contextmanager
    def apart(self) -> Iterator[Town]:
        """Open the same organization as the syncs do, with a stage of its own."""
        other = copy(self)
        url = self.database.url.render_as_string(hide_password=False)
        with closing(Database(url, stage=f"stage-{self.id}")) as database:
            other.database, other.store = database, SyncStore(database, self.id)
            yield other

    def person(self, username: str, **more: Any) -> int:
        """Put somebody in; return the id."""
        with self.database.write() as connection:
            user_id = allocate(connection, "users", 1)
            values: dict[str, Any] = {
                "id": user_id,
                "organization_id": self.id,
                "version": 1,
                "provider": self.provider,
                "username": username,
                "username_key": username.casefold(),
                "email_verified": False,
                "attributes": "{}",
                "living": True,
                "enabled": True,
            }
            connection.execute(schema.users.insert().values(values | more))
        return user_id

    def open(self, user_id: int, **more: Any) -> Opened:
        """Let somebody sign in."""
        return open_for(self.database, self.id, user_id, **more)

    def holds(self, opened: Opened) -> bool:
        """Return whether a session holds."""
        return find(self.database, opened.hash) is not None

    def ended(self, opened: Opened) -> str | None:
        """Return why a session was ended; None if that is not written down."""
        (row,) = self.rows(schema.sessions, id=opened.id)
        because: str | None = row["ended_because"]
        return because

    def restrict(self, user_id: int, reason: str, **times: Any) -> None:
        """Put something between somebody and his sign-in."""
        row = {
            "user_id": user_id,
            "source": "manual",
            "reason": reason,
            "organization_id": self.id,
            **times,
        }
        with self.database.write() as connection:
            connection.execute(schema.restrictions.insert().values(row))
