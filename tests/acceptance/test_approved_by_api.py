"""A plan that waits, approved through the API: a worker of the daemon applies it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.acceptance.daemons import Daemon
from tests.acceptance.preloaded import ON_SQLITE
from tests.servers.slapd import people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld

pytest_plugins = ("tests.acceptance.quick",)

EVERYBODY = 21
# The slip: the address as username would rename everybody.
SLIP = {
    "name": "username",
    "type": "user-attribute",
    "user_attribute": "username",
    "ldap_attribute": "mail",
}


def _ask(daemon: Daemon, token: str, path: str, method: str = "GET") -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{daemon.http}/api/v1/organizations/acme{path}",
        method=method,
        headers={"Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@ON_SQLITE
def test_a_plan_is_approved_through_the_api(quick_world: MakeQuickWorld) -> None:
    """It answers at once that it is accepted; a worker applies it in the approver's name, once."""
    world = quick_world(people(EVERYBODY))
    world.sync()
    world.configure(
        mappers=[SLIP], ldap={"periodic_full_sync": False, "periodic_changed_users_sync": False}
    )
    blocked = world.sync(code=3)["run"]
    scopes = ("--scope", "organization:edit", "--scope", "users:view")
    words = ("--name", "portal", *scopes, "--expires", "1h", "--json")
    made = json.loads(world.syncd("token", "create", "acme", *words, code=0).out)
    with Daemon(world, SYNCD_SYNC__WORKERS="1") as daemon:
        daemon.until(lambda: daemon.ready()[0] == 200, "readiness")
        status, plans = _ask(daemon, made["token"], "/plans")
        assert (status, [each["run"] for each in plans["items"]]) == (200, [blocked])
        _, plan = _ask(daemon, made["token"], f"/plans/{blocked}?changes=5")
        assert {each["kind"] for each in plan["changes"]} == {"rename"}
        assert plan["more_changes"]
        status, accepted = _ask(daemon, made["token"], f"/plans/{blocked}/approve", "POST")
        assert (status, accepted["run"], accepted["status"]) == (202, blocked, "blocked")
        daemon.until(
            lambda: _ask(daemon, made["token"], f"/runs/{blocked}")[1]["status"] == "done",
            "the approved run",
        )
        status, problem = _ask(daemon, made["token"], f"/plans/{blocked}/approve", "POST")
        assert (status, problem["reason"]) == (409, "plan_not_approvable")
        assert daemon.stop() == 0
    assert all("@" in username for username in world.living())
    (actor,) = world.sql("select actor from change_sets where why like 'approval of%'")
    assert actor == f"approval by token {made['id']} portal"
    assert world.sql("select count(*) from runs where status = 'blocked'") == [0]
