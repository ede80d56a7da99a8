"""A change set is taken back: what still is as it left it, and nothing that others did since."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import Interrupted, LastOwner
from syncd.permissions import Level
from syncd.records import AccountState, Limit, NewPerson, Shapes
from syncd.store import schema
from syncd.store.change_sets import find_change_set
from syncd.store.editing import groups, permission_sets, roles, users
from syncd.store.editing.belonging import hold
from syncd.store.editing.change import Change, change
from syncd.store.runs import run_name
from syncd.store.sides import GROUPS, ROLES
from syncd.store.tokens import TokenStore
from syncd.sync.resuming import resume
from tests.store.organization import MAPPER, Organization, container, record
from tests.store.undone import newest, shown, state, undo, undo_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

FAR = "2999-01-01T00:00:00Z"
PAST = "2020-01-01T00:00:00Z"
DISABLED = ("admin", "disabled")
OWNER, ADMIN = 1, 2
DROPPING = Shapes(creating=frozenset([MAPPER]), dropping=frozenset([MAPPER]))


def attributes(**values: str) -> dict[str, list[str]]:
    """Return attributes with one value each."""
    return {name: [value] for name, value in values.items()}


SYNCS: dict[str, Callable[[Organization], Any]] = {
    "fields": lambda acme: acme.sync(
        record("p1", first_name="Other", last_name=None, email="x@example.test"),
        record("p2", attributes=attributes(phone="2", room="7")),
    ),
    "names": lambda acme: acme.sync(record("p1", "renamed"), record("p2", "P2")),
    "swapped names": lambda acme: acme.sync(record("p1", "p2"), record("p2", "p1")),
    "a name handed on": lambda acme: acme.sync(record("new", "p1"), absent=["p1"]),
    "a new person": lambda acme: acme.sync(record("new"), containers=[container("a", "new")]),
    "absence": lambda acme: acme.sync(absent=["p1", "p2"]),
    "disabled": lambda acme: acme.sync(record("p1", account=AccountState(disabled=True))),
    "expired": lambda acme: acme.sync(record("p1", account=AccountState(expires_at=PAST))),
    "expires later": lambda acme: acme.sync(record("p1", account=AccountState(expires_at=FAR))),
    "locked": lambda acme: acme.sync(record("p1", account=AccountState(locked_until=FAR))),
    "not yet valid": lambda acme: acme.sync(record("p1", account=AccountState(starts_at=FAR))),
    "enabled again": lambda acme: acme.sync(record("p3", account=AccountState(disabled=False))),
    "a new role": lambda acme: acme.sync(containers=[container("b", "p1", "p3")]),
    "members": lambda acme: acme.sync(containers=[container("a", "p2", "p3")]),
    "a return": lambda acme: acme.sync(record("gone", "gone", first_name="Back")),
    "a role that goes": lambda acme: acme.sync(gone=["a"], shapes=DROPPING),
}


def filled(acme: Organization) -> None:
    """Have people in several states."""
    acme.sync(
        record("p1"),
        record("p2", attributes=attributes(phone="1")),
        record("p3", account=AccountState(disabled=True)),
        record("gone"),
        containers=[container("a", "p1", "gone")],
    )
    acme.sync(absent=["gone"])


@pytest.mark.parametrize("batch_size", [1, 1_000])
def test_syncs_are_taken_back(acme: Organization, batch_size: int) -> None:
    """Afterwards everything is as before, the organization is paused, and is to be read anew."""
    filled(acme)
    before = state(acme)
    for what in list(SYNCS)[batch_size == 1 :: 2]:
        # As if it had been read since: nobody without a digest counts as absent.
        acme.execute("UPDATE identities SET digest = 0 WHERE digest IS NULL")
        SYNCS[what](acme)
        assert state(acme) != before, what
        report = undo(acme, batch_size=batch_size)
        assert (report["status"], report["left_alone"]) == ("done", []), what
        assert shown(state(acme)) == shown(before), what
        touched = {row["user_id"] for row in acme.rows(schema.plan_people, run_id=last_run(acme))}
        unread = {row["user_id"] for row in acme.rows(schema.identities) if row["digest"] is None}
        gone = {row["user_id"] for row in acme.rows(schema.journal, kind="delete")}
        assert unread >= touched - gone, what
        assert report["paused"] == f"undo of {report['undoes']} by operator tester"
    organization = acme.people.organization()
    assert organization is not None
    # The first of them: a pause keeps its reason.
    assert organization["paused_because"].startswith("undo of c-")
    assert acme.rows(schema.watermarks) == []


# Of what a change by hand did, with what is there: p1, p2, p3, the role a and a set of its own.
BY_HAND: dict[str, Callable[[Change], Any]] = {
    "a role given": lambda c: hold(c, ROLES, 1, granted=[ADMIN, 100]),
    "a role taken": lambda c: hold(c, ROLES, 2, revoked=[ADMIN]),
    "a group joined": lambda c: hold(c, GROUPS, 1, granted=[901]),
    "somebody disabled": lambda c: users.restrict(c, 1, DISABLED, None),
    "somebody let in": lambda c: users.lift(c, 2, DISABLED),
    "disabled by both": lambda c: users.restrict(c, 3, DISABLED, None),
    "a role made": lambda c: roles.write(
        c, 950, {"name": "b", "description": "", "kind": "custom", "permission_sets": [900]}
    ),
    "a role renamed": lambda c: roles.write(
        c, 902, {"name": "z", "description": "", "kind": "custom", "permission_sets": []}
    ),
    "a role deleted": lambda c: roles.write(c, 902, None),
    "a set changed": lambda c: permission_sets.write(
        c, 900, {"name": "set", "description": "", "sections": {"license": "edit"}}
    ),
    "a set deleted": lambda c: permission_sets.write(c, 900, None),
    "groups made": lambda c: write_groups(
        c,
        {950: group("x"), 951: group("y", (950,)), 952: group("z", (901, 951))},
    ),
    "a tree deleted": lambda c: write_groups(c, {901: None, 903: None}),
    "a group moved": lambda c: groups.write(c, 903, group("below", ())),
}


def group(name: str, above: tuple[int, ...] = (), given: tuple[int, ...] = ()) -> dict[str, Any]:
    """Return a group as the journal has it."""
    return {
        "name": name,
        "description": "",
        "kind": "custom",
        "attributes": {},
        "roles": [[each, "manual"] for each in given],
        "parents": [[each, "manual"] for each in above],
    }


def write_groups(c: Change, several: dict[int, dict[str, Any] | None]) -> None:
    """Write groups in this order."""
    for group_id, after in several.items():
        groups.write(c, group_id, after)


def by_hand(acme: Organization) -> AbstractContextManager[Change]:
    """Open a change by hand."""
    return change(acme.database, acme.id, actor="operator tester")


def furnished(acme: Organization) -> None:
    """Have people, and made by hand a role with a set, and a group below another."""
    filled(acme)
    with by_hand(acme) as c:
        permission_sets.write(
            c, 900, {"name": "set", "description": "", "sections": {"users": "view"}}
        )
        roles.write(
            c, 902, {"name": "own", "description": "", "kind": "custom", "permission_sets": [900]}
        )
        groups.write(c, 901, group("above", given=(902,)))
        groups.write(c, 903, group("below", (901,)))
        hold(c, ROLES, 2, granted=[ADMIN, 902])
        hold(c, GROUPS, 3, granted=[901, 903])
        users.restrict(c, 2, DISABLED, None)


def last_run(acme: Organization) -> int:
    """Return the newest run."""
    return max(int(row["id"]) for row in acme.rows(schema.runs))


def test_changes_by_hand_are_taken_back(acme: Organization) -> None:
    """Afterwards everything is as before, no sync is stopped, and the undo can be undone."""
    furnished(acme)
    before = state(acme)
    for what, deed in BY_HAND.items():
        with by_hand(acme) as c:
            deed(c)
        after = state(acme)
        assert after != before, what
        report = undo(acme, why="a slip")
        assert (report["status"], report["left_alone"], report["paused"]) == ("done", [], None), (
            what
        )
        assert shown(state(acme)) == shown(before), what
        (made,) = acme.rows(schema.change_sets, id=newest(acme))
        assert made["why"] == f"undo of {report['undoes']}: a slip"
        again = undo(acme)
        assert (again["status"], again["left_alone"]) == ("done", []), what
        assert shown(state(acme)) == shown(after), what
        undo(acme)


def test_what_others_changed_since_stays_and_is_told(acme: Organization) -> None:
    """Field by field, grant by grant; what is as before already is no word worth."""
    filled(acme)
    acme.sync(
        record("p1", first_name="New", last_name="New"),
        record("p2", attributes=attributes(phone="2", room="7")),
        record("new"),
        record("newer"),
        containers=[container("b", "p1", "p2", "new")],
    )
    undone = newest(acme)
    acme.sync(
        record("p1", first_name="New", last_name="Newest"),
        record("p2", attributes=attributes(phone="2", room="8")),
        record("new", first_name="Other"),
    )
    since = newest(acme)
    role_id = next(row["id"] for row in acme.rows(schema.roles, name="b"))
    with by_hand(acme) as c:
        hold(c, ROLES, acme.user("p3")["id"], granted=[role_id])
        hold(c, ROLES, acme.user("p2")["id"], revoked=[role_id], source=MAPPER)
    report = undo(acme, undone)
    assert report["status"] == "done"
    told = {each["what"]: each["why"] for each in report["left_alone"]}
    assert told == {
        "last_name of p1": f"changed since by c-{since:06d}",
        "attribute room of p2": "changed since",
        "person new": f"changed since by c-{since:06d}; undo that first",
        "role b": "somebody has it",
    }
    assert report["left_alone_count"] == len(told)
    p1 = acme.user("p1")
    assert (p1["first_name"], p1["last_name"]) == ("Person", "Newest")
    assert acme.user("p2")["attributes"] == attributes(phone="1", room="8")
    assert acme.people.user("newer") is None
    assert acme.user("new")["first_name"] == "Other"
    assert acme.roles_of("p1") == ["a"]
    assert acme.roles_of("p2") == []
    assert acme.roles_of("p3") == ["b"]


def test_what_others_did_once_more_is_theirs(acme: Organization) -> None:
    """It is as the first change left it, but by another's decision; an undone one is none."""
    acme.sync(record("p1"))
    user_id = acme.user("p1")["id"]

    def shut_and_given(*, so: bool) -> None:
        with by_hand(acme) as c:
            given, taken = ([ADMIN], []) if so else ([], [ADMIN])
            hold(c, ROLES, user_id, granted=given, revoked=taken)
            (users.restrict if so else users.lift)(c, user_id, DISABLED, None)

    shut_and_given(so=True)
    first = newest(acme)
    shut_and_given(so=False)
    undo(acme)
    planned = undo(acme, first, dry=True)
    assert (planned["left_alone"], planned["memberships"]["removed"]) == ([], 1)
    shut_and_given(so=False)
    shut_and_given(so=True)
    since = f"changed since by c-{newest(acme):06d}"
    report = undo(acme, first)
    assert {each["what"]: each["why"] for each in report["left_alone"]} == {
        "admin:disabled of p1": since,
        "role 2 of p1": since,
    }
    assert acme.roles_of("p1") == ["Admin"]
    assert not acme.user("p1")["enabled"]


