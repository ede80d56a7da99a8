"""People who sign in with a directory password: their entries as a sync would have written them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import SignInRefused
from syncd.records import EVER, NEVER, AccountState, ListingOutcome, Verdict
from syncd.store import schema
from syncd.store.arriving_entries import EntryArrivals
from syncd.store.editing import exclusions
from syncd.store.editing.accounts import Accounts
from syncd.store.people import People
from syncd.store.sync_store import SyncStore
from tests.store.organization import (
    OPEN,
    SHUT,
    Organization,
    container,
    member_keys,
    member_of,
    record,
)
from tests.store.test_accounts import (
    ABSENT,
    AHEAD,
    CASES,
    LATER,
    LATEST,
    NOTHING,
    PAST,
    expires,
    held,
    locked,
    numbered,
    starts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Table

    from syncd.records import UserRecord
    from syncd.store.arriving import Arrived
    from syncd.store.database import Database

NUMBERS = count(1)
STATES = [NOTHING, SHUT, locked(), expires(PAST), expires(LATER), starts(LATER), None]


class Staffed(Organization):
    """One organization of many in a store that tests share; its people are a directory's."""

    def __init__(self, database: Database) -> None:
        self.url, self.id = str(database.url), f"staffed-{next(NUMBERS)}"
        self.database = database
        self.people = People(database, self.id)
        self.people.create_organization("Acme Corp", "ldap")
        self.store = SyncStore(database, self.id)

    def mine(self, table: Table) -> list[dict[str, Any]]:
        """Return the organization's rows of a table."""
        return self.rows(table, organization_id=self.id)


@pytest.fixture
def acme(shared: Database) -> Iterator[Staffed]:
    """An organization of this test's own, whose lease it holds."""
    organization = Staffed(shared)
    with organization.leased():
        yield organization


@pytest.fixture
def twin(shared: Database) -> Iterator[Staffed]:
    """Another organization of the same store, in which nobody signs in."""
    organization = Staffed(shared)
    with organization.leased():
        yield organization


def arrive(acme: Staffed, person: UserRecord, **more: Any) -> Arrived:
    """Let somebody sign in whose entry is this."""
    return EntryArrivals(acme.database, acme.id).arrive(person, **more)


def refused(attempt: Callable[[], object]) -> str:
    """Return why somebody was refused."""
    with pytest.raises(SignInRefused) as caught:
        attempt()
    assert str(caught.value)
    return caught.value.reason


def sets(acme: Staffed) -> list[str]:
    """Return who made the organization's change sets, oldest first."""
    rows = acme.mine(schema.change_sets)
    return [row["actor"] for row in sorted(rows, key=lambda row: int(row["id"]))]


def state(acme: Staffed) -> dict[str, Any]:
    """Return all that is stored of everybody, by what does not differ between two stores."""
    names = {row["id"]: row["username"] for row in acme.mine(schema.users)}
    roles = {row["id"]: row["name"] for row in acme.rows(schema.roles)}
    apart = {"id", "organization_id", "version", "user_id", "run_id", "last_sign_in"}

    def shown(rows: list[dict[str, Any]], *without: str) -> list[Any]:
        return sorted(
            (
                names.get(row.get("user_id", row.get("id")), ""),
                str({key: each for key, each in row.items() if key not in {*apart, *without}}),
            )
            for row in rows
        )

    return {
        "users": shown(acme.mine(schema.users)),
        "identities": shown(acme.mine(schema.identities)),
        "keys": shown(acme.mine(schema.identity_keys)),
        "references": shown(acme.mine(schema.membership_refs)),
        "restrictions": shown(acme.mine(schema.restrictions), "since"),
        "grants": sorted(
            (names[row["user_id"]], roles[row["role_id"]], row["source"])
            for row in acme.mine(schema.grants)
        ),
    }


def told(acme: Staffed, username: str, kind: str) -> tuple[Any, Any]:
    """Return the last (before, after) of somebody's journal."""
    return acme.journal(username, kind)[-1]


# --- newcomers --------------------------------------------------------------------------------


