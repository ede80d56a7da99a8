"""What a session keeps of its provider's tokens, to be told anew and to sign out there.

It is packed to be sealed: nothing here is verified again, because nobody else can seal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from syncd.oidc.tokens import Identified

if TYPE_CHECKING:
    from syncd.oidc.exchange import TokenAnswer
    from syncd.oidc.outcome import Refusal
    from syncd.oidc.tokens import IdToken
    from syncd.oidc.validate import Validator


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The tokens of a sign-in, as far as the session needs them later."""

    # As it came: the hint by which the provider finds its session at sign-out.
    id_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    # What refreshed tokens are held against.
    identified: Identified = field(repr=False)

    @classmethod
    def of(cls, answer: TokenAnswer, token: IdToken) -> Self:
        """Return what is kept of the answer for a code, whose verified ID token is ``token``."""
        return cls(
            id_token=answer.id_token or "",
            refresh_token=answer.refresh_token,
            identified=token.identified(),
        )

    def after(self, answer: TokenAnswer) -> Kept:
        """Return what is kept after a refresh: the new refresh token, if there is one."""
        return replace(self, refresh_token=answer.refresh_token or self.refresh_token)

    def pack(self) -> bytes:
        """Return it as bytes, secrets in the clear."""
        members = {
            "id_token": self.id_token,
            "refresh_token": self.refresh_token,
            "identified": self.identified._asdict() | {"audiences": [*self.identified.audiences]},
        }
        return json.dumps(members, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Self | None:
        """Return what was packed; None: by another version, in another form."""
        try:
            members: dict[str, Any] = json.loads(packed)
            facts = members["identified"]
            return cls(
                id_token=members["id_token"],
                refresh_token=members["refresh_token"],
                identified=Identified(**facts | {"audiences": frozenset(facts["audiences"])}),
            )
        except (ValueError, TypeError, KeyError):
            return None


def renewed(
    validator: Validator, kept: Kept, answer: TokenAnswer, *, now: float
) -> IdToken | Refusal | None:
    """Return the ID token of a refresh, why it is refused, or None: there is no new one.

    Refused for whatever else than ``keys_unavailable`` it ends the session (Core section 12.2).
    """
    if answer.id_token is None:
        return None
    return validator.id_token(
        answer.id_token,
        now=now,
        access_token=answer.access_token,
        direct=True,
        previous=kept.identified,
    )
