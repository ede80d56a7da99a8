"""What is counted of the requests to a real OpenLDAP server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import DirectoryError, SearchRejected
from syncd.ldap.source import LdapSource
from syncd.ldap.validity import first_end
from tests.integration.ldap.sources import options_for, role_search, user_search
from tests.servers.fault_proxy import Break, FaultProxy, Faults
from tests.servers.slapd import PAGES_200, READER, TOTAL_1000, Slapd, people

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.ldap.connection import ConnectionOptions
    from tests.servers.slapd import Account

COUNT = 1050


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A server with more people than some of its accounts may read."""
    with Slapd(ldif=people(COUNT)) as server:
        yield server


@pytest.fixture
def proxy(slapd: Slapd) -> Iterator[FaultProxy]:
    """A proxy before it."""
    with FaultProxy(slapd.port) as found:
        yield found


def _source(options: ConnectionOptions, page_size: int | None = 100, **search: Any) -> LdapSource:
    return LdapSource(
        connection=options,
        users=user_search(page_size=page_size, **search),
        containers={"import roles": role_search()},
    )


def _clear(proxy: FaultProxy, slapd: Slapd) -> ConnectionOptions:
    options = options_for(slapd, read_timeout_seconds=2)
    return replace(options, urls=(proxy.url,), insecure_clear_text_bind=True)


def _counts(source: LdapSource) -> dict[tuple[str, str], int]:
    return {(each["operation"], each["result"]): each["count"] for each in source.traffic.as_json()}


def _read(source: LdapSource) -> int:
    return sum(len(page) for page in source.users())


class TestCounts:
    @pytest.mark.rule("2.16.1", server="openldap")
    @pytest.mark.parametrize(
        ("account", "page_size", "searches"),
        [
            # Pages of 100, the last one with 50.
            (READER, 100, {"success": 11}),
            (READER, None, {"success": 1}),
            # 400 is above the limit of 200 a page, and is halved.
            (PAGES_200, 400, {"adminLimitExceeded": 1, "success": 6}),
            # After 1000 entries the server stops.
            (TOTAL_1000, 200, {"success": 5, "sizeLimitExceeded": 1}),
            (PAGES_200, None, {"sizeLimitExceeded": 1}),
        ],
    )
    def test_a_page_is_one_search(
        self, slapd: Slapd, account: Account, page_size: int | None, searches: dict[str, int]
    ) -> None:
        """A listing over StartTLS counts its connection, its bind and one search a page."""
        with _source(options_for(slapd, account), page_size) as source:
            assert _counts(source) == {
                ("connect", "success"): 1,
                ("start_tls", "success"): 1,
                ("bind", "success"): 1,
            }
            _read(source)
            # Trying the idle connection before it is used again is one more.
            tried = {("search", "success"): searches.get("success", 0) + 1}
            others = {("search", name): n for name, n in searches.items() if name != "success"}
            found = {key: n for key, n in _counts(source).items() if key[0] == "search"}
            assert found == tried | others

    def test_buckets_and_seconds_agree(self, slapd: Slapd) -> None:
        """Each request has its time: the buckets hold all of them and the sum is no more."""
        with _source(options_for(slapd)) as source:
            _read(source)
            for each in source.traffic.as_json():
                assert sum(each["within"].values()) == each["count"]
                bounds = [float(bound) for bound in each["within"]]
                assert 0 < each["seconds"] <= max(bounds) * each["count"]

    def test_a_reader_that_leaves_is_counted(self, slapd: Slapd) -> None:
        """A search that nobody reads to its end is abandoned, not forgotten."""
        with _source(options_for(slapd)) as source:
            pages = iter(source.users())
            next(pages)
            pages.close()  # type: ignore[attr-defined]
            assert _counts(source)["search", "abandoned"] == 1

    def test_a_base_that_is_not_there(self, slapd: Slapd) -> None:
        """A search that the server refuses is counted under its code."""
        nowhere = user_search("ou=nowhere,dc=example,dc=test")
        source = LdapSource(connection=options_for(slapd), users=nowhere, containers={})
        with source, pytest.raises(SearchRejected):
            _read(source)
        assert _counts(source)["search", "noSuchObject"] == 1


class TestFailures:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"password": "wrong"}, {("bind", "invalidCredentials"): 1}),
            ({"bind_dn": "no dn"}, {("bind", "invalidDNSyntax"): 1}),
            ({"ca_pem": ()}, {("start_tls", "untrusted"): 1}),
            ({"urls": ("ldap://127.0.0.1:1",)}, {("connect", "lost"): 1}),
            ({"urls": ("ldap://127.0.0.1:1", "ldap://127.0.0.1:2")}, {("connect", "lost"): 2}),
        ],
    )
    def test_who_does_not_get_in_is_counted(
        self, slapd: Slapd, changes: dict[str, Any], expected: dict[tuple[str, str], int]
    ) -> None:
        """A refused password, an untrusted certificate and a dead address are told apart."""
        source = _source(replace(options_for(slapd), **changes))
        with pytest.raises(DirectoryError):
            source.open()
        failed = {key: n for key, n in _counts(source).items() if key[1] != "success"}
        assert failed == expected

    def test_a_server_that_refuses_start_tls(self) -> None:
        """A server without TLS says so, and its word is counted."""
        with Slapd(tls=False) as bare:
            source = _source(options_for(bare))
            with pytest.raises(DirectoryError):
                source.open()
        (refused,) = [key for key in _counts(source) if key[0] == "start_tls"]
        assert refused[1] not in {"success", "lost"}

    @pytest.mark.parametrize(
        ("faults", "result"),
        [
            (Faults(code_page=3, code=51), "busy"),
            (Faults(code_page=1, code=52), "unavailable"),
            (Faults(code_page=2, code=3), "timeLimitExceeded"),
            (Faults(code_page=2, code=11), "adminLimitExceeded"),
            (Faults(code_page=2, code=4000), "unknown"),
            (Faults(break_page=3, how=Break.RESET), "lost"),
            (Faults(break_page=1, how=Break.CLOSE), "lost"),
            (Faults(break_page=2, how=Break.SILENCE), "lost"),
            (Faults(notice_page=2, code=52), "unavailable"),
        ],
    )
    def test_a_page_that_fails_is_counted_once(
        self, slapd: Slapd, proxy: FaultProxy, faults: Faults, result: str
    ) -> None:
        """Whatever ends a listing early is counted once, by the code or as lost."""
        proxy.faults = faults
        with _source(_clear(proxy, slapd)) as source:
            _read(source)
        counts = _counts(source)
        failed = {key: n for key, n in counts.items() if key[1] != "success"}
        assert failed == {("search", result): 1}


class TestCertificates:
    @pytest.mark.parametrize("tls", [True, False])
    def test_the_end_of_the_servers_certificate_is_noted(self, slapd: Slapd, *, tls: bool) -> None:
        """Both ldaps and StartTLS show the certificate whose end is told."""
        url = slapd.tls_url if tls else slapd.url
        with _source(replace(options_for(slapd), urls=(url,))) as source:
            end = first_end(slapd.certificate.read_text())
            assert end is not None
            told = source.traffic.certificates_as_json()
            assert told == {"directory": end.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def test_clear_text_shows_none(self, slapd: Slapd, proxy: FaultProxy) -> None:
        """Without TLS there is no certificate to tell of."""
        with _source(_clear(proxy, slapd)) as source:
            assert source.traffic.certificates_as_json() == {}
