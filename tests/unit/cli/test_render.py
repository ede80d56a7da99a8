"""What people read: sentences of each report, at every width."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from syncd.cli.render import (
    configuration,
    explain,
    identifying,
    model,
    people,
    runs,
    sessions,
    status,
)
from syncd.cli.render.changes import change_blocks, danger
from syncd.cli.screen import Screen
from syncd.cli.words import cells
from syncd.permissions import SECTIONS
from tests.unit.cli import recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.cli.blocks import Block

REPORTS: dict[str, Any] = {
    "plan": lambda: runs.run_blocks(recorded.PLANNED),
    "sync": lambda: runs.run_blocks(recorded.DONE),
    "truncated": lambda: runs.run_blocks(recorded.TRUNCATED),
    "blocked": lambda: runs.run_blocks(recorded.BLOCKED, limit=None),
    "runs": lambda: runs.list_blocks("acme", [recorded.DONE, recorded.BLOCKED]),
    "users": lambda: people.user_blocks("acme", recorded.USERS),
    "roles": lambda: people.role_blocks("acme", recorded.ROLES),
    "groups": lambda: people.group_blocks("acme", recorded.GROUPS),
    "remarks": lambda: runs.run_blocks({**recorded.DONE, "remarks": recorded.REMARKS}),
    "held": lambda: explain.explain_blocks("acme", recorded.HELD, "Engineers", "Research"),
    "lacked": lambda: explain.explain_blocks("acme", recorded.LACKED, "Admins"),
    "quarantine": lambda: people.quarantine_blocks("acme", recorded.QUARANTINE),
    "show": lambda: people.show_blocks(recorded.USERS[1]),
    "explain": lambda: explain.explain_blocks("acme", recorded.EXPLAINED),
    "absent": lambda: explain.explain_blocks("acme", recorded.ABSENT),
    "status": lambda: status.overview_blocks(recorded.STATUS),
    "status acme": lambda: status.one_blocks(recorded.STATUS[0]),
    "check": lambda: configuration.check_blocks(recorded.CHECKED),
    "mappers": lambda: configuration.mapper_blocks(recorded.MAPPERS),
    "check idp": lambda: configuration.check_blocks(recorded.PROVIDER_CHECKED),
    "token": lambda: identifying.verified_blocks(recorded.VERIFIED),
    "token refused": lambda: identifying.verified_blocks(recorded.TOKEN_REFUSED),
    "claims": lambda: identifying.tried_claims_blocks(recorded.ANSWERS["try_claims"]),
    "sessions": lambda: sessions.session_blocks("acme", recorded.SESSIONS),
    "session": lambda: sessions.ended_blocks(recorded.SESSIONS[0]),
    "db upgrade": lambda: configuration.upgraded_blocks(recorded.ANSWERS["db_upgrade"]),
    "db prune": lambda: configuration.pruned_blocks(recorded.ANSWERS["db_prune"]),
}


def shown(blocks: Sequence[Block], width: int | None = None, *, color: bool = False) -> str:
    """Return what a screen of this width shows."""
    stream = io.StringIO()
    Screen(stream, width=width, color=color).show(blocks)
    return stream.getvalue()


def flat(blocks: Sequence[Block]) -> str:
    """Return the words on a pipe, as one line."""
    return " ".join(shown(blocks).split())


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("name", REPORTS)
def test_every_report_fits_the_terminal(name: str, width: int) -> None:
    """No line is wider than the terminal, whatever its width."""
    for text in shown(REPORTS[name](), width).splitlines():
        assert cells(text) <= width, text


@pytest.mark.parametrize("name", REPORTS)
def test_wrapping_loses_no_word(name: str) -> None:
    """Apart from tables, a narrow terminal shows the same words as a pipe."""
    tables = {"plan", "blocked", "runs", "users", "roles", "groups", "quarantine", "status"}
    tables |= {"token", "token refused", "claims", "sessions"}
    if name not in tables | {"check", "mappers", "db prune"}:
        wide, narrow = flat(REPORTS[name]()), shown(REPORTS[name](), 60)
        assert "".join(wide.split()) == "".join(narrow.split())


def test_colours_are_only_added() -> None:
    """With colours the words are the same."""
    for blocks in REPORTS.values():
        colored = shown(blocks(), 80, color=True)
        assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == shown(blocks(), 80)


def test_a_plan_says_would() -> None:
    """A dry run speaks of what would be, a sync of what was done."""
    planned, done = flat(runs.run_blocks(recorded.PLANNED)), flat(runs.run_blocks(recorded.DONE))
    assert "would make the changes below; 1,204 people were read in 3.4 s." in planned
    assert "would mark 1 missing, rename 1, update 2, create 3; 1,198 unchanged" in planned
    assert "would" not in done
    assert "1 newly missing, 1 renamed, 2 updated, 3 created; 1,198 unchanged" in done


def test_counts_of_zero_are_left_out() -> None:
    """Only what is not zero is told."""
    text = flat(runs.run_blocks(recorded.DONE))
    assert "deleted" not in text
    assert "groups" not in text
    assert "conflict" not in text


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (recorded.IN_STEP, "would change nothing"),
        (recorded.NOTHING, "nothing had changed."),
        (recorded.FAILED, "failed in 3.4 s; the store is full."),
        (recorded.INTERRUPTED, "was interrupted in 3.4 s; what it had applied stays"),
        ({**recorded.PLANNED, "status": "superseded"}, "was replaced by a later run"),
        ({**recorded.PLANNED, "status": "expired"}, "has expired"),
        ({**recorded.DONE, "promoted_because": "the server changed"}, "It became a full sync: the"),
        ({**recorded.DONE, "mode": "user", "users": {"read": 1}}, "1 person was read"),
    ],
)
def test_the_headline_says_how_it_went(report: Any, sentence: str) -> None:
    """Each status has its sentence."""
    assert sentence in flat(runs.run_blocks(report))


def test_a_listing_that_is_not_complete_is_told() -> None:
    """A truncated listing names source, result code and what it means."""
    text = flat(runs.run_blocks(recorded.TRUNCATED))
    assert (
        "The listing of users is truncated after 3,000 entries in 3 pages, with result code 4:"
        " the server's size limit ended the search." in text
    )
    assert "Nothing was taken away" in text
    assert "The listing" not in flat(runs.run_blocks(recorded.DONE))


def test_a_blocked_plan_names_reasons_and_the_command() -> None:
    """Somebody who wants to approve finds the exact line."""
    text = shown(runs.run_blocks(recorded.BLOCKED), 60)
    assert "  - missing: 812 people is above the limit of 500." in text
    assert any(line.endswith("syncd approve r-000022") for line in text.splitlines())
    assert "mark 812 missing" in text


def test_the_most_dangerous_changes_come_first() -> None:
    """Losing people comes before losing roles, privileged grants, renames and the rest."""
    ranked = sorted(recorded.CHANGES, key=danger)
    assert [(change["kind"], change["username"]) for change in ranked] == [
        ("missing", "linus"),
        ("revoke", "grace.hopper"),
        ("grant", "grace.hopper"),
        ("rename", "j.müller"),
        ("update", "alan.turing"),
        ("grant", "ada.lovelace"),
        ("create", "ada.lovelace"),
    ]


def test_twenty_changes_and_then_how_many_more() -> None:
    """A long plan is cut after 20 rows, and says where the rest is."""
    changes = recorded.CHANGES[:1] * 1030
    report = {**recorded.PLANNED, "changes": changes}
    text = shown(runs.run_blocks(report))
    assert text.count("ada.lovelace") == 20
    # The application counts no further than this for people.
    assert "… and at least 1,010 more:  syncd runs show r-000020" in text
    some = {**report, "changes": changes[:25]}
    assert "… and 5 more:  syncd runs show r-000020" in shown(runs.run_blocks(some))
    assert shown(change_blocks(report, changes, would=True, limit=None)).count("ada") == 1030


def test_changes_show_old_and_new() -> None:
    """A change names field, old and new value, and its cause."""
    text = flat(change_blocks(recorded.PLANNED, recorded.CHANGES, would=True, limit=20))
    assert "rename j.müller j.müller -> jürgen.müller username" in text
    assert "update alan.turing last name: Turin -> Turing" in text
    assert "revoke grace.hopper role Interns import roles" in text


def test_explain_names_attribute_mapper_and_run() -> None:
    """Each field and role has its origin."""
    text = flat(explain.explain_blocks("acme", recorded.EXPLAINED))
    assert (
        "grace.hopper@acme.example <- mail = Grace.Hopper@acme.example (mapper email, run r-000011)"
        in text
    )
    assert "username grace.hopper <- uid (mapper username, run r-000003)" in text
    assert (
        "Engineers given by mapper import roles in run r-000003, because"
        " cn=engineers,ou=roles,dc=acme,dc=example has the member cn=Hopper" in text
    )
    assert "User everyone has it" in text
    assert "The store has other values of: email." in text


def test_explain_of_one_role_leaves_the_others_out() -> None:
    """--role shows that role alone; --group a group with the way through the groups in it."""
    text = flat(explain.explain_blocks("acme", recorded.HELD, "engineers"))
    assert "cn=engineers" in text
    assert "everyone has it" not in text
    assert "Fields" not in text
    assert "Groups" not in text
    text = flat(explain.explain_blocks("acme", recorded.HELD, group="Research"))
    assert (
        "Research given by mapper teams in run r-000004, because cn=compilers,ou=teams,"
        "dc=acme,dc=example has the member cn=Hopper\\, Grace,ou=Research,ou=users,dc=acme,"
        "dc=example, which is in cn=tools,ou=teams,dc=acme,dc=example, which is in"
        " cn=research,ou=teams,dc=acme,dc=example" in text
    )
    assert "cn=engineers" not in text


def test_explain_of_a_role_that_is_not_had() -> None:
    """A role that a person lacks gets the reason, a next step, doubts and the list of roles."""
    text = flat(explain.explain_blocks("acme", recorded.LACKED, "Admins"))
    assert (
        "grace.hopper does not have the role Admins: only cn=admins,ou=roles,dc=acme,dc=example"
        " gives it, and it does not have this person as a member. Add the person there in the"
        " directory; the next sync gives it. - The members of cn=admins,ou=roles,dc=acme,dc=example"
        " were not all read." in text
    )
    assert "syncd roles acme" in text
    # Beside an absence as well.
    gone = {**recorded.ABSENT, "group": recorded.LACKED["role"]}
    text = flat(explain.explain_blocks("acme", gone, group="admins"))
    assert "nobody is not in acme" in text
    assert "nobody is not in the group Admins: only cn=admins" in text


def test_remarks_on_the_directory_are_told() -> None:
    """A report has the first of them and the command that shows all; a run in full has all."""
    report = {**recorded.DONE, "remarks": recorded.REMARKS}
    text = flat(runs.run_blocks(report))
    assert "- cn=team0,ou=teams,dc=acme,dc=example: it cannot be a child of itself" in text
    assert "cn=team5" not in text
    assert "… and 2 more: syncd runs show r-000017" in text
    text = flat(runs.run_blocks(report, limit=None))
    assert "cn=team6" in text
    assert "more" not in text
    removed = {"kind": "removed_mapper", "mapper": "old", "dn": "", "detail": "it is gone"}
    assert "- mapper old: it is gone." in flat(runs.run_blocks({**report, "remarks": [removed]}))


def test_roles_and_groups_that_go_are_told_by_name() -> None:
    """They stand before what people lose, with their name."""
    goes = {
        "kind": "delete_group",
        "username": None,
        "external_id": None,
        "field": "groups",
        "old": "Interns",
        "new": None,
        "cause": "mapper teams made it, and the directory has it no more",
    }
    text = flat(change_blocks(recorded.PLANNED, [*recorded.CHANGES, goes], would=True, limit=20))
    assert "delete group - Interns mapper teams made it" in text
    assert text.index("delete group") < text.index("revoke")


def test_groups_are_shown_with_their_place() -> None:
    """The list has parents, mapper, DN, roles and members; a person's groups their paths."""
    text = flat(people.group_blocks("acme", recorded.GROUPS))
    assert (
        "Compilers /Research teams 1,042 Keeper cn=compilers,ou=teams,dc=acme,dc=example"
        " Research - - 0 - - 2 groups." in text
    )
    text = flat(people.user_blocks("acme", recorded.USERS))
    assert "State Roles Groups" in text
    assert "Engineers, User Compilers, Research" in text
    assert "Groups" not in flat(people.user_blocks("acme", recorded.USERS[1:]))
    text = flat(people.show_blocks(recorded.USERS[0]))
    assert "Groups /Research/Compilers by hand, mapper teams Research mapper teams" in text


