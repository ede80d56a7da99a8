"""``sessions``, ``sessions end``."""

from __future__ import annotations

from typing import Annotated

import typer

from syncd.cli.application import Document
from syncd.cli.commands.arguments import Org
from syncd.cli.program import command, family
from syncd.cli.render.sessions import all_ended_blocks, ended_blocks, session_blocks
from syncd.cli.session import Outcome, Session
from syncd.errors import UsageError

app = family()
PAGE = 500

OfUser = Annotated[
    str | None, typer.Option("--user", metavar="USERNAME", help="only those of this person")
]


@command(app, "sessions")
def sessions(session: Session, org: Org, *, user: OfUser = None) -> Outcome:
    """List who is signed in: since when, from where, and until when that holds."""
    area = session.manage(org).sessions
    report: list[Document] = []
    while page := area.page(limit=PAGE, after=report[-1]["id"] if report else 0, username=user):
        report += page
    return Outcome(report, lambda: session_blocks(org, report))


@command(app, "sessions end")
def sessions_end(
    session: Session,
    org: Org,
    number: Annotated[
        str | None,
        typer.Argument(metavar="[SESSION]", help="its id, as `syncd sessions ORG` shows it"),
    ] = None,
    *,
    user: Annotated[
        str | None, typer.Option("--user", metavar="USERNAME", help="all those of this person")
    ] = None,
) -> Outcome:
    """End one session at once, or all of a person.

    The person may sign in again; `syncd user disable` shuts somebody out.
    """
    if (number is None) == (user is None):
        raise UsageError("name one session, or a person with --user")
    if number is not None and not (number.isascii() and number.isdecimal() and len(number) <= 18):
        raise UsageError(f"{number} is no session's id; `syncd sessions {org}` shows them")
    area = session.manage(org).sessions
    if number is None:
        ended = {"username": user, "ended": area.end_all(user)}
        return Outcome(ended, lambda: all_ended_blocks(org, ended))
    report = area.end(int(number))
    return Outcome(report, lambda: ended_blocks(report))
