"""People who sign in by an identity provider: who they are, their names and fields, who is let in.

Each test has an organization of its own in a store that all of them share.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from syncd.errors import ConstraintViolated, Refused, SignInRefused
from syncd.explain import Claimed, SignedIn
from syncd.store import schema
from syncd.store.arriving import Arrivals
from syncd.store.bearers import bearer
from syncd.store.books import due_quarantine
from syncd.store.editing import exclusions, users
from syncd.store.editing.accounts import Accounts
from syncd.store.editing.change import change
from syncd.store.editing.providing import take_over
from syncd.store.then import Then
from tests.store.signing_in import ISSUER, SignIns
from tests.store.undone import undo

if TYPE_CHECKING:
    from collections.abc import Callable

OWNER, ADMIN = 1, 2
FULL = {
    "email": "ann@example.test",
    "email_verified": True,
    "first_name": "Ann",
    "last_name": "Smith",
}


def refused(attempt: Callable[[], object]) -> str:
    """Return why somebody was refused."""
    with pytest.raises(SignInRefused) as caught:
        attempt()
    assert str(caught.value)
    return caught.value.reason


def test_a_newcomer_is_a_person_like_any_other(bridge: SignIns) -> None:
    """In lists, by name and id, with journal and feed: as somebody whom a sync made."""
    arrived = bridge.sign_in(
        "s-1",
        "Ann",
        fields=FULL,
        attributes={"team": ("b", "a"), "empty": ()},
        gives={"staff": ["Staff", "/Directory/Staff"]},
    )
    assert (arrived.username, arrived.created, arrived.changed) == ("Ann", True, True)
    assert (arrived.enabled, arrived.linked, arrived.remarks) == (True, False, ())
    ann = bridge.user("ann")
    assert ann == bridge.of("s-1") | {}
    assert ann["id"] == arrived.user_id
    assert (ann["provider"], ann["external_id"], ann["dn"]) == ("idp", "s-1", None)
    assert {name: ann[name] for name in FULL} == FULL
    assert ann["attributes"] == {"team": ["b", "a"]}
    assert (ann["enabled"], ann["disabled_because"]) == (True, [])
    assert ann["roles"] == [
        {"name": "Staff", "sources": ["staff"]},
        {"name": "User", "sources": ["default"]},
    ]
    assert [each["path"] for each in ann["groups"]] == ["/Directory/Staff"]
    assert list(bridge.people.users()) == [ann]
    assert bridge.pages().users(filters={"external_id": "s-1"})["items"] == [ann]
    assert bridge.pages().users(filters={"provider": "idp"})["items"] == [ann]
    (made,) = bridge.sets()
    assert (made["actor"], made["why"], made["run_id"]) == ("sign-in", None, None)
    assert sorted(bridge.feed()) == [
        ("sign-in", "group", "Directory", "create"),
        ("sign-in", "group", "Staff", "create"),
        ("sign-in", "role", "Staff", "create"),
        ("sign-in", "user", "Ann", "create"),
        ("sign-in", "user", "Ann", "grants"),
        ("sign-in", "user", "Ann", "memberships"),
    ]


def test_who_arrives_as_he_was_writes_nothing(bridge: SignIns) -> None:
    """No change set, no journal, no new version; and somebody else's data is not his."""
    more: dict[str, Any] = {
        "fields": FULL,
        "attributes": {"team": ("a",)},
        "gives": {"staff": ["Staff", "/Directory/Staff"], "none": []},
    }
    first = bridge.sign_in("s-1", "ann", **more)
    before = bridge.rows(schema.users, organization_id=bridge.id)
    again = bridge.sign_in("s-1", "ann", **more)
    assert again == first._replace(created=False, changed=False)
    assert bridge.rows(schema.users, organization_id=bridge.id) == before
    assert len(bridge.sets()) == 1


def test_a_second_time_only_what_differs_is_written(bridge: SignIns) -> None:
    """The journal has before and after of what changed, with who and why."""
    bridge.sign_in("s-1", "ann", fields=FULL, attributes={"team": ("a",)})
    told = bridge.arrival(
        "s-1", "Ann", fields={**FULL, "last_name": "Jones"}, attributes={"team": ("a", "b")}
    )
    arrived = bridge.arrivals.arrive(told, why="a browser")
    assert (arrived.created, arrived.changed, arrived.username) == (False, True, "Ann")
    assert [(row["actor"], row["why"]) for row in bridge.sets()][1:] == [("sign-in", "a browser")]
    ((before, after),) = bridge.journal("ann", "update")
    assert before == {
        "username": "ann",
        "last_name": "Smith",
        "attributes": '{"team":["a"]}',
    }
    assert after == {
        "username": "Ann",
        "last_name": "Jones",
        "attributes": '{"team":["a","b"]}',
    }