def test_roles_are_shown_with_their_permission_sets() -> None:
    """The list has what each role is made of."""
    text = flat(people.role_blocks("acme", recorded.ROLES))
    assert "Engineers imported import roles 42 Desk, Books" in text


def test_a_role_of_a_group_is_told_with_the_group() -> None:
    """In a person's roles, in what explains one, and among what he may do, with the levels."""
    role = {"name": "Keeper", "sources": ["group:/Research", "manual"]}
    user = recorded.USERS[0] | {
        "roles": [role],
        "permissions": {"users": "edit", "roles": "none", "groups": "view"},
    }
    text = flat(people.show_blocks(user))
    assert "Keeper of the group /Research, by hand" in text
    assert text.endswith("Permissions users:edit, groups:view")
    source = {
        "mapper": "manual",
        "group": "/Research",
        "member_of": "/Research/Compilers",
        "because": [{"mapper": "manual"}],
    }
    report = {
        "username": "x",
        "present": True,
        "role": {"name": "Keeper", "held": True, "sources": [source]},
    }
    text = flat(explain.explain_blocks("acme", report, role="Keeper"))
    assert "the person is in /Research/Compilers below it: given by hand" in text


def test_permissions_are_shown_with_what_they_come_from() -> None:
    """Each section names the roles that give it the level that counts, not the lower ones."""
    report = {
        "username": "x",
        "enabled": False,
        "permissions": dict.fromkeys(SECTIONS, "edit"),
        "roles": [
            {"name": "A", "sources": [{"source": "m", "group": None, "member_of": None}]},
            {"name": "B", "sources": [{"source": "m", "group": "/g", "member_of": "/g/h"}]},
        ],
        "because": [
            {"section": "users", "level": "edit", "role": "A", "permission_set": "one"},
            {"section": "users", "level": "edit", "role": "A", "permission_set": "two"},
            {"section": "users", "level": "view", "role": "B", "permission_set": "one"},
        ],
    }
    text = flat(model.permission_blocks(report))
    assert text.startswith("x, who may not sign in")
    assert "users edit by A roles edit groups" in text
    assert "A mapper m B of the group /g, by /g/h below it" in text
    everybody = flat(model.everybody_blocks("acme", [report]))
    assert "x no everything:edit 1 person." in everybody


