"""What may be done with permission sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.errors import NotFound, Refused
from syncd.people.granting import require_within
from syncd.people.wording import own_name_of, text_of
from syncd.permissions import SECTIONS, Level

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from syncd.people.model import Opened, Opening, RoleRows, SetRows, Shape
    from syncd.permissions import Principal

ALLOCATOR = "permission_sets"


class PermissionSets:
    """An organization's permission sets, on somebody's behalf."""

    def __init__(
        self, opening: Opening, rows: SetRows, roles: RoleRows, principal: Principal
    ) -> None:
        self._opening = opening
        self._rows = rows
        self._roles = roles
        self._principal = principal

    def all(self) -> list[Shape]:
        """Return all permission sets, the preconfigured ones too, by name."""
        with self._opening.look() as look:
            shapes = [self._rows.shape(look, set_id) for set_id in self._rows.all_ids(look)]
        return [shape for shape in shapes if shape is not None]

    def get(self, set_id: int) -> Shape:
        """Return a permission set.

        Raises:
            NotFound: The organization has no such permission set.

        """
        with self._opening.look() as look:
            return self._found(look, set_id)

    def named(self, name: str) -> Shape:
        """Return the permission set of a name.

        Raises:
            NotFound: The organization has no such permission set.

        """
        with self._opening.look() as look:
            set_id = self._rows.named(look, name)
            if set_id is None:
                raise self._no_such(name)
            return self._found(look, set_id)

    def create(
        self,
        name: str,
        *,
        description: str = "",
        sections: Mapping[str, str],
        roles: Collection[int] = (),
        why: str | None = None,
    ) -> Shape:
        """Create a permission set, and give it to these roles; sections not named have no access.

        Raises:
            Refused: The name is taken or reserved, a level is none, it allows more than the
                principal holds, or one of the roles is preconfigured.
            NotFound: There is no such role.

        """
        name, description = own_name_of(name, "a permission set's name"), _described(description)
        wanted = levels_of(sections)
        if roles and not self._principal.may("roles", Level.EDIT):
            raise Refused(
                "you may not edit roles; create the permission set without them", "not_allowed"
            )
        set_id = self._opening.new_id(ALLOCATOR)
        with self._opening.change(why) as change:
            self._require_free(change, name, None)
            require_within(self._principal, wanted, f"the permission set {name}")
            after = {"name": name, "description": description, "sections": _words(wanted)}
            self._rows.write(change, set_id, after)
            for role_id in sorted(set(roles)):
                self._assign(change, set_id, role_id)
            return self._found(change, set_id)

    def edit(
        self,
        set_id: int,
        *,
        name: str | None = None,
        description: str | None = None,
        sections: Mapping[str, str] | None = None,
        if_match: str | None = None,
        why: str | None = None,
    ) -> Shape:
        """Change what is given of a permission set; ``sections`` changes those that it names.

        Raises:
            Refused: It is preconfigured, taken, stale, or more than the principal holds.
            NotFound: There is no such permission set.

        """
        with self._opening.change(why) as change:
            before = self._editable(change, set_id, if_match)
            after: dict[str, Any] = {**before}
            if name is not None:
                after["name"] = own_name_of(name, "a permission set's name")
            if description is not None:
                after["description"] = _described(description)
            if sections is not None:
                was = levels_of(before["sections"])
                now = {**was, **levels_of(sections)}
                raised = {
                    section: level
                    for section, level in now.items()
                    if level > was.get(section, Level.NONE)
                }
                require_within(self._principal, raised, f"the permission set {before['name']}")
                after["sections"] = _words(now)
            if after["name"] != before["name"]:
                self._require_free(change, after["name"], set_id)
            self._rows.write(change, set_id, after)
            return self._found(change, set_id)

    def delete(
        self,
        set_id: int,
        *,
        force: bool = False,
        if_match: str | None = None,
        why: str | None = None,
    ) -> None:
        """Delete a permission set; with ``force`` also one that roles have.

        Raises:
            Refused: It is preconfigured, in use or stale.
            NotFound: There is no such permission set.

        """
        with self._opening.change(why) as change:
            before = self._editable(change, set_id, if_match)
            roles = [role["name"] for role in self._found(change, set_id)["roles"]]
            if roles and not force:
                raise Refused(
                    f"the permission set {before['name']} is in use by {', '.join(roles[:5])}"
                    f"{' and others' if len(roles) > 5 else ''}; take it from these roles first, "
                    "or delete it from them with force",
                    "in_use",
                )
            self._rows.write(change, set_id, None)

    # --- rules ------------------------------------------------------------------------------

    def _assign(self, change: Opened, set_id: int, role_id: int) -> None:
        shape = self._roles.shape(change, role_id)
        org = self._opening.organization_id
        if shape is None:
            raise NotFound(f"there is no role {role_id} in {org}; `syncd roles {org}` lists them")
        role = self._roles.snapshot(change, role_id)
        if role is None:
            raise Refused(
                f"{shape['name']} is preconfigured and keeps its permission set; "
                "choose a role of your own",
                "preconfigured",
            )
        sets = sorted({*role["permission_sets"], set_id})
        self._roles.write(change, role_id, {**role, "permission_sets": sets})

    def _editable(self, change: Opened, set_id: int, if_match: str | None) -> Mapping[str, Any]:
        shape = self._found(change, set_id)
        self._opening.require_match(shape, if_match)
        before = self._rows.snapshot(change, set_id)
        if before is None:
            raise Refused(
                f"{shape['name']} is preconfigured and stays as it is; "
                "create a permission set of your own",
                "preconfigured",
            )
        return before

    def _require_free(self, change: Opened, name: str, set_id: int | None) -> None:
        if self._rows.named(change, name) not in {None, set_id}:
            raise Refused(
                f"there is a permission set {name} already; choose another name", "name_taken"
            )

    def _found(self, at: Opened, set_id: int) -> Shape:
        shape = self._rows.shape(at, set_id)
        if shape is None:
            raise self._no_such(str(set_id))
        return shape

    def _no_such(self, which: str) -> NotFound:
        org = self._opening.organization_id
        return NotFound(
            f"there is no permission set {which} in {org}; `syncd permission-set list {org}` "
            "lists them"
        )


def levels_of(sections: Mapping[str, str]) -> dict[str, Level]:
    """Return the levels of sections by their words.

    Raises:
        Refused: There is no such section or level.

    """
    found = {}
    for section, word in sections.items():
        if section not in SECTIONS:
            raise Refused(f"there is no section {section}; there are {', '.join(SECTIONS)}")
        try:
            found[section] = Level.of(word)
        except ValueError as error:
            raise Refused(f"{section}: {error}") from error
    return found


def _words(levels: Mapping[str, Level]) -> dict[str, str]:
    """Return levels as the journal has them: those of no access left out."""
    return {
        section: levels[section].word for section in sorted(levels) if levels[section] > Level.NONE
    }


def _described(text: str) -> str:
    return text_of(text, "a permission set's description")
