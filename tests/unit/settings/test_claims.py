"""The keys of mappers of claims: what is taken, and what is said of what is wrong."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from syncd.compose_idp import claim_mapping, provider_options
from syncd.errors import ConfigurationError, UsageError
from syncd.mappers import checks, options
from syncd.mappers.catalog import CATALOG
from syncd.mappers.claim_options import ConditionOptions, predefined_claims
from syncd.records import Claims
from syncd.settings import CLAIM_TYPES, DIRECTORY_TYPES, MAPPER_MODELS, PREDEFINED_CLAIM_NAMES
from syncd.settings.claims import ClaimCondition
from syncd.settings.targets import PROPERTIES, UNMAPPABLE

if TYPE_CHECKING:
    from syncd.mappers.claims import ClaimMapping
    from tests.unit.settings.conftest import Place

IDP = """\
organization: {id: acme, name: Acme Corp}
provider: idp
idp:
  issuer: https://login.example.org/
  client_id: syncd
  client_secret: 0123456789abcdef0123456789abcdef
  authorization_url: https://login.example.org/authorize
  token_url: https://login.example.org/token
  jwks_url: https://login.example.org/jwks
"""


def with_mappers(place: Place, *mappers: str, head: str = IDP) -> None:
    """Write an organization with these mappers; the first stands in line 11."""
    listed = "".join(f"  - {each}\n" for each in mappers)
    place.organization(f"{head}mappers:\n{listed}")


def composed(place: Place) -> ClaimMapping:
    """Return the mapping of what was written."""
    return claim_mapping(place.acme())


def claims(**values: object) -> Claims:
    """Return the claims of a token."""
    return Claims("https://login.example.org/", "s1", values)


WRONG = [
    (
        "{name: x, type: claim-to-role, role: R}",
        "11: mappers[0].claim: is required (or all_of)",
    ),
    (
        "{name: x, type: claim-to-role, role: R, claim: g}",
        "11: mappers[0].claim: lacks what it has to be; allowed is one of equals, contains and "
        "matches",
    ),
    (
        "{name: x, type: claim-to-role, role: R, claim: g, equals: a, matches: b}",
        "11: mappers[0].matches: stands beside equals; allowed is one of equals, contains and "
        "matches",
    ),
    (
        "{name: x, type: claim-to-role, role: R, claim: g, all_of: [{claim: g, equals: a}]}",
        "11: mappers[0].claim: stands beside all_of; put it into that list as well",
    ),
    (
        "{name: x, type: essential-claim, all_of: []}",
        "11: mappers[0].all_of: has no condition in it; name one, or remove the key",
    ),
    (
        "{name: x, type: essential-claim, all_of: [{claim: a, equals: 1}, {claim: g}]}",
        "11: mappers[0].all_of[1].claim: lacks what it has to be; allowed is one of equals, "
        "contains and matches",
    ),
    (
        "{name: x, type: essential-claim, all_of: [{claim: a, equal: 1}]}",
        "11: mappers[0].all_of[0].equal: there is no such key (did you mean equals?); allowed: "
        "claim, equals, contains, matches",
    ),
    (
        "{name: x, type: essential-claim, all_of: [{claim: a, matches: '('}]}",
        "11: mappers[0].all_of[0].matches: at character 1: missing ), unterminated subpattern; "
        'found "("',
    ),
    (
        "{name: x, type: claim-to-group, group: G, claim: g, matches: 'a{e}'}",
        "11: mappers[0].matches: at character 2: a { that counts nothing is written \\{; "
        'found "a{e}"',
    ),
    (
        "{name: x, type: claim-to-group, group: G, claim: a..b, equals: x}",
        "11: mappers[0].claim: must have a name before and after each dot, without spaces around "
        'it, such as realm_access.roles; a dot in a name is written \\.; found "a..b"',
    ),
    (
        "{name: x, type: claim-to-group, group: /, claim: a, equals: x}",
        "11: mappers[0].group: must name a group, such as Everybody or /Directory/Everybody; "
        'found "/"',
    ),
    (
        "{name: x, type: claim-to-role, role: R, claim: g, equals: [a]}",
        "11: mappers[0].equals: must be a text, a number, or true or false; found a list",
    ),
    (
        "{name: x, type: claim-to-role, role: R, claim: g, contains: ' '}",
        "11: mappers[0].contains: is blank, which nothing contains",
    ),
    (
        "{name: x, type: claim-to-role, role: R, claim: g, equals: a, when_absent: forget}",
        '11: mappers[0].when_absent: must be one of take_back, keep; found "forget"',
    ),
    (
        "{name: x, type: claim-to-role, role: R, claim: g, equals: a, sync_mode: legacy}",
        '11: mappers[0].sync_mode: must be one of import, force, inherit; found "legacy"',
    ),
    (
        "{name: x, type: claim-to-role, role: admin, claim: g, equals: a}",
        '11: mappers[0].role: gives the preconfigured role "admin"; set may_grant_privileged: true '
        "if the provider's admins may decide that",
    ),
    (
        "{name: username, type: username-template, template: '${ALIAS}'}",
        "11: mappers[0].template: must have something of the token in it, such as "
        "${CLAIM.preferred_username} or ${SUB}; else everybody would have the same name; "
        'found "${ALIAS}"',
    ),
    (
        "{name: t, type: username-template, template: '${SUB}'}",
        '11: mappers[0].template: is set by the predefined mapper "username" too; keep one, or '
        "switch a predefined mapper off with {name: …, enabled: false}",
    ),
    (
        "{name: m, type: claim-to-attribute, claim: upn, user_attribute: eMail}",
        '11: mappers[0].user_attribute: is set by the predefined mapper "email" too; keep one, or '
        "switch a predefined mapper off with {name: …, enabled: false}",
    ),
    (
        "{name: m, type: claim-to-attribute, claim: a, user_attribute: roles}",
        "11: mappers[0].user_attribute: is roles, which no mapper sets; choose another",
    ),
    (
        "{name: m, type: claim-to-attribute, claim: a, user_attribute: createTimestamp}",
        "11: mappers[0].user_attribute: is createTimestamp, which only a directory's attribute can "
        "be",
    ),
    (
        "{name: email, type: claim-to-attribute, claim: a, user_attribute: email, "
        "default_value: a@b}",
        "11: mappers[0].default_value: is given, but several people cannot have the same email; "
        "remove the key",
    ),
    (
        "{name: email, type: claim-to-attribute, claim: a, user_attribute: email, "
        "multivalued: true}",
        "11: mappers[0].multivalued: is on, but email holds one text; remove the key",
    ),
    (
        "{name: m, type: claim-to-attribute, claim: a, user_attribute: b, default_value: ''}",
        "11: mappers[0].default_value: must be a text of 1 to 4096 characters",
    ),
    (
        "{name: m, type: hardcoded-attribute, user_attribute: email_verified, value: maybe}",
        "11: mappers[0].value: must be true or false for email_verified",
    ),
    (
        "{name: username, enabled: false}",
        "11: mappers[0].enabled: switches the username off and no other mapper sets it; people "
        "need one",
    ),
    (
        "{name: username, type: claim-to-attribute, claim: a, user_attribute: b}",
        "11: mappers[0].name: takes the place of the predefined mapper that sets the username, and "
        "no mapper sets it; choose another name",
    ),
    (
        "{name: x, type: claim-to-rol}",
        f"11: mappers[0]: type must be one of {', '.join(MAPPER_MODELS)}; "
        'found "claim-to-rol"; did you mean claim-to-role?',
    ),
]


@pytest.mark.parametrize(("mapper", "fault"), WRONG, ids=[case[0] for case in WRONG])
def test_a_wrong_mapper_of_claims_is_named(place: Place, mapper: str, fault: str) -> None:
    """Each brings exactly one fault, with line, key, and what is allowed."""
    with_mappers(place, mapper)
    assert place.faults() == [f"organizations/acme.yaml:{fault}"]


def test_claims_without_a_provider_of_them_are_a_fault(place: Place) -> None:
    """They would never be looked at; switched off they do no harm."""
    head = "organization: {id: acme, name: A}\nprovider: admin\n"
    mapper = "name: x, type: claim-to-role, role: R, claim: g, equals: a"
    with_mappers(place, f"{{{mapper}}}", head=head)
    assert place.faults() == [
        "organizations/acme.yaml:4: mappers[0].type: is claim-to-role, which maps what an identity "
        "provider says, and there is no idp section; add it, or switch the mapper off"
    ]
    with_mappers(place, f"{{{mapper}, enabled: false}}", head=head)
    assert place.load().warnings == ()


@pytest.mark.parametrize(
    ("mode", "own", "said"),
    [
        ("force", "import", 1),
        ("import", "inherit", 1),
        ("force", "inherit", 0),
        ("import", "force", 0),
    ],
)
def test_a_gate_for_newcomers_only_is_a_warning(
    place: Place, mode: str, own: str, said: int
) -> None:
    """Whoever came in once comes in without the claim as well."""
    gate = f"{{name: x, type: essential-claim, claim: g, equals: a, sync_mode: {own}}}"
    with_mappers(place, gate, head=f"{IDP}  sync_mode: {mode}\n")
    assert [("sync_mode: is import" in text) for text in place.load().warnings] == [True] * said


def test_names_and_options_are_those_of_the_mappers() -> None:
    """What both rooms know is the same in both."""
    assert set(MAPPER_MODELS) > CLAIM_TYPES | DIRECTORY_TYPES
    assert set(MAPPER_MODELS) - DIRECTORY_TYPES == options.FOR_CLAIMS
    assert [each.name for each in predefined_claims()] == list(PREDEFINED_CLAIM_NAMES)
    assert PROPERTIES == options.PROPERTIES
    assert UNMAPPABLE == options.UNMAPPABLE
    conditions = {each.name for each in dataclasses.fields(ConditionOptions)}
    assert set(ClaimCondition.model_fields) == conditions


@pytest.mark.parametrize("kind", sorted(options.FOR_CLAIMS))
def test_the_defaults_of_a_mapper_of_claims_are_those_of_its_options(kind: str) -> None:
    """What is not configured means the same in both rooms."""
    fields = MAPPER_MODELS[kind].model_fields
    for option in dataclasses.fields(options.OPTIONS[kind]):
        required = option.default is dataclasses.MISSING
        assert fields[option.name].is_required() == required
        if not required:
            assert fields[option.name].default == option.default


TARGETS = [
    {"user_attribute": "roles"},
    {"user_attribute": "modifyTimestamp"},
    {"user_attribute": "x" * 256},
    {"user_attribute": "a\u200bb"},
    {"user_attribute": "a"},
    {"user_attribute": "first_name"},
    {"user_attribute": "email", "default_value": "a@b"},
    {"user_attribute": "createTimestamp", "default_value": "x"},
    {"user_attribute": "email_verified", "default_value": "maybe"},
    {"user_attribute": "email_verified", "default_value": "true"},
    {"user_attribute": "first_name", "multivalued": True},
    {"user_attribute": "a", "multivalued": True},
    {"user_attribute": "first_name", "binary": True},
    {"user_attribute": "a", "default_value": " "},
    {"user_attribute": "a", "default_value": "x\0"},
    {"user_attribute": "a", "value": " "},
    {"user_attribute": "username", "value": "x"},
    {"user_attribute": "modifyTimestamp", "value": "x"},
    {"user_attribute": "emailVerified", "value": "no"},
]


@pytest.mark.parametrize("keys", TARGETS, ids=[str(i) for i in range(len(TARGETS))])
@pytest.mark.parametrize("kind", ["user-attribute", "claim-to-attribute", "hardcoded-attribute"])
def test_what_the_mappers_refuse_of_a_target_is_said_with_its_line(
    place: Place, kind: str, keys: dict[str, Any]
) -> None:
    """Nothing is left for the first run or sign-in to find."""
    given: dict[str, Any] = {
        "user-attribute": {"ldap_attribute": "x"},
        "claim-to-attribute": {"claim": "x"},
        "hardcoded-attribute": {"value": "x"},
    }[kind] | keys
    if not set(given) <= {each.name for each in dataclasses.fields(options.OPTIONS[kind])}:
        return
    mapper = {"name": "m", **given}
    found = checks.contradictions(options.from_keys(kind, mapper))
    predefined = [{"name": name, "enabled": False} for name in ("email", "first name")]
    with_mappers(
        place,
        yaml.safe_dump({**mapper, "type": kind}, default_flow_style=True, width=9999),
        *(str(each).replace("False", "false") for each in predefined),
    )
    if given["user_attribute"] == "username":
        assert place.faults()
    elif found:
        assert [fault.split(": ")[1] for fault in place.faults()] == [
            f"mappers[0].{key}" for key, _ in found
        ]
    else:
        assert place.load().warnings == ()


@pytest.mark.parametrize("kind", sorted(CLAIM_TYPES))
def test_the_examples_of_the_catalog_load(place: Place, kind: str) -> None:
    """What `syncd mappers` shows can be put into an organization's file as it stands."""
    place.organization(IDP + CATALOG[kind].example)
    assert place.load().warnings == ()
    assert composed(place).fingerprint


