"""From validated settings to what the bridge to an identity provider is built with.

The counterpart of ``compose`` for an organization's ``idp`` section: the only place that knows the
settings' names on one side and the options of ``oidc`` and of the claim mappers on the other.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, cast

from syncd.errors import ConfigurationError, Fault, UsageError
from syncd.mappers.checks import contradictions
from syncd.mappers.claim_options import predefined_claims
from syncd.mappers.claims import compile_claims
from syncd.mappers.options import FOR_CLAIMS, IdpOptions, from_keys
from syncd.oidc.options import ProviderOptions
from syncd.oidc.proxy import Proxy

if TYPE_CHECKING:
    from syncd.mappers.claims import ClaimMapping
    from syncd.settings import IdpSettings, OrganizationSettings, Outbound


def provider_options(organization: OrganizationSettings) -> ProviderOptions:
    """Return what an organization's provider is.

    Raises:
        UsageError: The organization has no ``idp`` section.

    """
    idp = _idp(organization)
    secret = idp.client_secret
    return ProviderOptions(
        organization_id=organization.id,
        issuer=idp.issuer,
        client_id=idp.client_id,
        client_secret="" if secret is None else secret.get_secret_value(),
        client_authentication=idp.client_authentication,
        authorization_url=idp.authorization_url,
        token_url=idp.token_url,
        userinfo_url=idp.userinfo_url,
        logout_url=idp.logout_url,
        jwks_url=idp.jwks_url,
        scopes=tuple(idp.default_scopes),
        sends_issuer=idp.sends_issuer,
        backchannel_logout=idp.backchannel_logout,
        allowed_clock_skew_seconds=float(idp.allowed_clock_skew),
        validate_signatures=idp.validate_signatures,
        allowed_algorithms=frozenset(idp.allowed_algorithms),
        trusted_audiences=frozenset(idp.trusted_audiences),
        api_audience=idp.api_audience,
        api_scope=idp.api_scope,
        longest_age_seconds=float(idp.longest_token_age),
        allowed_networks=tuple(ip_network(network) for network in idp.allowed_networks),
        ca_pem=tuple(each.pem for each in organization.certificates),
    )


def proxy_of(outbound: Outbound) -> Proxy | None:
    """Return the proxy for requests to providers, if one is configured."""
    if outbound.proxy is None:
        return None
    networks = [each for each in outbound.no_proxy if "/" in each]
    return Proxy.read(
        outbound.proxy.get_secret_value(),
        names=set(outbound.no_proxy) - set(networks),
        networks=[ip_network(each) for each in networks],
        ca_pem=[each.pem for each in outbound.certificates],
    )


def claim_mapping(organization: OrganizationSettings) -> ClaimMapping:
    """Return what makes a person of the claims of an organization's provider.

    Raises:
        ConfigurationError: A mapper cannot be compiled, such as one whose pattern is none.
        UsageError: The organization has no ``idp`` section.

    """
    idp = _idp(organization)
    faults = []
    mappers: list[IdpOptions] = [*predefined_claims(organization.replaced_claims)]
    for index, mapper in enumerate(organization.mappers):
        if mapper.type not in FOR_CLAIMS or not mapper.enabled:
            continue
        options = from_keys(mapper.type, mapper.model_dump())
        faults += [
            Fault(f"organization {organization.id}", None, f"mappers[{index}].{key}", sentence)
            for key, sentence in contradictions(options)
        ]
        mappers.append(cast("IdpOptions", options))
    if faults:
        raise ConfigurationError(faults)
    return compile_claims(
        organization_id=organization.id,
        trust_email=idp.trust_email,
        sync_mode=idp.sync_mode,
        mappers=mappers,
        configured=frozenset(mapper.name for mapper in organization.active_mappers),
        renamed={
            mapper.renamed_from: mapper.name
            for mapper in organization.active_mappers
            if mapper.renamed_from is not None
        },
    )


def _idp(organization: OrganizationSettings) -> IdpSettings:
    if organization.idp is None:
        raise UsageError(
            f"{organization.id} has no section idp in its file; `syncd idp discover URL` writes one"
        )
    return organization.idp
