from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from syncd.errors import ConfigurationError
from syncd.settings import DaemonSettings, OrganizationSettings, find, load
from syncd.settings.fields import is_secret, is_structured, walk

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tests.unit.settings.conftest import Place


def test_daemon_keys_come_from_the_environment_and_win(place: Place) -> None:
    """Numbers, flags, choices, lists, durations and null are read as their key expects."""
    place.daemon("http: {port: 1}\nsmtp: {host: mail, from: a@b}\n")
    place.organization()
    daemon = place.load(
        {
            "SYNCD_HTTP__PORT": "8081",
            "SYNCD_HTTP__HOST": "no",
            "SYNCD_HTTP__TRUSTED_PROXIES": "10.0.0.0/8, 192.168.1.1",
            "SYNCD_LOG__SEARCHES": "yes",
            "SYNCD_LOG__FORMAT": "json",
            "SYNCD_SESSIONS__IDLE": "5m",
            "SYNCD_SMTP": "null",
            "SYNCD_STORE__URL": "postgresql://h/d",
        }
    ).daemon
    assert daemon.http.port == 8081
    assert daemon.http.host == "no"
    assert daemon.http.trusted_proxies == ("10.0.0.0/8", "192.168.1.1/32")
    assert daemon.log.searches is True
    assert daemon.log.format == "json"
    assert daemon.sessions.idle == 300
    assert daemon.smtp is None
    assert daemon.store.url.get_secret_value() == "postgresql+psycopg://h/d"


def test_organization_keys_come_from_the_environment_by_id(place: Place) -> None:
    """The id is in upper case with underscores; deep keys, mappings and lists are reached."""
    place.organization(
        "organization: {id: my-org, name: A}\nprovider: admin\nmappers: [{name: a, type: frog}]"
    )
    settings = place.load(
        {
            "SYNCD_ORG_MY_ORG__PROVIDER": "LDAP",
            "SYNCD_ORG_MY_ORG__LDAP__CONNECTION_URL": "ldap://a ldap://b",
            "SYNCD_ORG_MY_ORG__LDAP__CERTIFICATE_TRUST": "with_system",
            "SYNCD_ORG_MY_ORG__LDAP__BIND_DN": "cn=x",
            "SYNCD_ORG_MY_ORG__LDAP__BIND_CREDENTIAL": "null",
            "SYNCD_ORG_MY_ORG__LDAP__USERS_DN": "ou=a,dc=x",
            "SYNCD_ORG_MY_ORG__LDAP__FULL_SYNC_PERIOD": "null",
            "SYNCD_ORG_MY_ORG__LDAP__FULL_SYNC_AT": "0 3 * * *",
            "SYNCD_ORG_MY_ORG__LDAP__IMPORT_ROLES__ROLES_DN": "ou=r",
            "SYNCD_ORG_MY_ORG__LDAP__IMPORT_ROLES__NAME_MAP": '{"a": "b"}',
            "SYNCD_ORG_MY_ORG__LIMITS__DELETE": "null",
            "SYNCD_ORG_MY_ORG__LIMITS__DISABLE__PERCENT": "5",
            "SYNCD_ORG_MY_ORG__MAPPERS": "[{name: full, type: full-name}]",
        }
    ).organizations["my-org"]
    assert settings.ldap is not None
    assert settings.ldap.connection_url == ("ldap://a", "ldap://b")
    assert settings.ldap.bind_credential is not None
    assert settings.ldap.bind_credential.get_secret_value() == "null"
    assert settings.ldap.full_sync_at == "0 3 * * *"
    assert settings.ldap.import_roles is not None
    assert settings.ldap.import_roles.name_map == {"a": "b"}
    assert settings.limits.delete is None
    assert settings.limits.disable is not None
    assert (settings.limits.disable.percent, settings.limits.disable.count) == (5, 500)
    assert [mapper.name for mapper in settings.active_mappers] == ["full"]


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        (
            "SYNCD_HTTP__PRT",
            "1",
            "SYNCD_HTTP__PRT: there is no such key; did you mean SYNCD_HTTP__PORT?",
        ),
        (
            "SYNCD_HTTP__PORT__X",
            "1",
            "SYNCD_HTTP__PORT__X: there is no such key; HTTP__PORT takes one value",
        ),
        (
            "SYNCD_HTTP__PORT",
            "http",
            'SYNCD_HTTP__PORT: http.port: must be a port number, 1 to 65535; found "http"',
        ),
        (
            "SYNCD_LOG__SEARCHES",
            "maybe",
            'SYNCD_LOG__SEARCHES: log.searches: must be true or false; found "maybe"',
        ),
        (
            "SYNCD_SMTP",
            "{a",
            "SYNCD_SMTP: smtp: is not valid YAML or JSON; write for example "
            "{key: value}, in one line",
        ),
        (
            "SYNCD_ORG_ACNE__PROVIDER",
            "ldap",
            "SYNCD_ORG_ACNE__PROVIDER: there is no such organization; "
            "did you mean SYNCD_ORG_ACME__<KEY>?",
        ),
        (
            "SYNCD_ORG_ACME__ORGANIZATION__ID",
            "x",
            "SYNCD_ORG_ACME__ORGANIZATION__ID: organization.id: cannot come from the environment; "
            "it stands in the organization's file",
        ),
        (
            "SYNCD_ORG_ACME__MAPPERS",
            "[{name: manual, type: full-name}]",
            "SYNCD_ORG_ACME__MAPPERS: mappers[0].name: is reserved (manual, default, import "
            "roles); choose another name",
        ),
    ],
)
def test_a_wrong_variable_is_named(place: Place, variable: str, value: str, fault: str) -> None:
    """The variable stands where for a file its path and line stand."""
    place.organization()
    assert place.faults({variable: value}) == [f"environment variable {fault}"]


