"""An organization as a whole: what it is, its provider, new ids, its end."""

from __future__ import annotations

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Column, Pairs, Piece, Span, Style, Table, blank, line
from syncd.cli.render.changes import change_blocks
from syncd.cli.words import count, listed, moment, number, sentence

NOT_APPLIED = {"planned", "blocked", "superseded", "expired"}
MOST_NAMES = 20
COUNTS = (
    ("people", "people"),
    ("enabled", "may sign in"),
    ("missing", "missing"),
    ("left_behind", "of a former provider"),
    ("roles", "own roles"),
    ("groups", "groups"),
    ("permission_sets", "own permission sets"),
    ("address_books", "address books"),
    ("tokens", "API tokens"),
    ("exclusions", "exclusions"),
)


def organization_blocks(report: Document) -> list[Block]:
    """Return an organization."""
    rows: list[tuple[str, tuple[Piece, ...]]] = [
        ("name", (str(report["name"]),)),
        ("provider", (str(report["provider"]),)),
        ("created", (moment(report["created_at"]),)),
    ]
    if report["deleted_at"]:
        rows.append(("deleted", (Span(moment(report["deleted_at"]), Style.BAD),)))
    if report["pending"]:
        rows.append(("pending", (Span(sentence(str(report["pending"])), Style.WARN),)))
    if report["paused"]:
        rows.append(("paused", (Span(sentence(str(report["paused"])), Style.WARN),)))
    if report["link"]:
        rows.append(("links", (f"people whom the provider brings, by {report['link']}",)))
    rows += [
        (label, (number(report["counts"][name]),))
        for name, label in COUNTS
        if report["counts"][name] or name == "people"
    ]
    blocks: list[Block] = [line(Span(str(report["id"]), Style.TITLE)), Pairs(tuple(rows))]
    if report["certificates"]:
        columns = (
            Column(title="Certificate", least=12, fold=True),
            Column(title="Until", least=16),
            Column(title="SHA-256", least=16, expendable=1, fold=True),
        )
        table = [
            (str(each["subject"]), moment(each["not_after"]), str(each["sha256"]))
            for each in report["certificates"]
        ]
        blocks += [blank(), Table(columns, table)]
    return blocks


def deleted_blocks(report: Document) -> list[Block]:
    """Return what came of a deletion."""
    return [
        line(
            Span(f"{report['name']} is deleted", Style.TITLE),
            f": {count(int(report['rows']), 'row')}. Remove its file; no sync begins anew.",
        )
    ]


def forgotten_blocks(report: Document) -> list[Block]:
    """Return what came of forgetting."""
    return [line(f"The id {report['organization']} may be used anew, with nobody in it.")]


def linked_blocks(report: Document) -> list[Block]:
    """Return whom a link took over."""
    text = f"{report['username']} was of the provider {report['from']} and is of {report['to']} now"
    return [line(f"{text}, with everything that is theirs.")]


def switch_blocks(report: Document) -> list[Block]:
    """Return what a switch did, or would mean."""
    told, would = report["switch"], report["status"] in NOT_APPLIED
    verb = "would switch" if would else "switched"
    blocks: list[Block] = [
        line(
            Span(f"{report['run']}: {report['organization']} {verb}", Style.TITLE),
            f" from {told['from']} to {told['to']}.",
        )
    ]
    rows = [
        ("lose their sign-in", told["leaving"]),
        ("get it back", told["rejoining"]),
    ]
    arrivals = told.get("arrivals")
    if arrivals:
        rows += [
            ("in the directory", arrivals["read"]),
            ("are to be taken over", arrivals["linked"]),
            ("wait for a link by hand", arrivals["taken"]),
            ("administrators, not named", arrivals["administrators"]),
            ("ambiguous", arrivals["ambiguous"]),
        ]
    blocks.append(Pairs(tuple((name, (number(value),)) for name, value in rows)))
    return blocks + _held(report) + _changes(report, would=would)


def rekey_blocks(report: Document) -> list[Block]:
    """Return what came of pairing people with entries."""
    told, would = report["rekey"], report["status"] in NOT_APPLIED
    verb = "would give" if would else "gave"
    people = count(int(told["paired"]), "person", "people")
    blocks: list[Block] = [
        line(
            Span(f"{report['run']}: it {verb} {people} a new id", Style.TITLE),
            f" in {report['organization']}, paired by {told['by']}.",
        )
    ]
    rows = [
        ("without an entry", told["unpaired"]),
        ("ambiguous", told["ambiguous"]),
        ("entries that are nobody's", told["newcomers"]),
        ("groups", told.get("groups", 0)),
    ]
    blocks.append(Pairs(tuple((name, (number(value),)) for name, value in rows if value)))
    left = [str(each["username"]) for each in told.get("people") or []]
    if left:
        blocks.append(line(f"Left alone: {listed(left, MOST_NAMES)}.", indent=2))
    return blocks + _held(report) + _changes(report, would=would)


def _held(report: Document) -> list[Block]:
    if not report.get("reasons"):
        return []
    held = report["status"] == "blocked"
    blocks: list[Block] = [
        blank(),
        line(Span("Held because" if held else "To know", Style.BAD if held else Style.WARN)),
    ]
    blocks += [line(f"- {sentence(str(each))}", indent=2) for each in report["reasons"]]
    if held and not report.get("dry"):
        then = Span(f"syncd approve {report['run']}", Style.COMMAND)
        blocks.append(line("If this is right, apply it with  ", then))
    return blocks


def _changes(report: Document, *, would: bool) -> list[Block]:
    changes = report.get("changes") or []
    if not changes:
        return []
    return [blank(), *change_blocks(report, changes, would=would, limit=MOST_NAMES)]
