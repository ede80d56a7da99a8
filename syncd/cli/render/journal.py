"""The journal, one of its change sets, and what an undo did."""

from __future__ import annotations

import json
from collections.abc import Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Column, Pairs, Piece, Span, Style, Table, blank, line
from syncd.cli.render.runs import run_blocks
from syncd.cli.words import count, moment, number, shorten

# What the journal counts, as people call it: one, several.
COUNTED = {
    "create": ("person created", "people created"),
    "update": ("person updated", "people updated"),
    "restrictions": ("person shut out or let in", "people shut out or let in"),
    "grants": ("person's roles", "people's roles"),
    "memberships": ("person's groups", "people's groups"),
    "identity": ("identity", "identities"),
    "password": ("password", "passwords"),
    "delete": ("person deleted", "people deleted"),
    "permission_set": ("permission set", "permission sets"),
    "address_book": ("address book", "address books"),
    "address_book_entry": ("address book entry", "address book entries"),
}
LONGEST_VALUE = 100
# Of what an undo left alone that a terminal shows.
MOST_LEFT = 20


def journal_blocks(org: str, report: Document) -> list[Block]:
    """Return change sets as a table."""
    items: Sequence[Document] = report.get("items") or []
    if not items:
        return [line(f"The journal of {org} has nothing of that.")]
    columns = (
        Column(title="Change set", least=10),
        Column(title="When", least=20),
        Column(title="By", least=10, fold=True),
        Column(title="Run", least=8, expendable=2),
        Column(title="What", least=18, fold=True),
        Column(title="Why", least=12, fold=True, expendable=1),
    )
    rows: list[tuple[Piece, ...]] = [
        (
            Span(str(each["change_set"]), Style.COMMAND),
            moment(each.get("at")),
            str(each.get("actor") or ""),
            str(each.get("run") or ""),
            _counts(each),
            _why(each),
        )
        for each in items
    ]
    blocks: list[Block] = [Table(columns, rows)]
    if report.get("next"):
        then = f"syncd journal {org} --after {report['next']}"
        blocks += [blank(), line("There are more:  ", Span(then, Style.COMMAND))]
    return blocks


def _counts(change_set: Document) -> str:
    counts: Document = change_set.get("counts") or {}
    told = []
    for what, amount in counts.items():
        one, several = COUNTED.get(what, (what, f"{what}s"))
        told.append(count(int(amount), one, several))
    return ", ".join(told)


def _why(change_set: Document) -> str:
    why = str(change_set.get("why") or "")
    if change_set.get("undone_by"):
        why += f"{' ' if why else ''}(undone by {change_set['undone_by']})"
    return why


def change_set_blocks(org: str, report: Document) -> list[Block]:
    """Return one change set with everything that it changed."""
    facts = (
        ("when", moment(report.get("at"))),
        ("by", report.get("actor")),
        ("why", report.get("why")),
        ("run", report.get("run")),
        ("undoes", report.get("undoes")),
        ("undone by", report.get("undone_by")),
        ("changed", _counts(report)),
    )
    rows = tuple((label, (str(value),)) for label, value in facts if value)
    blocks: list[Block] = [
        line(Span(f"Change set {report['change_set']} of {org}", Style.TITLE)),
        Pairs(rows),
    ]
    changes = [*_objects(report), *_people(report)]
    if changes:
        columns = (
            Column(title="What", least=14),
            Column(title="Change", least=8),
            Column(title="Before", least=16, fold=True, expendable=1),
            Column(title="After", least=16, fold=True),
        )
        blocks += [blank(), Table(columns, changes)]
    if report.get("next"):
        then = f"syncd journal show {org} {report['change_set']} --after {report['next']}"
        blocks += [blank(), line("There are more people:  ", Span(then, Style.COMMAND))]
    return blocks


def _objects(report: Document) -> list[tuple[Piece, ...]]:
    rows: list[tuple[Piece, ...]] = []
    for each in report.get("objects") or []:
        what = f"{str(each['object']).replace('_', ' ')} {each['name']}"
        before, after = each.get("before") or {}, each.get("after") or {}
        kind = Span(str(each["kind"]), Style.BAD if each["kind"] == "delete" else Style.PLAIN)
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        rows.append((what, kind, _side(before, changed), _side(after, changed)))
    return rows


def _people(report: Document) -> list[tuple[Piece, ...]]:
    rows: list[tuple[Piece, ...]] = []
    for each in report.get("rows") or []:
        who = str(each.get("person") or f"person {each['user_id']}")
        before, after = each.get("before") or {}, each.get("after") or {}
        kind = str(each["kind"])
        style = Style.BAD if kind == "delete" else Style.PLAIN
        if kind in {"grants", "memberships"}:
            given, taken = after.get("granted") or [], after.get("revoked") or []
            sides = (f"had {_named(taken)}" if taken else "", _gotten(given, taken))
        else:
            names = [name for name in {**before, **after} if name != "account"]
            sides = (_side(before, names), _side(after, names))
        rows.append((who, Span(kind, style), *sides))
    return rows


def _gotten(given: Sequence[Document], taken: Sequence[Document]) -> str:
    told = []
    if given:
        told.append(f"got {_named(given)}")
    if taken:
        told.append(f"lost {_named(taken)}")
    return "; ".join(told)


def _named(held: Sequence[Document]) -> str:
    return ", ".join(f"{each['name']} ({each['source']})" for each in held)


def _side(told: Document, names: Sequence[str]) -> str:
    parts = [f"{name}: {_value(told[name])}" for name in names if name in told]
    return "; ".join(parts)


def _value(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return shorten(value, LONGEST_VALUE)
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return ", ".join(str(each.get("name")) for each in value) or "none"
    return shorten(json.dumps(value, ensure_ascii=False, default=str), LONGEST_VALUE)


def undone_blocks(report: Document) -> list[Block]:
    """Return what an undo did, would do, or is held for."""
    status, org = str(report.get("status")), report.get("organization")
    undone, run = report.get("undoes"), report.get("run")
    told = {
        "done": (f"{undone} of {org} is undone", Style.GOOD),
        "planned": (f"An undo of {undone} of {org} would make the changes below", Style.TITLE),
        "blocked": (f"The undo of {undone} of {org} is blocked by the guard", Style.BAD),
    }
    text, style = told.get(status, (f"The undo of {undone} of {org} is {status}", Style.WARN))
    by = f", by {report['change_set']}" if report.get("change_set") else f" ({run})"
    blocks: list[Block] = [line(Span(text, style), f"{by}.")]
    # The same as of any run, but for its first sentence.
    blocks += run_blocks(report)[1:]
    if status == "blocked" and report.get("paused"):
        blocks += [line(f"{org} is paused until then; `syncd resume {org}` lets syncs go on.")]
    left: Sequence[Document] = report.get("left_alone") or []
    if left:
        blocks += [blank(), line(Span("Left as it is", Style.WARN))]
        blocks += [line(f"- {each['what']}: {each['why']}", indent=2) for each in left[:MOST_LEFT]]
        more = int(report.get("left_alone_count") or 0) - min(len(left), MOST_LEFT)
        if more > 0:
            blocks.append(line(f"… and {number(more)} more", indent=2))
    return blocks
