"""One call of the command: the options given, the application it asks, and what came of it."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from syncd.cli import progress
from syncd.cli.application import Application, BuiltIn
from syncd.cli.blocks import Block
from syncd.cli.screen import Screen, deliver, print_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that every command takes."""

    config: str | None = None
    json: bool = False
    verbose: int = 0
    debug: bool = False
    no_color: bool = False

    def merged(self, later: Options) -> Options:
        """Return these options with those given behind the command."""
        return Options(
            config=later.config or self.config,
            json=self.json or later.json,
            verbose=max(self.verbose, later.verbose),
            debug=self.debug or later.debug,
            no_color=self.no_color or later.no_color,
        )

    @property
    def log_level(self) -> str | None:
        """Return the level that the call asks for; None leaves it to the configuration."""
        if self.debug or self.verbose > 1:
            return "debug"
        if self.verbose:
            return "info"
        # On a terminal the report tells what the log lines would.
        return "warning" if sys.stderr.isatty() else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command answers."""

    # What --json prints.
    report: object
    blocks: Callable[[], Sequence[Block]]
    exit_code: int = 0
    # The report is JSON for people, too.
    always_json: bool = False


class Session:
    """What a command gets besides its own arguments."""

    def __init__(
        self,
        options: Options,
        *,
        make_app: Callable[..., Application],
        built_in: Callable[[], BuiltIn],
    ) -> None:
        self.options = options
        self._make_app = make_app
        self._built_in = built_in

    @property
    def built_in(self) -> BuiltIn:
        """Return what needs no configuration."""
        return self._built_in()

    @cached_property
    def app(self) -> Application:
        """Return the application; it is built when first asked for."""
        from syncd import logging

        logging.pin(self.options.log_level)
        logging.configure()
        searches = self.options.debug or self.options.verbose > 0
        return self._make_app(self.options.config, log_searches=searches)

    def manage(self, org: str) -> Any:  # noqa: ANN401 - the areas are several
        """Return what can be done in an organization by hand, as whoever runs this command."""
        from syncd.permissions import operator

        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            name = str(os.getuid())
        return self.app.manage(org, operator(name))

    def progress(self) -> AbstractContextManager[progress.Report | None]:
        """Show progress while the block runs."""
        return progress.shown(color=not self.options.no_color)

    def deliver(self, outcome: Outcome) -> None:
        """Print the answer."""
        if self.options.json or outcome.always_json:
            deliver(lambda: print_json(outcome.report))
        else:
            screen = Screen.on(sys.stdout, color=not self.options.no_color)
            deliver(lambda: screen.show(outcome.blocks()))

    def close(self) -> None:
        """Close the application if it was built."""
        app: Any = self.__dict__.get("app")
        close = getattr(app, "close", None)
        if close is not None:
            close()
