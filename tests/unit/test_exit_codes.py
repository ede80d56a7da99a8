"""The exit code that a sync's or a plan's report has."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.app import exit_code

KINDS = ("created", "updated", "renamed", "missing", "disabled", "enabled", "deleted")
NOTHING: dict[str, Any] = {
    "status": "planned",
    "listing": "complete",
    "users": dict.fromkeys((*KINDS, "quarantined"), 0),
    "roles": {"created": 0, "updated": 0, "deleted": 0},
    "groups": {"created": 0, "updated": 0, "deleted": 0},
    "memberships": {"added": 0, "removed": 0, "unresolved": 3},
    "changes": [],
}


@pytest.mark.parametrize(
    ("part", "counts"),
    [
        *(("users", {kind: 1}) for kind in KINDS),
        *((part, {kind: 1}) for part in ("roles", "groups") for kind in NOTHING[part]),
        ("memberships", {"added": 1}),
        ("memberships", {"removed": 1}),
    ],
)
def test_a_plan_with_changes_exits_1(part: str, counts: dict[str, int]) -> None:
    """Whatever a sync would write is a change, be it a group's name alone; a sync itself is 0."""
    report = {**NOTHING, part: NOTHING[part] | counts}
    assert exit_code(report) == 1
    assert exit_code({**report, "status": "done"}) == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, 0),
        # What is counted nowhere, such as the date on which an account expires.
        ({"changes": [{"kind": "account"}]}, 1),
        ({"users": {**NOTHING["users"], "created": 1, "quarantined": 1}}, 5),
        ({"status": "blocked", "users": {**NOTHING["users"], "quarantined": 1}}, 3),
        ({"status": "blocked", "listing": "truncated"}, 4),
        ({"status": "failed"}, 4),
        ({"status": "interrupted", "listing": "unverified"}, 130),
    ],
)
def test_the_largest_problem_decides(change: dict[str, Any], code: int) -> None:
    """Of several codes the one that stands higher is returned."""
    assert exit_code({**NOTHING, **change}) == code
