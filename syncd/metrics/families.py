"""The metrics' names, labels and help texts. An operator reads them; dashboards rely on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ORGANIZATION: Final = "organization"

DURATION_BOUNDS: Final = (
    *(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 21600),
)
LAG_BOUNDS: Final = (
    *(1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400),
)
# Those that the directory's room counts in: finer ones could not be filled.
REQUEST_BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
REVOCATION_BOUNDS: Final = (*(0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300),)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric; ``labels`` are those beside the organization."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    # Upper bounds in seconds, of a histogram.
    bounds: tuple[float, ...] = ()


# --- counted by this process -------------------------------------------------------------------

RUNS: Final = Family(
    "syncd_sync_runs_total",
    "Syncs that this process ran, by how they ended; blocked means that a plan waits for approval.",
    ("mode", "status"),
)
DURATION: Final = Family(
    "syncd_sync_duration_seconds", "How long whole syncs took.", ("mode",), DURATION_BOUNDS
)
STAGES: Final = Family(
    "syncd_sync_stage_seconds_total",
    "Time that syncs spent in each stage: waiting for the directory, mapping, staging, planning,"
    " applying.",
    ("mode", "stage"),
)
ENTRIES: Final = Family(
    "syncd_sync_entries_total",
    "Directory entries of people by what became of them: read, unchanged, quarantined, in conflict"
    " with another writer; and members of roles whom nobody could resolve to a person.",
    ("kind",),
)
CHANGES: Final = Family(
    "syncd_sync_changes_total",
    "Changes that syncs wrote: people by kind, and roles, groups and memberships.",
    ("kind",),
)
LISTINGS: Final = Family(
    "syncd_sync_listing_total",
    "Listings read from the directory by verdict; only a complete one can show that somebody left.",
    ("verdict",),
)
PROMOTED: Final = Family(
    "syncd_sync_promoted_total",
    "Changed-user syncs that had to become full ones, by reason.",
    ("reason",),
)
LAG: Final = Family(
    "syncd_sync_lag_seconds",
    "Time from a change in the directory to its commit in the store.",
    (),
    LAG_BOUNDS,
)
REQUESTS: Final = Family(
    "syncd_directory_requests_total",
    "LDAP requests by operation and result: the result code's name, lost when no answer came,"
    " untrusted when the server's certificate was refused, abandoned when nobody waited any more.",
    ("operation", "result"),
)
REQUEST_SECONDS: Final = Family(
    "syncd_directory_request_seconds",
    "Time from sending an LDAP request to its result; a page of a listing is one search, and the"
    " next one is asked for while the last one is worked on.",
    ("operation", "result"),
    REQUEST_BOUNDS,
)
CERTIFICATES: Final = Family(
    "syncd_certificate_not_after_timestamp_seconds",
    "When certificates end, the first of each use: trust is what the organization configured,"
    " directory what its server showed in the last sync.",
    ("use",),
)

TOKENS: Final = Family(
    "syncd_tokens_validated_total",
    "Access tokens of identity providers that were shown to the API: accepted, or refused and why.",
    ("outcome", "reason"),
)
JWKS: Final = Family(
    "syncd_jwks_fetches_total",
    "Fetches of identity providers' keys: fetched, or failed and why; the keys known before are"
    " used for a while.",
    ("outcome", "reason"),
)

SIGN_INS: Final = Family(
    "syncd_sign_ins_total",
    "Sign-ins of people: accepted, refused and why, or unavailable, when directory or identity"
    " provider could not be asked.",
    ("outcome", "reason"),
)
REVOCATION: Final = Family(
    "syncd_revocation_seconds",
    "Time from when a person was shut out (disabled, missing, deleted, left behind by a switch) to"
    " when the end of each session of theirs was written down; it let nobody in meanwhile.",
    (),
    REVOCATION_BOUNDS,
)

# --- shared by all replicas, read from the store -----------------------------------------------

LAST_ATTEMPT: Final = Family(
    "syncd_sync_last_attempt_timestamp_seconds",
    "When a sync last started, whatever became of it; 0 is never.",
    ("mode",),
)
LAST_SUCCESS: Final = Family(
    "syncd_sync_last_success_timestamp_seconds",
    "When a sync last ended well; 0 is never. Failures do not move it.",
    ("mode",),
)
NEXT: Final = Family(
    "syncd_sync_next_timestamp_seconds",
    "When the next sync is due; absent for a mode that is not scheduled.",
    ("mode",),
)
BLOCKED: Final = Family(
    "syncd_plans_blocked",
    "Plans that the guard holds until somebody approves them.",
)
QUARANTINE: Final = Family(
    "syncd_quarantine_entries",
    "Directory entries that could not be taken, by reason.",
    ("reason",),
)
USERS: Final = Family(
    "syncd_users",
    "People in the store; the missing are those whom the directory does not list any more.",
    ("state",),
)
SESSIONS: Final = Family(
    "syncd_sessions_active",
    "Sessions of people who have signed in and may go on.",
)
LEASE: Final = Family(
    "syncd_lease_held",
    "Whether a sync of the organization is going on anywhere.",
)

# --- of the process ----------------------------------------------------------------------------

STORE_ERRORS: Final = Family(
    "syncd_store_read_errors_total",
    "Scrapes' reads of the store that failed; what all replicas share is absent meanwhile.",
)
BUILD: Final = Family("syncd_build_info", "The version that runs; always 1.", ("version",))
RELOADED: Final = Family(
    "syncd_config_last_reload_success_timestamp_seconds",
    "When the configuration in use was read; a refused one does not move it.",
)

COUNTERS: Final = (
    *(RUNS, STAGES, ENTRIES, CHANGES, LISTINGS, PROMOTED, REQUESTS, TOKENS, JWKS, SIGN_INS),
)
# By what the web process calls them.
COUNTED: Final = {"tokens": TOKENS, "jwks": JWKS, "sign_ins": SIGN_INS}
OBSERVED: Final = {"revocations": REVOCATION}
HISTOGRAMS: Final = (DURATION, LAG, REQUEST_SECONDS, REVOCATION)
