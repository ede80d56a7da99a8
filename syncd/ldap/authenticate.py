"""Whether somebody knows the password of an entry: the search for him, and the bind as him.

His password goes to the directory and nowhere else: over TLS, to the server that answered the
search, and never after a referral.
"""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from ldap3.core.exceptions import LDAPExceptionError

from syncd.errors import DirectoryError, DirectoryUnavailable, SignInRefused, cut
from syncd.ldap import bind_answers, dn, filters, results
from syncd.ldap.ber import decode_entry, entry_dn
from syncd.ldap.completion import completed
from syncd.ldap.connecting import ServerUrl, connected
from syncd.ldap.connection import Connection
from syncd.ldap.messages import encode_bind, encode_extended
from syncd.ldap.ranges import RangeCompleter
from syncd.ldap.tls import VerifiedTls, client_context
from syncd.ldap.traffic import BIND, LOST, Traffic, result_name
from syncd.records import Verdict, fold

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from syncd.ldap.connection import ConnectionOptions
    from syncd.ldap.listings import UserSearch
    from syncd.ldap.messages import Control, Result
    from syncd.ldap.stream import StreamStrategy

# For all that one sign-in asks of the directory.
SECONDS: Final = 10.0
# More than anybody types; some servers hash whatever comes.
LONGEST_PASSWORD: Final = 1024
LONGEST_USERNAME: Final = 255
# RFC 4532.
WHO_AM_I: Final = "1.3.6.1.4.1.4203.1.11.3"
# A system's authorities take a tenth of a second to load, and may be others some day.
CONTEXT_SECONDS: Final = 300.0
# Enough to see that there are several.
MOST_FOUND: Final = 2


class Authenticated(NamedTuple):
    """Somebody who knows his entry's password."""

    # His entry as the service account reads it, undecoded.
    raw: bytes
    dn: str
    # That the password expires, or has and is borne for some more times.
    warning: str | None = None


class Authenticator:
    """Asks one organization's directory; several threads may use it."""

    def __init__(
        self, options: ConnectionOptions, users: UserSearch, *, seconds: float = SECONDS
    ) -> None:
        """``seconds`` is the most that one call takes, whatever the directory does."""
        self._options = options
        self._users = users
        self._seconds = seconds
        self._context: tuple[float, ssl.SSLContext] | None = None

    def authenticate(self, username: str, password: str) -> Authenticated:
        """Find the one entry of a username and bind as it; spaces around the name are nothing.

        Raises:
            SignInRefused: The reasons are those of ``bind_answers``; the message never has what
                was typed in it.
            DirectoryError: The directory cannot be asked.

        """
        username = username.strip()
        secret = _bytes_of(username, password)
        asked = _Asked(self._options, self._trust(), time.monotonic() + self._seconds)
        with asked.service() as service:
            found = self._entries(service, username)
        if len(found) == 1 and not self._is_called(found[0], username):
            # Directories take other spaces, widths and accents for the same name; whoever counts
            # attempts does not.
            found = []
        if len(found) != 1:
            # As long as for somebody who is there; the answer says nothing.
            with suppress(SignInRefused):
                asked.bind(f"cn={secrets.token_hex(8)},{self._users.base_dns[0]}", secret)
            raise _not_one(len(found))
        name = entry_dn(found[0])
        if not name.strip():
            # RFC 4513 section 5.1.2: nobody is bound by that, and the server says success.
            raise SignInRefused(bind_answers.OTHER_IDENTITY, "the entry that was found has no DN")
        return Authenticated(found[0], name, asked.bind(name, secret))

    def _is_called(self, raw: bytes, username: str) -> bool:
        """Return whether an entry has a username, upper and lower case alike."""
        values = decode_entry(raw).values(self._users.username_attribute)
        return fold(username) in {fold(value.decode("utf-8", "replace")) for value in values}

    def _trust(self) -> ssl.SSLContext:
        now = time.monotonic()
        known = self._context
        if known is None or now - known[0] > CONTEXT_SECONDS:
            options = self._options
            known = (now, client_context(options.ca_pem, trust_system=options.trust_system))
            self._context = known
        return known[1]

    def _entries(self, service: Connection, username: str) -> list[bytes]:
        """Return the entries below the users DNs that have this username, two at most."""
        users = self._users
        wanted = filters.and_(users.filter, filters.equal(users.username_attribute, username))
        found: list[bytes] = []
        for request in users.requests():
            # One question and one answer: who asks for pages gets none from some servers.
            listing = service.listing(replace(request, filter=wanted, page_size=None), "sign-in")
            for page in listing:
                found += page
            # What lies behind a reference is not asked for: to whoever is not found here the
            # directory says nothing else either.
            if listing.outcome.verdict is Verdict.TRUNCATED and len(found) < MOST_FOUND:
                because = listing.outcome.because or "the directory did not answer in full"
                if service.closed or listing.outcome.result_code in results.TRY_LATER:
                    raise DirectoryUnavailable(because)
                raise DirectoryError(because)
        if len(found) == 1:
            return completed(found, [RangeCompleter(_Same(service))])
        return found[:MOST_FOUND]


