"""Runs what may take long beside the main loop, which only ever looks whether it has ended.

The threads are daemons: a store that never answers must not keep the process from ending.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class Task(Generic[Result]):
    """One call in a thread of its own; ``wake`` is called when it has ended."""

    def __init__(self, name: str, call: Callable[[], Result], wake: Callable[[], None]) -> None:
        self.began = time.monotonic()
        self._call, self._wake = call, wake
        self._result: list[Result] = []
        self._error: BaseException | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def ended(self) -> bool:
        """Tell whether ``result`` returns at once."""
        return self._ended.is_set()

    def result(self) -> Result:
        """Return what the call returned, or raise what it raised."""
        self._ended.wait()
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as error:  # noqa: BLE001 - raised again by ``result``
            self._error = error
        self._ended.set()
        self._wake()
