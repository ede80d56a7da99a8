"""Whether somebody knows his directory password, asked of a real OpenLDAP server."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import (
    CertificateRejected,
    DirectoryError,
    DirectoryUnavailable,
    SignInRefused,
)
from syncd.ldap import ber, messages
from syncd.ldap.authenticate import Authenticator
from syncd.ldap.ber import decode_entry
from syncd.ldap.connection import ConnectionOptions
from syncd.ldap.listings import UserSearch
from syncd.records import Scope
from tests.servers.answering import talking
from tests.servers.authority import Authority
from tests.servers.slapd import PEOPLE, READER, SUFFIX, Slapd, person

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

PASSWORD = "correct horse*)(uid=*"
POLICIES = f"ou=policies,{SUFFIX}"
LONG_AGO = "20200101000000Z"
STRANGE = "we*ird (x)\\"
PATIENCE_SECONDS = 10


def _policy(name: str, **attributes: str) -> str:
    lines = [
        f"dn: cn={name},{POLICIES}",
        "objectClass: pwdPolicy",
        "objectClass: organizationalRole",
        f"cn: {name}",
        "pwdAttribute: userPassword",
        *(f"{key}: {value}" for key, value in attributes.items()),
    ]
    return "\n".join(lines) + "\n\n"


def _with(name: str, policy: str = "", **attributes: str) -> str:
    more = {"userPassword": PASSWORD} | attributes
    if policy:
        more["pwdPolicySubentry"] = f"cn={policy},{POLICIES}"
    return person(name, **more)


LDIF = (
    _policy("aging", pwdMaxAge="3600")
    + _policy("grace", pwdMaxAge="3600", pwdGraceAuthNLimit="2")
    + _policy("warning", pwdMaxAge="3600", pwdExpireWarning="3600")
    + _policy("reset", pwdMustChange="TRUE")
    + _with("ada")
    + _with("joerg")
    + _with("locked", pwdAccountLockedTime="000001010000Z")
    + _with("expired", "aging", pwdChangedTime=LONG_AGO)
    + _with("grace", "grace", pwdChangedTime=LONG_AGO)
    + _with("reset", "reset", pwdReset="TRUE")
    + _with("former", employeeType="former")
    + person("none")
    + person("twin", userPassword=PASSWORD)
    + person("twin", userPassword=PASSWORD).replace("uid=twin,", "cn=twin,")
    + _with("odd").replace("uid: odd", f"uid: odd\nuid: {STRANGE}")
    + person("outside", container=SUFFIX, userPassword=PASSWORD)
)


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A server that binds whoever has no password as nobody, with success."""
    with Slapd(ldif=LDIF, overlays=("ppolicy",), general="allow bind_anon_cred") as server:
        yield server


def _options(slapd: Slapd, **changes: Any) -> ConnectionOptions:
    values: dict[str, Any] = {
        "urls": (slapd.tls_url,),
        "bind_dn": READER.dn,
        "password": READER.password,
        "ca_pem": (slapd.ca_pem,),
    }
    return ConnectionOptions(**(values | changes))


USERS = UserSearch(
    base_dns=(PEOPLE,),
    scope=Scope.SUBTREE,
    filter="(&(objectClass=inetOrgPerson)(!(employeeType=former)))",
    username_attribute="uid",
    uuid_attribute="entryUUID",
    attributes=("entryUUID", "uid", "cn", "pwdAccountLockedTime"),
)


def _authenticator(slapd: Slapd, **changes: Any) -> Authenticator:
    return Authenticator(_options(slapd, **changes), USERS)


def _refusal(slapd: Slapd, username: str, password: str = PASSWORD) -> SignInRefused:
    with pytest.raises(SignInRefused) as refused:
        _authenticator(slapd).authenticate(username, password)
    assert password not in str(refused.value)
    return refused.value


def _said(slapd: Slapd, what: str, *, since: int = 0) -> int:
    return slapd.log.read_text(errors="replace")[since:].count(what)


