"""Where a person's values, roles and groups come from, and why somebody is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION, role
from tests.servers.slapd import OPEN_ACCESS, PEOPLE, ROLES, SUFFIX, people, person

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

ELSEWHERE = f"ou=policies,{SUFFIX}"
HIDDEN_ID = f'access to dn.exact="uid=ann,{PEOPLE}" attrs=entryUUID by * none\n{OPEN_ACCESS}'
# A plan that brings more than one newcomer, or any leaver at all, waits for a person.
CAREFUL = {"minimum_population": 1, "create": {"count": 1}, "missing": {"count": 0}}


def explain(world: QuickWorld, username: str, *more: str, code: int = 0) -> dict[str, Any]:
    """Ask about somebody."""
    answer: dict[str, Any] = world.json("explain", ORGANIZATION, username, *more, code=code)
    return answer


def told(world: QuickWorld, username: str, *more: str, code: int = 0) -> str:
    """Ask about somebody and return what a person reads, without the lines' ends."""
    return " ".join(world.syncd("explain", ORGANIZATION, username, *more, code=code).out.split())


def sub_unit(name: str) -> str:
    """Return the LDIF record of a unit below the people."""
    return f"dn: ou={name},{PEOPLE}\nobjectClass: organizationalUnit\nou: {name}\n\n"


# --- absence --------------------------------------------------------------------------------


@ON_SQLITE
def test_somebody_of_whom_nobody_knows_has_no_entry(quick_world: MakeQuickWorld) -> None:
    """Neither directory nor store knows the name: no_entry, and the exit code of not found."""
    world = quick_world(person("ann"))
    answer = explain(world, "ghost", code=7)
    assert (answer["present"], answer["known"], answer["reason"]) == (False, False, "no_entry")
    assert "uid=ghost" in answer["detail"]
    stored = explain(world, "ghost", "--stored", code=7)
    assert (stored["reason"], stored["known"]) == ("no_entry", False)
    assert "ghost is not in acme" in told(world, "ghost", code=7)


def test_a_leaver_is_told_as_what_he_is_here(quick_world: MakeQuickWorld) -> None:
    """Known until the next full sync, then kept as missing; the store alone calls it disabled."""
    world = quick_world(people(5) + person("ann"))
    world.sync()
    world.slapd.delete(f"uid=ann,{PEOPLE}")
    before = explain(world, "ann")
    assert (before["reason"], before["known"]) == ("no_entry", True)
    assert "still known here until the next complete full sync" in before["detail"]
    assert explain(world, "ann", "--stored")["present"]
    world.sync()
    after = explain(world, "ann")
    assert (after["reason"], after["known"]) == ("no_entry", True)
    assert "kept here as missing and cannot sign in" in after["detail"]
    assert explain(world, "ann", "--stored")["reason"] == "disabled"


@ON_SQLITE
def test_an_entry_elsewhere_is_out_of_base(quick_world: MakeQuickWorld) -> None:
    """The entry's DN and the configured base are in the sentence."""
    world = quick_world(person("ann", container=ELSEWHERE))
    answer = explain(world, "ann")
    assert answer["reason"] == "out_of_base"
    assert f"uid=ann,{ELSEWHERE}" in answer["detail"]
    assert PEOPLE in answer["detail"]
    assert "users_dn" in told(world, "ann")


@ON_SQLITE
def test_an_entry_that_the_filter_leaves_out_is_told_with_the_clause(
    quick_world: MakeQuickWorld,
) -> None:
    """Of a filter of several parts exactly the one that does not match is named."""
    world = quick_world(person("ann", employeeType="guest", title="Dr."))
    world.configure(ldap={"user_search_filter": "(&(title=*)(!(employeeType=guest)))"})
    answer = explain(world, "ann")
    assert (answer["reason"], answer["clause"]) == ("filtered", "(!(employeeType=guest))")
    assert "It does not match (!(employeeType=guest))" in told(world, "ann")


