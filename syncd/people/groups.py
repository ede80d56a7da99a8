"""What may be done with groups: custom ones in full, a directory's as far as it leaves that.

A group gives its members its roles and those of all groups above it. So putting somebody into it,
giving it a role and putting it below another are ways of granting, and stand under its rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.errors import NotFound, Refused, UsageError
from syncd.people.granting import require_conferrable, require_no_owner
from syncd.people.wording import name_of, text_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from syncd.people.model import GroupRows, Members, Opened, Opening, RoleRows, Shape
    from syncd.permissions import Principal

ALLOCATOR, MANUAL = "roles", "manual"


class Groups:
    """An organization's groups, on somebody's behalf."""

    def __init__(
        self,
        opening: Opening,
        rows: GroupRows,
        members: Members,
        roles: RoleRows,
        principal: Principal,
    ) -> None:
        self._opening = opening
        self._rows = rows
        self._members = members
        self._roles = roles
        self._principal = principal

    def get(self, group_id: int) -> Shape:
        """Return a group with its roles, parents and children.

        Raises:
            NotFound: The organization has no such group.

        """
        with self._opening.look() as look:
            return self._found(look, group_id)

    def named(self, name: str) -> Shape:
        """Return the group of a name, or of a path such as ``/Directory/Staff``.

        Raises:
            NotFound: The organization has no such group.
            UsageError: Several have this name.

        """
        with self._opening.look() as look:
            several = self._rows.named(look, name)
            if not several:
                raise self._no_such(name)
            if len(several) > 1:
                paths = ", ".join(path for _, path in several[:5])
                raise UsageError(
                    f"{len(several)} groups are called {name}; give the path of one: {paths}"
                    if len({path for _, path in several}) > 1
                    else f"{len(several)} groups stand at {name}; rename one of them, or use ids"
                )
            return self._found(look, several[0][0])

    def create(
        self,
        name: str,
        *,
        description: str = "",
        roles: Collection[int] = (),
        why: str | None = None,
    ) -> Shape:
        """Create a group with these roles; several groups may have one name.

        Raises:
            Refused: The name is none, or the roles are more than the principal may give.
            NotFound: There is no such role.

        """
        name, description = _named(name), _described(description)
        group_id = self._opening.new_id(ALLOCATOR)
        with self._opening.change(why) as change:
            wanted = sorted(set(roles))
            self._require_conferrable(change, wanted, f"the group {name}")
            after = {
                "name": name,
                "description": description,
                "kind": "custom",
                "attributes": {},
                "roles": [[role_id, MANUAL] for role_id in wanted],
                "parents": [],
            }
            self._rows.write(change, group_id, after)
            return self._found(change, group_id)

    def edit(
        self,
        group_id: int,
        *,
        name: str | None = None,
        description: str | None = None,
        if_match: str | None = None,
        why: str | None = None,
    ) -> Shape:
        """Change what is given of a group.

        Raises:
            Refused: It is the directory's to say, or stale.
            NotFound: There is no such group.

        """
        with self._opening.change(why) as change:
            before = self._editable(change, group_id, if_match)
            after: dict[str, Any] = {**before}
            if name is not None:
                after["name"] = _named(name)
            if description is not None:
                after["description"] = _described(description)
            if before["kind"] != "custom" and after != before:
                raise Refused(
                    f"name and description of {before['name']} are what the directory says; "
                    "change them there",
                    "source_rules",
                )
            self._rows.write(change, group_id, after)
            return self._found(change, group_id)

    def delete(self, group_id: int, *, if_match: str | None = None, why: str | None = None) -> None:
        """Delete a group; its members lose what it gave them, its children stand on their own.

        Raises:
            Refused: The directory has it, it makes owners, or it is stale.
            LastOwner: No owner would be left.
            NotFound: There is no such group.

        """
        with self._opening.change(why) as change:
            before = self._editable(change, group_id, if_match)
            if self._rows.held_by_directory(change, group_id):
                raise Refused(
                    f"{before['name']} is in the directory, and the next sync would bring it "
                    "back; delete it there, or let its mapper leave it out",
                    "source_rules",
                )
            self._require_no_owner(change, group_id, f"deleting {before['name']}")
            self._rows.write(change, group_id, None)

    # --- members ----------------------------------------------------------------------------

    def add_member(self, group_id: int, user_id: int, *, why: str | None = None) -> Shape:
        """Put somebody into a group; return the group.

        Raises:
            Refused: Its roles are more than the principal may give.
            NotFound: There is no such group or person.

        """
        with self._opening.change(why) as change:
            group = self._found(change, group_id)
            username = self._person(change, user_id)
            what = f"putting {username} into {group['name']}"
            self._require_conferrable(change, self._rows.conferred(change, group_id), what)
            self._members.join(change, group_id, user_id)
            return group

    def remove_member(self, group_id: int, user_id: int, *, why: str | None = None) -> Shape:
        """Take somebody out of a group into which he was put by hand; return the group.

        Raises:
            Refused: A mapper put him there, or the group makes owners.
            LastOwner: No owner would be left.
            NotFound: There is no such group, or the person is not in it.

        """
        with self._opening.change(why) as change:
            group = self._found(change, group_id)
            username = self._person(change, user_id)
            sources = self._members.sources_of(change, group_id, user_id)
            where = f"{username} is in {group['name']}"
            _require_manual(sources, f"{username} is not in {group['name']}", where)
            self._require_no_owner(change, group_id, f"taking {username} out of {group['name']}")
            self._members.leave(change, group_id, user_id)
            return group

    # --- roles ------------------------------------------------------------------------------

    def add_role(self, group_id: int, role_id: int, *, why: str | None = None) -> Shape:
        """Give a group a role, and thereby its members and those of groups below it.

        Raises:
            Refused: The role is more than the principal may give.
            NotFound: There is no such group or role.

        """
        with self._opening.change(why) as change:
            before = self._editable(change, group_id, None)
            self._require_conferrable(change, [role_id], f"the group {before['name']}")
            roles = _with(before["roles"], role_id)
            self._rows.write(change, group_id, {**before, "roles": roles})
            return self._found(change, group_id)

    def remove_role(self, group_id: int, role_id: int, *, why: str | None = None) -> Shape:
        """Take a role from a group that it was given by hand.

        Raises:
            Refused: A mapper gave it, or it is Owner and the principal is none.
            LastOwner: No owner would be left.
            NotFound: There is no such group, or it does not have the role.

        """
        with self._opening.change(why) as change:
            before = self._editable(change, group_id, None)
            role = self._role(change, role_id)
            sources = [source for each, source in before["roles"] if each == role_id]
            lacks = f"{before['name']} does not have the role {role}"
            _require_manual(sources, lacks, f"{before['name']} has the role {role}")
            require_no_owner(self._principal, [role_id], f"taking {role} from {before['name']}")
            change.watch_owners()
            roles = _without(before["roles"], role_id)
            self._rows.write(change, group_id, {**before, "roles": roles})
            return self._found(change, group_id)

    # --- trees ------------------------------------------------------------------------------

    def add_child(self, group_id: int, child_id: int, *, why: str | None = None) -> Shape:
        """Put a group below another: its members get the roles of that, too; return the parent.

        Raises:
            Refused: It would close a circle, or the roles are more than the principal may give.
            NotFound: There is no such group.

        """
        with self._opening.change(why) as change:
            parent = self._found(change, group_id)
            child = self._editable(change, child_id, None)
            if self._rows.would_circle(change, group_id, child_id):
                raise Refused(
                    f"{child['name']} cannot come below {parent['name']}, above which it stands "
                    "itself; take it away there first"
                    if group_id != child_id
                    else f"{child['name']} cannot come below itself; choose another group",
                    "would_cycle",
                )
            what = f"putting {child['name']} below {parent['name']}"
            self._require_conferrable(change, self._rows.conferred(change, group_id), what)
            parents = _with(child["parents"], group_id)
            self._rows.write(change, child_id, {**child, "parents": parents})
            return self._found(change, group_id)

    def remove_child(self, group_id: int, child_id: int, *, why: str | None = None) -> Shape:
        """Take a group away from below another where it was put by hand; return that.

        Raises:
            Refused: The directory put it there, or the group makes owners.
            LastOwner: No owner would be left.
            NotFound: There is no such group, or it is no child of it.

        """
        with self._opening.change(why) as change:
            parent = self._found(change, group_id)
            child = self._editable(change, child_id, None)
            sources = [source for each, source in child["parents"] if each == group_id]
            stands = f"{child['name']} is a child of {parent['name']}"
            _require_manual(sources, f"{child['name']} is no child of {parent['name']}", stands)
            self._require_no_owner(
                change, group_id, f"taking {child['name']} away from {parent['name']}"
            )
            parents = _without(child["parents"], group_id)
            self._rows.write(change, child_id, {**child, "parents": parents})
            return self._found(change, group_id)

    # --- rules ------------------------------------------------------------------------------

    def _require_conferrable(self, change: Opened, role_ids: Collection[int], what: str) -> None:
        for role_id in role_ids:
            self._role(change, role_id)
        levels = self._opening.role_levels(change, role_ids)
        require_conferrable(self._principal, levels, what)

    def _require_no_owner(self, change: Opened, group_id: int, what: str) -> None:
        require_no_owner(self._principal, self._rows.conferred(change, group_id), what)
        change.watch_owners()

    def _role(self, change: Opened, role_id: int) -> str:
        shape = self._roles.shape(change, role_id)
        if shape is None:
            org = self._opening.organization_id
            raise NotFound(f"there is no role {role_id} in {org}; `syncd roles {org}` lists them")
        return str(shape["name"])

    def _person(self, change: Opened, user_id: int) -> str:
        username = self._members.person(change, user_id)
        if username is None:
            org = self._opening.organization_id
            raise NotFound(f"there is no person {user_id} in {org}; `syncd users {org}` lists them")
        return username

    def _editable(self, change: Opened, group_id: int, if_match: str | None) -> Mapping[str, Any]:
        self._opening.require_match(self._found(change, group_id), if_match)
        before = self._rows.snapshot(change, group_id)
        if before is None:
            raise self._no_such(str(group_id))
        return before

    def _found(self, at: Opened, group_id: int) -> Shape:
        shape = self._rows.shape(at, group_id)
        if shape is None:
            raise self._no_such(str(group_id))
        return shape

    def _no_such(self, which: str) -> NotFound:
        org = self._opening.organization_id
        return NotFound(f"there is no group {which} in {org}; `syncd groups {org}` lists them")


def _require_manual(sources: Collection[str], lacks: str, has: str) -> None:
    """Refuse to take away by hand what was not given by hand."""
    if not sources:
        raise NotFound(lacks)
    if MANUAL not in sources:
        raise Refused(
            f"{has} by the mapper {min(sources)}; change it in the directory, or the mapper",
            "source_rules",
        )


def _with(pairs: Collection[list[Any]], number: int) -> list[list[Any]]:
    return sorted([*(pair for pair in pairs if pair != [number, MANUAL]), [number, MANUAL]])


def _without(pairs: Collection[list[Any]], number: int) -> list[list[Any]]:
    return [pair for pair in pairs if pair != [number, MANUAL]]


def _named(text: str) -> str:
    return name_of(text, "a group's name")


def _described(text: str) -> str:
    return text_of(text, "a group's description")
