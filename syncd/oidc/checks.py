"""What a check of a token is, and what it looks at.

The checks themselves stand in ``header`` (what a token is, whose key it has), ``moments`` (its
times) and ``claims`` (the rest); ``validate`` puts them in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from syncd.oidc.compact import quoted
from syncd.oidc.outcome import Outcome, Refusal, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from syncd.oidc.keys import Key
    from syncd.oidc.options import ProviderOptions
    from syncd.oidc.ports import Keys
    from syncd.oidc.tokens import Identified


class Rules(NamedTuple):
    """What a provider's tokens of one kind have to be."""

    keys: Keys
    # Of HS256 and the like, as far as they are allowed.
    secrets: Mapping[str, Key | Refusal]
    algorithms: frozenset[str]
    # In lower case, without "application/"; whether a token may leave it out.
    types: frozenset[str]
    untyped: bool


@dataclass(slots=True, eq=False)
class Examined:
    """A token while it is looked at: checks read it, and the first ones fill it in."""

    text: str
    now: float
    rules: Rules
    options: ProviderOptions
    # What the caller expects of the one token at hand, as Validator.id_token says.
    nonce: str | None = None
    any_nonce: bool = False
    max_age: int | None = None
    access_token: str | None = None
    code: str | None = None
    direct: bool = False
    previous: Identified | None = None
    # What the first checks fill in.
    header_segment: bytes = field(init=False)
    payload_segment: bytes = field(init=False)
    signature: bytes = field(init=False)
    header: dict[str, Any] = field(init=False)
    algorithm: str = field(init=False)
    key_id: str | None = field(init=False)
    claims: dict[str, Any] = field(init=False)
    key: Key | None = field(init=False)


# None: passed. A text: there is nothing to check, and why. Built at each token, so both are
# constants; only refusals are made anew.
Found: TypeAlias = Refusal | str | None


class Check(NamedTuple):
    """One check: its name as `syncd token verify` shows it, how it is made, what it looked at."""

    name: str
    find: Callable[[Examined], Found]
    shows: Callable[[Examined], str]

    def step(self, token: Examined, found: Found) -> Step:
        """Return what the check found, for people."""
        if found is None:
            return Step(self.name, Outcome.PASSED, self.shows(token))
        if isinstance(found, Refusal):
            return Step(self.name, Outcome.FAILED, found.detail)
        return Step(self.name, Outcome.SKIPPED, found)


def members(*names: str) -> Callable[[Examined], str]:
    """Return what shows these claims as the token has them."""

    def shows(token: Examined) -> str:
        return ", ".join(
            f"{name} {quoted(token.claims[name])}" for name in names if name in token.claims
        )

    return shows


def said(claims: Mapping[str, Any], name: str) -> str:
    """Return "iss is missing" or what it is, to begin a refusal with."""
    return f"{name} is {quoted(claims[name])}" if name in claims else f"{name} is missing"
