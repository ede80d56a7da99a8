"""From validated settings to what the rooms are built with.

The only place that knows the settings' names on one side and the rooms' options on the other. The
vendor's defaults are filled in here, because neither settings nor directory knows the other.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from syncd.errors import ConfigurationError, Fault, UsageError
from syncd.ldap import decode, dn, filters
from syncd.ldap.changes.detection import check_setting
from syncd.ldap.connection import ConnectionOptions
from syncd.ldap.listings import ContainerSearch, UserSearch
from syncd.ldap.vendors import VENDORS
from syncd.mappers import options as mapper_options
from syncd.mappers.account_options import AccountStateOptions
from syncd.mappers.containers import base_dn
from syncd.mappers.pipeline import Codec, compile_groups, compile_roles, compile_users
from syncd.records import Limit, Scope
from syncd.settings.limits import DEFAULT_LIMITS
from syncd.settings.memberships import LOAD, LOAD_RECURSIVELY
from syncd.sync.guard import Limits
from syncd.sync.run import SyncOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.ldap.vendors import VendorDefaults
    from syncd.mappers.pipeline import ContainerMapping, UserMapping
    from syncd.settings import LdapSettings, OrganizationSettings
    from syncd.settings.mappers import GroupMapper
    from syncd.settings.roles import RoleImport

IMPORT_ROLES = "import roles"
OPTIONS = {
    "user-attribute": mapper_options.UserAttributeOptions,
    "full-name": mapper_options.FullNameOptions,
    "hardcoded-attribute": mapper_options.HardcodedAttributeOptions,
    "hardcoded-role": mapper_options.HardcodedRoleOptions,
    "hardcoded-group": mapper_options.HardcodedGroupOptions,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryParts:
    """Everything that a directory organization's syncs are built from."""

    connection: ConnectionOptions
    users: UserSearch
    containers: Mapping[str, ContainerSearch]
    user_mapping: UserMapping
    container_mappings: Mapping[str, ContainerMapping]
    options: SyncOptions
    vendor: str
    # What the configuration says of finding changes; the directory decides about "auto".
    change_detection: str


def directory_parts(organization: OrganizationSettings) -> DirectoryParts:
    """Build the parts of an organization whose provider is a directory.

    Raises:
        ConfigurationError: A filter is not one of RFC 4515, or mappers contradict each other.
        UsageError: The provider is another, or its changes cannot be found as configured.

    """
    ldap = organization.ldap
    if organization.provider != "ldap" or ldap is None:
        raise UsageError(
            f"{organization.id} has the provider {organization.provider}; only a directory (ldap) "
            "is synced"
        )
    vendor = VENDORS[ldap.vendor]
    username_attribute = ldap.username_ldap_attribute or vendor.username_attribute
    uuid_attribute = ldap.uuid_ldap_attribute or vendor.uuid_attribute
    check_setting(ldap.change_detection, uuid_attribute)
    classes = ldap.user_object_classes or vendor.user_object_classes
    scope = Scope(ldap.search_scope)
    codec = Codec(
        text=decode.decode_text,
        time=decode.decode_generalized_time,
        external_id=decode.decode_external_id(uuid_attribute),
        dn_key=dn.dn_key,
        naming_values=dn.naming_values,
        is_below=dn.is_below,
    )
    imports = _imports(organization, ldap, vendor, uuid_attribute)
    mappings = {
        each.name: _compiled(each, codec=codec, username_attribute=username_attribute)
        for each in imports
    }
    member_attributes = [name for each in mappings.values() for name in each.member_attributes]
    member_of = [options for each in mappings.values() for options in each.member_of]
    user_mapping = compile_users(
        codec=codec,
        uuid_attribute=uuid_attribute,
        username_attribute=username_attribute,
        trust_email=ldap.trust_email,
        mappers=_attribute_mappers(organization, username_attribute, vendor),
        member_attributes=member_attributes,
        member_of=member_of,
        primary_groups=[by for each in mappings.values() for by in each.primary_groups],
        account=_account_state(organization, vendor),
    )
    page_size = ldap.effective_page_size
    user_filter = _checked(organization, "ldap.user_search_filter", ldap.user_search_filter)
    return DirectoryParts(
        connection=connection_options(organization, ldap),
        users=UserSearch(
            base_dns=tuple(ldap.users_dn),
            scope=scope,
            filter=_class_filter(classes, user_filter),
            user_filter=user_filter,
            object_classes=tuple(classes),
            username_attribute=username_attribute,
            uuid_attribute=uuid_attribute,
            attributes=user_mapping.attributes,
            page_size=page_size,
            sentinels=tuple(ldap.sentinels),
            created_attribute=vendor.created_attribute,
            modified_attribute=vendor.modified_attribute,
        ),
        containers={
            each.name: _search(
                organization,
                each,
                mappings[each.name],
                vendor=vendor,
                scope=scope,
                page_size=page_size,
            )
            for each in imports
        },
        user_mapping=user_mapping,
        container_mappings=mappings,
        options=sync_options(organization, ldap),
        vendor=ldap.vendor,
        change_detection=ldap.change_detection,
    )


