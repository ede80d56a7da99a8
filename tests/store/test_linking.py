"""Taking people of a former provider over when the directory brings them."""

from __future__ import annotations

import pytest

from syncd.records import fold
from syncd.store import schema
from tests.store.organization import Organization, container, record

ADMIN, OWNER = 2, 1


@pytest.fixture
def switched(acme: Organization) -> Organization:
    """An organization whose people were the admin provider's, and are left behind."""
    for number, name in enumerate(("ann", "bob", "cem"), 1001):
        _left_behind(acme, number, name)
    return acme


def _left_behind(acme: Organization, user_id: int, username: str, **fields: object) -> None:
    row = {
        "id": user_id,
        "organization_id": "acme",
        "version": 1,
        "provider": "admin",
        "username": username,
        "username_key": fold(username),
        "email": f"{username}@example.test",
        "email_key": f"{username}@example.test",
        "email_verified": True,
        "attributes": "{}",
        "living": True,
        "enabled": False,
    } | fields
    with acme.database.write() as connection:
        connection.execute(schema.users.insert().values(**row))
    acme.execute(
        "INSERT INTO identities (organization_id, source, external_id, user_id, fingerprint) "
        "VALUES ('acme', 'admin', :external_id, :user_id, :fingerprint)",
        external_id=f"uuid-{user_id}",
        user_id=user_id,
        fingerprint=b"",
    )
    acme.execute(
        "INSERT INTO restrictions (user_id, source, reason, organization_id, since) "
        "VALUES (:user_id, 'provider', 'other_provider', 'acme', '2026-01-01 00:00:00')",
        user_id=user_id,
    )


def _link_by(acme: Organization, policy: str) -> None:
    acme.execute("UPDATE organizations SET link_by = :policy", policy=policy)


def _privilege(acme: Organization, user_id: int, role_id: int) -> None:
    acme.execute(
        "INSERT INTO grants (user_id, role_id, source, organization_id) "
        "VALUES (:user_id, :role_id, 'manual', 'acme')",
        user_id=user_id,
        role_id=role_id,
    )


def test_a_newcomer_of_the_same_username_is_the_person_left_behind(
    switched: Organization,
) -> None:
    """The person keeps id, roles and journal, is the directory's now, and may sign in again."""
    _link_by(switched, "username")
    planned = switched.sync(record("e-1", "Ann", email="new@example.test"), record("e-2", "dee"))
    assert switched.kinds(planned)["Ann"] >= {"link", "email_change"}
    ann = switched.user("ann")
    assert (ann["id"], ann["provider"], ann["external_id"]) == (1001, "ldap", "e-1")
    assert (ann["username"], ann["email"], ann["enabled"]) == ("Ann", "new@example.test", True)
    assert ann["disabled_because"] == []
    assert switched.user("dee")["id"] not in {1001, 1002, 1003}
    assert not switched.user("bob")["enabled"]
    assert switched.journal("ann", "identity") == [
        ({"provider": "admin"}, {"provider": "ldap", "source": "ldap", "external_id": "e-1"})
    ]
    restrictions = switched.journal("ann", "restrictions")
    assert [after["provider:other_provider"] for _, after in restrictions] == [False]
    # Both ids stay: a switch back finds her again.
    found = switched.rows(schema.identities, user_id=1001)
    assert {row["source"] for row in found} == {"admin", "ldap"}


def test_whoever_was_taken_over_is_known_at_the_next_sync(switched: Organization) -> None:
    """The next sync finds an ordinary person of the directory."""
    _link_by(switched, "username")
    switched.sync(record("e-1", "ann"))
    planned = switched.plan(record("e-1", "ann", first_name="Anna"))
    assert switched.kinds(planned) == {"ann": {"update"}}
    switched.apply(planned)
    assert switched.user("ann")["first_name"] == "Anna"


@pytest.mark.parametrize("policy", ["", "named", "verified-email"])
def test_without_the_policy_a_username_is_taken(switched: Organization, policy: str) -> None:
    """Nobody is taken over by username unless the switch said so: the newcomer has to wait."""
    if policy:
        _link_by(switched, policy)
    planned = switched.plan(record("e-1", "ann", email="other@example.test"))
    assert [(each.username, each.reason) for each in planned.conflicts] == [
        ("ann", "username_taken")
    ]


