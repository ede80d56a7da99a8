"""``hardcoded-attribute``, ``-role`` and ``-group``: the same for everybody of this directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.mappers.attributes import ManySource, Source
from syncd.mappers.groups import configured_group, groups_of_path
from syncd.mappers.options import HardcodedRoleOptions
from syncd.naming import group_names
from syncd.records import ContainerRecord, MemberOf, key_of

if TYPE_CHECKING:
    from syncd.mappers.options import HardcodedAttributeOptions, HardcodedGroupOptions


def hardcoded_property(options: HardcodedAttributeOptions) -> Source:
    """Return the source of a property that is always the same."""
    value = options.value.strip() or None
    return Source(options.name, None, lambda _: value)


def hardcoded_attribute(options: HardcodedAttributeOptions) -> ManySource:
    """Return the source of a plain attribute that is always the same."""
    value = options.value.strip()
    values = [value] if value else None
    return ManySource(options.name, None, lambda _: values)


def hardcoded_key(mapper: str) -> bytes:
    """Return the key of the container that stands for a hardcoded role or group."""
    return key_of(f"hardcoded\0{mapper}")


def hardcoded_membership(options: HardcodedRoleOptions | HardcodedGroupOptions) -> MemberOf:
    """Return the statement that everybody makes."""
    given = options.role if isinstance(options, HardcodedRoleOptions) else options.group
    return MemberOf(options.name, hardcoded_key(options.name), given)


def hardcoded_role(options: HardcodedRoleOptions) -> ContainerRecord:
    """Return the container that no directory holds and that everybody is in."""
    key = hardcoded_key(options.name)
    return ContainerRecord(
        mapper=options.name,
        container_key=key,
        external_id=key.hex(),
        dn="",
        dn_key=key,
        name=options.role,
        target=options.role,
        members=(),
        whole=True,
    )


def hardcoded_group(options: HardcodedGroupOptions) -> tuple[ContainerRecord, ...]:
    """Return the group that everybody is in, after those of its path, outermost first."""
    *above, name = group_names(options.group)
    path = groups_of_path(options.name, above)
    return (*path, configured_group(options.name, hardcoded_key(options.name), name, path))
