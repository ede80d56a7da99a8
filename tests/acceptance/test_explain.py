"""Where a person's values and roles come from, and why somebody is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION, role
from tests.servers.slapd import OPEN_ACCESS, PEOPLE, ROLES, SUFFIX, people, person

if TYPE_CHECKING:
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
