"""The demo's embedded directory, asked by OpenLDAP's own clients."""

from __future__ import annotations

import base64
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from demo import company
from demo.company import GROUPS, PEOPLE, READER, ROLES, SOFTWARE, SUFFIX, WORKSHOP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Client:
    """OpenLDAP's command line clients, bound as the reader unless told otherwise."""

    def __init__(self, directory: company.Company) -> None:
        self._url = directory.url
        self._environment = dict(os.environ, LDAPTLS_CACERT=str(directory.certificate))

    def run(
        self,
        program: str,
        *arguments: str,
        bind: str | None = READER,
        password: str | None = None,
        ldif: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the clients."""
        who = []
        if bind is not None:
            who = ["-D", bind, "-w", company.password(bind) if password is None else password]
        return subprocess.run(
            [program, "-x", "-H", self._url, *who, *arguments],
            check=False,
            capture_output=True,
            text=True,
            input=ldif,
            env=self._environment,
        )

    def lines(self, *arguments: str) -> list[str]:
        """Return the decoded lines of a search's LDIF, in the order of the entries."""
        found = self.run("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", SUFFIX, *arguments)
        assert found.returncode == 0, found.stderr
        decoded = []
        for line in found.stdout.splitlines():
            name, _, value = line.partition(":")
            if value.startswith(":"):
                value = " " + base64.b64decode(value[1:]).decode()
            if name and not name.startswith("#"):
                decoded.append(f"{name}:{value}")
        return decoded

    def names(self, *arguments: str) -> list[str]:
        """Return the DNs that a search found."""
        found = self.lines(*arguments, "1.1")
        return [line.removeprefix("dn: ") for line in found if line.startswith("dn: ")]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The OpenLDAP clients, pointed at a directory that nobody changes."""
    with company.running(tmp_path_factory.mktemp("directory")) as running:
        yield Client(running)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[company.Company]:
    """A directory of this test's own."""
    with company.running(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    ("search_filter", "expected"),
    [
        ("(UID=JGross)", [f"uid=jgross,{SOFTWARE}"]),
        ("(&(objectClass=INETORGPERSON)(sn=kr*r))", [f"uid=wkrueger,{WORKSHOP}"]),
        ("(&(sn=K*)(!(mail=*keller*))(title=fore*))", [f"uid=wkrueger,{WORKSHOP}"]),
        ("(sn=Nygård)", [rf"cn=Nygård\, Ola,ou=nordics,ou=sales,{PEOPLE}"]),
        (
            rf"(member=CN=lindström\5c2C  Åsa, OU=nordics,ou=sales,{PEOPLE})",
            [f"cn=Price Lists,{ROLES}", f"cn=First Aid,{ROLES}"],
        ),
        (f"(&(memberOf=cn=first aid,{ROLES})(sn>=i)(sn<=k))", [f"uid=nivanova,{WORKSHOP}"]),
        (
            "(&(modifyTimestamp>=20200101000000Z)(ou=people))",
            [PEOPLE],
        ),
        (
            "(&(objectClass=inetOrgPerson)(!(uid=*)))",
            [f"cn=Front Desk Phone,ou=management,{PEOPLE}"],
        ),
        ("(sn:2.5.13.2:=Groß)", []),
    ],
)
def test_filters_match_as_in_any_directory(
    client: Client, search_filter: str, expected: list[str]
) -> None:
    """Letter case, spaces and escapes do not matter in names and values; memberOf is computed."""
    assert client.names(search_filter) == expected


def test_an_entry_is_found_by_its_id(client: Client) -> None:
    """Each entry has an entryUUID by which it can be searched, and which a rename keeps."""
    found = client.lines("(uid=mkeller)", "entryUUID")
    entry_uuid = found[1].removeprefix("entryUUID: ")
    assert client.names(f"(entryUUID={entry_uuid.upper()})") == [f"uid=mkeller,{SOFTWARE}"]


def test_pages_are_whole_and_the_control_may_be_critical(client: Client) -> None:
    """A paged search delivers every entry once, however the pages fall."""
    everything = client.names()
    for size in (1, 7, len(everything), 1000):
        assert client.names("-E", f"!pr={size}/noprompt") == everything


@pytest.mark.parametrize(
    ("arguments", "bind", "password", "code"),
    [
        (["-b", SUFFIX], READER, "wrong", 49),
        (["-b", SUFFIX], f"cn=nobody,{SUFFIX}", "wrong", 49),
        (["-b", SUFFIX], READER, "", 53),
        (["-b", SUFFIX], None, None, 50),
        (["-b", f"ou=none,{SUFFIX}"], READER, None, 32),
        (["-b", "nonsense"], READER, None, 34),
        (["-b", SUFFIX, "-z", "3"], READER, None, 4),
        (["-b", SUFFIX, "-E", "!1.2.3.4"], READER, None, 12),
        (["-b", "", "-s", "base"], None, None, 0),
    ],
)
def test_refusals_have_their_result_codes(
    client: Client, arguments: list[str], bind: str | None, password: str | None, code: int
) -> None:
    """What cannot be answered is refused with the code that any directory gives."""
    done = client.run("ldapsearch", *arguments, bind=bind, password=password)
    assert done.returncode == code, done.stderr


def test_the_root_dse_names_the_context_and_the_control(client: Client) -> None:
    """Before any bind the root DSE says what the server holds and can do."""
    found = client.run("ldapsearch", "-LLL", "-b", "", "-s", "base", bind=None).stdout
    assert f"namingContexts: {SUFFIX}" in found
    assert "supportedControl: 1.2.840.113556.1.4.319" in found


def test_attributes_are_sent_as_they_are_asked_for(client: Client) -> None:
    """User attributes come by default, operational ones by name or plus sign, passwords never."""

    def asked(*attributes: str) -> set[str]:
        found = client.lines("-s", "base", "-b", READER, *attributes)
        return {line.partition(":")[0] for line in found} - {"dn"}

    user = {"objectClass", "cn"}
    operational = {"createTimestamp", "entryDN", "entryUUID", "modifyTimestamp"}
    assert asked() == user
    assert asked("*", "+") == user | operational
    assert asked("userPassword", "ENTRYUUID") == {"entryUUID"}


def test_a_monday_changes_what_the_story_says(directory: company.Company) -> None:
    """The joiner is there, the leaver gone, the renamed one has her id, roles follow both."""
    client = Client(directory)
    before = client.lines("(uid=mkeller)", "entryUUID")[1]
    stamp = client.lines("(uid=mkeller)", "modifyTimestamp")[1]
    time.sleep(1.1)
    directory.monday()
    assert client.names("(uid=noeberg)") == [f"uid=noeberg,{SOFTWARE}"]
    assert client.names("(|(uid=spetrov)(uid=mkeller))") == []
    assert client.lines("(uid=mbrandt)", "entryUUID", "uid", "sn", "memberOf") == [
        f"dn: uid=mbrandt,{SOFTWARE}",
        "sn: Keller-Brandt",
        before,
        "uid: mbrandt",
        f"memberOf: cn=Developers,{ROLES}",
        f"memberOf: cn=Software,{GROUPS}",
    ]
    assert client.lines("(uid=mbrandt)", "modifyTimestamp")[1] > stamp
    assert f"cn=Geräteprüfer,{ROLES}" in client.names(f"(member=uid=nivanova,{WORKSHOP})")
    assert client.names(f"(member=uid=mkeller,{SOFTWARE})") == []


@pytest.mark.parametrize(
    ("ldif", "code"),
    [
        (f"dn: {PEOPLE}\nchangetype: delete\n", 66),
        (f"dn: uid=jgross,{SOFTWARE}\nchangetype: add\nobjectClass: person\n", 68),
        (f"dn: uid=new,ou=none,{SUFFIX}\nchangetype: add\nobjectClass: person\n", 32),
        (f"dn: uid=jgross,{SOFTWARE}\nchangetype: modify\nadd: uid\nuid: JGROSS\n", 20),
        (f"dn: uid=jgross,{SOFTWARE}\nchangetype: modify\ndelete: mail\nmail: other\n", 16),
        (
            f"dn: uid=jgross,{SOFTWARE}\nchangetype: modify\nreplace: entryUUID\nentryUUID: 0\n",
            19,
        ),
        (f"dn: uid=jgross,{SOFTWARE}\nchangetype: modify\ndelete: mail\n", 0),
        (
            f"dn: uid=jgross,{SOFTWARE}\nchangetype: moddn\nnewrdn: uid=jg\ndeleteoldrdn: 0\n",
            0,
        ),
    ],
)
def test_changes_follow_the_tree(directory: company.Company, ldif: str, code: int) -> None:
    """A change that would break the tree is refused; the others are done."""
    done = Client(directory).run("ldapmodify", bind=company.ADMIN, ldif=ldif)
    assert done.returncode == code, done.stderr


def test_the_reader_may_not_write(client: Client) -> None:
    """The account that syncd uses can change nothing."""
    ldif = f"dn: uid=jgross,{SOFTWARE}\nchangetype: delete\n"
    assert client.run("ldapmodify", ldif=ldif).returncode == 50
    assert client.names("(uid=jgross)") == [f"uid=jgross,{SOFTWARE}"]