@ON_SQLITE
def test_an_entry_whose_id_is_hidden_is_unreadable(quick_world: MakeQuickWorld) -> None:
    """A right that the bind account lost is named, and is no absence."""
    world = quick_world(person("ann") + person("bob"))
    world.sync()
    world.allow(HIDDEN_ID)
    answer = explain(world, "ann")
    assert answer["reason"] == "quarantined"
    assert "entryUUID" in answer["detail"]
    assert answer["known"]
    assert explain(world, "bob")["present"]


@ON_SQLITE
def test_an_entry_whose_name_is_hidden_is_unreadable(quick_world: MakeQuickWorld) -> None:
    """A known person whom no search finds any more is looked for under his DN."""
    world = quick_world(person("ann"))
    world.sync()
    world.allow(
        f'access to dn.exact="uid=ann,{PEOPLE}" attrs=entryUUID,uid by * none\n{OPEN_ACCESS}'
    )
    answer = explain(world, "ann")
    assert answer["reason"] == "unreadable"
    assert "the bind account cannot read its" in answer["detail"]


def test_an_entry_in_quarantine_is_told_with_its_reason_and_run(
    quick_world: MakeQuickWorld,
) -> None:
    """Live and from the store: the reason code, the sentence, the run that put it there."""
    world = quick_world(people(2) + sub_unit("x") + person("u00001", container=f"ou=x,{PEOPLE}"))
    run = world.sync(code=5)["run"]
    for more in ((), ("--stored",)):
        answer = explain(world, "U00001", *more)
        assert (answer["reason"], answer["run"]) == ("quarantined", run)
        assert "duplicate_username" in answer["detail"]
    assert explain(world, "u00000")["present"]


@ON_SQLITE
def test_an_entry_that_cannot_be_mapped_now_is_quarantined(quick_world: MakeQuickWorld) -> None:
    """Before any run has met it, the mapper's own reason is told."""
    world = quick_world(person("ann"))
    world.configure(
        mappers=[
            {
                "name": "desk",
                "type": "user-attribute",
                "user_attribute": "desk",
                "ldap_attribute": "roomNumber",
                "mandatory": True,
            }
        ]
    )
    answer = explain(world, "ann")
    assert answer["reason"] == "quarantined"
    assert "roomNumber" in answer["detail"]


@ON_SQLITE
def test_somebody_back_in_the_directory_is_disabled_until_the_next_sync(
    quick_world: MakeQuickWorld,
) -> None:
    """The same entry came back: he is shut out here until a sync lets him in."""
    world = quick_world(people(5) + person("ann"))
    world.sync()
    world.slapd.rename(f"uid=ann,{PEOPLE}", "uid=ann", superior=ELSEWHERE)
    world.sync()
    assert explain(world, "ann")["reason"] == "out_of_base"
    world.slapd.rename(f"uid=ann,{ELSEWHERE}", "uid=ann", superior=PEOPLE)
    answer = explain(world, "ann")
    assert answer["reason"] == "disabled"
    assert "the next sync lets him in" in answer["detail"]
    world.sync()
    assert explain(world, "ann")["present"]


def test_a_newcomer_may_be_held_by_a_plan(quick_world: MakeQuickWorld) -> None:
    """A blocked plan that would bring him is named with the command that lets it go on."""
    world = quick_world(people(3))
    world.sync()
    world.configure(limits=CAREFUL)
    for name in ("ann", "bob"):
        world.slapd.add(
            f"uid={name},{PEOPLE}", objectClass="inetOrgPerson", uid=name, cn=name, sn=name
        )
    run = world.sync(code=3)["run"]
    for more in ((), ("--stored",)):
        answer = explain(world, "ann", *more)
        assert (answer["reason"], answer["run"]) == ("held_by_plan", run)
        assert f"syncd approve {run}" in answer["detail"]
    world.json("approve", run)
    assert explain(world, "ann")["present"]


@ON_SQLITE
def test_a_leaver_may_be_held_by_a_plan(quick_world: MakeQuickWorld) -> None:
    """His absence waits for somebody: he is neither gone nor simply there."""
    world = quick_world(people(3) + person("ann"))
    world.sync()
    world.configure(limits=CAREFUL)
    world.slapd.delete(f"uid=ann,{PEOPLE}")
    run = world.sync(code=3)["run"]
    answer = explain(world, "ann")
    assert (answer["reason"], answer["run"]) == ("held_by_plan", run)
    assert f"syncd approve {run}" in told(world, "ann")


