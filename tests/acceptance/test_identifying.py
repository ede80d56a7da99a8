"""Tokens, claims and providers at the installed command: `token verify`, `mappers try`, `idp`."""

from __future__ import annotations

import json
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from syncd.app import App
from syncd.cli.blocks import Line, text_of
from syncd.cli.exits import check_exit_code, verify_exit_code
from syncd.cli.render.identifying import verified_blocks
from syncd.errors import ProviderUnavailable, SignInRefused, UsageError
from syncd.oidc.tokens import IdToken
from syncd.oidc.validate import Validator
from tests.minting import signer
from tests.servers.provider import AUDIENCE, SECRET, Provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.preloaded import Commands
    from tests.acceptance.world import Answer

pytest_plugins = ["tests.acceptance.quick"]

ORGANIZATION = "login"
ROLES = [
    {
        "name": "staff",
        "type": "claim-to-role",
        "claim": "realm.roles",
        "contains": "staff",
        "role": "Support agent",
        "may_grant_privileged": True,
    },
    {"name": "teams", "type": "claim-to-group", "claim": "team", "equals": "red", "group": "/Red"},
]


@dataclass
class Login:
    """An organization with an identity provider, and a store that may not be there."""

    folder: Path
    provider: Provider
    commands: Commands

    def configure(self, *, store: str | None = None, **changes: Any) -> None:
        """Write the configuration anew; ``idp`` lays keys over the provider's section."""
        (self.folder / "organizations").mkdir(exist_ok=True)
        idp = self.provider.settings(**changes.pop("idp", {}))
        document = {
            "organization": {"id": ORGANIZATION, "name": "Login"},
            "provider": "idp",
            "idp": idp,
            "mappers": ROLES,
            **changes,
        }
        path = self.folder / "organizations" / f"{ORGANIZATION}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        url = store or f"sqlite:///{self.folder}/store.db"
        daemon = {"store": {"url": url}, "organizations": "organizations/*.yaml"}
        (self.folder / "syncd.yaml").write_text(yaml.safe_dump(daemon))

    def syncd(self, *words: str, given: str = "", code: int | None = None) -> Answer:
        """Run the installed command with ``given`` on standard input."""
        line = ["--config", str(self.folder / "syncd.yaml"), *words]
        answer = self.commands.run(line, self.folder, {}, given)
        assert code is None or answer.code == code, f"{words}: {answer}"
        return answer

    @contextmanager
    def app(self) -> Iterator[App]:
        """Open the application as the command does."""
        app = App.load(str(self.folder / "syncd.yaml"), environ={})
        try:
            yield app
        finally:
            app.close()

    def verify(self, token: str, *, code: int, **asked: Any) -> Any:
        """Return what is said of a token; the command would end with ``code``."""
        with self.app() as app:
            report = app.verify_token(ORGANIZATION, token, **asked)
        assert verify_exit_code(report) == code, report
        assert json.loads(json.dumps(report)) == report
        return report

    def arrives(self, subject: str, **claims: Any) -> int:
        """Let somebody arrive by a verified ID token, as a sign-in would; return the id."""
        with self.app() as app:
            validator = app.provider(ORGANIZATION).validator
            text = self.provider.id_token(subject, **claims)
            token = validator.id_token(text, now=time.time())
            assert isinstance(token, IdToken), token
            return app.arrive(ORGANIZATION, token).user_id


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """A provider that answers."""
    with Provider() as found:
        yield found


@pytest.fixture(scope="module")
def login(
    tmp_path_factory: pytest.TempPathFactory, provider: Provider, commands: Commands
) -> Login:
    """The organization over a store of this program's schema, in which ada is known."""
    found = Login(tmp_path_factory.mktemp("login"), provider, commands)
    found.configure(idp={"api_audience": AUDIENCE, "trust_email": True})
    found.syncd("db", "upgrade", code=0)
    found.arrives("ada")
    return found


@pytest.fixture
def bare(tmp_path: Path, provider: Provider, commands: Commands) -> Login:
    """The organization without any store."""
    found = Login(tmp_path, provider, commands)
    found.configure()
    return found