@pytest.mark.parametrize("reason", explain.ABSENCES)
def test_each_absence_has_a_meaning_and_a_next_step(reason: str) -> None:
    """The closed list of reasons is told in sentences."""
    report = {"username": "x", "present": False, "reason": reason, "run": "r-000022"}
    text = flat(explain.explain_blocks("acme", report))
    assert explain.ABSENCES[reason][0] in text
    assert text.startswith("x is disabled" if reason == "disabled" else "x is not in acme: ")
    assert "{" not in text
    assert len(shown(explain.explain_blocks("acme", report)).splitlines()) == 2


def test_the_detail_and_the_clause_are_shown() -> None:
    """What the application found out stands in place of the general sentence."""
    text = flat(explain.explain_blocks("acme", recorded.ABSENT))
    assert "nobody is not in acme: the entry cn=Nobody,ou=users" in text
    assert "It does not match (employeeType=staff)" in text


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        (people.user_blocks("acme", []), "acme has no people yet; bring them in with syncd sync"),
        (people.role_blocks("acme", []), "acme has no roles."),
        (people.group_blocks("acme", []), "acme has no groups; a group mapper brings them in:"),
        (people.quarantine_blocks("acme", []), "acme has no entry in quarantine."),
        (runs.list_blocks("acme", []), "acme has had no run yet"),
        (status.overview_blocks([]), "No organization is configured"),
        (configuration.check_blocks({"ok": True, "organizations": []}), "No organization is"),
    ],
)
def test_an_empty_list_says_so(blocks: list[Block], sentence: str) -> None:
    """Nothing to list is one sentence, not an empty table."""
    text = shown(blocks)
    assert sentence in " ".join(text.split())
    assert text.count("\n") == 1


