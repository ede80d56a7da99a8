"""How often a password may be tried: by account, by address and in an organization.

An attempt is counted before the password is looked at, so that guesses beside each other do not
pass. The account's limit lies below the usual lockout of directories, five, and holds for
everybody where there is a directory: that counts a known person's failures, too, and its lockout
would be worse. Its time begins anew with each attempt, as a directory's does. All other limits hold
up strangers alone: whoever has signed in with an account from an address lately gets in while
somebody else guesses. Failures alone count in the end; a success is given back.
"""

from __future__ import annotations

import json
import unicodedata
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from syncd.errors import TooManyAttempts

if TYPE_CHECKING:
    from collections.abc import Sequence

KNOWN_FOR: Final = timedelta(days=30)
# One household or office has so many bits of IPv6 in common.
IPV6_PREFIX: Final = 64
# Control and format signs, spaces, and what is put onto letters.
IGNORED: Final = ("C", "Z", "M")


class Limits(NamedTuple):
    """How many failures are stood in a window of time."""

    account: int = 4
    address: int = 40
    organization: int = 1_000
    window: timedelta = timedelta(minutes=15)


class Limit(NamedTuple):
    """One counter, and how much it stands."""

    kind: str
    key: bytes
    most: int
    window: timedelta
    # Its time begins anew with each attempt, and a success empties it.
    renewed: bool = False
    # It holds nobody up who is known.
    strangers: bool = True


class Attempt(NamedTuple):
    """An attempt that was counted and may be made."""

    limits: tuple[Limit, ...]
    known: bytes


class AttemptStore(Protocol):
    """The counters, which all processes share."""

    def count(self, limits: Sequence[Limit], known: bytes) -> tuple[str, float] | None:
        """Count by all limits; else return what is full, and for how many seconds."""

    def succeeded(self, limits: Sequence[Limit], known: bytes, lasts: timedelta) -> None:
        """Give a success back, and know who it was for a time."""

    def forgive(self, limits: Sequence[Limit]) -> None:
        """Give an attempt back that was none."""


class Throttle:
    """The limits of one organization, also of one that does not exist."""

    def __init__(
        self,
        store: AttemptStore,
        limits: Limits,
        organization_id: str,
        *,
        lockout: bool = True,
    ) -> None:
        """Say whether a directory, which counts as well, may lock its accounts."""
        self._store = store
        self._limits = limits
        self._organization_id = organization_id
        self._lockout = lockout

    def attempt(self, name: str, address: str) -> Attempt:
        """Count an attempt to sign in by a name from an address, which may be made then.

        Raises:
            TooManyAttempts: It may not be made; nobody learns whether it would have been right.

        """
        return self._count(self._of(_account(name), _place(address)))

    def succeeded(self, attempt: Attempt) -> None:
        """Say that the password was right."""
        self._store.succeeded(attempt.limits, attempt.known, KNOWN_FOR)

    def forgive(self, attempt: Attempt) -> None:
        """Say that no password was tried after all: nobody could be asked."""
        self._store.forgive(attempt.limits)

    def begin(self, address: str) -> None:
        """Count a sign-in at the provider, where nobody is known by name yet.

        Raises:
            TooManyAttempts: It may not be made.

        """
        self._count(self._at_provider(address))

    def finish(self, address: str) -> None:
        """Say that such a sign-in has let somebody in."""
        self.succeeded(self._at_provider(address))

    def _count(self, attempt: Attempt) -> Attempt:
        full = self._store.count(attempt.limits, attempt.known)
        if full is not None:
            kind, seconds = full
            retry_after = max(ceil(seconds), 1)
            raise TooManyAttempts(
                f"too much was tried in vain by this {kind}; try again in {retry_after} s",
                retry_after,
            )
        return attempt

    def _of(self, account: str, address: str) -> Attempt:
        most = self._limits
        return Attempt(
            (
                Limit(
                    "account",
                    self._key("account", account),
                    most.account,
                    most.window,
                    renewed=True,
                    strangers=not self._lockout,
                ),
                Limit("address", self._key("address", address), most.address, most.window),
                Limit("organization", self._key("organization"), most.organization, most.window),
            ),
            self._key("known", account, address),
        )

    def _at_provider(self, address: str) -> Attempt:
        # Nothing is guessed here, so that a whole organization's morning is no attack.
        whole = self._of("", _place(address))
        return Attempt(tuple(each for each in whole.limits if each.kind == "address"), whole.known)

    def _key(self, *of: str) -> bytes:
        text = json.dumps([self._organization_id, *of])
        return sha256(text.encode()).digest()


def _account(name: str) -> str:
    """Return one key for all that a directory may take for the same name.

    Directories pass over case, spaces, signs that are not seen, and some over accents.
    """
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "".join(sign for sign in apart if unicodedata.category(sign)[0] not in IGNORED)


def _place(address: str) -> str:
    """Return what stands for all addresses that one place has."""
    with suppress(ValueError):
        parsed = ip_address(address.partition("%")[0])
        if isinstance(parsed, IPv6Address):
            if parsed.ipv4_mapped is not None:
                return str(parsed.ipv4_mapped)
            return str(ip_network((parsed, IPV6_PREFIX), strict=False))
        return str(parsed)
    return address
