"""Owns what is known of each directory product, one module each, and how to tell them apart.

What is configured as ``vendor`` only sets names. What a server can do follows from what it says of
itself, so a wrong ``vendor`` costs a sentence of advice. Nothing elsewhere asks for a product by
its name.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from syncd.ldap.vendors import active_directory, ds389, freeipa, opendj, openldap, other
from syncd.ldap.vendors.defaults import VendorDefaults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.records import Entry

__all__ = ["VENDORS", "VendorDefaults", "detect", "server_of", "vendor_of"]


class _Product(Protocol):
    @property
    def DEFAULTS(self) -> VendorDefaults: ...  # noqa: N802 - a constant of its module

    def recognizes(self, root_dse: Entry, /) -> bool: ...


# The first one that recognizes a server has it; the last one recognizes everything.
_PRODUCTS: tuple[_Product, ...] = (active_directory, openldap, freeipa, ds389, opendj, other)
VENDORS: Mapping[str, VendorDefaults] = MappingProxyType(
    {product.DEFAULTS.name: product.DEFAULTS for product in _PRODUCTS}
)


def detect(root_dse: Entry) -> str:
    """Return the key of ``VENDORS`` that fits what a server says of itself (RFC 4512 section 5.1).

    Samba calls itself by its own name but behaves and is named here as Active Directory.
    """
    return vendor_of(root_dse).name


def vendor_of(root_dse: Entry) -> VendorDefaults:
    """Return what is known of the product that a server says to be."""
    return next(each.DEFAULTS for each in _PRODUCTS if each.recognizes(root_dse))


def server_of(root_dse: Entry) -> str:
    """Return what tells this server from others of its directory; empty when it does not say."""
    vendor = vendor_of(root_dse)
    values = [root_dse.values(attribute) for attribute in vendor.server_attributes]
    return next((found[0].decode("utf-8", "replace").lower() for found in values if found), "")
