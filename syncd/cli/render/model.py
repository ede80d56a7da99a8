"""Roles, permission sets, groups and address books as they are after a change, and permissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Column, Pairs, Piece, Span, Style, Table, blank, line
from syncd.cli.words import count, listed

STYLES = {"edit": Style.GOOD, "view": Style.PLAIN, "none": Style.DIM}


def levels_text(sections: Mapping[str, str]) -> str:
    """Return what sections allow in a row, those of no access left out."""
    given = {section: word for section, word in sections.items() if word != "none"}
    if len(given) == len(sections) and len(set(given.values())) == 1:
        return f"everything:{next(iter(given.values()))}"
    return ", ".join(f"{section}:{word}" for section, word in given.items()) or "nothing"


def _names(several: Sequence[Document] | None, key: str = "name") -> str:
    return listed([str(each[key]) for each in several or []], 20)


def _thing(kind: str, thing: Document, facts: Sequence[tuple[str, str]]) -> list[Block]:
    title = line(kind, " ", Span(str(thing["name"]), Style.TITLE))
    rows = [("id", str(thing["id"])), *facts, ("description", str(thing.get("description") or ""))]
    return [title, Pairs(tuple((label, (text,)) for label, text in rows if text))]


def role_blocks(role: Document) -> list[Block]:
    """Return a role with its permission sets."""
    facts = [
        ("kind", str(role["kind"])),
        ("mapper", str(role["mapper"] or "")),
        ("permission sets", _names(role["permission_sets"]) or "none"),
    ]
    return _thing("Role", role, facts)


def set_blocks(permission_set: Document) -> list[Block]:
    """Return a permission set with what it allows."""
    facts = [
        ("kind", str(permission_set["kind"])),
        ("allows", levels_text(permission_set["sections"])),
        ("roles", _names(permission_set["roles"]) or "none"),
    ]
    return _thing("Permission set", permission_set, facts)


def sets_blocks(sets: Sequence[Document]) -> list[Block]:
    """Return the permission sets as a table."""
    columns = (
        Column(title="Permission set", least=14, fold=True),
        Column(title="Kind", least=8, expendable=2),
        Column(title="Allows", least=24, fold=True),
        Column(title="Roles", least=12, fold=True, expendable=1),
        Column(title="Description", least=16, fold=True, expendable=3),
    )
    rows: list[tuple[Piece, ...]] = [
        (
            str(each["name"]),
            str(each["kind"]),
            levels_text(each["sections"]),
            _names(each["roles"]),
            str(each["description"]),
        )
        for each in sets
    ]
    return [Table(columns, rows), *_tail(count(len(sets), "permission set"))]


def group_blocks(group: Document, said: str = "") -> list[Block]:
    """Return a group with its roles and its place."""
    facts = [
        ("path", str(group["path"])),
        ("kind", str(group["kind"])),
        ("mapper", str(group["mapper"] or "")),
        ("roles", _names(group["roles"]) or "none"),
        ("below", _names(group["parents"], "path")),
        ("above", _names(group["children"], "path")),
    ]
    return [*_thing("Group", group, facts), *([line(said)] if said else [])]


def deleted_blocks(kind: str, thing: Document) -> list[Block]:
    """Return that something is gone."""
    return [line(f"The {kind} ", Span(str(thing["name"]), Style.TITLE), " is deleted.")]


def book_blocks(org: str, books: Sequence[Document]) -> list[Block]:
    """Return the shared address books as a table."""
    if not books:
        return [
            line(
                f"{org} has no shared address book; make one with  ",
                Span(f"syncd book create {org} NAME", Style.COMMAND),
            )
        ]
    columns = (Column(title="Id", right=True, least=4), Column(title="Address book", least=14))
    rows: list[tuple[Piece, ...]] = [(str(each["id"]), str(each["name"])) for each in books]
    return [Table(columns, rows)]


def entry_blocks(entry: Document) -> list[Block]:
    """Return an entry of an address book."""
    rows = (
        ("id", str(entry["id"])),
        ("address", str(entry["address"])),
        ("comment", str(entry["comment"])),
        ("tags", listed(entry["tags"], 20)),
    )
    return [
        line("Entry ", Span(str(entry["nickname"]), Style.TITLE)),
        Pairs(tuple((label, (text,)) for label, text in rows if text)),
    ]


def entries_blocks(book: str, entries: Sequence[Document]) -> list[Block]:
    """Return entries of an address book as a table."""
    if not entries:
        return [line(f"{book} has no such entries.")]
    columns = (
        Column(title="Entry", right=True, least=5),
        Column(title="Nickname", least=12),
        Column(title="Address", least=12),
        Column(title="Tags", least=10, fold=True, expendable=1),
        Column(title="Comment", least=16, fold=True, expendable=2),
    )
    rows: list[tuple[Piece, ...]] = [
        (
            str(each["id"]),
            str(each["nickname"]),
            str(each["address"]),
            listed(each["tags"], 8),
            str(each["comment"]),
        )
        for each in entries
    ]
    return [Table(columns, rows), *_tail(count(len(entries), "entry", "entries"))]


def permission_rows(permissions: Mapping[str, str]) -> tuple[tuple[str, tuple[Piece, ...]], ...]:
    """Return sections with their levels."""
    return tuple(
        (section, (Span(word, STYLES.get(word, Style.PLAIN)),))
        for section, word in permissions.items()
    )


def permission_blocks(report: Document) -> list[Block]:
    """Return what somebody may do, and by what."""
    state = "" if report["enabled"] else ", who may not sign in"
    because: dict[str, list[Document]] = {}
    for each in report["because"]:
        because.setdefault(str(each["section"]), []).append(each)
    rows: list[tuple[str, tuple[Piece, ...]]] = []
    for section, word in report["permissions"].items():
        gives = because.get(section, [])
        wide = [each for each in gives if each["level"] == word]
        names = list(dict.fromkeys(str(each["role"]) for each in wide))
        by = Span(f" by {listed(names)}" if names else "", Style.DIM)
        rows.append((section, (Span(word, STYLES.get(word, Style.PLAIN)), by)))
    roles = tuple((str(each["name"]), _ways(each["sources"])) for each in report["roles"])
    return [
        line(Span(str(report["username"]), Style.TITLE), state),
        blank(),
        line(Span("Permissions", Style.TITLE)),
        Pairs(tuple(rows)),
        blank(),
        line(Span("Roles", Style.TITLE)),
        Pairs(roles),
    ]


def _ways(sources: Sequence[Document]) -> tuple[Piece, ...]:
    return (Span("; ".join(map(_way, sources)), Style.DIM),)


def _way(source: Document) -> str:
    words = {"manual": "by hand", "default": "everyone has it"}
    if not source["group"]:
        return words.get(str(source["source"]), f"mapper {source['source']}")
    group, member = source["group"], source["member_of"]
    return f"of the group {group}" + ("" if group == member else f", by {member} below it")


def everybody_blocks(org: str, people: Sequence[Document]) -> list[Block]:
    """Return what everybody may do as a table."""
    if not people:
        return [line(f"{org} has no people yet.")]
    columns = (
        Column(title="Username", least=12),
        Column(title="May sign in", least=3, expendable=1),
        Column(title="Permissions", least=24, fold=True),
    )
    rows: list[tuple[Piece, ...]] = [
        (
            str(each["username"]),
            Span("yes", Style.GOOD) if each["enabled"] else Span("no", Style.BAD),
            levels_text(each["permissions"]),
        )
        for each in people
    ]
    return [Table(columns, rows), *_tail(count(len(people), "person", "people"))]


def _tail(text: str) -> list[Block]:
    return [blank(), line(Span(text + ".", Style.DIM))]
