"""Who is let in at the API, and how far: tokens of programs and of people, and ways around them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from syncd.permissions import Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.web.served import Served

OWNER, ADMIN, SUPPORT = 1, 2, 3


def _ended(column: str, value: str) -> Callable[[Served, str], str]:
    def end(served: Served, token: str) -> str:
        number = int(token.split("_")[1])
        served.sql(f"update api_tokens set {column} = {value} where id = :id", id=number)
        return token

    return end


def _other_secret(served: Served, token: str) -> str:
    return token[:-1] + ("A" if token[-1] != "A" else "B")


@pytest.mark.parametrize(
    "break_",
    [
        pytest.param(lambda _s, _t: "nonsense", id="nonsense"),
        pytest.param(lambda _s, _t: "", id="empty"),
        pytest.param(lambda _s, t: t.replace("syncd_", "syncd_99", 1), id="unknown"),
        pytest.param(lambda _s, t: t + "A", id="longer"),
        pytest.param(lambda _s, t: t.upper(), id="upper case"),
        pytest.param(lambda _s, _t: f"syncd_{'9' * 18}_{'A' * 43}", id="large number"),
        pytest.param(lambda _s, _t: f"syncd_1_{'é' * 43}", id="not ascii"),
        pytest.param(_other_secret, id="another secret"),
        pytest.param(_ended("expires_at", "'2020-01-01 00:00:00.000000'"), id="expired"),
        pytest.param(_ended("revoked_at", "'2020-01-01 00:00:00.000000'"), id="revoked"),
    ],
)
def test_a_token_that_lets_nobody_in(served: Served, break_: Callable[[Served, str], str]) -> None:
    """Whatever is wrong with a token, the answer is one and the same."""
    token = break_(served, served.token(users="view"))
    answer = served.ask("GET", "/acme/users", token=token)
    assert (answer.status, answer.reason) == (401, "not_authenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="syncd", error="invalid_token"'
    assert "wrong, past its time or revoked" in answer.body["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"Authorization": "Basic YTpi"}, id="basic"),
        pytest.param({"Authorization": "Token x"}, id="another scheme"),
        pytest.param({"Cookie": "token=x"}, id="cookie"),
    ],
)
@pytest.mark.parametrize("path", ["/acme/users", "/acme", "/nowhere/users", ""])
def test_nobody_is_let_in_without_a_token(
    served: Served, headers: dict[str, str], path: str
) -> None:
    """Without a bearer token nothing is said, not even whether an organization is there."""
    answer = served.ask("GET", path, token=None, headers=headers)
    assert (answer.status, answer.reason) == (401, "not_authenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="syncd"'


@pytest.mark.parametrize(
    "path", ["", "/me", "/users", "/users/1", "/tokens", "/journal", "/changes"]
)
def test_another_organization_is_not_there(served: Served, path: str) -> None:
    """A token on another organization's path is told what it is told of one that nobody has."""
    token = served.token("beta", all_=Level.EDIT)
    there = served.ask("GET", f"/acme{path}", token=token)
    nowhere = served.ask("GET", f"/nowhere{path}", token=token)
    assert (there.status, there.reason) == (404, "not_found")
    assert (nowhere.status, nowhere.reason) == (404, "not_found")
    assert there.body["detail"].replace("acme", "nowhere") == nowhere.body["detail"]


