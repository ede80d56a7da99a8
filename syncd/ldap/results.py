"""LDAP result codes: their names, and what they mean for a search (RFC 4511 appendix A)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from syncd.errors import cut

if TYPE_CHECKING:
    from syncd.ldap.messages import Result

SUCCESS: Final = 0
OPERATIONS_ERROR: Final = 1
PROTOCOL_ERROR: Final = 2
TIME_LIMIT_EXCEEDED: Final = 3
SIZE_LIMIT_EXCEEDED: Final = 4
REFERRAL: Final = 10
ADMIN_LIMIT_EXCEEDED: Final = 11
UNAVAILABLE_CRITICAL_EXTENSION: Final = 12
CONFIDENTIALITY_REQUIRED: Final = 13
NO_SUCH_OBJECT: Final = 32
INVALID_DN_SYNTAX: Final = 34
INAPPROPRIATE_AUTHENTICATION: Final = 48
INVALID_CREDENTIALS: Final = 49
INSUFFICIENT_ACCESS_RIGHTS: Final = 50
BUSY: Final = 51
UNAVAILABLE: Final = 52
UNWILLING_TO_PERFORM: Final = 53
OTHER: Final = 80
# Client-side in the C API: the filter could not even be sent.
FILTER_ERROR: Final = 87
# RFC 4533 section 2.6.
SYNC_REFRESH_REQUIRED: Final = 4096

NAMES: Final = {
    SUCCESS: "success",
    OPERATIONS_ERROR: "operationsError",
    PROTOCOL_ERROR: "protocolError",
    TIME_LIMIT_EXCEEDED: "timeLimitExceeded",
    SIZE_LIMIT_EXCEEDED: "sizeLimitExceeded",
    7: "authMethodNotSupported",
    8: "strongerAuthRequired",
    REFERRAL: "referral",
    ADMIN_LIMIT_EXCEEDED: "adminLimitExceeded",
    UNAVAILABLE_CRITICAL_EXTENSION: "unavailableCriticalExtension",
    CONFIDENTIALITY_REQUIRED: "confidentialityRequired",
    14: "saslBindInProgress",
    16: "noSuchAttribute",
    17: "undefinedAttributeType",
    18: "inappropriateMatching",
    19: "constraintViolation",
    20: "attributeOrValueExists",
    21: "invalidAttributeSyntax",
    NO_SUCH_OBJECT: "noSuchObject",
    33: "aliasProblem",
    INVALID_DN_SYNTAX: "invalidDNSyntax",
    36: "aliasDereferencingProblem",
    INAPPROPRIATE_AUTHENTICATION: "inappropriateAuthentication",
    INVALID_CREDENTIALS: "invalidCredentials",
    INSUFFICIENT_ACCESS_RIGHTS: "insufficientAccessRights",
    BUSY: "busy",
    UNAVAILABLE: "unavailable",
    UNWILLING_TO_PERFORM: "unwillingToPerform",
    54: "loopDetect",
    64: "namingViolation",
    65: "objectClassViolation",
    66: "notAllowedOnNonLeaf",
    67: "notAllowedOnRDN",
    68: "entryAlreadyExists",
    71: "affectsMultipleDSAs",
    OTHER: "other",
    FILTER_ERROR: "filterError",
    118: "canceled",
    119: "noSuchOperation",
    120: "tooLate",
    121: "cannotCancel",
    122: "assertionFailed",
    123: "authorizationDenied",
    SYNC_REFRESH_REQUIRED: "e-syncRefreshRequired",
}

# Asking the same again brings the same answer: somebody has to change the configuration.
ASKED_WRONGLY: Final = frozenset(
    {
        PROTOCOL_ERROR,
        7,
        8,
        REFERRAL,
        UNAVAILABLE_CRITICAL_EXTENSION,
        CONFIDENTIALITY_REQUIRED,
        16,
        17,
        18,
        21,
        NO_SUCH_OBJECT,
        33,
        INVALID_DN_SYNTAX,
        36,
        INAPPROPRIATE_AUTHENTICATION,
        INVALID_CREDENTIALS,
        INSUFFICIENT_ACCESS_RIGHTS,
        FILTER_ERROR,
    }
)
TRY_LATER: Final = frozenset({BUSY, UNAVAILABLE})

ADVICE: Final = {
    TIME_LIMIT_EXCEEDED: "raise the server's time limit for the bind account",
    SIZE_LIMIT_EXCEEDED: "raise the server's size limit for the bind account",
    ADMIN_LIMIT_EXCEEDED: "raise the server's limits for the bind account or lower page_size",
    REFERRAL: "set connection_url to the server that holds the base DN; referrals are not followed",
    UNAVAILABLE_CRITICAL_EXTENSION: "the server does not offer a control that the search needs",
    CONFIDENTIALITY_REQUIRED: "use ldaps://, or ldap:// with StartTLS",
    17: "check the attribute names of the filter",
    18: "check the attribute names and matching rules of the filter",
    NO_SUCH_OBJECT: "check the base DN, and whether the bind account may see it",
    INVALID_DN_SYNTAX: "write the base DN as the directory does",
    INSUFFICIENT_ACCESS_RIGHTS: "give the bind account the right to read there",
    BUSY: "try again later",
    UNAVAILABLE: "try again later",
    SYNC_REFRESH_REQUIRED: "a full sync has to read everybody",
    FILTER_ERROR: "write the filter in parentheses as RFC 4515 says",
}


# What Active Directory says beside invalidCredentials, in hexadecimal, and what to do; 52e may be
# a wrong name as well as a wrong password.
_BIND_CODES: Final = {
    "525": "there is no such account; check bind_dn",
    "52e": "name or password is wrong; check bind_dn and bind_credential",
    "530": "the account may not log on at this time; lift its logon hours in the directory",
    "531": "the account may not log on from this machine; lift its logon workstations in the "
    "directory",
    "532": "the account's password has expired; set a new one in the directory and as "
    "bind_credential, and let it never expire",
    "533": "the account is disabled; enable it in the directory",
    "568": "the account is in too many groups for a logon; take it out of some",
    "701": "the account has expired; extend it in the directory",
    "773": "the account must change its password first; set a new one in the directory and as "
    "bind_credential",
    "775": "the account is locked; find out who binds with a wrong password, then unlock it in the "
    "directory",
}
_BIND_CODE: Final = re.compile(r"\bdata ([0-9a-f]+)\b", re.IGNORECASE)


def bind_advice(message: str) -> str:
    """Return why a bind was refused, where a server says so, and the next step."""
    found = _BIND_CODE.search(message)
    told = _BIND_CODES.get(found[1].lower()) if found else None
    return told or "check bind_dn and bind_credential"


def name(code: int) -> str:
    """Return the code as people know it: ``sizeLimitExceeded (4)``."""
    return f"{NAMES.get(code, 'unknown')} ({code})"


def describe(result: Result) -> str:
    """Return the code's name and what the server said beside it."""
    said = f": {cut(result.message)}" if result.message else ""
    where = f", pointing to {cut(', '.join(result.referrals))}" if result.referrals else ""
    return f"{name(result.code)}{said}{where}"


def advice(code: int) -> str:
    """Return the next step for the operator."""
    return ADVICE.get(code, "look into the server's log")
