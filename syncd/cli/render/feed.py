"""The change feed: who changed what, a line each."""

from __future__ import annotations

import json
from collections.abc import Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Span, Style, blank, line
from syncd.cli.words import moment

OF_PERSON = {
    "create": Style.GOOD,
    "delete": Style.BAD,
}


def feed_blocks(org: str, page: Document) -> list[Block]:
    """Return a page of changes, and the call that goes on from there."""
    changes: Sequence[Document] = page.get("changes") or []
    blocks = change_lines(changes)
    if not changes:
        blocks.append(line("Nothing was changed after this."))
    more = page.get("next") != page.get("head")
    call = f"syncd changes {org} --after {page.get('next')}"
    return [
        *blocks,
        blank(),
        line("There is more: " if more else "Go on later with ", Span(call, Style.COMMAND)),
    ]


def change_lines(changes: Sequence[Document]) -> list[Block]:
    """Return a line for each change."""
    return [_change(each) for each in changes]


def _change(change: Document) -> Block:
    kind = str(change.get("kind"))
    name = change.get("name")
    what = str(change.get("object")).replace("_", " ")
    called = f"{what} {name}" if name else f"{what} {change.get('id')}"
    by = str(change.get("actor") or "unknown")
    why = change.get("why") or change.get("run")
    return line(
        Span(f"{moment(change.get('at'))}  ", Style.DIM),
        called,
        ": ",
        Span(kind, OF_PERSON.get(kind, Style.PLAIN)),
        _fields(change),
        Span(f"  by {by}" + (f" ({why})" if why else ""), Style.DIM),
    )


def _fields(change: Document) -> str:
    before, after = change.get("before"), change.get("after")
    if change.get("kind") in {"create", "delete"} or not isinstance(after, dict):
        return ""
    old = before if isinstance(before, dict) else {}
    changed = {name: each for name, each in after.items() if each not in (old.get(name, ()), [])}
    return " " + ", ".join(
        f"{name} {json.dumps(each, ensure_ascii=False)}" for name, each in changed.items()
    )
