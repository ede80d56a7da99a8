"""However a directory came to be what it is, the store ends as a first sync would have made it."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from syncd.app import App
from tests import soak
from tests.acceptance.world import World
from tests.servers.slapd import PEOPLE, ROLES, SUFFIX, Slapd, person

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BATCHES = 6
EDITS = 5
ELSEWHERE = f"ou=policies,{SUFFIX}"
UNITS = (PEOPLE, f"ou=east,{PEOPLE}", f"ou=west,{PEOPLE}")
ROLE_UNITS = (ROLES, f"ou=more,{ROLES}")
# Few names, so that they are used again.
NAMES = [f"p{number:02}" for number in range(14)]
ROLE_NAMES = ["staff", "sales", "support", "audit"]
SENTINEL = f"uid=sentinel,{PEOPLE}"
# A group below no base, which hands its members on.
OUTER = f"cn=outer,{ELSEWHERE}"

STRATEGIES: dict[str, dict[str, Any]] = {
    "dn": {},
    "uid": {
        "role_object_class": ["posixGroup"],
        "membership_attribute_type": "uid",
        "membership_ldap_attribute": "memberUid",
    },
    "member_of": {"user_roles_retrieve_strategy": "get_from_user_member_of"},
}
# The same entries are groups, too.
GROUPS: dict[str, dict[str, Any]] = {
    "dn": {"nested_membership": "expand"},
    "uid": {
        "group_object_classes": ["posixGroup"],
        "membership_attribute_type": "uid",
        "membership_ldap_attribute": "memberUid",
    },
    "member_of": {
        "user_groups_retrieve_strategy": "get_from_user_member_of",
        "nested_membership": "expand",
    },
}
OUTER_GROUP = f"dn: {OUTER}\nobjectClass: groupOfNames\ncn: outer\nmember: cn=nobody\n\n"
NO_LIMIT = {"percent": None, "count": None}
LIMITED = ["update", "rename", "email_change", "missing", "grant", "revoke", "members_per_group"]


class Life:
    """A directory in which people come, go, marry, move and change what they do."""

    def __init__(self, slapd: Slapd, seed: int, *, by_uid: bool) -> None:
        self.slapd = slapd
        self.by_uid = by_uid
        self.random = random.Random(seed)  # noqa: S311 - made-up lives, the same in each test run
        # Where everybody is by name; those who are away by the name they left with.
        self.people: dict[str, str] = {}
        self.away: list[str] = []
        self.roles: dict[tuple[str, str], set[str]] = {}
        self.told: list[str] = []

    def edit(self) -> None:
        """Change one thing."""
        kinds: list[tuple[int, Callable[[], None]]] = [
            (4, self._join),
            (2, self._leave),
            (2, self._go_away),
            (2, self._come_back),
            (3, self._rename),
            (1, self._swap),
            (2, self._move),
            (2, self._edit_fields),
            (6, self._edit_members),
            (1, self._edit_outer),
            (2, self._add_role),
            (1, self._delete_role),
            (2, self._rename_role),
        ]
        (chosen,) = self.random.choices(
            [kind for _, kind in kinds], [weight for weight, _ in kinds]
        )
        chosen()

    def away_with_the_sentinel(self) -> None:
        """Make the next listing one that proves nothing."""
        self._tell("sentinel goes")
        self.slapd.rename(SENTINEL, "uid=sentinel", superior=ELSEWHERE)

    def back_with_the_sentinel(self) -> None:
        """Make the next listing a healthy one again."""
        self._tell("sentinel comes back")
        self.slapd.rename(f"uid=sentinel,{ELSEWHERE}", "uid=sentinel", superior=PEOPLE)

    def _tell(self, *words: object) -> None:
        self.told.append(" ".join(map(str, words)))

    def _dn(self, name: str) -> str:
        return f"uid={name},{self.people[name]}"

    def _free(self) -> list[str]:
        return [name for name in NAMES if name not in self.people]

    def _somebody(self) -> str | None:
        return self.random.choice(sorted(self.people)) if self.people else None

    def _join(self) -> None:
        free = [name for name in self._free() if name not in self.away]
        if not free:
            return
        name, unit = self.random.choice(free), self.random.choice(UNITS)
        self._tell("join", name, unit)
        self.people[name] = unit
        self.slapd.add(
            self._dn(name),
            objectClass="inetOrgPerson",
            uid=name,
            cn=name,
            sn="New",
            mail=f"{name}@t",
        )

    def _leave(self) -> None:
        if name := self._somebody():
            self._tell("leave", name)
            self.slapd.delete(self._dn(name))
            del self.people[name]

    def _go_away(self) -> None:
        if name := self._somebody():
            self._tell("go away", name)
            self.slapd.rename(self._dn(name), f"uid={name}", superior=ELSEWHERE)
            del self.people[name]
            self.away.append(name)

    def _come_back(self) -> None:
        if not self.away:
            return
        name, unit = self.away.pop(), self.random.choice(UNITS)
        self._tell("come back", name, unit)
        self.slapd.rename(f"uid={name},{ELSEWHERE}", f"uid={name}", superior=unit)
        self.people[name] = unit

    def _rename(self) -> None:
        free = [name for name in self._free() if name not in self.away]
        name = self._somebody()
        if name and free:
            self._take_name(name, self.random.choice(free))

    def _swap(self) -> None:
        if len(self.people) > 1:
            one, other = self.random.sample(sorted(self.people), 2)
            self._take_name(one, "parked")
            self._take_name(other, one)
            self._take_name("parked", other)

    def _take_name(self, old: str, new: str) -> None:
        self._tell("rename", old, new)
        self.slapd.rename(self._dn(old), f"uid={new}")
        self.people[new] = self.people.pop(old)

    def _move(self) -> None:
        if name := self._somebody():
            unit = self.random.choice(UNITS)
            self._tell("move", name, unit)
            self.slapd.rename(self._dn(name), f"uid={name}", superior=unit)
            self.people[name] = unit

    def _edit_fields(self) -> None:
        if name := self._somebody():
            attribute = self.random.choice(["sn", "mail", "givenName", "description", "l"])
            value = self.random.choice(["one", "two", "One"])
            self._tell("edit", name, attribute, value)
            value = f"{value}@t" if attribute == "mail" else value
            self.slapd.modify(self._dn(name), {attribute: [value]})

    def _role_dn(self, role: tuple[str, str]) -> str:
        return f"cn={role[0]},{role[1]}"

    def _member(self) -> str:
        """Return the DN or name of somebody who is there, was there or may come."""
        name = self.random.choice(NAMES)
        if self.by_uid:
            return self.random.choice([name, name.upper()])
        return f"uid={name},{self.people.get(name) or self.random.choice(UNITS)}"

    def _some_members(self, least: int, most: int) -> set[str]:
        """Return members, other roles' entries among them."""
        found = {self._member() for _ in range(self.random.randrange(least, most))}
        if not self.by_uid:
            others = [*map(self._role_dn, sorted(self.roles)), OUTER]
            found |= set(
                self.random.sample(others, min(self.random.choice([0, 1, 1, 2]), len(others)))
            )
        return found

    def _edit_outer(self) -> None:
        if not self.by_uid:
            members = self._some_members(0, 3)
            self._tell("outer", sorted(members))
            self.slapd.modify(OUTER, self._members(members))

    def _members(self, members: set[str]) -> dict[str, list[str]]:
        if self.by_uid:
            return {"memberUid": sorted(members)}
        return {"member": sorted(members) or ["cn=nobody"]}

    def _some_role(self) -> tuple[str, str] | None:
        return self.random.choice(sorted(self.roles)) if self.roles else None

    def _edit_members(self) -> None:
        if role := self._some_role():
            members = self._some_members(0, 5)
            self._tell("members", role, sorted(members))
            self.slapd.modify(self._role_dn(role), self._members(members))

    def _add_role(self) -> None:
        role = self.random.choice(ROLE_NAMES), self.random.choice(ROLE_UNITS)
        if role in self.roles:
            return
        members = self._some_members(1, 5)
        self._tell("role", role, sorted(members))
        self.roles[role] = members
        more: dict[str, Any] = {
            key: value for key, value in self._members(members).items() if value
        }
        kind = {"objectClass": "posixGroup", "gidNumber": "1"} if self.by_uid else {}
        self.slapd.add(
            self._role_dn(role), **({"objectClass": "groupOfNames", "cn": role[0]} | kind | more)
        )

    def _delete_role(self) -> None:
        # The last one stays: an empty answer is for a person to look at.
        if len(self.roles) > 1 and (role := self._some_role()):
            self._tell("no role", role)
            self.slapd.delete(self._role_dn(role))
            del self.roles[role]

    def _rename_role(self) -> None:
        role = self._some_role()
        new = self.random.choice(ROLE_NAMES), self.random.choice(ROLE_UNITS)
        if role and new not in self.roles:
            self._tell("rename role", role, new)
            self.slapd.rename(self._role_dn(role), f"cn={new[0]}", superior=new[1])
            self.roles[new] = self.roles.pop(role)


