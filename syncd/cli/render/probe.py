"""What ``check --connect`` found out about a directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from syncd.cli.application import Document
from syncd.cli.blocks import Block, Pairs, Piece, Span, Style, line
from syncd.cli.render.explain import field_rows
from syncd.cli.words import count, listed, moment, number, sentence

Row = tuple[str, tuple[Piece, ...]]


def probe_blocks(found: Document) -> list[Block]:
    """Return the findings of one directory."""
    error = found.get("error")
    if error:
        text = error.get("message") if isinstance(error, dict) else error
        return [line(Span("cannot be used: ", Style.BAD), sentence(str(text)), indent=2)]
    rows = [
        *_servers(found),
        *_encryption(found.get("tls")),
        *_vendor(found),
        *_controls(found.get("controls") or []),
        *_paging(found.get("paging") or {}),
        *_changes(found.get("changes") or {}),
        *_users(found.get("users") or {}),
        *_containers(found.get("containers") or []),
    ]
    blocks: list[Block] = [Pairs(tuple(rows))] if rows else []
    example = found.get("example")
    if example:
        blocks.append(line("One user, mapped: ", str(example.get("dn") or ""), indent=2))
        blocks.append(Pairs(field_rows(example.get("fields") or []), indent=4))
    return blocks


def _servers(found: Document) -> Iterator[Row]:
    for server in found.get("servers") or []:
        if server.get("usable"):
            state: Piece = Span("can be used", Style.GOOD)
        else:
            state = Span(sentence(str(server.get("error") or "cannot be used")), Style.BAD)
        yield "server", (f"{server.get('url')}: ", state)
    yield "bound as", (str(found.get("bind_dn") or "nobody (anonymous)"),)


def _encryption(tls: Document | None) -> Iterator[Row]:
    if not tls:
        yield "encryption", (Span("none", Style.WARN),)
        return
    names = listed([str(name) for name in tls.get("names") or []]) or str(tls.get("subject"))
    days = int(tls.get("days_left") or 0)
    until = f"until {moment(str(tls.get('not_after')))}, {count(days, 'day')} left"
    yield (
        "encryption",
        (
            f"{tls.get('version')}, certificate for {names}, valid ",
            Span(until, Style.WARN if days < 30 else Style.PLAIN),
        ),
    )


def _vendor(found: Document) -> Iterator[Row]:
    name = " ".join(filter(None, (found.get("vendor_name"), found.get("vendor_version"))))
    detected, configured = found.get("vendor_detected"), found.get("vendor_configured")
    looks = f"looks like {detected}, configured as {configured}"
    fits = detected in (configured, "other")
    text = f"{name}; {looks}" if name else looks
    yield "vendor", (Span(text, Style.PLAIN if fits else Style.WARN),)
    if found.get("server"):
        yield "answered by", (str(found["server"]),)
    contexts = [str(each) for each in found.get("naming_contexts") or []]
    if contexts:
        yield "contexts", ("; ".join(contexts),)


def _controls(controls: Sequence[Document]) -> Iterator[Row]:
    for label, offered in (("controls", True), ("not offered", False)):
        names = [str(each.get("name")) for each in controls if bool(each.get("offered")) is offered]
        if names:
            yield label, (", ".join(names),)


def _paging(paging: Document) -> Iterator[Row]:
    if paging.get("error"):
        yield "paging", (Span(sentence(str(paging["error"])), Style.BAD),)
    elif paging.get("accepted"):
        text = f"{number(int(paging['accepted']))} entries a page"
        if paging.get("configured") and paging["configured"] != paging["accepted"]:
            text += f", although {number(int(paging['configured']))} are configured"
        yield "paging", (text,)
    if paging.get("unpaged_limit"):
        yield "size limit", (f"{number(int(paging['unpaged_limit']))} entries without pages",)


def _changes(changes: Document) -> Iterator[Row]:
    if changes:
        yield "changes", (f"by {changes.get('kind')}: {changes.get('because')}",)


def _base(base: Document) -> tuple[Piece, ...]:
    dn = str(base.get("base_dn"))
    if base.get("error"):
        return (f"{dn}: ", Span(sentence(str(base["error"])), Style.BAD))
    entries = int(base.get("first_page") or 0)
    more = " and more" if base.get("more") else ""
    clause = f"; {base['clause']} turns the others away" if base.get("clause") else ""
    text = f"{count(entries, 'entry', 'entries')}{more}{clause}"
    if base.get("references"):
        text += f", {count(int(base['references']), 'reference')} out of it"
    return (f"{dn}: ", Span(text, Style.PLAIN if entries else Style.WARN))


def _users(users: Document) -> Iterator[Row]:
    for base in users.get("bases") or []:
        yield "users DN", _base(base)
    if not users.get("sampled"):
        return
    attributes = users.get("attributes") or []
    read = [f"{each['name']}{_share(each)}" for each in attributes if each.get("share")]
    unread = [str(each["name"]) for each in attributes if not each.get("share")]
    sample = count(int(users["sampled"]), "user")
    yield "readable", (f"{', '.join(read) or 'nothing'} (of {sample})",)
    if unread:
        yield "not seen", (Span(", ".join(unread), Style.WARN),)
    unique = users.get("uuid_unique") and not users.get("uuid_undecodable")
    state = Span("unique", Style.GOOD) if unique else Span("not fit to identify people", Style.BAD)
    yield "identity", (f"{users.get('uuid_attribute')}: ", state)


def _share(attribute: Document) -> str:
    share = float(attribute.get("share") or 0)
    return "" if share >= 1 else f" {share:.0%}"


def _containers(containers: Sequence[Document]) -> Iterator[Row]:
    for each in containers:
        yield str(each.get("mapper")), _base(each.get("base") or {})
