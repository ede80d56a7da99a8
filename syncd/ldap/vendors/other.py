"""A directory of which nothing is known but the standards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncd.ldap.vendors.defaults import VendorDefaults

if TYPE_CHECKING:
    from syncd.records import Entry

DEFAULTS: Final = VendorDefaults(name="other", title="another directory")


def recognizes(root_dse: Entry) -> bool:
    """Return that it may be anything."""
    del root_dse
    return True
