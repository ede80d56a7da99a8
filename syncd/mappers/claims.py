"""From verified claims to a person: all mappers of an organization, compiled to one callable.

The counterpart of ``pipeline`` for an identity provider. What the claims do not say is left as it
is stored, and what nobody knows is never taken as a no; so a mapping has to be told whether the
person is new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from syncd.mappers.checks import refuse_contradictions
from syncd.mappers.claim_fields import (
    compile_claim,
    compile_hardcoded,
    compile_standard,
    compile_template,
)
from syncd.mappers.claim_gifts import Finding, Gift, compile_gift, gifts_of, refuse_at_gates
from syncd.mappers.claim_options import (
    ClaimToAttributeOptions,
    StandardClaimOptions,
    UsernameTemplateOptions,
)
from syncd.mappers.claim_person import Person
from syncd.mappers.claim_reading import Reading
from syncd.mappers.fingerprints import fingerprint
from syncd.mappers.options import HardcodedAttributeOptions
from syncd.records import Arrival

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syncd.mappers.options import IdpOptions
    from syncd.mappers.origins import FieldOrigin
    from syncd.records import Claims

__all__ = ["ClaimMapping", "Finding", "compile_claims"]


class ClaimMapping:
    """Makes an Arrival of verified Claims; raises SignInRefused for one that is not to be let in.

    It keeps nothing of what it maps, so that threads may share one.
    """

    __slots__ = (
        "_configured",
        "_gates",
        "_gifts",
        "_person",
        "_privileged",
        "_renamed",
        "fields",
        "fingerprint",
        "givers",
    )

    def __init__(
        self,
        *,
        person: Person,
        gifts: Sequence[Gift],
        privileged: frozenset[str],
        configured: frozenset[str],
        renamed: Mapping[str, str],
        fingerprint: str,
    ) -> None:
        self._person = person
        self._gates = tuple(gift for gift in gifts if gift.granted is None)
        self._gifts = tuple(gift for gift in gifts if gift.granted is not None)
        self._privileged = privileged
        self._configured = configured
        self._renamed = dict(renamed)
        # Which mapper fills a field when all claims are there, and of which claim (None where the
        # value stands in the configuration); fields are named as in ``explain``.
        self.fields: Mapping[str, tuple[str, str | None]] = person.mapped()
        # Which mappers give a role or a group.
        self.givers: Mapping[tuple[str, str], tuple[str, ...]] = _givers(self._gifts)
        # Of the configuration: two mappings with one fingerprint make the same of every token.
        self.fingerprint = fingerprint

    def __call__(self, claims: Claims, *, newcomer: bool) -> Arrival:
        """Return the person that ``claims`` speak of; ``newcomer`` if nobody knows him yet.

        Raises:
            SignInRefused: essential_claim, groups_overage, missing_username, bad_username,
                missing_mandatory, not_text, too_long or slow_pattern.

        """
        reading = Reading(claims)
        refuse_at_gates(self._gates, reading, newcomer=newcomer)
        username = self._person.username(reading, newcomer=newcomer)
        granted, speaking = gifts_of(self._gifts, reading, newcomer=newcomer)
        return Arrival(
            source=claims.issuer,
            external_id=claims.subject,
            newcomer=newcomer,
            username=username,
            fields=self._person.fields(reading, newcomer=newcomer),
            attributes=self._person.attributes(reading, newcomer=newcomer),
            granted=granted,
            speaking=speaking,
            mappers=self._configured,
            renamed=self._renamed,
            privileged=self._privileged,
        )

    def explain(self, claims: Claims, *, newcomer: bool = True) -> list[FieldOrigin]:
        """Return where each field comes from: mapper, claim, its values in the token.

        None as value where nothing is said of the field, and where what is said cannot be taken;
        nobody is refused here.
        """
        return self._person.origins(Reading(claims), newcomer=newcomer)

    def findings(self, claims: Claims, *, newcomer: bool = True) -> list[Finding]:
        """Return what the claims say to each gate, then to each mapper of roles and groups."""
        return [each.finding(claims, newcomer=newcomer) for each in (*self._gates, *self._gifts)]


def _givers(gifts: Sequence[Gift]) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for granted in [gift.granted for gift in gifts if gift.granted is not None]:
        key = granted.kind, granted.name
        found[key] = (*found.get(key, ()), granted.mapper)
    return found


def compile_claims(
    *,
    organization_id: str,
    trust_email: bool,
    sync_mode: Literal["import", "force"],
    mappers: Sequence[IdpOptions],
    configured: frozenset[str] = frozenset(),
    renamed: Mapping[str, str] | None = None,
) -> ClaimMapping:
    """Return the mapping of an identity provider's people.

    ``sync_mode`` is that of mappers that inherit it, ``configured`` the names of all mappers that
    are switched on, ``renamed`` leads from former names of mappers to present ones. Raises
    ValueError for options that contradict themselves.
    """
    person = Person(trust_email=trust_email)
    gifts: list[Gift] = []
    for options in mappers:
        if not isinstance(options, StandardClaimOptions):
            refuse_contradictions(options)
        mode = sync_mode if options.sync_mode == "inherit" else options.sync_mode
        first_only = mode == "import"
        match options:
            case StandardClaimOptions():
                source = compile_standard(options)
                person.add(options.user_attribute, source, first_only=first_only)
            case ClaimToAttributeOptions():
                source = compile_claim(options)
                person.add(options.user_attribute, source, first_only=first_only)
            case HardcodedAttributeOptions():
                source = compile_hardcoded(options)
                person.add(options.user_attribute, source, first_only=first_only)
            case UsernameTemplateOptions():
                source = compile_template(options, organization_id)
                person.add("username", source, first_only=first_only)
            case _:
                gifts.append(compile_gift(options, first_only=first_only))
    giving = {gift.mapper for gift in gifts if gift.granted is not None}
    # What one that gives nothing gave is of a time when it was of another type.
    empty_handed = {options.name for options in mappers} - giving
    return ClaimMapping(
        person=person,
        gifts=gifts,
        privileged=frozenset(
            options.name for options in mappers if getattr(options, "may_grant_privileged", False)
        ),
        configured=(configured | giving) - empty_handed,
        renamed=renamed or {},
        fingerprint=fingerprint(
            organization_id,
            trust_email,
            sync_mode,
            list(mappers),
            [options.sync_mode for options in mappers],
            sorted(configured),
            dict(renamed or {}),
        ),
    )
