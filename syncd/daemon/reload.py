"""Owns configuration while the daemon runs: seeing that it changed, and checking it before use."""

from __future__ import annotations

import glob
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from syncd.daemon.tasks import Task
from syncd.daemon.timetables import timetables
from syncd.errors import ConfigurationError, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from syncd.app import App
    from syncd.schedule import Timetable
    from syncd.settings import Settings

# How often the files are looked at.
WATCH_SECONDS = 2.0
# A file's time, size and number: an editor that replaces it changes at least one of them.
Look = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Checked:
    """A configuration that can be used."""

    app: App
    timetables: Mapping[str, Timetable]


def check(app: App) -> Checked:
    """Make sure of all that can be told without a directory; the store's schema is one of it.

    Raises:
        ConfigurationError: with all the faults that were found.

    """
    report = app.check(connect=False)
    faults = [
        Fault(f"organization {organization['id']}", None, "", str(fault))
        for organization in report["organizations"]
        for fault in organization["faults"]
    ]
    if faults:
        raise ConfigurationError(faults)
    return Checked(app, timetables(app.settings))


class Watch:
    """Sees whether any file of the configuration is another than before.

    A change is told once it has stood still for one look, so that a set of files that is being
    written is not read in its middle.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known = self._seen = self._look()

    def changed(self) -> bool:
        """Tell, once for each change, that there is one."""
        before, self._seen = self._seen, self._look()
        if self._seen == self._known or self._seen != before:
            return False
        self._known = self._seen
        return True

    def _look(self) -> dict[str, Look]:
        return {path: _look(path) for path in sorted(self._paths())}

    def _paths(self) -> set[str]:
        settings = self._settings
        found = {str(path) for path in settings.files}
        # A new organization is a new file that one of the patterns finds.
        folder = settings.files[0].parent if settings.files else Path.cwd()
        for pattern in settings.daemon.organizations:
            whole = str(folder.absolute() / Path(pattern).expanduser())
            found.update(glob.glob(whole))  # noqa: PTH207 - the pattern may be absolute
        for origins in settings.origins.values():
            for place in origins.values():
                for prefix in ("secret file ", "credential "):
                    if place.startswith(prefix):
                        found.add(place.removeprefix(prefix))
        for organization in settings.organizations.values():
            certificates = (each.source for each in organization.certificates)
            found.update(source for source in certificates if source != "inline")
        return found


def _look(path: str) -> Look:
    try:
        status = os.stat(path)  # noqa: PTH116 - many files, every few seconds
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class Reader:
    """Reads the configuration again, beside the main loop, when it changed or somebody asks."""

    def __init__(
        self, settings: Settings, *, reread: Callable[[], Checked], wake: Callable[[], None]
    ) -> None:
        self._watch = Watch(settings)
        self._reread, self._wake = reread, wake
        self._asked = False
        self._look_at = time.monotonic() + WATCH_SECONDS
        self._task: Task[Checked] | None = None

    def ask(self) -> None:
        """Read it again, whether it looks changed or not."""
        self._asked = True

    def begin(self, now: float) -> bool:
        """Begin to read if there is a reason; tell whether it has just begun."""
        if self._task is not None:
            return False
        if now >= self._look_at:
            self._look_at = now + WATCH_SECONDS
            self._asked = self._watch.changed() or self._asked
        if not self._asked:
            return False
        self._asked = False
        self._task = Task("reading of the configuration", self._reread, self._wake)
        return True

    def read(self) -> Checked | None:
        """Return what was read, once; None while there is nothing.

        Raises:
            SyncdError: What was read cannot be used.

        """
        if self._task is None or not self._task.ended:
            return None
        task, self._task = self._task, None
        return task.result()

    def use(self, settings: Settings) -> None:
        """Watch the files of these settings from now on."""
        self._watch = Watch(settings)