@pytest.mark.parametrize("shared", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("said", "then"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"first_name": None}, {"first_name": None}, id="emptied"),
        pytest.param({"last_name": ""}, {"last_name": None}, id="empty-text"),
        pytest.param(
            {"email": "new@example.test", "email_verified": True},
            {"email": "new@example.test"},
            id="address-verified",
        ),
        pytest.param(
            {"email": "new@example.test"},
            {"email": "new@example.test", "email_verified": False},
            id="address-without-a-word",
        ),
        pytest.param({"email": "ann@example.test"}, {}, id="same-address-without-a-word"),
        pytest.param({"email_verified": False}, {"email_verified": False}, id="not-verified"),
        pytest.param({"email": None}, {"email": None, "email_verified": False}, id="no-address"),
        pytest.param(
            {"email": None, "email_verified": True},
            {"email": None, "email_verified": False},
            id="nothing-verified",
        ),
    ],
)
def test_fields_change_as_far_as_something_is_said(
    bridge: SignIns, said: dict[str, Any], then: dict[str, Any]
) -> None:
    """What is said is written, an emptied field is empty, and the rest stays."""
    bridge.sign_in("s-1", "ann", fields=FULL)
    arrived = bridge.sign_in("s-1", fields=said)
    user = bridge.user("ann")
    assert {name: user[name] for name in FULL} == FULL | then
    assert arrived.changed == bool(then)


@pytest.mark.parametrize("shared", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("said", "then"),
    [
        ({}, {"a": ["1"], "b": ["2", "3"]}),
        ({"a": ()}, {"b": ["2", "3"]}),
        ({"c": ("4",)}, {"a": ["1"], "b": ["2", "3"], "c": ["4"]}),
        ({"a": ("x",), "b": ()}, {"a": ["x"]}),
    ],
    ids=["nothing", "taken", "added", "changed"],
)
def test_attributes_change_one_by_one(
    bridge: SignIns, said: dict[str, tuple[str, ...]], then: dict[str, list[str]]
) -> None:
    """Each attribute has its own statement; one without stays."""
    bridge.sign_in("s-1", "ann", attributes={"a": ("1",), "b": ("2", "3")})
    bridge.sign_in("s-1", attributes=said)
    assert bridge.user("ann")["attributes"] == then


def test_identity_is_issuer_and_subject(bridge: SignIns) -> None:
    """Neither address nor name: another subject or issuer with the same address is another one."""
    bridge.sign_in("s-1", "ann", fields=FULL)
    bridge.sign_in("s-2", "bob", fields=FULL)
    bridge.sign_in("s-1", "cem", fields=FULL, source="https://other.example.test/")
    assert [user["username"] for user in bridge.people.users()] == ["ann", "bob", "cem"]
    bridge.sign_in("s-1", "eve", fields={"email": "eve@example.test"})
    assert [user["username"] for user in bridge.people.users()] == ["bob", "cem", "eve"]


# --- names ------------------------------------------------------------------------------------


def test_a_name_that_somebody_has_lets_nobody_else_in(bridge: SignIns) -> None:
    """However it is spelled; the refusal stands in quarantine until his next success."""
    bridge.sign_in("s-1", "Straße", fields=FULL)
    for attempts in (1, 2):
        assert refused(lambda: bridge.sign_in("s-2", "STRASSE")) == "username_taken"
        assert bridge.quarantined() == [(ISSUER, "username_taken", "s-2", attempts)]
    assert [user["username"] for user in bridge.people.users()] == ["Straße"]
    assert len(bridge.sets()) == 1
    assert bridge.pages().quarantine()["items"][0]["external_id"] == "s-2"
    bridge.sign_in("s-2", "other")
    assert bridge.quarantined() == []


def test_a_rename_moves_the_name(bridge: SignIns) -> None:
    """The old name is free at once, and lists are in the new order."""
    bridge.sign_in("s-1", "ann", gives={"staff": ["Staff"]})
    bridge.sign_in("s-2", "bob", gives={"staff": ["Staff"]})
    bridge.sign_in("s-1", "zoe", gives={"staff": ["Staff"]})
    bridge.sign_in("s-3", "ANN")
    role = next(row["id"] for row in bridge.people.roles() if row["name"] == "Staff")
    holders = bridge.pages().role_holders(role)["items"]
    assert [each["user"]["username"] for each in holders] == ["bob", "zoe"]


