"""From validated settings to what the metrics have to know of each organization in advance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.access.bearers import REASONS
from syncd.ldap.validity import first_end
from syncd.metrics import Configured
from syncd.oidc.failed import SignInFault
from syncd.oidc.failure import Cause
from syncd.oidc.outcome import Reason

if TYPE_CHECKING:
    from syncd.settings import OrganizationSettings, Settings

MODES = ("full", "changed")
_ANYWHERE = ("disabled", "too_many_attempts")
_PASSWORD = ("unknown_user", "wrong_password", *_ANYWHERE)
# Why people are refused at sign-in, by the provider; what else there is shows once it has happened.
_SIGN_INS = {
    "admin": _PASSWORD,
    "ldap": (*_PASSWORD, "locked", "password_expired", "directory_unavailable"),
    "idp": (*map(str, SignInFault), "unknown_state", "provider_unavailable", *_ANYWHERE),
}


def configured(settings: Settings) -> tuple[Configured, ...]:
    """Return the organizations for ``Metrics.organizations``, after each reading of the settings.

    One without a directory has no syncs, so that nobody is alarmed because it has never had one.
    """
    return tuple(_configured(each) for each in settings.organizations.values())


def _configured(organization: OrganizationSettings) -> Configured:
    tokens: tuple[str, ...] = ()
    fetches: tuple[str, ...] = ()
    sign_ins = _SIGN_INS[organization.provider]
    if organization.provider == "idp":
        fetches = tuple(str(cause) for cause in Cause if cause is not Cause.NONE)
        if organization.idp is not None and organization.idp.api_audience is not None:
            tokens = (*map(str, Reason), *REASONS)
    ends = [first_end(certificate.pem) for certificate in organization.certificates]
    return Configured(
        id=organization.id,
        modes=MODES if organization.provider == "ldap" else (),
        token_reasons=tokens,
        fetch_reasons=fetches,
        sign_in_reasons=sign_ins,
        trust_not_after=min((end for end in ends if end is not None), default=None),
    )
