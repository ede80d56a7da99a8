"""People made and changed by hand: what is written, what is refused, and what the journal has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text, update

from syncd.access import passwords
from syncd.errors import LastOwner, NotFound, Refused
from syncd.records import Shapes, etag
from syncd.store import schema
from tests.store.managed import Managed
from tests.store.organization import MAPPER, Organization, Planned, container, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OWNER, ADMIN, SUPPORT = 1, 2, 3
PASSWORD = "correct horse battery"


@pytest.fixture
def acme(store_url: str, tmp_path: Path) -> Iterator[Managed]:
    """An organization of the admin provider with nobody in it."""
    managed = Managed(tmp_path, store_url, "admin")
    yield managed
    managed.app.close()


@pytest.fixture
def synced(store_url: str, tmp_path: Path) -> Iterator[tuple[Managed, Organization]]:
    """An organization whose people a directory brings, with three of them."""
    organization = Organization(store_url)
    managed = Managed(tmp_path, store_url, "ldap")
    with organization.leased():
        organization.sync(
            record("id-ann", "ann"),
            record("id-bob", "bob"),
            record("id-cyd", "cyd"),
            containers=[container("staff", "ann", "bob", "cyd")],
        )
        yield managed, organization
    managed.app.close()
    organization.database.close()


def rows(managed: Managed, table: Any, **wanted: object) -> list[dict[str, Any]]:
    """Return a table's rows with these values."""
    query = select(table).where(*(table.c[name] == value for name, value in wanted.items()))
    with managed.app.database().read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def journal(managed: Managed, user_id: int) -> list[tuple[str, Any, Any]]:
    """Return (kind, before, after) of a person's journal, oldest first."""
    found = rows(managed, schema.journal, user_id=user_id)
    return [
        (row["kind"], json.loads(row["before"] or "null"), json.loads(row["after"] or "null"))
        for row in sorted(found, key=lambda row: (row["change_set_id"], row["kind"]))
    ]


# --- making and editing -----------------------------------------------------------------------


def test_a_person_made_by_hand_waits_for_the_invitation(acme: Managed) -> None:
    """Whoever is made has the address as username, an identity, and cannot sign in yet."""
    shape = acme.by().users.create(email=" Mia@Example.org ", first_name="Mia", why="new")
    assert shape["username"] == "Mia@Example.org"
    assert (shape["provider"], shape["email_verified"], shape["enabled"]) == ("admin", False, False)
    assert [each["reason"] for each in shape["disabled_because"]] == ["unverified"]
    assert len(shape["external_id"]) == 36
    assert shape["mail"]["purpose"] == "invitation"
    assert journal(acme, shape["id"]) == [
        ("create", None, None),
        ("restrictions", {"invitation:unverified": False}, {"invitation:unverified": True}),
    ]
    (made,) = rows(acme, schema.change_sets)
    assert (made["actor"], made["why"]) == ("operator test", "new")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"email": "mia@example.org"}, "name_taken"),
        ({"email": "MIA@EXAMPLE.ORG", "username": "other"}, "name_taken"),
        ({"email": "other@example.org", "username": "Mia@example.ORG"}, "name_taken"),
        ({"email": "nobody"}, "invalid"),
        ({"email": "a@b"}, "invalid"),
        ({"email": "a b@example.org"}, "invalid"),
        ({"email": "a@example.org\nBcc: x@example.org"}, "invalid"),
        ({"email": "a@example.org", "username": "a\x00b"}, "invalid"),
        ({"email": "a@example.org", "first_name": "x" * 256}, "invalid"),
    ],
)
def test_a_person_that_cannot_be_is_refused(
    acme: Managed, wanted: dict[str, Any], reason: str
) -> None:
    """Names and addresses that are taken or are none are refused, and nothing is written."""
    acme.made("mia@example.org")
    with pytest.raises(Refused) as refused:
        acme.by().users.create(**wanted)
    assert refused.value.reason == reason
    assert len(rows(acme, schema.users)) == 1


