"""Effective permissions: right for any roles, sets, groups and grants, and more by every grant."""

from __future__ import annotations

import random
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from syncd.permissions import SECTIONS, Level, added, preconfigured
from syncd.store import schema
from syncd.store.hierarchy import settle_closure
from tests.store.model import OWNER, SUPPORT, Model, somebody
from tests.store.organization import Organization, record
from tests.store.test_editing_groups import chain
from tests.store.test_editing_roles import refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.servers.postgres import Postgres

# An example is many changes of a store of its own: too slow to look for a smaller one that fails.
SLOW = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
SQLITE_EXAMPLES, POSTGRES_EXAMPLES = 6, 2
SOME = ("users", "groups", "license", "builds")


@dataclass
class Reference:
    """The same model in plain Python: sets of ids, and walks over them."""

    sets: dict[int, dict[str, Level]] = field(default_factory=dict)
    roles: dict[int, set[int]] = field(default_factory=dict)
    group_roles: dict[int, set[int]] = field(default_factory=dict)
    parents: dict[int, set[int]] = field(default_factory=dict)
    members: dict[int, set[int]] = field(default_factory=dict)
    grants: dict[int, set[int]] = field(default_factory=dict)

    def above(self, group: int) -> dict[int, int]:
        """Return a group and all groups above it, each with its least distance."""
        found, level, depth = {group: 0}, {group}, 0
        while level:
            depth += 1
            level = {up for each in level for up in self.parents[each]} - found.keys()
            found |= dict.fromkeys(level, depth)
        return found

    def levels(self, person: int) -> dict[str, Level]:
        """Return what somebody may do."""
        roles = set(self.grants[person])
        for group, people in self.members.items():
            if person in people:
                for each in self.above(group):
                    roles |= self.group_roles[each]
        sets = [self.sets[each] for role in roles for each in self.roles.get(role, ())]
        table = list(preconfigured().values())
        fixed = [table[role - 1] for role in roles if role not in self.roles]
        return added([*sets, *fixed, preconfigured()["User"]])

    def closure(self) -> set[tuple[int, int, int]]:
        """Return (group, ancestor, depth)."""
        return {
            (group, ancestor, depth)
            for group in self.parents
            for ancestor, depth in self.above(group).items()
        }


@dataclass
class World:
    """A model in a store, and the reference beside it."""

    model: Model
    reference: Reference = field(default_factory=Reference)

    def build(self, draw: random.Random) -> None:
        """Make people, sets, roles and groups without any grant."""
        model, reference = self.model, self.reference
        reference.grants = {user_id: set() for user_id in model.people("p1", "p2", "p3")}
        for number in range(4):
            levels = {section: draw.choice(list(Level)) for section in draw.sample(SOME, 2)}
            words = {section: level.word for section, level in levels.items()}
            made = model.sets.create(f"set {number}", sections=words)["id"]
            reference.sets[made] = {name: each for name, each in levels.items() if each}
        for number in range(4):
            sets = set(draw.sample(sorted(reference.sets), draw.randrange(3)))
            made = model.roles.create(f"role {number}", permission_sets=sets)["id"]
            reference.roles[made] = sets
        for number in range(6):
            made = model.groups.create(f"group {number}")["id"]
            reference.group_roles[made] = set()
            reference.parents[made] = set()
            reference.members[made] = set()

    def grant(self, draw: random.Random) -> None:
        """Make one more grant, of any kind."""
        model, reference = self.model, self.reference
        role = draw.choice([*reference.roles, SUPPORT])
        group, other = draw.sample(sorted(reference.parents), 2)
        person = draw.choice(sorted(reference.grants))
        match draw.randrange(6):
            case 0:
                model.grant(person, role)
                reference.grants[person].add(role)
            case 1:
                model.groups.add_role(group, role)
                reference.group_roles[group].add(role)
            case 2:
                model.groups.add_member(group, person)
                reference.members[group].add(person)
            case 3:
                self.link(group, other)
            case 4:
                if role in reference.roles:
                    reference.roles[role].add(draw.choice(sorted(reference.sets)))
                    model.roles.edit(role, permission_sets=reference.roles[role])
            case _:
                self.raise_one(draw)

    def raise_one(self, draw: random.Random) -> None:
        """Let a set allow more in one section."""
        set_id = draw.choice(sorted(self.reference.sets))
        section, level = draw.choice(SOME), draw.choice([Level.VIEW, Level.EDIT])
        if level > self.reference.sets[set_id].get(section, Level.NONE):
            self.reference.sets[set_id][section] = level
            self.model.sets.edit(set_id, sections={section: level.word})

    def link(self, parent: int, child: int) -> None:
        """Put a group below another, unless that closes a circle: then it must be refused."""
        if child in self.reference.above(parent):
            reason, _ = refused(lambda: self.model.groups.add_child(parent, child))
            assert reason == "would_cycle"
            return
        self.model.groups.add_child(parent, child)
        self.reference.parents[child].add(parent)

    def unlink(self, draw: random.Random) -> None:
        """Take a group away from below another."""
        edges = sorted(
            (parent, child) for child, up in self.reference.parents.items() for parent in up
        )
        if edges:
            parent, child = draw.choice(edges)
            self.model.groups.remove_child(parent, child)
            self.reference.parents[child].discard(parent)

    def remove(self, draw: random.Random) -> None:
        """Delete a group."""
        if len(self.reference.parents) < 3:
            return
        group = draw.choice(sorted(self.reference.parents))
        self.model.groups.delete(group)
        del self.reference.parents[group]
        for up in self.reference.parents.values():
            up.discard(group)

    def levels(self) -> dict[int, Mapping[str, Level]]:
        """Return what everybody may do, as the store has it."""
        return {person: self.model.levels(person) for person in self.reference.grants}

    def closure(self) -> set[tuple[int, int, int]]:
        """Return the stored closure."""
        return {
            (row["group_id"], row["ancestor_id"], row["depth"])
            for row in self.model.acme.rows(schema.group_ancestors)
        }


