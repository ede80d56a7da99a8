"""What operators configure: YAML files, environment variables and secret files, checked at once.

The only room that reads configuration. It knows ``errors``, ``naming`` and ``claim_paths``: what a
value means to a directory or a database is for those who use it.
"""

from __future__ import annotations

from syncd.settings.certificates import Certificate
from syncd.settings.daemon import DaemonSettings
from syncd.settings.idp import IdpSettings
from syncd.settings.ldap import LdapSettings
from syncd.settings.limits import DEFAULT_LIMITS, KindLimit, Limits
from syncd.settings.loading import Settings, find, load
from syncd.settings.mappers import (
    CLAIM_TYPES,
    DIRECTORY_TYPES,
    MAPPER_MODELS,
    PREDEFINED_CLAIM_NAMES,
    PREDEFINED_NAMES,
    RESERVED_NAMES,
    SwitchedOff,
)
from syncd.settings.organization import OrganizationSettings
from syncd.settings.outbound import Outbound
from syncd.settings.reference import render_reference
from syncd.settings.roles import RoleImport
from syncd.settings.show import json_schema, masked
from syncd.settings.vendors import VENDOR_DEFAULTS

__all__ = [
    "CLAIM_TYPES",
    "DEFAULT_LIMITS",
    "DIRECTORY_TYPES",
    "MAPPER_MODELS",
    "PREDEFINED_CLAIM_NAMES",
    "PREDEFINED_NAMES",
    "RESERVED_NAMES",
    "VENDOR_DEFAULTS",
    "Certificate",
    "DaemonSettings",
    "IdpSettings",
    "KindLimit",
    "LdapSettings",
    "Limits",
    "OrganizationSettings",
    "Outbound",
    "RoleImport",
    "Settings",
    "SwitchedOff",
    "find",
    "json_schema",
    "load",
    "masked",
    "render_reference",
]
