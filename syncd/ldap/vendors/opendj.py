"""OpenDJ and its kin: ForgeRock's and Ping's directories, Wren:DS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncd.ldap.vendors.defaults import VendorDefaults, named

if TYPE_CHECKING:
    from syncd.records import Entry

NAMES: Final = ("opendj", "forgerock", "wren:ds", "pingds")

DEFAULTS: Final = VendorDefaults(
    name="opendj",
    title="OpenDJ",
    state_attributes=(
        "ds-pwp-account-disabled",
        "ds-pwp-account-expiration-time",
        "pwdAccountLockedTime",
    ),
    group_object_classes=("groupOfUniqueNames",),
    member_attribute="uniqueMember",
    member_of_attribute="isMemberOf",
)


def recognizes(root_dse: Entry) -> bool:
    """Return whether it is this product."""
    return any(name in named(root_dse) for name in NAMES)
