"""The chapter on directories: each organization's file in it is whole and can be used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from syncd.compose import DirectoryParts, directory_parts
from syncd.mappers.options import PrimaryGroupBy
from syncd.settings import load

if TYPE_CHECKING:
    from syncd.settings import OrganizationSettings

PAGE = (Path(__file__).resolve().parents[3] / "docs/directories.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"^## (.+)$\n(?:(?!^## )(?!```yaml).*\n)*```yaml\n((?:(?!```).*\n)*)```", re.MULTILINE
)
BLOCKS = dict(BLOCK.findall(PAGE))
PEM = "-----BEGIN CERTIFICATE-----\nMAAwAAAA\n-----END CERTIFICATE-----\n"


def organization(folder: Path, text: str) -> OrganizationSettings:
    """Load an organization's file, with the certificates and secrets that it names beside it."""
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


def parts_of(folder: Path, title: str) -> DirectoryParts:
    """Compose what a sync of the file below a heading is built from."""
    return directory_parts(organization(folder, BLOCKS[title]))


def test_every_kind_of_directory_has_its_file() -> None:
    """Each block of YAML in the chapter is found below the heading that it belongs to."""
    assert list(BLOCKS) == [
        "Active Directory",
        "OpenLDAP",
        "FreeIPA",
        "389 Directory Server",
        "OpenDJ",
        "A directory of POSIX accounts",
    ]
    assert PAGE.count("```yaml") == len(BLOCKS)


@pytest.mark.parametrize("title", BLOCKS)
def test_each_file_is_valid_and_can_be_composed(tmp_path: Path, title: str) -> None:
    """The loader takes it without a warning, and everything that a sync needs comes of it."""
    parts = parts_of(tmp_path, title)
    kinds = {name: mapping.kind for name, mapping in parts.container_mappings.items()}
    assert kinds.pop("import roles") == "role"
    assert kinds
    assert set(kinds.values()) == {"group"}
    for name, mapping in parts.container_mappings.items():
        search = parts.containers[name]
        assert search.attributes == mapping.attributes
        assert search.class_filter in search.filter
        assert not search.in_chain


@pytest.mark.parametrize("title", BLOCKS)
def test_each_file_has_account_state_and_finds_changes(tmp_path: Path, title: str) -> None:
    """Account state and the choice of change detection are part of each example."""
    found = organization(tmp_path, BLOCKS[title])
    assert found.ldap is not None
    assert "account-state" in {mapper.type for mapper in found.active_mappers}
    assert found.ldap.change_detection == "auto"


def test_the_ids_are_different() -> None:
    """All files could stand in one folder."""
    ids = re.findall(r"(?m)^organization: \{id: (\w+)", PAGE)
    assert len(set(ids)) == len(ids) == len(BLOCKS)


def test_active_directory_counts_primary_groups_and_nested_ones(tmp_path: Path) -> None:
    """Its people bring their SIDs, and its groups are followed and stand in a tree."""
    parts = parts_of(tmp_path, "Active Directory")
    for mapping in parts.container_mappings.values():
        assert mapping.primary_groups == (PrimaryGroupBy.OBJECT_SID,)
        assert mapping.nested
    groups = parts.container_mappings["groups"]
    assert (groups.hierarchy, groups.drops, len(groups.fixed)) == (True, True, 1)
    assert {"objectSid", "primaryGroupID"} <= set(parts.users.attributes)
    assert {"objectSid", "description", "mail", "member"} <= set(groups.attributes)


def test_the_recursive_strategy_is_the_vendors(tmp_path: Path) -> None:
    """Active Directory follows the groups itself, for other directories syncd does."""
    recursive = "user_groups_retrieve_strategy: LOAD_GROUPS_BY_MEMBER_ATTRIBUTE_RECURSIVELY"
    for title, in_chain in (("Active Directory", True), ("OpenLDAP", False)):
        head, _, rest = BLOCKS[title].partition("mappers:")
        text = head + "mappers:" + rest.replace("nested_membership: expand", recursive)
        parts = directory_parts(organization(tmp_path, text))
        groups = parts.container_mappings["groups"]
        assert (groups.nested, groups.hierarchy) == (not in_chain, not in_chain)
        assert parts.containers["groups"].in_chain == in_chain
        assert parts.containers["groups"].member_attribute == "member"


def test_groups_that_only_people_name_are_asked_of_the_people(tmp_path: Path) -> None:
    """The dynamic groups of the example come from isMemberOf."""
    parts = parts_of(tmp_path, "OpenDJ")
    assert parts.containers["dynamic groups"].member_of_attribute == "isMemberOf"
    assert parts.containers["groups"].member_of_attribute is None
    assert parts.containers["groups"].filter == "(objectClass=groupOfUniqueNames)"
    assert "isMemberOf" in parts.users.attributes
    assert "uniqueMember" in parts.containers["groups"].attributes


def test_posix_groups_name_people_by_username_and_number(tmp_path: Path) -> None:
    """Both the names in memberUid and the numbers of the primary group are read."""
    parts = parts_of(tmp_path, "A directory of POSIX accounts")
    groups = parts.container_mappings["groups"]
    assert (groups.member_attributes, groups.hierarchy) == (("uid",), False)
    assert groups.primary_groups == (PrimaryGroupBy.GID_NUMBER,)
    assert {"memberUid", "gidNumber"} <= set(groups.attributes)
    assert {"uid", "gidNumber"} <= set(parts.users.attributes)
