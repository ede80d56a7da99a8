"""Listings page by page, and their verdicts, against OpenLDAP and through a proxy of faults."""

from __future__ import annotations

import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from syncd.errors import DirectoryUnavailable, SearchRejected
from syncd.ldap.ber import decode_entry
from syncd.ldap.connection import Connection, ConnectionOptions
from syncd.ldap.search import Listing, SearchRequest, chain
from syncd.records import Scope, Verdict
from tests.servers.fault_proxy import Break, FaultProxy, Faults
from tests.servers.slapd import (
    NO_PAGING,
    PAGES_200,
    PAGES_500,
    PEOPLE,
    READER,
    SUFFIX,
    TOTAL_1000,
    Account,
    Slapd,
    people,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.ldap.messages import Intermediate

COUNT = 1730
PAGE = 200
EVERYBODY = [f"u{number:05}" for number in range(COUNT)]


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A server with more people than any limit of its accounts."""
    with Slapd(ldif=people(COUNT)) as server:
        yield server


@pytest.fixture
def proxy(slapd: Slapd) -> Iterator[FaultProxy]:
    """A proxy before the server, without faults yet."""
    with FaultProxy(slapd.port) as running:
        yield running


def _open(server: Slapd | FaultProxy, account: Account = READER) -> Connection:
    return Connection.open(
        ConnectionOptions(
            urls=(server.url,),
            bind_dn=account.dn,
            password=account.password,
            insecure_clear_text_bind=True,
            read_timeout_seconds=0.5 if isinstance(server, FaultProxy) else 10,
        )
    )


def _request(page_size: int | None = PAGE, **changes: object) -> SearchRequest:
    values: dict[str, object] = {
        "base_dn": PEOPLE,
        "scope": Scope.SUBTREE,
        "filter": "(objectClass=inetOrgPerson)",
        "attributes": ("uid",),
        "page_size": page_size,
    }
    return SearchRequest(**(values | changes))  # type: ignore[arg-type]


def _uids(listing: Listing) -> list[str]:
    return [decode_entry(raw).values("uid")[0].decode() for page in listing for raw in page]


class TestComplete:
    @pytest.mark.rule("2.2.1", server="openldap")
    @pytest.mark.parametrize("page_size", [1, 7, 173, 200, 1729, 1730, 1731, 5000])
    def test_any_page_size(self, slapd: Slapd, page_size: int) -> None:
        """Everybody is listed once, whatever the page size, and the listing is complete."""
        request = _request(page_size, filter="(uid=u000*)" if page_size < 10 else "(uid=*)")
        expected = [uid for uid in EVERYBODY if page_size >= 10 or uid.startswith("u000")]
        with _open(slapd) as connection:
            listing = connection.listing(request)
            assert sorted(_uids(listing)) == expected
        outcome = listing.outcome
        assert (outcome.verdict, outcome.result_code) == (Verdict.COMPLETE, 0)
        assert (outcome.entries, outcome.references) == (len(expected), 0)
        assert outcome.pages in {-(-len(expected) // page_size), len(expected) // page_size + 1}
        assert outcome.because is None

    def test_unpaged(self, slapd: Slapd) -> None:
        """Without paging everything comes in one answer, handed out in parts as it comes."""
        with _open(slapd) as connection:
            listing = connection.listing(_request(None))
            assert sorted(_uids(listing)) == EVERYBODY
        assert (listing.outcome.verdict, listing.outcome.pages) == (Verdict.COMPLETE, 1)

    def test_nobody(self, slapd: Slapd) -> None:
        """An empty answer is a complete listing of nobody; what it means is for the guard."""
        with _open(slapd) as connection:
            listing = connection.listing(_request(filter="(uid=nobody)"))
            assert _uids(listing) == []
        assert (listing.outcome.verdict, listing.outcome.entries) == (Verdict.COMPLETE, 0)

    def test_encrypted(self, slapd: Slapd) -> None:
        """The same pages come over TLS."""
        options = ConnectionOptions(
            urls=(slapd.tls_url,),
            bind_dn=READER.dn,
            password=READER.password,
            ca_pem=(slapd.ca_pem,),
        )
        with Connection.open(options) as connection:
            listing = connection.listing(_request())
            assert sorted(_uids(listing)) == EVERYBODY
        assert listing.outcome.verdict is Verdict.COMPLETE

    def test_next_page_is_asked_for_early(self, slapd: Slapd) -> None:
        """While a page is worked on, the server already makes the next one."""
        with _open(slapd) as connection:
            before = slapd.log.read_text().count(" SRCH base=")
            pages = iter(connection.listing(_request()))
            assert len(next(pages)) == PAGE
            until = time.monotonic() + 5
            while slapd.log.read_text().count(" SRCH base=") < before + 2:
                assert time.monotonic() < until, "the second page was not asked for"
                time.sleep(0.01)

    def test_read_once(self, slapd: Slapd) -> None:
        """A listing has no outcome before its end, and can be read once only."""
        with _open(slapd) as connection:
            listing = connection.listing(_request())
            with pytest.raises(RuntimeError, match="not been read"):
                _ = listing.outcome
            assert len(_uids(listing)) == COUNT
            with pytest.raises(RuntimeError, match="once only"):
                _uids(listing)


class TestLimits:
    @pytest.mark.rule("2.2.4", server="openldap")
    @pytest.mark.parametrize(
        ("account", "page_size", "ends", "entries"),
        [
            # Within the page limit.
            (PAGES_200, 200, (Verdict.COMPLETE, 0), COUNT),
            # Above it, halved once, and then within.
            (PAGES_500, 1000, (Verdict.COMPLETE, 0), COUNT),
            (PAGES_200, 400, (Verdict.COMPLETE, 0), COUNT),
            # Halved once and still above.
            (PAGES_200, 1000, (Verdict.TRUNCATED, 11), 0),
            # Paging forbidden altogether.
            (NO_PAGING, 200, (Verdict.TRUNCATED, 11), 0),
            # The limit for all pages together.
            (TOTAL_1000, 200, (Verdict.TRUNCATED, 4), 1000),
            # The limit without paging.
            (PAGES_200, None, (Verdict.TRUNCATED, 4), 500),
        ],
    )
    def test_of_the_account(
        self,
        slapd: Slapd,
        account: Account,
        page_size: int | None,
        ends: tuple[Verdict, int],
        entries: int,
    ) -> None:
        """The server's limits end in a verdict with their code, never in a short list."""
        with _open(slapd, account) as connection:
            listing = connection.listing(_request(page_size))
            uids = _uids(listing)
            assert len(uids) == len(set(uids)) == entries
            outcome = listing.outcome
            assert (outcome.verdict, outcome.result_code) == ends
            assert outcome.entries == entries
            assert (outcome.because is None) == (outcome.verdict is Verdict.COMPLETE)
            # The connection is as good as before.
            assert connection.root_dse().dn == ""

    def test_own_size_limit(self, slapd: Slapd) -> None:
        """A limit that the search itself set truncates the listing as any other."""
        with _open(slapd) as connection:
            listing = connection.listing(_request(size_limit=300))
            assert len(_uids(listing)) == 300
        assert (listing.outcome.verdict, listing.outcome.result_code) == (Verdict.TRUNCATED, 4)

    @pytest.mark.parametrize("missing_ok", [False, True])
    def test_asked_wrongly(self, slapd: Slapd, *, missing_ok: bool) -> None:
        """A base that is not there is an error of the configuration, never an empty listing."""
        request = _request(base_dn=f"ou=nowhere,{SUFFIX}", missing_ok=missing_ok)
        with _open(slapd) as connection, pytest.raises(SearchRejected) as caught:
            _uids(connection.listing(request))
        assert caught.value.result_code == 32


class TestFaults:
    @pytest.mark.rule("2.2.4", server="proxy")
    @pytest.mark.parametrize(
        ("how", "said"),
        [
            (Break.SILENCE, "did not answer for"),
            (Break.RESET, "the connection"),
            (Break.CLOSE, "the connection"),
            (Break.GARBAGE, "check that an LDAP server"),
        ],
    )
    def test_breaks_on_page_3(self, proxy: FaultProxy, how: Break, said: str) -> None:
        """A directory that breaks off on page 3 leaves two pages and a truncated listing."""
        proxy.faults = Faults(break_page=3, how=how)
        with _open(proxy) as connection:
            listing = connection.listing(_request())
            uids = _uids(listing)
            assert 2 * PAGE <= len(uids) == len(set(uids)) < 3 * PAGE
            outcome = listing.outcome
            assert (outcome.verdict, outcome.result_code) == (Verdict.TRUNCATED, None)
            assert (outcome.pages, outcome.entries) == (2, len(uids))
            assert outcome.because is not None
            assert "page 3" in outcome.because
            assert said in outcome.because
            assert connection.closed
            with pytest.raises(DirectoryUnavailable):
                connection.root_dse()

    @pytest.mark.rule("2.2.4", server="proxy")
    @pytest.mark.rule("2.2.5", server="proxy")
    @pytest.mark.parametrize("code", [1, 3, 4, 10, 11, 32, 50, 51, 52, 53, 80, 4096])
    @pytest.mark.parametrize("page", [2, 3])
    def test_codes_on_a_later_page(self, proxy: FaultProxy, page: int, code: int) -> None:
        """Any code but success on a later page truncates, and nothing is asked again."""
        proxy.faults = Faults(code_page=page, code=code)
        with _open(proxy) as connection:
            listing = connection.listing(_request())
            uids = _uids(listing)
            assert len(uids) == len(set(uids)) == page * PAGE
            outcome = listing.outcome
            assert (outcome.verdict, outcome.result_code) == (Verdict.TRUNCATED, code)
            assert f"({code})" in str(outcome.because)
            assert not connection.closed

    @pytest.mark.rule("2.2.4", server="proxy")
    @pytest.mark.parametrize("code", [1, 3, 4, 11, 51, 52, 53, 80])
    def test_codes_on_the_first_page(self, proxy: FaultProxy, code: int) -> None:
        """A first page that the server cut short is a truncated listing, with what it brought."""
        proxy.faults = Faults(code_page=1, code=code)
        with _open(proxy) as connection:
            listing = connection.listing(_request())
            assert len(_uids(listing)) == PAGE
        assert (listing.outcome.verdict, listing.outcome.result_code) == (Verdict.TRUNCATED, code)

    @pytest.mark.rule("2.11.2", server="proxy")
    @pytest.mark.parametrize("code", [2, 10, 12, 18, 34, 50])
    def test_asked_wrongly(self, proxy: FaultProxy, code: int) -> None:
        """Codes that say that the search is wrong are an error when nothing came before."""
        proxy.faults = Faults(code_page=1, code=code)
        with _open(proxy) as connection, pytest.raises(SearchRejected) as caught:
            _uids(connection.listing(_request(filter="(uid=nobody)")))
        assert caught.value.result_code == code

    @pytest.mark.rule("2.2.3", server="proxy")
    @pytest.mark.parametrize("page", [1, 2, 3])
    def test_paging_ignored(self, proxy: FaultProxy, page: int) -> None:
        """A page without the paging control is no end of data: the listing is truncated."""
        proxy.faults = Faults(no_paging_from=page)
        with _open(proxy) as connection:
            listing = connection.listing(_request())
            assert len(_uids(listing)) == page * PAGE
        outcome = listing.outcome
        assert (outcome.verdict, outcome.pages) == (Verdict.TRUNCATED, page)
        assert f"page {page}" in str(outcome.because)

    @pytest.mark.rule("2.2.4", server="proxy")
    def test_notice_of_disconnection(self, proxy: FaultProxy) -> None:
        """A server that announces its end is truncated with the code that it gave."""
        proxy.faults = Faults(notice_page=3, code=52)
        with _open(proxy) as connection:
            listing = connection.listing(_request())
            assert len(_uids(listing)) > 2 * PAGE
            assert connection.closed
        assert (listing.outcome.verdict, listing.outcome.result_code) == (Verdict.TRUNCATED, 52)

    @pytest.mark.rule("2.11.1", server="proxy")
    @pytest.mark.rule("2.11.2", server="proxy")
    def test_references(self, proxy: FaultProxy) -> None:
        """References are counted, not followed, and nothing may be concluded from absence."""
        with socket.create_server(("127.0.0.1", 0)) as named:
            named.setblocking(False)
            other = f"ldap://127.0.0.1:{named.getsockname()[1]}"
            proxy.faults = Faults(references=(f"{other}/ou=x,dc=example,dc=test",))
            with _open(proxy) as connection:
                listing = connection.listing(_request())
                assert sorted(_uids(listing)) == EVERYBODY
            with pytest.raises(BlockingIOError):
                named.accept()
        outcome = listing.outcome
        assert (outcome.verdict, outcome.result_code) == (Verdict.UNVERIFIED, 0)
        assert outcome.references == outcome.pages
        assert other in str(outcome.because)

    def test_intermediate_responses(self, proxy: FaultProxy) -> None:
        """Intermediate responses go to whoever asked for them and change nothing else."""
        proxy.faults = Faults(intermediates=2)
        seen: list[Intermediate] = []
        with _open(proxy) as connection:
            listing = connection.listing(_request(), on_intermediate=seen.append)
            assert sorted(_uids(listing)) == EVERYBODY
        assert listing.outcome.verdict is Verdict.COMPLETE
        assert [one.value for one in seen[:2]] == [b"0", b"1"]
        assert len(seen) == 2 * listing.outcome.pages

    @pytest.mark.parametrize("piece_bytes", [1, 7, 61])
    def test_split_reads(self, proxy: FaultProxy, piece_bytes: int) -> None:
        """Answers in tiny pieces bring the same entries."""
        proxy.faults = Faults(piece_bytes=piece_bytes)
        with _open(proxy) as connection:
            listing = connection.listing(_request(50, filter="(uid=u000*)"))
            assert len(_uids(listing)) == 100
        assert listing.outcome.verdict is Verdict.COMPLETE

    def test_slow_is_not_dead(self, proxy: FaultProxy) -> None:
        """The time-out counts each wait, so a slow answer may take longer than it in all."""
        proxy.faults = Faults(delay_seconds=0.02)
        with _open(proxy) as connection:
            started = time.monotonic()
            listing = connection.listing(_request(20, filter="(uid=u0000*)"))
            assert len(_uids(listing)) == 10
            listing = connection.listing(_request(20, filter="(|(uid=u0001*)(uid=u0002*))"))
            assert len(_uids(listing)) == 20
            assert time.monotonic() - started > 0.5
        assert listing.outcome.verdict is Verdict.COMPLETE

    def test_only_one_base(self, proxy: FaultProxy) -> None:
        """The proxy's own promise: faults of one base leave other searches alone."""
        proxy.faults = Faults(base=PEOPLE, code_page=1, code=51)
        with _open(proxy) as connection:
            spoiled = connection.listing(_request(filter="(uid=u00001)"))
            _uids(spoiled)
            other = connection.listing(_request(base_dn=SUFFIX, filter="(uid=u00001)"))
            _uids(other)
        assert spoiled.outcome.verdict is Verdict.TRUNCATED
        assert other.outcome.verdict is Verdict.COMPLETE


class TestOneConnection:
    @pytest.mark.rule("2.2.3", server="openldap")
    def test_small_searches_between_pages(self, slapd: Slapd) -> None:
        """Small searches between two pages disturb neither side."""
        found, uids = [], []
        with _open(slapd) as connection:
            listing = connection.listing(_request())
            for page in listing:
                uids += [decode_entry(raw).values("uid")[0].decode() for raw in page]
                found += connection.search(_request(filter=f"(uid={uids[-1]})"))
        assert sorted(uids) == EVERYBODY
        assert listing.outcome.verdict is Verdict.COMPLETE
        last_of_pages = [*uids[PAGE - 1 :: PAGE], uids[-1]]
        assert [entry.values("uid")[0].decode() for entry in found] == last_of_pages

    @pytest.mark.rule("2.2.3", server="openldap")
    def test_no_second_listing(self, slapd: Slapd) -> None:
        """Two paged searches are never interleaved on one connection."""
        with _open(slapd) as connection:
            pages = iter(connection.listing(_request()))
            next(pages)
            with pytest.raises(RuntimeError, match="roles asked for while users"):
                _uids(connection.listing(_request(), "roles"))

    def test_left_early(self, slapd: Slapd) -> None:
        """A listing that is left early does not leak into what comes next."""
        with _open(slapd) as connection:
            for _ in range(3):
                for page in connection.listing(_request()):
                    assert len(page) == PAGE
                    break
            listing = connection.listing(_request())
            assert sorted(_uids(listing)) == EVERYBODY
        assert listing.outcome.verdict is Verdict.COMPLETE

    def test_closed_in_between(self, slapd: Slapd) -> None:
        """A connection that is closed under a listing truncates it after the page that came."""
        with _open(slapd) as connection:
            listing = connection.listing(_request())
            entries = 0
            for page in listing:
                entries += len(page)
                connection.close()
        assert entries == PAGE
        assert (listing.outcome.verdict, listing.outcome.pages) == (Verdict.TRUNCATED, 1)

    def test_lost_between_pages(self, proxy: FaultProxy) -> None:
        """A small search that finds the connection lost leaves the listing truncated too."""
        proxy.faults = Faults(break_page=2, how=Break.CLOSE)
        with _open(proxy) as connection:
            listing = connection.listing(_request())
            entries = 0
            for page in listing:
                entries += len(page)
                with pytest.raises(DirectoryUnavailable):
                    connection.search(_request(filter="(uid=u00001)"))
        assert entries == PAGE + 1
        assert (listing.outcome.verdict, listing.outcome.pages) == (Verdict.TRUNCATED, 1)

    def test_interrupted(self, slapd: Slapd) -> None:
        """Ctrl-C while waiting closes the connection, for half a message may be left in it."""

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            with _open(slapd) as connection, slapd.paused():
                signal.setitimer(signal.ITIMER_REAL, 0.2)
                with pytest.raises(KeyboardInterrupt):
                    _uids(connection.listing(_request()))
                assert connection.closed
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


class TestChain:
    def test_counts_add_up(self, slapd: Slapd) -> None:
        """Several listings read as one: entries and pages are added up."""
        halves = [_request(filter=f"(uid=u0{n}*)") for n in (0, 1)]
        with _open(slapd) as connection:
            listing = chain("users", [connection.listing(half) for half in halves])
            assert sorted(_uids(listing)) == EVERYBODY
        outcome = listing.outcome
        assert (outcome.verdict, outcome.entries, outcome.pages) == (Verdict.COMPLETE, COUNT, 9)

    def test_worst_decides(self, proxy: FaultProxy) -> None:
        """One truncated listing truncates the whole, wherever it stood."""
        proxy.faults = Faults(base=PEOPLE, code_page=2, code=3)
        with _open(proxy) as connection:
            parts = [
                connection.listing(_request()),
                connection.listing(_request(base_dn=SUFFIX, filter="(uid=u00001)")),
            ]
            listing = chain("users", parts)
            assert len(_uids(listing)) == 2 * PAGE + 1
        outcome = listing.outcome
        assert (outcome.source, outcome.verdict) == ("users", Verdict.TRUNCATED)
        assert (outcome.result_code, outcome.entries) == (3, 2 * PAGE + 1)
