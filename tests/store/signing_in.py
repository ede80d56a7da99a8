"""An organization whose people sign in by an identity provider, and the shortest ways to do so."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from syncd.permissions import operator
from syncd.records import Arrival, Granted
from syncd.store import schema
from syncd.store.arriving import Arrivals
from syncd.store.change_sets import change_set_name
from syncd.store.changes import Changes
from syncd.store.pages.pages import Pages
from syncd.store.people import People
from syncd.store.sync_store import SyncStore
from tests.store.organization import Organization

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from syncd.store.arriving import Arrived
    from syncd.store.database import Database

ISSUER = "https://login.example.test/"
NUMBERS = itertools.count(1)


class SignIns(Organization):
    """One organization of many in a store that tests share."""

    def __init__(self, database: Database) -> None:
        self.url, self.id = str(database.url), f"org-{next(NUMBERS)}"
        self.database = database
        self.people = People(database, self.id)
        self.people.create_organization("Acme Corp", "idp")
        self.store = SyncStore(database, self.id)
        self.arrivals = Arrivals(database, self.id)

    def arrival(
        self,
        subject: str,
        username: str | None = None,
        *,
        gives: Mapping[str, Iterable[str]] | None = None,
        silent: Iterable[str] = (),
        creating: bool = True,
        **more: Any,
    ) -> Arrival:
        """Return what the mappers would make: ``gives`` has roles, and paths of groups, by mapper.

        All mappers of ``gives`` speak; the ``silent`` ones are configured and say nothing.
        """
        gives = gives or {}
        newcomer = not self.arrivals.knows(more.get("source", ISSUER), subject)
        values: dict[str, Any] = {
            "source": ISSUER,
            "external_id": subject,
            "newcomer": newcomer,
            "username": username if username or not newcomer else subject,
            "fields": {},
            "attributes": {},
            "granted": tuple(
                Granted(mapper, "group" if name.startswith("/") else "role", name, creating)
                for mapper, names in gives.items()
                for name in names
            ),
            "speaking": frozenset(gives),
            "mappers": frozenset({*gives, *silent}),
        }
        return Arrival(**(values | more))

    def sign_in(self, subject: str, username: str | None = None, **more: Any) -> Arrived:
        """Let somebody arrive."""
        return self.arrivals.arrive(self.arrival(subject, username, **more))

    def of(self, subject: str) -> dict[str, Any]:
        """Return a person by the provider's subject."""
        found = self.people.user_by_external_id(subject)
        assert found is not None, subject
        return found

    def held(self, subject: str) -> dict[str, set[str]]:
        """Return what somebody has but the default role: by source, names and paths."""
        found: dict[str, set[str]] = {}
        user = self.of(subject)
        for each in (*user["roles"], *user["groups"]):
            for source in each["sources"]:
                if source != "default" and not source.startswith("group:"):
                    found.setdefault(source, set()).add(each.get("path", each["name"]))
        return found

    def sets(self) -> list[dict[str, Any]]:
        """Return the organization's change sets, oldest first."""
        rows = self.rows(schema.change_sets, organization_id=self.id)
        return sorted(rows, key=lambda row: int(row["id"]))

    def last_set(self) -> str:
        """Return the newest change set's name."""
        return change_set_name(int(self.sets()[-1]["id"]))

    def quarantined(self) -> list[tuple[str, str, str | None, int]]:
        """Return (source, reason, id, attempts)."""
        return [
            (row["source"], row["reason"], row["external_id"], row["attempts"])
            for row in self.people.quarantine()
        ]

    def feed(self) -> list[tuple[str, str, str, str]]:
        """Return (actor, object, name, kind) of all changes."""
        changes = Changes(self.database, self.id).page(None, 1_000)["changes"]
        return [(row["actor"], row["object"], row["name"], row["kind"]) for row in changes]

    def pages(self) -> Pages:
        """Return lists as an operator sees them."""
        return Pages(self.database, self.id, operator("tester"))

    def manual(self, user_id: int, role_id: int) -> None:
        """Give somebody a role by hand, without a journal."""
        self.execute(
            "INSERT INTO grants (user_id, role_id, source, organization_id) "
            "VALUES (:user_id, :role_id, 'manual', :org)",
            user_id=user_id,
            role_id=role_id,
            org=self.id,
        )