# --- token verify -------------------------------------------------------------------------------


def test_a_good_token_of_a_newcomer(login: Login, provider: Provider) -> None:
    """Each check is told in order, then the person as mapped, then what a sign-in would do."""
    token = provider.id_token("mia", realm={"roles": ["staff"]}, team="red", nonce="n-1")
    words = ("token", "verify", ORGANIZATION, "--json", "--nonce", "n-1")
    report = login.syncd(*words, given=token, code=0).document
    assert (report["outcome"], report["reason"]) == ("accepted", None)
    names = [check["check"] for check in report["checks"]]
    assert names[:3] == ["size", "form", "header"]
    assert names.index("key") < names.index("signature") < names.index("issuer")
    assert {check["outcome"] for check in report["checks"]} <= {"passed", "skipped"}
    assert all(check["detail"] for check in report["checks"])
    assert report["verified"]["subject"] == "mia"
    record = report["person"]["record"]
    assert record["username"] == "mia"
    assert record["email"] == "mia@example.test"
    assert record["roles"] == [{"name": "Support agent", "sources": ["staff"]}]
    assert [each["sources"] for each in record["groups"]] == [["teams"]]
    assert report["person"]["newcomer"]
    assert (report["then"]["would"], report["then"]["username"]) == ("create", "mia")
    with login.app() as app:
        assert [each["username"] for each in app.users(ORGANIZATION)] == ["ada"]


def test_somebody_who_is_known_and_a_name_that_is_taken(login: Login, provider: Provider) -> None:
    """The store says whether the subject is known, and what would stand in the way."""
    known = login.verify(provider.id_token("ada"), code=0)["then"]
    assert (known["would"], known["username"]) == ("keep", "ada")
    changed = login.verify(provider.id_token("ada", given_name="Augusta"), code=0)["then"]
    assert changed["would"] == "update"
    taken = login.verify(provider.id_token("other", preferred_username="ada"), code=1)
    assert (taken["outcome"], taken["then"]["would"]) == ("accepted", "refuse")
    assert taken["then"]["reason"] == "username_taken"
    with login.app() as app:
        assert app.quarantine(ORGANIZATION) == []


@pytest.mark.parametrize("change", [{"client_id": "another"}, {"issuer": "https://else.example"}])
def test_a_token_that_was_verified_for_another_makes_nobody(
    login: Login, provider: Provider, change: dict[str, Any]
) -> None:
    """One of another organization's provider, or of the one before the settings changed."""
    claims = {{"client_id": "aud", "issuer": "iss"}[name]: value for name, value in change.items()}
    with login.app() as app:
        ours = app.provider(ORGANIZATION)
        theirs = Validator(replace(ours.options, **change), ours.keys)
        token = theirs.id_token(provider.id_token("eve", **claims), now=time.time())
        assert isinstance(token, IdToken), token
        with pytest.raises(SignInRefused) as caught:
            app.arrive(ORGANIZATION, token)
        assert caught.value.reason == "other_provider"
        assert [each["username"] for each in app.users(ORGANIZATION)] == ["ada"]
        assert app.quarantine(ORGANIZATION) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"aud": "another"}, "wrong_audience", id="audience"),
        pytest.param({"iss": "https://elsewhere.example"}, "wrong_issuer", id="issuer"),
        pytest.param({"exp": 1}, "expired", id="expired"),
    ],
)
def test_a_refused_token_ends_with_the_check_that_failed(
    login: Login, provider: Provider, change: dict[str, Any], reason: str
) -> None:
    """The last check that is told is the one that failed, with its reason; the code is 1."""
    report = login.verify(provider.id_token("ada", **change), code=1)
    assert (report["outcome"], report["reason"]) == ("refused", reason)
    *before, last = report["checks"]
    assert last["outcome"] == "failed"
    assert "failed" not in {check["outcome"] for check in before}
    assert (report["claims"], report["person"], report["then"]) == (None, None, None)


