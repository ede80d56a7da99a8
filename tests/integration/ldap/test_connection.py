"""Connecting, TLS, binding and small searches against a real OpenLDAP server."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from ldap3.core.exceptions import LDAPExceptionError

from syncd.errors import (
    BindRejected,
    CertificateRejected,
    DirectoryError,
    DirectoryUnavailable,
    SearchRejected,
)
from syncd.ldap.connection import Connection, ConnectionOptions
from syncd.ldap.search import SearchRequest
from syncd.records import Scope
from tests.servers.authority import Authority
from tests.servers.fault_proxy import FaultProxy, Faults
from tests.servers.slapd import PEOPLE, READER, SUFFIX, Slapd, free_port, person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ODD = "Jörg (Köln) * \\ Umlaut, & Söhne "


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A server with a few people."""
    with Slapd(ldif=person("ada") + person("odd", cn=ODD.strip()) + person("zoe")) as server:
        yield server


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], tuple[str, list[bytes]]]]:
    """Start listeners that answer the first request with given bytes and keep what they got."""
    with contextlib.ExitStack() as stack:

        def start(answer: bytes) -> tuple[str, list[bytes]]:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            got: list[bytes] = []

            def serve() -> None:
                with contextlib.suppress(OSError):
                    client, _ = listener.accept()
                    with client:
                        client.settimeout(5)
                        while piece := client.recv(65536):
                            got.append(piece)
                            client.sendall(answer)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            stack.callback(thread.join, 5)
            return f"ldap://127.0.0.1:{listener.getsockname()[1]}", got

        yield start


def _options(slapd: Slapd, **changes: object) -> ConnectionOptions:
    values: dict[str, object] = {
        "urls": (slapd.tls_url,),
        "bind_dn": READER.dn,
        "password": READER.password,
        "ca_pem": (slapd.ca_pem,),
        "connect_timeout_seconds": 2,
        "read_timeout_seconds": 2,
    }
    return ConnectionOptions(**(values | changes))  # type: ignore[arg-type]


def _people(filter_text: str = "(objectClass=person)", **changes: object) -> SearchRequest:
    values: dict[str, object] = {
        "base_dn": PEOPLE,
        "scope": Scope.SUBTREE,
        "filter": filter_text,
        "attributes": ("uid", "cn"),
    }
    return SearchRequest(**(values | changes))  # type: ignore[arg-type]


def _uids(connection: Connection, request: SearchRequest) -> list[str]:
    return sorted(entry.values("uid")[0].decode() for entry in connection.search(request))


