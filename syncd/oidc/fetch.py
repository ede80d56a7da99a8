"""Owns the one way out to a provider: https, no redirects, bounded in time and size, JSON only.

Nothing that is sent is ever in a message: codes, tokens and secrets go out here.

Each request has a connection of its own, to an address that was judged for it: keys are fetched
every few minutes, and a connection that is kept would be a judgement that is kept. Proxies of the
environment are not used: whoever wants one says so, as it looks names up by itself.
"""

from __future__ import annotations

import ssl
import time
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus, urlencode

import httpcore2

from syncd.errors import cut
from syncd.oidc.addresses import system_addresses, target
from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.ports import Answered
from syncd.oidc.proxy import way
from syncd.oidc.trust import trust, verdict
from syncd.oidc.tunnel import Tunnel
from syncd.oidc.wire import Budget, TooMuch, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from syncd.oidc.addresses import Networks, Resolve, Target
    from syncd.oidc.proxy import Proxy

# For all of it: name, connection, handshake, request and answer.
LONGEST_SECONDS: Final = 5.0
LARGEST_BODY_BYTES: Final = 512 * 1024
# On the wire, before the body and for the frames of its chunks.
_LARGEST_HEAD_BYTES: Final = 128 * 1024
# Each piece costs the same, and some would send single octets.
_MOST_PIECES: Final = 8192
_STATUS_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
# With an error's name in them (RFC 6749 section 5.2); some write 403 for a refused code.
_MEANT: Final = frozenset({_STATUS_OK, 400, 401, 403})
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}

_FAILURES: Final = (
    TooMuch,
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
)