@pytest.mark.parametrize(
    ("words", "broken"),
    [(("--debug",), False), (("--json", "--debug"), True)],
    ids=["right", "broken"],
)
def test_the_token_is_nowhere_to_be_seen(
    login: Login, provider: Provider, words: tuple[str, ...], broken: object
) -> None:
    """Neither output nor log nor traceback has the token, its payload or its signature."""
    token = provider.id_token("ada")
    given = token[:-20] + "%" + token[-19:] if broken else token
    answer = login.syncd("token", "verify", ORGANIZATION, *words, given=given + "\n")
    assert answer.code == (1 if broken else 0), answer.err
    for part in (given, *given.split(".")):
        assert part not in answer.out
        assert part not in answer.err
    assert SECRET not in answer.out + answer.err


def test_what_a_person_reads(login: Login, provider: Provider) -> None:
    """Without --json: the outcome first, the checks as a table, the person, and what follows."""
    token = provider.id_token("mia", realm={"roles": ["staff"]})
    told = " ".join(login.syncd("token", "verify", ORGANIZATION, given=token, code=0).out.split())
    assert told.startswith("The ID token is accepted for login.")
    assert "signature passed" in told
    assert "username mia <- preferred_username (mapper username)" in told
    assert "staff role Support agent yes the claim matches" in told
    assert "teams group /Red no the claim is not there" in told
    assert "A sign-in would make mia, who is not known yet. roles Support agent" in told
    refused = verified_blocks(login.verify(provider.id_token("ada", exp=1), code=1))
    assert isinstance(refused[0], Line)
    assert text_of(refused[0].pieces[-1]).startswith(" for login (expired): ")


def test_access_and_logout_tokens(login: Login, provider: Provider) -> None:
    """Of an access token it is told whether the API would let the person in; no kind is another."""
    let_in = login.verify(provider.access_token("ada"), kind="access", code=0)
    assert (let_in["then"]["would"], let_in["then"]["username"]) == ("let in", "ada")
    unknown = login.verify(provider.access_token("nobody"), kind="access", code=1)
    assert (unknown["outcome"], unknown["then"]["reason"]) == ("accepted", "unknown_person")
    logout = login.verify(provider.logout_token("ada"), kind="logout", code=0)
    assert (logout["verified"]["subject"], logout["then"]) == ("ada", None)
    assert login.verify(provider.logout_token("ada"), code=1)["outcome"] == "refused"
    assert login.verify(provider.id_token("ada"), kind="access", code=1)["outcome"] == "refused"


def test_without_a_store_the_token_is_checked_all_the_same(bare: Login, provider: Provider) -> None:
    """The store is only asked what would follow; that it is not there is said."""
    for store in (None, "postgresql+psycopg://nobody@127.0.0.1:1/nothing"):
        bare.configure(store=store)
        report = bare.verify(provider.id_token("mia"), code=0)
        assert (report["outcome"], report["then"]["would"]) == ("accepted", "unknown")
        assert report["then"]["detail"]
        assert report["person"]["record"]["username"] == "mia"


def test_a_provider_can_be_tried_before_it_is_the_active_one(
    bare: Login, provider: Provider
) -> None:
    """It is enough that the file has the section; without it the next step is told."""
    directory = {
        "connection_url": "ldaps://ldap.example.test",
        "certificate_trust": "with_system",
        "bind_type": "anonymous",
        "users_dn": "ou=people,dc=example,dc=test",
    }
    bare.configure(provider="ldap", ldap=directory)
    report = bare.verify(provider.id_token("mia"), code=0)
    assert report["person"]["record"]["username"] == "mia"
    bare.configure(provider="admin", mappers=[])
    path = bare.folder / "organizations" / f"{ORGANIZATION}.yaml"
    document = yaml.safe_load(path.read_text())
    del document["idp"]
    path.write_text(yaml.safe_dump(document))
    with bare.app() as app, pytest.raises(UsageError, match="syncd idp discover"):
        app.verify_token(ORGANIZATION, provider.id_token("mia"))