def test_the_people_of_a_directory_are_made_and_edited_there(
    synced: tuple[Managed, Organization],
) -> None:
    """Where a directory brings the people, nobody is made, edited or given a password by hand."""
    managed, organization = synced
    ann = organization.user("ann")["id"]
    management = managed.by()
    attempts: tuple[Callable[[], object], ...] = (
        lambda: management.users.create(email="new@example.org"),
        lambda: management.users.create_many("new@example.org"),
        lambda: management.owners.found(email="new@example.org"),
        lambda: management.users.edit(ann, {"first_name": "Anna"}),
        lambda: management.invitations.send(ann),
        lambda: management.invitations.send_password(ann),
    )
    for attempt in attempts:
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.reason == "source_rules"
    assert organization.user("ann")["first_name"] == "Person"


def test_an_edit_is_journaled_field_by_field(acme: Managed) -> None:
    """Only the fields that change are written; the same again leaves nothing behind."""
    mia = acme.made("mia@example.org", first_name="Mia")
    wanted = {"first_name": "Maria", "last_name": "Lee", "username": "mia"}
    acme.by().users.edit(mia, wanted)
    shape = acme.by().users.edit(mia, wanted)
    assert (shape["username"], shape["first_name"], shape["last_name"]) == ("mia", "Maria", "Lee")
    assert journal(acme, mia)[2:] == [
        (
            "update",
            {"first_name": "Mia", "last_name": None, "username": "mia@example.org"},
            {"first_name": "Maria", "last_name": "Lee", "username": "mia"},
        )
    ]
    assert acme.by().users.id_of("MIA") == mia
    assert rows(acme, schema.users, id=mia)[0]["version"] == 2


def test_an_edit_of_what_changed_meanwhile_is_refused(acme: Managed) -> None:
    """Whoever read an older state is told so; with the present one the edit is made."""
    mia = acme.made("mia@example.org")
    users = acme.by().users
    seen = etag(users.get(mia))
    users.edit(mia, {"first_name": "Mia"}, if_match=seen)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: users.edit(mia, {"first_name": "Eve"}, if_match=seen),
        lambda: users.disable(mia, if_match=seen),
        lambda: users.enable(mia, if_match=seen),
        lambda: users.grant(mia, SUPPORT, if_match=seen),
        lambda: users.revoke(mia, SUPPORT, if_match=seen),
        lambda: users.delete(mia, if_match=seen),
    )
    for attempt in attempts:
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.reason == "stale"
    users.disable(mia, if_match=etag(users.get(mia)))


def test_a_changed_address_is_verified_anew(acme: Managed) -> None:
    """The new address is unverified until its link is opened; the person is not shut out."""
    mia = acme.verified("mia@example.org")
    reset = acme.by().invitations.send_password(mia)
    shape = acme.by().users.edit(mia, {"email": "maria@example.org"})
    assert (shape["email_verified"], shape["enabled"]) == (False, True)
    assert shape["mail"]["purpose"] == "verification"
    with pytest.raises(NotFound):
        acme.app.link(acme.secret(reset))
    secret = acme.secret(shape["mail"])
    assert acme.app.link(secret)["needs_password"] is False
    acme.app.redeem_link(secret)
    assert acme.by().users.get(mia)["email_verified"] is True


def test_one_edits_the_own_profile_and_nothing_else_of_it(acme: Managed) -> None:
    """A person changes his own names; the address, and somebody without a profile, are refused."""
    mia = acme.verified("mia@example.org")
    own = acme.as_role("User", user_id=mia).users
    assert own.edit_profile({"first_name": "Mia"})["first_name"] == "Mia"
    for fields in ({"email": "x@example.org"}, {"username": "x"}):
        with pytest.raises(Refused):
            own.edit_profile(fields)
    for nobody in (acme.as_role("Accountant", user_id=mia), acme.as_role("User", user_id=None)):
        with pytest.raises(Refused) as refused:
            nobody.users.edit_profile({"first_name": "Eve"})
        assert refused.value.reason == "not_allowed"


# --- many at once -------------------------------------------------------------------------------


