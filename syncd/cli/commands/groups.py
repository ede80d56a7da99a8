"""``group``: create, edit, delete; members, roles and child groups."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from syncd.cli.commands.arguments import Org, Username, Why
from syncd.cli.program import command, family
from syncd.cli.render.model import deleted_blocks, group_blocks
from syncd.cli.session import Outcome, Session

app = family()

Group = Annotated[str, typer.Argument(metavar="GROUP", help="the group's name or path")]
Child = Annotated[str, typer.Argument(metavar="CHILD", help="the other group's name or path")]
Role = Annotated[str, typer.Argument(metavar="ROLE", help="the role's name")]
Description = Annotated[
    str | None, typer.Option("--description", metavar="TEXT", help="what it is for")
]


@command(app, "group create")
def create(
    session: Session,
    org: Org,
    name: Annotated[str, typer.Argument(metavar="NAME", help="the group's name")],
    *,
    description: Description = None,
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="ROLE", help="a role for its members; several times"),
    ] = None,
    why: Why = None,
) -> Outcome:
    """Create a group; its members get its roles."""
    manage = session.manage(org)
    report = manage.groups.create(
        name,
        description=description or "",
        roles=[manage.roles.named(each)["id"] for each in roles or []],
        why=why,
    )
    return Outcome(report, lambda: group_blocks(report))


@command(app, "group edit")
def edit(
    session: Session,
    org: Org,
    group: Group,
    *,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="its new name")] = None,
    description: Description = None,
    why: Why = None,
) -> Outcome:
    """Rename or describe a group; of a directory's group only the directory does."""
    groups = session.manage(org).groups
    found = groups.named(group)["id"]
    report = groups.edit(found, name=name, description=description, why=why)
    return Outcome(report, lambda: group_blocks(report))


@command(app, "group delete")
def delete(session: Session, org: Org, group: Group, *, why: Why = None) -> Outcome:
    """Delete a group; its members lose what it gave them, its children stand on their own."""
    groups = session.manage(org).groups
    shape = groups.named(group)
    groups.delete(shape["id"], why=why)
    return Outcome({"deleted": shape}, lambda: deleted_blocks("group", shape))


@command(app, "group add-member")
def add_member(
    session: Session, org: Org, group: Group, username: Username, *, why: Why = None
) -> Outcome:
    """Put somebody into a group by hand; syncs leave that alone."""
    manage = session.manage(org)
    report = manage.groups.add_member(
        manage.groups.named(group)["id"], _person(manage, username), why=why
    )
    return Outcome(report, lambda: group_blocks(report, f"{username} is in it."))


@command(app, "group remove-member")
def remove_member(
    session: Session, org: Org, group: Group, username: Username, *, why: Why = None
) -> Outcome:
    """Take somebody out of a group into which he was put by hand."""
    manage = session.manage(org)
    report = manage.groups.remove_member(
        manage.groups.named(group)["id"], _person(manage, username), why=why
    )
    return Outcome(report, lambda: group_blocks(report, f"{username} is not put into it by hand."))


@command(app, "group add-role")
def add_role(session: Session, org: Org, group: Group, role: Role, *, why: Why = None) -> Outcome:
    """Give a group a role: its members have it, and those of the groups below it."""
    manage = session.manage(org)
    report = manage.groups.add_role(
        manage.groups.named(group)["id"], manage.roles.named(role)["id"], why=why
    )
    return Outcome(report, lambda: group_blocks(report))


@command(app, "group remove-role")
def remove_role(
    session: Session, org: Org, group: Group, role: Role, *, why: Why = None
) -> Outcome:
    """Take a role from a group."""
    manage = session.manage(org)
    report = manage.groups.remove_role(
        manage.groups.named(group)["id"], manage.roles.named(role)["id"], why=why
    )
    return Outcome(report, lambda: group_blocks(report))


@command(app, "group add-child")
def add_child(
    session: Session, org: Org, group: Group, child: Child, *, why: Why = None
) -> Outcome:
    """Put a group below another: its members get the roles of that one, too."""
    groups = session.manage(org).groups
    report = groups.add_child(groups.named(group)["id"], groups.named(child)["id"], why=why)
    return Outcome(report, lambda: group_blocks(report))


@command(app, "group remove-child")
def remove_child(
    session: Session, org: Org, group: Group, child: Child, *, why: Why = None
) -> Outcome:
    """Take a group away from below another where it was put by hand."""
    groups = session.manage(org).groups
    report = groups.remove_child(groups.named(group)["id"], groups.named(child)["id"], why=why)
    return Outcome(report, lambda: group_blocks(report))


def _person(manage: Any, username: str) -> int:  # noqa: ANN401 - of syncd.managing
    found: int = manage.permissions.of(username)["id"]
    return found
