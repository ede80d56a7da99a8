"""Owns showing settings: masked values, and the JSON Schema of both files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Secret, SecretStr

from syncd.settings.certificates import Certificate
from syncd.settings.daemon import DaemonSettings
from syncd.settings.loading import Settings
from syncd.settings.organization import OrganizationSettings
from syncd.settings.values import HIDDEN, SecretUrl, masked_url

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def masked(settings: Settings) -> dict[str, Any]:
    """Return the effective settings as JSON values, secrets masked, with where each came from."""
    return {
        "daemon": _masked(settings.daemon),
        "organizations": {
            name: _masked(organization) for name, organization in settings.organizations.items()
        },
        "warnings": list(settings.warnings),
        "files": [str(path) for path in settings.files],
        "origins": {name: dict(origins) for name, origins in settings.origins.items()},
    }


def _masked(value: Any) -> Any:  # noqa: ANN401 - a value is of any type
    if isinstance(value, SecretUrl):
        return value.masked()
    if isinstance(value, SecretStr | Secret):
        return HIDDEN
    if isinstance(value, Certificate):
        return value.source
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            field.alias or name: _masked(getattr(value, name)) for name, field in fields.items()
        }
    if isinstance(value, dict):
        return {str(key): _masked(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_masked(inner) for inner in value]
    if isinstance(value, Path):
        return str(value)
    return masked_url(value) if isinstance(value, str) and _URL.search(value) else value


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the daemon's file and of an organization's file."""
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {
        name: {"$schema": draft, **model.model_json_schema(by_alias=True)}
        for name, model in (("daemon", DaemonSettings), ("organization", OrganizationSettings))
    }
