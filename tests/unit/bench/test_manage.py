"""The bench of the management store, at a size that is done at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench import manage, told
from syncd.store.pages.filters import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_every_question_is_measured_on_a_filled_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command fills a store, prints a table, and writes figures, plots and their chapter."""
    chapter = tmp_path / "performance.md"
    chapter.write_text(f"before\n{told.BEGIN}\nof old\n{told.END}\nbehind\n")
    docs = ["--docs", str(tmp_path)]
    words = ["--users", "400", "--only", "--runs", "1", "--seconds", "0.2", "--no-api"]
    assert manage.main([*words, "--store", "sqlite", "--out", str(tmp_path), *docs]) == 0
    printed = capsys.readouterr().out
    (size,) = json.loads((tmp_path / "manage-sqlite.json").read_text())["sizes"]
    assert size["users"] == 400
    found = {name: page["people"] for name, page in size["pages"].items()}
    assert found["all"] == found["role that everybody has"] == 100
    assert (found["role of ten people"], found["role of nobody"]) == (10, 0)
    assert found["group of a fifth"] == 80
    assert all(f"page: {name}" in printed for name in manage.FILTERS)
    assert "everybody's permissions in one pass" in printed
    assert (tmp_path / told.QUESTIONS).read_text().count("<polyline") == 6
    assert (tmp_path / told.DECISIONS).read_text().count("<polyline") == 2
    written = chapter.read_text()
    assert (written[:7], written[-7:]) == ("before\n", "behind\n")
    assert "of old" not in written
    shown = [line.split(" | ")[0] for line in written.splitlines() if line.startswith("| ")]
    assert {f"| {name}" for name in manage.FILTERS if name != "all"} <= {*shown}


def test_every_filter_that_lists_have_is_measured() -> None:
    """A filter that is added to the lists is added to the bench."""
    assert {name for filters in manage.FILTERS.values() for name in filters} == KINDS.keys()
