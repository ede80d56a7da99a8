"""``journal``, ``undo``: who changed what, and taking it back."""

from __future__ import annotations

from typing import Annotated

import typer

from syncd.cli import main
from syncd.cli.commands.arguments import Org, Why
from syncd.cli.program import command, family
from syncd.cli.render.journal import change_set_blocks, journal_blocks, undone_blocks
from syncd.cli.session import Outcome, Session

app = family()

ChangeSet = Annotated[
    str,
    typer.Argument(
        metavar="CHANGE_SET", help="its id, such as c-000123, or the run that made it (r-000017)"
    ),
]
Objects = Annotated[
    str | None,
    typer.Option(
        "--object",
        metavar="KIND",
        help="only changes of: person, role, group, permission_set, address_book, token, …",
    ),
]


@command(app, "journal")
def journal(
    session: Session,
    org: Org,
    *,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="USERNAME", help="only what changed this person"),
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option("--actor", metavar="NAME", help="only changes by: sync, 'operator ann', …"),
    ] = None,
    object_: Objects = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="not before: ISO 8601, or ago: 2h, 3d"),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="before this time")
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="only what this run changed")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", help="how many, newest first", min=1, max=500)
    ] = 50,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="CHANGE_SET", help="go on behind this change set"),
    ] = None,
) -> Outcome:
    """List what was changed, newest first: when, by whom or what, why, and how much.

    Each change set has an id, which "syncd journal show" and "syncd undo" take.
    """
    filters = {
        "person": user,
        "actor": actor,
        "object": object_,
        "since": since,
        "until": until,
        "run": run,
    }
    report = session.app.journal(org, limit=limit, after=after, filters=filters)
    return Outcome(report, lambda: journal_blocks(org, report))


@command(app, "journal show")
def journal_show(
    session: Session,
    org: Org,
    change_set: ChangeSet,
    *,
    limit: Annotated[
        int,
        typer.Option("--limit", metavar="N", help="of how many people to show", min=1),
    ] = 1_000,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="CURSOR", help='go on behind "next" of the answer before'),
    ] = None,
) -> Outcome:
    """Show one change set: each person and thing that it changed, before and after."""
    report = session.app.change_set(org, change_set, limit=limit, after=after)
    return Outcome(report, lambda: change_set_blocks(org, report))


@command(app, "undo")
def undo(
    session: Session,
    change_set: ChangeSet,
    *,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="only say what would be taken back and what left alone"),
    ] = False,
    why: Why = None,
) -> Outcome:
    """Take a change set back: what still is as it left it becomes what it was before.

    What others changed since stays and is listed. The guard holds an undo as it does a sync: over a
    limit it waits for "syncd approve". What a sync would do again pauses the organization until
    "syncd resume". An undo is a change set itself and can be undone. A deleted person cannot be
    brought back.
    """
    with session.progress() as progress:
        report = session.app.undo(change_set, dry=dry_run, why=why, progress=progress)
    # An exit code of 1, changes pending, is that of "plan" alone.
    code = 0 if report["status"] == "planned" else main.exit_code(report)
    return Outcome(report, lambda: undone_blocks(report), code)
