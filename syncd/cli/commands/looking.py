"""``status``, ``users``, ``roles``, ``groups``, ``show``, ``explain``, ``quarantine``, ``runs``."""

from __future__ import annotations

from typing import Annotated

import typer

from syncd.cli.commands.arguments import Org, Run, Username
from syncd.cli.exits import NOT_THERE
from syncd.cli.program import command, family
from syncd.cli.render.explain import explain_blocks
from syncd.cli.render.people import (
    group_blocks,
    quarantine_blocks,
    role_blocks,
    show_blocks,
    user_blocks,
)
from syncd.cli.render.runs import list_blocks, run_blocks
from syncd.cli.render.status import one_blocks, overview_blocks
from syncd.cli.session import Outcome, Session

app = family()


@command(app, "status")
def status(
    session: Session,
    org: Annotated[
        str | None,
        typer.Argument(metavar="[ORG]", help="one organization in full; else all of them"),
    ] = None,
) -> Outcome:
    """Show the last and next runs, blocked plans, the lease and the quarantine."""
    report = session.app.status(org)
    if org is not None and len(report) == 1:
        return Outcome(report, lambda: one_blocks(report[0]))
    return Outcome(report, lambda: overview_blocks(report))


@command(app, "users")
def users(session: Session, org: Org) -> Outcome:
    """List an organization's people with their state and roles."""
    report = session.app.users(org)
    return Outcome(report, lambda: user_blocks(org, report))


@command(app, "roles")
def roles(session: Session, org: Org) -> Outcome:
    """List an organization's roles and how many people have them."""
    report = session.app.roles(org)
    return Outcome(report, lambda: role_blocks(org, report))


@command(app, "groups")
def groups(session: Session, org: Org) -> Outcome:
    """List an organization's groups: where each stands and comes from, and how many are in it."""
    report = session.app.groups(org)
    return Outcome(report, lambda: group_blocks(org, report))


@command(app, "show")
def show(
    session: Session,
    org: Org,
    username: Username,
    *,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="as of then: ISO 8601, or how long ago: 2h, 3d"),
    ] = None,
) -> Outcome:
    """Show one person: state, attributes, and each role and group with its source.

    With --at as of a time, as far back as the journal reaches (retention.journal); the username may
    be the one of then.
    """
    if at is not None:
        report = session.app.show_at(org, username, at)
    else:
        report = session.app.show(org, username)
    return Outcome(report, lambda: show_blocks(report))


@command(app, "explain")
def explain(
    session: Session,
    org: Org,
    username: Username,
    *,
    role: Annotated[
        str | None,
        typer.Option("--role", metavar="NAME", help="explain this role only, had or not had"),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="NAME", help="the same of a group, by name or path"),
    ] = None,
    stored: Annotated[
        bool,
        typer.Option("--stored", help="answer from the journal; do not ask the directory"),
    ] = False,
) -> Outcome:
    """Say where each value, role and group of a person comes from, or why the person is not there.

    With --role or --group also why the person lacks it, and what would give it. The directory's
    entry is read and mapped anew, unless --stored is given. The exit code is 7 when neither the
    store nor the directory knows such a person.
    """
    report = session.app.explain(org, username, role=role, group=group, stored=stored)
    there = report.get("present") or report.get("known")
    code = 0 if there else NOT_THERE
    return Outcome(report, lambda: explain_blocks(org, report, role, group), code)


@command(app, "quarantine")
def quarantine(session: Session, org: Org) -> Outcome:
    """List the directory's entries that could not be taken, and why."""
    report = session.app.quarantine(org)
    return Outcome(report, lambda: quarantine_blocks(org, report))


@command(app, "runs")
def runs(session: Session, org: Org) -> Outcome:
    """List an organization's runs."""
    report = session.app.runs(org)
    return Outcome(report, lambda: list_blocks(org, report))


@command(app, "runs show")
def runs_show(session: Session, run: Run) -> Outcome:
    """Show what one run did, or what a blocked plan would do, with every change."""
    report = session.app.run(run)
    return Outcome(report, lambda: run_blocks(report, limit=None))
