"""Owns the keys of the guard: how much of each kind of change a run may bring."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo

from syncd.settings.values import Count, Percent, Period, Section

# Percent of the organization's people (for members_per_group: of the group's members) and count.
DEFAULT_LIMITS: MappingProxyType[str, tuple[float | None, int | None]] = MappingProxyType(
    {
        "create": (None, None),
        "update": (50, None),
        "rename": (10, 500),
        "email_change": (20, 1000),
        "missing": (10, 500),
        "disable": (10, 500),
        "enable": (None, None),
        "delete": (10, 500),
        "grant": (50, 5000),
        "revoke": (20, 1000),
        "remove": (None, 50),
        "members_per_group": (50, None),
        "quarantine": (40, None),
    }
)


class KindLimit(Section):
    """One kind of change; whichever of the two is reached first holds the run."""

    percent: Percent | None = Field(
        default=None, examples=[10], description="Share of the population; `null` for no share."
    )
    count: Count | None = Field(
        default=None, examples=[500], description="Number of changes; `null` for no number."
    )


def _completed(value: object, info: ValidationInfo) -> object:
    # A key that is not given keeps the default of its kind, so that a lowered percentage does
    # not silently take the count away.
    if isinstance(value, dict) and info.field_name is not None:
        percent, count = DEFAULT_LIMITS[info.field_name]
        return {"percent": percent, "count": count, **value}
    return value


Limited = Annotated[KindLimit | None, BeforeValidator(_completed)]


def _limit(kind: str, description: str) -> Any:  # noqa: ANN401 - what pydantic's Field returns
    percent, count = DEFAULT_LIMITS[kind]
    return Field(default=KindLimit(percent=percent, count=count), description=description)


class Limits(Section):
    """The guard. A run over a limit is stored as blocked and waits for `syncd approve`."""

    minimum_population: Count = Field(
        default=20,
        description=(
            "Percentages count only from this many people on, so that one leaver of five passes."
        ),
    )
    on_exceed: Literal["hold_run", "hold_kind"] = Field(
        default="hold_run",
        description=(
            "Hold the whole run, or with `hold_kind` only the people whom the kind over its limit "
            "concerns; the others are written."
        ),
    )
    approval_period: Period = Field(
        default=604_800,
        examples=["7d"],
        description="How long a blocked plan waits for `syncd approve`; then it expires.",
    )
    create: Limited = _limit("create", "New people; no limit, as a first sync creates everybody.")
    update: Limited = _limit("update", "People with changed fields: a wrong mapper shows here.")
    rename: Limited = _limit("rename", "Changed usernames: people sign in with them.")
    email_change: Limited = _limit("email_change", "Changed e-mail addresses.")
    missing: Limited = _limit("missing", "People who are no longer in the directory.")
    disable: Limited = _limit("disable", "People whom the directory newly says disabled.")
    enable: Limited = _limit("enable", "People who may sign in again.")
    delete: Limited = _limit("delete", "People deleted after the grace period.")
    grant: Limited = _limit("grant", "Roles and groups newly given.")
    revoke: Limited = _limit("revoke", "Roles and groups taken away.")
    remove: Limited = _limit("remove", "Roles and groups deleted, which a mapper made.")
    members_per_group: Limited = _limit(
        "members_per_group", "Members that one role or group loses, as a share of its members."
    )
    quarantine: Limited = _limit(
        "quarantine",
        "Entries that cannot be taken, as a share of the people: beyond it the run fails.",
    )
