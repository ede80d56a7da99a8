"""Owns the doctor: a look at one directory that tells what a sync would meet there.

It reads a few pages at most and changes nothing. What it finds goes into ``report``, which also
knows what to advise. A directory that cannot be reached at all raises; everything smaller is a
line of the report.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from syncd.errors import DecodeError, DirectoryError, cut
from syncd.ldap import filters, messages
from syncd.ldap.ber import decode_entry
from syncd.ldap.certificate import presented
from syncd.ldap.connection import Connection
from syncd.ldap.decode import decode_external_id
from syncd.ldap.filter_tree import And
from syncd.ldap.listings import distinct_bases
from syncd.ldap.lookup import unique
from syncd.ldap.report import (
    AttributeReport,
    BaseReport,
    ContainersReport,
    ControlReport,
    PagingReport,
    ProbeReport,
    ServerReport,
    UsersReport,
    advise,
)
from syncd.ldap.search import SearchRequest
from syncd.ldap.vendors import VENDORS, detect, server_of
from syncd.records import Entry, Scope, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from syncd.ldap.connection import ConnectionOptions
    from syncd.ldap.listings import ContainerSearch, UserSearch
    from syncd.records import ListingOutcome

SAMPLE_SIZE = 50
# Large enough to meet the usual limits of 500, 1000 and 2000, small enough for any server.
UNPAGED_LIMIT = 2500
EVERYTHING = "(objectClass=*)"
PASSWORD_ATTRIBUTE = "userPassword"  # noqa: S105 (its name, to see whether it can be read)
NO_ATTRIBUTES = ("1.1",)

CONTROLS = {
    messages.PAGED_RESULTS: "paged results",
    "1.3.6.1.4.1.4203.1.9.1.1": "content synchronization (syncrepl)",
    "1.2.840.113556.1.4.417": "show deleted",
    "1.2.840.113556.1.4.841": "directory synchronization (DirSync)",
    "2.16.840.1.113730.3.4.9": "virtual list view",
}


class _FirstPage(NamedTuple):
    """The beginning of a listing."""

    entries: list[bytes]
    outcome: ListingOutcome | None
    more: bool
    error: str | None


def probe(
    options: ConnectionOptions,
    users: UserSearch,
    containers: Mapping[str, ContainerSearch],
    *,
    vendor: str,
    clock: Callable[[], datetime],
) -> ProbeReport:
    """Look at a directory.

    Raises:
        DirectoryError: No URL could be used.

    """
    with Connection.open(options) as connection:
        root_dse = connection.root_dse()
        detected = detect(root_dse)
        paging = _paging(connection, users)
        page_size = paging.accepted
        found, sample = _users(connection, users, detected, page_size)
        report = ProbeReport(
            url=connection.url,
            servers=_servers(options, connection.url),
            bind_dn=options.bind_dn,
            tls=presented(connection.url, options, clock()),
            vendor_configured=vendor,
            vendor_detected=detected,
            vendor_name=_first_text(root_dse, "vendorName"),
            vendor_version=_first_text(root_dse, "vendorVersion"),
            server=server_of(root_dse),
            naming_contexts=_texts(root_dse, "namingContexts"),
            controls=_controls(root_dse),
            paging=paging,
            users=found,
            containers=tuple(
                _containers(connection, mapper, search)
                for mapper, search in sorted(containers.items())
            ),
            sample=sample,
        )
    return replace(report, advice=advise(report))


def _servers(options: ConnectionOptions, used: str) -> tuple[ServerReport, ...]:
    return tuple(
        ServerReport(url=url, usable=True) if url == used else _try(replace(options, urls=(url,)))
        for url in options.urls
    )


def _try(options: ConnectionOptions) -> ServerReport:
    (url,) = options.urls
    try:
        Connection.open(options).close()
    except DirectoryError as error:
        return ServerReport(url=url, usable=False, error=str(error))
    return ServerReport(url=url, usable=True)


def _controls(root_dse: Entry) -> tuple[ControlReport, ...]:
    offered = set(_texts(root_dse, "supportedControl"))
    return tuple(
        ControlReport(oid=oid, name=name, offered=oid in offered) for oid, name in CONTROLS.items()
    )


def _paging(connection: Connection, users: UserSearch) -> PagingReport:
    accepted, error = None, None
    sizes = [] if users.page_size is None else [users.page_size, max(users.page_size // 2, 1)]
    for size in sizes:
        page = _first_page(connection, _user_request(users, size, NO_ATTRIBUTES))
        if page.error is None:
            accepted, error = size, None
            break
        error = page.error
    unpaged = replace(
        _user_request(users, None, NO_ATTRIBUTES), filter=EVERYTHING, size_limit=UNPAGED_LIMIT
    )
    whole = _first_page(connection, unpaged)
    cut_short = whole.outcome is not None and whole.outcome.result_code not in (0, None)
    return PagingReport(
        configured=users.page_size,
        accepted=accepted,
        unpaged_limit=len(whole.entries)
        if cut_short and len(whole.entries) < UNPAGED_LIMIT
        else None,
        error=error,
    )


def _users(
    connection: Connection, users: UserSearch, detected: str, page_size: int | None
) -> tuple[UsersReport, bytes | None]:
    defaults = VENDORS[detected]
    wanted = unique(
        users.attributes,
        (users.uuid_attribute, users.username_attribute),
        (defaults.modified_attribute, defaults.member_of_attribute),
    )
    bases: list[BaseReport] = []
    raws: list[bytes] = []
    for base_dn in distinct_bases(users.base_dns, users.scope):
        request = replace(_user_request(users, page_size, NO_ATTRIBUTES), base_dn=base_dn)
        base = _base(connection, request)
        bases.append(base)
        if base.first_page and len(raws) < SAMPLE_SIZE:
            size = SAMPLE_SIZE - len(raws)
            few = replace(request, attributes=(*wanted, PASSWORD_ATTRIBUTE), page_size=size)
            raws += _first_page(connection, few).entries[:size]
    entries = _decoded(raws)
    ids, undecodable = _ids(entries, users.uuid_attribute)
    report = UsersReport(
        bases=tuple(bases),
        sampled=len(entries),
        attributes=_shares(entries, wanted),
        uuid_attribute=users.uuid_attribute,
        uuid_unique=len(ids) == len({fold(external_id) for external_id in ids}),
        uuid_undecodable=undecodable,
        username_attribute=users.username_attribute,
        modified_attribute=defaults.modified_attribute,
        member_of_attribute=defaults.member_of_attribute,
        member_of_wanted=defaults.member_of_attribute.lower()
        in {attribute.lower() for attribute in users.attributes},
        password_readable=any(entry.values(PASSWORD_ATTRIBUTE) for entry in entries),
    )
    return report, _example(connection, users, raws)


def _example(connection: Connection, users: UserSearch, raws: Sequence[bytes]) -> bytes | None:
    """Return one entry exactly as a listing brings it: only what the mappers asked for."""
    for entry in _decoded(raws):
        if entry.values(users.uuid_attribute) and entry.values(users.username_attribute):
            request = replace(
                _user_request(users, None, users.attributes), base_dn=entry.dn, scope=Scope.BASE
            )
            return next(iter(_first_page(connection, request).entries), None)
    return None


def _containers(connection: Connection, mapper: str, search: ContainerSearch) -> ContainersReport:
    request = replace(search.request(), page_size=SAMPLE_SIZE)
    base = _base(connection, request)
    entries = _decoded(_first_page(connection, request).entries) if base.first_page else []
    # The role with most values says most about members and ranges.
    sample = max(entries, key=_values, default=None)
    return ContainersReport(
        mapper=mapper,
        base=base,
        attributes=_shares(entries, search.attributes),
        sample_dn=sample.dn if sample else None,
        sample_values={name: len(found) for name, found in sample.attributes.items()}
        if sample
        else {},
    )


def _base(connection: Connection, request: SearchRequest) -> BaseReport:
    page = _first_page(connection, replace(request, attributes=NO_ATTRIBUTES))
    exists = page.error is None or _exists(connection, request.base_dn)
    clause = None
    if exists and page.error is None and not page.entries:
        clause = _failing_clause(connection, request)
    return BaseReport(
        base_dn=request.base_dn,
        exists=exists,
        first_page=len(page.entries),
        more=page.more,
        references=page.outcome.references if page.outcome else 0,
        error=page.error,
        clause=clause,
    )


def _exists(connection: Connection, base_dn: str) -> bool:
    request = SearchRequest(
        base_dn=base_dn,
        scope=Scope.BASE,
        filter=EVERYTHING,
        attributes=NO_ATTRIBUTES,
        page_size=None,
    )
    return bool(_first_page(connection, request).entries)


def _failing_clause(connection: Connection, request: SearchRequest) -> str | None:
    """Return the clause that turns an entry below the base away, where there is any entry."""
    unfiltered = replace(request, filter=EVERYTHING, attributes=("*", "+"), page_size=SAMPLE_SIZE)
    entries = _decoded(_first_page(connection, unfiltered).entries)
    # The base itself and containers are no people; the deepest entry is the likeliest one.
    for entry in sorted(entries, key=lambda entry: entry.dn.count(","), reverse=True):
        if entry.values("objectClass"):
            return _clause_against(connection, request, entry)
    return None


def _clause_against(connection: Connection, request: SearchRequest, entry: Entry) -> str | None:
    """Return the clause that turns an entry away; the server decides, who knows subclasses."""
    tree = filters.parse(request.filter)
    clauses = tree.clauses if isinstance(tree, And) else (tree,)
    found = None
    for each in clauses:
        matched, clause = filters.matches(each, entry)
        if matched:
            continue
        found = clause
        alone = replace(request, base_dn=entry.dn, scope=Scope.BASE, filter=str(each))
        alone = replace(alone, attributes=NO_ATTRIBUTES, page_size=None)
        if not _first_page(connection, alone).entries:
            break
    return found


def _first_page(connection: Connection, request: SearchRequest) -> _FirstPage:
    """Read one page and no more, at the very size that was asked for.

    The paging control is set here, because a listing would halve a size that the server refuses.
    """
    size = request.page_size
    if size is not None:
        control = messages.paged_results(size)
        request = replace(request, page_size=None, controls=(*request.controls, control))
    try:
        listing = connection.listing(request, "probe")
        entries = [raw for page in listing for raw in page]
    except DirectoryError as error:
        return _FirstPage([], None, more=False, error=str(error))
    outcome = listing.outcome
    failed = outcome.result_code != 0 and (size is not None or not entries)
    return _FirstPage(
        entries,
        outcome,
        # A page may be short before the last one; that only makes the report say less.
        more=size is not None and len(entries) >= size,
        error=outcome.because if failed else None,
    )


def _user_request(
    users: UserSearch, page_size: int | None, attributes: tuple[str, ...]
) -> SearchRequest:
    return SearchRequest(
        base_dn=users.base_dns[0],
        scope=users.scope,
        filter=users.filter,
        attributes=attributes,
        page_size=page_size,
    )


def _decoded(raws: Sequence[bytes]) -> list[Entry]:
    entries = []
    for raw in raws:
        with suppress(DecodeError):
            entries.append(decode_entry(raw))
    return entries


def _ids(entries: Sequence[Entry], attribute: str) -> tuple[list[str], int]:
    """Return the ids that can be decoded, and how many cannot."""
    decode = decode_external_id(attribute)
    ids, undecodable = [], 0
    for entry in entries:
        for value in entry.values(attribute)[:1]:
            try:
                ids.append(decode(value))
            except DecodeError:
                undecodable += 1
    return ids, undecodable


def _shares(entries: Sequence[Entry], names: Sequence[str]) -> tuple[AttributeReport, ...]:
    return tuple(
        AttributeReport(name=name, entries=count, share=count / len(entries) if entries else 0.0)
        for name in names
        for count in [sum(_shows(entry, name) for entry in entries)]
    )


def _shows(entry: Entry, name: str) -> bool:
    """Return whether the attribute is there, be it in ranges or with a language option."""
    wanted = name.lower()
    return any(
        values and (description == wanted or description.startswith(f"{wanted};"))
        for description, values in entry.attributes.items()
    )


def _values(entry: Entry) -> int:
    return sum(map(len, entry.attributes.values()))


def _texts(entry: Entry, attribute: str) -> tuple[str, ...]:
    return tuple(cut(value.decode("utf-8", "replace")) for value in entry.values(attribute))


def _first_text(entry: Entry, attribute: str) -> str | None:
    return next(iter(_texts(entry, attribute)), None)
