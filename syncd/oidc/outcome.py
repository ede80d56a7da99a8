"""What can be said of a token: why it is refused, and what each check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a token is shown as."""

    ID = "id"
    ACCESS = "access"
    LOGOUT = "logout"


class Reason(StrEnum):
    """Why a token is refused: a closed set, the label of metrics and logs."""

    TOO_LARGE = "too_large"
    # Not three parts of the base64url alphabet, or no JSON objects in them.
    MALFORMED = "malformed"
    DUPLICATE_MEMBER = "duplicate_member"
    # An encrypted token (JWE), for which there is no key here.
    ENCRYPTED = "encrypted"
    # `typ` names another kind of token.
    WRONG_TYPE = "wrong_type"
    # `crit` names an extension (RFC 7515 section 4.1.11).
    CRITICAL_EXTENSION = "critical_extension"
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"
    BAD_KEY_ID = "bad_key_id"
    KEY_UNKNOWN = "key_unknown"
    # Several keys fit, or the one that is named cannot be used.
    KEY_UNSUITABLE = "key_unsuitable"
    # The provider's keys cannot be had: nothing is said of the token.
    KEYS_UNAVAILABLE = "keys_unavailable"
    BAD_SIGNATURE = "bad_signature"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_AUDIENCE = "wrong_audience"
    WRONG_AUTHORIZED_PARTY = "wrong_authorized_party"
    BAD_SUBJECT = "bad_subject"
    # A time claim that is missing or no number.
    BAD_TIME = "bad_time"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUED_IN_FUTURE = "issued_in_future"
    TOO_OLD = "too_old"
    WRONG_NONCE = "wrong_nonce"
    WRONG_AUTHENTICATION_TIME = "wrong_authentication_time"
    # `at_hash` or `c_hash` does not fit.
    WRONG_HASH = "wrong_hash"
    # A refreshed ID token is somebody else's (OpenID Connect Core section 12.2).
    CHANGED_IDENTITY = "changed_identity"
    # RFC 9068 and logout tokens: client_id; jti; scope.
    BAD_CLIENT = "bad_client"
    BAD_IDENTIFIER = "bad_identifier"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    # Back-Channel Logout: events, sid, or a nonce, which must not be there.
    BAD_EVENTS = "bad_events"
    BAD_SESSION = "bad_session"
    NONCE_PRESENT = "nonce_present"


class Outcome(StrEnum):
    """What a check found."""

    PASSED = "passed"
    FAILED = "failed"
    # The configuration or the kind of token has nothing to check there; ``detail`` says which.
    SKIPPED = "skipped"


class Step(NamedTuple):
    """One check of a token, in the order in which they are made."""

    # size, form, header, type, critical, algorithm, key_id, payload, key, signature, issuer,
    # audience, authorized_party, subject, expiry, not_before, issued_at, age, nonce,
    # authentication_time, hash, events, session, identity, client, token_id, scope
    check: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A token is not what it says."""

    reason: Reason
    # One sentence for the operator's log; what the token itself says is cut and quoted in it.
    detail: str
