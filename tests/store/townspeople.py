"""An organization of a few hundred people that nobody synced, and what plain Python says of it.

Rows are written as they are, so that states come together that a sync brings one by one: times that
have passed, people of one username, groups in trees, roles by several ways, neighbours in another
organization with the same names.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from syncd.permissions import SECTIONS
from syncd.records import fold
from syncd.store import schema
from syncd.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterable

ACME, OTHER = "acme", "other"
NOW = datetime.now(UTC).replace(microsecond=0)
BEFORE, LONG_BEFORE, LATER = (
    NOW - timedelta(hours=1),
    NOW - timedelta(days=9),
    NOW + timedelta(days=9),
)
# (reason, since, until, waiting): what holds now, what held, what will hold.
RESTRICTIONS: tuple[tuple[str, datetime, datetime | None, bool | None], ...] = (
    ("disabled", LONG_BEFORE, None, None),
    ("disabled", LONG_BEFORE, None, False),
    ("locked", LONG_BEFORE, LATER, None),
    ("locked", LONG_BEFORE, BEFORE, None),
    ("expired", LATER, None, True),
    # Its time has come since the last run.
    ("expired", BEFORE, None, True),
    ("not_yet_valid", LONG_BEFORE, BEFORE, None),
)
FIRST_GROUP, FIRST_ROLE, FIRST_SET = 1_000, 2_000, 3_000
USER_ROLE = 6
NAMES = (
    "ada",
    "Ada",
    "adam",
    "älva",
    "Ben",
    "ben-",
    "ben_",
    "zoë",
    "Łukasz",
    "straße",
    "𐐀do",
    "o'neil",
)


@dataclass
class Townspeople:
    """The rows, by what they are asked for."""

    people: dict[int, dict[str, Any]] = field(default_factory=dict)
    restrictions: list[dict[str, Any]] = field(default_factory=list)
    grants: set[tuple[int, int]] = field(default_factory=set)
    members: set[tuple[int, int]] = field(default_factory=set)
    parent: dict[int, int] = field(default_factory=dict)
    groups: list[int] = field(default_factory=list)
    group_roles: set[tuple[int, int]] = field(default_factory=set)
    roles: list[int] = field(default_factory=list)
    # By role its sets, and by set its levels.
    role_sets: dict[int, set[int]] = field(default_factory=dict)
    sets: dict[int, dict[str, int]] = field(default_factory=dict)

    # --- what plain Python says ---------------------------------------------------------------

    def of(self, organization: str) -> list[dict[str, Any]]:
        """Return an organization's people in order of username."""
        mine = [one for one in self.people.values() if one["organization_id"] == organization]
        return sorted(mine, key=lambda one: (one["username_key"].encode(), one["id"]))

    def held_now(self, user_id: int) -> set[str]:
        """Return the reasons that keep somebody out."""
        return {
            row["reason"]
            for row in self.restrictions
            if row["user_id"] == user_id
            and row["since"] <= NOW
            and (row["until"] is None or row["until"] > NOW)
        }

    def above(self, group: int) -> set[int]:
        """Return a group and those above it."""
        found = {group}
        while group in self.parent:
            group = self.parent[group]
            found.add(group)
        return found

    def in_tree(self, user_id: int) -> set[int]:
        """Return the groups that somebody is in, and those above these."""
        own = [group for person, group in self.members if person == user_id]
        return {each for group in own for each in self.above(group)}

    def effective_roles(self, user_id: int) -> set[int]:
        """Return the roles that somebody has by whatever way."""
        direct = {role for person, role in self.grants if person == user_id}
        groups = self.in_tree(user_id)
        return direct | {role for group, role in self.group_roles if group in groups} | {USER_ROLE}

    def level(self, user_id: int, section: str) -> int:
        """Return how far somebody's own roles let him go, those of the product left out."""
        sets = {
            each for role in self.effective_roles(user_id) for each in self.role_sets.get(role, ())
        }
        return max((self.sets[each].get(section, 0) for each in sets), default=0)


def people_of(town: Townspeople, chance: random.Random, count: int, organization: str) -> None:
    """Make up people."""
    living: set[str] = set()
    first = 1 + len(town.people)
    for user_id in range(first, first + count):
        username = chance.choice(NAMES)
        if chance.random() < 0.9:
            username += f".{chance.randrange(60):02}"
        key = fold(username)
        there = key not in living
        living.add(key)
        town.people[user_id] = {
            "id": user_id,
            "organization_id": organization,
            "version": 1,
            "provider": chance.choice(("ldap", "ldap", "ldap", "admin")),
            "username": username,
            "username_key": key,
            "email": f"{username}@example.test",
            "email_key": fold(f"{username}@example.test"),
            "email_verified": False,
            "first_name": None,
            "last_name": None,
            "attributes": "{}",
            "living": there,
            "enabled": there,
        }
        if not there:
            restrict(town, user_id, "missing", LONG_BEFORE, None, None)
        if chance.random() < 0.5:
            reason, since, until, waiting = chance.choice(RESTRICTIONS)
            restrict(town, user_id, reason, since, until, waiting)
            # As of the last run, which is a while ago.
            town.people[user_id]["enabled"] = there and waiting is True