def _configured(
    folder: Path, slapd: Slapd, store_url: str, strategy: str, detection: str = "auto"
) -> App:
    world = World(folder, slapd, store_url)
    world.configure(
        ldap={
            "change_detection": detection,
            "sentinels": [SENTINEL],
            "batch_size": 3,
            "page_size": 5,
            "import_roles": {"roles_dn": ROLES} | STRATEGIES[strategy],
        },
        mappers=[
            {
                "name": "place",
                "type": "user-attribute",
                "user_attribute": "place",
                "ldap_attribute": "l",
            },
            {"name": "all", "type": "hardcoded-role", "role": "Employee"},
            {"name": "everybody", "type": "hardcoded-group", "group": "/Directory/Everybody"},
            {
                "name": "groups",
                "type": "group",
                "groups_dn": ROLES,
                "groups_path": "/Directory",
                "drop_non_existing_groups_during_sync": True,
                **GROUPS[strategy],
            },
        ],
        limits=dict.fromkeys(LIMITED, NO_LIMIT),
    )
    return App.load(str(world.config), environ={})


def _people(app: App) -> dict[str, dict[str, Any]]:
    """Return what the store says of everybody who is not missing, by the directory's id."""
    fields = ("username", "email", "first_name", "last_name", "dn", "attributes", "enabled")
    return {
        user["external_id"]: {name: user[name] for name in fields}
        | {"roles": {role["name"]: role["sources"] for role in user["roles"]}}
        for user in app.users("acme")
        if not any(each["reason"] == "missing" for each in user["disabled_because"])
    }