def test_what_belongs_to_another_organization_is_not_there(served: Served) -> None:
    """Ids of another organization's things on one's own path find nothing."""
    mine = served.token("beta", all_=Level.EDIT)
    user = served.person("hidden")
    management = served.manage()
    role = management.roles.create("Hidden")["id"]
    set_ = management.permission_sets.create("Hidden", sections={"users": "view"})["id"]
    group = management.groups.create("Hidden")["id"]
    book = management.address_books.create("Hidden")["id"]
    token = served.token(users="view").split("_")[1]
    for path in (
        f"/users/{user}",
        f"/users/{user}/permissions",
        f"/roles/{role}",
        f"/roles/{role}/holders",
        f"/permission-sets/{set_}",
        f"/groups/{group}",
        f"/groups/{group}/members",
        f"/address-books/{book}",
        f"/address-books/{book}/entries",
        f"/tokens/{token}",
    ):
        answer = served.ask("GET", f"/beta{path}", token=mine)
        assert (answer.status, answer.reason) == (404, "not_found"), path
    changes: list[tuple[str, str, Any]] = [
        ("DELETE", f"/users/{user}", None),
        ("PATCH", f"/users/{user}", {"first_name": "x"}),
        ("POST", f"/users/{user}/disable", {}),
        ("PUT", f"/users/{user}/roles/{SUPPORT}", None),
        ("PATCH", f"/roles/{role}", {"name": "x"}),
        ("DELETE", f"/roles/{role}", None),
        ("DELETE", f"/permission-sets/{set_}", None),
        ("PUT", f"/groups/{group}/members/{user}", None),
        ("DELETE", f"/groups/{group}", None),
        ("DELETE", f"/address-books/{book}", None),
        ("DELETE", f"/tokens/{token}", None),
    ]
    for method, path, body in changes:
        answer = served.ask(method, f"/beta{path}", body, token=mine)
        assert (answer.status, answer.reason) == (404, "not_found"), path
    ours = served.manage("beta").groups.create("Ours")["id"]
    answer = served.ask("PUT", f"/beta/groups/{ours}/members/{user}", token=mine)
    assert (answer.status, answer.reason) == (404, "not_found")
    answer = served.ask("PUT", f"/beta/groups/{ours}/roles/{role}", token=mine)
    assert (answer.status, answer.reason) == (404, "not_found")
    answer = served.ask("POST", "/beta/roles", {"name": "R", "permission_sets": [set_]}, token=mine)
    assert answer.status in {404, 422}
    assert served.manage().users.get(user)["enabled"]


SECTIONS_OF = [
    ("organization", ["", "/runs", "/plans", "/tokens"]),
    ("users", ["/users", "/invitations", "/exclusions", "/changes"]),
    ("roles", ["/roles"]),
    ("permission_sets", ["/permission-sets"]),
    ("groups", ["/groups"]),
    ("address_books", ["/address-books"]),
]


@pytest.mark.parametrize(
    ("section", "path"), [(section, path) for section, paths in SECTIONS_OF for path in paths]
)
def test_each_resource_has_its_section(served: Served, section: str, path: str) -> None:
    """The section's view opens it, and everything else together does not."""
    assert (
        served.ask("GET", f"/acme{path}", token=served.token(section=(section, "view"))).status
        == 200
    )
    without = served.token(all_=Level.EDIT, section=(section, "none"))
    answer = served.ask("GET", f"/acme{path}", token=without)
    assert (answer.status, answer.reason) == (403, "not_allowed")


@pytest.mark.parametrize("path", ["/journal", "/quarantine"])
def test_what_tells_of_people_needs_their_section_too(served: Served, path: str) -> None:
    """Whoever may view the organization alone, as an accountant, reads nobody's name there."""
    both = served.token(organization="view", users="view")
    assert served.ask("GET", f"/acme{path}", token=both).status == 200
    for scopes in ({"organization": "view"}, {"users": "edit"}):
        (section,) = scopes.items()
        answer = served.ask("GET", f"/acme{path}", token=served.token(section=section))
        assert (answer.status, answer.reason) == (403, "not_allowed")


def test_the_journal_shows_no_more_than_the_sections(served: Served, everything: str) -> None:
    """Things of a section that is closed are left out of a change set."""
    body = {"name": "Unseen", "why": "for a journal"}
    role = served.ask("POST", "/acme/roles", body, token=everything).body
    newest = served.ask("GET", "/acme/journal?limit=1&object=role", token=everything).body
    path = f"/acme/journal/{newest['items'][0]['change_set']}"
    (shown,) = served.ask("GET", path, token=everything).body["objects"]
    assert (shown["object"], shown["id"]) == ("role", role["id"])
    narrow = served.token(organization="view", users="view")
    assert served.ask("GET", path, token=narrow).body["objects"] == []