def test_a_rename_to_a_name_that_is_taken_changes_nothing(bridge: SignIns) -> None:
    """Nothing else that was said is written either, until the name is free."""
    bridge.sign_in("s-1", "ann", fields=FULL)
    bridge.sign_in("s-2", "bob", fields=FULL)
    said = {**FULL, "first_name": "New"}
    assert refused(lambda: bridge.sign_in("s-2", "ann", fields=said)) == "username_taken"
    bob = bridge.of("s-2")
    assert (bob["username"], bob["first_name"]) == ("bob", "Ann")
    assert bridge.quarantined() == [(ISSUER, "username_taken", "s-2", 1)]
    bridge.sign_in("s-1", "zoe")
    bridge.sign_in("s-2", "ann", fields=said)
    assert bridge.of("s-2")["first_name"] == "New"
    assert bridge.quarantined() == []


@pytest.mark.parametrize("newcomer", [False, True], ids=["known", "newcomer"])
@pytest.mark.parametrize("count", [2, 3])
def test_names_that_changed_hands_are_given_by_the_last_sign_in(
    bridge: SignIns,
    count: int,
    newcomer: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    """Each is refused while the other has his name; the one who closes the circle moves all."""
    names = [f"Name{number}" for number in range(count)]
    for number, name in enumerate(names):
        bridge.sign_in(f"s-{number}", name, fields=FULL)
    later = range(count - 1)
    for number in later:
        assert refused(lambda: bridge.sign_in(f"s-{number}", names[number + 1])) == "username_taken"  # noqa: B023
    # With a newcomer in the last one's place, that one has another name by now.
    last = "s-new" if newcomer else f"s-{count - 1}"
    if newcomer:
        bridge.sign_in(f"s-{count - 1}", "other")
    arrived = bridge.sign_in(last, names[0])
    assert [each.kind for each in arrived.remarks] == ["name_moved"] * len(later)
    then = {user["external_id"]: user["username"] for user in bridge.people.users()}
    moved = {f"s-{number}": names[number + 1].lower() for number in later}
    kept = {f"s-{count - 1}": "other"} if newcomer else {}
    assert then == {last: names[0], **moved, **kept}
    # How they spell it they say themselves, and then nothing is left in quarantine.
    for number in later:
        assert bridge.sign_in(f"s-{number}", names[number + 1], fields=FULL).changed
    assert bridge.quarantined() == []
    ((before, after),) = bridge.journal(names[1], "update")[:1]
    assert (before["username"], after["username"]) == (names[0], names[1].lower())


@pytest.mark.parametrize(
    ("subject", "wants"),
    [("s-1", "bob"), ("s-3", "ann")],
    ids=["his-name-is-wanted-by-a-third", "nobody-says-so"],
)
def test_nobody_is_called_otherwise_than_he_said(bridge: SignIns, subject: str, wants: str) -> None:
    """The other's word is what he himself was called, and never a name for two."""
    for subject_, name in (("s-1", "ann"), ("s-2", "bob"), ("s-3", "cem")):
        bridge.sign_in(subject_, name)
    refused(lambda: bridge.sign_in("s-2", "cem"))
    assert refused(lambda: bridge.sign_in(subject, wants)) == "username_taken"
    assert [user["username"] for user in bridge.people.users()] == ["ann", "bob", "cem"]


def test_an_unchanged_person_leaves_the_quarantine_without_a_change(bridge: SignIns) -> None:
    """Somebody who is called as before again is taken; that is no change of anybody."""
    bridge.sign_in("s-1", "ann")
    bridge.sign_in("s-2", "bob")
    refused(lambda: bridge.sign_in("s-2", "ann"))
    assert not bridge.sign_in("s-2", "bob").changed
    assert (bridge.quarantined(), len(bridge.sets())) == ([], 2)


def test_a_refused_sign_in_is_no_runs_to_try_again(bridge: SignIns) -> None:
    """A sync that looks at the quarantine has no entry to read for it."""
    bridge.sign_in("s-1", "ann")
    refused(lambda: bridge.sign_in("s-2", "ann"))
    with bridge.database.read() as connection:
        assert due_quarantine(connection, bridge.id, datetime.now(UTC), 10) == []


def test_a_mappers_refusal_can_be_put_there_too(bridge: SignIns) -> None:
    """With its own reason and what it is about."""
    refusal = SignInRefused("essential_claim", "the claim tier is not gold")
    bridge.arrivals.quarantine(ISSUER, "s-1", refusal, username="Ann", attribute="tier")
    (row,) = bridge.people.quarantine()
    assert (row["reason"], row["attribute"], row["detail"]) == (
        "essential_claim",
        "tier",
        "the claim tier is not gold",
    )
    assert bridge.people.quarantined("ann", None, None) is not None
    bridge.sign_in("s-1", "ann")
    assert bridge.people.quarantine() == []


@pytest.mark.parametrize("names", [("ann", "ann"), ("ann", "bob")], ids=["same", "renamed"])
def test_two_first_arrivals_of_one_subject_are_one_person(
    bridge: SignIns, names: tuple[str, str]
) -> None:
    """At the same moment, both mapped as newcomers: the second one finds the first one's person."""
    told = [bridge.arrival("s-1", name, gives={"staff": ["Staff", "/Teams/A"]}) for name in names]
    barrier = Barrier(2)

    def arrive(number: int) -> Any:
        barrier.wait()
        return bridge.arrivals.arrive(told[number])

    with ThreadPoolExecutor(2) as pool:
        arrived = list(pool.map(arrive, range(2)))
    assert len({each.user_id for each in arrived}) == 1
    assert sorted(each.created for each in arrived) == [False, True]
    assert len(list(bridge.people.users())) == 1
    assert [row["name"] for row in bridge.people.roles() if row["name"] == "Staff"] == ["Staff"]
    assert len(bridge.people.groups()) == 2


def test_of_two_newcomers_of_one_name_one_comes_in(bridge: SignIns) -> None:
    """Whoever is first; the other one is refused, and told why."""
    barrier = Barrier(2)

    def arrive(subject: str) -> str:
        told = bridge.arrival(subject, "ann")
        barrier.wait()
        try:
            return bridge.arrivals.arrive(told).username
        except SignInRefused as refusal:
            return refusal.reason

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(arrive, ("s-1", "s-2"))) == ["ann", "username_taken"]
    assert len(list(bridge.people.users())) == 1


