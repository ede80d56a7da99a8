"""People of a former provider who sign in by the new one: who is taken over, and who is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import SignInRefused
from syncd.records import fold
from syncd.store import schema
from syncd.store.staging import allocate
from syncd.store.switching import SwitchStore
from tests.store.organization import container, record
from tests.store.signing_in import ISSUER
from tests.store.undone import undo

if TYPE_CHECKING:
    from tests.store.signing_in import SignIns

OWNER, ADMIN = 1, 2
ADDRESS = "ann@example.test"


def left_behind(bridge: SignIns, username: str = "ann", **fields: Any) -> int:
    """Write somebody down who was the directory's, and was left behind by a switch."""
    accounts = {"left": True, "role": None} | fields
    left, role = accounts.pop("left"), accounts.pop("role")
    with bridge.database.write() as connection:
        user_id = allocate(connection, "users", 1)
        row = {
            "id": user_id,
            "organization_id": bridge.id,
            "version": 1,
            "provider": "ldap",
            "username": username,
            "username_key": fold(username),
            "email": f"{username}@example.test",
            "email_key": f"{username}@example.test",
            "email_verified": True,
            "attributes": '{"room":["7"]}',
            "living": True,
            "enabled": not left,
        } | accounts
        connection.execute(schema.users.insert().values(**row))
        connection.execute(
            schema.identities.insert().values(
                organization_id=bridge.id,
                source="ldap",
                external_id=f"e-{user_id}",
                user_id=user_id,
                dn=f"uid={username}",
                fingerprint=b"",
            )
        )
    if left:
        bridge.execute(
            "INSERT INTO restrictions (user_id, source, reason, organization_id, since) "
            "VALUES (:user_id, 'provider', 'other_provider', :org, '2026-01-01 00:00:00')",
            user_id=user_id,
            org=bridge.id,
        )
    if role:
        bridge.manual(user_id, role)
    return user_id


def link_by(bridge: SignIns, policy: str | None) -> None:
    """Say by what people are taken over."""
    bridge.execute(
        "UPDATE organizations SET link_by = :policy WHERE id = :id", policy=policy, id=bridge.id
    )


# Of somebody who is left behind: policy, what is said, what is stored; whether he is taken over,
# or why not (None: a newcomer beside him).
CASES: dict[str, tuple[str | None, dict[str, Any], dict[str, Any], bool | str | None]] = {
    "username": ("username", {"username": "Ann"}, {}, True),
    "another-username": ("username", {"username": "bob"}, {}, None),
    "no-policy": (None, {"username": "ann"}, {}, "username_taken"),
    "named-only": ("named", {"username": "ann"}, {}, "username_taken"),
    "email-policy-and-username": ("verified-email", {"username": "ann"}, {}, "username_taken"),
    "email": (
        "verified-email",
        {"username": "a.smith", "fields": {"email": ADDRESS, "email_verified": True}},
        {},
        True,
    ),
    "email-not-verified-there": (
        "verified-email",
        {"username": "a.smith", "fields": {"email": ADDRESS, "email_verified": False}},
        {},
        None,
    ),
    "email-without-a-word": (
        "verified-email",
        {"username": "a.smith", "fields": {"email": ADDRESS}},
        {},
        None,
    ),
    "email-not-verified-here": (
        "verified-email",
        {"username": "a.smith", "fields": {"email": ADDRESS, "email_verified": True}},
        {"email_verified": False},
        None,
    ),
    "email-under-the-username-policy": (
        "username",
        {"username": "a.smith", "fields": {"email": ADDRESS, "email_verified": True}},
        {},
        None,
    ),
    "admin": ("username", {"username": "ann"}, {"role": ADMIN}, "username_taken"),
    "owner": ("username", {"username": "ann"}, {"role": OWNER}, "username_taken"),
    "admin-by-email": (
        "verified-email",
        {"username": "a.smith", "fields": {"email": ADDRESS, "email_verified": True}},
        {"role": ADMIN},
        None,
    ),
    "named-owner": ("named", {"username": "ann"}, {"role": OWNER, "left": False}, "username_taken"),
    "named-owner-by-username": (
        "username",
        {"username": "ann"},
        {"role": OWNER, "left": False},
        "username_taken",
    ),
    "not-left-and-no-administrator": (
        "username",
        {"username": "ann"},
        {"left": False},
        "username_taken",
    ),
    "missing": ("username", {"username": "ann"}, {"living": False}, None),
}