def test_a_newcomer_is_a_person_whom_the_next_sync_knows(acme: Staffed) -> None:
    """He is there at once, without roles, and has them with the next sync."""
    groups = [container("staff", "ada")]
    acme.sync(containers=groups)
    ada = record("1", "ada", attributes={"team": ["a"]}, memberships=member_of("told"))
    arrived = arrive(acme, ada, why="signed in")
    assert (arrived.username, arrived.created, arrived.changed) == ("ada", True, True)
    assert (arrived.enabled, arrived.user_id) == (True, acme.user("ada")["id"])
    assert (sets(acme), acme.roles_of("ada")) == (["sync", "sign-in"], [])
    assert arrive(acme, ada) == arrived._replace(created=False, changed=False)
    assert sets(acme) == ["sync", "sign-in"]
    # Nobody that a run knows under a DN, so that one of the changed entries reads his roles.
    (identity,) = acme.mine(schema.identities)
    assert (identity["dn"], identity["digest"], bytes(identity["fingerprint"])) == (None, None, b"")
    planned = acme.sync(ada, containers=[*groups, container("told")])
    assert acme.kinds(planned)["ada"] <= {"move", "grant"}
    assert acme.roles_of("ada") == ["staff", "told"]


def test_newcomers_are_as_a_sync_makes_them(acme: Staffed, twin: Staffed) -> None:
    """Their accounts decide at once, and a sync afterwards finds nothing to mend."""
    people = [numbered(number, each) for number, each in enumerate(STATES)]
    enabled = [arrive(acme, each).enabled for each in people]
    assert enabled == [True, False, False, False, True, False, True]
    twin.sync(*people)
    assert state(acme)["users"] == state(twin)["users"]
    assert state(acme)["restrictions"] == state(twin)["restrictions"]
    for number in (1, 2, 3, 4, 5):
        name = f"p{number}"
        assert acme.journal(name, "restrictions") == twin.journal(name, "restrictions")
    acme.sync(*people)
    assert state(acme) == state(twin)


# --- what changes -----------------------------------------------------------------------------

WAS = record("1", "ada", email="ada@x.test", email_verified=True, attributes={"team": ["a"]})
CHANGES: dict[str, tuple[UserRecord, set[str]]] = {
    "nothing": (WAS, set()),
    "unverified": (WAS._replace(email_verified=False), set()),
    "dn": (WAS._replace(dn="uid=x", dn_key=b"x" * 16), set()),
    "times": (WAS._replace(source_modified_at=LATER), set()),
    "roles": (WAS._replace(memberships=member_of("x"), member_keys=member_keys("uid", "x")), set()),
    "spelling": (WAS._replace(username="Ada"), {"username"}),
    "name": (record("1", "eve", email="ada@x.test", attributes={"team": ["a"]}), {"username"}),
    "email": (WAS._replace(email="e@x.test", email_key="e@x.test"), {"email"}),
    "unverified-email": (
        WAS._replace(email="e@x.test", email_key="e@x.test", email_verified=False),
        {"email", "email_verified"},
    ),
    "no-email": (
        WAS._replace(email=None, email_key=None, email_verified=False),
        {"email", "email_verified"},
    ),
    "names": (WAS._replace(first_name=None, last_name="X"), {"first_name", "last_name"}),
    "attributes": (WAS._replace(attributes='{"team":["b"]}'), {"attributes"}),
    "fewer-attributes": (WAS._replace(attributes="{}"), {"attributes"}),
}


def test_fields_are_as_a_sync_writes_them(acme: Staffed, twin: Staffed) -> None:
    """What a record says is written, what it does not change is not, and a sync finds it so."""
    people = [
        [
            each._replace(
                external_id=name,
                username=f"{each.username}-{name}",
                username_key=f"{each.username_key}-{name}",
            )
            for each in (WAS, then)
        ]
        for name, (then, _) in CHANGES.items()
    ]
    for each in (acme, twin):
        each.sync(*(was for was, _ in people))
    now = [then for _, then in people]
    twin.sync(*now)
    for then, (name, (_, fields)) in zip(now, CHANGES.items(), strict=True):
        before = len(sets(acme))
        arrived = arrive(acme, then)
        assert (arrived.changed, arrived.enabled) == (bool(fields), True), name
        assert len(sets(acme)) == before + bool(fields), name
        if fields:
            here, there = (told(each, then.username, "update") for each in (acme, twin))
            for side in there:
                side.pop("dn", None)
            assert here == there, name
            assert set(here[1]) == fields, name
    assert state(acme)["users"] == state(twin)["users"]
    acme.sync(*now)
    assert state(acme) == state(twin)


def test_accounts_are_as_a_sync_writes_them(acme: Staffed, twin: Staffed) -> None:
    """Each statement about an account comes to the same, in the store and in the journal."""
    for each in (acme, twin):
        each.sync(*(numbered(number, was) for number, (was, _, _, _) in enumerate(CASES)))
    now = [numbered(number, then) for number, (_, then, _, _) in enumerate(CASES)]
    twin.sync(*now)
    for number, (was, then, kinds, reasons) in enumerate(CASES):
        case = f"{number}: {was} -> {then}"
        arrived = arrive(acme, now[number])
        assert (arrived.changed, arrived.enabled) == (bool(kinds), not reasons), case
        assert held(acme.user(f"p{number}")) == reasons, case
        here, there = (each.journal(f"p{number}", "restrictions") for each in (acme, twin))
        assert here == there, case
        assert not arrive(acme, now[number]).changed, case
    assert state(acme)["restrictions"] == state(twin)["restrictions"]
    acme.sync(*now)
    assert state(acme) == state(twin)


