"""OpenLDAP's slapd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncd.ldap.vendors.defaults import VendorDefaults, texts

if TYPE_CHECKING:
    from syncd.records import Entry

DEFAULTS: Final = VendorDefaults(
    name="openldap",
    title="OpenLDAP",
    # Of the ppolicy overlay; shadowExpire of the schema of RFC 2307.
    state_attributes=("pwdAccountLockedTime", "pwdStartTime", "pwdEndTime", "shadowExpire"),
    own_dn_attribute="entryDN",
    change_detection=("syncrepl", "modify_timestamp"),
    absence_trusted=True,
)


def recognizes(root_dse: Entry) -> bool:
    """Return whether it is this product."""
    classes = texts(root_dse, "structuralObjectClass") + texts(root_dse, "objectClass")
    return "openldaprootdse" in classes
