"""From validated settings to what the metrics have to know of each organization in advance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.ldap.validity import first_end
from syncd.metrics import Configured

if TYPE_CHECKING:
    from syncd.settings import OrganizationSettings, Settings

MODES = ("full", "changed")


def configured(settings: Settings) -> tuple[Configured, ...]:
    """Return the organizations for ``Metrics.organizations``, after each reading of the settings.

    One without a directory has no syncs, so that nobody is alarmed because it has never had one.
    """
    return tuple(_configured(each) for each in settings.organizations.values())


def _configured(organization: OrganizationSettings) -> Configured:
    ends = [first_end(certificate.pem) for certificate in organization.certificates]
    return Configured(
        id=organization.id,
        modes=MODES if organization.provider == "ldap" else (),
        trust_not_after=min((end for end in ends if end is not None), default=None),
    )