class TestTransport:
    @pytest.mark.parametrize("scheme", ["ldaps", "ldap", "localhost"])
    def test_encrypted(self, slapd: Slapd, scheme: str) -> None:
        """ldaps:// and ldap:// with StartTLS both read, by IP address and by name."""
        url = {
            "ldaps": slapd.tls_url,
            "ldap": slapd.url,
            "localhost": f"ldaps://localhost:{slapd.tls_port}/",
        }[scheme]
        before = slapd.log.read_text().count("TLS established")
        with Connection.open(_options(slapd, urls=(url,))) as connection:
            assert _uids(connection, _people()) == ["ada", "odd", "zoe"]
            assert connection.url == url
        assert slapd.log.read_text().count("TLS established") == before + 1

    def test_clear_text(self, slapd: Slapd) -> None:
        """The insecure_ option binds in clear text and does no StartTLS."""
        before = slapd.log.read_text().count("TLS established")
        options = _options(slapd, urls=(slapd.url,), ca_pem=(), insecure_clear_text_bind=True)
        with Connection.open(options) as connection:
            assert _uids(connection, _people()) == ["ada", "odd", "zoe"]
        assert slapd.log.read_text().count("TLS established") == before

    @pytest.mark.parametrize("bind_dn", [READER.dn, None])
    def test_no_start_tls_no_bind(
        self, slapd: Slapd, answering: Callable[[bytes], tuple[str, list[bytes]]], bind_dn: str
    ) -> None:
        """A server that refuses StartTLS never sees a bind, so the password stays here."""
        # An extended response with protocolError for the first message id after any other.
        url, got = answering(b"")
        options = _options(slapd, urls=(url,), bind_dn=bind_dn, read_timeout_seconds=0.3)
        with pytest.raises(DirectoryUnavailable, match="did not answer"):
            Connection.open(options)
        assert len(got) == 1
        assert b"1.3.6.1.4.1.1466.20037" in got[0]
        assert READER.password.encode() not in got[0]

    def test_start_tls_refused(self) -> None:
        """A server without TLS is named with what to do, and nothing is bound."""
        with Slapd(ldif=person("ada"), tls=False) as bare:
            with pytest.raises(DirectoryError, match="refused StartTLS"):
                Connection.open(_options(bare, urls=(bare.url,)))
            assert "BIND" not in bare.log.read_text()

    def test_bytes_before_tls(self, slapd: Slapd) -> None:
        """Bytes slipped in behind the answer to StartTLS end the connection."""
        slipped = b"\x30\x0c\x02\x01\x05\x65\x07\x0a\x01\x00\x04\x00\x04\x00"
        with (
            FaultProxy(slapd.port, Faults(after_start_tls=slipped)) as proxy,
            pytest.raises(DirectoryUnavailable, match="between StartTLS and TLS"),
        ):
            Connection.open(_options(slapd, urls=(proxy.url,)))

    def test_not_ldap(
        self, slapd: Slapd, answering: Callable[[bytes], tuple[str, list[bytes]]]
    ) -> None:
        """A port where something else listens is said to be that."""
        url, _ = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(DirectoryUnavailable, match="check that an LDAP server listens"):
            Connection.open(_options(slapd, urls=(url,)))

    def test_tls_on_a_plain_port(self, slapd: Slapd) -> None:
        """ldaps:// to the port of ldap:// is one sentence."""
        url = f"ldaps://127.0.0.1:{slapd.port}"
        with pytest.raises(DirectoryUnavailable, match=r"TLS"):
            Connection.open(_options(slapd, urls=(url,)))

    def test_closed_port(self, slapd: Slapd) -> None:
        """A port where nobody listens is one sentence that names it."""
        url = f"ldaps://127.0.0.1:{free_port()}"
        with pytest.raises(DirectoryUnavailable, match="check host, port and firewall") as caught:
            Connection.open(_options(slapd, urls=(url,)))
        assert url in str(caught.value)

    def test_unknown_host(self, slapd: Slapd) -> None:
        """A host name that does not resolve is one sentence that names it."""
        with pytest.raises(DirectoryUnavailable, match=r"ldap\.invalid"):
            Connection.open(_options(slapd, urls=("ldaps://ldap.invalid",)))

    @pytest.mark.parametrize(
        "url", ["http://x", "x", "ldap://", "ldaps://x:99999", "ldap://x/dc=y", "ldaps://a:b@x"]
    )
    def test_no_ldap_url(self, slapd: Slapd, url: str) -> None:
        """What is no LDAP URL is refused before anything is tried."""
        with pytest.raises(DirectoryError, match="is no LDAP server"):
            Connection.open(_options(slapd, urls=(slapd.tls_url, url)))


