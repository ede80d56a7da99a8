"""Owns a look at the certificate that a directory shows, for an operator and for a gauge.

It makes a TLS handshake of its own, with the trust of the real connection, and sends nothing but
the request for StartTLS.
"""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from syncd.errors import DirectoryUnavailable
from syncd.ldap import ber, messages, results
from syncd.ldap.report import TlsReport
from syncd.ldap.tls import client_context, handshake_error

if TYPE_CHECKING:
    from syncd.ldap.connection import ConnectionOptions

START_TLS: Final = "1.3.6.1.4.1.1466.20037"
EXTENDED_REQUEST: Final = 0x77
REQUEST_NAME: Final = 0x80
LDAPS: Final = "ldaps"
PORTS: Final = {"ldap": 389, LDAPS: 636}
RECEIVE_BYTES: Final = 65536
# The ssl module has long names where everybody reads short ones.
SHORT_NAMES: Final = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
}


def presented(url: str, options: ConnectionOptions, now: datetime) -> TlsReport | None:
    """Return the protection and certificate that a server shows; None for clear text.

    Raises:
        DirectoryError: The server does not answer, or its certificate is refused.

    """
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if scheme != LDAPS and options.insecure_clear_text_bind:
        return None
    context = client_context(options.ca_pem, trust_system=options.trust_system)
    address = (host, parts.port or PORTS.get(scheme, PORTS["ldap"]))
    try:
        with socket.create_connection(address, options.connect_timeout_seconds) as plain:
            if scheme != LDAPS:
                _start_tls(plain, url)
            with context.wrap_socket(plain, server_hostname=host) as protected:
                return _report(protected, now)
    except (OSError, ValueError) as error:
        raise handshake_error(url, error) from error


def _start_tls(plain: socket.socket, url: str) -> None:
    name = ber.encode(REQUEST_NAME, START_TLS.encode())
    plain.sendall(messages.encode_message(1, ber.encode(EXTENDED_REQUEST, name)))
    octets = b""
    while True:
        piece = plain.recv(RECEIVE_BYTES)
        octets += piece
        try:
            start, stop = ber.expect(octets, 0, len(octets), ber.SEQUENCE)
        except (ber.Malformed, IndexError):
            # The answer is one small message; it comes in pieces at worst.
            if piece and len(octets) < RECEIVE_BYTES:
                continue
            raise DirectoryUnavailable(f"{url} did not answer the request for StartTLS.") from None
        break
    result = messages.decode_result(octets, messages.decode_envelope(octets, start, stop))
    if result.code != results.SUCCESS:
        raise DirectoryUnavailable(f"{url} refused StartTLS: {results.describe(result)}.")


def _report(protected: ssl.SSLSocket, now: datetime) -> TlsReport:
    certificate = protected.getpeercert() or {}
    not_after = datetime.fromtimestamp(
        ssl.cert_time_to_seconds(str(certificate.get("notAfter"))), tz=UTC
    )
    names = certificate.get("subjectAltName", ())
    return TlsReport(
        version=protected.version() or "unknown",
        subject=_name(certificate.get("subject", ())),
        issuer=_name(certificate.get("issuer", ())),
        names=tuple(value for _, value in _pairs(names)),
        not_after=not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
        days_left=(not_after - now).days,
    )


def _name(rdns: object) -> str:
    """Return the name that ``getpeercert`` gives as nested tuples, most specific part first."""
    if not isinstance(rdns, tuple):
        return ""
    parts = [
        f"{SHORT_NAMES.get(kind, kind)}={value}" for rdn in rdns for kind, value in _pairs(rdn)
    ]
    return ", ".join(reversed(parts))


def _pairs(pairs: object) -> list[tuple[str, str]]:
    if not isinstance(pairs, tuple):
        return []
    return [
        (str(pair[0]), str(pair[1])) for pair in pairs if isinstance(pair, tuple) and len(pair) == 2
    ]