# --- who is let in ----------------------------------------------------------------------------


def test_somebody_deleted_for_good_stays_out(bridge: SignIns) -> None:
    """Until the exclusion is removed; then he comes as somebody new."""
    first = bridge.sign_in("s-1", "ann")
    accounts = Accounts(bridge.database, bridge.id, actor="operator tester")
    with accounts.change() as c:
        accounts.delete(c, first.user_id, "ann")
    assert not bridge.arrivals.knows(ISSUER, "s-1")
    assert refused(lambda: bridge.sign_in("s-1", "ann")) == "excluded"
    assert bridge.people.quarantine() == []
    with accounts.change() as c:
        assert exclusions.include(c, ISSUER, "s-1")
    assert bridge.sign_in("s-1", "ann").user_id != first.user_id


def test_who_was_deleted_meanwhile_is_mapped_anew(bridge: SignIns) -> None:
    """What was made for somebody who is known is not enough for somebody new."""
    bridge.sign_in("s-1", "ann")
    told = bridge.arrival("s-1", "ann")
    assert not told.newcomer
    accounts = Accounts(bridge.database, bridge.id, actor="operator tester")
    with accounts.change() as c:
        accounts.delete(c, bridge.of("s-1")["id"], "ann")
        exclusions.include(c, ISSUER, "s-1")
    with pytest.raises(ConstraintViolated):
        bridge.arrivals.arrive(told)


STANDING_STILL = {
    "paused": ("paused_at = '2026-01-01 00:00:00', paused_because = 'look'", "paused", True),
    "switching": ("switching_to = 'ldap'", "pending", True),
    "renamed": ("name = 'Other'", "pending", True),
    "not-switched": ("provider = 'ldap'", "pending", False),
    "deleted": ("deleted_at = '2026-01-01 00:00:00'", "deleted", False),
}


@pytest.mark.parametrize(
    ("standing", "reason", "known_stay"), STANDING_STILL.values(), ids=STANDING_STILL
)
def test_nothing_is_written_while_the_organization_stands_still(
    bridge: SignIns, standing: str, reason: str, *, known_stay: bool
) -> None:
    """People who are known are what they were, and newcomers have to wait."""
    bridge.sign_in("s-1", "ann", gives={"staff": ["Staff"]})
    bridge.execute(f"UPDATE organizations SET {standing} WHERE id = :id", id=bridge.id)
    arrivals = Arrivals(bridge.database, bridge.id, name="Acme Corp")
    newcomer, known = bridge.arrival("s-2"), bridge.arrival("s-1", "zoe", gives={"staff": []})
    assert refused(lambda: arrivals.arrive(newcomer)) == reason
    if known_stay:
        arrived = arrivals.arrive(known)
        assert (arrived.username, arrived.changed, arrived.enabled) == ("ann", False, True)
    else:
        assert refused(lambda: arrivals.arrive(known)) == reason
    assert bridge.held("s-1") == {"staff": {"Staff"}}
    assert (len(bridge.sets()), bridge.people.quarantine()) == (1, [])


