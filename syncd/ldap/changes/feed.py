"""The shape of every way of asking a directory what changed.

A new way (Active Directory's uSNChanged, DirSync) is a module beside this one with a class of this
shape, a kind in ``detection`` and a branch in ``LdapSource.changes``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.records import ListingOutcome, Signals, Watermark

USERS = "users"


class ChangeListing(Protocol):
    """Pages of raw entries, to be read once; ``outcome`` is known after the last one."""

    def __iter__(self) -> Iterator[list[bytes]]: ...

    @property
    def outcome(self) -> ListingOutcome:
        """How the listing ended."""


class Changes(Protocol):
    """What changed since a watermark: read the users first, then each mapper's containers.

    Each listing may raise ChangesUnavailable while it is read: a full sync is needed then, and what
    was read so far means nothing.
    """

    def users(self) -> ChangeListing:
        """List the people who are new or changed; somebody unchanged may be among them."""

    def containers(self, mapper: str) -> ChangeListing:
        """List the containers of a mapper that are new or changed."""

    def signals(self, source: str) -> Signals:
        """Return what a listing said of entries that it did not send, once it has ended.

        Nothing at all is said by a listing that is not complete.
        """

    @property
    def watermark(self) -> Watermark:
        """Where to ask from next time; to be stored when all listings ended complete."""
