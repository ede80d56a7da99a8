"""Why somebody is as he is, holds what he holds or lacks it, or is not there at all."""

from __future__ import annotations

from syncd.explain.person import Explainer, field_rows, mapped, record_shape

__all__ = ["Explainer", "field_rows", "mapped", "record_shape"]
