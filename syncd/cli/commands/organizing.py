"""``organization …``, ``provider …``, ``rekey``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from syncd.cli import main
from syncd.cli.commands.arguments import Org, Username
from syncd.cli.program import command, family
from syncd.cli.render.organizing import (
    deleted_blocks,
    forgotten_blocks,
    linked_blocks,
    organization_blocks,
    rekey_blocks,
    switch_blocks,
)
from syncd.cli.session import Outcome, Session

app = family()

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="say what it would mean, and change nothing")
]
Why = Annotated[
    str | None, typer.Option("--why", metavar="TEXT", help="the reason, for the journal")
]


@command(app, "organization show")
def show(session: Session, org: Org) -> Outcome:
    """Show an organization: its provider, what is pending, its certificates, how much there is."""
    report = session.manage(org).organization.show()
    return Outcome(report, lambda: organization_blocks(report))


@command(app, "organization delete")
def delete(
    session: Session,
    org: Org,
    *,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="its name, exactly: it cannot be undone")
    ],
    owner: Annotated[
        str | None,
        typer.Option("--owner", metavar="USERNAME", help="the owner who decided so"),
    ] = None,
) -> Outcome:
    """Delete an organization with all people, roles, groups, address books and its journal.

    It is final and an owner's decision. What stays is a row that keeps syncs from beginning anew;
    "syncd organization forget" removes that, too. After a sudden stop the same command goes on.
    """
    report = session.manage(org).organization.delete(name, owner=owner)
    return Outcome(report, lambda: deleted_blocks(report))


@command(app, "organization forget")
def forget(session: Session, org: Org) -> Outcome:
    """Remove what keeps the id of a deleted organization from being used anew."""
    report = session.app.organization_forget(org)
    return Outcome(report, lambda: forgotten_blocks(report))


@command(app, "provider switch")
def switch(
    session: Session,
    org: Org,
    *,
    link: Annotated[
        Literal["username", "verified-email"] | None,
        typer.Option(
            "--link",
            metavar="BY",
            help="take people over whom the new provider brings: by username or verified-email",
        ),
    ] = None,
    owner: Annotated[
        list[str] | None,
        typer.Option(
            "--owner",
            metavar="USERNAME",
            help="take this Owner or Admin along, whom nothing else links; may be repeated",
        ),
    ] = None,
    dry_run: DryRun = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="do it although it is over the limits")
    ] = False,
) -> Outcome:
    """Make the provider in an organization's file the one that is applied.

    People of the provider left behind keep their records and lose their sign-in, until they are
    linked or the provider is switched back. A new directory is read first, and nothing is changed
    if it does not answer. Over the limits the switch waits for "syncd approve", or for --yes. It
    never leaves an organization without an owner: name one with --owner.
    """
    with session.progress() as progress:
        report = session.app.provider_switch(
            org, link=link, owners=owner or (), dry=dry_run, sure=yes, progress=progress
        )
    return Outcome(report, lambda: switch_blocks(report), main.exit_code(report))


@command(app, "provider link")
def link(
    session: Session,
    org: Org,
    username: Username,
    *,
    external_id: Annotated[
        str | None,
        typer.Option(
            "--external-id", metavar="ID", help="the entry's id, if not that of this username"
        ),
    ] = None,
    why: Why = None,
) -> Outcome:
    """Take somebody of a former provider over: from now on he is the present provider's.

    In a directory the entry of the same username is taken, or the one with --external-id. He keeps
    everything, and may sign in again.
    """
    report = session.app.provider_link(org, username, external_id=external_id, why=why)
    return Outcome(report, lambda: linked_blocks(report))


@command(app, "rekey")
def rekey(
    session: Session,
    org: Org,
    *,
    by: Annotated[
        Literal["username", "dn"],
        typer.Option("--by", metavar="BY", help="what pairs a person with an entry: username, dn"),
    ] = "username",
    dry_run: DryRun = False,
) -> Outcome:
    """Give people the ids under which a directory has them now, and keep all that is theirs.

    For a directory that was rebuilt, or another UUID attribute: without it everybody would be
    missing, and everybody new. The users listing must be whole. People without an entry are left
    alone and listed; too many of them wait for "syncd approve".
    """
    with session.progress() as progress:
        report = session.app.rekey(org, by=by, dry=dry_run, progress=progress)
    return Outcome(report, lambda: rekey_blocks(report), main.exit_code(report))
