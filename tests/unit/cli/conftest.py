"""Runs the command line in this process with recorded answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from syncd import logging
from syncd.cli import main
from tests.unit.cli import recorded


@dataclass(frozen=True)
class Result:
    """What one call came to."""

    code: int
    out: str
    err: str
    app: recorded.RecordedApp


Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs words as a command."""
    monkeypatch.setattr(main, "exit_code", recorded.exit_code)
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "SYNCD_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str, **answers: Any) -> Result:
        app = recorded.RecordedApp(answers)

        def make_app(config: str | None, *, log_searches: bool = False) -> recorded.RecordedApp:
            app.calls.append(("load", (config,), {"log_searches": log_searches}))
            return app

        monkeypatch.setattr(main, "make_app", make_app)
        monkeypatch.setattr(main, "built_in", lambda: app)
        code = main.run(words)
        captured = capsys.readouterr()
        logging.pin(None)
        return Result(code, captured.out, captured.err, app)

    return run