class TestCertificates:
    def test_unknown_issuer(self, slapd: Slapd, tmp_path: Path) -> None:
        """A certificate of an authority that nobody trusts is refused with what to add."""
        other = Authority(tmp_path, "Other CA")
        for url in (slapd.url, slapd.tls_url):
            with pytest.raises(CertificateRejected, match="certificate_trust"):
                Connection.open(_options(slapd, urls=(url,), ca_pem=(other.pem,)))

    def test_system_only(self, slapd: Slapd) -> None:
        """Without organization certificates the system's authorities decide."""
        with pytest.raises(CertificateRejected, match="nobody trusted"):
            Connection.open(_options(slapd, ca_pem=()))

    def test_one_of_several(self, slapd: Slapd, tmp_path: Path) -> None:
        """Any of the organization's certificates may vouch for the server."""
        other = Authority(tmp_path, "Other CA")
        options = _options(slapd, ca_pem=(other.pem, slapd.ca_pem), trust_system=True)
        with Connection.open(options) as connection:
            assert connection.root_dse().values("namingContexts") == [SUFFIX.encode()]

    def test_server_certificate_itself(self, slapd: Slapd) -> None:
        """The server's own certificate may be the anchor, without the authority above it."""
        options = _options(slapd, ca_pem=(slapd.certificate.read_text(),))
        with Connection.open(options) as connection:
            assert not connection.closed

    @pytest.mark.parametrize("names", ["DNS:ldap.example.test", "DNS:127.0.0.1", "IP:127.0.0.2"])
    def test_wrong_name(self, names: str) -> None:
        """A certificate for another host or address is refused, over both ways to TLS."""
        with Slapd(certificate_names=names) as other:
            for url in (other.url, other.tls_url):
                with pytest.raises(CertificateRejected, match="for another name"):
                    Connection.open(_options(other, urls=(url,)))
            assert "BIND" not in other.log.read_text()

    def test_expired(self) -> None:
        """An expired certificate is refused and said to be that."""
        with (
            Slapd(certificate_days=-1) as other,
            pytest.raises(CertificateRejected, match="has expired"),
        ):
            Connection.open(_options(other))

    def test_unreadable_anchor(self, slapd: Slapd) -> None:
        """An organization certificate that is none is named by its number."""
        with pytest.raises(CertificateRejected, match="Certificate 2"):
            Connection.open(_options(slapd, ca_pem=(slapd.ca_pem, "no certificate")))


class TestBind:
    def test_wrong_password(self, slapd: Slapd) -> None:
        """A refused password ends the attempt, and no further server is asked."""
        options = _options(slapd, urls=(slapd.tls_url, slapd.url), password="wrong")
        before = slapd.log.read_text().count("err=49")
        with pytest.raises(BindRejected, match=r"invalidCredentials \(49\)") as caught:
            Connection.open(options)
        assert slapd.log.read_text().count("err=49") == before + 1
        assert "wrong" not in str(caught.value)

    @pytest.mark.parametrize("credentials", [{"password": ""}, {"password": None}, {"bind_dn": ""}])
    def test_nothing_to_bind_with(self, slapd: Slapd, credentials: dict[str, str | None]) -> None:
        """An empty password or DN is refused here: servers would take it for anonymous."""
        with pytest.raises(BindRejected, match="is empty"):
            Connection.open(_options(slapd, **credentials))

    def test_anonymous(self, slapd: Slapd) -> None:
        """An anonymous bind works, over TLS too, and sees what anonymous may see."""
        options = _options(slapd, urls=(slapd.url,), bind_dn=None, password=None)
        with Connection.open(options) as connection:
            assert connection.root_dse().values("supportedLDAPVersion") == [b"3"]
            with pytest.raises(SearchRejected) as caught:
                connection.search(_people())
        assert caught.value.result_code == 50

    def test_malformed_bind_dn(self, slapd: Slapd) -> None:
        """A bind DN that the server cannot read is a refused bind with the code's name."""
        with pytest.raises(BindRejected, match=r"invalidDNSyntax \(34\)"):
            Connection.open(_options(slapd, bind_dn="reader"))

    def test_no_secret(self, slapd: Slapd) -> None:
        """The password is in no representation."""
        assert READER.password not in repr(_options(slapd))

    def test_never_writes(self, slapd: Slapd) -> None:
        """A write is refused on this side, before the server could allow it."""
        with (
            Connection.open(_options(slapd)) as connection,
            pytest.raises(LDAPExceptionError, match="read-only"),
        ):
            connection._wire.connection.delete(PEOPLE)