@pytest.mark.parametrize(("policy", "said", "stored", "outcome"), CASES.values(), ids=CASES)
def test_who_is_taken_over(
    bridge: SignIns,
    policy: str | None,
    said: dict[str, Any],
    stored: dict[str, Any],
    outcome: bool | str | None,  # noqa: FBT001 - a table's column
) -> None:
    """By what the switch said, exactly one, and never somebody who administers."""
    user_id = left_behind(bridge, **stored)
    link_by(bridge, policy)
    told = bridge.arrival("s-1", **said)
    seen = bridge.arrivals.foresee(told)
    if isinstance(outcome, str):
        with pytest.raises(SignInRefused) as caught:
            bridge.arrivals.arrive(told)
        assert caught.value.reason == outcome
        assert seen.refusal is not None
        assert (seen.refusal.reason, seen.linked) == (outcome, None)
        return
    arrived = bridge.arrivals.arrive(told)
    assert (arrived.linked, arrived.created) == (bool(outcome), not outcome)
    assert (arrived.user_id == user_id, arrived.enabled) == (bool(outcome), True)
    assert seen.linked == ("ann" if outcome else None)
    assert seen.enabled
    assert bridge.arrivals.knows(ISSUER, "s-1")


def test_an_address_of_several_says_nothing(bridge: SignIns) -> None:
    """Whoever else has it, verified or not: the newcomer is somebody new."""
    left_behind(bridge)
    left_behind(bridge, "ann2", email_key=ADDRESS, email_verified=False)
    link_by(bridge, "verified-email")
    arrived = bridge.sign_in("s-1", "a.smith", fields={"email": ADDRESS, "email_verified": True})
    assert (arrived.linked, arrived.created) == (False, True)


def test_who_is_taken_over_is_the_same_person(bridge: SignIns) -> None:
    """Id, attributes and what he holds stay; both ids are known; the journal has it all."""
    user_id = left_behind(bridge, "Ann")
    staff = bridge.sign_in("s-9", "zoe", gives={"x": ["Staff"]})
    bridge.execute("UPDATE grants SET user_id = :id WHERE user_id = :zoe", id=user_id, zoe=staff[0])
    bridge.execute("UPDATE grants SET source = 'manual' WHERE user_id = :id", id=user_id)
    link_by(bridge, "username")
    arrived = bridge.sign_in(
        "s-1", "ann", fields={"first_name": "Ann"}, gives={"a": ["Boss"]}, silent=["x"]
    )
    assert (arrived.user_id, arrived.linked, arrived.changed) == (user_id, True, True)
    ann = bridge.user("ann")
    assert (ann["provider"], ann["external_id"], ann["enabled"]) == ("idp", "s-1", True)
    assert (ann["username"], ann["attributes"]) == ("ann", {"room": ["7"]})
    assert bridge.held("s-1") == {"manual": {"Staff"}, "a": {"Boss"}}
    found = bridge.rows(schema.identities, user_id=user_id)
    assert {row["source"] for row in found} == {"ldap", ISSUER}
    assert bridge.journal("ann", "identity") == [
        ({"provider": "ldap"}, {"provider": "idp", "source": ISSUER, "external_id": "s-1"})
    ]
    assert bridge.journal("ann", "restrictions") == [
        ({"provider:other_provider": True}, {"provider:other_provider": False})
    ]
    # From here on he is known by his subject, whatever he is called.
    link_by(bridge, None)
    assert bridge.sign_in("s-1", "other", silent=["a", "x"]).user_id == user_id


def test_two_subjects_of_one_name_take_over_one_person_once(bridge: SignIns) -> None:
    """The second one finds the name taken by the first."""
    left_behind(bridge)
    link_by(bridge, "username")
    assert bridge.sign_in("s-1", "ann").linked
    with pytest.raises(SignInRefused):
        bridge.sign_in("s-2", "ann")


