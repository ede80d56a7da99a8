"""Each resource of the API from its making to its end, on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from syncd.permissions import SECTIONS, Level
from syncd.store.database import Database
from syncd.store.migrate import upgrade
from tests.integration.web.served import Served
from tests.store.organization import Organization, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.postgres import Postgres

ADMIN, SUPPORT = 2, 3


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The process over a store of each kind; corp has people of a directory."""
    folder = tmp_path_factory.mktemp("resources")
    if request.param == "sqlite":
        url = f"sqlite:///{folder}/store.db"
        database = Database(url)
        upgrade(database)
        database.close()
        yield from _running(folder, url)
        return
    cluster: Postgres = request.getfixturevalue("postgres")
    with cluster.database(request.getfixturevalue("postgres_template")) as url:
        yield from _running(folder, url)


def _running(folder: Path, url: str) -> Iterator[Served]:
    corp = Organization(url, id="corp")
    try:
        with corp.leased():
            corp.sync(record("e1", "ada"), record("e2", "bob"))
    finally:
        corp.database.close()
    with Served(folder / "config", url) as found:
        yield found


class Caller:
    """Asks with one token, and expects one status."""

    def __init__(self, served: Served, token: str, org: str = "acme") -> None:
        self.served, self.token, self.org = served, token, org

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Return the body of the answer."""
        path = f"/{self.org}{path}"
        answer = self.served.ask(method, path, body, token=self.token)
        assert answer.status == status, (method, path, answer.status, answer.raw)
        return answer.body if answer.raw else None


@pytest.fixture
def ask(served: Served) -> Caller:
    """Ask with a token for everything but what is an owner's."""
    return Caller(served, served.token(all_=Level.EDIT))


@pytest.fixture
def corp(served: Served) -> Caller:
    """The same in the organization whose people a directory has."""
    return Caller(served, served.token("corp", all_=Level.EDIT), "corp")


def test_a_person(served: Served, ask: Caller) -> None:
    """Made, found, edited, given a role, disabled, enabled and deleted."""
    body = {"email": "mia@example.test", "username": "mia", "first_name": "Mia", "invite": False}
    made = ask("POST", "/users", body, 201)
    path = f"/users/{made['id']}"
    assert made["mail"] is None
    shown = ask("GET", path)
    assert shown == {name: value for name, value in made.items() if name != "mail"}
    assert ask("POST", "/users", body, 409)["reason"] == "name_taken"
    for name, value in (
        ("username_prefix", "mi"),
        ("email", "MIA@example.test"),
        ("ids", made["id"]),
        ("provider", "admin"),
        ("restriction", "unverified"),
        ("external_id", made["external_id"]),
    ):
        found = ask("GET", f"/users?{name}={value}")["items"]
        assert shown["id"] in {each["id"] for each in found}, name
    assert ask("GET", "/users?username_prefix=mia&enabled=true")["items"] == []
    edited = ask("PATCH", path, {"last_name": "Moss", "first_name": None})
    assert (edited["first_name"], edited["last_name"]) == (None, "Moss")
    granted = ask("PUT", f"{path}/roles/{SUPPORT}")
    assert {"name": "Support agent", "sources": ["manual"]} in granted["roles"]
    holders = ask("GET", f"/roles/{SUPPORT}/holders")["items"]
    assert made["id"] in {each["user"]["id"] for each in holders}
    told = ask("GET", f"{path}/permissions")
    assert told["permissions"]["groups"] == "view"
    assert set(told["permissions"]) == set(SECTIONS)
    assert any(each["role"] == "Support agent" for each in told["because"])
    assert len(ask("DELETE", f"{path}/roles/{SUPPORT}")["roles"]) == 1
    disabled = ask("POST", f"{path}/disable", {"why": "on leave"})
    assert "disabled" in {each["reason"] for each in disabled["disabled_because"]}
    assert ask("POST", f"{path}/enable", {})["disabled_because"] == shown["disabled_because"]
    deleted = ask("DELETE", f"{path}?why=gone")
    assert deleted == {"id": made["id"], "username": "mia", "excluded": False}
    assert ask("GET", path, status=404)["reason"] == "not_found"


