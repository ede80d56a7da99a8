"""Why a provider could not be asked: a closed set, the label of metrics and logs."""

from __future__ import annotations

from enum import StrEnum

from syncd.errors import ProviderUnavailable


class Cause(StrEnum):
    """What stood in the way of a fetch."""

    # Nothing did.
    NONE = "none"
    # The configured URL is not one that syncd goes to.
    BAD_URL = "bad_url"
    # Its name leads into a network that is not allowed.
    REFUSED_ADDRESS = "refused_address"
    UNRESOLVED = "unresolved"
    UNREACHABLE = "unreachable"
    # The proxy on the way out cannot be used, or does not let the request through.
    PROXY = "proxy"
    CERTIFICATE = "certificate"
    # Not done within the time for all of it, however fast single bytes came.
    TIMEOUT = "timeout"
    # What answers does not speak TLS or HTTP as it should.
    PROTOCOL = "protocol"
    REDIRECT = "redirect"
    STATUS = "status"
    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    # JSON came, and what is in it cannot be used.
    UNUSABLE = "unusable"
    # Keys were published with their private parts.
    EXPOSED = "exposed"


class FetchFailed(ProviderUnavailable):
    """A provider was not reached, or answered something that is not taken."""

    def __init__(self, reason: Cause, message: str) -> None:
        self.reason = reason
        super().__init__(message)