@pytest.mark.parametrize(
    ("section", "method", "path", "body"),
    [
        ("users", "POST", "/users", {"email": "a@example.test"}),
        ("users", "PATCH", "/users/1", {"first_name": "x"}),
        ("users", "DELETE", "/users/1", None),
        ("users", "POST", "/users/1/disable", {}),
        ("users", "PUT", "/users/1/roles/3", None),
        ("users", "POST", "/users/1/invitation", {}),
        ("users", "DELETE", "/exclusions/ldap/x", None),
        ("roles", "POST", "/roles", {"name": "x"}),
        ("permission_sets", "POST", "/permission-sets", {"name": "x", "sections": {}}),
        ("groups", "POST", "/groups", {"name": "x"}),
        ("groups", "PUT", "/groups/1/members/1", None),
        ("groups", "PUT", "/users/1/groups/1", None),
        ("organization", "POST", "/tokens", {"name": "x", "scopes": {}, "expires_in": 1}),
        ("organization", "DELETE", "/tokens/1", None),
        ("organization", "POST", "/plans/r-1/approve", None),
    ],
)
def test_changing_needs_more_than_viewing(
    served: Served, section: str, method: str, path: str, body: Any
) -> None:
    """Whoever may only view is told which scope is lacking, before anything else is looked at."""
    token = served.token(all_=Level.EDIT, section=(section, "view"))
    answer = served.ask(method, f"/acme{path}", body, token=token)
    assert (answer.status, answer.reason) == (403, "not_allowed")
    expected = f'error="insufficient_scope", scope="{section}:edit"'
    assert answer.headers["www-authenticate"].endswith(expected)


class TestAPersonsToken:
    def test_it_has_the_lower_level_of_both(self, served: Served) -> None:
        """Neither the scope nor the person alone opens a section."""
        person = served.person("lower", SUPPORT)
        token = served.token(user=person, users="edit", groups="view", organization="edit")
        told = served.ask("GET", "/acme/me", token=token).body
        assert told["user_id"] == person
        assert told["name"].endswith("of lower")
        open_ = {name: level for name, level in told["permissions"].items() if level != "none"}
        assert open_ == {"users": "view", "groups": "view"}
        assert not told["owner"]

    def test_it_follows_the_person(self, served: Served) -> None:
        """It stops when the person may not sign in, works again after, and has the roles of now."""
        person = served.person("followed", SUPPORT)
        token = served.token(user=person, all_=Level.EDIT)
        admin = served.token(users="edit")
        steps: list[tuple[str, str, Any, int]] = [
            ("POST", f"/acme/users/{person}/disable", {}, 401),
            ("POST", f"/acme/users/{person}/enable", {}, 200),
        ]
        for method, path, body, status in steps:
            answer = served.ask(method, path, body, token=admin)
            assert answer.status == 200, answer.raw
            assert served.ask("GET", "/acme/users", token=token).status == status
        served.manage().users.revoke(person, SUPPORT)
        assert served.ask("GET", "/acme/users", token=token).status == 403
        served.manage().users.delete(person)
        assert served.ask("GET", "/acme/me", token=token).status == 401

    def test_only_the_whole_of_an_owner_is_an_owner(self, served: Served) -> None:
        """An owner's token for less than everything may not do what only an owner may."""
        owner = served.person("owner", OWNER)
        other = served.person("promoted")
        less = served.token(user=owner, all_=Level.EDIT, license="view")
        answer = served.ask("PUT", f"/acme/users/{other}/roles/{OWNER}", token=less)
        assert (answer.status, answer.reason) in [(403, "owner_only"), (403, "exceeds_own")]
        whole = served.token(user=owner, all_=Level.EDIT)
        assert served.ask("PUT", f"/acme/users/{other}/roles/{OWNER}", token=whole).status == 200


