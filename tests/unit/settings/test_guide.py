"""Every label of the set-up forms has its key, and what the guide says of it holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from syncd.settings import DEFAULT_LIMITS, DaemonSettings, IdpSettings, LdapSettings, RoleImport
from syncd.settings.fields import fields_of

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tests.unit.settings.conftest import Place

LABELS: list[tuple[type[BaseModel], str]] = [
    *[
        (LdapSettings, label)
        for label in (
            "RDN LDAP Attribute",
            "UUID LDAP Attribute",
            "User Object Classes",
            "Connection URL",
            "Users DN",
            "Bind DN",
            "Bind Credential",
            "User Search Filter",
            "Batch Size",
            "Periodic Full Sync",
            "Full Sync Period",
            "Periodic Changed Users Sync",
            "Changed Sync Period",
            "Username LDAP Attribute",
        )
    ],
    *[
        (RoleImport, label)
        for label in (
            "Roles DN",
            "Role Name LDAP Attribute",
            "Role Object Class",
            "LDAP Filter",
            "User Roles Retrieve Strategy",
            "Membership Attribute Type",
            "Member-Of LDAP Attribute",
        )
    ],
    *[
        (IdpSettings, label)
        for label in (
            "Client ID",
            "Client Secret",
            "Token URL",
            "Authorization URL",
            "Trust Email",
            "Backchannel Logout",
            "Logout URL",
            "Allowed Clock Skew",
            "Default Scopes",
            "Validate Signatures",
            "JWKS URL",
        )
    ],
]
IDP: dict[str, Any] = {
    "issuer": "https://login.example.org/",
    "client_id": "c",
    "client_secret": "s",
    "authorization_url": "https://login.example.org/a",
    "token_url": "https://login.example.org/t",
    "jwks_url": "https://login.example.org/j",
}


@pytest.mark.parametrize(("model", "label"), LABELS, ids=[label for _, label in LABELS])
def test_every_label_is_a_key_in_snake_case(model: type[BaseModel], label: str) -> None:
    """An admin with the guide in hand finds each field."""
    assert re.sub(r"[ -]", "_", label).lower() in fields_of(model)


def test_the_defaults_are_the_contracts(place: Place) -> None:
    """What is not configured is as documented."""
    place.ldap("import_roles: {roles_dn: ou=r}")
    acme = place.acme()
    ldap = acme.ldap
    assert ldap is not None
    assert ldap.import_roles is not None
    assert (ldap.vendor, ldap.bind_type, ldap.search_scope) == ("other", "simple", "subtree")
    assert (ldap.connect_timeout, ldap.read_timeout) == (5, 60)
    assert (ldap.batch_size, ldap.page_size, ldap.effective_page_size) == (1000, None, 1000)
    assert (ldap.periodic_full_sync, ldap.full_sync_period, ldap.full_sync_at) == (
        True,
        86_400,
        None,
    )
    assert (ldap.periodic_changed_users_sync, ldap.changed_sync_period) == (True, 300)
    assert (ldap.change_detection, ldap.user_search_filter, ldap.trust_email) == ("auto", "", False)
    # The vendor's: filled in by whoever knows the vendor.
    assert ldap.username_ldap_attribute is None
    assert ldap.uuid_ldap_attribute is None
    assert ldap.user_object_classes is None
    assert ldap.import_roles.user_roles_retrieve_strategy == "load_by_member_attribute"
    assert ldap.import_roles.membership_attribute_type == "dn"
    assert (acme.deletion.policy, acme.deletion.grace_period) == ("disable", 2_592_000)
    assert (acme.limits.minimum_population, acme.limits.on_exceed) == (20, "hold_run")
    for kind, (percent, count) in DEFAULT_LIMITS.items():
        limit = getattr(acme.limits, kind)
        assert (limit.percent, limit.count) == (percent, count)


def test_the_daemons_defaults_are_the_contracts() -> None:
    """An empty daemon's file is as documented."""
    daemon = DaemonSettings()
    assert daemon.organizations == ("organizations/*.yaml",)
    assert (daemon.http.host, daemon.http.port) == ("127.0.0.1", 8480)
    assert daemon.http.base_url == "http://127.0.0.1:8480"
    assert (daemon.metrics.host, daemon.metrics.port) == ("127.0.0.1", 9480)
    assert (daemon.log.format, daemon.log.level) == ("auto", "info")
    assert (daemon.sync.workers, daemon.sync.searches_per_directory) == (2, 2)
    assert (daemon.sessions.idle, daemon.sessions.absolute) == (1800, 43_200)
    days = [
        getattr(daemon.retention, k) / 86_400 for k in ("journal", "runs", "stage", "quarantine")
    ]
    assert days == [365, 90, 1, 90]
    assert daemon.smtp is None


