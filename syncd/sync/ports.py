"""What the engine needs of the rooms it may not know: a directory, mappings and a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from contextlib import AbstractContextManager
    from datetime import datetime

    from syncd.records import (
        ContainerRecord,
        Entry,
        ListingOutcome,
        Located,
        Quarantined,
        Remark,
        Shapes,
        Signals,
        TargetKind,
        UserRecord,
        Watermark,
    )

    Progress = Callable[[str, int, int | None], None]


class Listing(Protocol):
    """Pages of raw entries; ``outcome`` is known after the last one."""

    def __iter__(self) -> Iterator[Sequence[bytes]]: ...

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


class StoredPerson(Protocol):
    """What is stored of a person."""

    @property
    def user_id(self) -> int: ...
    @property
    def fingerprint(self) -> bytes: ...
    @property
    def living(self) -> bool: ...
    @property
    def digest(self) -> int | None: ...


class Digests(Protocol):
    """The stored digests of a listing's entries."""

    seen: int

    def __len__(self) -> int: ...
    def mark(self, digest: int) -> bool:
        """Mark an entry as seen; False when no stored one has this digest."""

    def unseen(self) -> list[int]:
        """Return the ids that were not marked."""

    def undigested(self, count: int) -> list[int]:
        """Return which of the ids below ``count`` have no digest."""

    def seen_among(self, ids: set[int]) -> set[int]:
        """Return which of these were marked."""


class NameConflict(Protocol):
    """A person who had to leave the plan because of a name or an id."""

    @property
    def external_id(self) -> str: ...
    @property
    def dn(self) -> str: ...
    @property
    def username(self) -> str: ...
    @property
    def username_key(self) -> str: ...
    @property
    def reason(self) -> str: ...


