"""The entry point: answers help at once, runs the command, and tells every error in one way.

Standard output carries the report alone. An error is one sentence on standard error, with the
next step, and the exit code of the error; with ``--json`` it is also a document on standard
output. Only ``--debug`` shows a traceback.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from syncd.cli import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.cli.application import Application, BuiltIn

INTERNAL, USAGE, INTERRUPTED = 70, 2, 130


def make_app(config: str | None, *, log_searches: bool = False) -> Application:
    """Build the application; tests put another in its place."""
    from syncd import logging
    from syncd.app import App

    app = App.load(config, log_searches=log_searches)
    log = app.settings.daemon.log
    logging.configure(format=log.format, level=log.level)
    return app


def built_in() -> BuiltIn:
    """Return what can be asked without any configuration; tests put another in its place."""
    from syncd.app import App

    return App


def exit_code(report: dict[str, Any]) -> int:
    """Return the exit code of a report."""
    from syncd.app import exit_code as code

    return code(report)


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        # What could not be written has been told; the interpreter must not try it once more.
        from syncd.cli.screen import silence

        silence()
    sys.exit(code)


def run(words: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding does not know must not end the command.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    words = list(words)
    try:
        if words in (["--help"], ["-h"]):
            sys.stdout.write(layout.root_help() + "\n")
            sys.stdout.flush()
            return 0
        if "--version" in words and all(word.startswith("-") for word in words):
            from syncd import __version__

            sys.stdout.write(f"syncd {__version__}\n")
            sys.stdout.flush()
            return 0
    except BrokenPipeError:
        from syncd.cli.screen import silence

        silence()
        return 0
    if not words:
        sys.stderr.write(layout.root_help() + "\n")
        return USAGE
    from syncd.cli.failures import guarded

    return guarded(words)