@pytest.mark.parametrize("text", ["", "(uid=*)", "(&(a=b)(|(c=d)(e=f)))", "  (a=\\28)  "])
def test_a_filter_is_empty_or_in_parentheses(place: Place, text: str) -> None:
    """Leave it empty, or make sure that it starts with ( and ends with )."""
    place.ldap(f"user_search_filter: '{text}'")
    ldap = place.acme().ldap
    assert ldap is not None
    assert ldap.user_search_filter == text.strip()


@pytest.mark.parametrize(
    ("strategy", "kind", "expected"),
    [
        ("LOAD_ROLES_BY_MEMBER_ATTRIBUTE", "DN", ("load_by_member_attribute", "dn")),
        ("load_by_member_attribute", "UID", ("load_by_member_attribute", "uid")),
        (
            "GET_ROLES_FROM_USER_MEMBEROF_ATTRIBUTE",
            "memberOf",
            ("get_from_user_member_of", "member_of"),
        ),
        ("get_from_user_member_of", None, ("get_from_user_member_of", "member_of")),
        ("GET_ROLES_FROM_USER_MEMBEROF_ATTRIBUTE", None, ("get_from_user_member_of", "member_of")),
        ("LOAD_ROLES_BY_MEMBER_ATTRIBUTE", None, ("load_by_member_attribute", "dn")),
    ],
)
def test_keycloaks_spellings_are_taken(
    place: Place, strategy: str, kind: str | None, expected: tuple[str, str]
) -> None:
    """Strategies and types may be written as in Keycloak; the type follows the strategy."""
    further = f", membership_attribute_type: {kind}" if kind else ""
    place.ldap(
        f"import_roles: {{roles_dn: ou=r, user_roles_retrieve_strategy: {strategy}{further}}}"
    )
    ldap = place.acme().ldap
    assert ldap is not None
    roles = ldap.import_roles
    assert roles is not None
    assert (roles.user_roles_retrieve_strategy, roles.membership_attribute_type) == expected


def test_a_name_map_may_reach_preconfigured_roles_when_allowed(place: Place) -> None:
    """With may_grant_privileged the map is taken."""
    place.ldap("import_roles: {roles_dn: ou=r, name_map: {x: Owner}, may_grant_privileged: true}")
    ldap = place.acme().ldap
    assert ldap is not None
    assert ldap.import_roles is not None
    assert ldap.import_roles.name_map == {"x": "Owner"}


WARNINGS = [
    ("uuid_ldap_attribute: UID", "is UID, which changes with a name"),
    (
        "uuid_ldap_attribute: employeeNumber\n  username_ldap_attribute: employeenumber",
        "is employeeNumber, which changes with a name",
    ),
    ("uuid_ldap_attribute: entryDN", "is entryDN, which changes with a name"),
    (
        "periodic_full_sync: false\n  full_sync_period: 1h",
        "ldap.full_sync_period: has no effect while periodic_full_sync is off",
    ),
    (
        "periodic_changed_users_sync: false\n  changed_sync_period: 60",
        "ldap.changed_sync_period: has no effect while periodic_changed_users_sync is off",
    ),
]


@pytest.mark.parametrize(("line", "warning"), WARNINGS)
def test_what_costs_something_is_a_warning(place: Place, line: str, warning: str) -> None:
    """Allowed, and said."""
    place.ldap(line)
    assert [warning in text for text in place.load().warnings] == [True]


def test_periods_may_be_switched_off(place: Place) -> None:
    """Without the toggle no period is needed."""
    place.ldap("periodic_full_sync: false", "full_sync_period: null")
    assert place.load().warnings == ()