@pytest.mark.rule("H9", server="openldap")
@pytest.mark.parametrize("scheme", ["ldaps", "StartTLS"])
def test_the_right_password_brings_the_entry(slapd: Slapd, scheme: str) -> None:
    """Whoever knows his password comes with his entry as the service account reads it."""
    url = slapd.tls_url if scheme == "ldaps" else slapd.url
    found = _authenticator(slapd, urls=(url,)).authenticate(" ADA ", PASSWORD)
    entry = decode_entry(found.raw)
    assert (found.dn, found.warning) == (f"uid=ada,{PEOPLE}", None)
    assert entry.values("uid") == [b"ada"]
    assert len(entry.values("entryUUID")) == 1


@pytest.mark.parametrize(
    ("username", "reason"),
    [
        ("locked", "locked"),
        ("expired", "password_expired"),
        ("reset", "must_change_password"),
        ("none", "wrong_password"),
        ("former", "unknown_user"),
        ("outside", "unknown_user"),
        ("nobody", "unknown_user"),
        ("twin", "several_users"),
    ],
)
def test_why_somebody_is_not_let_in(slapd: Slapd, username: str, reason: str) -> None:
    """The right password is not enough where the directory or the search says otherwise."""
    assert _refusal(slapd, username).reason == reason


def test_a_wrong_password_is_that(slapd: Slapd) -> None:
    """Nothing but the password differs from somebody who is let in."""
    assert _refusal(slapd, "joerg", "not this one").reason == "wrong_password"
    assert _authenticator(slapd).authenticate("joerg", PASSWORD)


def test_a_password_that_has_expired_may_be_borne(slapd: Slapd) -> None:
    """What the policy still allows lets in, with a warning, until it allows no more."""
    warning = _authenticator(slapd).authenticate("grace", PASSWORD).warning
    assert warning == "the password has expired; 1 sign-ins are left with it"
    _authenticator(slapd).authenticate("grace", PASSWORD)
    assert _refusal(slapd, "grace").reason == "password_expired"


@pytest.mark.rule("H7", server="openldap")
@pytest.mark.parametrize(
    "username",
    [
        pytest.param(each, id=name)
        for name, each in {
            "all": "*",
            "beginning": "a*",
            "closed": ")(uid=*",
            "or": "a*)(|(x=",
            "and": "ada)(objectClass=*",
            "or-closed": "ada))(|(uid=*",
            "escape": "\\2a",
            "nul": "ada\0",
            "nul-all": "ada\0*",
            "newline": "a\nda",
            "surrogate": "\udcff",
            "long": "é" * 300,
            "cyrillic": "\u0430da",
            "rdn": "ada,ou=people",
            "dn": f"uid=ada,{PEOPLE}",
            "empty": "",
            "blank": " ",
            "spaces": "joerg  joerg",
            "wide": "\uff41\uff44\uff41",
            "ignorable": "a\u00adda",
        }.items()
    ],
)
def test_a_username_is_a_value_and_never_a_filter(slapd: Slapd, username: str) -> None:
    """Nothing that is typed means anybody but him whose username it is."""
    with pytest.raises(SignInRefused) as refused:
        _authenticator(slapd).authenticate(username, PASSWORD)
    assert refused.value.reason in {"unknown_user", "wrong_password"}


def test_a_username_may_look_like_a_filter(slapd: Slapd) -> None:
    """Somebody whose username has such characters signs in as everybody."""
    assert _authenticator(slapd).authenticate(STRANGE, PASSWORD).dn == f"uid=odd,{PEOPLE}"


@pytest.mark.rule("H8", server="openldap")
@pytest.mark.parametrize(
    "password",
    [
        pytest.param(each, id=name)
        for name, each in {
            "empty": "",
            "space": " ",
            "white": "\t\r\n",
            "hard-space": "\u00a0",
            "nul": "\0",
            "nuls": "\0\0",
            "with-nul": "x\0",
            "long": "x" * 2000,
            "surrogate": "x\udcff",
        }.items()
    ],
)
def test_an_empty_password_reaches_no_server(slapd: Slapd, password: str) -> None:
    """A server that takes a bind without a password for success is not even asked."""
    before = _said(slapd, "ACCEPT")
    with pytest.raises(SignInRefused) as refused:
        _authenticator(slapd).authenticate("ada", password)
    assert refused.value.reason in {"no_password", "wrong_password"}
    # The next one is asked: the count is worth something.
    _authenticator(slapd).authenticate("ada", PASSWORD)
    assert _said(slapd, "ACCEPT") == before + 2