def test_keys_outlast_a_reload_that_changes_nothing_of_them(login: Login) -> None:
    """A provider that is away at that moment lets its people in as before; a changed one is new."""
    with login.app() as old, login.app() as same, login.app() as changed:
        provider = old.provider(ORGANIZATION)
        same.take_over(old)
        assert same.provider(ORGANIZATION) is provider
        ours = changed.settings.organizations[ORGANIZATION]
        assert ours.idp is not None
        idp = ours.idp.model_copy(update={"api_scope": "more"})
        other = {ORGANIZATION: ours.model_copy(update={"idp": idp})}
        changed.settings = replace(changed.settings, organizations=other)
        changed.take_over(old)
        found = changed.provider(ORGANIZATION)
        assert found.options.api_scope == "more"
        assert found.keys is not provider.keys


def test_keys_that_cannot_be_had(bare: Login, provider: Provider) -> None:
    """Nothing is said of a token whose provider does not answer; the code is 4."""
    bare.configure(idp={"jwks_url": "http://127.0.0.1:1/jwks"})
    report = bare.verify(provider.id_token("mia"), code=4)
    assert (report["outcome"], report["reason"]) == ("refused", "keys_unavailable")


def test_a_mapper_that_refuses_is_told_with_the_code_of_a_refusal(
    bare: Login, provider: Provider
) -> None:
    """The token may be right and its person not be let in."""
    gate = {"name": "gate", "type": "essential-claim", "claim": "team", "equals": "red"}
    bare.configure(mappers=[gate])
    report = bare.verify(provider.id_token("mia", team="blue"), code=1)
    assert (report["outcome"], report["then"]["would"]) == ("accepted", "refuse")
    assert report["then"]["reason"] == "essential_claim"
    assert report["person"]["record"] is None
    assert bare.verify(provider.id_token("mia", team="red"), code=0)["person"]["record"]


def test_there_is_no_other_kind(login: Login) -> None:
    """A kind that does not exist is a wrong call."""
    message = "--kind takes one of id, access, logout"
    with login.app() as app, pytest.raises(UsageError, match=message):
        app.verify_token(ORGANIZATION, "a.b.c", kind="refresh")


def test_nothing_on_standard_input(login: Login) -> None:
    """Without a token the command says so in one sentence."""
    answer = login.syncd("token", "verify", ORGANIZATION, given=" \n", code=2)
    assert "there is no token on standard input" in answer.err
    assert answer.err.count("\n") == 1


def test_a_token_without_end_is_not_read_to_its_end(login: Login) -> None:
    """Standard input is read to a limit; what is too long is told so."""
    words = ("token", "verify", ORGANIZATION, "--json")
    report = login.syncd(*words, given="x" * 3_000_000, code=1).document
    assert report["reason"] == "too_large"


# --- mappers try --------------------------------------------------------------------------------


def test_claims_of_a_file_are_mapped_as_a_newcomers(bare: Login, provider: Provider) -> None:
    """Claims need no token: the fields with their claims, and what each mapper gives and why."""
    claims = provider.claims("mia", realm={"roles": ["staff"]}, team=["blue"])
    file = bare.folder / "claims.json"
    file.write_text(json.dumps(claims))
    report = bare.syncd("mappers", "try", ORGANIZATION, "--claims", str(file), "--json", code=0)
    person = report.document["person"]
    assert person["record"]["username"] == "mia"
    assert person["record"]["roles"] == [{"name": "Support agent", "sources": ["staff"]}]
    found = {each["mapper"]: (each["outcome"], each["gives"]) for each in person["mappers"]}
    assert found == {"staff": ("matches", True), "teams": ("no_match", False)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"sub": "a", "sub": "b"}', "twice"),
        ('{"sub": "a", "x": NaN}', "no JSON"),
        ('{"email": "a@example.test"}', "lack `sub`"),
        ('{"sub": 5}', "lack `sub`"),
    ],
    ids=["nothing", "list", "duplicate", "NaN", "no sub", "sub is a number"],
)
def test_claims_that_cannot_be(bare: Login, given: str, message: str) -> None:
    """What is no object of claims is told with the next step."""
    with bare.app() as app, pytest.raises(UsageError, match=message):
        app.try_claims(ORGANIZATION, given.encode())


