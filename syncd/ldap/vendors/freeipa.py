"""FreeIPA: 389 Directory Server with a layout, plug-ins and habits of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncd.ldap.vendors import ds389
from syncd.ldap.vendors.defaults import VendorDefaults, texts

if TYPE_CHECKING:
    from syncd.records import Entry

# It registers its keytab and enrolment operations below this arc.
EXTENSIONS: Final = "2.16.840.1.113730.3.8.10."

DEFAULTS: Final = VendorDefaults(
    name="freeipa",
    title="FreeIPA",
    uuid_attribute="ipaUniqueID",
    state_attributes=("nsAccountLock", "krbPrincipalExpiration"),
    users_container="cn=users,cn=accounts",
    own_dn_attribute="entryDN",
    # Not syncrepl: its changelog has nothing but DNS in it until an admin adds the suffix, and then
    # an account that may read the changelog can tell.
    change_detection=("retro_changelog", "modify_timestamp"),
    sync_id_attribute="nsUniqueId",
    sync_by_changelog=True,
    server_attributes=("netscapemdsuffix",),
    clock_entry="cn=monitor",
)


def recognizes(root_dse: Entry) -> bool:
    """Return whether it is this product."""
    if not ds389.recognizes(root_dse):
        return False
    extensions = texts(root_dse, "supportedExtension")
    return any(oid.startswith(EXTENSIONS) for oid in extensions) or any(
        name.startswith("ipa") for name in root_dse.attributes
    )