def test_a_status_names_what_waits_for_a_person() -> None:
    """Blocked plans and pauses come with the command that settles them."""
    text = shown(status.overview_blocks(recorded.STATUS))
    assert "acme: plan r-000022 is blocked since 2026-02-02 11:00 UTC" in text
    assert "\n  syncd approve r-000022\n" in text
    assert "globex is paused: moving the directory" in text
    assert text.endswith("syncd resume globex\n")


def test_a_disabled_person_is_shown_with_the_reason() -> None:
    """Every restriction is told with source and time."""
    text = flat(people.show_blocks(recorded.USERS[1]))
    assert "in acme: disabled" in text
    assert "- missing from the directory (users) since 2026-02-01 10:00 UTC" in text
    assert "juergen.mueller@acme.example (not verified)" in text


def test_a_check_shows_what_the_directory_is() -> None:
    """The findings of --connect and the advice are listed."""
    text = flat(configuration.check_blocks(recorded.CHECKED))
    assert "server ldaps://ldap.acme.example: can be used" in text
    assert "ldaps://ldap2.acme.example: ldap2.acme.example:636 refused the connection." in text
    assert "TLSv1.3, certificate for ldap.acme.example, valid until 2026-02-12 08:00 UTC" in text
    assert "vendor OpenLDAP 2.5.13; looks like openldap, configured as other" in text
    assert "controls paged results not offered assertion" in text
    assert "paging 500 entries a page, although 1,000 are configured" in text
    assert "size limit 500 entries without pages" in text
    assert "changes by modify_timestamp: syncrepl cannot be used: load the syncprov" in text
    assert "ou=users,dc=acme,dc=example: 500 entries and more, 1 reference out of it" in text
    assert "readable uid, mail 92% (of 50 users) not seen employeeNumber" in text
    assert "identity entryUUID: unique" in text
    assert "import roles ou=roles,dc=acme,dc=example: there is no such entry." in text
    assert "email grace.hopper@acme.example <- mail = Grace.Hopper@acme.example" in text
    assert "warning: acme binds in clear text." in text
    assert "advice: let the account read employeeNumber" in text
    assert "All is well with 1 organization." in text


