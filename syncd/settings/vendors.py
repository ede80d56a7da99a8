"""Owns which names a directory product uses when an attribute key is not set.

The keys stay ``null`` in the settings ("the vendor's"); this table serves the reference, the
warnings and the checks. A test holds it equal to the table of the ldap room, which is applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_COMMON: dict[str, str | tuple[str, ...]] = {
    "username_ldap_attribute": "uid",
    "rdn_ldap_attribute": "uid",
    "uuid_ldap_attribute": "entryUUID",
    "user_object_classes": ("inetOrgPerson", "organizationalPerson"),
    "create_timestamp": "createTimestamp",
    "modify_timestamp": "modifyTimestamp",
    "role_name_ldap_attribute": "cn",
    "role_object_class": ("groupOfNames",),
    "group_name_ldap_attribute": "cn",
    "group_object_classes": ("groupOfNames",),
    "membership_ldap_attribute": "member",
    "member_of_ldap_attribute": "memberOf",
    "account_state_attributes": (),
}

VENDOR_DEFAULTS: Mapping[str, Mapping[str, str | tuple[str, ...]]] = MappingProxyType(
    {
        "active_directory": {
            **_COMMON,
            "username_ldap_attribute": "sAMAccountName",
            "rdn_ldap_attribute": "cn",
            "uuid_ldap_attribute": "objectGUID",
            "user_object_classes": ("person", "organizationalPerson", "user"),
            "create_timestamp": "whenCreated",
            "modify_timestamp": "whenChanged",
            "role_object_class": ("group",),
            "group_object_classes": ("group",),
            "account_state_attributes": (
                "userAccountControl",
                "accountExpires",
                "lockoutTime",
                "msDS-User-Account-Control-Computed",
            ),
        },
        "openldap": {
            **_COMMON,
            "account_state_attributes": (
                "pwdAccountLockedTime",
                "pwdStartTime",
                "pwdEndTime",
                "shadowExpire",
            ),
        },
        "389ds": {
            **_COMMON,
            "uuid_ldap_attribute": "nsUniqueId",
            "account_state_attributes": ("nsAccountLock", "accountUnlockTime"),
        },
        "freeipa": {
            **_COMMON,
            "uuid_ldap_attribute": "ipaUniqueID",
            "account_state_attributes": ("nsAccountLock", "krbPrincipalExpiration"),
        },
        "opendj": {
            **_COMMON,
            "role_object_class": ("groupOfUniqueNames",),
            "group_object_classes": ("groupOfUniqueNames",),
            "membership_ldap_attribute": "uniqueMember",
            "member_of_ldap_attribute": "isMemberOf",
            "account_state_attributes": (
                "ds-pwp-account-disabled",
                "ds-pwp-account-expiration-time",
                "pwdAccountLockedTime",
            ),
        },
        "other": _COMMON,
    }
)
# Those that can be asked for nested members (1.2.840.113556.1.4.1941).
IN_CHAIN_VENDORS: frozenset[str] = frozenset({"active_directory"})