def test_many_people_at_once(served: Served, ask: Caller) -> None:
    """A table tells row by row; a dry run makes nobody, and the same table again nobody twice."""

    def table(text: str, query: str = "") -> Any:
        answer = served.ask(
            "POST",
            f"/acme/users/import?invite=false{query}",
            token=ask.token,
            raw=text.encode(),
            headers={"Content-Type": "text/csv; charset=utf-8"},
        )
        assert answer.status == 200, answer.raw
        return answer.body

    text = "email,first_name\nrow1@example.test,Öne\nrow2@example.test,Two\nnone,Three\n"
    counts = {"created": 2, "exists": 0, "invalid": 1}
    assert table(text, "&dry_run=true")["counts"] == counts
    assert ask("GET", "/users?username_prefix=row")["items"] == []
    made = table(text)
    assert made["counts"] == counts
    assert [row["status"] for row in made["rows"]] == ["created", "created", "invalid"]
    assert ask("GET", f"/users/{made['rows'][0]['id']}")["first_name"] == "Öne"
    assert table(text)["counts"] == {"created": 0, "exists": 2, "invalid": 1}
    assert table("plain1@example.test\nplain2@example.test\n")["counts"]["created"] == 2
    invited = ask("GET", "/invitations?limit=3")
    assert len(invited["items"]) == 3
    assert ask("GET", f"/invitations?after={invited['next']}")["items"]


def test_a_run(served: Served, corp: Caller) -> None:
    """It is listed and shown with its changes; one that waits for nobody is not approved."""
    (run,) = corp("GET", "/runs")["items"]
    assert run["status"] == "done"
    assert corp("GET", f"/runs/{run['run']}?changes=1")["more_changes"]
    changes = corp("GET", f"/runs/{run['run']}")["changes"]
    assert {each["username"] for each in changes} == {"ada", "bob"}
    accountant = Caller(served, served.token("corp", organization="view"), "corp")
    found = accountant("GET", f"/runs/{run['run']}")
    assert (found["changes"], found["more_changes"]) == ([], False)
    assert corp("GET", "/runs?status=failed")["items"] == corp("GET", "/plans")["items"] == []
    assert corp("GET", f"/plans/{run['run']}", status=404)["reason"] == "not_found"
    answer = corp("POST", f"/plans/{run['run']}/approve", status=409)
    assert answer["reason"] == "plan_not_approvable"
    assert corp("GET", "/quarantine?reason=nothing")["items"] == []


def test_people_of_a_directory(served: Served, corp: Caller) -> None:
    """What the source rules is read-only; the rest is not, and a deletion leaves an exclusion."""
    ada, bob = corp("GET", "/users")["items"]
    path = f"/users/{ada['id']}"
    for method, where, body in (
        ("POST", "/users", {"email": "new@example.test"}),
        ("PATCH", path, {"first_name": "Other"}),
        ("PATCH", path, {"email": "other@example.test"}),
    ):
        assert corp(method, where, body, 409)["reason"] == "source_rules"
    corp("PUT", f"{path}/roles/{SUPPORT}")
    assert not corp("POST", f"{path}/disable", {})["enabled"]
    assert corp("POST", f"{path}/enable", {})["enabled"]
    assert corp("DELETE", f"/users/{bob['id']}")["excluded"]
    (excluded,) = corp("GET", "/exclusions")["items"]
    assert (excluded["source"], excluded["external_id"]) == ("ldap", "e2")
    corp("DELETE", "/exclusions/ldap/nobody", status=404)
    assert corp("DELETE", "/exclusions/ldap/e2") == excluded
    assert corp("GET", "/exclusions")["items"] == []