def _groups(app: App) -> dict[str, list[tuple[Any, ...]]]:
    """Return groups, the tree that they are in, and who is in them, by the directory's ids."""
    queries = {
        "groups": "select external_id, name from groups",
        "tree": "select g.external_id, a.external_id, c.depth from group_ancestors c"
        " join groups g on g.id = c.group_id join groups a on a.id = c.ancestor_id",
        "parents": "select g.external_id, a.external_id, p.source from group_parents p"
        " join groups g on g.id = p.group_id join groups a on a.id = p.parent_id",
        "members": "select g.name, i.external_id, m.source from group_members m"
        " join groups g on g.id = m.group_id join identities i on i.user_id = m.user_id"
        " join users u on u.id = m.user_id where u.living",
    }
    with app.database().read() as connection:
        return {
            name: sorted(tuple(row) for row in connection.execute(text(query)))
            for name, query in queries.items()
        }


def _differences(
    lived: dict[str, dict[str, Any]], first: dict[str, dict[str, Any]]
) -> list[tuple[str, str, Any, Any]]:
    """Return (username, field, as lived, as first synced) for whatever is not the same."""
    found = []
    for external_id in sorted(lived.keys() | first.keys()):
        one, other = lived.get(external_id, {}), first.get(external_id, {})
        username = one.get("username") or other["username"]
        found += [
            (username, field, one.get(field), other.get(field))
            for field in sorted(one.keys() | other.keys())
            if one.get(field) != other.get(field)
        ]
    return found