def test_clear_text_is_a_warning_at_every_start(place: Place) -> None:
    """The only way to bind over ldap:// without StartTLS is named as what it is."""
    place.ldap("insecure_clear_text_bind: true")
    path = place.folder / "organizations/acme.yaml"
    path.write_text(path.read_text().replace("ldaps://", "ldap://").replace("with_system", "only"))
    (warning,) = place.load().warnings
    assert "the bind credential crosses the network unencrypted" in warning


def idp(place: Place, **changes: object) -> None:
    """Write an organization with an identity provider."""
    keys = {**IDP, **changes}
    lines = "".join(f"  {key}: {value}\n" for key, value in keys.items() if value != "")
    place.organization(f"organization: {{id: acme, name: A}}\nprovider: idp\nidp:\n{lines}")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"jwks_url": ""}, "idp.jwks_url: must be provided when validate_signatures is on"),
        (
            {"backchannel_logout": "true"},
            "idp.logout_url: must be provided when backchannel_logout is on",
        ),
        ({"client_secret": ""}, "idp.client_secret: is required (or client_secret_file)"),
        (
            {"issuer": ""},
            'idp.issuer: is required: https URL, such as "https://login.example.org/"',
        ),
        (
            {"token_url": "http://login.example.org/t"},
            "idp.token_url: must be a URL that starts "
            'with https://; found "http://login.example.org/t"',
        ),
        (
            {"allowed_algorithms": "[none]"},
            "idp.allowed_algorithms[0]: must be one of RS256, RS384, RS512, PS256, PS384, PS512, "
            'ES256, ES384, ES512, EdDSA, Ed25519, HS256, HS384, HS512; found "none"',
        ),
        (
            {"roles_dn": "ou=r"},
            "idp.roles_dn: there is no such key here, it belongs under "
            "ldap.import_roles; allowed: ",
        ),
    ],
)
def test_the_identity_providers_rules(place: Place, changes: dict[str, str], fault: str) -> None:
    """Backchannel Logout needs Logout URL, Validate Signatures needs JWKS URL, and so on."""
    idp(place, **changes)
    (found,) = place.faults()
    assert fault in found


def test_default_scopes_are_additional_to_openid(place: Place) -> None:
    """A comma list names further scopes; openid is always asked for."""
    idp(place, default_scopes="profile, email", sync_mode="IMPORT", allowed_clock_skew="5s")
    provider = place.acme().idp
    assert provider is not None
    assert provider.default_scopes == ("openid", "profile", "email")
    assert provider.allowed_algorithms == ("RS256", "ES256")
    assert (provider.sync_mode, provider.allowed_clock_skew) == ("import", 5)


def test_a_provider_on_this_machine_may_lack_tls(place: Place) -> None:
    """For trying things out, http is taken on loopback addresses."""
    idp(place, issuer="http://127.0.0.1:8080/", jwks_url="http://localhost:8080/j")
    assert place.acme().idp is not None


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"allowed_clock_skew": "10m"}, "is above 5m: tokens stay valid that much longer"),
        (
            {"validate_signatures": "false", "jwks_url": ""},
            "is off: whoever can answer in the token URL's place can be anybody",
        ),
    ],
)
def test_what_weakens_a_provider_is_a_warning(
    place: Place, changes: dict[str, str], warning: str
) -> None:
    """Allowed, and said."""
    idp(place, **changes)
    assert [warning in text for text in place.load().warnings] == [True]


def test_what_travels_in_the_clear_is_a_warning(place: Place) -> None:
    """Plain http for browsers and mail without TLS are named."""
    place.daemon(
        "http: {base_url: 'http://syncd.example.org'}\n"
        "smtp: {host: mail, from: a@b, username: u, password: p, starttls: false}\n"
    )
    place.organization()
    assert len(place.load().warnings) == 2


def test_both_providers_may_be_configured(place: Place) -> None:
    """One is active; the other waits, and is checked all the same."""
    idp(place)
    path = place.folder / "organizations/acme.yaml"
    path.write_text(path.read_text() + "ldap: {users_dn: ou=x}\n")
    keys = [fault.split(": ")[1] for fault in place.faults()]
    assert "ldap.connection_url" in keys
    assert "ldap.bind_dn" in keys
