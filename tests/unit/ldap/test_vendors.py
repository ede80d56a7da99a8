"""What syncd knows of directory products, and how it tells them apart."""

from __future__ import annotations

import pytest

from syncd.ldap.changes.detection import AUTO, KINDS
from syncd.ldap.vendors import VENDORS, detect, server_of, vendor_of
from syncd.records import Entry

ROOT_DSES = {
    "active directory": (
        "active_directory",
        {
            "forestfunctionality": [b"7"],
            "supportedcapabilities": [b"1.2.840.113556.1.4.800", b"1.2.840.113556.1.4.1670"],
        },
    ),
    "active directory lightweight": (
        "active_directory",
        {"supportedcapabilities": [b"1.2.840.113556.1.4.1851"]},
    ),
    "samba": (
        "active_directory",
        {
            "vendorname": [b"Samba Team (https://www.samba.org)"],
            "forestfunctionality": [b"4"],
        },
    ),
    "openldap": (
        "openldap",
        {"structuralobjectclass": [b"OpenLDAProotDSE"], "namingcontexts": [b"dc=example,dc=org"]},
    ),
    "openldap by its object class alone": (
        "openldap",
        {"objectclass": [b"top", b"OpenLDAProotDSE"]},
    ),
    "389": (
        "389ds",
        {"vendorname": [b"389 Project"], "vendorversion": [b"389-Directory/2.3.1 B2023.1"]},
    ),
    "freeipa by its extension": (
        "freeipa",
        {
            "vendorname": [b"389 Project"],
            "supportedextension": [b"1.3.6.1.4.1.1466.20037", b"2.16.840.1.113730.3.8.10.1"],
        },
    ),
    "freeipa by its topology": (
        "freeipa",
        {"vendorname": [b"389 Project"], "ipatopologypluginversion": [b"1.0"]},
    ),
    "opendj": (
        "opendj",
        {"vendorname": [b"ForgeRock AS."], "vendorversion": [b"OpenDJ Server 4.5.0"]},
    ),
    "a product that nobody listed": ("other", {"vendorname": [b"Example Directory"]}),
    "a server that says nothing": ("other", {}),
    "a vendor name that is not UTF-8": ("other", {"vendorname": [b"\xff\xfe"]}),
}


@pytest.mark.parametrize(("expected", "attributes"), ROOT_DSES.values(), ids=ROOT_DSES.keys())
def test_a_root_dse_tells_its_vendor(expected: str, attributes: dict[str, list[bytes]]) -> None:
    """A product is recognized by what its root DSE says, and by nothing else."""
    assert expected == detect(Entry("", attributes))


def test_the_table_has_the_vendors_of_the_configuration() -> None:
    """Each value of the ``vendor`` key has defaults, under its own name."""
    expected = {"active_directory", "openldap", "389ds", "freeipa", "opendj", "other"}

    assert expected == set(VENDORS)
    assert all(name == vendor.name for name, vendor in VENDORS.items())


@pytest.mark.parametrize(
    ("vendor", "uuid_attribute"),
    [
        ("active_directory", "objectGUID"),
        ("openldap", "entryUUID"),
        ("389ds", "nsUniqueId"),
        ("freeipa", "ipaUniqueID"),
        ("opendj", "entryUUID"),
        ("other", "entryUUID"),
    ],
)
def test_each_vendor_has_an_identifier_that_survives_a_rename(
    vendor: str, uuid_attribute: str
) -> None:
    """The default UUID attribute is never one that an admin edits, such as a name."""
    assert uuid_attribute == VENDORS[vendor].uuid_attribute


def test_active_directory_has_its_own_time_stamps() -> None:
    """Active Directory answers whenCreated and whenChanged where others have the RFC 4512 names."""
    vendor = VENDORS["active_directory"]

    assert (vendor.created_attribute, vendor.modified_attribute) == ("whenCreated", "whenChanged")


@pytest.mark.parametrize(
    ("vendor", "first"),
    [
        ("active_directory", "usn_changed"),
        ("openldap", "syncrepl"),
        ("389ds", "retro_changelog"),
        ("freeipa", "retro_changelog"),
        ("opendj", "modify_timestamp"),
        ("other", "modify_timestamp"),
    ],
)
def test_each_vendor_has_a_best_way_and_a_last_one(vendor: str, first: str) -> None:
    """What ``auto`` tries is known to the detection, and times of modification come last."""
    ways = VENDORS[vendor].change_detection
    assert (ways[0], ways[-1]) == (first, "modify_timestamp")
    assert set(ways) <= KINDS - {AUTO}
    assert len(set(ways)) == len(ways)


@pytest.mark.rule("2.10.2", server="pure")
def test_only_active_directory_has_its_own_ways() -> None:
    """Chains, ranges, a primary group and deleted objects are asked for nowhere else."""
    for name, vendor in VENDORS.items():
        flags = {vendor.in_chain, vendor.ranged_values, vendor.primary_group, vendor.shows_deleted}
        assert flags == {name == "active_directory"}


@pytest.mark.rule("2.8.1", server="pure")
def test_only_openldap_is_believed_about_who_is_not_named() -> None:
    """389 ends each refresh as if everybody who was not named were gone."""
    assert [name for name, vendor in VENDORS.items() if vendor.absence_trusted] == ["openldap"]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {"forestfunctionality": [b"7"], "dsservicename": [b"CN=NTDS,CN=DC1"]},
            "cn=ntds,cn=dc1",
        ),
        ({"forestfunctionality": [b"7"], "dnshostname": [b"DC1.example"]}, "dc1.example"),
        (
            {"vendorname": [b"389 Project"], "netscapemdsuffix": [b"cn=ldap://dc=A:389"]},
            "cn=ldap://dc=a:389",
        ),
        ({"vendorname": [b"389 Project"]}, ""),
        ({"structuralobjectclass": [b"OpenLDAProotDSE"], "dnshostname": [b"x"]}, ""),
    ],
)
def test_a_root_dse_tells_which_server_it_is(
    attributes: dict[str, list[bytes]], expected: str
) -> None:
    """Numbers of changes are one server's, so its name is asked for where it has one."""
    assert server_of(Entry("", attributes)) == expected


def test_what_a_vendor_can_do_follows_from_the_root_dse() -> None:
    """A FreeIPA is one though it is a 389 Directory Server, too."""
    attributes = ROOT_DSES["freeipa by its topology"][1]
    assert vendor_of(Entry("", attributes)) is VENDORS["freeipa"]
    assert VENDORS["freeipa"].users_container == "cn=users,cn=accounts"