def test_a_role_and_its_permission_set(ask: Caller) -> None:
    """A set with sections, a role with the set, both edited, in use, and deleted by force."""
    body: dict[str, Any] = {"name": "Watching", "sections": {"users": "view", "clients": "edit"}}
    set_ = ask("POST", "/permission-sets", body, 201)
    assert set_["sections"]["clients"] == "edit"
    assert set_["sections"]["roles"] == "none"
    role = ask("POST", "/roles", {"name": "Watcher", "permission_sets": [set_["id"]]}, 201)
    assert role["permission_sets"] == [{"id": set_["id"], "name": "Watching"}]
    assert ask("GET", f"/permission-sets/{set_['id']}")["roles"] == [
        {"id": role["id"], "name": "Watcher"}
    ]
    assert ask("POST", "/roles", {"name": "watcher"}, 409)["reason"] == "name_taken"
    assert ask("PATCH", f"/roles/{role['id']}", {"description": "w"})["description"] == "w"
    changed = ask("PATCH", f"/permission-sets/{set_['id']}", {"sections": {"clients": "none"}})
    assert (changed["sections"]["clients"], changed["sections"]["users"]) == ("none", "view")
    found = ask("GET", "/roles?kind=custom&name_prefix=watch")["items"]
    assert [each["name"] for each in found] == ["Watcher"]
    assert len(ask("GET", "/roles?kind=preconfigured")["items"]) == 6
    found = ask("GET", "/permission-sets?name_prefix=Watch")["items"]
    assert [each["id"] for each in found] == [set_["id"]]
    for what, number in (("roles", ADMIN), ("permission-sets", ADMIN)):
        assert ask("PATCH", f"/{what}/{number}", {"name": "X"}, 409)["reason"] == "preconfigured"
        assert ask("DELETE", f"/{what}/{number}", status=409)["reason"] == "preconfigured"
    assert ask("DELETE", f"/permission-sets/{set_['id']}", status=409)["reason"] == "in_use"
    ask("DELETE", f"/permission-sets/{set_['id']}?force=true", status=204)
    ask("DELETE", f"/roles/{role['id']}", status=204)
    ask("GET", f"/roles/{role['id']}", status=404)


def test_a_group(served: Served, ask: Caller) -> None:
    """With a role, a child and a member, who has the role from above; circles are refused."""
    person = served.person("grouped")
    top = ask("POST", "/groups", {"name": "Top", "roles": [SUPPORT]}, 201)["id"]
    below = ask("POST", "/groups", {"name": "Below"}, 201)["id"]
    assert ask("PUT", f"/groups/{top}/children/{below}")["children"][0]["id"] == below
    assert ask("PUT", f"/groups/{below}/children/{top}", status=409)["reason"] == "would_cycle"
    joined = ask("PUT", f"/users/{person}/groups/{below}")
    assert joined["groups"] == [{"name": "Below", "path": "/Top/Below", "sources": ["manual"]}]
    assert ask("GET", f"/groups/{top}/members")["items"] == []
    (member,) = ask("GET", f"/groups/{top}/members?tree=true")["items"]
    assert (member["user"]["id"], member["ways"]) == (
        person,
        [{"source": "manual", "group_id": below}],
    )
    told = ask("GET", f"/users/{person}/permissions")
    assert told["permissions"]["users"] == "view"
    for query in (f"effective_role={SUPPORT}", f"group_tree={top}", f"group={below}"):
        assert person in {each["id"] for each in ask("GET", f"/users?{query}")["items"]}
    for query, names in (
        (f"parent={top}", ["Below"]),
        (f"role={SUPPORT}", ["Top"]),
        ("roots=true&name_prefix=to", ["Top"]),
    ):
        assert [each["name"] for each in ask("GET", f"/groups?{query}")["items"]] == names
    ask("PUT", f"/groups/{below}/members/{person}")
    ask("DELETE", f"/groups/{top}/roles/{SUPPORT}")
    assert ask("GET", f"/users/{person}/permissions")["permissions"]["users"] == "none"
    ask("PUT", f"/groups/{top}/roles/{SUPPORT}")
    ask("DELETE", f"/users/{person}/groups/{below}")
    ask("PUT", f"/groups/{below}/members/{person}")
    ask("DELETE", f"/groups/{below}/members/{person}")
    ask("DELETE", f"/groups/{top}/children/{below}")
    assert ask("PATCH", f"/groups/{top}", {"name": "Peak"})["path"] == "/Peak"
    ask("DELETE", f"/groups/{top}", status=204)
    ask("DELETE", f"/groups/{below}", status=204)


