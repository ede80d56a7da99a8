"""Role import: an entry below the Roles DN to a container with a role's name and its members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.errors import MappingError
from syncd.mappers.checks import refuse_contradictions
from syncd.mappers.containers import ContainerMapping, name_reader
from syncd.mappers.reasons import Reason
from syncd.mappers.values import NAME_LIMIT, has_control
from syncd.naming import compile_pattern, is_preconfigured_role
from syncd.records import fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.mappers.codec import Codec
    from syncd.mappers.options import RoleImportOptions


def compile_roles(
    options: RoleImportOptions,
    *,
    codec: Codec,
    username_attribute: str,
) -> ContainerMapping:
    """Return the mapping of one role import."""
    refuse_contradictions(options)
    return ContainerMapping(
        options,
        codec,
        username_attribute=username_attribute,
        read_name=name_reader(
            codec,
            options.role_name_ldap_attribute,
            "role",
            missing=Reason.MISSING_ROLE_NAME,
            bad=Reason.BAD_ROLE_NAME,
        ),
        target_of=_role_namer(options),
        read_attributes=lambda _: "{}",
        hierarchy=False,
    )


def _role_namer(options: RoleImportOptions) -> Callable[[str], str]:
    """Return the rule from a directory role's name to the role that it stands for."""
    name_map = {fold(name.strip()): role.strip() for name, role in options.name_map.items()}
    patterns = [compile_pattern(each.match, each.role) for each in options.name_patterns]
    prefix, attribute = options.role_prefix, options.role_name_ldap_attribute

    def named_by_configuration(name: str) -> tuple[str, str] | None:
        """Return the role that map or pattern gives, and which of the two."""
        role = name_map.get(fold(name))
        if role is not None:
            return role, "name_map"
        for rename in patterns:
            role = rename(name)
            if role is not None:
                return role, "name_patterns"
        return None

    def role_name(name: str) -> str:
        role, key = named_by_configuration(name) or (f"{prefix}{name}", None)
        if not role or len(role) > NAME_LIMIT or has_control(role):
            raise MappingError(
                Reason.BAD_ROLE_NAME,
                f"{key or 'role_prefix'} of {options.name!r} makes a name of the directory's role"
                f" {name!r} that is blank or longer than {NAME_LIMIT} characters",
                attribute,
            )
        if not is_preconfigured_role(role):
            return role
        if key is None:
            raise MappingError(
                Reason.ROLE_NAME_RESERVED,
                f"the directory's role {name!r} is called like a preconfigured role; give it"
                f" another name in name_map of {options.name!r}",
                attribute,
            )
        if not options.may_grant_privileged:
            raise MappingError(
                Reason.ROLE_NAME_RESERVED,
                f"{key} of {options.name!r} gives the directory's role {name!r} the"
                f" preconfigured role {role!r}; set may_grant_privileged: true to allow that",
                attribute,
            )
        return role

    return role_name
