"""How each organization is, and what stopping and starting it comes to."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Column, Pairs, Piece, Span, Style, Table, blank, line
from syncd.cli.render.runs import MODES, STATUS_STYLES
from syncd.cli.words import count, moment, number, seconds, sentence


def overview_blocks(organizations: Sequence[Document]) -> list[Block]:
    """Return all organizations as a table, and below it whatever waits for a person."""
    if not organizations:
        return [line("No organization is configured; see organizations in syncd.yaml.")]
    columns = (
        Column(title="Organization", least=12),
        Column(title="Provider", least=8, expendable=3),
        Column(title="State", least=8),
        Column(title="Last run", least=11),
        Column(title="When", least=20, expendable=2),
        Column(title="Enabled", least=7, right=True, expendable=1),
        Column(title="Disabled", least=8, right=True, expendable=4),
        Column(title="Quarantine", least=10, right=True, expendable=5),
    )
    blocks: list[Block] = [Table(columns, [_row(each) for each in organizations])]
    for each in organizations:
        attention = _attention(each)
        if attention:
            blocks += [blank(), *attention]
    newer = _newer(organizations[0])
    return [*blocks, blank(), *newer] if newer else blocks


def _state(status: Document) -> Span:
    if status.get("pending"):
        return Span("pending", Style.WARN)
    if status.get("paused"):
        return Span("paused", Style.WARN)
    if status.get("blocked_plans"):
        return Span("blocked", Style.BAD)
    if status.get("lease"):
        return Span("running", Style.GOOD)
    return Span("ready", Style.GOOD)


def _when(run: Document) -> str:
    return moment(run.get("finished_at") or run.get("started_at"))


def _row(status: Document) -> tuple[Piece, ...]:
    run = status.get("last_run") or {}
    outcome = str(run.get("status") or "")
    users = status.get("users") or {}
    quarantined = sum((status.get("quarantine") or {}).values())
    return (
        str(status.get("organization")),
        str(status.get("provider") or ""),
        _state(status),
        Span(outcome or "never", STATUS_STYLES.get(outcome, Style.PLAIN)),
        _when(run),
        number(int(users.get("enabled") or 0)),
        number(int(users.get("disabled") or 0)),
        Span(number(quarantined), Style.WARN if quarantined else Style.PLAIN),
    )


def _attention(status: Document) -> list[Block]:
    org = str(status.get("organization"))
    blocks: list[Block] = []
    pending, paused = status.get("pending"), status.get("paused")
    if pending:
        text = f": {pending}; its syncs wait until this is settled."
        blocks.append(line(Span(f"{org} is pending", Style.WARN), text))
    if paused:
        blocks.append(
            line(
                Span(f"{org} is paused", Style.WARN),
                f": {paused}; start it again with  ",
                Span(f"syncd resume {org}", Style.COMMAND),
            )
        )
    for plan in status.get("blocked_plans") or []:
        since = f" since {moment(plan['since'])}" if plan.get("since") else ""
        since += f", and expires {moment(plan['expires'])}" if plan.get("expires") else ""
        head = Span(f"{org}: plan {plan.get('run')} is blocked", Style.BAD)
        blocks.append(line(head, f"{since}; look at it, then approve it:"))
        blocks += [line(f"- {sentence(str(why))}", indent=2) for why in plan.get("reasons") or []]
        for verb in ("runs show", "approve"):
            blocks.append(line(Span(f"syncd {verb} {plan.get('run')}", Style.COMMAND), indent=2))
    return blocks


def one_blocks(status: Document) -> list[Block]:
    """Return one organization in full."""
    org = str(status.get("organization"))
    name = status.get("name")
    blocks: list[Block] = [
        line(
            Span(org, Style.TITLE),
            f" ({name}), " if name and name != org else ", ",
            f"provider {status.get('provider') or 'none'}: ",
            _state(status),
        ),
        blank(),
    ]
    users = status.get("users") or {}
    enabled, disabled = (int(users.get(key) or 0) for key in ("enabled", "disabled"))
    quarantine = status.get("quarantine") or {}
    reasons = ", ".join(f"{number(value)} {key}" for key, value in sorted(quarantine.items()))
    rows: list[tuple[str, tuple[Piece, ...]]] = [
        ("last run", tuple(_last(status.get("last_run")))),
        ("next run", (_next(status.get("next")),)),
        ("people", (f"{number(enabled)} enabled, {number(disabled)} disabled",)),
        ("quarantine", (reasons or "empty",)),
        ("lease", (_lease(status.get("lease")),)),
    ]
    succeeded = _by_mode(status.get("last_success"))
    if succeeded:
        rows.insert(1, ("last success", (succeeded,)))
    failed = {mode: many for mode, many in (status.get("failures") or {}).items() if many}
    if failed:
        text = ", ".join(f"{mode} {count(many, 'time')} in a row" for mode, many in failed.items())
        rows.insert(1, ("failed", (Span(text, Style.BAD),)))
    if status.get("lag_seconds") is not None:
        rows.append(("lag", (seconds(float(status["lag_seconds"])),)))
    blocks.append(Pairs(tuple(rows)))
    attention = [*_attention(status), *_newer(status)]
    return [*blocks, blank(), *attention] if attention else blocks


def _newer(status: Document) -> list[Block]:
    """Return the warning that another version of the program made the store's schema."""
    told = status.get("newer_schema")
    return [line(Span("warning: ", Style.WARN), sentence(str(told)))] if told else []


def _last(run: Document | None) -> list[Piece]:
    if not run:
        return ["none yet"]
    outcome = str(run.get("status") or "")
    mode = MODES.get(str(run.get("mode")), "sync")
    when = f", {_when(run)}" if _when(run) else ""
    return [
        f"{run.get('run')}, {mode}{when}: ",
        Span(outcome, STATUS_STYLES.get(outcome, Style.PLAIN)),
    ]


def _next(planned: object) -> str:
    if isinstance(planned, dict):
        return _by_mode(planned)
    return moment(str(planned)) if planned else "not scheduled"


def _by_mode(times: Document | None) -> str:
    # "full" before "changed".
    known = sorted((times or {}).items(), reverse=True)
    return ", ".join(f"{mode} {moment(str(when))}" for mode, when in known if when)


def _lease(lease: Document | None) -> str:
    if not lease:
        return "free"
    since = f" since {moment(lease['since'])}" if lease.get("since") else ""
    return f"held by {lease.get('holder') or 'a run'}{since}"


def paused_blocks(org: str, why: str | None) -> list[Block]:
    """Return what pausing came to."""
    return [
        line(
            f"{org} is paused{f': {why}' if why else ''}. Start it again with  ",
            Span(f"syncd resume {org}", Style.COMMAND),
        )
    ]


def resumed_blocks(org: str) -> list[Block]:
    """Return what resuming came to."""
    return [line(f"{org} goes on; its next sync may start.")]