def test_a_failed_check_says_why() -> None:
    """Faults and failed connections are told with the organization."""
    text = flat(configuration.check_blocks(recorded.CHECK_FAILED))
    assert "cannot be used: ldap.acme.example:636 refused the connection." in text
    fault = {"file": "acme.yaml", "line": 4, "key": "ldap.users_dn", "message": "is no DN"}
    faulty = {"ok": False, "organizations": [{"id": "acme", "faults": [fault, "another"]}]}
    text = shown(configuration.check_blocks(faulty))
    assert "  - acme.yaml:4: ldap.users_dn: is no DN\n  - another\n" in text
    assert "2 faults to correct." in text


def test_an_upgrade_of_a_current_store_changes_nothing() -> None:
    """Nothing to migrate is said in one sentence."""
    text = flat(configuration.upgraded_blocks({"from": "0001", "to": "0001", "applied": []}))
    assert text == "The store's schema is 0001; there is nothing to do."


def test_the_directorys_text_cannot_steer_the_terminal() -> None:
    """Escape sequences, line ends and bidirectional controls in names are written out."""
    user = {**recorded.USERS[0], "username": "a\x1b[2Jb\nc\u202ed"}
    for blocks in (people.user_blocks("acme", [user]), people.show_blocks(user)):
        text = shown(blocks, 120, color=False)
        assert "a\\x1b[2Jb\\x0ac\\u202ed" in text
        assert "\x1b" not in text


