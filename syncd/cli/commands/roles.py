"""``role`` and ``permission-set``: create, edit, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from syncd.cli.commands.arguments import Org, Why
from syncd.cli.program import command, family
from syncd.cli.render.model import deleted_blocks, role_blocks, set_blocks, sets_blocks
from syncd.cli.session import Outcome, Session
from syncd.errors import UsageError

app = family()

Role = Annotated[str, typer.Argument(metavar="ROLE", help="the role's name")]
PermissionSet = Annotated[str, typer.Argument(metavar="SET", help="the permission set's name")]
Description = Annotated[
    str | None, typer.Option("--description", metavar="TEXT", help="what it is for")
]
NewName = Annotated[str | None, typer.Option("--name", metavar="NAME", help="its new name")]
Sections = Annotated[
    list[str] | None,
    typer.Option(
        "--section",
        metavar="SECTION:LEVEL",
        help="may be given several times; levels are none, view and edit",
    ),
]
EVERYTHING = "everything"


@command(app, "role create")
def role_create(
    session: Session,
    org: Org,
    role: Role,
    *,
    description: Description = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SET", help="a permission set; may be given several times"),
    ] = None,
    why: Why = None,
) -> Outcome:
    """Create a role with permission sets; what they allow adds up."""
    manage = session.manage(org)
    report = manage.roles.create(
        role,
        description=description or "",
        permission_sets=_set_ids(manage, sets or []),
        why=why,
    )
    return Outcome(report, lambda: role_blocks(report))


@command(app, "role edit")
def role_edit(
    session: Session,
    org: Org,
    role: Role,
    *,
    name: NewName = None,
    description: Description = None,
    add: Annotated[
        list[str] | None,
        typer.Option("--add-set", metavar="SET", help="give it a permission set"),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option("--remove-set", metavar="SET", help="take a permission set from it"),
    ] = None,
    why: Why = None,
) -> Outcome:
    """Rename or describe a role, give it permission sets or take them from it.

    Of an imported role the name is what the directory says, or the mapper's name_map.
    """
    manage = session.manage(org)
    shape = manage.roles.named(role)
    sets = None
    if add or remove:
        there = {each["id"] for each in shape["permission_sets"]}
        sets = (there | set(_set_ids(manage, add or []))) - set(_set_ids(manage, remove or []))
    report = manage.roles.edit(
        shape["id"], name=name, description=description, permission_sets=sets, why=why
    )
    return Outcome(report, lambda: role_blocks(report))


@command(app, "role delete")
def role_delete(
    session: Session,
    org: Org,
    role: Role,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="also take it from the people and groups who have it")
    ] = False,
    why: Why = None,
) -> Outcome:
    """Delete a role that nobody has, or with --force one that somebody has."""
    roles = session.manage(org).roles
    shape = roles.named(role)
    roles.delete(shape["id"], force=force, why=why)
    report = {"deleted": shape}
    return Outcome(report, lambda: deleted_blocks("role", shape))


@command(app, "permission-set list")
def set_list(session: Session, org: Org) -> Outcome:
    """List the permission sets: what each allows, and which roles have it."""
    report = session.manage(org).permission_sets.all()
    return Outcome(report, lambda: sets_blocks(report))


@command(app, "permission-set create")
def set_create(
    session: Session,
    org: Org,
    permission_set: PermissionSet,
    *,
    sections: Sections = None,
    description: Description = None,
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="ROLE", help="give it to this role; several times"),
    ] = None,
    why: Why = None,
) -> Outcome:
    """Create a permission set; sections that are not named have no access.

    Sections: personal_profile, license, invoices, users, roles, groups, permission_sets,
    address_books, clients, sessions, builds, organization; "everything" names them all.
    """
    manage = session.manage(org)
    report = manage.permission_sets.create(
        permission_set,
        sections=_levels(sections or []),
        description=description or "",
        roles=[manage.roles.named(each)["id"] for each in roles or []],
        why=why,
    )
    return Outcome(report, lambda: set_blocks(report))


@command(app, "permission-set edit")
def set_edit(
    session: Session,
    org: Org,
    permission_set: PermissionSet,
    *,
    name: NewName = None,
    description: Description = None,
    sections: Sections = None,
    why: Why = None,
) -> Outcome:
    """Rename or describe a permission set, or change the levels of the sections that are named."""
    sets = session.manage(org).permission_sets
    report = sets.edit(
        sets.named(permission_set)["id"],
        name=name,
        description=description,
        sections=_levels(sections) if sections else None,
        why=why,
    )
    return Outcome(report, lambda: set_blocks(report))


@command(app, "permission-set delete")
def set_delete(
    session: Session,
    org: Org,
    permission_set: PermissionSet,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="also take it from the roles that have it")
    ] = False,
    why: Why = None,
) -> Outcome:
    """Delete a permission set that no role has, or with --force one that some have."""
    sets = session.manage(org).permission_sets
    shape = sets.named(permission_set)
    sets.delete(shape["id"], force=force, why=why)
    report = {"deleted": shape}
    return Outcome(report, lambda: deleted_blocks("permission set", shape))


def _set_ids(manage: Any, names: Sequence[str]) -> list[int]:  # noqa: ANN401 - of syncd.managing
    return [manage.permission_sets.named(name)["id"] for name in names]


def _levels(words: Sequence[str]) -> dict[str, str]:
    """Return the levels of ``--section``; what is named goes before what "everything" says."""
    from syncd.permissions import SECTIONS

    found: dict[str, str] = {}
    for word in sorted(words, key=lambda word: not word.startswith(f"{EVERYTHING}:")):
        section, colon, level = word.partition(":")
        if not colon:
            raise UsageError(f"--section {word}: write it as in --section users:view")
        found |= dict.fromkeys(SECTIONS, level) if section == EVERYTHING else {section: level}
    return found
