"""``plan``, ``sync``, ``run``, ``approve``, ``pause``, ``resume``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from syncd.cli import main
from syncd.cli.commands.arguments import Org, Run
from syncd.cli.program import command, family
from syncd.cli.render.changes import MOST_CHANGES
from syncd.cli.render.runs import run_blocks
from syncd.cli.render.status import paused_blocks, resumed_blocks
from syncd.cli.session import Outcome, Session
from syncd.errors import UsageError

app = family()
# How the daemon ended: in order, or at once.
ENDS = {"stopped": 0, "killed": 130}


CHANGED = Annotated[
    bool,
    typer.Option("--changed", help="read only what changed in the directory since the last sync"),
]


@command(app, "plan")
def plan(session: Session, org: Org, changed: CHANGED = False) -> Outcome:
    """Read the directory and say what a sync would change; nothing is changed.

    The most dangerous changes come first. The exit code is 1 when there are changes, 3 when the
    guard would block them, and 0 when people are in step.
    """
    with session.progress() as progress:
        # A first plan has a change for everybody; people read the first of them.
        limit = None if session.options.json else MOST_CHANGES
        report = session.app.plan(org, changed=changed, progress=progress, limit=limit)
    return Outcome(report, lambda: run_blocks(report), main.exit_code(report))


@command(app, "sync")
def sync(
    session: Session,
    org: Org,
    changed: CHANGED = False,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="sync the person with this username only"),
    ] = None,
) -> Outcome:
    """Sync an organization's people with its directory.

    Without options it is a full sync: everybody is read, and whoever is no longer there is marked
    missing. With --changed only new and changed entries are read; where the directory cannot tell
    those, the sync becomes a full one and says why. A sync that goes over the organization's limits
    is blocked and waits for "syncd approve". Ctrl-C stops it in order; what it had applied stays,
    and nothing is lost.
    """
    if changed and user is not None:
        raise UsageError("--changed and --user exclude each other; give one of them")
    with session.progress() as progress:
        report = session.app.sync(org, changed=changed, user=user, progress=progress)
    return Outcome(report, lambda: run_blocks(report), main.exit_code(report))


@command(app, "approve")
def approve(session: Session, run: Run) -> Outcome:
    """Apply a plan that the guard blocked, after somebody has looked at it.

    The entries that the plan names are read again. What still holds is applied, and the rest is
    listed.
    """
    with session.progress() as progress:
        report = session.app.approve(run, progress)
    return Outcome(report, lambda: run_blocks(report), main.exit_code(report))


@command(app, "pause")
def pause(
    session: Session,
    org: Org,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="TEXT", help="why, for whoever reads the status"),
    ] = None,
) -> Outcome:
    """Let no sync of an organization start until "syncd resume". A running one goes on."""
    report = session.app.pause(org, reason)
    return Outcome(report, lambda: paused_blocks(org, reason))


@command(app, "resume")
def resume(session: Session, org: Org) -> Outcome:
    """Let the syncs of a paused organization start again."""
    report = session.app.resume(org)
    return Outcome(report, lambda: resumed_blocks(org))


@command(app, "run")
def run(
    session: Session,
    only: Annotated[
        Literal["web", "sync"] | None,
        typer.Option("--only", metavar="HALF", help="run one half: web, or sync; default: both"),
    ] = None,
) -> Outcome:
    """Run the daemon until a signal ends it: full and changed-user syncs of every organization.

    SIGTERM or Ctrl-C lets the syncs under way end within the time that sync.drain gives them; a
    second one ends at once. SIGHUP reads the configuration again, as does a change of its files.
    Several of them may share one PostgreSQL store. What it does is told in its log, on standard
    error. The exit code is 0 after an end in order and 130 after one at once.
    """
    from syncd import logging
    from syncd.daemon.service import serve

    built: Any = session.app
    # Its log is all that a terminal gets to see, so it is not kept short there.
    options = session.options
    level = options.log_level if options.debug or options.verbose else None
    logging.pin(level)
    log = built.settings.daemon.log
    logging.configure(format=log.format, level=log.level)
    report = serve(built, config=options.config, only=only, level=level)
    return Outcome(report, list, ENDS[report["status"]])