@pytest.mark.parametrize("standing", ["paused", "switching", "renamed"])
def test_nobody_is_let_in_anew_while_the_organization_stands_still(
    bridge: SignIns, standing: str
) -> None:
    """Whom another provider's time keeps out stays out until something is written again."""
    user_id = bridge.sign_in("s-1", "ann").user_id
    bridge.execute(
        "INSERT INTO restrictions (user_id, source, reason, organization_id, since) "
        "VALUES (:user_id, 'provider', 'other_provider', :org, '2026-01-01 00:00:00')",
        user_id=user_id,
        org=bridge.id,
    )
    still = STANDING_STILL[standing][0]
    bridge.execute(f"UPDATE organizations SET {still} WHERE id = :id", id=bridge.id)
    arrivals = Arrivals(bridge.database, bridge.id, name="Acme Corp")
    known = bridge.arrival("s-1", "ann")
    assert (arrivals.foresee(known).changed, arrivals.foresee(known).enabled) == (False, False)
    arrived = arrivals.arrive(known)
    assert (arrived.changed, arrived.enabled, len(bridge.sets())) == (False, False, 1)
    assert len(bridge.rows(schema.restrictions, user_id=user_id)) == 1


@pytest.mark.parametrize(
    "standing", [each[0] for each in STANDING_STILL.values()], ids=STANDING_STILL
)
def test_a_mappers_refusal_is_not_written_while_it_stands_still(
    bridge: SignIns, standing: str
) -> None:
    """Neither beside a directory's entries nor in what was deleted."""
    bridge.execute(f"UPDATE organizations SET {standing} WHERE id = :id", id=bridge.id)
    arrivals = Arrivals(bridge.database, bridge.id, name="Acme Corp")
    arrivals.quarantine(ISSUER, "s-1", SignInRefused("missing_username", "the token has no name"))
    assert bridge.people.quarantine() == []


def test_an_organization_that_nobody_wrote_down_lets_nobody_in(bridge: SignIns) -> None:
    """Of its row there has to be one, whose lock puts changes one after the other."""
    nowhere = Arrivals(bridge.database, "nowhere")
    assert refused(lambda: nowhere.arrive(bridge.arrival("s-1"))) == "not_configured"


def test_somebody_disabled_is_written_and_told(bridge: SignIns) -> None:
    """Whether he is let in is the caller's to say; what the provider says of him is kept."""
    user_id = bridge.sign_in("s-1", "ann").user_id
    with change(bridge.database, bridge.id, actor="operator tester") as c:
        users.restrict(c, user_id, ("admin", "disabled"), None)
    arrived = bridge.sign_in("s-1", "ann", fields={"first_name": "Ann"})
    assert (arrived.changed, arrived.enabled) == (True, False)
    assert bridge.user("ann")["first_name"] == "Ann"
    assert not bridge.user("ann")["enabled"]


def test_somebody_missing_comes_back(bridge: SignIns) -> None:
    """Whom a directory of before had lost is here again, with what he had, under a free name."""
    user_id = bridge.sign_in("s-1", "ann", gives={"staff": ["Staff"]}).user_id
    bridge.execute(
        "INSERT INTO restrictions (user_id, source, reason, organization_id, since) "
        "VALUES (:user_id, 'directory', 'missing', :org, '2026-01-01 00:00:00')",
        user_id=user_id,
        org=bridge.id,
    )
    bridge.execute(
        "UPDATE users SET living = :no, enabled = :no WHERE id = :id", no=False, id=user_id
    )
    bridge.sign_in("s-2", "ann")
    assert refused(lambda: bridge.sign_in("s-1", silent=["staff"])) == "username_taken"
    arrived = bridge.sign_in("s-1", "ann.smith", silent=["staff"])
    assert (arrived.user_id, arrived.created, arrived.enabled) == (user_id, False, True)
    back = bridge.user("ann.smith")
    assert (back["enabled"], back["disabled_because"]) == (True, [])
    assert bridge.held("s-1") == {"staff": {"Staff"}}
    assert bridge.journal("ann.smith", "restrictions") == [({"missing": True}, {"missing": False})]


