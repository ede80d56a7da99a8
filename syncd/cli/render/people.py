"""Lists of people, roles, groups and quarantined entries, and one person."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Column, Pairs, Piece, Span, Style, Table, blank, line
from syncd.cli.render.model import levels_text
from syncd.cli.words import count, listed, moment, number, sentence

RESTRICTIONS = {
    "missing": "missing from the directory",
    "disabled": "disabled in the directory",
    "locked": "locked out in the directory",
    "not_yet_valid": "not valid yet",
    "directory": "disabled in the directory",
    "directory_disabled": "disabled in the directory",
    "admin": "disabled by an admin",
    "unverified": "the e-mail address is not verified yet",
    "other_provider": "of another provider than the active one",
    "expired": "expired",
}


def user_blocks(org: str, users: Sequence[Document]) -> list[Block]:
    """Return the people as a table."""
    if not users:
        return [
            line(
                f"{org} has no people yet; bring them in with  ",
                Span(f"syncd sync {org}", Style.COMMAND),
            )
        ]
    columns = [
        Column(title="Username", least=12),
        Column(title="Name", least=14, expendable=2),
        Column(title="E-mail", least=16, expendable=3),
        Column(title="State", least=10),
        Column(title="Roles", least=16, fold=True, expendable=1),
    ]
    # Many organizations have none.
    kinds = ["roles"]
    if any(user.get("groups") for user in users):
        columns.append(Column(title="Groups", least=16, fold=True, expendable=4))
        kinds.append("groups")
    rows: list[tuple[Piece, ...]] = [
        (
            str(user.get("username") or ""),
            full_name(user),
            str(user.get("email") or ""),
            _state(user),
            *(
                listed([str(held.get("name")) for held in user.get(kind) or []], 8)
                for kind in kinds
            ),
        )
        for user in users
    ]
    disabled = sum(1 for user in users if not user.get("enabled", True))
    tail = count(len(users), "person", "people")
    tail += f", {number(disabled)} of them disabled" if disabled else ""
    return [Table(tuple(columns), rows), *_tail(tail)]


def _tail(text: str) -> list[Block]:
    return [blank(), line(Span(text + ".", Style.DIM))]


def full_name(user: Document) -> str:
    """Return first and last name, as far as there are any."""
    return " ".join(filter(None, (user.get("first_name"), user.get("last_name"))))


def _state(user: Document) -> Span:
    if user.get("enabled", True):
        return Span("enabled", Style.GOOD)
    reasons = [str(each.get("reason")) for each in user.get("disabled_because") or []]
    return Span(listed(reasons) or "disabled", Style.BAD)


def restriction(reason: Document) -> str:
    """Return why somebody may not sign in, with source and time."""
    name = str(reason.get("reason"))
    text = RESTRICTIONS.get(name, name.replace("_", " "))
    if (reason.get("source"), name) == ("admin", "disabled"):
        text = "disabled here"
    if reason.get("source"):
        text += f" ({reason['source']})"
    if reason.get("since"):
        text += f" since {moment(reason['since'])}"
    if reason.get("until"):
        text += f" until {moment(reason['until'])}"
    return text


def to_come(reason: Document) -> str:
    """Return what will keep somebody out, and from when."""
    words = {"expired": "expires"}
    name = str(reason.get("reason"))
    text = words.get(name, name.replace("_", " "))
    return f"{text} at {moment(reason.get('since'))} ({reason.get('source')})"


def sources(names: Sequence[str]) -> str:
    """Return where a role comes from."""
    return ", ".join(map(_source, names))


def _source(name: str) -> str:
    if name.startswith("group:"):
        return f"of the group {name.removeprefix('group:')}"
    words = {"manual": "by hand", "default": "everyone has it"}
    return words.get(name, f"mapper {name}")


def show_blocks(user: Document) -> list[Block]:
    """Return one person with his roles."""
    title = str(user.get("username"))
    name = full_name(user)
    enabled = bool(user.get("enabled", True))
    blocks: list[Block] = [
        line(
            Span(title, Style.TITLE),
            f", {name}" if name else "",
            f", in {user.get('organization')}: ",
            Span("enabled", Style.GOOD) if enabled else Span("disabled", Style.BAD),
        )
    ]
    blocks += [
        line(f"- {restriction(each)}", indent=2) for each in user.get("disabled_because") or []
    ]
    blocks += [line(f"- {to_come(each)}", indent=2) for each in user.get("upcoming") or []]
    verified = "" if user.get("email_verified") else " (not verified)"
    facts = (
        ("e-mail", f"{user['email']}{verified}" if user.get("email") else ""),
        ("dn", user.get("dn")),
        ("external id", user.get("external_id")),
        ("id", user.get("id")),
        ("provider", user.get("provider")),
        ("created there", moment(user.get("source_created_at"))),
        ("changed there", moment(user.get("source_modified_at"))),
        ("last sign-in", moment(user.get("last_sign_in"))),
    )
    rows = [(label, (str(value),)) for label, value in facts if value not in {None, ""}]
    blocks += [blank(), Pairs(tuple(rows))]
    attributes = user.get("attributes") or {}
    if attributes:
        blocks += [blank(), line(Span("Attributes", Style.TITLE))]
        blocks.append(
            Pairs(tuple((str(key), (_values(value),)) for key, value in attributes.items()))
        )
    for kind in ("roles", "groups"):
        blocks += _held(kind, user.get(kind) or [])
    if user.get("permissions"):
        allowed = levels_text(user["permissions"])
        blocks += [blank(), line(Span("Permissions", Style.TITLE)), line(allowed, indent=2)]
    return blocks


def _values(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _held(kind: str, held: Sequence[Document]) -> list[Block]:
    if not held:
        return []
    rows: list[tuple[str, tuple[Piece, ...]]] = [
        (where(each), (Span(sources(each.get("sources") or []), Style.DIM),)) for each in held
    ]
    return [blank(), line(Span(kind.capitalize(), Style.TITLE)), Pairs(tuple(rows))]


def where(held: Document) -> str:
    """Return a role's name, and a group's as a path if it stands below another."""
    name, path = str(held.get("name")), str(held.get("path") or "")
    return path if path.count("/") > 1 + name.count("/") else name


def group_blocks(org: str, groups: Sequence[Document]) -> list[Block]:
    """Return the groups as a table."""
    if not groups:
        return [
            line(
                f"{org} has no groups; a group mapper brings them in:  ",
                Span("syncd mappers", Style.COMMAND),
            )
        ]
    columns = (
        Column(title="Group", least=14, fold=True),
        Column(title="Below", least=10, fold=True, expendable=3),
        Column(title="Mapper", least=10, expendable=2),
        Column(title="Members", least=7, right=True),
        Column(title="Roles", least=12, fold=True, expendable=4),
        Column(title="DN", least=20, fold=True, expendable=1),
    )
    rows = [
        (
            str(group.get("name") or ""),
            listed([str(each.get("path")) for each in group.get("parents") or []]),
            str(group.get("mapper") or ""),
            number(int(group.get("members") or 0)),
            listed([str(each.get("name")) for each in group.get("roles") or []]),
            str(group.get("dn") or ""),
        )
        for group in groups
    ]
    return [Table(columns, rows), *_tail(count(len(groups), "group"))]


def role_blocks(org: str, roles: Sequence[Document]) -> list[Block]:
    """Return the roles as a table."""
    if not roles:
        return [line(f"{org} has no roles.")]
    columns = (
        Column(title="Role", least=14, fold=True),
        Column(title="Kind", least=8, expendable=1),
        Column(title="Mapper", least=10, expendable=2),
        Column(title="Members", least=7, right=True),
        Column(title="Permission sets", least=14, fold=True, expendable=4),
        Column(title="Description", least=20, fold=True, expendable=3),
    )
    rows = [
        (
            str(role.get("name") or ""),
            str(role.get("kind") or ""),
            str(role.get("mapper") or ""),
            number(int(role.get("members") or 0)),
            listed([str(each.get("name")) for each in role.get("permission_sets") or []]),
            str(role.get("description") or ""),
        )
        for role in roles
    ]
    return [Table(columns, rows), *_tail(count(len(roles), "role"))]


def quarantine_blocks(org: str, entries: Sequence[Document]) -> list[Block]:
    """Return the entries in quarantine as a table."""
    if not entries:
        return [line(f"{org} has no entry in quarantine.")]
    columns = (
        Column(title="Reason", least=14),
        Column(title="Entry", least=20, fold=True),
        Column(title="Attribute", least=9, expendable=3),
        Column(title="Detail", least=20, fold=True, expendable=1),
        Column(title="From", least=6, expendable=4),
        Column(title="Since", least=20, expendable=2),
        Column(title="Tries", least=5, right=True, expendable=5),
    )
    rows: list[tuple[Piece, ...]] = [
        (
            Span(str(each.get("reason") or ""), Style.WARN),
            str(each.get("dn") or each.get("external_id") or ""),
            str(each.get("attribute") or ""),
            sentence(str(each.get("detail") or "")),
            str(each.get("source") or ""),
            moment(each.get("first_seen")),
            number(int(each.get("attempts") or 0)),
        )
        for each in entries
    ]
    return [
        Table(columns, rows),
        *_tail(f"{count(len(entries), 'entry', 'entries')}; each is tried again at every sync"),
    ]
