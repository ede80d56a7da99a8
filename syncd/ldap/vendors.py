"""Owns what is known of each directory product: its default attribute names and how to tell it.

A vendor only sets defaults and wording. No rule of a sync depends on it, so a product that is
detected wrongly costs a sentence of advice and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.records import Entry

ACTIVE_DIRECTORY_CAPABILITIES = frozenset(
    {
        "1.2.840.113556.1.4.800",  # Active Directory
        "1.2.840.113556.1.4.1851",  # Active Directory Lightweight Directory Services
    }
)
# FreeIPA registers its keytab and enrolment operations below this arc.
FREEIPA_EXTENSIONS = "2.16.840.1.113730.3.8.10."
OPENDJ_NAMES = ("opendj", "forgerock", "wren:ds", "pingds")


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorDefaults:
    """The attribute names and object classes that a product uses unless an admin says otherwise."""

    name: str
    title: str
    username_attribute: str = "uid"
    rdn_attribute: str = "uid"
    uuid_attribute: str = "entryUUID"
    user_object_classes: tuple[str, ...] = ("inetOrgPerson", "organizationalPerson")
    created_attribute: str = "createTimestamp"
    modified_attribute: str = "modifyTimestamp"
    group_object_classes: tuple[str, ...] = ("groupOfNames",)
    group_name_attribute: str = "cn"
    member_attribute: str = "member"
    member_of_attribute: str = "memberOf"


_ALL = (
    VendorDefaults(
        name="active_directory",
        title="Active Directory",
        username_attribute="sAMAccountName",
        rdn_attribute="cn",
        uuid_attribute="objectGUID",
        # Not inetOrgPerson: people in Active Directory do not have it.
        user_object_classes=("person", "organizationalPerson", "user"),
        created_attribute="whenCreated",
        modified_attribute="whenChanged",
        group_object_classes=("group",),
    ),
    VendorDefaults(name="openldap", title="OpenLDAP"),
    # nsUniqueId is on each entry; entryUUID only on those written since its plug-in was enabled.
    VendorDefaults(name="389ds", title="389 Directory Server", uuid_attribute="nsUniqueId"),
    VendorDefaults(name="freeipa", title="FreeIPA", uuid_attribute="ipaUniqueID"),
    VendorDefaults(
        name="opendj",
        title="OpenDJ",
        group_object_classes=("groupOfUniqueNames",),
        member_attribute="uniqueMember",
        member_of_attribute="isMemberOf",
    ),
    VendorDefaults(name="other", title="another directory"),
)
VENDORS: Mapping[str, VendorDefaults] = MappingProxyType({vendor.name: vendor for vendor in _ALL})


def detect(root_dse: Entry) -> str:
    """Return the key of ``VENDORS`` that fits what a server says of itself (RFC 4512 section 5.1).

    Samba calls itself by its own name but behaves and is named here as Active Directory.
    """
    capabilities = set(_texts(root_dse, "supportedCapabilities"))
    if root_dse.values("forestFunctionality") or capabilities & ACTIVE_DIRECTORY_CAPABILITIES:
        return "active_directory"
    classes = _texts(root_dse, "structuralObjectClass") + _texts(root_dse, "objectClass")
    if "openldaprootdse" in classes:
        return "openldap"
    named = " ".join(_texts(root_dse, "vendorName") + _texts(root_dse, "vendorVersion"))
    if "389 project" in named or "389-directory" in named:
        return "freeipa" if _is_freeipa(root_dse) else "389ds"
    if any(name in named for name in OPENDJ_NAMES):
        return "opendj"
    return "other"


def _is_freeipa(root_dse: Entry) -> bool:
    extensions = _texts(root_dse, "supportedExtension")
    return any(oid.startswith(FREEIPA_EXTENSIONS) for oid in extensions) or any(
        name.startswith("ipa") for name in root_dse.attributes
    )


def _texts(entry: Entry, attribute: str) -> list[str]:
    return [value.decode("utf-8", "replace").strip().lower() for value in entry.values(attribute)]
