"""People made by hand with the installed command, their mails, and people whom syncs pass over."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from syncd.app import App
from tests.acceptance.preloaded import QuickWorld
from tests.acceptance.world import ORGANIZATION, World
from tests.servers.slapd import PEOPLE, people
from tests.servers.smtp import MailServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.preloaded import Commands, MakeQuickWorld
    from tests.acceptance.world import Answer

pytest_plugins = ("tests.acceptance.quick",)

PASSWORD = "correct horse battery"
LINK = re.compile(r"^http://127\.0\.0\.1:8480/links/([\w-]{43})$", re.MULTILINE)


class Office(QuickWorld):
    """An organization whose people are made by hand; it has no directory."""

    def __init__(self, folder: Path, commands: Commands, **smtp: Any) -> None:
        self.folder = folder
        self.commands = commands
        self.store_url = f"sqlite:///{folder}/store.db"
        (folder / "organizations").mkdir(parents=True)
        names = {"id": ORGANIZATION, "name": "Acme Corp"}
        organization = {"organization": names, "provider": "admin"}
        self.organization_file.write_text(yaml.safe_dump(organization))
        daemon = {"store": {"url": self.store_url}, "smtp": smtp or None}
        self.config.write_text(yaml.safe_dump(daemon))
        self.upgrade()

    def redeem(self, secret: str, password: str | None = None) -> dict[str, Any]:
        """Open a link as the page behind it does."""
        app = App.load(str(self.config), environ={})
        try:
            return app.redeem_link(secret, password)
        finally:
            app.close()


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailServer]:
    """An SMTP server that takes mails."""
    with MailServer(tmp_path / "mail") as server:
        yield server


@pytest.fixture
def office(
    tmp_path: Path, commands: Commands, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> Office:
    """An organization of the admin provider, whose mails that server takes."""
    monkeypatch.setenv("SSL_CERT_FILE", str(mail.authority.certificate))
    return Office(tmp_path / "office", commands, **mail.settings())


def test_a_person_is_invited_by_mail_and_lets_himself_in(office: Office, mail: MailServer) -> None:
    """The mail arrives over TLS with a link that works once, and the person is enabled by it."""
    words = ("user", "create", ORGANIZATION, "mia@example.org", "--first-name", "Mia")
    made = World.syncd(office, "--json", *words, code=0).document
    assert made["mail"]["sent"] is True
    assert made["mail"]["link"] is None
    (taken,) = mail.taken
    assert (taken.sender, taken.recipients) == ("syncd@example.org", ["mia@example.org"])
    assert taken.tls
    assert taken.signed_in
    message = taken.message
    assert message["Subject"] == "Your account at Acme Corp"
    assert message["Auto-Submitted"] == "auto-generated"
    body = message.get_content()
    assert body.startswith("Hello Mia,")
    assert "Organization ID: acme" in body
    (secret,) = LINK.findall(body)
    (waiting,) = office.json("invitations", ORGANIZATION)
    assert waiting["username"] == "mia@example.org"
    assert secret not in json.dumps([made, waiting])
    office.redeem(secret, PASSWORD)
    shown = office.json("show", ORGANIZATION, "mia@example.org")
    assert (shown["enabled"], shown["email_verified"]) == (True, True)
    assert office.json("invitations", ORGANIZATION) == []
    # A password link, which is the only other way in.
    office.syncd("user", "password", ORGANIZATION, "mia@example.org", code=0, **trusting(mail))
    (secret,) = LINK.findall(mail.taken[-1].message.get_content())
    assert office.redeem(secret, "another good password")["purpose"] == "password"


def trusting(mail: MailServer) -> dict[str, str]:
    """Return the environment of a command that trusts the server's authority."""
    return {"SSL_CERT_FILE": str(mail.authority.certificate)}


def test_who_cannot_be_reached_stays_and_is_told(office: Office, mail: MailServer) -> None:
    """A refused mail leaves the person there, and the answer says how to send it again."""
    mail.refused.add("gone@example.org")
    (office.folder / "people.csv").write_text(
        "E-mail,First name\nmia@example.org,Mia\ngone@example.org,Gone\nnobody,\n"
    )
    words = ("--json", "user", "import", ORGANIZATION, "people.csv")
    answer = office.syncd(*words, code=4, **trusting(mail))
    report = answer.document
    assert report["counts"] == {"created": 2, "exists": 0, "invalid": 1}
    assert report["mails"] == {"sent": 1, "not_sent": 1}
    told = report["rows"][1]["mail"]
    assert "550" in told["because"]
    assert told["next"] == "syncd invitations send acme gone@example.org"
    assert [each["recipients"] for each in map(vars, mail.taken)] == [["mia@example.org"]]
    mail.refused.clear()
    office.syncd(*told["next"].split()[1:], code=0, **trusting(mail))
    assert len(mail.to("gone@example.org")) == 1