def test_pruning_names_what_it_removed() -> None:
    """Kinds of which nothing was old are left out; nothing at all is one sentence."""
    text = flat(configuration.pruned_blocks(recorded.ANSWERS["db_prune"]))
    assert text == (
        "Removed: 1,204 rows of the journal, 1 change set, 12 runs, 2 entries of the quarantine. "
        "1 plan waited too long and expired."
    )
    nothing = flat(configuration.pruned_blocks({"removed": {"runs": 0}, "expired": 0}))
    assert nothing == "Nothing is older than `retention` keeps it."


def test_the_schedule_is_told_by_mode() -> None:
    """Next runs, last successes, failures in a row, and when a plan that waits expires."""
    text = flat(status.one_blocks(recorded.STATUS[0]))
    assert "next run full 2026-02-03 02:00 UTC, changed 2026-02-02 11:15 UTC" in text
    assert "last success full 2026-02-02 10:00 UTC, changed 2026-02-02 10:45 UTC" in text
    assert "failed full 2 times in a row" in text
    assert "is blocked since 2026-02-02 11:00 UTC, and expires 2026-02-09 11:00 UTC" in text
    unscheduled = {**recorded.STATUS[0], "next": None, "last_success": {}, "failures": {}}
    text = flat(status.one_blocks(unscheduled))
    assert "next run not scheduled" in text
    assert "last success" not in text
    assert "failed" not in text


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"pending": "the name is A and would become B"}, "pending"),
        ({"paused": "moving"}, "paused"),
        ({"blocked_plans": [{"run": "r-1", "since": None, "reasons": []}]}, "blocked"),
        ({"lease": {"holder": "host-1:4711", "since": "2026-02-02T11:00:00Z"}}, "running"),
        ({}, "ready"),
    ],
)
def test_an_organizations_state_is_one_word(change: dict[str, Any], state: str) -> None:
    """What stops an organization most is its state, in the list and in full."""
    quiet = {**recorded.STATUS[0], "blocked_plans": []}
    assert f" {state} " in shown(status.overview_blocks([{**quiet, **change}]))
    in_full = shown(status.one_blocks({**quiet, **change}))
    assert in_full.startswith(f"acme (Acme Corp), provider ldap: {state}\n")
    assert ("held by host-1:4711 since 2026-02-02 11:00 UTC" in in_full) == (state == "running")
    assert ("would become B; its syncs wait" in in_full) == (state == "pending")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"mapper": "manual", "run": None}, "given by hand"),
        ({"mapper": "default"}, "everyone has it"),
        ({"mapper": "staff", "run": "r-1"}, "given by mapper staff in run r-1"),
        (
            {"mapper": "staff", "run": None, "change_set": "c-000007"},
            "given by mapper staff in change set c-000007",
        ),
        (
            {"mapper": "roles", "member_value": "cn=x"},
            "given by mapper roles, because the entry says cn=x",
        ),
        ({"mapper": "roles", "container_dn": "cn=x"}, "given by mapper roles, because of cn=x"),
        (
            {"mapper": "all", "membership": "everyone", "member_value": "R"},
            "given by mapper all, which gives it to everybody",
        ),
        (
            {
                "mapper": "roles",
                "membership": "member_of",
                "container_dn": "cn=x",
                "member_value": "CN=x",
            },
            "given by mapper roles, because the entry says that it is in CN=x",
        ),
        (
            {
                "mapper": "roles",
                "membership": "primary_group",
                "container_dn": "cn=x",
                "member_value": "S-1-5-21-1-2-3-513",
                "through": ["cn=y"],
            },
            "given by mapper roles, because cn=y is the primary group (S-1-5-21-1-2-3-513),"
            " which is in cn=x",
        ),
    ],
)
def test_each_source_of_a_role_has_its_sentence(source: dict[str, Any], sentence: str) -> None:
    """Roles from hand, default, hardcoded mappers and the entry's own word are told apart."""
    report = {**recorded.EXPLAINED, "roles": [{"name": "R", "sources": [source]}]}
    assert f"  R  {sentence}\n" in shown(explain.explain_blocks("acme", report))