# When the entry had changed as it was stored, and as it is read; whether that lets in.
TIMES = {
    "later": (PAST, LATER, True),
    "same": (PAST, PAST, False),
    "none": (PAST, None, False),
    "within-the-second": (AHEAD, AHEAD, True),
    "first": (None, PAST, False),
    "never": (None, None, False),
}


def test_a_missing_attribute_lifts_only_from_an_entry_that_changed(acme: Staffed) -> None:
    """Whoever signs in is not let in because the service account lost a right."""
    shut = AccountState(disabled=True, locked_until=NEVER)
    acme.sync(
        *(record(name, account=shut, source_modified_at=was) for name, (was, _, _) in TIMES.items())
    )
    for name, (_, now, lifted) in TIMES.items():
        arrived = arrive(acme, record(name, account=ABSENT, source_modified_at=now))
        assert (arrived.enabled, arrived.changed) == (lifted, lifted), name
        assert held(acme.user(name)) == (set() if lifted else {"disabled", "locked"}), name


def test_what_a_sign_in_restricts_a_lost_right_does_not_lift(acme: Staffed) -> None:
    """The time of the entry is kept with what was read of it."""
    acme.sync(record("p", account=OPEN, source_modified_at=PAST))
    moved = "2021-01-01T00:00:00Z"
    assert not arrive(acme, record("p", account=SHUT, source_modified_at=moved)).enabled
    acme.sync(record("p", account=ABSENT, source_modified_at=moved))
    assert held(acme.user("p")) == {"disabled"}
    acme.sync(record("p", account=ABSENT, source_modified_at=LATEST))
    assert held(acme.user("p")) == set()


# --- who is away, or somebody else ------------------------------------------------------------


def test_who_was_missing_returns(acme: Staffed, twin: Staffed) -> None:
    """By his own sign-in as by a sync, with his person; his roles come with the next one."""
    ada, staff = record("1", "ada"), container("staff", "ada")
    for each in (acme, twin):
        each.sync(ada, containers=[staff])
        each.sync(absent=["1"])
    user_id = acme.mine(schema.users)[0]["id"]
    arrived = arrive(acme, ada)
    assert (arrived.user_id, arrived.created, arrived.enabled) == (user_id, False, True)
    (identity,) = acme.mine(schema.identities)
    assert identity["dn"] is None
    for each in (acme, twin):
        each.sync(ada, containers=[staff])
    assert acme.journal("ada", "restrictions") == twin.journal("ada", "restrictions")
    assert state(acme) == state(twin)


def test_whose_name_was_given_away_does_not_return(acme: Staffed) -> None:
    """The name is another one's by now, who keeps it."""
    acme.sync(record("1", "ada"))
    acme.sync(absent=["1"])
    acme.sync(record("2", "ada"))
    assert refused(lambda: arrive(acme, record("1", "ada"))) == "username_taken"
    assert arrive(acme, record("1", "ada1")).enabled


@pytest.mark.parametrize("external_id", ["1", "3"], ids=["known", "new"])
def test_a_name_that_is_taken(acme: Staffed, external_id: str) -> None:
    """It goes to quarantine, with the entry's id, until a sign-in or a sync settles it."""
    acme.sync(record("1", "ada"), record("2", "bob"))
    person = record(external_id, "Bob", email=None)
    for _ in range(2):
        assert refused(lambda: arrive(acme, person)) == "username_taken"
    (bad,) = acme.mine(schema.quarantine)
    assert (bad["source"], bad["reason"], bad["attempts"]) == ("users", "username_taken", 2)
    assert (bad["external_id"], bad["username_key"], bad["dn"]) == (external_id, "bob", person.dn)
    acme.sync(record("2", "robert"))
    assert arrive(acme, person).username == "Bob"
    assert acme.people.quarantine() == []


def test_a_sync_releases_who_was_refused(acme: Staffed) -> None:
    """Its complete listing found nothing bad about the entry."""
    acme.sync(record("2", "bob"))
    refused(lambda: arrive(acme, record("3", "bob")))
    planned = acme.plan(record("2", "robert"), record("3", "bob"))
    acme.apply(planned)
    run_id = acme.begin()
    outcome = ListingOutcome("users", Verdict.COMPLETE, 0, 1, 2, 0)
    acme.store.finish(run_id, "done", {}, outcomes=[outcome], quarantined=[])
    assert acme.people.quarantine() == []


