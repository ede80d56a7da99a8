"""Owns the one way out to a provider: https, no redirects, bounded in time and size, JSON only.

Nothing that is sent is ever in a message: codes, tokens and secrets go out here.

Each request has a connection of its own, to an address that was judged for it: keys are fetched
every few minutes, and a connection that is kept would be a judgement that is kept. Proxies of the
environment are not used: the name would be resolved there, unjudged.
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
from syncd.oidc.addresses import Target, addresses, system_addresses, target
from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.ports import Answered
from syncd.oidc.trust import trust
from syncd.oidc.wire import Budget, TooMuch, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from syncd.oidc.addresses import Networks, Resolve

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

# X509_V_ERR_* of OpenSSL's x509_vfy.h; the ssl module has no names for them.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_WRONG_NAME: Final = (62, 64)

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
        resolve: Asks for the addresses of a name.
        seconds: How long a request may take in all.

    """

    def __init__(
        self,
        *,
        allowed_networks: Networks = (),
        ca_pem: Sequence[str] = (),
        resolve: Resolve = system_addresses,
        seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._networks, self._ca_pem = tuple(allowed_networks), tuple(ca_pem)
        self._resolve, self._seconds = resolve, seconds

    def get(self, url: str, *, bearer: str | None = None) -> bytes:
        """Return the body of a JSON answer with status 200; ``bearer`` is an access token.

        Raises:
            FetchFailed: Nothing of the kind could be had; the message says why and what to do.

        """
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        with self._asked("GET", url, headers) as (place, response):
            return _body(place, response)

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
        with self._asked("POST", url, headers, content) as (place, response):
            return Answered(response.status, _body(place, response, _MEANT))

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
    ) -> Iterator[tuple[Target, httpcore2.Response]]:
        """Send a request and yield the answer, of which the head has come."""
        end = time.monotonic() + self._seconds
        place = target(url)
        found = addresses(
            place, self._networks, resolve=self._resolve, seconds=end - time.monotonic()
        )
        budget = Budget(end, _LARGEST_HEAD_BYTES)
        wire = Wire(found, budget)
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
            yield place, response
        except _FAILURES as error:
            raise _failure(place, error, self._seconds) from error
        finally:
            connection.close()
            wire.close()


def _body(
    place: Target, response: httpcore2.Response, taken: frozenset[int] = frozenset({_STATUS_OK})
) -> bytes:
    if response.status in _REDIRECTS:
        raise FetchFailed(
            Cause.REDIRECT,
            f"{place} answers with a redirect ({response.status}), which syncd does not follow; "
            "write the URL that it leads to.",
        )
    if response.status not in taken:
        raise _bad_status(place, response.status)
    try:
        _check_content(place, response.headers)
    except FetchFailed as error:
        if response.status != _STATUS_OK and error.reason is Cause.NOT_JSON:
            raise _bad_status(place, response.status) from None
        raise
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_stream():
        size += len(piece)
        pieces.append(piece)
        if size > LARGEST_BODY_BYTES or len(pieces) > _MOST_PIECES:
            raise TooMuch
    return b"".join(pieces)


def _bad_status(place: Target, status: int) -> FetchFailed:
    return FetchFailed(
        Cause.STATUS, f"{place} answers with status {status}; check the URL and the provider."
    )


def _check_content(place: Target, headers: Sequence[tuple[bytes, bytes]]) -> None:
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
            f"{place} answers compressed although that was not asked for; check what stands "
            "before the provider.",
        )
    if not kinds or not all(
        kind == b"application/json"
        or (kind.startswith(b"application/") and kind.endswith(b"+json"))
        for kind in kinds
    ):
        raise FetchFailed(
            Cause.NOT_JSON,
            f"{place} answers something that is not JSON; check that the URL is the provider's.",
        )


def _failure(place: Target, error: Exception, seconds: float) -> FetchFailed:
    cause = error.__cause__
    if isinstance(error, TooMuch):
        return FetchFailed(
            Cause.TOO_LARGE,
            f"{place} answers more than {LARGEST_BODY_BYTES // 1024} KiB; check that the URL is "
            "the provider's.",
        )
    if isinstance(error, httpcore2.TimeoutException):
        return FetchFailed(
            Cause.TIMEOUT,
            f"{place} has not answered within {seconds:g} seconds; check that the provider runs "
            "and that a firewall lets syncd through.",
        )
    if isinstance(cause, ssl.SSLCertVerificationError):
        return FetchFailed(Cause.CERTIFICATE, f"{place}: {_verdict(cause)}")
    if isinstance(cause, ssl.SSLError) and isinstance(error, httpcore2.ConnectError):
        return FetchFailed(
            Cause.PROTOCOL,
            f"{place} ended the TLS handshake ({cut(cause.reason or cause)}); it has to offer "
            "TLS 1.2 or newer at that port.",
        )
    if isinstance(error, httpcore2.ProtocolError):
        # The library's text quotes what came.
        return FetchFailed(
            Cause.PROTOCOL, f"{place} does not answer in HTTP/1.1; check the host and the port."
        )
    said = cause.strerror if isinstance(cause, OSError) else None
    return FetchFailed(
        Cause.UNREACHABLE,
        f"{place} cannot be reached ({cut(said or 'the connection ended')}); check the URL and "
        "that the provider runs.",
    )


def _verdict(error: ssl.SSLCertVerificationError) -> str:
    said = cut(error.verify_message)
    if error.verify_code in _WRONG_NAME:
        return f"the server's certificate is for another name ({said}); check the URL."
    if error.verify_code == _EXPIRED:
        return f"a certificate of the server has expired ({said}); renew it there."
    if error.verify_code == _NOT_YET_VALID:
        return f"the server's certificate is not valid yet ({said}); compare both clocks."
    return (
        f"nobody trusted has issued the server's certificate ({said}); add the authority's "
        "certificate to certificates."
    )
