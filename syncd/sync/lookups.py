"""Looking people up of whom a source of changes says nothing certain, once each in a run.

Whoever is named, missing, or in the way of somebody new is asked for by id; people in quarantine,
who may have none that can be read, by DN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.errors import ChangesUnavailable, DirectoryError, DirectoryUnavailable
from syncd.records import Whereabouts
from syncd.sync.collect import MOST_LOCATED
from syncd.sync.collected import USERS
from syncd.sync.readings import Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from syncd.records import Located
    from syncd.sync.collect import Collector
    from syncd.sync.run import SyncRun

# Somebody stored: user id, external id, last known DN.
Person = tuple[int, str, str]


class Lookups:
    """The people whom one run looked up."""

    def __init__(self, around: SyncRun) -> None:
        self._around = around
        # Who is not there, and why.
        self.absent: dict[int, str] = {}
        # Whoever was looked up; once is enough, whatever came of it.
        self.asked: set[int] = set()
        # What was last said of somebody who could not be looked up.
        self._unreadable = ""

    def settle(self, collector: Collector, persons: Iterable[Person]) -> None:
        """Look up those of these people who were not read, of whom nothing will be told again.

        Raises:
            ChangesUnavailable: They are too many, or the directory said nothing clear of one.

        """
        people = self.unread(collector, persons)
        if len(people) > MOST_LOCATED:
            raise ChangesUnavailable(
                "too_many_absent",
                f"{len(people)} people are said to have left, or to have left a role",
            )
        unsettled = len(people) - self._look(collector, people)
        if unsettled:
            raise ChangesUnavailable(
                "unreadable",
                f"{unsettled} people who changed or left could not be looked up: "
                f"{self._unreadable}",
            )

    def look_again(self, collector: Collector, persons: Iterable[Person]) -> None:
        """Read those of these people who can be read; of the others nothing follows."""
        people = self.unread(collector, persons)
        self._look(collector, people)
        self.asked.difference_update(
            user_id
            for user_id, external_id, _ in people
            if user_id not in self.absent
            and external_id not in collector.read_ids
            and external_id not in collector.bad_ids
        )

    def unread(self, collector: Collector, people: Iterable[Person]) -> list[Person]:
        """Return those of these people who were neither read nor found to be absent so far."""
        return [
            each
            for each in people
            if each[0] not in self.asked
            and each[1] not in collector.read_ids
            and each[1] not in collector.bad_ids
        ]

    def _look(self, collector: Collector, people: Sequence[Person]) -> int:
        """Look people up by id: read those who are there, note those who are not."""
        if not people:
            return 0
        self.asked.update(user_id for user_id, _, _ in people)
        located: Mapping[str, Located] = self._around.directory.locate(
            [(external_id, dn) for _, external_id, dn in people]
        )
        raws: list[bytes] = []
        settled = 0
        for user_id, external_id, _ in people:
            found = located[external_id]
            if found.whereabouts is Whereabouts.PRESENT and found.entry is not None:
                raws.append(found.entry)
                settled += 1
            elif found.whereabouts not in {Whereabouts.PRESENT, Whereabouts.UNREADABLE}:
                self.absent[user_id] = f"{found.whereabouts.value}: {found.detail}"
                settled += 1
            else:
                self._unreadable = found.detail
        if raws:
            collector.people(Page(raws), self._around.users, alone=True)
        return settled

    def read(self, collector: Collector, entries: Sequence[tuple[str, str]]) -> None:
        """Read the (entry, DN) of people in quarantine again."""
        # Without a DN nobody can be looked at: a full sync settles that.
        looked_at = collector.collected.looked_at
        named = [each for each in entries if each[1] and (USERS, each[0]) not in looked_at]
        if named:
            refused: set[str] = set()
            raws = self.by_dn([dn for _, dn in named], refused)
            collector.people(Page(raws), self._around.users, alone=True)
            looked_at |= {(USERS, entry) for entry, dn in named if dn not in refused}

    def by_dn(self, dns: Sequence[str], refused: set[str]) -> list[bytes]:
        """Read people by DN; those that the directory does not let be read are ``refused``."""
        read = self._around.directory.read_people
        try:
            return list(read(dns))
        except DirectoryUnavailable:
            raise
        except DirectoryError:
            if len(dns) == 1:
                refused.add(dns[0])
                return []
            return [raw for dn in dns for raw in self.by_dn([dn], refused)]
