"""The chapter on identity providers: each file in it is whole and does what the text says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from syncd.compose_idp import claim_mapping, provider_options
from syncd.errors import SignInRefused
from syncd.oidc.failed import SignInFault
from syncd.oidc.outcome import Reason
from syncd.records import Claims
from syncd.settings import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.records import Arrival
    from syncd.settings import OrganizationSettings

PAGE = (Path(__file__).resolve().parents[3] / "docs/identity-providers.md").read_text("utf-8")
BLOCK = re.compile(
    r"^## (.+)$\n(?:(?!^## )(?!```yaml).*\n)*```yaml\n((?:(?!```).*\n)*)```", re.MULTILINE
)
BLOCKS = dict(BLOCK.findall(PAGE))
PEM = "-----BEGIN CERTIFICATE-----\nMAAwAAAA\n-----END CERTIFICATE-----\n"
REASON = re.compile(r"`(\w+)`")


def organization(folder: Path, title: str) -> OrganizationSettings:
    """Load the file below a heading, with the certificates and secrets that it names beside it."""
    text = BLOCKS[title]
    (folder / "syncd.yaml").write_text("organizations: organization.yaml\n")
    (folder / "organization.yaml").write_text(text, encoding="utf-8")
    for name in re.findall(r"certs/[\w-]+\.pem", text):
        (folder / "certs").mkdir(exist_ok=True)
        (folder / name).write_text(PEM)
    for name in re.findall(r"(?m)^ +\w+_file: ([\w.-]+)", text):
        (folder / name).write_text("s3cret\n")
        (folder / name).chmod(0o600)
    settings = load(str(folder / "syncd.yaml"), {})
    assert settings.warnings == ()
    (found,) = settings.organizations.values()
    return found


def arrival(
    folder: Path, title: str, values: Mapping[str, Any], *, newcomer: bool = True
) -> Arrival:
    """Map claims with the file below a heading."""
    found = organization(folder, title)
    assert found.idp is not None
    claims = Claims(found.idp.issuer, "s-1", {"preferred_username": "ann@example.org", **values})
    return claim_mapping(found)(claims, newcomer=newcomer)


def given(arrived: Arrival) -> set[tuple[str, str]]:
    """Return what an arrival is given, by mapper."""
    return {(each.mapper, each.name) for each in arrived.granted}


def test_every_kind_of_provider_has_its_file() -> None:
    """Each block of YAML in the chapter is found below the heading that it belongs to."""
    assert list(BLOCKS) == ["Microsoft Entra ID", "Keycloak", "Any other provider"]
    assert PAGE.count("```yaml") == len(BLOCKS)


@pytest.mark.parametrize("title", BLOCKS)
def test_each_file_is_valid_and_can_be_composed(tmp_path: Path, title: str) -> None:
    """The loader takes it without a warning, and signatures are checked."""
    options = provider_options(organization(tmp_path, title))
    assert options.client_secret == "s3cret"
    assert options.validate_signatures
    assert options.jwks_url


def test_the_ids_are_different() -> None:
    """All files could stand in one folder."""
    ids = re.findall(r"(?m)^organization: \{id: (\w+)", PAGE)
    assert len(set(ids)) == len(ids) == len(BLOCKS)


def reasons(heading: str) -> set[str]:
    """Return the reasons in the table below a heading."""
    table = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert rows
    return {name for row in rows for name in REASON.findall(row)}


def test_the_reasons_are_those_of_tokens() -> None:
    """The table of refused tokens names reasons that there are."""
    assert reasons("When a token is refused") <= {*Reason}


def test_the_reasons_are_those_of_sign_ins() -> None:
    """The table of refused sign-ins has every reason of an answer that signs nobody in."""
    # A provider that says that it fails refuses nobody; the state is for the store to know.
    expected = {*SignInFault} - {SignInFault.PROVIDER_FAILING} | {"unknown_state"}
    assert reasons("When a sign-in is refused") == expected


def test_entra_maps_roles_and_ids_of_groups(tmp_path: Path) -> None:
    """An app role opens the door and gives a preconfigured role; a group comes by its id."""
    group = "0760b6cf-170e-4a14-91b3-4b78e0739963"
    claims = {"roles": ["Support"], "groups": [group], "department": "Sales"}
    found = arrival(tmp_path, "Microsoft Entra ID", claims)
    assert given(found) == {("support", "Support agent"), ("engineers", "/Contoso/Engineering")}
    assert found.privileged == {"support"}
    assert found.attributes == {"department": ("Sales",)}


def test_entra_without_a_role_of_the_application_lets_nobody_in(tmp_path: Path) -> None:
    """The essential claim is the door."""
    with pytest.raises(SignInRefused) as refused:
        arrival(tmp_path, "Microsoft Entra ID", {"roles": ["Guest"], "groups": []})
    assert refused.value.reason == "essential_claim"


def test_entra_with_too_many_groups_is_as_the_chapter_says(tmp_path: Path) -> None:
    """A newcomer is refused; of somebody who is known the group's mapper says nothing."""
    cut = {"roles": ["Staff"], "_claim_names": {"groups": "src1"}}
    with pytest.raises(SignInRefused) as refused:
        arrival(tmp_path, "Microsoft Entra ID", cut)
    assert refused.value.reason == "groups_overage"
    found = arrival(tmp_path, "Microsoft Entra ID", cut, newcomer=False)
    assert "engineers" in found.mappers - found.speaking
    assert "support" in found.speaking


def test_keycloak_maps_nested_roles_and_paths_of_groups(tmp_path: Path) -> None:
    """Realm roles stand in an object, groups are paths, and two conditions may have to hold."""
    auditor = {"realm_access": {"roles": ["auditor", "operator"]}, "groups": ["/engineering"]}
    found = arrival(tmp_path, "Keycloak", auditor)
    assert given(found) == {
        ("auditors", "Initech auditors"),
        ("engineering", "/Initech/Engineering"),
    }
    assert found.attributes == {"locale": ("en",)}
    operator = {"realm_access": {"roles": ["operator"]}, "groups": ["/operations/night"]}
    assert given(arrival(tmp_path, "Keycloak", operator)) == {("on call", "Initech on call")}


def test_another_provider_has_claims_that_are_urls(tmp_path: Path) -> None:
    """A backslash makes a dot part of the name; words of a scope count one by one."""
    claims = {"https://example.net/tenant": "umbrella", "email": "Ann@Example.org"}
    editor = claims | {"scope": "openid documents.edit"}
    found = arrival(tmp_path, "Any other provider", editor)
    assert found.username == "ann@example.org"
    assert given(found) == {("editors", "Umbrella editors"), ("everybody", "/Umbrella")}
    later = arrival(tmp_path, "Any other provider", claims, newcomer=False)
    assert given(later) == set()
    assert not {"editors", "everybody"} & later.speaking