def test_mappers_of_claims_do_not_touch_those_of_the_directory(place: Place) -> None:
    """One list serves both providers; a name replaces the predefined mapper of its own kind."""
    place.organization(
        IDP
        + """\
ldap:
  connection_url: ldaps://ldap.example.org
  certificate_trust: with_system
  bind_type: anonymous
  users_dn: ou=users,dc=example,dc=org
mappers:
  - {name: email, type: claim-to-attribute, claim: upn, user_attribute: email}
  - {name: first name, type: user-attribute, ldap_attribute: cn, user_attribute: first_name}
  - {name: last name, enabled: false}
  - {name: dept, type: user-attribute, ldap_attribute: ou, user_attribute: department}
  - {name: department, type: claim-to-attribute, claim: dept, user_attribute: department}
"""
    )
    acme = place.acme()
    assert acme.replaced_predefined == {"first name", "last name"}
    assert acme.replaced_claims == {"email", "last name"}
    made = claim_mapping(acme)(
        claims(upn="a@b.org", email="c@d.org", given_name="A", family_name="B", dept="IT"),
        newcomer=True,
    )
    assert made.fields == {"first_name": "A", "email": "a@b.org", "email_verified": False}
    assert made.attributes == {"department": ("IT",)}
    assert made.mappers == {"dept"}