@contextmanager
def opened(url: str) -> Iterator[World]:
    """Open an organization in a store of its own."""
    acme = Organization(url)
    with acme.leased():
        yield World(Model(acme))
    acme.database.close()


@contextmanager
def on_sqlite(template: Path) -> Iterator[World]:
    """A new store on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(template, f"{folder}/store.db")
        with opened(f"sqlite:///{folder}/store.db") as world:
            yield world


def grants_only_add(world: World, seed: int) -> None:
    """Check that levels are the reference's, and that no grant lowers one."""
    draw = random.Random(seed)  # noqa: S311 - hypothesis chooses the seed
    world.build(draw)
    before = world.levels()
    for _ in range(12):
        world.grant(draw)
        after = world.levels()
        assert after == {person: world.reference.levels(person) for person in after}
        for person, held in before.items():
            assert all(after[person][section] >= level for section, level in held.items())
        before = after
    words = {
        each["id"]: {section: Level.of(word) for section, word in each["permissions"].items()}
        for each in world.model.permissions.of_all()
    }
    assert words == {
        person: {section: held.get(section, Level.NONE) for section in SECTIONS}
        for person, held in before.items()
    }


def closure_holds(world: World, seed: int) -> None:
    """Check the closure after each link that comes or goes, and that a sync finds nothing to do."""
    draw = random.Random(seed)  # noqa: S311 - the same
    for number in range(7):
        world.reference.parents[world.model.groups.create(f"group {number}")["id"]] = set()
    # A ladder with every second step skipped: distances grow when a short cut goes.
    ids = list(world.reference.parents)
    for parent, child in [*pairwise(ids), *zip(ids, ids[2:], strict=False)]:
        world.link(parent, child)
    for _ in range(20):
        match draw.randrange(8):
            case 0 | 1 | 2:
                world.unlink(draw)
            case 3:
                world.remove(draw)
            case _:
                world.link(*draw.sample(sorted(world.reference.parents), 2))
        assert world.closure() == world.reference.closure()
    with world.model.acme.database.write() as connection:
        settle_closure(connection, world.model.acme.id)
    assert world.closure() == world.reference.closure()


@settings(SLOW, max_examples=SQLITE_EXAMPLES)
@given(seed=st.integers(0, 2**32))
def test_permissions_only_grow_with_grants(sqlite_template: Path, seed: int) -> None:
    """Whatever is granted to whomever by whatever way; the levels are those of a plain walk."""
    with on_sqlite(sqlite_template) as world:
        grants_only_add(world, seed)


@settings(SLOW, max_examples=POSTGRES_EXAMPLES)
@given(seed=st.integers(0, 2**32))
def test_permissions_only_grow_with_grants_on_postgresql(
    postgres: Postgres, postgres_template: str, seed: int
) -> None:
    """The same on PostgreSQL."""
    with postgres.database(postgres_template) as url, opened(url) as world:
        grants_only_add(world, seed)


@settings(SLOW, max_examples=SQLITE_EXAMPLES)
@given(seed=st.integers(0, 2**32))
def test_the_closure_holds_whatever_is_linked(sqlite_template: Path, seed: int) -> None:
    """After every link and every group that comes or goes; circles are refused."""
    with on_sqlite(sqlite_template) as world:
        closure_holds(world, seed)


