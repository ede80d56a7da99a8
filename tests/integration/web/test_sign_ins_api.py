"""What portals ask of the running process: codes redeemed, sessions checked and ended."""

from __future__ import annotations

import threading
from base64 import b64encode
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest

from syncd.access.visits import Destination, Session, hash_of, new_secret
from syncd.app import App
from syncd.errors import NotAuthenticated
from syncd.permissions import Level
from syncd.store.sessions import NewSession, open_session
from tests.integration.web.served import ORGANIZATIONS, PORTAL_SECRET

if TYPE_CHECKING:
    from tests.integration.web.served import Answer, Served

REDIRECT = "https://intranet.example.test/in"
OTHER_SECRET = "another secret of another portal, as long as the first one"
NUMBERS = count()


def basic(client_id: str = "intranet", secret: str = PORTAL_SECRET) -> dict[str, str]:
    """Return the header of a client (RFC 6749 section 2.3.1)."""
    text = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": f"Basic {b64encode(text.encode()).decode()}"}


class SignedIn:
    """Somebody who has signed in, with a code for the portal."""

    def __init__(self, served: Served, username: str | None = None) -> None:
        self.served = served
        self.username = username or f"visitor-{next(NUMBERS)}"
        self.id = served.person(self.username)
        self.secret = new_secret()
        self.session = self.another(self.secret)

    def another(self, secret: str) -> Session:
        """Sign him in once more."""
        new = NewSession(
            hash=hash_of(secret),
            user_id=self.id,
            way="admin",
            address="192.0.2.7",
            agent="Browser",
            idle=timedelta(minutes=30),
            absolute=timedelta(hours=12),
        )
        return Session(**open_session(self.served.app.database(), "acme", new).shown())

    def code(self) -> str:
        """Return a new code for the portal."""
        url = self.served.app.go_on(self.session, Destination("intranet", REDIRECT, "s"))
        return parse_qs(urlsplit(url).query)["code"][0]

    def redeemed(self) -> str:
        """Let the portal know the session; return its id."""
        answer = ask(self.served, "redeem", code=self.code(), redirect_uri=REDIRECT)
        assert answer.status == 200, answer.raw
        return str(answer.body["session"]["id"])


def ask(served: Served, what: str, headers: Any = None, **body: Any) -> Answer:
    """Ask as the portal, or with other headers."""
    path = f"/api/v1/sign-ins/{what}"
    given = basic() if headers is None else headers
    return served.ask("POST", path, body, token=None, whole=True, headers=given)


def test_a_code_is_redeemed_for_the_person(served: Served) -> None:
    """Who it is, in which organization, with what he may do; nothing that lets anybody in."""
    ada = SignedIn(served, "ada")
    answer = ask(served, "redeem", code=ada.code(), redirect_uri=REDIRECT)
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    told = answer.body
    assert told["organization"] == {"id": "acme", "name": "Acme Corp"}
    assert (told["user"]["id"], told["user"]["username"]) == (ada.id, "ada")
    assert told["user"]["roles"] == [{"name": "User", "sources": ["default"]}]
    assert told["session"]["id"] == str(ada.session.id)
    assert told["session"]["way"] == "admin"
    assert told["permissions"]["personal_profile"] == "edit"
    assert ada.secret not in answer.raw.decode()


def test_a_code_works_once(served: Served) -> None:
    """A second time, it ends the session that it was made for: somebody else has seen it."""
    ada = SignedIn(served)
    code = ada.code()
    first = ask(served, "redeem", code=code, redirect_uri=REDIRECT)
    session = first.body["session"]["id"]
    again = ask(served, "redeem", code=code, redirect_uri=REDIRECT)
    assert (again.status, again.reason) == (410, "expired")
    assert ask(served, "check", organization="acme", session=session).body == {"active": False}
    assert served.app.session(ada.secret) is None
    assert '"code_reused"' in served.log.read_text()
    assert code not in served.log.read_text()


def test_of_many_at_once_one_redeems_a_code(served: Served) -> None:
    """However many requests bring it at the same time."""
    code = SignedIn(served).code()
    statuses: list[int] = []

    def redeem() -> None:
        statuses.append(ask(served, "redeem", code=code, redirect_uri=REDIRECT).status)

    threads = [threading.Thread(target=redeem) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, *[410] * 5]