@pytest.mark.rule("H7", server="openldap")
@pytest.mark.parametrize("username", ["nobody", "twin"])
def test_nobody_is_bound_all_the_same(slapd: Slapd, username: str) -> None:
    """A username without an entry, or with two, costs a bind as one with an entry does."""
    since = len(slapd.log.read_text())
    _refusal(slapd, username)
    assert _said(slapd, f'BIND dn="{READER.dn}" method=128', since=since) == 1
    assert _said(slapd, f',{PEOPLE}" method=128', since=since) == 1
    assert _said(slapd, 'BIND dn="uid=', since=since) == 0


def test_no_connection_stays_open(slapd: Slapd) -> None:
    """Both connections are closed by the time that the answer is known."""
    since = len(slapd.log.read_text())
    _authenticator(slapd).authenticate("ada", PASSWORD)
    _refusal(slapd, "ada", "not this one")
    until = time.monotonic() + PATIENCE_SECONDS
    while _said(slapd, " closed", since=since) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    assert _said(slapd, "ACCEPT", since=since) == _said(slapd, " closed", since=since) == 4


@pytest.mark.rule("H12", server="openldap")
def test_nothing_that_was_typed_is_logged(slapd: Slapd, caplog: pytest.LogCaptureFixture) -> None:
    """At the most talkative level neither the password nor the username is in any log."""
    caplog.set_level(logging.DEBUG)
    typed = "my password by mistake"
    assert typed not in str(_refusal(slapd, typed))
    _refusal(slapd, "ada", "planted secret")
    _authenticator(slapd).authenticate("ada", PASSWORD)
    assert not [each for each in (typed, "planted secret", PASSWORD) if each in caplog.text]


@pytest.mark.rule("H10", server="openldap")
def test_a_referral_gets_no_password(slapd: Slapd) -> None:
    """Another server that the directory points to sees nobody, and whoever is there is unknown."""
    with Slapd(ldif=_with("elsewhere")) as other:
        pointing = (
            f"dn: ou=other,{PEOPLE}\nobjectClass: referral\nobjectClass: extensibleObject\n"
            f"ou: other\nref: {other.url}/{PEOPLE}??sub\n\n"
        )
        with Slapd(ldif=pointing + _with("here")) as first:
            before = other.log.read_text().count("ACCEPT")
            assert _refusal(first, "elsewhere").reason == "unknown_user"
            assert _authenticator(first).authenticate("here", PASSWORD)
            assert other.log.read_text().count("ACCEPT") == before
            assert "BIND" not in other.log.read_text()


@pytest.mark.rule("H10", server="openldap")
def test_no_password_without_tls() -> None:
    """A server without TLS sees no password of anybody, unless the insecure_ option says so."""
    with Slapd(ldif=_with("ada"), tls=False) as bare:
        with pytest.raises(DirectoryError):
            _authenticator(bare, urls=(bare.url,)).authenticate("ada", PASSWORD)
        assert "BIND" not in bare.log.read_text()
        insecure = _authenticator(bare, urls=(bare.url,), insecure_clear_text_bind=True)
        assert insecure.authenticate("ada", PASSWORD)


@pytest.mark.rule("H10", server="openldap")
def test_a_server_that_nobody_trusts_sees_no_password(slapd: Slapd, tmp_path: Path) -> None:
    """The person's bind is checked by the same authority as the service account's."""
    since = len(slapd.log.read_text())
    other = Authority(tmp_path / "other")
    with pytest.raises(CertificateRejected):
        _authenticator(slapd, ca_pem=(other.pem,)).authenticate("ada", PASSWORD)
    assert _said(slapd, "BIND", since=since) == 0


