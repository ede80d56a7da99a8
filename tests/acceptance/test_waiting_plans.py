"""Plans that wait under one id and expire, and pruning, by the installed command."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import PATIENCE_SECONDS, role
from tests.servers.slapd import PEOPLE, people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

EVERYBODY = 21
# The slip: the address as username would rename everybody.
SLIP = {
    "name": "username",
    "type": "user-attribute",
    "user_attribute": "username",
    "ldap_attribute": "mail",
}
NOT_AT_ALL = {
    f"SYNCD_RETENTION__{name}": "0" for name in ("JOURNAL", "RUNS", "STAGE", "QUARANTINE")
}


def _blocked(quick_world: MakeQuickWorld, **limits: Any) -> tuple[QuickWorld, dict[str, Any]]:
    world = quick_world(people(EVERYBODY) + role("staff", "u00000", "u00001"))
    world.sync()
    world.configure(mappers=[SLIP], limits=limits)
    return world, world.sync(code=3)


def _status(world: QuickWorld) -> dict[str, Any]:
    (status,) = world.json("status", "acme")
    return dict(status)


def test_a_plan_keeps_its_id_while_it_stays_the_same(quick_world: MakeQuickWorld) -> None:
    """Every further sync names the run that waits, until the directory says something else."""
    world, first = _blocked(quick_world)
    again = world.sync(code=3)
    assert (again["run"], again["status"]) == (first["run"], "blocked")
    assert again["changes"] == first["changes"]
    (held,) = _status(world)["blocked_plans"]
    assert (held["run"], held["reasons"]) == (first["run"], first["reasons"])
    assert held["expires"] > held["since"]
    newest, oldest = world.json("runs", "acme")[:2]
    assert (newest["status"], oldest["status"]) == ("superseded", "blocked")
    assert first["run"] in newest["reasons"][0]
    assert world.json("runs", "show", newest["run"])["changes"] == []
    assert f"syncd approve {first['run']}" in world.syncd("status", "acme", code=0).out
    world.slapd.add(
        f"uid=joiner,{PEOPLE}",
        objectClass="inetOrgPerson",
        uid="joiner",
        cn="A Joiner",
        sn="Joiner",
        mail="joiner@example.org",
    )
    other = world.sync(code=3)
    assert other["run"] not in {first["run"], newest["run"]}
    (held,) = _status(world)["blocked_plans"]
    assert held["run"] == other["run"]
    late = world.syncd("approve", first["run"], code=2)
    assert "is superseded" in late.err
    approved = world.json("approve", other["run"])
    assert (approved["users"]["renamed"], approved["users"]["created"]) == (EVERYBODY, 1)
    assert _status(world)["blocked_plans"] == []


@ON_SQLITE
def test_an_older_plan_is_approved_after_it_was_found_again(quick_world: MakeQuickWorld) -> None:
    """What was looked at first is what is applied, and then nothing is left to do."""
    world, first = _blocked(quick_world)
    world.sync(code=3)
    approved = world.json("approve", first["run"])
    assert (approved["status"], approved["users"]["renamed"]) == ("done", EVERYBODY)
    done = world.sync()
    assert done["users"]["unchanged"] == EVERYBODY
    assert world.roles_held()["u00000@example.test"] == {"staff"}


@pytest.mark.rule("2.13.1", server="openldap")
@ON_SQLITE
def test_a_plan_expires_after_the_approval_period(quick_world: MakeQuickWorld) -> None:
    """Nobody approves it any more, the answer names the next step, and a new sync plans anew."""
    world, blocked = _blocked(quick_world, approval_period="1s")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _status(world)["blocked_plans"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for _ in range(2):
        late = world.syncd("approve", blocked["run"], code=2)
        assert "waited longer than limits.approval_period and has expired" in late.err
        assert "`syncd sync acme` plans anew" in late.err
    expired = world.json("runs", "show", blocked["run"])
    assert (expired["status"], expired["changes"]) == ("expired", [])
    world.configure(mappers=[SLIP])
    anew = world.sync(code=3)
    assert anew["run"] != blocked["run"]
    assert world.json("approve", anew["run"])["users"]["renamed"] == EVERYBODY


@pytest.mark.rule("2.15.4", server="openldap")
def test_prune_removes_what_is_old(quick_world: MakeQuickWorld) -> None:
    """With nothing kept, all goes but the newest runs and the people, and syncs go on."""
    world = quick_world(people(EVERYBODY) + role("staff", "u00000", "u00001"))
    world.sync()
    world.plan()
    last = world.sync()
    assert world.syncd("db", "prune", code=0).out == "Nothing is older than `retention` keeps it.\n"
    before = world.users()
    answer = world.syncd("--json", "db", "prune", code=0, **NOT_AT_ALL).document
    assert answer["expired"] == 0
    counts = answer["removed"]
    assert (counts["runs"], counts["change_sets"]) == (2, 1)
    assert counts["journal"] >= EVERYBODY
    assert counts["plan_rows"] >= EVERYBODY
    assert [each["run"] for each in world.json("runs", "acme")] == [last["run"]]
    assert world.sql("select user_id from journal") == []
    assert world.users() == before
    assert world.sync()["users"]["unchanged"] == EVERYBODY


@ON_SQLITE
def test_prune_leaves_a_plan_that_waits(quick_world: MakeQuickWorld) -> None:
    """However short everything is kept, it is approved afterwards as it was shown."""
    world, blocked = _blocked(quick_world)
    text = world.syncd("db", "prune", code=0, **NOT_AT_ALL).out
    assert text.startswith("Removed: ")
    (held,) = _status(world)["blocked_plans"]
    assert held["run"] == blocked["run"]
    assert world.json("approve", blocked["run"])["users"]["renamed"] == EVERYBODY


@ON_SQLITE
@pytest.mark.parametrize("words", [(), ("acme",)], ids=["all", "one"])
def test_status_tells_of_the_last_success(
    quick_world: MakeQuickWorld, words: tuple[str, ...]
) -> None:
    """A plan is no attempt; a sync that is done moves the last success."""
    world = quick_world(people(2))
    world.plan()
    (status,) = world.json("status", *words)
    assert (status["next"], status["last_attempt"], status["last_success"]) == (None, {}, {})
    done = world.sync()
    (status,) = world.json("status", *words)
    assert list(status["last_success"]) == ["full"]
    assert status["last_attempt"]["full"] <= status["last_success"]["full"]
    assert status["last_run"]["run"] == done["run"]