def test_a_change_that_was_undone_since_stands_in_nobodys_way(acme: Organization) -> None:
    """Somebody whom an undone change touched is as his creation left him, and can go."""
    acme.sync(record("p1"))
    first = newest(acme)
    acme.sync(record("p1", first_name="Other"))
    undo(acme)
    report = undo(acme, first)
    assert (report["users"]["deleted"], report["left_alone"]) == (1, [])
    assert acme.rows(schema.users) == []
    # Nothing is left of him but that he went.
    assert [row["kind"] for row in acme.rows(schema.journal)] == ["delete"]
    gone = undo(acme)
    assert gone["status"] == "done"
    assert gone["reasons"] == ["nothing of it is left to be undone"]
    assert [each["why"] for each in gone["left_alone"]] == [
        "a deleted person cannot be brought back"
    ]


def test_a_purge_scrubs_what_undos_told_of_somebody(acme: Organization) -> None:
    """Nor does the journal of his own address book, his password or his tokens stay."""
    acme.sync(record("p1"), record("p2"))
    acme.sync(*(record(name, first_name="Other") for name in ("p1", "p2")))
    undone = newest(acme)
    acme.sync(*(record(name, first_name="Third") for name in ("p1", "p2")))
    undo(acme, undone)
    user_id = acme.user("p1")["id"]
    acme.execute_all(
        f"INSERT INTO passwords (user_id, organization_id, hash, set_at) SELECT {user_id}, 'acme',"
        " 'x', at FROM change_sets WHERE id = 1",
        "INSERT INTO address_books (id, organization_id, name, name_key, owner_id)"
        f" VALUES (7, 'acme', 'Personal', 'personal', {user_id})",
    )
    with by_hand(acme) as c:
        c.note_object("address_book", 7, "Personal")
    acme.sync(absent=["p1"])
    acme.sync(purge_before=datetime.now(UTC) + timedelta(days=1))
    for table in (schema.passwords, schema.address_books):
        assert acme.rows(table) == []
    assert acme.rows(schema.object_journal, object="address_book") == []
    assert [row["kind"] for row in acme.rows(schema.journal, user_id=user_id)] == ["delete"]
    (run,) = acme.rows(schema.runs, mode="undo")
    assert "p1" not in run["report"]
    assert [each["what"] for each in json.loads(run["report"])["left_alone"]] == [
        "first_name of p2"
    ]