def test_a_shared_address_book(ask: Caller) -> None:
    """With entries that are found by tag and nickname, a page at a time."""
    book = ask("POST", "/address-books", {"name": "Partners"}, 201)["id"]
    path = f"/address-books/{book}/entries"
    made: Any = None
    for number in range(3):
        body = {"nickname": f"p{number}", "address": f"p{number}@example.test", "tags": ["t"]}
        made = ask("POST", path, body, 201)
    page = ask("GET", f"{path}?limit=2&tag=T")
    assert [each["nickname"] for each in page["items"]] == ["p0", "p1"]
    assert ask("GET", f"{path}?after={page['next']}")["items"] == [made]
    assert ask("GET", f"{path}?prefix=P1")["items"][0]["nickname"] == "p1"
    assert ask("GET", f"/address-books/{book}/tags") == ["t"]
    entry = f"{path}/{made['id']}"
    assert ask("PATCH", entry, {"comment": "c", "tags": []})["tags"] == []
    assert ask("GET", entry)["comment"] == "c"
    ask("DELETE", entry, status=204)
    ask("GET", entry, status=404)
    assert ask("PATCH", f"/address-books/{book}", {"name": "Friends"})["name"] == "Friends"
    first = ask("GET", "/address-books?limit=1")
    assert [each["id"] for each in first["items"]] == [book]
    ask("DELETE", f"/address-books/{book}", status=204)


def test_ones_own_profile_and_address_book(served: Served) -> None:
    """A person's token reads and edits the person's own, and the book goes with the person."""
    person = served.person("self")
    me = Caller(served, served.token(user=person, personal_profile="edit"))
    assert me("GET", "/me/profile")["username"] == "self"
    assert me("PATCH", "/me/profile", {"first_name": "Selma"})["first_name"] == "Selma"
    assert me("PATCH", "/me/profile", {"email": "x@example.test"}, 422)["reason"] == "invalid"
    book = me("GET", "/address-books/personal")
    assert (book["personal"], book["owner_id"]) == (True, person)
    entry = {"nickname": "n", "address": "n@example.test"}
    me("POST", f"/address-books/{book['id']}/entries", entry, 201)
    assert me("GET", "/address-books")["items"] == [book]
    assert me("POST", "/address-books", {"name": "Shared"}, 403)["reason"] == "not_allowed"
    program = Caller(served, served.token(personal_profile="edit", address_books="view"))
    assert program("GET", "/me/profile", status=403)["reason"] == "not_allowed"
    served.manage().users.delete(person)
    assert not served.sql("select id from address_books where owner_id = :id", id=person)


