"""Owns the tunnel through a proxy (RFC 9110, 9.3.6), and why there is none.

The provider's TLS runs within it and is checked as without one: a proxy sees names and sizes.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

import httpcore2

from syncd.errors import cut
from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.proxy import host_and_port
from syncd.oidc.trust import trust, verdict
from syncd.oidc.wire import TooMuch, Wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from syncd.oidc.addresses import Target
    from syncd.oidc.proxy import Proxy
    from syncd.oidc.wire import Budget

_DONE: Final = range(200, 300)
_WANTS_PASSWORD: Final = 407
_FORBIDDEN: Final = 403
_BEYOND: Final = frozenset({502, 503, 504})


class Tunnel(httpcore2.NetworkBackend):
    """Connects to a provider through a proxy, whose addresses are given."""

    def __init__(
        self, proxy: Proxy, found: Sequence[str], place: Target, budget: Budget, seconds: float
    ) -> None:
        self._proxy, self._place, self._seconds = proxy, place, seconds
        self._wire = Wire(found, budget)
        self._connection: httpcore2.HTTPConnection | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Ask the proxy for a connection to the provider.

        Raises:
            FetchFailed: It is not to be had.

        """
        del host, port, timeout, local_address, socket_options
        try:
            response = self._asked()
        except (
            TooMuch,
            httpcore2.TimeoutException,
            httpcore2.NetworkError,
            httpcore2.ProtocolError,
        ) as error:
            raise self._failure(error) from error
        if response.status not in _DONE:
            raise self._refused(response)
        stream: httpcore2.NetworkStream = response.extensions["network_stream"]
        return stream

    def close(self) -> None:
        """End the connection to the proxy."""
        if self._connection is not None:
            self._connection.close()
        self._wire.close()

    def _asked(self) -> httpcore2.Response:
        proxy, asked = self._proxy, host_and_port(self._place.host, self._place.port)
        url = httpcore2.URL(scheme=proxy.scheme, host=proxy.host, port=proxy.port, target=asked)
        self._connection = httpcore2.HTTPConnection(
            url.origin,
            ssl_context=trust(proxy.ca_pem) if proxy.scheme == "https" else None,
            network_backend=self._wire,
        )
        headers = {"Host": asked, "User-Agent": "syncd"}
        if proxy.authorization is not None:
            headers["Proxy-Authorization"] = proxy.authorization
        request = httpcore2.Request("CONNECT", url, headers=list(headers.items()))
        return self._connection.handle_request(request)

    def _refused(self, response: httpcore2.Response) -> FetchFailed:
        proxy, status = self._proxy, response.status
        asked = host_and_port(self._place.host, self._place.port)
        if status == _WANTS_PASSWORD:
            offered = [
                value.partition(b" ")[0].lower()
                for name, value in response.headers
                if name.lower() == b"proxy-authenticate"
            ]
            if offered and b"basic" not in offered:
                said = (
                    f"the proxy {proxy} does not take a user name and a password by Basic "
                    f"authentication ({status}), and syncd knows no other; let it pass this "
                    "machine's address."
                )
            elif proxy.authorization is None:
                said = (
                    f"the proxy {proxy} wants a user name and a password ({status}); write them "
                    "into the URL of outbound.proxy, best in outbound.proxy_file."
                )
            else:
                said = (
                    f"the proxy {proxy} does not take the user name and the password of "
                    f"outbound.proxy ({status}); correct them."
                )
        elif status == _FORBIDDEN:
            said = f"the proxy {proxy} does not let syncd through to {asked} ({status}); allow it."
        elif status in _BEYOND:
            said = (
                f"the proxy {proxy} cannot reach {asked} ({status}); check the URL, and what the "
                "proxy's log says."
            )
        else:
            said = (
                f"the proxy {proxy} answers with status {status} when it is asked for {asked}; "
                "check outbound.proxy, and that CONNECT is allowed there."
            )
        return FetchFailed(Cause.PROXY, f"{self._place}: {cut(said, 400)}")

    def _failure(self, error: Exception) -> FetchFailed:
        cause, what = error.__cause__, f"{self._place}: the proxy {self._proxy}"
        if isinstance(error, httpcore2.TimeoutException):
            return FetchFailed(
                Cause.TIMEOUT,
                f"{what} has made no connection within {self._seconds:g} seconds; check that it "
                "runs, and that it reaches the provider.",
            )
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = verdict(cause, url="outbound.proxy", certificates="outbound.certificates")
            return FetchFailed(Cause.PROXY, f"{what}: {said}")
        if isinstance(cause, ssl.SSLError):
            said = (
                f"ended the TLS handshake ({cut(cause.reason or cause)}); see whether outbound."
                "proxy has to start with http://."
            )
        elif isinstance(error, TooMuch | httpcore2.ProtocolError):
            said = "does not answer in HTTP/1.1; check outbound.proxy."
        else:
            because = cause.strerror if isinstance(cause, OSError) else None
            said = (
                f"cannot be reached ({cut(because or 'the connection ended')}); check "
                "outbound.proxy, and that the proxy runs."
            )
        return FetchFailed(Cause.PROXY, f"{what} {said}")
