"""However an Active Directory domain came to be what it is, changed-user syncs keep up with it."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from syncd.app import App
from tests import soak
from tests.acceptance.domain import DomainWorld
from tests.integration.ldap.domains import Place
from tests.integration.test_equivalence import LIMITED, NO_LIMIT, _differences, _people
from tests.servers.samba import SambaAD, group, user

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BATCHES = 4
EDITS = 7
# Few names, so that they are used again.
NAMES = [f"p{number:02}" for number in range(12)]
ROLE_NAMES = ["staff", "sales", "support", "audit"]
# Why a changed sync becomes a full one: people went with a unit, or a group that somebody new is in
# went away.
PROMOTED = {None, "renamed_unit", "role_gone"}
STRATEGIES: dict[str, dict[str, Any]] = {
    "dn": {},
    "member_of": {"user_roles_retrieve_strategy": "get_from_user_member_of"},
    "nested": {"nested_membership": "expand"},
}


@dataclass
class Person:
    """Somebody of whom the entry, the name and the place are known."""

    cn: str
    username: str
    container: str

    @property
    def dn(self) -> str:
        """Where he is."""
        return f"CN={self.cn},{self.container}"


class Life:
    """A domain in which people, groups and units come, go, are renamed and moved."""

    def __init__(self, place: Place, seed: int, *, nested: bool = False) -> None:
        self.place = place
        self.nested = nested
        self.random = random.Random(seed)  # noqa: S311 - made-up lives, the same in each test run
        self.people: list[Person] = []
        self.deleted: list[Person] = []
        self.groups: list[Person] = []
        # Units by what they are called, each with where it is.
        self.units = [place.people, place.east, place.elsewhere]
        self.told: list[str] = []
        self._born = 0

    def edit(self) -> None:
        """Change one thing."""
        kinds: list[tuple[float, Callable[[], None]]] = [
            (4, self._join),
            (2, self._leave),
            (1, self._return),
            (3, self._move),
            (2, self._rename_entry),
            (2, self._rename),
            (1, self._swap),
            (2, self._edit_fields),
            (2, self._filter),
            (6, self._membership),
            (2, self._add_group),
            (1, self._delete_group),
            (2, self._rename_group),
            (0.3, self._new_unit),
            (0.3, self._touch_unit),
            (0.5, self._rename_unit),
        ]
        if self.nested:
            kinds += [(6, self._nest), (3, self._move_group)]
        (chosen,) = self.random.choices(
            [kind for _, kind in kinds], [weight for weight, _ in kinds]
        )
        chosen()

    def _tell(self, *words: object) -> None:
        self.told.append(" ".join(map(str, words)))

    def _fresh(self) -> str:
        self._born += 1
        return self.place.name(f"n{self._born}")

    def _free(self) -> list[str]:
        # The deleted give their names back.
        taken = {each.username for each in self.people}
        return [name for name in NAMES if self.place.name(name) not in taken]

    def _somebody(self) -> Person | None:
        return self.random.choice(self.people) if self.people else None

    def _join(self) -> None:
        if free := self._free():
            person = Person(
                self._fresh(),
                self.place.name(self.random.choice(free)),
                self.random.choice(self.units),
            )
            self._tell("join", person)
            self.people.append(person)
            attributes = dict(user(person.username, mail=f"{person.username}@t"))
            # It is unique in the domain and would stand in the way of the others' names.
            del attributes["userPrincipalName"]
            self.place.ad.add(person.dn, **attributes)

    def _leave(self) -> None:
        if person := self._somebody():
            self._tell("leave", person)
            self.place.ad.delete(person.dn)
            self.people.remove(person)
            self.deleted.append(person)

    def _return(self) -> None:
        free = self._free()
        if self.deleted and free:
            person = self.deleted.pop(self.random.randrange(len(self.deleted)))
            person.username = self.place.name(self.random.choice(free))
            person.container = self.random.choice(self.units)
            self._tell("undelete", person)
            self.place.ad.undelete(person.dn)
            self.place.ad.modify(
                person.dn,
                {
                    "sAMAccountName": [person.username],
                    "userAccountControl": ["544"],
                    "mail": [f"{person.username}@t"],
                },
            )
            self.people.append(person)

    def _move(self) -> None:
        if person := self._somebody():
            unit = self.random.choice(self.units)
            self._tell("move", person, unit)
            self.place.ad.rename(person.dn, f"CN={person.cn}", superior=unit)
            person.container = unit

    def _rename_entry(self) -> None:
        if person := self._somebody():
            new = self._fresh()
            self._tell("rename entry", person, new)
            self.place.ad.rename(person.dn, f"CN={new}")
            person.cn = new

    def _rename(self) -> None:
        person, free = self._somebody(), self._free()
        if person and free:
            self._take_name(person, self.place.name(self.random.choice(free)))

    def _swap(self) -> None:
        if len(self.people) > 1:
            one, other = self.random.sample(self.people, 2)
            first, second = one.username, other.username
            self._take_name(one, self.place.name("parked"))
            self._take_name(other, first)
            self._take_name(one, second)

    def _take_name(self, person: Person, new: str) -> None:
        self._tell("rename", person, new)
        self.place.ad.modify(person.dn, {"sAMAccountName": [new]})
        person.username = new

    def _edit_fields(self) -> None:
        if person := self._somebody():
            attribute = self.random.choice(["sn", "mail", "givenName", "l", "description"])
            value = self.random.choice(["one", "two", "One"])
            self._tell("edit", person, attribute, value)
            value = f"{value}@t" if attribute == "mail" else value
            self.place.ad.modify(person.dn, {attribute: [value]})

    def _filter(self) -> None:
        if person := self._somebody():
            values = self.random.choice([["former"], []])
            self._tell("filter", person, values)
            self.place.ad.modify(person.dn, {"employeeType": values})

    def _membership(self) -> None:
        if self.groups and self.people:
            chosen = self.random.choice(self.groups)
            size = self.random.randrange(min(4, len(self.people)) + 1)
            members = [each.dn for each in self.random.sample(self.people, size)]
            self._tell("members", chosen, members)
            self.place.ad.modify(chosen.dn, {"member": members})

    def _add_group(self) -> None:
        taken = {each.cn for each in self.groups}
        free = [name for name in ROLE_NAMES if name not in taken]
        if not free:
            return
        added = Person(self.random.choice(free), self._fresh(), self.place.groups)
        some = self.random.sample(self.people, min(2, len(self.people)))
        members = [each.dn for each in some]
        self._tell("group", added, members)
        self.groups.append(added)
        self.place.ad.add(added.dn, **group(added.username, members))

    def _delete_group(self) -> None:
        # The last one stays: an empty answer is for a person to look at.
        if sum(each.container == self.place.groups for each in self.groups) > 1:
            gone = self.random.choice(
                [each for each in self.groups if each.container == self.place.groups]
            )
            self._tell("no group", gone)
            self.place.ad.delete(gone.dn)
            self.groups.remove(gone)

    def _rename_group(self) -> None:
        taken = {each.cn for each in self.groups}
        free = [name for name in ROLE_NAMES if name not in taken]
        if self.groups and free:
            chosen = self.random.choice(self.groups)
            new = self.random.choice(free)
            self._tell("rename group", chosen, new)
            self.place.ad.rename(chosen.dn, f"CN={new}")
            chosen.cn = new

    def _nest(self) -> None:
        if len(self.groups) > 1:
            outer, inner = self.random.sample(self.groups, 2)
            self._tell("nest", inner, outer)
            if inner.dn in self._members(outer):
                self.place.ad.leave(outer.dn, inner.dn)
            else:
                self.place.ad.join(outer.dn, inner.dn)

    def _members(self, chosen: Person) -> list[str]:
        found = self.place.ad.read(chosen.dn, "member").get("member", [])
        return [value.decode() for value in found]

    def _move_group(self) -> None:
        at_home = [each for each in self.groups if each.container == self.place.groups]
        movable = [each for each in self.groups if len(at_home) > 1 or each not in at_home]
        if movable:
            chosen = self.random.choice(movable)
            places = [self.place.groups, *(each for each in self.units if self._is_away(each))]
            unit = self.random.choice(places)
            self._tell("move group", chosen, unit)
            self.place.ad.rename(chosen.dn, f"CN={chosen.cn}", superior=unit)
            chosen.container = unit

    def _is_away(self, unit: str) -> bool:
        return not unit.endswith(self.place.people)

    def _new_unit(self) -> None:
        unit = f"OU={self._fresh()},{self.random.choice(self.units[:2])}"
        self._tell("unit", unit)
        self.place.units(unit)
        self.units.append(unit)

    def _touch_unit(self) -> None:
        unit = self.random.choice(self.units)
        self._tell("touch", unit)
        self.place.ad.modify(unit, {"description": [str(self._born)]})

    def _rename_unit(self) -> None:
        unit = self.random.choice(self.units[3:] or [self.place.east])
        superior = self.random.choice([self.place.people, self.place.elsewhere])
        if unit == self.place.east:
            # It stays: others of the test name it.
            return
        rdn = f"OU={self._fresh()}"
        new = f"{rdn},{superior}"
        self._tell("rename unit", unit, new)
        self.place.ad.rename(unit, rdn, superior=superior)
        for each in (*self.people, *self.deleted, *self.groups):
            each.container = _moved(each.container, unit, new)
        self.units = [_moved(each, unit, new) for each in self.units]


def _moved(name: str, old: str, new: str) -> str:
    if name == old or name.endswith(f",{old}"):
        return f"{name.removesuffix(old)}{new}"
    return name


def _configured(folder: Path, place: Place, store_url: str, strategy: str, detection: str) -> App:
    world = DomainWorld(folder, place, store_url)
    world.configure(
        ldap={
            "change_detection": detection,
            "batch_size": 3,
            "page_size": 5,
            "import_roles": {"roles_dn": place.groups} | STRATEGIES[strategy],
        },
        mappers=[
            {
                "name": "place",
                "type": "user-attribute",
                "user_attribute": "place",
                "ldap_attribute": "l",
            },
            {"name": "all", "type": "hardcoded-role", "role": "Employee"},
        ],
        limits=dict.fromkeys(LIMITED, NO_LIMIT),
    )
    return App.load(str(world.config), environ={})


@pytest.mark.rule("2.1.4", server="samba")
@pytest.mark.rule("2.3.3", server="samba")
@pytest.mark.rule("2.3.4", server="samba")
@pytest.mark.rule("2.5.3", server="samba")
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", ["usn_changed", "dirsync"])
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seed", soak.seeds(0))
def test_changed_syncs_of_a_domain_end_as_a_first_sync_would(
    samba: SambaAD,
    store_url: str,
    tmp_path: Path,
    sqlite_template: Path,
    *,
    strategy: str,
    kind: str,
    seed: int,
) -> None:
    """Whatever people, groups and units went through, after each run and of either kind."""
    place = Place(samba, "sentinel")
    life = Life(place, 2 * len(strategy) + len(kind) + seed, nested=strategy == "nested")
    app = _configured(tmp_path / "lived", place, store_url, strategy, kind)
    assert app.sync("acme", changed=True)["mode"] == "full"
    modes: list[str] = []
    for batch in range(BATCHES):
        for _ in range(EDITS):
            life.edit()
        done = app.sync("acme", changed=True)
        modes.append(done["mode"])
        assert done["status"] == "done", (life.told, done["reasons"])
        assert done.get("promoted_reason") in PROMOTED, (life.told, done)
        assert done["users"]["quarantined"] == 0, (life.told, app.quarantine("acme"))
        fresh = tmp_path / f"fresh-{batch}.db"
        shutil.copy(sqlite_template, fresh)
        first = _configured(
            tmp_path / f"first-{batch}", place, f"sqlite:///{fresh}", strategy, kind
        )
        first.sync("acme")
        assert _differences(_people(app), _people(first)) == [], life.told
        first.close()
        life.told.append("--")
    assert modes.count("changed") >= BATCHES // 2, life.told
    assert app.plan("acme")["changes"] == [], life.told
    app.close()
