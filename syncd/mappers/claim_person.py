"""Which mappers of claims fill which field, and what a token says of each.

The last mapper in the list that says something of a field fills it, as with directories. A field of
which none says anything is left out, so that it stays as it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from syncd.errors import SignInRefused, cut
from syncd.mappers.claim_fields import FieldSource, missing_username
from syncd.mappers.claim_reading import ABSENT, elements_of, raw_of
from syncd.mappers.options import property_of
from syncd.mappers.origins import FieldOrigin
from syncd.mappers.values import NAME_LIMIT, has_control, is_address

if TYPE_CHECKING:
    from syncd.mappers.claim_reading import Reading

PROPERTIES = ("username", "email", "email_verified", "first_name", "last_name")


@dataclass(slots=True)
class Person:
    """Every field's sources, the one that speaks first in front."""

    trust_email: bool
    # With each source whether it speaks of newcomers only.
    properties: dict[str, list[tuple[FieldSource, bool]]] = field(default_factory=dict)
    plain: dict[str, list[tuple[FieldSource, bool]]] = field(default_factory=dict)

    def add(self, user_attribute: str, source: FieldSource, *, first_only: bool) -> None:
        """Add a source, which goes before those that were added earlier."""
        target = property_of(user_attribute)
        if target is None:
            self.plain.setdefault(user_attribute, []).insert(0, (source, first_only))
        else:
            self.properties.setdefault(target, []).insert(0, (source, first_only))

    def mapped(self) -> dict[str, tuple[str, str | None]]:
        """Return each field's mapper and claim, of the mapper that speaks first."""
        named = {
            **self.properties,
            **{f"attributes.{name}": sources for name, sources in self.plain.items()},
        }
        return {name: (first.mapper, first.claim) for name, ((first, _), *_) in named.items()}

    def username(self, reading: Reading, *, newcomer: bool) -> str | None:
        """Return the username, or None of somebody known of whose name nothing is said."""
        sources = self.properties.get("username", [])
        found = _said(sources, reading, newcomer=newcomer)
        if found is None or not found[1]:
            if not newcomer:
                return None
            named = " or ".join(str(source.claim) for source, _ in sources)
            raise missing_username(f"value of {named}")
        source, (username, *_) = found
        if len(username) > NAME_LIMIT or has_control(username):
            raise SignInRefused(
                "bad_username",
                f"the username that the mapper {source.mapper!r} makes is longer than {NAME_LIMIT} "
                f"characters or has control characters in it: {cut(ascii(username), 64)}; change "
                "the claim at the provider, or map another one",
            )
        return username

    def fields(self, reading: Reading, *, newcomer: bool) -> dict[str, str | bool | None]:
        """Return the other properties of which something is said; None for one that is emptied."""
        found: dict[str, str | bool | None] = {}
        for name in ("first_name", "last_name"):
            said = _said(self.properties.get(name, []), reading, newcomer=newcomer)
            if said is not None:
                found[name] = said[1][0] if said[1] else None
        said = _said(self.properties.get("email", []), reading, newcomer=newcomer)
        if said is not None:
            # As with a directory: what is no address leaves the person without one.
            email = next((text.lower() for text in said[1] if is_address(text)), None)
            found["email"] = email
            found["email_verified"] = email is not None and self._verified(
                email, reading, newcomer=newcomer
            )
        return found

    def attributes(self, reading: Reading, *, newcomer: bool) -> dict[str, tuple[str, ...]]:
        """Return the attributes of which something is said; no values for one that goes."""
        found = {}
        for name, sources in self.plain.items():
            if (said := _said(sources, reading, newcomer=newcomer)) is not None:
                found[name] = tuple(said[1])
        return found

    def origins(self, reading: Reading, *, newcomer: bool) -> list[FieldOrigin]:
        """Return where each field comes from; what cannot be taken has no value."""
        found = []
        for name in PROPERTIES:
            value: str | bool | list[str] | None = None
            try:
                if name == "username":
                    value = self.username(reading, newcomer=newcomer)
                else:
                    value = self.fields(reading, newcomer=newcomer).get(name)
            except SignInRefused:
                value = None
            sources = self.properties.get(name, [])
            found.append(_origin(name, value, sources, reading, newcomer=newcomer))
        for name in sorted(self.plain):
            sources = self.plain[name]
            try:
                said = _said(sources, reading, newcomer=newcomer)
            except SignInRefused:
                said = None
            value = None if said is None else said[1]
            found.append(_origin(f"attributes.{name}", value, sources, reading, newcomer=newcomer))
        return found

    def _verified(self, email: str, reading: Reading, *, newcomer: bool) -> bool:
        """Tell whether an address counts as verified.

        What the token says of its own ``email`` says nothing of an address from another claim.
        """
        said = _said(self.properties.get("email_verified", []), reading, newcomer=newcomer)
        if said is not None:
            return [text.lower() for text in said[1]] == ["true"]
        of = reading.at(("email",))
        own = {each.strip().lower() for each in elements_of(of) if isinstance(each, str)}
        verified = reading.at(("email_verified",))
        if email not in own or verified is ABSENT or verified is None:
            return self.trust_email
        return verified is True or (isinstance(verified, str) and verified.lower() == "true")


def _said(
    sources: list[tuple[FieldSource, bool]], reading: Reading, *, newcomer: bool
) -> tuple[FieldSource, list[str]] | None:
    """Return the first source that says something, and what it says."""
    for source, first_only in sources:
        if first_only and not newcomer:
            continue
        texts = source.read(reading, newcomer)
        if texts is not None:
            return source, texts
    return None


def _origin(
    name: str,
    value: str | bool | list[str] | None,  # noqa: FBT001
    sources: list[tuple[FieldSource, bool]],
    reading: Reading,
    *,
    newcomer: bool,
) -> FieldOrigin:
    """Name the mapper whose value it is; without one the first that could have had it."""
    if not sources:
        # Without a mapper of its own it is the token's, or what trust_email says.
        own = name if name == "email_verified" else None
        return FieldOrigin(
            name, value, None, own, [] if own is None else raw_of(reading.at((own,)))
        )
    source = sources[0][0]
    try:
        if (said := _said(sources, reading, newcomer=newcomer)) is not None:
            source = said[0]
    except SignInRefused:
        pass
    claim, raw = source.evidence(reading)
    return FieldOrigin(name, value, source.mapper, claim, raw)