def test_decisions(served: Served, ask: Caller) -> None:
    """A hundred at once by id and username, as of now; one more, and nonsense, are refused."""
    person = served.person("decided", SUPPORT)
    questions: list[dict[str, Any]] = [
        {"user": person, "section": "users", "level": "view"},
        {"user": "DECIDED", "section": "users", "level": "edit"},
        {"user": "nobody", "section": "users", "level": "view"},
        {"user": str(person), "section": "users", "level": "view"},
    ]
    found = ask("POST", "/permissions/check", {"questions": questions})["answers"]
    assert [(each["allowed"], each["because"]) for each in found] == [
        (True, "granted"),
        (False, "lacks_permission"),
        (False, "unknown_user"),
        (False, "unknown_user"),
    ]
    ask("POST", f"/users/{person}/disable", {})
    many = {"questions": [questions[0]] * 100}
    found = ask("POST", "/permissions/check", many)["answers"]
    assert {each["because"] for each in found} == {"restricted"}
    wrong: dict[str, Any]
    for wrong in (
        {"questions": [questions[0]] * 101},
        {"questions": []},
        {"questions": [questions[0] | {"section": "everything"}]},
        {"questions": [questions[0] | {"level": "own"}]},
        {"questions": [questions[0] | {"user": 1.5}]},
    ):
        assert ask("POST", "/permissions/check", wrong, 422)["reason"] == "invalid"


def test_the_journal_and_the_feed(served: Served, ask: Caller) -> None:
    """Both tell who did what and why; the feed hides what is closed to whoever asks."""
    start = ask("GET", "/changes?after=now")
    assert (start["changes"], start["next"]) == ([], start["head"])
    role = ask("POST", "/roles", {"name": "Told", "why": "a test"}, 201)
    person = served.person("told")
    narrow = Caller(served, served.token(users="view"))
    ask("PUT", f"/users/{person}/roles/{role['id']}?why=because")
    seen = narrow("GET", f"/changes?after={start['next']}")["changes"]
    assert {each["object"] for each in seen} == {"user"}
    first = ask("GET", f"/changes?after={start['next']}&limit=1")
    (made,) = first["changes"]
    assert (made["object"], made["kind"], made["id"]) == ("role", "create", role["id"])
    assert made["why"] == "a test"
    assert made["actor"].startswith("token ")
    rest = ask("GET", f"/changes?after={first['next']}&wait=1")["changes"]
    assert (rest[-1]["object"], rest[-1]["id"], rest[-1]["why"]) == ("user", person, "because")
    newest = ask("GET", "/journal?limit=1")
    (change_set,) = newest["items"]
    assert (change_set["why"], change_set["actor"]) == ("because", made["actor"])
    whole = ask("GET", f"/journal/{change_set['change_set']}")
    (row,) = whole["rows"]
    assert (row["user_id"], row["kind"]) == (person, "grants")
    assert ask("GET", f"/journal?limit=1&after={newest['next']}")["items"] != newest["items"]
    for query in ("object=role", "person=told", "since=2020-01-01T00:00:00Z", "run=r-000001"):
        ask("GET", f"/journal?{query}")
    assert ask("GET", "/journal?until=2020-01-01T00:00:00%2B02:00")["items"] == []
    assert ask("GET", "/journal/c-999999", status=404)["reason"] == "not_found"


def test_tokens_and_the_organization(served: Served, ask: Caller) -> None:
    """A token is made, shown without its secret, listed in pages and revoked."""
    body = {"name": "made", "scopes": {"users": "view"}, "expires_in": 600, "why": "a test"}
    made = ask("POST", "/tokens", body, 201)
    assert made.pop("token").startswith(f"syncd_{made['id']}_")
    assert ask("GET", f"/tokens/{made['id']}") == made
    met: list[int] = []
    path = "/tokens?limit=2"
    while path:
        page = ask("GET", path)
        met += [each["id"] for each in page["items"]]
        path = f"/tokens?limit=2&after={page['next']}" if page["next"] else ""
    assert made["id"] in met
    assert met == sorted(set(met))
    assert ask("DELETE", f"/tokens/{made['id']}")["revoked_at"]
    shown = ask("GET", "")
    assert (shown["id"], shown["name"], shown["provider"]) == ("acme", "Acme Corp", "admin")
    listed = served.ask("GET", "", token=ask.token).body
    assert [each["id"] for each in listed["items"]] == ["acme"]
    me = ask("GET", "/me")
    assert (me["user_id"], me["owner"]) == (None, False)
    assert set(me["permissions"].values()) == {"edit"}