def test_a_directory_that_does_not_answer(slapd: Slapd) -> None:
    """All that a sign-in asks ends at one moment, and says nothing of the password."""
    patient = _options(slapd, read_timeout_seconds=600, connect_timeout_seconds=600)
    with slapd.paused(), pytest.raises(DirectoryUnavailable):
        Authenticator(patient, USERS, seconds=0.3).authenticate("ada", PASSWORD)
    with pytest.raises(DirectoryUnavailable):
        Authenticator(patient, USERS, seconds=0).authenticate("ada", PASSWORD)
    assert Authenticator(patient, USERS).authenticate("ada", PASSWORD)


def test_a_second_server_answers_for_one_that_is_away(slapd: Slapd) -> None:
    """The bind goes to the server that answered the search."""
    gone = _authenticator(slapd, urls=("ldaps://127.0.0.1:1", slapd.tls_url))
    assert gone.authenticate("ada", PASSWORD).dn == f"uid=ada,{PEOPLE}"


def _answers(identity: bytes | None) -> Callable[[socket.socket], None]:
    """Return an LDAP server that binds whoever comes, and says that he is ``identity``."""
    done = ber.encode(ber.ENUMERATED, b"\0") + ber.encode(ber.OCTET_STRING, b"") * 2
    unsupported = done.replace(b"\x0a\x01\0", b"\x0a\x01\x02")
    uid = ber.encode(ber.OCTET_STRING, b"uid") + ber.encode(
        ber.SET, ber.encode(ber.OCTET_STRING, b"ada")
    )
    values = ber.encode(ber.SEQUENCE, ber.encode(ber.SEQUENCE, uid))
    found = ber.encode(ber.OCTET_STRING, f"uid=ada,{PEOPLE}".encode()) + values
    extended = unsupported if identity is None else done + ber.encode(0x8B, identity)
    answers = {
        0x60: [ber.encode(messages.BIND_RESPONSE, done)],
        0x63: [
            ber.encode(messages.SEARCH_RESULT_ENTRY, found),
            ber.encode(messages.SEARCH_RESULT_DONE, done),
        ],
        0x77: [ber.encode(messages.EXTENDED_RESPONSE, extended)],
    }

    def talk(connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_SECONDS)
        while asked := connection.recv(65536):
            start, end = ber.expect(asked, 0, len(asked), ber.SEQUENCE)
            message = messages.decode_envelope(asked, start, end)
            for each in answers.get(message.operation, []):
                connection.sendall(messages.encode_message(message.message_id, each))

    return talk


@pytest.mark.rule("H9", server="pure")
@pytest.mark.parametrize(
    ("identity", "let_in"),
    [
        pytest.param(f"dn:uid=ada,{PEOPLE}".encode(), True, id="same"),
        pytest.param(f"dn: UID=Ada, {PEOPLE.upper()}".encode(), True, id="spelt-otherwise"),
        pytest.param(b"u:EXAMPLE\\ada", True, id="other-form"),
        pytest.param(None, True, id="not-offered"),
        pytest.param(f"dn:uid=zoe,{PEOPLE}".encode(), False, id="another"),
        pytest.param(b"dn:", False, id="root"),
        pytest.param(b"dn:no dn", False, id="no-dn"),
        pytest.param(b"", False, id="anonymous"),
        pytest.param(b"u:", False, id="nobody"),
    ],
)
def test_the_bind_has_to_be_that_of_the_entry(identity: bytes | None, let_in: bool) -> None:  # noqa: FBT001
    """A server that says success and took the bind for another one's lets nobody in."""
    with talking(_answers(identity)) as port:
        options = ConnectionOptions(
            urls=(f"ldap://127.0.0.1:{port}",), ca_pem=(), insecure_clear_text_bind=True
        )
        asked = Authenticator(options, USERS)
        if let_in:
            assert asked.authenticate("ada", PASSWORD).dn == f"uid=ada,{PEOPLE}"
            return
        with pytest.raises(SignInRefused) as refused:
            asked.authenticate("ada", PASSWORD)
    assert refused.value.reason == "other_identity"


def test_the_service_account_is_refused(slapd: Slapd) -> None:
    """Its trouble is the operator's and not a wrong password of the person's."""
    with pytest.raises(DirectoryError):
        _authenticator(slapd, password="another").authenticate("ada", PASSWORD)
