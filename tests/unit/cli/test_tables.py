"""Fitting tables, folding text, and the words for numbers and times."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress

from syncd.cli import tables, words
from syncd.cli.blocks import Column
from syncd.cli.progress import Phases, describe
from syncd.cli.render.outline import outline, scalar
from syncd.cli.screen import as_json

COLUMNS = (
    Column(title="Name", least=8),
    Column(title="Where", least=8, expendable=1),
    Column(title="Why", least=8, expendable=2),
)
ANY_TEXT = st.text(alphabet=st.sampled_from("ab cdé,ü漢字\u0301"), max_size=60)


def test_a_pipe_gets_natural_widths() -> None:
    """Without a width nothing is cut or left out."""
    found = tables.fit(COLUMNS, [100, 200, 300], None)
    assert found == tables.Fit((0, 1, 2), (100, 200, 300), ())


def test_the_least_important_column_goes_first() -> None:
    """Columns leave in the order of how expendable they are; the others stay."""
    assert tables.fit(COLUMNS, [10, 10, 10], 34).left_out == ()
    assert tables.fit(COLUMNS, [10, 10, 10], 24).left_out == (2,)
    assert tables.fit(COLUMNS, [10, 10, 10], 12).left_out == (1, 2)
    assert tables.fit(COLUMNS, [10, 10, 10], 5) == tables.Fit((0,), (5,), (1, 2))


def test_the_widest_column_is_narrowed() -> None:
    """A short column keeps its width while a long one has room to give."""
    assert tables.fit(COLUMNS, [9, 100, 9], 60).widths == (9, 38, 9)


@given(
    st.lists(st.integers(min_value=1, max_value=300), min_size=3, max_size=3),
    st.integers(min_value=10, max_value=200),
)
def test_a_table_never_exceeds_the_width(natural: list[int], width: int) -> None:
    """Whatever the contents, the columns and the gaps fit."""
    found = tables.fit(COLUMNS, natural, width)
    assert sum(found.widths) + tables.GAP * (len(found.widths) - 1) <= width
    assert all(
        given_width <= natural[index]
        for index, given_width in zip(found.shown, found.widths, strict=True)
    )


@given(ANY_TEXT, st.integers(min_value=2, max_value=40))
def test_folding_keeps_every_character(text: str, width: int) -> None:
    """Folded lines fit, and joined they are the text but for spaces."""
    lines = tables.fold(text, width)
    assert all(words.cells(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(ANY_TEXT, st.integers(min_value=1, max_value=40))
def test_shortening_fits(text: str, width: int) -> None:
    """A shortened text has at most the width, and is the text itself when that fits."""
    short = words.shorten(text, width)
    assert words.cells(short) <= width
    assert short == text if words.cells(text) <= width else short.endswith("…")


@given(st.text(max_size=40))
def test_cleaned_text_has_no_control_character(text: str) -> None:
    """No text can move the cursor, and printable ASCII stays as it is."""
    cleaned = words.clean(text)
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in cleaned)
    assert words.clean(cleaned) == cleaned


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.04, "0.0 s"),
        (3.44, "3.4 s"),
        (59.96, "1 min 00 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(value: float, text: str) -> None:
    """Durations are written in the unit that fits."""
    assert words.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2026-03-01T14:05:09Z", "2026-03-01 14:05 UTC"),
        ("2026-03-01T16:05:09+02:00", "2026-03-01 14:05 UTC"),
        ("2026-03-01T14:05:09", "2026-03-01 14:05 UTC"),
        ("soon", "soon"),
        (None, ""),
    ],
)
def test_moments(value: str | None, text: str) -> None:
    """Times are shown in UTC; what is no time stays as it is."""
    assert words.moment(value) == text


def test_counts_and_lists() -> None:
    """Nouns agree with their number, and long lists are counted."""
    assert words.count(1, "person", "people") == "1 person"
    assert words.count(1204, "person", "people") == "1,204 people"
    assert words.count(0, "role") == "0 roles"
    assert words.listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert words.size(93_400_000) == "93 MB"


def test_the_rate_of_a_phase() -> None:
    """A rate is people a second, and is left out until it means something."""
    assert describe("users", 12000, None, 2.0) == ("12,000", "6,000 people/s")
    assert describe("apply", 500, 2000, 1.0) == ("500 of 2,000", "500 people/s")
    assert describe("users", 12, None, 0.01) == ("12", "")
    assert describe("users", 0, None, 5.0) == ("", "")
    assert describe("later phase", 10, None, 1.0) == ("10", "10/s")


def test_phases_follow_each_other() -> None:
    """A new phase begins a new line and finishes the one before."""
    progress = Progress(console=Console(quiet=True))
    phases = Phases(progress)
    for phase, done, total in (("users", 5, None), ("users", 9, None), ("apply", 2, 4)):
        phases(phase, done, total)
    first, second = progress.tasks
    assert (first.description, first.total, first.finished) == ("reading people", 9, True)
    assert (second.description, second.completed, second.total) == ("applying", 2, 4)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=12))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3),
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), TREES, min_size=1, max_size=4))
def test_an_outline_is_yaml(tree: dict[str, Any]) -> None:
    """What ``config show`` prints can be read back."""
    assert yaml.safe_load("\n".join(outline(tree))) == tree


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("acme", "acme"),
        ("yes", '"yes"'),
        ("1e3", '"1e3"'),
        (None, "null"),
        (["a", "b, c"], '[a, "b, c"]'),
        ("", '""'),
        ("a: b", '"a: b"'),
        ("# x", '"# x"'),
        (True, "true"),
        ("a, b", "a, b"),
    ],
)
def test_scalars(value: object, text: str) -> None:
    """Text that YAML would read as something else is quoted."""
    assert scalar(value) == text


def test_json_can_be_written_for_any_encoding() -> None:
    """Where the output is not UTF-8, JSON uses its own escapes."""
    assert as_json("Jürgen", ascii_only=True) == '"J\\u00fcrgen"'
    assert json.loads(as_json({"a": ["ü"]}, ascii_only=False)) == {"a": ["ü"]}
