"""Somebody is shown as he was at any time that the journal reaches back to."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import NotFound, UsageError
from syncd.records import AccountState
from syncd.store import retention, schema
from syncd.store.editing import groups, permission_sets, roles
from syncd.store.editing.belonging import hold
from syncd.store.effective_reads import words
from syncd.store.schedules import Schedules
from syncd.store.sides import GROUPS, ROLES
from syncd.store.then import Then
from tests.store.by_hand import ByHand
from tests.store.organization import Organization, container, record
from tests.store.test_histories import Directory
from tests.store.test_undo import by_hand, group
from tests.store.test_undo_properties import full_sync
from tests.store.undone import undo

if TYPE_CHECKING:
    from datetime import datetime

SAME = (
    "username",
    "email",
    "email_verified",
    "first_name",
    "last_name",
    "attributes",
    "enabled",
    "dn",
    "groups",
)


def now(acme: Organization) -> datetime:
    """Return the database's time."""
    return Schedules(acme.database).now()


def shape(acme: Organization, user: dict[str, Any]) -> dict[str, Any]:
    """Return what is shown of somebody at any time."""
    return {
        **{name: user[name] for name in SAME},
        "reasons": sorted((each["source"], each["reason"]) for each in user["disabled_because"]),
        "roles": user["roles"],
        "permissions": user.get("permissions") or words(acme.people.levels(user["id"])),
    }


def everybody(acme: Organization) -> dict[int, dict[str, Any]]:
    """Return everybody as he is shown now."""
    return {user["id"]: shape(acme, user) for user in acme.people.users()}


def at(acme: Organization, username: str, time: datetime) -> dict[str, Any]:
    """Return somebody as he was."""
    return Then(acme.database, acme.id).person(username, time)


@pytest.mark.parametrize("seed", [0])
def test_everybody_is_shown_as_he_was(acme: Organization, seed: int) -> None:
    """After a history of syncs, changes by hand and undos each recorded moment is found again."""
    chance = random.Random(seed)  # noqa: S311 - repeatable histories
    directory, hand = Directory(chance), ByHand(acme, chance)
    recorded: list[tuple[datetime, dict[int, dict[str, Any]]]] = []
    for _ in range(4):
        directory.join()
    directory.found()
    for step in ("sync", "by hand", "by hand", "sync", "by hand", "undo", "by hand", "sync"):
        if step == "sync":
            full_sync(acme, directory, 1_000)
            directory.step()
        elif step == "undo":
            undo(acme)
        else:
            hand.step()
        recorded.append((now(acme), everybody(acme)))
    present = {user["id"]: user["username"] for user in acme.people.users()}
    looked = 0
    for time, people in recorded:
        for user_id, was in people.items():
            if user_id not in present:
                continue
            found = at(acme, present[user_id], time)
            if found["id"] != user_id:
                # Somebody else has the name by now.
                continue
            assert shape(acme, found) == was, (seed, time, present[user_id])
            looked += 1
    assert looked > 15


def test_groups_roles_and_sets_are_those_of_then(acme: Organization) -> None:
    """What somebody could do follows tree and sets as they were, whatever became of them."""
    acme.sync(record("p1"))
    user_id = acme.user("p1")["id"]
    with by_hand(acme) as c:
        sections = {"name": "set", "description": "", "sections": {"users": "edit"}}
        permission_sets.write(c, 900, sections)
        own = {"name": "own", "description": "", "kind": "custom", "permission_sets": [900]}
        roles.write(c, 902, own)
        groups.write(c, 901, group("above", given=(902,)))
        groups.write(c, 903, group("below", (901,)))
        hold(c, GROUPS, user_id, granted=[903])
    then = now(acme)
    with by_hand(acme) as c:
        permission_sets.write(c, 900, {**sections, "sections": {"license": "view"}})
        groups.write(c, 903, group("elsewhere"))
    between = now(acme)
    with by_hand(acme) as c:
        roles.write(c, 902, None)
        permission_sets.write(c, 900, None)
        groups.write(c, 901, None)
        groups.write(c, 903, None)
    shown = at(acme, "p1", then)
    assert shown["permissions"]["users"] == "edit"
    assert shown["groups"] == [{"name": "below", "path": "/above/below", "sources": ["manual"]}]
    assert shown["roles"] == [
        {"name": "User", "sources": ["default"]},
        {"name": "own", "sources": ["group:/above"]},
    ]
    moved = at(acme, "p1", between)
    assert moved["groups"][0]["path"] == "/elsewhere"
    assert {each["name"] for each in moved["roles"]} == {"User"}
    assert set(at(acme, "p1", now(acme))["permissions"].values()) == set(
        words(acme.people.levels(user_id)).values()
    )


