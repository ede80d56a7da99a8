"""``changes``."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from syncd.cli.commands.arguments import Org
from syncd.cli.program import command, family
from syncd.cli.render.feed import change_lines, feed_blocks
from syncd.cli.screen import Screen, silence
from syncd.cli.session import Outcome, Session

app = family()
WAIT_SECONDS = 30.0


@command(app, "changes")
def changes(
    session: Session,
    org: Org,
    *,
    after: Annotated[
        str | None,
        typer.Option(
            "--after", metavar="CURSOR", help="from here on: `next` of an answer, or `now`"
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="COUNT", min=1, max=1000, help="at most so many")
    ] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", help="go on, and wait for changes, until interrupted")
    ] = False,
) -> Outcome:
    """List what was changed by whatever way, in the order in which it was committed.

    Without --after it begins with the oldest change that is kept. The answer tells the cursor to go
    on with. With --follow and --json each line is one answer.
    """
    feed = session.manage(org).changes
    page = feed.page(after, limit)
    while follow and _delivered(session, page):
        page = feed.page(page["next"], limit, wait=WAIT_SECONDS)
    return Outcome(page, lambda: feed_blocks(org, page))


def _delivered(session: Session, page: dict[str, Any]) -> bool:
    """Print what is new; return whether somebody still reads it."""
    try:
        _print(session, page)
        sys.stdout.flush()
    except BrokenPipeError:
        silence()
        return False
    return True


def _print(session: Session, page: dict[str, Any]) -> None:
    if not page["changes"]:
        return
    if session.options.json:
        text = json.dumps(page, ensure_ascii=True)
        sys.stdout.write(f"{text}\n")
        return
    screen = Screen.on(sys.stdout, color=not session.options.no_color)
    screen.show(change_lines(page["changes"]))