def connection_options(organization: OrganizationSettings, ldap: LdapSettings) -> ConnectionOptions:
    """Return how to connect and bind."""
    simple = ldap.bind_type == "simple"
    return ConnectionOptions(
        urls=tuple(ldap.connection_url),
        bind_dn=ldap.bind_dn if simple else None,
        password=_secret(ldap.bind_credential) if simple else None,
        ca_pem=tuple(certificate.pem for certificate in organization.certificates),
        trust_system=ldap.certificate_trust == "with_system",
        insecure_clear_text_bind=ldap.insecure_clear_text_bind,
        connect_timeout_seconds=float(ldap.connect_timeout),
        read_timeout_seconds=float(ldap.read_timeout),
    )


def limits_of(organization: OrganizationSettings) -> Limits:
    """Return what the guard holds plans against."""
    limits = organization.limits
    kinds = {
        name: Limit(limit.percent, limit.count)
        for name in DEFAULT_LIMITS
        if (limit := getattr(limits, name)) is not None
    }
    return Limits(
        minimum_population=limits.minimum_population,
        hold_kind=limits.on_exceed == "hold_kind",
        kinds=kinds,
    )


def sync_options(organization: OrganizationSettings, ldap: LdapSettings) -> SyncOptions:
    """Return what the engine needs to know."""
    return SyncOptions(
        organization_id=organization.id,
        batch_size=ldap.batch_size,
        limits=limits_of(organization),
        deletion_policy=organization.deletion.policy,
        grace_seconds=float(organization.deletion.grace_period),
    )


def _secret(value: Any) -> str | None:  # noqa: ANN401 - pydantic's secret, or none
    return None if value is None else str(value.get_secret_value())


def _checked(organization: OrganizationSettings, key: str, text: str) -> str:
    """Check a configured filter by the grammar of RFC 4515."""
    if text:
        try:
            filters.parse(text)
        except ValueError as error:
            fault = Fault(f"organization {organization.id}", None, key, str(error))
            raise ConfigurationError([fault]) from error
    return text


def _class_filter(classes: tuple[str, ...], more: str) -> str:
    wanted = [filters.equal("objectClass", name) for name in classes]
    if more:
        wanted.append(more)
    return filters.and_(*wanted) if len(wanted) > 1 else wanted[0]


def _attribute_mappers(
    organization: OrganizationSettings,
    username_attribute: str,
    vendor: Any,  # noqa: ANN401
) -> list[Any]:
    replaced = organization.replaced_predefined
    mappers: list[Any] = [
        each
        for each in mapper_options.predefined(
            username_attribute=username_attribute,
            created_attribute=vendor.created_attribute,
            modified_attribute=vendor.modified_attribute,
        )
        if each.name not in replaced
    ]
    for mapper in organization.active_mappers:
        options = OPTIONS.get(mapper.type)
        if options is not None:
            names = {each.name for each in fields(options)}
            values = {name: getattr(mapper, name) for name in names}
            mappers.append(options(**values))
    return mappers


def _account_state(
    organization: OrganizationSettings, vendor: VendorDefaults
) -> AccountStateOptions | None:
    for mapper in organization.active_mappers:
        if mapper.type == "account-state":
            return AccountStateOptions(
                name=mapper.name,
                attributes=tuple(mapper.attributes or vendor.state_attributes),
                attribute_names=dict(mapper.attribute_names),
                lockout_duration=mapper.lockout_duration,
                trust_absence=mapper.trust_absence,
            )
    return None


def _imports(
    organization: OrganizationSettings,
    ldap: LdapSettings,
    vendor: VendorDefaults,
    uuid_attribute: str,
) -> list[mapper_options.ImportOptions]:
    """Return the imports of roles and groups, the vendor's names filled in."""
    found: list[mapper_options.ImportOptions] = []
    configured: list[Any] = list(organization.active_mappers)
    if ldap.import_roles is not None:
        found.append(_role_import(IMPORT_ROLES, ldap.import_roles, vendor, uuid_attribute))
    for mapper in configured:
        if mapper.type == "role":
            found.append(_role_import(mapper.name, mapper, vendor, uuid_attribute))
        elif mapper.type == "group":
            found.append(_group_import(mapper, vendor, uuid_attribute))
    return found


