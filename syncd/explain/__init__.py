"""Why somebody is as he is, holds what he holds or lacks it, or is not there at all."""

from __future__ import annotations

from syncd.explain.person import Explainer, field_rows, mapped, record_shape
from syncd.explain.signed_in import Claimed, SignedIn

__all__ = ["Claimed", "Explainer", "SignedIn", "field_rows", "mapped", "record_shape"]
