"""Sessions of people who have signed in: the list, and what was ended."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Column, Piece, Span, Style, Table, blank, line
from syncd.cli.words import count, moment

WAYS = {"idp": "identity provider", "ldap": "directory password", "admin": "password"}


def session_blocks(org: str, sessions: Sequence[Document]) -> list[Block]:
    """Return the sessions as a table."""
    if not sessions:
        return [line(f"Nobody is signed in to {org}.")]
    columns = (
        Column(title="Session", right=True, least=7),
        Column(title="Person", least=10),
        Column(title="By", least=8, expendable=4),
        Column(title="Since", least=16),
        Column(title="Last use", least=16, expendable=2),
        Column(title="Until", least=16, expendable=3),
        Column(title="Address", least=9, expendable=1),
        Column(title="Browser", least=12, expendable=5),
    )
    rows: list[tuple[Piece, ...]] = [
        (
            str(each["id"]),
            str(each["user"]["username"]),
            WAYS.get(str(each["way"]), str(each["way"])),
            moment(each["started_at"]),
            moment(each["seen_at"]),
            moment(each["idle_until"]),
            str(each["address"]),
            str(each["agent"]),
        )
        for each in sessions
    ]
    people = len({each["user"]["id"] for each in sessions})
    tail = f"{count(len(sessions), 'session')} of {count(people, 'person', 'people')}"
    return [
        Table(columns, rows),
        blank(),
        line(
            Span(f"{tail}; end one with  ", Style.DIM),
            Span(f"syncd sessions end {org} SESSION", Style.COMMAND),
        ),
    ]


def ended_blocks(session: Document) -> list[Block]:
    """Return which session was ended."""
    since = moment(session["started_at"])
    return [
        line(f"Session {session['id']} of {session['user']['username']}, since {since}, is over.")
    ]


def all_ended_blocks(org: str, ended: Document) -> list[Block]:
    """Return how many sessions of a person were ended."""
    if not ended["ended"]:
        return [line(f"{ended['username']} is not signed in to {org}.")]
    return [line(f"{count(ended['ended'], 'session')} of {ended['username']} ended.")]
