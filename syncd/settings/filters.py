"""Owns the light check of configured LDAP filters; the ldap room checks them whole (RFC 4515)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from syncd.settings.values import Kind


def _check(text: str) -> str:
    text = str(text).strip()
    if not text:
        return ""
    if not (text.startswith("(") and text.endswith(")")):
        raise ValueError(
            "must be empty, or start with ( and end with ), such as (objectClass=person)"
        )
    depth = 0
    for position, sign in enumerate(text, 1):
        depth += (sign == "(") - (sign == ")")
        if depth < 0 or (depth == 0 and position < len(text)):
            raise ValueError(
                f"must be one filter in parentheses, and the first one ends at character {position}"
                "; join several as (&(…)(…))"
            )
    if depth:
        raise ValueError(
            f"lacks {depth} closing parenthesis; write ( and ) in values as \\28, \\29"
        )
    return text


Filter = Annotated[str, AfterValidator(_check), Kind("LDAP filter in parentheses, or empty")]