def test_a_code_grows_old(served: Served) -> None:
    """After sixty seconds it is worth nothing; the session goes on."""
    ada = SignedIn(served)
    code = ada.code()
    served.sql("update handoffs set expires_at = created_at")
    assert ask(served, "redeem", code=code, redirect_uri=REDIRECT).status == 410
    assert served.app.session(ada.secret) is not None


@pytest.mark.rule("H6", server="sqlite")
def test_what_is_wrong_leaves_the_code_good(served: Served) -> None:
    """Another client, another secret or another redirect URI neither redeems nor uses it up."""
    code = SignedIn(served).code()
    for headers in (basic(secret="x" * 40), basic("elsewhere"), {}):
        wrong = ask(served, "redeem", headers, code=code, redirect_uri=REDIRECT)
        assert (wrong.status, wrong.reason) == (401, "not_authenticated")
        assert wrong.headers["www-authenticate"].startswith("Basic realm=")
        # And says nothing of the code.
        other = ask(served, "redeem", headers, code="no code", redirect_uri=REDIRECT)
        assert (other.status, other.body) == (wrong.status, wrong.body)
    for uri in (f"{REDIRECT}/", f"{REDIRECT}?", "https://intranet.example.test/IN", ""):
        assert ask(served, "redeem", code=code, redirect_uri=uri).status == 410
    assert ask(served, "redeem", code=code, redirect_uri=REDIRECT).status == 200


@pytest.mark.parametrize(
    ("headers", "members", "status"),
    [
        ({}, {"client_id": "intranet", "client_secret": PORTAL_SECRET}, 200),
        (basic(), {"client_id": "intranet", "client_secret": PORTAL_SECRET}, 422),
        (basic(), {"client_id": "intranet"}, 422),
        ({}, {"client_id": "intranet"}, 401),
        ({}, {"client_secret": PORTAL_SECRET}, 401),
        ({"Authorization": f"Bearer {PORTAL_SECRET}"}, {}, 401),
        ({"Authorization": "Basic"}, {}, 401),
        ({"Authorization": "Basic ***"}, {}, 401),
        ({"Authorization": f"Basic {b64encode(b'intranet').decode()}"}, {}, 401),
        ({"Authorization": f"Basic {b64encode(bytes(range(256))).decode()}"}, {}, 401),
        ({"Authorization": "Basic " + "A" * 8000}, {}, 401),
        # A secret that was not form-encoded has another value (RFC 6749 section 2.3.1).
        (
            {"Authorization": "Basic " + b64encode(f"intranet:{PORTAL_SECRET}+".encode()).decode()},
            {},
            401,
        ),
        (basic("x" * 3000), {}, 401),
        (basic(secret=PORTAL_SECRET + "\0"), {}, 401),
    ],
    ids=[
        *("document", "both", "name twice", "no secret", "no name", "bearer", "empty", "garbage"),
        *("no colon", "bytes", "too long", "not encoded", "long name", "longer"),
    ],
)
def test_a_client_names_itself_once(
    served: Served, headers: Any, members: dict[str, str], status: int
) -> None:
    """In the header or in the document, whole and right; anything else is told of alike."""
    answer = ask(served, "check", headers, organization="acme", session="1", **members)
    assert answer.status == status, answer.raw
    assert PORTAL_SECRET not in answer.raw.decode()
    assert PORTAL_SECRET not in served.log.read_text()


def test_a_session_is_checked_as_of_now(served: Served) -> None:
    """Changed names and roles show at once; whoever is disabled is not there any more."""
    ada = SignedIn(served)
    known = {"organization": "acme", "session": ada.redeemed()}
    users = served.manage().users
    users.edit(ada.id, {"first_name": "Augusta"})
    users.grant(ada.id, 3)
    told = ask(served, "check", **known).body
    assert told["active"] is True
    assert told["user"]["first_name"] == "Augusta"
    assert len(told["user"]["roles"]) == 2
    users.disable(ada.id)
    assert ask(served, "check", **known).body == {"active": False}


def test_a_portal_knows_the_sessions_that_it_was_told_of(served: Served) -> None:
    """By guessing ids it learns nothing and ends nothing."""
    ada = SignedIn(served)
    for session in (str(ada.session.id), "0", "-1", "x", "9" * 30, "٣"):
        known = {"organization": "acme", "session": session}
        assert ask(served, "check", **known).body == {"active": False}
        assert ask(served, "end", **known).body == {"ended": False, "location": None}
    assert served.app.session(ada.secret) is not None
    wrong = ask(served, "check", organization="beta", session=ada.redeemed())
    assert (wrong.status, wrong.reason) == (401, "not_authenticated")