def test_somebody_is_found_by_the_name_of_then(acme: Organization) -> None:
    """The present name goes first; where that fails, whoever was called so then is found."""
    acme.sync(record("p1", "Änne"), record("p2", "ben"))
    then = now(acme)
    acme.sync(record("p1", "cleo"), record("p2", "ben"))
    handed_on = now(acme)
    acme.sync(record("p3", "Änne"))
    assert at(acme, "cleo", then)["external_id"] == "p1"
    assert at(acme, "ÄNNE", then)["external_id"] == "p1"
    assert at(acme, "cleo", handed_on)["username"] == "cleo"
    assert at(acme, "änne", now(acme))["external_id"] == "p3"
    with pytest.raises(NotFound, match="there since"):
        at(acme, "änne", handed_on)
    with pytest.raises(NotFound, match="there was no person nobody"):
        at(acme, "nobody", then)
    with pytest.raises(UsageError, match="yet to come"):
        at(acme, "cleo", now(acme) + timedelta(days=1))


def test_times_of_an_account_hold_as_they_did(acme: Organization) -> None:
    """An expiry that was ahead kept nobody out; one that is over did."""
    soon = now(acme) + timedelta(seconds=1)
    acme.sync(record("p1", account=AccountState(expires_at=soon.isoformat())))
    before = now(acme)
    if before < soon:
        assert at(acme, "p1", before)["enabled"]
    acme.sync(record("p1", account=AccountState(expires_at="2020-01-01T00:00:00Z")))
    expired = now(acme)
    acme.sync(record("p1", account=AccountState(expires_at="9999-12-31T23:59:59Z")))
    shown = at(acme, "p1", expired)
    assert [each["reason"] for each in shown["disabled_because"]] == ["expired"]
    assert shown["disabled_because"][0]["since"] == "2020-01-01T00:00:00Z"
    assert at(acme, "p1", now(acme))["enabled"]


def test_what_was_pruned_is_not_made_up(acme: Organization) -> None:
    """Before the oldest change set that is kept nobody knows, and it is said how far it reaches."""
    acme.sync(record("p1"), containers=[container("a", "p1")])
    long_ago = now(acme)
    for table in (schema.change_sets, schema.commits):
        for row in acme.rows(table):
            with acme.database.write() as connection:
                then = row["at"] - timedelta(days=10)
                connection.execute(table.update().where(table.c.at == row["at"]).values(at=then))
    acme.sync(record("p1", first_name="Other"))
    acme.sync(record("p2"))
    keep = {"runs": 1e9, "stage": 1e9, "quarantine": 1e9}
    retention.prune(acme.database, journal=86_400.0, now=now(acme), **keep)
    assert at(acme, "p1", now(acme))["first_name"] == "Other"
    with pytest.raises(NotFound, match="reaches back to 20"):
        at(acme, "p1", long_ago)
    # Whose beginning is in the journal is known not to have been there.
    with pytest.raises(NotFound, match="there since"):
        at(acme, "p2", long_ago)


def test_somebody_who_was_purged_leaves_nothing_to_look_at(acme: Organization) -> None:
    """Neither under his name of now nor of then."""
    acme.sync(record("p1"))
    acme.sync(record("p1", "other"))
    then = now(acme)
    with by_hand(acme) as c:
        hold(c, ROLES, acme.user("other")["id"], granted=[2])
    acme.sync(absent=["p1"])
    acme.sync(purge_before=now(acme) + timedelta(days=1))
    for name in ("p1", "other"):
        with pytest.raises(NotFound):
            at(acme, name, then)
