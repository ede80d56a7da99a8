"""Active Directory, its lightweight sibling, and Samba, which behaves and is named as it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncd.ldap.vendors.defaults import VendorDefaults, texts

if TYPE_CHECKING:
    from syncd.records import Entry

CAPABILITIES: Final = frozenset(
    {
        "1.2.840.113556.1.4.800",  # Active Directory
        "1.2.840.113556.1.4.1851",  # Active Directory Lightweight Directory Services
    }
)

DEFAULTS: Final = VendorDefaults(
    name="active_directory",
    title="Active Directory",
    username_attribute="sAMAccountName",
    rdn_attribute="cn",
    uuid_attribute="objectGUID",
    # Not inetOrgPerson: people in Active Directory do not have it.
    user_object_classes=("person", "organizationalPerson", "user"),
    created_attribute="whenCreated",
    modified_attribute="whenChanged",
    state_attributes=(
        "userAccountControl",
        "accountExpires",
        "lockoutTime",
        "msDS-User-Account-Control-Computed",
    ),
    group_object_classes=("group",),
    in_chain=True,
    own_dn_attribute="distinguishedName",
    ranged_values=True,
    primary_group=True,
    shows_deleted=True,
    change_detection=("usn_changed", "modify_timestamp"),
    server_attributes=("dsServiceName", "dnsHostName"),
    server_entry_attribute="dsServiceName",
    incarnation_attribute="invocationId",
)


def recognizes(root_dse: Entry) -> bool:
    """Return whether it is this product."""
    if root_dse.values("forestFunctionality"):
        return True
    return bool(CAPABILITIES.intersection(texts(root_dse, "supportedCapabilities")))
