"""``token create``, ``token list``, ``token revoke``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import takewhile
from typing import Annotated

import typer

from syncd.cli.application import Document
from syncd.cli.commands.arguments import Org
from syncd.cli.program import command, family
from syncd.cli.render.tokens import made_blocks, revoked_blocks, token_blocks
from syncd.cli.session import Outcome, Session
from syncd.errors import UsageError
from syncd.permissions import SECTIONS, Level

app = family()
PAGE = 500


@command(app, "token create")
def create(
    session: Session,
    org: Org,
    *,
    name: Annotated[
        str, typer.Option("--name", metavar="TEXT", help="what it is for, as the journal names it")
    ],
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="how long it lives, such as 12h or 90d")
    ],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="SECTION:LEVEL", help="may be given several times"),
    ] = None,
    everything: Annotated[
        str | None,
        typer.Option("--all", metavar="LEVEL", help="every section at this level: view or edit"),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            "--user",
            metavar="USERNAME",
            help="it acts for this person, and never may more than that person may at the moment",
        ),
    ] = None,
    why: Annotated[
        str | None, typer.Option("--why", metavar="TEXT", help="the reason, for the journal")
    ] = None,
) -> Outcome:
    """Make a token for the API and print it, this once.

    Sections: personal_profile, license, invoices, users, roles, groups, permission_sets,
    address_books, clients, sessions, builds, organization. Levels: view, edit.
    """
    report = session.manage(org).tokens.create(
        name,
        _scopes(scope or [], everything),
        lifetime=_lifetime(expires),
        username=user,
        why=why,
    )
    return Outcome(report, lambda: made_blocks(org, report))


@command(app, "token list")
def list_(session: Session, org: Org) -> Outcome:
    """List an organization's tokens: what each is for, until when, and when it was last used."""
    tokens = session.manage(org).tokens
    report: list[Document] = []
    while page := tokens.page(limit=PAGE, after=report[-1]["id"] if report else 0):
        report += page
    return Outcome(report, lambda: token_blocks(org, report))


@command(app, "token revoke")
def revoke(
    session: Session,
    org: Org,
    token: Annotated[
        str, typer.Argument(metavar="TOKEN", help="its id, as `syncd token list` shows it")
    ],
    why: Annotated[
        str | None, typer.Option("--why", metavar="TEXT", help="the reason, for the journal")
    ] = None,
) -> Outcome:
    """End a token at once."""
    report = session.manage(org).tokens.revoke(_id(token), why=why)
    return Outcome(report, lambda: revoked_blocks(report))


def _scopes(words: Sequence[str], everything: str | None) -> dict[str, Level]:
    """Return sections and levels; what is named goes before what ``--all`` says."""
    scopes = {}
    try:
        if everything is not None:
            scopes = dict.fromkeys(SECTIONS, Level.of(everything))
        for word in words:
            section, _, level = word.partition(":")
            if section not in SECTIONS:
                known = ", ".join(SECTIONS)
                raise UsageError(
                    f"--scope {word}: there is no section {section}; there are {known}"
                )
            scopes[section] = Level.of(level)
    except ValueError as error:
        raise UsageError(f"{error}; write it as in --scope users:view") from error
    return scopes


def _lifetime(text: str) -> timedelta:
    from syncd.settings.values import read_duration

    try:
        return timedelta(seconds=read_duration(text))
    except ValueError as error:
        raise UsageError(f"--expires {text}: {error}") from error


def _id(text: str) -> int:
    digits = "".join(takewhile(str.isdecimal, text.removeprefix("syncd_")))
    if not digits.isascii() or not 0 < len(digits) <= 18:
        raise UsageError(f"{text} is no token's id; `syncd token list ORG` shows them")
    return int(digits)