class Fetcher:
    """Requests to an organization's provider; any thread may use it.

    Args:
        allowed_networks: Private networks in which the provider may be.
        ca_pem: Certificates that are trusted beside those of the system.
        proxy: The way out where there is no other.
        resolve: Asks for the addresses of a name.
        seconds: How long a request may take in all.

    """

    def __init__(
        self,
        *,
        allowed_networks: Networks = (),
        ca_pem: Sequence[str] = (),
        proxy: Proxy | None = None,
        resolve: Resolve = system_addresses,
        seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._networks, self._ca_pem = tuple(allowed_networks), tuple(ca_pem)
        self._proxy, self._resolve, self._seconds = proxy, resolve, seconds
        self._mute: dict[str, float] = {}

    def proxy_for(self, url: str) -> Proxy | None:
        """Return the proxy through which a request to a URL goes now, if it does.

        Raises:
            FetchFailed: It goes nowhere.

        """
        return None if self._proxy is None else self._way(target(url), self._seconds)[0]

    def get(self, url: str, *, bearer: str | None = None) -> bytes:
        """Return the body of a JSON answer with status 200; ``bearer`` is an access token.

        Raises:
            FetchFailed: Nothing of the kind could be had; the message says why and what to do.

        """
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        with self._asked("GET", url, headers) as (named, response):
            return _body(named, response)

    def post(self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None) -> Answered:
        """Send a form and return the status and the body of a JSON answer.

        Args:
            url: Where to send it.
            form: Its fields.
            basic: Client id and secret for HTTP basic authentication.

        Raises:
            FetchFailed: As with ``get``; but errors that OAuth 2.0 has JSON for are returned.

        """
        headers = dict(_FORM)
        if basic is not None:
            # Encoded as in forms first (RFC 6749 section 2.3.1): a secret may have a colon in it.
            pair = ":".join(quote_plus(part) for part in basic)
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        content = urlencode(form).encode()
        with self._asked("POST", url, headers, content) as (named, response):
            return Answered(response.status, _body(named, response, _MEANT))

    def call(self, url: str, form: Mapping[str, str] | None) -> int:
        """Send a form, or ask without one, and return the status, whatever it is; the rest stays.

        Raises:
            FetchFailed: There is no answer.

        """
        any_kind = {"Accept": "*/*"}
        if form is None:
            asked = self._asked("GET", url, any_kind)
        else:
            asked = self._asked("POST", url, any_kind | _FORM, urlencode(form).encode())
        with asked as (_, response):
            return response.status

    @contextmanager
    def _asked(
        self, method: str, url: str, more: Mapping[str, str], content: bytes = b""
    ) -> Iterator[tuple[str, httpcore2.Response]]:
        """Send a request; yield what was asked, for messages, and the answer with its head."""
        end = time.monotonic() + self._seconds
        place = target(url)
        proxy, found = self._way(place, end - time.monotonic())
        budget = Budget(end, _LARGEST_HEAD_BYTES)
        wire: Wire | Tunnel
        if proxy is None:
            named, wire = str(place), Wire(found, budget)
        else:
            named = f"{place} (through the proxy {proxy})"
            wire = Tunnel(proxy, found, place, budget, self._seconds)
        headers = {
            "Host": place.authority,
            "User-Agent": "syncd",
            "Accept": "application/json, application/jwk-set+json",
            # A small answer that unpacks to a large one is not even asked for.
            "Accept-Encoding": "identity",
            "Connection": "close",
            **more,
        }
        if method == "POST":
            headers["Content-Length"] = str(len(content))
        asked = httpcore2.URL(
            scheme=place.scheme, host=place.host, port=place.port, target=place.path
        )
        connection = httpcore2.HTTPConnection(
            asked.origin,
            ssl_context=None if place.local else trust(self._ca_pem),
            network_backend=wire,
        )
        request = httpcore2.Request(method, asked, headers=list(headers.items()), content=content)
        try:
            response = connection.handle_request(request)
            budget.add(LARGEST_BODY_BYTES)
            yield named, response
        except _FAILURES as error:
            raise _failure(named, error, self._seconds) from error
        finally:
            connection.close()
            wire.close()

    def _way(self, place: Target, seconds: float) -> tuple[Proxy | None, tuple[str, ...]]:
        return way(
            place,
            self._networks,
            self._proxy,
            resolve=self._resolve,
            seconds=seconds,
            mute=self._mute,
        )


def _body(
    named: str, response: httpcore2.Response, taken: frozenset[int] = frozenset({_STATUS_OK})
) -> bytes:
    if response.status in _REDIRECTS:
        raise FetchFailed(
            Cause.REDIRECT,
            f"{named} answers with a redirect ({response.status}), which syncd does not follow; "
            "write the URL that it leads to.",
        )
    if response.status not in taken:
        raise _bad_status(named, response.status)
    try:
        _check_content(named, response.headers)
    except FetchFailed as error:
        if response.status != _STATUS_OK and error.reason is Cause.NOT_JSON:
            raise _bad_status(named, response.status) from None
        raise
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_stream():
        size += len(piece)
        pieces.append(piece)
        if size > LARGEST_BODY_BYTES or len(pieces) > _MOST_PIECES:
            raise TooMuch
    return b"".join(pieces)


def _bad_status(named: str, status: int) -> FetchFailed:
    return FetchFailed(
        Cause.STATUS, f"{named} answers with status {status}; check the URL and the provider."
    )


def _check_content(named: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
    kinds, encodings = set(), set()
    for name, value in headers:
        word = value.partition(b";")[0].strip().lower()
        match name.lower():
            case b"content-type":
                kinds.add(word)
            case b"content-encoding":
                encodings.add(word)
            case b"content-length" if word.isdigit() and int(word) > LARGEST_BODY_BYTES:
                raise TooMuch
    if encodings - {b"identity"}:
        raise FetchFailed(
            Cause.PROTOCOL,
            f"{named} answers compressed although that was not asked for; check what stands "
            "before the provider.",
        )
    if not kinds or not all(
        kind == b"application/json"
        or (kind.startswith(b"application/") and kind.endswith(b"+json"))
        for kind in kinds
    ):
        raise FetchFailed(
            Cause.NOT_JSON,
            f"{named} answers something that is not JSON; check that the URL is the provider's.",
        )


def _failure(named: str, error: Exception, seconds: float) -> FetchFailed:
    cause = error.__cause__
    if isinstance(error, TooMuch):
        return FetchFailed(
            Cause.TOO_LARGE,
            f"{named} answers more than {LARGEST_BODY_BYTES // 1024} KiB; check that the URL is "
            "the provider's.",
        )
    if isinstance(error, httpcore2.TimeoutException):
        return FetchFailed(
            Cause.TIMEOUT,
            f"{named} has not answered within {seconds:g} seconds; check that the provider runs "
            "and that a firewall lets syncd through.",
        )
    if isinstance(cause, ssl.SSLCertVerificationError):
        said = verdict(cause, url="the URL", certificates="certificates")
        return FetchFailed(Cause.CERTIFICATE, f"{named}: {said}")
    if isinstance(cause, ssl.SSLError) and isinstance(error, httpcore2.ConnectError):
        return FetchFailed(
            Cause.PROTOCOL,
            f"{named} ended the TLS handshake ({cut(cause.reason or cause)}); it has to offer "
            "TLS 1.2 or newer at that port.",
        )
    if isinstance(error, httpcore2.ProtocolError):
        # The library's text quotes what came.
        return FetchFailed(
            Cause.PROTOCOL, f"{named} does not answer in HTTP/1.1; check the host and the port."
        )
    because = cause.strerror if isinstance(cause, OSError) else None
    return FetchFailed(
        Cause.UNREACHABLE,
        f"{named} cannot be reached ({cut(because or 'the connection ended')}); check the URL and "
        "that the provider runs.",
    )
