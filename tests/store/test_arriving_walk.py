"""After any sequence of arrivals each mapper's grants are what its last speaking statement said."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from syncd.errors import SignInRefused
from syncd.records import fold
from syncd.store import schema
from syncd.store.editing.belonging import hold
from syncd.store.editing.change import change
from syncd.store.sides import ROLES, SIDES
from tests.store.signing_in import SignIns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from syncd.store.database import Database

SUBJECTS, USERNAMES = ["s1", "s2", "s3"], ["Ann", "ann", "bob", "cem"]
MAPPERS, TARGETS = ["a", "b", "c"], ["R1", "R2", "/G", "/G/H", "/K"]
ADMIN = 2
EXAMPLES = 8
SLOW = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@dataclass(frozen=True)
class Step:
    """One sign-in; ``said`` has by mapper what it gives, None where it is silent."""

    subject: str
    username: str | None
    said: dict[str, frozenset[str] | None] = field(default_factory=dict)
    renamed: tuple[str, str] | None = None
    # Somebody gives or takes a role by hand before it.
    by_hand: bool = False


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Return a sign-in in which mappers speak, are silent, are not there, or are renamed."""
    said = draw(
        st.dictionaries(
            st.sampled_from(MAPPERS),
            st.one_of(st.none(), st.frozensets(st.sampled_from(TARGETS), max_size=3)),
        )
    )
    former, now = draw(st.sampled_from(MAPPERS)), draw(st.sampled_from(MAPPERS))
    renamed = (former, now) if former not in said and now in said else None
    return Step(
        draw(st.sampled_from(SUBJECTS)),
        draw(st.none() | st.sampled_from(USERNAMES)),
        said,
        renamed if draw(st.booleans()) else None,
        draw(st.booleans()),
    )


WALKS = st.lists(steps(), min_size=2, max_size=8)


@dataclass
class Reference:
    """What there should be, worked out the simple way."""

    names: dict[str, str] = field(default_factory=dict)
    held: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    by_hand: set[str] = field(default_factory=set)
    # What those are called by now who were refused for it.
    words: dict[str, str] = field(default_factory=dict)

    def arrive(self, step: Step) -> bool:
        """Let somebody arrive; return whether he is let in."""
        known = step.subject in self.names
        name = step.username or self.names.get(step.subject, step.subject)
        moved, wanted = dict[str, str](), [fold(name)]
        while holders := [
            who
            for who, each in self.names.items()
            if who != step.subject and fold(each) == wanted[-1]
        ]:
            word = self.words.get(holders[0])
            if word is None or word in wanted:
                self.words[step.subject] = fold(name)
                return False
            moved[holders[0]] = word
            wanted.append(word)
        self.names |= moved | {step.subject: name}
        self.words.pop(step.subject, None)
        before = self.held.get(step.subject, {}) if known else {}
        if step.renamed is not None and step.renamed[0] in before:
            former, now = step.renamed
            both = before[former] | before.get(now, set())
            before = {**{k: v for k, v in before.items() if k != former}, now: both}
        then = {
            mapper: set(before.get(mapper, ())) if gives is None else set(gives)
            for mapper, gives in step.said.items()
        }
        self.held[step.subject] = {mapper: given for mapper, given in then.items() if given}
        return True

    def wanted(self, subject: str) -> dict[str, set[str]]:
        """Return what somebody should hold."""
        manual = {"manual": {"Admin"}} if subject in self.by_hand else {}
        return self.held[subject] | manual


@pytest.mark.rule("K49", server="sqlite")
@pytest.mark.rule("K49", server="postgresql")
@settings(SLOW, max_examples=EXAMPLES)
@given(walk=WALKS)
def test_any_sequence_of_arrivals(shared: Database, walk: list[Step]) -> None:
    """Names, grants and memberships are the reference's, and the journal adds up to them.

    Each walk is an organization of its own.
    """
    bridge, reference = SignIns(shared), Reference()
    for step in walk:
        _by_hand(bridge, reference, step)
        _arrive(bridge, reference, step)
    _compare(bridge, reference)


