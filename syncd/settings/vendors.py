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
    "membership_ldap_attribute": "member",
    "member_of_ldap_attribute": "memberOf",
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
        },
        "openldap": _COMMON,
        "389ds": {**_COMMON, "uuid_ldap_attribute": "nsUniqueId"},
        "freeipa": {**_COMMON, "uuid_ldap_attribute": "ipaUniqueID"},
        "opendj": {
            **_COMMON,
            "role_object_class": ("groupOfUniqueNames",),
            "membership_ldap_attribute": "uniqueMember",
            "member_of_ldap_attribute": "isMemberOf",
        },
        "other": _COMMON,
    }
)