def test_what_is_configured_is_what_is_mapped(place: Place) -> None:
    """Every option of every type arrives where it has its effect."""
    with_mappers(
        place,
        "{name: gate, type: essential-claim, claim: ok, equals: true}",
        "{name: username, type: username-template, template: '${CLAIM.upn | local_part}'}",
        "{name: r, type: claim-to-role, claim: n, equals: 1, role: Owner, "
        "may_grant_privileged: true, renamed_from: former}",
        "{name: s, type: claim-to-role, claim: x, contains: y, role: S, when_absent: keep}",
        "{name: n, type: claim-to-role, claim: n, equals: 1, role: N, unknown_role: create}",
        "{name: g, type: claim-to-group, all_of: [{claim: a.b, matches: 'x.'}], group: /A/B}",
        "{name: d, type: claim-to-attribute, claim: d, user_attribute: d, default_value: none}",
        "{name: o, type: hardcoded-role, role: Once, sync_mode: import}",
        "{name: gone, type: hardcoded-role, role: Gone, enabled: false}",
        head=f"{IDP}  trust_email: true\n",
    )
    token = claims(ok=True, upn="anna@x.org", n=1, a={"b": ["xy"]}, email="a@b.org")
    made = composed(place)(token, newcomer=False)
    assert [(each.mapper, each.name, each.create) for each in made.granted] == [
        ("r", "Owner", False),
        ("n", "N", True),
        ("g", "/A/B", True),
    ]
    assert (made.username, made.fields["email_verified"]) == ("anna", True)
    assert made.attributes == {"d": ("none",)}
    assert made.speaking == {"r", "n", "g"}
    assert made.privileged == {"r"}
    assert made.renamed == {"former": "r"}
    assert "gone" not in made.mappers