def test_somebody_deleted_for_good_stays_out(acme: Staffed) -> None:
    """Until the exclusion is removed; then he comes as somebody new."""
    acme.sync(record("1", "ada"))
    accounts = Accounts(acme.database, acme.id, actor="operator tester")
    user_id = acme.user("ada")["id"]
    with accounts.change() as c:
        accounts.delete(c, user_id, "ada")
    assert refused(lambda: arrive(acme, record("1", "ada"))) == "excluded"
    assert acme.people.quarantine() == []
    with accounts.change() as c:
        assert exclusions.include(c, "ldap", "1")
    assert arrive(acme, record("1", "ada")).user_id != user_id


STANDING_STILL = {
    "paused": ("paused_at = '2026-01-01 00:00:00', paused_because = 'look'", "paused", True),
    "switching": ("switching_to = 'idp'", "pending", True),
    "renamed": ("name = 'Other'", "pending", True),
    "not-switched": ("provider = 'idp'", "pending", False),
    "deleted": ("deleted_at = '2026-01-01 00:00:00'", "deleted", False),
}


AS_IT_WAS = (
    "name = 'Acme Corp', provider = 'ldap', switching_to = NULL, deleted_at = NULL, "
    "paused_at = NULL, paused_because = NULL"
)


def test_nothing_is_written_while_the_organization_stands_still(acme: Staffed) -> None:
    """People who are known are what they were, and others have to wait."""
    acme.sync(record("1", "ada"), record("2", "bob", account=SHUT), record("3", "eve"))
    acme.sync(absent=["3"])
    before = state(acme), sets(acme)
    arrivals = EntryArrivals(acme.database, acme.id, name="Acme Corp")
    ada, bob = record("1", "zoe", account=SHUT), record("2", "bob", account=OPEN)
    for standing, reason, known_stay in STANDING_STILL.values():
        acme.execute(f"UPDATE organizations SET {AS_IT_WAS} WHERE id = :id", id=acme.id)
        acme.execute(f"UPDATE organizations SET {standing} WHERE id = :id", id=acme.id)
        assert refused(partial(arrivals.arrive, record("9", "new"))) == reason
        assert refused(partial(arrivals.arrive, record("3", "eve"))) == reason
        if known_stay:
            assert arrivals.arrive(ada)[1:5] == ("ada", False, False, True)
            assert arrivals.arrive(bob)[1:5] == ("bob", False, False, False)
        else:
            assert refused(partial(arrivals.arrive, ada)) == reason
    assert (state(acme), sets(acme)) == before


def test_an_organization_that_is_not_there(acme: Staffed) -> None:
    """Nobody signs in to what no sync has begun."""
    nowhere = EntryArrivals(acme.database, "nowhere")
    assert refused(lambda: nowhere.arrive(record("1"))) == "not_configured"


def test_who_may_be_somebody_of_a_former_provider_waits_for_a_sync(acme: Staffed) -> None:
    """Whom an entry takes over a sync says, which sees whether there is another one."""
    address = {"email": "ada@x.test", "email_verified": True}
    acme.sync(record("x", "ada", **address))
    mine = {"id": acme.id}
    acme.execute("UPDATE users SET provider = 'admin' WHERE organization_id = :id", **mine)
    acme.execute("UPDATE identities SET source = 'admin' WHERE organization_id = :id", **mine)
    cases = [
        ("username", "ada", "pending"),
        ("verified-email", "other", "pending"),
        ("username", "another", None),
        (None, "somebody", None),
        (None, "ada", "username_taken"),
    ]
    for link_by, username, reason in cases:
        acme.execute("UPDATE organizations SET link_by = :by WHERE id = :id", by=link_by, **mine)
        person = record(f"{link_by} {username}", username, **address)
        if reason is None:
            assert arrive(acme, person).created
        else:
            assert refused(partial(arrive, acme, person)) == reason


def test_other_organizations_see_nothing_of_it(acme: Staffed, twin: Staffed) -> None:
    """The same id and name elsewhere are somebody else."""
    twin.sync(record("1", "ada"))
    before = state(twin)
    assert arrive(acme, record("1", "ada", last_name="Other")).created
    assert state(twin) == before


