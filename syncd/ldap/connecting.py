"""Getting to one server: its URL, the socket, TLS; before anybody binds."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPExceptionError, LDAPStartTLSError

from syncd.errors import DirectoryError, DirectoryUnavailable, cut
from syncd.ldap.stream import ConnectionLost, StreamStrategy
from syncd.ldap.traffic import CONNECT, START_TLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.ldap.connection import ConnectionOptions
    from syncd.ldap.tls import VerifiedTls
    from syncd.ldap.traffic import Traffic

_PORTS: Final = {"ldap": 389, "ldaps": 636}


class ServerUrl(NamedTuple):
    """The parts of a connection URL."""

    url: str
    tls: bool
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> ServerUrl:
        """Return the parts of ``url``; DirectoryError when it is no LDAP URL."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        if (
            parts.scheme not in _PORTS
            or not host
            or parts.username is not None
            or parts.path not in {"", "/"}
            or parts.query
            or parts.fragment
        ):
            raise DirectoryError(
                f"{cut(url)} is no LDAP server; write ldaps://HOST or ldap://HOST, "
                "with :PORT where it is not the usual one."
            )
        return cls(url, parts.scheme == "ldaps", host, port or _PORTS[parts.scheme])


def connected(
    server: ServerUrl,
    options: ConnectionOptions,
    tls: VerifiedTls,
    traffic: Traffic,
    deadline: float | None = None,
) -> StreamStrategy:
    """Connect to one server and start TLS; nobody is bound yet."""
    seconds = options.connect_timeout_seconds
    if deadline is not None:
        seconds = min(seconds, deadline - time.monotonic())
        if seconds <= 0:
            raise DirectoryUnavailable(f"{server.url} was not asked: the time was over before.")
    connection = ldap3.Connection(
        ldap3.Server(
            server.host,
            port=server.port,
            use_ssl=server.tls,
            get_info=ldap3.NONE,
            tls=tls,
            connect_timeout=seconds,
            allowed_referral_hosts=[],
        ),
        user=options.bind_dn,
        # As bytes, so that ldap3 does not prepare it: servers compare what other clients send.
        password=options.password.encode() if options.bind_dn and options.password else None,
        authentication=ldap3.SIMPLE if options.bind_dn else ldap3.ANONYMOUS,
        client_strategy=ldap3.SYNC,
        auto_bind=ldap3.AUTO_BIND_NONE,
        auto_referrals=False,
        auto_range=False,
        check_names=False,
        raise_exceptions=False,
        return_empty_attributes=False,
        read_only=True,
        receive_timeout=options.read_timeout_seconds,
    )
    wire = StreamStrategy.install(connection, traffic)
    wire.deadline = deadline
    try:
        with translated(server.url):
            with traffic.request(CONNECT):
                connection.open(read_server_info=False)
            if not server.tls and not options.insecure_clear_text_bind:
                with traffic.request(START_TLS, lambda: code_of(connection)):
                    connection.start_tls(read_server_info=False)
                    wire.require_tls()
            if tls.not_after is not None:
                traffic.certificate(tls.not_after)
    except BaseException:
        connection.password = None
        wire.close()
        raise
    return wire


def code_of(connection: ldap3.Connection) -> object:
    """Return the result code of the last answer, if there was one."""
    return connection.result.get("result") if connection.result else None


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn what ldap3 raises into errors that name the server."""
    try:
        yield
    except LDAPStartTLSError as error:
        raise DirectoryError(
            f"{url} refused StartTLS ({cut(error)}); enable TLS on the server or use ldaps://."
        ) from error
    except LDAPExceptionError as error:
        raise DirectoryUnavailable(f"{url}: {cut(error)}; look into the server's log.") from error
    except ConnectionLost as error:
        if "; " in str(error):
            raise
        # Nothing was bound yet, so the likeliest cause is that something else listens there.
        step = "check the server, its port, and whether it speaks ldap:// or ldaps:// there"
        raise DirectoryUnavailable(f"{str(error).rstrip('.')}; {step}.") from error