def test_a_provider_is_what_the_configuration_says(place: Place) -> None:
    """Every key has its place in the options of the bridge."""
    place.write(
        "organizations/ca.pem", "-----BEGIN CERTIFICATE-----\nMAAwAAAA\n-----END CERTIFICATE-----\n"
    )
    place.organization(
        f"certificates: [ca.pem]\n{IDP}"
        "  userinfo_url: https://login.example.org/me\n"
        "  client_authentication: client_secret_post\n"
        "  backchannel_logout: true\n"
        "  logout_url: https://login.example.org/logout\n"
        "  sends_issuer: true\n"
        "  default_scopes: profile, email\n"
        "  allowed_clock_skew: 5s\n"
        "  allowed_algorithms: RS256, Ed25519\n"
        "  longest_token_age: 2m\n"
        "  trusted_audiences: project, other\n"
        "  api_audience: https://syncd.example.org/api\n"
        "  api_scope: syncd.api\n"
        "  allowed_networks: [10.1.2.3/8]\n"
    )
    made = provider_options(place.acme())
    shown = {each.name: getattr(made, each.name) for each in dataclasses.fields(made)}
    assert str(shown.pop("allowed_networks")[0]) == "10.0.0.0/8"
    assert "BEGIN CERTIFICATE" in shown.pop("ca_pem")[0]
    assert shown == {
        "organization_id": "acme",
        "issuer": "https://login.example.org/",
        "client_id": "syncd",
        "client_secret": "0123456789abcdef0123456789abcdef",
        "client_authentication": "client_secret_post",
        "authorization_url": "https://login.example.org/authorize",
        "token_url": "https://login.example.org/token",
        "userinfo_url": "https://login.example.org/me",
        "logout_url": "https://login.example.org/logout",
        "jwks_url": "https://login.example.org/jwks",
        "scopes": ("openid", "profile", "email"),
        "sends_issuer": True,
        "backchannel_logout": True,
        "allowed_clock_skew_seconds": 5.0,
        "validate_signatures": True,
        "allowed_algorithms": frozenset({"RS256", "Ed25519"}),
        "trusted_audiences": frozenset({"project", "other"}),
        "api_audience": "https://syncd.example.org/api",
        "api_scope": "syncd.api",
        "longest_age_seconds": 120.0,
    }


