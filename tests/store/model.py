"""The areas of the model over one organization's store, on behalf of whomever a test wants."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncd.people.address_books import AddressBooks
from syncd.people.effective import EffectivePermissions
from syncd.people.groups import Groups
from syncd.people.permission_sets import PermissionSets
from syncd.people.roles import Roles
from syncd.permissions import Level, Principal, operator
from syncd.records import etag
from syncd.store import schema
from syncd.store.editing import address_books, belonging, groups, permission_sets, roles
from syncd.store.editing.opening import Editing
from syncd.store.effective import levels
from syncd.store.effective_reads import EffectiveReads
from syncd.store.sides import ROLES
from tests.store.organization import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.store.organization import Organization

OPERATOR = operator("root")
OWNER, ADMIN, SUPPORT, PROTECTION, ACCOUNTANT, USER = range(1, 7)


def somebody(name: str = "user kim", **sections: str) -> Principal:
    """Return a principal who is no owner and holds these levels."""
    held = {section: Level.of(word) for section, word in sections.items()}
    return Principal(name=name, levels=held)


@dataclass
class Model:
    """One organization's model, opened for a principal."""

    acme: Organization
    principal: Principal = OPERATOR

    def __post_init__(self) -> None:
        self.editing = Editing(self.acme.database, self.acme.id, actor=self.principal.name)
        self.roles = Roles(self.editing, roles, permission_sets, self.principal)
        self.sets = PermissionSets(self.editing, permission_sets, roles, self.principal)
        self.groups = Groups(self.editing, groups, belonging, roles, self.principal)
        self.books = AddressBooks(self.editing, address_books, belonging, self.principal)
        self.permissions = EffectivePermissions(
            EffectiveReads(self.acme.database, self.acme.id), self.principal
        )

    def by(self, principal: Principal) -> Model:
        """Return the same model on behalf of somebody else."""
        return Model(self.acme, principal)

    def people(self, *usernames: str) -> list[int]:
        """Bring people in by a sync; return their ids."""
        self.acme.sync(*(record(name) for name in usernames))
        return [self.acme.user(name)["id"] for name in usernames]

    def grant(self, user_id: int, *role_ids: int) -> None:
        """Give somebody roles by hand, whatever the rules."""
        with self.editing.change("a test") as change:
            belonging.hold(change, ROLES, user_id, granted=role_ids)

    def levels(self, user_id: int) -> Mapping[str, Level]:
        """Return what somebody may do."""
        with self.acme.database.read() as connection:
            return levels(connection, [user_id])[user_id]

    def of_person(self, user_id: int) -> Principal:
        """Return somebody as a principal, by what he holds."""
        person = self.acme.rows(schema.users, id=user_id)[0]
        return Principal(
            name=f"user {person['username']}", levels=self.levels(user_id), user_id=user_id
        )

    def journal(self, object_: str) -> list[tuple[str, str, Any, Any]]:
        """Return (name, kind, before, after) of what was changed of a kind, oldest first."""
        rows = self.acme.rows(schema.object_journal, object=object_)
        return [
            (
                row["name"],
                row["kind"],
                json.loads(row["before"] or "null"),
                json.loads(row["after"] or "null"),
            )
            for row in sorted(rows, key=lambda row: (row["change_set_id"], row["number"]))
        ]


def match(shape: dict[str, Any]) -> str:
    """Return the ETag of what was shown."""
    return etag(shape)
