"""One tree of errors.

Each class has a stable ``code`` (logs, metrics, scripts), an ``exit_code`` (the command line's
contract) and says whether trying again can help (``retryable``). The message is one sentence that
tells the operator the next step. A library's exception becomes one of these at the border of the
room that owns the library, with the original as its cause.
"""

from __future__ import annotations

from typing import Any, ClassVar

FOREIGN_TEXT_LIMIT = 256


def cut(text: object, limit: int = FOREIGN_TEXT_LIMIT) -> str:
    """Return foreign text on one line, cut, so that blobs and secrets stay out of messages."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class SyncdError(Exception):
    """Anything that syncd reports to an operator as one sentence."""

    code: ClassVar[str] = "internal_error"
    exit_code: ClassVar[int] = 70
    retryable: ClassVar[bool] = False
    # The report of the run that the error ended, as far as it had come.
    report: dict[str, Any] | None = None
    # Of a sign-in that failed: what the person is shown, and what the log has beside the reason.
    reference: str | None = None


class Fault:
    """One thing that is wrong in the configuration."""

    __slots__ = ("file", "key", "line", "message")

    def __init__(self, file: str, line: int | None, key: str, message: str) -> None:
        self.file, self.line, self.key, self.message = file, line, key, message

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ConfigurationError(SyncdError):
    """The configuration is wrong; ``faults`` lists everything that was found."""

    code = "configuration"
    exit_code = 2

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))


class UsageError(SyncdError):
    """The command was called with something that does not fit together."""

    code = "usage"
    exit_code = 2


class NotFound(SyncdError):
    """No such person, run or organization."""

    code = "not_found"
    exit_code = 7


class DirectoryError(SyncdError):
    """The directory could not be used."""

    code = "directory"
    exit_code = 4


class DirectoryUnavailable(DirectoryError):
    """No server answered, or the one that answered went away."""

    code = "directory_unavailable"
    retryable = True


class CertificateRejected(DirectoryError):
    """The server's certificate is not trusted or does not name the host."""

    code = "certificate_rejected"
    exit_code = 2


class BindRejected(DirectoryError):
    """The directory refused the bind DN or its password."""

    code = "bind_rejected"
    exit_code = 2


class SearchRejected(DirectoryError):
    """The directory refused a search because of how it was asked: base, filter, referral."""

    code = "search_rejected"
    exit_code = 2

    def __init__(self, message: str, result_code: int) -> None:
        self.result_code = result_code
        super().__init__(message)


class ChangesUnavailable(DirectoryError):
    """What changed cannot be told from here on; a full sync has to look at everybody.

    ``reason`` is one of a closed set of words, for metrics: no_watermark, ground, detection,
    clock_backwards, no_clock, cookie_refused, history_gap, other_server, too_many_absent,
    too_many_changed, too_much_undone, renamed_unit, unreadable, out_of_sight, role_gone,
    blocked_plan.
    """

    code = "changes_unavailable"
    retryable = True

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class MappingError(SyncdError):
    """One entry could not be mapped; it goes to quarantine under ``reason``."""

    code = "mapping"
    exit_code = 5

    def __init__(self, reason: str, detail: str, attribute: str | None = None) -> None:
        self.reason, self.detail, self.attribute = reason, detail, attribute
        super().__init__(detail)


class DecodeError(MappingError):
    """One entry could not be decoded; it goes to quarantine."""

    code = "decode"


class StoreError(SyncdError):
    """The management store refused or failed."""

    code = "store"
    exit_code = 4


class StoreUnavailable(StoreError):
    """The store cannot be reached, is locked, full or read-only."""

    code = "store_unavailable"
    retryable = True


class ConstraintViolated(StoreError):
    """A row that another writer made meanwhile stands in the way."""

    code = "constraint_violated"
    retryable = True


class SchemaMismatch(StoreError):
    """The store's schema is older or newer than this program."""

    code = "schema_mismatch"
    exit_code = 2


class LeaseHeld(SyncdError):
    """Another run holds the organization."""

    code = "lease_held"
    exit_code = 6
    retryable = True


class LeaseLost(SyncdError):
    """This run no longer holds the organization; it stopped before writing anything more."""

    code = "lease_lost"
    exit_code = 6
    retryable = True


class OrganizationPending(SyncdError):
    """The configured provider or name differs from the applied one and needs a decision."""

    code = "organization_pending"
    exit_code = 2


class OrganizationDeleted(OrganizationPending):
    """An owner deleted it, and nothing of it is to begin anew by itself."""

    code = "organization_deleted"


class OrganizationPaused(SyncdError):
    """Somebody paused this organization."""

    code = "organization_paused"
    exit_code = 3


class PlanNotApprovable(SyncdError):
    """The plan is not blocked any more: it was applied, superseded or has expired."""

    code = "plan_not_approvable"
    exit_code = 2


class Refused(SyncdError):
    """A rule of the model forbids it; ``reason`` is a word of a closed set, for programs.

    Reasons: not_allowed (the one who asks may not), exceeds_own (more than he holds himself),
    owner_only, last_owner, source_rules (a directory or identity provider says so), preconfigured,
    name_taken, in_use, would_cycle, invalid, stale (changed since it was read), expired, excluded,
    deleted, not_configured, insufficient_scope.
    """

    code = "refused"
    exit_code = 2

    def __init__(self, message: str, reason: str = "invalid") -> None:
        self.reason = reason
        super().__init__(message)


class InsufficientScope(Refused):
    """An access token is what it says, and was not made for this; ``scope`` is what it lacks."""

    code = "insufficient_scope"

    def __init__(self, message: str, scope: str) -> None:
        self.scope = scope
        super().__init__(message, "insufficient_scope")


class LastOwner(Refused):
    """It would leave an organization without an owner."""

    code = "last_owner"

    def __init__(self, message: str) -> None:
        super().__init__(message, "last_owner")


class NotAuthenticated(SyncdError):
    """Nobody is known by what was shown: a token that is wrong, over, or of somebody shut out."""

    code = "not_authenticated"
    exit_code = 2


class TooManyAttempts(SyncdError):
    """Too much was tried in vain; nothing is tried again for ``retry_after`` seconds."""

    code = "too_many_attempts"
    exit_code = 5
    retryable = True

    def __init__(self, message: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class MailNotSent(SyncdError):
    """The mail server has not taken a mail."""

    code = "mail_not_sent"
    exit_code = 4
    retryable = True


class MailServerLost(MailNotSent):
    """The mail server cannot be reached any more; the next mail would fare no better."""


class Interrupted(SyncdError):
    """Somebody interrupted the command."""

    code = "interrupted"
    exit_code = 130


class ProviderUnavailable(SyncdError):
    """The identity provider cannot be reached, or what it answers cannot be used."""

    code = "provider_unavailable"
    exit_code = 4
    retryable = True


class SignInRefused(SyncdError):
    """Somebody is not let in or not taken over; ``reason`` says why, to the log and the metrics.

    Reasons: username_taken, excluded, deleted, disabled, essential_claim, missing_username,
    bad_username, missing_mandatory, not_text, too_long, slow_pattern, groups_overage,
    unknown_role, role_name_reserved, not_configured, pending, paused, other_provider,
    unknown_organization, unknown_state, unknown_user, wrong_password; those of an answer
    (``oidc.failed``), of a token (``oidc.outcome``) and of a directory (``ldap.bind_answers``).
    """

    code = "sign_in_refused"
    exit_code = 5

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)