def test_a_disabled_persons_explanation_says_so() -> None:
    """The restrictions stand before the fields, and the journal's answer is named as such."""
    report = {**recorded.EXPLAINED, "user": recorded.USERS[1], "live": False, "roles": []}
    text = flat(explain.explain_blocks("acme", report))
    assert "Disabled: missing from the directory (users) since 2026-02-01 10:00 UTC." in text
    assert "Values as the journal has them; the directory was not asked." in text
    assert "No roles." in text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"field": "email_verified", "old": False, "new": True}, "email verified: no -> yes"),
        ({"field": "attributes.phone", "old": ["1", "2"], "new": None}, "phone: 1, 2 -> nothing"),
        ({"field": "attributes.phone", "old": None, "new": ["3"]}, "phone: 3"),
        ({"field": "x", "old": {"a": 1}, "new": "y"}, 'x: {"a": 1} -> y'),
        ({"field": None, "old": None, "new": None}, ""),
        ({"field": "first_name", "old": "A" * 70, "new": "B"}, f"first name: {'A' * 59}… -> B"),
    ],
)
def test_values_of_a_change(change: dict[str, Any], text: str) -> None:
    """Old and new values are written so that a person can compare them."""
    row = {"kind": "update", "username": "ada", "cause": "c", **change}
    assert flat(change_blocks({}, [row], would=True, limit=20)).endswith(
        f"update ada {text or '-'} c"
    )


def _then(would: str, **more: Any) -> dict[str, Any]:
    return {**recorded.VERIFIED, "then": {**recorded.VERIFIED["then"], "would": would, **more}}


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (recorded.VERIFIED, "A sign-in would make mia, who is not known yet."),
        (_then("update"), "A sign-in would change mia, who is known."),
        (_then("keep"), "A sign-in would change nothing of mia, who is known."),
        (_then("create", linked="m.old"), "A sign-in would take over m.old, whom a former"),
        (_then("keep", enabled=False), "mia may not sign in; see why with syncd show acme mia"),
        (
            _then("refuse", reason="username_taken", detail="mia is somebody else"),
            "A sign-in would be refused (username_taken): mia is somebody else.",
        ),
        (
            _then("unknown", detail="the store is not there"),
            "What a sign-in would do cannot be told: the store is not there.",
        ),
        ({**_then("let in"), "kind": "access"}, "The API would let mia in."),
        (
            {**_then("refuse", reason="shut_out", detail="see why"), "kind": "access"},
            "At the API the person would be refused (shut_out): see why.",
        ),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:24],
)
def test_what_a_token_would_lead_to(report: dict[str, Any], told: str) -> None:
    """Each way that a sign-in or a request can go is a sentence with the next step."""
    assert told in flat(identifying.verified_blocks(report))


def test_discovered_settings_are_yaml_with_remarks() -> None:
    """Everything that is no setting is a comment, so that all of it can go into the file."""
    text = shown(identifying.discovered_blocks(recorded.DISCOVERED))
    assert yaml.safe_load(text) == {"idp": recorded.DISCOVERED["idp"]}
    assert "  # also offered: groups\n  default_scopes: " in text
    assert "  # backchannel_logout: true\n" in text
    assert "# warning: The provider does not say" in text
