"""Owns the supervisor's signals: a handler only notes the number and wakes the main loop."""

from __future__ import annotations

import os
import signal
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

STOP = (signal.SIGTERM, signal.SIGINT)
HEARD = (*STOP, signal.SIGHUP)


class Signals:
    """A context manager; ``fileno`` becomes readable when there is something to look at.

    ``wake`` may be called from any thread.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._numbers: deque[int] = deque()
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in HEARD:
            handler = signal.getsignal(number)
            # A shell starts background commands with SIGINT ignored, and means it.
            if number == signal.SIGINT and handler is signal.SIG_IGN:
                continue
            self._before[number] = handler
            signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        # Not closed: a thread may still call ``wake``, and the number might be somebody else's.

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._reader

    def wake(self) -> None:
        """End the main loop's wait."""
        # A full pipe wakes as well as one byte more would.
        with suppress(BlockingIOError):
            os.write(self._writer, b"\0")

    def taken(self) -> Iterator[int]:
        """Yield the signals that came since the last call, in their order."""
        with suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass
        while self._numbers:
            yield self._numbers.popleft()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._numbers.append(number)
        self.wake()