@pytest.mark.rule("2.1.4", server="openldap")
@pytest.mark.rule("2.10.6", server="openldap")
@pytest.mark.parametrize("seed", soak.seeds(1))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_any_history_ends_as_a_first_sync_would(
    store_url: str, tmp_path: Path, sqlite_template: Path, strategy: str, seed: int
) -> None:
    """People and roles are those of a first sync into an empty store, after every healthy run."""
    units = "".join(
        f"dn: {dn}\nobjectClass: organizationalUnit\nou: {dn[3:7]}\n\n"
        for dn in (*UNITS[1:], *ROLE_UNITS[1:])
    )
    overlays = ("memberof",) if strategy == "member_of" else ()
    with Slapd(ldif=units + person("sentinel") + OUTER_GROUP, overlays=overlays) as slapd:
        life = Life(slapd, seed, by_uid=strategy == "uid")
        app = _configured(tmp_path / "lived", slapd, store_url, strategy)
        for batch in range(BATCHES):
            for _ in range(EDITS):
                life.edit()
            if life.random.random() < 0.25:
                # A run that may take nothing away must not forget what it left.
                life.away_with_the_sentinel()
                held = app.sync("acme")
                assert held["listing"] == "unverified", life.told
                assert held["users"]["missing"] == 0, life.told
                life.back_with_the_sentinel()
            if life.people and life.random.random() < 0.25:
                app.sync("acme", user=life.random.choice(sorted(life.people)))
            done = app.sync("acme")
            assert done["status"] == "done", (life.told, done["reasons"])
            assert done["users"]["quarantined"] == 0, (life.told, app.quarantine("acme"))
            if batch % 2:
                fresh = tmp_path / f"fresh-{batch}.db"
                shutil.copy(sqlite_template, fresh)
                first = _configured(
                    tmp_path / f"first-{batch}", slapd, f"sqlite:///{fresh}", strategy
                )
                unresolved = first.sync("acme")["memberships"]["unresolved"]
                assert _differences(_people(app), _people(first)) == [], life.told
                assert _groups(app) == _groups(first), life.told
                assert done["memberships"]["unresolved"] == unresolved, life.told
                first.close()
            life.told.append("--")
        assert app.plan("acme")["changes"] == [], life.told
        app.close()


@pytest.mark.rule("2.1.4", server="openldap")
@pytest.mark.rule("2.6.1", server="openldap")
@pytest.mark.rule("2.6.2", server="openldap")
@pytest.mark.rule("2.9.3", server="openldap")
@pytest.mark.parametrize(
    "way",
    [("syncrepl", 1000), ("syncrepl", 0), ("modify_timestamp", 0)],
    ids=["deletes", "presents", "stamps"],
)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seed", soak.seeds(0))
def test_changed_syncs_end_as_a_first_sync_would(
    store_url: str,
    tmp_path: Path,
    sqlite_template: Path,
    *,
    strategy: str,
    way: tuple[str, int],
    seed: int,
) -> None:
    """By syncrepl after every run; by stamps as soon as a full one has seen who left."""
    detection, sessionlog = way
    units = "".join(
        f"dn: {dn}\nobjectClass: organizationalUnit\nou: {dn[3:7]}\n\n"
        for dn in (*UNITS[1:], *ROLE_UNITS[1:])
    )
    overlays = ["memberof"] if strategy == "member_of" else ["refint"]
    with Slapd(
        ldif=units + person("sentinel") + OUTER_GROUP,
        overlays=(*overlays, "syncprov"),
        sessionlog=sessionlog,
    ) as slapd:
        life = Life(slapd, len(strategy) + seed, by_uid=strategy == "uid")
        app = _configured(tmp_path / "lived", slapd, store_url, strategy, detection)
        assert app.sync("acme", changed=True)["mode"] == "full"
        modes: list[str] = []
        for batch in range(BATCHES):
            for _ in range(EDITS):
                life.edit()
            done = app.sync("acme", changed=True)
            modes.append(done["mode"])
            assert done["status"] == "done", (life.told, done["reasons"])
            if detection == "modify_timestamp":
                done = app.sync("acme")
            assert done["users"]["quarantined"] == 0, (life.told, app.quarantine("acme"))
            if batch % 2 or sessionlog:
                fresh = tmp_path / f"fresh-{batch}.db"
                shutil.copy(sqlite_template, fresh)
                first = _configured(
                    tmp_path / f"first-{batch}", slapd, f"sqlite:///{fresh}", strategy
                )
                first.sync("acme")
                assert _differences(_people(app), _people(first)) == [], life.told
                assert _groups(app) == _groups(first), life.told
                first.close()
            life.told.append("--")
        assert modes.count("changed") >= BATCHES // 2
        assert app.plan("acme")["changes"] == [], life.told
        app.close()