@ON_SQLITE
def test_somebody_nobody_synced_yet_is_told_so(quick_world: MakeQuickWorld) -> None:
    """The directory has him and no run has been: the next step is a sync."""
    world = quick_world(person("ann"))
    answer = explain(world, "ann")
    assert (answer["reason"], answer["known"]) == ("not_synced", True)
    assert "syncd sync acme --user ann" in told(world, "ann")


# --- presence -------------------------------------------------------------------------------


def test_each_field_and_role_is_told_with_its_source(quick_world: MakeQuickWorld) -> None:
    """Value, mapper, attribute and raw value of a field; entry and member value of a role."""
    world = quick_world(person("ann", sn="Müller") + role("staff", "ann") + role("other"))
    run = world.sync()["run"]
    answer = explain(world, "Ann")
    assert (answer["present"], answer["live"], answer["differs"]) == (True, True, [])
    assert answer["user"]["username"] == "ann"
    fields = {field["field"]: field for field in answer["fields"]}
    assert fields["last_name"] == {
        "field": "last_name",
        "value": "Müller",
        "mapper": "last name",
        "attribute": "sn",
        "raw": ["Müller"],
        "run": run,
    }
    roles = {each["name"]: each["sources"] for each in answer["roles"]}
    assert roles["staff"] == [
        {
            "mapper": "import roles",
            "container_dn": f"cn=staff,{ROLES}",
            "member_value": f"uid=ann,{PEOPLE}",
            "membership": "member",
            "through": [],
            "run": run,
        }
    ]
    assert roles["User"][0]["mapper"] == "default"
    text = told(world, "ann")
    assert f"because cn=staff,{ROLES} has the member uid=ann,{PEOPLE}" in text
    assert "Müller" in text


def test_the_store_answers_alone(quick_world: MakeQuickWorld) -> None:
    """With --stored the directory is not asked, and may be away."""
    world = quick_world(person("ann") + role("staff", "ann"))
    run = world.sync()["run"]
    world.slapd.stop()
    answer = explain(world, "ann", "--stored")
    assert (answer["present"], answer["live"]) == (True, False)
    fields = {field["field"]: field for field in answer["fields"]}
    assert (fields["email"]["value"], fields["email"]["run"]) == ("ann@example.test", run)
    assert [each["name"] for each in answer["roles"]] == ["User", "staff"]
    failed = world.json("explain", ORGANIZATION, "ann", code=4)
    assert failed["error"]["code"] == "directory_unavailable"
    world.slapd.start()


@ON_SQLITE
def test_a_role_that_somebody_has_or_lacks_is_told(quick_world: MakeQuickWorld) -> None:
    """With the entries that grant it; or that none does."""
    world = quick_world(
        person("ann") + person("bob") + role("staff", "ann") + role("admins", "bob")
    )
    world.sync()
    held = explain(world, "ann", "--role", "STAFF")["role"]
    assert held["held"]
    assert held["sources"][0]["container_dn"] == f"cn=staff,{ROLES}"
    lacks = explain(world, "ann", "--role", "admins")["role"]
    assert not lacks["held"]
    assert [each["container_dn"] for each in lacks["containers"]] == [f"cn=admins,{ROLES}"]
    assert f"cn=admins,{ROLES}" in told(world, "ann", "--role", "admins")
    nobody = explain(world, "ann", "--role", "pilots")["role"]
    assert (nobody["held"], nobody["containers"]) == (False, [])
    assert "does not have the role pilots" in told(world, "ann", "--role", "pilots")


@ON_SQLITE
def test_what_the_directory_has_otherwise_by_now_is_told(quick_world: MakeQuickWorld) -> None:
    """Stored and live value of each field that moved on since the last run."""
    world = quick_world(person("ann"))
    world.sync()
    world.slapd.modify(f"uid=ann,{PEOPLE}", {"sn": ["New"], "mail": ["new@example.test"]})
    answer = explain(world, "ann")
    assert answer["differs"] == [
        {"field": "email", "stored": "ann@example.test", "live": "new@example.test"},
        {"field": "last_name", "stored": "Ann", "live": "New"},
    ]
    assert "syncd plan acme" in told(world, "ann")


