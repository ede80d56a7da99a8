"""One sync of many changes, to be stopped or to meet a bad store, and what a quiet one does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.acceptance.moments import Stop, find, moments
from tests.acceptance.trouble import (
    SETTINGS,
    Started,
    as_json,
    change,
    check_invariants,
    content,
    lasting,
    sentence,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.moments import Moment
    from tests.acceptance.preloaded import Commands, QuickWorld
    from tests.acceptance.trouble import Stores, Worlds
    from tests.acceptance.world import Answer

SHORT_WAIT = {
    "sqlite": "?timeout=0.2",
    "postgresql": "&options=-c%20lock_timeout%3D200ms",
}


class Syncs(Started):
    """A sync of many changes, and its moments."""

    def __init__(self, worlds: Worlds, stores: Stores, commands: Commands, folder: Path) -> None:
        super().__init__(worlds, stores)
        change(worlds.slapd)
        self._commands = commands
        world = self.world()
        assert self.run(world, Stop(record=str(folder / "moments"))).code == 0
        self.after = content(world.store_url)
        self.moments: list[Moment] = moments(folder / "moments")

    @property
    def kind(self) -> str:
        """Which database it is."""
        return self.stores.kind

    @property
    def second_batch(self) -> int:
        """The moment behind the first batch, at which nothing is locked."""
        first = find(self.moments, "apply", "INSERT INTO journal")
        return find(self.moments, "apply", "COMMIT", after=first) + 1

    def world(self, store_url: str | None = None) -> QuickWorld:
        """Return a world that waits for the changes."""
        return self.worlds.world(store_url or self.again())

    def impatient(self, world: QuickWorld) -> None:
        """Let a world wait for other people's locks a fifth of a second only."""
        world.store_url += SHORT_WAIT[self.kind]
        world.configure(ldap=SETTINGS)
        world.store_url = world.store_url.removesuffix(SHORT_WAIT[self.kind])

    def run(self, world: QuickWorld, stop: Stop) -> Answer:
        """Run a sync that stops at a moment."""
        words = world.command(*as_json())[1:]
        return self._commands.run(words, world.folder, stop.environment())

    def untouched(self, world: QuickWorld) -> None:
        """Check that nothing of the organization is other than before."""
        found = content(world.store_url)
        parts = ("journal", "watermark")
        assert lasting(found, *parts) == lasting(self.before, *parts)

    def made_good(self, world: QuickWorld) -> None:
        """Check that the next sync, without faults, ends where a quiet one does."""
        world.configure(ldap=SETTINGS)
        report = world.sync()
        assert (report["status"], report["listing"]) == ("done", "complete")
        found = check_invariants(world.store_url, self.after)
        assert lasting(found, "journal") == lasting(self.after, "journal")


def failed(answer: Answer, code: int) -> str:
    """Check the code of a sync that failed; return its sentence, which the report has too."""
    assert answer.code == code, (answer.code, answer.out, answer.err)
    said = sentence(answer)
    assert f"syncd: {answer.document['error']['message']}".rstrip(".") == said.rstrip(".")
    return said
