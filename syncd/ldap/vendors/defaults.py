"""What is known of one directory product, as values; and how its root DSE is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syncd.records import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorDefaults:
    """Names that a product uses unless an admin says otherwise, and what it can do."""

    name: str
    title: str

    # People.
    username_attribute: str = "uid"
    rdn_attribute: str = "uid"
    uuid_attribute: str = "entryUUID"
    user_object_classes: tuple[str, ...] = ("inetOrgPerson", "organizationalPerson")
    created_attribute: str = "createTimestamp"
    modified_attribute: str = "modifyTimestamp"
    # Attributes that say whether an account may be used, in the product's own words.
    state_attributes: tuple[str, ...] = ()

    # Roles and groups.
    group_object_classes: tuple[str, ...] = ("groupOfNames",)
    group_name_attribute: str = "cn"
    member_attribute: str = "member"
    member_of_attribute: str = "memberOf"
    # Where the product itself keeps people, below its suffix; empty: wherever an admin likes.
    users_container: str = ""

    # What answers a filter on a chain of memberships (1.2.840.113556.1.4.1941).
    in_chain: bool = False
    # Long lists of values come in ranges (member;range=0-1499).
    ranged_values: bool = False
    # Each person has one group that neither side's list of members names.
    primary_group: bool = False
    # Deleted entries can be asked for (1.2.840.113556.1.4.417).
    shows_deleted: bool = False

    # The attribute by which entries can be found by their DNs, several at once, from an index.
    own_dn_attribute: str | None = None

    # How changes are found by "auto", the best first.
    change_detection: tuple[str, ...] = ("modify_timestamp",)
    # The attribute whose value content synchronization (RFC 4533) names entries by.
    sync_id_attribute: str = "entryUUID"
    # After a present phase whoever was not named is gone, as RFC 4533 says.
    absence_trusted: bool = False
    # Content synchronization is made from a changelog (389): its cookies are numbers of one server,
    # and what it says are hints.
    sync_by_changelog: bool = False

    # Attributes of the root DSE that tell which of several servers answers.
    server_attributes: tuple[str, ...] = ()
    # The attribute of the root DSE that names the entry of the server itself, where a value tells
    # its incarnation: another one after it was restored.
    server_entry_attribute: str | None = None
    incarnation_attribute: str | None = None
    # An entry whose currentTime is the server's, where the root DSE has none.
    clock_entry: str | None = None


def texts(entry: Entry, attribute: str) -> list[str]:
    """Return an attribute's values in lower case, without the spaces around them."""
    return [value.decode("utf-8", "replace").strip().lower() for value in entry.values(attribute)]


def named(root_dse: Entry) -> str:
    """Return what a server calls itself, in lower case."""
    return " ".join(texts(root_dse, "vendorName") + texts(root_dse, "vendorVersion"))
