"""Owns the keys of an organization's file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from syncd.settings.certificates import Certificates
from syncd.settings.conflict import Conflict, conflict
from syncd.settings.idp import IdpSettings
from syncd.settings.ldap import LdapSettings
from syncd.settings.limits import Limits
from syncd.settings.mapper_rules import mapper_conflicts, replaced
from syncd.settings.mappers import ActiveMapper, Mapper, SwitchedOff
from syncd.settings.portals import Portal, portal_conflicts
from syncd.settings.values import Duration, Kind, Section, Text, spelled


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
    certificates: Certificates = Field(
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
    portals: tuple[Portal, ...] = Field(
        default=(),
        strict=False,
        examples=[
            [
                {
                    "client_id": "intranet",
                    "client_secret_file": "acme-intranet.secret",
                    "redirect_uris": ["https://intranet.example.org/signed-in"],
                }
            ]
        ],
        description="The applications that people sign in for.",
    )
    deletion: Deletion = Field(
        default_factory=Deletion, description="What becomes of people who are gone."
    )
    limits: Limits = Field(default_factory=Limits, description="The guard.")

    @property
    def id(self) -> str:
        """The organization's id."""
        return self.organization.id

    def portal(self, client_id: str) -> Portal | None:
        """Return the portal that names itself so; None for one that is not registered."""
        return next((each for each in self.portals if each.client_id == client_id), None)

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
        yield from portal_conflicts(self.portals)

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
