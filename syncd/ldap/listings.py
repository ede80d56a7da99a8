"""Owns what an organization lists of its directory, and the chaining of several base DNs.

A listing of one base is judged where it is read; here several of them become one, with the totals,
the worst verdict and the sentinels that a healthy listing must contain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from syncd.errors import DecodeError, UsageError
from syncd.ldap import dn
from syncd.ldap.ber import entry_dn
from syncd.ldap.results import SUCCESS
from syncd.ldap.search import SearchRequest
from syncd.records import ListingOutcome, Scope, Verdict, worst

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from syncd.ldap.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSearch:
    """Where an organization's people are and how they are told from other entries."""

    base_dns: tuple[str, ...]
    scope: Scope
    # Object classes and user filter together, as it is sent.
    filter: str
    user_filter: str = ""
    object_classes: tuple[str, ...] = ()
    username_attribute: str
    uuid_attribute: str
    attributes: tuple[str, ...]
    page_size: int | None = 1000
    # DNs that a healthy listing must contain.
    sentinels: tuple[str, ...] = ()
    # Where an entry bears the times of its creation and modification.
    created_attribute: str = "createTimestamp"
    modified_attribute: str = "modifyTimestamp"

    def requests(self) -> tuple[SearchRequest, ...]:
        """Return one search a base, without bases that another one already covers."""
        return tuple(
            SearchRequest(
                base_dn=base_dn,
                scope=self.scope,
                filter=self.filter,
                attributes=self.attributes,
                page_size=self.page_size,
            )
            for base_dn in distinct_bases(self.base_dns, self.scope)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSearch:
    """Where the roles (or groups) of one mapper are."""

    base_dn: str
    scope: Scope
    filter: str
    attributes: tuple[str, ...]
    page_size: int | None = 1000
    created_attribute: str = "createTimestamp"
    modified_attribute: str = "modifyTimestamp"
    # Where people's own entries name these containers, if that is how the mapper is told.
    member_of_attribute: str | None = None
    # Object classes alone, for containers wherever they lie; empty: ``filter``.
    class_filter: str = ""
    # The members are the people of nested groups too, as Active Directory tells them; they come as
    # values of this attribute.
    in_chain: bool = False
    member_attribute: str = "member"

    def request(self) -> SearchRequest:
        """Return the search that lists them."""
        attributes = self.attributes
        if self.in_chain:
            # Its own values are not needed, and may be many.
            attributes = tuple(
                each for each in attributes if each.lower() != self.member_attribute.lower()
            )
        return SearchRequest(
            base_dn=self.base_dn,
            scope=self.scope,
            filter=self.filter,
            attributes=attributes,
            page_size=self.page_size,
        )


class Connections(Protocol):
    """Where a listing gets a connection of its own for as long as it runs."""

    def take(self) -> Connection:
        """Return a bound connection that nobody else uses."""

    def give_back(self, connection: Connection, *, healthy: bool) -> None:
        """Take it back for the next search, or close it when it is not healthy."""


class ChainedListing:
    """The listings of several bases as one.

    Iterate it once: it yields a page at a time, each a list of raw entries. ``outcome`` is there
    after exhaustion. A connection that broke ends the chain: the bases behind it are not read, and
    the outcome says so.
    """

    def __init__(
        self,
        *,
        source: str,
        connections: Connections,
        requests: Sequence[SearchRequest],
        sentinels: Sequence[str] = (),
    ) -> None:
        self._source = source
        self._connections = connections
        self._requests = requests
        self._unseen = {dn.dn_key(sentinel): sentinel for sentinel in sentinels}
        self._outcome: ListingOutcome | None = None

    @property
    def outcome(self) -> ListingOutcome:
        """Return how the listing ended; only after it was read to its end."""
        if self._outcome is None:
            message = "a listing has no outcome before it was read to its end"
            raise RuntimeError(message)
        return self._outcome

    def __iter__(self) -> Iterator[list[bytes]]:
        if not self._requests:
            self._outcome = ListingOutcome(self._source, Verdict.COMPLETE, SUCCESS, 0, 0, 0)
            return
        outcomes: list[ListingOutcome] = []
        connection = self._connections.take()
        healthy = False
        try:
            for request in self._requests:
                listing = connection.listing(request, self._source)
                for page in listing:
                    if self._unseen:
                        self._look_for_sentinels(page)
                    yield page
                outcomes.append(listing.outcome)
                if connection.closed:
                    break
            else:
                healthy = True
        finally:
            self._connections.give_back(connection, healthy=healthy)
        bases = [request.base_dn for request in self._requests]
        self._outcome = merged(self._source, bases, outcomes, tuple(self._unseen.values()))

    def _look_for_sentinels(self, page: Sequence[bytes]) -> None:
        for raw in page:
            key = _dn_key_of(raw)
            if key is not None:
                self._unseen.pop(key, None)


def merged(
    source: str,
    base_dns: Sequence[str],
    outcomes: Sequence[ListingOutcome],
    unseen_sentinels: Sequence[str] = (),
) -> ListingOutcome:
    """Return the totals of the bases' outcomes with the worst verdict and what it is due to.

    Bases without an outcome, at the end, were not read.
    """
    verdict = worst(outcome.verdict for outcome in outcomes)
    decisive = next(outcome for outcome in outcomes if outcome.verdict is verdict)
    reasons = [
        outcome.because if len(base_dns) == 1 else f"{base_dn}: {outcome.because}"
        for base_dn, outcome in zip(base_dns, outcomes, strict=False)
        if outcome.because
    ]
    not_read = base_dns[len(outcomes) :]
    if not_read:
        # Even when the last answer was whole: nobody below the others was seen.
        verdict = Verdict.TRUNCATED
        reasons.append(f"not read after that: {'; '.join(not_read)}")
    if unseen_sentinels:
        verdict = worst((verdict, Verdict.UNVERIFIED))
        # An incomplete listing explains itself; a sentinel that it lacks is no news.
        if verdict is not Verdict.TRUNCATED:
            reasons.append(_sentinel_sentence(unseen_sentinels))
    return replace(
        decisive,
        source=source,
        verdict=verdict,
        pages=sum(outcome.pages for outcome in outcomes),
        entries=sum(outcome.entries for outcome in outcomes),
        references=sum(outcome.references for outcome in outcomes),
        because="; ".join(reasons) or None,
    )


def distinct_bases(base_dns: Sequence[str], scope: Scope) -> tuple[str, ...]:
    """Return the bases without repetitions and without those that a wider one covers.

    Raises:
        UsageError: One of them is not a distinguished name.

    """
    by_name: dict[str, str] = {}
    for base_dn in base_dns:
        by_name.setdefault(normalized(base_dn), base_dn)
    if scope is not Scope.SUBTREE:
        return tuple(by_name.values())
    return tuple(
        base_dn
        for name, base_dn in by_name.items()
        if not any(other != name and dn.is_below(base_dn, by_name[other]) for other in by_name)
    )


def normalized(name: str) -> str:
    """Return a configured DN's comparison text, with the fault as a sentence for the operator."""
    try:
        return dn.normalize(name)
    except ValueError as error:
        message = f"{name!r} is not a distinguished name: {error}; correct it in the configuration"
        raise UsageError(message) from error


def in_scope(name: str, base_dn: str, scope: Scope) -> bool:
    """Return whether a search of this base and scope reaches the entry."""
    same = dn.normalize(name) == dn.normalize(base_dn)
    if scope is Scope.SUBTREE:
        return same or dn.is_below(name, base_dn)
    if scope is Scope.ONE_LEVEL:
        return not same and dn.normalize(dn.parent(name)) == dn.normalize(base_dn)
    return same


def _sentinel_sentence(unseen: Sequence[str]) -> str:
    names = "; ".join(unseen)
    return (
        f"the listing lacks the sentinel {names}: check that the entry still exists and that the "
        "bind account may read it"
    )


def _dn_key_of(raw: bytes) -> bytes | None:
    try:
        return dn.dn_key(entry_dn(raw))
    except (DecodeError, ValueError):
        # A sentinel is readable; whatever this is, decoding the entry reports it.
        return None
