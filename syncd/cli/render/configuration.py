"""What ``check``, ``config``, ``mappers`` and ``db`` say."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Pairs, Span, Style, blank, line, verbatim
from syncd.cli.exits import own_faults
from syncd.cli.render.explain import field_blocks
from syncd.cli.render.identifying import provider_blocks
from syncd.cli.render.outline import outline, scalar
from syncd.cli.render.probe import probe_blocks
from syncd.cli.words import count, sentence


def check_blocks(report: Document) -> list[Block]:
    """Return the findings about each organization."""
    organizations: Sequence[Document] = report.get("organizations") or []
    if not organizations:
        return [line("No organization is configured; see organizations in syncd.yaml.")]
    blocks: list[Block] = []
    for each in organizations:
        blocks += [*_organization(each), blank()]
    blocks += [
        line(Span("warning: ", Style.WARN), sentence(str(each)))
        for each in report.get("warnings") or []
    ]
    found = sum(len(own_faults(each)) for each in organizations)
    if report.get("ok"):
        names = count(len(organizations), "organization")
        blocks.append(line(Span("All is well", Style.GOOD), f" with {names}."))
    elif found:
        blocks.append(line(Span(f"{count(found, 'fault')} to correct.", Style.BAD)))
    else:
        blocks.append(line(Span("Not all is well", Style.BAD), "; see above."))
    return blocks


def _organization(checked: Document) -> list[Block]:
    faults = own_faults(checked)
    name = checked.get("name")
    blocks: list[Block] = [
        line(
            Span(str(checked.get("id")), Style.TITLE),
            f" ({name})" if name and name != checked.get("id") else "",
            f", provider {checked.get('provider')}: " if checked.get("provider") else ": ",
            Span(f"{count(len(faults), 'fault')}", Style.BAD)
            if faults
            else Span("configuration is valid", Style.GOOD),
        )
    ]
    blocks += [line(Span("- ", Style.BAD), _fault(each), indent=2) for each in faults]
    if register := checked.get("register"):
        blocks += [
            line("To be registered with the identity provider:", indent=2),
            Pairs(
                (
                    ("Redirect URI", (str(register["redirect_uri"]),)),
                    ("Back-channel logout URI", (str(register["backchannel_logout_uri"]),)),
                    ("Post-logout redirect URI", (str(register["post_logout_redirect_uri"]),)),
                )
            ),
        ]
    if checked.get("connect"):
        show = provider_blocks if "issuer" in checked["connect"] else probe_blocks
        blocks += show(checked["connect"])
    blocks += [
        line(Span("advice: ", Style.WARN), sentence(str(each)), indent=2)
        for each in checked.get("advice") or []
    ]
    return blocks


def _fault(fault: object) -> str:
    if not isinstance(fault, dict):
        return str(fault)
    place = ":".join(str(fault[key]) for key in ("file", "line") if fault.get(key))
    return ": ".join(filter(None, (place, str(fault.get("key") or ""), str(fault.get("message")))))


def settings_blocks(settings: Document) -> list[Block]:
    """Return the effective settings as YAML."""
    return [verbatim(text) for text in outline(settings)]


def mapper_blocks(types: Sequence[Document]) -> list[Block]:
    """Return each mapper type with its options and an example."""
    blocks: list[Block] = []
    for each in types:
        if blocks:
            blocks.append(blank())
        name = str(each.get("name") or each.get("type"))
        blocks.append(
            line(Span(name, Style.TITLE), f": {sentence(str(each.get('summary') or ''))}")
        )
        rows = [
            (str(option.get("name")), (_option(option),)) for option in each.get("options") or []
        ]
        if rows:
            blocks.append(Pairs(tuple(rows)))
        example = str(each.get("example") or "").strip("\n")
        if example:
            blocks.append(line(Span("example:", Style.DIM), indent=2))
            blocks += [verbatim(text, Style.DIM, 4) for text in example.splitlines()]
    return blocks


def _option(option: Document) -> str:
    text = str(option.get("doc") or "").strip()
    kind = str(option.get("type") or "")
    facts = [kind] if kind else []
    if option.get("required"):
        facts.append("required")
    elif "default" in option:
        facts.append(f"default {scalar(option['default'])}")
    return f"{sentence(text)} [{', '.join(facts)}]".strip() if facts else sentence(text)


def tried_blocks(report: Document) -> list[Block]:
    """Return what the mappers make of one entry."""
    blocks: list[Block] = [line(Span(str(report.get("dn") or "The entry"), Style.TITLE))]
    blocks += field_blocks(report.get("fields") or [])
    record = report.get("record") or {}
    shown = {str(each.get("field")) for each in report.get("fields") or []}
    rest = [
        (key.replace("_", " "), (_value(record[key]),))
        for key in ("external_id", "email_verified", "attributes", "memberships")
        if key not in shown and record.get(key) not in (None, [], {})
    ]
    if rest:
        blocks += [blank(), line(Span("The record has also", Style.TITLE)), Pairs(tuple(rest))]
    return blocks


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(_value(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_value(each)}" for key, each in value.items())
    return str(value)


# What pruning counts, as it reads with one and with several.
PRUNED = (
    ("journal", "row of the journal", "rows of the journal"),
    ("change_sets", "change set", "change sets"),
    ("runs", "run", "runs"),
    ("plan_rows", "row of a plan", "rows of plans"),
    ("stage", "row of the stage", "rows of the stage"),
    ("quarantine", "entry of the quarantine", "entries of the quarantine"),
    ("links", "link", "links"),
    ("tokens", "token", "tokens"),
    ("idempotency_keys", "idempotency key", "idempotency keys"),
    ("sessions", "session", "sessions"),
    ("sign_ins", "row of a sign-in", "rows of sign-ins"),
)


def pruned_blocks(report: Document) -> list[Block]:
    """Return what was older than it is kept."""
    removed, expired = report.get("removed") or {}, int(report.get("expired") or 0)
    parts = [
        count(int(removed[key]), one, several) for key, one, several in PRUNED if removed.get(key)
    ]
    blocks: list[Block] = [
        line(Span("Removed", Style.GOOD), f": {', '.join(parts)}.")
        if parts
        else line("Nothing is older than `retention` keeps it.")
    ]
    if expired:
        blocks.append(line(f"{count(expired, 'plan')} waited too long and expired."))
    return blocks


def upgraded_blocks(report: Document) -> list[Block]:
    """Return what the migrations did."""
    applied = report.get("applied") or []
    to = report.get("to")
    warnings = [
        line(Span("warning: ", Style.WARN), sentence(str(each)))
        for each in report.get("warnings") or []
    ]
    if not applied:
        return [line(f"The store's schema is {to}; there is nothing to do."), *warnings]
    before = report.get("from") or "an empty store"
    blocks: list[Block] = [
        line(
            Span("The store's schema is up to date", Style.GOOD),
            f": {before} -> {to}, {count(len(applied), 'migration')} applied.",
        )
    ]
    blocks += [line(f"- {each}", indent=2) for each in applied]
    return [*blocks, *warnings]
