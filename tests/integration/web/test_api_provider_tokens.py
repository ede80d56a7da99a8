"""Access tokens of an identity provider at the API: whom they let in, and how far."""

from __future__ import annotations

import http.client
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from syncd.app import App
from syncd.oidc.tokens import IdToken
from syncd.store.database import Database
from syncd.store.migrate import upgrade
from tests.integration.web.served import PATIENCE_SECONDS, Answer, Served
from tests.minting import Signer, encoded, json_bytes, signer
from tests.servers.provider import AUDIENCE, SCOPE, Provider
from tests.servers.slapd import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INVALID = 'Bearer realm="syncd", error="invalid_token"'


def organization(org: str, provider: Provider, **idp: Any) -> dict[str, Any]:
    """Return the file of an organization whose people the provider knows."""
    return {
        "organization": {"id": org, "name": org.capitalize()},
        "provider": "idp",
        "idp": provider.settings(api_audience=AUDIENCE, **idp),
        "mappers": [
            {
                "name": "admins",
                "type": "claim-to-role",
                "claim": "groups",
                "contains": "admins",
                "role": "Admin",
                "may_grant_privileged": True,
            }
        ],
    }


class Bridge(Served):
    """The process, with organizations that have identity providers beside those of the API."""

    def __init__(
        self, folder: Any, store_url: str, north: Provider, shared: Provider, away: Provider
    ) -> None:
        super().__init__(folder, store_url)
        self.metrics_port = free_port()
        self.configure(metrics={"port": self.metrics_port}, log={"level": "debug"})
        self.organization("north", organization("north", north, api_scope=SCOPE))
        self.organization("east", organization("east", shared))
        self.organization("west", organization("west", shared))
        self.organization("away", organization("away", away))
        closed = organization("closed", north)
        del closed["idp"]["api_audience"]
        self.organization("closed", closed)
        self.app = App.load(str(self.config), environ={})

    def arrives(self, org: str, provider: Provider, subject: str, **claims: Any) -> int:
        """Let somebody arrive by a verified ID token, as a sign-in would; return the id."""
        validator = self.app.provider(org).validator
        token = validator.id_token(provider.id_token(subject, **claims), now=time.time())
        assert isinstance(token, IdToken), token
        return self.app.arrive(org, token).user_id

    def scrape(self) -> dict[str, float]:
        """Return what monitoring is told."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture(scope="module")
def north() -> Iterator[Provider]:
    """A provider that one organization has."""
    with Provider() as found:
        yield found


@pytest.fixture(scope="module")
def shared() -> Iterator[Provider]:
    """A provider that two organizations have."""
    with Provider("/tenant", signer("ES256", "e1")) as found:
        yield found


@pytest.fixture(scope="module")
def bridge(
    tmp_path_factory: pytest.TempPathFactory, north: Provider, shared: Provider
) -> Iterator[Bridge]:
    """The process; of north ada is an admin, mia has no role, and kim is shut out."""
    folder = tmp_path_factory.mktemp("bridge")
    url = f"sqlite:///{folder}/store.db"
    database = Database(url)
    upgrade(database)
    database.close()
    away = Provider("/away")
    away.stop()
    with Bridge(folder / "config", url, north, shared, away) as found:
        found.arrives("north", north, "ada", groups=["admins"])
        found.arrives("north", north, "mia")
        kim = found.arrives("north", north, "kim", groups=["admins"])
        found.manage("north").users.disable(kim)
        found.arrives("east", shared, "eve")
        found.arrives("west", shared, "wim")
        found.arrives("east", shared, "both")
        found.arrives("west", shared, "both")
        yield found


def _sent(bridge: Served, token: str, path: str = "/north/me") -> Answer:
    return bridge.ask("GET", path, token=token)


# --- who is let in ------------------------------------------------------------------------------


def test_a_person_asks_with_his_own_permissions(bridge: Bridge, north: Provider) -> None:
    """An access token opens what its person may do in the store, and nothing more."""
    me = _sent(bridge, north.access_token("ada")).body
    assert (me["name"], me["organization"], me["token_id"]) == ("user ada", "north", None)
    assert me["permissions"]["users"] == "edit"
    assert not me["owner"]
    assert _sent(bridge, north.access_token("ada"), "/north/users").status == 200
    refused = _sent(bridge, north.access_token("mia"), "/north/users")
    assert (refused.status, refused.reason) == (403, "not_allowed")
    assert 'error="insufficient_scope", scope="users:view"' in refused.headers["www-authenticate"]
    changed = bridge.ask(
        "POST", "/north/groups", {"name": "Readers"}, token=north.access_token("ada")
    )
    assert changed.status == 201
    (entry, *_) = bridge.ask("GET", "/north/journal?limit=1", token=north.access_token("ada")).body[
        "items"
    ]
    assert entry["actor"] == "user ada"


def _bare(provider: Provider, **header: Any) -> str:
    text = f"{encoded(json_bytes({'alg': 'none', 'typ': 'at+jwt'} | header))}."
    return text + provider.access_token().split(".")[1] + "."


def _by_secret(provider: Provider) -> str:
    secret = provider.settings()["client_secret"].encode()
    payload = provider.access_token().split(".")[1]
    header = encoded(json_bytes({"alg": "HS256", "typ": "at+jwt", "kid": provider.key.key_id}))
    signing = f"{header}.{payload}"
    return f"{signing}.{encoded(Signer('HS256', None, secret).signature(signing))}"


def _changed_signature(provider: Provider) -> str:
    head, payload, signature = provider.access_token().split(".")
    return f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


CLAIMS = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")


@pytest.mark.rule("A1", server="http")
@pytest.mark.rule("A2", server="http")
@pytest.mark.rule("A3", server="http")
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda p: p.id_token(), id="ID token"),
        pytest.param(lambda p: p.id_token(aud=AUDIENCE), id="ID token for the API"),
        pytest.param(lambda p: p.access_token(header={"typ": "JWT"}), id="typ JWT"),
        pytest.param(lambda p: p.logout_token(aud=AUDIENCE), id="logout token"),
        pytest.param(lambda p: p.access_token(aud="another"), id="another audience"),
        *(
            pytest.param(lambda p, name=name: p.access_token(**{name: None}), id=f"no {name}")
            for name in CLAIMS
        ),
        pytest.param(lambda p: p.access_token(iss="https://elsewhere.test"), id="issuer"),
        pytest.param(lambda p: p.access_token(exp=int(time.time())), id="expired"),
        pytest.param(_bare, id="alg none"),
        pytest.param(_by_secret, id="HS256 with the client secret"),
        pytest.param(_changed_signature, id="another signature"),
        pytest.param(
            lambda p: p.access_token(header={"kid": "unheard of"}), id="a key nobody published"
        ),
        pytest.param(lambda p: p.access_token("nobody"), id="a person who is not known"),
        pytest.param(lambda p: p.access_token("kim"), id="a person who is shut out"),
        pytest.param(lambda _: "a.b.c", id="no token"),
        pytest.param(lambda _: "..", id="empty parts"),
        pytest.param(lambda p: p.access_token() + "x" * 40_000, id="too large"),
        pytest.param(lambda p: p.access_token().replace(".", ".é", 1), id="not ascii"),
    ],
)
def test_whatever_is_wrong_the_answer_is_one(
    bridge: Bridge, north: Provider, make: Callable[[Provider], str]
) -> None:
    """A token that lets nobody in is told so in one way, and nothing of it is repeated."""
    token = make(north)
    answer = _sent(bridge, token)
    assert (answer.status, answer.reason) == (401, "not_authenticated")
    assert answer.headers["www-authenticate"] == INVALID
    assert "is not valid here" in answer.body["detail"]
    assert token not in answer.raw.decode()


@pytest.mark.rule("A4", server="http")
@pytest.mark.parametrize("scope", ["openid", "", SCOPE.upper(), f"{SCOPE}.more", None])
def test_a_token_that_lacks_the_scope(bridge: Bridge, north: Provider, scope: str | None) -> None:
    """A token that was made for something else is told which scope it lacks."""
    answer = _sent(bridge, north.access_token(scope=scope))
    assert (answer.status, answer.reason) == (403, "insufficient_scope")
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="syncd", error="insufficient_scope", scope="{SCOPE}"'
    )


# --- whose it is --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/acme/me", "/east/me", "/closed/me", "/nowhere/me"])
def test_another_organization_is_not_there(bridge: Bridge, north: Provider, path: str) -> None:
    """A token on another organization's path is told what it is told of one that nobody has."""
    answer = _sent(bridge, north.access_token("ada"), path)
    assert (answer.status, answer.reason) == (404, "not_found")


