"""What the engine needs of a directory and of mappings, as protocols (see ``store_ports``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from syncd.records import (
        ContainerRecord,
        Entry,
        ListingOutcome,
        Located,
        Signals,
        TargetKind,
        UserRecord,
        Watermark,
    )

    Progress = Callable[[str, int, int | None], None]


class Listing(Protocol):
    """Pages of raw entries, for the reader to take; ``outcome`` is known after the last one."""

    def __iter__(self) -> Iterator[list[bytes]]: ...

    @property
    def outcome(self) -> ListingOutcome:
        """How the listing ended."""


class Detection(Protocol):
    """How a directory's changes are told."""

    @property
    def kind(self) -> str:
        """The kind of its watermarks."""


class Changes(Protocol):
    """What changed since a watermark: people first, then each mapper's containers."""

    def users(self) -> Listing:
        """List the changed people; raises ChangesUnavailable when that cannot be told."""

    def containers(self, mapper: str) -> Listing:
        """List the changed containers of a mapper."""

    def signals(self, source: str) -> Signals:
        """Tell what a listing said of entries that it did not send; after its end."""

    @property
    def watermark(self) -> Watermark:
        """How far the directory has been read; after all listings."""


class Directory(Protocol):
    """One organization's directory."""

    def detection(self) -> Detection:
        """Tell how changes are found."""

    def ground(self) -> str:
        """Return a hash of everything that a watermark silently relies on."""

    def changes(self, since: Watermark) -> Changes:
        """Tell what changed; raises ChangesUnavailable when a full sync has to look."""

    def members_of(self, mapper: str, dns: Sequence[str]) -> Listing:
        """List the people whose own entries name one of these containers."""

    def read_people(self, dns: Sequence[str]) -> list[bytes]:
        """Read named people as a listing would."""

    def users(self) -> Listing:
        """List all people."""

    def containers(self, mapper: str) -> Listing:
        """List the containers of a mapper."""

    def watermark(self) -> Watermark:
        """Tell how far the directory has come and on what ground that is said."""

    def locate(self, persons: Sequence[tuple[str, str]]) -> Mapping[str, Located]:
        """Look people up by (external id, last DN)."""

    def find(self, username: str) -> list[bytes]:
        """Return the entries that a username has in scope of the listing."""

    def read_containers(self, mapper: str, dns: Sequence[str]) -> list[bytes]:
        """Read named containers as a listing would."""

    def naming(self, mapper: str, dns: Sequence[str]) -> Listing:
        """List the containers of a mapper whose members' attribute names one of these DNs."""

    def read_outside(self, mapper: str, dns: Sequence[str]) -> list[bytes]:
        """Read those of these entries that are containers, wherever they lie."""


class UserMapping(Protocol):
    """From an entry to a person."""

    @property
    def fingerprint(self) -> str:
        """A hash of the mappers' configuration."""

    @property
    def containers(self) -> tuple[ContainerRecord, ...]:
        """What stands for the roles that everybody gets by configuration."""

    def __call__(self, entry: Entry) -> UserRecord:
        """Map, or raise MappingError."""

    def identify(self, entry: Entry) -> tuple[str | None, str | None]:
        """Return the external id and username key as far as they can be read."""


class ContainerMapping(Protocol):
    """From an entry to a role or group with members."""

    @property
    def kind(self) -> TargetKind:
        """What its containers stand for."""

    @property
    def nested(self) -> bool:
        """Whether members of a member container are members too."""

    @property
    def hierarchy(self) -> bool:
        """Whether member containers become child groups."""

    @property
    def names_dns(self) -> bool:
        """Whether its entries name their members by DN."""

    @property
    def drops(self) -> bool:
        """Whether what this mapper made goes when a complete listing has it no more."""

    @property
    def creates(self) -> bool:
        """Whether a name that the store does not have becomes a new role or group."""

    @property
    def fixed(self) -> tuple[ContainerRecord, ...]:
        """Containers that no directory holds, outermost first: the groups above these."""

    @property
    def root(self) -> bytes | None:
        """The key of the container below which those without a parent stand."""

    @property
    def member_of(self) -> Sequence[object]:
        """Not empty where people name their containers themselves."""

    @property
    def fingerprint(self) -> str:
        """A hash of the mapper's configuration."""

    def __call__(self, entry: Entry) -> ContainerRecord:
        """Map, or raise MappingError."""

    def outside(self, entry: Entry) -> ContainerRecord:
        """Map an entry outside of the mapper's base, which only hands its members on."""

    def key_of(self, entry: Entry) -> bytes | None:
        """Return the key of the container that an entry is, even if it cannot be mapped."""


class Decode(Protocol):
    """From a raw entry to its parts."""

    def __call__(self, raw: bytes) -> Entry:
        """Decode, or raise DecodeError."""
