"""Connections to a directory: which server, TLS, who binds, and the searches on it.

Owns the order of servers and the credentials. Never writes: ldap3 is told to refuse it.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

from ldap3.core.exceptions import LDAPExceptionError

from syncd.errors import (
    BindRejected,
    DirectoryError,
    DirectoryUnavailable,
    SearchRejected,
    cut,
)
from syncd.ldap import results
from syncd.ldap.ber import decode_entry
from syncd.ldap.connecting import ServerUrl, code_of, connected, translated
from syncd.ldap.paging import Walk
from syncd.ldap.search import Listing, Page, SearchRequest
from syncd.ldap.tls import VerifiedTls, client_context
from syncd.ldap.traffic import BIND, Traffic
from syncd.records import Entry, Scope, Verdict

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator

    from syncd.ldap.messages import Intermediate, Result
    from syncd.ldap.stream import StreamStrategy
    from syncd.records import ListingOutcome

_log = logging.getLogger(__name__)

# The server is in trouble, not the credentials: another server, or a later time, may do.
_SERVER_TROUBLE: Final = frozenset(
    {
        results.OPERATIONS_ERROR,
        results.TIME_LIMIT_EXCEEDED,
        results.BUSY,
        results.UNAVAILABLE,
        results.OTHER,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """Where a directory is and how to bind to it."""

    # ldap:// (StartTLS) or ldaps://, tried in order.
    urls: tuple[str, ...]
    # None binds anonymously.
    bind_dn: str | None = None
    password: str | None = field(default=None, repr=False)
    # PEM texts, the trust anchors; with none of them the system's are used.
    ca_pem: tuple[str, ...] = ()
    trust_system: bool = False
    # Sends the password readable over ldap://, and does no StartTLS then.
    insecure_clear_text_bind: bool = False
    connect_timeout_seconds: float = 5
    # For each wait for bytes, not for a whole answer.
    read_timeout_seconds: float = 60


class Connection:
    """One bound connection to one server; a context manager.

    ``on_search`` gets each search as the ldapsearch command that repeats it, without the password.
    """

    def __init__(
        self,
        url: str,
        wire: StreamStrategy,
        options: ConnectionOptions,
        on_search: Callable[[str], None] | None = None,
    ) -> None:
        self.url = url
        self._wire = wire
        self._options = options
        self._on_search = on_search
        self._listing: str | None = None

    @classmethod
    def open(
        cls,
        options: ConnectionOptions,
        *,
        on_search: Callable[[str], None] | None = None,
        traffic: Traffic | None = None,
        context: ssl.SSLContext | None = None,
        deadline: float | None = None,
    ) -> Self:
        """Connect to the first server that answers, start TLS and bind.

        A refused password ends the attempt at once: each further try would count towards a lock.
        ``traffic`` counts the requests of this connection, ``context`` is a TLS context that was
        made of these options before, and ``deadline`` is when all waiting ends, by
        ``time.monotonic``.
        """
        _check_credentials(options)
        servers = [ServerUrl.parse(url) for url in options.urls]
        if context is None:
            context = client_context(options.ca_pem, trust_system=options.trust_system)
        traffic = traffic or Traffic()
        failures: list[DirectoryError] = []
        for server in servers:
            try:
                wire = _bound(server, options, VerifiedTls(context), traffic, deadline)
            except BindRejected:
                raise
            except DirectoryError as error:
                failures.append(error)
            else:
                return cls(server.url, wire, options, on_search)
        raise _unreachable(failures)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, by either side."""
        return self._wire.connection.closed

    def close(self) -> None:
        """Say goodbye, where there is still somebody to say it to, and close the socket."""
        with contextlib.suppress(LDAPExceptionError, DirectoryError, OSError):
            if not self.closed:
                self._wire.connection.unbind()
        self._wire.close()

    def root_dse(self) -> Entry:
        """Return what the server says about itself (RFC 4512 section 5.1)."""
        request = SearchRequest(
            base_dn="",
            scope=Scope.BASE,
            filter="(objectClass=*)",
            attributes=("*", "+"),
            page_size=None,
        )
        return next(iter(self.search(request)), Entry("", {}))

    def listing(
        self,
        request: SearchRequest,
        source: str = "users",
        on_intermediate: Callable[[Intermediate], None] | None = None,
        on_result: Callable[[Result], None] | None = None,
    ) -> Listing:
        """Return a listing of all that ``request`` finds; it is asked for when it is read.

        ``on_intermediate`` gets the intermediate responses as they come, and ``on_result`` the
        final message of each page, for searches with controls of their own.

        Only one listing at a time can be under way on a connection, since servers keep one paged
        search each; small searches may be made between its pages.
        """
        walk = Walk(self._wire, request, source, on_intermediate, on_result)
        return Listing(source, self._walked(walk, request, source))

    def read(self, request: SearchRequest) -> Page:
        """Return the undecoded entries of a small search; DirectoryError when it ends early."""
        if self._listing is not None:
            # Servers keep one paged search a connection, and that one is under way.
            request = replace(request, page_size=None)
        self._announce(request)
        pages = Listing("search", Walk(self._wire, request, "search").pages())
        answer = Page()
        try:
            for page in pages:
                offset = len(answer)
                answer.extend(page)
                answer.controls |= {offset + at: found for at, found in page.controls.items()}
                answer.references += page.references
        except SearchRejected as error:
            if request.missing_ok and error.result_code == results.NO_SUCH_OBJECT:
                return answer
            raise
        _require_whole(pages.outcome)
        return answer

    def search(self, request: SearchRequest) -> list[Entry]:
        """Return the decoded entries of a small search."""
        return [decode_entry(raw) for raw in self.read(request)]

    def _walked(
        self, walk: Walk, request: SearchRequest, source: str
    ) -> Generator[Page, None, ListingOutcome]:
        if self._listing is not None:
            raise RuntimeError(f"{source} asked for while {self._listing} is being listed")
        self._listing = source
        self._announce(request)
        try:
            return (yield from walk.pages())
        finally:
            self._listing = None

    def _announce(self, request: SearchRequest) -> None:
        if self._on_search is None and not _log.isEnabledFor(logging.DEBUG):
            return
        command = request.as_ldapsearch(
            self.url,
            self._options.bind_dn,
            start_tls=not self._options.insecure_clear_text_bind,
        )
        if self._on_search is not None:
            self._on_search(command)
        else:
            _log.debug("%s", command)


