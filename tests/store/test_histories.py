"""Long histories of a small directory: whatever happened, the store says what it says."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from syncd.records import Member, fold, key_of
from tests import soak
from tests.store.organization import (
    Organization,
    container,
    dn_of,
    member_keys,
    member_of,
    record,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.records import ContainerRecord, UserRecord

RUNS = 14
BATCH_SIZES = (1, 2, 5, 1_000)

# What no transaction may leave behind, as the bulk tables have no foreign keys.
ORPHANS = {
    "identities": "SELECT 1 FROM identities t LEFT JOIN users u ON u.id = t.user_id"
    " WHERE u.id IS NULL",
    "keys": "SELECT 1 FROM identity_keys t LEFT JOIN users u ON u.id = t.user_id"
    " WHERE u.id IS NULL OR NOT u.living",
    "grants": "SELECT 1 FROM grants t LEFT JOIN users u ON u.id = t.user_id"
    " LEFT JOIN roles r ON r.id = t.role_id WHERE u.id IS NULL OR r.id IS NULL",
    "restrictions": "SELECT 1 FROM restrictions t LEFT JOIN users u ON u.id = t.user_id"
    " WHERE u.id IS NULL",
    "refs": "SELECT 1 FROM membership_refs t LEFT JOIN users u ON u.id = t.user_id"
    " WHERE t.user_id IS NOT NULL AND u.id IS NULL",
    "refs without container": "SELECT 1 FROM membership_refs t LEFT JOIN containers c"
    " ON c.mapper = t.mapper AND c.container_key = t.container_key"
    " WHERE c.mapper IS NULL AND t.kind <> 'of'",
    "containers": "SELECT 1 FROM containers t LEFT JOIN roles r ON r.id = t.role_id"
    " WHERE r.id IS NULL",
    "journal": "SELECT 1 FROM journal t LEFT JOIN change_sets c ON c.id = t.change_set_id"
    " WHERE c.id IS NULL",
    "disabled but not restricted": "SELECT 1 FROM users u WHERE NOT u.enabled AND NOT EXISTS"
    " (SELECT 1 FROM restrictions r WHERE r.user_id = u.id)",
    "unresolved though known": "SELECT 1 FROM membership_refs t JOIN identity_keys k"
    " ON k.kind = t.kind AND k.key = t.member_key WHERE t.user_id IS NULL",
}


@dataclass(frozen=True)
class Person:
    """An entry of the model directory."""

    username: str
    dn: str
    uid: str
    last_name: str = ""
    member_of: frozenset[str] = frozenset()

    def record(self, external_id: str) -> UserRecord:
        """Return what the mappers make of it."""
        return record(
            external_id,
            self.username,
            dn=self.dn,
            last_name=self.last_name,
            member_keys=member_keys("uid", self.uid),
            memberships=member_of(*sorted(self.member_of)),
        )


@dataclass(frozen=True)
class Role:
    """A role entry of the model directory."""

    role: str
    dns: frozenset[str] = frozenset()
    uids: frozenset[str] = frozenset()

    def record(self, name: str) -> ContainerRecord:
        """Return what the mapper makes of it."""
        made = container(name, uids=sorted(self.uids), role=self.role)
        by_dn = tuple(Member("dn", key_of(dn), dn) for dn in sorted(self.dns))
        return made._replace(members=(*by_dn, *made.members))


@dataclass
class Directory:
    """A directory that changes at random, and what it means."""

    chance: random.Random
    people: dict[str, Person] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    left: dict[str, Person] = field(default_factory=dict)
    count: int = 0

    def fresh(self, prefix: str) -> str:
        """Return a name that was never used."""
        self.count += 1
        return f"{prefix}{self.count}"

    def step(self) -> None:
        """Let a few things happen."""
        deeds: list[Callable[[], None]] = [
            self.join,
            self.join,
            self.leave,
            self.come_back,
            self.change,
            self.rename,
            self.swap,
            self.move,
            self.reuse,
            self.renumber,
            self.say,
            self.found,
            self.members,
            self.members,
            self.dissolve,
            self.call_otherwise,
        ]
        for deed in self.chance.choices(deeds, k=self.chance.randint(1, 7)):
            deed()

    def someone(self) -> str | None:
        """Return anybody's id."""
        return self.chance.choice(sorted(self.people)) if self.people else None

    def some_role(self) -> str | None:
        """Return any role entry."""
        return self.chance.choice(sorted(self.roles)) if self.roles else None

    def join(self) -> None:
        """Add somebody, sometimes under a number that another one has."""
        name = self.fresh("p")
        uid = name
        if self.people and self.chance.random() < 0.2:
            uid = self.people[str(self.someone())].uid
        self.people[name] = Person(name, dn_of(name), uid)

    def leave(self) -> None:
        """Remove somebody."""
        if (who := self.someone()) is not None:
            self.left[who] = self.people.pop(who)

    def come_back(self) -> None:
        """Bring a leaver back, under a DN of his own."""
        if self.left:
            who = self.chance.choice(sorted(self.left))
            name = self.fresh("back")
            self.people[who] = replace(self.left.pop(who), username=name, dn=dn_of(name))

    def reuse(self) -> None:
        """Let a newcomer have a leaver's DN."""
        if (who := self.someone()) is not None:
            self.left[who] = self.people.pop(who)
            name = self.fresh("p")
            self.people[name] = Person(name, self.left[who].dn, name)

    def _alter(self, **values: object) -> None:
        if (who := self.someone()) is not None:
            self.people[who] = replace(self.people[who], **values)  # type: ignore[arg-type]

    def change(self) -> None:
        """Change a field that decides nothing."""
        self._alter(last_name=self.fresh("Name"))

    def rename(self) -> None:
        """Change a username."""
        self._alter(username=self.fresh("u"))

    def move(self) -> None:
        """Change a DN; role entries follow only if somebody takes care."""
        self._alter(dn=dn_of(self.fresh("m")))

    def renumber(self) -> None:
        """Change the number by which role entries may name a person."""
        other = self.people[str(self.someone())].uid if self.people else ""
        self._alter(uid=self.chance.choice([self.fresh("n"), other]))

    def swap(self) -> None:
        """Let two people swap their usernames."""
        one, two = self.someone(), self.someone()
        if one is not None and two is not None and one != two:
            here, there = self.people[one], self.people[two]
            self.people[one] = replace(here, username=there.username)
            self.people[two] = replace(there, username=here.username)

    def say(self) -> None:
        """Let a person name role entries, known and unknown ones."""
        names = [*sorted(self.roles), "unknown"]
        self._alter(member_of=frozenset(self.chance.sample(names, min(2, len(names)))))

    def found(self) -> None:
        """Add a role entry; two may stand for one role."""
        self.roles[self.fresh("g")] = Role(self.chance.choice(["one", "two", "Two", "three"]))
        self.members()

    def members(self) -> None:
        """Change the members of a role entry."""
        if (name := self.some_role()) is None:
            return
        pool = sorted(self.people)
        everybody = self.people | self.left
        some = self.chance.sample(pool, min(len(pool), self.chance.randint(0, 4)))
        few = self.chance.sample(sorted(everybody), min(len(everybody), self.chance.randint(0, 2)))
        self.roles[name] = replace(
            self.roles[name],
            dns=frozenset([*(self.people[who].dn for who in some), dn_of("nobody")]),
            uids=frozenset(everybody[who].uid for who in few),
        )

    def dissolve(self) -> None:
        """Remove a role entry."""
        if (name := self.some_role()) is not None and self.chance.random() < 0.5:
            del self.roles[name]

    def call_otherwise(self) -> None:
        """Let a role entry stand for another role."""
        if (name := self.some_role()) is not None:
            self.roles[name] = replace(self.roles[name], role=self.chance.choice(["one", "four"]))

    def held(self) -> dict[str, set[str]]:
        """Return the folded roles that everybody should have, by id."""
        return {
            external_id: {
                fold(role.role)
                for name, role in self.roles.items()
                if person.dn in role.dns or person.uid in role.uids or name in person.member_of
            }
            for external_id, person in self.people.items()
        }


