"""Group import: an entry below the Groups DN to a group with its members and attributes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from syncd import naming
from syncd.mappers.attributes import compile_attribute
from syncd.mappers.checks import refuse_contradictions
from syncd.mappers.containers import ContainerMapping, membership_type, name_reader
from syncd.mappers.options import MembershipType, Nested, UserAttributeOptions
from syncd.mappers.reasons import Reason
from syncd.records import ContainerRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from syncd.mappers.codec import Codec
    from syncd.mappers.options import GroupImportOptions
    from syncd.records import Entry


def compile_groups(
    options: GroupImportOptions,
    *,
    codec: Codec,
    username_attribute: str,
) -> ContainerMapping:
    """Return the mapping of one group import."""
    refuse_contradictions(options)
    return ContainerMapping(
        options,
        codec,
        username_attribute=username_attribute,
        read_name=name_reader(
            codec,
            options.group_name_ldap_attribute,
            "group",
            missing=Reason.MISSING_GROUP_NAME,
            bad=Reason.BAD_GROUP_NAME,
        ),
        target_of=str,
        read_attributes=_attributes_reader(codec, options.name, options.mapped_group_attributes),
        hierarchy=preserves_inheritance(options),
        fixed=groups_of_path(options.name, naming.path_names(options.groups_path)),
    )


def preserves_inheritance(options: GroupImportOptions) -> bool:
    """Return whether member groups become child groups, defaults applied."""
    if options.preserve_group_inheritance is not None:
        return options.preserve_group_inheritance
    # With the directory's own rule a member group is as good as each of its members.
    if options.nested_membership == Nested.IN_CHAIN:
        return False
    return membership_type(options) != MembershipType.UID


def groups_of_path(mapper: str, names: Sequence[str]) -> tuple[ContainerRecord, ...]:
    """Return the groups of a path that no directory holds, outermost first.

    A group's key is that of its path alone, so that it is the same for a renamed mapper.
    """
    found: list[ContainerRecord] = []
    for depth, name in enumerate(names, 1):
        key = naming.path_key(names[:depth])
        found.append(
            ContainerRecord(
                mapper=mapper,
                container_key=key,
                external_id=key.hex(),
                dn="",
                dn_key=key,
                name=name,
                target=name,
                members=(),
                whole=True,
                kind="group",
                parents=(found[-1].container_key,) if found else (),
            )
        )
    return tuple(found)


def _attributes_reader(
    codec: Codec, mapper: str, attributes: Sequence[str]
) -> Callable[[Entry], str]:
    """Return what reads the mapped attributes as canonical JSON text."""
    if not attributes:
        return lambda _: "{}"
    sources = [
        (
            name,
            compile_attribute(
                UserAttributeOptions(
                    name=mapper, user_attribute=name, ldap_attribute=name, multivalued=True
                ),
                codec,
            ).read,
        )
        for name in sorted(attributes)
    ]

    def read(entry: Entry) -> str:
        found = {name: values for name, read_values in sources if (values := read_values(entry))}
        return json.dumps(found, ensure_ascii=False, separators=(",", ":"))

    return read