# --- looking, taking back ---------------------------------------------------------------------


def test_what_a_sign_in_did_is_seen_as_of_then_and_taken_back(bridge: SignIns) -> None:
    """An undo sets fields, roles and groups back, and pauses what would do it again."""
    bridge.sign_in("s-1", "ann", fields=FULL, gives={"staff": ["Staff"]})
    then = _now(bridge)
    bridge.sign_in(
        "s-1",
        "zoe",
        fields={**FULL, "first_name": "Zoe"},
        attributes={"team": ("a",)},
        gives={"staff": ["Staff", "Boss", "/Teams/A"]},
    )
    shown = Then(bridge.database, bridge.id).person("ann", then)
    assert (shown["username"], shown["first_name"], shown["attributes"]) == ("ann", "Ann", {})
    assert [role["name"] for role in shown["roles"]] == ["Staff", "User"]
    assert (shown["external_id"], shown["provider"]) == ("s-1", "idp")
    with bridge.leased():
        report = undo(bridge, int(bridge.sets()[-1]["id"]))
    assert report["status"] == "done"
    back = bridge.user("ann")
    assert (back["first_name"], back["attributes"], bridge.held("s-1")) == (
        "Ann",
        {},
        {"staff": {"Staff"}},
    )
    organization = bridge.people.organization()
    assert organization is not None
    assert organization["paused_at"] is not None


def test_a_newcomer_is_taken_back_whole(bridge: SignIns) -> None:
    """With roles and groups that were made for him; his next sign-in would make them anew."""
    bridge.sign_in("s-1", "ann", gives={"staff": ["Staff", "/Teams/A"]})
    with bridge.leased():
        undo(bridge, int(bridge.sets()[-1]["id"]))
    assert bridge.people.user("ann") is None
    assert bridge.people.groups() == []
    assert refused(lambda: bridge.sign_in("s-1", "ann")) == "paused"
    bridge.people.resume()
    assert bridge.sign_in("s-1", "ann", gives={"staff": ["Staff", "/Teams/A"]}).created
    assert bridge.held("s-1") == {"staff": {"Staff", "/Teams/A"}}


def test_the_journal_tells_where_values_come_from(bridge: SignIns) -> None:
    """Field by field and role by role: the change set, as there is no run."""
    bridge.sign_in("s-1", "ann", fields=FULL, attributes={"a": ("1",)}, gives={"staff": ["Staff"]})
    first = bridge.last_set()
    bridge.sign_in(
        "s-1",
        "ann",
        fields={"last_name": "Jones"},
        attributes={"b": ("2",)},
        gives={"staff": ["Staff", "Boss", "/Teams/A"]},
    )
    second, user_id = bridge.last_set(), bridge.of("s-1")["id"]
    fields = {
        name: origin.change_set for name, origin in bridge.people.origins(user_id).fields.items()
    }
    assert fields | {"dn": first, "attributes": first} == fields
    assert (fields["first_name"], fields["last_name"]) == (first, second)
    assert fields["attributes.b"] == second
    told = {
        each["name"]: [
            (way["mapper"], way.get("change_set"), way["run"]) for way in each["sources"]
        ]
        for each in (*bridge.people.role_sources(user_id), *bridge.people.group_sources(user_id))
    }
    assert told == {
        "A": [("staff", second, None)],
        "Boss": [("staff", second, None)],
        "Staff": [("staff", first, None)],
        "User": [("default", None, None)],
    }


FORESEEN = {
    "newcomer": ("s-9", "new", None, {"created": True, "changed": True, "username": "new"}),
    "same": ("s-1", "ann", None, {"known": True, "username": "ann", "enabled": True}),
    "rename": ("s-1", "zoe", None, {"known": True, "changed": True, "username": "zoe"}),
    "taken": ("s-9", "bob", "username_taken", {"known": False}),
    "rename-taken": ("s-1", "bob", "username_taken", {"known": True, "username": "ann"}),
}


