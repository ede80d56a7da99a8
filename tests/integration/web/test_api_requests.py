"""What holds for every request: problems, limits, states, keys, pages, and the description."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from syncd.permissions import Level
from tests.integration.web.served import ORGANIZATIONS

if TYPE_CHECKING:
    from tests.integration.web.served import Answer, Served

    # Method, path, status and reason.
    Case = tuple[str, str, int, str]

USERS = "/acme/users"
MEGABYTE = 2**20


def problem(answer: Answer, status: int, reason: str) -> None:
    """The answer is this problem."""
    assert (answer.status, answer.reason) == (status, reason), answer.raw


class TestProblems:
    @pytest.mark.parametrize(
        "case",
        [
            ("GET", "/acme/nothing", 404, "not_found"),
            ("GET", "/acme/users/99999999", 404, "not_found"),
            ("GET", "/acme/users/mia", 422, "invalid"),
            ("GET", "/acme/users/0", 422, "invalid"),
            ("GET", "/acme/users/99999999999999999999", 422, "invalid"),
            ("GET", "/acme/users/%0A", 404, "not_found"),
            ("GET", "/ac%0Ame/users", 404, "not_found"),
            ("GET", "/acme/users/", 404, "not_found"),
            ("GET", "/acme/users?limit=0", 422, "invalid"),
            ("GET", "/acme/users?limit=501", 422, "invalid"),
            ("GET", "/acme/users?limit=many", 422, "invalid"),
            ("GET", "/acme/users?after=nonsense", 422, "invalid"),
            ("GET", "/acme/users?sort=email", 422, "invalid"),
            ("GET", "/acme/users?username_prefix=%00", 422, "invalid"),
            ("GET", "/acme/users?role=99999999999999999999", 422, "invalid"),
            ("GET", "/acme/users/1?fields=all", 422, "invalid"),
            ("GET", "/acme/tokens?after=-1", 422, "invalid"),
            ("GET", "/acme/tokens?after=%C2%B2", 422, "invalid"),
            ("GET", "/acme/changes?after=nonsense", 422, "invalid"),
            ("GET", "/acme/changes?wait=3600", 422, "invalid"),
            ("GET", "/acme/journal?since=yesterday", 422, "invalid"),
            ("GET", "/acme/journal?since=2026-01-01T00:00:00", 422, "invalid"),
            ("GET", "/acme/journal?object=nothing", 422, "invalid"),
            ("GET", "/acme/runs/r-1", 404, "not_found"),
            ("GET", "/acme/runs/nonsense", 404, "not_found"),
            ("POST", "/acme/plans/r-1/approve", 404, "not_found"),
        ],
    )
    def test_a_wrong_request(self, served: Served, everything: str, case: Case) -> None:
        """Each is a problem with a reason from a closed list and a sentence."""
        method, path, status, reason = case
        problem(served.ask(method, path, token=everything), status, reason)

    @pytest.mark.parametrize(
        ("path", "method", "allowed"),
        [
            ("/acme/users", "DELETE", "GET, POST"),
            ("/acme/users/1", "POST", "GET, PATCH, DELETE"),
            ("/acme/me", "PUT", "GET"),
        ],
    )
    def test_a_method_that_is_not_there(
        self, served: Served, everything: str, path: str, method: str, allowed: str
    ) -> None:
        """The answer names all methods that are."""
        answer = served.ask(method, path, {}, token=everything)
        problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allowed

    @pytest.mark.parametrize(
        ("raw", "status"),
        [
            (b"", 422),
            (b"{", 422),
            (b"[]", 422),
            (b"null", 422),
            (b'"x"', 422),
            (b"[" * 100_000, 400),
            (b'{"email": 1}', 422),
            (b'{"email": "a@example.test", "invite": "no"}', 422),
            (b'{"email": "a@example.test", "admin": true}', 422),
            (b'{"email": "a@example.test", "first_name": "\\u0000"}', 422),
            (b'{"email": "a@example.test", "first_name": "\\ud800"}', 422),
            (b'{"email": "a@example.test", "roles": [1.5]}', 422),
            (b'{"email": "a@example.test", "roles": [NaN]}', 422),
            (b'{"email": "a@example.test", "roles": [99999999999999999999]}', 422),
            (b"\xff\xfe", 422),
        ],
        ids=range(15),
    )
    def test_a_body_that_is_none(
        self, served: Served, everything: str, raw: bytes, status: int
    ) -> None:
        """What is not as described is refused, and nobody is made of it."""
        headers = {"Content-Type": "application/json"}
        answer = served.ask("POST", USERS, token=everything, raw=raw, headers=headers)
        problem(answer, status, "invalid")
        assert served.ask("GET", f"{USERS}?email=a@example.test", token=everything).body == {
            "items": [],
            "next": None,
        }

    def test_a_body_of_another_type(self, served: Served, everything: str) -> None:
        """JSON has to say that it is JSON, and a table that it is one."""
        raw = b'{"email": "typed@example.test"}'
        answer = served.ask(
            "POST", USERS, token=everything, raw=raw, headers={"Content-Type": "text/plain"}
        )
        problem(answer, 422, "invalid")
        form = "application/x-www-form-urlencoded"
        answer = served.ask(
            "POST", USERS, token=everything, raw=b"email=x", headers={"Content-Type": form}
        )
        problem(answer, 422, "invalid")
        path = f"{USERS}/import"
        answer = served.ask(
            "POST", path, token=everything, raw=b"x", headers={"Content-Type": "image/png"}
        )
        problem(answer, 415, "unsupported_media_type")

    def test_a_body_that_is_too_large(self, served: Served, everything: str) -> None:
        """A megabyte is the most, five for a table; told or not."""
        large = b" " * (MEGABYTE + 1)
        kind = {"Content-Type": "application/json"}
        problem(
            served.ask("POST", USERS, token=everything, raw=large, headers=kind), 413, "too_large"
        )
        chunks: Any = iter([large[: MEGABYTE // 2], large[: MEGABYTE // 2], b"more"])
        problem(
            served.ask("POST", USERS, token=everything, raw=chunks, headers=kind), 413, "too_large"
        )
        table = b"email\n" + b" \n" * MEGABYTE
        path = f"{USERS}/import?dry_run=true"
        answer = served.ask(
            "POST", path, token=everything, raw=table, headers={"Content-Type": "text/csv"}
        )
        assert answer.status != 413
        table = b"x" * (5 * MEGABYTE + 1)
        answer = served.ask(
            "POST", path, token=everything, raw=table, headers={"Content-Type": "text/csv"}
        )
        problem(answer, 413, "too_large")

    def test_a_fault_says_where(self, served: Served, everything: str) -> None:
        """Every fault of a request is listed with its place, and no value is repeated."""
        body = {"email": "a@example.test", "username": 5, "secret": "hunter2"}
        answer = served.ask("POST", USERS, body, token=everything)
        problem(answer, 422, "invalid")
        places = {fault["where"] for fault in answer.body["faults"]}
        assert places == {"body/username", "body/secret"}
        assert b"hunter2" not in answer.raw

    def test_no_answer_is_kept(self, served: Served, everything: str) -> None:
        """What the API says is nobody's cache's business, errors too."""
        for path in ("/acme/me", "/acme/nothing"):
            answer = served.ask("GET", path, token=everything)
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"


class TestStates:
    def test_what_is_known_is_not_sent_again(self, served: Served, everything: str) -> None:
        """If-None-Match with the ETag gives 304 and no body, until it changes."""
        path = f"{USERS}/{served.person('tagged')}"
        first = served.ask("GET", path, token=everything)
        tag = first.headers["etag"]
        for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
            again = served.ask("GET", path, token=everything, headers={"If-None-Match": known})
            assert (again.status, again.raw, again.headers["etag"]) == (304, b"", tag)
        changed = served.ask("PATCH", path, {"first_name": "Other"}, token=everything)
        assert changed.headers["etag"] != tag
        again = served.ask("GET", path, token=everything, headers={"If-None-Match": tag})
        assert again.status == 200
        assert again.headers["etag"] == changed.headers["etag"]

    @pytest.mark.parametrize(
        "kind", ["users", "roles", "permission-sets", "groups", "address-books"]
    )
    def test_nobody_overwrites_what_he_has_not_seen(
        self, served: Served, everything: str, kind: str
    ) -> None:
        """If-Match with an old state changes and deletes nothing; with the new one it does."""
        field, body = {
            "users": ("first_name", {"email": "matched@example.test"}),
            "permission-sets": ("name", {"name": "Matched", "sections": {"users": "view"}}),
        }.get(kind, ("name", {"name": "Matched"}))
        made = served.ask("POST", f"/acme/{kind}", body, token=everything)
        path = f"/acme/{kind}/{made.body['id']}"
        old = served.ask("GET", path, token=everything).headers["etag"]
        new = served.ask(
            "PATCH", path, {field: "Matched 2"}, token=everything, headers={"If-Match": old}
        ).headers["etag"]
        assert new == served.ask("GET", path, token=everything).headers["etag"]
        for stale in (old, "nonsense", f"W/{new}", f'{new}, "x"'):
            answer = served.ask(
                "PATCH", path, {field: "Matched 3"}, token=everything, headers={"If-Match": stale}
            )
            problem(answer, 412, "stale")
            problem(
                served.ask("DELETE", path, token=everything, headers={"If-Match": stale}),
                412,
                "stale",
            )
        assert served.ask("GET", path, token=everything).body[field] == "Matched 2"
        assert served.ask("DELETE", path, token=everything, headers={"If-Match": new}).status in {
            200,
            204,
        }
        problem(
            served.ask("DELETE", path, token=everything, headers={"If-Match": new}),
            404,
            "not_found",
        )


class TestIdempotency:
    def test_a_request_sent_again_is_done_once(self, served: Served, everything: str) -> None:
        """The same key and request get the first answer; another request under it is refused."""
        body = {"name": "Once"}
        first = served.ask(
            "POST", "/acme/groups", body, token=everything, headers={"Idempotency-Key": "k-1"}
        )
        again = served.ask(
            "POST", "/acme/groups", body, token=everything, headers={"Idempotency-Key": "k-1"}
        )
        assert (first.status, again.status, first.raw) == (201, 201, again.raw)
        assert again.headers["idempotency-replayed"] == "true"
        for name in ("location", "etag", "content-type"):
            assert first.headers[name] == again.headers[name]
        assert len(self._named(served, everything, "Once")) == 1
        other = served.ask(
            "POST",
            "/acme/groups",
            {"name": "Two"},
            token=everything,
            headers={"Idempotency-Key": "k-1"},
        )
        problem(other, 422, "idempotency_key_reused")
        elsewhere = served.ask(
            "POST", "/acme/roles", body, token=everything, headers={"Idempotency-Key": "k-1"}
        )
        problem(elsewhere, 422, "idempotency_key_reused")

    def test_keys_are_their_senders(self, served: Served, everything: str) -> None:
        """Two tokens, and two organizations, may use one key."""
        for org in ("acme", "acme", "beta"):
            token = served.token(org, groups="edit")
            answer = served.ask(
                "POST",
                f"/{org}/groups",
                {"name": "Ours"},
                token=token,
                headers={"Idempotency-Key": "shared"},
            )
            assert answer.status == 201
            assert "idempotency-replayed" not in answer.headers

    def test_an_error_leaves_the_key_free(self, served: Served, everything: str) -> None:
        """What failed changed nothing and may be sent again under its key."""
        path = f"/acme/users/{served.person('freed')}/disable"
        for body in ({"reason": "unknown field"}, {"why": 5}):
            answer = served.ask(
                "POST", path, body, token=everything, headers={"Idempotency-Key": "k-2"}
            )
            problem(answer, 422, "invalid")
        missing = served.ask(
            "POST",
            "/acme/users/999999/disable",
            {},
            token=everything,
            headers={"Idempotency-Key": "k-2"},
        )
        problem(missing, 404, "not_found")
        assert (
            served.ask(
                "POST", path, {}, token=everything, headers={"Idempotency-Key": "k-2"}
            ).status
            == 200
        )

    def test_one_whose_end_nobody_knows(self, served: Served, everything: str) -> None:
        """While the first request is under way, or if it was cut off, the second is told so."""
        body = {"name": "Cut"}
        key = {"Idempotency-Key": "k-3"}
        served.ask("POST", "/acme/groups", body, token=everything, headers=key)
        served.sql("update idempotency_keys set status = null where key = 'k-3'")
        problem(
            served.ask("POST", "/acme/groups", body, token=everything, headers=key),
            409,
            "idempotency_key_in_progress",
        )
        served.sql("update idempotency_keys set at = '2020-01-01 00:00:00.000000'")
        answer = served.ask("POST", "/acme/groups", body, token=everything, headers=key)
        assert answer.status == 201
        assert "idempotency-replayed" not in answer.headers

    def test_several_at_once(self, served: Served, everything: str) -> None:
        """However many arrive together, it is done once."""
        answers: list[Answer] = []

        def send() -> None:
            body = {"name": "Together"}
            answers.append(
                served.ask(
                    "POST",
                    "/acme/groups",
                    body,
                    token=everything,
                    headers={"Idempotency-Key": "k-4"},
                )
            )

        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status for answer in answers} <= {201, 409}
        assert [answer.status for answer in answers].count(201) >= 1
        assert len(self._named(served, everything, "Together")) == 1

    @pytest.mark.parametrize("key", ["", "a b", "x" * 201, "é"])
    def test_a_key_that_is_none(self, served: Served, everything: str, key: str) -> None:
        """A key is 1 to 200 visible ASCII characters."""
        sent = key.encode("utf-8").decode("latin-1")
        answer = served.ask(
            "POST",
            "/acme/groups",
            {"name": "None"},
            token=everything,
            headers={"Idempotency-Key": sent},
        )
        problem(answer, 422, "invalid")

    def test_an_answer_with_a_secret_is_not_kept(self, served: Served, everything: str) -> None:
        """Tokens are made without a key."""
        body = {"name": "x", "scopes": {"users": "view"}, "expires_in": 60}
        answer = served.ask(
            "POST", "/acme/tokens", body, token=everything, headers={"Idempotency-Key": "k-5"}
        )
        problem(answer, 422, "invalid")

    def test_old_keys_are_pruned(self, served: Served, everything: str) -> None:
        """``syncd db prune`` forgets them after a day."""
        served.sql("delete from idempotency_keys")
        served.ask(
            "POST",
            "/acme/groups",
            {"name": "Old"},
            token=everything,
            headers={"Idempotency-Key": "k-old"},
        )
        served.sql(
            "update idempotency_keys set at = '2020-01-01 00:00:00.000000' where key = 'k-old'"
        )
        report = json.loads(served.command("db", "prune", "--json").stdout)
        assert report["removed"]["idempotency_keys"] == 1
        assert not served.sql("select key from idempotency_keys where key = 'k-old'")

    @staticmethod
    def _named(served: Served, token: str, name: str) -> list[Any]:
        path = f"/acme/groups?name_prefix={name}"
        return list(served.ask("GET", path, token=token).body["items"])


def test_pages_follow_one_another(served: Served, everything: str) -> None:
    """By `next` and by the Link header alike everybody is met once, with the filters kept."""
    wanted = sorted(f"paged-{number:02}" for number in range(7))
    for username in wanted:
        served.person(username)
    path, met = "/api/v1/organizations/acme/users?username_prefix=paged-&limit=3", []
    while path:
        answer = served.ask("GET", path, token=everything, whole=True)
        met += [user["username"] for user in answer.body["items"]]
        link = answer.headers.get("link", "")
        assert bool(link) == (answer.body["next"] is not None)
        path = link.removeprefix("<").partition(">")[0]
        assert not link or link.endswith('rel="next"')
    assert met == wanted


def test_the_description_is_for_everybody(served: Served) -> None:
    """OpenAPI 3.1 without a token: every operation described, errors as problems."""
    answer = served.ask("GET", "/api/v1/openapi.json", token=None, whole=True)
    assert answer.status == 200
    described = answer.body
    assert described["openapi"].startswith("3.1")
    assert described["security"] == [{"token": []}]
    names = set()
    for path, item in described["paths"].items():
        operations = {name: each for name, each in item.items() if name != "parameters"}
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            names.add(operation["operationId"])
            for status, response in operation["responses"].items():
                kinds = set(response.get("content", {}))
                wanted = "application/problem+json" if status[0] in "45" else "application/json"
                assert kinds <= {wanted}, (method, path, status)
    assert len(names) > 60


def test_a_reload_reaches_the_process(served: Served) -> None:
    """An organization that is added is served without a restart, and one that goes is not."""
    ours = served.folder / "organizations" / "gamma.yaml"
    gamma = {"organization": {"id": "gamma", "name": "Gamma"}, "provider": "admin"}
    served.organization("gamma", gamma)
    from syncd.app import App  # noqa: PLC0415 - as it is configured now

    served.app.close()
    served.app = App.load(str(served.config), environ={})
    token = served.token("gamma", all_=Level.VIEW)
    served.reload()
    _until(served, token, 200)
    assert served.ask("GET", "/gamma", token=token).body["name"] == "Gamma"
    ours.unlink()
    served.reload()
    _until(served, token, 404)
    assert set(ORGANIZATIONS) >= {"acme"}
    assert served.process.poll() is None


def _until(served: Served, token: str, status: int) -> None:
    end = time.monotonic() + 60
    while (found := served.ask("GET", "/gamma/me", token=token).status) != status:
        assert time.monotonic() < end, found
        time.sleep(0.1)