def _by_hand(bridge: SignIns, reference: Reference, step: Step) -> None:
    if not step.by_hand or step.subject not in reference.names:
        return
    (row,) = bridge.rows(schema.identities, organization_id=bridge.id, external_id=step.subject)
    reference.by_hand ^= {step.subject}
    given = step.subject in reference.by_hand
    with change(bridge.database, bridge.id, actor="operator tester") as c:
        hold(
            c,
            ROLES,
            row["user_id"],
            granted=[ADMIN] if given else [],
            revoked=[] if given else [ADMIN],
        )


def _arrive(bridge: SignIns, reference: Reference, step: Step) -> None:
    told = bridge.arrival(
        step.subject,
        step.username,
        gives={mapper: sorted(gives) for mapper, gives in step.said.items() if gives is not None},
        silent=[mapper for mapper, gives in step.said.items() if gives is None],
        renamed={} if step.renamed is None else dict([step.renamed]),
    )
    seen = bridge.arrivals.foresee(told)
    let_in = reference.arrive(step)
    assert (seen.refusal is None) == let_in
    if not let_in:
        with pytest.raises(SignInRefused, match="belongs to another"):
            bridge.arrivals.arrive(told)
        return
    arrived = bridge.arrivals.arrive(told)
    assert (seen.changed, seen.created, seen.username) == (
        arrived.changed,
        arrived.created,
        arrived.username,
    )
    assert not bridge.arrivals.foresee(told).changed


def _compare(bridge: SignIns, reference: Reference) -> None:
    people = {row["id"]: row for row in bridge.rows(schema.users, organization_id=bridge.id)}
    subjects = {
        row["user_id"]: row["external_id"]
        for row in bridge.rows(schema.identities, organization_id=bridge.id)
    }
    assert {subjects[each]: row["username"] for each, row in people.items()} == reference.names
    names = {row["id"]: row["name"] for row in bridge.rows(schema.roles)}
    names |= _paths(bridge)
    held: dict[str, dict[str, set[str]]] = {subject: {} for subject in subjects.values()}
    stored: dict[int, dict[str, set[tuple[int, str]]]] = {
        each: {"grants": set(), "memberships": set()} for each in people
    }
    for side in SIDES:
        for row in bridge.rows(side.held, organization_id=bridge.id):
            target, source = row[side.column], row["source"]
            held[subjects[row["user_id"]]].setdefault(source, set()).add(names[target])
            stored[row["user_id"]][side.journal_kind].add((target, source))
    assert held == {subject: reference.wanted(subject) for subject in reference.names}
    assert _journaled(bridge, people) == stored


def _paths(bridge: SignIns) -> dict[int, str]:
    """Return the paths of the groups, two deep at most, whose closure has to be their parents."""
    names = {
        row["id"]: row["name"] for row in bridge.rows(schema.groups, organization_id=bridge.id)
    }
    above = {
        row["group_id"]: row["ancestor_id"]
        for row in bridge.rows(schema.group_ancestors, organization_id=bridge.id)
        if row["depth"]
    }
    parents = bridge.rows(schema.group_parents, organization_id=bridge.id)
    assert above == {row["group_id"]: row["parent_id"] for row in parents}
    return {
        each: f"/{names[above[each]]}/{name}" if each in above else f"/{name}"
        for each, name in names.items()
    }


def _journaled(
    bridge: SignIns, people: Iterable[int]
) -> dict[int, dict[str, set[tuple[int, str]]]]:
    """Return what the journal comes to, change set by change set."""
    found: dict[int, dict[str, set[tuple[int, str]]]] = {
        each: {"grants": set(), "memberships": set()} for each in people
    }
    rows = bridge.rows(schema.journal, organization_id=bridge.id)
    for row in sorted(rows, key=lambda row: int(row["change_set_id"])):
        if row["kind"] in found[row["user_id"]]:
            told: dict[str, Any] = json.loads(row["after"])
            kept = found[row["user_id"]][row["kind"]]
            kept -= {(each, source) for each, source in told["revoked"]}
            kept |= {(each, source) for each, source in told["granted"]}
    return found