class TestFailover:
    def test_next_server(self, slapd: Slapd) -> None:
        """A server that is away is skipped for the next."""
        away = f"ldaps://127.0.0.1:{free_port()}"
        with Connection.open(_options(slapd, urls=(away, slapd.tls_url))) as connection:
            assert connection.url == slapd.tls_url

    def test_next_after_a_refused_certificate(self, slapd: Slapd) -> None:
        """A server with a wrong certificate is skipped too, since nothing was sent to it."""
        with Slapd(certificate_names="DNS:other") as wrong:
            options = _options(slapd, urls=(wrong.tls_url, slapd.tls_url))
            with Connection.open(options) as connection:
                assert connection.url == slapd.tls_url

    def test_all_away(self, slapd: Slapd, tmp_path: Path) -> None:
        """When no server can be used, each of them is named with its failure."""
        away = f"ldaps://127.0.0.1:{free_port()}"
        options = _options(slapd, urls=(slapd.tls_url, away), ca_pem=(Authority(tmp_path).pem,))
        with pytest.raises(DirectoryUnavailable) as caught:
            Connection.open(options)
        assert slapd.tls_url in str(caught.value)
        assert away in str(caught.value)

    def test_none(self, slapd: Slapd) -> None:
        """No server at all is said to be that."""
        with pytest.raises(DirectoryError, match="no connection_url"):
            Connection.open(_options(slapd, urls=()))


class TestTimeouts:
    @pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
    def test_while_connecting(self, slapd: Slapd, scheme: str) -> None:
        """A server that accepts and then says nothing is given up after the time-out."""
        options = _options(
            slapd,
            urls=(slapd.url if scheme == "ldap" else slapd.tls_url,),
            connect_timeout_seconds=0.4,
            read_timeout_seconds=0.3,
        )
        with slapd.paused(), pytest.raises(DirectoryUnavailable, match="did not answer"):
            Connection.open(options)

    def test_while_searching(self, slapd: Slapd) -> None:
        """A server that stops answering is an error, the connection is closed and stays so."""
        with Connection.open(_options(slapd, read_timeout_seconds=0.3)) as connection:
            with slapd.paused(), pytest.raises(DirectoryUnavailable, match=r"for 0\.3 seconds"):
                connection.search(_people())
            assert connection.closed
            with pytest.raises(DirectoryUnavailable, match="is closed"):
                connection.search(_people())

    def test_server_stopped(self) -> None:
        """A server that is stopped ends the next search, not the program."""
        with Slapd() as other, Connection.open(_options(other)) as connection:
            other.stop()
            with pytest.raises(DirectoryUnavailable):
                connection.search(_people())