def test_a_name_of_one_word_that_is_no_key_is_a_warning(place: Place) -> None:
    """Something else may use the prefix, so this is not fatal."""
    place.organization()
    (warning,) = place.load({"SYNCD_LOGS": "1"}).warnings
    assert "environment variable SYNCD_LOGS: there is no such key; did you mean" in warning


def test_service_links_of_container_platforms_are_no_keys(place: Place) -> None:
    """A Kubernetes service named syncd sets variables that mean nothing here."""
    place.organization()
    links = {
        "SYNCD_SERVICE_HOST": "10.0.0.1",
        "SYNCD_SERVICE_PORT_HTTP": "8480",
        "SYNCD_PORT": "tcp://10.0.0.1:8480",
        "SYNCD_PORT_8480_TCP_ADDR": "10.0.0.1",
    }
    assert place.load(links).warnings == ()


def leaves(model: type[BaseModel]) -> list[str]:
    """Return the variables of every key that holds one value."""
    return [
        "__".join(str(part).upper() for part in key)
        for key, field in walk(model)
        if not is_structured(field) and not is_secret(field)
    ]


@pytest.mark.parametrize("name", leaves(DaemonSettings))
def test_every_daemon_key_is_known_as_a_variable(place: Place, name: str) -> None:
    """No key of the daemon's file is out of the environment's reach."""
    place.organization()
    try:
        warnings = place.load({f"SYNCD_{name}": "x"}).warnings
    except ConfigurationError as error:
        warnings = tuple(str(fault) for fault in error.faults)
    assert not [text for text in warnings if "no such key" in text]


@pytest.mark.parametrize("name", leaves(OrganizationSettings))
def test_every_organization_key_is_known_as_a_variable(place: Place, name: str) -> None:
    """No key of an organization's file is out of the environment's reach."""
    place.organization()
    try:
        warnings = place.load({f"SYNCD_ORG_ACME__{name}": "x"}).warnings
    except ConfigurationError as error:
        warnings = tuple(str(fault) for fault in error.faults)
    assert not [text for text in warnings if "no such key" in text]