@ON_SQLITE
def test_a_renamed_person_is_not_taken_for_the_new_owner_of_his_name(
    quick_world: MakeQuickWorld,
) -> None:
    """His own entry answers, found by its id, although another one has the username by now."""
    world = quick_world(person("ann", sn="Old"))
    world.sync()
    world.slapd.rename(f"uid=ann,{PEOPLE}", "uid=anna")
    world.slapd.add(
        f"uid=ann,{PEOPLE}", objectClass="inetOrgPerson", uid="ann", cn="ann", sn="Another"
    )
    answer = explain(world, "ann")
    differs = {each["field"]: each["live"] for each in answer["differs"]}
    assert differs == {"username": "anna", "dn": f"uid=anna,{PEOPLE}"}


# --- ways to a role or group ----------------------------------------------------------------

NESTED = {
    "roles_dn": ROLES,
    "nested_membership": "expand",
}
TEAMS = {
    "name": "teams",
    "type": "group",
    "groups_dn": f"ou=teams,{SUFFIX}",
    "nested_membership": "expand",
    "groups_path": "/Directory",
}
TEAMS_UNIT = f"dn: ou=teams,{SUFFIX}\nobjectClass: organizationalUnit\nou: teams\n\n"


def team(name: str, *members: str, groups: Sequence[str] = ()) -> str:
    """Return the LDIF record of a group with people and other groups in it."""
    unit = f"ou=teams,{SUFFIX}"
    return role(name, *members, *(f"cn={each},{unit}" for each in groups), container=unit)


def role_dn(name: str) -> str:
    """Return the DN of a role's entry."""
    return f"cn={name},{ROLES}"


def test_the_way_through_groups_in_groups_is_told(quick_world: MakeQuickWorld) -> None:
    """Roles and groups alike: each entry from the one that has the person to the one that gives."""
    world = quick_world(
        people(2)
        + role("inner", "u00000")
        + role("mid", role_dn("inner"))
        + role("outer", role_dn("mid"), "u00001")
        + TEAMS_UNIT
        + team("all", groups=["dev"])
        + team("dev", "u00000", groups=["all"])
    )
    world.configure(ldap={"import_roles": NESTED}, mappers=[TEAMS])
    done = world.sync()
    answer = explain(world, "u00000", "--stored")
    roles = {each["name"]: each["sources"] for each in answer["roles"]}
    assert roles["outer"] == [
        {
            "mapper": "import roles",
            "container_dn": role_dn("outer"),
            "member_value": f"uid=u00000,{PEOPLE}",
            "membership": "member",
            "through": [role_dn("inner"), role_dn("mid")],
            "run": done["run"],
        }
    ]
    groups = {each["path"]: each["sources"][0] for each in answer["groups"]}
    # A circle: the one of the two edges that could be had makes the hierarchy.
    below = {"/Directory/all", "/Directory/all/dev"}, {"/Directory/dev", "/Directory/dev/all"}
    assert set(groups) in below
    (whole,) = [each for path, each in groups.items() if path.endswith("/all")]
    assert whole["through"] == [f"cn=dev,ou=teams,{SUFFIX}"]
    assert answer["user"]["groups"] == [
        {"name": each["name"], "path": each["path"], "sources": ["teams"]}
        for each in answer["groups"]
    ]
    text = told(world, "u00000", "--stored", "--role", "outer")
    assert (
        f"because {role_dn('inner')} has the member uid=u00000,{PEOPLE}, which is in"
        f" {role_dn('mid')}, which is in {role_dn('outer')}" in text
    )
    assert "given by mapper teams" in told(world, "u00000", "--stored", "--group", "dev")
    # The circle is told with the run, to people and to programs.
    assert [each["kind"] for each in done["remarks"]] == ["cycle"]
    shown = " ".join(world.syncd("runs", "show", done["run"], code=0).out.split())
    assert "it cannot be a child of" in shown
    listed = {each["path"]: each for each in world.json("groups", ORGANIZATION)}
    assert listed["/Directory"]["mapper"] == "teams"
    assert listed["/Directory"]["dn"] is None
    assert {listed[path]["members"] for path in groups} == {1}
    assert "Directory" in world.syncd("groups", ORGANIZATION, code=0).out