@pytest.mark.parametrize("shared", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("subject", "username", "reason", "wanted"), FORESEEN.values(), ids=FORESEEN
)
def test_what_an_arrival_would_come_to_is_foreseen(
    bridge: SignIns, subject: str, username: str, reason: str | None, wanted: dict[str, Any]
) -> None:
    """By the same rules, and nothing is written, not even a refusal."""
    bridge.sign_in("s-1", "ann", gives={"staff": ["Staff"]})
    bridge.sign_in("s-2", "bob")
    told = bridge.arrival(subject, username, gives={"staff": ["staff", "/Teams/A", "Owner"]})
    if username == "ann":
        told = bridge.arrival(subject, username, gives={"staff": ["staff"]})
    seen = bridge.arrivals.foresee(told)
    assert (seen.refusal.reason if seen.refusal else None) == reason
    assert {name: getattr(seen, name) for name in wanted} == wanted
    if reason is None and username != "ann":
        assert (seen.roles, seen.groups) == (("Staff",), ("/Teams/A",))
        assert [each.kind for each in seen.remarks] == ["role_name_reserved"]
    assert (len(bridge.sets()), bridge.people.quarantine()) == (2, [])
    assert bridge.people.groups() == []


# --- at the API -------------------------------------------------------------------------------


def test_a_bearer_is_the_person_as_he_is_now(bridge: SignIns) -> None:
    """With what he may do by roles of whatever source, and whether he is let in."""
    user_id = bridge.sign_in("s-1", "ann").user_id
    found = bearer(bridge.database, bridge.id, ISSUER, "s-1")
    assert found is not None
    assert (found.user_id, found.username, found.may_sign_in, found.owner) == (
        user_id,
        "ann",
        True,
        False,
    )
    bridge.manual(user_id, OWNER)
    with change(bridge.database, bridge.id, actor="operator tester") as c:
        users.restrict(c, user_id, ("admin", "disabled"), None)
    found = bearer(bridge.database, bridge.id, ISSUER, "s-1")
    assert found is not None
    assert (found.may_sign_in, found.owner, "users" in found.levels) == (False, True, True)


@pytest.mark.parametrize(
    ("source", "subject", "then"),
    [
        (ISSUER, "s-2", None),
        (ISSUER.rstrip("/"), "s-1", None),
        (ISSUER, "S-1", None),
        (ISSUER, "s-1", "UPDATE users SET living = :no WHERE organization_id = :org"),
        (ISSUER, "s-1", "UPDATE users SET provider = 'ldap' WHERE organization_id = :org"),
        (ISSUER, "s-1", "UPDATE organizations SET provider = 'ldap' WHERE id = :org"),
        (
            ISSUER,
            "s-1",
            "UPDATE organizations SET deleted_at = '2026-01-01 00:00:00' WHERE id = :org",
        ),
    ],
    ids=["subject", "issuer", "case", "missing", "another-provider", "not-switched", "deleted"],
)
def test_whom_the_provider_does_not_speak_for_is_nobody(
    bridge: SignIns, source: str, subject: str, then: str | None
) -> None:
    """By another id, of another provider or in another state there is no bearer."""
    bridge.sign_in("s-1", "ann")
    if then is not None:
        with bridge.database.write() as connection:
            values = {"no": False, "org": bridge.id}
            wanted = {name: value for name, value in values.items() if f":{name}" in then}
            connection.execute(text(then), wanted)
    assert bearer(bridge.database, bridge.id, source, subject) is None


# --- by hand ----------------------------------------------------------------------------------


def test_a_person_has_one_id_of_all_issuers(bridge: SignIns) -> None:
    """Where the provider's issuer changed, a link by hand says who is who; the old one is gone."""
    was = bridge.sign_in("s-1", "ann", gives={"staff": ["Staff"]})
    moved = "https://new.example.test/"
    assert refused(lambda: bridge.sign_in("n-1", "ann", source=moved)) == "username_taken"
    with change(bridge.database, bridge.id, actor="operator tester") as c:
        taken = take_over(c, "ann", source=moved, external_id="n-1")
    assert taken.user_id == was.user_id
    arrived = bridge.sign_in("n-1", "ann", source=moved, silent=["staff"])
    assert (arrived.user_id, arrived.created, arrived.changed) == (was.user_id, False, False)
    assert bridge.user("ann")["external_id"] == "n-1"
    assert not bridge.arrivals.knows(ISSUER, "s-1")
    assert len(list(bridge.people.users())) == 1
    with change(bridge.database, bridge.id, actor="operator tester") as c, pytest.raises(Refused):
        take_over(c, "ann", source=moved, external_id="n-2")


def test_nobody_but_the_provider_knows_a_subject(bridge: SignIns) -> None:
    """A link to an identity provider needs the id; one is not made up."""
    bridge.sign_in("s-1", "ann")
    with (
        change(bridge.database, bridge.id, actor="operator tester") as c,
        pytest.raises(Refused, match="--external-id"),
    ):
        take_over(c, "ann", source="https://new.example.test/", external_id=None)


