"""Changes by hand, drawn at random, as the writers of the store make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.permissions import SECTIONS
from syncd.store import schema
from syncd.store.editing import groups, permission_sets, roles, users
from syncd.store.editing.belonging import hold
from syncd.store.editing.change import change
from syncd.store.sides import GROUPS, ROLES

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from syncd.store.editing.change import Change
    from tests.store.organization import Organization

DISABLED = ("admin", "disabled")


class ByHand:
    """Makes one change at a time; ``chance`` says of what."""

    def __init__(self, acme: Organization, chance: random.Random) -> None:
        self.acme, self.chance = acme, chance
        self.count = 0

    def step(self) -> None:
        """Make a change of one to three things."""
        with self.change() as c:
            for deed in self.chance.choices(self._deeds(), k=self.chance.randint(1, 3)):
                deed(c)

    def change(self) -> Any:
        """Open a change."""
        return change(self.acme.database, self.acme.id, actor="operator tester")

    def _deeds(self) -> list[Callable[[Change], None]]:
        return [
            self.hold_role,
            self.hold_role,
            self.join_group,
            self.join_group,
            self.shut_out,
            self.make_set,
            self.rate_set,
            self.make_role,
            self.edit_role,
            self.end_role,
            self.make_group,
            self.edit_group,
            self.end_group,
        ]

    def _one(self, c: Change, table: Any, *, own: bool = True) -> int | None:
        query = table.select().order_by(table.c.id)
        rows = [
            row.id
            for row in c.connection.execute(query)
            if row.organization_id == self.acme.id or not own
        ]
        return int(self.chance.choice(rows)) if rows else None

    def _several(self, c: Change, table: Any) -> list[int]:
        found = {self._one(c, table) for _ in range(self.chance.randint(0, 2))}
        return sorted(each for each in found if each is not None)

    def _id(self, c: Change, allocator: str) -> int:
        # Of its own: another transaction would wait for this one.
        self.count += 1
        return (
            {"roles": 500_000, "permission_sets": 600_000}[allocator]
            + c.change_set_id * 10
            + (self.count % 10)
        )

    def _hold(self, c: Change, side: Any, table: Any) -> None:
        user_id, target_id = self._one(c, schema.users), self._one(c, table)
        if user_id is not None and target_id is not None:
            given = self.chance.random() < 0.6
            hold(
                c,
                side,
                user_id,
                granted=[target_id] if given else [],
                revoked=[] if given else [target_id],
            )

    def hold_role(self, c: Change) -> None:
        """Give somebody a role, or take it."""
        self._hold(c, ROLES, schema.roles)

    def join_group(self, c: Change) -> None:
        """Put somebody into a group, or take him out."""
        self._hold(c, GROUPS, schema.groups)

    def shut_out(self, c: Change) -> None:
        """Disable somebody, or let him in again."""
        user_id = self._one(c, schema.users)
        if user_id is not None and not users.restrict(c, user_id, DISABLED, None):
            users.lift(c, user_id, DISABLED)

    def make_set(self, c: Change) -> None:
        """Make a permission set."""
        set_id = self._id(c, "permission_sets")
        sections = {self.chance.choice(SECTIONS): "edit"}
        after = {"name": f"set {set_id}", "description": "", "sections": sections}
        permission_sets.write(c, set_id, after)

    def rate_set(self, c: Change) -> None:
        """Let a permission set allow something else."""
        set_id = self._one(c, schema.permission_sets)
        if set_id is not None and (was := permission_sets.snapshot(c, set_id)) is not None:
            level = self.chance.choice(["view", "edit"])
            sections = {**was["sections"], self.chance.choice(SECTIONS): level}
            sections.pop(self.chance.choice(SECTIONS), None)
            after = {**was, "sections": dict(sorted(sections.items()))}
            permission_sets.write(c, set_id, after)

    def make_role(self, c: Change) -> None:
        """Make a role."""
        role_id = self._id(c, "roles")
        after = {
            "name": f"role {role_id}",
            "description": "",
            "kind": "custom",
            "permission_sets": self._several(c, schema.permission_sets),
        }
        roles.write(c, role_id, after)

    def edit_role(self, c: Change) -> None:
        """Describe a role, give it other sets."""
        role_id = self._one(c, schema.roles)
        if role_id is not None and (was := roles.snapshot(c, role_id)) is not None:
            sets = self._several(c, schema.permission_sets)
            roles.write(c, role_id, {**was, "description": "other", "permission_sets": sets})

    def end_role(self, c: Change) -> None:
        """Delete a role that was made by hand."""
        role_id = self._one(c, schema.roles)
        if role_id is not None and role_id >= 500_000:
            roles.write(c, role_id, None)

    def make_group(self, c: Change) -> None:
        """Make a group below others, with roles."""
        group_id = self._id(c, "roles")
        after = {
            "name": f"group {group_id}",
            "description": "",
            "kind": "custom",
            "attributes": {},
            "roles": [[each, "manual"] for each in self._several(c, schema.roles)],
            "parents": [[each, "manual"] for each in self._several(c, schema.groups)],
        }
        groups.write(c, group_id, after)

    def edit_group(self, c: Change) -> None:
        """Move a group, give it other roles."""
        group_id = self._one(c, schema.groups)
        if group_id is None or (was := groups.snapshot(c, group_id)) is None:
            return
        above = [
            [each, "manual"]
            for each in self._several(c, schema.groups)
            if not groups.would_circle(c, each, group_id)
        ]
        given = [[each, "manual"] for each in self._several(c, schema.roles)]
        groups.write(c, group_id, {**was, "roles": given, "parents": above})

    def end_group(self, c: Change) -> None:
        """Delete a group."""
        group_id = self._one(c, schema.groups)
        if group_id is not None:
            groups.write(c, group_id, None)
