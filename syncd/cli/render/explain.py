"""Where each value, role and group of a person comes from, or why he is not there."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Pairs, Piece, Span, Style, blank, line
from syncd.cli.render.people import restriction, to_come, where
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
    "excluded": (
        "somebody deleted this person here for good, and syncs pass over the entry",
        "Let it bring the person again: syncd exclusions remove {org} {username}",
    ),
    "not_signed_in": (
        "nobody of this username has signed in yet",
        "Check the spelling, or try claims with: syncd mappers try {org} --claims FILE",
    ),
    "refused": (
        "the sign-in was refused",
        "Correct it at the provider or in the mappers. See: syncd quarantine {org}",
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


def explain_blocks(
    org: str, report: Document, role: str | None = None, group: str | None = None
) -> list[Block]:
    """Return an explanation as sentences: of everything, or of one role or group."""
    if not report.get("present"):
        return [*_absent(org, report), *_asked(org, report, role, group)]
    user = report.get("user") or {}
    username = str(report.get("username") or user.get("username"))
    dn = f": {user['dn']}" if user.get("dn") else ""
    blocks: list[Block] = [line(Span(username, Style.TITLE), f" is in {org}{dn}")]
    if user and not user.get("enabled", True):
        because = [restriction(each) for each in user.get("disabled_because") or []]
        why = f": {listed(because)}." if because else "."
        blocks.append(line(Span("Disabled", Style.BAD), why))
    blocks += [line(f"The account {to_come(each)}.") for each in user.get("upcoming") or []]
    said = "Values as the journal has them; the directory was not asked."
    if report.get("live"):
        said = "Values as the directory has them now."
    elif user.get("provider") == "idp":
        said = "Values as the sign-ins have left them."
    blocks.append(line(Span(said, Style.DIM)))
    if role is None and group is None:
        blocks += field_blocks(report.get("fields") or [])
        blocks += _held("Roles", report.get("roles") or []) or [blank(), line("No roles.")]
        blocks += _held("Groups", report.get("groups") or [])
    blocks += _asked(org, report, role, group)
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
                _when(field),
            ),
        )
    )
    if detail:
        origin += f" ({detail})"
    return (value or "nothing", Span(origin, Style.DIM))


def _when(told: Document) -> str:
    """Return which run or change set something is of."""
    if told.get("run"):
        return f"run {told['run']}"
    return f"change set {told['change_set']}" if told.get("change_set") else ""


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_text(each) for each in value)
    return str(value)


def _held(title: str, held: Sequence[Document]) -> list[Block]:
    rows: list[tuple[str, tuple[Piece, ...]]] = []
    for each in held:
        reasons = [_source(one) for one in each.get("sources") or []] or ["for no known reason"]
        for at, reason in enumerate(reasons):
            rows.append((where(each) if at == 0 else "", (reason,)))
    return [blank(), line(Span(title, Style.TITLE)), Pairs(tuple(rows))] if rows else []


def _source(source: Document | str) -> str:
    if isinstance(source, str):
        source = {"mapper": source}
    mapper = str(source.get("mapper") or "")
    if mapper == "default":
        return "everyone has it"
    if source.get("group"):
        return _by_group(source)
    when = _when(source)
    run = f" in {when}" if when else ""
    if mapper == "manual":
        return f"given by hand{run}"
    given = f"given by mapper {mapper}{run}"
    how = source.get("membership")
    if how == "everyone":
        return f"{given}, which gives it to everybody"
    container, member = source.get("container_dn"), source.get("member_value")
    # From the entry that the person is in to the one that gives it.
    first, *further = [*(source.get("through") or []), *([container] if container else [])] or [""]
    further = [f", which is in {each}" for each in further]
    if how == "member_of":
        because = f"the entry says that it is in {member}"
    elif how == "primary_group":
        because = f"{first} is the primary group ({member})"
    elif container and member:
        because = f"{first} has the member {member}"
    elif container:
        because = f"of {first}"
    elif member:
        because = f"the entry says {member}"
    else:
        return given
    return f"{given}, because {because}{''.join(further)}"


def _by_group(source: Document) -> str:
    """Return by which group somebody has a role, and how he came there."""
    group, member = str(source["group"]), str(source.get("member_of") or source["group"])
    place = "in it" if group == member else f"in {member} below it"
    reasons = [_source(each) for each in source.get("because") or []]
    return f"the group {group} has it, and the person is {place}: {listed(reasons)}"


def _asked(org: str, report: Document, role: str | None, group: str | None) -> list[Block]:
    """Return where one role or group comes from, or why the person lacks it."""
    blocks: list[Block] = []
    for kind, name in (("role", role), ("group", group)):
        if name is None:
            continue
        told = report.get(kind) or {}
        title = f"{kind.capitalize()}s"
        if told.get("held"):
            blocks += _held(title, [told])
        elif told:
            blocks += [blank(), *_lacks(org, kind, name, report)]
    return blocks


def _lacks(org: str, kind: str, name: str, report: Document) -> list[Block]:
    told = report.get(kind) or {}
    username = str(report.get("username"))
    lacks = "does not have the role" if kind == "role" else "is not in the group"
    blocks: list[Block] = [
        line(
            Span(username, Style.TITLE),
            f" {lacks} {told.get('name') or name}: {sentence(str(told.get('detail') or ''))}",
        )
    ]
    if told.get("next"):
        blocks.append(line(sentence(_capital(str(told["next"]))), indent=2))
    for note in told.get("notes") or []:
        then = f" {sentence(_capital(str(note['next'])))}" if note.get("next") else ""
        blocks.append(line(f"- {_capital(sentence(str(note.get('detail'))))}{then}", indent=2))
    blocks.append(line(f"The {kind}s there are:  ", Span(f"syncd {kind}s {org}", Style.COMMAND)))
    return blocks


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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
