"""What takes back or ends through the API: a change set, an organization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from syncd.permissions import Level
from syncd.store.database import Database
from syncd.store.migrate import upgrade
from tests.integration.web.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.postgres import Postgres

OWNER, ADMIN, SUPPORT = 1, 2, 3


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The process over a store of each kind."""
    folder = tmp_path_factory.mktemp("endings")
    if request.param == "sqlite":
        url = f"sqlite:///{folder}/store.db"
        database = Database(url)
        upgrade(database)
        database.close()
        with Served(folder / "config", url) as found:
            yield found
        return
    cluster: Postgres = request.getfixturevalue("postgres")
    with (
        cluster.database(request.getfixturevalue("postgres_template")) as url,
        Served(folder / "config", url) as found,
    ):
        yield found


class Caller:
    """Asks with one token, and expects one status."""

    def __init__(self, served: Served, token: str, org: str = "acme") -> None:
        self.served, self.token, self.org = served, token, org

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Return the body of the answer."""
        answer = self.served.ask(method, f"/{self.org}{path}", body, token=self.token)
        assert answer.status == status, (method, path, answer.status, answer.raw)
        return answer.body if answer.raw else None


def test_a_change_set_is_taken_back(served: Served) -> None:
    """First only said, then done once; what is left of it is nothing, and the journal has both."""
    ask = Caller(served, served.token(all_=Level.EDIT))
    person = served.person("mia")
    role = ask("POST", "/roles", {"name": "Passing"}, 201)["id"]
    ask("PUT", f"/users/{person}/roles/{role}")
    change_set = ask("GET", "/journal?limit=1")["items"][0]["change_set"]
    path = f"/journal/{change_set}/undo"

    said = ask("POST", path, {"dry_run": True, "why": "only asked"})
    assert (said["status"], said["dry"], said["undoes"]) == ("planned", True, change_set)
    assert [(each["username"], each["kind"]) for each in said["changes"]] == [("mia", "revoke")]
    assert "Passing" in {each["name"] for each in ask("GET", f"/users/{person}")["roles"]}

    answer = served.ask("POST", f"/acme{path}", {"why": "a slip"}, token=ask.token)
    done = answer.body
    assert (answer.status, done["status"], done["paused"]) == (200, "done", None)
    assert answer.headers["location"].endswith(f"/runs/{done['run']}")
    assert "Passing" not in {each["name"] for each in ask("GET", f"/users/{person}")["roles"]}
    newest = ask("GET", "/journal?limit=1")["items"][0]
    assert (newest["undoes"], newest["why"]) == (change_set, f"undo of {change_set}: a slip")
    assert newest["actor"].startswith("token ")
    assert ask("GET", f"/journal/{change_set}")["undone_by"] == newest["change_set"]

    again = ask("POST", path, {})
    assert again["status"] == "done"
    assert again["reasons"] == ["nothing of it is left to be undone"]
    assert ask("POST", "/journal/c-999999/undo", {}, 404)["reason"] == "not_found"


def test_an_undo_takes_every_section_and_an_owner_where_owners_are_concerned(
    served: Served,
) -> None:
    """Whoever lacks a section, or is no owner and would make or unmake one, takes nothing back."""
    ask = Caller(served, served.token(all_=Level.EDIT))
    served.person("first", OWNER)
    person = served.person("second", OWNER)
    made = next(
        each["change_set"]
        for each in ask("GET", "/journal?person=second")["items"]
        if each["counts"]
    )
    narrow = Caller(served, served.token(organization="edit", users="edit", roles="edit"))
    assert narrow("POST", f"/journal/{made}/undo", {}, 403)["reason"] == "not_allowed"
    assert ask("POST", f"/journal/{made}/undo", {}, 403)["reason"] == "owner_only"
    assert "Owner" in {each["name"] for each in ask("GET", f"/users/{person}")["roles"]}


def test_an_owner_alone_deletes_the_organization_by_its_name(served: Served) -> None:
    """Nobody else does, nor under another name; then nobody is let in, and the others stand."""
    owner = served.person("olga", OWNER, org="beta")
    served.person("paul", ADMIN, org="beta")
    admin = Caller(served, served.token("beta", all_=Level.EDIT), "beta")
    ask = Caller(served, served.token("beta", user=owner, all_=Level.EDIT), "beta")
    assert admin("DELETE", "?name=Beta%20Corp", status=403)["reason"] == "owner_only"
    assert ask("DELETE", "?name=beta", status=422)["reason"] == "invalid"
    assert ask("DELETE", "", status=422)["reason"] == "invalid"
    assert len(ask("GET", "/users")["items"]) == 2
    deleted = ask("DELETE", "?name=Beta%20Corp")
    assert (deleted["organization"], deleted["deleted"]) == ("beta", True)
    assert deleted["rows"] > 2
    assert ask("GET", "", status=401)["reason"] == "not_authenticated"
    other = Caller(served, served.token(users="view"))
    assert other("GET", "/users")["items"]
    said = served.command("organization", "show", "beta", "--json")
    assert '"deleted_at": "' in said.stdout, said.stderr
