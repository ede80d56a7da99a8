"""Owns the keys of each mapper type; names equal the fields of the mappers' own options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from syncd import naming
from syncd.settings.account_state import AccountState
from syncd.settings.conflict import Conflict, conflict
from syncd.settings.groups import GroupImport, GroupName
from syncd.settings.roles import RoleImport
from syncd.settings.values import AnyText, Flag, Section, Text

RESERVED_NAMES = ("manual", "default", "import roles")
MODIFIED = "modifyTimestamp"
PREDEFINED_NAMES = (
    "username",
    "first name",
    "last name",
    "email",
    "createTimestamp",
    MODIFIED,
)
LATER_TYPES = (
    "claim-to-attribute",
    "claim-to-role",
    "claim-to-group",
    "username-template",
    "essential-claim",
)
SWITCHED_OFF = "switched-off"


class MapperSettings(Section):
    """What every mapper has."""

    name: Text = Field(
        max_length=100,
        examples=["department"],
        description="Unique in the organization; grants and reports carry it.",
    )
    enabled: Flag = Field(default=True, description="Switched off, a mapper does nothing.")
    renamed_from: Text | None = Field(
        default=None,
        examples=["dept"],
        description="Its former name: what that mapper had granted belongs to this one.",
    )


class UserAttributeMapper(MapperSettings):
    """One directory attribute to one property or attribute of a person."""

    type: Literal["user-attribute"]
    user_attribute: Text = Field(
        examples=["department"],
        description="username, email, first_name, last_name or any attribute name.",
    )
    ldap_attribute: Text = Field(
        examples=["departmentNumber"], description="The directory's attribute."
    )
    mandatory: Flag = Field(
        default=False, description="An entry without a value goes to quarantine."
    )
    default_value: AnyText | None = Field(
        default=None, description="The value of entries that have none."
    )
    binary: Flag = Field(default=False, description="Values are bytes and are kept as Base64.")
    multivalued: Flag | None = Field(
        default=None,
        examples=[True],
        description="Keep all values; default: for attributes yes, for properties the first.",
    )


class FullNameMapper(MapperSettings):
    """First and last name from one attribute, parted at its last space."""

    type: Literal["full-name"]
    ldap_attribute: Text = Field(
        default="cn", description="The directory's attribute that holds the full name."
    )


class HardcodedAttributeMapper(MapperSettings):
    """The same value for everybody of this directory."""

    type: Literal["hardcoded-attribute"]
    user_attribute: Text = Field(examples=["company"], description="The person's attribute.")
    value: AnyText = Field(examples=["Acme"], description="Its value.")


class HardcodedRoleMapper(MapperSettings):
    """One role for everybody of this directory."""

    type: Literal["hardcoded-role"]
    role: Text = Field(examples=["Employee"], description="The role's name.")
    may_grant_privileged: Flag = Field(
        default=False, description="Allow `role` to be one of the preconfigured roles."
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        if naming.is_preconfigured_role(self.role) and not self.may_grant_privileged:
            yield conflict(
                "role",
                "may_grant_privileged",
                because=f'gives everybody the preconfigured role "{self.role}"; set '
                "may_grant_privileged: true if that is meant",
            )


class HardcodedGroupMapper(MapperSettings):
    """One group for everybody of this directory."""

    type: Literal["hardcoded-group"]
    group: GroupName = Field(
        examples=["/Directory/Everybody"],
        description="The group's name, or its path, which starts with `/`; made when not there.",
    )


class RoleMapper(RoleImport, MapperSettings):
    """A further role import, with the keys of `ldap.import_roles`."""

    type: Literal["role"]


class GroupMapper(GroupImport, MapperSettings):
    """Groups, their hierarchy and who is in them, from entries of the directory."""

    type: Literal["group"]


class AccountStateMapper(AccountState, MapperSettings):
    """Whether people may use their accounts, as the directory's own attributes say."""

    type: Literal["account-state"]


class SwitchedOff(Section):
    """Switches a predefined mapper off: `{name: email, enabled: false}`."""

    type: ClassVar[str] = SWITCHED_OFF
    name: Literal[
        "username", "first name", "last name", "email", "createTimestamp", "modifyTimestamp"
    ] = Field(examples=["email"], description="The predefined mapper.")
    enabled: Literal[False] = Field(examples=[False], description="Always false.")


def _type_of(tree: Any) -> str | None:  # noqa: ANN401 - input is of any type
    if isinstance(tree, Section):
        return str(getattr(tree, "type", SWITCHED_OFF))
    if not isinstance(tree, dict):
        return None
    if "type" not in tree and tree.get("name") in PREDEFINED_NAMES and tree.get("enabled") is False:
        return SWITCHED_OFF
    kind = tree.get("type")
    return kind if isinstance(kind, str) and kind != SWITCHED_OFF else None


ActiveMapper: TypeAlias = (
    UserAttributeMapper
    | FullNameMapper
    | HardcodedAttributeMapper
    | HardcodedRoleMapper
    | HardcodedGroupMapper
    | RoleMapper
    | GroupMapper
    | AccountStateMapper
)
MAPPER_MODELS: dict[str, type[MapperSettings]] = {
    "user-attribute": UserAttributeMapper,
    "full-name": FullNameMapper,
    "hardcoded-attribute": HardcodedAttributeMapper,
    "hardcoded-role": HardcodedRoleMapper,
    "hardcoded-group": HardcodedGroupMapper,
    "role": RoleMapper,
    "group": GroupMapper,
    "account-state": AccountStateMapper,
}
Mapper = Annotated[
    Annotated[UserAttributeMapper, Tag("user-attribute")]
    | Annotated[FullNameMapper, Tag("full-name")]
    | Annotated[HardcodedAttributeMapper, Tag("hardcoded-attribute")]
    | Annotated[HardcodedRoleMapper, Tag("hardcoded-role")]
    | Annotated[HardcodedGroupMapper, Tag("hardcoded-group")]
    | Annotated[RoleMapper, Tag("role")]
    | Annotated[GroupMapper, Tag("group")]
    | Annotated[AccountStateMapper, Tag("account-state")]
    | Annotated[SwitchedOff, Tag(SWITCHED_OFF)],
    Discriminator(_type_of),
]