@pytest.mark.parametrize(
    ("names", "trusted", "changed", "said"),
    [
        ("DNS:localhost", False, {}, "certificate"),
        ("DNS:other.example", True, {}, "certificate"),
        ("DNS:localhost", True, {"password": "wrong"}, "smtp.username and smtp.password"),
        ("DNS:localhost", True, {"port": 1}, "smtp.host and smtp.port"),
    ],
    ids=["unknown-authority", "another-name", "password", "nobody-there"],
)
def test_a_mail_server_that_cannot_be_used_is_told(
    tmp_path: Path,
    commands: Commands,
    *,
    names: str,
    trusted: bool,
    changed: dict[str, Any],
    said: str,
) -> None:
    """Without trust, sign-in or connection no mail leaves, and the sentence says what to check."""
    with MailServer(tmp_path / "mail", names=names) as mail:
        office = Office(tmp_path / "office", commands, **mail.settings(**changed))
        environment = trusting(mail) if trusted else {}
        words = ("user", "create", ORGANIZATION, "mia@example.org")
        answer = office.syncd(*words, code=4, **environment)
        assert said in " ".join(answer.out.split())
        assert mail.taken == []
    assert "mia@example.org" in office.users()


def test_nothing_is_sent_in_clear(tmp_path: Path, commands: Commands) -> None:
    """A server that does not offer TLS gets neither the password nor the mail."""
    with MailServer(tmp_path / "mail", starttls=False) as server:
        office = Office(tmp_path / "office", commands, **server.settings())
        answer = office.syncd("user", "create", ORGANIZATION, "mia@example.org", code=4)
        assert "STARTTLS" in answer.out
        assert server.taken == []


def test_an_organization_gets_its_first_owner_without_a_mail_server(
    tmp_path: Path, commands: Commands
) -> None:
    """The link is printed for the operator to hand on; the last owner cannot be deleted."""
    office = Office(tmp_path / "office", commands)
    answer = office.syncd("owners", "add", ORGANIZATION, "--email", "boss@example.org", code=0)
    (secret,) = re.findall(r"/links/([\w-]{43})$", answer.out, re.MULTILINE)
    office.redeem(secret, PASSWORD)
    (owner,) = office.json("owners", "list", ORGANIZATION)
    assert (owner["username"], owner["enabled"]) == ("boss@example.org", True)

    def refused(*words: str) -> Answer:
        return office.syncd(*words, code=2)

    assert "owner" in refused("user", "delete", ORGANIZATION, "boss@example.org", "--yes").err
    assert "--yes" in refused("user", "delete", ORGANIZATION, "boss@example.org").err
    office.syncd("user", "create", ORGANIZATION, "mia@example.org", "--no-invite", code=0)
    office.syncd("owners", "add", ORGANIZATION, "mia@example.org", code=0)
    # She has not taken the invitation: the one who can sign in is the last one still.
    refused("user", "disable", ORGANIZATION, "boss@example.org")
    office.syncd("user", "delete", ORGANIZATION, "mia@example.org", "--yes", code=0)
    office.syncd("show", ORGANIZATION, "mia@example.org", code=7)


def test_syncs_pass_over_who_was_deleted_until_that_is_taken_back(
    quick_world: MakeQuickWorld,
) -> None:
    """A deleted person stays away in full, changed and single syncs, and comes back on request."""
    world = quick_world(people(4))
    world.upgrade()
    world.sync()
    before = world.users()["u00001"]
    deleted = world.json("user", "delete", ORGANIZATION, "u00001", "--yes", "--why", "asked")
    assert deleted["excluded"] is True
    (excluded,) = world.json("exclusions", ORGANIZATION)
    assert (excluded["username"], excluded["why"]) == ("u00001", "asked")
    assert excluded["external_id"] == before["external_id"]
    full = world.sync()
    assert (full["users"]["excluded"], full["users"]["created"]) == (1, 0)
    world.slapd.modify(f"uid=u00001,{PEOPLE}", {"sn": "Changed"})
    changed = world.json("sync", ORGANIZATION, "--changed")
    assert (changed["mode"], changed["users"]["excluded"]) == ("changed", 1)
    alone = world.json("sync", ORGANIZATION, "--user", "u00001")
    assert (alone["users"]["created"], alone["users"]["quarantined"]) == (0, 0)
    assert "u00001" not in world.users()
    for words in ((), ("--stored",)):
        explained = world.json("explain", ORGANIZATION, "u00001", *words)
        assert explained["reason"] == "excluded"
    world.syncd("exclusions", "remove", ORGANIZATION, "u00001", code=0)
    assert world.sync()["users"]["created"] == 1
    after = world.users()["u00001"]
    assert after["external_id"] == before["external_id"]
    assert after["id"] != before["id"]
    world.syncd("exclusions", "remove", ORGANIZATION, "u00001", code=7)
