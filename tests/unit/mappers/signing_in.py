"""Claims and mappings of tests, in few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from syncd.mappers.claim_options import predefined_claims
from syncd.mappers.claims import ClaimMapping, compile_claims
from syncd.records import Claims

if TYPE_CHECKING:
    from syncd.mappers.options import IdpOptions

ISSUER = "https://login.example.org/"
OVERAGE: dict[str, Any] = {
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": "https://graph.example.org/me"}},
}


def claims(values: dict[str, Any] | None = None, **more: Any) -> Claims:
    """Return the claims of a token of subject s1, called anna if not said otherwise."""
    return Claims(ISSUER, "s1", {"preferred_username": "anna", **(values or {}), **more})


def mapping(
    *mappers: IdpOptions,
    mode: Literal["import", "force"] = "force",
    trust_email: bool = False,
    without: tuple[str, ...] = (),
) -> ClaimMapping:
    """Return a mapping with these mappers beside the predefined ones but ``without``."""
    return compile_claims(
        organization_id="acme",
        trust_email=trust_email,
        sync_mode=mode,
        mappers=[*predefined_claims(without), *mappers],
    )
