"""An undo of many people is planned for whoever asks and applied by somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.store import approvals, schema
from syncd.store.change_sets import change_set_name, find_change_set
from syncd.store.runs import run_name, run_number
from syncd.sync.undo import Later
from tests.store.organization import record
from tests.store.undone import newest, shown, state, undo_run

if TYPE_CHECKING:
    from tests.store.organization import Organization


@pytest.mark.parametrize(("above", "status"), [(2, "blocked"), (3, "done")])
def test_a_large_undo_is_asked_for_and_applied_under_its_own_reason(
    acme: Organization, above: int, status: str
) -> None:
    """Over the bound nothing changes until the approval asked for is carried out."""
    people = ("p1", "p2", "p3")
    acme.sync(*map(record, people))
    before = state(acme)
    acme.sync(*(record(each, first_name="Other") for each in people))
    after = state(acme)
    undone = find_change_set(acme.database, change_set_name(newest(acme)), acme.id)
    assert undone is not None

    def ask(run_id: int) -> None:
        approvals.ask(acme.database, acme.id, run_name(run_id), "token nightly", owner=True)

    run = undo_run(acme)
    report = run.undo(undone, actor="token nightly", why="a slip", later=Later(above, ask))
    assert report["status"] == status
    asked = approvals.asked_of(acme.database, acme.id)
    if status == "done":
        assert asked == []
        assert shown(state(acme)) == shown(before)
        return
    assert asked == [(report["run"], "token nightly")]
    assert shown(state(acme)) == shown(after)
    number = run_number(report["run"])
    assert number is not None
    done = run.approve(number, "approval by token nightly")
    assert done["status"] == "done"
    assert shown(state(acme)) == shown(before)
    (change_set,) = acme.rows(schema.change_sets, id=newest(acme))
    name = change_set_name(undone.id)
    assert change_set["why"] == f"approval of {report['run']}: undo of {name}: a slip"
