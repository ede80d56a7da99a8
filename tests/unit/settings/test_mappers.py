from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from syncd.ldap.vendors import VENDORS
from syncd.mappers import options
from syncd.settings import MAPPER_MODELS, PREDEFINED_NAMES, VENDOR_DEFAULTS, RoleImport
from syncd.settings.vendors import IN_CHAIN_VENDORS

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Place

# What is the settings' own business, and what app fills in from the directory's section.
OWN = {"type", "enabled", "renamed_from"}
FILLED_IN = {"uuid_attribute", "primary_group_by"}


def names_of(kind: str) -> set[str]:
    """Return the field names of a mapper's options."""
    return {each.name for each in dataclasses.fields(options.OPTIONS[kind])}


@pytest.mark.parametrize("kind", list(MAPPER_MODELS))
def test_the_keys_of_a_mapper_are_the_fields_of_its_options(kind: str) -> None:
    """The app hands the settings over field by field, so the names agree."""
    keys = set(MAPPER_MODELS[kind].model_fields)
    assert keys - OWN == names_of(kind) - FILLED_IN


def test_the_keys_of_import_roles_are_the_fields_of_its_options() -> None:
    """Import roles has them too, and its name is fixed."""
    assert set(RoleImport.model_fields) == names_of("role") - FILLED_IN - {"name"}


@pytest.mark.parametrize("kind", ["user-attribute", "full-name", "hardcoded-attribute"])
def test_the_defaults_of_a_mapper_are_those_of_its_options(kind: str) -> None:
    """What is not configured means the same in both rooms."""
    fields = MAPPER_MODELS[kind].model_fields
    for option in dataclasses.fields(options.OPTIONS[kind]):
        required = option.default is dataclasses.MISSING
        assert fields[option.name].is_required() == required
        if not required:
            assert fields[option.name].default == option.default


def test_the_predefined_mappers_are_those_of_the_mappers() -> None:
    """The names that can be switched off are the names that are there."""
    named = [mapper.name for mapper in options.predefined(username_attribute="uid")]
    assert list(PREDEFINED_NAMES) == named


def test_the_vendors_are_those_of_the_directory_room() -> None:
    """What the reference says a vendor sets is what is applied."""
    assert set(VENDOR_DEFAULTS) == set(VENDORS)
    for name, defaults in VENDORS.items():
        assert VENDOR_DEFAULTS[name] == {
            "username_ldap_attribute": defaults.username_attribute,
            "rdn_ldap_attribute": defaults.rdn_attribute,
            "uuid_ldap_attribute": defaults.uuid_attribute,
            "user_object_classes": defaults.user_object_classes,
            "create_timestamp": defaults.created_attribute,
            "modify_timestamp": defaults.modified_attribute,
            "role_name_ldap_attribute": defaults.group_name_attribute,
            "role_object_class": defaults.group_object_classes,
            "group_name_ldap_attribute": defaults.group_name_attribute,
            "group_object_classes": defaults.group_object_classes,
            "membership_ldap_attribute": defaults.member_attribute,
            "member_of_ldap_attribute": defaults.member_of_attribute,
            "account_state_attributes": defaults.state_attributes,
        }


def test_the_vendors_of_the_matching_rule_are_those_of_the_directory_room() -> None:
    """Who may be asked for nested members is known to both rooms."""
    assert {name for name, vendor in VENDORS.items() if vendor.in_chain} == IN_CHAIN_VENDORS


def test_predefined_mappers_are_switched_off_or_replaced_by_name(place: Place) -> None:
    """An entry with a predefined name takes its place, or its absence."""
    place.ldap()
    path = place.folder / "organizations/acme.yaml"
    path.write_text(
        path.read_text()
        + """
mappers:
  - {name: email, enabled: false}
  - {name: username, type: user-attribute, user_attribute: username, ldap_attribute: cn}
  - name: last name
    type: user-attribute
    user_attribute: last_name
    ldap_attribute: x
    enabled: false
  - {name: mail, type: user-attribute, user_attribute: email, ldap_attribute: proxyAddress}
  - {name: role, type: role, roles_dn: "ou=teams,dc=example,dc=org", role_object_class: "a,b"}
  - {name: owner, type: hardcoded-role, role: Owner, may_grant_privileged: true, renamed_from: own}
"""
    )
    acme = place.acme()
    assert acme.replaced_predefined == {"email", "username", "last name"}
    assert [mapper.name for mapper in acme.active_mappers] == ["username", "mail", "role", "owner"]


def test_a_configured_mapper_becomes_its_options(place: Place) -> None:
    """The dumped keys are taken by the options as they are."""
    place.organization(
        "organization: {id: acme, name: A}\nprovider: admin\nmappers:\n"
        "  - {name: a, type: user-attribute, user_attribute: b, ldap_attribute: c, binary: yes}\n"
    )
    (mapper,) = place.acme().active_mappers
    made = options.UserAttributeOptions(**mapper.model_dump(exclude=OWN))
    assert made == options.UserAttributeOptions(
        name="a", user_attribute="b", ldap_attribute="c", binary=True
    )


def test_limits_are_switched_off_whole_or_in_part(place: Place) -> None:
    """A null takes a limit away; what is not named keeps its default."""
    place.organization(
        "organization: {id: acme, name: A}\nprovider: admin\nlimits:\n"
        "  delete: null\n  disable: {percent: 5}\n  missing: {count: null}\n  create: {count: 10}\n"
    )
    limits = place.acme().limits
    assert limits.delete is None
    shown = [
        (each.percent, each.count)
        for each in (limits.disable, limits.missing, limits.create)
        if each is not None
    ]
    assert shown == [(5, 500), (10, None), (None, 10)]
