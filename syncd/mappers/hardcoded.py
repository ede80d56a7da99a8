"""``hardcoded-attribute``, ``-role`` and ``-group``: the same for everybody of this directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.mappers.attributes import ManySource, Source
from syncd.mappers.groups import groups_of_path
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


def hardcoded_membership(options: HardcodedRoleOptions | HardcodedGroupOptions) -> MemberOf:
    """Return the statement that everybody makes."""
    if isinstance(options, HardcodedRoleOptions):
        return MemberOf(options.name, hardcoded_role(options).container_key, options.role)
    return MemberOf(options.name, hardcoded_group(options)[-1].container_key, options.group)


def hardcoded_role(options: HardcodedRoleOptions) -> ContainerRecord:
    """Return the container that no directory holds and that everybody is in."""
    key = key_of(f"hardcoded\0{options.name}")
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
    """Return the group that everybody is in, after those of its path, outermost first.

    It is that of any other mapper's path of these names, and that of a renamed mapper.
    """
    return groups_of_path(options.name, group_names(options.group))