@ON_SQLITE
def test_every_source_of_a_role_is_told(quick_world: MakeQuickWorld) -> None:
    """Two mappers, a hardcoded one and a hand give one role: four reasons, each its own."""
    other = f"ou=policies,{SUFFIX}"
    world = quick_world(person("ann") + role("staff", "ann") + role("all", "ann", container=other))
    world.configure(
        mappers=[
            {"name": "second", "type": "role", "roles_dn": other, "name_map": {"all": "staff"}},
            {"name": "everybody", "type": "hardcoded-role", "role": "staff"},
        ]
    )
    world.sync()
    world.grant_by_hand("ann", "staff")
    sources = explain(world, "ann", "--role", "staff")["role"]["sources"]
    assert [(each["mapper"], each["container_dn"], each["membership"]) for each in sources] == [
        ("everybody", None, "everyone"),
        ("import roles", role_dn("staff"), "member"),
        ("manual", None, None),
        ("second", f"cn=all,{other}", "member"),
    ]
    text = told(world, "ann", "--role", "staff")
    assert "which gives it to everybody" in text
    assert "given by hand" in text
    assert f"because cn=all,{other} has the member" in text


def lacks(world: QuickWorld, name: str, *more: str, kind: str = "role") -> dict[str, Any]:
    """Ask why ann lacks a role or group, and check that people are told the same."""
    answer: dict[str, Any] = explain(world, "ann", f"--{kind}", name, *more)[kind]
    assert not answer["held"]
    text = told(world, "ann", f"--{kind}", name, *more)
    assert " ".join(answer["detail"].split()) in text
    assert (answer["next"] or "")[1:] in text
    return answer


@ON_SQLITE
def test_a_lacked_role_is_told_with_reason_and_next_step(quick_world: MakeQuickWorld) -> None:
    """In no entry that gives it, in one called otherwise, in one not counted; no such role."""
    world = quick_world(
        person("ann")
        + person("bob")
        + role("staff", "bob")
        + role("crew", "ann")
        + role("guests", "ann")
        + role("boss", role_dn("guests"))
        + role("kitchen", "bob")
    )
    world.configure(
        ldap={
            "import_roles": {
                "roles_dn": ROLES,
                "name_map": {"crew": "Sailors", "staff": "Support", "boss": "Chiefs"},
            }
        }
    )
    world.sync()
    reasons = {
        "support": "not_a_member",
        "crew": "named_otherwise",
        "Chiefs": "not_nested",
        "pilots": "unknown_role",
        "Admin": "no_container",
    }
    answers = {name: lacks(world, name) for name in reasons}
    assert {name: answer["reason"] for name, answer in answers.items()} == reasons
    assert role_dn("staff") in answers["support"]["detail"]
    assert [each["container_dn"] for each in answers["support"]["containers"]] == [role_dn("staff")]
    assert "the role Sailors" in answers["crew"]["detail"]
    assert f"{role_dn('guests')}, which is in {role_dn('boss')}" in answers["Chiefs"]["detail"]
    assert "nested_membership: expand" in answers["Chiefs"]["next"]
    assert "may_grant_privileged" in answers["Admin"]["next"]
    assert all(answer["notes"] == [] for answer in answers.values())
    assert lacks(world, "support", "--stored")["reason"] == "not_a_member"
    # By now the configuration says otherwise.
    world.configure(ldap={"import_roles": NESTED | {"name_map": {"boss": "Chiefs"}}})
    assert lacks(world, "Chiefs")["reason"] == "not_synced"
    world.configure(
        ldap={"import_roles": {"roles_dn": ROLES, "unknown_roles": "ignore"}},
        mappers=[{"name": "everybody", "type": "hardcoded-role", "role": "Everyone"}],
    )
    assert lacks(world, "everyone")["reason"] == "not_synced"
    assert lacks(world, "kitchen", "--stored")["reason"] == "not_a_member"