def test_a_name_that_belongs_to_somebody_else_by_now_stays_his(acme: Organization) -> None:
    """Who would have to have it again is left alone as a whole."""
    acme.sync(record("p1"), record("p2"))
    acme.sync(record("p1", "renamed", first_name="Other"), record("p2", first_name="Other"))
    undone = newest(acme)
    acme.sync(record("p3", "p1"))
    report = undo(acme, undone)
    assert [each["what"] for each in report["left_alone"]] == ["person renamed"]
    assert acme.user("renamed")["first_name"] == "Other"
    assert acme.user("p2")["first_name"] == "Person"
    assert acme.user("p1")["external_id"] == "p3"


def test_somebody_made_by_hand_goes_with_what_he_was_given(acme: Organization) -> None:
    """Also his identity and his restriction, as if he had never been there."""
    before = state(acme)
    with by_hand(acme) as c:
        users.create(c, [NewPerson("ann", "ann@example.test", "Ann", None)], first_id=77)
    report = undo(acme)
    assert (report["users"]["deleted"], report["paused"]) == (1, None)
    assert state(acme) == before
    for table in (schema.identities, schema.restrictions, schema.grants):
        assert acme.rows(table) == []


def test_the_last_owner_stays(acme: Organization) -> None:
    """An undo that would leave nobody in charge is refused before anything is written."""
    acme.sync(record("p1"))
    user_id = acme.user("p1")["id"]
    with by_hand(acme) as c:
        hold(c, ROLES, user_id, granted=[OWNER])
    before = state(acme)
    with pytest.raises(LastOwner):
        undo(acme)
    assert state(acme) == before
    assert acme.rows(schema.runs, id=last_run(acme))[0]["status"] == "failed"
    with by_hand(acme) as c:
        groups.write(c, 901, group("owners", given=(OWNER,)))
        hold(c, GROUPS, user_id, granted=[901])
        hold(c, ROLES, user_id, revoked=[OWNER])
    with by_hand(acme) as c:
        groups.write(c, 901, group("owners", given=(OWNER, ADMIN)))
    # What makes somebody an owner another way first is no loss.
    assert undo(acme, newest(acme) - 1)["left_alone"] == [
        {"what": "group owners", "why": "changed since"}
    ]
    assert acme.roles_of("p1") == ["Owner"]


