"""Owns the keys of an organization's file."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from syncd.settings.conflict import Conflict, conflict
from syncd.settings.idp import IdpSettings
from syncd.settings.ldap import LdapSettings
from syncd.settings.limits import Limits
from syncd.settings.mapper_rules import mapper_conflicts, replaced
from syncd.settings.mappers import ActiveMapper, Mapper, SwitchedOff
from syncd.settings.values import (
    Duration,
    EnvironmentText,
    Kind,
    Section,
    Text,
    base_folder,
    spelled,
)

LARGEST_PEM_BYTES = 1_048_576
_PEM = re.compile(
    r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----\s(.+?)-----END (?:TRUSTED )?CERTIFICATE-----",
    re.DOTALL,
)


class Certificate(Section):
    """An organization certificate: where it came from and its PEM text."""

    source: Text
    pem: Text


def _read_certificate(value: object, info: ValidationInfo) -> Certificate:
    if isinstance(value, Certificate):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a PEM file's path or a PEM text")
    if "-----BEGIN" in value:
        return Certificate(source="inline", pem=_checked_pem(value))
    path = base_folder(value, info.context) / Path(value).expanduser()
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_PEM_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be opened"
        raise ValueError(f"must be a readable PEM file; {path} cannot be read ({reason})") from None
    return Certificate(source=str(path), pem=_checked_pem(content.decode("latin-1")))


def _checked_pem(text: str) -> str:
    if "PRIVATE KEY-----" in text:
        raise ValueError("holds a private key; only certificates belong here")
    bodies = _PEM.findall(text)
    if not bodies:
        raise ValueError("must hold a certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    for body in bodies:
        try:
            content = base64.b64decode("".join(body.split()), validate=True)
        except binascii.Error:
            content = b""
        if not content.startswith(b"\x30"):
            raise ValueError("holds a certificate that is damaged; export it again as PEM")
    return "\n".join(match.group() for match in _PEM.finditer(text)) + "\n"


def _split_paths(value: object) -> object:
    if isinstance(value, str):
        whole = "-----BEGIN" in value
        parts = [value] if whole else [part.strip() for part in value.split(",") if part.strip()]
        same = EnvironmentText if isinstance(value, EnvironmentText) else str
        return tuple(same(part) for part in parts)
    return tuple(value) if isinstance(value, list) else value


class Organization(Section):
    """Who it is."""

    id: Annotated[str, StringConstraints(pattern=r"\A[a-z0-9][a-z0-9-]{0,62}\z"), Kind("slug")] = (
        Field(
            examples=["acme"],
            description="What people type at sign-in: a-z, 0-9, - (at most 63); it never changes.",
        )
    )
    name: Text = Field(
        max_length=255,
        examples=["Acme Corp"],
        description="As people read it; a changed name waits for `syncd provider switch`.",
    )


class Deletion(Section):
    """What becomes of people who are gone from the directory."""

    policy: Literal["keep", "disable", "delete"] = Field(
        default="disable",
        description=(
            "`keep` changes nothing, `disable` stops sign-in until they are back, `delete` also "
            "removes them after the grace period."
        ),
    )
    grace_period: Duration = Field(
        default=2_592_000,
        examples=["30d"],
        description="With `delete`: how long somebody has to be gone first.",
    )


class OrganizationSettings(Section):
    """The keys of an organization's file; each may also come from `SYNCD_ORG_<ID>__<KEY>`."""

    organization: Organization = Field(
        examples=[{"id": "acme", "name": "Acme Corp"}], description="Who it is."
    )
    provider: Annotated[
        Literal["admin", "idp", "ldap"], spelled(admin="admin", idp="idp", ldap="ldap")
    ] = Field(
        examples=["ldap"],
        description=(
            "Where people are managed: here, by an OpenID Connect provider, or in a directory. "
            "One is active; a changed one waits for `syncd provider switch`."
        ),
    )
    certificates: Annotated[
        tuple[
            Annotated[
                Certificate, PlainValidator(_read_certificate), WithJsonSchema({"type": "string"})
            ],
            ...,
        ],
        BeforeValidator(_split_paths),
        Kind("list of PEM files or PEM texts"),
    ] = Field(
        default=(),
        examples=[["certs/acme-ca.pem"]],
        description="Organization certificates: authorities that vouch for the directory.",
    )
    ldap: LdapSettings | None = Field(default=None, description="The directory.")
    idp: IdpSettings | None = Field(default=None, description="The OpenID Connect provider.")
    mappers: tuple[Mapper, ...] = Field(
        default=(),
        strict=False,
        examples=[
            [
                {
                    "name": "department",
                    "type": "user-attribute",
                    "user_attribute": "department",
                    "ldap_attribute": "departmentNumber",
                }
            ]
        ],
        description="How entries or claims become people, beside the predefined mappers.",
    )
    deletion: Deletion = Field(
        default_factory=Deletion, description="What becomes of people who are gone."
    )
    limits: Limits = Field(default_factory=Limits, description="The guard.")

    @property
    def id(self) -> str:
        """The organization's id."""
        return self.organization.id

    @property
    def active_mappers(self) -> tuple[ActiveMapper, ...]:
        """The configured mappers that are switched on, without the predefined ones."""
        return tuple(m for m in self.mappers if not isinstance(m, SwitchedOff) and m.enabled)

    @property
    def replaced_predefined(self) -> frozenset[str]:
        """Names of a directory's predefined mappers that an entry switches off or replaces."""
        return replaced(self.mappers, "ldap")

    @property
    def replaced_claims(self) -> frozenset[str]:
        """Names of an identity provider's predefined mappers that an entry does so with."""
        return replaced(self.mappers, "idp")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself in the file."""
        if self.provider != "admin" and getattr(self, self.provider) is None:
            yield conflict(
                self.provider, "provider", because=f"is required for provider: {self.provider}"
            )
        if self.ldap is not None:
            yield from (found.below("ldap") for found in self.ldap.conflicts())
            yield from self._trust(self.ldap)
        if self.idp is not None:
            yield from (found.below("idp") for found in self.idp.conflicts())
        vendor = self.ldap.vendor if self.ldap is not None else None
        sources: list[Literal["ldap", "idp"]] = [] if self.ldap is None else ["ldap"]
        if self.idp is not None:
            sources.append("idp")
        yield from mapper_conflicts(
            self.mappers,
            vendor,
            sources=sources or ["ldap"],
            sync_mode="force" if self.idp is None else self.idp.sync_mode,
        )

    def _trust(self, ldap: LdapSettings) -> Iterator[Conflict]:
        encrypted = not ldap.insecure_clear_text_bind or any(
            url.startswith("ldaps://") for url in ldap.connection_url
        )
        if encrypted and ldap.certificate_trust == "only" and not self.certificates:
            yield conflict(
                "ldap.certificate_trust",
                "certificates",
                "ldap.connection_url",
                "ldap.insecure_clear_text_bind",
                because="is only, but there are no certificates, so no server would be trusted; "
                "add the directory's CA to `certificates`, or set with_system",
            )
