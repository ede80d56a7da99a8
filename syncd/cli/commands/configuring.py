"""``check``, ``config``, ``db``, ``mappers``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.commands.arguments import Org
from syncd.cli.exits import FINE, check_exit_code
from syncd.cli.program import command, family
from syncd.cli.render.configuration import (
    check_blocks,
    mapper_blocks,
    pruned_blocks,
    settings_blocks,
    tried_blocks,
    upgraded_blocks,
)
from syncd.cli.render.identifying import tried_claims_blocks
from syncd.cli.session import Outcome, Session
from syncd.errors import SignInRefused, UsageError, cut

app = family()
# Of a file of claims; a token is far smaller.
MOST_CLAIMS_BYTES = 2**20


@command(app, "check")
def check(
    session: Session,
    connect: Annotated[
        bool,
        typer.Option(
            "--connect", help="also connect to each directory and provider and say what was found"
        ),
    ] = False,
) -> Outcome:
    """Validate all configuration, and name every fault at once with file, line and key.

    With --connect it also asks each directory: what it is, which controls and limits it has, which
    attributes the account can read, what one user looks like when mapped. Of each identity provider
    it reads keys and metadata.
    """
    report = session.app.check(connect=connect)
    return Outcome(report, lambda: check_blocks(report), check_exit_code(report))


@command(app, "config show")
def config_show(session: Session) -> Outcome:
    """Print the settings as they are in effect, defaults included, secrets masked."""
    report = session.app.config_show()
    return Outcome(report, lambda: settings_blocks(report))


@command(app, "config schema")
def config_schema(session: Session) -> Outcome:
    """Print the JSON Schema of the settings, for editors; it is JSON with and without --json."""
    report = session.built_in.config_schema()
    return Outcome(report, list, always_json=True)


@command(app, "db upgrade")
def db_upgrade(session: Session) -> Outcome:
    """Bring the store to this version's schema; makes the schema in an empty store."""
    report = session.app.db_upgrade()
    return Outcome(report, lambda: upgraded_blocks(report))


@command(app, "db prune")
def db_prune(session: Session) -> Outcome:
    """Remove from the store what is older than the keys below `retention` keep.

    The journal with its change sets, runs with their plans, what ended runs left in the stage, and
    entries of the quarantine. It may run beside syncs: a run that is under way, a plan that waits
    and each organization's newest runs stay. Plans that have waited longer than
    limits.approval_period expire.
    """
    report = session.app.db_prune()
    return Outcome(report, lambda: pruned_blocks(report))


@command(app, "mappers")
def mappers(session: Session) -> Outcome:
    """List the mapper types, each with its options and an example."""
    report = session.built_in.mappers()
    return Outcome(report, lambda: mapper_blocks(report))


@command(app, "mappers try")
def mappers_try(
    session: Session,
    org: Org,
    *,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="the username of an entry to map"),
    ] = None,
    claims: Annotated[
        str | None,
        typer.Option(
            "--claims",
            metavar="FILE",
            help="a JSON object of an identity provider's claims; - is standard input",
        ),
    ] = None,
) -> Outcome:
    """Show what the mappers make of one entry, or of claims; nothing is stored.

    With --user the entry is read from the directory. With --claims the file is taken as what the
    identity provider would say of somebody who signs in for the first time.
    """
    if (user is None) == (claims is None):
        raise UsageError("give --user NAME for a directory, or --claims FILE for a provider")
    if claims is not None:
        body = _content(claims)
        report = session.app.try_claims(org, body)
        # As of an entry that cannot be mapped.
        code = SignInRefused.exit_code if report["refused"] else FINE
        return Outcome(report, lambda: tried_claims_blocks(report), code)
    report = session.app.try_mappers(org, str(user))
    return Outcome(report, lambda: tried_blocks(report))


def _content(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(MOST_CLAIMS_BYTES)
        with Path(name).open("rb") as file:
            return file.read(MOST_CLAIMS_BYTES)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {cut(error)}") from error
