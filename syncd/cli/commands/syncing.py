"""``plan``, ``sync``, ``approve``, ``pause``, ``resume``."""

from __future__ import annotations

from typing import Annotated

import typer

from syncd.cli import main
from syncd.cli.commands.arguments import Org, Run
from syncd.cli.program import command, family
from syncd.cli.render.changes import MOST_CHANGES
from syncd.cli.render.runs import run_blocks
from syncd.cli.render.status import paused_blocks, resumed_blocks
from syncd.cli.session import Outcome, Session

app = family()


@command(app, "plan")
def plan(session: Session, org: Org) -> Outcome:
    """Read the directory and say what a sync would change; nothing is changed.

    The most dangerous changes come first. The exit code is 1 when there are changes, 3 when the
    guard would block them, and 0 when people are in step.
    """
    with session.progress() as progress:
        # A first plan has a change for everybody; people read the first of them.
        limit = None if session.options.json else MOST_CHANGES
        report = session.app.plan(org, progress=progress, limit=limit)
    return Outcome(report, lambda: run_blocks(report), main.exit_code(report))


@command(app, "sync")
def sync(
    session: Session,
    org: Org,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="sync the person with this username only"),
    ] = None,
) -> Outcome:
    """Sync an organization's people with its directory.

    Without options it is a full sync: everybody is read, and whoever is no longer there is marked
    missing. A sync that goes over the organization's limits is blocked and waits for
    "syncd approve". Ctrl-C stops it in order; what it had applied stays, and nothing is lost.
    """
    with session.progress() as progress:
        report = session.app.sync(org, user=user, progress=progress)
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