def restrict(  # noqa: PLR0917 - a row
    town: Townspeople,
    user_id: int,
    reason: str,
    since: datetime,
    until: datetime | None,
    waiting: bool | None,  # noqa: FBT001 - a column
) -> None:
    """Add a restriction."""
    town.restrictions.append(
        {
            "user_id": user_id,
            "source": "directory",
            "reason": reason,
            "organization_id": town.people[user_id]["organization_id"],
            "since": since,
            "until": until,
            "waiting": waiting,
        }
    )


def made_up(seed: int, count: int = 100) -> Townspeople:
    """Make up everything."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    town = Townspeople()
    people_of(town, chance, count, ACME)
    people_of(town, chance, count // 3, OTHER)
    town.groups = list(range(FIRST_GROUP, FIRST_GROUP + 12))
    for place, group in enumerate(town.groups):
        if place % 4:
            town.parent[group] = chance.choice(town.groups[place - place % 4 : place])
    town.roles = list(range(FIRST_ROLE, FIRST_ROLE + 5))
    for set_id in range(FIRST_SET, FIRST_SET + 4):
        town.sets[set_id] = {each: chance.choice((1, 2)) for each in chance.sample(SECTIONS, 2)}
    for role in town.roles:
        town.role_sets[role] = set(chance.sample(sorted(town.sets), chance.choice((0, 1, 2))))
    town.group_roles = {(chance.choice(town.groups), chance.choice(town.roles)) for _ in range(8)}
    everybody, nobodys, *others = town.roles
    mine = [one["id"] for one in town.of(ACME)]
    town.grants = {(user_id, everybody) for user_id in mine}
    town.group_roles = {pair for pair in town.group_roles if pair[1] not in {everybody, nobodys}}
    for user_id in mine:
        if chance.random() < 0.3:
            town.grants.add((user_id, chance.choice(others)))
        for _ in range(chance.choice((0, 1, 1, 2))):
            town.members.add((user_id, chance.choice(town.groups[:-1])))
    return town


def store(town: Townspeople, url: str) -> Database:
    """Write everything into a store and return it, opened."""
    database = Database(url)
    rows = _rows(town)
    with database.write() as connection:
        for table, several in rows:
            if several:
                connection.execute(insert(table), several)
    return database


def _rows(town: Townspeople) -> Iterable[tuple[Any, list[dict[str, Any]]]]:
    key = {user_id: one["username_key"] for user_id, one in town.people.items()}
    yield (
        schema.organizations,
        [
            {"id": each, "name": each, "provider": "ldap", "digest_key": b"k", "created_at": NOW}
            for each in (ACME, OTHER)
        ],
    )
    yield schema.users, list(town.people.values())
    yield (
        schema.identities,
        [
            {
                "organization_id": one["organization_id"],
                "source": one["provider"],
                "external_id": f"id-{one['id'] % 400}",
                "user_id": one["id"],
                "fingerprint": b"",
            }
            for one in town.people.values()
        ],
    )
    yield schema.restrictions, town.restrictions
    named = {"organization_id": ACME, "kind": "custom", "description": ""}
    yield (
        schema.groups,
        [
            {"id": each, "name": f"g{each}", "name_key": f"g{each}", "attributes": "{}", **named}
            for each in town.groups
        ],
    )
    yield (
        schema.group_parents,
        [
            {"parent_id": above, "group_id": each, "source": "manual", "organization_id": ACME}
            for each, above in town.parent.items()
        ],
    )
    yield (
        schema.group_ancestors,
        [
            {"group_id": each, "ancestor_id": above, "depth": 0, "organization_id": ACME}
            for each in town.groups
            for above in town.above(each)
        ],
    )
    yield (
        schema.roles,
        [{"id": each, "name": f"r{each}", "name_key": f"r{each}", **named} for each in town.roles],
    )
    yield (
        schema.group_roles,
        [
            {"group_id": group, "role_id": role, "source": "manual", "organization_id": ACME}
            for group, role in town.group_roles
        ],
    )
    # Some by two sources: one row each, and still one person.
    yield (
        schema.grants,
        [
            _held(user_id, "role_id", role, source, key)
            for user_id, role in sorted(town.grants)
            for source in ("manual", "mapper")[: 1 + user_id % 2]
        ],
    )
    yield (
        schema.group_members,
        [
            _held(user_id, "group_id", group, source, key)
            for user_id, group in sorted(town.members)
            for source in ("manual", "mapper")[: 1 + user_id % 2]
        ],
    )
    yield (
        schema.permission_sets,
        [{"id": each, "name": f"s{each}", "name_key": f"s{each}", **named} for each in town.sets],
    )
    yield (
        schema.permission_set_sections,
        [
            {"permission_set_id": each, "section": name, "level": level, "organization_id": ACME}
            for each, levels in town.sets.items()
            for name, level in levels.items()
        ],
    )
    yield (
        schema.role_permission_sets,
        [
            {"role_id": role, "permission_set_id": each, "organization_id": ACME}
            for role, sets in town.role_sets.items()
            for each in sets
        ],
    )


def _held(
    user_id: int, column: str, target: int, source: str, key: dict[int, str]
) -> dict[str, Any]:
    return {
        "user_id": user_id,
        column: target,
        "source": source,
        "organization_id": ACME,
        "username_key": key[user_id],
    }
