"""TLS to a directory: who is trusted, and what a refused certificate means.

ldap3 turns host name checking off and then calls a function that newer Pythons no longer have, so
the socket is wrapped here, with a context of our own and OpenSSL's check of names and addresses.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import ldap3

from syncd.errors import CertificateRejected, DirectoryError, DirectoryUnavailable, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

# X509_V_ERR_* of OpenSSL's x509_vfy.h; the ssl module has no names for them.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_WRONG_HOST: Final = 62
_WRONG_ADDRESS: Final = 64
_UNTRUSTED: Final = frozenset({2, 18, 19, 20, 21})

_TOO_OLD: Final = frozenset(
    {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "WRONG_SSL_VERSION"}
)
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})


def client_context(ca_pem: Sequence[str], *, trust_system: bool) -> ssl.SSLContext:
    """Return a context that trusts the organization's certificates and nobody else.

    The system's authorities are trusted beside them with ``trust_system``, and alone when the
    organization has no certificates of its own.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    # An organization may hand in its issuing authority, or the server's own certificate, without
    # the root above it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for number, pem in enumerate(ca_pem, start=1):
        try:
            context.load_verify_locations(cadata=pem)
        except (ssl.SSLError, ValueError) as error:
            raise CertificateRejected(
                f"Certificate {number} of the organization cannot be read "
                f"({cut(error)}); it has to be a certificate in PEM form."
            ) from error
    if trust_system or not ca_pem:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


class VerifiedTls(ldap3.Tls):
    """ldap3's place for TLS, with the wrapping of a socket replaced."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        # Until when the certificate is valid that the server showed in the last handshake.
        self.not_after: datetime | None = None

    def wrap_socket(self, connection: ldap3.Connection, do_handshake: bool = False) -> None:  # noqa: FBT001, FBT002 - ldap3's signature
        """Put TLS on the connection's socket; the handshake is always made at once."""
        del do_handshake
        server = connection.server
        plain = connection.socket
        if plain is None:
            raise DirectoryUnavailable(f"The connection to {server.name} is closed.")
        plain.settimeout(server.connect_timeout)
        try:
            wrapped = self._context.wrap_socket(plain, server_hostname=server.host)
        except (OSError, ValueError) as error:
            # Nothing may follow in clear text.
            plain.close()
            raise handshake_error(server.name, error) from error
        wrapped.settimeout(connection.receive_timeout)
        connection.socket = wrapped
        self.not_after = not_after(wrapped)

    def _start_tls(self, connection: ldap3.Connection) -> bool:
        try:
            self.wrap_socket(connection)
        finally:
            connection.starting_tls = False
        connection.tls_started = True
        return True


def not_after(protected: ssl.SSLSocket) -> datetime | None:
    """Return until when the other side's certificate is valid."""
    shown = (protected.getpeercert() or {}).get("notAfter")
    if not isinstance(shown, str):
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown), tz=UTC)


def handshake_error(url: str, error: Exception) -> DirectoryError:
    """Return the sentence for a handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateRejected(f"{url}: {_verdict(error)}")
    if isinstance(error, TimeoutError):
        return DirectoryUnavailable(f"{url} did not answer the TLS handshake in time.")
    reason = getattr(error, "reason", None)
    if reason in _TOO_OLD:
        return CertificateRejected(
            f"{url} offers no TLS 1.2; enable TLS 1.2 or newer on the directory server."
        )
    if reason in _NOT_TLS:
        return DirectoryUnavailable(
            f"{url} does not speak TLS there; check the port, or use ldap:// for StartTLS."
        )
    return DirectoryUnavailable(
        f"{url} ended the TLS handshake ({cut(error)}); check the port and the server's log."
    )


def _verdict(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    said = cut(error.verify_message)
    if code in (_WRONG_HOST, _WRONG_ADDRESS):
        return (
            f"the server's certificate is for another name ({said}); "
            "use a name in connection_url that the certificate holds."
        )
    if code == _EXPIRED:
        return f"a certificate of the server has expired ({said}); renew it there."
    if code == _NOT_YET_VALID:
        return f"the server's certificate is not valid yet ({said}); compare both clocks."
    if code in _UNTRUSTED:
        return (
            f"nobody trusted has issued the server's certificate ({said}); add the "
            "authority's certificate to certificates, or set certificate_trust to with_system."
        )
    return f"the server's certificate was refused ({said}); replace it there."
