"""389 Directory Server, and Red Hat's, which is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncd.ldap.vendors.defaults import VendorDefaults, named

if TYPE_CHECKING:
    from syncd.records import Entry

DEFAULTS: Final = VendorDefaults(
    name="389ds",
    title="389 Directory Server",
    # It is on each entry; entryUUID only on those written since its plug-in was enabled.
    uuid_attribute="nsUniqueId",
    state_attributes=("nsAccountLock", "accountUnlockTime"),
    own_dn_attribute="entryDN",
    change_detection=("retro_changelog", "syncrepl", "modify_timestamp"),
    sync_id_attribute="nsUniqueId",
    sync_by_changelog=True,
    server_attributes=("netscapemdsuffix",),
    clock_entry="cn=monitor",
)


def recognizes(root_dse: Entry) -> bool:
    """Return whether it is this product, alone or below FreeIPA."""
    return any(name in named(root_dse) for name in ("389 project", "389-directory"))
