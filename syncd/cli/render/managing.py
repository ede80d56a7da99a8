"""What became of people that were made or changed by hand, and of the mails to them."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Column, Piece, Span, Style, Table, blank, line, verbatim
from syncd.cli.render.people import show_blocks
from syncd.cli.words import count, moment, number, sentence

STATUS = {
    "created": Style.GOOD,
    "exists": Style.DIM,
    "invalid": Style.BAD,
}
PURPOSES = {
    "invitation": "an invitation",
    "verification": "a mail to verify the address",
    "password": "a link to choose a new password",
}


def person_blocks(report: Document, what: str) -> list[Block]:
    """Return what was done to a person, as he is now, and what became of his mail."""
    blocks: list[Block] = [
        line(Span(str(report.get("username")), Style.TITLE), f" is {what}."),
    ]
    mail = report.get("mail")
    if mail:
        blocks += mail_blocks(mail)
    return [*blocks, blank(), *show_blocks(report)]


def mail_blocks(mail: Document) -> list[Block]:
    """Return what became of a mail."""
    what = PURPOSES.get(str(mail.get("purpose")), "a mail")
    to = str(mail.get("to"))
    until = moment(mail.get("expires_at"))
    if mail.get("sent"):
        return [line(f"{what[0].upper()}{what[1:]} was sent to {to}; it works until {until}.")]
    because = sentence(str(mail.get("because")))
    if mail.get("link"):
        return [
            line(Span("No mail was sent", Style.WARN), f": {because}"),
            line(f"Hand this link on to {to}; it is {what}, and works once, until {until}:"),
            verbatim(str(mail["link"]), Style.COMMAND, indent=2),
        ]
    return [
        line(Span("The mail was not sent", Style.BAD), f" to {to}: {because}"),
        line("Send it again with  ", Span(str(mail.get("next")), Style.COMMAND)),
    ]


def imported_blocks(report: Document) -> list[Block]:
    """Return what became of each row."""
    rows_ = report.get("rows") or []
    columns = (
        Column(title="Row", least=4, right=True),
        Column(title="E-mail", least=20),
        Column(title="Username", least=12, expendable=1),
        Column(title="Status", least=8),
        Column(title="Reason", least=20, fold=True),
    )
    rows: list[tuple[Piece, ...]] = [
        (
            number(int(each["row"])),
            str(each.get("email") or ""),
            str(each.get("username") or ""),
            Span(str(each["status"]), STATUS.get(str(each["status"]), Style.PLAIN)),
            sentence(str(each.get("reason") or "")),
        )
        for each in rows_
    ]
    counts = report["counts"]
    tense = "would be made" if report.get("dry") else "made"
    tail = (
        f"{count(counts['created'], 'person', 'people')} {tense}, {number(counts['exists'])} there "
        f"already, {count(counts['invalid'], 'row')} invalid."
    )
    blocks: list[Block] = [Table(columns, rows), blank(), line(Span(tail, Style.DIM))]
    links = [each["mail"] for each in rows_ if each.get("mail") and each["mail"].get("link")]
    if links:
        blocks += [blank(), line("No mail server is configured (smtp); hand these links on:")]
        for mail in links:
            blocks += [line(str(mail["to"])), verbatim(str(mail["link"]), Style.COMMAND, indent=2)]
    unsent = [
        each["mail"]
        for each in rows_
        if each.get("mail") and not each["mail"]["sent"] and not each["mail"].get("link")
    ]
    if unsent:
        first = unsent[0]
        blocks += [
            blank(),
            line(
                Span(f"{count(len(unsent), 'mail was', 'mails were')} not sent", Style.BAD),
                f": {sentence(str(first['because']))}",
            ),
            line(
                "See who waits with  ",
                Span(f"syncd invitations {report['organization']}", Style.COMMAND),
                "  and send each again with  ",
                Span(str(first["next"]), Style.COMMAND),
            ),
        ]
    return blocks


def deleted_blocks(report: Document) -> list[Block]:
    """Return that somebody is deleted."""
    org, username = str(report["organization"]), str(report["username"])
    blocks: list[Block] = [line(Span(username, Style.TITLE), " is deleted for good.")]
    if report.get("excluded"):
        blocks.append(
            line(
                "Syncs pass over the entry in the directory. To let them bring it again:  ",
                Span(f"syncd exclusions remove {org} {username}", Style.COMMAND),
            )
        )
    return blocks


def invitation_blocks(org: str, invitations: Sequence[Document]) -> list[Block]:
    """Return who has not taken his invitation yet."""
    if not invitations:
        return [line(f"Nobody in {org} waits to take an invitation.")]
    columns = (
        Column(title="Username", least=12),
        Column(title="E-mail", least=16, expendable=1),
        Column(title="Since", least=20, expendable=2),
        Column(title="Sent", least=20, expendable=3),
        Column(title="Works until", least=20),
    )
    rows: list[tuple[Piece, ...]] = [
        (
            str(each["username"]),
            str(each.get("email") or ""),
            moment(each.get("since")),
            moment(each.get("created_at")) or "never",
            Span(moment(each.get("expires_at")) or "no link", Style.BAD)
            if each["expired"]
            else moment(each.get("expires_at")),
        )
        for each in invitations
    ]
    tail = count(len(invitations), "open invitation")
    return [
        Table(columns, rows),
        blank(),
        line(
            Span(f"{tail}. Send one again with  ", Style.DIM),
            Span(f"syncd invitations send {org} USERNAME", Style.COMMAND),
        ),
    ]


def exclusion_blocks(org: str, exclusions: Sequence[Document]) -> list[Block]:
    """Return whom syncs pass over."""
    if not exclusions:
        return [line(f"Syncs of {org} pass over nobody.")]
    columns = (
        Column(title="Username", least=12),
        Column(title="Source", least=6, expendable=3),
        Column(title="Id there", least=12),
        Column(title="Since", least=20, expendable=1),
        Column(title="By", least=8, expendable=2),
        Column(title="Why", least=10, fold=True, expendable=4),
    )
    rows: list[tuple[Piece, ...]] = [
        (
            str(each["username"]),
            str(each["source"]),
            str(each["external_id"]),
            moment(each.get("since")),
            str(each.get("actor") or ""),
            str(each.get("why") or ""),
        )
        for each in exclusions
    ]
    return [
        Table(columns, rows),
        blank(),
        line(Span(count(len(exclusions), "person", "people") + " excluded.", Style.DIM)),
    ]


def included_blocks(org: str, exclusion: Document) -> list[Block]:
    """Return that syncs bring somebody again."""
    return [
        line(
            Span(str(exclusion["username"]), Style.TITLE),
            " is excluded no more. The next full sync brings the entry as somebody new:  ",
            Span(f"syncd sync {org}", Style.COMMAND),
        )
    ]
