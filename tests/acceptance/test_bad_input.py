"""Wrong settings are told in one sentence with the right exit code, and change nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.acceptance.preloaded import QuickWorld
from tests.acceptance.trouble import (
    as_json,
    check_invariants,
    content,
    lasting,
    run_as_anybody,
    run_program,
    sentence,
    told,
)
from tests.acceptance.world import ORGANIZATION, role
from tests.servers.authority import Authority
from tests.servers.slapd import PEOPLE, ROLES, SUFFIX, Slapd, free_port, people
from tests.servers.slapd import READER as ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.acceptance.preloaded import Commands
    from tests.acceptance.trouble import Stores

pytest_plugins = ["tests.acceptance.quick", "tests.acceptance.troubled"]

pytestmark = pytest.mark.parametrize("stores", ["sqlite"], indirect=True)
USAGE, UNAVAILABLE = 2, 4


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A directory with five people and a role."""
    with Slapd(ldif=people(5) + role("staff", "u00000", "u00001")) as server:
        yield server


@pytest.fixture(scope="module")
def synced(
    slapd: Slapd,
    stores: Stores,
    commands: Commands,
    tmp_path_factory: pytest.TempPathFactory,
) -> QuickWorld:
    """A world that has been synced; whatever is configured wrongly must leave it as it is."""
    world = QuickWorld(tmp_path_factory.mktemp("world"), slapd, stores.new())
    world.commands = commands
    world.sync()
    return world


@pytest.fixture
def world(synced: QuickWorld) -> Iterator[QuickWorld]:
    """The synced world, to be configured wrongly; afterwards it is what it was."""
    synced.configure()
    before = content(synced.store_url)
    yield synced
    synced.configure()
    found = check_invariants(synced.store_url, before)
    assert lasting(found, "journal") == lasting(before, "journal")


def configure(world: QuickWorld, ldap: dict[str, Any], **organization: Any) -> None:
    """Configure the directory's section with some keys replaced."""
    world.configure(ldap=ldap, **organization)


def failed(world: QuickWorld, code: int) -> str:
    """Run a sync that fails; return its sentence, which the report has too."""
    before = content(world.store_url)["watermark"]
    answer = world.syncd(*as_json(), code=code)
    said = sentence(answer)
    assert f"syncd: {answer.document['error']['message']}".rstrip(".") == said.rstrip(".")
    assert content(world.store_url)["watermark"] == before
    return said


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ldaps://nobody.invalid", "cannot be reached"),
        ("ldaps://directory..example", "is no host name"),
        (f"ldaps://{'x' * 64}.example", "is no host name"),
        ("ldaps://127.0.0.1:1", "cannot be reached (Connection refused)"),
        ("ldaps://127.0.0.1:{plain}", "check the port"),
        ("ldap://127.0.0.1:{tls}", "whether it speaks ldap:// or ldaps://"),
        ("ldaps://127.0.0.1:{other}", "check the port"),
    ],
)
def test_a_wrong_host_or_port_is_unavailable(
    world: QuickWorld, slapd: Slapd, url: str, words: str
) -> None:
    """An unknown name, a name that is none, a closed port and another service's port."""
    # A server of something else, which answers nothing that was asked of it.
    with Talker(b"220 mail.example ESMTP\r\n") as talker:
        given = url.format(plain=slapd.port, tls=slapd.tls_port, other=talker.port)
        configure(world, {"connection_url": given})
        assert words in failed(world, UNAVAILABLE)


def test_one_wrong_server_of_two_does_no_harm(world: QuickWorld, slapd: Slapd) -> None:
    """The second URL is used; when both are wrong, both are told in one sentence each."""
    closed = f"ldaps://127.0.0.1:{free_port()}"
    configure(world, {"connection_url": [closed, slapd.tls_url]})
    assert world.sync()["users"]["unchanged"] == 5
    configure(world, {"connection_url": [closed, "ldaps://nobody.invalid"]})
    said = failed(world, UNAVAILABLE)
    assert closed in said
    assert "nobody.invalid" in said


