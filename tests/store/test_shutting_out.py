"""Whoever is shut out by whatever door has no session at that moment, and one process tells it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import SignInRefused
from syncd.records import AccountState
from syncd.store import schema, sessions
from syncd.store.editing.accounts import Accounts
from syncd.store.organizations import Organizations
from syncd.store.shutting_out import Sweep
from syncd.store.switching import SwitchStore
from tests.store.organization import OPEN, SHUT, record
from tests.store.signed_in import ISSUER, Town

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from syncd.store.database import Database
    from syncd.store.shutting_out import ShutOut
    from tests.store.signed_in import Opened

PAUSE = 0.02
# As a directory's record has them.
PAST, FUTURE = "2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z"


@pytest.fixture
def town(shared: Database) -> Town:
    """An organization with ada and bob."""
    town = Town(shared)
    for name in ("ada", "bob"):
        town.person(name)
    return town


def mine(town: Town, sweep: Sweep) -> list[ShutOut]:
    """Sweep, and return what that ended of this test's organization."""
    return [each for each in sweep.shut_out() if each.organization_id == town.id]


def rows(town: Town, *opened: Opened) -> list[dict[str, Any]]:
    """Return sessions as they are stored."""
    ids = {each.id for each in opened}
    return [row for row in town.rows(schema.sessions, organization_id=town.id) if row["id"] in ids]


def require_told_once(town: Town, sweeps: Sequence[Sweep], *out: Opened) -> None:
    """Let replicas sweep at once: each session is written down and told by one of them."""
    with ThreadPoolExecutor(len(sweeps)) as pool:
        found = list(pool.map(lambda sweep: mine(town, sweep), sweeps))
    told = [each for some in found for each in some]
    assert sorted(each.session_id for each in told) == sorted(each.id for each in out)
    assert all(0 <= each.seconds < 60 for each in told), told
    assert {town.ended(each) for each in out} == {"shut_out"}
    assert {row["sealed"] for row in rows(town, *out)} == {None}
    assert mine(town, Sweep(town.database)) == []


def by_hand(town: Town) -> None:
    """Disable ada by hand."""
    accounts = Accounts(town.database, town.id, actor="tester")
    with accounts.change() as change:
        accounts.restrict(change, town.user("ada")["id"], ("manual", "disabled"), "on leave")


def deleted(town: Town) -> None:
    """Delete ada by hand."""
    accounts = Accounts(town.database, town.id, actor="tester")
    with accounts.change() as change:
        accounts.delete(change, town.user("ada")["id"], "ada")


def switched(town: Town) -> None:
    """Give the organization an identity provider."""
    store = SwitchStore(town.database, town.id, ISSUER)
    with store.lease:
        run_id = store.begin_run("switch", dry=False)
        store.plan_switch(run_id, [])
        store.begin_switch(run_id, "tester", [])
        list(store.apply(run_id, 1_000))
        store.complete_switch(run_id, None, [])
        store.finish(run_id, "done", {})


def ended(town: Town) -> None:
    """Delete the organization."""
    Organizations(town.database, town.id).end()


