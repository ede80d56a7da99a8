"""Why a provider's answer signs nobody in, besides what is wrong with a token: a closed set."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class SignInFault(StrEnum):
    """What was wrong with an answer: the label of metrics and logs."""

    # The answer that the browser brought.
    DUPLICATE_PARAMETER = "duplicate_parameter"
    MISSING_STATE = "missing_state"
    # RFC 9207: another provider's answer, one that does not say whose, or one that should not.
    WRONG_ISSUER = "wrong_issuer"
    MISSING_ISSUER = "missing_issuer"
    UNEXPECTED_ISSUER = "unexpected_issuer"
    ACCESS_DENIED = "access_denied"
    PROVIDER_FAILING = "provider_failing"
    PROVIDER_ERROR = "provider_error"
    MISSING_CODE = "missing_code"
    # The token endpoint: the code, syncd itself, or something else was refused.
    CODE_REFUSED = "code_refused"
    CLIENT_REFUSED = "client_refused"
    EXCHANGE_REFUSED = "exchange_refused"
    WRONG_TOKEN_TYPE = "wrong_token_type"  # noqa: S105 - a reason
    MISSING_ID_TOKEN = "missing_id_token"  # noqa: S105 - a reason
    # The userinfo endpoint tells of somebody else.
    OTHER_SUBJECT = "other_subject"


@dataclass(frozen=True, slots=True)
class SignInFailed:
    """The provider's answer lets nobody in."""

    reason: SignInFault
    # One sentence for the operator's log; what the provider says is cut and quoted in it.
    detail: str
    # The one state of the browser's answer, if it has one: that sign-in is over, too.
    state: str | None = field(default=None, repr=False)