def test_a_certificate_of_another_authority_is_refused(world: QuickWorld, tmp_path: Path) -> None:
    """Nobody trusted has issued it: the sentence names certificates, and the exit code is 2."""
    other = Authority(tmp_path / "other", "Another CA")
    configure(world, {}, certificates=[str(other.certificate)])
    said = failed(world, USAGE)
    assert "nobody trusted has issued the server's certificate" in said
    assert "certificates" in said


@pytest.mark.parametrize(
    ("names", "days", "words"),
    [
        ("DNS:ldap.example.test", 30, "is for another name"),
        ("IP:127.0.0.2", 30, "is for another name"),
        ("IP:127.0.0.1", -1, "has expired"),
    ],
)
def test_a_certificate_that_does_not_fit_is_refused(
    world: QuickWorld, names: str, days: int, words: str
) -> None:
    """Another host's name, another address, and a date that has passed."""
    with Slapd(certificate_names=names, certificate_days=days) as server:
        (world.folder / "ca.pem").write_text(server.ca_pem)
        for url in (server.tls_url, server.url):
            configure(world, {"connection_url": url})
            assert words in failed(world, USAGE)
    (world.folder / "ca.pem").write_text(world.slapd.ca_pem)


def test_no_clear_text_bind_unless_it_is_allowed(world: QuickWorld) -> None:
    """A server without TLS gets no password: StartTLS is refused, and the sentence says so."""
    with Slapd(tls=False) as server:
        configure(world, {"connection_url": server.url})
        assert "StartTLS" in failed(world, UNAVAILABLE)


@pytest.mark.parametrize(
    ("ldap", "words"),
    [
        pytest.param({"bind_credential": "wrong"}, "invalidCredentials (49)", id="password"),
        pytest.param({"bind_dn": f"cn=nobody,{SUFFIX}"}, "invalidCredentials (49)", id="bind DN"),
        pytest.param({"bind_dn": "reader"}, "check bind_dn", id="no DN"),
    ],
)
def test_a_wrong_bind_is_refused_without_the_password_in_the_sentence(
    world: QuickWorld, ldap: dict[str, Any], words: str
) -> None:
    """The exit code is that of a configuration to correct; the secret stays out of it."""
    configure(world, ldap)
    said = failed(world, USAGE)
    assert words in said
    assert ACCOUNT.password not in said


@pytest.mark.parametrize(
    ("ldap", "words"),
    [
        pytest.param(
            {"users_dn": f"ou=nowhere,{SUFFIX}"}, "noSuchObject (32)", id="no such users DN"
        ),
        pytest.param(
            {"users_dn": [PEOPLE, f"ou=nowhere,{SUFFIX}"]},
            f"below ou=nowhere,{SUFFIX}",
            id="one of two users DNs",
        ),
        pytest.param(
            {"import_roles": {"roles_dn": f"ou=nowhere,{SUFFIX}"}},
            "noSuchObject (32)",
            id="no such roles DN",
        ),
        pytest.param({"users_dn": "people"}, "must be a DN", id="users DN that is none"),
    ],
)
def test_a_base_that_does_not_exist_is_refused(
    world: QuickWorld, ldap: dict[str, Any], words: str
) -> None:
    """A mistyped base is told with the base, and nobody counts as gone."""
    configure(world, ldap)
    assert words in failed(world, USAGE)


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"user_search_filter": "objectClass=person"}, "user_search_filter", "start with ( and end"),
    ({"user_search_filter": "(&(uid=a)(uid=b)"}, "user_search_filter", "closing parenthesis"),
    ({"user_search_filter": "(uid=a)(uid=b)"}, "user_search_filter", "join several as"),
    ({"usres_dn": PEOPLE}, "usres_dn", "did you mean users_dn?"),
    ({"import_roles": {"roles_dn": ROLES, "ldap_filer": "(a=b)"}}, "ldap_filer", "ldap_filter?"),
    ({"page_size": "many"}, "page_size", 'found "many"'),
    ({"bind_type": "simpel"}, "bind_type", "did you mean simple?"),
    ({"users_dn": ...}, "users_dn", "is required"),
]


