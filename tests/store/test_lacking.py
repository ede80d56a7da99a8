"""Why somebody lacks a role, as far as the store alone knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from syncd.explain import Explainer
from syncd.records import ListingOutcome, Quarantined, Shapes, Verdict, fold
from tests.store.organization import MAPPER, SHUT, container, dn_of, member_of, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.store.organization import Organization


def lacks(acme: Organization, role: str = "staff") -> dict[str, Any]:
    """Ask why the first person lacks a role."""
    answer: dict[str, Any] = Explainer(acme.people, None, None).explain("p1", role=role)["role"]
    assert not answer["held"]
    return answer


def begin(acme: Organization, **more: Any) -> None:
    """Let there be a role that somebody else holds."""
    acme.sync(
        record("p1", **more),
        record("p2"),
        containers=[container("a", "p2", role="staff"), container("b", role="staff")],
    )


def finish(acme: Organization, **more: Any) -> None:
    """End a run that found this."""
    acme.store.finish(acme.begin(), "done", {}, **more)


def disabled(acme: Organization) -> None:
    """Disable the person."""
    acme.sync(record("p1", account=SHUT))


def bad_person(acme: Organization) -> None:
    """Put the person's entry in quarantine."""
    bad = Quarantined("users", "not_utf8", dn_of("p1"), "p1", "sn", "sn is no text", fold("p1"))
    finish(acme, quarantined=[bad])


def torn_container(acme: Organization) -> None:
    """Read an entry's members in part."""
    acme.sync(containers=[container("b", role="staff", whole=False)])


def bad_container(acme: Organization) -> None:
    """Put one of the entries that give the role in quarantine."""
    dn = container("b").dn
    finish(acme, quarantined=[Quarantined(MAPPER, "bad_role_name", dn, "id-b", "cn", "is blank")])


def short_listing(acme: Organization) -> None:
    """Let the mapper's last listing end early."""
    outcome = ListingOutcome(MAPPER, Verdict.TRUNCATED, 4, 1, 500, 0, "the size limit ended it")
    finish(acme, outcomes=[outcome])


@pytest.mark.parametrize(
    ("what", "note", "words"),
    [
        (disabled, "restricted", "the account is disabled"),
        (bad_person, "person_quarantined", "not_utf8: sn is no text"),
        (torn_container, "members_unknown", "cn=b,ou=roles,dc=example,dc=test were not all read"),
        (bad_container, "container_quarantined", "cn=b,ou=roles,dc=example,dc=test is in"),
        (short_listing, "listing_incomplete", "was truncated (the size limit ended it)"),
    ],
)
def test_what_the_books_may_not_know_is_a_note(
    what: Callable[[Organization], None], note: str, words: str, acme: Organization
) -> None:
    """The reason is that no entry has him; beside it stands what could make that wrong."""
    begin(acme)
    assert lacks(acme)["notes"] == []
    what(acme)
    answer = lacks(acme)
    assert answer["reason"] == "not_a_member"
    assert "none of the 2 directory entries that give it" in answer["detail"]
    (told,) = answer["notes"]
    assert told["reason"] == note
    assert words in told["detail"]


def test_an_entry_that_has_him_and_gives_nothing_yet_is_told(acme: Organization) -> None:
    """Somebody took the role away by hand: the books say that the next sync gives it again."""
    begin(acme)
    acme.sync(containers=[container("b", "p1", role="staff")])
    acme.execute("DELETE FROM grants WHERE user_id = :id", id=acme.user("p1")["id"])
    answer = lacks(acme)
    assert answer["reason"] == "not_given"
    assert answer["detail"].startswith("cn=b,ou=roles,dc=example,dc=test has this person")


def test_roles_that_nothing_gives_are_told_apart(acme: Organization) -> None:
    """A role of nobody, one by hand, a preconfigured one, one whose entry is gone."""
    begin(acme)
    acme.sync(gone=["a", "b"])
    acme.execute(
        "INSERT INTO roles (id, organization_id, name, name_key, kind, description)"
        " VALUES (999999, 'acme', 'Own', 'own', 'custom', '')"
    )
    for name, reason, words in (
        ("nothing", "unknown_role", "there is no role of this name"),
        ("own", "no_container", "made by hand"),
        ("admin", "no_container", "a preconfigured role"),
        ("STAFF", "no_container", f"mapper {MAPPER} made it, and the directory has no entry"),
    ):
        answer = lacks(acme, name)
        assert (answer["reason"], answer["containers"]) == (reason, [])
        assert words in answer["detail"]


def test_an_entry_named_otherwise_is_told_before_there_is_a_role(acme: Organization) -> None:
    """The directory's name is asked for, and the mapper makes another role of it."""
    acme.sync(record("p1"), containers=[container("crew", role="Sailors")])
    answer = lacks(acme, "crew")
    assert (answer["reason"], "the role Sailors" in answer["detail"]) == ("named_otherwise", True)
    acme.sync(containers=[container("crew", "p1", role="Sailors")])
    assert "the person is a member of cn=crew" in lacks(acme, "crew")["detail"]


def test_a_role_for_everybody_is_told_as_one_to_come(acme: Organization) -> None:
    """A hardcoded role whose mapper this person has not met yet."""
    everybody = container("all", role="staff", mapper="all")._replace(dn="")
    other = record("p2", memberships=member_of("all", mapper="all"))
    shapes = Shapes(creating=frozenset({"all"}))
    acme.sync(record("p1"))
    acme.sync(other, containers=[everybody], mappers=("all",), revoking=("all",), shapes=shapes)
    assert lacks(acme)["reason"] == "not_synced"