def test_the_path_decides_between_organizations_of_one_provider(
    bridge: Bridge, shared: Provider
) -> None:
    """Where two organizations take one provider's tokens, each lets its own people in."""
    both = shared.access_token("both")
    for org in ("east", "west"):
        me = _sent(bridge, both, f"/{org}/me").body
        assert (me["organization"], me["name"]) == (org, "user both")
    assert _sent(bridge, shared.access_token("eve"), "/east/me").status == 200
    assert _sent(bridge, shared.access_token("eve"), "/west/me").status == 401


def test_without_a_path_the_organization_has_to_be_clear(
    bridge: Bridge, north: Provider, shared: Provider
) -> None:
    """The list of organizations is that of the token's one; of two it would be a guess."""
    one = _sent(bridge, north.access_token("ada"), "")
    assert [each["id"] for each in one.body["items"]] == ["north"]
    for path in ("", "/acme/me", "/nowhere/me"):
        assert _sent(bridge, shared.access_token("both"), path).status == 401


def test_a_provider_that_cannot_be_asked(bridge: Bridge) -> None:
    """Without keys nothing is said of a token, and the caller may try again."""
    away = yaml.safe_load((bridge.folder / "organizations/away.yaml").read_text())
    stopped = Provider("/away")
    stopped.stop()
    token = stopped.access_token("ada", iss=away["idp"]["issuer"])
    answer = _sent(bridge, token, "/away/me")
    assert (answer.status, answer.reason) == (503, "provider_unavailable")
    assert answer.headers["retry-after"]
    assert "127.0.0.1" not in answer.raw.decode()