def test_many_are_told_row_by_row(acme: Managed) -> None:
    """Rows that are new are made, the others are told with their reason; a dry run makes nobody."""
    there = acme.made("there@example.org")
    text_ = (
        "Surname;E-Mail;Given name\nLee;ann@example.org;Ann\n;nobody;\n"
        "Roe;ANN@example.org;\n;There@example.org;\n"
    )
    users = acme.by().users
    planned = users.create_many(text_, dry=True)
    assert len(rows(acme, schema.users)) == 1
    done = users.create_many(text_)
    for report in (planned, done):
        assert [(row["row"], row["status"]) for row in report["rows"]] == [
            (2, "created"),
            (3, "invalid"),
            (4, "exists"),
            (5, "exists"),
        ]
    assert done["counts"] == {"created": 1, "exists": 2, "invalid": 1}
    assert done["rows"][3]["id"] == there
    ann = users.get(done["rows"][0]["id"])
    assert (ann["first_name"], ann["last_name"]) == ("Ann", "Lee")
    assert done["rows"][0]["mail"]["link"]
    again = users.create_many(text_)
    assert again["counts"] == {"created": 0, "exists": 3, "invalid": 1}


def test_many_are_written_in_several_transactions(acme: Managed) -> None:
    """More than five hundred people are several changes, each with its own place in the feed."""
    emails = "\n".join(f"p{number}@example.org" for number in range(1_001))
    report = acme.by().users.create_many(emails, invite=False)
    assert report["counts"]["created"] == 1_001
    assert len(rows(acme, schema.change_sets)) == 3
    assert len({row["id"] for row in report["rows"]}) == 1_001


# --- disabling ----------------------------------------------------------------------------------


def test_who_is_disabled_here_stays_so_whatever_the_directory_says(
    synced: tuple[Managed, Organization],
) -> None:
    """A sync neither lifts what was disabled by hand nor does enabling lift the directory's own."""
    managed, organization = synced
    users = managed.by().users
    ann = organization.user("ann")["id"]
    shape = users.disable(ann, why="on leave")
    assert [(each["source"], each["reason"]) for each in shape["disabled_because"]] == [
        ("admin", "disabled")
    ]
    organization.sync(record("id-ann", "ann", first_name="Anna"))
    assert organization.user("ann")["enabled"] is False
    assert users.enable(ann)["enabled"] is True
    kinds = journal(managed, ann)
    assert kinds[-1] == ("restrictions", {"admin:disabled": True}, {"admin:disabled": False})
    assert (
        "restrictions",
        {"admin:disabled": False},
        {"admin:disabled": True, "because": "on leave"},
    ) in kinds


# --- owners and granting ------------------------------------------------------------------------


def test_the_last_owner_stays(acme: Managed) -> None:
    """Nobody takes the only owner's role, access or account away; with a second one they may."""
    first = acme.verified("first@example.org")
    users = acme.by().users
    users.grant(first, OWNER)
    for attempt in (users.disable, users.delete, lambda one: users.revoke(one, OWNER)):
        with pytest.raises(LastOwner):
            attempt(first)
    assert users.get(first)["enabled"]
    second = acme.verified("second@example.org")
    acme.by().owners.add(second)
    assert [each["id"] for each in acme.by().owners.list()] == [first, second]
    users.delete(first)
    assert [each["id"] for each in acme.by().owners.list()] == [second]


def test_an_invited_owner_stays_while_there_is_no_other(acme: Managed) -> None:
    """Whoever has not taken the invitation yet is the last owner where nobody else is one."""
    invited = acme.by().owners.found(email="first@example.org")["id"]
    users = acme.by().users
    for attempt in (users.delete, lambda one: users.revoke(one, OWNER)):
        with pytest.raises(LastOwner):
            attempt(invited)
    second = acme.verified("second@example.org")
    acme.by().owners.add(second)
    users.delete(invited)
    with pytest.raises(LastOwner):
        users.delete(second)