class PlanCounts(Protocol):
    """How much of each kind a plan brings."""

    @property
    def kinds(self) -> dict[str, int]: ...
    @property
    def updated(self) -> int: ...
    @property
    def granted(self) -> int: ...
    @property
    def revoked(self) -> int: ...
    @property
    def granted_to_known(self) -> int: ...
    @property
    def targets(self) -> int: ...
    @property
    def removed(self) -> int: ...
    @property
    def roles(self) -> Mapping[str, int]: ...
    @property
    def groups(self) -> Mapping[str, int]: ...
    @property
    def conflicts(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def newcomers_disabled(self) -> int: ...


class Planned(Protocol):
    """What making a plan found beside its rows."""

    @property
    def conflicts(self) -> Sequence[NameConflict]: ...
    @property
    def remarks(self) -> Sequence[Remark]: ...


class PlanRow(Protocol):
    """One person of a stored plan."""

    @property
    def number(self) -> int: ...
    @property
    def external_id(self) -> str | None: ...
    @property
    def dn(self) -> str: ...
    @property
    def absent(self) -> bool: ...
    @property
    def fingerprint(self) -> bytes | None: ...
    @property
    def username(self) -> str: ...


class Store(Protocol):
    """One organization in the store."""

    @property
    def lease(self) -> AbstractContextManager[object]: ...
    @property
    def kept_plan(self) -> int | None:
        """The older run that waits with the plan of the run that was finished last."""

    def digest_key(self) -> bytes: ...
    def begin_run(self, mode: str, *, dry: bool) -> int: ...
    def unfinished(self) -> int | None: ...
    def watermark(self) -> Watermark | None: ...
    def population(self, mappers: tuple[str, ...]) -> tuple[int, int]: ...
    def unresolved(self) -> int: ...
    def digests(self) -> Digests: ...
    def no_digests(self) -> Digests: ...
    def container_digests(self, mapper: str) -> tuple[Digests, list[bytes]]: ...
    def stored_people(self, external_ids: Sequence[str]) -> Mapping[str, StoredPerson]: ...
    def new_user_id(self) -> int: ...
    def stage_people(
        self,
        run_id: int,
        people: Sequence[tuple[int, bool, UserRecord, bytes, int]],
        seen: Sequence[tuple[int, int]],
    ) -> None: ...
    def stage_containers(
        self,
        run_id: int,
        containers: Sequence[tuple[int, ContainerRecord, str, int | None]],
    ) -> None: ...
    def drop_duplicates(self, run_id: int) -> Sequence[NameConflict]: ...
    def unstage(
        self, run_id: int, user_ids: Sequence[int], reason: str
    ) -> Sequence[NameConflict]: ...
    def protect(self, run_id: int, bad: Sequence[Quarantined]) -> int: ...
    def stage_absent_people(
        self, run_id: int, unseen: array[int] | Sequence[int], *, everybody: bool = True
    ) -> int: ...
    def absent_people(self, run_id: int) -> list[tuple[int, str, str]]: ...
    def settle_absent(self, run_id: int, causes: dict[int, str | None]) -> None: ...
    def forget_absent(self, run_id: int) -> None: ...
    def stage_absent_containers(self, run_id: int, mapper: str, keys: Sequence[bytes]) -> None: ...
    def plan(
        self,
        run_id: int,
        *,
        mappers: tuple[str, ...],
        revoking: tuple[str, ...],
        purge_before: datetime | None,
        shapes: Shapes,
    ) -> Planned: ...
    def counts(self, run_id: int, *, last: int | None = None) -> PlanCounts: ...
    def conflicts(self, run_id: int) -> int: ...
    def shrinking_targets(self, run_id: int) -> list[tuple[str, int, int]]: ...
    def begin_apply(self, run_id: int, actor: str, why: str | None, *, settles: bool) -> None: ...
    def hold(self, run_id: int, kinds: Sequence[str]) -> tuple[int, int]: ...
    def release_held(self, run_id: int) -> None: ...
    def apply(
        self, run_id: int, batch_size: int, *, last: int | None = None
    ) -> Iterator[tuple[int, int]]: ...
    def plan_rows(self, run_id: int, after: int, count: int) -> Sequence[PlanRow]: ...
    def waiting_watermark(self, run_id: int) -> Watermark | None: ...
    def mark_stale(self, run_id: int, numbers: Sequence[int]) -> None: ...
    def staged_containers(self, run_id: int) -> list[tuple[str, str, int | None, bool]]: ...
    def drop_grants(self, run_id: int, mapper: str) -> int: ...
    def settle(self, run_id: int, *, few: bool = False) -> None: ...
    def keep_removed(self, run_id: int, configured: Sequence[str]) -> None: ...
    def mode_of(self, run_id: int) -> str: ...
    def stored_mappers(self) -> set[str]: ...
    def rename_mappers(self, former: Mapping[str, str]) -> dict[str, str]: ...
    def strangers(self, run_id: int, mapper: str) -> list[str]: ...
    def outside_containers(self, mapper: str) -> list[tuple[bytes, str, str]]: ...
    def containers_naming(
        self, mapper: str, keys: Sequence[bytes]
    ) -> list[tuple[bytes, str, str]]: ...
    def at_most(self, mappers: Sequence[str], most: int) -> tuple[int, int]: ...
    def waiting_run(self) -> int | None: ...
    def due_quarantine(self, limit: int) -> Sequence[tuple[str, str, str, str | None]]: ...
    def stored_containers(
        self, mapper: str, keys: Sequence[bytes]
    ) -> Mapping[bytes, int | None]: ...
    def containers_but(
        self, mapper: str, *, deleted: Sequence[str], present: frozenset[str] | None
    ) -> list[tuple[bytes, str, str]]: ...
    def living(self, external_ids: Sequence[str]) -> list[tuple[int, str, str]]: ...
    def living_but(self, present: frozenset[str], most: int) -> list[tuple[int, str, str]]: ...
    def some_living(self, start: str, most: int) -> list[tuple[int, str, str]]: ...
    def left_undone(self, most: int) -> list[tuple[int, str, str]]: ...
    def locked_out(self, most: int) -> list[tuple[int, str, str]]: ...
    def name_holders(self, run_id: int) -> list[tuple[int, str, str]]: ...
    def naming_containers(self, run_id: int) -> list[tuple[str, bytes, str]]: ...
    def arrivals(self, run_id: int) -> tuple[list[str], list[str]]: ...
    def losing_people(self, run_id: int, most: int) -> list[tuple[int, str, str]]: ...
    def place_holders(self, run_id: int) -> list[tuple[int, str, str]]: ...
    def moved_people(self, run_id: int) -> list[tuple[int, str, str, bytes]]: ...
    def quarantined_alike(
        self, run_id: int, source: str
    ) -> Sequence[tuple[str, str, str, str | None]]: ...
    def renamed_containers(self, run_id: int, mapper: str) -> list[tuple[bytes, str, str]]: ...
    def absent_containers(self, run_id: int) -> list[tuple[str, bytes, str, bool]]: ...
    def waiting_doubts(self, run_id: int | None) -> list[str]: ...
    def stating_people(
        self, mapper: str, container_keys: Sequence[bytes]
    ) -> list[tuple[int, str, str]]: ...
    def finish(
        self,
        run_id: int,
        status: str,
        report: dict[str, Any],
        *,
        outcomes: Sequence[ListingOutcome] = (),
        quarantined: Sequence[Quarantined] | None = None,
        watermark: Watermark | None = None,
        digests: bool = False,
        keep_listings: bool = False,
        looked_at: AbstractSet[tuple[str, str]] = ...,
    ) -> list[int]: ...
    def give_up(self, run_id: int, status: str, report: dict[str, Any]) -> None: ...


class Decode(Protocol):
    """From a raw entry to its parts."""

    def __call__(self, raw: bytes) -> Entry:
        """Decode, or raise DecodeError."""
