"""Owns the questions that are asked about single people, and when an answer is none.

A listing asks for everybody. These searches ask for some, by id, by username or by DN, within the
users DNs, with and without the configured filter, and in the rest of the directory. What follows
from the answers is decided in ``absence``; here an answer that was cut short raises.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from syncd.errors import DecodeError, DirectoryError, DirectoryUnavailable, SearchRejected
from syncd.ldap import dn, filters
from syncd.ldap.ber import decode_entry
from syncd.ldap.decode import decode_external_id, encode_external_id
from syncd.ldap.filter_tree import And
from syncd.ldap.listings import distinct_bases, in_scope
from syncd.ldap.results import NO_SUCH_OBJECT
from syncd.ldap.search import SearchRequest
from syncd.records import Entry, Scope, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import UserSearch
    from syncd.records import ListingOutcome

ANSWERS_PER_PAGE = 200
EVERYTHING = "(objectClass=*)"
# An attribute description at the start of an item (RFC 4515): parentheses in values are escaped.
ITEM_ATTRIBUTE = re.compile(r"\(([A-Za-z0-9][A-Za-z0-9.;-]*)(?:[~<>]?=|:)")


class InconclusiveError(DirectoryError):
    """A lookup ended in a way from which nothing follows about anybody."""


class Lookup:
    """Asks about people of one organization over one connection."""

    def __init__(self, connection: Connection, users: UserSearch) -> None:
        self._connection = connection
        self._users = users
        self._decode_id = decode_external_id(users.uuid_attribute)
        self._filter = filters.parse(users.filter)
        self._contexts: tuple[str, ...] | None = None
        self.bases = distinct_bases(users.base_dns, users.scope)
        self.uuid_attribute = users.uuid_attribute
        self.username_attribute = users.username_attribute
        # What tells who an entry is and why the filter turned it away.
        self.evidence = unique(
            (users.uuid_attribute, users.username_attribute, "objectClass"),
            ITEM_ATTRIBUTE.findall(str(self._filter)),
        )

    def listed(self, wanted: str) -> list[bytes]:
        """Return the entries matching ``wanted`` as a listing would bring them."""
        both = filters.and_(self._users.filter, wanted)
        return list(self._below_bases(both, self._users.attributes))

    def found(self, wanted: str) -> list[bytes]:
        """Return the same, content with an answer that has references beside what was wanted.

        Who is there is there, whatever else lies behind a reference; only nobody is no answer then.
        """
        both = filters.and_(self._users.filter, wanted)
        found: list[bytes] = []
        doubt: DirectoryError | None = None
        for base_dn in self.bases:
            entries, outcome = self._read(base_dn, self._users.scope, both, self._users.attributes)
            if outcome.verdict is Verdict.TRUNCATED:
                raise self._inconclusive(base_dn, outcome)
            if outcome.verdict is not Verdict.COMPLETE:
                doubt = self._inconclusive(base_dn, outcome)
            found += entries
        if doubt is not None and not found:
            raise doubt
        return found

    def unfiltered(self, wanted: str) -> list[bytes]:
        """Return the entries below the users DNs whatever the configured filter says."""
        return list(self._below_bases(wanted, self.evidence))

    def elsewhere(self, wanted: str) -> Iterator[Entry]:
        """Yield the entries of the whole directory that the account may search."""
        if self._contexts is None:
            self._contexts = people_contexts(self._connection.root_dse())
        for context in self._contexts:
            try:
                entries, outcome = self._read(context, Scope.SUBTREE, wanted, self.evidence)
            except SearchRejected:
                # Many accounts may read their users DN alone. That is enough to tell an absence;
                # only whether the entry lives elsewhere remains unknown.
                continue
            # References are no matter here: what lies behind them is elsewhere in any case.
            if outcome.verdict is Verdict.TRUNCATED:
                raise self._inconclusive(context, outcome)
            yield from map(decode_entry, entries)

    def named(self, name: str) -> Entry | None:
        """Return the entry of this DN; None when the directory says that there is none.

        Success without an entry means that something is there that the account may not see, or
        (389) that it may see nothing at all. That comes back as an entry without attributes.
        """
        request = SearchRequest(
            base_dn=name,
            scope=Scope.BASE,
            filter=EVERYTHING,
            attributes=self.evidence,
            page_size=None,
        )
        try:
            entries = self._connection.search(request)
        except SearchRejected as error:
            if error.result_code == NO_SUCH_OBJECT:
                return None
            raise
        return entries[0] if entries else Entry(name, {})

    def id_filter(self, external_id: str) -> str:
        """Return the filter that finds one id; ValueError when it cannot be one."""
        return f"({self.uuid_attribute}={encode_external_id(self.uuid_attribute, external_id)})"

    def username_filter(self, username: str) -> str:
        """Return the filter that finds a username, as the server compares it."""
        return filters.equal(self.username_attribute, username)

    def id_of(self, entry: Entry) -> str | None:
        """Return the entry's id; None when it has none that can be read."""
        values = entry.values(self.uuid_attribute)
        try:
            return self._decode_id(values[0]) if values else None
        except DecodeError:
            return None

    def failing_clause(self, entry: Entry) -> str:
        """Return the part of the configured filter that turned the entry away.

        The server's own matching rules are not known here (an object class matches its subclasses
        too), so it is asked wherever more than one clause may be meant. Where the evaluation here
        finds nothing the answer is the whole filter.
        """
        tree = self._filter
        clauses = tree.clauses if isinstance(tree, And) else (tree,)
        failing = [
            (clause, found)
            for clause, (matched, found) in (
                (each, filters.matches(each, entry)) for each in clauses
            )
            if not matched and found is not None
        ]
        for clause, found in failing[:-1]:
            if not self._matches(entry.dn, str(clause)):
                return found
        return failing[-1][1] if failing else self._users.filter

    def _matches(self, name: str, text: str) -> bool:
        """Return whether the server says that the entry of this DN matches a filter."""
        request = SearchRequest(
            base_dn=name, scope=Scope.BASE, filter=text, attributes=("1.1",), page_size=None
        )
        return bool(self._connection.search(request))

    def reaches(self, name: str) -> bool:
        """Return whether a listing's base and scope reach this DN."""
        return any(in_scope(name, base_dn, self._users.scope) for base_dn in self.bases)

    def outside(self, name: str) -> str:
        """Return the sentence that an entry is out of base."""
        reach = "directly below" if self._users.scope is Scope.ONE_LEVEL else "below"
        return f"{name} is not {reach} {'; '.join(self.bases)}"

    def _below_bases(self, text: str, attributes: tuple[str, ...]) -> Iterator[bytes]:
        for base_dn in self.bases:
            entries, outcome = self._read(base_dn, self._users.scope, text, attributes)
            # A reference inside the base may lead to the very person that is missed.
            if outcome.verdict is not Verdict.COMPLETE:
                raise self._inconclusive(base_dn, outcome)
            yield from entries

    def _read(
        self, base_dn: str, scope: Scope, text: str, attributes: tuple[str, ...]
    ) -> tuple[list[bytes], ListingOutcome]:
        request = SearchRequest(
            base_dn=base_dn,
            scope=scope,
            filter=text,
            attributes=attributes,
            page_size=min(self._users.page_size or ANSWERS_PER_PAGE, ANSWERS_PER_PAGE),
        )
        listing = self._connection.listing(request, "lookup")
        entries = [raw for page in listing for raw in page]
        return entries, listing.outcome

    def _inconclusive(self, base_dn: str, outcome: ListingOutcome) -> DirectoryError:
        message = f"the lookup below {base_dn} was not complete: {outcome.because}"
        if self._connection.closed:
            return DirectoryUnavailable(message)
        return InconclusiveError(message)


def people_contexts(root_dse: Entry) -> tuple[str, ...]:
    """Return the naming contexts in which people can live.

    A context named by ``cn`` holds a server's own books (cn=config, cn=accesslog, cn=changelog, the
    schema): no people, but sometimes millions of entries without an index for our question.
    """
    names = (value.decode("utf-8", "replace") for value in root_dse.values("namingContexts"))
    return tuple(name for name in names if name and not _named_by_cn(name))


def _named_by_cn(name: str) -> bool:
    try:
        return dn.rdn_value(name)[0].lower() == "cn"
    except ValueError:
        return False


def unique(*groups: Iterable[str]) -> tuple[str, ...]:
    """Return attribute names once each, whatever their letter case, as first written."""
    found: dict[str, str] = {}
    for group in groups:
        for name in group:
            found.setdefault(name.lower(), name)
    return tuple(found.values())
