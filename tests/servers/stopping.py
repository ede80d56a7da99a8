"""Stop a process and let it go on: a stop is only over when all of its threads stand."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_SECONDS = 30


def stop(pid: int) -> None:
    """Stop all threads of a process; the signal alone lets busy ones answer one request more."""
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + PATIENCE_SECONDS
    while not _stands(pid):
        assert time.monotonic() < end, f"process {pid} does not stop"
        time.sleep(0.002)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Hold a process for as long as the block runs."""
    stop(pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _stands(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)