def sync(acme: Organization, was: Directory, now: Directory, batch_size: int) -> None:
    """Sync what changed between two states."""
    before = {name: person.record(name) for name, person in was.people.items()}
    people = {name: person.record(name) for name, person in now.people.items()}
    old = {name: role.record(name) for name, role in was.roles.items()}
    roles = {name: role.record(name) for name, role in now.roles.items()}
    acme.sync(
        *(person for name, person in people.items() if before.get(name) != person),
        absent=sorted(before.keys() - people.keys()),
        containers=[role for name, role in roles.items() if old.get(name) != role],
        gone=sorted(old.keys() - roles.keys()),
        batch_size=batch_size,
    )


@pytest.mark.parametrize("seed", soak.seeds(0, 1, 2, 3))
def test_people_and_roles_are_what_the_directory_says(acme: Organization, seed: int) -> None:
    """After each of many runs everybody has exactly the roles that the directory gives, no more."""
    chance = random.Random(seed)  # noqa: S311 - repeatable histories
    directory = Directory(chance)
    for _ in range(8):
        directory.join()
    for _ in range(3):
        directory.found()
    was = Directory(chance)
    for number in range(RUNS):
        sync(acme, was, directory, chance.choice(BATCH_SIZES))

        users = {user["external_id"]: user for user in acme.people.users()}
        enabled = {name: user["username"] for name, user in users.items() if user["enabled"]}
        assert enabled == {name: each.username for name, each in directory.people.items()}, number
        held = {
            name: {fold(role["name"]) for role in users[name]["roles"]} - {"user"}
            for name in enabled
        }
        assert held == directory.held(), (seed, number)
        assert {name: users[name]["dn"] for name in enabled} == {
            name: person.dn for name, person in directory.people.items()
        }
        with acme.database.read() as connection:
            found = {
                name: len(connection.execute(text(query)).all()) for name, query in ORPHANS.items()
            }
        assert found == dict.fromkeys(ORPHANS, 0), (seed, number)
        was = replace(directory, people=dict(directory.people), roles=dict(directory.roles))
        directory.step()
