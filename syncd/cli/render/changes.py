"""The changes of a plan or a run, the most dangerous first."""

from __future__ import annotations

import json
from collections.abc import Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Column, Piece, Span, Style, Table, line
from syncd.cli.words import number, shorten

# Whoever has one of these can change other people's access.
PRIVILEGED = frozenset({"owner", "admin", "support agent", "data protection officer", "accountant"})
# From the change that hurts most when it is a mistake to the one that hurts least.
DANGER = (
    "delete",
    "missing",
    "disable",
    "leave",
    "delete_role",
    "delete_group",
    "revoke",
    "privileged",
    "link",
    "rekey",
    "rename",
    "email_change",
    "lock",
    "move",
    "update",
    "account",
    "enable",
    "rejoin",
    "unlock",
    "return",
    "grant",
    "create",
)
LABELS = {
    "missing": "mark missing",
    "privileged": "grant",
    "email_change": "change e-mail",
    "return": "lift missing",
    "account": "account dates",
    "leave": "end sign-in",
    "rejoin": "let sign in",
    "link": "take over",
    "rekey": "new id",
}
TAKES_AWAY = {"delete", "missing", "disable", "lock", "revoke", "delete_role", "delete_group"}
ROLE_FIELDS = {"role", "roles", "group", "groups"}
LONGEST_VALUE = 60
MOST_CHANGES = 1_000


def change_blocks(
    report: Document, changes: Sequence[Document], *, would: bool, limit: int | None
) -> list[Block]:
    """Return the changes under a title, at most ``limit`` of them."""
    ranked = sorted(changes, key=danger)
    shown = ranked if limit is None else ranked[:limit]
    verb = "It would change" if would else "It changed"
    columns = (
        Column(title="Change", least=13),
        Column(title="Who", least=12),
        Column(title="What", least=16, fold=True),
        Column(title="Because", least=14, fold=True, expendable=1),
    )
    blocks: list[Block] = [
        line(Span(f"{verb}, most dangerous first:", Style.TITLE)),
        Table(columns, [_row(change) for change in shown], indent=2),
    ]
    if len(ranked) > len(shown):
        # A report for people carries no more than so many; there may be others.
        least = "at least " if len(ranked) >= MOST_CHANGES else ""
        more = number(len(ranked) - len(shown))
        blocks.append(
            line(
                f"… and {least}{more} more:  ",
                Span(f"syncd runs show {report.get('run')}", Style.COMMAND),
                indent=2,
            )
        )
    return blocks


def danger(change: Document) -> int:
    """Return where a change stands in the order of danger; the order among equals is kept."""
    kind = _kind(change)
    return DANGER.index(kind) if kind in DANGER else DANGER.index("update")


def _kind(change: Document) -> str:
    kind = str(change.get("kind", ""))
    if kind == "grant" and str(change.get("new") or "").lower() in PRIVILEGED:
        return "privileged"
    return kind


def _row(change: Document) -> tuple[Piece, ...]:
    kind = _kind(change)
    style = Style.PLAIN
    if kind in TAKES_AWAY:
        style = Style.BAD
    elif kind in {"privileged", "rename"}:
        style = Style.WARN
    who = change.get("username") or change.get("external_id") or ""
    return (
        Span(LABELS.get(kind, kind.replace("_", " ")), style),
        str(who),
        "" if kind == "create" and change.get("new") == who else _what(kind, change),
        str(change.get("cause") or ""),
    )


def _what(kind: str, change: Document) -> str:
    field = str(change.get("field") or "")
    old, new = _value(change.get("old")), _value(change.get("new"))
    if old and new:
        value = f"{old} -> {new}"
    elif new or kind in {"create", "grant", "privileged", "enable", "return"}:
        value = new
    elif old:
        value = old if kind in TAKES_AWAY else f"{old} -> nothing"
    else:
        value = ""
    if not field or kind.startswith("delete_") or (kind == "rename" and field == "username"):
        return value
    if field in ROLE_FIELDS:
        return f"{field.rstrip('s')} {value}".rstrip()
    name = field.removeprefix("attributes.").replace("_", " ")
    return f"{name}: {value}" if value else name


def _value(value: object) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, list) and all(isinstance(each, str) for each in value):
        text = ", ".join(value)
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return shorten(text, LONGEST_VALUE)