def test_the_search_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--config wins over $SYNCD_CONFIG, that over ./config/syncd.yaml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("syncd.settings.loading.SEARCH_ORDER", (Path("config/syncd.yaml"),))
    for name in ("a.yaml", "b.yaml", "config/syncd.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find("a.yaml", {"SYNCD_CONFIG": "b.yaml"}) == Path("a.yaml")
    assert find(None, {"SYNCD_CONFIG": "b.yaml"}) == Path("b.yaml")
    assert find(None, {}) == Path("config/syncd.yaml")


@pytest.mark.parametrize(
    ("config", "environ", "message"),
    [
        ("gone.yaml", {}, "gone.yaml: is not there, though --config names it; check the path"),
        (
            None,
            {"SYNCD_CONFIG": "gone.yaml"},
            "gone.yaml: is not there, though $SYNCD_CONFIG names it; check the path",
        ),
        (
            None,
            {},
            "syncd.yaml: there is no configuration (looked at --config, $SYNCD_CONFIG, "
            "config/syncd.yaml); write one, or name it",
        ),
    ],
)
def test_no_configuration_is_said_with_where_it_was_looked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: str | None,
    environ: dict[str, str],
    message: str,
) -> None:
    """A named file that is not there is not passed over for the next one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("syncd.settings.loading.SEARCH_ORDER", (Path("config/syncd.yaml"),))
    with pytest.raises(ConfigurationError) as caught:
        load(config, environ)
    assert str(caught.value) == message


def test_the_environment_alone_is_enough_for_the_daemon(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SYNCD_ORGANIZATIONS no daemon's file is needed; paths start at the working directory."""
    path = place.organization()
    monkeypatch.chdir(place.folder)
    monkeypatch.setattr("syncd.settings.loading.SEARCH_ORDER", ())
    settings = load(None, {"SYNCD_ORGANIZATIONS": "organizations/*.yaml"})
    assert settings.files == (path,)
    assert settings.daemon.store.url.get_secret_value() == f"sqlite:///{place.folder}/var/syncd.db"


def test_paths_are_relative_to_the_file_that_names_them(place: Place) -> None:
    """The database, the organizations and an organization's files start at their file's folder."""
    place.daemon("store: {url: 'sqlite:///../data/x.db'}\norganizations: orgs/*.yaml\n")
    place.write("orgs/ca.pem", "-----BEGIN CERTIFICATE-----\nMAAwAAAA\n-----END CERTIFICATE-----\n")
    path = place.write(
        "orgs/a.yaml",
        "organization: {id: acme, name: A}\nprovider: admin\ncertificates: [ca.pem]\n",
    )
    settings = place.load()
    url = settings.daemon.store.url.get_secret_value()
    assert url == f"sqlite:///{place.folder.parent}/data/x.db"
    assert settings.files == (place.folder / "syncd.yaml", path)
    (certificate,) = settings.organizations["acme"].certificates
    assert certificate.source == str(place.folder / "orgs/ca.pem")
    assert certificate.pem.startswith("-----BEGIN CERTIFICATE-----")


def test_an_inline_certificate_is_taken(place: Place) -> None:
    """PEM text may stand in the file itself."""
    place.organization(
        "organization: {id: acme, name: A}\nprovider: admin\ncertificates:\n  - |\n"
        "    -----BEGIN CERTIFICATE-----\n    MAAwAAAA\n    -----END CERTIFICATE-----\n"
    )
    (certificate,) = place.acme().certificates
    assert (certificate.source, "MAAwAAAA" in certificate.pem) == ("inline", True)


def test_no_matching_organization_file_is_a_warning(place: Place) -> None:
    """A fresh installation has none yet."""
    (warning,) = place.load().warnings
    assert 'no file matches "organizations/*.yaml"' in warning