@settings(SLOW, max_examples=POSTGRES_EXAMPLES)
@given(seed=st.integers(0, 2**32))
def test_the_closure_holds_whatever_is_linked_on_postgresql(
    postgres: Postgres, postgres_template: str, seed: int
) -> None:
    """The same on PostgreSQL."""
    with postgres.database(postgres_template) as url, opened(url) as world:
        closure_holds(world, seed)


def test_each_permission_says_what_it_comes_from(acme: Organization) -> None:
    """Every way to a role, and each set of each role that gives a section its level or less."""
    model = Model(acme)
    p1, _ = model.people("p1", "p2")
    desk = model.sets.create("Desk", sections={"users": "edit"})["id"]
    keeper = model.roles.create("Keeper", permission_sets=[desk])["id"]
    above, below = chain(model, "above", "below")
    model.groups.add_role(above, keeper)
    for each in (above, below):
        model.groups.add_member(each, p1)
    model.grant(p1, SUPPORT)
    found = model.permissions.of("P1")
    assert found["roles"] == [
        {
            "id": keeper,
            "name": "Keeper",
            "sources": [
                {"source": "manual", "group": "/above", "member_of": "/above"},
                {"source": "manual", "group": "/above", "member_of": "/above/below"},
            ],
        },
        {
            "id": SUPPORT,
            "name": "Support agent",
            "sources": [{"source": "manual", "group": None, "member_of": None}],
        },
        {
            "id": 6,
            "name": "User",
            "sources": [{"source": "default", "group": None, "member_of": None}],
        },
    ]
    assert [each for each in found["because"] if each["section"] in {"users", "clients"}] == [
        {"section": "users", "level": "edit", "role": "Keeper", "permission_set": "Desk"},
        {
            "section": "users",
            "level": "view",
            "role": "Support agent",
            "permission_set": "Support agent",
        },
        {
            "section": "clients",
            "level": "view",
            "role": "Support agent",
            "permission_set": "Support agent",
        },
        {"section": "clients", "level": "view", "role": "User", "permission_set": "User"},
    ]
    assert list(found["permissions"]) == list(SECTIONS)
    assert found["permissions"]["users"] == "edit"


def test_one_sees_ones_own_permissions_and_others_by_right(acme: Organization) -> None:
    """Everybody asks about himself; about others whoever may view people."""
    model = Model(acme)
    p1, p2 = model.people("p1", "p2")
    own = model.by(model.of_person(p1))
    assert own.permissions.of("p1")["id"] == p1
    for do in (lambda: own.permissions.of("p2"), own.permissions.of_all):
        assert refused(do)[0] == "not_allowed"
    # Nor does he learn who is there.
    assert refused(lambda: own.permissions.of("nobody"))[0] == "not_allowed"
    desk = model.by(somebody(users="view"))
    assert [each["username"] for each in desk.permissions.of_all()] == ["p1", "p2"]
    assert desk.permissions.of("p2")["id"] == p2


def test_those_who_are_away_are_left_out_of_all(acme: Organization) -> None:
    """The pass over everybody has those who are there, the disabled among them, by name."""
    model = Model(acme)
    model.people("b", "C", "a")
    model.grant(model.acme.user("C")["id"], OWNER)
    acme.sync(record("a"), absent=["b"])
    everybody = list(model.permissions.of_all())
    assert [each["username"] for each in everybody] == ["a", "C"]
    assert set(everybody[1]["permissions"].values()) == {"edit"}
    assert model.permissions.of("b")["enabled"] is False


@pytest.mark.parametrize("kind", ["explain", "show"])
def test_a_role_of_a_group_is_told_with_the_group(acme: Organization, kind: str) -> None:
    """A person is shown with the group that gives the role, and told how he came there."""
    model = Model(acme)
    (p1,) = model.people("p1")
    above, below = chain(model, "above", "below")
    model.groups.add_role(above, SUPPORT)
    model.groups.add_member(below, p1)
    if kind == "show":
        held = {each["name"]: each["sources"] for each in acme.user("p1")["roles"]}
        assert held == {"Support agent": ["group:/above"], "User": ["default"]}
        return
    held = {each["name"]: each["sources"] for each in acme.people.role_sources(p1)}
    (source,) = held["Support agent"]
    assert (source["group"], source["member_of"]) == ("/above", "/above/below")
    assert [each["mapper"] for each in source["because"]] == ["manual"]
