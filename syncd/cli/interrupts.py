"""Ctrl-C and SIGTERM: the first asks the command to stop in order, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
SHOW_CURSOR = b"\x1b[?25h\n"


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into ``KeyboardInterrupt`` and the second into an exit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        nonlocal asked
        if asked:
            # The progress display hides the cursor, and there is no time left to close it.
            if os.isatty(2):
                os.write(2, SHOW_CURSOR)
            os._exit(INTERRUPTED)
        asked = True
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number, handler in before.items():
            # A shell starts background commands with SIGINT ignored, and means it.
            if handler != signal.SIG_IGN:
                signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
