"""Taking back what a sync did, by the installed command, over a real directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import role
from tests.servers.slapd import PEOPLE, ROLES, people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

EVERYBODY = 21


def uid(name: str) -> str:
    """Return the DN of somebody."""
    return f"uid={name},{PEOPLE}"


def seen(world: QuickWorld) -> dict[str, Any]:
    """Return people and roles as they are compared, without what is a fact of the directory."""
    facts = {"dn", "source_created_at", "source_modified_at", "disabled_because", "id"}
    return {
        "people": {
            name: {key: value for key, value in user.items() if key not in facts}
            for name, user in world.users().items()
        },
        "roles": {each["name"] for each in world.json("roles", "acme")},
    }


def changed(world: QuickWorld) -> None:
    """Change the directory in every way: somebody new, gone, renamed; a role given and taken."""
    slapd = world.slapd
    slapd.modify(uid("u00003"), {"sn": ["Other"], "mail": ["other@example.org"]})
    slapd.rename(uid("u00004"), "uid=renamed")
    slapd.delete(uid("u00005"))
    slapd.add(
        uid("new"), objectClass=["inetOrgPerson"], uid="new", cn="New", sn="New", givenName="N"
    )
    slapd.modify(f"cn=staff,{ROLES}", {"member": [uid("u00001"), uid("new")]})
    slapd.add(f"cn=later,{ROLES}", objectClass=["groupOfNames"], cn="later", member=[uid("u00002")])


def test_a_sync_is_undone_paused_and_done_again(quick_world: MakeQuickWorld) -> None:
    """Everything is as before, syncs are refused until resumed, and the next one redoes it all."""
    world = quick_world(people(EVERYBODY) + role("staff", "u00000", "u00001"))
    world.sync()
    before = seen(world)
    changed(world)
    done = world.sync()
    after = seen(world)
    assert after != before
    (newest, first) = world.json("journal", "acme")["items"]
    assert (newest["run"], newest["actor"], newest["undone_by"]) == (done["run"], "sync", None)
    assert first["counts"]["create"] == EVERYBODY
    planned = world.json("undo", newest["change_set"], "--dry-run")
    assert (planned["status"], planned["users"]["deleted"]) == ("planned", 1)
    kinds = {each["kind"] for each in planned["changes"]}
    assert {"delete", "rename", "return", "revoke", "grant", "delete_role"} <= kinds
    assert seen(world) == after
    assert [each["paused"] for each in world.json("status", "acme")] == [None]
    # A run's name is as good as its change set's.
    report = world.json("undo", done["run"], "--why", "a slip")
    assert (report["status"], report["left_alone"]) == ("done", [])
    assert report["undoes"] == newest["change_set"]
    assert "`syncd resume acme`" in report["reasons"][0]
    assert seen(world) == before
    (status,) = world.json("status", "acme")
    assert newest["change_set"] in status["paused"]
    refused = world.syncd("sync", "acme", code=3)
    assert "syncd resume acme" in refused.err
    (undo, undone, _) = world.json("journal", "acme")["items"]
    assert (undo["change_set"], undo["undoes"]) == (report["change_set"], newest["change_set"])
    assert undo["why"] == f"undo of {newest['change_set']}: a slip"
    assert undone["undone_by"] == undo["change_set"]
    world.syncd("resume", "acme", code=0)
    again = world.json("sync", "acme", "--changed")
    # It reads everybody, as what was undone is no change of the directory.
    assert (again["mode"], again["status"]) == ("full", "done")
    assert seen(world) == after
    assert world.plan(code=0)["changes"] == []


@ON_SQLITE
def test_an_undo_over_a_limit_waits_for_an_approval(quick_world: MakeQuickWorld) -> None:
    """Nothing is written before it, syncs do not come between, and the approval asks nobody."""
    world = quick_world(people(EVERYBODY))
    world.sync()
    (first,) = world.json("journal", "acme")["items"]
    before = seen(world)
    blocked = world.json("undo", first["change_set"], code=3)
    assert blocked["status"] == "blocked"
    assert any("would be deleted" in reason for reason in blocked["reasons"])
    assert len(blocked["changes"]) == EVERYBODY
    assert seen(world) == before
    text = world.syncd("undo", first["change_set"], code=3).out
    assert f"syncd approve {blocked['run']}" in text
    world.syncd("sync", "acme", code=3)
    # The directory is not needed for it.
    world.slapd.stop()
    approved = world.json("approve", blocked["run"])
    assert (approved["status"], approved["users"]["deleted"]) == ("done", EVERYBODY)
    assert world.json("users", "acme") == []


@ON_SQLITE
def test_somebody_is_shown_as_he_was(quick_world: MakeQuickWorld) -> None:
    """Names, roles and what they allow are those of then, also under the name of then."""
    world = quick_world(
        people(3) + role("Admin", "u00001"),
    )
    world.configure(
        ldap={
            "import_roles": {
                "roles_dn": ROLES,
                "name_map": {"Admin": "Admin"},
                "may_grant_privileged": True,
            }
        }
    )
    world.sync()
    (made,) = world.json("journal", "acme")["items"]
    world.slapd.rename(uid("u00001"), "uid=other")
    world.slapd.modify(f"cn=Admin,{ROLES}", {"member": [uid("u00002")]})
    now = world.sql("select strftime('%Y-%m-%dT%H:%M:%fZ', 'now')")[0]
    world.sync()
    then = world.json("show", "acme", "u00001", "--at", now)
    assert then == world.json("show", "acme", "other", "--at", now)
    assert (then["username"], then["enabled"]) == ("u00001", True)
    assert {each["name"] for each in then["roles"]} == {"Admin", "User"}
    assert then["permissions"]["users"] == "edit"
    present = world.json("show", "acme", "other")
    assert {each["name"] for each in present["roles"]} == {"User"}
    early = world.syncd("show", "acme", "other", "--at", "3d", code=7)
    assert "is there since" in early.err or "reaches back" in early.err
    assert made["at"][:4] in early.err
    world.syncd("show", "acme", "other", "--at", "yesterday", code=2)
    world.syncd("show", "acme", "other", "--at", "2999-01-01", code=2)
    text = world.syncd("show", "acme", "other", "--at", now, code=0).out
    assert "u00001" in text


@ON_SQLITE
def test_the_journal_is_shown_with_names(quick_world: MakeQuickWorld) -> None:
    """Roles are named also when they are gone, people as they are called; unknown ones are not."""
    world = quick_world(people(2) + role("staff", "u00001") + role("kept", "u00000"))
    world.sync()
    world.slapd.delete(f"cn=staff,{ROLES}")
    run = world.sync()["run"]
    (newest, first) = world.json("journal", "acme", "--user", "u00001")["items"]
    shown = world.json("journal", "show", "acme", newest["change_set"])
    assert shown["run"] == run
    (row,) = shown["rows"]
    assert (row["person"], row["kind"]) == ("u00001", "grants")
    assert [each["name"] for each in row["after"]["revoked"]] == ["staff"]
    text = world.syncd("journal", "show", "acme", newest["change_set"], code=0).out
    assert "lost staff (import roles)" in text
    assert first["change_set"] in world.syncd("journal", "acme", code=0).out
    assert len(world.json("journal", "acme", "--limit", "1")["items"]) == 1
    assert world.json("journal", "acme", "--since", "1h", "--run", run)["items"] == [newest]
    for words in (
        ("undo", "c-999999"),
        ("undo", "nonsense"),
        ("journal", "show", "acme", "c-999999"),
        ("journal", "acme", "--user", "nobody"),
    ):
        world.syncd(*words, code=7)