# --- what else it does --------------------------------------------------------------------------


def test_asking_writes_nothing(bridge: Bridge, north: Provider) -> None:
    """Letting somebody in changes neither people nor journal."""

    def state() -> list[Any]:
        return [
            bridge.sql("select * from users order by id"),
            bridge.sql("select count(*) from change_sets"),
            bridge.sql("select count(*) from quarantine"),
        ]

    before = state()
    assert _sent(bridge, north.access_token("ada")).status == 200
    assert _sent(bridge, north.access_token("nobody")).status == 401
    assert state() == before


def test_a_token_that_a_person_makes_ends_to_work_with_him(bridge: Bridge, north: Provider) -> None:
    """What somebody makes who comes with his provider's token acts for him alone."""
    lou = bridge.arrives("north", north, "lou", groups=["admins"])
    body = {"name": "script", "scopes": {"users": "view"}, "expires_in": 3600}
    made = bridge.ask("POST", "/north/tokens", body, token=north.access_token("lou"))
    assert made.body["user"] == {"id": lou, "username": "lou"}
    token = made.body["token"]
    assert bridge.ask("GET", "/north/users", token=token).status == 200
    bridge.manage("north").users.disable(lou)
    assert bridge.ask("GET", "/north/users", token=token).status == 401


def test_a_rotation_is_followed(bridge: Bridge, north: Provider) -> None:
    """A token of a key that was published just now is taken, and of one withdrawn later not."""
    assert _sent(bridge, north.access_token("ada")).status == 200
    former, north.key = north.key, signer("RS256", "k2")
    try:
        north.publish(former.jwk(), north.key.jwk())
        assert _sent(bridge, north.access_token("ada")).status == 200
    finally:
        north.key = former


def test_monitoring_is_told(bridge: Bridge, north: Provider) -> None:
    """Tokens and fetches of keys are counted by their outcome and reason, known from the start."""
    assert _sent(bridge, north.access_token("ada")).status == 200
    assert _sent(bridge, north.access_token("ada", exp=1)).status == 401
    tokens = 'syncd_tokens_validated_total{organization="north",outcome="%s",reason="%s"}'
    wanted = {
        tokens % ("accepted", "none"),
        tokens % ("refused", "expired"),
        'syncd_jwks_fetches_total{organization="north",outcome="fetched",reason="none"}',
    }
    until = time.monotonic() + PATIENCE_SECONDS
    while not all(bridge.scrape().get(name, 0) >= 1 for name in wanted):
        assert time.monotonic() < until, bridge.scrape()
        time.sleep(0.2)
    told = bridge.scrape()
    assert told[tokens % ("refused", "wrong_nonce")] == 0
    assert not any("closed" in name for name in told if "tokens_validated" in name)
    assert not any(word in name for name in told for word in ("ada", "k1", "127.0.0.1:"))


def test_the_log_has_the_reason_and_not_the_token(bridge: Bridge, north: Provider) -> None:
    """The operator finds why a token was refused; neither it nor a part of it is in the log."""
    token = north.access_token("mia", aud="planted-audience")
    assert _sent(bridge, token).status == 401
    text = bridge.log.read_text()
    assert '"action": "access_refused"' in text
    assert "wrong_audience" in text
    for part in (token, *token.split(".")[1:]):
        assert part not in text


def test_other_settings_hold_at_once(bridge: Bridge, north: Provider) -> None:
    """After a reload tokens are held against the new settings."""
    token = north.access_token("ada", aud="https://new.example.test")
    assert _sent(bridge, token).status == 401
    path = bridge.folder / "organizations/north.yaml"
    before = path.read_text()
    changed = yaml.safe_load(before)
    changed["idp"]["api_audience"] = "https://new.example.test"
    try:
        path.write_text(yaml.safe_dump(changed))
        bridge.reload()
        until = time.monotonic() + PATIENCE_SECONDS
        while _sent(bridge, token).status != 200:
            assert time.monotonic() < until, bridge.log.read_text()[-2000:]
            time.sleep(0.1)
        assert _sent(bridge, north.access_token("ada")).status == 401
    finally:
        path.write_text(before)
        bridge.reload()


def test_the_description_names_both_tokens(bridge: Bridge) -> None:
    """Clients read in the API's description what they may send."""
    answer = bridge.ask("GET", "/api/v1/openapi.json", token=None, whole=True)
    scheme = json.loads(answer.raw)["components"]["securitySchemes"]["token"]
    assert "identity provider" in scheme["description"]