def mapper_conflicts(
    mappers: Sequence[ActiveMapper | SwitchedOff], vendor: str | None = None
) -> Iterator[Conflict]:
    """Yield what contradicts itself in a mapper or between mappers, keys starting at the list.

    ``vendor`` is the directory's, if there is one.
    """
    names: dict[str, int] = {}
    targets = _predefined_targets(mappers)
    for index, mapper in enumerate(mappers):
        here = f"mappers.{index}"
        name = mapper.name.casefold()
        if name in RESERVED_NAMES:
            listed = ", ".join(RESERVED_NAMES)
            yield conflict(f"{here}.name", because=f"is reserved ({listed}); choose another name")
        if name in names:
            yield conflict(
                f"{here}.name",
                f"mappers.{names[name]}.name",
                because=f'is "{mapper.name}", as in mappers[{names[name]}]; names must be unique',
            )
        names.setdefault(name, index)
        if isinstance(mapper, RoleMapper | GroupMapper | AccountStateMapper):
            yield from (found.below(here) for found in mapper.conflicts(vendor))
        elif isinstance(mapper, HardcodedRoleMapper):
            yield from (found.below(here) for found in mapper.conflicts())
        target = _target(mapper)
        if target is not None:
            if target in targets:
                yield conflict(
                    f"{here}.user_attribute",
                    *([f"{targets[target]}.user_attribute"] if "." in targets[target] else []),
                    because=f"is set by {_shown(targets[target])} too; keep one, or switch a "
                    "predefined mapper off with {name: …, enabled: false}",
                )
            targets.setdefault(target, here)
    yield from _renames(mappers)
    yield from _second_account_state(mappers)
    yield from _timeless_account_state(mappers, vendor)
    off = {m.name for m in mappers if isinstance(m, SwitchedOff) or not m.enabled}
    if "username" in off and "username" not in targets:
        index = next(i for i, m in enumerate(mappers) if m.name == "username")
        yield conflict(
            f"mappers.{index}.enabled",
            because="switches the username off and no other mapper sets it; people need one",
        )


def _renames(mappers: Sequence[ActiveMapper | SwitchedOff]) -> Iterator[Conflict]:
    former = [None if isinstance(m, SwitchedOff) else m.renamed_from for m in mappers]
    taken = {m.name for m in mappers}
    times = Counter(name for name in former if name)
    for index, name in enumerate(former):
        key = f"mappers.{index}.renamed_from"
        if name is not None and name in taken:
            yield conflict(
                key, because=f'names "{name}", which is still a mapper here; a name has one owner'
            )
        elif name is not None and times[name] > 1:
            yield conflict(
                key, because=f'names "{name}" as another mapper does; a name has one heir'
            )


def _second_account_state(mappers: Sequence[ActiveMapper | SwitchedOff]) -> Iterator[Conflict]:
    found = [
        index
        for index, mapper in enumerate(mappers)
        if isinstance(mapper, AccountStateMapper) and mapper.enabled
    ]
    for index in found[1:]:
        yield conflict(
            f"mappers.{index}.type",
            f"mappers.{found[0]}.type",
            because="is account-state, of which an organization has one; name all attributes there",
        )


def _timeless_account_state(
    mappers: Sequence[ActiveMapper | SwitchedOff], vendor: str | None
) -> Iterator[Conflict]:
    off = {m.name: i for i, m in enumerate(mappers) if isinstance(m, SwitchedOff) or not m.enabled}
    if MODIFIED not in off:
        return
    for index, mapper in enumerate(mappers):
        if isinstance(mapper, AccountStateMapper) and mapper.enabled and mapper.needs_time(vendor):
            yield conflict(
                f"mappers.{off[MODIFIED]}.enabled",
                f"mappers.{index}.trust_absence",
                because=f"switches {MODIFIED} off, which tells that a missing attribute was taken "
                "away: who was unlocked would stay disabled; keep it, or set trust_absence: true",
            )


_PREDEFINED_TARGETS = {
    "username": "username",
    "first name": "firstname",
    "last name": "lastname",
    "email": "email",
}


def _predefined_targets(mappers: Sequence[ActiveMapper | SwitchedOff]) -> dict[str, str]:
    named = {mapper.name for mapper in mappers}
    return {
        target: f'the predefined mapper "{name}"'
        for name, target in _PREDEFINED_TARGETS.items()
        if name not in named
    }


def _target(mapper: ActiveMapper | SwitchedOff) -> str | None:
    if isinstance(mapper, UserAttributeMapper | HardcodedAttributeMapper) and mapper.enabled:
        target = mapper.user_attribute.lower()
        compact = target.replace("_", "")
        return compact if compact in _PREDEFINED_TARGETS.values() else target
    return None


def _shown(where: str) -> str:
    head, _, index = where.partition("mappers.")
    return head or f"mappers[{index}]"