def test_a_portal_ends_a_session(served: Served) -> None:
    """That one, or all of the person; then it holds nowhere any more."""
    ada = SignedIn(served)
    other = new_secret()
    ada.another(other)
    known = {"organization": "acme", "session": ada.redeemed()}
    assert ask(served, "end", **known).body == {"ended": True, "location": None}
    assert ask(served, "end", **known).body == {"ended": False, "location": None}
    assert served.app.session(ada.secret) is None
    assert served.app.session(other) is not None
    ada.session = ada.another(new_secret())
    known["session"] = ada.redeemed()
    assert ask(served, "end", **known, everywhere=True).body["ended"] is True
    assert served.app.session(other) is None


def test_secrets_stay_out_of_addresses_and_documents_are_small(served: Served) -> None:
    """A query is refused whatever it says, and so is a document that no portal would send."""
    path = "/api/v1/sign-ins/redeem"
    body = {"code": "x", "redirect_uri": REDIRECT}
    query = served.ask(
        "POST", f"{path}?client_secret=s", body, token=None, whole=True, headers=basic()
    )
    assert (query.status, query.reason) == (422, "invalid")
    large = served.ask(
        "POST", path, {**body, "code": "x" * 20_000}, token=None, whole=True, headers=basic()
    )
    assert (large.status, large.reason) == (413, "too_large")
    for method in ("GET", "DELETE"):
        assert served.ask(method, path, token=None, whole=True).status == 405


def test_a_portal_with_api_access_asks_as_the_person(served: Served) -> None:
    """With the person's own permissions, as long as the session holds, in this organization."""
    ada = SignedIn(served)
    assert (
        ask(served, "redeem", code=ada.code(), redirect_uri=REDIRECT).body["access_token"] is None
    )
    url = served.app.go_on(
        ada.session, Destination("console", "https://console.example.test/in?a=b", "x y&z")
    )
    assert url.startswith("https://console.example.test/in?a=b&code=")
    returned = parse_qs(urlsplit(url).query)
    assert (returned["state"], returned["iss"]) == (
        ["x y&z"],
        [f"http://127.0.0.1:{served.port}"],
    )
    headers = basic("console", PORTAL_SECRET[::-1])
    asked = {"code": returned["code"][0], "redirect_uri": "https://console.example.test/in?a=b"}
    token = ask(served, "redeem", headers, **asked).body["access_token"]
    assert token.startswith("syncd_session_")

    def status(path: str) -> int:
        return served.ask("GET", path, token=token).status

    me = served.ask("GET", "/acme/me", token=token)
    assert (me.status, me.body["user_id"]) == (200, ada.id), me.raw
    for portal in (None, {"api_access": False}):
        with pytest.raises(NotAuthenticated):
            _with_portal(served, portal).authenticate(token)
    assert _with_portal(served, {}).authenticate(token)[0] == "acme"
    assert (status("/acme/users"), status("/beta/me"), status("/acme/me")) == (403, 404, 200)
    served.manage().users.grant(ada.id, 2)
    assert status("/acme/users") == 200
    served.manage().users.disable(ada.id)
    assert status("/acme/me") == 401
    served.manage().users.enable(ada.id)
    # The session of before, which the sweep may have ended meanwhile.
    if status("/acme/me") == 200:
        served.app.sign_out(ada.secret)
    assert status("/acme/me") == 401
    for path in (served.log, served.folder.parent / "store.db"):
        assert token.encode() not in path.read_bytes()


def _with_portal(served: Served, changed: dict[str, Any] | None) -> App:
    """Return the application with the last portal changed; None: without it."""
    *others, console = ORGANIZATIONS["acme"]["portals"]
    portals = others if changed is None else [*others, console | changed]
    served.organization("acme", ORGANIZATIONS["acme"] | {"portals": portals})
    try:
        app = App.load(str(served.config), environ={})
    finally:
        served.organization("acme", ORGANIZATIONS["acme"])
    return app