def _role_import(
    name: str, roles: RoleImport, vendor: VendorDefaults, uuid_attribute: str
) -> mapper_options.RoleImportOptions:
    strategy, shared = _memberships(
        roles, roles.user_roles_retrieve_strategy, vendor, uuid_attribute
    )
    return mapper_options.RoleImportOptions(
        name=name,
        roles_dn=roles.roles_dn,
        role_name_ldap_attribute=roles.role_name_ldap_attribute or vendor.group_name_attribute,
        role_object_class=tuple(roles.role_object_class or vendor.group_object_classes),
        user_roles_retrieve_strategy=strategy,
        name_map=dict(roles.name_map),
        name_patterns=tuple(
            mapper_options.NamePatternOptions(match=each.match, role=each.role)
            for each in roles.name_patterns
        ),
        role_prefix=roles.role_prefix,
        unknown_roles=roles.unknown_roles,
        drop_non_existing_roles=roles.drop_non_existing_roles,
        may_grant_privileged=roles.may_grant_privileged,
        **shared,
    )


def _group_import(
    groups: GroupMapper, vendor: VendorDefaults, uuid_attribute: str
) -> mapper_options.GroupImportOptions:
    strategy, shared = _memberships(
        groups, groups.user_groups_retrieve_strategy, vendor, uuid_attribute
    )
    return mapper_options.GroupImportOptions(
        name=groups.name,
        groups_dn=groups.groups_dn,
        group_name_ldap_attribute=groups.group_name_ldap_attribute or vendor.group_name_attribute,
        group_object_classes=tuple(groups.group_object_classes or vendor.group_object_classes),
        preserve_group_inheritance=groups.preserve_group_inheritance,
        user_groups_retrieve_strategy=strategy,
        mapped_group_attributes=tuple(groups.mapped_group_attributes or ()),
        groups_path=groups.groups_path,
        drop_non_existing_groups_during_sync=groups.drop_non_existing_groups_during_sync,
        **shared,
    )


def _memberships(
    section: RoleImport | GroupMapper, strategy: str, vendor: VendorDefaults, uuid_attribute: str
) -> tuple[mapper_options.RetrieveStrategy, dict[str, Any]]:
    """Return who says who is in an import's entries, and the keys that both kinds share."""
    nested = mapper_options.Nested(section.nested_membership)
    if strategy == LOAD_RECURSIVELY:
        strategy = LOAD
        nested = mapper_options.Nested.IN_CHAIN if vendor.in_chain else mapper_options.Nested.EXPAND
    by = mapper_options.PrimaryGroupBy
    return mapper_options.RetrieveStrategy(strategy), {
        "ldap_filter": section.ldap_filter,
        "membership_attribute_type": mapper_options.MembershipType(
            section.membership_attribute_type
        ),
        "membership_ldap_attribute": section.membership_ldap_attribute or vendor.member_attribute,
        "membership_user_ldap_attribute": section.membership_user_ldap_attribute,
        "member_of_ldap_attribute": section.member_of_ldap_attribute or vendor.member_of_attribute,
        "nested_membership": nested,
        "primary_group": section.primary_group,
        "primary_group_by": by.OBJECT_SID if vendor.primary_group else by.GID_NUMBER,
        "uuid_attribute": uuid_attribute,
    }


def _compiled(
    options: mapper_options.ImportOptions,
    *,
    codec: Codec,
    username_attribute: str,
) -> ContainerMapping:
    if isinstance(options, mapper_options.RoleImportOptions):
        return compile_roles(options, codec=codec, username_attribute=username_attribute)
    return compile_groups(options, codec=codec, username_attribute=username_attribute)


def _search(
    organization: OrganizationSettings,
    options: mapper_options.ImportOptions,
    mapping: ContainerMapping,
    *,
    vendor: VendorDefaults,
    scope: Scope,
    page_size: int | None,
) -> ContainerSearch:
    """Return the search that lists an import's entries."""
    if isinstance(options, mapper_options.RoleImportOptions):
        classes = options.role_object_class
    else:
        classes = options.group_object_classes
    own_filter = _checked(organization, f"{options.name}: ldap_filter", options.ldap_filter)
    return ContainerSearch(
        base_dn=base_dn(options),
        scope=scope,
        filter=_class_filter(classes, own_filter),
        class_filter=_class_filter(classes, ""),
        attributes=mapping.attributes,
        page_size=page_size,
        created_attribute=vendor.created_attribute,
        modified_attribute=vendor.modified_attribute,
        member_of_attribute=options.member_of_ldap_attribute if mapping.member_of else None,
        in_chain=options.nested_membership == mapper_options.Nested.IN_CHAIN,
        member_attribute=options.membership_ldap_attribute,
    )
