"""The bench's generator and its way of showing figures."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from bench import report, suite, workload
from bench.measure import CommandFailed, Series
from bench.plot import Axis
from bench.workload import Size
from demo.tree import read_ldif

if TYPE_CHECKING:
    from pathlib import Path


class Measured:
    """A suite whose figures are known."""

    def __init__(self, users: int) -> None:
        self.size = Size(users)
        names = (*suite.NAMES, *suite.CHANGED.values())
        self.series = {name: Series(name, [1.0, 9.0, 2.0]) for name in names}


@pytest.mark.parametrize("users", [1, 100, 1234])
def test_the_company_has_the_size_that_was_asked_for(users: int) -> None:
    """There are as many people and roles as said, and two memberships for each person."""
    size = Size(users)
    entries = dict(read_ldif("".join(workload.ldif(size))))
    people = {dn for dn in entries if dn.startswith("uid=")}
    roles = [found for dn, found in entries.items() if dn.startswith("cn=")]
    members = [member.decode() for role in roles for member in role["member"]]
    assert len(people) == users
    assert len(roles) == size.roles
    assert set(members) <= people
    assert len(members) == min(size.memberships // size.roles, users) * size.roles


def test_the_same_seed_makes_the_same_company() -> None:
    """Figures of two days are about the same people."""
    assert list(workload.ldif(Size(50))) == list(workload.ldif(Size(50)))
    assert list(workload.ldif(Size(50), seed=2)) != list(workload.ldif(Size(50)))


def test_the_table_compares_medians_with_ldapsearch() -> None:
    """A command's ratio is its median over the median of ldapsearch."""
    measured = Measured(100_000)
    measured.series[suite.FIRST_SQLITE].wall = [20.0, 24.0, 90.0]
    lines = {line[:28].strip(): line[28:].split() for line in report.table(measured).splitlines()}
    assert lines[suite.LDAPSEARCH] == ["2.00", "1.0"]
    assert lines[suite.FIRST_SQLITE] == ["24.00", "12.0", "12", "20"]


def test_figures_are_written_as_json_and_as_a_plot(tmp_path: Path) -> None:
    """The JSON holds every run; the plot is well-formed and has a line for each command."""
    suites = [Measured(10_000), Measured(100_000)]
    starts = (Series("bare", [0.01]), Series("help", [0.05]))
    figures, plot = report.write(tmp_path, suites, starts)
    found = json.loads(figures.read_text())
    assert [size["users"] for size in found["sizes"]] == [10_000, 100_000]
    assert found["sizes"][0]["commands"][suite.READING]["wall_seconds"] == [1.0, 9.0, 2.0]
    lines = ET.fromstring(plot.read_text()).iter("{http://www.w3.org/2000/svg}polyline")  # noqa: S314 - our own text
    assert [len(line.attrib["points"].split()) for line in lines] == [2] * len(suite.NAMES)


def test_a_command_that_failed_is_no_figure(tmp_path: Path) -> None:
    """An exit code or a status other than done stops the bench with what the command said."""
    series = Series("broken")
    with pytest.raises(CommandFailed, match="ended with 3: no"):
        series.run(["sh", "-c", "echo no >&2; exit 3"], reports=False, exits=(0,))
    blocked = tmp_path / "blocked"
    blocked.write_text('{"status": "blocked", "reasons": ["too many"]}')
    with pytest.raises(CommandFailed, match=r"blocked: .*too many"):
        series.run(["cat", blocked], reports=True, exits=(0,))


def test_an_axis_ends_at_powers_of_ten() -> None:
    """Every value lies on the axis, and equal factors are equal distances."""
    axis = Axis([0.3, 42.0], 0, 300)
    assert axis.ticks() == [0.1, 1.0, 10.0, 100.0]
    assert [axis.place(value) for value in (0.1, 1.0, 10.0)] == [0.0, 100.0, 200.0]
