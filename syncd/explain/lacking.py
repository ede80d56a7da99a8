"""Why a person lacks a role or is not in a group, as far as store and configuration know it.

The first reason found is the answer: what waits for somebody comes before what a sync would do,
what concerns entries that the person is in before what concerns all of them. What the books may not
know of is told beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.errors import MappingError
from syncd.explain.notes import Reason, notes
from syncd.records import fold
from syncd.store.sides import ROLES

if TYPE_CHECKING:
    from syncd.compose import DirectoryParts
    from syncd.records import UserRecord
    from syncd.store.people import People
    from syncd.store.sides import Side
    from syncd.store.source_reads import Reach
    from syncd.store.target_reads import Container, Target

# Of entries named in one sentence; the document has all of them.
NAMED = 5


class Lacking:
    """Answers why one person lacks one role or group."""

    def __init__(
        self,
        people: People,
        parts: DirectoryParts | None,
        *,
        side: Side,
        user: dict[str, Any],
        name: str,
        record: UserRecord | None,
    ) -> None:
        self._people = people
        self._parts = parts
        self._side = side
        self._user = user
        self._name = name
        # His entry as the directory has it now, if it was read.
        self._record = record
        self._org = people.organization_id
        self._targets = people.targets(side, name)
        self._givers = people.containers_of(side, [each.id for each in self._targets])
        self._mappers = {} if parts is None else parts.container_mappings

    def answer(self) -> dict[str, Any]:
        """Return the reason in the shape of ``explain``."""
        found = (
            self._held()
            or self._given_next()
            or self._passed_over()
            or self._uncounted()
            or self._by_nothing()
            or self._not_a_member()
        )
        return {
            "name": self._targets[0].name if self._targets else self._name,
            "held": False,
            **found._asdict(),
            "containers": [
                {
                    "mapper": each.mapper,
                    "container_dn": each.dn,
                    "name": each.name,
                    "whole": each.whole,
                }
                for each in self._givers
            ],
            "notes": [
                each._asdict()
                for each in (
                    *self._groups_give(),
                    *notes(self._people, self._side, self._user, self._givers, self._of_kind()),
                )
            ],
        }

    def _groups_give(self) -> list[Reason]:
        """Tell which groups would give the role to whoever is in them."""
        if self._side is not ROLES:
            return []
        paths = self._people.groups_with([each.id for each in self._targets])
        if not paths:
            return []
        several = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
        return [
            Reason(
                "groups_give",
                f"the group {several} gives it to its members and those of the groups below it",
                f"`syncd group add-member {self._org} '{paths[0]}' {self._user['username']}`",
            )
        ]

    # --- what comes without anybody doing anything ----------------------------------------

    def _held(self) -> Reason | None:
        name = self._targets[0].name if self._targets else self._name
        run = self._people.held_grant(self._side, self._user["id"], name)
        if run is None:
            return None
        return Reason(
            "held_by_plan",
            f"the plan {run} would give it to this person and waits for somebody",
            f"look at it with `syncd runs show {run}`, then `syncd approve {run}`",
            run,
        )

    def _given_next(self) -> Reason | None:
        """Tell that a sync would give it: the books or the entry itself name the person."""
        again = f"`syncd sync {self._org}`; if that does not give it, see `syncd runs show`"
        ids = [each.id for each in self._targets]
        ways = self._people.ways_to(self._user["id"], self._side, ids)
        if ways:
            return Reason(
                "not_given",
                f"{_dn(ways[0].container)} has this person, and no run has given it yet or somebody"
                " took it away",
                again,
            )
        said = (
            {}
            if self._record is None
            else {(each.mapper, each.container_key): each for each in self._record.memberships}
        )
        for each in self._givers:
            if (each.mapper, each.key) in said:
                return Reason(
                    "not_synced",
                    f"the person's entry names {_dn(each)} by now, and no sync has run since",
                    f"`syncd sync {self._org} --user {self._user['username']}`",
                )
        mapper = self._for_everybody()
        if mapper is not None:
            return Reason(
                "not_synced",
                f"mapper {mapper} gives it to everybody, and no full sync has run since it was"
                " configured",
                f"`syncd sync {self._org}`",
            )
        return None

    def _for_everybody(self) -> str | None:
        """Return the hardcoded mapper that gives it."""
        if self._parts is None:
            found = [each.mapper for each in self._givers if each.dn is None]
            return found[0] if found and self._side is ROLES else None
        # Of a mapper's containers the last is the one that it gives; the others stand above it.
        given = {each.mapper: each for each in self._parts.user_mapping.containers}
        keys = {(each.mapper, each.key) for each in self._givers}
        for mapper, each in given.items():
            same = each.kind == self._side.kind and fold(each.target) == fold(self._name)
            if same or (mapper, each.container_key) in keys:
                return mapper
        return None

    # --- entries that could give it -------------------------------------------------------

    def _passed_over(self) -> Reason | None:
        """Tell of entries of this name, or whose mapper makes it of theirs, that give another."""
        if self._side is not ROLES:
            return None
        own = {
            (each.container.mapper, each.container.key)
            for each in self._people.memberships(self._user["id"])
        }
        entries = self._people.role_entries()
        # Those that the person is in come first.
        entries.sort(key=lambda each: (each[0].mapper, each[0].key) not in own)
        for container, role in entries:
            mine = (container.mapper, container.key) in own
            if not mine and self._targets and self._givers:
                break
            member = "the person is a member of" if mine else "the directory has"
            if role is None and self._stands_for(container) == fold(self._name):
                if self._targets or self._mappers[container.mapper].creates:
                    return Reason(
                        "not_synced",
                        f"{member} {_dn(container)}, and when that was last read there was no such"
                        " role and none was to be made",
                        f"`syncd sync {self._org}`",
                    )
                return Reason(
                    "ignored",
                    f"{member} {_dn(container)}, but there is no role {self._name} here and"
                    f" unknown_roles: ignore of mapper {container.mapper} passes over such a name",
                    "name an existing role for it in name_map of that mapper, or set"
                    " unknown_roles: create",
                )
            if role is not None and fold(container.name) == fold(self._name) != fold(role):
                return Reason(
                    "named_otherwise",
                    f"{member} {_dn(container)}, but mapper {container.mapper} makes the role"
                    f" {role} of it",
                    "see name_map, name_patterns and role_prefix of that mapper",
                )
        return None

    def _stands_for(self, container: Container) -> str | None:
        mapping = self._mappers.get(container.mapper)
        if mapping is None:
            return None
        try:
            return fold(mapping.target_of(container.name))
        except MappingError:
            return None

    def _uncounted(self) -> Reason | None:
        """Tell of a way through entries in entries that does not count, or not yet."""
        followed = [each for each in self._givers if self._follows_groups(each.mapper)]
        ways = self._people.uncounted_ways(self._user["id"], followed) if followed else []
        if not ways:
            return None
        way = min(ways, key=lambda each: len(each.through))
        mapper = way.container.mapper
        if self._mappers[mapper].nested:
            return Reason(
                "not_synced",
                f"the person is a member of {_chain(way)}, and no full sync has run since mapper"
                f" {mapper} counts nested members",
                f"`syncd sync {self._org}`",
            )
        return Reason(
            "not_nested",
            f"the person is a member of {_chain(way)}, but mapper {mapper} counts direct members"
            " only",
            "set nested_membership: expand of that mapper, or add the person to"
            f" {_dn(way.container)}",
        )

    def _follows_groups(self, mapper: str) -> bool:
        """Tell a mapper whose members in members are found here, if at all, and not by the server.

        Active Directory's own rule needs no way to be known.
        """
        search = None if self._parts is None else self._parts.containers.get(mapper)
        return search is not None and not search.in_chain

    def _by_nothing(self) -> Reason | None:
        """Tell that there is nothing of this name, or nothing in the directory that gives it."""
        kind = self._side.kind
        if not self._targets:
            return Reason(
                f"unknown_{kind}",
                f"there is no {kind} of this name, and {self._nothing_makes()}",
                f"`syncd {kind}s {self._org}` lists those that there are",
            )
        if any(each.dn for each in self._givers):
            return None
        if self._givers:
            return Reason(
                "no_container",
                f"the {kind} stands above those of mapper {self._givers[0].mapper}, and no"
                " directory entry says who is in it",
            )
        return Reason("no_container", self._without_entry(self._targets[0]), self._way_in())

    def _nothing_makes(self) -> str:
        kind = self._side.kind
        if self._parts is not None and not self._of_kind():
            return f"no mapper is configured that makes any {kind}"
        return "no directory entry that was read makes one"

    def _of_kind(self) -> list[str]:
        named = [name for name, each in self._mappers.items() if each.kind == self._side.kind]
        everyones = () if self._parts is None else self._parts.user_mapping.containers
        return named + [each.mapper for each in everyones if each.kind == self._side.kind]

    def _without_entry(self, target: Target) -> str:
        kind = self._side.kind
        if target.kind == "preconfigured":
            return f"{target.name} is a preconfigured role, and no mapper gives it to anybody"
        if target.mapper is None:
            return f"the {kind} was made by hand, and no directory entry gives it"
        if self._parts is not None and target.mapper not in self._of_kind():
            return f"mapper {target.mapper}, which made it, is not configured any more"
        return f"mapper {target.mapper} made it, and the directory has no entry for it any more"

    def _way_in(self) -> str | None:
        if self._side is not ROLES:
            return None
        if self._targets[0].kind == "preconfigured":
            return (
                "to give it by the directory, name it in name_map of a role mapper with"
                " may_grant_privileged: true"
            )
        return "to give it by the directory, name it in name_map of a role mapper"

    def _not_a_member(self) -> Reason:
        count = len(self._givers)
        named = "; ".join(_dn(each) for each in self._givers[:NAMED])
        more = f" and {count - NAMED} more" if count > NAMED else ""
        gives = "gives it" if self._side is ROLES else "stands for it"
        nested = any(
            mapping.nested
            for each in self._givers
            if (mapping := self._mappers.get(each.mapper)) is not None
        )
        member = "as a member, directly or through others" if nested else "as a member"
        if count == 1:
            detail = f"only {named} {gives}, and it does not have this person {member}"
        else:
            detail = f"none of the {count} directory entries that give it has this person {member}"
            detail += f": {named}{more}"
        return Reason(
            "not_a_member", detail, "add the person there in the directory; the next sync gives it"
        )


def _dn(container: Container) -> str:
    return container.dn or f"mapper {container.mapper}"


def _chain(way: Reach) -> str:
    """Return the entries of a way, each in the next."""
    return ", which is in ".join([*map(_dn, way.through), _dn(way.container)])