@pytest.mark.rule("H3", server="sqlite")
def test_the_api_knows_no_cookies(served: Served) -> None:
    """A browser that has signed in opens nothing by that, whatever page makes it ask."""
    ada = SignedIn(served)
    headers = {"Cookie": f"__Host-syncd-session={ada.secret}"}
    assert served.ask("GET", "/acme/me", token=None, headers=headers).status == 401
    known = {"organization": "acme", "session": ada.redeemed()}
    assert ask(served, "end", headers, **known).status == 401
    assert served.app.session(ada.secret) is not None


class TestAdministrators:
    def test_see_and_end_sessions(self, served: Served) -> None:
        """Of the organization, page by page, and of one person; ended ones are gone."""
        people = [SignedIn(served) for _ in range(3)]
        viewer, editor = served.token(users="view"), served.token(users="edit")
        found: list[Any] = []
        after: str | None = ""
        while after is not None:
            page = served.ask("GET", f"/acme/sessions?limit=2{after}", token=viewer)
            assert page.status == 200, page.raw
            found += page.body["items"]
            after = None if page.body["next"] is None else f"&after={page.body['next']}"
        mine = {each["id"]: each for each in found}
        shown = mine[people[0].session.id]
        assert shown["user"] == {"id": people[0].id, "username": people[0].username}
        assert (shown["address"], shown["agent"], shown["way"]) == ("192.0.2.7", "Browser", "admin")
        assert people[0].secret not in str(shown)
        people[0].another(new_secret())
        own = f"/acme/users/{people[0].id}/sessions"
        assert len(served.ask("GET", own, token=viewer).body["items"]) == 2
        path = f"/acme/sessions/{people[1].session.id}"
        assert served.ask("DELETE", path, token=viewer).status == 403
        assert served.ask("DELETE", path, token=editor).body["id"] == people[1].session.id
        assert served.ask("DELETE", path, token=editor).status == 404
        assert served.app.session(people[1].secret) is None
        assert served.ask("DELETE", own, token=editor).body == {"ended": 2}
        assert served.ask("GET", own, token=viewer).body["items"] == []
        assert served.app.session(people[2].secret) is not None

    def test_of_another_organization_see_nothing(self, served: Served) -> None:
        """Not even that there is such a session."""
        ada = SignedIn(served)
        other = served.token("beta", all_=Level.EDIT)
        assert served.ask("GET", "/beta/sessions", token=other).body["items"] == []
        assert served.ask("DELETE", f"/beta/sessions/{ada.session.id}", token=other).status == 404
        assert served.ask("GET", f"/beta/users/{ada.id}/sessions", token=other).status == 404
        assert served.app.session(ada.secret) is not None

    def test_have_a_command(self, served: Served) -> None:
        """It lists and ends them, for people and for programs."""
        ada = SignedIn(served)
        shown = served.command("sessions", "acme", "--user", ada.username)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert ada.username in shown.stdout
        assert "192.0.2.7" in shown.stdout
        ended = served.command("--json", "sessions", "end", "acme", str(ada.session.id))
        assert f'"id": {ada.session.id}' in ended.stdout
        assert served.app.session(ada.secret) is None
        again = served.command("sessions", "end", "acme", str(ada.session.id))
        assert (again.returncode, again.stdout) == (7, "")


def test_wrong_secrets_have_to_wait(served: Served) -> None:
    """After twenty within a minute a client waits; one that has the right one never does."""
    wrong = basic("guessed", "y" * 40)
    statuses = [
        ask(served, "check", wrong, organization="acme", session="1").status for _ in range(21)
    ]
    assert statuses == [*[401] * 20, 429]
    answer = ask(served, "check", wrong, organization="acme", session="1")
    assert answer.reason == "too_many_attempts"
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert ask(served, "check", organization="acme", session="1").status == 200
    mistaken = basic(secret="y" * 40)
    for _ in range(21):
        ask(served, "check", mistaken, organization="acme", session="1")
    assert ask(served, "check", organization="acme", session="1").status == 200


def test_the_description_names_the_client(served: Served) -> None:
    """Whoever makes a client of it is told how portals show who they are."""
    described = served.ask("GET", "/api/v1/openapi.json", token=None, whole=True).body
    operation = described["paths"]["/sign-ins/redeem"]["post"]
    assert operation["security"] == [{"client": []}, {}]
    assert described["components"]["securitySchemes"]["client"]["scheme"] == "basic"
    assert "429" in operation["responses"]
    assert not [each for each in operation["parameters"] if each["name"] == "Idempotency-Key"]