@ON_SQLITE
def test_a_role_that_its_mapper_passes_over_is_told(quick_world: MakeQuickWorld) -> None:
    """The entry has her, but its name is no role here and the mapper makes none."""
    world = quick_world(person("ann") + role("crew", "ann") + role("staff"))
    world.configure(
        ldap={
            "import_roles": {
                "roles_dn": ROLES,
                "unknown_roles": "ignore",
                "role_prefix": "ldap ",
            }
        }
    )
    done = world.sync()
    assert [each["kind"] for each in done["remarks"]] == ["unknown_role", "unknown_role"]
    answer = lacks(world, "LDAP crew")
    assert answer["reason"] == "ignored"
    assert f"a member of {role_dn('crew')}" in answer["detail"]
    assert "unknown_roles: create" in answer["next"]
    assert "the directory has" in lacks(world, "ldap staff")["detail"]
    assert lacks(world, "crew")["reason"] == "unknown_role"
    world.configure(ldap={"import_roles": {"roles_dn": ROLES, "role_prefix": "ldap "}})
    assert lacks(world, "ldap crew", "--stored")["reason"] == "not_synced"


def test_a_role_that_a_plan_holds_back_is_told(quick_world: MakeQuickWorld) -> None:
    """The plan that waits would give it; who is disabled, and what was not read, is a note."""
    world = quick_world(people(3) + person("ann") + role("staff", "u00000") + role("other"))
    world.sync()
    world.configure(limits={"minimum_population": 1, "grant": {"count": 0}})
    world.slapd.modify(role_dn("staff"), {"member": [f"uid=ann,{PEOPLE}", f"uid=u00000,{PEOPLE}"]})
    run = world.sync(code=3)["run"]
    answer = lacks(world, "staff")
    assert (answer["reason"], answer["run"]) == ("held_by_plan", run)
    assert f"syncd approve {run}" in answer["next"]
    world.json("approve", run)
    assert explain(world, "ann", "--role", "staff")["role"]["held"]


@ON_SQLITE
def test_what_may_be_otherwise_is_told_beside_the_reason(quick_world: MakeQuickWorld) -> None:
    """A role's entry that cannot be taken any more, and a listing that was cut short."""
    world = quick_world(person("ann") + role("staff") + role("Owner"))
    done = world.sync(code=5)
    assert done["users"]["quarantined"] == 1
    answer = lacks(world, "owner")
    assert answer["reason"] == "no_container"
    assert [each["reason"] for each in answer["notes"]] == ["entries_quarantined"]
    assert lacks(world, "staff")["notes"] == []
    text = told(world, "ann", "--role", "owner")
    assert "1 role entry is in quarantine and may be of this name" in text


@ON_SQLITE
def test_a_lacked_group_is_told(quick_world: MakeQuickWorld) -> None:
    """Not a member, no such group, one that stands above others only, one whose entry is gone."""
    world = quick_world(
        people(5) + person("ann") + TEAMS_UNIT + team("dev", "u00000") + team("ops", "u00000")
    )
    world.configure(mappers=[TEAMS])
    world.sync()
    world.slapd.delete(f"cn=ops,ou=teams,{SUFFIX}")
    world.sync()
    reasons = {
        "/directory/DEV": "not_a_member",
        "nothing": "unknown_group",
        "Directory": "no_container",
        "ops": "no_container",
    }
    answers = {name: lacks(world, name, kind="group") for name in reasons}
    assert {name: answer["reason"] for name, answer in answers.items()} == reasons
    assert f"only cn=dev,ou=teams,{SUFFIX} stands for it" in answers["/directory/DEV"]["detail"]
    assert "the directory has no entry for it any more" in answers["ops"]["detail"]


@ON_SQLITE
def test_a_leavers_roles_are_told_beside_his_absence(quick_world: MakeQuickWorld) -> None:
    """Whoever is kept as missing is told as absent, and his role with where it came from."""
    world = quick_world(people(5) + person("ann") + role("staff", "ann"))
    world.sync()
    world.slapd.delete(f"uid=ann,{PEOPLE}")
    answer = explain(world, "ann", "--role", "staff")
    assert (answer["present"], answer["reason"]) == (False, "no_entry")
    assert answer["role"]["sources"][0]["container_dn"] == role_dn("staff")
    assert "given by mapper import roles" in told(world, "ann", "--role", "staff")
