"""Searches and listings as callers see them.

Owns the request, its ``ldapsearch`` command, and the shapes that come back. The
walk through the pages is in ``paging``.
"""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from syncd.ldap.request import encode_search
from syncd.records import ListingOutcome, Scope, worst

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from syncd.ldap.messages import Control

PAGE_SIZE: Final = 1000

_LDAPSEARCH_SCOPES: Final = {Scope.BASE: "base", Scope.ONE_LEVEL: "one", Scope.SUBTREE: "sub"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """One question to a directory (RFC 4511 section 4.5.1)."""

    base_dn: str
    scope: Scope
    # RFC 4515 text.
    filter: str
    # Empty: all user attributes; "+" the operational ones, "1.1" none.
    attributes: tuple[str, ...] = ()
    # None asks for everything at once.
    page_size: int | None = PAGE_SIZE
    size_limit: int = 0
    # Controls besides paging.
    controls: tuple[Control, ...] = ()
    # A missing base is an empty answer; only for small searches, never for a listing.
    missing_ok: bool = False

    def encode(self) -> bytes:
        """Return the SearchRequest operation, without message id and controls."""
        return encode_search(
            self.base_dn, self.scope, self.filter, self.attributes, self.size_limit
        )

    def as_ldapsearch(self, url: str, bind_dn: str | None, *, start_tls: bool = True) -> str:
        """Return the command that repeats this search; it asks for the password."""
        words = ["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", url]
        if start_tls and url.lower().startswith("ldap://"):
            words.append("-ZZ")
        if bind_dn is not None:
            words += ["-D", bind_dn, "-W"]
        words += ["-b", self.base_dn, "-s", _LDAPSEARCH_SCOPES[self.scope]]
        if self.page_size is not None:
            words += ["-E", f"!pr={self.page_size}/noprompt"]
        for control in self.controls:
            value = control.value
            coded = "" if value is None else f"::{base64.b64encode(value).decode()}"
            words += ["-E", f"{'!' if control.critical else ''}{control.oid}{coded}"]
        if self.size_limit:
            words += ["-z", str(self.size_limit)]
        return shlex.join([*words, self.filter, *self.attributes])


class Page(list[bytes]):
    """Entries of one answer: each item the contents of a SearchResultEntry.

    ``controls`` holds, by index, the controls of those entries that came with some, and
    ``references`` the URIs under which the server says that more would be.
    """

    __slots__ = ("controls", "references")

    def __init__(
        self,
        entries: Iterable[bytes] = (),
        controls: dict[int, tuple[Control, ...]] | None = None,
        references: Sequence[str] = (),
    ) -> None:
        super().__init__(entries)
        self.controls = controls or {}
        self.references = tuple(references)


class Listing:
    """Pages of entries, to be read once, and afterwards how the listing ended."""

    def __init__(self, source: str, pages: Generator[Page, None, ListingOutcome]) -> None:
        self.source = source
        self._pages = pages
        self._outcome: ListingOutcome | None = None
        self._started = False

    def __iter__(self) -> Iterator[Page]:
        if self._started:
            raise RuntimeError(f"the listing of {self.source} can be read once only")
        self._started = True
        self._outcome = yield from self._pages

    @property
    def outcome(self) -> ListingOutcome:
        """How the listing ended; known once it has been read to its end."""
        if self._outcome is None:
            raise RuntimeError(f"the listing of {self.source} has not been read to its end")
        return self._outcome


def chain(source: str, listings: Iterable[Listing]) -> Listing:
    """Return one listing of several, read one after the other; it ends as the worst of them."""
    return Listing(source, _chained(source, listings))


def _chained(source: str, listings: Iterable[Listing]) -> Generator[Page, None, ListingOutcome]:
    outcomes = []
    for listing in listings:
        yield from listing
        outcomes.append(listing.outcome)
    return combined(source, outcomes)


def combined(source: str, outcomes: Sequence[ListingOutcome]) -> ListingOutcome:
    """Return how several listings ended together: counts added up, the worst verdict."""
    verdict = worst(outcome.verdict for outcome in outcomes)
    decisive = next(outcome for outcome in outcomes if outcome.verdict is verdict)
    return replace(
        decisive,
        source=source,
        pages=sum(outcome.pages for outcome in outcomes),
        entries=sum(outcome.entries for outcome in outcomes),
        references=sum(outcome.references for outcome in outcomes),
    )
