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
from syncd.mappers.pipeline import Codec, compile_roles, compile_users
from syncd.records import Limit, Scope
from syncd.settings.limits import DEFAULT_LIMITS
from syncd.sync.guard import Limits
from syncd.sync.run import SyncOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.mappers.pipeline import ContainerMapping, UserMapping
    from syncd.settings import LdapSettings, OrganizationSettings

IMPORT_ROLES = "import roles"
OPTIONS = {
    "user-attribute": mapper_options.UserAttributeOptions,
    "full-name": mapper_options.FullNameOptions,
    "hardcoded-attribute": mapper_options.HardcodedAttributeOptions,
    "hardcoded-role": mapper_options.HardcodedRoleOptions,
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
    imports = _role_imports(organization, ldap, uuid_attribute)
    mappings = {
        each.name: compile_roles(each, codec=codec, username_attribute=username_attribute)
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
            each.name: ContainerSearch(
                base_dn=each.roles_dn,
                scope=scope,
                filter=_class_filter(
                    each.role_object_class,
                    _checked(organization, f"{each.name}: ldap_filter", each.ldap_filter),
                ),
                attributes=mappings[each.name].attributes,
                page_size=page_size,
                created_attribute=vendor.created_attribute,
                modified_attribute=vendor.modified_attribute,
                member_of_attribute=each.member_of_ldap_attribute
                if mappings[each.name].member_of
                else None,
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


def sync_options(organization: OrganizationSettings, ldap: LdapSettings) -> SyncOptions:
    """Return what the engine needs to know."""
    limits = organization.limits
    kinds = {
        name: Limit(limit.percent, limit.count)
        for name in DEFAULT_LIMITS
        if (limit := getattr(limits, name)) is not None
    }
    return SyncOptions(
        organization_id=organization.id,
        batch_size=ldap.batch_size,
        limits=Limits(
            minimum_population=limits.minimum_population,
            hold_kind=limits.on_exceed == "hold_kind",
            kinds=kinds,
        ),
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


def _role_imports(
    organization: OrganizationSettings, ldap: LdapSettings, uuid_attribute: str
) -> list[mapper_options.RoleImportOptions]:
    vendor = VENDORS[ldap.vendor]
    found = []
    configured = [(IMPORT_ROLES, ldap.import_roles)] if ldap.import_roles is not None else []
    configured += [
        (mapper.name, mapper) for mapper in organization.active_mappers if mapper.type == "role"
    ]
    for name, roles in configured:
        found.append(
            mapper_options.RoleImportOptions(
                name=name,
                roles_dn=roles.roles_dn,
                role_name_ldap_attribute=roles.role_name_ldap_attribute
                or vendor.group_name_attribute,
                role_object_class=tuple(roles.role_object_class or vendor.group_object_classes),
                ldap_filter=roles.ldap_filter,
                user_roles_retrieve_strategy=mapper_options.RetrieveStrategy(
                    roles.user_roles_retrieve_strategy
                ),
                membership_attribute_type=mapper_options.MembershipType(
                    roles.membership_attribute_type
                ),
                membership_ldap_attribute=roles.membership_ldap_attribute
                or vendor.member_attribute,
                membership_user_ldap_attribute=roles.membership_user_ldap_attribute,
                member_of_ldap_attribute=roles.member_of_ldap_attribute
                or vendor.member_of_attribute,
                name_map=dict(roles.name_map),
                may_grant_privileged=roles.may_grant_privileged,
                uuid_attribute=uuid_attribute,
            )
        )
    return found