def test_an_undo_over_a_limit_is_blocked_until_it_is_approved(acme: Organization) -> None:
    """Nothing of it is written before; the same undo again is the same plan."""
    acme.sync(*(record(f"p{number}") for number in range(30)))
    before = state(acme)
    limits = {"delete": Limit(count=5)}
    blocked = undo(acme, limits=limits)
    assert blocked["status"] == "blocked"
    assert blocked["reasons"] == [
        "30 people would be deleted for good; the limit is 5 (limits.delete.count)"
    ]
    assert state(acme) == before
    assert blocked["paused"].endswith(f"waits for approval ({blocked['run']})")
    assert undo(acme, limits=limits)["run"] == blocked["run"]
    # Somebody is changed by hand meanwhile: he is left out, and told.
    with by_hand(acme) as c:
        users.restrict(c, acme.user("p7")["id"], DISABLED, None)
    number = int(blocked["run"].removeprefix("r-"))
    report = undo_run(acme).approve(number, "approval by tester")
    assert (report["status"], report["users"]["deleted"]) == ("done", 29)
    assert report["left_alone"] == [{"what": "person p7", "why": "changed meanwhile"}]
    assert [row["username"] for row in acme.rows(schema.users)] == ["p7"]
    (made,) = acme.rows(schema.change_sets, id=newest(acme))
    assert made["why"] == f"approval of {blocked['run']}: undo of {blocked['undoes']}"