class _Asked:
    """What one sign-in asks: all on one server, and all before one moment."""

    def __init__(
        self, options: ConnectionOptions, context: ssl.SSLContext, deadline: float
    ) -> None:
        self._options = options
        self._context = context
        self._deadline = deadline
        self._traffic = Traffic()
        self._url = ""

    def service(self) -> Connection:
        """Return a connection of the service account, by which the server is settled."""
        found = Connection.open(
            self._options,
            # People type passwords where their names belong, so no log gets this search.
            on_search=_untold,
            traffic=self._traffic,
            context=self._context,
            deadline=self._deadline,
        )
        self._url = found.url
        return found

    def bind(self, name: str, password: bytes) -> str | None:
        """Bind with a password on a connection of its own; return a warning, if any.

        Raises:
            SignInRefused: The password is not that of the entry, or does not let it in.

        """
        with self._connected() as wire:
            said = _counted(self._traffic, wire, encode_bind(name, password), bind_answers.POLICY)
            answer = bind_answers.read_answer(self._url, said)
            if answer.refusal is not None:
                raise SignInRefused(
                    answer.refusal,
                    f"{self._url} answered the bind as {cut(name)} with {results.describe(said)}",
                )
            _require_identity(wire, self._url, name)
        return answer.warning

    @contextmanager
    def _connected(self) -> Iterator[StreamStrategy]:
        wire = connected(
            ServerUrl.parse(self._url),
            replace(self._options, bind_dn=None, password=None),
            VerifiedTls(self._context),
            self._traffic,
            self._deadline,
        )
        try:
            yield wire
        finally:
            with suppress(LDAPExceptionError, DirectoryError, OSError):
                if not wire.connection.closed:
                    wire.connection.unbind()
            wire.close()


class _Same:
    """Gives one connection to whoever completes what came on it; its search is over by then."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self) -> Connection:
        return self._connection

    def give_back(self, connection: Connection, *, healthy: bool) -> None:
        """Leave it to its owner."""


def _untold(_: str) -> None:
    """Keep a search out of all logs."""


def _bytes_of(username: str, password: str) -> bytes:
    """Return a password as it is sent, or refuse what no directory is to be asked about."""
    if not password.strip():
        # RFC 4513 section 5.1.2: servers take a name without a password for success.
        raise SignInRefused(bind_answers.NO_PASSWORD, "no password was given")
    try:
        secret = password.encode()
        username.encode()
    except UnicodeEncodeError as error:
        raise SignInRefused(
            bind_answers.WRONG_PASSWORD, "what was typed is no text (RFC 4511 asks for UTF-8)"
        ) from error
    if b"\0" in secret or len(secret) > LONGEST_PASSWORD:
        raise SignInRefused(
            bind_answers.WRONG_PASSWORD,
            f"the password has a NUL in it or more than {LONGEST_PASSWORD} bytes",
        )
    if not username or len(username) > LONGEST_USERNAME or not _is_printed(username):
        raise SignInRefused(bind_answers.UNKNOWN_USER, "the username cannot be anybody's")
    return secret


def _is_printed(text: str) -> bool:
    # Control characters, those of C1 among them.
    return not any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 for each in text)


def _not_one(count: int) -> SignInRefused:
    if count:
        return SignInRefused(
            bind_answers.SEVERAL_USERS,
            "several entries below the users DNs have this username; make them one, or narrow "
            "user_search_filter",
        )
    return SignInRefused(
        bind_answers.UNKNOWN_USER,
        "no entry below the users DNs that the filter lets pass has this username",
    )


def _counted(
    traffic: Traffic, wire: StreamStrategy, operation: bytes, *controls: Control
) -> Result:
    ended = traffic.begin(BIND)
    try:
        result = wire.ask(operation, controls)
    except DirectoryError:
        ended(LOST)
        raise
    ended(result_name(result.code))
    return result


def _require_identity(wire: StreamStrategy, url: str, name: str) -> None:
    """Make sure that the server took the bind as this entry's, where it says whose it was."""
    said = wire.ask(encode_extended(WHO_AM_I))
    if said.code != results.SUCCESS:
        return
    identity = (said.value or b"").decode("utf-8", "replace")
    # Active Directory has another form: "u:DOMAIN\\name".
    kind, _, whose = identity.partition(":")
    whose = whose.strip()
    if kind.lower() == "dn" and whose:
        with suppress(ValueError):
            if dn.dn_key(whose) == dn.dn_key(name):
                return
    elif whose:
        return
    raise SignInRefused(
        bind_answers.OTHER_IDENTITY,
        f"{url} took the bind as {cut(name)} for {cut(identity) or 'an anonymous one'}",
    )