@pytest.mark.parametrize("by", ["Admin", "Support agent"])
def test_an_owners_account_is_touched_by_owners_only(acme: Managed, by: str) -> None:
    """Whoever is no owner neither makes one nor changes the account of one."""
    owner, other = acme.verified("owner@example.org"), acme.verified("other@example.org")
    acme.by().users.grant(owner, OWNER)
    acme.by().users.grant(other, OWNER)
    management = acme.as_role(by)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: management.users.edit(owner, {"first_name": "Eve"}),
        lambda: management.users.disable(owner),
        lambda: management.users.delete(owner),
        lambda: management.users.revoke(owner, OWNER),
        lambda: management.users.grant(acme.made("new@example.org"), OWNER),
        lambda: management.invitations.send_password(owner),
        lambda: management.owners.found(email="eve@example.org"),
    )
    for attempt in attempts:
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.reason == "owner_only"
    as_owner = acme.as_role("Owner").users
    assert as_owner.revoke(owner, OWNER)["roles"] == [{"name": "User", "sources": ["default"]}]


def test_nobody_grants_more_than_he_holds(acme: Managed) -> None:
    """A role with more than the granting person holds is refused; one with less is granted."""
    mia = acme.verified("mia@example.org")
    support = acme.as_role("Support agent").users
    with pytest.raises(Refused) as refused:
        support.grant(mia, ADMIN)
    assert refused.value.reason == "exceeds_own"
    acme.as_role("Admin").users.grant(mia, SUPPORT)
    assert acme.as_role("Admin").users.grant(mia, SUPPORT)["roles"] == [
        {"name": "Support agent", "sources": ["manual"]},
        {"name": "User", "sources": ["default"]},
    ]
    assert [row for row in journal(acme, mia) if row[0] == "grants"] == [
        ("grants", None, {"granted": [[SUPPORT, "manual"]], "revoked": []})
    ]
    with pytest.raises(NotFound):
        acme.by().users.grant(mia, 12_345)


def test_nobody_takes_a_stronger_account_over_by_its_address(acme: Managed) -> None:
    """Who may do less than a person cannot send that person's links to another address."""
    admin, plain = acme.verified("admin@example.org"), acme.verified("plain@example.org")
    acme.by().users.grant(admin, ADMIN)
    support = acme.as_role("Support agent").users
    with pytest.raises(Refused) as refused:
        support.edit(admin, {"email": "eve@example.org"})
    assert refused.value.reason == "exceeds_own"
    assert support.edit(admin, {"first_name": "Ada"})["first_name"] == "Ada"
    assert support.edit(plain, {"email": "eve@example.org"})["email"] == "eve@example.org"


def test_links_are_handed_on_by_operators_only(acme: Managed) -> None:
    """Without a mail server a person who manages others never sees their links."""
    told = acme.as_role("Admin").users.create(email="mia@example.org")["mail"]
    assert (told["sent"], told["link"]) == (False, None)
    assert told["next"] == "syncd invitations send acme mia@example.org"


# --- deleting and exclusions --------------------------------------------------------------------


def test_deleting_leaves_nothing_of_a_person(acme: Managed) -> None:
    """No table keeps a row of somebody deleted but the one that says so."""
    mia = acme.verified("mia@example.org", first_name="Mia")
    users = acme.by().users
    users.grant(mia, ADMIN)
    acme.by().invitations.send_password(mia)
    assert users.delete(mia, why="left") == {
        "organization": "acme",
        "id": mia,
        "username": "mia@example.org",
        "excluded": False,
    }
    with pytest.raises(NotFound):
        users.get(mia)
    for table in schema.metadata.sorted_tables:
        if "user_id" in table.c and table is not schema.journal:
            assert rows(acme, table, user_id=mia) == [], table.name
    assert journal(acme, mia) == [("delete", None, None)]
    # The name is free for somebody new, who is somebody else.
    assert acme.made("mia@example.org") > mia


