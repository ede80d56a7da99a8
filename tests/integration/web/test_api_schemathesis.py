"""The running API against its own description: whatever is sent, answers are as described."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from syncd.permissions import Level

if TYPE_CHECKING:
    from tests.integration.web.served import Served

EXAMPLES = 3
SEVERAL = 5
ORDER = ("GET", "POST", "PATCH", "PUT", "DELETE")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def things(served: Served) -> dict[str, list[Any]]:
    """Something of everything, by the name of the parameter that finds it."""
    management = served.manage()
    users = [served.person(f"person-{number}", 3) for number in range(SEVERAL)]
    groups = [management.groups.create(f"Group {number}")["id"] for number in range(SEVERAL)]
    sets = [
        management.permission_sets.create(f"Set {number}", sections={"users": "view"})["id"]
        for number in range(SEVERAL)
    ]
    roles = [
        management.roles.create(f"Role {number}", permission_sets=sets)["id"]
        for number in range(SEVERAL)
    ]
    books = [management.address_books.create(f"Book {number}")["id"] for number in range(SEVERAL)]
    entries = [
        management.address_books.add_entry(book, nickname="n", address="n@example.test")["id"]
        for book in books
    ]
    for group, user in zip(groups, users, strict=True):
        management.groups.add_member(group, user)
    made = [served.token(users="view") for _ in range(SEVERAL)]
    return {
        "org": ["acme"],
        "user_id": users,
        "group_id": groups,
        "child_id": groups[::-1],
        "role_id": [1, *roles],
        "set_id": [1, *sets],
        "book_id": books,
        "entry_id": entries,
        "token_id": [int(token.split("_")[1]) for token in made],
        "change_set": [
            each["change_set"] for each in management.journal.page(limit=SEVERAL)["items"]
        ],
    }


@pytest.fixture(scope="module")
def token(served: Served, things: dict[str, list[Any]]) -> str:
    """That of an owner, who is none of those that are tried out."""
    return served.token(user=served.person("the-owner", 1), all_=Level.EDIT)


@pytest.fixture
def schema(served: Served, things: dict[str, list[Any]]) -> Any:
    """The description, with parameters that find what is there."""
    described = served.ask("GET", "/api/v1/openapi.json", token=None, whole=True).body
    for item in described["paths"].values():
        several = [item, *(each for name, each in item.items() if name != "parameters")]
        for each in (each for one in several for each in one.get("parameters", ())):
            if each["name"] in things:
                each["schema"] = {"enum": things[each["name"]]}
    config = SchemathesisConfig.from_dict({"base-url": f"http://127.0.0.1:{served.port}/api/v1"})
    return schemathesis.openapi.from_dict(described, config=config)


def test_answers_are_as_described(served: Served, schema: Any, token: str) -> None:
    """No fault of the server, no status, type or shape that the description does not have."""
    operations = [found.ok() for found in schema.get_all_operations()]
    answered: dict[str, set[int]] = {}
    # What takes away comes last.
    for operation in sorted(operations, key=lambda each: ORDER.index(each.method.upper())):
        answered[operation.label] = _statuses(operation, token)
    # A portal of the others' names itself in the document, and is not known.
    portals = {label for label in answered if "/sign-ins/" in label}
    assert len(portals) == 3
    assert not [label for label in set(answered) - portals if 401 in answered[label]]
    done = [label for label, statuses in answered.items() if min(statuses) < 300]
    assert len(answered) > 60
    assert len(done) > 0.7 * len(answered), sorted(set(answered) - set(done))
    assert served.ask("GET", "/acme/me", token=token).status == 200
    assert '"internal_error"' not in served.log.read_text()


def _statuses(operation: Any, token: str) -> set[int]:
    """Try an operation; return what it answered."""
    statuses = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        answer = case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)
        statuses.add(answer.status_code)

    check()
    return statuses