def _now(bridge: SignIns) -> datetime:
    """Return a time after what was done so far and before what is done next."""
    with bridge.database.read() as connection:
        at = connection.execute(
            schema.commits.select()
            .where(schema.commits.c.organization_id == bridge.id)
            .order_by(schema.commits.c.position.desc())
            .limit(1)
        ).one()
    last: datetime = at.at
    return last + timedelta(microseconds=1)


# --- explaining -------------------------------------------------------------------------------

CLAIMED = Claimed(
    {
        "username": ("username", "preferred_username"),
        "attributes.team": ("teams", "department.name"),
    },
    {
        ("role", "Staff"): ("staff",),
        ("role", "Boss"): ("bosses", "chiefs"),
        ("group", "/T/A"): ("t",),
    },
)


def test_a_person_is_explained_by_mapper_and_change_set(bridge: SignIns) -> None:
    """Without a directory: what the file says of the mapper, and the journal of the change set."""
    bridge.sign_in("s-1", "ann", attributes={"team": ("a",)}, gives={"staff": ["Staff", "/T/A"]})
    made = bridge.last_set()
    answer = SignedIn(bridge.people, CLAIMED).explain("ANN", role="staff", group="/t/a")
    assert (answer["present"], answer["live"], answer["user"]["external_id"]) == (
        True,
        False,
        "s-1",
    )
    told = {each["field"]: each for each in answer["fields"]}
    assert [
        (
            told[name]["value"],
            told[name]["mapper"],
            told[name]["attribute"],
            told[name]["change_set"],
        )
        for name in ("username", "first_name", "attributes.team")
    ] == [
        ("ann", "username", "preferred_username", made),
        (None, None, None, made),
        (["a"], "teams", "department.name", made),
    ]
    for kind in ("role", "group"):
        (source,) = answer[kind]["sources"]
        assert (answer[kind]["held"], source["mapper"], source["change_set"]) == (
            True,
            "staff",
            made,
        )


@pytest.mark.parametrize("shared", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("kind", "name", "reason", "named"),
    [
        ("role", "boss", "not_claimed", "mappers bosses, chiefs give it"),
        ("group", "A", "not_claimed", "mapper t gives it"),
        ("group", "/T/A", "not_claimed", "mapper t gives it"),
        ("role", "Admin", "no_mapper", "no claim mapper"),
        ("role", "nothing", "unknown_role", "no role of this name"),
        ("group", "nothing", "unknown_group", "no group of this name"),
    ],
)
def test_why_somebody_lacks_something_is_told(
    bridge: SignIns, kind: str, name: str, reason: str, named: str
) -> None:
    """A mapper that could give it, none that does, or no such thing."""
    bridge.sign_in("s-1", "ann", gives={"staff": []})
    asked: dict[str, Any] = {kind: name}
    answer = SignedIn(bridge.people, CLAIMED).explain("ann", **asked)[kind]
    assert (answer["held"], answer["reason"]) == (False, reason)
    assert named in answer["detail"]
    assert answer["next"]


def test_what_a_refused_sign_in_leaves_is_told_beside_it(bridge: SignIns) -> None:
    """Of the person himself and not of whoever wants his name."""
    bridge.sign_in("s-1", "ann", gives={"staff": []})
    bridge.sign_in("s-2", "bob", gives={"staff": []})
    refused(lambda: bridge.sign_in("s-2", "ann", gives={"staff": ["Staff"]}))
    explain = SignedIn(bridge.people, CLAIMED).explain
    notes = {name: explain(name, role="Staff")["role"]["notes"] for name in ("ann", "bob")}
    assert [each["reason"] for each in notes["bob"]] == ["person_quarantined"]
    assert notes["ann"] == []


def test_who_is_not_there_is_explained(bridge: SignIns) -> None:
    """Nobody of the name, a refused newcomer, somebody deleted for good."""
    explain = SignedIn(bridge.people, CLAIMED).explain
    answer = explain("nobody")
    assert (answer["present"], answer["known"], answer["reason"]) == (False, False, "not_signed_in")
    refusal = SignInRefused("essential_claim", "the claim tier is not gold")
    bridge.arrivals.quarantine(ISSUER, "s-1", refusal, username="eve")
    answer = explain("Eve")
    assert (answer["known"], answer["reason"]) == (True, "refused")
    assert "tier is not gold" in answer["detail"]
    user_id = bridge.sign_in("s-2", "ann").user_id
    accounts = Accounts(bridge.database, bridge.id, actor="operator tester")
    with accounts.change() as c:
        accounts.delete(c, user_id, "ann")
    assert explain("ann")["reason"] == "excluded"