def test_syncs_pass_over_a_deleted_person_until_the_exclusion_is_removed(
    synced: tuple[Managed, Organization],
) -> None:
    """A deleted person of a directory is not collected, and comes back as somebody new."""
    managed, organization = synced
    ann = organization.user("ann")["id"]
    assert managed.by().users.delete(ann, why="asked for it")["excluded"] is True
    assert organization.store.excluded() == frozenset({"id-ann"})
    (exclusion,) = managed.by().exclusions.list()
    assert (exclusion["username"], exclusion["external_id"]) == ("ann", "id-ann")
    assert (exclusion["actor"], exclusion["why"]) == ("operator test", "asked for it")
    # What the role's entry says of its members means nobody now.
    refs = organization.rows(schema.membership_refs, mapper=MAPPER)
    assert sorted(row["user_id"] is None for row in refs) == [False, False, True]
    found = managed.by().exclusions.find("ANN")
    managed.by().exclusions.remove(found["external_id"])
    with pytest.raises(NotFound):
        managed.by().exclusions.remove("id-ann")
    organization.sync(record("id-ann", "ann"))
    assert organization.user("ann")["id"] != ann
    assert organization.roles_of("ann") == ["staff"]
    objects = [
        (row["object"], row["kind"])
        for row in rows(managed, schema.object_journal)
        if row["object"] == "exclusion"
    ]
    assert objects == [("exclusion", "create"), ("exclusion", "delete")]


def test_a_plan_of_before_does_not_bring_an_excluded_person(
    synced: tuple[Managed, Organization],
) -> None:
    """A plan that was made before somebody was deleted does not make him when it is applied."""
    managed, organization = synced
    waiting = organization.plan(record("id-new", "new"), record("id-dan", "dan"))
    with managed.app.database().write() as connection:
        # As if he had come by another way, and was deleted, while the plan waited.
        connection.execute(
            schema.exclusions.insert().values(
                organization_id="acme",
                source="ldap",
                external_id="id-new",
                username="new",
                since=organization.rows(schema.organizations)[0]["created_at"],
                actor="test",
            )
        )
    organization.apply(waiting)
    assert organization.people.user("new") is None
    assert organization.user("dan")["enabled"]
    counts = organization.store.counts(waiting.run_id)
    assert (counts.kinds.get("create"), counts.conflicts) == (1, 1)


def test_a_deletion_takes_a_person_out_of_waiting_plans(
    synced: tuple[Managed, Organization],
) -> None:
    """A plan that waits does not keep, nor bring back, what it had of somebody deleted."""
    managed, organization = synced
    waiting = organization.plan(record("id-ann", "ann", first_name="Anna"))
    ann = organization.user("ann")["id"]
    managed.by().users.delete(ann)
    assert organization.rows(schema.plan_people, user_id=ann) == []
    organization.apply(waiting)
    assert organization.people.user("ann") is None


def test_who_is_deleted_while_a_sync_reads_stays_deleted(
    synced: tuple[Managed, Organization],
) -> None:
    """A run that has read somebody before he was deleted neither fails nor brings him back."""
    managed, organization = synced
    run_id = organization.begin()
    changed = [record(f"id-{name}", name, first_name="New") for name in ("ann", "bob")]
    organization.stage(run_id, changed, [container("staff", "ann", "bob", "cyd", role="crew")])
    managed.by().users.delete(organization.user("ann")["id"])
    shapes = Shapes(creating=frozenset({MAPPER}))
    conflicts, remarks = organization.store.plan(
        run_id, mappers=(MAPPER,), revoking=(MAPPER,), purge_before=None, shapes=shapes
    )
    organization.apply(Planned(run_id, conflicts, remarks, shapes))
    assert organization.people.user("ann") is None
    assert organization.user("bob")["first_name"] == "New"
    assert organization.roles_of("bob") == ["crew"]
    for table in (schema.users, schema.identities, schema.identity_keys, schema.grants):
        column = "id" if table is schema.users else "user_id"
        assert len({row[column] for row in organization.rows(table)}) == 2, table.name


# --- links and passwords ------------------------------------------------------------------------


