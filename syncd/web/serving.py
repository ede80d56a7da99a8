"""The application that requests are answered with; it changes as a whole with the settings."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

from syncd.app import App
from syncd.errors import StoreError

if TYPE_CHECKING:
    from syncd.identifying import Counted
    from syncd.settings import Settings

# How often the last use of one token is written down.
NOTED_SECONDS = 60.0


class Serving:
    """What the web process answers from: its own App, made of the checked settings.

    ``counted`` is told what the metrics are to know.
    """

    def __init__(self, settings: Settings, *, counted: Counted | None = None) -> None:
        self._counted = counted
        self.app = self._app(settings)
        self._noted: dict[int, float] = {}
        self._used: SimpleQueue[int | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="token use", daemon=True)
        self._writer.start()

    def use(self, settings: Settings) -> None:
        """Go on with other settings; requests that are under way keep what they began with."""
        old, fresh = self.app, self._app(settings)
        # A store that cannot be reached now is opened by the first request that needs it.
        with suppress(StoreError):
            fresh.take_over(old)
        self.app = fresh
        old.give_way(fresh)

    def _app(self, settings: Settings) -> App:
        app = App(settings)
        if self._counted is not None:
            app.counted = self._counted
        return app

    def token_used(self, token_id: int) -> None:
        """Note that a token let somebody in; written beside the requests, once a minute."""
        now = time.monotonic()
        if now - self._noted.get(token_id, -NOTED_SECONDS) >= NOTED_SECONDS:
            self._noted[token_id] = now
            self._used.put(token_id)

    def close(self) -> None:
        """Write what is noted, and close the store."""
        self._used.put(None)
        self._writer.join(NOTED_SECONDS)
        self.app.close()

    def _write(self) -> None:
        while (token_id := self._used.get()) is not None:
            # Whoever is interested in it sees the next use.
            with suppress(StoreError):
                self.app.note_token_use([token_id])