@pytest.mark.parametrize(
    ("email", "verified", "linked"),
    [
        ("ann@example.test", True, True),
        ("ann@example.test", False, False),
        ("somebody@example.test", True, False),
    ],
    ids=["verified", "not-verified", "another"],
)
def test_an_address_counts_that_both_sides_verified(
    switched: Organization, email: str, *, verified: bool, linked: bool
) -> None:
    """By e-mail only an address is believed that both sides have verified."""
    _link_by(switched, "verified-email")
    planned = switched.plan(record("e-1", "a.smith", email=email, email_verified=verified))
    kinds = switched.kinds(planned)["a.smith"]
    assert ("link" in kinds, "create" in kinds) == (linked, not linked)


def test_an_address_of_several_people_links_nobody(switched: Organization) -> None:
    """Where two people or two entries have an address it says nothing."""
    _link_by(switched, "verified-email")
    twice = [
        record(each, each, email="ann@example.test", email_verified=True) for each in ("x", "y")
    ]
    assert "link" not in {
        kind for kinds in switched.kinds(switched.plan(*twice)).values() for kind in kinds
    }
    _left_behind(switched, 1010, "ann2", email_key="ann@example.test")
    kinds = switched.kinds(switched.plan(twice[0]))
    assert kinds == {"x": {"create"}}


@pytest.mark.rule("H16", server="sqlite")
@pytest.mark.rule("H16", server="postgresql")
@pytest.mark.parametrize("role_id", [OWNER, ADMIN], ids=["owner", "admin"])
@pytest.mark.parametrize("policy", ["username", "verified-email"])
def test_administrators_are_never_taken_over_unnamed(
    switched: Organization, policy: str, role_id: int
) -> None:
    """An entry that calls itself as an administrator does gets no account by that."""
    _link_by(switched, policy)
    _privilege(switched, 1001, role_id)
    entry = record("e-1", "ann", email_verified=True)
    planned = switched.plan(entry)
    assert [each.reason for each in planned.conflicts] == ["username_taken"]


@pytest.mark.parametrize("policy", ["named", "username", "verified-email"])
def test_an_owner_who_was_named_is_taken_over_by_username(
    switched: Organization, policy: str
) -> None:
    """Whoever was named at the switch kept the sign-in, and is taken over whatever the policy."""
    _link_by(switched, policy)
    _privilege(switched, 1001, OWNER)
    switched.execute("DELETE FROM restrictions WHERE user_id = 1001")
    switched.execute("UPDATE users SET enabled = :yes WHERE id = 1001", yes=True)
    switched.sync(record("e-1", "ann"))
    ann = switched.user("ann")
    assert (ann["id"], ann["provider"], ann["enabled"]) == (1001, "ldap", True)
    assert switched.journal("ann", "restrictions") == []


def test_two_entries_of_one_name_take_nobody_over(switched: Organization) -> None:
    """Which of them would be the person nobody can tell."""
    _link_by(switched, "username")
    planned = switched.plan(record("e-1", "ann"), record("e-2", "ANN"))
    assert {each.reason for each in planned.conflicts} == {"duplicate_username"}


def test_roles_of_the_directory_reach_whoever_is_taken_over(switched: Organization) -> None:
    """A container names the person by the new entry, in the same sync."""
    _link_by(switched, "username")
    switched.sync(record("e-1", "ann"), containers=[container("staff", "ann")])
    assert switched.roles_of("ann") == ["staff"]


def test_whoever_may_change_others_access_counts_as_an_administrator(
    switched: Organization,
) -> None:
    """A role of one's own that edits users is as good as Admin, also by a group above."""
    _link_by(switched, "username")
    switched.execute_all(
        "INSERT INTO roles (id, organization_id, name, name_key, kind, description) "
        "VALUES (900, 'acme', 'Helpers', 'helpers', 'custom', '')",
        "INSERT INTO role_permission_sets (role_id, permission_set_id, organization_id) "
        "VALUES (900, 2, 'acme')",
        "INSERT INTO groups (id, organization_id, name, name_key, kind, description, attributes) "
        "VALUES (901, 'acme', 'Help', 'help', 'custom', '', '{}')",
        "INSERT INTO group_roles (group_id, role_id, source, organization_id) "
        "VALUES (901, 900, 'manual', 'acme')",
        "INSERT INTO group_ancestors (group_id, ancestor_id, depth, organization_id) "
        "VALUES (901, 901, 0, 'acme'), (902, 901, 1, 'acme')",
        "INSERT INTO group_members (user_id, group_id, source, organization_id) "
        "VALUES (1001, 902, 'manual', 'acme')",
    )
    _privilege(switched, 1002, 900)
    planned = switched.plan(*(record(name) for name in ("ann", "bob", "cem")))
    assert {each.username for each in planned.conflicts} == {"ann", "bob"}
    assert "link" in switched.kinds(planned)["cem"]
