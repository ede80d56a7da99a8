"""The walk through the pages of a listing (RFC 2696), and the verdict at its end.

A listing is complete only when every page was answered with success and the paging control, the
last cookie was empty and no reference pointed to where people may be. All else is a part of the
truth: it may add and update people, and never take anybody away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from syncd.errors import SearchRejected, cut
from syncd.ldap import messages, results
from syncd.ldap.ber import Malformed
from syncd.ldap.references import is_harmless
from syncd.ldap.search import PAGE_SIZE, Page
from syncd.ldap.stream import ConnectionLost
from syncd.records import ListingOutcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from syncd.ldap.buffer import Batch
    from syncd.ldap.messages import Control, Intermediate, Result
    from syncd.ldap.search import SearchRequest
    from syncd.ldap.stream import Exchange

# A page is handed out in parts when it is larger than asked for, or its entries are huge.
PART_OCTETS: Final = 16 * 1024 * 1024
# Empty pages are legal, but a server that sends only those would keep a run for ever.
EMPTY_PAGES: Final = 1000


class Wire(Protocol):
    """What a walk needs of the connection."""

    def start(self, operation: bytes, controls: tuple[Control, ...]) -> Exchange:
        """Send a search."""


class Walk:
    """One listing on its way through the pages."""

    def __init__(
        self,
        wire: Wire,
        request: SearchRequest,
        source: str,
        on_intermediate: Callable[[Intermediate], None] | None = None,
        on_result: Callable[[Result], None] | None = None,
    ) -> None:
        self._wire = wire
        self._request = request
        self._source = source
        self._on_intermediate = on_intermediate
        self._on_result = on_result
        self._operation = request.encode()
        self._size = request.page_size
        self._halved = False
        self._pages = 0
        self._entries = 0
        self._references: list[str] = []
        self._empty_pages = 0
        self._exchange: Exchange | None = None

    def pages(self) -> Generator[Page, None, ListingOutcome]:
        """Yield the pages and return how the listing ended."""
        # The finished page whose successor has been asked for already.
        finished: Page | None = None
        try:
            self._ask(b"")
            while True:
                result = yield from self._page()
                if self._too_large(result):
                    self._ask(b"")
                    continue
                finished = self._taken()
                if self._on_result is not None:
                    self._on_result(result)
                if result.code != results.SUCCESS:
                    self._judge_first(result, finished)
                    yield from self._handed_out(finished)
                    return self._truncated(self._stopped(result), result.code)
                cookie, refused = self._next(result)
                self._pages += 1
                if cookie and not refused:
                    # The server works on the next page while this one is mapped.
                    self._ask(cookie)
                page, finished = finished, None
                yield from self._handed_out(page)
                if refused:
                    return self._truncated(refused, result.code)
                if not cookie:
                    return self._ended(result)
        except ConnectionLost as lost:
            if finished is not None:
                yield from self._handed_out(finished)
            yield from self._handed_out(self._taken())
            return self._truncated(self._broken(lost), lost.result_code)
        finally:
            self._leave()

    def _ask(self, cookie: bytes) -> None:
        controls = self._request.controls
        if self._size is not None:
            controls = (*controls, messages.paged_results(self._size, cookie))
        self._exchange = None
        self._exchange = self._wire.start(self._operation, controls)

    def _page(self) -> Generator[Page, None, Result]:
        exchange = self._exchange
        if exchange is None:  # pragma: no cover - pages() always asks first
            raise RuntimeError("no page was asked for")
        most = max(self._size or 0, PAGE_SIZE)
        while True:
            result = exchange.advance()
            if result is not None:
                return result
            waiting = exchange.waiting
            if len(waiting.entries) > most or waiting.octets > PART_OCTETS:
                yield from self._handed_out(self._taken())

    def _taken(self) -> Page:
        if self._exchange is None:
            return Page()
        batch: Batch = self._exchange.take()
        if self._on_intermediate is not None:
            for intermediate in batch.intermediates:
                self._on_intermediate(intermediate)
        self._references += [uri for uri in batch.references if not is_harmless(uri)]
        return Page(batch.entries, batch.controls, batch.references)

    def _handed_out(self, page: Page) -> Generator[Page, None, None]:
        self._entries += len(page)
        if page:
            self._empty_pages = 0
            yield page

    def _too_large(self, result: Result) -> bool:
        """Whether the page was larger than the server allows; the size is then halved, once."""
        exchange = self._exchange
        if (
            result.code not in {results.SIZE_LIMIT_EXCEEDED, results.ADMIN_LIMIT_EXCEEDED}
            or exchange is None
            or exchange.waiting.entries
            or self._pages
            or self._entries
            or self._halved
            or self._size is None
            or self._size < 2
            or self._request.size_limit
        ):
            return False
        self._size //= 2
        self._halved = True
        return True

    def _judge_first(self, result: Result, page: Page) -> None:
        if self._pages or self._entries or page or result.code not in results.ASKED_WRONGLY:
            return
        raise SearchRejected(
            f"The directory refused the search below {cut(self._request.base_dn) or '(root)'} "
            f"with {results.describe(result)}; {results.advice(result.code)}.",
            result.code,
        )

    def _next(self, result: Result) -> tuple[bytes, str | None]:
        """Return where to go on, and why the listing cannot be trusted from here."""
        if self._size is None:
            return b"", None
        page = f"page {self._pages + 1}"
        control = result.control(messages.PAGED_RESULTS)
        if control is None or control.value is None:
            hint = "" if self._pages else ", as some do for a base that is not there"
            return (
                b"",
                f"The server ignored the paging control on {page}{hint}; what follows is unknown.",
            )
        try:
            cookie = messages.decode_page_cookie(control.value).cookie
        except (Malformed, IndexError):
            return b"", f"The server's paging control on {page} cannot be read."
        self._empty_pages += 1
        if cookie and self._empty_pages > EMPTY_PAGES:
            return b"", f"The server sent {EMPTY_PAGES} empty pages one after the other."
        return cookie, None

    def _ended(self, result: Result) -> ListingOutcome:
        if not self._references:
            return self._outcome(Verdict.COMPLETE, result.code, None)
        because = (
            f"{len(self._references)} references to other servers were not followed "
            f"({cut(', '.join(self._references[:3]))}); entries may be missing below them."
        )
        return self._outcome(Verdict.UNVERIFIED, result.code, because)

    def _truncated(self, because: str, code: int | None) -> ListingOutcome:
        return self._outcome(Verdict.TRUNCATED, code, because)

    def _stopped(self, result: Result) -> str:
        return (
            f"The directory stopped on page {self._pages + 1} with {results.describe(result)}; "
            f"{results.advice(result.code)}."
        )

    def _broken(self, lost: ConnectionLost) -> str:
        return f"The connection was lost on page {self._pages + 1}: {lost}"

    def _outcome(self, verdict: Verdict, code: int | None, because: str | None) -> ListingOutcome:
        return ListingOutcome(
            source=self._source,
            verdict=verdict,
            result_code=code,
            pages=self._pages,
            entries=self._entries,
            references=len(self._references),
            because=because,
        )

    def _leave(self) -> None:
        """Stop the server's work for a listing that its reader left early."""
        if self._exchange is not None and self._exchange.done is None:
            try:
                self._exchange.abandon()
            except ConnectionLost:
                # There is nobody left to tell.
                return