class TestEscalation:
    def test_a_token_for_more_than_its_maker_may(self, served: Served) -> None:
        """Neither a higher level nor another section, nor another person."""
        person = served.person("impersonated", ADMIN)
        maker = served.token(organization="edit", users="view")
        cases = [
            ({"organization": "edit", "users": "edit"}, None, "exceeds_own"),
            ({"roles": "view"}, None, "exceeds_own"),
            ({"users": "view"}, person, "not_allowed"),
        ]
        for scopes, user, reason in cases:
            body = {"name": "more", "scopes": scopes, "expires_in": 60}
            body |= {} if user is None else {"user_id": user}
            answer = served.ask("POST", "/acme/tokens", body, token=maker)
            assert (answer.status, answer.reason) == (403, reason)
        body = {"name": "as much", "scopes": {"users": "view"}, "expires_in": 60}
        answer = served.ask("POST", "/acme/tokens", body, token=maker)
        assert answer.status == 201
        assert served.ask("GET", "/acme/users", token=answer.body["token"]).status == 200

    def test_a_person_makes_tokens_for_himself_alone(self, served: Served) -> None:
        """What acts for a person has the person's name, and not somebody else's."""
        me, other = served.person("maker", ADMIN), served.person("somebody", ADMIN)
        mine = served.token(user=me, all_=Level.EDIT)
        body = {"name": "x", "scopes": {"users": "view"}, "expires_in": 60}
        assert served.ask("POST", "/acme/tokens", body | {"user_id": me}, token=mine).status == 201
        answer = served.ask("POST", "/acme/tokens", body | {"user_id": other}, token=mine)
        assert answer.reason == "not_allowed"

    @pytest.mark.parametrize("seconds", [366 * 86_400, 36_500 * 86_400])
    def test_a_token_without_an_end(self, served: Served, everything: str, seconds: int) -> None:
        """Nobody makes one that lives longer than the settings allow."""
        body = {"name": "x", "scopes": {"users": "view"}, "expires_in": seconds}
        answer = served.ask("POST", "/acme/tokens", body, token=everything)
        assert (answer.status, answer.reason) == (422, "invalid")

    def test_roles_and_groups_do_not_lift_anybody(self, served: Served) -> None:
        """No way of granting gives more than the one who grants has."""
        person = served.person("lifted")
        group = served.manage().groups.create("Lifting")["id"]
        strong = served.manage().groups.create("Strong", roles=[ADMIN])["id"]
        weak = served.token(users="edit", groups="edit", roles="edit", permission_sets="edit")
        cases: list[tuple[str, str, Any]] = [
            ("PUT", f"/users/{person}/roles/{OWNER}", None),
            ("PUT", f"/users/{person}/roles/{ADMIN}", None),
            ("PUT", f"/users/{person}/groups/{strong}", None),
            ("PUT", f"/groups/{strong}/members/{person}", None),
            ("PUT", f"/groups/{group}/roles/{ADMIN}", None),
            ("PUT", f"/groups/{group}/roles/{OWNER}", None),
            ("PUT", f"/groups/{strong}/children/{group}", None),
            ("POST", "/roles", {"name": "Much", "permission_sets": [ADMIN]}),
            ("POST", "/groups", {"name": "Much", "roles": [ADMIN]}),
            ("POST", "/permission-sets", {"name": "M", "sections": {"organization": "view"}}),
            ("POST", "/users", {"email": "much@example.test", "roles": [ADMIN]}),
        ]
        for method, path, body in cases:
            answer = served.ask(method, f"/acme{path}", body, token=weak)
            assert answer.status == 403, (path, answer.raw)
            assert answer.reason in {"exceeds_own", "owner_only"}, path
        assert [role["name"] for role in served.manage().users.get(person)["roles"]] == ["User"]

    def test_a_program_is_no_owner(self, served: Served, everything: str) -> None:
        """A token for everything that acts for nobody may not make an owner."""
        person = served.person("no-owner")
        answer = served.ask("PUT", f"/acme/users/{person}/roles/{OWNER}", token=everything)
        assert (answer.status, answer.reason) == (403, "owner_only")

    def test_the_personal_address_book_is_its_owners(self, served: Served, everything: str) -> None:
        """Not even a token for everything sees somebody's own book, or that it is there."""
        person = served.person("private")
        own = served.token(user=person, personal_profile="edit")
        book = served.ask("GET", "/acme/address-books/personal", token=own).body["id"]
        entry = {"nickname": "secret", "address": "s@example.test"}
        assert (
            served.ask("POST", f"/acme/address-books/{book}/entries", entry, token=own).status
            == 201
        )
        for path in (f"/address-books/{book}", f"/address-books/{book}/entries"):
            answer = served.ask("GET", f"/acme{path}", token=everything)
            assert (answer.status, answer.reason) == (404, "not_found")
        assert b"secret" not in served.ask("GET", "/acme/changes?limit=1000", token=everything).raw
        assert b"secret" not in served.ask("GET", "/acme/journal?limit=500", token=everything).raw


