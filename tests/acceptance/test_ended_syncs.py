"""Two syncs at once, one that hangs, one that is interrupted: none stands in another's way."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.moments import Held, Stop, find
from tests.acceptance.syncs import failed
from tests.acceptance.trouble import as_json, check_invariants, lasting
from tests.acceptance.world import ORGANIZATION
from tests.servers.stopping import stop

if TYPE_CHECKING:
    from tests.acceptance.syncs import Syncs

pytest_plugins = ["tests.acceptance.quick", "tests.acceptance.troubled"]

ON_SQLITE = pytest.mark.parametrize("stores", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("stores", ["postgresql"], indirect=True)
HELD, INTERRUPTED = 6, 130


@pytest.mark.rule("2.14.1", server="openldap")
def test_a_second_sync_of_the_same_organization_is_sent_away(syncs: Syncs) -> None:
    """Whatever asks for the organization while a sync has it gets exit code 6 and who has it."""
    world = syncs.world()
    at = find(syncs.moments, "collect", "identities")
    with Held(world, *as_json(), at=at) as held:
        for words in (as_json(), ("--json", "plan", ORGANIZATION)):
            said = failed(world.syncd(*words), HELD)
            assert f"process {held.process.pid} has been syncing {ORGANIZATION}" in said
        (status,) = world.json("status", ORGANIZATION)
        assert status["lease"]["holder"].endswith(f"process {held.process.pid}")
        if syncs.kind == "sqlite":
            # No heartbeat there: a long run keeps the organization by being alive.
            world.sql("update leases set expires_at = '2001-01-01 00:00:00.000000'")
            failed(world.syncd(*as_json()), HELD)
        held.go()
        assert held.ended()[0] == 0
    after = check_invariants(world.store_url, syncs.after)
    assert lasting(after, "journal") == lasting(syncs.after, "journal")
    assert world.json("status", ORGANIZATION)[0]["lease"] is None


@pytest.mark.rule("2.14.1", server="openldap")
@ON_POSTGRESQL
def test_a_sync_that_hangs_is_taken_over_and_writes_nothing_more(syncs: Syncs) -> None:
    """A stopped process loses its lease; when it wakes up it finds that out before it writes."""
    world = syncs.world()
    with Held(world, *as_json(), at=syncs.second_batch) as held:
        stop(held.process.pid)
        failed(world.syncd(*as_json()), HELD)
        world.sql("update leases set expires_at = now() - interval '1 second'")
        syncs.made_good(world)
        os.kill(held.process.pid, signal.SIGCONT)
        held.go()
        code, out, err = held.ended()
    assert code == HELD, (out, err)
    assert "taken acme over" in err
    found = check_invariants(world.store_url, syncs.after)
    assert lasting(found, "journal") == lasting(syncs.after, "journal")


# --- interrupted ----------------------------------------------------------------------------


@pytest.mark.rule("2.1.1", server="openldap")
@pytest.mark.rule("2.1.2", server="openldap")
@pytest.mark.parametrize("phase", ["collect", "plan", "apply"])
def test_an_interrupt_stops_a_sync_in_order(syncs: Syncs, phase: str) -> None:
    """Exit code 130 and a report in every part of a sync; the organization is free again."""
    world = syncs.world()
    at = {
        "collect": find(syncs.moments, "collect", "stage"),
        "plan": find(syncs.moments, "plan", "INSERT INTO plan_people"),
        "apply": find(syncs.moments, "apply", "INSERT INTO journal", after=syncs.second_batch),
    }[phase]
    answer = syncs.run(world, Stop(at=at, how="interrupt"))
    said = failed(answer, INTERRUPTED)
    assert "interrupted" in said
    report = answer.document
    assert report["status"] == "interrupted"
    written = report["users"]["created"] + report["users"]["updated"]
    assert (written > 0) == (phase == "apply")
    (status,) = world.json("status", ORGANIZATION)
    assert status["last_run"]["status"] == "interrupted"
    assert status["lease"] is None
    if phase != "apply":
        syncs.untouched(world)
    found = check_invariants(world.store_url, syncs.after)
    assert found["watermark"] == syncs.before["watermark"]
    syncs.made_good(world)


@ON_SQLITE
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_sync_that_waits_for_the_directory(
    syncs: Syncs, number: signal.Signals
) -> None:
    """Ctrl-C and the end of a service do not wait for a directory that says nothing."""
    world = syncs.world()
    at = find(syncs.moments, "collect", "SELECT")
    with Held(world, *as_json(), at=at) as held, syncs.worlds.slapd.paused():
        held.go()
        held.process.send_signal(number)
        code, out, err = held.ended()
    assert code == INTERRUPTED, (out, err)
    assert json.loads(out)["status"] == "interrupted"
    syncs.untouched(world)
    syncs.made_good(world)
