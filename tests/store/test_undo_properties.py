"""Undo restores the state: whatever a sync or a change by hand did, and whatever was before."""

from __future__ import annotations

import random
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from syncd.records import fold
from syncd.store import schema
from tests.store.by_hand import ByHand
from tests.store.organization import Organization
from tests.store.test_histories import BATCH_SIZES, Directory
from tests.store.undone import shown, state, undo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.postgres import Postgres

SQLITE_EXAMPLES, POSTGRES_EXAMPLES = 5, 3
# An example is a history in a store of its own: too slow to look for a smaller one that fails.
SLOW = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
HISTORIES = st.tuples(
    st.integers(min_value=0, max_value=1 << 20),
    st.lists(st.sampled_from(["sync", "by hand"]), min_size=3, max_size=6),
)


def newest(acme: Organization) -> int:
    """Return the newest change set; zero before the first."""
    return max((int(row["id"]) for row in acme.rows(schema.change_sets)), default=0)


def live(acme: Organization, seed: int, steps: list[str]) -> None:
    """Let things happen, and undo each of them at once; what a sync did, the next one redoes."""
    chance = random.Random(seed)  # noqa: S311 - repeatable histories
    directory, by_hand = Directory(chance), ByHand(acme, chance)
    for _ in range(5):
        directory.join()
    for _ in range(2):
        directory.found()
    for number, step in enumerate(steps):
        before, before_id = state(acme), newest(acme)
        size = chance.choice(BATCH_SIZES)
        if step == "sync":
            full_sync(acme, directory, size)
        else:
            by_hand.step()
        after = state(acme)
        if newest(acme) == before_id:
            assert shown(after) == shown(before)
        else:
            report = undo(acme, batch_size=chance.choice(BATCH_SIZES))
            told = (seed, steps, number, report["left_alone"])
            assert report["status"] == "done", told
            assert shown(state(acme)) == shown(before), told
            _redo(acme, step, directory, after)
        if step == "sync":
            as_said(acme, directory)
            directory.step()


def full_sync(acme: Organization, directory: Directory, batch_size: int) -> None:
    """Sync as a full sync does that reads everybody anew, as after an undo."""
    living = {row["id"] for row in acme.rows(schema.users, living=True)}
    absent = [
        row["external_id"]
        for row in acme.rows(schema.identities)
        if row["external_id"] not in directory.people and row["user_id"] in living
    ]
    # Whoever has no digest and is not read would count as absent once more.
    acme.execute("UPDATE identities SET digest = 0 WHERE digest IS NULL")
    known = {bytes(row["container_key"]): row["name"] for row in acme.rows(schema.containers)}
    acme.sync(
        *(person.record(name) for name, person in directory.people.items()),
        absent=absent,
        containers=[role.record(name) for name, role in directory.roles.items()],
        gone=sorted(name for name in known.values() if name not in directory.roles),
        batch_size=batch_size,
    )


def _redo(acme: Organization, step: str, directory: Directory, after: dict[str, Any]) -> None:
    if step == "sync":
        full_sync(acme, directory, 1_000)
        return
    # An undo is a change as any other.
    report = undo(acme)
    assert report["status"] == "done"
    assert shown(state(acme)) == shown(after)


def as_said(acme: Organization, directory: Directory) -> None:
    """Everybody is as the directory says, and nobody else is there."""
    users = {user["external_id"]: user for user in acme.people.users()}
    there = {
        name: user["username"]
        for name, user in users.items()
        if not any(each["reason"] == "missing" for each in user["disabled_because"])
    }
    assert there == {name: each.username for name, each in directory.people.items()}
    held = {
        name: {
            fold(role["name"]) for role in users[name]["roles"] if "import roles" in role["sources"]
        }
        for name in there
    }
    assert held == directory.held()


@settings(SLOW, max_examples=SQLITE_EXAMPLES)
@given(history=HISTORIES)
def test_undo_restores_the_state_on_sqlite(
    sqlite_template: Path, history: tuple[int, list[str]]
) -> None:
    """People, roles, groups and sets are as before the change, and the next sync redoes it."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(sqlite_template, f"{folder}/store.db")
        _live(f"sqlite:///{folder}/store.db", history)


@settings(SLOW, max_examples=POSTGRES_EXAMPLES)
@given(history=HISTORIES)
def test_undo_restores_the_state_on_postgresql(
    postgres: Postgres, postgres_template: str, history: tuple[int, list[str]]
) -> None:
    """The same on the other database."""
    with postgres.database(postgres_template) as url:
        _live(url, history)


def _live(url: str, history: tuple[int, list[str]]) -> None:
    acme = Organization(url)
    try:
        with acme.leased():
            live(acme, *history)
    finally:
        acme.database.close()