def _check_credentials(options: ConnectionOptions) -> None:
    if options.bind_dn is None:
        return
    if not options.bind_dn:
        raise BindRejected("bind_dn is empty; set it, or bind_type to anonymous.")
    if not options.password:
        # RFC 4513 section 5.1.2: servers take this for success without checking anything.
        raise BindRejected(f"The password of {cut(options.bind_dn)} is empty; set bind_credential.")


def _bound(
    server: ServerUrl,
    options: ConnectionOptions,
    tls: VerifiedTls,
    traffic: Traffic,
    deadline: float | None,
) -> StreamStrategy:
    wire = connected(server, options, tls, traffic, deadline)
    connection = wire.connection
    try:
        with translated(server.url), traffic.request(BIND, lambda: code_of(connection)):
            connection.bind(read_server_info=False)
        _check_bind(server.url, options, connection.result)
    except BaseException:
        wire.close()
        raise
    finally:
        connection.password = None
    return wire


def _check_bind(url: str, options: ConnectionOptions, result: dict[str, object] | None) -> None:
    code = result.get("result") if result else None
    if code == results.SUCCESS:
        return
    if result is None or not isinstance(code, int):
        raise DirectoryUnavailable(f"{url} did not answer the bind; look into the server's log.")
    said = f": {cut(result['message'])}" if result.get("message") else ""
    who = cut(options.bind_dn) if options.bind_dn else "an anonymous bind"
    answer = f"{url} refused {who} with {results.name(code)}{said}"
    if code in _SERVER_TROUBLE:
        raise DirectoryUnavailable(f"{answer}; try again later.")
    if code in {
        results.INVALID_CREDENTIALS,
        results.INVALID_DN_SYNTAX,
        results.NO_SUCH_OBJECT,
    }:
        raise BindRejected(f"{answer}; {results.bind_advice(said)}.")
    raise BindRejected(f"{answer}; {results.advice(code)}.")


def _unreachable(failures: list[DirectoryError]) -> DirectoryError:
    if len(failures) == 1:
        return failures[0]
    message = " ".join(str(failure) for failure in failures)
    if not failures:
        return DirectoryError("There is no connection_url; set at least one.")
    # A server that is only away may come back, so trying again can help.
    retryable = [failure for failure in failures if failure.retryable]
    error = type((retryable or failures)[0])
    failed = error(f"No server could be used. {message}")
    failed.__cause__ = failures[0]
    return failed


def _require_whole(outcome: ListingOutcome) -> None:
    if outcome.verdict is not Verdict.TRUNCATED:
        return
    because = outcome.because or "The directory did not answer in full."
    if outcome.result_code is None or outcome.result_code in results.TRY_LATER:
        raise DirectoryUnavailable(because)
    raise DirectoryError(because)
