"""The bench of tokens, at a size that is done at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench import tokens
from bench.arriving import ARRIVALS
from bench.claimed import ALGORITHMS, ID_TOKEN, NOTHING_BUT_THE_SIGNATURE, Operation

if TYPE_CHECKING:
    from pathlib import Path


def test_everything_that_befalls_a_token_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command validates, maps and writes, prints tables and writes the figures down."""
    words = ["--seconds", "0.002", "--people", "2", "--store", "sqlite", "--out", str(tmp_path)]
    assert tokens.main(words) == 0
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "tokens.json").read_text())
    validation = found["validation"]
    assert tuple(validation["microseconds"]) == ALGORITHMS
    assert all(1_000 < size < 2_000 for size in validation["token_bytes"].values())
    # One for each algorithm's cache, whatever is asked of it.
    assert validation["warm_fetches"] == len(ALGORITHMS)
    assert tuple(found["arrival_milliseconds"]["sqlite"]) == ARRIVALS
    for name in (NOTHING_BUT_THE_SIGNATURE, ID_TOKEN, *found["mapping_microseconds"], *ARRIVALS):
        assert name in printed


def test_a_token_that_goes_the_wrong_way_is_no_figure() -> None:
    """An operation that does not end as it should stops the bench with its name."""
    with pytest.raises(tokens.NotAsExpected, match="forged"):
        tokens.best([Operation("forged", lambda: True, lambda found: found is False)], 0.001)
