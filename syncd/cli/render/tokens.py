"""API tokens: the one that was made, the list, and the one that was revoked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Column, Pairs, Piece, Span, Style, Table, blank, line, verbatim
from syncd.cli.words import count, moment
from syncd.permissions import SECTIONS


def made_blocks(org: str, token: Document) -> list[Block]:
    """Return the token itself, and what is to be known of it."""
    return [
        verbatim(str(token["token"])),
        blank(),
        line("This is token ", str(token["id"]), "; it is shown this once and stored nowhere."),
        Pairs(tuple(_facts(token))),
        blank(),
        line(
            Span("End it before its time with  ", Style.DIM),
            Span(f"syncd token revoke {org} {token['id']}", Style.COMMAND),
        ),
    ]


def token_blocks(org: str, tokens: Sequence[Document]) -> list[Block]:
    """Return the tokens as a table."""
    if not tokens:
        return [
            line(
                f"{org} has no tokens; make one with  ",
                Span(f"syncd token create {org}", Style.COMMAND),
            )
        ]
    columns = (
        Column(title="Token", right=True, least=5),
        Column(title="Name", least=12),
        Column(title="State", least=8),
        Column(title="For", least=8, expendable=2),
        Column(title="Scopes", least=16, fold=True, expendable=1),
        Column(title="Expires", least=16, expendable=3),
        Column(title="Last used", least=16, expendable=4),
    )
    rows: list[tuple[Piece, ...]] = [
        (
            str(token["id"]),
            str(token["name"]),
            _state(token),
            _user(token),
            _scopes(token),
            moment(token["expires_at"]),
            moment(token["last_used_at"]) if token["last_used_at"] else "never",
        )
        for token in tokens
    ]
    tail = count(len(tokens), "token", "tokens")
    return [Table(columns, rows), blank(), line(Span(f"{tail}.", Style.DIM))]


def revoked_blocks(token: Document) -> list[Block]:
    """Return what a revoked token was."""
    ended = f"Token {token['id']} ({token['name']}) lets nobody in any more."
    return [line(ended), Pairs(tuple(_facts(token)))]


def _facts(token: Document) -> list[tuple[str, tuple[Piece, ...]]]:
    facts: list[tuple[str, tuple[Piece, ...]]] = [
        ("Name", (str(token["name"]),)),
        ("Scopes", (_scopes(token),)),
    ]
    if token["user"]:
        facts.append(("Acts for", (_user(token),)))
    facts.append(("Expires", (moment(token["expires_at"]),)))
    if token["revoked_at"]:
        facts.append(("Revoked", (moment(token["revoked_at"]),)))
    return facts


def _state(token: Document) -> Span:
    if token["revoked_at"]:
        return Span("revoked", Style.DIM)
    if datetime.fromisoformat(str(token["expires_at"])) <= datetime.now(UTC):
        return Span("expired", Style.DIM)
    return Span("valid", Style.GOOD)


def _scopes(token: Document) -> str:
    scopes = token["scopes"]
    if len(scopes) == len(SECTIONS) and len(set(scopes.values())) == 1:
        return f"everything:{next(iter(scopes.values()))}"
    return ", ".join(f"{section}:{level}" for section, level in scopes.items())


def _user(token: Document) -> str:
    user = token["user"]
    return "" if user is None else str(user["username"] or f"person {user['id']}, who is gone")