def test_a_token_is_no_claims(bare: Login, provider: Provider) -> None:
    """Whoever gives a token to `mappers try` is told the command for it, and nothing is echoed."""
    token = provider.id_token("mia")
    message = f"syncd token verify {ORGANIZATION}"
    with bare.app() as app, pytest.raises(UsageError, match=message) as raised:
        app.try_claims(ORGANIZATION, token.encode() + b"\n")
    assert token.split(".")[1] not in str(raised.value)


def test_claims_that_the_mappers_refuse(bare: Login) -> None:
    """A refusal is told with its reason and the code of entries that cannot be taken."""
    gate = {"name": "gate", "type": "essential-claim", "claim": "team", "equals": "red"}
    bare.configure(mappers=[gate])
    given = '{"sub": "s-1", "preferred_username": "mia"}'
    answer = bare.syncd("mappers", "try", ORGANIZATION, "--claims", "-", given=given, code=5)
    assert "The sign-in would be refused (essential_claim): " in answer.out


# --- idp discover, check --connect --------------------------------------------------------------


def test_discovered_settings_can_be_pasted(bare: Login, provider: Provider) -> None:
    """What `idp discover` writes, with id and secret added, is a configuration that works."""
    answer = bare.syncd("idp", "discover", provider.issuer, code=0)
    section = yaml.safe_load(answer.out)["idp"]
    assert section["issuer"] == provider.issuer
    assert section["jwks_url"] == f"{provider.origin}/jwks"
    secret = bare.folder / "client.secret"
    secret.write_text(SECRET)
    secret.chmod(stat.S_IRUSR | stat.S_IWUSR)
    document = {
        "organization": {"id": ORGANIZATION, "name": "Login"},
        "provider": "idp",
        "idp": section | {"client_id": "syncd", "client_secret_file": str(secret)},
    }
    path = bare.folder / "organizations" / f"{ORGANIZATION}.yaml"
    path.write_text(yaml.safe_dump(document))
    assert bare.verify(provider.id_token("mia"), code=0)["outcome"] == "accepted"
    document = App.idp_discover(provider.issuer)
    assert section == document["idp"]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1", "http://login.example.org", "nonsense", "https://u@login.example.org"],
)
def test_a_provider_that_cannot_be_discovered(url: str) -> None:
    """What stands in the way is one sentence, and the code that of an unavailable provider."""
    with pytest.raises(ProviderUnavailable) as raised:
        App.idp_discover(url)
    assert raised.value.exit_code == 4
    assert "\n" not in str(raised.value)


def test_a_network_that_is_none() -> None:
    """What may be asked besides is checked before anybody is asked."""
    with pytest.raises(UsageError, match=r"10\.0\.0\.0/99 is no network"):
        App.idp_discover("https://login.example.org", networks=["10.0.0.0/99"])


def test_check_connect_looks_at_keys_and_metadata(bare: Login) -> None:
    """Usable and ignored keys are told, and where the settings differ from the metadata."""
    weak = signer("RS256", "weak", 1024)

    def look(code: int) -> Any:
        with bare.app() as app:
            report = app.check(connect=True)
        assert check_exit_code(report) == code
        return report["organizations"][0]["connect"]

    with Provider("/check") as own:
        own.publish(own.key.jwk(), weak.jwk())
        bare.provider = own
        bare.configure(idp={"token_url": f"{own.origin}/other"})
        found = look(0)
        assert found["keys"]["usable"] == 1
        (ignored,) = found["keys"]["ignored"]
        assert "weak" in ignored
        (difference,) = found["discovery"]["differences"]
        assert "token_url" in difference
        told = bare.syncd("check", "--connect", code=0).out
        assert "1 key usable" in told
        assert "1 difference to the settings" in told
        own.describe(issuer=None)
        assert not look(0)["discovery"]["found"]
        del own.documents["/jwks"]
        assert look(4)["error"]["code"] == "provider_unavailable"
