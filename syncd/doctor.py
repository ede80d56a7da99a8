"""``syncd check``: what loading could not find wrong, and a look at directories and providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.access.visits import callback_url, logout_token_url, signed_out_url
from syncd.compose import directory_parts
from syncd.errors import DirectoryError, ProviderUnavailable, SyncdError, UsageError
from syncd.explain import mapped
from syncd.ldap.ber import decode_entry
from syncd.ldap.probe import probe
from syncd.ldap.source import LdapSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from syncd.compose import DirectoryParts
    from syncd.settings import OrganizationSettings, Outbound, Settings


def check(settings: Settings, *, connect: bool, clock: Callable[[], datetime]) -> dict[str, Any]:
    """Return each organization's faults and, with ``connect``, what its directory is like."""
    organizations = [
        {
            **_check_one(organization, settings.daemon.outbound, connect=connect, clock=clock),
            "register": _register(organization, str(settings.daemon.http.base_url)),
        }
        for organization in settings.organizations.values()
    ]
    return {
        "organizations": organizations,
        "warnings": list(settings.warnings),
        "ok": not any(organization["faults"] for organization in organizations),
    }


def _check_one(
    organization: OrganizationSettings,
    outbound: Outbound,
    *,
    connect: bool,
    clock: Callable[[], datetime],
) -> dict[str, Any]:
    faults: list[str] = []
    found: dict[str, Any] | None = None
    advice: list[str] = []
    try:
        if organization.provider == "ldap":
            parts = directory_parts(organization)
            if connect:
                found, advice = _probe(parts, clock)
                found["changes"] = _changes(parts, faults)
        elif organization.provider == "idp":
            # What an organization with a directory does not need.
            from syncd.providers import compose_provider, look_at

            provider = compose_provider(organization, outbound)
            if connect:
                found, advice = look_at(provider)
    except SyncdError as error:
        faults += str(error).splitlines()
        if connect and isinstance(error, DirectoryError | ProviderUnavailable):
            found = {"error": {"code": error.code, "message": str(error)}}
    return {
        "id": organization.id,
        "name": organization.organization.name,
        "provider": organization.provider,
        "faults": faults,
        "connect": found,
        "advice": advice,
    }


def _register(organization: OrganizationSettings, base_url: str) -> dict[str, str] | None:
    """Return what the identity provider has to be told of syncd; None where there is none.

    It need not be the active one: it is told before a switch.
    """
    if organization.idp is None:
        return None
    return {
        "redirect_uri": callback_url(base_url, organization.id),
        "backchannel_logout_uri": logout_token_url(base_url, organization.id),
        "post_logout_redirect_uri": signed_out_url(base_url),
    }


def _changes(parts: DirectoryParts, faults: list[str]) -> dict[str, str] | None:
    """Return how changes will be found in this directory, and why."""
    source = LdapSource(
        connection=parts.connection,
        users=parts.users,
        containers=parts.containers,
        change_detection=parts.change_detection,
    )
    with source:
        try:
            detection = source.detection()
        except UsageError as error:
            faults.append(str(error))
            return None
    return {"kind": detection.kind, "because": detection.because}


def _probe(
    parts: DirectoryParts, clock: Callable[[], datetime]
) -> tuple[dict[str, Any], list[str]]:
    report = probe(
        parts.connection, parts.users, parts.containers, vendor=parts.vendor, clock=clock
    )
    found = report.as_json()
    found.pop("advice", None)
    found["example"] = None
    advice = list(report.advice)
    if report.sample is not None:
        try:
            found["example"] = mapped(parts, decode_entry(report.sample))
        except SyncdError as error:
            advice.append(f"the sample entry cannot be mapped: {error}")
    return found, advice