class TestFromTheMachine:
    def test_a_token_is_made_used_listed_and_revoked(self, served: Served) -> None:
        """The installed command makes one that is let in, shows when, and ends it."""
        words = ("--scope", "users:view", "--scope", "groups:edit", "--expires", "90d", "--json")
        made = served.command("token", "create", "acme", "--name", "backup", *words)
        assert made.returncode == 0, made.stderr
        report = json.loads(made.stdout)
        token, number = report["token"], report["id"]
        assert report["scopes"] == {"groups": "edit", "users": "view"}
        told = served.ask("GET", "/acme/me", token=token).body
        assert told["name"] == f"token {number} backup"
        # It is written beside the request.
        mine: dict[str, Any] = {}
        for _ in range(100):
            listed = json.loads(served.command("token", "list", "acme", "--json").stdout)
            (mine,) = [each for each in listed if each["id"] == number]
            if mine["last_used_at"]:
                break
        assert mine["last_used_at"]
        assert "token" not in mine
        assert served.command("token", "revoke", "acme", str(number)).returncode == 0
        assert served.ask("GET", "/acme/me", token=token).status == 401
        assert served.command("token", "revoke", "beta", str(number)).returncode == 7
        secret = token.split("_", 2)[2]
        assert secret not in served.log.read_text()
        for table in ("api_tokens", "object_journal", "idempotency_keys"):
            assert secret not in str(served.sql(f"select * from {table}"))

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (["--expires", "90d"], 2),
            (["--expires", "90d", "--scope", "user:all"], 2),
            (["--expires", "400d", "--all", "view"], 2),
            (["--expires", "1d", "--all", "view", "--user", "nobody"], 7),
        ],
    )
    def test_what_is_refused(self, served: Served, words: list[str], code: int) -> None:
        """Without an end, a scope or a person it is not made; one sentence says what to mend."""
        answer = served.command("token", "create", "acme", "--name", "x", *words)
        assert answer.returncode == code
        assert "Traceback" not in answer.stderr
        assert not answer.stdout

    def test_a_token_for_a_person(self, served: Served) -> None:
        """An operator makes one for anybody, by username."""
        person = served.person("named", SUPPORT)
        words = ("--all", "edit", "--expires", "1h", "--user", "named", "--json")
        made = json.loads(served.command("token", "create", "acme", "--name", "n", *words).stdout)
        assert made["user"] == {"id": person, "username": "named"}
        told = served.ask("GET", "/acme/me", token=made["token"]).body
        assert told["permissions"]["users"] == "view"


def test_making_and_revoking_are_journaled(served: Served) -> None:
    """Both stand in the journal, with the scopes and without anything secret."""
    tokens = served.manage().tokens
    made = tokens.create("seen", {"users": Level.VIEW}, lifetime=timedelta(hours=1), why="a test")
    tokens.revoke(made["id"])
    rows = served.sql(
        'select kind, "before", "after" from object_journal where object = \'token\''
        " and object_id = :id order by change_set_id",
        id=made["id"],
    )
    assert [row[0] for row in rows] == ["create", "update"]
    after = json.loads(rows[0][2])
    assert set(after) == {"name", "scopes", "user_id", "expires_at", "revoked_at"}
    assert json.loads(rows[1][2])["revoked_at"]