def test_a_dry_run_writes_nothing_and_says_the_same(acme: Organization) -> None:
    """Its counts are those of the undo that follows; no sync is stopped by it."""
    filled(acme)
    SYNCS["fields"](acme)
    after = state(acme)
    planned = undo(acme, dry=True)
    assert (planned["status"], planned["paused"]) == ("planned", None)
    assert state(acme) == after
    organization = acme.people.organization()
    assert organization is not None
    assert organization["paused_at"] is None
    assert undo(acme)["users"] == planned["users"]


@pytest.mark.parametrize(("batches", "by"), [(1, "undo"), (3, "sync")])
def test_an_undo_that_died_is_brought_to_its_end(acme: Organization, batches: int, by: str) -> None:
    """By the same undo asked for again, or by the next sync; roles that it deletes go then."""
    acme.sync(record("p1"), record("p2"), record("p3"))
    before = state(acme)
    acme.sync(
        *(record(f"p{number}", first_name="Other") for number in (1, 2, 3)),
        containers=[container("b", "p1", "p2")],
    )
    undone = newest(acme)
    run = undo_run(acme, batch_size=1)

    def stop(phase: str, done: int, _: int | None) -> None:
        if phase == "apply" and done >= batches:
            raise Interrupted("killed")

    run.progress = stop
    found = find_change_set(acme.database, f"c-{undone:06d}", acme.id)
    assert found is not None
    with pytest.raises(Interrupted):
        run.undo(found, actor="operator tester", why=None)
    (row,) = acme.rows(schema.runs, id=last_run(acme))
    assert (row["status"], row["applied_number"]) == ("applying", batches)
    assert state(acme) != before
    if by == "undo":
        report = undo(acme, undone)
    else:
        resumed = resume(
            run.store,
            organization_id=acme.id,
            batch_size=1,
            run_name=run_name,
            progress=lambda _phase, _done, _total: None,
        )
        assert resumed is not None
        report = resumed[1]
    assert (report["status"], report["undoes"]) == ("done", f"c-{undone:06d}")
    assert shown(state(acme)) == shown(before)
    assert {row["status"] for row in acme.rows(schema.runs)} == {"done"}
    assert report["paused"]
    assert len(acme.rows(schema.runs, mode="undo")) == 1


def test_a_revoked_token_stays_revoked_and_a_new_one_ends(acme: Organization) -> None:
    """Who holds a secret that was taken from him must not find it working again."""
    tokens = TokenStore(acme.database, acme.id)
    made = tokens.create(
        actor="operator tester",
        name="backup",
        digest=b"x",
        scopes={"users": "view"},
        user_id=None,
        lifetime=timedelta(days=1),
    )
    created = newest(acme)
    tokens.revoke(made["id"], actor="operator tester")
    report = undo(acme)
    assert [each["what"] for each in report["left_alone"]] == ["token backup"]
    other = tokens.create(
        actor="operator tester",
        name="other",
        digest=b"y",
        scopes={"users": "view"},
        user_id=None,
        lifetime=timedelta(days=1),
    )
    undo(acme)
    assert tokens.get(other["id"])["revoked_at"] is not None
    undo(acme, created)
    assert tokens.get(made["id"])["revoked_at"] is not None
    rows = acme.rows(schema.object_journal, object="token")
    assert [json.loads(row["after"])["revoked_at"] is None for row in rows][-1:] == [False]


def test_effective_permissions_are_those_of_before(acme: Organization) -> None:
    """What a role's set allowed is allowed again to whoever has the role."""
    furnished(acme)
    user_id = acme.user("p3")["id"]
    before = acme.people.levels(user_id)
    assert before["users"] == Level.VIEW
    with by_hand(acme) as c:
        permission_sets.write(c, 900, None)
    assert acme.people.levels(user_id) != before
    undo(acme)
    assert acme.people.levels(user_id) == before