def test_an_invitation_verifies_the_address_and_sets_the_password(acme: Managed) -> None:
    """The link lets its person in, once, with the password that he chose."""
    shape = acme.by().users.create(email="mia@example.org")
    secret = acme.secret(shape["mail"])
    told = acme.app.link(secret)
    assert (told["purpose"], told["needs_password"]) == ("invitation", True)
    assert (told["organization"], told["organization_name"]) == ("acme", "Acme Corp")
    for bad in (None, "", " " * 12, "short", "mia@EXAMPLE.org", "x" * 1_025):
        with pytest.raises(Refused) as refused:
            acme.app.redeem_link(secret, bad)
        assert refused.value.reason == "invalid"
    acme.app.redeem_link(secret, PASSWORD)
    person = acme.by().users.get(shape["id"])
    assert (person["email_verified"], person["enabled"]) == (True, True)
    (stored,) = rows(acme, schema.passwords)
    assert stored["hash"].startswith("$argon2id$")
    assert passwords.verify(stored["hash"], PASSWORD)
    for again in (acme.app.link, lambda one: acme.app.redeem_link(one, PASSWORD)):
        with pytest.raises(Refused) as refused:
            again(secret)
        assert refused.value.reason == "expired"
    by_link = rows(acme, schema.change_sets)[-1]
    assert by_link["actor"] == "user mia@example.org"
    assert [kind for kind, *_ in journal(acme, shape["id"])][2:] == [
        "password",
        "restrictions",
        "update",
    ]


def test_the_store_keeps_no_secret_of_a_link(acme: Managed) -> None:
    """What is stored of a link opens nothing."""
    shape = acme.by().users.create(email="mia@example.org")
    (row,) = rows(acme, schema.links)
    secret = acme.secret(shape["mail"])
    assert secret.encode() not in bytes(row["hash"])
    for guess in (bytes(row["hash"]).hex(), secret[:-1], secret + "A", "", "\udcff"):
        with pytest.raises(NotFound):
            acme.app.link(guess)


def test_a_link_sent_again_ends_the_one_before(acme: Managed) -> None:
    """Only the newest invitation works."""
    shape = acme.by().users.create(email="mia@example.org")
    again = acme.by().invitations.send(shape["id"])
    with pytest.raises(NotFound):
        acme.app.link(acme.secret(shape["mail"]))
    acme.app.redeem_link(acme.secret(again), PASSWORD)
    with pytest.raises(Refused):
        acme.by().invitations.send(shape["id"])


def test_a_link_ends_with_its_time(acme: Managed) -> None:
    """An invitation works for seven days, and is told as expired after that."""
    shape = acme.by().users.create(email="mia@example.org")
    (invited,) = acme.by().invitations.list()
    assert invited["expired"] is False
    with acme.app.database().write() as connection:
        row = rows(acme, schema.links)[0]
        assert (row["expires_at"] - row["created_at"]).days == 7
        past = row["created_at"] - (row["expires_at"] - row["created_at"])
        connection.execute(update(schema.links).values(expires_at=past))
    with pytest.raises(Refused) as refused:
        acme.app.redeem_link(acme.secret(shape["mail"]), PASSWORD)
    assert refused.value.reason == "expired"
    assert acme.by().invitations.list()[0]["expired"] is True


def test_a_new_password_ends_other_links_for_one(acme: Managed) -> None:
    """A password link works once, and replaces the password."""
    mia = acme.verified("mia@example.org", PASSWORD)
    first = acme.secret(acme.by().invitations.send_password(mia))
    acme.app.redeem_link(first, "another good password")
    (stored,) = rows(acme, schema.passwords)
    assert passwords.verify(stored["hash"], "another good password")
    assert not passwords.verify(stored["hash"], PASSWORD)
    assert rows(acme, schema.links, used_at=None) == []


def test_a_link_of_an_organization_that_is_gone_from_the_configuration_is_none(
    acme: Managed, store_url: str, tmp_path: Path
) -> None:
    """Links of organizations that the daemon does not serve any more open nothing."""
    shape = acme.by().users.create(email="mia@example.org")
    other = Managed(tmp_path, store_url, "admin", organization="other")
    try:
        with pytest.raises(NotFound):
            other.app.link(acme.secret(shape["mail"]))
    finally:
        other.app.close()


def test_people_of_another_organization_are_nobody_here(acme: Managed) -> None:
    """An id of another organization is not found, whatever is asked."""
    mia = acme.made("mia@example.org")
    with acme.app.database().write() as connection:
        connection.execute(text("UPDATE users SET organization_id = 'other'"))
    users = acme.by().users
    for attempt in (users.get, users.disable, users.enable, users.delete):
        with pytest.raises(NotFound):
            attempt(mia)
