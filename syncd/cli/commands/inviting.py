"""``invitations``, ``exclusions``, ``owners``."""

from __future__ import annotations

from typing import Annotated

import typer

from syncd.cli.commands.arguments import Org, Username
from syncd.cli.exits import mail_exit_code
from syncd.cli.program import command, family
from syncd.cli.render.managing import (
    exclusion_blocks,
    included_blocks,
    invitation_blocks,
    mail_blocks,
    person_blocks,
)
from syncd.cli.render.people import user_blocks
from syncd.cli.session import Outcome, Session
from syncd.errors import UsageError

app = family()

Why = Annotated[
    str | None, typer.Option("--why", metavar="TEXT", help="the reason, for the journal")
]


@command(app, "invitations")
def invitations(session: Session, org: Org) -> Outcome:
    """List who was made here and has not taken the invitation yet."""
    report = session.manage(org).invitations.list()
    return Outcome(report, lambda: invitation_blocks(org, report))


@command(app, "invitations send")
def invitations_send(session: Session, org: Org, username: Username, *, why: Why = None) -> Outcome:
    """Send an invitation, or the verification of a changed address, once more.

    The link sent before works no more. Without a mail server it is printed, for you to hand on.
    """
    management = session.manage(org)
    report = management.invitations.send(management.users.id_of(username), why=why)
    return Outcome(report, lambda: mail_blocks(report), mail_exit_code([report]))


@command(app, "exclusions")
def exclusions(session: Session, org: Org) -> Outcome:
    """List whom syncs pass over, because somebody deleted them here for good."""
    report = session.manage(org).exclusions.list()
    return Outcome(report, lambda: exclusion_blocks(org, report))


@command(app, "exclusions remove")
def exclusions_remove(
    session: Session,
    org: Org,
    name: Annotated[
        str,
        typer.Argument(metavar="USERNAME|ID", help="the former username, or the directory's id"),
    ],
    *,
    why: Why = None,
) -> Outcome:
    """Let the next full sync bring somebody again, as a new person."""
    area = session.manage(org).exclusions
    there = area.find(name)
    report = area.remove(there["external_id"], source=there["source"], why=why)
    return Outcome(report, lambda: included_blocks(org, report))


@command(app, "owners list")
def owners_list(session: Session, org: Org) -> Outcome:
    """List who has the role Owner, by whatever way."""
    report = session.manage(org).owners.list()
    return Outcome(report, lambda: user_blocks(org, report))


@command(app, "owners add")
def owners_add(
    session: Session,
    org: Org,
    username: Annotated[
        str | None, typer.Argument(metavar="[USERNAME]", help="somebody who is there already")
    ] = None,
    *,
    email: Annotated[
        str | None,
        typer.Option("--email", metavar="ADDRESS", help="make somebody new, and invite him"),
    ] = None,
    first_name: Annotated[
        str | None, typer.Option("--first-name", metavar="NAME", help="of somebody new")
    ] = None,
    last_name: Annotated[
        str | None, typer.Option("--last-name", metavar="NAME", help="of somebody new")
    ] = None,
    why: Why = None,
) -> Outcome:
    """Make somebody an owner: a person who is there, or the first one of an organization.

    With --email a person is made and invited by mail, where the provider is admin.
    """
    if (username is None) == (email is None):
        raise UsageError("give a USERNAME of somebody who is there, or --email for somebody new")
    management = session.manage(org)
    if email is not None:
        report = management.owners.found(
            email=email, first_name=first_name, last_name=last_name, why=why
        )
    elif first_name or last_name:
        raise UsageError("--first-name and --last-name are for somebody new, beside --email")
    else:
        report = management.owners.add(management.users.id_of(username), why=why)
    code = mail_exit_code([report.get("mail")])
    return Outcome(report, lambda: person_blocks(report, "an owner now"), code)
