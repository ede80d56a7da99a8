"""A directory's value rules and its entries, as the mappers' tests use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.ldap import decode, dn
from syncd.mappers.options import predefined
from syncd.mappers.pipeline import Codec, compile_users
from syncd.records import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.mappers.options import MapperOptions, MemberOfOptions
    from syncd.mappers.pipeline import UserMapping

CODEC = Codec(
    text=decode.decode_text,
    time=decode.decode_generalized_time,
    external_id=decode.decode_external_id("entryUUID"),
    dn_key=dn.dn_key,
    naming_values=dn.naming_values,
    is_below=dn.is_below,
)
PREDEFINED = predefined(username_attribute="uid")
ANNA: dict[str, list[bytes]] = {
    "entryuuid": [b"6f0c1e2a-1111-4222-8333-abcdefabcdef"],
    "uid": [b"anna"],
    "givenname": [b"Anna"],
    "sn": ["Müller".encode()],
    "mail": [b"Anna.Mueller@Example.org"],
    "createtimestamp": [b"20240102030405Z"],
    "modifytimestamp": [b"20240202030405.7Z"],
}


def anna(*, without: Sequence[str] = (), dn: str = "uid=anna,ou=p,dc=x", **more: object) -> Entry:
    """Return Anna's entry, some attributes left out or set to text, bytes or a list of them."""
    attributes = {name: values for name, values in ANNA.items() if name not in without}
    for name, value in more.items():
        values = value if isinstance(value, list) else [value]
        attributes[name.replace("__", ";").lower()] = [
            each if isinstance(each, bytes) else str(each).encode() for each in values
        ]
    return Entry(dn, attributes)


def users(
    *mappers: MapperOptions,
    uuid_attribute: str = "entryUUID",
    trust_email: bool = False,
    member_attributes: Sequence[str] = (),
    member_of: Sequence[MemberOfOptions] = (),
) -> UserMapping:
    """Compile the predefined mappers and ``mappers``."""
    return compile_users(
        codec=CODEC,
        uuid_attribute=uuid_attribute,
        username_attribute="uid",
        trust_email=trust_email,
        mappers=[*PREDEFINED, *mappers],
        member_attributes=member_attributes,
        member_of=member_of,
    )
