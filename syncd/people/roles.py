"""What may be done with roles: custom ones in full, imported ones as far as the source lets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.errors import NotFound, Refused
from syncd.people.granting import require_within
from syncd.people.wording import own_name_of, text_of
from syncd.permissions import added
from syncd.records import fold

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from syncd.people.model import Opened, Opening, RoleRows, SetRows, Shape
    from syncd.permissions import Principal

ALLOCATOR = "roles"


class Roles:
    """An organization's roles, on somebody's behalf."""

    def __init__(
        self, opening: Opening, rows: RoleRows, sets: SetRows, principal: Principal
    ) -> None:
        self._opening = opening
        self._rows = rows
        self._sets = sets
        self._principal = principal

    def all(self) -> list[Shape]:
        """Return all roles, the preconfigured ones too, by name."""
        with self._opening.look() as look:
            shapes = [self._rows.shape(look, role_id) for role_id in self._rows.all_ids(look)]
        return [shape for shape in shapes if shape is not None]

    def get(self, role_id: int) -> Shape:
        """Return a role.

        Raises:
            NotFound: The organization has no such role.

        """
        with self._opening.look() as look:
            return self._found(look, role_id)

    def named(self, name: str) -> Shape:
        """Return the role of a name.

        Raises:
            NotFound: The organization has no such role.

        """
        with self._opening.look() as look:
            role_id = self._rows.named(look, name)
            if role_id is None:
                raise self._no_such(name)
            return self._found(look, role_id)

    def create(
        self,
        name: str,
        *,
        description: str = "",
        permission_sets: Collection[int] = (),
        why: str | None = None,
    ) -> Shape:
        """Create a custom role with these permission sets.

        Raises:
            Refused: The name is taken or reserved, or the sets allow more than the principal holds.
            NotFound: There is no such permission set.

        """
        name, description = own_name_of(name, "a role's name"), _described(description)
        role_id = self._opening.new_id(ALLOCATOR)
        with self._opening.change(why) as change:
            self._require_free(change, name, None)
            self._require_grantable(change, set(permission_sets), name)
            after = {
                "name": name,
                "description": description,
                "kind": "custom",
                "permission_sets": sorted(set(permission_sets)),
            }
            self._rows.write(change, role_id, after)
            return self._found(change, role_id)

    def edit(
        self,
        role_id: int,
        *,
        name: str | None = None,
        description: str | None = None,
        permission_sets: Collection[int] | None = None,
        if_match: str | None = None,
        why: str | None = None,
    ) -> Shape:
        """Change what is given of a role, and leave the rest; return it as it is then.

        Raises:
            Refused: It is preconfigured, the source's to say, taken, stale, or more than the
                principal holds.
            NotFound: There is no such role or permission set.

        """
        with self._opening.change(why) as change:
            before = self._editable(change, role_id, if_match)
            after: dict[str, Any] = {**before}
            if name is not None:
                after["name"] = own_name_of(name, "a role's name")
            if description is not None:
                after["description"] = _described(description)
            if permission_sets is not None:
                after["permission_sets"] = sorted(set(permission_sets))
            if before["kind"] != "custom" and after["name"] != before["name"]:
                raise Refused(
                    f"the name of {before['name']} is what its source says; change it there, "
                    "or give it another one with the mapper's name_map",
                    "source_rules",
                )
            if after["name"] != before["name"]:
                self._require_free(change, after["name"], role_id)
            new = set(after["permission_sets"]) - set(before["permission_sets"])
            if fold(after["name"]) != fold(before["name"]):
                # Mappers give roles by name: who gets this one from now on is told by its new name.
                new |= set(before["permission_sets"])
            self._require_grantable(change, new, before["name"])
            self._rows.write(change, role_id, after)
            return self._found(change, role_id)

    def delete(
        self,
        role_id: int,
        *,
        force: bool = False,
        if_match: str | None = None,
        why: str | None = None,
    ) -> None:
        """Delete a role; with ``force`` also one that people or groups have.

        Raises:
            Refused: It is preconfigured, in use, stale, or a directory's.
            NotFound: There is no such role.

        """
        with self._opening.change(why) as change:
            before = self._editable(change, role_id, if_match)
            use = self._rows.use(change, role_id)
            if before["kind"] != "custom" and use.containers:
                raise Refused(
                    f"{before['name']} is in the directory, and the next sync would bring it "
                    "back; delete it there, or let its mapper pass over it",
                    "source_rules",
                )
            if (use.people or use.groups) and not force:
                held = " and ".join(
                    who for who, there in (("people", use.people), ("groups", use.groups)) if there
                )
                raise Refused(
                    f"{held} have the role {before['name']}; take it from them first, or delete "
                    "it from them with force",
                    "in_use",
                )
            self._rows.write(change, role_id, None)

    # --- rules ------------------------------------------------------------------------------

    def _editable(self, change: Opened, role_id: int, if_match: str | None) -> Mapping[str, Any]:
        shape = self._found(change, role_id)
        self._opening.require_match(shape, if_match)
        before = self._rows.snapshot(change, role_id)
        if before is None:
            raise Refused(
                f"{shape['name']} is preconfigured and stays as it is; create a role of your own",
                "preconfigured",
            )
        return before

    def _require_free(self, change: Opened, name: str, role_id: int | None) -> None:
        there = self._rows.named(change, name)
        if there not in {None, role_id}:
            raise Refused(f"there is a role {name} already; choose another name", "name_taken")

    def _require_grantable(self, change: Opened, set_ids: Collection[int], name: str) -> None:
        for set_id in set_ids:
            if self._sets.shape(change, set_id) is None:
                raise NotFound(
                    f"there is no permission set {set_id} in {self._opening.organization_id}; "
                    f"`syncd permission-set list {self._opening.organization_id}` lists them"
                )
        levels = self._opening.set_levels(change, set_ids)
        require_within(self._principal, added(levels.values()), f"the role {name}")

    def _found(self, at: Opened, role_id: int) -> Shape:
        shape = self._rows.shape(at, role_id)
        if shape is None:
            raise self._no_such(str(role_id))
        return shape

    def _no_such(self, which: str) -> NotFound:
        org = self._opening.organization_id
        return NotFound(f"there is no role {which} in {org}; `syncd roles {org}` lists them")


def _described(text: str) -> str:
    return text_of(text, "a role's description")
