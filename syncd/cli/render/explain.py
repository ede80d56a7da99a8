"""Where each value and role of a person comes from, or why he is not there."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Pairs, Piece, Span, Style, blank, line
from syncd.cli.render.people import restriction, to_come
from syncd.cli.words import listed, sentence

# Reason: what it means, and what to do next.
ABSENCES = {
    "no_entry": (
        "the directory has no entry with this username",
        "Check the spelling, and username_ldap_attribute in the organization's file.",
    ),
    "out_of_base": (
        "the entry lies outside of users_dn",
        "Move the entry, or add its branch to users_dn in the organization's file.",
    ),
    "filtered": (
        "the search filter leaves the entry out",
        "Change the entry, or user_search_filter or user_object_classes in its file.",
    ),
    "unreadable": (
        "the entry is there, but the bind account may not read what syncd needs",
        "Let the account read it, and see what it can read with: syncd check --connect",
    ),
    "quarantined": (
        "the entry is in quarantine",
        "Correct it in the directory; every sync tries it again. See: syncd quarantine {org}",
    ),
    "disabled": (
        "the person is known but disabled",
        "See the reasons and their sources with: syncd show {org} {username}",
    ),
    "not_synced": (
        "the directory has the person, and no sync has run since",
        "Bring the person in with: syncd sync {org} --user {username}",
    ),
    "held_by_plan": (
        "a plan that the guard blocked would bring the change",
        "Look at it with: syncd runs show {run}, then: syncd approve {run}",
    ),
}


def explain_blocks(org: str, report: Document, role: str | None = None) -> list[Block]:
    """Return an explanation as sentences."""
    if not report.get("present"):
        return _absent(org, report)
    user = report.get("user") or {}
    username = str(report.get("username") or user.get("username"))
    dn = f": {user['dn']}" if user.get("dn") else ""
    blocks: list[Block] = [line(Span(username, Style.TITLE), f" is in {org}{dn}")]
    if user and not user.get("enabled", True):
        because = [restriction(each) for each in user.get("disabled_because") or []]
        why = f": {listed(because)}." if because else "."
        blocks.append(line(Span("Disabled", Style.BAD), why))
    blocks += [line(f"The account {to_come(each)}.") for each in user.get("upcoming") or []]
    said = (
        "Values as the directory has them now."
        if report.get("live")
        else ("Values as the journal has them; the directory was not asked.")
    )
    blocks.append(line(Span(said, Style.DIM)))
    roles: Sequence[Document] = report.get("roles") or []
    if role is None:
        blocks += field_blocks(report.get("fields") or [])
    else:
        roles = [each for each in roles if str(each.get("name")).casefold() == role.casefold()]
        if not roles:
            return [*blocks, blank(), *_lacks(org, username, role, report)]
    blocks += _roles(roles)
    blocks += _differs(org, report.get("differs") or [])
    return blocks


def field_blocks(fields: Sequence[Document]) -> list[Block]:
    """Return each field with its value and where that came from."""
    if not fields:
        return []
    return [blank(), line(Span("Fields", Style.TITLE)), Pairs(field_rows(fields))]


def field_rows(fields: Sequence[Document]) -> tuple[tuple[str, tuple[Piece, ...]], ...]:
    """Return each field's name with its value, attribute, mapper and run."""
    return tuple((str(each.get("field")), _field(each)) for each in fields)


def _field(field: Document) -> tuple[Piece, ...]:
    value = _text(field.get("value"))
    attribute = field.get("attribute")
    origin = f" <- {attribute}" if attribute else ""
    raw = _text(field.get("raw"))
    if attribute and raw and raw != value:
        origin += f" = {raw}"
    detail = ", ".join(
        filter(
            None,
            (
                f"mapper {field['mapper']}" if field.get("mapper") else "",
                f"run {field['run']}" if field.get("run") else "",
            ),
        )
    )
    if detail:
        origin += f" ({detail})"
    return (value or "nothing", Span(origin, Style.DIM))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_text(each) for each in value)
    return str(value)


def _roles(roles: Sequence[Document]) -> list[Block]:
    rows: list[tuple[str, tuple[Piece, ...]]] = []
    for role in roles:
        reasons = [_source(each) for each in role.get("sources") or []] or ["for no known reason"]
        for at, reason in enumerate(reasons):
            rows.append((str(role.get("name")) if at == 0 else "", (reason,)))
    if not rows:
        return [blank(), line("No roles.")]
    return [blank(), line(Span("Roles", Style.TITLE)), Pairs(tuple(rows))]


def _source(source: Document | str) -> str:
    if isinstance(source, str):
        source = {"mapper": source}
    mapper = str(source.get("mapper") or "")
    if mapper == "default":
        return "everyone has it"
    run = f" in run {source['run']}" if source.get("run") else ""
    if mapper == "manual":
        return f"given by hand{run}"
    given = f"given by mapper {mapper}{run}"
    container, member = source.get("container_dn"), source.get("member_value")
    if container and member:
        return f"{given}, because {container} has the member {member}"
    if container:
        return f"{given}, because of {container}"
    return f"{given}, because the entry says {member}" if member else given


def _lacks(org: str, username: str, role: str, report: Document) -> list[Block]:
    told = report.get("role") or {}
    detail = str(told.get("detail") or "")
    detail = (
        detail or "no entry that a role mapper reads names this person, and nobody gave it by hand"
    )
    return [
        line(
            Span(username, Style.TITLE),
            f" does not have the role {role}: {sentence(detail)}",
        ),
        line("The roles there are:  ", Span(f"syncd roles {org}", Style.COMMAND)),
    ]


def _differs(org: str, differs: Sequence[object]) -> list[Block]:
    if not differs:
        return []
    names = [
        str(each.get("field") or each.get("name")) if isinstance(each, dict) else str(each)
        for each in differs
    ]
    return [
        blank(),
        line(
            Span("The store has other values", Style.WARN),
            f" of: {listed(names, 20)}. See what a sync would do with  ",
            Span(f"syncd plan {org}", Style.COMMAND),
        ),
    ]


def _absent(org: str, report: Document) -> list[Block]:
    reason = str(report.get("reason") or "")
    meaning, step = ABSENCES.get(reason, (reason.replace("_", " ") or "for an unknown reason", ""))
    username = str(report.get("username"))
    here = f" is not in {org}: "
    if reason == "disabled":
        here = f" is disabled in {org}: "
    elif report.get("stored"):
        here = f" is stored in {org}, but no longer listed by its directory: "
        if reason == "no_entry":
            step = (
                "If that is wrong, look for the entry in the directory: its name may have changed."
            )
    run = report.get("run") or "RUN"
    blocks: list[Block] = [
        line(Span(username, Style.TITLE), here, sentence(str(report.get("detail") or meaning)))
    ]
    if report.get("clause"):
        blocks.append(
            line("It does not match  ", Span(str(report["clause"]), Style.WARN), indent=2)
        )
    if step:
        blocks.append(line(step.format(org=org, username=username, run=run), indent=2))
    return blocks
