"""The bench of the management store, at a size that is done at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench import manage
from syncd.store.pages.filters import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_every_question_is_measured_on_a_filled_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command fills a store, prints a table, and writes figures and a plot."""
    words = ["--users", "400", "--only", "--runs", "1", "--seconds", "0.2", "--no-api"]
    assert manage.main([*words, "--store", "sqlite", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    (size,) = json.loads((tmp_path / "manage-sqlite.json").read_text())["sizes"]
    assert size["users"] == 400
    found = {name: page["people"] for name, page in size["pages"].items()}
    assert found["all"] == found["role that everybody has"] == 100
    assert (found["role of ten people"], found["role of nobody"]) == (10, 0)
    assert found["group of a fifth"] == 80
    assert all(f"page: {name}" in printed for name in manage.FILTERS)
    assert "everybody's permissions in one pass" in printed
    assert (tmp_path / "manage-sqlite.svg").read_text().count("<polyline") == 6


def test_every_filter_that_lists_have_is_measured() -> None:
    """A filter that is added to the lists is added to the bench."""
    assert {name for filters in manage.FILTERS.values() for name in filters} == KINDS.keys()