def test_an_organization_without_a_provider_has_none(place: Place) -> None:
    """Whoever asks for one is told what to do."""
    place.ldap()
    for ask in (provider_options, claim_mapping):
        with pytest.raises(UsageError, match="syncd idp discover"):
            ask(place.acme())


SIGNATURES = [
    (
        "allowed_algorithms: [HS256]\n  jwks_url: null",
        [],
        ["allowed_algorithms: has HS256: whoever knows the client secret can be anybody"],
    ),
    (
        "allowed_algorithms: [HS512]\n  jwks_url: null",
        [
            "idp.allowed_algorithms: has HS512, whose key is the client secret, which has fewer "
            "than 64 bytes; have the provider make a longer one, or remove it"
        ],
        [],
    ),
    (
        "allowed_algorithms: [HS256, RS256]\n  jwks_url: null",
        ["idp.jwks_url: must be provided when validate_signatures is on"],
        [],
    ),
    (
        "validate_signatures: false\n  jwks_url: null\n  api_audience: x",
        ["idp.api_audience: needs jwks_url: access tokens are taken with a signature only"],
        [],
    ),
    (
        "validate_signatures: false",
        [],
        ["is used for access and logout tokens only", "validate_signatures: is off"],
    ),
    ("api_scope: x", [], ["has no effect without api_audience"]),
    (
        "longest_token_age: 0",
        ["idp.longest_token_age: must be longer than 0 seconds; found the number 0"],
        [],
    ),
]


@pytest.mark.rule("I5", server="pure")
def test_a_provider_has_an_issuer(place: Place) -> None:
    """Without one there is no organization, so that it is never skipped."""
    for line in ("", '  issuer: ""\n'):
        place.organization(IDP.replace("  issuer: https://login.example.org/\n", line))
        (fault,) = place.faults()
        assert "idp.issuer: " in fault


@pytest.mark.parametrize(
    ("lines", "faults", "warnings"), SIGNATURES, ids=[str(i) for i in range(len(SIGNATURES))]
)
def test_what_signatures_need_is_checked(
    place: Place, lines: str, faults: list[str], warnings: list[str]
) -> None:
    """Keys where they are needed, secrets as long as they must be, and what weakens is said."""
    head = (
        IDP
        if "jwks_url" not in lines
        else IDP.replace("  jwks_url: https://login.example.org/jwks\n", "")
    )
    place.organization(f"{head}  {lines}\n")
    if faults:
        assert [fault.partition(": ")[2] for fault in place.faults()] == faults
        return
    found = place.load().warnings
    assert len(found) == len(warnings)
    for text, wanted in zip(found, warnings, strict=True):
        assert wanted in text


def test_a_pattern_that_only_the_second_engine_refuses_is_a_fault_as_well(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Composing names organization and key."""
    with_mappers(place, "{name: x, type: claim-to-role, role: R, claim: g, matches: 'a'}")
    acme = place.acme()
    (mapper,) = acme.mappers
    broken = mapper.model_copy(update={"matches": "("})
    with pytest.raises(ConfigurationError) as caught:
        claim_mapping(acme.model_copy(update={"mappers": (broken,)}))
    assert str(caught.value).startswith("organization acme: mappers[0].matches: at character 1")
