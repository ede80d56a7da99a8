"""Runs one call, and turns whatever goes wrong into one sentence and an exit code."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from typer.exceptions import TyperException

from syncd.cli import main
from syncd.cli.interrupts import stoppable
from syncd.cli.program import Call, parse
from syncd.cli.screen import deliver, print_json
from syncd.cli.session import Session
from syncd.cli.words import clean, sentence
from syncd.errors import ConfigurationError, Interrupted, SyncdError, cut


def guarded(words: list[str]) -> int:
    """Run the words as a command; never raises."""
    asked = words[: words.index("--")] if "--" in words else words
    as_json, debug = "--json" in asked, "--debug" in asked
    try:
        with stoppable():
            return _run(words)
    except SyncdError as error:
        return _told(error, as_json=as_json, debug=debug)
    except TyperException as error:
        return _misused(error, as_json=as_json)
    except KeyboardInterrupt:
        interrupted = Interrupted("interrupted; nothing is lost, the next sync starts from there")
        return _told(interrupted, as_json=as_json, debug=debug)
    except Exception as error:  # noqa: BLE001 - the last place where anything can be told
        return _unexpected(error, as_json=as_json, debug=debug)


def _run(words: list[str]) -> int:
    call = parse(words)
    if not isinstance(call, Call):
        return call
    session = Session(call.options, make_app=main.make_app, built_in=main.built_in)
    try:
        outcome = call.run(session)
        session.deliver(outcome)
    finally:
        session.close()
    return outcome.exit_code


def _told(error: SyncdError, *, as_json: bool, debug: bool) -> int:
    if debug:
        _write(traceback.format_exc())
    body: dict[str, Any] = {
        "code": error.code,
        "message": str(error),
        "retryable": error.retryable,
    }
    if isinstance(error, ConfigurationError):
        body["faults"] = [
            {"file": fault.file, "line": fault.line, "key": fault.key, "message": fault.message}
            for fault in error.faults
        ]
    if isinstance(error, ConfigurationError) and len(error.faults) > 1:
        lines = [f"syncd: the configuration has {len(error.faults)} faults:"]
        lines += [f"  {clean(str(fault))}" for fault in error.faults]
        _write("\n".join(lines) + "\n")
    else:
        _write(f"syncd: {clean(sentence(str(error)))}\n")
    if as_json:
        report = getattr(error, "report", None)
        _document({**(report if isinstance(report, dict) else {}), "error": body})
    return error.exit_code


def _misused(error: TyperException, *, as_json: bool) -> int:
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "syncd") if context is not None else "syncd"
    message = clean(f"{sentence(error.format_message())} See '{path} --help'.")
    _write(f"syncd: {message}\n")
    if as_json:
        _document({"error": {"code": "usage", "message": message, "retryable": False}})
    return main.USAGE


def _unexpected(error: Exception, *, as_json: bool, debug: bool) -> int:
    if debug:
        _write(traceback.format_exc())
    what = f"{type(error).__name__}: {cut(error)}" if str(error) else type(error).__name__
    step = "please report it with the traceback above" if debug else "run it again with --debug"
    message = clean(f"internal error ({what}); {step}.")
    _write(f"syncd: {message}\n")
    if as_json:
        _document({"error": {"code": "internal_error", "message": message, "retryable": False}})
    return main.INTERNAL


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        # There is nobody left to tell; the exit code still says it.
        return


def _document(value: dict[str, Any]) -> None:
    try:
        deliver(lambda: print_json(value))
    except OSError:
        # Standard output is what failed; the sentence on standard error says why.
        return
