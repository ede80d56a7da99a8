"""An organization's identity provider, put together: keys, checks of tokens, mapping of claims.

The web process and the command line build it here alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncd.compose_idp import claim_mapping, provider_options, proxy_of
from syncd.errors import ProviderUnavailable
from syncd.oidc.discovery import discover
from syncd.oidc.fetch import Fetcher
from syncd.oidc.jwks import JwksCache
from syncd.oidc.keys import KeySet
from syncd.oidc.validate import Validator

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.mappers.claims import ClaimMapping
    from syncd.oidc.options import ProviderOptions
    from syncd.settings import OrganizationSettings, Outbound


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What there is of a provider; it lives as long as the configuration it was made of."""

    options: ProviderOptions
    fetch: Fetcher
    keys: JwksCache
    validator: Validator
    mapping: ClaimMapping


def compose_provider(
    organization: OrganizationSettings,
    outbound: Outbound,
    *,
    fetched: Callable[[str, str], None] | None = None,
) -> Provider:
    """Build the parts of an organization's identity provider; asks nobody yet.

    Args:
        organization: Whose provider it is.
        outbound: How requests reach it.
        fetched: Is told the outcome and the reason of each fetch of keys.

    Raises:
        ConfigurationError: Mappers contradict each other.
        UsageError: The organization has none.

    """
    options = provider_options(organization)
    fetch = Fetcher(
        allowed_networks=options.allowed_networks,
        ca_pem=options.ca_pem,
        proxy=proxy_of(outbound),
    )
    keys = JwksCache(options.jwks_url, fetch, fetched=fetched)
    return Provider(
        options=options,
        fetch=fetch,
        keys=keys,
        validator=Validator(options, keys),
        mapping=claim_mapping(organization),
    )


def look_at(provider: Provider) -> tuple[dict[str, Any], list[str]]:
    """Return what the provider says of itself now, and what would be better.

    Raises:
        ProviderUnavailable: Its keys are needed, and cannot be had.

    """
    options, advice = provider.options, list[str]()
    found: dict[str, Any] = {
        "issuer": options.issuer,
        "proxy": _proxy(provider, advice),
        "keys": None,
        "discovery": None,
    }
    if options.jwks_url is not None:
        keys = KeySet.parse(provider.fetch.get(options.jwks_url))
        found["keys"] = {
            "url": options.jwks_url,
            "usable": len(keys),
            "ignored": list(keys.ignored),
        }
        if not len(keys):
            advice.append(
                f"none of the keys at {options.jwks_url} can be used, so that no token is taken; "
                "see whether jwks_url is the provider's"
            )
    found["discovery"] = _discovery(provider, advice)
    return found, advice


def _proxy(provider: Provider, advice: list[str]) -> str | None:
    """Return the proxy that requests to the provider go through."""
    options, used = provider.options, None
    for url in (options.jwks_url, options.token_url, options.userinfo_url):
        try:
            proxy = None if url is None else provider.fetch.proxy_for(url)
        except ProviderUnavailable as error:
            advice.append(str(error))
        else:
            used = used or proxy
    return None if used is None else str(used)


def _discovery(provider: Provider, advice: list[str]) -> dict[str, Any]:
    """Compare the settings with what the provider publishes; not every provider publishes it."""
    try:
        told = discover(provider.options.issuer, provider.fetch)
    except ProviderUnavailable as error:
        return {"found": False, "because": str(error), "differences": []}
    differences = list(told.differences(provider.options))
    advice += differences
    advice += told.warnings
    return {"found": True, "because": None, "differences": differences}