class TestSearch:
    @pytest.mark.parametrize(
        ("filter_text", "uids"),
        [
            ("(&(objectClass=person)(uid=ada))", ["ada"]),
            ("(|(uid=ada)(uid=zoe)(uid=nobody))", ["ada", "zoe"]),
            ("(&(uid=*)(!(uid=ada)))", ["odd", "zoe"]),
            (r"(cn=j\c3\b6rg \28k\c3\b6ln\29 \2a \5c umlaut, & s\c3\b6hne)", ["odd"]),
            ("(cn=Jörg*)", ["odd"]),
            ("(cn=*\\28*umlaut*)", ["odd"]),
            ("(modifyTimestamp>=20000101000000Z)", ["ada", "odd", "zoe"]),
            ("(modifyTimestamp<=20000101000000Z)", []),
            ("(cn~=Person ada)", ["ada"]),
            ("(uid=a*)", ["ada"]),
            ("(uid=*a)", ["ada"]),
            ("(uid=*d*)", ["ada", "odd"]),
            ("(&(uid=*)(&))", ["ada", "odd", "zoe"]),
            ("(&(uid=*)(|))", []),
            ("(:dn:caseIgnoreMatch:=people)", ["ada", "odd", "zoe"]),
            ("(uid:caseExactMatch:=zoe)", ["zoe"]),
            ("(uid=a\\00)", []),
        ],
    )
    def test_filters(self, slapd: Slapd, filter_text: str, uids: list[str]) -> None:
        """Every kind of filter and every escaped byte arrives as it was meant."""
        with Connection.open(_options(slapd)) as connection:
            request = _people(f"(&(objectClass=person){filter_text})")
            assert _uids(connection, request) == uids

    @pytest.mark.parametrize(
        "filter_text", ["uid=ada", "(uid=ada", "", "(&)(|)", "(=)", "()", "(uid=\\zz)"]
    )
    def test_broken_filter(self, slapd: Slapd, filter_text: str) -> None:
        """A filter that is none is refused with a sentence and leaves the connection usable."""
        with Connection.open(_options(slapd)) as connection:
            with pytest.raises(SearchRejected):
                connection.search(_people(filter_text))
            assert _uids(connection, _people()) == ["ada", "odd", "zoe"]

    def test_scopes(self, slapd: Slapd) -> None:
        """Base, one level and subtree reach as far as they say."""
        with Connection.open(_options(slapd)) as connection:
            found = {
                scope: len(connection.read(_people("(uid=*)", base_dn=SUFFIX, scope=scope)))
                for scope in Scope
            }
        assert found == {Scope.BASE: 0, Scope.ONE_LEVEL: 0, Scope.SUBTREE: 3}

    def test_missing_base(self, slapd: Slapd) -> None:
        """A base that is not there is refused, or empty for those who said so."""
        request = _people(base_dn=f"ou=nowhere,{SUFFIX}")
        with Connection.open(_options(slapd)) as connection:
            with pytest.raises(SearchRejected, match=r"noSuchObject \(32\)") as caught:
                connection.search(request)
            assert caught.value.result_code == 32
            assert connection.search(_people(base_dn=request.base_dn, missing_ok=True)) == []

    def test_size_limit(self, slapd: Slapd) -> None:
        """A small search that the server cut short is an error and no short answer."""
        with (
            Connection.open(_options(slapd)) as connection,
            pytest.raises(DirectoryError, match=r"sizeLimitExceeded \(4\)"),
        ):
            connection.search(_people(size_limit=2))

    def test_root_dse(self, slapd: Slapd) -> None:
        """The root DSE tells the controls and naming contexts of the server."""
        with Connection.open(_options(slapd)) as connection:
            root = connection.root_dse()
        assert root.dn == ""
        assert b"1.2.840.113556.1.4.319" in root.values("supportedControl")


class TestLog:
    @pytest.mark.parametrize("clear", [False, True])
    def test_repeatable(self, slapd: Slapd, tmp_path: Path, *, clear: bool) -> None:
        """Each search is told as the command that repeats it, without the password."""
        commands: list[str] = []
        options = _options(slapd, urls=(slapd.url,), insecure_clear_text_bind=clear)
        with Connection.open(options, on_search=commands.append) as connection:
            expected = _uids(connection, _people("(&(objectClass=person)(!(cn=* x)))"))
        assert len(commands) == 1
        assert READER.password not in commands[0]
        secret = tmp_path / "secret"
        secret.write_text(READER.password)
        words = shlex.split(commands[0])
        at = words.index("-W")
        words[at : at + 1] = ["-y", str(secret)]
        authority = tmp_path / "ca.pem"
        authority.write_text(slapd.ca_pem)
        environment = {**os.environ, "LDAPTLS_CACERT": str(authority)}
        environment.pop("LDAPNOINIT", None)
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        found = [line[5:] for line in done.stdout.splitlines() if line.startswith("uid: ")]
        assert sorted(found) == expected
