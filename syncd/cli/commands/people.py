"""``user …``: making people, editing, disabling and deleting them, their roles and their mails."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.application import Document
from syncd.cli.commands.arguments import Org, Username
from syncd.cli.exits import mail_exit_code
from syncd.cli.program import command, family
from syncd.cli.render.managing import (
    deleted_blocks,
    imported_blocks,
    mail_blocks,
    person_blocks,
)
from syncd.cli.session import Outcome, Session
from syncd.errors import UsageError, cut

app = family()
# One byte more than is taken tells a file that is too large.
MOST_BYTES = 4 * 1024 * 1024 + 1
INVALID_ROWS = 5

Why = Annotated[
    str | None, typer.Option("--why", metavar="TEXT", help="the reason, for the journal")
]
FirstName = Annotated[str | None, typer.Option("--first-name", metavar="NAME", help="first name")]
LastName = Annotated[str | None, typer.Option("--last-name", metavar="NAME", help="last name")]
NoInvite = Annotated[
    bool, typer.Option("--no-invite", help="send no invitation; it can be sent later")
]
Role = Annotated[str, typer.Argument(metavar="ROLE", help="the role's name")]


@command(app, "user create")
def create(
    session: Session,
    org: Org,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="the person's e-mail address")],
    *,
    first_name: FirstName = None,
    last_name: LastName = None,
    username: Annotated[
        str | None,
        typer.Option("--username", metavar="NAME", help="else the e-mail address"),
    ] = None,
    no_invite: NoInvite = False,
    why: Why = None,
) -> Outcome:
    """Make a person, who is invited by mail to verify the address and to choose a password.

    Only where the provider is admin: a directory or an identity provider brings its own people.
    Without a mail server the link is printed, for you to hand on.
    """
    report = session.manage(org).users.create(
        email=email,
        first_name=first_name,
        last_name=last_name,
        username=username,
        invite=not no_invite,
        why=why,
    )
    return _made(report, "made")


@command(app, "user import")
def import_(
    session: Session,
    org: Org,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]", help="a CSV file, or one with addresses; - is standard input"
        ),
    ] = None,
    *,
    email: Annotated[
        list[str] | None,
        typer.Option("--email", metavar="ADDRESS", help="an address; may be given several times"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="only tell what would be made")
    ] = False,
    no_invite: NoInvite = False,
    why: Why = None,
) -> Outcome:
    """Make many people, from a CSV file or from e-mail addresses, and tell row by row.

    The file's first row names its columns: e-mail, first name, last name, username, in any order
    and in common spellings; only the e-mail has to be there. Without such a row every word is an
    address. Who is there already is left as he is. The exit code is 5 when rows are invalid.
    """
    if (file is None) == (not email):
        raise UsageError("give a FILE, or addresses with --email")
    text = "\n".join(email).encode() if email else _content(str(file))
    report = session.manage(org).users.create_many(text, dry=dry_run, invite=not no_invite, why=why)
    code = INVALID_ROWS if report["counts"]["invalid"] else 0
    mails = [row["mail"] for row in report["rows"]]
    return Outcome(report, lambda: imported_blocks(report), mail_exit_code(mails) or code)


@command(app, "user edit")
def edit(
    session: Session,
    org: Org,
    username: Username,
    *,
    new_username: Annotated[
        str | None, typer.Option("--username", metavar="NAME", help="the new username")
    ] = None,
    email: Annotated[
        str | None,
        typer.Option("--email", metavar="ADDRESS", help="the new address, to be verified anew"),
    ] = None,
    first_name: FirstName = None,
    last_name: LastName = None,
    why: Why = None,
) -> Outcome:
    """Change names or address of a person of the admin provider.

    What a directory or an identity provider says of its people is changed there. An empty first or
    last name removes it.
    """
    fields = {
        "username": new_username,
        "email": email,
        "first_name": first_name,
        "last_name": last_name,
    }
    wanted = {name: value for name, value in fields.items() if value is not None}
    if not wanted:
        raise UsageError("give what to change: --username, --email, --first-name or --last-name")
    users = session.manage(org).users
    report = users.edit(users.id_of(username), wanted, why=why)
    return _made(report, "changed")


@command(app, "user disable")
def disable(session: Session, org: Org, username: Username, *, why: Why = None) -> Outcome:
    """Shut a person out until "syncd user enable"; a sync does not change that."""
    users = session.manage(org).users
    return _made(users.disable(users.id_of(username), why=why), "disabled")


@command(app, "user enable")
def enable(session: Session, org: Org, username: Username, *, why: Why = None) -> Outcome:
    """Let a person in again who was disabled here; what a directory says stays as it is."""
    users = session.manage(org).users
    return _made(users.enable(users.id_of(username), why=why), "enabled")


@command(app, "user delete")
def delete(
    session: Session,
    org: Org,
    username: Username,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    why: Why = None,
) -> Outcome:
    """Delete a person for good, with the own address book; this cannot be taken back.

    Syncs pass over somebody whom a directory still has; see "syncd exclusions".
    """
    users = session.manage(org).users
    user_id = users.id_of(username)
    if not yes:
        _confirm(username)
    report = users.delete(user_id, why=why)
    return Outcome(report, lambda: deleted_blocks(report))


@command(app, "user grant")
def grant(
    session: Session, org: Org, username: Username, role: Role, *, why: Why = None
) -> Outcome:
    """Give a person a role by hand; syncs leave it alone."""
    users = session.manage(org).users
    report = users.grant(users.id_of(username), users.role_id(role), why=why)
    return _made(report, "changed")


@command(app, "user revoke")
def revoke(
    session: Session, org: Org, username: Username, role: Role, *, why: Why = None
) -> Outcome:
    """Take a role away that was given by hand; what a mapper or a group gives stays."""
    users = session.manage(org).users
    report = users.revoke(users.id_of(username), users.role_id(role), why=why)
    return _made(report, "changed")


@command(app, "user invite")
def invite(session: Session, org: Org, username: Username, *, why: Why = None) -> Outcome:
    """Send a person the invitation, or the verification of a changed address, once more."""
    management = session.manage(org)
    report = management.invitations.send(management.users.id_of(username), why=why)
    return Outcome(report, lambda: mail_blocks(report), mail_exit_code([report]))


@command(app, "user password")
def password(session: Session, org: Org, username: Username, *, why: Why = None) -> Outcome:
    """Send a person of the admin provider a link to choose a new password with."""
    management = session.manage(org)
    report = management.invitations.send_password(management.users.id_of(username), why=why)
    return Outcome(report, lambda: mail_blocks(report), mail_exit_code([report]))


def _made(report: Document, what: str) -> Outcome:
    code = mail_exit_code([report.get("mail")])
    return Outcome(report, lambda: person_blocks(report, what), code)


def _content(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(MOST_BYTES)
        with Path(name).open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {cut(error)}") from error


def _confirm(username: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("deleting cannot be taken back; confirm it with --yes")
    sys.stderr.write(f"This cannot be taken back. To delete {username}, type the username: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != username:
        raise UsageError("that is not the username; nobody was deleted")
