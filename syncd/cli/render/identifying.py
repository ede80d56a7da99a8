"""What tokens, claims and identity providers come to, for whoever tries them."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Column, Pairs, Piece, Span, Style, Table, blank, line, verbatim
from syncd.cli.render.explain import field_blocks
from syncd.cli.render.outline import outline, scalar
from syncd.cli.words import count, listed, moment, sentence

KINDS = {"id": "ID token", "access": "access token", "logout": "logout token"}
LOOKS = {"passed": Style.GOOD, "failed": Style.BAD, "skipped": Style.DIM}
# What a role or group mapper found in the claims.
FINDINGS = {
    "matches": "the claim matches",
    "no_match": "the claim does not match",
    "absent": "the claim is not there",
    "elsewhere": "the provider keeps it out of the token, because it is too long",
    "slow": "the pattern takes too long",
    "not_now": "it speaks at the first sign-in only",
}
VERIFIED = (
    ("subject", "subject"),
    ("issued_at", "issued"),
    ("expires_at", "expires"),
    ("authenticated_at", "signed in"),
    ("session_id", "session"),
    ("client_id", "client"),
    ("scope", "scope"),
)
TIMES = {"issued_at", "expires_at", "authenticated_at"}


def verified_blocks(report: Document) -> list[Block]:
    """Return each check of a token, the person in it, and what would follow."""
    kind, org = KINDS[str(report["kind"])], str(report["organization"])
    accepted = report["outcome"] == "accepted"
    head: tuple[Piece, ...] = (
        (f"The {kind} is ", Span("accepted", Style.GOOD), f" for {org}.")
        if accepted
        else (
            f"The {kind} is ",
            Span("refused", Style.BAD),
            f" for {org} ({report['reason']}): {sentence(str(report['detail']))}",
        )
    )
    blocks: list[Block] = [line(*head), blank(), _checks(report["checks"])]
    if report.get("verified"):
        blocks += [blank(), line(Span("It says", Style.TITLE)), _said(report["verified"])]
    if report.get("person"):
        blocks += _person(report["person"])
    if report.get("then"):
        blocks += [blank(), *_then(org, str(report["kind"]), report["then"])]
    return blocks


def tried_claims_blocks(report: Document) -> list[Block]:
    """Return what the mappers make of claims."""
    person, refused = report["person"], report.get("refused")
    blocks: list[Block] = [
        line(Span(str(person["external_id"]), Style.TITLE), f" of {person['source']}"),
        line(Span("As at a first sign-in; nobody has verified these claims.", Style.DIM)),
        *_person(person),
    ]
    if refused:
        blocks += [blank(), _refused("The sign-in would be ", refused)]
    return blocks


def discovered_blocks(report: Document) -> list[Block]:
    """Return the settings as YAML to paste, and what is to be known of them."""
    comments = report.get("comments") or {}
    blocks: list[Block] = [verbatim("idp:")]
    for key, value in (report.get("idp") or {}).items():
        if comments.get(key):
            blocks.append(verbatim(f"  # {comments[key]}", Style.DIM))
        blocks += [verbatim(text) for text in outline({key: value}, 2)]
    for key in ("client_id", "client_secret_file"):
        blocks.append(verbatim(f"  # {key}: as the provider registered syncd", Style.DIM))
    for key, value in (report.get("optional") or {}).items():
        remark = f"  # {comments[key]}" if comments.get(key) else ""
        blocks.append(verbatim(f"  # {key}: {scalar(value)}{remark}", Style.DIM))
    warnings = report.get("warnings") or []
    if warnings:
        blocks.append(blank())
    # As comments too, so that all of the output can go into the file.
    blocks += [verbatim(f"# warning: {sentence(str(each))}", Style.WARN) for each in warnings]
    return blocks


def provider_blocks(found: Document) -> list[Block]:
    """Return what ``check --connect`` found out about an identity provider."""
    keys, discovery = found.get("keys"), found.get("discovery") or {}
    rows: list[tuple[str, tuple[Piece, ...]]] = [("issuer", (str(found.get("issuer")),))]
    if found.get("proxy"):
        rows.append(("asked", (f"through the proxy {found['proxy']}",)))
    if keys:
        usable = int(keys.get("usable") or 0)
        look = Style.GOOD if usable else Style.BAD
        rows.append(
            ("keys", (f"{keys.get('url')}: ", Span(f"{count(usable, 'key')} usable", look)))
        )
        rows += [("ignored", (Span(sentence(str(e)), Style.WARN),)) for e in keys.get("ignored")]
    else:
        rows.append(("keys", (Span("none are asked for: there is no jwks_url", Style.WARN),)))
    if not discovery.get("found"):
        rows.append(("metadata", (f"not read: {sentence(str(discovery.get('because')))}",)))
    elif discovery.get("differences"):
        differs = count(len(discovery["differences"]), "difference")
        rows.append(("metadata", (Span(f"{differs} to the settings", Style.WARN),)))
    else:
        rows.append(("metadata", (Span("as the settings", Style.GOOD),)))
    return [Pairs(tuple(rows))]


def _checks(checks: Sequence[Document]) -> Block:
    columns = (
        Column(title="Check", least=14),
        Column(title="Outcome", least=7),
        Column(title="Detail", least=20, fold=True),
    )
    rows: list[tuple[Piece, ...]] = [
        (
            str(each["check"]).replace("_", " "),
            Span(str(each["outcome"]), LOOKS.get(str(each["outcome"]), Style.PLAIN)),
            str(each["detail"]),
        )
        for each in checks
    ]
    return Table(columns, rows, indent=2)


def _said(verified: Document) -> Block:
    rows: list[tuple[str, tuple[Piece, ...]]] = []
    for key, label in VERIFIED:
        value = verified.get(key)
        if value not in (None, []):
            text = " ".join(value) if isinstance(value, list) else str(value)
            rows.append((label, (moment(text) if key in TIMES else text,)))
    return Pairs(tuple(rows))


def _person(person: Document) -> list[Block]:
    blocks = field_blocks(person.get("fields") or [])
    mappers = person.get("mappers") or []
    if mappers:
        columns = (
            Column(title="Mapper", least=10),
            Column(title="For", least=12, fold=True),
            Column(title="Holds", least=5),
            Column(title="Because", least=16, fold=True),
        )
        rows = [_finding(each) for each in mappers]
        blocks += [
            blank(),
            line(Span("Roles, groups and conditions", Style.TITLE)),
            Table(columns, rows, indent=2),
        ]
    return blocks


def _finding(finding: Document) -> tuple[Piece, ...]:
    gives = finding.get("gives")
    outcome: Piece
    if gives is None:
        outcome = Span("stays", Style.DIM)
    else:
        outcome = Span("yes", Style.GOOD) if gives else Span("no", Style.PLAIN)
    kind = str(finding.get("type") or "")
    thing = "role " if "role" in kind else "group " if "group" in kind else ""
    because = FINDINGS.get(str(finding.get("outcome")), str(finding.get("outcome")))
    if kind.startswith("hardcoded") and finding.get("outcome") == "matches":
        because = "everybody has it"
    target = str(finding.get("target") or "")
    return (str(finding["mapper"]), f"{thing}{target}" if target else kind, outcome, because)


def _then(org: str, kind: str, then: Document) -> list[Block]:
    """Return what would follow, in a sentence or two."""
    would, who = str(then["would"]), str(then.get("username") or "")
    what = "The API" if kind == "access" else "A sign-in"
    if would == "refuse":
        whom = "At the API the person would be " if kind == "access" else "A sign-in would be "
        return [_refused(whom, then)]
    if would == "unknown":
        asked = "the API" if kind == "access" else "a sign-in"
        because = sentence(str(then.get("detail") or "the store was not asked"))
        return [line(f"What {asked} would do cannot be told: {because}")]
    sentences = {
        "let in": (f"{what} would let ", Span(who, Style.GOOD), " in."),
        "create": (f"{what} would make ", Span(who, Style.GOOD), ", who is not known yet."),
        "update": (f"{what} would change ", Span(who, Style.GOOD), ", who is known."),
        "keep": (f"{what} would change nothing of ", Span(who, Style.GOOD), ", who is known."),
    }
    if then.get("linked"):
        pieces: tuple[Piece, ...] = (
            f"{what} would take over ",
            Span(str(then["linked"]), Style.GOOD),
            ", whom a former provider left behind.",
        )
    else:
        pieces = sentences.get(would, (f"{what}: {would}.",))
    blocks: list[Block] = [line(*pieces)]
    given = [("roles", then.get("roles") or []), ("groups", then.get("groups") or [])]
    rows = [(label, (listed(list(map(str, names)), 20),)) for label, names in given if names]
    if rows:
        blocks.append(Pairs(tuple(rows)))
    if then.get("enabled") is False:
        blocks.append(
            line(
                Span(f"{who} may not sign in", Style.BAD),
                "; see why with  ",
                Span(f"syncd show {org} {who}", Style.COMMAND),
            )
        )
    blocks += [
        line(Span("to know: ", Style.WARN), sentence(str(each.get("detail") or each.get("kind"))))
        for each in then.get("remarks") or []
    ]
    return blocks


def _refused(start: str, refusal: Document) -> Block:
    return line(
        start,
        Span("refused", Style.BAD),
        f" ({refusal.get('reason')}): {sentence(str(refusal.get('detail') or ''))}",
    )
