"""Groups in groups of any shape: the store comes to what a simple closure comes to."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from syncd.records import Shapes
from syncd.store import schema
from tests.store.organization import Organization, record
from tests.store.test_groups import GROUPS, group

if TYPE_CHECKING:
    from pathlib import Path

    from syncd.records import UserRecord
    from tests.servers.postgres import Postgres

Edge: TypeAlias = tuple[str, str]

PEOPLE = ["p1", "p2", "p3", "p4"]
NAMES = ["a", "b", "c", "d", "e"]
SHAPES = [("nested",), ("hierarchical",), ("nested", "hierarchical")]
SQLITE_EXAMPLES, POSTGRES_EXAMPLES = 8, 4
# An example is a few syncs into a store of its own: too slow to look for a smaller one that fails.
SLOW = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@dataclass(frozen=True)
class Graph:
    """Which groups there are, who is in each, and which groups are."""

    people: dict[str, frozenset[str]] = field(default_factory=dict)
    groups: dict[str, frozenset[str]] = field(default_factory=dict)

    def below(self, name: str) -> set[str]:
        """Return a group with all groups that are in it, however deep; the reference."""
        found: set[str] = set()
        left = [name]
        while left:
            if (each := left.pop()) not in found:
                found.add(each)
                left += [child for child in self.groups[each] if child in self.people]
        return found

    def nested(self) -> dict[str, list[str]]:
        """Return everybody in each group."""
        return {
            name: sorted({person for each in self.below(name) for person in self.people[each]})
            for name in self.people
        }

    def flat(self) -> dict[str, list[str]]:
        """Return who is in each group by its own words."""
        return {name: sorted(members) for name, members in self.people.items()}

    def of(self, name: str) -> tuple[object, object]:
        """Return what the directory says of a group."""
        return self.people.get(name), self.groups.get(name)

    def edges(self) -> set[tuple[str, str]]:
        """Return (child, parent) of groups that are there."""
        return {
            (child, parent)
            for parent, children in self.groups.items()
            for child in children
            if child in self.people
        }


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Return groups with members at random, cycles and themselves among them."""
    there = draw(st.sets(st.sampled_from(NAMES), min_size=1))
    return Graph(
        {name: draw(st.frozensets(st.sampled_from(PEOPLE), max_size=3)) for name in sorted(there)},
        # Also such as are not there, in this run or in any.
        {name: draw(st.frozensets(st.sampled_from(NAMES), max_size=3)) for name in sorted(there)},
    )


# What became of the groups, run by run.
HISTORIES = st.lists(graphs(), min_size=2, max_size=4)


@pytest.mark.rule("2.10.3", server="sqlite")
@pytest.mark.rule("K26", server="sqlite")
@pytest.mark.parametrize("shapes", SHAPES, ids=" and ".join)
@settings(SLOW, max_examples=SQLITE_EXAMPLES)
@given(history=HISTORIES)
def test_any_history_of_groups_on_sqlite(
    sqlite_template: Path, shapes: tuple[str, ...], history: list[Graph]
) -> None:
    """After each run everybody is in the groups that a simple closure of the graph says."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(sqlite_template, f"{folder}/store.db")
        live(f"sqlite:///{folder}/store.db", "acme", history, shapes)


@pytest.mark.rule("2.10.3", server="postgresql")
@pytest.mark.rule("K26", server="postgresql")
def test_any_history_of_groups_on_postgresql(postgres: Postgres, postgres_template: str) -> None:
    """The same on the other database, each history an organization of its own."""
    numbers = itertools.count()
    with postgres.database(postgres_template) as url:

        @settings(SLOW, max_examples=POSTGRES_EXAMPLES)
        @given(history=HISTORIES)
        def lived(history: list[Graph]) -> None:
            live(url, f"acme{next(numbers)}", history, ("nested", "hierarchical"))

        lived()


def live(url: str, name: str, history: list[Graph], shapes: tuple[str, ...]) -> None:
    """Sync each of the graphs after the other, and compare what each run leaves behind."""
    acme = Organization(url, id=name)
    try:
        with acme.leased():
            before = Graph()
            for graph in history:
                people = [] if before.people else [record(each) for each in PEOPLE]
                _sync(acme, people, before, graph, shapes)
                _compare(acme, graph, shapes)
                before = graph
    finally:
        acme.database.close()


def _sync(
    acme: Organization,
    people: list[UserRecord],
    before: Graph,
    graph: Graph,
    shapes: tuple[str, ...],
) -> None:
    """Let a run see what became of the groups; those that did not change are not staged."""
    changed = [name for name in graph.people if graph.of(name) != before.of(name)]
    planned = acme.plan(
        *people,
        containers=[
            group(name, *sorted(graph.people[name]), groups=sorted(graph.groups[name]))
            for name in changed
        ],
        gone=[name for name in before.people if name not in graph.people],
        mappers=(GROUPS,),
        revoking=(GROUPS,),
        gone_of=GROUPS,
        shapes=Shapes(
            groups=frozenset({GROUPS}),
            dropping=frozenset({GROUPS}),
            nested=frozenset({GROUPS} if "nested" in shapes else ()),
            hierarchical=frozenset({GROUPS} if "hierarchical" in shapes else ()),
        ),
    )
    acme.apply(planned)


def _compare(acme: Organization, graph: Graph, shapes: tuple[str, ...]) -> None:
    assert _members(acme) == (graph.nested() if "nested" in shapes else graph.flat())
    stored, closure = _tree(acme)
    assert "hierarchical" in shapes or not stored
    # Nothing that nobody said, no circle, and the closure is that of the edges.
    wanted = graph.edges() if "hierarchical" in shapes else set()
    assert stored <= wanted
    assert closure == _closure(stored)
    assert not any(child == ancestor for child, ancestor in closure)
    # Only what would close a circle is left out.
    assert all(edge[0] == edge[1] or edge[::-1] in closure for edge in wanted - stored)


def _members(acme: Organization) -> dict[str, list[str]]:
    groups = _names(acme)
    people = {
        row["id"]: row["username"] for row in acme.rows(schema.users, organization_id=acme.id)
    }
    found: dict[str, list[str]] = {name: [] for name in groups.values()}
    for row in acme.rows(schema.group_members, organization_id=acme.id):
        found[groups[row["group_id"]]].append(people[row["user_id"]])
    return {name: sorted(usernames) for name, usernames in found.items()}


def _tree(acme: Organization) -> tuple[set[Edge], set[Edge]]:
    """Return (child, parent) as stored, and (group, ancestor) of the closure."""
    names = _names(acme)
    parents = acme.rows(schema.group_parents, organization_id=acme.id)
    ancestors = acme.rows(schema.group_ancestors, organization_id=acme.id)
    return (
        {(names[row["group_id"]], names[row["parent_id"]]) for row in parents},
        {(names[row["group_id"]], names[row["ancestor_id"]]) for row in ancestors if row["depth"]},
    )


def _names(acme: Organization) -> dict[int, str]:
    return {row["id"]: row["name"] for row in acme.rows(schema.groups, organization_id=acme.id)}


def _closure(edges: set[Edge]) -> set[Edge]:
    found = set(edges)
    while more := {(a, d) for a, b in found for c, d in edges if b == c} - found:
        found |= more
    return found