def test_the_last_owner_stays_what_he_is(acme: Staffed) -> None:
    """As a sync leaves him; with a second owner he is shut out."""
    acme.sync(record("1", "ada"), record("2", "bob"))
    own = (
        "INSERT INTO grants (organization_id, user_id, role_id, source, username_key) "
        "SELECT organization_id, id, 1, 'manual', username_key FROM users "
        "WHERE username = :name AND organization_id = :id"
    )
    acme.execute(own, name="ada", id=acme.id)
    assert arrive(acme, record("1", "ada", account=SHUT, last_name="X"))[3:5] == (False, True)
    assert (acme.user("ada")["enabled"], acme.user("ada")["last_name"]) == (True, "1")
    acme.execute(own, name="bob", id=acme.id)
    assert not arrive(acme, record("1", "ada", account=SHUT)).enabled


# --- beside syncs -----------------------------------------------------------------------------


def test_what_was_written_since_the_entry_was_read_stays(acme: Staffed) -> None:
    """A sync that shut somebody out is not undone by a sign-in that had read him before."""
    acme.sync(record("1", "ada", account=OPEN), record("2", "bob"), record("3", "eve"))
    arrivals = EntryArrivals(acme.database, acme.id)
    before = arrivals.position()
    acme.sync(record("1", "ada", account=SHUT), absent=["2"])
    after = state(acme)
    old = record("1", "ada", account=OPEN)
    assert arrivals.arrive(old, after=before)[2:5] == (False, False, False)
    assert arrivals.arrive(record("2", "bob"), after=before)[2:5] == (False, False, False)
    assert state(acme) == after
    # Others were not written since, and by now neither is he.
    assert arrivals.arrive(record("3", "eve", last_name="X"), after=before).changed
    assert arrivals.arrive(old, after=arrivals.position()).enabled


def test_a_plan_leaves_out_whoever_signed_in_since(acme: Staffed) -> None:
    """Changed or new, he is a conflict of that run, and the next one looks at him."""
    acme.sync(record("1", "ada"), record("2", "bob"))
    people = [record("1", "ada", last_name="A"), record("2", "bob", last_name="B")]
    newcomer = record("3", "eve")
    planned = acme.plan(*people, newcomer)
    arrive(acme, record("1", "ada", last_name="Z"))
    arrive(acme, newcomer)
    acme.apply(planned)
    assert acme.store.counts(planned.run_id).conflicts == 2
    assert [acme.user(name)["last_name"] for name in ("ada", "bob", "eve")] == ["Z", "B", "3"]
    stored = acme.store.stored_people(["1", "2", "3"])
    assert [stored[each].digest is None for each in "123"] == [True, False, True]
    acme.sync(*people, newcomer)
    assert [acme.user(name)["last_name"] for name in ("ada", "bob", "eve")] == ["A", "B", "3"]


def test_many_at_once(acme: Staffed) -> None:
    """Of one newcomer who comes by several doors at once one person is made, and one change set."""
    doors = 4
    barrier = Barrier(doors)

    def come(_: int) -> Arrived:
        barrier.wait(30)
        return arrive(acme, record("1", "ada"))

    with ThreadPoolExecutor(doors) as pool:
        arrived = list(pool.map(come, range(doors)))
    assert len({each.user_id for each in arrived}) == 1
    assert sorted(each.created for each in arrived) == [False] * (doors - 1) + [True]
    assert sets(acme) == ["sign-in"]


def test_beside_a_sync_that_applies(acme: Staffed, twin: Staffed) -> None:
    """Known and new people sign in while their rows are written, and nothing is lost of either."""
    many = 16
    was = [record(f"{number}", f"p{number}") for number in range(many)]
    now = [each._replace(last_name="Synced") for each in was]
    new = [record(f"{number}", f"p{number}") for number in range(many, 2 * many)]
    for each in (acme, twin):
        each.sync(*was)
    planned = acme.plan(*now, *new)
    barrier = Barrier(2)

    def come() -> None:
        barrier.wait(30)
        for known, newcomer in zip(reversed(now), reversed(new), strict=True):
            assert arrive(acme, known._replace(first_name="Arrived")).enabled
            assert arrive(acme, newcomer).enabled

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(come)
        barrier.wait(30)
        acme.apply(planned, batch_size=4)
        coming.result(60)
    names = {row["first_name"] for row in acme.mine(schema.users)}
    assert names == {"Arrived", "Person"}
    for each in (acme, twin):
        each.sync(*now, *new)
    assert state(acme) == state(twin)


def test_the_beginning_counts_from_no_changes(acme: Staffed) -> None:
    """The position is that of the organization's own feed."""
    arrivals = EntryArrivals(acme.database, acme.id)
    assert arrivals.position() == 0
    arrivals.arrive(record("1", account=AccountState(False, EVER, NEVER, EVER)), after=0)
    assert arrivals.position() == 1
