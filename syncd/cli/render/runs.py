"""A sync's, a plan's and a run's report, and the list of runs."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Column, Pairs, Piece, Span, Style, Table, blank, line
from syncd.cli.render.changes import change_blocks
from syncd.cli.render.organizing import rekey_blocks, switch_blocks
from syncd.cli.words import count, moment, number, seconds, sentence, size

MODES = {
    "full": "full sync",
    "changed": "changed-user sync",
    "user": "sync of one person",
    "undo": "undo",
    "switch": "switch of the provider",
    "rekey": "change of ids",
}
# Nothing of these was written: their counts are what would have come of them.
NOT_APPLIED = {"planned", "blocked", "superseded", "expired"}
STATUS_STYLES = {
    "done": Style.GOOD,
    "blocked": Style.BAD,
    "failed": Style.BAD,
    "interrupted": Style.WARN,
}
PEOPLE = (
    ("deleted", "delete", "deleted"),
    ("missing", "mark {} missing", "newly missing"),
    ("disabled", "disable", "disabled"),
    ("renamed", "rename", "renamed"),
    ("updated", "update", "updated"),
    ("enabled", "enable", "enabled"),
    ("created", "create", "created"),
)
PLAIN_PEOPLE = (
    ("unchanged", "unchanged"),
    ("quarantined", "in quarantine"),
    ("conflicts", "changed by somebody else meanwhile, to be planned anew"),
    ("excluded", "excluded: deleted here for good"),
)
CONTAINERS = (
    ("deleted", "delete", "deleted"),
    ("updated", "update", "updated"),
    ("created", "create", "created"),
)
MEMBERSHIPS = (("removed", "remove", "removed"), ("added", "add", "added"))
PLAIN_MEMBERSHIPS = (("unresolved", "unresolved"),)
# Of the remarks on the directory that a short report has.
MOST_REMARKS = 5
STAGES = ("directory", "map", "stage", "plan", "apply")


def run_blocks(report: Document, *, limit: int | None = 20) -> list[Block]:
    """Return a report with its most dangerous ``limit`` changes; with all of them for None."""
    for own, blocks_of in (("switch", switch_blocks), ("rekey", rekey_blocks)):
        if report.get(own):
            return blocks_of(report)
    status = str(report.get("status", ""))
    would = status in NOT_APPLIED
    blocks: list[Block] = [line(*headline(report))]
    if limit is None:
        blocks += _times(report)
    blocks += _why(report)
    blocks += _remarks(report, limit=limit)
    rows = _counts(report, would=would)
    if rows:
        blocks += [blank(), Pairs(tuple(rows))]
    changes = report.get("changes") or []
    if changes:
        blocks += [blank(), *change_blocks(report, changes, would=would, limit=limit)]
    if status == "blocked":
        blocks += [blank(), *_approval(report)]
    blocks += [blank(), _cost(report)] if report.get("seconds") else []
    return blocks


def headline(report: Document) -> list[Piece]:
    """Return the one sentence that says how it went."""
    org = str(report.get("organization", ""))
    run = str(report.get("run", ""))
    status = str(report.get("status", ""))
    mode = MODES.get(str(report.get("mode")), "sync")
    users = report.get("users") or {}
    read = count(int(users.get("read") or 0), "person was read", "people were read")
    took = (report.get("seconds") or {}).get("total")
    within = f" in {seconds(float(took))}" if took is not None else ""
    changed = any_change(report)
    if status == "planned":
        what = "would make the changes below" if changed else "would change nothing"
        return [
            Span(f"Plan {run}: a {mode} of {org} {what}", Style.TITLE),
            f"; {read}{within}.",
        ]
    if status == "blocked" and report.get("dry"):
        return [
            Span(f"Plan {run}: a {mode} of {org} ", Style.TITLE),
            Span("would be blocked by the guard", Style.BAD),
            f"; {read}{within}.",
        ]
    name = f"{mode[0].upper()}{mode[1:]} {run} of {org}"
    told = {
        "done": ("is done", f"; {read}{within}{'' if changed else ', nothing had changed'}."),
        "blocked": (
            "is blocked by the guard",
            f"; {read}{within}, and none of the changes held back was written.",
        ),
        "failed": ("failed", f"{within}; {_first_reason(report)}"),
        "interrupted": (
            "was interrupted",
            f"{within}; what it had applied stays, and the next sync does the rest.",
        ),
        "superseded": ("was replaced by a later run", "; it can no longer be applied."),
        "expired": ("has expired", "; it can no longer be applied."),
    }
    verb, rest = told.get(status, (f"is {status or 'unknown'}", f"; {read}{within}."))
    return [
        Span(f"{name} ", Style.TITLE),
        Span(verb, STATUS_STYLES.get(status, Style.TITLE)),
        rest,
    ]


def any_change(report: Document) -> bool:
    """Tell whether a report counts a change."""
    parts = (
        ("users", PEOPLE),
        ("roles", CONTAINERS),
        ("groups", CONTAINERS),
        ("memberships", MEMBERSHIPS),
    )
    return bool(report.get("changes")) or any(
        (report.get(part) or {}).get(key) for part, keys in parts for key, _, _ in keys
    )


def _first_reason(report: Document) -> str:
    reasons = report.get("reasons") or []
    return sentence(str(reasons[0])) if reasons else "nothing was lost."


def _times(report: Document) -> list[Block]:
    started, finished = report.get("started_at"), report.get("finished_at")
    if not started:
        return []
    until = f", finished {moment(finished)}" if finished else ""
    return [line(Span(f"Started {moment(started)}{until}.", Style.DIM))]


def _why(report: Document) -> list[Block]:
    """Return what was not as usual: listings, absences, promotion, reasons."""
    blocks: list[Block] = []
    promoted = report.get("promoted_because")
    if promoted:
        blocks.append(line(f"It became a full sync: {sentence(str(promoted))}", indent=2))
    blocks += [
        line(*_listing(listing), indent=2)
        for listing in report.get("listings") or []
        if listing.get("verdict") != "complete"
    ]
    if report.get("absences") == "held":
        text = "Nothing was taken away from anybody because of it; the watermark stays."
        blocks.append(line(text, indent=2))
    if report.get("status") not in {"blocked", "failed"}:
        blocks += [line(sentence(str(each)), indent=2) for each in report.get("reasons") or []]
    return blocks


def _remarks(report: Document, *, limit: int | None) -> list[Block]:
    """Return what the directory has that an operator should know and that held nothing up."""
    remarks: Sequence[Document] = report.get("remarks") or []
    if not remarks:
        return []
    shown = remarks if limit is None else remarks[:MOST_REMARKS]
    blocks: list[Block] = [blank(), line(Span("To know about the directory", Style.WARN))]
    for remark in shown:
        about = str(remark.get("dn") or f"mapper {remark.get('mapper')}")
        blocks.append(line(f"- {about}: {sentence(str(remark.get('detail') or ''))}", indent=2))
    if len(remarks) > len(shown):
        more = f"… and {number(len(remarks) - len(shown))} more:  "
        blocks.append(line(more, _command(f"syncd runs show {report.get('run')}"), indent=2))
    return blocks


def _listing(listing: Document) -> list[Piece]:
    verdict = str(listing.get("verdict"))
    entries = count(int(listing.get("entries") or 0), "entry", "entries")
    pages = count(int(listing.get("pages") or 0), "page")
    code = listing.get("result_code")
    ended = "without a result" if code is None else f"with result code {code}"
    text = f"after {entries} in {pages}, {ended}"
    if listing.get("references"):
        text += f", {count(int(listing['references']), 'reference')} not followed"
    because = listing.get("because")
    return [
        f"The listing of {listing.get('source')} is ",
        Span(verdict, Style.WARN),
        f" {text}: {sentence(str(because))}" if because else f" {text}.",
    ]


def _counts(report: Document, *, would: bool) -> list[tuple[str, tuple[Piece, ...]]]:
    rows: list[tuple[str, tuple[Piece, ...]]] = []
    for part, changing, plain in (
        ("users", PEOPLE, PLAIN_PEOPLE),
        ("roles", CONTAINERS, ()),
        ("groups", CONTAINERS, ()),
        ("memberships", MEMBERSHIPS, PLAIN_MEMBERSHIPS),
    ):
        counts = report.get(part) or {}
        text = _count_text(counts, changing, plain, would=would)
        if text:
            rows.append(("people" if part == "users" else part, (text,)))
    return rows


def _count_text(
    counts: Document,
    changing: Sequence[tuple[str, str, str]],
    plain: Sequence[tuple[str, str]],
    *,
    would: bool,
) -> str:
    done: list[str] = []
    for key, verb, participle in changing:
        value = counts.get(key)
        if not value:
            continue
        if would:
            done.append(verb.format(number(value)) if "{}" in verb else f"{verb} {number(value)}")
        else:
            done.append(f"{number(value)} {participle}")
    text = ("would " if would and done else "") + ", ".join(done)
    rest = ", ".join(f"{number(counts[key])} {word}" for key, word in plain if counts.get(key))
    return "; ".join(filter(None, (text, rest)))


def _approval(report: Document) -> list[Block]:
    reasons = [sentence(str(each)) for each in report.get("reasons") or []]
    blocks: list[Block] = [line(Span("Held because", Style.BAD))]
    blocks += [line(f"- {reason}", indent=2) for reason in reasons]
    told, then = "If this is right, apply it with  ", f"syncd approve {report.get('run')}"
    if report.get("dry"):
        told, then = "A sync stores it for your approval:  ", f"syncd sync {report['organization']}"
    blocks.append(line(told, Span(then, Style.COMMAND)))
    return blocks


def _cost(report: Document) -> Block:
    spent = report.get("seconds") or {}
    stages = [f"{stage} {float(spent[stage]):.1f}" for stage in STAGES if spent.get(stage)]
    text = f"{seconds(float(spent.get('total') or 0))}: {', '.join(stages)}" if stages else ""
    text = text or seconds(float(spent.get("total") or 0))
    if report.get("peak_rss_bytes"):
        text += f"; peak memory {size(report['peak_rss_bytes'])}"
    return line(Span(text, Style.DIM))


def list_blocks(org: str, runs: Sequence[Document]) -> list[Block]:
    """Return the list of runs."""
    if not runs:
        return [line(f"{org} has had no run yet; start one with  ", _command(f"syncd sync {org}"))]
    columns = (
        Column(title="Run", least=8),
        Column(title="Mode", least=7, expendable=2),
        Column(title="Status", least=11),
        Column(title="Started", least=20, expendable=1),
        Column(title="Took", least=7, right=True, expendable=4),
        Column(title="Read", least=6, right=True, expendable=5),
        Column(title="Listing", least=10, expendable=3),
        Column(title="People", least=18, fold=True),
    )
    return [Table(columns, [_run_row(run) for run in runs])]


def _run_row(run: Document) -> tuple[Piece, ...]:
    status = str(run.get("status", ""))
    users = run.get("users") or {}
    took = (run.get("seconds") or {}).get("total")
    listing = str(run.get("listing") or "")
    changed = _count_text(users, PEOPLE, (), would=status in NOT_APPLIED)
    return (
        str(run.get("run", "")),
        str(run.get("mode", "")),
        Span(status, STATUS_STYLES.get(status, Style.PLAIN)),
        moment(run.get("started_at")),
        seconds(float(took)) if took is not None else "",
        number(users["read"]) if users.get("read") is not None else "",
        Span(listing, Style.WARN if listing not in {"", "complete"} else Style.PLAIN),
        changed or ("unchanged" if users else ""),
    )


def _command(text: str) -> Span:
    return Span(text, Style.COMMAND)