@pytest.mark.parametrize(("ldap", "key", "words"), FAULTS)
def test_a_wrong_key_is_told_with_file_line_and_what_was_meant(
    world: QuickWorld, ldap: dict[str, Any], key: str, words: str
) -> None:
    """The sentence starts with FILE:LINE, where an editor goes, and names the key."""
    configure(world, ldap)
    said = failed(world, USAGE)
    file, line, rest = said.removeprefix("syncd: ").split(":", 2)
    assert file.endswith(f"{ORGANIZATION}.yaml")
    assert words in rest
    assert key in rest
    if ldap[key if key in ldap else "import_roles"] is not ...:
        written = world.organization_file.read_text().splitlines()
        assert key in written[int(line) - 1]


def test_all_faults_of_the_configuration_are_told_at_once(world: QuickWorld) -> None:
    """Three faults in two files: three lines, each with its file."""
    configure(world, {"usres_dn": PEOPLE, "page_size": 0})
    world.config.write_text(f"{world.config.read_text()}sotre: {{}}\n")
    answer = world.syncd("sync", ORGANIZATION, code=USAGE)
    first, *faults = told(answer.err)
    assert first == "syncd: the configuration has 3 faults:"
    assert [line.split(":")[0].strip().rpartition("/")[2] for line in sorted(faults)] == [
        f"{ORGANIZATION}.yaml",
        f"{ORGANIZATION}.yaml",
        "syncd.yaml",
    ]
    document = world.json("sync", ORGANIZATION, code=USAGE)
    assert len(document["error"]["faults"]) == 3
    assert all(fault["line"] for fault in document["error"]["faults"])


def _missing(secret: Path) -> None:
    secret.unlink()


def _forbidden(secret: Path) -> None:
    secret.chmod(0)


def _folder(secret: Path) -> None:
    secret.unlink()
    secret.mkdir()


def _empty(secret: Path) -> None:
    secret.write_text("\n")


def _binary(secret: Path) -> None:
    secret.write_bytes(b"\xff\xfe")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_missing, "No such file or directory"),
        (_forbidden, "Permission denied"),
        (_folder, "is not a file"),
        (_empty, "is empty"),
        (_binary, "is not UTF-8"),
    ],
)
def test_an_unreadable_secret_is_told_with_its_path_and_key(
    world: QuickWorld, tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    """The sentence names the key, its line and the file; the content is never in it."""
    secret = tmp_path / "bind.secret"
    secret.write_text(ACCOUNT.password)
    secret.chmod(0o600)
    configure(world, {"bind_credential": ..., "bind_credential_file": str(secret)})
    assert world.sync()["users"]["unchanged"] == 5
    spoil(secret)
    answer = run_as_anybody(world, "sync", ORGANIZATION)
    assert answer.code == USAGE
    said = sentence(answer)
    assert "ldap.bind_credential_file" in said
    assert str(secret) in said
    assert words in said


@pytest.mark.rule("K12", server="openldap")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("sync", "nobody"), 7, "there are: acme"),
        (("sync",), 2, "Missing argument"),
        (("sync", "acme", "--everything"), 2, "No such option"),
        (("snyc", "acme"), 2, "Did you mean 'sync'"),
        (("approve", "r-999999"), 7, "there is no run"),
        (("show", "acme", "nobody"), 7, "there is no person nobody"),
        (("sync", "acme", "--user", "nobody"), 7, "no person nobody"),
    ],
)
def test_a_wrong_command_is_told_in_one_sentence(
    world: QuickWorld, words: tuple[str, ...], code: int, said: str
) -> None:
    """Unknown organizations, people, runs, options and commands, each with its exit code."""
    assert said in sentence(world.syncd(*words, code=code))


def test_the_installed_command_itself_tells_a_wrong_password(world: QuickWorld) -> None:
    """What the other tests see of the program is what an operator sees of the command."""
    configure(world, {"bind_credential": "wrong"})
    answer = run_program(world.command(*as_json()), world.folder, as_json())
    assert answer.code == USAGE
    assert answer.document["error"]["code"] == "bind_rejected"
    assert "check bind_dn and bind_credential" in sentence(answer)


class Talker:
    """A server that says one thing to whoever connects, and then hangs up."""

    def __init__(self, words: bytes) -> None:
        self._words = words
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client:
                    client.sendall(self._words)