def test_a_name_that_is_taken_keeps_him_left_behind(bridge: SignIns) -> None:
    """Matched by his address, he would be called as somebody else is: nothing is written."""
    user_id = left_behind(bridge)
    bridge.sign_in("s-2", "bob")
    link_by(bridge, "verified-email")
    with pytest.raises(SignInRefused):
        bridge.sign_in("s-1", "bob", fields={"email": ADDRESS, "email_verified": True})
    assert not bridge.user("ann")["enabled"]
    assert bridge.rows(schema.identities, user_id=user_id, source=ISSUER) == []


def test_other_restrictions_stay(bridge: SignIns) -> None:
    """Whom somebody disabled here is taken over and stays out."""
    user_id = left_behind(bridge)
    bridge.execute(
        "INSERT INTO restrictions (user_id, source, reason, organization_id, since) "
        "VALUES (:user_id, 'admin', 'disabled', :org, '2026-01-01 00:00:00')",
        user_id=user_id,
        org=bridge.id,
    )
    link_by(bridge, "username")
    told = bridge.arrival("s-1", "ann")
    assert bridge.arrivals.foresee(told).enabled is False
    arrived = bridge.arrivals.arrive(told)
    assert (arrived.linked, arrived.enabled) == (True, False)
    assert [each["source"] for each in bridge.user("ann")["disabled_because"]] == ["admin"]


def test_taking_over_is_undone_but_for_the_identity(bridge: SignIns) -> None:
    """Ids are facts and stay; he is left behind again as far as that can be set back."""
    left_behind(bridge)
    link_by(bridge, "username")
    bridge.sign_in("s-1", "ann", gives={"a": ["Boss"]})
    with bridge.leased():
        report = undo(bridge, int(bridge.sets()[-1]["id"]))
    assert any("identity of ann" in str(each) for each in report["left_alone"])
    ann = bridge.user("ann")
    assert (ann["enabled"], bridge.held("s-1")) == (False, {})


def switch(bridge: SignIns, source: str, link: str | None = None) -> None:
    """Make another provider the organization's, as `syncd provider switch` does."""
    store = SwitchStore(bridge.database, bridge.id, source)
    with store.lease:
        run_id = store.begin_run("switch", dry=False)
        store.plan_switch(run_id, [])
        store.begin_switch(run_id, "operator tester", [])
        list(store.apply(run_id, 1_000))
        store.complete_switch(run_id, link, [])
        store.finish(run_id, "done", {})


def test_people_go_from_a_directory_to_a_provider_and_back(bridge: SignIns) -> None:
    """One person all the way, with the directory's roles; each provider knows its own id of him."""
    bridge.execute("UPDATE organizations SET provider = 'ldap' WHERE id = :id", id=bridge.id)
    with bridge.leased():
        bridge.sync(record("e-1", "ann"), record("e-2", "bob"), containers=[container("st", "ann")])
    ann, bob = bridge.user("ann"), bridge.user("bob")
    with pytest.raises(SignInRefused, match="provider switch"):
        bridge.sign_in("s-1", "ann")
    switch(bridge, ISSUER, "username")
    assert not bridge.user("ann")["enabled"]
    arrived = bridge.sign_in("s-1", "Ann", gives={"a": ["Boss"]})
    assert (arrived.user_id, arrived.linked, arrived.enabled) == (ann["id"], True, True)
    assert bridge.held("s-1") == {"import roles": {"st"}, "a": {"Boss"}}
    switch(bridge, "ldap")
    with pytest.raises(SignInRefused, match="provider switch"):
        bridge.sign_in("s-1", "Ann")
    back = {name: bridge.user(name) for name in ("ann", "bob")}
    assert [each["external_id"] for each in back.values()] == ["e-1", "e-2"]
    assert [each["enabled"] for each in back.values()] == [True, True]
    switch(bridge, ISSUER)
    arrived = bridge.sign_in("s-1", "Ann", gives={"a": []})
    assert (arrived.user_id, arrived.linked, arrived.enabled) == (ann["id"], False, True)
    assert bridge.held("s-1") == {"import roles": {"st"}}
    assert bridge.user("bob")["id"] == bob["id"]
    assert not bridge.user("bob")["enabled"]