# Each with whether bob is out by it, too, and whether anything is left to be swept.
DOORS: dict[str, tuple[Callable[[Town], None], bool, bool]] = {
    "an admin disables": (by_hand, False, True),
    "an admin deletes": (deleted, False, False),
    "the provider is switched": (switched, True, True),
    "the organization is deleted": (ended, True, False),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_ends_the_session_at_once(town: Town, door: str) -> None:
    """Nothing holds from then on; of two replicas that sweep one writes it down and tells when."""
    close, both, swept = DOORS[door]
    ada, bob = (town.open(town.user(name)["id"], sealed=b"tokens") for name in ("ada", "bob"))
    sweeps = [Sweep(town.database), Sweep(town.database)]
    assert [mine(town, sweep) for sweep in sweeps] == [[], []]
    close(town)
    assert not town.holds(ada)
    assert town.holds(bob) is not both
    assert sessions.get(town.database, town.id, ada.id) is None
    out = [ada, bob] if both else [ada]
    if swept:
        require_told_once(town, sweeps, *out)
    else:
        assert not rows(town, *out)
        assert mine(town, sweeps[0]) == []
    assert town.holds(bob) is not both


def test_what_a_sync_finds_ends_sessions_at_once(shared: Database) -> None:
    """Disabled, expired before, gone from the directory, expired since; then deleted for good."""
    town = Town(shared, "ldap")
    names = ("disabled", "expired", "gone", "expires", "stays")
    ends = AccountState(expires_at=FUTURE)
    with town.leased():
        town.sync(*(record(name, account=ends if name == "expires" else OPEN) for name in names))
        user_ids = {name: town.user(name)["id"] for name in names}
        opened = {name: town.open(user_ids[name], sealed=b"tokens") for name in names}
        sweeps = [Sweep(town.database), Sweep(town.database)]
        assert [mine(town, sweep) for sweep in sweeps] == [[], []]
        past = AccountState(expires_at=PAST)
        town.sync(
            record("disabled", account=SHUT), record("expired", account=past), absent=["gone"]
        )
        out = {name for name, each in opened.items() if not town.holds(each)}
        assert out == {"disabled", "expired", "gone"}
        require_told_once(town, sweeps, *(opened[name] for name in out))
        _expire(town, user_ids["expires"])
        assert not town.holds(opened["expires"]), "its time has come, and no sync"
        require_told_once(town, sweeps, opened["expires"])
        town.sync(record("disabled", account=OPEN), purge_before=datetime(2099, 1, 1, tzinfo=UTC))
    assert not town.holds(opened["disabled"]), "whoever is let in again signs in anew"
    assert town.holds(town.open(user_ids["disabled"]))
    assert not rows(town, opened["gone"])
    assert town.holds(opened["stays"])


def _expire(town: Town, user_id: int) -> None:
    """Let the time come that the directory has named."""
    restrictions = schema.restrictions
    with town.database.write() as connection:
        due = restrictions.update().where(restrictions.c.user_id == user_id)
        connection.execute(due.values(since=datetime.now(UTC)))


def test_nothing_of_a_person_who_was_purged_stays(town: Town) -> None:
    """A session that a sign-in beside the purge left behind goes with its address and browser."""
    ada = town.open(town.user("ada")["id"])
    town.execute("DELETE FROM users WHERE id = :id", id=ada.session.user_id)
    assert not town.holds(ada)
    assert [each.session_id for each in mine(town, Sweep(town.database))] == [ada.id]
    assert not rows(town, ada)


def test_what_is_idle_or_old_is_written_down_as_expired(town: Town) -> None:
    """So that it is known why it is over; sessions that hold are left alone."""
    user_id = town.user("ada")["id"]
    over = [town.open(user_id, idle=timedelta(microseconds=1)) for _ in range(2)]
    ada = town.open(user_id)
    assert Sweep(town.database).expired() >= 2
    assert [town.ended(each) for each in (*over, ada)] == ["expired", "expired", None]
    assert town.holds(ada)


def test_a_sweep_looks_everywhere_from_time_to_time(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what no feed tells of is found, and where nothing is changed nothing is looked at."""
    ada = town.open(town.user("ada")["id"])
    sweep = Sweep(town.database)
    assert mine(town, sweep) == []
    town.restrict(ada.session.user_id, "disabled", since=datetime(2026, 1, 1, tzinfo=UTC))
    assert mine(town, sweep) == []
    assert not town.holds(ada)
    monkeypatch.setattr("syncd.store.shutting_out.WHOLE", timedelta(0))
    assert [each.session_id for each in mine(town, sweep)] == [ada.id]


def test_people_sign_in_while_syncs_shut_them_out_and_in(shared: Database) -> None:
    """Nobody waits for anybody for ever; nobody who is out has a session, and all of them end."""
    town = Town(shared, "ldap")
    names = [f"user-{number}" for number in range(8)]
    over = Event()

    def come_and_go(seed: int) -> int:
        count = 0
        before: bytes | None = None
        while not over.wait(PAUSE):
            with suppress(SignInRefused):
                opened = town.open(user_ids[names[(count + seed) % len(names)]], replaced=before)
                sessions.note_seen(town.database, town.id, opened.id)
                before = opened.hash if count % 3 else None
            if count % 5 == 0:
                sessions.end(town.database, town.id, "signed_out", user_id=user_ids[names[0]])
            count += 1
        return count

    def sweep() -> int:
        looking, count = Sweep(town.database), 0
        while not over.wait(PAUSE):
            count += len(mine(town, looking)) + looking.expired()
        return count

    with town.apart() as syncs, syncs.leased(), ThreadPoolExecutor(3) as pool:
        syncs.sync(*(record(name) for name in names))
        user_ids = {name: town.user(name)["id"] for name in names}
        kept = town.open(user_ids[names[1]])
        work = [pool.submit(come_and_go, seed) for seed in (0, 4)]
        swept = pool.submit(sweep)
        try:
            syncs.sync(*(record(name, account=SHUT) for name in names[:4]), absent=names[6:])
            syncs.sync(purge_before=datetime(2099, 1, 1, tzinfo=UTC))
        finally:
            over.set()
        assert all(each.result(60) for each in work)
        swept.result(60)
    Sweep(town.database).shut_out()
    assert town.ended(kept) == "shut_out"
    left = town.rows(schema.sessions, organization_id=town.id, ended_at=None)
    assert {row["user_id"] for row in left} <= {user_ids[name] for name in names[4:6]}
